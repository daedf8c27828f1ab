"""Tensor, the tape and `backward`; and `op`, which makes a function of raw arrays an operation on tensors.

This file knows no operation: those are in `ops.py`, which also gives Tensor its operators.
"""

import functools
import inspect
import itertools
import operator
import re
import threading

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.program import RecordingError, is_recording, launch
from minigrad.registry import auto_name


class Structure:
    """A count of changes to which variables there are, where they live and which are trained, in any model.

    What was found out about a model's structure holds as long as the count stands still.
    """

    version = 0

    @classmethod
    def changed(cls):
        """Take note of a change."""
        cls.version += 1


class _Mode(threading.local):
    recording = True  # whether operations are written on the tape, in this thread


_mode = _Mode()
_serial = itertools.count()


class no_grad:
    """Operations inside `with no_grad():` are not written on the tape: faster, and nothing is kept for `backward`."""

    def __enter__(self):
        self._before, _mode.recording = _mode.recording, False

    def __exit__(self, *exception):
        _mode.recording = self._before


class Node:
    """One operation on the tape: how to carry the gradient of its result back to what it was computed from.

    `vjp(gy, *buffers)` writes the product of `gy` and the Jacobian into a buffer per parent (None where nobody
    wants it). `vjp` None means that the operation only changed the shape. A parent is the Node that computed it, or
    the Tensor itself where it is a leaf. A node holds arrays, never the tensors of its operation: no cycles, so
    memory is freed as soon as the last tensor that needs it is gone.
    """

    __slots__ = ("dtype", "parents", "serial", "shape", "views", "vjp")

    def __init__(self, data, vjp, operands, views):
        self.shape = data.shape
        self.dtype = data.dtype
        self.vjp = vjp
        self.views = views
        self.parents = [(t._node or t) if t.requires_grad else None for t in operands]
        self.serial = next(_serial)


class Tensor:
    """An n-dimensional array of float32 or float64 that can be differentiated.

    Args:
        data: anything NumPy can make an array of. Floating-point arrays keep their dtype, all else becomes
            `dtype`, by default `config.floatx()`. The data is not copied where it need not be.
        requires_grad: whether `backward` shall leave the gradient in `grad` (a NumPy array of the same shape).

    >>> a = Tensor([1.0, 2.0], requires_grad=True)
    >>> (a * a).sum().backward()
    >>> a.grad
    array([2., 4.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_logits", "_node", "requires_grad")
    __array_priority__ = 100  # so that `ndarray + Tensor` asks Tensor

    def __init__(self, data, requires_grad=False, dtype=None):
        self._data = as_array(data, dtype)
        self.requires_grad = bool(requires_grad)
        if self.requires_grad and self._data.dtype.kind != "f":
            raise ValueError(f"Only floating-point tensors can have gradients; this one has dtype {self.dtype}.")
        self._grad = None
        self._node = None
        self._logits = None

    @property
    def grad(self):
        """What `backward` has added up so far, a NumPy array of this shape; None before, and after `t.grad = None`.

        Raises:
            RecordingError: while a Program is being recorded, since its values would be frozen into it.
        """
        if self._grad is not None:
            self._readable()
        return self._grad

    @grad.setter
    def grad(self, value):
        self._grad = value

    @property
    def shape(self):
        """The length of each axis, a tuple."""
        return self._data.shape

    @property
    def ndim(self):
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self):
        """The number of elements."""
        return self._data.size

    @property
    def dtype(self):
        """The NumPy dtype."""
        return self._data.dtype

    def numpy(self):
        """The values as a NumPy array (not a copy).

        Raises:
            RecordingError: while a Program is being recorded, since the value would be frozen into it.
        """
        return self._readable()

    def _readable(self):
        if is_recording():
            raise RecordingError("The value of a tensor can't be read while its step is recorded into a Program.")
        return self._data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_function__(self, function, types, args, kwargs):
        # Without it np.mean(t) would call our mean, with arguments of NumPy's.
        return function(*_plain_inside(args), **_plain_inside(kwargs))

    def item(self):
        """The value of a tensor of one element, as a Python number."""
        return self._readable().item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    def __len__(self):
        if not self.shape:
            raise TypeError("A tensor without axes has no length.")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    __hash__ = object.__hash__

    def __repr__(self):
        extra = ", requires_grad=True" if self.requires_grad else ""
        values = f"shape={self.shape}"
        if not is_recording():
            values = np.array2string(self._data, separator=", ", prefix="Tensor(")
        return f"{type(self).__name__}({values}, dtype={self.dtype}{extra})"

    def detach(self):
        """A tensor with the same data that is not on the tape: a constant for `backward`."""
        return _result(self._data, None)

    def backward(self, gradient=None):
        """Add d(self)/d(leaf) to `leaf.grad` for every leaf with `requires_grad` that self was computed from.

        Nodes are visited in the reverse of the order in which they were made, which is a topological order of the
        graph: a node's gradient is complete before it is passed on, also where a tensor was used twice. For
        `b = a + a; c = b + b`, c passes 2 to b, and only then b passes 4 to a. No recursion: depth is no limit.

        Args:
            gradient: dL/d(self), an array of self's shape; may be left out where self has one element (then 1).
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward() needs a tensor computed from one with requires_grad=True, outside of no_grad()."
            )
        if gradient is None:
            if self.size != 1:
                raise ValueError(f"backward() of a tensor of shape {self.shape} needs `gradient`, an array like it.")
            gradient = _ones(self.shape, self.dtype)
        else:
            gradient = np.array(as_array(gradient, self.dtype))
            if gradient.shape != self.shape:
                raise ValueError(f"backward() of a tensor of shape {self.shape} got a gradient of {gradient.shape}.")
        gradients = {}
        _deposit(self._node or self, gradient, gradients)
        for node in _newest_first(self._node):
            gradient = gradients.pop(node, None)
            if gradient is None:
                continue
            if node.vjp is None:
                _deposit(node.parents[0], gradient, gradients)
                continue
            views, buffers, extra = node.views, [], []
            for i, parent in enumerate(node.parents, 1):
                if parent is None:
                    buffers.append(None)
                    continue
                buffer, is_first = _buffer(parent, gradients)
                if not is_first:
                    extra.append((parent, buffer))
                buffers.append(buffer if views is None or views[i] is None else buffer.reshape(views[i]))
            node.vjp(gradient if views is None or views[0] is None else gradient.reshape(views[0]), *buffers)
            for parent, buffer in extra:
                _add(buffer, parent._grad if isinstance(parent, Tensor) else gradients[parent])


