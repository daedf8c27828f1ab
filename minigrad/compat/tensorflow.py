"""The functions and classes of `tensorflow` itself that Keras scripts use: those in `tensorflow.txt`, and those here.

"Reads" in a docstring means that the values are read, so that a step with this function runs eagerly.
"""

import ast
import collections
import functools
import inspect
import logging
import sys
import types

import numpy as np

import minigrad
from minigrad import ops
from minigrad.compat import debugging, strings
from minigrad.compat.functions import function
from minigrad.compat.tables import meanings, sections
from minigrad.names import snake_case
from minigrad.program import is_recording
from minigrad.tensor import GradientTape

_ASSERTIONS_AT_THE_TOP = "Assert assert_equal assert_greater assert_less assert_rank"
_INITIALIZERS = "Zeros Ones Constant RandomNormal RandomUniform"
_DTYPES = "float32 float64 int8 int16 int32 int64 uint8 bool float16 bfloat16 string"


def _renamed(name, operation, arguments):
    """The operation under another name, with other names (and defaults) of its arguments, and a `name` to ignore."""
    own = list(inspect.signature(operation).parameters)[: len(arguments)]
    names = [text.partition("=")[0] for text in arguments]
    defaults = {text.partition("=")[0]: ast.literal_eval(text.partition("=")[2]) for text in arguments if "=" in text}

    def function(*args, **kwargs):
        kwargs.pop("name", None)
        given = {**defaults, **dict(zip(names, args)), **kwargs}
        unknown = [repr(key) for key in given if key not in names]
        if unknown or len(args) > len(names):
            what = ", ".join(unknown) or f"{len(args)} values"
            raise TypeError(f"tf.{name}, under minigrad, takes {', '.join(arguments)}; got {what}.")
        first = next((i for i, key in enumerate(names) if key not in given), len(names))
        rest = {own[names.index(key)]: value for key, value in given.items() if key not in names[:first]}
        return operation(*[given[key] for key in names[:first]], **rest)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"minigrad.ops.{operation.__name__}({', '.join(arguments)})"
    return function


def identity(x):
    """A tensor with the same values, which does not remember the logits that they were computed from."""
    return ops.reshape(ops.convert_to_tensor(x), ops.shape(x))


def _running(operation):
    """A function for running sums or products along an axis, from either end, with or without the element itself."""

    def run(x, axis=0, exclusive=False, reverse=False):
        x = ops.flip(x, axis) if reverse else ops.convert_to_tensor(x)
        y = operation(x, axis)
        if exclusive:  # shift by one: the last element falls out, and 0 or 1 comes first
            first = ops.split(operation(ops.full_like(x, operation is not ops.cumsum), axis), [1], axis)[0]
            y = ops.concatenate([first, ops.split(y, [x.shape[axis] - 1], axis)[0]], axis)
        return ops.flip(y, axis) if reverse else y

    run.__name__ = operation.__name__
    return run


def squeeze(x, axis=None):
    return ops.squeeze(x, tuple(axis) if isinstance(axis, list) else axis)


def reshape(x, newshape):
    """x in another shape, which may be a tensor. Reads the shape."""
    return ops.reshape(x, [int(n) for n in np.ravel(newshape)])


_OWN = {
    "cumprod": _running(minigrad.backend.cumprod),
    "cumsum": _running(ops.cumsum),
    "map_fn": minigrad.backend.map_fn,
    "reshape": reshape,
    "squeeze": squeeze,
    "identity": identity,
    "sigmoid": minigrad.backend.sigmoid,
    "softmax": minigrad.backend.remembered_by("softmax", ops.softmax),
}  # functions that differ between TensorFlow and Keras


def _operation(name):
    return _OWN.get(name) or getattr(ops, name)


def _functions():
    """{name below tf: function} of the table."""
    table, found = sections("tensorflow"), {}
    for section, arguments in (("one tensor", ["x"]), ("two tensors", ["x", "y"])):
        for entry in table[section][0].split():
            name, _, own = entry.partition("=")
            found[name] = _renamed(name, _operation(own or name), arguments)
    for name, call in meanings(table["other functions"]).items():
        own, _, arguments = call.rstrip(")").partition("(")
        found[name] = _renamed(name, _operation(own), arguments.split(", "))
    return found


# ------------------------------------------------------------------------- what is no operation under another name


def nothing(*args, **kwargs):
    """Accepted for TensorFlow; it changes nothing here."""


