"""Layers of attention: what they compute, beside NumPy; masks, shapes, gradients, configs, replay, files, bad calls.

Beside the real Keras: peers/test_attention_beside_keras.py.
"""

import json

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import Tensor, layers
from minigrad.utils import gradcheck

# How to make a layer, the shapes of the inputs' rows, that of the output's, and those of the weights.
EXAM = {
    "MultiHeadAttention": (
        lambda **k: layers.MultiHeadAttention(2, 3, **k),
        [(4, 5), (3, 6)],
        (4, 5),
        [(5, 2, 3), (2, 3), (6, 2, 3), (2, 3), (6, 2, 3), (2, 3), (2, 3, 5), (5,)],
    ),
    "MultiHeadAttention, all": (
        lambda **k: layers.MultiHeadAttention(
            2, 3, 4, 0.4, False, (2, 3), sliding_window=2, kernel_regularizer="l2", activity_regularizer="l2",
            use_gate=True, seed=3, **k
        ),
        [(4, 5), (3, 6), (3, 2)],
        (4, 2, 3),
        [(5, 2, 3), (2, 2, 3), (5, 2, 4), (6, 2, 4), (2, 4, 2, 3)],
    ),
    "MultiHeadAttention, two axes": (
        lambda **k: layers.MultiHeadAttention(1, 2, use_bias=False, **k),
        [(2, 3, 4), (2, 2, 4)],
        (2, 3, 4),
        [(4, 1, 2)] * 3 + [(1, 2, 4)],
    ),
    "GroupedQueryAttention": (
        lambda **k: layers.GroupedQueryAttention(3, 4, 2, use_bias=False, **k),
        [(4, 5), (3, 5)],
        (4, 5),
        [(5, 4, 3), (5, 2, 3), (5, 2, 3), (4, 3, 5)],
    ),
    "Attention": (layers.Attention, [(4, 5), (3, 5)], (4, 5), []),
    "Attention, concat": (
        lambda **k: layers.Attention(True, "concat", dropout=0.3, seed=1, **k),
        [(4, 5), (3, 2), (3, 5)],
        (4, 2),
        [(), ()],
    ),
    "AdditiveAttention": (layers.AdditiveAttention, [(4, 5), (3, 5)], (4, 5), [(5,)]),
}  # fmt: skip
every_row = pytest.mark.parametrize("make, shapes, output, weights", EXAM.values(), ids=EXAM)


def some(shapes, dtype="float32", rows=3):
    return [random_input((rows, *shape), seed, dtype) for seed, shape in enumerate(shapes)]


def call(layer, inputs, **arguments):
    return layer(inputs, **arguments) if isinstance(layer, layers.Attention) else layer(*inputs, **arguments)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@every_row
def test_shapes_weights_and_configs(make, shapes, output, weights):
    layer = make(name="it")
    symbol = call(layer, [keras.Input(shape) for shape in shapes])
    assert symbol.shape == (None, *output) and layer.built and symbol.dtype == "float32"
    assert [w.shape for w in layer.weights] == weights
    xs = some(shapes)
    y = call(layer, xs)
    y_too, scores = call(layer, xs, return_attention_scores=True)
    assert y.shape == (3, *output) and np.allclose(y, y_too, 1e-5, 1e-6)
    steps = len(shapes[0]) - 1
    assert scores.shape[0] == 3 and scores.shape[-2 * steps :] == (*shapes[0][:-1], *shapes[1][:-1])
    np.testing.assert_allclose(scores.numpy().sum(tuple(range(-steps, 0))), 1, 1e-5)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    again.build_from_config(layer.get_build_config())
    again.set_weights(layer.get_weights())
    assert_same(call(again, xs).numpy(), y.numpy())
    shapes = [(3, *shape) for shape in shapes]
    if isinstance(layer, layers.Attention):
        assert layer.compute_output_shape(shapes) == y.shape
    else:
        assert layer.compute_output_shape(*shapes) == y.shape


