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
    locate,
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


# A block is (array, place of its first element, elements from one row to the next); a size is (m, n, k).


@intrinsic
def _gemm(typing_context, turn_a, turn_b, size, a, b, y):
    """Y = A B, (m, k) times (k, n), blocks, by BLAS; A and B turned if asked.

    It is what Numba calls for np.dot, which takes whole arrays only. BLAS counts from column to column: to it each of
    them is its transpose, and Y^T = B^T A^T.
    """

    def codegen(context, builder, signature, args):
        char, word, void = ir.IntType(8), ir.IntType(64), ir.IntType(8).as_pointer()
        parameters = [char] * 3 + [word] * 3 + [void, void, word, void, word, void, void, word]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), parameters), "numba_xxgemm"
        )
        dtype = y.types[0].dtype
        number = context.get_value_type(dtype)
        m, n, k = (builder.extract_value(args[2], i) for i in range(3))

        def constant(value):
            return builder.bitcast(cgutils.alloca_once_value(builder, ir.Constant(number, value)), void)

        def letter(is_turned):
            is_set = builder.icmp_signed("!=", is_turned, ir.Constant(word, 0))
            return builder.select(is_set, ir.Constant(char, ord("t")), ir.Constant(char, ord("n")))

        def begin(kind, value):
            data, row = locate(context, builder, kind, value)
            return builder.bitcast(data, void), row

        kind = ir.Constant(char, ord("s" if dtype == types.float32 else "d"))
        status = builder.call(
            function,
            [kind, letter(args[1]), letter(args[0]), n, m, k, constant(1), *begin(b, args[4]), *begin(a, args[3])]
            + [constant(0), *begin(y, args[5])],
        )
        check_blas_return(context, builder, status)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, size, a, b, y), codegen


@helper
def _block(array, i, j):
    """The block of an array that begins in row i and column j."""
    row = max(array.shape[1], 1)
    return array, i * row + j, row


@helper
def _moved(block, i, j, turned=0):
    """The block that begins i rows and j columns further on; of a turned one, j rows and i columns."""
    array, place, row = block
    return (array, place + j * row + i, row) if turned else (array, place + i * row + j, row)


@helper
def _by_tiles(turn_a, turn_b, size, a, b, y):
    """Y = A B for m and n that are multiples of a tile's, m at most HEIGHT; both of A and B turned if asked."""
    m, n, k = size
    packed_a, packed = scratch(y[0]), scratch(y[0])
    for first in range(0, k, DEPTH):
        depth = min(DEPTH, k - first)
        if turn_a:
            _pack_rows(m, depth, _moved(a, first, 0), packed_a)
        for left in range(0, n, WIDTH):
            part, target = (m, min(WIDTH, n - left), depth), _moved(y, 0, left)
            if turn_b:
                _pack_turned(part, _moved(b, left, first), packed, per_register(y[0]))
            else:
                _pack(part, _moved(b, first, left), packed, VECTORS * per_register(y[0]))
            if turn_a:
                _tiles(part, (packed_a, 0, 1), depth, ROWS, packed, target, first)
            else:
                _tiles(part, _moved(a, 0, first), a[2], 1, packed, target, first)


@helper
def _tiles(size, a, a_next, a_step, packed, y, adds):
    """All tiles of Y (m, n); the rows of A for tile i begin i a_next elements further on."""
    (m, n, k), (array, place, row) = size, a
    wide = VECTORS * per_register(y[0])
    for j in range(0, n, wide):
        for i in range(0, m, ROWS):
            tile((array, place + i * a_next, row), a_step, packed, j * k, k, _moved(y, i, j), adds)


@helper
def _pack(size, block, packed, wide):
    """packed = k rows of B, the first `wide` columns of all of them, then the next."""
    (_, n, k), (b, first, row) = size, block
    for p in range(k):
        for j in range(0, n, wide):
            copy_columns(b, first + p * row + j, packed, j * k + p * wide)


@helper
def _pack_rows(m, k, block, packed):
    """packed = k rows of A^T, the first ROWS columns of all of them, then the next."""
    a, first, row = block
    for p in range(k):
        for i in range(0, m, ROWS):
            copy_rows(a, first + p * row + i, packed, i * k + p * ROWS)


