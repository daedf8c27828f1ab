"""Convolution and pooling of images (n h w, c), one pixel per row, whose windows overlap in memory: nothing is copied.

Element p of window r is x[places[r] + shifts[p]], counted in elements of the whole image: `places` says where windows
begin, `shifts` where in a window something lies. A convolution is the product of the windows with the kernel, whose
rows the tiles of a product read by these tables. (Dukhan, The Indirect Convolution Algorithm, 2019, arXiv:1907.02129.)
"""

import numpy as np

from minigrad.kernels.tiles import block, pack, tiles_at
from minigrad.kernels.vectors import HAS_TILES, PACKED, VECTORS, at, per_register, scratch
from minigrad.program import helper, kernel

CHUNK = 256  # windows, or rows of the gradient, that are computed with at a time


@helper
def _require_inside(x, places, shifts, channels=1):
    """Raise a ValueError if a window leaves the image; at each place of it there are so many numbers."""
    if places.size == 0 or shifts.size == 0:
        return
    first, last, low, high = places[0, 0], places[0, 0], shifts[0, 0], shifts[0, 0]
    for i in range(np.uint64(places.size)):
        first, last = min(first, places[0, i]), max(last, places[0, i])
    for p in range(np.uint64(shifts.size)):
        low, high = min(low, shifts[0, p]), max(high, shifts[0, p])
    if first + low < 0 or last + high + channels > x.size:
        raise ValueError("a window leaves the image")


@helper
def _rows_of(part, y):
    """The first row of a part, and how many there are."""
    top = min(part[0, 0], y.shape[0])
    return top, min(part[0, 1], y.shape[0]) - top


@helper
def _columns_of(part, y):
    """The first column of a part, and how many there are."""
    left = min(part[0, 2], y.shape[1])
    return left, min(part[0, 3], y.shape[1]) - left


