"""Loops of one's own: a model called in training is replayed, on the tape that its recording has left."""

import copy
import pickle

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import GradientTape, Program, Tensor, layers, no_grad, ops
from minigrad.layers import Activation, BatchNormalization, Dense, Dropout, Layer, Masking
from minigrad.trainer.taped import MOST_LENT, MOST_SHAPES

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((40, 5)).astype("float32")
Y = (RANDOM.random((40, 1)) > 0.5).astype("float32")
LOSS = keras.losses.BinaryCrossentropy()


def network(*more, eager=False):
    keras.utils.set_random_seed(3)
    hidden = [Dense(8), BatchNormalization(), Activation("relu"), Dropout(0.3), Dense(4, activation="tanh"), *more]
    model = keras.Sequential([keras.Input((5,)), *hidden, Dense(1, activation="sigmoid")])
    model.run_eagerly = eager
    return model


def replayed(y):
    """Whether an output is the result of a replay."""
    node = logits(y)._node
    return node is not None and node.name == "replayed"


def logits(y):
    return y if y._logits is None else y._logits[0]


def step_of(y):
    """The step that computed an output."""
    return logits(y)._node.vjp.step


def with_backward(model, optimizer, x, y):
    loss = LOSS(y, model(x, training=True))
    for variable in model.trainable_variables:
        variable.grad = None
    loss.backward()
    optimizer.apply([v.grad for v in model.trainable_variables], model.trainable_variables)
    return loss


def with_tape(model, optimizer, x, y):
    with GradientTape() as tape:
        loss = LOSS(y, model(x, training=True))
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)
    return loss


def of_two_calls(model, optimizer, x, y):
    """The tapes of both calls are needed at once."""
    with GradientTape() as tape:
        first, second = model(x, training=True), model(-x, training=True)
        loss = LOSS(y, first) + ops.mean(ops.square(first - second))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss


@pytest.mark.parametrize("step", [with_backward, with_tape, of_two_calls])
def test_a_loop_has_the_bits_of_an_eager_one(step):
    found = []
    for eager in (False, True):
        model, optimizer, losses = network(eager=eager), keras.optimizers.Adam(0.01), []
        for _ in range(4):
            for first in (0, 12, 24, 36):  # the last batch is smaller
                losses.append(float(step(model, optimizer, X[first : first + 12], Y[first : first + 12])))
        assert replayed(model(X[:12], training=True)) is not eager
        found.append([np.array(losses), *model.get_weights()])
    assert_same(*found)


@pytest.mark.parametrize("make", [
    lambda: [keras.Input((6, 6, 3)), layers.Conv2D(4, 3), layers.GroupNormalization(2), layers.ReLU(), layers.Flatten()],
    lambda: [keras.Input((5, 4)), layers.Bidirectional(layers.LSTM(3, dropout=0.2, return_sequences=True)), layers.GRU(4)],
    lambda: [keras.Input((7,)), layers.SpectralNormalization(Dense(5)), BatchNormalization(renorm=True), layers.PReLU()],
    lambda: [keras.Input((7,)), keras.Sequential([Dense(4, "gelu"), layers.GaussianNoise(0.1)]), layers.LayerNormalization()],
])  # fmt: skip
def test_gradients_of_layers_of_many_kinds(make):
    found = []
    for eager in (False, True):
        keras.utils.set_random_seed(5)
        model = keras.Sequential([*make(), Dense(3, activation="softmax")])
        model.run_eagerly = eager
        x = np.random.default_rng(1).standard_normal((6, *model.input_shape[1:])).astype("float32")
        for _ in range(3):
            with GradientTape() as tape:
                y = model(x, training=True)
                loss = keras.losses.SparseCategoricalCrossentropy()(np.arange(6) % 3, y)
            gradients = tape.gradient(loss, model.trainable_variables)
        assert replayed(y) is not eager
        found.append([loss.numpy(), *(gradient.numpy() for gradient in gradients), *model.get_weights()])
    assert_same(*found)


def test_gradients_of_a_variable_with_several_uses_are_added_in_the_order_of_an_eager_loop():
    """The first is that of the penalty, then those of each call, of which each uses the layer three times."""
    found = []
    for eager in (False, True):
        keras.utils.set_random_seed(9)
        x, shared = keras.Input((5,)), Dense(5, activation="tanh")
        model = keras.Model(x, Dense(1)(shared(shared(shared(x)))))
        model.run_eagerly = eager
        for _ in range(3):
            with GradientTape() as tape:
                first, second = model(X[:7], training=True), model(X[7:14], training=True)
                loss = ops.mean(ops.square(first - second)) + 0.1 * ops.sum(ops.square(shared.kernel))
            gradients = tape.gradient(loss, model.trainable_variables)
            for variable in model.trainable_variables:
                variable.grad = None
            loss.backward()
        assert replayed(first) is replayed(second) is not eager
        found.append([*map(np.array, gradients), *(v.grad for v in model.trainable_variables)])
    assert_same(*found)


def test_the_way_back_of_a_replayed_call_can_be_recorded_or_meet_variables_that_have_moved():
    model, found = network(), []
    with GradientTape() as tape:
        loss = ops.sum(called(model))
    before = tape.gradient(loss, model.trainable_variables)

    def step():
        found[:] = tape.gradient(loss, model.trainable_variables)

    Program(step).replay()
    recorded = [*map(np.array, found)]
    for optimizer in keras.optimizers.Adam(), keras.optimizers.SGD():
        optimizer.build(model.trainable_variables)
        found.append(tape.gradient(loss, model.trainable_variables))
        loss.backward()
        found.append([v.grad.copy() for v in model.trainable_variables])
    for gradients in (recorded, *found[-4:]):
        assert_same(before, gradients)


