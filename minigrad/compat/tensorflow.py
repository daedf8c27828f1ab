"""The functions and classes of `tensorflow` itself that Keras scripts use: those in `tensorflow.txt`, and those here.

"Reads" in a docstring means that the values are read, so that a step with this function runs eagerly.
"""

import ast
import collections
import functools
import inspect
import logging
import math
import operator
import sys
import types

import numpy as np

import minigrad
from minigrad import ops
from minigrad.compat import arranging, checkpoints, debugging, files, images, lookups, neural, strings
from minigrad.compat.functions import function
from minigrad.compat.tables import meanings, sections
from minigrad.compat.variables import Variable
from minigrad.graph import Symbol, results
from minigrad.names import snake_case
from minigrad.program import is_recording
from minigrad.tensor import GradientTape
from minigrad.texts import decode, encode, is_strings
from minigrad.trees import leaves, mapped
from minigrad.utils.elements import TensorSpec, as_array, as_numpy, shown

_ROOMS = {  # below tf: what a module defines
    "debugging": debugging, "image": images, "lookup": lookups, "nn": neural, "strings": strings, "train": checkpoints,
}  # fmt: skip
_CODERS = "decode_bmp decode_image decode_jpeg decode_png encode_jpeg encode_png"  # of images, in tf.io as well
_ASSERTIONS_AT_THE_TOP = "Assert assert_equal assert_greater assert_less assert_rank"
_INITIALIZERS = "Zeros Ones Constant RandomNormal RandomUniform"
_DTYPES = "float32 float64 int8 int16 int32 int64 uint8 bool float16 bfloat16 string"


def _renamed(name, place, arguments):
    """The operation at a place in `ops`, with other names (and defaults) of its arguments, and a `name` to ignore."""
    operation = _operation(place)
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
        tensors = [key for key in names if key in _TENSORS and key in given]
        whole = {key: _whole(given[key]) for key in tensors}
        if not any(value is None for value in whole.values()):
            given.update(whole)
        first = next((i for i, key in enumerate(names) if key not in given), len(names))
        rest = {own[names.index(key)]: value for key, value in given.items() if key not in names[:first]}
        return operation(*[given[key] for key in names[:first]], **rest)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"minigrad.ops.{place}({', '.join(arguments)})"
    return function


_TENSORS = {"x", "y", "a", "image", "images", "input", "input_tensor", "tensor", "values"}  # stay integers


def _whole(x):
    """Integers as a tensor (those in a list with tensors as a list of tensors); None if x holds anything else."""
    if isinstance(x, minigrad.Tensor):
        return x if x.dtype.kind == "i" else None
    if isinstance(x, (list, tuple)) and any(isinstance(one, (minigrad.Tensor, Symbol)) for one in leaves(x)):
        parts = [_whole(one) for one in x]
        return None if any(one is None for one in parts) else parts
    if not isinstance(x, (int, np.integer, np.ndarray, list, tuple)):
        return None
    array = np.asarray(x)
    return ops.convert_to_tensor(array) if array.dtype.kind in "iu" else None


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
    "squared_difference": lambda x, y: ops.square(ops.subtract(x, y)),
    "softmax": minigrad.backend.remembered_by("softmax", ops.softmax),
}  # functions that differ between TensorFlow and Keras


def _operation(name):
    return _OWN.get(name) or operator.attrgetter(name)(ops)


def _functions():
    """{name below tf: function} of the table."""
    table, found = sections("tensorflow"), {}
    for section, arguments in (("one tensor", ["x"]), ("two tensors", ["x", "y"])):
        for entry in table[section][0].split():
            name, _, own = entry.partition("=")
            found[name] = _renamed(name, own or name, arguments)
    for name, call in meanings(table["other functions"]).items():
        own, _, arguments = call.removesuffix(")").partition("(")
        found[name] = _renamed(name, own, arguments.split(", "))
    return found


# ------------------------------------------------------------------------- what is no operation under another name


placed = {}


def at(*names):
    """Decorator: what stands under these names below tf."""

    def place(thing):
        placed.update(dict.fromkeys(names, thing))
        return thing

    return place


def nothing(*args, **kwargs):
    """Accepted for TensorFlow; it changes nothing here."""


