"""The graph of a model: symbols, and the calls that make them. A Sequential is the graph of a chain.

A layer or an operation that is given a Symbol computes nothing. It finds out what it would return, records a Call, and
returns symbols for that. A Graph puts the calls between its inputs and its outputs in order, and runs them.
"""

import collections
import functools
import itertools

import numpy as np

from minigrad import ops
from minigrad.names import auto_name, snake_case
from minigrad.program import RecordingError, trace
from minigrad.tensor import SymbolMet, Tensor, as_tensor, no_grad
from minigrad.trees import leaves, mapped

_dtype_name = functools.cache(lambda dtype: np.dtype(dtype).name)  # which NumPy puts together anew each time


class Symbol:
    """What an input will be or a call will return: a shape, a dtype and a name. Keras calls it KerasTensor.

    Args:
        shape: a tuple of lengths; None stands for any, as for the number of rows in front.
        dtype: the name of a dtype.
        call: the Call that returns it, and `place`, which of the results it is.
    """

    __array_ufunc__ = None  # so that `array * symbol` asks the symbol
    __slots__ = ("__weakref__", "_keras_mask", "call", "dtype", "name", "place", "shape")

    def __init__(self, shape, dtype="float32", name=None, call=None, place=0, **keras):
        self.shape, self.dtype = tuple(shape), _dtype_name(dtype)
        self.name = auto_name("keras_tensor") if name is None else name
        self.call, self.place, self._keras_mask = call, place, None

    @property
    def ndim(self):
        """The number of axes."""
        return len(self.shape)

    def record(self, function, args, kwargs):
        """What an operation returns that was given this symbol."""
        return record(Operation(function), args, kwargs)

    def __array__(self, dtype=None, copy=None):
        raise SymbolMet(self)

    def _has_no_value(self, *_):
        raise TypeError(
            f"{self!r} has no value: it stands for what a layer will be given or will return. Compute with layers and "
            "minigrad.ops, make a Model(inputs, outputs) of it, and call the model with data."
        )

    __bool__ = __int__ = __float__ = __iter__ = __len__ = _has_no_value

    def __repr__(self):
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


