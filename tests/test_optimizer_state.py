"""The exam of every optimizer: replay equals eager, state is all there is, its order is that of Keras' files.

And optimizers of one's own, in minigrad's way and in Keras'.
"""

import copy
import inspect
import pickle

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network, state
from optimizer_reference import OPTIONS, RULES, gradients, pairs, variables

import minigrad as keras
from minigrad import Program, Variable, launch, ops, optimizers
from minigrad import kernels as K
from minigrad.configurable import Number
from minigrad.optimizers import Optimizer

ALL = {  # one of each, with every slot it can have
    name: RULES[name][:2]
    for name in ("SGD nesterov", "Adam amsgrad", "AdamW", "RMSprop in full", "Adagrad settings", "Adadelta settings",
                 "Adamax", "Nadam", "Lion", "Ftrl settings", "Adafactor")
}  # fmt: skip
every_optimizer = pytest.mark.parametrize("rule", ALL)
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def made(rule, options=None, rate=0.0625, dtype="float32"):
    """An optimizer, built for some variables, and a step that trains these towards 0.3."""
    make, settings = ALL[rule]
    trained = variables(dtype)
    trained[0].constraint = keras.constraints.MaxNorm(2.0)
    optimizer = make(**{"learning_rate": rate, "name": "it", **settings, **(options or {})})
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(trained)

    def step():
        for v in trained:
            v.grad = None
        loss = ops.sum(ops.square(trained[0] - 0.3))
        for v in trained[1:]:
            loss = loss + ops.sum(ops.square(v - 0.3))
        loss.backward()
        optimizer.step()

    return optimizer, trained, step


def everything(optimizer, trained):
    return [v.numpy() for v in [*trained, *optimizer.variables]]


def test_each_optimizer_is_in_the_exam():
    assert {make for make, _ in ALL.values()} == set(optimizers.registry.members.values())


@pairs(ALL, ("SGD nesterov", "Adam amsgrad"))
def test_thirty_replayed_steps_equal_eager_ones(rule, options):
    for dtype in ("float32", "float64"):
        optimizer, trained, step = made(rule, options, dtype=dtype)
        twin, twins, again = made(rule, options, dtype=dtype)
        start = everything(optimizer, trained)
        program = Program(again)
        for count in (1, 29):
            with Quiet():
                [step() for _ in range(count)]
            program.replay(count)
            assert_same(everything(twin, twins), everything(optimizer, trained))
        assert {v.dtype.name for v in [*trained, *optimizer.variables]} - {"int32"} == {dtype, "int64"}
        assert not np.array_equal(start[0], trained[0].numpy()) and int(optimizer.variables[0]) == 30


@pytest.mark.parametrize("rate", [0.0625, optimizers.schedules.CosineDecay(0.1, 9)], ids=["number", "schedule"])
@pytest.mark.parametrize("options", [{}, OPTIONS["everything"]], ids=["plain", "everything"])
@every_optimizer
def test_the_variables_are_all_there_is(rule, options, rate):
    """What is assigned to them goes on as it did where it comes from: what a file holds is enough."""
    optimizer, trained, step = made(rule, options, rate)
    [step() for _ in range(7)]  # an odd number: gradients are half accumulated
    other, others, again = made(rule, options, rate)
    program = Program(again)
    program.replay(2)
    for target, source in zip([*others, *other.variables], [*trained, *optimizer.variables], strict=True):
        assert target.path == source.path
        target.assign(source.numpy())
    third, thirds, third_step = made(rule, options, rate)
    store = {}
    optimizer.save_own_variables(store)
    third.load_own_variables(store)
    for target, source in zip(thirds, trained, strict=True):
        target.assign(source.numpy())
    [step() for _ in range(5)]
    program.replay(5)
    [third_step() for _ in range(5)]
    assert_same(everything(other, others), everything(optimizer, trained))
    assert_same(everything(third, thirds), everything(optimizer, trained))


