"""Dense, Identity and Masking."""

from minigrad import activations, ops
from minigrad.layers import arguments
from minigrad.layers.base import Layer, SameShape, registry


@registry.register()
class Dense(Layer):
    """y = activation(x kernel + bias): every output is a weighted sum of all inputs.

    `x` has any number of axes (at least two), of which the last is contracted: (..., in) -> (..., units).

    Args:
        units: the number of outputs, a positive int.
        activation: a string such as "relu", a function, or None for linear.
        use_bias: False leaves the bias out. A bias in front of a BatchNormalization has no effect.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: strings or objects for the kernel (in, units) and the bias (units,).

    Raises:
        ValueError: the last axis of an input has another length than the layer was built for.
    """

    supports_masking = True

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not (lora_rank is lora_alpha is quantization_config is None):
            raise ValueError(f"Dense {self.name!r}: minigrad knows neither LoRA nor quantization.")
        self._keep(locals(), but=["activity_regularizer", "lora_rank", "lora_alpha"])
        arguments.whole(self, "units")

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"Layer {self.name!r} (Dense) needs inputs of at least two axes, the last of known length; "
                f"got shape {tuple(input_shape)}. A single row must have shape (1, features)."
            )
        self.kernel = self._own_weight("kernel", (input_shape[-1], self.units))
        self.bias = self._own_weight("bias", (self.units,)) if self.use_bias else None
        self.built = True

    def call(self, inputs):
        self._check(inputs.shape)
        is_linear = self.activation is None  # users may set it to None
        if self.activation is activations.relu and self.bias is not None:
            return ops.dense_relu(inputs, self.kernel, self.bias)
        y = ops.matmul(inputs, self.kernel) if self.bias is None else ops.dense(inputs, self.kernel, self.bias)
        return y if is_linear else self.activation(y)

    def _check(self, shape):
        if len(shape) < 2 or shape[-1] != self.kernel.shape[0]:
            raise ValueError(
                f"Layer {self.name!r} (Dense) expected axis -1 of the input to have value {self.kernel.shape[0]} "
                f"and at least two axes; got shape {tuple(shape)}."
            )

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


@registry.register()
class Identity(SameShape):
    """y = x."""

    _has_no_state = True

    def call(self, inputs):
        return inputs


@registry.register()
class Masking(SameShape):
    """y = x, with a mask that leaves out the steps whose features are all `mask_value`. There y is 0.

    Later layers and the loss skip masked steps. For inputs (n, t, features) the mask has the shape (n, t).
    """

    _has_no_state = True

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())

    def compute_mask(self, inputs, mask=None):
        """True where any feature is not `mask_value`."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        mask = self.compute_mask(inputs)
        y = ops.where(ops.expand_dims(mask, -1), inputs, 0.0)
        y._keras_mask = mask
        return y
