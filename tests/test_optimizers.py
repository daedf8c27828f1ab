"""Optimizers against a NumPy reference in float64, over random steps and with every option.

Then inside `fit`, replayed and eager.
"""

import contextlib
import json
import math

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network, recordings, state

import minigrad as keras
from minigrad import Variable, ops, optimizers

RATE = 0.0625  # exact in float32, in which a learning rate is kept until the weights' dtype is known
SHAPES = {"kernel": (3, 5), "bias": (5,), "scalar": (), "gamma": (33,)}  # no multiples of a cache line


class Reference:
    """The same arithmetic in plain NumPy: one step of several variables, as Keras orders it."""

    def __init__(self, rule, values, excluded=(), constraints=None, **options):
        self.rule, self.values, self.excluded = rule, [v.copy() for v in values], excluded
        self.constraints = constraints or {}
        self.options = {
            "learning_rate": 0.01,
            "weight_decay": None,
            "clipnorm": None,
            "clipvalue": None,
            "global_clipnorm": None,
            "use_ema": False,
            "ema_momentum": 0.99,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
            **options,
        }
        self.slots = [{} for _ in values]
        self.sums = [np.zeros_like(v) for v in values]
        self.averages = [v.copy() for v in values]
        self.calls = self.updates = 0

    def step(self, grads):
        o = self.options
        every = o["gradient_accumulation_steps"]
        done = self.updates  # what the moving average goes by, in every call
        self.calls += 1
        if not every:
            self._update(grads)
        else:
            self.sums = [s + g for s, g in zip(self.sums, grads, strict=True)]
            if self.calls % every == 0:
                grads, self.sums = [s / every for s in self.sums], [np.zeros_like(s) for s in self.sums]
                self._update(grads)
        k = o["ema_momentum"] if done else 0
        overwrites = (
            o["use_ema"] and o["ema_overwrite_frequency"] and (done + 1) % o["ema_overwrite_frequency"] == 0
        )
        for i, w in enumerate(self.values):
            self.averages[i] = k * self.averages[i] + (1 - k) * w
            w = self.averages[i].copy() if overwrites else w
            self.values[i] = self.constraints.get(i, lambda w: w)(w)

    def _update(self, grads):
        o = self.options
        if o["loss_scale_factor"]:
            grads = [g / o["loss_scale_factor"] for g in grads]
        if o["clipnorm"]:
            grads = [g * o["clipnorm"] / max(np.linalg.norm(g), o["clipnorm"]) for g in grads]
        if o["clipvalue"]:
            grads = [np.clip(g, -o["clipvalue"], o["clipvalue"]) for g in grads]
        if o["global_clipnorm"]:
            norm = math.sqrt(sum((g**2).sum() for g in grads))
            grads = [g * o["global_clipnorm"] / max(norm, o["global_clipnorm"]) for g in grads]
        self.updates += 1
        for i, g in enumerate(grads):
            w = self.values[i]
            if o["weight_decay"] and i not in self.excluded:
                w = w - w * o["weight_decay"] * o["learning_rate"]
            self.values[i] = self.rule(w, g, self.slots[i], o["learning_rate"], self.updates)


def descend(w, g, slots, lr, t):
    return w - lr * g


def with_momentum(mu, nesterov=False):
    def rule(w, g, slots, lr, t):
        m = slots["m"] = mu * slots.get("m", 0) - lr * g
        return w + (mu * m - lr * g if nesterov else m)

    return rule


def adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    def rule(w, g, slots, lr, t):
        m = slots["m"] = slots.get("m", 0) + (g - slots.get("m", 0)) * (1 - beta_1)
        v = slots["v"] = slots.get("v", 0) + (g * g - slots.get("v", 0)) * (1 - beta_2)
        if amsgrad:
            v = slots["top"] = np.maximum(slots.get("top", 0), v)
        return w - lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)

    return rule


