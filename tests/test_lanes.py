"""Lanes: large launches are divided, several threads share a replay, and no bit of a result depends on it."""

import contextlib
import functools
import os
import threading

import numpy as np
import pytest

import minigrad
from minigrad import Program, kernel, kernels, launch
from minigrad import kernels as K
from minigrad import layers as L
from minigrad.kernels import normalization, vectors
from minigrad.layers import Activation, BatchNormalization, Dense, Dropout
from minigrad.parallel import dividing, lanes
from minigrad.parallel.dividing import PART, STEP, divide, divide_by_samples
from minigrad.program import WHOLE, Kernel

KERNELS = {n: k for n, k in vars(kernels).items() if isinstance(k, Kernel)}
DIVISIBLE = {n: k for n, k in KERNELS.items() if k.cost is not None and any(k.is_own[0] + k.is_own[1])}
RANDOM = np.random.default_rng(5)


@pytest.fixture
def on(monkeypatch):
    """`on(3)`: as on a machine where BLAS takes three threads; with lanes wherever something is divided."""

    def change(count, tries=True):
        monkeypatch.setattr(dividing, "threads", lambda: count)
        monkeypatch.setattr(lanes, "crew", functools.cache(lambda: lanes._Crew(count - 1)))
        if tries:
            monkeypatch.setattr(lanes.Pace, "plan", lambda self, steps: [(steps, count > 1)])

    return change


def big(*shape, dtype="float32"):
    return RANDOM.standard_normal(shape).astype(dtype)


# ------------------------------------------------------------------------------------------------ dividing


def flat_operands(kernel, n):
    """Operands of an optimizer's step: settings that make sense for each, everything else positive."""
    numbers = {"learning_rate": np.full((1, 1), 0.1, "f4"), "settings": np.full((2, 8), 0.5, "f4"),
               "step": np.full((1, 1), 3), "product": np.full((1, 1), 0.4, "f4")}  # fmt: skip
    return [numbers[p] if p in numbers else abs(big(1, n)) + 0.1 for p in kernel.parameters]


def operands_of(name):
    """Large operands for each kernel that is divided, with sizes that are no multiple of anything."""
    m, k, n = 131, 259, 299
    if name == "matmul_stacks":
        sizes = np.array([[33, 30, 17, 2, 17, 34, 0, 30, 60, 0, 30, 60, 0]])
        return [big(96, 2 * 33 * 17), big(96, 2 * 17 * 30), sizes, np.zeros((96, 2 * 33 * 30), "f4")]
    if name.startswith("matmul"):
        a, b = ((k, m) if name == "matmul_tn" else (m, k)), ((n, k) if name == "matmul_nt" else (k, n))
        return [big(*a), big(*b), np.zeros((m, n), "f4")]
    if name == "affine_relu_vjp":
        return [big(m * 3, n), big(m * 3, n).clip(0), np.zeros((m * 3, n), "f4"), np.zeros((1, n), "f4")]
    if name in ("affine", "affine_relu"):
        return [big(m, k), big(k, n), big(1, n), np.zeros((m, n), "f4")]
    if name == "batch_normalization":
        rows = [abs(big(1, n)) + 0.1 for _ in range(5)]
        settings = np.array([[0.9, 1e-3, 0.0]], "f4")
        return [big(m * 3, n), *rows[:3], settings, *rows[3:], *[np.zeros(s, "f4") for s in ((m * 3, n), (1, n), (1, n))]]
    if name == "batch_normalization_vjp":
        settings, like = np.array([[0.9, 1e-3, 0.0]], "f4"), (m * 3, n)
        outs = [np.zeros(s, "f4") for s in ((3, n), like, (1, n), (1, n), (1, n))]
        rows = [abs(big(1, n)) + 0.1 for _ in range(3)]
        return [big(*like), big(*like), big(*like).clip(0), rows[0], settings, *rows[1:], *outs]
    if name == "mix_rows":
        return [big(13 * 7, 120), RANDOM.integers(0, 5, (1, 31)), big(31, 3), np.zeros((13 * 31, 120), "f4")]
    if name == "put_add_rows":
        return [big(20_000, 40), RANDOM.integers(-1, n + 1, (1, 20_000)), *(np.zeros((n, 40), "f4") for _ in range(3))]
    if name == "sample":
        geometry, moved = np.array([[3, 20, 17, 19, 23, 2, 1]]), big(3, 8) * 0.1 + [1, 0, 0, 0, 1, 0, 0, 0]
        return [big(3 * 20 * 17, 5), moved.astype("f4"), geometry, big(1, 1), np.zeros((3 * 19 * 23, 5), "f4")]
    if name in WINDOWED:
        return windowed_operands(name)
    if name.removesuffix("_vjp") in RECURRENT:
        return recurrent_operands(name)
    return flat_operands(DIVISIBLE[name], 50_001)


