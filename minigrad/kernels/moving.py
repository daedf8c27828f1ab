"""Gathering, repeating and placing rows, which moves numbers and computes nothing; and counting."""

import numpy as np

from minigrad.kernels.vectors import at, prefetch
from minigrad.program import helper, kernel

# Rows in random order are prefetched: the first FIRST cache lines of the row that is read AHEAD rows later.
AHEAD, FIRST = 16, 4


def _check_gathering(x, order, cursor, y):
    """Raise a ValueError if `order` names a row that `gather_rows` can't find in x."""
    if len(order) == 0 or order[order.argmin()] < 0 or order[order.argmax()] >= len(x):
        found = f"{order.min()} to {order.max()}" if len(order) else "none"
        raise ValueError(f"order must hold numbers of the {len(x)} rows, from 0 on; got {found}. Bind both at once.")
    if cursor[0, 0] < 0:
        raise ValueError(f"cursor must be a place in order, 0 or more, got {cursor[0, 0]}.")


@helper
def _copy_row(x, i, first, y, k, start, n):
    """y[k, start : start + n] = x[i, first : first + n], four numbers at a time: rows are short"""
    source, target, whole = at(x, i * x.shape[1] + first), at(y, k * y.shape[1] + start), n - n % 4
    for j in range(0, whole, 4):  # all four are read before one is written: so they are moved at once
        a = source[j]
        b = source[j + 1]
        c = source[j + 2]
        d = source[j + 3]
        target[j] = a
        target[j + 1] = b
        target[j + 2] = c
        target[j + 3] = d
    for j in range(whole, n):
        target[j] = source[j]


@kernel(check=_check_gathering)
def gather_rows(x: "picked", order: "picked int64", cursor: "int64", y: "out"):
    """y_i = row order[cursor + i] of x, which is the next batch"""
    n, columns, line = order.shape[0], y.shape[1], 64 // x.itemsize
    for i in range(y.shape[0]):
        place = cursor[0, 0] + i
        row = order[place if place < n else place % n, 0]
        if place + AHEAD < n:
            ahead = order[place + AHEAD, 0] * columns
            for j in range(0, min(columns, FIRST * line), line):
                prefetch(x, ahead + j)
        _copy_row(x, row, 0, y, i, 0, columns)


@kernel
def take(x, index: "int64", y: "out"):
    """y_k = x[index_k]"""
    for k in range(index.shape[1]):
        y[0, k] = x[0, index[0, k]]


@kernel
def put_add(gy, index: "int64", gx: "out"):
    """gx = 0, then gx[index_k] += gy_k: the transpose of `take`"""
    gx[:] = gx.dtype.type(0)
    for k in range(index.shape[1]):
        gx[0, index[0, k]] += gy[0, k]


@kernel
def take_rows(x, index: "int64 samples", missing, y: "samples out"):
    """y_kj = x[index_k, j]; an index out of range gives a row of `missing`"""
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < x.shape[0]:
            _copy_row(x, row, 0, y, k, 0, x.shape[1])
        else:
            y[k, :] = missing[0, 0]


@helper
def _add_columns(gy, index, y, begin, end, power):
    """y = 0, then y[index_k, j] += gy_kj, its square (power 2) or its absolute value (0), for begin <= j < end"""
    first, last = max(begin, 0), min(end, y.shape[1])
    if first >= last:
        return
    zero, numbers, is_whole = y.dtype.type(0), at(y, 0), last - first == y.shape[1]
    first, n = np.uint64(first), np.uint64(last - first)  # unsigned, so that it vectorises
    if is_whole:  # in one loop: rows are short
        for i in range(np.uint64(y.size)):
            numbers[i] = zero
    else:
        for row in range(y.shape[0]):
            for j in range(n):
                y[row, first + j] = zero
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < y.shape[0]:
            place = np.uint64(row)
            for j in range(n):
                v = gy[k, first + j]
                y[place, first + j] += v if power == 1 else v * v if power == 2 else abs(v)