@pairs(ALL, ("SGD nesterov", "Adam amsgrad"))
def test_from_its_config_it_does_the_same(rule, options):
    optimizer, trained, _ = made(rule, options)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    again.exclude_from_weight_decay(var_names=["bias"])
    twins = variables("float32")
    twins[0].constraint = trained[0].constraint
    for i in range(4):
        optimizer.apply(gradients(i, "float32"), trained)
        again.apply(gradients(i, "float32"), twins)
    assert_same(everything(again, twins), everything(optimizer, trained))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
@every_optimizer
def test_copies(rule, how):
    optimizer, trained, _ = made(rule, OPTIONS["everything"])
    for i in range(3):
        optimizer.apply(gradients(i, "float32"), trained)
    other, others = how((optimizer, trained))
    assert_same(everything(other, others), everything(optimizer, trained))
    for i in range(3, 6):
        optimizer.apply(gradients(i, "float32"), trained)
    for i in range(3, 6):
        other.apply(gradients(i, "float32"), others)
    assert_same(everything(other, others), everything(optimizer, trained))


@every_optimizer
def test_a_nan_shows(rule):
    optimizer, trained, _ = made(rule)
    given = gradients(0, "float32")
    given[1][2] = np.nan
    optimizer.apply(given, trained)
    assert np.isnan(trained[1].numpy()[2])
    if rule != "Adafactor":  # whose steps depend on all gradients of the variable
        assert np.isnan(trained[1].numpy()).sum() == 1
    assert all(np.isfinite(v.numpy()).all() for v in (trained[0], *trained[2:]))


@pytest.mark.parametrize("options", [{"clipnorm": 1.0}, {"global_clipnorm": 1.0}], ids=str)
def test_after_a_nan_and_new_weights_the_norm_is_a_number_again(options):
    v = Variable(np.ones(3))
    optimizer = optimizers.SGD(0.5, **options)
    optimizer.apply([np.array([np.nan, 1, 1])], [v])
    v.assign(np.ones(3))
    optimizer.apply([np.array([0.0, 3.0, 4.0])], [v])
    np.testing.assert_allclose(v.numpy(), [1, 0.7, 0.6], rtol=1e-6)


@every_optimizer
def test_freezing_and_recompiling_keeps_the_state_of_what_stays(rule):
    optimizer, trained, _ = made(rule)
    for i in range(3):
        optimizer.apply(gradients(i, "float32"), trained)
    before = {v.path: v.numpy() for v in optimizer.variables if "kernel" not in v.path or "_" in v.path}
    optimizer.build(trained[1:])
    now = {v.path: v.numpy() for v in optimizer.variables}
    assert_same({p: now[p] for p in now if p in before}, {p: before[p] for p in now if p in before})
    optimizer.build(trained)
    fresh = [v for v in optimizer.variables if "layer_kernel" in v.path]
    start = 0.3 if "Ftrl" in rule else 0.0
    assert all((v.numpy() == (start if "accumulator" in v.path else 0)).all() for v in fresh)
    optimizer.apply(gradients(3, "float32"), trained)


def test_settings_that_ask_for_another_slot_get_it():
    v, optimizer = Variable(0.0), optimizers.SGD(1.0)
    optimizer.apply([-1.0], [v])
    optimizer.momentum = 0.5
    for expected in (2.0, 3.5):
        optimizer.apply([-1.0], [v])
        assert float(v) == expected


# ---------------------------------------------------------------------------------------------- order and paths

PARAMETERS = ["kernel", "bias", "scalar", "gamma"]


def after(*groups):
    return [f"it/layer_{v}_{name}" for group in groups for v in PARAMETERS for name in group.split()]


