"""The one door and what is recorded at it: each rule of a Program as a test named after what it prevents.

First the silent mistakes, which would train something else without a word; then those that raise.
What a replay promises is in test_program_promises.py.
"""

import random
import re
import threading
import time
import weakref

import numpy as np
import pytest

from minigrad import (
    Program,
    RecordingError,
    Tensor,
    Variable,
    config,
    kernel,
    launch,
    no_grad,
    op,
    ops,
    program,
)
from minigrad import kernels as K
from minigrad.program import when
from minigrad.tensor import constant

# ------------------------------------------------------------------------- a training step made by hand


@kernel
def cubed(x, y: "out"):
    """y = x^3"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * x[i, j] * x[i, j]


@kernel
def cubed_vjp(gy, x, gx: "out"):
    """gx = 3 x^2 gy"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            gx[i, j] = x.dtype.type(3) * x[i, j] * x[i, j] * gy[i, j]


@kernel
def fading_step(g, rate, step: "int64", w: "out"):
    """w -= rate / (1 + step) g"""
    r = rate[0, 0] / w.dtype.type(1 + step[0, 0])
    for j in range(w.shape[1]):
        w[0, j] -= r * g[0, j]


@op("(...) -> (...)")
def cube(y, x):
    """y = x^3;   dx = 3 x^2 dy."""
    launch(cubed, x, y)

    def vjp(gy, gx):
        launch(cubed_vjp, gy, x, gx)

    return vjp


class Training:
    """Gathered batches, an op of one's own, batch normalization, dropout, a counter, a flag, a loss sum."""

    def __init__(self, dtype, rows=24, batch=5, width=7):
        r = np.random.default_rng(3)
        self.batch = batch
        self.x = r.standard_normal((rows, width)).astype(dtype)
        self.y = np.sin(self.x.sum(1, keepdims=True)).astype(dtype)
        self.order = r.permutation(rows).reshape(-1, 1)
        self.flat, self.gradient = (
            np.zeros((1, width * 3 + 3 + 3 + 3), dtype),
            np.zeros((1, width * 3 + 9), dtype),
        )
        self.variables, start = [], 0
        for name, value in {
            "kernel": r.standard_normal((width, 3)),
            "gamma": np.ones(3),
            "beta": np.zeros(3),
            "head": r.standard_normal((3, 1)),
        }.items():
            v = Variable(value, dtype=dtype, name=name)
            part = slice(start, start + v.size)
            v.move_to(self.flat[0, part].reshape(v.shape), self.gradient[0, part].reshape(v.shape))
            self.variables.append(v)
            start += v.size
        self.zero_bias = Tensor(np.zeros(3, dtype))
        self.moving = [np.zeros((1, 3), dtype), np.ones((1, 3), dtype)]
        self.dropout = np.array([[7, 0]], np.uint64)
        self.cursor, self.count, self.flag = (np.zeros((1, 1), np.int64) for _ in range(3))
        self.rate, self.loss, self.seen = (
            np.full((1, 1), 0.05, dtype),
            np.zeros((1, 1), dtype),
            np.zeros((1, 1), dtype),
        )

    def step(self):
        kernel, gamma, beta, head = self.variables
        x, y = (np.empty((self.batch, a.shape[1]), a.dtype) for a in (self.x, self.y))
        for source, target in ((self.x, x), (self.y, y)):
            launch(K.gather_rows, source, self.order, self.cursor, target)
        h = Tensor(x) @ kernel
        h = ops.batch_normalization(
            h,
            self.zero_bias,
            gamma,
            beta,
            moving_mean=self.moving[0],
            epsilon=0.001,
            moving_variance=self.moving[1],
            momentum=0.9,
            floor=0.0,
        )
        h = ops.dropout(cube(ops.tanh(h)), rate=0.3, state=self.dropout)
        loss = ops.squared_error(Tensor(y), h @ head)
        for v in self.variables:
            v.grad = None
        ops.mean_all(loss).backward()
        launch(K.is_multiple, self.count, constant(np.int64, 3), self.flag)
        with when(self.flag):
            launch(K.scale, self.gradient, constant(self.x.dtype, 2.0), self.gradient)
        launch(fading_step, self.gradient, self.rate, self.count, self.flat)
        total = np.empty((1, 1), loss.dtype)
        launch(K.sum_columns, loss._data.reshape(1, -1), total)
        launch(K.add, self.loss, total, self.loss)
        launch(K.increment, constant(np.int64, 1), self.count)
        launch(K.increment, constant(np.int64, self.batch), self.cursor)

    def state(self):
        arrays = [
            self.flat,
            self.gradient,
            *self.moving,
            self.dropout,
            self.cursor,
            self.count,
            self.flag,
            self.loss,
        ]
        return [a.copy() for a in arrays]


