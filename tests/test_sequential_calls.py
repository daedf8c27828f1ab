"""Sequential: what its fused steps compute, and what a call of the model gives."""

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network
from test_sequential import article

import minigrad as keras
from minigrad.layers import Activation, BatchNormalization, Dense, Dropout, ReLU

STACKS = {
    "Dense BN relu": [lambda: Dense(6), BatchNormalization, lambda: Activation("relu")],
    "Dense BN ReLU": [lambda: Dense(6, bias_initializer="ones"), BatchNormalization, ReLU],
    "no bias": [lambda: Dense(6, use_bias=False), BatchNormalization, ReLU],
    "Dense BN": [lambda: Dense(6, bias_initializer="ones"), lambda: BatchNormalization(scale=False)],
    "BN relu": [lambda: BatchNormalization(center=False), ReLU],
    "BN": [BatchNormalization],
    "twice": [
        lambda: Dense(6),
        BatchNormalization,
        ReLU,
        lambda: Dense(3, use_bias=False),
        BatchNormalization,
        ReLU,
    ],
    "axis 1": [lambda: Dense(6), lambda: BatchNormalization(axis=1), ReLU],
    "renorm": [lambda: Dense(6), lambda: BatchNormalization(renorm=True), ReLU],
    "activation in Dense": [lambda: Dense(6, activation="tanh"), BatchNormalization, ReLU],
    "leaky": [lambda: Dense(6), BatchNormalization, lambda: ReLU(negative_slope=0.1)],
    "capped": [lambda: Dense(6), BatchNormalization, lambda: ReLU(max_value=0.5)],
    "tanh": [lambda: Dense(6), BatchNormalization, lambda: Activation("tanh")],
    "penalties": [
        lambda: Dense(6, activity_regularizer="l2"),
        BatchNormalization,
        lambda: ReLU(activity_regularizer="l1"),
    ],
    "penalty of BN": [lambda: Dense(6), lambda: BatchNormalization(activity_regularizer="l2"), ReLU],
    "frozen BN": [
        lambda: Dense(6, bias_initializer="ones"),
        lambda: BatchNormalization(trainable=False),
        ReLU,
    ],
    "frozen Dense": [lambda: Dense(6, trainable=False), BatchNormalization, ReLU],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", [(5,), (3, 5)], ids=["rank 2", "rank 3"])
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_fused_steps_equal_the_layers_one_by_one(stack, row, dtype):
    """Outputs, gradients, losses and moving statistics, in training and in inference."""
    if len(row) == 2 and stack is STACKS["axis 1"]:
        row = (5,)
    try:
        keras.config.set_floatx(dtype)
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input(row), *(make() for make in stack)])
    finally:
        keras.config.set_floatx("float32")
    generator = np.random.default_rng(0)
    model.set_weights([w + generator.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    copies = [type(layer).from_config(layer.get_config()) for layer in model.layers]
    x = generator.standard_normal((9, *row)).astype(dtype) + 1
    y = x
    for copy, layer in zip(copies, model.layers, strict=True):
        y = copy(y)
        copy.set_weights(layer.get_weights())
    g = generator.standard_normal(y.shape).astype(dtype)
    tolerance = {"rtol": 1e-10, "atol": 1e-11} if dtype == "float64" else {"rtol": 2e-4, "atol": 2e-5}
    for training in (True, False, True):
        fused, single = keras.Tensor(x, requires_grad=True), keras.Tensor(x, requires_grad=True)
        y, z = model(fused, training=training), single
        for copy in copies:
            z = copy(z, training=training)
        np.testing.assert_allclose(y.numpy(), z.numpy(), **tolerance)
        assert [float(loss) for loss in model.losses] == pytest.approx(
            [float(loss) for copy in copies for loss in copy.losses], rel=1e-5
        )
        for v in [*model.trainable_weights, *(v for copy in copies for v in copy.trainable_weights)]:
            v.grad = None
        y.backward(g)
        z.backward(g)
        np.testing.assert_allclose(fused.grad, single.grad, **tolerance)
        theirs = [v for copy in copies for v in copy.trainable_weights]
        for ours, other in zip(model.trainable_weights, theirs, strict=True):
            np.testing.assert_allclose(ours.grad, other.grad, err_msg=ours.path, **tolerance)
        for ours, other in zip(
            model.get_weights(), [w for copy in copies for w in copy.get_weights()], strict=True
        ):
            np.testing.assert_allclose(ours, other, **tolerance)


def test_the_article_s_model_trains_as_its_layers_do_one_by_one():
    """A subclass of Model that calls the same layers, which fuses nothing."""

    class Plain(keras.Model):
        def __init__(self, parts):
            super().__init__()
            self.parts = parts

        def call(self, inputs):
            for layer in self.parts:
                inputs = layer(inputs)
            return inputs

    x, y = data(40, 20)
    keras.utils.set_random_seed(2)
    model = article(input_shape=(20,))
    plain = Plain([type(layer).from_config(layer.get_config()) for layer in model.layers])
    plain(x)
    plain.set_weights(model.get_weights())
    settings = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0}
    histories = []
    for m in (model, plain):
        m.compile(keras.optimizers.SGD(0.05, momentum=0.5), "binary_crossentropy", metrics=["accuracy"])
        histories.append(m.fit(x, y, **settings).history)
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-3)
    for a, b, v in zip(model.get_weights(), plain.get_weights(), model.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-4, err_msg=v.path)
    # the fused model takes fewer instructions
    assert len(model.train_program) < len(plain.train_program)


