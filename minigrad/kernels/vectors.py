"""Vector registers by hand: the innermost loop of a matrix product, which no compiler makes out of plain loops.

A product y = a b is made of tiles of y, some rows times two registers, that stay in registers while the sum over k
runs: each number of b that is loaded is used once per row. b is packed first, in the order in which the tiles read it.
(After Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.) Numba's cache sees only changes
of a kernel's own file: after a change here, delete the cached kernels (`__pycache__/*.nb?`).
"""

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_features = llvmlite.binding.get_host_cpu_features()
HAS_WIDE = bool(_features.get("avx512f"))
HAS_TILES = HAS_WIDE or bool(_features.get("avx2") and _features.get("fma"))  # else BLAS computes all products
BITS = 512 if HAS_WIDE else 256  # of a register
VECTORS = 2  # registers that a tile is wide
HIGH, LOW = (8, 4) if HAS_WIDE else (6, 4)  # rows of a tile: so many sums, b and a number of a fill the registers
PACKED = 256 * 256  # numbers of b that are packed at a time: they stay in the cache of the second level

_word, _i32, _index = ir.IntType(64), ir.IntType(32), types.int64


def pointer(context, builder, kind, base, place):
    """A pointer to element `place` of an array or of what a pointer points to."""
    begin = context.make_array(kind)(context, builder, base).data if isinstance(kind, types.Array) else base
    return builder.gep(begin, [place])


def locate(context, builder, kind, value):
    """Of a tuple (array, place, row) of a kernel's: a pointer to that element, and how far it is to the next row."""
    base, place, row = (builder.extract_value(value, i) for i in range(3))
    return pointer(context, builder, kind.types[0], base, place), row


def _register(context, kind):
    return ir.VectorType(context.get_value_type(kind.dtype), BITS // kind.dtype.bitwidth)


def _step(builder, begin, row, i):
    """The pointer `begin` moved by i times `row`."""
    return builder.gep(begin, [builder.mul(row, ir.Constant(_word, i))])


def _load(builder, register, begin, i=0):
    place = builder.gep(begin, [ir.Constant(_word, i * register.count)])
    return builder.load(builder.bitcast(place, register.as_pointer()), align=1)


def _store(builder, value, begin, i=0):
    place = builder.gep(begin, [ir.Constant(_word, i * value.type.count)])
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=1)


def _pick(builder, a, b, places):
    """The elements of two registers, those of b counted on from those of a, at `places`."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_i32, len(places)), list(places)))


@intrinsic
def prefetch(typing_context, array, place):
    """Have the line of the cache with element `place` fetched from memory: it will be read soon, and nobody waits."""

    def codegen(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _i32, _i32, _i32])
        begin = builder.bitcast(pointer(context, builder, array, *args), byte)
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [begin, *(ir.Constant(_i32, number) for number in (0, 3, 1))])  # to read, near, data
        return context.get_dummy_value()

    return types.void(array, _index), codegen


@intrinsic
def per_register(typing_context, like):
    """How many numbers of the dtype of `like` a register holds."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_word, BITS // like.dtype.bitwidth)

    return _index(like), codegen


@intrinsic
def scratch(typing_context, like):
    """Memory for PACKED numbers of the dtype of `like`, on the stack: it is gone when the kernel returns."""

    def codegen(context, builder, signature, args):
        number = context.get_value_type(like.dtype)
        memory = cgutils.alloca_once(builder, number, size=ir.Constant(_word, PACKED))
        memory.align = 64
        return memory

    return types.CPointer(like.dtype)(like), codegen


@intrinsic
def copy_columns(typing_context, source, place, target, target_place):
    """Copy as many numbers as a tile has columns."""

    def codegen(context, builder, signature, args):
        register = _register(context, source)
        several = ir.VectorType(register.element, VECTORS * register.count)
        values = _load(builder, several, pointer(context, builder, source, args[0], args[1]))
        _store(builder, values, pointer(context, builder, target, args[2], args[3]))
        return context.get_dummy_value()

    return types.void(source, _index, target, _index), codegen


