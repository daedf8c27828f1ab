"""The layers, under the names that Keras gives them."""

from minigrad.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from minigrad.layers.base import InputLayer, Layer
from minigrad.layers.core import Dense, Dropout, Flatten
from minigrad.layers.normalization import BatchNormalization


def Input(shape=None, batch_size=None, dtype=None, name=None, batch_shape=None):
    """What goes into a Sequential: `Input(shape=(20,))` says that each row has 20 features."""
    return InputLayer(shape, batch_size, dtype, name=name, batch_shape=batch_shape)


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
