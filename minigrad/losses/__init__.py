"""Losses: `loss(y_true, y_pred, sample_weight=None)` returns a scalar tensor.

Each loss is a function with a formula, which returns one value per row. Directly below it stands its class, which adds
the sample weights and the reduction. The losses are in `regression`, `probabilistic`, `hinge` and `overlap`, and what
they share is in `base` and `targets`.
"""

# The table of contents: what each file offers.
# isort: off
from minigrad.losses.base import Loss, LossFunctionWrapper, deserialize, get, registry, serialize
from minigrad.losses.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from minigrad.losses.overlap import Dice, Tversky, dice, tversky
from minigrad.losses.probabilistic import (
    BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy, CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy, KLDivergence, SparseCategoricalCrossentropy, binary_crossentropy,
    binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
    categorical_generalized_cross_entropy, kl_divergence, sparse_categorical_crossentropy,
)  # fmt: skip
from minigrad.losses.regression import (
    CosineSimilarity, Huber, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
    MeanSquaredLogarithmicError, Poisson, cosine_similarity, huber, log_cosh, mean_absolute_error,
    mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error, poisson,
)  # fmt: skip
# isort: on
from minigrad.names import public

# Other names of the same.
KLD = kld = kullback_leibler_divergence = kl_divergence
MAE = mae = mean_absolute_error
MAPE = mape = mean_absolute_percentage_error
MSE = mse = mean_squared_error
MSLE = msle = mean_squared_logarithmic_error
logcosh = log_cosh

__all__ = public(globals())