@pytest.mark.parametrize("rule, options, expected", [
    ("SGD nesterov", {}, after("momentum")),
    ("Adam amsgrad", {}, after("momentum velocity", "velocity_hat")),
    ("AdamW", {"use_ema": True}, after("average", "momentum velocity")),
    ("RMSprop in full", {}, after("velocity", "momentum", "average_gradient")),
    ("Adagrad settings", {"gradient_accumulation_steps": 2}, after("gradient_accumulator", "accumulator")),
    ("Adadelta settings", {}, after("accumulated_grad accumulated_delta_var")),
    ("Adamax", {"use_ema": True, "gradient_accumulation_steps": 2},
     after("average", "gradient_accumulator", "momentum norm")),
    ("Nadam", {}, [*after("momentum velocity"), "it/product"]),
    ("Lion", {}, after("momentum")),
    ("Ftrl settings", {}, after("accumulator linear")),
    ("Adafactor", {}, [p for v in PARAMETERS for p in (f"it/{v}", f"it/{v}", f"it/layer_{v}_velocity")]),
])  # fmt: skip
def test_the_order_of_keras(rule, options, expected):
    optimizer, trained, _ = made(rule, options)
    own = optimizer.variables
    paths = [v.path for v in own]
    assert paths[:2] == ["it/iteration", "it/learning_rate"]
    if rule == "Adafactor":  # rows and columns of the only matrix; placeholders for the others
        assert [v.shape for v in own[2:5]] == [(3,), (5,), (3, 5)] and own[5].shape == own[6].shape == ()
        paths = [p if p.startswith("it/") else f"it/{p}" for p in paths]
    assert paths[2:] == expected
    assert [v.name for v in own] == [v.path.removeprefix("it/") for v in own]


def test_values_at_the_beginning():
    optimizer, trained, _ = made("Ftrl settings", {"use_ema": True})
    first = {v.path: v.numpy() for v in optimizer.variables}
    assert (first["it/layer_bias_accumulator"] == np.float32(0.3)).all() and not first["it/layer_bias_linear"].any()
    assert_same(first["it/layer_kernel_average"], trained[0].numpy())
    assert float(made("Nadam")[0].variables[-1]) == 1.0


def test_before_it_is_built():
    for optimizer in (optimizers.Nadam(), optimizers.Adafactor(use_ema=True)):
        assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate"]
        with pytest.raises(ValueError, match="whose gradients"):
            optimizer.apply([1.0])


def test_set_weights_changes_nothing_where_it_fails():
    optimizer, *_ = made("AdamW")
    values = [np.asarray(v.numpy() + 1, v.dtype) for v in optimizer.variables]
    for bad, words in ((values[:-1], "10 variables, got 9"), ([*values[:-1], np.zeros(7)], r"\(33,\).*\(7,\)")):
        before = [v.numpy() for v in optimizer.variables]
        with pytest.raises(ValueError, match=words):
            optimizer.set_weights(bad)
        assert_same([v.numpy() for v in optimizer.variables], before)
    optimizer.set_weights(values)
    assert_same([v.numpy() for v in optimizer.variables], values)
    with pytest.warns(UserWarning, match="9 arrays for 10 variables"):
        optimizer.load_own_variables({str(i): v for i, v in enumerate(values[:-1])})


def test_other_variables_are_refused():
    v, w = Variable(1.0), Variable(1.0, name="other")
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([1.0], [v])
    with pytest.raises(ValueError, match=r"does not know \['other'\]"):
        optimizer.apply([1.0, 1.0], [v, w])
    assert float(v) == 0.5
    assert optimizer.apply([], []) is None and optimizer.apply_gradients([]) is optimizer.iterations
    assert int(optimizer.iterations) == 1
    optimizer.build([v, w])
    optimizer.apply([1.0, 1.0], [v, w])
    assert (float(v), float(w)) == (0.0, 0.5)


def test_an_optimizer_serves_one_model():
    """Where two shared it, each would take the other's momenta away. The next model has an optimizer of its own."""
    x, y = data(16)
    optimizer = optimizers.Adam(0.1)
    first, second = network(optimizer=optimizer), network(seed=2, optimizer=optimizer)
    first.fit(x, y, verbose=0)
    before = state(first), second.get_weights()
    for train in (second.fit, second.train_on_batch):
        with pytest.raises(ValueError, match="was built for other variables than those of model 'sequential'"):
            train(x, y)
    assert_same((state(first), second.get_weights()), before)
    first.fit(x, y, verbose=0)
    second.compile(optimizers.Adam(0.1), "mse")
    second.fit(x, y, verbose=0)


