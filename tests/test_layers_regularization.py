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


# -------------------------------------------------------------------------------------------- other noise

NOISES = {
    "AlphaDropout": lambda **k: layers.AlphaDropout(0.3, **k),
    "GaussianDropout": lambda **k: layers.GaussianDropout(0.3, **k),
    "GaussianNoise": lambda **k: layers.GaussianNoise(0.3, **k),
}
every_noise = pytest.mark.parametrize("make", NOISES.values(), ids=NOISES)


@every_noise
def test_noise_is_new_on_every_call_and_repeats_with_the_seed(make):
    x = np.ones((10, 20), "float32")
    layer, again, other = make(seed=7), make(seed=7), make(seed=8)
    noise = [layer(x, training=True).numpy() for _ in range(3)]
    assert len({n.tobytes() for n in noise}) == 3
    assert_same([again(x, training=True).numpy() for _ in range(3)], noise)
    assert not np.array_equal(other(x, training=True).numpy(), noise[0])
    assert_same(layer(x).numpy(), x)


@every_noise
def test_noise_without_a_seed_follows_the_global_one(make):
    x, seen = np.ones((10, 20), "float32"), []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        seen.append([make()(x, training=True).numpy() for _ in range(2)])
        assert not np.array_equal(*seen[-1])
    assert_same(*seen)


def test_alpha_dropout_keeps_mean_and_variance():
    """Of standard normal inputs, for which its constants are made; what is dropped has one value."""
    x = random_input((1000, 200), dtype="float32")
    y = layers.AlphaDropout(0.3, seed=1)(x, training=True).numpy()
    assert abs(y.mean()) < 0.01 and abs(y.var() - 1) < 0.02
    values, counts = np.unique(y, return_counts=True)
    a = (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
    np.testing.assert_allclose(values[counts.argmax()], a * 1.7580993408473766 * (0.3 - 1), rtol=1e-5)
    assert abs(counts.max() / y.size - 0.3) < 0.005


def test_alpha_dropout_noise_shape():
    y = layers.AlphaDropout(0.5, (None, 1), seed=1)(np.zeros((50, 4)), training=True).numpy()
    assert (y == y[:, :1]).all() and len(np.unique(y)) == 2


def test_gaussian_dropout_and_noise_have_their_moments():
    x = np.full((1000, 200), 2.0, "float32")
    factor = layers.GaussianDropout(0.2, seed=1)(x, training=True).numpy() / 2
    assert abs(factor.mean() - 1) < 0.005 and abs(factor.std() - 0.5) < 0.005
    added = layers.GaussianNoise(0.2, seed=1)(x, training=True).numpy() - 2
    assert abs(added.mean()) < 0.002 and abs(added.std() - 0.2) < 0.002


def test_activity_regularization():
    layer = layers.ActivityRegularization(0.1, 0.2)
    x = random_input((4, 5), dtype="float32")
    assert_same(layer(x).numpy(), x)
    (loss,) = layer.losses
    assert float(loss) == pytest.approx((0.1 * np.abs(x).sum() + 0.2 * (x**2).sum()) / 4, rel=1e-5)
    assert "activity_regularizer" not in layer.get_config()
