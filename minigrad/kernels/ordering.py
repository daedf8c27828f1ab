"""Kernels that depend on the order of a row's elements: running sums, products, sorting, picking by index."""

import math

from minigrad.program import kernel


@kernel
def cumulate(x, y: "out"):
    """y_ij = x_i0 + ... + x_ij"""
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[i, j]
            y[i, j] = total


@kernel
def cumulate_back(x, y: "out"):
    """y_ij = x_ij + ... + x_in: the transpose of `cumulate`"""
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1] - 1, -1, -1):
            total += x[i, j]
            y[i, j] = total


@kernel
def product_columns(x, y: "out"):
    """y_i = product over j of x_ij"""
    for i in range(x.shape[0]):
        product = x.dtype.type(1)
        for j in range(x.shape[1]):
            product *= x[i, j]
        y[i, 0] = product


@kernel
def product_columns_vjp(gy, x, gx: "out"):
    """gx_ij = gy_i (product of the x_ik before x_ij) (product of those after it): no quotient, since some may be 0"""
    for i in range(x.shape[0]):
        before = gy[i, 0]
        for j in range(x.shape[1]):
            gx[i, j] = before
            before *= x[i, j]
        after = x.dtype.type(1)
        for j in range(x.shape[1] - 1, -1, -1):
            gx[i, j] *= after
            after *= x[i, j]


@kernel
def sort_columns(x, work: "int64 out", order: "int64 out"):
    """order_i = the columns that sort row i of x, equal elements as they come and NaN last, by merge sort"""
    n = x.shape[1]
    for i in range(x.shape[0]):
        for j in range(n):
            order[i, j] = j
        width = 1
        while width < n:
            for start in range(0, n, 2 * width):
                left, middle = start, min(start + width, n)
                right, end = middle, min(start + 2 * width, n)
                for j in range(start, end):
                    takes_left = right == end
                    if left < middle and right < end:
                        a, b = x[i, order[i, left]], x[i, order[i, right]]
                        takes_left = a <= b or b != b
                    if takes_left:
                        work[0, j] = order[i, left]
                        left += 1
                    else:
                        work[0, j] = order[i, right]
                        right += 1
            for j in range(n):
                order[i, j] = work[0, j]
            width *= 2


@kernel
def take_columns(x, index: "int64", y: "out"):
    """y_ij = x[i, index_ij]; a negative index counts from the end, and an index out of range gives a NaN"""
    n = x.shape[1]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            k = index[i, j] if index[i, j] >= 0 else index[i, j] + n
            y[i, j] = x[i, k] if 0 <= k < n else x.dtype.type(math.nan)


@kernel
def take_columns_vjp(gy, index: "int64", gx: "out"):
    """gx = 0, then gx[i, index_ij] += gy_ij"""
    n = gx.shape[1]
    gx[:] = gx.dtype.type(0)
    for i in range(gy.shape[0]):
        for j in range(gy.shape[1]):
            k = index[i, j] if index[i, j] >= 0 else index[i, j] + n
            if 0 <= k < n:
                gx[i, k] += gy[i, j]
