"""Convolutions of sequences (n, steps, channels) and images (n, h, w, channels)."""

import math

from minigrad import activations, ops
from minigrad.layers.arguments import CHANNELS_LAST, PADDING, PER_AXIS, WHOLE, checked, of_weights, several, whole
from minigrad.layers.base import Layer
from minigrad.ops.convolution import biased_conv, padded_length, transposed_length

_LIKE = {1: "sequences (n, steps, channels)", 2: "images (n, h, w, channels)"}
_CHANNELS = {1: "one channel: x[..., None]", 2: "gray images have one channel: x[..., None]"}


def by_rank(cls, name, *aliases, arguments=(None, None)):
    """The layers that a class is for sequences and for images, such as Conv1D and Conv2D for the name "Conv{}D".

    `arguments` are tables for the one and the other, where these differ.
    """
    made = []
    for rank, table in zip((1, 2), arguments, strict=True):
        own = {"__doc__": cls.__doc__, "__module__": cls.__module__, "rank": rank}
        own |= {} if table is None else {"arguments": table}
        made.append(type(cls)(name.format(rank), (cls,), own, aliases=[alias.format(rank) for alias in aliases]))
    return made


def check_images(layer, shape):
    """Raise a ValueError unless this is the shape of sequences or images, whichever the layer takes."""
    if len(shape) != layer.rank + 2 or shape[-1] is None:
        hint = f" ({_CHANNELS[layer.rank]})" if len(shape) == layer.rank + 1 else ""
        raise ValueError(
            f"{layer._title} takes {_LIKE[layer.rank]}, and needs to know the number of channels; got shape "
            f"{tuple(shape)}{hint}."
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
                f"{layer._title}: its window of {tuple(size)} is larger than the input of shape {tuple(shape)}. Use "
                "padding='same', smaller windows, or fewer layers that shrink the input."
            )
        found.append(count)
    return tuple(found)


# Arguments that all convolutions have.
_WINDOWS = {"kernel_size": PER_AXIS, "strides": checked(several, 1), "padding": PADDING}
_DILATED = {"data_format": CHANNELS_LAST, "dilation_rate": checked(several, 1)}


class _Convolution(Layer):
    """What all convolutions have in common: a subclass defines `_make_kernels(channels)` and `convolve(inputs)`."""

    @property
    def _paddings(self):
        """The words that `padding` may be."""
        return ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")

    def _settle(self):
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self._owner}: strides and dilation_rate can't both be above 1; got {self.strides} and "
                f"{self.dilation_rate}."
            )

    def build(self, input_shape):
        check_images(self, input_shape)
        self._make_kernels(input_shape[-1])
        self.bias = self._own_weight("bias", (self._filters(input_shape[-1]),)) if self.use_bias else None

    def call(self, inputs):
        y = self.convolve(inputs)
        y = y if self.bias is None else ops.bias_add(y, self.bias)
        return y if self.activation is None else self.activation(y)

    def _require_channels(self, inputs, channels):
        check_images(self, inputs.shape)
        if inputs.shape[-1] != channels:
            raise ValueError(
                f"{self._title} expected axis -1 of the input to have value {channels}; got shape "
                f"{tuple(inputs.shape)}."
            )
        windows_along(self, inputs.shape, self.kernel_size, self.strides, self.dilation_rate)

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = windows_along(self, input_shape, self.kernel_size, self.strides, self.dilation_rate)
        return (input_shape[0], *along, self._filters(input_shape[-1]))

    def _filters(self, channels):
        """How many channels the output has."""
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

    arguments = {
        "filters": WHOLE, **_WINDOWS, **_DILATED, "groups": checked(whole, 1), "activation": None, "use_bias": True,
        **of_weights(kernel="glorot_uniform", bias="zeros", activity=True),
    }  # fmt: skip

    def _settle(self):
        super()._settle()
        if self.filters % self.groups:
            raise ValueError(f"{self._owner}: {self.filters} filters can't be divided into {self.groups} groups.")

    def _make_kernels(self, channels):
        if channels % self.groups:
            raise ValueError(f"{self._title}: {channels} channels can't be divided into {self.groups} groups.")
        self.kernel = self._own_weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))

    def call(self, inputs):
        if self.activation is activations.relu:
            return self.convolve(inputs, self.bias, 0.0)
        y = self.convolve(inputs, self.bias)
        return y if self.activation is None else self.activation(y)

    def convolve(self, inputs, bias=None, floor=-math.inf):
        """The output without bias and activation; or with them, as `biased_conv` has them."""
        self._require_channels(inputs, self.kernel.shape[-2] * self.groups)
        return biased_conv(inputs, self.kernel, bias, self.strides, self.padding, None, self.dilation_rate, floor)


