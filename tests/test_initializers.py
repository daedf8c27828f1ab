"""Initializers: ranges, variances, seeds; regularizers and constraints against NumPy.

One without a row in its table fails.
"""

import json
import math

import numpy as np
import pytest
from helpers import assert_same, data

import minigrad as keras
from minigrad import constraints, initializers, ops, regularizers
from minigrad.utils import gradcheck

SHAPE = (300, 400)


class Random:
    """A random initializer: its deviation, its bound (None if there is none), its mean, its distribution."""

    def __init__(self, make, deviation, bound=None, mean=0.0, is_uniform=False):
        self.make, self.deviation, self.bound, self.mean, self.is_uniform = (
            make,
            deviation,
            bound,
            mean,
            is_uniform,
        )


def uniform(make, variance, **k):
    return Random(make, math.sqrt(variance), math.sqrt(3 * variance), is_uniform=True, **k)


def truncated(make, variance, **k):
    """A normal one cut at two deviations, whose variance after the cut is as given."""
    return Random(make, math.sqrt(variance), 2 * math.sqrt(variance) / 0.87962566103423978, **k)


RANDOM = {
    "RandomNormal": Random(initializers.RandomNormal, 0.05),
    "RandomNormal settings": Random(
        lambda **k: initializers.RandomNormal(mean=1.0, stddev=2.0, **k), 2.0, mean=1.0
    ),
    "TruncatedNormal": Random(initializers.TruncatedNormal, 0.05 * 0.87962566103423978, 0.1),
    "TruncatedNormal settings": Random(
        lambda **k: initializers.TruncatedNormal(0.0, 0.5, **k), 0.5 * 0.87962566103423978, 1.0
    ),
    "RandomUniform": uniform(initializers.RandomUniform, 0.05**2 / 3),
    "RandomUniform settings": uniform(lambda **k: initializers.RandomUniform(-2, 2, **k), 4 / 3),
    "GlorotUniform": uniform(initializers.GlorotUniform, 2 / 700),
    "GlorotNormal": truncated(initializers.GlorotNormal, 2 / 700),
    "HeUniform": uniform(initializers.HeUniform, 2 / 300),
    "HeNormal": truncated(initializers.HeNormal, 2 / 300),
    "LecunUniform": uniform(initializers.LecunUniform, 1 / 300),
    "LecunNormal": truncated(initializers.LecunNormal, 1 / 300),
    "VarianceScaling": truncated(initializers.VarianceScaling, 1 / 300),
    "VarianceScaling fan_out": truncated(
        lambda **k: initializers.VarianceScaling(scale=3.0, mode="fan_out", distribution="normal", **k),
        3 / 400,
    ),
    "VarianceScaling untruncated": Random(
        lambda **k: initializers.VarianceScaling(2.0, "fan_avg", "untruncated_normal", **k),
        math.sqrt(2 / 350),
    ),
    "VarianceScaling uniform": uniform(
        lambda **k: initializers.VarianceScaling(0.5, distribution="uniform", **k), 0.5 / 300
    ),
    "VarianceScaling axes": truncated(
        lambda **k: initializers.VarianceScaling(1.0, "fan_in", input_axes=[1], output_axes=[0], **k), 1 / 400
    ),
    "Orthogonal": Random(initializers.Orthogonal, 1 / math.sqrt(400)),
    "Orthogonal gain": Random(lambda **k: initializers.Orthogonal(gain=3.0, **k), 3 / math.sqrt(400)),
}

CONSTANT = {
    "Zeros": (initializers.Zeros, np.zeros(SHAPE)),
    "Ones": (initializers.Ones, np.ones(SHAPE)),
    "Constant": (lambda: initializers.Constant(2.5), np.full(SHAPE, 2.5)),
    "Constant default": (initializers.Constant, np.zeros(SHAPE)),
    "Identity": (initializers.Identity, np.eye(*SHAPE)),
    "Identity gain": (lambda: initializers.Identity(gain=-2.0), -2 * np.eye(*SHAPE)),
}

