"""Dropout and the other layers that draw random numbers; penalties on activity."""

import math

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import layers


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_statistics(rate):
    layer = layers.Dropout(rate, seed=1)
    y = layer(np.ones((400, 250), "float32"), training=True).numpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=3e-7)
    tolerance = 4 * math.sqrt(rate * (1 - rate) / y.size)
    assert abs(kept.mean() - (1 - rate)) < tolerance
    # No pattern: neither along rows nor along columns, nor between neighbours.
    for axis in (0, 1):
        spread = kept.mean(axis).std()
        assert spread == pytest.approx(math.sqrt(rate * (1 - rate) / y.shape[axis]), rel=0.25)
        a, b = np.delete(kept, -1, axis), np.delete(kept, 0, axis)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_dropout_draws_a_new_mask_on_every_call():
    x = np.ones((10, 100), "float32")
    layer = layers.Dropout(0.5, seed=7)
    masks = [layer(x, training=True).numpy() for _ in range(5)]
    assert len({m.tobytes() for m in masks}) == 5
    again = layers.Dropout(0.5, seed=7)
    assert_same([again(x, training=True).numpy() for _ in range(5)], masks)
    other = layers.Dropout(0.5, seed=8)
    assert not np.array_equal(other(x, training=True).numpy(), masks[0])


def test_dropout_without_a_seed_follows_the_global_one():
    x = np.ones((10, 100), "float32")

    def two():
        return [layers.Dropout(0.5)(x, training=True).numpy() for _ in range(2)]

    keras.utils.set_random_seed(1)
    first = two()
    assert not np.array_equal(*first)
    keras.utils.set_random_seed(1)
    assert_same(two(), first)


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.Dropout(0.0)])
def test_dropout_lets_everything_pass(layer):
    x = random_input((4, 5), dtype="float32")
    assert_same(layer(x).numpy(), x)
    assert_same(layer(x, training=False).numpy(), x)
    if layer.rate == 0:
        assert_same(layer(x, training=True).numpy(), x)


def test_dropout_of_everything():
    x = keras.Tensor(random_input((4, 5), dtype="float32"), requires_grad=True)
    y = layers.Dropout(1.0)(x, training=True)
    y.backward(np.ones((4, 5), "float32"))
    assert not y.numpy().any() and not x.grad.any()


def test_dropout_has_nothing_to_freeze():
    """As in Keras: `trainable` is about weights, of which it has none."""
    layer = layers.Dropout(0.5, trainable=False)
    assert (layer(np.ones((10, 10), "float32"), training=True).numpy() == 0).any()


@pytest.mark.parametrize("noise_shape", [(None, 1), (1, None), (20, 1), [None, 1]])
def test_dropout_noise_shape(noise_shape):
    y = layers.Dropout(0.5, noise_shape=noise_shape, seed=0)(
        np.ones((20, 30), "float32"), training=True
    ).numpy()
    axis = list(noise_shape).index(1)
    assert (y == y.take([0], axis)).all()
    assert 0 < (y == 0).mean() < 1


def test_dropout_gradient_has_the_mask_of_the_output():
    x = keras.Tensor(random_input((20, 30), dtype="float32"), requires_grad=True)
    layer = layers.Dropout(0.5)
    y = layer(x, training=True)
    y.backward(np.full(y.shape, 3, "float32"))
    assert_same(x.grad, np.where(y.numpy() == 0, 0, 6).astype("float32"))