_placed = {}


def at(*names):
    """Decorator: what stands under these names below tf."""

    def place(thing):
        _placed.update(dict.fromkeys(names, thing))
        return thing

    return place


@at("Variable")
class Variable(minigrad.Variable):
    """tf.Variable: a Variable with the methods `value()` and `read_value()`."""

    def __init__(
        self, initial_value=None, trainable=True, validate_shape=True, caching_device=None, name=None,
        variable_def=None, dtype=None, **options,
    ):
        value = initial_value() if callable(initial_value) else initial_value
        is_integer = dtype is None and np.asarray(value).dtype.kind in "iu"
        dtype = np.int64 if is_integer or (dtype is not None and np.dtype(dtype).kind in "iu") else dtype
        super().__init__(np.asarray(value), dtype=dtype, trainable=trainable is not False, name=name)

    def value(self):
        """A copy of the values."""
        return ops.stop_gradient(self)

    read_value = value


class DType(str):
    """A dtype: its name, with its limits `min` and `max`."""

    @property
    def _info(self):
        return (np.finfo if np.dtype(self).kind == "f" else np.iinfo)(self)

    max, min = (property(lambda self, end=end: getattr(self._info, end)) for end in ("max", "min"))
    as_numpy_dtype = property(lambda self: np.dtype(self).type)
    name = property(str)


@at("argmax", "math.argmax")
def argmax(input, axis=None, output_type="int64", name=None):
    """The place of the first largest element along an axis, by default the first axis."""
    return ops.cast(ops.argmax(input, axis or 0), output_type)


@at("argmin", "math.argmin")
def argmin(input, axis=None, output_type="int64", name=None):
    """The place of the first smallest element along an axis, by default the first axis."""
    return ops.cast(ops.argmin(input, axis or 0), output_type)


@at("linalg.global_norm")
def global_norm(t_list, name=None):
    """The norm of all tensors in a list, taken as one vector; None is left out."""
    return ops.sqrt(add_n([ops.sum(ops.square(t)) for t in t_list if t is not None]))


@at("clip_by_global_norm")
def clip_by_global_norm(t_list, clip_norm, use_norm=None, name=None):
    """(the tensors, scaled by one factor so that their global norm is at most `clip_norm`; the norm before)"""
    length = global_norm(t_list) if use_norm is None else use_norm
    factor = clip_norm / ops.maximum(length, clip_norm)
    return [None if t is None else t * factor for t in t_list], length


@at("clip_by_norm")
def clip_by_norm(t, clip_norm, axes=None, name=None):
    """t, scaled so that its norm (along `axes`) is at most clip_norm."""
    size = ops.sqrt(ops.sum(ops.square(t), axes, keepdims=True))
    return ops.multiply(t, clip_norm / ops.maximum(size, clip_norm))


@at("gather")
def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    """The slices at the indices along an axis. The first `batch_dims` axes are those of a batch. Reads the indices."""
    axis = batch_dims if axis is None else axis % ops.ndim(params)
    indices = np.asarray(indices).astype(np.int64)
    if not batch_dims:
        return ops.take(params, indices, axis)
    shape = ops.shape(params)
    places = np.arange(int(np.prod(shape))).reshape(shape)
    each = [np.take(places[i], indices[i], axis - batch_dims) for i in np.ndindex(*shape[:batch_dims])]
    return ops.take(ops.ravel(params), np.reshape(each, (*shape[:batch_dims], *each[0].shape)))


@at("matmul", "linalg.matmul")
def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False, name=None):
    """The matrix product of matrices, each transposed first if wanted."""
    a = ops.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b)


@at("nn.moments")
def moments(x, axes, shift=None, keepdims=False, name=None):
    """(mean, variance) over axes."""
    return ops.moments(x, axes, keepdims)


@at("norm", "linalg.norm")
def norm(tensor, ord="euclidean", axis=None, keepdims=None, name=None):
    """The norm along an axis, or of all elements."""
    return ops.norm(tensor, None if ord == "euclidean" else ord, axis, bool(keepdims))


@at("numpy_function")
def numpy_function(func=None, inp=None, Tout=None, stateful=True, name=None):
    """func of the arrays. Reads them."""
    return ops.convert_to_tensor(func(*[np.asarray(x) for x in inp]), Tout)


