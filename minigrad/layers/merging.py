"""Layers that make one output of several inputs; and functions that make such a layer and call it."""

import functools

from minigrad import ops
from minigrad.checks import is_int
from minigrad.configurable import REQUIRED
from minigrad.layers.base import Layer
from minigrad.trees import mapped


class Merge(Layer, is_member=False):
    """A layer that is called on a list of inputs with equally many rows.

    Inputs with fewer axes get axes of length one behind the rows. Then all are broadcast as in NumPy.

    Raises:
        ValueError: the input is no list, or the inputs have different numbers of rows or cannot be broadcast.
    """

    _makes_masks = False
    _combine = None  # the operation that makes one tensor of two
    _count = None  # how many inputs there must be; None: one or more

    def build(self, input_shape):
        self.compute_output_shape(input_shape)  # raises an error if the shapes do not fit

    def call(self, inputs):
        shapes = self._shapes(mapped(lambda x: x.shape, inputs))
        rank = max(map(len, shapes))
        inputs = [
            x if len(shape) == rank else ops.reshape(x, (shape[0], *[1] * (rank - len(shape)), *shape[1:]))
            for x, shape in zip(inputs, shapes, strict=True)
        ]
        return functools.reduce(type(self)._combine, inputs)

    def compute_mask(self, inputs, mask=None):
        """True where the mask of any input is True; None unless all inputs have masks."""
        masks = self._masks(inputs, mask)
        return None if any(one is None for one in masks) else functools.reduce(ops.logical_or, masks)

    def _masks(self, inputs, mask):
        """The masks of the inputs, a list."""
        if mask is None:
            return [None] * len(inputs)
        if not isinstance(mask, (list, tuple)) or len(mask) != len(inputs):
            raise ValueError(f"{self._title} takes a list, a mask (or None) for each of its inputs.")
        return mask

    def compute_output_shape(self, input_shape):
        shapes = self._shapes(input_shape)
        rank, rows = max(map(len, shapes)), self._rows(shapes)
        lengths = [{shape[-axis] for shape in shapes if len(shape) > axis} for axis in range(rank - 1, 0, -1)]
        if any(len(of_axis - {1, None}) > 1 for of_axis in lengths):
            raise self._misfit("inputs that can be broadcast", shapes)
        return (rows, *(None if None in of_axis else max(of_axis) for of_axis in lengths))

    def _shapes(self, shapes):
        """The shapes of the inputs, a list of tuples."""
        is_list = isinstance(shapes, (list, tuple)) and all(isinstance(one, (list, tuple)) and one for one in shapes)
        if not is_list or not shapes or len(shapes) != (self._count or len(shapes)):
            raise self._misfit(f"to be called on a list of {self._count or 'one or more'} inputs with rows", shapes)
        return [tuple(shape) for shape in shapes]

    def _rows(self, shapes):
        """How many rows the inputs have; None if that is not known."""
        rows = {shape[0] for shape in shapes} - {None}
        if len(rows) > 1:
            raise self._misfit("inputs with equally many rows", shapes)
        return rows.pop() if rows else None

    def _misfit(self, expected, shapes):
        return ValueError(f"{self._title} expected {expected}; got shapes {shapes}.")


class Add(Merge):
    """The sum of all inputs, a list."""

    _combine = ops.add


class Subtract(Merge):
    """The first input minus the second."""

    _combine, _count = ops.subtract, 2


class Multiply(Merge):
    """The product of all inputs, a list, element by element."""

    _combine = ops.multiply


class Average(Merge):
    """The mean of all inputs, a list, element by element."""

    _combine = ops.add

    def call(self, inputs):
        return super().call(inputs) / float(len(inputs))


class Maximum(Merge):
    """The largest of all inputs, a list, element by element."""

    _combine = ops.maximum


class Minimum(Merge):
    """The smallest of all inputs, a list, element by element."""

    _combine = ops.minimum


