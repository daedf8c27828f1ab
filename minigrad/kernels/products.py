"""Matrix products: small ones by the BLAS that SciPy brings, large ones by tiles of our own, which beat it."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.linalg import check_blas_return

from minigrad.kernels.vectors import (
    HAS_TILES,
    PACKED,
    ROWS,
    VECTORS,
    copy_columns,
    copy_rows,
    per_register,
    scratch,
    tile,
    turn,
)
from minigrad.program import helper, kernel

DEPTH = 256  # of the sum over k that a tile takes at a time
WIDTH = PACKED // DEPTH  # columns of b that are packed at a time
HEIGHT = PACKED // DEPTH  # rows of a that go with them
SMALL, SMALL_TURNED = 1_000_000, 200_000  # up to so many multiplications OpenBLAS has kernels that do not pack


@intrinsic
def _gemm(typing_context, turn_a, turn_b, m, n, k, a, a_first, a_row, b, b_first, b_row, y, y_first, y_row):
    """Y = A B, (m, k) times (k, n), by BLAS; A and B turned if asked.

    What begins at element `first` of each array is used, in rows of `row` elements. It is what Numba calls for np.dot,
    which takes whole arrays only. BLAS counts from column to column: to it each of them is its transpose, and
    Y^T = B^T A^T.
    """
    whole = types.int64

    def codegen(context, builder, signature, args):
        char, word, void = ir.IntType(8), ir.IntType(64), ir.IntType(8).as_pointer()
        parameters = [char] * 3 + [word] * 3 + [void, void, word, void, word, void, void, word]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), parameters), "numba_xxgemm"
        )
        number = context.get_value_type(y.dtype)
        turn_a, turn_b, m, n, k, *rest = args

        def constant(value):
            return builder.bitcast(cgutils.alloca_once_value(builder, ir.Constant(number, value)), void)

        def letter(is_turned):
            is_set = builder.icmp_signed("!=", is_turned, ir.Constant(word, 0))
            return builder.select(is_set, ir.Constant(char, ord("t")), ir.Constant(char, ord("n")))

        def begin(i, kind):
            is_array = isinstance(kind, types.Array)
            data = context.make_array(kind)(context, builder, rest[i]).data if is_array else rest[i]
            return builder.bitcast(builder.gep(data, [rest[i + 1]]), void), rest[i + 2]

        kind = ir.Constant(char, ord("s" if y.dtype == types.float32 else "d"))
        status = builder.call(
            function,
            [kind, letter(turn_b), letter(turn_a), n, m, k, constant(1), *begin(3, b), *begin(0, a), constant(0)]
            + [*begin(6, y)],
        )
        check_blas_return(context, builder, status)
        return context.get_dummy_value()

    return types.void(*[whole] * 5, a, whole, whole, b, whole, whole, y, whole, whole), codegen


@helper
def _by_tiles(turn_a, turn_b, m, n, k, a, a_first, a_row, b, b_first, b_row, y, y_first, y_row):
    """Y = A B for m and n that are multiples of a tile's, m at most HEIGHT; both of A and B turned if asked."""
    packed_a, packed = scratch(y), scratch(y)
    for first in range(0, k, DEPTH):
        depth = min(DEPTH, k - first)
        if turn_a:
            _pack_rows(m, depth, a, a_first + first * a_row, a_row, packed_a)
        for left in range(0, n, WIDTH):
            width, place = min(WIDTH, n - left), y_first + left
            if turn_b:
                _pack_turned(width, depth, b, b_first + left * b_row + first, b_row, packed, per_register(y))
            else:
                _pack(width, depth, b, b_first + first * b_row + left, b_row, packed, VECTORS * per_register(y))
            if turn_a:
                _tiles(m, width, depth, packed_a, 0, depth, 1, ROWS, packed, y, place, y_row, first)
            else:
                _tiles(m, width, depth, a, a_first + first, a_row, a_row, 1, packed, y, place, y_row, first)


@helper
def _tiles(m, n, k, a, a_first, a_next, a_row, a_step, packed, y, y_first, y_row, adds):
    """All tiles of Y (m, n); the rows of A for tile i begin at a_first + i a_next."""
    wide = VECTORS * per_register(y)
    for j in range(0, n, wide):
        for i in range(0, m, ROWS):
            place = y_first + i * y_row + j
            tile(a, a_first + i * a_next, a_row, a_step, packed, j * k, k, y, place, y_row, adds)


@helper
def _pack(width, depth, b, b_first, b_row, packed, wide):
    """packed = depth rows of b, the first `wide` columns of all of them, then the next."""
    for p in range(depth):
        for j in range(0, width, wide):
            copy_columns(b, b_first + p * b_row + j, packed, j * depth + p * wide)


@helper
def _pack_rows(height, depth, a, a_first, a_row, packed):
    """packed = depth rows of a, the first ROWS columns of all of them, then the next."""
    for p in range(depth):
        for i in range(0, height, ROWS):
            copy_rows(a, a_first + p * a_row + i, packed, i * depth + p * ROWS)


