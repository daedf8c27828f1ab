"""When fit and its kin call hooks, with what; stopping, printing, going on another time."""

import copy
import json

import numpy as np
import pytest
from helpers import Log, assert_same, batches, data, network, state

import minigrad as keras
from minigrad import callbacks
from minigrad import data as feeding
from minigrad.utils.pipeline import Dataset

QUIET = {"verbose": 0}
IN_ORDER = {"verbose": 0, "shuffle": False}


# ------------------------------------------------------------------------------------------------ callbacks


def test_hooks_in_order():
    log = Log()
    x, y = data(12)
    network().fit(x, y, batch_size=4, epochs=2, validation_data=(x[:8], y[:8]), callbacks=[log], **QUIET)
    epoch = [
        "epoch_begin", *["train_batch_begin", "train_batch_end"] * 3, "test_begin",
        *["test_batch_begin", "test_batch_end"] * 2, "test_end", "epoch_end",
    ]
    assert log.names == ["train_begin", *epoch, *epoch, "train_end"]
    indices = [call[1] for call in log.calls if len(call) == 3]
    assert indices == [index for e in (0, 1) for index in (e, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, e)]
    for name in ("train_begin", "epoch_begin", "train_batch_begin", "test_begin", "test_batch_begin"):
        assert all(logs == {} for logs in log.logs(name))
    for name in ("train_batch_end", "test_batch_end", "test_end"):
        assert all(list(logs) == ["accuracy", "loss"] for logs in log.logs(name))
    full = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(list(logs) == full for logs in log.logs("epoch_end"))
    assert log.logs("train_end") == [log.logs("epoch_end")[-1]]
    assert all(type(value) is float for logs in log.logs("epoch_end") for value in logs.values())


def test_hooks_of_evaluate_and_predict():
    x, y = data(12)
    model = network()
    log = Log()
    model.evaluate(x, y, batch_size=8, callbacks=[log], **QUIET)
    assert log.names == ["test_begin", *["test_batch_begin", "test_batch_end"] * 2, "test_end"]
    assert log.logs("test_end") == [model.evaluate(x, y, batch_size=8, return_dict=True, **QUIET)]
    log = Log()
    outputs = model.predict(x, batch_size=8, callbacks=[log], **QUIET)
    assert log.names == ["predict_begin", *["predict_batch_begin", "predict_batch_end"] * 2, "predict_end"]
    assert_same(np.concatenate([logs["outputs"] for logs in log.logs("predict_batch_end")]), outputs)
    assert log.model is model and log.params["steps"] == 2


def test_batch_logs_are_averages_since_the_epoch_began():
    x, y = data(18)
    log, twin = Log(), network()
    model = network()
    history = model.fit(x, y, batch_size=8, epochs=2, callbacks=[log], **IN_ORDER).history
    seen, rows = [], []
    for epoch in range(2):
        seen, rows = [], []
        for i, start in enumerate((0, 8, 16)):
            part = slice(start, start + 8)
            seen.append(twin.train_on_batch(x[part], y[part])[0])
            rows.append(len(x[part]))
            assert log.logs("train_batch_end")[3 * epoch + i]["loss"] == pytest.approx(
                np.average(seen, weights=rows), rel=1e-5
            )
        assert history["loss"][epoch] == log.logs("train_batch_end")[3 * epoch + 2]["loss"]


@pytest.mark.parametrize("hooks", [
    ["on_train_batch_begin"], ["on_train_batch_end"], ["on_batch_begin"], ["on_batch_end"],
])
def test_every_batch_hook_is_called_for_every_batch(hooks):
    class One(callbacks.Callback):
        calls = 0

    def count(self, batch, logs=None):
        assert batch == self.calls
        self.calls += 1

    for hook in hooks:
        setattr(One, hook, count)
    one = One()
    network().fit(*data(42), batch_size=4, callbacks=[one], **QUIET)
    assert one.calls == 11


