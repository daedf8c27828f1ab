"""The checks of what `compile`, `fit`, `evaluate` and `predict` are called with."""


from minigrad import config, losses
from minigrad.checks import is_int, warn
from minigrad.metrics import lookup


def kind_of(value):
    return "None" if value is None else f"a {type(value).__name__}"


def whole_number(name, value, least, optional=False):
    """An argument that counts something, as an int."""
    if value is None and optional:
        return None
    if not is_int(value):
        raise TypeError(f"{name} must be an int, got {value!r} ({type(value).__name__}).")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    return int(value)


def verbosity(verbose):
    if verbose == "auto":
        return int(config.is_interactive_logging_enabled())
    if verbose is None:
        return 0
    if not isinstance(verbose, bool) and not is_int(verbose, 0):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2 (more: only the numbers of epochs), got {verbose!r}.")
    return int(verbose)


def warn_of_missing(steps, done):
    """Warn where fewer batches came than were asked for."""
    if steps is not None and done < steps:
        warn(f"The data ran out after {done} of {steps} steps.")


def validation_epochs(freq):
    """Whether an epoch (from 0) is one to validate after."""
    if is_int(freq, 1):
        return lambda epoch: (epoch + 1) % freq == 0
    if isinstance(freq, (list, tuple, set)):
        return lambda epoch: epoch + 1 in freq
    raise ValueError(f"validation_freq must be a positive int or a list of epochs from 1, got {freq!r}.")


def check_loss(loss):
    is_config = isinstance(loss, dict) and not loss.keys().isdisjoint({"class_name", "config"})
    if isinstance(loss, dict) and not is_config and len(loss) == 1:
        loss = list(loss.values())
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        (loss,) = loss
    if isinstance(loss, (list, tuple)) or (isinstance(loss, dict) and not is_config):
        raise ValueError(
            f"loss must be one loss, since what is trained has one output here; got {loss!r}. Join the outputs, "
            "ops.concatenate(outputs, axis=-1), and take them apart in a loss function, or override compute_loss."
        )
    if lookup.kind_by_shape(loss) != "crossentropy":
        losses.get(loss)
    return loss


def metric_list(what, given):
    """The checked metrics as a list; None if nothing was given. One list or dict inside is that of the one output."""
    if given is None:
        return None
    found = list(given.values()) if isinstance(given, dict) else given
    if isinstance(found, (list, tuple)) and len(found) == 1 and isinstance(found[0], (list, tuple)):
        (found,) = found
    if not isinstance(found, (list, tuple)) or (isinstance(given, dict) and len(given) != 1):
        raise ValueError(
            f"{what} must be a list, such as ['accuracy'], or a dict with one entry, since there is one output; got "
            f"{given!r} ({type(given).__name__})."
        )
    for one in found:
        check_metric(one)
    return list(found)


def check_metric(metric):
    if lookup.kind_by_shape(metric) is not None:
        return
    if metric is None or (not isinstance(metric, str) and not callable(metric) and not isinstance(metric, dict)):
        raise ValueError(f"metrics must be names, Metric instances or functions; got {metric!r}.")
    lookup.check(metric)
