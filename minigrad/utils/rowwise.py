"""A function of one element, computed for the rows of a batch at once, where that is certain to give the same.

The function is called once with Rows in place of an element. What it computes of them is written down, if there is a
rule which tells how to compute it for a batch. Whatever else it does, such as reading a value, makes it uncertain.
`is_rowwise` asks the same of a function of a batch: whether each row of its results depends on the same row only.
"""

import inspect
import itertools
import math
import random

import numpy as np

from minigrad import config, ops
from minigrad.graph import Symbol, traced
from minigrad.tensor import Tensor, Variable
from minigrad.texts import StringArray
from minigrad.trees import leaves, mapped
from minigrad.utils.elements import as_array, called


class Uncertain(Exception):
    """The function does something that can't be done for a batch."""


class Row(Symbol):
    """A symbol in place of a row of a batch.

    Args:
        step: the _Step that computes it; None for what the function is given.
    """

    is_of_graph = False
    __slots__ = ("step",)

    def __init__(self, shape, dtype, step=None, place=0):
        super().__init__(shape, dtype, "row", place=place)
        self.step = step

    def record(self, function, args, kwargs):
        """Write down a call of an operation, and return Rows for its results."""
        name = function.__name__
        rule, known = self.rules.get(name), [getattr(place, name, None) for place in (ops, ops.image)]
        if rule is None or function not in known or any(isinstance(one, Variable) for one in leaves((args, kwargs))):
            raise Uncertain
        step, places = _Step(rule, function, args, kwargs), itertools.count()
        return mapped(lambda one: type(self)(one.shape, one.dtype, step, next(places)), traced(function, args, kwargs))

    def value(self, known):
        """The tensor of all rows; `known` has those of some Rows and Steps, by their ids."""
        return known[id(self)] if self.step is None else self.step.results(known)[self.place]


class _Step:
    """A call of an operation on Rows."""

    def __init__(self, rule, function, args, kwargs):
        self.rule, self.function = rule, function
        self.given = inspect.signature(function).bind(*args, **kwargs)
        self.given.apply_defaults()
        self.change = rule(self.given.arguments)  # raises Uncertain if it can't be done with these arguments

    def results(self, known):
        """The results for all rows."""
        if id(self) not in known:
            value = lambda leaf: leaf.value(known) if isinstance(leaf, Row) else leaf
            found = inspect.BoundArguments(self.given.signature, self.change(value))
            known[id(self)] = leaves(self.function(*found.args, **found.kwargs))
        return known[id(self)]


# --------------------------------------------------------------------------------------------------------- rules
# A rule gets the arguments of an operation, by their names. It returns a function of `value`, which returns the
# arguments for a batch: `value(row)` is the tensor of all rows.


def _only_first(arguments):
    """The first argument, a Row; no other one may be one."""
    first, *others = arguments.values()
    if not isinstance(first, Row) or any(isinstance(one, Row) for one in leaves(others)):
        raise Uncertain
    return first


def _each(arguments):
    """Element by element: shorter shapes get axes of length 1 behind that of the rows."""
    rank = max(np.ndim(one) if not isinstance(one, Row) else one.ndim for one in arguments.values()
               if isinstance(one, (Row, Tensor, np.ndarray)))  # fmt: skip
    if any(isinstance(one, (list, tuple, dict)) for one in arguments.values()):
        raise Uncertain

    def change(value):
        def batch(one):
            x = value(one)
            lengths = (1,) * (rank - one.ndim) + one.shape if isinstance(one, Row) else ()
            return ops.reshape(x, (len(x), *lengths)) if isinstance(one, Row) and one.ndim < rank else x

        return {name: batch(one) for name, one in arguments.items()}

    return change


def _where(arguments):
    if any(one is None for one in arguments.values()):  # the places where it holds
        raise Uncertain
    return _each(arguments)


def _with(**changed):
    """A rule for operations of one Row: `changed` are functions of (row, value of the argument) for a batch."""

    def rule(arguments):
        row, (first, *_) = _only_first(arguments), arguments
        new = {name: change(row, arguments[name]) for name, change in changed.items()}
        return lambda value: {**arguments, **new, first: value(row)}

    return rule


