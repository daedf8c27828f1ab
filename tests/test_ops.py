"""The operations that the layers are made of, as operation_rows.py lists them: against NumPy, and by gradcheck.

test_functions.py has the rows of all others, and fails where a public function has no row. What a table can't say
follows: extreme values, dtypes, errors. (Activations, kinks and NaN: test_activations.py.)
"""

import numpy as np
import pytest
from operation_rows import RANDOM, ROWS, by_name, check_forward, check_gradient, check_it_is_no_gradient

from minigrad import activations, config, ops
from minigrad.tensor import Tensor
from minigrad.utils import gradcheck


@pytest.mark.parametrize("dtype, rtol, atol", [("float32", 5e-6, 2e-6), ("float64", 1e-12, 1e-13)])
@pytest.mark.parametrize("rows", by_name(ROWS))
def test_forward_equals_numpy(rows, dtype, rtol, atol):
    check_forward(rows, dtype, rtol, atol)


@pytest.mark.parametrize("rows", by_name([row for row in ROWS if row.checked]))
def test_gradient_by_differences(rows):
    check_gradient(rows)


@pytest.mark.parametrize("rows", by_name([row for row in ROWS if not row.checked and row.name != "cast"]))
def test_what_has_no_gradient_says_so(rows):
    check_it_is_no_gradient(rows)


def test_a_tensor_used_several_times(leaf):
    for f in (
        lambda a: a + a,
        lambda a: a * a,
        lambda a: a / a,
        lambda a: a @ a,
        lambda a: ops.maximum(a, a * 2.0),
        lambda a: ops.concatenate([a, a, a * 2.0]),
        lambda a: ops.where(a > 0.0, a, a * a),
        lambda a: a * ops.sum(a, axis=0) + ops.transpose(a),
        lambda a: ops.dense(a, a, a[0]),
    ):
        assert gradcheck(f, leaf(3, 3))


def test_large_reductions_are_accurate_in_float32():
    x = RANDOM.random((1, 1_000_003)).astype("float32")
    for y in (ops.sum(x), ops.sum(x, axis=1), ops.mean(x) * x.size, ops.mean_all(x) * x.size):
        np.testing.assert_allclose(y.numpy(), x.sum(dtype="float64"), rtol=3e-6)


# ------------------------------------------------------------------------------------------------ dtypes


def test_plain_values_follow_the_dtype_of_the_tensor_beside_them():
    for dtype in ("float32", "float64"):
        x = Tensor(np.ones((2, 2), dtype))
        for plain in (
            3,
            3.0,
            True,
            np.float64(3),
            np.ones((2, 2)),
            np.ones(2, "float32"),
            [1, 2],
            [[1.5], [2]],
        ):
            assert (ops.add(x, plain).dtype, ops.add(plain, x).dtype) == (dtype, dtype)
        assert ops.matmul(x, np.ones(2)).dtype == dtype
        assert ops.where(x > 0, x, 0).dtype == dtype


def test_float32_beside_float64_is_widened_and_the_gradients_keep_their_dtypes():
    a, b = Tensor(np.ones(2, "f4"), requires_grad=True), Tensor(np.ones(2, "f8"), requires_grad=True)
    for y in (a * b, ops.maximum(a, b), ops.concatenate([a, b]), ops.stack([b, a]), a @ b):
        assert y.dtype == "float64"
    ops.sum(a * b).backward()
    assert (a.grad.dtype, b.grad.dtype) == ("float32", "float64")


def test_cast_passes_gradients_between_floats():
    for there, back in (("float32", "float64"), ("float64", "float32")):
        x = Tensor(np.array([1.5, 2.5], there), requires_grad=True)
        y = ops.cast(x, back)
        assert y.dtype == back
        (y * y).backward([1.0, 10.0])
        assert x.grad.dtype == there and x.grad.tolist() == [3, 50]
    assert ops.cast(ops.argmax(Tensor([1.0, 2.0])), "float64").dtype == "float64"


def test_bools_are_counted_and_averaged():
    x = Tensor([[1.0, -1.0], [2.0, 3.0]]) > 0
    assert (float(ops.sum(x)), float(ops.mean(x)), ops.max(x, axis=0).numpy().tolist()) == (3, 0.75, [1, 1])
    assert (x + x).numpy().tolist() == [[2, 0], [2, 2]]
    assert (x @ x).numpy().tolist() == [[1, 0], [2, 1]]
    assert ops.concatenate([x, x]).dtype == bool and x.T[0].dtype == bool
    assert ops.concatenate([x, Tensor([[0.5, 0.5]])]).numpy().tolist() == [[1, 0], [1, 1], [0.5, 0.5]]


