"""Every differentiable operation: the forward, and directly below it the vjp; Tensor's operators at the foot.

Public, as `keras.ops` is. An operation with an `@op` signature launches kernels; one without is composed of others
and needs no derivative of its own.
"""

from minigrad.ops.drawing import (
    dropout,
    shuffle,
)
from minigrad.ops.elementwise import (
    abs,
    absolute,
    add,
    clip,
    divide,
    equal,
    erf,
    exp,
    greater,
    greater_equal,
    leaky_relu,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    prelu,
    relu,
    sigmoid,
    softplus,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from minigrad.ops.linear import (
    bias_add,
    dense,
    matmul,
)
from minigrad.ops.normalization import (
    batch_normalization,
    frozen_normalization,
    layer_normalization,
)
from minigrad.ops.probability import (
    absolute_error,
    binary_crossentropy,
    binary_crossentropy_logits,
    binary_match,
    categorical_crossentropy,
    categorical_crossentropy_logits,
    categorical_match,
    huber_error,
    keep_top,
    log_cosh_error,
    log_softmax,
    one_hot,
    softmax,
    sparse_crossentropy_logits,
    sparse_match,
    squared_error,
    top_match,
)
from minigrad.ops.reducing import (
    argmax,
    broadcast_to,
    max,
    mean_all,
    penalty,
    sum,
)
from minigrad.ops.shaping import (
    cast,
    concatenate,
    convert_to_numpy,
    convert_to_tensor,
    expand_dims,
    flip,
    get_item,
    reshape,
    shape,
    squeeze,
    stack,
    transpose,
)
from minigrad.ops.statistics import (
    mean,
    min,
    std,
    var,
)
from minigrad.tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "absolute_error",
    "add",
    "argmax",
    "batch_normalization",
    "bias_add",
    "binary_crossentropy",
    "binary_crossentropy_logits",
    "binary_match",
    "broadcast_to",
    "cast",
    "categorical_crossentropy",
    "categorical_crossentropy_logits",
    "categorical_match",
    "clip",
    "concatenate",
    "convert_to_numpy",
    "convert_to_tensor",
    "dense",
    "divide",
    "dropout",
    "equal",
    "erf",
    "exp",
    "expand_dims",
    "flip",
    "frozen_normalization",
    "get_item",
    "greater",
    "greater_equal",
    "huber_error",
    "keep_top",
    "layer_normalization",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log_cosh_error",
    "log_softmax",
    "matmul",
    "max",
    "maximum",
    "mean",
    "mean_all",
    "min",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "penalty",
    "power",
    "prelu",
    "relu",
    "reshape",
    "shape",
    "shuffle",
    "sigmoid",
    "softmax",
    "softplus",
    "sparse_crossentropy_logits",
    "sparse_match",
    "sqrt",
    "square",
    "squared_error",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "tanh",
    "top_match",
    "transpose",
    "var",
    "where",
]

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__sub__ = subtract
Tensor.__rsub__ = lambda self, other: subtract(other, self)
Tensor.__mul__ = Tensor.__rmul__ = multiply
Tensor.__truediv__ = divide
Tensor.__rtruediv__ = lambda self, other: divide(other, self)
Tensor.__pow__ = power
Tensor.__rpow__ = lambda self, other: power(other, self)
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda self, other: matmul(other, self)
Tensor.__neg__ = negative
Tensor.__abs__ = absolute
Tensor.__gt__, Tensor.__ge__, Tensor.__lt__, Tensor.__le__ = greater, greater_equal, less, less_equal
Tensor.__eq__, Tensor.__ne__ = equal, not_equal
Tensor.__getitem__ = get_item
Tensor.T = property(transpose)
for _method in (sum, mean, var, std, max, min, exp, log, sqrt, square, abs, clip, squeeze, tanh, sigmoid, relu):
    setattr(Tensor, _method.__name__ if _method is not absolute else "abs", _method)
Tensor.reshape = lambda self, *shape: reshape(self, shape[0] if len(shape) == 1 else shape)
Tensor.transpose = lambda self, *axes: transpose(self, (axes[0] if len(axes) == 1 else axes) or None)
