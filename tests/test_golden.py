"""minigrad against the numbers of the real Keras: fixtures of golden/make_golden.py, and some written here.

Training runs must agree as closely as Keras agrees with itself after a nudge of its initial weights by 1e-6.
"""
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as keras

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_golden as golden

TRAINING = dict(np.load(golden.FOLDER / "training.npz"))
VALUES = dict(np.load(golden.FOLDER / "values.npz"))
PROBES = sorted({name.rsplit("|", 1)[0] for name in VALUES if "|" in name})


def section(fixture, name):
    """The entries below `name`, without it."""
    return {key[len(name) + 1:]: value for key, value in fixture.items() if key.startswith(name + "|")}


def near(actual, expected, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol)


# ---------------------------------------------------------------------------------------------- training runs

@pytest.mark.parametrize("name", golden.CASES)
def test_training_run(name):
    recorded = section(TRAINING, name)
    expected = {key: value for key, value in recorded.items() if not key.endswith("|nudged")}
    nudged = {key: recorded[f"{key}|nudged"] for key in expected}
    case = golden.CASES[name]
    assert not golden.problems(case, golden.train(keras, case), expected, nudged)


# --------------------------------------------------------------------------------------- values and gradients

@pytest.fixture(scope="module")
def probes():
    return golden.probes(keras)


def evaluate(probe):
    """The output, the gradients of inputs and trainable weights, and all weights afterwards."""
    inputs = [keras.Tensor(a, requires_grad=True) for a in probe.inputs]
    sources = inputs + (probe.layer.trainable_weights if probe.layer else [])
    y = probe.call(*inputs)
    y.backward(golden.upstream_of(y.numpy()))
    return [y.numpy(), *(s.grad for s in sources), *(probe.layer.get_weights() if probe.layer else [])]


def test_every_probe_is_recorded(probes):
    assert set(probes) == set(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_value_and_gradients(name, probes):
    expected = section(VALUES, name)
    actual = evaluate(probes[name])
    assert len(actual) == len(expected)
    for i, value in enumerate(actual):
        assert np.shape(value) == expected[str(i)].shape
        near(value, expected[str(i)])


@pytest.mark.parametrize("i, name, options", [(i, *spec) for i, spec in enumerate(golden.ACTIVATIONS)])
def test_activation_at_kinks(i, name, options):
    """Where a function has a kink (backends differ there), its slope lies between those of the two sides."""
    def value_and_slope(x):
        x = keras.Tensor(x, requires_grad=True)
        y = keras.activations.get(name)(x, **options)
        y.backward(np.ones(y.shape, "float32"))
        return y.numpy(), x.grad

    values, slopes = value_and_slope(golden.KINKS)
    near(values, VALUES[f"kinks {i}"])
    sides = [value_and_slope(golden.KINKS + shift)[1] for shift in (-1e-4, 1e-4)]
    assert np.all(slopes >= np.minimum(*sides) - 1e-3) and np.all(slopes <= np.maximum(*sides) + 1e-3)


def test_relu_has_no_slope_at_zero():
    x = keras.Tensor(np.zeros(3, "float32"), requires_grad=True)
    keras.activations.relu(x).backward(np.ones(3, "float32"))
    near(x.grad, np.zeros(3))


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    """max(x - tau, 0) with sum 1 (arXiv:1602.02068). Keras 3.15 adds up the wrong sums."""
    x = golden.ROWS
    y = keras.activations.sparsemax(keras.Tensor(x)).numpy()
    near(y.sum(axis=1), np.ones(len(x)))
    tau = np.max(np.where(y > 0, x - y, -np.inf), axis=1, keepdims=True)
    near(y, np.maximum(x - tau, 0), atol=1e-5)


@pytest.mark.parametrize("i", range(len(golden.METRICS)))
def test_metric(i):
    near(golden.metric_trace(keras, *golden.METRICS[i]), VALUES[f"metric {i}"])


@pytest.mark.parametrize("i", range(len(golden.OPTIMIZERS)))
def test_optimizer(i):
    near(golden.optimizer_trace(keras, keras.Tensor, *golden.OPTIMIZERS[i]), VALUES[f"optimizer {i}"])


# ------------------------------------------------------------------------ one variable, gradients 1, -2 and 3

@pytest.mark.parametrize("name, options, values", [
    ("SGD", {}, (0.9, 1.1, 0.8)),
    ("SGD", {"momentum": 0.9}, (0.9, 1.01, 0.809)),
    ("SGD", {"momentum": 0.9, "nesterov": True}, (0.81, 1.109, 0.6281)),
    ("Adam", {}, (0.9000010, 0.9366109, 0.9022870)),
    ("Adam", {"amsgrad": True}, (0.9000010, 0.9366109, 0.9022870)),
    ("Adam", {"weight_decay": 0.1}, (0.8900010, 0.9177110, 0.8742099)),
    ("SGD", {"clipnorm": 1.0}, (0.9, 1.0, 0.9)),
    ("SGD", {"clipvalue": 0.5}, (0.95, 1.0, 0.95)),
    ("SGD", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2}, (0.9, 0.92, 0.62)),
    ("SGD", {"gradient_accumulation_steps": 2}, (1.0, 1.05, 1.05)),
    ("Adam", {"gradient_accumulation_steps": 2}, (1.0, 1.0999987, 1.0999987)),
])
@pytest.mark.parametrize("entrance", ["apply", "apply_gradients"])
def test_optimizer_steps_of_one_variable(name, options, values, entrance):
    variable = keras.Variable(1.0)
    optimizer = getattr(keras.optimizers, name)(0.1, **options)
    for gradient, value in zip((1.0, -2.0, 3.0), values):
        if entrance == "apply":
            optimizer.apply([keras.Tensor(gradient)], [variable])
        else:
            optimizer.apply_gradients([(keras.Tensor(gradient), variable)])
        near(variable.numpy(), value, rtol=0, atol=2e-7)


