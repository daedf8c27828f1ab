"""Rows, as in operation_rows.py, of what puts elements in places, of loops, and of what is joined, split or counted."""

import numpy as np
import scipy.special
from operation_rows import Row, distinct, labels, method, signed

from minigrad import ops


def np_scatter(indices, values, shape):
    y = np.zeros(shape)
    np.add.at(y, tuple(np.moveaxis(np.asarray(indices), -1, 0)), values)
    return y


def np_update(x, indices, updates, reduction):
    y, places = x.copy(), tuple(np.moveaxis(np.asarray(indices), -1, 0))
    if reduction is None:
        y[places] = updates
    else:
        {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[reduction].at(y, places, updates)
    return y


def np_segments(function, start):
    def put_together(x, ids, count):
        y = np.full((count, *x.shape[1:]), start)
        function.at(y, ids[ids >= 0], x[ids >= 0])
        return y

    return put_together


def np_slice_update(x, updates):
    y = x.copy()
    y[1:3, 1:] = updates
    return y


SEGMENTS = {"segment_sum": (np.add, 0.0), "segment_max": (np.maximum, -np.inf), "segment_min": (np.minimum, np.inf),
            "segment_prod": (np.multiply, 1.0)}  # fmt: skip


def placements():
    for indices, shape in (
        ([[1], [3], [1]], (4, 2)), ([[0, 1], [2, 0], [0, 1]], (3, 2)), ([[[1, 0], [2, 1]]], (3, 2, 2)), ([[1]], (2,)),
    ):  # fmt: skip
        values = signed(*np.shape(indices)[:-1], *shape[np.shape(indices)[-1] :])
        yield Row("scatter", lambda v, i=indices, s=shape: ops.scatter(i, v, s), lambda v, i=indices, s=shape: np_scatter(i, v, s), values)
    for reduction in (None, "add", "max", "min", "mul"):
        for indices in ([[1], [3]], [[0, 1], [2, 2]], [[1], [1]]):
            if reduction is None and indices[0] == indices[1]:
                continue  # both get dy, and the last one counts
            updates = signed(2, 3) if len(indices[0]) == 1 else signed(2)
            yield Row(
                "scatter_update", lambda x, u, i=indices, r=reduction: ops.scatter_update(x, i, u, r),
                lambda x, u, i=indices, r=reduction: np_update(x, i, u, r), distinct(4, 3), updates,
            )  # fmt: skip
    for starts, shape in (((1, 0), (2, 2)), ((0, 1), (-1, -1)), ((3, 2), (1, 1)), ((0, 0), (4, 3))):
        part = tuple(slice(a, None if n == -1 else a + n) for a, n in zip(starts, shape))
        yield Row("slice", method(ops.slice, starts, shape), lambda x, part=part: x[part], signed(4, 3))
    yield Row("slice_update", lambda x, u: ops.slice_update(x, (1, 1), u), np_slice_update, signed(4, 3), signed(2, 2))
    for name, (function, start) in SEGMENTS.items():
        for ids, count, shape in (([2, 0, 2, 1, 0], 3, (5, 3)), ([2, -1, 0, 1, 0], None, (5,)), ([0, 0], 1, (2, 2, 2))):
            yield Row(
                name, lambda x, n=name, ids=ids, c=count: getattr(ops, n)(x, ids, c),
                lambda x, f=function, s=start, ids=ids: np_segments(f, s)(x, np.array(ids), max(ids) + 1), distinct(*shape),
            )  # fmt: skip


def counts():
    constant = {"differentiable": False, "dtype": "int64"}
    bins, x, whole = np.array([-1.0, 0, 0, 2]), np.array([[-3.0, -1, 0], [1, 2, 9]]), labels(4, 9)
    for side in ("left", "right"):
        yield Row("searchsorted", lambda b, x, s=side: ops.searchsorted(b, x, s), lambda b, x, s=side: np.searchsorted(b, x, s), bins, x, **constant)
    yield Row("digitize", ops.digitize, np.digitize, x, bins, **constant)
    yield Row("bincount", method(ops.bincount, minlength=6), lambda n: np.bincount(n.astype(int), minlength=6), whole, **constant)
    yield Row("bincount", lambda w: ops.bincount([0, 2, 2], w), lambda w: np.bincount([0, 2, 2], w), signed(3))
    yield Row("unravel_index", lambda n: ops.stack(ops.unravel_index(n, (2, 4))), lambda n: np.array(np.unravel_index(n.astype(int), (2, 4))), labels(8, 5), **constant)
    yield Row("nonzero", lambda x: ops.stack(ops.nonzero(x)), lambda x: np.array(np.nonzero(x)), x, **constant)
    yield Row("multi_hot", method(ops.multi_hot, 4), lambda n: np.eye(4)[n.astype(int)].max(-2), labels(4, 5, 3), differentiable=False, dtype="float32")


def loops():
    add = lambda c, x: (c * 0.5 + x, c + x)

    def np_scan(x):
        c, ys = np.zeros(3), []
        for row in x:
            ys.append(c + row)
            c = c * 0.5 + row
        return np.array(ys)

    yield Row("scan", lambda x: ops.scan(add, ops.zeros(3, x.dtype), x)[1], np_scan, signed(4, 3))
    for n in (1, 2, 5, 8):
        yield Row("associative_scan", method(lambda x: ops.associative_scan(ops.add, x, axis=-1)), lambda x: x.cumsum(-1), signed(2, n))
        yield Row("associative_scan", method(lambda x: ops.associative_scan(ops.multiply, x, True)), lambda x: x[::-1].cumprod(0)[::-1], signed(n, 2))
    for name in ("map", "vectorized_map"):
        each = getattr(ops, name)
        yield Row(name, lambda x, f=each: f(lambda row: row * ops.sum(row), x), lambda x: x * x.sum(1, keepdims=True), signed(3, 2))
    yield Row("fori_loop", lambda x: ops.fori_loop(1, 4, lambda i, y: y * x * i, x), lambda x: 6 * x**4, signed(3))
    yield Row("while_loop", lambda x: ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (0, x))[1], lambda x: x**4, signed(3))
    yield Row("switch", lambda x: ops.switch(1, [ops.tanh, ops.exp], x), np.exp, signed(3))
    yield Row("custom_gradient", ops.custom_gradient(lambda x: (ops.tanh(x), lambda gy: gy * (1 - ops.tanh(x) ** 2))), np.tanh, signed(3))


