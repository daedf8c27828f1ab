"""The checks of what `compile`, `fit`, `evaluate` and `predict` are called with."""

import numpy as np

from minigrad import config, losses
from minigrad.metrics import lookup


def kind_of(value):
    return "None" if value is None else f"a {type(value).__name__}"


def whole_number(name, value, least, optional=False):
    """An argument that counts something, as an int."""
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an int, got {value!r} ({type(value).__name__}).")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    return int(value)


def verbosity(verbose):
    if verbose == "auto":
        return int(config.is_interactive_logging_enabled())
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {verbose!r}.")
    return int(verbose)


def validation_epochs(freq):
    """Whether an epoch (from 0) is one to validate after."""
    if isinstance(freq, int) and not isinstance(freq, bool) and freq >= 1:
        return lambda epoch: (epoch + 1) % freq == 0
    if isinstance(freq, (list, tuple, set)):
        return lambda epoch: epoch + 1 in freq
    raise ValueError(f"validation_freq must be a positive int or a list of epochs from 1, got {freq!r}.")


def check_loss(loss):
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        (loss,) = loss
    if lookup.kind_by_shape(loss) != "crossentropy":
        losses.get(loss)
    return loss


def check_metric(metric):
    if lookup.kind_by_shape(metric) is not None:
        return
    if metric is None or (not isinstance(metric, str) and not callable(metric) and not isinstance(metric, dict)):
        raise ValueError(f"metrics must be names, Metric instances or functions; got {metric!r}.")
    lookup.check(metric)
