"""Recurrent layers: each is one operation, whose gradient is derived by hand (backpropagation through time).

The inputs of all steps are multiplied with the kernel at once, a = x W. Then one launch walks through the steps. Its
gradient walks back and gives that of what was activated, for all steps; that of the weights are products again.

Below, V is the recurrent kernel, b the bias, f the activation and s the recurrent activation. Their derivatives are
functions of their values: see FUNCTIONS in kernels/recurrence.py. The operations overwrite a with the gates.
"""

import numpy as np

from minigrad import kernels as K
from minigrad.kernels.recurrence import walks
from minigrad.program import empty, launch
from minigrad.tensor import constant, op

_WIDE = 32  # the most columns of a tile
_NOBODY = np.zeros((1, 1), bool)  # the mask where there is none


class Walk:
    """How a recurrent layer walks through its steps, and what it returns.

    Args:
        steps: how many there are.
        functions: the names of the activation and of the recurrent activation in kernels.recurrence.FUNCTIONS.
        backwards: whether the last one is the first.
        sequences: whether the outputs of all steps are wanted, or only the last one.
        states: whether the last states are wanted, too.
        mask: an array (n, steps) of bools, or None. A step that is not in it leaves the state as it is, and repeats the
            output of the step before (at first 0).
        zeros: whether its output is 0 instead.
        ordered: whether the outputs of a walk backwards are in the order of the inputs.
        factors: an array (gates n, u), or None: what the state is multiplied with before its product for each gate.
    """

    def __init__(
        self, steps, functions, backwards=False, sequences=False, states=False, mask=None, zeros=False, ordered=False,
        factors=None,
    ):  # fmt: skip
        self.steps, self.functions, self.sequences, self.states = steps, functions, sequences, states
        self.factors = factors
        self.mask = _NOBODY if mask is None else mask
        flags = backwards, sequences, mask is not None, zeros, states, ordered, factors is not None
        self.order = constant(np.int64, steps, *map(bool, flags), functions[0] == "relu")

    def width(self, units, states):
        """The columns of the result: the outputs side by side, and `states` states behind them."""
        return units * ((self.steps if self.sequences else 1) + (states if self.states else 0))


