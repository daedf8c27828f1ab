"""Run: one `fit` while it goes on, where it stands, and how to go on from there another time."""

import numpy as np

from minigrad import config
from minigrad.checks import is_int, warn
from minigrad.older import Logs
from minigrad.saving.files import naming


class Run:
    """One `fit` while it goes on: `model.fitting` (None outside of `fit`).

    `epoch` and `batch` say what comes next: in on_train_batch_end the epoch that goes on and how many of its batches
    are done, in on_epoch_end the next epoch and 0.

    Args:
        source: an ArraySource or a StreamSource; validation: what returns the logs of the validation after an epoch,
            or None; epochs: the number of the last one; initial_epoch: the first, from 0.
    """

    def __init__(self, model, source, callbacks, validation, epochs, initial_epoch):
        self.model, self.source, self.callbacks = model, source, callbacks
        self.validation, self.epochs = validation, epochs
        self.epoch, self.batch = initial_epoch, 0
        self._given, self._restore, self._path = {}, None, None
        self.searched = set()  # "train", "test": in which of the data it was looked for NaN
        self._began = None  # the batch at which on_train_batch_begin was called, while on_train_batch_end was not yet

    def get_state(self):
        """Where the training stands, without what the model and the optimizer hold: numbers, strings, lists, arrays.

        "epoch" and "batch"; "stop", whether a callback has ended it there; "source", the order of the rows and the
        position in it; "metrics", the values of their variables; "random", the state of the generator; "callbacks",
        what each of them remembers. All callbacks have seen the batch or epoch that has just ended if it is called by
        one that `runs_last`.
        """
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "stop": self.model.stop_training,
            "source": self.source.get_state(),
            "metrics": [v.numpy() for metric in self.model.metrics for v in metric.variables],
            "random": config.random_state(),
            "callbacks": self.callbacks.get_state(),
        }

    def set_state(self, state, restore=None, path=None):
        """Go on from a state that `get_state` returned, or from a part of it, such as {"epoch": 3}.

        To be called in on_train_begin. It takes effect after that hook of all callbacks: the state is checked, then
        `restore()` is called, which brings the weights and whatever else belongs to it.

        Args:
            path: the file that the state comes from, for errors.

        Raises:
            ValueError: later, before `restore`, if the state is a damaged one or one of other data or another model.
        """
        self._given, self._restore, self._path = dict(state), restore, path

    def train(self):
        """Run the epochs."""
        model, callbacks, logs = self.model, self.callbacks, {}
        first = self.epoch
        callbacks.on_train_begin({})
        metrics = self._take_given()
        while self.epoch < self.epochs and not (model.stop_training and self.batch == 0):
            if not self.source.begin(self):
                warn(
                    f"The data ran out after {self.epoch - first} epochs: a generator can't be started again, so the "
                    "training ends here.",
                )
                break
            model._restart_metrics(self.batch)
            callbacks.on_epoch_begin(self.epoch, {})
            for variable, value in metrics:
                variable.assign(value)
            metrics = []
            self.source.run_epoch(self)
            logs, epoch = Logs(model._results()), self.epoch
            self.epoch, self.batch = epoch + 1, 0
            if self.validation is not None:
                logs = Logs(sorted({**logs, **self.validation(epoch)}.items()))
            callbacks.on_epoch_end(epoch, logs)
        if self.epochs > first and model.optimizer is not None:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        callbacks.on_train_end(logs)

    @property
    def is_stopped(self):
        """Whether the epoch ends here because of `stop_training`, which is looked at after each batch (or group)."""
        return self.model.stop_training and self.batch > 0 and self._began is None

    def begin_batch(self):
        """Call on_train_batch_begin, unless that was done: `steps_per_execution` batches share their hooks."""
        if self._began is None:
            self._began = self.batch
            self.callbacks.on_train_batch_begin(self.batch, {})

    def end_batch(self, group=1):
        """Call on_train_batch_end, if `group` batches (or a multiple) are done since on_train_batch_begin."""
        if self._began is not None and (self.batch - self._began) % group == 0:
            self._began = None
            self.callbacks.on_train_batch_end(self.batch - 1, self.model._results(of_step=True))

    def _take_given(self):
        """Let what `set_state` was given take effect; the values of the metrics, for later, with their variables."""
        given = self._given
        if not given:
            return []
        with naming(self._path or "The state of the training"):
            for name in ("epoch", "batch"):
                if not is_int(given.get(name, 0), 0):
                    raise ValueError(f"{name} must be an integer of 0 or more, got {given[name]!r}")
            metrics = self._matched(given.get("metrics", [])) if given.get("batch") else []
            if "source" in given:
                self.source.check_state(given["source"])
            if "random" in given:
                config.check_random_state(given["random"])
            self.callbacks.set_state(given.get("callbacks", ()))
        if self._restore is not None:
            self._restore()
        self.epoch, self.batch = given.get("epoch", self.epoch), given.get("batch", 0)
        self.model.stop_training = bool(given.get("stop", self.model.stop_training))
        if "source" in given:
            self.source.set_state(given["source"])
        if "random" in given:
            config.set_random_state(given["random"])
        self._given = self._restore = None
        return metrics

    def _matched(self, values):
        """Pairs of a variable of the metrics and the value that it had within the epoch."""
        variables = [v for metric in self.model.metrics for v in metric.variables] if len(values) else []
        if len(values) != len(variables):
            raise ValueError(
                f"the training to go on with had {len(values)} variables of metrics; this model has {len(variables)}: "
                "compile it as it was"
            )
        for variable, value in zip(variables, values, strict=True):
            if np.shape(value) != variable.shape or np.asarray(value).dtype.kind not in "fiub":
                raise ValueError(f"the metrics have a variable of shape {variable.shape}, got {np.shape(value)}")
        return list(zip(variables, values, strict=True))

    def __deepcopy__(self, memo):
        return None  # a copy of the model is not being trained

    def __reduce__(self):
        return type(None), ()