@at("one_hot")
def one_hot(indices, depth, on_value=1.0, off_value=0.0, axis=None, dtype=None, name=None):
    """`on_value` in the column of the index, else `off_value`."""
    y = ops.one_hot(indices, depth, axis=-1 if axis is None else axis)
    y = y if (on_value, off_value) == (1.0, 0.0) else y * (on_value - off_value) + off_value
    return ops.cast(y, dtype or minigrad.config.floatx())


@at("pad")
def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    """The tensor with more elements at both ends of each axis: `constant_values`, or mirrored (REFLECT, SYMMETRIC)."""
    mode = mode.lower()
    return ops.pad(tensor, np.asarray(paddings), mode, constant_values if mode == "constant" else None)


@at("py_function")
def py_function(func=None, inp=None, Tout=None, name=None):
    """`numpy_function` of a function that takes tensors."""
    return numpy_function(lambda *arrays: func(*map(ops.convert_to_tensor, arrays)), inp, Tout)


TopK = collections.namedtuple("TopKV2", "values indices")


@at("math.top_k", "nn.top_k")
def top_k(input, k=1, sorted=True, index_type="int32", name=None):
    """The k largest elements along the last axis, as `values`, and their places, as `indices`."""
    return TopK(*ops.top_k(input, k, sorted))


@at("math.unsorted_segment_sum")
def unsorted_segment_sum(data, segment_ids, num_segments, name=None):
    """The sum of the rows of each segment."""
    rows = ops.reshape(data, (ops.shape(data)[0], -1))
    y = ops.matmul(ops.transpose(ops.one_hot(segment_ids, num_segments, dtype=rows.dtype)), rows)
    return ops.reshape(y, (num_segments, *ops.shape(data)[1:]))


@at("tensor_scatter_nd_update")
def tensor_scatter_nd_update(tensor, indices, updates, name=None):
    """The tensor with `updates` at the places that the last axis of `indices` tells. Reads the indices."""
    shape = ops.shape(tensor)
    places, chosen = np.arange(int(np.prod(shape))), np.asarray(indices).astype(np.int64)
    targets = places.reshape(shape)[tuple(np.moveaxis(chosen, -1, 0))].ravel()
    places[targets] = places.size + np.arange(targets.size)
    both = ops.concatenate([ops.ravel(tensor), ops.ravel(updates)])
    return ops.reshape(ops.take(both, places), shape)


@at("while_loop")
def while_loop(cond, body, loop_vars, **options):
    """Apply body(*variables) as long as cond(*variables) holds. Reads the condition."""
    while bool(cond(*loop_vars)):
        loop_vars = body(*loop_vars)
        loop_vars = loop_vars if isinstance(loop_vars, (list, tuple)) else [loop_vars]
    return loop_vars


@at("math.xlogy")
def xlogy(x, y, name=None):
    """x ln y, and 0 where x is 0."""
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    is_zero = ops.equal(x, 0.0)
    return ops.where(is_zero, 0.0, x * ops.log(ops.where(is_zero, 1.0, y)))


@at("constant")
def constant(value, dtype=None, shape=None, name="Const"):
    """A tensor with these values."""
    x = ops.convert_to_tensor(value, dtype)
    return x if shape is None else ops.broadcast_to(x, shape)


@at("add_n", "math.add_n")
def add_n(inputs, name=None):
    """The sum of several tensors."""
    return functools.reduce(ops.add, [ops.convert_to_tensor(x) for x in inputs])


@at("argsort")
def argsort(values, axis=-1, direction="ASCENDING", stable=False, name=None):
    """The places of the elements along an axis, in the order of their values. Equal elements keep their order."""
    return ops.argsort(ops.multiply(values, -1.0) if _descends(direction) else values, axis)


@at("sort")
def sort(values, axis=-1, direction="ASCENDING", name=None):
    """The elements along an axis in ascending (or descending) order."""
    if _descends(direction):
        return ops.negative(ops.sort(ops.multiply(values, -1.0), axis))
    return ops.sort(values, axis)


def _descends(direction):
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"direction must be 'ASCENDING' or 'DESCENDING', got {direction!r}.")
    return direction == "DESCENDING"


@at("boolean_mask")
def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    """The elements for which the mask is true. The mask's axes begin at `axis` and become one. Reads the mask."""
    before = (axis or 0) % ops.ndim(tensor)
    return ops.get_item(tensor, (*[slice(None)] * before, np.asarray(mask, bool)))


