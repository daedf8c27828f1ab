"""Learning-rate schedules: their numbers, their configs, and what they do in a training, replayed and eager."""

import copy
import json
import math
import pickle
import re

import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import Variable, ops, optimizers
from minigrad.optimizers import schedules

S = schedules

GOLDEN = [  # the real Keras at the steps named
    (S.ExponentialDecay(1.0, 10, 0.5, staircase=True), [0, 9, 10, 19, 20], [1, 1, 0.5, 0.5, 0.25]),
    (S.PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1]), range(8), [1, 1, 1, 0.5, 0.5, 0.5, 0.1, 0.1]),
    (S.PolynomialDecay(1.0, 10, 0.1, power=2.0), [0, 5, 10, 15], [1, 0.325, 0.1, 0.1]),
    (S.PolynomialDecay(1.0, 10, 0.1, cycle=True), [0, 5, 10, 15, 20, 25], [1, 0.55, 0.1, 0.325, 0.1, 0.25]),
    (S.CosineDecay(1.0, 10, alpha=0.1), [0, 5, 10, 15], [1, 0.55, 0.1, 0.1]),
    (
        S.CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=5),
        [0, 2, 4, 5, 10, 15],
        [0, 0.4, 0.8, 1, 0.5, 0],
    ),
    (
        S.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5),
        [0, 5, 10, 20, 30, 70],
        [1, 0.5, 0.5, 0.25, 0.25, 0.125],
    ),
    (S.InverseTimeDecay(1.0, 10, 0.5), [0, 10, 20], [1, 2 / 3, 0.5]),
]
every_schedule = pytest.mark.parametrize("schedule", [row[0] for row in GOLDEN], ids=lambda s: type(s).__name__)


@pytest.mark.parametrize("schedule, steps, expected", GOLDEN)
def test_the_numbers_of_keras(schedule, steps, expected):
    rates = [schedule(step) for step in steps]
    assert {(r.shape, r.dtype.name) for r in rates} == {((), "float32")}
    np.testing.assert_allclose([float(r) for r in rates], expected, atol=2e-6)


