"""What weights must satisfy after each update: `constraint(weights)` returns the nearest weights that do."""

from minigrad import config, ops
from minigrad.configurable import Configurable
from minigrad.registry import Registry

registry = Registry("constraint", "keras.constraints")
get, serialize, deserialize = registry.get, registry.serialize, registry.deserialize


class Constraint(Configurable):
    """Base class: `__call__(w)` returns the constrained weights. The base class changes nothing."""

    def __call__(self, w):
        return w


@registry.register()
class MaxNorm(Constraint):
    """Vectors along `axis` (0: the weights into one unit) get a norm of at most `max_value`."""

    def __init__(self, max_value=2, axis=0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w):
        norms = ops.norm(w, axis=self.axis, keepdims=True)
        return w * (ops.clip(norms, 0, self.max_value) / (norms + config.epsilon()))


@registry.register()
class NonNeg(Constraint):
    """Negative weights become zero."""

    def __call__(self, w):
        return ops.maximum(w, 0.0)


@registry.register()
class UnitNorm(Constraint):
    """Vectors along `axis` get norm 1."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        return w / (ops.norm(w, axis=self.axis, keepdims=True) + config.epsilon())


@registry.register()
class MinMaxNorm(Constraint):
    """Norms along `axis` move towards the interval [min_value, max_value]: the share `rate` of the way to it."""

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w):
        norms = ops.norm(w, axis=self.axis, keepdims=True)
        wanted = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (wanted / (norms + config.epsilon()))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm  # Keras knows these names, too
