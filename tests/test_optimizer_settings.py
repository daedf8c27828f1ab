"""Learning rates, names, configs, bad arguments, and optimizers of one's own."""

import json
import math

import numpy as np
import pytest
from helpers import assert_same, data, network, recordings, state
from optimizer_reference import RULES, pairs

import minigrad as keras
from minigrad import Variable, ops, optimizers

every_rule = pytest.mark.parametrize("rule", RULES)



def test_learning_rate_reads_as_in_keras():
    optimizer = optimizers.Adam(0.001)
    assert float(optimizer.learning_rate) == 0.0010000000474974513
    for rate in (1, np.float32(0.25), np.array(2)):  # which Keras refuses
        assert float(optimizers.SGD(rate, 0).learning_rate) == float(rate)
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 1  # assigned, an int will do
    assert float(optimizer.learning_rate) == 1.0
    optimizer.learning_rate.assign(0.25)
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate = np.float32(0.125)
    assert optimizer.learning_rate.numpy() == 0.125


@pytest.mark.parametrize("value", ["0.1", None, -0.1, math.nan, True])
def test_bad_learning_rates_are_not_assigned(value):
    optimizer = optimizers.SGD(0.5)
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = value
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_learning_rate_assigned_between_fits(run_eagerly):
    x, y = data(24)
    model = network("regression", optimizer=optimizers.SGD(0.0), metrics=[], run_eagerly=run_eagerly)
    settings = {"batch_size": 8, "verbose": 0, "shuffle": False}
    start = model.get_weights()
    model.fit(x, y, **settings)
    frozen = model.get_weights()
    assert_same(frozen[0], start[0])
    with recordings() as recorded:
        model.optimizer.learning_rate = 0.1
        model.fit(x, y, **settings)
    assert recorded == []
    assert not np.array_equal(model.get_weights()[0], frozen[0])
    twin = network("regression", optimizer=optimizers.SGD(0.1), metrics=[])
    twin.set_weights(frozen)
    twin.fit(x, y, **settings)
    assert_same(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_begin"])
def test_learning_rate_assigned_during_fit(hook, run_eagerly):
    x, y = data(24, target="regression")
    rates = iter([0.1, 0.0, 0.0, 0.05, 0.02, 0.01])
    used = []

    class Schedule(keras.callbacks.Callback):
        pass

    def assign(self, index, logs=None):
        used.append(next(rates))
        self.model.optimizer.learning_rate = used[-1]

    setattr(Schedule, hook, assign)
    model = network("regression", optimizer=optimizers.SGD(9.0), metrics=[], run_eagerly=run_eagerly)
    twin = network("regression", optimizer=optimizers.SGD(9.0), metrics=[])
    model.fit(
        x,
        y,
        batch_size=24 if "epoch" in hook else 4,
        epochs=6 if "epoch" in hook else 1,
        shuffle=False,
        verbose=0,
        callbacks=[Schedule()],
    )
    assert used == [0.1, 0.0, 0.0, 0.05, 0.02, 0.01]
    for i, rate in enumerate(used):
        twin.optimizer.learning_rate = rate
        rows = slice(None) if "epoch" in hook else slice(4 * i, 4 * i + 4)
        twin.train_on_batch(x[rows], y[rows])
    assert_same(model.get_weights(), twin.get_weights())


# ----------------------------------------------------------------------------------- lookups, configs, errors


@pytest.mark.parametrize(
    "name, kind",
    [
        ("rmsprop", optimizers.RMSprop),
        ("RMSProp", optimizers.RMSprop),
        ("adam", optimizers.Adam),
        ("Adam", optimizers.Adam),
        ("ADAM", optimizers.Adam),
        ("sgd", optimizers.SGD),
        ("SGD", optimizers.SGD),
        ("Sgd", optimizers.SGD),
    ],
)
def test_names(name, kind):
    assert type(optimizers.get(name)) is kind


def test_defaults():
    adam, sgd = optimizers.Adam(), optimizers.SGD()
    assert float(adam.learning_rate) == pytest.approx(0.001) and float(sgd.learning_rate) == pytest.approx(
        0.01
    )
    assert (adam.beta_1, adam.beta_2, adam.epsilon, adam.amsgrad) == (0.9, 0.999, 1e-7, False)
    assert (sgd.momentum, sgd.nesterov) == (0.0, False)
    keras.utils.clear_session()
    assert [optimizers.Adam().name, optimizers.Adam().name, optimizers.SGD(name="mine").name] == [
        "adam",
        "adam_1",
        "mine",
    ]


@pairs(RULES, ["Adam amsgrad"])
def test_config_round_trip(rule, options):
    make, settings, _ = RULES[rule]
    optimizer = make(learning_rate=0.25, name="mine", **{**settings, **options})
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    again = optimizers.deserialize(config)
    assert type(again) is make and again.get_config() == optimizer.get_config()
    assert {"name", "learning_rate", *settings, *options} <= set(again.get_config())


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: optimizers.get("adamm"), ["optimizer", "adamm", "'adam'"]),
        (lambda: optimizers.get(optimizers.Adam), ["class", "Adam"]),
        (lambda: optimizers.get(keras.losses.MeanSquaredError()), ["optimizer"]),
        (lambda: optimizers.get(3), ["optimizer", "3"]),
        (lambda: optimizers.Adam(learning_rte=0.1), ["Adam", "learning_rte", "learning_rate"]),
        (lambda: optimizers.SGD(beta_1=0.9), ["SGD", "beta_1"]),
        (lambda: optimizers.Adam(True), ["Adam", "learning_rate", "number", "True"]),
        (lambda: optimizers.Adam(np.ones(2)), ["Adam", "learning_rate", "number", "ndarray"]),
        (lambda: optimizers.Adam("0.1"), ["Adam", "learning_rate", "'0.1'"]),
        (lambda: optimizers.Adam(-0.1), ["Adam", "learning_rate", "-0.1"]),
        (lambda: optimizers.Adam(math.nan), ["Adam", "learning_rate", "nan"]),
        (lambda: optimizers.Adam(None), ["Adam", "learning_rate", "None"]),
        (lambda: optimizers.Adam(beta_1=1.0), ["Adam", "beta_1", "1.0"]),
        (lambda: optimizers.Adam(beta_2=-0.1), ["Adam", "beta_2", "-0.1"]),
        (lambda: optimizers.Adam(beta_2="0.9"), ["Adam", "beta_2", "'0.9'"]),
        (lambda: optimizers.Adam(epsilon=-1e-7), ["Adam", "epsilon", "-1e-07"]),
        (lambda: optimizers.Adam(epsilon="small"), ["Adam", "epsilon", "small"]),
        (lambda: optimizers.RMSprop(rho=1.5), ["RMSprop", "rho", "1.5"]),
        (lambda: optimizers.RMSprop(momentum="0.9"), ["RMSprop", "momentum", "'0.9'"]),
        (lambda: optimizers.SGD(momentum=1.5), ["SGD", "momentum", "1.5"]),
        (lambda: optimizers.SGD(momentum="0.9"), ["SGD", "momentum", "'0.9'"]),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=0.5), ["clipnorm", "1.0", "clipvalue", "0.5"]),
        (lambda: optimizers.SGD(clipnorm=-1.0), ["SGD", "clipnorm", "-1.0"]),
        (lambda: optimizers.SGD(clipvalue="1"), ["SGD", "clipvalue", "'1'"]),
        (lambda: optimizers.SGD(global_clipnorm=0.0), ["SGD", "global_clipnorm", "0.0"]),
        (lambda: optimizers.SGD(weight_decay=-0.1), ["SGD", "weight_decay", "-0.1"]),
        (lambda: optimizers.SGD(weight_decay="0.1"), ["SGD", "weight_decay", "'0.1'"]),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=1.1), ["SGD", "ema_momentum", "1.1"]),
        (
            lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=0),
            ["SGD", "ema_overwrite_frequency", "0"],
        ),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), ["SGD", "gradient_accumulation_steps", "1"]),
        (
            lambda: optimizers.SGD(gradient_accumulation_steps=2.0),
            ["SGD", "gradient_accumulation_steps", "2.0"],
        ),
        (lambda: optimizers.SGD(loss_scale_factor=0.0), ["SGD", "loss_scale_factor", "0.0"]),
        (lambda: optimizers.SGD(loss_scale_factor="8"), ["SGD", "loss_scale_factor", "'8'"]),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


