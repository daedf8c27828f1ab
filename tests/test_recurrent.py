"""Recurrent layers: values, gradients, masks, states, threads, files; against the real Keras' numbers.

SimpleRNN, LSTM and GRU sit the exam in test_layers.py. Random networks beside the real Keras, and its files:
peers/test_recurrent_beside_keras.py.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same, random_input, state

import minigrad as keras
from minigrad import Tensor, layers, ops
from minigrad.layers import GRU, LSTM, RNN, Bidirectional, Dense, SimpleRNN, TimeDistributed
from minigrad.trees import leaves
from minigrad.utils import gradcheck

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_recurrent as golden

KERAS = dict(np.load(golden.FILE))
QUIET = {"verbose": 0}
RANDOM = np.random.default_rng(3)
KINDS = [SimpleRNN, LSTM, GRU]
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("name", golden.CASES)
def test_the_numbers_of_keras(name):
    kind, _, masked = golden.CASES[name]
    layer = golden.made(keras, name)
    x, *states = (Tensor(a, requires_grad=True) for a in golden.inputs(kind))
    ys = layer(x, initial_state=states, mask=golden.MASK if masked else None)
    ys = ys if isinstance(ys, list) else [ys]
    sum(ops.sum(y * golden.numbers(y.shape, k)) for k, y in enumerate(ys)).backward()
    found = [*(y.numpy() for y in ys), *(v.grad for v in [x, *states, *layer.trainable_weights])]
    for k, value in enumerate(found):
        np.testing.assert_allclose(value, KERAS[f"{name}|{k}"], 1e-7, 1e-9, err_msg=str(k))


@pytest.mark.parametrize("rows, steps, features, units", [(1, 1, 1, 1), (3, 2, 2, 9)])
@every_kind
def test_gradients_at_odd_shapes(kind, rows, steps, features, units):
    mask = RANDOM.random((rows, steps)) < 0.6
    mask[0] = False
    for masked in (False, True):
        layer = kind(units, return_sequences=masked, return_state=True, dtype="float64")
        x = Tensor(random_input((rows, steps, features)), requires_grad=True)
        states = [Tensor(random_input((rows, units), 1 + k), requires_grad=True) for k in range(len(layer.state_size))]
        layer(x)
        cell = layer.cell
        names = ["kernel", "recurrent_kernel", "bias"]
        weights = [Tensor(v.numpy() + 0.1, requires_grad=True) for v in cell.weights]

        def function(x, *rest, layer=layer, cell=cell, masked=masked, names=names):
            for name, weight in zip(names, rest, strict=False):
                setattr(cell, name, weight)
            return layer(x, initial_state=list(rest[3:]), mask=mask if masked else None)[0]

        assert gradcheck(function, x, *weights, *states)


ALIKE = [  # layers whose kernels are not those of the golden numbers, and some that are
    (SimpleRNN, {"activation": "elu", "recurrent_dropout": 0.4}), (SimpleRNN, {"activation": "softplus", "dropout": 0.3}),
    (LSTM, {"recurrent_dropout": 0.4}), (LSTM, {"activation": "selu", "recurrent_activation": "softsign", "dropout": 0.3}),
    (LSTM, {"activation": "relu", "dropout": 0.3, "recurrent_dropout": 0.4, "use_bias": False}),
    (GRU, {"activation": "linear", "recurrent_activation": "hard_sigmoid"}), (GRU, {"dropout": 0.3, "recurrent_dropout": 0.4}),
    (GRU, {"reset_after": False}), (GRU, {"reset_after": False, "activation": "relu", "dropout": 0.3, "recurrent_dropout": 0.4}),
    (GRU, {"activation": "silu", "reset_after": False, "recurrent_dropout": 0.4}),
]  # fmt: skip


@pytest.mark.parametrize("units, rows", [(1, 1), (5, 3), (19, 9)])
@pytest.mark.parametrize("kind, options", ALIKE)
def test_one_launch_computes_what_the_steps_do(kind, options, units, rows):
    """A cell of one's own, as this subclass, goes step by step. Both draw the same random numbers."""
    options = {**options, "dtype": "float64", "seed": 1}
    more = {"return_sequences": True, "return_state": True, "zero_output_for_mask": units == 5, "go_backwards": units == 1}
    quick = kind(units, **options, **more)

    class Own(type(quick.cell)):
        pass

    slow = RNN(Own(units, **options), dtype="float64", **more)
    mask = RANDOM.random((rows, 4)) < 0.6
    mask[0] = units == 1
    found, states = [], [random_input((rows, units), 1 + k) for k in range(len(quick.state_size))]
    for layer in (quick, slow):
        layer.build((rows, 4, 2))
        layer.set_weights([random_input(w.shape, k) for k, w in enumerate(layer.get_weights())])
        inputs = [Tensor(value, requires_grad=True) for value in (random_input((rows, 4, 2)), *states)]
        ys = layer(inputs[0], initial_state=inputs[1:], mask=mask, training=True)
        sum(ops.sum(y * golden.numbers(y.shape, k)) for k, y in enumerate(ys)).backward()
        found.append([*(y.numpy() for y in ys), *(v.grad for v in [*inputs, *layer.trainable_weights])])
        first, second = (layer(inputs[0], training=True)[0].numpy() for _ in range(2))
        assert units == 1 or (first != second).any() == ("dropout" in str(options))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, 1e-9, 1e-11)


