"""The operations of `keras.ops` that no layer needs but scripts use, one row of a table each, as in operation_rows.py.

Then what a table can't say: which names of Keras' there are, NaN, extreme values, integers, errors.
"""

import inspect
import itertools
import math

import numpy as np
import operation_rows
import pytest
from operation_rows import (
    AXES,
    PAIRS,
    RANDOM,
    SHAPES,
    Row,
    away_from,
    by_name,
    distinct,
    labels,
    method,
    positive,
    signed,
)
from placing_rows import PLACED
from test_activations import ACTIVATIONS

from minigrad import Program, activations, ops
from minigrad.tensor import Tensor


def inner(*shape):
    """Values in (-0.9, 0.9)."""
    return RANDOM.uniform(-0.9, 0.9, shape)


def halves(*shape):
    """Values with many halves among them, which round to even."""
    return np.rint(signed(*shape) * 4) / 2 + 0.0


UNARY = {
    "sin": (np.sin, signed),
    "cos": (np.cos, signed),
    "tan": (np.tan, inner),
    "arcsin": (np.arcsin, inner),
    "arccos": (np.arccos, inner),
    "arctan": (np.arctan, signed),
    "sinh": (np.sinh, signed),
    "cosh": (np.cosh, signed),
    "arcsinh": (np.arcsinh, signed),
    "arccosh": (np.arccosh, lambda *shape: 1 + positive(*shape)),
    "arctanh": (np.arctanh, inner),
    "exp2": (np.exp2, signed),
    "log2": (np.log2, positive),
    "log10": (np.log10, positive),
    "log1p": (np.log1p, inner),
    "expm1": (np.expm1, signed),
    "reciprocal": (np.reciprocal, signed),
    "rsqrt": (lambda x: 1 / np.sqrt(x), positive),
    "fabs": (np.abs, signed),
}
CONSTANT = {
    "floor": (np.floor, halves),
    "ceil": (np.ceil, halves),
    "trunc": (np.trunc, halves),
    "round": (np.round, halves),
    "sign": (np.sign, halves),
    "isnan": (np.isnan, signed),
    "isinf": (np.isinf, signed),
    "isfinite": (np.isfinite, signed),
    "logical_not": (np.logical_not, halves),
    "zeros_like": (np.zeros_like, signed),
    "ones_like": (np.ones_like, signed),
}
BINARY = {
    "mod": (np.mod, signed, positive),
    "logaddexp": (np.logaddexp, signed, signed),
    "hypot": (np.hypot, signed, signed),
    "divide_no_nan": (np.divide, signed, signed),
    "true_divide": (np.divide, signed, signed),
}
CONSTANT_BINARY = {
    "floor_divide": (np.floor_divide, signed, positive),
    "logical_and": (np.logical_and, halves, halves),
    "logical_or": (np.logical_or, halves, halves),
    "logical_xor": (np.logical_xor, halves, halves),
    "isclose": (np.isclose, halves, halves),
}
REDUCTIONS = {
    "amax": (np.max, distinct),
    "amin": (np.min, distinct),
    "prod": (np.prod, signed),
    "logsumexp": (lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis, keepdims=keepdims)), signed),
    "norm": (lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis, keepdims=keepdims)), signed),
}
CONSTANT_REDUCTIONS = {
    "any": (np.any, lambda *shape: np.maximum(halves(*shape), 0)),
    "all": (np.all, halves),
}
ACTIVATION_NAMES = [name for name in ACTIVATIONS if name in ops.__all__ and name not in operation_rows.UNARY]


def constant_rows(name, call, reference, *inputs, **kwargs):
    return Row(name, call, reference, *inputs, differentiable=False, **kwargs)


