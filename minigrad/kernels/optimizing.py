"""The steps of optimizers. All weights of a model are one row w; their gradients are a row g, and so is each slot.

A rule takes what it needs of g, the learning rate, `settings` and `step` (the number of steps before), then its slots
and w. `settings` has two rows. The first has the hyper-parameters in the order of the optimizer's signature, flags as 0
or 1; the second has 1 minus each of them, computed exactly and rounded once. A slot that an option leaves out is empty.

The gradient of a row that a batch uses several times is a sum. `squares` and `sizes` are the sums of the squares and of
the absolute values of what was added; where they are not given, those of g itself.
"""

import math

import numpy as np

from minigrad.kernels.each import each, optional
from minigrad.program import helper, kernel

# ---------------------------------------------------------------------------------------------------- the rules


@helper
def flushed(x, tiny):
    """x, or 0 where |x| < tiny: fading averages would become denormal numbers, a hundred times slower"""
    return x if not (abs(x) < tiny) else x - x


def _cost(g, *_):
    """A step takes as long per number as about 20 multiplications of a matrix product."""
    return 20 * g.size


@kernel(cost=_cost)
def sgd(g: "columns", learning_rate, settings, m: "columns out", w: "columns out"):
    """w -= lr g;  with momentum: m = mu m - lr g, w += m;  nesterov: w += mu m - lr g;  settings = [mu, nesterov]"""
    rate, mu = learning_rate[0, 0], settings[0, 0]
    tiny = w.dtype.type(1e-30)
    if m.shape[1] == 0:
        for j in range(w.shape[1]):
            w[0, j] -= rate * g[0, j]
    elif settings[0, 1] == 0:
        for j in range(w.shape[1]):
            m[0, j] = flushed(mu * m[0, j] - rate * g[0, j], tiny)
            w[0, j] += m[0, j]
    else:
        for j in range(w.shape[1]):
            m[0, j] = flushed(mu * m[0, j] - rate * g[0, j], tiny)
            w[0, j] += mu * m[0, j] - rate * g[0, j]


@optional(cost=_cost)
def adam(
    g: "columns",
    learning_rate,
    settings,
    step: "int64",
    m: "columns out",
    v: "columns out",
    top: "columns out",
    w: "columns out",
    squares: "columns" = None,
):
    """m += (g - m)(1 - b1),  v += (g^2 - v)(1 - b2),  w -= rate m / (sqrt(v) + epsilon)

    rate = lr sqrt(1 - b2^t) / (1 - b1^t), t = step + 1;  settings = [b1, b2, epsilon, amsgrad];
    amsgrad: top = max(top, v) takes the place of v under the root
    """
    one, t = w.dtype.type(1), w.dtype.type(step[0, 0] + 1)
    rate = learning_rate[0, 0] * math.sqrt(one - settings[0, 1] ** t) / (one - settings[0, 0] ** t)
    a, b, epsilon, tiny = settings[1, 0], settings[1, 1], settings[0, 2], w.dtype.type(1e-30)
    if top.shape[1] == 0:
        for j in range(w.shape[1]):
            square = g[0, j] * g[0, j] if squares is None else squares[0, j]
            m[0, j] = flushed(m[0, j] + (g[0, j] - m[0, j]) * a, tiny)
            v[0, j] = flushed(v[0, j] + (square - v[0, j]) * b, tiny)
            w[0, j] -= rate * m[0, j] / (math.sqrt(v[0, j]) + epsilon)
    else:
        for j in range(w.shape[1]):
            square = g[0, j] * g[0, j] if squares is None else squares[0, j]
            m[0, j] = flushed(m[0, j] + (g[0, j] - m[0, j]) * a, tiny)
            v[0, j] = flushed(v[0, j] + (square - v[0, j]) * b, tiny)
            top[0, j] = v[0, j] if not (v[0, j] <= top[0, j]) else top[0, j]
            w[0, j] -= rate * m[0, j] / (math.sqrt(top[0, j]) + epsilon)


