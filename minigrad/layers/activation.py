"""Activations as layers."""

from minigrad import activations, ops
from minigrad.layers import arguments
from minigrad.layers.base import SameShape, registry


@registry.register()
class Activation(SameShape):
    """y = activation(x); `activation` is a string such as "relu", or a function."""

    _has_no_state = True

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())

    def call(self, inputs):
        return self.activation(inputs)


@registry.register()
class ReLU(SameShape):
    """y = x (at most max_value) where x > threshold, else negative_slope (x - threshold)."""

    _has_no_state = True

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        arguments.number(self, "max_value", default=None)
        arguments.number(self, "negative_slope")
        arguments.number(self, "threshold")

    def call(self, inputs):
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


@registry.register()
class LeakyReLU(SameShape):
    """y = x where x > 0, else negative_slope x."""

    _has_no_state = True

    def __init__(self, negative_slope=0.3, **kwargs):
        negative_slope = kwargs.pop("alpha", negative_slope)  # its name before Keras 3
        super().__init__(**kwargs)
        self._keep(locals())
        arguments.number(self, "negative_slope")

    def call(self, inputs):
        return activations.leaky_relu(inputs, self.negative_slope)


@registry.register()
class ELU(SameShape):
    """y = x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016)."""

    _has_no_state = True

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        arguments.number(self, "alpha", "[-inf, inf]")

    def call(self, inputs):
        return activations.elu(inputs, self.alpha)


@registry.register()
class PReLU(SameShape):
    """y = x where x > 0, else alpha x, with a learned alpha per feature (He et al. 2015).

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: strings or objects for alpha.
        shared_axes: an axis or several (0 is that of the rows, and cannot be shared) along which alpha is the same.

    Raises:
        ValueError: the input does not have a shared axis, or an axis that is not shared has no known length.
    """

    def __init__(
        self,
        alpha_initializer="Zeros",
        alpha_regularizer=None,
        alpha_constraint=None,
        shared_axes=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._keep(locals())
        if shared_axes is not None:
            self.shared_axes = list(arguments.integers(self, "shared_axes"))

    def build(self, input_shape):
        shared = self.shared_axes or []
        if any(not 1 <= axis < len(input_shape) for axis in shared):
            raise ValueError(
                f"Layer {self.name!r} (PReLU): shared_axes {shared} must lie between 1 and {len(input_shape) - 1} for "
                f"inputs of shape {tuple(input_shape)}."
            )
        own = {a: n for a, n in enumerate(input_shape) if a > 0 and a not in shared}
        if None in own.values():
            raise ValueError(
                f"Layer {self.name!r} (PReLU): the axes that are not shared must have known lengths; "
                f"got shape {tuple(input_shape)}."
            )
        self.alpha = self._own_weight("alpha", [own.get(a, 1) for a in range(1, len(input_shape))])
        self.input_spec = arguments.InputSpec(ndim=len(input_shape), axes=own)

    def call(self, inputs):
        return ops.prelu(inputs, self.alpha)


@registry.register()
class Softmax(SameShape):
    """y = e^x / sum of e^x along `axis` (an int, or several, taken as one). Where `mask` is false, y = 0."""

    _has_no_state = True

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        arguments.integers(self, "axis")

    def call(self, inputs, mask=None):
        axes = arguments.integers(self, "axis")
        if any(not -inputs.ndim <= a < inputs.ndim for a in axes):
            raise ValueError(
                f"Layer {self.name!r} (Softmax): axis {self.axis} is out of range for inputs of shape {inputs.shape}."
            )
        if mask is None:
            return activations.softmax(inputs, self.axis)
        mask = ops.convert_to_tensor(mask)
        if mask.ndim > inputs.ndim:
            raise ValueError(
                f"Layer {self.name!r} (Softmax): the mask must have at most the {inputs.ndim} axes of the input; got "
                f"shape {mask.shape}."
            )
        y = activations.softmax(ops.where(mask, inputs, -1e9), self.axis)
        return ops.where(mask, y, 0.0)  # also where everything is masked
