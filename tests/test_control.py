"""Loops, branches, functions with gradients of their own: values, gradients, and what of them a recorded step can hold."""

import math

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import GradientTape, Program, Tensor, Variable, layers, ops
from minigrad.utils import gradcheck

X = random_input((4, 3))


def leaf(x=X):
    return Tensor(x, requires_grad=True)


def running(carry, x):
    carry = carry * 0.5 + x
    return carry, ops.tanh(carry)


def test_scan():
    carry, ys = ops.scan(running, np.zeros(3), X)
    wanted, states = np.zeros(3), []
    for row in X:
        wanted = wanted * 0.5 + row
        states.append(np.tanh(wanted))
    np.testing.assert_allclose(carry.numpy(), wanted)
    np.testing.assert_allclose(ys.numpy(), states)
    _, back = ops.scan(running, np.zeros(3), X, reverse=True)
    np.testing.assert_allclose(back.numpy()[::-1], ops.scan(running, np.zeros(3), X[::-1])[1].numpy())
    assert gradcheck(lambda x: ops.scan(running, Tensor(np.zeros(3)), x)[1], leaf())
    carry, ys = ops.scan(lambda n, _: (n + 1, None), 0, length=5)
    assert (carry, ys) == (5, None)
    (a, b), ys = ops.scan(lambda c, x: ((c[0] + x["u"], c[1] * x["v"]), c[0]), (0.0, 1.0), {"u": X[:, 0], "v": X[:, 1]})
    np.testing.assert_allclose([float(a), float(b)], [X[:, 0].sum(), X[:, 1].prod()])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(n, reverse):
    x = random_input((n, 3))
    sums = ops.associative_scan(ops.add, x, reverse=reverse).numpy()
    np.testing.assert_allclose(sums, x[::-1].cumsum(0)[::-1] if reverse else x.cumsum(0))
    np.testing.assert_allclose(ops.associative_scan(ops.multiply, x.T, reverse, axis=-1).numpy().T[0 if reverse else -1], x.prod(0))
    both = ops.associative_scan(lambda a, b: {"m": a["m"] * b["m"], "s": a["s"] * b["m"] + b["s"]}, {"m": x, "s": x + 1})
    m, s = np.ones(3), np.zeros(3)
    for row in x:
        m, s = m * row, s * row + row + 1
    np.testing.assert_allclose([both["m"].numpy()[-1], both["s"].numpy()[-1]], [m, s])
    assert gradcheck(lambda x: ops.associative_scan(ops.multiply, x, reverse), leaf(x))


def test_map_goes_through_the_first_axis():
    for each in (ops.map, ops.vectorized_map):
        assert_same(each(ops.sum, X).numpy(), np.array([ops.sum(row).numpy() for row in X]))
        found = each(lambda pair: {"a": pair[0] + pair[1], "b": ops.sum(pair[0])}, [X, 2 * X])
        np.testing.assert_allclose(found["a"].numpy(), 3 * X)
        assert found["b"].shape == (4,)
        assert gradcheck(lambda x, each=each: each(lambda row: row * ops.sum(row), x), leaf())


def test_loops_and_branches():
    assert ops.while_loop(lambda i: i < 10, lambda i: i + 2, 0).numpy() == 10
    i, x = ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2.0), [0, Tensor(X)])
    assert i.dtype == "int64" and i.numpy() == 3
    np.testing.assert_allclose(x.numpy(), 8 * X)
    assert ops.while_loop(lambda x: True, lambda x: x + 1, 0, maximum_iterations=7).numpy() == 7
    assert float(ops.while_loop(lambda x: x < 100.0, lambda x: x * 3.0, ops.array(1.0))) == 243
    np.testing.assert_allclose(ops.fori_loop(1, 4, lambda i, x: x * i, Tensor(X)).numpy(), 6 * X)
    assert gradcheck(lambda x: ops.fori_loop(0, 3, lambda i, y: y * x, x), leaf())
    branches = [lambda x: x, lambda x: -x, lambda x: 2 * x]
    assert [ops.switch(i, branches, 5) for i in (-1, 0, 1, 2, 9, ops.array(1))] == [5, 5, -5, 10, 10, -5]
    assert ops.cond(ops.array(1.0) > 0, lambda: "yes", lambda: "no") == "yes"


