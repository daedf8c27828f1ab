"""Callback: what all callbacks have. It says when hooks are called, with what, and how rarely they may be."""

from minigrad.spelling import Explaining

_KINDS = ("train", "test", "predict")
BATCH_HOOKS = {kind: [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"] for kind in _KINDS}
BATCH_HOOKS["train"] += ["on_batch_begin", "on_batch_end"]
HOOKS = ["on_epoch_begin", "on_epoch_end"]
HOOKS += [f"on_{kind}_{moment}" for kind in _KINDS for moment in ("begin", "end")]
HOOKS += [hook for hooks in BATCH_HOOKS.values() for hook in hooks]


class Callback(Explaining):
    """Base class: override the hooks you need. `self.model` and `self.params` (verbose, epochs, steps) are set.

    Hooks: on_epoch_begin(epoch, logs), on_epoch_end(epoch, logs), on_train_batch_begin(batch, logs),
    on_train_batch_end(batch, logs) and the same for `test` and `predict`; on_train_begin(logs), on_train_end(logs)
    and the same for `test` and `predict`. Batch logs are averages since the epoch began. `logs` is one dict for all
    callbacks: what one adds, those after it and the History see.

    Who overrides no batch hook costs nothing per batch; see `batch_stride` for what lies between.
    """

    runs_last = False  # whether it is called after all others, History included: it keeps what they have become

    def __init__(self):
        self.model = None
        self.params = {}

    def set_params(self, params):
        """Take what `fit` was called with."""
        self.params = params

    def set_model(self, model):
        """Take the model."""
        self.model = model

    def get_state(self):
        """What must survive for a training that is resumed to go on exactly: a dict of numbers, strings, arrays."""
        return {}

    def set_state(self, state):
        """Take back what `get_state` returned. `fit` calls it after every on_train_begin, where most start anew."""

    def batch_stride(self, kind, batch):
        """How many batches of "train", "test" or "predict", from `batch` on, may pass between two calls of batch hooks.

        1 where one of them is overridden, None (never) where none is. Whoever needs them more rarely returns a larger
        number (`math.inf`: whenever `fit` pauses, about every 50 ms, and at the end of the epoch), so that a replay
        goes on in between.
        """
        return 1 if self.has_batch_hooks(kind) else None

    def has_batch_hooks(self, kind, beyond=None):
        """Whether it overrides a batch hook of `kind` that the class `beyond` (by default Callback) has."""
        return any(
            getattr(getattr(self, hook), "__func__", None) is not getattr(beyond or Callback, hook)
            for hook in BATCH_HOOKS[kind]
        )

    def abort(self):
        """Let go of open files and unfinished lines: an error or Ctrl-C ends the training, no other hook follows."""

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
