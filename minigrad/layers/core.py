"""Dense, Dropout, Flatten."""

import math

import numpy as np

from minigrad import activations, config, constraints, initializers, ops, regularizers
from minigrad.layers.base import Layer, registry


@registry.register()
class Dense(Layer):
    """y = activation(x kernel + bias): every output is a weighted sum of all inputs.

    `x` has any number of axes (at least two), of which the last is contracted: (..., in) -> (..., units).

    Args:
        units: the number of outputs, a positive int.
        activation: a string such as "relu", a function, or None for linear.
        use_bias: False leaves the bias out; before a BatchNormalization it has no effect anyway.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: strings or objects for the kernel (in, units) and the bias (units,).

    Raises:
        ValueError: an input whose last axis is not the one it was built for, naming the layer.
    """

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
        if lora_rank is not None or quantization_config is not None:
            raise ValueError(f"Dense {self.name!r}: minigrad has neither LoRA nor quantization.")
        if not isinstance(units, (int, np.integer)) or units < 1:
            raise ValueError(f"Dense {self.name!r}: units must be a positive integer, got {units!r}.")
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"Layer {self.name!r} (Dense) needs inputs of at least two axes, the last of known length; "
                f"got shape {tuple(input_shape)}. A single row must have shape (1, features)."
            )
        self.kernel = self.add_weight(
            (input_shape[-1], self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.built = True

    def product(self, inputs):
        """x kernel, after a check of x."""
        if inputs.ndim < 2 or inputs.shape[-1] != self.kernel.shape[0]:
            raise self._misfit(inputs.shape)
        return ops.matmul(inputs, self.kernel)

    def call(self, inputs):
        if self.bias is None:
            return self.activation(self.product(inputs))
        if inputs.ndim < 2 or inputs.shape[-1] != self.kernel.shape[0]:
            raise self._misfit(inputs.shape)
        return self.activation(ops.dense(inputs, self.kernel, self.bias))

    def _misfit(self, shape):
        return ValueError(
            f"Layer {self.name!r} (Dense) expected axis -1 of the input to have value {self.kernel.shape[0]} "
            f"and at least two axes; got shape {tuple(shape)}."
        )

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }


@registry.register()
class Dropout(Layer):
    """In training, y = x / (1 - rate) with probability 1 - rate, else 0; otherwise y = x (Srivastava et al. 2014).

    Args:
        rate: the share that is dropped, in [0, 1].
        noise_shape: where it has 1, one decision holds for the whole axis; None stands for the input's length.
        seed: an int starts this layer's own stream of random numbers; None takes a new one.

    `trainable` changes nothing: there are no weights to freeze.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 <= rate <= 1:
            raise ValueError(f"Dropout {self.name!r}: rate must be a number in [0, 1], got {rate!r}.")
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(f"Dropout {self.name!r}: seed must be an int or None, got {seed!r}.")
        if noise_shape is not None and not isinstance(noise_shape, (tuple, list)):
            raise ValueError(f"Dropout {self.name!r}: noise_shape must be a tuple or None, got {noise_shape!r}.")
        self.rate, self.noise_shape, self.seed = float(rate), noise_shape, seed
        stream = config.draw_seed() if seed is None else int(seed) % 2**63
        self._state = np.array([[stream, 0]], np.uint64)  # seed and counter, moved on by every draw

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        if self.noise_shape is None:
            return ops.dropout(inputs, rate=self.rate, state=self._state)
        pairs = list(zip(self.noise_shape, inputs.shape, strict=False))
        if len(self.noise_shape) != inputs.ndim or any(m not in (None, 1, n) for m, n in pairs):
            raise ValueError(
                f"Layer {self.name!r} (Dropout): noise_shape {self.noise_shape} must have 1, None or the input's "
                f"length for each axis of the input, which has shape {inputs.shape}."
            )
        shape = [n if m is None else m for m, n in pairs]
        return inputs * ops.dropout(np.ones(shape, inputs.dtype), rate=self.rate, state=self._state)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


@registry.register()
class Flatten(Layer):
    """Everything but the rows becomes one axis: (n, a, b) -> (n, a b); a flat input becomes (n, 1)."""

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last"):
            raise ValueError(f"Flatten {self.name!r}: data_format must be 'channels_last', got {data_format!r}.")

    def call(self, inputs):
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def get_config(self):
        return {**super().get_config(), "data_format": "channels_last"}