class Variable(Tensor):
    """A tensor with a name that lives on between steps: a weight, a moving statistic, a counter.

    Args:
        initializer: its value, copied; or a function of (shape, dtype) that makes it, or the name of an initializer.
        shape: only for a function or a name.
        trainable: whether it has a gradient and an optimizer may change it.
        autocast, aggregation, synchronization: of no effect here.
        name: its name within its layer, such as "kernel"; `path` is the full one, "dense/kernel".
    """

    __slots__ = ("_gradient", "constraint", "name", "path", "regularizer")
    named_initializer = None  # finds an initializer by its name; given by `initializers`, which stands higher

    def __init__(
        self, initializer, shape=None, dtype=None, trainable=True, autocast=True, aggregation="none",
        synchronization="auto", name=None,
    ):
        if isinstance(initializer, str):
            initializer = Variable.named_initializer(initializer)
        if callable(initializer):
            initializer = initializer(() if shape is None else tuple(shape), dtype=dtype or config.floatx())
        data = np.array(as_array(initializer, dtype or config.floatx()))
        super().__init__(data, requires_grad=trainable and data.dtype.kind == "f", dtype=data.dtype)
        self.name = self.path = name or auto_name("variable")
        self.regularizer = self.constraint = None
        self._gradient = None
        Structure.changed()

    @property
    def trainable(self):
        """Whether `backward` computes a gradient for it and an optimizer changes it."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value):
        self.requires_grad = bool(value) and self.dtype.kind == "f"
        Structure.changed()

    @property
    def value(self):
        """The variable as a plain tensor, detached."""
        return self.detach()

    def numpy(self):
        """A copy of the current values."""
        return super().numpy().copy()

    def assign(self, value):
        """Let the variable have the values of `value`, an array or tensor of its shape; the memory stays."""
        if isinstance(value, Tensor):
            source = value._data
        else:
            source = as_array(value, self.dtype)
        if source.shape != self.shape:
            raise ValueError(
                f"Variable {self.path!r} has shape {self.shape}; it can't be assigned values of shape {source.shape}."
            )
        if not is_recording():
            self._data[...] = source
        else:
            launch_copy(source, self._data)
        return self

    def fill(self, number):
        """Let all elements be `number`."""
        if is_recording():
            launch(K.fill, constant(self.dtype, number), flat(self._data))
        else:
            self._data.fill(number)

    def assign_add(self, value):
        """Add `value` to the variable in place."""
        return self.assign(self.detach() + value)

    def assign_sub(self, value):
        """Subtract `value` from the variable in place."""
        return self.assign(self.detach() - value)

    def move_to(self, data, gradient=None):
        """Let the variable (and its gradient) live in other memory, such as a part of an optimizer's flat buffer."""
        data[...] = self._data
        self._data, self._gradient, self._grad = data, gradient, None
        Structure.changed()

    def __repr__(self):
        return f"<Variable {self.path} shape={self.shape} dtype={self.dtype}>"


