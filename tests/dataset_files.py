"""Small files of the form that Keras' data sets have, for test_datasets.py and its sibling among the peers."""

import gzip
import json
import pickle
import struct

import numpy as np

WORDS = {"the": 1, "and": 2, "film": 3}


def texts(count, seed):
    """An array of lists, as imdb.npz and reuters.npz have them."""
    rng = np.random.default_rng(seed)
    found = np.empty(count, object)
    for i in range(count):
        found[i] = rng.integers(1, 40, rng.integers(1, 12)).tolist()
    return found


def idx(array):
    header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def batch(count, labels, seed, classes=10):
    """A batch of CIFAR's: a pickle of Python 2, that is with keys and pixels of type bytes (str)."""
    rng = np.random.default_rng(seed)
    found = {b"data": rng.integers(0, 256, (count, 3072), "uint8")}
    found |= {name: rng.integers(0, classes, count).tolist() for name in labels}
    return pickle.dumps(found, 3)


def make(home, cifar10=4):
    """Write all of them below `home`, which is to be KERAS_HOME; a batch of CIFAR-10 with so many images."""
    folder = home / "datasets"
    rng = np.random.default_rng(1)
    for name in ("fashion-mnist", "cifar-10-batches-py-target/cifar-10-batches-py", "cifar-100-python-target/cifar-100-python"):
        (folder / name).mkdir(parents=True)
    images = rng.integers(0, 256, (9, 28, 28), "uint8"), rng.integers(0, 256, (5, 28, 28), "uint8")
    labels = rng.integers(0, 10, 9).astype("uint8"), rng.integers(0, 10, 5).astype("uint8")
    np.savez_compressed(folder / "mnist.npz", x_train=images[0], y_train=labels[0], x_test=images[1], y_test=labels[1])
    for part, x, y in zip(("train", "t10k"), images, labels):
        (folder / "fashion-mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(x))
        (folder / "fashion-mnist" / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(y))
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        path = folder / "cifar-10-batches-py-target" / "cifar-10-batches-py" / name
        path.write_bytes(batch(cifar10, [b"labels"], i))
    for i, name in enumerate(["train", "test"]):
        path = folder / "cifar-100-python-target" / "cifar-100-python" / name
        path.write_bytes(batch(6, [b"fine_labels", b"coarse_labels"], i, 20))
    y = rng.integers(0, 2, 60)
    np.savez(folder / "imdb.npz", x_train=texts(40, 1), y_train=y[:40], x_test=texts(20, 2), y_test=y[40:], allow_pickle=True)
    np.savez(folder / "reuters.npz", x=texts(50, 3), y=rng.integers(0, 46, 50), allow_pickle=True)
    np.savez(folder / "boston_housing.npz", x=rng.normal(size=(23, 13)), y=rng.normal(size=23))
    np.savez(folder / "california_housing.npz", x=rng.normal(size=(700, 8)).astype("float32"), y=rng.normal(size=700))
    for name in ("imdb", "reuters"):
        (folder / f"{name}_word_index.json").write_text(json.dumps(WORDS))
    return folder