@kernel
def nadam_product(settings, step: "int64", product: "out"):
    """product *= u, where u = b1 (1 - 0.96^t / 2), t = step + 1"""
    one, half, base = product.dtype.type(1), product.dtype.type(0.5), product.dtype.type(0.96)
    product[0, 0] *= settings[0, 0] * (one - half * base ** product.dtype.type(step[0, 0] + 1))


@optional(cost=_cost)
def nadam(
    g: "columns",
    learning_rate,
    settings,
    step: "int64",
    product,
    m: "columns out",
    v: "columns out",
    w: "columns out",
    squares: "columns" = None,
):
    """m, v as in `adam`;  w -= lr (u' m / (1 - p u') + (1 - u) g / (1 - p)) / (sqrt(v / (1 - b2^t)) + epsilon)

    u as in `nadam_product`, u' that of the next step, p = `product` of all u so far;  settings = [b1, b2, epsilon]
    """
    one, half, base = w.dtype.type(1), w.dtype.type(0.5), w.dtype.type(0.96)
    t = w.dtype.type(step[0, 0] + 1)
    u = settings[0, 0] * (one - half * base**t)
    following = settings[0, 0] * (one - half * base ** (t + one))
    of_m = learning_rate[0, 0] * following / (one - product[0, 0] * following)
    of_g = learning_rate[0, 0] * (one - u) / (one - product[0, 0])
    unbiased = one / (one - settings[0, 1] ** t)
    a, b = one - settings[0, 0], one - settings[0, 1]  # rounded like 1 - b2^t, so that both cancel in the first step
    epsilon, tiny = settings[0, 2], w.dtype.type(1e-30)
    for j in range(w.shape[1]):
        square = g[0, j] * g[0, j] if squares is None else squares[0, j]
        m[0, j] = flushed(m[0, j] + (g[0, j] - m[0, j]) * a, tiny)
        v[0, j] = flushed(v[0, j] + (square - v[0, j]) * b, tiny)
        w[0, j] -= (of_m * m[0, j] + of_g * g[0, j]) / (math.sqrt(v[0, j] * unbiased) + epsilon)


@optional(cost=_cost)
def adamax(
    g: "columns",
    learning_rate,
    settings,
    step: "int64",
    m: "columns out",
    u: "columns out",
    w: "columns out",
    sizes: "columns" = None,
):
    """m += (g - m)(1 - b1),  u = max(b2 u, |g|),  w -= lr / (1 - b1^t) m / (u + epsilon),  t = step + 1

    settings = [b1, b2, epsilon]
    """
    one = w.dtype.type(1)
    rate = learning_rate[0, 0] / (one - settings[0, 0] ** w.dtype.type(step[0, 0] + 1))
    a, b2, epsilon, tiny = settings[1, 0], settings[0, 1], settings[0, 2], w.dtype.type(1e-30)
    for j in range(w.shape[1]):
        m[0, j] = flushed(m[0, j] + (g[0, j] - m[0, j]) * a, tiny)
        faded, size = flushed(b2 * u[0, j], tiny), abs(g[0, j]) if sizes is None else sizes[0, j]
        u[0, j] = faded if size <= faded else size
        w[0, j] -= rate * m[0, j] / (u[0, j] + epsilon)


@optional(cost=_cost)
def rmsprop(
    g: "columns",
    learning_rate,
    settings,
    s: "columns out",
    m: "columns out",
    a: "columns out",
    w: "columns out",
    squares: "columns" = None,
):
    """s = rho s + (1 - rho) g^2,  w -= lr g / sqrt(s + epsilon);  settings = [rho, mu, epsilon, centered]

    With momentum: m = mu m + lr g / sqrt(...), w -= m;  centered: a = rho a + (1 - rho) g, s - a^2 under the root
    """
    rate, rho, rest, tiny = learning_rate[0, 0], settings[0, 0], settings[1, 0], w.dtype.type(1e-30)
    mu, epsilon = settings[0, 1], settings[0, 2]
    has_momentum, is_centered = m.shape[1] > 0, a.shape[1] > 0
    for j in range(w.shape[1]):
        s[0, j] = flushed(rho * s[0, j] + (rest * g[0, j] * g[0, j] if squares is None else rest * squares[0, j]), tiny)
        variance = s[0, j]
        if is_centered:
            a[0, j] = flushed(rho * a[0, j] + rest * g[0, j], tiny)
            variance -= a[0, j] * a[0, j]
        change = rate * g[0, j] / math.sqrt(variance + epsilon)
        if has_momentum:
            m[0, j] = flushed(mu * m[0, j] + change, tiny)
            change = m[0, j]
        w[0, j] -= change


