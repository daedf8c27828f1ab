"""Every metric against NumPy in float64, over batches of different sizes, with and without weights.

A metric without a row in `METRICS` fails.
"""

import inspect
import json

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network
from test_losses import binary, categorical, softmax, sparse

import minigrad as keras
from minigrad import metrics, ops


def with_columns(formula):
    """A formula over the last axis, for flat arrays too."""
    return lambda y, p: formula(*(a[:, None] if a.ndim == 1 else a for a in (y, p)))


def match_binary(y, p, threshold=0.5):
    return ((p > threshold) == y).mean(-1)


class Row:
    """A metric, the value of each row, and what targets and outputs look like."""

    def __init__(self, make, formula, sample, finish=lambda value: value):
        self.make, self.formula, self.sample, self.finish = make, formula, sample, finish


def binary_sample(generator, n):
    return (generator.uniform(0, 1, (n, 1)) > 0.4).astype(float), generator.uniform(0.02, 0.98, (n, 1))


def multilabel_sample(generator, n):
    return (generator.uniform(0, 1, (n, 4)) > 0.4).astype(float), generator.uniform(0.02, 0.98, (n, 4))


def one_hot_sample(generator, n):
    return np.eye(3)[generator.integers(0, 3, n)], softmax(generator.standard_normal((n, 3)))


def label_sample(generator, n):
    return generator.integers(0, 3, n).astype(float), softmax(generator.standard_normal((n, 3)))


def number_sample(generator, n):
    return generator.standard_normal((n, 2)), generator.standard_normal((n, 2))


def class_sample(generator, n):
    return generator.integers(0, 3, (n, 1)).astype(float), generator.integers(0, 3, (n, 1)).astype(float)


def value_sample(generator, n):
    return (generator.standard_normal(n),)


METRICS = {
    "Mean": Row(metrics.Mean, lambda v: v, value_sample),
    "Sum": Row(metrics.Sum, lambda v: v, value_sample),
    "Accuracy": Row(metrics.Accuracy, lambda y, p: (y == p).mean(-1), class_sample),
    "BinaryAccuracy": Row(metrics.BinaryAccuracy, match_binary, binary_sample),
    "BinaryAccuracy of several": Row(metrics.BinaryAccuracy, match_binary, multilabel_sample),
    "BinaryAccuracy threshold": Row(
        lambda **k: metrics.BinaryAccuracy(threshold=0.2, **k),
        lambda y, p: match_binary(y, p, 0.2),
        binary_sample,
    ),
    "CategoricalAccuracy": Row(
        metrics.CategoricalAccuracy, lambda y, p: (y.argmax(-1) == p.argmax(-1)).astype(float), one_hot_sample
    ),
    "SparseCategoricalAccuracy": Row(
        metrics.SparseCategoricalAccuracy, lambda y, p: (y == p.argmax(-1)).astype(float), label_sample
    ),
    "MeanSquaredError": Row(metrics.MeanSquaredError, lambda y, p: ((y - p) ** 2).mean(-1), number_sample),
    "MeanAbsoluteError": Row(metrics.MeanAbsoluteError, lambda y, p: np.abs(y - p).mean(-1), number_sample),
    "RootMeanSquaredError": Row(
        metrics.RootMeanSquaredError, lambda y, p: ((y - p) ** 2).mean(-1), number_sample, np.sqrt
    ),
    "BinaryCrossentropy": Row(metrics.BinaryCrossentropy, binary, binary_sample),
    "BinaryCrossentropy in full": Row(
        lambda **k: metrics.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, **k),
        lambda y, p: binary(y, p, True, 0.1),
        multilabel_sample,
    ),
    "CategoricalCrossentropy": Row(metrics.CategoricalCrossentropy, categorical, one_hot_sample),
    "SparseCategoricalCrossentropy": Row(metrics.SparseCategoricalCrossentropy, sparse, label_sample),
}

every_metric = pytest.mark.parametrize("row", METRICS.values(), ids=METRICS)