def test_index_by_tensors_and_by_what_was_computed():
    x = Tensor(np.array([[3.0, 9.0, 1.0], [5.0, 2.0, 8.0]]), requires_grad=True)
    assert x[x > 2.5].numpy().tolist() == [3, 9, 5, 8]
    assert x[0, ops.argmax(x[0])].item() == 9
    picked = x[[0, 1], ops.argmax(x, axis=1)]
    picked.backward([1.0, 10.0])
    assert x.grad.tolist() == [[0, 1, 0], [0, 0, 10]]


def test_one_hot_dtypes_and_classes_outside():
    assert ops.one_hot([0, 2], 3).dtype == config.floatx()
    assert ops.one_hot([0, 2], 3, dtype="float64").dtype == "float64"
    assert ops.one_hot([3, -1], 3).numpy().tolist() == [[0, 0, 0], [0, 0, 0]]


# ------------------------------------------------------------------------------------------------- errors

X, CUBE = Tensor(np.ones((3, 4))), Tensor(np.ones((2, 3, 4)))


@pytest.mark.parametrize("f, error, message", [
    (lambda: X @ X, ValueError, r"matmul expects .*; got \(3, 4\), \(3, 4\): k cannot be both 4 and 3"),
    (lambda: X @ Tensor(2.0), ValueError, r"matmul .* axes"),
    (lambda: CUBE @ Tensor(np.ones((3, 4, 1))), ValueError, "broadcast"),
    (lambda: X + np.ones(3), ValueError, r"\(3, 4\) and \(3,\) can't be broadcast"),
    (lambda: ops.where([True] * 3, X, X), ValueError, "broadcast"),
    (lambda: ops.reshape(X, (5, -1)), ValueError, r"\(5, -1\) of \(3, 4\): 12 elements"),
    (lambda: ops.transpose(X, (0, 0)), ValueError, "repeated axis"),
    (lambda: ops.transpose(X, (0, 1, 2)), ValueError, "axes don't match"),
    (lambda: ops.squeeze(X, 0), ValueError, r"squeeze .* axis 0 of \(3, 4\)"),
    (lambda: ops.expand_dims(X, 4), ValueError, "from -3 to 2, or several, got 4"),
    (lambda: ops.expand_dims(X, 1.0), ValueError, "must be an int"),
    (lambda: ops.concatenate([]), ValueError, "at least one"),
    (lambda: ops.concatenate([X, CUBE]), ValueError, "concatenate can't join"),
    (lambda: ops.concatenate([X, X], 2), ValueError, "axis 2"),
    (lambda: ops.stack([X, X.T]), ValueError, "can't join"),
    (lambda: ops.broadcast_to(X, (4, 4)), ValueError, r"\(3, 4\) can't be broadcast to \(4, 4\)"),
    (lambda: ops.flip(X, 2), ValueError, "axis 2"),
    *[(lambda f=f: f(X, axis=2), ValueError, r"axis 2 is out of range .*\(3, 4\)")
      for f in (ops.sum, ops.mean, ops.var, ops.max, ops.min, ops.argmax, ops.softmax, ops.log_softmax)],
    (lambda: ops.sum(X, axis=(0, -3)), ValueError, "out of range"),
    (lambda: ops.sum(Tensor(1.0), axis=0), ValueError, "out of range"),
    (lambda: ops.softmax(Tensor(1.0)), ValueError, "out of range"),
    *[(lambda f=f, shape=shape: f(Tensor(np.zeros(shape)), axis=0), ValueError, "no elements")
      for f in (ops.max, ops.min, ops.argmax) for shape in ((0,), (0, 3))],
    (lambda: X[5], IndexError, "out of bounds"),
    (lambda: X[0, 0, 0], IndexError, "too many indices"),
    (lambda: X[X], IndexError, "must be of integer"),
    (lambda: ops.dense(X, np.ones((3, 2)), np.ones(2)), ValueError, r"dense expects .*: k cannot be both"),
    (lambda: ops.dense(X, np.ones((4, 2)), np.ones((1, 2))), ValueError, r"wrong number of axes for \(n\)"),
    (lambda: ops.bias_add(X, np.ones(3)), ValueError, "n cannot be both 4 and 3"),
    (lambda: ops.bias_add(X, Tensor(np.ones(4, "f4"))), TypeError, "float64 and float32: cast one"),
    (lambda: ops.squared_error(Tensor(np.ones((3, 1))), X), ValueError, "n cannot be both 1 and 4"),
    (lambda: ops.dense(X, np.ones((4, 2))), TypeError, "dense takes 3 operands"),
    (lambda: ops.exp(X > 0), TypeError, "exp computes with floating-point tensors; got bool"),
    (lambda: -(X > 0), TypeError, "negative computes with floating-point"),
    (lambda: ops.cast(X, "float16"), ValueError, "can't make float16 of float64"),
    (lambda: ops.convert_to_tensor("text"), ValueError, "Expected numbers"),
    (lambda: activations.glu(Tensor(np.ones((2, 3)))), ValueError, r"even; got shape \(2, 3\)"),
    (lambda: activations.get("Relu"), ValueError, "Unknown activation: 'Relu'.* Known: .*, relu, "),
])  # fmt: skip
def test_errors_say_what_was_expected_and_what_came(f, error, message):
    with pytest.raises(error, match=message):
        f()


