"""What weights must satisfy after each update: `constraint(weights)` returns the nearest weights that do."""

from minigrad import config, ops
from minigrad.configurable import Configurable
from minigrad.registry import Registry

registry = Registry("constraint", "keras.constraints")
get, serialize, deserialize = registry.get, registry.serialize, registry.deserialize


class Constraint(Configurable, is_member=False):
    """Base class: `__call__(w)` returns the constrained weights. The base class changes nothing."""

    _registry = registry

    def __call__(self, w):
        return w


class MaxNorm(Constraint):
    """Vectors along `axis` (0: the weights into one unit) get a norm of at most `max_value`."""

    arguments = {"max_value": 2, "axis": 0}

    def __call__(self, w):
        norms = ops.norm(w, axis=self.axis, keepdims=True)
        return w * (ops.clip(norms, 0, self.max_value) / (norms + config.epsilon()))


class NonNeg(Constraint):
    """Negative weights become zero."""

    def __call__(self, w):
        return ops.maximum(w, 0.0)


class UnitNorm(Constraint):
    """Vectors along `axis` get norm 1."""

    arguments = {"axis": 0}

    def __call__(self, w):
        return w / (ops.norm(w, axis=self.axis, keepdims=True) + config.epsilon())


class MinMaxNorm(Constraint):
    """Norms along `axis` move towards the interval [min_value, max_value]: the share `rate` of the way to it."""

    arguments = {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}

    def __call__(self, w):
        norms = ops.norm(w, axis=self.axis, keepdims=True)
        wanted = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (wanted / (norms + config.epsilon()))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm  # Keras knows these names, too
