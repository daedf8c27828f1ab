"""Layers of several inputs: what they compute, beside NumPy; shapes, gradients, configs, replay, and bad calls."""

import json

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import layers, ops
from minigrad.trees import mapped
from minigrad.utils import gradcheck


def cosine(x, y):
    lengths = [np.sqrt(np.square(v).sum(-1)) for v in (x, y)]
    return np.einsum("nak,nbk->nab", x, y) / (lengths[0][:, :, None] * lengths[1][:, None, :])


# How to make it, the shapes of the inputs' rows, and the same in NumPy.
MERGING = {
    "Add": (layers.Add, [(4,), (4,), (4,)], lambda *xs: sum(xs)),
    "Add, one": (layers.Add, [(4,)], lambda x: x),
    "Add, of several ranks": (layers.Add, [(3,), (2, 3), (4, 1, 1)], lambda x, y, z: x[:, None, None] + y[:, None] + z),
    "Subtract": (layers.Subtract, [(2, 3), (1, 3)], lambda x, y: x - y),
    "Multiply": (layers.Multiply, [(4,), (1,), (4,)], lambda x, y, z: x * y * z),
    "Average": (layers.Average, [(4,), (4,), (4,)], lambda *xs: sum(xs) / 3),
    "Maximum": (layers.Maximum, [(2, 3), (3,)], lambda x, y: np.maximum(x, y[:, None])),
    "Minimum": (layers.Minimum, [(4,), (4,), (4,)], lambda x, y, z: np.minimum(np.minimum(x, y), z)),
    "Concatenate": (layers.Concatenate, [(2, 3), (2, 1), (2, 3)], lambda *xs: np.concatenate(xs, -1)),
    "Concatenate, axis 1": (lambda **k: layers.Concatenate(1, **k), [(2, 3), (4, 3)], lambda *xs: np.concatenate(xs, 1)),
    "Dot": (lambda **k: layers.Dot(1, **k), [(4,), (4,)], lambda x, y: (x * y).sum(1, keepdims=True)),
    "Dot, axes": (lambda **k: layers.Dot((1, -1), **k), [(3, 2), (4, 3)], lambda x, y: np.einsum("nka,nbk->nab", x, y)),
    "Dot, rank 4": (
        lambda **k: layers.Dot((3, 2), **k), [(2, 3, 4), (2, 4, 5)], lambda x, y: np.einsum("nabk,nckd->nabcd", x, y)
    ),
    "Dot, ranks 2 and 3": (lambda **k: layers.Dot([1, 2], **k), [(3,), (4, 3)], lambda x, y: np.einsum("nk,nbk->nb", x, y)),
    "Dot, normalized": (lambda **k: layers.Dot(-1, normalize=True, **k), [(2, 3), (4, 3)], cosine),
}
every_row = pytest.mark.parametrize("make, shapes, reference", MERGING.values(), ids=MERGING)


def some(shapes, dtype="float64", rows=3):
    return [random_input((rows, *shape), seed, dtype) for seed, shape in enumerate(shapes)]


@every_row
def test_values_and_shapes(make, shapes, reference):
    xs = some(shapes, "float32")
    expected = reference(*xs)
    layer = make(name="it")
    symbol = layer([keras.Input(shape) for shape in shapes])
    assert symbol.shape == (None, *expected.shape[1:]) and symbol.dtype == "float32"
    assert layer.compute_output_shape([(3, *shape) for shape in shapes]) == expected.shape
    assert layer.input_shape == [(None, *shape) for shape in shapes] and layer.weights == []
    for inputs in (xs, tuple(xs), [ops.convert_to_tensor(x) for x in xs]):
        np.testing.assert_allclose(layer(inputs).numpy(), expected, 1e-5, 1e-6)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert_same(again(xs).numpy(), layer(xs).numpy())


@every_row
def test_gradients(make, shapes, reference):
    layer = make(dtype="float64")
    assert gradcheck(lambda *xs: layer(list(xs)), *(keras.Tensor(x, requires_grad=True) for x in some(shapes)))


@every_row
def test_replay_equals_eager(make, shapes, reference):
    def train(run_eagerly):
        keras.utils.set_random_seed(4)
        x = keras.Input((5,))
        parts = [layers.Reshape(shape)(layers.Dense(int(np.prod(shape)))(x)) for shape in shapes]
        model = keras.Model(x, layers.Dense(2)(layers.Flatten()(make()(parts))))
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        rows, targets = some([(5,), (2,)], "float32", 18)
        history = model.fit(rows, targets, batch_size=4, epochs=2, verbose=0).history
        return history, model.get_weights(), model.predict(rows, verbose=0)

    assert_same(train(run_eagerly=False), train(run_eagerly=True))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"])
