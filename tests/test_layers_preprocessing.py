"""Normalization and what it adapts to; Rescaling."""

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same, data, state

import minigrad as keras
from minigrad import layers


def table(rows=200, dtype="float64"):
    return (np.random.default_rng(1).standard_normal((rows, 3)) * [1.0, 5.0, 0.1] + [10.0, -3.0, 0.0]).astype(dtype)


def adapted(*args, **kwargs):
    layer = layers.Normalization(dtype="float64")
    layer.adapt(*args, **kwargs)
    return [w.numpy() for w in layer.weights[:2]]


X = table()
SOURCES = {
    "array": lambda: (X,),
    "small parts": lambda: (X, 7),
    "float32": lambda: (X.astype("float32"),),
    "integers as floats": lambda: (X.tolist() and np.asarray(X),),
    "tensor": lambda: (keras.Tensor(X),),
    "data frame": lambda: (pd.DataFrame(X),),
    "list of batches": lambda: ([X[:50], X[50:51], X[51:]],),
    "with an empty batch": lambda: ([X[:50], X[:0], X[50:]],),
    "generator": lambda: (X[i : i + 13] for i in [0]) and ((X[i : i + 13] for i in range(0, 200, 13)),),
    "rows and labels": lambda: ([(X[:50], np.ones(50)), (X[50:], np.ones(150))],),
}


class Sequence:
    """Batches by number, as a PyDataset has them."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[50 * i : 50 * i + 50]


@pytest.mark.parametrize("source", [*SOURCES.values(), lambda: (Sequence(),)], ids=[*SOURCES, "sequence"])
def test_adapt_finds_mean_and_variance(source):
    mean, variance = adapted(*source())
    rtol = 1e-6 if source is SOURCES["float32"] else 1e-12
    np.testing.assert_allclose(mean, X.mean(0), rtol=rtol)
    np.testing.assert_allclose(variance, X.var(0), rtol=rtol)


def test_adapt_to_some_steps_and_anew():
    parts = [X[:50], X[50:], X * 100]
    assert_same(adapted(parts, steps=2), adapted(parts[:2]))
    layer = layers.Normalization(dtype="float64")
    layer.adapt(X * 100)
    layer.adapt(X)
    assert_same([w.numpy() for w in layer.weights[:2]], adapted(X))


def test_adapt_keeps_its_digits():
    """A mean of a million deviations, in many parts: float32 sums would have no digit of the variance right."""
    x = (1e6 + np.random.default_rng(0).standard_normal((100_000, 1))).astype("float64")
    mean, variance = adapted(np.array_split(x, 100))
    np.testing.assert_allclose([mean[0], variance[0]], [x.mean(), x.var()], rtol=1e-9)


def test_values():
    layer = layers.Normalization()
    layer.adapt(X)
    y = layer(X).numpy()
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, (X - X.mean(0)) / X.std(0), rtol=1e-4, atol=1e-5)
    back = layers.Normalization(mean=X.mean(0), variance=X.var(0), invert=True)
    np.testing.assert_allclose(back(y).numpy(), X, rtol=1e-4, atol=1e-4)
    assert layer.mean.shape == layer.variance.shape == (1, 3)
    constant = layers.Normalization()
    constant.adapt(np.zeros((4, 2)))
    np.testing.assert_allclose(constant(np.ones((1, 2))).numpy(), 1e7, rtol=1e-6)


@pytest.mark.parametrize("axis, shape", [(None, ()), (1, (3,)), (-1, (2,)), ((1, 2), (3, 2)), ((-1, 1), (3, 2))])
def test_axes(axis, shape):
    x = np.random.default_rng(2).standard_normal((50, 3, 2)) * 3 + 1
    layer = layers.Normalization(axis=axis, dtype="float64")
    layer.adapt(x)
    others = tuple(a for a in range(3) if axis is None or a not in np.atleast_1d(axis) % 3)
    mean, deviation = x.mean(others, keepdims=True), x.std(others, keepdims=True)
    assert layer.weights[0].shape == shape
    np.testing.assert_allclose(layer(x).numpy(), (x - mean) / deviation, rtol=1e-10, atol=1e-12)


def test_one_mean_for_everything_takes_any_shape():
    """As tutorials do it: adapted to a column without its axis, used on one with it."""
    layer = layers.Normalization(axis=None, input_shape=(1,))
    layer.adapt(X[:, 0])
    np.testing.assert_allclose(layer(X[:, :1]).numpy().std(), 1, rtol=1e-4)


def test_adapting_again_reaches_a_program():
    x, y = data(24, target="regression")
    norm = layers.Normalization()
    norm.adapt(x)
    model = keras.Sequential([keras.Input((5,)), norm, layers.Dense(1)])
    assert [v.name for v in model.trainable_weights] == ["kernel", "bias"]
    model.compile(keras.optimizers.SGD(0.0), "mse")
    first = model.fit(x, y, batch_size=8, verbose=0).history["loss"], model.predict(x, verbose=0)
    before = state(model)
    norm.adapt(x * 100)
    second = model.fit(x, y, batch_size=8, verbose=0).history["loss"], model.predict(x, verbose=0)
    assert first[0] != second[0] and not np.allclose(first[1], second[1])
    norm.adapt(x)
    assert_same(model.predict(x, verbose=0), first[1])
    assert_same([w for k, w in state(model).items() if "weight" in k], [w for k, w in before.items() if "weight" in k])


@pytest.mark.parametrize("act, kind, words", [
    (lambda n: n.adapt([]), ValueError, ["it", "no rows"]),
    (lambda n: n.adapt(np.empty((0, 3))), ValueError, ["it", "no rows"]),
    (lambda n: n.adapt(3), TypeError, ["it", "array", "int"]),
    (lambda n: n.adapt("abc"), TypeError, ["it", "array", "str"]),
    (lambda n: n.adapt([1, 2]), TypeError, ["it", "batches", "int"]),
    (lambda n: n.adapt(np.ones(3)), ValueError, ["it", "axis", "(None,)"]),
    (lambda n: n.adapt([np.ones((2, 3)), np.ones((2, 4))]), ValueError, ["it", "3", "(2, 4)"]),
    (lambda n: (n.adapt(X), n.adapt(X[:, :2])), ValueError, ["it", "3", "(200, 2)"]),
    (lambda n: (n.adapt(X), n(X[:, :2])), ValueError, ["it", "3", "(200, 2)"]),
])
def test_what_adapt_refuses(act, kind, words):
    with pytest.raises(kind) as error:
        act(layers.Normalization(name="it"))
    for word in words:
        assert word in str(error.value)


def test_a_given_mean_is_not_adapted():
    layer = layers.Normalization(mean=1.0, variance=2.0, name="it")
    with pytest.raises(ValueError, match="it.*given its mean"):
        layer.adapt(X)
    layer(X)
    assert layer.weights == []


def test_rescaling():
    x = np.array([[0, 255, 51]], "uint8")
    np.testing.assert_allclose(layers.Rescaling(1 / 255)(x).numpy(), [[0, 1, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(layers.Rescaling(1 / 127.5, -1)(x).numpy(), [[-1, 1, -0.6]], rtol=1e-6)
    np.testing.assert_allclose(layers.Rescaling([1, 2, 3], np.ones(3))(x).numpy(), [[1, 511, 154]], rtol=1e-6)
