"""Arguments of callbacks: what Keras takes passes, and what makes no sense is told when the callback is made."""

import math
from pathlib import Path

import numpy as np
import pytest
from helpers import data, network

from minigrad import callbacks as c


@pytest.mark.parametrize("make, message", [
    (lambda: c.EarlyStopping(patience="x"), r"EarlyStopping: patience must be a number.*got 'x' \(str\)"),
    (lambda: c.EarlyStopping(patience=None), "patience must be a number"),
    (lambda: c.EarlyStopping(5), "EarlyStopping: monitor must be a key of the logs, got 5"),
    (lambda: c.EarlyStopping(min_delta=[0.1]), "min_delta must be a number"),
    (lambda: c.EarlyStopping(baseline="0.5"), "baseline must be a number.* or None"),
    (lambda: c.EarlyStopping(start_from_epoch=()), "start_from_epoch must be a number"),
    (lambda: c.ReduceLROnPlateau(factor="a"), r"ReduceLROnPlateau: factor must be a number.*got 'a' \(str\)"),
    (lambda: c.ReduceLROnPlateau(cooldown={}), "cooldown must be a number"),
    (lambda: c.ReduceLROnPlateau(min_lr="1e-5"), "min_lr must be a number"),
    (lambda: c.ReduceLROnPlateau(monitor=["val_loss"]), "monitor must be a key"),
    (lambda: c.ModelCheckpoint(3), r"ModelCheckpoint: filepath must be a path, got 3 \(int\)"),
    (lambda: c.ModelCheckpoint("a.keras", initial_value_threshold="low"), "initial_value_threshold must be a number"),
    (lambda: c.CSVLogger(None), "CSVLogger: filename must be a path, got None"),
    (lambda: c.BackupAndRestore(1.5), "BackupAndRestore: backup_dir must be a path"),
    (lambda: c.TensorBoard(log_dir=2), "TensorBoard: log_dir must be a path"),
    (lambda: c.LearningRateScheduler(0.1), "schedule must be a function of the epoch, got 0.1"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_keras_takes_passes(tmp_path):
    stopping = [
        c.EarlyStopping("loss", patience=patience, min_delta=delta, baseline=baseline)
        for patience, delta, baseline in (
            (2.5, 0, None), (math.inf, -0.1, 0.5), (np.int64(3), np.float32(0.1), math.inf), (True, np.array(0.1), 1),
        )
    ]  # fmt: skip
    assert stopping[0].patience == 2.5 and stopping[3].patience is True
    reducing = c.ReduceLROnPlateau("loss", np.float64(0.5), np.int32(1), cooldown=1.0, min_lr=np.float32(0.001))
    saving = c.ModelCheckpoint(tmp_path / "a.keras", "loss", initial_value_threshold=np.float32(9))
    logging = c.CSVLogger(Path(tmp_path) / "log.csv")
    assert saving.filepath == str(tmp_path / "a.keras") and logging.filename == str(tmp_path / "log.csv")
    network().fit(*data(8), epochs=2, verbose=0, callbacks=[*stopping, reducing, saving, logging])
    assert (tmp_path / "a.keras").exists() and (tmp_path / "log.csv").exists()
