"""fit, evaluate, predict and the one-batch methods: every argument, what callbacks see, what is replayed.

The yardstick is mostly `train_on_batch`, one batch after the other.
"""

import copy
import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import HEADS, Quiet, assert_same, data, network, recordings, state

import minigrad as keras
from minigrad import callbacks, layers

QUIET = {"verbose": 0}
IN_ORDER = {"verbose": 0, "shuffle": False}


def one_by_one(model, x, y, batch_size, epochs=1, w=None):
    """Train with `train_on_batch`, in order."""
    for _ in range(epochs):
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            model.train_on_batch(x[rows], y[rows], None if w is None else w[rows])
    return model


class Log(callbacks.Callback):
    """Writes down every call of every hook."""

    def __init__(self, batches=True):
        super().__init__()
        self.calls = []
        for hook in [n for n in dir(callbacks.Callback) if n.startswith("on_")]:
            if ("batch" not in hook or batches) and hook not in ("on_batch_begin", "on_batch_end"):
                setattr(self, hook, self.writer(hook))

    def writer(self, hook):
        def write(*arguments, **keywords):
            *index, logs = arguments
            self.calls.append((hook.removeprefix("on_"), *index, dict(logs)))

        return write

    @property
    def names(self):
        return [name for name, *_ in self.calls]

    def logs(self, name):
        return [call[-1] for call in self.calls if call[0] == name]


# ---------------------------------------------------------------------------- one replay is many single steps


@pytest.mark.parametrize("target", HEADS)
@pytest.mark.parametrize("rows, batch_size", [(40, 8), (42, 8), (5, 8), (42, 42), (41, 3), (2, 1000)])
def test_fit_is_train_on_batch_for_each_batch(rows, batch_size, target):
    """Bit for bit, with a short last batch, a single one, and one that is larger than the data."""
    x, y = data(rows, target=target)
    w = np.linspace(0.5, 2, rows).astype("float32")
    fitted, single = network(target, dropout=0.3), network(target, dropout=0.3)
    fitted.fit(x, y, batch_size=batch_size, epochs=2, sample_weight=w, **IN_ORDER)
    one_by_one(single, x, y, batch_size, 2, w)
    assert_same(fitted.get_weights(), single.get_weights())
    assert_same(
        [v.numpy() for v in fitted.optimizer.variables], [v.numpy() for v in single.optimizer.variables]
    )
    assert_same(fitted.layers[3]._state, single.layers[3]._state)


@pytest.mark.parametrize("target", HEADS)
def test_replay_equals_eager(target):
    """Weights, optimizer, metrics, dropout masks and logs, over the whole of `fit`."""

    def train(run_eagerly):
        x, y = data(42, target=target)
        model = network(
            target,
            dropout=0.4,
            weighted_metrics=["mse"] if target != "labels" else None,
            run_eagerly=run_eagerly,
        )
        with Quiet():
            history = model.fit(
                x,
                y,
                batch_size=8,
                epochs=3,
                validation_split=0.25,
                sample_weight=np.linspace(0, 1, 42),
                **QUIET,
            )
            values = model.evaluate(x, y, batch_size=16, **QUIET)
            single = model.train_on_batch(x[:5], y[:5]), model.test_on_batch(x, y)
        assert (model.train_program is None) is run_eagerly
        return (
            state(model),
            history.history,
            values,
            single,
            model.predict(x, **QUIET),
            model.predict_on_batch(x),
        )

    assert_same(train(False), train(True))


@pytest.mark.parametrize("steps_per_execution", [1, 2, 3, 100])
@pytest.mark.parametrize("jit_compile", ["auto", True, False])
def test_numbers_do_not_depend_on_how_steps_are_grouped(steps_per_execution, jit_compile):
    def train(**settings):
        model = network(dropout=0.3, **settings)
        model.fit(*data(42), batch_size=8, epochs=2, callbacks=[Log()], **QUIET)
        return state(model)

    assert_same(train(steps_per_execution=steps_per_execution, jit_compile=jit_compile), train())


@pytest.mark.parametrize("batches", [False, True])
def test_numbers_do_not_depend_on_callbacks(batches):
    def train(**settings):
        model = network(dropout=0.3)
        history = model.fit(*data(42), batch_size=4, epochs=3, validation_split=0.25, **QUIET, **settings)
        return state(model), history.history

    assert_same(train(callbacks=[Log(batches)]), train())


def test_run_eagerly_and_jit_compile_warn():
    with pytest.warns(UserWarning, match="jit_compile"):
        network(run_eagerly=True, jit_compile=True)


# -------------------------------------------------------------------------------------------- determinism


def test_the_same_seed_gives_the_same_run():
    def train(seed):
        model = network(dropout=0.5, seed=seed)
        model.fit(*data(42), batch_size=8, epochs=3, validation_split=0.1, **QUIET)
        return state(model), model.history.history

    assert_same(train(1), train(1))
    with pytest.raises(AssertionError):
        assert_same(train(1), train(2))


SCRIPT = """
import sys, hashlib
sys.path[:0] = {path!r}
from helpers import data, network, state
model = network(dropout=0.5)
model.fit(*data(42), batch_size=8, epochs=3, verbose=0)
print(hashlib.sha256(b"".join(a.tobytes() for a in state(model).values())).hexdigest())
"""


def test_the_same_seed_gives_the_same_run_in_another_process():
    code = SCRIPT.format(path=[p for p in sys.path if p])
    others = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    ours = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert others == ours and len(ours.strip()) == 64


