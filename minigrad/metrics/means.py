"""Metrics that are the mean of a function over all rows: accuracies, errors and other losses, correlations."""

import numpy as np

from minigrad import config, losses, ops
from minigrad.losses import targets
from minigrad.metrics.base import FunctionMetric, functions


def _metric_function(function):
    functions[function.__name__] = function
    return function


def _most_probable(y_true, y_pred):
    """The class of each one-hot target."""
    y_true, y_pred = targets.tensors(y_true, y_pred)
    return ops.cast(ops.argmax(y_true, axis=-1), y_pred.dtype), y_pred


# --------------------------------------------------------------------------------------------------- accuracies


@_metric_function
def accuracy(y_true, y_pred):
    """1 where y_true equals y_pred, else 0"""
    y_true, y_pred = targets.fitted(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), y_pred.dtype)


class Accuracy(FunctionMetric, function=accuracy, direction="up"):
    """The share of equal values."""


@_metric_function
def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where [y_pred > threshold] equals y_true, else 0"""
    return ops.binary_match(*targets.fitted(y_true, y_pred), threshold=float(threshold))


class BinaryAccuracy(FunctionMetric, function=binary_accuracy, direction="up"):
    """The share of values for which [y_pred > threshold] equals y_true."""


@_metric_function
def categorical_accuracy(y_true, y_pred):
    """1 where the largest y_true and the largest y_pred stand in the same column, else 0"""
    return ops.categorical_match(*targets.tensors(y_true, y_pred))


class CategoricalAccuracy(FunctionMetric, function=categorical_accuracy, direction="up"):
    """The share of rows whose most probable class is that of the one-hot target."""


@_metric_function
def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest y_pred stands in column y_true, else 0"""
    return ops.sparse_match(*targets.labelled(y_true, y_pred))


class SparseCategoricalAccuracy(FunctionMetric, function=sparse_categorical_accuracy, direction="up"):
    """The share of rows whose most probable class is the integer target."""


@_metric_function
def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """1 where fewer than k columns of y_pred are larger than the column of the largest y_true, else 0"""
    return ops.top_match(*_most_probable(y_true, y_pred), k=k)


class TopKCategoricalAccuracy(
    FunctionMetric, function=top_k_categorical_accuracy, order=["k", "name", "dtype"], direction="up"
):
    """The share of rows whose one-hot target is among the k most probable classes. Ties count as hits."""


@_metric_function
def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """1 where y_true is among the k most probable classes, else 0; from_sorted_ids: y_pred lists classes, best first"""
    y_true, y_pred = targets.labelled(y_true, y_pred)
    if not from_sorted_ids:
        return ops.top_match(y_true, y_pred, k=k)
    is_found = ops.equal(ops.expand_dims(y_true, -1), y_pred[..., :k])
    return ops.max(ops.cast(is_found, y_pred.dtype), axis=-1)


class SparseTopKCategoricalAccuracy(
    FunctionMetric,
    function=sparse_top_k_categorical_accuracy,
    order=["k", "name", "dtype", "from_sorted_ids"],
    direction="up",
):
    """The share of rows whose integer target is among the k most probable classes. Ties count as hits.

    With `from_sorted_ids` y_pred holds no scores, but the numbers of the classes, the most probable one first.
    """


# ------------------------------------------------------------------------------------------ losses as metrics

Error = {"direction": "down", "elementwise": True}


class MeanSquaredError(FunctionMetric, function=losses.mean_squared_error, aliases=["mse", "MSE"], **Error):
    """The mean of (y_pred - y_true)^2."""


class RootMeanSquaredError(FunctionMetric, function=losses.mean_squared_error, **Error):
    """The root of the mean of (y_pred - y_true)^2 over all rows, not a mean of roots."""

    def result(self):
        return self._value(np.sqrt(super().result()))


class MeanAbsoluteError(FunctionMetric, function=losses.mean_absolute_error, aliases=["mae", "MAE"], **Error):
    """The mean of |y_pred - y_true|."""


class MeanAbsolutePercentageError(
    FunctionMetric, function=losses.mean_absolute_percentage_error, aliases=["mape", "MAPE"], **Error
):
    """The mean of 100 |y_true - y_pred| / |y_true|."""


