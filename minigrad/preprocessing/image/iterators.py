"""The batches of an ImageDataGenerator, and those of the pictures in an array.

Each iterator is a PyDataset, which `fit` takes: `iterator[i]` is a batch, `len(iterator)` their number. It is endless,
too: `next(iterator)` is the next batch of pass after pass. With a seed, NumPy's global generator is seeded anew before
each batch, as in Keras. With `iterator.workers = 4`, four threads read and change pictures while the model trains; what
is random is drawn before, by one thread, so the pictures are the same ones.
"""

import os
import threading

import numpy as np

from minigrad import config
from minigrad.checks import is_int, is_own, warn
from minigrad.preprocessing.image.files import array_to_img, only_channels_last
from minigrad.utils import PyDataset

_SUBSETS = ("training", "validation")


class Iterator(PyDataset):
    """Base class: the rows of each batch. A subclass defines `_get_batches_of_transformed_samples(rows)`.

    Args:
        n: the number of pictures.
        shuffle: whether the rows come in a new order in each pass.
        seed: what NumPy's global generator is seeded with, plus the number of batches so far; None leaves it alone.
    """

    white_list_formats = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")

    def __init__(self, n, batch_size, shuffle, seed, **kwargs):
        super().__init__(**kwargs)
        if not is_int(batch_size, 1):
            raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}.")
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array = None
        self.lock = threading.Lock()

    def __len__(self):
        return -(-self.n // self.batch_size)

    def _set_index_array(self):
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _count(self):
        """Seed the generator for the next batch, and count it."""
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def _rows(self, index):
        """The rows of batch `index` of this pass."""
        if not 0 <= index < len(self):
            raise ValueError(f"There is no batch {index}: the pictures make {len(self)} batches.")
        self._count()
        if self.index_array is None:
            self._set_index_array()
        return self.index_array[index * self.batch_size : (index + 1) * self.batch_size]

    def __getitem__(self, idx):
        return self._get_batches_of_transformed_samples(self._rows(idx + len(self) if idx < 0 else idx))

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            if self.n == 0:
                raise StopIteration
            self._count()
            if self.batch_index == 0:
                self._set_index_array()
            start = self.batch_index * self.batch_size
            self.batch_index = (self.batch_index + 1) % len(self)
        return self._get_batches_of_transformed_samples(self.index_array[start : start + self.batch_size])

    def next(self):
        """What Keras 2 called next(iterator)."""
        return next(self)

    def reset(self):
        """Let the next pass of next(iterator) begin."""
        self.batch_index = 0

    def on_epoch_end(self):
        self._set_index_array()

    def _get_batches_of_transformed_samples(self, index_array):
        raise NotImplementedError(f"{type(self).__name__} must define _get_batches_of_transformed_samples(rows).")

    def _drawn(self, rows):
        """What is random in a batch, as further arguments of `_get_batches_of_transformed_samples`."""
        return ()

    def _task(self, index):
        if not is_own(type(self)):  # a subclass may have its own way to make a batch
            return super()._task(index)
        rows = self._rows(index)
        return (self._get_batches_of_transformed_samples, rows, *self._drawn(rows))

    def get_state(self):
        return {
            "order": np.arange(0) if self.index_array is None else self.index_array.copy(),
            "seen": self.total_batches_seen,
            "next": self.batch_index,
            "numpy": np.random.get_state(),
        }

    def _check_state(self, state):
        order = state["order"]
        if len(order) and not np.array_equal(np.sort(order), np.arange(self.n)):
            raise ValueError(f"the order of the pictures must have each of the {self.n} once")
        if not is_int(state["seen"], 0) or not is_int(state["next"], 0):
            raise ValueError(f"the batches so far must be counted, got {state['seen']!r}, {state['next']!r}")
        np.random.RandomState().set_state(state["numpy"])

    def set_state(self, state):
        self.index_array = np.array(state["order"]) if len(state["order"]) else None
        self.total_batches_seen, self.batch_index = state["seen"], state["next"]
        np.random.set_state(state["numpy"])


class Pictures(Iterator):
    """The batches of a generator: subclasses define `_picture(row)` and `_targets(rows, x)`."""

    _hashes = 10**7  # how many names the pictures in save_to_dir may have

    def __init__(self, generator, n, shape, batch_size, shuffle, seed, saving, data_format, dtype):
        only_channels_last(data_format, type(self).__name__)
        super().__init__(n, batch_size, shuffle, seed)
        self.image_data_generator, self.image_shape = generator, shape
        self.data_format, self.dtype = "channels_last", dtype or config.floatx()
        self.save_to_dir, self.save_prefix, self.save_format = saving

    def _drawn(self, rows):
        generator = self.image_data_generator
        changes = [generator.get_random_transform(self.image_shape) if generator else None for _ in rows]
        return changes, [np.random.randint(self._hashes) for _ in rows] if self.save_to_dir else None

    def _get_batches_of_transformed_samples(self, index_array, changes=None, hashes=None):
        generator = self.image_data_generator
        batch = np.zeros((len(index_array), *self.image_shape), self.dtype)
        for i, row in enumerate(index_array):
            x = self._picture(row)
            if generator:
                change = generator.get_random_transform(x.shape) if changes is None else changes[i]
                x = generator.standardize(generator.apply_transform(x, change))
            batch[i] = x
        for i, row in enumerate(index_array if self.save_to_dir else ()):
            number = np.random.randint(self._hashes) if hashes is None else hashes[i]
            name = f"{self.save_prefix}_{row}_{number}.{self.save_format}"
            array_to_img(batch[i]).save(os.path.join(self.save_to_dir, name))
        return self._targets(index_array, batch)


class NumpyArrayIterator(Pictures):
    """Batches x, (x, y) or (x, y, sample_weight) of the pictures in an array (rows, height, width, channels).

    Args:
        x: the array; or a tuple (array, others): arrays with equally many rows, which come along unchanged.
        y, sample_weight: arrays with equally many rows.
        save_to_dir, save_prefix, save_format: where to write the pictures as they go into the batches; None is nowhere.
        subset: "training" or "validation", with a generator that has a validation_split. Both must have all values of
            y, unless ignore_class_split.
    """

    _hashes = 10**4

    def __init__(
        self, x, y, image_data_generator, batch_size=32, shuffle=False, sample_weight=None, seed=None,
        data_format=None, save_to_dir=None, save_prefix="", save_format="png", subset=None, ignore_class_split=False,
        dtype=None,
    ):  # fmt: skip
        others = []
        if isinstance(x, (tuple, list)):
            x, others = x[0], x[1] if isinstance(x[1], list) else [x[1]]
        given = {"x": x, "y": y, "sample_weight": sample_weight, **{f"x[1][{i}]": one for i, one in enumerate(others)}}
        given = {name: np.asarray(one) for name, one in given.items() if one is not None}
        if len({len(one) for one in given.values()}) > 1:
            sizes = ", ".join(f"{name} has {len(one)}" for name, one in given.items())
            raise ValueError(f"flow: all must have the same number of rows, but {sizes}.")
        if subset is not None:
            low, high = split(subset, image_data_generator, len(given["x"]))
            other = np.delete(given.get("y", x), slice(low, high), 0)
            part = {name: one[low:high] for name, one in given.items()}
            if y is not None and not ignore_class_split and not np.array_equal(np.unique(part["y"]), np.unique(other)):
                raise ValueError(
                    "flow: training and validation do not have the same values of y, so the rows seem to be sorted. "
                    "Shuffle them, or pass ignore_class_split=True."
                )
            given = part
        self.x, self.y, self.sample_weight = given.pop("x"), given.pop("y", None), given.pop("sample_weight", None)
        self.x_misc = list(given.values())
        if self.x.ndim != 4:
            raise ValueError(
                f"flow expects pictures (rows, height, width, channels); got the shape {self.x.shape}. Pictures of one "
                "channel need an axis for it: x[..., None]."
            )
        if self.x.shape[3] not in (1, 3, 4):
            warn(f"flow: pictures have 1, 3 or 4 channels in the last axis; the shape is {self.x.shape}.")
        saving = save_to_dir, save_prefix, save_format
        super().__init__(
            image_data_generator, len(self.x), self.x.shape[1:], batch_size, shuffle, seed, saving, data_format, dtype
        )
        self.x = self.x.astype(self.dtype, copy=False)

    def _picture(self, row):
        return self.x[row].copy()

    def _targets(self, rows, x):
        x = [x, *(one[rows] for one in self.x_misc)] if self.x_misc else x
        if self.y is None:
            return x
        return (x, self.y[rows]) if self.sample_weight is None else (x, self.y[rows], self.sample_weight[rows])


def split(subset, generator, count):
    """(first, one after the last) of the rows of a subset among `count` rows."""
    if subset not in _SUBSETS:
        raise ValueError(f"subset must be 'training' or 'validation', got {subset!r}.")
    cut = int(generator.validation_split * count)
    return (0, cut) if subset == "validation" else (cut, count)
