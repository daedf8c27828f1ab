"""Dense, Identity and Masking."""

from minigrad import activations, ops
from minigrad.layers.arguments import LORA, UNQUANTIZED, WHOLE, of_weights
from minigrad.layers.base import Layer, SameShape


class Dense(Layer):
    """y = activation(x kernel + bias): every output is a weighted sum of all inputs.

    `x` has any number of axes (at least two), of which the last is contracted: (..., in) -> (..., units).

    Args:
        units: the number of outputs, a positive int.
        activation: a string such as "relu", a function, or None for linear.
        use_bias: False leaves the bias out. A bias in front of a BatchNormalization has no effect.
        the initializers, regularizers and constraints: strings or objects for the kernel (in, units), the bias (units,)
            and, of activity_regularizer, the outputs.

    Raises:
        ValueError: the last axis of an input has another length than before, or LoRA or quantization is asked for.
    """

    supports_masking = True

    arguments = {
        "units": WHOLE, "activation": None, "use_bias": True,
        **of_weights(kernel="glorot_uniform", bias="zeros", activity=True), **LORA, "quantization_config": UNQUANTIZED,
    }  # fmt: skip

    def build(self, input_shape):
        if len(input_shape) < 2 or not isinstance(input_shape[-1], int):  # several shapes, of a list of inputs
            raise ValueError(
                f"{self._title} needs one input of at least two axes, the last of known length; got shape "
                f"{tuple(input_shape)}. A single row must have shape (1, features)."
            )
        self.kernel = self._own_weight("kernel", (input_shape[-1], self.units))
        self.bias = self._own_weight("bias", (self.units,)) if self.use_bias else None

    def call(self, inputs):
        kernel, bias, activation = self.kernel, self.bias, self.activation
        shape, size = inputs._data.shape, len(kernel._data)
        if len(shape) < 2 or shape[-1] != size:
            raise ValueError(
                f"{self._title} expected axis -1 of the input to have value {size} and at least two axes; got shape "
                f"{shape}."
            )
        if bias is None:
            y = ops.matmul(inputs, kernel)
        elif activation is activations.relu:
            return ops.dense_relu(inputs, kernel, bias)
        else:
            y = ops.dense(inputs, kernel, bias)
        return y if activation is None else activation(y)  # users may set it to None

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


class Identity(SameShape):
    """y = x."""

    _has_no_state = _prepares = _hands_on = True

    def call(self, inputs):
        return inputs


class Masking(SameShape):
    """y = x, with a mask that leaves out the steps whose features are all `mask_value`. There y is 0.

    Later layers and the loss skip masked steps. For inputs (n, t, features) the mask has the shape (n, t).
    """

    _has_no_state = True

    arguments = {"mask_value": 0.0}

    def compute_mask(self, inputs, mask=None):
        """True where any feature is not `mask_value`."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        mask = self.compute_mask(inputs)
        y = ops.where(ops.expand_dims(mask, -1), inputs, 0.0)
        y._keras_mask = mask
        return y
