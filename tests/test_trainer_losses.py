"""fit with losses of one's own: compute_loss, add_loss."""

import numpy as np
import pytest
from helpers import Quiet, assert_same, data
from test_trainer_data import Foreign

import minigrad as keras
from minigrad import layers

QUIET = {"verbose": 0}
IN_ORDER = {"verbose": 0, "shuffle": False}


class Own(keras.Sequential):
    """A loss that needs the inputs: the output shall be near their mean, and the targets a little."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = keras.ops.mean(keras.ops.square(y_pred - keras.ops.mean(x, axis=1, keepdims=True)))
        return loss if y is None else loss + 0.1 * super().compute_loss(x, y, y_pred, sample_weight, training)


class Older(Own):
    """Without the argument that newer versions of Keras pass."""

    def compute_loss(self, x, y, y_pred, sample_weight):
        return super().compute_loss(x, y, y_pred, sample_weight)


def own(kind, **settings):
    keras.utils.set_random_seed(1)
    model = kind([keras.Input((5,)), layers.Dense(3, kernel_regularizer="l2"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), **settings)
    return model


@pytest.mark.parametrize("kind", [Own, Older])
def test_compute_loss_can_be_overridden(kind):
    x, y = data(40, target="regression")
    model, eager = own(kind, loss="mse", metrics=["mae"]), own(kind, loss="mse", metrics=["mae"], run_eagerly=True)
    settings = {"batch_size": 8, "epochs": 2, "validation_split": 0.2, **IN_ORDER}
    history = model.fit(x, y, **settings).history
    assert_same(eager.fit(x, y, **settings).history, history)
    assert model.train_program is not None
    p = model.predict(x, **QUIET)
    penalty = 0.01 * (model.layers[0].kernel.numpy() ** 2).sum()
    expected = ((p - x.mean(1, keepdims=True)) ** 2).mean() + 0.1 * (((p - y) ** 2).mean() + penalty)
    assert model.evaluate(x, y, batch_size=40, **QUIET)[0] == pytest.approx(expected, rel=1e-5)


def test_compute_loss_needs_neither_loss_nor_targets():
    x, _ = data(40)
    model = own(Own)
    with Quiet():
        history = model.fit(x, batch_size=8, epochs=20, validation_data=(x, None), **QUIET).history
    assert list(history) == ["loss", "val_loss"] and history["loss"][-1] < 0.1 * history["loss"][0]
    assert model.evaluate(x, **QUIET) == pytest.approx(history["val_loss"][-1], rel=1e-5)
    assert model.train_on_batch(x) > 0
    assert model.evaluate((Foreign(x) for _ in range(2)), **QUIET) == model.evaluate(x, batch_size=40, **QUIET)
    with pytest.raises(ValueError, match=r"targets y are missing.*metrics"):
        own(Own, metrics=["mse"]).fit(x, **QUIET)
    with pytest.raises(ValueError, match="class_weight needs the targets"):
        model.fit(x, class_weight={0: 1.0}, **QUIET)


def test_compute_loss_must_return_one_number():
    class Bad(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return y_pred

    x, y = data(8)
    with pytest.raises(ValueError, match=r"one number.*\(8, 1\)"):
        own(Bad, loss="mse").fit(x, y, **QUIET)


class Penalised(layers.Layer):
    def call(self, inputs):
        self.add_loss(keras.ops.mean(keras.ops.square(inputs)))
        return inputs


def test_add_loss_is_in_the_logs():
    x, y = data(40, target="regression")
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1), Penalised()])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mse"], loss_weights=3.0, weighted_metrics=["mse"])
    w = np.linspace(0, 2, 40)
    logs = model.fit(x, y, batch_size=40, sample_weight=w, **QUIET).history
    p = model.predict(x, **QUIET)
    errors = (p - y)[:, 0] ** 2
    assert logs["loss"] == [pytest.approx(3 * (errors * w).mean() + (p**2).mean(), rel=1e-5)]
    assert logs["mse"] == [pytest.approx(errors.mean(), rel=1e-5)]
    assert logs["weighted_mse"] == [pytest.approx((errors * w).sum() / w.sum(), rel=1e-5)]
    assert list(logs) == ["loss", "mse", "weighted_mse"]


def test_a_loss_that_a_layer_adds_is_enough():
    x, y = data(40)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1), Penalised()])
    model.compile("sgd")
    logs = model.fit(x, epochs=2, **QUIET).history["loss"]
    assert 0 < logs[1] < logs[0]

    class Adds(layers.Layer):
        def call(self, inputs):
            return inputs + 1.0

    nothing = keras.Sequential([keras.Input((5,)), layers.Dense(1), Adds()])  # it might have added a loss
    nothing.compile("sgd")
    with pytest.raises(ValueError, match="compiled without a loss"):
        nothing.fit(x, y, **QUIET)


def test_the_functions_of_back_ends_are_refused():
    """They would silently not be called."""
    own = {"make_train_function": lambda self, force=False: None}
    model = type("Mine", (keras.Sequential,), own)([layers.Dense(1)])
    with pytest.raises(ValueError, match="Mine defines make_train_function.*train_step"):
        model.compile("sgd", "mse")