def arrays():
    constant = {"differentiable": False}
    for name, *args in [
        ("array",), ("copy",), ("flipud",), ("fliplr",), ("rot90",), ("rot90", -1), ("rot90", 2, (1, 0)), ("diagflat",), ("diagflat", -2), ("ptp",),
        ("ptp", 0), ("ptp", 1, ), ("cumprod",), ("cumprod", 0), ("cumprod", -1), ("median",), ("median", 1), ("quantile", 0.3), ("quantile", [0.0, 0.25, 1.0], 0),
        ("percentile", [30.0, 70.0], 1), ("corrcoef",),
    ]:
        yield Row(name, method(getattr(ops, name), *args), lambda x, n=name, args=args: getattr(np, n)(x, *args), distinct(3, 4))
    for how in ("lower", "higher", "midpoint", "nearest"):
        yield Row("quantile", method(ops.quantile, [0.1, 0.5], method=how), method(np.quantile, [0.1, 0.5], method=how), distinct(5))
    for name, cut in [("array_split", (3, 1)), ("array_split", ([1, 3], 1)), ("hsplit", (2,)), ("vsplit", (3,))]:
        yield Row(name, lambda x, n=name, cut=cut: ops.concatenate([ops.exp(p * (i + 1)) for i, p in enumerate(getattr(ops, n)(x, *cut))], 1 if n != "vsplit" else 0),
                  lambda x, n=name, cut=cut: np.concatenate([np.exp(p * (i + 1)) for i, p in enumerate(getattr(np, n)(x, *cut))], 1 if n != "vsplit" else 0), signed(3, 4))
    yield Row("dsplit", lambda x: ops.dsplit(x, 2)[1], lambda x: np.dsplit(x, 2)[1], signed(1, 2, 4))
    yield Row("append", ops.append, np.append, signed(2), signed(2, 2))
    yield Row("append", lambda a, b: ops.append(a, b, 1), lambda a, b: np.append(a, b, 1), signed(2, 1), signed(2, 2))
    for shapes in ([(3,), (3,)], [(2, 3), (2, 3)], [(2, 3, 1), (2, 3, 2)]):
        yield Row("dstack", lambda *xs: ops.dstack(xs), lambda *xs: np.dstack(xs), *[signed(*shape) for shape in shapes])
    for left, right in (((2,), (3,)), ((2, 3), (4, 2)), ((2,), (3, 2))):
        yield Row("kron", ops.kron, np.kron, signed(*left), signed(*right))
    yield Row("cross", ops.cross, np.cross, signed(4, 3), signed(4, 3))
    yield Row("cross", lambda a, b: ops.cross(a, b, axis=0), lambda a, b: np.cross(a, b, axis=0), signed(3, 2), signed(3, 2))
    yield Row("cross", ops.cross, lambda a, b: a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], signed(4, 2), signed(4, 2))
    for indexing in ("xy", "ij"):
        for which in (0, 1, 2):
            yield Row("meshgrid", lambda *xs, w=which, i=indexing: ops.meshgrid(*xs, indexing=i)[w], lambda *xs, w=which, i=indexing: np.meshgrid(*xs, indexing=i)[w],
                      signed(2), signed(3), signed(4), constants=[i for i in range(3) if i != which])
    yield Row("vander", ops.vander, np.vander, signed(4))
    yield Row("vander", method(ops.vander, 3, True), method(np.vander, 3, True), signed(4))
    yield Row("trapezoid", method(ops.trapezoid, axis=0), lambda y: np.trapezoid(y, axis=0) if hasattr(np, "trapezoid") else np.trapz(y, axis=0), signed(4, 2))
    yield Row("trapezoid", lambda y, x: ops.trapezoid(y, x), lambda y, x: (np.diff(x) * (y[..., 1:] + y[..., :-1]) / 2).sum(-1), signed(3, 4), signed(4))
    yield Row("isin", method(ops.isin, [1.0, 3.0]), method(np.isin, [1.0, 3.0]), labels(4, 3, 4), **constant)
    yield Row("isin", method(ops.isin, [1.0], invert=True), method(np.isin, [1.0], invert=True), labels(4, 5), **constant)
    yield Row("argpartition", method(ops.argpartition, 2), lambda x: np.argsort(x, -1), distinct(3, 4), **constant)
    for which in (0, 1):
        yield Row("histogram", lambda x, w=which: ops.cast(ops.histogram(x, 4)[w], x.dtype), lambda x, w=which: np.histogram(x, 4)[w].astype(float), signed(9), **constant)
    for name, *args in [("tri", 3, 4, 1), ("logspace", 0, 2, 5), ("geomspace", 1, 8, 4)]:
        yield Row(name, lambda x, n=name, args=args: getattr(ops, n)(*args, dtype=x.dtype), lambda x, n=name, args=args: getattr(np, n)(*args) * 1.0, signed(1), **constant)
    for name, *args in [("bartlett", 7), ("blackman", 7), ("hamming", 7), ("hanning", 7), ("kaiser", 7, 3.0)]:
        yield Row(name, lambda x, n=name, args=args: ops.cast(getattr(ops, n)(*args), "float32"), lambda x, n=name, args=args: getattr(np, n)(*args).astype("float32"), signed(1), **constant, dtype="float32")
    yield Row("empty", lambda x: ops.empty((2, 3), x.dtype), lambda x: np.zeros((2, 3)), signed(1), **constant)
    yield Row("empty_like", ops.empty_like, np.zeros_like, signed(2, 3), **constant)


