"""Images (n, h, w, channels), or a single one (h, w, channels): resized, cropped, padded, turned; as `keras.ops.image`.

Resizing is linear, and each axis is resized by itself: a line of the result is a sum of lines of the image, with
weights that depend on the lengths only. So it is one kernel twice, and its gradient is the same kernel with the
transposed weights.
"""

import functools
import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.creating import pad
from minigrad.ops.functions import round as rounded
from minigrad.ops.linear import tensordot
from minigrad.ops.shaping import _places as places
from minigrad.ops.shaping import _rearrange as rearrange
from minigrad.ops.shaping import cast, convert_to_tensor, get_item
from minigrad.program import launch
from minigrad.tensor import as_tensor, constant, op, view

FILL_MODES = {"constant": 0, "nearest": 1, "reflect": 2, "wrap": 3}  # as in kernels.sampling


# ---------------------------------------------------------------------------------------------------- resizing


def _lanczos(radius):
    def kernel(x):
        return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0.0)

    return kernel


def _cubic(x):
    """Keys' cubic convolution (1981) with a = -1/2."""
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


_FILTERS = {  # interpolation: the weight of a pixel at a distance, and the distance beyond which it is 0
    "bilinear": (lambda x: np.maximum(1 - x, 0), 1),
    "bicubic": (_cubic, 2),
    "lanczos3": (_lanczos(3), 3),
    "lanczos5": (_lanczos(5), 5),
}
INTERPOLATIONS = ("nearest", *_FILTERS, "area")


def _weights(length, size, interpolation, antialias):
    """How an axis of `length` pixels is resized: pixel i is the sum over t of weights_it times pixel first_i + t.

    A pixel lies in the middle of its part of the axis: the one at i of the result at (i + 1/2) length / size - 1/2.
    The weights of each sum to 1.
    """
    step, i = length / size, np.arange(size)[:, None]
    if interpolation == "nearest":
        places = (i.astype("f4") + np.float32(0.5)) * np.float32(step)  # float32, as in TensorFlow
        return np.minimum(places.astype(np.int64), length - 1), np.ones((size, 1))
    filtered, reach = _FILTERS.get(interpolation, (None, 1))
    stretch = max(step, 1.0) if antialias or interpolation == "area" else 1.0
    places, reach = (i + 0.5) * step - 0.5, reach * stretch
    if interpolation == "bicubic" and not antialias:  # TensorFlow takes these weights from a table
        places = np.floor(places) + np.rint((places - np.floor(places)) * 1024) / 1024
    taps = min(2 * math.ceil(reach) + 1, length)
    first = np.clip(np.ceil(places - reach), 0, length - taps).astype(np.int64)
    pixels = first + np.arange(taps)
    if interpolation == "area":  # the share of a pixel in the stretch that the new one covers
        found = np.maximum(np.minimum((i + 1) * step, pixels + 1) - np.maximum(i * step, pixels), 0)
    else:
        found = filtered(np.abs(pixels - places) / stretch)
    return first, found / found.sum(1, keepdims=True)


def _transposed(first, weights, length):
    """The same for the transposed matrix, whose rows are those of the `length` pixels."""
    i, t = np.nonzero(weights)
    pixels = first[i, 0] + t
    begin = np.full(length, len(first))
    np.minimum.at(begin, pixels, i)
    taps = int((i - begin[pixels]).max()) + 1
    begin = np.minimum(begin, len(first) - taps)
    found = np.zeros((length, taps))
    found[pixels, i - begin[pixels]] = weights[i, t]
    return begin[:, None], found


@functools.lru_cache(64)
def _tables(length, size, interpolation, antialias, dtype):
    """What `mix_rows` needs to resize an axis, and to take the gradient back: (first (1, rows), weights) of both."""
    there = _weights(length, size, interpolation, antialias)
    back = _transposed(*there, length)
    return [(_fixed(first.T, np.int64), _fixed(weights, dtype)) for first, weights in (there, back)]


def _fixed(array, dtype):
    array = np.ascontiguousarray(array, dtype)
    array.flags.writeable = False
    return array


@op("(r,c) -> (m,c)")
def _mixed(y, x, m, there, back):
    """y = W x in each block of rows;   dx = W^T dy."""
    launch(K.mix_rows, x, *there, y)

    def vjp(gy, gx):
        launch(K.mix_rows, gy, *back, gx)

    return vjp


def _resized(x, axis, size, interpolation, antialias):
    """x with `size` pixels along `axis`."""
    length, before, after = x.shape[axis], math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    if length == size:
        return x
    there, back = _tables(length, size, interpolation, antialias, x.dtype)
    y = _mixed(view(x, (before * length, after)), m=before * size, there=there, back=back)
    return view(y, (*x.shape[:axis], size, *x.shape[axis + 1 :]))


# ---------------------------------------------------------------------------------------------- changes of places


