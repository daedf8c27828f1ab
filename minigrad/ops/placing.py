"""Writing elements to given indices, and combining those of one index: scatter, slices, segments.

A recorded step can replay indices that are tensors. There an index out of range is skipped; elsewhere it raises.
"""

import builtins
import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.elementwise import add, greater_equal, less, maximum, minimum, multiply, negative, where
from minigrad.ops.functions import all, logical_and
from minigrad.ops.probability import one_hot
from minigrad.ops.reducing import sum
from minigrad.ops.shaping import (
    _places,
    _rearrange,
    cast,
    constant_tensor,
    get_item,
    moveaxis,
    nothing,
    ravel,
    stack,
    take_rows,
)
from minigrad.ops.statistics import max
from minigrad.program import empty_like, is_recording, launch
from minigrad.tensor import Tensor, Variable, as_tensor, constant, op, view


@op("(k,m) -> (n,m)")
def _add_rows(y, x, index, n):
    """y_i = the sum of the rows x_k with index_k = i;   dx_k = dy[index_k]."""
    launch(K.put_add_rows, x, index, y, nothing(y.dtype), nothing(y.dtype))

    def vjp(gy, gx):
        launch(K.take_rows, gy, index, constant(gy.dtype, 0.0), gx)

    return vjp


@op("(n,m), (k,m) -> (n,m)")
def _put_rows(y, x, rows, index):
    """y = x, but y[index_k] = rows_k;   dx = dy, but 0 in these rows,   drows_k = dy[index_k]."""
    launch(K.copy, x, y)
    launch(K.put_rows, rows, index, y)

    def vjp(gy, gx, grows):
        if gx is not None:
            launch(K.copy, gy, gx)
            launch(K.clear_rows, index, gx)
        if grows is not None:
            launch(K.take_rows, gy, index, constant(gy.dtype, 0.0), grows)

    return vjp


@op("(k,m) -> (n,m)")
def _max_by_row(y, x, index, n):
    """y_i = the largest of the rows x_k with index_k = i; equal ones share the gradient."""
    launch(K.max_by_row, x, index, constant(x.dtype, np.finfo(x.dtype).min), y)

    def vjp(gy, gx):
        launch(K.max_by_row_vjp, gy, x, y, index, empty_like(y), gx)

    return vjp


@op("(k,m) -> (n,m)")
def _product_by_row(y, x, index, n):
    """y_i = the product of the rows x_k with index_k = i;   dx_k = dy[index_k] times the product of the others."""
    launch(K.product_by_row, x, index, y)

    def vjp(gy, gx):
        launch(K.product_by_row_vjp, gy, x, index, empty_like(y), empty_like(y), gx)

    return vjp


def _shape(x):
    """The shape of a tensor, whose values are not read, or of an array."""
    return x.shape if isinstance(x, Tensor) else np.shape(x)


def _index(indices, lengths):
    """The row numbers, int64 (1, n), of indices (..., k) into the first k axes, of these lengths; -1 for none.

    Raises:
        ValueError: an index is out of range, and the step is not being recorded.
    """
    if isinstance(indices, Tensor) and is_recording():
        parts = cast(indices, "float64")
        is_inside = all(logical_and(greater_equal(parts, 0.0), less(parts, np.array(lengths, "float64"))), -1)
        strides = [float(math.prod(lengths[i + 1 :])) for i in range(len(lengths))]
        return cast(where(is_inside, sum(multiply(parts, strides), -1), -1.0), "int64")._data.reshape(1, -1)
    array = np.asarray(indices)
    if array.size and not (np.all(array == np.trunc(array)) and np.all((array >= 0) & (array < lengths))):
        raise ValueError(f"indices must be integers from 0 on, below the lengths {tuple(lengths)}; got {array}.")
    places = np.moveaxis(array.astype(np.int64), -1, 0)
    return np.ascontiguousarray(np.ravel_multi_index(tuple(places), tuple(lengths)).reshape(1, -1), np.int64)


def _rows(x, shape, indices, what):
    """The values x as rows, one per index (..., k); and how many rows, of what width, a tensor of this shape has."""
    x, shape, indices = as_tensor(x), tuple(shape), _shape(indices)
    if not indices or indices[-1] > len(shape) or x.shape != indices[:-1] + shape[indices[-1] :]:
        raise ValueError(
            f"{what}: indices of shape {indices} into the first axes of {shape} go with values of shape "
            f"{indices[:-1] + shape[indices[-1] :] if indices else '...'}; got {x.shape}."
        )
    count, width = math.prod(shape[: indices[-1]]), math.prod(shape[indices[-1] :])
    return view(x, (math.prod(indices[:-1]), width)), count, width


