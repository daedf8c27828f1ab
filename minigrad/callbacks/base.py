"""Callback, the base class: which hooks there are, when they are called and with what, and how rarely they may be."""

import os

from minigrad.checks import is_int
from minigrad.configurable import Checked, Configurable, Number

_KINDS = ("train", "test", "predict")
BATCH_HOOKS = {kind: [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"] for kind in _KINDS}
BATCH_HOOKS["train"] += ["on_batch_begin", "on_batch_end"]
HOOKS = ["on_epoch_begin", "on_epoch_end"]
HOOKS += [f"on_{kind}_{moment}" for kind in _KINDS for moment in ("begin", "end")]
HOOKS += [hook for hooks in BATCH_HOOKS.values() for hook in hooks]


def _path(callback, name):
    value = getattr(callback, name)
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"{type(callback).__name__}: {name} must be a path, got {value!r} ({type(value).__name__}).")
    setattr(callback, name, os.fspath(value))


def number(default):
    """A number as an argument of a callback; as in Keras, it may be infinite, True, or None if that is the default."""

    def check(callback, name):
        value = getattr(callback, name)
        value = int(value) if isinstance(value, bool) else value
        Number(default, "[-inf, inf]").checked(type(callback).__name__, name, value)

    return Checked(check, default)


PATH = Checked(_path)


class BatchCounter:
    """Counts the batches of `fit`, over all epochs, and tells when `frequency` of them have passed.

    Args:
        owner: the name of the callback, for errors.
        frequency: a number of batches, or "epoch" for never.

    Raises:
        ValueError: another frequency.
    """

    def __init__(self, owner, frequency):
        if frequency != "epoch" and not is_int(frequency, 1):
            raise ValueError(
                f"{owner}: save_freq must be 'epoch' or a positive number of batches, got {frequency!r}."
            )
        self.frequency = frequency
        self.start()

    def start(self, waiting=0, epoch_done=0):
        """Begin to count: `waiting` batches have passed, `epoch_done` batches of this epoch are done."""
        self.waiting, self.epoch_done = waiting, epoch_done

    def stride(self, kind):
        """See `Callback.batch_stride`."""
        return None if kind != "train" or self.frequency == "epoch" else max(1, self.frequency - self.waiting)

    def is_due(self, batch):
        """Count up to the end of `batch` of this epoch; whether so many have passed, so that counting begins anew."""
        if self.frequency == "epoch":
            return False
        done = batch + 1
        self.waiting += done - self.epoch_done if done > self.epoch_done else done
        self.epoch_done = done
        if self.waiting < self.frequency:
            return False
        self.waiting = 0
        return True


class Callback(Configurable, is_member=False):
    """Base class: override the hooks you need. `self.model` and `self.params` (verbose, epochs, steps) are set.

    Hooks: on_epoch_begin(epoch, logs), on_epoch_end(epoch, logs), on_train_batch_begin(batch, logs),
    on_train_batch_end(batch, logs) and the same for `test` and `predict`; on_train_begin(logs), on_train_end(logs)
    and the same for `test` and `predict`. Batch logs are averages since the epoch began. All callbacks get the same
    dict `logs`: later callbacks and the History see what one callback adds to it.

    A callback that overrides no batch hook costs nothing per batch. One that needs only some of the batches overrides
    `batch_stride`, too.
    """

    runs_last = False  # whether it is called after all others, History included, because it saves their state
    _state_attributes = ()  # the names of those that `get_state` returns, without the underscore in front

    def __init__(self):
        self.model = None
        self.params = {}

    def _set_up(self, given):
        Callback.__init__(self)
        super()._set_up(given)

    def set_params(self, params):
        """Take what `fit` was called with."""
        self.params = params

    def set_model(self, model):
        """Take the model."""
        self.model = model

    def get_state(self):
        """A dict of the numbers, strings and arrays that a resumed training needs to go on exactly."""
        return {name.removeprefix("_"): getattr(self, name) for name in self._state_attributes}

    def set_state(self, state):
        """Take back what `get_state` returned. A resumed `fit` calls this after on_train_begin."""
        for name in self._state_attributes:
            setattr(self, name, state[name.removeprefix("_")])

    def batch_stride(self, kind, batch):
        """After how many batches of `kind` ("train", "test", "predict"), from `batch` on, batch hooks must be called.

        1 where a batch hook is overridden, None (never) where none is. A callback that needs fewer calls returns a
        larger number, so that a replay can run without Python in between. `math.inf` stands for each pause of `fit`
        (about every 50 ms) and the end of the epoch.
        """
        return 1 if self.has_batch_hooks(kind) else None

    def has_batch_hooks(self, kind, beyond=None):
        """Whether the callback overrides a batch hook of `kind` that the class `beyond` (by default Callback) has."""
        return any(
            getattr(getattr(self, hook), "__func__", None) is not getattr(beyond or Callback, hook)
            for hook in BATCH_HOOKS[kind]
        )

    def abort(self):
        """Close open files and unfinished lines: an error or Ctrl-C ends the training, and no other hook follows."""

    def on_batch_begin(self, batch, logs=None):
        """The older name of on_train_batch_begin."""

    def on_batch_end(self, batch, logs=None):
        """The older name of on_train_batch_end."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch and its validation; `logs` may be added to."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch of `fit`."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch of `fit`."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of `evaluate` or of the validation."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of `evaluate` or of the validation."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of `predict`; logs["outputs"] holds its results."""

    def on_train_begin(self, logs=None):
        """Before `fit` begins."""

    def on_train_end(self, logs=None):
        """After `fit` has ended; `logs` are those of the last epoch."""

    def on_test_begin(self, logs=None):
        """Before `evaluate` or the validation begins."""

    def on_test_end(self, logs=None):
        """After `evaluate` or the validation has ended."""

    def on_predict_begin(self, logs=None):
        """Before `predict` begins."""

    def on_predict_end(self, logs=None):
        """After `predict` has ended."""
