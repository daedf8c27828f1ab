"""Operations that depend on the order along an axis: running sums, products, sorting, picking by index."""

import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.elementwise import greater, less, negative, subtract
from minigrad.ops.functions import isfinite, logical_and
from minigrad.ops.reducing import _axes, _reduce, broadcast_to, sum
from minigrad.ops.shaping import cast, constant_tensor, expand_dims, moveaxis, ravel, squeeze
from minigrad.program import empty, launch
from minigrad.tensor import Tensor, as_tensor, from_kernels, op

_cumsum = from_kernels(
    "(...,n) -> (...,n)", "cumsum", "y_j = x_0 + ... + x_j;   dx_j = dy_j + ... + dy_n.", K.cumulate, K.cumulate_back
)
_prod = from_kernels(
    "(...,n) -> (...)", "prod", "y = product over j of x_j;   dx_j = dy times the product of all others.",
    K.product_columns, K.product_columns_vjp, "x",
)


@op("(...,n) -> (...,k)")
def _take_along(y, x, index, k):
    """y_j = x[index_j];   dx[index_j] += dy_j."""
    launch(K.take_columns, x, index, y)

    def vjp(gy, gx):
        launch(K.take_columns_vjp, gy, index, gx)

    return vjp


def _last(x, axis):
    """x as floats with `axis` moved to the end (None: all elements along one axis), and a function to move it back."""
    x = as_tensor(x)
    x = x if x.dtype.kind == "f" else cast(x, config.floatx())
    if axis is None:
        return ravel(x), lambda y: y
    (axis,) = _axes(axis, x)
    return moveaxis(x, axis, -1), lambda y: moveaxis(y, -1, axis)


def cumsum(x, axis=None, dtype=None):
    """Running sums along `axis` (None: of all elements along one axis)."""
    moved, back = _last(x if dtype is None else cast(x, dtype), axis)
    return back(_cumsum(moved))


def diff(a, n=1, axis=-1):
    """Differences of neighbors along `axis`, taken n times."""
    moved, back = _last(a, axis)
    for _ in range(n):
        moved = subtract(moved[..., 1:], moved[..., :-1])
    return back(moved)


def prod(x, axis=None, keepdims=False, dtype=None):
    """Product over all axes, or over `axis` (an int or a tuple)."""
    flipped = lambda x: _prod(moveaxis(x, 0, -1))
    return _reduce(flipped, _prod, x if dtype is None else cast(x, dtype), axis, keepdims)


def _order(x):
    """The indices that sort x along its last axis, an array of rows."""
    rows = math.prod(x.shape[:-1]), x.shape[-1]
    order = empty(rows, np.int64)
    launch(K.sort_columns, x._data.reshape(rows), empty((1, rows[1]), np.int64), order)
    return order


def argsort(x, axis=-1):
    """The indices that sort x along `axis`, the smallest first and NaN last, as int64. Not differentiable."""
    moved, back = _last(x, axis)
    return back(constant_tensor(_order(moved).reshape(moved.shape)))


def sort(x, axis=-1):
    """The elements along `axis`, the smallest first and NaN last."""
    moved, back = _last(x, axis)
    return back(_take_along(moved, index=_order(moved), k=moved.shape[-1]))


def top_k(x, k, sorted=True):
    """The k largest elements along the last axis, the largest first, and their indices; of equal ones the first."""
    x, _ = _last(x, -1)
    if not 1 <= k <= x.shape[-1]:
        raise ValueError(f"top_k can't find {k} elements along the last axis of {x.shape}.")
    order = constant_tensor(_order(negative(x.detach())).reshape(x.shape))[..., :k]
    return take_along_axis(x, order, -1), order


def take_along_axis(x, indices, axis=None):
    """The elements of x at `indices` along `axis`; both are broadcast along all other axes.

    A negative index counts from the end; an index out of range gives a NaN.
    """
    x = as_tensor(x)
    indices = indices if isinstance(indices, Tensor) else constant_tensor(np.array(indices, np.int64))
    indices = cast(indices, "int64")
    if indices.ndim != x.ndim and axis is not None:
        raise _misfit(x, indices, axis)
    index = ravel(indices) if axis is None else moveaxis(indices, axis, -1)
    moved, back = _last(x, axis)
    if index.shape[:-1] != moved.shape[:-1]:
        try:
            lead = np.broadcast_shapes(index.shape[:-1], moved.shape[:-1])
        except ValueError:
            raise _misfit(x, indices, axis) from None
        index, moved = (broadcast_to(t, (*lead, t.shape[-1])) for t in (index, moved))
    return back(_take_along(moved, index=index._data.reshape(-1, index.shape[-1]), k=index.shape[-1]))


def _misfit(x, indices, axis):
    return ValueError(
        f"take_along_axis expects indices of the shape of x, {x.shape}, but for axis {axis}; got {indices.shape}. "
        "(Axes of length one are broadcast.)"
    )


def in_top_k(targets, predictions, k):
    """Whether fewer than k predictions of a row are larger than that of its target class, as bool.

    False where the target is no class, or its prediction is not finite.
    """
    own = take_along_axis(predictions, expand_dims(cast(targets, "int64"), -1), -1)
    above = sum(cast(greater(predictions, own), config.floatx()), axis=-1)
    return logical_and(less(above, float(k)), isfinite(squeeze(own, -1)))
