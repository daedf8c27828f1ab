"""Matrix products."""

import numpy as np

from minigrad import kernels as K
from minigrad.ops.elementwise import _promote
from minigrad.ops.reducing import broadcast_to
from minigrad.ops.shaping import expand_dims, squeeze, stack
from minigrad.program import launch
from minigrad.tensor import op, view

# Up to this many multiplications OpenBLAS has kernels for small products, but none for a b^T: turning b round first
# is faster there, and stays on one thread.
_SMALL_PRODUCT = 1_000_000


def _product_with_transpose(a, b, y):
    """Launch y = a b^T."""
    if b.shape[1] == 1:
        launch(K.outer, a, b, y)
    elif a.shape[0] * b.size <= _SMALL_PRODUCT:
        turned = np.empty((b.shape[1], b.shape[0]), b.dtype)
        launch(K.transpose, b, turned)
        launch(K.matmul, a, turned, y)
    else:
        launch(K.matmul_nt, a, b, y)


@op("(...,k), (k,n) -> (...,n)")
def _matmul(y, a, b):
    """y = a b;   da = dy b^T,   db = a^T dy."""
    launch(K.matmul, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            _product_with_transpose(gy, b, ga)
        if gb is not None:
            launch(K.matmul_tn, a, gy, gb)

    return vjp


def matmul(a, b):
    """Matrix product over the last axis of `a` and the first of the last two of `b`;   da = dy b^T,   db = a^T dy."""
    a, b = _promote(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul multiplies tensors that have axes; got {a.shape} and {b.shape}.")
    if b.ndim == 2:
        return _matmul(a, b)
    if b.ndim == 1:
        return squeeze(_matmul(a, expand_dims(b, 1)), -1)
    if a.ndim == 1:
        return squeeze(matmul(expand_dims(a, 0), b), -2)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = broadcast_to(a, lead + a.shape[-2:]), broadcast_to(b, lead + b.shape[-2:])
    a, b = view(a, (-1, *a.shape[-2:])), view(b, (-1, *b.shape[-2:]))
    y = stack([_matmul(a[i], b[i]) for i in range(len(a))])
    return view(y, lead + y.shape[1:])


@op("(...,n), (n) -> (...,n)")
def bias_add(y, x, b):
    """y = x + b;   dx = dy,   db = sum over the rows of dy."""
    launch(K.add_row, x, b, y)

    def vjp(gy, gx, gb):
        if gx is not None:
            launch(K.copy, gy, gx)
        if gb is not None:
            launch(K.sum_rows, gy, gb)

    return vjp


@op("(...,k), (k,n), (n) -> (...,n)")
def dense(y, x, kernel, bias):
    """y = x kernel + bias;   dx = dy kernel^T,   dkernel = x^T dy,   dbias = sum over the rows of dy."""
    launch(K.matmul, x, kernel, y)
    launch(K.add_row, y, bias, y)

    def vjp(gy, gx, gkernel, gbias):
        if gbias is not None:
            launch(K.sum_rows, gy, gbias)
        if gkernel is not None:
            launch(K.matmul_tn, x, gy, gkernel)
        if gx is not None:
            _product_with_transpose(gy, kernel, gx)

    return vjp
