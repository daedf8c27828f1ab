"""Batch, Layer and Group Normalization."""

import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.groups import groups_of
from minigrad.ops.reducing import _axes
from minigrad.ops.shaping import reshape, transpose
from minigrad.program import empty, empty_like, launch
from minigrad.tensor import as_tensor, constant, op


@op("(...,n), (n), (n), (n) -> (...,n)")
def batch_normalization(
    y, x, bias, gamma, beta, moving_mean, moving_variance, momentum, epsilon, floor=-math.inf, samples=1
):
    """y = max(floor, gamma h + beta),   h = (x - mean) / sqrt(variance + epsilon),   over the rows of the batch.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1 and the gradients below it.

    The moving statistics (1, n) are averaged with the batch's in the same pass. The layer before need not add its
    `bias` to x, but may hand it on: it shifts the mean by as much, so y does not depend on it and its gradient is
    exactly zero. With g = dy where y is above the floor, else 0, and m rows:

        dbeta  = sum_i g_i
        dgamma = sum_i g_i h_i
        dx_i   = gamma / sqrt(variance + epsilon) (g_i - dbeta / m - h_i dgamma / m)

    The last line is the chain rule through h, the mean and the variance: dh_i = gamma g_i; x_i moves h_i directly,
    every h through the mean (the term sum dh / m) and every h through the variance (the term h_i sum dh h / m).

    The rows may be the pixels of so many `samples`.
    """
    groups = groups_of(samples, len(x))
    moving = moving_mean, moving_variance, momentum, epsilon, floor
    if groups > 1:
        return _normalize_images(y, x, bias, gamma, beta, *moving, groups)
    vjp = normalized_product.raw(y, x, None, bias, gamma, beta, *moving)
    return lambda gy, gx, *others: vjp(gy, gx, None, *others)


def _normalize_images(y, x, bias, gamma, beta, moving_mean, moving_variance, momentum, epsilon, floor, groups):
    """`batch_normalization` of many rows: what is summed over all of them is summed in groups of samples first."""
    settings, rows, n = constant(x.dtype, momentum, epsilon, floor), constant(np.int64, len(x)), x.shape[1]
    mean, inverse, sums = empty_like(gamma), empty_like(gamma), empty((groups, K.normalization.MOMENTS * n), x.dtype)
    launch(K.moments, x, sums)
    launch(K.join_moments, sums, rows, bias, settings, moving_mean, moving_variance, mean, inverse)
    launch(K.normalize, x, gamma, beta, settings, mean, inverse, y)

    def vjp(gy, gx, gbias, ggamma, gbeta):
        outs = [_scratch(gbias, bias), _scratch(ggamma, gamma), _scratch(gbeta, beta)]
        sums, work = empty((groups, 2 * n), x.dtype), empty((3, n), x.dtype)
        launch(K.normalize_sums, gy, x, y, settings, mean, sums)
        launch(K.join_normalize_sums, sums, rows, gamma, inverse, work, *outs)
        if gx is not None:
            launch(K.normalize_vjp, gy, x, y, settings, mean, work, gx)

    return vjp


@op("(...,k), (k,n), (n), (n), (n) -> (...,n)")
def normalized_product(
    y, x, kernel, bias, gamma, beta, moving_mean, moving_variance, momentum, epsilon, floor=-math.inf
):
    """y = batch_normalization(x kernel, bias, gamma, beta): both operations as one node on the tape, for eager mode.

    (`batch_normalization` itself passes None as the kernel.)
    """
    if len(x) == 0:
        raise ValueError("batch_normalization: a batch of no rows has no mean and no variance.")
    h = x if kernel is None else empty_like(y)
    if kernel is not None:
        launch(K.matmul, x, kernel, h)
    settings = constant(x.dtype, momentum, epsilon, floor)
    mean, inverse = empty_like(gamma), empty_like(gamma)
    launch(K.batch_normalization, h, bias, gamma, beta, settings, moving_mean, moving_variance, y, mean, inverse)

    def vjp(gy, gx, gkernel, gbias, ggamma, gbeta):
        gh = gx if kernel is None and gx is not None else empty_like(h)
        gbias = empty_like(bias) if gbias is None else gbias
        ggamma = empty_like(gamma) if ggamma is None else ggamma
        gbeta = empty_like(beta) if gbeta is None else gbeta
        work = empty((3, h.shape[1]), h.dtype)
        launch(K.batch_normalization_vjp, gy, h, y, gamma, settings, mean, inverse, work, gh, gbias, ggamma, gbeta)
        if kernel is not None and gx is not None:
            launch(K.matmul_nt, gh, kernel, gx)
        if gkernel is not None:
            launch(K.matmul_tn, x, gh, gkernel)

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


