"""`keras.backend`: settings, and operations under the names in older scripts (`K.mean`, `K.clip`, ...)."""

import functools
import re

import numpy as np

from minigrad import activations, config, graph, losses, ops, random
from minigrad.names import public
from minigrad.ops.logits import logits_of, remember
from minigrad.tensor import Variable
from minigrad.utils import clear_session as clear_session

_SETTINGS = "backend epsilon floatx image_data_format set_epsilon set_floatx set_image_data_format"
_SAME = """
    abs all any arange cast cos dot dtype elu equal exp eye greater greater_equal in_top_k less less_equal
    log logsumexp max maximum mean min minimum ndim not_equal one_hot ones ones_like prod reshape round shape
    sign sin softmax softplus softsign square squeeze stack std stop_gradient sum tanh tile transpose var zeros
    zeros_like
"""
_RENAMED = """
    argmax(x, axis=-1)
    argmin(x, axis=-1)
    concatenate(tensors, axis=-1)
    count_params(x) = size
    cumsum(x, axis=0)
    expand_dims(x, axis=-1)
    flatten(x) = ravel
    int_shape(x) = shape
    l2_normalize(x, axis=None) = normalize
    permute_dimensions(x, pattern) = transpose
    pow(x, a) = power
    repeat_elements(x, rep, axis) = repeat
    reverse(x, axes) = flip
    set_value(x, value) = assign
    update(x, new_x) = assign
    update_add(x, increment) = assign_add
    update_sub(x, decrement) = assign_sub
"""


def _renamed(row):
    """The function that a row says: an operation or a variable's method, with other names or defaults of arguments."""
    call, _, own = row.partition(" = ")
    name, _, arguments = call.rstrip(")").partition("(")
    operation = getattr(ops, own or name, None) or getattr(Variable, own)
    function = eval(f"lambda {arguments}: operation({re.sub('=[^,]*', '', arguments)})", {"operation": operation})
    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = __name__, operation.__doc__
    return function


globals().update({name: getattr(config, name) for name in _SETTINGS.split()})
globals().update({one.__name__: one for one in map(_renamed, map(str.strip, _RENAMED.strip().splitlines()))})
globals().update({name: getattr(ops, name) for name in _SAME.split()})


def remembered_by(kind, operation):
    """`operation`, whose result remembers its logits for cross-entropies of this kind only, as in TensorFlow."""

    @functools.wraps(operation)
    def apply(x, *args, **kwargs):
        y = operation(x, *args, **kwargs)
        return y if getattr(y, "_logits", None) is None else remember(y, y._logits[0], kind)

    return apply


sigmoid = remembered_by("sigmoid", ops.sigmoid)


def binary_crossentropy(target, output, from_logits=False):
    """-t ln p - (1 - t) ln(1 - p) of each element, p clipped to [epsilon, 1 - epsilon]."""
    return _crossentropy("binary", target, output, from_logits, lambda x: ops.expand_dims(x, -1))


def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """-sum of t ln p along `axis`, p made to sum to 1 and clipped to [epsilon, 1 - epsilon]."""
    return _crossentropy("categorical", target, output, from_logits, lambda x: ops.moveaxis(x, axis, -1))


def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1, ignore_class=None):
    """-ln of the probability of the class `target` (an integer); 0 where that is `ignore_class`."""
    if from_logits:
        output = ops.reshape(output, ops.shape(output))  # a new tensor, which remembers no logits
    return losses.sparse_categorical_crossentropy(target, output, from_logits, ignore_class, axis)


def _crossentropy(kind, target, output, from_logits, arrange):
    logits = output if from_logits else logits_of(output, {"binary": "sigmoid"}.get(kind, "softmax"))
    x = ops.convert_to_tensor(output if logits is None else logits)
    operation = getattr(ops, f"{kind}_crossentropy" if logits is None else f"{kind}_crossentropy_logits")
    return operation(arrange(ops.cast(target, x.dtype)), arrange(x))


def clip(x, min_value, max_value):
    """x kept within [min_value, max_value]; None is no bound, and a number max_value is at least min_value."""
    if min_value is None or max_value is None:
        x = x if min_value is None else ops.maximum(x, min_value)
        return ops.convert_to_tensor(x if max_value is None else ops.minimum(x, max_value))
    is_number = isinstance(min_value, (int, float)) and isinstance(max_value, (int, float))
    return ops.clip(x, min_value, min_value if is_number and max_value < min_value else max_value)


def constant(value, dtype=None, shape=None, name=None):
    """A tensor of these values, by default of floatx."""
    x = ops.convert_to_tensor(value, dtype or config.floatx())
    return x if shape is None else ops.broadcast_to(x, shape)


def cumprod(x, axis=0):
    """Running products along an axis. For n elements it needs n^2 numbers in memory."""
    x = ops.moveaxis(x, axis, -1)
    factors = ops.where(np.tri(x.shape[-1], dtype=bool), ops.expand_dims(x, -2), 1.0)
    return ops.moveaxis(ops.prod(factors, -1), -1, axis)


