"""One exam that every layer passes; then values of the simple ones.

A layer without a row in `EXAM` fails, so a new one can't be forgotten. In depth: test_layers_*.py.
Those of several inputs sit theirs in test_layers_merging.py, those of texts in test_layers_text.py, Embedding, Lambda
and Masking in files of their own.
"""

import json
import math

import numpy as np
import pytest
from helpers import Quiet, assert_same, random_input, shaken, state
from test_layers_merging import MERGING

import minigrad as keras
from minigrad import layers
from minigrad.utils import gradcheck


class Row:
    """One instance of a layer and what must be true of it.

    shape: of one row; weights: name -> shape, in order; output: of one row, by default `shape`; more: other
    shapes of whole inputs for the gradient check (each for a new layer); frozen: the weights that are never
    trained; smooth_in_training: whether the gradient in training is that of the function computed, and does
    not take for constant what depends on the input (that of renorm is checked by hand below).
    """

    def __init__(
        self, make, shape=(5,), weights=None, output=None, more=(), frozen=(), smooth_in_training=True
    ):
        self.make, self.shape, self.weights = make, shape, weights or {}
        self.output = shape if output is None else output
        self.shapes = [(1, *shape), (3, *shape), *more]
        self.frozen = set(frozen)
        self.smooth_in_training = smooth_in_training


def norm(n, *names):
    return dict.fromkeys((*names, "moving_mean", "moving_variance"), (n,))


MOVING = ("moving_mean", "moving_variance")
RENORM = ("moving_stddev", "renorm_mean", "renorm_stddev")
ADAPTED = {"mean": (5,), "variance": (5,), "count": ()}
HIGH_RANK = [(2, 3, 5), (2, 3, 1, 5)]

