"""Images (n h w, c), one pixel per row, that are resized, or seen through a change of coordinates."""

import numpy as np

from minigrad.program import helper, kernel

CONSTANT, NEAREST, REFLECT, WRAP = range(4)  # what lies around an image: see `_inside`


@helper
def _rows_of(part, y):
    """The first row of a part, and the one after the last."""
    return min(part[0, 0], y.shape[0]), min(part[0, 1], y.shape[0])


@kernel(cost=lambda x, first, weights, y: 300 * y.shape[0] + 10 * weights.shape[1] * y.size)
def mix_rows(x: "samples", first: "int64", weights, y: "rows out", part: "int64"):
    """y_i = sum over t of weights_it x[first_i + t], in each block of rows

    A block of y has as many rows as `weights`, and x has as many blocks as y. Where a weight is 0, x is not read.
    """
    if y.size == 0:
        return
    size, taps = weights.shape
    blocks = y.shape[0] // size
    length = x.shape[0] // blocks
    if y.shape[0] != blocks * size or x.shape[0] != blocks * length or x.shape[1] != y.shape[1]:
        raise ValueError("mix_rows: x and y have as many blocks of rows, and as many columns")
    for i in range(size):
        if first[0, i] < 0 or first[0, i] + taps > length:
            raise ValueError("mix_rows: a row is mixed of rows outside of its block")
    top, bottom = _rows_of(part, y)
    for r in range(top, bottom):
        block, i = divmod(r, size)
        begin = block * length + first[0, i]
        for j in range(np.uint64(y.shape[1])):
            y[r, j] = y.dtype.type(0)
        for t in range(taps):
            weight = weights[i, t]
            if weight != 0:
                for j in range(np.uint64(y.shape[1])):
                    y[r, j] += weight * x[begin + t, j]


# ----------------------------------------------------------------------------------------- changes of coordinates


@helper
def _inside(place, length, mode):
    """Where in an axis of `length` pixels, 0 ... length - 1, lies what is seen at `place`, which may be outside.

    NEAREST: the pixel at the end. REFLECT (d c b a | a b c d | d c b a): the axis and its mirror image take turns.
    WRAP (a b c d | a b c d | a b c d): it repeats itself; beyond twice its length as TensorFlow has it. CONSTANT:
    nothing.
    """
    zero, one = type(place)(0), type(place)(1)
    last = length - one
    if mode == CONSTANT or (place >= zero and place <= last):
        return place
    if mode == REFLECT:
        place -= length * type(place)(2) * np.floor(place / (length * type(place)(2)))
        place = place if place < length else length * type(place)(2) - place - one
    elif mode == WRAP and last > zero:
        if place < zero:
            place += length * (np.floor(-place / last) + one)
        elif place > last:
            place -= length * np.floor(place / last)
    return zero if place < zero else last if place > last else place


@helper
def _rounded(place):
    """The nearest whole number; of two, the one that is further from 0."""
    half = type(place)(0.5)
    return np.floor(place + half) if place >= 0 else np.ceil(place - half)


@helper
def _seen(transforms, image, line, column, geometry, like):
    """(i, j, d, e): the pixel of an output image is seen d below and e beside pixel (i, j) of the input image."""
    number = like.dtype.type
    one, zero = number(1), number(0)
    t = image if transforms.shape[0] > 1 else 0
    a, b = number(column), number(line)
    h, w, mode, is_smooth = number(geometry[0, 1]), number(geometry[0, 2]), geometry[0, 5], geometry[0, 6]
    k = transforms[t, 6] * a + transforms[t, 7] * b + one
    x = (transforms[t, 0] * a + transforms[t, 1] * b + transforms[t, 2]) / k
    y = (transforms[t, 3] * a + transforms[t, 4] * b + transforms[t, 5]) / k
    x, y = _inside(x, w, mode), _inside(y, h, mode)
    if k == 0 or not (x > -one and x < w and y > -one and y < h):  # NaN, too
        return np.int64(-2), np.int64(-2), zero, zero
    if not is_smooth:
        return np.int64(_rounded(y)), np.int64(_rounded(x)), zero, zero
    i, j = np.floor(y), np.floor(x)
    return np.int64(i), np.int64(j), y - i, x - j