@at("gather_nd")
def gather_nd(params, indices, batch_dims=0, name=None):
    """The elements (or slices) at the places that the last axis of `indices` tells. Reads the indices."""
    indices = np.asarray(indices).astype(np.int64)
    own = np.indices(indices.shape[:-1])[:batch_dims]
    return ops.get_item(params, (*own, *np.moveaxis(indices, -1, 0)))


@at("where")
def where(condition, x=None, y=None, name=None):
    """x where the condition holds, else y. Without x and y, a row per place where it holds; reads the condition."""
    if x is None and y is None:
        return ops.cast(np.argwhere(np.asarray(condition)), "int64")
    return ops.where(condition, x, y)


@at("math.count_nonzero")
def count_nonzero(input, axis=None, keepdims=None, dtype="int64", name=None):
    """The number of elements (along an axis) that are not zero."""
    return ops.cast(ops.sum(ops.cast(ops.not_equal(input, 0.0), "float64"), axis, bool(keepdims)), dtype)


@at("math.confusion_matrix")
def confusion_matrix(labels, predictions, num_classes=None, weights=None, dtype="int32", name=None):
    """In row i and column j, the number (or the sum of the weights) of labels i with prediction j."""
    labels, predictions = (ops.cast(ops.reshape(y, -1), "int64") for y in (labels, predictions))
    if num_classes is None or not is_recording():
        classes = np.concatenate([labels.numpy(), predictions.numpy()])
        num_classes = int(classes.max(initial=-1)) + 1 if num_classes is None else num_classes
        if ((classes < 0) | (classes >= num_classes)).any():
            raise ValueError(f"confusion_matrix: labels and predictions must be integers from 0 to {num_classes - 1}.")
    rows, columns = (ops.one_hot(y, num_classes, dtype="float64") for y in (labels, predictions))
    if weights is not None:
        rows = rows * ops.reshape(ops.cast(ops.cast(weights, dtype), "float64"), (-1, 1))
    return ops.cast(ops.matmul(ops.transpose(rows), columns), dtype)


@at("math.squared_difference")
def squared_difference(x, y, name=None):
    """(x - y)^2"""
    return ops.square(ops.subtract(x, y))


@at("nn.l2_loss")
def l2_loss(t, name=None):
    """Half the sum of all squares."""
    return 0.5 * ops.sum(ops.square(t))


@at("nn.dropout")
def dropout(x, rate, noise_shape=None, seed=None, name=None):
    """x / (1 - rate) with probability 1 - rate, else 0."""
    return minigrad.random.dropout(x, rate, noise_shape, seed)


@at("split")
def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    """Parts along an axis: a number of parts with equal lengths, or parts with the given lengths."""
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis)
    return ops.split(value, np.cumsum(num_or_size_splits)[:-1].tolist(), axis)


@at("einsum", "linalg.einsum")
def einsum(equation, *inputs, **kwargs):
    """Products, summed over the letters that are not in the result."""
    return ops.einsum(equation, *inputs)


