"""Joining, splitting, rotating; and arrays that follow a pattern, such as windows, grids and scales."""

import builtins

import numpy as np

from minigrad.ops.creating import _made, diag, zeros, zeros_like
from minigrad.ops.elementwise import divide, equal, multiply, subtract
from minigrad.ops.functions import any, logical_not
from minigrad.ops.linear import matmul
from minigrad.ops.ordering import argsort
from minigrad.ops.reducing import broadcast_to, sum
from minigrad.ops.shaping import (
    _places,
    _rearrange,
    concatenate,
    expand_dims,
    flip,
    get_item,
    moveaxis,
    ravel,
    reshape,
    stack,
    transpose,
)
from minigrad.ops.statistics import mean
from minigrad.tensor import as_tensor, copied, view

empty, empty_like = zeros, zeros_like  # uninitialized memory would make results random


def copy(x):
    """The same values in memory of their own."""
    return copied(as_tensor(x))


def append(x1, x2, axis=None):
    """x1 and behind it x2, along `axis` (None: all elements of both, along one axis)."""
    return concatenate([ravel(x1), ravel(x2)]) if axis is None else concatenate([x1, x2], axis)


def dstack(xs):
    """Join along the third axis; a tensor of one axis is a row, and one of two axes gets a third of length 1."""
    return concatenate([view(x, np.atleast_3d(_places(x)).shape) for x in builtins.map(as_tensor, xs)], 2)


def array_split(x, indices_or_sections, axis=0):
    """A list of parts along `axis`: a number of parts of nearly equal length, or parts that begin at given indices."""
    x = as_tensor(x)
    return [_rearrange(x, part) for part in np.array_split(_places(x), indices_or_sections, axis)]


def _splitting(name, cut, which):
    def split(x, indices_or_sections):
        x = as_tensor(x)
        return [_rearrange(x, part) for part in cut(_places(x), indices_or_sections)]

    split.__name__ = split.__qualname__ = name
    split.__doc__ = f"A list of parts along {which}: so many of equal length, or parts that begin at given indices."
    return split


vsplit = _splitting("vsplit", np.vsplit, "the first axis")
hsplit = _splitting("hsplit", np.hsplit, "the second axis (the only one where there is one)")
dsplit = _splitting("dsplit", np.dsplit, "the third axis")


def flipud(x):
    """The first axis in reverse order."""
    return flip(x, 0)


def fliplr(x):
    """The second axis in reverse order."""
    return flip(x, 1)


def rot90(array, k=1, axes=(0, 1)):
    """Rotate k times by 90 degrees in the plane of two axes, from the first towards the second."""
    array = as_tensor(array)
    return _rearrange(array, np.rot90(_places(array), k, axes))


def diagflat(x, k=0):
    """A matrix with all elements of x on the k-th diagonal."""
    return diag(ravel(x), k)


def kron(x1, x2):
    """The Kronecker product: each element of x1 is replaced by its product with all of x2."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    rank = builtins.max(x1.ndim, x2.ndim)
    a, b = ((1,) * (rank - x.ndim) + x.shape for x in (x1, x2))
    pairs = [n for pair in zip(a, b) for n in pair]
    left, right = ([n if i % 2 == side else 1 for i, n in enumerate(pairs)] for side in (0, 1))
    return reshape(multiply(reshape(x1, left), reshape(x2, right)), [m * n for m, n in zip(a, b)])


def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The cross product of vectors of three (or two) elements along an axis."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = moveaxis(as_tensor(x1), axisa, 0), moveaxis(as_tensor(x2), axisb, 0)
    if {len(a), len(b)} - {2, 3}:
        raise ValueError(f"cross expects vectors of two or three elements; got {len(a)} and {len(b)}.")
    is_flat = len(a) == len(b) == 2
    a, b = ([get_item(v, i) if i < len(v) else multiply(get_item(v, 0), 0.0) for i in range(3)] for v in (a, b))
    y = [subtract(multiply(a[i], b[j]), multiply(a[j], b[i])) for i, j in ((1, 2), (2, 0), (0, 1))]
    return y[2] if is_flat else moveaxis(stack(y), 0, axisc)


def meshgrid(*x, indexing="xy"):
    """The coordinates of the points of a grid: each vector is repeated along an axis for each of the others."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}.")
    vectors = [ravel(one) for one in x]
    order = [1, 0, *range(2, len(x))] if indexing == "xy" and len(x) > 1 else list(range(len(x)))
    lengths = [vectors[i].size for i in order]
    return [
        broadcast_to(reshape(one, [one.size if i == which else 1 for i in order]), lengths)
        for which, one in enumerate(vectors)
    ]