def rmsprop(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def rule(w, g, slots, lr, t):
        s = slots["s"] = rho * slots.get("s", 0) + (1 - rho) * g * g
        a = slots["a"] = rho * slots.get("a", 0) + (1 - rho) * g if centered else 0.0
        m = slots["m"] = momentum * slots.get("m", 0) + lr * g / np.sqrt(s - a * a + epsilon)
        return w - m

    return rule


RULES = {
    "SGD": (optimizers.SGD, {}, descend),
    "SGD momentum": (optimizers.SGD, {"momentum": 0.9}, with_momentum(0.9)),
    "SGD nesterov": (optimizers.SGD, {"momentum": 0.7, "nesterov": True}, with_momentum(0.7, True)),
    "SGD nesterov alone": (optimizers.SGD, {"nesterov": True}, descend),
    "Adam": (optimizers.Adam, {}, adam()),
    "Adam settings": (optimizers.Adam, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}, adam(0.5, 0.9, 0.1)),
    "Adam without memory": (optimizers.Adam, {"beta_1": 0.0, "beta_2": 0.0}, adam(0.0, 0.0)),
    "RMSprop": (optimizers.RMSprop, {}, rmsprop()),
    "RMSprop momentum": (optimizers.RMSprop, {"momentum": 0.5, "rho": 0.8}, rmsprop(0.8, 0.5)),
    "RMSprop centered": (
        optimizers.RMSprop,
        {"centered": True, "epsilon": 1e-3},
        rmsprop(0.9, 0.0, 1e-3, True),
    ),
    "RMSprop in full": (
        optimizers.RMSprop,
        {"momentum": 0.9, "centered": True, "epsilon": 1e-3},
        rmsprop(0.9, 0.9, 1e-3, True),
    ),
    "Adam amsgrad": (optimizers.Adam, {"amsgrad": True, "beta_2": 0.5}, adam(beta_2=0.5, amsgrad=True)),
}

OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 1.5},
    "clipnorm, never reached": {"clipnorm": 1e6},
    "clipvalue": {"clipvalue": 0.5},
    "global_clipnorm": {"global_clipnorm": 2.0},
    "weight_decay": {"weight_decay": 0.3},
    "weight_decay 0": {"weight_decay": 0.0},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema overwrites": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "loss scale": {"loss_scale_factor": 64.0},
    "everything": {
        "global_clipnorm": 1.0,
        "weight_decay": 0.1,
        "use_ema": True,
        "ema_momentum": 0.9,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
        "loss_scale_factor": 8.0,
    },
}

every_rule = pytest.mark.parametrize("rule", RULES)


def variables(dtype="float64", seed=0):
    generator = np.random.default_rng(seed)
    made = [
        Variable(generator.standard_normal(shape), dtype=dtype, name=name) for name, shape in SHAPES.items()
    ]
    for v in made:
        v.path = f"layer/{v.name}"
    return made


def gradients(step, dtype="float64"):
    """Some of them small, some large."""
    generator = np.random.default_rng(100 + step)
    return [
        10 ** generator.uniform(-2, 1) * generator.standard_normal(shape).astype(dtype)
        for shape in SHAPES.values()
    ]


def close(made, reference, rtol=1e-9):
    for v, expected in zip(made, reference.values, strict=True):
        np.testing.assert_allclose(v.numpy(), expected, rtol=rtol, atol=rtol * 1e-2)


def test_every_optimizer_is_tested():
    classes = {v.__name__ for v in optimizers.registry.members.values()}
    assert classes == {name.split()[0] for name in RULES}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@every_rule
def test_against_the_reference(rule, options):
    make, settings, formula = RULES[rule]
    made = variables()
    optimizer = make(learning_rate=RATE, **settings, **options)
    reference = Reference(formula, [v.numpy() for v in made], learning_rate=RATE, **options)
    for step in range(10):
        optimizer.apply(gradients(step), made)
        reference.step(gradients(step))
        close(made, reference)
        assert optimizer.iterations == reference.updates
    if options.get("use_ema"):
        optimizer.finalize_variable_values(made)
        for v, average in zip(made, reference.averages, strict=True):
            np.testing.assert_allclose(v.numpy(), average, rtol=1e-9)


@every_rule
def test_float32(rule):
    make, settings, formula = RULES[rule]
    made = variables("float32")
    optimizer = make(learning_rate=RATE, **settings)
    reference = Reference(formula, [v.numpy().astype("float64") for v in made], learning_rate=RATE)
    for step in range(10):
        optimizer.apply(gradients(step, "float32"), made)
        reference.step(gradients(step, "float32"))
    close(made, reference, rtol=2e-4)
    assert {v.dtype.name for v in made} == {"float32"}


