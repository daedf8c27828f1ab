"""The operations that the layers are made of, as rows of a table: how each is called, and what NumPy says to it."""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.special

from minigrad import kernels as K
from minigrad import launch, ops
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
        y = np.empty_like(mask)
        launch(K.dropout, x.astype("float64").reshape(1, -1), np.array([[rate]]), state, mask, y)
        return x * mask.reshape(x.shape)

    return reference


def np_group_normalization(x, gamma=1.0, beta=0.0, groups=1, axis=-1, epsilon=1e-7):
    parts = np.split(np.moveaxis(x, axis, -1), groups, axis=-1)
    others = tuple(range(1, x.ndim))
    normal = [np_layer_normalization(part, axis=others, epsilon=epsilon) for part in parts]
    return np.moveaxis(np.concatenate(normal, -1) * gamma + beta, -1, axis)


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
        above = signed(n) + 20.0, signed(n) - 20.0  # far from the kink: all of it, or nothing
        for bias in above:
            yield Row("dense_relu", ops.dense_relu, lambda x, k, b: np.maximum(x @ k + b, 0), signed(*x), signed(k, n), bias)
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
    for shape, groups, axis in [((3, 4), 2, -1), ((2, 3, 2, 6), 3, 3), ((2, 4, 3), 4, 1), ((1, 35, 2), 1, 2), ((0, 3, 2), 1, 2)]:
        n, options = shape[axis], {"groups": groups, "axis": axis, "epsilon": 0.01}

        def call(x, gamma=None, beta=None, options=options):
            return ops.group_normalization(x, gamma=gamma, beta=beta, **options)

        expected = method(np_group_normalization, **options)
        yield Row("group_normalization", call, expected, signed(*shape))
        yield Row("group_normalization", call, expected, signed(*shape), signed(n), signed(n))
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


def by_name(rows):
    """A case for each operation, which gets all its rows."""
    names = dict.fromkeys(row.name for row in rows)
    return [pytest.param([row for row in rows if row.name == name], id=name) for name in names]


def for_every_row(check):
    """`check(row, ...)` for a list of rows; an error says in which of them it happened."""

    @functools.wraps(check)
    def checked(rows, *arguments):
        for row in rows:
            try:
                check(row, *arguments)
            except Exception as error:
                raise AssertionError(f"{row}: {error}") from error

    return checked


@for_every_row
def check_forward(row, dtype, rtol, atol):
    arrays = [x if x.dtype == bool else x.astype(dtype) for x in map(np.asarray, row.inputs)]
    y = row.call(*[Tensor(x) for x in arrays])
    expected = np.asarray(row.reference(*[x if x.dtype == bool else x.astype("float64") for x in arrays]))
    assert y.shape == expected.shape
    assert y.dtype == (row.dtype or (dtype if expected.dtype.kind == "f" else expected.dtype))
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(y.numpy(), expected, rtol=rtol, atol=atol * scale)


@for_every_row
def check_gradient(row):
    """With respect to all inputs at once, and to each alone (a vjp must cope with buffers that are None)."""
    for wanted in {tuple(row.checked), *((i,) for i in row.checked)}:
        tensors = [Tensor(x, requires_grad=i in wanted) for i, x in enumerate(row.inputs)]
        assert gradcheck(row.call, *tensors)


@for_every_row
def check_it_is_no_gradient(row):
    """Not differentiable means: not on the tape, so that backward() raises instead of doing nothing."""
    y = row.call(*[Tensor(x, requires_grad=True) for x in map(np.asarray, row.inputs)])
    assert not y.requires_grad
