"""Input and InputLayer: what goes into a model, a shape and a dtype."""

import numpy as np

from minigrad.checks import is_int, warn
from minigrad.graph import TEXTS, Result, record
from minigrad.layers.arguments import is_length
from minigrad.layers.base import Layer
from minigrad.spelling import explaining


class InputLayer(Layer):
    """The input of a model: a shape. It computes nothing.

    Args:
        shape: the shape of one row, such as (20,). None stands for an axis of any length.
        batch_shape: instead of `shape`, the same with the number of rows (usually None) in front.
        dtype: "string" for texts, which go to TextVectorization, StringLookup, Hashing or HashedCrossing; or a dtype of
            integers, such as "int64", which stay integers. By default `config.floatx()`.
    """

    def __init__(
        self, shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None,
        input_tensor=None, optional=False, name=None, **kwargs
    ):
        if sparse or ragged or input_tensor is not None:
            raise ValueError("Input: minigrad knows neither sparse nor ragged inputs, nor tensors as inputs.")
        if "input_shape" in kwargs:
            warn("Input: input_shape is the old name of shape.")
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if shape is not None and batch_shape is not None:
            raise ValueError(f"Input: give shape or batch_shape, not both; got {shape!r} and {batch_shape!r}.")
        if batch_shape is not None:
            batch_size, *shape = batch_shape
        if shape is None or not isinstance(shape, (tuple, list)):
            hint = f": write ({shape},)" if is_int(shape) else ": it can't be made a shape"
            raise ValueError(f"Input: shape must be a tuple such as (20,), got {shape!r}{hint}.")
        if not all(map(is_length, shape)):
            raise ValueError(f"Input: shape must consist of positive integers or None, got {tuple(shape)!r}.")
        super().__init__(dtype=dtype if dtype in ("float32", "float64") else None, name=name, **kwargs)
        if dtype is not None:
            self.dtype = TEXTS if dtype == TEXTS else np.dtype(dtype).name
        self.batch_shape = (batch_size, *shape)
        self._input_shape = (None, *shape)
        self.built = True
        symbol = record(self, (), {}, Result(self.batch_shape, self.dtype))
        symbol.name = self.name
        self._calls = (symbol.call,)

    @property
    def shape(self):
        """The shape of the whole input, the number of rows in front."""
        return self.batch_shape

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return self.batch_shape

    def get_config(self):
        return {
            "batch_shape": list(self.batch_shape), "dtype": self.dtype, "sparse": False, "ragged": False,
            "name": self.name, "optional": False,
        }  # fmt: skip

    def get_build_config(self):
        return None


@explaining
def Input(
    shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None, tensor=None,
    optional=False,
):
    """The input of a model: `Input(shape=(20,))` says that each row has 20 features.

    It returns a symbol. Call layers on it, and make a `Model(inputs, outputs)` of what they return; or make it the
    first element of a Sequential.

    Raises:
        ValueError: `shape` is no shape; or `sparse`, `ragged` or `tensor` are given, which minigrad does not have.
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, input_tensor=tensor, optional=optional, name=name
    )
    return layer.output
