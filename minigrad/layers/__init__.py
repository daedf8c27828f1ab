"""The layers, under the names that Keras gives them."""

from minigrad.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from minigrad.layers.arguments import InputSpec
from minigrad.layers.base import Layer, deserialize, serialize
from minigrad.layers.core import Dense, Identity, Masking
from minigrad.layers.einsum_dense import EinsumDense
from minigrad.layers.embedding import Embedding
from minigrad.layers.input_layer import Input, InputLayer
from minigrad.layers.lambda_layer import Lambda
from minigrad.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
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
from minigrad.layers.wrapper import Wrapper
from minigrad.names import public

__all__ = public(globals())
