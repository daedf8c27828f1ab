"""Batch Normalization and Layer Normalization.

`settings` of the former is the row [momentum, epsilon, floor]. The activation is part of the same pass over memory:
floor = 0 is relu, floor = -inf is none.
"""

import math

import numpy as np

from minigrad.program import helper, kernel

BLOCK = 256  # rows are summed in blocks of so many, and then the sums: rounding errors stay small
MOMENTS = 5  # rows of a group's sums
COST = 20  # one number takes as long here as so many multiplications of a matrix product


@helper
def _columns(part, x):
    """The first and the last column of `part`, unsigned: an index that can't be negative lets loops vectorise."""
    return np.uint64(part[0, 2]), np.uint64(min(part[0, 3], x.shape[1]))


@kernel(exact=True, disjoint=True, cost=lambda x, *_: COST * x.size)
def batch_normalization(
    x: "columns",
    bias: "columns",
    gamma: "columns",
    beta: "columns",
    settings,
    moving_mean: "columns out",
    moving_variance: "columns out",
    y: "columns out",
    mean: "columns out",
    inverse: "columns out",
    part: "int64",
):
    """y = max(floor, (x - mean) inverse gamma + beta), inverse = 1 / sqrt(variance + epsilon), over each column

    mean and variance (biased) are those of the batch; both are averaged into the moving ones. The caller need not add
    the bias to x: it is added to the moving mean. Everything is measured from the first row, which is about one
    deviation away from the mean: so a mean that is ten thousand times the deviation costs no digits. (Hence `exact`:
    LLVM would undo that.) Meanwhile the first row of y holds the sum of a block.
    """
    m, (first, last) = x.shape[0], _columns(part, x)
    momentum, epsilon, floor = settings[0, 0], settings[0, 1], settings[0, 2]
    one = x.dtype.type(1)
    zero = x.dtype.type(0)
    share = one / x.dtype.type(m)
    for j in range(first, last):
        mean[0, j] = zero
        inverse[0, j] = zero
    for start in range(0, m, BLOCK):
        stop = min(start + BLOCK, m)
        fours = stop - (stop - start) % 4  # four rows at a time need a quarter of the loads and stores of the sums
        for j in range(first, last):
            y[0, j] = zero
        for i in range(start, fours, 4):
            for j in range(first, last):
                o = x[0, j]
                y[0, j] += ((x[i, j] - o) + (x[i + 1, j] - o)) + ((x[i + 2, j] - o) + (x[i + 3, j] - o))
        for i in range(fours, stop):
            for j in range(first, last):
                y[0, j] += x[i, j] - x[0, j]
        for j in range(first, last):
            mean[0, j] += y[0, j]
    for j in range(first, last):
        mean[0, j] *= share
    for start in range(0, m, BLOCK):
        stop = min(start + BLOCK, m)
        fours = stop - (stop - start) % 4
        for j in range(first, last):
            y[0, j] = zero
        for i in range(start, fours, 4):
            for j in range(first, last):
                o, u = x[0, j], mean[0, j]
                a, b = (x[i, j] - o) - u, (x[i + 1, j] - o) - u
                c, d = (x[i + 2, j] - o) - u, (x[i + 3, j] - o) - u
                y[0, j] += (a * a + b * b) + (c * c + d * d)
        for i in range(fours, stop):
            for j in range(first, last):
                d = (x[i, j] - x[0, j]) - mean[0, j]
                y[0, j] += d * d
        for j in range(first, last):
            inverse[0, j] += y[0, j]
    for j in range(first, last):
        mean[0, j] += x[0, j]
        variance = inverse[0, j] * share
        moving_mean[0, j] = moving_mean[0, j] * momentum + (mean[0, j] + bias[0, j]) * (one - momentum)
        moving_variance[0, j] = moving_variance[0, j] * momentum + variance * (one - momentum)
        inverse[0, j] = one / math.sqrt(variance + epsilon)
    fours = m - m % 4
    for i in range(0, fours, 4):
        for j in range(first, last):
            u, s, o = mean[0, j], inverse[0, j] * gamma[0, j], beta[0, j]
            a, b = (x[i, j] - u) * s + o, (x[i + 1, j] - u) * s + o
            c, d = (x[i + 2, j] - u) * s + o, (x[i + 3, j] - u) * s + o
            y[i, j] = floor if a < floor else a
            y[i + 1, j] = floor if b < floor else b
            y[i + 2, j] = floor if c < floor else c
            y[i + 3, j] = floor if d < floor else d
    for i in range(fours, m):
        for j in range(first, last):
            v = (x[i, j] - mean[0, j]) * (inverse[0, j] * gamma[0, j]) + beta[0, j]
            y[i, j] = floor if v < floor else v


