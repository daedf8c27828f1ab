"""Layers that change images at random in training, each image by itself: data augmentation.

A step draws a few numbers per image from the layer's own stream, as Dropout does, and makes a transform of them: it
tells for each pixel where in the image it comes from (see `ops.image.affine_transform`). All of this is part of the
recorded step, so that each replay draws new numbers.
"""

import math

from minigrad import ops, random
from minigrad.checks import is_number
from minigrad.configurable import REQUIRED
from minigrad.layers.arguments import CHANNELS_LAST, SEED, WHOLE, checked, number, one_of
from minigrad.layers.resizing import ImageLayer, SizedImages
from minigrad.ops.image import check_fill_mode, check_interpolation, sampled


def _range_of(layer, name, interval="[-1, 1]"):
    """The least and the largest number that the layer's argument `name` stands for: a factor f for [-f, f], or two."""
    value = getattr(layer, name)
    low, high = map(float, interval[1:-1].split(","))
    given = list(value) if isinstance(value, (tuple, list)) else [value]
    are_inside = all(is_number(n) and low <= n <= high and (n > low or interval[0] == "[") for n in given)
    if not are_inside or len(given) != (1 if is_number(value) else 2):
        raise ValueError(f"{layer._owner}: {name} must be a number in {interval}, or two of them; got {value!r}.")
    return (max(-abs(value), low), abs(value)) if is_number(value) else tuple(sorted(value))


def _keep_range(layer, name, interval="[-1, 1]"):
    setattr(layer, name, _range_of(layer, name, interval))


_FACTOR = checked(_range_of)
_MOVED = {
    "fill_mode": "reflect", "interpolation": "bilinear", "seed": SEED,
    "fill_value": checked(number, 0.0, "(-inf, inf)"), "data_format": CHANNELS_LAST,
}  # fmt: skip
_COLORED = {"value_range": (0, 255), "seed": SEED, "data_format": CHANNELS_LAST}


class _Augmentation(ImageLayer):
    """A layer that changes images in training, and where it is called without `training`, as in Keras."""

    _augments = _hands_on = True

    def call(self, inputs, training=True):
        if not training:
            self._images(inputs)
            return inputs
        return self._as_given(self.changed(self._images(inputs)), inputs)

    def compute_output_shape(self, input_shape):
        self._check_images(input_shape)
        return tuple(input_shape)

    def _draw(self, x, low, high):
        """A number of [low, high) for each of the images x."""
        return random.uniform(x.shape[:1], low, high, x.dtype, seed=self)


# ------------------------------------------------------------------------------------------- changes of places


def _transform(x, *numbers):
    """The rows (a0, a1, a2, b0, b1, b2, 0, 0) of transforms of images x; a number may be one for all images."""
    numbers = [ops.full(x.shape[:1], n, x.dtype) if is_number(n) else n for n in (*numbers, 0.0, 0.0)]
    return ops.stack(numbers, axis=-1)


def _zoom(x, high, wide):
    """Images `high` times as high and `wide` times as wide around their middle are seen; -1 turns them over."""
    middle = (x.shape[1] - 1) / 2, (x.shape[2] - 1) / 2
    return _transform(x, wide, 0.0, (1 - wide) * middle[1], 0.0, high, (1 - high) * middle[0])


class _Moving(_Augmentation):
    """What the layers that move the pixels of images have in common: define `transform(x)`."""

    interpolation, fill_mode, fill_value = "nearest", "nearest", 0.0

    def _settle(self):
        check_interpolation(self._owner, self.interpolation, ("bilinear", "nearest"))
        check_fill_mode(self._owner, self.fill_mode)

    def changed(self, x):
        return sampled(x, self.transform(x), x.shape[1:3], self.interpolation, self.fill_mode, self.fill_value)


class RandomFlip(_Moving):
    """Mirror images in training, each with probability 1/2.

    Args:
        mode: "horizontal" exchanges left and right, "vertical" top and bottom, "horizontal_and_vertical" both at once.
        seed: an int from which the layer's stream of random numbers starts; None takes an unused one.
        data_format: "channels_last".
    """

    arguments = {
        "mode": one_of("horizontal", "vertical", "horizontal_and_vertical", default="horizontal_and_vertical"),
        "seed": SEED, "data_format": CHANNELS_LAST,
    }  # fmt: skip

    def transform(self, x):
        sign = ops.where(ops.less_equal(self._draw(x, 0.0, 1.0), 0.5), -1.0, 1.0)
        return _zoom(x, sign if "vertical" in self.mode else 1.0, sign if "horizontal" in self.mode else 1.0)


class RandomTranslation(_Moving):
    """Move images up or down and sideways in training.

    Args:
        height_factor, width_factor: by how much of the height and the width: f for any share in [-f, f], or (low,
            high). Images move down and to the right where the share is above 0.
        fill_mode: what comes in: "reflect", "wrap", "nearest" or "constant"; see `ops.image.affine_transform`.
        interpolation: "bilinear" or "nearest".
        seed: as for RandomFlip. fill_value: what comes in with fill_mode="constant". data_format: "channels_last".
    """

    arguments = {"height_factor": _FACTOR, "width_factor": _FACTOR, **_MOVED}

    def transform(self, x):
        down = self._draw(x, *_range_of(self, "height_factor")) * float(x.shape[1])
        right = self._draw(x, *_range_of(self, "width_factor")) * float(x.shape[2])
        return _transform(x, 1.0, 0.0, -right, 0.0, 1.0, -down)


