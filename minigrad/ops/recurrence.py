"""Recurrent layers: each is one operation, whose gradient is derived by hand (backpropagation through time).

The inputs of all steps are multiplied with the kernel at once. Then one launch walks through the steps. Its gradient
walks back and gives that of what was activated, for all steps; the gradients of the weights are products again.
"""

import numpy as np

from minigrad import kernels as K
from minigrad.program import empty, launch
from minigrad.tensor import constant, op

_WIDE = 32  # the most columns of a tile
_NOBODY = np.zeros((1, 1), bool)  # the mask where there is none


class Walk:
    """How a recurrent layer walks through its steps, and what it returns.

    Args:
        steps: how many there are.
        backwards: whether the last one is the first.
        sequences: whether the outputs of all steps are wanted, or only the last one.
        states: whether the last states are wanted, too.
        mask: an array (n, steps) of bools, or None. A step that is not in it leaves the state as it is, and repeats the
            output of the step before (at first 0).
        zeros: whether its output is 0 instead.
        relu: whether the activation is relu instead of tanh.
        ordered: whether the outputs of a walk backwards are in the order of the inputs.
    """

    def __init__(
        self, steps, backwards=False, sequences=False, states=False, mask=None, zeros=False, relu=False, ordered=False
    ):
        self.steps, self.sequences, self.states = steps, sequences, states
        self.mask = _NOBODY if mask is None else mask
        flags = backwards, sequences, mask is not None, zeros, states, relu, ordered
        self.order = constant(np.int64, steps, *map(bool, flags))

    def width(self, units, states):
        """The columns of the result: the outputs side by side, and `states` states behind them."""
        return units * ((self.steps if self.sequences else 1) + (states if self.states else 0))


def _walked(kernel, y, x, w, v, bias, h0, c0, how):
    """Fill y. Returns what the gradient needs: the gates, the states before each step, and what else was kept."""
    (n, u), k = h0.shape, v.shape[1]
    gates, packed = empty((n * how.steps, k), y.dtype), empty((1, u * k + (u + k) * _WIDE), y.dtype)
    before = empty((n, how.steps * u), y.dtype)
    kept = empty((1, 1) if k == u else (n, (how.steps + 1) * u), y.dtype)
    launch(K.affine, x, w, bias[:1], gates)
    launch(K.pack_columns, v, packed)
    gates = gates.reshape(n, how.steps * k)
    launch(kernel, packed, bias[-1:], h0, c0, how.mask, how.order, gates, before, kept, y)
    return gates, before, kept


def _walked_back(kernel, gy, v, gates, before, kept, how, buffers):
    """The gradients (dz, da) of what is activated: what the inputs add, and what the states add.

    `buffers` are those of the first states.
    """
    (n, _), (u, k), dtype = gy.shape, v.shape, gy.dtype
    packed, dz = empty((1, u * k + (u + k) * _WIDE), dtype), empty(gates.shape, dtype)
    da = empty(gates.shape if kernel is K.gru_vjp else (1, 1), dtype)
    firsts = [empty((n, u), dtype) if buffer is None else buffer for buffer in buffers]
    firsts += [empty((1, 1), dtype)] * (2 - len(firsts))
    launch(K.pack_rows, v, packed)
    launch(kernel, gy, gates, packed, how.mask, how.order, before, kept, dz, da, *firsts)
    return dz.reshape(-1, k), da.reshape(-1, k) if kernel is K.gru_vjp else dz.reshape(-1, k)


def _products(x, w, before, dz, da, gx, gw, gv, gbias):
    """The gradients of the inputs, of both kernels, and of the bias, or of both biases."""
    if gbias is not None:
        launch(K.sum_rows, dz, gbias[:1])
        if len(gbias) > 1:
            launch(K.sum_rows, da, gbias[1:])
    if gw is not None:
        launch(K.matmul_tn, x, dz, gw)
    if gv is not None:
        launch(K.matmul_tn, before.reshape(len(da), -1), da, gv)
    if gx is not None:
        launch(K.matmul_nt, dz, w, gx)


