"""One element in, one element out: arithmetic, comparisons, elementary functions, activations.

A formula that chooses between two values has both at hand before: a loop with a branch in it does not vectorise.
"""

import math

import numpy as np

from minigrad.kernels import functions
from minigrad.kernels.each import each, formula
from minigrad.program import kernel

# ----------------------------------------------------------------------------------------------------------- arithmetic

add = formula("add", "y = a + b", lambda a, b: a + b)
subtract = formula("subtract", "y = a - b", lambda a, b: a - b)
multiply = formula("multiply", "y = a b", lambda a, b: a * b)
divide = formula("divide", "y = a / b", lambda a, b: a / b)
divide_vjp_b = formula("divide_vjp_b", "gb = -gy y / b", lambda gy, b, y: -gy * y / b)
power = formula("power", "y = a^b", lambda a, b: a**b)
negative = formula("negative", "y = -x", lambda x: -x)
scale = formula("scale", "y = factor x", lambda x, factor: factor * x, factor="number")
square = formula("square", "y = x^2", lambda x: x * x)
square_vjp = formula("square_vjp", "gx = 2 x gy", lambda gy, x: (x + x) * gy)
hypot = formula("hypot", "y = sqrt(a^2 + b^2), without overflow", lambda a, b: math.hypot(a, b))
mod_vjp_b = formula("mod_vjp_b", "gb = -gy floor(a / b)", lambda gy, a, b: -gy * np.floor(a / b))


@each
def power_vjp_a(gy, a, b, ga: "out"):
    """ga = gy b a^(b-1), and 0 where b = 0"""
    slope = b * a ** (b - type(a)(1))
    return gy * slope if b != 0 else type(gy)(0)


@each
def power_vjp_b(gy, a, y, gb: "out"):
    """gb = gy y log a, and 0 where a <= 0"""
    return gy * y * math.log(a) if a > 0 else type(gy)(0)


@each
def hypot_vjp(gy, x, y, gx: "out"):
    """gx = gy x / y, or 0 where y is 0; x is either operand of `hypot`"""
    return gy * (x / y) if y != 0 else y


@each
def mod(a, b, y: "out"):
    """y = a - floor(a / b) b, exact also for an infinite b"""
    rest = np.fmod(a, b)
    return rest + b if rest * b < 0 else rest


# ----------------------------------------------------------------------------------------------- comparing and choosing

greater = formula("greater", "y = (a > b)", lambda a, b: a > b, y="bool")
greater_equal = formula("greater_equal", "y = (a >= b)", lambda a, b: a >= b, y="bool")
equal = formula("equal", "y = (a == b)", lambda a, b: a == b, y="bool")
not_equal = formula("not_equal", "y = (a != b)", lambda a, b: a != b, y="bool")
is_nonzero = formula("is_nonzero", "y = (x is not 0)", lambda x: x != 0, y="bool")
is_nan = formula("is_nan", "y = (x is NaN)", lambda x: x != x, y="bool")
maximum = formula("maximum", "y = the larger of a and b; a NaN wins", lambda a, b: a if a >= b or a != a else b)
minimum = formula("minimum", "y = the smaller of a and b; a NaN wins", lambda a, b: a if a <= b or a != a else b)


@each
def is_finite(x, y: "bool out"):
    """y = (x is neither NaN nor infinite): only then is x - x zero"""
    return x - x == 0


@each
def where(condition: "bool", a, b, y: "out"):
    """y = a where the condition is true, else b"""
    kept, other = a, b
    return kept if condition else other


@kernel
def keep(condition: "bool", x, other: "number", y: "out"):
    """y = x where the condition is true, else one number; each row of it holds for parts of a row of x, or all rows"""
    if y.shape != x.shape or condition.shape[0] not in (1, x.shape[0]) or x.shape[1] % max(condition.shape[1], 1):
        raise ValueError("keep: the condition has one row or those of x, and fits several times into each of these")
    n = np.uint64(condition.shape[1])
    for i in range(x.shape[0]):
        row = i if condition.shape[0] > 1 else 0
        for first in range(0, np.uint64(x.shape[1] if n else 0), n):
            for j in range(n):
                y[i, first + j] = x[i, first + j] if condition[row, j] else other[0, 0]


@each
def pick_where(gy, condition: "bool", y: "out"):
    """y = gy where the condition is true, else 0"""
    return gy if condition else type(gy)(0)


@each
def pick_where_not(gy, condition: "bool", y: "out"):
    """y = 0 where the condition is true, else gy"""
    return type(gy)(0) if condition else gy


# ------------------------------------------------------------------------------------------------------------- rounding

floor = formula("floor", "y = the largest integer that is not above x", lambda x: np.floor(x))
absolute = formula("absolute", "y = |x|", lambda x: abs(x))


@each
def round_half_even(x, y: "out"):
    """y = the nearest integer; of two that are equally near, the even one"""
    return np.rint(x)


@each
def truncate(x, y: "int64 out"):
    """y = x without its fraction, as an integer; the least integer where int64 has no such number, as for NaN"""
    return np.int64(x) if abs(x) < 2.0**63 else np.int64(-(2**63))


@each
def sign(x, y: "out"):
    """y = -1, 0 or 1; a NaN stays a NaN"""
    zero, one = type(x)(0), type(x)(1)
    return one if x > zero else (-one if x < zero else x * zero)


