"""Every differentiable operation: the forward, and directly below it the vjp; Tensor's operators at the foot.

Public, as `keras.ops` is. An operation with an `@op` signature launches kernels; one without is composed of others
and needs no derivative of its own.
"""

import builtins
import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.program import launch
from minigrad.tensor import Tensor, as_tensor, constant, emit, op, view

# ----------------------------------------------------------------------------------------- shape and contents


def convert_to_tensor(x, dtype=None):
    """`x` as a Tensor, of `dtype` if given."""
    x = as_tensor(x, dtype)
    return x if dtype is None else cast(x, dtype)


def convert_to_numpy(x):
    """`x` as a NumPy array."""
    return np.asarray(x)


def shape(x):
    """The shape of `x`, a tuple."""
    return as_tensor(x).shape


def cast(x, dtype):
    """`x` in another dtype: "float32", "float64" or "bool". Gradients pass between the floating-point ones."""
    x, dtype = as_tensor(x), np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if dtype.kind == "b":
        return not_equal(x, 0)
    if dtype.kind != "f" or x.dtype.name not in _casts:
        raise ValueError(f"cast knows float32, float64 and bool; it can't make {dtype} of {x.dtype}.")
    return _casts[x.dtype.name, dtype.name](x) if x.dtype.kind == "f" else _casts[x.dtype.name](x, dtype)


def _make_cast(there, back, dtype):
    @op("(...) -> (...)", dtype=dtype)
    def cast(y, x):
        launch(there, x, y)

        def vjp(gy, gx):
            launch(back, gy, gx)

        return vjp

    return cast


def _cast_plain(kernel):
    def cast(x, dtype):
        y = np.empty(x.shape, dtype)
        launch(kernel, x._data.reshape(1, -1), y.reshape(1, -1))
        return as_tensor(y)

    return cast


_casts = {
    ("float32", "float64"): _make_cast(K.cast_float32, K.cast_float64, "float64"),
    ("float64", "float32"): _make_cast(K.cast_float64, K.cast_float32, "float32"),
    "bool": _cast_plain(K.cast_bool),
    "int64": _cast_plain(K.cast_int64),
    "float32": None,
    "float64": None,
}


def reshape(x, newshape):
    """The same elements in another shape; one length may be -1."""
    x = as_tensor(x)
    newshape = (newshape,) if isinstance(newshape, int) else tuple(newshape)
    try:
        return view(x, newshape)
    except ValueError:
        raise ValueError(f"reshape can't make {newshape} of {x.shape}: {x.size} elements.") from None


def expand_dims(x, axis):
    """Insert an axis of length one before `axis`."""
    x = as_tensor(x)
    rank = x.ndim + 1
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ValueError(f"expand_dims: axis must be an int from {-rank} to {rank - 1}, got {axis!r}.")
    axis %= rank
    return view(x, x.shape[:axis] + (1,) + x.shape[axis:])


def squeeze(x, axis=None):
    """Remove axes of length one: those named, or all."""
    x = as_tensor(x)
    try:
        return view(x, np.squeeze(x._data, axis).shape)
    except ValueError:
        raise ValueError(f"squeeze can't remove axis {axis} of {x.shape}: its length is not one.") from None


@op("(k) -> (n)")
def _take(y, x, index, n):
    """y_i = x[index_i]; its vjp adds each gy_i to gx[index_i]."""
    launch(K.take, x, index, y)

    def vjp(gy, gx):
        launch(K.put_add, gy, index, gx)

    return vjp


def _rearrange(x, places):
    """The elements of x that stand at `places`, an array of flat positions, in the shape of `places`."""
    index = np.ascontiguousarray(places, dtype=np.int64).reshape(1, -1)
    return view(_take(view(x, (x.size,)), index=index, n=index.size), places.shape)


def _places(x):
    return np.arange(x.size).reshape(x.shape)


def transpose(x, axes=None):
    """Reorder the axes: reversed, or in the order of `axes`."""
    x = as_tensor(x)
    axes = tuple(reversed(range(x.ndim))) if axes is None else tuple(axes)
    return x if axes == tuple(range(x.ndim)) else _rearrange(x, np.transpose(_places(x), axes))


def get_item(x, key):
    """x[key] with NumPy's rules: slices, integers, None, ..., lists, boolean masks (whose values are read)."""
    if isinstance(key, Tensor):
        key = key.numpy()
    elif isinstance(key, tuple):
        key = tuple(k.numpy() if isinstance(k, Tensor) else k for k in key)
    return _rearrange(x, _places(x)[key])