# ----------------------------------------------------------------------------------- batches, epochs, order


def watched():
    """A model that writes down the first column of each batch it is called with, and where."""
    seen = []

    class Sees(layers.Layer):
        def call(self, inputs):
            seen.append(inputs.numpy()[:, 0].astype(int).tolist())
            return inputs

    model = keras.Sequential([keras.Input((1,)), Sees(), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    seen.clear()
    return model, seen


def fitted_batches(rows, **settings):
    """The rows of each batch of a fit on rows numbered from 0."""
    model, seen = watched()
    x = np.arange(rows, dtype="float32")[:, None]
    model.fit(x, np.zeros(rows), verbose=0, **settings)
    return seen


def test_order_without_shuffling():
    seen = fitted_batches(10, batch_size=4, epochs=2, shuffle=False)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * 2


def test_shuffling_is_a_new_permutation_each_epoch():
    seen = fitted_batches(50, batch_size=8, epochs=3)
    assert [len(batch) for batch in seen] == [8, 8, 8, 8, 8, 8, 2] * 3
    epochs = [list(itertools.chain(*seen[i : i + 7])) for i in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, range(50)]}) == 4


def test_shuffling_is_uniform():
    """Every row comes first about equally often."""
    seen = fitted_batches(4, batch_size=4, epochs=2000)
    counts = np.array([[batch[place] for batch in seen] for place in range(4)])
    for place in counts:
        assert np.bincount(place, minlength=4) == pytest.approx(np.full(4, 500), abs=100)


def test_shuffling_within_batches():
    seen = fitted_batches(42, batch_size=8, epochs=2, shuffle="batch")
    for i, batch in enumerate(seen):
        first = 8 * (i % 6)
        assert sorted(batch) == list(range(first, min(first + 8, 42)))
    assert seen[:6] != seen[6:] and seen[0] != sorted(seen[0])


def test_replay_shuffles_like_the_eager_step():
    def train(run_eagerly, shuffle):
        model = network(run_eagerly=run_eagerly)
        model.fit(*data(42), batch_size=8, epochs=2, shuffle=shuffle, **QUIET)
        return state(model)

    for shuffle in (True, False, "batch"):
        assert_same(train(False, shuffle), train(True, shuffle))


def test_default_batch_size():
    assert [len(batch) for batch in fitted_batches(70)] == [32, 32, 6]
    assert [len(batch) for batch in fitted_batches(70, batch_size=0)] == [32, 32, 6]
    assert [len(batch) for batch in fitted_batches(70, steps_per_epoch=4)] == [18, 18, 18, 16]
    half = fitted_batches(70, steps_per_epoch=4, validation_split=0.5)
    assert [len(batch) for batch in half] == [9, 9, 9, 8] * 2


def test_validation_split_takes_the_last_rows_before_shuffling():
    model, seen = watched()
    model.fit(
        np.arange(10.0)[:, None],
        np.zeros(10),
        batch_size=3,
        validation_split=0.25,
        validation_batch_size=2,
        epochs=2,
        **QUIET,
    )
    assert [sorted(itertools.chain(*seen[i : i + 3])) for i in (0, 5)] == [list(range(7))] * 2
    assert seen[3:5] == seen[8:10] == [[7, 8], [9]]


def test_steps_per_epoch_continue_the_pass():
    """10 rows in batches of 4, two steps an epoch: rows 0-7, then 8-9 and a warning, then 0-7 again."""
    with pytest.warns(UserWarning, match="ran out after 1 of 2 steps"):
        seen = fitted_batches(10, batch_size=4, epochs=3, steps_per_epoch=2, shuffle=False)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3], [4, 5, 6, 7]]
    with Quiet():
        seen = fitted_batches(16, batch_size=4, epochs=3, steps_per_epoch=2, shuffle=False)
    assert [batch[0] for batch in seen] == [0, 4, 8, 12, 0, 4]
    with pytest.warns(UserWarning, match="ran out after 3 of 5 steps"):
        assert len(fitted_batches(12, batch_size=4, steps_per_epoch=5)) == 3


def test_steps_per_epoch_replayed():
    def train(run_eagerly):
        model = network(run_eagerly=run_eagerly)
        with pytest.warns(UserWarning, match="ran out"):
            history = model.fit(*data(42), batch_size=8, epochs=5, steps_per_epoch=4, **QUIET)
        return state(model), history.history

    assert_same(train(False), train(True))


def test_initial_epoch():
    log = Log(batches=False)
    model = network()
    history = model.fit(*data(16), epochs=5, initial_epoch=3, callbacks=[log], **QUIET)
    assert history.epoch == [3, 4] and len(history.history["loss"]) == 2
    assert [call[1] for call in log.calls if call[0] == "epoch_begin"] == [3, 4]


@pytest.mark.parametrize(
    "settings", [{"epochs": 0}, {"epochs": 2, "initial_epoch": 2}, {"epochs": 1, "initial_epoch": 3}]
)
def test_no_epoch_at_all(settings):
    model = network()
    before = model.get_weights()
    history = model.fit(*data(16), **settings, **QUIET)
    assert history.history == {} and history.epoch == []
    assert_same(model.get_weights(), before)


# ------------------------------------------------------------------------------------------------ weights


