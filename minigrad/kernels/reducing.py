"""Sums, means and maxima over rows or columns, and the running sums of metrics."""

import numpy as np

from minigrad.kernels.each import each
from minigrad.program import helper, kernel


@helper
def row_sum(x, i):
    """Sum over j of x_ij, block by block: the rounding error grows with the root of n instead of n.

    (Each block is a slice: a loop whose index does not begin at 0 would not vectorise.)
    """
    total = x.dtype.type(0)
    for start in range(0, x.shape[1], 1024):
        part = x[i, start : start + 1024]
        block = x.dtype.type(0)
        for j in range(part.shape[0]):
            block += part[j]
        total += block
    return total


@kernel
def sum_rows(x, y: "out"):
    """y_j = sum over i of x_ij"""
    if x.shape[1] == 1:  # a single column is one row in memory
        y[0, 0] = row_sum(x.reshape(1, x.size), 0)
        return
    y[:] = y.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[0, j] += x[i, j]


@helper
def _sum_runs(x, y):
    """y = the sums of equally many rows of x each, one after the other"""
    each, columns = x.shape[0] // max(y.shape[0], 1), np.uint64(x.shape[1])
    for k in range(y.shape[0]):
        for j in range(columns):
            y[k, j] = y.dtype.type(0)
        for i in range(k * each, (k + 1) * each):
            for j in range(columns):
                y[k, j] += x[i, j]


@kernel(disjoint=True)
def sum_rows_in_groups(x: "samples", y: "groups out"):
    """y_gj = sum of x_ij over the rows i of group g: equally many, one after the other"""
    _sum_runs(x, y)


@kernel(disjoint=True)
def sum_middle(x: "samples", y: "images out"):
    """y_kj = sum of x_ij over the rows i of x that belong to row k of y: equally many, one after the other"""
    _sum_runs(x, y)


