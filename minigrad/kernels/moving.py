"""Gathering, repeating and placing rows, which moves numbers and computes nothing; and counting."""

from minigrad.kernels.vectors import prefetch
from minigrad.program import kernel

# Rows in random order are prefetched: the first FIRST cache lines of the row that is read AHEAD rows later.
AHEAD, FIRST = 16, 4


def _check_gathering(x, order, cursor, y):
    """Raise a ValueError if `order` names a row that `gather_rows` can't find in x."""
    if len(order) == 0 or order[order.argmin()] < 0 or order[order.argmax()] >= len(x):
        found = f"{order.min()} to {order.max()}" if len(order) else "none"
        raise ValueError(f"order must hold numbers of the {len(x)} rows, from 0 on; got {found}. Bind both at once.")
    if cursor[0, 0] < 0:
        raise ValueError(f"cursor must be a place in order, 0 or more, got {cursor[0, 0]}.")


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
        for j in range(columns):
            y[i, j] = x[row, j]


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
def take_rows(x, index: "int64", missing, y: "out"):
    """y_kj = x[index_k, j]; an index out of range gives a row of `missing`"""
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < x.shape[0]:
            for j in range(x.shape[1]):
                y[k, j] = x[row, j]
        else:
            y[k, :] = missing[0, 0]


@kernel
def put_add_rows(gy, index: "int64", gx: "out"):
    """gx = 0, then gx[index_k, j] += gy_kj: the transpose of `take_rows`"""
    gx[:] = gx.dtype.type(0)
    for k in range(index.shape[1]):
        row = index[0, k]
        if 0 <= row < gx.shape[0]:
            for j in range(gx.shape[1]):
                gx[row, j] += gy[k, j]


@kernel
def put_columns(x, first: "int64", y: "out"):
    """y[:, first : first + columns of x] = x"""
    start = first[0, 0]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, start + j] = x[i, j]


@kernel
def get_columns(x, first: "int64", y: "out"):
    """y = x[:, first : first + columns of y]"""
    start = first[0, 0]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, start + j]


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
