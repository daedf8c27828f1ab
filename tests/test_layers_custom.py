"""Layers of one's own: variables, sub-layers, losses, configs, what stops a recording."""


import numpy as np
import pytest
from helpers import Quiet, assert_same, data, random_input, state

import minigrad as keras
from minigrad import layers, ops


class Scale(keras.Layer):
    """y = a x, a one number a column."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, inputs):
        return inputs * self.factor


class Block(keras.Layer):
    """Sub-layers as an attribute, in a list, in a dict and in a list in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4, name="first")
        self.middle = [layers.BatchNormalization(name="norm"), layers.Dropout(0.5, name="drop")]
        self.heads = {"a": layers.Dense(2, name="a"), "b": [layers.Dense(2, name="b")]}

    def call(self, inputs):
        x = self.first(inputs)
        for layer in self.middle:
            x = layer(x)
        return self.heads["a"](x) + self.heads["b"][0](x)


def test_add_weight():
    layer = Scale(name="scale")
    y = layer(np.full((2, 3), 2.0, "float32"))
    assert [(v.path, v.shape, v.trainable) for v in layer.weights] == [
        ("scale/factor", (3,), True),
        ("scale/count", (), False),
    ]
    assert_same(y.numpy(), np.full((2, 3), 2.0, "float32"))
    with pytest.raises(ValueError, match="glorot_unform"):
        layer.add_weight((2,), "glorot_unform")


def test_sublayers_are_found_wherever_they_are():
    block = Block()
    block(random_input((3, 5), dtype="float32"))
    names = [
        "first/kernel",
        "first/bias",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "a/kernel",
        "a/bias",
        "b/kernel",
        "b/bias",
    ]
    assert [v.path for v in block.weights] == names
    assert len(block.trainable_weights) == 8
    block.trainable = False
    assert block.trainable_weights == [] and not block.heads["b"][0].trainable
    block.trainable = True
    assert len(block.trainable_weights) == 8


def test_a_layer_put_in_later_is_found():
    block = Block()
    block(random_input((3, 5), dtype="float32"))
    count = len(block.weights)
    extra = layers.Dense(1)
    extra.build((None, 2))
    block.heads["c"] = extra  # a change no attribute assignment tells of
    assert len(block.weights) == count + 2
    block.middle.append(extra)
    assert len(block.weights) == count + 2  # the same one, counted once


@pytest.mark.parametrize("passes_on", [False, True])
def test_training_is_inherited(passes_on):
    class Outer(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Block()

        if passes_on:
            def call(self, inputs, training=False):
                self.told = training
                return self.inner(inputs)
        else:
            def call(self, inputs):
                return self.inner(inputs)

    outer = Outer()
    x = random_input((6, 5), dtype="float32")
    outer(x)
    norm = outer.inner.middle[0]
    before = norm.moving_mean.numpy()
    outer(x, training=False)
    outer(x)
    assert_same(norm.moving_mean.numpy(), before)
    outer(x, training=True)
    assert not np.array_equal(norm.moving_mean.numpy(), before)
    if passes_on:
        assert outer.told is True
    before = norm.moving_mean.numpy()
    outer(x)  # what the last call was told is forgotten
    assert_same(norm.moving_mean.numpy(), before)

    model = keras.Sequential([outer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(*data(12), batch_size=6, verbose=0)
    assert not np.array_equal(norm.moving_mean.numpy(), before)
    before = norm.moving_mean.numpy()
    model.evaluate(*data(12), verbose=0)
    model.predict(x, verbose=0)
    assert_same(norm.moving_mean.numpy(), before)


def test_training_may_be_told_without_its_name():
    class Passes(keras.Layer):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, inputs, training=None):
            return self.drop(inputs, training)

    x = np.ones((10, 10), "float32")
    for layer in (layers.Dropout(0.5), Passes()):
        assert (layer(x, True).numpy() == 0).any() and (layer(x, False).numpy() == 1).all()
    norm = layers.BatchNormalization()
    mask = np.arange(10) < 5
    y = norm(random_input((10, 3)), True, mask).numpy()
    np.testing.assert_allclose(y[mask].mean(0), 0, atol=1e-5)
    assert np.abs(y.mean(0)).max() > 1e-3


def test_training_is_forgotten_after_an_error():
    class Fails(keras.Layer):
        def call(self, inputs, training=False):
            if training:
                raise ArithmeticError
            return inputs

    outer = keras.Sequential([keras.Input((5,)), layers.Dropout(0.5), Fails()])
    x = random_input((6, 5), dtype="float32")
    with pytest.raises(ArithmeticError):
        outer(x, training=True)
    assert_same(outer(x).numpy(), x)
    assert_same(layers.Dropout(0.5)(x).numpy(), x)


class Penalty(keras.Layer):
    """Adds the mean square of its input to the loss."""

    def call(self, inputs):
        self.add_loss(ops.mean(ops.square(inputs)) * 0.1)
        return inputs


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_add_loss(run_eagerly):
    x, y = data(16, target="regression")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3), Penalty(), layers.Dense(1)])
    assert model.losses == []  # building leaves none behind
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    hidden = model.layers[0](x).numpy()
    expected = ((model(x).numpy() - y) ** 2).mean() + 0.1 * (hidden**2).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    plain = keras.Sequential([keras.Input((5,)), layers.Dense(3), layers.Dense(1)])
    plain.set_weights(model.get_weights())
    plain.compile("sgd", "mse")
    for m in (model, plain):
        m.fit(x, y, batch_size=16, epochs=3, verbose=0)
    assert np.abs(model.get_weights()[0]).sum() < np.abs(plain.get_weights()[0]).sum()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(
        ((model(x).numpy() - y) ** 2).mean() + 0.1 * (model.layers[0](x).numpy() ** 2).mean(), rel=1e-5
    )


