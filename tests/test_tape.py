"""GradientTape: the same gradients as `backward`, of any sources, and nothing computed that nobody asked for."""

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import Tensor, Variable, ops
from minigrad.layers import BatchNormalization, Dense
from minigrad.program import trace
from minigrad.tensor import GradientTape, no_grad

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((16, 5)).astype("float32"), rng.standard_normal((16, 1)).astype("float32")


def network(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((5,)), Dense(8, activation="relu"), BatchNormalization(), Dense(1)])


def loss_of(model, x=X):
    return ops.mean(ops.square(model(x, training=True) - Y))


def with_tape(model, optimizer):
    with GradientTape() as tape:
        loss = optimizer.scale_loss(loss_of(model))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))


def with_backward(model, optimizer):
    for v in model.trainable_variables:
        v.grad = None
    optimizer.build(model.trainable_variables)
    optimizer.scale_loss(loss_of(model)).backward()
    optimizer.step()


@pytest.mark.parametrize("options", [{}, {"clipnorm": 0.1}, {"loss_scale_factor": 2.0}, {"use_ema": True}], ids=str)
def test_steps_with_a_tape_are_those_with_backward(options):
    weights = []
    for step in (with_tape, with_backward):
        model, optimizer = network(), keras.optimizers.Adam(0.01, **options)
        for _ in range(4):
            step(model, optimizer)
        program = keras.Program(lambda: step(model, optimizer))
        program.replay(3)
        weights.append([*model.get_weights(), *(v.numpy() for v in optimizer.variables)])
    assert_same(*weights)


def test_an_optimizer_takes_the_gradients_from_where_they_are():
    """The Program of a step with a tape has not one launch more than that of a step with `backward`."""
    counts = []
    for step in (with_tape, with_backward):
        model, optimizer = network(), keras.optimizers.Adam(0.01)
        step(model, optimizer)
        counts.append(len(keras.Program(lambda: step(model, optimizer))))
    assert counts[0] <= counts[1]


def test_gradients_that_are_kept_stay_what_they_are():
    model = network()
    keras.optimizers.SGD().build(model.trainable_variables)
    found = []
    for factor in (1.0, 3.0):
        with GradientTape() as tape:
            loss = factor * loss_of(model)
        found.append(tape.gradient(loss, model.trainable_variables))
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(3 * first.numpy(), second.numpy(), rtol=1e-4, atol=1e-6)


def test_trees_of_sources_and_of_targets():
    a, b = Variable([1.0, 2.0]), Variable([3.0, 4.0])
    with GradientTape() as tape:
        product, square = a * b, ops.square(a)
    found = tape.gradient({"one": product, "two": [square]}, {"a": a, "b": (b, a)})
    assert found["a"].numpy().tolist() == found["b"][1].numpy().tolist() == [5.0, 8.0]  # b + 2 a
    assert found["b"][0].numpy().tolist() == [1.0, 2.0]
    weighed = tape.gradient(product, a, output_gradients=[10.0, 100.0])
    assert weighed.numpy().tolist() == [30.0, 400.0]
    # A target may be a view of another one, or a source.
    with GradientTape() as tape:
        y = a * 2.0
        flat = ops.reshape(y, (1, 2))
    assert tape.gradient([y, flat], a).numpy().tolist() == [4.0, 4.0]
    assert tape.gradient([y, flat], y).numpy().tolist() == [2.0, 2.0]


def test_what_is_no_variable_can_be_a_source():
    model, x = network(), Tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        hidden = model.layers[0](x)
        loss = ops.mean(ops.square(model.layers[2](model.layers[1](hidden)) - Y))
    gx, gh = tape.gradient(loss, [x, hidden])
    assert not x.requires_grad
    np.testing.assert_allclose(gx.numpy(), (gh.numpy() * (hidden.numpy() > 0)) @ model.layers[0].kernel.numpy().T, atol=1e-7)


def test_what_does_not_depend_on_a_source():
    a, b = Variable([1.0]), Variable([2.0])
    before = a * 3.0
    with GradientTape() as tape:
        loss = ops.sum(before * b)
    assert tape.gradient(loss, a) is None  # computed before the block: a constant
    assert tape.gradient(loss, b).numpy().tolist() == [3.0]
    assert tape.gradient(loss, [a], unconnected_gradients="zero")[0].numpy().tolist() == [0.0]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(a)
        loss = ops.sum(a * b)
    assert tape.gradient(loss, [a, b])[1] is None
    with GradientTape() as tape:
        loss = ops.sum(b * 2.0)
        with tape.stop_recording():
            more = ops.sum(b * 5.0)
    assert tape.gradient([loss, more], b).numpy().tolist() == [2.0]


def test_nothing_is_computed_that_nobody_asked_for():
    """The gradient of a generator's loss costs no gradients of the weights of the discriminator, and vice versa."""
    first, second = Dense(4), Dense(1)
    second(first(X))

    def launches(variables, before):
        with no_grad() if before else GradientTape():
            hidden = first(X)
        with GradientTape() as tape:
            loss = ops.sum(second(first(X) if not before else hidden))
        return trace(lambda: tape.gradient(loss, variables))

    both = launches([*first.variables, *second.variables], False)
    assert len(launches(second.variables, False)) < len(both)
    assert len(launches(first.variables, False)) < len(both)
    assert len(launches(second.variables, True)) == len(launches(second.variables, False))


def test_eager_inference_inside_a_tape_is_differentiated():
    model = network()
    with GradientTape() as tape:
        loss = ops.sum(model(X))
    found = tape.gradient(loss, model.trainable_variables)
    ops.sum(model.call(Tensor(X), training=False)).backward()
    assert_same([g.numpy() for g in found], [v.grad for v in model.trainable_variables])


def test_what_a_tape_refuses():
    a = Variable([1.0, 2.0])
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        GradientTape().gradient(a, a)
    with GradientTape() as tape, pytest.raises(ValueError, match="expected tensors, got 1.0"):
        tape.watch(1.0)
    with pytest.raises(ValueError, match=r"sources must hold tensors, got 'a'"):
        tape.gradient(a, ["a"])
    with pytest.raises(ValueError, match="got 2 output_gradients for 1 targets"):
        tape.gradient([a], a, output_gradients=[1.0, 2.0])
    with GradientTape() as outer:
        with GradientTape() as inner:
            cube = ops.sum(a * a * a)
        slope = inner.gradient(cube, a)
        penalty = ops.sum(ops.square(slope))
        constant = ops.sum(ops.stop_gradient(slope) * a)
    with pytest.raises(NotImplementedError, match="gradient of a gradient"):
        outer.gradient(penalty, a)
    assert outer.gradient(constant, a).numpy().tolist() == [3.0, 12.0]
