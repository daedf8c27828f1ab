"""Operations on single elements, with NumPy's broadcasting: arithmetic, comparisons, activations."""

import functools
import math

import numpy as np

from minigrad import kernels as K
from minigrad.ops.logits import remember
from minigrad.ops.reducing import broadcast_to
from minigrad.ops.shaping import _common_dtype, cast, constant_tensor
from minigrad.program import empty, empty_like, launch
from minigrad.tensor import Tensor, as_tensor, constant, from_kernels, op, view

# A function of each element: its formula and derivative, and the kernels of both.
_each = functools.partial(from_kernels, "(...) -> (...)")
negative = _each("negative", "y = -x;   dx = -dy.", K.negative, K.negative)
exp = _each("exp", "y = e^x;   dx = dy y.", K.exp, K.multiply, "y")
log = _each("log", "y = ln x;   dx = dy / x.", K.log, K.divide, "x")
sqrt = _each("sqrt", "y = the square root of x;   dx = dy / 2y.", K.sqrt, K.sqrt_vjp, "y")
square = _each("square", "y = x^2;   dx = 2 x dy.", K.square, K.square_vjp, "x")
abs = absolute = _each("absolute", "y = |x|;   dx = dy sign(x), 0 at 0.", K.absolute, K.absolute_vjp, "x")
tanh = _each("tanh", "y = tanh x;   dx = dy (1 - y^2).", K.tanh, K.tanh_vjp, "y")
_sigmoid = _each("sigmoid", "y = 1 / (1 + e^-x);   dx = dy y (1 - y).", K.sigmoid, K.sigmoid_vjp, "y")
softplus = _each("softplus", "y = ln(1 + e^x);   dx = dy / (1 + e^-x).", K.softplus, K.softplus_vjp, "x")
erf = _each(
    "erf", "y = 2/sqrt(pi) integral from 0 to x of e^-t^2 dt;   dx = dy 2/sqrt(pi) e^-x^2.", K.erf, K.erf_vjp, "x"
)
softsign = _each("softsign", "y = x / (1 + |x|);   dx = dy / (1 + |x|)^2.", K.softsign, K.softsign_vjp, "x")
relu = _each("relu", "y = max(x, 0);   dx = dy where x > 0, else 0: the slope at 0 is 0.", K.relu, K.relu_vjp, "y")


def _promote(a, b):
    """Both as tensors of one dtype. Numbers and arrays take the dtype of the tensor; float64 wins over float32."""
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

    def apply(x1, x2):
        return operation(*_align(x1, x2))

    apply.__name__, apply.__doc__ = operation.__name__, operation.__doc__
    return apply


def _of_two(name, formula, forward, to_a=(None, ""), to_b=(None, ""), dtype=None):
    """The operation of two tensors that the kernel `forward(a, b, y)` computes, with NumPy's broadcasting.

    `to_a` and `to_b` are those of the gradients, `kernel(gy, *needs, ga)`, and what each needs: "a", "b", "y" or more.
    Without them no gradient passes.
    """
    (back_a, needs_a), (back_b, needs_b) = to_a, to_b

    def function(y, a, b):
        launch(forward, a, b, y)
        if back_a is None:
            return None
        known = {"a": a, "b": b, "y": y}
        for_a, for_b = [*map(known.get, needs_a)], [*map(known.get, needs_b)]

        def vjp(gy, ga, gb):
            if ga is not None:
                launch(back_a, gy, *for_a, ga)
            if gb is not None:
                launch(back_b, gy, *for_b, gb)

        return vjp

    function.__name__, function.__doc__ = name, formula
    return _broadcasting(op("(...), (...) -> (...)", dtype)(function))


