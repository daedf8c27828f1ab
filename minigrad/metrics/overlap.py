"""Metrics of segmentation: intersection over union of what is labeled and what is predicted, for each class."""

import numpy as np

from minigrad import config, ops
from minigrad import kernels as K
from minigrad.losses import targets
from minigrad.losses.base import NUMBERS
from minigrad.metrics.base import Metric
from minigrad.program import launch
from minigrad.tensor import as_tensor, constant


class IoU(Metric):
    """The mean over the classes in `target_class_ids` of |A and B| / |A or B|. A are the elements with the label of a
    class, and B those for which the class is predicted.

    Args:
        num_classes: labels are integers from 0 to num_classes - 1. Others do not count.
        ignore_class: a label that does not count.
        sparse_y_true, sparse_y_pred: False if they are one-hot, or scores, along `axis`.

    Classes that never occur are left out of the mean. Counts are float64, since weights may be fractions; the dtype
    is there for Keras' configs only.
    """

    _direction = "up"

    def __init__(
        self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_true=True,
        sparse_y_pred=True, axis=-1,
    ):
        super().__init__(dtype or "int32", name)
        self.target_class_ids = [int(i) for i in target_class_ids]
        if not all(0 <= i < num_classes for i in self.target_class_ids):
            raise ValueError(
                f"{self.name}: target_class_ids must be from 0 to {num_classes - 1}, got {target_class_ids!r}."
            )
        self.num_classes, self.ignore_class, self.axis = num_classes, ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_variable((num_classes,) * 2, dtype="float64", name="total_confusion_matrix")

    def _labels(self, y, is_sparse):
        """Labels as a column of float64."""
        y = targets.tensors(0.0, y)[1]
        y = y if is_sparse else ops.argmax(y, axis=self.axis)
        return ops.cast(ops.reshape(y, (-1, 1)), "float64")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch of labels."""
        y_true, y_pred = self._labels(y_true, self.sparse_y_true), self._labels(y_pred, self.sparse_y_pred)
        if y_true.shape != y_pred.shape:
            raise ValueError(f"{self.name}: {y_true.size} labels for {y_pred.size} predictions.")
        weights = constant(np.dtype("float64"), 1.0)
        if sample_weight is not None:
            weights = ops.cast(ops.reshape(as_tensor(sample_weight, "float64"), (-1, 1)), "float64")._data
        if len(weights) not in (1, len(y_true)):
            raise ValueError(f"{self.name}: sample_weight has {len(weights)} elements for {len(y_true)} labels.")
        ignored = constant(np.dtype("float64"), np.nan if self.ignore_class is None else float(self.ignore_class))
        launch(K.count_pairs, y_true._data, y_pred._data, weights, ignored, self.total_cm._data)

    def result(self):
        matrix = self.total_cm.numpy()
        common = np.diag(matrix)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - common
        common, union = common[self.target_class_ids], union[self.target_class_ids]
        occurs = union > 1e-9
        epsilon = config.epsilon()
        share = np.where(occurs, common / (union + epsilon), 0.0)
        return as_tensor(np.asarray(share.sum() / (occurs.sum() + epsilon), config.floatx()))


class BinaryIoU(IoU):
    """IoU of the classes 0 and 1, y_pred >= threshold being class 1."""

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(2, target_class_ids, name, dtype)
        NUMBERS["threshold"].checked("BinaryIoU", "threshold", threshold)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch of labels 0 and 1, and scores."""
        y_pred = targets.tensors(0.0, y_pred)[1]
        super().update_state(y_true, ops.cast(ops.greater_equal(y_pred, self.threshold), y_pred.dtype), sample_weight)


class MeanIoU(IoU):
    """IoU averaged over all classes."""

    def __init__(
        self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_true=True, sparse_y_pred=True, axis=-1
    ):
        super().__init__(
            num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )


class OneHotIoU(IoU):
    """IoU for one-hot targets."""

    def __init__(
        self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(IoU):
    """IoU averaged over all classes, for one-hot targets."""

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, False, sparse_y_pred, axis)
