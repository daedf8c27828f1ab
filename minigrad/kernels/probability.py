"""Probabilities, and their comparison with targets: softmax, cross-entropies, matches.

A cross-entropy has one value per row: the mean (binary) or the sum (categorical) over the columns.
"""

import math

import numpy as np

from minigrad.kernels.each import each
from minigrad.kernels.functions import exp, log1p_exp, logistic, positive_part
from minigrad.program import helper, kernel


@kernel
def softmax(x, y: "out"):
    """y_ij = e^(x_ij - m_i) / sum_k e^(x_ik - m_i), m_i = max_k x_ik"""
    for i in range(x.shape[0]):
        top = x[i, 0]
        for j in range(x.shape[1]):
            top = max(top, x[i, j])
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            y[i, j] = exp(x[i, j] - top)
            total += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= total


@kernel
def softmax_vjp(gy, y, gx: "out"):
    """gx_ij = y_ij (gy_ij - sum_k gy_ik y_ik)"""
    for i in range(y.shape[0]):
        dot = y.dtype.type(0)
        for j in range(y.shape[1]):
            dot += gy[i, j] * y[i, j]
        for j in range(y.shape[1]):
            gx[i, j] = y[i, j] * (gy[i, j] - dot)


@helper
def top_and_total(x, i):
    """top = max over j of x_ij, and total = sum over j of e^(x_ij - top)

    x_ij - top is exact, so a large number that all x_ij have in common costs no digits. Where something is added to
    this difference it is written abs(x_ij - top): else LLVM would add to the top first.
    """
    top = x[i, 0]
    for j in range(x.shape[1]):
        top = max(top, x[i, j])
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += exp(x[i, j] - top)
    return top, total


@kernel
def log_softmax(x, y: "out"):
    """y_ij = x_ij - ln sum_k e^x_ik"""
    for i in range(x.shape[0]):
        top, total = top_and_total(x, i)
        shift = math.log(total)
        for j in range(x.shape[1]):
            y[i, j] = -(shift + abs(x[i, j] - top))


@kernel
def log_softmax_vjp(gy, y, gx: "out"):
    """gx_ij = gy_ij - e^y_ij sum_k gy_ik"""
    for i in range(y.shape[0]):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            total += gy[i, j]
        for j in range(y.shape[1]):
            gx[i, j] = gy[i, j] - exp(y[i, j]) * total


@helper
def smoothed(target, smoothing, base):
    """target (1 - smoothing) + smoothing base"""
    return target + smoothing * (base - target)


@kernel
def binary_crossentropy(target, p, settings, y: "out"):
    """y_i = -mean over j of t ln q + (1 - t) ln(1 - q), q = p kept within [e, 1 - e]; settings = [smoothing, e]"""
    smoothing, low = settings[0, 0], settings[0, 1]
    one = p.dtype.type(1)
    half = p.dtype.type(0.5)
    high = one - low
    for i in range(p.shape[0]):
        total = p.dtype.type(0)
        for j in range(p.shape[1]):
            t = smoothed(target[i, j], smoothing, half)
            q = low if p[i, j] < low else p[i, j]
            q = high if q > high else q
            # With 1 - t, LLVM would compute ln(1 - q) + t (ln q - ln(1 - q)), which has no right digit for q near 1.
            total -= t * math.log(q) - (t - one) * math.log(one - q)
        y[i, 0] = total / p.dtype.type(p.shape[1])


@kernel
def binary_crossentropy_vjp(gy, target, p, settings, gp: "out"):
    """gp_ij = gy_i (p - t) / (p (1 - p) n) inside [e, 1 - e], 0 outside, where the clipping is flat"""
    smoothing, low = settings[0, 0], settings[0, 1]
    one = p.dtype.type(1)
    half = p.dtype.type(0.5)
    high = one - low
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            t = smoothed(target[i, j], smoothing, half)
            q = p[i, j]
            slope = (q - t) / (q * (one - q) * p.dtype.type(p.shape[1]))
            gp[i, j] = p.dtype.type(0) if q < low or q > high else gy[i, 0] * slope


@kernel
def binary_crossentropy_logits(target, x, settings, y: "out"):
    """y_i = mean over j of max(x, 0) - x t + ln(1 + e^-|x|): exact for logits x of any size; settings = [smoothing]"""
    smoothing = settings[0, 0]
    half = x.dtype.type(0.5)
    if x.shape[1] == 1:  # the usual case: a column is one row in memory, and a row vectorises
        target, x, y = target.reshape(1, x.size), x.reshape(1, x.size), y.reshape(1, x.size)
        for j in range(x.size):
            y[0, j] = positive_part(x[0, j]) - x[0, j] * smoothed(target[0, j], smoothing, half) + log1p_exp(x[0, j])
        return
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            v = x[i, j]
            total += positive_part(v) - v * smoothed(target[i, j], smoothing, half) + log1p_exp(v)
        y[i, 0] = total / x.dtype.type(x.shape[1])


@kernel
def binary_crossentropy_logits_vjp(gy, target, x, settings, gx: "out"):
    """gx_ij = gy_i (1 / (1 + e^-x) - t) / n"""
    smoothing = settings[0, 0]
    half = x.dtype.type(0.5)
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    if x.shape[1] == 1:
        gy, target, gx = gy.reshape(1, x.size), target.reshape(1, x.size), gx.reshape(1, x.size)
        x = x.reshape(1, x.size)
        for j in range(x.size):
            gx[0, j] = gy[0, j] * (logistic(x[0, j]) - smoothed(target[0, j], smoothing, half))
        return
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            t = smoothed(target[i, j], smoothing, half)
            gx[i, j] = gy[i, 0] * (logistic(x[i, j]) - t) * share


