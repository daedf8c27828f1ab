"""New tensors: constants, ranges, patterns; and operations that lay a pattern over a tensor, such as tril."""

import numpy as np

from minigrad import config
from minigrad.ops.elementwise import where
from minigrad.ops.shaping import _places, _rearrange, cast, constant_tensor
from minigrad.tensor import as_tensor


def _made(array, dtype):
    """The array as a constant of `dtype`, by default floatx."""
    return cast(constant_tensor(np.ascontiguousarray(array).reshape(np.shape(array))), dtype or config.floatx())


def full(shape, fill_value, dtype=None):
    """All elements are `fill_value`."""
    return _made(np.full(shape, fill_value, np.float64), dtype)


def zeros(shape, dtype=None):
    """All elements are 0."""
    return full(shape, 0.0, dtype)


def ones(shape, dtype=None):
    """All elements are 1."""
    return full(shape, 1.0, dtype)


def full_like(x, fill_value, dtype=None):
    """All elements are `fill_value`, in the shape and dtype of x."""
    x = as_tensor(x)
    return full(x.shape, fill_value, dtype or x.dtype)


def zeros_like(x, dtype=None):
    """All elements are 0, in the shape and dtype of x."""
    return full_like(x, 0.0, dtype)


def ones_like(x, dtype=None):
    """All elements are 1, in the shape and dtype of x."""
    return full_like(x, 1.0, dtype)


def eye(N, M=None, k=0, dtype=None):
    """N rows of M (by default N) elements: 1 on the k-th diagonal above the main one, else 0."""
    return _made(np.eye(N, M, k), dtype)


def identity(n, dtype=None):
    """The identity matrix."""
    return eye(n, dtype=dtype)


def arange(start, stop=None, step=None, dtype=None):
    """start, start + step, ... below stop (or 0, 1, ... below start); int64 if all arguments are ints."""
    numbers = (0, start) if stop is None else (start, stop)
    array = np.arange(*numbers, 1 if step is None else step)
    return _made(array, dtype or ("int64" if array.dtype.kind == "i" else None))


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` numbers at equal distances from start to stop; with `retstep` also the distance."""
    numbers, step = np.linspace(start, stop, num, endpoint, retstep=True, axis=axis)
    y = _made(numbers, dtype)
    return (y, step) if retstep else y


def tril(x, k=0):
    """x with 0 above the main diagonal of its last two axes, or above the k-th diagonal over it."""
    x = as_tensor(x)
    return where(np.tri(*x.shape[-2:], k, dtype=bool), x, 0.0)


def triu(x, k=0):
    """x with 0 below the main diagonal of its last two axes, or below the k-th diagonal over it."""
    x = as_tensor(x)
    return where(np.tri(*x.shape[-2:], k - 1, dtype=bool), 0.0, x)


def diag(x, k=0):
    """The k-th diagonal of a matrix, or the matrix that has x on its k-th diagonal and is 0 elsewhere."""
    x = as_tensor(x)
    y = _rearrange(x, np.diag(_places(x), k))
    return y if x.ndim == 2 else where(np.eye(x.size + abs(k), k=k, dtype=bool), y, 0.0)


def pad(x, pad_width, mode="constant", constant_values=None):
    """x with more elements at both ends of each axis: `constant_values` (0), or x mirrored.

    Args:
        pad_width: ((before, after), ...) for each axis; a single pair, or a number, holds for all.
        mode: "constant", "reflect" (the element at the end is not repeated) or "symmetric" (it is).
    """
    x = as_tensor(x)
    if mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"pad: mode must be 'constant', 'reflect' or 'symmetric', got {mode!r}.")
    if mode != "constant":
        if constant_values is not None:
            raise ValueError(f"pad: mode {mode!r} takes no constant_values; got {constant_values!r}.")
        return _rearrange(x, np.pad(_places(x), pad_width, mode))
    places = np.pad(_places(x), pad_width, constant_values=-1)
    nearest = np.pad(_places(x), pad_width, "edge") if x.size else places  # each sample is padded by itself
    return where(places >= 0, _rearrange(x, nearest), constant_values or 0.0)
