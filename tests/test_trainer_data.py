"""What fit and its kin are given: arrays of any kind, streams of batches, weights, validation data."""

import itertools

import numpy as np
import pytest
from helpers import Log, Quiet, assert_same, batches, data, network, no_thread_stays, state

import minigrad as keras
from minigrad import layers

QUIET = {"verbose": 0}
IN_ORDER = {"verbose": 0, "shuffle": False}


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


@pytest.mark.parametrize("validation_batch_size, expected", [(None, 32), (6, 6)])
def test_the_batch_size_of_a_validation_is_not_that_of_steps_per_epoch(validation_batch_size, expected):
    x, y = data(70)
    settings = {"validation_steps": 1, "validation_data": (x, y), "steps_per_epoch": 7, "shuffle": False, **QUIET}
    model = network()
    model.fit(x, y, validation_batch_size=validation_batch_size, **settings)
    alone = model.evaluate(x[:expected], y[:expected], batch_size=expected, return_dict=True, **QUIET)
    assert model.history.history["val_loss"] == [alone["loss"]]


def test_a_validation_generator_may_fill_one_buffer_again_and_again():
    """Each batch is evaluated, not the last one several times."""

    def batches(is_copied):
        bx, by = np.empty((8, 5), "float32"), np.empty((8, 1), "float32")
        for i in range(0, 32, 8):
            bx[...], by[...] = x[i : i + 8], y[i : i + 8]
            yield (bx.copy(), by.copy()) if is_copied else (bx, by)

    x, y = (a.astype("float32") for a in data(32))
    losses = [
        network().fit(x, y, epochs=2, validation_data=batches(is_copied), verbose=0).history["val_loss"]
        for is_copied in (True, False)
    ]
    assert losses[0] == losses[1]


def test_a_validation_generator_gives_the_same_batches_after_every_epoch():
    """As in Keras: as many as validation_steps says, and no more are taken from it."""
    x, y = data(42)
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield x[i : i + 4], y[i : i + 4]

    model = network()
    model.optimizer.learning_rate = 0.0
    losses = model.fit(x, y, epochs=3, validation_data=endless(), validation_steps=2, **QUIET).history["loss"]
    assert taken == [0, 1] and len(losses) == 3
    few = itertools.islice(endless(), 2)
    with pytest.warns(UserWarning, match="ran out after 2 of 9 steps"):
        history = model.fit(x, y, epochs=3, validation_data=few, validation_steps=9, **QUIET).history
    assert len(history["val_loss"]) == 3


def test_data_that_ends_before_the_steps_is_told():
    x, y = data(20)
    model = network()
    with pytest.warns(UserWarning, match="ran out after 3 of 4 steps"):
        model.evaluate(x, y, steps=4, batch_size=8, **QUIET)
    with pytest.warns(UserWarning, match="ran out after 3 of 5 steps"):
        assert len(model.predict(x, steps=5, batch_size=8, **QUIET)) == 20


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


class Foreign:
    """An array of another library, as a data loader yields it."""

    def __init__(self, array):
        self.array = array
        self.shape, self.dtype = array.shape, str(array.dtype)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


