"""Activations against Keras' formulas, and conventions: the slope at a kink, NaN, infinity, extreme values."""

import math

import numpy as np
import pytest
import scipy.special
from operation_rows import away_from, np_leaky, np_softmax

from minigrad import activations, ops
from minigrad.tensor import Tensor
from minigrad.utils import gradcheck

ACTIVATIONS = {  # the strings that Keras 3 knows -> the formula, and where its kinks are
    "relu": (lambda x: np.maximum(x, 0), [0]),
    "relu6": (lambda x: np.clip(x, 0, 6), [0, 6]),
    "leaky_relu": (np_leaky(0.2), [0]),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), []),
    "selu": (lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), [0]),
    "celu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), []),
    "softmax": (np_softmax, []),
    "log_softmax": (lambda x: np.log(np_softmax(x)), []),
    "softplus": (lambda x: np.logaddexp(x, 0), []),
    "softsign": (lambda x: x / (1 + np.abs(x)), []),
    "sigmoid": (scipy.special.expit, []),
    "log_sigmoid": (lambda x: -np.logaddexp(-x, 0), []),
    "tanh": (np.tanh, []),
    "silu": (lambda x: x * scipy.special.expit(x), []),
    "swish": (lambda x: x * scipy.special.expit(x), []),
    "gelu": (lambda x: x * scipy.special.ndtr(x), []),
    "glu": (lambda x: x[..., :4] * scipy.special.expit(x[..., 4:]), []),
    "mish": (lambda x: x * np.tanh(np.logaddexp(x, 0)), []),
    "exponential": (np.exp, []),
    "hard_sigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, [-3, 3]),
    "hard_silu": (lambda x: x * np.clip(x + 3, 0, 6) / 6, [-3, 3]),
    "hard_swish": (lambda x: x * np.clip(x + 3, 0, 6) / 6, [-3, 3]),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), [-1, 1]),
    "hard_shrink": (lambda x: x * (np.abs(x) > 0.5), [-0.5, 0.5]),
    "soft_shrink": (lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), [-0.5, 0.5]),
    "tanh_shrink": (lambda x: x - np.tanh(x), []),
    "threshold": (lambda x: x * (x > 0), [0]),
    "sparse_plus": (lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)), []),
    "sparse_sigmoid": (lambda x: np.clip((x + 1) / 2, 0, 1), [-1, 1]),
    "sparsemax": (lambda x: np_sparsemax(x), []),
    "squareplus": (lambda x: (x + np.sqrt(x * x + 4)) / 2, []),
    "linear": (lambda x: x, []),
}  # fmt: skip


