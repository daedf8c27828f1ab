"""The data that a model is given: checked, and brought into the shape that it takes, before anything is changed."""

import math

import numpy as np

from minigrad.data import Several, as_rows, as_texts, check_lengths, class_weights, fit_rank, named_arrays, warn_of_gaps
from minigrad.graph import HELD, TEXTS, Symbol, flat_like
from minigrad.preparation import FEW, Prepared
from minigrad.tables import columns_of, values_of
from minigrad.texts import strings
from minigrad.trainer.compiling import may_have_another_loss
from minigrad.trainer.logs import build_objective, has_own, place
from minigrad.trees import filled, leaves, mapped

_WORDS = {"train": "train on", "test": "evaluate"}


def prepare_x(model, x):
    """x as rows that fit the model. A model that is not built yet is built for them."""
    return _fitted(model, _as_rows(model, x))


def _as_rows(model, x, is_all=False):
    """x as an array of rows, or as Several where the model has several inputs, or a Preparation."""
    if model._graph is None and model._input_dtype == TEXTS:  # a Sequential without an Input
        x = strings(x)
        model._ensure_built((None, *x.shape[1:]))
    symbols = None if model._graph is None else model._graph.inputs
    if type(symbols) is Symbol and model._preparation is None:
        return as_rows(x, "x", HELD.get(symbols.dtype, model.dtype))
    if symbols is None and isinstance(x, dict) and len(x) > 1:
        return Several({name: as_rows(one, f"x[{name!r}]", model.dtype) for name, one in x.items()}, x)
    if symbols is None and model._takes_lists and _are_inputs(x):
        return Several([as_rows(one, f"x[{i}]", model.dtype) for i, one in enumerate(x)], map(str, range(len(x))))
    if symbols is None:
        return as_rows(x, "x", model.dtype)
    flat = leaves(symbols)
    if len(flat) == 1:
        found, names = [_rows_of(model, flat[0], x, "x")], ["x"]
    else:
        x = columns_of(x) or x  # of a table, an input is the column of its name
        names = list(symbols) if isinstance(symbols, dict) else [symbol.name for symbol in flat]
        given = zip(names, flat_like(symbols, x, f"Model {model.name!r}"), flat, strict=True)
        found = [_rows_of(model, symbol, one, f"x[{name!r}]") for name, one, symbol in given]
    if model._preparation is not None:
        return _prepared(model, found, names, is_all)
    if len(flat) == 1:
        return found[0]
    return Several(filled(symbols, found), names)


def _rows_of(model, symbol, x, name):
    """The data of one input as rows."""
    if symbol.dtype != TEXTS:
        return as_rows(x, name, HELD.get(symbol.dtype, model.dtype))
    if isinstance(x, (list, tuple, dict)) and len(x) == 1:
        (only,) = x.values() if isinstance(x, dict) else x
        x = only if isinstance(x, dict) or getattr(only, "ndim", 0) else x
    return as_texts(symbol, values_of(x), name)


def _prepared(model, arrays, names, is_all=False):
    """What the Preparation of a model makes of its inputs."""
    check_lengths(**dict(zip(names, arrays, strict=True)))
    preparation = model._preparation
    fitting = [_fitting(model, *pair) for pair in zip(arrays, preparation.inputs, strict=True)]
    given = {name: rows for name, rows in zip(names, fitting) if rows.dtype.kind == "f"}
    preparation = preparation.few if len(fitting[0]) <= FEW and not is_all else preparation
    return Several(preparation.rows(fitting), preparation.names, given)


def _fitting(model, array, symbol):
    """Rows that fit an input."""
    if symbol.dtype != TEXTS:
        array = fit_rank(array, symbol.shape)
        model._check_input(array.shape, symbol.shape)
    return array


def _fitted(model, x):
    if isinstance(x, Several):
        return _fitted_one_by_one(model, x)
    expected = model._input_shape
    may_differ = x.ndim == 1 or model._graph is not None
    if model.built and expected and x.ndim != len(expected) and may_differ:
        x = fit_rank(x, expected)
    if not model._is_ready:
        model._ensure_built((None, *x.shape[1:]))
        if model._preparation is not None:
            return _prepared(model, [x], ["x"])
    model._check_input(x.shape)
    if model._indexes:
        model._check_rows(x)
    return x


