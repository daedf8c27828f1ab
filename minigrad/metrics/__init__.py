"""Metrics: `update_state(y_true, y_pred, sample_weight=None)` adds a batch, `result()` returns the value so far, and
`reset_state()` starts again.

`base` has the base class and plain means. The metrics are in `means` (of functions), `confusion` (counts at
thresholds), `curves` (of these counts), `scores` (F, R^2) and `overlap` (IoU). `lookup` knows the strings of `compile`.
"""

# The table of contents: what each file offers.
# isort: off
from minigrad.losses import (
    KLD, MAE, MAPE, MSE, MSLE, kld, kullback_leibler_divergence, logcosh, mae, mape, mse, msle,
    binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
    categorical_hinge, hinge, huber, kl_divergence, log_cosh, mean_absolute_error, mean_absolute_percentage_error,
    mean_squared_error, mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy, squared_hinge,
)  # fmt: skip
from minigrad.metrics.base import Mean, MeanMetricWrapper, Metric, Sum, deserialize, registry, serialize
from minigrad.metrics.confusion import FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives
from minigrad.metrics.curves import (
    AUC, PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity,
)  # fmt: skip
from minigrad.metrics.lookup import get
from minigrad.metrics.means import (
    Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy, CategoricalHinge,
    ConcordanceCorrelation, CosineSimilarity, Hinge, KLDivergence, LogCoshError, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, PearsonCorrelation, Poisson,
    RootMeanSquaredError, SparseCategoricalAccuracy, SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy,
    SquaredHinge, TopKCategoricalAccuracy, binary_accuracy, categorical_accuracy, concordance_correlation,
    pearson_correlation, sparse_categorical_accuracy, sparse_top_k_categorical_accuracy, top_k_categorical_accuracy,
)  # fmt: skip
from minigrad.metrics.overlap import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from minigrad.metrics.scores import F1Score, FBetaScore, R2Score
# isort: on
from minigrad.names import public

__all__ = public(globals())