def test_class_weight_is_a_sample_weight():
    for target, flat in (("binary", False), ("binary", True), ("labels", False), ("one-hot", False)):
        x, y = data(42, target=target)
        y = y[:, 0] if flat else y
        classes = y.argmax(1) if target == "one-hot" else y.reshape(-1).astype(int)
        table = {0: 0.25, 2: 3.0} if target != "binary" else {0: 0.25}
        w = np.array([table.get(c, 1.0) for c in classes])
        runs = []
        for settings in ({"class_weight": table}, {"sample_weight": w}):
            model = network(target, weighted_metrics=["accuracy"])
            history = model.fit(x, y, batch_size=8, epochs=2, **settings, **QUIET)
            runs.append((model.get_weights(), history.history))
        assert_same(*runs)
        assert not np.array_equal(
            runs[0][0][0], network(target).fit(x, y, batch_size=8, epochs=2, **QUIET).model.get_weights()[0]
        )
        assert network(target).train_on_batch(x, y, class_weight=table) == network(target).train_on_batch(
            x, y, sample_weight=w
        )


def test_class_weight_never_touches_validation():
    x, y = data(42)
    settings = {"validation_split": 0.3, "batch_size": 8, **QUIET}
    ours = (
        network(optimizer=keras.optimizers.SGD(0.0))
        .fit(x, y, class_weight={0: 5.0, 1: 0.5}, **settings)
        .history
    )
    theirs = network(optimizer=keras.optimizers.SGD(0.0)).fit(x, y, **settings).history
    assert ours["val_loss"] == theirs["val_loss"] and ours["loss"] != theirs["loss"]


def test_sample_weight_is_cut_along():
    x, y = data(40)
    w = np.linspace(0, 1, 40)
    settings = {"epochs": 2, **QUIET}
    ours = (
        network(weighted_metrics=["mse"])
        .fit(x, y, sample_weight=w, validation_split=0.25, **settings)
        .history
    )
    held_out = x[30:], y[30:], w[30:]
    other = network(weighted_metrics=["mse"])
    theirs = other.fit(x[:30], y[:30], sample_weight=w[:30], validation_data=held_out, **settings).history
    assert_same(ours, theirs)
    assert {"val_loss", "val_mse", "val_accuracy"} < set(ours)


def test_zero_weights_train_nothing():
    x, y = data(16)
    model = network(optimizer=keras.optimizers.SGD(1.0))
    before = [v.numpy() for v in model.trainable_weights]
    history = model.fit(x, y, sample_weight=np.zeros(16), **QUIET).history
    assert history["loss"] == [0.0]
    assert_same([v.numpy() for v in model.trainable_weights], before)


# --------------------------------------------------------------------------------------------- validation


def test_validation_is_evaluate():
    x, y = data(42)
    held_x, held_y = data(21, seed=5)
    model = network(dropout=0.4)
    history = model.fit(x, y, batch_size=8, epochs=3, validation_data=(held_x, held_y), **QUIET).history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    values = model.evaluate(held_x, held_y, batch_size=8, **QUIET)
    assert [history["val_loss"][-1], history["val_accuracy"][-1]] == values
    assert len(history["val_loss"]) == 3


def test_validation_leaves_the_training_alone():
    def train(**settings):
        model = network(dropout=0.4)
        model.fit(*data(42), batch_size=8, epochs=3, **settings, **QUIET)
        return model.get_weights()

    assert_same(train(validation_data=data(9, seed=3)), train())


@pytest.mark.parametrize(
    "freq, epochs", [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (3, [2]), (9, []), ([1, 4], [0, 3]), ({5}, [4])]
)
def test_validation_freq(freq, epochs):
    log = Log(batches=False)
    model = network()
    history = model.fit(
        *data(16), validation_split=0.5, validation_freq=freq, epochs=5, callbacks=[log], **QUIET
    )
    assert [i for i, logs in enumerate(log.logs("epoch_end")) if "val_loss" in logs] == epochs
    assert len(history.history.get("val_loss", [])) == len(epochs)


def test_validation_batches_and_steps():
    log = Log()
    x, y = data(42)
    model = network()
    model.fit(
        x, y, validation_data=(x, y), validation_batch_size=10, validation_steps=3, callbacks=[log], **QUIET
    )
    assert log.names.count("test_batch_end") == 3
    assert log.logs("epoch_end")[-1]["val_loss"] == model.evaluate(x[:30], y[:30], batch_size=10, **QUIET)[0]
    log.calls.clear()
    model.fit(x, y, batch_size=20, validation_data=(x, y), callbacks=[log], **QUIET)
    assert log.names.count("test_batch_end") == 3  # the size of the training batches


def test_validation_data_beats_the_split():
    x, y = data(42)
    log = Log()
    network().fit(
        x, y, batch_size=6, validation_split=0.5, validation_data=(x[:6], y[:6]), callbacks=[log], **QUIET
    )
    assert log.names.count("train_batch_end") == 7 and log.names.count("test_batch_end") == 1


@pytest.mark.parametrize("kind", ["generator", "list of batches", "lists", "pandas"])
def test_validation_data_of_any_kind(kind):
    x, y = data(42)
    held_x, held_y = data(20, seed=5)
    batches = [(held_x[i : i + 8], held_y[i : i + 8]) for i in (0, 8, 16)]
    expected = network().fit(x, y, batch_size=8, epochs=3, validation_data=(held_x, held_y), **QUIET).history
    if kind == "generator":
        validation = (batch for batch in batches)
    elif kind == "list of batches":
        class Batches:
            def __iter__(self):
                return iter(batches)

        validation = Batches()
    elif kind == "lists":
        validation = (held_x.tolist(), held_y.tolist())
    else:
        pandas = pytest.importorskip("pandas")
        validation = (pandas.DataFrame(held_x), pandas.Series(held_y[:, 0]))
    assert_same(
        network().fit(x, y, batch_size=8, epochs=3, validation_data=validation, **QUIET).history, expected
    )


