"""Tensor and the tape: what holds for any operation. (Each: test_ops.py; those of one's own: test_op.py.)"""

import gc
import operator
import re
import weakref

import numpy as np
import pandas as pd
import pytest

import minigrad
from minigrad import config, no_grad, ops
from minigrad.tensor import Tensor, Variable, as_tensor

# ------------------------------------------------------------------------------------------- construction


class WithArray:
    """What is no array but can be made one."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0], dtype=dtype)


@pytest.mark.parametrize("data, dtype", [
    (3, "float32"),
    (3.5, "float32"),
    (True, "bool"),
    ([1.0, 2.5], "float32"),
    ([[1, 2], [3, 4]], "float32"),
    ((1, 2.5), "float32"),
    ([], "float32"),
    (range(3), "float32"),
    ([True, False], "bool"),
    (np.float64(2), "float64"),
    (np.float32(2), "float32"),
    (np.int8(2), "float32"),
    (np.arange(3), "float32"),
    (np.arange(3, dtype="uint8"), "float32"),
    (np.arange(3, dtype="float16"), "float32"),
    (np.ones((2, 3), "float32"), "float32"),
    (np.ones((2, 3)), "float64"),
    (np.ones((2, 3), ">f8"), "float32"),
    (np.ones((2, 3), bool), "bool"),
    (np.zeros((0, 3), "float32"), "float32"),
    (np.arange(6.0).reshape(2, 3).T, "float64"),
    (np.arange(6.0)[::-2], "float64"),
    (np.broadcast_to(1.0, (2, 2)), "float64"),
    (pd.Series([1.0, 2.0]), "float64"),
    (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "float32"),
    (WithArray(), "float64"),
    (Tensor([1.0]), "float32"),
    (Tensor(np.ones(2)), "float64"),
])  # fmt: skip
def test_construction(data, dtype):
    t = Tensor(data)
    assert t.dtype == dtype and not t.requires_grad and t.grad is None
    expected = np.asarray(data).astype(dtype)
    assert (t.shape, t.ndim, t.size) == (expected.shape, expected.ndim, expected.size)
    np.testing.assert_array_equal(t.numpy(), expected)
    assert t.numpy().flags.c_contiguous
    assert Tensor(data, dtype="float64").dtype == "float64"


@pytest.mark.parametrize("data, message", [
    ("1.5", "dtype <U3"),
    (["a", "b"], "dtype <U1"),
    (b"1", "dtype |S1"),
    (None, "dtype object: None"),
    ([None, 1.0], "dtype object"),
    (object(), "dtype object"),
    (np.array([1, 2], object), "dtype object"),
    (1j, "dtype complex128"),
    (np.ones(2, "complex64"), "dtype complex64"),
    (np.array(["2020-01-01"], "datetime64[D]"), "dtype datetime64"),
    ({"a": 1}, "dtype object"),
    ([[1, 2], [3]], "inhomogeneous"),
])  # fmt: skip
def test_what_is_no_array_of_numbers_is_refused(data, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Tensor(data)
    with pytest.raises(ValueError):
        Tensor([1.0]) + data
    with pytest.raises(ValueError):
        Variable(data if not isinstance(data, (str, bytes)) else [data])


def test_lists_follow_floatx():
    config.set_floatx("float64")
    try:
        assert Tensor([1, 2]).dtype == Tensor(0.5).dtype == Variable([1.0]).dtype == "float64"
        assert Tensor(np.float32(1)).dtype == "float32"
    finally:
        config.set_floatx("float32")


def test_an_array_is_shared_and_a_variable_owns_a_copy():
    data = np.ones(3, "f4")
    t, v = Tensor(data), Variable(data)
    data[0] = 7
    assert t.numpy()[0] == 7 and v.numpy()[0] == 1
    assert Tensor(data, dtype="float64").numpy() is not data
    assert as_tensor(t) is t


def test_only_floats_can_have_gradients():
    for data in ([True], np.array([True, False])):
        with pytest.raises(ValueError, match="Only floating-point"):
            Tensor(data, requires_grad=True)
    assert Tensor([1, 2], requires_grad=True).requires_grad


# ---------------------------------------------------------------------------------------------- operators

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
COMPARISON = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
MATRIX, OTHER = np.array([[1.5, 2.0], [0.5, 3.0]]), np.array([[2.0, 2.0], [1.0, 0.25]])


@pytest.mark.parametrize("kinds", [
    (Tensor, Tensor), (Tensor, np.asarray), (np.asarray, Tensor), (Tensor, np.ndarray.tolist),
    (np.ndarray.tolist, Tensor),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("f", ARITHMETIC + COMPARISON, ids=lambda f: f.__name__)
def test_operators_between_matrices(f, kinds):
    y = f(kinds[0](MATRIX), kinds[1](OTHER))
    assert type(y) is Tensor
    np.testing.assert_allclose(y.numpy(), f(MATRIX, OTHER), rtol=1e-14)


@pytest.mark.parametrize(
    "number", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.array(2.0)], ids=repr
)
@pytest.mark.parametrize("f", ARITHMETIC[:-1] + COMPARISON, ids=lambda f: f.__name__)
def test_operators_with_numbers_on_either_side(f, number):
    for dtype in ("float32", "float64"):
        t = Tensor(MATRIX.astype(dtype))
        for y, expected in (
            (f(t, number), f(MATRIX, float(number))),
            (f(number, t), f(float(number), MATRIX)),
        ):
            assert type(y) is Tensor and y.dtype == (bool if f in COMPARISON else dtype)
            np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


def test_unary_operators_and_methods():
    t = Tensor(MATRIX)
    assert (-t).numpy().tolist() == (-MATRIX).tolist() and abs(-t).numpy().tolist() == MATRIX.tolist()
    for name in ("sum", "mean", "var", "std", "max", "min"):
        np.testing.assert_allclose(
            getattr(t, name)(axis=0, keepdims=True).numpy(), getattr(MATRIX, name)(0, keepdims=True)
        )
    for name in ("exp", "log", "sqrt", "square", "abs", "tanh"):
        np.testing.assert_allclose(getattr(t, name)().numpy(), getattr(np, name)(MATRIX))
    np.testing.assert_array_equal(t.clip(1, 2).numpy(), MATRIX.clip(1, 2))
    np.testing.assert_array_equal(t.relu().numpy(), MATRIX)
    np.testing.assert_allclose(t.sigmoid().numpy(), 1 / (1 + np.exp(-MATRIX)))
    assert t.T.shape == t.transpose().shape == t.transpose(1, 0).shape == t.transpose((1, 0)).shape == (2, 2)
    assert (
        t.reshape(4).shape == t.reshape(-1).shape == (4,) and t.reshape(1, 4).shape == t.reshape((1, 4)).shape
    )
    assert t.reshape(1, 4).squeeze().shape == (4,)


def test_what_there_is_no_operator_for_raises():
    for f in (operator.rshift, operator.lshift):
        for a, b in ((Tensor(MATRIX), 2), (2, Tensor(MATRIX)), (MATRIX, Tensor(MATRIX))):
            with pytest.raises(TypeError, match="unsupported operand"):
                f(a, b)
    with pytest.raises(TypeError, match="does not support item assignment"):
        Tensor(MATRIX)[0] = 1


def test_augmented_assignment_makes_a_new_tensor():
    a = b = Tensor([1.0], requires_grad=True)
    b += 1
    b *= 3
    assert (a.item(), b.item()) == (1, 6)
    b.backward()
    assert a.grad == 3


def test_reading():
    t = Tensor(MATRIX)
    assert np.asarray(t) is not t.numpy() or np.shares_memory(np.asarray(t), t.numpy())
    assert np.array(t, dtype="f4").dtype == "float32" and np.asarray(t).dtype == "float64"
    copied = np.array(t, copy=True)
    copied[:] = 0
    assert t[0, 0].item() == 1.5
    one = Tensor([[2.75]])
    assert (one.item(), float(one), int(one), bool(one), bool(Tensor(0.0))) == (2.75, 2.75, 2, True, False)
    assert len(t) == 2 and [row.numpy().tolist() for row in t] == MATRIX.tolist()
    for read in (float, int, bool, Tensor.item):
        with pytest.raises(ValueError, match="no single number"):
            read(t)
    with pytest.raises(TypeError, match="no length"):
        len(Tensor(1.0))


def test_functions_of_numpy_take_the_values():
    t = Tensor(MATRIX, requires_grad=True)
    for f in (
        *(
            np.mean,
            np.sum,
            np.max,
            np.std,
            np.exp,
            np.argmax,
            np.squeeze,
            np.transpose,
            np.ravel,
            np.isfinite,
        ),
        lambda x: np.mean(x, axis=0, keepdims=True),
        lambda x: np.clip(x, 1, 2),
        lambda x: np.stack([x, x], axis=1),
        lambda x: np.concatenate((x, MATRIX)),
        lambda x: np.where(np.isnan(x), 0, x),
        lambda x: np.allclose(x, x),
        lambda x: np.sum(a=x),
        lambda x: np.dot(x, MATRIX),
        lambda x: np.reshape(x, (4, 1)),
    ):
        y = f(t)
        assert not isinstance(y, Tensor)
        np.testing.assert_array_equal(y, f(MATRIX))
    np.testing.assert_allclose(t, MATRIX)


def test_tensors_are_keys_by_identity():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert {a: 1, b: 2}[a] == 1 and len({a, b}) == 2


def test_in_a_text_a_tensor_is_its_values():
    """As in TensorFlow: print(f"loss {loss}")."""
    x = Tensor(np.float32([1.5, 2]))
    assert f"{x} {x[0]} {x[0]:.2f} {ops.convert_to_tensor(3)} {Tensor(True)}" == "[1.5 2. ] 1.5 1.50 3 True"
    assert f"{Variable([1.0], name='w')}".startswith("<Variable path=w")


def test_repr():
    assert repr(Tensor([[1.0, 2.0]])) == "Tensor([[1., 2.]], dtype=float32)"
    assert repr(Tensor(np.ones(1), requires_grad=True)) == "Tensor([1.], dtype=float64, requires_grad=True)"
    assert repr(Variable(np.ones((2, 3)), name="kernel")) == (
        "<Variable path=kernel, shape=(2, 3), dtype=float32, value=[[1., 1., 1.],\n [1., 1., 1.]]>"
    )


# ---------------------------------------------------------------------------------------------- backward


def gradient_of(f, *values):
    leaves = [Tensor(np.array(v, "f8"), requires_grad=True) for v in values]
    f(*leaves).backward()
    return [leaf.grad.tolist() for leaf in leaves]


def doubled_twice(a):
    b = a + a
    return b + b


def diamond(a):
    left, right = a * 3.0, a * a
    return left * right + left


def shared_view(a):
    # The gradient of b arrives once through a view, whose memory it may take over, and once by a product.
    b = a * 2.0
    product = ops.sum(b * b)
    return product + ops.sum(ops.reshape(b, (2, 1)))


def view_first(a):
    b = a * 2.0
    view = ops.sum(ops.reshape(b, (2, 1)))
    return view + ops.sum(b * b)


@pytest.mark.parametrize("f, values, gradients", [
    (lambda a: a, [3.0], [1]),
    (lambda a: a + a, [3.0], [2]),
    (lambda a: a * a, [3.0], [6]),
    (doubled_twice, [3.0], [4]),
    (diamond, [2.0], [9 * 2.0**2 + 3]),
    (lambda a, b: a * b + a / b, [6.0, 2.0], [2.5, 4.5]),
    (lambda a: ops.sum(ops.reshape(a, (4,))), [[[1.0, 2.0], [3.0, 4.0]]], [[[1, 1], [1, 1]]]),
    (lambda a: ops.expand_dims(ops.squeeze(ops.reshape(a, (1, 1)), 0), 0), [3.0], [1]),
    (shared_view, [[1.0, 2.0]], [[10, 18]]),
    (view_first, [[1.0, 2.0]], [[10, 18]]),
    (lambda a: ops.sum(ops.stack([a, a * a, a])), [[1.0, 2.0]], [[4, 6]]),
])  # fmt: skip
def test_gradients_accumulate_over_uses(f, values, gradients):
    assert gradient_of(f, *values) == gradients


def test_gradients_accumulate_over_calls_until_they_are_reset():
    a = Tensor([1.0, 2.0], requires_grad=True)
    y = ops.sum(a * a)
    y.backward()
    y.backward()  # the same graph again
    ops.sum(a * 3.0).backward()
    assert a.grad.tolist() == [7, 11]
    a.grad = None
    y.backward()
    assert a.grad.tolist() == [2, 4]


def test_one_graph_with_two_ends():
    a = Tensor([2.0], requires_grad=True)
    b = a * a
    (b * 3.0).backward()
    (b + 1.0).backward()
    assert a.grad.tolist() == [16]


def test_the_gradient_flowing_in(leaf):
    for gradient in ([1.0, 10.0], np.array([1, 10]), (1, 10), Tensor([1.0, 10.0]), np.array([1, 10], "f4")):
        a = Tensor([3.0, 4.0], requires_grad=True)
        (a * a).backward(gradient)
        assert a.grad.tolist() == [6, 80] and a.grad.dtype == "float32"
    given = np.array([1.0, 10.0], "f4")
    a = Tensor([3.0, 4.0], requires_grad=True)
    for y in (a, ops.reshape(a, (2,)), a + 0.0):
        a.grad = None
        y.backward(given)
        y.backward(given)
        assert a.grad.tolist() == [2, 20] and given.tolist() == [1, 10]
        assert not np.shares_memory(a.grad, given)


def test_leaves_never_share_memory_for_their_gradients():
    a, b = (Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    y = a + b
    y.backward(np.ones(3))
    a.grad[:] = 99
    assert b.grad.tolist() == [1, 1, 1]
    x = Tensor([1.0], requires_grad=True)
    x.backward()
    x.grad[:] = 99
    x.grad = None
    x.backward()
    assert x.grad == 1


def test_only_the_leaves_asked_for_get_gradients():
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    (a * b + b).sum().backward(inputs=[a])
    assert a.grad.tolist() == [3.0, 4.0] and b.grad is None
    b.sum().backward(inputs=[a])
    assert a.grad.tolist() == [3.0, 4.0] and b.grad is None
    for bad in (a, [a * b], [1], ["a"], 3):
        with pytest.raises(ValueError, match="inputs must be a list of tensors"):
            (a * b).sum().backward(inputs=bad)


def test_only_the_leaves_asked_for_get_gradients_through_a_replayed_model():
    model = minigrad.Sequential([minigrad.Input((3,)), minigrad.layers.Dense(2), minigrad.layers.Dense(1)])
    first, *others = model.trainable_variables
    model(np.ones((4, 3))).sum().backward(inputs=[first])
    assert first.grad is not None and all(v.grad is None for v in others)
    model(np.ones((4, 3))).sum().backward()
    assert all(v.grad is not None for v in others)


def test_a_gradient_that_is_assigned_is_copied():
    zeros = np.zeros(2, "float32")
    zeros.flags.writeable = False
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    a.grad = b.grad = zeros
    (a * 2.0 + b * 3.0).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist(), zeros.tolist()) == ([2.0, 2.0], [3.0, 3.0], [0.0, 0.0])


def test_only_leaves_keep_gradients_and_only_those_that_want_one():
    a, b = Tensor([2.0], requires_grad=True), Tensor([3.0])
    c = a * b
    d = c * c
    d.backward()
    assert a.grad == 36 and b.grad is None and c.grad is None and d.grad is None


@pytest.mark.parametrize("make, gradient, error, message", [
    (lambda a: a * 2.0, None, ValueError, r"shape \(2, 3\) needs `gradient`"),
    (lambda a: a * 2.0, np.ones((3, 2)), ValueError, r"shape \(2, 3\) got a gradient of \(3, 2\)"),
    (lambda a: a * 2.0, 1.0, ValueError, r"got a gradient of \(\)"),
    (lambda a: ops.sum(a), np.ones(1), ValueError, r"shape \(\) got a gradient of \(1,\)"),
    (lambda a: ops.sum(a.detach()), None, RuntimeError, "requires_grad=True"),
    (lambda a: a > 0.0, None, RuntimeError, "requires_grad=True"),
    (lambda a: ops.argmax(a), None, RuntimeError, "requires_grad=True"),
    (lambda a: a * 2.0, [["1", "2", "3"]] * 2, ValueError, "Expected numbers"),
])  # fmt: skip
def test_backward_refuses(make, gradient, error, message):
    a = Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(error, match=message):
        make(a).backward(gradient)
    assert a.grad is None


def test_a_size_of_one_needs_no_gradient_whatever_the_rank():
    a = Tensor([[[2.0]]], requires_grad=True)
    (a * a).backward()
    assert a.grad.tolist() == [[[4.0]]]


def test_depth_is_no_limit(length=100_000):
    """Building, backward, freeing: each of them recursive in a naive engine; the last would crash Python."""
    a = y = Tensor([[1.0, 2.0]], requires_grad=True)
    for _ in range(length - 1):
        y = -y
    (-y).backward(np.ones((1, 2)))
    assert a.grad.tolist() == [[1, 1]]
    del y
    y = a
    for _ in range(length):
        y = ops.reshape(y, (1, 2))
    del y  # freed without a backward


def test_a_long_chain_has_the_right_gradient():
    a = y = Tensor(np.array([[1.0, 2.0]]), requires_grad=True)
    for _ in range(10_000):
        y = y * a + a
        y = y * 0.5
    y.backward(np.ones((1, 2)))
    # y <- (a y + a) / 2 stays at 1 for a = 1, so y' <- (y' + 2) / 2 -> 2; for a = 2 it is 2 + k after k
    # steps, so y' grows by (3 + k) / 2 a step from 1 on.
    np.testing.assert_allclose(a.grad[0, 0], 2.0, rtol=1e-12)
    assert a.grad[0, 1] == 1 + sum((3 + k) / 2 for k in range(10_000))


def test_a_wide_graph():
    a = Tensor([1.0], requires_grad=True)
    total = a * 0.0
    for i in range(1000):
        total = total + a * float(i)
    total.backward()
    assert a.grad == sum(range(1000))


# ------------------------------------------------------------------------ no_grad, detach, requires_grad


def test_no_grad():
    a = Tensor([2.0], requires_grad=True)
    with no_grad():
        b = a * a
        with no_grad():
            pass
        c = ops.reshape(a, (1, 1))
    assert not b.requires_grad and not c.requires_grad and (a * a).requires_grad
    (a * b).backward()
    assert a.grad == 4


def test_no_grad_ends_when_an_error_leaves_it():
    a = Tensor([2.0], requires_grad=True)
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (a * a).requires_grad


def test_no_grad_holds_for_its_thread_only(in_threads):
    a = Tensor([2.0], requires_grad=True)
    with no_grad():
        assert in_threads(lambda i: (a * a).requires_grad, 2) == [True, True]


def test_detach_shares_values_and_stops_gradients():
    a = Tensor([2.0], requires_grad=True)
    b = a * 3.0
    d = b.detach()
    assert np.shares_memory(d.numpy(), b.numpy()) and not d.requires_grad
    (a * d).backward()
    assert a.grad == 6


def test_requires_grad_is_read_when_an_operation_runs():
    a, b = Tensor([2.0], requires_grad=True), Tensor([5.0])
    y = a * b
    a.requires_grad, b.requires_grad = False, True
    (y * b).backward()
    assert a.grad.tolist() == [25] and b.grad.tolist() == [10]
    assert not (a * 2.0).requires_grad


# ------------------------------------------------------------------------------------------------ memory


@pytest.fixture
def no_collector():
    """The cyclic garbage collector is off: what is freed is freed by counting references, at once."""
    forward(
        Tensor(np.ones((4, 4)), requires_grad=True)
    ).backward()  # compiles what it needs, which leaves cycles
    forward(Tensor(np.ones((4, 4), "f4"), requires_grad=True)).backward()
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def forward(a):
    b = ops.dense(a, Tensor(np.eye(4, dtype=a.dtype), requires_grad=True), np.zeros(4))
    return ops.mean(ops.softmax(ops.relu(b)) * ops.sigmoid(b)[::-1] + ops.exp(ops.reshape(b * 0.5, (4, 4))))


@pytest.mark.parametrize("use", [lambda y: None, Tensor.backward], ids=["forward only", "after backward"])
def test_memory_is_freed_at_once(use, no_collector):
    a = Tensor(np.ones((4, 4), "f4"), requires_grad=True)
    y = forward(a)
    use(y)
    node_data, tensor, leaf = weakref.ref(y.numpy()), weakref.ref(y), weakref.ref(a)
    del y
    assert tensor() is None and node_data() is None
    del a
    assert leaf() is None
    assert gc.collect() == 0, "there were cycles"


def test_memory_of_a_chain_is_freed_at_once(no_collector):
    alive = weakref.WeakSet()
    y = Tensor(np.ones(3), requires_grad=True)
    for _ in range(100):
        y = ops.exp(y * 0.5)
        alive.add(y)
    assert len(alive) == 1, "a tape holds arrays, not the tensors in between"
    held = [cell.cell_contents for cell in y._node.vjp.__closure__]
    held += [inner for outer in held if isinstance(outer, tuple) for inner in outer]
    buffers = [weakref.ref(array) for array in held if isinstance(array, np.ndarray)]
    del held
    y.backward(np.ones(3))
    assert buffers and all(ref() is not None for ref in buffers)
    del y
    assert not alive and all(ref() is None for ref in buffers)
    assert gc.collect() == 0


def test_nothing_is_kept_without_a_tape(no_collector):
    a = Tensor(np.ones(3), requires_grad=True)
    with no_grad():
        b = ops.exp(a)
        data = weakref.ref(b.numpy())
        c = b * 2.0
        del b
        assert data() is None and c._node is None


# ------------------------------------------------------------------------------------------------ threads


def test_backward_in_several_threads_on_graphs_of_their_own(in_threads):
    def train(i):
        x = Tensor(np.full((16, 8), i + 1.0), requires_grad=True)
        for _ in range(50):
            h = x
            for _ in range(5):
                h = ops.tanh(h * 0.5) + x
            ops.sum(h).backward()
        return x.grad

    alone = [train(i) for i in range(4)]
    for together, expected in zip(in_threads(train, 4), alone, strict=True):
        np.testing.assert_array_equal(together, expected)


def test_one_no_grad_may_stand_inside_itself():
    off, w = no_grad(), Tensor([1.0], requires_grad=True)
    with off:
        with off:
            pass
        assert not (w * w).requires_grad
    assert (w * w).requires_grad