@pytest.mark.parametrize("step, is_recorded", [
    (lambda x: ops.fori_loop(0, 3, lambda i, y: y * 1.1 + i, x), True),
    (lambda x: ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 1.1), (0, x))[1], True),
    (lambda x: ops.scan(running, ops.zeros(3), x)[1], True),
    (lambda x: ops.associative_scan(ops.add, x, axis=1), True),
    (lambda x: ops.map(ops.tanh, x), True),
    (lambda x: ops.cond(ops.sum(x) > 0, lambda: x * 2.0, lambda: x), False),
    (lambda x: ops.while_loop(lambda y: ops.max(y) < 3.0, lambda y: y * 2.0, ops.abs(x), 20), False),
])  # fmt: skip
def test_in_a_step_loops_of_fixed_length_are_unrolled_and_conditions_make_it_eager(step, is_recorded):
    class Own(layers.Layer):
        def call(self, x):
            return step(x)

    x, y, found = X.astype("float32"), X[:, :1].astype("float32"), []
    for run_eagerly in (False, True):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((3,)), Own(), layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        if is_recorded or run_eagerly:
            model.fit(x, y, 4, epochs=3, verbose=0)
        else:
            with pytest.warns(UserWarning, match="runs eagerly.*value of a tensor"):
                model.fit(x, y, 4, epochs=3, verbose=0)
        assert (model.train_program is not None) == (is_recorded and not run_eagerly)
        found.append([model.get_weights(), model.predict(x, verbose=0)])
    assert_same(*found)


def test_a_gradient_of_ones_own():
    @ops.custom_gradient
    def clipped(x, factor):
        def grad(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return ops.clip(upstream * factor, -1.0, 1.0), ops.sum(upstream * x)

        return x * factor, grad

    x, factor = leaf(), Tensor(3.0, requires_grad=True, dtype="float64")
    g = 4 * X - 1
    y = clipped(x, factor)
    np.testing.assert_allclose(y.numpy(), 3 * X)
    y.backward(g)
    np.testing.assert_allclose(x.grad, np.clip(3 * g, -1, 1))
    assert float(factor.grad) == pytest.approx((g * X).sum())
    z = clipped(leaf(), 2.0)  # a number has none
    z.backward(g)

    @ops.custom_gradient
    def softplus(x):
        e = ops.exp(x)
        return ops.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))

    assert gradcheck(softplus, leaf())
    float32 = Tensor(X.astype("float32"), requires_grad=True)
    softplus(float32).backward(np.ones((4, 3), "float32"))  # without the tape inside
    with pytest.raises(ValueError, match="one tensor and a function"):
        ops.custom_gradient(lambda x: ((x, x), None))(x)

    def step():
        float32.grad = None
        softplus(float32).backward(np.ones((4, 3), "float32"))

    step()
    before = float32.grad.copy()
    Program(step, {}).replay()
    assert_same(float32.grad, before)


def test_errors():
    for call, words in (
        (lambda: ops.scan(running, X[0]), "xs"),
        (lambda: ops.scan(running, X[0], X, unroll=0), "unroll"),
        (lambda: ops.scan(running, X[0], X, length=3), "one length.*3, 4"),
        (lambda: ops.map(ops.tanh, [X, X[:2]]), "one length"),
        (lambda: ops.map(ops.tanh, math.pi), "one length"),
        (lambda: ops.map(ops.tanh, X[:0]), "at least one"),
        (lambda: ops.associative_scan(ops.add, [X, X.T]), "one length of axis 0"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    for call in (lambda: ops.scan("f", 0, X), lambda: ops.associative_scan(3, X)):
        with pytest.raises(TypeError, match="must be a function"):
            call()


@pytest.mark.parametrize(
    "returned, words",
    [
        (lambda g: ops.sum(g), r"argument 0 of shape \(2, 3\), .* returned \(\)"),
        (lambda g: ops.ones((4, 3)), r"returned \(4, 3\)"),
        (lambda g: (g, g), "for each of the 1 arguments; it returned 2"),
    ],
)
def test_a_custom_gradient_that_does_not_fit_is_refused(returned, words):
    x = Variable(np.ones((2, 3), "float32"))
    with GradientTape() as tape:
        y = ops.sum(ops.custom_gradient(lambda x: (x * 2.0, returned))(x))
    with pytest.raises(ValueError, match=words):
        tape.gradient(y, x)


def test_a_variable_inside_a_custom_gradient_is_refused():
    v = Variable(2.0)
    with pytest.raises(ValueError, match="a variable that is none of its arguments"):
        ops.custom_gradient(lambda x: (x * v, lambda g: g * v))(ops.ones(3))


def test_bincount_of_rows():
    x, w = np.array([[0, 1], [1, 3]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    assert ops.bincount(x).numpy().tolist() == [[1, 1, 0, 0], [0, 1, 0, 1]]
    assert ops.bincount(x, weights=w).numpy().tolist() == [[1, 2, 0, 0], [0, 3, 0, 4]]
