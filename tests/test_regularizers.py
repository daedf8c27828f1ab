"""Regularizers against NumPy, in the loss and in the gradient. One without a row in the table fails."""

import json
import math

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, state

import minigrad as keras
from minigrad import ops, regularizers
from minigrad.utils import gradcheck


def orthogonality(w, factor=0.01):
    w = w / np.sqrt((w**2).sum(1, keepdims=True))
    cosines = np.abs(w @ w.T)
    n = len(w)
    return factor * 0.5 * (cosines.sum() - np.trace(cosines)) / (n * (n - 1) / 2)


REGULARIZERS = {
    "L1": (regularizers.L1, lambda w: 0.01 * np.abs(w).sum()),
    "L1 settings": (lambda: regularizers.L1(0.5), lambda w: 0.5 * np.abs(w).sum()),
    "L2": (regularizers.L2, lambda w: 0.01 * (w**2).sum()),
    "L2 settings": (lambda: regularizers.L2(0.3), lambda w: 0.3 * (w**2).sum()),
    "L1L2": (regularizers.L1L2, lambda w: 0.0),
    "L1L2 settings": (
        lambda: regularizers.L1L2(0.1, 0.2),
        lambda w: 0.1 * np.abs(w).sum() + 0.2 * (w**2).sum(),
    ),
    "OrthogonalRegularizer": (regularizers.OrthogonalRegularizer, orthogonality),
    "OrthogonalRegularizer columns": (
        lambda: regularizers.OrthogonalRegularizer(0.5, "columns"),
        lambda w: orthogonality(w.T, 0.5),
    ),
}


def test_every_regularizer_has_a_row():
    classes = {v.__name__ for v in regularizers.registry.members.values()}
    assert classes == {name.split()[0] for name in REGULARIZERS}


@pytest.mark.parametrize("make, formula", REGULARIZERS.values(), ids=REGULARIZERS)
def test_regularizers(make, formula):
    w = np.random.default_rng(0).standard_normal((4, 3))
    penalty = make()(keras.Tensor(w))
    assert penalty.shape == () and float(penalty) == pytest.approx(formula(w))
    if formula(w):
        assert gradcheck(make(), keras.Tensor(w, requires_grad=True))
        assert make()(keras.Tensor(w.astype("float32"))).dtype == np.float32
    again = regularizers.deserialize(json.loads(json.dumps(regularizers.serialize(make()))))
    assert again.get_config() == make().get_config()
    assert float(again(keras.Tensor(w))) == pytest.approx(formula(w))


@pytest.mark.parametrize("name, kind", [
    ("l1", "L1"), ("L1", "L1"), ("l2", "L2"), ("L2", "L2"), ("l1l2", "L1L2"), ("L1L2", "L1L2"),
    ("orthogonal_regularizer", "OrthogonalRegularizer"),
])
def test_names_of_regularizers(name, kind):
    assert type(regularizers.get(name)).__name__ == kind
    assert type(regularizers.l2(0.1)) is regularizers.L2 and regularizers.get(None) is None


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: regularizers.get("l3"), ["regularizer", "l3"]),
        (lambda: regularizers.get("l1_l2"), ["regularizer", "l1_l2", "l1l2"]),
        (lambda: regularizers.L1(-0.1), ["L1", "l1", "-0.1"]),
        (lambda: regularizers.L2(math.nan), ["L2", "l2", "nan"]),
        (lambda: regularizers.L2(math.inf), ["L2", "l2", "inf"]),
        (lambda: regularizers.L1L2(l2="0.1"), ["L1L2", "l2", "'0.1'"]),
        (lambda: regularizers.OrthogonalRegularizer(mode="rwos"), ["mode", "rwos", "rows"]),
        (
            lambda: regularizers.OrthogonalRegularizer()(keras.Tensor(np.ones(3))),
            ["OrthogonalRegularizer", "(3,)"],
        ),
    ],
)
def test_bad_regularizers(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_penalties_are_part_of_the_logged_loss_and_of_the_gradient(run_eagerly):
    x, y = data(16, target="regression")
    layer = keras.layers.Dense(
        1, kernel_regularizer=regularizers.L1L2(0.01, 0.1), bias_regularizer="l2", activity_regularizer="l2",
        bias_initializer="ones",
    )
    model = keras.Sequential([keras.Input((5,)), layer])
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=run_eagerly)
    kernel, bias = (w.astype("float64") for w in model.get_weights())
    for _ in range(3):
        p = x @ kernel + bias
        penalty = 0.01 * np.abs(kernel).sum() + 0.1 * (kernel**2).sum() + 0.01 * (bias**2).sum()
        penalty += 0.01 * (p**2).sum() / 16
        expected = ((p - y) ** 2).mean() + penalty
        assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
        # penalties take no part in sample weights
        weighted = model.evaluate(x, y, sample_weight=np.full(16, 3.0), verbose=0)
        assert weighted == pytest.approx(3 * (expected - penalty) + penalty, rel=1e-5)
        assert model.fit(x, y, batch_size=16, verbose=0).history["loss"] == pytest.approx(
            [expected], rel=1e-5
        )
        slope = (2 * (p - y) + 0.02 * p) / 16
        kernel = kernel - 0.01 * (x.T @ slope + 0.01 * np.sign(kernel) + 0.2 * kernel)
        bias = bias - 0.01 * (slope.sum(0) + 0.02 * bias)
        np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-4)
    layer.trainable = False  # a frozen layer pays nothing for its weights
    frozen = model.evaluate(x, y, verbose=0)
    p = x @ kernel + bias
    assert frozen == pytest.approx(((p - y) ** 2).mean() + 0.01 * (p**2).sum() / 16, rel=1e-4)