def _fitted_one_by_one(model, x):
    if not isinstance(x.tree, Prepared):
        model._ensure_built(mapped(lambda one: (None, *one.shape[1:]), x.tree))
        if model._graph is None:
            return x
        found = [_fitting(model, *pair) for pair in zip(leaves(x.tree), model.inputs, strict=True)]
        x = Several(filled(x.tree, found), x.names)
    model._check_rows(x)
    return x


def prepare(model, x, y, w=None, class_weight=None, kind="train", is_all=False):
    """x, y and sample weights as arrays that fit the model, checked before anything is changed.

    `is_all` tells that many steps will be taken on them, so that as much as possible is prepared.
    An overridden step of this kind ("train" or "test") need not call the model on x, nor compare y with the output.
    """
    is_own = has_own(model, f"{kind}_step")
    if w is not None and class_weight is not None:
        raise ValueError("Give sample_weight or class_weight, not both.")
    if y is None and not may_have_another_loss(model, kind):
        raise ValueError("The targets y are missing: the loss compares the output with them. Pass x and y.")
    objective, x = model._objective, _as_rows(model, x, is_all)
    if not is_own or objective.is_asked:
        x = _fitted(model, x)
        if objective.state is None:
            place(model, objective)
    y, w = _as_parts(model, y, "y", is_own), _as_parts(model, w, "sample_weight", is_own)
    check_lengths(x=x, y=y, sample_weight=w)
    if class_weight is not None:
        if y is None or type(y) is Several:
            raise ValueError(
                "class_weight needs the targets y, whose classes it weighs, and they must be those of one output: "
                "for several, pass sample_weight."
            )
        w = class_weights(y, class_weight)
    targets = getattr(y, "tree", y)
    build_objective(model, targets)
    if not is_own:
        objective.check_targets(targets)
    return x, y, w


def _as_parts(model, given, name, is_own=False):
    """Targets or sample weights as an array, or as Several where they are those of several outputs."""
    if given is None or isinstance(given, np.ndarray):
        return None if given is None else as_rows(given, name, model.dtype)
    objective, names = model._objective, []

    def rows(part, title):
        names.append(title if title not in names else f"{title}_{len(names)}")
        return None if part is None else as_rows(part, f"{name}[{title!r}]", model.dtype)

    if len(objective.heads) > 1 and objective.needy:
        labels = [head.label for head in objective.heads]
        columns = columns_of(given)
        if columns is not None and set(labels) <= set(columns):
            given = {label: columns[label] for label in labels}
        if _holds_arrays(given):
            needed = objective.needy
            tree = objective.mapped(given, name, lambda part, head: rows(part, head.title()), needed)
            return Several(tree, names) if any(one is not None for one in leaves(tree)) else None
    elif (is_own or has_own(model, "compute_loss")) and _holds_arrays(given) and len(given) > 1:
        return Several(_each_with_path(given, rows), names)  # whatever the step or compute_loss makes of it
    return as_rows(given, name, model.dtype)


def default_batch_size(rows, steps):
    return math.ceil(rows / steps) if steps else 32


def look_for_gaps(model, kind, number, batch):
    """Warn where NaN is in batch `number`, if this is the first batch whose loss is not finite; once per `fit`."""
    searched = set() if model.fitting is None else model.fitting.searched
    if model.finite_batches == number - 1 and kind not in searched:
        searched.add(kind)
        where, given = f"In batch {number} to {_WORDS[kind]}, ", getattr(batch[0], "given", {})
        warn_of_gaps(named_arrays(*batch), where=where, given=given)


def _are_inputs(x):
    """Whether x is a list of several inputs; flat arrays in a list may be the rows of one."""
    return isinstance(x, (list, tuple)) and len(x) > 1 and all(getattr(one, "ndim", 0) >= 2 for one in x)


def _holds_arrays(given):
    """Whether it is a dict, or a list of arrays (or lists, or nothing) and not of numbers."""
    if not isinstance(given, (list, tuple)):
        return isinstance(given, dict)
    return all(one is None or isinstance(one, (list, tuple, dict)) or np.ndim(one) for one in given)


def _each_with_path(tree, function, *path):
    """The tree with `function(leaf, path)` in the place of each leaf, the path in words."""
    if isinstance(tree, dict):
        return {key: _each_with_path(part, function, *path, key) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_each_with_path(part, function, *path, i) for i, part in enumerate(tree)]
    return function(tree, "/".join(map(str, path)))
