"""One element in, one element out: arithmetic, comparisons, activations."""

import math

import numpy as np

from minigrad.kernels import functions
from minigrad.program import kernel


@kernel
def add(a, b, y: "out"):
    """y = a + b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] + b[i, j]


@kernel
def subtract(a, b, y: "out"):
    """y = a - b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] - b[i, j]


@kernel
def multiply(a, b, y: "out"):
    """y = a b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] * b[i, j]


@kernel
def divide(a, b, y: "out"):
    """y = a / b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] / b[i, j]


@kernel
def divide_vjp_b(gy, b, y, gb: "out"):
    """gb = -gy y / b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            gb[i, j] = -gy[i, j] * y[i, j] / b[i, j]


@kernel
def power(a, b, y: "out"):
    """y = a^b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] ** b[i, j]


@kernel
def power_vjp_a(gy, a, b, ga: "out"):
    """ga = gy b a^(b-1), and 0 where b = 0"""
    one = a.dtype.type(1)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            slope = b[i, j] * a[i, j] ** (b[i, j] - one)
            ga[i, j] = gy[i, j] * slope if b[i, j] != 0 else ga.dtype.type(0)


@kernel
def power_vjp_b(gy, a, y, gb: "out"):
    """gb = gy y log a, and 0 where a <= 0"""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            gb[i, j] = gy[i, j] * y[i, j] * math.log(a[i, j]) if a[i, j] > 0 else gb.dtype.type(0)


@kernel
def maximum(a, b, y: "out"):
    """y = the larger of a and b; a NaN wins"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] if a[i, j] >= b[i, j] or a[i, j] != a[i, j] else b[i, j]


@kernel
def minimum(a, b, y: "out"):
    """y = the smaller of a and b; a NaN wins"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] if a[i, j] <= b[i, j] or a[i, j] != a[i, j] else b[i, j]


@kernel
def pick_where(gy, condition: "bool", y: "out"):
    """y = gy where the condition is true, else 0"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = gy[i, j] if condition[i, j] else y.dtype.type(0)


@kernel
def pick_where_not(gy, condition: "bool", y: "out"):
    """y = 0 where the condition is true, else gy"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = y.dtype.type(0) if condition[i, j] else gy[i, j]


@kernel
def where(condition: "bool", a, b, y: "out"):
    """y = a where the condition is true, else b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] if condition[i, j] else b[i, j]


@kernel
def greater(a, b, y: "bool out"):
    """y = (a > b)"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] > b[i, j]


@kernel
def greater_equal(a, b, y: "bool out"):
    """y = (a >= b)"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] >= b[i, j]


@kernel
def equal(a, b, y: "bool out"):
    """y = (a == b)"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] == b[i, j]


@kernel
def not_equal(a, b, y: "bool out"):
    """y = (a != b)"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, j] != b[i, j]


@kernel
def negative(x, y: "out"):
    """y = -x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = -x[i, j]


@kernel
def scale(x, factor, y: "out"):
    """y = factor x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = factor[0, 0] * x[i, j]


@kernel
def exp(x, y: "out"):
    """y = e^x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = functions.exp(x[i, j])


@kernel
def log(x, y: "out"):
    """y = ln x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.log(x[i, j])


@kernel
def sqrt(x, y: "out"):
    """y = the square root of x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.sqrt(x[i, j])


@kernel
def sqrt_vjp(gy, y, gx: "out"):
    """gx = gy / 2y"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            gx[i, j] = gy[i, j] / (y[i, j] + y[i, j])


@kernel
def square(x, y: "out"):
    """y = x^2"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * x[i, j]


@kernel
def square_vjp(gy, x, gx: "out"):
    """gx = 2 x gy"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = (x[i, j] + x[i, j]) * gy[i, j]


@kernel
def absolute(x, y: "out"):
    """y = |x|"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = abs(x[i, j])


