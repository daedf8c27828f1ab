"""BackupAndRestore: a training that is killed at any moment, and started again, ends as an undisturbed one does."""

import contextlib
import json
import os
import random

import numpy as np

from minigrad.callbacks.base import Callback
from minigrad.checks import is_int, warn
from minigrad.saving import files, hdf5, weights

WEIGHTS, METADATA = "latest.weights.h5", "training_metadata.json"


class BackupAndRestore(Callback):
    """Keep a backup of the training in a folder, and go on from it when `fit` is called again after a crash.

    The one file `latest.weights.h5`, replaced as a whole, has weights, moving statistics, the optimizer's variables,
    epoch and batch, the order of the rows, the values of metrics, the random generators (minigrad's, its layers',
    Python's, NumPy's) and what callbacks remember. So the resumed training is the undisturbed one to the bit, if the
    script is the same: model, data, arguments of `fit`. Its History has the epochs before, too.

    Args:
        backup_dir: a folder for this training alone; it is made.
        save_freq: "epoch", or an int: after so many batches.
        double_checkpoint: keep the backup before the last one, too, as `*.bkp`.
        delete_checkpoint: delete the backup at the end of `fit`.

    Raises:
        ValueError: a wrong setting; an unbuilt model; in `fit`, a backup that does not fit the model or the data.
    """

    runs_last = True  # the backup is one of what all others have become

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore: backup_dir must be a folder, got {backup_dir!r}.")
        if save_freq != "epoch" and not is_int(save_freq, 1):
            raise ValueError(f"BackupAndRestore: save_freq must be 'epoch' or a positive int, got {save_freq!r}.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._unsaved = 0  # batches since the last backup
        self._last_batch = 0

    def _path(self, name):
        return os.path.join(self.backup_dir, name)

    def batch_stride(self, kind, batch):
        if kind != "train" or self.save_freq == "epoch":
            return None
        return max(1, self.save_freq - self._unsaved)

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError("BackupAndRestore needs a built model: put an Input in front, or call build(input_shape).")
        os.makedirs(self.backup_dir, exist_ok=True)
        files.remove_unfinished(self.backup_dir)
        self._unsaved = self._last_batch = 0
        path = self._path(WEIGHTS)
        if not os.path.exists(path):
            return
        with files.naming(path), files.opened(path, hdf5.SIGNATURE, "HDF5 file") as file:
            restore, kept = weights.read(self.model, file)
            training = kept.get("training") or self._of_keras()
            generators = self._generators(training)
            unsaved, batch = training.pop("unsaved", 0), training.get("batch", 0)
            if not is_int(unsaved, 0):
                raise ValueError(f"unsaved must be a number of batches, got {unsaved!r}")
            if training.pop("stopped", False):  # it was about to end
                training["epoch"] = max(training["epoch"], self.params["epochs"])

        def go_on():
            restore()
            self._unsaved, self._last_batch = unsaved, batch
            for set_state, state in generators:
                set_state(state)

        self.model.fitting.set_state(training, go_on, path)

    @staticmethod
    def _generators(training):
        """Pairs of a function that sets one of the random generators of the process, and its state, tried out."""
        if "python" not in training:
            return []
        python, numpy = training.pop("python"), training.pop("numpy")
        random.Random().setstate(python)
        np.random.RandomState().set_state(numpy)
        return [(random.setstate, python), (np.random.set_state, numpy)]

    def _of_keras(self):
        """Where a training stands whose backup Keras has made: it begins an epoch that was interrupted anew."""
        with open(self._path(METADATA), "rb") as file:
            return {"epoch": int(files.parse(file.read(1 << 16))["epoch"])}

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq == "epoch":
            return
        done = batch + 1
        self._unsaved += done - self._last_batch if done > self._last_batch else done
        self._last_batch = done
        if self._unsaved >= self.save_freq:
            self._unsaved = 0
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        self._last_batch = 0
        # With an int, the end of the training is kept as well: a kill in on_train_end must not undo the last batches.
        if self.save_freq == "epoch" or self.model.stop_training or epoch + 1 == self.params["epochs"]:
            self._save()

    def _save(self):
        training = self.model.fitting.get_state()
        training |= {
            "unsaved": self._unsaved,
            "stopped": self.model.stop_training,
            "python": random.getstate(),
            "numpy": np.random.get_state(),
        }
        position = {"epoch": training["epoch"], "batch": training["batch"]}
        contents = {
            WEIGHTS: weights.pack(self.model, extra={"training": training}),
            METADATA: json.dumps(position).encode(),  # for Keras; minigrad finds all in the other file
        }
        for name, content in contents.items():
            if self.double_checkpoint and os.path.exists(self._path(name)):
                with open(self._path(name), "rb") as file:
                    files.write(self._path(f"{name}.bkp"), file.read())
            files.write(self._path(name), content)

    def on_train_end(self, logs=None):
        if not self.delete_checkpoint:
            return
        for name in (WEIGHTS, METADATA):
            for path in (self._path(name), self._path(f"{name}.bkp")):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        try:
            os.rmdir(self.backup_dir)
        except OSError:
            left = sorted(os.listdir(self.backup_dir))[:5]
            warn(f"BackupAndRestore leaves {self.backup_dir!r} there: it holds {left}, too.")
