"""Learning rates that are functions of the step. Kernels compute them, so that a Program can replay them."""

import numpy as np

from minigrad import config, ops
from minigrad import kernels as K
from minigrad.configurable import REQUIRED, Configurable, Number, numbers_among
from minigrad.program import launch
from minigrad.registry import Registry
from minigrad.tensor import Tensor, as_array, as_tensor, constant, flat

registry = Registry("learning-rate schedule", "keras.optimizers.schedules")
serialize, deserialize = registry.serialize, registry.deserialize


class LearningRateSchedule(Configurable, is_member=False):
    """Base class: define `__call__(step)` and, to be saved, `get_config()`.

    In training, `step` is the number of batches so far, a tensor () of the weights' dtype. What `minigrad.ops` compute
    from it becomes part of the Program. A schedule that reads its value (`float(step)`, `if step < 10:`,
    `math.cos(step)`) makes `fit` run eagerly.

    >>> class Inverse(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 / (step + 1)
    """

    _registry = registry

    def __call__(self, step):
        raise NotImplementedError(f"Schedule {type(self).__name__} must define __call__(self, step).")

    def get_config(self):
        """The arguments from which `from_config` makes an equal schedule."""
        raise NotImplementedError(f"Schedule {type(self).__name__} must define get_config() to be saved.")


class Formula(LearningRateSchedule, is_member=False):
    """A schedule whose formula is a kernel. It is called on a step (number or tensor), or on an array of steps."""

    arguments = {}
    kernel = None
    get_config = Configurable.get_config

    def __call__(self, step):
        if not isinstance(step, Tensor):
            step = as_tensor(as_array(step, config.floatx()))
        elif step.dtype.kind != "f":
            step = ops.cast(step, config.floatx())
        rate = np.empty(step.shape, step.dtype)
        launch(self.kernel, flat(step._data), *self.operands(step.dtype), flat(rate))
        return as_tensor(rate)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_config().items())})"

    def operands(self, dtype):
        """The operands of the kernel between the steps and the rates."""
        return [constant(dtype, *numbers_among(self, self.arguments))]


class ExponentialDecay(Formula):
    """rate = initial_learning_rate decay_rate^p, where p = step / decay_steps; with `staircase`, its integer part."""

    kernel = K.exponential_decay
    arguments = {
        "initial_learning_rate": Number(),
        "decay_steps": Number(interval="(0, inf)"),
        "decay_rate": Number(),
        "staircase": False,
        "name": "ExponentialDecay",
    }


class InverseTimeDecay(Formula):
    """rate = initial_learning_rate / (1 + decay_rate p), p = step / decay_steps; with `staircase`, its integer part."""

    kernel = K.inverse_time_decay
    arguments = {**ExponentialDecay.arguments, "name": "InverseTimeDecay"}


class PolynomialDecay(Formula):
    """From initial_learning_rate to end_learning_rate in decay_steps, where it stays.

        rate = (initial - end)(1 - p)^power + end,   p = min(step / decay_steps, 1)

    With `cycle`, decay_steps is multiplied by the least integer for which it is not less than the step.
    """

    kernel = K.polynomial_decay
    arguments = {
        "initial_learning_rate": Number(),
        "decay_steps": Number(interval="(0, inf)"),
        "end_learning_rate": Number(0.0001),
        "power": Number(1.0),
        "cycle": False,
        "name": "PolynomialDecay",
    }


class CosineDecay(Formula):
    """Half a wave of a cosine down to alpha (Loshchilov and Hutter 2016, arXiv:1608.03983), after a linear warm-up.

        rate = initial + (target - initial) step / warmup_steps              where step < warmup_steps
        rate = target ((1 - alpha)(1 + cos pi p) / 2 + alpha),   p = min((step - warmup_steps) / decay_steps, 1)

    Without a `warmup_target`, the target is the initial rate, and there is no warm-up.
    """

    kernel = K.cosine_decay
    arguments = {
        "initial_learning_rate": Number(),
        "decay_steps": Number(interval="(0, inf)"),
        "alpha": Number(0.0),
        "name": "CosineDecay",
        "warmup_target": Number(None),
        "warmup_steps": Number(0, "[0, inf)"),
    }

    def operands(self, dtype):
        """[r, length, alpha, top, warm-up]"""
        start = self.initial_learning_rate
        top, warmup = (start, 0) if self.warmup_target is None else (self.warmup_target, self.warmup_steps)
        return [constant(dtype, start, self.decay_steps, self.alpha, top, warmup)]


class CosineDecayRestarts(Formula):
    """Half waves of a cosine one after another (Loshchilov and Hutter 2016, arXiv:1608.03983).

        rate = initial ((1 - alpha) m_mul^i (1 + cos pi p) / 2 + alpha)

    Period i = 0, 1, ... takes first_decay_steps t_mul^i steps. p is the share of the period that is over.
    """

    kernel = K.cosine_restarts
    arguments = {
        "initial_learning_rate": Number(),
        "first_decay_steps": Number(interval="(0, inf)"),
        "t_mul": Number(2.0, "(0, inf)"),
        "m_mul": Number(1.0),
        "alpha": Number(0.0),
        "name": "SGDRDecay",
    }


class PiecewiseConstantDecay(Formula):
    """rate = values[i], where i is the number of boundaries below the step. There is one value more than boundaries."""

    kernel = K.piecewise_constant
    arguments = {"boundaries": REQUIRED, "values": REQUIRED, "name": "PiecewiseConstant"}

    def _settle(self):
        boundaries, values = self.boundaries, self.values
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: there must be one value more than boundaries; got "
                f"{len(values)} values, {values}, and {len(boundaries)} boundaries, {boundaries}."
            )
        if any(a > b for a, b in zip(boundaries[:-1], boundaries[1:], strict=True)):
            raise ValueError(f"PiecewiseConstantDecay: the boundaries must increase; got {boundaries}.")

    def operands(self, dtype):
        """Boundaries and values, one row each."""
        return [np.array([row], dtype).reshape(1, -1) for row in (self.boundaries, self.values)]
