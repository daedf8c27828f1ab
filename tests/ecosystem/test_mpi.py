"""`keras.distribution.DataParallel`: two processes of mpiexec train as one does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mpi4py")
pytestmark = pytest.mark.ecosystem
HERE = Path(__file__).parent
MPIEXEC = next((path for path in (Path(sys.executable).with_name("mpiexec"), shutil.which("mpiexec")) if path and Path(path).exists()), None)
if MPIEXEC is None:
    pytest.skip("mpiexec is not there", allow_module_level=True)


def run(folder, processes, trouble="nothing"):
    """Run the script in a folder."""
    folder.mkdir(exist_ok=True)
    start = [] if processes == 1 else [str(MPIEXEC), "-n", str(processes)]
    return subprocess.run(
        [*start, sys.executable, "-m", "minigrad", str(HERE / "data_parallel.py"), trouble, str(processes)],
        cwd=folder, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )  # fmt: skip


def test_two_processes_are_like_one_and_the_same_each_time(tmp_path):
    alone, once, again = (run(tmp_path / name, count) for name, count in (("alone", 1), ("once", 2), ("again", 2)))
    assert [one.returncode for one in (alone, once, again)] == [0, 0, 0], once.stderr
    one, first = np.load(tmp_path / "alone" / "1-0.npz"), np.load(tmp_path / "once" / "2-0.npz")
    assert set(one) == set(first) and "val_AUC" in one
    for key in one:
        np.testing.assert_allclose(first[key], one[key], 1e-4, 1e-5)
    for other in ("once/2-1.npz", "again/2-0.npz"):
        assert all(np.array_equal(first[key], np.load(tmp_path / other)[key]) for key in first)
    assert once.stdout.count("Epoch 1/4") == 1
    assert len((tmp_path / "once" / "log.csv").read_text().splitlines()) == 5 and (tmp_path / "once" / "best.keras").exists()


def test_a_training_that_was_killed_within_an_epoch_goes_on_as_if_it_had_not_been(tmp_path):
    """With the metrics and moving averages of each process."""
    whole, killed = run(tmp_path / "whole", 2, "no kill in this epoch"), run(tmp_path / "killed", 2, "kill in epoch")
    assert whole.returncode == 0 and "signal 9" in killed.stderr + killed.stdout, whole.stderr
    assert run(tmp_path / "killed", 2, "go on in epoch").returncode == 0
    for name in ("2-0.npz", "2-1.npz"):
        one, other = (np.load(tmp_path / folder / name) for folder in ("whole", "killed"))
        assert all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("trouble, message", [
    ("error", "the disk is full"), ("exit", "process 1 has ended by an error, and ends the others"), ("kill", "signal 9"),
    ("end", "process 1 has ended, and process 0 still waits for it"),
    ("rows", "2 processes can't share 180 rows in batches of 33"),
])  # fmt: skip
def test_a_process_that_ends_ends_the_others(trouble, message, tmp_path):
    done = run(tmp_path / "run", 2, trouble)
    assert done.returncode != 0 and message in done.stderr + done.stdout
    assert not list((tmp_path / "run").glob("2-*.npz"))
