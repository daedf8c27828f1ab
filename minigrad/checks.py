"""What an argument is, wherever it is checked; and warnings."""

import sys
import warnings

import numpy as np


def is_int(value, least=None):
    """Whether it is an integer (a bool is none), and not below `least`."""
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return is_integer and (least is None or value >= least)


def is_own(cls):
    """Whether a class is minigrad's own, and not a user's."""
    return cls.__module__.startswith("minigrad.")


def is_number(value):
    """Whether it is an integer or a floating-point number (a bool is none)."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def warn(message):
    """Warn of something; the warning points to the line outside of minigrad from which it came."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("minigrad."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
