"""Each callback: what it does when, to the epoch. The figures of the traces are the real Keras'."""

import csv
import json
import math
import os
import subprocess
import sys
import types

import numpy as np
import pytest
from helpers import Log, Quiet, assert_same, data, network, state

import minigrad as keras
from minigrad import callbacks

QUIET = {"verbose": 0}


class Feed(callbacks.Callback):
    """Puts values of its own into the logs, one an epoch."""

    def __init__(self, values, key="loss"):
        super().__init__()
        self.values, self.key = values, key

    def on_epoch_end(self, epoch, logs=None):
        logs[self.key] = self.values[epoch]


def fed(values, *others, key="loss", model=None, **settings):
    """A fit whose logs are `values`; the History."""
    model = model or network(optimizer=keras.optimizers.SGD(1.0))
    feed = Feed(values, key)
    return model.fit(*data(8), epochs=len(values), callbacks=[feed, *others], **QUIET, **settings)


class Saver(keras.Sequential):
    """Notes down what it is asked to save."""

    saved = ()

    def save(self, filepath, overwrite=True):
        self.saved = (*self.saved, os.path.basename(filepath))
        assert overwrite is True and os.path.isdir(os.path.dirname(filepath) or ".")

    save_weights = save


def saver():
    model = Saver([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


# ------------------------------------------------------------------------------------------------- direction


class Score(keras.metrics.Mean):
    """A metric whose direction is what the test says."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)


def scored(direction):
    score = Score(name="score")
    score._direction = {"max": "up", "min": "down"}.get(direction)
    return network(metrics=[score], optimizer=keras.optimizers.SGD(0.1))


@pytest.mark.parametrize("monitor", ["score", "val_score"])
@pytest.mark.parametrize("direction, stops", [("max", [0, 1, 2]), ("min", [0, 1])])
def test_auto_asks_the_metric(monitor, direction, stops):
    values = [1.0, 2.0, 1.5, 1.7]
    stop = callbacks.EarlyStopping(monitor)
    assert fed(values, stop, key=monitor, model=scored(direction)).epoch == stops


@pytest.mark.parametrize("make", [
    callbacks.EarlyStopping, callbacks.ReduceLROnPlateau,
    lambda monitor, **more: callbacks.ModelCheckpoint("m.keras", monitor, save_best_only=True, **more),
])  # fmt: skip
def test_a_direction_that_nobody_knows(make):
    with pytest.raises(ValueError, match="'score'.*mode='max'"):
        fed([1.0, 2.0], make("score"), key="score", model=scored(None))
    with pytest.raises(ValueError, match="'other'.*mode='max'"):
        fed([1.0, 2.0], make("other"), key="other")
    with pytest.warns(UserWarning, match="'larger' is unknown"):
        assert make("loss", mode="larger").mode == "auto"


# --------------------------------------------------------------------------------------------- EarlyStopping

LOSSES = [5, 4, 4.2, 3.9, 3.9, 3.95, 4, 4]


@pytest.mark.parametrize("settings, last", [
    ({"patience": 0}, 2),
    ({"patience": 1}, 2),
    ({"patience": 2}, 5),
    ({"patience": 2, "min_delta": 0.5}, 3),
    ({"patience": 2, "min_delta": -0.5}, 3),
    ({"patience": 2, "baseline": 0.1}, 2),
    ({"patience": 1, "start_from_epoch": 3}, 4),
    ({"patience": 2, "mode": "max"}, 2),
    ({"patience": 10}, 7),
])  # fmt: skip
def test_early_stopping(settings, last):
    stop = callbacks.EarlyStopping("loss", **settings)
    history = fed(LOSSES, stop)
    assert history.epoch == list(range(last + 1)) and history.history["loss"] == LOSSES[: last + 1]
    assert stop.stopped_epoch == (last if last < 7 else 0)
    if settings == {"patience": 2}:
        assert (stop.best, stop.best_epoch, stop.wait) == (3.9, 3, 2)


class Weights(callbacks.Callback):
    """Notes down the weights at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights())


@pytest.mark.parametrize("values, settings, best", [
    (LOSSES, {"patience": 2}, 3),
    ([3, 1, 2], {"patience": 10}, 1),  # also where nothing was stopped
    ([3, 4, 5, 6], {"patience": 3, "baseline": 1}, 0),
    ([1, 2, 5, 4, 6], {"patience": 2, "start_from_epoch": 2}, 3),
    ([math.nan, 1, 2], {"patience": 2}, 0),  # nothing is better than a NaN
    ([2, math.nan, 1, math.inf], {"patience": 2}, 2),
])  # fmt: skip
def test_the_best_weights_are_restored(values, settings, best):
    """The moving statistics of BatchNormalization included."""
    stop, seen = callbacks.EarlyStopping("loss", restore_best_weights=True, **settings), Weights()
    model = network(optimizer=keras.optimizers.SGD(1.0))
    fed(values, stop, seen, model=model)
    assert stop.best_epoch == best
    assert_same(model.get_weights(), seen.seen[best])
    assert not np.array_equal(seen.seen[best][0], seen.seen[best - 1][0])


@pytest.mark.parametrize("make", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_a_list_of_one_is_a_number(make):
    watcher = make("f1", mode="max")
    fed([[0.5], [0.75], [0.25]], watcher, key="f1")
    assert watcher.best == 0.75
    with pytest.raises(ValueError, match="'f1' has several values"):
        fed([[0.5, 0.5]], make("f1", mode="max"), key="f1")


def test_what_early_stopping_watches_can_be_told_by_a_subclass():
    class Constant(callbacks.EarlyStopping):
        def get_monitor_value(self, logs):
            return 0.0 * super().get_monitor_value(logs)

    history = network().fit(*data(16), epochs=10, callbacks=[Constant("loss", patience=2)], verbose=0)
    assert history.epoch == [0, 1, 2]


def test_early_stopping_starts_anew_with_each_fit():
    stop = callbacks.EarlyStopping("loss", patience=2)
    model = network()
    fed([1, 2, 3, 4], stop, model=model)
    assert fed([9, 8, 7, 8], stop, model=model).epoch == [0, 1, 2, 3]


def test_early_stopping_prints(capsys):
    fed(LOSSES, callbacks.EarlyStopping("loss", patience=2, verbose=1, restore_best_weights=True))
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 6: early stopping",
        "Restoring model weights from the end of the best epoch: 4.",
    ]


def test_a_missing_value_warns_each_epoch():
    with pytest.warns(UserWarning, match=r"EarlyStopping: 'val_loss' is not in the logs.*accuracy, loss") as warned:
        assert fed([1, 2, 3], callbacks.EarlyStopping()).epoch == [0, 1, 2]
    assert len(warned) == 3
    with pytest.warns(UserWarning, match="ReduceLROnPlateau: 'val_loss' is not in the logs"):
        history = fed([1, 2], callbacks.ReduceLROnPlateau())
    assert history.history["learning_rate"] == [1.0, 1.0]


# ---------------------------------------------------------------------------------------- the learning rate


@pytest.mark.parametrize("settings, rates", [
    ({}, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
    ({"cooldown": 2, "min_lr": 0.3}, [1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]),
])  # fmt: skip
def test_reduce_lr_on_plateau(settings, rates):
    """After the epochs, as Keras has them; the logs have the rate of the epoch itself."""
    after = []
    spy = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(float(rate())))
    model = network(optimizer=keras.optimizers.SGD(1.0))
    rate = lambda: model.optimizer.learning_rate
    reduce = callbacks.ReduceLROnPlateau("loss", patience=2, factor=0.5, **settings)
    history = fed([3.0] * len(rates), reduce, spy, model=model).history
    assert after == pytest.approx(rates, rel=1e-6)
    assert history["learning_rate"] == [1.0, *after[:-1]]
    assert [*history][-1] == "learning_rate" and len(history["learning_rate"]) == len(rates)


def test_reduce_lr_needs_a_real_improvement(capsys):
    model = network(optimizer=keras.optimizers.SGD(1.0))
    reduce = callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.1, verbose=1)
    fed([3, 2.95, 2.5, 2.3], reduce, model=model)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1) and not reduce.in_cooldown()
    assert capsys.readouterr().out == "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.1.\n"
    for factor in (1.0, 2, math.nan):
        with pytest.raises(ValueError, match="factor"):
            callbacks.ReduceLROnPlateau(factor=factor)


