"""What a Program promises: what it passes, keeps, lists, times and lets go."""

import re
import textwrap
import threading
import time

import numpy as np
import pytest
from test_program import Training, buffer

import minigrad
from minigrad import Program, Tensor, Variable, launch, program
from minigrad import kernels as K
from minigrad.program import when
from minigrad.tensor import constant


def test_every_number_of_operands_is_passed():
    """One kernel for each number, which adds up its operands: each of them must arrive, in its own shape."""
    for n in range(1, program.MAX_OPERANDS):
        names = [f"x{i}" for i in range(n)]
        total = " + ".join(f"{i + 1} * {name}[0, 0] * {name}.shape[1]" for i, name in enumerate(names))
        space = {}
        exec(f"def f({', '.join(names)}, y):\n    y[0, 0] = {total}", space)
        f = space["f"]
        f.__annotations__["y"] = "out"
        operands = [np.full((1, i + 2), 0.5) for i in range(n)]
        y = np.zeros((1, 1))
        kernel = program.Kernel(f)
        kernel.entry[y.dtype], kernel.address[y.dtype] = compiled_without_cache(f, n + 1)
        Program(lambda k=kernel, o=operands, y=y: launch(k, *o, y)).replay()
        assert y == sum((i + 1) * 0.5 * (i + 2) for i in range(n))


def compiled_without_cache(function, operands):
    """`exec` leaves no source file, so there is nothing to stamp a cache with: `compiled` must cope."""
    import numba

    array = numba.types.Array(numba.float64, 2, "C")
    result = program.compiling.compiled(function, numba.types.void(*[array] * operands))
    return result.entry_point, result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


