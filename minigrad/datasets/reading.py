"""Finds and reads the data files that Keras has downloaded. Nothing is downloaded here, and no code in them is run."""

import gzip
import hashlib
import io
import math
import os
import zipfile
from urllib.parse import urlsplit

import numpy as np

from minigrad.datasets import pickles
from minigrad.saving import files

MOST = 1 << 28  # bytes of a file, or of a part of it once unpacked; the largest real one has 154 million
_MOST_PICKLED = 1 << 26  # bytes of a pickle in an .npz: Python objects take ten times as many
_IDX = {1: 0x801, 3: 0x803}  # axes of an array of bytes: the number with which its file begins


def _home():
    return os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))


def get_file(
    fname=None, origin=None, untar=False, md5_hash=None, file_hash=None, cache_subdir="datasets",
    hash_algorithm="auto", extract=False, archive_format="auto", cache_dir=None, force_download=False,
):
    """The path of a file that Keras has downloaded from `origin` before: ~/.keras/datasets/`fname`.

    With `extract` or `untar`, it is the path of the folder to which Keras has unpacked the file. minigrad itself
    downloads and unpacks nothing.

    Raises:
        FileNotFoundError: the file or folder is not there.
        ValueError: neither `fname` nor an `origin` that ends in a name; the MD5 or SHA-256 sum is another one.
    """
    name = os.fspath(fname) if fname else os.path.basename(urlsplit(origin or "").path)
    if not name:
        raise ValueError(f"get_file needs fname, or an origin that ends in a name; got origin={origin!r}.")
    if (extract or untar) and fname and "." in name:
        name = f"{name.partition('.')[0]}_extracted"
    path = os.path.join(os.path.expanduser(cache_dir or _home()), cache_subdir, name)
    if not os.path.exists(path):
        what = "unpacked, what is in" if extract or untar else "the file"
        raise FileNotFoundError(f"There is no {path!r}: minigrad downloads nothing, so put there {what} {origin}.")
    wanted = file_hash or md5_hash
    if wanted and os.path.isfile(path):
        with open(path, "rb") as file:
            found = hashlib.new("md5" if len(wanted) == 32 else "sha256", file.read()).hexdigest()
        if found != wanted:
            raise ValueError(f"{path} is not the file that was meant: its checksum is {found}, expected {wanted}.")
    return path


def find(name, path):
    """The path of a data set: `path` if it is given, else `name` in Keras' folder, or where Keras unpacks it there.

    A relative `path` is looked for in Keras' folder, then in the working directory.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    folder = os.path.join(_home(), "datasets")
    wanted = os.path.expanduser(os.fspath(path)) if path else name
    elsewhere = wanted if path else os.path.join(folder, f"{name}-target", name)
    for place in (os.path.join(folder, wanted), elsewhere):
        if os.path.exists(place):
            return place
    missing = os.path.join(folder, wanted)
    raise FileNotFoundError(
        f"There is no {missing!r}: minigrad downloads no data, so put {os.path.basename(wanted)} there, as Keras does "
        f"when it loads this data set once, or give load_data its path."
    )


def contents(path):
    """All bytes of a file; a ValueError if there are more than MOST."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("it is no file")
    if os.path.getsize(path) > MOST:
        raise ValueError(f"it has more than {MOST:,} bytes")
    with open(path, "rb") as file:
        return file.read()


def npz(path, *names):
    """The arrays with these names in an .npz file."""
    with files.naming(path), zipfile.ZipFile(io.BytesIO(contents(path))) as file:
        archive = files.Archive(file)
        return [_npy(archive.read(f"{name}.npy", MOST)) for name in names]


def _npy(data):
    """The array in the bytes of an .npy file. An array of objects is a pickle, which is read as plain values."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read_header(file)
    size = len(data) - file.tell()
    if dtype.hasobject:
        if size > _MOST_PICKLED:
            raise ValueError(f"objects in it take more than {_MOST_PICKLED:,} bytes")
        array = pickles.loads(file.read())
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds no array")
        return array
    if size != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} and dtype {dtype} in it has {size:,} bytes")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if is_fortran else "C").copy()


def idx(path, axes):
    """The uint8 array with so many axes in a gzipped IDX file, which holds a magic number, the lengths, the bytes."""
    with files.naming(path):
        with gzip.GzipFile(fileobj=io.BytesIO(contents(path))) as file:
            header = np.frombuffer(file.read(4 * (1 + axes)), ">u4").tolist()
            shape = header[1:]
            if header[:1] != [_IDX[axes]] or math.prod(shape) > MOST:
                raise ValueError(f"it is no IDX file of bytes with {axes} axes, or a very long one")
            data = file.read(math.prod(shape) + 1)
        if len(data) != math.prod(shape):
            raise ValueError(f"it tells the shape {tuple(shape)} and holds other than {math.prod(shape):,} bytes")
        return np.frombuffer(data, np.uint8).reshape(shape).copy()


def word_index(path):
    """The dict from words to their ranks in a JSON file."""
    with files.naming(path):
        found = files.parse(contents(path).decode())
        if not all(type(rank) is int for rank in found.values()):
            raise ValueError("words have ranks, which are whole numbers")
        return found


def cifar(path, labels):
    """The images (n, 32, 32, 3) in a batch file of CIFAR, and the list of labels that it holds under `labels`."""
    with files.naming(path):
        batch = pickles.loads(contents(path))
        images, numbers = batch["data"], batch[labels]
        if images.dtype != np.uint8 or images.shape != (len(numbers), 3 * 32 * 32):
            raise ValueError(f"it holds {images.dtype} of shape {images.shape} beside {len(numbers)} labels")
        return images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), numbers