def test_an_exchanged_activation_counts_from_the_next_compile():
    model = keras.Sequential([keras.Input((5,)), Dense(4), BatchNormalization(), Activation("relu")])
    x, _ = data()
    model.layers[2].activation = keras.activations.tanh
    model.layers[0].activation = keras.activations.softplus
    model.compile("sgd", "mse")
    expected = model.layers[2](model.layers[1](model.layers[0](x))).numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_layers_of_different_precision():
    model = keras.Sequential(
        [
            keras.Input((5,)),
            Dense(4, dtype="float64"),
            BatchNormalization(),
            ReLU(dtype="float64"),
            Dense(1, dtype="float64"),
        ]
    )
    x, y = data(16, target="regression")
    model.compile("sgd", "mse", metrics=["mae"])
    with Quiet():
        assert model.predict(x, verbose=0).dtype == np.float64
    expected = x
    for layer in model.layers:
        expected = layer(expected)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected.numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match=r"dtype.*float32.*float64"):
        model.fit(x, y, verbose=0)  # one flat buffer holds all trained weights


def test_the_first_layer_tells_the_precision_of_the_data():
    for stack in (
        [keras.Input((5,), dtype="float64"), Dense(1, dtype="float64")],
        [Dense(1, dtype="float64", input_dim=5)],
        [Dense(1, dtype="float64")],
    ):
        model = keras.Sequential(stack)
        x, y = data(16, target="regression", dtype="float64")
        model.compile("sgd", "mse", metrics=["mae"])
        expected = x @ model.get_weights()[0] if model.built else None
        p = model.predict(x, verbose=0)
        assert p.dtype == np.float64
        if expected is not None:
            np.testing.assert_allclose(p, expected, rtol=1e-12)
        model.fit(x, y, verbose=0)
        assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(
            ((model.predict(x, verbose=0) - y) ** 2).mean(), rel=1e-12
        )


def test_calling_a_model():
    model = network(dropout=0.5)
    x, _ = data()
    y = model(x)
    assert isinstance(y, keras.Tensor) and y.shape == (42, 1)
    np.testing.assert_allclose(y.numpy(), model.predict(x, verbose=0), rtol=1e-6)
    assert_same(model(x.astype("float64")).numpy(), y.numpy())
    assert_same(model(keras.Tensor(x)).numpy(), y.numpy())
    assert_same(model(x.tolist()).numpy(), y.numpy())
    assert_same(model(x, training=False).numpy(), y.numpy())
    assert not np.array_equal(model(x, training=True).numpy(), y.numpy())


# In inference mode a call replays a Program, and is computed again where a gradient is asked for.


def smooth(dtype="float32", seed=4):
    """A model of minigrad's own layers without kinks."""
    keras.utils.set_random_seed(seed)
    parts = [Dense(4, dtype=dtype), BatchNormalization(dtype=dtype), Activation("tanh", dtype=dtype)]
    parts += [Dropout(0.5, dtype=dtype), Dense(1, activation="sigmoid", dtype=dtype)]
    return keras.Sequential([keras.Input((5,), dtype=dtype), *parts])


def by_layers(model, x):
    for layer in model.layers:
        x = layer(x, training=False) if layer._takes("training") else layer(x)
    return x


