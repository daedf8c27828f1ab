"""What scripts use of `tf.image` and of the decoders in `tf.io`: pictures (h, w, channels), or batches of them.

Pictures of integers hold bytes, from 0 to 255. Files are decoded by Pillow. Random changes draw from the stream that
`tf.random.set_seed` begins, so that a training that goes on draws what it would have drawn; only the seeds of
`stateless_random_...` have an effect.
"""

import io
import math

import numpy as np

import minigrad
from minigrad import ops
from minigrad.preprocessing.image.files import pillow, save_img
from minigrad.texts import strings

_BYTE = 255.0
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels: Pillow's mode


class ResizeMethod:
    """The names of interpolations."""

    NEAREST_NEIGHBOR, BILINEAR, BICUBIC, AREA = "nearest", "bilinear", "bicubic", "area"
    LANCZOS3, LANCZOS5 = "lanczos3", "lanczos5"


def decode_image(contents, channels=0, dtype="uint8", name=None, expand_animations=True, **options):
    """The picture in the bytes of a PNG, JPEG, BMP or GIF file; `channels` 0 keeps those of the file."""
    picture = pillow("Image").open(io.BytesIO(strings(contents).item()))
    mode = _MODES[channels] if channels else picture.mode
    if mode not in _MODES.values():
        mode = "RGBA" if "transparency" in picture.info else "RGB" if mode in ("P", "CMYK", "YCbCr") else "L"
    array = np.asarray(picture if picture.mode == mode else picture.convert(mode))
    y = ops.convert_to_tensor(array if array.ndim == 3 else array[..., None])
    return convert_image_dtype(y, dtype)


def _encoder(file_format):
    def encode(image, *args, **options):
        file = io.BytesIO()
        save_img(file, np.asarray(image), file_format=file_format, scale=False)
        return strings(file.getvalue())

    encode.__doc__ = f"The bytes of a {file_format} file of a picture."
    return encode


decode_png = decode_jpeg = decode_bmp = decode_image
encode_png, encode_jpeg = map(_encoder, ("png", "jpeg"))


def convert_image_dtype(image, dtype, saturate=False, name=None):
    """Bytes as floats from 0 to 1, or the other way round."""
    x, is_float = ops.convert_to_tensor(image), np.dtype(dtype).kind == "f"
    if _is_float(x) == is_float:
        return ops.cast(x, dtype)
    if is_float:
        return ops.multiply(ops.cast(x, dtype), 1 / _BYTE)
    return ops.cast(ops.clip(x * (_BYTE + 0.5), 0.0, _BYTE) if saturate else x * (_BYTE + 0.5), dtype)


def _is_float(x):
    return np.dtype(x.dtype).kind == "f"


def _floats(image):
    x = ops.convert_to_tensor(image)
    return x if _is_float(x) else ops.cast(x, "float32")


def resize(images, size, method="bilinear", preserve_aspect_ratio=False, antialias=False, name=None):
    """Pictures of another size (height, width): floats, unless the method is "nearest"."""
    x, (height, width) = ops.convert_to_tensor(images), (int(n) for n in size)
    method = getattr(method, "lower", lambda: method)()
    if preserve_aspect_ratio:
        h, w = x.shape[-3:-1]
        scale = min(height / h, width / w)
        height, width = round(h * scale), round(w * scale)
    return ops.image.resize(x if method == "nearest" else _floats(x), (height, width), method, antialias)