add = _of_two("add", "y = a + b;   da = dy,   db = dy.", K.add, (K.copy, ""), (K.copy, ""))
subtract = _of_two("subtract", "y = a - b;   da = dy,   db = -dy.", K.subtract, (K.copy, ""), (K.negative, ""))
multiply = _of_two("multiply", "y = a b;   da = dy b,   db = dy a.", K.multiply, (K.multiply, "b"), (K.multiply, "a"))
divide = _of_two(
    "divide", "y = a / b;   da = dy / b,   db = -dy y / b.", K.divide, (K.divide, "b"), (K.divide_vjp_b, "by")
)
_power = _of_two(
    "power", "y = a^b;   da = dy b a^(b-1),   db = dy y ln a (0 where a <= 0).",
    K.power, (K.power_vjp_a, "ab"), (K.power_vjp_b, "ay"),
)  # fmt: skip
hypot = _of_two(
    "hypot", "y = sqrt(a^2 + b^2), without overflow;   da = dy a / y,   db = dy b / y, 0 where y is 0.",
    K.hypot, (K.hypot_vjp, "ay"), (K.hypot_vjp, "by"),
)  # fmt: skip
mod = _of_two(
    "mod", "y = a - floor(a / b) b, the remainder with the sign of b;   da = dy,   db = -dy floor(a / b).",
    K.mod, (K.copy, ""), (K.mod_vjp_b, "ab"),
)  # fmt: skip


def power(x1, x2):
    """y = a^b;   da = dy b a^(b-1),   db = dy y ln a (0 where a <= 0)."""
    return square(x1) if isinstance(x2, (int, float)) and x2 == 2 else _power(x1, x2)


@_broadcasting
@op("(...), (...) -> (...)")
def maximum(y, a, b):
    """y = the larger of a and b, which gets the gradient; where they are equal a gets it, as in TensorFlow."""
    launch(K.maximum, a, b, y)

    def vjp(gy, ga, gb):
        _share(K.greater_equal, a, b, gy, ga, gb)

    return vjp


@_broadcasting
@op("(...), (...) -> (...)")
def minimum(y, a, b):
    """y = the smaller of a and b, which gets the gradient; where they are equal a gets it, as in TensorFlow."""
    launch(K.minimum, a, b, y)

    def vjp(gy, ga, gb):
        _share(K.greater_equal, b, a, gy, ga, gb)

    return vjp


def _share(test, left, right, gy, ga, gb):
    """Write gy into `ga` where test(left, right) holds, else into `gb`, and 0 into the other."""
    condition = empty(gy.shape, bool)
    launch(test, left, right, condition)
    _pick(condition, gy, ga, gb)


def _pick(condition, gy, ga, gb):
    if ga is not None:
        launch(K.pick_where, gy, condition, ga)
    if gb is not None:
        launch(K.pick_where_not, gy, condition, gb)


@op("(...), (...), (...) -> (...)")
def _where(y, condition, a, b):
    """y = a where the condition holds, else b; dy goes to a or b likewise."""
    launch(K.where, condition, a, b, y)

    def vjp(gy, gcondition, ga, gb):
        _pick(condition, gy, ga, gb)

    return vjp


@op("(c,q), (b,p) -> (b,p)")
def _keep(y, condition, x, other):
    """y = x where the condition holds, which is repeated, else `other`, a number; dy goes to x likewise."""
    launch(K.keep, condition, x, constant(x.dtype, other), y)

    def vjp(gy, gcondition, gx):
        launch(K.keep, condition, gy, constant(x.dtype, 0.0), gx)

    return vjp


def _parts(shape, whole):
    """The shape of a condition and that of what it is for as `_keep` takes them; None if equal or unfit."""
    shape = (1,) * (len(whole) - len(shape)) + tuple(shape)
    own = next((i for i, (m, n) in enumerate(zip(shape, whole)) if i and m != 1), len(whole))  # full from this axis on
    fits = len(shape) == len(whole) > 1 and shape[0] in (1, whole[0]) and shape[own:] == whole[own:]
    if not fits or shape == whole or 0 in whole:
        return None
    return (shape[0], math.prod(shape[own:])), (whole[0], math.prod(whole[1:]))


def nonzero(x):
    """The indices of the elements that are not 0: one int64 tensor per axis, in a list. The values of x are read."""
    return [constant_tensor(np.ascontiguousarray(places)) for places in np.nonzero(as_tensor(x).numpy())]