@pytest.mark.parametrize("schedule", [
    lambda epoch, rate: rate * 0.5 if epoch else rate,
    lambda epoch: 2.0**-epoch,
    lambda epoch: np.float32(2.0**-epoch),
    lambda epoch, rate=None: 2.0**-epoch,
])  # fmt: skip
def test_learning_rate_scheduler(schedule):
    history = fed([1, 1, 1], callbacks.LearningRateScheduler(schedule)).history
    assert history["learning_rate"] == [1.0, 0.5, 0.25]


def test_learning_rate_scheduler_changes_the_training(capsys):
    """The Program reads the rate where it lies: no recording is lost."""
    x, y = data(16)
    model, twin = network(), network()
    rates = [0.1, 0.01]
    model.fit(x, y, epochs=2, shuffle=False, verbose=0, callbacks=[
        callbacks.LearningRateScheduler(rates.__getitem__, verbose=1)])  # fmt: skip
    for rate in rates:
        twin.optimizer.learning_rate = rate
        twin.train_on_batch(x, y)
    assert_same(model.get_weights(), twin.get_weights())
    assert capsys.readouterr().out.splitlines()[1] == "Epoch 1: LearningRateScheduler setting learning rate to 0.1."


@pytest.mark.parametrize("value", [1, "0.1", None, np.array([0.1])])
def test_a_schedule_must_return_a_float(value):
    with pytest.raises(ValueError, match="LearningRateScheduler.*float"):
        fed([1], callbacks.LearningRateScheduler(lambda epoch: value))