@op("(r,c) -> (m,c)")
def _sampled(y, x, m, transforms, geometry, border):
    """y = images x, seen through transforms;   dx = dy, shared among the pixels that were seen."""
    geometry = constant(np.int64, *geometry)
    launch(K.sample, x, transforms, geometry, constant(x.dtype, border), y)

    def vjp(gy, gx):
        launch(K.sample_vjp, gy, transforms, geometry, gx)

    return vjp


def sampled(x, transform, size, interpolation, fill_mode, fill_value):
    """Images x (n, h, w, c) as `affine_transform` changes them, cut or continued to the size (H, W)."""
    n, h, w, c = x.shape
    rows, kind = n * math.prod(size), (FILL_MODES[fill_mode], interpolation == "bilinear")
    given = {"transforms": transform._data, "geometry": (n, h, w, *size, *kind), "border": fill_value}
    return view(_sampled(view(x, (n * h * w, c)), m=rows, **given), (n, *size, c))


# ------------------------------------------------------------------------------------------------------- public


def _checked(name, images, data_format):
    """The images as a tensor; raises a ValueError unless they are (n, h, w, c) or (h, w, c)."""
    x = convert_to_tensor(images)
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"image.{name}: the channels must be the last axis, data_format='channels_last'; got {data_format!r}. "
            "np.moveaxis(x, -3, -1) brings the data into this order."
        )
    if x.ndim not in (3, 4):
        raise ValueError(f"image.{name} expects images (n, h, w, channels) or one (h, w, channels); got {x.shape}.")
    return x


def _computed(x, function, is_rounded=True):
    """function(images x) of floats, in the dtype and with the number of axes that x has."""
    y = x if x.dtype.kind == "f" else cast(x, config.floatx())
    y = function(y if y.ndim == 4 else view(y, (1, *y.shape)))
    y = y if x.ndim == 4 else view(y, y.shape[1:])
    return y if y.dtype == x.dtype else cast(rounded(y) if is_rounded else y, x.dtype)


def check_interpolation(owner, interpolation, known=INTERPOLATIONS):
    """Raise a ValueError in the name of `owner` unless this interpolation is known."""
    if interpolation not in known:
        raise ValueError(f"{owner}: interpolation must be {', '.join(map(repr, known))}; got {interpolation!r}.")


def check_fill_mode(owner, fill_mode, known=tuple(FILL_MODES)):
    """Raise a ValueError in the name of `owner` unless this is one of the `known` ways to fill what lies outside."""
    if fill_mode not in known:
        raise ValueError(f"{owner}: fill_mode must be {' or '.join(map(repr, known))}; got {fill_mode!r}.")


