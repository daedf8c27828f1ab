"""All operations on tensors, as `keras.ops` has them; Tensor's operators are set at the foot of this file.

An operation with an `@op` signature launches kernels, and its derivative (vjp) stands directly below. One without is
composed of others and needs no derivative of its own.
"""

import functools
import sys

import numpy as np

from minigrad.names import public
from minigrad.older import NoAttribute
from minigrad.parallel import DividedPlan
from minigrad.program import Plan
from minigrad.tensor import SymbolMet, Tensor

# The table of contents: what each file offers.
# isort: off
from minigrad.ops.activation import (
    celu, elu, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, log_sigmoid, relu6, selu, silu, soft_shrink,
    sparse_plus, sparse_sigmoid, sparsemax, squareplus, tanh_shrink, threshold,
)  # fmt: skip
from minigrad.ops.arranging import (
    append, argpartition, array_split, bartlett, blackman, copy, corrcoef, cross, diagflat, dsplit, dstack, empty,
    empty_like, fliplr, flipud, geomspace, hamming, hanning, histogram, hsplit, isin, kaiser, kron, logspace, meshgrid,
    rot90, trapezoid, tri, vander, vsplit,
)  # fmt: skip
from minigrad.ops.attention import dot_product_attention
from minigrad.ops.control import (
    associative_scan, cond, custom_gradient, fori_loop, map, scan, switch, vectorized_map, while_loop,
)  # fmt: skip
from minigrad.ops.convolution import average_pool, conv, conv_transpose, depthwise_conv, max_pool, separable_conv
from minigrad.ops.creating import (
    arange, diag, eye, full, full_like, identity, linspace, ones, ones_like, pad, tril, triu, zeros, zeros_like,
)  # fmt: skip
from minigrad.ops.drawing import dropout, shuffle
from minigrad.ops.elementwise import (
    abs, absolute, add, clip, divide, equal, erf, exp, greater, greater_equal, hypot, leaky_relu, less, less_equal, log,
    maximum, minimum, mod, multiply, negative, nonzero, not_equal, power, prelu, relu, sigmoid, softplus, softsign,
    sqrt, square, subtract, tanh, where,
)  # fmt: skip
from minigrad.ops.errors import absolute_error, huber_error, log_cosh_error, squared_error
from minigrad.ops import image
from minigrad.ops.functions import (
    all, allclose, any, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, cbrt, ceil, cos, cosh,
    count_nonzero, deg2rad, divide_no_nan, erfc, exp2, expm1, fabs, floor, floor_divide, fmax, fmin, fmod, heaviside,
    isclose, isfinite, isinf, isnan, isneginf, isposinf, ldexp, log1p, log2, log10, logaddexp, logaddexp2, logical_and,
    logical_not, logical_or, logical_xor, logsumexp, nan_to_num, rad2deg, reciprocal, rms_normalization, round, rsqrt,
    saturate_cast, select, sign, signbit, sin, sinc, sinh, tan, true_divide, trunc,
)  # fmt: skip
from minigrad.ops.gaps import (
    cumprod, median, nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean, nanmedian, nanmin, nanpercentile,
    nanprod, nanquantile, nanstd, nansum, nanvar, percentile, ptp, quantile,
)  # fmt: skip
from minigrad.ops.keeping import (
    broadcast_to, cast, convert_to_tensor, expand_dims, moveaxis, ravel, reshape, squeeze, stop_gradient, swapaxes,
    transpose,
)  # fmt: skip
from minigrad.ops.linear import bias_add, dense, dense_relu, dot, einsum, inner, matmul, outer, tensordot, trace, vdot
from minigrad.ops.normalization import (
    batch_normalization, frozen_normalization, group_normalization, layer_normalization, normalized_product,
)  # fmt: skip
from minigrad.ops.ordering import argsort, cumsum, diff, in_top_k, prod, sort, take_along_axis, top_k
from minigrad.ops.placing import (
    bincount, digitize, multi_hot, scatter, scatter_update, searchsorted, segment_max, segment_min, segment_prod,
    segment_sum, slice, slice_update, take, unravel_index,
)  # fmt: skip
from minigrad.ops.probability import (
    binary_crossentropy, binary_crossentropy_logits, binary_match, categorical_crossentropy,
    categorical_crossentropy_logits, categorical_match, keep_top, log_softmax, one_hot, softmax,
    sparse_crossentropy_logits, sparse_match, top_match,
)  # fmt: skip
from minigrad.ops.reducing import argmax, mean_all, penalty, sum
from minigrad.ops.shaping import (
    concatenate, convert_to_numpy, diagonal, dtype, flip, get_item, hstack, is_tensor, ndim, repeat, roll, shape, size,
    split, stack, tile, unstack, vstack,
)  # fmt: skip
from minigrad.ops.statistics import amax, amin, argmin, average, max, mean, min, moments, norm, normalize, std, var
# isort: on

