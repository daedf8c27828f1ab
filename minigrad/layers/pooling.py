"""Pooling, and layers that pad, crop and enlarge sequences and images."""

from minigrad import ops
from minigrad.checks import is_int
from minigrad.layers.base import Layer, registry
from minigrad.layers.convolution import channels_last, check_images, check_padding, several, windows_along
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

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        several(self, "pool_size", self.rank)
        self.strides = self.pool_size if strides is None else strides
        several(self, "strides", self.rank)
        check_padding(self, "valid", "same")
        channels_last(self)

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


@registry.register("MaxPool1D")
class MaxPooling1D(_MaxPooling):
    __doc__ = _MaxPooling.__doc__
    rank = 1


@registry.register("MaxPool2D")
class MaxPooling2D(_MaxPooling):
    __doc__ = _MaxPooling.__doc__
    rank = 2


class _AveragePooling(_Pooling):
    """The mean of each window, each channel by itself. With padding="same", a window has the pixels in the image only.

    Args:
        pool_size, strides, padding, data_format: as those of MaxPooling2D.
    """

    _pool = staticmethod(ops.average_pool)


@registry.register("AvgPool1D")
class AveragePooling1D(_AveragePooling):
    __doc__ = _AveragePooling.__doc__
    rank = 1


@registry.register("AvgPool2D")
class AveragePooling2D(_AveragePooling):
    __doc__ = _AveragePooling.__doc__
    rank = 2


class _GlobalPooling(Layer):
    """One number per channel, over all pixels: (n, ..., c) -> (n, c), or (n, 1, ..., c) with keepdims=True."""

    _has_no_state = True

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        channels_last(self)

    def call(self, inputs):
        check_images(self, inputs.shape)
        return self._over_all(inputs, axis=tuple(range(1, self.rank + 1)), keepdims=self.keepdims)

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        return (input_shape[0], *((1,) * self.rank if self.keepdims else ()), input_shape[-1])


class _GlobalMaxPooling(_GlobalPooling):
    __doc__ = f"The largest number per channel. {_GlobalPooling.__doc__}"
    _over_all = staticmethod(ops.max)


@registry.register("GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMaxPooling):
    __doc__ = _GlobalMaxPooling.__doc__
    rank = 1


@registry.register("GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMaxPooling):
    __doc__ = _GlobalMaxPooling.__doc__
    rank = 2


class _GlobalAveragePooling(_GlobalPooling):
    __doc__ = f"The mean per channel. {_GlobalPooling.__doc__}"
    _over_all = staticmethod(ops.mean)


@registry.register("GlobalAvgPool1D")
class GlobalAveragePooling1D(_GlobalAveragePooling):
    __doc__ = f"{_GlobalAveragePooling.__doc__}\n\nSteps that the mask leaves out do not count."
    rank = 1
    supports_masking = True

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


@registry.register("GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalAveragePooling):
    __doc__ = _GlobalAveragePooling.__doc__
    rank = 2


# --------------------------------------------------------------------------------------------- the size of images


class _Edges(Layer):
    """A layer that adds or removes pixels at the edges."""

    def _keep_edges(self, name):
        """Check the argument `name` and keep a pair (before, after) for each axis."""
        value = getattr(self, name)
        pairs = value if isinstance(value, (tuple, list)) else (value,) * self.rank
        if self.rank == 1 and len(pairs) == 2:
            pairs = (pairs,)
        pairs = [tuple(one) if isinstance(one, (tuple, list)) else (one, one) for one in pairs]
        if len(pairs) != self.rank or not all(len(pair) == 2 and all(is_int(n, 0) for n in pair) for pair in pairs):
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: {name} must be an int, or for each axis an int or a pair of "
                f"ints (before, after), none below 0; got {value!r}."
            )
        setattr(self, name, pairs[0] if self.rank == 1 else tuple(pairs))
        self._edges = pairs


class _ZeroPadding(_Edges):
    """Zeros around sequences or images.

    Args:
        padding: how many steps or pixels: an int, or a pair (before, after); for images an int or such a pair for
            lines and one for columns.
        data_format: "channels_last".
    """

    def __init__(self, padding=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        self._keep_edges("padding")
        channels_last(self)

    def call(self, inputs):
        check_images(self, inputs.shape)
        return ops.pad(inputs, [(0, 0), *self._edges, (0, 0)])

    def compute_output_shape(self, input_shape):
        check_images(self, input_shape)
        along = (None if n is None else n + sum(edge) for n, edge in zip(input_shape[1:-1], self._edges, strict=True))
        return (input_shape[0], *along, input_shape[-1])


@registry.register()
class ZeroPadding1D(_ZeroPadding):
    __doc__ = _ZeroPadding.__doc__
    rank = 1


@registry.register()
class ZeroPadding2D(_ZeroPadding):
    __doc__ = _ZeroPadding.__doc__
    rank = 2


class _Cropping(_Edges):
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
                f"Layer {self.name!r} ({type(self).__name__}): nothing is left of inputs of shape {tuple(input_shape)} "
                f"after cropping {self.cropping}."
            )
        return (input_shape[0], *along, input_shape[-1])


@registry.register()
class Cropping1D(_Cropping):
    __doc__ = _Cropping.__doc__
    rank = 1

    def __init__(self, cropping=1, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        self._keep_edges("cropping")


@registry.register()
class Cropping2D(_Cropping):
    __doc__ = _Cropping.__doc__
    rank = 2

    def __init__(self, cropping=0, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        self._keep_edges("cropping")
        channels_last(self)


class _UpSampling(Layer):
    """Each step or pixel several times, side by side.

    Args:
        size: how many times, an int or one per axis.
        data_format: "channels_last".
        interpolation: "nearest", which repeats pixels, or another one of Resizing's.
    """

    interpolation = "nearest"

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


@registry.register()
class UpSampling1D(_UpSampling):
    __doc__ = _UpSampling.__doc__
    rank = 1

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        several(self, "size", 1)
        self._times, self.size = self.size, self.size[0]


@registry.register()
class UpSampling2D(_UpSampling):
    __doc__ = _UpSampling.__doc__
    rank = 2

    def __init__(self, size=2, data_format=None, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        several(self, "size", 2)
        self._times = self.size
        channels_last(self)
        self.interpolation = str(interpolation).lower()
        check_interpolation(f"UpSampling2D {self.name!r}", self.interpolation)