def dropout(x, level, noise_shape=None, seed=None):
    """x / (1 - level) with probability 1 - level, else 0."""
    return random.dropout(x, level, noise_shape, seed)


def gather(reference, indices):
    """The rows at these indices."""
    return ops.take(reference, indices, 0)


def hard_sigmoid(x):
    """x / 5 + 1 / 2 kept within [0, 1]. (The activation of this name is another function.)"""
    return ops.clip(ops.multiply(x, 0.2) + 0.5, 0.0, 1.0)


def sqrt(x):
    """The square root of max(x, 0): rounding may have made a distance negative."""
    return ops.sqrt(ops.maximum(x, 0.0))


def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    """x where x > threshold (at most max_value), else alpha (x - threshold)."""
    return activations.relu(ops.convert_to_tensor(x), alpha, max_value, threshold)


def repeat(x, n):
    """Each row n times, along a new second axis."""
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


random_normal, random_uniform, truncated_normal = random.normal, random.uniform, random.truncated_normal


def moving_average_update(x, value, momentum):
    """Move a variable towards a value: x - (1 - momentum) (x - value)."""
    return x.assign_sub((x.detach() - value) * (1.0 - momentum))


def batch_dot(x, y, axes=None):
    """For each row, products summed over an axis of x (by default the last) and one of y (the last but one).

    The result is a column if no other axis is left.
    """
    ranks = ops.ndim(x), ops.ndim(y)
    if axes is None:
        axes = -1, -1 if ranks[1] == 2 else -2
    axes = [a % n for a, n in zip([axes, axes] if isinstance(axes, int) else axes, ranks)]
    first, second = ["b" + "cdefghi"[: ranks[0] - 1], "b" + "jklmnop"[: ranks[1] - 1]]
    first, second = (letters.replace(letters[a], "z") for letters, a in zip((first, second), axes))
    y = ops.einsum(f"{first},{second}->b{(first[1:] + second[1:]).replace('z', '')}", x, y)
    return ops.expand_dims(y, 1) if ops.ndim(y) == 1 else y


def batch_normalization(x, mean, var, beta, gamma, axis=-1, epsilon=1e-3):
    """gamma (x - mean) / sqrt(var + epsilon) + beta"""
    return (x - mean) / ops.sqrt(var + epsilon) * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta)


def bias_add(x, bias, data_format=None):
    """x + bias, which has the length of the last axis."""
    return ops.add(x, bias)


def foldl(fn, elems, initializer=None, name=None):
    """fn(... fn(fn(initializer, row 0), row 1) ...); without an initializer it begins with row 0."""
    return functools.reduce(fn, ops.unstack(elems), *(() if initializer is None else (initializer,)))


def foldr(fn, elems, initializer=None, name=None):
    """`foldl` from the last row to the first."""
    return foldl(fn, ops.flip(elems, 0), initializer)


def map_fn(fn, elems, name=None, dtype=None):
    """fn of each row, stacked."""
    return ops.stack([fn(row) for row in ops.unstack(elems)])


_uids = {}


def get_uid(prefix=""):
    """1, 2, ...: how often `get_uid` was called with this prefix."""
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


is_keras_tensor = graph.is_keras_tensor


def is_sparse(tensor):
    """False: there are no sparse tensors."""
    return False


def to_dense(tensor):
    """The tensor: all are dense."""
    return tensor


def random_bernoulli(shape, p=0.0, dtype=None, seed=None):
    """1 with probability p, else 0."""
    return ops.cast(ops.less(random.uniform(shape, seed=seed), p), dtype or config.floatx())


def random_normal_variable(shape, mean, scale, dtype=None, name=None, seed=None):
    """A Variable of normal numbers."""
    return Variable(random.normal(shape, mean, scale, dtype, seed), name=name)


def random_uniform_variable(shape, low, high, dtype=None, name=None, seed=None):
    """A Variable of numbers equally likely anywhere in [low, high)."""
    return Variable(random.uniform(shape, low, high, dtype, seed), name=name)


def batch_flatten(x):
    """All axes but the first, joined to one."""
    return ops.reshape(x, (ops.shape(x)[0], -1))


def cast_to_floatx(x):
    """An array in the default dtype."""
    return np.asarray(x, config.floatx())


def eval(x):
    """The values, a NumPy array."""
    return np.asarray(x)


get_value = eval


def switch(condition, then_expression, else_expression):
    """then_expression where the condition holds, else else_expression: tensors, or functions that return them."""
    taken, other = (e() if callable(e) else e for e in (then_expression, else_expression))
    return ops.where(condition, taken, other)


def variable(value, dtype=None, name=None, constraint=None):
    """A Variable of these values."""
    return Variable(np.asarray(value), dtype=dtype, name=name or "variable")


__all__ = sorted(public(globals(), but=("Variable", "logits_of", "remember", "remembered_by")))