@pytest.mark.parametrize(
    "excluded",
    [
        {"var_names": ["bias"]},
        {"var_names": ["layer/b", "^nothing$"]},
        {"var_names": ["bi.s", "gam+a"]},
        {"var_list": [1]},
    ],
    ids=["name", "part of a path", "patterns", "list"],
)
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_exclude_from_weight_decay(rule, excluded):
    make, settings, formula = RULES[rule]
    made = variables()
    optimizer = make(learning_rate=RATE, weight_decay=0.5, **settings)
    if "var_list" in excluded:
        excluded = {"var_list": [made[i] for i in excluded["var_list"]]}
    left_out = (1, 3) if "gam+a" in excluded.get("var_names", ()) else (1,)
    optimizer.exclude_from_weight_decay(**excluded)
    reference = Reference(formula, [v.numpy() for v in made], left_out, learning_rate=RATE, weight_decay=0.5)
    for step in range(4):
        optimizer.apply(gradients(step), made)
        reference.step(gradients(step))
        close(made, reference)
    with pytest.raises(ValueError, match="before"):
        optimizer.exclude_from_weight_decay(var_names=["gamma"])


@every_rule
def test_constraints_come_last(rule):
    make, settings, formula = RULES[rule]
    made = variables()
    made[0].constraint = keras.constraints.NonNeg()
    made[3].constraint = keras.constraints.MaxNorm(0.5)

    def max_norm(w):
        norm = np.sqrt((w**2).sum(0, keepdims=True))
        return w * np.clip(norm, 0, 0.5) / (1e-7 + norm)

    optimizer = make(learning_rate=RATE, **settings)
    limits = {0: lambda w: np.maximum(w, 0), 3: max_norm}
    reference = Reference(formula, [v.numpy() for v in made], constraints=limits, learning_rate=RATE)
    for step in range(5):
        optimizer.apply(gradients(step), made)
        reference.step(gradients(step))
        close(made, reference)
    assert (made[0].numpy() >= 0).all() and np.linalg.norm(made[3].numpy()) <= 0.5


def test_the_numbers_of_keras():
    """One variable, gradients 1, -2, 3: what the real Keras has after each step."""
    table = [
        (optimizers.SGD(0.1), [0.9, 1.1, 0.8]),
        (optimizers.SGD(0.1, momentum=0.9), [0.9, 1.01, 0.809]),
        (optimizers.SGD(0.1, momentum=0.9, nesterov=True), [0.81, 1.109, 0.6281]),
        (optimizers.Adam(0.1), [0.9, 0.93661, 0.902287]),
        (optimizers.Adam(0.1, weight_decay=0.1), [0.89, 0.91771, 0.87421]),
        (optimizers.RMSprop(0.1), [0.6837724, 0.9694867, 0.7104228]),
        (optimizers.RMSprop(0.1, centered=True), [0.6666669, 0.9559755, 0.6929188]),
        (optimizers.RMSprop(0.1, momentum=0.9), [0.6837724, 0.6848818, 0.4268164]),
        (optimizers.SGD(0.1, clipnorm=1.0), [0.9, 1.0, 0.9]),
        (optimizers.SGD(0.1, clipvalue=0.5), [0.95, 1.0, 0.95]),
        (optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2), [0.9, 0.92, 0.62]),
        (optimizers.SGD(0.1, gradient_accumulation_steps=2), [1.0, 1.05, 1.05]),
        (optimizers.Adam(0.1, gradient_accumulation_steps=2), [1.0, 1.0999987, 1.0999987]),
    ]
    for optimizer, expected in table:
        v, seen = Variable(1.0), []
        for gradient in (1.0, -2.0, 3.0):
            optimizer.apply_gradients([(gradient, v)])
            seen.append(float(v))
        np.testing.assert_allclose(seen, expected, rtol=3e-6)


# ------------------------------------------------------------------------------------------- which variables


@every_rule
def test_a_variable_without_a_gradient_is_left_as_it_is(rule):
    make, settings, formula = RULES[rule]
    made = variables()
    optimizer = make(learning_rate=RATE, weight_decay=0.1, global_clipnorm=1.0, **settings)
    reference = Reference(
        formula, [v.numpy() for v in made[1:]], learning_rate=RATE, weight_decay=0.1, global_clipnorm=1.0
    )
    before = made[0].numpy()
    for step in range(3):
        with pytest.warns(UserWarning, match="layer/kernel"):
            optimizer.apply([None, *gradients(step)[1:]], made)
        reference.step(gradients(step)[1:])
    assert_same(made[0].numpy(), before)
    close(made[1:], reference)


def test_no_gradient_at_all():
    made = variables()
    with pytest.raises(ValueError, match="gradient"):
        optimizers.SGD().apply([None] * len(made), made)


