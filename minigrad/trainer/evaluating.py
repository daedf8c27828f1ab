"""evaluate, predict, and the methods for one batch."""

import itertools
import math

import numpy as np

from minigrad.callbacks import CallbackList
from minigrad.data import is_array_like, split_batch
from minigrad.trainer.arguments import kind_of, verbosity, whole_number
from minigrad.trainer.sources import iterate


class Evaluating:
    """The part of a Model that evaluates and predicts."""

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False,
    ):
        """The loss and the metrics on the data, in inference mode.

        Returns a float if there is only the loss, else a list [loss, metrics...]; with return_dict=True a dict.
        See `fit` for the arguments.
        """
        self._require_compiled("evaluate")
        verbose = verbosity(verbose)
        steps = whole_number("steps", steps, 1, optional=True)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        count = steps
        with self._forgetting_after_an_error():
            if is_array_like(x):
                x, y, sample_weight = self._prepare(x, y, sample_weight)
                batch_size = batch_size or self._default_batch_size(len(x), steps)
                count = min(math.ceil(len(x) / batch_size), steps or math.inf)
                self._check_batch("test", x, y, sample_weight, rows=batch_size)
            elif y is not None or sample_weight is not None:
                raise ValueError(
                    f"x is {kind_of(x)}: it must yield (x, y) or (x, y, sample_weight); y and sample_weight can't be "
                    "given beside it."
                )
            params = {"verbose": verbose, "epochs": 1, "steps": count}
            callbacks = CallbackList(callbacks, self, params, progress=verbose != 0)
        with self._pool.training, self._forgetting_after_an_error():
            try:
                logs = self._evaluate(x, y, sample_weight, batch_size, steps, callbacks)
            except BaseException:
                callbacks.close()
                raise
        return logs if return_dict else self._listed(logs)

    def _listed(self, logs):
        values = [logs[m.name] for m in self.metrics]
        return values[0] if len(values) == 1 else values

    def _evaluate(self, x, y, w, batch_size, steps, callbacks):
        """Evaluate checked arrays, or an iterable x of batches; the logs."""
        batches = self._batches(x, y, w, batch_size) if y is not None else self._checked(x)
        hooks = callbacks.has_batch_hooks("test")
        callbacks.call("on_test_begin", {})
        done = 0
        for batch in itertools.islice(batches, steps):
            if hooks:
                callbacks.call("on_test_batch_begin", done, {})
            self._run_staged("test", *batch, reset=done == 0)
            if hooks:
                callbacks.call("on_test_batch_end", done, self._results())
            done += 1
            if callbacks.progress is not None and callbacks.history is None:
                callbacks.advance(done, self._results)
        if done == 0:
            raise ValueError("The data is empty: there is no batch to evaluate.")
        logs = self._results()
        callbacks.call("on_test_end", logs)
        return logs

    @staticmethod
    def _batches(x, y, w, batch_size):
        for start in range(0, len(x), batch_size or 32):
            rows = slice(start, start + (batch_size or 32))
            yield x[rows], y[rows], None if w is None else w[rows]

    def _checked(self, iterable):
        """The batches of an iterable, each checked."""
        for batch in iterate(iterable):
            yield self._prepare(*split_batch(batch))

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The outputs for the rows of x as a NumPy array, in inference mode. Any number of threads may call it.

        A NaN or infinity in a row shows in that row only. See `fit` for the arguments.
        """
        verbose = verbosity(verbose)
        steps = whole_number("steps", steps, 1, optional=True)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        if not is_array_like(x):
            return self._predict_batches(x, steps, callbacks, verbose)
        x = self._prepare_x(x)
        batch_size = batch_size or self._default_batch_size(len(x), steps)
        n = len(x) if steps is None else min(len(x), steps * batch_size)
        params = {"verbose": verbose, "epochs": 1, "steps": math.ceil(n / batch_size)}
        quiet = callbacks is None and not verbose
        callbacks = None if quiet else CallbackList(callbacks, self, params, progress=verbose != 0)
        hooks = not quiet and callbacks.has_batch_hooks("predict")
        outputs = None
        try:
            if not quiet:
                callbacks.call("on_predict_begin", {})
            for i, start in enumerate(range(0, n, batch_size)):
                if hooks:
                    callbacks.call("on_predict_batch_begin", i, {})
                batch = x[start : min(start + batch_size, n)]
                result = self._run_staged("predict", batch)[0]
                if outputs is None:
                    outputs = result if len(result) == n else np.empty((n, *result.shape[1:]), result.dtype)
                if outputs is not result:
                    outputs[start : start + len(batch)] = result
                if hooks:
                    callbacks.call("on_predict_batch_end", i, {"outputs": outputs[start : start + len(batch)]})
                if not quiet:
                    callbacks.advance(i + 1, dict)
            if not quiet:
                callbacks.call("on_predict_end", {})
        except BaseException:
            if not quiet:
                callbacks.close()
            raise
        return outputs

    def _predict_batches(self, batches, steps, callbacks, verbose):
        params = {"verbose": verbose, "epochs": 1, "steps": steps}
        callbacks = CallbackList(callbacks, self, params, progress=verbose != 0)
        callbacks.call("on_predict_begin", {})
        outputs = []
        for i, batch in enumerate(itertools.islice(iterate(batches), steps)):
            callbacks.call("on_predict_batch_begin", i, {})
            outputs.append(self._run_staged("predict", self._prepare_x(split_batch(batch)[0]))[0])
            callbacks.call("on_predict_batch_end", i, {"outputs": outputs[-1]})
            callbacks.advance(i + 1, dict)
        callbacks.call("on_predict_end", {})
        if not outputs:
            raise ValueError("The data is empty: there is no batch to predict.")
        return np.concatenate(outputs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step of training on a batch; the loss and metrics of the batch before the step."""
        self._require_compiled("train_on_batch")
        with self._pool.training, self._forgetting_after_an_error():
            batch = self._prepare(x, y, sample_weight, class_weight)
            self._build_optimizer()
            self._run_staged("train", *batch, reset=True)
            logs = self._results()
        return logs if return_dict else self._listed(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss and metrics of a batch, in inference mode."""
        self._require_compiled("test_on_batch")
        with self._pool.training, self._forgetting_after_an_error():
            batch = self._prepare(x, y, sample_weight)
            self._run_staged("test", *batch, reset=True)
            logs = self._results()
        return logs if return_dict else self._listed(logs)

    def predict_on_batch(self, x):
        """The outputs for one batch as a NumPy array, in inference mode."""
        return self._run_staged("predict", self._prepare_x(x))[0]