@at("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None):
    """max(x, 0) - x t + ln(1 + e^-|x|) of each element."""
    return minigrad.backend.binary_crossentropy(labels, logits, from_logits=True)


@at("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """-sum of t ln softmax(x) along an axis."""
    return minigrad.backend.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


@at("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(labels, logits, name=None):
    """-ln softmax(x) of each row's class."""
    return minigrad.backend.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@at("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name=None):
    """-q t ln p - (1 - t) ln(1 - p) of each element, with p = sigmoid(x) and q the weight of positive labels."""
    x = ops.convert_to_tensor(logits)
    t = ops.cast(labels, x.dtype)
    return (1.0 - t) * x + (1.0 + (pos_weight - 1.0) * t) * ops.softplus(-x)


@at("config.list_physical_devices", "config.experimental.list_physical_devices", "config.get_visible_devices")
def _only_cpu(device_type=None, kind="physical_"):
    """The list of devices: one CPU, and no GPU."""
    cpu = types.SimpleNamespace(name=f"/{kind}device:CPU:0", device_type="CPU")
    return [] if device_type not in (None, "CPU") else [cpu]


@at("print")
def _print(*inputs, output_stream=None, summarize=3, sep=" ", end="\n", name=None):
    """Print to the standard error. While a step is recorded, a tensor prints its shape instead of its values."""
    print(*inputs, sep=sep, end=end, file=output_stream or sys.stderr)


# -------------------------------------------------------------------------------------------------------- random


def _random(name):
    """A function of `keras.random` with TensorFlow's arguments."""

    def draw(shape, *args, **kwargs):
        kwargs.pop("name", None)
        return getattr(minigrad.random, name)(tuple(shape), *args, **kwargs)

    return draw


@at("random.uniform")
def uniform(shape, minval=0, maxval=None, dtype=None, seed=None, name=None):
    """Random numbers, uniform in [minval, maxval); with an integer dtype, integers."""
    if dtype is None or np.dtype(dtype).kind == "f":
        return minigrad.random.uniform(tuple(shape), minval, 1.0 if maxval is None else maxval, dtype, seed)
    if maxval is None:
        raise ValueError("tf.random.uniform needs a maxval for integers.")
    return minigrad.random.randint(tuple(shape), minval, maxval, dtype, seed)


@at("random.shuffle")
def shuffle(value, seed=None, name=None):
    """The rows in random order. Integers stay integers."""
    kind = (value if ops.is_tensor(value) else np.asarray(value)).dtype.kind
    x = ops.cast(value, "int64") if kind in "iu" else ops.convert_to_tensor(value)
    return ops.cast(minigrad.random.shuffle(x if kind == "f" else ops.cast(x, "float64"), 0, seed), x.dtype)


# --------------------------------------------------------------------------------------------------- the module


@functools.cache
def tensorflow():
    """The module that stands for tensorflow; what lies below it are modules, too."""
    functions, no_effect = _functions(), sections("tensorflow")["no effect"][0].split()
    assertions, dtypes = debugging.functions(), {name: DType(name) for name in _DTYPES.split()}
    return _module("tensorflow", strings.also_of_texts({
        **{f"math.{name}": function for name, function in functions.items() if "." not in name},
        **functions,
        **_placed,
        **dict.fromkeys(no_effect, nothing),
        **{f"random.{name}": _random(name) for name in ("normal", "truncated_normal")},
        **{name: getattr(minigrad, name) for name in ("initializers", "losses", "metrics", "optimizers")},
        **{f"{snake_case(name)}_initializer": getattr(minigrad.initializers, name) for name in _INITIALIZERS.split()},
        **{name: assertions[name] for name in _ASSERTIONS_AT_THE_TOP.split()},
        **strings.functions(),
        **{f"debugging.{name}": function for name, function in assertions.items()},
        **{f"errors.{name}": error for name, error in debugging.errors().items()},
        **{f"compat.v1.logging.{name}": thing for name, thing in debugging.logger().items()},
        **dtypes,
        **{f"dtypes.{name}": dtype for name, dtype in dtypes.items()},
        "GradientTape": GradientTape,
        "Tensor": minigrad.Tensor,
        "TensorSpec": collections.namedtuple("TensorSpec", "shape dtype name", defaults=("float32", None)),
        "UnconnectedGradients": types.SimpleNamespace(NONE="none", ZERO="zero"),
        "autograph.experimental.do_not_convert": lambda func=None: func or (lambda func: func),
        "compat.v1.set_random_seed": minigrad.utils.set_random_seed,
        "config.list_logical_devices": lambda device_type=None: _only_cpu(device_type, kind=""),
        "custom_gradient": ops.custom_gradient,
        "executing_eagerly": lambda: True,
        "function": function,
        "get_logger": lambda: logging.getLogger("tensorflow"),
        "is_tensor": ops.is_tensor,
        "keras": minigrad,
        "newaxis": None,
        "random.categorical": minigrad.random.categorical,
        "random.set_seed": minigrad.utils.set_random_seed,
        "test.gpu_device_name": lambda: "",
        "test.is_built_with_cuda": lambda: False,
        "test.is_gpu_available": lambda cuda_only=False, min_cuda_compute_capability=None: False,
    }))


def _module(name, members):
    """A module of these members, a dict; a dotted name is a member of a module below it."""
    module, below = types.ModuleType(name, "minigrad, under the name of TensorFlow's."), {}
    for path, value in members.items():
        first, dot, rest = path.partition(".")
        if dot:
            below.setdefault(first, {})[rest] = value
        else:
            setattr(module, first, value)
    for last, its_members in below.items():
        setattr(module, last, _module(last, its_members))
    module.__all__ = sorted({path.partition(".")[0] for path in members})
    return module