@kernel(disjoint=True, cost=lambda gy, *_: COST * gy.size)
def batch_normalization_vjp(
    gy: "columns",
    x: "columns",
    y: "columns",
    gamma: "columns",
    settings,
    mean: "columns",
    inverse: "columns",
    work: "columns out",
    gx: "columns out",
    gbias: "columns out",
    ggamma: "columns out",
    gbeta: "columns out",
    part: "int64",
):
    """With g = gy where y is above the floor, else 0, and h = (x - mean) inverse:

    gbeta = sum_i g_i,   ggamma = sum_i g_i h_i,   gx_i = gamma inverse (g_i - gbeta / m - h_i ggamma / m);
    gbias = 0, since y does not depend on the bias. The rows of `work` are the factors of g_i, of 1 and of x_i - mean in
    the formula of gx_i.
    """
    m, (first, last) = x.shape[0], _columns(part, x)
    floor = settings[0, 2]
    zero = x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(m)
    for j in range(first, last):
        gbias[0, j] = zero
        ggamma[0, j] = zero
        gbeta[0, j] = zero
    fours = m - m % 4
    for i in range(0, fours, 4):
        for j in range(first, last):
            u, a, b, c, d = mean[0, j], gy[i, j], gy[i + 1, j], gy[i + 2, j], gy[i + 3, j]
            a = zero if y[i, j] == floor else a
            b = zero if y[i + 1, j] == floor else b
            c = zero if y[i + 2, j] == floor else c
            d = zero if y[i + 3, j] == floor else d
            gbeta[0, j] += (a + b) + (c + d)
            ggamma[0, j] += (a * (x[i, j] - u) + b * (x[i + 1, j] - u)) + (
                c * (x[i + 2, j] - u) + d * (x[i + 3, j] - u)
            )
    for i in range(fours, m):
        for j in range(first, last):
            v = gy[i, j]
            g = zero if y[i, j] == floor else v
            gbeta[0, j] += g
            ggamma[0, j] += g * (x[i, j] - mean[0, j])
    for j in range(first, last):
        ggamma[0, j] *= inverse[0, j]
        work[0, j] = gamma[0, j] * inverse[0, j]
        work[1, j] = work[0, j] * gbeta[0, j] * share
        work[2, j] = work[0, j] * inverse[0, j] * ggamma[0, j] * share
    for i in range(0, fours, 4):
        for j in range(first, last):
            u, p, q, r = mean[0, j], work[0, j], work[1, j], work[2, j]
            a, b, c, d = gy[i, j], gy[i + 1, j], gy[i + 2, j], gy[i + 3, j]
            a = zero if y[i, j] == floor else a
            b = zero if y[i + 1, j] == floor else b
            c = zero if y[i + 2, j] == floor else c
            d = zero if y[i + 3, j] == floor else d
            gx[i, j] = a * p - (q + (x[i, j] - u) * r)
            gx[i + 1, j] = b * p - (q + (x[i + 1, j] - u) * r)
            gx[i + 2, j] = c * p - (q + (x[i + 2, j] - u) * r)
            gx[i + 3, j] = d * p - (q + (x[i + 3, j] - u) * r)
    for i in range(fours, m):
        for j in range(first, last):
            v = gy[i, j]
            g = zero if y[i, j] == floor else v
            gx[i, j] = g * work[0, j] - (work[1, j] + (x[i, j] - mean[0, j]) * work[2, j])