def test_a_gradient_of_a_replayed_call_is_a_tensor_like_others():
    model, optimizer = network(), keras.optimizers.Adam()
    for _ in range(3):
        with GradientTape() as tape:
            loss = ops.sum(model(X[:8], training=True))
        gradients = tape.gradient(loss, {"kernel": model.layers[0].kernel, "others": model.trainable_variables[1:]})
        optimizer.apply([gradients["kernel"], *gradients["others"]], model.trainable_variables)
    kernel = gradients["kernel"]
    for same in (copy.copy(kernel), copy.deepcopy(kernel), pickle.loads(pickle.dumps(kernel)), kernel[:]):
        assert_same(np.array(same), kernel.numpy())
        assert same._data is not kernel._data
    with GradientTape() as tape:
        tape.watch(kernel)
        square = ops.sum(kernel * kernel)
    assert_same(tape.gradient(square, kernel).numpy(), 2 * kernel.numpy())


def test_the_first_batch_of_a_shape_is_eager_and_tapes_that_are_kept_are_few():
    model = network()
    kept = [model(X[:8], training=True) for _ in range(MOST_LENT + 3)]
    assert [replayed(y) for y in kept] == [False, *[True] * MOST_LENT, False, False]
    for y in kept:
        for variable in model.trainable_variables:
            variable.grad = None
        ops.sum(y).backward()
    steps = [step_of(y) for y in kept[1 : MOST_LENT + 1]]
    assert len(set(map(id, steps))) == MOST_LENT
    del kept, y
    assert step_of(model(X[:8], training=True)) in steps  # they have gone back to the pool
    assert not replayed(model(X[:9], training=True))


def test_a_loop_with_many_shapes_of_batches_is_eager():
    model, shapes = network(), range(2, MOST_SHAPES + 4)
    assert not any(replayed(model(X[:rows], training=True)) for rows in shapes)
    assert sum(replayed(model(X[:rows], training=True)) for rows in shapes) == MOST_SHAPES


def test_each_replay_has_values_of_its_own():
    model = network()
    values = []
    for _ in range(3):
        y = model(X[:8], training=True)
        values.append((y.numpy(), y.numpy().copy(), ops.sum(y)))
        del y
    for array, before, _ in values:
        assert_same(array, before)
    assert not np.array_equal(values[1][0], values[2][0])  # of another dropout


def test_without_the_tape_the_moving_statistics_move_and_no_step_is_lent():
    model = network()
    for _ in range(3):
        before = model.layers[1].moving_mean.numpy()
        with no_grad():
            y = model(X[:8], training=True)
        assert not y.requires_grad and not np.array_equal(before, model.layers[1].moving_mean.numpy())
    assert replayed(model(X[:8], training=True))  # also if the first ones were called without
    with GradientTape() as tape:
        with tape.stop_recording():
            y = model(X[:8], training=True)
        loss = ops.sum(y)
    assert tape.gradient(loss, model.trainable_variables) == [None] * 8


def called(model):
    model(X[:8], training=True)
    return model(X[:8], training=True)


def test_what_changes_a_model_changes_its_next_call():
    model = network()
    kernel = model.layers[0].kernel
    assert replayed(called(model))
    kernel.requires_grad = False
    y = called(model)
    assert not replayed(y)
    with GradientTape() as tape:
        tape.watch(kernel)
        loss = ops.sum(model(X[:8], training=True))
    assert tape.gradient(loss, kernel) is not None
    kernel.requires_grad = True
    assert replayed(called(model))
    model.layers[4].trainable = False
    y = called(model)
    assert replayed(y)
    ops.sum(y).backward()
    assert model.layers[4].kernel.grad is None and kernel.grad is not None
    seen, call = [], model.layers[4].call
    model.layers[4].call = lambda inputs: seen.append(inputs) or call(inputs)
    called(model)
    assert len(seen) == 2


def test_what_was_computed_before_a_tape_began_is_a_constant_for_it():
    model = network()
    y = called(model)
    with GradientTape() as tape:
        loss = ops.sum(y) + ops.sum(called(model))
    gradient = tape.gradient(loss, model.layers[-1].bias)
    alone = ops.sum(y * (1.0 - y)) + 0.0
    assert gradient is not None and alone.requires_grad
    with GradientTape() as tape:
        loss = ops.sum(y)
    assert tape.gradient(loss, model.layers[-1].bias) is None


class Own(Layer):
    def call(self, inputs):
        return inputs * 2.0


@pytest.mark.parametrize("make", [
    lambda: (network(Own()), X[:8]),
    lambda: (network(Dense(4, activity_regularizer="l2")), X[:8]),
    lambda: (network(Dense(4, activation=lambda x: ops.relu(x) * 2.0)), X[:8]),
    lambda: (keras.Sequential([keras.Input((3,)), layers.Embedding(5, 2), layers.Flatten(), Dense(1)]), X[:8, :3] ** 0),
    lambda: (keras.Sequential([keras.Input((3, 5)), Masking(), Dense(2)]), X[:6].reshape(2, 3, 5)),
    lambda: (network(), Tensor(X[:8], requires_grad=True)),
])  # fmt: skip
def test_what_is_eager(make):
    model, x = make()
    assert not any(replayed(model(x, training=True)) for _ in range(3))


def test_a_picture_of_the_tape_shows_what_was_recorded():
    model = network()
    assert "dense" in keras.utils.plot_graph(called(model), None)