def test_an_error_of_the_schedule_is_not_hidden():
    def schedule(epoch, rate):
        return len(rate)

    with pytest.raises(TypeError, match="has no len"):
        fed([1], callbacks.LearningRateScheduler(schedule))


# ------------------------------------------------------------------------------------------- ModelCheckpoint


def checkpoint(tmp_path, name="{epoch:02d}.keras", **settings):
    return callbacks.ModelCheckpoint(tmp_path / "deep" / "er" / name, **settings)


@pytest.mark.parametrize("settings, saved", [
    ({}, ["01", "02", "03", "04", "05"]),
    ({"save_best_only": True, "monitor": "loss"}, ["01", "03", "05"]),
    ({"save_best_only": True, "monitor": "loss", "mode": "max"}, ["01", "02", "04"]),
    ({"save_best_only": True, "monitor": "loss", "initial_value_threshold": 2.0}, ["05"]),
])  # fmt: skip
def test_model_checkpoint(tmp_path, settings, saved):
    model = saver()
    fed([3, 4, 2.5, 5, 1], checkpoint(tmp_path, **settings), model=model)
    assert list(model.saved) == [f"{name}.keras" for name in saved]


def test_model_checkpoint_of_weights_with_values_in_the_name(tmp_path, capsys):
    model = saver()
    name = "{epoch}-{loss:.2f}.weights.h5"
    fed([3, 4], checkpoint(tmp_path, name, save_weights_only=True), model=model)
    assert list(model.saved) == ["1-3.00.weights.h5", "2-4.00.weights.h5"]
    best = checkpoint(tmp_path, "m.keras", save_best_only=True, monitor="loss", verbose=1)
    fed([3, 4], best, model=model)
    path = tmp_path / "deep" / "er" / "m.keras"
    assert capsys.readouterr().out == (
        f"\nEpoch 1: loss improved from None to 3.00000, saving model to {path}\n"
        f"\nEpoch 1: finished saving model to {path}\n"
        "\nEpoch 2: loss did not improve from 3.00000\n"
    )


@pytest.mark.parametrize("save_freq, saved", [
    (1, ["1-1", "1-2", "1-3", "2-1", "2-2", "2-3", "3-1", "3-2", "3-3"]),
    (2, ["1-2", "2-1", "2-3", "3-2"]),  # counted over all epochs
    (4, ["2-1", "3-2"]),
    (10, []),
])  # fmt: skip
@pytest.mark.parametrize("others", [[], [Log()]])
def test_model_checkpoint_after_so_many_batches(tmp_path, save_freq, saved, others):
    """Whether or not another callback wants to see every batch."""
    model = saver()
    save = checkpoint(tmp_path, "{epoch}-{batch}.keras", save_freq=save_freq)
    model.fit(*data(12), batch_size=4, epochs=3, callbacks=[save, *others], **QUIET)
    assert [name.removesuffix(".keras") for name in model.saved] == saved


