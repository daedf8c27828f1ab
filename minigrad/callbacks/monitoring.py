"""Callbacks that watch one value of the logs: EarlyStopping, ModelCheckpoint, ReduceLROnPlateau."""

import os

import numpy as np

from minigrad.callbacks.base import PATH, BatchCounter, Callback, number
from minigrad.checks import warn
from minigrad.older import Logs


class Monitor(Callback):
    """Base class of callbacks that watch the value `monitor` of the logs and tell whether it has become better.

    Args:
        monitor: a key of the logs, such as "val_loss" or "accuracy".
        mode: "min" (smaller is better), "max", or "auto": the metric itself says which, and a loss is to be small.
        min_delta: a value is better only if it beats the best one by more than this.

    Raises:
        ValueError: at the end of the first epoch, if mode is "auto" and the metric does not say which.
    """

    best = None  # the best value so far
    min_delta = 0

    def _settle(self):
        if not isinstance(self.monitor, str):
            raise ValueError(f"{type(self).__name__}: monitor must be a key of the logs, got {self.monitor!r}.")
        if self.mode not in ("auto", "min", "max"):
            warn(f"{type(self).__name__}: mode {self.mode!r} is unknown; 'auto' is used.")
            self.mode = "auto"
        self.min_delta = abs(self.min_delta)
        self._direction = None if self.mode == "auto" else self.mode
        self._start()

    def _start(self):
        """Begin to watch anew, as each `fit` does."""

    def on_train_begin(self, logs=None):
        self._start()

    def find_direction(self):
        """Find out what "auto" means, once the model's metrics are there."""
        if self._direction is not None:
            return
        name = self.monitor.removeprefix("val_")
        directions = [getattr(metric, "direction", None) for metric in self.model.metrics]
        known = Logs(zip(self.model.metrics_names, directions))
        self._direction = "min" if name == "loss" else known.get(name)
        if self._direction is None:
            raise ValueError(
                f"{type(self).__name__}: whether {self.monitor!r} should become larger or smaller is unknown. "
                "Pass mode='max' or mode='min'."
            )

    def is_improvement(self, value, reference):
        """Whether `value` is better than `reference`. NaN never is; any value is better than None."""
        if np.ndim(value):
            raise ValueError(
                f"{type(self).__name__}: {self.monitor!r} has several values ({value}); watch a metric of one number."
            )
        if reference is None:
            return True
        if self._direction == "max":
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def value(self, logs, consequence):
        """The value in the logs. If it is missing, None, and a warning that tells the consequence."""
        value = (logs or {}).get(self.monitor)
        if np.ndim(value) and np.size(value) == 1:  # such as the F1 score of a single class
            value = np.asarray(value).item()
        if value is None:
            warn(
                f"{type(self).__name__}: {self.monitor!r} is not in the logs, so {consequence}. The logs have "
                f"{', '.join(logs or {})}.",
            )
        return value