@helper
def _pack_turned(width, depth, b, b_first, b_row, packed, count):
    """The same of b^T."""
    wide, whole = VECTORS * count, depth - depth % count
    for j in range(0, width, count):
        begin, place = b_first + j * b_row, j // wide * wide * depth + j % wide
        for p in range(0, whole, count):
            turn(b, begin + p, b_row, packed, place + p * wide, wide)
        for p in range(whole, depth):
            for i in range(count):
                packed[place + p * wide + i] = b[(begin + i * b_row + p) // b_row, (begin + i * b_row + p) % b_row]


@helper
def _product(turn_a, turn_b, m, n, k, a, a_first, a_row, b, b_first, b_row, y, y_first, y_row):
    """Y = A B, (m, k) times (k, n), both of them turned if asked: by tiles, and what these can't cover by BLAS."""
    is_large = m * n * k > (SMALL_TURNED if turn_b else SMALL)
    high, wide = (m - m % ROWS, n - n % (VECTORS * per_register(y))) if HAS_TILES and is_large else (0, 0)
    if high == 0 or wide == 0:
        _gemm(turn_a, turn_b, m, n, k, a, a_first, a_row, b, b_first, b_row, y, y_first, y_row)
        return
    row = 1 if turn_a else a_row  # from one row of A to the next
    for i in range(0, high, HEIGHT):
        rows, begin, place = min(HEIGHT, high - i), a_first + i * row, y_first + i * y_row
        _by_tiles(turn_a, turn_b, rows, wide, k, a, begin, a_row, b, b_first, b_row, y, place, y_row)
    if high < m:  # the rows below
        below = a_first + high * row
        _gemm(turn_a, turn_b, m - high, n, k, a, below, a_row, b, b_first, b_row, y, y_first + high * y_row, y_row)
    if wide < n:  # the columns to the right
        right = b_first + (wide * b_row if turn_b else wide)
        _gemm(turn_a, turn_b, high, n - wide, k, a, a_first, a_row, b, right, b_row, y, y_first + wide, y_row)


@helper
def _rows_columns(part, y):
    """What `part` means in y: (first row, rows, first column, columns)."""
    last_row, last_column = min(part[0, 1], y.shape[0]), min(part[0, 3], y.shape[1])
    return part[0, 0], last_row - part[0, 0], part[0, 2], last_column - part[0, 2]


@helper
def _matmul(a, b, y, part):
    """y = a b, the part of it"""
    if a.shape[0] != y.shape[0] or a.shape[1] != b.shape[0] or b.shape[1] != y.shape[1]:
        raise ValueError("y = a b has the rows of a and the columns of b, of which a has as many as b has rows")
    (i, m, j, n), k = _rows_columns(part, y), a.shape[1]
    _product(0, 0, m, n, k, a, i * k, max(k, 1), b, j, b.shape[1], y, i * y.shape[1] + j, y.shape[1])


@kernel(cost=lambda a, b, y: a.size * y.shape[1])
def matmul(a: "rows", b: "columns", y: "rows columns out", part: "int64"):
    """y = a b"""
    _matmul(a, b, y, part)


@kernel(cost=lambda a, b, bias, y: a.size * y.shape[1])
def affine(a: "rows", b: "columns", bias: "columns", y: "rows columns out", part: "int64"):
    """y = a b + bias, the row of bias added to every row"""
    _matmul(a, b, y, part)
    top, m, left, n = _rows_columns(part, y)
    for i in range(top, top + m):
        for j in range(left, left + n):
            y[i, j] += bias[0, j]


@helper
def _turn(b, first, n, memory):
    """memory = the transpose of n rows of b, from `first` on"""
    k, size = b.shape[1], per_register(b)
    high, wide = (n - n % size, k - k % size) if HAS_TILES else (0, 0)
    for i in range(0, high, size):
        for j in range(0, wide, size):
            turn(b, (first + i) * k + j, k, memory, j * n + i, n)
    for i in range(high):
        for j in range(wide, k):
            memory[j * n + i] = b[first + i, j]
    for j in range(k):
        for i in range(high, n):
            memory[j * n + i] = b[first + i, j]


@helper
def _outer(a, b, y, top, m, left, n):
    """y = a b^T for two columns a and b, m rows and n columns of it"""
    left, end = np.uint64(left), np.uint64(left + n)  # nothing to wrap around, so that it vectorises
    for i in range(top, top + m):
        for j in range(left, end):
            y[i, j] = a[i, 0] * b[j, 0]


@kernel(cost=lambda a, b, y: a.size * y.shape[1])
def matmul_nt(a: "rows", b, y: "rows columns out", part: "int64"):
    """y = a b^T. For a small product BLAS has no kernels that read b^T: it is faster to turn b in memory first."""
    if a.shape[0] != y.shape[0] or a.shape[1] != b.shape[1] or b.shape[0] != y.shape[1]:
        raise ValueError("y = a b^T has the rows of a and as many columns as b has rows; a and b have as many columns")
    (i, m, j, n), k = _rows_columns(part, y), a.shape[1]
    if k == 1:
        _outer(a, b, y, i, m, j, n)
    elif m * n * k <= SMALL and n * k <= PACKED:
        turned = scratch(y)
        _turn(b, j, n, turned)
        _gemm(0, 0, m, n, k, a, i * k, max(k, 1), turned, 0, n, y, i * y.shape[1] + j, y.shape[1])
    else:
        _product(0, 1, m, n, k, a, i * k, max(k, 1), b, j * k, max(k, 1), y, i * y.shape[1] + j, y.shape[1])


@kernel(cost=lambda a, b, y: b.size * y.shape[0])
def matmul_tn(a, b: "columns", y: "rows columns out", part: "int64"):
    """y = a^T b"""
    if a.shape[1] != y.shape[0] or a.shape[0] != b.shape[0] or b.shape[1] != y.shape[1]:
        raise ValueError("y = a^T b has as many rows as a has columns, and b's columns; a and b have the same rows")
    (i, m, j, n), k = _rows_columns(part, y), a.shape[0]
    _product(1, 0, m, n, k, a, i, a.shape[1], b, j, b.shape[1], y, i * y.shape[1] + j, y.shape[1])


@kernel
def add_row(x, b, y: "out"):
    """y_ij = x_ij + b_j"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + b[0, j]