def test_what_model_checkpoint_refuses(tmp_path):
    for name, settings in [
        ("m.keras", {"save_weights_only": True}), ("m.keras", {"save_freq": "batch"}), ("m.keras", {"save_freq": 0}),
    ]:
        with pytest.raises(ValueError, match="ModelCheckpoint: (filepath|save_freq)"):
            callbacks.ModelCheckpoint(name, **settings)
    with pytest.raises(KeyError, match="val_loss.*loss"):
        fed([1], checkpoint(tmp_path, "{val_loss}.keras"), model=saver())
    (tmp_path / "deep" / "er" / "01.keras").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="01.keras.*folder"):
        fed([1], checkpoint(tmp_path), model=saver())


def test_model_checkpoint_saves_what_it_can_not_compare(tmp_path):
    model = saver()
    with pytest.warns(UserWarning, match="'val_loss' is not in the logs"):
        fed([1, 2], checkpoint(tmp_path, save_best_only=True), model=model)
    several = checkpoint(tmp_path, save_best_only=True, monitor="f1", mode="max")
    with pytest.warns(UserWarning, match="several values"):
        fed([[0.5, 0.25], [0.1, 0.1]], several, key="f1", model=model)
    assert list(model.saved) == ["01.keras", "02.keras"] * 2


# ------------------------------------------------------------------------------------------------- CSVLogger


def rows(path, **settings):
    with open(path, newline="") as file:
        return list(csv.reader(file, **settings))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    model = network()
    history = model.fit(*data(16), epochs=3, validation_split=0.25, callbacks=[callbacks.CSVLogger(path)], **QUIET)
    header, *body = rows(path)
    assert header == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [[float(cell) for cell in row] for row in body] == [
        [epoch, *(history.history[key][epoch] for key in header[1:])] for epoch in range(3)
    ]


def test_csv_logger_where_validation_comes_later(tmp_path):
    path = tmp_path / "log.csv"
    model = network()
    log = callbacks.CSVLogger(path, separator=";")
    model.fit(*data(16), epochs=2, validation_split=0.25, validation_freq=2, callbacks=[log], **QUIET)
    header, first, second = rows(path, delimiter=";")
    assert header == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert first[3:] == ["NA", "NA"] and "NA" not in second


def test_csv_logger_appends_without_a_second_header(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        fed([1, 2], callbacks.CSVLogger(path, append=True))
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1", "0", "1"]
    fed([1], callbacks.CSVLogger(path))
    assert [row[0] for row in rows(path)] == ["epoch", "0"]


def test_csv_logger_after_an_error(tmp_path):
    """The file is closed, and has the epochs before."""
    path = tmp_path / "log.csv"

    def fail(epoch, logs):
        assert epoch < 1, "on purpose"

    log = callbacks.CSVLogger(path)
    with pytest.raises(AssertionError, match="on purpose"):
        fed([[1, 2], 2], log, callbacks.LambdaCallback(on_epoch_end=fail), key="list")
    assert log._file is None and [row[0] for row in rows(path)] == ["epoch", "0", "1"]
    assert '"[1, 2]"' in rows(path)[1]


# -------------------------------------------------------------------------------------------- TerminateOnNaN


def exploding(value):
    """Data whose batch 5 of 12 has a bad target, in order."""
    x, y = data(96, target="regression")
    y = y.copy()
    y[5 * 8] = value
    return x, y


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_terminate_on_nan(value, run_eagerly, capsys):
    """It names the batch to the figure, whichever batches a replay had at once; no further epoch begins."""
    x, y = exploding(value)
    model = network("regression", run_eagerly=run_eagerly)
    stop, log = callbacks.TerminateOnNaN(), Log(batches=False)
    history = model.fit(x, y, batch_size=8, epochs=4, shuffle=False, callbacks=[stop, log], **QUIET)
    assert history.epoch == [0] and not math.isfinite(history.history["loss"][0])
    assert capsys.readouterr().out == "Batch 5: Invalid loss, terminating training\n"
    assert log.names[-2:] == ["epoch_end", "train_end"]


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
def test_terminate_on_nan_at_the_batch_where_others_watch():
    x, y = exploding(np.nan)
    model = network("regression")
    log = Log()
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, callbacks=[callbacks.TerminateOnNaN(), log], **QUIET)
    assert log.names.count("train_batch_end") == 6 and model.optimizer.iterations == 6


