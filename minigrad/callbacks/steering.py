"""Callbacks that change how a training goes on: LearningRateScheduler, TerminateOnNaN, SwapEMAWeights."""

import math

import numpy as np

from minigrad.callbacks.base import Callback
from minigrad.configurable import REQUIRED
from minigrad.spelling import fits


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch to `schedule(epoch, learning_rate)` or `schedule(epoch)`, epoch from 0.

    The logs get `learning_rate`.

    Raises:
        ValueError: the schedule returned something else than a float. TypeError: the optimizer has a schedule of its
            own.

    >>> LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    arguments = {"schedule": REQUIRED, "verbose": 0}
    _state_attributes = ("_last_epoch",)
    _last_epoch = None  # the last epoch whose rate was set

    def _settle(self):
        if not callable(self.schedule):
            raise ValueError(f"LearningRateScheduler: schedule must be a function of the epoch, got {self.schedule!r}.")

    def on_train_begin(self, logs=None):
        self._last_epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._last_epoch:
            return  # a resumed training, which was interrupted within this epoch: its rate is set already
        self._last_epoch = epoch
        optimizer = self.model.optimizer
        arguments = epoch, float(optimizer.learning_rate)
        rate = self.schedule(*arguments) if fits(self.schedule, arguments, {}) else self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(
                f"LearningRateScheduler: the schedule must return a float, got {rate!r} ({type(rate).__name__})."
            )
        optimizer.learning_rate = rate
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback):
    """End the training when the loss becomes NaN or infinite, and say at which batch.

    It costs nothing per batch: it looks whenever `fit` pauses, about every 50 ms. So some more batches are trained
    after the one it names, with weights that are lost anyway. With `raise_error=True` it raises an error instead, and
    no further hook is called.

    Raises:
        RuntimeError: the loss is NaN or infinite, with `raise_error`.
    """

    arguments = {"raise_error": False}

    def batch_stride(self, kind, batch):
        if kind == "train" and not self.has_batch_hooks(kind, beyond=TerminateOnNaN):
            return math.inf
        return super().batch_stride(kind, batch)

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        batch = min(batch, getattr(self.model, "finite_batches", batch))
        if self.raise_error:
            raise RuntimeError(f"The loss is {loss} at batch {batch}: the training has diverged.")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class SwapEMAWeights(Callback):
    """Evaluate and predict with the moving average of the weights that an optimizer with use_ema=True keeps.

    Args:
        swap_on_epoch: give the model the average at the end of each epoch until the next one begins, so that later
            callbacks (ModelCheckpoint) see it.

    Raises:
        ValueError: the optimizer keeps no average.
    """

    arguments = {"swap_on_epoch": False}
    _state_attributes = ("_trained",)
    _trained = None  # the trained weights, while the model has the average in their place

    def _averages(self):
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                f"SwapEMAWeights needs an optimizer made with use_ema=True; {optimizer.name!r} keeps no average."
            )
        return [variable for variable in optimizer.variables if variable.name.endswith("_average")]

    def _swap_in(self):
        if self._trained is None:
            self._trained = [variable.numpy() for variable in self.model.trainable_variables]
            self._assign(self._averages())

    def _swap_out(self):
        if self._trained is not None:
            self._assign(self._trained)
            self._trained = None

    def _assign(self, values):
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value)

    def on_train_begin(self, logs=None):
        self._trained = None
        self._averages()  # an optimizer without any is told before anything is trained

    def on_epoch_begin(self, epoch, logs=None):
        self._swap_out()

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap_in()

    def on_train_end(self, logs=None):
        self._trained = None  # the model keeps the average

    def on_test_begin(self, logs=None):
        self._swap_in()

    def on_test_end(self, logs=None):
        self._swap_out()

    def on_predict_begin(self, logs=None):
        self._swap_in()

    def on_predict_end(self, logs=None):
        self._swap_out()

    def abort(self):
        self._swap_out()

