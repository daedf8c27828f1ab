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


def _cast(dtype, says):
    def cast(x: dtype, y: "out"):
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                y[i, j] = y.dtype.type(x[i, j])

    cast.__name__ = cast.__qualname__ = f"cast_{dtype}"
    cast.__doc__ = says
    return kernel(cast)


cast_bool = _cast("bool", "y = 1 where x is true, else 0")
cast_int64 = _cast("int64", "y = x as a floating-point number")
cast_float32 = _cast("float32", "y = x in the precision of y")
cast_float64 = _cast("float64", "y = x in the precision of y")


@kernel
def add_to(x: "samples", y: "samples out"):
    """y += x (`add`, with y as input and output, would not vectorise)"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] += x[i, j]