def test_diverged_gradients_show():
    for options in ({}, {"clipnorm": 1.0}, {"clipvalue": 1.0}, {"global_clipnorm": 1.0}):
        for make in (optimizers.SGD, optimizers.Adam):
            v = Variable(np.ones(3))
            make(0.1, **options).apply([np.array([1.0, math.nan, 1.0])], [v])
            assert np.isnan(v.numpy()[1])


def test_an_optimizer_of_ones_own():
    """From one kernel and the two things a subclass defines; it records like the built-in ones."""

    @keras.kernel
    def signed(g, learning_rate, w: "out"):
        for j in range(w.shape[1]):
            if g[0, j] > 0:
                w[0, j] -= learning_rate[0, 0]
            elif g[0, j] < 0:
                w[0, j] += learning_rate[0, 0]

    class Signed(optimizers.Optimizer):
        def update(self, g, w):
            keras.launch(signed, g, self._rate, w)

    def train(run_eagerly):
        model = network(optimizer=Signed(0.125), run_eagerly=run_eagerly)
        model.fit(*data(20), batch_size=8, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model)

    assert_same(train(False), train(True))


def test_a_constraint_that_reads_values_runs_eagerly():
    class Rounded(keras.constraints.Constraint):
        def __call__(self, w):
            return ops.convert_to_tensor(np.round(w.numpy(), 1))

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_constraint=Rounded())])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="eager"):
        model.fit(*data(20), batch_size=8, verbose=0)
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(kernel, kernel.round(1), atol=1e-7)
    assert kernel.any()
    before = kernel.copy()
    model.fit(*data(20), batch_size=8, epochs=3, verbose=0)
    assert not np.array_equal(model.get_weights()[0], before)


