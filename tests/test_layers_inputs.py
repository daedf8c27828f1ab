"""Layers and models of one's own that are called with several inputs, or by the names of them."""

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import layers


class Pair(keras.Layer):
    def call(self, x, y):
        return x - y


class PairModel(keras.Model):
    """A `call` that needs two inputs: it can't be called to find out the shapes for one."""

    def __init__(self):
        super().__init__()
        self.pair, self.dense = Pair(), layers.Dense(3, kernel_initializer="identity")

    def call(self, x, y):
        return self.pair(self.dense(x), y)


def test_the_first_input_may_have_a_name():
    a, b = np.ones((2, 3), "float32"), np.full((2, 3), 2.0, "float32")
    inputs = [keras.Input((3,)), keras.Input((3,))]
    for layer in (Pair(), PairModel()):
        assert_same(layer(x=a, y=b).numpy(), layer(a, b).numpy())
        assert_same(layer(y=b, x=keras.Tensor(a)).numpy(), np.full((2, 3), -1, "float32"))
        assert_same(keras.Model(inputs, layer(x=inputs[0], y=inputs[1]))([a, b]).numpy(), layer(a, b).numpy())
        with pytest.raises(TypeError, match="was called without its input: 'x'"):
            layer(y=b)


def test_a_summary_of_layers_with_several_inputs(capsys):
    model = PairModel()
    model(np.ones((2, 3)), np.ones((2, 3)))
    model.summary()
    shown = capsys.readouterr().out
    assert "pair" in shown and "?" in shown and "(None, 3)" in shown and "Total params: 12 " in shown


def test_a_mask_may_be_deleted():
    x = layers.Embedding(4, 2, mask_zero=True)(np.array([[1, 0]]))
    assert x._keras_mask is not None
    del x._keras_mask
    assert x._keras_mask is None


def test_a_call_that_forgets_to_return_says_so():
    class Forgets(keras.Layer):
        def call(self, x):
            x + 1.0

    with pytest.raises(ValueError, match=r"'forgets' \(Forgets\) returned None: is a `return` missing"):
        keras.Sequential([keras.Input((3,)), Forgets(), layers.Dense(1)])