def sequences():
    """A network with all that recurrent networks are made of."""
    x = keras.Input((6,), dtype="int32")
    y = layers.Embedding(7, 3, mask_zero=True)(x)
    y = Bidirectional(LSTM(4, return_sequences=True, dropout=0.2))(y)
    y = TimeDistributed(Dense(3))(y)
    y = GRU(3, reset_after=False, recurrent_dropout=0.2, return_sequences=True)(y)
    y, h = GRU(9, return_sequences=True, return_state=True)(y)
    y = SimpleRNN(2)(y)
    model = keras.Model(x, Dense(1)(layers.Concatenate()([y, h])))
    model.compile("adam", "mse", metrics=["mae"])
    return model


X, Y = RANDOM.integers(0, 7, (40, 6)), random_input((40, 1), dtype="float32")


def test_replay_equals_eager_and_goes_on_from_a_file(tmp_path):
    found = []
    for eagerly in (False, True):
        keras.utils.set_random_seed(1)
        keras.utils.clear_session()
        model = sequences()
        model.run_eagerly = eagerly
        history = model.fit(X, Y, 16, epochs=2, shuffle=False, **QUIET).history
        assert (model.train_program is None) is eagerly
        found.append([history, state(model), model.evaluate(X, Y, **QUIET), model.predict(X, **QUIET)])
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        for one in (model, again):
            one.fit(X, Y, 16, epochs=1, shuffle=False, **QUIET)
        assert_same(again.get_weights(), model.get_weights())
    assert_same(*found)
    for path in ("model.h5", "model.weights.h5"):
        (model.save if path == "model.h5" else model.save_weights)(tmp_path / path)
    assert_same(keras.saving.load_model(tmp_path / "model.h5").predict(X, **QUIET), model.predict(X, **QUIET))


@every_kind
def test_a_sample_does_not_depend_on_how_many_others_a_thread_has(kind):
    layer = kind(9, return_sequences=True)
    x = random_input((21, 3, 4), dtype="float32")
    y = layer(x).numpy()
    for first, last in ((0, 1), (3, 8), (8, 21)):
        assert_same(layer(x[first:last]).numpy(), y[first:last])


def test_one_step_activates_as_the_operations_do():
    """The kernels compute tanh and sigmoid in a shorter way; the numbers are the same to the bit."""
    x = random_input((40, 1, 3), dtype="float32") * 20
    layer = SimpleRNN(9)
    y = layer(x).numpy()
    z = ops.dense(x[:, 0], layer.cell.kernel, layer.cell.bias)
    assert_same(y, ops.tanh(z).numpy())
    layer = LSTM(9, unit_forget_bias=False)
    layer(x)
    i, _, g, o = ops.split(ops.dense(x[:, 0], layer.cell.kernel, layer.cell.bias), 4, axis=1)
    np.testing.assert_allclose(layer(x).numpy(), (ops.sigmoid(o) * ops.tanh(ops.sigmoid(i) * ops.tanh(g))).numpy(), 1e-6)


