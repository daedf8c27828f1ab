"""Layers that change the size of images: Resizing and CenterCrop."""

from minigrad import ops
from minigrad.layers import arguments
from minigrad.layers.base import Layer, registry
from minigrad.layers.convolution import channels_last
from minigrad.ops.image import centre, check_fill_mode, check_interpolation


class ImageLayer(Layer):
    """A layer of images (n, h, w, channels), or of a single image (h, w, channels)."""

    def _called(self):
        return f"{type(self).__name__} {self.name!r}"

    def _check_images(self, shape):
        if len(shape) not in (3, 4):
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) takes images (n, h, w, channels), or one (h, w, "
                f"channels); got shape {tuple(shape)}. Gray images have one channel: x[..., None]."
            )

    def _images(self, inputs):
        """Images of one sample or several as those of several."""
        if isinstance(inputs, dict):
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) takes images alone: call it on images, not on a dict "
                "with labels or boxes."
            )
        self._check_images(inputs.shape)
        return inputs if inputs.ndim == 4 else ops.expand_dims(inputs, 0)

    @staticmethod
    def _as_given(images, inputs):
        return images if inputs.ndim == 4 else ops.squeeze(images, 0)


class SizedImages(ImageLayer):
    """A layer that makes images of `height` and `width`."""

    def _check_size(self):
        for name in ("height", "width"):
            arguments.whole(self, name)
        channels_last(self)

    def compute_output_shape(self, input_shape):
        self._check_images(input_shape)
        return (*input_shape[:-3], self.height, self.width, input_shape[-1])


@registry.register()
class Resizing(SizedImages):
    """Images of another size.

    Args:
        height, width: the new size.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        crop_to_aspect_ratio: cut off at both sides what would be squeezed.
        pad_to_aspect_ratio: put `fill_value` at both sides instead of stretching. fill_mode: "constant".
        antialias: whether to take a mean of all pixels where images shrink.
        data_format: "channels_last".
    """

    def __init__(
        self,
        height,
        width,
        interpolation="bilinear",
        crop_to_aspect_ratio=False,
        pad_to_aspect_ratio=False,
        fill_mode="constant",
        fill_value=0.0,
        antialias=False,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._keep(locals())
        self._check_size()
        self.antialias = bool(antialias)
        arguments.number(self, "fill_value", "(-inf, inf)")
        check_interpolation(self._called(), interpolation)
        check_fill_mode(self._called(), fill_mode, ("constant",))
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(f"{self._called()} can crop to the aspect ratio or pad to it, not both.")

    def call(self, inputs):
        x = ops.image.resize(
            self._images(inputs), (self.height, self.width), self.interpolation, self.antialias,
            self.crop_to_aspect_ratio, self.pad_to_aspect_ratio, self.fill_mode, self.fill_value,
        )  # fmt: skip
        return self._as_given(x, inputs)


@registry.register()
class CenterCrop(SizedImages):
    """The middle of images, `height` by `width`.

    Of smaller images it is the largest part of the same aspect ratio, resized.
    """

    def __init__(self, height, width, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        self._check_size()

    def call(self, inputs):
        x, size = self._images(inputs), (self.height, self.width)
        if x.shape[1] >= self.height and x.shape[2] >= self.width:
            return self._as_given(centre(x, *size), inputs)
        return self._as_given(ops.image.resize(x, size, crop_to_aspect_ratio=True), inputs)
