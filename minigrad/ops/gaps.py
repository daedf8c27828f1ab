"""Reductions that skip NaN, and quantiles."""

import math

import numpy as np

from minigrad import config
from minigrad.ops.control import associative_scan
from minigrad.ops.elementwise import add, equal, multiply, negative, sqrt, square, subtract, where
from minigrad.ops.functions import all, any, ceil, divide, floor, isnan, logical_not, round
from minigrad.ops.ordering import cumsum, prod, sort, take_along_axis
from minigrad.ops.reducing import _axes, argmax, sum
from minigrad.ops.shaping import cast, moveaxis, ravel, reshape, transpose
from minigrad.ops.statistics import max, min
from minigrad.tensor import as_tensor


def _filled(x, value):
    """x with a number in place of NaN."""
    return where(isnan(x), value, x)


def _count(x, axis, keepdims):
    """How many elements are no NaN, in the dtype of x."""
    return sum(cast(logical_not(isnan(x)), as_tensor(x).dtype), axis, keepdims)


def nansum(x, axis=None, keepdims=False):
    """The sum of all that is not NaN."""
    return sum(_filled(x, 0.0), axis, keepdims)


def nanprod(x, axis=None, keepdims=False):
    """The product of all that is not NaN."""
    return prod(_filled(x, 1.0), axis, keepdims)


def nanmean(x, axis=None, keepdims=False):
    """The mean of all that is not NaN; NaN where all are NaN."""
    return divide(nansum(x, axis, keepdims), _count(x, axis, keepdims))


def nanvar(x, axis=None, keepdims=False):
    """The variance (biased) of all that is not NaN."""
    return nanmean(square(subtract(x, nanmean(x, axis, keepdims=True))), axis, keepdims)


def nanstd(x, axis=None, keepdims=False):
    """The standard deviation (biased) of all that is not NaN."""
    return sqrt(nanvar(x, axis, keepdims))


def nanmax(x, axis=None, keepdims=False):
    """The largest of all that is not NaN; NaN where all are NaN."""
    return where(all(isnan(x), axis, keepdims), math.nan, max(_filled(x, -math.inf), axis, keepdims))


def nanmin(x, axis=None, keepdims=False):
    """The smallest of all that is not NaN; NaN where all are NaN."""
    return where(all(isnan(x), axis, keepdims), math.nan, min(_filled(x, math.inf), axis, keepdims))


def nanargmax(x, axis=None, keepdims=False):
    """The index of the first largest element that is not NaN, as int64; -1 where all are NaN."""
    found = argmax(_filled(x, -math.inf), axis, keepdims)
    return cast(where(all(isnan(x), axis, keepdims), -1.0, cast(found, "float64")), "int64")


def nanargmin(x, axis=None, keepdims=False):
    """The index of the first smallest element that is not NaN, as int64; -1 where all are NaN."""
    return nanargmax(negative(x), axis, keepdims)


def nancumsum(x, axis=None, dtype=None):
    """Running sums, in which NaN counts as 0."""
    return cumsum(_filled(x, 0.0), axis, dtype)


def cumprod(x, axis=None, dtype=None):
    """Running products along `axis` (None: of all elements along one axis)."""
    x = as_tensor(x) if dtype is None else cast(x, dtype)
    return associative_scan(multiply, ravel(x), axis=0) if axis is None else associative_scan(multiply, x, axis=axis)


def nancumprod(x, axis=None, dtype=None):
    """Running products, in which NaN counts as 1."""
    return cumprod(_filled(x, 1.0), axis, dtype)


def ptp(x, axis=None, keepdims=False):
    """The largest minus the smallest element."""
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    """The number below which the share q of all elements lies, NaN not counted. Several q make a new first axis.

    Args:
        q: a number in [0, 1] or an array of them, whose values are read.
        method: what is taken between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
    """
    x, q = as_tensor(x), np.asarray(q, np.float64)
    x = x if x.dtype.kind == "f" else cast(x, config.floatx())
    if method not in ("linear", "lower", "higher", "midpoint", "nearest") or not np.all((q >= 0) & (q <= 1)):
        raise ValueError(f"quantile expects q in [0, 1] and a method such as 'linear'; got {q} and {method!r}.")
    axes = _axes(axis, x)
    rest = [a for a in range(x.ndim) if a not in axes]
    kept = [x.shape[a] for a in rest]
    rows = sort(reshape(transpose(x, rest + axes), (*kept, math.prod(x.shape[a] for a in axes))))
    place = multiply(subtract(cast(_count(rows, -1, True), "float64"), 1.0), q.reshape(-1))
    low = floor(place)
    if method == "nearest":
        share = subtract(round(place), low)
    else:
        share = {"lower": 0.0, "higher": 1.0, "midpoint": 0.5}.get(method, subtract(place, low))
    below, above = (take_along_axis(rows, cast(i, "int64"), -1) for i in (low, ceil(place)))
    gap = where(equal(below, above), 0.0, subtract(above, below))  # inf - inf would be NaN
    y = moveaxis(add(below, multiply(gap, cast(as_tensor(share), x.dtype))), -1, 0)
    return reshape(y, (*q.shape, *([1 if a in axes else n for a, n in enumerate(x.shape)] if keepdims else kept)))


def quantile(x, q, axis=None, method="linear", keepdims=False):
    """The number below which the share q of all elements lies, as `nanquantile`; NaN where there is a NaN."""
    return where(any(isnan(x), axis, keepdims), math.nan, nanquantile(x, q, axis, method, keepdims))


def percentile(x, q, axis=None, method="linear", keepdims=False):
    """`quantile` of q in percent."""
    return quantile(x, np.asarray(q) / 100, axis, method, keepdims)


def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    """`nanquantile` of q in percent."""
    return nanquantile(x, np.asarray(q) / 100, axis, method, keepdims)


def median(x, axis=None, keepdims=False):
    """The number in the middle; NaN where there is a NaN."""
    return quantile(x, 0.5, axis, keepdims=keepdims)


def nanmedian(x, axis=None, keepdims=False):
    """The number in the middle of all that is not NaN."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)