def test_a_gradient_that_is_assigned_is_the_one_that_counts():
    v, w, optimizer = Variable(np.zeros(3)), Variable(np.zeros(3)), optimizers.SGD(1.0)
    optimizer.build([v, w])
    (v.sum() + w.sum()).backward()
    v.grad = v.grad * 0.5
    w.grad = [1, 2, 3]
    optimizer.step()
    np.testing.assert_array_equal([v.numpy(), w.numpy()], [[-0.5] * 3, [-1, -2, -3]])
    with pytest.raises(ValueError, match=r"shape \(3,\) can't have shape \(2,\)"):
        v.grad = np.zeros(2)


@pytest.mark.parametrize("in_a_program", [False, True])
def test_gradients_may_be_those_of_other_variables(in_a_program):
    """They lie in the optimizer's memory: one is not written over before it is read."""
    a, b, optimizer = Variable(np.zeros(3)), Variable(np.zeros(3)), optimizers.SGD(1.0)
    optimizer.build([a, b])
    (a.sum() + 2.0 * b.sum()).backward()
    gradients = [b.grad, a.grad]
    if in_a_program:
        Program(lambda: optimizer.apply(gradients, [a, b])).replay()
    else:
        optimizer.apply(gradients, [a, b])
    np.testing.assert_array_equal([a.numpy(), b.numpy()], [[-2.0] * 3, [-1.0] * 3])


def test_gradients_of_another_dtype_inside_a_program():
    v, optimizer = Variable(np.zeros(3), dtype="float32"), optimizers.SGD(1.0)
    optimizer.build([v])
    g = keras.Tensor(np.ones(3), dtype="float64")
    program = Program(lambda: optimizer.apply([g], [v]))
    g._data[...] = 2.0
    program.replay(2)
    assert_same(v.numpy(), np.full(3, -4.0, "float32"))


# ---------------------------------------------------------------------------------------------------- signatures


@every_optimizer
def test_signatures_are_written_out(rule):
    make, _ = ALL[rule]
    names = list(inspect.signature(make).parameters)
    own = [name for name in make.arguments if name not in Optimizer.common]
    assert names[0] == "learning_rate" and set(own) < set(names)
    assert names[-2:] == ["name", "kwargs"] and set(Optimizer.common) < set(names)
    assert names[1] == ("weight_decay" if make is optimizers.AdamW else own[0])
    assert make.__doc__ and ("arXiv" in make.__doc__ or "20" in make.__doc__ or make is optimizers.SGD)


def test_positional_arguments_are_those_of_keras():
    assert optimizers.AdamW(0.1, 0.3).weight_decay == 0.3 and optimizers.AdamW().weight_decay == 0.004
    assert optimizers.Adam(0.1, 0.3).beta_1 == 0.3 and optimizers.Adam(0.1, 0.3).weight_decay is None
    assert optimizers.SGD(0.1, 0.9, True, 0.2).weight_decay == 0.2
    assert isinstance(optimizers.AdamW(), optimizers.Adam)
    with pytest.raises(TypeError, match="positional"):
        optimizers.SGD(*range(50))


# ------------------------------------------------------------------------------------------ optimizers of one's own