@kernel(disjoint=True)
def repeat_middle(x: "samples", y: "samples out"):
    """y_ij = x_kj for the rows i of y that belong to row k of x: the transpose of `sum_middle`"""
    each, columns = y.shape[0] // max(x.shape[0], 1), np.uint64(x.shape[1])
    for i in range(y.shape[0]):
        for j in range(columns):
            y[i, j] = x[i // each, j]


@kernel(disjoint=True, cost=lambda gy, *_: 20 * gy.size)
def affine_relu_vjp(gy: "columns", y: "columns", g: "columns out", gbias: "columns out", part: "int64"):
    """g = gy where y is not 0, else 0: the slope at 0 is 0;   gbias_j = sum over i of g_ij, as in `sum_rows`"""
    first, last = np.uint64(part[0, 2]), np.uint64(min(part[0, 3], y.shape[1]))
    zero = y.dtype.type(0)
    for j in range(first, last):
        gbias[0, j] = zero
    for i in range(y.shape[0]):
        for j in range(first, last):
            v = zero if y[i, j] == zero else gy[i, j]
            g[i, j] = v
            gbias[0, j] += v
    if y.shape[1] == 1:
        gbias[0, 0] = row_sum(g.reshape(1, g.size), 0)


@kernel
def sum_columns(x, y: "out"):
    """y_i = sum over j of x_ij"""
    for i in range(x.shape[0]):
        y[i, 0] = row_sum(x, i)


@kernel
def mean_all(x, share, y: "out"):
    """y = share times the sum of the row x, share = 1 / its length"""
    y[0, 0] = row_sum(x, 0) * share[0, 0]


@kernel
def penalty(x, settings, y: "out"):
    """y = l1 sum |x_j| + l2 sum x_j^2 over the row x; settings = [l1, l2]"""
    l1, l2 = settings[0, 0], settings[0, 1]
    total = x.dtype.type(0)
    for start in range(0, x.shape[1], 1024):  # as in `row_sum`
        part = x[0, start : start + 1024]
        block = x.dtype.type(0)
        for j in range(part.shape[0]):
            size = abs(part[j])
            block += size * (l1 + l2 * size)
        total += block
    y[0, 0] = total


@kernel
def penalty_vjp(gy, x, settings, gx: "out"):
    """gx_j = gy (l1 sign(x_j) + 2 l2 x_j), the sign of 0 being 0"""
    l1, l2 = gy[0, 0] * settings[0, 0], gy[0, 0] * settings[0, 1] * x.dtype.type(2)
    for j in range(x.shape[1]):
        v = x[0, j]
        slope = l1 if v > 0 else (-l1 if v < 0 else l1 * v)  # l1 v is 0, or NaN
        gx[0, j] = slope + l2 * v


@each
def fill_scaled(value: "number", factor: "number", y: "out"):
    """y_ij = value factor"""
    return value * factor


@kernel(disjoint=True)
def max_middle(x: "samples", y: "samples out"):
    """y_kj = max of x_ij over the rows i of x that belong to row k of y, see `sum_middle`; a NaN wins"""
    each, columns = x.shape[0] // max(y.shape[0], 1), np.uint64(x.shape[1])
    for k in range(y.shape[0]):
        for j in range(columns):
            y[k, j] = x[k * each, j]
        for i in range(k * each + 1, (k + 1) * each):
            for j in range(columns):
                y[k, j] = x[i, j] if x[i, j] > y[k, j] or x[i, j] != x[i, j] else y[k, j]


@kernel
def max_middle_vjp(gy: "samples", x: "samples", y: "samples", gx: "samples out"):
    """gx_ij = gy_kj / (number of rows i of k with x_ij = y_kj) where x_ij = y_kj, else 0: equal maxima share it"""
    each, columns, zero, one = x.shape[0] // max(y.shape[0], 1), np.uint64(x.shape[1]), x.dtype.type(0), x.dtype.type(1)
    for k in range(y.shape[0]):
        first = k * each  # whose row of gx holds the numbers of equal ones meanwhile
        for j in range(columns):
            gx[first, j] = one if x[first, j] == y[k, j] else zero
        for i in range(first + 1, first + each):
            for j in range(columns):
                gx[first, j] += one if x[i, j] == y[k, j] else zero
        for i in range(first + 1, first + each):
            for j in range(columns):
                gx[i, j] = gy[k, j] / gx[first, j] if x[i, j] == y[k, j] else zero
        for j in range(columns):
            gx[first, j] = gy[k, j] / gx[first, j] if x[first, j] == y[k, j] else zero


@kernel
def max_columns(x, y: "out"):
    """y_i = max over j of x_ij; a NaN wins"""
    for i in range(x.shape[0]):
        best = x[i, 0]
        for j in range(x.shape[1]):
            if x[i, j] > best or x[i, j] != x[i, j]:
                best = x[i, j]
        y[i, 0] = best


@kernel
def max_columns_vjp(gy, x, y, gx: "out"):
    """gx_ij = gy_i / (number of j with x_ij = y_i) where x_ij = y_i, else 0: equal maxima share the gradient"""
    for i in range(x.shape[0]):
        ties = 0
        for j in range(x.shape[1]):
            ties += x[i, j] == y[i, 0]
        share = gy[i, 0] / gy.dtype.type(ties)
        for j in range(x.shape[1]):
            gx[i, j] = share if x[i, j] == y[i, 0] else gx.dtype.type(0)


@kernel
def accumulate(values, settings, total: "out", count: "out"):
    """total += share (sum of the row `values`), count += rows; settings = [share, rows]"""
    total[0, 0] += row_sum(values, 0) * settings[0, 0]
    count[0, 0] += settings[0, 1]


@kernel
def track_loss(loss, rows, total: "out", count: "out", finite: "int64 out"):
    """total += rows loss, count += rows; finite += 1 if the total is still a finite number"""
    total[0, 0] += loss[0, 0] * rows[0, 0]
    count[0, 0] += rows[0, 0]
    if np.isfinite(total[0, 0]):
        finite[0, 0] += 1


@kernel
def accumulate_weighted(values, weights, total: "out", count: "out"):
    """total += sum over i of weight_i (mean of row i of `values`), count += sum of the weights"""
    share = values.dtype.type(1) / values.dtype.type(values.shape[1])
    for i in range(values.shape[0]):
        total[0, 0] += weights[i, 0] * row_sum(values, i) * share
        count[0, 0] += weights[i, 0]