def test_operands_begin_where_a_line_of_the_cache_does():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((99, 7), dtype="float32"), rng.integers(2, size=(99, 1)).astype("float32")
    model = minigrad.Sequential([
        minigrad.layers.Dense(34), minigrad.layers.BatchNormalization(), minigrad.layers.Dropout(0.5),
        minigrad.layers.Dense(5, activation="tanh"), minigrad.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, batch_size=33, verbose=0)
    model.predict(x, batch_size=33, verbose=0)
    for recorded in (model.train_program, model.predict_program):
        inputs = [a.ctypes.data for a in recorded.inputs.values()]
        inputs += [v._data.ctypes.data for v in model.non_trainable_variables]
        outs = [o for kernel, operands, _ in recorded.instructions for o, out in zip(operands, kernel.is_out) if out]
        big = [o for o in outs if o.size > 33 and o.ctypes.data not in inputs]
        assert len(big) > 2 and all(o.ctypes.data % 64 == 0 for o in big)


def test_an_empty_program_and_no_steps():
    p = Program(lambda: None)
    p.replay(5)
    assert len(p) == 0 and str(p) == "program: 0 instructions"
    y = buffer(0)
    p = Program(lambda: launch(K.fill, constant("float32", 1.0), y))
    p.replay(0)
    assert y == 0


def test_another_batch_is_another_program():
    """A Program is of one shape: the short last batch has one of its own, on the same weights."""
    w = Variable([[1.0], [2.0]])
    outputs = {}

    def predict(rows):
        x = np.arange(rows * 2, dtype="f4").reshape(rows, 2)
        outputs[rows] = (x, np.empty((rows, 1), "f4"))
        return Program(lambda: launch(K.copy, (Tensor(x) @ w)._data, outputs[rows][1]), inputs={"x": x})

    programs = {rows: predict(rows) for rows in (4, 3)}
    w.assign([[10.0], [0.5]])
    for rows, p in programs.items():
        p.replay()
        x, y = outputs[rows]
        np.testing.assert_array_equal(y, x @ w.numpy())


def test_a_replay_releases_the_gil():
    """A Python thread counts while a long replay runs; with the GIL held it could not count at all."""
    x, y = np.ones((256, 256), "f4"), np.empty((256, 256), "f4")
    p = Program(lambda: launch(K.tanh, x, y))
    count, stop = [0], threading.Event()

    def counter():
        while not stop.is_set():
            count[0] += 1

    def during(f, *arguments):
        before, began = count[0], time.perf_counter()
        f(*arguments)
        return count[0] - before, time.perf_counter() - began

    thread = threading.Thread(target=counter)
    thread.start()
    try:
        asleep, seconds = during(time.sleep, 0.05)
        _, one = during(p.replay, 20)
        replaying, length = during(p.replay, max(1, int(20 * 0.3 / one)))
    finally:
        stop.set()
        thread.join()
    # With the GIL held, it could count only around the call, for a slice of the interpreter's: 5 ms.
    assert replaying / length > asleep / seconds / 10


def test_profile_times_every_instruction_and_restores_counters():
    training = Training("float32")
    p = Program(training.step)
    count, cursor = training.count.copy(), training.cursor.copy()
    profile = p.profile(repeats=3)
    assert [name for name, _ in profile] == [kernel.name for kernel, _, _ in p.instructions]
    assert all(seconds > 0 for _, seconds in profile)
    assert training.count == count and training.cursor == cursor


def test_listing():
    rows, flag = np.arange(8, dtype="f4").reshape(4, 2), np.ones((1, 1), np.int64)
    weight, loss = np.ones((2, 3), "f4"), buffer(0)

    def step():
        h, y, s = np.empty((4, 3), "f4"), np.empty((4, 3), "f4"), np.empty((1, 3), "f4")
        launch(K.matmul, rows, weight, h)
        launch(K.clip, h, buffer(-1.5), buffer(6), y)
        launch(K.sum_rows, y, s)
        with when(flag):
            launch(K.sum_columns, s, loss)
        launch(K.scale, loss, buffer(0.25), loss)

    p = Program(
        step, inputs={"x": rows}, names={"dense/kernel": weight, "loss": loss, "due": flag}, title="a step"
    )
    assert str(p) == textwrap.dedent("""\
        a step: 5 instructions
           1  matmul                   x nx2, dense/kernel 2x3 -> t1 4x3
           2  clip                     t1 4x3, [-1.5], [6] -> t2 4x3
           3  sum_rows                 t2 4x3 -> t3 1x3
           4  sum_columns              t3 1x3 -> loss 1x1  if due 1x1
           5  scale                    loss 1x1, [0.25] -> loss 1x1""")
    assert len(p) == 5


def test_a_listing_tells_parts_of_a_flat_buffer_apart():
    flat = np.zeros((1, 6), "f4")
    first, second = flat[:, :2], flat[:, 2:]
    p = Program(
        lambda: (
            launch(K.fill, buffer(1), first),
            launch(K.fill, buffer(2), second),
            launch(K.negative, flat, flat),
        ),
        names={"all": flat, "kernel": first, "bias": second},
    )
    lines = [line.split("  ")[-1].strip() for line in str(p).splitlines()[1:]]
    assert [re.sub(" +", " ", line) for line in lines] == [
        "[1] -> kernel 1x2",
        "[2] -> bias 1x4",
        "all 1x6 -> all 1x6",
    ]


def test_bind_refuses_fewer_rows_than_the_step_reads():
    x, y = np.ones((4, 3), "f4"), np.zeros((4, 3), "f4")
    p = Program(lambda: launch(K.copy, x, y), inputs={"x": x})
    with pytest.raises(ValueError, match="reads 4 rows of input 'x', got 1"):
        p.bind(x=np.ones((1, 3), "f4"))
    p.release()
    p.bind(x=np.full((4, 3), 2.0, "f4"))
    p.replay()
    assert (y == 2).all()


def test_what_was_let_go_must_all_be_bound_again():
    x, z, y = np.ones((2, 3), "f4"), np.ones((2, 3), "f4"), np.zeros((2, 3), "f4")
    p = Program(lambda: launch(K.add, x, z, y), inputs={"x": x, "z": z})
    p.release()
    p.bind(x=x)
    with pytest.raises(RuntimeError, match="bind arrays for z before"):
        p.replay()
    p.bind(z=z)
    p.replay()
    assert (y == 2).all()
