"""What a model is given, checked and brought into the shape it wants before anything is changed."""

import math

import numpy as np

from minigrad.checks import warn
from minigrad.data import Several, as_column, as_rows, check_lengths, class_weights
from minigrad.graph import HELD, Symbol, flat_like
from minigrad.tensor import Structure
from minigrad.trees import leaves, mapped


class _Forgetting:
    """What `_forgetting_after_an_error` returns; a generator would take longer than all that it does."""

    def __init__(self, model):
        self.model, self.had_metrics = model, model._objective.state == "built"
        self.had_optimizer = model.optimizer is None or model.optimizer.built
        self.unbuilt = [] if model.built else model._unbuilt()

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if isinstance(error, Exception):
            self.model._restore(self.unbuilt)
            self.model._clear_losses()
            if not self.had_optimizer:
                self.model.optimizer.unbuild()
            if not self.had_metrics:
                self.model._objective.forget()
                self.model._pool.clear()


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


class Preparing:
    """The part of a Model that looks at data."""

    _takes_lists = True  # whether a list of arrays, where no graph says so, is one of several inputs

    def _prepare_x(self, x):
        """x as rows that fit the model, which is built for them if it was not."""
        return self._fitted(self._as_rows(x))

    def _as_rows(self, x):
        """x as an array of rows, or as Several where the model has several inputs."""
        symbols = None if self._graph is None else self._graph.inputs
        if type(symbols) is Symbol:
            return as_rows(x, "x", HELD.get(symbols.dtype, self.dtype))
        if symbols is None and isinstance(x, dict) and len(x) > 1:
            return Several({name: as_rows(one, f"x[{name!r}]", self.dtype) for name, one in x.items()}, x)
        if symbols is None and self._takes_lists and _are_inputs(x):
            return Several([as_rows(one, f"x[{i}]", self.dtype) for i, one in enumerate(x)], map(str, range(len(x))))
        flat = [] if symbols is None else leaves(symbols)
        if len(flat) < 2:
            return as_rows(x, "x", HELD.get(flat[0].dtype, self.dtype) if flat else self.dtype)
        if hasattr(x, "columns"):  # a data frame: an input is the column of its name
            x = {name: x[name] for name in x.columns}
        names = list(symbols) if isinstance(symbols, dict) else [symbol.name for symbol in flat]
        given = zip(names, flat_like(symbols, x, f"Model {self.name!r}"), flat, strict=True)
        found = iter([as_rows(one, f"x[{name!r}]", HELD.get(symbol.dtype, self.dtype)) for name, one, symbol in given])
        return Several(mapped(lambda _: next(found), symbols), names)

    def _fitted(self, x):
        if isinstance(x, Several):
            return self._fitted_one_by_one(x)
        if self.built and x.ndim == 1 and tuple(self.input_shape) == (None, 1):
            x = as_column(x)
        if not self._is_ready:
            self._ensure_built((None, *x.shape[1:]))
        self._check_input(x.shape)
        if self._indexes:
            self._check_indexes(x)
        return x

    def _check_indexes(self, x):
        """Let layers that take their input for indexes look at it."""
        for i, layer in self._indexes:
            layer._check_rows(leaves(getattr(x, "tree", x))[i])

    _check_rows = _check_indexes  # as a layer of another model

    def _fitted_one_by_one(self, x):
        self._ensure_built(mapped(lambda one: (None, *one.shape[1:]), x.tree))
        if self._graph is None:
            return x
        found = []
        for one, symbol in zip(leaves(x.tree), self.inputs, strict=True):
            found.append(as_column(one) if one.ndim == 1 and symbol.shape == (None, 1) else one)
            self._check_input(found[-1].shape, symbol.shape)
        found = iter(found)
        x = Several(mapped(lambda _: next(found), x.tree), x.names)
        self._check_indexes(x)
        return x

    def _prepare(self, x, y, w=None, class_weight=None, kind="train"):
        """x, y and sample weights as arrays that fit the model, checked before anything is changed.

        A step of one's own of this kind need not call the model on x, nor compare y with the output.
        """
        is_own = self._has_own(kind)
        if w is not None and class_weight is not None:
            raise ValueError("Give sample_weight or class_weight, not both.")
        if y is None and not self._may_have_another_loss(kind):
            raise ValueError("The targets y are missing: the loss compares the output with them. Pass x and y.")
        objective, x = self._objective, self._as_rows(x)
        if not is_own or objective.is_asked:
            x = self._fitted(x)
            if objective.state is None:
                self._place(objective)
        y, w = self._as_parts(y, "y", is_own), self._as_parts(w, "sample_weight", is_own)
        check_lengths(x=x, y=y, sample_weight=w)
        if class_weight is not None:
            if y is None or type(y) is Several:
                raise ValueError(
                    "class_weight needs the targets y, whose classes it weighs, and they must be those of one output: "
                    "for several, pass sample_weight."
                )
            w = class_weights(y, class_weight)
        targets = getattr(y, "tree", y)
        self._build_objective(targets)
        if not is_own:
            objective.check_targets(targets)
        return x, y, w

    def _as_parts(self, given, name, is_own=False):
        """Targets or sample weights as an array, or as Several where they are those of several outputs."""
        if given is None or isinstance(given, np.ndarray):
            return None if given is None else as_rows(given, name, self.dtype)
        objective, names = self._objective, []

        def rows(part, title):
            names.append(title if title not in names else f"{title}_{len(names)}")
            return None if part is None else as_rows(part, f"{name}[{title!r}]", self.dtype)

        if len(objective.heads) > 1 and objective.needy:
            labels = [head.label for head in objective.heads]
            if hasattr(given, "columns") and set(labels) <= set(given.columns):
                given = {label: given[label] for label in labels}
            if _holds_arrays(given):
                needed = objective.needy
                tree = objective.mapped(given, name, lambda part, head: rows(part, head.title()), needed)
                return Several(tree, names) if any(one is not None for one in leaves(tree)) else None
        elif (is_own or self._has_own_loss) and _holds_arrays(given) and len(given) > 1:
            return Several(_each_with_path(given, rows), names)  # whatever the step or compute_loss makes of it
        return as_rows(given, name, self.dtype)

    def _forgetting_after_an_error(self):
        """Metrics and weights that were made for data which turned out to be bad are made anew for the next data."""
        return _Forgetting(self)

    @staticmethod
    def _default_batch_size(rows, steps):
        return math.ceil(rows / steps) if steps else 32

    def _build_optimizer(self, for_own_step=False):
        """Build the optimizer for what is trained now; a step of one's own does so itself, for what it trains."""
        version, homes = self._pool.optimizer_built
        if version == Structure.version and homes is getattr(self.optimizer, "_homes", None):
            return
        if self._has_own("train") and not for_own_step:
            return
        if self.optimizer is None:
            raise ValueError(f"Model {self.name!r} was compiled without an optimizer: compile(optimizer='adam', ...).")
        trainable = self.trainable_variables
        if not trainable:
            warn(f"Model {self.name!r} has no trainable weights: there is nothing to train.")
        self.optimizer.require_some_of(self.weights, f"model {self.name!r}")
        self.optimizer.build(trainable)
        self._pool.optimizer_built = Structure.version, self.optimizer._homes
