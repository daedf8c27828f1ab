"""Pooling, and layers that pad, crop and enlarge sequences and images."""

from minigrad import ops
from minigrad.checks import is_int
from minigrad.layers.arguments import CHANNELS_LAST, PADDING, checked, several
from minigrad.layers.base import Layer
from minigrad.layers.convolution import by_rank, check_images, windows_along
from minigrad.ops.image import check_interpolation


class _Pooling(Layer):
    """One number per window and channel.

    Args:
        pool_size: the size of the window, an int or one per axis.
        strides: how far it is from window to window, by default the size.
        padding: "valid": windows lie in the input; "same": they may leave it, and see only what lies in it.
        data_format: "channels_last".
    """

    _has_no_state = True

    _paddings = ("valid", "same")
    arguments = {"pool_size": checked(several, 2), "strides": None, "padding": PADDING, "data_format": CHANNELS_LAST}

    def _settle(self):
        self.strides = self.pool_size if self.strides is None else self.strides
        several(self, "strides")

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)
        return self._pool(inputs, self.pool_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = windows_along(self, input_shape, self.pool_size, self.strides, (1,) * self.rank)
        return (input_shape[0], *along, input_shape[-1])


class _MaxPooling(_Pooling):
    """The largest number of each window, each channel by itself: (n, ..., c) -> (n, ..., c) with fewer pixels.

    Args:
        pool_size, strides, padding, data_format: as of every pooling layer: the size of a window (an int or one per
            axis), the distance between windows (by default their size), "valid" or "same", and "channels_last".
    """

    _pool = staticmethod(ops.max_pool)


MaxPooling1D, MaxPooling2D = by_rank(_MaxPooling, "MaxPooling{}D", "MaxPool{}D")


class _AveragePooling(_Pooling):
    """The mean of each window, each channel by itself. With padding="same", a window has the pixels in the image only.

    Args:
        pool_size, strides, padding, data_format: as those of MaxPooling2D.
    """

    _pool = staticmethod(ops.average_pool)


AveragePooling1D, AveragePooling2D = by_rank(_AveragePooling, "AveragePooling{}D", "AvgPool{}D")


class _GlobalPooling(Layer):
    """One number per channel, over all pixels: (n, ..., c) -> (n, c), or (n, 1, ..., c) with keepdims=True."""

    _has_no_state = True

    arguments = {"data_format": CHANNELS_LAST, "keepdims": False}

    def call(self, inputs):
        check_images(self, inputs.shape)
        return self._over_all(inputs, axis=tuple(range(1, self.rank + 1)), keepdims=self.keepdims)

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        return (input_shape[0], *((1,) * self.rank if self.keepdims else ()), input_shape[-1])


class _GlobalMaxPooling(_GlobalPooling):
    __doc__ = f"The largest number per channel. {_GlobalPooling.__doc__}"
    _over_all = staticmethod(ops.max)


GlobalMaxPooling1D, GlobalMaxPooling2D = by_rank(_GlobalMaxPooling, "GlobalMaxPooling{}D", "GlobalMaxPool{}D")


class _GlobalAveragePooling(_GlobalPooling):
    __doc__ = f"The mean per channel. {_GlobalPooling.__doc__}"
    _over_all = staticmethod(ops.mean)


class GlobalAveragePooling1D(_GlobalAveragePooling, aliases=["GlobalAvgPool1D"]):
    __doc__ = f"{_GlobalAveragePooling.__doc__}\n\nSteps that the mask leaves out do not count."
    rank = 1

    def compute_mask(self, inputs, mask=None):
        """None: no steps are left."""
        return None

    def call(self, inputs, mask=None):
        if mask is None:
            return super().call(inputs)
        weight = ops.expand_dims(ops.cast(mask, inputs.dtype), -1)
        return ops.sum(inputs * weight, axis=1, keepdims=self.keepdims) / ops.sum(
            weight, axis=1, keepdims=self.keepdims
        )


class GlobalAveragePooling2D(_GlobalAveragePooling, aliases=["GlobalAvgPool2D"]):
    __doc__ = _GlobalAveragePooling.__doc__
    rank = 2


# --------------------------------------------------------------------------------------------- the size of images


def _edges(layer, name):
    """Check the argument `name`, how many pixels to add or remove, and keep a pair (before, after) for each axis."""
    value = getattr(layer, name)
    pairs = value if isinstance(value, (tuple, list)) else (value,) * layer.rank
    if layer.rank == 1 and len(pairs) == 2:
        pairs = (pairs,)
    pairs = [tuple(one) if isinstance(one, (tuple, list)) else (one, one) for one in pairs]
    if len(pairs) != layer.rank or not all(len(pair) == 2 and all(is_int(n, 0) for n in pair) for pair in pairs):
        raise ValueError(
            f"{layer._owner}: {name} must be an int, or for each axis an int or a pair of ints (before, after), none "
            f"below 0; got {value!r}."
        )
    setattr(layer, name, pairs[0] if layer.rank == 1 else tuple(pairs))
    layer._edges = pairs


class _ZeroPadding(Layer):
    """Zeros around sequences or images.

    Args:
        padding: how many steps or pixels: an int, or a pair (before, after); for images an int or such a pair for
            lines and one for columns.
        data_format: "channels_last".
    """

    arguments = {"padding": checked(_edges, 1), "data_format": CHANNELS_LAST}

    def call(self, inputs):
        check_images(self, inputs.shape)
        return ops.pad(inputs, [(0, 0), *self._edges, (0, 0)])

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = (None if n is None else n + sum(edge) for n, edge in zip(input_shape[1:-1], self._edges, strict=True))
        return (input_shape[0], *along, input_shape[-1])


ZeroPadding1D, ZeroPadding2D = by_rank(_ZeroPadding, "ZeroPadding{}D")


class _Cropping(Layer):
    """Sequences or images without their edges.

    Args:
        cropping: how many steps or pixels go: as `padding` of ZeroPadding2D.
        data_format: "channels_last" (of images).
    """

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)
        kept = (slice(a, n - b) for n, (a, b) in zip(inputs.shape[1:-1], self._edges, strict=True))
        return inputs[(slice(None), *kept)]

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = [None if n is None else n - sum(edge) for n, edge in zip(input_shape[1:-1], self._edges, strict=True)]
        if any(n is not None and n < 1 for n in along):
            raise ValueError(
                f"{self._title}: nothing is left of inputs of shape {tuple(input_shape)} after cropping "
                f"{self.cropping}."
            )
        return (input_shape[0], *along, input_shape[-1])


