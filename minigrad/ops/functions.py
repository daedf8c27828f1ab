"""Elementary functions, rounding, tests of single elements, and logic."""

import math

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.ops.elementwise import (
    _align,
    _each,
    _scale,
    absolute,
    add,
    divide,
    equal,
    erf,
    exp,
    greater,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    softplus,
    sqrt,
    square,
    subtract,
    where,
)
from minigrad.ops.reducing import _axes, sum
from minigrad.ops.shaping import cast, squeeze
from minigrad.ops.statistics import max, mean
from minigrad.tensor import as_tensor

sin = _each("sin", "y = sin x;   dx = dy cos x.", K.sin, K.sin_vjp, "x")
cos = _each("cos", "y = cos x;   dx = -dy sin x.", K.cos, K.cos_vjp, "x")
arctan = _each("arctan", "y = arctan x;   dx = dy / (1 + x^2).", K.arctan, K.arctan_vjp, "x")
expm1 = _each("expm1", "y = e^x - 1, exact near 0;   dx = dy e^x.", K.expm1, K.expm1_vjp, "x")
log1p = _each("log1p", "y = ln(1 + x), exact near 0;   dx = dy / (1 + x).", K.log1p, K.log1p_vjp, "x")
floor = _each("floor", "The largest integer not above x. No gradient passes.", K.floor)
sign = _each("sign", "-1, 0 or 1. No gradient passes.", K.sign)
isnan = _each("isnan", "Whether x is NaN, as bool.", K.is_nan, dtype="bool")
isfinite = _each("isfinite", "Whether x is neither NaN nor infinite, as bool.", K.is_finite, dtype="bool")
_round = _each("round", "The nearest integer.", K.round_half_even)


def tan(x):
    """sin x / cos x"""
    return divide(sin(x), cos(x))


def arcsin(x):
    """The angle in [-pi/2, pi/2] whose sine is x: arctan(x / sqrt(1 - x^2))."""
    return arctan(divide(x, sqrt(subtract(1.0, square(x)))))


def arccos(x):
    """The angle in [0, pi] whose cosine is x: pi/2 - arcsin x."""
    return subtract(math.pi / 2, arcsin(x))


def sinh(x):
    """(e^x - e^-x) / 2, exact near 0"""
    return _scale(subtract(expm1(x), expm1(negative(x))), factor=0.5)


def cosh(x):
    """(e^x + e^-x) / 2"""
    return _scale(add(exp(x), exp(negative(x))), factor=0.5)


def arcsinh(x):
    """The number whose sinh is x: ln(x + sqrt(x^2 + 1)), or -arcsinh(-x) for negative x; exact near 0."""
    x = as_tensor(x)
    is_negative = less(x, 0.0)
    size = where(is_negative, negative(x), x)
    near = minimum(size, _FAR)
    y = log1p(add(near, divide(square(near), add(sqrt(add(square(near), 1.0)), 1.0))))
    y = where(greater(size, _FAR), _log_of_twice(size), y)
    return where(is_negative, negative(y), y)


def arccosh(x):
    """The number >= 0 whose cosh is x: ln(x + sqrt(x^2 - 1))."""
    x = as_tensor(x)
    near = minimum(x, _FAR)
    return where(greater(x, _FAR), _log_of_twice(x), log(add(near, sqrt(subtract(square(near), 1.0)))))


_FAR = 1e8  # from here on sqrt(x^2 + 1) = x to the last digit, and x^2 might overflow


def _log_of_twice(x):
    return add(log(maximum(x, _FAR)), math.log(2))


def arctanh(x):
    """The number whose tanh is x: (ln(1 + x) - ln(1 - x)) / 2."""
    return _scale(subtract(log1p(x), log1p(negative(x))), factor=0.5)


def exp2(x):
    """2^x"""
    return exp(_scale(x, factor=math.log(2)))


def log2(x):
    """ln x / ln 2"""
    return _scale(log(x), factor=1 / math.log(2))


def log10(x):
    """ln x / ln 10"""
    return _scale(log(x), factor=1 / math.log(10))


def reciprocal(x):
    """1 / x"""
    return divide(1.0, as_tensor(x))


def rsqrt(x):
    """1 / sqrt(x)"""
    return reciprocal(sqrt(x))


def ceil(x):
    """The smallest integer not below x. No gradient passes."""
    return negative(floor(negative(x)))


