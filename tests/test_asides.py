"""What is computed in the middle of another model's step: it is computed, right, and no part of that step."""

import contextlib
import signal
import warnings

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import layers, ops
from minigrad.program import is_recording

QUIET = {"verbose": 0}
X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X[:, :1] * 2


def teacher():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, kernel_initializer="ones", activity_regularizer="l2"), layers.Dense(1)]
    )
    model.set_weights([np.linspace(-1, 1, w.size, dtype="float32").reshape(w.shape) for w in model.get_weights()])
    model.compile("sgd", "mse")
    return model


def student(loss="mse", *extra):
    layer = layers.Dense(1, kernel_initializer="ones", activity_regularizer="l2")
    model = keras.Sequential([keras.Input((3,)), layer, *extra])
    model.compile("sgd", loss)
    return model


ASK = {
    "predict": lambda model: model.predict(X[:7], **QUIET),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "evaluate": lambda model: model.evaluate(X, Y, **QUIET),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "fit": lambda model: model.fit(X, Y, batch_size=8, shuffle=False, **QUIET).history["loss"],
    "get_weights": lambda model: model.get_weights()[0],
}


class Asking(layers.Layer):
    def __init__(self, ask):
        super().__init__()
        self._ask = ask

    def call(self, inputs, training=False):
        if training:
            self._ask()
        return inputs * 1.0


@pytest.mark.parametrize("what", ASK)
def test_silent_a_layer_may_ask_another_model(what):
    asked, twin, found = teacher(), teacher(), []
    model = student("mse", Asking(lambda: found.append(ASK[what](asked))))
    with pytest.warns(UserWarning, match=rf"{what}\(\), whose values would be frozen.*stopped by .*, line \d+"):
        losses = model.fit(X, Y, epochs=3, shuffle=False, **QUIET).history["loss"]
    assert len(found) >= 3
    for one in found:
        assert_same(np.asarray(one), np.asarray(ASK[what](twin)))
    assert_same(np.array(losses), np.array(student().fit(X, Y, epochs=3, shuffle=False, **QUIET).history["loss"]))
    asked.fit(X, Y, **QUIET)
    assert asked.train_program is not None, "it was no part of the other's recording"


def test_silent_a_student_learns_from_what_its_teacher_says_now():
    def train(soft):
        model = student(lambda y_true, y_pred: ops.mean(ops.square(y_pred - soft()), axis=-1))
        again = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: wise.train_on_batch(X, Y))
        model.fit(X, Y, batch_size=24, shuffle=False, epochs=4, callbacks=[again], **QUIET)
        return model

    wise = teacher()
    called = train(lambda: wise(X))  # a part of the step: replayed
    assert called.train_program is not None
    wise = teacher()
    with pytest.warns(UserWarning, match="Called as a function"):
        predicted = train(lambda: wise.predict(X, **QUIET))
    assert predicted.train_program is None
    for a, b in zip(called.get_weights(), predicted.get_weights(), strict=True):
        assert_same(a, b)


def test_raises_and_trains_eagerly_where_another_model_is_asked_about_tensors_of_the_step():
    class Sees(layers.Layer):
        def call(self, inputs):
            seen.append(wise.predict(inputs, **QUIET))
            return inputs

    wise, seen = teacher(), []
    model = keras.Sequential([keras.Input((3,)), Sees(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="can't be read while its step is recorded"):
        model.fit(X[:8], Y[:8], shuffle=False, **QUIET)
    assert_same(seen[-1], teacher().predict(X[:8], **QUIET))


@contextlib.contextmanager
def handled(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_silent_a_signal_in_the_middle_of_a_recording(tmp_path):
    asked, found, fired = teacher(), [], []
    called = keras.Sequential([asked, layers.BatchNormalization(), layers.Dropout(0.5)])
    expected = asked.predict(X[:5], **QUIET), called(X[:5]).numpy(), float(ops.sum(X))
    state = [v.numpy() for v in called.variables]

    def handler(*_):
        found.append((asked.predict(X[:5], **QUIET), called(X[:5]).numpy(), float(ops.sum(X))))
        assert_same([v.numpy() for v in called.variables], state)  # it was not told to train
        asked.fit(X, Y, **QUIET)
        asked.save_weights(tmp_path / "now.weights.h5")
        model.predict(X[:5], **QUIET)

    def once():
        if is_recording() and not fired:
            fired.append(signal.raise_signal(signal.SIGINT))

    model = student("mse", Asking(once))
    with handled(handler), warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = model.fit(X, Y, epochs=2, shuffle=False, **QUIET).history["loss"]
        assert signal.getsignal(signal.SIGINT) is handler
    assert fired and model.train_program is not None, "the step did not ask"
    assert_same(found[0], expected)
    assert asked.train_program is not None and len(asked.losses) == 1
    other = teacher()
    other.load_weights(tmp_path / "now.weights.h5")
    assert_same(other.get_weights()[0], asked.get_weights()[0])
    assert_same(np.array(losses), np.array(student().fit(X, Y, epochs=2, shuffle=False, **QUIET).history["loss"]))