def _masked(builder, what, register, begin, count, j, *value):
    """Load or store (`what`) register j of a row, but for what lies behind the first `count` numbers of the row."""
    lanes, first = ir.VectorType(_word, register.count), j * register.count
    limit = builder.insert_element(ir.Constant(lanes, ir.Undefined), count, ir.Constant(_i32, 0))
    limit = _pick(builder, limit, limit, [0] * register.count)
    mask = builder.icmp_signed("<", ir.Constant(lanes, list(range(first, first + register.count))), limit)
    place = builder.bitcast(builder.gep(begin, [ir.Constant(_word, first)]), register.as_pointer())
    given = [*value, place, ir.Constant(_i32, 1), mask]  # 1: what is there need not be aligned
    if what == "load":
        given.append(ir.Constant(register, [ir.Constant(register.element, 0.0)] * register.count))
    kind = ir.FunctionType(register if what == "load" else ir.VoidType(), [one.type for one in given])
    shape = f"v{register.count}f{32 if register.element == ir.FloatType() else 64}"
    name = f"llvm.masked.{what}.{shape}.p0{shape}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)


@intrinsic
def pack_some(typing_context, source, place, target, target_place, count):
    """Copy the first `count` of as many numbers as a tile has columns, and zeros in the place of the others."""

    def codegen(context, builder, signature, args):
        register = _register(context, source)
        begin = pointer(context, builder, source, args[0], args[1])
        there = pointer(context, builder, target, args[2], args[3])
        for j in range(VECTORS):
            _store(builder, _masked(builder, "load", register, begin, args[4], j), there, j)
        return context.get_dummy_value()

    return types.void(source, _index, target, _index, _index), codegen


@intrinsic
def put_some(typing_context, source, place, target, target_place, count, adds):
    """Copy the first `count` of as many numbers as a tile has columns, or add them to what is there."""

    def codegen(context, builder, signature, args):
        register, count = _register(context, source), args[4]
        begin = pointer(context, builder, source, args[0], args[1])
        there = pointer(context, builder, target, args[2], args[3])
        is_added = builder.icmp_signed("!=", args[5], ir.Constant(_word, 0))
        for j in range(VECTORS):
            value = _load(builder, register, begin, j)
            total = builder.fadd(_masked(builder, "load", register, there, count, j), value)
            _masked(builder, "store", register, there, count, j, builder.select(is_added, total, value))
        return context.get_dummy_value()

    return types.void(source, _index, target, _index, _index, _index), codegen


@intrinsic
def at(typing_context, array, place):
    """A pointer to element `place` of an array, counted row by row."""

    def codegen(context, builder, signature, args):
        return pointer(context, builder, array, *args)

    return types.CPointer(array.dtype)(array, _index), codegen


@intrinsic
def turn_square(typing_context, source, target):
    """target = source^T, a square block as wide as a register: halves of the rows change places, then quarters, ..."""

    def codegen(context, builder, signature, args):
        register = _register(context, source.types[0])
        here, row = locate(context, builder, source, args[0])
        there, target_row = locate(context, builder, target, args[1])
        size = step = register.count
        rows = [_load(builder, register, _step(builder, here, row, i)) for i in range(size)]
        while step := step // 2:
            left = [i if not i & step else size + i - step for i in range(size)]
            right = [size + i if i & step else i + step for i in range(size)]
            for i in range(size):
                if not i & step:
                    a, b = rows[i], rows[i + step]
                    rows[i], rows[i + step] = _pick(builder, a, b, left), _pick(builder, a, b, right)
        for i, value in enumerate(rows):
            _store(builder, value, _step(builder, there, target_row, i))
        return context.get_dummy_value()

    return types.void(source, target), codegen


def _by_distance(builder, a_row, a_step):
    """Element a[i, p] is i times `a_row` and p times `a_step` elements after the first."""
    return (lambda i: builder.mul(a_row, i)), (lambda p: builder.mul(a_step, p))