def np_sparsemax(x):
    """By bisection on the tau that makes max(x - tau, 0) sum to one: another way than that of the module."""
    low, high = x.max(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(60):
        tau = (low + high) / 2
        too_much = np.maximum(x - tau, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(too_much, tau, low), np.where(too_much, high, tau)
    return np.maximum(x - low, 0)


OPTIONS = [
    ("relu", {"negative_slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ("relu", {"max_value": 1.5}, lambda x: np.clip(x, 0, 1.5)),
    ("relu", {"threshold": 1.0}, lambda x: x * (x > 1)),
    ("relu", {"negative_slope": 0.1, "max_value": 2.5, "threshold": 0.5},
     lambda x: np.where(x > 2.5, 2.5, np.where(x > 0.5, x, 0.1 * (x - 0.5)))),
    ("leaky_relu", {"negative_slope": 0.3}, np_leaky(0.3)),
    ("elu", {"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0)))),
    ("celu", {"alpha": 2.0}, lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2))),
    ("gelu", {"approximate": True},
     lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    ("hard_shrink", {"threshold": 1.2}, lambda x: x * (np.abs(x) > 1.2)),
    ("soft_shrink", {"threshold": 1.2}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 1.2, 0)),
    ("threshold", {"threshold": -1.2, "default_value": 7.0}, lambda x: np.where(x > -1.2, x, 7.0)),
    ("squareplus", {"b": 1}, lambda x: (x + np.sqrt(x * x + 1)) / 2),
    ("softmax", {"axis": 0}, lambda x: np_softmax(x, 0)),
    ("sparsemax", {"axis": 0}, lambda x: np_sparsemax(x.T).T),
    ("glu", {"axis": 0}, lambda x: x[:3] * scipy.special.expit(x[3:])),
]  # fmt: skip


def test_the_table_of_activations_is_complete():
    assert set(ACTIVATIONS) == set(activations.registry.members)


@pytest.mark.parametrize("name, options, reference, kinks",
                         [(name, {}, *entry) for name, entry in ACTIVATIONS.items()]
                         + [(*entry, []) for entry in OPTIONS])  # fmt: skip
def test_activation(name, options, reference, kinks):
    f, x = activations.get(name), away_from(kinks)
    for dtype, tolerance in (("float32", 2e-6), ("float64", 1e-13)):
        y = f(Tensor(x.astype(dtype)), **options)
        expected = reference(x.astype(dtype).astype("float64"))
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), expected, rtol=tolerance, atol=10 * tolerance)
    assert gradcheck(lambda x: f(x, **options), Tensor(x, requires_grad=True))


@pytest.mark.parametrize("shape", [(1, 4), (4, 2), (2, 3, 4), (8,)])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_at_odd_shapes(name, shape):
    if name == "glu":
        reference = lambda x: x[..., : shape[-1] // 2] * scipy.special.expit(x[..., shape[-1] // 2 :])
    else:
        reference = ACTIVATIONS[name][0]
    x = away_from([0, 6, -3, 3, -1, 1, 0.5, -0.5], shape)
    np.testing.assert_allclose(activations.get(name)(Tensor(x)).numpy(), reference(x), rtol=1e-12, atol=1e-13)


# ------------------------------------------------------------------------------------------- conventions


def slope(f, *values):
    """The gradients of sum f at arrays of `values`, one for each."""
    tensors = [Tensor(np.array(v, "float64"), requires_grad=True) for v in values]
    f(*tensors).backward(np.ones(f(*tensors).shape))
    return [t.grad.tolist() for t in tensors]


@pytest.mark.parametrize("name, f, values, gradients", [
    ("relu'(0) = 0", ops.relu, [[0.0, -0.0, 1.0, -1.0]], [[0, 0, 1, 0]]),
    ("leaky_relu'(0) = the slope below", ops.leaky_relu, [[0.0, -0.0]], [[0.2, 0.2]]),
    ("relu with a limit: 0 at both ends", activations.relu6, [[0.0, 6.0, 3.0, 7.0]], [[0, 0, 1, 0]]),
    ("abs'(0) = 0", ops.absolute, [[0.0, -0.0]], [[0, 0]]),
    ("of equal ones maximum takes the first", ops.maximum, [[1.0, 2.0], [1.0, 3.0]], [[1, 0], [0, 1]]),
    ("of equal ones minimum takes the first", ops.minimum, [[1.0, 4.0], [1.0, 3.0]], [[1, 0], [0, 1]]),
    ("equal maxima share", ops.max, [[2.0, 1.0, 2.0, 2.0]], [[1 / 3, 0, 1 / 3, 1 / 3]]),
    ("equal maxima of a column share", lambda x: ops.max(x, axis=0),
     [[[1.0, 5.0], [1.0, 2.0]]], [[[0.5, 1], [0.5, 0]]]),
    ("equal minima share", ops.min, [[1.0, 1.0, 3.0]], [[0.5, 0.5, 0]]),
    ("the bounds of clip are inside", lambda x: ops.clip(x, -1, 1),
     [[-1.0, 1.0, 0.0, 1.5, -2.0]], [[1, 1, 1, 0, 0]]),
    ("hard_tanh as clip", activations.hard_tanh, [[-1.0, 1.0]], [[1, 1]]),
    ("0 ** 2", lambda x: x**2, [[0.0]], [[0]]),
    ("0 ** 1", lambda x: x**1, [[0.0]], [[1]]),
    ("x ** 0", lambda x: x**0, [[0.0, 2.0]], [[0, 0]]),
    ("d(0 ** b)/db = 0", lambda b: ops.power(0.0, b), [[2.0]], [[0]]),
    ("celu is smooth at 0", activations.celu, [[0.0, -0.0]], [[1, 1]]),
    ("elu is smooth at 0", activations.elu, [[0.0, -0.0]], [[1, 1]]),
    ("silu'(0) = 1/2", activations.silu, [[0.0]], [[0.5]]),
    ("threshold'(0) = 0", activations.threshold, [[0.0]], [[0]]),
    ("shrinking is flat at its bounds", activations.soft_shrink, [[0.5, -0.5, 0.0]], [[0, 0, 0]]),
    ("a repeated index adds up", lambda x: x[[0, 0, 1]], [[1.0, 2.0, 3.0]], [[2, 1, 0]]),
    ("clipped probabilities are flat", lambda p: ops.binary_crossentropy([[0.0], [1.0]], p),
     [[[1.0], [0.0]]], [[[0], [0]]]),
])  # fmt: skip
def test_convention(name, f, values, gradients):
    assert slope(f, *values) == gradients


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("name, y, expected", [
    ("relu", ops.relu([NAN, INF, -INF]), [NAN, INF, 0]),
    ("leaky_relu", ops.leaky_relu([NAN, INF, -INF]), [NAN, INF, -INF]),
    ("relu6", activations.relu6(Tensor([NAN, INF, -INF])), [NAN, 6, 0]),
    ("relu of all options", activations.relu(Tensor([NAN, INF, -INF]), 0.1, 3.0, 1.0), [NAN, 3, -INF]),
    ("maximum", ops.maximum([NAN, 1.0, INF, -INF], [1.0, NAN, 1.0, 1.0]), [NAN, NAN, INF, 1]),
    ("minimum", ops.minimum([NAN, 1.0, INF, -INF], [1.0, NAN, 1.0, 1.0]), [NAN, NAN, 1, -INF]),
    ("max of rows", ops.max(Tensor([[1.0, NAN, 3.0], [1, 2, 3]]), axis=1), [NAN, 3]),
    ("max of columns", ops.max(Tensor([[1.0, NAN, 3.0], [1, 2, 5]]), axis=0), [1, NAN, 5]),
    ("max, first element NaN", ops.max(Tensor([NAN, 2.0])), NAN),
    ("min", ops.min(Tensor([[1.0, NAN], [1.0, 2.0]]), axis=1), [NAN, 1]),
    ("clip", ops.clip([NAN, INF, -INF], -1, 2), [NAN, 2, -1]),
    ("absolute", ops.absolute([NAN, INF, -INF]), [NAN, INF, INF]),
    ("exp", ops.exp([NAN, INF, -INF, 1e4, -1e4]), [NAN, INF, 0, INF, 0]),
    ("log", ops.log([NAN, INF, 0.0, -1.0]), [NAN, INF, -INF, NAN]),
    ("sqrt", ops.sqrt([NAN, INF, -1.0]), [NAN, INF, NAN]),
    ("tanh", ops.tanh([NAN, INF, -INF]), [NAN, 1, -1]),
    ("sigmoid", ops.sigmoid([NAN, INF, -INF]), [NAN, 1, 0]),
    ("softplus", ops.softplus([NAN, INF, -INF]), [NAN, INF, 0]),
    ("divide", ops.divide([1.0, -1.0, 0.0, NAN], [0.0, 0.0, 0.0, 1.0]), [INF, -INF, NAN, NAN]),
    ("softmax: only the row", ops.softmax(Tensor([[NAN, 1.0], [0.0, 0.0]])), [[NAN, NAN], [0.5, 0.5]]),
    ("softmax, NaN last", ops.softmax(Tensor([[1.0, 2.0, NAN]])), [[NAN, NAN, NAN]]),
    ("log_softmax: only the row", ops.log_softmax(Tensor([[1.0, NAN], [0.0, -INF]])),
     [[NAN, NAN], [0, -INF]]),
    ("softmax of a masked logit", ops.softmax(Tensor([[-INF, 0.0]])), [[0, 1]]),
    ("sum", ops.sum(Tensor([1.0, NAN])), NAN),
    ("mean of nothing", ops.mean(Tensor(np.zeros((0, 2)))), NAN),
    ("where takes what is asked for", ops.where([True, False], [1.0, NAN], [NAN, 2.0]), [1, 2]),
    ("0 times infinity", ops.multiply([0.0], [INF]), [NAN]),
    ("NaN compares false", ops.cast(ops.greater_equal([NAN, NAN], [NAN, 1.0]), "float32"), [0, 0]),
    ("NaN differs from itself", ops.cast(ops.not_equal([NAN], [NAN]), "float32"), [1]),
    ("matmul: only the row", Tensor([[NAN, 1.0], [1.0, 1.0]]) @ Tensor([[1.0], [0.0]]), [[NAN], [1]]),
    ("binary cross-entropy", ops.binary_crossentropy(Tensor([[1.0], [1.0]]), Tensor([[NAN], [0.5]])),
     [NAN, math.log(2)]),
    ("binary cross-entropy of a target", ops.binary_crossentropy_logits(Tensor([[NAN]]), Tensor([[0.0]])),
     [NAN]),
    ("a label that is no class", ops.sparse_crossentropy_logits([2, -1, NAN], [[0, 0]] * 3), [NAN] * 3),
])  # fmt: skip
def test_nan_and_infinity_are_never_hidden(name, y, expected):
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_activation_hides_a_nan(name, dtype):
    x = np.full((2, 4), 0.7, dtype)
    x[0] = np.nan
    y = activations.get(name)(Tensor(x)).numpy()
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, f, x, y, gradient", [
    ("softplus", ops.softplus, [1e4, -1e4], [1e4, 0], [1, 0]),
    ("sigmoid", ops.sigmoid, [1e4, -1e4], [1, 0], [0, 0]),
    ("log_sigmoid", activations.log_sigmoid, [1e4, -1e4], [0, -1e4], [0, 1]),
    ("tanh", ops.tanh, [1e4, -1e4], [1, -1], [0, 0]),
    ("softmax", ops.softmax, [[1e4, -1e4, 1e4]], [[0.5, 0, 0.5]], [[0, 0, 0]]),
    ("log_softmax", ops.log_softmax, [[1e4, -1e4]], [[0, -2e4]], [[-1, 1]]),
    ("elu", activations.elu, [1e4, -1e4], [1e4, -1], [1, 0]),
    ("selu", activations.selu, [-1e4], [-1.7580993408473766], [0]),
    ("celu", activations.celu, [1e4, -1e4], [1e4, -1], [1, 0]),
    ("gelu", activations.gelu, [1e4, -1e4], [1e4, 0], [1, 0]),
    ("silu", activations.silu, [1e4, -1e4], [1e4, 0], [1, 0]),
    ("mish", activations.mish, [1e4, -1e4], [1e4, 0], [1, 0]),
    ("binary_crossentropy_logits, t = 0", lambda x: ops.binary_crossentropy_logits(np.zeros((2, 1)), x),
     [[1e4], [-1e4]], [1e4, 0], [[1], [0]]),
    ("binary_crossentropy_logits, t = 1", lambda x: ops.binary_crossentropy_logits(np.ones((2, 1)), x),
     [[1e4], [-1e4]], [0, 1e4], [[0], [-1]]),
    ("categorical_crossentropy_logits", lambda x: ops.categorical_crossentropy_logits(np.eye(2), x),
     [[1e4, -1e4], [1e4, -1e4]], [0, 2e4], [[0, 0], [1, -1]]),
    ("sparse_crossentropy_logits", lambda x: ops.sparse_crossentropy_logits(np.array([0.0, 1.0]), x),
     [[1e4, -1e4], [1e4, -1e4]], [0, 2e4], [[0, 0], [1, -1]]),
])  # fmt: skip
def test_extreme_values_overflow_nowhere(name, f, x, y, gradient, dtype):
    x = Tensor(np.array(x, dtype), requires_grad=True)
    result = f(x)
    np.testing.assert_allclose(result.numpy(), y, rtol=1e-6, atol=0)
    upstream = np.ones(result.shape)
    if name == "log_softmax":
        upstream[:, 0] = 0  # the gradient of the small one; that of the sum of both would be 0
    result.backward(upstream)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "t, p, expected", [(1, 1 - 3 * 2**-24, 3 * 2**-24), (0, 2**-20, 2**-20), (1, 2**-20, 20 * math.log(2))]
)
def test_a_confident_right_answer_keeps_its_small_loss_in_float32(t, p, expected):
    loss = ops.binary_crossentropy(Tensor(np.array([[t]], "f4")), Tensor(np.array([[p]], "f4")))
    np.testing.assert_allclose(loss.numpy(), [expected], rtol=2e-6)
