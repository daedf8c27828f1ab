"""Where the batches of an epoch come from: arrays, of which one replay covers thousands, or an iterable."""

import math
import time
import warnings

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.data import split_batch
from minigrad.program import launch
from minigrad.tensor import as_tensor, constant
from minigrad.trainer.steps import SLICE, Step


class ArraySource:
    """The epochs of a `fit` on arrays: passes over all rows, whole slices of which are one replay."""

    def __init__(self, model, rows, batch_size, shuffle, steps_per_epoch):
        self.model, self.rows = model, rows
        self.batch_size, self.shuffle = batch_size, shuffle
        self.limit = steps_per_epoch
        self.steps = steps_per_epoch or math.ceil(rows.size / batch_size)
        self.left = 0  # rows left in this pass
        self.programs = []

    def check(self, x, y, w):
        """Let the model, the loss and the metrics see the shapes of a batch, before anything is changed."""
        model = self.model
        first = min(self.batch_size, len(x))
        batch = [None if a is None else as_tensor(np.zeros((first, *a.shape[1:]), a.dtype)) for a in (x, y, w)]
        model._check_step(*batch, training=True)
        model._build_optimizer()

    def begin(self):
        """Whether there is data for another epoch."""
        return True

    def release(self):
        """Let go of the data."""
        for program in self.programs:
            program.release()

    def run_epoch(self, callbacks):
        """Train on the batches of one epoch."""
        if self.left == 0:
            self.rows.shuffle(self.shuffle, self.batch_size, config.generator())
            self.left = self.rows.size
        whole = min(self.left // self.batch_size, self.limit or self.left)
        done = self._run(callbacks, 0, whole, self.batch_size)
        if not self.model.stop_training and self.left and (self.limit is None or done < self.limit):
            done = self._run(callbacks, done, 1, min(self.left, self.batch_size))
        if self.limit is not None and done < self.limit and not self.model.stop_training:
            warnings.warn(
                f"The data ran out after {done} of {self.limit} steps; the epoch ends early. A pass has "
                f"{math.ceil(self.rows.size / self.batch_size)} batches.",
                stacklevel=3,
            )

    def _run(self, callbacks, done, count, rows):
        """Run `count` batches of `rows` rows, in slices of SLICE seconds; how many batches the epoch has had then."""
        if count == 0:
            return done
        model = self.model
        hooks = callbacks.has_batch_hooks("train")
        step = model._fit_step(self.rows, rows)
        if step.program is not None:
            step.program.bind(**self.rows.inputs)
            self.programs.append(step.program)
            if rows == min(self.batch_size, self.rows.size):
                model._pool.shown["fit"] = step.program
        else:
            step = Step(lambda: _eager_fit_step(model, self.rows, rows), None, None)
        end, size = done + count, 1
        while done < end and not model.stop_training:
            size = min(model.steps_per_execution if hooks else size, end - done)
            if hooks:
                callbacks.call("on_train_batch_begin", done, {})
            began = time.perf_counter()
            step.replay(size)
            took = time.perf_counter() - began
            self.left -= size * rows
            done += size
            if hooks:
                callbacks.call("on_train_batch_end", done - 1, model._results())
            callbacks.advance(done, model._results)
            size = max(1, min(8 * size, int(size * SLICE / max(took, 1e-9))))
        if step.program is not None:
            model._pool.give_back(step)
        return done


def _eager_fit_step(model, rows, count):
    model._train(*rows.next_batch(count))
    launch(K.increment, constant(np.int64, count), rows.cursor)


class BatchSource:
    """The epochs of a `fit` on an iterable of batches, such as a generator."""

    def __init__(self, model, batches, steps_per_epoch):
        self.model, self.batches, self.limit = model, batches, steps_per_epoch
        self.steps = steps_per_epoch or (len(batches) if hasattr(batches, "__len__") else None)
        self.iterator = iterate(batches)
        self.is_once = self.iterator is batches
        self.has_begun = False
        self.next = None  # the batch that `begin` fetched

    def release(self):
        """Let go of the data: nothing of it is kept."""

    def begin(self):
        """Fetch and check the first batch of an epoch; whether there is one."""
        if self.next is None:
            self.next = self._fetch()
        if self.next is None and self.has_begun and not self.is_once:
            self.iterator = iterate(self.batches)
            self.next = self._fetch()
        if not self.has_begun:
            if self.next is None:
                raise ValueError("The data is empty: the iterable yielded no batch.")
            self.model._check_batch("train", *self.next)
        self.has_begun = True
        return self.next is not None

    def _fetch(self):
        """The next batch, checked; None after the last one."""
        batch = next(self.iterator, None)
        if batch is None:
            return None
        arrays = self.model._prepare(*split_batch(batch))
        self.model._build_optimizer()
        return arrays

    def run_epoch(self, callbacks):
        """Train on the batches of one epoch, of which `begin` has fetched the first."""
        model = self.model
        hooks = callbacks.has_batch_hooks("train")
        done = 0
        while self.next is not None:
            if hooks:
                callbacks.call("on_train_batch_begin", done, {})
            model._run_staged("train", *self.next)
            done += 1
            self.next = None
            if hooks:
                callbacks.call("on_train_batch_end", done - 1, model._results())
            callbacks.advance(done, model._results)
            if model.stop_training or done == self.limit:
                return
            self.next = self._fetch()
        if self.limit is not None:
            warnings.warn(
                f"The data ran out after {done} of {self.limit} steps; the epoch ends early.", stacklevel=3
            )


def iterate(batches):
    """An iterator over an iterable, or over something with a length and elements."""
    if hasattr(batches, "__iter__") or hasattr(batches, "__next__"):
        return iter(batches)
    if hasattr(batches, "__getitem__") and hasattr(batches, "__len__"):
        return (batches[i] for i in range(len(batches)))
    raise ValueError(f"Expected arrays or an iterable of batches, got {batches!r} ({type(batches).__name__}).")
