"""Arrays in HDF5 files: written as Keras writes them, read with suspicion. It knows nothing of models."""

import functools
import io
import itertools
import math
import os
import zlib

import numpy as np

from minigrad.layers.module import building
from minigrad.names import _counting
from minigrad.parallel import threads
from minigrad.program.compiling import compiling
from minigrad.saving import indexes

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DEFLATE = 1
_FILTERS = [2, _DEFLATE, 3]  # shuffle, DEFLATE, checksum, in the order of writing; others would load libraries
_SLACK = 4  # a compressed array may be so many times as long as the whole file


def is_file(path):
    """Whether `path` is a file that begins as HDF5 files do."""
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@functools.cache
def _library():
    """h5py, imported late: the import takes 60 ms, and only saving and loading need it.

    Before a fork, h5py takes its lock; of all functions registered for that moment, the last one is called first. A
    thread that holds one of minigrad's locks may need h5py's, since Python may free an object of h5py at any moment. So
    minigrad's locks must be taken before h5py's, and are registered after it. Their order is the one in which threads
    take them: a thread that builds a layer computes, compiles, and asks for names.
    """
    import h5py

    for lock in (_counting, compiling):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    threads.register_at_fork()
    os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)
    return h5py


def build(groups):
    """The bytes of an HDF5 file.

    Args:
        groups: {path of a group: (attributes, {name of a dataset: array})}.
    """
    h5py = _library()

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for path, (attributes, arrays) in groups.items():
            group = file.require_group(path)
            for name, value in attributes.items():
                group.attrs[name] = value
            for name, array in arrays.items():
                group.create_dataset(name, data=array)
    return memory.getvalue()


class Tree:
    """The datasets of an HDF5 file that is open as binary. `with Tree(file) as tree` closes h5py's objects at the end.

    The indexes are checked before the HDF5 library sees the file, because damaged ones make it crash or loop (see
    `indexes`). Only groups and datasets that lie in the file itself and are reached by hard links are read: no soft or
    external links, no external storage, no virtual datasets, no filters from other libraries. An array is read only
    after its shape, its type and the place of its bytes fit what is expected and the file's length.
    """

    def __init__(self, file):
        h5py = _library()
        indexes.check(file)
        self._h5 = h5py
        self._length = file.seek(0, os.SEEK_END)
        self._file = h5py.File(file, "r")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def _find(self, path):
        here = self._file
        for name in filter(None, path.split("/")):
            if not isinstance(here, self._h5.Group):
                return None
            label = name.encode()
            if not here.id.links.exists(label):
                return None
            if here.id.links.get_info(label).type != self._h5.h5l.TYPE_HARD:
                raise ValueError(f"{path!r} is a soft or external link, which is not followed")
            here = here[name]
        return here

    def has(self, path):
        """Whether there is something under `path`."""
        return self._find(path) is not None

    def count(self, path):
        """How many datasets of names "0", "1", ... there are in a group."""
        group, n = self._find(path), 0
        while isinstance(group, self._h5.Group) and group.id.links.exists(str(n).encode()):
            n += 1
        return n

    def names(self, path):
        """The names in a group; an empty list if there is no such group."""
        group = self._find(path)
        return list(group) if isinstance(group, self._h5.Group) else []

    def strings(self, path, name):
        """The strings in the attribute `name` of a group, or in its attributes name0, name1, ...; None without these.

        A long list is split into several attributes, because HDF5 limits each to 64 kB.
        """
        group, h5a = self._find(path), self._h5.h5a
        if group is None:
            return None
        has = lambda one: h5a.exists(group.id, one.encode())
        names = [name] if has(name) else list(itertools.takewhile(has, (f"{name}{n}" for n in itertools.count())))
        return [text for one in names for text in self._strings(group, one)] if names else None

    def _strings(self, group, name):
        attribute = self._h5.h5a.open(group.id, name.encode())
        count, kind = attribute.get_space().get_simple_extent_npoints(), attribute.get_type()
        if not count:
            return []
        if not isinstance(kind, self._h5.h5t.TypeStringID):
            raise ValueError(f"its attribute {name!r} holds no strings")
        if count * kind.get_size() > self._length:
            raise ValueError(f"its attribute {name!r} claims more than the file holds")
        values = np.ravel(np.asarray(group.attrs[name], dtype=object))
        return [value.decode() if isinstance(value, bytes) else str(value) for value in values]

    def array(self, path, shape=None):
        """The array under `path`, which must have this shape (any shape if None)."""
        dataset = self._find(path)
        if not isinstance(dataset, self._h5.Dataset):
            raise ValueError(f"{path!r} is no dataset")
        if shape is not None and dataset.shape != tuple(shape):
            raise ValueError(f"{path!r} has shape {dataset.shape}, expected {tuple(shape)}")
        self._check(path, dataset)
        return np.asarray(dataset[()])

    def _check(self, path, dataset):
        """Raise a ValueError unless all values lie in this file."""
        if dataset.shape is None or dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
            raise ValueError(f"{path!r} holds no array of numbers but {dataset.dtype}")
        plan, h5d = dataset.id.get_create_plist(), self._h5.h5d
        layout, size = plan.get_layout(), math.prod(dataset.shape) * dataset.dtype.itemsize
        if plan.get_external_count() or layout not in (h5d.CONTIGUOUS, h5d.COMPACT, h5d.CHUNKED):
            raise ValueError(f"{path!r} is kept in other files or put together from others, which is not followed")
        if layout == h5d.CHUNKED:
            filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
            if filters != [one for one in _FILTERS if one in filters]:
                raise ValueError(f"{path!r} passes through filters {filters}, known are {_FILTERS}, each once at most")
            piece = math.prod(plan.get_chunk()) * dataset.dtype.itemsize
            is_right = max(size, piece) <= _SLACK * self._length and (dataset.id.get_storage_size() or not size)
            is_right = is_right and self._inflates(dataset.id, plan.get_chunk(), filters, piece)
        elif layout == h5d.CONTIGUOUS:
            start = dataset.id.get_offset()
            is_right = not size or (
                start is not None
                and dataset.id.get_storage_size() == size
                and start + size <= self._length
            )
        else:
            is_right = dataset.id.get_storage_size() == size
        if not is_right:
            raise ValueError(f"{path!r} claims {size:,} bytes, which are not in this file of {self._length:,}")

    def _inflates(self, stored, chunk, filters, piece):
        """Whether each piece of an array lies in the file and inflates to at most `piece` bytes, as it should."""
        for place in itertools.product(*map(range, itertools.repeat(0), stored.shape, chunk)):
            found = stored.get_chunk_info_by_coord(place)
            if not found.size:
                continue
            if found.byte_offset + found.size > self._length:
                return False
            left_out, data = stored.read_direct_chunk(place)
            is_deflated = _DEFLATE in filters and not left_out >> filters.index(_DEFLATE) & 1
            if is_deflated and len(zlib.decompressobj().decompress(data, piece + 1)) > piece:
                return False
        return True
