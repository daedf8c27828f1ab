"""Recurrent layers: a kernel walks through all steps of its samples, forward or back; see `ops.recurrence`.

A row is a sample and holds its steps side by side: the `gates` of an LSTM of u units are (n, steps 4 u). Samples do not
depend on each other, so each thread takes some of them through all steps. Of these a kernel takes a few at a time,
whose states stay in the cache. Step by step it multiplies them with the recurrent kernel, which was brought into the
order of the tiles before. `order` is the row [steps, backwards, sequences, masked, zeros, states, ordered, factored,
relu]:

    backwards   the last step is the first
    sequences   y has the outputs of all steps, else of the last one
    masked      a step that is not in the mask leaves the state as it is, and repeats the output of the step before
    zeros       the output of a step that is not in the mask is 0
    states      behind the outputs, y has the last states
    ordered     the outputs are in the order of the inputs, not in that of the walk
    factored    each gate has a product of its own, of the state times the gate's `factors`, a row per sample
    relu        the activation is relu instead of tanh, of the kernels that have both
"""

import functools

import numpy as np

from minigrad.kernels.functions import expm1_of_gate, log1p_exp, positive_part
from minigrad.kernels.functions import logistic_of_gate as logistic
from minigrad.kernels.functions import tanh_of_gate as tanh
from minigrad.kernels.tiles import add_row, block, pack, pack_turned, packed_panels, tiles
from minigrad.kernels.vectors import BITS, HAS_TILES, HIGH, PACKED, VECTORS, at, per_register, prefetch, scratch
from minigrad.program import helper, kernel

LANES = BITS // 32  # units that are computed at a time: a loop as long as a register has no rest
POINTWISE = 100  # multiplications in whose time the functions of a gate are computed
SAMPLES = 8  # a part has a multiple of so many, which fill tiles
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of selu


# ------------------------------------------------------------------------------------------------ the functions


@helper
def _tanh_or_relu(x, is_relu):
    return positive_part(x) if is_relu else tanh(x)


@helper
def _tanh_or_relu_slope(y, is_relu):
    one, zero = type(y)(1), type(y)(0)
    return (one if y > zero else zero) if is_relu else one - y * y


@helper
def _sigmoid_vjp(gy, y):
    return gy * y * (type(y)(1) - y)


@helper
def _hard_sigmoid(x):
    v, six = positive_part(x + type(x)(3)), type(x)(6)
    return (six if v >= six else v) * type(x)(1 / 6)


@helper
def _hard_sigmoid_slope(y):
    return type(y)(1 / 6) if (y > type(y)(0)) & (y < type(y)(1)) else type(y)(0)


@helper
def _elu(x):
    below = expm1_of_gate(-abs(x))
    return x if x > type(x)(0) else below


@helper
def _elu_slope(y):
    one = type(y)(1)
    return one if y > type(y)(0) else y + one


@helper
def _selu(x):
    below = type(x)(ALPHA) * expm1_of_gate(-abs(x))
    return (below if x < type(x)(0) else x) * type(x)(SCALE)


@helper
def _selu_slope(y):
    return type(y)(SCALE) if y >= type(y)(0) else y + type(y)(ALPHA * SCALE)


@helper
def _softplus(x):
    return positive_part(x) + log1p_exp(x)


@helper
def _softsign(x):
    return x / (type(x)(1) + abs(x))


@helper
def _softsign_slope(y):
    rest = type(y)(1) - abs(y)
    return rest * rest


FUNCTIONS = {  # name -> (the function, its derivative as a function of its value: that is what is kept)
    "tanh": (tanh, helper(lambda y: type(y)(1) - y * y)),
    "relu": (positive_part, helper(lambda y: type(y)(1) if y > type(y)(0) else type(y)(0))),
    "sigmoid": (logistic, helper(lambda y: y * (type(y)(1) - y))),
    "linear": (helper(lambda x: x), helper(lambda y: type(y)(1))),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_slope),
    "elu": (_elu, _elu_slope),
    "selu": (_selu, _selu_slope),
    "softplus": (_softplus, helper(lambda y: -expm1_of_gate(-y))),
    "softsign": (_softsign, _softsign_slope),
}


