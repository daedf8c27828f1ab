"""What weights must satisfy after each update: `constraint(weights)` returns the nearest weights that do."""

from minigrad import config, ops
from minigrad.registry import Configurable, Registry

registry = Registry("constraint", "keras.constraints")
get, serialize, deserialize = registry.get, registry.serialize, registry.deserialize


class Constraint(Configurable):
    """Base class: `__call__(w)` returns the constrained weights; the base's lets them be."""

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

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


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

    def get_config(self):
        return {"axis": self.axis}


@registry.register()
class MinMaxNorm(Constraint):
    """Norms along `axis` move the share `rate` of the way into [min_value, max_value]."""

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w):
        norms = ops.norm(w, axis=self.axis, keepdims=True)
        wanted = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (wanted / (norms + config.epsilon()))

    def get_config(self):
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm  # Keras knows these names, too