@every_schedule
def test_steps_may_be_numbers_arrays_or_tensors(schedule):
    steps = np.arange(12)
    expected = [float(schedule(int(t))) for t in steps]
    for many in (steps, steps.astype("float32"), list(range(12)), keras.Tensor(steps.astype("float32"))):
        # Where registers are narrow, a cosine may differ by a bit between a row of steps and a single one.
        np.testing.assert_allclose(schedule(many).numpy(), np.array(expected, "float32"), rtol=4e-7)
    assert schedule(steps.reshape(3, 4)).shape == (3, 4)
    count = Variable(7, dtype="int64", trainable=False)
    assert float(schedule(count)) == float(schedule(np.int64(7))) == float(schedule(7.0)) == expected[7]
    exact = schedule(keras.Tensor(steps.astype("float64"))).numpy()
    assert exact.dtype == "float64"
    np.testing.assert_allclose(exact, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("length", [*range(1, 10), 41, 47, 49, 55, 61, 82, 83, 97, 98, 103, 107, 161, 187, 196, 197])
def test_periods_end_where_they_should(length):
    """49 times the rounded 1 / 49 is less than 1: a staircase made of that would come a step late.

    So would one of 98 or 103 steps, say; and one of 41, 47, 55, ... in float32.
    """
    for many in range(1, 40, 7):
        end = length * many
        stairs = S.ExponentialDecay(1.0, length, 0.5, staircase=True)
        assert float(stairs(end)) == 0.5**many and float(stairs(end - 1)) == 0.5 ** (many - 1)
        saw = S.PolynomialDecay(1.0, length, 0.0, cycle=True)
        assert float(saw(end)) == 0
        if length > 1:
            assert float(saw(end + 1)) == pytest.approx(1 - (end + 1) / (length * (many + 1)), abs=1e-6)
        waves = S.CosineDecayRestarts(1.0, length, t_mul=1.0, m_mul=0.5)
        assert float(waves(end)) == pytest.approx(0.5**many, rel=1e-5)
    longer = S.CosineDecayRestarts(1.0, length, m_mul=0.5)
    for i in range(1, 8):
        assert float(longer(length * (2**i - 1))) == pytest.approx(0.5**i, rel=1e-5)


def test_waves_of_any_growth():
    waves = S.CosineDecayRestarts(2.0, 10, t_mul=1.5, m_mul=0.9, alpha=0.1)
    start, length = 0.0, 10.0
    for i in range(6):
        for part in (0.1, 0.5, 0.9):
            expected = 2 * (0.9 * 0.5 * 0.9**i * (1 + math.cos(math.pi * part)) + 0.1)
            assert float(waves(start + part * length)) == pytest.approx(expected, rel=1e-4)
        start, length = start + length, length * 1.5


def test_a_warm_up_without_steps_is_none():
    plain, warm = S.CosineDecay(0.5, 10, 0.1), S.CosineDecay(0.1, 10, 0.1, warmup_target=0.5)
    assert [float(plain(t)) for t in range(12)] == [float(warm(t)) for t in range(12)]


@every_schedule
def test_configs(schedule):
    config = json.loads(json.dumps(schedules.serialize(schedule)))
    assert config["module"] == "keras.optimizers.schedules" and config["registered_name"] is None
    again = schedules.deserialize(config)
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    assert [float(again(t)) for t in range(30)] == [float(schedule(t)) for t in range(30)]
    optimizer = optimizers.SGD(schedule, momentum=0.5)
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    twin = optimizers.deserialize(config)
    assert twin.get_config() == optimizer.get_config() and config["config"]["learning_rate"]["config"]["name"]
    for copied in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert float(copied(3)) == float(schedule(3))


def test_default_names_are_those_of_keras():
    assert [row[0].name for row in GOLDEN][1] == "PiecewiseConstant" and GOLDEN[6][0].name == "SGDRDecay"


@pytest.mark.parametrize("make, words", [
    (lambda: S.ExponentialDecay(0.1, 0, 0.5), ["ExponentialDecay", "decay_steps", "> 0", "0"]),
    (lambda: S.InverseTimeDecay(0.1, -1, 0.5), ["InverseTimeDecay", "decay_steps", "-1"]),
    (lambda: S.PolynomialDecay(0.1, 0), ["PolynomialDecay", "decay_steps"]),
    (lambda: S.CosineDecay(0.1, 0), ["CosineDecay", "decay_steps"]),
    (lambda: S.CosineDecay(0.1, 10, warmup_target="0.5"), ["CosineDecay", "warmup_target", "'0.5'"]),
    (lambda: S.CosineDecay(0.1, 10, warmup_target=1.0, warmup_steps=-1), ["warmup_steps", "-1"]),
    (lambda: S.CosineDecayRestarts(0.1, 0), ["CosineDecayRestarts", "first_decay_steps"]),
    (lambda: S.CosineDecayRestarts(0.1, 5, t_mul=0.0), ["CosineDecayRestarts", "t_mul"]),
    (lambda: S.ExponentialDecay("0.1", 10, 0.5), ["initial_learning_rate", "'0.1'", "str"]),
    (lambda: S.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), ["one value more", "[1, 2]", "[0.1, 0.2]"]),
    (lambda: S.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), ["increase", "[2, 1]"]),
    (lambda: schedules.deserialize({"class_name": "Cosine", "config": {}}), ["schedule", "'CosineDecay'"]),
    (lambda: optimizers.SGD(S.CosineDecay), ["learning_rate", "CosineDecay"]),
    (lambda: optimizers.SGD(S.ExponentialDecay(0.1, 2, 0.5)(np.arange(3))), ["learning_rate", "Tensor"]),
])  # fmt: skip
def test_bad_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("make", [lambda: S.CosineDecay(0.1), lambda: S.CosineDecay(0.1, 10, decay=1)])
def test_wrong_keywords_are_type_errors(make):
    with pytest.raises(TypeError, match=r"CosineDecay\(\): .*decay"):
        make()


# ------------------------------------------------------------------------------------------------ in a training


def test_the_rate_is_that_of_the_calls_before():
    v, optimizer = Variable(1.0), optimizers.SGD(S.ExponentialDecay(0.1, 1, 0.5))
    seen, rates = [], [float(optimizer.learning_rate)]
    for gradient in (1.0, -2.0, 3.0):
        optimizer.apply_gradients([(gradient, v)])
        seen.append(float(v))
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(seen, [0.9, 1.0, 0.925], rtol=1e-6)
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025, 0.0125], rtol=1e-6)


