"""The steps of optimizers, over the flat row of every weight of a model: w, its gradient g, and slots beside them."""

import math

from minigrad.program import helper, kernel


@kernel
def adam_rates(learning_rate, settings, step: "int64", rates: "out"):
    """rates = [lr sqrt(1 - b2^t) / (1 - b1^t), 1 - b1, 1 - b2, epsilon], t = step + 1

    settings = [b1, b2, 1 - b1, 1 - b2, epsilon]: the differences come rounded from exact ones, as in Keras.
    """
    one = rates.dtype.type(1)
    t = rates.dtype.type(step[0, 0] + 1)
    rates[0, 0] = learning_rate[0, 0] * math.sqrt(one - settings[0, 1] ** t) / (one - settings[0, 0] ** t)
    rates[0, 1] = settings[0, 2]
    rates[0, 2] = settings[0, 3]
    rates[0, 3] = settings[0, 4]


@helper
def flushed(x, tiny):
    """x, or 0 where |x| < tiny: averages that fade out would end as denormal numbers, a hundred times slower"""
    return x if not (abs(x) < tiny) else x - x


@kernel
def adam(g, rates, m: "out", v: "out", w: "out"):
    """m += (g - m)(1 - b1),  v += (g^2 - v)(1 - b2),  w -= rate m / (sqrt(v) + epsilon)"""
    rate, a, b, epsilon = rates[0, 0], rates[0, 1], rates[0, 2], rates[0, 3]
    tiny = w.dtype.type(1e-30)
    for j in range(w.shape[1]):
        m[0, j] = flushed(m[0, j] + (g[0, j] - m[0, j]) * a, tiny)
        v[0, j] = flushed(v[0, j] + (g[0, j] * g[0, j] - v[0, j]) * b, tiny)
        w[0, j] -= rate * m[0, j] / (math.sqrt(v[0, j]) + epsilon)


@kernel
def amsgrad(g, rates, m: "out", v: "out", top: "out", w: "out"):
    """As `adam`, with the largest v so far under the root"""
    rate, a, b, epsilon = rates[0, 0], rates[0, 1], rates[0, 2], rates[0, 3]
    for j in range(w.shape[1]):
        m[0, j] += (g[0, j] - m[0, j]) * a
        v[0, j] += (g[0, j] * g[0, j] - v[0, j]) * b
        top[0, j] = v[0, j] if not (v[0, j] <= top[0, j]) else top[0, j]
        w[0, j] -= rate * m[0, j] / (math.sqrt(top[0, j]) + epsilon)


@kernel
def descend(g, learning_rate, w: "out"):
    """w -= lr g"""
    for j in range(w.shape[1]):
        w[0, j] -= learning_rate[0, 0] * g[0, j]


@kernel
def momentum(g, learning_rate, mu, m: "out", w: "out"):
    """m = mu m - lr g,  w += m"""
    for j in range(w.shape[1]):
        m[0, j] = mu[0, 0] * m[0, j] - learning_rate[0, 0] * g[0, j]
        w[0, j] += m[0, j]


@kernel
def nesterov(g, learning_rate, mu, m: "out", w: "out"):
    """m = mu m - lr g,  w += mu m - lr g"""
    for j in range(w.shape[1]):
        m[0, j] = mu[0, 0] * m[0, j] - learning_rate[0, 0] * g[0, j]
        w[0, j] += mu[0, 0] * m[0, j] - learning_rate[0, 0] * g[0, j]


@kernel
def rmsprop(g, learning_rate, settings, s: "out", w: "out"):
    """s = rho s + (1 - rho) g^2,  w -= lr g / sqrt(s + epsilon);  settings = [rho, epsilon]"""
    rho, epsilon = settings[0, 0], settings[0, 1]
    one = w.dtype.type(1)
    for j in range(w.shape[1]):
        s[0, j] = rho * s[0, j] + (one - rho) * g[0, j] * g[0, j]
        w[0, j] -= learning_rate[0, 0] * g[0, j] / math.sqrt(s[0, j] + epsilon)


@kernel
def rmsprop_full(g, learning_rate, settings, s: "out", m: "out", a: "out", w: "out"):
    """As `rmsprop`, with momentum, m = mu m + lr g / sqrt(d), w -= m, and centered: d = s - a^2 + epsilon

    a = rho a + (1 - rho) g, or 0 where not centered;  settings = [rho, epsilon, mu, 1 if centered else 0]
    """
    rho, epsilon, mu, centered = settings[0, 0], settings[0, 1], settings[0, 2], settings[0, 3]
    one = w.dtype.type(1)
    for j in range(w.shape[1]):
        s[0, j] = rho * s[0, j] + (one - rho) * g[0, j] * g[0, j]
        a[0, j] = centered * (rho * a[0, j] + (one - rho) * g[0, j])
        d = s[0, j] - a[0, j] * a[0, j] + epsilon
        m[0, j] = mu * m[0, j] + learning_rate[0, 0] * g[0, j] / math.sqrt(d)
        w[0, j] -= m[0, j]


@kernel
def decay(learning_rate, rate, w: "out"):
    """w -= w rate lr"""
    factor = rate[0, 0] * learning_rate[0, 0]
    for j in range(w.shape[1]):
        w[0, j] -= w[0, j] * factor


@kernel
def clip_norm(limit, g: "out"):
    """g *= limit / max(|g|, limit)"""
    total = g.dtype.type(0)
    for j in range(g.shape[1]):
        total += g[0, j] * g[0, j]
    norm = math.sqrt(total)
    if norm != norm:
        factor = norm
    else:
        factor = limit[0, 0] / max(norm, limit[0, 0])
    for j in range(g.shape[1]):
        g[0, j] *= factor


@kernel
def clip_values(limit, g: "out"):
    """g kept within [-limit, limit]; a NaN stays a NaN"""
    top = limit[0, 0]
    for j in range(g.shape[1]):
        v = -top if g[0, j] < -top else g[0, j]
        g[0, j] = top if v > top else v


@kernel
def average(x, momentum, step: "int64", mean: "out"):
    """mean = k mean + (1 - k) x, where k = momentum, but 0 in the very first step"""
    k = momentum[0, 0] if step[0, 0] > 0 else momentum.dtype.type(0)
    for j in range(mean.shape[1]):
        mean[0, j] = k * mean[0, j] + (mean.dtype.type(1) - k) * x[0, j]


@kernel
def add_scaled(x, factor, y: "out"):
    """y += factor x"""
    for j in range(y.shape[1]):
        y[0, j] += factor[0, 0] * x[0, j]


@kernel
def copy_every(x, step: "int64", every: "int64", y: "out"):
    """y = x if step + 1 is a multiple of `every`, else y stays"""
    if (step[0, 0] + 1) % every[0, 0] == 0:
        for j in range(y.shape[1]):
            y[0, j] = x[0, j]
