"""Snapshot: what was found out about a model. When the structure of the model changes, it is thrown away as a whole."""

import operator

from minigrad.checks import warn
from minigrad.graph import Schedule, Symbol
from minigrad.layers.fusion import fused
from minigrad.optimizers.memory import Memory
from minigrad.tensor import Structure
from minigrad.trainer.logs import has_own


class Snapshot:
    """What follows from the structure of a model: its layers, variables and their memory, and its settings.

    Attributes:
        schedule: how the graph of the model runs, and `few` how it does for PreparedFew; None if it has no graph.
        weights, trained: its variables, and for each whether it is trained.
        is_trained: whether any is.
        is_replayable: whether a call of the model in inference mode may be replayed.
        home: the memory of the optimizer that was built for the model, or None.
        lent: shape of a batch with which the model was called in training -> how many of its steps tapes hold.
        templates: what `templates.look` has found in the structure, or None.
    """

    def __init__(self, model, version, places, flags, last=None):
        self.version, self._places, self._flags = version, places, flags
        self.schedule, self.few, self.is_replayable, self.home, self.lent = None, None, False, None, {}
        self.templates = None
        self.weights, self.trained = model.weights, [v.requires_grad for v in model.weights]
        self.is_trained = any(self.trained)
        graph = model._graph
        if graph is not None and last is not None and last._places[0] is graph and last._flags == flags:
            self.schedule, self.few = last.schedule, last.few  # only memory has moved
        elif graph is not None:
            before = model._preparation
            inputs, calls = (graph.inputs, graph.calls) if before is None else (before.results, before.calls)
            self.schedule = Schedule(inputs, graph.outputs, fused(graph, calls))
            if before is not None:
                self.few = Schedule(before.few.results, graph.outputs, fused(graph, before.few.calls))
        if graph is not None:
            self.is_replayable = isinstance(graph.outputs, Symbol) and not has_own(model, "predict_step") and all(
                not layer._is_users and not layer._augments and layer.activity_regularizer is None
                for layer in model._all_layers()
            )
        self._may_be_taped = None

    def may_be_taped(self, model):
        """Whether a call in training may be replayed: each layer does the same each time, and looks at no values.

        A layer that was given a function of the user's, such as an activation, may do something else next time.
        """
        if self._may_be_taped is None:
            layers = [layer for layer in model._all_layers() if layer is not model]
            is_looking = any(getattr(layer, flag, False) for layer in layers for flag in _LOOKING)
            self._may_be_taped = not is_looking and not any(_is_users(v) for layer in layers for v in layer._leaves())
        return self._may_be_taped

    def __getstate__(self):
        return {**vars(self), "templates": None}  # a copy of a model looks for itself

    def is_of(self, places, flags):
        """Whether these are the places and flags that it was made for."""
        is_same = len(places) == len(self._places) and all(map(operator.is_, places, self._places))
        return is_same and flags == self._flags


_LOOKING = "_checks_values", "_reads_values", "_makes_indexes", "_indexes"  # of layers that look at values if they can


def _is_users(value):
    return callable(value) and not (getattr(value, "__module__", None) or "").startswith("minigrad.")


def current(model):
    """The Snapshot of a model as it is now: the last one while the structure stays, then a new one."""
    last = model._snapshot
    if last is not None and last.version == Structure.version:
        return last
    version = Structure.version
    layers, weights = model._all_layers(), model.weights
    places = [model._graph, *layers, *(v._data for v in weights)]
    moves = Memory.moves if has_own(model, "train_step") else 0  # of its optimizers, which only the step knows
    flags = [(v.trainable, v.regularizer, v.constraint) for v in weights]
    flags += [moves, *((layer.trainable, layer._revision) for layer in layers)]
    if last is not None and last.is_of(places, flags):
        last.version = version  # the change was elsewhere
        return last
    model._snapshot = Snapshot(model, version, places, flags, last)
    return model._snapshot


def build_optimizer(model, for_own_step=False):
    """Build the optimizer for the variables that are trained. An overridden step does so itself, for its own."""
    home = current(model).home
    if home is not None and home is getattr(model.optimizer, "_homes", None):
        return
    if has_own(model, "train_step") and not for_own_step:
        return
    if model.optimizer is None:
        raise ValueError(f"Model {model.name!r} was compiled without an optimizer: compile(optimizer='adam', ...).")
    trainable = model.trainable_variables
    if not trainable:
        warn(f"Model {model.name!r} has no trainable weights: there is nothing to train.")
    model.optimizer.require_some_of(model.weights, f"model {model.name!r}")
    model.optimizer.build(trainable)
    current(model).home = model.optimizer._homes
