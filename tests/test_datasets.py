"""keras.datasets: what is read from the files that Keras keeps, and what is refused. Nothing is downloaded.

tests/peers/test_datasets_beside_keras.py compares the arrays with those of the real Keras.
"""

import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import dataset_files
import numpy as np
import pytest

import minigrad as keras
from minigrad import datasets
from minigrad.datasets import pickles

NAMES = ("boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return dataset_files.make(tmp_path)


def test_images(folder):
    kept = np.load(folder / "mnist.npz")
    (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
    for name, array in {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}.items():
        assert array.dtype == np.uint8 and array.flags.writeable and np.array_equal(array, kept[name])
    for mine, other in zip((x_train, y_train, x_test, y_test), sum(datasets.fashion_mnist.load_data(), ())):
        assert other.dtype == np.uint8 and np.array_equal(mine, other)  # the same in another format


def test_photographs(folder):
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    first = pickle.loads((folder / "cifar-10-batches-py-target/cifar-10-batches-py/data_batch_1").read_bytes())
    assert x_train.shape == (20, 32, 32, 3) and y_train.shape == (20, 1) and x_test.shape == (4, 32, 32, 3)
    assert x_train.dtype == y_train.dtype == x_test.dtype == y_test.dtype == np.uint8
    assert x_train[1, 2, 3].tolist() == [first[b"data"][1, c * 1024 + 2 * 32 + 3] for c in range(3)]
    assert y_train[:4, 0].tolist() == first[b"labels"]
    fine, coarse = datasets.cifar100.load_data(), datasets.cifar100.load_data("coarse")
    assert fine[0][1].dtype == np.int64 and not np.array_equal(fine[0][1], coarse[0][1])
    assert np.array_equal(fine[1][0], coarse[1][0])
    with pytest.raises(ValueError, match="label_mode must be 'fine' or 'coarse', got 'both'"):
        datasets.cifar100.load_data("both")


def test_texts(folder):
    kept = np.load(folder / "imdb.npz", allow_pickle=True)
    (x_train, y_train), (x_test, _) = datasets.imdb.load_data()
    assert sorted(map(len, x_train)) == sorted(len(text) + 1 for text in kept["x_train"]) and len(x_test) == 20
    assert all(text[0] == 1 for text in x_train) and y_train.sum() == kept["y_train"].sum()
    (x_train, _), _ = datasets.imdb.load_data(num_words=10, skip_top=5, start_char=None, index_from=0, oov_char=None)
    assert {word for text in x_train for word in text} == set(range(5, 10))
    (x_train, y_train), (x_test, _) = datasets.reuters.load_data(maxlen=8, test_split=0.5)
    assert len(x_train) == len(y_train) and abs(len(x_train) - len(x_test)) <= 1 and max(map(len, x_train)) < 8
    assert datasets.imdb.get_word_index() == datasets.reuters.get_word_index() == dataset_files.WORDS
    assert datasets.reuters.get_label_names()[3] == "earn" and len(datasets.reuters.get_label_names()) == 46
    with pytest.raises(ValueError, match="less than maxlen=1"):
        datasets.imdb.load_data(maxlen=1)
    with pytest.warns(UserWarning, match="num_words today"):
        datasets.imdb.load_data(nb_words=3)
    with pytest.raises(TypeError, match="no argument words"):
        datasets.imdb.load_data(words=3)


def test_tables(folder):
    (x_train, y_train), (x_test, y_test) = datasets.boston_housing.load_data(test_split=0.3)
    kept = np.load(folder / "boston_housing.npz")
    assert x_train.shape == (16, 13) and x_test.shape == (7, 13) and sorted([*y_train, *y_test]) == sorted(kept["y"])
    assert all(y == kept["y"][np.flatnonzero((kept["x"] == x).all(1))[0]] for x, y in zip(x_test, y_test))
    small = datasets.california_housing.load_data("small", seed=1)
    assert small[0][0].shape == (480, 8) and small[0][0].dtype == np.float32
    with pytest.raises(ValueError, match="'large' or 'small', got 'medium'"):
        datasets.california_housing.load_data("medium")
    with pytest.raises(ValueError, match=r"test_split .* got 1"):
        datasets.boston_housing.load_data(test_split=1)


def test_a_path_may_be_given(folder, tmp_path, monkeypatch):
    here = tmp_path / "elsewhere"
    here.mkdir()
    (folder / "mnist.npz").rename(here / "digits.npz")
    (folder / "cifar-10-batches-py-target" / "cifar-10-batches-py").rename(folder / "cifar-10-batches-py")
    (folder / "fashion-mnist").rename(here / "clothes")
    monkeypatch.chdir(here)
    assert datasets.mnist.load_data(here / "digits.npz")[0][0].shape == datasets.mnist.load_data("digits.npz")[0][0].shape
    assert datasets.fashion_mnist.load_data("clothes")[1][0].shape == (5, 28, 28)
    assert datasets.cifar10.load_data()[1][1].shape == (4, 1)  # where Keras 2 unpacked it
    assert datasets.cifar100.load_data(path=folder / "cifar-100-python-target" / "cifar-100-python")[1][1].shape == (6, 1)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_told_in_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="minigrad downloads no data") as error:
        getattr(datasets, name).load_data()
    text = str(error.value)
    assert os.path.join(str(tmp_path), ".keras", "datasets") in text and "http" not in text and text.count(". ") == 0
    assert not list(tmp_path.iterdir())


def test_get_file_finds_what_keras_has_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    get_file, origin = keras.utils.get_file, "https://example.org/data/cars.csv?raw=1"
    with pytest.raises(FileNotFoundError, match=r"datasets/cars\.csv'.*put there the file https"):
        get_file("cars.csv", origin)
    path = tmp_path / "datasets" / "cars.csv"
    path.parent.mkdir()
    path.write_bytes(b"1,2\n")
    for found in (get_file("cars.csv", origin), get_file(origin=origin), get_file("cars.csv", cache_dir=tmp_path)):
        assert found == str(path)
    for make in (hashlib.md5, hashlib.sha256):
        assert get_file("cars.csv", origin, file_hash=make(b"1,2\n").hexdigest()) == str(path)
        with pytest.raises(ValueError, match="its checksum is .*, expected"):
            get_file("cars.csv", origin, file_hash=make(b"").hexdigest())
    (tmp_path / "pictures" / "flowers_extracted").mkdir(parents=True)
    assert get_file("flowers.tgz", "http://x/f", extract=True, cache_subdir="pictures").endswith("flowers_extracted")
    with pytest.raises(FileNotFoundError, match="put there unpacked, what is in http"):
        get_file("birds.tgz", "http://x/f", untar=True)
    with pytest.raises(ValueError, match="needs fname"):
        get_file(origin="http://x/")


# -------------------------------------------------------------------------------------- without trust


class Evil:
    def __reduce__(self):
        return os.system, ("touch it-has-run",)


OBJECT = np.empty(2, object)
OBJECT[:] = [1, 2], [3]


@pytest.mark.parametrize("value", [
    [0, 255, 256, -1, 2**31, -(2**70), 0.5, None, True, False, "ä", b"\xff", (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    {"a": [{}, [[]]], 3: "b" * 300, "long": b"c" * 70000}, OBJECT, {"x": np.arange(6, dtype=">i4").reshape(2, 3)},
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), [np.arange(2), np.arange(3, dtype="u1")], [[7, 8]] * 3, [],
    np.array([True, False]), np.zeros((0, 3), "float32"),
])  # fmt: skip
@pytest.mark.parametrize("protocol", [3, 4])
def test_plain_values_in_pickles(value, protocol):
    found = pickles.loads(pickle.dumps(value, protocol))
    np.testing.assert_equal(found, value)
    if isinstance(value, np.ndarray):
        assert found.dtype == value.dtype and found.flags.writeable


def test_a_pickle_of_python_2():
    """As CIFAR's batches are: strings of bytes, arrays by name, instructions of protocol 2."""
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\tU\x01b\x87Rq\n(K\x01K\x02K\x03\x86"
    dtype = b"cnumpy\ndtype\nq\x0bU\x02u1K\x00K\x01\x87Rq\x0c(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"\x80\x02}q\x01(U\x06labelsq\x04]q\x05(K\x06K\te" + b"U\x04dataq\x06" + array + dtype + b"\x89U\x06abcdeftbu."
    found = pickles.loads(data)
    assert found["labels"] == [6, 9] and found["data"].tolist() == [[97, 98, 99], [100, 101, 102]]
    again = pickle.loads(data, encoding="bytes")
    assert np.array_equal(again[b"data"], found["data"]) and again[b"labels"] == found["labels"]


ARRAY = pickle.dumps(np.arange(6, dtype="u1"), 3)
HOSTILE = {
    "runs code": (pickle.dumps([Evil()], 3), "it calls posix.system|it calls nt.system"),
    "makes an object": (pickle.dumps(io.StringIO, 4) + b"", None),
    "by NEWOBJ": (b"cos\nsystem\n)\x81.", "more than plain values"),
    "by INST": (b"(S'touch it-has-run'\nios\nsystem\n.", "more than plain values"),
    "by a persistent id": (b"Pos\n.", "more than plain values"),
    "by an extension": (b"\x82\x01.", "more than plain values"),
    "calls what it made": (b"]K\x01\x85R.", "it calls what it has made"),
    "builds on a list": (b"]}b.", "plain values and arrays"),
    "adds to a number": (b"K\x01K\x02a.", "adds to what is no list"),
    "ends early": (b"]K", "ends too early"),
    "ends early in a text": (b"X\xff\xff\xff\x7fabc.", "ends too early"),
    "a negative length": (b"T\xff\xff\xff\xff.", "ends too early"),
    "a long memo": (b"]r\xff\xff\xff\xff.", None),
    "many lists": (b"]" * (1 << 21) + b".", "more than 1,048,576 lists"),
    "many marks": (b"(" * (1 << 21) + b".", "more than 1,048,576 lists"),
    "many remembered": (b"N" + b"\x94" * (1 << 21) + b".", "more than 1,048,576 lists"),
    "an empty stack": (b"0.", "more than plain values"),
    "an array of more than there is": (ARRAY.replace(b"K\x06\x85", b"M\xff\xff\x85"), "needs 65,535 elements or bytes, got 6"),
    "an array of another dtype": (ARRAY.replace(b"u1", b"O8"), "needs 6 elements or bytes, got 6"),
    "an array of objects of bytes": (ARRAY.replace(b"u1", b"V1"), "numbers are expected"),
    "a negative shape": (ARRAY.replace(b"K\x06\x85", b"J\xfa\xff\xff\xff\x85"), "no shape"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_other_pickles_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, words = HOSTILE[name]
    if words is None:  # taken, as what it is: a label, or a value that is remembered under a large number
        assert pickles.loads(data) in ([], ("_io", "StringIO"))
        return
    with pytest.raises(ValueError, match=words):
        pickles.loads(data)
    assert not list(tmp_path.iterdir())


def npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)


def npy(header, content=b""):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


BOMB = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,)}", b"abc")
OF_OBJECTS = "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"


@pytest.mark.parametrize("x, words", [
    (BOMB, "has 3 bytes"), (b"no array", "can't be read"), (npy("{'descr': '|u1'}"), "can't be read"),
    (npy("__import__('os').system('touch it-has-run')"), "can't be read"),
    (npy(OF_OBJECTS, pickle.dumps([Evil()], 3)), "it calls"), (npy(OF_OBJECTS, pickle.dumps([1], 3)), "no array"),
    (npy(OF_OBJECTS, pickle.dumps(OBJECT, 3)), "lists of"), (npy(OF_OBJECTS, pickle.dumps(np.array(["a"], object), 3)), "lists of"),
], ids=range(8))  # fmt: skip
def test_hostile_arrays(x, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = io.BytesIO()
    np.save(labels, np.array([1]))
    npz(tmp_path / "reuters.npz", x=x, y=labels.getvalue())
    with pytest.raises(ValueError, match=words) as error:
        datasets.reuters.load_data(tmp_path / "reuters.npz")
    assert "reuters.npz can't be read" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["reuters.npz"]


def test_one_long_list_a_million_times(tmp_path):
    many = np.empty(2000, object)
    many[:] = [[1] * 100_000] * 2000
    np.savez(tmp_path / "reuters.npz", x=many, y=np.zeros(2000, int), allow_pickle=True)
    with pytest.raises(ValueError, match="numbers at most"):
        datasets.reuters.load_data(tmp_path / "reuters.npz")


@pytest.mark.parametrize("content, words", [
    (gzip.compress(struct.pack(">IIII", 0x803, 1000, 1000, 1000)), "a very long one"),
    (gzip.compress(struct.pack(">IIII", 0x801, 1, 1, 1) + b"a"), "no IDX file"), (gzip.compress(b"\0\0"), "can't be read"),
    (gzip.compress(struct.pack(">IIII", 0x803, 1, 2, 2) + b"abc"), "other than 4 bytes"), (b"no gzip", "can't be read"),
    (gzip.compress(struct.pack(">IIII", 0x803, 1, 2, 2) + b"a" * 10**7), "other than 4 bytes"),
], ids=range(6))  # fmt: skip
def test_hostile_images(content, words, folder):
    (folder / "fashion-mnist" / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        datasets.fashion_mnist.load_data()


def test_other_files_that_hold_something_else(folder):
    path = folder / "cifar-100-python-target" / "cifar-100-python" / "train"
    path.write_bytes(pickle.dumps({"data": np.zeros((2, 3072)), "fine_labels": [1, 2]}, 3))
    with pytest.raises(ValueError, match="float64 of shape"):
        datasets.cifar100.load_data()
    with open(path, "wb") as file:
        file.truncate(1 << 32)  # a sparse file, which takes no room
    with pytest.raises(ValueError, match="more than 268,435,456 bytes"):
        datasets.cifar100.load_data()
    path.unlink()
    with pytest.raises(FileNotFoundError, match="train"):
        datasets.cifar100.load_data()
    (folder / "imdb_word_index.json").write_text('{"a": "b"}')
    with pytest.raises(ValueError, match="ranks"):
        datasets.imdb.get_word_index()
    (folder / "mnist.npz").unlink()
    (folder / "mnist.npz").mkdir()
    with pytest.raises(ValueError, match="no file"):
        datasets.mnist.load_data()


MNIST = """
import numpy as np
from keras.datasets import mnist
from keras.models import Sequential, load_model
from keras.layers import Dense
from keras.utils import np_utils

(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, x_test = (x.reshape(len(x), 784).astype("float32") / 255 for x in (x_train, x_test))
y_train, y_test = np_utils.to_categorical(y_train, 10), np_utils.to_categorical(y_test, 10)
model = Sequential()
model.add(Dense(32, activation="relu", input_shape=(784,)))
model.add(Dense(10, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=20, epochs=10, verbose=0, validation_data=(x_test, y_test))
model.save("mnist.h5")
print("Test accuracy:", load_model("mnist.h5").evaluate(x_test, y_test, verbose=0)[1])
"""


def test_the_script_that_most_people_write_first(tmp_path):
    """On digits that are bars: the one in the n-th pair of rows is an n."""
    labels = np.arange(300) % 10
    images = np.random.default_rng(0).integers(0, 90, (300, 28, 28))
    for image, label in zip(images, labels):
        image[2 * label : 2 * label + 2] += 120
    images, labels = images.astype("uint8"), labels.astype("uint8")
    (tmp_path / "datasets").mkdir()
    parts = {"x_train": images[:200], "y_train": labels[:200], "x_test": images[200:], "y_test": labels[200:]}
    np.savez_compressed(tmp_path / "datasets" / "mnist.npz", **parts)
    (tmp_path / "script.py").write_text(MNIST)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "minigrad", "script.py"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "KERAS_HOME": str(tmp_path)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) > 0.95
