"""evaluate, predict, and the methods for one batch."""

import itertools
import math

import numpy as np

from minigrad.callbacks import CallbackList
from minigrad.data import is_array_like, named_arrays, warn_of_gaps
from minigrad.layers.context import entry
from minigrad.trainer.arguments import kind_of, verbosity, warn_of_missing, whole_number
from minigrad.trainer.sources import Stream
from minigrad.trees import leaves, mapped

_WORDS = {"train": "train on", "test": "evaluate"}
_STOP = {"test": "stop_evaluating", "predict": "stop_predicting"}  # what a callback sets to end it


class Evaluating:
    """The part of a Model that evaluates and predicts."""

    @entry
    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False,
    ):
        """The loss and the metrics on the data, in inference mode.

        Returns a float if there is only the loss, else a list [loss, metrics...]; with return_dict=True a dict.
        See `fit` for the arguments, and for what it raises.
        """
        self._require_compiled("evaluate")
        verbose = verbosity(verbose)
        steps = whole_number("steps", steps, 1, optional=True)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        with self._pool.training, self._forgetting_after_an_error():
            if is_array_like(x):
                x, y, sample_weight = self._prepare(x, y, sample_weight, kind="test")
                batch_size = batch_size or self._default_batch_size(len(x), steps)
                count = min(math.ceil(len(x) / batch_size), steps or math.inf)
                self._check_batch("test", x, y, sample_weight, rows=batch_size)
                batches = self._batches(x, y, sample_weight, batch_size, steps)
            elif y is not None or sample_weight is not None:
                raise ValueError(
                    f"x is {kind_of(x)}: it must yield (x, y) or (x, y, sample_weight); y and sample_weight can't be "
                    "given beside it."
                )
            else:
                stream = Stream(x)
                count, batches = steps or stream.length, self._checked(stream, steps)
            callbacks = CallbackList(
                callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=count
            )
        with self._pool.training, self._forgetting_after_an_error():
            try:
                logs = self._evaluate(batches, callbacks, steps)
            except BaseException:
                callbacks.abort()
                raise
        return logs if return_dict else self._listed(logs)

    def _evaluate(self, batches, callbacks, steps=None):
        """Evaluate checked batches, of which there should be `steps`; the logs."""
        self.stop_evaluating = False
        callbacks.on_test_begin({})

        def take(batch, done):
            self._run_staged("test", *batch, reset=done == 0)
            if self.finite_batches <= done:
                self._look_for_gaps("test", done + 1, batch)

        done = self._take_batches("test", batches, callbacks, take, lambda _: self._results(of_step=True))
        if done == 0:
            raise ValueError("The data is empty: there is no batch to evaluate.")
        if not self.stop_evaluating:
            warn_of_missing(steps, done)
        logs = self._results()
        callbacks.on_test_end(logs)
        return logs

    def _look_for_gaps(self, kind, number, batch):
        """Say where NaN is in batch `number`, if it is the first one whose loss is not finite: once in a `fit`."""
        searched = set() if self.fitting is None else self.fitting.searched
        if self.finite_batches == number - 1 and kind not in searched:
            searched.add(kind)
            warn_of_gaps(named_arrays(*batch), where=f"In batch {number} to {_WORDS[kind]}, ")

    def _take_batches(self, kind, batches, callbacks, take, logs):
        """Call `take(batch, number)` for each batch until a callback sets `stop_...`; how many there were.

        The batch hooks are called as often as `steps_per_execution` says, with the logs of that many batches.
        """
        begin, end = getattr(callbacks, f"on_{kind}_batch_begin"), getattr(callbacks, f"on_{kind}_batch_end")
        is_watched = callbacks.batch_stride(kind, 0) is not None
        done = began = 0
        for batch in batches:
            if is_watched and done == began:
                begin(done, {})
            take(batch, done)
            done += 1
            if is_watched and done - began == self.steps_per_execution:
                end(done - 1, logs(done - began))
                began = done
            if is_watched and getattr(self, _STOP[kind]):
                return done
        if is_watched and done > began:
            end(done - 1, logs(done - began))
        return done

    @staticmethod
    def _batches(x, y, w, batch_size, steps):
        """The batches of checked arrays."""
        for start in itertools.islice(range(0, len(x), batch_size), steps):
            rows = slice(start, start + batch_size)
            yield tuple(None if a is None else a[rows] for a in (x, y, w))

    def _checked(self, stream, steps):
        """The batches of a stream, each checked."""
        for batch in stream.epoch(steps):
            yield self._prepare(*batch, kind="test")

    @entry
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The outputs for the rows of x as a NumPy array, in inference mode. Any number of threads may call it.

        x of shape (n, features) gives (n, units of the last layer). A NaN or infinity in a row shows in that row only.
        See `fit` for the arguments.

        Raises:
            ValueError: rows that do not fit the model, or none.
        """
        verbose = verbosity(verbose)
        steps = whole_number("steps", steps, 1, optional=True)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        if is_array_like(x):
            x = self._prepare_x(x)
            batch_size = batch_size or self._default_batch_size(len(x), steps)
            starts = range(0, len(x), batch_size)[:steps]
            count, batches = len(starts), (x[start : start + batch_size] for start in starts)
        else:
            stream = Stream(x)
            count = steps or stream.length
            batches = (self._prepare_x(batch[0]) for batch in stream.epoch(steps))
        callbacks = CallbackList(
            callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=count
        )
        outputs = []

        def take(batch, done):
            outputs.append(self._run_staged("predict", batch)[0])

        try:
            if self.stop_predicting:
                self.stop_predicting = False
            callbacks.on_predict_begin({})
            self._take_batches("predict", batches, callbacks, take, lambda n: {"outputs": _joined(outputs[-n:])})
            callbacks.on_predict_end({})
        except BaseException:
            callbacks.abort()
            raise
        if not outputs:
            raise ValueError("The data is empty: there is no batch to predict.")
        if not self.stop_predicting:
            warn_of_missing(steps, len(outputs))
        return _joined(outputs)

    @entry
    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step of training on a batch, all rows of x; the loss and metrics of the batch before the step.

        Returns and raises what `evaluate` does. Data that does not fit changes nothing.
        """
        self._require_compiled("train_on_batch")
        with self._pool.training, self._forgetting_after_an_error():
            batch = self._prepare(x, y, sample_weight, class_weight)
            self._build_optimizer()
            self._run_staged("train", *batch, reset=True)
            return self._batch_results(return_dict)

    @entry
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss and metrics of a batch, in inference mode. Returns and raises what `evaluate` does."""
        self._require_compiled("test_on_batch")
        with self._pool.training, self._forgetting_after_an_error():
            batch = self._prepare(x, y, sample_weight, kind="test")
            self._run_staged("test", *batch, reset=True)
            return self._batch_results(return_dict)

    @entry
    def predict_on_batch(self, x):
        """The outputs for one batch, all rows of x, as a NumPy array, in inference mode. See `predict`."""
        return self._run_staged("predict", self._prepare_x(x))[0]


def _joined(outputs):
    """The outputs of all batches, one after the other: an array, or a tree of them where the model has several."""
    if len(outputs) == 1:
        return outputs[0]
    parts = zip(*map(leaves, outputs), strict=True)
    return mapped(lambda _: np.concatenate(next(parts)), outputs[0])