every_random = pytest.mark.parametrize("row", RANDOM.values(), ids=RANDOM)


def test_every_initializer_has_a_row():
    classes = {v.__name__ for v in initializers.registry.members.values()}
    assert classes == {name.split()[0] for name in [*RANDOM, *CONSTANT]}


@every_random
def test_distribution(row):
    values = row.make(seed=3)(SHAPE)
    assert values.shape == SHAPE and values.dtype == np.float32
    n = values.size
    assert abs(values.mean() - row.mean) < 5 * row.deviation / math.sqrt(n)
    assert values.std() == pytest.approx(row.deviation, rel=0.01)
    extent = np.abs(values - row.mean).max()
    if row.bound is not None:
        assert 0.99 * row.bound < extent <= row.bound * (1 + 1e-6)
    else:
        assert extent > 3 * row.deviation
    if row.is_uniform:
        shares = np.histogram(values, 20)[0] / n
        np.testing.assert_allclose(shares, 1 / 20, rtol=0.06)
    elif row.bound is not None:
        # A cut normal: 2 P(Z < 0.5) - 1 of 2 P(Z < 2) - 1 lies within half a deviation of the uncut one.
        within = (np.abs(values - row.mean) < row.bound / 4).mean()
        assert within == pytest.approx(0.38292492 / 0.95449974, rel=0.02)


@every_random
def test_seeds(row):
    """A seed means values; an instance repeats itself; instances without a seed follow the global one."""
    assert_same(row.make(seed=3)(SHAPE), row.make(seed=3)(SHAPE))
    assert not np.array_equal(row.make(seed=3)(SHAPE), row.make(seed=4)(SHAPE))
    one = row.make()
    assert_same(one(SHAPE), one(SHAPE))
    assert not np.array_equal(one(SHAPE), row.make()(SHAPE))
    keras.utils.set_random_seed(5)
    first, second = row.make()(SHAPE), row.make()(SHAPE)
    keras.utils.set_random_seed(5)
    assert_same(row.make()(SHAPE), first)
    assert_same(row.make()(SHAPE), second)
    np.random.seed(0)
    np.random.random(3)  # NumPy's own state plays no part
    assert_same(row.make(seed=3)(SHAPE), row.make(seed=3)(SHAPE))


@every_random
def test_float64_has_more_digits_of_the_same_values(row):
    double, single = row.make(seed=1)(SHAPE, "float64"), row.make(seed=1)(SHAPE, "float32")
    assert double.dtype == np.float64
    assert_same(double.astype("float32"), single)
    assert not np.array_equal(double, single)


@pytest.mark.parametrize("make, values", CONSTANT.values(), ids=CONSTANT)
def test_constants(make, values):
    for dtype in ("float32", "float64"):
        assert_same(make()(SHAPE, dtype), values.astype(dtype))
    assert make()(SHAPE).dtype == np.float32


@pytest.mark.parametrize(
    "make", [*(row.make for row in RANDOM.values()), *(make for make, _ in CONSTANT.values())]
)
def test_config_round_trip(make):
    initializer = make()
    again = initializers.deserialize(json.loads(json.dumps(initializers.serialize(initializer))))
    assert type(again) is type(initializer) and again.get_config() == initializer.get_config()
    if "seed" in initializer.get_config():
        seeded = make(seed=7)
        assert_same(initializers.deserialize(initializers.serialize(seeded))(SHAPE), seeded(SHAPE))


@pytest.mark.parametrize("shape, expected", [
    ((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((2, 3, 5), (6, 10)), ((2, 3, 4, 5), (24, 30))
])
def test_fans(shape, expected):
    assert initializers.fans(shape) == expected
    values = initializers.HeUniform(seed=0)(shape)
    assert values.shape == shape and np.abs(values).max() <= math.sqrt(6 / expected[0])


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (2, 3, 4), (1, 6), (6, 1)])
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_orthogonal(shape, gain):
    matrix = initializers.Orthogonal(gain, seed=0)(shape, "float64").reshape(-1, shape[-1])
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


