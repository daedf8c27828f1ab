"""Extremes, means, variances and norms: composed of other operations."""

import math

from minigrad import config
from minigrad.ops.elementwise import (
    _scale,
    absolute,
    add,
    divide,
    maximum,
    multiply,
    negative,
    power,
    sqrt,
    square,
    subtract,
)
from minigrad.ops.reducing import _max, argmax, broadcast_to, sum
from minigrad.ops.shaping import cast, expand_dims, moveaxis
from minigrad.tensor import as_tensor


def max(x, axis=None, keepdims=False, initial=None):
    """Maximum over all axes, or over `axis` (and `initial`); a NaN wins. Equal maxima share the gradient."""
    if initial is not None and as_tensor(x).size == 0:
        return add(sum(x, axis, keepdims), float(initial))
    y = _max(x, axis, keepdims)
    return y if initial is None else maximum(y, float(initial))


def min(x, axis=None, keepdims=False, initial=None):
    """Minimum over all axes, or over `axis` (and `initial`); a NaN wins. Equal minima share the gradient."""
    return negative(max(negative(x), axis, keepdims, None if initial is None else -float(initial)))


def amax(x, axis=None, keepdims=False):
    """`max` without `initial`."""
    return max(x, axis, keepdims)


def amin(x, axis=None, keepdims=False):
    """`min` without `initial`."""
    return min(x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """The index of the first smallest element along `axis` (None: among all), as int64. Not differentiable."""
    return argmax(negative(x), axis, keepdims)


def mean(x, axis=None, keepdims=False):
    """Mean over all axes, or over `axis`."""
    x = as_tensor(x)
    y = sum(x, axis, keepdims)
    return _scale(y, factor=y.size / x.size if x.size else math.nan)


def average(x, axis=None, weights=None):
    """The weighted mean sum(weights x) / sum(weights), over all axes or over `axis`.

    The weights have the shape of x, or are a row with one weight per index along `axis`.
    """
    x = as_tensor(x)
    if weights is None:
        return mean(x, axis)
    x = x if x.dtype.kind == "f" else cast(x, config.floatx())
    weights = cast(as_tensor(weights, x.dtype), x.dtype)
    if weights.shape != x.shape:
        if not isinstance(axis, int) or weights.shape != (x.shape[axis],):
            raise ValueError(
                f"average expects weights of the shape of x, {x.shape}, or one for each place along the axis {axis}; "
                f"got {weights.shape}."
            )
        for _ in range(x.ndim - 1):
            weights = expand_dims(weights, 0)
        weights = moveaxis(weights, -1, axis)
    weights = broadcast_to(weights, x.shape)
    return divide(sum(multiply(x, weights), axis), sum(weights, axis))


def var(x, axis=None, keepdims=False):
    """Variance (biased: divided by the number of elements) over all axes, or over `axis`."""
    return mean(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)


def std(x, axis=None, keepdims=False):
    """Standard deviation (biased) over all axes, or over `axis`."""
    return sqrt(var(x, axis, keepdims))


def moments(x, axes, keepdims=False, synchronized=False):
    """(mean, variance) over `axes`."""
    if synchronized:
        raise ValueError("moments: synchronized=True needs several processes.")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def norm(x, ord=None, axis=None, keepdims=False):
    """The p-norm (sum |x|^p)^(1/p) of the vectors along `axis`, an int, with p = `ord`: 2 (None), 1, inf or any other.

    For matrices (two axes) and for all elements (no axis), `ord` must be None or "fro": the root of the sum of squares.
    Its gradient x / norm is NaN where the norm is 0.
    """
    x = as_tensor(x)
    is_vector = isinstance(axis, int) or (axis is None and x.ndim == 1)
    if ord is None or (ord == 2 and is_vector) or (ord == "fro" and not is_vector):
        return sqrt(sum(square(x), axis, keepdims))
    if not is_vector or isinstance(ord, str) or ord == 0:
        raise ValueError(f"norm knows ord=None, and over one axis numbers; got ord={ord!r}, axis={axis} of {x.shape}.")
    if math.isinf(ord):
        return (max if ord > 0 else min)(absolute(x), axis, keepdims)
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    return power(sum(power(absolute(x), float(ord)), axis, keepdims), 1.0 / ord)


def normalize(x, axis=-1, order=2, epsilon=None):
    """x / max(norm, epsilon) along `axis`: all vectors get the length 1, but for zeros."""
    if not order >= 1:
        raise ValueError(f"normalize: order must be 1 or more, got {order!r}.")
    smallest = config.epsilon() if epsilon is None else float(epsilon)
    if order == 2:  # the maximum is taken first, since the root of 0 has no derivative
        return divide(x, sqrt(maximum(sum(square(x), axis, keepdims=True), smallest**2)))
    return divide(x, maximum(norm(x, order, axis, keepdims=True), smallest))
