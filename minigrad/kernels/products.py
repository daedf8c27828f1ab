"""Matrix products, by the BLAS that SciPy brings."""

import numpy as np

from minigrad.program import kernel


@kernel
def matmul(a, b, y: "out"):
    """y = a b"""
    np.dot(a, b, y)


@kernel
def matmul_nt(a, b, y: "out"):
    """y = a b^T"""
    np.dot(a, b.T, y)


@kernel
def matmul_tn(a, b, y: "out"):
    """y = a^T b"""
    np.dot(a.T, b, y)


@kernel
def outer(a, b, y: "out"):
    """y = a b^T for two columns a (m, 1) and b (n, 1)"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = a[i, 0] * b[j, 0]


@kernel
def add_row(x, b, y: "out"):
    """y_ij = x_ij + b_j"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + b[0, j]
