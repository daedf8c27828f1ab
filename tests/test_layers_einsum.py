"""EinsumDense: shapes of weights and outputs, how it starts, and equations that do not fit."""

import numpy as np
import pytest
from helpers import random_input

import minigrad as keras
from minigrad.layers import EinsumDense


@pytest.mark.parametrize("equation, lengths, bias_axes, row, kernel, bias, output", [
    ("ab,bc->ac", 4, "c", (5,), (5, 4), (4,), (4,)),
    ("abc,cd->abd", (None, 4), "d", (None, 5), (5, 4), (4,), (None, 4)),
    ("abc,bcd->ad", 4, None, (3, 5), (3, 5, 4), None, (4,)),
    ("...x,xy->...y", 4, "y", (2, 3, 5), (5, 4), (4,), (2, 3, 4)),
    ("...x,xy->...y", 4, "y", (5,), (5, 4), (4,), (4,)),
    ("ab...,bc->ac...", 4, "c", (3, 5), (3, 4), (4, 1), (4, 5)),
])  # fmt: skip
def test_values_and_shapes(equation, lengths, bias_axes, row, kernel, bias, output):
    layer = EinsumDense(equation, lengths, bias_axes=bias_axes, bias_initializer="ones", dtype="float64")
    assert layer(keras.Input(row)).shape == (None, *output) == layer.compute_output_shape((None, *row))
    assert layer.kernel.shape == kernel and (None if bias is None else layer.bias.shape) == bias
    x = random_input((2, *(n or 6 for n in row)))
    wanted = np.einsum(equation, x, layer.kernel.numpy()) + (bias is not None)
    np.testing.assert_allclose(layer(x).numpy(), wanted, 1e-12)
    again = EinsumDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again(x).shape == wanted.shape


def test_the_kernel_starts_as_that_of_a_dense_of_its_fans():
    layer = EinsumDense("abc,cde->abde", (None, 20, 40))
    layer.build((None, 3, 50))
    assert np.abs(layer.kernel).max() == pytest.approx(np.sqrt(6 / (50 + 800)), rel=0.01)
    assert layer.get_config()["kernel_initializer"]["config"].get("input_axes") is None


@pytest.mark.parametrize("equation, lengths, more, words", [
    ("ab,bc", 4, {}, ["equation", "'ab,bc->ac'"]),
    ("...ab,bc->ac...", 4, {}, ["equation"]),
    ("ab,bc->ac", (4, 3), {}, ["'it'", "1 lengths", "(4, 3)"]),
    ("abc,cd->abd", 4, {}, ["with an axis", "(None, 5)"]),
    ("ab,cd->ad", 4, {}, ["'cd'"]),
    ("ab,bc->ac", 4, {"bias_axes": "z"}, ["bias_axes", "'ac'"]),
    ("ab,bc->ac", 4, {"lora_rank": 2}, ["LoRA"]),
])  # fmt: skip
def test_errors(equation, lengths, more, words):
    with pytest.raises(ValueError) as caught:
        EinsumDense(equation, lengths, name="it", **more)(keras.Input((5,)))
    assert all(word in str(caught.value) for word in words), caught.value
    with pytest.raises(ValueError, match="one length of axis 'b'"):
        EinsumDense("abc,cd->abd", (7, 4))(keras.Input((3, 5)))
