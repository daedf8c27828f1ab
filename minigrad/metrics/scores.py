"""Scores that are not a mean over rows: F of precision and recall for each class, and R^2."""


import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.checks import warn
from minigrad.configurable import Number
from minigrad.losses import targets
from minigrad.metrics.base import Metric
from minigrad.program import launch
from minigrad.tensor import constant


class _Columns(Metric):
    """A metric with sums per column. Its state is made when the first batch tells how many columns there are."""

    _direction = "up"

    def _prepare(self, y_true, y_pred, sample_weight):
        """Targets, outputs and weights as arrays (rows, columns). Without sample weights the latter are a single 1."""
        y_true, y_pred = self._inputs(y_true, y_pred)
        if y_pred.ndim != 2:
            raise ValueError(f"{self.name} needs targets and outputs of shape (rows, columns), got {y_pred.shape}.")
        weights = self._weights(sample_weight, y_pred.shape)
        return y_true._data, y_pred._data, weights._data

    def _require(self, state, columns):
        if state.shape != columns:
            raise ValueError(f"{self.name} has seen {state.shape[0]} columns so far; now there are {columns[0]}.")


class FBetaScore(_Columns):
    """(1 + beta^2) precision recall / (beta^2 precision + recall), for each class: beta > 1 makes recall count more.

    Args:
        average: None for an array of one score per class, "macro" for their mean, "weighted" for their mean weighted
            by how often the classes occur, "micro" to count all classes together.
        threshold: y_pred above it is positive, a number in (0, 1]. None: the largest y_pred of a row is positive.

    Source: C. J. van Rijsbergen, Information Retrieval, 1979.
    """

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None):
        super().__init__(dtype, name)
        kind = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{kind}: average must be None, 'micro', 'macro' or 'weighted', got {average!r}.")
        self.average = average
        self.beta = float(Number(interval="(0, inf)").checked(kind, "beta", beta))
        self.threshold = Number(None, "(0, 1]").checked(kind, "threshold", threshold)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch of (rows, classes): targets 0 and 1, scores, and optionally a weight per row."""
        target, p, weights = self._prepare(y_true, y_pred, sample_weight)
        shape = () if self.average == "micro" else p.shape[1:]
        if not self.variables:
            names = "true_positives", "false_positives", "false_negatives", "intermediate_weights"
            for name in names:
                setattr(self, name, self.add_variable(shape, name=name))
        self._require(self.true_positives, shape)
        settings = constant(p.dtype, self.threshold or 0.0, 0.0 if self.threshold else 1.0)
        launch(K.count_classes, target, p, weights, settings, *(v._data.reshape(1, -1) for v in self.variables))

    def result(self):
        if not self.variables:
            return self._value(0.0)
        tp, fp, fn, support = (v.numpy().astype("float64") for v in self.variables)
        epsilon = config.epsilon()
        precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + epsilon)
        if self.average == "weighted":
            score = (score * support / (support.sum() + epsilon)).sum()
        elif self.average is not None:
            score = score.mean()
        return self._value(score)


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall), for each class: FBetaScore with beta 1; see there."""

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(average, 1.0, threshold, name, dtype)


class R2Score(_Columns):
    """1 - sum (y_true - y_pred)^2 / sum (y_true - mean of y_true)^2: the share of the variance that is explained.

    Args:
        class_aggregation: "uniform_average" (the mean over the columns), "variance_weighted_average", or None for an
            array of one score per column.
        num_regressors: p > 0 for the adjusted score 1 - (1 - R^2) (n - 1) / (n - p - 1) of n rows.

    Columns that do not vary count as 0. The sums are float64: for targets far from 0, their difference would have no
    correct digit in float32.
    """

    def __init__(self, class_aggregation="uniform_average", num_regressors=0, name="r2_score", dtype=None):
        super().__init__(dtype, name)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(
                "R2Score: class_aggregation must be None, 'uniform_average' or 'variance_weighted_average', got "
                f"{class_aggregation!r}."
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = Number(interval="[0, inf)", kind=int).checked("R2Score", "num_regressors", num_regressors)
        self.num_samples = self.add_variable(dtype="float64", name="num_samples")

    def _inputs(self, y_true, y_pred):
        y_true, y_pred = super()._inputs(y_true, y_pred)
        return targets.tensors(y_true, y_pred, "float64")

    def _weights(self, sample_weight, shape):
        return targets.tensors(0.0, super()._weights(sample_weight, shape), "float64")[1]

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch of (rows, columns)."""
        target, x, weights = self._prepare(y_true, y_pred, sample_weight)
        if len(self.variables) == 1:
            for attribute, name in (
                ("sum", "sum"), ("squared_sum", "squared_sum"), ("total_mse", "residual"), ("count", "count")
            ):
                setattr(self, attribute, self.add_variable(x.shape[1:], dtype="float64", name=name))
        self._require(self.count, x.shape[1:])
        sums = self.sum, self.squared_sum, self.total_mse, self.count, self.num_samples
        launch(K.accumulate_regression, target, x, weights, *(v._data.reshape(1, -1) for v in sums))

    def result(self):
        if len(self.variables) == 1 or not self.count.numpy().any():
            return self._value(0.0)
        total, squared, residual, count = (
            v.numpy() for v in (self.sum, self.squared_sum, self.total_mse, self.count)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            variation = squared - total * total / count
            is_constant = variation <= 1e-12 * squared  # the rest is rounding
            variation[is_constant] = 0.0
            score = np.where(is_constant, 0.0 * residual, 1 - residual / variation)
            if self.class_aggregation == "uniform_average":
                score = score.mean()
            elif self.class_aggregation == "variance_weighted_average":
                score = (variation * score).sum() / variation.sum()
        n, p = self.num_samples.item(), self.num_regressors
        if p and n - p - 1 > 0:
            score = 1 - (1 - score) * (n - 1) / (n - p - 1)
        elif p:
            warn(
                f"{self.name}: the adjusted score needs more than {p + 1} rows, not {n:g}; this is the plain one.",
            )
        return self._value(score)