# -------------------------------------------------------------------------------- Batch Normalization of many images


@helper
def _group_moments(x, first, last, sums, group):
    """The moments of rows `first` to `last` of x, in a row of `sums`."""
    one, zero, columns = x.dtype.type(1), x.dtype.type(0), np.uint64(x.shape[1])
    own, n = sums[group], x.shape[1]
    origin, mean, squares, total, more = own[:n], own[n : 2 * n], own[2 * n : 3 * n], own[3 * n : 4 * n], own[4 * n :]
    for j in range(columns):
        origin[j], mean[j], squares[j] = x[first, j], zero, zero
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        fours = stop - (stop - start) % 4
        for j in range(columns):
            total[j] = zero
            more[j] = zero
        for i in range(start, fours, 4):
            for j in range(columns):
                o = x[start, j]
                total[j] += ((x[i, j] - o) + (x[i + 1, j] - o)) + ((x[i + 2, j] - o) + (x[i + 3, j] - o))
        for i in range(fours, stop):
            for j in range(columns):
                total[j] += x[i, j] - x[start, j]
        share = one / x.dtype.type(stop - start)
        for j in range(columns):
            total[j] *= share
        for i in range(start, fours, 4):
            for j in range(columns):
                o, u = x[start, j], total[j]
                a, b = (x[i, j] - o) - u, (x[i + 1, j] - o) - u
                c, d = (x[i + 2, j] - o) - u, (x[i + 3, j] - o) - u
                more[j] += (a * a + b * b) + (c * c + d * d)
        for i in range(fours, stop):
            for j in range(columns):
                d = (x[i, j] - x[start, j]) - total[j]
                more[j] += d * d
        known, new = x.dtype.type(start - first), x.dtype.type(stop - start) / x.dtype.type(stop - first)
        for j in range(columns):
            apart = ((x[start, j] - origin[j]) + total[j]) - mean[j]
            mean[j] += apart * new
            squares[j] += more[j] + apart * apart * new * known


@kernel(exact=True, disjoint=True)
def moments(x: "samples", sums: "groups out"):
    """Over each column of each group of rows: the first element, the mean less it, and the sum of (x - mean)^2

    A row of `sums` has these of a group one after the other, and scratch for two more. A group is summed in blocks,
    which stay in the nearest cache for a second pass. What is known of n rows, with mean u and squares q, and of a
    block of k rows, with v and r, is joined so (Chan, Golub and LeVeque 1979): the mean is u + (v - u) k / (n + k), and
    the squares are q + r + (v - u)^2 n k / (n + k).
    """
    rows = x.shape[0] // max(sums.shape[0], 1)
    for group in range(sums.shape[0]):
        _group_moments(x, group * rows, (group + 1) * rows, sums, group)


@kernel(exact=True)
def join_moments(
    sums, rows: "int64", bias, settings, moving_mean: "out", moving_variance: "out", mean: "out", inverse: "out"
):
    """The mean and 1 / sqrt(variance + epsilon) of all rows, whose groups `moments` has summed; moving ones follow

    The groups are equally large: the mean is that of their means, and the variance that within the groups and that of
    their means together. Both are measured from the first element of all.
    """
    one, (groups, n) = mean.dtype.type(1), (sums.shape[0], mean.shape[1])
    share, each = one / mean.dtype.type(groups), one / mean.dtype.type(rows[0, 0])
    momentum, epsilon = settings[0, 0], settings[0, 1]
    for j in range(mean.shape[1]):
        apart = within = between = mean.dtype.type(0)
        for group in range(groups):
            apart += (sums[group, j] - sums[0, j]) + sums[group, n + j]
            within += sums[group, 2 * n + j]
        apart *= share
        for group in range(groups):
            distance = ((sums[group, j] - sums[0, j]) + sums[group, n + j]) - apart
            between += distance * distance
        mean[0, j] = sums[0, j] + apart
        variance = within * each + between * share
        moving_mean[0, j] = moving_mean[0, j] * momentum + (mean[0, j] + bias[0, j]) * (one - momentum)
        moving_variance[0, j] = moving_variance[0, j] * momentum + variance * (one - momentum)
        inverse[0, j] = one / math.sqrt(variance + epsilon)