def test_accumulating_gradients_the_schedule_counts_every_call():
    v = Variable(0.0)
    optimizer = optimizers.SGD(S.PiecewiseConstantDecay([2, 4], [1.0, 10.0, 100.0]), gradient_accumulation_steps=2)
    seen = []
    for _ in range(6):
        optimizer.apply([1.0], [v])
        seen.append(float(v))
    assert seen == [0, -1, -1, -11, -11, -111]  # the calls before are 1, 3 and 5
    assert int(optimizer.iterations) == 3 and float(optimizer.learning_rate) == 100


class Inverse(S.LearningRateSchedule):
    """Of ops on the step."""

    def __init__(self, first):
        self.first = first

    def __call__(self, step):
        return ops.minimum(self.first / (step + 1.0), ops.cast(step, "float32") * 0.01 + 0.001)

    def get_config(self):
        return {"first": self.first}


class ByHand(Inverse):
    """The same, by Python."""

    def __call__(self, step):
        return min(self.first / (float(step) + 1.0), float(step) * 0.01 + 0.001)


def train(learning_rate, run_eagerly, **options):
    model = network(optimizer=optimizers.Adam(learning_rate, **options), run_eagerly=run_eagerly)
    history = model.fit(*data(42), batch_size=8, epochs=3, verbose=0)
    return model, (state(model), history.history)


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}, {"weight_decay": 0.1}], ids=str)
@pytest.mark.parametrize("schedule", [*[row[0] for row in GOLDEN], Inverse(0.05)], ids=lambda s: type(s).__name__)
def test_replay_equals_eager(schedule, options):
    replayed, results = train(schedule, False, **options)
    assert_same(results, train(schedule, True, **options)[1])
    assert replayed.train_program is not None
    assert not any(v.name == "learning_rate" for v in replayed.optimizer.variables)
    assert float(replayed.optimizer.learning_rate) == float(schedule(keras.Tensor(np.float32(18))))


def test_a_schedule_of_ones_own_in_python_runs_eagerly_and_is_the_same():
    expected = train(Inverse(0.05), True)[1]
    with pytest.warns(UserWarning, match="runs eagerly.*can't be read") as caught:
        model, results = train(ByHand(0.05), False)
    assert len(caught) == 1 and model.train_program is None
    for name, value in expected[0].items():
        np.testing.assert_allclose(results[0][name], value, rtol=2e-4, atol=1e-5, err_msg=name)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05 / 19)


def test_a_schedule_that_python_changes_is_not_frozen():
    class Falls(S.LearningRateSchedule):
        calls = 0

        def __call__(self, step):
            self.calls += 1
            return (step + 1.0) * (1.0 / self.calls)

    falls, v = Falls(), Variable(0.0)
    optimizer, steps = optimizers.SGD(falls), []
    for i in range(4):
        before, calls = float(v), falls.calls
        optimizer.apply([-1.0], [v])
        assert falls.calls > calls
        steps.append(float(v) - before)
        assert steps[-1] == pytest.approx((i + 1) / falls.calls, rel=1e-5)


def test_a_base_schedule_asks_for_what_is_missing():
    for method in (lambda s: s(1), lambda s: s.get_config()):
        with pytest.raises(NotImplementedError, match="LearningRateSchedule must define"):
            method(S.LearningRateSchedule())


def test_a_registered_schedule_round_trips():
    with keras.utils.custom_object_scope({"Inverse": Inverse}):
        again = optimizers.deserialize(optimizers.serialize(optimizers.SGD(Inverse(0.5))))
    assert float(again.learning_rate) == pytest.approx(0.001) and again._learning_rate.first == 0.5
    config = optimizers.SGD(Inverse(0.5)).get_config()
    assert float(optimizers.SGD.from_config(config, {"Inverse": Inverse}).learning_rate) == pytest.approx(0.001)


def test_a_rate_of_more_than_one_number():
    class Both(S.LearningRateSchedule):
        def __call__(self, step):
            return ops.stack([step, step])

    with pytest.raises(ValueError, match=r"one number, got shape \(2,\)"):
        optimizers.SGD(Both()).apply([1.0], [Variable(1.0)])


# --------------------------------------------------------------------------------- functions as learning rates


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_function_that_returns_a_variable(run_eagerly):
    rate = Variable(0.0, trainable=False)
    model = network(optimizer=optimizers.SGD(lambda: rate), run_eagerly=run_eagerly)
    settings = {"batch_size": 8, "verbose": 0, "shuffle": False}
    before = model.get_weights()
    model.fit(*data(24), **settings)
    assert (model.train_program is None) is run_eagerly
    assert_same(model.get_weights()[0], before[0])
    rate.assign(0.1)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    twin = network(optimizer=optimizers.SGD(0.1), run_eagerly=True)
    twin.set_weights(model.get_weights())
    model.fit(*data(24), **settings)
    twin.fit(*data(24), **settings)
    assert_same(model.get_weights(), twin.get_weights())


