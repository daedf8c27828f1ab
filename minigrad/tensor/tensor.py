"""Tensor, the tape and `backward`."""

import functools
import heapq
import itertools
import operator
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from minigrad import config
from minigrad.kernels import copying as K
from minigrad.program import RecordingError, empty, empty_like, is_recording, launch


class _Mode(threading.local):
    recording = True  # whether operations are written on the tape, in this thread

    def __init__(self):
        self.outside = []  # `recording` outside of each block that we are in


class _Tapes(threading.local):
    open = 0  # how many GradientTapes this thread is inside of

    @staticmethod
    def now():
        """A rank: nodes from now on have lower ones."""
        return next(_ranks)


_mode = _Mode()
_ranks = itertools.count(0, -1)
tapes = _Tapes()


class no_grad:
    """Inside `with no_grad():` operations are not written on the tape. They are faster; `backward` can't pass them."""

    _records = False

    def __enter__(self):
        # Ctrl-C may come after any call, and only half would be done: so there is no call here, nor in __exit__.
        _mode.outside = [*_mode.outside, _mode.recording]
        _mode.recording = self._records

    def __exit__(self, *exception):
        _mode.recording = _mode.outside[-1]
        del _mode.outside[-1]


class enable_grad(no_grad):
    """Inside `with enable_grad():` operations are on the tape, also within a `no_grad` that Ctrl-C left open."""

    _records = True


class Node(NamedTuple):
    """One operation on the tape: how to carry the gradient of its result back to what it was computed from.

    `vjp(gy, *buffers)` writes the product of `gy` and the Jacobian into one buffer per parent (None where no gradient
    is wanted). If `vjp` is None, the gradient goes to the first parent as it is. If `views` is None, the vjp gets the
    `Gradients` in place of buffers, and hands them those of the parents. A parent is the Node that computed an operand,
    or the operand itself if it is a leaf. A node holds arrays, never the tensors of its operation: so there are no
    cycles, and memory is freed as soon as the last tensor that needs it is gone. What the vjp of one operand returns
    about the gradient that it wrote becomes one of the leaf's `_parts`.
    """

    rank: int  # the newer, the lower: of two nodes, the newer one is the lesser tuple
    name: str  # of the operation
    shape: tuple  # of the result, and its dtype
    dtype: np.dtype
    vjp: Callable | None
    views: tuple  # (number, 2-D shape) of those among (gy, *buffers) that `vjp` gets in another shape than their own
    parents: Sequence

    __eq__, __hash__ = object.__eq__, object.__hash__  # two nodes are equal only if they are the same one


_node = functools.partial(tuple.__new__, Node)  # in half the time


