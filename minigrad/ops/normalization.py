"""Batch Normalization and Dropout."""

import math

import numpy as np

from minigrad import kernels as K
from minigrad.program import launch
from minigrad.tensor import constant, op


@op("(...,n), (n), (n), (n) -> (...,n)")
def batch_normalization(
    y, x, bias, gamma, beta, moving_mean, moving_variance, momentum, epsilon, floor=-math.inf
):
    """y = max(floor, gamma h + beta),   h = (x - mean) / sqrt(variance + epsilon),   over the rows of the batch.

    The moving statistics (1, n) are averaged with the batch's in the same pass. `bias`, that of the layer before,
    may be given instead of being added to x: it shifts the mean by as much, so y does not depend on it and its
    gradient is exactly zero. With g = dy where y is above the floor, else 0, and m rows:

        dbeta  = sum_i g_i
        dgamma = sum_i g_i h_i
        dx_i   = gamma / sqrt(variance + epsilon) (g_i - dbeta / m - h_i dgamma / m)

    The last line is the chain rule through h, the mean and the variance: dh_i = gamma g_i; x_i moves h_i directly,
    every h through the mean (the term sum dh / m) and every h through the variance (the term h_i sum dh h / m).
    """
    settings = constant(x.dtype, momentum, epsilon, floor)
    mean, inverse = np.empty_like(gamma), np.empty_like(gamma)
    launch(
        K.batch_normalization, x, bias, gamma, beta, settings, moving_mean, moving_variance, y, mean, inverse
    )

    def vjp(gy, gx, gbias, ggamma, gbeta):
        gx, ggamma, gbeta = _scratch(gx, x), _scratch(ggamma, gamma), _scratch(gbeta, beta)
        work = np.empty((3, x.shape[1]), x.dtype)
        launch(K.batch_normalization_vjp, gy, x, y, gamma, settings, mean, inverse, work, gx, ggamma, gbeta)
        if gbias is not None:
            launch(K.fill, constant(x.dtype, 0.0), gbias)

    return vjp


@op("(...,n), (n), (n), (n) -> (...,n)")
def frozen_normalization(y, x, bias, gamma, beta, mean, variance, epsilon, floor=-math.inf):
    """y = max(floor, gamma (x + bias - mean) / sqrt(variance + epsilon) + beta) with given mean and variance."""
    settings = constant(x.dtype, 0.0, epsilon, floor)
    launch(K.frozen_normalization, x, bias, gamma, beta, settings, mean, variance, y)

    def vjp(gy, gx, gbias, ggamma, gbeta):
        outs = [_scratch(gx, x), _scratch(gbias, bias), _scratch(ggamma, gamma), _scratch(gbeta, beta)]
        launch(K.frozen_normalization_vjp, gy, x, y, bias, gamma, settings, mean, variance, *outs)

    return vjp


def _scratch(buffer, like):
    return np.empty_like(like) if buffer is None else buffer


@op("(...) -> (...)")
def dropout(y, x, rate, state):
    """y = x / (1 - rate) with probability 1 - rate, else 0, from the stream `state`;   dx = dy scaled alike."""
    mask = np.empty_like(x)
    launch(K.dropout_mask, constant(x.dtype, rate), state, mask)
    launch(K.multiply, x, mask, y)

    def vjp(gy, gx):
        launch(K.multiply, gy, mask, gx)

    return vjp
