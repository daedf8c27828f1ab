"""A training that is killed at any moment, and started again, ends as an undisturbed one, bit for bit."""

import json
import os
import pickle
import random
import signal
import time

import h5py
import numpy as np
import pytest
from helpers import assert_same, data, network

import minigrad as keras

if not hasattr(keras.callbacks, "BackupAndRestore"):
    pytest.skip("needs a `fit` that can go on in the middle", allow_module_level=True)

from minigrad.callbacks import backup as backup_module

Backup = keras.callbacks.BackupAndRestore
QUIET = {"verbose": 0}


def train(
    folder, epochs=20, save_freq="epoch", callbacks=(), model=None, rows=120, monitor="val_loss", is_reduced=True,
    **options,
):
    """The training that all tests interrupt: shuffled, with dropout, moving statistics, callbacks with a memory."""
    model = model or network(dropout=0.3)
    random.seed(5)
    np.random.seed(5)
    x, y = data(rows)
    own = [keras.callbacks.EarlyStopping(monitor=monitor, patience=30, restore_best_weights=True)]
    if is_reduced:
        own.append(keras.callbacks.ReduceLROnPlateau(monitor=monitor, patience=2, factor=0.7))
    if folder is not None:
        own.insert(0, Backup(folder, save_freq=save_freq))
    settings = {"batch_size": 16, "validation_split": 0.2, **options}
    history = model.fit(x, y, epochs=epochs, callbacks=[*own, *callbacks], **settings, **QUIET)
    return model, history


def outcome(model, history):
    """All that a training ends with."""
    return {
        "weights": model.get_weights(),
        "optimizer": [v.numpy() for v in model.optimizer.variables],
        "streams": model.layers[3]._state,
        "history": history.history,
        "epochs": history.epoch,
        "next random numbers": [keras.config.generator().random(), random.random(), np.random.random()],
    }


class Crash(Exception):
    pass


class Crasher(keras.callbacks.Callback):
    """Raises at a chosen moment: ("epoch", e), ("batch", number since the start of this fit), ("end", None)."""

    def __init__(self, what, when):
        super().__init__()
        self.what, self.when, self.batches = what, when, 0

    def batch_stride(self, kind, batch):
        return 1 if kind == "train" and self.what == "batch" else None

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.what == "batch" and self.batches == self.when:
            raise Crash

    def on_epoch_end(self, epoch, logs=None):
        if self.what == "epoch" and epoch == self.when:
            raise Crash

    def on_train_end(self, logs=None):
        if self.what == "end":
            raise Crash


@pytest.mark.parametrize("save_freq", ["epoch", 3, 13])
@pytest.mark.parametrize("crashes", [
    [("epoch", 1), ("epoch", 2)],
    [("batch", n) for n in (1, 8, 5, 3, 7)],
    [("end", None), ("end", None)],
])
def test_after_any_crash(save_freq, crashes, tmp_path):
    """An exception at the end of an epoch, in the middle of one, or when all is over but the end."""
    expected = outcome(*train(None, epochs=5))
    for crash in crashes:
        with pytest.raises(Crash):
            train(tmp_path / "backup", epochs=5, save_freq=save_freq, callbacks=[Crasher(*crash)])
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    assert_same(outcome(*train(tmp_path / "backup", epochs=5, save_freq=save_freq, callbacks=[watch])), expected)
    assert not (tmp_path / "backup").exists()
    if crashes[0][0] == "end":
        assert seen == [], "everything was done already"


@pytest.mark.parametrize("name", ["momentum", "accumulation", "ema", "rmsprop", "schedule"])
def test_with_any_optimizer(name, tmp_path):
    o = keras.optimizers
    if name == "schedule" and not hasattr(o, "schedules"):
        pytest.skip("minigrad has no schedules")
    options = {"monitor": "loss"} if name != "schedule" else {"is_reduced": False}
    make = {
        "schedule": lambda: o.Adam(o.schedules.CosineDecay(0.05, 20, warmup_target=0.1, warmup_steps=5)),
        "momentum": lambda: o.SGD(0.05, momentum=0.9),
        "accumulation": lambda: o.Adam(0.01, gradient_accumulation_steps=3),
        "ema": lambda: o.Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
        "rmsprop": lambda: o.RMSprop(0.01, momentum=0.5, centered=True),
    }[name]
    expected = outcome(*train(None, epochs=4, model=network(dropout=0.3, optimizer=make()), **options))
    for when in (8, 9):
        with pytest.raises(Crash):
            train(tmp_path, epochs=4, save_freq=4, callbacks=[Crasher("batch", when)],
                  model=network(dropout=0.3, optimizer=make()), **options)
    model = network(dropout=0.3, optimizer=make())
    assert_same(outcome(*train(tmp_path, epochs=4, save_freq=4, model=model, **options)), expected)