@optional(cost=_cost)
def adagrad(g: "columns", learning_rate, settings, s: "columns out", w: "columns out", squares: "columns" = None):
    """s += g^2,  w -= lr g / sqrt(s + epsilon);  settings = [initial s, epsilon]"""
    rate, epsilon = learning_rate[0, 0], settings[0, 1]
    for j in range(w.shape[1]):
        s[0, j] += g[0, j] * g[0, j] if squares is None else squares[0, j]
        w[0, j] -= rate * g[0, j] / math.sqrt(s[0, j] + epsilon)


@optional(cost=_cost)
def adadelta(
    g: "columns",
    learning_rate,
    settings,
    s: "columns out",
    x: "columns out",
    w: "columns out",
    squares: "columns" = None,
):
    """s = rho s + (1 - rho) g^2,  d = g sqrt(x + epsilon) / sqrt(s + epsilon),  x = rho x + (1 - rho) d^2,  w -= lr d

    settings = [rho, epsilon]
    """
    rate, rho, rest, epsilon = learning_rate[0, 0], settings[0, 0], settings[1, 0], settings[0, 1]
    tiny = w.dtype.type(1e-30)
    for j in range(w.shape[1]):
        s[0, j] = flushed(rho * s[0, j] + (rest * g[0, j] * g[0, j] if squares is None else rest * squares[0, j]), tiny)
        d = g[0, j] * math.sqrt(x[0, j] + epsilon) / math.sqrt(s[0, j] + epsilon)
        size = d * d if squares is None else squares[0, j] * (x[0, j] + epsilon) / (s[0, j] + epsilon)
        x[0, j] = flushed(rho * x[0, j] + rest * size, tiny)
        w[0, j] -= rate * d


@kernel(cost=_cost)
def lion(g: "columns", learning_rate, settings, m: "columns out", w: "columns out"):
    """w -= lr sign(b1 m + (1 - b1) g),  m = b2 m + (1 - b2) g;  settings = [b1, b2]; the sign of a NaN is a NaN"""
    rate, b1, b2, tiny = learning_rate[0, 0], settings[0, 0], settings[0, 1], w.dtype.type(1e-30)
    one = w.dtype.type(1)
    for j in range(w.shape[1]):
        c = b1 * m[0, j] + settings[1, 0] * g[0, j]
        sign = one if c > 0 else c
        w[0, j] -= rate * (-one if c < 0 else sign)
        m[0, j] = flushed(b2 * m[0, j] + settings[1, 1] * g[0, j], tiny)


@optional(cost=_cost)
def ftrl(
    g: "columns",
    learning_rate,
    settings,
    s: "columns out",
    z: "columns out",
    w: "columns out",
    squares: "columns" = None,
):
    """s' = s + g^2,  z += g + 2 shrinkage w - (s'^p - s^p) / lr w,  w = -soft(z) / (s'^p / lr + 2 l2 + beta / lr)

    soft(z) = z - z kept within [-l1, l1]: 0 where |z| <= l1;  p = -power
    settings = [power, initial s, l1, l2, shrinkage, beta]
    """
    two, rate, p = w.dtype.type(2), learning_rate[0, 0], -settings[0, 0]
    l1, shrinkage = settings[0, 2], settings[0, 4]
    ridge = two * settings[0, 3] + settings[0, 5] / rate
    is_root = p == w.dtype.type(0.5)  # the default; a root takes a tenth of the time of a power
    for j in range(w.shape[1]):
        after = s[0, j] + (g[0, j] * g[0, j] if squares is None else squares[0, j])
        new = math.sqrt(after) if is_root else after**p
        old = math.sqrt(s[0, j]) if is_root else s[0, j] ** p
        z[0, j] += g[0, j] + two * shrinkage * w[0, j] - (new - old) / rate * w[0, j]
        s[0, j] = after
        low = -l1 if z[0, j] < -l1 else z[0, j]
        w[0, j] = ((l1 if low > l1 else low) - z[0, j]) / (new / rate + ridge)


