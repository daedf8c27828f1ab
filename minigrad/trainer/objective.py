"""Objective: what `compile` asks for, brought to the outputs of a model: for each a loss, its weight, and metrics.

What belongs to several outputs is a tree like that of the outputs: a list or a dict. A dict may name the outputs of a
list; a list goes by the sorted keys of a dict, as in Keras. One output is a tree of one leaf.
"""

import numpy as np

from minigrad import kernels as K
from minigrad import losses, ops
from minigrad.checks import is_number
from minigrad.data import chunks
from minigrad.losses.base import as_loss
from minigrad.metrics import lookup
from minigrad.metrics.base import LossTracker, Pending
from minigrad.program import launch
from minigrad.spelling import did_you_mean
from minigrad.tensor import Tensor, constant, no_grad
from minigrad.trees import leaves


def is_tree(given):
    """Whether it is a list or a dict of what belongs to outputs, and not the config of one loss or metric."""
    return isinstance(given, (list, tuple)) or (
        isinstance(given, dict) and given.keys().isdisjoint({"class_name", "config"})
    )


def asked(given):
    """The losses or metrics in a tree, one by one."""
    if not is_tree(given):
        return [given]
    return [one for part in (given.values() if isinstance(given, dict) else given) for one in asked(part)]


class Head:
    """One output of a model, and what is asked of it.

    Args:
        path: the keys and indices that lead to it in what the model returns.
        shape: its shape; name: that of the layer that makes it, or None.
    """

    def __init__(self, path, shape, name=None):
        self.path, self.shape, self.name = path, shape, name
        self.label = None  # what a dict for all outputs and the logs call it: its key, or the name of its layer
        self.loss = self.weight = self.tracker = None
        self.plain, self.weighted = [], []

    def title(self, name=None):
        """Its path in words. Instead of an index at its end stands the name of the layer, or else `name`."""
        *above, last = self.path
        name = name if self.name is None else self.name
        return "/".join(map(str, (*above, last if name is None or isinstance(last, str) else name)))

    @property
    def takes_targets(self):
        """Whether its targets are needed."""
        return self.loss is not None or bool(self.plain or self.weighted)


