"""Optimizers against a NumPy reference in float64, over random steps and with every option.

Then inside `fit`, replayed and eager.
"""

import contextlib

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network, state
from optimizer_reference import OPTIONS, RATE, RULES, Reference, adam, gradients, pairs, variables

import minigrad as keras
from minigrad import Variable, optimizers

every_rule = pytest.mark.parametrize("rule", RULES)


def close(made, reference, rtol=1e-9):
    for v, expected in zip(made, reference.values, strict=True):
        np.testing.assert_allclose(v.numpy(), expected, rtol=rtol, atol=rtol * 1e-2)


def test_every_optimizer_is_tested():
    classes = {v.__name__ for v in optimizers.registry.members.values()}
    assert classes == {name.split()[0] for name in RULES}


@pairs(RULES, ("SGD", "SGD momentum", "Adam amsgrad", "RMSprop in full"))
def test_against_the_reference(rule, options):
    make, settings, formula = RULES[rule]
    made = variables()
    optimizer = make(learning_rate=RATE, **{**settings, **options})
    reference = Reference(formula, [v.numpy() for v in made], learning_rate=RATE, **options)
    for step in range(10):
        optimizer.apply(gradients(step), made)
        reference.step(gradients(step))
        close(made, reference)
        assert int(optimizer.iterations) == reference.updates
    if options.get("use_ema"):
        optimizer.finalize_variable_values(made)
        for v, average in zip(made, reference.averages, strict=True):
            np.testing.assert_allclose(v.numpy(), average, rtol=1e-9)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "Adam without memory"])
def test_float32(rule):
    """Not where a g^2 takes the place of one a million times as large: v + (g^2 - v) has lost its digits."""
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
    optimizer = make(learning_rate=RATE, **{**settings, "weight_decay": 0.5})
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
        (optimizers.Adam(0.1), [0.9000010, 0.9366109, 0.9022870]),
        (optimizers.Adam(0.1, amsgrad=True), [0.9000010, 0.9366109, 0.9022870]),
        (optimizers.AdamW(0.1), [0.8996010, 0.9358511, 0.9011528]),
        (optimizers.Adam(0.1, weight_decay=0.1), [0.8900010, 0.9177110, 0.8742099]),
        (optimizers.RMSprop(0.1), [0.6837724, 0.9694867, 0.7104228]),
        (optimizers.RMSprop(0.1, centered=True), [0.6666669, 0.9559755, 0.6929188]),
        (optimizers.RMSprop(0.1, momentum=0.9), [0.6837724, 0.6848818, 0.4268164]),
        (optimizers.RMSprop(0.1, centered=True, momentum=0.9), [0.6666669, 0.6559757, 0.3832969]),
        (optimizers.Adagrad(0.1), [0.9046537, 0.9932152, 0.9133217]),
        (optimizers.Adadelta(0.1), [0.9998586, 1.0000384, 0.999822]),
        (optimizers.Adamax(0.1), [0.9, 0.9289474, 0.9042242]),
        (optimizers.Nadam(0.1), [0.8937212, 0.9818875, 0.8987149]),
        (optimizers.Lion(0.1), [0.9, 1.0, 0.9]),
        (optimizers.Ftrl(0.1), [0.6031424, 0.6917039, 0.6118103]),
        (
            optimizers.Ftrl(0.1, l1_regularization_strength=0.1, l2_regularization_strength=0.2, beta=0.3),
            [0.4482842, 0.5252571, 0.4519969],
        ),
        (optimizers.Adafactor(0.1), [0.9, 0.9899999, 0.891]),
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
        np.testing.assert_allclose(seen, expected, rtol=3e-7)


def test_powers_of_beta_are_rounded_as_in_keras():
    """In float32: the factor of the first step is 0.31622565, in float64 0.31622777."""
    for dtype, factor in (("float32", 0.31622565), ("float64", 0.31622777)):
        v = Variable(0.0, dtype=dtype)
        optimizer = optimizers.Adam(1.0, epsilon=1e9)  # w = -factor m / 1e9, m = 0.1
        optimizer.apply([1.0], [v])
        assert -float(v) * 1e10 == pytest.approx(factor, abs=6e-8)


# ------------------------------------------------------------------------------------------- which variables


@every_rule
def test_a_variable_without_a_gradient_is_left_as_it_is(rule):
    make, settings, formula = RULES[rule]
    made = variables()
    optimizer = make(learning_rate=RATE, global_clipnorm=1.0, **{**settings, "weight_decay": 0.1})
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


# ---------------------------------------------------------------------------------------------------- in fit


@contextlib.contextmanager
def nothing_warned():
    with Quiet():
        yield


@pairs(["SGD momentum", "Adam", "Adam amsgrad"], ["Adam amsgrad"])
def test_replay_equals_eager_with_every_option(rule, options):
    make, settings, _ = RULES[rule]

    def train(run_eagerly):
        model = network(optimizer=make(learning_rate=0.02, **{**settings, **options}), run_eagerly=run_eagerly)
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
        assert int(model.optimizer.iterations) == reference.updates


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
        "SGD": bool(settings.get("momentum")),
        "Adam": 2 + settings.get("amsgrad", False),
        "RMSprop": 1 + ("momentum" in settings) + ("centered" in settings),
        "Adagrad": 1,
        "Lion": 1,
        "Adafactor": 3,
    }.get(make.__name__, 2)
    assert len(model.optimizer.variables) == 2 + slots * count + (make is optimizers.Nadam)
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