def fabs(x):
    """|x|"""
    return absolute(x)


def trunc(x):
    """x without its fraction. No gradient passes."""
    return multiply(sign(x), floor(absolute(x)))


def round(x, decimals=0):
    """x rounded to so many decimals, halves to the even neighbor, as in NumPy. No gradient passes."""
    return _scale(_round(_scale(x, factor=10.0**decimals)), factor=10.0**-decimals) if decimals else _round(x)


def floor_divide(x1, x2):
    """floor(x1 / x2)"""
    return floor(divide(x1, x2))


def true_divide(x1, x2):
    """x1 / x2"""
    return divide(x1, x2)


def divide_no_nan(x1, x2):
    """x1 / x2, and 0 where x2 is 0"""
    x1, x2 = _align(x1, x2)
    is_zero = equal(x2, 0.0)
    return where(is_zero, 0.0, divide(x1, where(is_zero, 1.0, x2)))


def logaddexp(x1, x2):
    """ln(e^x1 + e^x2), without overflow: max(x1, x2) + ln(1 + e^-|x1 - x2|).

    Where both are equal, all of the gradient goes to x1, as in TensorFlow.
    """
    x1, x2 = _align(x1, x2)
    top, gap = maximum(x1, x2), absolute(subtract(x1, x2))
    return add(top, softplus(negative(where(isinf(top), 0.0, gap))))  # inf - inf would be NaN


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with numbers in place of NaN (0) and of the infinities (the largest number of the dtype, and minus that)."""
    x = as_tensor(x)
    largest = float(np.finfo(x.dtype).max)
    x = where(isnan(x), float(nan), x)
    x = where(equal(x, math.inf), largest if posinf is None else float(posinf), x)
    return where(equal(x, -math.inf), -largest if neginf is None else float(neginf), x)


# ----------------------------------------------------------------------------------------------------- logic


def _truth(x):
    """1.0 where x is true (not zero), else 0.0: logic is arithmetic with these numbers."""
    return cast(cast(as_tensor(x), "bool"), config.floatx())


def logical_and(x1, x2):
    """Whether both are true (not zero), as bool."""
    return cast(multiply(_truth(x1), _truth(x2)), "bool")


def logical_or(x1, x2):
    """Whether one of them is true (not zero), as bool."""
    return cast(add(_truth(x1), _truth(x2)), "bool")


def logical_xor(x1, x2):
    """Whether exactly one of them is true (not zero), as bool."""
    return not_equal(_truth(x1), _truth(x2))


def logical_not(x):
    """Whether x is false (zero), as bool."""
    return equal(_truth(x), 0.0)


def any(x, axis=None, keepdims=False):
    """Whether any element (along `axis`) is true (not zero), as bool; False where there is none."""
    return cast(sum(_truth(x), axis, keepdims), "bool")


def all(x, axis=None, keepdims=False):
    """Whether all elements (along `axis`) are true (not zero), as bool; True where there is none."""
    return logical_not(any(logical_not(x), axis, keepdims))


def count_nonzero(x, axis=None):
    """How many elements (along `axis`) are not zero, as int64."""
    return cast(sum(_truth(x), axis), "int64")


def isinf(x):
    """Whether x is infinite, as bool."""
    return equal(absolute(x), math.inf)


def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether |x1 - x2| <= atol + rtol |x2|, or both are the same infinity (or NaN, with `equal_nan`), as bool."""
    x1, x2 = _align(x1, x2)
    limit = add(_scale(absolute(x2), factor=float(rtol)), float(atol))
    # The difference of two infinities is NaN, and an infinite limit would accept everything.
    near = logical_and(less_equal(absolute(subtract(x1, x2)), limit), isfinite(x2))
    near = logical_or(near, equal(x1, x2))
    return logical_or(near, logical_and(isnan(x1), isnan(x2))) if equal_nan else near


