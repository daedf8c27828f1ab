"""Models of several inputs or outputs in fit, evaluate and predict."""

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import ops
from minigrad.callbacks import BackupAndRestore, LambdaCallback
from minigrad.layers import Dense, Dropout

QUIET = {"verbose": 0}
RANDOM = np.random.default_rng(7)
A = RANDOM.standard_normal((90, 4)).astype("float32")
B = RANDOM.standard_normal((90, 1)).astype("float32")
Y = (A[:, :1] + B > 0).astype("float32")


def joined(tree=list, **compiled):
    """A model of the inputs "a" and "b", given as a list or a dict."""
    keras.utils.set_random_seed(3)
    a, b = keras.Input((4,), name="a"), keras.Input((1,), name="b")
    h = Dropout(0.2)(Dense(8, activation="relu")(ops.concatenate([a, b], axis=-1)))
    model = keras.Model([a, b] if tree is list else {"a": a, "b": b}, Dense(1, activation="sigmoid")(h))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], **compiled)
    return model


def trained(model, x, **fit):
    history = model.fit(x, Y, batch_size=32, epochs=3, validation_split=0.2, **QUIET, **fit).history
    return history, model.get_weights(), model.predict(x, **QUIET), model.evaluate(x, Y, **QUIET)


@pytest.mark.parametrize("tree, x", [
    (list, [A, B]),
    (list, (A, B[:, 0])),
    (list, {"b": B, "a": A}),
    (dict, {"a": A, "b": B, "c": A}),
    (dict, [A.astype("float64"), B.tolist()]),
], ids=["list", "flat column", "dict for a list", "dict", "list for a dict"])  # fmt: skip
def test_inputs_in_any_form_train_alike(tree, x):
    assert_same(trained(joined(tree), x), trained(joined(), [A, B]))


def test_several_inputs_replay_as_they_run_eagerly():
    expected = trained(joined(run_eagerly=True), [A, B])
    replayed = joined()
    assert_same(trained(replayed, [A, B]), expected)
    assert "x/a nx4" in str(replayed.train_program)


def test_a_data_frame_is_taken_by_the_names_of_its_columns():
    keras.utils.set_random_seed(3)
    first, last = keras.Input((1,), name="first"), keras.Input((1,), name="last")
    model = keras.Model({"first": first, "last": last}, Dense(1)(first) + Dense(1)(last))
    frame = pd.DataFrame({"last": B[:, 0], "first": A[:, 0]})
    assert_same(model.predict(frame, **QUIET), model.predict([A[:, :1], B], **QUIET))


class Batches:
    def __iter__(self):
        for start in range(0, 90, 30):
            yield {"a": A[start : start + 30], "b": B[start : start + 30]}, Y[start : start + 30]


def test_batches_of_several_inputs():
    found = []
    for x, more in ((Batches(), {}), ([A, B], {"y": Y, "batch_size": 30, "shuffle": False})):
        model = joined()
        more = {"validation_data": ([A, B], Y), "validation_batch_size": 30, **more}
        history = model.fit(x, epochs=2, **more, **QUIET).history
        found.append([history, model.get_weights()])
    again = joined()  # a generator is read once, and copied
    history = again.fit(Batches(), epochs=2, validation_data=iter(Batches()), **QUIET).history
    np.testing.assert_allclose(history["val_loss"], found[1][0]["val_loss"], 1e-6)
    assert_same(*found)
    assert_same(model.predict(Batches(), **QUIET), model.predict([A, B], batch_size=30, **QUIET))


def test_a_killed_training_of_several_inputs_goes_on_exactly(tmp_path):
    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    undisturbed = joined()
    undisturbed.fit([A, B], Y, epochs=4, **QUIET)
    with pytest.raises(KeyboardInterrupt):
        joined().fit([A, B], Y, epochs=4, callbacks=[BackupAndRestore(tmp_path), LambdaCallback(stop)], **QUIET)
    again = joined()
    again.fit([A, B], Y, epochs=4, callbacks=[BackupAndRestore(tmp_path)], **QUIET)
    assert_same(again.get_weights(), undisturbed.get_weights())


def test_a_subclassed_model_takes_a_dict():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(1)

        def call(self, inputs):
            return self.dense(inputs["a"]) + inputs["b"]

    model = Own()
    model.compile("sgd", "mse")
    x = {"a": A, "b": B}
    losses = model.fit(x, Y, epochs=3, **QUIET).history["loss"]
    assert losses[-1] < losses[0] and len(model.train_program) > 10
    np.testing.assert_allclose(model.predict(x, **QUIET), model(x).numpy(), 1e-6, 1e-6)


def test_predictions_of_several_outputs():
    model = joined()
    hidden = keras.Model(model.inputs, {"hidden": model.layers[-3].output, "y": model.output})
    found = hidden.predict([A, B], batch_size=32, **QUIET)
    assert found["hidden"].shape == (90, 8)
    assert_same(found["y"], model.predict([A, B], batch_size=32, **QUIET))


@pytest.mark.parametrize("x, words", [
    ([A], "2 inputs, ['a', 'b']; got 1"),
    (A, "2 inputs, ['a', 'b']; got 1"),
    ({"a": A}, "['b'] are missing"),
    ([A, B[:9]], "a has 90, b has 9"),
    ([B, A], "(None, 4), got (90, 1)"),
    ([A, np.array([["x"]] * 90)], "x['b']"),
])  # fmt: skip
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_errors(method, x, words):
    model = joined()
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        getattr(model, method)(x, **({} if method == "predict" else {"y": Y}), **QUIET)
    assert words in str(caught.value), caught.value
    assert_same(model.get_weights(), before)