def _axis(row, axis):
    if axis is None:
        return tuple(range(1, row.ndim + 1))
    if isinstance(axis, (tuple, list)):
        return tuple(_axis(row, one) for one in axis)
    return axis + 1 if axis >= 0 else axis


def _long_axes(row, axis):
    return tuple(i + 1 for i, n in enumerate(row.shape) if n == 1) if axis is None else _axis(row, axis)


def _known_axis(row, axis):
    if axis is None:
        raise Uncertain
    return _axis(row, axis)


def _key(row, key):
    key = key if isinstance(key, tuple) else (key,)
    if any(one is not None and one is not ... and type(one) not in (int, slice) for one in key):
        raise Uncertain
    return (slice(None), *key)


def _order(row, axes):
    return (0, *range(row.ndim, 0, -1)) if axes is None else (0, *(a % row.ndim + 1 for a in axes))


def _widths(row, widths):
    widths = np.asarray(widths)
    if widths.shape != (row.ndim, 2):
        raise Uncertain
    return np.concatenate([[[0, 0]], widths])


def _shape(arguments):
    row, (first, shape) = _only_first(arguments), arguments
    lengths = arguments[shape]
    lengths = (lengths,) if isinstance(lengths, int) else tuple(lengths)
    return lambda value: {first: (x := value(row)), shape: (len(x), *lengths)}


def _several(arguments):
    """Rows in a list, joined along an axis."""
    (first, rows), *_ = arguments.items()
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, Row) for row in rows):
        raise Uncertain
    axis = _axis(rows[0], arguments["axis"])
    return lambda value: {first: [value(row) for row in rows], "axis": axis}


def _picture(arguments):
    if _only_first(arguments).ndim != 3:
        raise Uncertain
    return _with()(arguments)


# --------------------------------------------------------------------------------------- rules of a whole batch
# Such a rule raises Uncertain unless each row of the result depends on the same row of the arguments only.


class _Whole(Row):
    """A symbol in place of a batch of any number of rows."""

    __slots__ = ()


def _alike(arguments):
    """Element by element: all batches have equally many axes, and nothing else has one of rows."""
    rank = next(one.ndim for one in arguments.values() if isinstance(one, Row))
    for one in arguments.values():
        shape = one.shape if isinstance(one, Row) else np.shape(one)
        is_apart = len(shape) == rank
        if not isinstance(one, Row):
            is_apart = len(shape) < rank or is_apart and shape[0] == 1
        if not is_apart or isinstance(one, (list, tuple, dict)):
            raise Uncertain


def _alike_where(arguments):
    _where(arguments)
    _alike(arguments)


def _behind(more=0, several=False):
    """Along another axis than that of the rows; the result has `more` axes than the argument."""

    def rule(arguments):
        first = next(iter(arguments.values())) if several else [_only_first(arguments)]
        if not isinstance(first, (list, tuple)) or not all(isinstance(one, Row) for one in first):
            raise Uncertain
        axes = arguments["axis"] if isinstance(arguments["axis"], (list, tuple)) else [arguments["axis"]]
        if any(axis is None or axis % (first[0].ndim + more) == 0 for axis in axes):
            raise Uncertain

    return rule


def _where_true(condition):
    """A rule for operations of one batch: a function of (batch, the other arguments)."""

    def rule(arguments):
        batch, (_, *others) = _only_first(arguments), arguments.values()
        if not condition(batch, *others):
            raise Uncertain

    return rule


def _keeps_rows(batch, key):
    _, first, *rest = _key(batch, key)
    if first is ...:  # it stands for the rows, too, if the others leave an axis
        return batch.ndim > len([one for one in rest if one is not None])
    return type(first) is slice and first == slice(None)


def _keeps_length(batch, lengths):
    first, *rest = lengths if isinstance(lengths, (list, tuple)) else (lengths,)
    return first == -1 and -1 not in rest and math.prod(rest) == math.prod(batch.shape[1:])


