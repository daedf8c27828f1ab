"""gradcheck itself: that it passes what is right, and that it can fail."""

import numpy as np
import pytest
from operation_rows import ROWS

from minigrad import kernels as K
from minigrad import launch, no_grad, op, ops
from minigrad.tensor import Tensor
from minigrad.utils import gradcheck


@op("(...) -> (...)")
def cube(y, x, wrong=""):
    """y = x^3;   dx = 3 x^2 dy."""
    launch(K.square, x, y)
    launch(K.multiply, y, x, y)

    def vjp(gy, gx):
        if wrong == "does nothing":
            gx[...] = 0
            return
        launch(K.square, x, gx)
        launch(K.scale, gx, np.array([[2.0 if wrong == "factor" else -3.0 if wrong == "sign" else 3.0]]), gx)
        if wrong != "ignores gy":
            launch(K.multiply, gy, gx, gx)
        if wrong == "one element":
            gx[..., -1] *= 1.01

    return vjp


def test_gradcheck_passes_a_right_operation(leaf):
    assert gradcheck(cube, leaf(3, 4))


@pytest.mark.parametrize("wrong", ["factor", "sign", "ignores gy", "does nothing", "one element"])
def test_gradcheck_fails_a_wrong_operation(wrong, leaf):
    with pytest.raises(AssertionError, match="the tape says"):
        gradcheck(lambda x: cube(x, wrong=wrong), leaf(3, 4))


def test_gradcheck_notices_a_broken_tape(leaf):
    for f in (
        lambda x: x.detach() * 2.0,
        lambda x: Tensor(x.numpy() * 2.0),
        lambda x: x * 0.0 + float("nan"),
    ):
        with pytest.raises(AssertionError):
            gradcheck(f, leaf(3))

    def without_tape(x):
        with no_grad():
            return x * 2.0

    with pytest.raises(AssertionError):
        gradcheck(without_tape, leaf(3))


def test_gradcheck_refuses_what_it_cant_judge():
    with pytest.raises(ValueError, match="at least one"):
        gradcheck(ops.exp, Tensor(np.ones(2)))
    with pytest.raises(ValueError, match="number 1 is float32"):
        gradcheck(
            ops.add, Tensor(np.ones(2), requires_grad=True), Tensor(np.ones(2, "f4"), requires_grad=True)
        )


def test_gradcheck_leaves_its_tensors_alone(leaf):
    x, mask = leaf(3), Tensor(np.array([True, False, True]))
    before = x.numpy().copy()
    assert gradcheck(lambda x, mask: ops.where(mask, x, 0.0) if mask.dtype == bool else None, x, mask)
    assert x.grad is None and (x.numpy() == before).all()


@pytest.mark.parametrize("name, kernel, impostor", [
    ("tanh", "tanh_vjp", "sigmoid_vjp"),
    ("sigmoid", "sigmoid_vjp", "tanh_vjp"),
    ("softmax", "softmax_vjp", "sigmoid_vjp"),
    ("log_softmax", "log_softmax_vjp", "softmax_vjp"),
    ("relu", "relu_vjp", "add"),
    ("sqrt", "sqrt_vjp", "divide"),
    ("square", "square_vjp", "multiply"),
    ("softplus", "softplus_vjp", "erf_vjp"),
    ("erf", "erf_vjp", "softplus_vjp"),
    ("absolute", "absolute_vjp", "add"),
    ("power", "power_vjp_a", "power_vjp_b"),
    ("divide", "divide_vjp_b", "power_vjp_b"),
    ("subtract", "negative", "copy"),
    ("bias_add", "sum_rows", "fill"),
    ("squared_error", "squared_error_vjp", "absolute_error_vjp"),
    ("log_cosh_error", "log_cosh_vjp", "absolute_error_vjp"),
    ("binary_crossentropy_logits", "binary_crossentropy_logits_vjp", "categorical_crossentropy_logits_vjp"),
    ("categorical_crossentropy", "categorical_crossentropy_vjp", "binary_crossentropy_vjp"),
])  # fmt: skip
def test_gradcheck_catches_a_mutated_vjp(name, kernel, impostor, replace_launch):
    """Put a wrong kernel in the place of one that an operation uses only in its vjp: some row must fail."""
    rows = [row for row in ROWS if row.name == name and row.checked]
    right, wrong = getattr(K, kernel), getattr(K, impostor)
    replace_launch(lambda kernel, *operands: launch(wrong if kernel is right else kernel, *operands))
    with pytest.raises(AssertionError, match="the tape says"):
        for row in rows:
            gradcheck(
                row.call, *[Tensor(x, requires_grad=i in row.checked) for i, x in enumerate(row.inputs)]
            )