def test_an_endless_validation_generator_goes_on_where_it_stopped():
    x, y = data(42)
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield x[i : i + 4], y[i : i + 4]

    network().fit(x, y, epochs=3, validation_data=endless(), validation_steps=2, **QUIET)
    assert taken == [0, 1, 2, 3, 4, 5]


# ------------------------------------------------------------------------------------------- kinds of data


def kinds_of_arrays():
    pandas = pytest.importorskip("pandas")
    return {
        "float64": lambda x, y: (x.astype("float64"), y.astype("float64")),
        "lists": lambda x, y: (x.tolist(), y.tolist()),
        "list of arrays": lambda x, y: (list(x), list(y)),
        "integers": lambda x, y: (x, y.astype("int8")),
        "bools": lambda x, y: (x, y.astype(bool)),
        "flat y": lambda x, y: (x, y[:, 0]),
        "y with another axis": lambda x, y: (x, y[..., None]),
        "Fortran order": lambda x, y: (np.asfortranarray(x), y),
        "every second row": lambda x, y: (np.repeat(x, 2, 0)[::2], np.repeat(y, 2, 0)[::2]),
        "reversed twice": lambda x, y: (x[::-1].copy()[::-1], y),
        "read-only": lambda x, y: (read_only(x), read_only(y)),
        "tensors": lambda x, y: (keras.Tensor(x), keras.Tensor(y)),
        "DataFrame": lambda x, y: (pandas.DataFrame(x), pandas.DataFrame(y)),
        "DataFrame with an index": lambda x, y: (
            pandas.DataFrame(x, index=range(100, 100 + len(x))),
            pandas.Series(y[:, 0]),
        ),
        "columns of different dtype": lambda x, y: (
            pandas.DataFrame(
                {i: column.astype("float64" if i % 2 else "float32") for i, column in enumerate(x.T)}
            ),
            pandas.Series(y[:, 0].astype(bool)),
        ),
        "nullable columns": lambda x, y: (
            pandas.DataFrame(x).astype("Float32"),
            pandas.Series(y[:, 0]).astype("Int64"),
        ),
        "anything with __array__": lambda x, y: (Wrapped(x), Wrapped(y)),
    }


class Wrapped:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)

    def __len__(self):
        return len(self.array)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", kinds_of_arrays())
def test_kinds_of_arrays(kind):
    x, y = data(18)
    make = kinds_of_arrays()[kind]
    twin = network()
    expected = twin.fit(x, y, batch_size=8, sample_weight=np.repeat([1, 0.5], 9), **QUIET).history
    model = network()
    with Quiet():
        history = model.fit(*make(x, y), batch_size=8, sample_weight=[1.0] * 9 + [0.5] * 9, **QUIET).history
        assert_same(history, expected)
        assert_same(state(model), state(twin))
        given_x, given_y = make(x, y)
        assert_same(model.predict(given_x, **QUIET), twin.predict(x, **QUIET))
        assert_same(model.evaluate(given_x, given_y, **QUIET), twin.evaluate(x, y, **QUIET))
        assert_same(model.train_on_batch(given_x, given_y), twin.train_on_batch(x, y))
        assert_same(model.predict_on_batch(given_x), twin.predict_on_batch(x))


def test_data_is_not_changed():
    x, y = data(18)
    copies = x.copy(), y.copy()
    model = network()
    model.fit(x, y, batch_size=4, epochs=3, **QUIET)
    model.evaluate(x, y, **QUIET)
    assert_same([x, y], list(copies))
    model.predict(x, **QUIET)[...] = 7  # nor does what was returned belong to the model
    first = model.predict_on_batch(x)
    second = model.predict_on_batch(x + 1)
    assert not np.shares_memory(first, second)
    assert_same(model.predict_on_batch(x), first)


def test_flat_x_for_one_feature():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.arange(8.0)
    assert model.predict(x, **QUIET).shape == (8, 1)
    assert_same(model.predict(x, **QUIET), model.predict(x[:, None], **QUIET))
    model.fit(x, x, **QUIET)


def test_a_list_holding_one_array_is_taken_with_a_warning():
    x, y = data(8)
    model = network()
    with pytest.warns(UserWarning, match="list"):
        assert_same(model.predict([x], **QUIET), model.predict(x, **QUIET))


def batches(x, y, size=8, w=None):
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        yield (x[rows], y[rows]) if w is None else (x[rows], y[rows], w[rows])


class Batches:
    """Can be read again and again."""

    def __init__(self, *arrays, **settings):
        self.make = lambda: batches(*arrays, **settings)

    def __iter__(self):
        return self.make()


class Sequence:
    """Has a length and elements, and no iterator."""

    def __init__(self, x, y):
        self.parts = list(batches(x, y))

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, i):
        return self.parts[i]


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_generator_is_a_fit_on_its_batches(weighted, run_eagerly):
    x, y = data(42)
    w = np.linspace(0, 1, 42) if weighted else None
    model, twin = network(run_eagerly=run_eagerly), network()
    with Quiet():
        history = model.fit(batches(x, y, w=w), **QUIET)
    expected = twin.fit(x, y, batch_size=8, sample_weight=w, **IN_ORDER)
    assert_same(history.history, expected.history)
    assert_same(model.get_weights(), twin.get_weights())
    assert_same(
        model.evaluate(batches(x, y, w=w), **QUIET),
        twin.evaluate(x, y, batch_size=8, sample_weight=w, **QUIET),
    )
    assert_same(
        model.predict((batch[0] for batch in batches(x, y)), **QUIET), twin.predict(x, batch_size=8, **QUIET)
    )
    assert_same(model.predict(batches(x, y), **QUIET), twin.predict(x, batch_size=8, **QUIET))


