"""to_categorical, seeds, names, the gradient checker, configuration."""

import random

import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import ops
from minigrad.utils import gradcheck, to_categorical

# -------------------------------------------------------------------------------------------- to_categorical


@pytest.mark.parametrize(
    "x, shape",
    [
        ([0, 2, 1], (3, 3)),
        ([[0], [2], [1]], (3, 3)),
        ([[0, 1], [2, 0]], (2, 2, 3)),
        (2, (3,)),
        ([[[0], [2]]], (1, 2, 3)),
        (np.array([0.0, 2.0]), (2, 3)),
        (np.array([0, 2], "uint8"), (2, 3)),
        (np.array([], int), (0, 0)),
    ],
)
def test_to_categorical(x, shape):
    one_hot = to_categorical(x)
    assert one_hot.shape == shape and one_hot.dtype == np.float32
    if one_hot.size:
        assert_same(one_hot.argmax(-1).ravel(), np.ravel(x).astype("int64"))
        assert (one_hot.sum(-1) == 1).all() and set(np.unique(one_hot)) == {0, 1}


def test_number_of_classes():
    assert_same(to_categorical([1, 0], 4), np.array([[0, 1, 0, 0], [1, 0, 0, 0]], "float32"))
    assert to_categorical(np.array([], int), 3).shape == (0, 3)
    assert to_categorical([True, False]).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("x, classes, words", [
    ([0, 3], 3, ["0 to 2", "3"]), ([-1, 0], None, ["-1"]), ([0.5, 1], None, ["integer", "0.5"]),
    (["a"], None, ["integer"]), ([np.nan, 1], None, ["integer"]), ([0, 1], -1, ["num_classes", "-1"]),
    ([0, 1], 2.5, ["num_classes", "2.5"]), ([0, 1], 0, ["num_classes", "0"]),
])
def test_to_categorical_of_something_else(x, classes, words):
    with pytest.raises(ValueError) as error:
        to_categorical(x, classes)
    for word in words:
        assert word in str(error.value)


# ----------------------------------------------------------------------------------------------------- seeds


def test_set_random_seed_seeds_everything():
    def draws():
        dropout = keras.layers.Dropout(0.5)(np.ones((4, 50), "float32"), training=True).numpy()
        return random.random(), np.random.random(3), keras.initializers.HeNormal()((3, 4)), dropout

    keras.utils.set_random_seed(12)
    first = draws()
    other = draws()
    assert not np.array_equal(first[2], other[2]) and not np.array_equal(first[3], other[3])
    keras.utils.set_random_seed(12)
    assert_same(draws(), first)
    keras.utils.set_random_seed(13)
    assert not np.array_equal(draws()[2], first[2])


def test_a_seeded_run_repeats():
    def run(seed):
        model = network(dropout=0.3, seed=seed)
        model.fit(*data(), batch_size=8, epochs=2, verbose=0)
        return state(model)

    assert_same(run(1), run(1))
    assert not np.array_equal(run(1)["weight 0 dense/kernel"], run(2)["weight 0 dense/kernel"])


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, True])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="set_random_seed"):
        keras.utils.set_random_seed(seed)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(5)])
def test_good_seeds(seed):
    keras.utils.set_random_seed(seed)


def test_clear_session_starts_names_anew():
    keras.utils.clear_session()
    first = [
        keras.layers.Dense(1).name,
        keras.layers.Dense(1).name,
        keras.Sequential().name,
        keras.metrics.Mean(None).name,
    ]
    keras.utils.clear_session()
    again = [
        keras.layers.Dense(1).name,
        keras.layers.Dense(1).name,
        keras.Sequential().name,
        keras.metrics.Mean(None).name,
    ]
    assert first == again == ["dense", "dense_1", "sequential", "mean"]


def test_clear_session_leaves_models_alone():
    x, y = data(8)
    model = network()
    before = model.predict(x, verbose=0)
    keras.utils.clear_session()
    assert_same(model.predict(x, verbose=0), before)
    model.fit(x, y, verbose=0)


# ------------------------------------------------------------------------------------------------- gradcheck


