"""Convolutions of sequences (n, steps, channels) and images (n, h, w, channels)."""

import math

from minigrad import activations, ops
from minigrad.checks import is_int
from minigrad.layers import arguments
from minigrad.layers.base import Layer, registry
from minigrad.ops.convolution import biased_conv, padded_length, transposed_length

_LIKE = {1: "sequences (n, steps, channels)", 2: "images (n, h, w, channels)"}
_CHANNELS = {1: "one channel: x[..., None]", 2: "gray images have one channel: x[..., None]"}


def several(layer, name, rank, least=1):
    """Check the int, or one per axis, that `layer` keeps under `name`, and keep a tuple of them."""
    value = getattr(layer, name)
    found = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(found) != rank or not all(is_int(n, least) for n in found):
        many = "an int" if rank == 1 else f"an int or {rank} of them"
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r}: {name} must be {many}, at least {least}; got {value!r}."
        )
    setattr(layer, name, tuple(map(int, found)))


def channels_last(layer):
    """Check the data_format that `layer` keeps: the channels must be the last axis."""
    if layer.data_format not in (None, "channels_last"):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r}: the channels must be the last axis, data_format='channels_last'; "
            f"got {layer.data_format!r}. np.moveaxis(x, 1, -1) brings the data into this order."
        )
    layer.data_format = "channels_last"


def check_padding(layer, *known):
    """Check the word that `layer` keeps as its padding, in any case."""
    word = str(layer.padding).lower()
    if word not in known:
        words = " or ".join(map(repr, known))
        raise ValueError(f"{type(layer).__name__} {layer.name!r}: padding must be {words}; got {layer.padding!r}.")
    layer.padding = word


def check_images(layer, shape):
    """Raise a ValueError unless this is the shape of sequences or images, whichever the layer takes."""
    if len(shape) != layer.rank + 2 or shape[-1] is None:
        hint = f" ({_CHANNELS[layer.rank]})" if len(shape) == layer.rank + 1 else ""
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) takes {_LIKE[layer.rank]}, and needs to know the number of "
            f"channels; got shape {tuple(shape)}{hint}."
        )


def windows_along(layer, shape, size, strides, dilation):
    """How many windows there are along each axis of inputs of this shape; None for an axis of any length.

    Raises:
        ValueError: the window is larger than the input.
    """
    found = []
    for n, k, s, d in zip(shape[1:-1], size, strides, dilation, strict=True):
        count = None if n is None else padded_length(n, k, s, d, layer.padding)[2]
        if n is not None and not count:
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}): its window of {tuple(size)} is larger than the input "
                f"of shape {tuple(shape)}. Use padding='same', smaller windows, or fewer layers that shrink the input."
            )
        found.append(count)
    return tuple(found)


class _Convolution(Layer):
    """What all convolutions have in common."""

    def _check(self, *paddings):
        for name in ("kernel_size", "strides", "dilation_rate"):
            several(self, name, self.rank)
        check_padding(self, *paddings)
        channels_last(self)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: strides and dilation_rate can't both be above 1; got "
                f"{self.strides} and {self.dilation_rate}."
            )

    def _add_bias(self, filters):
        self.bias = self._own_weight("bias", (filters,)) if self.use_bias else None

    def call(self, inputs):
        y = self.convolve(inputs)
        y = y if self.bias is None else ops.bias_add(y, self.bias)
        return y if self.activation is None else self.activation(y)

    def _require_channels(self, inputs, channels):
        check_images(self, inputs.shape)
        if inputs.shape[-1] != channels:
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) expected axis -1 of the input to have value {channels}; "
                f"got shape {tuple(inputs.shape)}."
            )
        windows_along(self, inputs.shape, self.kernel_size, self.strides, self.dilation_rate)

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = windows_along(self, input_shape, self.kernel_size, self.strides, self.dilation_rate)
        return (input_shape[0], *along, self._filters(input_shape))

    def _filters(self, input_shape):
        return self.filters