class Objective:
    """What a model is trained for, as `compile` was told; see there for the arguments.

    `place` finds out what is asked of each output, `build` makes losses and metrics for targets of certain shapes.

    Attributes:
        heads: a Head for each output; named: the metrics by their names in the logs, the loss first, once built.
        state: None, "placed", "early" (built before any data was seen) or "built".

    Raises:
        ValueError: an unknown name, or what is no loss, weight or metric.
    """

    def __init__(self, loss=None, loss_weights=None, metrics=None, weighted_metrics=None):
        for one in asked(loss):
            if lookup.kind_by_shape(one) != "crossentropy":
                losses.get(one)
        if not all(one is None or is_number(one) for one in asked(loss_weights)):
            raise ValueError(
                f"loss_weights must be a number, or a list or dict of one for each output; got {loss_weights!r}. (It "
                "is the third argument of compile, metrics the fourth: give them by name, metrics=[...].)"
            )
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not is_tree(given):
                raise ValueError(
                    f"{what} must be a list, such as ['accuracy'], or a list or dict of such for several outputs; got "
                    f"{given!r} ({type(given).__name__})."
                )
            for one in asked(given):
                _check_metric(one)
        self.finite = np.zeros((1, 1), np.int64)  # batches before the mean loss ceased to be a finite number
        self._watched = np.zeros((2, 1, 1))  # the sum of the losses that a step of one's own returns, and their number
        self.loss, self.loss_weights = loss, loss_weights
        self.metrics, self.weighted_metrics = metrics, weighted_metrics
        self.forget()

    def forget(self):
        """Forget the outputs, and the metrics that were made for them."""
        self.heads, self.named, self.state, self._order = [], {}, None, []

    # ------------------------------------------------------------------------------------------------- outputs

    def place(self, shapes, names):
        """Find out what is asked of each output. `shapes` is the tree of their shapes; `names`: of them, or None."""
        heads = [Head(path, shape) for path, shape in _paths(shapes)]
        for head, name in zip(heads, names or [None] * len(heads), strict=True):
            head.name = name
            is_key = isinstance(head.path[0], str) and all(len(one.path) == 1 for one in heads)
            head.label = head.path[0] if is_key else name
        before, self.heads = self.heads, heads
        try:
            self._place_losses()
            for what in ("metrics", "weighted_metrics"):
                self._place_metrics(what)
        except ValueError:
            self.heads = before
            raise
        self.state = self.state or "placed"

    def _place_losses(self):
        is_by_name = isinstance(self.heads[0].path[0], str)  # then an output may be left out
        found = self._collect(self.loss, "loss", () if is_by_name else self.heads)
        for head in self.heads:
            head.loss = found.get(head)
        weights = self._collect(self.loss_weights, "loss_weights", [h for h in self.heads if h.loss is not None])
        for head in self.heads:
            for what, part in (("loss", head.loss), ("loss_weights", weights.get(head))):
                if is_tree(part):
                    raise ValueError(f"{what} must have one for output {head.title()!r}; got {part!r}.")
            head.weight = None if weights.get(head) is None else float(weights[head])
        # In which order they are told: that of the outputs, or of the dict of losses.
        is_dict = is_by_name and isinstance(self.loss, dict)
        self._order = [head for head in (found if is_dict else self.heads) if head.loss is not None]

    def _place_metrics(self, what):
        given = getattr(self, what) or None
        is_list_of_one = len(self.heads) == 1 and not isinstance(given, dict)
        found = {self.heads[0]: given} if is_list_of_one else self._collect(given, what)
        for head in self.heads:
            specs = found.get(head)
            specs = [] if specs is None else asked(specs)
            if None in specs:
                raise ValueError(f"{what} must be names, Metric instances or functions; got {given!r}.")
            setattr(head, {"metrics": "plain", "weighted_metrics": "weighted"}[what], specs)

    def _collect(self, given, what, needed=(), alone=None):
        """What is given for each head, a dict. If it is no tree, it is for the heads `alone`, by default for all."""
        found = {}
        if is_tree(given):
            self.mapped(given, what, lambda part, head: found.setdefault(head, part), needed)
        elif given is not None:
            found = dict.fromkeys(self.heads if alone is None else alone, given)
            if not found:
                raise ValueError(f"{what} must be {self._like()}; got {_described(given)}.")
        return found

    def mapped(self, given, what, function, needed=()):
        """A tree of what is given for the outputs, with `function(part, head)` in the place of each part.

        Args:
            what: what the tree is called: "loss", "y", ...
            needed: the heads for which it must have something. A list may be one for these only.

        Raises:
            ValueError: a tree that is not one of these outputs.
        """
        seen = set()

        def walk(given, heads, depth):
            if depth == len(heads[0].path):
                seen.add(heads[0])
                return function(given, heads[0])
            if given is None:
                seen.update(heads)
                return None
            groups = {}
            for head in heads:
                groups.setdefault(head.path[depth], []).append(head)
            if isinstance(given, dict):
                found = {key: groups.get(key) or self._named(key, heads, given, what) for key in given}
                return {key: walk(part, found[key], depth + 1) for key, part in given.items()}
            count = len(given) if isinstance(given, (list, tuple)) else -1
            below = [(groups[key], depth + 1) for key in sorted(groups)]
            if count != len(below) and depth == 0:  # one for each leaf, or for each that needs it
                flat = (sorted(heads, key=lambda head: head.path), needed)
                below = next(([([h], len(h.path)) for h in some] for some in flat if len(some) == count), below)
            if count != len(below):
                raise ValueError(f"{what} must be {self._like()}; got {_described(given)}.")
            parts = [walk(part, *where) for part, where in zip(given, below, strict=True)]
            return parts if isinstance(given, list) else tuple(parts)

        result = walk(given, self.heads, 0)
        missing = [head.title() for head in needed if head not in seen]
        if missing:
            hint = " (None: this output has none)" if what in ("loss", "sample_weight") else ""
            raise ValueError(f"{what} must be {self._like()}; there is nothing for {missing}{hint}.")
        return result

    def _named(self, key, heads, given, what):
        """The head of this name, in a list. An only output has any name, except for a loss, as in Keras."""
        by_name = {head.label: [head] for head in heads if len(head.path) == 1}
        if key in by_name:
            return by_name[key]
        if len(heads) == len(given) == 1 and (what != "loss" or heads[0].label is None):
            return heads
        known = [head.title() for head in heads]
        if heads[0].label is None:
            names = "" if len(heads) == 1 else ", which have no names here: pass a list"
            raise ValueError(f"{what} must be {self._like()}{names}; got {_described(given)}.")
        raise ValueError(f"{what} names {key!r}, but the outputs are {known}.{did_you_mean(str(key), known)}")

    def _like(self):
        """In words, what a tree for all outputs looks like."""
        titles = [head.title() for head in self.heads]
        if len(titles) == 1:
            return "one, or a list or dict of one, since there is one output"
        return f"a list or dict of one for each of the {len(titles)} outputs, {titles}"

    @property
    def is_asked(self):
        """Whether there is a loss or a metric."""
        return self.loss is not None or bool(self.metrics or self.weighted_metrics)

    @property
    def needy(self):
        """The heads that need targets."""
        return [head for head in self.heads if head.takes_targets]

    # -------------------------------------------------------------------------------------------------- making

    def build(self, y, dtype, others, early=False):
        """Make the losses and the metrics for targets like y (a tree of arrays, or None); once.

        `others` are metrics that layers have of their own, and whose values logs tell, too.
        """
        targets = self._targets(y)
        for head, target in zip(self.heads, targets, strict=True):
            if target is None and head.takes_targets and not early:
                what = "the metrics compare" if head.loss is None else "the loss compares"
                where = "" if len(self.heads) == 1 else f" for output {head.title()!r}"
                raise ValueError(f"The targets y are missing{where}: {what} the output with them.")
        for head, target in zip(self.heads, targets, strict=True):
            shape = head.shape if early else None if target is None else (None, *target.shape[1:])
            if head.loss is not None:
                is_kind = lookup.kind_by_shape(head.loss) == "crossentropy"
                spec = lookup.by_shape(shape, head.shape, "crossentropy") if is_kind else head.loss
                name = head.loss if isinstance(head.loss, str) else None
                head.loss = as_loss(spec)
                head.loss_name = head.title(name or head.loss.name)
            head.plain = [lookup.as_metric(one, shape, head.shape) for one in head.plain]
            head.weighted = [lookup.as_metric(one, shape, head.shape) for one in head.weighted]
        self.tracker = LossTracker("loss", dtype)
        for head in self._order if len(self._order) > 1 else ():
            head.tracker = LossTracker(f"{head.loss_name}_loss", dtype)
        self._name(others)
        self.state = "early" if early else "built"

    def _name(self, others):
        """Give each metric its name in the logs: "weighted_" stands before one that is taken, or a number behind it."""
        named, count = {"loss": self.tracker}, len(self.heads)
        for is_weighted in (False, True):
            for head in self.heads:
                prefix = f"{head.label}_" if count > 1 and head.label is not None else ""
                for metric in head.weighted if is_weighted else head.plain:
                    is_double = is_weighted and prefix + metric.name in named
                    _add(named, f"{prefix}weighted_{metric.name}" if is_double else prefix + metric.name, metric)
        compiled = set(named)
        for metric in [head.tracker for head in self._order if head.tracker is not None]:
            _add(named, metric.name, metric)
        for metric in others:
            if all(metric is not known for known in named.values()):
                _add(named, metric.name, metric)
        if count > 1 and self.heads[0].label is not None:  # as `evaluate` lists them in Keras
            keys = ["loss", *(key for key in named if key not in compiled), *sorted(compiled - {"loss"})]
            named = {key: named[key] for key in keys}
        self.named = named
        for key, metric in named.items():
            for variable in metric.variables if key != "loss" else ():
                variable.path = f"{key}/{variable.name}"

    # --------------------------------------------------------------------------------------------------- steps

    def _targets(self, y):
        """The targets of each output, None where there are none."""
        if len(self.heads) == 1 and not isinstance(y, (list, tuple, dict)):
            return [y]
        needed = self.needy
        found = self._collect(y if needed else None, "y", needed, needed if len(needed) == 1 else ())
        return [found.get(head) for head in self.heads]

    def _each(self, y, y_pred, w):
        """(head, targets, output, sample weights) of each output."""
        if type(y_pred) is Tensor and not isinstance(y, (list, tuple, dict)):
            return zip(self.heads, [y], [y_pred], [w])
        weights = self._collect(w if self.needy else None, "sample_weight")
        return zip(self.heads, self._targets(y), leaves(y_pred), map(weights.get, self.heads))

    def check_targets(self, y):
        """Raise a ValueError if targets, trees of arrays, can't be right for these outputs."""
        for head, target in zip(self.heads, self._targets(y), strict=True):
            for some in chunks(target) if target is not None and head.loss is not None else ():
                head.loss.check_targets(some, head.shape)

    def total(self, y, y_pred, w):
        """The weighted sum of the losses of all outputs, a tensor of one number; None where none has a loss."""
        total = None
        for head, target, output, weights in self._each(y, y_pred, w):
            if head.loss is None:
                continue
            loss = head.loss(target, output) if weights is None else head.loss(target, output, sample_weight=weights)
            if head.tracker is not None:
                with no_grad():
                    head.tracker.track(loss, output.shape[0], np.zeros_like(self.finite))
            if head.weight is not None:
                loss = loss * head.weight
            total = loss if total is None else total + loss
        return total

    def track(self, loss, y_pred, finite=None):
        """Add the loss of a batch, which `finite` (by default our own) counts, to the mean that logs tell."""
        self.tracker.track(loss, leaves(y_pred)[0].shape[0], self.finite if finite is None else finite)

    def watch(self, loss):
        """Let `finite` count a batch whose step, one's own, returned this loss in its logs (or None)."""
        if isinstance(loss, Pending):
            loss = getattr(loss.metric, "total", None)
        with no_grad():
            if isinstance(loss, Tensor) and loss.size == 1 and loss.dtype.kind == "f":
                loss = ops.cast(loss, self._watched.dtype)._data.reshape(1, 1)
                launch(K.track_loss, loss, constant(loss.dtype, 1.0), *self._watched, self.finite)
            else:
                launch(K.increment, constant(np.int64, 1), self.finite)

    def restart(self, batches):
        """Begin to count the batches of an epoch, of which so many are done."""
        self.finite[...] = batches
        self._watched[...] = 0.0

    def update(self, y, y_pred, w):
        """Let the metrics see a batch."""
        for head, target, output, weights in self._each(y, y_pred, w):
            for metric in head.plain:
                metric.update_state(target, output)
            for metric in head.weighted:
                metric.update_state(target, output, sample_weight=weights)


def _check_metric(metric):
    if metric is None or lookup.kind_by_shape(metric) is not None:
        return
    if not isinstance(metric, (str, dict)) and not callable(metric):
        raise ValueError(f"metrics must be names, Metric instances or functions; got {metric!r}.")
    lookup.check(metric)


def _paths(shapes, path=()):
    """The path and the shape of each output. The only output stands at index 0."""
    if isinstance(shapes, dict):
        return [found for key, part in shapes.items() for found in _paths(part, (*path, key))]
    if shapes and all(isinstance(part, (list, tuple, dict)) for part in shapes):
        return [found for i, part in enumerate(shapes) for found in _paths(part, (*path, i))]
    return [(path or (0,), tuple(shapes))]


def _add(named, key, metric):
    name, count = key, 0
    while name in named:
        count += 1
        name = f"{key}_{count}"
    named[name] = metric


def _described(given):
    if isinstance(given, dict):
        return f"a dict with {list(given)}"
    if isinstance(given, (list, tuple)):
        names = f", {given!r}" if given and all(isinstance(one, str) for one in given) else ""
        return f"a {type(given).__name__} of {len(given)}{names}"
    return f"one {type(given).__name__}"