def elementwise():
    for (name, (reference, draw)), shape in itertools.product(UNARY.items(), SHAPES[::2]):
        yield Row(name, getattr(ops, name), reference, draw(*shape))
    for (name, (reference, draw)), shape in itertools.product(CONSTANT.items(), SHAPES[::3]):
        yield constant_rows(name, getattr(ops, name), reference, draw(*shape))
    for (name, (reference, left, right)), (a, b) in itertools.product(BINARY.items(), PAIRS[::3]):
        yield Row(name, getattr(ops, name), reference, left(*a), right(*b))
    for (name, (reference, left, right)), (a, b) in itertools.product(CONSTANT_BINARY.items(), PAIRS[::3]):
        yield constant_rows(name, getattr(ops, name), reference, left(*a), right(*b))
    for name in ACTIVATION_NAMES:
        reference, kinks = ACTIVATIONS[name]
        call = getattr(ops, name)
        if name == "gelu":
            call = method(call, approximate=False)
        if name == "threshold":
            call = method(call, 0.0, 0.0)
        yield Row(name, call, reference, away_from([*kinks, 0], (3, 8)))
    yield Row("gelu", ops.gelu, lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), signed(7))
    for decimals in (1, 3, -1):
        yield constant_rows("round", method(ops.round, decimals), method(np.round, decimals), 50 * signed(5, 3))
    for shape in [(2, 1, 3, 4), (1, 1, 3, 4), (3, 4), (4,), (2, 1, 1, 4), (2, 1, 3, 1), (1, 1, 1, 1)]:  # beside a number
        kept = signed(*shape) > 0
        yield Row("where", lambda x, kept=kept: ops.where(kept, x, -2.0), lambda x, kept=kept: np.where(kept, x, -2.0),
                  signed(2, 5, 3, 4))  # fmt: skip
    yield Row("nan_to_num", ops.nan_to_num, np.nan_to_num, signed(3, 5))
    for low, high in [((4,), (3, 4)), ((), (4,)), ((3, 1), ())]:
        yield Row("clip", ops.clip, np.clip, 3 * signed(3, 4), -positive(*low), positive(*high))
    for shift in (0.0, 1e-9, 1e-3):
        yield constant_rows("allclose", lambda x, s=shift: ops.allclose(x, x + s), lambda x, s=shift: np.allclose(x, x + s), signed(3))
    yield Row("cond", lambda x: ops.cond(True, lambda: x * 2.0, lambda: x), lambda x: 2 * x, signed(3))
    yield Row("select", lambda x: ops.select([x > 1.0, x > 0.0], [x * x, x], -1.0),
              lambda x: np.select([x > 1, x > 0], [x * x, x], -1.0), signed(3, 7))
    yield Row("stop_gradient", lambda x: ops.stop_gradient(x) + x * 0.0, lambda x: x, signed(3), differentiable=False)


def reductions():
    places = AXES[::2]
    for (name, (reference, draw)), (shape, axis), keep in itertools.product(REDUCTIONS.items(), places, (False, True)):
        np_axis = tuple(axis) if isinstance(axis, list) else axis
        yield Row(
            name,
            method(getattr(ops, name), axis=axis, keepdims=keep),
            method(reference, axis=np_axis, keepdims=keep),
            draw(*shape),
        )
    for (name, (reference, draw)), (shape, axis), keep in itertools.product(
        CONSTANT_REDUCTIONS.items(), places, (False, True)
    ):
        np_axis = tuple(axis) if isinstance(axis, list) else axis
        yield constant_rows(
            name,
            method(getattr(ops, name), axis=axis, keepdims=keep),
            method(reference, axis=np_axis, keepdims=keep),
            draw(*shape),
        )
    for (shape, axis), keep in itertools.product([((7,), 0), ((3, 5), 1), ((3, 5), None), ((2, 3, 4), -2)], (False, True)):
        yield constant_rows(
            "argmin", method(ops.argmin, axis=axis, keepdims=keep), method(np.argmin, axis=axis, keepdims=keep),
            distinct(*shape),
        )
    for name, reference in (("max", np.max), ("min", np.min)):
        for initial in (-1.7, 1.6):
            yield Row(
                name, method(getattr(ops, name), axis=1, initial=initial), method(reference, axis=1, initial=initial),
                distinct(3, 5),
            )
    for axis in (None, 0, 1):
        yield constant_rows(
            "count_nonzero", method(ops.count_nonzero, axis), method(np.count_nonzero, axis), np.rint(signed(3, 5) / 2)
        )
        yield Row("moments", lambda x, axis=axis: ops.stack(ops.moments(x, axis)),
                  lambda x, axis=axis: np.stack([x.mean(axis), x.var(axis)]), signed(3, 5))
    for order, axis, keep in itertools.product((None, 1, 2, 3, 0.5, np.inf, -np.inf), (0, -1), (False, True)):
        yield Row(
            "norm", method(ops.norm, order, axis, keep),
            lambda x, order=order, axis=axis, keep=keep: np.linalg.norm(x, order, axis, keep), distinct(3, 5) + 0.17,
        )
    yield Row("norm", method(ops.norm, "fro"), np.linalg.norm, signed(3, 5))
    for shape, axis in [((5,), -1), ((3, 5), 0), ((2, 3, 4), 1)]:
        for order in (1, 2, 3):
            yield Row(
                "normalize", method(ops.normalize, axis, order),
                lambda x, axis=axis, order=order: x / np.linalg.norm(x, order, axis, keepdims=True), signed(*shape),
            )
    for shape, axis, weights in [((3, 5), None, (3, 5)), ((3, 5), 0, (3,)), ((3, 5), -1, (5,)), ((2, 3, 4), 1, (3,))]:
        yield Row(
            "average", lambda x, w, axis=axis: ops.average(x, axis, w),
            lambda x, w, axis=axis: np.average(x, axis, w), signed(*shape), positive(*weights),
        )
    yield Row("average", method(ops.average, 1), method(np.average, 1), signed(3, 5))
    for zeros in (0, 1, 2):  # the product of the others beside a zero
        yield Row("prod", method(ops.prod, axis=1), method(np.prod, axis=1),
                  np.where(np.arange(5) < zeros, 0.0, signed(3, 5)))