@op("(...,n), (n), (n) -> (...,n)")
def _layer_normalization(y, x, gamma, beta, epsilon):
    """y = gamma h + beta,   h = (x - mean) / sqrt(variance + epsilon),   over the last axis of n elements.

    With s = sqrt(variance + epsilon) and g = dy gamma, which is dL/dh:

        dbeta  = sum over the rows of dy
        dgamma = sum over the rows of dy h
        dx_j   = (g_j - (1/n) sum_k g_k - h_j (1/n) sum_k g_k h_k) / s

    The last line is that of Batch Normalization with rows and columns exchanged: x_j moves h_j directly, and every h
    of its row through the mean (the second term) and through the variance (the third).
    """
    mean, inverse = empty((2, x.shape[0], 1), x.dtype)
    launch(K.layer_normalization, x, gamma, beta, constant(x.dtype, epsilon), y, mean, inverse)

    def vjp(gy, gx, ggamma, gbeta):
        outs = [_scratch(gx, x), _scratch(ggamma, gamma), _scratch(gbeta, beta)]
        launch(K.layer_normalization_vjp, gy, x, gamma, mean, inverse, *outs)

    return vjp


def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and biased variance over `axis` (an int or several).

    `gamma` and `beta` (1 and 0 by default) have the lengths of these axes, in the order in which x has them.
    """
    x = as_tensor(x)
    axes = sorted(_axes(axis, x))
    if not axes or len(set(axes)) < len(axes):
        raise ValueError(f"layer_normalization: axis must name different axes of {x.shape}, got {axis!r}.")
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    order = [a for a in range(x.ndim) if a not in axes] + axes
    moved = transpose(x, order)
    n = math.prod(moved.shape[x.ndim - len(axes) :])
    rows = reshape(moved, (x.size // max(n, 1), n))
    gamma = np.ones(n, x.dtype) if gamma is None else reshape(gamma, (n,))
    beta = np.zeros(n, x.dtype) if beta is None else reshape(beta, (n,))
    y = _layer_normalization(rows, gamma, beta, epsilon=epsilon)
    return transpose(reshape(y, moved.shape), np.argsort(order).tolist())


@op("(...,n), (n), (n) -> (...,n)")
def _group_normalization(y, x, gamma, beta, samples, groups, epsilon):
    """y = gamma h + beta,   h = (x - mean) / sqrt(variance + epsilon),   over each group of columns of each sample.

    With s = sqrt(variance + epsilon), g = dy gamma, and means over a group:

        dbeta = sum dy,   dgamma = sum dy h   (of each column)
        dx    = (g - mean g - h mean (g h)) / s

    as of Layer Normalization, whose rows are the groups.
    """
    c, groups = x.shape[1], constant(np.int64, groups)
    moments = empty((2 * samples, c), x.dtype)
    launch(K.group_normalization, x, gamma, beta, constant(x.dtype, epsilon), groups, y, moments)

    def vjp(gy, gx, ggamma, gbeta):
        sums, means = empty((2, samples, c), x.dtype), empty((2 * samples, c), x.dtype)
        launch(K.group_normalization_vjp, gy, x, gamma, groups, moments, _scratch(gx, x), *sums, means)
        for each, gradient in zip(sums, (ggamma, gbeta)):
            if gradient is not None:
                launch(K.sum_rows, each, gradient)

    return vjp


def group_normalization(x, groups, gamma=None, beta=None, axis=-1, epsilon=None):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, for each sample in groups of neighbors along `axis`.

    `gamma` and `beta` (1 and 0 by default) have the length of the axis, which `groups` divides.
    """
    x = as_tensor(x)
    (axis,) = _axes(axis, x)
    n = x.shape[axis]
    if not axis or groups < 1 or n % groups:
        raise ValueError(f"group_normalization: {groups} groups can't be made along axis {axis} of {x.shape}.")
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    gamma = np.ones(n, x.dtype) if gamma is None else gamma
    beta = np.zeros(n, x.dtype) if beta is None else beta
    order = [a for a in range(x.ndim) if a != axis] + [axis]
    moved = x if axis == x.ndim - 1 else transpose(x, order)
    y = _group_normalization(moved, gamma, beta, samples=x.shape[0], groups=groups, epsilon=epsilon)
    return y if axis == x.ndim - 1 else transpose(y, np.argsort(order).tolist())


def _scratch(buffer, like):
    return empty_like(like) if buffer is None else buffer
