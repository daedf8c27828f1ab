"""Rows of numbers from anything: what is copied and what is not, lazy rows, the stage that a replay takes rows from."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from helpers import Quiet, assert_same, data, network, recordings, state

import minigrad as keras
from minigrad import data as feeding
from minigrad.data import LazyRows, Rows, as_rows, chunks, part

QUIET = {"verbose": 0}


@pytest.fixture
def everything_is_large(monkeypatch):
    """All that needs converting is converted lazily, on a stage of three rows' batches at most."""
    monkeypatch.setattr(feeding, "WHOLE", 0)
    monkeypatch.setattr(feeding, "CHUNK", 700)


class Dataset:
    """As in an HDF5 file: gives single rows, by slices and increasing numbers; too large to be read whole."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array__(self, dtype=None, copy=None):
        raise MemoryError("all of it was read at once")

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            assert (np.diff(rows) > 0).all()
        return self.array[rows]


def mapped(array, folder):
    file = np.memmap(folder / f"{array.dtype}{array.size}", array.dtype, "w+", shape=array.shape)
    file[:] = array
    return file


def frame(array):
    return pytest.importorskip("pandas").DataFrame(array)


KINDS = {
    "float64": lambda a, folder: a.astype("float64"),
    "mapped float64": lambda a, folder: mapped(a.astype("float64"), folder),
    "mapped float32": mapped,
    "mapped int16": lambda a, folder: mapped(a.astype("int16"), folder),
    "bool": lambda a, folder: a > 0,
    "Fortran order": lambda a, folder: np.asfortranarray(a),
    "every second row": lambda a, folder: np.repeat(a, 2, 0)[::2],
    "sparse csr": lambda a, folder: scipy.sparse.csr_matrix(np.where(a > 1, a, 0)),
    "sparse coo array": lambda a, folder: scipy.sparse.coo_array(np.where(a > 1, a, 0)),
    "data frame": lambda a, folder: frame(a.astype("float64")),
    "dataset": lambda a, folder: Dataset(a.astype("float64")),
}


def dense(value):
    """The same as a float32 array in memory."""
    value = value.array if isinstance(value, Dataset) else value
    return np.ascontiguousarray(value.toarray() if scipy.sparse.issparse(value) else value, "float32")


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_large_data_of_any_kind(kind, run_eagerly, everything_is_large, tmp_path):
    """Trains like the float32 array of the same numbers, to the bit: in any order, cut, weighted, evaluated."""
    x, y = data(90, target="labels")
    given = KINDS[kind](x, tmp_path)
    labels = y.astype("int8")
    for settings in (
        {"shuffle": True, "validation_split": 0.2},
        {"shuffle": "batch", "class_weight": {0: 0.5}},
        {"shuffle": False, "sample_weight": np.linspace(0, 1, 90)},
    ):
        results = []
        for fed_x, fed_y in ((given, labels), (dense(given), labels.astype("float32"))):
            model = network("labels", run_eagerly=run_eagerly)
            history = model.fit(fed_x, fed_y, batch_size=8, epochs=2, **settings, **QUIET).history
            results.append((history, state(model), model.evaluate(fed_x, fed_y, **QUIET), model.predict(fed_x, **QUIET)))
        assert_same(*results)


@pytest.mark.parametrize("target", ["binary", "one-hot"])
def test_small_data_in_a_sparse_matrix(target):
    x, y = data(24, target=target)
    x = np.where(x > 1, x, 0).astype("float32")
    sparse, plain = network(target), network(target)
    with Quiet():
        ours = sparse.fit(scipy.sparse.csr_array(x), scipy.sparse.csc_matrix(y), batch_size=8, shuffle=False, **QUIET)
    theirs = plain.fit(x, y, batch_size=8, shuffle=False, **QUIET)
    assert_same(ours.history, theirs.history)
    assert_same(sparse.predict(scipy.sparse.csr_matrix(x), **QUIET), plain.predict(x, **QUIET))
    assert_same(sparse.train_on_batch(scipy.sparse.csr_matrix(x), y), plain.train_on_batch(x, y))
    with pytest.raises(ValueError, match="x can't be made.*sparse.*complex"):
        plain.predict(scipy.sparse.csr_matrix(x * 1j), **QUIET)


def test_an_autoencoder_on_large_data(everything_is_large):
    x, _ = data(60)
    models = []
    for pair in ((x, x), (x, x.copy())):
        keras.utils.set_random_seed(1)
        keras.utils.clear_session()
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2), keras.layers.Dense(5)])
        model.compile("adam", "mse")
        model.fit(*pair, batch_size=8, epochs=2, **QUIET)
        models.append(model.get_weights())
    assert_same(*models)


def test_one_feature_in_a_large_flat_array(everything_is_large):
    x = np.arange(40.0)
    weights = []
    for given in (x, x.astype("float32")[:, None]):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        model.fit(given, x, batch_size=8, **QUIET)
        weights.append(model.get_weights())
    assert_same(*weights)


def test_lazy_and_plain_data_share_programs(everything_is_large):
    x, y = data(42)
    model = network()
    model.fit(x, y, batch_size=8, **QUIET)
    with recordings() as recorded:
        model.fit(x.astype("float64"), y, batch_size=8, **QUIET)
        model.fit(x, y.astype(bool), batch_size=8, **QUIET)
    assert recorded == []


# ------------------------------------------------------------------------------------------------ rows alone


def test_what_is_copied():
    x, _ = data(24)
    assert as_rows(x, "x", "float32") is x
    assert np.shares_memory(as_rows(x[4:], "x", "float32"), x)
    assert not np.shares_memory(as_rows(x[::2], "x", "float32"), x)
    assert as_rows(x.astype("int8"), "x", "float64").dtype == "float64"


def test_lazy_rows(everything_is_large):
    a = np.arange(60, dtype="int64").reshape(20, 3)
    lazy = as_rows(a, "x", "float32")
    assert isinstance(lazy, LazyRows) and len(lazy) == 20 and lazy.size == 60 and lazy.ndim == 2
    assert_same(lazy[5:7], a[5:7].astype("float32"))
    assert_same(lazy[18:99], a[18:].astype("float32"))
    cut = part(part(lazy, 4, 18), 2, 10)
    assert cut.shape == (8, 3)
    assert_same(cut[:], a[6:14].astype("float32"))
    assert_same(cut[np.array([0, 7])], a[[6, 13]].astype("float32"))
    assert_same(np.concatenate(list(chunks(cut))), cut[:])
    assert as_rows(lazy, "x", "float32") is lazy


@pytest.mark.parametrize("position", [0, 8, 17, 40])
def test_a_pass_from_any_position(position, everything_is_large):
    """The rows that a replay gathers are those of `order`, wherever the stage begins."""
    x = np.arange(50.0).reshape(50, 1)
    rows = Rows(as_rows(x, "x", "float32"), None, None, 8)
    order = np.random.default_rng(0).permutation(50)
    rows.go_to(position, order)
    seen = []
    while rows.position < 50:
        size = min(8, 50 - rows.position)
        assert rows.ready(size) >= 1
        seen += rows.next_batch(size)[0].numpy()[:, 0].tolist()
        rows.cursor += size
    assert seen == order[position:].tolist()


def test_memory_of_a_training_on_a_large_file(tmp_path, monkeypatch):
    """A pass over 16 MB of int8, 64 as float32, needs the stage and little more."""
    monkeypatch.setattr(feeding, "WHOLE", 2**20)
    x = np.memmap(tmp_path / "x", np.int8, "w+", shape=(160_000, 100))
    y = np.zeros(160_000, np.float32)
    model = network(width=100)
    model.fit(x[:3000], y[:3000], batch_size=500, **QUIET)
    tracemalloc.start()
    model.fit(x, y, batch_size=500, validation_split=0.1, **QUIET)
    model.evaluate(x, y, batch_size=500, **QUIET)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32e6


LIMITED = """
import resource, sys
sys.path[:0] = {path!r}
import numpy as np
import minigrad as keras

x = np.memmap({file!r}, np.int8, "w+", shape=(1_000_000, 100))
y = np.zeros(len(x), np.float32)
model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x[:2000], y[:2000], batch_size=1000, verbose=0)
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 150 * 2**20, -1))
try:
    np.ones(200 * 2**20, np.int8)
except MemoryError:
    print("limited")
model.fit(x, y, batch_size=1000, verbose=0)
print("trained", int(model.optimizer.iterations))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux'")
def test_a_training_that_would_not_fit_into_memory(tmp_path):
    """100 MB of int8, 400 MB as float32, in a process that may have 150 MB more."""
    code = LIMITED.format(path=[p for p in sys.path if p], file=str(tmp_path / "x"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["limited", "trained", "1002"], done.stderr[-2000:]


def test_one_batch_that_is_too_large_to_be_converted_at_once(monkeypatch):
    x, y = data(50)
    model = network()
    expected = model.predict_on_batch(x), model.test_on_batch(x, y)
    monkeypatch.setattr(feeding, "WHOLE", 100)
    assert_same(model.predict_on_batch(x.astype("float64")), expected[0])
    assert model.test_on_batch(x.astype("float64"), y.astype("float64")) == expected[1]
