"""train_step, test_step and predict_step of one's own: recorded and replayed, the same as run, and what is refused."""

import warnings

import numpy as np
import own_steps
import pytest
from helpers import assert_same
from own_steps import X, Y

import minigrad as keras
from minigrad import GradientTape, ops
from minigrad.compat.tensorflow import tensorflow
from minigrad.layers import Dense

QUIET = {"verbose": 0}


@pytest.mark.parametrize("name", own_steps.MODELS)
def test_a_step_of_ones_own_is_recorded_and_replays_what_it_computes_eagerly(name):
    replayed, logs = own_steps.trained(name, keras, tensorflow())
    eager, eager_logs = own_steps.trained(name, keras, tensorflow(), run_eagerly=True)
    assert replayed.train_program is not None and eager.train_program is None
    assert_same(replayed.get_weights(), eager.get_weights())
    assert logs == eager_logs and all(len(set(values)) == 4 for values in logs.values())


def test_the_usual_step_written_by_hand_is_the_usual_step():
    """To the bit, and with hardly more launches."""
    found = []
    for by_hand in (True, False):
        model, data = own_steps.plain(keras, tensorflow())
        if not by_hand:
            model = keras.Model(model.inputs, model.outputs)
            model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["mae"])
        logs = model.fit(*data, epochs=3, shuffle=False, **QUIET).history
        found.append((model.get_weights(), logs, len(model.train_program), model.evaluate(*data, **QUIET)))
    (mine, logs, launches, result), (usual, usual_logs, usual_launches, usual_result) = found
    assert_same(mine, usual)
    assert (logs, result) == (usual_logs, usual_result) and launches <= usual_launches + 2


def test_predict_and_evaluate_call_their_own_steps():
    model, data = own_steps.plain(keras, tensorflow())
    assert_same(model.predict(X, batch_size=96, **QUIET), 2.0 * model(X).numpy())
    assert_same(model.predict_on_batch(X[:3]), 2.0 * model(X[:3]).numpy())
    assert model.test_on_batch(*data) == model.evaluate(*data, batch_size=96, **QUIET)


class Counting(keras.Model):
    """Its step returns the loss itself."""

    calls = 0

    def train_step(self, data):
        x, y = data
        self.calls += 1
        with GradientTape() as tape:
            loss = ops.mean(ops.square(self(x, training=True) - y))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def counting(kind=Counting, optimizer="sgd", **options):
    keras.utils.set_random_seed(0)
    x = keras.Input((8,))
    model = kind(x, Dense(1)(Dense(4, activation="relu")(x)))
    model.compile(optimizer, **options)
    return model


def test_python_runs_a_few_times_only():
    model = counting()
    model.fit(X, Y, batch_size=8, epochs=50, **QUIET)
    assert model.calls <= 4  # of 600 steps
    before = model.calls
    model.fit(X, Y, batch_size=8, epochs=5, **QUIET)
    assert model.calls <= before + 1  # which looks at the data
    model.layers[1].trainable = False
    model.fit(X, Y, batch_size=8, epochs=5, **QUIET)
    kept = model.layers[1].get_weights()
    model.fit(X, Y, batch_size=8, epochs=1, **QUIET)
    assert_same(kept, model.layers[1].get_weights())


def test_a_setting_of_an_optimizer_of_ones_own_counts_at_once():
    """Also of one that `compile` knows nothing of."""

    class Two(Counting):
        def train_step(self, data):
            x, y = data
            with GradientTape() as tape:
                loss = ops.mean(ops.square(self(x, training=True) - y))
            self.other.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    weights = []
    for eagerly in (False, True):
        model = counting(Two, run_eagerly=eagerly)
        model.other = keras.optimizers.SGD(0.1)
        model.fit(X, Y, epochs=1, shuffle=False, **QUIET)
        model.other.clipnorm = 1e-3
        model.other.learning_rate = 0.5
        model.fit(X, Y, epochs=1, shuffle=False, **QUIET)
        assert (model.train_program is None) == eagerly
        weights.append(model.get_weights())
    assert_same(*weights)


def test_a_step_that_reads_a_value_runs_eagerly_and_says_so():
    class Reads(Counting):
        def train_step(self, data):
            logs = super().train_step(data)
            self.last = float(logs["loss"])
            return logs

    model = counting(Reads)
    with pytest.warns(UserWarning, match="runs eagerly.*self.last = float"):
        model.fit(X, Y, epochs=2, **QUIET)
    usual = counting()
    usual.fit(X, Y, epochs=2, **QUIET)
    assert_same(model.get_weights(), usual.get_weights())


def test_a_symbolic_if_is_named():
    class Branches(Counting):
        def train_step(self, data):
            logs = super().train_step(data)
            if logs["loss"] > 1e9:
                raise AssertionError
            return logs

    with pytest.warns(UserWarning, match=r"runs eagerly.*if logs\[.loss.\] > 1e9"):
        counting(Branches).fit(X, Y, **QUIET)


