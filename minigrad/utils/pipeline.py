"""Dataset: elements made one after the other, anew each time they are asked for, as TensorFlow's `tf.data.Dataset`."""

import itertools
import math
import operator

import numpy as np

from minigrad import config, ops
from minigrad.checks import is_int
from minigrad.tensor import Tensor
from minigrad.texts import StringArray, is_strings, strings
from minigrad.trees import leaves, mapped

AUTOTUNE = -1  # how many threads or elements the data set may use: a number that has no effect here


class Passes:
    """The passes over something that is shuffled. Pass k draws from a generator of its own, so that a training that was
    killed in it can begin it again.

    Args:
        seed: of all passes; by default drawn from the global generator.
    """

    def __init__(self, seed=None):
        self.seed = int(config.generator().integers(2**31)) if seed is None else int(seed)
        self.count = 0

    def begin(self):
        """The random generator of the next pass."""
        self.count += 1
        return np.random.default_rng([self.seed, self.count])


class Dataset:
    """A lazy sequence of elements: tensors, arrays of texts, or tuples, lists and dicts of such.

    It may be iterated over many times. `fit`, `evaluate` and `predict` take one whose elements are batches. Each method
    returns a new Dataset and reads nothing yet.

    Args:
        make: a function that returns a new iterator over the elements, whose leaves are arrays.
        length: the number of elements; math.inf if they never end, None if nobody knows.
        passes: the Passes of what is shuffled in it.

    >>> data = Dataset.from_tensor_slices((x, y)).shuffle(1000).batch(32)
    >>> model.fit(data, epochs=3)
    """

    def __init__(self, make, length=None, passes=()):
        self._make, self._length, self._passes = make, length, passes

    @staticmethod
    def from_tensor_slices(tensors, name=None):
        """The rows of an array, or of a tuple or dict of arrays that have equally many rows."""
        arrays = mapped(_as_array, tensors, _is_column)
        lengths = {len(array) for array in leaves(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"from_tensor_slices expects arrays with equally many rows, got {sorted(lengths)}.")
        (length,) = lengths
        return Dataset(lambda: _rows(arrays), length)

    @staticmethod
    def from_tensors(tensors, name=None):
        """One element, the arrays as they are."""
        return Dataset(lambda: iter([mapped(_as_array, tensors, _is_column)]), 1)

    @staticmethod
    def from_generator(generator, output_types=None, output_shapes=None, args=None, output_signature=None, name=None):
        """What `generator(*args)`, a function, yields. Types and shapes are those of what comes."""
        return Dataset(lambda: (mapped(_as_array, one, _is_column) for one in generator(*(args or ()))))

    @staticmethod
    def range(*args, output_type=None, name=None):
        """The integers of Python's `range(*args)`."""
        return Dataset(lambda: map(np.int64, range(*args)), len(range(*args)))

    @staticmethod
    def zip(*datasets, name=None):
        """Tuples of the elements of several data sets, as long as the shortest of them."""
        datasets = datasets[0] if len(datasets) == 1 and isinstance(datasets[0], (tuple, list)) else datasets
        lengths, passes = [one._length for one in datasets], [part for one in datasets for part in one._passes]
        length = None if None in lengths else min(lengths)
        return Dataset(lambda: zip(*(one._make() for one in datasets)), length, passes)

    def __iter__(self):
        return map(_shown, self._make())

    def __len__(self):
        if not is_int(self._length):
            raise TypeError(f"The length of this Dataset is {'infinite' if self._length else 'unknown'}.")
        return self._length

    def cardinality(self):
        """The number of elements, as a tensor: -1 if they never end, -2 if nobody knows."""
        known = {None: -2, math.inf: -1}.get(self._length, self._length)
        return ops.convert_to_tensor(np.int64(known))

    def as_numpy_iterator(self):
        """An iterator over the elements, with NumPy's arrays instead of tensors."""
        return (mapped(lambda leaf: leaf.numpy(), element) for element in self)

    def map(self, map_func, num_parallel_calls=None, deterministic=None, name=None):
        """`map_func(element)` of each element; a tuple's parts are given as several arguments."""

        def call(element):
            element = _shown(element)
            return map_func(*element) if isinstance(element, tuple) else map_func(element)

        return Dataset(lambda: map(call, self._make()), self._length, self._passes)

    def filter(self, predicate, name=None):
        """The elements for which `predicate` is true. It is called as the function of `map` is."""

        def is_kept(element):
            element = _shown(element)
            return bool(predicate(*element) if isinstance(element, tuple) else predicate(element))

        return Dataset(lambda: filter(is_kept, self._make()), None, self._passes)

    def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None, name=None):
        """`batch_size` elements stacked into one; the last batch may be smaller, or is dropped with drop_remainder."""
        return self._batched(_count("batch", "batch_size", batch_size, 1), drop_remainder, _stacked)

    def padded_batch(self, batch_size, padded_shapes=None, padding_values=None, drop_remainder=False, name=None):
        """`batch` of elements whose axes may differ in length: 0 (or `padding_values`, a number) fills them up.

        Args:
            padded_shapes: the shape of an element, or a tuple of those of its parts; None is as long as needed.
        """

        def padded(group):
            shapes = mapped(lambda _: None, group[0]) if padded_shapes is None else padded_shapes
            shapes = list(shapes) if isinstance(group[0], tuple) else [shapes]
            columns = zip(zip(*map(leaves, group), strict=True), shapes, strict=True)
            made = iter([_pad(list(map(_as_array, column)), shape, padding_values or 0) for column, shape in columns])
            return mapped(lambda _: next(made), group[0])

        return self._batched(_count("padded_batch", "batch_size", batch_size, 1), drop_remainder, padded)

    def _batched(self, size, drop_remainder, joined):
        """A Dataset of `joined(list of size elements)`."""

        def batches():
            elements = self._make()
            while group := list(itertools.islice(elements, size)):
                if len(group) == size or not drop_remainder:
                    yield joined(group)

        length = self._length
        if is_int(length):
            length = length // size if drop_remainder else -(-length // size)
        return Dataset(batches, length, self._passes)

    def window(self, size, shift=None, stride=1, drop_remainder=False, name=None):
        """Windows of `size` elements, each a Dataset (or a tuple of them), as `flat_map` takes them.

        Args:
            shift: how far it is from a window to the next one, by default its size; stride: within a window.
            drop_remainder: whether windows at the end that are too short are left out.
        """
        shift, span = size if shift is None else shift, (size - 1) * stride + 1

        def windows():
            elements, ahead = self._make(), []
            while ahead := [*ahead, *itertools.islice(elements, span - len(ahead))]:
                chosen = ahead[::stride]
                if len(chosen) == size or not drop_remainder:
                    yield mapped(lambda column: Dataset(lambda: _rows(column), len(column)), _stacked(chosen))
                for _ in range(shift - len(ahead)):  # between two windows
                    next(elements, None)
                ahead = ahead[shift:]

        return Dataset(windows, None, self._passes)

    def flat_map(self, map_func, name=None):
        """The elements of the data sets that `map_func(element)` returns, one after the other."""
        found = self.map(map_func)
        return Dataset(
            lambda: itertools.chain.from_iterable(one._make() for one in found._make()), None, self._passes
        )

    def unbatch(self, name=None):
        """The rows of the elements, one by one."""

        def rows():
            for element in self._make():
                yield from _rows(mapped(_as_array, element, _is_column))

        return Dataset(rows, None, self._passes)

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None):
        """The elements in random order, each drawn among the next `buffer_size`; another order in each iteration.

        With a `seed`, an equal data set has the same orders. They are not TensorFlow's.
        """
        size = _count("shuffle", "buffer_size", buffer_size, 1)
        passes = Passes(seed)

        def drawn():
            if not reshuffle_each_iteration:
                passes.count = 0
            random, elements = passes.begin(), self._make()
            buffer = list(itertools.islice(elements, size))
            for element in elements:
                i = int(random.integers(len(buffer)))
                yield buffer[i]
                buffer[i] = element
            yield from (buffer[i] for i in random.permutation(len(buffer)))

        return Dataset(drawn, self._length, [*self._passes, passes])

    def take(self, count, name=None):
        """The first `count` elements; all with -1."""
        count = _count("take", "count", count, -1)
        if count < 0:
            return self
        length = None if self._length is None else min(count, self._length)
        return Dataset(lambda: itertools.islice(self._make(), count), length, self._passes)

    def skip(self, count, name=None):
        """The elements after the first `count`."""
        count = _count("skip", "count", count, 0)
        length = None if self._length is None else max(self._length - count, 0)
        return Dataset(lambda: itertools.islice(self._make(), count, None), length, self._passes)

    def repeat(self, count=None, name=None):
        """The elements `count` times over; without end if it is None or -1."""
        count = None if count is None else _count("repeat", "count", count, -1)
        is_endless = count in (None, -1)

        def again():
            for _ in itertools.count() if is_endless else range(count):
                yield from self._make()

        length = self._length and (math.inf if is_endless else count * self._length)
        return Dataset(again, length, self._passes)

    def cache(self, filename="", name=None):
        """The same elements, kept in memory once they have all been read."""
        kept = []

        def read():
            before, found = self.get_state(), []
            for element in self._make():
                found.append(element)
                yield element
            kept[:] = [found]
            self.set_state(before)  # so that a training that goes on later fills its cache alike

        return Dataset(lambda: iter(kept[0]) if kept else read(), self._length, self._passes)

    def enumerate(self, start=0, name=None):
        """Pairs of a number and an element."""
        numbered = lambda: ((np.int64(i), one) for i, one in enumerate(self._make(), start))
        return Dataset(numbered, self._length, self._passes)

    def concatenate(self, dataset, name=None):
        """The elements of this one, then those of the other."""
        lengths = [self._length, dataset._length]
        length = None if None in lengths else sum(lengths)
        passes = [*self._passes, *dataset._passes]
        return Dataset(lambda: itertools.chain(self._make(), dataset._make()), length, passes)

    def prefetch(self, buffer_size=None, name=None):
        """The same: nothing is made in advance."""
        return self

    def apply(self, transformation_func):
        """`transformation_func(self)`."""
        return transformation_func(self)

    def with_options(self, options, name=None):
        """The same: options have no effect here."""
        return self

    def get_state(self):
        """How many passes over each shuffle have begun: a dict for `set_state`, as BackupAndRestore keeps it."""
        return {"passes": [one.count for one in self._passes]}

    def _check_state(self, state):
        counts = state["passes"]
        if len(counts) != len(self._passes) or not all(is_int(count, 0) for count in counts):
            raise ValueError(f"the passes over {len(self._passes)} shuffles must be counted, got {counts!r}")

    def set_state(self, state):
        """Let the next pass be that which came next when `get_state` was called."""
        for one, count in zip(self._passes, state["passes"]):
            one.count = count

    def __repr__(self):
        return f"<Dataset of {'?' if self._length is None else self._length} elements>"


