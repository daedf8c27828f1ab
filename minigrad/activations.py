"""Every activation that Keras 3 names. A formula with a kernel of its own is in `ops`; the others are composed."""

import math
import warnings

from minigrad import ops
from minigrad.ops import exp, leaky_relu, log_softmax, sigmoid, softplus, tanh
from minigrad.registry import Registry

registry = Registry("activation", "keras.activations", instantiate=False)
serialize = registry.serialize


def get(identifier):
    """The activation function that `identifier` (a string, a callable, or None for linear) stands for."""
    return linear if identifier is None else registry.get(identifier)


def deserialize(config):
    """The activation that `serialize` was given."""
    return get(config)


@registry.register()
def linear(x):
    """x"""
    return x


@registry.register()
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """x where x > threshold (at most `max_value`), else negative_slope (x - threshold). The slope at 0 is 0."""
    if threshold == 0 and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    # A condition that a NaN fails leads to x: it must not be hidden. And 0 * -inf would be NaN.
    passed = x if max_value is None else ops.where(ops.greater_equal(x, max_value), float(max_value), x)
    below = (x - threshold) * negative_slope if negative_slope else 0.0
    return ops.where(ops.less_equal(x, threshold), below, passed)


@registry.register()
def relu6(x):
    """min(max(x, 0), 6)"""
    return relu(x, max_value=6.0)


@registry.register()
def elu(x, alpha=1.0):
    """x where x > 0, else alpha (e^x - 1)"""
    return ops.where(ops.greater(x, 0.0), x, (exp(ops.minimum(x, 0.0)) - 1.0) * alpha)


@registry.register()
def selu(x):
    """1.0507 elu(x, 1.6733): keeps mean 0 and variance 1 through depth (Klambauer et al. 2017)"""
    return elu(x, 1.6732632423543772) * 1.0507009873554805


@registry.register()
def celu(x, alpha=1.0):
    """max(x, 0) + min(0, alpha (e^(x/alpha) - 1))"""
    return ops.where(ops.greater(x, 0.0), x, (exp(ops.minimum(x, 0.0) * (1.0 / alpha)) - 1.0) * alpha)


@registry.register()
def softmax(x, axis=-1):
    """e^x / sum of e^x along `axis`"""
    if x.ndim > 1 and isinstance(axis, int) and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of a tensor of shape {x.shape} gives 1 everywhere: that axis has one element. "
            "Did you mean sigmoid?",
            stacklevel=2,
        )
    return ops.softmax(x, axis)


@registry.register()
def log_sigmoid(x):
    """ln(1 / (1 + e^-x)) = -softplus(-x)"""
    return -softplus(-x)


@registry.register()
def softsign(x):
    """x / (1 + |x|)"""
    return x / (ops.absolute(x) + 1.0)


@registry.register("swish")
def silu(x):
    """x sigmoid(x)"""
    return x * sigmoid(x)


@registry.register()
def gelu(x, approximate=False):
    """x P(Z <= x) for a standard normal Z; `approximate` by tanh (Hendrycks and Gimpel 2016)"""
    if approximate:
        return x * 0.5 * (tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1.0)
    return x * 0.5 * (ops.erf(x * math.sqrt(0.5)) + 1.0)


@registry.register()
def glu(x, axis=-1):
    """a sigmoid(b), a and b the two halves of x along `axis` (Dauphin et al. 2017)"""
    if x.shape[axis] % 2:
        raise ValueError(f"glu halves axis {axis}, whose length must be even; got shape {x.shape}.")
    half = x.shape[axis] // 2
    first = [slice(None)] * x.ndim
    second = list(first)
    first[axis], second[axis] = slice(half), slice(half, None)
    return x[tuple(first)] * sigmoid(x[tuple(second)])


@registry.register()
def mish(x):
    """x tanh(softplus(x)) (Misra 2019)"""
    return x * tanh(softplus(x))


@registry.register()
def hard_sigmoid(x):
    """min(max(x + 3, 0), 6) / 6"""
    return relu6(x + 3.0) * (1 / 6)


@registry.register("hard_swish")
def hard_silu(x):
    """x hard_sigmoid(x)"""
    return x * hard_sigmoid(x)


@registry.register()
def hard_tanh(x):
    """x kept within [-1, 1]"""
    return ops.clip(x, -1.0, 1.0)


@registry.register()
def hard_shrink(x, threshold=0.5):
    """x where |x| > threshold, else 0"""
    return ops.where(ops.less_equal(ops.absolute(x), threshold), 0.0, x)


@registry.register()
def soft_shrink(x, threshold=0.5):
    """x moved towards 0 by threshold, and 0 where |x| <= threshold"""
    return x - ops.clip(x, -threshold, threshold)


@registry.register()
def tanh_shrink(x):
    """x - tanh(x)"""
    return x - tanh(x)


@registry.register()
def threshold(x, threshold=0.0, default_value=0.0):
    """x where x > threshold, else default_value"""
    return ops.where(ops.less_equal(x, threshold), float(default_value), x)


@registry.register()
def sparse_plus(x):
    """0 for x <= -1, x for x >= 1, (x + 1)^2 / 4 between"""
    middle = ops.square(x + 1.0) * 0.25
    return ops.where(ops.less_equal(x, -1.0), 0.0, ops.where(ops.less(x, 1.0), middle, x))


@registry.register()
def sparse_sigmoid(x):
    """(x + 1) / 2 kept within [0, 1]"""
    middle = (x + 1.0) * 0.5
    return ops.where(ops.less_equal(x, -1.0), 0.0, ops.where(ops.greater_equal(x, 1.0), 1.0, middle))


@registry.register()
def squareplus(x, b=4):
    """(x + sqrt(x^2 + b)) / 2"""
    return (x + ops.sqrt(ops.square(x) + float(b))) * 0.5


@registry.register()
def sparsemax(x, axis=-1):
    """The point of the probability simplex nearest to x along `axis` (Martins and Astudillo 2016)

    p = max(x - tau, 0), where tau makes p sum to 1: of the k largest, k as large as 1 + k x_(k) > sum of them allows.
    """
    n = x.shape[axis]
    column = ops.expand_dims(ops.transpose(x, [a for a in range(x.ndim) if a != axis % x.ndim] + [axis % x.ndim]), -1)
    row = ops.reshape(column, (*column.shape[:-2], 1, n))
    at_least = ops.cast(ops.greater_equal(row, column), x.dtype)  # [i, j]: x_j >= x_i, so x_i has rank sum_j
    rank = ops.sum(at_least, axis=-1)
    above = ops.sum(at_least * row, axis=-1)
    values = ops.squeeze(column, -1)
    kept = ops.cast(ops.greater(rank * values + 1.0, above), x.dtype).detach()
    tau = (ops.sum(kept * values, axis=-1, keepdims=True) - 1.0) / ops.sum(kept, axis=-1, keepdims=True)
    p = ops.relu(values - tau)
    order = list(range(x.ndim - 1))
    order.insert(axis % x.ndim, x.ndim - 1)
    return ops.transpose(p, order)


for _name, _function in {
    "leaky_relu": leaky_relu,
    "log_softmax": log_softmax,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "exponential": exp,
}.items():
    registry.members[_name] = _function
exponential, swish, hard_swish = exp, silu, hard_silu