def orders():
    for shape, axis in [((7,), 0), ((7,), None), ((1,), -1), ((3, 5), 0), ((3, 5), -1), ((3, 5), None), ((2, 3, 4), 1)]:
        yield Row("cumsum", method(ops.cumsum, axis), method(np.cumsum, axis), signed(*shape))
        yield Row("sort", method(ops.sort, axis), method(np.sort, axis), distinct(*shape))
        yield constant_rows("argsort", method(ops.argsort, axis), method(np.argsort, axis), distinct(*shape))
        size = math.prod(shape) if axis is None else shape[axis]
        index_shape = (9,) if axis is None else shape[:axis % len(shape)] + (9,) + shape[axis % len(shape) + 1 :]
        index = RANDOM.integers(-size, size, index_shape)
        yield Row(
            "take_along_axis", method(ops.take_along_axis, index, axis), method(np.take_along_axis, index, axis),
            signed(*shape),
        )
    for shape, n, axis in [((5,), 1, -1), ((3, 5), 2, 0), ((2, 3, 4), 1, 1)]:
        yield Row("diff", method(ops.diff, n, axis), method(np.diff, n, axis), signed(*shape))
    for n in (2, 3, 8, 33, 100):
        yield constant_rows("argsort", ops.argsort, lambda x: np.argsort(x, kind="stable"), np.rint(5 * signed(n)))
    for shape, k in [((5,), 2), ((3, 5), 5), ((2, 3, 4), 1)]:
        yield Row(
            "top_k", lambda x, k=k: ops.top_k(x, k)[0], lambda x, k=k: np.flip(np.sort(x), -1)[..., :k], distinct(*shape)
        )
        yield constant_rows(
            "top_k", lambda x, k=k: ops.top_k(x, k)[1], lambda x, k=k: np.argsort(-x)[..., :k], distinct(*shape)
        )
    for k in (1, 2, 5):
        yield constant_rows(
            "in_top_k", method(ops.in_top_k, k=k),
            lambda t, p, k=k: (np.argsort(-p)[:, :k] == t[:, None]).any(1), labels(5, 9), distinct(9, 5),
        )


def arrangements():
    for shape, source, destination in [((3,), 0, -1), ((2, 3, 4), 0, 2), ((2, 3, 4), -1, 0), ((2, 3, 4), (0, 1), (1, 2)),
                                       ((2, 3, 4, 5), [3, 0], [0, 1])]:  # fmt: skip
        yield Row("moveaxis", method(ops.moveaxis, source, destination), method(np.moveaxis, source, destination),
                  signed(*shape))
    for shape, axes in [((3, 5), (0, 1)), ((2, 3, 4), (0, -1)), ((2, 3, 4), (1, 1))]:
        yield Row("swapaxes", method(ops.swapaxes, *axes), method(np.swapaxes, *axes), signed(*shape))
    for shape, shift, axis in [((5,), 2, None), ((3, 4), -1, 0), ((3, 4), (1, 2), (0, 1)), ((3, 4), 5, None)]:
        yield Row("roll", method(ops.roll, shift, axis), method(np.roll, shift, axis), signed(*shape))
    for shape, repeats, axis in [((3,), 2, None), ((2, 3), 2, 1), ((2, 3), [1, 3], 0), ((2, 3), 3, None)]:
        yield Row("repeat", method(ops.repeat, repeats, axis), method(np.repeat, repeats, axis), signed(*shape))
    for shape, repeats in [((3,), 2), ((2, 3), (2, 1)), ((3,), (2, 2)), ((2, 3), 3)]:
        yield Row("tile", method(ops.tile, repeats), method(np.tile, repeats), signed(*shape))
    for shape, offset in [((3, 5), 0), ((3, 5), 2), ((3, 5), -1), ((2, 3, 4), 1)]:
        yield Row("diagonal", method(ops.diagonal, offset), method(np.diagonal, offset), signed(*shape))
        yield Row("trace", method(ops.trace, offset), method(np.trace, offset), signed(*shape))
        yield Row("tril", method(ops.tril, offset), method(np.tril, offset), signed(*shape))
        yield Row("triu", method(ops.triu, offset), method(np.triu, offset), signed(*shape))
    for shape, k in [((3,), 0), ((3,), -2), ((3, 5), 1), ((1,), 3)]:
        yield Row("diag", method(ops.diag, k), method(np.diag, k), signed(*shape))
    for shape, index, axis in [((5,), [0, 0, 4], None), ((3, 5), [[0, 1], [4, -1]], 1), ((3, 5), 7, None), ((3, 5), [2], 0)]:
        yield Row("take", method(ops.take, index, axis), method(np.take, index, axis), signed(*shape))
    for shape, parts, axis in [((6,), 3, 0), ((4, 6), 2, -1), ((4, 6), [1, 4], 1), ((4, 6), [2], 0)]:
        yield Row(
            "split", lambda x, p=parts, a=axis: ops.concatenate([y * (i + 1.0) for i, y in enumerate(ops.split(x, p, a))], a),
            lambda x, p=parts, a=axis: np.concatenate([y * (i + 1.0) for i, y in enumerate(np.split(x, p, a))], a),
            signed(*shape),
        )
    for axis in (0, 1, -1):
        yield Row("unstack", lambda x, axis=axis: ops.stack(ops.unstack(x, axis=axis)),
                  lambda x, axis=axis: np.moveaxis(x, axis, 0), signed(2, 3, 4))
    for width, mode in itertools.product([1, (1, 2), ((1, 0), (2, 1))], ("constant", "reflect", "symmetric")):
        yield Row("pad", method(ops.pad, width, mode), method(np.pad, width, mode), signed(4, 5))
    yield Row("pad", method(ops.pad, 1, constant_values=2.5), method(np.pad, 1, constant_values=2.5), signed(3))
    for name, shapes in [("vstack", [(3,), (3,)]), ("vstack", [(2, 3), (1, 3)]), ("hstack", [(3,), (2,)]),
                         ("hstack", [(2, 3), (2, 1)])]:  # fmt: skip
        yield Row(name, lambda *xs, name=name: getattr(ops, name)(xs), lambda *xs, name=name: getattr(np, name)(xs),
                  *[signed(*s) for s in shapes])
    yield Row("ravel", ops.ravel, np.ravel, signed(2, 3, 4))