@kernel
def categorical_crossentropy(target, p, settings, y: "out"):
    """y_i = -sum over j of t ln q, q = p / (sum of p) kept within [e, 1 - e]; settings = [smoothing, e]"""
    smoothing, low = settings[0, 0], settings[0, 1]
    one = p.dtype.type(1)
    high = one - low
    base = one / p.dtype.type(p.shape[1])
    for i in range(p.shape[0]):
        norm = p.dtype.type(0)
        for j in range(p.shape[1]):
            norm += p[i, j]
        total = p.dtype.type(0)
        for j in range(p.shape[1]):
            q = p[i, j] / norm
            q = low if q < low else q
            q = high if q > high else q
            total -= smoothed(target[i, j], smoothing, base) * math.log(q)
        y[i, 0] = total


@kernel
def categorical_crossentropy_vjp(gy, target, p, settings, gp: "out"):
    """gp_ij = gy_i (T_i - t_ij / q_ij) / (sum of p), t taken as 0 where q is clipped, T_i the sum of t over row i"""
    smoothing, low = settings[0, 0], settings[0, 1]
    one = p.dtype.type(1)
    zero = p.dtype.type(0)
    high = one - low
    base = one / p.dtype.type(p.shape[1])
    for i in range(p.shape[0]):
        norm = zero
        for j in range(p.shape[1]):
            norm += p[i, j]
        inside = zero
        for j in range(p.shape[1]):
            q = p[i, j] / norm
            inside += zero if q < low or q > high else smoothed(target[i, j], smoothing, base)
        for j in range(p.shape[1]):
            q = p[i, j] / norm
            pull = zero if q < low or q > high else smoothed(target[i, j], smoothing, base) / q
            gp[i, j] = gy[i, 0] * (inside - pull) / norm


@kernel
def categorical_crossentropy_logits(target, x, settings, y: "out"):
    """y_i = sum over j of t (ln sum_k e^x_ik - x_ij); settings = [smoothing]"""
    smoothing = settings[0, 0]
    base = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        top, total = top_and_total(x, i)
        shift = math.log(total)
        loss = x.dtype.type(0)
        for j in range(x.shape[1]):
            loss += smoothed(target[i, j], smoothing, base) * (shift + abs(x[i, j] - top))
        y[i, 0] = loss


@kernel
def categorical_crossentropy_logits_vjp(gy, target, x, settings, gx: "out"):
    """gx_ij = gy_i (T_i e^x_ij / sum_k e^x_ik - t_ij), T_i the sum of the targets of row i"""
    smoothing = settings[0, 0]
    base = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        top, total = top_and_total(x, i)
        mass = x.dtype.type(0)
        for j in range(x.shape[1]):
            mass += smoothed(target[i, j], smoothing, base)
        for j in range(x.shape[1]):
            p = exp(x[i, j] - top) / total
            gx[i, j] = gy[i, 0] * (mass * p - smoothed(target[i, j], smoothing, base))


@kernel
def sparse_crossentropy_logits(label, x, y: "out"):
    """y_i = ln sum_k e^x_ik - x_i,label; NaN where the label is no class"""
    for i in range(x.shape[0]):
        c = label[i, 0]
        if c >= 0 and c < x.shape[1]:
            top, total = top_and_total(x, i)
            y[i, 0] = math.log(total) + abs(x[i, int(c)] - top)
        else:
            y[i, 0] = np.nan


@kernel
def sparse_crossentropy_logits_vjp(gy, label, x, gx: "out"):
    """gx_ij = gy_i (e^x_ij / sum_k e^x_ik - [j = label_i])"""
    for i in range(x.shape[0]):
        top, total = top_and_total(x, i)
        for j in range(x.shape[1]):
            gx[i, j] = gy[i, 0] * (exp(x[i, j] - top) / total)
        c = label[i, 0]
        if c >= 0 and c < x.shape[1]:
            gx[i, int(c)] -= gy[i, 0]


@each
def binary_match(target, p, threshold: "number", y: "out"):
    """y = 1 where [p > threshold] = target, else 0"""
    one, zero = type(target)(1), type(target)(0)
    label = one if p > threshold else zero
    return one if label == target else zero


@helper
def first_largest(x, i):
    """The first j with the largest x_ij"""
    best = 0
    for j in range(x.shape[1]):
        if x[i, j] > x[i, best]:
            best = j
    return best


@kernel
def argmax_columns(x, y: "int64 out"):
    """y_i = the first j with the largest x_ij"""
    for i in range(x.shape[0]):
        y[i, 0] = first_largest(x, i)


@kernel
def categorical_match(target, p, y: "out"):
    """y_i = 1 if the largest target_ij and the largest p_ij stand in the same column, else 0"""
    for i in range(p.shape[0]):
        y[i, 0] = y.dtype.type(first_largest(target, i) == first_largest(p, i))


@kernel
def sparse_match(label, p, y: "out"):
    """y_i = 1 if the largest p_ij stands in column label_i, else 0"""
    for i in range(p.shape[0]):
        y[i, 0] = y.dtype.type(label[i, 0] == y.dtype.type(first_largest(p, i)))