@pytest.mark.parametrize(
    "make",
    [lambda x, y: Batches(x, y), Sequence, lambda x, y: iter(list(batches(x, y)) * 3)],
    ids=["re-iterable", "sequence", "long generator"],
)
def test_iterables_over_several_epochs(make):
    x, y = data(40)
    model, twin = network(), network()
    with Quiet():
        source = make(x, y)
        steps = 5 if hasattr(source, "__next__") else None
        history = model.fit(source, epochs=3, steps_per_epoch=steps, **QUIET)
    assert_same(history.history, twin.fit(x, y, batch_size=8, epochs=3, **IN_ORDER).history)
    assert_same(model.get_weights(), twin.get_weights())


def test_a_generator_of_an_unbuilt_model():
    x, y = data(20)
    model = keras.Sequential([layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(batches(x, y), validation_data=(x.tolist(), y.tolist()), **QUIET).history
    assert set(history) == {"loss", "mae", "val_loss", "val_mae"} and model.built


def test_batches_of_different_sizes():
    x, y = data(42)
    model, twin = network(), network()
    cuts = [0, 5, 6 + 7, 20, 21 + 4, 42]
    parts = [(x[a:b], y[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    model.fit(iter(parts), **QUIET)
    for part in parts:
        twin.train_on_batch(*part)
    assert_same(model.get_weights(), twin.get_weights())


def test_a_used_up_generator_ends_the_training_with_a_warning():
    x, y = data(40)
    model = network()
    with pytest.warns(UserWarning, match="ran out after 1 epoch"):
        history = model.fit(batches(x, y), epochs=3, **QUIET)
    assert history.epoch == [0] and model.optimizer.iterations == 5
    with pytest.warns(UserWarning, match="ran out after 1 epoch"):
        history = model.fit(batches(x, y), epochs=2, steps_per_epoch=5, **QUIET)
    assert history.epoch == [0] and model.optimizer.iterations == 10
    with pytest.warns(UserWarning, match="ran out after 1 of 4 steps"):
        history = model.fit(batches(x, y), epochs=2, steps_per_epoch=4, **QUIET)
    assert history.epoch == [0, 1] and model.optimizer.iterations == 15
    assert np.isfinite(history.history["loss"]).all() and min(history.history["loss"]) > 0


def test_an_endless_generator():
    x, y = data(40)
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield x[i : i + 8], y[i : i + 8]

    model = network()
    with Quiet():
        model.fit(endless(), epochs=3, steps_per_epoch=4, **QUIET)
        assert taken == list(range(12))  # none is taken and thrown away
        taken.clear()
        model.evaluate(endless(), steps=3, **QUIET)
        model.predict(endless(), steps=2, **QUIET)
    assert taken == [0, 1, 2, 0, 1]


# ------------------------------------------------------------------------------------------------ callbacks


def test_hooks_in_order():
    log = Log()
    x, y = data(12)
    network().fit(x, y, batch_size=4, epochs=2, validation_data=(x[:8], y[:8]), callbacks=[log], **QUIET)
    epoch = [
        "epoch_begin", *["train_batch_begin", "train_batch_end"] * 3, "test_begin",
        *["test_batch_begin", "test_batch_end"] * 2, "test_end", "epoch_end",
    ]
    assert log.names == ["train_begin", *epoch, *epoch, "train_end"]
    indices = [call[1] for call in log.calls if len(call) == 3]
    assert indices == [index for e in (0, 1) for index in (e, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, e)]
    for name in ("train_begin", "epoch_begin", "train_batch_begin", "test_begin", "test_batch_begin"):
        assert all(logs == {} for logs in log.logs(name))
    for name in ("train_batch_end", "test_batch_end", "test_end"):
        assert all(list(logs) == ["accuracy", "loss"] for logs in log.logs(name))
    full = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(list(logs) == full for logs in log.logs("epoch_end"))
    assert log.logs("train_end") == [log.logs("epoch_end")[-1]]
    assert all(type(value) is float for logs in log.logs("epoch_end") for value in logs.values())


def test_hooks_of_evaluate_and_predict():
    x, y = data(12)
    model = network()
    log = Log()
    model.evaluate(x, y, batch_size=8, callbacks=[log], **QUIET)
    assert log.names == ["test_begin", *["test_batch_begin", "test_batch_end"] * 2, "test_end"]
    assert log.logs("test_end") == [model.evaluate(x, y, batch_size=8, return_dict=True, **QUIET)]
    log = Log()
    outputs = model.predict(x, batch_size=8, callbacks=[log], **QUIET)
    assert log.names == ["predict_begin", *["predict_batch_begin", "predict_batch_end"] * 2, "predict_end"]
    assert_same(np.concatenate([logs["outputs"] for logs in log.logs("predict_batch_end")]), outputs)
    assert log.model is model and log.params["steps"] == 2


def test_batch_logs_are_averages_since_the_epoch_began():
    x, y = data(18)
    log, twin = Log(), network()
    model = network()
    history = model.fit(x, y, batch_size=8, epochs=2, callbacks=[log], **IN_ORDER).history
    seen, rows = [], []
    for epoch in range(2):
        seen, rows = [], []
        for i, start in enumerate((0, 8, 16)):
            part = slice(start, start + 8)
            seen.append(twin.train_on_batch(x[part], y[part])[0])
            rows.append(len(x[part]))
            assert log.logs("train_batch_end")[3 * epoch + i]["loss"] == pytest.approx(
                np.average(seen, weights=rows), rel=1e-5
            )
        assert history["loss"][epoch] == log.logs("train_batch_end")[3 * epoch + 2]["loss"]


@pytest.mark.parametrize("hooks", [
    ["on_train_batch_begin"], ["on_train_batch_end"], ["on_batch_begin"], ["on_batch_end"],
])
def test_every_batch_hook_is_called_for_every_batch(hooks):
    class One(callbacks.Callback):
        calls = 0

    def count(self, batch, logs=None):
        assert batch == self.calls
        self.calls += 1

    for hook in hooks:
        setattr(One, hook, count)
    one = One()
    network().fit(*data(42), batch_size=4, callbacks=[one], **QUIET)
    assert one.calls == 11


def test_steps_per_execution_groups_the_hooks():
    log = Log()
    network(steps_per_execution=3).fit(*data(36), batch_size=4, callbacks=[log], **QUIET)
    calls = [call[:2] for call in log.calls if "batch" in call[0]]
    assert calls == [
        ("train_batch_begin", 0), ("train_batch_end", 2), ("train_batch_begin", 3), ("train_batch_end", 5),
        ("train_batch_begin", 6), ("train_batch_end", 8),
    ]


def test_parameters_and_model_of_callbacks():
    log = Log(batches=False)
    model = network()
    history = model.fit(*data(42), batch_size=8, epochs=2, callbacks=log, **QUIET)  # one, not in a list
    assert log.model is model and log.params == {"verbose": 0, "epochs": 2, "steps": 6}
    assert history.params == log.params and history.model is model and model.history is history


def test_the_history_sees_what_callbacks_put_into_the_logs():
    class Adds(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["learning_rate"] = 0.5 + epoch

    model = network()
    history = model.fit(*data(8), epochs=2, callbacks=[Adds()], **QUIET).history
    assert history["learning_rate"] == [0.5, 1.5] and list(history) == ["accuracy", "loss", "learning_rate"]


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end"])
def test_stop_training(hook):
    class Stop(callbacks.Callback):
        pass

    def stop(self, index, logs=None):
        if index == 2:
            self.model.stop_training = True

    setattr(Stop, hook, stop)
    log = Log()
    model = network()
    x, y = data(42)
    history = model.fit(x, y, batch_size=8, epochs=5, validation_split=0.1, callbacks=[Stop(), log], **QUIET)
    assert history.epoch == ([0, 1, 2] if hook == "on_epoch_end" else [0])
    assert log.names[-2:] == ["epoch_end", "train_end"] and "val_loss" in log.logs("epoch_end")[-1]
    if hook != "on_epoch_end":
        assert log.names.count("train_batch_end") == 3
    history = model.fit(x, y, batch_size=8, epochs=2, **QUIET)  # the next fit begins anew
    assert history.epoch == [0, 1]


def test_stop_training_of_a_generator():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    x, y = data(40)
    model = network()
    history = model.fit(batches(x, y), epochs=3, callbacks=[Stop()], **QUIET)
    assert history.epoch == [0] and model.optimizer.iterations == 2


def test_lambda_callback():
    seen = []
    spy = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(("epoch", epoch)),
        on_train_batch_end=lambda batch, logs: seen.append(("batch", batch)),
        on_train_begin=lambda logs: seen.append("begin"),
    )
    network().fit(*data(12), batch_size=8, callbacks=[spy], **QUIET)
    assert seen == ["begin", ("batch", 0), ("batch", 1), ("epoch", 0)]
    with pytest.raises(ValueError, match="on_epoch_ned"):
        callbacks.LambdaCallback(on_epoch_ned=print)


def test_a_history_of_the_user_is_used():
    own = callbacks.History()
    assert network().fit(*data(8), callbacks=[own], **QUIET) is own
    assert own.epoch == [0]


def test_an_error_in_a_callback_leaves_the_model_usable():
    class Fails(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise ArithmeticError("in a callback")

    x, y = data(16)
    model = network()
    with pytest.raises(ArithmeticError, match="in a callback"):
        model.fit(x, y, epochs=5, callbacks=[Fails()], **QUIET)
    assert model.history.epoch == [0] and model.optimizer.iterations == 2
    logs = model.fit(x, y, epochs=2, **QUIET).history
    assert np.isfinite(logs["loss"]).all() and logs["loss"][0] > 0


def test_evaluating_within_a_callback():
    x, y = data(16)
    seen = []

    class Evaluates(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(
                (self.model.evaluate(x, y, batch_size=8, verbose=0), self.model.predict(x, verbose=0).mean())
            )

    model = network()
    history = model.fit(
        x, y, batch_size=8, epochs=2, validation_data=(x, y), callbacks=[Evaluates()], **QUIET
    ).history
    assert [loss for (loss, _), _ in seen] == history["val_loss"]


# ------------------------------------------------------------------------- evaluate, predict, single batches


def test_return_forms():
    x, y = data(12)
    plain, full = network(metrics=[]), network(metrics=["acc", "mse"])
    assert type(plain.evaluate(x, y, **QUIET)) is float
    assert type(plain.train_on_batch(x, y)) is float and type(plain.test_on_batch(x, y)) is float
    for values in (full.evaluate(x, y, **QUIET), full.test_on_batch(x, y), full.train_on_batch(x, y)):
        assert len(values) == 3 and all(type(value) is float for value in values)
    for logs in (full.evaluate(x, y, return_dict=True, **QUIET), full.test_on_batch(x, y, return_dict=True),
                 full.train_on_batch(x, y, return_dict=True)):
        assert list(logs) == ["acc", "loss", "mse"]
    assert plain.evaluate(x, y, return_dict=True, **QUIET).keys() == {"loss"}
    assert full.metrics_names == ["loss", "acc", "mse"]


def test_values_of_evaluate():
    x, y = data(42)
    w = np.linspace(0, 2, 42)
    model = network(metrics=["accuracy", "mse"], weighted_metrics=["mae"])
    p = model.predict(x, **QUIET).astype("float64")
    rows = -(y * np.log(p) + (1 - y) * np.log(1 - p))[:, 0]
    for batch_size in (None, 1, 8, 42, 1000):
        logs = model.evaluate(x, y, batch_size=batch_size, sample_weight=w, return_dict=True, **QUIET)
        assert logs["loss"] == pytest.approx((rows * w).mean(), rel=1e-5)
        assert logs["accuracy"] == pytest.approx(((p > 0.5) == y).mean(), rel=1e-6)
        assert logs["mse"] == pytest.approx(((p - y) ** 2).mean(), rel=1e-5)
        assert logs["mae"] == pytest.approx((w * np.abs(p - y)[:, 0]).sum() / w.sum(), rel=1e-5)
    assert model.evaluate(x, y, batch_size=10, steps=2, **QUIET) == model.evaluate(
        x[:20], y[:20], batch_size=10, **QUIET
    )


def test_evaluate_changes_nothing():
    x, y = data(42)
    model = network(dropout=0.5)
    model.fit(x, y, **QUIET)
    before = state(model)
    values = model.evaluate(x, y, **QUIET)
    assert values == model.evaluate(x, y, **QUIET)
    model.predict(x, **QUIET)
    model.test_on_batch(x, y)
    after = state(model)
    for name in before:
        if not name.startswith("metric"):
            assert_same(after[name], before[name])


def test_values_of_the_one_batch_methods():
    """The loss of a batch is that of before the step, in training mode; the metrics start anew each time."""
    x, y = data(20)
    model = network()
    for _ in range(3):
        with keras.no_grad():
            twin = network()
            twin.set_weights(model.get_weights())
            expected = float(keras.losses.BinaryCrossentropy()(y, twin(x, training=True)))
        assert model.train_on_batch(x, y)[0] == pytest.approx(expected, rel=1e-5)
    assert model.test_on_batch(x, y) == model.evaluate(x, y, **QUIET)
    w = np.linspace(0, 1, 20)
    assert model.test_on_batch(x, y, sample_weight=w) == model.evaluate(x, y, sample_weight=w, **QUIET)


@pytest.mark.parametrize("batch_size", [None, 1, 5, 42, 1000])
def test_predict(batch_size):
    x, _ = data(42)
    model = network("labels", dropout=0.5)
    p = model.predict(x, batch_size=batch_size, **QUIET)
    assert p.shape == (42, 3) and p.dtype == np.float32 and isinstance(p, np.ndarray)
    np.testing.assert_allclose(p, model(x).numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    for i in (0, 17, 41):
        np.testing.assert_allclose(model.predict(x[i : i + 1], **QUIET), p[i : i + 1], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(model.predict_on_batch(x[i : i + 1]), p[i : i + 1], rtol=1e-5, atol=1e-7)


def test_predict_needs_no_compile():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(2)])
    x, _ = data(8)
    assert_same(model.predict(x, **QUIET), model(x).numpy())
    assert model.predict(x, batch_size=3, steps=2, **QUIET).shape == (6, 2)


def test_predict_sees_new_weights():
    x, _ = data(8)
    model = network()
    before = model.predict(x, **QUIET)
    model.set_weights([w + 0.1 for w in model.get_weights()])
    assert not np.array_equal(model.predict(x, **QUIET), before)


def test_predict_of_many_different_shapes():
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(2, activation="softmax")])
    generator = np.random.default_rng(0)
    for rows, length in [(1, 1), (3, 2), (2, 3), (3, 2), (1, 7)]:
        x = generator.standard_normal((rows, length, 4)).astype("float32")
        np.testing.assert_allclose(model.predict(x, **QUIET), model(x).numpy(), rtol=1e-5)


def test_subclassed_model():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")
            self.norm = layers.BatchNormalization()

        def call(self, inputs, training=False):
            return self.b(self.norm(self.a(inputs), training=training))

    x, y = data(42)
    model = Two()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    with Quiet():
        history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.25, **QUIET).history
    assert history["loss"][-1] < history["loss"][0] and model.train_program is not None
    assert model.layers == [model.a, model.b, model.norm] and len(model.weights) == 8
    assert model.output_shape == (None, 1)


# ------------------------------------------------------------------------------------------------- programs


def test_programs_are_recorded_once():
    x, y = data(42)
    model = network(dropout=0.2)
    with recordings() as recorded:
        model.fit(x, y, batch_size=8, epochs=3, validation_data=(x, y), **QUIET)
        assert sorted(title.split(",")[-1] for title in recorded) == [" 2 rows"] * 2 + [" 8 rows"] * 2
    other_x, other_y = data(50, seed=4)
    with recordings() as recorded:
        model.fit(x, y, batch_size=8, epochs=2, **QUIET)
        model.fit(other_x, other_y, batch_size=8, epochs=2, **QUIET)  # also ends in a batch of 2
        model.fit(x * 2, y, batch_size=8, callbacks=[Log()], **QUIET)
        model.evaluate(other_x, other_y, batch_size=8, **QUIET)
    assert recorded == []
    with recordings() as recorded:
        model.train_on_batch(x, y)
        model.predict(x, **QUIET)
    assert len(recorded) == 3  # of 42 rows; and predictions of 32 and 10 rows
    with recordings() as recorded:
        for _ in range(3):
            model.train_on_batch(x + 1, y)
            model.predict(x + 1, **QUIET)
            model.optimizer.learning_rate = 0.1
            model.set_weights(model.get_weights())
    assert recorded == []


def test_a_second_fit_uses_the_new_data():
    x, y = data(40)
    other_x, other_y = data(40, seed=9)
    model, twin = network(), network()
    model.fit(x, y, batch_size=8, **IN_ORDER)
    model.fit(other_x, other_y, batch_size=8, **IN_ORDER)
    one_by_one(one_by_one(twin, x, y, 8), other_x, other_y, 8)
    assert_same(model.get_weights(), twin.get_weights())


CHANGES = {
    "trainable": lambda model: setattr(model.layers[0], "trainable", False),
    "compile": lambda model: model.compile("sgd", "mse"),
    "add": lambda model: model.add(layers.Dense(1, activation="sigmoid", name="added")),
    "pop": lambda model: (model.pop(), model.add(layers.Dense(1, activation="sigmoid", name="other"))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_drops_programs(change):
    x, y = data(40)
    model = network()
    model.fit(x, y, batch_size=8, **QUIET)
    before = model.train_program
    change(model)
    with recordings() as recorded:
        model.fit(x, y, batch_size=8, **QUIET)
    assert len(recorded) == 1 and model.train_program is not before


def test_what_does_not_drop_programs():
    x, y = data(40)
    model = network()
    model.fit(x, y, batch_size=8, **QUIET)
    with recordings() as recorded:
        other = network(seed=3)  # another model
        other.layers[0].trainable = False
        model.layers[0].trainable = False
        model.layers[0].trainable = True
        model.fit(x, y, batch_size=8, **QUIET)
    assert recorded == []


def test_a_listing_names_what_it_works_on():
    model = network()
    model.fit(*data(16), batch_size=8, **QUIET)
    listing = str(model.train_program)
    assert (
        f"{len(model.train_program)} instructions" in listing
        and len(listing.splitlines()) == len(model.train_program) + 1
    )
    for name in (
        "dense/kernel",
        "dense/kernel/gradient",
        "batch_normalization/moving_mean",
        "dense_1/bias",
        "loss/total",
        "accuracy/count",
        "adam/weights",
        "learning_rate",
        "8x5",
    ):
        assert name in listing, name
    assert "matmul" in listing and "batch_normalization" in listing and "adam" in listing


# --------------------------------------------------------------------------------------------------- copies


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("make", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("epochs", [0, 2], ids=["new", "trained"])
def test_a_copy_goes_on_like_the_original(make, epochs):
    """And by itself: optimizer, slots, metrics and dropout's stream are its own."""
    x, y = data(42)
    options = {"weight_decay": 0.1, "use_ema": True, "gradient_accumulation_steps": 2}
    model = network(dropout=0.3, optimizer=keras.optimizers.Adam(0.01, **options))
    model.optimizer.exclude_from_weight_decay(var_list=[model.layers[0].kernel])
    model.fit(x, y, batch_size=8, epochs=epochs, **QUIET)
    twin = make(model)
    before = state(model)
    assert_same(twin.predict(x, **QUIET), model.predict(x, **QUIET))
    ours = twin.fit(x, y, batch_size=8, epochs=2, **IN_ORDER).history
    for name, array in state(model).items():
        assert_same(array, before[name])
    assert_same(model.fit(x, y, batch_size=8, epochs=2, **IN_ORDER).history, ours)
    assert_same(state(twin), state(model))
    assert not np.array_equal(twin.get_weights()[0], before["weight 0 dense/kernel"])


# ------------------------------------------------------------------------------------------------- printing


@pytest.mark.parametrize("verbose, lines", [(0, 0), (1, 4), ("auto", 4), (2, 4)])
def test_verbose(verbose, lines, capsys):
    network().fit(*data(16), epochs=2, verbose=verbose, validation_split=0.25)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == lines
    if lines:
        assert "Epoch 1/2" in out and "Epoch 2/2" in out and "val_accuracy" in out and "loss" in out


def test_one_epoch_prints_no_epoch(capsys):
    model = network()
    model.fit(*data(16))
    model.evaluate(*data(16))
    model.predict(data(16)[0])
    out = capsys.readouterr().out
    assert "Epoch" not in out and len(out.splitlines()) == 3 and "\x1b" not in out


def test_a_bar_of_the_user_s_own_is_the_only_one(capsys):
    network().fit(*data(16), callbacks=[callbacks.ProgbarLogger()], verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_history_can_be_written_to_json():
    history = network(metrics=["accuracy", "mse"]).fit(*data(16), epochs=2, validation_split=0.5, **QUIET)
    again = json.loads(
        json.dumps({"history": history.history, "epoch": history.epoch, "params": history.params})
    )
    assert again["history"] == history.history and again["epoch"] == [0, 1]