@kernel(cost=lambda x, places, shifts, w, y: shifts.size * y.size)
def convolve(x, places: "int64", shifts: "int64", w, y: "rows out", part: "int64"):
    """y = windows of x times w, a row of y for each of `places` and a row of w for each of `shifts`"""
    _require_inside(x, places, shifts)
    if places.size != y.shape[0] or shifts.size != w.shape[0] or w.shape[1] != y.shape[1]:
        raise ValueError("y has a row for each place and the columns of w, which has a row for each shift")
    (top, m), (k, n) = _rows_of(part, y), w.shape
    if not HAS_TILES or m * n * k == 0:
        _convolve_plainly(x, places, shifts, w, y, top, m)
        return
    packed, edge, wide = scratch(y), scratch(y), VECTORS * per_register(y)
    depth = min(k, PACKED // (4 * wide))
    width = PACKED // depth // wide * wide
    for first in range(0, k, depth):
        deep = min(depth, k - first)
        for left in range(0, n, width):
            across = min(width, n - left)
            pack(across, deep, block(w, first, left), packed)
            for i in range(top, top + m, CHUNK):
                size = min(CHUNK, top + m - i), across, deep
                tables = at(places, i), at(shifts, first)
                tiles_at(size, at(x, 0), *tables, packed, edge, block(y, i, left), first)


@helper
def _convolve_plainly(x, places, shifts, w, y, top, m):
    """What `convolve` does where there are no tiles."""
    numbers = at(x, 0)
    for i in range(top, top + m):
        for j in range(y.shape[1]):
            y[i, j] = y.dtype.type(0)
        for p in range(shifts.size):
            value = numbers[places[0, i] + shifts[0, p]]
            for j in range(y.shape[1]):
                y[i, j] += value * w[p, j]


@kernel(cost=lambda x, places, shifts, gy, gw: shifts.size * gy.size)
def convolve_tn(x, places: "int64", shifts: "int64", gy: "columns", gw: "columns out", part: "int64"):
    """gw = (windows of x)^T gy, a row of gw for each of `shifts`: the gradient of the kernel"""
    _require_inside(x, places, shifts)
    if places.size != gy.shape[0] or shifts.size != gw.shape[0] or gy.shape[1] != gw.shape[1]:
        raise ValueError("gy has a row for each place and the columns of gw, which has a row for each shift")
    (left, n), m, k = _columns_of(part, gw), shifts.size, places.size
    if not HAS_TILES or m * n * k == 0:
        _gradient_plainly(x, places, shifts, gy, gw, left, n)
        return
    packed, edge, depth = scratch(gw), scratch(gw), min(CHUNK, PACKED // (n + VECTORS * per_register(gw)))
    for first in range(0, k, depth):
        deep = min(depth, k - first)
        pack(n, deep, block(gy, first, left), packed)
        tiles_at((m, n, deep), at(x, 0), at(shifts, 0), at(places, first), packed, edge, block(gw, 0, left), first)


@helper
def _gradient_plainly(x, places, shifts, gy, gw, left, n):
    """What `convolve_tn` does where there are no tiles."""
    numbers = at(x, 0)
    for p in range(shifts.size):
        for j in range(left, left + n):
            gw[p, j] = gw.dtype.type(0)
    for i in range(places.size):
        for p in range(shifts.size):
            value = numbers[places[0, i] + shifts[0, p]]
            for j in range(left, left + n):
                gw[p, j] += value * gy[i, j]


@kernel(cost=lambda x, places, shifts, w, y: shifts.size * y.size)
def convolve_depthwise(x, places: "int64", shifts: "int64", w, y: "rows out", part: "int64"):
    """y = windows of x times w, each channel by itself; y has w.shape[1] / x.shape[1] columns per channel of x"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != y.shape[0] or w.shape[0] != shifts.size or w.shape[1] != y.shape[1]:
        raise ValueError("y has a row for each place and the columns of w, which has a row for each shift")
    if y.shape[1] % x.shape[1]:
        raise ValueError("y has as many columns for each channel of x")
    (top, m), times, numbers = _rows_of(part, y), y.shape[1] // x.shape[1], at(x, 0)
    for i in range(top, top + m):
        for j in range(y.shape[1]):
            y[i, j] = y.dtype.type(0)
        for p in range(shifts.size):
            begin = places[0, i] + shifts[0, p]
            if times == 1:
                for j in range(np.uint64(y.shape[1])):
                    y[i, j] += numbers[begin + j] * w[p, j]
            else:
                for j in range(y.shape[1]):
                    y[i, j] += numbers[begin + j // times] * w[p, j]


@kernel(cost=lambda x, places, shifts, gy, gw: shifts.size * gy.size)
def convolve_depthwise_tn(x, places: "int64", shifts: "int64", gy: "columns", gw: "columns out", part: "int64"):
    """gw = the gradient of the kernel of `convolve_depthwise`"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != gy.shape[0] or gw.shape[0] != shifts.size or gw.shape[1] != gy.shape[1]:
        raise ValueError("gy has a row for each place and the columns of gw, which has a row for each shift")
    if gy.shape[1] % x.shape[1]:
        raise ValueError("gy has as many columns for each channel of x")
    (left, n), times, numbers = _columns_of(part, gw), gy.shape[1] // x.shape[1], at(x, 0)
    for p in range(shifts.size):
        for j in range(left, left + n):
            gw[p, j] = gw.dtype.type(0)
    for i in range(places.size):
        for p in range(shifts.size):
            begin = places[0, i] + shifts[0, p]
            if times == 1:
                for j in range(np.uint64(left), np.uint64(left + n)):
                    gw[p, j] += numbers[begin + j] * gy[i, j]
            else:
                for j in range(left, left + n):
                    gw[p, j] += numbers[begin + j // times] * gy[i, j]


@kernel(cost=lambda x, places, shifts, w, y: shifts.size * x.size)
def convolve_depthwise_back(x, places: "int64", shifts: "int64", w, y: "rows out", part: "int64"):
    """y = windows of x times w, summed over the columns of a channel of y: x and w have several columns per channel"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != y.shape[0] or w.shape[0] != shifts.size or w.shape[1] != x.shape[1] or x.shape[1] % y.shape[1]:
        raise ValueError("y has a row for each place, and w a row for each shift and the columns of x")
    (top, m), times, numbers = _rows_of(part, y), x.shape[1] // y.shape[1], at(x, 0)
    for i in range(top, top + m):
        for j in range(y.shape[1]):
            y[i, j] = y.dtype.type(0)
        for p in range(shifts.size):
            begin = places[0, i] + shifts[0, p]
            for j in range(x.shape[1]):
                y[i, j // times] += numbers[begin + j] * w[p, j]


@kernel
def pad_images(x, geometry: "int64", border, y: "out"):
    """y = images x with `border` around them, and zeros between their pixels

    The geometry is (n, h, w), the pixels on top and to the left, (H, W) of y, and the steps from pixel to pixel in y.
    """
    n, h, w, above, before, high, wide, step, stride = geometry[0]
    if x.shape[0] != n * h * w or y.shape[0] != n * high * wide or x.shape[1] != y.shape[1]:
        raise ValueError("pad_images: the arrays have other sizes than the geometry says")
    for image in range(n):
        for line in range(high):
            source, rest = divmod(line - above, step)
            is_there = line - above >= 0 and rest == 0 and source < h
            begin = (image * high + line) * wide
            for column in range(wide):
                place, left = divmod(column - before, stride)
                is_pixel = is_there and column - before >= 0 and left == 0 and place < w
                row = (image * h + source) * w + place
                for c in range(x.shape[1]):
                    y[begin + column, c] = x[row, c] if is_pixel else border[0, 0]


@kernel
def crop_images(y, geometry: "int64", x: "out"):
    """x = the images of which `pad_images` has made y"""
    n, h, w, above, before, high, wide, _, _ = geometry[0]
    if x.shape[0] != n * h * w or y.shape[0] != n * high * wide or x.shape[1] != y.shape[1]:
        raise ValueError("crop_images: the arrays have other sizes than the geometry says")
    for image in range(n):
        for line in range(h):
            for column in range(w):
                row = (image * high + above + line) * wide + before + column
                for c in range(x.shape[1]):
                    x[(image * h + line) * w + column, c] = y[row, c]


@kernel(cost=lambda x, places, shifts, y: shifts.size * y.size)
def max_pool(x, places: "int64", shifts: "int64", y: "rows out", part: "int64"):
    """y = the largest of each window, each channel by itself; a NaN is larger than all"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != y.shape[0] or x.shape[1] != y.shape[1] or shifts.size == 0:
        raise ValueError("y has a row for each place and the channels of x")
    (top, m), numbers = _rows_of(part, y), at(x, 0)
    for i in range(top, top + m):
        begin = places[0, i] + shifts[0, 0]
        for c in range(np.uint64(y.shape[1])):
            y[i, c] = numbers[begin + c]
        for p in range(1, shifts.size):
            begin = places[0, i] + shifts[0, p]
            for c in range(np.uint64(y.shape[1])):
                value = numbers[begin + c]
                y[i, c] = y[i, c] if y[i, c] >= value or y[i, c] != y[i, c] else value


@helper
def _max_pool_vjp(x, places, shifts, y, gy, gx, top, m):
    numbers, target, left, zero = at(x, 0), at(gx, 0), scratch(y), y.dtype.type(0)
    for i in range(top, top + m):
        for c in range(np.uint64(y.shape[1])):
            left[c] = gy[i, c]  # until it is found where it belongs
        for p in range(shifts.size):
            begin = places[0, i] + shifts[0, p]
            for c in range(np.uint64(y.shape[1])):
                value = numbers[begin + c]
                is_largest = value == y[i, c] or value != value
                target[begin + c] += left[c] if is_largest else zero
                left[c] = zero if is_largest else left[c]


@kernel(cost=lambda x, places, shifts, y, gy, gx: shifts.size * y.size)
def max_pool_vjp(x, places: "int64", shifts: "int64", y: "rows", gy: "rows", gx: "out", part: "int64"):
    """gx += gy where the largest of each window is, the first one of several; the windows do not overlap"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != y.shape[0] or y.shape != gy.shape or x.shape != gx.shape or x.shape[1] != y.shape[1]:
        raise ValueError("gx is like x, and gy like y, which has a row for each place and the channels of x")
    top, m = _rows_of(part, y)
    _max_pool_vjp(x, places, shifts, y, gy, gx, top, m)


@kernel
def max_pool_overlapping_vjp(x, places: "int64", shifts: "int64", y, gy, gx: "out"):
    """gx += gy where the largest of each window is, the first one of several"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != y.shape[0] or y.shape != gy.shape or x.shape != gx.shape or x.shape[1] != y.shape[1]:
        raise ValueError("gx is like x, and gy like y, which has a row for each place and the channels of x")
    _max_pool_vjp(x, places, shifts, y, gy, gx, 0, y.shape[0])


@kernel(cost=lambda x, places, shifts, share, y: shifts.size * y.size)
def sum_pool(x, places: "int64", shifts: "int64", share, y: "rows out", part: "int64"):
    """y = the sum of each window times its share, each channel by itself"""
    _require_inside(x, places, shifts, x.shape[1])
    if places.size != y.shape[0] or share.size != y.shape[0] or x.shape[1] != y.shape[1]:
        raise ValueError("y has a row for each place and share, and the channels of x")
    (top, m), numbers = _rows_of(part, y), at(x, 0)
    for i in range(top, top + m):
        for c in range(y.shape[1]):
            y[i, c] = y.dtype.type(0)
        for p in range(shifts.size):
            begin = places[0, i] + shifts[0, p]
            for c in range(np.uint64(y.shape[1])):
                y[i, c] += numbers[begin + c]
        for c in range(np.uint64(y.shape[1])):
            y[i, c] *= share[0, i]


@helper
def _share_out(gy, places, shifts, share, gx):
    target = at(gx, 0)
    for i in range(gy.shape[0]):
        for p in range(shifts.size):
            begin = places[0, i] + shifts[0, p]
            for c in range(np.uint64(gy.shape[1])):
                target[begin + c] += gy[i, c] * share[0, i]


@kernel
def sum_pool_vjp(gy, places: "int64", shifts: "int64", share, gx: "out"):
    """gx += gy times the share of its window, in all of the window"""
    _require_inside(gx, places, shifts, gx.shape[1])
    if places.size != gy.shape[0] or share.size != gy.shape[0] or gx.shape[1] != gy.shape[1]:
        raise ValueError("gy has a row for each place and share, and the channels of gx")
    _share_out(gy, places, shifts, share, gx)