class Loader:
    """Yields lists of another library's arrays, and does not know how many: torch's with an IterableDataset, or
    a tf.data.Dataset."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        raise TypeError("the dataset is infinite")

    def __iter__(self):
        return ([Foreign(x), Foreign(y)] for x, y in batches(self.x, self.y))


def test_a_data_loader():
    x, y = data(42)
    model, twin = network(), network()
    log = Log(batches=False)
    with Quiet():
        history = model.fit(Loader(x, y), epochs=2, validation_data=Loader(x, y), callbacks=[log], **QUIET).history
    assert_same(history, twin.fit(x, y, batch_size=8, epochs=2, validation_data=(x, y), **IN_ORDER).history)
    assert_same(model.predict(Loader(x, y), **QUIET), twin.predict(x, batch_size=8, **QUIET))
    assert log.params["steps"] is None


@pytest.mark.parametrize("make", [lambda x, y: batches(x, y), Loader, Sequence], ids=["generator", "loader", "sequence"])
def test_class_weight_of_streams(make):
    x, y = data(40)
    model, twin = network(), network()
    history = model.fit(make(x, y), class_weight={0: 0.25}, **QUIET).history
    assert_same(history, twin.fit(x, y, batch_size=8, class_weight={0: 0.25}, **IN_ORDER).history)


# ------------------------------------------------------------------------------------------------ PyDataset


class Parts(keras.utils.PyDataset):
    """Batches of eight rows; notes down what is asked of it."""

    def __init__(self, x, y, **settings):
        super().__init__(**settings)
        self.x, self.y = x, y
        self.asked, self.told = [], []

    def __len__(self):
        return -(-len(self.x) // 8)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.x[8 * index : 8 * index + 8], self.y[8 * index : 8 * index + 8]

    def on_epoch_begin(self):
        self.told.append("begin")

    def on_epoch_end(self):
        self.told.append("end")


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_py_dataset(workers):
    x, y = data(42)
    model, twin = network(), network()
    parts, held = Parts(x, y, workers=workers, max_queue_size=2), Parts(x, y, workers=workers)
    with Quiet():
        history = model.fit(parts, epochs=2, shuffle=False, validation_data=held, **QUIET)
    expected = twin.fit(x, y, batch_size=8, epochs=2, validation_data=(x, y), **IN_ORDER)
    assert_same(history.history, expected.history)
    assert_same(model.get_weights(), twin.get_weights())
    assert history.params["steps"] == 6
    assert parts.told == held.told == ["begin", "end"] * 2
    assert sorted(parts.asked) == sorted([0, *[0, 1, 2, 3, 4, 5] * 2])  # the first one is looked at beforehand
    assert_same(model.evaluate(parts, **QUIET), twin.evaluate(x, y, batch_size=8, **QUIET))
    assert_same(model.predict(parts, **QUIET), twin.predict(x, batch_size=8, **QUIET))


def test_the_batches_of_a_py_dataset_are_shuffled():
    x, y = data(160)
    parts = Parts(x, y)
    network().fit(parts, epochs=2, **QUIET)
    first, second = parts.asked[1:21], parts.asked[21:]
    assert sorted(first) == sorted(second) == list(range(20)) and first != second and first != sorted(first)
    parts.asked.clear()
    network().fit(Parts(x, y), validation_data=parts, **QUIET)
    assert parts.asked == [0, *range(20)]  # never those of a validation


def test_a_py_dataset_with_steps_per_epoch_goes_through_all_of_its_batches():
    x, y = data(40)
    parts = Parts(x, y)
    model = network()
    with pytest.warns(UserWarning, match="ran out after 1 of 2 steps"):
        history = model.fit(parts, epochs=3, steps_per_epoch=2, shuffle=False, **QUIET)
    assert parts.asked == [0, 0, 1, 2, 3, 4] and history.epoch == [0, 1, 2] and parts.told == ["begin", "end"] * 3


def test_an_endless_py_dataset():
    x, y = data(40)

    class Endless(keras.utils.PyDataset):
        num_batches = None
        asked = ()

        def __getitem__(self, index):
            self.asked = (*self.asked, index)
            rows = slice(8 * (index % 5), 8 * (index % 5) + 8)
            return x[rows], y[rows]

    endless = Endless()
    with Quiet():
        network().fit(endless, epochs=2, steps_per_epoch=3, **QUIET)
    assert endless.asked == (0, *range(6))
    with pytest.raises(ValueError, match="steps_per_epoch"):
        network().fit(endless, **QUIET)


def test_a_py_dataset_without_its_methods():
    class Nothing(keras.utils.PyDataset):
        pass

    with pytest.raises(TypeError, match="Nothing must define __len__"):
        network().fit(Nothing(), **QUIET)
    with pytest.raises(TypeError, match="must define __getitem__"):
        Nothing()[0]
    assert keras.utils.Sequence is keras.utils.PyDataset


def test_workers_are_gone_afterwards():
    """Also after an error in the middle of an epoch, which is the dataset's own."""
    x, y = data(80)

    class Broken(Parts):
        def __getitem__(self, index):
            if index == 7:
                raise OSError("the disk")
            return super().__getitem__(index)

    with no_thread_stays():
        with pytest.raises(OSError, match="the disk"):
            network().fit(Broken(x, y, workers=4), shuffle=False, **QUIET)
        network().fit(Parts(x, y, workers=4), steps_per_epoch=2, **QUIET)