@helper
def _edge(column, columns, all_columns):
    """Where a part begins that shall begin near this column: at an output or, in the middle of one, at a cache line."""
    output = (column + columns // 2) // columns * columns
    near = output if abs(column - output) <= max(8, columns // 8) else (column + 8) // 16 * 16
    return min(near, all_columns) if column < all_columns else all_columns


def _cost_of_sums(gy, index, gx, squares, sizes):
    return 20 * gy.size * (1 + (squares.size > 0) + (sizes.size > 0))


@kernel(cost=_cost_of_sums, grain=4, disjoint=True)
def put_add_rows(gy, index: "int64", gx: "scattered out", squares: "scattered out", sizes: "scattered out", part):
    """gx = 0, then gx[index_k, j] += gy_kj: the transpose of `take_rows`

    Likewise squares[index_k, j] += gy_kj^2 and sizes[index_k, j] += |gy_kj|, unless they are empty. The outputs stand
    side by side, and a part computes as many of all their columns: to write to one table is faster than to several.
    """
    columns, before = gx.shape[1], gx.shape[1] * (1 + (squares.size > 0))
    count = 1 + (squares.size > 0) + (sizes.size > 0)
    begin = _edge(part[0, 2] * count, columns, columns * count)
    end = _edge(min(part[0, 3], columns) * count, columns, columns * count)
    _add_columns(gy, index, gx, begin, end, 1)
    if squares.size > 0:
        _add_columns(gy, index, squares, begin - columns, end - columns, 2)
    if sizes.size > 0:
        _add_columns(gy, index, sizes, begin - before, end - before, 0)


@kernel
def put_columns(x, first: "int64", y: "out"):
    """y[:, first : first + columns of x] = x"""
    for i in range(x.shape[0]):
        _copy_row(x, i, 0, y, i, first[0, 0], x.shape[1])


@kernel
def get_columns(x, first: "int64", y: "out"):
    """y = x[:, first : first + columns of y]"""
    for i in range(y.shape[0]):
        _copy_row(x, i, first[0, 0], y, i, 0, y.shape[1])


@kernel
def repeat_row(x, y: "out"):
    """y_ij = x_j"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[0, j]


@kernel
def repeat_column(x, y: "out"):
    """y_ij = x_i"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, 0]


@kernel
def increment(by: "int64", count: "int64 out"):
    """count += by"""
    count[0, 0] += by[0, 0]


@kernel
def is_multiple(count: "int64", of: "int64", flag: "int64 out"):
    """flag = 1 if count + 1 is a multiple of `of`, else 0"""
    flag[0, 0] = (count[0, 0] + 1) % of[0, 0] == 0


@kernel
def put_rows(x, index: "int64", y: "out"):
    """y[index_k, j] = x_kj; of several for one row the last one counts; an index out of range is skipped"""
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < y.shape[0]:
            for j in range(x.shape[1]):
                y[row, j] = x[k, j]


@kernel
def clear_rows(index: "int64", y: "out"):
    """y[index_k, j] = 0"""
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < y.shape[0]:
            y[row, :] = y.dtype.type(0)


@kernel
def max_by_row(x, index: "int64", least, y: "out"):
    """y_ij = the largest x_kj with index_k = i, or `least` if there is none"""
    y[:] = least[0, 0]
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < y.shape[0]:
            for j in range(x.shape[1]):
                if x[k, j] > y[row, j] or x[k, j] != x[k, j]:  # NaN stays
                    y[row, j] = x[k, j]


@kernel
def max_by_row_vjp(gy, x, y, index: "int64", count: "out", gx: "out"):
    """gx_kj = gy_ij / count_ij where x_kj = y_ij, i = index_k, else 0; count_ij of the x_kj are equally large"""
    count[:] = count.dtype.type(0)
    for k in range(index.shape[1]):
        row = index[0, k]
        for j in range(x.shape[1]):
            if 0 <= row < y.shape[0] and x[k, j] == y[row, j]:
                count[row, j] += count.dtype.type(1)
    for k in range(index.shape[1]):
        row = index[0, k]
        for j in range(x.shape[1]):
            is_largest = 0 <= row < y.shape[0] and x[k, j] == y[row, j]
            gx[k, j] = gy[row, j] / count[row, j] if is_largest else gx.dtype.type(0)


@kernel
def product_by_row(x, index: "int64", y: "out"):
    """y_ij = the product of all x_kj with index_k = i"""
    y[:] = y.dtype.type(1)
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < y.shape[0]:
            for j in range(x.shape[1]):
                y[row, j] *= x[k, j]


@kernel
def product_by_row_vjp(gy, x, index: "int64", before: "out", after: "out", gx: "out"):
    """gx_kj = gy_ij before_kj after_kj, i = index_k: the products of the x_lj with index_l = i and l < k, or l > k"""
    before[:] = before.dtype.type(1)
    after[:] = after.dtype.type(1)
    n = index.shape[1]
    for k in range(n):
        row = index[0, k]
        for j in range(x.shape[1]):
            if 0 <= row < gy.shape[0]:
                gx[k, j] = gy[row, j] * before[row, j]
                before[row, j] *= x[k, j]
            else:
                gx[k, j] = gx.dtype.type(0)
    for back in range(n):
        k = n - 1 - back
        row = index[0, k]
        if 0 <= row < gy.shape[0]:
            for j in range(x.shape[1]):
                gx[k, j] *= after[row, j]
                after[row, j] *= x[k, j]
