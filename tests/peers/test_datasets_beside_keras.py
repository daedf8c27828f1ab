"""keras.datasets beside the real ones: the same small files, the same arrays, to the last bit and in the same order."""

import sys

import dataset_files
import numpy as np
import pytest

from minigrad import datasets

pytestmark = pytest.mark.peers

CALLS = [
    ("mnist", {}), ("mnist", {"path": "mnist.npz"}), ("fashion_mnist", {}), ("cifar100", {}), ("cifar100", {"label_mode": "coarse"}),
    ("imdb", {}), ("imdb", {"num_words": 10}), ("imdb", {"num_words": 12, "skip_top": 5, "oov_char": None}), ("imdb", {"maxlen": 7, "seed": 5}),
    ("imdb", {"start_char": None}), ("imdb", {"start_char": None, "index_from": 0}), ("imdb", {"oov_char": 99, "index_from": 10, "skip_top": 15}),
    ("reuters", {}), ("reuters", {"num_words": 10, "test_split": 0.33}), ("reuters", {"maxlen": 5, "start_char": None}),
    ("reuters", {"start_char": None, "index_from": 0, "oov_char": None, "skip_top": 3}), ("reuters", {"maxlen": 3, "num_words": 100, "seed": 0}),
    ("boston_housing", {}), ("boston_housing", {"test_split": 0.31, "seed": 7}), ("boston_housing", {"test_split": 0}),
    ("california_housing", {}), ("california_housing", {"version": "small", "test_split": 0.5}),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, keras_of_the_file):
    """The files where both look for them; Keras takes them without their checksums, which are those of the real ones."""
    home = tmp_path_factory.mktemp("home")
    folder = dataset_files.make(home)

    def get_file(fname=None, origin=None, extract=False, cache_subdir="datasets", **kwargs):
        return str(home / cache_subdir / fname)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(home))
        for name in ("mnist", "fashion_mnist", "cifar10", "cifar100", "imdb", "reuters", "boston_housing", "california_housing"):
            patch.setattr(sys.modules[f"keras.src.datasets.{name}"], "get_file", get_file)
        yield folder


def same(ours, theirs):
    for mine, other in zip(sum(ours, ()), sum(theirs, ())):
        assert mine.dtype == other.dtype and mine.shape == other.shape
        np.testing.assert_equal(mine, other)


@pytest.mark.parametrize("name, arguments", CALLS, ids=str)
def test_the_same_arrays(name, arguments, folder, keras):
    same(getattr(datasets, name).load_data(**arguments), getattr(keras.datasets, name).load_data(**arguments))


def test_cifar10(folder, keras):
    """Keras wants all of its 10,000 images a batch."""
    path = folder / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    for i, file in enumerate(path.iterdir()):
        file.write_bytes(dataset_files.batch(10_000, [b"labels"], i))
    same(datasets.cifar10.load_data(), keras.datasets.cifar10.load_data())


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_words(name, folder, keras):
    ours, theirs = getattr(datasets, name), getattr(keras.datasets, name)
    assert ours.get_word_index() == theirs.get_word_index()
    if name == "reuters":
        assert ours.get_label_names() == theirs.get_label_names()
