"""The kernels by themselves: those that no operation uses against NumPy, and what must hold for all of them.

Most kernels are checked by the rows of operation_rows.py; a kernel that neither those rows nor a row here launches
fails `test_every_kernel_is_launched`.
"""

import ast
import dis
import inspect
import itertools
import math
import re
import textwrap

import numpy as np
import operation_rows
import pytest
import test_functions
from optimizer_reference import RULES

from minigrad import Program, kernels, launch, no_grad, ops, optimizers, program
from minigrad import kernels as K
from minigrad.configurable import numbers_among
from minigrad.kernels.each import each
from minigrad.program import Kernel
from minigrad.program.compiling import OPTIONS
from minigrad.tensor import Tensor

KERNELS = {name: value for name, value in vars(kernels).items() if isinstance(value, Kernel)}
RANDOM = np.random.default_rng(11)
SIZES = (1, 2, 7, 17, 33, 1025)
DTYPES = ("float32", "float64")


def normal(*shape):
    return RANDOM.standard_normal(shape)


def number(value, dtype="float64"):
    return np.array([[value]], dtype)


def row(*values):
    return np.array([values], "float64")


# ------------------------------------------------------------------------- kernels that no operation uses


def rule_rows(n):
    """The second step of each rule, as tests/optimizer_reference.py computes it, from what the first one left."""
    for name, (make, settings, formula) in RULES.items():
        optimizer, kernel = make(**settings), make.kernel
        if kernel is None or "without memory" in name:  # whose v is a difference: no digits are left of a small one
            continue
        g, slots = normal(1, n), {}
        w = formula(normal(1, n), normal(1, n), slots, 0.1, 1)
        own = [slot.name for group in optimizer._own_groups() for slot in group]
        names = [p for p, out in zip(kernel.parameters, kernel.is_out, strict=True) if out and p != "w"]
        absent = {p for p, name in zip(names, own, strict=True) if name not in optimizer._wanted()}
        row_of = lambda p: np.empty((1, 0)) if p in absent else slots[p]
        before = [*map(row_of, names), w]
        after = formula(w, g, slots, 0.1, 2)
        values = np.array(numbers_among(optimizer, [a for a in make.arguments if a not in optimizers.Optimizer.common]))
        momenta = settings.get("beta_1", 0.9) * (1 - 0.5 * 0.96 ** np.arange(1, 3))
        known = {
            "g": g, "learning_rate": number(0.1), "settings": np.array([values, 1 - values]),
            "step": number(1, "int64"), "product": number(momenta.prod()),
        }  # fmt: skip
        inputs = [known[p] for p in kernel.parameters if p in known]
        yield kernel.name, inputs, before, [*map(row_of, names), after]


