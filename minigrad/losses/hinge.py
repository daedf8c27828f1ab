"""Losses of margins: an output must be right by at least 1."""

from minigrad import ops
from minigrad.losses.base import FunctionLoss, loss_function


def signs(y_true):
    """Labels -1 and 1. If all labels of the batch are 0 or 1, they become 2 y - 1."""
    strange = ops.cast(ops.not_equal(y_true * y_true, y_true), y_true.dtype)  # 1 where a label is neither 0 nor 1
    return ops.where(ops.equal(ops.sum(strange), 0.0), 2.0 * y_true - 1.0, y_true)


@loss_function()
def hinge(y_true, y_pred):
    """mean over the last axis of max(1 - y_true y_pred, 0), for labels -1 and 1, or 0 and 1, which become -1 and 1"""
    return ops.mean(ops.maximum(1.0 - signs(y_true) * y_pred, 0.0), axis=-1)


class Hinge(FunctionLoss, function=hinge):
    """mean of max(1 - y_true y_pred, 0), for labels -1 and 1, or 0 and 1, which become -1 and 1"""


@loss_function()
def squared_hinge(y_true, y_pred):
    """mean over the last axis of max(1 - y_true y_pred, 0)^2, for labels -1 and 1, or 0 and 1, which become -1 and 1"""
    return ops.mean(ops.square(ops.maximum(1.0 - signs(y_true) * y_pred, 0.0)), axis=-1)


class SquaredHinge(FunctionLoss, function=squared_hinge):
    """mean of max(1 - y_true y_pred, 0)^2, for labels -1 and 1, or 0 and 1, which become -1 and 1"""


@loss_function()
def categorical_hinge(y_true, y_pred):
    """max(1 + the largest output of a wrong class - that of the right one, 0), for one-hot targets"""
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - ops.sum(y_true * y_pred, axis=-1) + 1.0, 0.0)


class CategoricalHinge(FunctionLoss, function=categorical_hinge):
    """mean of max(1 + the largest output of a wrong class - that of the right one, 0), for one-hot targets"""
