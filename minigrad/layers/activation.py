"""Activations as layers."""

from minigrad import activations, ops
from minigrad.configurable import REQUIRED
from minigrad.layers import arguments
from minigrad.layers.arguments import AXES, checked, number, of_weights
from minigrad.layers.base import SameShape


class Activation(SameShape):
    """y = activation(x); `activation` is a string such as "relu", or a function."""

    _has_no_state = True

    arguments = {"activation": REQUIRED}

    def call(self, inputs):
        return self.activation(inputs)


class ReLU(SameShape):
    """y = x (at most max_value) where x > threshold, else negative_slope (x - threshold)."""

    _has_no_state = True

    arguments = {
        "max_value": checked(number, None, "[0, inf]", None),
        "negative_slope": checked(number, 0.0), "threshold": checked(number, 0.0),
    }  # fmt: skip

    def call(self, inputs):
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(SameShape):
    """y = x where x > 0, else negative_slope x."""

    _has_no_state = True

    arguments = {"negative_slope": checked(number, 0.3)}

    def _set_up(self, given):
        given["negative_slope"] = given["kwargs"].pop("alpha", given["negative_slope"])  # its name before Keras 3
        super()._set_up(given)

    def call(self, inputs):
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(SameShape):
    """y = x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016)."""

    _has_no_state = True

    arguments = {"alpha": checked(number, 1.0, "[-inf, inf]")}

    def call(self, inputs):
        return activations.elu(inputs, self.alpha)


class PReLU(SameShape):
    """y = x where x > 0, else alpha x, with a learned alpha per feature (He et al. 2015).

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: strings or objects for alpha.
        shared_axes: an axis or several (0 is that of the rows, and cannot be shared) along which alpha is the same.

    Raises:
        ValueError: the input does not have a shared axis, or an axis that is not shared has no known length.
    """

    arguments = {**of_weights(alpha="Zeros"), "shared_axes": None}

    def _settle(self):
        if self.shared_axes is not None:
            self.shared_axes = list(arguments.integers(self, "shared_axes"))

    def build(self, input_shape):
        shared = self.shared_axes or []
        if any(not 1 <= axis < len(input_shape) for axis in shared):
            raise ValueError(
                f"{self._title}: shared_axes {shared} must lie between 1 and {len(input_shape) - 1} for inputs of "
                f"shape {tuple(input_shape)}."
            )
        own = {a: n for a, n in enumerate(input_shape) if a > 0 and a not in shared}
        if None in own.values():
            raise ValueError(
                f"{self._title}: the axes that are not shared must have known lengths; got shape {tuple(input_shape)}."
            )
        self.alpha = self._own_weight("alpha", [own.get(a, 1) for a in range(1, len(input_shape))])
        self.input_spec = arguments.InputSpec(ndim=len(input_shape), axes=own)

    def call(self, inputs):
        return ops.prelu(inputs, self.alpha)


class Softmax(SameShape):
    """y = e^x / sum of e^x along `axis` (an int, or several, taken as one). Where `mask` is false, y = 0."""

    _has_no_state = True

    arguments = {"axis": AXES}

    def call(self, inputs, mask=None):
        axes = arguments.integers(self, "axis")
        if any(not -inputs.ndim <= a < inputs.ndim for a in axes):
            raise ValueError(f"{self._title}: axis {self.axis} is out of range for inputs of shape {inputs.shape}.")
        if mask is None:
            return activations.softmax(inputs, self.axis)
        mask = ops.convert_to_tensor(mask)
        if mask.ndim > inputs.ndim:
            raise ValueError(
                f"{self._title}: the mask must have at most the {inputs.ndim} axes of the input; got shape "
                f"{mask.shape}."
            )
        y = activations.softmax(ops.where(mask, inputs, -1e9), self.axis)
        return ops.where(mask, y, 0.0)  # also where everything is masked
