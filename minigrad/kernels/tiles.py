"""What matrix products and convolutions are made of: blocks of matrices, packed, and all tiles of a product.

Numba's cache does not notice a change here: delete the cached kernels after one, see `vectors`.
"""

from minigrad.kernels.vectors import (
    HAS_TILES,
    HIGH,
    LOW,
    VECTORS,
    at,
    copy_columns,
    high_tile,
    high_tile_at,
    low_tile,
    low_tile_at,
    pack_some,
    per_register,
    put_some,
    row_of_four,
    row_of_two,
    thin_tile,
    thin_tile_at,
    turn_square,
)
from minigrad.program import helper

# A block is (array, place of its first element, elements from one row to the next); a size is (m, n, k).


@helper
def block(array, i, j):
    """The block of an array that begins in row i and column j."""
    row = max(array.shape[1], 1)
    return array, i * row + j, row


@helper
def moved(block, i, j, turned=0):
    """The block that begins i rows and j columns further on; of a turned one, j rows and i columns."""
    array, place, row = block
    return (array, place + j * row + i, row) if turned else (array, place + i * row + j, row)


@helper
def copy_edge(m, n, edge, wide, y, adds):
    """The first m rows and n columns of a tile, added to Y or put there."""
    for i in range(m):
        put_some(edge, i * wide, y[0], y[1] + i * y[2], n, adds)


@helper
def turn(block, m, n, memory):
    """memory = the transpose of m rows and n columns of a block, n rows one after the other"""
    (b, first, row), count = block, per_register(block[0])
    high, wide = (m - m % count, n - n % count) if HAS_TILES else (0, 0)
    for i in range(0, high, count):
        for j in range(0, wide, count):
            turn_square((b, first + i * row + j, row), (memory, j * m + i, m))
    source = at(b, first)
    for j in range(n):
        for i in range(high if j < wide else 0, m):
            memory[j * m + i] = source[i * row + j]


@helper
def pack(n, k, block, packed):
    """packed = B in panels as wide as a tile: k rows of the first, then of the next; zeros beyond the last column."""
    (b, first, row), wide = block, VECTORS * per_register(block[0])
    whole = n - n % wide
    for p in range(k):
        for j in range(0, whole, wide):
            copy_columns(b, first + p * row + j, packed, j * k + p * wide)
    if whole < n:
        for p in range(k):
            pack_some(b, first + p * row + whole, packed, whole * k + p * wide, n - whole)


@helper
def pack_turned(n, k, block, packed):
    """What `_pack` does, of B^T."""
    (b, first, row), count = block, per_register(block[0])
    wide, zero = VECTORS * count, b.dtype.type(0)
    high, deep = n - n % count, k - k % count
    for j in range(0, high, count):
        begin, place = first + j * row, j // wide * wide * k + j % wide
        for p in range(0, deep, count):
            turn_square((b, begin + p, row), (packed, place + p * wide, wide))
    for j in range(-(-n // wide) * wide):
        source, target = at(b, first + j * row), at(packed, j // wide * wide * k + j % wide)
        for p in range(deep if j < high else 0, k):
            target[p * wide] = source[p] if j < n else zero


# To tiles, B is (its first panel, numbers from panel to panel per column, from row to row, the last panel).


@helper
def packed_panels(n, k, packed):
    """B in the order in which `pack` leaves it."""
    wide = VECTORS * per_register(packed)
    return packed, k, wide, at(packed, n // wide * wide * k)


@helper
def panels_of(n, k, block, packed):
    """B as it lies there, without packing; but for a last panel that is not as wide as a tile."""
    (b, first, row), wide = block, VECTORS * per_register(packed)
    whole = n - n % wide
    if whole < n:
        pack(n - whole, k, (b, first + whole, row), packed)
    return at(b, first), 1, row, packed


def _all_tiles(high_tile, low_tile, thin_tile, begin):
    """A helper that computes all tiles of a product; `begin` says where the rows of a tile are."""

    @helper
    def tiles(size, a, a_row, a_step, b, edge, y, adds):
        """All tiles of Y (m, n), from panels of B; those at an edge, larger than what is left, by the memory `edge`."""
        (m, n, k), wide = size, VECTORS * per_register(y[0])
        for j in range(0, n, wide):
            panel, b_row, i = at(b[0], j * b[1]), b[2], 0
            if n - j < wide:
                panel, b_row = b[3], wide
            is_thin = n - j <= wide // VECTORS  # one register holds what is left of the columns
            full = wide // VECTORS if is_thin else wide
            while i < m:
                left = m - i
                is_high = is_thin or left > 2 * LOW or LOW < left <= HIGH
                rows = HIGH if is_high else LOW
                is_edge = left < rows or n - j < full
                first, row, last = *begin(a, a_row, i), min(rows, left) - 1
                target, y_row, more = at(y[0], y[1] + i * y[2] + j), y[2], adds
                if is_edge:
                    target, y_row, more = at(edge, 0), wide, 0
                if is_thin:
                    thin_tile(first, row, a_step, last, panel, b_row, k, target, y_row, more)
                elif is_high:
                    high_tile(first, row, a_step, last, panel, b_row, k, target, y_row, more)
                else:
                    low_tile(first, row, a_step, last, panel, b_row, k, target, y_row, more)
                if is_edge:
                    copy_edge(last + 1, min(wide, n - j), edge, wide, moved(y, i, j), adds)
                i += rows

    return tiles


# A matrix, whose rows are `a_row` elements apart; and one that two tables describe, see `vectors`.
tiles = _all_tiles(high_tile, low_tile, thin_tile, helper(lambda a, a_row, i: (at(a, i * a_row), a_row)))
tiles_at = _all_tiles(high_tile_at, low_tile_at, thin_tile_at, helper(lambda a, rows, i: (a, at(rows, i))))


@helper
def add_row(n, k, a, packed, y):
    """Add to a row y the product of a row a of k numbers and n packed columns. Returns how many columns are done."""
    wide, j = VECTORS * per_register(y), 0
    while n - j >= 4 * wide:
        row_of_four(a, 0, 1, 0, at(packed, j * k), wide, k, at(y, j), 0, 1)
        j += 4 * wide
    if n - j >= 2 * wide:
        row_of_two(a, 0, 1, 0, at(packed, j * k), wide, k, at(y, j), 0, 1)
        j += 2 * wide
    return j