Cropping1D, Cropping2D = by_rank(
    _Cropping,
    "Cropping{}D",
    arguments=({"cropping": checked(_edges, 1)}, {"cropping": checked(_edges, 0), "data_format": CHANNELS_LAST}),
)


class _UpSampling(Layer):
    """Each step or pixel several times, side by side.

    Args:
        size: how many times, an int or one per axis.
        data_format: "channels_last".
        interpolation: "nearest", which repeats pixels, or another one of Resizing's.
    """

    interpolation = "nearest"  # of sequences

    def _settle(self):
        self._times, self.interpolation = self.size, str(self.interpolation).lower()
        self.size = self.size if self.rank == 2 else self.size[0]
        check_interpolation(self._owner, self.interpolation)

    def call(self, inputs):
        check_images(self, inputs.shape)
        if self.interpolation != "nearest":
            return ops.image.resize(inputs, self.compute_output_shape(inputs.shape)[1:-1], self.interpolation)
        for axis, times in enumerate(self._times, 1):
            inputs = ops.repeat(inputs, times, axis=axis)
        return inputs

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = (None if n is None else n * times for n, times in zip(input_shape[1:-1], self._times, strict=True))
        return (input_shape[0], *along, input_shape[-1])


_SIZE = {"size": checked(several, 2)}
UpSampling1D, UpSampling2D = by_rank(
    _UpSampling,
    "UpSampling{}D",
    arguments=(_SIZE, {**_SIZE, "data_format": CHANNELS_LAST, "interpolation": "nearest"}),
)