def _walk(kind, y, a, v, bias, states, how):
    """Fill y, and return the vjp, for a kind of layer that K.recurrence knows. The gates take the place of a.

    Each gate has a product of its own where `how.factors` are given: then `taken` keeps what it was a product of.
    """
    (n, u), k, dtype, (forward, back) = states[0].shape, v.shape[1], y.dtype, walks(kind, *how.functions)
    nothing, is_factored = constant(dtype, 0.0), how.factors is not None
    blocks = k // u if is_factored else 1
    room = blocks, u * (k // blocks) + (u + k // blocks) * _WIDE
    factors, c0 = how.factors if is_factored else nothing, states[1] if len(states) > 1 else nothing

    def memory(columns, is_needed=True):
        return empty((n, columns) if is_needed else (1, 1), dtype)

    gates, packed, before = a.reshape(n, -1), empty(room, dtype), memory(how.steps * u)
    kept, taken = memory((how.steps + 1) * u, kind in ("lstm", "gru")), memory(how.steps * k, is_factored)
    launch(K.pack_columns, v, packed)
    launch(forward, packed, bias, states[0], c0, how.mask, how.order, factors, gates, before, kept, taken, y)

    def vjp(gy, ga, gv, gbias, *gstates):
        dz = memory(how.steps * k) if ga is None else ga.reshape(gates.shape)
        da, packed = memory(how.steps * k, kind == "gru"), empty(room, dtype)
        firsts = [memory(u) if g is None else g for g in gstates] + [memory(1, False)] * (2 - len(gstates))
        launch(K.pack_rows, v, packed)
        launch(back, gy, gates, packed, how.mask, how.order, before, kept, factors, dz, da, *firsts)
        dz = dz.reshape(-1, k)
        da = da.reshape(-1, k) if kind == "gru" else dz
        if gbias is not None:
            for row, d in zip(range(len(gbias)), (dz, da)):
                launch(K.sum_rows, d, gbias[row : row + 1])
        if gv is not None and blocks == 1:
            launch(K.matmul_tn, (taken if is_factored else before).reshape(-1, u), da, gv)
        elif gv is not None:
            _products_of_gates(taken.reshape(-1, k), da, gv)

    return vjp


def _products_of_gates(a, b, y):
    """y = a^T b, for the columns of each gate alone."""
    u = len(y)
    for first in range(0, y.shape[1], u):
        place, parts = constant(np.int64, first), [empty((len(a), u), y.dtype) for _ in (a, b)]
        for whole, part in zip((a, b), parts):
            launch(K.get_columns, whole, place, part)
        product = empty((u, u), y.dtype)
        launch(K.matmul_tn, *parts, product)
        launch(K.put_columns, product, place, y)


@op("(...,k), (u,k), (k), (n,u) -> (n,w)")
def simple_rnn(y, a, recurrent_kernel, bias, h0, w, how):
    """h_t = f(z_t),   z_t = a_t + h_t-1 V + b.

    h_t acts on the loss as the output of its step, and through z_t+1. So with s_t = dL/dh_t, from the last step on:

        s_t = dy_t + dz_t+1 V^T,   dz_t = s_t f'(z_t),   f' = 1 - h_t^2 for tanh,   dh_0 = dz_1 V^T,
        da_t = dz_t,   dV = sum_t h_t-1^T dz_t,   db = sum_t dz_t.

    `how` is a Walk, and w its width. With its factors m (dropout of the state, the same in all steps), z_t = a_t +
    (m h_t-1) V + b: so s_t = dy_t + m (dz_t+1 V^T), and dV = sum_t (m h_t-1)^T dz_t. Of several gates each has factors
    of its own, and columns of V. (Elman, Finding structure in time, 1990; Gal and Ghahramani, 2016.)
    """
    return _walk("simple_rnn", y, a, recurrent_kernel, bias, [h0], how)


@op("(...,k), (u,k), (k), (n,u), (n,u) -> (n,w)")
def lstm(y, a, recurrent_kernel, bias, h0, c0, w, how):
    """c_t = f c_t-1 + i g,   h_t = o f(c_t),   gates i, f, o = s, g = f of [i f g o] = a_t + h_t-1 V + b.

    Let s_t = dL/dh_t and r_t = dL/dc_t. The cell acts on the loss through h_t and through c_t+1, of which it is a
    summand times f_t+1: so its gradient is carried back without a product, which is why it need not vanish.
    For tanh and the sigmoid,

        s_t = dy_t + dz_t+1 V^T,   r_t = r_t+1 f_t+1 + s_t o (1 - tanh(c_t)^2),
        dz_i = r_t g i (1 - i),   dz_f = r_t c_t-1 f (1 - f),   dz_g = r_t i (1 - g^2),
        dz_o = s_t tanh(c_t) o (1 - o).

    From dz the rest follows as for `simple_rnn`. (Hochreiter and Schmidhuber, Long short-term memory, 1997; with the
    forget gate of Gers et al., 2000.)
    """
    return _walk("lstm", y, a, recurrent_kernel, bias, [h0, c0], how)


@op("(...,k), (u,k), (b,k), (n,u) -> (n,w)")
def gru(y, a, recurrent_kernel, bias, h0, w, how):
    """h_t = z h_t-1 + (1 - z) g,   z, r = s of p + q,   g = f(p_g + r q_g),

    where p = a_t + b_1 and q = h_t-1 V + b_2 have the columns z, r, g.

    The reset gate r acts after the product with V. Let s_t = dL/dh_t. For tanh and the sigmoid,

        dp_g = s_t (1 - z) (1 - g^2),   dp_z = s_t (h_t-1 - g) z (1 - z),   dp_r = dp_g q_g r (1 - r),
        dq_z = dp_z,   dq_r = dp_r,   dq_g = dp_g r,   s_t-1 = dy_t-1 + s_t z + dq V^T.

    W and b_1 get their gradients from dp, V and b_2 from dq, as for `simple_rnn`. (Cho et al., 2014.)
    """
    return _walk("gru", y, a, recurrent_kernel, bias, [h0], how)


@op("(...,k), (u,k), (k), (n,u) -> (n,w)")
def gru_before(y, a, recurrent_kernel, bias, h0, w, how):
    """h_t = z h_t-1 + (1 - z) g,   z, r = s of p,   g = f(p_g),   p = a_t + b + [h_t-1 V_z, h_t-1 V_r, (r h_t-1) V_g].

    The reset gate r acts before the product with V, so that a step has two products. With the gradient e_t of r h_t-1,

        dp_g = s_t (1 - z) (1 - g^2),   e_t = dp_g V_g^T,   dp_z = s_t (h_t-1 - g) z (1 - z),
        dp_r = e_t h_t-1 r (1 - r),   s_t-1 = dy_t-1 + s_t z + e_t r + dp_z V_z^T + dp_r V_r^T,
        dV_z = sum_t h_t-1^T dp_z,   dV_r = sum_t h_t-1^T dp_r,   dV_g = sum_t (r h_t-1)^T dp_g.

    `how` has factors, see `simple_rnn`: ones where no state is dropped. (Cho et al., 2014, in its first version.)
    """
    return _walk("gru_before", y, a, recurrent_kernel, bias, [h0], how)