def flip(x, axis=None):
    """Reverse the order along `axis` (all axes if None)."""
    x = as_tensor(x)
    return _rearrange(x, np.flip(_places(x), axis))


def concatenate(xs, axis=0):
    """Join tensors along an existing axis."""
    xs = [as_tensor(x) for x in xs]
    if not xs:
        raise ValueError("concatenate needs at least one tensor.")
    if len({x.dtype for x in xs}) > 1:
        xs = [cast(x, _common_dtype(xs)) for x in xs]
    try:
        joined = np.concatenate([np.broadcast_to(np.int8(0), x.shape) for x in xs], axis)
    except ValueError as error:
        raise ValueError(f"concatenate can't join {[x.shape for x in xs]} along axis {axis}: {error}") from None
    axis %= joined.ndim
    rows = math.prod(joined.shape[:axis])
    widths = [math.prod(x.shape[axis:]) for x in xs]
    firsts = [constant(np.int64, int(first)) for first in np.cumsum([0, *widths[:-1]])]
    result = np.empty(joined.shape, xs[0].dtype)
    for x, first, width in zip(xs, firsts, widths, strict=True):
        launch(K.put_columns, x._data.reshape(rows, width), first, result.reshape(rows, -1))

    def vjp(gy, *gxs):
        for gx, first in zip(gxs, firsts, strict=True):
            if gx is not None:
                launch(K.get_columns, gy, first, gx)

    return emit(result, vjp, xs, [(rows, sum_of(widths)), *((rows, width) for width in widths)])


sum_of = builtins.sum


def _common_dtype(tensors):
    """The widest floating-point dtype among them; one that has none counts as floatx."""
    return np.result_type(*[t.dtype if t.dtype.kind == "f" else config.floatx() for t in tensors])


def stack(xs, axis=0):
    """Join tensors of the same shape along a new axis."""
    return concatenate([expand_dims(x, axis) for x in xs], axis)


# ------------------------------------------------------------------------------- repeating and reducing


@op("(n) -> (m,n)")
def _repeat_first(y, x, m):
    """y_ij = x_j; gx_j = sum over i of gy_ij."""
    launch(K.repeat_row, x, y)

    def vjp(gy, gx):
        launch(K.sum_rows, gy, gx)

    return vjp


@op("(...) -> (...,n)")
def _repeat_last(y, x, n):
    """y_ij = x_i; gx_i = sum over j of gy_ij."""
    launch(K.repeat_column, x, y)

    def vjp(gy, gx):
        launch(K.sum_columns, gy, gx)

    return vjp


@op("(m,n) -> (n)")
def _sum_first(y, x):
    """y_j = sum over i of x_ij; gx_ij = gy_j."""
    launch(K.sum_rows, x, y)

    def vjp(gy, gx):
        launch(K.repeat_row, gy, gx)

    return vjp


@op("(...,n) -> (...)")
def _sum_last(y, x):
    """y_i = sum over j of x_ij; gx_ij = gy_i."""
    launch(K.sum_columns, x, y)

    def vjp(gy, gx):
        launch(K.repeat_column, gy, gx)

    return vjp


@op("(...) -> ()")
def mean_all(y, x):
    """y = mean of all x;   dx = dy / n."""
    share = constant(x.dtype, 1.0 / x.size if x.size else math.nan)
    launch(K.mean_all, x, share, y)

    def vjp(gy, gx):
        launch(K.fill_scaled, gy, share, gx)

    return vjp


@op("(m,n) -> (n)")
def _max_first(y, x):
    """y_j = max over i of x_ij; equal maxima share the gradient, as in TensorFlow."""
    launch(K.max_rows, x, y)

    def vjp(gy, gx):
        launch(K.max_rows_vjp, gy, x, y, gx)

    return vjp


@op("(...,n) -> (...)")
def _max_last(y, x):
    """y_i = max over j of x_ij; equal maxima share the gradient, as in TensorFlow."""
    launch(K.max_columns, x, y)

    def vjp(gy, gx):
        launch(K.max_columns_vjp, gy, x, y, gx)

    return vjp