# ------------------------------------------------------------------------------- what all optimizers have in common


@kernel
def decay(learning_rate, rate, w: "out"):
    """w -= w rate lr"""
    factor = rate[0, 0] * learning_rate[0, 0]
    for j in range(w.shape[1]):
        w[0, j] -= w[0, j] * factor


@helper
def squares(g, first, last):
    """The sum of g_j^2 over first <= j < last"""
    total = g.dtype.type(0)
    for j in range(np.uint64(first), np.uint64(last)):  # unsigned, so that it vectorises
        total += g[0, j] * g[0, j]
    return total


@helper
def added(x):
    """The sum of a row x"""
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += x[0, j]
    return total


@kernel
def clip_norms(limit, places: "int64", g: "out"):
    """g *= limit / max(|g|, limit) for each stretch g[first:last] of g; a row of `places` is [first, last]"""
    for i in range(places.shape[0]):
        first, last = places[i, 0], places[i, 1]
        norm = math.sqrt(squares(g, first, last))
        if norm <= limit[0, 0]:
            continue
        factor = limit[0, 0] / norm
        for j in range(np.uint64(first), np.uint64(last)):
            g[0, j] *= factor


@kernel
def clip_norm_of_rows(limit, squares, factor: "out", square: "out"):
    """factor = limit / max(n, limit), where n^2 = the sum of `squares`;  square = factor^2"""
    norm, one = math.sqrt(added(squares)), squares.dtype.type(1)
    factor[0, 0] = one if norm <= limit[0, 0] else limit[0, 0] / norm
    square[0, 0] = factor[0, 0] * factor[0, 0]


@optional()
def clip_global_norm(limit, places: "int64", g: "out", every: "int64" = None, more=None):
    """g *= limit / max(|g|, limit) with one norm |g| of all stretches together; NaN if that norm is infinite

    With `more`, sums of squares that count, too, `every` holds the stretches that are multiplied.
    """
    total = g.dtype.type(0) if more is None else added(more)
    for i in range(places.shape[0]):
        total += squares(g, places[i, 0], places[i, 1])
    norm = math.sqrt(total)
    if norm <= limit[0, 0]:
        return
    factor = limit[0, 0] / norm if norm < np.inf else g.dtype.type(np.nan)
    clipped = places if every is None else every
    for i in range(clipped.shape[0]):
        for j in range(np.uint64(clipped[i, 0]), np.uint64(clipped[i, 1])):
            g[0, j] *= factor


@each
def clip_values(limit: "number", g: "out"):
    """g kept within [-limit, limit]; a NaN stays a NaN"""
    v = -limit if g < -limit else g
    return limit if v > limit else v


@kernel
def average(x, momentum, step: "int64", mean: "out"):
    """mean = k mean + (1 - k) x, where k = momentum, but 0 in the very first step"""
    k = momentum[0, 0] if step[0, 0] > 0 else momentum.dtype.type(0)
    for j in range(mean.shape[1]):
        mean[0, j] = k * mean[0, j] + (mean.dtype.type(1) - k) * x[0, j]


@each
def add_scaled(x, factor: "number", y: "out"):
    """y += factor x"""
    return y + factor * x


@kernel
def quotient(count: "int64", by: "int64", y: "int64 out"):
    """y = the integer part of count / by"""
    y[0, 0] = count[0, 0] // by[0, 0]
