"""Recurrent layers: a kernel walks through all steps of its samples, forward or back; see `ops.recurrence`.

A row is a sample and holds its steps side by side: the `gates` of an LSTM of u units are (n, steps 4 u). Samples do not
depend on each other, so each thread takes some of them through all steps. Of these a kernel takes a few at a time,
whose states stay in the cache. Step by step it multiplies them with the recurrent kernel, which was brought into the
order of the tiles before. `order` is the row [steps, backwards, sequences, masked, zeros, states, relu, ordered]:

    backwards   the last step is the first
    sequences   y has the outputs of all steps, else of the last one
    masked      a step that is not in the mask leaves the state as it is, and repeats the output of the step before
    zeros       the output of a step that is not in the mask is 0
    states      behind the outputs, y has the last states
    relu        the activation is relu instead of tanh
    ordered     the outputs are in the order of the inputs, not in that of the walk
"""

import numpy as np

from minigrad.kernels.functions import logistic_of_gate as logistic
from minigrad.kernels.functions import positive_part
from minigrad.kernels.functions import tanh_of_gate as tanh
from minigrad.kernels.tiles import block, pack, pack_turned, tiles
from minigrad.kernels.vectors import BITS, HAS_TILES, HIGH, PACKED, VECTORS, at, per_register, prefetch, scratch
from minigrad.program import helper, kernel

LANES = BITS // 32  # units that are computed at a time: a loop as long as a register has no rest
POINTWISE = 100  # multiplications in whose time the functions of a gate are computed
SAMPLES = 8  # a part has a multiple of so many, which fill tiles


# ------------------------------------------------------------------------------------------------- the products


