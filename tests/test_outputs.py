"""Models of several outputs: losses, weights, metrics and sample weights for each, beside numbers of the real Keras."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import data, ops

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_outputs as golden
from make_outputs import A, B, C, U, V, W, X

EXPECTED = json.loads(golden.FILE.read_text())
QUIET = {"verbose": 0}


def flat(seen):
    """(names, numbers) of an outcome."""
    if isinstance(seen, (list, dict)):
        parts = [flat(one) for one in (seen.values() if isinstance(seen, dict) else seen)]
        return [name for names, _ in parts for name in names], [n for _, numbers in parts for n in numbers]
    return ([seen], []) if isinstance(seen, str) else ([], [seen])


@pytest.mark.filterwarnings("ignore:.*no gradient for")  # of an output without a loss
@pytest.mark.parametrize("name", golden.CASES)
def test_logs_are_those_of_keras(name):
    """Their names, their order and their values, in History and in what evaluate and the others return."""
    replayed, eager = (golden.outcome(keras, golden.CASES[name], run_eagerly=is_eager) for is_eager in (False, True))
    assert replayed == eager
    # Keras repeats the first value in a list where two metrics have one name.
    keys = ["history", "return_dict"] if name == "one metric twice" else EXPECTED[name]
    names, numbers = flat([replayed[key] for key in keys])
    expected_names, expected = flat([EXPECTED[name][key] for key in keys])
    assert names == expected_names
    np.testing.assert_allclose(numbers, expected, 2e-5, 2e-6)


# ------------------------------------------------------------------------------------------------ data


def trained(model, x=X, y=None, **fit):
    history = model.fit(x, y, epochs=2, **{"batch_size": 14, "shuffle": False, **QUIET, **fit}).history
    return history, model.get_weights()


def lists(**options):
    return golden.compiled(keras, golden.CASES["lists"], **options)


@pytest.mark.parametrize("y", [
    (B, A, C),
    {"c": C, "a": A, "b": B},
    [B.tolist(), A[:, 0], C.tolist()],
    [pd.DataFrame(B), pd.Series(A[:, 0]), C[:, None]],
    [B.astype("float64"), A.astype(bool), C.astype("uint8")],
], ids=["tuple", "dict", "lists of numbers", "data frames", "other dtypes"])  # fmt: skip
def test_targets_in_any_form_train_alike(y):
    assert_same(trained(lists(), y=y), trained(lists(), y=[B, A, C]))


def test_a_data_frame_has_the_targets_of_outputs_by_the_names_of_its_columns():
    def model():
        keras.utils.set_random_seed(1)
        x = keras.Input((4,))
        h = keras.layers.Dense(3)(x)
        model = keras.Model(x, [keras.layers.Dense(1, name="price")(h), keras.layers.Dense(1, name="rent")(h)])
        model.compile("sgd", "mse")
        return model

    frame = pd.DataFrame({"rent": A[:, 0], "price": B[:, 0], "else": C})
    assert_same(trained(model(), y=frame), trained(model(), y=[B[:, :1], A]))


def parts(rows):
    """Trees of targets and weights, as a generator may yield them."""
    return X[rows], {"a": A[rows], "c": C[rows], "b": B[rows]}, (W[rows], None, V[rows])


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return parts(slice(14 * i, 14 * i + 14))


@pytest.mark.parametrize("is_dataset", [True, False])
def test_streams_yield_trees(is_dataset):
    expected = trained(
        lists(), y=[B, A, C], sample_weight=[W, None, V], validation_data=(X, [B, A, C], [W, None, V]),
        validation_batch_size=14,
    )
    one = Batches()
    stream = one if is_dataset else (one[i % 3] for i in range(6))
    data = Batches() if is_dataset else iter([one[0], one[1], one[2]])
    assert_same(trained(lists(), stream, steps_per_epoch=3, batch_size=None, validation_data=data), expected)
    assert_same(
        lists().evaluate(Batches(), **QUIET),
        lists().evaluate(X, [B, A, C], sample_weight=[W, None, V], batch_size=14, **QUIET),
    )


def test_lazy_rows_are_targets_and_weights_too(monkeypatch):
    expected = trained(lists(), y=[B, A, C], sample_weight=[W, None, V])
    monkeypatch.setattr(data, "WHOLE", 0)
    y, w = [B.astype("float64"), A.astype("float64"), C], [W.astype("float64"), None, V.astype("float64")]
    assert_same(trained(lists(), y=y, sample_weight=w), expected)


def test_one_array_may_be_the_target_of_several_outputs():
    x = keras.Input((4,))
    model = keras.Model(x, [keras.layers.Dense(1, kernel_initializer="ones", name=name)(x) for name in "pq"])
    model.compile("sgd", "mse")
    history, (k, b, k2, b2) = trained(model, y=[A, A])
    assert_same([k, b], [k2, b2])
    assert list(history) == ["loss", "p_loss", "q_loss"]


def test_validation_split_cuts_all_targets_and_weights():
    whole = trained(lists(), y=[B, A, C], sample_weight=[W, V, U], validation_split=0.5)
    assert_same(whole, trained(
        lists(), X[:21], [B[:21], A[:21], C[:21]], sample_weight=[W[:21], V[:21], U[:21]],
        validation_data=(X[21:], [B[21:], A[21:], C[21:]], [W[21:], V[21:], U[21:]]),
    ))  # fmt: skip


# --------------------------------------------------------------------------------------------- training


def test_an_output_without_a_loss_changes_nothing():
    """What is trained beside it has the bits of a model without it."""
    found = []
    for is_alone in (True, False):
        keras.utils.set_random_seed(3)
        x = keras.Input((4,))
        h = keras.layers.BatchNormalization()(keras.layers.Dense(6, activation="relu")(x))
        y = keras.layers.Dense(1, activation="sigmoid", name="y")(h)
        model = keras.Model(x, y if is_alone else {"y": y, "hidden": h})
        model.compile("adam", "binary_crossentropy" if is_alone else {"y": "binary_crossentropy"}, metrics={"y": ["mae"]})
        history, weights = trained(model, y=A if is_alone else {"y": A}, batch_size=16)
        found.append([list(history.values()), weights])
    assert_same(*found)


def test_the_losses_of_outputs_add_up_to_the_loss_though_the_last_batch_is_small():
    model = lists()
    history = trained(model, y=[B, A, C], batch_size=16)[0]
    weighted = [0.5 * np.array(history["b_loss"]), 2 * np.array(history["a_loss"]), history["c_loss"]]
    np.testing.assert_allclose(sum(weighted), history["loss"], 1e-6)
    np.testing.assert_allclose(history["a_mse"], history["a_mse"], 1e-6)


def test_a_step_of_several_outputs_is_one_program():
    model = lists()
    trained(model, y=[B, A, C], sample_weight={"b": W, "a": V, "c": U})
    listing = str(model.train_program)
    assert all(name in listing for name in ("y/b nx2", "y/a nx1", "y/c nx1", "w/a nx1", "a_loss/total", "a_mse/count"))


def test_a_callback_watches_one_output(tmp_path):
    best = tmp_path / "best.keras"
    for monitor in ("val_a_loss", "val_a_accuracy", "b_mae"):
        stop = keras.callbacks.EarlyStopping(monitor, patience=1, min_delta=10.0, restore_best_weights=True)
        model = lists()
        model.fit(X, [B, A, C], epochs=9, validation_split=0.3, callbacks=[
            stop, keras.callbacks.ModelCheckpoint(best, monitor, save_best_only=True)], **QUIET)  # fmt: skip
        assert stop.stopped_epoch == 1 and best.exists()


@pytest.mark.parametrize("batch", [None, 1])
def test_a_killed_training_goes_on_exactly(tmp_path, batch):
    """Also within an epoch, with the losses of the outputs and metrics with state as they were."""

    def model():
        keras.utils.set_random_seed(4)
        return golden.compiled(keras, golden.CASES["metrics with state"])

    def fit(model, *callbacks):
        fitted = model.fit(X, [B, A, C], sample_weight=[W, V, None], batch_size=10, epochs=4, **QUIET,
                           callbacks=[keras.callbacks.BackupAndRestore(tmp_path, save_freq=1), *callbacks])  # fmt: skip
        return fitted.history, model.get_weights()

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch
            if epoch == 2 and batch is None:
                raise KeyboardInterrupt

        def on_train_batch_end(self, number, logs=None):
            if (self.epoch, number) == (2, batch):
                raise KeyboardInterrupt

    undisturbed = model().fit(X, [B, A, C], sample_weight=[W, V, None], batch_size=10, epochs=4, **QUIET)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), Kill())
    history, weights = fit(model())
    assert_same(weights, undisturbed.model.get_weights())
    assert_same(history, undisturbed.history)


def test_compute_loss_and_compute_metrics_see_trees():
    class Own(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            assert set(y) == {"a", "b"} and list(y_pred) == ["b", "a"] and list(sample_weight) == ["b", "a"]
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            return loss + 0.1 * ops.mean(y_pred["a"] * y_pred["b"])

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            found = super().compute_metrics(x, y, y_pred, sample_weight)
            self.together.update_state(y_pred["a"] * y["b"])
            return found | {"together": self.together.result()}

    found = []
    for is_eager in (False, True):
        base = golden.model(keras, "dict")
        model = Own(base.input, {name: base.output[name] for name in ("b", "a")})
        model.together = keras.metrics.Mean(name="together")
        model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": "mae"}, run_eagerly=is_eager)
        history = trained(model, y={"a": A, "b": B}, sample_weight={"b": W, "a": V})
        assert list(history[0]) == ["a_loss", "a_mae", "b_loss", "loss", "together"]
        found.append([history, model.evaluate(X, {"a": A, "b": B}, sample_weight={"b": W, "a": V}, **QUIET)])
    assert_same(*found)


def test_an_own_loss_takes_any_tree_of_targets():
    class Triplet(keras.Model):
        def call(self, inputs):
            return inputs["anchor"] * self.scale, inputs["other"] * self.scale

        def build(self, shape):
            self.scale = self.add_weight(shape=(4,), initializer="ones")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            anchor, other = y_pred
            distance = ops.sum(ops.square(anchor - other), axis=1)
            return ops.mean(ops.abs(distance - y["wanted"][:, 0]) * y["factors"][0][:, 0]) + ops.mean(y["factors"][1])

    losses = []
    for is_eager in (False, True):
        model = Triplet()
        model.compile("sgd", run_eagerly=is_eager)
        y = {"wanted": A, "factors": [B[:, :1] ** 2, 0 * A]}
        losses.append(trained(model, {"anchor": X, "other": X[::-1].copy()}, y))
    assert_same(*losses)
    assert losses[0][0]["loss"][1] < losses[0][0]["loss"][0]


def test_steps_by_hand_compute_the_loss_of_all_outputs():
    model = lists()
    expected = model.evaluate(X, [B, A, C], return_dict=True, **QUIET)
    model = lists()
    y = [keras.Tensor(B), keras.Tensor(A), keras.Tensor(C.astype("float32"))]
    np.testing.assert_allclose(float(model.compute_loss(X, y, model(X))), expected["loss"], 1e-6)
    assert model.compute_metrics(X, y, model(X))["a_mse"] == pytest.approx(expected["a_mse"])


def test_a_loss_kept_when_compiled_again():
    model = lists()
    expected = model.evaluate(X, [B, A, C], **QUIET)
    model.compile("adam")
    assert_same(model.evaluate(X, [B, A, C], **QUIET), expected)
    model.compile("adam", "mse", metrics=[])
    assert model.evaluate(X, [B, A, np.eye(3)[C]], return_dict=True, **QUIET).keys() == {
        "loss", "b_loss", "a_loss", "c_loss"}  # fmt: skip


def test_the_progress_bar_names_outputs(capsys):
    lists().fit(X, [B, A, C], verbose=2, validation_data=(X, [B, A, C]))
    names = re.findall(r" - (\w+): ", capsys.readouterr().out)
    plain = ["a_accuracy", "a_loss", "a_mse", "b_loss", "b_mae", "c_accuracy", "c_loss", "loss"]
    assert names == plain + [f"val_{name}" for name in plain]


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("ending", ["keras", "h5", "json"])
@pytest.mark.parametrize("name", ["lists", "dicts", "no loss for some", "metrics with state", "some of a dict"])
@pytest.mark.filterwarnings("ignore:.*no gradient for")
def test_files_tell_what_each_output_was_compiled_with(name, ending, tmp_path):
    case = golden.CASES[name]
    model = golden.compiled(keras, case)
    model.fit(X, case["y"], **QUIET)
    if ending == "json":
        again = keras.models.model_from_json(model.to_json())
        again.compile_from_config(model.get_compile_config())
        again.set_weights(model.get_weights())
    else:
        model.save(tmp_path / f"model.{ending}")
        again = keras.models.load_model(tmp_path / f"model.{ending}")
    assert_same(*([one.evaluate(X, case["y"], return_dict=True, **QUIET), trained(one, y=case["y"])] for one in (again, model)))


# ------------------------------------------------------------------------------------------- what is refused

LOSS = ["mse", "mse", "ce"]


@pytest.mark.parametrize("tree, compiled, words", [
    ("list", {"loss": {"b": "mse", "a": "mse", "d": "mse"}}, ["loss names 'd'", "['b', 'a', 'c']"]),
    ("list", {"loss": {"b": "mse", "a": "mse"}}, ["loss", "nothing for ['c']", "None"]),
    ("list", {"loss": ["mse", "mse"]}, ["loss", "3 outputs, ['b', 'a', 'c']", "a list of 2"]),
    ("list", {"loss": ["mse", "mse", "mse", "mse"]}, ["a list of 4"]),
    ("list", {"loss": ["mse", "mse", "maee"]}, ["Unknown loss: 'maee'"]),
    ("dict", {"loss": {"bb": "mse"}}, ["loss names 'bb'", "Did you mean 'b'?"]),
    ("nested", {"loss": {"k": "mse"}}, ["loss", "['k/b', 'k/a', 'j']", "one str"]),
    ("nested", {"loss": {"k": {"b": "mse", "a": "mse"}}}, ["loss names 'b'"]),
    ("list", {"loss": LOSS, "loss_weights": [1.0, 2.0]}, ["loss_weights", "a list of 2"]),
    ("list", {"loss": LOSS, "loss_weights": {"a": 1.0, "b": 1.0}}, ["loss_weights", "nothing for ['c']"]),
    ("list", {"loss": LOSS, "loss_weights": {"a": 1.0, "b": 1.0, "cc": 1.0}}, ["loss_weights names 'cc'", "mean 'c'"]),
    ("list", {"loss": LOSS, "loss_weights": [True, 1, 1]}, ["loss_weights must be a number, or a list or dict"]),
    ("list", {"loss": LOSS, "loss_weights": [[1, 2], 1, 1]}, ["loss_weights", "'b'", "[1, 2]"]),
    ("list", {"loss": [["mse", "mae"], "mse", None]}, ["loss", "'b'", "['mse', 'mae']"]),
    ("list", {"loss": LOSS, "metrics": ["mae"]}, ["metrics", "3 outputs", "a list of 1"]),
    ("list", {"loss": LOSS, "metrics": {"aa": ["mae"]}}, ["metrics names 'aa'", "Did you mean 'a'?"]),
    ("list", {"loss": LOSS, "weighted_metrics": {"a": ["maee"]}}, ["Unknown metric: 'maee'"]),
    ("list", {"loss": LOSS, "metrics": [["mae", None], None, None]}, ["metrics must be names"]),
    ("list", {"loss": LOSS, "metrics": [["mae"], 3, None]}, ["metrics must be names"]),
    ("one in a dict", {"loss": {"b": "mse"}}, ["loss names 'b'", "['a']"]),
])  # fmt: skip
def test_compile_refuses_what_is_not_for_these_outputs(tree, compiled, words):
    model = golden.model(keras, tree)
    model.compile("sgd", "mse")
    before = model.get_compile_config()
    with pytest.raises(ValueError) as caught:
        model.compile("adam", **compiled)
    assert all(word in str(caught.value) for word in words), caught.value
    assert model.get_compile_config() == before


@pytest.mark.parametrize("y, more, words", [
    ([B, A], {}, ["y must be", "3 outputs, ['b', 'a', 'c']", "a list of 2"]),
    (B, {}, ["y must be", "one ndarray"]),
    ({"a": A, "b": B, "d": C}, {}, ["y names 'd'"]),
    ({"a": A, "b": B}, {}, ["y must be", "nothing for ['c']"]),
    ([B, None, C], {}, ["targets y are missing for output 'a'"]),
    ([B, A[:9], C], {}, ["b has 42, a has 9, c has 42"]),
    ([B[:9], A[:9], C[:9]], {}, ["x has 42", "y has 9"]),
    ([A, A, C], {}, [", 1) and the output", ", 2)"]),
    ([B, A, C + 9], {}, ["labels from 9 to 11"]),
    ([B, [["x"]] * 42, C], {}, ["y['a']"]),
    (None, {}, ["targets y are missing"]),
    ([B, A, C], {"sample_weight": [W, V]}, ["sample_weight must be", "a list of 2"]),
    ([B, A, C], {"sample_weight": {"a": W, "b": V, "q": U}}, ["sample_weight names 'q'"]),
    ([B, A, C], {"sample_weight": {"a": W}}, ["sample_weight must be", "['b', 'c']", "None"]),
    ([B, A, C], {"sample_weight": [W, V[:9], U]}, ["a has 9"]),
    ([B, A, C], {"sample_weight": W[:9]}, ["sample_weight has 9"]),
    ([B, A, C], {"class_weight": {0: 1.0}}, ["class_weight", "one output"]),
])  # fmt: skip
@pytest.mark.parametrize("is_stream", [False, True])
def test_data_that_does_not_fit_changes_nothing(y, more, words, is_stream):
    model = lists()
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        if is_stream:
            class_weight = more.get("class_weight")
            model.fit(iter([(X, y, more.get("sample_weight"))]), class_weight=class_weight, **QUIET)
        else:
            model.fit(X, y, batch_size=14, **more, **QUIET)
    assert all(word in str(caught.value) for word in words), caught.value
    assert_same(model.get_weights(), before)
    assert model.fit(X, [B, A, C], **QUIET).epoch == [0]


def test_outputs_without_names_want_lists():
    model = golden.model(keras, "own list")
    model.compile("sgd", {"b": "mse", "a": "mse", "c": "mse"})
    with pytest.raises(ValueError, match="no names here: pass a list"):
        model.fit(X, [B, A, C], **QUIET)