# --------------------------------------------------------------------------------------------- layers by hand

COLUMNS = np.array([[1, 10], [3, 14], [8, 30]], "float32")


def test_batch_normalization_of_two_columns():
    layer = keras.layers.BatchNormalization()
    trained = layer(COLUMNS, training=True).numpy()
    near(trained, [[-1.018990, -0.925814], [-0.339664, -0.462907], [1.358654, 1.388721]])
    gamma, beta, mean, variance = layer.get_weights()
    near(gamma, [1, 1])
    near(beta, [0, 0])
    near(mean, [0.04, 0.18])
    near(variance, [1.076667, 1.736667])
    near(layer(COLUMNS).numpy(), [[0.92476, 7.44952], [2.85134, 10.48395], [7.66780, 22.62166]])


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 1.0])
def test_dropout_keeps_and_scales_in_training_only(rate):
    x = np.ones((300, 200), "float32")
    layer = keras.layers.Dropout(rate, seed=1)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    y = layer(x, training=True).numpy()
    kept = y != 0
    near(y[kept], 1 / (1 - rate) if rate < 1 else 1)
    assert abs(kept.mean() - (1 - rate)) <= 5 * np.sqrt(rate * (1 - rate) / x.size)
    if 0 < rate < 1:
        assert abs(kept.mean(axis=0) - (1 - rate)).max() < 5.5 * np.sqrt(rate * (1 - rate) / 300)
        assert np.any(layer(x, training=True).numpy() != y), "every call draws a new mask"


# --------------------------------------------------------------------------------------------- losses by hand

Y = np.array([[0], [1], [1], [0]], "float32")
P = np.array([[0.1], [0.9], [1], [1]], "float32")
PAIR = np.array([[0.2, 0.3, 0.6], [1, 0, 0]], "float32")
PAIR_HOT = np.array([[0, 0, 1], [0, 1, 0]], "float32")


def loss_value(name, y, p, sample_weight=None, **options):
    return getattr(keras.losses, name)(**options)(y, p, sample_weight=sample_weight).numpy()


def test_binary_crossentropy_by_hand():
    rows = loss_value("BinaryCrossentropy", Y, P, reduction="none")
    near(rows, [0.10536055, 0.10536055, 1.1920929e-07, 15.9423847], atol=1e-9, rtol=3e-6)
    near(loss_value("BinaryCrossentropy", Y, P), 4.0382767)
    near(loss_value("BinaryCrossentropy", Y, P, label_smoothing=0.2), 4.148137)
    logits = np.array([[-3], [50], [-50], [100]], "float32")
    rows = loss_value("BinaryCrossentropy", Y, logits, from_logits=True, reduction="none")
    near(rows, [0.04858735, 0, 50, 100])


def test_mean_squared_error_reductions_by_hand():
    weights = np.array([1, 2, 0, 0], "float32")
    values = {"sum_over_batch_size": 0.0075, "mean_with_sample_weight": 0.01, "sum": 0.03}
    for reduction, value in values.items():
        near(loss_value("MeanSquaredError", Y, P, weights, reduction=reduction), value, atol=1e-8)


@pytest.mark.parametrize("options, rows", [
    ({}, [0.6061358, 16.118095]),
    ({"from_logits": True}, [0.88009894, 1.5514446]),
    ({"label_smoothing": 0.3}, [0.78531176, 14.506287]),
])
def test_categorical_crossentropies_by_hand(options, rows):
    near(loss_value("CategoricalCrossentropy", PAIR_HOT, PAIR, reduction="none", **options), rows, rtol=2e-6)
    if "label_smoothing" not in options:
        labels = np.array([2, 1])
        sparse = loss_value("SparseCategoricalCrossentropy", labels, PAIR, reduction="none", **options)
        near(sparse, rows, rtol=2e-6)


# -------------------------------------------------------------------------------------------- metrics by hand

