"""Picked: the rows of arrays in some order, one by one or in batches; and the order of a shuffle.

A Dataset of slices that are only shuffled, batched, repeated, or cut is one, also if a function is mapped over its
rows. So `fit` knows the order of a whole pass, and takes the rows where they lie, as it does with arrays.
"""

import functools
import itertools
import operator

import numpy as np

from minigrad import config
from minigrad.trees import leaves, mapped
from minigrad.utils.elements import as_array, called, stacked
from minigrad.utils.rowwise import is_rowwise, rowwise

_LARGEST = 2**30  # bytes: larger arrays are not computed as a whole
_CHUNK = 1024  # rows that a function gets at once


class Passes:
    """The passes over something that is shuffled. Pass k draws from a generator of its own, so that a training that was
    killed in it can begin it again.

    Args:
        seed: of all passes; by default drawn from the global generator.
        is_same: whether each pass is like the first one.
    """

    def __init__(self, seed=None, is_same=False):
        self.seed = int(config.generator().integers(2**31)) if seed is None else int(seed)
        self.count, self.is_same = 0, is_same

    def begin(self):
        """The random generator of the next pass."""
        self.count = 1 if self.is_same else self.count + 1
        return np.random.default_rng([self.seed, self.count])


def shuffled(elements, size, random):
    """The elements in random order: each is drawn from a buffer of `size`, and the next one takes its place."""
    elements = iter(elements)
    buffer = list(itertools.islice(elements, size))
    at_last = random.permutation(len(buffer)).tolist()
    for i, element in zip(_draws(random, size), elements):
        yield buffer[i]
        buffer[i] = element
    yield from map(buffer.__getitem__, at_last)


def _draws(random, size):
    while True:
        yield from random.integers(size, size=1024).tolist()


def shuffled_array(array, size, random):
    """The same for an array as a whole, in a hundredth of the time: all draws are made at once."""
    size, count = min(size, len(array)), max(len(array) - size, 0)
    at_last, slots = random.permutation(size), np.arange(size)  # slots: which element lies there at last
    draws = random.integers(max(size, 1), size=count)
    by_slot = np.argsort(draws.astype(np.min_scalar_type(size)), kind="stable")  # fast for integers of 16 bits
    slot = draws[by_slot]
    drawn = np.empty(count, np.int64)
    drawn[by_slot] = np.where(np.diff(slot, prepend=-1), slot, size + np.roll(by_slot, 1))  # what came there before
    slots[draws] = size + np.arange(count)
    return array[np.concatenate([drawn, slots[at_last]])]


class Stored:
    """The rows of a tree of arrays: single ones, those of a batch, and all of them."""

    is_ready = True  # whether `all` computes nothing

    def __init__(self, arrays):
        self.arrays = arrays

    def __len__(self):
        return len(leaves(self.arrays)[0])

    def row(self, i):
        """Row i; as `batch`, the rows of these numbers, an array."""
        return mapped(operator.itemgetter(i), self.arrays)

    batch = row

    def all(self):
        """The arrays; None if they can't be had at once."""
        return self.arrays


class Mapped:
    """`function(row)` for each row of a source, computed anew each time it is asked for."""

    is_ready = False

    def __init__(self, source, function):
        self.source, self.function = source, function

    def __len__(self):
        return len(self.source)

    @functools.cached_property
    def of_batch(self):
        """The function of a batch; None if it must be called row by row."""
        return rowwise(self.function, self.source.row(0)) if len(self) else None

    def row(self, i):
        return called(self.function, self.source.row(i))

    def batch(self, rows):
        if self.of_batch is None:
            return stacked([self.row(i) for i in rows.tolist()])
        return self.of_batch(self.source.batch(rows))

    def all(self):
        arrays = None if self.of_batch is None else self.source.all()
        if arrays is None:
            return None
        first = self.of_batch(mapped(lambda a: a[:1], arrays))
        if _is_large(first, len(self)):
            return None
        found = mapped(lambda a: np.empty((len(self), *a.shape[1:]), a.dtype), first)
        for i in range(0, len(self), _CHUNK):
            part = self.of_batch(mapped(lambda a, i=i: a[i : i + _CHUNK], arrays))
            for target, values in zip(leaves(found), leaves(part)):
                target[i : i + _CHUNK] = values
        return found


