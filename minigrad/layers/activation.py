"""Activations as layers."""

import numpy as np

from minigrad import activations
from minigrad.layers.base import Layer, registry


class _Elementwise(Layer):
    """A layer whose output has the shape of its input."""

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@registry.register()
class Activation(_Elementwise):
    """y = activation(x); `activation` is a string such as "relu", or a function."""

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


def _number(layer, name, value, optional=False):
    if optional and value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ValueError(f"{type(layer).__name__} {layer.name!r}: {name} must be a number >= 0, got {value!r}.")
    return float(value)


@registry.register()
class ReLU(_Elementwise):
    """y = x (at most max_value) where x > threshold, else negative_slope (x - threshold)."""

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self.max_value = _number(self, "max_value", max_value, optional=True)
        self.negative_slope = _number(self, "negative_slope", negative_slope)
        self.threshold = _number(self, "threshold", threshold)

    def call(self, inputs):
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self):
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}


@registry.register()
class LeakyReLU(_Elementwise):
    """y = x where x > 0, else negative_slope x."""

    def __init__(self, negative_slope=0.3, **kwargs):
        negative_slope = kwargs.pop("alpha", negative_slope)  # its name before Keras 3
        super().__init__(**kwargs)
        self.negative_slope = _number(self, "negative_slope", negative_slope)

    def call(self, inputs):
        return activations.leaky_relu(inputs, self.negative_slope)

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


@registry.register()
class Softmax(_Elementwise):
    """y = e^x / sum of e^x along `axis` (an int, or several taken as one); where `mask` is false, y = 0."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, (tuple, list)) else (axis,)
        if not axes or not all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in axes):
            raise ValueError(f"Softmax {self.name!r}: axis must be an integer or several, got {axis!r}.")
        self.axis = axis

    def call(self, inputs, mask=None):
        axes = self.axis if isinstance(self.axis, (tuple, list)) else (self.axis,)
        if any(not -inputs.ndim <= a < inputs.ndim for a in axes):
            raise ValueError(
                f"Layer {self.name!r} (Softmax): axis {self.axis} is out of range for inputs of shape {inputs.shape}."
            )
        if mask is not None:
            inputs = activations.ops.where(mask, inputs, -1e9)
        return activations.softmax(inputs, self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
