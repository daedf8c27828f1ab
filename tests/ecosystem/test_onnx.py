"""`model.export(path, format="onnx")`: onnxruntime predicts what minigrad does, for one row and for several."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import random_input

import minigrad as keras
from minigrad import Model, Sequential, exporting, layers, ops

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.ecosystem

IMAGE, SEQUENCE, ROW = (6, 8, 4), (7, 6), (12,)


def with_any_weights(model):
    """The model with weights that are all different, statistics included."""
    random = np.random.default_rng(1)
    model.set_weights([
        random.uniform(0.5, 1.5, w.shape) if "variance" in v.path or "gamma" in v.path else random.normal(0, 0.4, w.shape)
        for v, w in zip(model.weights, model.get_weights())
    ])  # fmt: skip
    return model


def exported(model, path, x, **options):
    """What onnxruntime makes of the arrays, the outputs in a list."""
    model.export(path, format="onnx", verbose=False, **options)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, x, strict=True)))


def check(model, tmp_path, x, tolerance=1e-5, **options):
    """Compare onnxruntime with `predict`, for one row and for all of them."""
    x = x if isinstance(x, list) else [x]
    for rows in (1, len(x[0])):
        given = [part[:rows] for part in x]
        ours = model.predict(given if len(given) > 1 else given[0], verbose=0)
        theirs = exported(model, str(tmp_path / "m.onnx"), given, **options)
        ours = [ours] if isinstance(ours, np.ndarray) else list(ours.values()) if isinstance(ours, dict) else ours
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(b, a, tolerance, tolerance)


L = layers
ROWS = [
    L.Dense(5), L.Dense(5, "relu"), L.Dense(5, "gelu"), L.Dense(5, "softmax"), L.Dense(5, "log_softmax"), L.Dense(5, "selu"),
    L.Dense(5, "mish"), L.Dense(5, "hard_sigmoid"), L.Dense(5, "sparsemax"), L.BatchNormalization(), L.LayerNormalization(),
    L.RMSNormalization(), L.GroupNormalization(3), L.UnitNormalization(), L.SpectralNormalization(L.Dense(4)), L.Rescaling(0.5, 1.0),
    L.Normalization(mean=0.5, variance=2.0), L.Activation("tanh"), L.ReLU(6.0, 0.1, 0.2), L.LeakyReLU(), L.PReLU(), L.ELU(), L.Softmax(),
    L.Dropout(0.5), L.AlphaDropout(0.5), L.GaussianDropout(0.5), L.GaussianNoise(1.0), L.ActivityRegularization(l1=0.1),
    L.Flatten(), L.Reshape((3, 4)), L.RepeatVector(3), L.Identity(), L.Discretization([-0.5, 0.0, 0.5]),
    L.Lambda(lambda x: ops.sort(ops.abs(x)) + ops.cumsum(x, 1)), L.Lambda(lambda x: x[:, ::-1] * ops.max(x, 1, keepdims=True)),
    L.Lambda(lambda x: ops.top_k(x, 3)[0]), L.Lambda(lambda x: ops.one_hot(ops.argmax(x, -1), 12)), L.Lambda(lambda x: ops.roll(x, 3, 1)),
    L.Lambda(lambda x: ops.where(x > 0, ops.log1p(ops.abs(x)), ops.expm1(x)) ** 2 % 3),
]  # fmt: skip
SEQUENCES = [
    L.LSTM(5), L.LSTM(5, return_sequences=True, go_backwards=True), L.GRU(5, return_sequences=True), L.GRU(5, reset_after=False),
    L.GRU(4, activation="elu", reset_after=False, return_sequences=True),
    L.SimpleRNN(5, "relu"), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(3), merge_mode="sum"),
    L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(4), L.SimpleRNNCell(2)])),
    L.LSTM(4, activation="softsign", recurrent_activation="hard_sigmoid", recurrent_dropout=0.2),
    L.TimeDistributed(L.Dense(3)), L.Conv1D(5, 3, padding="causal", dilation_rate=2), L.Conv1D(4, 3, 2, "same", activation="relu"),
    L.Conv1DTranspose(3, 3, 2), L.DepthwiseConv1D(3, depth_multiplier=2), L.SeparableConv1D(4, 3, padding="same"),
    L.MaxPooling1D(3, 2, "same"), L.AveragePooling1D(2), L.GlobalAveragePooling1D(), L.GlobalMaxPooling1D(), L.ZeroPadding1D(2),
    L.Cropping1D((1, 2)), L.UpSampling1D(2), L.SpatialDropout1D(0.5), L.Permute((2, 1)), L.EinsumDense("abc,cd->abd", (None, 5)),
    L.Masking(0.0), L.BatchNormalization(axis=1), L.LayerNormalization(axis=(1, 2)), L.Softmax(axis=1),
    L.Lambda(lambda x: ops.einsum("nij,nkj->nik", x, x)), L.Lambda(lambda x: ops.mean(x, 1) - ops.var(x, 1)),
]  # fmt: skip
INTEGERS = [
    *(L.CategoryEncoding(9, mode) for mode in ("multi_hot", "count", "one_hot")), L.IntegerLookup(vocabulary=[1, 2, 7], invert=True),
    *(L.IntegerLookup(vocabulary=[1, 2, 7], mask_token=3, output_mode=mode) for mode in ("int", "one_hot", "multi_hot", "count")),
]  # fmt: skip
IMAGES = [
    L.Conv2D(5, 3), L.Conv2D(5, (3, 2), (2, 1), "same", activation="relu"), L.Conv2D(8, 3, groups=2, dilation_rate=2, padding="same"),
    L.Conv2DTranspose(3, 3, 2, "same"), L.Conv2DTranspose(3, 2, 3), L.DepthwiseConv2D(3, 2, "same"), L.SeparableConv2D(5, 3),
    L.MaxPooling2D(), L.MaxPooling2D(3, 2, "same"), L.AveragePooling2D(3, 2, "same"), L.GlobalAveragePooling2D(keepdims=True),
    L.GlobalMaxPooling2D(), L.ZeroPadding2D(((1, 0), (2, 3))), L.Cropping2D(1), L.UpSampling2D(2), L.UpSampling2D(2, interpolation="bilinear"),
    L.SpatialDropout2D(0.5), L.GroupNormalization(2), L.BatchNormalization(), L.Resizing(9, 5), L.CenterCrop(4, 5), L.RandomFlip(),
    L.RandomRotation(0.2), L.RandomCrop(4, 4), L.RandomZoom(0.2), L.RandomContrast(0.2), L.RandomBrightness(0.2), L.RandomTranslation(0.1, 0.1),
    L.Permute((3, 1, 2)), L.PReLU(shared_axes=[1, 2]), L.Flatten(),
]  # fmt: skip


def name_of(layer):
    return layer.name if isinstance(layer, L.Layer) else str(layer)


@pytest.mark.parametrize("shape, layer", [(shape, layer) for shape, every in ((ROW, ROWS), (SEQUENCE, SEQUENCES), (IMAGE, IMAGES)) for layer in every], ids=name_of)
def test_a_layer(shape, layer, tmp_path):
    model = with_any_weights(Sequential([keras.Input(shape), layer]))
    check(model, tmp_path, random_input((4, *shape), dtype="float32"))


@pytest.mark.parametrize("layer", [
    L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate(), L.Concatenate(axis=1), L.Dot((1, 1)), L.Dot(2),
    L.Attention(), L.AdditiveAttention(), L.MultiHeadAttention(2, 3), L.GroupedQueryAttention(4, 4, 2),
], ids=name_of)  # fmt: skip
def test_a_layer_of_two_inputs(layer, tmp_path):
    inputs = [keras.Input(SEQUENCE), keras.Input(SEQUENCE)]
    takes_both = isinstance(layer, (L.MultiHeadAttention, L.GroupedQueryAttention))
    outputs = layer(*inputs) if takes_both else layer(inputs)
    check(with_any_weights(Model(inputs, outputs)), tmp_path, [random_input((3, *SEQUENCE), i, "float32") for i in range(2)])


@pytest.mark.parametrize("layer", INTEGERS, ids=name_of)
def test_a_layer_of_integers(layer, tmp_path):
    x = keras.Input((4,), dtype="int32")
    check(Model(x, layer(x)), tmp_path, np.random.default_rng(0).integers(0, 9, (5, 4)).astype("int32"))


def test_every_layer_is_exported_or_named_in_the_docstring():
    seen = {type(layer).__name__ for layer in [*ROWS, *SEQUENCES, *IMAGES, *INTEGERS]}
    seen |= set(re.findall(r"L\.(\w+)", Path(__file__).read_text()))  # of several inputs, in networks
    every = {thing.__name__ for thing in vars(L).values() if isinstance(thing, type) and issubclass(thing, L.Layer)}
    told = {name for name in every if name in exporting.export.__doc__}
    assert every - seen - told == {"InputLayer", "Wrapper"} and {"TextVectorization", "Hashing"} <= told


def residual(x, filters):
    y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(x))
    y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(L.ReLU()(y)))
    return L.ReLU()(L.Add()([y, L.Conv2D(filters, 1)(x)]))


def networks():
    x = keras.Input(IMAGE)
    y = residual(L.MaxPooling2D()(residual(x, 8)), 6)
    yield "resnet", Model(x, L.Dense(3, "softmax")(L.GlobalAveragePooling2D()(y))), [random_input((4, *IMAGE), dtype="float32")]
    x = keras.Input((10,), dtype="int32", name="words")
    y = L.Embedding(20, 8, mask_zero=True)(x)
    y = L.Bidirectional(L.LSTM(5, return_sequences=True))(y)
    words = np.random.default_rng(0).integers(0, 4, (4, 10)).astype("int32")
    yield "masked", Model(x, L.Dense(1)(L.GRU(4)(y))), [words]
    x = keras.Input((10,), dtype="int32")
    y = L.Embedding(20, 8, mask_zero=True)(x)
    z = L.LayerNormalization()(y + L.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True))
    yield "transformer", Model(x, L.GlobalAveragePooling1D()(z)), [words]
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    shared = L.Dense(4, "relu")
    y = ops.concatenate([shared(a), shared(L.Dense(4)(b)) * 2.0 - 1.0], axis=-1)
    outputs = {"class": L.Dense(3, "softmax")(y), "value": L.Dense(1)(y), "a": ops.sum(a, axis=1)}
    yield "several", Model([a, b], outputs), [random_input((5, n), n, "float32") for n in (4, 3)]
    x = keras.Input(SEQUENCE)
    y, *states = L.LSTM(4, return_sequences=True, return_state=True)(x)
    yield "states", Model(x, [L.LSTM(4)(y, initial_state=states), *states]), [random_input((4, *SEQUENCE), dtype="float32")]


@pytest.mark.parametrize("model, x", [pytest.param(with_any_weights(model), x, id=name) for name, model, x in networks()])
def test_a_network(model, x, tmp_path):
    check(model, tmp_path, x)


class Own(keras.Model):
    """A model and a layer of one's own, made of operations."""

    def __init__(self):
        super().__init__()
        self.dense, self.scale = L.Dense(4), self.add_weight((4,), "ones", name="scale")

    def call(self, x):
        y = ops.reshape(ops.transpose(self.dense(x), (0, 2, 1)), (len(x), -1))
        return {"y": ops.matmul(y, ops.ones((y.shape[1], 2))) + ops.max(x), "z": self.scale * x[:, 0, :4]}


