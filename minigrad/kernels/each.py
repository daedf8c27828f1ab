"""`@each`: a kernel that computes one element after the other is written as the formula of one element."""

import ast
import inspect
import linecache

from minigrad.program import Kernel


def each(formula):
    """Make a function of numbers a `Kernel`, whose loops apply it to every element of its operands.

    In the formula a parameter stands for its element, and what it returns is the element of the last parameter. An
    operand annotated "number" is an array (1, 1): its only element serves everywhere. So these two are the same:

        @each                                       @kernel
        def scale(x, factor: "number", y: "out"):   def scale(x, factor, y: "out"):
            '''y = factor x'''                          '''y = factor x'''
            return factor * x                           for i in range(y.shape[0]):
                                                            for j in range(y.shape[1]):
                                                                y[i, j] = factor[0, 0] * x[i, j]

    The last statement, and no other, is a `return`.
    """
    return _Formula(formula)


class _Formula(Kernel):
    """A kernel that is given its loops when it is first compiled: most kernels are never used."""

    def __init__(self, formula):
        super().__init__(formula)
        self.formula = formula
        self.is_of_samples = ["number" not in formula.__annotations__.get(p, "").split() for p in self.parameters]
        self.lines = linecache.getlines(formula.__code__.co_filename, formula.__globals__)  # of its file

    def compile(self, dtype):
        self.function = self._with_loops()
        return super().compile(dtype)

    def _with_loops(self):
        """The function of the formula with two loops around its statements; `return ...` becomes `y[i, j] = ...`."""
        code, y = self.formula.__code__, self.parameters[-1]
        if not self.lines:
            raise OSError(f"{self} is made from the source of its formula, but there is no {code.co_filename}.")
        tree = ast.parse("".join(inspect.getblock(self.lines[code.co_firstlineno - 1 :])))
        ast.increment_lineno(tree, code.co_firstlineno - 1)
        (function,) = tree.body
        notes = self.formula.__annotations__
        elements = _Elements({x: _FIRST if notes.get(x) == "number" else _OWN for x in self.parameters})
        *statements, last = [elements.visit(statement) for statement in function.body]
        loops = ast.parse(f"for i in range({y}.shape[0]):\n for j in range({y}.shape[1]):\n  {y}[i, j] = 0").body
        inner = loops[0].body[0]
        inner.body[0].value = last.value  # y[i, j] = what the formula returns
        inner.body[:0] = statements
        function.body, function.decorator_list = loops, []
        scope = {}
        exec(compile(tree, code.co_filename, "exec"), self.formula.__globals__, scope)
        return scope[self.name]


class _Elements(ast.NodeTransformer):
    """Writes x[i, j] or x[0, 0] for every parameter x."""

    def __init__(self, places):
        self.places = places

    def visit_Name(self, node):
        if node.id in self.places:
            return ast.copy_location(ast.Subscript(node, self.places[node.id], node.ctx), node)
        return node


_OWN, _FIRST = (ast.parse(place, mode="eval").body for place in ("i, j", "0, 0"))
