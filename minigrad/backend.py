"""`keras.backend`: settings, and the names under which older scripts know the operations (`K.mean`, `K.clip`, ...)."""

import functools

import numpy as np

from minigrad import activations, config, losses, ops, random
from minigrad.ops.logits import logits_of, remember
from minigrad.tensor import Variable
from minigrad.utils import clear_session as clear_session

_SETTINGS = "backend epsilon floatx image_data_format set_epsilon set_floatx set_image_data_format"
_SAME = """
    abs all any arange cast cos dot dtype elu equal exp eye greater greater_equal hard_sigmoid in_top_k less less_equal
    log logsumexp max maximum mean min minimum ndim not_equal one_hot ones ones_like prod reshape round shape
    sign sin softmax softplus softsign sqrt square squeeze stack std stop_gradient sum tanh tile transpose var zeros
    zeros_like
"""
globals().update({name: getattr(config, name) for name in _SETTINGS.split()})
globals().update({name: getattr(ops, name) for name in _SAME.split()})


def remembered_by(kind, operation):
    """`operation`, whose result only a cross-entropy of this kind computes from what went into it: as TensorFlow's."""

    @functools.wraps(operation)
    def apply(x, *args, **kwargs):
        y = operation(x, *args, **kwargs)
        return y if y._logits is None else remember(y, y._logits[0], kind)

    return apply


sigmoid = remembered_by("sigmoid", ops.sigmoid)


def argmax(x, axis=-1):
    """Where along `axis` the first largest element stands."""
    return ops.argmax(x, axis)


def argmin(x, axis=-1):
    """Where along `axis` the first smallest element stands."""
    return ops.argmin(x, axis)


def binary_crossentropy(target, output, from_logits=False):
    """-t ln p - (1 - t) ln(1 - p) of each element, p clipped to [epsilon, 1 - epsilon]."""
    return _crossentropy("binary", target, output, from_logits, lambda x: ops.expand_dims(x, -1))


def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """-sum of t ln p along `axis`, p made to sum to 1 and clipped to [epsilon, 1 - epsilon]."""
    return _crossentropy("categorical", target, output, from_logits, lambda x: ops.moveaxis(x, axis, -1))


def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1, ignore_class=None):
    """-ln of the probability of the class `target` (an integer); 0 where that is `ignore_class`."""
    if from_logits:
        output = ops.reshape(output, ops.shape(output))  # a new tensor, which has forgotten what it was computed from
    return losses.sparse_categorical_crossentropy(target, output, from_logits, ignore_class, axis)


def _crossentropy(kind, target, output, from_logits, arrange):
    logits = output if from_logits else logits_of(output, {"binary": "sigmoid"}.get(kind, "softmax"))
    x = ops.convert_to_tensor(output if logits is None else logits)
    operation = getattr(ops, f"{kind}_crossentropy" if logits is None else f"{kind}_crossentropy_logits")
    return operation(arrange(ops.cast(target, x.dtype)), arrange(x))


def clip(x, min_value, max_value):
    """x kept within [min_value, max_value]."""
    return ops.clip(x, min_value, max_value)


def concatenate(tensors, axis=-1):
    """Join tensors along an axis."""
    return ops.concatenate(tensors, axis)


def constant(value, dtype=None, shape=None, name=None):
    """A tensor of these values."""
    x = ops.convert_to_tensor(value, dtype)
    return x if shape is None else ops.broadcast_to(x, shape)


def count_params(x):
    """The number of elements."""
    return ops.size(x)


def cumprod(x, axis=0):
    """Running products along an axis, of n elements computed from n^2."""
    x = ops.moveaxis(x, axis, -1)
    factors = ops.where(np.tri(x.shape[-1], dtype=bool), ops.expand_dims(x, -2), 1.0)
    return ops.moveaxis(ops.prod(factors, -1), -1, axis)


def cumsum(x, axis=0):
    """Running sums along an axis."""
    return ops.cumsum(x, axis)


def dropout(x, level, noise_shape=None, seed=None):
    """x / (1 - level) with probability 1 - level, else 0."""
    return random.dropout(x, level, noise_shape, seed)


def expand_dims(x, axis=-1):
    """Insert an axis of length one."""
    return ops.expand_dims(x, axis)


def gather(reference, indices):
    """The rows at these indices."""
    return ops.take(reference, indices, 0)


def permute_dimensions(x, pattern):
    """The axes in another order."""
    return ops.transpose(x, pattern)


def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    """x where x > threshold (at most max_value), else alpha (x - threshold)."""
    return activations.relu(ops.convert_to_tensor(x), alpha, max_value, threshold)


def repeat(x, n):
    """Each row n times along a new axis behind the first."""
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


def repeat_elements(x, rep, axis):
    """Each element so many times along an axis."""
    return ops.repeat(x, rep, axis)


def reverse(x, axes):
    """The other way round along an axis or several."""
    return ops.flip(x, axes)


random_normal, random_uniform, truncated_normal = random.normal, random.uniform, random.truncated_normal


def moving_average_update(x, value, momentum):
    """Move a variable towards a value: x - (1 - momentum) (x - value)."""
    return x.assign_sub((x.detach() - value) * (1.0 - momentum))


def update(x, new_x):
    """Give a variable other values."""
    return x.assign(new_x)


def update_add(x, increment):
    """Add to a variable."""
    return x.assign_add(increment)


def update_sub(x, decrement):
    """Subtract from a variable."""
    return x.assign_sub(decrement)


def batch_dot(x, y, axes=None):
    """The product of each row of x with the same row of y, a column.

    Raises:
        ValueError: other than two axes.
    """
    shape, other = ops.shape(x), ops.shape(y)
    if len(shape) != 2 or shape != other or not np.all(np.mod(1 if axes is None else axes, 2) == 1):
        raise ValueError(f"batch_dot takes matrices of one shape: use ops.einsum for {shape}, {other}, axes={axes}.")
    return ops.sum(ops.multiply(x, y), 1, keepdims=True)


def batch_flatten(x):
    """Everything but the rows along one axis."""
    return ops.reshape(x, (ops.shape(x)[0], -1))


def cast_to_floatx(x):
    """An array in the default dtype."""
    return np.asarray(x, config.floatx())


def eval(x):
    """The values, a NumPy array."""
    return np.asarray(x)


get_value = eval


def set_value(x, value):
    """Give a variable other values."""
    x.assign(value)


def flatten(x):
    """All elements along one axis."""
    return ops.ravel(x)


def int_shape(x):
    """The shape, a tuple."""
    return ops.shape(x)


def l2_normalize(x, axis=None):
    """x over its length along `axis`."""
    return ops.normalize(x, axis)


def pow(x, a):
    """x^a"""
    return ops.power(x, a)


def switch(condition, then_expression, else_expression):
    """The first where the condition holds, else the second: tensors, or functions without arguments that make them."""
    taken, other = (e() if callable(e) else e for e in (then_expression, else_expression))
    return ops.where(condition, taken, other)


def variable(value, dtype=None, name=None, constraint=None):
    """A Variable of these values."""
    return Variable(np.asarray(value), dtype=dtype, name=name or "variable")


_OTHERS = ("Variable", "activations", "config", "losses", "np", "ops", "random")
__all__ = sorted(name for name in globals() if not name.startswith("_") and name not in _OTHERS)
