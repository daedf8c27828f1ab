"""Initializers: ranges, variances, seeds. One without a row in the tables fails."""

import json
import math

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import initializers

SHAPE = (300, 400)  # enough numbers for a distribution
SMALL = (6, 9)


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
    assert_same(row.make(seed=3)(SMALL), row.make(seed=3)(SMALL))
    assert not np.array_equal(row.make(seed=3)(SMALL), row.make(seed=4)(SMALL))
    one = row.make()
    assert_same(one(SMALL), one(SMALL))
    assert not np.array_equal(one(SMALL), row.make()(SMALL))
    keras.utils.set_random_seed(5)
    first, second = row.make()(SMALL), row.make()(SMALL)
    keras.utils.set_random_seed(5)
    assert_same(row.make()(SMALL), first)
    assert_same(row.make()(SMALL), second)
    np.random.seed(0)
    np.random.random(3)  # NumPy's own state plays no part
    assert_same(row.make(seed=3)(SMALL), row.make(seed=3)(SMALL))


@every_random
def test_float64_has_more_digits_of_the_same_values(row):
    double, single = row.make(seed=1)(SMALL, "float64"), row.make(seed=1)(SMALL, "float32")
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
        assert_same(initializers.deserialize(initializers.serialize(seeded))(SMALL), seeded(SMALL))


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


def test_a_seed_generator_gives_new_values_each_time():
    seeds = keras.random.SeedGenerator(3)
    make = initializers.HeNormal(seeds)
    first, second = make((4, 3)), make((4, 3))
    assert not np.array_equal(first, second)
    again = initializers.HeNormal(keras.random.SeedGenerator(3))
    assert_same([again((4, 3)), again((4, 3))], [first, second])


def test_keras_other_names():
    assert initializers.he_normal is initializers.HeNormal and initializers.glorot_uniform is initializers.GlorotUniform
    assert initializers.truncated_normal(stddev=0.1).stddev == 0.1
    assert initializers.IdentityInitializer is initializers.identity


def test_variables_by_the_name_of_an_initializer():
    assert keras.Variable("ones", shape=(2, 3)).numpy().tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(ValueError, match="zeroes.*zeros"):
        keras.Variable("zeroes", shape=(2,))


def test_arrays_are_the_values_themselves():
    eye = np.eye(2, dtype="float32")
    for given in (eye, keras.Tensor(eye)):
        layer = keras.layers.Dense(2, kernel_initializer=given)
        layer.build((None, 2))
        assert_same(layer.kernel.numpy(), eye)
        again = keras.layers.Dense.from_config(json.loads(json.dumps(layer.get_config())))
        again.build((None, 2))
        assert_same(again.kernel.numpy(), eye)
    assert_same(keras.layers.Layer().add_weight(shape=(2, 2), initializer=eye).numpy(), eye)
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(3, 2\)"):
        keras.layers.Dense(2, kernel_initializer=eye).build((None, 3))