EXAM = {
    "InputLayer": Row(lambda **k: layers.InputLayer((5,), **k)),
    "Dense": Row(
        lambda **k: layers.Dense(3, **k),
        weights={"kernel": (5, 3), "bias": (3,)},
        output=(3,),
        more=HIGH_RANK,
    ),
    "Dense one to one": Row(lambda **k: layers.Dense(1, **k), (1,), {"kernel": (1, 1), "bias": (1,)}),
    "Dense tanh, no bias": Row(
        lambda **k: layers.Dense(17, "tanh", use_bias=False, **k),
        (9,),
        {"kernel": (9, 17)},
        (17,),
        [(2, 2, 9)],
    ),
    "Dense penalties": Row(
        lambda **k: layers.Dense(
            2,
            "softmax",
            kernel_initializer="he_normal",
            bias_initializer="ones",
            kernel_regularizer="l2",
            bias_regularizer=keras.regularizers.L1(0.1),
            activity_regularizer="l2",
            kernel_constraint="max_norm",
            bias_constraint="non_neg",
            **k,
        ),
        weights={"kernel": (5, 2), "bias": (2,)},
        output=(2,),
    ),
    "Dense, rank 3": Row(lambda **k: layers.Dense(3, **k), (4, 5), {"kernel": (5, 3), "bias": (3,)}, (4, 3)),
    "Flatten, channels first": Row(lambda **k: layers.Flatten("channels_first", **k), (2, 3), output=(6,), more=[(2, 2, 3, 4), (5,)]),
    "EinsumDense": Row(
        lambda **k: layers.EinsumDense("abc,cde->abde", (None, 2, 3), "tanh", "be", **k),
        (4, 5),
        {"kernel": (5, 2, 3), "bias": (4, 1, 3)},
        (4, 2, 3),
    ),
    "EinsumDense, dots": Row(
        lambda **k: layers.EinsumDense("...ab,bc->...ac", (4, 3), kernel_regularizer="l2", **k),
        (2, 4, 5),
        {"kernel": (5, 3)},
        (2, 4, 3),
    ),
    "BatchNormalization": Row(
        lambda **k: layers.BatchNormalization(**k),
        weights=norm(5, "gamma", "beta"),
        frozen=MOVING,
        more=[*HIGH_RANK, (17, 5)],
    ),
    "BatchNormalization, no gamma": Row(
        lambda **k: layers.BatchNormalization(scale=False, momentum=0.5, epsilon=0.1, **k),
        (1,),
        norm(1, "beta"),
        frozen=MOVING,
    ),
    "BatchNormalization, no beta": Row(
        lambda **k: layers.BatchNormalization(center=False, **k), (3,), norm(3, "gamma"), frozen=MOVING
    ),
    "BatchNormalization, neither": Row(
        lambda **k: layers.BatchNormalization(center=False, scale=False, **k), (3,), norm(3), frozen=MOVING
    ),
    "BatchNormalization, axis 1": Row(
        lambda **k: layers.BatchNormalization(axis=1, **k),
        (3, 4),
        norm(3, "gamma", "beta"),
        frozen=MOVING,
        more=[(2, 3, 4, 5)],
    ),
    "BatchNormalization, rank 4": Row(
        lambda **k: layers.BatchNormalization(
            axis=-2, gamma_regularizer="l1", beta_constraint="non_neg", **k
        ),
        (2, 3, 4),
        norm(3, "gamma", "beta"),
        frozen=MOVING,
    ),
    "BatchNormalization, renorm": Row(
        lambda **k: layers.BatchNormalization(
            renorm=True, renorm_clipping={"rmax": 3.0, "rmin": 0.3, "dmax": 5.0}, renorm_momentum=0.9, **k
        ),
        weights={**norm(5, "gamma", "beta"), **dict.fromkeys(RENORM, (5,))},
        frozen=MOVING + RENORM,
        smooth_in_training=False,
    ),
    "Activation": Row(lambda **k: layers.Activation("relu", **k), more=HIGH_RANK),
    "Activation, function": Row(
        lambda **k: layers.Activation(keras.activations.tanh, activity_regularizer="l1", **k)
    ),
    "Dropout": Row(lambda **k: layers.Dropout(0.4, seed=3, **k), more=HIGH_RANK),
    "Dropout, noise_shape": Row(lambda **k: layers.Dropout(0.4, noise_shape=(None, 1, None), **k), (4, 5)),
    "AlphaDropout": Row(lambda **k: layers.AlphaDropout(0.3, seed=3, **k), more=HIGH_RANK),
    "AlphaDropout, noise_shape": Row(lambda **k: layers.AlphaDropout(0.3, (None, 1, None), **k), (4, 5)),
    "GaussianDropout": Row(lambda **k: layers.GaussianDropout(0.3, seed=3, **k), more=HIGH_RANK),
    "GaussianNoise": Row(lambda **k: layers.GaussianNoise(0.3, seed=3, **k), more=HIGH_RANK),
    "ActivityRegularization": Row(lambda **k: layers.ActivityRegularization(0.1, 0.2, **k), more=HIGH_RANK),
    "Identity": Row(lambda **k: layers.Identity(**k), more=HIGH_RANK),
    "Reshape": Row(lambda **k: layers.Reshape((3, 2), **k), (6,), output=(3, 2), more=[(2, 2, 3)]),
    "Reshape, -1": Row(lambda **k: layers.Reshape((-1, 2), **k), (3, 4), output=(6, 2), more=[(2, 3, 2, 2)]),
    "Permute": Row(lambda **k: layers.Permute((2, 1), **k), (3, 4), output=(4, 3)),
    "Permute, three": Row(lambda **k: layers.Permute([3, 1, 2], **k), (2, 3, 4), output=(4, 2, 3)),
    "RepeatVector": Row(lambda **k: layers.RepeatVector(3, **k), output=(3, 5)),
    "Rescaling": Row(lambda **k: layers.Rescaling(0.5, **k), more=HIGH_RANK),
    "Rescaling, arrays": Row(
        lambda **k: layers.Rescaling(np.arange(1.0, 6.0), [1, 2, 3, 4, 5], **k), more=HIGH_RANK
    ),
    "Normalization": Row(
        lambda **k: layers.Normalization(**k), weights=ADAPTED, frozen=ADAPTED, more=HIGH_RANK
    ),
    "Normalization, given": Row(lambda **k: layers.Normalization(mean=[1, 2, 3], variance=(4, 5, 6), **k), (3,)),
    "Normalization, inverse": Row(lambda **k: layers.Normalization(mean=0.5, variance=2.0, invert=True, **k)),
    "Normalization, two axes": Row(
        lambda **k: layers.Normalization((1, -1), **k),
        (2, 3, 5),
        {"mean": (2, 5), "variance": (2, 5), "count": ()},
        frozen=ADAPTED,
    ),
    "Normalization, one mean": Row(
        lambda **k: layers.Normalization(None, **k),
        (2, 3),
        dict.fromkeys(ADAPTED, ()),
        frozen=ADAPTED,
        more=[(4,)],
    ),
    "LayerNormalization": Row(
        lambda **k: layers.LayerNormalization(**k),
        weights={"gamma": (5,), "beta": (5,)},
        more=[*HIGH_RANK, (17, 5)],
    ),
    "LayerNormalization, no gamma": Row(
        lambda **k: layers.LayerNormalization(scale=False, epsilon=0.1, **k), (3,), {"beta": (3,)}
    ),
    "LayerNormalization, no beta": Row(
        lambda **k: layers.LayerNormalization(
            center=False, gamma_regularizer="l2", gamma_constraint="non_neg", **k
        ),
        (3,),
        {"gamma": (3,)},
    ),
    "LayerNormalization, axis 1": Row(
        lambda **k: layers.LayerNormalization(1, **k), (3, 4), {"gamma": (3,), "beta": (3,)}
    ),
    "LayerNormalization, axes": Row(
        lambda **k: layers.LayerNormalization([-1, 1], **k), (3, 2, 4), {"gamma": (3, 4), "beta": (3, 4)}
    ),
    "RMSNormalization": Row(
        lambda **k: layers.RMSNormalization(**k), weights={"scale": (5,)}, more=HIGH_RANK
    ),
    "RMSNormalization, axes": Row(
        lambda **k: layers.RMSNormalization((1, 2), 0.1, **k), (3, 2, 4), {"scale": (3, 2)}
    ),
    "UnitNormalization": Row(lambda **k: layers.UnitNormalization(**k), more=HIGH_RANK),
    "UnitNormalization, axes": Row(lambda **k: layers.UnitNormalization([1, 2], **k), (3, 2)),
    "Flatten": Row(lambda **k: layers.Flatten(**k), (2, 3), output=(6,)),
    "Flatten, rank 1": Row(lambda **k: layers.Flatten(**k), (), output=(1,)),
    "Flatten, rank 4": Row(lambda **k: layers.Flatten(**k), (2, 1, 3), output=(6,)),
    "ReLU": Row(lambda **k: layers.ReLU(**k), more=HIGH_RANK),
    "ReLU in full": Row(
        lambda **k: layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2, **k), more=HIGH_RANK
    ),
    "LeakyReLU": Row(lambda **k: layers.LeakyReLU(**k), more=HIGH_RANK),
    "LeakyReLU, slope": Row(lambda **k: layers.LeakyReLU(negative_slope=0.7, **k)),
    "ELU": Row(lambda **k: layers.ELU(alpha=0.7, **k), more=HIGH_RANK),
    "PReLU": Row(lambda **k: layers.PReLU(**k), weights={"alpha": (5,)}, more=[(7, 5)]),
    "PReLU, shared": Row(
        lambda **k: layers.PReLU("ones", shared_axes=[1, 3], alpha_regularizer="l1", **k),
        (2, 3, 4),
        {"alpha": (1, 3, 1)},
    ),
    "Softmax": Row(lambda **k: layers.Softmax(**k), more=HIGH_RANK),
    "Softmax, axis 1": Row(lambda **k: layers.Softmax(axis=1, **k), (3, 4)),
    "Softmax, two axes": Row(lambda **k: layers.Softmax(axis=(1, 2), **k), (3, 4)),
    "Conv1D": Row(
        lambda **k: layers.Conv1D(3, 2, padding="causal", dilation_rate=2, **k),
        (4, 5), {"kernel": (2, 5, 3), "bias": (3,)}, (4, 3),
    ),
    "Conv2D": Row(
        lambda **k: layers.Conv2D(4, (3, 2), 2, "same", activation="tanh", groups=2, kernel_regularizer="l2", **k),
        (4, 5, 2), {"kernel": (3, 2, 1, 4), "bias": (4,)}, (2, 3, 4),
    ),
    "DepthwiseConv1D": Row(
        lambda **k: layers.DepthwiseConv1D(2, use_bias=False, **k), (4, 5), {"kernel": (2, 5, 1)}, (3, 5)
    ),
    "DepthwiseConv2D": Row(
        lambda **k: layers.DepthwiseConv2D(2, depth_multiplier=2, **k),
        (3, 4, 2), {"kernel": (2, 2, 2, 2), "bias": (4,)}, (2, 3, 4),
    ),
    "SeparableConv1D": Row(
        lambda **k: layers.SeparableConv1D(3, 2, **k),
        (4, 5), {"depthwise_kernel": (2, 5, 1), "pointwise_kernel": (1, 5, 3), "bias": (3,)}, (3, 3),
    ),
    "SeparableConv2D": Row(
        lambda **k: layers.SeparableConv2D(3, 2, depth_multiplier=2, use_bias=False, **k),
        (3, 4, 2), {"depthwise_kernel": (2, 2, 2, 2), "pointwise_kernel": (1, 1, 4, 3)}, (2, 3, 3),
    ),
    "Conv1DTranspose": Row(
        lambda **k: layers.Conv1DTranspose(3, 2, strides=3, **k),
        (4, 5), {"kernel": (2, 3, 5), "bias": (3,)}, (12, 3),
    ),
    "Conv2DTranspose": Row(
        lambda **k: layers.Conv2DTranspose(3, 3, strides=2, padding="same", use_bias=False, **k),
        (2, 3, 2), {"kernel": (3, 3, 3, 2)}, (4, 6, 3),
    ),
    "MaxPooling1D": Row(lambda **k: layers.MaxPooling1D(2, 1, **k), (4, 3), output=(3, 3)),
    "MaxPooling2D": Row(lambda **k: layers.MaxPooling2D(2, padding="same", **k), (3, 4, 2), output=(2, 2, 2)),
    "AveragePooling1D": Row(lambda **k: layers.AveragePooling1D(**k), (5, 3), output=(2, 3)),
    "AveragePooling2D": Row(lambda **k: layers.AveragePooling2D((2, 3), 1, "same", **k), (3, 4, 2)),
    "GlobalMaxPooling1D": Row(lambda **k: layers.GlobalMaxPooling1D(**k), (4, 3), output=(3,)),
    "GlobalMaxPooling2D": Row(lambda **k: layers.GlobalMaxPooling2D(keepdims=True, **k), (3, 2, 2), output=(1, 1, 2)),
    "GlobalAveragePooling1D": Row(
        lambda **k: layers.GlobalAveragePooling1D(keepdims=True, **k), (4, 3), output=(1, 3)
    ),
    "GlobalAveragePooling2D": Row(lambda **k: layers.GlobalAveragePooling2D(**k), (3, 2, 2), output=(2,)),
    "ZeroPadding1D": Row(lambda **k: layers.ZeroPadding1D((1, 2), **k), (4, 3), output=(7, 3)),
    "ZeroPadding2D": Row(lambda **k: layers.ZeroPadding2D(((0, 1), (2, 1)), **k), (3, 2, 2), output=(4, 5, 2)),
    "Cropping1D": Row(lambda **k: layers.Cropping1D(**k), (4, 3), output=(2, 3)),
    "Cropping2D": Row(lambda **k: layers.Cropping2D(((1, 0), (0, 2)), **k), (3, 4, 2), output=(2, 2, 2)),
    "UpSampling1D": Row(lambda **k: layers.UpSampling1D(3, **k), (2, 3), output=(6, 3)),
    "UpSampling2D": Row(lambda **k: layers.UpSampling2D((2, 3), **k), (2, 1, 2), output=(4, 3, 2)),
    "Resizing": Row(lambda **k: layers.Resizing(3, 5, antialias=True, **k), (4, 3, 2), output=(3, 5, 2)),
    "CenterCrop": Row(lambda **k: layers.CenterCrop(2, 3, **k), (4, 4, 2), output=(2, 3, 2)),
    "RandomFlip": Row(lambda **k: layers.RandomFlip("horizontal", seed=3, **k), (3, 4, 2)),
    "RandomTranslation": Row(lambda **k: layers.RandomTranslation(0.3, (-0.2, 0.4), "wrap", seed=3, **k), (3, 4, 2)),
    "RandomRotation": Row(lambda **k: layers.RandomRotation(0.2, seed=3, **k), (3, 4, 2)),
    "RandomZoom": Row(lambda **k: layers.RandomZoom(0.3, fill_mode="constant", fill_value=2, seed=3, **k), (3, 4, 2)),
    "RandomCrop": Row(lambda **k: layers.RandomCrop(2, 3, seed=3, **k), (4, 4, 2), output=(2, 3, 2)),
    "RandomContrast": Row(lambda **k: layers.RandomContrast(0.5, (-9, 9), seed=3, **k), (3, 4, 2)),
    "RandomBrightness": Row(lambda **k: layers.RandomBrightness(0.5, (-9, 9), seed=3, **k), (3, 4, 2)),
    "GroupNormalization": Row(
        lambda **k: layers.GroupNormalization(2, **k), (3, 2, 4), {"gamma": (4,), "beta": (4,)}, more=[(2, 4), (2, 3, 4)]
    ),
    "GroupNormalization, axis 1": Row(
        lambda **k: layers.GroupNormalization(-1, 1, 0.1, scale=False, beta_regularizer="l2", **k),
        (2, 3, 3),
        {"beta": (2,)},
    ),
    "SimpleRNN": Row(
        lambda **k: layers.SimpleRNN(3, return_sequences=True, recurrent_regularizer="l2", **k),
        (4, 2), {"kernel": (2, 3), "recurrent_kernel": (3, 3), "bias": (3,)}, (4, 3), [(2, 1, 2)],
    ),
    "LSTM": Row(
        lambda **k: layers.LSTM(3, **k),
        (4, 2), {"kernel": (2, 12), "recurrent_kernel": (3, 12), "bias": (12,)}, (3,),
    ),
    "GRU": Row(
        lambda **k: layers.GRU(9, "relu", use_bias=False, go_backwards=True, **k),
        (4, 2), {"kernel": (2, 27), "recurrent_kernel": (9, 27)}, (9,),
    ),
    "SpatialDropout1D": Row(lambda **k: layers.SpatialDropout1D(0.5, seed=3, **k), (4, 5)),
    "SpatialDropout2D": Row(lambda **k: layers.SpatialDropout2D(0.5, seed=3, **k), (2, 3, 5)),
}

