"""Resizing arrays of pictures as TensorFlow's `tf.image.resize` does, on NumPy.

Each method weighs some pixels along rows, then along columns; the pixels' middles are at 0.5, 1.5, ... A method's
kernel is as wide on a large picture as on a small one, so shrinking does not smooth, except with "area".
"""

import math

import numpy as np

from minigrad.preprocessing.image.files import checked_size, only_channels_last
from minigrad.tensor import Tensor, as_tensor


def _cubic(a, b, c):
    """The kernel that Keys (1981), and Mitchell and Netravali (1988) describe, with radius 2."""
    inner, outer = np.poly1d(a), np.poly1d(b)
    return lambda x: np.where(x < 1, inner(x), np.where(x < 2, outer(x), 0.0)) / c


def _lanczos(radius):
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0.0)


_KERNELS = {  # the radius, and the weight of a pixel at a distance
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, _cubic([1.5, -2.5, 0, 1], [-0.5, 2.5, -4, 2], 1)),
    "mitchellcubic": (2, _cubic([7, -12, 0, 16 / 3], [-7 / 3, 12, -20, 32 / 3], 6)),
    "gaussian": (1.5, lambda x: np.where(x < 1.5, np.exp(-2 * x * x), 0.0)),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
}
_SMOOTHING = ("mitchellcubic", "gaussian")  # methods that change a picture of the same size, too
METHODS = ("bilinear", "nearest", "bicubic", "area", *list(_KERNELS)[2:])


def _taps(old, new, method):
    """(pixels, weights), arrays with a row for each of `new` pixels: which of `old` ones it is the weighed mean of."""
    step = old / new
    if method == "nearest":
        pixels = np.minimum((np.arange(new) + 0.5) * step, old - 1).astype(int)
        return pixels[:, None], np.ones((new, 1), np.float32)
    if method == "area":
        start, stop = np.arange(new) * step, np.arange(1, new + 1) * step
        pixels = np.floor(start).astype(int)[:, None] + np.arange(math.ceil(step) + 1)
        weights = np.minimum(pixels + 1, stop[:, None]) - np.maximum(pixels, start[:, None])
        weights = np.maximum(weights, 0)
    else:
        radius, kernel = _KERNELS[method]
        middle = (np.arange(new)[:, None] + 0.5) * step
        if method == "bicubic":  # TensorFlow looks its weights up in a table of 1024 places
            middle = np.rint((middle - 0.5) * 1024) / 1024 + 0.5
        pixels = np.ceil(middle - radius - 0.5).astype(int) + np.arange(math.ceil(2 * radius) + 1)
        weights = kernel(np.abs(pixels + 0.5 - middle))
    weights = np.where((pixels < 0) | (pixels >= old), 0, weights)
    weights /= weights.sum(1, keepdims=True)
    used = weights.any(0)
    return np.clip(pixels[:, used], 0, old - 1), weights[:, used].astype(np.float32)


def resize(x, size, method="bilinear"):
    """Pictures (..., height, width, channels) in another size (height, width), as float32."""
    if method not in METHODS:
        raise ValueError(f"interpolation must be one of {', '.join(METHODS)}; got {method!r}.")
    x = np.asarray(x)
    for axis, new in zip((-3, -2), size):
        if x.shape[axis] != new or method in _SMOOTHING:
            pixels, weights = _taps(x.shape[axis], new, method)
            weights = weights[..., None] if axis == -2 else weights[..., None, None]
            y = np.take(x, pixels[:, 0], axis) * weights[:, 0]
            for i in range(1, pixels.shape[1]):
                y += np.take(x, pixels[:, i], axis) * weights[:, i]
            x = y
    return x.astype(np.float32, copy=False)


def cropped(x, size):
    """The largest part in the middle of pictures that has the proportions of `size`."""
    (height, width), (new_height, new_width) = x.shape[-3:-1], size
    part_height = max(min(height, int(width * new_height / new_width)), 1)
    part_width = max(min(width, int(height * new_width / new_height)), 1)
    top, left = (height - part_height) // 2, (width - part_width) // 2
    return x[..., top : top + part_height, left : left + part_width, :]


def padded(x, size, method):
    """A picture resized to fit into `size` with its own proportions, in the middle of zeros."""
    shape = x.shape[-3:-1]
    ratio = max(old / new for old, new in zip(shape, size))
    y = np.zeros((*x.shape[:-3], *size, x.shape[-1]), np.float32)
    height, width = (int(old / ratio) for old in shape)
    top, left = (int((new - old / ratio) / 2) for old, new in zip(shape, size))
    y[..., top : top + height, left : left + width, :] = resize(x, (height, width), method)
    return y


def smart_resize(x, size, interpolation="bilinear", data_format="channels_last"):
    """Pictures in another size, cropped in the middle first so that they keep their proportions.

    Args:
        x: an array or tensor (height, width, channels), or (rows, height, width, channels).
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic".

    Returns:
        An array of float32; a tensor, if x is one.
    """
    only_channels_last(data_format, "smart_resize")
    array, size = np.asarray(x), checked_size(size, "size")
    if array.ndim not in (3, 4):
        raise ValueError(f"smart_resize expects pictures of 3 or 4 axes, channels last; got the shape {array.shape}.")
    y = resize(cropped(array, size), size, interpolation)
    return as_tensor(y) if isinstance(x, Tensor) else y
