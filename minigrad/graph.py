"""The graph of a model: symbols, and the calls that make them. A Sequential is the graph of a chain.

A layer or an operation that is given a Symbol computes nothing. It finds out the shape and dtype of its result, records
a Call, and returns symbols for the result. A Graph orders the calls between its inputs and its outputs.
"""

import collections
import functools
import itertools

import numpy as np

from minigrad import ops
from minigrad.names import auto_name, snake_case
from minigrad.program import RecordingError, trace
from minigrad.tensor import SymbolMet, Tensor, as_tensor, no_grad
from minigrad.texts import strings
from minigrad.trees import leaves, mapped

TEXTS = "string"  # the dtype of symbols that stand for texts, which no tensor holds


@functools.cache  # NumPy would compose the name each time
def dtype_name(dtype):
    """The name of a dtype: "string" for texts."""
    return TEXTS if dtype == TEXTS else np.dtype(dtype).name


class Symbol:
    """A shape, a dtype and a name, in place of an input or of a result of a call. Keras calls it KerasTensor.

    Args:
        shape: a tuple of lengths; None is any length, as of the first axis, the rows.
        dtype: the name of a dtype.
        call: the Call that returns it; `place` is its number among the results of that call.
    """

    is_of_graph = True  # whether it may be part of a model
    __array_ufunc__ = None  # so that `array * symbol` calls Symbol.__rmul__
    __slots__ = ("__weakref__", "_keras_mask", "call", "dtype", "name", "place", "shape")

    def __init__(self, shape, dtype="float32", name=None, call=None, place=0, **keras):
        self.shape, self.dtype = tuple(shape), dtype_name(dtype)
        self.name = auto_name("keras_tensor") if name is None else name
        self.call, self.place, self._keras_mask = call, place, None

    @property
    def ndim(self):
        """The number of axes."""
        return len(self.shape)

    def record(self, function, args, kwargs):
        """Record a call of an operation that was given this symbol, and return the symbols of its results."""
        return record(Operation(function), args, kwargs)

    def __array__(self, dtype=None, copy=None):
        raise SymbolMet(self)

    def _has_no_value(self, *_):
        raise TypeError(
            f"{self!r} has no value: it stands for what a layer will be given or will return. Compute with layers and "
            "minigrad.ops, make a Model(inputs, outputs) of it, and call the model with data."
        )

    __bool__ = __int__ = __index__ = __float__ = __iter__ = __len__ = numpy = _has_no_value

    def __repr__(self):
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


Symbol.__name__ = "KerasTensor"  # in messages of NumPy and of Python