def test_losses_are_those_of_the_last_call():
    layer = layers.Dense(2, activity_regularizer="l2", kernel_regularizer="l2")
    x = random_input((3, 5), dtype="float32")
    for _ in range(3):
        y = layer(x)
    kernel = layer.kernel.numpy()
    values = sorted(float(value) for value in layer.losses)
    expected = sorted([0.01 * (y.numpy() ** 2).sum() / 3, 0.01 * (kernel**2).sum()])
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    model = keras.Sequential([keras.Input((5,)), Penalty()])
    model(x)
    model(2 * x)
    (loss,) = model.losses
    assert float(loss) == pytest.approx(0.4 * (x**2).mean(), rel=1e-5)


def test_a_layer_used_twice_in_one_call_adds_its_loss_twice():
    class Twice(keras.Layer):
        def __init__(self):
            super().__init__()
            self.penalty = Penalty()

        def call(self, inputs):
            return self.penalty(self.penalty(inputs) * 2.0)

    layer = Twice()
    for _ in range(2):
        layer(np.ones((2, 2), "float32"))
    assert sorted(float(value) for value in layer.losses) == pytest.approx([0.1, 0.4])


class Reads(keras.Layer):
    """Divides by the largest value, which it reads."""

    def call(self, inputs):
        return inputs * (1.0 / max(1.0, float(ops.max(inputs))))  # this line reads


def test_a_layer_that_reads_values_falls_back_to_eager_and_says_so_once(recwarn):
    x, y = data(18)
    model = keras.Sequential([keras.Input((5,)), Reads(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning) as caught:
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.fit(x, y, batch_size=4, verbose=0)
    assert len(caught) == 1
    message = str(caught[0].message)
    line = next(
        i for i, text in enumerate(open(__file__, encoding="utf-8"), 1) if "# this line reads" in text
    )
    assert __file__ in message and f"line {line}" in message and "eager" in message
    assert model.train_program is None

    twin = keras.Sequential([keras.Input((5,)), Reads(), layers.Dense(1)])
    model = keras.Sequential([keras.Input((5,)), Reads(), layers.Dense(1)])
    model.set_weights(twin.get_weights())
    twin.compile("sgd", "mse", run_eagerly=True)
    model.compile("sgd", "mse")
    with Quiet():
        twin.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    with pytest.warns(UserWarning, match="eager"):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert_same(model.get_weights(), twin.get_weights())


class Counts(keras.Layer):
    """Multiplies by a Python number that changes from call to call: it can't be frozen into a Program."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * (1.0 + self.calls / 1000)


def test_a_layer_with_a_python_counter_falls_back_to_eager():
    model = keras.Sequential([keras.Input((5,)), Counts(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="eager"):
        model.fit(*data(16), batch_size=4, verbose=0)
    before = model.layers[0].calls
    model.fit(*data(16), batch_size=4, verbose=0)
    assert model.layers[0].calls >= before + 4


def test_a_layer_written_from_ops_records_like_the_others():
    class Gate(keras.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((input_shape[-1], 3), name="w")

        def call(self, inputs, training=False):
            y = ops.sigmoid(ops.matmul(inputs, self.w)) * ops.tanh(ops.matmul(inputs, self.w))
            return y * 2.0 if training else y

    def train(run_eagerly):
        keras.utils.set_random_seed(0)
        keras.utils.clear_session()
        model = keras.Sequential([Gate(), layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        with Quiet():
            model.fit(*data(18), batch_size=4, epochs=2, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model)

    assert_same(train(False), train(True))


def test_a_layer_without_call_says_what_is_missing():
    class Nothing(keras.Layer):
        pass

    with pytest.raises(TypeError, match="Nothing.*call"):
        Nothing()(np.ones((2, 2), "float32"))