def test_a_model_of_ones_own(tmp_path):
    x = random_input((4, *SEQUENCE), dtype="float32")
    model = Own()
    model(x)
    check(model, tmp_path, x)


def test_inputs_of_any_length_get_one(tmp_path):
    model = with_any_weights(Sequential([keras.Input((None, 6)), L.Conv1D(4, 3), L.GlobalMaxPooling1D()]))
    with pytest.raises(ValueError, match="input_signature"):
        model.export(tmp_path / "m.onnx", format="onnx")
    check(model, tmp_path, random_input((3, 9, 6), dtype="float32"), input_signature=[keras.InputSpec(shape=(None, 9, 6))])


def test_names_in_the_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = Sequential([keras.Input((4,), name="x"), L.Dense(3, "relu", name="first"), L.Dense(2, name="last")])
    model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [one.name for one in graph.input] == ["x"] and [one.name for one in graph.output] == ["last"]
    assert {"first/kernel", "first/bias", "last/kernel"} <= {one.name for one in graph.initializer}
    assert [node.op_type for node in graph.node] == ["Gemm", "Relu", "Gemm", "Identity"]


def sample(x):
    return ops.image.affine_transform(x, np.float32([1, 0, 0.5, 0, 1, 0, 0, 0]))


@pytest.mark.parametrize("make, message", [
    (lambda: Sequential([keras.Input(IMAGE), L.Lambda(sample, name="shift")]), "Lambda 'shift': minigrad can't say in ONNX what the kernel 'sample'"),
    (lambda: Sequential([keras.Input(ROW), L.Lambda(lambda x: ops.flip(x, 0), name="turn")]), "Lambda 'turn': it mixes the rows of a batch"),
    (lambda: Sequential([keras.Input(batch_shape=(5, 4, 3)), L.LSTM(2, stateful=True, name="keeps")]), "'keeps'.*is stateful"),
    (lambda: Sequential([keras.Input(ROW), L.Lambda(lambda x: x * float(x[0, 0]), name="reads")]), "Lambda 'reads'.*read"),
    (lambda: Sequential([keras.Input((1,), dtype="string"), L.StringLookup(vocabulary=["a"])]), "holds texts.*Export the layers behind"),
    (lambda: Sequential([keras.Input((1,), dtype="int32"), L.Hashing(3, name="buckets")]), "Hashing 'buckets':.*Export the layers behind"),
])  # fmt: skip
def test_what_cannot_be_exported_names_the_layer(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make().export(tmp_path / "m.onnx", format="onnx")


@pytest.mark.parametrize("format, advice", [("tf_saved_model", "Keras on TensorFlow"), ("openvino", "convert_model"), ("litert", "tflite"), ("pickle", "'openvino'")])
def test_other_formats_say_what_to_do(format, advice, tmp_path):
    with pytest.raises(ValueError, match=advice):
        Sequential([keras.Input((3,)), L.Dense(2)]).export(tmp_path / "m", format=format)
