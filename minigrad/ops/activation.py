"""Activations that are composed of other operations. Those with a kernel of their own are in `elementwise`."""

import functools
import math

from minigrad.ops.elementwise import (
    absolute,
    clip,
    erf,
    greater,
    greater_equal,
    less,
    less_equal,
    minimum,
    relu,
    sigmoid,
    softplus,
    sqrt,
    square,
    tanh,
    where,
)
from minigrad.ops.functions import expm1
from minigrad.ops.reducing import sum
from minigrad.ops.shaping import cast, expand_dims, moveaxis, split
from minigrad.tensor import as_tensor


def _of_a_tensor(function):
    """Let a function that uses a tensor's operators take anything that can be made a tensor."""

    @functools.wraps(function)
    def apply(x, *args, **kwargs):
        return function(as_tensor(x), *args, **kwargs)

    return apply


@_of_a_tensor
def relu6(x):
    """min(max(x, 0), 6)"""
    # A NaN fails both conditions, so the result is x: a NaN must not be hidden.
    return where(less_equal(x, 0.0), 0.0, where(greater_equal(x, 6.0), 6.0, x))


@_of_a_tensor
def elu(x, alpha=1.0):
    """x where x > 0, else alpha (e^x - 1)"""
    return where(greater(x, 0.0), x, expm1(minimum(x, 0.0)) * alpha)


@_of_a_tensor
def selu(x):
    """1.0507 elu(x, 1.6733): keeps mean 0 and variance 1 through depth (Klambauer et al. 2017)"""
    below = expm1(minimum(x, 0.0)) * 1.6732632423543772
    return where(less(x, 0.0), below, x) * 1.0507009873554805  # at 0 the slope is that of x > 0, as in TensorFlow


@_of_a_tensor
def celu(x, alpha=1.0):
    """max(x, 0) + min(0, alpha (e^(x/alpha) - 1))"""
    return where(greater(x, 0.0), x, expm1(minimum(x, 0.0) * (1.0 / alpha)) * alpha)


@_of_a_tensor
def log_sigmoid(x):
    """ln(1 / (1 + e^-x)) = -softplus(-x)"""
    return -softplus(-x)


@_of_a_tensor
def silu(x):
    """x sigmoid(x)"""
    return x * sigmoid(x)


@_of_a_tensor
def gelu(x, approximate=True):
    """x P(Z <= x) for a standard normal Z; `approximate` by tanh (Hendrycks and Gimpel 2016)"""
    if approximate:
        return x * 0.5 * (tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1.0)
    return x * 0.5 * (erf(x * math.sqrt(0.5)) + 1.0)


@_of_a_tensor
def glu(x, axis=-1):
    """a sigmoid(b), a and b the two halves of x along `axis` (Dauphin et al. 2017)"""
    if x.shape[axis] % 2:
        raise ValueError(f"glu halves axis {axis}, whose length must be even; got shape {x.shape}.")
    a, b = split(x, 2, axis)
    return a * sigmoid(b)


@_of_a_tensor
def hard_sigmoid(x):
    """min(max(x + 3, 0), 6) / 6"""
    return relu6(x + 3.0) * (1 / 6)


@_of_a_tensor
def hard_silu(x):
    """x hard_sigmoid(x)"""
    return x * hard_sigmoid(x)


@_of_a_tensor
def hard_tanh(x):
    """x kept within [-1, 1]"""
    return clip(x, -1.0, 1.0)


@_of_a_tensor
def hard_shrink(x, threshold=0.5):
    """x where |x| > threshold, else 0"""
    return where(less_equal(absolute(x), threshold), 0.0, x)


@_of_a_tensor
def soft_shrink(x, threshold=0.5):
    """x moved towards 0 by threshold, and 0 where |x| <= threshold"""
    return x - clip(x, -threshold, threshold)


@_of_a_tensor
def tanh_shrink(x):
    """x - tanh(x)"""
    return x - tanh(x)


@_of_a_tensor
def threshold(x, threshold, default_value):
    """x where x > threshold, else default_value"""
    return where(less_equal(x, threshold), float(default_value), x)


@_of_a_tensor
def sparse_plus(x):
    """0 for x <= -1, x for x >= 1, (x + 1)^2 / 4 in between"""
    middle = square(x + 1.0) * 0.25
    return where(less_equal(x, -1.0), 0.0, where(less(x, 1.0), middle, x))


@_of_a_tensor
def sparse_sigmoid(x):
    """(x + 1) / 2 kept within [0, 1]"""
    middle = (x + 1.0) * 0.5
    return where(less_equal(x, -1.0), 0.0, where(greater_equal(x, 1.0), 1.0, middle))


@_of_a_tensor
def squareplus(x, b=4):
    """(x + sqrt(x^2 + b)) / 2"""
    return (x + sqrt(square(x) + float(b))) * 0.5


@_of_a_tensor
def sparsemax(x, axis=-1):
    """The point of the probability simplex nearest to x along `axis` (Martins and Astudillo 2016)

    p = max(x - tau, 0), where tau makes p sum to 1. The k largest x are kept, with the largest k for which 1 + k x_(k)
    exceeds their sum, x_(k) being the k-th largest.
    """
    values = moveaxis(x, axis, -1)
    column, row = expand_dims(values, -1), expand_dims(values, -2)
    at_least = cast(greater_equal(row, column), x.dtype)  # [i, j]: 1 if x_j >= x_i; the sum over j is the rank of x_i
    rank = sum(at_least, axis=-1)
    above = sum(at_least * row, axis=-1)
    kept = cast(greater(rank * values + 1.0, above), x.dtype).detach()
    tau = (sum(kept * values, axis=-1, keepdims=True) - 1.0) / sum(kept, axis=-1, keepdims=True)
    return moveaxis(relu(values - tau), -1, axis)
