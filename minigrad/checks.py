"""Checks of arguments that many files need; and warnings."""

import contextlib
import sys
import warnings

import numpy as np


def is_int(value, least=None):
    """Whether `value` is an integer (bools are not), and not below `least`."""
    value = value[()] if isinstance(value, np.ndarray) and not value.ndim else value  # such as tensor.numpy()
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return is_integer and (least is None or value >= least)


def is_own(cls):
    """Whether a class (or a function) is minigrad's own, and not a user's."""
    return str(cls.__module__).startswith("minigrad.")  # None in code that `exec` runs without a name


def is_number(value):
    """Whether `value` is an integer or a floating-point number (bools are not)."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


@contextlib.contextmanager
def extra(purpose, packages):
    """Context manager for the import of what only some need; an ImportError says for what, and how to install it."""
    try:
        yield
    except ImportError:
        raise ImportError(f"{purpose}, which is not installed: pip install {packages}.") from None


def warn(message):
    """Warn with a message. The warning points to the line outside of minigrad that led to it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("minigrad."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
