"""Templates: the next network of the same structure takes the launches of the one before, on memory of its own.

Whoever cross-validates a setting trains the same network several times. Its steps are the same launches each time, on
other memory, so they need not be recorded again. That is done only where all that a step depends on can be told: for
minigrad's own layers, losses, metrics and optimizers.
"""

import contextlib
import copy
import sys
import types

import numpy as np

from minigrad import config
from minigrad.callbacks import History
from minigrad.checks import is_own
from minigrad.configurable import Configurable
from minigrad.exchange import world
from minigrad.graph import Call, Graph, Operation, Symbol
from minigrad.initializers import Initializer
from minigrad.layers.arguments import InputSpec
from minigrad.layers.module import _Found
from minigrad.optimizers.memory import Layout
from minigrad.program import LINE, Memory, Program, address, aligned, memory_of
from minigrad.program.replaying import HEAD, PER_OPERAND, replay_entry
from minigrad.tensor import Tensor, Variable, emit
from minigrad.trainer.objective import Head, Objective
from minigrad.trainer.pool import LITTLE, Pool
from minigrad.trainer.snapshot import Snapshot, current

_VALUES = {type(None), bool, int, float, str, np.dtype}
_NO_MATTER = {"name", "label", "loss_name", "history", "fitting", "_found", "_losses", "_launches", "_updates"}
_OPAQUE = Pool, Snapshot, _Found, Layout, History, Initializer  # on which no launch of a step depends
STRUCTURES, STEPS = 64, 16  # whose templates are kept, and how many for each; a template takes some kilobytes

_kept = {}  # what was told of a structure -> its templates, the structure that was last used at the end


def _look(owner, homes=()):
    """Look at all that a step of a model calls and reads.

    Returns whether all of it is minigrad's own; and a tuple that is equal for another model if its steps take the same
    launches, or None if that can't be told. `homes` are the ids of arrays whose values no recording depends on.
    """
    told, waiting, numbers, is_told = [], [owner], {}, True
    while waiting:
        one = waiting.pop()
        kind, new = type(one), len(numbers)
        number = numbers.setdefault(id(one), new)
        told += kind, number
        if number != new or isinstance(one, _OPAQUE):
            continue
        if kind is dict:
            parts = one.items()
        elif kind in (list, tuple):
            parts = enumerate(one)
        elif kind is Variable:
            told += one.shape, one.dtype, one.requires_grad, one._gradient is None
            parts = ("regularizer", one.regularizer), ("constraint", one.constraint)
        elif kind is Symbol:
            parts = ("shape", one.shape), ("dtype", one.dtype), ("place", one.place), ("call", one.call)
        elif kind is Tensor:
            parts = ("data", one._data), ("grad", one._grad), ("node", one._node), ("logits", one._logits)
            parts += (("mask", one._keras_mask),)
        elif kind is np.ndarray:
            is_home = id(one) in homes
            is_told = is_told and (is_home or _is_constant(one))
            told += one.shape, one.dtype, None if is_home or not is_told else one.tobytes()
            continue
        elif kind is types.FunctionType:
            if not is_own(one) or getattr(sys.modules[one.__module__], one.__name__, None) is not one:
                return False, None
            told.append(one)
            continue
        elif not is_own(kind) or not is_own(getattr(kind, "call", kind)):
            return False, None
        elif isinstance(one, (Configurable, Objective, Head, Graph, Call, Operation, InputSpec)):
            parts = [(name, value) for name, value in vars(one).items() if name not in _NO_MATTER]
        else:
            is_told = False
            continue
        for name, value in parts:
            value_kind = type(value)
            if value_kind not in _VALUES:
                told.append(name)
                waiting.append(value)
            else:  # 1, 1.0 and True are equal, and so are 0.0 and -0.0
                told += name, value_kind, repr(value) if value_kind is float else value
    return True, tuple(told) if is_told else None


def _is_constant(array):
    """Whether an array can be a constant whose numbers tell what it is."""
    return array.nbytes <= 256 or (not array.flags.writeable and array.nbytes <= 2**14)


def look(model, key, arrays, batch):
    """What can be told of a step of a model before it is recorded.

    Args:
        key: what kind of step it is, and of how many rows.
        arrays: those that it shares with the model and the optimizer; batch: the arrays of the data.

    Returns:
        Whether all that it calls is minigrad's own; the templates of models of this structure, a dict, or None; and the
        key of its template.
    """
    snapshot, homes = current(model), set(map(id, arrays))
    if snapshot.templates is None:
        is_own_code, told = _look(model, homes)
        snapshot.templates = is_own_code, None if told is None else _templates_of(told)
    is_own_code, found = snapshot.templates
    # These can be changed in place, and no structure tells it.
    heads = [(head.loss, head.weight, head.plain, head.weighted) for head in model._objective.heads]
    is_own_goal, goal = _look([heads, [(v.regularizer, v.constraint) for v in model.weights]], homes)
    if goal is None or world.size > 1:
        found = None
    shapes = tuple([(a.shape, a.dtype) for a in arrays]), tuple([a.dtype for a in batch])
    return is_own_code and is_own_goal, found, (key, shapes, goal, config.floatx(), config.epsilon())


def _templates_of(told):
    found = _kept.pop(told, None)  # no lock: if two threads come here, templates are lost at most
    _kept[told] = found = {} if found is None else found
    for oldest in list(_kept)[:-STRUCTURES]:
        _kept.pop(oldest, None)
    return found