@pytest.mark.parametrize("kind", ["arrays", "generator"])
@pytest.mark.parametrize("rows, last", [(36, 8), (34, 8), (30, 7), (26, 6)])
def test_steps_per_execution_groups_the_hooks(rows, last, kind):
    """A short last batch, and a last group that is not full, are no groups of their own."""
    log, (x, y) = Log(), data(rows)
    given = {"x": x, "y": y, "batch_size": 4} if kind == "arrays" else {"x": batches(x, y, 4)}
    network(steps_per_execution=3).fit(**given, callbacks=[log], **QUIET)
    calls = [call[:2] for call in log.calls if "batch" in call[0]]
    assert calls == [
        ("train_batch_begin", 0), ("train_batch_end", 2), ("train_batch_begin", 3), ("train_batch_end", 5),
        ("train_batch_begin", 6), ("train_batch_end", last),
    ]


def test_parameters_and_model_of_callbacks():
    log = Log(batches=False)
    model = network()
    history = model.fit(*data(42), batch_size=8, epochs=2, callbacks=log, **QUIET)  # one, not in a list
    assert log.model is model and log.params == {"verbose": 0, "epochs": 2, "steps": 6}
    assert history.params == log.params and history.model is model and model.history is history


def test_the_history_sees_what_callbacks_put_into_the_logs():
    class Adds(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["learning_rate"] = 0.5 + epoch

    model = network()
    history = model.fit(*data(8), epochs=2, callbacks=[Adds()], **QUIET).history
    assert history["learning_rate"] == [0.5, 1.5] and list(history) == ["accuracy", "loss", "learning_rate"]


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end"])
def test_stop_training(hook):
    class Stop(callbacks.Callback):
        pass

    def stop(self, index, logs=None):
        if index == 2:
            self.model.stop_training = True

    setattr(Stop, hook, stop)
    log = Log()
    model = network()
    x, y = data(42)
    history = model.fit(x, y, batch_size=8, epochs=5, validation_split=0.1, callbacks=[Stop(), log], **QUIET)
    assert history.epoch == ([0, 1, 2] if hook == "on_epoch_end" else [0])
    assert log.names[-2:] == ["epoch_end", "train_end"] and "val_loss" in log.logs("epoch_end")[-1]
    if hook != "on_epoch_end":
        assert log.names.count("train_batch_end") == 3
    history = model.fit(x, y, batch_size=8, epochs=2, **QUIET)  # the next fit begins anew
    assert history.epoch == [0, 1]


def test_groups_count_from_where_a_training_goes_on():
    """Stopped after batch 4 with hooks for each, and gone on with for three at a time."""

    class GoesOn(callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.fitting.set_state({"batch": 4})

    log = Log()
    network(steps_per_execution=3).fit(*data(56), batch_size=4, callbacks=[GoesOn(), log], **QUIET)
    assert [call[1] for call in log.calls if "train_batch_end" in call[0]] == [6, 9, 12, 13]


@pytest.mark.parametrize("kind", ["arrays", "generator"])
def test_stopped_before_its_first_batch_an_epoch_takes_one(kind):
    """As in Keras, which looks after each batch: so there is a loss to tell."""

    class Stop(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    class Again:
        def __iter__(self):
            return batches(x, y)

    model, log, (x, y) = network(), Log(), data(40)
    given = {"x": x, "y": y, "batch_size": 8} if kind == "arrays" else {"x": Again()}
    history = model.fit(**given, epochs=5, callbacks=[Stop(), log], **QUIET)
    assert history.epoch == [0, 1] and history.history["loss"][1] > 0
    assert log.names.count("train_batch_end") == 5 + 1 and model.optimizer.iterations == 6


def test_stop_training_of_a_generator():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    x, y = data(40)
    model = network()
    history = model.fit(batches(x, y), epochs=3, callbacks=[Stop()], **QUIET)
    assert history.epoch == [0] and model.optimizer.iterations == 2


def test_lambda_callback():
    seen = []
    spy = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(("epoch", epoch)),
        on_train_batch_end=lambda batch, logs: seen.append(("batch", batch)),
        on_train_begin=lambda logs: seen.append("begin"),
    )
    network().fit(*data(12), batch_size=8, callbacks=[spy], **QUIET)
    assert seen == ["begin", ("batch", 0), ("batch", 1), ("epoch", 0)]
    with pytest.raises(ValueError, match="on_epoch_ned"):
        callbacks.LambdaCallback(on_epoch_ned=print)


def test_a_history_of_the_user_is_used():
    own = callbacks.History()
    assert network().fit(*data(8), callbacks=[own], **QUIET) is own
    assert own.epoch == [0]


def test_an_error_in_a_callback_leaves_the_model_usable():
    class Fails(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise ArithmeticError("in a callback")

    x, y = data(16)
    model = network()
    with pytest.raises(ArithmeticError, match="in a callback"):
        model.fit(x, y, epochs=5, callbacks=[Fails()], **QUIET)
    assert model.history.epoch == [0] and model.optimizer.iterations == 2
    logs = model.fit(x, y, epochs=2, **QUIET).history
    assert np.isfinite(logs["loss"]).all() and logs["loss"][0] > 0


def test_evaluating_within_a_callback():
    x, y = data(16)
    seen = []

    class Evaluates(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(
                (self.model.evaluate(x, y, batch_size=8, verbose=0), self.model.predict(x, verbose=0).mean())
            )

    model = network()
    history = model.fit(
        x, y, batch_size=8, epochs=2, validation_data=(x, y), callbacks=[Evaluates()], **QUIET
    ).history
    assert [loss for (loss, _), _ in seen] == history["val_loss"]


# ------------------------------------------------------------------------------------------------- printing


@pytest.mark.parametrize("verbose, lines", [(0, 0), (1, 4), ("auto", 4), (2, 4)])
def test_verbose(verbose, lines, capsys):
    network().fit(*data(16), epochs=2, verbose=verbose, validation_split=0.25)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == lines
    if lines:
        assert "Epoch 1/2" in out and "Epoch 2/2" in out and "val_accuracy" in out and "loss" in out


def test_one_epoch_prints_no_epoch(capsys):
    model = network()
    model.fit(*data(16))
    model.evaluate(*data(16))
    model.predict(data(16)[0])
    out = capsys.readouterr().out
    assert "Epoch" not in out and len(out.splitlines()) == 3 and "\x1b" not in out


def test_a_bar_of_the_user_s_own_is_the_only_one(capsys):
    network().fit(*data(16), callbacks=[callbacks.ProgbarLogger()], verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_history_can_be_written_to_json():
    history = network(metrics=["accuracy", "mse"]).fit(*data(16), epochs=2, validation_split=0.5, **QUIET)
    again = json.loads(
        json.dumps({"history": history.history, "epoch": history.epoch, "params": history.params})
    )
    assert again["history"] == history.history and again["epoch"] == [0, 1]


# ------------------------------------------------------------------------------------- going on another time


class Keeps(callbacks.Callback):
    """Keeps where the training stands, and a copy of the model, at each epoch's end or after each batch."""

    runs_last = True

    def __init__(self, each):
        super().__init__()
        self.each, self.kept = each, []

    def keep(self, *_):
        self.kept.append((copy.deepcopy(self.model), copy.deepcopy(self.model.fitting.get_state())))

    def batch_stride(self, kind, batch):
        return 1 if (kind, self.each) == ("train", "batch") else None

    def on_train_batch_end(self, batch, logs=None):
        if self.each == "batch":
            self.keep()

    def on_epoch_end(self, epoch, logs=None):
        if self.each == "epoch":
            self.keep()


class GoesOn(callbacks.Callback):
    def __init__(self, state):
        super().__init__()
        self.state = state

    def on_train_begin(self, logs=None):
        self.model.fitting.set_state(self.state)


def others():
    """Callbacks that remember something."""
    return [
        callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True, min_delta=0.02),
        callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=0.05),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
    ]


class Parts(keras.utils.PyDataset):
    """Batches of eight rows."""

    def __init__(self, x, y):
        super().__init__()
        self.parts = list(batches(x, y))

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, index):
        return self.parts[index]


SOURCES = {
    "arrays": lambda x, y: {"x": x, "y": y, "batch_size": 8},
    "lazy arrays": lambda x, y: {"x": x.astype("float64"), "y": y.astype("int8"), "batch_size": 8},
    "steps_per_epoch": lambda x, y: {"x": x, "y": y, "batch_size": 4, "steps_per_epoch": 3},
    "eager": lambda x, y: {"x": x, "y": y, "batch_size": 8},
    "PyDataset": lambda x, y: {"x": Parts(x, y)},
    "PyDataset and steps": lambda x, y: {"x": Parts(x, y), "steps_per_epoch": 2},
    "iterable": lambda x, y: {"x": Again(x, y)},
    "Dataset": lambda x, y: {"x": Dataset.from_tensor_slices((x, y)).shuffle(9, seed=1).batch(8)},
    "Dataset and steps": lambda x, y: {
        "x": Dataset.from_tensor_slices((x, y)).shuffle(40, seed=1).repeat().batch(8).prefetch(1), "steps_per_epoch": 3,
    },
    "random Dataset": lambda x, y: {"x": Dataset.from_tensor_slices((x, y)).map(_noisy).shuffle(9, seed=1).batch(8)},
}  # fmt: skip


def _noisy(x, y):
    return x + keras.random.normal(x.shape), y


class Again:
    """Can be read again and again."""

    def __init__(self, x, y):
        self.arrays = x, y

    def __iter__(self):
        return batches(*self.arrays)


@pytest.mark.filterwarnings("ignore:The data ran out")
@pytest.mark.parametrize("each", ["epoch", "batch"])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_training_that_goes_on_is_the_one_that_was_not_interrupted(kind, each, monkeypatch):
    """To the bit, from every epoch and batch: weights, optimizer, dropout, shuffling, logs, callbacks."""
    if kind == "lazy arrays":
        monkeypatch.setattr(feeding, "WHOLE", 0)
        monkeypatch.setattr(feeding, "CHUNK", 500)
    x, y = data(36)
    settings = {"epochs": 4, **SOURCES[kind](x, y), **QUIET}
    settings["validation_data"] = (x, y)
    keeps = Keeps(each)
    model = network(dropout=0.3, run_eagerly=kind == "eager")
    history = model.fit(callbacks=[*others(), keeps], **settings)
    assert len(keeps.kept) >= 3 and model.fitting is None
    for twin, kept in keeps.kept:
        assert twin.fitting is None
        keras.utils.set_random_seed(99)
        again = twin.fit(callbacks=[*others(), GoesOn(kept)], **settings)
        assert_same(again.history, history.history)
        assert again.epoch == history.epoch
        assert_same(state(twin), state(model))


def test_a_state_goes_through_json():
    """But for its arrays."""
    keeps = Keeps("batch")
    network().fit(*data(36), batch_size=8, callbacks=[*others(), keeps], **QUIET)
    (_, kept) = keeps.kept[2]
    arrays = []

    def plain(value):
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return len(arrays) - 1
        raise TypeError(type(value))

    again = json.loads(json.dumps(kept, default=plain))
    assert len(arrays) == 6  # the order; loss and accuracy; the stream of keras.random
    assert again["random"]["generator"] == kept["random"]["generator"]
    assert (kept["epoch"], kept["batch"], kept["source"]["position"]) == (0, 3, 24)


def test_beginning_at_a_later_epoch():
    log = Log(batches=False)
    model = network()
    history = model.fit(*data(16), epochs=5, callbacks=[GoesOn({"epoch": 3}), log], **QUIET)
    assert history.epoch == [3, 4] and [call[1] for call in log.calls if call[0] == "epoch_begin"] == [3, 4]
    assert model.fit(*data(16), epochs=2, callbacks=[GoesOn({"epoch": 3})], **QUIET).epoch == []


def test_the_place_of_a_training():
    """As a callback that runs last sees it."""
    places = []

    class Place(callbacks.Callback):
        runs_last = True

        def note(self, *_):
            places.append((self.model.fitting.epoch, self.model.fitting.batch))

        on_train_begin = on_train_batch_end = on_epoch_end = note

    network().fit(*data(16), batch_size=8, epochs=2, callbacks=[Place()], **QUIET)
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]


def test_going_on_with_other_data_or_another_model_is_refused():
    keeps = Keeps("batch")
    network().fit(*data(36), batch_size=8, callbacks=[keeps], **QUIET)
    (_, kept) = keeps.kept[1]
    with pytest.raises(ValueError, match="one on 36 rows; this data has 40"):
        network().fit(*data(40), batch_size=8, callbacks=[GoesOn(kept)], **QUIET)
    with pytest.raises(ValueError, match="had 4 variables of metrics; this model has 2"):
        network(metrics=[]).fit(*data(36), batch_size=8, callbacks=[GoesOn(kept)], **QUIET)


def test_hooks_between_slices_see_the_state_of_the_moment():
    """A callback that wants every fifth batch gets it, and at most those between which `fit` pauses anyway."""
    seen = []

    class Fifth(callbacks.Callback):
        def batch_stride(self, kind, batch):
            return 5 - batch % 5 if kind == "train" else None

        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, int(self.model.optimizer.iterations)))

    network().fit(*data(92), batch_size=4, callbacks=[Fifth()], **QUIET)
    assert {4, 9, 14, 19, 22} <= {batch for batch, _ in seen}
    assert all(steps == batch + 1 for batch, steps in seen)