def test_targets_have_no_gradient_and_say_so(leaf):
    for name in ("squared_error", "absolute_error", "huber_error", "log_cosh_error", "binary_crossentropy_logits", "categorical_crossentropy"):
        y = getattr(ops, name)(leaf(2, 3), leaf(2, 3))
        with pytest.raises(ValueError, match=f"{name} has no gradient with respect to the targets"):
            y.backward(np.ones(2))


def test_softmax_over_one_element_warns():
    with pytest.warns(UserWarning, match="Did you mean sigmoid"):
        activations.softmax(Tensor(np.ones((3, 1))))


# ------------------------------------------------------------------------------ integers, infinities, stretches


def test_logaddexp_of_infinities_and_of_equals():
    a, b = (Tensor([2.0], requires_grad=True) for _ in range(2))
    ops.logaddexp(a, b).backward()
    assert (a.grad, b.grad) == ([1.0], [0.0])  # TensorFlow's convention, as for the maximum of equals
    values = np.array([1.0, -np.inf, np.inf, np.inf, -np.inf, np.nan, np.inf, np.nan])
    others = np.array([1.0, -np.inf, np.inf, -np.inf, 2.0, np.inf, np.nan, 0.0])
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp(values, others)
    np.testing.assert_allclose(ops.logaddexp(Tensor(values), others).numpy(), expected)


def test_integers_stay_whole():
    big = 2**24 + 1
    for x in (np.array([big]), [big], big):
        assert ops.cast(x, "int64").numpy() == ops.convert_to_tensor(x, "int32").numpy() == big
    a, b = (ops.cast([n], "int64") for n in (big, big - 1))
    assert not ops.equal(a, b).numpy() and (a > b).numpy() and (b < a).numpy() and ops.not_equal(a, b).numpy()
    assert ops.cast([2**40 + 1], "int64").numpy() == 2**40 + 1
    assert ops.cast([1.7, -1.7], "int64").numpy().tolist() == [1, -1]


def test_a_bool_beside_a_float_does_not_widen_it():
    config.set_floatx("float64")
    try:
        assert (Tensor(np.ones(2, "f4")) * Tensor(np.array([True, False]))).dtype == "float32"
    finally:
        config.set_floatx("float32")


def test_integers_are_computed_with_as_floating_point_numbers_and_index():
    three = ops.convert_to_tensor(np.array([[0, 2, 1]]))
    assert three.dtype == np.int64
    assert ops.dense(three, np.ones((3, 2)), np.ones(2)).numpy().tolist() == [[4.0, 4.0]]
    assert ops.exp(three).dtype == np.float32 and not ops.isnan(three).numpy().any()
    assert np.arange(4)[np.asarray(three[0])].tolist() == [0, 2, 1] and ops.arange(4.0)[three[0, 1]].item() == 2.0


@pytest.mark.parametrize("key", [
    0, -1, slice(1, 3), (1, 2), (1, 2, 1), (0, slice(1, 3)), (slice(2, 3), slice(None)), (None, 1), slice(None),
    slice(3, 1), slice(0, 4, 2), slice(None, None, -1), (slice(None), 1), ..., (..., 0), [0, 2], [[1], [1]],
], ids=str)
def test_an_index_means_what_it_means_in_numpy(key, leaf):
    x = leaf(4, 5, 3)
    np.testing.assert_array_equal(x[key].numpy(), x.numpy()[key])
    assert x[key].numpy().size == 0 or gradcheck(lambda x: x[key] * x[key], x)
    assert not np.shares_memory(x[key].numpy(), x.numpy())


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0,)])
def test_sorting_nothing(shape):
    assert ops.sort(np.zeros(shape)).shape == ops.argsort(np.zeros(shape)).shape == shape
