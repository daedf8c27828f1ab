"""fit, evaluate, predict and the one-batch methods: batches, their order, what they compute, what is replayed.

The yardstick is mostly `train_on_batch`, one batch after the other. Data, validation and weights are in
test_trainer_data.py, hooks and printing in test_trainer_hooks.py.
"""

import copy
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import HEADS, Log, Quiet, assert_same, data, network, one_by_one, recordings, state

import minigrad as keras
from minigrad import layers
from minigrad.trainer import pool

QUIET = {"verbose": 0}
IN_ORDER = {"verbose": 0, "shuffle": False}


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
    assert [len(batch) for batch in half] == [9, 9, 9, 8, 32, 3]  # the validation has its own


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
    "activation": lambda model: setattr(model.layers[2], "activation", keras.activations.tanh),
    "momentum": lambda model: setattr(model.layers[1], "momentum", 0.5),
    "constraint": lambda model: setattr(model.layers[0].kernel, "constraint", keras.constraints.NonNeg()),
    "regularizer": lambda model: setattr(model.layers[0].kernel, "regularizer", keras.regularizers.L2(0.1)),
    "eagerly": lambda model: (setattr(model, "run_eagerly", True), setattr(model, "run_eagerly", False)),
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
        model.layers[2].activation = model.layers[2].activation  # what it was before
        model.layers[2].note = "an attribute that is no argument"
        assert len(model.optimizer.variables) == 2 + 2 * 6
        model.fit(x, y, batch_size=8, **QUIET)
    assert recorded == []


SETTINGS = {
    "activation": (2, "activation", keras.activations.tanh),
    "slope": (4, "negative_slope", 0.9),
    "epsilon": (1, "epsilon", 1.0),
}


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("index, name, value", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_changed_later_counts_at_once(index, name, value, run_eagerly):
    """In predict, in model(x), for batches of sizes seen before and new ones, in the next fit, without compile."""

    def make():
        keras.utils.set_random_seed(1)
        keras.utils.clear_session()
        first = [layers.Dense(4), layers.BatchNormalization(), layers.Activation("relu")]
        model = keras.Sequential([keras.Input((5,)), *first, layers.Dense(3), layers.LeakyReLU(), layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        return model

    x, y = data(40, target="regression")
    model, twin = make(), make()
    model.predict(x, **QUIET), model(x), model.evaluate(x, y, **QUIET), model.predict(x[:7], **QUIET)
    before = model.predict(x, **QUIET)
    for m in (model, twin):
        setattr(m.layers[index], name, value)
    assert not np.array_equal(model.predict(x, **QUIET), before)
    for rows in (40, 7, 11):
        assert_same(model.predict(x[:rows], **QUIET), twin.predict(x[:rows], **QUIET))
        assert_same(model(x[:rows]).numpy(), twin(x[:rows]).numpy())
    assert_same(model.evaluate(x, y, **QUIET), twin.evaluate(x, y, **QUIET))
    for m in (model, twin):
        m.seen = m.fit(x, y, batch_size=8, **IN_ORDER).history
    assert_same(model.seen, twin.seen)
    assert_same(state(model), state(twin))


def test_another_layer_without_weights_counts_at_once():
    """In a nested Sequential, and in place of an attribute of one's own model."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.act, self.dense = layers.Activation("relu"), layers.Dense(1)

        def call(self, inputs):
            return self.dense(self.act(inputs))

    x, y = data(40)
    inner = keras.Sequential([layers.Dense(3), layers.Activation("relu")])
    outer = keras.Sequential([keras.Input((5,)), inner])
    before = outer.predict(x, **QUIET), outer(x).numpy()
    inner.pop()
    inner.add(layers.Activation("sigmoid"))
    after = outer.predict(x, **QUIET), outer(x).numpy()
    assert_same(after[0], after[1])
    assert not np.array_equal(before[0], after[0]) and after[0].min() > 0
    model = Own()
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=8, **QUIET)
    before = model.train_program
    model.act = layers.Identity()
    model.fit(x, y, batch_size=8, **QUIET)
    assert len(model.train_program) < len(before)


def test_run_eagerly_can_be_switched():
    x, y = data(40)
    model = network()
    model.fit(x, y, batch_size=8, **QUIET)
    model.run_eagerly = True
    model.fit(x, y, batch_size=8, **QUIET)
    assert model.run_eagerly is True and model.train_program is None
    model.run_eagerly = False
    model.fit(x, y, batch_size=8, **QUIET)
    assert model.train_program is not None


def test_a_variable_that_only_the_loss_knows_gets_no_gradient():
    """Class weights in a Variable, say: the step is recorded all the same, and nothing is added up in it."""
    weights = keras.Variable([1.0, 2.0, 3.0])

    def loss(y, p):
        return -keras.ops.sum(y * keras.ops.log(p) * weights, axis=-1)

    model, (x, y) = network("one-hot", loss=loss), data(24, target="one-hot")
    with Quiet():
        model.fit(x, y, batch_size=8, **QUIET)
    assert model.train_program is not None and weights.grad is None
    assert weights.numpy().tolist() == [1.0, 2.0, 3.0]


def test_steps_are_kept_up_to_a_number_and_an_amount_of_memory(monkeypatch):
    model, (x, _) = network(), data(80)
    for rows in range(1, 81):
        model.predict_on_batch(x[:rows])
    with recordings() as recorded:
        for rows in (80, 17):
            model.predict_on_batch(x[:rows])  # the last 64 are kept
    assert recorded == []
    with recordings() as recorded:
        model.predict_on_batch(x[:16])
    assert len(recorded) == 1
    monkeypatch.setattr(pool, "MEMORY", 2 * model.predict_program.nbytes)
    model.predict_on_batch(x[:16])
    with recordings() as recorded:
        model.predict_on_batch(x[:16])  # one is kept
        model.predict_on_batch(x[:60])
        model.predict_on_batch(x[:60])  # also where it alone is too large
        model.predict_on_batch(x[:16])
    assert [title.split()[-2] for title in recorded] == ["60", "16"]
    assert model.predict_program.nbytes == 16 * 4 * (2 * 4 + 2) + 3 * 4, str(model.predict_program)


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
