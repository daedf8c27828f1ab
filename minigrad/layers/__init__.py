"""The layers, under the names that Keras gives them."""

# The table of contents: what each file offers.
# isort: off
from minigrad.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from minigrad.layers.arguments import InputSpec
from minigrad.layers.attention import AdditiveAttention, Attention, GroupedQueryAttention, MultiHeadAttention
from minigrad.layers.augmentation import (
    RandomBrightness, RandomContrast, RandomCrop, RandomFlip, RandomRotation, RandomTranslation, RandomZoom,
)  # fmt: skip
from minigrad.layers.base import Layer, deserialize, serialize
from minigrad.layers.convolution import (
    Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D,
    SeparableConv2D,
)  # fmt: skip
from minigrad.layers.core import Dense, Identity, Masking
from minigrad.layers.einsum_dense import EinsumDense
from minigrad.layers.embedding import Embedding
from minigrad.layers.encoding import CategoryEncoding, Discretization, HashedCrossing, Hashing
from minigrad.layers.group_normalization import GroupNormalization
from minigrad.layers.input_layer import Input, InputLayer
from minigrad.layers.lambda_layer import Lambda
from minigrad.layers.lookup import IntegerLookup, StringLookup
from minigrad.layers.merging import (
    Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract, add, average, concatenate, dot, maximum,
    minimum, multiply, subtract,
)  # fmt: skip
from minigrad.layers.normalization import BatchNormalization
from minigrad.layers.pooling import (
    AveragePooling1D, AveragePooling2D, Cropping1D, Cropping2D, GlobalAveragePooling1D, GlobalAveragePooling2D,
    GlobalMaxPooling1D, GlobalMaxPooling2D, MaxPooling1D, MaxPooling2D, UpSampling1D, UpSampling2D, ZeroPadding1D,
    ZeroPadding2D,
)  # fmt: skip
from minigrad.layers.preprocessing import Normalization, Rescaling
from minigrad.layers.recurrent import GRU, LSTM, RNN, SimpleRNN
from minigrad.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from minigrad.layers.regularization import (
    ActivityRegularization, AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout1D,
    SpatialDropout2D,
)  # fmt: skip
from minigrad.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from minigrad.layers.resizing import CenterCrop, Resizing
from minigrad.layers.row_normalization import LayerNormalization, RMSNormalization, UnitNormalization
from minigrad.layers.spectral_normalization import SpectralNormalization
from minigrad.layers.text_vectorization import TextVectorization
from minigrad.layers.time import Bidirectional, TimeDistributed
from minigrad.layers.wrapper import Wrapper
# isort: on
from minigrad.names import public

# Keras' other names of the same layers.
Convolution1D, Convolution2D = Conv1D, Conv2D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D = MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GroupQueryAttention = GroupedQueryAttention
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D

__all__ = public(globals())