class MeanSquaredLogarithmicError(
    FunctionMetric, function=losses.mean_squared_logarithmic_error, aliases=["msle", "MSLE"], **Error
):
    """The mean of (ln(1 + y_true) - ln(1 + y_pred))^2."""


class LogCoshError(FunctionMetric, function=losses.log_cosh, name="logcosh", **Error):
    """The mean of ln cosh(y_pred - y_true)."""


class Poisson(FunctionMetric, function=losses.poisson, **Error):
    """The mean of y_pred - y_true ln y_pred."""


class Hinge(FunctionMetric, function=losses.hinge, **Error):
    """The mean of max(1 - y_true y_pred, 0)."""


class SquaredHinge(FunctionMetric, function=losses.squared_hinge, **Error):
    """The mean of max(1 - y_true y_pred, 0)^2."""


class CategoricalHinge(FunctionMetric, function=losses.categorical_hinge, direction="down"):
    """The mean of max(1 + the largest output of a wrong class - that of the right one, 0)."""


class KLDivergence(FunctionMetric, function=losses.kl_divergence, direction="down"):
    """The mean of sum(y_true ln(y_true / y_pred))."""


def _binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0):
    return losses.binary_crossentropy(y_true, y_pred, from_logits, label_smoothing)


class BinaryCrossentropy(FunctionMetric, function=_binary_crossentropy, aliases=["bce", "BCE"], **Error):
    """The mean binary cross-entropy, as in `losses.binary_crossentropy`."""


class CategoricalCrossentropy(
    FunctionMetric, function=losses.categorical_crossentropy, direction="down", label_smoothing=0
):
    """The mean categorical cross-entropy, as in `losses.categorical_crossentropy`."""


class SparseCategoricalCrossentropy(
    FunctionMetric, function=losses.sparse_categorical_crossentropy, direction="down"
):
    """The mean sparse categorical cross-entropy, as in `losses.sparse_categorical_crossentropy`.

    Rows whose label is `ignore_class` do not count.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.ignore_class is not None:
            labels, y_pred = targets.labelled(y_true, y_pred)
            kept = targets.counting(labels, self.ignore_class, y_pred.dtype)
            sample_weight = kept if sample_weight is None else targets.reduce_weighted(kept, sample_weight, "none")
        super().update_state(y_true, y_pred, sample_weight)


# ------------------------------------------------------------------------------------------------ correlations


def cosine_similarity(y_true, y_pred, axis=-1):
    """The cosine of the angle between y_true and y_pred, vectors along `axis`"""
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(FunctionMetric, function=cosine_similarity, direction="up"):
    """The mean cosine of the angle between y_true and y_pred: 1 is the same direction. (The loss has a minus.)"""


def _moments(y_true, y_pred, axis):
    """Difference of the means, both variances and the covariance along `axis`."""
    y_true, y_pred = targets.paired("a correlation", y_true, y_pred)
    means = [ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    a, b = y_true - means[0], y_pred - means[1]
    shift = ops.mean(means[0] - means[1], axis=axis)
    return shift, *(ops.mean(c, axis=axis) for c in (ops.square(a), ops.square(b), a * b))


@_metric_function
def pearson_correlation(y_true, y_pred, axis=-1):
    """cov(y_true, y_pred) / (std(y_true) std(y_pred)) along `axis`"""
    _, first, second, common = _moments(y_true, y_pred, axis)
    return common / (ops.sqrt(first) * ops.sqrt(second))


class PearsonCorrelation(FunctionMetric, function=pearson_correlation, direction="up"):
    """The mean of cov(y_true, y_pred) / (std(y_true) std(y_pred)), taken along `axis` of each row."""


@_metric_function
def concordance_correlation(y_true, y_pred, axis=-1):
    """2 cov(y_true, y_pred) / (var(y_true) + var(y_pred) + (difference of the means)^2 + 1e-7) along `axis`"""
    shift, first, second, common = _moments(y_true, y_pred, axis)
    return 2.0 * common / (first + second + ops.square(shift) + config.epsilon())


class ConcordanceCorrelation(FunctionMetric, function=concordance_correlation, direction="up"):
    """The mean of 2 cov / (var + var + (difference of the means)^2) along `axis` of each row: 1 only if equal.

    Source: L. I. Lin, A Concordance Correlation Coefficient to Evaluate Reproducibility, 1989.
    """