def test_the_numbers_of_keras():
    glorot = initializers.GlorotUniform(seed=0)(SHAPE)
    assert 0.0925 < np.abs(glorot).max() <= 0.0925821
    he = initializers.HeNormal(seed=0)(SHAPE)
    assert np.abs(he).max() <= 2 * math.sqrt(2 / 300) / 0.8796256 * (1 + 1e-6)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("glorot_uniform", "GlorotUniform"),
        ("GlorotUniform", "GlorotUniform"),
        ("xavier_uniform", "GlorotUniform"),
        ("xavier_normal", "GlorotNormal"),
        ("glorot_normal", "GlorotNormal"),
        ("he_normal", "HeNormal"),
        ("HeUniform", "HeUniform"),
        ("lecun_normal", "LecunNormal"),
        ("lecun_uniform", "LecunUniform"),
        ("zeros", "Zeros"),
        ("zero", "Zeros"),
        ("ones", "Ones"),
        ("one", "Ones"),
        ("normal", "RandomNormal"),
        ("uniform", "RandomUniform"),
        ("random_normal", "RandomNormal"),
        ("truncated_normal", "TruncatedNormal"),
        ("orthogonal", "Orthogonal"),
        ("identity", "Identity"),
        ("variance_scaling", "VarianceScaling"),
        ("constant", "Constant"),
    ],
)
def test_names(name, kind):
    assert type(initializers.get(name)).__name__ == kind
    assert type(initializers.get(getattr(initializers, kind))).__name__ == kind


def test_glorot_uniform_is_the_default_of_dense():
    layer = keras.layers.Dense(3)
    assert type(layer.kernel_initializer) is initializers.GlorotUniform
    assert type(layer.bias_initializer) is initializers.Zeros


def test_layers_with_one_instance_start_equal_and_with_one_name_do_not():
    shared = initializers.HeNormal()
    a, b, c, d = (
        keras.layers.Dense(4, kernel_initializer=i) for i in (shared, shared, "he_normal", "he_normal")
    )
    for layer in (a, b, c, d):
        layer.build((None, 6))
    assert_same(a.kernel.numpy(), b.kernel.numpy())
    assert not np.array_equal(c.kernel.numpy(), d.kernel.numpy())


def test_a_function_as_initializer():
    layer = keras.layers.Dense(2, kernel_initializer=lambda shape, dtype=None: np.full(shape, 0.5, dtype))
    layer.build((None, 3))
    assert_same(layer.kernel.numpy(), np.full((3, 2), 0.5, "float32"))


@pytest.mark.parametrize("make, words", [
    (lambda: initializers.get("he_norml"), ["initializer", "he_norml", "he_normal"]),
    (lambda: initializers.get(3), ["initializer", "3"]),
    (lambda: initializers.VarianceScaling(scale=0.0), ["VarianceScaling", "scale", "0.0"]),
    (lambda: initializers.VarianceScaling(scale=-1), ["VarianceScaling", "scale", "-1"]),
    (lambda: initializers.VarianceScaling(mode="fan"), ["VarianceScaling", "mode", "fan", "fan_in"]),
    (lambda: initializers.VarianceScaling(distribution="cauchy"), ["distribution", "cauchy", "uniform"]),
    (lambda: initializers.HeNormal(seed="1"), ["HeNormal", "seed", "'1'"]),
    (lambda: initializers.Identity()((3,)), ["Identity", "(3,)"]),
    (lambda: initializers.Orthogonal()((3,)), ["Orthogonal", "(3,)"]),
])
def test_bad_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


# ---------------------------------------------------------------------------------------------- regularizers


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


# ----------------------------------------------------------------------------------------------- constraints


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


@pytest.mark.parametrize("name", ["nonneg", "maxnorm"])
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
