"""What Keras scripts use of `tensorflow` itself, mapped onto minigrad in one table."""

import ast
import inspect
import logging
import types

import numpy as np

import minigrad
from minigrad import ops

# A line: the name below tf, the operation of minigrad, TensorFlow's names of its arguments (in the operation's order)
# and defaults that differ. Functions of one or two tensors have the same names in both.
_UNARY = """
    abs acos=arccos asin=arcsin atan=arctan ceil cos cosh exp expm1 floor is_finite=isfinite is_inf=isinf is_nan=isnan
    log log1p log_sigmoid logical_not negative reciprocal round rsqrt sigmoid sign sin sinh softplus softsign sqrt
    square tan tanh erf ones_like zeros_like identity=convert_to_tensor
"""
_BINARY = """
    add subtract multiply divide truediv=divide floordiv=floor_divide floormod=mod mod pow=power maximum minimum
    divide_no_nan equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor
"""
_OTHERS = """
    argmax              argmax(input, axis=0)
    argmin              argmin(input, axis=0)
    argsort             argsort(values, axis=-1)
    broadcast_to        broadcast_to(input, shape)
    cast                cast(x, dtype)
    clip_by_value       clip(t, clip_value_min, clip_value_max)
    concat              concatenate(values, axis)
    convert_to_tensor   convert_to_tensor(value, dtype)
    cumsum              cumsum(x, axis=0)
    expand_dims         expand_dims(input, axis)
    eye                 eye(num_rows, num_columns)
    fill                full(dims, value)
    gather              take(params, indices, axis=0)
    linspace            linspace(start, stop, num)
    matmul              matmul(a, b)
    norm                norm(tensor, ord, axis, keepdims)
    one_hot             one_hot(indices, depth)
    ones                ones(shape, dtype)
    pad                 pad(tensor, paddings)
    range               arange(start, limit, delta, dtype)
    rank                ndim(input)
    reduce_all          all(input_tensor, axis, keepdims)
    reduce_any          any(input_tensor, axis, keepdims)
    reduce_logsumexp    logsumexp(input_tensor, axis, keepdims)
    reduce_max          max(input_tensor, axis, keepdims)
    reduce_mean         mean(input_tensor, axis, keepdims)
    reduce_min          min(input_tensor, axis, keepdims)
    reduce_prod         prod(input_tensor, axis, keepdims)
    reduce_std          std(input_tensor, axis, keepdims)
    reduce_sum          sum(input_tensor, axis, keepdims)
    reduce_variance     var(input_tensor, axis, keepdims)
    repeat              repeat(input, repeats, axis)
    reshape             reshape(tensor, shape)
    reverse             flip(tensor, axis)
    roll                roll(input, shift, axis)
    shape               shape(input)
    size                size(input)
    sort                sort(values, axis)
    squeeze             squeeze(input, axis)
    stack               stack(values, axis)
    stop_gradient       stop_gradient(input)
    tensordot           tensordot(a, b, axes)
    tile                tile(input, multiples)
    transpose           transpose(a, perm)
    unstack             unstack(value, num, axis)
    where               where(condition, x, y)
    zeros               zeros(shape, dtype)
    math.in_top_k       in_top_k(targets, predictions, k)
    math.l2_normalize   normalize(x, axis)
    math.top_k          top_k(input, k=1)
    linalg.diag         diag(diagonal)
    linalg.trace        trace(x)
    nn.elu              elu(features)
    nn.gelu             gelu(features, approximate=False)
    nn.l2_normalize     normalize(x, axis)
    nn.leaky_relu       leaky_relu(features, alpha)
    nn.log_softmax      log_softmax(logits, axis)
    nn.moments          moments(x, axes)
    nn.relu             relu(features)
    nn.relu6            relu6(features)
    nn.selu             selu(features)
    nn.sigmoid          sigmoid(x)
    nn.silu             silu(features)
    nn.softmax          softmax(logits, axis)
    nn.softplus         softplus(features)
    nn.swish            silu(features)
    nn.tanh             tanh(x)
    nn.top_k            top_k(input, k=1)
"""
DTYPES = "float32 float64 int8 int16 int32 int64 uint8 bool float16 bfloat16"


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


