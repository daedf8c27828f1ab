"""keras.random: distributions, seeds, and that a recorded step draws as an eager one does, anew each time."""

import math

import numpy as np
import pytest
import scipy.stats
from helpers import assert_same

import minigrad as keras
from minigrad import Program, RecordingError, random
from minigrad.random import SeedGenerator
from minigrad.utils import gradcheck

LOGITS = np.array([[0.0, 1.0, -math.inf, 2.0], [3.0, 3.0, 3.0, 3.0]], "float32")

DRAWS = {  # a call with (size, dtype, seed), the distribution that SciPy says it has
    "normal": (lambda n, dtype, seed: random.normal((n,), 1.0, 2.0, dtype, seed), scipy.stats.norm(1, 2)),
    "uniform": (lambda n, dtype, seed: random.uniform((n,), -1.0, 3.0, dtype, seed), scipy.stats.uniform(-1, 4)),
    "truncated_normal": (
        lambda n, dtype, seed: random.truncated_normal((n,), 1.0, 2.0, dtype, seed),
        scipy.stats.truncnorm(-2, 2, 1, 2),
    ),
}
EVERY = {
    **{name: lambda seed, call=call: call(50, None, seed) for name, (call, _) in DRAWS.items()},
    "randint": lambda seed: random.randint((50,), 0, 1000, seed=seed),
    "categorical": lambda seed: random.categorical(np.zeros((2, 9), "float32"), 50, seed=seed),
    "dropout": lambda seed: random.dropout(np.ones((5, 20), "float32"), 0.5, seed=seed),
    "dropout, noise_shape": lambda seed: random.dropout(np.ones((50, 2)), 0.5, (None, 1), seed=seed),
    "shuffle": lambda seed: random.shuffle(np.arange(50.0), seed=seed),
}
every_draw = pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)


def test_every_function_has_a_row():
    assert {name.partition(",")[0] for name in EVERY} == set(random.__all__) - {"SeedGenerator"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DRAWS)
def test_distributions(name, dtype):
    call, expected = DRAWS[name]
    y = call(100_000, dtype, 3).numpy()
    assert y.dtype == dtype and y.shape == (100_000,)
    assert scipy.stats.kstest(y, expected.cdf).pvalue > 0.01
    for lag in (1, 2, 64):
        assert abs(np.corrcoef(y[lag:], y[:-lag])[0, 1]) < 4.5 / math.sqrt(len(y))
    low, high = expected.support()
    assert low <= y.min() and (y.max() < high or name == "truncated_normal")


def test_float64_is_drawn_in_full_precision():
    y = random.uniform((1000,), dtype="float64", seed=1).numpy()
    assert (y.astype("float32") != y).mean() > 0.99 and len(np.unique(y)) == 1000


def test_uniform_never_reaches_its_upper_bound():
    y = random.uniform((100_000,), 1e6, 1e6 + 1, seed=1).numpy()  # float32 has 16 numbers there
    assert set(y - 1e6) == set(np.arange(0, 1, 1 / 16, "float32"))


def test_randint():
    y = random.randint((50, 2000), -3, 4, seed=2).numpy()
    values, counts = np.unique(y, return_counts=True)
    assert y.dtype == np.int64 and values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    wide = random.randint((1000,), -(2**61), 2**61, seed=1).numpy()
    assert wide.min() < -(2**60) and wide.max() > 2**60 and len(set(wide & 0xFF)) > 200


def test_categorical():
    y = random.categorical(LOGITS, 50_000, seed=1).numpy()
    assert y.shape == (2, 50_000) and y.dtype == np.int64
    for row, logits in zip(y, LOGITS, strict=True):
        p = np.exp(logits) / np.exp(logits).sum()
        counts = np.bincount(row, minlength=4)
        assert counts[p == 0].sum() == 0
        assert scipy.stats.chisquare(counts[p > 0], 50_000 * p[p > 0]).pvalue > 0.01


