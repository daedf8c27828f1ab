"""The operations that the layers are made of, rows of a table: against NumPy, and their gradients by gradcheck.

The first part is the table; test_functions.py has the rows of all others, and fails where a public function has no
row. What a table can't say follows: kinks, NaN and infinity, extreme values, errors, and that gradcheck can fail.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.special

from minigrad import activations, config, launch, no_grad, op, ops
from minigrad import kernels as K
from minigrad.tensor import Tensor
from minigrad.utils import gradcheck

RANDOM = np.random.default_rng(7)


def signed(*shape):
    """Values whose sizes lie in [0.3, 2], of random sign: away from a kink at 0."""
    return RANDOM.uniform(0.3, 2.0, shape) * RANDOM.choice([-1.0, 1.0], shape)


def positive(*shape):
    return RANDOM.uniform(0.5, 2.0, shape)


def distinct(*shape):
    """Values in random order, no two closer than 0.3: away from the kinks of max and sort."""
    return 0.3 * RANDOM.permutation(math.prod(shape)).reshape(shape) - 0.1 * math.prod(shape)


def away_from(kinks, shape=(6, 8)):
    x = RANDOM.uniform(-4, 8, shape)
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 0.05, x + 0.1, x)
    return x


def labels(classes, *shape):
    return RANDOM.integers(0, classes, shape).astype(float)


class Row:
    """What an operation must equal on some inputs.

    name: the public function; call: what is called with tensors; reference: the same in NumPy, on float64
    arrays; inputs: arrays; constants: which of the inputs are not differentiated; dtype: of the result, where
    it is not that of the inputs.
    """

    def __init__(self, name, call, reference, *inputs, constants=(), differentiable=True, dtype=None):
        self.name, self.call, self.reference, self.inputs, self.dtype = name, call, reference, inputs, dtype
        self.checked = [i for i in range(len(inputs)) if i not in constants] if differentiable else []

    def __repr__(self):
        return f"{self.name} {' '.join(str(np.shape(x)).replace(' ', '') for x in self.inputs)}"


def method(function, *args, **kwargs):
    """A function of the tensors alone, with the other arguments bound."""
    return lambda *xs: function(*xs, *args, **kwargs)


# ---------------------------------------------------------------------------------------------- the table

SHAPES = [(), (1,), (7,), (1, 5), (5, 1), (3, 17), (33, 2), (2, 1, 3), (2, 3, 4, 5), (0, 3)]

UNARY = {
    "negative": (np.negative, signed),
    "exp": (np.exp, signed),
    "log": (np.log, positive),
    "sqrt": (np.sqrt, positive),
    "square": (np.square, signed),
    "absolute": (np.abs, signed),
    "abs": (np.abs, signed),
    "tanh": (np.tanh, signed),
    "sigmoid": (scipy.special.expit, signed),
    "softplus": (lambda x: np.logaddexp(x, 0), signed),
    "erf": (scipy.special.erf, signed),
    "relu": (lambda x: np.maximum(x, 0), signed),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.2 * x), signed),
}

PAIRS = [
    ((), ()), ((), (3, 4)), ((3, 4), ()), ((1,), (5,)), ((13,), (13,)), ((17, 1), (17, 1)), ((1, 9), (9,)),
    ((3, 4), (4,)), ((4,), (3, 4)), ((3, 1), (1, 4)), ((3, 4), (3, 1)), ((1, 4), (3, 4)), ((2, 3, 4), (3, 4)),
    ((2, 1, 4), (3, 1)), ((2, 3, 1), (2, 1, 5)), ((2, 1, 3, 1), (4, 1, 5)), ((2, 3, 4, 5), (1,)),
    ((0, 3), (3,)),
]  # fmt: skip

BINARY = {
    "add": (np.add, signed, signed),
    "subtract": (np.subtract, signed, signed),
    "multiply": (np.multiply, signed, signed),
    "divide": (np.divide, signed, signed),
    "power": (np.power, positive, signed),
    "maximum": (np.maximum, signed, lambda *shape: signed(*shape) + 0.05),
    "minimum": (np.minimum, signed, lambda *shape: signed(*shape) + 0.05),
}
COMPARISONS = {
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
}

REDUCTIONS = {"sum": np.sum, "mean": np.mean, "var": np.var, "std": np.std, "max": np.max, "min": np.min}
AXES = [
    ((), None), ((7,), None), ((7,), 0), ((7,), -1), ((1,), 0),
    *[((3, 5), axis) for axis in (None, 0, 1, -1, -2, (0, 1), (1, 0))],
    ((1, 5), 0), ((5, 2), 1), ((33, 3), 0), ((3, 33), 1),
    *[((2, 3, 4), axis) for axis in (0, 1, 2, -2, (0, 1), (1, 2), (0, 2), (-1, -3), None)],
    *[((2, 3, 2, 3), axis) for axis in (2, (1, 3), (0, 2, 3), [0, -1])],
]  # fmt: skip

INDICES = [
    ((5,), 0), ((5,), -1), ((5,), np.int64(2)), ((5,), slice(None)), ((5,), slice(None, None, -1)),
    ((5,), slice(4, 0, -2)), ((5,), slice(1, -1)), ((5,), slice(3, 3)), ((5,), None), ((5,), ...),
    ((), ...), ((), None),
    ((5,), [0, 0, 4, -1, 0]), ((5,), np.array([[0, 1], [4, 4]])),
    ((5,), np.array([True, False, True, True, False])),
    ((3, 4), 1), ((3, 4), (1, 2)), ((3, 4), (slice(None), 1)), ((3, 4), (slice(None), slice(None, None, -1))),
    ((3, 4), (..., -1)), ((3, 4), (None, 1)), ((3, 4), (slice(None), None, slice(1, 3))),
    ((3, 4), ([2, 0, 2],)),
    ((3, 4), ([0, 0, 2], [1, 1, 3])), ((3, 4), (np.array([[0], [2]]), np.array([3, 3, 1]))),
    ((3, 4), (slice(None), [1, 1])), ((3, 4), np.arange(12).reshape(3, 4) % 3 == 0),
    ((3, 4), np.zeros((3, 4), bool)),
    ((2, 3, 4), (0, ..., slice(None, None, 2))), ((2, 3, 4), (slice(None), np.array([True, False, True]))),
    ((2, 3, 4), (..., None)), ((2, 3, 4), (1, slice(None, None, -1), [3, 0])),
    ((2, 3, 4, 5), (slice(1), 2, ..., -2)),
    ((1, 5), (0, slice(1, None))), ((5, 1), (slice(None, None, 2), 0)),
]  # fmt: skip

PRODUCTS = [
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 3)), ((3, 4), (4, 5)), ((1, 4), (4, 1)), ((1, 1), (1, 1)),
    ((7, 1), (1, 5)), ((7, 5), (5, 1)), ((33, 17), (17, 9)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((2, 2, 3, 4), (4, 2)),
    ((3, 0), (0, 2)), ((0, 3), (3, 2)), ((120, 100), (100, 110)),  # the last is more than a _SMALL_PRODUCT
]  # fmt: skip


def np_softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def np_leaky(slope):
    return lambda x: np.where(x > 0, x, slope * x)


def np_batch_normalization(x, bias, gamma, beta, floor=-np.inf):
    rows = x.reshape(-1, x.shape[-1])
    h = (x - rows.mean(0)) / np.sqrt(rows.var(0) + 0.01)
    return np.maximum(floor, gamma * h + beta)


def with_statistics(operation, floor):
    """The op with fresh moving statistics: it moves those it is given."""

    def call(*operands):
        moving = [np.zeros((1, operands[-1].size), operands[-1].dtype) for _ in range(2)]
        return operation(
            *operands,
            moving_mean=moving[0],
            moving_variance=moving[1],
            momentum=0.9,
            epsilon=0.01,
            floor=floor,
        )

    return call


def frozen_normalization(floor):
    def call(x, bias, gamma, beta):
        n = x.shape[-1]
        mean, variance = (np.linspace(low, 1.5, n, dtype=x.dtype).reshape(1, n) for low in (-0.5, 0.5))
        return ops.frozen_normalization(
            x, bias, gamma, beta, mean=mean, variance=variance, epsilon=0.01, floor=floor
        )

    return call


def np_frozen_normalization(x, bias, gamma, beta, floor=-np.inf):
    mean, variance = (np.linspace(low, 1.5, x.shape[-1]) for low in (-0.5, 0.5))
    return np.maximum(floor, (x + bias - mean) * gamma / np.sqrt(variance + 0.01) + beta)


def dropout(rate):
    """The op with the same stream each time it is called, so that it is a function."""
    return lambda x: ops.dropout(x, rate=rate, state=np.array([[5, 0]], np.uint64))


def np_dropout(rate):
    def reference(x):
        state, mask = np.array([[5, 0]], np.uint64), np.empty((1, x.size))
        launch(K.dropout_mask, np.array([[rate]]), state, mask)
        return x * mask.reshape(x.shape)

    return reference


def np_layer_normalization(x, gamma=1.0, beta=0.0, axis=-1, epsilon=1e-7):
    axes = tuple(np.atleast_1d(axis) % x.ndim)
    shape = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    gamma, beta = (np.reshape(p, shape) if np.ndim(p) else p for p in (gamma, beta))
    h = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return gamma * h + beta


def shuffle(axis):
    return lambda x: ops.shuffle(x, state=np.array([[5, 0]], np.uint64), axis=axis)


def np_shuffle(axis):
    def reference(x):
        order, inverse = np.empty((2, x.shape[axis], 1), np.int64)
        launch(K.permutation, np.array([[5, 0]], np.uint64), order, inverse)
        assert sorted(order[:, 0]) == list(range(len(order))) and (order[inverse[:, 0], 0] == np.arange(len(order))).all()
        return np.take(x, order[:, 0], axis)

    return reference


def smooth(t, smoothing, classes):
    return t * (1 - smoothing) + smoothing / classes


def np_bce(smoothing=0.0):
    def reference(t, p):
        t = smooth(t, smoothing, 2)
        return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(-1)

    return reference


def np_bce_logits(smoothing=0.0):
    return lambda t, x: (np.logaddexp(x, 0) - x * smooth(t, smoothing, 2)).mean(-1)


def np_cce(smoothing=0.0):
    return lambda t, p: -(smooth(t, smoothing, p.shape[-1]) * np.log(p / p.sum(-1, keepdims=True))).sum(-1)


def np_cce_logits(smoothing=0.0):
    return lambda t, x: -(smooth(t, smoothing, x.shape[-1]) * np.log(np_softmax(x))).sum(-1)


def np_sparse(label, x):
    return -np.take_along_axis(np.log(np_softmax(x)), label[..., None].astype(int), -1)[..., 0]


def manipulations():
    """Rows for what changes the shape or the order of the elements."""
    for shape, new in [((), (1, 1)), ((6,), (2, 3)), ((2, 3), -1), ((2, 3, 4), (4, -1)), ((0, 3), (3, 0))]:
        yield Row("reshape", method(ops.reshape, new), method(np.reshape, new), signed(*shape))
    for shape, axis in [((), 0), ((3,), 0), ((3,), -1), ((2, 3), 1), ((2, 3), -3), ((2, 3), 2)]:
        yield Row("expand_dims", method(ops.expand_dims, axis), method(np.expand_dims, axis), signed(*shape))
    for shape, axis in [((1, 1), None), ((3, 1), 1), ((1, 3, 1), -3), ((1, 3, 1), (0, 2)), ((), None)]:
        yield Row("squeeze", method(ops.squeeze, axis), method(np.squeeze, axis), signed(*shape))
    for shape, axes in [((), None), ((3,), None), ((3, 5), None), ((2, 3, 4), (1, 2, 0)),
                        ((2, 3, 4), (0, 1, 2)), ((2, 3, 4), (-1, 0, 1)), ((2, 3, 4, 5), (3, 1, 0, 2)),
                        ((1, 5), None)]:  # fmt: skip
        yield Row("transpose", method(ops.transpose, axes), method(np.transpose, axes), signed(*shape))
    for shape, axis in [((5,), None), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), (0, 2))]:
        yield Row("flip", method(ops.flip, axis), method(np.flip, axis), signed(*shape))
    for shapes, axis in [([(3,)], 0), ([(3,), (1,), (0,)], -1), ([(2, 3), (4, 3)], 0),
                         ([(2, 3), (2, 1), (2, 5)], 1), ([(2, 1, 4), (2, 3, 4)], -2),
                         ([(1, 2, 2, 2)] * 2, 0)]:  # fmt: skip
        yield Row(
            "concatenate",
            lambda *xs, axis=axis: ops.concatenate(xs, axis),
            lambda *xs, axis=axis: np.concatenate(xs, axis),
            *[signed(*s) for s in shapes],
        )
    for shape, axis in [((), 0), ((3,), 0), ((3,), -1), ((2, 3), 1), ((2, 1, 3), -4)]:
        yield Row(
            "stack",
            lambda *xs, axis=axis: ops.stack(xs, axis),
            lambda *xs, axis=axis: np.stack(xs, axis),
            signed(*shape),
            signed(*shape),
            signed(*shape),
        )
    for shape, new in [((), ()), ((), (2, 3)), ((1,), (5,)), ((3,), (2, 3)), ((3, 1), (3, 4)),
                       ((1, 4), (3, 4)), ((2, 1, 3), (2, 4, 3)), ((1, 3, 1), (2, 3, 4)), ((1,), (0,)),
                       ((3,), (0, 3))]:  # fmt: skip
        yield Row("broadcast_to", method(ops.broadcast_to, new), method(np.broadcast_to, new), signed(*shape))
    for shape, key in INDICES:
        yield Row("get_item", lambda x, key=key: x[key], lambda x, key=key: x[key], signed(*shape))


def table():
    for (name, (reference, draw)), shape in itertools.product(UNARY.items(), SHAPES):
        yield Row(name, getattr(ops, name), reference, draw(*shape))
    for name, (reference, left, right) in BINARY.items():
        for a, b in PAIRS:
            yield Row(name, getattr(ops, name), reference, left(*a), right(*b))
    for (name, reference), (a, b) in itertools.product(COMPARISONS.items(), PAIRS):
        x, y = np.rint(signed(*a)), np.rint(signed(*b))  # with ties
        yield Row(name, getattr(ops, name), reference, x, y, differentiable=False)
    for (name, reference), (shape, axis), keep in itertools.product(REDUCTIONS.items(), AXES, (False, True)):
        np_axis = tuple(axis) if isinstance(axis, list) else axis
        if name == "std" and not np.var(distinct(*shape), axis=np_axis).all():
            continue  # the derivative of the root at 0 is infinite
        yield Row(
            name,
            method(getattr(ops, name), axis=axis, keepdims=keep),
            method(reference, axis=np_axis, keepdims=keep),
            distinct(*shape),
        )
    for shape, axis in [((3, 0), 1), ((0, 3), 0), ((3, 0), 0)]:
        yield Row("sum", method(ops.sum, axis=axis), method(np.sum, axis=axis), signed(*shape))
    for shape in [(1,), (7,), (3, 5), (2, 3, 4), ()]:
        yield Row("mean_all", ops.mean_all, np.mean, signed(*shape))
    places = [((7,), 0), ((3, 5), 0), ((3, 5), -1), ((3, 5), None), ((2, 3, 4), 1)]
    for (shape, axis), keep in itertools.product(places, (False, True)):
        yield Row(
            "argmax",
            method(ops.argmax, axis=axis, keepdims=keep),
            method(np.argmax, axis=axis, keepdims=keep),
            distinct(*shape),
            differentiable=False,
        )
    yield Row(
        "argmax", ops.argmax, np.argmax, np.array([1.0, 3.0, 3.0]), differentiable=False
    )  # the first of equals
    for exponent in (2, 2.0, 3, -1, 0.5, 0, 1):
        yield Row("power", method(ops.power, exponent), method(np.power, exponent), positive(3, 5))
    for exponent in (3, -1, 1):
        yield Row("power", method(ops.power, exponent), method(np.power, exponent), signed(3, 5))
    yield Row("power", lambda b: 2**b, lambda b: 2**b, signed(3, 5))
    for shape in SHAPES:
        yield Row(
            "clip", method(ops.clip, -1.0, 0.9), method(np.clip, -1.0, 0.9), away_from([-1.0, 0.9], shape)
        )
    for slope in (0.0, 0.01, 1.5):
        yield Row("leaky_relu", method(ops.leaky_relu, slope), np_leaky(slope), signed(3, 5))
    for condition, a, b in [((3, 4), (3, 4), (3, 4)), ((4,), (3, 4), ()), ((3, 1), (4,), (3, 4)),
                            ((), (5,), (5,)), ((2, 1, 3), (3,), (2, 4, 1))]:  # fmt: skip
        yield Row("where", ops.where, np.where, signed(*condition) > 0, signed(*a), signed(*b), constants=[0])
    for a, b in PRODUCTS:
        yield Row("matmul", ops.matmul, np.matmul, signed(*a), signed(*b))
    for x, n in [((5,), 5), ((1, 3), 3), ((4, 1), 1), ((2, 3, 4), 4)]:
        yield Row("bias_add", ops.bias_add, np.add, signed(*x), signed(n))
    for x, k, n in [((5,), 5, 3), ((1, 4), 4, 1), ((7, 1), 1, 2), ((33, 17), 17, 9), ((2, 3, 4), 4, 5)]:
        yield Row("dense", ops.dense, lambda x, k, b: x @ k + b, signed(*x), signed(k, n), signed(n))
    for name, reference in [
        ("softmax", np_softmax),
        ("log_softmax", lambda x, axis: np.log(np_softmax(x, axis))),
    ]:
        for shape, axis in [((7,), -1), ((1, 5), 1), ((5, 1), -1), ((3, 5), 0), ((3, 17), -1), ((2, 3, 4), 1),
                            ((2, 3, 4), (1, 2)), ((2, 3, 4), (-1, 0)), ((2, 3, 4, 5), -3)]:  # fmt: skip
            yield Row(
                name, method(getattr(ops, name), axis=axis), method(reference, axis=axis), signed(*shape)
            )
    for floor, shape in itertools.product((-np.inf, 0.0), [(7, 3), (1, 4), (5, 1), (33, 17), (3, 2, 4)]):
        n = shape[-1]
        parameters = signed(n), signed(n), signed(n)
        training = "batch_normalization", with_statistics(ops.batch_normalization, floor), np_batch_normalization
        inference = "frozen_normalization", frozen_normalization(floor), np_frozen_normalization
        for name, call, reference in (training, inference):
            yield Row(name, call, method(reference, floor=floor), signed(*shape), *parameters)
        yield Row(
            "normalized_product",
            with_statistics(ops.normalized_product, floor),
            lambda x, kernel, *more, floor=floor: np_batch_normalization(x @ kernel, *more, floor=floor),
            signed(*shape[:-1], 4),
            signed(4, n),
            *parameters,
        )
    for rate in (0.0, 0.4, 1.0):
        yield Row("dropout", dropout(rate), np_dropout(rate), signed(3, 17))
    for shape, axis in [((1,), 0), ((7, 3), 0), ((3, 7), -1), ((2, 5, 4), 1), ((4, 0), 0)]:
        yield Row("shuffle", shuffle(axis), np_shuffle(axis), signed(*shape))
    for shape, axis in [
        ((7, 3), -1), ((1, 1025), 1), ((5, 1), -1), ((17, 6), 0), ((3, 2, 4), (1, 2)), ((2, 3, 4), [1]),
        ((2, 3, 4, 5), (3, 1)), ((4,), 0),
    ]:  # fmt: skip
        n = tuple(shape[a] for a in sorted(np.atleast_1d(axis) % len(shape)))
        name, options = "layer_normalization", {"axis": axis, "epsilon": 0.01}
        call, expected = method(ops.layer_normalization, **options), method(np_layer_normalization, **options)
        yield Row(name, call, expected, signed(*shape), signed(*n), signed(*n))
        yield Row(name, call, expected, signed(*shape))
    for shape in [(), (1,), (7,), (3, 4), (1, 1025), (2, 3, 700), (0,)]:
        for l1, l2 in [(0.0, 0.3), (0.2, 0.0), (0.2, 0.3), (0.0, 0.0)]:
            expected = lambda x, l1=l1, l2=l2: l1 * np.abs(x).sum() + l2 * (x**2).sum()
            yield Row("penalty", method(ops.penalty, l1=l1, l2=l2), expected, signed(*shape))
    for shape, alpha in [((7, 5), (5,)), ((1, 5), (1,)), ((3, 2, 4), (2, 4)), ((3, 2, 4), (2, 1)), ((3, 2, 4), ())]:
        expected = lambda x, alpha: np.where(x > 0, x, alpha * x)
        yield Row("prelu", ops.prelu, expected, signed(*shape), signed(*alpha))
    for shape in [(5,), (1, 4), (4, 1), (3, 17), (2, 3, 4)]:
        bits, x, rows = (signed(*shape) > 0) * 1.0, signed(*shape), shape[:-1]
        one_hot = np.eye(shape[-1])[labels(shape[-1], *rows).astype(int)]
        yield Row(
            "squared_error", ops.squared_error, lambda t, x: ((x - t) ** 2).mean(-1), bits, x, constants=[0]
        )
        yield Row(
            "absolute_error",
            ops.absolute_error,
            lambda t, x: np.abs(x - t).mean(-1),
            bits,
            2 * x,
            constants=[0],
        )
        for smoothing in (0.0, 0.2):
            p = RANDOM.uniform(0.1, 0.9, shape)
            for name, reference, t, prediction in [
                ("binary_crossentropy", np_bce, bits, p),
                ("binary_crossentropy_logits", np_bce_logits, bits, x),
                ("categorical_crossentropy", np_cce, one_hot, p),
                ("categorical_crossentropy_logits", np_cce_logits, one_hot, x),
                (
                    "categorical_crossentropy_logits",
                    np_cce_logits,
                    one_hot * 3,
                    x,
                ),  # targets need not sum to one
            ]:
                if name == "categorical_crossentropy" and shape[-1] == 1:
                    continue  # constant: p / p is clipped
                yield Row(
                    name,
                    method(getattr(ops, name), label_smoothing=smoothing),
                    reference(smoothing),
                    t,
                    prediction,
                    constants=[0],
                )
        yield Row(
            "sparse_crossentropy_logits",
            ops.sparse_crossentropy_logits,
            np_sparse,
            labels(shape[-1], *rows),
            x,
            constants=[0],
        )
        yield Row(
            "huber_error",
            method(ops.huber_error, delta=0.7),
            lambda t, x: np.where(
                np.abs(x - t) <= 0.7, (x - t) ** 2 / 2, 0.7 * np.abs(x - t) - 0.245
            ).mean(-1),
            bits,
            2 * x,
            constants=[0],
        )
        yield Row(
            "log_cosh_error",
            ops.log_cosh_error,
            lambda t, x: np.log(np.cosh(x - t)).mean(-1),
            bits,
            2 * x,
            constants=[0],
        )
        yield Row(
            "top_match",
            method(ops.top_match, k=2),
            lambda t, p: (np.argsort(-p, axis=-1)[..., :2] == t[..., None]).any(-1) * 1.0,
            labels(shape[-1], *rows),
            distinct(*shape),
            differentiable=False,
        )
        yield Row(
            "keep_top",
            method(ops.keep_top, k=2, low=-9.0),
            lambda x: np.where(np.argsort(np.argsort(-x, axis=-1), axis=-1) < 2, x, -9.0),
            distinct(*shape),
            differentiable=False,
        )
        yield Row(
            "binary_match",
            method(ops.binary_match, threshold=0.37),
            lambda t, p: ((p > 0.37) == t) * 1.0,
            bits,
            distinct(*shape),
            differentiable=False,
        )
        yield Row(
            "categorical_match",
            ops.categorical_match,
            lambda t, p: (t.argmax(-1) == p.argmax(-1)) * 1.0,
            one_hot,
            distinct(*shape),
            differentiable=False,
        )
        yield Row(
            "sparse_match",
            ops.sparse_match,
            lambda t, p: (t == p.argmax(-1)) * 1.0,
            labels(shape[-1], *rows),
            distinct(*shape),
            differentiable=False,
        )
    for shape in [(), (4,), (2, 3)]:
        yield Row(
            "one_hot",
            method(ops.one_hot, 5),
            lambda x: np.eye(5)[x.astype(int)],
            labels(5, *shape),
            differentiable=False,
            dtype="float32",
        )
    for dtype in ("float32", "float64"):
        yield Row(
            "cast", method(ops.cast, dtype), lambda x: x, np.rint(signed(3, 5)), dtype=dtype, constants=[0]
        )
    yield Row(
        "cast",
        method(ops.cast, "bool"),
        lambda x: x != 0,
        np.array([0.0, -0.0, 2.0, np.nan]),
        differentiable=False,
    )
    yield Row("convert_to_tensor", ops.convert_to_tensor, lambda x: x, signed(3, 5))
    yield Row(
        "convert_to_numpy",
        lambda x: Tensor(ops.convert_to_numpy(x)),
        lambda x: x,
        signed(2),
        differentiable=False,
    )
    yield Row(
        "shape",
        lambda x: Tensor(np.array(ops.shape(x)), dtype="float64"),
        lambda x: 1.0 * np.array(x.shape),
        signed(3, 5),
        differentiable=False,
        dtype="float64",
    )
    yield from manipulations()


ROWS = list(table())


def numbered(rows):
    return [pytest.param(row, id=f"{i} {row}") for i, row in enumerate(rows)]


@pytest.mark.parametrize("dtype, rtol, atol", [("float32", 5e-6, 2e-6), ("float64", 1e-12, 1e-13)])
@pytest.mark.parametrize("row", numbered(ROWS))
def test_forward_equals_numpy(row, dtype, rtol, atol):
    check_forward(row, dtype, rtol, atol)


@pytest.mark.parametrize("row", numbered([row for row in ROWS if row.checked]))
def test_gradient_by_differences(row):
    check_gradient(row)


@pytest.mark.parametrize("row", numbered([row for row in ROWS if not row.checked and row.name != "cast"]))
def test_what_has_no_gradient_says_so(row):
    check_it_is_no_gradient(row)


def check_forward(row, dtype, rtol, atol):
    arrays = [x if x.dtype == bool else x.astype(dtype) for x in map(np.asarray, row.inputs)]
    y = row.call(*[Tensor(x) for x in arrays])
    expected = np.asarray(row.reference(*[x if x.dtype == bool else x.astype("float64") for x in arrays]))
    assert y.shape == expected.shape
    assert y.dtype == (row.dtype or (dtype if expected.dtype.kind == "f" else expected.dtype))
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(y.numpy(), expected, rtol=rtol, atol=atol * scale)


def check_gradient(row):
    """With respect to all inputs at once, and to each alone (a vjp must cope with buffers that are None)."""
    for wanted in {tuple(row.checked), *((i,) for i in row.checked)}:
        tensors = [Tensor(x, requires_grad=i in wanted) for i, x in enumerate(row.inputs)]
        assert gradcheck(row.call, *tensors)


def check_it_is_no_gradient(row):
    """Not differentiable means: not on the tape, so that backward() raises instead of doing nothing."""
    y = row.call(*[Tensor(x, requires_grad=True) for x in map(np.asarray, row.inputs)])
    assert not y.requires_grad


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


# ------------------------------------------------------------------------------------------ activations

ACTIVATIONS = {  # the strings of contract 1.7 -> the formula, and where its kinks are
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
    (lambda: ops.expand_dims(X, 4), ValueError, "from -3 to 2, got 4"),
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
    (lambda: ops.one_hot([1, 2], 3, axis=0), ValueError, "axis must be -1"),
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


# --------------------------------------------------------------------------------- gradcheck can fail


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