def broadcast_to(x, shape):
    """Repeat `x` along new axes and along its axes of length one, until it has `shape`."""
    x, shape = as_tensor(x), tuple(shape)
    if x.shape == shape:
        return x
    try:
        places = np.broadcast_to(_places(x), shape)
    except ValueError:
        raise ValueError(f"{x.shape} can't be broadcast to {shape}.") from None
    padded = (1,) * (len(shape) - x.ndim) + x.shape
    own = [i for i, n in enumerate(padded) if n != 1]
    if not own or padded[own[0] :] == shape[own[0] :]:
        return view(_repeat_first(view(x, (x.size,)), m=math.prod(shape) // builtins.max(x.size, 1)), shape)
    if padded[: own[-1] + 1] == shape[: own[-1] + 1]:
        return view(_repeat_last(view(x, (x.size,)), n=math.prod(shape) // builtins.max(x.size, 1)), shape)
    return _rearrange(x, places)


def _axes(axis, x):
    """The axes that `axis` (an int, several, or None for all) names, counted from the first."""
    if axis is None:
        return list(range(x.ndim))
    axes = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    if builtins.any(not -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"axis {axis} is out of range for a tensor of shape {x.shape}.")
    return [a % x.ndim for a in axes]


def _reduce(first, last, x, axis, keepdims):
    """Reduce over axes by `first`, which reduces the first axis of two, or `last`, which reduces the last."""
    x = as_tensor(x)
    if x.dtype.kind != "f":
        x = cast(x, config.floatx())
    axes = sorted(set(_axes(axis, x)))
    rest = [a for a in range(x.ndim) if a not in axes]
    kept = tuple(x.shape[a] for a in rest)
    final = tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else kept
    if axes and rest and axes[-1] < rest[0]:
        y = first(view(x, (x.size // builtins.max(math.prod(kept), 1), math.prod(kept))))
    else:
        y = last(view(transpose(x, rest + axes), (math.prod(kept), math.prod(x.shape[a] for a in axes))))
    return view(y, final)


def sum(x, axis=None, keepdims=False):
    """Sum over all axes, or over `axis` (an int or a tuple)."""
    return _reduce(_sum_first, _sum_last, x, axis, keepdims)


def max(x, axis=None, keepdims=False):
    """Maximum over all axes, or over `axis`; a NaN wins. Equal maxima share the gradient."""
    x = as_tensor(x)
    if 0 in [x.shape[a] for a in _axes(axis, x)]:
        raise ValueError(f"There is no maximum or minimum over axis {axis} of shape {x.shape}: it has no elements.")
    return _reduce(_max_first, _max_last, x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Minimum over all axes, or over `axis`; a NaN wins. Equal minima share the gradient."""
    return negative(max(negative(x), axis, keepdims))


def mean(x, axis=None, keepdims=False):
    """Mean over all axes, or over `axis`."""
    x = as_tensor(x)
    y = sum(x, axis, keepdims)
    return _scale(y, factor=y.size / x.size if x.size else math.nan)


def var(x, axis=None, keepdims=False):
    """Variance (biased: divided by the number of elements) over all axes, or over `axis`."""
    return mean(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)


def std(x, axis=None, keepdims=False):
    """Standard deviation (biased) over all axes, or over `axis`."""
    return sqrt(var(x, axis, keepdims))


def argmax(x, axis=None, keepdims=False):
    """Where along `axis` (None: among all) the first largest element stands, as int64. Not differentiable."""
    x = as_tensor(x)
    axes = _axes(axis, x)
    rest = [a for a in range(x.ndim) if a not in axes]
    length = math.prod(x.shape[a] for a in axes)
    if length == 0:
        raise ValueError(f"There is no largest element along axis {axis} of shape {x.shape}: it has no elements.")
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else [x.shape[a] for a in rest]
    y = np.empty(shape, np.int64)
    launch(K.argmax_columns, transpose(x, rest + axes)._data.reshape(-1, length), y.reshape(-1, 1))
    result = as_tensor(np.empty(0))
    result._data = y
    return result


# -------------------------------------------------------------------------------- elementwise, two operands


def _promote(a, b):
    """Both as tensors of one dtype: what is no tensor takes that of the other, float64 beside float32 wins."""
    if not isinstance(a, Tensor):
        a = as_tensor(a, b.dtype if isinstance(b, Tensor) and b.dtype.kind == "f" else None)
    if not isinstance(b, Tensor):
        b = as_tensor(b, a.dtype if a.dtype.kind == "f" else None)
    if a.dtype != b.dtype or a.dtype.kind != "f":
        dtype = _common_dtype((a, b))
        a, b = cast(a, dtype), cast(b, dtype)
    return a, b


def _align(a, b):
    """Both as tensors of one dtype and one shape."""
    a, b = _promote(a, b)
    if a.shape != b.shape:
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ValueError(f"Shapes {a.shape} and {b.shape} can't be broadcast together.") from None
        a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    return a, b


def _broadcasting(operation):
    """Let an operation on two tensors of one shape take what NumPy's broadcasting allows."""

    def apply(a, b):
        return operation(*_align(a, b))

    apply.__name__, apply.__doc__ = operation.__name__, operation.__doc__
    return apply


@_broadcasting
@op("(...), (...) -> (...)")
def add(y, a, b):
    """y = a + b;   da = dy,   db = dy."""
    launch(K.add, a, b, y)

    def vjp(gy, ga, gb):
        for g in (ga, gb):
            if g is not None:
                launch(K.copy, gy, g)

    return vjp


@_broadcasting
@op("(...), (...) -> (...)")
def subtract(y, a, b):
    """y = a - b;   da = dy,   db = -dy."""
    launch(K.subtract, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            launch(K.copy, gy, ga)
        if gb is not None:
            launch(K.negative, gy, gb)

    return vjp


@_broadcasting
@op("(...), (...) -> (...)")
def multiply(y, a, b):
    """y = a b;   da = dy b,   db = dy a."""
    launch(K.multiply, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            launch(K.multiply, gy, b, ga)
        if gb is not None:
            launch(K.multiply, gy, a, gb)

    return vjp


@_broadcasting
@op("(...), (...) -> (...)")
def divide(y, a, b):
    """y = a / b;   da = dy / b,   db = -dy y / b."""
    launch(K.divide, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            launch(K.divide, gy, b, ga)
        if gb is not None:
            launch(K.divide_vjp_b, gy, b, y, gb)

    return vjp


@_broadcasting
@op("(...), (...) -> (...)")
def _power(y, a, b):
    """y = a^b;   da = dy b a^(b-1),   db = dy y ln a (0 where a <= 0)."""
    launch(K.power, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            launch(K.power_vjp_a, gy, a, b, ga)
        if gb is not None:
            launch(K.power_vjp_b, gy, a, y, gb)

    return vjp


def power(a, b):
    """y = a^b;   da = dy b a^(b-1),   db = dy y ln a (0 where a <= 0)."""
    return square(a) if isinstance(b, (int, float)) and b == 2 else _power(a, b)


@_broadcasting
@op("(...), (...) -> (...)")
def maximum(y, a, b):
    """y = the larger of a and b; where they are equal the gradient goes to a, as in TensorFlow."""
    launch(K.maximum, a, b, y)

    def vjp(gy, ga, gb):
        _share(K.greater_equal, a, b, gy, ga, gb)

    return vjp


@_broadcasting
@op("(...), (...) -> (...)")
def minimum(y, a, b):
    """y = the smaller of a and b; where they are equal the gradient goes to a, as in TensorFlow."""
    launch(K.minimum, a, b, y)

    def vjp(gy, ga, gb):
        _share(K.greater_equal, b, a, gy, ga, gb)

    return vjp


def _share(test, left, right, gy, ga, gb):
    """Give gy to `ga` where test(left, right) holds, else to `gb`."""
    condition = np.empty(gy.shape, bool)
    launch(test, left, right, condition)
    _pick(condition, gy, ga, gb)


def _pick(condition, gy, ga, gb):
    if ga is not None:
        launch(K.pick_where, gy, condition, ga)
    if gb is not None:
        launch(K.pick_where_not, gy, condition, gb)


@op("(...), (...), (...) -> (...)")
def _where(y, condition, a, b):
    """y = a where the condition holds, else b; dy goes to the one that was taken."""
    launch(K.where, condition, a, b, y)

    def vjp(gy, gcondition, ga, gb):
        _pick(condition, gy, ga, gb)

    return vjp


def where(condition, a, b):
    """`a` where `condition` holds, else `b`, broadcast; the gradient goes to the one that was taken."""
    condition = as_tensor(condition) if isinstance(condition, Tensor) else as_tensor(np.asarray(condition, bool))
    a, b = _align(a, b)
    shape = np.broadcast_shapes(condition.shape, a.shape)
    if condition.shape != shape:
        condition = cast(broadcast_to(cast(condition, a.dtype), shape), "bool")
    return _where(cast(condition, "bool"), broadcast_to(a, shape), broadcast_to(b, shape))


@_broadcasting
@op("(...), (...) -> (...)", dtype="bool")
def greater(y, a, b):
    """y = (a > b), as bool."""
    launch(K.greater, a, b, y)


@_broadcasting
@op("(...), (...) -> (...)", dtype="bool")
def greater_equal(y, a, b):
    """y = (a >= b), as bool."""
    launch(K.greater_equal, a, b, y)


@_broadcasting
@op("(...), (...) -> (...)", dtype="bool")
def equal(y, a, b):
    """y = (a == b), as bool."""
    launch(K.equal, a, b, y)


@_broadcasting
@op("(...), (...) -> (...)", dtype="bool")
def not_equal(y, a, b):
    """y = (a != b), as bool."""
    launch(K.not_equal, a, b, y)


def less(a, b):
    """y = (a < b), as bool."""
    return greater(b, a)


def less_equal(a, b):
    """y = (a <= b), as bool."""
    return greater_equal(b, a)


# --------------------------------------------------------------------------------- elementwise, one operand


@op("(...) -> (...)")
def negative(y, x):
    """y = -x;   dx = -dy."""
    launch(K.negative, x, y)

    def vjp(gy, gx):
        launch(K.negative, gy, gx)

    return vjp


@op("(...) -> (...)")
def _scale(y, x, factor):
    """y = factor x for a Python number;   dx = factor dy."""
    factor = constant(x.dtype, factor)
    launch(K.scale, x, factor, y)

    def vjp(gy, gx):
        launch(K.scale, gy, factor, gx)

    return vjp


@op("(...) -> (...)")
def exp(y, x):
    """y = e^x;   dx = dy y."""
    launch(K.exp, x, y)

    def vjp(gy, gx):
        launch(K.multiply, gy, y, gx)

    return vjp


@op("(...) -> (...)")
def log(y, x):
    """y = ln x;   dx = dy / x."""
    launch(K.log, x, y)

    def vjp(gy, gx):
        launch(K.divide, gy, x, gx)

    return vjp


@op("(...) -> (...)")
def sqrt(y, x):
    """y = the square root of x;   dx = dy / 2y."""
    launch(K.sqrt, x, y)

    def vjp(gy, gx):
        launch(K.sqrt_vjp, gy, y, gx)

    return vjp


@op("(...) -> (...)")
def square(y, x):
    """y = x^2;   dx = 2 x dy."""
    launch(K.square, x, y)

    def vjp(gy, gx):
        launch(K.square_vjp, gy, x, gx)

    return vjp


@op("(...) -> (...)")
def absolute(y, x):
    """y = |x|;   dx = dy sign(x), 0 at 0."""
    launch(K.absolute, x, y)

    def vjp(gy, gx):
        launch(K.absolute_vjp, gy, x, gx)

    return vjp


abs = absolute


@op("(...) -> (...)")
def _clip(y, x, low, high):
    """y = x kept within [low, high];   dx = dy inside, the bounds included, else 0."""
    low, high = constant(x.dtype, low), constant(x.dtype, high)
    launch(K.clip, x, low, high, y)

    def vjp(gy, gx):
        launch(K.clip_vjp, gy, x, low, high, gx)

    return vjp


def clip(x, x_min, x_max):
    """x kept within [x_min, x_max], two numbers; the gradient passes inside, the bounds included, else it is 0."""
    return _clip(x, low=float(x_min), high=float(x_max))


@op("(...) -> (...)")
def tanh(y, x):
    """y = tanh x;   dx = dy (1 - y^2)."""
    launch(K.tanh, x, y)

    def vjp(gy, gx):
        launch(K.tanh_vjp, gy, y, gx)

    return vjp


@op("(...) -> (...)")
def _sigmoid(y, x):
    """y = 1 / (1 + e^-x);   dx = dy y (1 - y)."""
    launch(K.sigmoid, x, y)

    def vjp(gy, gx):
        launch(K.sigmoid_vjp, gy, y, gx)

    return vjp


def sigmoid(x):
    """y = 1 / (1 + e^-x);   dx = dy y (1 - y).

    The result remembers x: a cross-entropy that is given it computes from x, exactly, as on TensorFlow.
    """
    x = as_tensor(x)
    y = _sigmoid(x)
    y._logits = x
    return y


@op("(...) -> (...)")
def softplus(y, x):
    """y = ln(1 + e^x);   dx = dy / (1 + e^-x)."""
    launch(K.softplus, x, y)

    def vjp(gy, gx):
        launch(K.softplus_vjp, gy, x, gx)

    return vjp


@op("(...) -> (...)")
def erf(y, x):
    """y = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x;   dx = dy 2/sqrt(pi) e^(-x^2)."""
    launch(K.erf, x, y)

    def vjp(gy, gx):
        launch(K.erf_vjp, gy, x, gx)

    return vjp


@op("(...) -> (...)")
def relu(y, x):
    """y = max(x, 0);   dx = dy where x > 0, else 0: the slope at 0 is 0."""
    launch(K.relu, x, y)

    def vjp(gy, gx):
        launch(K.relu_vjp, gy, y, gx)

    return vjp


@op("(...) -> (...)")
def _leaky_relu(y, x, slope):
    """y = x where x > 0, else slope x;   dx = dy or slope dy."""
    slope = constant(x.dtype, slope)
    launch(K.leaky_relu, x, slope, y)

    def vjp(gy, gx):
        launch(K.leaky_relu_vjp, gy, x, slope, gx)

    return vjp


def leaky_relu(x, negative_slope=0.2):
    """y = x where x > 0, else negative_slope x;   dx = dy or negative_slope dy."""
    return _leaky_relu(x, slope=float(negative_slope))


# ------------------------------------------------------------------------------ matrices, distributions


# Up to this many multiplications OpenBLAS has kernels for small products, but none for a b^T: turning b round first
# is faster there, and stays on one thread.
_SMALL_PRODUCT = 1_000_000


def _product_with_transpose(a, b, y):
    """Launch y = a b^T."""
    if b.shape[1] == 1:
        launch(K.outer, a, b, y)
    elif a.shape[0] * b.size <= _SMALL_PRODUCT:
        turned = np.empty((b.shape[1], b.shape[0]), b.dtype)
        launch(K.transpose, b, turned)
        launch(K.matmul, a, turned, y)
    else:
        launch(K.matmul_nt, a, b, y)


@op("(...,k), (k,n) -> (...,n)")
def _matmul(y, a, b):
    """y = a b;   da = dy b^T,   db = a^T dy."""
    launch(K.matmul, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            _product_with_transpose(gy, b, ga)
        if gb is not None:
            launch(K.matmul_tn, a, gy, gb)

    return vjp


def matmul(a, b):
    """Matrix product over the last axis of `a` and the first of the last two of `b`;   da = dy b^T,   db = a^T dy."""
    a, b = _promote(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul multiplies tensors that have axes; got {a.shape} and {b.shape}.")
    if b.ndim == 2:
        return _matmul(a, b)
    if b.ndim == 1:
        return squeeze(_matmul(a, expand_dims(b, 1)), -1)
    if a.ndim == 1:
        return squeeze(matmul(expand_dims(a, 0), b), -2)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = broadcast_to(a, lead + a.shape[-2:]), broadcast_to(b, lead + b.shape[-2:])
    a, b = view(a, (-1, *a.shape[-2:])), view(b, (-1, *b.shape[-2:]))
    y = stack([_matmul(a[i], b[i]) for i in range(len(a))])
    return view(y, lead + y.shape[1:])


@op("(...,n), (n) -> (...,n)")
def bias_add(y, x, b):
    """y = x + b;   dx = dy,   db = sum over the rows of dy."""
    launch(K.add_row, x, b, y)

    def vjp(gy, gx, gb):
        if gx is not None:
            launch(K.copy, gy, gx)
        if gb is not None:
            launch(K.sum_rows, gy, gb)

    return vjp


@op("(...,k), (k,n), (n) -> (...,n)")
def dense(y, x, kernel, bias):
    """y = x kernel + bias;   dx = dy kernel^T,   dkernel = x^T dy,   dbias = sum over the rows of dy."""
    launch(K.matmul, x, kernel, y)
    launch(K.add_row, y, bias, y)

    def vjp(gy, gx, gkernel, gbias):
        if gbias is not None:
            launch(K.sum_rows, gy, gbias)
        if gkernel is not None:
            launch(K.matmul_tn, x, gy, gkernel)
        if gx is not None:
            _product_with_transpose(gy, kernel, gx)

    return vjp


@op("(...,n) -> (...,n)")
def _softmax(y, x):
    """y_j = e^x_j / sum_k e^x_k;   dx_j = y_j (dy_j - sum_k dy_k y_k)."""
    launch(K.softmax, x, y)

    def vjp(gy, gx):
        launch(K.softmax_vjp, gy, y, gx)

    return vjp


@op("(...,n) -> (...,n)")
def _log_softmax(y, x):
    """y_j = x_j - ln sum_k e^x_k;   dx_j = dy_j - e^y_j sum_k dy_k."""
    launch(K.log_softmax, x, y)

    def vjp(gy, gx):
        launch(K.log_softmax_vjp, gy, y, gx)

    return vjp


def _along_axis(operation, x, axis):
    """Apply an operation on the last axis to another one (or to several, taken as one)."""
    axes = _axes(axis, x)
    if axes == [x.ndim - 1]:
        return operation(x)
    order = [a for a in range(x.ndim) if a not in axes] + axes
    moved = transpose(x, order)
    shape = moved.shape
    y = operation(view(moved, (*shape[: len(shape) - len(axes)], -1)))
    return transpose(view(y, shape), np.argsort(order).tolist())


def softmax(x, axis=-1):
    """y_j = e^x_j / sum_k e^x_k along `axis`;   dx_j = y_j (dy_j - sum_k dy_k y_k).

    The result remembers x: a cross-entropy that is given it computes from x, exactly, as on TensorFlow.
    """
    x = as_tensor(x)
    y = _along_axis(_softmax, x, axis)
    if axis in (-1, x.ndim - 1):
        y._logits = x
    return y


def log_softmax(x, axis=-1):
    """y_j = x_j - ln sum_k e^x_k along `axis`;   dx_j = dy_j - e^y_j sum_k dy_k."""
    return _along_axis(_log_softmax, as_tensor(x), axis)


def one_hot(x, num_classes, axis=-1, dtype=None):
    """Rows of the identity matrix: 1 in column x, else 0."""
    if axis not in (-1, as_tensor(x).ndim):
        raise ValueError(f"one_hot puts the classes last: axis must be -1, got {axis}.")
    classes = np.arange(num_classes)
    return cast(equal(expand_dims(as_tensor(x), -1), classes), dtype or config.floatx())


# ------------------------------------------------------------------------- normalization, dropout


@op("(...,n), (n), (n), (n) -> (...,n)")
def batch_normalization(
    y, x, bias, gamma, beta, moving_mean, moving_variance, momentum, epsilon, floor=-math.inf
):
    """y = max(floor, gamma h + beta),   h = (x - mean) / sqrt(variance + epsilon),   over the rows of the batch.

    The moving statistics (1, n) are averaged with the batch's in the same pass. `bias`, that of the layer before,
    may be given instead of being added to x: it shifts the mean by as much, so y does not depend on it and its
    gradient is exactly zero. With g = dy where y is above the floor, else 0, and m rows:

        dbeta  = sum_i g_i
        dgamma = sum_i g_i h_i
        dx_i   = gamma / sqrt(variance + epsilon) (g_i - dbeta / m - h_i dgamma / m)

    The last line is the chain rule through h, the mean and the variance: dh_i = gamma g_i; x_i moves h_i directly,
    every h through the mean (the term sum dh / m) and every h through the variance (the term h_i sum dh h / m).
    """
    settings = constant(x.dtype, momentum, epsilon, floor)
    mean, inverse = np.empty_like(gamma), np.empty_like(gamma)
    launch(
        K.batch_normalization, x, bias, gamma, beta, settings, moving_mean, moving_variance, y, mean, inverse
    )

    def vjp(gy, gx, gbias, ggamma, gbeta):
        gx, ggamma, gbeta = _scratch(gx, x), _scratch(ggamma, gamma), _scratch(gbeta, beta)
        work = np.empty((3, x.shape[1]), x.dtype)
        launch(K.batch_normalization_vjp, gy, x, y, gamma, settings, mean, inverse, work, gx, ggamma, gbeta)
        if gbias is not None:
            launch(K.fill, constant(x.dtype, 0.0), gbias)

    return vjp


@op("(...,n), (n), (n), (n) -> (...,n)")
def frozen_normalization(y, x, bias, gamma, beta, mean, variance, epsilon, floor=-math.inf):
    """y = max(floor, gamma (x + bias - mean) / sqrt(variance + epsilon) + beta) with given mean and variance."""
    settings = constant(x.dtype, 0.0, epsilon, floor)
    launch(K.frozen_normalization, x, bias, gamma, beta, settings, mean, variance, y)

    def vjp(gy, gx, gbias, ggamma, gbeta):
        outs = [_scratch(gx, x), _scratch(gbias, bias), _scratch(ggamma, gamma), _scratch(gbeta, beta)]
        launch(K.frozen_normalization_vjp, gy, x, y, bias, gamma, settings, mean, variance, *outs)

    return vjp


def _scratch(buffer, like):
    return np.empty_like(like) if buffer is None else buffer


@op("(...) -> (...)")
def dropout(y, x, rate, state):
    """y = x / (1 - rate) with probability 1 - rate, else 0, from the stream `state`;   dx = dy scaled alike."""
    mask = np.empty_like(x)
    launch(K.dropout_mask, constant(x.dtype, rate), state, mask)
    launch(K.multiply, x, mask, y)

    def vjp(gy, gx):
        launch(K.multiply, gy, mask, gx)

    return vjp


# -------------------------------------------------------------------------------------------------- losses


def _no_target_gradient(name, gtarget):
    if gtarget is not None:
        raise ValueError(f"{name} has no gradient with respect to the targets: detach() them.")


@op("(...,n), (...,n) -> (...)")
def squared_error(y, target, x):
    """y = mean over the last axis of (x - t)^2;   dx = 2 dy (x - t) / n."""
    launch(K.squared_error, target, x, y)

    def vjp(gy, gtarget, gx):
        _no_target_gradient("squared_error", gtarget)
        launch(K.squared_error_vjp, gy, target, x, gx)

    return vjp


@op("(...,n), (...,n) -> (...)")
def absolute_error(y, target, x):
    """y = mean over the last axis of |x - t|;   dx = dy sign(x - t) / n."""
    launch(K.absolute_error, target, x, y)

    def vjp(gy, gtarget, gx):
        _no_target_gradient("absolute_error", gtarget)
        launch(K.absolute_error_vjp, gy, target, x, gx)

    return vjp


def _crossentropy(name, formula, forward, backward, needs_epsilon):
    """A cross-entropy op of (target, x): they differ in their kernels only."""

    def function(y, target, x, label_smoothing=0.0):
        epsilon = (config.epsilon(),) if needs_epsilon else ()
        settings = constant(x.dtype, label_smoothing, *epsilon)
        launch(forward, target, x, settings, y)

        def vjp(gy, gtarget, gx):
            _no_target_gradient(name, gtarget)
            launch(backward, gy, target, x, settings, gx)

        return vjp

    function.__name__, function.__doc__ = name, formula
    return op("(...,n), (...,n) -> (...)")(function)


binary_crossentropy = _crossentropy(
    "binary_crossentropy",
    """y = -mean of t ln p + (1 - t) ln(1 - p), p clipped to [e, 1 - e];   dp = dy (p - t) / (n p (1 - p)), or 0.""",
    K.binary_crossentropy,
    K.binary_crossentropy_vjp,
    needs_epsilon=True,
)
binary_crossentropy_logits = _crossentropy(
    "binary_crossentropy_logits",
    """y = mean of max(x, 0) - x t + ln(1 + e^-|x|), that is -t ln p - (1 - t) ln(1 - p) for p = sigmoid(x):
    the log of p = 1 / (1 + e^-x) is -ln(1 + e^-x), so no clipping is needed;   dx = dy (p - t) / n.""",
    K.binary_crossentropy_logits,
    K.binary_crossentropy_logits_vjp,
    needs_epsilon=False,
)
categorical_crossentropy = _crossentropy(
    "categorical_crossentropy",
    """y = -sum of t ln q, q = p / sum(p) clipped to [e, 1 - e];   dp_j = dy (sum_k t_k - t_j / q_j) / sum(p).""",
    K.categorical_crossentropy,
    K.categorical_crossentropy_vjp,
    needs_epsilon=True,
)
categorical_crossentropy_logits = _crossentropy(
    "categorical_crossentropy_logits",
    """y = -sum of t ln q, q = softmax(x), so ln q_j = x_j - ln sum_k e^x_k;   dx_j = dy (q_j sum_k t_k - t_j).""",
    K.categorical_crossentropy_logits,
    K.categorical_crossentropy_logits_vjp,
    needs_epsilon=False,
)


@op("(...), (...,n) -> (...)")
def sparse_crossentropy_logits(y, label, x):
    """y = -ln softmax(x)_label, NaN where the label is no class;   dx_j = dy (softmax(x)_j - [j = label])."""
    launch(K.sparse_crossentropy_logits, label, x, y)

    def vjp(gy, glabel, gx):
        _no_target_gradient("sparse_crossentropy_logits", glabel)
        launch(K.sparse_crossentropy_logits_vjp, gy, label, x, gx)

    return vjp


# ------------------------------------------------------------------------------------------------- metrics
# One value a row; not differentiable.


@op("(...,n), (...,n) -> (...)")
def binary_match(y, target, p, threshold=0.5):
    """The share of the last axis in which [p > threshold] equals the target."""
    launch(K.binary_match, target, p, constant(p.dtype, threshold), y)


@op("(...,n), (...,n) -> (...)")
def categorical_match(y, target, p):
    """1 where the largest target and the largest p stand at the same place of the last axis, else 0."""
    launch(K.categorical_match, target, p, y)


@op("(...), (...,n) -> (...)")
def sparse_match(y, label, p):
    """1 where the largest p of the last axis stands at place `label`, else 0."""
    launch(K.sparse_match, label, p, y)


# ----------------------------------------------------------------------------------------- Tensor's operators

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
