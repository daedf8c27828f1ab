"""Embedding: values, gradients, integers from the data to the kernel, replay, files, and indexes out of range."""

import json
import math

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import layers, no_grad, ops
from minigrad.layers import Dense, Embedding, Flatten
from minigrad.ops.shaping import take_rows
from minigrad.utils import gradcheck

QUIET = {"verbose": 0}
RANDOM = np.random.default_rng(3)
X, Y = RANDOM.integers(0, 50, (96, 5)), random_input((96, 1), dtype="float32")


def chain(*front, run_eagerly=False):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([*front, Embedding(50, 4, name="it"), Flatten(), Dense(1)])
    model.compile("adam", "mse", run_eagerly=run_eagerly)
    return model


@pytest.mark.parametrize("x", [
    [[1, 2], [0, 6]], np.array([[1, 2], [0, 6]], np.uint8), np.array([[1.0, 2.0], [0.0, 6.0]]),
    keras.Tensor([[1.0, 2.0], [0.0, 6.0]]), ops.convert_to_tensor([[1, 2], [0, 6]]), np.array([3, 3, 3]), [[[5]]],
])  # fmt: skip
def test_values(x):
    layer = Embedding(7, 3)
    y = layer(x)
    table = layer.get_weights()[0]
    assert table.shape == (7, 3) and 0 < np.abs(table).max() <= 0.05  # Keras' "uniform"
    assert_same(y.numpy(), table[np.asarray(x).astype(int)])
    assert layer.compute_output_shape((None, 4)) == (None, 4, 3) and layer.embeddings is layer.weights[0]
    assert layer(keras.Input((None,), dtype="int32")).shape == (None, None, 3)


def test_gradients_of_rows_used_twice_add_up_and_others_get_none():
    index = np.array([[2, 0, 2, 5]])
    x = keras.Tensor(random_input((6, 3)), requires_grad=True)
    assert gradcheck(lambda x: take_rows(x, index=index, n=4), x)
    x.grad = None
    take_rows(x, index=index, n=4).backward(np.ones((4, 3)))
    assert_same(x.grad[:, 0], np.array([1.0, 0, 2, 0, 0, 1]))


@pytest.mark.parametrize("name, settings, row", [
    ("Adam", {}, [0.297439, 0.25059]),
    ("Adam", {"amsgrad": True}, [0.297439, 0.25059]),
    ("Nadam", {}, [0.297744, 0.250435]),
    ("Adamax", {}, [0.249064, 0.272742]),
    ("RMSprop", {"centered": True}, [0.489662, 0.154121]),
    ("Adagrad", {}, [0.286571, 0.256144]),
    ("Adadelta", {}, [0.200179, 0.299909]),
    ("Ftrl", {}, [0.208868, 0.13819]),
    ("Adafactor", {}, [0.275904, 0.264219]),
    ("SGD", {"clipnorm": 0.5}, [0.23254, 0.28373]),
    ("Adam", {"clipnorm": 0.5}, [0.299999, 0.249291]),
    ("Adamax", {"clipnorm": 0.5}, [0.26, 0.266667]),
    ("Adam", {"clipvalue": 0.3}, [0.361163, 0.416585]),
    ("Adam", {"global_clipnorm": 0.5}, [0.499991, 1.5e-05]),
    ("Adam", {"gradient_accumulation_steps": 2}, [0.299998, 0.200002]),
])  # fmt: skip
def test_the_squares_of_a_row_used_twice_are_those_of_keras_on_tensorflow(name, settings, row):
    """Three steps; where Keras computed these numbers, each gradient was an IndexedSlices with row 1 three times."""
    rows, values = np.array([1, 1, 2, 5, 1]), (np.arange(10.0, dtype="float32").reshape(5, 2) - 4) / 8
    for is_inside, lookup in enumerate((lambda layer: layer(rows), lambda layer: ops.take(layer.embeddings, rows, 0))):
        layer = Embedding(6, 2, weights=[np.arange(12).reshape(6, 2) / 10])
        optimizer = getattr(keras.optimizers, name)(learning_rate=0.1, **settings)
        for i in range(3):
            with keras.GradientTape() as tape:
                loss = ops.sum(lookup(layer) * (values * (i + 1)))
                gradients = tape.gradient(loss, layer.trainable_variables) if is_inside else None
            gradients = gradients or tape.gradient(loss, layer.trainable_variables)
            optimizer.apply(gradients, layer.trainable_variables)
        np.testing.assert_allclose(layer.get_weights()[0][1], row, 1e-4, 2e-6)


