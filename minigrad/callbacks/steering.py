"""Callbacks that change how a training goes on: LearningRateScheduler, TerminateOnNaN, SwapEMAWeights."""

import inspect
import math

import numpy as np

from minigrad.callbacks.base import Callback


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch: `schedule(epoch, learning_rate)`, or `schedule(epoch)`, from 0.

    The logs get `learning_rate`.

    Raises:
        ValueError: the schedule returned something else than a float. TypeError: the optimizer has a schedule of its
            own.

    >>> LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule, verbose=0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        arguments = (epoch, float(optimizer.learning_rate)) if _takes_two(self.schedule) else (epoch,)
        rate = self.schedule(*arguments)
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


def _takes_two(function):
    """Whether it can be called with two arguments. (To try it would hide a TypeError of its own.)"""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a builtin does not tell
        pass
    return True


class TerminateOnNaN(Callback):
    """End the training when the loss becomes NaN or infinite, and say at which batch.

    It costs nothing per batch: it looks whenever `fit` pauses, about every 50 ms, so some more batches, whose weights
    are as lost, are trained after the one it names. With `raise_error=True` it raises instead, and no further hook is
    called.

    Raises:
        RuntimeError: the loss is NaN or infinite, with `raise_error`.
    """

    def __init__(self, raise_error=False):
        super().__init__()
        self.raise_error = raise_error

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
        swap_on_epoch: let them change places at the end of each epoch already, back at the beginning of the next, so
            that callbacks after this one (ModelCheckpoint) see the average.

    Raises:
        ValueError: the optimizer keeps no average.
    """

    def __init__(self, swap_on_epoch=False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._is_swapped = False

    def _pairs(self):
        """(weight, its average) for each trained variable."""
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                f"SwapEMAWeights needs an optimizer made with use_ema=True; {optimizer.name!r} keeps no average."
            )
        averages = [variable for variable in optimizer.variables if variable.name.endswith("_average")]
        return list(zip(self.model.trainable_variables, averages, strict=True))

    def _swap(self, wanted):
        """Let the averages be in the model, or not."""
        if self._is_swapped == wanted:
            return
        for weight, average in self._pairs():
            values = weight.numpy()
            weight.assign(average)
            average.assign(values)
        self._is_swapped = wanted

    def on_train_begin(self, logs=None):
        self._pairs()  # before anything is trained: an optimizer without averages is told at once

    def on_epoch_begin(self, epoch, logs=None):
        self._swap(False)

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(True)

    def on_train_end(self, logs=None):
        self._is_swapped = False

    def on_test_begin(self, logs=None):
        self._swap(True)

    def on_test_end(self, logs=None):
        self._swap(False)

    def on_predict_begin(self, logs=None):
        self._swap(True)

    def on_predict_end(self, logs=None):
        self._swap(False)