def test_stateful_layers_go_on_where_the_batch_before_ended():
    x, y = random_input((8, 6, 2), dtype="float32"), random_input((8, 1), 1, "float32")
    found = []
    for eagerly in (False, True):
        keras.utils.set_random_seed(2)
        model = keras.Sequential([keras.Input(batch_shape=(4, 6, 2)), LSTM(3, stateful=True), Dense(1)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        losses = model.fit(x, y, 4, epochs=2, shuffle=False, **QUIET).history["loss"]
        layer = model.layers[0]
        assert len(layer.weights) == 3 and len(layer.states) == 2
        first = model.predict(x[:4], batch_size=4, **QUIET)
        assert (first != model.predict(x[:4], batch_size=4, **QUIET)).any()
        layer.reset_states()
        assert not layer.states[0].numpy().any()
        found.append([losses, model.predict(x, batch_size=4, **QUIET)])
    assert_same(*found)
    whole = LSTM(3, return_sequences=True)
    whole.build((4, 6, 2))
    whole.set_weights(layer.get_weights())
    layer.reset_state()
    parts = [layer(x[:4, :3]).numpy(), layer(x[:4, 3:]).numpy()]
    np.testing.assert_allclose(parts, np.moveaxis(whole(x[:4]).numpy()[:, [2, 5]], 1, 0), 1e-6, 1e-7)
    with pytest.raises(ValueError, match="keeps the states of 4 rows; got a batch of 3"):
        layer(x[:3])
    with pytest.raises(ValueError, match=r"batch_shape=\(rows, steps, features\)"):
        keras.Sequential([keras.Input((6, 2)), GRU(3, stateful=True)])


def test_states_go_on_where_a_killed_training_ended(tmp_path):
    """To the bit, from a backup in the middle of an epoch."""
    x, y = random_input((20, 5, 2), dtype="float32"), random_input((20, 1), 1, "float32")

    def trained(callbacks):
        keras.utils.clear_session()
        keras.utils.set_random_seed(2)
        model = keras.Sequential([
            keras.Input(batch_shape=(4, 5, 2)), Bidirectional(LSTM(3, stateful=True, return_sequences=True)),
            RNN([layers.GRUCell(2), layers.LSTMCell(2)], stateful=True), Dense(1),
        ])  # fmt: skip
        model.compile("adam", "mse")
        history = model.fit(x, y, 4, epochs=3, shuffle=False, callbacks=callbacks, **QUIET).history
        return history, state(model), [v.numpy() for v in [*model.layers[0].states, *leaves(model.layers[1].states)]]

    def kill(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    expected = trained([])
    with pytest.raises(KeyboardInterrupt):
        trained([keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=7),
                 keras.callbacks.LambdaCallback(on_epoch_end=kill)])  # fmt: skip
    assert_same(trained([keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=7)]), expected)


def test_bidirectional_and_states():
    x = random_input((2, 4, 3))
    for mode, merge in (("concat", None), ("sum", np.add), ("mul", np.multiply), ("ave", lambda a, b: (a + b) / 2)):
        both = Bidirectional(GRU(3, return_sequences=True), merge_mode=mode, dtype="float64")
        y = both(x).numpy()
        forth, back = both.forward_layer(x).numpy(), both.backward_layer(x).numpy()[:, ::-1]
        assert_same(y, np.concatenate([forth, back], -1) if merge is None else merge(forth, back).astype(y.dtype))
    y, other, *states = Bidirectional(LSTM(3, return_state=True), merge_mode=None)(x)
    assert_same([y.numpy(), other.numpy()], [states[0].numpy(), states[2].numpy()]) and len(states) == 4
    h = keras.Input((3,))
    a = keras.Input((4, 2))
    model = keras.Model([a, h], GRU(3)(a, initial_state=h))
    assert model.predict([x[..., :2], x[:, 0]], **QUIET).shape == (2, 3)
    with pytest.raises(ValueError, match="go_backwards"):
        Bidirectional(GRU(3), backward_layer=GRU(3))
    with pytest.raises(ValueError, match="merge_mode"):
        Bidirectional(GRU(3), merge_mode="both")


def test_cells_of_ones_own_and_several():
    @keras.saving.register_keras_serializable("cells")
    class Minimal(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")

        def call(self, inputs, states):
            y = ops.tanh(ops.matmul(inputs, self.w) + states[0])
            return y, [y]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    model = keras.Sequential([keras.Input((3, 2)), RNN([Minimal(2), layers.LSTMCell(3)], return_state=False), Dense(1)])
    model.compile("sgd", "mse")
    x = random_input((8, 3, 2), dtype="float32")
    model.fit(x, x[:, 0, :1], **QUIET)
    assert model.train_program is not None and [w.name for w in model.layers[0].weights][0] == "w"
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))
    for wrong in (3, Dense(2)):
        with pytest.raises(ValueError, match="a cell has"):
            RNN(wrong)


def test_time_distributed():
    x = random_input((4, 3, 5), dtype="float32")
    dense = TimeDistributed(Dense(2))
    assert_same(dense(x).numpy(), dense.layer(x).numpy())
    assert [v.name for v in dense.weights] == ["kernel", "bias"]
    norm = TimeDistributed(layers.BatchNormalization(momentum=0.5))
    y = norm(x, training=True).numpy()
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)  # each step by its own statistics
    images = TimeDistributed(layers.Conv2D(2, 2))
    assert images.compute_output_shape((None, 3, 4, 4, 1)) == (None, 3, 3, 3, 2)
    with pytest.raises(ValueError, match="at least 3 axes"):
        dense(x[0])


@pytest.mark.parametrize("make, words", [
    (lambda: LSTM(0), "units must be a positive integer"), (lambda: GRU(3, dropout=2.0), r"dropout must be a number in \[0, 1\]"),
    (lambda: LSTM(3, use_cudnn="yes"), "use_cudnn"), (lambda: LSTM(3)(np.ones((2, 4))), "sequences"),
    (lambda: keras.Sequential([keras.Input((4, 2)), GRU(3), LSTM(2)]), r"'lstm\w*' \(LSTM\).*\(None, 3\).*return_sequences=True"),
    (lambda: LSTM(3)(np.ones((2, 4, 3)), mask=np.ones((2, 3), bool)), r"mask of shape \(2, 4\)"),
    (lambda: LSTM(3)(np.ones((2, 4, 3)), initial_state=np.ones((2, 3))), r"initial_state to have the shapes"),
    (lambda: keras.Sequential([keras.Input((4, None)), LSTM(3)]), "number of features"), (lambda: LSTM(3, time_major=True), "time_major"),
])  # fmt: skip
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
