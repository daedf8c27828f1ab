"""Probabilities: softmax, and cross-entropies and matches with one value per row."""

import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.elementwise import equal
from minigrad.ops.errors import no_target_gradient
from minigrad.ops.logits import remember
from minigrad.ops.reducing import _axes
from minigrad.ops.shaping import cast, expand_dims, moveaxis, transpose
from minigrad.program import launch
from minigrad.tensor import as_tensor, constant, from_kernels, op, view

_softmax = from_kernels(
    "(...,n) -> (...,n)", "softmax", "y_j = e^x_j / sum_k e^x_k;   dx_j = y_j (dy_j - sum_k dy_k y_k).",
    K.softmax, K.softmax_vjp, "y",
)
_log_softmax = from_kernels(
    "(...,n) -> (...,n)", "log_softmax", "y_j = x_j - ln sum_k e^x_k;   dx_j = dy_j - e^y_j sum_k dy_k.",
    K.log_softmax, K.log_softmax_vjp, "y",
)


def _along_axis(operation, x, axis):
    """Apply an operation on the last axis along another axis, or along several as if they were one."""
    axes = _axes(axis, x)
    if axes == [x.ndim - 1]:
        return operation(x)
    order = [a for a in range(x.ndim) if a not in axes] + axes
    moved = transpose(x, order)
    shape, last = moved.shape, x.ndim - len(axes)
    y = operation(view(moved, (*shape[:last], math.prod(shape[last:]))))
    return transpose(view(y, shape), np.argsort(order).tolist())


def softmax(x, axis=-1):
    """y_j = e^x_j / sum_k e^x_k along `axis`;   dx_j = y_j (dy_j - sum_k dy_k y_k).

    The result remembers x, and a cross-entropy of the result is computed from x, which is exact. TensorFlow does so.
    """
    x = as_tensor(x)
    y = _along_axis(_softmax, x, axis)
    return remember(y, x) if axis in (-1, x.ndim - 1) else y


def log_softmax(x, axis=-1):
    """y_j = x_j - ln sum_k e^x_k along `axis`;   dx_j = dy_j - e^y_j sum_k dy_k."""
    return _along_axis(_log_softmax, as_tensor(x), axis)


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """1 in column x, else 0; the columns are a new axis, at `axis`."""
    if sparse:
        raise ValueError("one_hot makes dense tensors: minigrad has no sparse ones.")
    classes = np.arange(num_classes)
    y = cast(equal(expand_dims(as_tensor(x), -1), classes), dtype or config.floatx())
    return y if axis in (-1, y.ndim - 1) else moveaxis(y, -1, axis)


def _crossentropy(name, formula, forward, backward, needs_epsilon):
    """The cross-entropy of (target, x) that these two kernels compute."""

    def function(y, target, x, label_smoothing=0.0):
        epsilon = (config.epsilon(),) if needs_epsilon else ()
        settings = constant(x.dtype, label_smoothing, *epsilon)
        launch(forward, target, x, settings, y)

        def vjp(gy, gtarget, gx):
            no_target_gradient(name, gtarget)
            launch(backward, gy, target, x, settings, gx)

        return vjp

    function.__name__, function.__doc__ = name, formula
    return op("(...,n), (...,n) -> (...)")(function)


binary_crossentropy = _crossentropy(
    "binary_crossentropy",
    """y = -mean of t ln p + (1 - t) ln(1 - p), p clipped to [e, 1 - e];   dp = dy (p - t) / (n p (1 - p)), or 0.""",
    K.binary_crossentropy,
    K.binary_crossentropy_vjp,
    needs_epsilon=True,
)


binary_crossentropy_logits = _crossentropy(
    "binary_crossentropy_logits",
    """y = mean of max(x, 0) - x t + ln(1 + e^-|x|), that is -t ln p - (1 - t) ln(1 - p) for p = sigmoid(x):
    the log of p = 1 / (1 + e^-x) is -ln(1 + e^-x), so no clipping is needed;   dx = dy (p - t) / n.""",
    K.binary_crossentropy_logits,
    K.binary_crossentropy_logits_vjp,
    needs_epsilon=False,
)


categorical_crossentropy = _crossentropy(
    "categorical_crossentropy",
    """y = -sum of t ln q, q = p / sum(p) clipped to [e, 1 - e];   dp_j = dy (sum_k t_k - t_j / q_j) / sum(p).""",
    K.categorical_crossentropy,
    K.categorical_crossentropy_vjp,
    needs_epsilon=True,
)


categorical_crossentropy_logits = _crossentropy(
    "categorical_crossentropy_logits",
    """y = -sum of t ln q, q = softmax(x), so ln q_j = x_j - ln sum_k e^x_k;   dx_j = dy (q_j sum_k t_k - t_j).""",
    K.categorical_crossentropy_logits,
    K.categorical_crossentropy_logits_vjp,
    needs_epsilon=False,
)


@op("(...), (...,n) -> (...)")
def sparse_crossentropy_logits(y, label, x):
    """y = -ln softmax(x)_label, NaN where the label is no class;   dx_j = dy (softmax(x)_j - [j = label])."""
    launch(K.sparse_crossentropy_logits, label, x, y)

    def vjp(gy, glabel, gx):
        no_target_gradient("sparse_crossentropy_logits", glabel)
        launch(K.sparse_crossentropy_logits_vjp, gy, label, x, gx)

    return vjp


@op("(...), (...) -> (...)")
def binary_match(y, target, p, threshold=0.5):
    """1 where [p > threshold] equals the target, else 0."""
    launch(K.binary_match, target, p, constant(p.dtype, threshold), y)


@op("(...,n), (...,n) -> (...)")
def categorical_match(y, target, p):
    """1 where the largest target and the largest p of the last axis have the same index, else 0."""
    launch(K.categorical_match, target, p, y)


@op("(...), (...,n) -> (...)")
def sparse_match(y, label, p):
    """1 where the largest p of the last axis has the index `label`, else 0."""
    launch(K.sparse_match, label, p, y)


@op("(...), (...,n) -> (...)")
def top_match(y, label, p, k=5):
    """1 where fewer than k of the p of the last axis are larger than that with the index `label`, else 0."""
    launch(K.top_match, label, p, constant(np.int64, k), y)


@op("(...,n) -> (...,n)")
def keep_top(y, x, k, low=-1e10):
    """x where it is one of the k largest of the last axis, else `low`; of equal ones the first are taken."""
    launch(K.keep_top, x, constant(np.int64, k), constant(x.dtype, low), y)