class DType(str):
    """A dtype: its name, with its limits `min` and `max`."""

    @property
    def _info(self):
        return (np.finfo if np.dtype(self).kind == "f" else np.iinfo)(self)

    max, min = (property(lambda self, end=end: getattr(self._info, end)) for end in ("max", "min"))
    __hash__ = str.__hash__

    def __eq__(self, other):
        return str.__eq__(self, "string" if other == np.dtype(object) else other)  # in which NumPy holds texts

    def __ne__(self, other):
        return not self == other

    as_numpy_dtype = property(lambda self: np.dtype(self).type)
    name = property(str)


def _place(operation):
    """A function for the place of the first largest or smallest element along an axis, by default the first axis."""

    def place(input, axis=None, output_type="int64", name=None):
        return ops.cast(operation(input, axis or 0), output_type)

    return place


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


@at("matmul", "linalg.matmul")
def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False, name=None):
    """The matrix product of matrices, each transposed first if wanted."""
    a = ops.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b)


@at("norm", "linalg.norm")
def norm(tensor, ord="euclidean", axis=None, keepdims=None, name=None):
    """The norm along an axis, or of all elements."""
    return ops.norm(tensor, None if ord == "euclidean" else ord, axis, bool(keepdims))


@at("ensure_shape")
def ensure_shape(x, shape, name=None):
    """x, if its shape is this one, whose Nones are any length; else a ValueError."""
    found, wanted = ops.shape(x), tuple(shape)
    if len(found) != len(wanted) or any(m not in (None, -1, n) for m, n in zip(wanted, found)):
        raise ValueError(f"A tensor of shape {wanted} is expected here, got {found}.")
    return x


def _set_shape(self, shape):
    """TensorFlow's `x.set_shape(shape)`: here, shapes are known, so it only checks."""
    if shape is not None:
        ensure_shape(self, shape)


class TensorShape(tuple):
    """A shape, whose Nones are any length, with TensorFlow's methods."""

    __slots__ = ()
    rank = ndims = property(len)

    def as_list(self):
        """The lengths in a list."""
        return list(self)

    def num_elements(self):
        """The product of the lengths; None if one is unknown."""
        return None if None in self else math.prod(self)


minigrad.Tensor.set_shape = _set_shape
minigrad.Tensor.get_shape = Symbol.get_shape = lambda self: TensorShape(self.shape)


@at("numpy_function")
def numpy_function(func=None, inp=None, Tout=None, stateful=True, name=None):
    """func of the arrays, in the dtypes Tout: a tensor, or a list of them. Reads the arrays."""
    return _typed(func(*[as_numpy(x) for x in inp]), Tout)


def _typed(found, dtypes):
    if isinstance(dtypes, (list, tuple)):
        return [_typed(one, dtype) for one, dtype in zip(found, dtypes, strict=True)]
    return shown(as_array(found)) if dtypes == "string" else ops.convert_to_tensor(found, dtypes)


@at("py_function")
def py_function(func=None, inp=None, Tout=None, name=None):
    """`numpy_function` of a function that takes tensors."""
    return _typed(func(*map(shown, inp)), Tout)


TopK = collections.namedtuple("TopKV2", "values indices")


@at("math.top_k", "nn.top_k")
def top_k(input, k=1, sorted=True, index_type="int32", name=None):
    """The k largest elements along the last axis, as `values`, and their places, as `indices`."""
    return TopK(*ops.top_k(input, k, sorted))


@at("while_loop")
def while_loop(cond, body, loop_vars, *, maximum_iterations=None, **options):
    """Apply body(*variables) as long as cond(*variables) holds. Reads the condition."""
    found = ops.while_loop(cond, body, loop_vars, maximum_iterations)
    return list(found) if isinstance(loop_vars, list) else found


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
    if shape is None:
        return x
    return ops.broadcast_to(x, shape) if ops.size(x) == 1 else ops.reshape(x, tuple(shape))


@at("add_n", "math.add_n")
def add_n(inputs, name=None):
    """The sum of several tensors."""
    return functools.reduce(ops.add, [ops.convert_to_tensor(x) for x in inputs])


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


@at("math.count_nonzero")
def count_nonzero(input, axis=None, keepdims=None, dtype="int64", name=None):
    """The number of elements (along an axis) that are not zero."""
    return ops.cast(ops.sum(ops.cast(ops.not_equal(input, 0.0), "float64"), axis, bool(keepdims)), dtype)


@at("einsum", "linalg.einsum")
def einsum(equation, *inputs, **kwargs):
    """Products, summed over the letters that are not in the result."""
    return ops.einsum(equation, *inputs)