BUILT_AT_ONCE = """
    Activation ActivityRegularization AlphaDropout AveragePooling1D AveragePooling2D Dropout ELU GaussianDropout
    GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D Identity LeakyReLU
    MaxPooling1D MaxPooling2D ReLU Reshape Softmax SpatialDropout1D SpatialDropout2D UnitNormalization
"""  # as in Keras; the other layers without weights are not
every_row = pytest.mark.parametrize("row", EXAM.values(), ids=EXAM)
in_both_modes = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])


def owner(layer):
    """The layer that has the weights: that of a recurrent layer is its cell."""
    return vars(layer).get("cell", layer)


def call(layer, x, training):
    """The output, with the stream of a random layer put back: the same noise on every call."""
    if hasattr(layer, "_state"):
        layer._state[0, 1] = 0
    return layer(x, training=training)


def test_every_layer_sits_the_exam():
    public = {v.__name__ for v in vars(layers).values() if isinstance(v, type) and issubclass(v, layers.Layer)}
    public -= {"Layer"}
    elsewhere = {type(make()).__name__ for make, *_ in MERGING.values()} | {"Embedding", "Lambda", "Masking", "Wrapper"}
    elsewhere |= {"CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup",
                  "TextVectorization", "SpectralNormalization"}
    elsewhere |= {"AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention"}
    elsewhere |= {"RNN", "SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells", "Bidirectional", "TimeDistributed"}
    assert public == {type(row.make()).__name__ for row in EXAM.values()} | elsewhere