@helper
def _pack_turned(size, block, packed, count):
    """What `_pack` does, of B^T."""
    (_, n, k), (b, first, row) = size, block
    wide, whole = VECTORS * count, k - k % count
    for j in range(0, n, count):
        begin, place = first + j * row, j // wide * wide * k + j % wide
        for p in range(0, whole, count):
            turn((b, begin + p, row), (packed, place + p * wide, wide))
        for p in range(whole, k):
            for i in range(count):
                packed[place + p * wide + i] = b[(begin + i * row + p) // row, (begin + i * row + p) % row]


@helper
def _product(turn_a, turn_b, size, a, b, y):
    """Y = A B, blocks, both of A and B turned if asked: by tiles, and what these can't cover by BLAS."""
    m, n, k = size
    is_large = m * n * k > (SMALL_TURNED if turn_b else SMALL)
    high, wide = (m - m % ROWS, n - n % (VECTORS * per_register(y[0]))) if HAS_TILES and is_large else (0, 0)
    if high == 0 or wide == 0:
        _gemm(turn_a, turn_b, size, a, b, y)
        return
    for i in range(0, high, HEIGHT):
        part = min(HEIGHT, high - i), wide, k
        _by_tiles(turn_a, turn_b, part, _moved(a, i, 0, turn_a), b, _moved(y, i, 0))
    if high < m:  # the rows below
        _gemm(turn_a, turn_b, (m - high, n, k), _moved(a, high, 0, turn_a), b, _moved(y, high, 0))
    if wide < n:  # the columns to the right
        _gemm(turn_a, turn_b, (high, n - wide, k), a, _moved(b, 0, wide, turn_b), _moved(y, 0, wide))


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
    i, m, j, n = _rows_columns(part, y)
    _product(0, 0, (m, n, a.shape[1]), _block(a, i, 0), _block(b, 0, j), _block(y, i, j))


@kernel(cost=lambda a, b, y: a.size * y.shape[1])
def matmul(a: "rows", b: "columns", y: "rows columns out", part: "int64"):
    """y = a b"""
    _matmul(a, b, y, part)


@kernel(cost=lambda a, b, bias, y: a.size * y.shape[1])
def affine(a: "rows", b: "columns", bias: "columns", y: "rows columns out", part: "int64"):
    """y = a b + bias, the row of bias added to every row"""
    _matmul(a, b, y, part)
    top, m, left, n = _rows_columns(part, y)
    left, end = np.uint64(left), np.uint64(left + n)  # nothing to wrap around, so that it vectorises
    for i in range(top, top + m):
        for j in range(left, end):
            y[i, j] += bias[0, j]


@kernel(cost=lambda a, b, bias, y: a.size * y.shape[1])
def affine_relu(a: "rows", b: "columns", bias: "columns", y: "rows columns out", part: "int64"):
    """y = max(a b + bias, 0), the row of bias added to every row; a NaN stays a NaN"""
    _matmul(a, b, y, part)
    top, m, left, n = _rows_columns(part, y)
    left, end = np.uint64(left), np.uint64(left + n)
    zero = y.dtype.type(0)
    for i in range(top, top + m):
        for j in range(left, end):
            v = y[i, j] + bias[0, j]
            y[i, j] = zero if v < zero else v


@helper
def _turn(b, first, n, memory):
    """memory = the transpose of n rows of b, from `first` on"""
    k, size = b.shape[1], per_register(b)
    high, wide = (n - n % size, k - k % size) if HAS_TILES else (0, 0)
    for i in range(0, high, size):
        for j in range(0, wide, size):
            turn((b, (first + i) * k + j, k), (memory, j * n + i, n))
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
        _gemm(0, 0, (m, n, k), _block(a, i, 0), (turned, 0, n), _block(y, i, j))
    else:
        _product(0, 1, (m, n, k), _block(a, i, 0), _block(b, j, 0), _block(y, i, j))


@kernel(cost=lambda a, b, y: b.size * y.shape[0])
def matmul_tn(a, b: "columns", y: "rows columns out", part: "int64"):
    """y = a^T b"""
    if a.shape[1] != y.shape[0] or a.shape[0] != b.shape[0] or b.shape[1] != y.shape[1]:
        raise ValueError("y = a^T b has as many rows as a has columns, and b's columns; a and b have the same rows")
    i, m, j, n = _rows_columns(part, y)
    _product(1, 0, (m, n, a.shape[0]), _block(a, 0, i), _block(b, 0, j), _block(y, i, j))


@kernel
def add_row(x, b, y: "out"):
    """y_ij = x_ij + b_j"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + b[0, j]