# The dtype of a symbol, if it is one of integers -> that of the tensors in its place.
HELD = {f"{sign}int{bits}": "int64" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def is_keras_tensor(value):
    """Whether `value` is a Symbol: what `Input`, or a layer called on it, has returned."""
    return isinstance(value, Symbol)


_BINARY = {
    "add": ops.add, "sub": ops.subtract, "mul": ops.multiply, "truediv": ops.divide, "pow": ops.power,
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


class Operation:
    """A function of `minigrad.ops` in a graph, under a name of its own."""

    def __init__(self, function, name=None):
        self.function = function
        self.name = name or auto_name(snake_case(function.__name__))

    @property
    def _class_name(self):
        return "".join(word.capitalize() for word in self.function.__name__.split("_"))

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def __repr__(self):
        return f"<Operation {self.name}>"


class Call:
    """One call of a layer or an operation: what it is given, a tree with symbols, and the symbols that it returns."""

    def __init__(self, function, args=(), kwargs=None):
        self.function, self.args, self.kwargs = function, args, kwargs or {}
        self.inputs = [leaf for leaf in results((self.args, self.kwargs)) if isinstance(leaf, Symbol)]
        self.outputs = None

    @property
    def is_simple(self):
        """Whether it is given one symbol and nothing else, and returns one."""
        return len(self.args) == len(self.inputs) == 1 and not self.kwargs and isinstance(self.outputs, Symbol)


# ------------------------------------------------------------------------------------------------------- trees


def results(tree):
    """The leaves in Keras' order, by which files count the results of calls: dicts go by their sorted keys."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    return [leaf for part in tree for leaf in results(part)] if isinstance(tree, (list, tuple)) else [tree]


def has_symbols(*trees):
    """Whether there is a symbol among the leaves."""
    return any(isinstance(leaf, Symbol) for leaf in leaves(trees))


def only_one(given, what, owner):
    """What is given for one input: itself, or the only element of a list or a dict."""
    if isinstance(given, dict) or (isinstance(given, (list, tuple)) and hasattr(given[0] if given else 0, "shape")):
        values = list(given.values()) if isinstance(given, dict) else given
        if len(values) != 1:
            raise ValueError(f"{owner} has one input, {what!r}; got {len(values)}.")
        return values[0]
    return given


def flat_like(symbols, given, owner):
    """What is given for a list or dict of inputs, a list in their order. A dict may name the inputs of a list."""
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
    """Write down a call with symbols, and return the symbols of its results.

    `results` is a tree of Results; by default it is what `traced` finds out.
    """
    call = Call(function, args, kwargs)
    results = traced(function, args, kwargs) if results is None else results
    places = itertools.count()
    call.outputs = mapped(lambda one: Symbol(one.shape, one.dtype, None, call, next(places)), results)
    return call.outputs


class Result:
    """The shape and the dtype of what a call returns."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)


def traced(function, args, kwargs):
    """What a function returns that is given symbols, a tree of Results. It is called, but no number is computed.

    Where symbols have axes of any length, it is called twice, with two lengths: an axis of the result that changes is
    one of any length, too.
    """
    few = _results(function, args, kwargs, 0)
    if not any(None in leaf.shape for leaf in leaves((args, kwargs)) if isinstance(leaf, Symbol)):
        return few
    many = iter(leaves(_results(function, args, kwargs, 1)))

    def merged(one):
        lengths = zip(one.shape, next(many).shape, strict=True)
        return Result([a if a == b else None for a, b in lengths], one.dtype)

    return mapped(merged, few)


def _results(function, args, kwargs, more):
    """The Results of a call with made-up numbers. Axes of any length have 2, 5, 8 ... of them, and `more`."""

    def made_up(leaf):
        if not isinstance(leaf, Symbol):
            return leaf
        shape = [2 + 3 * axis + more if n is None else n for axis, n in enumerate(leaf.shape)]
        return as_tensor(np.zeros(shape), HELD.get(leaf.dtype, leaf.dtype))

    found = []

    def run():
        with no_grad():
            found[:] = [function(*mapped(made_up, list(args)), **mapped(made_up, kwargs))]

    try:
        trace(run)  # nothing is computed
    except RecordingError:
        run()  # it reads values: let it have some
    return mapped(lambda t: Result(getattr(t, "shape", ()), getattr(t, "dtype", np.float64)), found[0])


# ------------------------------------------------------------------------------------------------------- graphs


class Graph:
    """The calls between `inputs` and `outputs`, trees of symbols, in the order in which they can run.

    The order is Keras', and files name layers by it: functions whose outputs lie farthest from the outputs of the graph
    come first; of those that lie equally far, the one that a walk back from the outputs meets first.

    Raises:
        ValueError: an output that does not depend on the inputs alone, or two layers of one name.
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
        for double, times in collections.Counter(function.name for function in self.functions).most_common(1):
            if times > 1:
                raise ValueError(f"Model {name!r} has several layers named {double!r}; all names must differ.")

    @property
    def layers(self):
        """The layers among the functions, in order."""
        return [function for function in self.functions if not isinstance(function, Operation)]

    @property
    def is_chain(self):
        """Whether each call is given what the one before returns, and nothing else."""
        before = leaves(self.inputs)
        if len(before) > 1 or len(self.functions) < len(self.calls):
            return False
        for call in self.calls:
            if call.inputs and (len(call.inputs) > 1 or all(call.inputs[0] is not one for one in before)):
                return False
            before = leaves(call.outputs)
        return True

    def calls_by_function(self):
        """function -> its calls in this graph, in the order in which they were made."""
        found = {}
        for call in self.calls:
            found.setdefault(call.function, []).append(call)
        for function, calls in found.items():
            made = {id(call): i for i, call in enumerate(getattr(function, "_calls", ()))}
            calls.sort(key=lambda call: made.get(id(call), 0))
        return found

    def places(self):
        """id of a symbol -> where it comes from, as Keras says it: [name of a function, which call, which result]."""
        found = {id(symbol): [symbol.name, 0, 0] for symbol in leaves(self.inputs)}
        for function, calls in self.calls_by_function().items():
            for n, call in enumerate(calls):
                found |= {id(symbol): [function.name, n, i] for i, symbol in enumerate(results(call.outputs))}
        return found

    def consumers(self):
        """id of a symbol -> the calls that it goes into, with None for each output of the graph that it is."""
        found = {}
        for call in self.calls:
            for symbol in call.inputs:
                found.setdefault(id(symbol), []).append(call)
        for symbol in leaves(self.outputs):
            found.setdefault(id(symbol), []).append(None)
        return found


class Schedule:
    """How a graph runs: its calls one after the other, with numbered values in the place of its symbols.

    `calls` may be other ones than those of the graph, between the same symbols: see `layers.fusion`.
    """

    def __init__(self, graph, calls):
        number = {id(symbol): i for i, symbol in enumerate(leaves(graph.inputs))}
        self.steps = []
        for call in calls:
            if call.inputs:
                for symbol in leaves(call.outputs):
                    number[id(symbol)] = len(number)
                self.steps.append(_Step(call, number))
        self.outputs = mapped(lambda symbol: number[id(symbol)], graph.outputs)

    def run(self, inputs, training):
        """The outputs for a tree of tensors in the place of the graph's inputs."""
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
    """Where a value stands, in the arguments of a step."""


class _Step:
    """A call that is carried out with numbered values: it takes some of them, and adds its results."""

    def __init__(self, call, number):
        self.function = call.function
        self.takes_training = not isinstance(self.function, Operation) and "training" not in call.kwargs
        self.targets = [number[id(symbol)] for symbol in leaves(call.outputs)]
        self.args, self.kwargs = mapped(
            lambda leaf: _Place(number[id(leaf)]) if isinstance(leaf, Symbol) else leaf, (list(call.args), call.kwargs)
        )
        # Of the usual call, which is given one value: a Schedule runs it by itself, since that is quicker.
        self.source = self.args[0] if call.is_simple and type(self.args[0]) is _Place else None
        self.target = self.targets[0]

    def run(self, values, training):
        more = {"training": training} if self.takes_training else {}
        args, kwargs = mapped(lambda leaf: values[leaf] if type(leaf) is _Place else leaf, (self.args, self.kwargs))
        values.update(zip(self.targets, leaves(self.function(*args, **kwargs, **more)), strict=True))


def _ordered(inputs, outputs, name):
    """The calls that lead from the inputs to the outputs, those of Inputs that are not used included."""
    given, met = {id(symbol) for symbol in inputs}, {}  # met: id of a function -> how many were met before it
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
    depth, farthest = {}, {}  # steps to an output: of a call, and of a function over all its calls
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
