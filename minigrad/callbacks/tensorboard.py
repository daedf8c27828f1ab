"""TensorBoard: writes the logs as event files, which `tensorboard --logdir logs` draws. tensorboardX writes them."""

import os
import time

import numpy as np

from minigrad.callbacks.base import PATH, Callback
from minigrad.checks import is_int, warn
from minigrad.configurable import Checked


class TensorBoard(Callback):
    """Write the logs for TensorBoard, under Keras' tags, to `log_dir`/train and `log_dir`/validation.

    Tags: `epoch_<key>` and `epoch_learning_rate` (over epochs), `evaluation_<key>_vs_iterations` (validation, over
    steps of the optimizer), `batch_<key>` (over batches since `fit` began), `<path of a weight>/histogram`.

    Args:
        histogram_freq: epochs between two histograms of the weights; 0 for none.
        write_steps_per_second: whether to write `epoch_steps_per_second`, and (with the other `batch_` points)
            `batch_steps_per_second`, which counts the steps since the last point.
        update_freq: "epoch", "batch", or the number of batches between two `batch_` points.
        write_graph: accepted for Keras, without effect. (`print(model.train_program)` lists what a step does.)
        write_images, profile_batch, embeddings_freq: nothing is written for these, and a warning says so.
    """

    only_writes = True  # nothing to do for a process that writes no files

    _state_attributes = ("_batches",)

    arguments = {
        "log_dir": Checked(PATH.check, "logs"), "histogram_freq": 0, "write_graph": True, "write_images": False,
        "write_steps_per_second": False, "update_freq": "epoch", "profile_batch": 0, "embeddings_freq": 0,
        "embeddings_metadata": None,
    }  # fmt: skip

    def _settle(self):
        unwritten = [name for name in ("write_images", "profile_batch", "embeddings_freq") if getattr(self, name)]
        if unwritten:
            warn(f"TensorBoard writes nothing for {', '.join(unwritten)}: leave out what you don't need.")
        often = self.update_freq = 1 if self.update_freq == "batch" else self.update_freq
        if often != "epoch" and not is_int(often, 1):
            raise ValueError(f"TensorBoard: update_freq must be 'epoch', 'batch' or an int >= 1, got {often!r}.")
        self._writers = {}
        self._batches = 0  # how many batches this `fit` had in the epochs before this one
        self._last_batch = -1

    def batch_stride(self, kind, batch):
        if self.has_batch_hooks(kind, beyond=TensorBoard):
            return 1
        if kind != "train" or self.update_freq == "epoch":
            return None
        return self.update_freq - (self._batches + batch) % self.update_freq

    def _write(self, folder, step, scalars):
        writer = self._writer(folder)
        for tag, value in scalars.items():
            if np.ndim(value) == 0:
                writer.add_scalar(tag, value, step)
        writer.flush()

    def _writer(self, folder):
        if folder not in self._writers:
            from tensorboardX import SummaryWriter  # slow to import, most of all where PyTorch is installed

            self._writers[folder] = SummaryWriter(os.path.join(self.log_dir, folder))
        return self._writers[folder]

    def on_train_begin(self, logs=None):
        self._batches, self._last_batch = 0, -1
        self._writer("train")  # a folder that can't be written to raises its error before the training

    def on_epoch_begin(self, epoch, logs=None):
        self._since = {"epoch": self._now(), "batch": self._now()}

    def _now(self):
        return time.perf_counter(), int(self.model.optimizer.iterations)

    def _steps_per_second(self, what):
        """The steps per second since the last epoch or `batch_` point; `what` is "epoch" or "batch"."""
        (began, before), (ended, after) = self._since[what], self._now()
        self._since[what] = ended, after
        return (after - before) / (ended - began)

    def on_train_batch_end(self, batch, logs=None):
        self._last_batch = batch
        step = self._batches + batch + 1
        if self.update_freq != "epoch" and step % self.update_freq == 0:
            scalars = {f"batch_{key}": value for key, value in (logs or {}).items()}
            if self.write_steps_per_second:
                scalars["batch_steps_per_second"] = self._steps_per_second("batch")
            self._write("train", step, scalars)

    def on_test_end(self, logs=None):
        steps = int(self.model.optimizer.iterations)
        self._write(
            "validation", steps, {f"evaluation_{key}_vs_iterations": value for key, value in (logs or {}).items()}
        )

    def on_epoch_end(self, epoch, logs=None):
        self._batches += self._last_batch + 1
        self._last_batch = -1
        logs = dict(logs or {})
        train = {f"epoch_{key}": value for key, value in logs.items() if not key.startswith("val_")}
        validation = {f"epoch_{key[4:]}": value for key, value in logs.items() if key.startswith("val_")}
        train["epoch_learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            train["epoch_steps_per_second"] = self._steps_per_second("epoch")
        self._write("train", epoch, train)
        if validation:
            self._write("validation", epoch, validation)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_histograms(epoch)

    def _write_histograms(self, epoch):
        writer = self._writer("train")
        for weight in self.model.weights:
            values = weight.numpy()
            values = values[np.isfinite(values)]  # a histogram has no bins for the others
            if values.size:
                writer.add_histogram(f"{weight.path}/histogram", values, epoch)
        writer.flush()

    def on_train_end(self, logs=None):
        self.abort()

    def abort(self):
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