class Momentum(Optimizer):
    """As Keras' documentation writes one."""

    def __init__(self, learning_rate=0.01, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = [self.add_variable_from_reference(v, name="momentum") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, ops.subtract(ops.multiply(m, self.momentum), ops.multiply(gradient, learning_rate)))
        self.assign_add(variable, m)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


class Guarded(Momentum):
    """As Keras' own sources do it."""

    def build(self, variables):
        if self.built:
            return
        Optimizer.build(self, variables)
        self.momentums, self.unused = self.add_optimizer_variables(variables, ["momentum", "unused"], ["zeros", "ones"])


@every_option
@pytest.mark.parametrize("make", [Momentum, Guarded])
def test_the_way_of_keras(make, options):
    def train(optimizer, run_eagerly):
        model = network(optimizer=optimizer, run_eagerly=run_eagerly)
        for _ in range(2):
            model.fit(*data(42), batch_size=8, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model)

    replayed = train(make(0.05, name="it", **options), False)
    assert_same(replayed, train(make(0.05, name="it", **options), True))
    builtin = train(optimizers.SGD(0.05, momentum=0.9, **options), True)
    for name, value in builtin.items():
        if name.startswith("weight"):
            np.testing.assert_allclose(replayed[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("make", [Momentum, Guarded])
def test_its_state_stays_when_the_weights_move(make):
    """As they do when another optimizer has trained the model meanwhile."""
    results = []
    for moves in (False, True):
        trained, optimizer = variables(), make(0.05)
        for i in range(4):
            optimizer.apply(gradients(i), trained)
            if moves:
                optimizers.SGD(0.0).build(trained)
        results.append(everything(optimizer, trained))
        assert len(optimizer.variables) == 2 + len(trained) * (2 if make is Guarded else 1)
    assert_same(*results)


def test_its_config():
    config = optimizers.serialize(Momentum(0.5, momentum=0.25, clipnorm=1.0))
    with keras.utils.custom_object_scope({"Momentum": Momentum}):
        again = optimizers.get(config)
    assert (again.momentum, again.clipnorm, float(again.learning_rate)) == (0.25, 1.0, 0.5)


def test_variables_of_ones_own():
    optimizer = optimizers.SGD(name="it")
    added = optimizer.add_variable((2,), "ones", name="scale"), optimizer.add_variable((), lambda shape, dtype: np.full(shape, 7, dtype))
    assert [v.path for v in optimizer.variables[-2:]] == ["it/scale", "it/variable"]
    assert_same(added[0].numpy(), np.ones(2, "float32"))
    assert float(added[1]) == 7 and not added[1].trainable
    assert (optimizer.add_variable((2,), "random_normal").numpy() != 0).all()
    with pytest.raises(ValueError, match="Unknown initializer: 'norma'"):
        optimizer.add_variable((2,), "norma")


def test_slots_and_update():
    """minigrad's way, over the flat row: one launch, whatever the number of variables."""

    class Heavy(Optimizer):
        slots = ("speed", optimizers.Slot("brake", when="clipvalue", initial=0.5))

        def update(self, g, speed, brake, w):
            launch(K.add_scaled, g, self._rate, speed)
            launch(K.subtract, w, speed, w)
            if brake.size:
                launch(K.subtract, w, brake, w)

    for clipvalue, after_two in ((None, -3.0), (1e9, -4.0)):
        v, optimizer = Variable(np.zeros(20)), Heavy(1.0, clipvalue=clipvalue)
        optimizer.build([v])
        program = Program(lambda v=v, o=optimizer: o.apply([np.ones(20)], [v]))
        program.replay(2)
        assert (v.numpy() == after_two).all()
        assert len(optimizer.variables) == (3 if clipvalue is None else 4)


def test_a_table_of_ones_own():
    """`arguments` makes the constructor, as it does for the built-in ones."""

    class Plain(Optimizer):
        arguments = {"learning_rate": 0.5, "momentum": Number(0.0, "[0, 1)"), "nesterov": False}
        slots = optimizers.SGD.slots
        kernel = K.sgd

    v = Variable(1.0)
    Plain().apply([1.0], [v])
    assert float(v) == 0.5 and Plain(momentum=0.5).get_config()["momentum"] == 0.5
    with pytest.raises(ValueError, match=r"Plain: momentum must be a number in \[0, 1\), got 1 \(int\)"):
        Plain(momentum=1)


def test_a_rule_must_be_defined():
    class Empty(Optimizer):
        pass

    with pytest.raises(TypeError, match=r"Empty must define update\(.*or.*update_step"):
        Empty(0.1).apply([1.0], [Variable(1.0)])