def flat(array):
    """The array as one row."""
    return array.reshape(1, -1)


def launch_copy(source, target):
    """Launch target = source, for arrays of the same shape; in the dtype of `target`, which may be another one."""
    kernel = K.copy if source.dtype == target.dtype else getattr(K, f"cast_{source.dtype}")
    launch(kernel, flat(np.ascontiguousarray(source)), flat(target))


def as_array(data, dtype=None):
    """`data` as a C-contiguous NumPy array of a dtype that a Tensor can have."""
    is_array = hasattr(data, "__array__")  # a list of Python floats has not chosen to be float64
    data = np.asarray(_plain(data))
    if data.dtype.kind not in "fiub":
        raise ValueError(f"Expected numbers, got an array of dtype {data.dtype}: {str(data)[:60]}")
    if dtype is None:
        keeps = data.dtype == bool or (is_array and data.dtype in (np.float32, np.float64))
        dtype = data.dtype if keeps else config.floatx()
    # ascontiguousarray would make a scalar one-dimensional
    return np.require(data, dtype=dtype, requirements="C")


def _plain(data):
    return data.numpy() if isinstance(data, Tensor) else data


def _plain_inside(value):
    if isinstance(value, dict):
        return {key: _plain_inside(v) for key, v in value.items()}
    return type(value)(map(_plain_inside, value)) if type(value) in (list, tuple) else _plain(value)


def as_tensor(value, dtype=None):
    """`value` itself if it is a Tensor, else a constant one."""
    return value if isinstance(value, Tensor) else _result(as_array(value, dtype), None)


@functools.lru_cache(maxsize=4096)
def constant(dtype, *values):
    """The numbers as a (1, n) operand for a kernel. Shared: never written to."""
    return np.array([values], dtype=dtype)


@functools.lru_cache(maxsize=64)
def _ones(shape, dtype):
    return np.ones(shape, dtype)


# -------------------------------------------------------------------------------------------------- the tape


def _result(data, node):
    tensor = Tensor.__new__(Tensor)
    tensor._data = data
    tensor._node = node
    tensor.requires_grad = node is not None
    tensor._grad = tensor._logits = None
    return tensor


def deferred(data, again):
    """A tensor of values found without the tape; `again()` computes it on the tape, should a gradient be asked for."""
    if not _mode.recording:
        return _result(data, None)

    def vjp(gy):
        before, _mode.recording = _mode.recording, True
        try:
            again().backward(gy)
        finally:
            _mode.recording = before

    return _result(data, Node(data, vjp, (), None))


_age = operator.attrgetter("serial")


def _newest_first(root):
    """All nodes that `root` was computed through, the newest first."""
    if root is None:
        return []
    seen, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if type(parent) is Node and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=_age, reverse=True)


def _buffer(parent, gradients):
    """Memory for a gradient of `parent`, and whether it is the first one, which stays, or one to be added to that."""
    if type(parent) is Node:
        buffer = np.empty(parent.shape, parent.dtype)
        if parent in gradients:
            return buffer, False
        gradients[parent] = buffer
        return buffer, True
    if parent._grad is not None:
        return np.empty(parent.shape, parent.dtype), False
    parent._grad = parent._gradient if isinstance(parent, Variable) else None
    if parent._grad is None:
        parent._grad = np.empty(parent.shape, parent.dtype)
    return parent._grad, True


def _deposit(parent, gradient, gradients):
    """Hand a finished gradient to `parent`: a node without one yet may share the memory, a leaf gets its own."""
    if isinstance(parent, Node) and parent not in gradients:
        gradients[parent] = gradient.reshape(parent.shape)
        return
    buffer, is_first = _buffer(parent, gradients)
    if is_first:
        launch(K.copy, flat(gradient), flat(buffer))
    else:
        _add(gradient, parent._grad if isinstance(parent, Tensor) else gradients[parent])


def _add(gradient, total):
    launch(K.add_to, flat(gradient), flat(total))


# ----------------------------------------------------------------------------------------- the @op decorator