def test_every_metric_has_a_row():
    hidden = {metrics.Metric, metrics.MeanMetricWrapper, metrics.LossTracker}
    classes = {
        v for n, v in vars(metrics).items() if isinstance(v, type) and issubclass(v, metrics.Metric)
    } - hidden
    classes = {c.__name__ for c in classes if not c.__name__.startswith("_")}
    assert classes == {name.split()[0] for name in METRICS}
    assert classes <= {name for name, v in metrics.registry.members.items() if inspect.isclass(v)}


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_metric
def test_values(row, dtype, is_weighted):
    """Batches of 7, 1 and 4 rows: as one pass over all rows."""
    generator = np.random.default_rng(0)
    metric = row.make(dtype=dtype)
    assert float(metric.result()) == 0
    rows, weights = [], []
    for n in (7, 1, 4):
        sample = [a.astype(dtype).astype("float64") for a in row.sample(generator, n)]
        w = generator.uniform(0, 2, n).astype(dtype)
        metric.update_state(*(a.astype(dtype) for a in sample), sample_weight=w if is_weighted else None)
        rows.append(row.formula(*sample))
        weights.append(w.astype("float64") if is_weighted else np.ones(n))
        values, total = np.concatenate(rows) * np.concatenate(weights), np.concatenate(weights).sum()
        expected = row.finish(values.sum() / (1 if isinstance(metric, metrics.Sum) else total))
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        assert float(metric.result()) == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert np.asarray(metric.result()).dtype == dtype
    assert {v.dtype.name for v in metric.variables} == {dtype}
    metric.reset_state()
    assert float(metric.result()) == 0
    sample = row.sample(generator, 3)
    again = row.make(dtype=dtype)
    assert_same(np.asarray(metric(*sample)), np.asarray(again(*sample)))


@every_metric
def test_rows_of_weight_zero_do_not_count(row):
    sample = row.sample(np.random.default_rng(0), 6)
    weights = np.array([1.0, 0, 1, 0, 0, 1])
    kept = [a[weights > 0] for a in sample]
    weighted, plain = row.make(), row.make()
    weighted.update_state(*sample, sample_weight=weights)
    plain.update_state(*kept)
    assert float(weighted.result()) == pytest.approx(float(plain.result()), rel=1e-6)
    empty = row.make()
    empty.update_state(*sample, sample_weight=np.zeros(6))
    assert float(empty.result()) == 0


@every_metric
def test_config_round_trip(row):
    metric = row.make(name="mine", dtype="float64")
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    assert again.name == "mine" and again.dtype == "float64"


@pytest.mark.parametrize("y_shape, p_shape", [((6,), (6, 1)), ((6, 1), (6,)), ((6,), (6,))])
@pytest.mark.parametrize(
    "make", [metrics.BinaryAccuracy, metrics.MeanSquaredError, metrics.MeanAbsoluteError, metrics.Accuracy]
)
def test_ranks_are_aligned(make, y_shape, p_shape):
    y, p = (a[:, 0] for a in binary_sample(np.random.default_rng(0), 6))
    if make is metrics.Accuracy:
        p = p.round()
    for weights in (None, np.arange(6.0)):
        expected, aligned = make(), make()
        expected.update_state(y[:, None], p[:, None], sample_weight=weights)
        aligned.update_state(y.reshape(y_shape), p.reshape(p_shape), sample_weight=weights)
        assert float(aligned.result()) == pytest.approx(float(expected.result()), rel=1e-6)


def test_the_numbers_of_keras():
    metric = metrics.BinaryAccuracy()
    assert float(metric(np.array([0, 1, 1, 0]), np.array([0.5, 0.5001, 0.2, 0.1]))) == 0.75
    metric = metrics.BinaryAccuracy()
    assert float(metric([[0, 1], [1, 1]], [[0.1, 0.9], [0.1, 0.9]], sample_weight=[1, 3])) == 0.625
    assert float(metrics.Accuracy()([1, 2, 3], [1, 2, 4], sample_weight=[1, 1, 2])) == 0.5
    assert float(metrics.Mean()([[1, 2], [3, 5]])) == 2.75
    assert float(metrics.Mean()([[1, 2], [3, 5]], sample_weight=[1, 3])) == 3.375


def test_strict_threshold_and_ties():
    assert float(metrics.BinaryAccuracy()([1.0, 0.0], [0.5, 0.5])) == 0.5  # > 0.5, not >=
    assert float(metrics.BinaryAccuracy()([0.9], [0.8])) == 0  # 0.9 is no class
    tie = [[0.4, 0.4, 0.2]]
    assert (
        float(metrics.SparseCategoricalAccuracy()([0], tie)) == 1
        and float(metrics.SparseCategoricalAccuracy()([1], tie)) == 0
    )
    assert float(metrics.CategoricalAccuracy()([[0.5, 0.5, 0]], tie)) == 1


def test_mean_of_scalars():
    mean = metrics.Mean()
    mean.update_state(2.0)
    mean.update_state(4.0, sample_weight=3.0)
    assert float(mean.result()) == pytest.approx(3.5)


@pytest.mark.parametrize("weights", [np.ones(3), np.ones((4, 2)), np.ones((2, 2))])
def test_weights_that_do_not_fit(weights):
    metric = metrics.MeanSquaredError()
    with pytest.raises(ValueError, match="sample_weight"):
        metric.update_state(np.ones((4, 1)), np.zeros((4, 1)), sample_weight=weights)
    assert float(metric.count) == 0