@every_row
def test_config_round_trip(row):
    layer = row.make(name="its_name", trainable=False, dtype="float64")
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert type(again) is type(layer)
    assert json.dumps(again.get_config(), sort_keys=True) == json.dumps(config, sort_keys=True)
    assert again.name == "its_name" and again.dtype == "float64"
    if not isinstance(layer, (layers.InputLayer, layers.SpatialDropout1D, layers.SpatialDropout2D)):
        assert again.trainable is False


@every_row
def test_a_copy_made_from_the_config_computes_the_same(row):
    layer = row.make()
    x = random_input((4, *row.shape), dtype="float32")
    y = call(layer, x, training=False)
    again = type(layer).from_config(layer.get_config())
    call(again, x, training=False)
    again.set_weights(layer.get_weights())
    assert_same(call(again, x, training=False).numpy(), y.numpy())


@every_row
def test_shapes(row):
    layer = row.make()
    is_input = isinstance(layer, layers.InputLayer)
    assert layer.built is (is_input or type(layer).__name__ in BUILT_AT_ONCE.split())
    if not is_input:
        with pytest.raises(AttributeError, match=layer.name):
            _ = layer.output_shape
    assert layer.compute_output_shape((None, *row.shape)) == (None, *row.output)
    for rows in (1, 2, 7):
        with np.errstate(all="raise"):
            assert layer(random_input((rows, *row.shape), dtype="float32")).shape == (rows, *row.output)
    assert layer.built
    assert layer.input_shape == (None, *row.shape) and layer.output_shape == (None, *row.output)


