"""Losses of segmentation: how much two sets overlap. A set has a membership in [0, 1] for each element."""

from minigrad import config, ops
from minigrad.losses.base import FunctionLoss, loss_function


@loss_function()
def dice(y_true, y_pred, axis=None):
    """1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + 1e-7), sums over `axis` (None: all)"""
    common, first, second = (ops.sum(y, axis=axis) for y in (y_true * y_pred, y_true, y_pred))
    return 1.0 - 2.0 * common / (first + second + config.epsilon())


class Dice(FunctionLoss, function=dice, order=["reduction", "name", "axis", "dtype"]):
    """1 - 2 |A and B| / (|A| + |B|), one number for the batch, or one per element of the axes that `axis` leaves out.

    Source: L. R. Dice, Measures of the Amount of Ecologic Association Between Species, 1945.
    """


@loss_function()
def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """1 - C / (C + alpha sum(y_true (1 - y_pred)) + beta sum((1 - y_true) y_pred) + 1e-7), C = sum(y_true y_pred)"""
    common = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    invented = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    return 1.0 - common / (common + alpha * missed + beta * invented + config.epsilon())


class Tversky(FunctionLoss, function=tversky, order=["alpha", "beta", "reduction", "name", "axis", "dtype"]):
    """1 - |A and B| / (|A and B| + alpha |A without B| + beta |B without A|), A the target; Dice for 0.5, 0.5.

    Source: Salehi et al., arXiv:1706.05721.
    """
