"""The layers, under the names that Keras gives them."""

from minigrad.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from minigrad.layers.arguments import InputSpec
from minigrad.layers.base import InputLayer, Layer, deserialize, serialize
from minigrad.layers.core import Dense, Identity
from minigrad.layers.normalization import BatchNormalization
from minigrad.layers.preprocessing import Normalization, Rescaling
from minigrad.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
)
from minigrad.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from minigrad.layers.row_normalization import LayerNormalization, RMSNormalization, UnitNormalization


def Input(
    shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None, tensor=None,
    optional=False,
):
    """What goes into a Sequential: `Input(shape=(20,))` says that each row has 20 features.

    Raises:
        ValueError: a shape that is none; `sparse`, `ragged` or `tensor`, which Keras knows and minigrad does not.
    """
    return InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, input_tensor=tensor, optional=optional, name=name
    )


__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "UnitNormalization",
    "deserialize",
    "serialize",
]