def scatter(indices, values, shape):
    """Zeros of this shape, to which values[i] is added at indices[i], an index into the first axes."""
    rows, count, _ = _rows(values, shape, indices, "scatter")
    index = _index(indices, shape[: _shape(indices)[-1]])
    return view(_add_rows(rows, index=index, n=count), tuple(shape))


def scatter_update(inputs, indices, updates, reduction=None):
    """inputs with the values `updates` at `indices` (..., k); of several updates for one index the last one counts.

    Args:
        reduction: "add", "max", "min" or "mul" combines the old value and all updates instead.
    """
    x = as_tensor(inputs)
    rows, count, width = _rows(updates, x.shape, indices, "scatter_update")
    index = _index(indices, x.shape[: _shape(indices)[-1]])
    if reduction is None:
        return view(_put_rows(view(x, (count, width)), rows, index=index), x.shape)
    if reduction not in ("add", "max", "min", "mul"):
        raise ValueError(f"scatter_update: reduction must be None, 'add', 'max', 'min' or 'mul', got {reduction!r}.")
    if reduction == "min":
        found, combine = negative(_max_by_row(negative(rows), index=index, n=count)), minimum
    else:
        gather, combine = {
            "add": (_add_rows, add), "max": (_max_by_row, maximum), "mul": (_product_by_row, multiply)
        }[reduction]  # fmt: skip
        found = gather(rows, index=index, n=count)
    return combine(x, view(found, x.shape))


def _bounds(x, start_indices, shape, what):
    """The slices for the part of x from `start_indices` (whose values are read) with this shape (-1: to the end)."""
    starts = [int(start) for start in start_indices]
    if len(starts) != x.ndim or len(shape) != x.ndim:
        raise ValueError(f"{what} expects a start and a length for each axis of {x.shape}; got {starts} and {shape}.")
    stops = [n if length == -1 else start + length for start, length, n in zip(starts, shape, x.shape)]
    if not builtins.all(0 <= start <= stop <= n for start, stop, n in zip(starts, stops, x.shape)):
        raise ValueError(f"{what}: a part of shape {tuple(shape)} from {starts} on does not lie in {x.shape}.")
    return tuple(map(builtins.slice, starts, stops))


def slice(inputs, start_indices, shape):
    """The part of this shape that begins at `start_indices`, one per axis; a length of -1 goes to the end."""
    x = as_tensor(inputs)
    return get_item(x, _bounds(x, start_indices, shape, "slice"))


def slice_update(inputs, start_indices, updates):
    """inputs with the values `updates` in the part that begins at `start_indices`."""
    x, updates = as_tensor(inputs), as_tensor(updates)
    places = _places(x)[_bounds(x, start_indices, updates.shape, "slice_update")]
    index = np.ascontiguousarray(places.reshape(1, -1))
    return view(_put_rows(view(x, (x.size, 1)), view(updates, (updates.size, 1)), index=index), x.shape)


def take(x, indices, axis=None):
    """The elements (or slices along `axis`) at `indices`; negative ones count from the end.

    Raises:
        IndexError: an index is out of range. (In a recorded step an index out of a tensor gives NaN instead.)
    """
    x = as_tensor(x)
    is_table = isinstance(x, Variable) and x.ndim == 2 and axis == 0 and x.dtype.kind == "f"
    if not isinstance(indices, Tensor) or not is_recording() or x.dtype.kind != "f":
        indices = np.asarray(indices).astype(np.int64)
        if not is_table:
            return _rearrange(x, np.take(_places(x), indices, axis))
        places = np.asarray(np.take(np.arange(len(x)), indices))
        return view(take_rows(x, index=places.reshape(1, -1), n=places.size, table=x), (*places.shape, x.shape[1]))
    moved = ravel(x) if axis is None else moveaxis(x, axis, 0)
    places = cast(indices, "float64")
    places = cast(where(less(places, 0.0), add(places, float(len(moved))), places), "int64")
    rows = x if is_table else view(moved, (len(moved), math.prod(moved.shape[1:])))
    y = take_rows(rows, index=places._data.reshape(1, -1), n=places.size, table=x if is_table else None)
    y = view(y, (*places.shape, *moved.shape[1:]))
    rank = places.ndim
    return y if not axis else moveaxis(y, list(range(rank)), [axis % x.ndim + i for i in range(rank)])


