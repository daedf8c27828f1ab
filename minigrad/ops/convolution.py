"""Convolution and pooling over the axes between the first (samples) and the last (channels).

Sequences (n, steps, c) are images of one line. Where the windows lie in memory is found out once per shape: see
`kernels.convolution`.
"""

import collections
import functools
import itertools
import math

import numpy as np

from minigrad import kernels as K
from minigrad.ops.elementwise import _promote
from minigrad.ops.groups import groups_of, sum_groups, sum_rows
from minigrad.ops.shaping import concatenate, split
from minigrad.program import empty, launch
from minigrad.tensor import as_tensor, constant, op, view


class Windows:
    """Where the windows lie that pass over images (n, h, w), and how the images are padded before.

    Args:
        images: (n, h, w); size, strides, dilation: of a window, a pair for lines and columns each.
        pads: for lines and columns the pixels before and after the image.
        out: how many windows there are below and beside each other.
    """

    def __init__(self, images, size, strides, dilation, pads, out):
        self.images, self.size, self.strides, self.dilation = images, size, strides, dilation
        self.pads, self.out, self.rows = pads, out, images[0] * math.prod(out)
        self.padded = tuple(n + sum(pad) for n, pad in zip(images[1:], pads))
        self.is_padded = any(map(sum, pads))
        self.groups = groups_of(images[0], self.rows)
        axes = zip(images[1:], size, strides, dilation, pads, out, strict=True)
        self.back_pads, self.back_padded, phases = zip(*(_back(*axis) for axis in axes), strict=True)
        self.phases = [Phase(self, *pair) for pair in itertools.product(*phases)]

    def places(self, channels):
        """Where each window begins in the padded images."""
        return _places(self.images[0], self.padded, self.out, self.strides, (0, 0), channels)

    def shifts(self, channels, each=True):
        """Where the elements of a window lie in it; with each=False only its pixels."""
        offsets = (tuple(range(0, k * d, d)) for k, d in zip(self.size, self.dilation))
        return _shifts(self.padded, *offsets, channels, each)

    def pad(self, x, border=0.0):
        """The images with `border` around them."""
        if not self.is_padded:
            return x
        before = [pad[0] for pad in self.pads]
        return _pad(x, self.images[0], (*self.images[1:], *before, *self.padded, 1, 1), border)

    def fill(self, gx, compute):
        """Let `compute(padded)` find the gradient of the padded images, and put that of the images into gx."""
        if not self.is_padded:
            compute(gx)
            return
        padded = empty((self.images[0] * math.prod(self.padded), gx.shape[1]), gx.dtype)
        compute(padded)
        geometry = constant(np.int64, *self.images[1:], *(pad[0] for pad in self.pads), *self.padded, 1, 1)
        launch(K.crop_images, padded, geometry, gx)

    def pad_gradient(self, gy):
        """The gradient of the output with zeros around it, over which the windows of the phases pass."""
        if self.back_padded == self.out:
            return gy
        return _pad(gy, self.images[0], (*self.out, *self.back_pads, *self.back_padded, 1, 1), 0.0)


Along = collections.namedtuple("Along", "taps offsets first count begin")