@every_row
def test_weights(row):
    layer = row.make(name="it")
    if not layer.built:
        with pytest.raises(ValueError, match="it"):
            layer.count_params()
    layer(random_input((2, *row.shape), dtype="float32"))
    assert {v.name: v.shape for v in layer.weights} == row.weights
    assert [v.name for v in layer.weights] == list(row.weights)
    assert [v.path for v in layer.weights] == [f"{owner(layer).name}/{name}" for name in row.weights]
    assert {v.name for v in layer.non_trainable_weights} == row.frozen
    assert {v.name for v in layer.trainable_weights} == set(row.weights) - row.frozen
    assert layer.count_params() == sum(math.prod(shape) for shape in row.weights.values())
    assert [v for v in layer.variables if v.name != "seed_generator_state"] == layer.weights
    assert {v.dtype.name for v in layer.weights if v.name != "count"} <= {"float32"}


@pytest.mark.parametrize("name, training", [
    (name, mode) for name, row in EXAM.items() for mode in (False, True) if row.smooth_in_training or not mode
])
def test_gradients(name, training):
    row = EXAM[name]
    for shape in row.shapes:
        layer = row.make(dtype="float64")
        if (
            training
            and isinstance(layer, layers.BatchNormalization)
            and math.prod(shape) == shape[layer.axis]
        ):
            continue  # one value a feature: warned about, and flat
        call(layer, random_input(shape), training=False)
        names = [v.name for v in shaken(layer).trainable_weights]
        values = [v.numpy() for v in layer.trainable_weights]

        def function(x, *weights):
            for name, weight in zip(names, weights, strict=True):
                setattr(owner(layer), name, weight)
            return call(layer, x, training)

        tensors = [keras.Tensor(a, requires_grad=True) for a in (random_input(shape), *values)]
        assert gradcheck(function, *tensors)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_row