def test_terminate_on_nan_can_raise():
    x, y = exploding(np.nan)
    log = Log(batches=False)
    with pytest.raises(RuntimeError, match="nan at batch 5"):
        network("regression").fit(
            x, y, batch_size=8, shuffle=False, callbacks=[callbacks.TerminateOnNaN(raise_error=True), log], **QUIET
        )
    assert log.names == ["train_begin", "epoch_begin"]


def test_terminate_on_nan_leaves_a_good_training_alone():
    plain = network()
    plain.fit(*data(42), batch_size=4, epochs=3, **QUIET)
    watched = network()
    watched.fit(*data(42), batch_size=4, epochs=3, callbacks=[callbacks.TerminateOnNaN()], **QUIET)
    assert_same(state(watched), state(plain))
    assert watched.finite_batches == 11


# -------------------------------------------------------------------------------------------- SwapEMAWeights


def averaging(**settings):
    return network(optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), **settings)


def averages(model):
    return [v.numpy() for v in model.optimizer.variables if v.name.endswith("_average")]


def trained(model):
    return [v.numpy() for v in model.trainable_variables]


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_swap_ema_weights(swap_on_epoch):
    """The validation sees the averages, and so do callbacks that come later, with swap_on_epoch; the training not."""
    x, y = data(40)
    seen, expected = [], []
    spy = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((trained(model), averages(model))),
        on_test_begin=lambda logs: expected.append(trained(model)),
    )
    swap = callbacks.SwapEMAWeights(swap_on_epoch)
    model, twin = averaging(), averaging()
    settings = {"batch_size": 8, "epochs": 3, "shuffle": False, "validation_data": (x, y), **QUIET}
    history = model.fit(x, y, callbacks=[swap, spy], **settings)
    plain = []
    twin.fit(x, y, **settings, callbacks=[
        callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: plain.append((trained(twin), averages(twin))))])  # fmt: skip
    for epoch in range(3):
        weights, average = plain[epoch]
        assert_same(expected[epoch], average)
        assert_same(seen[epoch], (average if swap_on_epoch else weights, average))
    assert_same(trained(model), trained(twin))  # in the end the averages are the weights
    assert history.history["loss"] == twin.history.history["loss"]
    assert history.history["val_loss"] != twin.history.history["val_loss"]


def test_swap_ema_weights_in_evaluate_and_predict():
    x, y = data(40)
    model = averaging()
    for _ in range(5):
        model.train_on_batch(x, y)
    before = model.get_weights()
    expected = averaging()
    expected.set_weights(before)
    for v, average in zip(expected.trainable_variables, averages(model), strict=True):
        v.assign(average)
    swap = callbacks.SwapEMAWeights()
    assert model.evaluate(x, y, callbacks=[swap], **QUIET) == expected.evaluate(x, y, **QUIET)
    assert_same(model.predict(x, callbacks=[swap], **QUIET), expected.predict(x, **QUIET))
    assert_same(model.get_weights(), before)


def test_swap_ema_weights_needs_averages():
    with pytest.raises(ValueError, match="use_ema=True"):
        network().fit(*data(8), callbacks=[callbacks.SwapEMAWeights()], **QUIET)


# ----------------------------------------------------------------------------------------------- TensorBoard