# Second names of some operations.
array, hard_swish, swish = convert_to_tensor, hard_silu, silu
nn = numpy = sys.modules[__name__]  # Keras' rooms for some of them

__all__ = public(globals(), but=("DividedPlan", "NoAttribute", "Plan", "SymbolMet", "Tensor"))


_WHOLE = {  # what makes integers of integers
    "absolute", "add", "amax", "amin", "clip", "cumsum", "diff", "dot", "fabs", "floor_divide", "matmul", "max",
    "maximum", "min", "minimum", "mod", "multiply", "negative", "pad", "power", "prod", "sign", "square", "subtract",
    "sum", "tensordot", "where",
}  # fmt: skip


def _kinds(args):
    """The kinds of the dtypes of the arguments: "i" of a tensor of integers, "n" of what is no tensor but whole."""
    found = set()
    for x in args:
        kind = (x if isinstance(x, Tensor) else np.asarray(x)).dtype.kind
        found.add(kind if isinstance(x, Tensor) or kind == "f" else "n")
    return found


def _with_symbols(operation):
    """The operation; if it is given a symbol of a model's graph (`graph.Symbol`), it is recorded as a call there.

    Some operations make integers of integers: they compute in float64, which is exact up to 2^53.
    """
    makes_whole = operation.__name__ in _WHOLE
    if not makes_whole and hasattr(operation, "public"):
        return operation.public

    @functools.wraps(operation)
    def call(*args, **kwargs):
        try:
            if makes_whole:
                for x in args:
                    if isinstance(x, Tensor) and x._data.dtype.kind == "i" and "f" not in _kinds(args):
                        exact = [cast(x, "float64") if _kinds([x]) == {"i"} else x for x in args]
                        return cast(operation(*exact, **kwargs), "int64")
            return operation(*args, **kwargs)
        except SymbolMet as met:
            return met.symbol.record(call, args, kwargs)

    call.__module__, call.public = __name__, call  # where pickle finds it
    return call


_public = {}  # operation -> its public version, which all its names share
for _name in __all__:
    _operation = globals()[_name]
    if not isinstance(_operation, type):
        globals()[_name] = _face = _public.setdefault(_operation, _with_symbols(_operation))
        if _face.__name__ not in __all__ or _face.__name__ == _name:
            _face.__name__ = _face.__qualname__ = _name

for _name in image.__all__:
    setattr(image, _name, _with_symbols(getattr(image, _name)))

Plan.chosen = DividedPlan  # from here on several threads share large launches


def _missing(name, self):
    raise NoAttribute(type(self).__name__, name)


# A `__getattr__` would say it of every name, but each access to a slot would take several times as long.
_ELSEWHERE = "astype cpu cuda double get_shape half long permute requires_grad_ swapaxes to tolist unsqueeze view"
for _name in _ELSEWHERE.split():
    setattr(Tensor, _name, property(functools.partial(_missing, _name)))
Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = multiply
for _name, _operation in {
    "sub": subtract, "truediv": divide, "pow": power, "floordiv": floor_divide, "mod": mod, "matmul": matmul,
}.items():  # fmt: skip
    setattr(Tensor, f"__{_name}__", _operation)
    setattr(Tensor, f"__r{_name}__", lambda self, other, _operation=_operation: _operation(other, self))
Tensor.__neg__ = negative
Tensor.__abs__ = absolute
Tensor.__gt__, Tensor.__ge__, Tensor.__lt__, Tensor.__le__ = greater, greater_equal, less, less_equal
Tensor.__eq__, Tensor.__ne__ = equal, not_equal
Tensor.__and__ = Tensor.__rand__ = logical_and
Tensor.__or__ = Tensor.__ror__ = logical_or
Tensor.__xor__ = Tensor.__rxor__ = logical_xor
Tensor.__invert__ = logical_not
Tensor.__getitem__ = get_item
Tensor.T = property(transpose)
for _method in (sum, mean, var, std, max, min, exp, log, sqrt, square, abs, clip, squeeze, tanh, sigmoid, relu):
    setattr(Tensor, _method.__name__ if _method is not absolute else "abs", _method)
Tensor.reshape = lambda self, *axes: reshape(self, axes[0] if len(axes) == 1 else axes)
Tensor.transpose = lambda self, *axes: transpose(self, (axes[0] if len(axes) == 1 else axes) or None)