def schedule_rows(n):
    """Every schedule at the steps 0, 1, 2, ...; tests/test_schedules.py tries more of them."""
    t = np.arange(float(n)).reshape(1, n)
    rate = [np.zeros((1, n))]
    yield "exponential_decay", [t, row(0.5, 7, 0.9, 0)], rate, [0.5 * 0.9 ** (t / 7)]
    yield "exponential_decay", [t, row(0.5, 7, 0.9, 1)], rate, [0.5 * 0.9 ** (t // 7)]
    yield "inverse_time_decay", [t, row(0.5, 7, 2, 0)], rate, [0.5 / (1 + 2 * t / 7)]
    yield "piecewise_constant", [t, row(1, 7), row(3, 2, 1)], rate, [3 - (t > 1) - 1.0 * (t > 7)]
    linear = [0.4 * (1 - np.minimum(t / 7, 1)) + 0.1]
    yield "polynomial_decay", [t, row(0.5, 7, 0.1, 1, 0)], rate, linear
    fading = np.where(t < 4, 0.1 + 0.1 * t, 0.25 * (1 + np.cos(np.pi * np.minimum((t - 4) / 7, 1))))
    yield "cosine_decay", [t, row(0.1, 7, 0, 0.5, 4)], rate, [fading]
    waves = [0.25 * 0.5 ** (t // 7) * (1 + np.cos(np.pi * (t % 7) / 7))]
    yield "cosine_restarts", [t, row(0.5, 7, 1, 0.5, 0)], rate, waves


def cases(n):
    """(kernel, inputs, what the out-operands hold before, what they hold afterwards) for rows of length n."""
    g, w, m, x = normal(1, n), normal(1, n), normal(1, n), normal(1, n)
    v = normal(1, n) ** 2
    rate, mu = number(0.1), number(0.9)
    whole = lambda value: number(value, "int64")
    yield from rule_rows(n)
    yield from schedule_rows(n)
    yield "decay", [rate, number(0.2)], [w], [w * (1 - 0.02)]
    yield "add_scaled", [g, rate], [w], [w + 0.1 * g]
    yield "add_to", [g], [w], [w + g]
    two = np.array([[0, n // 2], [n // 2, n]])
    parts = [g[:, : n // 2], g[:, n // 2 :]]
    for limit in (0.5 * np.linalg.norm(g), 2 * np.linalg.norm(g)):
        clipped = [p * min(1, limit / max(np.linalg.norm(p), 1e-9)) for p in parts]
        yield "clip_norms", [number(limit), two], [g], [np.hstack(clipped)]
        yield "clip_global_norm", [number(limit), two], [g], [g * min(1, limit / np.linalg.norm(g))]
    yield "clip_norms", [number(1.0), two], [0 * g], [0 * g]
    yield "clip_values", [number(0.4)], [g], [g.clip(-0.4, 0.4)]
    for step in (0, 4):
        yield "average", [x, mu, whole(step)], [m], [x if step == 0 else 0.9 * m + 0.1 * x]
        factor = 0.8 * (1 - 0.5 * 0.96 ** (step + 1))
        yield "nadam_product", [row(0.8), whole(step)], [number(0.3)], [number(0.3 * factor)]
        yield "quotient", [whole(step), whole(3)], [whole(7)], [whole(step // 3)]
        yield "is_multiple", [whole(step), whole(5)], [whole(7)], [whole(step == 4)]
    yield "increment", [whole(3)], [whole(4)], [whole(7)]
    total, count = number(10.0), number(3.0)
    for value, after in (2.0, 4), (np.inf, 3), (-np.inf, 3), (np.nan, 3):
        states = [total, count, whole(3)], [number(10 + 4 * value), number(7.0), whole(after)]
        yield "track_loss", [number(value), number(4.0)], *states
    yield "accumulate", [g, row(0.5, n)], [total, count], [10 + 0.5 * g.sum(keepdims=True), count + n]
    values, weights = normal(5, n), v[:, :1] + np.arange(5.0)[:, None]
    yield (
        "accumulate_weighted",
        [values, weights],
        [total, count],
        [10 + (weights * values.mean(1, keepdims=True)).sum(keepdims=True), 3 + weights.sum(keepdims=True)],
    )
    order = RANDOM.permutation(5).reshape(-1, 1)
    for cursor in (0, 1, 4):  # the last ones go round to the first rows
        expected = values[np.roll(order[:, 0], -cursor)[:3]]
        yield "ahead", [whole(3), whole(4)], [whole(0)], [whole(7)]
        yield "gather_rows", [values, order, whole(cursor)], [np.zeros((3, n))], [expected]
    index = np.array([[3, -1, 0, 3, 5]])
    taken = np.vstack([values[3], np.full(n, 7.0), values[0], values[3], np.full(n, 7.0)])
    yield "take_rows", [values, index, np.array([[7.0]])], [values], [taken]
    added = np.vstack([values[2], np.zeros((2, n)), values[0] + values[3]])
    squares, sizes = (np.vstack([f(values[2]), np.zeros((2, n)), f(values[0]) + f(values[3])]) for f in (np.square, abs))
    yield "put_add_rows", [values, index], [np.ones((4, n))] * 3, [added, squares, sizes]
    yield "put_add_rows", [values, index], [np.ones((4, n)), *[np.ones((1, 0))] * 2], [added, *[np.ones((1, 0))] * 2]
    yield "clip_norm_of_rows", [number(v.sum() ** 0.5 / 2), v], [row(7)] * 2, [row(0.5), row(0.25)]
    yield "clip_norm_of_rows", [number(1e9), v], [row(7)] * 2, [row(1)] * 2
    for block in (1, 3, 50):
        inputs = [np.full((1, 1), 2**64 - 5, np.uint64), whole(block)]
        yield "shuffle", inputs, [np.zeros((50, 1), np.int64)], [shuffled(2**64 - 5, block, 50)]
    yield "fill", [rate], [values], [np.full((5, n), 0.1)]
    yield "fill_scaled", [rate, mu], [values], [np.full((5, n), 0.09)]
    yield "matmul_nt", [values.T[:, :1].copy(), x.T.copy()], [np.zeros((n, n))], None
    yield "matmul_nt", [values, normal(3, n)], [np.zeros((5, 3))], None
    yield "matmul_nt", [normal(3, 18), normal(n, 18)], [np.zeros((3, n))], None
    yield (
        "cast_int64",
        [np.arange(-2, 3).reshape(1, 5)],
        [np.zeros((1, 5))],
        [np.arange(-2.0, 3.0).reshape(1, 5)],
    )


def shuffled(seed, block, n):
    """What `shuffle` computes, in Python's whole numbers."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        z = (seed + i * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        below = i % block
        j = i - below + ((z ^ z >> 31) >> 32) * (below + 1) // 2**32
        order[i], order[j] = order[j], order[i]
    return np.array(order).reshape(-1, 1)


def confusion_cases(n):
    """Counts of metrics, for five rows of n columns; all numbers are exact in float32, thresholds are met."""
    t, p = RANDOM.integers(0, 2, (5, n)) * 1.0, RANDOM.integers(-1, 18, (5, n)) / 16
    zeros, ones = np.zeros((9, n)), np.ones((9, n))
    for w in (np.ones((1, 1)), RANDOM.integers(0, 4, (5, 1)) / 2, RANDOM.integers(0, 4, (5, n)) / 2):
        counted = lambda cell, w=w: 1 + (cell * w).sum(1)
        for thresholds in ([0.5], [0.25, 0.75, 0.125]):
            above = p > np.reshape(thresholds, (-1, 1, 1))
            cells = [counted(cell) for cell in (t * above, (1 - t) * above, (1 - t) * ~above, t * ~above)]
            before = [ones[: len(thresholds)]] * 4
            yield "count_confusion", [t, p, w, row(*thresholds)], before, cells
        for lowest in (0, 1):
            above = p.clip(0, 1) > np.reshape(np.arange(9) / 8, (-1, 1, 1))
            above[0] |= lowest == 1
            bucket = np.maximum(np.ceil(p.clip(0, 1) * 8), lowest) == np.arange(10).reshape(-1, 1, 1)
            histograms = [(cell * w).sum(1) for cell in (bucket * t, bucket * (1 - t))]
            cells = [counted(cell) for cell in (t * above, (1 - t) * above, (1 - t) * ~above, t * ~above)]
            before = [np.ones((10, n))] * 2 + [ones] * 4
            yield "bucket_confusion", [t, p, w, row(8, lowest)], before, histograms + cells
        summed = [1 + (v * w).sum(0, keepdims=True) for v in (t, t * t, (t - p) ** 2, t * 0 + 1)]
        rows = 3 + (np.broadcast_to(w, t.shape) != 0).any(1).sum(keepdims=True)[:, None]
        yield "accumulate_regression", [t, p, w], [ones[:1]] * 4 + [number(3.0)], [*summed, rows]
    w = RANDOM.integers(0, 4, (5, 1)) / 2
    top = (p == p.max(1, keepdims=True)) & (p != 0)
    for hit, settings in ((p > 0.5, row(0.5, 0)), (top, row(0, 1))):
        sums = [w * h for h in (hit * t, hit * (1 - t), ~hit * t, t)]
        yield "count_classes", [t, p, w, settings], [ones[:1]] * 4, [1 + s.sum(0, keepdims=True) for s in sums]
        yield "count_classes", [t, p, w, settings], [number(1.0)] * 4, [number(1 + s.sum()) for s in sums]
    label, guess = RANDOM.integers(-1, n + 1, (2, 5, 1))
    matrix = np.ones((n, n))
    for a, b, v in zip(label[:, 0], guess[:, 0], w[:, 0]):
        if 0 <= a < n and 0 <= b < n and a != 1:
            matrix[a, b] += v
    yield "count_pairs", [label, guess, w, number(1.0)], [np.ones((n, n))], [matrix]
    yield "huber", [zeros[:5], p, number(0.5)], [zeros[:5, :1]], [
        np.where(abs(p) <= 0.5, p * p / 2, abs(p) / 2 - 0.125).mean(1, keepdims=True)
    ]
CASES = [(n, i, *case) for n in SIZES for i, case in enumerate([*cases(n), *confusion_cases(n)])]


def of_dtype(kernel, operands, dtype):
    """Copies of the operands in the dtypes that the kernel takes."""
    return [np.array(o, fixed or dtype, order="C") for o, fixed in zip(operands, kernel.dtypes, strict=True)]


@pytest.mark.parametrize("case", CASES, ids=[f"{name} n={n} {i}" for n, i, name, *_ in CASES])
def test_kernel_equals_numpy(case):
    n, _, name, inputs, before, after = case
    if name == "matmul_nt":
        after = [inputs[0] @ inputs[1].T]
    kernel = KERNELS[name]
    for dtype in DTYPES:
        operands = of_dtype(kernel, [*inputs, *before], dtype)
        launch(kernel, *operands)
        for given, operand in zip(inputs, operands, strict=False):
            np.testing.assert_array_equal(
                operand, given.astype(operand.dtype), err_msg="an input was written to"
            )
        for actual, expected in zip(operands[len(inputs) :], after, strict=True):
            scale = np.abs(expected).max(initial=1)
            tolerance = (2e-6 if dtype == "float32" else 1e-13) * (1 + math.sqrt(n) / 10)
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


WRITING_HELPERS = {  # and which arguments they write
    "_product": 6, "_turned_product": 6, "_matmul": 2, "_outer": 2, "_gemm": 5, "tiles_at": -2, "_convolve_plainly": 4,
    "_copy": 2, "_fill": 2, "_finish": 0, "_gradient": 8, "_group_moments": 3, "_max_pool_vjp": 5, "_share_out": 4,
    "_add_to_windows": 4, "_pack": 2, "_sum_runs": 1, "_call": 1, "_add_columns": 2, "_copy_row": 3,
}  # fmt: skip


def test_annotations_say_which_operands_are_written():
    """`out` marks what a kernel writes, all of it and nothing else: listings and recordings rely on it."""
    for kernel in KERNELS.values():
        written = {kernel.parameters[-1]} if hasattr(kernel, "formula") else set()
        is_walk = kernel.function.__closure__ is not None  # of recurrence, whose kernels write through pointers
        for node in () if is_walk else ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kernel.function)))):
            if isinstance(node, (ast.Assign, ast.AugAssign)):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    written |= {target.value.id} if isinstance(target, ast.Subscript) else set()
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in WRITING_HELPERS:
                target = node.args[WRITING_HELPERS[node.func.id]]
                parts = getattr(target, "args", None) or getattr(target, "elts", [target])  # of a block
                written.add(parts[0].id)
        outputs = {name for name, out in zip(kernel.parameters, kernel.is_out, strict=True) if out}
        assert is_walk or written == outputs, kernel
        first = kernel.is_out.index(True)
        assert all(kernel.is_out[first:]) and not any(kernel.is_out[:first]), (
            f"{kernel}: inputs first, then outputs"
        )
        assert kernel.__doc__, f"{kernel} says no formula"


def test_a_formula_becomes_the_loops_that_one_would_write():
    def scale_by_hand(x, factor, y):
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                y[i, j] = factor[0, 0] * x[i, j]

    def instructions(function):  # but those that the docstring leaves, and how far the loops jump
        found = [(i.opname, i.argrepr) for i in dis.Bytecode(function) if i.opname != "NOP"]
        return [(name, None if name == "FOR_ITER" or "JUMP" in name else value) for name, value in found]

    assert instructions(KERNELS["scale"].written()) == instructions(scale_by_hand)


def test_a_formula_without_its_source_says_so():
    scope = {"each": each}
    exec("@each\ndef twice(x, y: 'out'):\n    return x + x", scope)
    with pytest.raises(OSError, match="made from the source of its formula"):
        launch(scope["twice"], row(1), row(0))


def test_every_kernel_is_launched(replace_launch):
    """By a row of this file, or by a row of operation_rows.py or test_functions.py; or by what is said below.

    Batch Normalization of many images is compared with that of as many rows in test_layers_normalization.py; the
    kernels of images have test_convolution.py and test_image_layers.py, those of recurrence test_recurrent.py.
    """
    drawing = {name for name, k in KERNELS.items() if "state" in k.parameters}  # see test_random.py
    launched = {name for _, _, name, *_ in CASES} | drawing | {"batch_normalization"}
    elsewhere = ("convolution", "sampling", "recurrence")
    launched |= {name for name, kernel in KERNELS.items() if kernel.function.__module__.endswith(elsewhere)}
    launched |= {"moments", "join_moments", "normalize", "normalize_sums", "join_normalize_sums", "normalize_vjp", "sum_rows_in_groups", "exchange"}

    def spy(kernel, *operands):
        launched.add(kernel.name)
        launch(kernel, *operands)

    replace_launch(spy)
    for row in [*operation_rows.ROWS, *test_functions.ROWS]:
        y = row.call(*[Tensor(x, requires_grad=i in row.checked) for i, x in enumerate(row.inputs)])
        if y.requires_grad:
            y.backward(np.ones(y.shape))
    for x in (
        ops.argmax(Tensor([1.0, 2.0])),
        Tensor([1.0]) > 0,
        Tensor(np.ones(2)),
        Tensor(np.ones(2, "f4")),
    ):
        for dtype in (*DTYPES, "int64"):
            ops.cast(x, dtype)
    assert set(KERNELS) - launched == set(), "write a row for these"


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_replay_calls_each_kernel_as_an_eager_launch_does(dtype):
    """All rows of this file in one Program: every number of operands and every dtype among them."""
    eager, replayed, launches = [], [], []
    for _, _, name, inputs, before, _ in CASES:
        operands = of_dtype(KERNELS[name], [*inputs, *before], dtype)
        eager.append([o.copy() for o in operands])
        replayed.append(operands)
        launches.append(KERNELS[name])

    Program(lambda: [launch(k, *o) for k, o in zip(launches, replayed, strict=True)]).replay()
    for kernel, operands in zip(launches, eager, strict=True):
        launch(kernel, *operands)
    for kernel, a, b in zip(launches, eager, replayed, strict=True):
        assert [x.tobytes() for x in a] == [x.tobytes() for x in b], kernel


# ------------------------------------------------------------------------------------------- machine code

NOT_ELEMENTWISE = {
    "affine_relu_vjp": "reshape compares two sizes as doubles, once",
    "binary_crossentropy_logits": "reshape compares two sizes as doubles, once",
    "binary_crossentropy_logits_vjp": "reshape compares two sizes as doubles, once",
    "cast_float64": "reads doubles: that is its purpose",
    "sum_rows": "reshape compares two sizes as doubles, once",
    "sparse_crossentropy_logits": "compares a label with a number of columns, once a row",
    "sparse_crossentropy_logits_vjp": "compares a label with a number of columns, once a row",
}


def llvm(kernel):
    """The optimised LLVM code of a kernel for float32, which the cache keeps beside the machine code."""
    kernel.compile(np.dtype("float32"))  # which gives a formula its loops
    result = program.compiling.compiled(kernel.function, kernel.signature(np.dtype("float32")), kernel.options)
    return str(result.library._get_module_for_linking())


def computes_in_double(kernel):
    return re.search(r"\bdouble\b", llvm(kernel)) is not None


def test_no_float32_kernel_computes_in_double():
    """A bare 0.5 or an int beside a float32 makes a whole loop double, at half the speed, with no other sign."""
    assert {name for name, kernel in KERNELS.items() if computes_in_double(kernel)} <= set(NOT_ELEMENTWISE)


def test_the_search_for_double_finds_one():
    def slow(x, y):
        for j in range(x.shape[1]):
            y[0, j] = x[0, j] * 0.1

    def fast(x, y):
        for j in range(x.shape[1]):
            y[0, j] = x[0, j] * x.dtype.type(0.1)

    assert computes_in_double(Kernel(slow)) and not computes_in_double(Kernel(fast))
    assert re.search(r"<\d+ x float>", llvm(Kernel(fast))), "not vectorised"


def test_no_flag_lets_the_compiler_assume_that_there_is_no_nan():
    assert not OPTIONS["fastmath"] & {"nnan", "ninf", "fast"} and OPTIONS["fastmath"] is not True
    assert OPTIONS["error_model"] == "numpy" and OPTIONS["nogil"]


NAN = math.nan


@pytest.mark.parametrize("name, inputs, before", [
    ("clip_values", [number(1.0)], [row(NAN, 2, 0.5)]),
    ("decay", [number(0.1), number(0.1)], [row(NAN, 1, 2)]),
    ("keep_top", [row(NAN, 1, 2), number(2, "int64"), number(-1)], [row(0, 0, 0)]),
    ("count_confusion", [row(1, 0, 1), row(NAN, 0.1, 2), number(1), number(0.5)], [row(0, 0, 0)] * 4),
    ("bucket_confusion", [row(1, 0, 1), row(NAN, 0.1, 2), number(1), row(1, 1)],
     [np.zeros((2, 3))] * 2 + [row(0, 0, 0)] * 4),
    ("average", [row(NAN, 1, 2), number(0.9), number(1, "int64")], [row(0, 0, 0)]),
])  # fmt: skip
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_stays_where_it_is(name, inputs, before, dtype):
    kernel = KERNELS[name]
    *_, y = operands = of_dtype(kernel, [*inputs, *before], dtype)
    launch(kernel, *operands)
    assert np.isnan(y).tolist() == [[True, False, False]]


@pytest.mark.parametrize("name, settings, outs", [
    ("count_confusion", row(0.5, 0.2), [np.zeros((2, 2))] * 4),
    ("bucket_confusion", row(4, 1), [np.zeros((6, 2))] * 2 + [np.zeros((5, 2))] * 4),
    ("count_classes", row(0.5, 0), [row(0, 0)] * 4),
])  # fmt: skip
def test_a_nan_is_in_all_counts_of_its_column(name, settings, outs):
    kernel, p = KERNELS[name], np.array([[0.3, NAN], [0.4, 0.9]])
    for target in (np.zeros((2, 2)), np.ones((2, 2)), np.eye(2)):
        operands = of_dtype(kernel, [target, p, number(1), settings, *outs], "float32")
        launch(kernel, *operands)
        counts = operands[-4:] if "confusion" in name else operands[-4:-1]
        for found in map(np.isnan, counts):
            assert found[:, 1].all() and not found[:, 0].any()


def test_a_nan_in_a_row_of_scores_leaves_no_largest():
    counts = [number(0.0, "float32") for _ in range(4)]
    p = np.array([[0.3, NAN], [0.4, 0.9]], "float32")
    launch(K.count_classes, np.eye(2, dtype="float32"), p, number(1, "float32"), row(0, 1).astype("float32"), *counts)
    assert np.isnan(counts[:3]).all() and counts[3] == 2


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 5, 16])
def test_a_diverged_gradient_shows_in_its_norm_and_in_the_sums(bad, place):
    for dtype in DTYPES:
        g = np.ones((1, 17), dtype)
        g[0, place] = bad
        both = np.array([g[0], g[0]])[:, None]
        launch(K.clip_norms, number(1.0, dtype), np.array([[0, 17]]), both[0])
        launch(K.clip_global_norm, number(1.0, dtype), np.array([[0, 17]]), both[1])
        assert np.isnan(both[0, 0, place]) and (np.isnan(both[0]).all() or bad == math.inf)
        assert np.isnan(both[1]).all()
        x = np.ones((17, 3), dtype)
        x[place] = bad
        y = np.empty((1, 3), dtype)
        launch(K.sum_rows, x, y)
        assert not np.isfinite(y).any()


@pytest.mark.parametrize("place", [0, 3, 8])
@pytest.mark.parametrize("floor", [-math.inf, 0.0])
def test_a_nan_in_a_batch_shows_in_its_column_and_only_there(place, floor):
    for dtype in DTYPES:
        x = RANDOM.standard_normal((9, 5)).astype(dtype)
        x[place, 2] = np.nan
        moving = [np.zeros((1, 5), dtype), np.ones((1, 5), dtype)]
        one, zero = Tensor(np.ones(5, dtype)), Tensor(np.zeros(5, dtype))
        y = ops.batch_normalization(
            Tensor(x),
            zero,
            one,
            zero,
            moving_mean=moving[0],
            moving_variance=moving[1],
            momentum=0.9,
            epsilon=1e-3,
            floor=floor,
        ).numpy()
        for found in (y.T, moving[0].T, moving[1].T):
            assert np.isnan(found).all(1).tolist() == [False, False, True, False, False]
            assert np.isfinite(found[[0, 1, 3, 4]]).all()
        frozen = ops.frozen_normalization(
            Tensor(x),
            zero,
            one,
            zero,
            mean=np.zeros((1, 5), dtype),
            variance=np.ones((1, 5), dtype),
            epsilon=1e-3,
            floor=floor,
        )
        assert np.argwhere(np.isnan(frozen.numpy())).tolist() == [[place, 2]]


# ---------------------------------------------------------------------------------------- batch statistics


@pytest.mark.parametrize("columns", [1, 3, 16])
@pytest.mark.parametrize("rows", [2, 3, 5, 32, 1000, 4099, 100_000])
def test_batch_statistics_are_accurate_to_1e_6(rows, columns):
    """In float32, with a mean of 10,000 deviations: a sum of squares would have no digit right."""
    if rows * columns > 500_000:
        columns = 4
    deviation = RANDOM.uniform(0.5, 2.0, columns)
    signs = RANDOM.choice([-1, 1], columns)
    x = (deviation * (1e4 * signs + RANDOM.standard_normal((rows, columns)))).astype("float32")
    exact = x.astype("float64")
    moving = [np.zeros((1, columns), "f4") for _ in range(2)]
    with no_grad():
        y = ops.batch_normalization(
            Tensor(x),
            np.zeros(columns),
            np.ones(columns),
            np.zeros(columns),
            momentum=0.0,
            moving_mean=moving[0],
            moving_variance=moving[1],
            epsilon=1e-9,
        )
    np.testing.assert_allclose(moving[0][0], exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moving[1][0], exact.var(0), rtol=1e-6)
    # The mean is rounded once: by half a unit in its last place, which the deviation divides.
    error = np.abs(y.numpy() - (exact - exact.mean(0)) / exact.std(0))
    assert (error <= 1e-7 * np.abs(exact.mean(0)) / exact.std(0) + 1e-5).all()


def test_a_large_batch_of_ordinary_numbers_is_normalised_to_1e_5():
    x = RANDOM.standard_normal((50_000, 5)).astype("float32") * 3 + 1
    moving = [np.zeros((1, 5), "f4") for _ in range(2)]
    y = (
        ops.batch_normalization(
            Tensor(x),
            np.zeros(5),
            np.ones(5),
            np.zeros(5),
            momentum=0.0,
            moving_mean=moving[0],
            moving_variance=moving[1],
            epsilon=0.0,
        )
        .numpy()
        .astype("float64")
    )
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, atol=1e-5)


# --------------------------------------------------------------------------------------------------- dropout


def mask_of(shape, rate, state, dtype="float32"):
    mask, y = np.empty((2, *shape), dtype)
    launch(K.dropout, np.full(shape, 3, dtype), number(rate, dtype), state, mask, y)
    assert (y == 3 * mask).all()
    return mask


def stream(seed, counter=0):
    return np.array([[seed, counter]], np.uint64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_dropout_keeps_its_share_and_its_mean(rate, dtype):
    n = 200_000
    mask = mask_of((400, n // 400), rate, stream(3), dtype)
    kept = mask != 0
    deviation = math.sqrt(rate * (1 - rate) / n)
    assert abs(kept.mean() - (1 - rate)) <= 4 * deviation
    np.testing.assert_allclose(mask[kept], 1 / (1 - rate) if rate < 1 else 1, rtol=1e-6)
    for along in (kept.mean(0), kept.mean(1)):  # no row and no column is favoured
        assert np.abs(along - (1 - rate)).max() <= 5.5 * math.sqrt(rate * (1 - rate) / min(kept.shape))


def test_dropout_neighbours_are_independent():
    kept = (mask_of((1, 200_000), 0.5, stream(9)) != 0)[0] * 2.0 - 1
    for lag in (1, 2, 3, 7, 64, 1000):
        assert abs((kept[lag:] * kept[:-lag]).mean()) < 4.5 / math.sqrt(len(kept))


def test_dropout_streams_do_not_repeat_nor_depend_on_how_they_are_cut():
    state = stream(5)
    first, second = mask_of((1, 1000), 0.5, state), mask_of((1, 1000), 0.5, state)
    assert state.tolist() == [[5, 2000]] and 0.4 < (first == second).mean() < 0.6
    whole = mask_of((1, 2000), 0.5, stream(5))
    assert np.array_equal(np.concatenate([first, second], 1), whole)
    assert np.array_equal(mask_of((40, 50), 0.5, stream(5)).reshape(1, -1), whole)
    state, parts = stream(5), []
    for shape in ((1, 3), (7, 11), (20, 96)):
        parts.append(mask_of(shape, 0.5, state).ravel())
    assert np.array_equal(np.concatenate(parts), whole[0])
    assert np.array_equal(mask_of((1, 500), 0.5, stream(5, 1500)), whole[:, 1500:])


def test_dropout_streams_of_different_seeds_differ():
    masks = [mask_of((1, 10_000), 0.5, stream(seed)) for seed in (0, 1, 2, 2**31 - 1)]
    for a, b in itertools.combinations(masks, 2):
        assert 0.47 < (a == b).mean() < 0.53


def test_dropout_masks_of_both_precisions_drop_the_same():
    assert np.array_equal(
        mask_of((1, 5000), 0.3, stream(1)) != 0, mask_of((1, 5000), 0.3, stream(1), "float64") != 0
    )


# ----------------------------------------------------------------------------------------- small conventions


def test_averages_that_fade_out_end_at_zero_not_as_denormals():
    """A denormal number takes a hundred times as long: a weight whose gradient is 0 would slow a training."""
    m, v, w = np.full((1, 3), 1e-29, "f4"), np.full((1, 3), 1e-29, "f4"), np.ones((1, 3), "f4")
    settings = np.array([[0.9, 0.99, 1e-3, 0], [0.1, 0.01, 1, 1]], "f4")
    for _ in range(60):
        g, rate, top = np.zeros((1, 3), "f4"), number(0.1, "f4"), np.empty((1, 0), "f4")
        launch(K.adam, g, rate, settings, number(9, "int64"), m, v, top, w)
    assert not m.any() and np.isfinite(w).all()
    tiny = np.finfo("f4").tiny
    assert ((v == 0) | (v > tiny)).all()


def test_programs_constants_match_the_kernels():
    assert max(len(kernel.parameters) for kernel in KERNELS.values()) <= program.MAX_OPERANDS