def test_nan_is_told_and_ends_the_training(capsys):
    x = X.copy()
    x[40] = np.nan
    model = counting()
    with pytest.warns(UserWarning, match="x holds 8 values that are NaN"):
        model.fit(x, Y, batch_size=8, epochs=3, shuffle=False, callbacks=[keras.callbacks.TerminateOnNaN()], **QUIET)
    assert "Batch 5: Invalid loss" in capsys.readouterr().out


def test_a_loss_that_nobody_tracked_is_that_of_the_last_batch():
    """Keras shows the value of the compiled tracker, 0, because it has the same name."""
    model = counting(loss="mse")
    logs = model.fit(X, Y, batch_size=96, epochs=2, **QUIET).history["loss"]
    assert 0 < logs[1] < logs[0]


def test_a_model_without_call_and_data_of_any_kind(tmp_path):
    class Free(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = Dense(1)

        def train_step(self, data):
            with GradientTape() as tape:
                loss = ops.mean(ops.square(self.head(data) - 1.0))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    model = Free()
    model.compile("sgd")
    logs = model.fit(X, epochs=3, **QUIET).history["loss"]
    assert logs[2] < logs[0] and model.head.built
    model.save_weights(tmp_path / "free.weights.h5")
    model.load_weights(tmp_path / "free.weights.h5")
    logs = model.fit(iter([(X,), (X,)]), epochs=1, **QUIET).history["loss"]
    assert np.isfinite(logs[0])
    assert np.isfinite(model.train_on_batch(X, return_dict=True)["loss"])
    with pytest.raises(NotImplementedError, match="must define call"):
        model.evaluate(X, **QUIET)


def test_what_a_step_must_return():
    model = counting(type("Bad", (Counting,), {"train_step": lambda self, data: 3.0}))
    with pytest.raises(ValueError, match=r"Bad.train_step must return the logs, a dict; it returned 3.0"):
        model.fit(X, Y, **QUIET)


def test_errors_of_a_step_change_nothing():
    class Bad(Counting):
        def train_step(self, data):
            super().train_step(data)
            raise KeyError("mine")

    model = counting(Bad)
    before = model.get_weights()
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y, **QUIET)
    assert_same(before, model.get_weights())


def test_compiled_loss_and_compiled_metrics_of_keras_2():
    class Old(keras.Model):
        def train_step(self, data):
            x, y = data
            with GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
            self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
            self.compiled_metrics.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    model = counting(Old, loss="mse", metrics=["mae"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logs = model.fit(X, Y, epochs=2, **QUIET).history
    assert logs["mae"][1] < logs["mae"][0] and model.train_program is not None


def test_stopping_and_going_on_with_a_step_of_ones_own(tmp_path):
    """To the bit, from a BackupAndRestore in the middle of an epoch."""

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.fitting.epoch == 1 and batch == 4:
                raise KeyboardInterrupt

    def run(folder, *stops):
        model = counting(optimizer=keras.optimizers.Adam(0.01))
        callbacks = [keras.callbacks.BackupAndRestore(folder, save_freq=3), *stops]
        model.fit(X, Y, batch_size=8, epochs=3, callbacks=callbacks, **QUIET)
        return model.get_weights()

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", Stop())
    assert_same(run(tmp_path / "a"), run(tmp_path / "b"))


def test_gradients_are_clipped_by_the_length_of_all():
    tf = tensorflow()
    clipped, length = tf.clip_by_global_norm([tf.constant([3.0]), None, tf.constant([[4.0]])], 1.0)
    assert float(length) == 5.0 and clipped[1] is None
    np.testing.assert_allclose([clipped[0].numpy()[0], clipped[2].numpy()[0, 0]], [0.6, 0.8])
    assert float(tf.linalg.global_norm(tf.clip_by_global_norm(clipped, 9.0)[0])) == pytest.approx(1.0)


def test_a_tf_function_with_an_input_signature():
    tf = tensorflow()

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def total(x):
        return tf.reduce_sum(x)

    assert [float(total(tf.ones((n, 3)))) for n in (2, 2, 4, 2)] == [6.0, 6.0, 12.0, 6.0]


@pytest.mark.parametrize("is_random", [False, True])
def test_rows_mixed_with_others_of_the_batch_are_recorded(is_random):
    """MixUp: each row and another one, which tf.gather finds at places that are drawn in the step."""
    tf, found = tensorflow(), []

    class Mixed(keras.Model):
        def train_step(self, data):
            rows = tf.range(tf.shape(data[0])[0])
            order = tf.random.shuffle(rows) if is_random else tf.reverse(rows, [0])
            return super().train_step(tuple(0.7 * each + 0.3 * tf.gather(each, order) for each in data))

    for run_eagerly in (False, True):
        keras.utils.set_random_seed(0)
        inputs = keras.Input(X.shape[1:])
        model = Mixed(inputs, Dense(1)(inputs))
        model.compile("sgd", "mse", run_eagerly=run_eagerly)
        logs = model.fit(X, Y, batch_size=len(X) // 4, epochs=2, **QUIET).history
        assert (model.train_program is None) == run_eagerly
        found.append((model.get_weights(), logs))
    assert_same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
