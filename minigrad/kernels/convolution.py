"""Convolution and pooling of images (n h w, c), one pixel per row, whose windows overlap in memory: nothing is copied.

Element p of window r is x[places[r] + shifts[p]], counted in elements of all images: `places`, a row per image, says
where windows begin, `shifts` where in a window something lies. A convolution is the product of the windows with the
kernel; the tiles of this product find their rows by these tables. (Dukhan, The Indirect Convolution Algorithm, 2019,
arXiv:1907.02129.)
"""

import numpy as np

from minigrad.kernels.tiles import block, pack, pack_turned, packed_panels, tiles, tiles_at
from minigrad.kernels.vectors import BITS, HAS_TILES, PACKED, VECTORS, at, per_register, scratch
from minigrad.program import helper, kernel

CHUNK = 256  # windows, or rows of the gradient, that are computed with at a time


@helper
def _windows(x, places, shifts, top, m, channels=1):
    """Where the m windows from number `top` on begin. At each place of a window so many numbers are read.

    Raises a ValueError if a window leaves the images.
    """
    begin = at(places, top)
    if m > 0 and shifts.size > 0:
        first, last, low, high = begin[0], begin[0], shifts[0, 0], shifts[0, 0]
        for i in range(np.uint64(m)):
            first, last = min(first, begin[i]), max(last, begin[i])
        for p in range(np.uint64(shifts.size)):
            low, high = min(low, shifts[0, p]), max(high, shifts[0, p])
        if first + low < 0 or last + high + channels > x.size:
            raise ValueError("a window leaves the image")
    return begin


@helper
def _rows_of(part, y):
    """The first row of a part of y, and how many there are."""
    top = min(part[0, 0], y.shape[0])
    return top, min(part[0, 1], y.shape[0]) - top


