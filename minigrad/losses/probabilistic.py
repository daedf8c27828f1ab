"""Losses of probabilities.

If y_pred is the result of a final sigmoid or softmax, the cross-entropies compute from the logits, which are its input.
So they are exact even where the probability is rounded to 0 or 1. (Keras does the same on TensorFlow.)
"""


import numpy as np

from minigrad import config, ops
from minigrad.checks import warn
from minigrad.losses.base import FunctionLoss, loss_function, registry
from minigrad.losses.targets import labelled, unflattened
from minigrad.ops.logits import logits_of
from minigrad.tensor import as_tensor


def _logits(y_pred, from_logits, kind):
    """The input of the sigmoid or softmax that has made y_pred; y_pred itself if it is logits; else None."""
    logits = logits_of(y_pred, kind)
    if logits is not None:
        if from_logits:
            warn(
                "The loss has from_logits=True, but the output comes from a sigmoid or softmax. The loss uses the "
                "input of this activation. Drop the activation or from_logits=True.",
            )
        return logits
    return y_pred if from_logits else None


def _last(y_true, y_pred, axis):
    """Both with `axis` moved to the end."""
    if axis == -1 or axis == y_pred.ndim - 1:
        return y_true, y_pred
    order = [a for a in range(y_pred.ndim) if a != axis % y_pred.ndim] + [axis % y_pred.ndim]
    return ops.transpose(y_true, order), ops.transpose(y_pred, order)


def _warn_of_one_class(name, y_pred, axis):
    if y_pred.shape[axis] == 1:
        warn(
            f"{name} over an axis of length 1 (output {y_pred.shape}) is always 0. Did you mean "
            "binary_crossentropy?",
        )


def _warn_of_targets(loss, targets):
    low, high = targets.item(targets.argmin()), targets.item(targets.argmax())  # in small arrays quicker than min()
    if low < 0 or high > 1:
        warn(
            f"{loss.name}: the targets lie in [{low:g}, {high:g}], outside of "
            "[0, 1]: the loss can become negative without bound.",
        )


@loss_function("bce", "BCE")
def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """-mean over `axis` of t ln p + (1 - t) ln(1 - p), p clipped to [1e-7, 1 - 1e-7]; exact from logits."""
    logits = _logits(y_pred, from_logits, "sigmoid")
    operation = ops.binary_crossentropy if logits is None else ops.binary_crossentropy_logits
    y_true, y_pred = _last(y_true, y_pred if logits is None else logits, axis)
    return operation(y_true, y_pred, label_smoothing=float(label_smoothing))


class BinaryCrossentropy(FunctionLoss, function=binary_crossentropy):
    """-mean of t ln p + (1 - t) ln(1 - p), for probabilities p or, with from_logits=True, for p = sigmoid(y_pred).

    `label_smoothing` s pulls the targets to t (1 - s) + s / 2.
    """

    def check_targets(self, targets, output_shape):
        _warn_of_targets(self, targets)


