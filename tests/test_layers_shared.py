"""Layers that several models share, that are frozen, and whose weights are exchanged."""

import re
import sys

import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import layers


def test_layers_shared_between_two_models():
    """Each model's training moves the shared weights on from where the other left them."""
    x, y = data(24)
    body = [layers.Dense(4, name="shared"), layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")]
    one = keras.Sequential([keras.Input((5,)), *body, layers.Dense(1, name="one")])
    two = keras.Sequential([keras.Input((5,)), *body, layers.Dense(1, name="two")])
    one.compile(keras.optimizers.Adam(0.01), "mse")
    two.compile(keras.optimizers.Adam(0.01), "mse")

    def twin(model):
        copy = keras.Sequential.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        copy.compile(keras.optimizers.Adam(0.01), "mse")
        return copy

    first, second = twin(one), twin(two)
    for turn in range(3):
        for model, copy, other in ((one, first, second), (two, second, first)):
            settings = {"batch_size": 8, "shuffle": False, "verbose": 0}
            model.fit(x, y, **settings)
            copy.fit(x, y, **settings)
            assert_same(model.get_weights(), copy.get_weights())
            other.set_weights([*copy.get_weights()[:6], *other.get_weights()[6:]])
        assert_same(one.get_weights()[:6], two.get_weights()[:6])
        assert_same(model.optimizer.iterations, 3 * (turn + 1))


def test_trainable_set_after_a_fit_takes_effect_at_once():
    x, y = data(24)
    model = network()
    model.fit(x, y, batch_size=8, verbose=0)
    before = model.get_weights()
    first, norm = model.layers[:2]
    first.trainable = norm.trainable = False
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    after = model.get_weights()
    assert_same(after[:6], before[:6])
    assert not np.array_equal(after[6], before[6])
    norm.trainable = True
    model.fit(x, y, batch_size=8, verbose=0)
    thawed = model.get_weights()
    assert_same(thawed[:2], before[:2])
    assert all(not np.array_equal(a, b) for a, b in zip(thawed[2:6], before[2:6], strict=True))
    model.trainable = False
    with pytest.warns(UserWarning, match="no trainable weights"):
        history = model.fit(x, y, batch_size=8, verbose=0)
    assert_same(model.get_weights(), thawed)
    assert history.history["loss"] == pytest.approx([model.evaluate(x, y, verbose=0)[0]], rel=1e-5)


def test_trainable_is_read_by_an_eager_step_and_a_replayed_one_alike():
    def train(run_eagerly):
        model = network(run_eagerly=run_eagerly)
        x, y = data(24)
        for frozen in (False, True, False):
            model.layers[1].trainable = not frozen
            model.fit(x, y, batch_size=8, verbose=0)
        return state(model)

    assert_same(train(False), train(True))


def test_weights_set_between_fits_are_used():
    x, y = data(24)
    new = [w * 0.5 for w in network().get_weights()]

    def train(change):
        model = network()
        model.fit(x, y, batch_size=8, verbose=0)
        change(model)
        model.fit(x, y, batch_size=8, verbose=0)
        return state(model)

    def assign(model):
        for v, w in zip(model.weights, new, strict=True):
            v.assign(w)

    expected = train(lambda model: model.set_weights(new))
    assert_same(train(assign), expected)
    assert not np.array_equal(
        train(lambda model: None)["weight 0 dense/kernel"], expected["weight 0 dense/kernel"]
    )


@pytest.mark.parametrize("weights, words", [
    ([np.ones((5, 3))], ["it", "2 weights", "1"]),
    ([np.ones((5, 3)), np.ones(3), np.ones(1)], ["it", "2 weights", "3"]),
    ([np.ones((5, 2)), np.ones(3)], ["it", "it/kernel", "(5, 3)", "(5, 2)"]),
    ([np.ones((5, 3)), np.ones((3, 1))], ["it", "it/bias", "(3,)", "(3, 1)"]),
    ([np.ones((5, 3)), np.array(["a", "b", "c"])], ["it", "it/bias"]),
    ([np.ones((5, 3)), np.ones(3) * 1j], ["it", "it/bias", "complex"]),
])
def test_set_weights_that_do_not_fit(weights, words):
    layer = layers.Dense(3, name="it")
    layer.build((None, 5))
    before = layer.get_weights()
    with pytest.raises(ValueError) as error:
        layer.set_weights(weights)
    for word in words:
        assert word in str(error.value)
    assert_same(layer.get_weights(), before)


def test_get_weights_are_copies():
    layer = layers.Dense(3)
    layer.build((None, 5))
    weights = layer.get_weights()
    weights[0][...] = 7
    assert not (layer.kernel.numpy() == 7).any()


def test_names():
    keras.utils.clear_session()
    assert [
        layers.Dense(1).name,
        layers.Dense(1).name,
        layers.Dense(1, name="dense_2").name,
        layers.Dense(1).name,
    ] == ["dense", "dense_1", "dense_2", "dense_2"]
    assert layers.LeakyReLU().name == "leaky_re_lu" and layers.ReLU().name == "re_lu"
    assert re.match(r"<Dense name=dense_3 built=False>", repr(layers.Dense(1)))


def test_floatx_is_the_dtype_of_layers_made_from_then_on():
    try:
        keras.config.set_floatx("float64")
        layer = layers.Dense(2)
        assert layer(np.ones((2, 2))).dtype == np.float64
    finally:
        keras.config.set_floatx("float32")
    assert layers.Dense(2)(np.ones((2, 2))).dtype == np.float32
    assert sys.float_info.epsilon < keras.config.epsilon()
