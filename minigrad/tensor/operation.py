"""`op`: a function of raw arrays, which launches kernels, becomes an operation on tensors."""

import functools
import inspect
import re

import numpy as np

from minigrad import config
from minigrad.program import empty, launch
from minigrad.tensor.tensor import SymbolMet, Tensor, as_tensor, emit, launch_copy


class Signature:
    """A shape rule such as "(...,k), (k,n) -> (...,n)": it documents, checks, and allocates.

    `...` stands for any axes, the same ones everywhere; a name stands for one axis, of the same length everywhere.
    Kernels see two axes only: (...,k) as rows of k, (k,n) as it is, (n) as one row, and (...) as a column where another
    operand is (...,k), else as any two axes.
    """

    def __init__(self, text):
        self.text = text
        inputs, output = text.split("->")
        self.inputs = [self._axes(group) for group in re.findall(r"\(.*?\)", inputs)]
        self.output = self._axes(output.strip())
        self.is_elementwise = all(axes == ["..."] for axes in [*self.inputs, self.output])
        self.free = [axis for axis in self.output if not any(axis in axes for axes in self.inputs)]

    @staticmethod
    def _axes(group):
        return [axis.strip() for axis in group.strip("() ").split(",") if axis.strip()]

    def resolve(self, name, shapes, free=()):
        """The shape of the result; and (number, 2-D shape) of those among the result and the operands that kernels see
        in another shape than their own.

        `free` holds the lengths of the axes that only the result has, in order.
        """
        known = dict(zip(self.free, free, strict=True))
        if len(shapes) != len(self.inputs):
            raise TypeError(f"{name} takes {len(self.inputs)} operands, {self.text}; got {len(shapes)}.")
        for axes, shape in zip(self.inputs, shapes, strict=True):
            named = [axis for axis in axes if axis != "..."]
            lead = len(shape) - len(named)
            if lead < 0 or (lead > 0 and "..." not in axes):
                raise self._error(name, shapes, f"{shape} has the wrong number of axes for ({','.join(axes)})")
            lengths = dict(zip(named, shape[lead:], strict=True))
            if "..." in axes:
                lengths["..."] = shape[:lead]
            for axis, length in lengths.items():
                if known.setdefault(axis, length) != length:
                    raise self._error(name, shapes, f"{axis} cannot be both {known[axis]} and {length}")
        result = tuple(n for axis in self.output for n in (known[axis] if axis == "..." else (known[axis],)))
        pairs = [(self.output, result), *zip(self.inputs, shapes, strict=True)]
        views = enumerate([self._view(axes, shape) for axes, shape in pairs])
        return result, tuple((i, view) for i, view in views if view != pairs[i][1])

    def _view(self, axes, shape):
        size = int(np.prod(shape, dtype=np.int64))
        if axes == ["..."] and not self.output:
            return (1, size)
        if self.is_elementwise:
            # Only the inner loop vectorises, so it must be longer than one.
            return shape if len(shape) == 2 and shape[1] > 1 else (1, size)
        if axes == ["..."]:
            return (size, 1)
        if len(axes) == 2:
            return (int(np.prod(shape[:-1], dtype=np.int64)), shape[-1])
        return (1, size)

    def _error(self, name, shapes, reason):
        return ValueError(f"{name} expects {self.text}; got {', '.join(map(str, shapes))}: {reason}.")


MOST_LAYOUTS = 10_000  # shapes and dtypes that one operation remembers


def op(signature, dtype=None):
    """Make a function of arrays an operation on tensors.

    The function is called as `f(y, *operands, **attributes)` with 2-D C-contiguous views (see `Signature`). It launches
    kernels that fill y, and returns `vjp(gy, *buffers)`, or None if it can't be differentiated. The vjp launches
    kernels that fill the buffers with the gradients of the operands; a buffer is None where no gradient is wanted, and
    gy stays as it is. `dtype` is the dtype of the result, by default that of the operands.

    Given a symbol, the operation raises SymbolMet, so that an operation which calls it can be recorded instead. Its
    attribute `public` is the same operation, which records itself.
    """
    rule = Signature(signature)

    def decorate(function):
        inner = inspect.signature(function)
        inner = inner.replace(parameters=list(inner.parameters.values())[1:])
        apply, public = (_applied(function, rule, dtype, is_public) for is_public in (False, True))
        for made in (apply, public):
            made.signature, made.raw, made.__signature__ = signature, function, inner
            made.__doc__ = f"{signature}\n\n{function.__doc__}"
        apply.public = public
        return apply

    return decorate


