"""Writing is atomic: whatever happens, there is the old file or the new one, whole."""

import errno
import os
import random
import resource
import signal
import stat
import time

import h5py
import numpy as np
import pytest
from helpers import assert_same, network

import minigrad as keras
from minigrad.saving import files


@pytest.fixture
def models(tmp_path):
    """A model, another one, and the file that the first one is in."""
    old, new = network(seed=1), network(seed=2)
    path = tmp_path / "model.keras"
    old.save(path)
    return old, new, path


def there_is(model, path):
    """The file holds this model, and nothing else is left beside it."""
    assert os.listdir(path.parent) == [path.name]
    assert_same(keras.models.load_model(path).get_weights(), model.get_weights())


STEPS = ["open", "fdopen", "fsync", "replace"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_failure_at_any_step(models, step, error, monkeypatch):
    old, new, path = models

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(type(error)):
        new.save(path)
    monkeypatch.undo()
    there_is(old, path)
    new.save(path)
    there_is(new, path)


def test_a_new_file_appears_only_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "model.keras", []
    original = os.fsync

    def look(descriptor):
        seen.append(path.exists())
        original(descriptor)

    monkeypatch.setattr(files.os, "fsync", look)
    network().save(path)
    assert seen == [False, True], "the content reaches the disk before the name, then the name"


def in_child(function):
    """Run `function` in a forked process; its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return pid


def test_a_full_disk(models):
    """The system lets the process write 4 kB into a file, then no more: a real write that fails half way."""
    old, new, path = models

    def save():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            new.save(path)
        except OSError as error:
            if error.errno == errno.EFBIG:
                os._exit(42)

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(save), 0)[1]) == 42
    there_is(old, path)


def test_kills(tmp_path):
    """A process that saves one model after the other is killed, 25 times: each time there is one of the models."""
    path, rng = tmp_path / "some.weights.h5", random.Random(4)
    model, other = network(seed=1), network(seed=2)
    model.save_weights(path)
    found = set()

    def save_for_ever():
        while True:
            for one in (model, other):
                one.save_weights(path)
                os.write(tell, b".")

    for _ in range(25):
        told, tell = os.pipe()
        pid = in_child(save_for_ever)
        for _ in range(rng.randint(1, 4)):
            os.read(told, 1)
        time.sleep(rng.uniform(0, 0.005))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(told), os.close(tell)
        again = network(seed=3)
        again.load_weights(path)
        which = [np.array_equal(again.get_weights()[0], one.get_weights()[0]) for one in (model, other)]
        assert sum(which) == 1
        found.add(which.index(True))
    assert found == {0, 1}, "the kills came while files were replaced"
    files.remove_unfinished(tmp_path)
    assert os.listdir(tmp_path) == [path.name]


def test_permissions_and_links_stay(models, tmp_path):
    old, new, path = models
    os.chmod(path, 0o640)
    link = tmp_path / "link.keras"
    link.symlink_to(path)
    new.save(link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert_same(keras.models.load_model(path).get_weights(), new.get_weights())


def test_a_new_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        network().save(tmp_path / "a.keras")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.keras").stat().st_mode) == 0o640


def test_what_killed_saves_have_left_goes_with_a_later_one(tmp_path):
    """Once it is an hour old: what is younger, another process may be writing."""
    old, young = tmp_path / f"{files.TEMPORARY}0.tmp", tmp_path / f"{files.TEMPORARY}1.tmp"
    for path in (old, young, tmp_path / "other.tmp"):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    files.write(tmp_path / "x", b"whole")
    assert sorted(os.listdir(tmp_path)) == [young.name, "other.tmp", "x"]


def test_what_a_layer_has_found_out_is_in_no_file(tmp_path):
    """Attributes that are lists hold layers of the layer's own; what it keeps for itself must not look like one."""
    x = keras.Input((4, 6))
    model = keras.Model(x, keras.layers.MultiHeadAttention(2, 3)(x, x))
    model(np.ones((2, 4, 6), "float32"))
    model.count_params()  # looks for all that is below
    model.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5") as file:
        names = []
        file.visit(names.append)
    parts = {part for name in names for part in name.split("/")}
    assert "query_dense" in parts and parts.isdisjoint({"container", "_found"})
