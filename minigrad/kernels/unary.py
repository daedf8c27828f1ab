"""One element in, one element out: trigonometry, logarithms near 1, rounding, tests."""

import math

import numpy as np

from minigrad.kernels import functions
from minigrad.program import kernel


@kernel
def sin(x, y: "out"):
    """y = sin x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.sin(x[i, j])


@kernel
def sin_vjp(gy, x, gx: "out"):
    """gx = gy cos x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, j] * math.cos(x[i, j])


@kernel
def cos(x, y: "out"):
    """y = cos x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.cos(x[i, j])


@kernel
def cos_vjp(gy, x, gx: "out"):
    """gx = -gy sin x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = -gy[i, j] * math.sin(x[i, j])


@kernel
def arctan(x, y: "out"):
    """y = the angle whose tangent is x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.atan(x[i, j])


@kernel
def arctan_vjp(gy, x, gx: "out"):
    """gx = gy / (1 + x^2)"""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, j] / (one + x[i, j] * x[i, j])


@kernel
def expm1(x, y: "out"):
    """y = e^x - 1, exact near 0"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.expm1(x[i, j])


@kernel
def expm1_vjp(gy, x, gx: "out"):
    """gx = gy e^x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, j] * functions.exp(x[i, j])


@kernel
def log1p(x, y: "out"):
    """y = ln(1 + x), exact near 0"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.log1p(x[i, j])


@kernel
def log1p_vjp(gy, x, gx: "out"):
    """gx = gy / (1 + x)"""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, j] / (one + x[i, j])


@kernel
def floor(x, y: "out"):
    """y = the largest integer that is not above x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = np.floor(x[i, j])


@kernel
def round_half_even(x, y: "out"):
    """y = the nearest integer, of two as near the even one"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = np.rint(x[i, j])


@kernel
def sign(x, y: "out"):
    """y = -1, 0 or 1; a NaN stays a NaN"""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = one if x[i, j] > zero else (-one if x[i, j] < zero else x[i, j] * zero)


@kernel
def is_nan(x, y: "bool out"):
    """y = (x is NaN)"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] != x[i, j]


@kernel
def is_finite(x, y: "bool out"):
    """y = (x is neither NaN nor infinite): only then is x - x zero"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - x[i, j] == 0


@kernel
def truncate(x, y: "int64 out"):
    """y = x without what stands behind the point, as an integer; what is none, such as NaN, becomes the least one"""
    least = np.int64(-(2**63))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = np.int64(x[i, j]) if abs(x[i, j]) < 2.0**63 else least