# Integer dtype of a symbol -> the dtype of the tensors in its place.
HELD = {f"{sign}int{bits}": "int64" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def is_keras_tensor(value):
    """Whether `value` is a Symbol, as `Input` and layers called with symbols return."""
    return isinstance(value, Symbol)


_BINARY = {
    "add": ops.add, "sub": ops.subtract, "mul": ops.multiply, "truediv": ops.true_divide, "pow": ops.power,
    "matmul": ops.matmul, "floordiv": ops.floor_divide, "mod": ops.mod, "and": ops.logical_and, "or": ops.logical_or,
    "xor": ops.logical_xor,
}  # fmt: skip
_OTHER = {
    "lt": ops.less, "le": ops.less_equal, "gt": ops.greater, "ge": ops.greater_equal, "ne": ops.not_equal,
    "neg": ops.negative, "abs": ops.absolute, "invert": ops.logical_not, "getitem": ops.get_item,
}  # fmt: skip
for _name, _op in {**_BINARY, **_OTHER}.items():
    setattr(Symbol, f"__{_name}__", _op)
for _name, _op in _BINARY.items():
    setattr(Symbol, f"__r{_name}__", lambda self, other, _op=_op: _op(other, self))


_CLASSES = {  # functions that are not in CamelCase what Keras calls their classes
    "allclose": "AllClose", "batch_normalization": "BatchNorm", "isin": "IsIn", "layer_normalization": "LayerNorm",
    "rgb_to_grayscale": "RGBToGrayscale", "rms_normalization": "RMSNorm", "searchsorted": "SearchSorted",
}  # fmt: skip


class Operation:
    """A function of `minigrad.ops` in a graph, under a name of its own."""

    def __init__(self, function, name=None):
        self.function = function
        self.name = name or auto_name(snake_case(self._class_name))

    @property
    def _class_name(self):
        name = self.function.__name__
        return _CLASSES.get(name) or "".join(word.capitalize() for word in name.split("_"))

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def __repr__(self):
        return f"<Operation {self.name}>"


class Call:
    """One call of a layer or an operation: its arguments, trees with symbols, and the symbols that it returns."""

    def __init__(self, function, args=(), kwargs=None):
        self.function, self.args, self.kwargs = function, args, kwargs or {}
        self.inputs = [leaf for leaf in results((self.args, self.kwargs)) if isinstance(leaf, Symbol)]
        self.outputs = None

    @property
    def is_simple(self):
        """Whether its only argument is one symbol, and its result is one symbol."""
        return len(self.args) == len(self.inputs) == 1 and not self.kwargs and isinstance(self.outputs, Symbol)


# ------------------------------------------------------------------------------------------------------- trees


def results(tree):
    """The leaves in Keras' order, in which files number the results of calls: dicts are ordered by their keys."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    return [leaf for part in tree for leaf in results(part)] if isinstance(tree, (list, tuple)) else [tree]


def has_symbols(*trees):
    """Whether there is a symbol among the leaves."""
    return any(isinstance(leaf, Symbol) for leaf in leaves(trees))


def only_one(given, what, owner):
    """The value for the only input: `given` itself, or the only element if it is a list or a dict."""
    if isinstance(given, dict) or (isinstance(given, (list, tuple)) and hasattr(given[0] if given else 0, "shape")):
        values = list(given.values()) if isinstance(given, dict) else given
        if len(values) != 1:
            raise ValueError(f"{owner} has one input, {what!r}; got {len(values)}.")
        return values[0]
    return given


def flat_like(symbols, given, owner):
    """The values for a list or dict of inputs, in the order of the inputs. A dict may name the inputs of a list."""
    flat = leaves(symbols)
    names = list(symbols) if isinstance(symbols, dict) else [symbol.name for symbol in flat]
    if isinstance(given, dict):
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"{owner} has inputs named {names}; got a dict with {list(given)}: {missing} are missing.")
        return [given[name] for name in names]
    if not isinstance(given, (list, tuple)) or len(given) != len(flat):
        count = len(given) if isinstance(given, (list, tuple)) else 1
        raise ValueError(f"{owner} has {len(flat)} inputs, {names}; got {count}: pass a list or a dict of them.")
    return list(given)


# --------------------------------------------------------------------------------------------------- recording


def record(function, args, kwargs, results=None):
    """Record a call with symbols, and return the symbols of its results.

    `results` is a tree of Results; by default `traced` finds it out.
    """
    call = Call(function, args, kwargs)
    if not all(symbol.is_of_graph for symbol in call.inputs):
        raise TypeError(f"{function!r} can't be recorded with {call.inputs}: they are not those of a model.")
    results = traced(function, args, kwargs) if results is None else results
    places = itertools.count()
    call.outputs = mapped(lambda one: Symbol(one.shape, one.dtype, None, call, next(places)), results)
    return call.outputs


class Result:
    """The shape and the dtype of one result of a call."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(shape), dtype if dtype == TEXTS else np.dtype(dtype)


def traced(function, args, kwargs):
    """The results of a function with symbols among its arguments, a tree of Results. No number is computed.

    If symbols have axes of any length, the function is called twice, with two lengths. An axis of the result whose
    length changes is an axis of any length, too.
    """
    few = _results(function, args, kwargs, 0)
    if not any(None in leaf.shape for leaf in leaves((args, kwargs)) if isinstance(leaf, Symbol)):
        return few
    many = iter(leaves(_results(function, args, kwargs, 1)))
    return mapped(lambda one: Result(merged(one.shape, next(many).shape), one.dtype), few)


def merged(shape, other):
    """One shape for two: their lengths, and None where these differ."""
    return tuple(a if a == b else None for a, b in zip(shape, other, strict=True))


def _results(function, args, kwargs, more):
    """The Results of a call with zeros in place of symbols. Axes of any length get lengths 2, 5, 8 ... plus `more`."""

    def made_up(leaf):
        if not isinstance(leaf, Symbol):
            return leaf
        shape = [2 + 3 * axis + more if n is None else n for axis, n in enumerate(leaf.shape)]
        if leaf.dtype == TEXTS:
            return strings(np.full(shape, " ".join("words"[: 4 + more]), object))
        return as_tensor(np.zeros(shape), HELD.get(leaf.dtype, leaf.dtype))

    found = []

    def run():
        with no_grad():
            found[:] = [function(*mapped(made_up, list(args)), **mapped(made_up, kwargs))]

    try:
        trace(run)  # nothing is computed
    except RecordingError:
        run()  # it reads values, so they are computed
    if found[0] is None:
        raise ValueError(f"{getattr(function, '_title', function)} returned None: is a `return` missing in its call?")
    return mapped(lambda t: Result(getattr(t, "shape", ()), getattr(t, "dtype", np.float64)), found[0])


# ------------------------------------------------------------------------------------------------------- graphs


class Graph:
    """The calls between `inputs` and `outputs`, trees of symbols, in the order in which they can run.

    The order is Keras' one, on which names in files depend: the functions farthest from the outputs of the graph come
    first; of those at the same distance, the one that a walk back from the outputs meets first.

    Raises:
        ValueError: an output needs a symbol that is no input, or two layers have the same name.
    """

    def __init__(self, inputs, outputs, name="model"):
        for what, tree in (("inputs", inputs), ("outputs", outputs)):
            for leaf in leaves(tree):
                if not isinstance(leaf, Symbol):
                    raise ValueError(
                        f"The {what} of model {name!r} must be what keras.Input or a layer called on it has returned, "
                        f"or a list or dict of such; got {leaf!r} ({type(leaf).__name__})."
                    )
        self.inputs, self.outputs = inputs, outputs
        self.calls = _ordered(results(inputs), results(outputs), name)
        self.functions = list(dict.fromkeys(call.function for call in self.calls))
        names = [function.name for function in self.functions]
        if len(set(names)) < len(names):
            double = collections.Counter(names).most_common(1)[0][0]
            raise ValueError(f"Model {name!r} has several layers named {double!r}; all names must differ.")

    @property
    def layers(self):
        """The layers among the functions, in order."""
        return [function for function in self.functions if not isinstance(function, Operation)]

    @property
    def is_chain(self):
        """Whether each call gets the result of the call before, and nothing else."""
        before = leaves(self.inputs)
        if len(before) > 1 or len(self.functions) < len(self.calls):
            return False
        for call in self.calls:
            if call.inputs and (len(call.inputs) > 1 or all(call.inputs[0] is not one for one in before)):
                return False
            before = leaves(call.outputs)
        return True

    def calls_by_function(self):
        """function -> its calls in this graph, in the order in which they were recorded."""
        found = {}
        for call in self.calls:
            found.setdefault(call.function, []).append(call)
        for function, calls in found.items():
            made = {id(call): i for i, call in enumerate(getattr(function, "_calls", ()))}
            calls.sort(key=lambda call: made.get(id(call), 0))
        return found

    def places(self):
        """id of a symbol -> its origin as in Keras' files: [name of a function, number of the call, of the result]."""
        found = {id(symbol): [symbol.name, 0, 0] for symbol in leaves(self.inputs)}
        for function, calls in self.calls_by_function().items():
            for n, call in enumerate(calls):
                found |= {id(symbol): [function.name, n, i] for i, symbol in enumerate(results(call.outputs))}
        return found

    def consumers(self):
        """id of a symbol -> the calls that use it, and None for each time it is an output of the graph."""
        found = {}
        for call in self.calls:
            for symbol in call.inputs:
                found.setdefault(id(symbol), []).append(call)
        for symbol in leaves(self.outputs):
            found.setdefault(id(symbol), []).append(None)
        return found


class Schedule:
    """Runs calls one after the other, with numbered values in the place of symbols.

    Args:
        inputs, outputs: trees of symbols; calls: what leads from the ones to the others, in order. They need not be
            those of a graph: see `layers.fusion` and `preparation`.
    """

    def __init__(self, inputs, outputs, calls):
        number = {id(symbol): i for i, symbol in enumerate(leaves(inputs))}
        self.steps = []
        for call in calls:
            if call.inputs:
                for symbol in leaves(call.outputs):
                    number[id(symbol)] = len(number)
                self.steps.append(_Step(call, number))
        self.outputs = mapped(lambda symbol: number[id(symbol)], outputs)

    def run(self, inputs, training):
        """The outputs of the graph for a tree of tensors as its inputs."""
        values = {0: inputs} if type(inputs) is Tensor else dict(enumerate(leaves(inputs)))
        for step in self.steps:
            if step.source is None:
                step.run(values, training)
            elif step.takes_training:
                values[step.target] = step.function(values[step.source], training=training)
            else:
                values[step.target] = step.function(values[step.source])
        return values[self.outputs] if type(self.outputs) is int else mapped(values.__getitem__, self.outputs)


class _Place(int):
    """The number of a value, as an argument of a step."""


class _Step:
    """One call of a Schedule: it takes some of the numbered values, and adds its results to them."""

    def __init__(self, call, number):
        self.function = call.function
        self.takes_training = not isinstance(self.function, Operation) and "training" not in call.kwargs
        self.targets = [number[id(symbol)] for symbol in leaves(call.outputs)]
        self.args, self.kwargs = mapped(
            lambda leaf: _Place(number[id(leaf)]) if isinstance(leaf, Symbol) else leaf, (list(call.args), call.kwargs)
        )
        # For the usual call, which takes a single value: the Schedule runs it without `run`, since that is faster.
        self.source = self.args[0] if call.is_simple and type(self.args[0]) is _Place else None
        self.target = self.targets[0]

    def run(self, values, training):
        more = {"training": training} if self.takes_training else {}
        args, kwargs = mapped(lambda leaf: values[leaf] if type(leaf) is _Place else leaf, (self.args, self.kwargs))
        values.update(zip(self.targets, leaves(self.function(*args, **kwargs, **more)), strict=True))


def _ordered(inputs, outputs, name):
    """The calls that lead from the inputs to the outputs, and the calls of unused Inputs."""
    given, met = {id(symbol) for symbol in inputs}, {}  # met: id of a function -> how many were met before
    done, order = set(), []  # order: each call after those that it needs
    stack = [(symbol, False) for symbol in reversed(outputs)]
    while stack:  # no recursion: depth is no limit
        symbol, are_inputs_done = stack.pop()
        call, is_given = symbol.call, id(symbol) in given
        if not is_given and (call is None or not call.inputs):
            raise ValueError(
                f"The graph of model {name!r} is not connected: its outputs need {symbol!r}, which is none of its "
                f"inputs {[one.name for one in inputs]}."
            )
        if call is None or id(call) in done or (is_given and call.inputs):
            continue
        met.setdefault(id(call.function), len(met))
        if are_inputs_done:
            done.add(id(call))
            order.append(call)
        else:
            stack.append((symbol, True))
            stack += [(one, False) for one in reversed(call.inputs)]
    depth, farthest = {}, {}  # distance from an output: of a call, and the greatest one of a function's calls
    for call in reversed(order):
        here = max(depth.get(id(call), 0), farthest.get(id(call.function), 0))
        depth[id(call)] = farthest[id(call.function)] = here
        for one in call.inputs:
            depth[id(one.call)] = max(depth.get(id(one.call), 0), here + 1)
    for one in inputs:
        if one.call is not None and not one.call.inputs and id(one.call) not in done:  # it is not used
            order.append(one.call)
            farthest[id(one.call.function)], met[id(one.call.function)] = 0, -1
    return sorted(order, key=lambda call: (-depth.get(id(call), 0), met[id(call.function)]))