@each
def absolute_vjp(gy, x, gx: "out"):
    """gx = gy sign(x), with sign(0) = 0"""
    still = gy * x  # 0, or NaN, where x has no sign
    down = -gy if x < 0 else still
    return gy if x > 0 else down


# ------------------------------------------------------------------------------------------------- elementary functions

exp = formula("exp", "y = e^x", lambda x: functions.exp(x))
expm1 = formula("expm1", "y = e^x - 1, exact near 0", lambda x: math.expm1(x))
expm1_vjp = formula("expm1_vjp", "gx = gy e^x", lambda gy, x: gy * functions.exp(x))
log = formula("log", "y = ln x", lambda x: math.log(x))
log1p = formula("log1p", "y = ln(1 + x), exact near 0", lambda x: math.log1p(x))
log1p_vjp = formula("log1p_vjp", "gx = gy / (1 + x)", lambda gy, x: gy / (type(x)(1) + x))
sqrt = formula("sqrt", "y = the square root of x", lambda x: math.sqrt(x))
sqrt_vjp = formula("sqrt_vjp", "gx = gy / 2y", lambda gy, y: gy / (y + y))
sin = formula("sin", "y = sin x", lambda x: math.sin(x))
sin_vjp = formula("sin_vjp", "gx = gy cos x", lambda gy, x: gy * math.cos(x))
cos = formula("cos", "y = cos x", lambda x: math.cos(x))
cos_vjp = formula("cos_vjp", "gx = -gy sin x", lambda gy, x: -gy * math.sin(x))
arctan = formula("arctan", "y = the angle whose tangent is x", lambda x: math.atan(x))
arctan_vjp = formula("arctan_vjp", "gx = gy / (1 + x^2)", lambda gy, x: gy / (type(x)(1) + x * x))
erf = formula("erf", "y = the error function of x", lambda x: math.erf(x))


@each
def erf_vjp(gy, x, gx: "out"):
    """gx = gy 2/sqrt(pi) e^(-x^2)"""
    return gy * type(x)(1.1283791670955126) * functions.exp(-x * x)


# ---------------------------------------------------------------------------------------------------------- activations

tanh = formula("tanh", "y = tanh x", lambda x: functions.tanh(x))
tanh_vjp = formula("tanh_vjp", "gx = gy (1 - y^2)", lambda gy, y: gy * (type(y)(1) - y * y))
sigmoid = formula("sigmoid", "y = 1 / (1 + e^-x)", lambda x: functions.logistic(x))
sigmoid_vjp = formula("sigmoid_vjp", "gx = gy y (1 - y)", lambda gy, y: gy * y * (type(y)(1) - y))
softplus_vjp = formula("softplus_vjp", "gx = gy / (1 + e^-x)", lambda gy, x: gy * functions.logistic(x))
softsign = formula("softsign", "y = x / (1 + |x|)", lambda x: x / (abs(x) + type(x)(1)))


@each
def softplus(x, y: "out"):
    """y = ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)"""
    return functions.positive_part(x) + functions.log1p_exp(x)


@each
def softsign_vjp(gy, x, gx: "out"):
    """gx = gy / (1 + |x|)^2"""
    one = type(x)(1)
    slope = one / (abs(x) + one)
    return gy * slope * slope


@each
def relu(x, y: "out"):
    """y = max(x, 0); a NaN stays a NaN"""
    zero = type(x)(0)
    return zero if x < zero else x


@each
def relu_vjp(gy, y, gx: "out"):
    """gx = gy where y is not 0, else 0: the slope at 0 is 0"""
    zero = type(y)(0)
    return zero if y == zero else gy


@each
def leaky_relu(x, slope: "number", y: "out"):
    """y = x where x > 0, else slope x"""
    below = slope * x
    return x if x > 0 else below


@each
def leaky_relu_vjp(gy, x, slope: "number", gx: "out"):
    """gx = gy where x > 0, else slope gy"""
    below = slope * gy
    return gy if x > 0 else below


@each
def clip(x, low: "number", high: "number", y: "out"):
    """y = x kept within [low, high]; a NaN stays a NaN"""
    v = low if x < low else x
    return high if v > high else v


@each
def clip_vjp(gy, x, low: "number", high: "number", gx: "out"):
    """gx = gy where low <= x <= high, else 0"""
    passed, inside = gy, (x >= low) & (x <= high)
    return passed if inside else type(gy)(0)


@kernel
def prelu(x, alpha, y: "out"):
    """y_ij = x_ij where x_ij > 0, else alpha_j x_ij"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if x[i, j] > 0 else alpha[0, j] * x[i, j]


@kernel
def prelu_vjp(gy, x, alpha, gx: "out", galpha: "out"):
    """gx_ij = gy_ij, or alpha_j gy_ij below 0, or 0 at 0;   galpha_j = sum over i of gy_ij min(x_ij, 0)"""
    zero = x.dtype.type(0)
    for j in range(x.shape[1]):
        galpha[0, j] = zero
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v, g = x[i, j], gy[i, j]
            gx[i, j] = g if v > 0 else (zero if v == 0 else alpha[0, j] * g)
            galpha[0, j] += zero if v > 0 else g * v