class EarlyStopping(Monitor):
    """End the training once `monitor` has not become better for `patience` epochs (0 means 1).

    Args:
        monitor, min_delta, mode: see `Monitor`.
        baseline: only an improvement that also beats this value resets the patience.
        restore_best_weights: give the model the weights of its best epoch at the end, even if all epochs were run.
        start_from_epoch: epochs before this one don't count.
        verbose: 1 to print what it does.

    Raises:
        ValueError: at the end of the first epoch, if mode is "auto" and the metric does not say which.
    """

    _state_attributes = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")

    arguments = {
        "monitor": "val_loss", "min_delta": number(0), "patience": number(0), "verbose": 0, "mode": "auto",
        "baseline": number(None), "restore_best_weights": False, "start_from_epoch": number(0),
    }  # fmt: skip

    def get_monitor_value(self, logs):
        """The watched value in the logs of an epoch; None, and a warning, if it is missing."""
        return self.value(logs, "the training can't be stopped early")

    def _start(self):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        self.find_direction()
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        is_better = self.is_improvement(value, self.best)
        if is_better or (self.restore_best_weights and self.best_weights is None):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        if is_better:
            self.best = value
            if self.baseline is None or self.is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Monitor):
    """Save the model at the end of each epoch, or only of the best epochs so far, or after so many batches.

    Args:
        filepath: a name that ends in .keras (or .weights.h5 with save_weights_only); others are taken as `save` and
            `save_weights` take them. It may hold {epoch} (from 1), {batch} (from 1, for a save within an epoch) and
            keys of the logs: "{epoch:02d}-{val_loss:.3f}.keras".
        monitor, mode: which value `save_best_only` compares, and how; see `Monitor`.
        initial_value_threshold: the value that the first save must beat.
        save_freq: "epoch", or a number of batches, counted over all epochs.
        verbose: 1 to print what it does.

    Raises:
        ValueError: another save_freq, or save_weights_only with a .keras file. KeyError: in `fit`, the filepath has a
            key that the logs don't have. IsADirectoryError: in `fit`, the filepath is a folder and ends as a file.
    """

    arguments = {
        "filepath": PATH, "monitor": "val_loss", "verbose": 0, "save_best_only": False, "save_weights_only": False,
        "mode": "auto", "save_freq": "epoch", "initial_value_threshold": number(None),
    }  # fmt: skip

    def _settle(self):
        super()._settle()
        self.best, self._epoch = self.initial_value_threshold, 0
        self._batches = BatchCounter("ModelCheckpoint", self.save_freq)
        if self.filepath.endswith(".keras") and self.save_weights_only:
            raise ValueError(
                f"ModelCheckpoint: filepath must end in .weights.h5 with save_weights_only, got {self.filepath!r}."
            )
        if self.filepath.endswith((".h5", ".hdf5")) and not self.save_weights_only:  # `save` warns of other endings
            warn("ModelCheckpoint: today's Keras takes names that end in .keras only.")

    def batch_stride(self, kind, batch):
        return 1 if self.has_batch_hooks(kind, beyond=ModelCheckpoint) else self._batches.stride(kind)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._batches.is_due(batch):
            self._save(self._epoch, logs, {"batch": batch + 1})

    def on_epoch_end(self, epoch, logs=None):
        if self.save_best_only:
            self.find_direction()
        if self.save_freq == "epoch" and (epoch + 1) % getattr(self.save_freq, "epochs", 1) == 0:  # of older Keras
            self._save(epoch, logs, {})

    def _save(self, epoch, logs, batch):
        logs = logs or {}
        try:
            path = self.filepath.format_map(Logs({"epoch": epoch + 1, **batch, **logs}))
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} asks for {error}; there are epoch, "
                f"{', '.join([*batch, *logs])}."
            ) from None
        is_due, reason = self._is_due(logs)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {reason}{f'saving model to {path}' if is_due else ''}")
        if not is_due:
            return
        if os.path.isdir(path) and path.endswith((".keras", ".h5", ".hdf5")):
            raise IsADirectoryError(f"ModelCheckpoint: filepath {path!r} is a folder; it must name a file.")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _is_due(self, logs):
        """Whether to save now, and the reason to print."""
        if not self.save_best_only:
            return True, ""
        self.find_direction()
        value = self.value(logs, "the model is saved whether or not it is the best")
        if value is None:
            return True, ""
        if np.ndim(value):
            warn(
                f"ModelCheckpoint: {self.monitor!r} has several values ({value}), so the model is saved whether or "
                "not it is the best.",
            )
            return True, ""
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_improvement(value, self.best):
            return False, f"{self.monitor} did not improve from {before}"
        self.best = value
        return True, f"{self.monitor} improved from {before} to {value:.5f}, "

    def get_state(self):
        return {"best": self.best, "unsaved": self._batches.waiting, "last_batch": self._batches.epoch_done - 1}

    def set_state(self, state):
        self.best = state["best"]
        self._batches.start(state["unsaved"], state["last_batch"] + 1)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` each time `monitor` has not become better for `patience` epochs.

    The logs get `learning_rate`, the one of the epoch that ends.

    Args:
        monitor, mode, min_delta: see `Monitor`.
        factor: a number below 1. patience: a number of epochs without improvement.
        cooldown: how many epochs after a reduction don't count. min_lr: the learning rate never becomes smaller.
        verbose: 1 to print what it does.

    Raises:
        ValueError: a factor of 1 or more. TypeError: at the first reduction, if the optimizer follows a schedule.
    """

    _state_attributes = ("best", "wait", "cooldown_counter")

    arguments = {
        "monitor": "val_loss", "factor": number(0.1), "patience": number(10), "verbose": 0, "mode": "auto",
        "min_delta": number(1e-4), "cooldown": number(0), "min_lr": number(0.0),
    }  # fmt: skip

    def _settle(self):
        super()._settle()
        if not self.factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {self.factor!r}.")

    def _start(self):
        self.best = None
        self.wait = self.cooldown_counter = 0

    def in_cooldown(self):
        """Whether epochs don't count yet, because the learning rate was reduced not long ago."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch, logs=None):
        self.find_direction()
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.value(logs, "the learning rate can't be reduced")
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch, logs["learning_rate"])

    def _reduce(self, epoch, rate):
        if not rate > np.float32(self.min_lr):
            return
        rate = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = rate
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