def leaf(*shape, seed=0, **settings):
    return keras.Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True, **settings)


def test_gradcheck_passes_what_is_right():
    assert gradcheck(lambda a, b: ops.tanh(ops.matmul(a, b)), leaf(3, 4), leaf(4, 2)) is True
    assert gradcheck(lambda a: (a * a).sum(), leaf(5))
    assert gradcheck(lambda a: a, leaf())


@keras.op("(...) -> (...)")
def wrong_by_a_percent(y, x):
    """y = x^2, with a slope that is 1 % too large."""
    keras.launch(keras.kernels.square, x, y)

    def vjp(gy, gx):
        keras.launch(keras.kernels.square_vjp, gy, x, gx)
        gx *= 1.01

    return vjp


@keras.op("(...), (...) -> (...)")
def forgets_one(y, a, b):
    """y = a + b, with a gradient for b of zero."""
    keras.launch(keras.kernels.add, a, b, y)

    def vjp(gy, ga, gb):
        ga[...] = gy
        if gb is not None:
            gb[...] = 0

    return vjp


@keras.op("(...) -> (...)")
def forgets_what_flows_in(y, x):
    """y = x^2, with a slope that is right only for a gradient of ones flowing in."""
    keras.launch(keras.kernels.square, x, y)

    def vjp(gy, gx):
        gx[...] = 2 * x

    return vjp


def test_gradcheck_fails_what_is_wrong():
    with pytest.raises(AssertionError):
        gradcheck(forgets_what_flows_in, leaf(3, 4))
    with pytest.raises(AssertionError, match="tape says.*differences say"):
        gradcheck(wrong_by_a_percent, leaf(3, 4))
    with pytest.raises(AssertionError):
        gradcheck(forgets_one, leaf(3), leaf(3, seed=1))
    with pytest.raises(AssertionError):
        gradcheck(lambda a: a.detach() * 2.0, leaf(3))
    with pytest.raises(AssertionError):
        gradcheck(lambda a, b: a * b.detach(), leaf(3), leaf(3, seed=1))


def test_gradcheck_looks_only_at_what_requires_a_gradient():
    constant = keras.Tensor(np.ones(3))
    assert gradcheck(lambda a, b: forgets_one(a, b), leaf(3), constant)


def test_gradcheck_leaves_its_tensors_alone():
    a = leaf(3)
    before = a.numpy().copy()
    gradcheck(lambda a: a * a, a)
    assert_same(a.numpy(), before)
    assert a.grad is None


@pytest.mark.parametrize("tensors, words", [
    ([keras.Tensor(np.ones(3))], ["requires_grad"]), ([], ["requires_grad"]),
    ([keras.Tensor(np.ones(3, "float32"), requires_grad=True)], ["float64", "float32"]),
])
def test_gradcheck_of_unsuitable_tensors(tensors, words):
    with pytest.raises(ValueError) as error:
        gradcheck(lambda *a: a[0], *tensors)
    for word in words:
        assert word in str(error.value)


# ---------------------------------------------------------------------------------------------------- config


def test_floatx():
    assert keras.config.floatx() == "float32"
    with pytest.raises(ValueError, match="float16"):
        keras.config.set_floatx("float16")
    keras.config.set_floatx("float64")
    try:
        model = network()
        x, y = data(16, dtype="float64")
        model.fit(x, y, batch_size=8, verbose=0)
        assert {v.dtype.name for v in model.weights} == {"float64"}
        assert model.predict(x, verbose=0).dtype == np.float64
        inputs = x + 1e-12  # too little for float32 to see
        assert not np.array_equal(model.predict(inputs, verbose=0), model.predict(x, verbose=0))
    finally:
        keras.config.set_floatx("float32")


def test_epsilon():
    assert keras.config.epsilon() == 1e-7
    try:
        keras.config.set_epsilon(1e-3)
        loss = keras.losses.BinaryCrossentropy()
        assert float(loss(np.ones((1, 1)), np.zeros((1, 1)))) == pytest.approx(-np.log(1e-3), rel=1e-5)
    finally:
        keras.config.set_epsilon(1e-7)