@at("config.list_physical_devices", "config.experimental.list_physical_devices", "config.get_visible_devices")
def _only_cpu(device_type=None, kind="physical_"):
    """The list of devices: one CPU, and no GPU."""
    cpu = types.SimpleNamespace(name=f"/{kind}device:CPU:0", device_type="CPU")
    return [] if device_type not in (None, "CPU") else [cpu]


@at("print")
def _print(*inputs, output_stream=None, summarize=3, sep=" ", end="\n", name=None):
    """Print to the standard error. While a step is recorded, a tensor prints its shape instead of its values."""
    print(*inputs, sep=sep, end=end, file=output_stream or sys.stderr)


@at("make_tensor_proto")
def make_tensor_proto(values, dtype=None, shape=None, verify_shape=False):
    """A message of an event file that holds one number."""
    from tensorboardX.proto.tensor_pb2 import TensorProto  # slow to import; only TensorBoard's plugins ask for it

    return TensorProto(dtype=1, float_val=[float(values)])


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
    dtypes = {name: DType(name) for name in _DTYPES.split()}
    members = {
        **{f"math.{name}": function for name, function in functions.items() if "." not in name},
        **functions,
        **_defined(arranging),
        **placed,
        **dict.fromkeys(no_effect, nothing),
        **{room + arg.__name__: _place(arg) for room in ("", "math.") for arg in (ops.argmax, ops.argmin)},
        **{f"random.{name}": _random(name) for name in ("normal", "truncated_normal")},
        **{name: getattr(minigrad, name) for name in ("initializers", "losses", "metrics", "optimizers")},
        **{f"{snake_case(name)}_initializer": getattr(minigrad.initializers, name) for name in _INITIALIZERS.split()},
        **{name: getattr(debugging, name) for name in _ASSERTIONS_AT_THE_TOP.split()},
        **files.functions(),
        **{f"{room}.{name}": one for room, module in _ROOMS.items() for name, one in _defined(module).items()},
        **{f"io.{name}": getattr(images, name) for name in _CODERS.split()},
        **{f"errors.{name}": error for name, error in debugging.ERRORS.items()},
        **{f"compat.v1.logging.{name}": thing for name, thing in debugging.LOGGER.items()},
        **dtypes,
        **{f"dtypes.{name}": dtype for name, dtype in dtypes.items()},
        "GradientTape": GradientTape,
        "Tensor": minigrad.Tensor,
        "TensorShape": TensorShape,
        "TensorSpec": TensorSpec,
        "Variable": Variable,
        "UnconnectedGradients": types.SimpleNamespace(NONE="none", ZERO="zero"),
        "autograph.experimental.do_not_convert": lambda func=None: func or (lambda func: func),
        **dict.fromkeys(("compat.as_str", "compat.as_text", "compat.as_str_any"), decode),
        "compat.as_bytes": encode,
        "compat.v1.set_random_seed": minigrad.utils.set_random_seed,
        "config.list_logical_devices": lambda device_type=None: _only_cpu(device_type, kind=""),
        "custom_gradient": ops.custom_gradient,
        "distribute.get_strategy": lambda: None,
        "executing_eagerly": lambda: True,
        "function": function,
        "get_logger": lambda: logging.getLogger("tensorflow"),
        "is_tensor": ops.is_tensor,
        "keras": minigrad,
        "nest.flatten": results,
        "nest.map_structure": mapped,
        "newaxis": None,
        "random.categorical": minigrad.random.categorical,
        "random.set_seed": minigrad.utils.set_random_seed,
        "test.gpu_device_name": lambda: "",
        "test.is_built_with_cuda": lambda: False,
        "test.is_gpu_available": lambda cuda_only=False, min_cuda_compute_capability=None: False,
    }
    also_of_texts = {name: _either(members[name], of_texts) for name, of_texts in strings.OF_TEXTS.items()}
    return _module("tensorflow", members | also_of_texts)


def _defined(module):
    """{name: thing} of the public functions and classes that a module defines."""
    own = {name: thing for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__}
    return {name: thing for name, thing in own.items() if not name.startswith("_")}


def _either(of_tensors, of_texts):
    """A function that calls the one or the other, as its first argument is."""

    @functools.wraps(of_tensors)
    def call(*args, **kwargs):
        first = args[0] if args else next((value for key, value in kwargs.items() if key != "name"), None)
        return (of_texts if is_strings(first) else of_tensors)(*args, **kwargs)

    return call


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
