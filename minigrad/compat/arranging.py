"""Functions of `tensorflow` itself that pick, sort, cut and place elements.

"Reads" in a docstring means that the values are read, so that a step with this function runs eagerly.
"""

import numpy as np

import minigrad
from minigrad import ops
from minigrad.utils.elements import as_array, shown


def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    """The slices at the indices along an axis. The first `batch_dims` axes are those of a batch; if any, reads them."""
    axis = batch_dims if axis is None else axis % ops.ndim(params)
    if not batch_dims:
        params = ops.convert_to_tensor(params) if isinstance(params, (list, tuple)) else params  # integers stay such
        return ops.take(params, indices, axis)
    indices, shape = np.asarray(indices).astype(np.int64), ops.shape(params)
    places = np.arange(int(np.prod(shape))).reshape(shape)
    each = [np.take(places[i], indices[i], axis - batch_dims) for i in np.ndindex(*shape[:batch_dims])]
    return ops.take(ops.ravel(params), np.reshape(each, (*shape[:batch_dims], *each[0].shape)))


def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    """The tensor with more elements at both ends of each axis: `constant_values`, or mirrored (REFLECT, SYMMETRIC)."""
    mode = mode.lower()
    return ops.pad(tensor, np.asarray(paddings), mode, constant_values if mode == "constant" else None)


def tensor_scatter_nd_update(tensor, indices, updates, name=None):
    """The tensor with `updates` at the places that the last axis of `indices` tells. Reads the indices."""
    shape = ops.shape(tensor)
    places, chosen = np.arange(int(np.prod(shape))), np.asarray(indices).astype(np.int64)
    targets = places.reshape(shape)[tuple(np.moveaxis(chosen, -1, 0))].ravel()
    places[targets] = places.size + np.arange(targets.size)
    both = ops.concatenate([ops.ravel(tensor), ops.ravel(updates)])
    return ops.reshape(ops.take(both, places), shape)


def argsort(values, axis=-1, direction="ASCENDING", stable=False, name=None):
    """The places of the elements along an axis, in the order of their values. Equal elements keep their order."""
    return ops.argsort(ops.multiply(values, -1.0) if _descends(direction) else values, axis)


def sort(values, axis=-1, direction="ASCENDING", name=None):
    """The elements along an axis in ascending (or descending) order."""
    if _descends(direction):
        return ops.negative(ops.sort(ops.multiply(values, -1.0), axis))
    return ops.sort(values, axis)


def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    """The elements for which the mask is true. The mask's axes begin at `axis` and become one. Reads the mask."""
    before = (axis or 0) % ops.ndim(tensor)
    return ops.get_item(tensor, (*[slice(None)] * before, np.asarray(mask, bool)))


def gather_nd(params, indices, batch_dims=0, name=None):
    """The elements (or slices) at the places that the last axis of `indices` tells. Reads the indices."""
    indices = np.asarray(indices).astype(np.int64)
    own = np.indices(indices.shape[:-1])[:batch_dims]
    return ops.get_item(params, (*own, *np.moveaxis(indices, -1, 0)))


def where(condition, x=None, y=None, name=None):
    """x where the condition holds, else y. Without x and y, a row per place where it holds; reads the condition."""
    if x is None and y is None:
        return ops.cast(np.argwhere(np.asarray(condition)), "int64")
    return ops.where(condition, x, y)


def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    """Parts along an axis: a number of parts with equal lengths, or parts with the given lengths."""
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis)
    return ops.split(value, np.cumsum(num_or_size_splits)[:-1].tolist(), axis)


def meshgrid(*args, indexing="xy", name=None):
    """The coordinates of the points of a grid, a tensor per vector."""
    return ops.meshgrid(*args, indexing=indexing)


def sequence_mask(lengths, maxlen=None, dtype="bool", name=None):
    """For each length, a row that is true in so many places at the beginning. Reads the lengths."""
    lengths = np.asarray(lengths)
    return ops.cast(np.arange(lengths.max(initial=0) if maxlen is None else int(maxlen)) < lengths[..., None], dtype)


def scatter_nd(indices, updates, shape, name=None):
    """Zeros of this shape, to which the updates are added at the indices."""
    return ops.scatter(indices, updates, tuple(int(n) for n in shape))


def unique(x, out_idx="int32", name=None):
    """(the different elements, in the order in which they come; the place of each element of x there). Reads x."""
    array = as_array(x)
    _, first, places = np.unique(array, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return shown(array[first[order]]), shown(np.argsort(order)[places.ravel()])


def one_hot(indices, depth, on_value=1.0, off_value=0.0, axis=None, dtype=None, name=None):
    """`on_value` in the column of the index, else `off_value`."""
    y = ops.one_hot(indices, depth, axis=-1 if axis is None else axis)
    y = y if (on_value, off_value) == (1.0, 0.0) else y * (on_value - off_value) + off_value
    return ops.cast(y, dtype or minigrad.config.floatx())


def _descends(direction):
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"direction must be 'ASCENDING' or 'DESCENDING', got {direction!r}.")
    return direction == "DESCENDING"