@every_row
def test_gradients(make, shapes, output, weights):
    layer, xs = make(dtype="float64"), some(shapes, "float64", 2)
    call(layer, xs)
    assert gradcheck(lambda *xs: call(layer, list(xs)), *(Tensor(x, requires_grad=True) for x in xs))
    owners = [(one, v) for one in layer._all_layers() for v, _ in one._own()]

    def function(*tensors):
        for (owner, variable), tensor in zip(owners, tensors, strict=True):
            vars(owner)[variable.name] = tensor
        return call(layer, xs)

    assert not owners or gradcheck(function, *(Tensor(v.numpy(), requires_grad=True) for _, v in owners))


@every_row
def test_replay_equals_eager(make, shapes, output, weights):
    def train(run_eagerly):
        keras.utils.set_random_seed(4)
        x = keras.Input((5,))
        parts = [layers.Reshape(shape)(layers.Dense(int(np.prod(shape)))(x)) for shape in shapes]
        model = keras.Model(x, layers.Dense(2)(layers.Flatten()(call(make(), parts, use_causal_mask=len(output) < 3))))
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        rows, targets = some([(5,), (2,)], "float32", 18)
        history = model.fit(rows, targets, batch_size=4, epochs=2, verbose=0).history
        assert (model.train_program is None) is run_eagerly
        return history, model.get_weights(), model.predict(rows, verbose=0)

    assert_same(train(run_eagerly=False), train(run_eagerly=True))


def test_values():
    query, value, key = some([(4, 5), (3, 6), (3, 2)])
    layer = layers.MultiHeadAttention(2, 3, bias_initializer="normal")
    allowed = np.random.default_rng(1).random((3, 4, 3)) < 0.7
    allowed[:, :, 0] = True
    y, scores = layer(query, value, key, attention_mask=allowed, return_attention_scores=True, use_causal_mask=True)
    (wq, bq), (wk, bk), (wv, bv), (wo, bo) = np.array(layer.get_weights(), object).reshape(4, 2)
    q, k, v = (np.einsum("bta,anh->btnh", x, w) + b for x, w, b in ((query, wq, bq), (key, wk, bk), (value, wv, bv)))
    logits = np.einsum("btnh,bsnh->bnts", q, k) / np.sqrt(3)
    weights = softmax(np.where((allowed & np.tri(4, 3, dtype=bool))[:, None], logits, -np.inf))
    expected = np.einsum("bnts,bsnh,nha->bta", weights, v, wo) + bo
    np.testing.assert_allclose(scores, weights, 1e-4, 1e-6)
    np.testing.assert_allclose(y, expected, 1e-4, 1e-5)
    np.testing.assert_allclose(
        layer(query=query, value=value, key=key, attention_mask=allowed, use_causal_mask=True), expected, 1e-4, 1e-5
    )
    query, value = some([(4, 5), (3, 5)])
    for layer, logits in (
        (layers.Attention(), query @ value.swapaxes(1, 2)),
        (layers.Attention(score_mode="concat"), np.tanh(query[:, :, None] + value[:, None]).sum(-1)),
        (layers.AdditiveAttention(use_scale=False), np.tanh(query[:, :, None] + value[:, None]).sum(-1)),
    ):
        np.testing.assert_allclose(layer([query, value]), softmax(logits) @ value, 1e-4, 1e-6)


