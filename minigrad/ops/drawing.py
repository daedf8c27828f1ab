"""Random operations that can be differentiated. `state` is a stream's row [seed, counter]; every draw moves it on."""

import numpy as np

from minigrad import kernels as K
from minigrad.ops.reducing import _axes
from minigrad.ops.shaping import moveaxis, reshape
from minigrad.program import empty, empty_like, launch
from minigrad.tensor import as_tensor, constant, op


@op("(...) -> (...)")
def dropout(y, x, rate, state):
    """y = x / (1 - rate) with probability 1 - rate, else 0, from the stream `state`;   dx = dy likewise."""
    mask = empty_like(x)
    launch(K.dropout, x, constant(x.dtype, rate), state, mask, y)

    def vjp(gy, gx):
        launch(K.multiply, gy, mask, gx)

    return vjp


@op("(m,n) -> (m,n)")
def _shuffle_rows(y, x, state):
    """y_i = x[order_i] for a random order from the stream `state`;   dx[order_i] = dy_i."""
    order, inverse = empty((2, x.shape[0], 1), np.int64)
    first = constant(np.int64, 0)
    launch(K.permutation, state, order, inverse)
    launch(K.gather_rows, x, order, first, y)

    def vjp(gy, gx):
        launch(K.gather_rows, gy, inverse, first, gx)

    return vjp


def shuffle(x, state, axis=0):
    """x with its parts along `axis` in random order, from the stream `state`."""
    x = as_tensor(x)
    (axis,) = _axes(axis, x)
    moved = moveaxis(x, axis, 0)
    rows = reshape(moved, (x.shape[axis], x.size // max(x.shape[axis], 1)))
    return moveaxis(reshape(_shuffle_rows(rows, state=state), moved.shape), 0, axis)
