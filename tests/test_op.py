"""Signature and @op: operations of one's own, and what they check."""

import re

import numpy as np
import pytest

from minigrad import kernels as K
from minigrad import launch, op
from minigrad.tensor import Signature, Tensor, constant


@pytest.mark.parametrize("text, shapes, free, result, views", [
    ("(...) -> (...)", [(3, 4)], (), (3, 4), None),
    ("(...) -> (...)", [()], (), (), ((1, 1), (1, 1))),
    ("(...) -> (...)", [(5,)], (), (5,), ((1, 5), (1, 5))),
    ("(...) -> (...)", [(5, 1)], (), (5, 1), ((1, 5), (1, 5))),  # the inner loop must not have length one
    ("(...) -> (...)", [(2, 3, 4)], (), (2, 3, 4), ((1, 24), (1, 24))),
    ("(...), (...) -> (...)", [(3, 4), (3, 4)], (), (3, 4), None),
    ("(...,k), (k,n) -> (...,n)", [(3, 4), (4, 5)], (), (3, 5), None),
    ("(...,k), (k,n) -> (...,n)", [(4,), (4, 5)], (), (5,), ((1, 5), (1, 4), None)),
    ("(...,k), (k,n) -> (...,n)", [(2, 3, 4), (4, 5)], (), (2, 3, 5), ((6, 5), (6, 4), None)),
    ("(...,k), (k,n) -> (...,n)", [(3, 0), (0, 5)], (), (3, 5), None),
    ("(...,n), (n) -> (...,n)", [(3, 4), (4,)], (), (3, 4), (None, None, (1, 4))),
    ("(...,n), (...,n) -> (...)", [(3, 4), (3, 4)], (), (3,), ((3, 1), None, None)),
    ("(...), (...,n) -> (...)", [(2, 3), (2, 3, 4)], (), (2, 3), ((6, 1), (6, 1), (6, 4))),
    ("(m,n) -> (n)", [(3, 4)], (), (4,), ((1, 4), None)),
    ("(n) -> (m,n)", [(4,)], (3,), (3, 4), (None, (1, 4))),
    ("(...) -> (...,n)", [(2, 3)], (4,), (2, 3, 4), ((6, 4), (6, 1))),
    ("(...) -> ()", [(2, 3)], (), (), ((1, 1), (1, 6))),
])  # fmt: skip
def test_signature(text, shapes, free, result, views):
    found, found_views = Signature(text).resolve("f", shapes, free)
    assert found == result
    assert found_views == tuple((i, view) for i, view in enumerate(views or ()) if view is not None)


@pytest.mark.parametrize("text, shapes, error, message", [
    ("(m,k), (k,n) -> (m,n)", [(32, 20), (32, 20)], ValueError,
     "matmul expects (m,k), (k,n) -> (m,n); got (32, 20), (32, 20): k cannot be both 20 and 32."),
    ("(...,k), (k,n) -> (...,n)", [(2, 3), (3,)], ValueError,
     "matmul expects (...,k), (k,n) -> (...,n); got (2, 3), (3,): (3,) has the wrong number of axes for ("),
    ("(...), (...) -> (...)", [(2, 3), (3,)], ValueError,
     "matmul expects (...), (...) -> (...); got (2, 3), (3,): ... cannot be both (2, 3) and (3,)."),
    ("(m,n) -> (n)", [(2, 3, 4)], ValueError,
     "matmul expects (m,n) -> (n); got (2, 3, 4): (2, 3, 4) has the wrong number of axes for (m,n)."),
    ("(...,n) -> (...)", [()], ValueError, "() has the wrong number of axes for (...,n)."),
    ("(n), (n) -> (n)", [(2,)], TypeError, "matmul takes 2 operands, (n), (n) -> (n); got 1."),
])  # fmt: skip
def test_a_signature_that_is_not_met_names_everything(text, shapes, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Signature(text).resolve("matmul", shapes)


@op("(...), (...) -> (...)")
def weighted_sum(y, a, b, weight=1.0):
    """y = a + weight b."""
    factor = constant(a.dtype, weight)
    launch(K.scale, b, factor, y)
    launch(K.add, a, y, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            launch(K.copy, gy, ga)
        if gb is not None:
            launch(K.scale, gy, factor, gb)

    return vjp


@op("(...) -> (...)")
def half(y, x):
    """y = x / 2, without a derivative."""
    launch(K.scale, x, constant(x.dtype, 0.5), y)


def test_an_operation_of_ones_own(leaf):
    a, b = leaf(2, 3, 4), leaf(2, 3, 4)
    y = weighted_sum(a, b, weight=3.0)
    np.testing.assert_allclose(y.numpy(), a.numpy() + 3 * b.numpy())
    y.backward(np.ones(y.shape))
    assert (a.grad == 1).all() and (b.grad == 3).all()
    assert weighted_sum([1.0, 2.0], a[0, 0, :2]).dtype == "float64"
    assert weighted_sum.__name__ == "weighted_sum" and weighted_sum.signature == "(...), (...) -> (...)"
    assert "y = a + weight b" in weighted_sum.__doc__ and weighted_sum.__doc__.startswith(
        weighted_sum.signature
    )


def test_an_operation_without_a_derivative_is_not_on_the_tape(leaf):
    assert not half(leaf(3)).requires_grad


@pytest.mark.parametrize("operands, options, error, message", [
    ((np.ones(2), np.ones(3)), {}, ValueError, "weighted_sum expects (...), (...) -> (...); got (2,), (3,)"),
    ((np.ones(2),), {}, TypeError, "weighted_sum takes 2 operands"),
    ((np.ones(2), np.ones(2), np.ones(2)), {}, TypeError, "weighted_sum takes 2 operands"),
    ((Tensor(np.ones(2)), Tensor(np.ones(2, "f4"))), {}, TypeError, "of float64 and float32: cast one"),
    ((Tensor([True]), Tensor([True])), {}, TypeError, "computes with floating-point tensors; got bool"),
    ((np.ones(2), "x"), {}, ValueError, "Expected numbers"),
    ((np.ones(2), np.ones(2)), {"wieght": 2}, TypeError, "wieght"),
])  # fmt: skip
def test_an_operation_checks_its_operands(operands, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        weighted_sum(*operands, **options)


def test_an_error_in_a_vjp_leaves_no_half_gradient():
    @op("(...) -> (...)")
    def broken(y, x):
        """y = x, with no derivative."""
        launch(K.copy, x, y)

        def vjp(gy, gx):
            raise ArithmeticError("no")

        return vjp

    a, b = (Tensor([3.0], requires_grad=True) for _ in range(2))
    with pytest.raises(ArithmeticError):
        (a + broken(b) * a).backward()
    assert a.grad is None and b.grad is None
    (a * b).backward()
    assert (a.grad, b.grad) == ([3.0], [3.0])


def test_a_vjp_that_writes_to_what_is_shared_is_stopped():
    @op("(...) -> (...)")
    def careless(y, x):
        """y = x, but its vjp does not leave gy alone."""
        launch(K.copy, x, y)

        def vjp(gy, gx):
            gy *= 2
            launch(K.copy, gy, gx)

        return vjp

    a = Tensor([3.0], requires_grad=True)
    with pytest.raises(ValueError, match="read-only"):
        careless(a).backward()
    (a * a).backward()
    assert a.grad == [6.0]