def gradients_of(loss, *tensors):
    for t in tensors:
        t.grad = None
    loss.backward()
    return [t.grad.copy() for t in tensors]


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_gradients_of_a_call_in_inference_mode(run_eagerly):
    x, y = data(12, dtype="float64")
    model = smooth("float64")
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    loss_function = keras.losses.BinaryCrossentropy()
    variables = model.trainable_weights
    for _ in range(2):
        expected = gradients_of(loss_function(y, by_layers(model, keras.Tensor(x))), *variables)
        for got in (gradients_of(loss_function(y, model(x)), *variables),
                    gradients_of(loss_function(y, model(keras.Tensor(x))), *variables)):
            for g, e in zip(got, expected, strict=True):
                np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-12)
    leaf = keras.Tensor(x, requires_grad=True)  # as for a saliency map
    (got,) = gradients_of(model(leaf).sum(), leaf)
    (expected,) = gradients_of(by_layers(model, leaf).sum(), leaf)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_the_output_of_a_call_can_be_used_several_times():
    x, _ = data(12, dtype="float64")
    model = smooth("float64")
    kernel = model.layers[0].kernel
    (once,) = gradients_of(model(x).sum(), kernel)
    y = model(x)
    (got,) = gradients_of((y + y * y).sum(), kernel)
    z = by_layers(model, keras.Tensor(x))
    (expected,) = gradients_of((z + z * z).sum(), kernel)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert not np.allclose(got, once)


def test_models_in_a_chain():
    """As a generator and a discriminator: the gradient of one flows through the other."""
    x, _ = data(12, dtype="float64")
    first, second = (
        smooth("float64", 1),
        keras.Sequential([keras.Input((1,), dtype="float64"), Dense(3, "tanh", dtype="float64")]),
    )
    variables = first.trainable_weights + second.trainable_weights
    got = gradients_of(second(first(x)).sum(), *variables)
    expected = gradients_of(by_layers(second, by_layers(first, keras.Tensor(x))).sum(), *variables)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-12)
    second.trainable = False
    for v in second.weights:
        v.grad = None
    got = gradients_of(second(first(x)).sum(), *first.trainable_weights)
    for g, e in zip(got, expected, strict=False):
        np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-12)
    assert all(v.grad is None for v in second.weights)


def test_a_call_keeps_the_logits():
    model = keras.Sequential([keras.Input((1,)), Dense(1, activation="sigmoid")])
    model.set_weights([np.array([[50.0]]), np.zeros(1)])
    loss_function = keras.losses.BinaryCrossentropy()
    for _ in range(2):
        assert float(loss_function(np.zeros((1, 1)), model(np.ones((1, 1))))) == pytest.approx(50.0)
    with keras.no_grad():
        assert float(loss_function(np.zeros((1, 1)), model(np.ones((1, 1))))) == pytest.approx(50.0)


def test_calls_do_not_share_memory():
    model = smooth()
    x, _ = data(12)
    first = model(x)
    kept = first.numpy().copy()
    model(x + 1)
    model(x[:5])
    assert_same(first.numpy(), kept)


def test_what_a_call_s_output_requires():
    model = smooth()
    x, _ = data(12)
    assert model(x).requires_grad
    with keras.no_grad():
        assert not model(x).requires_grad
    model.trainable = False
    assert not model(x).requires_grad
    assert model(keras.Tensor(x, requires_grad=True)).requires_grad


@pytest.mark.parametrize("units", [1, 7])
def test_a_dense_with_relu_is_a_dense_and_a_relu_to_the_bit(units):
    """Forward and back, in two passes over memory instead of four; and a NaN stays one."""
    x = np.random.default_rng(4).standard_normal((300, 5)).astype("float32")
    x[7, 2] = np.nan
    g = np.random.default_rng(5).standard_normal((300, units)).astype("float32")
    results = []
    for activation in ("relu", lambda h: keras.ops.relu(h)):
        layer = Dense(units, activation)
        layer.build((None, 5))
        layer.set_weights([np.linspace(-1, 1, 5 * units).reshape(5, units), np.linspace(-0.5, 0.5, units)])
        given = keras.Tensor(x, requires_grad=True)
        y = layer(given)
        y.backward(g)
        results.append([y.numpy(), given.grad, layer.kernel.grad, layer.bias.grad])
        assert np.isnan(y.numpy()[7]).all()
    assert_same(*results)


def test_the_order_that_most_people_write():
    """Dense with relu, BatchNormalization, Dropout: few launches, and the bits of what is not fused."""
    programs, weights = [], []
    for activation in ("relu", lambda h: keras.ops.relu(h)):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((5,))])
        for units in (8, 4):
            model.add(Dense(units, activation=activation))
            model.add(BatchNormalization())
            model.add(keras.layers.Dropout(0.3))
        model.add(Dense(1, activation="sigmoid"))
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        model.fit(*data(40, 5), batch_size=8, epochs=2, verbose=0)
        programs.append(len(model.train_program))
        weights.append(model.get_weights())
    assert_same(*weights)
    assert programs == [32, 36]