def test_shuffle():
    x = np.arange(24.0).reshape(4, 3, 2)
    for axis in (0, 1, -1):
        y = random.shuffle(x, axis, seed=2).numpy()
        assert_same(np.sort(y, axis), x)
    orders = [tuple(random.shuffle(np.arange(4.0), seed=s).numpy()) for s in range(2400)]
    assert len(set(orders)) == 24
    assert scipy.stats.chisquare([orders.count(o) for o in set(orders)]).pvalue > 0.01
    assert gradcheck(lambda x: random.shuffle(x, 1, seed=2), keras.Tensor(x, requires_grad=True))


@every_draw
def test_seeds(draw):
    same = [draw(5).numpy() for _ in range(2)]
    assert_same(*same)
    assert not np.array_equal(draw(6).numpy(), same[0])
    seeds = SeedGenerator(5)
    stream = [draw(seeds).numpy() for _ in range(3)]
    assert_same(stream[0], same[0])
    assert not np.array_equal(stream[0], stream[1]) and not np.array_equal(stream[1], stream[2])
    keras.utils.set_random_seed(1)
    unseeded = [draw(None).numpy() for _ in range(2)]
    assert not np.array_equal(*unseeded)
    keras.utils.set_random_seed(1)
    assert_same([draw(None).numpy() for _ in range(2)], unseeded)


@every_draw
def test_a_program_draws_as_eager_steps_do(draw):
    """An int draws the same in each step, a SeedGenerator and the global stream draw anew."""

    def run(replayed):
        keras.utils.set_random_seed(2)
        seeds, seen = SeedGenerator(9), []
        results = []

        def step():
            results[:] = [draw(seeds), draw(None), draw(7)]

        program = Program(step) if replayed else None
        for _ in range(3):
            step() if program is None else program.replay()
            seen.append([y._data.copy() for y in results])
        return seen, seeds.state, keras.config.stream().copy()

    steps, *_ = eager = run(False)
    assert_same(run(True), eager)
    for kind, is_new in enumerate([True, True, False]):
        assert np.array_equal(steps[0][kind], steps[1][kind]) is not is_new


def test_the_global_stream_is_apart_from_the_generator_of_weights():
    """Drawing from one does not change what the other gives: adding noise leaves initial weights as they were."""
    weights = []
    for noisy in (False, True):
        keras.utils.set_random_seed(3)
        if noisy:
            random.normal((5,))
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
        weights.append(layer.get_weights())
    assert_same(*weights)


def test_seed_generator():
    keras.utils.clear_session()
    seeds = SeedGenerator(3)
    assert seeds.state.tolist() == [3, 0]
    assert seeds.next().tolist() == [3, 0] and seeds.state.tolist() == [3, 1]
    assert SeedGenerator.from_config(seeds.get_config()).get_config() == {"seed": 3, "name": "seed_generator"}
    assert SeedGenerator().state[0] != SeedGenerator().state[0]
    with pytest.raises(RecordingError, match="SeedGenerator"):
        Program(lambda: seeds.next())


@pytest.mark.parametrize("call, words", [
    (lambda: random.normal((2,), seed="a"), ["seed", "'a'"]),
    (lambda: random.normal((2,), seed=1.5), ["seed", "1.5"]),
    (lambda: random.normal(3), ["normal", "shape", "3"]),
    (lambda: random.uniform((2,), dtype="int32"), ["uniform", "dtype", "int32"]),
    (lambda: random.truncated_normal((2,), dtype="float16"), ["truncated_normal", "float16"]),
    (lambda: random.randint((2,), 0, 5, dtype="float32"), ["randint", "dtype", "float32"]),
    (lambda: random.randint((2,), 5, 5), ["randint", "5"]),
    (lambda: random.categorical(np.ones(3), 2), ["categorical", "(3,)"]),
    (lambda: random.dropout(np.ones((2, 2)), 1.5), ["dropout", "rate", "1.5"]),
    (lambda: random.dropout(np.ones((2, 2)), 0.5, (2, 3)), ["noise_shape", "(2, 2)"]),
    (lambda: SeedGenerator(1.5), ["SeedGenerator", "1.5"]),
    (lambda: SeedGenerator(True), ["SeedGenerator", "True"]),
])
def test_errors_say_what_was_expected(call, words):
    with pytest.raises(ValueError) as error:
        call()
    for word in words:
        assert word in str(error.value)
