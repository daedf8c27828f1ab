"""Methods of optimizers that people override, as Keras allows: `fit` calls them, recorded or eager.

What the changed rules give is beside the real Keras in tests/peers/test_keras_optimizers.py.
"""

import numpy as np
import pytest
from helpers import assert_same, data, network, state
from optimizer_reference import RULES, gradients, hooked, variables

import minigrad as keras
from minigrad import ops, optimizers

every_rule = pytest.mark.parametrize("rule", ["SGD nesterov", "Adam amsgrad", "AdamW", "RMSprop in full", "Adagrad",
                                              "Adadelta", "Adamax", "Nadam", "Lion", "Ftrl", "Adafactor"])  # fmt: skip


def trained(optimizer, run_eagerly=False, dropout=0.0):
    model = network(optimizer=optimizer, run_eagerly=run_eagerly, dropout=dropout)
    for _ in range(2):
        model.fit(*data(42), batch_size=8, verbose=0)
    assert (model.train_program is None) is run_eagerly
    return state(model)


class Centralized(optimizers.Adam):
    """Gradients of matrices have mean 0 over their rows (Yong et al. 2020)."""

    def apply_gradients(self, grads_and_vars, *args, **kwargs):
        pairs = [(g - ops.mean(g, axis=0, keepdims=True) if g.ndim > 1 else g, v) for g, v in grads_and_vars]
        return super().apply_gradients(pairs, *args, **kwargs)


class Noisy(optimizers.SGD):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.noise = keras.random.SeedGenerator(7)

    def apply_gradients(self, grads_and_vars):
        return super().apply_gradients(
            [(g + keras.random.normal(g.shape, stddev=0.1, seed=self.noise), v) for g, v in grads_and_vars]
        )


class Clipped(optimizers.Adam):
    """All gradients together get at most the norm 0.05, and some of them none."""

    def apply(self, grads, trainable_variables=None):
        norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in grads))
        super().apply([g * ops.minimum(1.0, 0.05 / norm) for g in grads], trainable_variables)


@pytest.mark.parametrize("make", [Centralized, Noisy, Clipped])
@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 3}, {"use_ema": True, "weight_decay": 0.1}])
def test_replayed_and_eager_agree(make, options):
    rates = trained(make(0.05, **options)), trained(make(0.05, **options), True)
    assert_same(*rates)
    plain = trained(make.__base__(0.05, **options))
    assert all(not np.array_equal(plain[name], value) for name, value in rates[0].items() if name.startswith("weight/0"))