@op("(...,f), (f,k), (u,k), (k), (n,u) -> (n,w)")
def simple_rnn(y, x, kernel, recurrent_kernel, bias, h0, w, how):
    """h_t = f(z_t),   z_t = x_t W + h_t-1 V + b,   f = tanh (or relu).

    h_t acts on the loss as the output of its step, and through z_t+1. So with s_t = dL/dh_t, from the last step on:

        s_t = dy_t + dz_t+1 V^T,   dz_t = s_t f'(z_t),   f' = 1 - h_t^2 for tanh,   dh_0 = dz_1 V^T,
        dW = sum_t x_t^T dz_t,   dV = sum_t h_t-1^T dz_t,   db = sum_t dz_t,   dx_t = dz_t W^T.

    `how` is a Walk, and w its width. (Elman, Finding structure in time, 1990.)
    """
    nothing = constant(y.dtype, 0.0)
    gates, before, kept = _walked(K.simple_rnn, y, x, kernel, recurrent_kernel, bias, h0, nothing, how)

    def vjp(gy, gx, gkernel, grecurrent, gbias, gh0):
        dz, da = _walked_back(K.simple_rnn_vjp, gy, recurrent_kernel, gates, before, kept, how, [gh0])
        _products(x, kernel, before, dz, da, gx, gkernel, grecurrent, gbias)

    return vjp


@op("(...,f), (f,k), (u,k), (k), (n,u), (n,u) -> (n,w)")
def lstm(y, x, kernel, recurrent_kernel, bias, h0, c0, w, how):
    """c_t = f c_t-1 + i g,   h_t = o tanh(c_t),   gates i, f, o = sigmoid, g = tanh of [i f g o] = x_t W + h_t-1 V + b.

    Let s_t = dL/dh_t and r_t = dL/dc_t. The cell acts on the loss through h_t and through c_t+1, of which it is a
    summand times f_t+1: so its gradient is carried back without a product, which is why it need not vanish.

        s_t = dy_t + dz_t+1 V^T,   r_t = r_t+1 f_t+1 + s_t o (1 - tanh(c_t)^2),
        dz_i = r_t g i (1 - i),   dz_f = r_t c_t-1 f (1 - f),   dz_g = r_t i (1 - g^2),
        dz_o = s_t tanh(c_t) o (1 - o).

    From dz the rest follows as for `simple_rnn`. With relu for tanh, its derivative stands in place of 1 - (...)^2.
    (Hochreiter and Schmidhuber, Long short-term memory, 1997; with the forget gate of Gers et al., 2000.)
    """
    gates, before, cells = _walked(K.lstm, y, x, kernel, recurrent_kernel, bias, h0, c0, how)

    def vjp(gy, gx, gkernel, grecurrent, gbias, gh0, gc0):
        dz, da = _walked_back(K.lstm_vjp, gy, recurrent_kernel, gates, before, cells, how, [gh0, gc0])
        _products(x, kernel, before, dz, da, gx, gkernel, grecurrent, gbias)

    return vjp


@op("(...,f), (f,k), (u,k), (b,k), (n,u) -> (n,w)")
def gru(y, x, kernel, recurrent_kernel, bias, h0, w, how):
    """h_t = z h_t-1 + (1 - z) g,   z, r = sigmoid(a + q),   g = tanh(a_g + r q_g),

    where a = x_t W + b_1 and q = h_t-1 V + b_2 have the columns z, r, g.

    The reset gate r acts after the product with V. Let s_t = dL/dh_t. Then

        da_g = s_t (1 - z) (1 - g^2),   da_z = s_t (h_t-1 - g) z (1 - z),   da_r = da_g q_g r (1 - r),
        dq_z = da_z,   dq_r = da_r,   dq_g = da_g r,   s_t-1 = dy_t-1 + s_t z + dq V^T.

    W and b_1 get their gradients from da, V and b_2 from dq, as for `simple_rnn`. (Cho et al., 2014.)
    """
    nothing = constant(y.dtype, 0.0)
    gates, before, kept = _walked(K.gru, y, x, kernel, recurrent_kernel, bias, h0, nothing, how)

    def vjp(gy, gx, gkernel, grecurrent, gbias, gh0):
        dz, da = _walked_back(K.gru_vjp, gy, recurrent_kernel, gates, before, kept, how, [gh0])
        _products(x, kernel, before, dz, da, gx, gkernel, grecurrent, gbias)

    return vjp
