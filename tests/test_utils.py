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


# ------------------------------------------------------------------------------- normalize and split_dataset


@pytest.mark.parametrize("x, options, expected", [
    ([[3, 4], [0, 0]], {}, [[0.6, 0.8], [0, 0]]),
    ([3.0, 4.0], {}, [0.6, 0.8]),
    (np.arange(8.0).reshape(2, 2, 2), {"axis": 1, "order": 1},
     [[[0, 0.25], [1, 0.75]], [[0.4, 5 / 12], [0.6, 7 / 12]]]),
    (np.array([[3.0, -4.0]], "float32"), {"order": np.inf}, [[0.75, -1]]),
    ([[3.0, 4.0], [4.0, 3.0]], {"axis": 0}, [[0.6, 0.8], [0.8, 0.6]]),
])  # fmt: skip
def test_normalize(x, options, expected):
    y = keras.utils.normalize(x, **options)
    assert isinstance(y, np.ndarray) and y.dtype == (x.dtype if isinstance(x, np.ndarray) else "float64" if np.asarray(x).dtype == float else "float32")
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize("sizes, left, right", [
    ({"left_size": 0.75}, 8, 2), ({"right_size": 0.25}, 8, 2), ({"left_size": 3}, 3, 7), ({"left_size": 3, "right_size": 4}, 3, 4),
    ({"left_size": 0.33, "right_size": 0.33}, 3, 3), ({"left_size": np.int64(4)}, 4, 6), ({"right_size": 1}, 9, 1),
])  # fmt: skip
def test_split_dataset_cuts_as_keras_does(sizes, left, right):
    x = np.arange(10.0)
    (a, b), y = keras.utils.split_dataset(x, **sizes), 2 * x
    assert_same((a, b), (x[:left], x[left : left + right]))
    (xa, ya), (xb, yb) = keras.utils.split_dataset((x, y), **sizes)
    assert_same((xa, ya, xb, yb), (x[:left], y[:left], x[left : left + right], y[left : left + right]))
    assert type(keras.utils.split_dataset([x, y], **sizes)[0]) is list
    assert_same(keras.utils.split_dataset({"x": x, "y": y}, **sizes)[1], {"x": xb, "y": yb})


def test_split_dataset_shuffles_rows_together():
    x = np.arange(40)
    (a, ya), (b, yb) = keras.utils.split_dataset((x, -x), 0.5, shuffle=True, seed=3)
    assert sorted([*a, *b]) == x.tolist() and not np.array_equal(a, x[:20]) and (a == -ya).all() and (b == -yb).all()
    assert_same(keras.utils.split_dataset(x, 0.5, shuffle=True, seed=3)[0], a)
    keras.utils.set_random_seed(1)
    first = keras.utils.split_dataset(x, 0.5, shuffle=True)[0]
    keras.utils.set_random_seed(1)
    assert_same(keras.utils.split_dataset(x, 0.5, shuffle=True)[0], first)


@pytest.mark.parametrize("dataset, sizes, error, words", [
    (np.arange(10), {}, ValueError, "needs left_size or right_size"),
    *[(np.arange(10), {"left_size": size}, ValueError, f"left_size.*1 to 9.*got {size}") for size in (0, -1, 10, 1.0, 0.0, 1.5)],
    (np.arange(10), {"left_size": "a"}, TypeError, "left_size to be an int, a float or None; got 'a'"),
    (np.arange(10), {"right_size": True}, TypeError, "right_size"),
    (np.arange(10), {"left_size": 6, "right_size": 0.6}, ValueError, "more than 10 rows"),
    ((np.arange(10), np.arange(9)), {"left_size": 2}, ValueError, "same number of rows"),
    ([1, 2, 3], {"left_size": 2}, ValueError, "expects an array"),
    (3, {"left_size": 2}, ValueError, "expects an array"),
])  # fmt: skip
def test_split_dataset_errors(dataset, sizes, error, words):
    with pytest.raises(error, match=words):
        keras.utils.split_dataset(dataset, **sizes)


def test_custom_objects():
    def twice(x):
        return x * 2.0

    objects = keras.utils.get_custom_objects()
    objects["twice"] = twice
    try:
        assert keras.layers.Dense(1, activation="twice").activation is twice
    finally:
        del objects["twice"]
    with pytest.raises(ValueError, match="Unknown activation: 'twice'"):
        keras.layers.Dense(1, activation="twice")
    with keras.utils.custom_object_scope({"twice": twice}):
        assert keras.layers.Dense(1, activation="twice").activation is twice


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


def test_of_a_tensor_a_tensor():
    for function, given in ((to_categorical, [0, 2]), (keras.utils.normalize, [[3.0, 4.0]])):
        made = function(keras.ops.convert_to_tensor(given))
        assert type(made) is keras.Tensor
        assert_same(made.numpy(), np.asarray(function(np.array(given, "float32"))))