class Signature:
    """A shape rule such as "(...,k), (k,n) -> (...,n)": it documents, checks, and allocates.

    `...` stands for any axes (the same ones everywhere), which a kernel sees folded into one; a name stands for one
    axis, the same length everywhere. A kernel sees (...,k) as rows times k, (k,n) as it is, (n) as one row, and
    (...) as a column beside a (...,k), else as any two axes.
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
        """The shape of the result, and the 2-D views (None: as it is) of the result and of each operand, or None.

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
        views = tuple([self._view(axes, shape) for axes, shape in pairs])
        return result, None if views.count(None) == len(views) else views

    def _view(self, axes, shape):
        size = int(np.prod(shape, dtype=np.int64))
        if axes == ["..."] and not self.output:
            view = (1, size)
        elif self.is_elementwise:
            # The inner loop is the one that vectorises: never leave it a length of one.
            view = shape if len(shape) == 2 and shape[1] > 1 else (1, size)
        elif axes == ["..."]:
            view = (size, 1)
        elif len(axes) == 2:
            view = (int(np.prod(shape[:-1], dtype=np.int64)), shape[-1])
        else:
            view = (1, size)
        return None if view == shape else view

    def _error(self, name, shapes, reason):
        return ValueError(f"{name} expects {self.text}; got {', '.join(map(str, shapes))}: {reason}.")


def op(signature, dtype=None):
    """Make a function of arrays an operation on tensors.

    The function is called as `f(y, *operands, **attributes)` with 2-D C-contiguous views (see `Signature`): it
    launches kernels that fill y and returns `vjp(gy, *buffers)`, which launches those that fill the buffers with
    the gradients (None where nobody wants one), or returns None if it can't be differentiated. `dtype` is that of
    the result, by default the operands'.
    """
    rule = Signature(signature)

    def decorate(function):
        name = function.__name__.lstrip("_")
        layouts = {}

        @functools.wraps(function)
        def apply(*operands, **attributes):
            for t in operands:
                if not isinstance(t, Tensor):
                    operands = [t if isinstance(t, Tensor) else _constant_like(t, operands) for t in operands]
                    break
            arrays = [t._data for t in operands]
            key = tuple([a.shape for a in arrays])
            if rule.free:
                key += tuple([attributes[axis] for axis in rule.free])
            layout = layouts.get(key)
            if layout is None:
                layout = layouts[key] = rule.resolve(name, key[: len(arrays)], key[len(arrays) :])
            shape, views = layout
            kind = arrays[-1].dtype
            if kind.kind != "f" and not rule.free:  # repeating and indexing, which have free axes, compute nothing
                raise TypeError(f"{name} computes with floating-point tensors; got {kind}: use ops.cast(x, dtype).")
            for a in arrays:
                if a.dtype is not kind and a.dtype != kind and a.dtype.kind == "f":
                    raise TypeError(f"{name} got operands of {a.dtype} and {kind}: cast one, with ops.cast(x, dtype).")
            result = np.empty(shape, dtype or kind)
            if views is None:
                vjp = function(result, *arrays, **attributes)
            else:
                arrays = [a if v is None else a.reshape(v) for a, v in zip(arrays, views[1:])]
                vjp = function(result if views[0] is None else result.reshape(views[0]), *arrays, **attributes)
            return emit(result, vjp, operands, views)

        apply.signature = signature
        inner = inspect.signature(function)
        apply.__signature__ = inner.replace(parameters=list(inner.parameters.values())[1:])
        apply.__doc__ = f"{signature}\n\n{function.__doc__}"
        return apply

    return decorate


def emit(result, vjp, operands, views):
    """A tensor of the array `result`, on the tape if `vjp` is given and one of the operands is to be differentiated.

    `views` are the 2-D shapes in which `vjp` wants the gradient of the result and of each operand; None: as it is.
    """
    if vjp is not None and _mode.recording:
        for t in operands:
            if t.requires_grad:
                return _result(result, Node(result, vjp, operands, views))
    return _result(result, None)


def _constant_like(value, operands):
    """A constant tensor of the dtype of the first tensor among `operands`, or else of the first array."""
    for other in sorted(operands, key=lambda o: not isinstance(o, Tensor)):
        if isinstance(other, (Tensor, np.ndarray)) and other.dtype.kind == "f":
            return as_tensor(value, other.dtype)
    return as_tensor(value)


def view(tensor, shape):
    """The tensor with another shape of the same size: nothing is computed or copied."""
    data = tensor._data.reshape(shape)
    on_tape = tensor.requires_grad and _mode.recording
    return _result(data, Node(data, None, (tensor,), None) if on_tape else None)