def _functions():
    """All functions of the table, by their names below tf."""
    found = {}
    for text, arguments in ((_UNARY, ["x"]), (_BINARY, ["x", "y"])):
        for entry in text.split():
            name, _, own = entry.partition("=")
            found[name] = _renamed(name, getattr(ops, own or name), arguments)
    for line in _OTHERS.strip().splitlines():
        name, call = line.split(maxsplit=1)
        own, _, arguments = call.rstrip(")").partition("(")
        found[name] = _renamed(name, getattr(ops, own), [a.strip() for a in arguments.split(",")])
    return found


# ------------------------------------------------------------------------- what is no operation under another name


def constant(value, dtype=None, shape=None, name="Const"):
    """A tensor of these values."""
    return minigrad.backend.constant(value, dtype, shape)


def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    """Parts along an axis: so many of equal length, or of the given lengths."""
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis)
    return ops.split(value, np.cumsum(num_or_size_splits)[:-1].tolist(), axis)


def einsum(equation, *inputs, **kwargs):
    """Products summed over the letters that the result does not have."""
    return ops.einsum(equation, *inputs)


def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None):
    """max(x, 0) - x t + ln(1 + e^-|x|) of each element."""
    return minigrad.backend.binary_crossentropy(labels, logits, from_logits=True)


def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """-sum of t ln softmax(x) along an axis."""
    return minigrad.backend.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


def function(func=None, **options):
    """The function itself: `fit` records every step into a Program anyway."""
    return func if func is not None else lambda func: func


def _nothing(*args, **kwargs):
    """Accepted for TensorFlow; it changes nothing here."""


def _only_cpu(device_type=None):
    """No GPU, and one CPU."""
    cpu = types.SimpleNamespace(name="/physical_device:CPU:0", device_type="CPU")
    return [] if device_type not in (None, "CPU") else [cpu]


def _random(name):
    """A function of `keras.random` with the arguments of TensorFlow's."""
    return lambda shape, *args, **kwargs: getattr(minigrad.random, name)(tuple(shape), *args, **kwargs)


def tensorflow():
    """The module that stands for tensorflow; what lies below it are modules, too."""
    functions = _functions()
    top = {name: f for name, f in functions.items() if "." not in name}
    below = {
        where: {name.split(".")[1]: f for name, f in functions.items() if name.startswith(f"{where}.")}
        for where in ("math", "linalg", "nn")
    }
    below["math"] = {**top, **below["math"]}
    below["linalg"] |= {"matmul": top["matmul"], "norm": top["norm"], "einsum": einsum}
    below["nn"] |= {
        "sigmoid_cross_entropy_with_logits": sigmoid_cross_entropy_with_logits,
        "softmax_cross_entropy_with_logits": softmax_cross_entropy_with_logits,
    }
    below["random"] = {"set_seed": minigrad.utils.set_random_seed}
    below["random"] |= {name: _random(name) for name in ("normal", "uniform")}
    below["config"] = {
        "list_physical_devices": _only_cpu,
        "run_functions_eagerly": _nothing,
        "experimental": _module("experimental", enable_op_determinism=_nothing, set_memory_growth=_nothing),
        "threading": _module(
            "threading", set_inter_op_parallelism_threads=_nothing, set_intra_op_parallelism_threads=_nothing
        ),
    }
    below["config"]["experimental"].list_physical_devices = _only_cpu
    below["dtypes"] = {name: name for name in DTYPES.split()}
    return _module(
        "tensorflow",
        keras=minigrad,
        **{name: _module(name, **members) for name, members in below.items()},
        **top,
        **below["dtypes"],
        Tensor=minigrad.Tensor,
        Variable=minigrad.backend.variable,
        constant=constant,
        einsum=einsum,
        executing_eagerly=lambda: True,
        function=function,
        get_logger=lambda: logging.getLogger("tensorflow"),
        is_tensor=ops.is_tensor,
        split=split,
    )


def _module(name, **members):
    module = types.ModuleType(name, "minigrad, under the name of TensorFlow's.")
    vars(module).update(members)
    module.__all__ = sorted(members)
    return module