@helper
def _require_geometry(x, transforms, geometry, y):
    n, h, w, high, wide = geometry[0, 0], geometry[0, 1], geometry[0, 2], geometry[0, 3], geometry[0, 4]
    if x.shape[0] != n * h * w or y.shape[0] != n * high * wide or x.shape[1] != y.shape[1]:
        raise ValueError("the images have other sizes than the geometry says")
    if transforms.shape[1] != 8 or (transforms.shape[0] != 1 and transforms.shape[0] != n):
        raise ValueError("there is one transform of 8 numbers for all images, or one for each")


@kernel(cost=lambda x, transforms, geometry, border, y: 1000 * y.shape[0] + 10 * y.size)
def sample(x: "samples", transforms, geometry: "int64", border, y: "rows out", part: "int64"):
    """y = images x, of which each is seen through its transform (a0 a1 a2 b0 b1 b2 c0 c1)

    In line i and column j of y one sees what x has in column (a0 j + a1 i + a2) / k and line (b0 j + b1 i + b2) / k,
    with k = c0 j + c1 i + 1: the nearest pixel, or a mean of the four around it. The geometry is (n, h, w), (H, W) of
    y, what lies around an image, and 1 for means; `border` is what lies around if that is a constant.
    """
    _require_geometry(x, transforms, geometry, y)
    h, w, high, wide = geometry[0, 1], geometry[0, 2], geometry[0, 3], geometry[0, 4]
    one = y.dtype.type(1)
    top, bottom = _rows_of(part, y)
    for r in range(top, bottom):
        image, pixel = divmod(r, high * wide)
        line, column = divmod(pixel, wide)
        i, j, below, beside = _seen(transforms, image, line, column, geometry, y)
        first = (image * h + i) * w + j
        if below > 0 and beside > 0 and i >= 0 and i + 1 < h and j >= 0 and j + 1 < w:  # the usual case, faster
            for c in range(y.shape[1]):
                above = (one - beside) * x[first, c] + beside * x[first + 1, c]
                under = (one - beside) * x[first + w, c] + beside * x[first + w + 1, c]
                y[r, c] = (one - below) * above + below * under
            continue
        for c in range(y.shape[1]):
            y[r, c] = y.dtype.type(0)
        for corner in range(4):
            down, right = divmod(corner, 2)
            share = (below if down else one - below) * (beside if right else one - beside)
            if share != 0:
                is_pixel = i + down >= 0 and i + down < h and j + right >= 0 and j + right < w
                source = first + down * w + right
                for c in range(y.shape[1]):
                    y[r, c] += share * (x[source, c] if is_pixel else border[0, 0])


@kernel
def sample_vjp(gy, transforms, geometry: "int64", gx: "out"):
    """gx = the gradient of the images of `sample`: each pixel of gy is shared among those that it was made of"""
    _require_geometry(gx, transforms, geometry, gy)
    n, h, w, high, wide = geometry[0, 0], geometry[0, 1], geometry[0, 2], geometry[0, 3], geometry[0, 4]
    one = gx.dtype.type(1)
    for r in range(gx.shape[0]):
        for c in range(gx.shape[1]):
            gx[r, c] = gx.dtype.type(0)
    for image in range(n):
        for line in range(high):
            for column in range(wide):
                r = (image * high + line) * wide + column
                i, j, below, beside = _seen(transforms, image, line, column, geometry, gx)
                for corner in range(4):
                    down, right = divmod(corner, 2)
                    share = (below if down else one - below) * (beside if right else one - beside)
                    if share != 0 and i + down >= 0 and i + down < h and j + right >= 0 and j + right < w:
                        target = (image * h + i + down) * w + j + right
                        for c in range(gx.shape[1]):
                            gx[target, c] += share * gy[r, c]