class RandomRotation(_Moving):
    """Turn images around their middle in training.

    Args:
        factor: by how much of a full turn: f for any in [-f, f], or (low, high); counterclockwise where it is above 0.
        fill_mode, interpolation, seed, fill_value, data_format: as for RandomTranslation.
    """

    arguments = {"factor": checked(_keep_range), **_MOVED}

    def transform(self, x):
        low, high = self.factor
        angle = self._draw(x, low * 2 * math.pi, high * 2 * math.pi)
        cos, sin, middle, centre = ops.cos(angle), ops.sin(angle), (x.shape[1] - 1) / 2, (x.shape[2] - 1) / 2
        return _transform(
            x, cos, -sin, centre - cos * centre + sin * middle, sin, cos, middle - sin * centre - cos * middle
        )


class RandomZoom(_Moving):
    """Zoom into the middle of images in training, or out.

    Args:
        height_factor: how much more of the height is seen: f for any share in [-f, f], or (low, high), in (-1, 1].
            Below 0 it zooms in.
        width_factor: the same of the width. None: that of the height, so that the aspect ratio is kept.
        fill_mode, interpolation, seed, fill_value, data_format: as for RandomTranslation.
    """

    arguments = {"height_factor": checked(_range_of, REQUIRED, "(-1, 1]"), "width_factor": None, **_MOVED}

    def _settle(self):
        super()._settle()
        if self.width_factor is not None:
            self._zooms("width_factor")

    def _zooms(self, name):
        """The least and the largest share of the height or the width that is seen."""
        low, high = _range_of(self, name, "(-1, 1]")
        return 1 + low, 1 + high

    def transform(self, x):
        high = wide = self._draw(x, *self._zooms("height_factor"))
        if self.width_factor is not None:
            wide = self._draw(x, *self._zooms("width_factor"))
        return _zoom(x, high, wide)


class RandomCrop(SizedImages):
    """A part of images, `height` by `width`: in training at a random place, the same for all images of a batch.

    Otherwise, and if the images are smaller, it is the largest part in the middle that has the same aspect ratio,
    resized.

    Args:
        height, width: of the part. seed, data_format: as for RandomFlip.
    """

    _augments = True

    arguments = {"height": WHOLE, "width": WHOLE, "seed": SEED, "data_format": CHANNELS_LAST}

    def call(self, inputs, training=True):
        x, size = self._images(inputs), (self.height, self.width)
        free = x.shape[1] - self.height, x.shape[2] - self.width
        if not training or min(free) < 0:
            return self._as_given(ops.image.resize(x, size, crop_to_aspect_ratio=True), inputs)
        top, left = (ops.cast(random.randint((1,), 0, n + 1, seed=self), x.dtype) for n in free)
        transform = _transform(x[:1], 1.0, 0.0, left, 0.0, 1.0, top)
        return self._as_given(sampled(x, transform, size, "nearest", "nearest", 0.0), inputs)


# ------------------------------------------------------------------------------------------- changes of values


class _Coloring(_Augmentation):
    """What the layers that change the values of images have in common."""

    def _settle(self):
        limits = self.value_range
        if not isinstance(limits, (tuple, list)) or len(limits) != 2 or not all(map(is_number, limits)):
            raise ValueError(f"{self._owner}: value_range must be two numbers, got {limits!r}.")

    def _limited(self, x):
        return ops.clip(x, float(min(self.value_range)), float(max(self.value_range)))


class RandomContrast(_Coloring):
    """y = (x - mean) f + mean in training, the mean that of each channel of each image, f random; clipped.

    Args:
        factor: (low, high) for any f in [1 - low, 1 + high], both in [0, 1]; a number is (0, high), as in Keras 3.
        value_range: the least and the largest value of a pixel.
        seed, data_format: as for RandomFlip.
    """

    arguments = {"factor": checked(_keep_range, REQUIRED, "[0, 1]"), **_COLORED}

    def changed(self, x):
        low, high = self.factor
        mean = ops.mean(x, (1, 2), keepdims=True)
        factor = ops.reshape(self._draw(x, 1 - low, 1 + high), (-1, 1, 1, 1))
        return self._limited((x - mean) * factor + mean)


class RandomBrightness(_Coloring):
    """y = x + f (largest - least value) in training, f random for each image; clipped.

    Args:
        factor: f for any in [-f, f], or (low, high).
        value_range: the least and the largest value of a pixel.
        seed, data_format: as for RandomFlip.
    """

    arguments = {"factor": checked(_keep_range), **_COLORED}

    def _settle(self):
        super()._settle()
        self.value_range = sorted(self.value_range)

    def changed(self, x):
        factor = ops.reshape(self._draw(x, *self.factor), (-1, 1, 1, 1))
        return self._limited(x + factor * float(self.value_range[1] - self.value_range[0]))
