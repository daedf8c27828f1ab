"""Rows, as in operation_rows.py, of what puts elements in places, of loops, and of what is joined, split or counted."""

import numpy as np
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
    yield Row("array", ops.array, np.array, signed(3))
    yield Row("array", method(ops.array, "float64"), np.array, signed(2, 3), dtype="float64")


PLACED = [*arrays(), *placements(), *counts(), *loops()]