class _Conv(_Convolution):
    """y = activation(sum of x[place + p] kernel[p] over the pixels p of a window, + bias), for each of its places.

    The kernel (*kernel_size, channels / groups, filters) is the same at each place. As everywhere in deep learning it
    is not turned round: the operation is a cross-correlation.

    Args:
        filters: the number of channels of the output.
        kernel_size: the size of the window, an int or one per axis.
        strides: how far it is from place to place.
        padding: "valid": windows lie in the input; "same": zeros around it let the output be as large as the input
            (divided by the strides). "causal" (sequences only): zeros in front, so that no output depends on later
            steps.
        data_format: "channels_last".
        dilation_rate: how far it is from pixel to pixel of a window.
        groups: the channels are divided into so many groups, and so are the filters: each sees its own channels only.
        activation, use_bias, and the initializers, regularizers and constraints: as those of Dense.

    Raises:
        ValueError: arguments that make no sense, or an input with other channels, or smaller than the window.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals(), but=["activity_regularizer"])
        for name in ("filters", "groups"):
            arguments.whole(self, name)
        self._check("valid", "same", *(["causal"] if self.rank == 1 else []))
        if self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: {self.filters} filters can't be divided into {self.groups} "
                "groups."
            )

    def build(self, input_shape):
        check_images(self, input_shape)
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}): {input_shape[-1]} channels can't be divided into "
                f"{self.groups} groups."
            )
        shape = (*self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self._own_weight("kernel", shape)
        self._add_bias(self.filters)

    def call(self, inputs):
        if self.activation is activations.relu:
            return self.convolve(inputs, self.bias, 0.0)
        y = self.convolve(inputs, self.bias)
        return y if self.activation is None else self.activation(y)

    def convolve(self, inputs, bias=None, floor=-math.inf):
        """The output without bias and activation; or with them, as `biased_conv` has them."""
        self._require_channels(inputs, self.kernel.shape[-2] * self.groups)
        return biased_conv(inputs, self.kernel, bias, self.strides, self.padding, None, self.dilation_rate, floor)


@registry.register("Convolution1D")
class Conv1D(_Conv):
    __doc__ = _Conv.__doc__
    rank = 1


@registry.register("Convolution2D")
class Conv2D(_Conv):
    __doc__ = _Conv.__doc__
    rank = 2


class _DepthwiseConv(_Convolution):
    """A convolution of each channel by itself, with `depth_multiplier` kernels per channel.

    The kernel has the shape (*kernel_size, channels, depth_multiplier); y has channels * depth_multiplier channels.
    The other arguments are those of Conv2D, with "depthwise" instead of "kernel" in their names.
    """

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals(), but=["activity_regularizer"])
        arguments.whole(self, "depth_multiplier")
        self._check("valid", "same", *(["causal"] if self.rank == 1 else []))

    def build(self, input_shape):
        check_images(self, input_shape)
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, input_shape[-1], self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name="kernel",
        )
        self._add_bias(input_shape[-1] * self.depth_multiplier)

    def convolve(self, inputs):
        self._require_channels(inputs, self.kernel.shape[-2])
        return ops.depthwise_conv(inputs, self.kernel, self.strides, self.padding, None, self.dilation_rate)

    def _filters(self, input_shape):
        return input_shape[-1] * self.depth_multiplier


@registry.register()
class DepthwiseConv1D(_DepthwiseConv):
    __doc__ = _DepthwiseConv.__doc__
    rank = 1


@registry.register()
class DepthwiseConv2D(_DepthwiseConv):
    __doc__ = _DepthwiseConv.__doc__
    rank = 2


class _SeparableConv(_Convolution):
    """A depthwise convolution, then one with windows of a single pixel, which mixes the channels.

    The arguments are those of Conv2D and DepthwiseConv2D; those that begin with "pointwise" belong to the second
    kernel, (1, ..., channels * depth_multiplier, filters).
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals(), but=["activity_regularizer"])
        for name in ("filters", "depth_multiplier"):
            arguments.whole(self, name)
        self._check("valid", "same", *(["causal"] if self.rank == 1 else []))

    def build(self, input_shape):
        check_images(self, input_shape)
        channels = input_shape[-1]
        shapes = {
            "depthwise": (*self.kernel_size, channels, self.depth_multiplier),
            "pointwise": (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
        }
        for kind, shape in shapes.items():
            options = {what: getattr(self, f"{kind}_{what}") for what in ("initializer", "regularizer", "constraint")}
            setattr(self, f"{kind}_kernel", self.add_weight(shape=shape, name=f"{kind}_kernel", **options))
        self._add_bias(self.filters)

    def convolve(self, inputs):
        self._require_channels(inputs, self.depthwise_kernel.shape[-2])
        kernels = self.depthwise_kernel, self.pointwise_kernel
        return ops.separable_conv(inputs, *kernels, self.strides, self.padding, None, self.dilation_rate)


@registry.register("SeparableConvolution1D")
class SeparableConv1D(_SeparableConv):
    __doc__ = _SeparableConv.__doc__
    rank = 1


@registry.register("SeparableConvolution2D")
class SeparableConv2D(_SeparableConv):
    __doc__ = _SeparableConv.__doc__
    rank = 2


class _ConvTranspose(_Convolution):
    """The transpose of a convolution, taken as a linear function: images grow instead of shrink.

    With padding="same" the output is `strides` times as large as the input. The kernel has the shape (*kernel_size,
    filters, channels). The arguments are those of Conv2D; `output_padding` adds pixels at the end of each axis.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals(), but=["activity_regularizer"])
        arguments.whole(self, "filters")
        self._check("valid", "same")
        if self.output_padding is not None:
            several(self, "output_padding", self.rank, 0)
            if any(more >= stride for more, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: output_padding must be smaller than the strides, "
                    f"{self.strides}; got {self.output_padding}."
                )

    def build(self, input_shape):
        check_images(self, input_shape)
        self.kernel = self._own_weight("kernel", (*self.kernel_size, self.filters, input_shape[-1]))
        self._add_bias(self.filters)

    def convolve(self, inputs):
        check_images(self, inputs.shape)
        more, dilation = self.output_padding, self.dilation_rate
        return ops.conv_transpose(inputs, self.kernel, self.strides, self.padding, more, None, dilation)

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        more = self.output_padding or (None,) * self.rank
        each = zip(input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, more, strict=True)
        along = (None if n is None else transposed_length(n, k, s, d, self.padding, m) for n, k, s, d, m in each)
        return (input_shape[0], *along, self.filters)


@registry.register("Convolution1DTranspose")
class Conv1DTranspose(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    rank = 1


@registry.register("Convolution2DTranspose")
class Conv2DTranspose(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    rank = 2


CONVOLUTIONS = (
    Conv1D, DepthwiseConv1D, SeparableConv1D, Conv1DTranspose,
    Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose,
)  # fmt: skip