class Concatenate(Merge):
    """The inputs, a list, joined along `axis`. Their other axes must have the same lengths.

    Args:
        axis: an int; -1 is the last axis.
    """

    _prepares = _joins = True

    arguments = {"axis": -1}

    def _settle(self):
        if not is_int(self.axis):
            raise ValueError(f"{self._owner}: axis must be an int, got {self.axis!r}.")

    def call(self, inputs):
        self._shapes(mapped(lambda x: x.shape, inputs))
        return ops.concatenate(inputs, self.axis)

    def compute_mask(self, inputs, mask=None):
        """The masks, joined like the inputs. An input without a mask counts as a whole."""
        masks = self._masks(inputs, mask)
        if all(one is None for one in masks):
            return None
        return ops.any(ops.concatenate([_spread(*pair) for pair in zip(masks, inputs, strict=True)], self.axis), -1)

    def compute_output_shape(self, input_shape):
        shapes, axis = self._shapes(input_shape), self.axis
        if len({len(shape) for shape in shapes}) > 1 or not -len(shapes[0]) <= axis < len(shapes[0]):
            raise self._misfit(f"inputs of equally many axes, one of them the axis {axis}", shapes)
        lengths = [set(of_axis) for of_axis in zip(*shapes, strict=True)]
        lengths[axis] = {None if None in lengths[axis] else sum(shape[axis] for shape in shapes)}
        if any(len(of_axis - {None}) > 1 for of_axis in lengths):
            raise self._misfit(f"inputs that agree in all axes but {axis}", shapes)
        return tuple(max(of_axis - {None}, default=None) for of_axis in lengths)


class Dot(Merge):
    """Products of two inputs, summed along an axis of each: (n, a, k), (n, k, b) with axes=(2, 1) give (n, a, b).

    Two inputs (n, k) give (n, 1).

    Args:
        axes: the axis to sum over in both inputs, or a pair of axes; not 0. Negative axes count from the last.
        normalize: whether to divide the vectors along the axes by their lengths first. The result is their cosine.

    Raises:
        TypeError, ValueError: `axes` is neither an int nor two of them.
    """

    _count = 2

    arguments = {"axes": REQUIRED, "normalize": False}

    def _settle(self):
        axes = self.axes
        if not is_int(axes) and not isinstance(axes, (list, tuple)):
            raise TypeError(f"{self._owner}: axes must be an int or two of them, got {axes!r}.")
        if not is_int(axes) and (len(axes) != 2 or not all(map(is_int, axes))):
            raise ValueError(f"{self._owner}: axes must be an int or two of them, got {axes!r}.")

    def compute_mask(self, inputs, mask=None):
        """None: a sum over an axis has no mask."""

    def call(self, inputs):
        shapes = mapped(lambda x: x.shape, inputs)
        self.compute_output_shape(shapes)
        x, y = (
            ops.moveaxis(ops.normalize(x, axis) if self.normalize else x, axis, -1)
            for x, axis in zip(inputs, self._axes(shapes), strict=True)
        )
        left, right = x.shape, y.shape
        x = ops.reshape(x, (*left[:-1], *[1] * (len(right) - 2), left[-1]))
        y = ops.reshape(y, (right[0], *[1] * (len(left) - 2), *right[1:]))
        return ops.sum(x * y, axis=-1, keepdims=x.ndim == 2)

    def compute_output_shape(self, input_shape):
        shapes = self._shapes(input_shape)
        axes = self._axes(shapes)
        if len({shape[axis] for shape, axis in zip(shapes, axes, strict=True)} - {None}) > 1:
            raise self._misfit(f"inputs whose axes {axes} have one length", shapes)
        rest = [n for shape, summed in zip(shapes, axes, strict=True) for n in (*shape[1:summed], *shape[summed + 1 :])]
        return (self._rows(shapes), *(rest or [1]))

    def _axes(self, shapes):
        """The axis to sum over in each input, counted from the first."""
        given = [self.axes] * 2 if is_int(self.axes) else self.axes
        if not all(-len(shape) < axis < len(shape) and axis for axis, shape in zip(given, shapes, strict=True)):
            raise self._misfit(f"inputs that have the axes {self.axes}, which must not be that of the rows", shapes)
        return [axis % len(shape) for axis, shape in zip(given, shapes, strict=True)]


def _spread(mask, x):
    """The mask of x with as many axes as x; True everywhere if there is none."""
    if mask is None:
        return ops.ones_like(x, dtype="bool")
    return mask if mask.ndim == x.ndim else ops.logical_or(ops.expand_dims(mask, -1), ops.zeros_like(x, dtype="bool"))


def _function(layer):
    """A function that makes a layer of this class and calls it on a list."""

    def merge(inputs, **kwargs):
        return layer(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = layer.__name__.lower()
    merge.__doc__ = f"`{layer.__name__}(**kwargs)(inputs)`: {layer.__doc__}"
    return merge


add, subtract, multiply, average, maximum, minimum = map(
    _function, (Add, Subtract, Multiply, Average, Maximum, Minimum)
)


def concatenate(inputs, axis=-1, **kwargs):
    """The inputs, a list, joined along `axis`: `Concatenate(axis)(inputs)`."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs, axes=-1, **kwargs):
    """Products of two inputs, summed along an axis of each: `Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)