@every_rule
def test_slots_of_variables_that_get_no_gradient_meanwhile_are_kept(rule):
    """As in Keras: steps may name some of the variables that the optimizer was built for, in any order."""
    make, settings, formula = RULES[rule]
    made = variables()
    optimizer = make(learning_rate=RATE, **settings)
    optimizer.build(made)
    first = Reference(formula, [made[0].numpy()], learning_rate=RATE)
    second = Reference(formula, [made[1].numpy()], learning_rate=RATE)
    for step in range(6):
        i, reference, other = (0, first, second) if step % 2 == 0 else (1, second, first)
        with Quiet():
            optimizer.apply_gradients([(gradients(step)[i], made[i])])
        reference.updates = step  # the step count is the optimizer's, not the variable's
        reference.step([gradients(step)[i]])
        close(made[:2], Reference(None, [first.values[0], second.values[0]]))
    reordered = make(learning_rate=RATE, **settings)
    again = variables()
    reference = Reference(formula, [v.numpy() for v in again], learning_rate=RATE)
    for step in range(4):
        pairs = list(zip(gradients(step), again, strict=True))
        reordered.apply_gradients(pairs if step % 2 else reversed(pairs))
        reference.step(gradients(step))
        close(again, reference)


def test_gradients_that_do_not_fit():
    made = variables()
    before = [v.numpy() for v in made]
    with pytest.raises(ValueError, match=r"layer/kernel.*\(5, 3\).*\(3, 5\)"):
        optimizers.SGD().apply([g.T for g in gradients(0)], made)
    with pytest.raises(ValueError, match="3 gradients for 4 variables"):
        optimizers.SGD().apply(gradients(0)[:3], made)
    assert_same([v.numpy() for v in made], before)


def test_mixed_precision_is_refused():
    with pytest.raises(ValueError, match=r"dtype.*float32.*float64"):
        optimizers.SGD().apply([1.0, 1.0], [Variable(1.0, dtype="float32"), Variable(1.0, dtype="float64")])


def test_tensors_and_lists_as_gradients():
    a, b = Variable([1.0, 2.0]), Variable([1.0, 2.0])
    optimizers.SGD(1.0).apply([keras.Tensor([0.5, 1.0])], [a])
    optimizers.SGD(1.0).apply([[0.5, 1.0]], [b])
    assert_same([a.numpy(), b.numpy()], [np.array([0.5, 1.0], "float32")] * 2)


def test_a_training_loop_of_ones_own():
    x, y = data(64)
    model = network(optimizer=optimizers.Adam(0.02))
    loss_function, seen = keras.losses.BinaryCrossentropy(), []
    for _ in range(40):
        loss = loss_function(y, model(x, training=True))
        for v in model.trainable_weights:
            v.grad = None
        loss.backward()
        model.optimizer.apply_gradients((v.grad, v) for v in model.trainable_weights)
        seen.append(float(loss))
    assert seen[-1] < 0.5 * seen[0] and model.optimizer.iterations == 40


# -------------------------------------------------------------------------------------------- learning rate


def test_learning_rate_reads_as_in_keras():
    optimizer = optimizers.Adam(0.001)
    assert float(optimizer.learning_rate) == 0.0010000000474974513
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


# ---------------------------------------------------------------------------------------------------- in fit


@contextlib.contextmanager
def nothing_warned():
    with Quiet():
        yield


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("rule", ["SGD momentum", "Adam", "Adam amsgrad"])
def test_replay_equals_eager_with_every_option(rule, options):
    make, settings, _ = RULES[rule]

    def train(run_eagerly):
        model = network(optimizer=make(learning_rate=0.02, **settings, **options), run_eagerly=run_eagerly)
        x, y = data(42)
        with nothing_warned():
            history = model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model), history.history

    assert_same(train(False), train(True))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_fit_against_the_reference(options):
    """A linear model, whose gradients NumPy knows."""
    x, y = data(20, target="regression", dtype="float64")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,), dtype="float64"), keras.layers.Dense(1, dtype="float64")])
    model.compile(optimizers.Adam(RATE, **options), "mse")
    reference = Reference(adam(), [w.copy() for w in model.get_weights()], learning_rate=RATE, **options)
    scale = options.get("loss_scale_factor") or 1.0
    for _ in range(3):
        for start in range(0, 20, 4):
            rows = slice(start, start + 4)
            error = x[rows] @ reference.values[0] + reference.values[1] - y[rows]
            reference.step([scale * 2 * x[rows].T @ error / 4, scale * 2 * error.sum(0) / 4])
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        if options.get("use_ema"):
            for i, (w, average) in enumerate(zip(model.get_weights(), reference.averages, strict=True)):
                np.testing.assert_allclose(w, average, rtol=1e-8)
                reference.values[i] = average.copy()
        np.testing.assert_allclose(model.get_weights()[0], reference.values[0], rtol=1e-8)
        np.testing.assert_allclose(model.get_weights()[1], reference.values[1], rtol=1e-8)
        assert model.optimizer.iterations == reference.updates


