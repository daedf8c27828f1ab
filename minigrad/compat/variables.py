"""tf.Variable, and the part of one, v[...], that can be assigned."""

import numpy as np

import minigrad
from minigrad import ops
from minigrad.compat.arranging import tensor_scatter_nd_update
from minigrad.program import is_recording
from minigrad.tensor import Tensor


class Variable(minigrad.Variable):
    """A Variable with TensorFlow's arguments and methods. Integers are int64."""

    def __init__(
        self, initial_value=None, trainable=None, validate_shape=True, caching_device=None, name=None,
        variable_def=None, dtype=None, import_scope=None, constraint=None, synchronization=None, aggregation=None,
        shape=None, experimental_enable_variable_lifting=None,
    ):  # fmt: skip
        if initial_value is None:
            raise ValueError("tf.Variable needs an initial_value: numbers, or a function that returns them.")
        value = initial_value() if callable(initial_value) else initial_value
        value = value.numpy() if isinstance(value, Tensor) else np.asarray(value, None if dtype is None else str(dtype))
        if value.dtype.kind not in "fiub":
            raise ValueError(f"tf.Variable holds numbers, got {value.dtype}.")
        is_float_of_python = dtype is None and value.dtype.kind == "f" and not hasattr(initial_value, "dtype")
        dtype = str(dtype) if dtype is not None else None if is_float_of_python else value.dtype
        super().__init__(value, dtype=dtype, trainable=trainable is not False, name=name)
        self.constraint = constraint

    def value(self):
        """A copy of the values."""
        return ops.stop_gradient(self)

    read_value = initialized_value = value

    def assign(self, value, use_locking=None, name=None, read_value=True):
        """Set the values, of the same shape."""
        return super().assign(value)

    def assign_add(self, delta, use_locking=None, name=None, read_value=True):
        """Add `delta` in place."""
        return super().assign_add(delta)

    def assign_sub(self, delta, use_locking=None, name=None, read_value=True):
        """Subtract `delta` in place."""
        return super().assign_sub(delta)

    def __getitem__(self, key):
        return Part(self, key)

    def scatter_nd_update(self, indices, updates, name=None):
        """Set the elements (or slices) at the places that the last axis of `indices` tells."""
        Part(self, tuple(np.moveaxis(np.asarray(indices).astype(np.int64), -1, 0))).assign(updates)
        return self


class Part(Tensor):
    """The elements v[key] of a Variable, as a tensor that can be assigned, which changes the Variable."""

    __slots__ = ("_key", "_whole")

    def __init__(self, whole, key):
        found = ops.get_item(whole, key)
        for slot in ("_data", "_grad", "_logits", "_node", "requires_grad"):
            setattr(self, slot, getattr(found, slot))
        self._whole, self._key = whole, key

    def assign(self, value, **options):
        """Set these elements of the Variable, which is returned."""
        whole, key = self._whole, self._key
        places = np.arange(whole.size).reshape(whole.shape)[key]
        if not is_recording():
            whole._data.reshape(-1)[places] = np.asarray(value)
            return whole
        value = ops.broadcast_to(ops.cast(value, "float64"), places.shape)
        flat = ops.ravel(ops.cast(whole.detach(), "float64"))
        found = tensor_scatter_nd_update(flat, places.reshape(-1, 1), value)
        return whole.assign(ops.reshape(found, whole.shape))
