"""`tf.function`: records what a function computes into a Program, one per signature, and replays it."""

import functools
import traceback
import types

import numpy as np

from minigrad import ops
from minigrad.checks import warn
from minigrad.graph import has_symbols
from minigrad.layers.context import context, users_line
from minigrad.metrics.base import Pending
from minigrad.older import NoAttribute
from minigrad.ops.shaping import constant_tensor
from minigrad.program import RecordingError, aligned, is_interrupted
from minigrad.tensor import Structure, Tensor, Variable, as_tensor, tapes
from minigrad.trainer.pool import Pool, Step
from minigrad.trees import mapped

MOST_SIGNATURES = 1000  # how many signatures one function remembers


def function(func=None, **options):
    """Decorator that makes a Function; `options` have no effect here."""
    return (lambda func: Function(func)) if func is None else Function(func)


class Function:
    """A function of tensors that is recorded and replayed.

    A signature is the shapes and dtypes of the tensors and arrays among the arguments, and the values of the others.
    The first call of each signature runs the Python function, which may make things such as weights. The second call
    is recorded. Later calls replay the recording, without Python in between. A function that reads values of tensors,
    or computes something else each time, can't be recorded: a warning says why, and every call runs it in Python.
    Inside a tape, a layer, or another step it is a plain function.
    """

    def __init__(self, func):
        functools.update_wrapper(self, func)
        self.python_function = func
        self._pool = Pool()
        self._seen = {}  # {signature: arguments}; arguments that are compared by identity must stay alive
        self._is_eager = False

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name):
        raise NoAttribute("a tf.function", name, self.__dir__)

    def __call__(self, *args, **kwargs):
        given = args, kwargs = mapped(_as_data, [args, kwargs])
        is_part = is_interrupted() or tapes.open or context.inside or has_symbols(args, kwargs)
        if is_part or self._is_eager:
            return self.python_function(*args, **kwargs)
        key = _signature(given)
        if key not in self._seen:
            if len(self._seen) > MOST_SIGNATURES:
                self._seen.clear()
            result = self.python_function(*args, **kwargs)
            self._seen[key] = given
            return result
        step = self._pool.take(key, Structure.version, lambda: self._recorded(given))
        if step.program is None:
            return self.python_function(*args, **kwargs)
        for value, array in zip(_data_of(given), step.stage.values(), strict=True):
            array[...] = value._data
        step.replay()
        result = mapped(_kept, step.result[0])
        self._pool.give_back(step)
        return result

    def _recorded(self, given):
        """A Step of the function, whose arguments are copied to its stage. It has no Program if recording failed."""
        stage = {f"argument {i}": aligned(v.shape, v.dtype) for i, v in enumerate(_data_of(given))}
        for array, value in zip(stage.values(), _data_of(given), strict=True):
            array[...] = value._data
        own = map(constant_tensor, stage.values())
        args, kwargs = mapped(lambda value: next(own) if _is_data(value) else value, given)
        result = []

        def run():
            result[:] = [self.python_function(*args, **kwargs)]

        step = Step(run, {}, Structure.version, result, stage)
        try:
            step.record(stage, self.__name__)
            step.snapshot = Structure.version
        except RecordingError as error:
            self._is_eager = True
            where = users_line(traceback.extract_tb(error.__traceback__))
            warn(f"The function {self.__name__!r} runs eagerly, line by line in Python: {error}{where}")
        return step


def _as_data(value):
    return ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value


def _is_data(value):
    return isinstance(value, Tensor) and not isinstance(value, Variable)


def _data_of(given):
    found = []
    mapped(lambda value: found.append(value) if _is_data(value) else None, given)
    return found


def _signature(value):
    """The signature of an argument, or of a tree of arguments: see Function."""
    if isinstance(value, dict):
        return tuple((name, _signature(part)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(_signature, value))
    if _is_data(value):
        return value.shape, value.dtype
    if isinstance(value, (bool, int, float, str, bytes, type(None))):
        return type(value), value
    return id(value)


def _kept(value):
    """A copy of a result, because later replays overwrite the result."""
    if isinstance(value, Pending):
        return value.read()
    return as_tensor(value._data.copy()) if _is_data(value) else value