def products():
    for a, b in [((4,), (4,)), ((3, 4), (4,)), ((3, 4), (4, 5)), ((2, 3, 4), (5, 4, 2)), ((), (3,)), ((3, 2), ()),
                 ((4,), (2, 4, 3))]:  # fmt: skip
        yield Row("dot", ops.dot, np.dot, signed(*a), signed(*b))
    for a, b in [((3,), (4,)), ((2, 3), (4,))]:
        yield Row("outer", ops.outer, np.outer, signed(*a), signed(*b))
    for a, b in [((4,), (4,)), ((3, 4), (2, 4)), ((3, 4), (4,)), ((), (3,))]:
        yield Row("inner", ops.inner, np.inner, signed(*a), signed(*b))
    yield Row("vdot", ops.vdot, np.vdot, signed(2, 3), signed(2, 3))
    for a, b, axes in [((3, 4), (4, 5), 1), ((2, 3, 4), (3, 4, 5), 2), ((3,), (4,), 0), ((3, 4), (5, 3), ([0], [1])),
                       ((2, 3, 4), (4, 5, 2), ([0, 2], [2, 0])), ((2, 3, 4), (3, 5), (1, 0)), ((0, 3), (3, 2), 1),
                       ((3, 0), (0, 2), 1)]:  # fmt: skip
        yield Row("tensordot", method(ops.tensordot, axes), method(np.tensordot, axes), signed(*a), signed(*b))
    for subscripts, *shapes in [
        ("ij,jk->ik", (3, 4), (4, 5)), ("ij,kj->ki", (3, 4), (5, 4)), ("ij,ij->i", (3, 4), (3, 4)), ("ij->ji", (3, 4)),
        ("ij->", (3, 4)), ("ij->j", (3, 4)), ("i,j->ij", (3,), (4,)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
        ("i,i", (4,), (4,)), ("ij,jk", (3, 4), (4, 5)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("bhd,de->bhe", (2, 3, 4), (4, 5)),
        ("ij,j,j->i", (3, 4), (4,), (4,)), ("ijk,jil->kl", (2, 3, 4), (3, 2, 5)), ("ij,kl->jl", (2, 3), (4, 5)),
        ("ji", (3, 4)), ("abcd,aecd->acbe", (2, 5, 3, 4), (2, 6, 3, 4)), ("aecd,abcd->acbe", (2, 6, 3, 4), (2, 5, 3, 4)),
        ("acbe,aecd->abcd", (2, 3, 5, 6), (2, 6, 3, 4)), ("bja,bcj->bac", (2, 3, 4), (2, 5, 3)), ("bj,bcj->bc", (2, 3), (2, 5, 3)),
        ("bjx,bjk->bk", (2, 3, 2), (2, 3, 4)), ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)), ("ibj,jbk->bik", (2, 3, 4), (4, 3, 5)),
        ("...ij,...jk->...ik", (1, 3, 4), (2, 4, 5)), ("bij,bjk->bik", (2, 3, 0), (2, 0, 5)), ("bij,bjk->bik", (0, 3, 4), (0, 4, 5)),
    ]:  # fmt: skip
        yield Row("einsum", lambda *xs, s=subscripts: ops.einsum(s, *xs), lambda *xs, s=subscripts: np.einsum(s, *xs),
                  *[signed(*s) for s in shapes])
    for heads, options in ((2, {}), (1, {"is_causal": True, "scale": 0.3})):
        yield Row("dot_product_attention", method(ops.dot_product_attention, **options), method(attention, **options),
                  signed(2, 3, 2, 4), signed(2, 5, heads, 4), signed(2, 5, heads, 3))  # fmt: skip


