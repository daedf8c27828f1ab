"""Dataset: elements made one after the other, anew each time they are asked for, as TensorFlow's `tf.data.Dataset`."""

import functools
import glob
import itertools
import math

import numpy as np

from minigrad import ops
from minigrad.checks import is_int
from minigrad.graph import dtype_name
from minigrad.texts import StringArray, decode, strings
from minigrad.trees import filled, leaves, mapped
from minigrad.utils.elements import (
    TensorSpec,
    as_array,
    as_numpy,
    called,
    for_each,
    free,
    in_dtype,
    is_column,
    is_shape,
    pad,
    shown,
    spec_of,
    stacked,
)  # fmt: skip
from minigrad.utils.picking import Passes, Picked, Stored, shuffled

AUTOTUNE = -1  # how many threads or elements the data set may use: a number that has no effect here
_CYCLE = 4  # from how many data sets `interleave` takes turns, where it may choose
_END = object()


class Dataset:
    """A lazy sequence of elements: tensors, arrays of texts, or tuples, lists and dicts of such.

    It may be iterated over many times. `fit`, `evaluate` and `predict` take one whose elements are batches. Each method
    returns a new Dataset and reads nothing yet.

    Args:
        make: a function that returns a new iterator over the elements, whose leaves are arrays.
        length: the number of elements; math.inf if they never end, None if nobody knows.
        passes: the Passes of what is shuffled in it.
        spec: a function that returns `element_spec`; by default, the first element tells.
        picked: what it is, if it is Picked, which makes the elements then.

    >>> data = Dataset.from_tensor_slices((x, y)).shuffle(1000).batch(32)
    >>> model.fit(data, epochs=3)
    """

    def __init__(self, make, length=None, passes=(), spec=None, picked=None):
        self._make = make if picked is None else picked.elements
        self._length, self._passes, self._spec, self.picked = length, passes, spec, picked

    def _then(self, make, length, picked=None, passes=(), spec=None):
        """A Dataset made of this one, by default of elements of the same kind."""
        spec = spec or (lambda: self.element_spec)
        return Dataset(make, length, [*self._passes, *passes], spec, picked)

    # ------------------------------------------------------------------------------------------------ beginnings

    @staticmethod
    def from_tensor_slices(tensors, name=None):
        """The rows of an array, or of a tuple or dict of arrays that have equally many rows."""
        arrays = mapped(as_array, tensors, is_column)
        lengths = {len(array) for array in leaves(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"from_tensor_slices expects arrays with equally many rows, got {sorted(lengths)}.")
        spec = lambda: mapped(lambda array: spec_of(array, 1), arrays)
        return Dataset(None, lengths.pop(), spec=spec, picked=Picked.all(Stored(arrays)))

    @staticmethod
    def from_tensors(tensors, name=None):
        """One element, the arrays as they are."""
        return Dataset(lambda: iter([mapped(as_array, tensors, is_column)]), 1)

    @staticmethod
    def from_generator(generator, output_types=None, output_shapes=None, args=None, output_signature=None, name=None):
        """What `generator(*args)`, a function, yields, in the dtypes of output_types or of a tree of TensorSpecs."""
        given = output_types if output_signature is None else output_signature
        dtypes = [] if given is None else [dtype_name(getattr(one, "dtype", one)) for one in leaves(given)]

        def typed(element):
            element = mapped(as_array, element, is_column)
            if not dtypes:
                return element
            return filled(element, [in_dtype(leaf, kind) for leaf, kind in zip(leaves(element), dtypes, strict=True)])

        spec = None if output_signature is None else lambda: output_signature
        return Dataset(lambda: map(typed, generator(*(args or ()))), spec=spec)

    @staticmethod
    def range(*args, output_type="int64", name=None):
        """The integers of Python's `range(*args)`."""
        return Dataset.from_tensor_slices(np.arange(*map(int, args)).astype(dtype_name(output_type)))

    @staticmethod
    def counter(start=0, step=1, dtype="int64", name=None):
        """The integers start, start + step, ... without end."""
        kind = np.dtype(dtype_name(dtype)).type
        return Dataset(lambda: map(kind, itertools.count(start, step)), math.inf, spec=lambda: TensorSpec((), kind))

    @staticmethod
    def random(seed=None, rerandomize_each_iteration=None, name=None):
        """Random integers from 0 to 2^32 - 1 without end, such as the seeds of `tf.image.stateless_random_crop`."""
        passes = Passes(seed, is_same=not rerandomize_each_iteration)

        def drawn():
            random = passes.begin()
            while True:
                yield random.integers(2**32)

        return Dataset(drawn, math.inf, [passes], lambda: TensorSpec((), "int64"))

    @staticmethod
    def zip(*args, datasets=None, name=None):
        """Tuples (or other trees) of the elements of several data sets, as long as the shortest of them."""
        tree = datasets if datasets is not None else args[0] if len(args) == 1 else args
        parts = leaves(tree)
        lengths, passes = [one._length for one in parts], _passes_of(parts)

        def zipped():
            for elements in zip(*(one._make() for one in parts)):
                yield filled(tree, elements)

        spec = lambda: mapped(lambda one: one.element_spec, tree)
        return Dataset(zipped, None if None in lengths else min(lengths), passes, spec)

    @staticmethod
    def list_files(file_pattern, shuffle=None, seed=None, name=None):
        """The names of the files that fit a pattern (or one of several) such as "pictures/*/*.png", sorted or shuffled.

        Raises:
            ValueError: there is none.
        """
        is_path = hasattr(file_pattern, "__fspath__")
        patterns = [str(file_pattern)] if is_path else list(map(decode, strings(file_pattern).ravel().tolist()))
        names = [name for pattern in patterns for name in sorted(glob.glob(pattern))]
        if not names:
            raise ValueError(f"Dataset.list_files: there is no file {' or '.join(patterns)}.")
        data = Dataset.from_tensor_slices(strings(names))
        return data if shuffle is False else data.shuffle(len(names), seed)

    @staticmethod
    def sample_from_datasets(
        datasets, weights=None, seed=None, stop_on_empty_dataset=False, rerandomize_each_iteration=False
    ):
        """The elements of several data sets: each is the next of one drawn at random, with probabilities `weights`."""
        passes = Passes(seed, is_same=not rerandomize_each_iteration)

        def drawn():
            random, parts = passes.begin(), [one._make() for one in datasets]
            shares = np.ones(len(parts)) if weights is None else np.array(weights, np.float64)
            while shares.any():
                i = random.choice(len(parts), p=shares / shares.sum())
                element = next(parts[i], _END)
                if element is not _END:
                    yield element
                elif stop_on_empty_dataset:
                    return
                else:
                    shares[i] = 0

        return Dataset(drawn, None, [*_passes_of(datasets), passes], lambda: datasets[0].element_spec)

    @staticmethod
    def choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset=True):
        """The elements of several data sets: each is the next of the one whose number `choice_dataset` has next.

        Raises:
            ValueError: a number is that of no data set.
        """

        def chosen():
            parts = [one._make() for one in datasets]
            for number in map(int, choice_dataset):
                if not 0 <= number < len(parts):
                    raise ValueError(f"choose_from_datasets: {number} is the number of none of {len(parts)} data sets.")
                element = next(parts[number], _END)
                if element is not _END:
                    yield element
                elif stop_on_empty_dataset:
                    return

        passes = _passes_of([*datasets, choice_dataset])
        return Dataset(chosen, None, passes, lambda: datasets[0].element_spec)

    # ------------------------------------------------------------------------------------------------ what it is

    def __iter__(self):
        return map(shown, self._make())

    def __len__(self):
        if not is_int(self._length):
            raise TypeError(f"The length of this Dataset is {'infinite' if self._length else 'unknown'}.")
        return self._length

    def __bool__(self):
        return True

    def cardinality(self):
        """The number of elements, as a tensor: -1 if they never end, -2 if nobody knows."""
        known = {None: -2, math.inf: -1}.get(self._length, self._length)
        return ops.convert_to_tensor(np.int64(known))

    @functools.cached_property
    def element_spec(self):
        """An element with a TensorSpec in place of each tensor. If nothing else tells, it is made of the first one."""
        return mapped(spec_of, self.first()) if self._spec is None else self._spec()

    def first(self):
        """The first element, as arrays. This changes no shuffle."""
        before, element = self.get_state(), next(self._make(), _END)
        self.set_state(before)
        if element is _END:
            raise ValueError("This Dataset is empty.")
        return element

    def as_numpy_iterator(self):
        """An iterator over the elements, with NumPy's arrays instead of tensors."""
        return (mapped(as_numpy, element) for element in self._make())

    def get_single_element(self, name=None):
        """The only element."""
        (element,) = self
        return element

    def reduce(self, initial_state, reduce_func, name=None):
        """The state after `state = reduce_func(state, element)` for each element."""
        return functools.reduce(reduce_func, self, shown(mapped(as_array, initial_state)))

    # ----------------------------------------------------------------------------------------- other elements

    def map(self, map_func, num_parallel_calls=None, deterministic=None, name=None, **options):
        """`map_func(element)` of each element; a tuple's parts are given as several arguments."""
        call = functools.partial(called, map_func)
        picked = self.picked and self.picked.map(map_func)
        return self._then(lambda: map(call, self._make()), self._length, picked, spec=lambda: self._spec_behind(call))

    def _spec_behind(self, call):
        """The element_spec of `call(element)`: axes as long as an axis of unknown length of the element are so, too."""
        element = self.first()
        pairs = list(zip(leaves(element), leaves(self.element_spec), strict=True))
        lengths = {a.shape[0] for a, spec in pairs if getattr(spec, "shape", None) and spec.shape[0] is None}

        def spec_behind(leaf):
            spec = spec_of(leaf)
            is_free = getattr(spec, "shape", None) and spec.shape[0] in lengths
            return TensorSpec((None, *spec.shape[1:]), spec.dtype) if is_free else spec

        return mapped(spec_behind, call(element))

    def filter(self, predicate, name=None):
        """The elements for which `predicate` is true. It is called as the function of `map` is."""
        return self._then(lambda: filter(functools.partial(called, predicate), self._make()), None)

    def take_while(self, predicate, name=None):
        """The elements before the first one for which `predicate` is false."""
        return self._then(lambda: itertools.takewhile(functools.partial(called, predicate), self._make()), None)

    def scan(self, initial_state, scan_func, name=None):
        """The outputs of `state, output = scan_func(state, element)` for each element."""

        def outputs():
            state = shown(mapped(as_array, initial_state))
            for element in self:
                state, output = scan_func(state, element)
                yield output

        return self._then(outputs, self._length, spec=lambda: mapped(spec_of, next(outputs())))

    def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None, name=None):
        """`batch_size` elements stacked into one; the last batch may be smaller, or is dropped with drop_remainder."""
        size = _count("batch", "batch_size", batch_size, 1)
        return self._batched(size, drop_remainder, stacked, self.picked and self.picked.batch(size, drop_remainder))

    def padded_batch(self, batch_size, padded_shapes=None, padding_values=None, drop_remainder=False, name=None):
        """`batch` of elements whose axes may differ in length: 0 (or `padding_values`) fills them up.

        Args:
            padded_shapes: the shape of an element, or a tuple or dict of those of its parts; None is as long as needed.
            padding_values: a number, or a tuple or dict of them.
        """

        def padded(group):
            columns = zip(*map(leaves, group), strict=True)
            shapes = for_each(padded_shapes, group[0], is_shape)
            values = for_each(padding_values, group[0])
            return filled(group[0], [
                pad(list(map(as_array, column)), shape, value)
                for column, shape, value in zip(columns, shapes, values, strict=True)
            ])

        return self._batched(_count("padded_batch", "batch_size", batch_size, 1), drop_remainder, padded, None)

    def _batched(self, size, drop_remainder, joined, picked):
        """A Dataset of `joined(list of size elements)`."""

        def batches():
            elements = self._make()
            while group := list(itertools.islice(elements, size)):
                if len(group) == size or not drop_remainder:
                    yield joined(group)

        def spec():
            rows = size if drop_remainder else None
            return mapped(lambda one: TensorSpec((rows, *one.shape), one.dtype), self.element_spec)

        length = self._length
        if is_int(length):
            length = length // size if drop_remainder else -(-length // size)
        return self._then(batches, length, picked, spec=spec if joined is stacked else lambda: free(spec()))

    def unbatch(self, name=None):
        """The rows of the elements, one by one."""

        def rows():
            for element in self._make():
                stored = Stored(mapped(as_array, element, is_column))
                yield from map(stored.row, range(len(stored)))

        spec = lambda: mapped(lambda one: TensorSpec(one.shape[1:], one.dtype), self.element_spec)
        return self._then(rows, None, spec=spec)

    def rebatch(self, batch_size, drop_remainder=False, name=None):
        """The rows of the elements in batches of another size."""
        return self.unbatch().batch(batch_size, drop_remainder)

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
                    yield mapped(Dataset.from_tensor_slices, stacked(chosen))
                for _ in range(shift - len(ahead)):  # between two windows
                    next(elements, None)
                ahead = ahead[shift:]

        return self._then(windows, None, spec=lambda: mapped(lambda _: Dataset, self.element_spec))

    def group_by_window(self, key_func, reduce_func, window_size=None, window_size_func=None, name=None):
        """The elements of `reduce_func(key, window)`, a data set, for windows of elements with the same key.

        A window ends with `window_size` (or `window_size_func(key)`) elements; the rest comes at the end, by its keys.
        """
        size_of = window_size_func or (lambda key: window_size)

        def reduced(key, window):
            data = Dataset(lambda: iter(window), len(window), spec=lambda: self.element_spec)
            return reduce_func(ops.convert_to_tensor(np.int64(key)), data)._make()

        def grouped():
            windows = {}
            for element in self._make():
                key = int(called(key_func, element))
                windows.setdefault(key, []).append(element)
                if len(windows[key]) == _count("group_by_window", "window_size", size_of(key), 1):
                    yield from reduced(key, windows.pop(key))
            for key in sorted(windows):
                yield from reduced(key, windows[key])

        spec = lambda: reduce_func(ops.convert_to_tensor(np.int64(0)), self.take(1)).element_spec
        return self._then(grouped, None, spec=spec)

    def bucket_by_sequence_length(
        self, element_length_func, bucket_boundaries, bucket_batch_sizes, padded_shapes=None, padding_values=None,
        pad_to_bucket_boundary=False, no_padding=False, drop_remainder=False, name=None,
    ):  # fmt: skip
        """Padded batches of elements of similar length: with boundaries [a, b], below a, from a to b - 1, from b on.

        Args:
            element_length_func: returns the length of an element.
            bucket_batch_sizes: the batch size of each bucket, one more than there are boundaries.
            padded_shapes, padding_values: as for `padded_batch`.
            pad_to_bucket_boundary: pad axes of unknown length to the boundary less one, not to the longest of the
                batch; if no length is unknown, the first axes that are as long as `element_length_func` says.
            no_padding: whether the elements of a batch have equal shapes already.

        Raises:
            ValueError: there are not as many sizes; with pad_to_bucket_boundary, an element exceeds all boundaries.
        """
        bounds, sizes = list(map(int, bucket_boundaries)), list(map(int, bucket_batch_sizes))
        if len(sizes) != len(bounds) + 1:
            raise ValueError(
                f"bucket_by_sequence_length: {len(bounds)} bucket_boundaries need {len(bounds) + 1} "
                f"bucket_batch_sizes, got {len(sizes)}."
            )

        def bucket(*element):
            return np.searchsorted(bounds, int(element_length_func(*element)), side="right")

        def batch(key, window):
            key = int(key)
            if no_padding:
                return window.batch(sizes[key], drop_remainder)
            shapes = padded_shapes
            if pad_to_bucket_boundary:
                if key == len(bounds):
                    raise ValueError(f"bucket_by_sequence_length: an element exceeds the last boundary, {bounds[-1]}.")
                tree, length = self.element_spec, None
                if not any(None in one.shape for one in leaves(tree)):
                    tree = mapped(as_array, window.first(), is_column)
                    length = int(called(element_length_func, tree))
                shapes = mapped(lambda one: _bounded(one.shape, length, bounds[key] - 1), tree)
            return window.padded_batch(sizes[key], shapes, padding_values, drop_remainder)

        return self.group_by_window(bucket, batch, window_size_func=sizes.__getitem__)

    def flat_map(self, map_func, name=None):
        """The elements of the data sets that `map_func(element)` returns, one after the other."""
        return self.interleave(map_func, cycle_length=1)

    def interleave(
        self, map_func, cycle_length=None, block_length=1, num_parallel_calls=None, deterministic=None, name=None
    ):
        """The elements of the data sets that `map_func(element)` returns: `block_length` of each in turn.

        Args:
            cycle_length: among how many data sets the turns go. When one ends, the next one takes its place.
        """
        cycle = _CYCLE if cycle_length in (None, AUTOTUNE) else _count("interleave", "cycle_length", cycle_length, 1)
        found = self.map(map_func)

        def in_turn():
            inputs, parts = found._make(), [None] * cycle
            for i in itertools.cycle(range(cycle)):
                if parts[i] is None:
                    one = next(inputs, None)
                    if one is None and parts.count(None) == cycle:
                        return
                    parts[i] = one if one is None else one._make()
                for _ in range(block_length if parts[i] is not None else 0):
                    element = next(parts[i], _END)
                    if element is _END:
                        parts[i] = None
                        break
                    yield element

        return self._then(in_turn, None, spec=lambda: called(map_func, self.first()).element_spec)

    def enumerate(self, start=0, name=None):
        """Pairs of a number and an element."""
        numbered = lambda: ((np.int64(i), one) for i, one in enumerate(self._make(), start))
        return self._then(numbered, self._length, spec=lambda: (TensorSpec((), "int64"), self.element_spec))

    # ------------------------------------------------------------------------- the same elements, or some of them

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None):
        """The elements in random order, each drawn among the next `buffer_size`; another order in each iteration.

        With a `seed`, an equal data set has the same orders. They are not TensorFlow's.
        """
        size = _count("shuffle", "buffer_size", buffer_size, 1)
        passes = Passes(seed, is_same=reshuffle_each_iteration is False)
        picked = self.picked and is_int(self._length) and self.picked.shuffle(size, passes)
        return self._then(
            lambda: shuffled(self._make(), size, passes.begin()), self._length, picked or None, [passes]
        )

    def take(self, count, name=None):
        """The first `count` elements; all with -1."""
        count = _count("take", "count", count, -1)
        if count < 0:
            return self
        length = None if self._length is None else min(count, self._length)
        picked = self.picked and self.picked.take(count)
        return self._then(lambda: itertools.islice(self._make(), count), length, picked)

    def skip(self, count, name=None):
        """The elements after the first `count`; none with -1."""
        count = _count("skip", "count", count, -1)
        if count < 0:
            return self.take(0)
        length = None if self._length is None else max(self._length - count, 0)
        picked = self.picked and self.picked.skip(count)
        return self._then(lambda: itertools.islice(self._make(), count, None), length, picked)

    def shard(self, num_shards, index, name=None):
        """Every element whose number divided by `num_shards` leaves the remainder `index`."""
        length = self._length
        length = -(-max(length - index, 0) // num_shards) if is_int(length) else length
        return self._then(lambda: itertools.islice(self._make(), index, None, num_shards), length)

    def repeat(self, count=None, name=None):
        """The elements `count` times over; without end if it is None or -1."""
        count = None if count is None else _count("repeat", "count", count, -1)
        is_endless = count in (None, -1)
        times = itertools.count if is_endless else lambda: range(count)

        def again():
            for _ in times():
                yield from self._make()

        length = self._length and (math.inf if is_endless else count * self._length)
        return self._then(again, length, self.picked.repeat(times) if self.picked and self._length else None)

    def unique(self, name=None):
        """Each element where it comes for the first time."""

        def first_ones():
            seen = set()
            for element in self._make():
                key = repr(element) if isinstance(element, StringArray) else np.asarray(element).tobytes()
                if key not in seen:
                    seen.add(key)
                    yield element

        return self._then(first_ones, None)

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

        picked = self.picked.cache() if self.picked and not self._passes else None
        return self._then(lambda: iter(kept[0]) if kept else read(), self._length, picked)

    def concatenate(self, dataset, name=None):
        """The elements of this one, then those of the other."""
        lengths = [self._length, dataset._length]
        both = lambda: itertools.chain(self._make(), dataset._make())
        return self._then(both, None if None in lengths else sum(lengths), passes=dataset._passes)

    def prefetch(self, buffer_size=None, name=None):
        """The same: nothing is made in advance."""
        return self

    def with_options(self, options, name=None):
        """The same: options have no effect here."""
        return self

    def ignore_errors(self, log_warning=False, name=None):
        """The same: an error in an element is an error."""
        return self

    def apply(self, transformation_func):
        """`transformation_func(self)`."""
        return transformation_func(self)

    # ------------------------------------------------------------------------------------------------ its state

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


def _passes_of(parts):
    """The Passes of several data sets."""
    return [one for part in parts for one in part._passes]


def _bounded(shape, length, size):
    """The shape with `size` in place of unknown lengths, and of a first one that is `length`."""
    return [size if n is None or i == 0 and n == length else n for i, n in enumerate(shape)]


def _count(method, name, value, least):
    value = value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
    value = int(value) if isinstance(value, float) and value.is_integer() else value  # such as cardinality // 5
    if not is_int(value, least):
        raise ValueError(f"Dataset.{method}: {name} must be an int of at least {least}, got {value!r}.")
    return int(value)