# ------------------------------------------------------------------------------------------------- the products


@helper
def _filling(n, like):
    """n columns, and those that fill the last tile."""
    wide = VECTORS * per_register(like)
    return -(-n // wide) * wide


@helper
def _row(array, i, place):
    """A pointer to the element `place` of row i."""
    return at(array, i * array.shape[1] + place)


@helper
def _pack(w, is_turned, packed):
    k, n = w.shape[0], w.shape[1] // packed.shape[0]
    if packed.shape[1] < max(k * _filling(n, w), n * _filling(k, w)):
        raise ValueError("packed has room for w and w^T, each with the columns that fill its last tile")
    for gate in range(packed.shape[0]):
        if is_turned:
            pack_turned(k, n, block(w, 0, gate * n), _row(packed, gate, 0))
        else:
            pack(n, k, block(w, 0, gate * n), _row(packed, gate, 0))


@kernel
def pack_columns(w, packed: "out"):
    """packed = w in the order in which tiles read it, and with several rows the columns of each gate alone"""
    _pack(w, 0, packed)


@kernel
def pack_rows(w, packed: "out"):
    """packed = w^T in the order in which tiles read it, and with several rows that of the columns of each gate"""
    _pack(w, 1, packed)


@helper
def _add_product(size, a, a_row, packed, edge, y, row):
    """Y += A W: m rows of k numbers times the packed W of n columns."""
    (m, n, k), wide = size, VECTORS * per_register(y)
    if HAS_TILES:
        done = add_row(n, k, a, packed, y) if m == 1 else 0
        tiles((m, n - done, k), a, a_row, 1, packed_panels(n - done, k, at(packed, done * k)), edge, (y, done, row), 1)
        return
    for i in range(m):
        for j in range(0, n, wide):
            for p in range(k):
                for q in range(wide):
                    y[i * row + j + q] += a[i * a_row + p] * packed[j * k + p * wide + q]


@helper
def _copy(n, source, target):
    for j in range(np.uint64(n)):
        target[j] = source[j]


@helper
def _add(n, a, b, y):
    for j in range(np.uint64(n)):
        y[j] = a[j] + b[j]


@helper
def _multiply(n, a, b, y):
    for j in range(np.uint64(n)):
        y[j] = a[j] * b[j]


@helper
def _apply(function, n, x, y):
    """y = function(x), in registers: the last numbers begin earlier, some are computed twice"""
    if n < LANES:
        for j in range(n):
            y[j] = function(x[j])
    for begin in range(0, n if n >= LANES else 0, LANES):
        first = min(begin, n - LANES)
        for j in range(first, first + LANES):
            y[j] = function(x[j])


@helper
def _fill(n, value, target):
    for j in range(np.uint64(n)):
        target[j] = value


@helper
def _soon(array, i, place, n):
    """Have n elements of row i fetched from memory: the walk will read them in the next step."""
    for j in range(0, n, 64 // array.itemsize):
        prefetch(array, i * array.shape[1] + place + j)


@helper
def _samples_of(part, y):
    """The first sample of a part, and the one after the last."""
    return min(part[0, 0], y.shape[0]), min(part[0, 1], y.shape[0])


# -------------------------------------------------------------------------------------------- one step of each
# f is the activation and s the recurrent activation, df and ds are their derivatives. The gates lie side by side, in z
# `gap` numbers apart.


@helper
def _load_gru(u, gap, gates, biases, z, more):
    """z = what the inputs add, and both biases; `more` gets the part of the candidate that is not reset."""
    for first, place in ((0, 0), (u, gap)):
        _add(u, at(gates, first), at(biases, first), at(z, place))
        _add(u, at(z, place), at(biases, 3 * u + first), at(z, place))
    _add(u, at(gates, 2 * u), at(biases, 2 * u), more)
    _copy(u, at(biases, 5 * u), at(z, 2 * gap))


@helper
def _simple_units(f, s, is_relu, first, last, u, gap, z, more, old, kept, gates, new, h):
    for j in range(first, last):
        value = f(z[j], is_relu)
        gates[j] = value
        h[j] = value


@helper
def _lstm_units(f, s, is_relu, first, last, u, gap, z, more, old, c, gates, new, h):
    for j in range(first, last):
        i, forget, o = s(z[j]), s(z[gap + j]), s(z[3 * gap + j])
        g = f(z[2 * gap + j], is_relu)
        cell = forget * c[j] + i * g
        gates[j] = i
        gates[u + j] = forget
        gates[2 * u + j] = g
        gates[3 * u + j] = o
        new[j] = cell
        h[j] = o * f(cell, is_relu)


@helper
def _gru_units(f, s, is_relu, first, last, u, gap, a, more, old, kept, gates, new, h):
    one = type(a[0])(1)
    for j in range(first, last):
        z, r, q = s(a[j]), s(a[gap + j]), a[2 * gap + j]
        g = f(more[j] + r * q, is_relu)
        gates[j] = z
        gates[u + j] = r
        gates[2 * u + j] = g
        new[j] = q
        h[j] = z * old[j] + (one - z) * g


@helper
def _gru_before_units(f, s, is_relu, first, last, u, gap, a, more, old, kept, gates, new, h):
    """The reset gate was computed before the product of the candidate."""
    one = type(a[0])(1)
    for j in range(first, last):
        z, g = s(a[j]), f(a[2 * gap + j], is_relu)
        gates[j] = z
        gates[2 * u + j] = g
        h[j] = z * old[j] + (one - z) * g


@helper
def _simple_vjp(df, ds, is_relu, u, dh, dc, a, gates, old, c, dz, da, before, before_c):
    zero = type(dh[0])(0)
    for j in range(np.uint64(u)):
        dz[j] = dh[j] * df(gates[j], is_relu)
        before[j] = zero


@helper
def _lstm_vjp(df, ds, is_relu, u, dh, dc, a, gates, old, c, dz, da, before, before_c):
    zero = type(dh[0])(0)
    for j in range(np.uint64(u)):
        i, forget, g, o = gates[j], gates[u + j], gates[2 * u + j], gates[3 * u + j]
        d = dc[j] + dh[j] * o * df(a[j], is_relu)
        dz[j] = ds(d * g, i)
        dz[u + j] = c[j] * ds(d, forget)
        dz[2 * u + j] = d * i * df(g, is_relu)
        dz[3 * u + j] = ds(dh[j] * a[j], o)
        before_c[j] = d * forget
        before[j] = zero


@helper
def _gru_vjp(df, ds, is_relu, u, dh, dc, q, gates, old, c, dz, da, before, before_c):
    one = type(dh[0])(1)
    for j in range(np.uint64(u)):
        z, r, g = gates[j], gates[u + j], gates[2 * u + j]
        d = dh[j] * (one - z) * df(g, is_relu)
        along = ds(dh[j] * (old[j] - g), z)
        reset = ds(d * q[j], r)
        dz[j] = along
        dz[u + j] = reset
        dz[2 * u + j] = d
        da[j] = along
        da[u + j] = reset
        da[2 * u + j] = d * r
        before[j] = dh[j] * z


@helper
def _gru_before_vjp(df, ds, is_relu, u, dh, dc, q, gates, old, c, dz, da, before, before_c):
    """dz of the reset gate follows the product of the candidate's: see `_reset_vjp`."""
    one = type(dh[0])(1)
    for j in range(np.uint64(u)):
        z, g = gates[j], gates[2 * u + j]
        dz[j] = ds(dh[j] * (old[j] - g), z)
        dz[2 * u + j] = dh[j] * (one - z) * df(g, is_relu)
        before[j] = dh[j] * z


@helper
def _activate(f, is_relu, first, last, source, target):
    for j in range(first, last):
        target[j] = f(source[j], is_relu)


@helper
def _reset_vjp(ds, u, p, r, old, dz):
    """From the gradient p of r times the state those of the reset gate, dz, and of the state, in the place of p."""
    for j in range(np.uint64(u)):
        dz[j] = ds(p[j] * old[j], r[j])
        p[j] *= r[j]


# ---------------------------------------------------------------------------------------------------- the walks


def _kernel(name, does, cost, walk):
    """The kernel `walk`, whose name and description become those of a kind of layer."""
    walk.__name__ = walk.__qualname__ = name
    walk.__doc__ = does
    return kernel(walk, disjoint=True, cost=cost, grain=SAMPLES)


def _cost(packed, bias, h0, c0, mask, order, factors, gates, *_):
    return gates.size * (h0.shape[1] + POINTWISE)


def _cost_back(gy, gates, packed, mask, order, before, kept, factors, dz, da, gh0, gc0):
    return gates.size * (gh0.shape[1] + POINTWISE)


def _forward(name, does, kind, f, s):
    """The kernel that takes samples through all steps of a kind of layer, with an activation and a recurrent one."""
    several, units, _ = KINDS[kind]
    has_cell, is_after, is_before = kind == "lstm", kind == "gru", kind == "gru_before"

    def walk(
        packed,
        bias,
        h0,
        c0,
        mask: "bool",
        order: "int64",
        factors,
        gates: "rows out",
        before: "rows out",
        kept: "rows out",
        taken: "rows out",
        y: "rows out",
        part: "int64",
    ):
        steps, backwards, sequences, masked, zeros, states, ordered, factored, is_relu = order[0]
        n, u, k, zero = gates.shape[0], h0.shape[1], several * h0.shape[1], gates.dtype.type(0)
        blocks = several if factored else 1  # products: of all columns at once, or of those of each gate
        columns = k // blocks
        width = _filling(columns, gates)
        gap, row = width if factored else u, blocks * width + u
        start, end = _samples_of(part, gates)
        size = max(min(HIGH, PACKED // row), 1)
        inner, state, edge = scratch(gates), scratch(gates), scratch(gates)
        for top in range(start, end, size):
            m = min(size, end - top)
            for i in range(m):
                _copy(u, _row(h0, top + i, 0), at(state, i * u))
                if has_cell:
                    _copy(u, _row(c0, top + i, 0), _row(kept, top + i, 0))
            for step in range(steps):
                t = steps - 1 - step if backwards else step
                place = t if ordered else step
                for i in range(m):
                    z, own = at(inner, i * row), _row(gates, top + i, t * k)
                    if step + 1 < steps:
                        _soon(gates, top + i, (t - 1 if backwards else t + 1) * k, k)
                    if is_after:
                        _load_gru(u, gap, own, at(bias, 0), z, at(z, blocks * width))
                    for b in range(0 if is_after else blocks):
                        _add(columns, at(own, b * columns), at(bias, b * columns), at(z, b * width))
                    _copy(u, at(state, i * u), _row(before, top + i, t * u))
                for b in range(blocks):
                    a, a_row = at(state, 0), u
                    if factored:
                        a, a_row = _row(taken, top, t * k + b * u), taken.shape[1]
                        for i in range(m):
                            own = at(a, i * a_row)
                            _multiply(u, at(state, i * u), _row(factors, b * n + top + i, 0), own)
                            if is_before and b == 2:
                                reset = _row(gates, top + i, t * k + u)
                                _apply(s, u, at(inner, i * row + gap), reset)
                                _multiply(u, own, reset, own)
                    _add_product((m, width, u), a, a_row, _row(packed, b, 0), edge, at(inner, b * width), row)
                for i in range(m):
                    z, h, old = at(inner, i * row), at(state, i * u), _row(before, top + i, t * u)
                    more, own = at(z, blocks * width), _row(gates, top + i, t * k)
                    c, new = _row(kept, top + i, step * u), _row(kept, top + i, (step + 1) * u)
                    is_there = not masked or mask[top + i, t]
                    if is_there and u < LANES:
                        units(f, s, is_relu, 0, u, u, gap, z, more, old, c, own, new, h)
                    elif is_there:
                        for j in range(0, u, LANES):  # the last ones begin earlier: some are computed twice
                            first = min(j, u - LANES)
                            units(f, s, is_relu, first, first + LANES, u, gap, z, more, old, c, own, new, h)
                    elif has_cell:
                        _copy(u, c, new)
                    target = _row(y, top + i, place * u if sequences else 0)
                    if is_there and (sequences or masked or step == steps - 1):
                        _copy(u, h, target)
                    elif not is_there and (zeros or step == 0):
                        _fill(u, zero, target)
                    elif not is_there and sequences:
                        last = place + 1 if backwards and ordered else place - 1
                        _copy(u, _row(y, top + i, last * u), target)
            if states:
                for i in range(m):
                    target = _row(y, top + i, steps * u if sequences else u)
                    _copy(u, at(state, i * u), target)
                    if has_cell:
                        _copy(u, _row(kept, top + i, steps * u), at(target, u))

    return _kernel(name, does, _cost, walk)


def _backward(name, does, kind, f, df, ds):
    """The kernel that takes the gradients of samples back through all steps; df and ds are derivatives."""
    several, _, units = KINDS[kind]
    has_cell, is_after, is_before = kind == "lstm", kind == "gru", kind == "gru_before"

    def walk(
        gy: "rows",
        gates: "rows",
        packed,
        mask: "bool",
        order: "int64",
        before: "rows",
        kept: "rows",
        factors,
        dz: "rows out",
        da: "rows out",
        gh0: "rows out",
        gc0: "rows out",
        part: "int64",
    ):
        steps, backwards, sequences, masked, zeros, states, ordered, factored, is_relu = order[0]
        n, u, k, zero = dz.shape[0], gh0.shape[1], several * gh0.shape[1], gy.dtype.type(0)
        blocks, width = several if factored else 1, _filling(u, gy)
        row = 2 * width if factored else width
        start, end = _samples_of(part, dz)
        size = max(min(HIGH, PACKED // (row + u)), 1)
        inner, more, cell, edge = scratch(gy), scratch(gy), scratch(gy), scratch(gy)
        for top in range(start, end, size):
            m = min(size, end - top)
            for i in range(m):  # inner: the gradient of the state, `cell`: of the cell, `more`: of a repeated output
                _fill(row, zero, at(inner, i * row))
                _fill(u, zero, at(cell, i * u))
                _fill(u, zero, at(more, i * u))
                if states:
                    source = _row(gy, top + i, steps * u if sequences else u)
                    _copy(u, source, at(inner, i * row))
                    if has_cell:
                        _copy(u, at(source, u), at(cell, i * u))
            for step in range(steps - 1, -1, -1):
                t = steps - 1 - step if backwards else step
                place = t if ordered else step
                for i in range(m):
                    d, rest, dc = at(inner, i * row), at(more, i * u), at(cell, i * u)
                    target, other = _row(dz, top + i, t * k), _row(da, top + i, t * k)
                    if step > 0:
                        then = t + 1 if backwards else t - 1
                        _soon(gates, top + i, then * k, k)
                        _soon(before, top + i, then * u, u)
                        _soon(kept, top + i, (step - 1) * u, u)
                        if sequences:
                            _soon(gy, top + i, (then if ordered else step - 1) * u, u)
                    if sequences or step == steps - 1:
                        _add(u, rest, _row(gy, top + i, place * u if sequences else 0), rest)
                    is_there = not masked or mask[top + i, t]
                    if is_there:
                        dh, old_dc, value = at(edge, 0), at(edge, u), at(edge, 2 * u)
                        for j in range(np.uint64(u)):
                            dh[j] = d[j] + rest[j]
                            old_dc[j] = dc[j]
                        own, old = _row(gates, top + i, t * k), _row(before, top + i, t * u)
                        c, new = _row(kept, top + i, step * u), _row(kept, top + i, (step + 1) * u)
                        if has_cell and u < LANES:
                            _activate(f, is_relu, 0, u, new, value)
                        elif has_cell:
                            for j in range(0, u, LANES):
                                first = min(j, u - LANES)
                                _activate(f, is_relu, first, first + LANES, new, value)
                        else:
                            value = new
                        units(df, ds, is_relu, u, dh, old_dc, value, own, old, c, target, other, d, dc)
                    else:
                        _fill(k, zero, target)
                        if is_after:
                            _fill(k, zero, other)
                    if is_there or zeros:
                        _fill(u, zero, rest)
                for b in range(blocks - 1, -1, -1):
                    product, d = at(inner, row - width), _row(da if is_after else dz, top, t * k + b * u)
                    _add_product((m, width, k // blocks), d, dz.shape[1], _row(packed, b, 0), edge, product, row)
                    for i in range(m if factored else 0):
                        d, p = at(inner, i * row), at(product, i * row)
                        _multiply(u, p, _row(factors, b * n + top + i, 0), p)
                        if is_before and b == 2 and (not masked or mask[top + i, t]):
                            reset, old = _row(gates, top + i, t * k + u), _row(before, top + i, t * u)
                            _reset_vjp(ds, u, p, reset, old, _row(dz, top + i, t * k + u))
                        _add(u, d, p, d)
                        _fill(width, zero, p)
            for i in range(m):
                _copy(u, at(inner, i * row), _row(gh0, top + i, 0))
                if has_cell:
                    _copy(u, at(cell, i * u), _row(gc0, top + i, 0))

    return _kernel(name, does, _cost_back, walk)


KINDS = {  # kind of layer -> how many gates, one step forward, one step back
    "simple_rnn": (1, _simple_units, _simple_vjp),
    "lstm": (4, _lstm_units, _lstm_vjp),
    "gru": (3, _gru_units, _gru_vjp),
    "gru_before": (3, _gru_before_units, _gru_before_vjp),
}


@functools.cache
def walks(kind, activation="tanh", gate="sigmoid"):
    """The kernels of a kind of layer, forward and back, with two of FUNCTIONS.

    Those with tanh or relu, and the sigmoid, are the same: `order` says which. Others are compiled when they are used.
    """
    more, f, df, s, ds = "", _tanh_or_relu, _tanh_or_relu_slope, logistic, _sigmoid_vjp
    if gate == "sigmoid" and activation == "relu":
        return walks(kind)
    if (activation, gate) != ("tanh", "sigmoid"):
        more, (function, slope), (s, slope_of_gate) = f"-{activation}-{gate}", FUNCTIONS[activation], FUNCTIONS[gate]
        f, df = helper(lambda x, is_relu: function(x)), helper(lambda y, is_relu: slope(y))
        ds = helper(lambda gy, y: gy * slope_of_gate(y))
    forward = _forward(f"{kind}{more}", "the steps; the gates take the place of what the inputs add", kind, f, s)
    does = "dz, the gradient of what becomes the gates" + (", and da, of what the states add" if kind == "gru" else "")
    return forward, _backward(f"{kind}_vjp{more}", does, kind, f, df, ds)


simple_rnn, simple_rnn_vjp = walks("simple_rnn")
lstm, lstm_vjp = walks("lstm")
gru, gru_vjp = walks("gru")
gru_before, gru_before_vjp = walks("gru_before")