def _count(method, name, value, least):
    value = value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
    value = int(value) if isinstance(value, float) and value.is_integer() else value  # such as cardinality // 5
    if not is_int(value, least):
        raise ValueError(f"Dataset.{method}: {name} must be an int of at least {least}, got {value!r}.")
    return int(value)


def _is_column(tree):
    """Whether a list is one column of numbers or texts, not several arrays."""
    return isinstance(tree, list) and not any(isinstance(one, (np.ndarray, Tensor, dict, tuple)) for one in tree)


def _as_array(value):
    if isinstance(value, (StringArray, np.ndarray)) and value.dtype.kind not in "OUS":
        return value
    if isinstance(value, Tensor):
        return value.numpy()
    return strings(value) if is_strings(value) else np.asarray(value)


def _rows(arrays):
    """The rows of a tree of arrays, each a tree of the same form."""
    for i in range(len(leaves(arrays)[0])):
        yield mapped(operator.itemgetter(i), arrays)


def _shown(element):
    """An element with tensors in place of NumPy's arrays and numbers."""
    return mapped(_as_shown, element)


def _as_shown(leaf):
    if isinstance(leaf, (Tensor, StringArray, Dataset)) or leaf is None:
        return leaf
    return strings(leaf) if is_strings(leaf) else ops.convert_to_tensor(leaf)


def _stacked(elements):
    """One element whose leaves are those of all elements, stacked."""
    first, columns = elements[0], zip(*map(leaves, elements), strict=True)
    stacked = iter([_stack([_as_array(one) for one in column]) for column in columns])
    return mapped(lambda _: next(stacked), first)


def _pad(arrays, shape, value):
    """Arrays of different lengths as one: of `shape`, whose None (or the shape None) is as long as needed."""
    longest = np.max([array.shape for array in arrays], axis=0, initial=0)
    shape = [int(n) for n in longest] if shape is None else [
        int(n) if given in (None, -1) else int(given) for given, n in zip(shape, longest, strict=True)
    ]
    rows = np.full((len(arrays), *shape), value, arrays[0].dtype)
    for i, array in enumerate(arrays):
        rows[(i, *map(slice, array.shape))] = array
    return rows


def _stack(arrays):
    if isinstance(arrays[0], StringArray):
        return strings([one.tolist() for one in arrays])
    shapes = {np.shape(one) for one in arrays}
    if len(shapes) > 1:
        raise ValueError(f"Dataset.batch can't stack elements of different shapes: {sorted(shapes)[:5]}.")
    return np.stack(arrays)