def _back(n, size, stride, dilation, pad, out):
    """For the gradient of an axis of n pixels: (zeros before that of the output, its length with them, the phases).

    Window o sees pixel i with its element k where i + before = o stride + k dilation. So the pixels i with the same
    remainder r of (i + before) / stride, a phase, are seen by the same elements, k = (r + t stride) / dilation, of the
    windows o = q - t, where q = (i + before - r) / stride: it is a convolution over the gradient of the output.
    """
    found, (before, _) = [], pad
    for r in range(stride):
        seen = [(k, (k * dilation - r) // stride) for k in range(size) if (k * dilation - r) % stride == 0]
        first = (r - before) % stride
        if first < n:
            q, far = (first + before - r) // stride, max((t for _, t in seen), default=0)
            found.append((seen, first, -(-(n - first) // stride), q, far))
    zeros = max(0, *(far - q for *_, q, far in found))
    length = max(zeros + out, *(zeros + q + count for _, _, count, q, _ in found))
    phases = [
        Along(tuple(k for k, _ in seen[::-1]), tuple(far - t for _, t in seen[::-1]), first, count, zeros + q - far)
        for seen, first, count, q, far in found
    ]
    return zeros, length, phases


class Phase:
    """The pixels of the images whose gradient the same elements of the windows take part in: every `strides`-th one."""

    def __init__(self, windows, lines, columns):
        self.windows, self.lines, self.columns = windows, lines, columns
        self.pixels = len(lines.taps) * len(columns.taps)  # of the window

    def tables(self, channels, each=False):
        """The places and the shifts of the windows, over the gradient of the output."""
        padded, lines, columns = self.windows.back_padded, self.lines, self.columns
        begin, count = (lines.begin, columns.begin), (lines.count, columns.count)
        places = _places(self.windows.images[0], padded, count, (1, 1), begin, channels)
        return places, _shifts(padded, lines.offsets, columns.offsets, channels, each)

    def turned(self, w, c, f):
        """The part of the kernel w (pixels, c, f) that takes part, turned round: (pixels, f, c)."""
        turned = empty((self.pixels * f, c), w.dtype)
        index = _turned_round(self.windows.size[1], self.lines.taps, self.columns.taps, c, f)
        launch(K.take, w.reshape(1, -1), index, turned.reshape(1, -1))
        return turned

    def fill(self, gx, compute):
        """Let `compute(y)` find the gradient of these pixels, and put it where they are in gx."""
        windows, (lines, columns) = self.windows, (self.lines, self.columns)
        if len(windows.phases) == 1:
            compute(gx)
            return
        y = empty((windows.images[0] * lines.count * columns.count, gx.shape[1]), gx.dtype)
        if self.pixels:
            compute(y)
        else:
            launch(K.fill, constant(gx.dtype, 0.0), y)
        steps = lines.first, columns.first, *windows.strides
        launch(K.put_pixels, y, constant(np.int64, lines.count, columns.count, *windows.images[1:], *steps), gx)


def _pad(x, n, geometry, border):
    high, wide = geometry[4:6]
    y = empty((n * high * wide, x.shape[1]), x.dtype)
    launch(K.pad_images, x, constant(np.int64, *geometry), constant(x.dtype, border), y)
    return y


@functools.lru_cache(64)  # megabytes, where batches are large; a Program keeps its own
def _places(n, padded, out, strides, begin, channels):
    (high, wide), lines, columns = padded, np.arange(out[0]), np.arange(out[1])
    lines = begin[0] + lines * strides[0]
    columns = begin[1] + columns * strides[1]
    image = np.arange(n)[:, None, None] * high
    words = f"{out[0]}x{out[1]} windows per image" + (f", stride {_by(strides)}" if strides != (1, 1) else "")
    found = (((image + lines[:, None]) * wide + columns) * channels).reshape(n, -1)
    return _fixed(found, words, (padded, out, strides, begin))


@functools.lru_cache(512)
def _shifts(padded, lines, columns, channels, each):
    found = (np.array(lines)[:, None] * padded[1] + np.array(columns)).reshape(-1, 1) * channels
    steps = {b - a for axis in (lines, columns) for a, b in zip(axis, axis[1:])} - {1}
    words = f"window {len(lines)}x{len(columns)}" + "".join(f", dilation {step}" for step in steps)
    return _fixed((found + np.arange(channels) if each else found).reshape(1, -1), words, (lines, columns))


def _by(lengths):
    """Two lengths in words: "2" or "2x1"."""
    return "x".join(map(str, lengths if lengths[0] != lengths[1] else lengths[:1]))


class Table(np.ndarray):
    """An array of integers that says in words what it is; a Program prints them. `geometry` tells `exporting`.

    Of places that is (the size of the padded images, how many windows there are, their strides, where the first one
    begins), and of shifts the lines and the columns of a window.
    """

    words, geometry = "", None


def _fixed(array, words="", geometry=None):
    table = np.ascontiguousarray(array, np.int64).view(Table)
    table.flags.writeable = False
    table.words, table.geometry = words, geometry
    return table


# ------------------------------------------------------------------------------------------ the three products


def _forward(x, w, bias, y, windows, floor=-math.inf):
    """y = max(floor, the convolution + bias); returns the padded images."""
    c = x.shape[1]
    x = windows.pad(x)
    launch(K.convolve, x, windows.places(c), windows.shifts(c), w, bias, constant(x.dtype, floor), y)
    return x


@functools.lru_cache(512)
def _zeros(n, dtype):
    """A bias that is none."""
    zeros = np.zeros((1, n), dtype)
    zeros.flags.writeable = False
    return zeros


def _backward(gy, w, gx, windows):
    """gx = the gradient of the images: windows pass over gy, with the kernel turned round."""
    c, f, gy = gx.shape[1], gy.shape[1], windows.pad_gradient(gy)
    plain = _zeros(c, gx.dtype), constant(gx.dtype, -math.inf)
    for phase in windows.phases:
        phase.fill(gx, lambda y, p=phase: launch(K.convolve, gy, *p.tables(f, True), p.turned(w, c, f), *plain, y))


def _of_images(gy, w, gx, windows):
    """What `_backward` finds; window by window, if these are fewer than the pixels."""
    (pixels, c), is_plain = gx.shape, not windows.is_padded and len(windows.phases) == 1
    if is_plain and 6 * windows.rows <= 5 * pixels and K.convolution.fits(w):
        launch(K.convolve_back, gy, w, windows.places(c), windows.shifts(c), gx)
    else:
        _backward(gy, w, gx, windows)


def _gradient(padded, gy, gw, windows):
    """gw = the gradient of the kernel."""
    c, groups = padded.shape[1], windows.groups
    if groups == 1:
        launch(K.convolve_tn, padded, windows.places(c), windows.shifts(c), gy, gw)
        return
    parts = empty((groups, gw.size), gw.dtype)
    launch(K.convolve_tn_groups, padded, windows.places(c), windows.shifts(c), gy, parts)
    sum_groups(parts, gw)


@functools.lru_cache(512)
def _turned_round(wide, lines, columns, c, f):
    """Where in a kernel (h, wide, c, f) the elements of pixels at `lines` and `columns` stand, as (pixels, f, c)."""
    pixels = (np.array(lines)[:, None] * wide + np.array(columns)).reshape(-1, 1, 1)
    return _fixed((pixels * c * f + np.arange(c * f).reshape(c, f).T).reshape(1, -1))


@op("(r,c), (k,f), (f) -> (m,f)")
def _convolve(y, x, w, bias, m, windows, floor=-math.inf):
    """y = max(floor, windows of x times w + bias)."""
    padded = _forward(x, w, bias, y, windows, floor)

    def vjp(gy, gx, gw, gbias):
        if floor > -math.inf:
            g = empty(gy.shape, gy.dtype)
            launch(K.relu_vjp, gy, y, g)
            gy = g
        if gbias is not None:
            sum_rows(gy, windows.groups, gbias)
        if gw is not None:
            _gradient(padded, gy, gw, windows)
        if gx is not None:
            _of_images(gy, w, gx, windows)

    return vjp


@op("(r,f), (k,f) -> (m,c)")
def _convolve_back(y, x, w, m, c, windows):
    """y = the gradient of the images of a convolution whose output has the gradient x."""
    _backward(x, w, y, windows)

    def vjp(gy, gx, gw):
        target = gx if gx is not None else empty(x.shape, x.dtype)
        padded = _forward(gy, w, _zeros(w.shape[1], w.dtype), target, windows)
        if gw is not None:
            _gradient(padded, x, gw, windows)

    return vjp


@op("(r,c), (k,f) -> (m,f)")
def _convolve_depthwise(y, x, w, m, windows):
    """y = windows of x times w, each channel by itself."""
    c = x.shape[1]
    padded = windows.pad(x)
    launch(K.convolve_depthwise, padded, windows.places(c), windows.shifts(c, False), w, y)

    def vjp(gy, gx, gw):
        f = gy.shape[1]
        if gw is not None:
            tables = windows.places(c), windows.shifts(c, False)
            parts = empty((windows.groups, gw.size), gw.dtype)
            launch(K.convolve_depthwise_tn, padded, *tables, gy, parts)
            sum_groups(parts, gw)
        if gx is not None:
            images = windows.pad_gradient(gy)
            kernel = K.convolve_depthwise if f == c else K.convolve_depthwise_back
            for phase in windows.phases:
                phase.fill(gx, lambda y, p=phase: launch(kernel, images, *p.tables(f), p.turned(w, f, 1), y))

    return vjp


@op("(r,c) -> (m,c)")
def _max_pool(y, x, m, windows):
    """y = the largest of each window; dy goes to the first of the largest."""
    padded, c = windows.pad(x, -math.inf), x.shape[1]
    tables = windows.places(c), windows.shifts(c, False)
    launch(K.max_pool, padded, *tables, y)

    def vjp(gy, gx):
        windows.fill(gx, lambda gpadded: launch(K.max_pool_vjp, padded, *tables, y, gy, gpadded))

    return vjp


@op("(r,c) -> (m,c)")
def _average_pool(y, x, m, windows):
    """y = the mean of each window, of those of its pixels that lie in the image; dy is shared among them."""
    padded, c = windows.pad(x), x.shape[1]
    tables = windows.places(c), windows.shifts(c, False)
    share = _shares(windows, x.dtype)
    launch(K.sum_pool, padded, *tables, share, y)

    def vjp(gy, gx):
        windows.fill(gx, lambda gpadded: launch(K.sum_pool_vjp, gy, *tables, share, gpadded))

    return vjp


def _shares(windows, dtype):
    """One over the number of pixels of each window that lie in the image, (windows, 1)."""
    counts = [
        np.array([sum(0 <= i * s + k - pad[0] < n for k in range(size)) for i in range(out)])
        for n, pad, size, s, out in zip(windows.images[1:], windows.pads, windows.size, windows.strides, windows.out)
    ]
    counts = np.tile((counts[0][:, None] * counts[1]).reshape(-1), windows.images[0])
    return (1.0 / counts).astype(dtype).reshape(-1, 1)


# ------------------------------------------------------------------------------------------------------- public


def _several(name, what, value, rank):
    """An int, or one for each axis, as a tuple of positive ints."""
    found = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(found) != rank or not all(isinstance(n, (int, np.integer)) and n > 0 for n in found):
        raise ValueError(f"{name}: {what} must be a positive int or {rank} of them; got {value!r}.")
    return tuple(map(int, found))


def padded_length(n, size, stride, dilation, padding):
    """(pixels before, pixels after, windows) of an axis of n pixels; None for windows if there are none."""
    reach = (size - 1) * dilation + 1
    if padding == "valid":
        return 0, 0, (n - reach) // stride + 1 if n >= reach else None
    count = -(-n // stride)
    if padding == "causal":
        return reach - 1, 0, count
    missing = max((count - 1) * stride + reach - n, 0)
    return missing // 2, missing - missing // 2, count


def transposed_length(n, size, stride, dilation, padding, more=None):
    """How many pixels an axis of n pixels has after a transposed convolution; `more` is the output_padding, or None."""
    reach = (size - 1) * dilation + 1
    if more is None:
        return n * stride + (max(reach - stride, 0) if padding == "valid" else 0)
    return (n - 1) * stride + reach + more - (2 * (reach // 2) if padding == "same" else 0)


def _checked(name, x, padding, data_format, known=("valid", "same")):
    """x as a tensor (n, ..., c), and the padding in lower case."""
    x, padding = as_tensor(x), str(padding).lower()
    if data_format not in (None, "channels_last"):
        raise ValueError(f"{name}: the channels must be last, data_format='channels_last'; got {data_format!r}.")
    if padding not in known:
        raise ValueError(f"{name}: padding must be one of {', '.join(map(repr, known))}; got {padding!r}.")
    if x.ndim not in (3, 4):
        raise ValueError(f"{name} expects sequences (n, steps, channels) or images (n, h, w, channels); got {x.shape}.")
    return x, padding


def _windows(name, shape, size, strides, dilation, padding):
    """The Windows over tensors of this shape, (n, steps, c) or (n, h, w, c)."""
    axes = []
    for n, k, s, d in zip(shape[1:-1], size, strides, dilation, strict=True):
        axes.append(padded_length(n, k, s, d, padding))
        if not axes[-1][-1]:
            raise ValueError(f"{name}: an image of {shape[1:-1]} is smaller than the window of {size}.")
    return _known_windows((shape[0], *_pair(shape[1:-1])), _pair(size), _pair(strides), _pair(dilation), tuple(axes))


def _pair(lengths):
    """Of a sequence, which is an image of one line, the lengths of both axes."""
    return (1, *lengths) if len(lengths) == 1 else tuple(lengths)


@functools.lru_cache(512)
def _known_windows(images, size, strides, dilation, axes):
    axes = ((0, 0, 1), *axes) if len(axes) == 1 else axes
    return Windows(images, size, strides, dilation, [axis[:2] for axis in axes], tuple(axis[2] for axis in axes))


def _flat(x):
    return view(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _result(y, x, windows):
    """y, one row per window, as images or sequences like x."""
    return view(y, (x.shape[0], *windows.out[4 - x.ndim :], y.shape[1]))


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """The convolution of sequences (n, steps, c) or images (n, h, w, c) with a kernel (size, c, f) or (h, w, c, f).

    y = the sum of kernel[p] x[place + p] over the pixels p of the window at each place: (n, ..., f). If the kernel has
    c / g channels, the channels of x and of y are g groups, each with a part of the kernel. As in Keras, it is the
    cross-correlation: the kernel is not turned round. `padding` is "valid", "same" or, of sequences, "causal".
    """
    return biased_conv(inputs, kernel, None, strides, padding, data_format, dilation_rate)


def biased_conv(inputs, kernel, bias, strides, padding, data_format, dilation_rate, floor=-math.inf):
    """max(floor, conv(inputs, kernel, ...) + bias), in one pass over memory; `bias` may be None."""
    x, padding = _checked("conv", inputs, padding, data_format, ("valid", "same", "causal"))
    x, kernel = _promote(x, kernel)
    rank = x.ndim - 2
    if kernel.ndim != x.ndim or x.shape[-1] % kernel.shape[-2] or (padding == "causal" and rank > 1):
        raise ValueError(f"conv: a kernel of shape {kernel.shape} and {padding!r} padding do not fit {x.shape}.")
    groups, size = x.shape[-1] // kernel.shape[-2], kernel.shape[:-2]
    if groups > 1:
        if kernel.shape[-1] % groups:
            raise ValueError(f"conv: {kernel.shape[-1]} filters can't be divided into {groups} groups.")
        parts = [split(x, groups, axis=-1), split(kernel, groups, axis=-1)]
        parts.append([None] * groups if bias is None else split(bias, groups))
        rest = strides, padding, None, dilation_rate, floor
        return concatenate([biased_conv(*part, *rest) for part in zip(*parts, strict=True)], axis=-1)
    strides = _several("conv", "strides", strides, rank)
    windows = _windows("conv", x.shape, size, strides, _several("conv", "dilation_rate", dilation_rate, rank), padding)
    if bias is None:
        bias = as_tensor(_zeros(kernel.shape[-1], kernel.dtype)[0])
    y = _convolve(_flat(x), _flat(kernel), bias, m=windows.rows, windows=windows, floor=floor)
    return _result(y, x, windows)


def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """A convolution of each channel by itself; the kernel (..., c, k) makes k channels of each, so y has c k."""
    x, padding = _checked("depthwise_conv", inputs, padding, data_format, ("valid", "same", "causal"))
    x, kernel = _promote(x, kernel)
    rank = x.ndim - 2
    if kernel.ndim != x.ndim or kernel.shape[-2] != x.shape[-1]:
        raise ValueError(f"depthwise_conv: a kernel of shape {kernel.shape} does not fit inputs {x.shape}.")
    strides = _several("depthwise_conv", "strides", strides, rank)
    dilation = _several("depthwise_conv", "dilation_rate", dilation_rate, rank)
    windows = _windows("depthwise_conv", x.shape, kernel.shape[:-2], strides, dilation, padding)
    w = view(kernel, (math.prod(windows.size), kernel.shape[-2] * kernel.shape[-1]))
    return _result(_convolve_depthwise(_flat(x), w, m=windows.rows, windows=windows), x, windows)


def separable_conv(
    inputs, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format=None, dilation_rate=1
):
    """A depthwise convolution, then one with windows of one pixel."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    """The transpose of a convolution: images become about `strides` times as large. The kernel is (..., f, c).

    A convolution of images (n, ..., f) with this kernel is a linear function A that makes c channels. This function
    multiplies images (n, ..., c) by the transpose of A.
    """
    x, padding = _checked("conv_transpose", inputs, padding, data_format)
    x, kernel = _promote(x, kernel)
    rank = x.ndim - 2
    if kernel.ndim != x.ndim or kernel.shape[-1] != x.shape[-1]:
        raise ValueError(f"conv_transpose: a kernel of shape {kernel.shape} does not fit inputs {x.shape}.")
    strides = _several("conv_transpose", "strides", strides, rank)
    dilation = _several("conv_transpose", "dilation_rate", dilation_rate, rank)
    more = output_padding if isinstance(output_padding, (tuple, list)) else (output_padding,) * rank
    each = zip(x.shape[1:-1], kernel.shape, strides, dilation, (padding,) * rank, more, strict=False)
    lengths = [transposed_length(*axis) for axis in each]
    c, axes = kernel.shape[-2], []
    for n, m, k, s, d, extra in zip(x.shape[1:-1], lengths, kernel.shape, strides, dilation, more, strict=False):
        before, after, _ = padded_length(m, k, s, d, padding)
        if extra is not None and padding == "same":
            before = ((k - 1) * d + 1) // 2
        axes.append((before, max(0, (n - 1) * s + (k - 1) * d + 1 - m - before), n))
    images = (x.shape[0], *_pair(lengths))
    windows = _known_windows(images, _pair(kernel.shape[:-2]), _pair(strides), _pair(dilation), tuple(axes))
    y = _convolve_back(_flat(x), _flat(kernel), m=math.prod(images), c=c, windows=windows)
    return view(y, (x.shape[0], *lengths, c))


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest number of each window, each channel by itself; `strides` are by default the size of the window."""
    return _pooled("max_pool", _max_pool, inputs, pool_size, strides, padding, data_format)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of each window, each channel by itself; where it leaves the image, of what lies in it."""
    return _pooled("average_pool", _average_pool, inputs, pool_size, strides, padding, data_format)


def _pooled(name, pool, inputs, pool_size, strides, padding, data_format):
    x, padding = _checked(name, inputs, padding, data_format)
    rank = x.ndim - 2
    size = _several(name, "pool_size", pool_size, rank)
    strides = size if strides is None else _several(name, "strides", strides, rank)
    windows = _windows(name, x.shape, size, strides, (1,) * rank, padding)
    return _result(pool(_flat(x), m=windows.rows, windows=windows), x, windows)