def gaps():
    def holes(*shape):
        x = distinct(*shape)
        x.flat[:: 3] = np.nan
        return x

    def held(call):
        """Of data with holes nothing is differentiated here: differences of NaN tell nothing."""
        return lambda x: call(x.detach())

    for name in ("nansum", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin", "nanprod", "nanmedian"):
        for axis in (None, 0, -1):
            for keepdims in (False, True):
                yield Row(name, held(method(getattr(ops, name), axis=axis, keepdims=keepdims)), method(getattr(np, name), axis=axis, keepdims=keepdims), holes(4, 5), differentiable=False)
        yield Row(name, getattr(ops, name), getattr(np, name), distinct(3, 4))
    for name in ("nancumsum", "nancumprod"):
        for axis in (None, 0):
            yield Row(name, held(method(getattr(ops, name), axis)), method(getattr(np, name), axis), holes(4, 5), differentiable=False)
        yield Row(name, method(getattr(ops, name), 1), method(getattr(np, name), 1), distinct(3, 4))
    for name in ("nanargmax", "nanargmin"):
        yield Row(name, held(method(getattr(ops, name), 1)), method(getattr(np, name), 1), holes(4, 5), differentiable=False)
    for name, q in (("nanquantile", [0.2, 0.9]), ("nanpercentile", 35.0)):
        yield Row(name, held(method(getattr(ops, name), q, 0)), method(getattr(np, name), q, 0), holes(4, 5), differentiable=False)
        yield Row(name, method(getattr(ops, name), q), method(getattr(np, name), q), distinct(3, 4))


def elements():
    for name, reference, x in [
        ("cbrt", np.cbrt, signed(3, 4)), ("deg2rad", np.deg2rad, signed(4)), ("rad2deg", np.rad2deg, signed(4)), ("erfc", scipy.special.erfc, signed(4)),
        ("sinc", np.sinc, signed(5)),
    ]:
        yield Row(name, getattr(ops, name), reference, x)
    for name in ("arctan2", "fmax", "fmin", "logaddexp2"):
        yield Row(name, getattr(ops, name), getattr(np, name), signed(4, 5), signed(5))
    yield Row("fmod", ops.fmod, np.fmod, signed(9) * 3, signed(9) + 4)
    yield Row("heaviside", lambda x: ops.heaviside(x, 0.5), lambda x: np.heaviside(x, 0.5), labels(3, 7) - 1, differentiable=False)
    yield Row("ldexp", lambda x: ops.ldexp(x, [1, -2, 3]), lambda x: np.ldexp(x, [1, -2, 3]), signed(3))
    for name in ("isposinf", "isneginf", "signbit"):
        yield Row(name, getattr(ops, name), getattr(np, name), np.array([np.inf, -np.inf, 1.0, -2.0, 0.0, -0.0]), differentiable=False)
    yield Row("saturate_cast", method(ops.saturate_cast, "uint8"), lambda x: np.clip(x, 0, 255).astype(int), signed(5) * 300, differentiable=False, dtype="int64")
    yield Row("rms_normalization", method(ops.rms_normalization, 2.0, 0, 0.1), lambda x: 2 * x / np.sqrt((x**2).mean(0) + 0.1), signed(3, 4))


PLACED = [*placements(), *counts(), *loops(), *arrays(), *gaps(), *elements()]
