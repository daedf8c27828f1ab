"""What a Model or Layer of one's own may own and override: weights, metrics, hooks. Numbers are those of Keras 3.15."""

import copy
import pickle

import numpy as np
import pytest
from helpers import Log

import minigrad as keras
from minigrad import layers, ops

QUIET = {"verbose": 0}
X, Y = np.ones((40, 3), "float32"), np.zeros((40, 1), "float32")


def ones(cls=keras.Sequential, **compiled):
    """A Dense(1) of ones: it makes 3 of X, so the loss is 9 and "mae" 3, while it is not trained."""
    model = cls([keras.Input((3,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse", **{"metrics": ["mae"], **compiled})
    return model


# ------------------------------------------------------------------------------------------------ weights


@pytest.mark.parametrize("make", [
    lambda model: model.add_weight(shape=(3,), initializer="ones", name="w"),
    lambda model: keras.Variable(np.ones(3, "float32")),
])
def test_a_model_owns_a_weight(make):
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.w = make(self)

        def call(self, inputs):
            return inputs * self.w

    model = Scaled()
    model.compile("sgd", "mse")
    model.fit(X, X * 3, epochs=2, **QUIET)
    assert model.weights == [model.w]
    assert (model.w.numpy() > 1).all()


# ------------------------------------------------------------------------------------------------ metrics


class Small(keras.Model):
    """A subclassed model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


def test_a_model_compiled_twice_forgets_the_old_metrics():
    model = Small()
    model.compile("sgd", "mse", metrics=["mse"])
    model.fit(X, Y, **QUIET)
    model.compile("sgd", "mse", metrics=["mae"])
    assert sorted(model.fit(X, Y, **QUIET).history) == ["loss", "mae"]
    assert len(model.evaluate(X, Y, **QUIET)) == 2


def test_metrics_are_there_before_the_data():
    model = ones()
    assert [metric.name for metric in model.metrics] == ["loss", "mae"]
    kept = model.metrics
    model.fit(X, Y, **QUIET)
    assert model.metrics == kept
    assert ones(metrics=["accuracy"]).metrics == []  # its kind depends on the shape of the targets
    with pytest.raises(ValueError, match="targets y are missing"):
        model.evaluate(X, **QUIET)


class Extended(keras.Sequential):
    """`compute_metrics` adds a number and a tensor of the batch."""

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        own = super().compute_metrics(x, y, y_pred, sample_weight)
        return {"zed": 2.0, "alpha": ops.mean(x) + ops.mean(y), **own}


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_compute_metrics_is_called_in_each_step(run_eagerly):
    model, log = ones(Extended, run_eagerly=run_eagerly), Log()
    assert model.evaluate(X, Y, **QUIET) == [9.0, 3.0, 1.0, 2.0]
    x = np.concatenate([X[:32], 2 * X[:8]])
    history = model.fit(x, Y, shuffle=False, validation_data=(X, Y), callbacks=[log], **QUIET).history
    names = ["alpha", "loss", "mae", "zed"]
    assert sorted(history) == sorted([*names, *(f"val_{name}" for name in names)])
    assert (history["alpha"], history["val_alpha"]) == ([2.0], [1.0])
    assert [logs["alpha"] for logs in log.logs("train_batch_end")] == [1.0, 2.0]
    assert (model.train_program is None) == run_eagerly
    model.predict(X, **QUIET)
    assert model.test_on_batch(3 * X, Y, return_dict=True)["alpha"] == pytest.approx(3.0)
    assert type(pickle.loads(pickle.dumps(copy.deepcopy(model)))) is Extended


def test_what_replaces_a_metric_shows_in_the_logs_of_batches_only():
    class Other(keras.Sequential):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "mae": 7.0}

    model = ones(Other)
    assert model.evaluate(X, Y, **QUIET) == [9.0, 3.0]
    assert model.test_on_batch(X, Y) == [9.0, 7.0]


def test_get_metrics_result_adds_to_the_logs():
    class Root(keras.Sequential):
        def get_metrics_result(self):
            values = super().get_metrics_result()
            return {**values, "root": ops.sqrt(values["loss"])}

    model = ones(Root)
    assert model.evaluate(X, Y, **QUIET) == [9.0, 3.0, 3.0]
    assert sorted(model.fit(X, Y, **QUIET).history) == ["loss", "mae", "root"]
    assert model.train_program is not None


def test_compute_metrics_by_hand():
    model = ones()
    assert model.compute_metrics(X, Y, X[:, :1])["mae"] == 1.0
    model.reset_metrics()
    assert model.compute_metrics(X, Y, 2 * X[:, :1], np.ones(40))["mae"] == 2.0


# ------------------------------------------------------------------------------------------------ steps


@pytest.mark.parametrize("name", ["predict_step", "make_predict_function"])
def test_predict_refuses_a_step_that_it_does_not_call(name):
    model = type("Other", (keras.Sequential,), {name: lambda self: None})([keras.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match=f"Other defines {name}"):
        model.predict(X, **QUIET)


def test_loss_weights_may_be_a_dict():
    assert ones(loss_weights={"dense": 2.0}).evaluate(X, Y, **QUIET) == [18.0, 3.0]


def endless():
    while True:
        yield X[:2], Y[:2]


@pytest.mark.parametrize("kind", ["test", "predict"])
def test_a_callback_ends_evaluate_and_predict(kind):
    class Stop(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = batch == 4
            assert batch <= 4

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = batch == 4
            assert batch <= 4

    model, stop = ones(), Stop()
    if kind == "test":
        assert model.evaluate(endless(), callbacks=[stop], **QUIET) == [9.0, 3.0]
        model.stop_evaluating = True  # counts for nothing from the next call on
        assert model.evaluate(X, Y, batch_size=2, **QUIET) == [9.0, 3.0]
    else:
        assert model.predict(endless(), callbacks=[stop], **QUIET).shape == (10, 1)
        assert model.predict(X, batch_size=2, **QUIET).shape == (40, 1)


def test_steps_per_execution_groups_the_hooks_of_evaluate_and_predict():
    model, log = ones(steps_per_execution=3), Log()
    model.evaluate(X, Y, batch_size=10, callbacks=[log], **QUIET)
    model.predict(X, batch_size=10, callbacks=[log], **QUIET)
    hooks = [call[:2] for call in log.calls if len(call) == 3]
    batches = [("begin", 0), ("end", 2), ("begin", 3), ("end", 3)]
    assert hooks == [(f"{kind}_batch_{what}", n) for kind in ("test", "predict") for what, n in batches]
    assert [logs["outputs"].shape for logs in log.logs("predict_batch_end")] == [(30, 1), (10, 1)]