def test_plain_arrays_have_penalties_too():
    w = np.array([[1.0, -2.0], [0.0, 3.0]])
    assert float(regularizers.L1L2(0.1, 0.2)(w)) == pytest.approx(0.6 + 0.2 * 14)
    assert float(regularizers.L2(0.5)([[1, 2]])) == pytest.approx(2.5)


@pytest.mark.parametrize("make", [regularizers.L1, regularizers.L2, lambda: regularizers.L1L2(0.1, 0.1)])
def test_a_penalty_hides_no_nan_and_has_no_slope_at_zero(make):
    w = keras.Tensor([0.0, 1.0, np.nan, -1.0], requires_grad=True)
    penalty = make()(w)
    penalty.backward()
    assert np.isnan(float(penalty)) and np.isnan(w.grad).tolist() == [False, False, True, False]
    assert w.grad[0] == 0 and w.grad[3] == -w.grad[1] != 0


def test_a_penalty_of_many_weights_is_accurate():
    w = np.random.default_rng(0).standard_normal(1_000_000).astype("float32")
    exact = 0.01 * np.abs(w.astype("float64")).sum() + 0.02 * (w.astype("float64") ** 2).sum()
    assert float(regularizers.L1L2(0.01, 0.02)(keras.Tensor(w))) == pytest.approx(exact, rel=1e-6)


class Quartic(regularizers.Regularizer):
    """factor times the sum of w^4."""

    def __init__(self, factor=0.01):
        self.factor = factor

    def __call__(self, x):
        return self.factor * ops.sum(ops.square(ops.square(x)))

    def get_config(self):
        return {"factor": self.factor}


OWN = {
    "subclass": (lambda: Quartic(0.1), lambda w: 0.1 * (w**4).sum()),
    "function": (lambda: lambda w: 0.1 * ops.sum(ops.exp(w)), lambda w: 0.1 * np.exp(w).sum()),
    "base class": (regularizers.Regularizer, lambda w: 0.0),
    "orthogonal": (lambda: "orthogonal_regularizer", orthogonality),
    "l2": (lambda: "l2", lambda w: 0.01 * (w**2).sum()),
}


@pytest.mark.parametrize("make, formula", OWN.values(), ids=OWN)
def test_penalties_of_ones_own_are_recorded(make, formula):
    x, y = data(20, target="regression")

    def train(run_eagerly):
        keras.utils.set_random_seed(2)
        keras.utils.clear_session()
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, kernel_regularizer=make()), keras.layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        plain = float(ops.mean(ops.square(model(x) - y)))
        with Quiet():
            loss = model.evaluate(x, y, verbose=0)
            assert loss == pytest.approx(plain + formula(model.get_weights()[0].astype("float64")), rel=1e-5)
            model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model)

    assert_same(train(False), train(True))


def test_a_penalty_costs_one_kernel_each_way():
    """Two more for adding it to the loss and to the gradient, whose derivatives are copies of one number."""
    x, y = data(16, target="regression")
    counts = []
    for regularizer in (None, "l2"):
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_regularizer=regularizer)])
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=8, verbose=0)
        names = [kernel.name for kernel, *_ in model.train_program.instructions if kernel.name != "copy"]
        counts.append({name: names.count(name) for name in names})
    added = {name: n - counts[0].get(name, 0) for name, n in counts[1].items() if n != counts[0].get(name, 0)}
    assert added == {"penalty": 1, "penalty_vjp": 1, "add": 1, "add_to": 1}