def attention(query, key, value, is_causal=False, scale=0.5):
    """What ops.dot_product_attention computes."""
    scores = np.einsum("btnh,bsnh->bnts", query, np.repeat(key, 2 // key.shape[2], 2)) * scale
    weights = np.exp(scores) * (np.tri(*scores.shape[-2:]) if is_causal else 1)
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bnts,bsnh->btnh", weights, np.repeat(value, 2 // value.shape[2], 2))


def creations():
    for name, *args in [("zeros", (2, 3)), ("ones", 3), ("full", (2,), 1.5), ("eye", 3), ("eye", 2, 4, 1), ("identity", 2),
                        ("linspace", -1, 2, 7), ("linspace", 0, 1, 4, False), ("arange", 0.5, 2.0, 0.25), ("arange", 3.0)]:  # fmt: skip
        yield constant_rows(
            name, lambda x, name=name, args=args: getattr(ops, name)(*args, dtype=x.dtype),
            lambda x, name=name, args=args: np.asarray(getattr(np, name)(*args), "float64"), signed(1),
        )
    yield constant_rows("full_like", lambda x: ops.full_like(x, 2.5), lambda x: np.full_like(x, 2.5), signed(2, 3))
    for shape in [(), (2, 3)]:
        for name, value in (("size", math.prod(shape)), ("ndim", len(shape)), ("is_tensor", True)):
            yield constant_rows(
                name, lambda x, name=name: Tensor(np.array(float(getattr(ops, name)(x)))),
                lambda x, value=value: np.array(float(value)), signed(*shape), dtype="float64",
            )
    yield constant_rows("dtype", lambda x: ops.zeros(2, ops.dtype(x)), lambda x: np.zeros(2), signed(1))



ROWS = [*elementwise(), *reductions(), *orders(), *arrangements(), *products(), *creations(), *PLACED]


def test_every_operation_has_a_row():
    public = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    tested = {row.name for row in [*operation_rows.ROWS, *ROWS]}
    tested |= {"average_pool", "conv", "conv_transpose", "depthwise_conv", "max_pool", "separable_conv"}  # test_convolution
    assert public - tested == set(), "write a row for these"
    assert tested - public == set(), "these are not public operations"
    assert public == set(ops.__all__)


@pytest.mark.parametrize("dtype, rtol, atol", [("float32", 1e-5, 2e-6), ("float64", 1e-12, 1e-13)])
@pytest.mark.parametrize("rows", by_name(ROWS))
def test_forward_equals_numpy(rows, dtype, rtol, atol):
    operation_rows.check_forward(rows, dtype, rtol, atol)


@pytest.mark.parametrize("rows", by_name([row for row in ROWS if row.checked]))
def test_gradient_by_differences(rows):
    operation_rows.check_gradient(rows)


@pytest.mark.parametrize("rows", by_name([row for row in ROWS if not row.checked and row.name != "stop_gradient"]))
def test_what_has_no_gradient_says_so(rows):
    operation_rows.check_it_is_no_gradient(rows)


READING = {"bincount", "histogram", "nonzero", "unravel_index"}  # their results depend on values in their shape


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_program_replays_what_was_computed_eagerly(dtype):
    """Every row in one Program: none but a few reads values, and none computes anything without a launch."""
    rows = [row for row in ROWS if row.name not in READING]
    launched = [(row, [Tensor(np.asarray(x, dtype if x.dtype.kind == "f" else None)) for x in row.inputs]) for row in rows]
    eager = [row.call(*inputs) for row, inputs in launched]
    recordings = []
    Program(lambda: recordings.append([row.call(*inputs) for row, inputs in launched])).replay()
    for row, a, b in zip(rows, eager, recordings[-1], strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), row


# ------------------------------------------------------------------------- NaN, infinity, extreme values

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("name, y, expected", [
    ("sin", ops.sin([NAN, INF, 0.0]), [NAN, NAN, 0]),
    ("arctan", ops.arctan([NAN, INF, -INF]), [NAN, math.pi / 2, -math.pi / 2]),
    ("arcsin at its ends and beyond", ops.arcsin([1.0, -1.0, 1.5]), [math.pi / 2, -math.pi / 2, NAN]),
    ("log1p", ops.log1p([NAN, INF, -1.0, -2.0]), [NAN, INF, -INF, NAN]),
    ("expm1", ops.expm1([NAN, INF, -INF]), [NAN, INF, -1]),
    ("floor", ops.floor([NAN, INF, -INF]), [NAN, INF, -INF]),
    ("round", ops.round([NAN, INF, 0.5, 1.5, -2.5]), [NAN, INF, 0, 2, -2]),
    ("sign", ops.sign([NAN, INF, -INF, 0.0]), [NAN, 1, -1, 0]),
    ("isnan", ops.cast(ops.isnan([NAN, INF, 0.0]), "float32"), [1, 0, 0]),
    ("isfinite", ops.cast(ops.isfinite([NAN, INF, -INF, 3e38]), "float32"), [0, 0, 0, 1]),
    ("isinf", ops.cast(ops.isinf([NAN, INF, -INF, 1.0]), "float32"), [0, 1, 1, 0]),
    ("a NaN is true", ops.cast(ops.logical_not([NAN, 0.0]), "float32"), [0, 1]),
    ("any of nothing", ops.cast(ops.any(Tensor(np.zeros((0, 2))), axis=0), "float32"), [0, 0]),
    ("all of nothing", ops.cast(ops.all(Tensor(np.zeros((0, 2))), axis=0), "float32"), [1, 1]),
    ("isclose", ops.cast(ops.isclose([NAN, INF, INF, 1.0, 1.0], [NAN, INF, -INF, INF, 1.000001]), "float32"),
     [0, 1, 0, 0, 1]),
    ("isclose of NaN", ops.cast(ops.isclose([NAN, NAN], [NAN, 1.0], equal_nan=True), "float32"), [1, 0]),
    ("nan_to_num", ops.nan_to_num([NAN, INF, -INF, 0.5], 1.0, 2.0, 3.0), [1, 2, 3, 0.5]),
    ("divide_no_nan", ops.divide_no_nan([1.0, NAN, NAN], [0.0, 1.0, 0.0]), [0, NAN, 0]),
    ("prod", ops.prod(Tensor([[1.0, NAN, 0.0], [2.0, 3.0, 4.0]]), axis=1), [NAN, 24]),
    ("cumsum", ops.cumsum(Tensor([1.0, NAN, 2.0]), 0), [1, NAN, NAN]),
    ("sort puts NaN last", ops.sort(Tensor([NAN, 2.0, -INF, INF, NAN, 1.0])), [-INF, 1, 2, INF, NAN, NAN]),
    ("an index out of range", ops.take_along_axis(Tensor([1.0, 2.0]), [2, -3, 1, -1], 0), [NAN, NAN, 2, 2]),
    ("logsumexp", ops.logsumexp(Tensor([[NAN, 1.0], [INF, 1.0], [-INF, -INF], [1e4, 1e4]]), 1),
     [NAN, INF, -INF, 1e4 + math.log(2)]),
    ("logsumexp of small ones", ops.logsumexp(Tensor([-1e4, -1e4])), -1e4 + math.log(2)),
    ("logaddexp", ops.logaddexp([NAN, 1e4, -1e4], [1.0, 1e4, -1e4]), [NAN, 1e4 + math.log(2), -1e4 + math.log(2)]),
    ("max and a number", ops.max(Tensor([NAN, 1.0]), initial=5.0), NAN),
    ("norm", ops.norm(Tensor([[NAN, 1.0], [3.0, 4.0]]), axis=1), [NAN, 5]),
    ("norm of the largest", ops.norm(Tensor([[NAN, 1.0], [3.0, 4.0]]), INF, 1), [NAN, 4]),
    ("normalize: a vector of zeros stays", ops.normalize(Tensor([[0.0, 0.0], [3.0, 4.0]])), [[0, 0], [0.6, 0.8]]),
    ("in_top_k", ops.cast(ops.in_top_k([0, 1, 5], Tensor([[1.0, 1.0, 0.0], [0.0, NAN, 1.0], [0.0, 0.0, 0.0]]), 1), "float32"),
     [1, 0, 0]),
])  # fmt: skip
def test_nan_and_infinity_are_never_hidden(name, y, expected):
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_no_activation_hides_a_nan(name):
    x = np.full((2, 4), 0.7)
    x[0] = np.nan
    y = getattr(ops, name)(x, *((0.0, 0.0) if name == "threshold" else ())).numpy()
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


@pytest.mark.parametrize("name", ["log1p", "expm1"])
def test_accurate_near_zero(name):
    x = np.array([1e-12, -3e-8, 1e-30], "float32")
    np.testing.assert_allclose(getattr(ops, name)(x).numpy(), getattr(np, name)(x.astype("f8")), rtol=1e-6)


def slope(f, *values):
    tensors = [Tensor(np.array(v, "float64"), requires_grad=True) for v in values]
    f(*tensors).backward(np.ones(f(*tensors).shape))
    return [t.grad.tolist() for t in tensors]


@pytest.mark.parametrize("f, values, gradients", [
    (lambda x, low: ops.clip(x, low, 2.0 * low), [[0.0, 1.5, 9.0], [1.0, 1.0, 1.0]], [[0, 1, 0], [1, 0, 2]]),
    (ops.divide_no_nan, [[1.0, 1.0], [0.0, 2.0]], [[0, 0.5], [0, -0.25]]),
    (lambda x: ops.top_k(x, 2)[0], [[2.0, 3.0, 3.0, 3.0]], [[0, 1, 1, 0]]),
    (lambda x: ops.take_along_axis(x, [0, 0, -1, 7], 0), [[1.0, 2.0, 3.0]], [[2, 0, 1]]),
    (lambda x: ops.logsumexp(x), [[-INF, 0.0]], [[0, 1]]),
    (lambda x: ops.normalize(x, 0), [[0.0, 0.0]], [[1e7, 1e7]]),
    (lambda x: x * ops.floor(x), [[2.5]], [[2]]),
    (lambda x, y: x % y, [[7.0], [4.0]], [[1], [-1]]),
])  # fmt: skip
def test_conventions_of_gradients(f, values, gradients):
    np.testing.assert_allclose(slope(f, *values), gradients)


# ---------------------------------------------------------------------------------- integers and operators


def test_integers_stay_integers_until_something_is_computed():
    assert ops.cast([1.7, -1.7], "int32").numpy().tolist() == [1, -1]
    for name in ("int8", "uint8", "int32", "int64", int):
        assert ops.cast(Tensor([1.0, 2.0]), name).dtype == "int64"
    assert ops.arange(3).dtype == "int64" and ops.arange(3.0).dtype == "float32" == ops.arange(3, dtype="float32").dtype
    assert ops.zeros((2,), "int32").dtype == "int64" and ops.ones((2,), "bool").dtype == bool
    integers = ops.cast(Tensor([[3.0, 0.0], [1.0, 2.0]]), "int64")
    assert ops.transpose(integers).dtype == ops.cast(integers > 0, "int64").dtype == "int64"
    assert (integers + 0.5).dtype == "float32" and (integers * 2).numpy().tolist() == [[6, 0], [2, 4]]
    assert ops.cast(integers, "bool").numpy().tolist() == [[True, False], [True, True]]
    assert Tensor([5.0, 6.0, 7.0])[ops.arange(2)].numpy().tolist() == [5, 6]
    assert ops.one_hot(ops.cast([2.0, 0.0], "int32"), 3).numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert ops.mean(integers).item() == 1.5


def test_operators_of_tensors():
    a, b = Tensor([7.0, -7.0, 0.0]), Tensor([2.0, 2.0, 2.0])
    assert (a // b).numpy().tolist() == [3, -4, 0] and (7 // b).numpy().tolist() == [3, 3, 3]
    assert (a % b).numpy().tolist() == [1, 1, 0] and (7 % b).numpy().tolist() == [1, 1, 1]
    positive, small = a > 0, a < 1
    assert (positive & small).numpy().tolist() == [False, False, False]
    assert (positive | small).numpy().tolist() == [True, True, True]
    assert (positive ^ True).numpy().tolist() == (~positive).numpy().tolist() == [False, True, True]


def test_linspace_tells_its_step():
    y, step = ops.linspace(0, 1, 5, retstep=True)
    assert step == 0.25 and y.numpy().tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_other_names_and_what_activations_share_with_ops():
    assert ops.gelu(Tensor([1.0])).item() == pytest.approx(0.841192, abs=1e-6)  # by tanh, as in keras.ops
    assert activations.gelu(Tensor([1.0])).item() == pytest.approx(0.841345, abs=1e-6)
    x = Tensor([1.0, -2.0])
    assert ops.stop_gradient(x).numpy() is x.numpy() and ops.is_tensor(x) and not ops.is_tensor([1.0])


X, CUBE = Tensor(np.ones((3, 4))), Tensor(np.ones((2, 3, 4)))


@pytest.mark.parametrize("f, error, message", [
    (lambda: ops.where(X > 0, X), ValueError, r"where expects \(condition, x1, x2\)"),
    (lambda: ops.split(X, 3, 1), ValueError, r"axis 1 of \(3, 4\) into 3 parts"),
    (lambda: ops.unstack(X, 2), ValueError, r"length of axis 0 of \(3, 4\); got 2"),
    (lambda: ops.pad(X, 1, "edge"), ValueError, "'constant', 'reflect' or 'symmetric', got 'edge'"),
    (lambda: ops.top_k(X, 5), ValueError, r"5 elements along the last axis of \(3, 4\)"),
    (lambda: ops.take_along_axis(X, [0, 1], 1), ValueError, r"\(3, 4\), but for axis 1; got \(2,\)"),
    (lambda: ops.take_along_axis(X, np.zeros((2, 1)), 1), ValueError, r"got \(2, 1\)"),
    (lambda: ops.take(X, [4], 1), IndexError, "out of bounds"),
    (lambda: ops.norm(CUBE, 1, (0, 1)), ValueError, r"norm knows .*ord=1, axis=\(0, 1\) of \(2, 3, 4\)"),
    (lambda: ops.norm(X, "nuc"), ValueError, "ord='nuc'"),
    (lambda: ops.average(X, 0, [1.0, 2.0]), ValueError, r"average expects weights .*\(3, 4\).* axis 0; got \(2,\)"),
    (lambda: ops.average(X, None, [1.0, 2.0]), ValueError, "average expects weights"),
    (lambda: ops.moments(X, 0, synchronized=True), ValueError, "several processes"),
    (lambda: ops.tensordot(X, X, 1), ValueError, r"axes \[1\] of \(3, 4\) and \[0\] of \(3, 4\)"),
    *[(lambda s=s: ops.einsum(s, X, X), ValueError, "einsum can't apply")
      for s in ("ij,jk->ik", "ij->ij", "ij,ij->x", "ii,ij->j", "i...,ij->i", "ij,ijk->k")],
    (lambda: ops.convert_to_tensor(X, sparse=True), ValueError, "dense"),
    (lambda: ops.cumsum(X, 2), ValueError, "out of range"),
    (lambda: ops.glu(np.ones((2, 3))), ValueError, "even"),
])  # fmt: skip
def test_errors_say_what_was_expected_and_what_came(f, error, message):
    with pytest.raises(error, match=message):
        f()


EDGES = [  # at the ends of float32: the function, its operands, its value and its gradients, as TensorFlow has them
    (ops.arcsinh, [1e38], 88.19138, [1e-38]),
    (ops.arcsinh, [-np.inf], -np.inf, [0.0]),
    (ops.arccosh, [1e38], 88.19138, [1e-38]),
    (ops.hypot, [2.5, 1e38], 1e38, [2.5e-38, 1.0]),
    (ops.hypot, [0.0, 0.0], 0.0, [0.0, 0.0]),
    (ops.mod, [2.5, np.inf], 2.5, [1.0, 0.0]),
    (ops.mod, [-2.5, np.inf], np.inf, [1.0, 0.0]),
    (ops.softsign, [np.inf], np.nan, [0.0]),
    (ops.absolute, [np.nan], np.nan, [np.nan]),
    (ops.absolute, [0.0], 0.0, [0.0]),
]


@pytest.mark.parametrize("function, operands, value, gradients", EDGES)
def test_edges_of_float32(function, operands, value, gradients):
    leaves = [Tensor(np.array([x], "float32"), requires_grad=True) for x in operands]
    y = function(*leaves)
    y.backward(np.ones(1, "float32"))
    np.testing.assert_allclose([y.numpy().item(), *(x.grad.item() for x in leaves)], [value, *gradients], rtol=1e-5)


@pytest.mark.parametrize("offset", [1e4, 1e7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_all_logits_have_in_common_costs_no_digits(offset, dtype):
    few, target = np.array([[0.0, 1.0, -1.0]], dtype), np.array([[0.25, 0.5, 0.25]], dtype)
    label = np.array([2.0], dtype)
    for operation in (
        ops.log_softmax,
        lambda x: ops.sparse_crossentropy_logits(label, x),
        lambda x: ops.categorical_crossentropy_logits(target, x),
    ):
        values, gradients = [], []
        for x in (few, few + np.array(offset, dtype)):
            leaf = Tensor(x, requires_grad=True)
            y = operation(leaf)
            y.backward(np.arange(1, 1 + y.size, dtype=dtype).reshape(y.shape))
            values.append(y.numpy())
            gradients.append(leaf.grad)
        np.testing.assert_allclose(*values, rtol=1e-6)
        np.testing.assert_allclose(*gradients, rtol=1e-6, atol=1e-7)


def test_nothing_can_be_joined_and_made_probabilities():
    nothing = np.zeros((0, 3), "float32")
    assert ops.concatenate([nothing, nothing], axis=1).shape == (0, 6)
    assert ops.softmax(nothing.T, axis=0).shape == (3, 0)


@pytest.mark.parametrize("subscripts, shapes", [
    ("i...,j...k->...ijk", [(2, 3, 4), (2, 4, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("...i,i", [(2, 3, 4), (4,)]),
    ("...i->i...", [(2, 3, 4)]),
])
def test_einsum_with_dots_is_numpys(subscripts, shapes):
    arrays = [np.random.default_rng(0).normal(size=shape) for shape in shapes]
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays).numpy(), np.einsum(subscripts, *arrays), rtol=1e-12)


@pytest.mark.parametrize("shape, places, axis", [((1, 2, 3, 4), (1, 4, 1, 1), 1), ((3, 1), (1, 2), 0), ((2, 3), (1, 1), 1)])
def test_places_along_an_axis_are_broadcast(shape, places, axis):
    x = np.random.default_rng(0).normal(size=shape)
    at = np.arange(np.prod(places)).reshape(places) % shape[axis]
    lead = [max(n, m) for n, m in zip(shape, places)]  # NumPy itself broadcasts the indices only
    wide = np.broadcast_to(x, [n if k == axis else m for k, (n, m) in enumerate(zip(shape, lead))])
    np.testing.assert_array_equal(ops.take_along_axis(x, at, axis).numpy(), np.take_along_axis(wide, at, axis))


@pytest.mark.parametrize("call, words", [
    (lambda: ops.reshape(np.zeros(20), (-2, 5)), "reshape can't make"),
    (lambda: ops.pad(np.ones((2, 3)), 1, "reflect", 2), "takes no constant_values"),
    (lambda: ops.normalize(np.ones((2, 2)), order=-1), "order must be 1 or more"),
    (lambda: ops.einsum("...i,...i->...", np.ones((2, 3)), np.ones((4, 3))), "einsum can't apply"),
    (lambda: ops.einsum("...ij", np.ones(3)), "einsum can't apply"),
])
def test_arguments_that_make_no_sense(call, words):
    with pytest.raises(ValueError, match=words):
        call()