WINDOWED = ("convolve", "convolve_tn", "convolve_back", "convolve_depthwise", "convolve_depthwise_back", "max_pool", "sum_pool")


def windowed_operands(name, n=2, c=128):
    """Windows of 2 x 2 pixels, side by side, on n images of 26 x 24 pixels."""
    h, w, f = 26, 24, 131
    pixels = np.arange(n * h * w).reshape(n, h, w)
    places = (pixels[:, ::2, ::2] * c).reshape(n, -1)
    taps = (pixels[0, :2, :2] * c).reshape(-1, 1)
    x, rows = big(n * h * w, c), places.size
    each, whole = (taps + np.arange(c)).reshape(1, -1), taps.reshape(1, -1)
    y, like = np.zeros((rows, c), "f4"), np.zeros(x.shape, "f4")
    largest = [x, places, whole, y.copy()]
    call(K.max_pool, [*largest, WHOLE])
    share = big(rows, 1)
    return {
        "convolve": [
            x, places, each, big(each.size, f), big(1, f), np.full((1, 1), 0.5, "f4"), np.zeros((rows, f), "f4"),
        ],
        "convolve_tn": [x, places, each, big(rows, f), np.zeros((each.size, f), "f4")],
        "convolve_tn_groups": [x, places, each, big(rows, f), np.zeros((n, each.size * f), "f4")],
        "convolve_back": [big(rows, f), big(each.size, f), places, each, like],
        "convolve_depthwise": [x, places, whole, big(4, c), y],
        "convolve_depthwise_tn": [x, places, whole, big(rows, c), np.zeros((n, 4 * c), "f4")],
        "convolve_depthwise_back": [x, places, whole, big(4, c), np.zeros((rows, c // 2), "f4")],
        "max_pool": [x, places, whole, y],
        "max_pool_vjp": [*largest, big(rows, c), like],
        "sum_pool": [x, places, whole, share, y],
        "sum_pool_vjp": [big(rows, c), places, whole, share, like],
    }[name]


def sampled_operands(name, n=4):
    """Operands of a kernel that computes with n samples."""
    rows, c = n * 600, 8
    x, gy, y = big(rows, c), big(rows, c), big(rows, c).clip(0)
    settings, of_column = np.array([[0.9, 1e-3, 0.0]], "f4"), [abs(big(1, c)) + 0.1 for _ in range(4)]
    like, few = np.zeros((rows, c), "f4"), np.zeros((n, c), "f4")
    geometry = np.array([[20, 30, 1, 2, 23, 34, 1, 1]])
    padded = np.zeros((n * 23 * 34, c), "f4")
    largest, groups = few.copy(), np.full((1, 1), 2)
    call(K.max_middle, [x, largest])
    found = {
        "pad_images": [x, geometry, np.full((1, 1), 7, "f4"), padded],
        "crop_images": [big(*padded.shape), geometry, like],
        "put_pixels": [big(n * 10 * 15, c), np.array([[10, 15, 20, 30, 1, 0, 2, 2]]), like],
        "moments": [x, np.zeros((n, normalization.MOMENTS * c), "f4")],
        "normalize": [x, *of_column[:2], settings, *of_column[2:], like],
        "normalize_sums": [gy, x, y, settings, of_column[0], np.zeros((n, 2 * c), "f4")],
        "normalize_vjp": [gy, x, y, settings, of_column[0], big(3, c), like],
        "frozen_normalization": [x, *of_column[:3], settings, *of_column[2:], like],
        "group_normalization": [x, *of_column[:2], settings, groups, like, np.zeros((n * 2, c), "f4")],
        "group_normalization_vjp": [gy, x, of_column[0], groups, big(n * 2, c), like, few, few * 1, big(n * 2, c)],
        "sum_middle": [x, few],
        "sum_rows_in_groups": [x, few],
        "repeat_middle": [big(n, c), like],
        "max_middle": [x, few],
        "max_middle_vjp": [big(n, c), x, largest, like],
        "add_row": [x, of_column[0], like],
        "copy": [x, like],
        "add_to": [x, like],
        "fill": [np.full((1, 1), 7, "f4"), like],
        "take_rows": [big(50, c), RANDOM.integers(-1, 51, (1, rows)), np.full((1, 1), 7, "f4"), like],
        "relu": [x, like],
        "matmul": [x, big(c, 90), np.zeros((rows, 90), "f4")],
        "mix_rows": [x, RANDOM.integers(0, 27, (1, 11)), big(11, 3), np.zeros((n * 20 * 11, c), "f4")],
        "sample": [x, big(n, 8), np.array([[n, 20, 30, 10, 19, 2, 1]]), big(1, 1), np.zeros((n * 190, c), "f4")],
    }
    return found[name] if name in found else windowed_operands(name, n, 8)


RECURRENT = {"simple_rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}


def recurrent_operands(name):
    """96 samples of 3 steps and 5 units, some steps masked; every state has its operand, also where it is not used."""
    n, steps, u, k = 96, 3, 5, 5 * RECURRENT[name.removesuffix("_vjp")]
    order, mask = np.array([[steps, 1, 1, 1, 0, 1, 0, 1, 0]]), np.arange(n * steps).reshape(n, steps) % 5 > 0
    before, kept, y = big(n, steps * u), big(n, (steps + 1) * u), big(n, (steps + 2) * u)
    gates, packed, factors = big(n, steps * k), big(k // u, 4096), big(k // u * n, u)
    if name.endswith("_vjp"):
        outs = [np.zeros(s, "f4") for s in (gates.shape, gates.shape, (n, u), (n, u))]
        return [y, gates, packed, mask, order, before, kept, factors, *outs]
    return [packed, big(2, k), big(n, u), big(n, u), mask, order, factors, gates, before, kept, big(*gates.shape), y]


def parts_of(kernel, operands, count):
    axis, parts = divide(kernel, operands, 10 * count * PART)
    assert len(parts) == count and axis in (0, 1)
    return axis, parts


def call(kernel, operands):
    kernel.compile(np.dtype("float32"))(*operands)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", DIVISIBLE)
def test_the_parts_of_a_launch_are_the_whole_of_it(name, count, on):
    on(1)
    kernel, whole = DIVISIBLE[name], operands_of(name)
    divided = [o.copy() for o in whole]
    launch(kernel, *whole)
    on(count)
    for part in parts_of(kernel, divided, count)[1]:
        call(kernel, part)
    for name, a, b, out in zip(kernel.parameters, whole, divided, kernel.is_out):
        if out:
            np.testing.assert_allclose(a, b, 2e-4, 2e-4, err_msg=name)


@pytest.mark.parametrize("name", [n for n in DIVISIBLE if n != "put_add_rows"])
def test_a_part_touches_only_what_its_annotations_say(name, on):
    """What belongs to other parts is NaN, and stays so to the bit; the part comes out as it does without that."""
    on(3)
    kernel, before = DIVISIBLE[name], operands_of(name)
    after = [o.copy() for o in before]
    axis, parts = parts_of(kernel, after, 3)
    call(kernel, parts[1])
    length = dividing.length(kernel, before, axis)
    own = np.arange(length) // STEP * STEP
    first, last = ((length * k // 3 + STEP // 2) // STEP * STEP for k in (1, 2))
    others = (own < first) | (own >= last)
    spoilt = [o.copy() for o in before]
    for operand, is_own in zip(spoilt, kernel.is_own[axis]):
        if is_own:
            np.moveaxis(operand, axis, 0)[others] = np.nan
    poisoned = [o.copy() for o in spoilt]
    call(kernel, divide(kernel, spoilt, 30 * PART)[1][1])
    for name, a, b, c, out, is_own in zip(
        kernel.parameters, spoilt, poisoned, after, kernel.is_out, kernel.is_own[axis]
    ):
        assert not out or is_own, f"{name} is written by several parts"
        if out:
            a, b, c = (np.moveaxis(x, axis, 0) for x in (a, b, c))
            assert np.isnan(a[others]).all() and np.isnan(b[others]).all(), name
            np.testing.assert_array_equal(a[~others], c[~others], err_msg=name)


# Kernels that are divided by samples: all that say so; of formulas and of products one of each.
SAMPLED = [n for n, k in KERNELS.items() if any(k.is_of_samples) and not hasattr(k, "formula") and n not in DIVISIBLE]
SAMPLED += [*WINDOWED[:1], *WINDOWED[2:], "relu", "matmul", "mix_rows", "sample"]


@pytest.mark.parametrize("name", SAMPLED)
def test_blocks_of_samples_are_the_whole_and_touch_nothing_else(name):
    """To the bit, in any order; and what belongs to other blocks may be NaN."""
    kernel, before = KERNELS[name], sampled_operands(name)
    whole, divided, alone = ([o.copy() for o in before] for _ in range(3))
    launch(kernel, *whole)
    parts = divide_by_samples(kernel, divided, 4, 4).parts
    for part in reversed(parts):
        call(kernel, part)
    for name, a, b in zip(kernel.parameters, whole, divided, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
    for operand, is_own in zip(alone, kernel.is_of_samples, strict=True):
        if is_own and operand.dtype.kind == "f":
            operand[len(operand) // 2 :] = np.nan
    call(kernel, divide_by_samples(kernel, alone, 4, 2).parts[0])
    for name, a, b, is_out in zip(kernel.parameters, whole, alone, kernel.is_out, strict=True):
        if is_out:
            np.testing.assert_array_equal(a[: len(a) // 2], b[: len(a) // 2], err_msg=name)


def test_what_is_small_or_narrow_is_not_divided(on):
    on(4)
    a, b, y = big(64, 64), big(64, 64), big(64, 64)
    assert divide(K.matmul, (a, b, y), K.matmul.cost(a, b, y))[0] is None
    a, b, y = big(8, 9000), big(9000, 10), big(8, 10)
    axis, parts = divide(K.matmul, (a, b, y), K.matmul.cost(a, b, y))
    assert axis is None and len(parts) == 1
    a, b, y = big(128, 9000), big(9000, 10), big(128, 10)
    axis, parts = divide(K.matmul, (a, b, y), K.matmul.cost(a, b, y))
    assert axis == 0 and [p[-1][0, :2].tolist() for p in parts] == [[0, 32], [32, 64], [64, 96], [96, 128]]
    a, b, y = big(128, 900), big(900, 70), big(128, 70)
    axis, parts = divide(K.matmul, (a, b, y), K.matmul.cost(a, b, y))
    assert axis == 0, "four lanes of rows rather than two of columns"


@kernel(cost=lambda x, y: 100 * x.size)
def doubled(x: "rows columns", y: "rows columns out"):
    """y = 2 x"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + x[i, j]


@pytest.mark.parametrize("shape", [(1, 9001), (9001, 3)])
def test_a_kernel_of_ones_own_is_divided(shape, on):
    on(3)
    x, y, z = big(*shape), np.zeros(shape, "f4"), np.zeros(shape, "f4")
    launch(doubled, x, y)
    program = Program(lambda: launch(doubled, x, z))
    program.replay()
    assert len(program.plan.lanes) == 3 and (y == 2 * x).all() and (z == y).all()


def test_columns_of_several_rows_are_no_stretch(on):
    on(3)
    x = big(97, 150)
    with pytest.raises(ValueError, match=r"rows \(1, n\) only"):
        divide(doubled, (x, x.copy()), 9 * PART)


# ------------------------------------------------------------------------------------------- the same bits


def training(rate=0.0, dtype="float32", optimizer="adam"):
    """A model whose products, normalizations and updates are divided, and data."""
    minigrad.utils.set_random_seed(3)
    x, y = np.random.default_rng(0).standard_normal((256, 150)).astype(dtype), np.arange(256) % 10
    model = minigrad.Sequential([
        Dense(320, input_shape=(150,), dtype=dtype), BatchNormalization(dtype=dtype), Activation("relu", dtype=dtype),
        Dropout(rate, dtype=dtype), Dense(320, dtype=dtype), BatchNormalization(dtype=dtype),
        Activation("tanh", dtype=dtype), Dense(10, activation="softmax", dtype=dtype),
    ])  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, x, y


def fitted(model, x, y, **options):
    """What training, predicting and evaluating give: history, weights, outputs, metrics."""
    history = model.fit(x, y, batch_size=128, epochs=3, verbose=0, **options).history
    return history, model.get_weights(), model.predict(x, batch_size=128, verbose=0), model.evaluate(x, y, verbose=0)


def assert_same(one, other):
    assert one[0] == other[0] and one[3] == other[3]
    for a, b in zip([*one[1], one[2]], [*other[1], other[2]], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_lanes_one_thread_and_eager_agree_to_the_bit(count, dtype, on, monkeypatch):
    on(count)
    model, x, y = training(dtype=dtype)
    shared = fitted(model, x, y)
    assert len(model.train_program.plan.lanes) == count and np.all(model.train_program.plan.counters[1:, 0] > 0)
    eager, x, y = training(dtype=dtype)
    eager.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    assert_same(shared, fitted(eager, x, y))
    monkeypatch.setattr(lanes.Pace, "plan", lambda self, steps: [(steps, False)])
    alone = training(dtype=dtype)
    assert_same(shared, fitted(*alone))
    assert not alone[0].train_program.plan.counters.any()


def pictures(rows=96):
    """A convolutional network, large enough for blocks of samples, and data."""
    minigrad.utils.set_random_seed(3)
    layers, random = minigrad.layers, np.random.default_rng(0)
    image = minigrad.Input((18, 18, 2))
    h = Activation("relu")(BatchNormalization()(layers.Conv2D(16, 3, padding="same")(image)))
    h = layers.Add()([h, layers.Conv2D(16, 3, padding="same", activation="relu")(h)])
    h = layers.AveragePooling2D(3, 2)(layers.SeparableConv2D(12, 3)(layers.MaxPooling2D(2, padding="same")(h)))
    h = layers.GlobalAveragePooling2D()(Dropout(0.2)(h))
    model = minigrad.Model(image, Dense(10, activation="softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, random.standard_normal((rows, 18, 18, 2)).astype("f4"), np.arange(rows) % 10


@pytest.mark.parametrize("count", [2, 3])
def test_blocks_of_samples_in_lanes_one_thread_and_eager_agree_to_the_bit(count, on, monkeypatch):
    def trained(*changes, **options):
        model, x, y = pictures()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
        for size in (64, 24):  # two and three blocks: also what is left over at the end of an epoch
            model.fit(x, y, batch_size=size, epochs=2, verbose=0)
        return model, [*model.get_weights(), model.predict(x, verbose=0)]

    on(count)
    model, shared = trained()
    plan = model.train_program.plan
    assert max(map(len, plan.rows_of)) >= 2 and len(plan.lanes) == count and plan.counters[1:, 0].all()
    _, eager = trained(run_eagerly=True)
    on(1)
    _, alone = trained()
    for a, b, c in zip(shared, eager, alone, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_a_run_of_launches_is_computed_block_by_block(on):
    """The blocks of a convolution follow each other only where something needs all of them."""
    on(1)
    x, w, first, second = np.ones((64 * 36, 8), "f4"), np.ones((8, 8), "f4"), *np.zeros((2, 64 * 36, 8), "f4")
    places, shifts, total = np.arange(64 * 36).reshape(64, 36) * 8, np.arange(8).reshape(1, 8), np.zeros((1, 8), "f4")
    bias, floor = np.zeros((1, 8), "f4"), np.zeros((1, 1), "f4")

    def step():
        launch(K.convolve, x, places, shifts, w, bias, floor, first)
        launch(K.relu, first, second)
        launch(K.sum_rows, second, total)

    plan = Program(step).plan
    assert plan.walk.tolist() == [0, 2, 1, 3, 4]


def test_an_input_that_is_divided_into_blocks_may_be_exchanged(on):
    on(1)
    x, padded = big(64 * 36, 8), np.zeros((64 * 64, 8), "f4")
    geometry, border = np.array([[6, 6, 1, 1, 8, 8, 1, 1]]), np.zeros((1, 1), "f4")
    places, shifts, y = np.arange(64 * 64).reshape(64, 64) * 8, np.arange(8).reshape(1, 8), np.zeros((64 * 64, 8), "f4")
    w, bias, floor = np.eye(8, dtype="f4"), np.zeros((1, 8), "f4"), np.full((1, 1), -np.inf, "f4")

    def step():
        launch(K.pad_images, x, geometry, border, padded)
        launch(K.convolve, padded, places, shifts, w, bias, floor, y)

    program = Program(step, {"x": x})
    assert len(program.plan.rows_of[0]) > 1
    program.replay()
    other = big(*x.shape)
    program.bind(x=other)
    program.replay()
    np.testing.assert_array_equal(y.reshape(64, 8, 8, 8)[:, 1:-1, 1:-1].reshape(x.shape), other)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "nadam", "rmsprop", "lion", "ftrl"])
def test_every_optimizer_in_lanes(optimizer, on, monkeypatch):
    on(2)
    shared = fitted(*training(rate=0.3, optimizer=optimizer))
    monkeypatch.setattr(lanes.Pace, "plan", lambda self, steps: [(steps, False)])
    assert_same(shared, fitted(*training(rate=0.3, optimizer=optimizer)))


def test_clipping_and_averages_between_the_gradients_and_the_step(on, monkeypatch):
    make = lambda: minigrad.optimizers.Adam(global_clipnorm=0.01, use_ema=True, ema_overwrite_frequency=3)
    on(2)
    shared = fitted(*training(optimizer=make()))
    monkeypatch.setattr(lanes.Pace, "plan", lambda self, steps: [(steps, False)])
    assert_same(shared, fitted(*training(optimizer=make())))


def test_several_trainings_at_once(on, in_threads):
    """Only one replay at a time gets the other threads; which one, no result shows."""
    on(2)
    expected = fitted(*training(), shuffle=False)
    models = [training() for _ in range(3)]
    for result in in_threads(lambda i: fitted(*models[i], shuffle=False), 3):
        assert_same(expected, result)


@pytest.mark.skipif(not vectors.HAS_TILES, reason="these products are OpenBLAS's, whose last bit depends on its threads")
@pytest.mark.parametrize("layers, shape", [
    (lambda: [L.Dense(512), L.BatchNormalization(), L.ReLU(), L.Dropout(0.2), L.Dense(300, "tanh")], (300,)),
    (lambda: [L.Conv2D(32, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(), L.GlobalAveragePooling2D()], (16, 16, 3)),
    (lambda: [L.LSTM(64, return_sequences=True), L.LayerNormalization(), L.GRU(48)], (20, 9)),
    (lambda: [L.LSTM(64, return_sequences=True, dropout=0.1, recurrent_dropout=0.2), L.GRU(48, reset_after=False)], (20, 9)),
], ids=["dense", "images", "series", "gates alone"])  # fmt: skip
def test_no_bit_depends_on_the_number_of_threads(layers, shape, on):
    x = RANDOM.standard_normal((256, *shape)).astype("float32")

    def weights(count):
        on(count)
        minigrad.utils.set_random_seed(1)
        model = minigrad.Sequential([*layers(), L.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x, x.reshape(256, -1)[:, :1], epochs=2, batch_size=64, verbose=0)
        return model.get_weights()

    alone = weights(1)
    for count in (2, 3):
        for a, b in zip(alone, weights(count), strict=True):
            np.testing.assert_array_equal(a, b)


# -------------------------------------------------------------------------------------------------- walks


def walks(step):
    """For each lane the names of what it launches, "|" where it waits."""
    program = Program(step)
    names = [kernel.name if kernel is not lanes.meet else "|" for kernel, *_ in program.plan.rows]
    return [[names[row] for row in walk] for walk in program.plan.lanes]


def test_lanes_wait_only_where_they_must(on):
    on(2)
    m, n = 256, 320
    x, w, y, z, v, u = (big(*s) for s in ((m, n), (n, n), (m, n), (m, n), (n, n), (m, n)))
    row = lambda: np.ones((1, n), "f4")
    settings, mean, inverse = np.array([[0.9, 1e-3, 0.0]], "f4"), row(), row()
    normalize = (row(), row(), row(), settings, row(), row(), z, mean, inverse)

    def step():
        launch(K.matmul, x, w, y)
        launch(K.batch_normalization, y, *normalize)  # the same columns: no need to wait
        launch(K.matmul, z, v, u)  # all columns of z

    one = ["matmul", "batch_normalization", "|", "matmul", "|"]
    assert walks(step) == [one, one]

    def small_between():
        launch(K.matmul, x, w, y)
        launch(K.negative, row(), row())  # has nothing to do with it
        launch(K.relu, y.reshape(1, -1), z.reshape(1, -1))  # reads all of y, on the first lane
        launch(K.matmul, x, v, y)  # overwrites what was read

    first, second = walks(small_between)
    assert first == ["matmul", "negative", "|", "relu", "|", "matmul", "|"]
    assert second == ["matmul", "|", "|", "matmul", "|"]

    def whole_launches():
        launch(K.matmul, x, w, y)
        launch(K.negative, z, u)
        launch(K.relu, w, v)  # needs nothing that another launch wrote: the other lane has written less
        launch(K.sigmoid, v, v)  # follows in that lane
        launch(K.tanh, u[:128], z[:128])
        launch(K.softplus, u[128:], v[:128])  # needs numbers of both lanes

    first, second = walks(whole_launches)
    assert first == ["matmul", "negative", "tanh", "|", "softplus", "|"]
    assert second == ["matmul", "relu", "sigmoid", "|", "|"]


def test_a_listing_says_what_is_divided(on):
    on(3)
    x, w, y = big(256, 320), big(320, 320), big(256, 320)

    def step():
        launch(K.matmul, x, w, y)
        launch(K.increment, np.full((1, 1), 1), np.zeros((1, 1), np.int64))

    first, second = str(Program(step)).splitlines()[1:]
    assert first.endswith("-> t3 256x320  in 3 parts") and second.endswith("1x1")


def test_a_flag_is_waited_for(on):
    on(2)
    x, w, y = big(256, 320), big(320, 320), big(256, 320)
    flag, count, of = np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64), np.full((1, 1), 2)

    def step():
        launch(K.is_multiple, count, of, flag)
        with minigrad.program.when(flag):
            launch(K.matmul, x, w, y)
        launch(K.increment, np.full((1, 1), 1), count)

    assert walks(step) == [["is_multiple", "|", "matmul", "increment", "|"], ["|", "matmul", "|"]]
    program = Program(step)
    program.replay(1)
    assert not flag and count == 1
    y[:] = 0
    program.replay(1)
    np.testing.assert_allclose(y, x @ w, 1e-3, 1e-3)
    y[:] = 0
    program.replay(1)
    assert not y.any()


def test_parts_of_one_buffer_are_told_apart(on):
    """Gradients are parts of the row that the optimizer divides in another way."""
    on(2)
    g, w = minigrad.program.aligned((1, 2 * 320 * 320), "f4"), big(1, 2 * 320 * 320)
    first, second = g[0, : 320 * 320].reshape(320, 320), g[0, 320 * 320 :].reshape(320, 320)
    x, y = big(256, 320), big(256, 320)
    settings, absent = np.zeros((2, 2), "f4"), np.empty((1, 0), "f4")

    def step():
        launch(K.matmul_tn, x, y, first)
        launch(K.matmul_tn, y, x, second)
        launch(K.sgd, g, np.full((1, 1), 0.1, "f4"), settings, absent, w)

    one = ["matmul_tn", "matmul_tn", "|", "sgd", "|"]
    assert walks(step) == [one, one]


def test_what_is_bound_anew_is_divided_anew(on):
    on(2)
    g, w = big(1, 320 * 320), np.zeros((1, 320 * 320), "f4")
    settings, absent, rate = np.zeros((2, 2), "f4"), np.empty((1, 0), "f4"), np.ones((1, 1), "f4")
    program = Program(lambda: launch(K.sgd, g, rate, settings, absent, w), inputs={"g": g})
    other = big(1, 320 * 320)
    program.replay(1)
    program.bind(g=other)
    program.replay(2)
    np.testing.assert_allclose(w, -g - 2 * other, 1e-5, 1e-5)
    assert len(program.profile(3)) == 1


# -------------------------------------------------------------------------------------------- what can fail


@kernel
def refuse(flag: "int64", y: "out"):
    """Raises if flag is not zero."""
    if flag[0, 0] != 0:
        raise ValueError("refused")
    y[0, 0] = flag[0, 0]


def test_an_error_in_one_lane_ends_all(on):
    on(3)
    x, w, y, v = big(256, 320), big(320, 320), big(256, 320), big(320, 320)
    flag, out = np.ones((1, 1), np.int64), np.zeros((1, 1), "f4")

    def step():
        launch(K.matmul, x, w, y)
        launch(refuse, flag, out)
        launch(K.matmul, y, v, x)

    program = Program(step)
    for _ in range(3):
        with pytest.raises(ValueError, match="refused"):
            program.replay(50)
    flag[:] = 0
    x[:], before = 1, set(threading.enumerate())
    program.replay(1)
    np.testing.assert_allclose(x, np.ones((256, 320), "f4") @ w @ v, 2e-2, 2e-2)
    assert set(threading.enumerate()) <= before, "another crew was needed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_walks_in_lanes_of_its_own(on):
    on(2)
    model, x, y = training()
    expected = fitted(model, x, y)
    model, x, y = training()
    model.fit(x[:128], y[:128], batch_size=128, verbose=0)  # the crew is there before the fork
    lanes.crew.cache_clear()  # as after a fork: the fixture's crew does not know of it
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            again, x, y = training()
            assert_same(expected, fitted(again, x, y))
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_without_threads_one_does_it_all(on, monkeypatch):
    on(2)
    expected = fitted(*training())
    monkeypatch.setattr(lanes, "crew", lambda: None)
    assert_same(expected, fitted(*training()))


def test_the_crew_is_none_where_no_thread_starts(monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    monkeypatch.setattr(lanes, "threads", lambda: 2)
    lanes.crew.cache_clear()
    assert lanes.crew() is None
    lanes.crew.cache_clear()


# ------------------------------------------------------------------------------------------------ the pace


def test_lanes_are_taken_where_they_are_faster(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lanes.time, "perf_counter", lambda: now[0])
    pace, seconds, taken = lanes.Pace(), [1e-3, 0.5e-3], []

    def replay(steps):
        plan = pace.plan(steps)
        assert sum(part for part, _ in plan) == steps
        for part, in_lanes in plan:
            with pace.timed(part, in_lanes):
                now[0] += part * seconds[in_lanes]
            taken.append((part, in_lanes))

    replay(1)
    assert taken == [(1, False)], "first alone, to know how long a step takes"
    for _ in range(40):
        replay(64)
    in_lanes = sum(part for part, is_lanes in taken if is_lanes)
    assert in_lanes / (40 * 64) > 0.97
    seconds[:], taken[:] = [1e-3, 4e-3], []  # the other core has got something else to do
    for _ in range(40):
        replay(64)
    assert sum(part for part, is_lanes in taken if not is_lanes) / (40 * 64) > 0.93
    seconds[:], taken[:] = [1e-3, 0.5e-3], []  # and is free again
    for _ in range(40):
        replay(64)
    assert sum(part for part, is_lanes in taken if is_lanes) / (40 * 64) > 0.75
    quick, taken[:] = lanes.Pace(), []
    with quick.timed(1, False):
        now[0] += 1e-5
    assert quick.plan(20) == [(20, False)], "too short to wake anybody"


def test_a_kernel_that_takes_a_part_must_tell_its_cost():
    def f(x, y: "out", part: "int64"):
        """y = x"""

    with pytest.raises(ValueError, match="'f' takes a part, so it needs a cost"):
        kernel(f)
