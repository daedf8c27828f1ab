"""What an argument is, wherever it is checked."""

import numpy as np


def is_int(value, least=None):
    """Whether it is an integer (a bool is none), and not below `least`."""
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return is_integer and (least is None or value >= least)


def is_number(value):
    """Whether it is an integer or a floating-point number (a bool is none)."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
