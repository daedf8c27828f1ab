"""A graph of ONNX nodes that grows: values, constants, and shapes that follow the number of rows.

A shape is a tuple of pairs: each length as it is with `COUNTS[0]` rows, and with `COUNTS[1]`.
"""

import itertools
import math

import numpy as np

from minigrad.checks import extra

COUNTS = 5, 7  # rows of the two recordings: unlike usual lengths, and without a common divisor
OPSET, IR = 18, 8  # LayerNormalization is there from 17 on, sums over axes that are an input from 18 on


def library():
    """The package onnx."""
    with extra("Models are exported with the package onnx", "onnx"):
        import onnx  # an extra: only who exports needs it
    return onnx


class Value(str):
    """The name of what a node computes, and its shape."""

    shape = ()

    def __new__(cls, name, shape):
        value = str.__new__(cls, name)
        value.shape = tuple(shape)
        return value


def fixed(*lengths):
    """A shape that does not depend on the number of rows."""
    return tuple((int(n), int(n)) for n in lengths)


def is_fixed(shape):
    """Whether a shape does not depend on the number of rows."""
    return all(a == b for a, b in shape)


def size(shape):
    """The number of elements, a pair."""
    return math.prod(a for a, _ in shape), math.prod(b for _, b in shape)


class Writer:
    """The nodes of a graph. `writer.MatMul(a, b)` adds a node MatMul and returns the name of its result.

    Args:
        rows: the name of a tensor whose first axis are the rows.
        root: the graph around, for the body of a loop.
    """

    def __init__(self, rows, root=None):
        self.onnx, self.nodes, self.root = library(), [], root or self
        if root is None:
            self.rows, self.constants, self.numbers, self.count = rows, {}, itertools.count(1), None
            self.parts = {}  # place in memory -> the parts of it that were written, as long as there are gaps

    def __getattr__(self, kind):
        if not kind[0].isupper():
            raise AttributeError(kind)

        def add(*inputs, outputs=1, **attributes):
            names = [f"{kind.lower()}_{next(self.root.numbers)}" for _ in range(outputs)]
            self.nodes.append(self.onnx.helper.make_node(kind, inputs, names, name=names[0], **attributes))
            return names[0] if outputs == 1 else names

        return add

    def constant(self, array, name=None):
        """The name of a constant; equal ones are kept once."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        key = array.dtype.str, array.shape, array.tobytes(), name
        if key not in self.root.constants:
            is_taken = name is None or any(name == one.name for one in self.root.constants.values())
            name = f"{name or 'constant'}_{next(self.root.numbers)}" if is_taken else name
            self.root.constants[key] = self.onnx.numpy_helper.from_array(array, name)
        return Value(self.root.constants[key].name, fixed(*array.shape))

    def ints(self, *numbers):
        """A constant row of integers."""
        return self.constant(np.array(numbers, np.int64))

    def lengths(self, shape):
        """A row of integers: the lengths of a shape, also of one that follows the number of rows.

        Raises:
            ValueError: a length is no multiple of the number of rows.
        """
        return self.ints(*(a for a, _ in shape)) if is_fixed(shape) else self.Concat(*map(self.length, shape), axis=0)

    def length(self, pair):
        """One length, as a row of one integer."""
        (a, b), root = pair, self.root
        if a == b:
            return self.ints(a)
        factor = a // COUNTS[0]
        if (a, b) != (factor * COUNTS[0], factor * COUNTS[1]):
            raise ValueError(f"a length is {a} for {COUNTS[0]} rows and {b} for {COUNTS[1]}, no multiple of them")
        if root.count is None:
            root.count = root.Shape(root.rows, start=0, end=1)
        return root.count if factor == 1 else self.Mul(root.count, self.ints(factor))

    def reshaped(self, value, shape):
        """The value in another shape."""
        shape = tuple(shape)
        if value.shape == shape:
            return value
        if sum(a != b for a, b in shape) > 1:
            lengths = self.lengths(shape)
        else:
            lengths = self.ints(*(a if a == b else -1 for a, b in shape))
        return Value(self.Reshape(value, lengths), shape)

    def transposed(self, value, order):
        """The value with its axes in another order."""
        if tuple(order) == tuple(range(len(order))):
            return value
        return Value(self.Transpose(value, perm=list(order)), [value.shape[a] for a in order])

    def expanded(self, value, shape):
        """The value repeated along axes of length 1."""
        return value if value.shape == tuple(shape) else Value(self.Expand(value, self.lengths(shape)), shape)

    def sliced(self, value, axis, begin, end):
        """The elements from `begin` to `end` (pairs) along an axis."""
        if (begin, end) == ((0, 0), value.shape[axis]):
            return value
        shape = list(value.shape)
        shape[axis] = tuple(last - first for first, last in zip(begin, end))
        return Value(self.Slice(value, self.length(begin), self.length(end), self.ints(axis)), shape)

    def body(self):
        """A graph inside this one, whose constants are those of this one."""
        return Writer(None, self.root)

    def graph(self, inputs, outputs, name):
        """The finished graph. Inputs and outputs are lists of (name, dtype, shape), None for a shape of any kind."""
        info = self.onnx.helper.make_tensor_value_info
        described = ([info(n, self.kind(dtype), shape) for n, dtype, shape in group] for group in (inputs, outputs))
        constants = list(self.constants.values()) if self.root is self else []
        return self.onnx.helper.make_graph(self.nodes, name, *described, constants)

    def kind(self, dtype):
        """ONNX' number of a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def model(self, graph):
        """The whole model, checked."""
        opset = self.onnx.helper.make_opsetid("", OPSET)
        model = self.onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR, producer_name="minigrad")
        self.onnx.checker.check_model(model)
        return model
