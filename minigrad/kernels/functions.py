"""e^x and related functions, for loops that vectorise. The C library's take one number per call: most of a loop's time.

Each is a Taylor series on a small interval, summed by Horner's rule, with as many terms as the dtype has digits for.
Errors are below five units in the last place, and a NaN stays a NaN. The order of operations is kept (no `reassoc`)
even in a kernel that allows another one: the accuracy depends on it. Several files share these functions, but Numba's
cache notices only changes of a kernel's own file: after a change here, delete the cached kernels
(`__pycache__/*.nb?`).
"""

import math

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic, overload, register_jitable

_EXACT = {
    "fastmath": {"contract", "arcp", "nsz", "afn"}, "error_model": "numpy", "forceinline": True,
    "no_cpython_wrapper": True, "no_cfunc_wrapper": True,
}  # fmt: skip
helper = register_jitable(**_EXACT)


@intrinsic
def _power_of_two(typing_context, n):
    """2^n for a whole number n between -126 and 127 (float64: -1022 and 1023), made of its bits."""
    size, bias, shift = (32, 127, 23) if n.bitwidth == 32 else (64, 1023, 52)

    def codegen(context, builder, signature, args):
        word = ir.IntType(size)
        exponent = builder.add(builder.fptosi(args[0], word), ir.Constant(word, bias))
        return builder.bitcast(builder.shl(exponent, ir.Constant(word, shift)), args[0].type)

    return n(n), codegen


def _series(coefficients):
    """A compiled polynomial, the coefficient of the highest power first."""
    if len(coefficients) > 14:  # LLVM does not unroll a longer loop, and vectorises no loop around it
        upper, lower = _series(coefficients[:-8]), _series(coefficients[-8:])

        @helper
        def joined(r):
            fourth = (r * r) * (r * r)
            return upper(r) * (fourth * fourth) + lower(r)

        return joined

    @helper
    def horner(r):
        total = coefficients[0]
        for c in coefficients[1:]:
            total = total * r + c
        return total

    return horner


def _split_exp(x):
    """(q, a, b) with e^x = (1 + q) a b:  x = n ln 2 + r, |r| <= ln 2 / 2,  q = e^r - 1,  a b = 2^n."""


def _constants(x):
    """(the dtype, ln 2 in two parts of which n times the first is exact, 1 / ln 2, the series of (e^r - 1) / r)."""
    is_single = x.bitwidth == 32
    real, terms = (np.float32, 7) if is_single else (np.float64, 13)
    first = real(0.693359375) if is_single else real(float.fromhex("0x1.62e42feep-1"))
    second = real(math.log(2) - float(first)) if is_single else real(float.fromhex("0x1.a39ef35793c76p-33"))
    series = _series(tuple(real(1 / math.factorial(k)) for k in range(terms, 0, -1)))
    return real, first, second, real(1 / math.log(2)), series


@overload(_split_exp, jit_options=_EXACT)
def _split_exp_of(x):
    real, first, second, per_ln2, series = _constants(x)
    low, high = (real(-104), real(89)) if x.bitwidth == 32 else (real(-746), real(710))  # e^low = 0, e^high = inf
    half = real(0.5)

    def split(x):
        v = low if x < low else x
        v = high if v > high else v
        n = np.rint(v * per_ln2)
        r = (v - n * first) - n * second
        m = np.floor(n * half)  # 2^n in two factors: it may overflow or underflow where e^x does not
        return series(r) * r, _power_of_two(m), _power_of_two(n - m)

    return split


def _split_exp_below(x):
    """(q, a) with e^x = (1 + q) a for x <= 0, as `_split_exp`, but never below the smallest normal number."""


@overload(_split_exp_below, jit_options=_EXACT)
def _split_exp_below_of(x):
    real, first, second, per_ln2, series = _constants(x)
    low = real(-87) if x.bitwidth == 32 else real(-708)

    def split(x):
        v = low if x < low else x
        n = np.rint(v * per_ln2)
        r = (v - n * first) - n * second
        return series(r) * r, _power_of_two(n)

    return split


@helper
def exp(x):
    """e^x"""
    q, a, b = _split_exp(x)
    y = (q * a + a) * b
    return y if x == x else x


@helper
def tanh(x):
    """tanh |x| = |u| / (2 + u), u = e^-2|x| - 1, which keeps its digits for small x"""
    two = type(x)(2)
    q, a, b = _split_exp(-two * abs(x))
    s = a * b
    u = q * s + (s - type(x)(1))
    y = abs(u) / (two + u)
    y = -y if x < 0 else y
    return y if x == x else x


@helper
def expm1_of_gate(x):
    """e^x - 1 of a gate for x <= 0, which keeps its digits for small x"""
    q, s = _split_exp_below(x)
    return q * s + (s - type(x)(1))


@helper
def tanh_of_gate(x):
    """tanh of a gate: the same numbers in two thirds of the time"""
    two = type(x)(2)
    u = expm1_of_gate(-two * abs(x))
    y = abs(u) / (two + u)
    y = -y if x < 0 else y
    return y if x == x else x


@helper
def logistic_of_gate(x):
    """1 / (1 + e^-x) of a gate: the same numbers in two thirds of the time, but e^-87 (float64: e^-708) below that"""
    one = type(x)(1)
    q, s = _split_exp_below(-abs(x))
    e = q * s + s
    p = one / (one + e)
    y = p if x >= 0 else e * p
    return y if x == x else x


@helper
def positive_part(x):
    """max(x, 0); a NaN stays a NaN"""
    return x if not (x < 0) else type(x)(0)


@helper
def logistic(x):
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows"""
    one = type(x)(1)
    e = exp(-abs(x))
    p = one / (one + e)
    return p if x >= 0 else e * p


def _log1p(z):
    """ln(1 + z) for z in [0, 1]: 2 artanh(s) = 2 (s + s^3 / 3 + s^5 / 5 + ...), s = z / (2 + z) <= 1/3."""


@overload(_log1p, jit_options=_EXACT)
def _log1p_of(z):
    real, terms = (np.float32, 8) if z.bitwidth == 32 else (np.float64, 17)
    two = real(2)
    series = _series(tuple(real(2 / (2 * k + 1)) for k in range(terms - 1, -1, -1)))

    def log1p(z):
        s = z / (two + z)
        return s * series(s * s)

    return log1p


@helper
def log1p_exp(x):
    """ln(1 + e^-|x|), the difference between ln(1 + e^x) and max(x, 0)"""
    return _log1p(exp(-abs(x)))