def same_bits(a, b):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def buffer(*values, dtype="float32"):
    return np.array([values], dtype)


# --------------------------------------------------------------------------------------- silent mistakes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_silent_replay_equals_eager_bit_for_bit(dtype):
    eager, replayed = Training(dtype), Training(dtype)
    program = Program(replayed.step)
    assert same_bits(eager.state(), replayed.state()), "recording changes nothing"
    for steps in (1, 1, 7, 50):
        for _ in range(steps):
            eager.step()
        program.replay(steps)
        assert same_bits(eager.state(), replayed.state())
    assert np.isfinite(eager.flat).all() and not np.allclose(eager.flat, Training(dtype).flat)
    mixed = Training(dtype)
    program = Program(mixed.step)
    for _ in range(10):  # eager steps, then replayed ones, then eager ones ... on the same memory
        program.replay(2)
        for _ in range(3):
            mixed.step()
    program.replay(9)
    assert same_bits(eager.state(), mixed.state())


READERS = {
    "float": float,
    "int": int,
    "bool": bool,
    "if": lambda t: 1 if t else 0,
    "comparison in a condition": lambda t: 1 if t > 0 else 0,
    "numpy": lambda t: t.numpy(),
    "item": lambda t: t.item(),
    "asarray": np.asarray,
    "array": np.array,
    "a function of NumPy": np.mean,
    "formatting": lambda t: f"{float(t):.3f}",
    "a boolean mask": lambda t: ops.reshape(t, (1,))[ops.reshape(t, (1,)) > 0],
    "in": lambda t: 3.0 in [t],
    "range": lambda t: range(int(t)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_silent_a_value_that_is_read_would_be_frozen(read):
    t, v = Tensor(2.0), Variable(2.0)
    for value in (t, v, t + 1.0):
        with pytest.raises(RecordingError, match="can't be read while"):
            Program(lambda value=value: read(value))
        read(value)  # outside of a recording it may be read


def test_silent_what_does_not_read_is_allowed():
    t, texts = Tensor([[1.0, 2.0], [3.0, 4.0]]), []
    Program(lambda: (texts.append(repr(t)), len(t), t.shape, t.dtype, [row * 2.0 for row in t], t[0, ::-1]))
    assert set(texts) == {"Tensor(shape=(2, 2), dtype=float32)"}


def steps_that_differ():
    state = {"count": 0, "array": np.zeros((1, 1), "f4"), "counter": np.zeros((1, 1), "i8")}
    x, y, v = buffer(1, 2, 3), buffer(0, 0, 0), Variable([1.0])

    def count():
        state["count"] += 1
        return state["count"]

    def temporaries(choose):
        # They hold equal values, since nothing is carried out: it takes more than values to tell them apart.
        one, two, chosen = choose(np.zeros((1, 3), "f4"), np.zeros((1, 3), "f4"))
        launch(K.fill, buffer(1), one)
        launch(K.fill, buffer(2), two)
        launch(K.copy, chosen, y)

    def in_place(array):
        array += 1
        return array

    return {
        "a Python counter": lambda: launch(K.scale, x, buffer(count()), y),
        "a learning rate that Python computes": lambda: launch(K.scale, x, buffer(0.1 / count()), y),
        "a random number of random": lambda: launch(K.scale, x, buffer(random.random()), y),
        "a random number of NumPy": lambda: launch(K.scale, x, buffer(np.random.random()), y),
        "a random number of minigrad": lambda: launch(K.scale, x, buffer(config.generator().random()), y),
        "a random array": lambda: launch(K.copy, np.random.standard_normal((1, 3)).astype("f4"), y),
        "the time": lambda: launch(K.scale, x, buffer(time.perf_counter() % 1), y),
        "a branch to another kernel": lambda: launch([K.copy, K.negative][count() % 2], x, y),
        "a branch to one launch more": lambda: [launch(K.copy, x, y) for _ in range(count())],
        "a branch to another shape": lambda: launch(K.copy, *(np.empty((1, count()), "f4"),) * 2),
        "a branch to another dtype": lambda: launch(
            K.copy, *(np.zeros((1, 1), "f4" if count() % 2 else "f8"),) * 2
        ),
        "a branch to another input": lambda: launch(K.copy, [x, buffer(9, 9, 9)][count() % 2], y),
        "a counter in a NumPy array": lambda: launch(K.scale, x, in_place(state["array"]), y),
        "a counter beside the launches": lambda: (
            in_place(state["counter"]),
            launch(K.increment, state["counter"], state["counter"]),
        ),
        "a branch to another temporary": lambda: temporaries(lambda a, b: (a, b, [a, b][count() % 2])),
        "one temporary instead of two": lambda: temporaries(lambda a, b: (a, [a, b][count() % 2], a)),
        "two temporaries instead of one": lambda: temporaries(lambda a, b: (a, [b, a][count() % 2], a)),
        "an op with a number that moves": lambda: ops.clip(Tensor(x), -count(), 1.0),
        "a variable assigned from Python": lambda: v.assign([count()]),
        "a branch of the tape": lambda: ops.exp(v * 2.0).backward() if count() % 2 else ops.exp(v),
    }


@pytest.mark.parametrize("name", steps_that_differ())
def test_silent_what_python_computes_would_be_frozen(name):
    with pytest.raises(RecordingError):
        Program(steps_that_differ()[name])


def test_silent_a_flag_that_python_chooses_would_be_frozen():
    flags, calls = [np.zeros((1, 1), np.int64), np.ones((1, 1), np.int64)], []
    y = buffer(0)

    def step(chosen):
        calls.append(1)
        with when(flags[len(calls) % 2]) if chosen else no_grad():
            launch(K.fill, constant("float32", 1.0), y)

    with pytest.raises(RecordingError, match="differ at launch 1"):
        Program(lambda: step(True))
    calls.clear()
    with pytest.raises(RecordingError, match="differ at launch 1"):
        Program(lambda: step(len(calls) == 0))


def test_silent_a_constant_is_kept_and_what_moves_lives_in_a_buffer():
    x, y, rate, count = buffer(1, 2), buffer(0, 0), buffer(0.5), np.zeros((1, 1), np.int64)

    def step():
        launch(K.scale, x, rate, y)
        launch(K.scale, y, buffer(10), y)  # a fresh array of the same value each time: a constant
        launch(K.increment, constant(np.int64, 1), count)

    p = Program(step)
    p.replay()
    assert y.tolist() == [[5, 10]]
    rate[:] = 2
    x[0, 0] = 7
    p.replay(4)
    assert y.tolist() == [[140, 40]] and count == 5


def test_silent_operands_are_kept_alive_and_never_move():
    """Temporaries and buffers that only the step knew must outlive it, or a replay writes over others."""
    y = buffer(*[0] * 64)

    def step():
        x = np.full((1, 64), 2.0, "f4")
        a, b = np.empty((1, 64), "f4"), np.empty((1, 64), "f4")
        launch(K.add, x, x, a)
        launch(K.multiply, a, a, b)
        launch(K.add, b, y, y)

    p = Program(step)
    operands = [weakref.ref(o) for _, operands, _ in p.instructions for o in operands]
    others = [np.full((1, 64), -1.0, "f4") for _ in range(500)]  # would reuse memory that had been freed
    p.replay(3)
    assert (y == 48).all() and all((o == -1).all() for o in others)
    assert all(ref() is not None for ref in operands)
    del p
    assert sum(ref() is not None for ref in operands) == 2 and y is not None  # y, an operand twice


def test_silent_a_recording_carries_nothing_out():
    v = Variable([1.0])
    y = buffer(1)

    def step():
        v.grad = None
        (v * v).backward()
        v.assign_add([1.0])
        launch(K.fill, constant("float32", 9.0), y)

    p = Program(step)
    assert v.numpy() == 1 and y == 1
    p.replay(2)
    assert v.numpy() == 3 and y == 9


def test_silent_assigning_a_tensor_of_another_dtype_is_recorded_too():
    source, target = Variable([1.0, 2.0], dtype="float64"), Variable([0.0, 0.0])
    p = Program(lambda: target.assign(source * 2.0))
    source.assign([5.0, 6.0])
    p.replay()
    assert target.numpy().tolist() == [10, 12]


def test_silent_a_gradient_accumulates_in_a_replay_as_it_does_eagerly():
    v = Variable([3.0])

    def step():
        v.grad = None
        (v * v).backward()
        (v * 10.0).backward()

    p = Program(step)
    for value in (3.0, 7.0):
        v.assign([value])
        p.replay(3)
        assert v.grad == 2 * value + 10, "v.grad is another array than the one that the replay writes"


def test_silent_what_a_step_leaves_in_python_is_what_a_replay_fills():
    """A step is recorded twice; what it assigns to anything outside must be of the one that is replayed."""
    left, x = {}, buffer(1, 2)

    def step():
        left["y"] = ops.exp(Tensor(x))

    p = Program(step)
    for value in (0.0, 1.0):
        x[:] = value
        p.replay()
        np.testing.assert_allclose(left["y"].numpy(), np.exp([[value, value]]), rtol=1e-6)


def test_silent_when_asks_its_flag_in_every_step():
    count, flag, due, y = (np.zeros((1, 1), np.int64) for _ in range(4))
    every = constant(np.int64, 3)

    def step():
        launch(K.is_multiple, count, every, flag)
        with when(flag):
            launch(K.increment, constant(np.int64, 1), due)
        launch(K.increment, constant(np.int64, 1), count)
        launch(K.increment, constant(np.int64, 1), y)

    p = Program(step)
    p.replay(10)
    assert (due, y) == (3, 10)
    for _ in range(8):  # eagerly the same
        step()
    assert (due, y) == (6, 18)


def test_silent_bind_exchanges_an_input_everywhere():
    x, y, z = buffer(1, 2), buffer(0, 0), buffer(0, 0)

    def step():
        launch(K.copy, x, y)
        launch(K.add, x, y, z)

    p = Program(step, inputs={"x": x, "z": z})
    p.bind(x=buffer(10, 20))
    p.replay()
    assert z.tolist() == [[20, 40]] and x.tolist() == [[1, 2]]
    other = buffer(0, 0)
    p.bind(z=other, x=x)
    p.replay()
    assert other.tolist() == [[2, 4]] and z.tolist() == [[20, 40]]


def test_silent_bind_keeps_what_it_is_given_alive():
    x, y = buffer(1, 2), buffer(0, 0)
    p = Program(lambda: launch(K.copy, x, y), inputs={"x": x})
    p.bind(x=np.full((1, 2), 5.0, "f4"))
    others = [np.full((1, 2), -1.0, "f4") for _ in range(500)]
    p.replay()
    assert y.tolist() == [[5, 5]] and others


def test_silent_what_was_bound_before_is_let_go():
    """A Program outlives a `fit`: it must not keep its data in memory, nor use it after it was released."""
    x, y = buffer(1, 2), buffer(0, 0)
    p = Program(lambda: launch(K.copy, x, y), inputs={"x": x})
    old = np.full((1, 2), 5.0, "f4")
    p.bind(x=old)
    old = weakref.ref(old)
    p.bind(x=x)
    assert old() is None
    p.release()
    for use in (p.replay, p.profile):
        with pytest.raises(RuntimeError, match="let go of its data.*bind arrays for x"):
            use()
    p.bind(x=x)
    p.replay()
    assert y.tolist() == [[1, 2]]


@pytest.mark.parametrize("wrong, reason", [
    ({"x": np.ones((1, 1), "f4")}, "order must hold numbers of the 1 rows"),
    ({"order": np.array([[2], [10**13], [0]])}, "order must hold"),
    ({"order": np.array([[2], [-1], [0]])}, "got -1 to 2"),
    ({"order": np.empty((0, 1), np.int64)}, "order must hold|reads 1 rows"),
    ({"cursor": np.array([[-(10**13)]])}, "cursor must be a place"),
])  # fmt: skip
def test_row_numbers_are_checked_when_they_are_bound(wrong, reason):
    """A replay would read wherever they lead."""
    given = {"x": np.arange(3, dtype="f4").reshape(-1, 1), "order": np.arange(3).reshape(-1, 1), "cursor": np.zeros((1, 1), np.int64)}
    y = buffer(0)
    p = Program(lambda: launch(K.gather_rows, *given.values(), y), inputs=given)
    with pytest.raises(ValueError, match=reason):
        p.bind(**{name: array.copy() for name, array in given.items()} | wrong)
    p.replay()
    assert y == 0
    p.bind(**{**given, "order": np.array([[2], [1], [0]])})
    p.replay()
    assert y == 2


def test_silent_more_rows_may_be_bound_and_gathered_from():
    x, order, cursor, y = (
        buffer(1).T.copy(),
        np.zeros((1, 1), np.int64),
        np.zeros((1, 1), np.int64),
        buffer(0),
    )
    p = Program(lambda: launch(K.gather_rows, x, order, cursor, y), inputs={"x": x, "order": order})
    p.bind(x=np.array([[3], [4], [5]], "f4"), order=np.array([[2], [0], [1]]))
    found = []
    for i in range(3):
        cursor[0, 0] = i
        p.replay()
        found.append(y[0, 0])
    assert found == [5, 3, 4]


def test_silent_programs_of_several_threads_do_not_mix(in_threads):
    def record_and_replay(i):
        training = Training("float32", batch=3 + i)
        p = Program(training.step)
        for _ in range(20):
            p.replay(5)
        return training.state()

    together = in_threads(record_and_replay, 8)
    for i in (0, 3, 7):
        assert same_bits(together[i], record_and_replay(i))


def test_silent_one_thread_records_while_another_runs():
    """Recording is a state of its thread: what others launch meanwhile is carried out, not recorded."""
    y, z = buffer(0), buffer(0)

    def step():
        other = threading.Thread(target=launch, args=(K.fill, constant("float32", 4.0), z))
        other.start()
        other.join()
        launch(K.fill, constant("float32", 3.0), y)

    p = Program(step)
    assert len(p) == 1 and (y, z) == (0, 4)


# --------------------------------------------------------------------------------- mistakes that raise


def test_silent_a_recording_belongs_to_the_step_that_made_it():
    y, z, flag = buffer(0), buffer(0), np.zeros((1, 1), np.int64)
    found = []

    def fill(array, number):
        launch(K.fill, constant("float32", number), array)

    def step():
        fill(y, 1.0)
        with when(flag):
            found.append(Program(lambda: fill(z, 2.0)))
            if len(found) == 1:  # a signal, say
                with program.apart("It was asked."):
                    assert not program.is_recording()
                    fill(z, 3.0)
            fill(z, 4.0)

    recorded = Program(step)
    assert (y, z) == (0, 3), "what is computed apart is computed, and under no condition"
    assert [len(inner) for inner in found] == [1, 1] and not program.is_recording()
    recorded.replay()
    assert len(recorded) == 2 and (y, z) == (1, 3)


def test_raises_where_a_step_computes_something_apart():
    y = buffer(0)

    def step():
        with program.apart("It would be frozen."):
            launch(K.fill, constant("float32", 1.0), y)

    with pytest.raises(RecordingError, match="It would be frozen"):
        Program(step)
    assert y == 1


def test_raises_and_records_again_after_an_error_in_a_step():
    y = buffer(0)
    flag = np.ones((1, 1), np.int64)

    def broken():
        with when(flag):
            launch(K.fill, constant("float32", 1.0), y)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Program(broken)
    assert not program.is_recording()
    launch(K.fill, constant("float32", 2.0), y)
    assert y == 2


X = np.arange(6, dtype="f4").reshape(2, 3)


@pytest.mark.parametrize("operands, message", [
    ((X.astype("f8"), np.empty((2, 3), "f4")), "y as a C-contiguous 2-D array of float64; got float32"),
    ((X, np.empty((2, 3), "f8")), "expects y as a C-contiguous 2-D array of float32; got float64"),
    ((X.T, np.empty((3, 2), "f4")), "expects x as a C-contiguous 2-D array of float32; got float32 (3, 2)"),
    ((X[:, ::2], np.empty((2, 2), "f4")), "expects x as a C-contiguous"),
    ((X[0], np.empty(3, "f4")), "expects x as a C-contiguous 2-D array of float32; got float32 (3,)"),
    ((X[None], np.empty((1, 2, 3), "f4")), "got float32 (1, 2, 3)"),
    ((X,), "zip()"),
])  # fmt: skip
def test_raises_a_kernel_that_gets_the_wrong_dtype_or_layout(operands, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Program(lambda: launch(K.copy, *operands))


def test_raises_an_index_of_the_wrong_dtype():
    with pytest.raises(ValueError, match="expects index as a C-contiguous 2-D array of int64; got int32"):
        Program(lambda: launch(K.take, X[:1], np.zeros((1, 2), np.int32), np.empty((1, 2), "f4")))


def test_raises_more_operands_than_a_replay_can_pass():
    @kernel
    def fourteen(a, b, c, d, e, f, g, h, i, j, k, m, n, y: "out"):
        """Too many."""

    with pytest.raises(ValueError, match="has 14 operands; a replay can pass at most 13"):
        Program(lambda: launch(fourteen, *[X] * 14))


def test_raises_inputs_that_do_not_fit():
    x, y, n = X.copy(), np.empty_like(X), np.zeros((1, 1), np.int64)
    p = Program(lambda: (launch(K.copy, x, y), launch(K.increment, n, n)), inputs={"x": x, "n": n})
    for wrong in (X.astype("f8"), X[:, :2].copy(), np.asfortranarray(X), X[0], X[None]):
        with pytest.raises(
            ValueError, match="Input 'x' of this Program is a C-contiguous array of float32 with 3 col"
        ):
            p.bind(n=np.ones((1, 1), np.int64), x=wrong)
    with pytest.raises(ValueError, match="no input 'w'; it has x, n"):
        p.bind(n=np.ones((1, 1), np.int64), w=X)
    p.replay()
    assert n == 0 and (y == X).all(), "nothing is bound where one of them does not fit"


def test_raises_two_inputs_that_are_one_array():
    with pytest.raises(ValueError, match="x, y are the same array"):
        Program(lambda: launch(K.copy, X, np.empty_like(X)), inputs={"x": X, "y": X})


def test_raises_flags_that_are_none():
    with (
        pytest.raises(ValueError, match=r"when\(\) expects an int64 array \(1, 1\), got bool \(1, 1\)"),
        when(np.ones((1, 1), bool)),
    ):
        pass
    flag = np.ones((1, 1), np.int64)
    with pytest.raises(RuntimeError, match="inside another"), when(flag), when(flag):
        pass


def test_raises_what_a_kernel_raises_in_a_replay():
    a, b, y = np.ones((2, 3), "f4"), np.ones((3, 2), "f4"), np.zeros((2, 2), "f4")
    p = Program(lambda: launch(K.matmul, a, b, y), inputs={"a": a})
    p.bind(a=np.ones((5, 3), "f4"))
    with pytest.raises(ValueError, match="as many as b has rows"):
        p.replay()
    p.bind(a=a)
    p.replay()
    assert (y == 3).all()


def test_raises_eager_launches_of_the_wrong_dtype_or_number():
    for operands in ((X.astype("f8"), np.empty((2, 3), "f4")), (X,), (X, X.copy(), X.copy())):
        with pytest.raises(TypeError):
            launch(K.copy, *operands)