@pytest.fixture
def events(monkeypatch):
    """`events(folder)`: what TensorBoard itself reads there, {tag: [(step, value)]} of scalars and of histograms."""
    pytest.importorskip("tensorboardX")
    pytest.importorskip("tensorboard")
    # That it does without TensorFlow, where there is one: importing that takes twenty seconds.
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def read(folder):
        files = reading.EventAccumulator(str(folder), {"scalars": 0, "histograms": 0}).Reload()
        tags = files.Tags()
        scalars = {tag: [(event.step, event.value) for event in files.Scalars(tag)] for tag in tags["scalars"]}
        return scalars, {tag: [(e.step, e.histogram_value) for e in files.Histograms(tag)] for tag in tags["histograms"]}

    return read


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path, events):
    x, y = data(40)
    model = network()
    board = callbacks.TensorBoard(tmp_path, histogram_freq=2, write_steps_per_second=True)
    history = model.fit(x, y, batch_size=8, epochs=3, validation_data=(x, y), callbacks=[board], **QUIET).history
    assert sorted(os.listdir(tmp_path)) == ["train", "validation"]
    train, histograms = events(tmp_path / "train")
    assert set(train) == {"epoch_accuracy", "epoch_loss", "epoch_learning_rate", "epoch_steps_per_second"}
    assert train["epoch_loss"] == [(i, pytest.approx(value)) for i, value in enumerate(history["loss"])]
    assert train["epoch_learning_rate"] == [(i, pytest.approx(0.01)) for i in range(3)]
    assert set(histograms) == {f"{v.path}/histogram" for v in model.weights}
    ((_, first), (_, _last)) = histograms["dense/kernel/histogram"]
    assert [step for step, _ in histograms["dense/kernel/histogram"]] == [0, 2] and first.num == 20
    validation, _ = events(tmp_path / "validation")
    assert set(validation) == {
        "epoch_accuracy", "epoch_loss", "evaluation_accuracy_vs_iterations", "evaluation_loss_vs_iterations",
    }  # fmt: skip
    assert validation["epoch_loss"] == [(i, pytest.approx(value)) for i, value in enumerate(history["val_loss"])]
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [5, 10, 15]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("update_freq, steps", [("batch", range(1, 11)), (1, range(1, 11)), (3, [3, 6, 9]), (20, [])])
def test_tensorboard_of_batches(tmp_path, update_freq, steps, events):
    log = Log()
    board = callbacks.TensorBoard(tmp_path, update_freq=update_freq, write_steps_per_second=True)
    others = [log] if update_freq == 1 else []
    network().fit(*data(40), batch_size=8, epochs=2, callbacks=[board, *others], **QUIET)
    scalars, _ = events(tmp_path / "train")
    assert [step for step, _ in scalars.get("batch_loss", [])] == list(steps)
    speeds = scalars.get("batch_steps_per_second", [])
    assert [step for step, _ in speeds] == list(steps) and all(0 < value < math.inf for _, value in speeds)
    if others:
        values = [value for _, value in scalars["batch_loss"]]
        assert values == pytest.approx([logs["loss"] for logs in log.logs("train_batch_end")])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_goes_on_counting(tmp_path, events):
    """Within an epoch too."""
    x, y = data(40)

    class Keep(callbacks.Callback):
        runs_last = True
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            if self.batches == 8:
                self.kept = self.model.fitting.get_state()

    class GoOn(callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.fitting.set_state(keep.kept)

    keep, model = Keep(), network()
    for folder, other in (("all", keep), ("rest", GoOn())):
        board = callbacks.TensorBoard(tmp_path / folder, update_freq=1)
        model.fit(x, y, batch_size=8, epochs=3, callbacks=[board, other], **QUIET)
    first, second = (events(tmp_path / folder / "train")[0]["batch_loss"] for folder in ("all", "rest"))
    assert [step for step, _ in first] == list(range(1, 16))
    assert [step for step, _ in second] == list(range(9, 16))


def test_tensorboard_says_what_it_does_not_write():
    with pytest.warns(UserWarning, match="writes nothing for write_images, profile_batch"):
        callbacks.TensorBoard(write_images=True, profile_batch=3)
    with Quiet():
        callbacks.TensorBoard()
    with pytest.raises(ValueError, match="update_freq"):
        callbacks.TensorBoard(update_freq="never")


def test_importing_minigrad_does_not_import_the_writer():
    code = "import sys, minigrad; print('tensorboardX' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False\n"


# ---------------------------------------------------------------------------------------------- CallbackList


def test_a_callback_list_in_a_loop_of_ones_own():
    log = Log(batches=False)
    model = network()
    both = callbacks.CallbackList([log], add_history=True, model=model, epochs=2, verbose=0, steps=1)
    both.on_train_begin()
    for epoch in range(2):
        both.on_epoch_begin(epoch)
        both.on_epoch_end(epoch, {"loss": 1.0 - epoch})
    both.on_train_end()
    assert model.history.history == {"loss": [1.0, 0.0]} and both.history is model.history
    assert log.names == ["train_begin", *["epoch_begin", "epoch_end"] * 2, "train_end"]
    assert log.params == {"epochs": 2, "verbose": 0, "steps": 1} and log.model is model
    more = callbacks.History()
    both.append(more)
    assert both.callbacks == [log, both.history, more]
    assert network().fit(*data(8), callbacks=both, **QUIET) is both.history


def test_the_order_of_callbacks():
    class Keeps(callbacks.Callback):
        runs_last = True

    first, second = Keeps(), Log()
    nested = callbacks.CallbackList([first, [second]], add_history=True, add_progbar=True)
    assert [type(c).__name__ for c in nested.callbacks] == ["Log", "History", "ProgbarLogger", "Keeps"]


def test_states_find_their_callbacks():
    """By class, of several in order, whatever else has come or gone."""
    a, b = callbacks.EarlyStopping(), callbacks.EarlyStopping()
    a.best, b.best = 1.0, 2.0
    kept = callbacks.CallbackList([a, callbacks.ModelCheckpoint("m.keras"), b]).get_state()
    json.dumps(kept)
    c, d = callbacks.EarlyStopping(), callbacks.EarlyStopping()
    c.best = d.best = 5.0
    callbacks.CallbackList([Log(), c, d]).set_state(kept)
    assert (c.best, d.best) == (1.0, 2.0)


STRIDES = [  # a callback, how many batches may pass in train, test, predict
    (callbacks.Callback(), None, None, None),
    (callbacks.History(), None, None, None),
    (callbacks.EarlyStopping(), None, None, None),
    (callbacks.TerminateOnNaN(), math.inf, None, None),
    (callbacks.ModelCheckpoint("m.keras"), None, None, None),
    (callbacks.ModelCheckpoint("m.keras", save_freq=7), 7, None, None),
    (callbacks.TensorBoard(), None, None, None),
    (callbacks.TensorBoard(update_freq=4), 4, None, None),
    (callbacks.LambdaCallback(on_epoch_end=print), None, None, None),
    (callbacks.LambdaCallback(on_batch_end=print), 1, None, None),
    (callbacks.LambdaCallback(on_predict_batch_begin=print), None, None, 1),
]


@pytest.mark.parametrize("callback, train, test, predict", STRIDES, ids=lambda c: type(c).__name__)
def test_which_batch_hooks_are_wanted(callback, train, test, predict):
    strides = {"train": train, "test": test, "predict": predict}
    assert {kind: callback.batch_stride(kind, 0) for kind in strides} == strides

    class Own(type(callback)):
        def on_train_batch_end(self, batch, logs=None):
            pass

    own = Own.__new__(Own)
    own.__dict__.update(callback.__dict__)
    assert own.batch_stride("train", 0) == 1


@pytest.mark.parametrize("make", [
    callbacks.TerminateOnNaN, callbacks.TensorBoard, lambda: callbacks.ModelCheckpoint("m.keras"),
    callbacks.EarlyStopping,
])  # fmt: skip
def test_a_replay_goes_on_beside(make, monkeypatch, tmp_path):
    """2,000 batches with these callbacks are a handful of replays, not 2,000."""
    monkeypatch.chdir(tmp_path)
    replays, original = [], keras.Program.replay

    def counting(self, steps=1):
        replays.append(steps)
        original(self, steps)

    monkeypatch.setattr(keras.Program, "replay", counting)
    model = saver()
    with pytest.warns(UserWarning) if make is callbacks.EarlyStopping else Quiet():
        model.fit(*data(8000), batch_size=4, callbacks=[make()], **QUIET)
    assert sum(replays) == 2000 and len(replays) < 200
