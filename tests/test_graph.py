"""The graph of a model: symbols, calls, order, fusion, and models made of inputs and outputs."""

import copy
import operator
import pickle

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import layers, ops
from minigrad.graph import Graph, Symbol
from minigrad.layers import Activation, BatchNormalization, Dense, Dropout, ReLU
from minigrad.layers.fusion import Normalized, fused
from minigrad.trees import leaves

QUIET = {"verbose": 0}
RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((96, 20)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def article(as_sequential):
    """The article's network, a Sequential or a model of inputs and outputs, with the same weights."""
    keras.utils.set_random_seed(1)
    chain = [
        Dense(64), BatchNormalization(), Activation("relu"), Dense(32), BatchNormalization(), ReLU(),
        Dense(1, activation="sigmoid"),
    ]  # fmt: skip
    if as_sequential:
        model = keras.Sequential([keras.Input((20,)), *chain])
    else:
        x = inputs = keras.Input((20,))
        for layer in chain:
            x = layer(x)
        model = keras.Model(inputs, x)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def residual():
    """A model with a sum, an operation, a shared layer, and several uses of one symbol."""
    keras.utils.set_random_seed(2)
    x = inputs = keras.Input((20,), name="rows")
    shared = Dense(20, activation="tanh", name="shared")
    h = shared(x)
    h = Activation("relu")(BatchNormalization()(Dense(20)(h)) + 0.5 * h)
    h = ops.concatenate([shared(h), x], axis=-1)
    return keras.Model(inputs, Dense(1, activation="sigmoid")(h))


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_the_article_s_model_is_the_same_as_a_graph(run_eagerly):
    found = []
    for as_sequential in (True, False):
        model = article(as_sequential)
        model.run_eagerly = run_eagerly
        history = model.fit(X, Y, epochs=2, batch_size=32, **QUIET).history
        found.append([history, model.get_weights(), model.predict(X, **QUIET), model(X).numpy()])
        assert run_eagerly or len(model.train_program) == 26
    assert_same(*found)


def test_a_residual_model_replays_as_it_runs_eagerly():
    found = []
    for run_eagerly in (False, True):
        model = residual()
        model.compile("adam", "binary_crossentropy", run_eagerly=run_eagerly)
        losses = model.fit(X, Y, epochs=3, batch_size=32, **QUIET).history["loss"]
        found.append([losses, model.get_weights()])
        assert losses[-1] < losses[0]
    assert_same(*found)


def test_what_a_residual_model_computes():
    model = residual()
    by_name = {layer.name: layer for layer in model.layers}
    shared, (first, last) = by_name["shared"], [one for one in model.layers if type(one) is Dense][1:]
    norm = next(one for one in model.layers if type(one) is BatchNormalization)
    h = shared(X)
    h = ops.relu(norm(first(h), training=False) + 0.5 * h)
    h = ops.concatenate([shared(h), ops.convert_to_tensor(X)], axis=-1)
    np.testing.assert_allclose(model.predict(X, **QUIET), last(h).numpy(), 1e-6, 1e-6)
    assert len(model.weights) == 2 + 2 + 4 + 2


def fused_calls(inputs, outputs):
    graph = Graph(inputs, outputs)
    return fused(graph, graph.calls)


def test_fusion_goes_by_the_graph():
    x = keras.Input((4,))
    a = Dense(3)(x)
    y = ReLU()(BatchNormalization()(a))
    assert [type(call.function) for call in fused_calls(x, y)][1:] == [Normalized]
    calls = fused_calls(x, [y, a])  # the output of the Dense is wanted, too
    assert [getattr(call.function, "linear", call.function) is None for call in calls[1:]] == [False, True]
    norm = BatchNormalization()(Dense(3)(x))
    calls = fused_calls(x, ReLU()(norm) + norm)  # what stands between normalization and relu is used twice
    assert [call.function.floor for call in calls if isinstance(call.function, Normalized)] == [-np.inf]


def test_the_order_of_layers_is_keras_s():
    """The one that Keras 3.15 prints for this model."""
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    d = Dense(5, name="d")
    x = d(ops.concatenate([a, b], axis=-1))
    y = ops.relu(Dense(5, name="e")(x) + x) * 2.0
    model = keras.Model([a, b], {"out": Dense(1, name="z")(y), "h": x})
    assert [function.name.rstrip("_0123456789") for function in model._graph.functions] == [
        "a", "b", "concatenate", "d", "e", "add", "relu", "multiply", "z",
    ]  # fmt: skip
    assert [layer.name for layer in model.layers] == ["a", "b", "d", "e", "z"]
    assert model.input_shape == [(None, 4), (None, 3)] and model.output_shape == {"out": (None, 1), "h": (None, 5)}


def test_models_of_several_inputs_and_outputs_can_be_called():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    first = Dense(2)
    model = keras.Model([a, b], {"sum": first(a) + Dense(2)(b), "a": first(a)})
    one, two = X[:, :4], X[:, 4:7]
    expected = model([one, two])
    assert set(expected) == {"sum", "a"} and expected["sum"].shape == (96, 2)
    np.testing.assert_array_equal(expected["a"].numpy(), first(one).numpy())
    assert_same(expected["sum"].numpy(), model({"b": two, "a": one})["sum"].numpy())
    twice = keras.Model({"left": a, "right": b}, model([a, b])["sum"] * 2.0)
    assert_same(twice({"left": one, "right": two}).numpy(), 2 * expected["sum"].numpy())


def test_sub_models_and_nested_models():
    model = article(True)
    model.fit(X, Y, **QUIET)
    features = keras.Model(model.inputs, model.layers[2].output)
    assert features.predict(X, **QUIET).shape == (96, 64)
    assert features.layers[1] is model.layers[0]
    x = keras.Input((20,))
    outer = keras.Model(x, Dense(1)(features(x)))
    outer.compile("adam", "mse")
    before = model.layers[0].get_weights()[0]
    outer.fit(X, Y, **QUIET)
    assert np.any(model.layers[0].get_weights()[0] != before), "the layers are shared"
    assert keras.Sequential([features, Dense(1)]).predict(X, **QUIET).shape == (96, 1)


def test_a_subclass_of_model_may_be_made_of_inputs_and_outputs():
    class Named(keras.Model):
        def twice(self, x):
            return 2.0 * self(x)

    x = keras.Input((20,))
    model = Named(inputs=x, outputs=Dense(3)(x), name="mine")
    np.testing.assert_array_equal(model.twice(X).numpy(), 2 * model.predict(X, **QUIET))
    assert model.name == "mine" and keras.Model(x, x).name.startswith("functional")


def test_a_graph_can_be_copied_and_pickled():
    model = residual()
    expected = model.predict(X, **QUIET)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same(again.predict(X, **QUIET), expected)
        again.set_weights([0 * w for w in again.get_weights()])
        assert np.all(again.predict(X, **QUIET) == 0.5)
    assert_same(model.predict(X, **QUIET), expected)


def test_a_deep_graph():
    x = inputs = keras.Input((2,))
    for _ in range(3000):
        x = x + 1.0
    assert np.all(keras.Model(inputs, x)(np.zeros((1, 2))).numpy() == 3000)


def test_symbols():
    x = keras.Input((None, 4), name="x", batch_size=2)
    assert x.shape == (2, None, 4) and x.dtype == "float32" and x.ndim == 3 and "name=x" in repr(x)
    assert ops.mean(x, axis=1).shape == (2, 4) and (x[:, 0] > 0).dtype == "bool" and (1 - x).shape == x.shape
    assert (np.ones(4, "float32") * x).shape == (2, None, 4) == (ops.ones((4,)) + x).shape
    assert layers.Flatten()(keras.Input((3, 4))).shape == (None, 12)
    assert [s.shape for s in ops.split(x, 2, axis=-1)] == [(2, None, 2)] * 2
    assert keras.activations.relu(x).shape == x.shape and leaves({"a": [x, 1], "b": (2,)})[0] is x
    assert ops.shape(x) == (2, None, 4) and ops.ndim(x) == 3 and ops.dtype(x) == "float32"
    rows = keras.Input((3, 4))
    assert ops.reshape(rows, (ops.shape(rows)[0], ops.shape(rows)[1] * 4)).shape == (None, 12)
    for use in (bool, float, int, list, len, range, operator.methodcaller("numpy")):
        with pytest.raises(TypeError, match=r"name=x.*has no value"):
            use(x)
    with pytest.raises(TypeError, match="name=x"):
        np.asarray(x)
    with pytest.raises(TypeError, match="'KerasTensor' does not support ufuncs"):
        np.exp(x)


UNCONNECTED = keras.Input((3,), name="stray")


@pytest.mark.parametrize("make, words", [
    (lambda x: keras.Model(x, Dense(1)(x) + Dense(1)(UNCONNECTED)), ["not connected", "stray"]),
    (lambda x: keras.Model(x, np.ones(3)), ["outputs", "keras.Input"]),
    (lambda x: keras.Model(Dense(2), Dense(1)(x)), ["inputs", "keras.Input"]),
    (lambda x: keras.Model(x), ["inputs and outputs"]),
    (lambda x: keras.Model(x, Dense(1, name="d")(Dense(2, name="d")(x))), ["'d'", "differ"]),
    (lambda x: keras.Model([x, UNCONNECTED], Dense(1)(x))([X]), ["2 inputs", "stray", "got 1"]),
    (lambda x: keras.Model([x, UNCONNECTED], Dense(1)(x))({"x": X}), ["stray", "missing"]),
    (lambda x: keras.Model(x, Dense(1)(x))(X[:, :5]), ["(None, 20)", "(96, 5)"]),
    (lambda x: keras.Model([x, UNCONNECTED], Dense(1)(x))([X, X]), ["(None, 3)", "(96, 20)"]),
    (lambda x: ops.matmul(x, np.ones((3, 3), "float32")), ["matmul"]),
])  # fmt: skip
def test_errors(make, words):
    with pytest.raises(ValueError) as caught:
        make(keras.Input((20,), name="x"))
    assert all(word in str(caught.value) for word in words), caught.value


def test_dropout_in_a_graph_draws_in_training_only():
    x = keras.Input((20,))
    model = keras.Model(x, Dropout(0.5)(x))
    assert_same(model(X).numpy(), X)
    assert 0.3 < np.mean(model(X, training=True).numpy() == 0) < 0.7


def test_a_mask_goes_to_all_layers_that_take_one():
    class Kept(layers.Layer):
        supports_masking = True

        def call(self, x, mask=None):
            return x if mask is None else x * ops.expand_dims(ops.cast(mask, x.dtype), -1)

    x = keras.Input((3, 2))
    model = keras.Model(x, Kept()(x) + 0.5 * Kept()(x))
    rows, mask = np.ones((1, 3, 2), "float32"), np.array([[True, False, True]])
    assert model(rows, mask=mask).numpy()[0, :, 0].tolist() == [1.5, 0, 1.5]
    assert_same(model(rows).numpy(), 1.5 * rows)


def test_a_symbol_without_a_call_can_be_an_input():
    x = Symbol((None, 2))
    assert Graph(x, x + 1.0).layers == []


def test_arguments_of_a_call_reach_a_normalization_that_would_be_fused():
    rows, kept = np.array([[1, 2], [3, 5], [100, 100]], "float32"), np.array([True, True, False])
    x, mask, norm = keras.Input((2,)), keras.Input((), dtype="bool"), BatchNormalization(momentum=0.0)
    keras.Model([x, mask], ReLU()(norm(x, mask=mask)))([rows, kept], training=True)
    assert norm.moving_mean.numpy().tolist() == [2.0, 3.5]
    norm = BatchNormalization()
    model = keras.Model(x, Dense(1)(norm(Dense(2)(x), training=False)))
    model.compile("sgd", "mse")
    model.fit(rows, rows[:, :1], **QUIET)
    assert norm.moving_mean.numpy().tolist() == [0.0, 0.0]
