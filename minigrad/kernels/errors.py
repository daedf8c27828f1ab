"""Errors of predictions, one value per row: the mean over the columns. (Other errors are composed of operations.)"""

import math

from minigrad.kernels.functions import tanh
from minigrad.program import kernel


@kernel
def squared_error(target, x, y: "out"):
    """y_i = mean over j of (x_ij - target_ij)^2"""
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            d = x[i, j] - target[i, j]
            total += d * d
        y[i, 0] = total * share


@kernel
def squared_error_vjp(gy, target, x, gx: "out"):
    """gx_ij = 2 gy_i (x_ij - target_ij) / n"""
    share = x.dtype.type(2) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, 0] * (x[i, j] - target[i, j]) * share


@kernel
def absolute_error(target, x, y: "out"):
    """y_i = mean over j of |x_ij - target_ij|"""
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += abs(x[i, j] - target[i, j])
        y[i, 0] = total * share


@kernel
def absolute_error_vjp(gy, target, x, gx: "out"):
    """gx_ij = gy_i sign(x_ij - target_ij) / n, with sign(0) = 0"""
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            d = x[i, j] - target[i, j]
            down = -share if d < 0 else d  # d is 0, or NaN, where it has no sign
            gx[i, j] = gy[i, 0] * (share if d > 0 else down)


@kernel
def huber(target, x, delta, y: "out"):
    """y_i = mean over j of d^2 / 2 where |d| <= delta, else delta |d| - delta^2 / 2, d = x_ij - target_ij"""
    half = x.dtype.type(0.5)
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            d = abs(x[i, j] - target[i, j])
            total += half * d * d if d <= delta[0, 0] else delta[0, 0] * (d - half * delta[0, 0])
        y[i, 0] = total / x.dtype.type(x.shape[1])


@kernel
def huber_vjp(gy, target, x, delta, gx: "out"):
    """gx_ij = gy_i d / n, d = x_ij - target_ij kept within [-delta, delta]"""
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            d = x[i, j] - target[i, j]
            d = -delta[0, 0] if d < -delta[0, 0] else d
            gx[i, j] = gy[i, 0] * (delta[0, 0] if d > delta[0, 0] else d) * share


@kernel
def log_cosh(target, x, y: "out"):
    """y_i = mean over j of ln cosh d, d = x_ij - target_ij

    For large d it is |d| + ln(1 + e^-2|d|) - ln 2, since cosh d would overflow. For small d that would lose digits, but
    cosh d = 1 + 2 sinh(d/2)^2 does not.
    """
    half, one, two, ln_2 = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(2), x.dtype.type(0.6931471805599453)
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            d = abs(x[i, j] - target[i, j])
            if d < one:
                s = math.sinh(half * d)
                total += math.log1p(two * s * s)
            else:
                total += d + math.log1p(math.exp(-two * d)) - ln_2
        y[i, 0] = total / x.dtype.type(x.shape[1])


@kernel
def log_cosh_vjp(gy, target, x, gx: "out"):
    """gx_ij = gy_i tanh(x_ij - target_ij) / n"""
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, 0] * tanh(x[i, j] - target[i, j]) * share