def test_a_function_that_computes_with_ops():
    rate = Variable(0.2, trainable=False, dtype="float64")
    results = [train(lambda: ops.maximum(rate * 0.1, 0.001), eagerly)[1] for eagerly in (False, True)]
    assert_same(*results)


def test_a_function_that_returns_a_number_is_called_in_every_step():
    rates = iter(range(1, 1000))
    v, optimizer = Variable(0.0), optimizers.SGD(lambda: float(next(rates)))
    steps = []
    for _ in range(4):
        before = float(v)
        optimizer.apply([-1.0], [v])
        steps.append(float(v) - before)
    assert steps == sorted(set(steps))
    with pytest.warns(UserWarning, match="runs eagerly.*number made by Python"):
        model, _ = train(lambda: 0.01, False)
    assert model.train_program is None
    plain, _ = train(0.01, True)
    assert_same(model.get_weights(), plain.get_weights())


def a_rate():
    return 0.25


def test_a_function_in_a_config():
    optimizer = optimizers.Adam(a_rate, beta_1=0.5)
    config = json.loads(json.dumps(optimizer.get_config()))
    assert config["learning_rate"] == {
        "module": "builtins", "class_name": "function", "config": "a_rate", "registered_name": "function",
    }  # fmt: skip
    again = optimizers.Adam.from_config(config, {"a_rate": a_rate})
    assert float(again.learning_rate) == 0.25 and again.beta_1 == 0.5
    with pytest.raises(ValueError, match=re.escape("'a_rate': pass custom_objects")):
        optimizers.Adam.from_config(config)


# --------------------------------------------------------------------------------------------------- assignment


@pytest.mark.parametrize("rate", [S.CosineDecay(0.1, 5), lambda: 0.1], ids=["schedule", "function"])
def test_a_number_can_not_be_assigned(rate):
    optimizer = optimizers.SGD(rate)
    with pytest.raises(TypeError, match="can't be assigned"):
        optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_a_schedule_can_be_assigned():
    v, optimizer = Variable(0.0), optimizers.SGD(0.5)
    optimizer.apply([-1.0], [v])
    assert float(v) == 0.5
    optimizer.learning_rate = S.PiecewiseConstantDecay([1], [8.0, 16.0])
    for expected in (8.5, 24.5):
        optimizer.apply([-1.0], [v])
        assert float(v) == expected
    assert [v.name for v in optimizer.variables] == ["iteration"]


def test_the_step_count_that_is_assigned_counts():
    """As when a training goes on from a file."""
    optimizer, v = optimizers.SGD(S.ExponentialDecay(1.0, 1, 0.5)), Variable(0.0)
    optimizer.build([v])
    optimizer.variables[0].assign(3)
    assert float(optimizer.learning_rate) == 0.125
    optimizer.apply([-1.0], [v])
    assert float(v) == 0.125 and int(optimizer.iterations) == 4


def test_float64():
    v = Variable(np.zeros(3), dtype="float64")
    optimizer = optimizers.SGD(S.CosineDecay(0.1, 7, alpha=0.3))
    total = 0.0
    for t in range(9):
        optimizer.apply([-np.ones(3)], [v])
        total += 0.1 * (0.7 * 0.5 * (1 + math.cos(math.pi * min(t / 7, 1))) + 0.3)
    np.testing.assert_allclose(v.numpy(), total, rtol=1e-14)


def test_a_schedule_that_begins_where_the_optimizer_is():
    """Learning rates as Variables, tensors and arrays are numbers."""
    optimizer = keras.optimizers.Adam(0.125)
    optimizer.learning_rate = S.PolynomialDecay(optimizer.learning_rate, np.array(4))
    assert float(optimizer.learning_rate) == 0.125
    config = optimizer.get_config()["learning_rate"]["config"]
    assert (config["initial_learning_rate"], config["decay_steps"]) == (0.125, 4)
    with pytest.raises(ValueError, match="initial_learning_rate must be a number"):
        S.PolynomialDecay(np.array([0.1, 0.2]), 4)