def test_replay_equals_eager(row, dtype):
    """Five steps of training, the last on a short batch, and an evaluation: the same to the bit both ways."""

    def train(run_eagerly):
        keras.utils.set_random_seed(4)
        keras.utils.clear_session()
        stack = [row.make(dtype=dtype), layers.Flatten(dtype=dtype), layers.Dense(2, dtype=dtype)]
        model = keras.Sequential(
            [keras.Input(row.shape), *(s for s in stack if not isinstance(s, layers.InputLayer))]
        )
        assert model.dtype == "float32"
        x, y = random_input((18, *row.shape), dtype=dtype), random_input((18, 2), 1, dtype)
        model.compile("adam", "mse", metrics=["mae"], run_eagerly=run_eagerly)
        with Quiet():
            history = model.fit(x, y, batch_size=4, epochs=1, verbose=0)
            values = model.evaluate(x, y, batch_size=4, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model), history.history, values, model.predict(x, verbose=0)

    assert_same(train(run_eagerly=False), train(run_eagerly=True))


@in_both_modes
@every_row
def test_float64_throughout(row, training):
    layer = row.make(dtype="float64")
    x = keras.Tensor(random_input((3, *row.shape)), requires_grad=True)
    y = call(layer, x, training)
    y.backward(random_input(y.shape, 1))
    assert y.dtype == x.grad.dtype == np.float64
    assert {v.dtype.name for v in layer.weights if v.name != "count"} <= {"float64"}
    assert {v.grad.dtype.name for v in layer.trainable_weights} <= {"float64"}
    if len(row.output) == 1 and not hasattr(layer, "_state") and row.weights:
        # Not merely stored as doubles: float32 on the way would cost nine digits.
        twin = row.make(dtype="float32")
        call(twin, x.numpy(), training=False)
        twin.set_weights([w * 1 for w in layer.get_weights()])
        again = row.make(dtype="float64")
        call(again, x.numpy(), training=False)
        again.set_weights(twin.get_weights())
        difference = np.abs(call(again, x, False).numpy() - call(twin, x.numpy(), False).numpy()).max()
        assert difference < 1e-4