def vander(x, N=None, increasing=False):
    """The powers x^(N-1), ..., x, 1 of each element of a vector (increasing: 1, x, ...), a matrix of N columns."""
    x = as_tensor(x)
    powers = [view(_made(np.ones(x.size), x.dtype), x.shape)]
    for _ in range((x.size if N is None else N) - 1):
        powers.append(multiply(powers[-1], x))
    return stack(powers if increasing else powers[::-1], axis=-1)


def tri(N, M=None, k=0, dtype=None):
    """N rows of M (by default N) elements: 1 on and below the k-th diagonal above the main one, else 0."""
    return _made(np.tri(N, M, k), dtype)


def logspace(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0):
    """base^start, ..., base^stop: `num` numbers whose logarithms lie at equal distances."""
    return _made(np.logspace(start, stop, num, endpoint, base, axis=axis), dtype)


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from start to stop whose ratio from one to the next is constant."""
    return _made(np.geomspace(start, stop, num, endpoint, axis=axis), dtype)


def _window(name, formula):
    def window(x):
        return _made(getattr(np, name)(int(x)), None)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"A window of x values: {formula}."
    return window


bartlett = _window("bartlett", "a triangle from 0 to 1 and back")
blackman = _window("blackman", "0.42 - 0.5 cos t + 0.08 cos 2t, t from 0 to 2 pi")
hamming = _window("hamming", "0.54 - 0.46 cos t, t from 0 to 2 pi")
hanning = _window("hanning", "(1 - cos t) / 2, t from 0 to 2 pi")


def kaiser(x, beta):
    """Kaiser's window of x values; a larger beta makes it narrower."""
    return _made(np.kaiser(int(x), float(beta)), None)


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of y along `axis` by the trapezoidal rule, at places x or at distances dx."""
    y = moveaxis(as_tensor(y), axis, -1)
    if x is not None:
        x = as_tensor(x)
        x = x if x.ndim == 1 else moveaxis(x, axis, -1)
        dx = subtract(x[..., 1:], x[..., :-1])
    return sum(multiply(multiply(y[..., 1:] + y[..., :-1], 0.5), dx), -1)


def corrcoef(x):
    """The correlations of the rows of a matrix, each a variable."""
    x = as_tensor(x)
    x = view(x, (1, x.size)) if x.ndim == 1 else x
    x = subtract(x, mean(x, -1, keepdims=True))
    lengths = sum(multiply(x, x), -1, keepdims=True) ** 0.5
    x = divide(x, lengths)
    y = matmul(x, transpose(x))
    return view(y, ()) if y.size == 1 else y


def isin(x1, x2, assume_unique=False, invert=False):
    """Whether each element of x1 is among those of x2 (`invert`: is not), as bool."""
    found = any(equal(expand_dims(as_tensor(x1), -1), ravel(x2)), -1)
    return logical_not(found) if invert else found


def argpartition(x, kth, axis=-1):
    """Indices along `axis` that put the k smallest elements before all others: here they sort all elements."""
    if not -as_tensor(x).shape[axis] <= kth < as_tensor(x).shape[axis]:
        raise ValueError(f"argpartition: kth={kth} is out of range for axis {axis} of {as_tensor(x).shape}.")
    return argsort(x, axis)


def histogram(x, bins=10, range=None):
    """(the number of elements in each of `bins` equal intervals, their edges). The values are read."""
    x = as_tensor(x)
    counts, edges = np.histogram(x.numpy(), bins, range)
    return _made(counts, "int64"), _made(edges, x.dtype if x.dtype.kind == "f" else None)
