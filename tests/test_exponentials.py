"""e^x and its kin in the kernels: accuracy over their whole range, special values, and that a loop of them vectorises."""

import numpy as np
import pytest
from test_kernels import llvm

from minigrad import kernels as K
from minigrad.program import launch

FORMULAS = {  # in extended precision
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
DTYPES = ["float32", "float64"]


def values(name, x):
    y = np.empty_like(x)
    launch(getattr(K, name), x, y)
    return y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_errors_stay_below_five_units_in_the_last_place(name, dtype):
    info = np.finfo(dtype)
    for reach in (float(np.log(info.max)) - 0.01, 20, 1, 1e-3, 1e-8):
        x = np.linspace(-reach, reach, 20011, dtype=dtype)[None]
        exact = FORMULAS[name](x.astype(np.longdouble))
        normal = np.abs(exact) > info.tiny  # below it, numbers have fewer digits
        unit = np.spacing(np.abs(exact[normal]).astype(dtype))
        assert (np.abs(values(name, x)[normal] - exact[normal]) / unit).max() < 5, reach


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    x = np.array([[np.nan, np.inf, -np.inf, 0, 1e30, -1e30]], dtype)
    np.testing.assert_array_equal(values("exp", x), [[np.nan, np.inf, 0, 1, np.inf, 0]])
    np.testing.assert_array_equal(values("tanh", x), [[np.nan, 1, -1, 0, 1, -1]])
    np.testing.assert_array_equal(values("sigmoid", x), [[np.nan, 1, 0, 0.5, 1, 0]])
    assert not np.signbit(values("tanh", np.zeros((1, 1), dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_e_to_the_x_fades_out_gradually(dtype):
    """Neither 0 nor infinity comes before the exact value has left the range of the dtype."""
    info = np.finfo(dtype)
    ends = np.array([[np.log(info.max), np.log(info.smallest_subnormal) + 0.1]])
    top, bottom = values("exp", np.trunc(ends * 1000).astype(dtype) / np.dtype(dtype).type(1000))[0]
    assert info.max / 2 < top < np.inf and 0 < bottom < info.tiny


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loop_of_them_vectorises(name):
    code = llvm(getattr(K, name))
    assert "x float>" in code and "@expf" not in code and "@tanhf" not in code