def test_functions(name):
    xs = some([(4,), (4,)], "float32")
    arguments = {"axes": 1} if name == "dot" else {}
    function = getattr(layers, name)
    layer = getattr(layers, name.capitalize())(**arguments)
    assert_same(function(xs, **arguments).numpy(), layer(xs).numpy())
    symbol = function([keras.Input((4,)), keras.Input((4,))], name="its_name", **arguments)
    assert symbol.call.function.name == "its_name" and symbol.shape == (None, *layer(xs).shape[1:])
    assert layers.concatenate([x[:, None] for x in xs], 1).shape == (3, 2, 4) and layers.dot(xs).shape == (3, 1)


@pytest.mark.parametrize("make, shapes, expected", [
    (layers.Add, [(None, 4), (None, 4)], (None, 4)),
    (layers.Add, [(None, None, 1), (2, 5, 4)], (2, None, 4)),
    (layers.Maximum, [(None, None, 4), (None, 4)], (None, None, 4)),
    (layers.Concatenate, [(None, None, 3), (None, None, 4)], (None, None, 7)),
    (lambda: layers.Concatenate(1), [(None, None, 3), (None, 2, 3)], (None, None, 3)),
    (lambda: layers.Dot(2), [(None, None, 3), (7, 2, 3)], (7, None, 2)),
])  # fmt: skip
def test_lengths_that_are_not_known(make, shapes, expected):
    assert make().compute_output_shape(shapes) == expected == make().compute_output_shape(tuple(shapes))


def inputs(*shapes):
    return [np.ones(shape, "float32") for shape in shapes]


@pytest.mark.parametrize("call, kind, words", [
    (lambda: layers.Add(name="it")(inputs((2, 4))[0]), ValueError, ["'it' (Add)", "a list", "(2, 4)"]),
    (lambda: layers.Add()({"a": inputs((2, 4))[0]}), ValueError, ["a list"]),
    (lambda: layers.Concatenate()(keras.Input((4,))), ValueError, ["a list", "(None, 4)"]),
    (lambda: layers.Add()([]), ValueError, ["a list"]),
    (lambda: layers.Subtract()(inputs((2, 4), (2, 4), (2, 4))), ValueError, ["list of 2"]),
    (lambda: layers.Dot(1)(inputs((2, 4))), ValueError, ["list of 2"]),
    (lambda: layers.Multiply(name="it")(inputs((2, 4), (2, 3))), ValueError, ["'it'", "broadcast", "(2, 3)"]),
    (lambda: layers.Multiply()(inputs((2, 4), (1, 4))), ValueError, ["rows", "(1, 4)"]),
    (lambda: layers.Concatenate()(inputs((2, 4), (2, 3, 4))), ValueError, ["equally many axes"]),
    (lambda: layers.Concatenate(3)(inputs((2, 4), (2, 4))), ValueError, ["axis 3"]),
    (lambda: layers.Concatenate()(inputs((2, 4), (3, 4))), ValueError, ["agree", "(3, 4)"]),
    (lambda: layers.Concatenate("a"), ValueError, ["axis", "'a'"]),
    (lambda: layers.Dot(1.5), TypeError, ["axes", "1.5"]),
    (lambda: layers.Dot((1, 2, 3)), ValueError, ["axes", "(1, 2, 3)"]),
    (lambda: layers.Dot(0)(inputs((2, 4), (2, 4))), ValueError, ["axes 0", "rows"]),
    (lambda: layers.Dot(2)(inputs((2, 4), (2, 4))), ValueError, ["axes 2", "(2, 4)"]),
    (lambda: layers.Dot(-1)(inputs((2, 4), (2, 3))), ValueError, ["one length", "(2, 3)"]),
    (lambda: layers.Dot(-1)(inputs((2, 4), (1, 4))), ValueError, ["rows", "(1, 4)"]),
])  # fmt: skip
def test_bad_calls(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_layer_takes_other_shapes_later_and_finds_what_does_not_fit_then():
    layer = layers.Add()
    with pytest.raises(ValueError):
        layer(inputs((2, 4), (2, 3)))
    assert not layer.built
    layer(inputs((2, 4), (2, 4)))
    assert layer(inputs((3, 5, 4), (3, 1, 4))).shape == (3, 5, 4)
    for bad in (inputs((2, 4), (2, 3)), inputs((2, 4))[0]):
        with pytest.raises(ValueError, match=r"broadcast|list"):
            layer(mapped(ops.convert_to_tensor, bad))


def test_a_constant_may_be_merged_with_a_symbol():
    x = keras.Input((4,))
    model = keras.Model(x, layers.add([x, np.full((1, 4), 2.0, "float32")]))
    assert np.all(model.predict(np.ones((5, 4), "float32"), verbose=0) == 3.0)
