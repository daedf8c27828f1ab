"""Layers that change the size of images: Resizing and CenterCrop."""

from minigrad import ops
from minigrad.layers.arguments import CHANNELS_LAST, WHOLE, checked, number
from minigrad.layers.base import Layer
from minigrad.ops.image import centre, check_fill_mode, check_interpolation


class ImageLayer(Layer, is_member=False):
    """A layer of images (n, h, w, channels), or of a single image (h, w, channels)."""

    def _check_images(self, shape):
        if len(shape) not in (3, 4):
            raise ValueError(
                f"{self._title} takes images (n, h, w, channels), or one (h, w, channels); got shape {tuple(shape)}. "
                "Gray images have one channel: x[..., None]."
            )

    def _images(self, inputs):
        """Images of one sample or several as those of several."""
        if isinstance(inputs, dict):
            raise ValueError(
                f"{self._title} takes images alone: call it on images, not on a dict with labels or boxes."
            )
        self._check_images(inputs.shape)
        return inputs if inputs.ndim == 4 else ops.expand_dims(inputs, 0)

    @staticmethod
    def _as_given(images, inputs):
        return images if inputs.ndim == 4 else ops.squeeze(images, 0)


class SizedImages(ImageLayer, is_member=False):
    """A layer that makes images of `height` and `width`."""

    def compute_output_shape(self, input_shape):
        self._check_images(input_shape)
        return (*input_shape[:-3], self.height, self.width, input_shape[-1])


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

    arguments = {
        "height": WHOLE, "width": WHOLE, "interpolation": "bilinear", "crop_to_aspect_ratio": False,
        "pad_to_aspect_ratio": False, "fill_mode": "constant", "fill_value": checked(number, 0.0, "(-inf, inf)"),
        "antialias": False, "data_format": CHANNELS_LAST,
    }  # fmt: skip

    def _settle(self):
        self.antialias = bool(self.antialias)
        check_interpolation(self._owner, self.interpolation)
        check_fill_mode(self._owner, self.fill_mode, ("constant",))
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError(f"{self._owner} can crop to the aspect ratio or pad to it, not both.")

    def call(self, inputs):
        x = ops.image.resize(
            self._images(inputs), (self.height, self.width), self.interpolation, self.antialias,
            self.crop_to_aspect_ratio, self.pad_to_aspect_ratio, self.fill_mode, self.fill_value,
        )  # fmt: skip
        return self._as_given(x, inputs)


class CenterCrop(SizedImages):
    """The middle of images, `height` by `width`.

    Of smaller images it is the largest part of the same aspect ratio, resized.
    """

    arguments = {"height": WHOLE, "width": WHOLE, "data_format": CHANNELS_LAST}

    def call(self, inputs):
        x, size = self._images(inputs), (self.height, self.width)
        if x.shape[1] >= self.height and x.shape[2] >= self.width:
            return self._as_given(centre(x, *size), inputs)
        return self._as_given(ops.image.resize(x, size, crop_to_aspect_ratio=True), inputs)