@loss_function()
def binary_focal_crossentropy(
    y_true, y_pred, apply_class_balancing=False, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """mean over `axis` of (1 - q)^gamma BCE(t, p), where q = t p + (1 - t)(1 - p), the probability of the true class"""
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    logits = logits_of(p, "sigmoid")
    operation, x = (ops.binary_crossentropy, p) if logits is None else (ops.binary_crossentropy_logits, logits)
    t = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true
    single = operation(ops.expand_dims(t, -1), ops.expand_dims(x, -1))  # the mean over an axis of length 1
    values = ops.power(t * (1.0 - p) + (1.0 - t) * p, float(gamma)) * single
    if apply_class_balancing:
        values = values * (t * alpha + (1.0 - t) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


class BinaryFocalCrossentropy(FunctionLoss, function=binary_focal_crossentropy):
    """mean of (1 - q)^gamma BCE(t, p), q the probability of the true class: rows that are easy hardly count.

    Args:
        apply_class_balancing: multiply by `alpha` for t = 1 and by 1 - alpha for t = 0.
        gamma: how little easy rows count; 0 makes it BinaryCrossentropy.

    Source: Lin et al., arXiv:1708.02002.
    """

    def check_targets(self, targets, output_shape):
        _warn_of_targets(self, targets)


@loss_function()
def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """-sum over `axis` of t ln(p / sum of p), clipped to [1e-7, 1 - 1e-7]; exact from logits."""
    logits = _logits(y_pred, from_logits, "softmax")
    _warn_of_one_class("categorical_crossentropy", y_pred, axis)
    operation = ops.categorical_crossentropy if logits is None else ops.categorical_crossentropy_logits
    y_true, y_pred = _last(y_true, y_pred if logits is None else logits, axis)
    return operation(y_true, y_pred, label_smoothing=float(label_smoothing))


class CategoricalCrossentropy(FunctionLoss, function=categorical_crossentropy):
    """-sum of t ln p for one-hot targets t and probabilities p, or p = softmax(y_pred) with from_logits=True.

    `label_smoothing` s pulls the targets to t (1 - s) + s / K for K classes.
    """


@loss_function()
def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """-sum over `axis` of alpha (1 - q)^gamma t ln q, q = p / sum of p, clipped to [1e-7, 1 - 1e-7]"""
    _warn_of_one_class("categorical_focal_crossentropy", y_pred, axis)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    p = ops.softmax(y_pred, axis=axis) if from_logits else y_pred
    q = ops.clip(p / ops.sum(p, axis=axis, keepdims=True), config.epsilon(), 1 - config.epsilon())
    alpha = as_tensor(np.asarray(alpha), q.dtype)
    return -ops.sum(alpha * ops.power(1.0 - q, float(gamma)) * y_true * ops.log(q), axis=axis)


class CategoricalFocalCrossentropy(FunctionLoss, function=categorical_focal_crossentropy):
    """-sum of alpha (1 - p)^gamma t ln p: rows whose class is recognised already hardly count.

    `alpha` is a number, or a list of one number per class. Source: Lin et al., arXiv:1708.02002.
    """


@registry.register()
def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """-ln of the probability of class y_true (an integer); 0 and masked for `ignore_class`; exact from logits."""
    y_true, y_pred = labelled(y_true, y_pred, axis)
    logits = _logits(y_pred, from_logits, "softmax")
    if logits is None:
        # As in TensorFlow: the log of clipped probabilities, which the softmax normalizes once more.
        logits = ops.log(ops.clip(y_pred, config.epsilon(), 1 - config.epsilon()))
    _, logits = _last(logits, logits, axis)
    if y_true.ndim == 1 and logits.ndim > 2:
        raise ValueError(unflattened("sparse_categorical_crossentropy", y_true, y_pred))
    if y_true.shape != logits.shape[:-1]:
        raise ValueError(
            f"sparse_categorical_crossentropy: the labels have shape {y_true.shape} and the output has shape "
            f"{y_pred.shape}; labels must have shape {logits.shape[:-1]}, one integer a row. For one-hot targets use "
            "'categorical_crossentropy'."
        )
    if ignore_class is None:
        return ops.sparse_crossentropy_logits(y_true, logits)
    kept = ops.not_equal(y_true, float(ignore_class))
    loss = ops.sparse_crossentropy_logits(ops.where(kept, y_true, 0.0), logits)
    loss = ops.where(kept, loss, 0.0)
    loss._keras_mask = kept
    return loss


class SparseCategoricalCrossentropy(
    FunctionLoss,
    function=sparse_categorical_crossentropy,
    order=["from_logits", "ignore_class", "reduction", "axis", "name", "dtype"],
):
    """-ln p of the class y_true (an integer from 0), for probabilities p or logits (from_logits=True).

    Rows with the label `ignore_class` count neither in the sum nor in the mean.
    """

    def check_targets(self, targets, output_shape):
        classes = output_shape[self.axis]
        labels = targets if self.ignore_class is None else targets[targets != self.ignore_class]
        if labels.size == 0:
            return
        low, high = labels.min(), labels.max()
        if not (low >= 0 and high <= classes - 1):
            raise ValueError(
                f"{self.name}: labels must be integers from 0 to {classes - 1}, since the output has {classes} "
                f"classes; got labels from {low:g} to {high:g}."
            )
        if (labels != np.floor(labels)).any():
            raise ValueError(f"{self.name}: labels must be integers; got {labels[labels != np.floor(labels)][0]:g}.")


@registry.register()
def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """(1 - p^q) / q, p the probability of class y_true (an integer)"""
    y_true, y_pred = labelled(y_true, y_pred)
    chosen = ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype)
    return (1.0 - ops.power(ops.sum(y_pred * chosen, axis=-1), float(q))) / q


class CategoricalGeneralizedCrossEntropy(FunctionLoss, function=categorical_generalized_cross_entropy, q=0.5):
    """mean of (1 - p^q) / q, p the probability of the integer label: between -ln p (q -> 0) and 1 - p (q = 1).

    Wrong labels have less effect than in a cross-entropy. Source: Zhang and Sabuncu, arXiv:1805.07836.
    """


@loss_function("kld", "KLD")
def kl_divergence(y_true, y_pred):
    """sum over the last axis of y_true ln(y_true / y_pred), both clipped to [1e-7, 1]"""
    y_true, y_pred = (ops.clip(y, config.epsilon(), 1.0) for y in (y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


class KLDivergence(FunctionLoss, function=kl_divergence):
    """mean of sum(y_true ln(y_true / y_pred)): 0 where the distributions agree, else more"""
