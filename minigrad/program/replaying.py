"""The replay: one compiled loop that calls the kernels in a table by their addresses, whatever kernels they are."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from minigrad.program.compiling import compiled, compiling

MAX_OPERANDS = 13

# One instruction is one row of an int64 table:
#     operand count | address of the flag or 0 | address of the kernel | per operand: pointer, rows, columns, itemsize
HEAD, PER_OPERAND = 3, 4
_VIEW = types.Array(types.float32, 2, "C")  # views of all dtypes have this layout in memory; itemsize is a field


@intrinsic
def _invoke(typing_context, row, count):
    """Call the kernel of the instruction at address `row`, which has `count` operands."""

    def codegen(context, builder, signature, args):
        word_type = ir.IntType(64)
        base = builder.inttoptr(args[0], word_type.as_pointer())

        def word(i):
            return builder.load(builder.gep(base, [ir.Constant(word_type, i)]))

        def operand(k):
            pointer, rows, columns, size = (word(HEAD + PER_OPERAND * k + i) for i in range(PER_OPERAND))
            view = context.make_array(_VIEW)(context, builder)
            data, strides = builder.inttoptr(pointer, view.data.type), (builder.mul(columns, size), size)
            populate_array(view, data=data, shape=(rows, columns), strides=strides, itemsize=size, meminfo=None)
            return view._getvalue()

        blocks = [builder.append_basic_block(f"call_with_{n}") for n in range(1, MAX_OPERANDS + 1)]
        done, switch = builder.append_basic_block("called"), builder.switch(args[1], blocks[-1])
        for n, block in enumerate(blocks, 1):
            switch.add_case(ir.Constant(word_type, n), block)
            builder.position_at_end(block)
            kinds = (_VIEW,) * n
            function_type = context.call_conv.get_function_type(types.none, kinds)
            function, operands = builder.inttoptr(word(2), function_type.as_pointer()), [operand(k) for k in range(n)]
            status, _ = context.call_conv.call_function(builder, function, types.none, kinds, operands)
            with builder.if_then(status.is_error, likely=False):
                context.call_conv.return_status_propagate(builder, status)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(row, count), codegen


@intrinsic
def _peek(typing_context, address):
    """The int64 at `address`."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()))

    return types.int64(address), codegen


def _replay(table, walk, steps):
    """Run the rows of `table` listed in `walk`, `steps` times, branching only on the number of operands."""
    first = table.ctypes.data
    for _ in range(steps):
        for i in walk:
            row = first + i * table.shape[1] * 8
            flag = table[i, 1]
            if flag != 0 and _peek(flag) == 0:
                continue
            _invoke(row, table[i, 0])


_signature = types.void(types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C"), types.int64)
_entry = None


def replay_entry():
    """The compiled `_replay`."""
    global _entry
    with compiling:
        if _entry is None:
            _entry = compiled(_replay, _signature).entry_point
    return _entry
