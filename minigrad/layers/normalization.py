"""Batch Normalization."""

import math

import numpy as np

from minigrad import config, ops
from minigrad.checks import is_int, warn
from minigrad.exchange import mean_of_all, world
from minigrad.layers.arguments import EPSILON, checked, number
from minigrad.layers.base import SameShape
from minigrad.tensor import Tensor


class BatchNormalization(SameShape):
    """Zero-center, scale to unit variance, then shift and scale as learned (Ioffe and Szegedy 2015).

    In training, over the m rows of the batch (all axes but `axis`), with mean u and biased variance v:

        h = (x - u) / sqrt(v + epsilon),   y = gamma h + beta
        moving_mean = momentum moving_mean + (1 - momentum) u, and moving_variance likewise with v

    In inference, and in a frozen layer (`trainable = False`), the moving statistics take the place of u and v.
    PyTorch's momentum is 1 - momentum, and it averages the unbiased variance.

    The gradient: with g = dL/dy, dL/dbeta = sum g, dL/dgamma = sum g h, and dL/dh = gamma g. Let s = sqrt(v + epsilon).
    x_i acts on the loss in three ways. It changes h_i itself, by 1/s. It changes the mean, which changes every h_k by
    -1/(m s). And it changes the variance by 2 (x_i - u) / m, which changes every h_k by -h_k h_i / (m s). So

        dL/dx_i = gamma / s  (g_i - (1/m) sum_k g_k - h_i (1/m) sum_k g_k h_k)

    This gradient has mean 0 and no component along h. Hence a bias before the layer learns nothing, and the size of the
    weights before it does not matter.

    Args:
        axis: the axis of the features; each feature is normalized by itself.
        momentum, renorm_momentum: of the moving statistics, and of those that `renorm` draws a batch towards.
        epsilon: added to the variance.
        center, scale, synchronized: whether there is a beta, a gamma, one mean and variance for all processes.
        renorm: Batch Renormalization (Ioffe 2017), with `renorm_clipping`, a dict with "rmin", "rmax" and "dmax".
        the initializers, regularizers and constraints: strings or objects for each variable.

    Raises:
        ValueError: the axis is out of range, or the number of features is not that which the layer was built for.
    """

    arguments = {
        "axis": -1, "momentum": checked(number, 0.99, "[0, 1]"), "epsilon": EPSILON, "center": True, "scale": True,
        "beta_initializer": "zeros", "gamma_initializer": "ones",
        "moving_mean_initializer": "zeros", "moving_variance_initializer": "ones",
        "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None, "gamma_constraint": None,
        "renorm": False, "renorm_clipping": None, "renorm_momentum": checked(number, 0.99, "[0, 1]"),
        "synchronized": False,
    }  # fmt: skip

    def _settle(self):
        if isinstance(self.axis, (list, tuple)) and len(self.axis) == 1:
            self.axis = self.axis[0]
        if not is_int(self.axis):
            raise ValueError(f"{self._owner}: axis must be an integer, got {self.axis!r}.")
        self.axis, clipping = int(self.axis), self.renorm_clipping or {}
        unknown = set(clipping) - {"rmin", "rmax", "dmax"}
        if unknown:
            raise ValueError(f"{self._owner}: renorm_clipping knows rmin, rmax and dmax; got {unknown}.")
        low, high = (clipping.get(name) for name in ("rmin", "rmax"))
        if low is not None and high is not None and low > high:
            raise ValueError(f"{self._owner}: rmin must be at most rmax, got {low} and {high}.")

    def build(self, input_shape):
        rank = len(input_shape)
        if not -rank <= self.axis < rank or rank < 2:
            raise ValueError(
                f"{self._title}: axis {self.axis} is out of range for inputs of shape {tuple(input_shape)}."
            )
        n = input_shape[self.axis]
        if n is None:
            raise ValueError(
                f"{self._title}: the length of axis {self.axis} must be known; got shape {tuple(input_shape)}."
            )
        self.gamma = self._own_weight("gamma", n) if self.scale else None
        self.beta = self._own_weight("beta", n) if self.center else None
        self.moving_mean = self._own_weight("moving_mean", n, trainable=False)
        self.moving_variance = self._own_weight("moving_variance", n, trainable=False)
        if self.renorm:
            more = {"shape": n, "trainable": False}
            self.moving_stddev = self.add_weight(initializer="zeros", name="moving_stddev", **more)
            self.renorm_mean = self.add_weight(initializer=self.moving_mean_initializer, name="renorm_mean", **more)
            self.renorm_stddev = self.add_weight(initializer="zeros", name="renorm_stddev", **more)
            deviation = np.sqrt(self.moving_variance.numpy())
            self.moving_stddev.assign(deviation)
            self.renorm_stddev.assign(deviation)
        self._size = n
        # These take the place of a gamma, a beta or a bias that is absent.
        self._ones, self._zeros = Tensor(np.ones(n, self.dtype)), Tensor(np.zeros(n, self.dtype))
        self._ones._data.flags.writeable = self._zeros._data.flags.writeable = False

    def call(self, inputs, training=False, mask=None):
        rank = inputs.ndim
        axis = self.axis % rank
        if not -rank <= self.axis < rank or inputs.shape[axis] != self._size:
            raise ValueError(
                f"{self._title} expected axis {self.axis} of the input to have value {self._size}; got shape "
                f"{inputs.shape}."
            )
        if axis == rank - 1:
            return self.normalize(inputs, training, mask)
        order = [a for a in range(rank) if a != axis] + [axis]
        y = self.normalize(ops.transpose(inputs, order), training, mask)
        return ops.transpose(y, np.argsort(order).tolist())

    def normalize(self, x, training, mask=None, kernel=None, bias=None, floor=-math.inf):
        """The output for x + bias, or for x kernel + bias, features last, and at least `floor` (0 makes a relu).

        `layers.fusion` passes the kernel and the bias of a Dense in front of the layer, and the floor of a relu behind
        it. x is not checked.
        """
        gamma, beta, data = self.gamma, self.beta, x._data
        gamma = self._ones if gamma is None else gamma
        beta = self._zeros if beta is None else beta
        bias = self._zeros if bias is None else bias
        mean, variance = self.moving_mean._data.reshape(1, -1), self.moving_variance._data.reshape(1, -1)
        is_frozen = not training or not self._trainable
        if not is_frozen and data.size <= data.shape[-1]:
            self._warn_of_few_rows(x)
        if is_frozen or self.renorm or mask is not None or (self.synchronized and world.size > 1):
            if kernel is not None:
                x = ops.matmul(x, kernel)
            if not is_frozen:
                return self._composed(x, mask, gamma, beta, bias, floor)
            return ops.frozen_normalization(
                x, bias, gamma, beta, mean=mean, variance=variance, epsilon=self.epsilon, floor=floor
            )
        if kernel is not None:
            return ops.normalized_product(
                x, kernel, bias, gamma, beta, moving_mean=mean, moving_variance=variance, momentum=self.momentum,
                epsilon=self.epsilon, floor=floor,
            )  # fmt: skip
        return ops.batch_normalization(
            x, bias, gamma, beta, moving_mean=mean, moving_variance=variance, momentum=self.momentum,
            epsilon=self.epsilon, floor=floor, samples=len(data) if data.ndim > 2 else 1,
        )  # fmt: skip

    def _warn_of_few_rows(self, x):
        if x.size == 0:
            raise ValueError(
                f"{self._title} was given a training batch of no rows, {x.shape}, which has no mean and no variance. "
                "Leave empty batches out."
            )
        warn(
            f"{self._title} was given a training batch of one row: its variance is 0, so the output is beta whatever "
            "the input, and no gradient passes. Use larger batches."
        )

    def _composed(self, x, mask, gamma, beta, bias, floor):
        """The output with a mask, Batch Renormalization or several processes. They are rare: operations compose it."""
        everywhere = ops.convert_to_tensor
        if self.synchronized and world.size > 1:
            everywhere, bias = mean_of_all, bias.detach() + bias * 0.0  # it has no effect: its gradient is exactly zero
        x = x + bias
        axes = tuple(range(x.ndim - 1))
        if mask is None:
            mean = everywhere(ops.mean(x, axes))
            variance = everywhere(ops.mean(ops.square(x - mean), axes)) if self.synchronized else ops.var(x, axes)
        else:
            mask, rows = ops.convert_to_tensor(mask), x.shape[:-1]
            if mask.ndim != len(rows) or any(m not in (1, n) for m, n in zip(mask.shape, rows, strict=True)):
                raise ValueError(
                    f"{self._title}: the mask must have the shape {rows}, one value for each row (or 1 for all along "
                    f"an axis); got {mask.shape}."
                )
            kept = ops.expand_dims(ops.broadcast_to(ops.cast(mask, x.dtype), rows), -1)
            count = everywhere(ops.sum(kept)) + config.epsilon()
            mean = everywhere(ops.sum(x * kept, axes)) / count
            variance = everywhere(ops.sum(ops.square(x - mean) * kept, axes)) / count
        inverse = 1.0 / ops.sqrt(variance + self.epsilon)
        if self.renorm:
            gamma, beta = self._renormalized(mean.detach(), variance.detach(), gamma, beta)
        else:
            _follow(self.moving_mean, mean, self.momentum)
            _follow(self.moving_variance, variance, self.momentum)
        y = (x - mean) * (inverse * gamma) + beta
        return y if floor == -math.inf else ops.maximum(y, floor)

    def _renormalized(self, mean, variance, gamma, beta):
        """gamma r and gamma d + beta, where the constants r and d turn the batch's statistics into the long run's."""
        clipping = self.renorm_clipping or {}
        deviation = ops.sqrt(variance + self.epsilon)
        long_run = ops.maximum(self.renorm_stddev.value, math.sqrt(self.epsilon))
        r, d = deviation / long_run, (mean - self.renorm_mean.value) / long_run
        r = ops.clip(r, clipping.get("rmin", -math.inf), clipping.get("rmax", math.inf))
        d = ops.clip(d, -clipping.get("dmax", math.inf), clipping.get("dmax", math.inf))
        _follow(self.renorm_mean, mean, self.renorm_momentum)
        _follow(self.renorm_stddev, deviation, self.renorm_momentum)
        _follow(self.moving_mean, mean, self.momentum)
        _follow(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(ops.maximum(ops.square(self.moving_stddev.value) - self.epsilon, 0.0))
        return gamma * r, gamma * d + beta


def _follow(average, value, momentum):
    """average = momentum average + (1 - momentum) value"""
    average.assign(average.value * momentum + value.detach() * (1 - momentum))
