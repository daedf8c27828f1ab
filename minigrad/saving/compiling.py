"""How a model was compiled, as a config and back."""

import warnings

from minigrad import losses, metrics, optimizers

_MOST = 1 << 20  # classes, thresholds, ... of a metric: a config must not ask for any amount of memory


def compile_config(model):
    """The arguments of `model.compile` as Keras writes them into files; {} before `compile`.

    None (with a warning) where one of them is something that a config can't name: the rest of a model can be saved.
    """
    if not model.compiled:
        return {}
    try:
        return {
            "optimizer": optimizers.serialize(model.optimizer),
            "loss": losses.serialize(model.loss),
            "loss_weights": model._loss_weight,
            "metrics": [metrics.serialize(one) for one in model._metric_specs] or None,
            "weighted_metrics": [metrics.serialize(one) for one in model._weighted_specs] or None,
            "run_eagerly": model.run_eagerly,
            "steps_per_execution": model.steps_per_execution,
            "jit_compile": model.jit_compile or "auto",
        }
    except ValueError as error:
        warnings.warn(f"How {model.name!r} was compiled can't be saved; the rest can: {error}", stacklevel=7)
        return None


def compile_from_config(model, config):
    """Compile a model as the config says."""
    unknown = set(config) - {*_READERS, "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss",
                             "loss_weights"}
    if unknown:
        raise ValueError(f"compile_config has unknown entries {sorted(unknown)}")
    _check_sizes(config.get("metrics"), config.get("weighted_metrics"))
    model.compile(**{key: _READERS[key](value) if key in _READERS else value for key, value in config.items()})


def _each(read):
    """A reader of one, of a list, or of a dict of such configs; names stay names."""

    def read_all(value):
        if isinstance(value, (list, tuple)):
            return [read_all(one) for one in value]
        if isinstance(value, dict) and "class_name" not in value:
            return {key: read_all(one) for key, one in value.items()}
        return read(value) if isinstance(value, dict) else value

    return read_all


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