def resize_with_crop_or_pad(image, target_height, target_width):
    """The middle of pictures, or pictures in the middle of zeros."""
    x, target = ops.convert_to_tensor(image), (int(target_height), int(target_width))
    kept = [min(lengths) for lengths in zip(x.shape[-3:-1], target)]
    first = [(length - n) // 2 for length, n in zip(x.shape[-3:-1], kept)]
    x = crop_to_bounding_box(x, *first, *kept)
    around = [((length - n) // 2, (length - n + 1) // 2) for length, n in zip(target, kept)]
    return ops.pad(x, [*[(0, 0)] * (x.ndim - 3), *around, (0, 0)])


def resize_with_pad(image, target_height, target_width, method="bilinear", antialias=False):
    """Pictures that keep their proportions, in the middle of zeros."""
    small = resize(image, (target_height, target_width), method, True, antialias)
    return resize_with_crop_or_pad(small, target_height, target_width)


def crop_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    """The part of pictures from a line and a column on."""
    lines = slice(offset_height, offset_height + target_height)
    columns = slice(offset_width, offset_width + target_width)
    return ops.get_item(ops.convert_to_tensor(image), (..., lines, columns, slice(None)))


def central_crop(image, central_fraction):
    """The middle of pictures: this share of their height and width."""
    x = ops.convert_to_tensor(image)
    first = [int((n - n * central_fraction) / 2) for n in x.shape[-3:-1]]
    height, width = (n - 2 * i for n, i in zip(x.shape[-3:-1], first))
    return crop_to_bounding_box(x, *first, height, width)


def adjust_brightness(image, delta):
    """Brighter by delta, where 1 is white."""
    return _as_float(image, lambda x: x + delta)


def adjust_contrast(images, contrast_factor):
    """Further from the mean of each channel by a factor."""

    def change(x):
        mean = ops.mean(x, (-3, -2), keepdims=True)
        return (x - mean) * contrast_factor + mean

    return _as_float(images, change)


def adjust_saturation(image, saturation_factor, name=None):
    """More colorful by a factor: a channel v - d becomes v - factor d, v being the largest one; none falls below 0."""

    def change(x):
        largest = ops.max(x, -1, keepdims=True)
        spread = largest - ops.min(x, -1, keepdims=True)
        most = ops.divide_no_nan(largest, spread)
        return largest - (largest - x) * ops.minimum(most, saturation_factor)

    return _as_float(image, change)


def rgb_to_hsv(images, name=None):
    """Hue (from 0 to 1), saturation and value in place of red, green and blue."""
    x = ops.convert_to_tensor(images)
    red, green, blue = ops.unstack(x, axis=-1)
    value = ops.max(x, -1)
    spread = value - ops.min(x, -1)
    width = ops.where(ops.equal(spread, 0.0), 1.0, spread)
    hue = ops.where(
        ops.equal(value, red),
        (green - blue) / width,
        ops.where(ops.equal(value, green), (blue - red) / width + 2.0, (red - green) / width + 4.0),
    )
    return ops.stack([ops.mod(hue / 6.0, 1.0), ops.divide_no_nan(spread, value), value], -1)


def hsv_to_rgb(images, name=None):
    """Red, green and blue in place of hue, saturation and value."""
    hue, saturation, value = ops.unstack(ops.convert_to_tensor(images), axis=-1)
    place = hue * 6.0
    pure = [ops.abs(place - 3.0) - 1.0, 2.0 - ops.abs(place - 2.0), 2.0 - ops.abs(place - 4.0)]
    return ops.stack([((ops.clip(one, 0.0, 1.0) - 1.0) * saturation + 1.0) * value for one in pure], -1)


def adjust_hue(image, delta, name=None):
    """Colors turned by delta, from -1 to 1, of the whole circle."""
    if not -1 <= float(delta) <= 1:
        raise ValueError(f"tf.image.adjust_hue: delta must be from -1 to 1, got {delta!r}.")

    def change(x):
        hue, saturation, value = ops.unstack(rgb_to_hsv(x), axis=-1)
        return hsv_to_rgb(ops.stack([ops.mod(hue + float(delta), 1.0), saturation, value], -1))

    return _as_float(image, change)


def per_image_standardization(image):
    """Mean 0 and standard deviation 1 in each picture; the deviation counts as at least 1 / sqrt(size)."""
    x = _floats(image)
    deviation = ops.maximum(ops.std(x, (-3, -2, -1), keepdims=True), 1 / math.sqrt(math.prod(x.shape[-3:])))
    return (x - ops.mean(x, (-3, -2, -1), keepdims=True)) / deviation


def _as_float(image, change):
    """change(floats from 0 to 1) of pictures, in their own kind."""
    x = ops.convert_to_tensor(image)
    y = change(convert_image_dtype(x, x.dtype if _is_float(x) else "float32"))
    return convert_image_dtype(y, x.dtype, saturate=True)


# -------------------------------------------------------------------------------------------------------- random


def _uniform(seed=None):
    """A function of (shape, low, high) that draws from the stream, or from a seed of two integers."""
    if seed is None:
        return minigrad.random.uniform
    generator = np.random.default_rng([int(n) % 2**64 for n in np.ravel(seed)])
    return lambda shape, low, high: generator.uniform(low, high, shape).astype("float32")


def _turned(axis):
    def change(draw, image):
        x = ops.convert_to_tensor(image)
        return ops.where(ops.less(draw((*x.shape[:-3], 1, 1, 1), 0.0, 1.0), 0.5), ops.flip(x, axis), x)

    return change


def _changed(function, largest=math.inf):
    def change(draw, image, *limits):
        low, high = limits if len(limits) == 2 else (-limits[0], limits[0])
        if low > high or high > largest:
            raise ValueError(f"tf.image: a random change needs limits that rise, at most to {largest}; got {limits}.")
        return function(image, float(draw((), low, high)))

    return change


def _cropped(draw, value, size):
    x, size = ops.convert_to_tensor(value), [int(n) for n in size]
    if len(size) != x.ndim or any(n > m for n, m in zip(size, x.shape)):
        raise ValueError(f"tf.image.random_crop can't take a part of size {size} from {x.shape}.")
    first = [min(int(draw((), 0.0, m - n + 1.0)), m - n) for n, m in zip(size, x.shape)]
    return ops.get_item(x, tuple(slice(i, i + n) for i, n in zip(first, size)))


def _random(what, change, count, is_stateless):
    """`change` with random numbers, as a function of a picture, `count` arguments, and a seed."""

    def drawn(*args, seed=None, name=None, **named):
        pictures = [named.pop(key) for key in ("image", "value") if key in named]
        image, *given = [*args, *pictures, *(named[key] for key in sorted(named))]  # `lower` before `upper`
        seed = given[count] if seed is None and len(given) > count else seed
        if is_stateless and seed is None:
            raise ValueError(f"tf.image.stateless_random_{what} needs a seed, a pair of integers.")
        return change(_uniform(seed if is_stateless else None), image, *given[:count])

    drawn.__doc__ = f"Pictures with a random {what.replace('_', ' ')}."
    return drawn


def extract_patches(images, sizes, strides, rates, padding, name=None):
    """Windows of images, each as a row of channels; the lengths are those of all four axes, 1 for the outer ones."""
    return ops.image.extract_patches(images, sizes[1:3], strides[1:3], rates[1:3], padding)


_CHANGES = {  # what is random: the change, and how many arguments it has besides the picture
    "brightness": (_changed(adjust_brightness), 1),
    "contrast": (_changed(adjust_contrast), 2),
    "crop": (_cropped, 1),
    "flip_left_right": (_turned(-2), 0),
    "flip_up_down": (_turned(-3), 0),
    "hue": (_changed(adjust_hue, 0.5), 1),
    "saturation": (_changed(adjust_saturation), 2),
}
for _what, _change in _CHANGES.items():
    for _begin in ("", "stateless_"):
        globals()[f"{_begin}random_{_what}"] = _random(_what, *_change, bool(_begin))