def test_compiling_in_a_batch_hook_does_not_bring_the_old_step_back():
    x, y = data(40)

    class Compile(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.compile(self.model.optimizer, "mae")

    model = network()
    model.fit(x, y, batch_size=8, callbacks=[Compile()], **IN_ORDER)
    model.optimizer.learning_rate = 0.0
    loss = model.fit(x, y, batch_size=8, **IN_ORDER).history["loss"][0]
    np.testing.assert_allclose(loss, np.abs(model.predict(x, verbose=0) - y).mean(), rtol=0.1)


def test_other_numbers_of_verbose_tell_the_epochs_only(capsys):
    network().fit(*data(16), epochs=2, verbose=3)
    assert capsys.readouterr().out == "Epoch 1/2\nEpoch 2/2\n"
    for silent in (None, False):
        network().fit(*data(16), epochs=2, verbose=silent)
    model = network()
    model.evaluate(*data(16), verbose=3)
    model.predict(data(16)[0], verbose=3)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_callback_may_compile_with_another_optimizer(is_stream):
    x, y = data(16)
    given = (zip([x] * 4, [y] * 4),) if is_stream else (x, y)
    one = {"steps_per_epoch": 1} if is_stream else {}

    def compiled(epoch, logs):
        if epoch == 2:
            model.compile(keras.optimizers.Adam(0.01), "mse")

    model, twin = network(), network()
    model.fit(*given, epochs=3, callbacks=[callbacks.LambdaCallback(on_epoch_begin=compiled)], **one, **IN_ORDER)
    twin.fit(x, y, epochs=2, **IN_ORDER)
    twin.compile(keras.optimizers.Adam(0.01), "mse")
    twin.fit(x, y, **IN_ORDER)
    assert_same(model.get_weights(), twin.get_weights())