# ----------------------------------------------------------------------------------------------------- segments


def _segmented(operation, data, segment_ids, num_segments):
    """The operation on the rows of data, put together by their ids; -1 and other negative ids are left out."""
    data, ids = as_tensor(data), segment_ids
    data = data if data.dtype.kind == "f" else cast(data, config.floatx())
    if _shape(ids) != data.shape[:1]:
        raise ValueError(f"segment_ids must hold an id for each of the rows of {data.shape}; got {_shape(ids)}.")
    if not isinstance(ids, Tensor) or not is_recording() or num_segments is None:
        ids = np.asarray(ids)
        num_segments = int(ids.max(initial=-1)) + 1 if num_segments is None else int(num_segments)
        if ids.max(initial=-1) >= num_segments:
            raise ValueError(f"segment_ids must be below num_segments={num_segments}; got {ids.max()}.")
    index = cast(ids, "int64")._data.reshape(1, -1)
    rows = view(data, (len(data), math.prod(data.shape[1:])))
    return view(operation(rows, index=index, n=num_segments), (num_segments, *data.shape[1:]))


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """y_i = the sum of the rows whose id is i. By default num_segments is the largest id + 1, which is read."""
    return _segmented(_add_rows, data, segment_ids, num_segments)


def segment_max(data, segment_ids, num_segments=None, sorted=False):
    """y_i = the largest elements of the rows whose id is i; the least number of the dtype where there is none."""
    return _segmented(_max_by_row, data, segment_ids, num_segments)


def segment_min(data, segment_ids, num_segments=None, sorted=False):
    """y_i = the smallest elements of the rows whose id is i; the largest number of the dtype where there is none."""
    return negative(_segmented(_max_by_row, negative(data), segment_ids, num_segments))


def segment_prod(data, segment_ids, num_segments=None, sorted=False):
    """y_i = the product of the rows whose id is i; 1 where there is none."""
    return _segmented(_product_by_row, data, segment_ids, num_segments)


# ------------------------------------------------------------------------------------------- counting and finding


def bincount(x, weights=None, minlength=0, sparse=False):
    """How often each integer from 0 on is in x (or the sum of its weights), up to the largest one. The values are read.

    If x has two axes, the integers are counted per row.
    """
    numbers = np.asarray(x)
    if numbers.ndim > 1:
        least = builtins.max(int(minlength), int(numbers.max(initial=-1)) + 1)
        weights = [None] * len(numbers) if weights is None else [as_tensor(weights)[i] for i in range(len(numbers))]
        return stack([bincount(row, w, least) for row, w in zip(numbers, weights, strict=True)])
    length = builtins.max(int(minlength), int(numbers.max(initial=-1)) + 1)
    if weights is None:
        return cast(segment_sum(np.ones(numbers.size), numbers.ravel(), length), "int64")
    return segment_sum(view(as_tensor(weights), (numbers.size,)), numbers.ravel(), length)


def searchsorted(sorted_sequence, values, side="left"):
    """How many elements of the sequence are below each of the values (side="right": not above it), as int64."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}.")
    values = as_tensor(values)
    is_before = [less, lambda a, b: greater_equal(b, a)][side == "right"]
    return cast(sum(cast(is_before(sorted_sequence, view(values, (*values.shape, 1))), "float64"), -1), "int64")


def digitize(x, bins):
    """How many of the `bins`, which rise, are not above each x, as int64."""
    return searchsorted(bins, x, "right")


def unravel_index(indices, shape):
    """The int64 indices along each axis of the elements with these flat indices in a tensor of this shape."""
    places = np.unravel_index(np.asarray(indices).astype(np.int64), shape)
    return [constant_tensor(np.ascontiguousarray(along).reshape(np.shape(along))) for along in places]


def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False):
    """1 for each class that is among the integers of a row, 0 for all others."""
    if sparse:
        raise ValueError("multi_hot makes dense tensors: minigrad has no sparse ones.")
    return max(one_hot(inputs, num_classes, axis, dtype), axis=1 if len(_shape(inputs)) > 1 else 0)
