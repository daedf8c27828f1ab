"""What the strings and functions in `compile(metrics=[...])` mean."""

import inspect

from minigrad.metrics.base import MeanMetricWrapper, Metric, registry
from minigrad.names import snake_case

# Names, in any case, whose meaning depends on the shapes of targets and output: see `by_shape`.
BY_SHAPE = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy", "ce": "crossentropy"}


def kind_by_shape(identifier):
    """The kind for `by_shape`, "accuracy" or "crossentropy", if the identifier is such a name; else None."""
    return BY_SHAPE.get(identifier.lower()) if isinstance(identifier, str) else None


def get(identifier):
    """The metric (a Metric or a function) that `identifier` means: a string, config, class, or callable."""
    return registry.get(identifier)


def check(identifier):
    """Raise a ValueError if no metric can be made of `identifier`. None is made: that would use up a name."""
    found = registry._find(identifier) if isinstance(identifier, str) else identifier
    if not isinstance(found, type):
        get(found)
        return
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise ValueError(f"The metric {found.__name__} can't be made without arguments: {error}. Pass one.") from None


def by_shape(y_true_shape, y_pred_shape, kind):
    """The name of the metric or loss that 'accuracy' or 'crossentropy', the kind, means for these shapes."""
    if y_pred_shape[-1] == 1:
        return f"binary_{kind}"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return f"sparse_categorical_{kind}"
    return f"categorical_{kind}"


def as_metric(identifier, y_true_shape, y_pred_shape):
    """The Metric for an element of `compile(metrics=[...])`. Its name is its key in logs."""
    if isinstance(identifier, str):
        kind = kind_by_shape(identifier)
        found = get(identifier if kind is None else by_shape(y_true_shape, y_pred_shape, kind))
        if not isinstance(found, Metric):
            found = MeanMetricWrapper(found)
        found.name = identifier
        return found
    found = get(identifier)
    if isinstance(found, Metric):
        return found
    return MeanMetricWrapper(found, name=snake_case(getattr(found, "__name__", "metric").strip("<>")))
