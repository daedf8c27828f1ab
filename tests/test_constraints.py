"""Constraints against NumPy, and after each update. One without a row in the table fails."""

import json

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, state

import minigrad as keras
from minigrad import constraints, ops


def norms(w, axis):
    return np.sqrt((w**2).sum(axis, keepdims=True))


CONSTRAINTS = {
    "NonNeg": (constraints.NonNeg, lambda w: np.maximum(w, 0)),
    "MaxNorm": (constraints.MaxNorm, lambda w: w * np.clip(norms(w, 0), 0, 2) / (1e-7 + norms(w, 0))),
    "MaxNorm settings": (
        lambda: constraints.MaxNorm(0.5, axis=1),
        lambda w: w * np.clip(norms(w, 1), 0, 0.5) / (1e-7 + norms(w, 1)),
    ),
    "MaxNorm axes": (
        lambda: constraints.MaxNorm(0.5, axis=[0, 1]),
        lambda w: w * np.clip(norms(w, (0, 1)), 0, 0.5) / (1e-7 + norms(w, (0, 1))),
    ),
    "UnitNorm": (constraints.UnitNorm, lambda w: w / (1e-7 + norms(w, 0))),
    "UnitNorm settings": (lambda: constraints.UnitNorm(axis=1), lambda w: w / (1e-7 + norms(w, 1))),
    "MinMaxNorm": (constraints.MinMaxNorm, lambda w: w * np.clip(norms(w, 0), 0, 1) / (1e-7 + norms(w, 0))),
    "MinMaxNorm settings": (
        lambda: constraints.MinMaxNorm(0.5, 0.8, rate=0.25, axis=1),
        lambda w: w * (0.25 * np.clip(norms(w, 1), 0.5, 0.8) + 0.75 * norms(w, 1)) / (1e-7 + norms(w, 1)),
    ),
}


def test_every_constraint_has_a_row():
    classes = {v.__name__ for v in constraints.registry.members.values()}
    assert classes == {name.split()[0] for name in CONSTRAINTS}


@pytest.mark.parametrize("make, formula", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_constraints(make, formula):
    for w in (np.random.default_rng(0).standard_normal((4, 3)), np.zeros((4, 3)), np.full((4, 3), 1e-3)):
        np.testing.assert_allclose(make()(keras.Tensor(w)).numpy(), formula(w), rtol=1e-9, atol=1e-12)
    again = constraints.deserialize(json.loads(json.dumps(constraints.serialize(make()))))
    assert type(again) is type(make()) and again.get_config() == make().get_config()


@pytest.mark.parametrize("name, kind", [
    ("max_norm", "MaxNorm"), ("MaxNorm", "MaxNorm"), ("non_neg", "NonNeg"), ("unit_norm", "UnitNorm"),
    ("min_max_norm", "MinMaxNorm"),
])
def test_names_of_constraints(name, kind):
    assert type(constraints.get(name)).__name__ == kind and constraints.get(None) is None


@pytest.mark.parametrize("name", ["nonnegative", "largestnorm"])
def test_unknown_constraints(name):
    with pytest.raises(ValueError, match=f"Unknown constraint: '{name}'"):
        constraints.get(name)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_constraints_hold_after_every_step(run_eagerly):
    x, y = data(24, target="regression")
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(3, kernel_constraint="unit_norm", bias_constraint="non_neg"),
            keras.layers.BatchNormalization(gamma_constraint="non_neg"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.02), "mse", run_eagerly=run_eagerly)

    class Check(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            kernel, bias, gamma = self.model.get_weights()[:3]
            np.testing.assert_allclose(norms(kernel, 0), 1, rtol=1e-5)
            assert (bias >= 0).all() and (gamma >= 0).all()

    check = Check()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[check])
    assert check.steps == 6


def test_a_constraint_of_ones_own_records():
    def halve(w):
        return ops.multiply(w, 0.5)

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_constraint=halve)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    before = model.get_weights()[0]
    model.fit(*data(16), batch_size=8, verbose=0)
    assert_same(model.get_weights()[0], before / 4)
    assert model.train_program is not None


def test_plain_arrays_can_be_constrained_too():
    w = np.array([[3.0, 1.0], [4.0, -1.0]])
    np.testing.assert_allclose(constraints.MaxNorm(2)(w).numpy(), [[1.2, 1.0], [1.6, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(constraints.NonNeg()(w).numpy(), [[3, 1], [4, 0]])
    assert constraints.Constraint()(w) is w
    assert constraints.max_norm is constraints.MaxNorm and constraints.unit_norm is constraints.UnitNorm


@pytest.mark.parametrize("name", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_constraints_hide_no_nan(name):
    y = constraints.get(name)(keras.Tensor([[np.nan, 1.0], [1.0, 2.0]])).numpy()
    assert np.isnan(y[0, 0]) and np.isfinite(y[:, 1]).all()


class Centred(constraints.Constraint):
    """The mean of each column becomes 0."""

    def __call__(self, w):
        return w - ops.mean(w, axis=0, keepdims=True)


@pytest.mark.parametrize("constraint", [
    Centred(), "max_norm", "non_neg", "unit_norm", constraints.MinMaxNorm(0.2, 0.4, rate=0.5, axis=1),
], ids=["of one's own", "max_norm", "non_neg", "unit_norm", "MinMaxNorm"])
def test_constraints_are_recorded(constraint):
    def train(run_eagerly):
        keras.utils.set_random_seed(2)
        keras.utils.clear_session()
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, kernel_constraint=constraint), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=run_eagerly)
        with Quiet():
            model.fit(*data(20, target="regression"), batch_size=8, epochs=2, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model)

    trained = train(False)
    assert_same(trained, train(True))
    kernel = trained["weight 0 dense/kernel"]
    if isinstance(constraint, Centred):
        np.testing.assert_allclose(kernel.mean(0), 0, atol=1e-6)


def test_a_constraint_that_reads_values_trains_eagerly():
    def top_two(w):
        values = w.numpy()
        return np.where(np.abs(values) >= np.sort(np.abs(values), 0)[-2], values, 0)

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_constraint=top_two)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="eager"):
        model.fit(*data(16, target="regression"), batch_size=8, verbose=0)
    assert np.count_nonzero(model.get_weights()[0]) == 2
