"""Layers that put the elements of each row into another shape or order."""

import math

from minigrad import ops
from minigrad.checks import is_int
from minigrad.configurable import REQUIRED
from minigrad.layers.arguments import WHOLE, InputSpec, integers
from minigrad.layers.base import Layer


class Flatten(Layer):
    """All axes but that of the rows become one: (n, a, b) -> (n, a b), and (n,) -> (n, 1).

    Args:
        data_format: "channels_first" moves axis 1 to the end first, which makes the order that of "channels_last".
    """

    _prepares = True

    arguments = {"data_format": None}

    def _settle(self):
        if self.data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"{self._owner}: data_format must be 'channels_last' or 'channels_first', got {self.data_format!r}."
            )
        self.data_format = self.data_format or "channels_last"

    def call(self, inputs):
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = ops.moveaxis(inputs, 1, -1)
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))


class Reshape(Layer):
    """The elements of each row in another shape: (n, ...) -> (n, *target_shape).

    Args:
        target_shape: a tuple of positive ints, without the axis of the rows. One of them may be -1: it is computed from
            the others.

    Raises:
        ValueError: a row has another number of elements.
    """

    _has_no_state = _prepares = True

    arguments = {"target_shape": REQUIRED}

    def _settle(self):
        shape = self.target_shape
        if not isinstance(shape, (tuple, list)) or not all(map(is_int, shape)):
            raise ValueError(f"{self._owner}: target_shape must be a tuple of ints, got {shape!r}.")
        self.target_shape = tuple(map(int, shape))
        if self.target_shape.count(-1) > 1 or any(n < 1 and n != -1 for n in self.target_shape):
            raise ValueError(
                f"{self._owner}: target_shape must consist of positive ints and at most one -1, got "
                f"{self.target_shape}."
            )

    def compute_output_shape(self, input_shape):
        rows, row = input_shape[0], tuple(input_shape[1:])
        known = math.prod(n for n in self.target_shape if n != -1)
        if None in row:
            return (rows, *(None if n == -1 else n for n in self.target_shape))
        size = math.prod(row)
        if size % known or (-1 not in self.target_shape and size != known):
            raise ValueError(f"{self._title} can't make {self.target_shape} of rows of shape {row}: {size} elements.")
        return (rows, *(size // known if n == -1 else n for n in self.target_shape))

    def call(self, inputs):
        return ops.reshape(inputs, self.compute_output_shape(inputs.shape))


class Permute(Layer):
    """The axes of each row in another order: dims = (2, 1) makes (n, b, a) of (n, a, b).

    Args:
        dims: the input's axis for each axis of the output, counted from 1, since 0 is that of the rows.
    """

    arguments = {"dims": REQUIRED}

    def _settle(self):
        given, self.dims = self.dims, integers(self, "dims")
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"{self._owner}: dims must be 1, 2, ... in any order, got {given!r}.")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape):
        self._check_spec(input_shape)
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))


class RepeatVector(Layer):
    """Each row repeated n times: (rows, features) -> (rows, n, features)."""

    arguments = {"n": WHOLE}

    def _settle(self):
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs):
        rows, features = inputs.shape
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (rows, self.n, features))

    def compute_output_shape(self, input_shape):
        self._check_spec(input_shape)
        return (input_shape[0], self.n, input_shape[1])
