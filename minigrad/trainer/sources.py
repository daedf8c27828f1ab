"""The batches of an epoch: from arrays, where one replay covers thousands of batches, or from a stream of batches."""

import itertools
import math
import time

import numpy as np

from minigrad import config
from minigrad.callbacks import History, ProgbarLogger
from minigrad.checks import is_int, warn
from minigrad.data import Rows, batch_of, named_arrays, split_batch
from minigrad.ops.shaping import constant_tensor
from minigrad.tensor import Structure
from minigrad.texts import StringArray
from minigrad.trainer.feed import look_for_gaps, prepare
from minigrad.trainer.pool import SLICE
from minigrad.trainer.programs import check_batch, fit_step, has_fit_step, run_staged, take
from minigrad.trainer.snapshot import build_optimizer, current
from minigrad.trainer.steps import check_step
from minigrad.trees import leaves
from minigrad.utils import PyDataset
from minigrad.utils.pipeline import Dataset

_HARMLESS = History, ProgbarLogger


class ArraySource:
    """The epochs of a `fit` on arrays: passes over all rows, of which one replay takes thousands."""

    def __init__(self, model, x, y, w, batch_size, shuffle, steps_per_epoch, columns=None):
        self.model, self.rows = model, Rows(x, y, w, batch_size, columns)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.limit = steps_per_epoch
        self.steps = steps_per_epoch or math.ceil(len(x) / batch_size)
        self.left = 0  # rows left in this pass
        self.programs = {}  # those that hold the data, by their ids
        self.recorded, self._has_begun = {}, False  # steps by their numbers of rows
        self._check(x, y, w)

    def _check(self, x, y, w):
        """Check that the shapes fit the model, the loss and the metrics: with the first step, or a batch of zeros."""
        model, first = self.model, min(self.batch_size, len(x))
        is_seen = has_fit_step(model, self.rows, first)
        if not is_seen and model._graph is not None and not any(layer._is_users for layer in model._all_layers()):
            step = self.step_of(None, first)
            is_seen = step.program is not None
            if is_seen:
                self.recorded[first] = step
        if not is_seen:  # a user's layer may make variables when it is run first
            zeros = {name: np.zeros((first, *a.shape[1:]), a.dtype) for name, a in named_arrays(x, y, w).items()}
            found = {name: constant_tensor(array) for name, array in zeros.items()}
            check_step(model, "train", *batch_of(found, x, y, w))
        build_optimizer(model)

    def begin(self, run):
        """Whether there is data for another epoch."""
        if not self._has_begun and not all(type(callback) in _HARMLESS for callback in run.callbacks.callbacks):
            self.recorded = {}  # one may have changed in place what the step was made of, such as a loss
        self._has_begun = True
        return True

    def release(self):
        """Let go of the data."""
        for program in self.programs.values():
            program.release()
        for step in self.recorded.values():
            if step.program is not None:
                self.model._pool.give_back(step)

    def get_state(self):
        """The position in the pass: the order of the rows, and how many of them were taken."""
        if self.left == 0:
            return {"rows": self.rows.size, "position": self.rows.size}
        return {"rows": self.rows.size, "position": self.rows.position, "order": self.rows.order[:, 0].copy()}

    def check_state(self, state):
        """Raise a ValueError unless this is a position in a pass over these rows."""
        rows = self.rows.size
        if state["rows"] != rows:
            raise ValueError(f"the training to go on with was one on {state['rows']} rows; this data has {rows}")
        if not is_int(state["position"], 0) or state["position"] > rows:
            raise ValueError(f"the position among {rows} rows must be in [0, {rows}], got {state['position']!r}")
        if 0 < state["position"] < rows and not np.array_equal(np.sort(state["order"]), np.arange(rows)):
            raise ValueError(f"the order of the rows must have each of the {rows} once")

    def set_state(self, state):
        """Continue from this position."""
        self.rows.go_to(state["position"], state.get("order"))
        self.left = self.rows.size - state["position"] if state["position"] else 0

    def has_rows(self, run):
        """Whether rows are left for this epoch. If none are, a new pass begins, but not within an epoch."""
        is_over = run.batch and self.rows.position == self.rows.size  # the fit that goes on here may have stood there
        if self.left == 0 and not is_over:
            self.rows.shuffle(self.shuffle, self.batch_size, config.generator())
            self.left = self.rows.size
        return self.left > 0

    def step_of(self, step, rows):
        """The step on so many rows: the last one, `step`, unless the model has changed since, as a callback may do."""
        model = self.model
        build_optimizer(model)
        if step is None or step.snapshot is not current(model) or step.is_stale():
            step = fit_step(model, self.rows, rows)
        if step.program is not None:
            step.program.bind(**self.rows.inputs)
            self.programs[id(step.program)] = step.program
            if rows == min(self.batch_size, self.rows.size):
                model._pool.shown["fit"] = step.program
        return step

    def run_epoch(self, run):
        """Train on the batches of one epoch, of which `run.batch` are done."""
        limit = self.limit or self.steps or math.inf
        while run.batch < limit and not run.is_stopped and self.has_rows(run):
            rows = min(self.left, self.batch_size)
            self._run(run, min(self.left // rows, limit - run.batch), rows)
        run.end_batch()
        if self.model.finite_batches < run.batch and "train" not in run.searched:
            run.searched.add("train")
            self.rows.warn_of_gaps()
        if self.limit is not None and run.batch < self.limit and not self.model.stop_training:
            warn(
                f"The data ran out after {run.batch} of {self.limit} steps; the epoch ends early. A pass has "
                f"{math.ceil(self.rows.size / self.batch_size)} batches.",
            )

    def _run(self, run, count, rows):
        """Run `count` batches of `rows` rows, in slices of SLICE seconds."""
        model, callbacks = self.model, run.callbacks
        step, end, snapshot = self.recorded.pop(rows, None), run.batch + count, model._snapshot
        is_same = step is not None and step.snapshot is snapshot and step.version == Structure.version
        if not is_same or snapshot.home is not getattr(model.optimizer, "_homes", None):
            step = self.step_of(step, rows)
        while run.batch < end and not run.is_stopped:
            stride, group, size = callbacks.batch_stride("train", run.batch), 1, step.size
            if stride not in (None, math.inf):
                group = model.steps_per_execution
                size = max(group, min(size, stride) // group * group)
            size = min(size, end - run.batch, self.rows.ready(rows))
            if stride is not None:
                run.begin_batch()
            began = time.perf_counter()
            take(model, step, size)
            took = time.perf_counter() - began
            self.left -= size * rows
            run.batch += size
            run.end_batch(group)
            step.size = max(1, min(64 * size, int(size * SLICE / max(took, 1e-9))))
        self.recorded[rows] = step  # not after an error, which may have left it half done


def arrays_of(data):
    """The arrays of numbers and texts whose rows a Dataset of batches picks; None of other data."""
    picked = data.picked if isinstance(data, Dataset) else None
    if picked is None or picked.size is None:
        return None
    length = _length(data)
    are_few = length is not None and 2 * length * picked.size < len(picked.rows)  # the others need not be computed
    arrays = None if are_few and not picked.rows.is_ready else picked.rows.all()
    return arrays if arrays is not None and all(map(_is_plain, leaves(arrays))) else None


def _is_plain(array):
    return isinstance(array, StringArray) or array.dtype.kind in "fiub"


class PickedSource(ArraySource):
    """The epochs of a `fit` on a Dataset that is Picked: one order of rows after the other, taken as arrays are."""

    def __init__(self, model, dataset, arrays, steps_per_epoch, class_weight):
        self.dataset, self._orders, self._began = dataset, None, {}
        self._until = 0  # batches of this pass up to the end of its present order
        arrays = prepare(model, *split_batch(arrays), class_weight, is_all=True)
        super().__init__(model, *arrays, dataset.picked.size, False, steps_per_epoch)
        self.steps = steps_per_epoch or _length(dataset)

    def check(self):
        """Begin the first pass, as a stream does whose first batch is checked."""
        if not self._next_order():
            raise ValueError("The data is empty: the Dataset has no batch.")

    def has_rows(self, run):
        return self.left > 0 or self._next_order() or (run.batch == 0 and self._next_order())

    def _next_order(self):
        """Begin the next order of the pass, or the first one of a new pass; False at the end of a pass."""
        if self._orders is None:
            self._orders, self._until, self._began = self.dataset.picked.orders(), 0, self.dataset.get_state()
        order = next(filter(len, self._orders), None)
        if order is None:
            self._orders, self._until = None, 0
            return False
        self.rows.begin(order)
        for step in self.recorded.values():
            if step.program is not None:
                step.program.bind(**self.rows.inputs)
        self.left = len(order)
        self._until += self.dataset.picked.count(order)
        return True

    def get_state(self):
        """The position in the pass: how many batches were taken, and the passes over shuffles before it."""
        began = self.dataset.get_state() if self._orders is None else self._began
        return {"taken": self._until - math.ceil(self.left / self.batch_size), "source": began}

    def check_state(self, state):
        """Raise a ValueError unless this is a position in a pass over this Dataset."""
        _check_taken(state["taken"], _length(self.dataset))
        self.dataset._check_state(state["source"])

    def set_state(self, state):
        """Continue from this position."""
        self.dataset.set_state(state["source"])
        self._orders, self._until, self.left = None, 0, 0
        while self._until < state["taken"] and self._next_order():
            pass
        if self._until:
            ahead = self._until - state["taken"]
            done = min((self.dataset.picked.count(self.rows.order) - ahead) * self.batch_size, self.rows.size)
            self.rows.go_to(done)
            self.left -= done


class Stream:
    """Batches of an iterable, pass after pass: a generator, a data loader, a PyDataset ...

    Args:
        source: the iterable.
        shuffle: whether the batches of a PyDataset come in a new order in each pass.
    """

    def __init__(self, source, shuffle=False):
        is_indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        if isinstance(source, str) or not (hasattr(source, "__iter__") or hasattr(source, "__next__") or is_indexed):
            raise ValueError(f"Expected arrays or an iterable of batches, got {source!r} ({type(source).__name__}).")
        self.source, self.shuffle = source, shuffle
        self.is_dataset = isinstance(source, PyDataset)
        self.is_once = hasattr(source, "__next__") and not self.is_dataset
        self.length = source.num_batches if self.is_dataset else _length(source)
        self.order = None  # in which a PyDataset's batches come in this pass
        self.taken = 0  # batches of this pass
        self._ahead = self._iterator = None
        self._began = {}  # the state of a `utils.Dataset` when this pass began

    def next(self):
        """The next batch of this pass as (x, y, w); None at its end, after which the next pass begins."""
        if self._ahead is not None:
            batch, self._ahead = self._ahead, None
        else:
            if self._iterator is None:
                self.go_to(0)
            batch = next(self._iterator, None)
        if batch is None:
            self.taken, self._iterator = 0, None
            return None
        self.taken += 1
        return split_batch(batch)

    def peek(self):
        """The first batch, which `next` returns once more; None if there is none."""
        if self.is_dataset:  # its on_epoch_begin may change what comes
            return None if self.length == 0 else split_batch(self.source[0])
        batch = self.next()
        if batch is not None:
            self.taken -= 1
            self._ahead = batch
        return batch

    def go_to(self, taken, order=None):
        """Begin a pass at its batch `taken`. A generator, which can be read only once, continues where it is."""
        self._ahead = None
        self.taken, self.order = taken, order
        if isinstance(self.source, Dataset):
            self._began = {**self.source.get_state(), "random": config.random_state()}
        if self.is_dataset:
            if order is None and self.length is not None:
                self.order = np.arange(self.length)
                if self.shuffle:
                    config.generator().shuffle(self.order)
            indices = itertools.count(taken) if self.order is None else map(int, self.order[taken:])
            self._iterator = self.source.batches(indices)
        elif self.is_once:
            self._iterator = self.source
        elif taken and taken == self.length and not isinstance(self.source, Dataset):
            self._iterator = iter(())
        elif hasattr(self.source, "__iter__"):
            self._iterator = iter(self.source)
        else:
            self._iterator = map(self.source.__getitem__, range(len(self.source)))
        if taken and not self.is_dataset and not self.is_once:  # leave out what was taken
            next(itertools.islice(self._iterator, taken - 1, taken), None)

    def get_state(self):
        """The position in the pass: how many batches were taken; what a PyDataset or a Dataset says of itself."""
        state = {"taken": self.taken}
        if self.taken and self.order is not None:
            state["order"] = self.order.copy()
        if self.is_dataset:
            state["source"] = self.source._position
        elif isinstance(self.source, Dataset):
            state["source"] = self.source.get_state() if self._iterator is None else self._began
        return state

    def check_state(self, state):
        """Raise a ValueError unless this is a position in a pass over this stream."""
        order, length = state.get("order"), self.length
        _check_taken(state["taken"], length)
        if order is not None and not np.array_equal(np.sort(order), np.arange(length or 0)):
            raise ValueError(f"the order of the batches must have each of the {length} once")
        if state.get("source"):
            self.source._check_state(state["source"])

    def set_state(self, state):
        """Continue from this position. A generator, whose batches can't be had again, continues from its beginning."""
        if state.get("source"):
            self.source.set_state(state["source"])
            self._iterator = self._ahead = None
        if state["taken"] and not self.is_once:
            if "random" in (state.get("source") or ()):  # functions of a Dataset draw the same numbers again
                config.set_random_state(state["source"]["random"])
            self.go_to(state["taken"], state.get("order"))

    def begin_epoch(self):
        """Tell a PyDataset that an epoch begins."""
        if self.is_dataset:
            self.source.on_epoch_begin()

    def end_epoch(self):
        """Tell a PyDataset that an epoch has ended."""
        if not self.is_dataset:
            return
        state = self.source._ahead and self.source._position
        if not state:
            self.source.on_epoch_end()
            return
        self.close()  # batches that were made in advance for the next epoch: they are made again, as with one worker
        self.source.set_state(state)
        self.source.on_epoch_end()
        self.go_to(self.taken, self.order)

    def close(self):
        """Let the threads of a PyDataset go."""
        if self.is_dataset and self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def epoch(self, steps=None):
        """A whole pass, or its first `steps` batches. A generator, read only once, continues where it is."""
        if self.taken and not self.is_once:
            self.go_to(0)
        self.begin_epoch()
        while steps != 0 and (batch := self.next()) is not None:
            yield batch
            steps = None if steps is None else steps - 1
        self.end_epoch()
        if not self.is_once:
            self.close()


def _check_taken(taken, length):
    if not is_int(taken, 0) or length is not None and taken > length:
        raise ValueError(f"the batches taken of a pass must be in [0, {length}], got {taken!r}")


def _length(source):
    try:
        return len(source)
    except TypeError:  # it has none, or is endless
        return None


class StreamSource:
    """The epochs of a `fit` on a stream of batches."""

    def __init__(self, model, batches, shuffle, steps_per_epoch, class_weight):
        self.model, self.limit, self.class_weight = model, steps_per_epoch, class_weight
        self.stream = Stream(batches, shuffle)
        self.steps = steps_per_epoch or self.stream.length
        if self.steps is None and self.stream.is_dataset:
            raise ValueError("An endless PyDataset needs steps_per_epoch: how many batches make an epoch.")
        self.next = None  # the batch that `begin` fetched
        self.is_over = False  # whether the pass had no more batch, and the next one has not begun

    def check(self):
        """Check with the first batch that the shapes fit the model, the loss and the metrics."""
        first = self.stream.peek()
        if first is None:
            raise ValueError("The data is empty: the iterable yielded no batch.")
        check_batch(self.model, "train", *self._prepared(first))

    def release(self):
        """Let go of the data."""
        self.stream.close()

    def get_state(self):
        """The position in the pass."""
        return {**self.stream.get_state(), "is_over": self.is_over}

    def check_state(self, state):
        """Raise a ValueError unless this is a position in a pass over this stream."""
        self.stream.check_state(state)

    def set_state(self, state):
        """Continue from this position."""
        self.is_over = bool(state.get("is_over"))
        self.stream.set_state(state)

    def begin(self, run):
        """Fetch the first batch of an epoch, or of the rest of one; returns whether there is one."""
        self.stream.begin_epoch()
        is_done = run.batch > 0 and (self.is_over or run.batch == self.limit)  # the fit that goes on here had them all
        if self.next is None and not is_done:
            self.next = self._fetch()
        if self.next is None and not run.batch and not self.stream.is_once:  # that was the end of the last pass
            self.next = self._fetch()
        return self.next is not None or run.batch > 0

    def _fetch(self):
        """The next batch, checked; None after the last one."""
        batch = self.stream.next()
        self.is_over = batch is None
        return None if batch is None else self._prepared(batch)

    def _prepared(self, batch):
        arrays = prepare(self.model, *batch, self.class_weight)
        build_optimizer(self.model)
        return arrays

    def run_epoch(self, run):
        """Train on the batches of one epoch. `begin` has fetched the next one."""
        model, callbacks = self.model, run.callbacks
        build_optimizer(model)
        while self.next is not None and run.batch != self.steps and not run.is_stopped:
            if callbacks.batch_stride("train", run.batch) is not None:
                run.begin_batch()
            run_staged(model, "train", *self.next)
            run.batch += 1
            if model.finite_batches < run.batch:
                look_for_gaps(model, "train", run.batch, self.next)
            self.next = None
            run.end_batch(model.steps_per_execution)
            if run.batch != self.limit and not run.is_stopped:
                self.next = self._fetch()
        run.end_batch()
        if self.limit is not None and run.batch < self.limit and not model.stop_training:
            warn(f"The data ran out after {run.batch} of {self.limit} steps; the epoch ends early.")
        self.stream.end_epoch()
