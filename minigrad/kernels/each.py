"""Kernels that are written from the source of a function: `@each` and `formula`, for one element, and `@optional`.

A kernel that computes one element after the other is written as the formula of one element: in one line with `formula`,
with further statements as a function with `@each`. `@optional`: two kernels that differ in an operand have one formula.
"""

import ast
import inspect
import linecache
import types

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


def formula(name, says, function, **notes):
    """Make a lambda a `Kernel`, as `each` does.

    `says` becomes the docstring. It begins with the name of the last parameter, which the lambda does not have. `notes`
    are the annotations. The statement stands in one line, because the formula is read from its source:

        scale = formula("scale", "y = factor x", lambda x, factor: factor * x, factor="number")
    """
    out = says.partition(" = ")[0]
    notes[out] = f"{notes.get(out, '')} out"
    return _Formula(_described(function, name, says, notes, [*inspect.signature(function).parameters, out]))


def _described(function, name, says, notes, parameters):
    """A function of the same source, about which a Kernel reads these things."""
    made, kind = types.FunctionType(function.__code__, function.__globals__, name), inspect.Parameter.POSITIONAL_ONLY
    made.__doc__, made.__annotations__ = says, notes
    made.__signature__ = inspect.Signature([inspect.Parameter(p, kind) for p in parameters])
    return made


def optional(**options):
    """Make a function with parameters that are None by default two kernels: one without them, and its `full`.

    Where the formula says `a if x is None else b`, the one computes a, and the other computes b. `options` are those of
    a Kernel.
    """

    def decorate(formula):
        name, parameters = formula.__name__, inspect.signature(formula).parameters
        made = _Form(formula, name, [p for p in parameters if parameters[p].default is None], **options)
        made.full = _Form(formula, f"{name}_of_rows", **options)
        return made

    return decorate


class _Written(Kernel):
    """A kernel whose function is written when it is first compiled: most kernels are never used."""

    def __init__(self, source, *args, **kwargs):
        super().__init__(source, *args, **kwargs)
        self.source = source
        self.lines = linecache.getlines(source.__code__.co_filename, source.__globals__)  # of its file

    def compile(self, dtype):
        self.function = self.written()
        return super().compile(dtype)

    def written(self):
        """The function, written from the source."""
        code = self.source.__code__
        if not self.lines:
            raise OSError(f"{self} is made from the source of its formula, but there is no {code.co_filename}.")
        tree = ast.parse("".join(inspect.getblock(self.lines[code.co_firstlineno - 1 :])))
        ast.increment_lineno(tree, code.co_firstlineno - 1)
        (function,) = tree.body
        if not isinstance(function, ast.FunctionDef):  # the statement of a lambda
            function = tree.body[0] = _defined(function, self.parameters)
        self._write(function)
        function.name, function.decorator_list, scope = self.name, [], {}
        exec(compile(tree, code.co_filename, "exec"), self.source.__globals__, scope)
        return scope[self.name]


class _Form(_Written):
    """A kernel of `optional`, without some of the parameters."""

    def __init__(self, formula, name, left_out=(), **options):
        parameters = [p for p in inspect.signature(formula).parameters if p not in left_out]
        super().__init__(_described(formula, name, formula.__doc__, formula.__annotations__, parameters), **options)

    def _write(self, function):
        """Leave out parameters, and what is computed from them or in place of them."""
        function.args.args = [one for one in function.args.args if one.arg in self.parameters]
        function.args.defaults = []
        _Chosen(self.parameters).visit(function)


class _Formula(_Written):
    """A kernel of `each`."""

    def __init__(self, formula):
        super().__init__(formula)
        self.formula = formula
        self.is_of_samples = ["number" not in formula.__annotations__.get(p, "").split() for p in self.parameters]

    def _write(self, function):
        """Put two loops around the statements of the formula; `return ...` becomes `y[i, j] = ...`."""
        y, notes = self.parameters[-1], self.formula.__annotations__
        elements = _Elements({x: _FIRST if notes.get(x) == "number" else _OWN for x in self.parameters})
        *statements, last = [elements.visit(statement) for statement in function.body]
        loops = ast.parse(f"for i in range({y}.shape[0]):\n for j in range({y}.shape[1]):\n  {y}[i, j] = 0").body
        inner = loops[0].body[0]
        inner.body[0].value = last.value  # y[i, j] = what the formula returns
        inner.body[:0] = statements
        function.body = loops


def _defined(statement, parameters):
    """The lambda in a statement as the definition of a function of these parameters."""
    tree = ast.parse(f"def formula({', '.join(parameters)}): return 0")
    (function,) = ast.increment_lineno(tree, statement.lineno - 1).body
    function.body[0].value = next(node.body for node in ast.walk(statement) if isinstance(node, ast.Lambda))
    return function


class _Chosen(ast.NodeTransformer):
    """Writes a or b for `a if x is None else b`, where x is a parameter of those given or none."""

    def __init__(self, parameters):
        self.parameters = parameters

    def visit_IfExp(self, node):
        test = node.test
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is):
            node = node.orelse if test.left.id in self.parameters else node.body
        return self.generic_visit(node)


class _Elements(ast.NodeTransformer):
    """Writes x[i, j] or x[0, 0] for every parameter x."""

    def __init__(self, places):
        self.places = places

    def visit_Name(self, node):
        if node.id in self.places:
            return ast.copy_location(ast.Subscript(node, self.places[node.id], node.ctx), node)
        return node


_OWN, _FIRST = (ast.parse(place, mode="eval").body for place in ("i, j", "0, 0"))