@pytest.mark.parametrize("options", [
    {"steps_per_epoch": 7}, {"steps_per_epoch": 7, "shuffle": "batch"}, {"shuffle": False}, {"validation_freq": 2, "monitor": "loss"},
])  # fmt: skip
def test_however_epochs_are_cut(options, tmp_path):
    """With steps_per_epoch, a pass over the rows goes on in the next epoch: its order is part of the backup."""
    rows = 16 * 21 * 5 // 4  # a pass is three epochs of seven steps
    expected = outcome(*train(None, epochs=6, rows=rows, **options))
    for crash in (("epoch", 1), ("batch", 11), ("epoch", 4)):
        with pytest.raises(Crash):
            train(tmp_path / "b", epochs=6, rows=rows, save_freq=5, callbacks=[Crasher(*crash)], **options)
    assert_same(outcome(*train(tmp_path / "b", epochs=6, rows=rows, save_freq=5, **options)), expected)


class Batches:
    def __init__(self, *arrays):
        self.arrays = arrays

    def __iter__(self):
        return (tuple(a[i : i + 8] for a in self.arrays) for i in range(0, 40, 8))


@pytest.mark.filterwarnings("ignore:The data ran out")
@pytest.mark.parametrize("source", ["arrays", "batches"])
@pytest.mark.parametrize("steps", [2, 3, None])
def test_killed_where_a_pass_was_over(source, steps, tmp_path):
    """Between the last batch of a pass and the end of its epoch: what is left of that epoch is not a new pass."""

    def run(folder=None, crash=()):
        keras.utils.set_random_seed(3)
        model = network()
        x, y = data(40)
        given = (x, y) if source == "arrays" else (Batches(x, y),)
        model.compile("adam", "mse", steps_per_execution=2)
        backup = [Backup(folder, save_freq=1)] if folder else []
        options = {"batch_size": 8} if source == "arrays" else {}
        history = model.fit(*given, epochs=4, steps_per_epoch=steps, callbacks=[*crash, *backup], **options, **QUIET)
        return model.get_weights(), history.history, int(model.optimizer.iterations.numpy())

    expected = run()
    for epoch in range(4):
        with pytest.raises(Crash):
            run(tmp_path / str(epoch), [Crasher("epoch", epoch)])
        assert_same(run(tmp_path / str(epoch)), expected)


def test_a_stop_is_not_undone(tmp_path):
    """Killed after EarlyStopping has stopped it, a training does not begin again."""

    def run(callbacks=(), folder=None):
        stop = keras.callbacks.EarlyStopping(monitor="loss", baseline=-1.0, patience=2, restore_best_weights=True)
        return train(folder, callbacks=[stop, *callbacks])

    expected = outcome(*run())
    assert len(expected["epochs"]) < 20
    with pytest.raises(Crash):
        run([Crasher("end", None)], tmp_path / "b")
    assert_same(outcome(*run(folder=tmp_path / "b")), expected)


def test_killed_20_times(tmp_path):
    """SIGKILL at random moments of a forked process, 20 times in a row, each time started again."""
    epochs, folder, rng = 65, tmp_path / "backup", random.Random(3)
    expected = outcome(*train(None, epochs=epochs))

    def start(result=None):
        """A process that trains, and a pipe into which it writes at the beginning of each epoch."""
        told, tell = os.pipe()
        pid = os.fork()
        if pid:
            return pid, told
        status = 1
        try:
            begun = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: os.write(tell, b"."))
            end = outcome(*train(folder, epochs=epochs, save_freq=rng.choice([3, 4, 7]), callbacks=[begun]))
            if result is not None:
                result.write_bytes(pickle.dumps(end))
            status = 0
        finally:
            os._exit(status)

    positions = []
    while len(positions) < 20:
        pid, told = start()
        for _ in range(rng.randint(0, 3)):  # with 0, anywhere in its preparations
            os.read(told, 1)
        time.sleep(rng.uniform(0, 0.01))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(told)
        metadata = folder / backup_module.METADATA
        positions.append(tuple(json.loads(metadata.read_text()).values()) if metadata.exists() else (0, 0))
    assert positions == sorted(positions) and len(set(positions)) > 5 and positions[-1] < (epochs, 0), positions
    assert any(batch for _, batch in positions), "some kills came in the middle of an epoch"
    pid, told = start(tmp_path / "end")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(told)
    assert_same(pickle.loads((tmp_path / "end").read_bytes()), expected)
    assert not folder.exists()


# ------------------------------------------------------------------------------------------ the folder


