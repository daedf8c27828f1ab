"""How large the weights of a file may be, and functions of shapes."""

import contextlib
import math
import threading

import numpy as np


class _Allowance(threading.local):
    elements = None  # how many the weights that are made from now on may have together; None: any number


_allowance = _Allowance()


@contextlib.contextmanager
def weights_of_a_file(elements):
    """Context manager: inside, variables start as zeros, and together have at most so many elements.

    The values will come from a file, and `elements` is as many as it can hold. So a file of 12 kB that describes a
    layer of 10^12 units is refused before memory is taken.
    """
    before, _allowance.elements = _allowance.elements, elements
    try:
        yield
    finally:
        _allowance.elements = before


def start(layer, name, shape, initializer):
    """The initializer of a new variable: the given one, or zeros if the layer is read from a file.

    Raises:
        ValueError: the file is too short to hold the variable.
    """
    if _allowance.elements is None:
        return initializer
    _allowance.elements -= math.prod(shape)
    if _allowance.elements < 0:
        raise ValueError(
            f"Layer {layer.name!r}: the weight {name!r} of shape {shape} is larger than all that the file holds."
        )
    return np.zeros


def any_rows(shape):
    return (None, *shape[1:])


def each_shape(function, shape):
    """`function` of a shape, which is a tuple; or a list or dict of its results for a list or dict of shapes."""
    if isinstance(shape, dict):
        return {key: each_shape(function, one) for key, one in shape.items()}
    if shape and all(isinstance(one, (list, tuple, dict)) for one in shape):
        return [each_shape(function, one) for one in shape]
    return function(tuple(shape))
