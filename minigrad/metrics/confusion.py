"""Metrics of the confusion matrix at thresholds: the four counts, Precision, Recall."""

import numpy as np

from minigrad import config, ops
from minigrad import kernels as K
from minigrad.checks import is_int
from minigrad.losses.base import NUMBERS
from minigrad.metrics.base import Metric, ratio
from minigrad.program import launch
from minigrad.tensor import constant

KINDS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


class ConfusionMetric(Metric, is_member=False):
    """Base class of metrics that count, for some thresholds, how often y_pred > threshold if y_true is 0, and if not.

    The dict `state` maps those of the KINDS that are counted to the names of their variables. A NaN in y_pred makes all
    counts NaN.
    """

    def __init__(self, thresholds, state, name=None, dtype=None, top_k=None, class_id=None, is_even=None):
        super().__init__(dtype, name)
        if top_k is not None:
            NUMBERS["k"].checked(type(self).__name__, "top_k", top_k)
        if class_id is not None and not is_int(class_id):
            raise ValueError(f"{self.name}: class_id must be an int, a column of the output; got {class_id!r}.")
        self._thresholds, self._state = [float(t) for t in thresholds], state
        self.top_k, self.class_id = top_k, class_id
        even = np.linspace(0, 1, len(thresholds))
        close = len(thresholds) > 2 and np.allclose(self._thresholds, even, atol=config.epsilon())
        self._is_even = close if is_even is None else is_even

    def _make_state(self, labels=()):
        """Make the variables: a count per threshold, or per threshold and label if `labels` is (number of labels,)."""
        for name in self._state.values():
            setattr(self, name, self.add_variable((len(self._thresholds), *labels), name=name))

    @property
    def thresholds(self):
        """The thresholds, a list."""
        return list(self._thresholds)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch. Every y_true that is not 0 counts as 1."""
        y_true, y_pred = self._inputs(y_true, y_pred)
        if self.top_k is not None:
            y_pred = ops.keep_top(y_pred, k=self.top_k)
        if self.class_id is not None:
            y_true, y_pred = (self._column(y) for y in (y_true, y_pred))
        self._count(y_true, y_pred, self._weights(sample_weight, y_pred.shape))

    def _column(self, y):
        if y.ndim < 2 or not -y.shape[-1] <= self.class_id < y.shape[-1]:
            raise ValueError(f"{self.name}: class_id={self.class_id} is no column of an output of shape {y.shape}.")
        return y[..., self.class_id : self.class_id + 1 or None]

    def _count(self, y_true, y_pred, weights, columns=1):
        """Count (n, columns) values."""
        target, p = (y._data.reshape(-1, columns) for y in (y_true, y_pred))
        w = weights._data.reshape(-1, columns) if weights.size == p.size else weights._data.reshape(1, 1)
        t = len(self._thresholds)
        kept = {kind: getattr(self, name) for kind, name in self._state.items()}
        sums = [kept[k]._data.reshape(t, columns) if k in kept else np.zeros((t, columns), p.dtype) for k in KINDS]
        if not self._is_even:
            launch(K.count_confusion, target, p, w, constant(p.dtype, *self._thresholds), *sums)
            return
        settings = constant(p.dtype, t - 1.0, 1.0 if self._thresholds[0] < 0 else 0.0)
        histograms = np.zeros((2, t + 1, columns), p.dtype)
        launch(K.bucket_confusion, target, p, w, settings, *histograms, *sums)

    def _counts(self):
        """The counts as float64 arrays, by kind."""
        return {kind: getattr(self, name).numpy().astype("float64") for kind, name in self._state.items()}

    def _single(self, values):
        """The value at the only threshold, or an array of one value per threshold."""
        return self._value(values[0] if len(self._thresholds) == 1 else values)


def parsed(owner, thresholds, default):
    """`thresholds` as a list of numbers in [0, 1]. It is a number, several, or None for `default`."""
    if thresholds is None:
        return [default]
    found = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    try:
        are_right = bool(found) and all(0 <= t <= 1 for t in found)
    except TypeError:
        are_right = False
    if not are_right:
        raise ValueError(f"{owner}: thresholds must be numbers in [0, 1], got {thresholds!r}.")
    return found


class _Count(ConfusionMetric):
    """One of the four counts."""

    kind = None

    def __init__(self, thresholds=None, name=None, dtype=None):
        found = parsed(type(self).__name__, thresholds, 0.5)
        super().__init__(found, {self.kind: "accumulator"}, name, dtype)
        self._given = thresholds
        self._make_state()

    def result(self):
        return self._single(self._counts()[self.kind])

    def get_config(self):
        return {**super().get_config(), "thresholds": self._given}


class TruePositives(_Count):
    """The (weighted) number of values with y_true != 0 and y_pred > threshold; an array for several thresholds."""

    kind = "true_positives"


class FalsePositives(_Count):
    """The (weighted) number of values with y_true = 0 and y_pred > threshold; an array for several thresholds."""

    kind = "false_positives"


class TrueNegatives(_Count):
    """The (weighted) number of values with y_true = 0 and y_pred <= threshold; an array for several thresholds."""

    kind = "true_negatives"


class FalseNegatives(_Count):
    """The (weighted) number of values with y_true != 0 and y_pred <= threshold; an array for several thresholds."""

    kind = "false_negatives"


class _Share(ConfusionMetric):
    """TP / (TP + another count)."""

    _direction = "up"
    other = None

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        # With top_k the k largest outputs are positive, however small they are.
        found = parsed(type(self).__name__, thresholds, 0.5 if top_k is None else -1e10)
        state = {kind: kind for kind in ("true_positives", self.other)}
        super().__init__(found, state, name, dtype, top_k, class_id)
        self._given = thresholds
        self._make_state()

    def result(self):
        counts = self._counts()
        return self._single(ratio(counts["true_positives"], counts["true_positives"] + counts[self.other]))

    def get_config(self):
        return {**super().get_config(), "thresholds": self._given}


class Precision(_Share):
    """TP / (TP + FP), or 0 if both are 0: the share of the predicted positives, y_pred > threshold, that are right.

    Args:
        thresholds: a number in [0, 1], by default 0.5; or several, which give as many values.
        top_k: only the k largest outputs of a row can be positive. Then the default is no threshold.
        class_id: the column that counts; by default all columns count together.
    """

    other = "false_positives"


class Recall(_Share):
    """TP / (TP + FN), or 0 if both are 0: the share of the positives that are predicted, y_pred > threshold.

    The arguments are those of `Precision`.
    """

    other = "false_negatives"
