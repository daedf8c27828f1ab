"""Layers that prepare data. They learn nothing, or they learn from `adapt`, but never from gradients."""

import itertools
import math

import numpy as np

from minigrad import config, ops
from minigrad.configurable import plain
from minigrad.data import as_rows
from minigrad.layers import arguments
from minigrad.layers.arguments import checked
from minigrad.layers.base import SameShape
from minigrad.tensor import Tensor

CHUNK = 65536  # rows of an array that `adapt` reads at a time


def _numbers(layer, name):
    try:
        np.asarray(getattr(layer, name), layer.dtype)
    except (TypeError, ValueError):
        given = getattr(layer, name)
        raise ValueError(f"{layer._owner}: {name} must be numbers, got {given!r}.") from None


class Rescaling(SameShape):
    """y = scale x + offset. Both are numbers, or arrays that broadcast to x."""

    _prepares = True

    arguments = {"scale": checked(_numbers), "offset": checked(_numbers, 0.0)}

    def call(self, inputs):
        return inputs * np.asarray(self.scale, self.dtype) + np.asarray(self.offset, self.dtype)


def moments_of_both(a, b):
    """(count, mean, sum of squared deviations) of two sets together, from those of each (Chan et al. 1979)."""
    count, shift = a[0] + b[0], b[1] - a[1]
    return count, a[1] + shift * (b[0] / count), a[2] + b[2] + np.square(shift) * (a[0] * b[0] / count)


class Normalization(SameShape):
    """y = (x - mean) / max(sqrt(variance), 1e-7), with the mean and variance that are given, or found by `adapt(data)`.

    Before `adapt` they are 0 and 1. Gradients pass through the layer, but training does not change it: its weights
    mean, variance and count (which is unused, as in Keras) are non-trainable.

    Args:
        axis: the axes, an int or several, whose elements each have a mean of their own. None: there is one mean of all.
        mean, variance: given instead of found by `adapt`. Then the layer has no weights.
        invert: whether to undo the normalization: y = mean + x max(sqrt(variance), 1e-7).

    Raises:
        ValueError: an axis is out of range or has no known length, or an input has another shape than the layer was
            built or adapted for.
    """

    _prepares = True

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals(), but=["mean", "variance"])
        self.axis = () if axis is None or len(np.shape(axis)) and not len(axis) else arguments.integers(self, "axis")
        self.input_mean, self.input_variance = mean, variance
        if (mean is None) != (variance is None):
            raise ValueError(f"{self._owner} needs mean and variance, or neither.")
        if mean is not None and (np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis)):
            raise ValueError(
                f"{self._owner}: mean and variance must have one shape, of at most {len(self.axis)} axes for axis "
                f"{self.axis}; got {np.shape(mean)} and {np.shape(variance)}."
            )

    def build(self, input_shape):
        rank = len(input_shape)
        kept = sorted({a % rank for a in self.axis if -rank <= a < rank})
        if len(kept) < len(self.axis) or any(input_shape[a] is None for a in kept):
            raise ValueError(
                f"{self._title}: axis {self.axis} must name axes of known length, which that of the rows is not; got "
                f"shape {tuple(input_shape)}."
            )
        shape = tuple(input_shape[a] for a in kept)
        self._broadcast = tuple(input_shape[a] if a in kept else 1 for a in range(rank)) if kept else ()
        if kept and max(self.axis) < 0:  # all axes count from the end, so there may be more in front
            self.input_spec = arguments.InputSpec(min_ndim=rank, axes={a - rank: input_shape[a] for a in kept})
        elif kept:
            self.input_spec = arguments.InputSpec(ndim=rank, axes={a: input_shape[a] for a in kept})
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", "int64", trainable=False, name="count")
        else:
            self.adapt_mean, self.adapt_variance = (
                Tensor(np.array(np.broadcast_to(value, shape), self.dtype))
                for value in (self.input_mean, self.input_variance)
            )

    @property
    def mean(self):
        """The mean that is subtracted, in a shape that broadcasts to the input. None before the layer is built."""
        return ops.reshape(self.adapt_mean, self._broadcast) if self.built else None

    @property
    def variance(self):
        """The variance, whose root is divided by, like `mean`."""
        return ops.reshape(self.adapt_variance, self._broadcast) if self.built else None

    def call(self, inputs):
        deviation = ops.maximum(ops.sqrt(self.variance), config.epsilon())
        return inputs * deviation + self.mean if self.invert else (inputs - self.mean) / deviation

    def adapt(self, data, batch_size=None, steps=None):
        """Set mean and variance to those of the data. Data of earlier calls does not count any more.

        Args:
            data: an array (rows first), or an iterable of batches, such as a list of arrays or a generator. Of a batch
                that is a tuple, the first element is used.
            batch_size: how many rows of an array are read at a time; it does not change the result.
            steps: how many batches are used; by default all.

        Raises:
            TypeError: the data is something else.
            ValueError: the data has no rows, or another shape than the layer was built for.
        """
        if self.input_mean is not None:
            raise ValueError(f"{self._title} was given its mean: there is nothing to adapt.")
        found = 0, 0.0, 0.0
        for batch in itertools.islice(self._batches(data, batch_size or CHUNK), steps):
            batch = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
            if not hasattr(batch, "shape"):
                raise self._unusable("batches that are arrays", batch)
            batch = np.asarray(batch, np.float64)
            self._ensure_built((None, *batch.shape[1:]))
            self._check_spec(batch.shape)
            kept = {a % batch.ndim for a in self.axis}
            axes = tuple(a for a in range(batch.ndim) if a not in kept)
            count = math.prod(batch.shape[a] for a in axes)
            if count:
                found = moments_of_both(found, (count, batch.mean(axes), batch.var(axes) * count))
        count, mean, squares = found
        if not count:
            raise ValueError(f"{self._title}: adapt got no rows, so there is no mean.")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(squares / count)

    def _batches(self, data, size):
        """An iterator over the batches of `data`."""
        if isinstance(data, Tensor):
            data = data.numpy()
        if hasattr(data, "to_numpy"):  # a table or a column of one
            data = as_rows(data, f"the data for {self.name!r}", np.dtype("float64"))[:]
        if isinstance(data, np.ndarray) and data.ndim:
            return (data[i : i + size] for i in range(0, len(data), size))
        if isinstance(data, (str, dict, np.ndarray)):
            raise self._unusable("an array or an iterable of batches", data)
        if hasattr(data, "__iter__"):
            return iter(data)
        if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
            return (data[i] for i in range(len(data)))
        raise self._unusable("an array or an iterable of batches", data)

    def _unusable(self, expected, got):
        kind = type(got).__name__
        return TypeError(f"{self._title}: adapt expects {expected}, got a {kind}.")

    def get_config(self):
        return {**super().get_config(), "mean": plain(self.input_mean), "variance": plain(self.input_variance)}