def where(condition, x1=None, x2=None):
    """`x1` where `condition` holds, else `x2`, all broadcast; the gradient goes to the one that was chosen.

    Without `x1` and `x2`: the indices at which it holds, as from `nonzero`.
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("where expects (condition, x1, x2), or the condition alone.")
    condition = as_tensor(condition) if isinstance(condition, Tensor) else as_tensor(np.asarray(condition, bool))
    parts = _parts(condition.shape, x1.shape) if isinstance(x2, float) and isinstance(x1, Tensor) else None
    if parts is not None and x1.dtype.kind == "f":
        return view(_keep(view(cast(condition, "bool"), parts[0]), view(x1, parts[1]), other=x2), x1.shape)
    a, b = _align(x1, x2)
    shape = np.broadcast_shapes(condition.shape, a.shape)
    if condition.shape != shape:
        condition = cast(broadcast_to(cast(condition, a.dtype), shape), "bool")
    return _where(cast(condition, "bool"), broadcast_to(a, shape), broadcast_to(b, shape))


def _comparison(name, formula, kernel):
    """A comparison, whose result is an array of bools and has no derivative."""
    compared = _of_two(name, formula, kernel, dtype="bool")

    @functools.wraps(compared)
    def apply(x1, x2):
        if all(isinstance(x, Tensor) and x.dtype.kind == "i" for x in (x1, x2)):
            x1, x2 = cast(x1, "float64"), cast(x2, "float64")  # exact for integers up to 2^53
        return compared(x1, x2)

    return apply


greater = _comparison("greater", "y = (a > b), as bool.", K.greater)
greater_equal = _comparison("greater_equal", "y = (a >= b), as bool.", K.greater_equal)
equal = _comparison("equal", "y = (a == b), as bool.", K.equal)
not_equal = _comparison("not_equal", "y = (a != b), as bool.", K.not_equal)


def less(x1, x2):
    """y = (x1 < x2), as bool."""
    return greater(x2, x1)


def less_equal(x1, x2):
    """y = (x1 <= x2), as bool."""
    return greater_equal(x2, x1)


@op("(...) -> (...)")
def _scale(y, x, factor):
    """y = factor x for a Python number;   dx = factor dy."""
    factor = constant(x.dtype, factor)
    launch(K.scale, x, factor, y)

    def vjp(gy, gx):
        launch(K.scale, gy, factor, gx)

    return vjp


@op("(...) -> (...)")
def _clip(y, x, low, high):
    """y = x kept within [low, high];   dx = dy inside, the bounds included, else 0."""
    low, high = constant(x.dtype, low), constant(x.dtype, high)
    launch(K.clip, x, low, high, y)

    def vjp(gy, gx):
        launch(K.clip_vjp, gy, x, low, high, gx)

    return vjp


def clip(x, x_min, x_max):
    """x kept within [x_min, x_max]; the gradient passes where x is within, the bounds included, else it is 0.

    Bounds may be arrays or tensors; they are broadcast, and where x is outside, the bound gets the gradient.
    """
    if isinstance(x_min, (int, float, np.number)) and isinstance(x_max, (int, float, np.number)):
        return _clip(x, low=float(x_min), high=float(x_max))
    return minimum(maximum(x, x_min), x_max)


def sigmoid(x):
    """y = 1 / (1 + e^-x);   dx = dy y (1 - y).

    The result remembers x, and a cross-entropy of the result is computed from x, which is exact. TensorFlow does so.
    """
    x = as_tensor(x)
    return remember(_sigmoid(x), x)


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


@op("(m,n), (n) -> (m,n)")
def _prelu(y, x, alpha):
    """y = x where x > 0, else alpha x.

    dx = dy, alpha dy or, at 0, 0;   dalpha = sum over the rows of dy min(x, 0).
    """
    launch(K.prelu, x, alpha, y)

    def vjp(gy, gx, galpha):
        gx = empty_like(x) if gx is None else gx
        galpha = empty_like(alpha) if galpha is None else galpha
        launch(K.prelu_vjp, gy, x, alpha, gx, galpha)

    return vjp


def prelu(x, alpha):
    """x where x > 0, else alpha x, for an `alpha` that broadcasts to one row of x (He et al. 2015)."""
    x = as_tensor(x)
    alpha = broadcast_to(alpha, x.shape[1:])
    rows = view(x, (x.shape[0], alpha.size))
    return view(_prelu(rows, view(alpha, (alpha.size,))), x.shape)