Conv1D, Conv2D = by_rank(_Conv, "Conv{}D", "Convolution{}D")


class DepthwiseConv(_Convolution, is_member=False):
    """A convolution of each channel by itself, with `depth_multiplier` kernels per channel.

    The kernel has the shape (*kernel_size, channels, depth_multiplier); y has channels * depth_multiplier channels.
    The other arguments are those of Conv2D, with "depthwise" instead of "kernel" in their names.
    """

    arguments = {
        **_WINDOWS, "depth_multiplier": checked(whole, 1), **_DILATED, "activation": None, "use_bias": True,
        **of_weights(depthwise="glorot_uniform", bias="zeros", activity=True),
    }  # fmt: skip

    def _make_kernels(self, channels):
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._own_weight("kernel", shape, "depthwise")

    def convolve(self, inputs):
        self._require_channels(inputs, self.kernel.shape[-2])
        return ops.depthwise_conv(inputs, self.kernel, self.strides, self.padding, None, self.dilation_rate)

    def _filters(self, channels):
        return channels * self.depth_multiplier


DepthwiseConv1D, DepthwiseConv2D = by_rank(DepthwiseConv, "DepthwiseConv{}D")


class _SeparableConv(_Convolution):
    """A depthwise convolution, then one with windows of a single pixel, which mixes the channels.

    The arguments are those of Conv2D and DepthwiseConv2D; those that begin with "pointwise" belong to the second
    kernel, (1, ..., channels * depth_multiplier, filters).
    """

    arguments = {
        "filters": WHOLE, **_WINDOWS, **_DILATED,
        "depth_multiplier": checked(whole, 1), "activation": None, "use_bias": True,
        **of_weights(depthwise="glorot_uniform", pointwise="glorot_uniform", bias="zeros", activity=True),
    }  # fmt: skip

    def _make_kernels(self, channels):
        first = (*self.kernel_size, channels, self.depth_multiplier)
        second = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = self._own_weight("depthwise_kernel", first, "depthwise")
        self.pointwise_kernel = self._own_weight("pointwise_kernel", second, "pointwise")

    def convolve(self, inputs):
        self._require_channels(inputs, self.depthwise_kernel.shape[-2])
        kernels = self.depthwise_kernel, self.pointwise_kernel
        return ops.separable_conv(inputs, *kernels, self.strides, self.padding, None, self.dilation_rate)


SeparableConv1D, SeparableConv2D = by_rank(_SeparableConv, "SeparableConv{}D", "SeparableConvolution{}D")


class ConvTranspose(_Convolution, is_member=False):
    """The transpose of a convolution, taken as a linear function: images grow instead of shrink.

    With padding="same" the output is `strides` times as large as the input. The kernel has the shape (*kernel_size,
    filters, channels). The arguments are those of Conv2D; `output_padding` adds pixels at the end of each axis.
    """

    _paddings = ("valid", "same")
    arguments = {
        "filters": WHOLE, **_WINDOWS, "output_padding": None, **_DILATED, "activation": None, "use_bias": True,
        **of_weights(kernel="glorot_uniform", bias="zeros", activity=True),
    }  # fmt: skip

    def _settle(self):
        super()._settle()
        if self.output_padding is not None:
            several(self, "output_padding", 0)
            if any(more >= stride for more, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"{self._owner}: output_padding must be smaller than the strides, {self.strides}; got "
                    f"{self.output_padding}."
                )

    def _make_kernels(self, channels):
        self.kernel = self._own_weight("kernel", (*self.kernel_size, self.filters, channels))

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


Conv1DTranspose, Conv2DTranspose = by_rank(ConvTranspose, "Conv{}DTranspose", "Convolution{}DTranspose")


CONVOLUTIONS = (
    Conv1D, DepthwiseConv1D, SeparableConv1D, Conv1DTranspose,
    Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose,
)  # fmt: skip
