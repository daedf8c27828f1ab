"""Repeating along axes and reducing over them: each is the derivative of the other."""

import builtins
import functools
import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.shaping import _places, _rearrange, cast, constant_tensor, transpose
from minigrad.program import empty, launch
from minigrad.tensor import as_tensor, constant, from_kernels, op, view


@op("(n) -> (m,n)")
def _repeat_first(y, x, m):
    """y_ij = x_j; gx_j = sum over i of gy_ij."""
    launch(K.repeat_row, x, y)

    def vjp(gy, gx):
        launch(K.sum_rows, gy, gx)

    return vjp


@op("(...) -> (...,n)")
def _repeat_last(y, x, n):
    """y_ij = x_i; gx_i = sum over j of gy_ij."""
    launch(K.repeat_column, x, y)

    def vjp(gy, gx):
        launch(K.sum_columns, gy, gx)

    return vjp


_sum_first = from_kernels(
    "(m,n) -> (n)", "sum_first", "y_j = sum over i of x_ij; gx_ij = gy_j.", K.sum_rows, K.repeat_row
)
_sum_last = from_kernels(
    "(...,n) -> (...)", "sum_last", "y_i = sum over j of x_ij; gx_ij = gy_i.", K.sum_columns, K.repeat_column
)


@op("(...) -> ()")
def mean_all(y, x):
    """y = mean of all x;   dx = dy / n."""
    share = constant(x.dtype, 1.0 / x.size if x.size else math.nan)
    launch(K.mean_all, x, share, y)

    def vjp(gy, gx):
        launch(K.fill_scaled, gy, share, gx)

    return vjp


@op("(...) -> ()")
def penalty(y, x, l1, l2):
    """y = l1 sum |x| + l2 sum x^2;   dx = dy (l1 sign(x) + 2 l2 x), the sign of 0 being 0."""
    settings = constant(x.dtype, l1, l2)
    launch(K.penalty, x, settings, y)

    def vjp(gy, gx):
        launch(K.penalty_vjp, gy, x, settings, gx)

    return vjp


_max_last = from_kernels(
    "(...,n) -> (...)", "max_last", "y_i = max over j of x_ij; equal maxima share the gradient, as in TensorFlow.",
    K.max_columns, K.max_columns_vjp, "xy",
)


@op("(r,n) -> (m,n)")
def _sum_middle(y, x, m):
    """y_kj = sum of the r / m rows of x that belong to row k; gx_ij = gy_kj."""
    launch(K.sum_middle, x, y)

    def vjp(gy, gx):
        launch(K.repeat_middle, gy, gx)

    return vjp


@op("(r,n) -> (m,n)")
def _max_middle(y, x, m):
    """y_kj = max of the r / m rows of x that belong to row k; equal maxima share the gradient, as in TensorFlow."""
    launch(K.max_middle, x, y)

    def vjp(gy, gx):
        launch(K.max_middle_vjp, gy, x, y, gx)

    return vjp


def broadcast_to(x, shape):
    """Repeat `x` along new axes and along its axes of length one, so that it has `shape`."""
    x, shape = as_tensor(x), tuple(shape)
    if x.shape == shape:
        return x
    try:
        places = np.broadcast_to(_places(x), shape)
    except ValueError:
        raise ValueError(f"{x.shape} can't be broadcast to {shape}.") from None
    padded = (1,) * (len(shape) - x.ndim) + x.shape
    own = [i for i, n in enumerate(padded) if n != 1]
    if not own or padded[own[0] :] == shape[own[0] :]:
        return view(_repeat_first(view(x, (x.size,)), m=math.prod(shape) // builtins.max(x.size, 1)), shape)
    if padded[: own[-1] + 1] == shape[: own[-1] + 1]:
        return view(_repeat_last(view(x, (x.size,)), n=math.prod(shape) // builtins.max(x.size, 1)), shape)
    return _rearrange(x, places)


def _axes(axis, x):
    """The axes that `axis` (an int, several, or None for all) names, as a list of ints >= 0."""
    if axis is None:
        return list(range(x.ndim))
    axes = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    if builtins.any(not -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"axis {axis} is out of range for a tensor of shape {x.shape}.")
    return [a % x.ndim for a in axes]


def _reduce(first, last, x, axis, keepdims, middle=None):
    """Reduce over axes: `first` reduces the first of two axes, `last` the last one, and one of them is enough.

    `middle` reduces axes between others, which spares it to bring them together in memory.
    """
    x = as_tensor(x)
    if x.dtype.kind != "f":
        x = cast(x, config.floatx())
    axes = sorted(set(_axes(axis, x)))
    rest = [a for a in range(x.ndim) if a not in axes]
    kept = tuple(x.shape[a] for a in rest)
    final = tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else kept
    if axes and rest and axes[-1] < rest[0]:
        y = first(view(x, (x.size // builtins.max(math.prod(kept), 1), math.prod(kept))))
    elif middle and axes and rest and x.size and axes == list(range(axes[0], axes[-1] + 1)) and axes[-1] < x.ndim - 1:
        before, after = math.prod(x.shape[: axes[0]]), math.prod(x.shape[axes[-1] + 1 :])
        y = middle(view(x, (x.size // after, after)), m=before)
    else:
        y = last(view(transpose(x, rest + axes), (math.prod(kept), math.prod(x.shape[a] for a in axes))))
    return view(y, final)


def sum(x, axis=None, keepdims=False):
    """Sum over all axes, or over `axis` (an int or a tuple)."""
    return _reduce(_sum_first, _sum_last, x, axis, keepdims, _sum_middle)


def _max(x, axis, keepdims):
    """Maximum over `axis`; equal maxima share the gradient."""
    x = as_tensor(x)
    if 0 in [x.shape[a] for a in _axes(axis, x)]:
        raise ValueError(f"There is no maximum or minimum over axis {axis} of shape {x.shape}: it has no elements.")
    return _reduce(functools.partial(_max_middle, m=1), _max_last, x, axis, keepdims, _max_middle)


def argmax(x, axis=None, keepdims=False):
    """The index of the first largest element along `axis` (None: among all), as int64. Not differentiable."""
    x = as_tensor(x)
    axes = _axes(axis, x)
    rest = [a for a in range(x.ndim) if a not in axes]
    length = math.prod(x.shape[a] for a in axes)
    if length == 0:
        raise ValueError(f"There is no largest element along axis {axis} of shape {x.shape}: it has no elements.")
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else [x.shape[a] for a in rest]
    y = empty(shape, np.int64)
    launch(K.argmax_columns, transpose(x, rest + axes)._data.reshape(-1, length), y.reshape(-1, 1))
    return constant_tensor(y)
