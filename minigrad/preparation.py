"""Preparation: the part of a model's graph that only makes numbers of the data, such as a StringLookup.

No tensor holds texts, and no recorded step reads values. So this part runs on the data before the step: in `fit` on
arrays once, before the first epoch; on a stream, batch by batch. The rest of the graph, which is recorded, is given the
results in place of the inputs. Of a few rows, as many as a batch has, only what must be is done before the step, since
the step is faster.
"""

import collections
import math

import numpy as np

from minigrad import ops
from minigrad.graph import HELD, TEXTS, Call, Operation, Schedule, Symbol
from minigrad.tensor import Variable, as_tensor, no_grad
from minigrad.trees import leaves

ROWS = 1 << 13  # that are prepared at a time
FEW = 64  # rows, of which as little as possible is prepared
WIDEST = 4096  # bytes per row: wider results, such as one-hot rows of many columns, are made in the step instead


class Prepared(list):
    """The results of a Preparation, in place of the inputs of a model."""


class PreparedFew(Prepared):
    """Those of a few rows."""


class Preparation:
    """The calls `done` of a graph, which run before the step.

    Attributes:
        results: the symbols that the rest of the graph takes in place of its inputs; names: a name for each.
        calls: those of the rest of the graph. There may be none.
        kind: Prepared, or for a few rows PreparedFew; few: the Preparation of a few rows.

    Raises:
        ValueError: texts would come out.
    """

    few = None

    def __init__(self, graph, calls, done, kind=Prepared):
        self.kind = kind
        self.inputs = leaves(graph.inputs)
        is_done = {id(call) for call in done}
        self.calls = [call for call in calls if call.inputs and id(call) not in is_done]
        makers = {id(symbol): call.function.name for call in done for symbol in leaves(call.outputs)}
        makers |= {id(symbol): symbol.name for symbol in self.inputs}
        used = [symbol for call in self.calls for symbol in call.inputs] + leaves(graph.outputs)
        self.results = list({id(symbol): symbol for symbol in used if id(symbol) in makers}.values())
        for symbol in self.results:
            if symbol.dtype == TEXTS:
                raise ValueError(
                    f"Input {symbol.name!r} holds texts, which must go to TextVectorization, StringLookup, Hashing or "
                    "HashedCrossing."
                )
        self.names, times = [], collections.Counter()
        for name in (makers[id(symbol)] for symbol in self.results):
            self.names.append(f"{name}_{times[name]}" if times[name] else name)
            times[name] += 1
        self._schedule = Schedule(self.inputs, self.results, done)
        # Of many rows, what a Concatenate would join in the end is put where it belongs at once: see `rows`.
        joining = {id(call.outputs): call for call in done if getattr(call.function, "_joins", False)}
        pieces = [joining[id(one)].args[0] if id(one) in joining else [one] for one in self.results]
        self._axes = [joining[id(one)].function.axis if id(one) in joining else -1 for one in self.results]
        self._pieces = Schedule(self.inputs, pieces, _needed(done, leaves(pieces), lambda call: False))
        places = {id(symbol): i for i, symbol in enumerate(self.inputs)}
        self._given = [places.get(id(symbol)) for symbol in self.results]  # results that are inputs

    @property
    def row_bytes(self):
        """How long a row of the results is."""
        return sum(math.prod(n or 1 for n in one.shape[1:]) * np.dtype(_held(one)).itemsize for one in self.results)

    def run(self, inputs):
        """The results, tensors, for a list of inputs: tensors, or arrays of texts."""
        found = self._schedule.run(list(inputs), training=False)
        pairs = zip(self.results, found, strict=True)
        return self.kind(x if x.dtype == _held(symbol) else ops.cast(x, _held(symbol)) for symbol, x in pairs)

    def rows(self, inputs):
        """The results as arrays, for a list of inputs, which are arrays or LazyRows."""
        count = len(inputs[0])
        if count <= ROWS or any(None in symbol.shape[1:] for symbol in self.results):
            with no_grad():
                found = [x._data for x in self.run(_as_input(array[:count]) for array in inputs)]
        else:
            found = [np.empty((count, *symbol.shape[1:]), _held(symbol)) for symbol in self.results]
            for start in range(0, count, ROWS):
                part = slice(start, start + ROWS)
                with no_grad():
                    chunk = self._pieces.run([_as_input(array[part]) for array in inputs], training=False)
                for rows, pieces, axis in zip(found, chunk, self._axes, strict=True):
                    np.concatenate([x._data for x in pieces], axis, out=rows[part], casting="unsafe")
        return self.kind(x if i is None else inputs[i] for x, i in zip(found, self._given, strict=True))


def _held(symbol):
    return HELD.get(symbol.dtype, symbol.dtype)


def _as_input(array):
    return array if array.dtype.kind == "O" else as_tensor(array, array.dtype)


def preparation(graph):
    """The Preparation of a graph; None if nothing must be done before its step.

    If something must, all is done there that depends on the data alone: normalization, encoding, concatenation.
    """
    known, calls, done = {id(symbol) for symbol in leaves(graph.inputs)}, [], []
    for call in graph.calls:
        is_ready = bool(call.inputs) and known.issuperset(map(id, call.inputs))
        inner = getattr(call.function, "_preparation", None)
        if is_ready and inner is not None and inner.calls:
            before, call = _halves(call, inner)
            calls.append(before)
        else:
            before = call if is_ready and _prepares(call) else None
        if before is not None:
            done.append(before)
            known.update(map(id, leaves(before.outputs)))
        calls.append(call)
    if not any(map(_must, done)):
        return None
    whole, least = Preparation(graph, calls, done), Preparation(graph, calls, _needed(done))
    found = whole if whole.row_bytes <= max(WIDEST, least.row_bytes) else least
    shown = [symbol for call in calls if getattr(call.function, "_indexes", False) for symbol in call.inputs]
    found.few = Preparation(graph, calls, _needed(done, shown, _checks), PreparedFew)
    return found


def _halves(call, inner):
    """The call of a model as two: of its Preparation, and of the rest."""
    first = Call(Operation(call.function._as_inputs, call.function.name), call.args)
    first.outputs = Prepared(Symbol(symbol.shape, symbol.dtype, "") for symbol in inner.results)
    second = Call(call.function, (first.outputs,), call.kwargs)
    second.outputs = call.outputs
    return first, second


def _must(call):
    """Whether the call must run before the step."""
    function = call.function
    if isinstance(function, Operation):
        return isinstance(call.outputs, Prepared)
    return function._reads_values or getattr(function, "_preparation", None) is not None


def _prepares(call):
    """Whether the call computes from its inputs alone, with nothing that is trained or random."""
    function = call.function
    if isinstance(function, Operation):
        is_ours = function.function.__module__.startswith("minigrad.ops")
        return is_ours and not any(isinstance(leaf, Variable) for leaf in leaves((call.args, call.kwargs)))
    return _must(call) or (function._prepares and not function._is_users and function.activity_regularizer is None)


def _checks(call):
    """Whether the call looks at the values of its inputs, or must run before the step for another reason."""
    looks = getattr(call.function, "_checks_values", False)
    return _must(call) or looks and not getattr(call.inputs[0].call.function, "_makes_indexes", False)


def _needed(done, wanted=(), must=_must):
    """Of the calls, those that must run before the step or make the symbols `wanted`, and those that they need."""
    used, found = set(map(id, wanted)), []
    for call in reversed(done):
        if must(call) or not used.isdisjoint(map(id, leaves(call.outputs))):
            used.update(map(id, call.inputs))
            found.append(call)
    return found[::-1]