def test_a_constraint_that_changes_is_not_frozen():
    """Neither into a Program nor into the launches that an eager step repeats."""

    class Shrinks(keras.constraints.Constraint):
        calls = 0

        def __call__(self, w):
            self.calls += 1
            return w * (1.0 / self.calls)

    shrinks, v = Shrinks(), Variable(np.ones(3))
    v.constraint = shrinks
    optimizer = optimizers.SGD(0.0)
    seen = []
    for _ in range(4):
        before, calls = v.numpy()[0], shrinks.calls
        optimizer.apply([np.zeros(3)], [v])
        assert shrinks.calls > calls
        seen.append(float(v.numpy()[0] / before))
    assert seen[0] > seen[1] > seen[2] > seen[3]


CHANGES = {
    "weight_decay": lambda o: setattr(o, "weight_decay", 9.0),
    "momentum": lambda o: setattr(o, "momentum", 0.5),
    "clipnorm": lambda o: setattr(o, "clipnorm", 0.01),
    "a schedule": lambda o: setattr(o, "learning_rate", optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_settings_changed_later_count_from_the_next_fit(change):
    """Without another `compile`: in a Program, too."""

    def train(run_eagerly, change):
        model = network(optimizer=optimizers.SGD(0.01, momentum=0.9), run_eagerly=run_eagerly)
        model.fit(*data(24), batch_size=8, verbose=0)
        change(model.optimizer)
        model.fit(*data(24), batch_size=8, verbose=0)
        return state(model)

    replayed = train(False, change)
    assert_same(replayed, train(True, change))
    name = next(name for name in replayed if name.startswith("weight 0"))
    assert not np.array_equal(replayed[name], train(False, lambda o: None)[name])


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_assigning_a_rate_records_nothing_anew(run_eagerly):
    model = network(optimizer=optimizers.SGD(0.01), run_eagerly=run_eagerly)
    model.fit(*data(24), batch_size=8, verbose=0)
    with recordings() as recorded:
        model.optimizer.learning_rate = 0.1
        model.optimizer.lr = 0.2
        model.fit(*data(24), batch_size=8, verbose=0)
    assert recorded == [] and float(model.optimizer.learning_rate) == pytest.approx(0.2)


def test_no_optimizer():
    """A model without one evaluates; None is no name, but nothing."""
    assert optimizers.get(None) is None
    model = network()
    model.compile(None, "mse")
    assert model.evaluate(*data(8), verbose=0)[0] > 0
    with pytest.raises(ValueError, match=r"was compiled without an optimizer: compile\(optimizer='adam'"):
        model.fit(*data(8), verbose=0)


def test_methods_of_a_stateless_world():
    with pytest.raises(AttributeError, match="no attribute 'stateless_apply': it keeps its state itself, so call apply "):
        optimizers.SGD().stateless_apply([], [], [])
