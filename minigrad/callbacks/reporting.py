"""Callbacks that report what happens: History, ProgbarLogger, CSVLogger, LambdaCallback."""

import csv
import html
import math
import os
from collections.abc import Iterable

import numpy as np

from minigrad.callbacks.base import HOOKS, PATH, Callback
from minigrad.older import Logs
from minigrad.utils.progbar import Progbar


class History(Callback):
    """What `fit` returns: `history` maps each key of the logs to the list of its values, one per epoch."""

    def __init__(self):
        super().__init__()
        self.history = Logs()
        self.epoch = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)
        self.model.history = self

    def get_state(self):
        return {"epoch": list(self.epoch), "history": {key: list(values) for key, values in self.history.items()}}

    def set_state(self, state):
        self.epoch = list(state["epoch"])
        self.history = Logs((key, list(values)) for key, values in state["history"].items())

    def _rows(self):
        """A row of cells for each key whose values are numbers, below a header. NaN is printed as such."""
        yield f"{len(self.epoch)} epoch{'s' * (len(self.epoch) != 1)}", "first", "last", "lowest", "highest"
        for key, values in self.history.items():
            if values and all(np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu" for value in values):
                yield key, *(f"{value:.5g}" for value in (values[0], values[-1], np.min(values), np.max(values)))

    def __repr__(self):
        rows = list(self._rows())
        width = max(len(key) for key, *_ in rows)
        return "\n".join(f"{key:<{width}}" + "".join(f"{cell:>12}" for cell in cells) for key, *cells in rows)

    def _repr_html_(self):
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self._rows())
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


class ProgbarLogger(Callback):
    """Keras' progress bar: verbose 1 draws it, 2 prints one line per epoch. A validation inside `fit` is silent."""

    def __init__(self):
        super().__init__()
        self.bar = None
        self.seen = 0
        self._is_in_fit = False

    def batch_stride(self, kind, batch):
        if self.has_batch_hooks(kind, beyond=ProgbarLogger):
            return 1
        return None if not self.params["verbose"] or (kind == "test" and self._is_in_fit) else math.inf

    def _start(self):
        self.seen = 0
        self.bar = Progbar(self.params["steps"], verbose=self.params["verbose"], stateless_metrics=(), unit_name="step")

    def _advance(self, batch, logs):
        self.seen = batch + 1
        if self.params["verbose"] == 1:
            self.bar.update(self.seen, logs or {}, finalize=False)

    def _finish(self, logs):
        if self.bar.target is None:
            self.bar.target = self.seen
        # An epoch that was stopped early ends where it stands.
        self.bar.update(self.seen or self.bar.target, logs or {}, finalize=True)
        self.bar = None

    def abort(self):
        if self.bar is not None:
            self.bar.close()
        self.bar, self._is_in_fit = None, False

    def on_train_begin(self, logs=None):
        self._is_in_fit = True

    def on_train_end(self, logs=None):
        self._is_in_fit = False

    def on_epoch_begin(self, epoch, logs=None):
        if self.params["verbose"] and self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start()

    def on_train_batch_end(self, batch, logs=None):
        self._advance(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_test_begin(self, logs=None):
        if not self._is_in_fit:
            self._start()

    def on_test_batch_end(self, batch, logs=None):
        if not self._is_in_fit:
            self._advance(batch, logs)

    def on_test_end(self, logs=None):
        if not self._is_in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs=None):
        self._start()

    def on_predict_batch_end(self, batch, logs=None):
        self._advance(batch, None)

    def on_predict_end(self, logs=None):
        self._finish(None)


class CSVLogger(Callback):
    """Write the logs of each epoch to a file when it ends: a column `epoch` (from 0), and one per key, sorted.

    If the first epoch was not validated, there are `val_...` columns nevertheless, which hold NA until one is.

    Args:
        filename: the file. separator: the text between two columns.
        append: go on at the end of an existing file (as after a resume), instead of replacing it.
    """

    only_writes = True  # nothing to do for a process that writes no files

    arguments = {"filename": PATH, "separator": ",", "append": False}
    _state_attributes = ("keys",)
    keys = _file = None

    def _settle(self):
        self.sep = self.separator

    def on_train_begin(self, logs=None):
        self.abort()
        self.keys = None
        self._needs_header = not (self.append and os.path.exists(self.filename) and os.path.getsize(self.filename))
        # Open from one hook to another, so no `with`; `abort` and on_train_end close it.
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._writer = csv.writer(self._file, delimiter=self.sep)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        if self._needs_header:
            self._writer.writerow(["epoch", *self.keys])
            self._needs_header = False
        self._writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self._file.flush()

    def on_train_end(self, logs=None):
        self.abort()

    def abort(self):
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None


def _cell(value):
    """The value for one cell; several values, such as an F1 score per class, become "[0.5, 0.25]"."""
    if isinstance(value, Iterable) and not isinstance(value, str) and np.ndim(value):
        return f'"[{", ".join(map(str, value))}]"'
    return value


class LambdaCallback(Callback):
    """A callback made of functions, each given under the name of its hook: `on_epoch_end=lambda epoch, logs: ...`.

    Raises:
        ValueError: a name that is not one of a hook.
    """

    arguments = {
        "on_epoch_begin": None, "on_epoch_end": None, "on_train_begin": None, "on_train_end": None,
        "on_train_batch_begin": None, "on_train_batch_end": None,
    }  # fmt: skip
    _keywords = "kwargs"

    def _set_up(self, given):
        super()._set_up({})
        for name, function in (given.pop("kwargs") | given).items():
            if name not in HOOKS:
                raise ValueError(f"LambdaCallback: {name!r} is no hook. Hooks: {', '.join(sorted(HOOKS))}.")
            if function is not None:
                setattr(self, name, function)
