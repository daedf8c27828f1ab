"""Transforms of one picture, an array of three axes: turned, moved, sheared, zoomed, colored, resized; random ones.

The random ones draw from NumPy's global generator, in Keras' order: `np.random.seed` decides what comes.
"""

import functools

import numpy as np

from minigrad import config
from minigrad.ops.image import resize
from minigrad.preprocessing.image.files import array_to_img, checked_size, img_to_array, only_channels_last, pillow
from minigrad.tensor import Tensor


def apply_affine_transform(
    x, theta=0, tx=0, ty=0, shear=0, zx=1, zy=1, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0,
    order=1,
):  # fmt: skip
    """A picture turned, moved, sheared and zoomed about its middle.

    Pixel p of the result is what the picture has at R S H Z p: rotation, shift, shear and zoom, in coordinates
    (row, column, 1) from the middle.

    Args:
        x: an array of three axes, the channels first or last.
        theta, shear: angles in degrees. tx, ty: pixels along rows and columns. zx, zy: zooms, above 1 smaller.
        fill_mode: what lies outside of the picture: "nearest", "constant" (the value cval), "reflect" or "wrap".
        order: of the splines between pixels; 0 is the nearest pixel, 1 is linear.
    """
    import scipy.ndimage  # takes 0.1 s: only who turns pictures needs it

    if x.ndim != 3 or {row_axis, col_axis, channel_axis} != {0, 1, 2} or channel_axis == 1:
        raise ValueError(
            f"An affine transform takes one picture, of three axes, with its channels first or last; got the shape "
            f"{x.shape} with rows on axis {row_axis}, columns on {col_axis}, channels on {channel_axis}."
        )
    parts = []
    if theta != 0:
        angle = np.deg2rad(theta)
        parts.append([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    if tx != 0 or ty != 0:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear != 0:
        angle = np.deg2rad(shear)
        parts.append([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return x
    middle = x.shape[row_axis] / 2 - 0.5, x.shape[col_axis] / 2 - 0.5
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = middle, np.negative(middle)
    matrix = there @ functools.reduce(np.matmul, map(np.array, parts)) @ back
    if col_axis > row_axis:  # Keras' matrices say column before row
        matrix = matrix[[1, 0, 2]][:, [1, 0, 2]]
    moved = [
        scipy.ndimage.affine_transform(channel, matrix[:2, :2], matrix[:2, 2], order=order, mode=fill_mode, cval=cval)
        for channel in np.moveaxis(x, channel_axis, 0)
    ]
    return np.moveaxis(np.stack(moved), 0, channel_axis)


def apply_channel_shift(x, intensity, channel_axis=0):
    """A picture with `intensity` added to all channels, but within its smallest and largest value."""
    shifted = np.clip(np.moveaxis(x, channel_axis, 0) + intensity, np.min(x), np.max(x))
    return np.moveaxis(np.ascontiguousarray(shifted), 0, channel_axis)


def apply_brightness_shift(x, brightness, scale=True):
    """A picture (height, width, channels) with all values times `brightness`, cut to whole numbers from 0 to 255.

    Args:
        scale: stretch the values first, so that they reach from 0 to 255. A picture with values outside of them is
            always stretched; scale=False brings it back afterwards.
    """
    enhance = pillow("ImageEnhance")
    low, high = np.min(x), np.max(x)
    is_outside = low < 0 or high > 255
    img = array_to_img(x, scale=scale or is_outside)
    y = img_to_array(enhance.Brightness(img).enhance(brightness))
    return y / 255 * (high - low) + low if is_outside and not scale else y


def smart_resize(x, size, interpolation="bilinear", data_format="channels_last"):
    """Pictures in another size, cropped in the middle first so that they keep their proportions.

    Args:
        x: an array or tensor (height, width, channels), or (rows, height, width, channels).
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".

    Returns:
        An array of floats; a tensor, if x is one.
    """
    only_channels_last(data_format, "smart_resize")
    floats = x if isinstance(x, Tensor) and x.dtype.kind == "f" else np.asarray(x, config.floatx())
    y = resize(floats, checked_size(size, "size"), interpolation, crop_to_aspect_ratio=True)
    return y if isinstance(x, Tensor) else np.asarray(y)


# -------------------------------------------------------------------------------------------------- random ones


def random_rotation(
    x, rg, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
):
    """A picture turned by up to `rg` degrees. For the other arguments see `apply_affine_transform`."""
    places = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return _moved(x, places, theta=np.random.uniform(-rg, rg))


def random_shift(
    x, wrg, hrg, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
):
    """A picture moved by up to the share `wrg` of its width and `hrg` of its height."""
    places = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return _moved(x, places, tx=tx, ty=ty)


def random_shear(
    x, intensity, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
):
    """A picture sheared by up to `intensity` degrees."""
    places = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return _moved(x, places, shear=np.random.uniform(-intensity, intensity))


def random_zoom(
    x, zoom_range, row_axis=1, col_axis=2, channel_axis=0, fill_mode="nearest", cval=0.0, interpolation_order=1
):
    """A picture zoomed by a factor in zoom_range = (low, high) along rows and another one along columns."""
    places = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    zx, zy = random_zooms(pair(zoom_range, "zoom_range"))
    return _moved(x, places, zx=zx, zy=zy)


def _moved(x, places, **change):
    names = ("row_axis", "col_axis", "channel_axis", "fill_mode", "cval", "order")
    return apply_affine_transform(x, **change, **dict(zip(names, places)))


def random_zooms(bounds):
    """Two factors between the bounds; nothing is drawn where both bounds are 1."""
    low, high = bounds
    return (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)


def random_channel_shift(x, intensity_range, channel_axis=0):
    """`apply_channel_shift` by up to `intensity_range`."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x, brightness_range, scale=True):
    """`apply_brightness_shift` by a factor in brightness_range = (low, high)."""
    return apply_brightness_shift(x, np.random.uniform(*pair(brightness_range, "brightness_range")), scale)


def pair(value, name):
    """(low, high) of two numbers.

    Raises:
        ValueError: it is something else.
    """
    try:
        low, high = value
        if np.ndim(low) or np.ndim(high):
            raise TypeError
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, (low, high); got {value!r}.") from None
    return low, high
