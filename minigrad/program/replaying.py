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


@intrinsic(prefer_literal=True)
def _invoke(typing_context, row, count):
    """Call the kernel of the instruction at address `row`; `count`, a literal, is its number of operands."""

    def codegen(context, builder, signature, args):
        word_type = ir.IntType(64)
        base = builder.inttoptr(args[0], word_type.as_pointer())

        def word(i):
            return builder.load(builder.gep(base, [ir.Constant(word_type, i)]))

        operands = []
        for k in range(signature.args[1].literal_value):
            pointer, rows, columns, size = (word(HEAD + PER_OPERAND * k + i) for i in range(PER_OPERAND))
            view = context.make_array(_VIEW)(context, builder)
            populate_array(
                view,
                data=builder.inttoptr(pointer, view.data.type),
                shape=(rows, columns),
                strides=(builder.mul(columns, size), size),
                itemsize=size,
                meminfo=None,
            )
            operands.append(view._getvalue())
        operand_types = (_VIEW,) * len(operands)
        function_type = context.call_conv.get_function_type(types.none, operand_types)
        function = builder.inttoptr(word(2), function_type.as_pointer())
        status, _ = context.call_conv.call_function(builder, function, types.none, operand_types, operands)
        with builder.if_then(status.is_error, likely=False):
            context.call_conv.return_status_propagate(builder, status)
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
            n = table[i, 0]
            if n == 1:
                _invoke(row, 1)
            elif n == 2:
                _invoke(row, 2)
            elif n == 3:
                _invoke(row, 3)
            elif n == 4:
                _invoke(row, 4)
            elif n == 5:
                _invoke(row, 5)
            elif n == 6:
                _invoke(row, 6)
            elif n == 7:
                _invoke(row, 7)
            elif n == 8:
                _invoke(row, 8)
            elif n == 9:
                _invoke(row, 9)
            elif n == 10:
                _invoke(row, 10)
            elif n == 11:
                _invoke(row, 11)
            elif n == 12:
                _invoke(row, 12)
            else:
                _invoke(row, 13)


_signature = types.void(types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C"), types.int64)
_entry = None


def replay_entry():
    """The compiled `_replay`."""
    global _entry
    with compiling:
        if _entry is None:
            _entry = compiled(_replay, _signature).entry_point
    return _entry
