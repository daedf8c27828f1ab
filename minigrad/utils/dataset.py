"""PyDataset: batches that Python code makes, each by its index."""

import collections
import itertools
from concurrent.futures import ThreadPoolExecutor


class PyDataset:
    """Base class for data whose batches are made one at a time: define `__len__` and `__getitem__(index)`.

    `__getitem__` returns a batch: (x, y) or (x, y, sample_weight). `fit` takes the batches in a new order each epoch
    (with shuffle=True) and calls `on_epoch_begin` and `on_epoch_end`. For endless data, define the property
    `num_batches` to return None instead of `__len__`, and pass steps_per_epoch to `fit`.

    BackupAndRestore keeps which batches of an epoch were taken. A dataset whose batches depend on anything else that
    changes, such as on their number so far, defines `get_state` and `set_state` to go on exactly.

    Args:
        workers: if 2 or more, so many threads make batches while the model trains (a replay needs no Python).
        use_multiprocessing: accepted for Keras; threads do the work.
        max_queue_size: how many batches the threads may make in advance.
    """

    workers, use_multiprocessing, max_queue_size = 1, False, 10  # for subclasses that don't call __init__
    _ahead = ()  # batches made in advance: the state before each, and the batch to come

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index):
        raise TypeError(f"{type(self).__name__} must define __getitem__(self, index), which returns a batch.")

    def __iter__(self):
        return self.batches()

    @property
    def num_batches(self):
        """How many batches there are; None for endless data."""
        if not hasattr(self, "__len__"):
            raise TypeError(f"{type(self).__name__} must define __len__, the number of batches.")
        return len(self)

    def on_epoch_begin(self):
        """Called before an epoch."""

    def on_epoch_end(self):
        """Called after an epoch, before its validation."""

    def get_state(self):
        """What changes while batches are made: a dict of numbers, strings and arrays, for `set_state`."""
        return {}

    def _check_state(self, state):
        """Raise a ValueError if `set_state` can't take this state."""

    def set_state(self, state):
        """Go on from a state that `get_state` returned."""

    @property
    def _position(self):
        """The state before the batch that `batches` gives next; batches that were made in advance do not count."""
        return self._ahead[0][0] if self._ahead else self.get_state()

    def _task(self, index):
        """(function, *arguments) to make batch `index`, which a worker calls. Tasks are asked for one by one."""
        return self.__getitem__, index

    def batches(self, order=None):
        """The batches with these indices, by default all. The workers make them in advance."""
        if order is None:
            order = itertools.count() if self.num_batches is None else range(self.num_batches)
        if self.workers < 2:
            yield from map(self.__getitem__, order)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            self._ahead = ahead = collections.deque()
            try:
                for index in order:
                    ahead.append((self.get_state(), pool.submit(*self._task(index))))
                    if len(ahead) >= max(self.max_queue_size, 1):
                        yield ahead.popleft()[1].result()
                while ahead:
                    yield ahead.popleft()[1].result()
            finally:
                while ahead:
                    ahead.pop()[1].cancel()


Sequence = PyDataset  # the older name