class Template:
    """The launches of a recorded step, whose operands are places in arrays that each model has.

    Args:
        step: the recorded Step.
        arrays: those that it shares with the model, the optimizer and the data, in an order that the structure tells.
        is_training: whether it has computed gradients.

    Raises:
        LookupError: an operand has another origin, or the result another form.
    """

    def __init__(self, step, arrays, is_training):
        self.is_training, self.nbytes = is_training, step.nbytes
        self._ranges = [(address(a), address(a) + a.nbytes, a.shape, number) for number, a in enumerate(arrays)]
        self._size, self._begins, self._numbers, self._places, self._own = 0, {}, {}, [], len(arrays)
        program = step.program
        self._launches = [
            (kernel, [self._number(operand) for operand in operands], None if flag is None else self._number(flag))
            for kernel, operands, flag in program.instructions
        ]
        self._y, self._logits = None, None
        if step.result[0] is not None:
            y, mask = step.result
            if type(y) is not Tensor or mask is not None:
                raise LookupError
            logits, only = y._logits or (None, None)
            self._y = self._number(y._data)
            self._logits = None if logits is None else (self._number(logits._data), only)
        del self._ranges, self._begins, self._numbers
        self.plan, self.table, self.inputs = None, program._table, (program._places, program._least)
        if len(program.plan.rows) == len(self._launches):  # else, launches are divided
            self.plan = copy.copy(program.plan)
            self.plan.rows = None
        cells = []
        for i, (_, numbers, flag) in enumerate(self._launches):
            begin = i * self.table.shape[1]
            cells += [(begin + HEAD + PER_OPERAND * k, number) for k, number in enumerate(numbers)]
            cells += [] if flag is None else [(begin + 1, flag)]
        self._cells, self._of_cells = np.array(cells, np.int64).reshape(-1, 2).T
        # Constants are at the same address for all: that is a place in an array that begins at 0.
        places = [one[:2] if type(one) is tuple else (self._own + 1, address(one)) for one in self._places]
        self._arrays, self._first = np.array(places, np.int64).reshape(-1, 2).T

    def _number(self, operand):
        """The number of the place of an operand: (number of its array, its first byte there, shape, dtype)."""
        first, memory = address(operand), memory_of(operand)
        key = first, operand.shape, operand.dtype
        if key in self._numbers:
            return self._numbers[key]
        if memory is not None:  # a temporary: all of them are parts of one array
            if id(memory) not in self._begins:
                self._begins[id(memory)] = self._size
                self._size += -(-(memory.nbytes - LINE) // LINE) * LINE
            skipped = -address(memory) % LINE
            begin = self._begins[id(memory)] + first - address(memory) - skipped
            place = self._own, begin, operand.shape, operand.dtype
        else:
            place = self._shared(operand, first)
        self._numbers[key] = len(self._places)
        self._places.append(place)
        return self._numbers[key]

    def _shared(self, operand, first):
        """The place of an operand that is no temporary, or a constant itself."""
        for begin, end, shape, number in self._ranges if operand.size else ():
            if begin <= first and first + operand.nbytes <= end:
                is_whole = first == begin and operand.shape == shape
                return number, first - begin, None if is_whole else operand.shape, operand.dtype
        if operand.size and (operand.flags.writeable or not _is_constant(operand)):
            raise LookupError
        return operand

    def fill(self, step, model, arrays, title, names):
        """Give a Step its Program, on the arrays of a model, and what the step has found."""
        whole = *arrays, aligned((self._size,), np.uint8, Memory)
        made = [_part(whole[one[0]], *one[1:]) if type(one) is tuple else one for one in self._places]
        instructions = [
            (kernel, tuple([made[number] for number in numbers]), None if flag is None else made[flag])
            for kernel, numbers, flag in self._launches
        ]
        table, starts = self.table.copy(), np.array([*map(address, whole), 0], np.int64)
        table.ravel()[self._cells] = (starts[self._arrays] + self._first)[self._of_cells]
        step.program = _Twin(self, instructions, table, step.inputs, names, title)
        step.nbytes, step.run, step.inputs = self.nbytes, None, None
        for v in model.trainable_variables if self.is_training else ():
            v._grad, v._parts = v._gradient, [None]
        if self._y is None:
            step.result[:] = [None]
        else:
            y = emit(made[self._y])
            y._logits = None if self._logits is None else (emit(made[self._logits[0]]), self._logits[1])
            step.result[:] = y, None


class _Twin(Program):
    """A Program that was not recorded: its `instructions` and its table are those of a Template on other memory."""

    def __init__(self, template, instructions, table, inputs, names, title):
        self.title, self.inputs, self._names, self.instructions = title, inputs, names, instructions
        self._missing, self._before, self._run = set(), {}, replay_entry()
        self._places, self._least = template.inputs
        if template.plan is None:
            self._lay_out()
            return
        self.plan, self._table = copy.copy(template.plan), table
        self.plan.rows = list(instructions)
        for name, array in inputs.items():
            for i, k in self._places[name]:
                table[i, HEAD + PER_OPERAND * k + 1] = len(array)


def _part(whole, first, shape, dtype):
    return whole if shape is None else np.ndarray(shape, dtype, whole, first)


def keep(templates, key, model, step, arrays):
    """Keep a template of a step that was recorded, if all its operands are known, and all that it leaves behind."""
    is_training = key[0][0] in ("fit", "train")
    if (
        step.nbytes >= LITTLE
        or any(any(layer._losses.values()) for layer in model._all_layers())
        or (is_training and any(v._grad is not v._gradient for v in model.trainable_variables))
    ):
        return
    with contextlib.suppress(LookupError):
        template = Template(step, arrays, is_training)
        if len(templates) >= STEPS:
            templates.clear()
        templates[key] = template
