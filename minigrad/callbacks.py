"""Callbacks: what `fit`, `evaluate` and `predict` call between batches and epochs.

A callback that overrides no batch hook costs nothing per batch: whole slices of an epoch run between two calls.
"""

import inspect

from minigrad.utils.progbar import Progbar

_BATCH_HOOKS = {
    kind: [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"] for kind in ("train", "test", "predict")
}
_BATCH_HOOKS["train"] += ["on_batch_begin", "on_batch_end"]


class Callback:
    """Base class: override the hooks you need. `self.model` and `self.params` (verbose, epochs, steps) are set.

    Hooks: on_epoch_begin(epoch, logs), on_epoch_end(epoch, logs), on_train_batch_begin(batch, logs),
    on_train_batch_end(batch, logs) and the same for `test` and `predict`; on_train_begin(logs), on_train_end(logs)
    and the same for `test` and `predict`. Batch logs are averages since the epoch began.
    """

    def __init__(self):
        self.model = None
        self.params = {}

    def set_params(self, params):
        """Take what `fit` was called with."""
        self.params = params

    def set_model(self, model):
        """Take the model."""
        self.model = model

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


class History(Callback):
    """What `fit` returns: `history` maps each key of the logs to its list of values, one an epoch."""

    def __init__(self):
        super().__init__()
        self.history = {}
        self.epoch = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)
        self.model.history = self


class LambdaCallback(Callback):
    """A callback made of functions, given under the names of the hooks: `on_epoch_end=lambda epoch, logs: ...`."""

    def __init__(self, **hooks):
        super().__init__()
        known = [name for name, _ in inspect.getmembers(Callback, inspect.isfunction) if name.startswith("on_")]
        for name, function in hooks.items():
            if name not in known:
                raise ValueError(f"LambdaCallback: {name!r} is no hook. Hooks: {', '.join(known)}.")
            if function is not None:
                setattr(self, name, function)


class ProgbarLogger(Callback):
    """Keras' progress bar: verbose 1 draws it, 2 prints one line an epoch."""

    def __init__(self):
        super().__init__()
        self.bar = None
        self.seen = 0

    def _start(self):
        self.seen = 0
        self.bar = Progbar(
            self.params.get("steps"), verbose=self.params["verbose"], stateless_metrics=(), unit_name="step"
        )

    def advance(self, batches, logs):
        """So many batches of the epoch are done; called between slices, whether or not anything is drawn."""
        self.seen = batches
        self.bar.update(batches, logs, finalize=False)

    def _finish(self, logs):
        if self.bar is None:
            return
        if self.bar.target is None:
            self.bar.target = self.seen
        self.bar.update(self.bar.target if self.seen == 0 else self.seen, logs or {}, finalize=True)
        self.bar = None

    def close(self):
        """End the line of a bar that will not be finished."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.params["verbose"] and self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start()

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_test_begin(self, logs=None):
        if self.bar is None:  # a validation inside `fit` draws nothing of its own
            self._start()
            self._testing = True

    def on_test_end(self, logs=None):
        if getattr(self, "_testing", False):
            self._testing = False
            self._finish(logs)

    def on_predict_begin(self, logs=None):
        self._start()

    def on_predict_end(self, logs=None):
        self._finish({})


class CallbackList:
    """The callbacks of one `fit`, `evaluate` or `predict`, called in order: the user's, History, ProgbarLogger."""

    def __init__(self, callbacks, model, params, history=False, progress=False):
        if callbacks is None:
            callbacks = []
        callbacks = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        for callback in callbacks:
            if isinstance(callback, type) or not (
                hasattr(callback, "set_model") and hasattr(callback, "on_epoch_end")
            ):
                raise ValueError(f"callbacks must be a list of Callback instances; got {callback!r}.")
        self.history = next((c for c in callbacks if isinstance(c, History)), None)
        if history and self.history is None:
            self.history = History()
            callbacks.append(self.history)
        self.progress = next((c for c in callbacks if isinstance(c, ProgbarLogger)), None)
        if progress and self.progress is None:
            self.progress = ProgbarLogger()
            callbacks.append(self.progress)
        self.callbacks = callbacks
        for callback in callbacks:
            callback.set_params(params)
            callback.set_model(model)

    def call(self, hook, *args):
        """Call one hook of all callbacks."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def has_batch_hooks(self, kind):
        """Whether a callback wants to be called at each batch of `kind` ("train", "test" or "predict")."""
        return any(
            getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name)
            for callback in self.callbacks
            for name in _BATCH_HOOKS[kind]
        )

    def advance(self, batches, logs):
        """Move the progress bar, if there is one; `logs` is a function, called only where it is needed."""
        if self.progress is not None and self.progress.bar is not None and self.progress.params["verbose"] == 1:
            self.progress.advance(batches, logs())
        elif self.progress is not None:
            self.progress.seen = batches

    def close(self):
        """End the line of the progress bar after an interruption."""
        if self.progress is not None:
            self.progress.close()