@every_row
def test_frozen(row):
    layer = row.make(trainable=False)
    stack = [layer, layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential(
        [keras.Input(row.shape), *(s for s in stack if not isinstance(s, layers.InputLayer))]
    )
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == len(row.weights)
    before = layer.get_weights()
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(random_input((8, *row.shape)), random_input((8, 2)), batch_size=4, verbose=0)
    assert_same(layer.get_weights(), before)
    layer.trainable = True
    assert {v.name for v in layer.trainable_weights} == set(row.weights) - row.frozen


@every_row
def test_nothing_is_warned_about(row):
    with Quiet():
        layer = row.make()
        layer(random_input((3, *row.shape), dtype="float32"), training=True)


# ------------------------------------------------------------------------------------------------ activations


def exponentials(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize("layer, formula", [
    (layers.Activation("sigmoid"), lambda x: 1 / (1 + np.exp(-x))),
    (layers.Activation(None), lambda x: x),
    (layers.ReLU(), lambda x: np.maximum(x, 0)),
    (layers.ReLU(6.0, 0.1, 0.3), lambda x: np.where(x > 0.3, np.minimum(x, 6), 0.1 * (x - 0.3))),
    (layers.LeakyReLU(), lambda x: np.where(x > 0, x, 0.3 * x)),
    (layers.LeakyReLU(alpha=0.7), lambda x: np.where(x > 0, x, 0.7 * x)),
    (layers.Softmax(), lambda x: exponentials(x, -1)),
    (layers.Softmax(axis=0), lambda x: exponentials(x, 0)),
    (layers.Softmax(axis=[1, 2]), lambda x: exponentials(x, (1, 2))),
    (layers.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0)))),
    (layers.PReLU(keras.initializers.Constant(0.25)), lambda x: np.where(x > 0, x, 0.25 * x)),
    (layers.Identity(), lambda x: x),
    (layers.Flatten(), lambda x: x.reshape(4, -1)),
    (layers.Reshape((2, -1)), lambda x: x.reshape(4, 2, 3)),
    (layers.Reshape((6,)), lambda x: x.reshape(4, 6)),
    (layers.Permute((2, 1)), lambda x: x.transpose(0, 2, 1)),
    (layers.UnitNormalization(), lambda x: x / np.sqrt((x**2).sum(-1, keepdims=True))),
    (layers.UnitNormalization([1, 2]), lambda x: x / np.sqrt((x**2).sum((1, 2), keepdims=True))),
    (layers.RMSNormalization(), lambda x: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)),
    (layers.RMSNormalization(1, 0.5), lambda x: x / np.sqrt((x**2).mean(1, keepdims=True) + 0.5)),
], ids=lambda part: getattr(part, "name", ""))
def test_values(layer, formula):
    x = 5 * random_input((4, 3, 2))
    np.testing.assert_allclose(layer(x).numpy(), formula(x), rtol=1e-5, atol=1e-6)


