"""Shapes, dtypes and indexing: operations that move elements and compute nothing."""

import math
from typing import NamedTuple

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.program import address, empty, empty_like, launch
from minigrad.tensor import Tensor, as_tensor, constant, emit, from_kernels, op, view


def cast(x, dtype):
    """`x` in another dtype: "float32", "float64", "bool" or "int64". Other integer dtypes become int64.

    Gradients pass between the floating-point dtypes. Integers are for counting and indexing: arithmetic with them is
    done in floating point.
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        dtype = np.dtype(np.int64)
        if not isinstance(x, Tensor) and np.asarray(x).dtype.kind in "iu":  # as_tensor would make them floats
            return constant_tensor(np.array(x, dtype, order="C"))
    x = as_tensor(x)
    if x.dtype == dtype:
        return x
    conversion = _casts.get((x.dtype.name, dtype.name))
    if conversion is None:
        raise ValueError(f"cast knows float32, float64, bool and int64; it can't make {dtype} of {x.dtype}.")
    return conversion(x)


def _make_cast(there, back, dtype):
    """A cast from a floating-point dtype by kernels; without `back` no gradient passes."""
    return from_kernels("(...) -> (...)", "cast", f"y = x as {dtype}.", there, back, dtype=dtype)


def _convert(kernel, dtype):
    """A cast from bool, or from or to integers: no gradient passes."""

    def cast(x):
        y = empty(x.shape, dtype)
        launch(kernel, x._data.reshape(1, -1), y.reshape(1, -1))
        return constant_tensor(y)

    return cast


def constant_tensor(array):
    """A tensor of the array as it is, whatever its dtype: integers stay integers."""
    return emit(array)


_casts = {
    ("float32", "float64"): _make_cast(K.cast_float32, K.cast_float64, "float64"),
    ("float64", "float32"): _make_cast(K.cast_float64, K.cast_float32, "float32"),
    ("float32", "bool"): _make_cast(K.is_nonzero, None, "bool"),
    ("float64", "bool"): _make_cast(K.is_nonzero, None, "bool"),
    ("bool", "float32"): _convert(K.cast_bool, "float32"),
    ("bool", "float64"): _convert(K.cast_bool, "float64"),
    ("int64", "float32"): _convert(K.cast_int64, "float32"),
    ("int64", "float64"): _convert(K.cast_int64, "float64"),
    ("float32", "int64"): _convert(K.truncate, "int64"),
    ("float64", "int64"): _convert(K.truncate, "int64"),
    ("bool", "int64"): lambda x: cast(cast(x, "float64"), "int64"),
    ("int64", "bool"): lambda x: cast(cast(x, "float64"), "bool"),
}


def _common_dtype(tensors):
    """The widest floating-point dtype among the tensors; floatx if there is none."""
    return np.result_type(*([t.dtype for t in tensors if t.dtype.kind == "f"] or [config.floatx()]))


def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """`x` as a Tensor, of `dtype` if given. An array is copied; integers stay integers (int64)."""
    if sparse or ragged:
        raise ValueError("convert_to_tensor makes dense tensors: minigrad has no sparse or ragged ones.")
    if not isinstance(x, Tensor):
        array = np.asarray(x)
        if array.dtype.kind in "iu" and dtype is None:
            dtype = np.int64
        x = array.copy() if array is x else x
    return as_tensor(x) if dtype is None else cast(x, dtype)


def is_tensor(x):
    """Whether `x` is a Tensor (a Variable is one)."""
    return isinstance(x, Tensor)


def stop_gradient(variable):
    """The same values as a constant: no gradient passes."""
    return as_tensor(variable).detach()


def convert_to_numpy(x):
    """`x` as a NumPy array."""
    return np.asarray(x)


def shape(x):
    """The shape of `x`, a tuple, with None for any length: known without its numbers."""
    return x.shape if hasattr(x, "shape") else as_tensor(x).shape


def dtype(x):
    """The name of the dtype of `x`."""
    return str(x.dtype if hasattr(x, "dtype") else as_tensor(x).dtype)


def ndim(x):
    """The number of axes of `x`."""
    return len(shape(x))


def size(x):
    """The number of elements of `x`."""
    return as_tensor(x).size


def reshape(x, newshape):
    """The same elements in another shape; one length may be -1 (or None, as in the `shape` of an input)."""
    x = as_tensor(x)
    newshape = (newshape,) if isinstance(newshape, int) else tuple(-1 if n is None else n for n in newshape)
    try:
        if min(newshape, default=0) < -1:  # which NumPy takes for -1
            raise ValueError
        return view(x, newshape)
    except ValueError:
        raise ValueError(f"reshape can't make {newshape} of {x.shape}: {x.size} elements.") from None


def ravel(x):
    """All elements along one axis."""
    return reshape(x, -1)


def expand_dims(x, axis):
    """Insert axes of length one; `axis` (an int or several) is where they stand in the result."""
    x = as_tensor(x)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    rank = x.ndim + len(axes)
    if not all(isinstance(a, int) and -rank <= a < rank for a in axes) or len({a % rank for a in axes}) < len(axes):
        raise ValueError(f"expand_dims: axis must be an int from {-rank} to {rank - 1}, or several, got {axis!r}.")
    lengths, new = iter(x.shape), {a % rank for a in axes}
    return view(x, [1 if a in new else next(lengths) for a in range(rank)])


def squeeze(x, axis=None):
    """Remove axes of length one: those named, or all."""
    x = as_tensor(x)
    try:
        return view(x, np.squeeze(x._data, axis).shape)
    except ValueError:
        raise ValueError(f"squeeze can't remove axis {axis} of {x.shape}: its length is not one.") from None


@op("(k) -> (n)")
def _take(y, x, index, n):
    """y_i = x[index_i];   dx[index_i] += dy_i."""
    launch(K.take, x, index, y)

    def vjp(gy, gx):
        launch(K.put_add, gy, index, gx)

    return vjp


class Looked(NamedTuple):
    """What a lookup tells about its part of a table's gradient, as far as the table's optimizer asks for it.

    `rows` are the gradients of the rows with the numbers `index`, or None. The sums of their squares and of their
    absolute values are like the gradient, or empty.
    """

    rows: np.ndarray | None
    index: np.ndarray | None
    squares: np.ndarray
    sizes: np.ndarray

    @property
    def told(self):
        """(whether there are squares, whether there are sizes)"""
        return self.squares.size > 0, self.sizes.size > 0


@op("(k,m) -> (n,m)")
def take_rows(y, x, index, n, table=None):
    """y_i = row index_i of x, or NaN if x has no such row;   row index_i of dx += dy_i.

    `table` is the Variable x, whose optimizer may ask for more than the sum.
    """
    launch(K.take_rows, x, index, constant(x.dtype, math.nan), y)

    def vjp(gy, gx):
        if table is None:
            asked = False, False, False
        else:  # no optimizer has it yet? Then nobody knows what the first one will ask.
            asked = (False, False, True) if table._place is None else table._place.told
        told = [empty_like(gx) if is_asked else nothing(gx.dtype) for is_asked in asked[:2]]
        launch(K.put_add_rows, gy, index, gx, *told)
        return Looked(*((gy, index) if asked[2] else (None, None)), *told) if any(asked) else None

    return vjp


def nothing(dtype):
    """An empty operand, for a result that nobody asks for."""
    return np.empty((1, 0), dtype)


@op("(k) -> (n)")
def _stretch(y, x, first, n):
    """y_i = x_(first + i);   dx_(first + i) = dy_i, and 0 elsewhere."""
    first = constant(np.int64, first)
    launch(K.get_columns, x, first, y)

    def vjp(gy, gx):
        launch(K.fill, constant(gx.dtype, 0.0), gx)
        launch(K.put_columns, gy, first, gx)

    return vjp


def _rearrange(x, places):
    """The elements of x at `places`, an array of flat indices, in the shape of `places`."""
    index = np.ascontiguousarray(places, dtype=np.int64).reshape(1, -1)
    return view(_take(view(x, (x.size,)), index=index, n=index.size), places.shape)


def _places(x):
    return np.arange(x.size).reshape(x.shape)


def transpose(x, axes=None):
    """Reorder the axes: reversed, or in the order of `axes`."""
    x = as_tensor(x)
    axes = tuple(reversed(range(x.ndim))) if axes is None else tuple(axes)
    return x if axes == tuple(range(x.ndim)) else _rearrange(x, np.transpose(_places(x), axes))


def get_item(x, key):
    """x[key] with NumPy's rules: slices, integers, None, ..., lists, boolean masks. A tensor in the key is read."""
    if isinstance(key, Tensor):
        key = key.numpy()
    elif isinstance(key, tuple):
        key = tuple(k.numpy() if isinstance(k, Tensor) else k for k in key)
    x = as_tensor(x)
    part = x._data[key]
    if isinstance(part, np.ndarray) and part.size and part.flags.c_contiguous and part.base is not None:
        first = (address(part) - address(x._data)) // x._data.itemsize
        if 0 <= first <= x.size - part.size:  # NumPy's part is a view: its elements lie side by side in x
            return view(_stretch(view(x, (x.size,)), first=first, n=part.size), part.shape)
    return _rearrange(x, _places(x)[key])