def _by_table(builder, a_row, a_step):
    """Element a[i, p] is a_row[i] + a_step[p] elements after the first: both are pointers to integers."""
    return (lambda i: builder.load(builder.gep(a_row, [i]))), (lambda p: builder.load(builder.gep(a_step, [p])))


def _tile(rows, places=_by_distance, panels=1, vectors=VECTORS):
    """An intrinsic that computes a tile of so many rows, and as wide as so many panels of b, one after the other.

    `places` says where the elements of a are, and `vectors` how many registers of each panel are used.
    """

    @intrinsic
    def tile(typing_context, a, a_row, a_step, last, b, b_row, k, y, y_row, adds):
        """The sum over p < k of a[i, p] b[p, j] for all rows i and columns j of a tile, added to y or put there.

        `a`, `b` and `y` are pointers. Row `last` of a is the last one: it is read in the place of those after it.
        """

        def codegen(context, builder, signature, args):
            begin, a_row, a_step, last, panel, b_row, k, there, y_row, adds = args
            number = context.get_value_type(y.dtype)
            register = _register(context, y)
            columns = range(panels * vectors)
            tile = [(i, j) for i in range(rows) for j in columns]
            place_of_row, place_of_step = places(builder, a_row, a_step)
            numbers = []
            for i in (ir.Constant(_word, i) for i in range(rows)):
                is_there = builder.icmp_signed("<", i, last)
                numbers.append(builder.gep(begin, [place_of_row(builder.select(is_there, i, last))]))
            targets = [_step(builder, there, y_row, i) for i in range(rows)]
            size = builder.mul(k, b_row)
            begins = [_step(builder, panel, size, q) for q in range(panels)]
            name = f"llvm.fma.v{register.count}f{y.dtype.bitwidth}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(register, [register] * 3), name)
            undefined = ir.Constant(register, ir.Undefined)

            before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            p, sums = builder.phi(_word), {place: builder.phi(register) for place in tile}
            place = builder.mul(p, b_row)
            b = [_load(builder, register, builder.gep(q, [place]), j) for q in begins for j in range(vectors)]
            new, step = {}, place_of_step(p)
            for i in range(rows):
                value = builder.load(builder.gep(numbers[i], [step]))
                value = builder.insert_element(undefined, value, ir.Constant(_i32, 0))
                value = _pick(builder, value, undefined, [0] * register.count)
                for j in columns:
                    new[i, j] = builder.call(fma, [value, b[j], sums[i, j]])
            following = builder.add(p, ir.Constant(_word, 1))
            builder.cbranch(builder.icmp_signed("<", following, k), loop, after)
            p.add_incoming(ir.Constant(_word, 0), before)
            p.add_incoming(following, loop)
            for place in tile:
                sums[place].add_incoming(ir.Constant(register, [ir.Constant(number, 0.0)] * register.count), before)
                sums[place].add_incoming(new[place], loop)

            builder.position_at_end(after)
            with builder.if_else(builder.icmp_signed("!=", adds, ir.Constant(_word, 0))) as (then, otherwise):
                with then:
                    for i, j in tile:
                        _store(builder, builder.fadd(_load(builder, register, targets[i], j), new[i, j]), targets[i], j)
                with otherwise:
                    for i, j in tile:
                        _store(builder, new[i, j], targets[i], j)
            return context.get_dummy_value()

        return types.void(a, a_row, a_step, _index, b, _index, _index, y, _index, _index), codegen

    return tile


high_tile, low_tile, thin_tile = _tile(HIGH), _tile(LOW), _tile(HIGH, vectors=1)
# Of a single row, 4 or 2 panels wide: the sums of one panel are too few to keep the processor busy.
row_of_four, row_of_two = _tile(1, panels=4), _tile(1, panels=2)
high_tile_at, low_tile_at = _tile(HIGH, _by_table), _tile(LOW, _by_table)
thin_tile_at = _tile(HIGH, _by_table, vectors=1)