def test_masks_that_tensors_carry():
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 1, 2, 3]])
    x = layers.Embedding(5, 6, mask_zero=True)(ids)
    plain, rows = x.numpy(), ids != 0
    for layer in (layers.MultiHeadAttention(2, 3), layers.GroupedQueryAttention(3, 2, 1), layers.Attention(True)):
        y = call(layer, [x, x])
        assert_same(y._keras_mask.numpy(), rows)
        changed = plain + np.where(rows[..., None], 0, 9).astype("float32")
        if isinstance(layer, layers.Attention):
            again = layer([changed, changed], mask=[rows, rows])
            assert (again.numpy()[~rows] == 0).all()
        else:
            again = layer(changed, changed, query_mask=rows, value_mask=rows)
        np.testing.assert_allclose(again.numpy()[rows], y.numpy()[rows], 1e-5, 1e-6)  # what is masked is not seen
        assert again._keras_mask is None or isinstance(layer, layers.Attention)
    nothing = np.zeros((3, 4), bool)
    _, scores = layers.MultiHeadAttention(1, 2)(plain, plain, value_mask=nothing, return_attention_scores=True)
    assert (scores.numpy() == 0).all()  # as in Keras; without scores, the mean of all values
    layer = layers.MultiHeadAttention(1, 2)
    np.testing.assert_allclose(layer(plain, plain, value_mask=nothing), np.asarray(layer(plain * 0, plain)), 1e-4, 1e-5)


@keras.saving.register_keras_serializable("attention")
class Block(layers.Layer):
    """A block of a Transformer, as in Keras' examples."""

    def __init__(self, size=4, heads=2, inner=5, rate=0.1):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=heads, key_dim=size)
        self.ffn = keras.Sequential([layers.Dense(inner, activation="relu"), layers.Dense(size)])
        self.layernorm1, self.layernorm2 = (
            layers.LayerNormalization(epsilon=1e-6),
            layers.LayerNormalization(epsilon=1e-6),
        )
        self.dropout1, self.dropout2 = layers.Dropout(rate), layers.Dropout(rate)
        self.supports_masking = True

    def call(self, inputs):
        out1 = self.layernorm1(inputs + self.dropout1(self.att(inputs, inputs, use_causal_mask=True)))
        return self.layernorm2(out1 + self.dropout2(self.ffn(out1)))


def test_a_transformer_of_words_and_its_files(tmp_path):
    keras.utils.set_random_seed(3)
    x = keras.Input((6,), dtype="int32")
    y = Block()(layers.Embedding(9, 4, mask_zero=True)(x))
    model = keras.Model(x, layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling1D()(y)))
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    rows = np.random.default_rng(0).integers(0, 9, (128, 6))
    labels = (rows == 3).any(1).astype("float32")
    history = model.fit(rows, labels, epochs=12, verbose=0).history
    assert model.train_program is not None and history["accuracy"][-1] > 0.85
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        again = keras.saving.load_model(tmp_path / name)
        assert_same(again.predict(rows, verbose=0), model.predict(rows, verbose=0))


@pytest.mark.parametrize("make, words", [
    (lambda x: layers.MultiHeadAttention(0, 3), ["num_heads", "0"]),
    (lambda x: layers.MultiHeadAttention(2, 3.5), ["key_dim", "3.5"]),
    (lambda x: layers.MultiHeadAttention(2, 3, dropout=2), ["dropout", "[0, 1]"]),
    (lambda x: layers.MultiHeadAttention(2, 3, flash_attention=True), ["flash attention"]),
    (lambda x: layers.MultiHeadAttention(2, 3, name="it")(x, x, x[:, :2]), ["'it'", "as many steps", "(2, 2, 4)"]),
    (lambda x: layers.GroupedQueryAttention(2, 3, 2), ["multiple", "3 and 2"]),
    (lambda x: layers.Attention(score_mode="sum"), ["score_mode", "'sum'"]),
    (lambda x: layers.Attention(name="it")(x), ["'it'", "[query, value]"]),
    (lambda x: layers.Attention()([x, x], mask=[x[..., 0]]), ["list of masks"]),
])  # fmt: skip
def test_errors(make, words):
    with pytest.raises(ValueError) as caught:
        make(np.ones((2, 3, 4), "float32"))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("x", [keras.Input((6, 3)), np.ones((2, 6, 3), "float32")])
def test_a_forgotten_value_is_told(x):
    with pytest.raises(ValueError, match=r"'multi_head_attention\w*'.*without a value: .*attention\(x, x\)"):
        keras.layers.MultiHeadAttention(2, 4)(x)