def test_targets_that_do_not_fit():
    for make in (metrics.MeanSquaredError, metrics.BinaryAccuracy, metrics.CategoricalAccuracy):
        with pytest.raises(ValueError, match=r"\(4, 2\).*\(4, 3\)|\(4, 2\), \(4, 3\)"):
            make().update_state(np.ones((4, 2)), np.ones((4, 3)))


def test_nan_shows():
    metric = metrics.MeanSquaredError()
    metric.update_state(np.ones((2, 1)), np.array([[np.nan], [1.0]]))
    assert np.isnan(metric.result())
    metric.reset_state()
    assert float(metric(np.ones((2, 1)), np.zeros((2, 1)))) == 1


@pytest.mark.parametrize("names, kind", [
    (["accuracy", "Accuracy"], metrics.Accuracy),
    (["binary_accuracy", "BinaryAccuracy"], metrics.BinaryAccuracy),
    (["categorical_accuracy", "CategoricalAccuracy"], metrics.CategoricalAccuracy),
    (["sparse_categorical_accuracy", "SparseCategoricalAccuracy"], metrics.SparseCategoricalAccuracy),
    (["mse", "MSE", "mean_squared_error", "MeanSquaredError"], metrics.MeanSquaredError),
    (["mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"], metrics.MeanAbsoluteError),
    (["root_mean_squared_error", "RootMeanSquaredError"], metrics.RootMeanSquaredError),
    (["bce", "BCE", "binary_crossentropy", "BinaryCrossentropy"], metrics.BinaryCrossentropy),
    (["categorical_crossentropy", "CategoricalCrossentropy"], metrics.CategoricalCrossentropy),
    (["sparse_categorical_crossentropy"], metrics.SparseCategoricalCrossentropy),
    (["mean", "Mean"], metrics.Mean), (["sum", "Sum"], metrics.Sum),
])
def test_names(names, kind):
    for name in names:
        assert type(metrics.get(name)) is kind
    assert type(metrics.get(kind)) is kind
    assert metrics.get(None) is None