def test_validation_during_training_uses_the_raw_weights_not_the_averages():
    x, y = data(32)
    model = network(optimizer=optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    plain = network(optimizer=optimizers.SGD(0.1))
    settings = {"validation_data": (x, y), "batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0}
    assert model.fit(x, y, **settings).history == plain.fit(x, y, **settings).history
    assert not np.array_equal(model.get_weights()[0], plain.get_weights()[0])


def test_optimizer_state_lives_on_over_fits_and_recompiling_an_instance():
    x, y = data(32)
    settings = {"batch_size": 8, "shuffle": False, "verbose": 0}
    once, twice, anew = network(), network(), network()
    once.fit(x, y, epochs=2, **settings)
    twice.fit(x, y, **settings)
    twice.fit(x, y, epochs=2, initial_epoch=1, **settings)
    assert_same(state(once), state(twice))
    anew.fit(x, y, **settings)
    anew.compile(anew.optimizer, "binary_crossentropy", metrics=["accuracy"])
    anew.fit(x, y, **settings)
    assert_same(once.get_weights(), anew.get_weights())
    assert anew.optimizer.iterations == 8
    anew.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    assert anew.optimizer.iterations == 0


@every_rule
def test_variables_of_an_optimizer(rule):
    make, settings, _ = RULES[rule]
    model = network(optimizer=make(**settings))
    model.fit(*data(8), verbose=0)
    count = len(model.trainable_weights)
    slots = {
        "SGD": 1 if "momentum" in settings else 0, "Adam": 3 if "amsgrad" in settings else 2,
        "RMSprop": 1 + ("momentum" in settings) + ("centered" in settings),
    }[make.__name__]
    assert len(model.optimizer.variables) == 2 + slots * count
    iteration, rate = model.optimizer.variables[:2]
    assert int(iteration) == 1 and iteration.dtype == np.int64 and iteration.shape == rate.shape == ()


def test_trained_weights_lie_in_one_buffer():
    model = network()
    model.fit(*data(8), verbose=0)
    buffer = model.optimizer._weights
    for v in model.trainable_weights:
        assert np.shares_memory(v._data, buffer) and v._data.ctypes.data % 64 == 0
        assert np.shares_memory(v._gradient, model.optimizer._gradients)
    updates = [line for line in str(model.train_program).splitlines() if " adam " in f" {line} "]
    assert sum(line.split()[1] == "adam" for line in updates) == 1


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


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@every_rule
def test_config_round_trip(rule, options):
    make, settings, _ = RULES[rule]
    optimizer = make(learning_rate=0.25, name="mine", **settings, **options)
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
        (lambda: optimizers.get(None), ["optimizer", "None"]),
        (lambda: optimizers.get(3), ["optimizer", "3"]),
        (lambda: optimizers.Adam(lr=0.1), ["Adam", "lr", "learning_rate"]),
        (lambda: optimizers.Adam(learning_rte=0.1), ["Adam", "learning_rte", "learning_rate"]),
        (lambda: optimizers.SGD(beta_1=0.9), ["SGD", "beta_1"]),
        (lambda: optimizers.Adam(1), ["Adam", "learning_rate", "float", "1"]),
        (lambda: optimizers.Adam("0.1"), ["Adam", "learning_rate", "'0.1'"]),
        (lambda: optimizers.Adam(np.float32(0.1)), ["Adam", "learning_rate", "float32"]),
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
        (lambda: optimizers.RMSprop(epsilon=None), ["RMSprop", "epsilon", "None"]),
        (lambda: optimizers.SGD(momentum=1), ["SGD", "momentum", "1"]),
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


def test_the_old_argument_decay_warns():
    with pytest.warns(UserWarning, match="decay"):
        optimizers.Adam(decay=1e-6)


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


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_settings_changed_later_count_from_the_next_compile(run_eagerly):
    x, y = data(24)

    def train(before, after):
        model = network(optimizer=optimizers.SGD(0.01, weight_decay=before), run_eagerly=run_eagerly)
        model.fit(x, y, batch_size=8, verbose=0)
        model.optimizer.weight_decay = after
        model.compile(model.optimizer, "binary_crossentropy", run_eagerly=run_eagerly)
        weights = model.get_weights()
        model.fit(x, y, batch_size=8, verbose=0)
        return np.linalg.norm(model.get_weights()[0]) - np.linalg.norm(weights[0])

    assert train(0.1, 9.0) < train(0.1, 0.1) - 0.1