@pytest.mark.parametrize("name, arguments, weights, value", [
    ("BinaryAccuracy", ([0, 1, 1, 0], [.5, .5001, .2, .1]), None, 0.75),
    ("BinaryAccuracy", ([[0, 1], [1, 1]], [[.1, .9], [.1, .9]]), [1, 3], 0.625),
    ("Accuracy", ([1, 2, 3], [1, 2, 4]), [1, 1, 2], 0.5),
    ("Mean", ([[1, 2], [3, 5]],), None, 2.75),
    ("Mean", ([[1, 2], [3, 5]],), [1, 3], 3.375),
])
def test_metric_by_hand(name, arguments, weights, value):
    metric = getattr(keras.metrics, name)()
    arrays = [np.array(a, "float32") for a in arguments]
    near(metric(*arrays, sample_weight=None if weights is None else np.array(weights, "float32")), value)


def test_losses_and_weighted_metrics_in_the_log():
    """A frozen identity on 0..9 against 0. The loss divides by rows, weighted or not; metrics by weights."""
    x = np.arange(10, dtype="float32")[:, None]
    y = np.zeros_like(x)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, trainable=False)])
    model.set_weights([np.ones((1, 1), "float32"), np.zeros(1, "float32")])
    model.compile(optimizer="sgd", loss="mse", metrics=["mae"],
                  weighted_metrics=[keras.metrics.MeanAbsoluteError()])
    plain = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    assert plain == pytest.approx({"loss": 28.5, "mae": 4.5, "mean_absolute_error": 4.5})
    weights = np.arange(1, 11, dtype="float32")
    logs = model.evaluate(x, y, batch_size=4, sample_weight=weights, verbose=0, return_dict=True)
    assert logs == pytest.approx({"loss": float((weights * x[:, 0] ** 2).sum() / 10), "mae": 4.5,
                                  "mean_absolute_error": 6.0})


# ----------------------------------------------------------------------------------------------- initializers

def glorot(shape):
    return np.sqrt(2 / sum(shape))


def he(shape):
    return np.sqrt(2 / shape[0])


def lecun(shape):
    return np.sqrt(1 / shape[0])


SHAPE = (300, 400)
CUT = 0.87962566103423978  # deviation of a standard normal cut at 2; Keras widens truncated normals by it


@pytest.mark.parametrize("name, options, deviation, bound", [
    ("GlorotUniform", {}, glorot(SHAPE), np.sqrt(3) * glorot(SHAPE)),
    ("HeUniform", {}, he(SHAPE), np.sqrt(3) * he(SHAPE)),
    ("LecunUniform", {}, lecun(SHAPE), np.sqrt(3) * lecun(SHAPE)),
    ("GlorotNormal", {}, glorot(SHAPE), 2 * glorot(SHAPE) / CUT),
    ("HeNormal", {}, he(SHAPE), 2 * he(SHAPE) / CUT),
    ("LecunNormal", {}, lecun(SHAPE), 2 * lecun(SHAPE) / CUT),
    ("RandomUniform", {}, 0.1 / np.sqrt(12), 0.05),
    ("RandomUniform", {"minval": -2.0, "maxval": 2.0}, 4 / np.sqrt(12), 2),
    ("RandomNormal", {}, 0.05, np.inf),
    ("RandomNormal", {"stddev": 2.0}, 2, np.inf),
    ("TruncatedNormal", {}, 0.05 * CUT, 0.1),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out"}, np.sqrt(3 / 400), 2 * np.sqrt(3 / 400) / CUT),
    ("VarianceScaling", {"mode": "fan_avg", "distribution": "untruncated_normal"}, np.sqrt(1 / 350), np.inf),
    ("VarianceScaling", {"distribution": "uniform"}, np.sqrt(1 / 300), np.sqrt(3 / 300)),
])
def test_initializer_distribution(name, options, deviation, bound):
    make = getattr(keras.initializers, name)
    w = np.asarray(make(seed=4, **options)(SHAPE))
    assert w.shape == SHAPE and w.dtype == np.float32
    assert abs(w.mean()) < 5 * deviation / np.sqrt(w.size)
    assert abs(w.std() / deviation - 1) < 0.01
    largest = abs(w).max()
    assert largest <= bound * (1 + 1e-6)
    assert largest > 0.99 * bound if np.isfinite(bound) else largest > 3.5 * deviation
    np.testing.assert_array_equal(np.asarray(make(seed=4, **options)(SHAPE)), w)
    assert np.any(np.asarray(make(seed=5, **options)(SHAPE)) != w)


def test_initializers_without_chance():
    near(keras.initializers.Zeros()((2, 3)), np.zeros((2, 3)))
    near(keras.initializers.Ones()((2, 3)), np.ones((2, 3)))
    near(keras.initializers.Constant(-1.5)((2, 3)), np.full((2, 3), -1.5))
    near(keras.initializers.Identity(gain=2.0)((2, 3)), 2 * np.eye(2, 3))


@pytest.mark.parametrize("shape", [(6, 6), (3, 7), (7, 3)])
def test_orthogonal_initializer(shape):
    w = np.asarray(keras.initializers.Orthogonal(gain=2.0, seed=1)(shape))
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    near(gram, 4 * np.eye(min(shape)), atol=1e-5)
