"""Several epochs in one replay: the same numbers, to the bit, as where a callback looks at each epoch."""

import warnings

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import layers as L
from minigrad.callbacks import LambdaCallback
from minigrad.optimizers import schedules
from minigrad.program import Program

LOOKING = [LambdaCallback(on_epoch_end=lambda epoch, logs: None)]


def trained(rows, callbacks, nan=False, **options):
    """What comes out of two fits, and what they leave behind."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).standard_normal((rows, 5)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    x[-1] = np.nan if nan else x[-1]
    hidden = L.Dense(8, "relu"), L.Dropout(0.3), L.BatchNormalization()
    model = keras.Sequential([keras.Input((5,)), *hidden, L.Dense(1, "sigmoid")])
    rate = schedules.ExponentialDecay(0.01, 10, 0.9)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="a")])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = [
            model.fit(x, y, epochs=n, batch_size=16, verbose=0, callbacks=callbacks, **options).history for n in (20, 3)
        ]
    random = keras.config.generator().random()
    return found, sorted(str(one.message) for one in told), model.finite_batches, random, model.get_weights()


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
@pytest.mark.parametrize("rows", [70, 64, 10])
def test_numbers_do_not_depend_on_who_looks(rows, shuffle, monkeypatch):
    replay, calls = Program.replay, []
    monkeypatch.setattr(Program, "replay", lambda self, steps=1: calls.append(steps) or replay(self, steps))
    *told, weights = trained(rows, None, rows == 70, shuffle=shuffle, class_weight={0: 1.0, 1: 2.0})
    counts = [len(calls)]
    *expected, others = trained(rows, LOOKING, rows == 70, shuffle=shuffle, class_weight={0: 1.0, 1: 2.0})
    counts.append(len(calls) - counts[0])
    assert repr(told) == repr(expected) and bool(told[1]) == (rows == 70)
    assert_same(weights, others)
    assert counts[0] < 23 <= counts[1]


def test_epochs_of_which_more_is_asked_are_taken_one_by_one(monkeypatch):
    class Resetting(keras.Model):
        resets = 0

        def reset_metrics(self):
            self.resets += 1
            super().reset_metrics()

    class Restarting(keras.metrics.Mean):
        restarts = 0

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred)

        def reset_state(self):
            self.restarts += 1
            super().reset_state()

    x, metric, inputs = np.ones((8, 2), "float32"), Restarting(), keras.Input((2,))
    model = Resetting(inputs, L.Dense(2)(inputs))
    model.compile("sgd", "mse")
    model.fit(x, x, epochs=9, verbose=0)
    before, model.resets = model.resets, 0
    model.fit(x, x, epochs=5, verbose=0)
    assert (before, model.resets) == (9, 5)
    model = keras.Sequential([keras.Input((2,)), L.Dense(2)])
    model.compile("sgd", "mse", metrics=[metric])
    model.fit(x, x, epochs=9, verbose=0)
    assert metric.restarts == 9
