"""The arguments of `compile` as a config, and back."""

import functools
import math

from minigrad import losses, metrics, optimizers
from minigrad.checks import is_int, warn
from minigrad.saving import objects
from minigrad.trees import mapped

_MOST = 1 << 20  # classes, thresholds, ... of a metric: a config must not ask for unlimited memory
_MOST_STATE = 1 << 22  # numbers that all metrics together may keep


def compile_config(model):
    """The arguments of `model.compile` as Keras writes them into files; {} before `compile`.

    None, with a warning, if a config can't describe one of them: the rest of the model can be saved nevertheless.
    """
    if not model.compiled:
        return {}
    objective = model._objective
    try:
        return {
            "optimizer": optimizers.serialize(model.optimizer),
            "loss": _each(losses.serialize)(objective.loss),
            "loss_weights": objective.loss_weights,
            "metrics": _each(metrics.serialize)(objective.metrics) or None,
            "weighted_metrics": _each(metrics.serialize)(objective.weighted_metrics) or None,
            "run_eagerly": model.run_eagerly,
            "steps_per_execution": model.steps_per_execution,
            "jit_compile": model.jit_compile or "auto",
        }
    except ValueError as error:
        warn(f"How {model.name!r} was compiled can't be saved; the rest can: {error}")
        return None


def compile_from_config(model, config):
    """Compile a model as the config says; as in Keras, not a model whose class overrides `compile`."""
    if not str(type(model).compile.__module__).startswith("minigrad."):
        warn(f"{type(model).__name__} has a compile() of its own: call it after the model is loaded.")
        return
    unknown = set(config) - {*_READERS, "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss",
                             "loss_weights"}
    if unknown:
        raise ValueError(f"compile_config has unknown entries {sorted(unknown)}")
    asked = [config.get("metrics"), config.get("weighted_metrics")]
    _check_sizes(*asked)
    if _elements(asked) > _MOST_STATE:
        raise ValueError(f"the metrics ask for {_elements(asked):,} numbers, more than the {_MOST_STATE:,} of a file")
    given = {key: value for key, value in config.items() if value is not None}
    model.compile(**{key: _READERS[key](value) if key in _READERS else value for key, value in given.items()})


def _each(function):
    """A function that applies `function` to each loss, metric or config in a tree; names and None stay."""
    return functools.partial(
        mapped, lambda one: one if one is None or isinstance(one, str) else function(one), is_leaf=objects.is_config
    )


_READERS = {
    "optimizer": _each(optimizers.deserialize),
    "loss": _each(losses.deserialize),
    "metrics": _each(metrics.deserialize),
    "weighted_metrics": _each(metrics.deserialize),
}


def _check_sizes(*values):
    for value in values:
        if isinstance(value, (list, tuple)):
            _check_sizes(*value)
        elif isinstance(value, dict):
            _check_sizes(*(v for k, v in value.items() if k != "seed"))
        elif isinstance(value, int) and abs(value) > _MOST:
            raise ValueError(f"a metric's config has {value}, more than the {_MOST:,} that a file may ask for")


def _elements(value):
    """About how many numbers the metrics keep: thresholds times labels, or classes squared, added up."""
    if isinstance(value, (list, tuple)):
        return sum(map(_elements, value))
    if not isinstance(value, dict):
        return 0
    sizes = [v ** (2 if k == "num_classes" else 1) for k, v in value.items() if k.startswith("num_") and is_int(v, 1)]
    return math.prod(sizes) + sum(map(_elements, value.values()))
