"""Mean, variance and minimum: composed of other operations."""

import math

from minigrad.ops.elementwise import _scale, negative, sqrt, square, subtract
from minigrad.ops.reducing import max, sum
from minigrad.tensor import as_tensor


def min(x, axis=None, keepdims=False):
    """Minimum over all axes, or over `axis`; a NaN wins. Equal minima share the gradient."""
    return negative(max(negative(x), axis, keepdims))


def mean(x, axis=None, keepdims=False):
    """Mean over all axes, or over `axis`."""
    x = as_tensor(x)
    y = sum(x, axis, keepdims)
    return _scale(y, factor=y.size / x.size if x.size else math.nan)


def var(x, axis=None, keepdims=False):
    """Variance (biased: divided by the number of elements) over all axes, or over `axis`."""
    return mean(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)


def std(x, axis=None, keepdims=False):
    """Standard deviation (biased) over all axes, or over `axis`."""
    return sqrt(var(x, axis, keepdims))