def test_repeat_vector():
    x = random_input((4, 3), dtype="float32")
    assert_same(layers.RepeatVector(2)(x).numpy(), np.repeat(x[:, None], 2, 1))


def test_unit_normalization_leaves_zeros_and_hides_no_nan():
    y = layers.UnitNormalization()(np.array([[0, 0], [3, 4], [np.nan, 1]], "float32")).numpy()
    assert_same(y[:2], np.array([[0, 0], [0.6, 0.8]], "float32"))
    assert np.isnan(y[2]).all()


@pytest.mark.parametrize("shared, shape", [(None, (3, 4)), ([1], (1, 4)), ([2], (3, 1)), ((1, 2), (1, 1)), (1, (1, 4))])
def test_prelu_shares_its_slopes(shared, shape):
    layer = layers.PReLU("uniform", shared_axes=shared)
    x = random_input((5, 3, 4), dtype="float32")
    y = layer(x).numpy()
    assert layer.alpha.shape == shape
    np.testing.assert_allclose(y, np.where(x > 0, x, layer.alpha.numpy() * x), rtol=1e-6)


def test_reshape_of_unknown_lengths():
    assert layers.Reshape((-1, 2)).compute_output_shape((None, None, 4)) == (None, None, 2)


def test_softmax_mask():
    x = random_input((4, 3), dtype="float32")
    mask = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]], bool)
    y = layers.Softmax()(x, mask=mask).numpy()
    e = np.exp(x) * mask
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5)
    assert (layers.Softmax()(x, mask=np.zeros((1, 3), bool)).numpy() == 0).all()
    with pytest.raises(ValueError, match="at most the 2 axes"):
        layers.Softmax()(x, mask=np.ones((1, 4, 3), bool))


def test_a_number_read_from_a_tensor_is_a_number_of_units():
    layer = layers.Dense(keras.ops.convert_to_tensor(64).numpy())
    assert layer.units == 64 and isinstance(layer.units, int) and isinstance(layer.get_config()["units"], int)
    with pytest.raises(ValueError, match="units must be a positive integer"):
        layers.Dense(np.array([64]))
