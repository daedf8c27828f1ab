"""BackupAndRestore: a training may be killed at any moment; started again, it ends as if it had not been killed."""

import contextlib
import json
import os
import random

import numpy as np

from minigrad.callbacks.base import PATH, BatchCounter, Callback
from minigrad.checks import is_int, warn
from minigrad.exchange import world
from minigrad.saving import files, hdf5, weights

WEIGHTS, METADATA = "latest.weights.h5", "training_metadata.json"


class BackupAndRestore(Callback):
    """Keep a backup of the training in a folder, and go on from it when `fit` is called again after a crash.

    The backup is one file, `latest.weights.h5`, which is replaced as a whole. It holds the weights, moving statistics,
    the optimizer's variables, epoch and batch, the order of the rows, the values of metrics, the states of random
    generators (minigrad's, its layers', Python's, NumPy's) and of callbacks. So the resumed training equals the
    undisturbed one to the bit, if the script is the same: model, data, arguments of `fit`. Its History also has the
    epochs before the crash.

    Args:
        backup_dir: a folder for this training alone; it is made if it is missing.
        save_freq: "epoch", or a number of batches, counted over all epochs.
        double_checkpoint: keep also the backup before the last one, as `*.bkp`.
        delete_checkpoint: delete the backup at the end of `fit`.

    Raises:
        ValueError: a wrong setting. In `fit`: an unbuilt model, or a backup that does not fit the model or the data.
    """

    runs_last = True  # the backup holds the states of all other callbacks

    arguments = {
        "backup_dir": PATH, "save_freq": "epoch", "double_checkpoint": False, "delete_checkpoint": True
    }  # fmt: skip

    def _settle(self):
        if not self.backup_dir:
            raise ValueError(f"BackupAndRestore: backup_dir must be a folder, got {self.backup_dir!r}.")
        self._batches = BatchCounter("BackupAndRestore", self.save_freq)

    def _path(self, name):
        return os.path.join(self.backup_dir, name)

    def batch_stride(self, kind, batch):
        return self._batches.stride(kind)

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError("BackupAndRestore needs a built model: put an Input in front, or call build(input_shape).")
        os.makedirs(self.backup_dir, exist_ok=True)
        files.remove_unfinished(self.backup_dir)
        self._batches.start()
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
            if training.pop("stopped", False):  # the training was about to end
                training["epoch"] = max(training["epoch"], self.params["epochs"])

        def go_on():
            restore()
            self._batches.start(unsaved, batch)
            for set_state, state in generators:
                set_state(state)

        self.model.fitting.set_state(training, go_on, path)

    @staticmethod
    def _generators(training):
        """Pairs (function that sets a random generator of the process, state); a state that is none raises here."""
        if "python" not in training:
            return []
        python, numpy = training.pop("python"), training.pop("numpy")
        random.Random().setstate(python)
        np.random.RandomState().set_state(numpy)
        return [(random.setstate, python), (np.random.set_state, numpy)]

    def _of_keras(self):
        """The epoch at which to go on from a backup that Keras made: the one that was interrupted, from its start."""
        with open(self._path(METADATA), "rb") as file:
            return {"epoch": int(files.parse(file.read(1 << 16))["epoch"])}

    def on_train_batch_end(self, batch, logs=None):
        if self._batches.is_due(batch):
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        self._batches.epoch_done = 0
        # With an int, the end of the training is kept as well: a kill in on_train_end must not undo the last batches.
        if self.save_freq == "epoch" or self.model.stop_training or epoch + 1 == self.params["epochs"]:
            self._save()

    def _save(self):
        training = self.model.fitting.get_state()
        training |= {
            "unsaved": self._batches.waiting,
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
        if not self.delete_checkpoint or (world.is_on and world.rank):
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
