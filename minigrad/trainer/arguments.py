"""The checks of what `compile`, `fit`, `evaluate` and `predict` are called with."""


from minigrad import config
from minigrad.checks import is_int, warn


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