@helper
def _filling(n, like):
    """n columns, and those that fill the last tile."""
    wide = VECTORS * per_register(like)
    return -(-n // wide) * wide


@helper
def _pack(w, is_turned, packed):
    k, n = w.shape
    if packed.size < max(k * _filling(n, w), n * _filling(k, w)):
        raise ValueError("packed has room for w and w^T, each with the columns that fill its last tile")
    if is_turned:
        pack_turned(k, n, block(w, 0, 0), at(packed, 0))
    else:
        pack(n, k, block(w, 0, 0), at(packed, 0))


@kernel
def pack_columns(w, packed: "out"):
    """packed = w in the order in which tiles read it"""
    _pack(w, 0, packed)


@kernel
def pack_rows(w, packed: "out"):
    """packed = w^T in the order in which tiles read it"""
    _pack(w, 1, packed)


@helper
def _add_product(size, a, a_row, packed, edge, y, row):
    """Y += A W: m rows of k numbers times the packed W of n columns."""
    if HAS_TILES:
        tiles(size, a, a_row, 1, packed, edge, (y, 0, row), 1)
        return
    (m, n, k), wide = size, VECTORS * per_register(y)
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
def _fill(n, value, target):
    for j in range(np.uint64(n)):
        target[j] = value


@helper
def _row(array, i, place):
    """A pointer to the element `place` of row i."""
    return at(array, i * array.shape[1] + place)


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


@helper
def _activated(x, is_relu):
    return positive_part(x) if is_relu else tanh(x)


@helper
def _slope(y, is_relu):
    """The derivative of the activation whose value is y."""
    one, zero = type(y)(1), type(y)(0)
    return (one if y > zero else zero) if is_relu else one - y * y


@helper
def _load_simple(u, gates, bias, z, more):
    _copy(u, gates, z)


@helper
def _load_lstm(u, gates, bias, z, more):
    _copy(4 * u, gates, z)


@helper
def _load_gru(u, gates, bias, z, more):
    """`more` gets the part of the candidate that the reset gate leaves alone."""
    for j in range(np.uint64(2 * u)):
        z[j] = gates[j] + bias[j]
    _copy(u, at(bias, 2 * u), at(z, 2 * u))
    _copy(u, at(gates, 2 * u), more)


@helper
def _simple_units(first, last, u, z, more, old, kept, gates, new, h, is_relu):
    for j in range(first, last):
        value = _activated(z[j], is_relu)
        gates[j] = value
        h[j] = value


@helper
def _lstm_units(first, last, u, z, more, old, c, gates, new, h, is_relu):
    for j in range(first, last):
        i, f, o = logistic(z[j]), logistic(z[u + j]), logistic(z[3 * u + j])
        g = _activated(z[2 * u + j], is_relu)
        cell = f * c[j] + i * g
        gates[j] = i
        gates[u + j] = f
        gates[2 * u + j] = g
        gates[3 * u + j] = o
        new[j] = cell
        h[j] = o * _activated(cell, is_relu)


@helper
def _gru_units(first, last, u, a, more, old, kept, gates, new, h, is_relu):
    one = type(a[0])(1)
    for j in range(first, last):
        z, r, q = logistic(a[j]), logistic(a[u + j]), a[2 * u + j]
        g = _activated(more[j] + r * q, is_relu)
        gates[j] = z
        gates[u + j] = r
        gates[2 * u + j] = g
        new[j] = q
        h[j] = z * old[j] + (one - z) * g


@helper
def _simple_vjp(u, dh, dc, a, gates, old, c, dz, da, before, before_c, is_relu):
    zero = type(dh[0])(0)
    for j in range(np.uint64(u)):
        dz[j] = dh[j] * _slope(gates[j], is_relu)
        before[j] = zero


@helper
def _lstm_vjp(u, dh, dc, a, gates, old, c, dz, da, before, before_c, is_relu):
    one, zero = type(dh[0])(1), type(dh[0])(0)
    for j in range(np.uint64(u)):
        i, f, g, o = gates[j], gates[u + j], gates[2 * u + j], gates[3 * u + j]
        d = dc[j] + dh[j] * o * _slope(a[j], is_relu)
        dz[j] = d * g * i * (one - i)
        dz[u + j] = d * c[j] * f * (one - f)
        dz[2 * u + j] = d * i * _slope(g, is_relu)
        dz[3 * u + j] = dh[j] * a[j] * o * (one - o)
        before_c[j] = d * f
        before[j] = zero


@helper
def _gru_vjp(u, dh, dc, q, gates, old, c, dz, da, before, before_c, is_relu):
    one = type(dh[0])(1)
    for j in range(np.uint64(u)):
        z, r, g = gates[j], gates[u + j], gates[2 * u + j]
        d = dh[j] * (one - z) * _slope(g, is_relu)
        along = dh[j] * (old[j] - g) * z * (one - z)
        reset = d * q[j] * r * (one - r)
        dz[j] = along
        dz[u + j] = reset
        dz[2 * u + j] = d
        da[j] = along
        da[u + j] = reset
        da[2 * u + j] = d * r
        before[j] = dh[j] * z


@helper
def _activated_units(first, last, source, target, is_relu):
    for j in range(first, last):
        target[j] = _activated(source[j], is_relu)


# ---------------------------------------------------------------------------------------------------- the walks


def _walk(several, has_cell, load, units):
    """A helper that takes samples through all steps.

    `several`: how many gates there are; `has_cell`: whether there is a cell, in `kept`, beside the state; `load` and
    `units`: what a step computes before and after the product.
    """

    @helper
    def walk(packed, bias, h0, c0, mask, order, gates, before, kept, y, part):
        steps, backwards, sequences, masked, zeros, states, is_relu, ordered = order[0]
        u, zero = h0.shape[1], gates.dtype.type(0)
        width = _filling(several * u, gates)
        row = width + u
        start, end = _samples_of(part, gates)
        size = max(min(HIGH, PACKED // row), 1)
        inner, state, edge = scratch(gates), scratch(gates), scratch(gates)
        for top in range(start, end, size):
            m = min(size, end - top)
            for i in range(m):
                _copy(u, _row(h0, top + i, 0), at(state, i * u))
                if has_cell:
                    _copy(u, _row(c0, top + i, 0), _row(kept, top + i, 0))
            for s in range(steps):
                t = steps - 1 - s if backwards else s
                place = t if ordered else s
                for i in range(m):
                    z = at(inner, i * row)
                    if s + 1 < steps:
                        _soon(gates, top + i, (t - 1 if backwards else t + 1) * several * u, several * u)
                    load(u, _row(gates, top + i, t * several * u), at(bias, 0), z, at(z, width))
                    _copy(u, at(state, i * u), _row(before, top + i, t * u))
                _add_product((m, width, u), at(state, 0), u, at(packed, 0), edge, inner, row)
                for i in range(m):
                    z, h, old = at(inner, i * row), at(state, i * u), _row(before, top + i, t * u)
                    more, own = at(z, width), _row(gates, top + i, t * several * u)
                    c, new = _row(kept, top + i, s * u), _row(kept, top + i, (s + 1) * u)
                    is_there = not masked or mask[top + i, t]
                    if is_there and u < LANES:
                        units(0, u, u, z, more, old, c, own, new, h, is_relu)
                    elif is_there:
                        for j in range(0, u, LANES):  # the last ones begin earlier: some are computed twice
                            first = min(j, u - LANES)
                            units(first, first + LANES, u, z, more, old, c, own, new, h, is_relu)
                    elif has_cell:
                        _copy(u, c, new)
                    target = _row(y, top + i, place * u if sequences else 0)
                    if is_there and (sequences or masked or s == steps - 1):
                        _copy(u, h, target)
                    elif not is_there and (zeros or s == 0):
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

    return walk


def _walk_back(several, has_cell, has_own, units):
    """A helper that takes the gradients of samples back through all steps.

    `has_cell`: whether there is a cell beside the state; `has_own`: whether the gradient of what the recurrent kernel
    made, `da`, is not that of the gates, `dz`.
    """

    @helper
    def walk(gy, gates, packed, mask, order, before, kept, dz, da, gh0, gc0, part):
        steps, backwards, sequences, masked, zeros, states, is_relu, ordered = order[0]
        u, k, zero = gh0.shape[1], several * gh0.shape[1], gy.dtype.type(0)
        width = _filling(u, gy)
        start, end = _samples_of(part, dz)
        size = max(min(HIGH, PACKED // (width + u)), 1)
        inner, more, cell, edge = scratch(gy), scratch(gy), scratch(gy), scratch(gy)
        for top in range(start, end, size):
            m = min(size, end - top)
            for i in range(m):  # inner: the gradient of the state, `cell`: of the cell, `more`: of a repeated output
                _fill(width, zero, at(inner, i * width))
                _fill(u, zero, at(cell, i * u))
                _fill(u, zero, at(more, i * u))
                if states:
                    source = _row(gy, top + i, steps * u if sequences else u)
                    _copy(u, source, at(inner, i * width))
                    if has_cell:
                        _copy(u, at(source, u), at(cell, i * u))
            for s in range(steps - 1, -1, -1):
                t = steps - 1 - s if backwards else s
                place = t if ordered else s
                for i in range(m):
                    d, rest, dc = at(inner, i * width), at(more, i * u), at(cell, i * u)
                    target, other = _row(dz, top + i, t * k), _row(da, top + i, t * k)
                    if s > 0:
                        then = t + 1 if backwards else t - 1
                        _soon(gates, top + i, then * k, k)
                        _soon(before, top + i, then * u, u)
                        _soon(kept, top + i, (s - 1) * u, u)
                        if sequences:
                            _soon(gy, top + i, (then if ordered else s - 1) * u, u)
                    if sequences or s == steps - 1:
                        g = _row(gy, top + i, place * u if sequences else 0)
                        for j in range(np.uint64(u)):
                            rest[j] += g[j]
                    is_there = not masked or mask[top + i, t]
                    if is_there:
                        dh, old_dc, value = at(edge, 0), at(edge, u), at(edge, 2 * u)
                        for j in range(np.uint64(u)):
                            dh[j] = d[j] + rest[j]
                            old_dc[j] = dc[j]
                        own, old = _row(gates, top + i, t * k), _row(before, top + i, t * u)
                        c, new = _row(kept, top + i, s * u), _row(kept, top + i, (s + 1) * u)
                        if has_cell and u < LANES:
                            _activated_units(0, u, new, value, is_relu)
                        elif has_cell:
                            for j in range(0, u, LANES):
                                first = min(j, u - LANES)
                                _activated_units(first, first + LANES, new, value, is_relu)
                        else:
                            value = new
                        units(u, dh, old_dc, value, own, old, c, target, other, d, dc, is_relu)
                    else:
                        _fill(k, zero, target)
                        if has_own:
                            _fill(k, zero, other)
                    if is_there or zeros:
                        _fill(u, zero, rest)
                d = _row(da, top, t * k) if has_own else _row(dz, top, t * k)
                _add_product((m, width, k), d, dz.shape[1], at(packed, 0), edge, inner, width)
            for i in range(m):
                _copy(u, at(inner, i * width), _row(gh0, top + i, 0))
                if has_cell:
                    _copy(u, at(cell, i * u), _row(gc0, top + i, 0))

    return walk


_simple_walk, _simple_walk_back = _walk(1, False, _load_simple, _simple_units), _walk_back(1, False, False, _simple_vjp)
_lstm_walk, _lstm_walk_back = _walk(4, True, _load_lstm, _lstm_units), _walk_back(4, True, False, _lstm_vjp)
_gru_walk, _gru_walk_back = _walk(3, False, _load_gru, _gru_units), _walk_back(3, False, True, _gru_vjp)


def _cost(packed, bias, h0, c0, mask, order, gates, *_):
    return gates.size * (h0.shape[1] + POINTWISE)


def _cost_back(gy, gates, packed, mask, order, before, kept, dz, da, gh0, gc0):
    return gates.size * (gh0.shape[1] + POINTWISE)


@kernel(disjoint=True, cost=_cost, grain=SAMPLES)
def simple_rnn(
    packed,
    bias,
    h0,
    c0,
    mask: "bool",
    order: "int64",
    gates: "rows out",
    before: "rows out",
    kept: "rows out",
    y: "rows out",
    part: "int64",
):
    """h_t = f(a_t + h_t-1 w), which is also kept in the place of a_t"""
    _simple_walk(packed, bias, h0, c0, mask, order, gates, before, kept, y, part)


@kernel(disjoint=True, cost=_cost_back, grain=SAMPLES)
def simple_rnn_vjp(
    gy: "rows",
    gates: "rows",
    packed,
    mask: "bool",
    order: "int64",
    before: "rows",
    kept: "rows",
    dz: "rows out",
    da: "rows out",
    gh0: "rows out",
    gc0: "rows out",
    part: "int64",
):
    """da_t = dh_t f'(a_t)"""
    _simple_walk_back(gy, gates, packed, mask, order, before, kept, dz, da, gh0, gc0, part)


@kernel(disjoint=True, cost=_cost, grain=SAMPLES)
def lstm(
    packed,
    bias,
    h0,
    c0,
    mask: "bool",
    order: "int64",
    gates: "rows out",
    before: "rows out",
    kept: "rows out",
    y: "rows out",
    part: "int64",
):
    """the steps of an LSTM, whose gates are computed in the place of what the inputs add to them"""
    _lstm_walk(packed, bias, h0, c0, mask, order, gates, before, kept, y, part)


@kernel(disjoint=True, cost=_cost_back, grain=SAMPLES)
def lstm_vjp(
    gy: "rows",
    gates: "rows",
    packed,
    mask: "bool",
    order: "int64",
    before: "rows",
    kept: "rows",
    dz: "rows out",
    da: "rows out",
    gh0: "rows out",
    gc0: "rows out",
    part: "int64",
):
    """the gradient dz of what is activated to the gates of an LSTM"""
    _lstm_walk_back(gy, gates, packed, mask, order, before, kept, dz, da, gh0, gc0, part)


@kernel(disjoint=True, cost=_cost, grain=SAMPLES)
def gru(
    packed,
    bias,
    h0,
    c0,
    mask: "bool",
    order: "int64",
    gates: "rows out",
    before: "rows out",
    kept: "rows out",
    y: "rows out",
    part: "int64",
):
    """the steps of a GRU that resets after the product, whose gates are computed in the place of what the inputs add"""
    _gru_walk(packed, bias, h0, c0, mask, order, gates, before, kept, y, part)


@kernel(disjoint=True, cost=_cost_back, grain=SAMPLES)
def gru_vjp(
    gy: "rows",
    gates: "rows",
    packed,
    mask: "bool",
    order: "int64",
    before: "rows",
    kept: "rows",
    dz: "rows out",
    da: "rows out",
    gh0: "rows out",
    gc0: "rows out",
    part: "int64",
):
    """the gradient dz of what the inputs add to the gates of a GRU, and da of what the state adds"""
    _gru_walk_back(gy, gates, packed, mask, order, before, kept, dz, da, gh0, gc0, part)