def test_what_they_are_given_is_what_counts():
    """Centralizing by hand, in a loop, and clipping by the setting: the same."""
    by_hand, by_hook = (variables("float32") for _ in range(2))
    plain, hook = optimizers.Adam(0.05), Centralized(0.05)
    for i in range(3):
        given = [np.asarray(g, "float32") for g in gradients(i)]
        for optimizer, weights in ((plain, by_hand), (hook, by_hook)):
            optimizer.build(weights)
            for v, g in zip(weights, given, strict=True):
                v.grad = g - g.mean(axis=0, keepdims=True) if optimizer is plain and g.ndim > 1 else g
            optimizer.step()
    for a, b in zip(by_hand, by_hook, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    ours, theirs = trained(Clipped(0.05)), trained(optimizers.Adam(0.05, global_clipnorm=0.05))
    for name, value in theirs.items():
        if name.startswith("weight"):
            np.testing.assert_allclose(ours[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_an_override_that_steps_itself():
    class Signs(optimizers.SGD):
        def apply_gradients(self, grads_and_vars):
            for g, v in grads_and_vars:
                v.assign_sub(0.01 * ops.sign(g))

    model = network(optimizer=Signs())
    before = model.get_weights()[0]
    model.fit(*data(8), batch_size=8, verbose=0)
    np.testing.assert_allclose(np.abs(model.get_weights()[0] - before), 0.01, rtol=1e-3)
    assert int(model.optimizer.iterations) == 0


def test_a_method_of_the_instance_counts_from_the_next_fit():
    model = network(optimizer=optimizers.SGD(0.1))
    model.fit(*data(8), verbose=0)
    before = model.get_weights()
    model.optimizer.apply = lambda grads, trainable_variables=None: None
    model.fit(*data(8), verbose=0)
    assert_same(before[:2], model.get_weights()[:2])


@every_rule
def test_update_step_and_super(rule):
    """With what it is given it does what the fused step does, to the bit; and with less, less."""
    make, settings, _ = RULES[rule]
    if rule == "Adafactor":
        settings = {**settings, "relative_step": False}

    class Same(make):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)

    class Half(make):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate * 0.5)

    one = trained(make(learning_rate=0.0625, name="it", **settings))
    assert_same(one, trained(Same(learning_rate=0.0625, name="it", **settings)))
    if rule not in ("AdamW", "Adafactor"):  # whose rates do more than the rule's last factor
        half = trained(make(learning_rate=0.03125, name="it", **settings))
        other = trained(Half(learning_rate=0.0625, name="it", **settings))
        assert half.pop("optimizer 1") * 2 == other.pop("optimizer 1")  # the learning rate
        assert_same(half, other)


@every_rule
def test_every_method_at_once(rule):
    make, settings, _ = RULES[rule]
    both = [trained(hooked(make, ops)(learning_rate=0.0625, name="it", **settings), eager) for eager in (False, True)]
    assert_same(*both)


@every_rule
def test_changes_go_through_assign(rule):
    """Each weight and slot is handed over; passed on, they change as ever, up to rounding."""
    make, settings, _ = RULES[rule]
    seen = set()

    class Watched(make):
        def assign(self, variable, value):
            seen.add(variable.path)
            super().assign(variable, value)

        def assign_add(self, variable, value):
            seen.add(variable.path)
            super().assign_add(variable, value)

        def assign_sub(self, variable, value):
            seen.add(variable.path)
            super().assign_sub(variable, value)

    results = []
    for kind in (make, Watched):
        optimizer, weights = kind(learning_rate=0.0625, name="it", **settings), variables("float32")
        for i in range(3):
            optimizer.apply(gradients(i), weights)
        results.append([v.numpy() for v in [*weights, *optimizer.variables]])
        paths = {v.path for v in [*weights, *optimizer.variables]}
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    own = {"it/iteration", "it/learning_rate", "it/product"}
    assert seen == paths - own - {v.path for v in optimizer.variables if v.dtype.kind == "i"}  # placeholders


def test_slots_start_as_add_variable_says():
    made = []

    class Warm(optimizers.Adam):
        def add_variable(self, shape, initializer="zeros", dtype=None, **options):
            made.append(super().add_variable(shape, "ones" if len(shape) > 1 else initializer, dtype, **options))
            return made[-1]

    optimizer, weights = Warm(0.1, name="it"), variables("float32")
    optimizer.build(weights)
    assert [v.path for v in made] != [] and {v.path for v in made} == {v.path for v in optimizer.variables[2:]}
    assert [float(v.numpy().mean()) for v in optimizer.variables[2:4]] == [1.0, 1.0]
    optimizer.apply(gradients(0), weights)
    assert (made[0].numpy() != 1).all(), "what it made is what changes"
    kept = [v.numpy() for v in optimizer.variables]
    optimizers.SGD(0.0).build(weights)
    optimizer.build(weights)
    assert len(made) == 2 * len(weights)
    assert_same(kept, [v.numpy() for v in optimizer.variables])


def test_a_gradient_of_another_shape():
    class Summed(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(ops.sum(gradient), variable, learning_rate)

    with pytest.raises(ValueError, match=r"gradient of layer/kernel has shape \(\), not \(3, 5\)"):
        Summed(0.1).apply(gradients(0), variables("float32"))
