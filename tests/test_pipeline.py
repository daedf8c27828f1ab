"""Datasets that only order rows: trained as arrays, with the numbers of the pipeline; functions vectorised where it is the same.

tests/peers/test_data_sets_beside_tensorflow.py holds the methods of Dataset to tf.data.
"""

import itertools

import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad
from minigrad import data as feeding
from minigrad import ops
from minigrad.compat import old_names
from minigrad.compat.tensorflow import tensorflow
from minigrad.trainer import sources
from minigrad.trees import leaves
from minigrad.utils.pipeline import Dataset
from minigrad.utils.rowwise import is_rowwise, rowwise

tf = tensorflow()
X = np.random.default_rng(0).normal(size=(50, 3, 4)).astype("float32")


CHAINS = {
    "batch": lambda d: d.batch(8),
    "shuffled": lambda d: d.shuffle(100, seed=1).batch(8).prefetch(2),
    "shuffled in part": lambda d: d.shuffle(7, seed=1).batch(8, drop_remainder=True).repeat(2),
    "repeated": lambda d: d.cache().shuffle(10, seed=1).repeat(3).batch(8).skip(1).take(9),
    "cut": lambda d: d.take(30).skip(3).shuffle(9, seed=1, reshuffle_each_iteration=False).repeat(2).shuffle(20, seed=2).batch(7),
    "mapped": lambda d: d.map(lambda x, y: (x / 2, 1.0 - y)).shuffle(9, seed=1).batch(8),
    "mapped batches": lambda d: d.shuffle(9, seed=1).batch(8).map(lambda x, y: (x / 2, 1.0 - y)),
    "kept": lambda d: d.map(lambda x, y: (x[::-1], y)).cache().shuffle(9, seed=1).batch(8),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_over_arrays_is_trained_as_the_pipeline(name):
    x, y = data(36)
    histories, ends = [], []
    for is_picked in (True, False):
        rows = Dataset.from_tensor_slices((x, y))
        chain = CHAINS[name](rows if is_picked else rows.filter(lambda *_: True))
        assert (sources.arrays_of(chain) is not None) == is_picked
        model = network(dropout=0.3)
        histories.append(model.fit(chain, epochs=3, verbose=0, class_weight={0: 1.0, 1: 2.0}, validation_data=chain).history)
        ends.append(state(model))
        assert_same(model.predict(chain, verbose=0).shape[1:], (1,))
    assert_same(*histories)
    assert_same(*ends)


@pytest.mark.filterwarnings("ignore:The data ran out")
@pytest.mark.parametrize("steps", [2, 3, 7])
@pytest.mark.parametrize("endless", [None, "batches", "rows"])
def test_epochs_of_some_steps_go_on_in_the_pass(steps, endless):
    x, y = data(36)
    found = []
    for begin in (lambda d: d, lambda d: d.filter(lambda *_: True)):
        rows = begin(Dataset.from_tensor_slices((x, y))).shuffle(50, seed=2)
        chain = {None: rows.batch(8), "batches": rows.batch(8).repeat(), "rows": rows.repeat().batch(8)}[endless]
        model = network()
        found.append((model.fit(chain, epochs=4, steps_per_epoch=steps, verbose=0).history, state(model)))
    assert_same(*found)


def test_rows_that_are_read_by_chunks_may_come_again(monkeypatch):
    monkeypatch.setattr(feeding, "WHOLE", 0), monkeypatch.setattr(feeding, "CHUNK", 300)
    x, y = data(36, dtype="float64")
    found = []
    for is_picked in (True, False):
        rows = Dataset.from_tensor_slices((x, y))
        chain = (rows if is_picked else rows.filter(lambda *_: True)).take(9).repeat(4).shuffle(36, seed=1).batch(8)
        model = network()
        found.append((model.fit(chain, epochs=2, verbose=0).history, state(model)))
    assert_same(*found)


def test_an_order_is_that_of_the_elements():
    for size, n in itertools.product((1, 2, 5, 40), (0, 1, 4, 5, 9, 40, 3000)):
        one, other = Dataset.range(n).shuffle(size, seed=4), Dataset.range(n).filter(lambda i: True).shuffle(size, seed=4)
        for _ in range(2):
            assert [int(i) for i in one] == [int(i) for i in other]


def test_what_is_no_order_of_numbers_is_no_picked_source():
    with pytest.raises(ValueError, match="empty"):
        network().fit(Dataset.from_tensor_slices(data(3)).batch(8, drop_remainder=True))
    rows = Dataset.from_tensor_slices((np.ones((4, 2)), np.ones(4)))
    assert sources.arrays_of(rows.batch(2)) is not None
    assert sources.arrays_of(Dataset.from_tensor_slices((["a", "b"], [1, 2])).batch(2)) is not None
    for other in (
        rows, rows.batch(2).shuffle(3), rows.batch(2).map(lambda x, y: (x - tf.reduce_mean(x), y)), rows.map(lambda x, y: (x * np.random.random(), y)).batch(2),
        rows.enumerate(), [1], None,
    ):  # fmt: skip
        assert sources.arrays_of(other) is None


ROWWISE = {
    "elementwise": lambda x: (x - 1.0) / ops.maximum(x, 0.5) * np.arange(4.0, dtype="float32"),
    "constants": lambda x: (x, 3.0, np.arange(2)),
    "shapes": lambda x: tf.transpose(tf.reshape(x, (4, 3)))[..., tf.newaxis][:, 1:],
    "reductions": lambda x: (x - tf.reduce_mean(x)) / tf.math.reduce_std(x, axis=1, keepdims=True),
    "maximum of all": lambda x: x / tf.reduce_max(x),
    "ranks": lambda x: x[0] + x[1, 2] * x,
    "functions": lambda x: tf.exp(x) + tf.math.log(tf.abs(x)) * tf.sigmoid(x) - tf.tanh(tf.nn.softmax(x)),
    "one hot": lambda x: tf.one_hot(tf.argmax(x, axis=-1), 4),
    "joined": lambda x: tf.concat([x, tf.stack([x[0], x[1]], axis=0)], axis=0),
    "integers": lambda x: tf.cast(x * 10, tf.int32) // 3 + 1,
    "parts": lambda x: [tf.split(x, 2, axis=1)[1], tf.unstack(x)[2]],
    "conditions": lambda x: tf.where(x > 0, x, -x),
    "pictures": lambda x: tf.image.resize(tf.expand_dims(x, -1), (5, 5)),
    "order": lambda x: tf.sort(tf.squeeze(x[None], 0), axis=0),
    "dict": lambda x: {"a": x, "b": tf.clip_by_value(tf.cast(x, tf.float64), 0.0, 1.0)},
}


@pytest.mark.parametrize("name", ROWWISE)
def test_a_function_of_a_row_is_computed_for_a_batch(name):
    function = ROWWISE[name]
    of_batch = rowwise(function, X[0])
    batched = Dataset.from_tensor_slices(X).filter(lambda x: True).map(function).batch(50)
    (expected,) = batched.as_numpy_iterator()
    assert_same(of_batch(X), tuple(expected) if isinstance(expected, list) else expected)


BATCHWISE = {
    "elementwise": lambda x: (x / 255.0 - 1.0) / ops.maximum(x, np.float32([[0.5]])) * np.arange(4.0, dtype="float32"),
    "shapes": lambda x: tf.transpose(tf.reshape(x, (-1, 4, 3)), [0, 2, 1])[..., tf.newaxis][:, 1:],
    "reductions": lambda x: (x - tf.reduce_mean(x, [1, 2], keepdims=True)) / tf.math.reduce_std(x, axis=1, keepdims=True),
    "ranks": lambda x: (x[:, 0], x[:, 1, 2], tf.squeeze(x[:, :1], 1), tf.pad(x, [[0, 0], [1, 0], [0, 0]])),
    "functions": lambda x: tf.one_hot(tf.argmax(tf.nn.softmax(x), axis=-1), 4),
    "joined": lambda x: [tf.concat([x, x], axis=-1), tf.stack([x, -x], axis=1), tf.split(x, 2, axis=2)[1]],
    "pictures": lambda x: {"a": tf.image.resize(tf.expand_dims(x, -1), (5, 5)), "b": tf.where(x > 0, x, -x)},
}


@pytest.mark.parametrize("name", BATCHWISE)
def test_a_function_of_a_batch_is_computed_for_all_rows(name):
    function = BATCHWISE[name]
    assert is_rowwise(function, X[:2])
    batches = list(Dataset.from_tensor_slices(X).shuffle(9, seed=1).batch(7).map(function))
    again = sources.arrays_of(Dataset.from_tensor_slices(X).shuffle(9, seed=1).batch(7).map(function))
    order = np.concatenate(list(Dataset.range(len(X)).shuffle(9, seed=1).batch(50).as_numpy_iterator()))
    for i, found in enumerate(leaves(again)):
        np.testing.assert_array_equal(np.concatenate([leaves(tuple(b) if isinstance(b, list) else b)[i].numpy() for b in batches]), found[order])


@pytest.mark.parametrize("function", [
    lambda x: x - tf.reduce_mean(x, 0), lambda x: x / tf.reduce_max(x), lambda x: x * x.shape[0], lambda x: tf.reverse(x, [0]), lambda x: x[:2],
    lambda x: tf.reshape(x, (-1, 4)), lambda x: x[:, 0] + x[:, 1, 0], lambda x: x + np.ones((2, 3, 4)), lambda x: tf.transpose(x), lambda x: tf.squeeze(x),
    lambda x: x * float(x[0, 0, 0]), lambda x: x + tf.random.uniform([]), lambda x: 1.0, lambda x: tf.concat([x, x], 0), lambda x: tf.sort(x[:, 0, 0]),
    lambda x: x[..., 0, 0, 0], lambda x: tf.reshape(x, (len(x), -1)), lambda x: tf.stack([x, x]), lambda x: x * tf.Variable(1.0), lambda x: tf.reduce_sum(x, -3),
])  # fmt: skip
def test_what_may_mix_rows_is_computed_batch_by_batch(function):
    assert not is_rowwise(function, X[:2])


def test_a_layer_in_a_function_of_a_data_set_remembers_no_call():
    layer = minigrad.layers.Rescaling(2.0)
    found = list(Dataset.from_tensor_slices(X).batch(25).map(lambda x: layer(x)).map(layer))
    np.testing.assert_array_equal(np.concatenate(found), 4 * X)
    assert not is_rowwise(layer, X) and rowwise(layer, X[0]) is None and layer._calls == ()


@pytest.mark.parametrize("function", [
    lambda x: x * float(x[0, 0]), lambda x: x if x[0, 0] > 0 else -x, lambda x: np.sort(x), lambda x: x + tf.random.uniform([]), lambda x: x[x > 0],
    lambda x: tf.image.random_flip_left_right(x[..., None]), lambda x: tf.numpy_function(np.sin, [x], tf.float32), lambda x: x * np.random.rand(),
    lambda x: x @ tf.ones((4, 2)), lambda x: x * tf.Variable(2.0), lambda x: 1 / 0, lambda x: tf.gather(x, [1]),
])  # fmt: skip
def test_what_is_not_certain_is_computed_row_by_row(function):
    before = np.random.get_state()[2], minigrad.config.random_state()["stream"].tolist()
    assert rowwise(function, X[0]) is None
    assert before == (np.random.get_state()[2], minigrad.config.random_state()["stream"].tolist())


def test_rows_that_nobody_wants_are_not_computed():
    calls, (x, y) = [], data(36)
    rows = Dataset.from_tensor_slices((x, y)).map(lambda x, y: (calls.append(1), (x * float(x[0]), y))[1]).cache().batch(4)
    model = network()
    model.fit(rows.take(2), epochs=2, verbose=0)
    assert len(calls) <= 10
    model.fit(rows.take(6), epochs=2, verbose=0)
    assert 36 <= len(calls) <= 38 and sources.arrays_of(rows.take(1)) is not None


def test_a_method_reads_nothing_and_a_function_is_called_when_it_is_needed():
    calls = []
    data = Dataset.from_tensor_slices((X, np.arange(50))).map(lambda x, y: (calls.append(1), (x * float(y), y))[1]).cache().shuffle(9).batch(10)
    assert len(data) == 5 and int(data.cardinality()) == 5 and not calls
    assert len(list(data)) == len(list(data)) == 5 and len(calls) == 51  # once with a Row, in vain
    assert data.element_spec[0].shape == (None, 3, 4)


@pytest.mark.parametrize("call, words", [
    (lambda: Dataset.list_files("/no/such/*.png"), "there is no file"),
    (lambda: Dataset.range(0).element_spec, None),
    (lambda: list(Dataset.range(3).map(lambda i: tf.range(i)).batch(3)), "different shapes"),
    (lambda: Dataset.from_tensor_slices([]).map(lambda i: i).batch(2).element_spec, "empty"),
    (lambda: Dataset.range(3).shuffle(0), "buffer_size must be an int of at least 1"),
    (lambda: tf.data.experimental.make_csv_dataset("/no/such.csv", 2), "there is no file"),
    (lambda: tf.io.decode_csv(["1,2"], [0]), "A table of 1 columns has 2 fields"),
    (lambda: tf.io.decode_csv(["a"], [0]), "holds no numbers of int32"),
    (lambda: tf.io.decode_csv([","], [0, tf.float32]), "Column 1 of the table must not be empty"),
    (lambda: tf.Variable(), "initial_value"),
    (lambda: tf.Variable("text"), "holds numbers"),
    (lambda: tf.train.Checkpoint(step=3), "step is a int"),
    (lambda: tf.image.random_crop(X[0], [9, 9]), "can't take a part"),
])  # fmt: skip
def test_errors_say_what_is_wrong(call, words):
    if words is None:
        assert call().shape == ()
        return
    with pytest.raises(ValueError, match=words):
        call()


def trained(model):
    return {key: value for key, value in state(model).items() if "metric" not in key}


def test_checkpoints_bring_everything_back(tmp_path):
    x, y = data(36)
    model, step = network(dropout=0.3), tf.Variable(0)
    checkpoint = tf.train.Checkpoint(model=model, step=step)
    manager = tf.train.CheckpointManager(checkpoint, tmp_path / "c", max_to_keep=2)
    assert manager.restore_or_initialize() is None and checkpoint.restore(None).expect_partial()
    model.fit(x, y, verbose=0, shuffle=False)
    kept, path = trained(model), manager.save(checkpoint_number=step.assign_add(5))
    after = model.fit(x, y, verbose=0, shuffle=False).history
    step.assign(0)
    other, other_step = network(dropout=0.3), tf.Variable(0)
    for one, its_step in ((model, step), (other, other_step)):
        tf.train.Checkpoint(model=one, step=its_step).restore(path).assert_consumed()
        assert int(its_step) == 5
        assert_same(trained(one), kept)
        assert_same(one.fit(x, y, verbose=0, shuffle=False).history, after)
    for _ in range(2):
        manager.save()
    assert [p.rsplit("-", 1)[1] for p in manager.checkpoints] == ["2", "3"]
    again = tf.train.CheckpointManager(checkpoint, tmp_path / "c", max_to_keep=2)
    assert again.checkpoints == manager.checkpoints and tf.train.latest_checkpoint(tmp_path / "c") == manager.latest_checkpoint
    with pytest.raises(FileNotFoundError):
        checkpoint.restore(path)
    with pytest.raises(ValueError, match="has variables of the shapes"):
        tf.train.Checkpoint(model=minigrad.Sequential([minigrad.Input((3,)), minigrad.layers.Dense(1)])).restore(manager.latest_checkpoint)


def test_a_part_of_a_variable_is_assigned_in_a_recorded_step():
    v = tf.Variable([1.0, 2.0, 3.0])

    @tf.function
    def step(x):
        v[1].assign(v[1] + x)
        v[2:].assign(x[None])
        return v[0] + v[1]

    assert [float(step(tf.constant(n))) for n in (1.0, 2.0, 4.0)] == [4.0, 6.0, 10.0] and v.numpy().tolist() == [1.0, 9.0, 4.0]
    with tf.GradientTape() as tape:
        y = v[1] * v[1] + v[0]
    assert tape.gradient(y, v).numpy().tolist() == [1.0, 18.0, 0.0]


def test_k_function():
    model = minigrad.Sequential([minigrad.Input((4,)), minigrad.layers.Dropout(0.5), minigrad.layers.Dense(2)])
    x = np.ones((3, 4), "float32")
    with pytest.warns(FutureWarning, match="Model\\(inputs, outputs\\)"):
        call = old_names.name("keras.backend.function")([model.input, None], [model.layers[0].output, model.output])
    first, second = call([x, 0])
    assert_same(first, x)
    assert_same(second, np.asarray(model(x)))
    assert (call([x, 1])[0] != x).any()
    call = old_names.name("keras.backend.function")
    assert_same(call([model.input], [model.output])([x]), [second])
    assert_same(call(model.input, model.output)(x), second)