def resize(
    images, size, interpolation="bilinear", antialias=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False,
    fill_mode="constant", fill_value=0.0, data_format=None,
):
    """Images of another size (H, W). Those of integers are rounded, and stay integers.

    Args:
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5" or "area".
        antialias: whether to take a mean of all pixels where images shrink (for the middle four of these words).
        crop_to_aspect_ratio: cut off what would be squeezed, at both sides.
        pad_to_aspect_ratio: put `fill_value` at both sides instead of stretching.
        fill_mode: "constant". data_format: "channels_last".
    """
    x = _checked("resize", images, data_format)
    check_interpolation("image.resize", interpolation)
    check_fill_mode("image.resize", fill_mode, ("constant",))
    size = tuple(int(n) for n in size)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"image.resize: size must be two positive ints (height, width); got {size}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("image.resize can crop to the aspect ratio or pad to it, not both.")
    h, w = x.shape[-3:-1]
    like = int(w * size[0] / size[1]), int(h * size[1] / size[0])  # a height for this width, a width for this height

    def resized(x):
        if crop_to_aspect_ratio:
            x = centre(x, max(min(h, like[0]), 1), max(min(w, like[1]), 1))
        elif pad_to_aspect_ratio:
            edges = [(max(more - n, 0) // 2,) * 2 for n, more in ((h, like[0]), (w, like[1]))]
            if any(map(any, edges)):
                x = pad(x, [(0, 0), *edges, (0, 0)], constant_values=fill_value)
        for axis in (1, 2):
            x = _resized(x, axis, size[axis - 1], interpolation, bool(antialias))
        return x

    return _computed(x, resized)


def centre(x, height, width):
    """The middle of images (n, h, w, c), of this height and width."""
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return get_item(x, (slice(None), slice(top, top + height), slice(left, left + width)))


def affine_transform(
    images, transform, interpolation="bilinear", fill_mode="constant", fill_value=0, data_format=None
):
    """Images whose pixel in line i and column j is what they had in column x and line y.

    x = (a0 j + a1 i + a2) / k and y = (b0 j + b1 i + b2) / k, with k = c0 j + c1 i + 1. No gradient goes to the
    transform.

    Args:
        transform: (a0, a1, a2, b0, b1, b2, c0, c1), or a row of them for each image.
        interpolation: "bilinear", a mean of the four pixels around, or "nearest".
        fill_mode: what is seen outside of the image a b c d: "constant": `fill_value`; "nearest": a a | a b c d | d d;
            "reflect": b a | a b c d | d c; "wrap": c d | a b c d | a b.
        data_format: "channels_last".
    """
    x, transform = _checked("affine_transform", images, data_format), as_tensor(transform)
    check_interpolation("image.affine_transform", interpolation, ("bilinear", "nearest"))
    check_fill_mode("image.affine_transform", fill_mode)
    rows = transform.shape[:-1] or (1,)
    if transform.shape[-1:] != (8,) or len(rows) != 1 or rows[0] not in (1, x.shape[0] if x.ndim == 4 else 1):
        raise ValueError(
            f"image.affine_transform: the transform must be 8 numbers, or 8 for each image; got shape "
            f"{transform.shape} for images {x.shape}."
        )

    def seen(x):
        t = view(cast(transform.detach(), x.dtype), (rows[0], 8))
        return sampled(x, t, x.shape[1:3], interpolation, fill_mode, fill_value)

    return _computed(x, seen, is_rounded=False)


def rgb_to_grayscale(images, data_format=None):
    """The brightness 0.2989 red + 0.587 green + 0.114 blue of images (..., 3): (..., 1)."""
    x = _checked("rgb_to_grayscale", images, data_format)
    if x.shape[-1] != 3:
        raise ValueError(f"image.rgb_to_grayscale expects three channels, (..., 3); got {x.shape}.")
    return _computed(x, lambda x: tensordot(x, np.array([[0.2989], [0.587], [0.114]], x.dtype), 1))


def _two_of_three(name, what, length, before, after, target):
    """(before, after, target) of an axis, of which two are given; their sum is the length, or for "padding" target."""
    given = {f"{what} before": before, f"{what} after": after, "target": target}
    if [before, after, target].count(None) != 1:
        raise ValueError(f"image.{name}: exactly two of top, bottom and target (left, right and target) must be given.")
    sign = 1 if what == "padding" else -1
    total = sign * (target - length) if target is not None else None
    before = total - after if before is None else before
    after = total - before if after is None else after
    target = length + sign * (before + after)
    if min(before, after, target) < 0:
        raise ValueError(f"image.{name}: nothing may be below 0 for an axis of {length} pixels; got {given}.")
    return before, after, target


def pad_images(
    images, top_padding=None, left_padding=None, bottom_padding=None, right_padding=None, target_height=None,
    target_width=None, data_format=None,
):
    """Images with zeros around them. Two of top, bottom and target_height are given, and two for the other axis."""
    x = _checked("pad_images", images, data_format)
    h, w = x.shape[-3:-1]
    above, below, _ = _two_of_three("pad_images", "padding", h, top_padding, bottom_padding, target_height)
    before, after, _ = _two_of_three("pad_images", "padding", w, left_padding, right_padding, target_width)
    return pad(x, [(0, 0)] * (x.ndim - 3) + [(above, below), (before, after), (0, 0)])


def crop_images(
    images, top_cropping=None, left_cropping=None, bottom_cropping=None, right_cropping=None, target_height=None,
    target_width=None, data_format=None,
):
    """Images without their edges. Two of top, bottom and target_height are given, and two for the other axis."""
    x = _checked("crop_images", images, data_format)
    h, w = x.shape[-3:-1]
    above, _, high = _two_of_three("crop_images", "cropping", h, top_cropping, bottom_cropping, target_height)
    before, _, wide = _two_of_three("crop_images", "cropping", w, left_cropping, right_cropping, target_width)
    return get_item(x, (..., slice(above, above + high), slice(before, before + wide), slice(None)))


def extract_patches(images, size, strides=None, dilation_rate=1, padding="valid", data_format=None):
    """Windows of images, each as a row of channels: (n, rows, columns, height width channels).

    The arguments mean what they mean in `conv`; by default the windows lie side by side, `strides` = `size`.
    """
    x = _checked("extract_patches", images, data_format)
    lengths = np.array(x.shape[-3:-1])
    size, dilation = np.broadcast_to(size, 2), np.broadcast_to(dilation_rate, 2)
    strides = size if strides is None else np.broadcast_to(strides, 2)
    reach = (size - 1) * dilation + 1
    if str(padding).lower() == "same":
        more = np.maximum((-(lengths // -strides) - 1) * strides + reach - lengths, 0)
        x = pad(x, [(0, 0)] * (x.ndim - 3) + [(n // 2, n - n // 2) for n in map(int, more)] + [(0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(places(x), reach, (-3, -2))  # (..., channels, height, width)
    (down, right), (below, beside) = strides, dilation
    windows = np.moveaxis(windows[..., ::down, ::right, :, ::below, ::beside], -3, -1)
    return rearrange(x, windows.reshape(*windows.shape[:-3], -1))


__all__ = ["affine_transform", "crop_images", "extract_patches", "pad_images", "resize", "rgb_to_grayscale"]