def _applied(function, rule, dtype, is_public):
    """The operation of `op`. It runs for every tensor that is computed: loops are faster here than comprehensions."""
    name, layouts = function.__name__.lstrip("_"), {}

    @functools.wraps(function)
    def apply(*operands, **attributes):
        arrays, key = [], []
        for t in operands:
            if not isinstance(t, Tensor):
                try:
                    return apply(*_tensors(operands), **attributes)
                except SymbolMet as met:
                    if is_public:
                        return met.symbol.record(apply, operands, attributes)
                    raise
            array = t._data
            arrays.append(array)
            key.append(array.shape)
            key.append(array.dtype)
        for axis in rule.free:
            key.append(attributes[axis])
        key = tuple(key)
        layout = layouts.get(key)
        if layout is None:
            if not rule.free:  # operations with free axes repeat or index, which any dtype allows
                computable = _computable(name, operands)
                if any(new is not old for new, old in zip(computable, operands)):
                    return apply(*computable, **attributes)
            if len(layouts) > MOST_LAYOUTS:
                layouts.clear()
            found = rule.resolve(name, [a.shape for a in arrays], [attributes[axis] for axis in rule.free])
            layout = layouts[key] = *found, np.dtype(dtype or array.dtype)
        shape, views, kind = layout
        result = empty(shape, kind)
        arrays.insert(0, result)
        for i, view in views:
            arrays[i] = arrays[i].reshape(view)
        return emit(result, function(*arrays, **attributes), operands, views, name)

    return apply


def from_kernels(signature, name, formula, forward, backward=None, needs="", dtype=None):
    """The operation of one tensor made of two kernels, `forward(x, y)` and `backward(gy, *needs, gx)`.

    `needs` says what `backward` gets: "x", "y", "xy" or nothing. Without `backward` no gradient passes.
    """
    needs_x, needs_y = "x" in needs, "y" in needs

    def function(y, x):
        launch(forward, x, y)
        if backward is None:
            return None
        needed = (*((x,) if needs_x else ()), *((y,) if needs_y else ()))

        def vjp(gy, gx):
            launch(backward, gy, *needed, gx)

        return vjp

    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = "minigrad.ops", formula  # pickle looks for it there
    return op(signature, dtype)(function)


def _computable(name, operands):
    """The operands in one floating-point dtype: integers are converted to it, and bools stay bools."""
    dtype = operands[-1].dtype
    found = [_floating(t, config.floatx() if dtype.kind == "i" else dtype) for t in operands]
    dtype = found[-1].dtype
    if dtype.kind != "f":
        raise TypeError(f"{name} computes with floating-point tensors; got {dtype}: use ops.cast(x, dtype).")
    for t in found:
        if t.dtype != dtype and t.dtype.kind != "b":
            raise TypeError(f"{name} got operands of {t.dtype} and {dtype}: cast one, with ops.cast(x, dtype).")
    return found


def _floating(tensor, dtype):
    """A tensor of integers as one of floats; any other tensor as it is."""
    if tensor.dtype.kind != "i":
        return tensor
    data = empty(tensor.shape, dtype)
    launch_copy(tensor._data, data)
    return as_tensor(data)


def _tensors(operands):
    """The operands as tensors. Numbers and arrays get the dtype of the first tensor (or array) of floats."""
    for other in sorted(operands, key=lambda o: not isinstance(o, Tensor)):
        if isinstance(other, (Tensor, np.ndarray)) and other.dtype.kind == "f":
            return [as_tensor(value, other.dtype) for value in operands]
    return [as_tensor(value) for value in operands]