class Tensor:
    """An n-dimensional array of float32 or float64, which can be differentiated, or of bool or int64.

    Args:
        data: anything NumPy can make an array of. Arrays of float32, float64 and bool keep their dtype, all else gets
            `dtype`, by default `config.floatx()`. Data is copied only if it must be: a tensor made from an array sees
            what is written into that array later.
        requires_grad: whether `backward` writes the gradient to `grad` (a NumPy array of the same shape).

    >>> a = Tensor([1.0, 2.0], requires_grad=True)
    >>> (a * a).sum().backward()
    >>> a.grad
    array([2., 4.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_logits", "_node", "_parts", "requires_grad")
    _gradient = _place = None  # of a Variable: memory for `grad`, and where that is in an optimizer's row
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
        """The sum of the gradients from `backward` so far, a NumPy array of this shape; None before, or if set to None.

        It is no copy: the next `backward`, or step of the optimizer, may write into the same memory.

        Raises:
            RecordingError: while a Program is being recorded, since its values would be frozen into it.
            ValueError: another shape is assigned.
        """
        if self._grad is not None:
            self._readable()
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            value = np.array(as_array(value, self.dtype))  # `backward` will add to it
            if value.shape != self.shape:
                raise ValueError(f"The gradient of a tensor of shape {self.shape} can't have shape {value.shape}.")
            if self._gradient is not None:  # where an optimizer will look for it
                launch_copy(value, self._gradient)
                value = self._gradient
        self._grad, self._parts = value, [None]

    # attrgetter needs no Python call: a step asks for these a hundred times.
    shape = property(operator.attrgetter("_data.shape"), doc="The length of each axis, a tuple.")
    ndim = property(operator.attrgetter("_data.ndim"), doc="The number of axes.")
    size = property(operator.attrgetter("_data.size"), doc="The number of elements.")
    dtype = property(operator.attrgetter("_data.dtype"), doc="The NumPy dtype.")

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
        if copy is None:  # which np.array of NumPy 1 does not take
            return np.asarray(self.numpy(), dtype)
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_function__(self, function, types, args, kwargs):
        # Else np.mean(t) would call Tensor.mean, with NumPy's arguments.
        return function(*_plain_inside(args), **_plain_inside(kwargs))

    def item(self):
        """The value of a tensor of one element, as a Python number."""
        data = self._readable()
        if data.size != 1:
            raise ValueError(f"A tensor of shape {self.shape} is no single number: reduce it, or take one element.")
        return data.item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.dtype.kind not in "iu":
            raise TypeError(f"Only a tensor of an integer dtype is an index; this one is of {self.dtype}.")
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __format__(self, spec):
        """The number in this format; in f"{tensor}" the values alone, as in TensorFlow; of a Variable also its name."""
        if spec:
            return format(self.item(), spec)
        return str(self._data) if type(self) is Tensor and not is_recording() else str(self)

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
        return emit(self._data)

    def backward(self, gradient=None, inputs=None):
        """Add d(self)/d(leaf) to `leaf.grad` for every leaf with `requires_grad` that self was computed from.

        Of all nodes with a gradient, the newest is visited next. Whatever was computed from it is newer, so its
        gradient is complete before it is passed on, also if a tensor was used twice: for `b = a + a; c = b + b`, c
        passes 2 to b, and only then b passes 4 to a. There is no recursion, so depth is no limit.

        Args:
            gradient: dL/d(self), an array of self's shape; it may be left out if self has one element, and is 1 then.
            inputs: the leaves that get a gradient, a list of tensors with requires_grad; by default all.

        Raises:
            RuntimeError: self was not computed from a tensor with requires_grad.
            ValueError: a gradient of another shape, or none where self has several elements.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward() needs a tensor computed from one with requires_grad=True, outside of no_grad()."
            )
        if gradient is None:
            if self.size != 1:
                raise ValueError(f"backward() of a tensor of shape {self.shape} needs `gradient`, an array like it.")
            gradient = ones(self.shape, self.dtype)
        else:
            gradient = np.array(as_array(gradient, self.dtype))
            if gradient.shape != self.shape:
                raise ValueError(f"backward() of a tensor of shape {self.shape} got a gradient of {gradient.shape}.")
        gradients = Gradients(None if inputs is None else _leaves(inputs))
        try:
            gradients.hand(self._node or self, gradient)
            gradients.pass_on()
        except BaseException:
            for leaf in gradients.begun:  # whose memory may hold half a gradient
                leaf._grad = None
            raise


def flat(array):
    """The array as one row."""
    return array.reshape(1, -1)


def launch_copy(source, target):
    """Launch target = source, for two arrays of the same shape; their dtypes may differ."""
    kernel = K.copy if source.dtype == target.dtype else getattr(K, f"cast_{source.dtype}")
    launch(kernel, flat(np.ascontiguousarray(source)), flat(target))


class SymbolMet(TypeError):
    """Raised if the numbers of a symbol are needed: it stands for a tensor that is computed later (`graph.Symbol`)."""

    def __init__(self, symbol):
        super().__init__(f"{symbol!r} has no numbers: it stands for a tensor to come.")
        self.symbol = symbol


def as_array(data, dtype=None):
    """`data` as a C-contiguous NumPy array of a dtype that a Tensor can have."""
    if type(data) is np.ndarray and data.flags.c_contiguous and (
        data.dtype == dtype or (dtype is None and data.dtype.isnative and data.dtype.char in "fd?")
    ):
        return data  # the usual case, in less time
    is_array = hasattr(data, "__array__")  # a list of Python floats need not become float64
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
    return value if isinstance(value, Tensor) else emit(as_array(value, dtype))


@functools.lru_cache(maxsize=4096)
def constant(dtype, *values):
    """The numbers as a (1, n) operand for a kernel. The array is shared, so it can't be written to."""
    return _fixed(np.array([values], dtype=dtype))


@functools.lru_cache(maxsize=64)
def ones(shape, dtype):
    """An array of ones, which is shared, so that it can't be written to."""
    return _fixed(np.ones(shape, dtype))


def _fixed(array):
    array.flags.writeable = False
    return array


# -------------------------------------------------------------------------------------------------- the tape


def deferred(data, again):
    """A tensor of values computed without the tape; if a gradient is asked for, `again()` computes it on the tape."""

    def origin():
        with enable_grad():
            found = again()
        return found._node or found

    return traced("deferred", data, [origin])


def _leaves(inputs):
    """The set of the leaves in a list."""
    try:
        found = {t for t in inputs if t.requires_grad and t._node is None}
        is_right = len(found) == len(inputs) and not isinstance(inputs, Tensor)
    except (AttributeError, TypeError):
        is_right = False
    if not is_right:
        raise ValueError(f"backward: inputs must be a list of tensors made with requires_grad=True, got {inputs!r}.")
    return found


