"""Filling, copying, casting, adding: the only kernels that the package `tensor` knows."""

from minigrad.program import kernel


@kernel
def fill(value, y: "samples out"):
    """y_ij = value"""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = value[0, 0]


@kernel
def copy(x: "samples", y: "samples out"):
    """y = x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j]


@kernel
def cast_bool(x: "bool", y: "out"):
    """y = 1 where x is true, else 0"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = y.dtype.type(x[i, j])


@kernel
def cast_int64(x: "int64", y: "out"):
    """y = x as a floating-point number"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = y.dtype.type(x[i, j])


@kernel
def cast_float32(x: "float32", y: "out"):
    """y = x in the precision of y"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = y.dtype.type(x[i, j])


@kernel
def cast_float64(x: "float64", y: "out"):
    """y = x in the precision of y"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = y.dtype.type(x[i, j])


@kernel
def add_to(x: "samples", y: "samples out"):
    """y += x (`add`, with y as input and output, would not vectorise)"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] += x[i, j]
