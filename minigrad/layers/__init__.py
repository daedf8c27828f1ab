"""The layers, under the names that Keras gives them."""

from minigrad.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from minigrad.layers.base import InputLayer, Layer
from minigrad.layers.core import Dense, Dropout, Flatten
from minigrad.layers.normalization import BatchNormalization


def Input(
    shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None, tensor=None,
    optional=False,
):
    """What goes into a Sequential: `Input(shape=(20,))` says that each row has 20 features.

    Raises:
        ValueError: a shape that is none; `sparse`, `ragged` or `tensor`, which Keras knows and minigrad does not.
    """
    if sparse or ragged or tensor is not None:
        raise ValueError("Input: minigrad knows neither sparse nor ragged inputs, nor tensors as inputs.")
    return InputLayer(shape, batch_size, dtype, batch_shape=batch_shape, name=name, optional=optional)


__all__ = [
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Softmax",
]