@kernel(disjoint=True)
def normalize(x: "samples", gamma, beta, settings, mean, inverse, y: "samples out"):
    """y = max(floor, (x - mean) inverse gamma + beta)"""
    floor, columns = settings[0, 2], np.uint64(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(columns):
            v = (x[i, j] - mean[0, j]) * (inverse[0, j] * gamma[0, j]) + beta[0, j]
            y[i, j] = floor if v < floor else v


@kernel(disjoint=True)
def normalize_sums(gy: "samples", x: "samples", y: "samples", settings, mean, sums: "groups out"):
    """Over each column of each group of rows the sums of g and of g (x - mean), one after the other in a row of `sums`

    g = gy where y is above the floor, else 0.
    """
    floor, zero = settings[0, 2], x.dtype.type(0)
    groups, columns = sums.shape[0], np.uint64(x.shape[1])
    rows = x.shape[0] // max(groups, 1)
    for group in range(groups):
        first, last = group * rows, (group + 1) * rows
        for j in range(2 * columns):
            sums[group, j] = zero
        fours = last - rows % 4
        for i in range(first, fours, 4):
            for j in range(columns):
                u, a, b, c, d = mean[0, j], gy[i, j], gy[i + 1, j], gy[i + 2, j], gy[i + 3, j]
                a = zero if y[i, j] == floor else a
                b = zero if y[i + 1, j] == floor else b
                c = zero if y[i + 2, j] == floor else c
                d = zero if y[i + 3, j] == floor else d
                sums[group, j] += (a + b) + (c + d)
                sums[group, columns + j] += (a * (x[i, j] - u) + b * (x[i + 1, j] - u)) + (
                    c * (x[i + 2, j] - u) + d * (x[i + 3, j] - u)
                )
        for i in range(fours, last):
            for j in range(columns):
                v = gy[i, j]
                g = zero if y[i, j] == floor else v
                sums[group, j] += g
                sums[group, columns + j] += g * (x[i, j] - mean[0, j])


@kernel
def join_normalize_sums(sums, rows: "int64", gamma, inverse, work: "out", gbias: "out", ggamma: "out", gbeta: "out"):
    """The gradients of `batch_normalization_vjp` but for that of x, from what `normalize_sums` has summed"""
    one, zero = gamma.dtype.type(1), gamma.dtype.type(0)
    share = one / gamma.dtype.type(rows[0, 0])
    for j in range(gamma.shape[1]):
        plain = along = zero
        for group in range(sums.shape[0]):
            plain += sums[group, j]
            along += sums[group, gamma.shape[1] + j]
        gbias[0, j] = zero
        gbeta[0, j] = plain
        ggamma[0, j] = along * inverse[0, j]
        work[0, j] = gamma[0, j] * inverse[0, j]
        work[1, j] = work[0, j] * plain * share
        work[2, j] = work[0, j] * inverse[0, j] * ggamma[0, j] * share


@kernel(disjoint=True)
def normalize_vjp(gy: "samples", x: "samples", y: "samples", settings, mean, work, gx: "samples out"):
    """gx = g work_0 - (work_1 + (x - mean) work_2), g = gy where y is above the floor, else 0"""
    floor, zero, columns = settings[0, 2], x.dtype.type(0), np.uint64(x.shape[1])
    for i in range(x.shape[0]):
        for j in range(columns):
            v = gy[i, j]
            g = zero if y[i, j] == floor else v
            gx[i, j] = g * work[0, j] - (work[1, j] + (x[i, j] - mean[0, j]) * work[2, j])


@kernel
def frozen_normalization(x: "samples", bias, gamma, beta, settings, mean, variance, y: "samples out"):
    """y = max(floor, (x + bias - mean) gamma / sqrt(variance + epsilon) + beta) with given mean and variance"""
    epsilon, floor = settings[0, 1], settings[0, 2]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            s = gamma[0, j] / math.sqrt(variance[0, j] + epsilon)
            v = (x[i, j] + (bias[0, j] - mean[0, j])) * s + beta[0, j]
            y[i, j] = floor if v < floor else v


@kernel
def frozen_normalization_vjp(
    gy, x, y, bias, gamma, settings, mean, variance, gx: "out", gbias: "out", ggamma: "out", gbeta: "out"
):
    """With g = gy where y is above the floor, else 0, and s = 1 / sqrt(variance + epsilon):

    gx = g gamma s,   gbias = sum_i gx_i,   ggamma = sum_i g_i (x_i + bias - mean) s,   gbeta = sum_i g_i
    """
    epsilon, floor = settings[0, 1], settings[0, 2]
    one = x.dtype.type(1)
    zero = x.dtype.type(0)
    for j in range(x.shape[1]):
        ggamma[0, j] = zero
        gbeta[0, j] = zero
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            s = one / math.sqrt(variance[0, j] + epsilon)
            g = zero if y[i, j] == floor else gy[i, j]
            gx[i, j] = g * gamma[0, j] * s
            gbeta[0, j] += g
            ggamma[0, j] += g * (x[i, j] + (bias[0, j] - mean[0, j])) * s
    for j in range(x.shape[1]):
        gbias[0, j] = gbeta[0, j] * gamma[0, j] / math.sqrt(variance[0, j] + epsilon)


@kernel
def layer_normalization(x, gamma, beta, settings, y: "out", mean: "out", inverse: "out"):
    """y_ij = (x_ij - mean_i) inverse_i gamma_j + beta_j, inverse = 1 / sqrt(variance + epsilon), over each row

    settings = [epsilon]. A first mean is corrected by the mean of the distances from it, which y holds meanwhile: so a
    mean that is ten thousand times the deviation costs no digits.
    """
    m, n = x.shape
    zero = x.dtype.type(0)
    one = x.dtype.type(1)
    share = one / x.dtype.type(n)
    epsilon = settings[0, 0]
    for i in range(m):
        total = zero
        for j in range(n):
            total += x[i, j]
        rough = total * share
        for j in range(n):
            y[i, j] = x[i, j] - rough
        rest = zero
        for j in range(n):
            rest += y[i, j]
        rest *= share
        total = zero
        for j in range(n):
            d = y[i, j] - rest
            total += d * d
        mean[i, 0] = rough + rest
        inverse[i, 0] = one / math.sqrt(total * share + epsilon)
        for j in range(n):
            y[i, j] = (y[i, j] - rest) * inverse[i, 0] * gamma[0, j] + beta[0, j]


@kernel
def layer_normalization_vjp(gy, x, gamma, mean, inverse, gx: "out", ggamma: "out", gbeta: "out"):
    """With h = (x - mean) inverse and g = gy gamma, over each row of n:

    gx_j = inverse (g_j - sum_k g_k / n - h_j sum_k g_k h_k / n),   ggamma_j = sum_i gy_ij h_ij,   gbeta_j = sum_i gy_ij
    """
    m, n = x.shape
    zero = x.dtype.type(0)
    share = x.dtype.type(1) / x.dtype.type(n)
    for j in range(n):
        ggamma[0, j] = zero
        gbeta[0, j] = zero
    for i in range(m):
        u, s = mean[i, 0], inverse[i, 0]
        total = zero
        along = zero
        for j in range(n):
            h = (x[i, j] - u) * s
            g = gy[i, j] * gamma[0, j]
            total += g
            along += g * h
            ggamma[0, j] += gy[i, j] * h
            gbeta[0, j] += gy[i, j]
        total *= share
        along *= share
        for j in range(n):
            h = (x[i, j] - u) * s
            gx[i, j] = s * (gy[i, j] * gamma[0, j] - total - h * along)