class MappedBatches(Mapped):
    """`function(batch)` for each batch of rows of a source."""

    @functools.cached_property
    def of_batch(self):
        """The function, if it computes each row by itself; else None."""
        is_apart = len(self) and is_rowwise(self.function, self.source.batch(np.arange(min(2, len(self)))))
        return (lambda batch: mapped(as_array, called(self.function, batch))) if is_apart else None

    def batch(self, rows):
        return called(self.function, self.source.batch(rows))


class Kept:
    """The rows of a Mapped source. What is computed row by row is kept."""

    def __init__(self, source):
        self.source, self._rows, self._arrays = source, {}, None

    is_ready = property(lambda self: self._arrays is not None)

    def __len__(self):
        return len(self.source)

    def row(self, i):
        if i not in self._rows:
            self._rows[i] = mapped(as_array, self.source.row(i))
        return self._rows[i]

    def batch(self, rows):
        if self._arrays is not None:
            return Stored(self._arrays).batch(rows)
        if self.source.of_batch is not None:
            return self.source.batch(rows)
        return stacked([self.row(i) for i in rows.tolist()])

    def all(self):
        if self._arrays is None and self.source.of_batch is not None:
            self._arrays = self.source.all()
        elif self._arrays is None and len(self) and not _is_large(self.row(0), len(self)):
            self._arrays = stacked([self.row(i) for i in range(len(self))])
        return self._arrays


def _is_large(row, count):
    return sum(a.nbytes for a in leaves(row) if a is not None) * count > _LARGEST


class Picked:
    """Rows in the order of one pass after the other.

    Args:
        rows: Stored, or another object with its methods.
        orders: a function that returns an iterator over a pass: arrays of row numbers. Each is divided into batches by
            itself, so that its last batch may be smaller.
        size: the rows of a batch; None: the elements are single rows.
    """

    def __init__(self, rows, orders, size=None):
        self.rows, self.orders, self.size = rows, orders, size

    @classmethod
    def all(cls, rows):
        """All rows, one by one."""
        order = np.arange(len(rows))
        return cls(rows, lambda: iter([order]))

    def elements(self):
        """An iterator over the elements of a pass."""
        for order in self.orders():
            if self.size is None:
                yield from map(self.rows.row, order.tolist())
            else:
                yield from (self.rows.batch(order[i : i + self.size]) for i in range(0, len(order), self.size))

    def count(self, order):
        """How many elements an order has."""
        return -(-len(order) // (self.size or 1))

    # Each method returns what a Dataset's method of this name makes of it; None where that is no order of rows.

    def map(self, function):
        kind = Mapped if self.size is None else MappedBatches
        return Picked(kind(self.rows, function), self.orders, self.size)

    def cache(self):
        if isinstance(self.rows, Mapped):
            return None if self.size is not None else Picked(Kept(self.rows), self.orders)
        return self

    def shuffle(self, size, passes):
        def orders():
            random = passes.begin()
            yield shuffled_array(_joined(self.orders()), size, random)

        return None if self.size is not None else Picked(self.rows, orders)

    def batch(self, size, drop_remainder):
        def orders():
            rest = np.arange(0)
            for order in self.orders():
                order = np.concatenate([rest, order]) if len(rest) else order
                whole = len(order) // size * size
                rest = order[whole:]
                yield order[:whole]
            if not drop_remainder:
                yield rest

        return None if self.size is not None else Picked(self.rows, orders, size)

    def take(self, count):
        def orders():
            left = count
            for order in self.orders() if left else ():
                yield order[: left * (self.size or 1)]
                left -= min(left, self.count(order))
                if not left:
                    return

        return Picked(self.rows, orders, self.size)

    def skip(self, count):
        def orders():
            left = count
            for order in self.orders():
                yield order[left * (self.size or 1) :]
                left -= min(left, self.count(order))

        return Picked(self.rows, orders, self.size)

    def repeat(self, times):
        """`times` is an iterable, over which a pass goes."""

        def orders():
            for _ in times():
                yield from self.orders()

        return Picked(self.rows, orders, self.size)


def _joined(orders):
    orders = list(orders)
    return orders[0] if len(orders) == 1 else np.concatenate([np.arange(0), *orders])