class OwnStep(keras.Model):
    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


@pytest.mark.parametrize("settings", [{}, {"clipnorm": 0.01}, {"clipvalue": 0.001}, {"global_clipnorm": 0.01}], ids=str)
def test_all_ways_to_take_a_step_with_a_table_for_two_inputs_agree(settings):
    """Recorded and eager, with a step of one's own and with that of `fit`, in one go and resumed: to the bit."""
    x = [X[:, :2] % 7, X[:, 2:] % 7]
    found = []
    for kind, run_eagerly, goes in [
        (keras.Model, False, 1), (keras.Model, False, 2), (keras.Model, True, 1), (OwnStep, False, 1), (OwnStep, True, 1),
    ]:  # fmt: skip
        keras.utils.set_random_seed(1)
        inputs, table = [keras.Input((n,), dtype="int32") for n in (2, 3)], Embedding(7, 20)
        model = kind(inputs, Dense(1)(layers.concatenate([Flatten()(table(one)) for one in inputs])))
        model.compile(keras.optimizers.Adam(0.01, **settings), "mse", run_eagerly=run_eagerly)
        for _ in range(goes):
            model.fit(x, Y, epochs=4 // goes, batch_size=32, shuffle=False, **QUIET)
        assert (model.train_program is None) == run_eagerly
        found.append([*model.get_weights(), *map(np.asarray, model.optimizer.variables)])
        model.optimizer.step()  # once more, though no lookup tells anything
    for other in found[1:]:
        assert_same(other, found[0])


def test_a_table_used_in_another_way_has_a_gradient_that_is_a_sum():
    rows, found = np.array([1, 1, 2]), []
    for twist in (lambda y, t: y, lambda y, t: y + 0.0 * ops.sum(t)):
        layer, optimizer = Embedding(4, 3, weights=[np.ones((4, 3))]), keras.optimizers.Adagrad(0.1)
        optimizer.build(layer.trainable_variables)
        twist(ops.sum(layer(rows)), layer.embeddings).backward()
        optimizer.step()
        found.append(np.asarray(optimizer.variables[2])[:3, 0])
    np.testing.assert_allclose(found, [[0.1, 2.1, 1.1], [0.1, 4.1, 1.1]], 1e-6)


def test_a_table_is_penalized_held_and_started_as_asked():
    layer = Embedding(
        4, 2, embeddings_regularizer="l2", embeddings_constraint="non_neg", weights=[np.arange(8.0).reshape(4, 2)], dtype="float64"
    )
    assert_same(layer(np.array([3, 1])).numpy(), np.array([[6.0, 7], [2, 3]]))
    assert float(layer.losses[0]) == pytest.approx(0.01 * 140) and layer.weights[0].constraint is not None
    assert_same(Embedding(2, 2, weights=np.eye(2))([1]).numpy(), np.array([[0, 1]], "float32"))
    config = json.loads(json.dumps(layer.get_config()))
    assert Embedding.from_config(config).get_config() == layer.get_config() and config["mask_zero"] is False
    with pytest.raises(ValueError):
        Embedding(4, 2, weights=np.ones((3, 2)))


@pytest.mark.parametrize("front", [[], [keras.Input((5,))], [keras.Input((5,), dtype="int32")]], ids=["none", "float", "int"])
def test_replay_equals_eager_with_any_input(front):
    found = []
    for run_eagerly in (False, True):
        model = chain(*front, run_eagerly=run_eagerly)
        history = model.fit(X, Y, batch_size=40, epochs=3, **QUIET).history
        found.append([history, model.get_weights(), model.evaluate(X, Y, **QUIET), model.predict(X, **QUIET)])
        assert model.dtype == "float32" and history["loss"][-1] < history["loss"][0]
        np.testing.assert_allclose(model(X).numpy(), found[-1][-1], 1e-6, 1e-7)
    assert_same(*found)
    assert_same(found[0][:2], [(again := chain(*front)).fit(X.astype(float), Y, batch_size=40, epochs=3, **QUIET).history,
                               again.get_weights()])


def test_integers_stay_integers_from_the_data_to_the_kernel():
    model = chain(keras.Input((5,), dtype="int32"))
    model.fit(X, Y, **QUIET)
    launched = [kernel.name for kernel, *_ in model.train_program.instructions]
    assert "truncate" not in launched and "take_rows" in launched
    large = 2**24 + 10  # more than float32 can tell apart
    x = np.array([[large - 9], [large - 10], [large - 7], [5]])
    inputs = [keras.Input((1,), dtype="int64"), keras.Input((2,))]
    table = Embedding(large, 1, "zeros")
    model = keras.Model(inputs, Dense(1)(layers.concatenate([Flatten()(table(inputs[0])), inputs[1]])))
    model.compile("sgd", "mse")
    model.fit([x, np.ones((4, 2))], np.ones(4), **QUIET)
    assert set(np.flatnonzero(table.get_weights()[0])) == set(x.ravel())
    with pytest.raises(ValueError, match=r"float32.*Input\(shape, dtype='int64'\)"):
        table(x.astype("float32"))


@pytest.mark.parametrize("bad", [
    np.where(X == 3, 50, X), -X, X + 0.5, np.where(X == 3, math.nan, X), np.where(X == 3, math.inf, X),
], ids=["high", "negative", "fraction", "nan", "inf"])  # fmt: skip
def test_what_is_no_index_is_refused_before_anything_is_changed(bad):
    model = chain()
    model.fit(X, Y, **QUIET)
    before = model.get_weights()
    x = keras.Input((5,))
    around = keras.Model([x, keras.Input((1,))], model(x))
    around.compile("adam", "mse")
    for call in (
        lambda: model.fit(bad, Y, **QUIET), lambda: model.predict(bad, **QUIET), lambda: model(bad),
        lambda: model.fit(X, Y, validation_data=(bad, Y), **QUIET), lambda: model.train_on_batch(bad, Y),
        lambda: model.fit(((bad, Y) for _ in range(2)), **QUIET), lambda: around.fit([bad, Y], Y, **QUIET),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"'it' \(Embedding\) expected integers from 0 to 49"):
            call()
    assert_same(model.get_weights(), before)


def test_an_index_out_of_range_within_a_step_gives_nan_and_no_stray_read():
    x = keras.Input((5,))
    y = Embedding(50, 4)(x[:, 1:])
    model = keras.Model(x, y)
    found = model.predict(np.where(X == 3, 7000, X), **QUIET)
    assert_same(np.isnan(found).all(-1), (X == 3)[:, 1:])
    assert_same(np.isnan(found).any(-1), (X == 3)[:, 1:])
    table = keras.Tensor(np.ones((3, 2)), requires_grad=True)
    with no_grad():
        assert_same(take_rows(table, index=np.array([[-1, 1, 3]]), n=3).numpy()[:, 0], np.array([math.nan, 1, math.nan]))
    take_rows(table, index=np.array([[-1, 1, 3, 2**62]]), n=4).backward(np.ones((4, 2)))
    assert_same(table.grad[:, 0], np.array([0.0, 1, 0]))


def test_files(tmp_path):
    model = chain(keras.Input((5,), dtype="int32"))
    model.fit(X, Y, **QUIET)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        again = keras.saving.load_model(tmp_path / name)
        assert_same(again.predict(X, **QUIET), model.predict(X, **QUIET))
        assert again.layers[0].get_config() == model.layers[0].get_config()


@pytest.mark.parametrize("make, words", [
    (lambda: Embedding(0, 3), ["input_dim", "0"]),
    (lambda: Embedding(3, 2.5), ["output_dim", "2.5"]),
    (lambda: Embedding(3, 2, lora_rank=1), ["LoRA"]),
    (lambda: Embedding(3, 2)([3]), ["from 0 to 2", "input_dim=3", "to 3"]),
])  # fmt: skip
def test_errors(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), caught.value


def test_an_old_argument():
    with pytest.warns(UserWarning, match="input_length"):
        model = keras.Sequential([Embedding(50, 4, input_length=5), Flatten(), Dense(1)])
    assert model.predict(X, **QUIET).shape == (96, 1)