def test_the_folder(tmp_path):
    folder = tmp_path / "a" / "b"
    with pytest.raises(Crash):
        train(folder, callbacks=[Crasher("epoch", 3)], epochs=5)
    assert sorted(os.listdir(folder)) == ["latest.weights.h5", "training_metadata.json"]
    assert json.loads((folder / "training_metadata.json").read_text()) == {"epoch": 3, "batch": 0}
    (folder / ".minigrad-0.tmp").write_bytes(b"what a killed save has left")
    (folder / "notes.txt").write_text("the user's")
    with pytest.warns(UserWarning, match=r"leaves .* it holds \['notes.txt'\], too"):
        train(folder, epochs=5)
    assert os.listdir(folder) == ["notes.txt"]


def test_kept_and_doubled(tmp_path):
    for epochs in (2, 3):
        model = network(dropout=0.3)
        model.fit(*data(), epochs=epochs, callbacks=Backup(tmp_path, double_checkpoint=True, delete_checkpoint=False), **QUIET)
    names = ["latest.weights.h5", "training_metadata.json"]
    assert sorted(os.listdir(tmp_path)) == sorted([*names, *(f"{name}.bkp" for name in names)])
    before, last = (json.loads((tmp_path / f"training_metadata.json{end}").read_text()) for end in (".bkp", ""))
    assert (before["epoch"], last["epoch"]) == (2, 3)
    assert model.history.epoch == [0, 1, 2], "the history has the epochs before, too"
    other = network(dropout=0.3)
    other.load_weights(tmp_path / "latest.weights.h5")
    assert_same(other.get_weights(), model.get_weights())


def test_arguments():
    for bad in ("", None):
        with pytest.raises(ValueError, match="backup_dir"):
            Backup(bad)
    for bad in (0, -1, True, 1.5, "batch", None):
        with pytest.raises(ValueError, match="save_freq"):
            Backup("x", save_freq=bad)


def test_what_does_not_fit(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = data()
    with pytest.raises(Crash):
        train(tmp_path, callbacks=[Crasher("batch", 3)], save_freq=2)
    wider = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    wider.compile("sgd", "mse")
    before = wider.get_weights()
    with pytest.raises(ValueError, match=r"latest\.weights\.h5"):
        wider.fit(x, y, callbacks=[Backup(tmp_path)], **QUIET)
    assert_same(wider.get_weights(), before)
    with pytest.raises(ValueError, match="96 rows; this data has 80"):
        train(tmp_path, rows=100)
    (tmp_path / "latest.weights.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"latest\.weights\.h5 can't be read: it is empty"):
        train(tmp_path)


@pytest.mark.parametrize("damage, reason", [
    (lambda s: s.update(epoch="1"), "epoch must be an integer"),
    (lambda s: s.update(batch=-5), "batch must be an integer"),
    (lambda s: s.update(unsaved=None), "unsaved"),
    (lambda s: s.update(callbacks=3), "damaged"),
    (lambda s: s.update(random=5), "damaged"),
    (lambda s: s.update(python=[1, 2]), "state with version 1"),
    (lambda s: s.update(metrics=1), "damaged"),
    (lambda s: s.update(metrics=s["metrics"][:1]), "variables of metrics"),
    (lambda s: s["metrics"].__setitem__(0, [1.0, 2.0]), "a variable of shape"),
    (lambda s: s["source"].pop("position"), "damaged"),
    (lambda s: s["source"].update(position=10**6), "position among 96 rows"),
    (lambda s: s["source"].update(order=[10**12, *range(1, 96)]), "must have each of the 96 once"),
    (lambda s: s["source"].update(order=[0, *range(95)]), "must have each of the 96 once"),
    (lambda s: [c["state"].clear() for c in s["callbacks"]], "damaged"),
    (lambda s: [c["state"].update(wait="x") for c in s["callbacks"]], "the callback .* makes no sense"),
    (lambda s: [c["state"].update(history=3) for c in s["callbacks"]], "History makes no sense"),
])  # fmt: skip
def test_damaged_backups(damage, reason, tmp_path):
    """A ValueError that names the file, before anything has changed: no weight, no generator."""
    with pytest.raises(Crash):
        train(tmp_path, callbacks=[Crasher("batch", 3)], save_freq=2)
    with h5py.File(tmp_path / "latest.weights.h5", "r+") as file:
        content = json.loads(bytes(file["minigrad/state"][()]))
        damage(content["state"]["training"])
        del file["minigrad/state"]
        file["minigrad/state"] = np.frombuffer(json.dumps(content).encode(), np.uint8)
    model = network(dropout=0.3)
    before, stream = model.get_weights(), model.layers[3]._state.copy()
    with pytest.raises(ValueError, match=rf"latest\.weights\.h5 can't be read: .*{reason}"):
        train(tmp_path, model=model)
    assert_same((model.get_weights(), model.layers[3]._state), (before, stream))
    assert random.random() == random.Random(5).random(), "as `train` has seeded it"
