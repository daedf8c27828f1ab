"""Picture files and arrays: `load_img` and `img_to_array` read, `array_to_img` and `save_img` write."""

import io
import os

import numpy as np

from minigrad import config
from minigrad.checks import extra, warn
from minigrad.spelling import explaining

MODES = {"grayscale": ("L", 1), "rgb": ("RGB", 3), "rgba": ("RGBA", 4)}  # color_mode: Pillow's name, channels
_GRAY = ("L", "I;16", "I")  # Pillow's modes of one channel: 8, 16 and 32 bits
_METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow(name):
    """A module of Pillow, such as Image.

    Raises:
        ImportError: Pillow is not there.
    """
    with extra("Pictures are read, written and brightened with Pillow", "Pillow"):
        from PIL import Image, ImageEnhance  # an extra: only who reads or writes pictures needs it
    return {"Image": Image, "ImageEnhance": ImageEnhance}[name]


def channels_of(color_mode):
    """The number of channels of pictures in a color mode."""
    if color_mode not in MODES:
        raise ValueError(f"color_mode must be 'grayscale', 'rgb' or 'rgba', got {color_mode!r}.")
    return MODES[color_mode][1]


def checked_size(size, name):
    """(height, width) as a tuple of two ints; an int stands for both."""
    try:
        height, width = (size, size) if isinstance(size, (int, np.integer)) else size
        height, width = int(height), int(width)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise ValueError(f"{name} must be (height, width), two positive integers; got {size!r}.")
    return height, width


def _comes_first(data_format):
    """Whether the channels come before rows and columns."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first', got {data_format!r}.")
    return data_format == "channels_first"


def only_channels_last(data_format, what):
    """Raise a ValueError if the channels are to come first, which no layer of minigrad takes."""
    if _comes_first(data_format):
        raise ValueError(
            f"{what}: minigrad's layers take channels_last, (rows, height, width, channels). Leave data_format out; "
            "for other uses, np.moveaxis(x, -1, 1) puts the channels of a batch first."
        )


@explaining
def load_img(path, color_mode="rgb", target_size=None, interpolation="nearest", keep_aspect_ratio=False):
    """Read a picture file; returns a picture of Pillow. `img_to_array` makes an array of it.

    Args:
        path: the name of the file (str, bytes or a pathlib.Path), or a binary file that is open, such as a BytesIO.
        color_mode: "rgb", "rgba" or "grayscale". A gray picture of 16 or 32 bits keeps them.
        target_size: (height, width) to resize to; None keeps the size.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: crop in the middle to the proportions of target_size before resizing.

    Raises:
        ImportError: Pillow is not installed. OSError: there is no such file, or it holds no picture.
    """
    image = pillow("Image")
    channels_of(color_mode)
    if not hasattr(path, "read") and not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"load_img expects a path or a binary file, got {path!r} ({type(path).__name__}).")
    if hasattr(path, "read"):
        img = image.open(path)
    else:
        with open(path, "rb") as file:
            img = image.open(io.BytesIO(file.read()))
    mode = MODES[color_mode][0]
    if img.mode != mode and not (mode == "L" and img.mode in _GRAY):
        img = img.convert(mode)
    if target_size is None:
        return img
    height, width = checked_size(target_size, "target_size")
    if img.size == (width, height):
        return img
    if interpolation not in _METHODS:
        raise ValueError(f"interpolation must be one of {', '.join(_METHODS)}; got {interpolation!r}.")
    box = _middle(*img.size, width, height) if keep_aspect_ratio else None
    return img.resize((width, height), getattr(image.Resampling, interpolation.upper()), box=box)


def _middle(width, height, new_width, new_height):
    """(left, upper, right, lower) of the largest part in the middle with the proportions of the new size."""
    part_width = min(width, height * new_width // new_height)
    part_height = min(height, width * new_height // new_width)
    left, upper = (width - part_width) // 2, (height - part_height) // 2
    return left, upper, left + part_width, upper + part_height


def img_to_array(img, data_format=None, dtype=None):
    """The array (height, width, channels) of a picture of Pillow, or of an array with or without channels.

    Args:
        data_format: "channels_first" gives (channels, height, width).
        dtype: by default floatx.
    """
    comes_first = _comes_first(data_format)
    x = np.asarray(img, dtype=dtype or config.floatx())
    if x.ndim not in (2, 3):
        raise ValueError(f"img_to_array expects one picture, of 2 or 3 axes; got the shape {x.shape}.")
    x = x[..., None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if comes_first else x


def array_to_img(x, data_format=None, scale=True, dtype=None):
    """A picture of Pillow from an array (height, width, channels) with 1, 3 or 4 channels.

    Args:
        data_format: "channels_first" for an array (channels, height, width).
        scale: stretch the values so that they reach from 0 to 255; without it, they are those of the picture.
        dtype: in which the values are stretched, by default floatx.
    """
    image = pillow("Image")
    comes_first = _comes_first(data_format)
    x = np.asarray(x, dtype=dtype or config.floatx())
    if x.ndim != 3:
        raise ValueError(f"array_to_img expects one picture, of 3 axes; got the shape {x.shape}.")
    x = x.transpose(1, 2, 0) if comes_first else x
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img expects 1, 3 or 4 channels, got {x.shape[2]}: the shape is {x.shape}.")
    if scale:
        x = x - np.min(x)
        largest = np.max(x)
        x = (x / largest if largest != 0 else x) * 255
    if x.shape[2] > 1:
        return image.fromarray(x.astype("uint8"))
    return image.fromarray(x[:, :, 0].astype("int32" if np.max(x) > 255 else "uint8"))


def save_img(path, x, data_format=None, file_format=None, scale=True, **kwargs):
    """Write an array as a picture file.

    Args:
        path: the name of the file, or a binary file that is open; for that, give file_format.
        x, data_format, scale: see `array_to_img`.
        file_format: such as "png"; by default, what the name of the file says.
        **kwargs: for Pillow, such as quality=90.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(path)[1][1:]
    file_format = "jpeg" if (file_format or "").lower() == "jpg" else file_format
    img = array_to_img(x, data_format, scale)
    if img.mode == "RGBA" and (file_format or "").lower() == "jpeg":
        warn("A JPEG file has no transparency: the fourth channel is left out.")
        img = img.convert("RGB")
    img.save(path, format=file_format or None, **kwargs)
