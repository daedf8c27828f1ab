"""Group Normalization: each sample by itself, in groups of neighboring columns (channels).

A sample is x.shape[0] / n rows one below the other. `moments` has two rows per sample, the mean and 1 / deviation of
each column's group. Loops go along rows, where the columns of all groups stand side by side.
"""

import math

import numpy as np

from minigrad.program import helper, kernel


@helper
def _mean_over_groups(rows, i, width):
    """Row i of `rows`, in which the mean of each group takes the place of its numbers.

    It is measured from the first of them, which costs no digits where they are alike.
    """
    for begin in range(0, rows.shape[1], width):
        first, total = rows[i, begin], rows.dtype.type(0)
        for j in range(begin, begin + width):
            total += rows[i, j] - first
        mean = first + total / rows.dtype.type(width)
        for j in range(begin, begin + width):
            rows[i, j] = mean


@kernel(exact=True, disjoint=True)
def group_normalization(
    x: "samples", gamma, beta, settings, groups: "int64", y: "samples out", moments: "samples out"
):
    """y = (x - mean) inverse gamma + beta, inverse = 1 / sqrt(variance + epsilon), over each group of each sample

    settings = [epsilon]. Columns are summed from their first number on, and so keep their digits.
    """
    n, columns, epsilon = moments.shape[0] // 2, np.uint64(x.shape[1]), settings[0, 0]
    rows, width = x.shape[0] // max(n, 1), x.shape[1] // groups[0, 0]
    share = x.dtype.type(1) / x.dtype.type(rows)
    for sample in range(n):
        top, u, v = sample * rows, 2 * sample, 2 * sample + 1
        for j in range(columns):
            moments[u, j] = x.dtype.type(0)
            moments[v, j] = x.dtype.type(0)
        for i in range(top, top + rows):
            for j in range(columns):
                moments[u, j] += x[i, j] - x[top, j]
        for j in range(columns):
            moments[u, j] = x[top, j] + moments[u, j] * share
        _mean_over_groups(moments, u, width)
        for i in range(top, top + rows):
            for j in range(columns):
                d = x[i, j] - moments[u, j]
                moments[v, j] += d * d
        _mean_over_groups(moments, v, width)
        for j in range(columns):
            moments[v, j] = x.dtype.type(1) / math.sqrt(moments[v, j] * share + epsilon)
        for i in range(top, top + rows):
            for j in range(columns):
                y[i, j] = (x[i, j] - moments[u, j]) * (moments[v, j] * gamma[0, j]) + beta[0, j]


@kernel(disjoint=True)
def group_normalization_vjp(
    gy: "samples",
    x: "samples",
    gamma,
    groups: "int64",
    moments: "samples",
    gx: "samples out",
    ggamma: "samples out",
    gbeta: "samples out",
    means: "samples out",
):
    """With h = (x - mean) inverse and g = gy gamma, over each group of m numbers of each sample:

    gx = inverse (g - sum g / m - h sum g h / m),   ggamma = sum gy h and gbeta = sum gy of each column;
    `means` has two rows per sample, sum g / m and sum g h / m
    """
    n, columns = moments.shape[0] // 2, np.uint64(x.shape[1])
    rows, width = x.shape[0] // max(n, 1), x.shape[1] // groups[0, 0]
    share = x.dtype.type(1) / x.dtype.type(rows)
    for sample in range(n):
        top, u, v = sample * rows, 2 * sample, 2 * sample + 1
        for j in range(columns):
            ggamma[sample, j] = x.dtype.type(0)
            gbeta[sample, j] = x.dtype.type(0)
        for i in range(top, top + rows):
            for j in range(columns):
                ggamma[sample, j] += gy[i, j] * ((x[i, j] - moments[u, j]) * moments[v, j])
                gbeta[sample, j] += gy[i, j]
        for j in range(columns):
            means[u, j] = gbeta[sample, j] * gamma[0, j] * share
            means[v, j] = ggamma[sample, j] * gamma[0, j] * share
        _mean_over_groups(means, u, width)
        _mean_over_groups(means, v, width)
        for i in range(top, top + rows):
            for j in range(columns):
                h = (x[i, j] - moments[u, j]) * moments[v, j]
                gx[i, j] = moments[v, j] * (gy[i, j] * gamma[0, j] - means[u, j] - h * means[v, j])
