"""Losses of numbers: how far outputs are from targets."""

from minigrad import config, ops
from minigrad.losses.base import FunctionLoss, loss_function


@loss_function("mse", "MSE")
def mean_squared_error(y_true, y_pred):
    """mean over the last axis of (y_pred - y_true)^2"""
    return ops.squared_error(y_true, y_pred)


class MeanSquaredError(FunctionLoss, function=mean_squared_error):
    """mean of (y_pred - y_true)^2"""


@loss_function("mae", "MAE")
def mean_absolute_error(y_true, y_pred):
    """mean over the last axis of |y_pred - y_true|"""
    return ops.absolute_error(y_true, y_pred)


class MeanAbsoluteError(FunctionLoss, function=mean_absolute_error):
    """mean of |y_pred - y_true|"""


@loss_function("mape", "MAPE")
def mean_absolute_percentage_error(y_true, y_pred):
    """100 times the mean over the last axis of |y_true - y_pred| / max(|y_true|, 1e-7)"""
    size = ops.maximum(ops.absolute(y_true), config.epsilon())
    return 100.0 * ops.mean(ops.absolute((y_true - y_pred) / size), axis=-1)


class MeanAbsolutePercentageError(FunctionLoss, function=mean_absolute_percentage_error):
    """mean of 100 |y_true - y_pred| / |y_true|, in percent; a target of 0 counts as 1e-7"""


@loss_function("msle", "MSLE")
def mean_squared_logarithmic_error(y_true, y_pred):
    """mean over the last axis of (ln(1 + y_true) - ln(1 + y_pred))^2, both at least 1e-7"""
    first, second = (ops.log(ops.maximum(y, config.epsilon()) + 1.0) for y in (y_true, y_pred))
    return ops.mean(ops.square(first - second), axis=-1)


class MeanSquaredLogarithmicError(FunctionLoss, function=mean_squared_logarithmic_error):
    """mean of (ln(1 + y_true) - ln(1 + y_pred))^2, for numbers that may differ by magnitudes but not in sign"""


@loss_function()
def huber(y_true, y_pred, delta=1.0):
    """mean over the last axis of e^2 / 2 for |e| <= delta, else delta |e| - delta^2 / 2, where e = y_pred - y_true"""
    return ops.huber_error(y_true, y_pred, delta=float(delta))


class Huber(FunctionLoss, function=huber, name="huber_loss"):
    """mean of e^2 / 2 for errors |e| <= delta, else of delta |e| - delta^2 / 2. No gradient exceeds `delta`.

    Source: P. J. Huber, Robust Estimation of a Location Parameter, 1964.
    """


@loss_function()
def log_cosh(y_true, y_pred):
    """mean over the last axis of ln cosh(y_pred - y_true)"""
    return ops.log_cosh_error(y_true, y_pred)


class LogCosh(FunctionLoss, function=log_cosh):
    """mean of ln cosh(y_pred - y_true): about e^2 / 2 for small errors, |e| - ln 2 for large ones"""


@loss_function()
def poisson(y_true, y_pred):
    """mean over the last axis of y_pred - y_true ln(y_pred + 1e-7)"""
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


class Poisson(FunctionLoss, function=poisson):
    """mean of y_pred - y_true ln y_pred: -ln of the likelihood of the count y_true if y_pred is expected"""


@loss_function()
def cosine_similarity(y_true, y_pred, axis=-1):
    """-sum over `axis` of y_true y_pred, both of length one: -1 is the same direction, 1 the opposite one"""
    return -ops.sum(ops.normalize(y_true, axis) * ops.normalize(y_pred, axis), axis=axis)


class CosineSimilarity(FunctionLoss, function=cosine_similarity):
    """mean of -cos of the angle between y_true and y_pred: -1 is the same direction, 1 the opposite one"""