def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether `isclose` holds everywhere, as bool."""
    return all(isclose(x1, x2, rtol, atol, equal_nan))


def select(condlist, choicelist, default=0):
    """For each element, the first of the choices whose condition holds; `default` if none holds."""
    y = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        y = where(condition, choice, y)
    return y


def logsumexp(x, axis=None, keepdims=False):
    """ln of the sum of e^x (along `axis`), without overflow: all x are reduced by the largest one first."""
    x = as_tensor(x)
    top = max(x, axis, keepdims=True).detach()
    top = where(isfinite(top), top, 0.0)
    y = add(log(sum(exp(subtract(x, top)), axis, keepdims=True)), top)
    return y if keepdims else squeeze(y, axis if axis is None else tuple(_axes(axis, x)))


# ------------------------------------------------------------------------------------------- composed of these


def cbrt(x):
    """The number whose cube is x."""
    x = as_tensor(x)
    return multiply(sign(x), exp(_scale(log(absolute(x)), factor=1 / 3)))


def deg2rad(x):
    """Degrees in radians: x pi / 180."""
    return _scale(x, factor=math.pi / 180)


def rad2deg(x):
    """Radians in degrees: 180 x / pi."""
    return _scale(x, factor=180 / math.pi)


def arctan2(x1, x2):
    """The angle of the point (x2, x1), from -pi to pi."""
    y, x = _align(x1, x2)
    steep = greater(absolute(y), absolute(x))
    over, under = where(steep, x, y), where(steep, y, x)
    angle = arctan(divide(over, where(equal(under, 0.0), 1.0, under)))
    turned = subtract(multiply(sign(y), math.pi / 2), angle)
    half = where(_is_negative(y), as_tensor(-math.pi, y.dtype), as_tensor(math.pi, y.dtype))
    return where(steep, turned, add(angle, where(less(x, 0.0), half, 0.0)))


def _is_negative(x):
    """Whether x is below 0, or is -0.0, as bool."""
    return less(divide(1.0, where(equal(x, 0.0), x, sign(x))), 0.0)


def erfc(x):
    """1 - erf x"""
    return subtract(1.0, erf(x))


def sinc(x):
    """sin(pi x) / (pi x), 1 at 0"""
    angle = _scale(as_tensor(x), factor=math.pi)
    is_zero = equal(angle, 0.0)
    return where(is_zero, 1.0, divide(sin(angle), where(is_zero, 1.0, angle)))


def heaviside(x1, x2):
    """0 where x1 is below 0, x2 where it is 0, else 1."""
    x1, x2 = _align(x1, x2)
    return where(equal(x1, 0.0), x2, where(isnan(x1), math.nan, cast(greater(x1, 0.0), x1.dtype)))


def fmax(x1, x2):
    """The larger of both; where one of them is NaN, the other one."""
    x1, x2 = _align(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, maximum(x1, x2)))


def fmin(x1, x2):
    """The smaller of both; where one of them is NaN, the other one."""
    x1, x2 = _align(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, minimum(x1, x2)))


def fmod(x1, x2):
    """The remainder of x1 / x2 with the sign of x1: x1 - x2 trunc(x1 / x2)."""
    x1, x2 = _align(x1, x2)
    return subtract(x1, multiply(x2, trunc(divide(x1, x2))))


def logaddexp2(x1, x2):
    """log2(2^x1 + 2^x2), without overflow."""
    return _scale(logaddexp(_scale(x1, factor=math.log(2)), _scale(x2, factor=math.log(2))), factor=1 / math.log(2))


def ldexp(x1, x2):
    """x1 2^x2"""
    return multiply(x1, exp2(cast(x2, as_tensor(x1).dtype)))


def isposinf(x):
    """Whether x is infinite and positive, as bool."""
    return equal(x, math.inf)


def isneginf(x):
    """Whether x is infinite and negative, as bool."""
    return equal(x, -math.inf)


def signbit(x):
    """Whether x is negative, or is -0.0, as bool."""
    return _is_negative(as_tensor(x))


def saturate_cast(x, dtype):
    """x in another dtype; numbers beyond its range become its least or its largest number."""
    kind = np.dtype(dtype)
    if kind.kind in "iu" and kind != np.int64:
        x = maximum(minimum(x, float(np.iinfo(kind).max)), float(np.iinfo(kind).min))
    return cast(x, dtype)


def rms_normalization(x, scale=None, axis=-1, epsilon=None):
    """x / sqrt(mean of x^2 along `axis` + epsilon), times `scale`."""
    x = as_tensor(x)
    size = mean(square(x), axis, keepdims=True)
    y = multiply(x, rsqrt(add(size, config.epsilon() if epsilon is None else float(epsilon))))
    return y if scale is None else multiply(y, scale)