def flip(x, axis=None):
    """Reverse the order along `axis` (all axes if None)."""
    x = as_tensor(x)
    return _rearrange(x, np.flip(_places(x), axis))


def moveaxis(x, source, destination):
    """Move the axis (or axes) `source` to the place `destination`; the others keep their order."""
    x = as_tensor(x)
    shape = np.empty(range(x.ndim), np.int8)  # axis n has length n, so that it can be recognised afterwards
    return transpose(x, np.moveaxis(shape, source, destination).shape)


def swapaxes(x, axis1, axis2):
    """Exchange two axes."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(x, order)


def roll(x, shift, axis=None):
    """Move elements by `shift` places along `axis`; those beyond the end come in again at the beginning."""
    x = as_tensor(x)
    return _rearrange(x, np.roll(_places(x), shift, axis))


def repeat(x, repeats, axis=None):
    """Each element `repeats` times in a row, along `axis` (None: of all elements along one axis)."""
    x = as_tensor(x)
    return _rearrange(x, np.repeat(_places(x), repeats, axis))


def tile(x, repeats):
    """The whole tensor `repeats` times along each axis."""
    x = as_tensor(x)
    return _rearrange(x, np.tile(_places(x), np.asarray(repeats, int)))


def diagonal(x, offset=0, axis1=0, axis2=1):
    """The elements whose indices along both axes are equal, or differ by `offset`."""
    x = as_tensor(x)
    return _rearrange(x, np.diagonal(_places(x), offset, axis1, axis2))


def split(x, indices_or_sections, axis=0):
    """A list of parts along `axis`: so many of equal length, or parts that begin at given indices."""
    x = as_tensor(x)
    try:
        parts = np.split(_places(x), indices_or_sections, axis)
    except ValueError:
        raise ValueError(
            f"split can't cut axis {axis} of {x.shape} into {indices_or_sections} parts of equal length."
        ) from None
    return [_rearrange(x, part) for part in parts]


def unstack(x, num=None, axis=0):
    """A list of the slices along `axis`, without that axis."""
    x = as_tensor(x)
    if num is not None and num != x.shape[axis]:
        raise ValueError(f"unstack expects num to be the length of axis {axis} of {x.shape}; got {num}.")
    return [squeeze(part, axis) for part in split(x, x.shape[axis], axis)]


def concatenate(xs, axis=0):
    """Join tensors along an existing axis."""
    xs = [as_tensor(x) for x in xs]
    if not xs:
        raise ValueError("concatenate needs at least one tensor.")
    if len({x.dtype for x in xs}) > 1:
        xs = [cast(x, _common_dtype(xs)) for x in xs]
    rank, place = xs[0].ndim, axis % max(xs[0].ndim, 1)
    around = {(x.ndim, x.shape[:place], x.shape[place + 1 :]) for x in xs}
    if not -rank <= axis < rank or len(around) > 1:
        shapes = [x.shape for x in xs]
        raise ValueError(f"concatenate can't join {shapes} along axis {axis}: all other axes must be equally long.")
    ((_, before, after),) = around
    rows, widths = math.prod(before), [math.prod(x.shape[place:]) for x in xs]
    firsts = [constant(np.int64, int(first)) for first in np.cumsum([0, *widths[:-1]])]
    result = empty((*before, sum(x.shape[place] for x in xs), *after), xs[0].dtype)
    for x, first, width in zip(xs, firsts, widths, strict=True):
        launch(K.put_columns, x._data.reshape(rows, width), first, result.reshape(rows, sum(widths)))

    def vjp(gy, *gxs):
        for gx, first in zip(gxs, firsts, strict=True):
            if gx is not None:
                launch(K.get_columns, gy, first, gx)

    views = enumerate([(rows, sum(widths)), *((rows, width) for width in widths)])
    return emit(result, vjp, xs, tuple(views), "concatenate")


def stack(x, axis=0):
    """Join tensors of the same shape (a list) along a new axis."""
    return concatenate([expand_dims(part, axis) for part in x], axis)


def vstack(xs):
    """Join along the first axis; a tensor of one axis is a row."""
    return concatenate([expand_dims(x, 0) if ndim(x) == 1 else x for x in xs], 0)


def hstack(xs):
    """Join along the second axis; tensors of one axis along that."""
    return concatenate(xs, 0 if ndim(xs[0]) == 1 else 1)
