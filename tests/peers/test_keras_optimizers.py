"""Every optimizer with every option, and every schedule, beside the real Keras on TensorFlow: weights and state.

In float32, in which both round: what is compared are a few steps from the same gradients.
"""

import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad import Variable, ops, optimizers

sys.path.insert(0, str(Path(__file__).parents[1]))
from optimizer_reference import OPTIONS, RULES, SHAPES, gradients, hooked

pytestmark = pytest.mark.peers

SCHEDULES = {
    "none": lambda s: 0.0625,
    "exponential": lambda s: s.ExponentialDecay(0.1, 3, 0.5),
    "warm-up": lambda s: s.CosineDecay(0.01, 3, warmup_target=0.1, warmup_steps=3),
}


def start():
    generator = np.random.default_rng(5)
    return {name: generator.standard_normal(shape).astype("float32") for name, shape in SHAPES.items()}


def run(library, variables, make, arguments, convert):
    """(paths, values) of variables and state after the first step and after seven."""
    optimizer = make(**{"learning_rate": 0.0625, "name": "it", **arguments})
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    for step in range(7):
        given = [convert(np.asarray(g, "float32")) for g in gradients(step)]
        optimizer.apply_gradients(list(zip(given, variables, strict=True)))
        if step in (0, 6):
            everything = [*variables, *optimizer.variables]
            yield [(v.path, tuple(v.shape), str(v.dtype).replace("int32", "int64")) for v in everything], [v.numpy() for v in everything]
    optimizer.finalize_variable_values(variables)
    yield [], [v.numpy() for v in variables]


def cases():
    """Every rule as it is and with a schedule; and every option with a third of the rules, so that each meets many."""
    for i, rule in enumerate(RULES):
        yield rule, "plain", "none"
        yield rule, ("plain", "accumulation", "weight_decay")[i % 3], ("exponential", "warm-up")[i % 2]
        for j, options in enumerate(OPTIONS):
            if options != "plain" and i % 3 == j % 3:
                yield rule, options, "none"


@pytest.mark.parametrize("rule, options, schedule", list(cases()))
def test_steps_and_state(rule, options, schedule, keras):
    make, settings, _ = RULES[rule]
    arguments = {**settings, **OPTIONS[options]}
    rate = SCHEDULES[schedule]
    theirs = run(
        keras,
        [keras.Variable(value, name=name) for name, value in start().items()],
        getattr(keras.optimizers, make.__name__),
        {**arguments, "learning_rate": rate(keras.optimizers.schedules)},
        keras.ops.convert_to_tensor,
    )
    ours = run(
        None,
        [Variable(value, name=name) for name, value in start().items()],
        make,
        {**arguments, "learning_rate": rate(optimizers.schedules)},
        lambda g: g,
    )
    for (their_names, their_values), (our_names, our_values) in zip(theirs, ours, strict=True):
        assert our_names == [(re.sub(r"variable(_\d+)?$", "product", path), *rest) for path, *rest in their_names]
        for name, a, b in zip(our_names, our_values, their_values, strict=False):
            np.testing.assert_allclose(a, b, rtol=3e-5, atol=1e-6, err_msg=name[0])


@pytest.mark.parametrize("rule", RULES)
def test_overridden_methods(rule, keras):
    """Of what makes gradients, rates and changes smaller, on each of the ways that Keras leaves open."""
    make, settings, _ = RULES[rule]
    their = hooked(getattr(keras.optimizers, make.__name__), keras.ops)
    theirs = run(
        keras,
        [keras.Variable(value, name=name) for name, value in start().items()],
        their,
        settings,
        keras.ops.convert_to_tensor,
    )
    ours = run(
        None,
        [Variable(value, name=name) for name, value in start().items()],
        hooked(make, ops),
        settings,
        ops.convert_to_tensor,
    )
    for (_, their_values), (our_names, our_values) in zip(theirs, ours, strict=True):
        assert len(our_values) == len(their_values)
        for name, a, b in zip(our_names, our_values, their_values, strict=False):
            np.testing.assert_allclose(a, b, rtol=5e-4, atol=1e-5, err_msg=name[0])


@pytest.mark.parametrize("name, arguments", [
    ("ExponentialDecay", (0.3, 7, 0.8)), ("ExponentialDecay", (0.3, 7, 0.8, True)),
    ("ExponentialDecay", (0.3, 49, 0.8, True)), ("InverseTimeDecay", (0.3, 7, 0.8)),
    ("InverseTimeDecay", (0.3, 7, 0.8, True)), ("PiecewiseConstantDecay", ([3, 20], [0.5, 0.1, 0.01])),
    ("PolynomialDecay", (0.3, 10)), ("PolynomialDecay", (0.3, 10, 0.01, 2.5)),
    ("PolynomialDecay", (0.3, 10, 0.01, 0.5, True)), ("CosineDecay", (0.3, 10)), ("CosineDecay", (0.3, 10, 0.2)),
    ("CosineDecay", (0.1, 20, 0.1, "x", 0.6, 15)), ("CosineDecay", (0.1, 20, 0.1, "x", 0.6)),
    ("CosineDecayRestarts", (0.3, 7)), ("CosineDecayRestarts", (0.3, 7, 1.0, 0.9, 0.1)),
    ("CosineDecayRestarts", (0.3, 7, 1.5, 0.8)),
])  # fmt: skip
def test_schedules(name, arguments, keras):
    """Step for step; but where a period ends, rounding may put Keras on the side of the last one."""
    theirs, ours = (getattr(s, name)(*arguments) for s in (keras.optimizers.schedules, optimizers.schedules))
    steps = [*range(60), 1000, 12345]
    near = [float(theirs(t)) for t in steps]
    if name == "CosineDecayRestarts":
        after = [float(theirs(t + 1e-3)) for t in steps]
        near = [b if abs(b - a) > 0.02 else a for a, b in zip(near, after, strict=True)]
    np.testing.assert_allclose([float(ours(t)) for t in steps], near, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(ours(np.array(steps)).numpy(), near, rtol=2e-5, atol=1e-6)
    assert ours.get_config() == theirs.get_config()
    assert optimizers.schedules.serialize(ours) == keras.optimizers.schedules.serialize(theirs)


@pytest.mark.parametrize("rule", RULES)
def test_configs(rule, keras):
    make, settings, _ = RULES[rule]
    arguments = {**settings, "name": "it", "clipnorm": 1.0}
    ours, theirs = make(**arguments), getattr(keras.optimizers, make.__name__)(**arguments)
    assert ours.get_config() == theirs.get_config()
    assert optimizers.serialize(ours) == keras.optimizers.serialize(theirs)
    assert type(optimizers.deserialize(keras.optimizers.serialize(theirs))) is make
    again = keras.optimizers.deserialize(optimizers.serialize(ours))
    assert again.get_config() == theirs.get_config()


@pytest.mark.parametrize("name", sorted({make.__name__ for make, *_ in RULES.values()}))
def test_signatures(name, keras):
    ours, theirs = (inspect.signature(getattr(o, name)) for o in (optimizers, keras.optimizers))
    assert [(p.name, p.default, p.kind) for p in ours.parameters.values()] == [
        (p.name, p.default, p.kind) for p in theirs.parameters.values()
    ]