@helper
def _windows_of(part, x, places):
    """The first window in the images of a part, which is given in rows of the images x, and how many there are."""
    top, m = _rows_of(part, x)
    pixels = max(x.shape[0] // max(places.shape[0], 1), 1)
    return top // pixels * places.shape[1], m // pixels * places.shape[1]


@helper
def _columns_of(part, y):
    """The first column of a part of y, and how many there are."""
    left = min(part[0, 2], y.shape[1])
    return left, min(part[0, 3], y.shape[1]) - left


@kernel(cost=lambda x, places, shifts, w, bias, floor, y: shifts.size * y.size)
def convolve(
    x: "samples", places: "int64 images", shifts: "int64", w, bias, floor: "number", y: "rows out", part: "int64"
):
    """y = max(floor, windows of x times w + bias), a row of y for each of `places`, a row of w for each of `shifts`

    floor = 0 is relu, floor = -inf is none.
    """
    if places.size != y.shape[0] or shifts.size != w.shape[0] or w.shape[1] != y.shape[1]:
        raise ValueError("y has a row for each place and the columns of w, which has a row for each shift")
    (top, m), (k, n) = _rows_of(part, y), w.shape
    begin = _windows(x, places, shifts, top, m)
    if not HAS_TILES or m * n * k == 0:
        _convolve_plainly(at(x, 0), begin, shifts, w, y, top, m)
        _finish(y, bias, floor, top, m, 0, n)
        return
    packed, edge, wide = scratch(y), scratch(y), VECTORS * per_register(y)
    depth = min(k, PACKED // (4 * wide))
    width = PACKED // depth // wide * wide
    for first in range(0, k, depth):
        deep = min(depth, k - first)
        for left in range(0, n, width):
            across = min(width, n - left)
            pack(across, deep, block(w, first, left), packed)
            for i in range(0, m, CHUNK):
                size = min(CHUNK, m - i), across, deep
                tables = at(begin, i), at(shifts, first)
                panels = packed_panels(across, deep, packed)
                tiles_at(size, at(x, 0), *tables, panels, edge, block(y, top + i, left), first)
                if first + deep == k:  # while these rows are in the nearest cache
                    _finish(y, bias, floor, top + i, size[0], left, across)


@helper
def _finish(y, bias, floor, top, m, left, n):
    """y = max(floor, y + bias), m rows and n columns of it; a NaN stays a NaN"""
    least, left, end = floor[0, 0], np.uint64(left), np.uint64(left + n)
    for i in range(top, top + m):
        for j in range(left, end):
            v = y[i, j] + bias[0, j]
            y[i, j] = least if v < least else v


@helper
def _convolve_plainly(x, places, shifts, w, y, top, m):
    """What `convolve` does where there are no tiles."""
    for i in range(m):
        for j in range(y.shape[1]):
            y[top + i, j] = y.dtype.type(0)
        for p in range(shifts.size):
            value = x[places[i] + shifts[0, p]]
            for j in range(y.shape[1]):
                y[top + i, j] += value * w[p, j]


@helper
def _gradient(x, places, shifts, k, gy, first, left, n, gw, begin):
    """gw = (windows of x)^T gy, of k windows and rows of gy from `first` on; n columns from `left` on.

    The elements of gw are counted from `begin` on, with a row for each of `shifts`.
    """
    m, columns = shifts.size, gy.shape[1]
    if not HAS_TILES or m * n * k == 0:
        _gradient_plainly(at(x, 0), places, shifts, k, gy, first, left, n, at(gw, begin))
        return
    packed, edge, depth = scratch(gw), scratch(gw), min(CHUNK, PACKED // (n + VECTORS * per_register(gw)))
    for i in range(0, k, depth):
        deep = min(depth, k - i)
        pack(n, deep, block(gy, first + i, left), packed)
        target = gw, begin + left, columns
        tiles_at((m, n, deep), at(x, 0), at(shifts, 0), at(places, i), packed_panels(n, deep, packed), edge, target, i)


@helper
def _gradient_plainly(x, places, shifts, k, gy, first, left, n, target):
    """What `_gradient` does where there are no tiles."""
    columns, zero = gy.shape[1], gy.dtype.type(0)
    for p in range(shifts.size):
        for j in range(left, left + n):
            target[p * columns + j] = zero
    for i in range(k):
        for p in range(shifts.size):
            value = x[places[i] + shifts[0, p]]
            for j in range(left, left + n):
                target[p * columns + j] += value * gy[first + i, j]


@kernel(cost=lambda x, places, shifts, gy, gw: shifts.size * gy.size)
def convolve_tn(x, places: "int64", shifts: "int64", gy: "columns", gw: "columns out", part: "int64"):
    """gw = (windows of x)^T gy, a row of gw for each of `shifts`: the gradient of the kernel"""
    if places.size != gy.shape[0] or shifts.size != gw.shape[0] or gy.shape[1] != gw.shape[1]:
        raise ValueError("gy has a row for each place and the columns of gw, which has a row for each shift")
    begin, (left, n) = _windows(x, places, shifts, 0, places.size), _columns_of(part, gw)
    _gradient(x, begin, shifts, places.size, gy, 0, left, n, gw, 0)


@kernel(cost=lambda x, places, shifts, gy, gw: shifts.size * gy.size)
def convolve_tn_groups(
    x: "samples", places: "int64 images", shifts: "int64", gy: "samples", gw: "groups out", part: "int64"
):
    """What `convolve_tn` computes, for each group of images by itself: a row of gw holds all of it"""
    (top, m), each = _rows_of(part, gw), places.size // max(gw.shape[0], 1)  # windows of a group
    if places.size != gy.shape[0] or gw.shape[1] != shifts.size * gy.shape[1]:
        raise ValueError("gy has a row for each place, and gw a row for each group, with columns of gy for each shift")
    for group in range(top, top + m):
        begin = _windows(x, places, shifts, group * each, each)
        _gradient(x, begin, shifts, each, gy, group * each, 0, gy.shape[1], gw, group * gw.shape[1])


def fits(w):
    """Whether `convolve_back` has room for the kernel w (k, f)."""
    k, f = w.shape
    return f * (k + VECTORS * BITS // 32) <= PACKED


@kernel(disjoint=True, cost=lambda gy, w, places, shifts, gx: w.size * gy.shape[0])
def convolve_back(gy: "samples", w, places: "int64 images", shifts: "int64", gx: "samples out", part: "int64"):
    """gx = the sum of gy w^T over the windows in which an element lies: the gradient of the images"""
    if places.size != gy.shape[0] or shifts.size != w.shape[0] or w.shape[1] != gy.shape[1]:
        raise ValueError("gy has a row for each place and the columns of w, which has a row for each shift")
    (top, m), (first, count) = _rows_of(part, gx), _windows_of(part, gx, places)
    windows, (k, f) = _windows(gx, places, shifts, first, count), w.shape
    gx[top : top + m] = gx.dtype.type(0)
    if count * k * f == 0:
        return
    if f * (k + VECTORS * per_register(w)) > PACKED:
        raise ValueError("convolve_back has no room for so large a w, see `fits`")
    packed, edge, rows = scratch(w), scratch(w), scratch(w)
    if HAS_TILES:
        pack_turned(k, f, block(w, 0, 0), packed)
    size = PACKED // k if HAS_TILES else 1
    for i in range(0, count, size):
        m, begin = min(size, count - i), at(gy, (first + i) * f)
        if HAS_TILES:
            tiles((m, k, f), begin, f, 1, packed_panels(k, f, packed), edge, (rows, 0, k), 0)
        else:
            _times_turned(k, f, begin, w, rows)
        _add_to_windows(rows, at(windows, i), shifts, m, gx)


@helper
def _add_to_windows(rows, windows, shifts, m, gx):
    """Add to each of m windows of gx its row, as much at a time as lies side by side in gx: lines of windows."""
    k, line, images = shifts.size, 1, at(gx, 0)
    while line < k and shifts[0, line] == shifts[0, line - 1] + 1:
        line += 1
    for i in range(m):
        for p in range(0, k, line):
            here, there = at(rows, i * k + p), at(images, windows[i] + shifts[0, p])
            for c in range(np.uint64(line)):
                there[c] += here[c]


@helper
def _times_turned(k, f, row, w, y):
    """y = row w^T"""
    for p in range(k):
        total = w.dtype.type(0)
        for j in range(f):
            total += row[j] * w[p, j]
        y[p] = total


@kernel(disjoint=True, cost=lambda x, places, shifts, w, y: shifts.size * y.size)
def convolve_depthwise(x: "samples", places: "int64 images", shifts: "int64", w, y: "rows out", part: "int64"):
    """y = windows of x times w, each channel by itself; y has w.shape[1] / x.shape[1] columns per channel of x"""
    if places.size != y.shape[0] or w.shape[0] != shifts.size or w.shape[1] != y.shape[1]:
        raise ValueError("y has a row for each place and the columns of w, which has a row for each shift")
    if y.shape[1] % x.shape[1]:
        raise ValueError("y has as many columns for each channel of x")
    (top, m), times, numbers = _rows_of(part, y), y.shape[1] // x.shape[1], at(x, 0)
    begin = _windows(x, places, shifts, top, m, x.shape[1])
    for i in range(m):
        for j in range(np.uint64(y.shape[1])):
            y[top + i, j] = y.dtype.type(0)
        for p in range(shifts.size):
            here = at(numbers, begin[i] + shifts[0, p])
            if times == 1:
                for j in range(np.uint64(y.shape[1])):
                    y[top + i, j] += here[j] * w[p, j]
            else:
                for j in range(y.shape[1]):
                    y[top + i, j] += here[j // times] * w[p, j]


@kernel(disjoint=True, cost=lambda x, places, shifts, gy, gw: shifts.size * gy.size)
def convolve_depthwise_tn(
    x: "samples", places: "int64 images", shifts: "int64", gy: "samples", gw: "groups out", part: "int64"
):
    """gw = the gradient of the kernel of `convolve_depthwise`, in a row for each group of images"""
    if places.size != gy.shape[0] or gw.shape[1] != shifts.size * gy.shape[1]:
        raise ValueError("gy has a row for each place, and gw a row for each group, with columns of gy for each shift")
    if gy.shape[1] % x.shape[1]:
        raise ValueError("gy has as many columns for each channel of x")
    (top, m), times, numbers = _rows_of(part, gw), gy.shape[1] // x.shape[1], at(x, 0)
    each, columns = places.size // max(gw.shape[0], 1), np.uint64(gy.shape[1])  # windows of a group
    for group in range(top, top + m):
        for j in range(np.uint64(gw.shape[1])):
            gw[group, j] = gw.dtype.type(0)
        first = group * each
        begin = _windows(x, places, shifts, first, each, x.shape[1])
        for i in range(each):
            for p in range(np.uint64(shifts.size)):
                here = at(numbers, begin[i] + shifts[0, p])
                if times == 1:
                    for j in range(columns):
                        gw[group, p * columns + j] += here[j] * gy[first + i, j]
                else:
                    for j in range(columns):
                        gw[group, p * columns + j] += here[j // times] * gy[first + i, j]


@kernel(disjoint=True, cost=lambda x, places, shifts, w, y: shifts.size * x.size)
def convolve_depthwise_back(x: "samples", places: "int64 images", shifts: "int64", w, y: "rows out", part: "int64"):
    """y = windows of x times w, summed over the columns of a channel of y: x and w have several columns per channel"""
    if places.size != y.shape[0] or w.shape[0] != shifts.size or w.shape[1] != x.shape[1] or x.shape[1] % y.shape[1]:
        raise ValueError("y has a row for each place, and w a row for each shift and the columns of x")
    (top, m), times, numbers = _rows_of(part, y), x.shape[1] // y.shape[1], at(x, 0)
    begin = _windows(x, places, shifts, top, m, x.shape[1])
    for i in range(m):
        for j in range(y.shape[1]):
            y[top + i, j] = y.dtype.type(0)
        for p in range(shifts.size):
            here = at(numbers, begin[i] + shifts[0, p])
            for j in range(x.shape[1]):
                y[top + i, j // times] += here[j] * w[p, j]


@kernel
def pad_images(x: "samples", geometry: "int64", border, y: "samples out"):
    """y = images x with `border` around them, and zeros between their pixels

    The geometry is (h, w), the pixels on top and to the left, (H, W) of y, and the steps from pixel to pixel in y.
    """
    h, w, above, before, high, wide, step, stride = geometry[0]
    n = y.shape[0] // max(high * wide, 1)
    if x.shape[0] != n * h * w or y.shape[0] != n * high * wide or x.shape[1] != y.shape[1]:
        raise ValueError("pad_images: the arrays have other sizes than the geometry says")
    c, value = x.shape[1], border[0, 0]
    first, last = max(0, -(before // stride)), min(w, -((before - wide) // stride))  # pixels of a line that are in y
    begin, end = (before + first) * c, (before + last) * c  # where they are, if they lie side by side
    for image in range(n):
        for line in range(high):
            source, rest = divmod(line - above, step)
            here, there = (image * high + line) * wide * c, ((image * h + source) * w + first) * c
            if source < 0 or rest != 0 or source >= h or last <= first:
                _fill(wide * c, value, at(y, here))
            elif stride == 1:
                _fill(begin, value, at(y, here))
                _copy(end - begin, at(x, there), at(y, here + begin))
                _fill(wide * c - end, value, at(y, here + end))
            else:
                _fill(wide * c, value, at(y, here))
                for i in range(last - first):
                    _copy(c, at(x, there + i * c), at(y, here + (before + (first + i) * stride) * c))


@helper
def _fill(n, value, target):
    for j in range(np.uint64(n)):
        target[j] = value


@helper
def _copy(n, source, target):
    for j in range(np.uint64(n)):
        target[j] = source[j]


@kernel
def crop_images(y: "samples", geometry: "int64", x: "samples out"):
    """x = the images of which `pad_images` has made y"""
    h, w, above, before, high, wide, _, _ = geometry[0]
    n = x.shape[0] // max(h * w, 1)
    if x.shape[0] != n * h * w or y.shape[0] != n * high * wide or x.shape[1] != y.shape[1]:
        raise ValueError("crop_images: the arrays have other sizes than the geometry says")
    c = x.shape[1]
    for image in range(n):
        for line in range(h):
            row = (image * high + above + line) * wide + before
            _copy(w * c, at(y, row * c), at(x, (image * h + line) * w * c))


@kernel
def put_pixels(x: "samples", geometry: "int64", y: "samples out"):
    """Every so many pixels of the images y = those of the images x

    The geometry is (h, w) of x, (H, W) of y, the first line and column in y, and the steps from pixel to pixel in y.
    """
    h, w, high, wide, first, left, step, stride = geometry[0]
    n = x.shape[0] // max(h * w, 1)
    if x.shape[0] != n * h * w or y.shape[0] != n * high * wide or x.shape[1] != y.shape[1]:
        raise ValueError("put_pixels: the arrays have other sizes than the geometry says")
    if n and (first + (h - 1) * step >= high or left + (w - 1) * stride >= wide):
        raise ValueError("put_pixels: a pixel leaves the image")
    for image in range(n):
        for line in range(h):
            for column in range(w):
                source, row = (image * h + line) * w + column, (image * high + first + line * step) * wide + left
                for c in range(np.uint64(x.shape[1])):
                    y[row + column * stride, c] = x[source, c]


@helper
def _larger(a, b):
    """The larger of two numbers; a NaN is larger than all."""
    return a if a >= b or a != a else b


@kernel(disjoint=True, cost=lambda x, places, shifts, y: shifts.size * y.size)
def max_pool(x: "samples", places: "int64 images", shifts: "int64", y: "rows out", part: "int64"):
    """y = the largest of each window, each channel by itself; a NaN is larger than all"""
    if places.size != y.shape[0] or x.shape[1] != y.shape[1] or shifts.size == 0:
        raise ValueError("y has a row for each place and the channels of x")
    (top, m), numbers = _rows_of(part, y), at(x, 0)
    windows = _windows(x, places, shifts, top, m, x.shape[1])
    for i in range(m):
        begin, done = at(numbers, windows[i]), 1
        if shifts.size >= 4:  # several at a time: y is written once for them
            first, second = at(begin, shifts[0, 0]), at(begin, shifts[0, 1])
            third, fourth = at(begin, shifts[0, 2]), at(begin, shifts[0, 3])
            for c in range(np.uint64(y.shape[1])):
                y[top + i, c] = _larger(_larger(first[c], second[c]), _larger(third[c], fourth[c]))
            done = 4
        else:
            first = at(begin, shifts[0, 0])
            for c in range(np.uint64(y.shape[1])):
                y[top + i, c] = first[c]
        for p in range(done, shifts.size):
            here = at(begin, shifts[0, p])
            for c in range(np.uint64(y.shape[1])):
                y[top + i, c] = _larger(y[top + i, c], here[c])


@helper
def _max_pool_vjp(x, windows, shifts, y, gy, gx, first, count):
    """Add to gx where the largest of each window is, the first one of several; `count` windows from `first` on."""
    numbers, target, left, zero = at(x, 0), at(gx, 0), scratch(y), y.dtype.type(0)
    for i in range(count):
        row = first + i
        for c in range(np.uint64(y.shape[1])):
            left[c] = gy[row, c]  # until it is found where it belongs
        for p in range(shifts.size):
            begin = windows[i] + shifts[0, p]
            here, there = at(numbers, begin), at(target, begin)
            for c in range(np.uint64(y.shape[1])):
                is_largest = here[c] == y[row, c] or here[c] != here[c]
                there[c] += left[c] if is_largest else zero
                left[c] = zero if is_largest else left[c]


@kernel(disjoint=True, cost=lambda x, places, shifts, *_: shifts.size * places.size * x.shape[1])
def max_pool_vjp(
    x: "samples", places: "int64 images", shifts: "int64", y: "samples", gy: "samples", gx: "samples out", part: "int64"
):
    """gx = gy where the largest of each window is, the first one of several; the sum where windows overlap"""
    if places.size != y.shape[0] or y.shape != gy.shape or x.shape != gx.shape or x.shape[1] != y.shape[1]:
        raise ValueError("gx is like x, and gy like y, which has a row for each place and the channels of x")
    (top, m), (first, count) = _rows_of(part, gx), _windows_of(part, gx, places)
    windows = _windows(x, places, shifts, first, count, x.shape[1])
    gx[top : top + m] = gx.dtype.type(0)
    _max_pool_vjp(x, windows, shifts, y, gy, gx, first, count)


@kernel(disjoint=True, cost=lambda x, places, shifts, share, y: shifts.size * y.size)
def sum_pool(x: "samples", places: "int64 images", shifts: "int64", share: "rows", y: "rows out", part: "int64"):
    """y = the sum of each window times its share, each channel by itself"""
    if places.size != y.shape[0] or share.shape[0] != y.shape[0] or x.shape[1] != y.shape[1]:
        raise ValueError("y has a row for each place and share, and the channels of x")
    (top, m), numbers = _rows_of(part, y), at(x, 0)
    windows = _windows(x, places, shifts, top, m, x.shape[1])
    for i in range(m):
        row = top + i
        for c in range(np.uint64(y.shape[1])):
            y[row, c] = y.dtype.type(0)
        for p in range(shifts.size):
            here = at(numbers, windows[i] + shifts[0, p])
            for c in range(np.uint64(y.shape[1])):
                y[row, c] += here[c]
        for c in range(np.uint64(y.shape[1])):
            y[row, c] *= share[row, 0]


@helper
def _share_out(gy, windows, shifts, share, gx, first, count):
    """Add to gx, in all of each window, gy times the share of the window; `count` windows from `first` on."""
    for i in range(count):
        row = first + i
        for p in range(shifts.size):
            there = at(gx, windows[i] + shifts[0, p])
            for c in range(np.uint64(gy.shape[1])):
                there[c] += gy[row, c] * share[row, 0]


@kernel(disjoint=True, cost=lambda gy, places, shifts, *_: shifts.size * gy.size)
def sum_pool_vjp(
    gy: "samples", places: "int64 images", shifts: "int64", share: "samples", gx: "samples out", part: "int64"
):
    """gx = the sum of gy times the share of its window, over the windows in which a pixel lies"""
    if places.size != gy.shape[0] or share.shape[0] != gy.shape[0] or gx.shape[1] != gy.shape[1]:
        raise ValueError("gy has a row for each place and share, and the channels of gx")
    (top, m), (first, count) = _rows_of(part, gx), _windows_of(part, gx, places)
    windows = _windows(gx, places, shifts, first, count, gx.shape[1])
    gx[top : top + m] = gx.dtype.type(0)
    _share_out(gy, windows, shifts, share, gx, first, count)
