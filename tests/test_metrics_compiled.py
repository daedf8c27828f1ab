"""Metrics in `compile`: which one a name means, what the logs show, what weights do."""

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network

import minigrad as keras
from minigrad import metrics, ops


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


@pytest.mark.parametrize("name", ["crossentropy", "CE"])
@pytest.mark.parametrize("target", ["binary", "labels", "one-hot"])
def test_the_cross_entropy_of_keras_2_is_resolved_by_shape(target, name):
    model = network(target, metrics=[name])
    logs = model.evaluate(*data(20, target=target), verbose=0, return_dict=True)
    assert logs[name] == pytest.approx(logs["loss"], rel=1e-5)


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


class Counting(keras.layers.Layer):
    """Keeps a metric of what comes by."""

    def __init__(self):
        super().__init__()
        self.seen = metrics.Mean(name="seen")

    def call(self, inputs):
        self.seen.update_state(ops.mean(inputs))
        return inputs


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_metrics_that_layers_keep(run_eagerly):
    """They are in the logs after those of compile, and start anew with each epoch and evaluation."""
    model = keras.Sequential([keras.Input((5,)), Counting(), Counting(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=run_eagerly)
    x, y = data(16)
    history = model.fit(x, y, epochs=2, batch_size=8, validation_data=(2 * x, y), verbose=0).history
    mean = float(x.mean())
    for name, value in (("seen", mean), ("seen_1", mean), ("val_seen", 2 * mean), ("val_seen_1", 2 * mean)):
        np.testing.assert_allclose(history[name], [value] * 2, rtol=1e-5)
    assert model.metrics_names == ["loss", "mae", "seen", "seen_1"]
    assert list(model.get_metrics_result()) == model.metrics_names
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[2:], [mean] * 2, rtol=1e-5)
    assert (model.train_program is None) == run_eagerly


def test_metrics_that_a_class_tells_itself():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.mine = keras.layers.Dense(1), metrics.Mean(name="mine")

        def call(self, inputs):
            return self.dense(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = ops.mean((y - y_pred) ** 2)
            self.mine.update_state(loss)
            return loss

        @property
        def metrics(self):
            return [self.mine]

    model = Own()
    model.compile("sgd")
    assert list(model.fit(*data(8), verbose=0).history) == ["mine"] == model.metrics_names


def test_a_metric_of_several_values():
    class Two(metrics.Metric):
        def __init__(self):
            super().__init__(name="two")
            self.total = self.add_variable(name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(ops.sum(y_true))

        def result(self):
            return {"once": self.total, "twice": self.total * 2.0}

    model, (x, y) = network(metrics=[Two(), "mae"]), data(8)
    history = model.fit(x, y, verbose=0).history
    assert list(history) == ["loss", "mae", "once", "twice"]
    assert (history["once"], history["twice"]) == ([y.sum()], [2 * y.sum()])
    assert model.evaluate(x, y, verbose=0)[2:] == [y.sum(), 2 * y.sum()]  # behind those of known names, as in Keras


def test_metrics_keep_their_own_names():
    """Only the logs tell two of one name apart; one instance given twice is updated twice."""
    mse, other = metrics.MeanSquaredError(), metrics.MeanSquaredError()
    model = network(metrics=[mse, mse], weighted_metrics=[other])
    logs = model.evaluate(*data(8), verbose=0, return_dict=True)
    names = ["mean_squared_error", "mean_squared_error_1", "weighted_mean_squared_error"]
    assert model.metrics_names == ["loss", *names] and list(logs) == ["loss", *names]
    assert logs[names[0]] == logs[names[1]] > 0 and abs(logs[names[2]] / logs[names[0]] - 1) < 1e-6
    assert mse.name == other.name == "mean_squared_error"
    assert int(mse.count) == 2 * 8 and int(other.count) == 8


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


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_metric_written_in_numpy_runs_eagerly_and_says_so(run_eagerly):
    """Asked to be recorded, it can't; asked to run eagerly, there is nothing to say."""

    class Largest(metrics.Metric):
        def __init__(self, name="largest"):
            super().__init__(name=name)
            self.most = self.add_variable()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.most.assign(np.maximum(self.most.numpy(), np.abs(y_true.numpy() - y_pred.numpy()).max()))

        def result(self):
            return self.most.numpy()

    x, y = data(18)
    model = network(metrics=[Largest()], run_eagerly=run_eagerly)
    with Quiet() if run_eagerly else pytest.warns(UserWarning, match="eager.*most.numpy"):
        value = model.evaluate(x, y, batch_size=4, verbose=0)[1]
    assert value == pytest.approx(np.abs(model.predict(x, verbose=0) - y).max())


def test_compiling_takes_no_more_automatic_names_than_metrics_are_made():
    model = network(metrics=["AUC", metrics.AUC])
    model.evaluate(*data(8), verbose=0)
    assert [m.name for m in model.metrics] == ["loss", "AUC", "auc_1"] and metrics.AUC().name == "auc_2"


def test_recompiling_without_metrics_keeps_them():
    """As in Keras."""
    model = network(metrics=["mae"], weighted_metrics=["mse"])
    model.compile("sgd", "mse")
    assert set(model.evaluate(*data(8), verbose=0, return_dict=True)) == {"loss", "mae", "mse"}
    model.compile("sgd", "mse", metrics=["mae"])
    assert set(model.evaluate(*data(8), verbose=0, return_dict=True)) == {"loss", "mae"}
    model.compile("sgd", metrics=[])
    assert isinstance(model.evaluate(*data(8), verbose=0), float)


@pytest.mark.parametrize("given, words", [
    (metrics.Mean(), ["metrics", "list"]),
    (["acurracy"], ["acurracy", "accuracy"]), ([None], ["None"]), ([3], ["3"]),
    (["precision_at_recall"], ["PrecisionAtRecall", "recall"]), ([metrics.MeanIoU], ["MeanIoU", "num_classes"]),
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


@pytest.mark.parametrize("metric", [keras.losses.mean_squared_error, keras.losses.binary_crossentropy])
def test_a_loss_function_as_a_metric_is_better_when_it_is_less(metric):
    model, (x, y) = network(), data(20)
    model.compile("sgd", "mse", metrics=[metric])
    stop = keras.callbacks.EarlyStopping(metric.__name__, patience=3)
    model.fit(x, y, epochs=2, callbacks=[stop], verbose=0)
    assert [m.direction for m in model.metrics] == ["min", "min"]


class Rows(metrics.Metric):
    """Made of metrics and Variables, alone and in lists and dicts, as people write one."""

    def __init__(self):
        super().__init__(name="rows")
        self.rows, self.same = metrics.Sum(), None
        self.more = [metrics.Sum(), {"deep": metrics.Mean()}]
        self.steps = keras.Variable(0.0)
        self.own = self.add_variable(name="own")

    def update_state(self, y_true, y_pred, sample_weight=None):
        ones = ops.ones_like(y_true)
        for metric in (self.rows, self.more[0], self.more[1]["deep"]):
            metric.update_state(ones)
        self.steps.assign_add(1.0)
        self.own.assign_add(2.0)

    def result(self):
        parts = self.rows.result(), self.more[0].result(), self.more[1]["deep"].result(), self.steps, self.own
        return {name: part + 0.0 for name, part in zip("abcde", parts)}


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_metric_owns_the_metrics_and_variables_among_its_attributes(run_eagerly):
    metric = Rows()
    assert [v.name for v in metric.variables] == ["own", metric.steps.name, "total", "total", "total", "count"]
    metric.same = metric.rows
    assert len(metric.variables) == 6
    model = network("binary", metrics=[metric], run_eagerly=run_eagerly)
    history = model.fit(*data(20, target="binary"), batch_size=10, epochs=3, verbose=0).history
    assert [history[name] for name in "abcde"] == [[20.0] * 3, [20.0] * 3, [1.0] * 3, [2.0] * 3, [4.0] * 3]
    assert model.evaluate(*data(20, target="binary"), verbose=0, return_dict=True)["a"] == 20


def test_merging_includes_the_metrics_below():
    one, other = Rows(), Rows()
    for metric in (one, other, other):
        metric.update_state(np.ones((4, 1)), np.ones((4, 1)))
    one.merge_state([other])
    assert float(one.result()["a"]) == 12 and float(one.result()["d"]) == 3