@pytest.mark.parametrize("name", ["rmse", "acurracy", "acc", "Mse", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"Unknown metric: '{name}'"):
        metrics.get(name)


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_bad_threshold(threshold):
    with pytest.raises(ValueError, match=f"threshold.*{threshold}"):
        metrics.BinaryAccuracy(threshold=threshold)


# ------------------------------------------------------------------------------------------------- in compile


@pytest.mark.parametrize("name", ["accuracy", "acc", "Acc", "ACCURACY"])
@pytest.mark.parametrize("target, flat, kind", [
    ("binary", False, metrics.BinaryAccuracy), ("binary", True, metrics.BinaryAccuracy),
    ("labels", False, metrics.SparseCategoricalAccuracy), ("labels", True, metrics.SparseCategoricalAccuracy),
    ("one-hot", False, metrics.CategoricalAccuracy),
])
def test_accuracy_is_resolved_by_shape(target, flat, kind, name):
    x, y = data(20, target=target)
    if target == "labels" and not flat:
        y = y[:, None]
    elif target == "binary" and flat:
        y = y[:, 0]
    model = network(target, metrics=[name])
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(logs) == {name, "loss"}
    assert type(model.metrics[1]) is kind
    p = model.predict(x, verbose=0)
    right = (
        (p[:, 0] > 0.5) == y.reshape(-1)
        if target == "binary"
        else p.argmax(1) == data(20, target="labels")[1]
    )
    assert logs[name] == pytest.approx(right.mean(), abs=1e-6)


def test_accuracy_ignores_the_loss():
    """A multi-label head gets the accuracy of the largest, as in Keras."""
    model = network("one-hot", loss="mse")
    model.evaluate(*data(8, target="one-hot"), verbose=0)
    assert type(model.metrics[1]) is metrics.CategoricalAccuracy


def test_names_in_logs():
    def half(y_true, y_pred):
        return ops.mean(ops.absolute(y_true - y_pred), axis=-1) * 0.5

    given = ["acc", "mse", metrics.MeanSquaredError(), metrics.MeanSquaredError(name="own"), half, "mse"]
    model = network(metrics=given, weighted_metrics=["mae", "acc"])
    logs = model.evaluate(*data(8), verbose=0, return_dict=True)
    names = {"acc", "half", "loss", "mae", "mean_squared_error", "mse", "mse_1", "own", "weighted_acc"}
    assert list(logs) == sorted(names)
    assert logs["mse"] == logs["mse_1"] == logs["own"] == logs["mean_squared_error"]
    assert all(type(value) is float for value in logs.values())
    values = model.evaluate(*data(8), verbose=0)
    order = ["loss", "acc", "mse", "mean_squared_error", "own", "half", "mse_1", "mae", "weighted_acc"]
    assert model.metrics_names == order
    assert values == [logs[name] for name in order]


def test_metrics_ignore_weights_and_weighted_metrics_use_them():
    """The numbers of Keras for a frozen identity on rows 0..9 in batches of 4."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones", trainable=False)]
    )
    x, y, w = np.arange(10.0)[:, None], np.zeros((10, 1)), np.arange(1.0, 11)
    model.compile("sgd", "mae", metrics=["mae"], weighted_metrics=["mae"])
    settings = {"batch_size": 4, "shuffle": False, "verbose": 0}
    with pytest.warns(UserWarning, match="no trainable weights"):
        plain = model.fit(x, y, **settings).history
        weighted = model.fit(x, y, sample_weight=w, **settings).history
    assert plain == {"loss": [4.5], "mae": [4.5], "weighted_mae": [4.5]}
    assert weighted == {"loss": [33.0], "mae": [4.5], "weighted_mae": [6.0]}


def test_log_values_are_averages_over_rows():
    """Each batch is evaluated before its update; a short last batch counts by its rows."""
    x, y = data(18)
    model, twin = network(weighted_metrics=["mse"]), network(weighted_metrics=["mse"])
    w = np.linspace(0, 1, 18)
    logs = model.fit(x, y, batch_size=8, shuffle=False, sample_weight=w, verbose=0).history
    batches = [slice(0, 8), slice(8, 16), slice(16, 18)]
    seen = [twin.train_on_batch(x[b], y[b], sample_weight=w[b], return_dict=True) for b in batches]
    rows = np.array([8, 8, 2])
    for key in ("loss", "accuracy"):
        assert logs[key] == pytest.approx([np.dot(rows, [s[key] for s in seen]) / 18], rel=1e-5)
    shares = np.array([w[b].sum() for b in batches])
    assert logs["mse"] == pytest.approx([np.dot(shares, [s["mse"] for s in seen]) / shares.sum()], rel=1e-5)
    assert_same(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_metric_of_ones_own(run_eagerly):
    class Share(metrics.Metric):
        """The share of outputs above a half, from variables and ops: recorded like the others."""

        def __init__(self, name="share"):
            super().__init__(name=name)
            self.above = self.add_variable(name="above")
            self.rows = self.add_variable(name="rows")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.above.assign_add(ops.sum(ops.cast(ops.greater(y_pred, 0.5), "float32")))
            self.rows.assign_add(float(y_pred.shape[0]))

        def result(self):
            return float(self.above) / float(self.rows)

    x, y = data(18)
    model = network(metrics=[Share()], run_eagerly=run_eagerly)
    with Quiet():
        value = model.evaluate(x, y, batch_size=4, verbose=0)[1]
        history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
    assert (model.train_program is None) is run_eagerly
    fresh = network()
    assert value == pytest.approx((fresh.predict(x, verbose=0) > 0.5).mean(), abs=1e-6)
    assert len(history["share"]) == 2 and all(0 <= v <= 1 for v in history["share"])


def test_a_metric_function_that_reads_values_runs_eagerly():
    def reads(y_true, y_pred):
        return np.abs(y_true.numpy() - y_pred.numpy()).mean(-1)

    x, y = data(18)
    model = network(metrics=[reads])
    with pytest.warns(UserWarning, match="eager"):
        value = model.evaluate(x, y, batch_size=4, verbose=0)[1]
    assert value == pytest.approx(np.abs(model.predict(x, verbose=0) - y).mean(), rel=1e-5)


def test_recompiling_without_metrics_keeps_them():
    """As in Keras."""
    model = network(metrics=["mae"])
    model.compile("sgd", "mse")
    assert set(model.evaluate(*data(8), verbose=0, return_dict=True)) == {"loss", "mae"}
    model.compile("sgd", metrics=[])
    assert isinstance(model.evaluate(*data(8), verbose=0), float)


@pytest.mark.parametrize("given, words", [
    ("accuracy", ["metrics", "list", "accuracy"]), (metrics.Mean(), ["metrics", "list"]),
    (["acurracy"], ["acurracy", "accuracy"]), ([None], ["None"]), ([3], ["3"]),
])
@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_bad_metrics_at_compile(argument, given, words):
    with pytest.raises(ValueError) as error:
        network(**{argument: given})
    for word in words:
        assert word in str(error.value)


def test_metric_objects_start_anew_each_epoch_and_call():
    x, y = data(16)
    metric = metrics.BinaryAccuracy()
    model = network(metrics=[metric])
    first = model.evaluate(x, y, verbose=0)
    assert model.evaluate(x, y, verbose=0) == first
    assert float(metric.count) == 16
    model.fit(x, y, epochs=3, batch_size=4, verbose=0)
    assert float(metric.count) == 16
    model.reset_metrics()
    assert float(metric.count) == 0
