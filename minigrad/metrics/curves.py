"""Metrics of curves: of rates from the confusion matrix, as the threshold goes from 0 to 1."""

import numpy as np

from minigrad import config, ops
from minigrad.configurable import Number
from minigrad.metrics.base import ratio
from minigrad.metrics.confusion import KINDS, ConfusionMetric
from minigrad.tensor import as_tensor

CURVES, SUMMATIONS = ("ROC", "PR", "PRGAIN"), ("interpolation", "majoring", "minoring")


def _inner(count):
    """Of `count` evenly spaced thresholds from 0 to 1, all but the first and the last."""
    return [(i + 1) / (count - 1) for i in range(count - 2)]


class AUC(ConfusionMetric):
    """The area under a curve, from the counts at `num_thresholds` evenly spaced thresholds.

    Args:
        curve: "ROC" (true positive over false positive rate), "PR" (precision over recall) or "PRGAIN".
        summation_method: "interpolation" (trapezoids; under a PR curve Davis and Goadrich's, doi:10.1145/1143844),
            "majoring" or "minoring" (rectangles as high as the higher or the lower side).
        thresholds: other thresholds, between 0 and 1. Two outside of [0, 1] are always added.
        multi_label: whether each column has an area of its own, of which the mean is taken, weighted by
            `label_weights`; else all columns count together, each with its label weight.
        num_labels: the number of columns, if it is known beforehand.
        from_logits: whether y_pred are logits, whose sigmoid is compared with the thresholds.

    Flach and Kull, Precision-Recall-Gain Curves, 2015. A NaN in y_pred makes the result NaN.
    """

    _direction = "up"

    def __init__(
        self, num_thresholds=200, curve="ROC", summation_method="interpolation", name=None, dtype=None, thresholds=None,
        multi_label=False, num_labels=None, label_weights=None, from_logits=False,
    ):
        curves = {name: known for known in CURVES for name in (known, known.lower())}
        methods = {name: known for known in SUMMATIONS for name in (known, known.capitalize())}
        if curve not in curves:
            raise ValueError(f"AUC: curve must be one of {CURVES}, got {curve!r}.")
        if summation_method not in methods:
            raise ValueError(f"AUC: summation_method must be one of {SUMMATIONS}, got {summation_method!r}.")
        if thresholds is None:
            num_thresholds = Number(interval="[2, inf)", kind=int).checked("AUC", "num_thresholds", num_thresholds)
        if num_labels and not multi_label:
            raise ValueError("AUC: num_labels is for multi_label=True only.")
        self._is_given = thresholds is not None
        inner = sorted(float(t) for t in thresholds) if self._is_given else _inner(num_thresholds)
        if self._is_given and not all(0 <= t <= 1 for t in inner):
            raise ValueError(f"AUC: thresholds must be in [0, 1], got {thresholds!r}.")
        even = np.linspace(0, 1, len(inner) + 2)
        is_even = not self._is_given or (
            len(even) > 2 and bool(np.allclose([0.0, *inner, 1.0], even, atol=config.epsilon()))
        )
        ends = -config.epsilon(), 1 + config.epsilon()
        super().__init__([ends[0], *inner, ends[1]], {kind: kind for kind in KINDS}, name, dtype, is_even=is_even)
        self.num_thresholds = len(inner) + 2
        self.curve, self.summation_method = curves[curve], methods[summation_method]
        self.multi_label, self.num_labels, self.from_logits = bool(multi_label), num_labels, bool(from_logits)
        self.label_weights = None if label_weights is None else np.asarray(label_weights, "float64")
        if self.label_weights is not None and (self.label_weights.ndim != 1 or (self.label_weights < 0).any()):
            raise ValueError(f"AUC: label_weights must be a list of numbers >= 0, got {label_weights!r}.")
        if not multi_label:
            self._make_state()
        elif num_labels:
            self._make_state((num_labels,))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch. y_true counts as 1 if it is not 0; y_pred counts as 0 below 0, and as 1 above 1."""
        y_true, y_pred = self._inputs(y_true, y_pred)
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        columns = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        if self.label_weights is not None and len(self.label_weights) != columns:
            raise ValueError(
                f"{self.name}: {len(self.label_weights)} label_weights for an output of shape {y_pred.shape}."
            )
        weights = self._weights(sample_weight, y_pred.shape)
        if not self.multi_label:
            if self.label_weights is not None:
                weights = ops.broadcast_to(weights * as_tensor(self.label_weights, y_pred.dtype), y_pred.shape)
            self._count(y_true, y_pred, weights)
            return
        if y_pred.ndim != 2:
            raise ValueError(f"{self.name}: multi_label=True needs outputs (rows, labels), got {y_pred.shape}.")
        if not self.variables:
            self._make_state((columns,))
        if self.true_positives.shape[1] != columns:
            raise ValueError(f"{self.name} has {self.true_positives.shape[1]} labels; got outputs {y_pred.shape}.")
        self._count(y_true, y_pred, weights, columns)

    def result(self):
        if not self.variables:
            return self._value(0.0)
        area = self._area(*(self._counts()[kind] for kind in KINDS)).sum(axis=0)
        if self.multi_label:
            weights = self.label_weights
            area = area.mean() if weights is None else ratio((area * weights).sum(), weights.sum())
        return self._value(area)

    def _area(self, tp, fp, tn, fn):
        """The areas between neighboring thresholds."""
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            return self._interpolated(tp, fp, fn)
        if self.curve == "ROC":
            x, y = ratio(fp, fp + tn), ratio(tp, tp + fn)
        elif self.curve == "PR":
            x, y = ratio(tp, tp + fn), ratio(tp, tp + fp)
        else:
            odds = ratio(tp + fn, tn + fp)
            x = np.where(tp == 0, 0.0, np.maximum(1 - odds * ratio(fn, tp), 0.0))
            y = np.where(tp == 0, 1.0, 1 - odds * ratio(fp, tp))
        left, right = y[:-1], y[1:]
        height = {"interpolation": (left + right) / 2, "majoring": np.maximum(left, right)}
        return (x[:-1] - x[1:]) * height.get(self.summation_method, np.minimum(left, right))

    @staticmethod
    def _interpolated(tp, fp, fn):
        """The areas if TP is linear in the predicted positives p between two thresholds, TP = a + s p.

        The integral of TP / p over TP is then s times (the growth of TP + a times the growth of ln p).
        """
        found = tp + fp
        more = tp[:-1] - tp[1:]
        slope = ratio(more, np.maximum(found[:-1] - found[1:], 0))
        start = tp[1:] - slope * found[1:]
        growth = np.where((found[:-1] > 0) & (found[1:] > 0), ratio(found[:-1], found[1:]), 1.0)
        return ratio(slope * (more + start * np.log(growth)), tp[1:] + fn[1:]) + 0.0 * found[1:]  # a NaN stays

    def get_config(self):
        given = {"thresholds": self.thresholds[1:-1]} if self._is_given else {}
        return {**super().get_config(), **given}

    @classmethod
    def from_config(cls, config):
        """An AUC from its config. In files of Keras, label weights are the config of a tensor."""
        weights = config.get("label_weights")
        return cls(**{**config, "label_weights": weights["config"]["value"] if isinstance(weights, dict) else weights})


class _BestAt(ConfusionMetric):
    """The largest value of the rate `best` at the thresholds at which the rate `given` is large enough."""

    _direction = "up"
    RATES = {
        "precision": ("true_positives", "false_positives"),
        "recall": ("true_positives", "false_negatives"),
        "sensitivity": ("true_positives", "false_negatives"),
        "specificity": ("true_negatives", "false_positives"),
    }

    def __init_subclass__(cls, best=None, given=None):
        super().__init_subclass__()
        if given is not None:  # else it is a user's subclass
            cls.best, cls.given = best, given
            count = Number(200, "[1, inf)", int)
            own = {given: Number(interval="[0, 1]"), "num_thresholds": count}
            cls._declare({**own, "class_id": None, "name": None, "dtype": None})

    def _set_up(self, given):
        count, shared = given["num_thresholds"], {name: given.pop(name) for name in ("class_id", "name", "dtype")}
        thresholds = [0.5] if count == 1 else [0.0, *_inner(count), 1.0]
        ConfusionMetric.__init__(self, thresholds, {k: k for k in KINDS}, **shared, is_even=count > 1)
        super()._set_up(given)
        self._make_state()

    def _rate(self, name):
        right, wrong = (self._counts()[kind] for kind in self.RATES[name])
        return ratio(right, right + wrong)

    def result(self):
        best, given = self._rate(self.best), self._rate(self.given)
        # 0.0 * given is 0, but NaN for a NaN, which must not be hidden
        return self._value(np.where(given >= getattr(self, self.given), best, 0.0 * given).max(initial=0.0))


class SensitivityAtSpecificity(_BestAt, best="sensitivity", given="specificity"):
    """The best TP / (TP + FN) among the thresholds with TN / (TN + FP) >= `specificity`; 0 if there is none."""


class SpecificityAtSensitivity(_BestAt, best="specificity", given="sensitivity"):
    """The best TN / (TN + FP) among the thresholds with TP / (TP + FN) >= `sensitivity`; 0 if there is none."""


class PrecisionAtRecall(_BestAt, best="precision", given="recall"):
    """The best TP / (TP + FP) among the thresholds with TP / (TP + FN) >= `recall`; 0 if there is none."""


class RecallAtPrecision(_BestAt, best="recall", given="precision"):
    """The best TP / (TP + FN) among the thresholds with TP / (TP + FP) >= `precision`; 0 if there is none."""
