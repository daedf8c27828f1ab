"""Layers of one's own: the weights and variables that they have."""

import copy

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import layers, ops, random


@pytest.mark.parametrize("add, name, shape, dtype", [
    (lambda s: s.add_weight(), "variable", (), "float32"),
    (lambda s: s.add_weight((2, 3)), "variable", (2, 3), "float32"),
    (lambda s: s.add_weight((2,), "zeros"), "variable", (2,), "float32"),
    (lambda s: s.add_weight((2,), "zeros", "float64"), "variable", (2,), "float64"),
    (lambda s: s.add_weight(shape=(2,), initializer="ones", trainable=True, name="w"), "w", (2,), "float32"),
    (lambda s: s.add_weight(shape=[2], name=None), "variable", (2,), "float32"),
    (lambda s: s.add_weight("w", shape=(2,)), "w", (2,), "float32"),
    (lambda s: s.add_weight("w", (2,), "zeros"), "w", (2,), "float32"),
    (lambda s: s.add_weight(name="w", shape=(2,), dtype="int32"), "w", (2,), "int64"),
    (lambda s: s.add_weight(shape=3, initializer=lambda shape, dtype=None: np.ones(shape)), "variable", (3,), "float32"),
    (lambda s: s.add_weight(shape=(3,), initializer=lambda shape, dtype: random.normal(shape, dtype=dtype)),
     "variable", (3,), "float32"),
    (lambda s: s.add_weight(shape=(2,), autocast=False, aggregation="mean", overwrite_with_gradient=False),
     "variable", (2,), "float32"),
])
def test_every_form_of_add_weight(add, name, shape, dtype):
    keras.utils.clear_session()
    layer = keras.Layer(name="it")
    weight = add(layer)
    assert (weight.name, weight.path, weight.shape, weight.dtype) == (name, f"it/{name}", shape, dtype)
    assert weight.trainable is (dtype != "int64") and layer.weights == [weight]


@pytest.mark.parametrize("add, error, words", [
    (lambda s: s.add_weight((2,), "zeros", "float32", True), TypeError, ["it", "shape, initializer and dtype"]),
    (lambda s: s.add_weight((2,), shape=(2,)), TypeError, ["it", "once"]),
    (lambda s: s.add_weight((2, None)), ValueError, ["it", "(2, None)"]),
    (lambda s: s.add_weight((2,), "zeroes"), ValueError, ["zeroes", "zeros"]),
    (lambda s: s.add_weight((2,), regularizer="l3"), ValueError, ["l3"]),
    (lambda s: s.add_metric(1.0), AttributeError, ["add_metric", "compile"]),
])
def test_what_add_weight_refuses(add, error, words):
    layer = keras.Layer(name="it")
    with pytest.raises(error) as caught:
        add(layer)
    for word in words:
        assert word in str(caught.value)


class Polynomial(keras.Layer):
    """c_0 + c_1 x + c_2 x^2, the coefficients made as variables, a count as one that is not trained."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = keras.Variable(0.0, trainable=False, name="calls")
        self.coefficients = [keras.Variable(1.0 + i, name=f"c{i}") for i in range(3)]
        self.more = {"scale": keras.Variable("ones", shape=(1,), name="scale")}

    def call(self, inputs):
        self.calls.assign_add(1.0)
        a, b, c = self.coefficients
        return (a + b * inputs + c * ops.square(inputs)) * self.more["scale"]


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_variables_among_the_attributes(run_eagerly):
    layer = Polynomial()
    model = keras.Sequential([keras.Input((1,)), layer])
    # Those that are trained come first, as in Keras' files.
    assert [v.name for v in layer.weights] == ["c0", "c1", "c2", "scale", "calls"]
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.trainable = True
    assert [v.name for v in layer.trainable_weights] == ["c0", "c1", "c2", "scale"]
    twin = copy.deepcopy(layer)
    twin.trainable = False
    twin.trainable = True
    assert len(twin.trainable_weights) == 4 and twin.weights[0] is not layer.weights[0]
    x = np.linspace(-1, 1, 32, dtype="float32").reshape(-1, 1)
    model.compile(keras.optimizers.SGD(0.05), "mse", run_eagerly=run_eagerly)
    before = layer.calls.numpy()
    losses = model.fit(x, 3 - x, batch_size=8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2 and layer.calls.numpy() == before + 20
    layer.coefficients.append(keras.Variable(1.0, name="late"))
    assert "late" in [v.name for v in layer.weights]


def test_a_build_that_fails_leaves_no_weights():
    class Fails(keras.Layer):
        fails = True

        def build(self, input_shape):
            self.w = self.add_weight((input_shape[-1],), name="w")
            if self.fails:
                raise ArithmeticError

        def call(self, inputs):
            return inputs * self.w

    layer = Fails()
    with pytest.raises(ArithmeticError):
        layer(np.ones((2, 3)))
    layer.fails = False
    assert layer(np.ones((2, 4))).shape == (2, 4)
    assert [v.shape for v in layer.weights] == [(4,)]


def test_a_build_that_fails_late_leaves_everything_unbuilt():
    """Also where `built` was set, and sub-layers were built or made, before the error."""

    class Late(keras.Layer):
        fails = True

        def build(self, input_shape):
            super().build(input_shape)
            self.inner = layers.Dense(3)
            self.inner.build(input_shape)
            if self.fails:
                raise ArithmeticError

        def call(self, inputs):
            return self.inner(inputs)

    class Whole(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.norm = layers.Dense(3), layers.BatchNormalization(axis=2)

        def call(self, inputs):
            return self.norm(self.first(inputs))

    layer = Late()
    with pytest.raises(ArithmeticError):
        layer.build_from_config({"input_shape": (None, 3)})
    assert not layer.built and layer.weights == []
    layer.fails = False
    assert layer(np.ones((2, 4))).shape == (2, 3)
    model = Whole()
    with pytest.raises(ValueError, match="axis 2 is out of range"):
        model.build((None, 4))
    assert not model.built and model.weights == []
    model.norm = layers.BatchNormalization()
    model.build([None, 5])
    assert model.first.kernel.shape == (5, 3)


def test_own_variables_are_loaded_all_or_none():
    layer = layers.Dense(2)
    layer.build((None, 3))
    before, ones = layer.get_weights(), {"0": np.ones((3, 2)), "1": np.ones(2)}
    for bad, words in ((ones | {"1": np.ones(3)}, r"shape \(2,\); got \(3,\)"), ({"0": ones["0"]}, "2 weights; got 1")):
        with pytest.raises(ValueError, match=words):
            layer.load_own_variables(bad)
        assert_same(layer.get_weights(), before)
    with pytest.raises(ValueError, match="'0', '1'.*got .'bias', 'kernel'"):
        layer.load_own_variables({"kernel": ones["0"], "bias": ones["1"]})
    layer.load_own_variables(ones)
    assert layer.bias.numpy().tolist() == [1.0, 1.0]