_RULES = [  # that of rows, that of whole batches, and the operations
    (_each, _alike, """abs absolute add cast ceil clip convert_to_tensor cos divide divide_no_nan elu equal exp expm1
        fabs floor floor_divide gelu greater greater_equal isfinite isinf isnan leaky_relu less less_equal log log1p
        logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal ones_like power
        reciprocal relu relu6 round rsqrt selu sigmoid sign silu sin softplus sqrt square stop_gradient subtract tan
        tanh true_divide zeros_like"""),
    (_where, _alike_where, "where"),
    (_with(axis=_axis), _behind(), """all amax amin any argmax argmin flip max mean min prod split std
        sum unstack var"""),
    (_with(axis=_known_axis), _behind(), "argsort cumsum log_softmax normalize repeat roll softmax sort"),
    (_with(axis=_long_axes), _behind(), "squeeze"),
    (_with(axis=_axis), _behind(1), "expand_dims one_hot"),
    (_several, _behind(several=True), "concatenate"),
    (_several, _behind(1, several=True), "stack"),
    (_with(key=_key), _where_true(_keeps_rows), "get_item"),
    (_with(axes=_order), _where_true(lambda batch, axes: axes is not None and axes[0] == 0), "transpose"),
    (_with(pad_width=_widths), _where_true(lambda batch, widths, *_: not np.asarray(widths)[0].any()), "pad"),
    (_shape, _where_true(_keeps_length), "reshape"),
    (_picture, _where_true(lambda batch, *_: batch.ndim == 4), "resize rgb_to_grayscale"),
]  # fmt: skip
Row.rules = {name: rule for rule, _, names in _RULES for name in names.split()}
_Whole.rules = {name: rule for _, rule, names in _RULES for name in names.split()}


# ----------------------------------------------------------------------------------------------------- functions


def rowwise(function, example):
    """A function of a batch (a tree of arrays) that applies `function` to each row; None if that is not certain.

    Args:
        function: takes an element; a tuple's parts as several arguments.
        example: an element.
    """
    inputs = []

    def row(leaf):
        inputs.append(Row(leaf.shape, leaf.dtype))
        return inputs[-1]

    made = _written_down(function, example, row)
    if made is None or any(isinstance(leaf, StringArray) for leaf in leaves(made)):
        return None

    def apply(batch):
        tensors = [ops.convert_to_tensor(leaf) for leaf in leaves(batch)]
        known = {id(one): tensor for one, tensor in zip(inputs, tensors, strict=True)}
        count = len(tensors[0])

        def rows(leaf):
            found = leaf.value(known).numpy() if isinstance(leaf, Row) else np.broadcast_to(leaf, (count, *leaf.shape))
            return np.ascontiguousarray(found)

        return mapped(rows, made)

    return apply


def is_rowwise(function, example):
    """Whether a function of batches like `example` is certain to compute row i of its results from row i alone."""
    made = _written_down(function, example, lambda leaf: _Whole((None, *leaf.shape[1:]), leaf.dtype))
    return made is not None and all(isinstance(leaf, _Whole) and leaf.shape[:1] == (None,) for leaf in leaves(made))


def _written_down(function, example, symbol):
    """The results of a function of symbols, which `symbol(array)` makes; None if it does what is uncertain."""

    def made(leaf):
        leaf = as_array(leaf)
        if isinstance(leaf, StringArray):
            raise Uncertain
        return symbol(leaf)

    before = _states()
    try:
        found = called(function, mapped(made, example))
        results = mapped(lambda leaf: leaf if isinstance(leaf, Row) else as_array(leaf), found)
    except Exception:  # whatever it is: the same error comes where the function is called with an element
        results = None
    is_random = repr(before) != repr(_states())
    for set_state, state in zip((config.set_random_state, random.setstate, np.random.set_state), before):
        set_state(state)
    return None if is_random else results


def _states():
    """The states of the generators of random numbers."""
    return config.random_state(), random.getstate(), np.random.get_state()
