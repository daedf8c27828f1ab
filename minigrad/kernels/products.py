"""Matrix products by tiles of our own; by the BLAS that SciPy brings where that is faster, or there are no tiles."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.linalg import check_blas_return

from minigrad.kernels.tiles import block, moved, pack, pack_turned, packed_panels, panels_of, tiles, turn
from minigrad.kernels.vectors import HAS_TILES, HAS_WIDE, PACKED, at, locate, scratch
from minigrad.program import DIVISIBLE, helper, kernel

DEPTH = 256  # of the sum over k that a tile takes at a time
WIDTH = PACKED // DEPTH  # columns of b that are packed at a time
HEIGHT = PACKED // DEPTH  # rows of a that go with them
NEAR = 8192  # numbers of a that stay in the nearest cache
# Up to so many multiplications, of a turned b or not, OpenBLAS has kernels that do not pack: for wide registers only.
# It computes none that may be divided, for the last bit of its numbers depends on how many rows and columns there are.
SMALL, SMALL_TURNED = (DIVISIBLE - 1, 200_000) if HAS_WIDE else (0, 0)


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
def _by_tiles(turn_a, turn_b, size, a, b, y):
    """Y = A B, blocks, both of A and B turned if asked."""
    m, n, k = size
    packed, turned, edge = scratch(y[0]), scratch(y[0]), scratch(y[0])
    for first in range(0, k, DEPTH):
        depth = min(DEPTH, k - first)
        for left in range(0, n, WIDTH):
            width = min(WIDTH, n - left)
            panels = packed_panels(width, depth, packed)
            if turn_b:
                pack_turned(width, depth, moved(b, left, first), packed)
            elif m * n * k < DIVISIBLE:  # packing b would take longer than reading it where it lies
                panels = panels_of(width, depth, moved(b, first, left), packed)
            else:
                pack(width, depth, moved(b, first, left), packed)
            for top in range(0, m, HEIGHT):
                part = min(HEIGHT, m - top), width, depth
                begin, target = moved(a, top, first, turn_a), moved(y, top, left)
                if turn_a and part[0] * depth > NEAR:
                    turn(begin, depth, part[0], turned)
                    tiles(part, at(turned, 0), depth, 1, panels, edge, target, first)
                else:
                    row, step = (1, a[2]) if turn_a else (a[2], 1)
                    tiles(part, at(a[0], begin[1]), row, step, panels, edge, target, first)


@helper
def _times_vector(turn_a, m, k, a, row, b, y, zero):
    """y = A b, vectors whose numbers lie side by side, A of m rows and k columns turned if asked.

    Four sums, or four terms of a sum, at a time: so the processor waits for no sum, and y is read less often.
    """
    if turn_a:
        for i in range(m):
            y[i] = zero
        whole = k - k % 4
        for p in range(0, whole, 4):
            b0, b1, b2, b3 = b[p], b[p + 1], b[p + 2], b[p + 3]
            a0, a1, a2, a3 = at(a, p * row), at(a, (p + 1) * row), at(a, (p + 2) * row), at(a, (p + 3) * row)
            for i in range(m):
                y[i] = y[i] + a0[i] * b0 + a1[i] * b1 + a2[i] * b2 + a3[i] * b3
        for p in range(whole, k):
            for i in range(m):
                y[i] += a[p * row + i] * b[p]
    else:
        whole = m - m % 4
        for i in range(0, whole, 4):
            y0, y1, y2, y3 = zero, zero, zero, zero
            for p in range(k):
                y0 += a[i * row + p] * b[p]
                y1 += a[(i + 1) * row + p] * b[p]
                y2 += a[(i + 2) * row + p] * b[p]
                y3 += a[(i + 3) * row + p] * b[p]
            y[i], y[i + 1], y[i + 2], y[i + 3] = y0, y1, y2, y3
        for i in range(whole, m):
            total = zero
            for p in range(k):
                total += a[i * row + p] * b[p]
            y[i] = total


@helper
def _product(turn_a, turn_b, whole, size, a, b, y):
    """Y = A B, blocks, both of A and B turned if asked; a part of a launch of `whole` multiplications.

    BLAS and tiles differ in the last bit, so all parts of a launch must go one way.
    """
    (m, n, k), (a_row, b_row, y_row), zero = size, (a[2], b[2], y[2]), y[0].dtype.type(0)
    if not HAS_TILES or whole <= (SMALL_TURNED if turn_b else SMALL):
        _gemm(turn_a, turn_b, size, a, b, y)
    elif n == 1 and y_row == 1 and (turn_b or b_row == 1):
        _times_vector(turn_a, m, k, at(a[0], a[1]), a_row, at(b[0], b[1]), at(y[0], y[1]), zero)
    elif m == 1 and (not turn_a or a_row == 1):  # y^T = B^T a^T
        _times_vector(not turn_b, n, k, at(b[0], b[1]), b_row, at(a[0], a[1]), at(y[0], y[1]), zero)
    else:
        _by_tiles(turn_a, turn_b, size, a, b, y)


@helper
def _turned_product(turn_a, turn_b, whole, size, a, b, y):
    """What `_product` does; a small B that is to be turned is turned in memory first."""
    m, n, k = size
    if turn_b and whole <= SMALL and n * k <= PACKED:
        turned = scratch(y[0])
        turn(b, n, k, turned)
        _gemm(turn_a, 0, size, a, (turned, 0, n), y)
    else:
        _product(turn_a, turn_b, whole, size, a, b, y)


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
    _product(0, 0, a.size * y.shape[1], (m, n, a.shape[1]), block(a, i, 0), block(b, 0, j), block(y, i, j))


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
def _outer(a, b, y, top, m, left, n):
    """y = a b^T for two columns a and b, m rows and n columns of it"""
    left, end = np.uint64(left), np.uint64(left + n)  # nothing to wrap around, so that it vectorises
    for i in range(top, top + m):
        for j in range(left, end):
            y[i, j] = a[i, 0] * b[j, 0]


@kernel(cost=lambda a, b, y: a.size * y.shape[1])
def matmul_nt(a: "rows", b, y: "rows columns out", part: "int64"):
    """y = a b^T. OpenBLAS has no kernels for small products that read b^T: b is turned in memory first."""
    if a.shape[0] != y.shape[0] or a.shape[1] != b.shape[1] or b.shape[0] != y.shape[1]:
        raise ValueError("y = a b^T has the rows of a and as many columns as b has rows; a and b have as many columns")
    (i, m, j, n), k = _rows_columns(part, y), a.shape[1]
    if k == 1:
        _outer(a, b, y, i, m, j, n)
    else:
        _turned_product(0, 1, a.size * y.shape[1], (m, n, k), block(a, i, 0), block(b, j, 0), block(y, i, j))


@kernel(cost=lambda a, b, y: b.size * y.shape[0])
def matmul_tn(a, b: "columns", y: "rows columns out", part: "int64"):
    """y = a^T b"""
    if a.shape[1] != y.shape[0] or a.shape[0] != b.shape[0] or b.shape[1] != y.shape[1]:
        raise ValueError("y = a^T b has as many rows as a has columns, and b's columns; a and b have the same rows")
    i, m, j, n = _rows_columns(part, y)
    _product(1, 0, b.size * y.shape[0], (m, n, a.shape[0]), block(a, 0, i), block(b, 0, j), block(y, i, j))


@kernel(grain=1, cost=lambda a, b, sizes, y: y.size * int(sizes[0, 2]))
def matmul_stacks(a: "rows", b: "rows", sizes: "int64", y: "rows out"):
    """Y = A B, (m, k) times (k, n), for each of several heads in each row of a, b and y

    The sizes are (m, n, k, the number of heads), and for A, B and Y each: numbers from head to head, numbers from row
    to row, and whether it lies there turned.
    """
    m, n, k, heads = sizes[0, :4]
    a_head, a_row, turn_a, b_head, b_row, turn_b, y_head, y_row, _ = sizes[0, 4:13]
    if a.shape[0] != y.shape[0] or b.shape[0] != y.shape[0]:
        raise ValueError("a, b and y have a row for each stack")
    if a.shape[1] != heads * m * k or b.shape[1] != heads * k * n or y.shape[1] != heads * m * n:
        raise ValueError("matmul_stacks: the rows are not as long as the sizes say")
    for i in range(y.shape[0]):
        for head in range(heads):
            first = a, i * a.shape[1] + head * a_head, a_row
            second = b, i * b.shape[1] + head * b_head, b_row
            size, place = (m, n, k), i * y.shape[1] + head * y_head
            _turned_product(turn_a, turn_b, m * n * k, size, first, second, (y, place, y_row))


@kernel
def add_row(x: "samples", b, y: "samples out"):
    """y_ij = x_ij + b_j"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + b[0, j]