@kernel
def absolute_vjp(gy, x, gx: "out"):
    """gx = gy sign(x), with sign(0) = 0"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            still = gy[i, j] * x[i, j]  # 0, or NaN, where x has no sign
            down = -gy[i, j] if x[i, j] < 0 else still
            gx[i, j] = gy[i, j] if x[i, j] > 0 else down


@kernel
def softsign(x, y: "out"):
    """y = x / (1 + |x|)"""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] / (abs(x[i, j]) + one)


@kernel
def softsign_vjp(gy, x, gx: "out"):
    """gx = gy / (1 + |x|)^2"""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            slope = one / (abs(x[i, j]) + one)
            gx[i, j] = gy[i, j] * slope * slope


@kernel
def hypot(a, b, y: "out"):
    """y = sqrt(a^2 + b^2), without overflow"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = math.hypot(a[i, j], b[i, j])


@kernel
def hypot_vjp(gy, x, y, gx: "out"):
    """gx = gy x / y, 0 where y is 0; x is one of the operands"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            gx[i, j] = gy[i, j] * (x[i, j] / y[i, j]) if y[i, j] != 0 else y[i, j]


@kernel
def mod(a, b, y: "out"):
    """y = a - floor(a / b) b, exact also for an infinite b"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            rest = np.fmod(a[i, j], b[i, j])
            y[i, j] = rest + b[i, j] if rest * b[i, j] < 0 else rest


@kernel
def mod_vjp_b(gy, a, b, gb: "out"):
    """gb = -gy floor(a / b)"""
    for i in range(gb.shape[0]):
        for j in range(gb.shape[1]):
            gb[i, j] = -gy[i, j] * np.floor(a[i, j] / b[i, j])


@kernel
def tanh(x, y: "out"):
    """y = tanh x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = functions.tanh(x[i, j])


@kernel
def tanh_vjp(gy, y, gx: "out"):
    """gx = gy (1 - y^2)"""
    one = y.dtype.type(1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            gx[i, j] = gy[i, j] * (one - y[i, j] * y[i, j])


@kernel
def erf(x, y: "out"):
    """y = the error function of x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.erf(x[i, j])


@kernel
def erf_vjp(gy, x, gx: "out"):
    """gx = gy 2/sqrt(pi) e^(-x^2)"""
    c = x.dtype.type(1.1283791670955126)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, j] * c * functions.exp(-x[i, j] * x[i, j])


@kernel
def relu(x, y: "out"):
    """y = max(x, 0); a NaN stays a NaN"""
    zero = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = zero if x[i, j] < zero else x[i, j]


@kernel
def relu_vjp(gy, y, gx: "out"):
    """gx = gy where y is not 0, else 0: the slope at 0 is 0"""
    zero = y.dtype.type(0)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            gx[i, j] = zero if y[i, j] == zero else gy[i, j]


@kernel
def leaky_relu(x, slope, y: "out"):
    """y = x where x > 0, else slope x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if x[i, j] > 0 else slope[0, 0] * x[i, j]


@kernel
def leaky_relu_vjp(gy, x, slope, gx: "out"):
    """gx = gy where x > 0, else slope gy"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, j] if x[i, j] > 0 else slope[0, 0] * gy[i, j]


@kernel
def clip(x, low, high, y: "out"):
    """y = x kept within [low, high]; a NaN stays a NaN"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = low[0, 0] if x[i, j] < low[0, 0] else x[i, j]
            y[i, j] = high[0, 0] if v > high[0, 0] else v


@kernel
def clip_vjp(gy, x, low, high, gx: "out"):
    """gx = gy where low <= x <= high, else 0"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            inside = x[i, j] >= low[0, 0] and x[i, j] <= high[0, 0]
            gx[i, j] = gy[i, j] if inside else gx.dtype.type(0)


@kernel
def prelu(x, alpha, y: "out"):
    """y_ij = x_ij where x_ij > 0, else alpha_j x_ij"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if x[i, j] > 0 else alpha[0, j] * x[i, j]


@kernel
def prelu_vjp(gy, x, alpha, gx: "out", galpha: "out"):
    """gx_ij = gy_ij, or alpha_j gy_ij below 0, or 0 at 0;   galpha_j = sum over i of gy_ij min(x_ij, 0)"""
    zero = x.dtype.type(0)
    for j in range(x.shape[1]):
        galpha[0, j] = zero
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v, g = x[i, j], gy[i, j]
            gx[i, j] = g if v > 0 else (zero if v == 0 else alpha[0, j] * g)
            galpha[0, j] += zero if v > 0 else g * v