class Gradients:
    """The gradients of one `backward`: those of nodes that are not yet passed on. That of a leaf is its `grad`."""

    needed = None  # the nodes and leaves that need a gradient; None: all
    kept = ()  # the nodes (and leaves) whose own gradient is wanted: `keep` gets that of a node

    def __init__(self, leaves):
        self.leaves = leaves  # the leaves that keep their gradient; None: all
        self.waiting = []  # a heap of nodes, the newest one first
        self.begun, self.parts = [], [None]  # leaves that had no gradient before; what the last one is told of it
        self.of = {}  # node -> its gradient

    def pass_on(self):
        """Pass the gradients of all waiting nodes on to their parents, always that of the newest node first."""
        waiting, of, needed = self.waiting, self.of, self.needed
        while waiting:
            node = heapq.heappop(waiting)
            gradient = of.pop(node)
            if node in self.kept and not self.keep(node, gradient):
                continue
            if node.vjp is None:
                parent = node.parents[0]
                self.hand(parent() if node.name == "deferred" else parent, gradient)
                continue
            if node.views is None:
                node.vjp(gradient, self)
                continue
            arrays, later = [gradient], []
            for parent in node.parents:
                buffer = total = None
                if parent is None or (needed is not None and parent not in needed):
                    pass
                elif type(parent) is Node:
                    buffer, total = empty(parent.shape, parent.dtype), of.get(parent)
                    if total is None:
                        of[parent] = buffer
                        heapq.heappush(waiting, parent)
                else:
                    buffer, total = self.room(parent)
                if total is not None:
                    later.append((buffer, total))
                arrays.append(buffer)
            for i, view in node.views:
                if arrays[i] is not None:
                    arrays[i] = arrays[i].reshape(view)
            told = node.vjp(*arrays)
            if told is not None:
                self.parts[-1] = told
            for buffer, total in later:
                _add(buffer, total)

    def room(self, leaf):
        """Memory for a gradient of a leaf, and the total to add it to: None for the first one, which is the total."""
        total = leaf._grad
        self.parts = [None] if total is None else [*leaf._parts, None]
        if self.leaves is not None and leaf not in self.leaves:
            return empty_like(leaf._data), None
        leaf._parts = self.parts
        if total is not None:
            return empty_like(total), total
        leaf._grad = empty_like(leaf._data) if leaf._gradient is None else leaf._gradient
        self.begun.append(leaf)
        return leaf._grad, None

    def hand_row(self, leaves, gradients, row):
        """Give leaves their finished gradients, tensors, of which `row` consists if it is not None."""
        if row is None or self.leaves is not None or any(leaf._grad is not None for leaf in leaves):
            for leaf, gradient in zip(leaves, gradients):
                self.hand(leaf, gradient._data)
            return
        launch(K.copy, row.data, row.home.data)
        self.begun += leaves
        for leaf in leaves:
            leaf._grad, leaf._parts = leaf._gradient, [None]

    def hand(self, parent, gradient):
        """Give a finished gradient to `parent`. A node without one may share the memory; a leaf gets a copy."""
        if type(parent) is not Node:
            buffer, total = self.room(parent)
            if total is None:
                launch(K.copy, flat(gradient), flat(buffer))
                return
        elif parent in self.of:
            total = self.of[parent]
        else:
            self.of[parent] = gradient.reshape(parent.shape)
            heapq.heappush(self.waiting, parent)
            return
        _add(gradient, total)


def _add(gradient, total):
    launch(K.add_to, flat(gradient), flat(total))


def emit(result, vjp=None, operands=(), views=(), name=None):
    """A tensor of the array `result`, on the tape if `vjp` is given and one of the operands is to be differentiated."""
    tensor = object.__new__(Tensor)
    tensor._data = result
    tensor._grad = tensor._logits = tensor._node = None
    tensor.requires_grad = False
    if vjp is not None and _mode.recording:
        parents = []
        for t in operands:
            parents.append((t._node or t) if t.requires_grad else None)
            tensor.requires_grad |= t.requires_grad
        if tensor.requires_grad:
            tensor._node = _node((next(_ranks), name, result.shape, result.dtype, vjp, views, parents))
    return tensor


def view(tensor, shape):
    """The tensor with another shape of the same size: nothing is computed or copied."""
    return _same(tensor, tensor._data.reshape(shape))


def copied(tensor):
    """The same values in memory of their own."""
    data = empty_like(tensor._data)
    launch_copy(tensor._data, data)
    return _same(tensor, data)


def _same(tensor, data):
    """A tensor of `data`, which are the elements of another one."""
    return traced("reshape", data, [tensor._node or tensor] if tensor.requires_grad else [])


def traced(name, data, parents, vjp=None, views=()):
    """A tensor of the array `data`, on the tape as a Node with these parents, if there are any."""
    tensor = emit(data)
    if parents and _mode.recording:
        tensor._node = _node((next(_ranks), name, data.shape, data.dtype, vjp, views, parents))
        tensor.requires_grad = True
    return tensor
