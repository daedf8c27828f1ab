"""Layers of one's own: sub-layers, losses, configs, what stops a recording."""

import gc
import inspect
import json
import threading
import weakref

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, random_input, state, streams

import minigrad as keras
from minigrad import kernels as K
from minigrad import launch, layers, op, ops, random


class Scale(keras.Layer):
    """y = a x, a one number a column."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, inputs):
        return inputs * self.factor


class Block(keras.Layer):
    """Sub-layers as an attribute, in a list, in a dict and in a list in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4, name="first")
        self.middle = [layers.BatchNormalization(name="norm"), layers.Dropout(0.5, name="drop")]
        self.heads = {"a": layers.Dense(2, name="a"), "b": [layers.Dense(2, name="b")]}

    def call(self, inputs):
        x = self.first(inputs)
        for layer in self.middle:
            x = layer(x)
        return self.heads["a"](x) + self.heads["b"][0](x)


def test_add_weight():
    layer = Scale(name="scale")
    y = layer(np.full((2, 3), 2.0, "float32"))
    assert [(v.path, v.shape, v.trainable) for v in layer.weights] == [
        ("scale/factor", (3,), True),
        ("scale/count", (), False),
    ]
    assert_same(y.numpy(), np.full((2, 3), 2.0, "float32"))
    with pytest.raises(ValueError, match="glorot_unform"):
        Scale().add_weight((2,), "glorot_unform")


def test_sublayers_are_found_wherever_they_are():
    block = Block()
    block(random_input((3, 5), dtype="float32"))
    names = [
        "first/kernel",
        "first/bias",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "a/kernel",
        "a/bias",
        "b/kernel",
        "b/bias",
    ]
    assert [v.path for v in block.weights] == names
    assert len(block.trainable_weights) == 8
    block.trainable = False
    assert block.trainable_weights == [] and not block.heads["b"][0].trainable
    block.trainable = True
    assert len(block.trainable_weights) == 8


def test_a_layer_below_may_refer_back():
    class Owner(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2)
            self.inner.owner = self

        def call(self, inputs):
            return self.inner(inputs)

    layer = Owner()
    layer(np.ones((2, 3)))
    assert layer.inner._all_layers() and layer._all_layers() == [layer, layer.inner]
    assert [v.name for v in layer.weights] == ["kernel", "bias"]


def test_a_layer_put_in_later_is_found():
    block = Block()
    block(random_input((3, 5), dtype="float32"))
    count = len(block.weights)
    extra = layers.Dense(1)
    extra.build((None, 2))
    block.heads["c"] = extra  # a change no attribute assignment tells of
    assert len(block.weights) == count + 2
    block.middle.append(extra)
    assert len(block.weights) == count + 2  # the same one, counted once


@pytest.mark.parametrize("passes_on", [False, True])
def test_training_is_inherited(passes_on):
    class Outer(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Block()

        if passes_on:
            def call(self, inputs, training=False):
                self.told = training
                return self.inner(inputs)
        else:
            def call(self, inputs):
                return self.inner(inputs)

    outer = Outer()
    x = random_input((6, 5), dtype="float32")
    outer(x)
    norm = outer.inner.middle[0]
    before = norm.moving_mean.numpy()
    outer(x, training=False)
    outer(x)
    assert_same(norm.moving_mean.numpy(), before)
    outer(x, training=True)
    assert not np.array_equal(norm.moving_mean.numpy(), before)
    if passes_on:
        assert outer.told is True
    before = norm.moving_mean.numpy()
    outer(x)  # what the last call was told is forgotten
    assert_same(norm.moving_mean.numpy(), before)

    model = keras.Sequential([outer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(*data(12), batch_size=6, verbose=0)
    assert not np.array_equal(norm.moving_mean.numpy(), before)
    before = norm.moving_mean.numpy()
    model.evaluate(*data(12), verbose=0)
    model.predict(x, verbose=0)
    assert_same(norm.moving_mean.numpy(), before)


def test_training_may_be_told_without_its_name():
    class Passes(keras.Layer):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, inputs, training=None):
            return self.drop(inputs, training)

    x = np.ones((10, 10), "float32")
    for layer in (layers.Dropout(0.5), Passes()):
        assert (layer(x, True).numpy() == 0).any() and (layer(x, False).numpy() == 1).all()
    norm = layers.BatchNormalization()
    mask = np.arange(10) < 5
    y = norm(random_input((10, 3)), True, mask).numpy()
    np.testing.assert_allclose(y[mask].mean(0), 0, atol=1e-5)
    assert np.abs(y.mean(0)).max() > 1e-3


def test_training_is_forgotten_after_an_error():
    class Fails(keras.Layer):
        def call(self, inputs, training=False):
            if training:
                raise ArithmeticError
            return inputs

    outer = keras.Sequential([keras.Input((5,)), layers.Dropout(0.5), Fails()])
    x = random_input((6, 5), dtype="float32")
    with pytest.raises(ArithmeticError):
        outer(x, training=True)
    assert_same(outer(x).numpy(), x)
    assert_same(layers.Dropout(0.5)(x).numpy(), x)


class Penalty(keras.Layer):
    """Adds the mean square of its input to the loss."""

    def call(self, inputs):
        self.add_loss(ops.mean(ops.square(inputs)) * 0.1)
        return inputs


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_add_loss(run_eagerly):
    x, y = data(16, target="regression")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3), Penalty(), layers.Dense(1)])
    assert model.losses == []  # building leaves none behind
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    hidden = model.layers[0](x).numpy()
    expected = ((model(x).numpy() - y) ** 2).mean() + 0.1 * (hidden**2).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    plain = keras.Sequential([keras.Input((5,)), layers.Dense(3), layers.Dense(1)])
    plain.set_weights(model.get_weights())
    plain.compile("sgd", "mse")
    for m in (model, plain):
        m.fit(x, y, batch_size=16, epochs=3, verbose=0)
    assert np.abs(model.get_weights()[0]).sum() < np.abs(plain.get_weights()[0]).sum()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(
        ((model(x).numpy() - y) ** 2).mean() + 0.1 * (model.layers[0](x).numpy() ** 2).mean(), rel=1e-5
    )


def test_an_error_leaves_no_losses():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, activity_regularizer="l1"), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, _ = data(16)
    with pytest.raises(ValueError, match=r"\(16, 2\)"):
        model.fit(x, np.ones((16, 2)), verbose=0)
    assert model.losses == []
    model(x)
    assert len(model.losses) == 1 and float(model.losses[0]) > 0


def test_looking_at_shapes_leaves_the_losses():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, activity_regularizer="l2")

        def call(self, inputs):
            return self.dense(inputs)

    model, (x, y) = Own(), data(16)
    model.compile("sgd", "mse")
    output = model(x, training=True)
    values = [float(model.compute_loss(x, y, output)) for _ in range(2)]
    assert values[0] == values[1] and model.output_shape == (None, 1)
    assert len(model.losses) == 1 and float(model.losses[0]) > 0
    assert values[0] == float(keras.ops.mean((y - output.numpy()) ** 2) + model.losses[0])


def test_losses_of_another_thread_can_be_read():
    layer = layers.Dense(2, activity_regularizer="l2")
    thread = threading.Thread(target=lambda: layer(np.ones((2, 3))))
    thread.start()
    thread.join()
    assert len(layer.losses) == 1
    layer(np.ones((2, 3)))
    assert len(layer.losses) == 1


def test_losses_do_not_keep_a_layer_alive():
    class Uses(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2)

        def call(self, inputs):
            @op("(...) -> (...)")
            def same(y, x):
                launch(K.copy, x, y)

                def vjp(gy, gx):
                    launch(K.copy, gy, gx)
                    self.has_gone_back = True

                return vjp

            self.add_loss(same(self.inner(inputs)).sum())
            return inputs

        def __eq__(self, other):  # and so without a hash
            return True

    layer = Uses()
    layer(np.ones((2, 3)))
    layer(np.ones((2, 3)))
    assert len(layer.losses) == 1
    gone = weakref.ref(layer.inner)
    del layer
    gc.collect()
    assert gone() is None


def test_losses_are_those_of_the_last_call():
    layer = layers.Dense(2, activity_regularizer="l2", kernel_regularizer="l2")
    x = random_input((3, 5), dtype="float32")
    for _ in range(3):
        y = layer(x)
    kernel = layer.kernel.numpy()
    values = sorted(float(value) for value in layer.losses)
    expected = sorted([0.01 * (y.numpy() ** 2).sum() / 3, 0.01 * (kernel**2).sum()])
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    model = keras.Sequential([keras.Input((5,)), Penalty()])
    model(x)
    model(2 * x)
    (loss,) = model.losses
    assert float(loss) == pytest.approx(0.4 * (x**2).mean(), rel=1e-5)


def test_a_layer_used_twice_in_one_call_adds_its_loss_twice():
    class Twice(keras.Layer):
        def __init__(self):
            super().__init__()
            self.penalty = Penalty()

        def call(self, inputs):
            return self.penalty(self.penalty(inputs) * 2.0)

    layer = Twice()
    for _ in range(2):
        layer(np.ones((2, 2), "float32"))
    assert sorted(float(value) for value in layer.losses) == pytest.approx([0.1, 0.4])


class Reads(keras.Layer):
    """Divides by the largest value, which it reads."""

    def call(self, inputs):
        return inputs * (1.0 / max(1.0, float(ops.max(inputs))))  # this line reads


def test_a_layer_that_reads_values_falls_back_to_eager_and_says_so_once(recwarn):
    x, y = data(18)
    model = keras.Sequential([keras.Input((5,)), Reads(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning) as caught:
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.fit(x, y, batch_size=4, verbose=0)
    assert len(caught) == 1
    message = str(caught[0].message)
    line = next(
        i for i, text in enumerate(open(__file__, encoding="utf-8"), 1) if "# this line reads" in text
    )
    assert __file__ in message and f"line {line}" in message and "eager" in message
    assert model.train_program is None

    twin = keras.Sequential([keras.Input((5,)), Reads(), layers.Dense(1)])
    model = keras.Sequential([keras.Input((5,)), Reads(), layers.Dense(1)])
    model.set_weights(twin.get_weights())
    twin.compile("sgd", "mse", run_eagerly=True)
    model.compile("sgd", "mse")
    with Quiet():
        twin.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    with pytest.warns(UserWarning, match="eager"):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert_same(model.get_weights(), twin.get_weights())


class Counts(keras.Layer):
    """Multiplies by a Python number that changes from call to call: it can't be frozen into a Program."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * (1.0 + self.calls / 1000)


def test_a_layer_with_a_python_counter_falls_back_to_eager():
    model = keras.Sequential([keras.Input((5,)), Counts(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="eager"):
        model.fit(*data(16), batch_size=4, verbose=0)
    before = model.layers[0].calls
    model.fit(*data(16), batch_size=4, verbose=0)
    assert model.layers[0].calls >= before + 4


def test_a_layer_written_from_ops_records_like_the_others():
    class Gate(keras.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((input_shape[-1], 3), name="w")

        def call(self, inputs, training=False):
            y = ops.sigmoid(ops.matmul(inputs, self.w)) * ops.tanh(ops.matmul(inputs, self.w))
            return y * 2.0 if training else y

    def train(run_eagerly):
        keras.utils.set_random_seed(0)
        keras.utils.clear_session()
        model = keras.Sequential([Gate(), layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        with Quiet():
            model.fit(*data(18), batch_size=4, epochs=2, verbose=0)
        assert (model.train_program is None) is run_eagerly
        return state(model)

    assert_same(train(False), train(True))


def test_a_layer_without_call_says_what_is_missing():
    class Nothing(keras.Layer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing.*call"):
        Nothing()(np.ones((2, 2), "float32"))


def test_a_layer_that_forgets_its_base_class_says_so():
    class Forgets(keras.Layer):
        def __init__(self, units):
            self.units = units

        def call(self, inputs):
            return inputs

    with pytest.raises(RuntimeError, match=r"Forgets.__init__ must call super\(\).__init__\(\)"):
        Forgets(3)(np.ones((2, 2)))

    class Looks(keras.Layer):
        def __init__(self):
            self.early = hasattr(self, "anything")
            super().__init__()

        def call(self, inputs):
            return inputs

    assert Looks()(np.ones((2, 2))).shape == (2, 2)


# ------------------------------------------------------------------------------------------------ configs


class Powers(keras.Layer):
    """x^n times a scale: no get_config of its own, and one argument kept under another name."""

    def __init__(self, n, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.exponent, self.scale = n, scale

    def call(self, inputs):
        return ops.power(inputs, float(self.exponent)) * self.scale


class Explicit(Powers):
    """The same, written out as Keras' guide does it, with an activation."""

    def __init__(self, activation="relu", **kwargs):
        super().__init__(2, **kwargs)
        self.activation = keras.activations.get(activation)

    def get_config(self):
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


class Closed(keras.Layer):
    """Takes neither a name nor other arguments of Layer."""

    def __init__(self, n):
        super().__init__()

    def call(self, inputs):
        return inputs


class Takes(keras.Layer):
    """Takes something that JSON does not have."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def test_a_layer_is_made_again_from_what_it_was_given():
    layer = Powers(3, scale=0.5, name="its_name", trainable=False)
    config = layer.get_config()
    assert config == {"n": 3, "scale": 0.5, "name": "its_name", "trainable": False, "dtype": config["dtype"]}
    again = Powers.from_config(json.loads(json.dumps(config)))
    assert (again.exponent, again.scale, again.name, again.trainable) == (3, 0.5, "its_name", False)
    assert Explicit("tanh").get_config()["activation"] == "tanh"
    closed = Closed(4)
    assert closed.get_config() == {"n": 4} and isinstance(Closed.from_config({"n": 4}), Closed)
    model = keras.Sequential([keras.Input((5,)), Powers(2), layers.Dense(1)])
    with keras.utils.custom_object_scope({"Powers": Powers}):
        copied = keras.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    copied.set_weights(model.get_weights())
    x = random_input((3, 5), dtype="float32")
    assert_same(copied(x).numpy(), model(x).numpy())


def test_a_layer_that_can_not_be_made_again_says_what_to_define():
    with pytest.raises(NotImplementedError, match="Takes must define get_config"):
        Takes(ops.relu).get_config()

    class Told(Takes):
        def get_config(self):
            return {**super().get_config(), "function": "relu"}

    assert Told(ops.relu).get_config()["function"] == "relu"


def test_signatures_are_those_of_init():
    assert list(inspect.signature(layers.Dense).parameters)[:3] == ["units", "activation", "use_bias"]
    assert list(inspect.signature(Powers).parameters) == ["n", "scale", "kwargs"]
    assert "name" in inspect.signature(keras.Layer).parameters


# ------------------------------------------------------------------------------------- randomness, inputs, losses


class Jitter(keras.Layer):
    """Noise from a seed generator of its own and from the global stream; drops some."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = [random.SeedGenerator(4)]

    def call(self, inputs, training=False):
        if not training:
            return inputs
        inputs = inputs + random.normal(inputs.shape, stddev=0.1, dtype=inputs.dtype, seed=self.seeds[0])
        inputs = inputs * random.uniform(inputs.shape, 0.9, 1.1, dtype=inputs.dtype)
        return random.dropout(inputs, 0.2, seed=self.seeds[0])


def test_a_layer_that_draws_records_and_draws_anew():
    def train(run_eagerly):
        keras.utils.set_random_seed(0)
        keras.utils.clear_session()
        model = keras.Sequential([keras.Input((5,)), Jitter(), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=run_eagerly)
        with Quiet():
            history = model.fit(*data(16), batch_size=16, epochs=4, shuffle=False, verbose=0).history
        assert (model.train_program is None) is run_eagerly
        assert len(set(history["loss"])) == 4  # the same data and weights, other noise
        return state(model), history, keras.config.stream().copy()

    replayed = train(False)
    assert "stream 0" in replayed[0]
    assert_same(replayed, train(True))


def test_streams_are_those_of_layers_and_of_seed_generators():
    class Outer(keras.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dropout(0.5, seed=1), layers.GaussianNoise(0.5, seed=2), Jitter()]
            self.again = self.parts[0]

        def call(self, inputs):
            return inputs

    assert [s[0, 0] for s in streams(Outer())] == [1, 2, 4]


class Merge(keras.Layer):
    """Adds its inputs, given as a list or a dict, or one by one."""

    def build(self, input_shape):
        self.shapes = input_shape
        self.w = self.add_weight((), "ones", name="w")

    def call(self, inputs, other=None):
        parts = list(inputs.values()) if isinstance(inputs, dict) else inputs
        parts = parts if isinstance(parts, list) else [parts, other]
        return (parts[0] + parts[1]) * self.w


def test_several_inputs():
    a, b = np.ones((2, 3)), np.full((2, 3), 2.0, "float32")
    for given in ([a, b], (a, b), {"a": a, "b": b}):
        layer = Merge()
        assert_same(layer(given).numpy(), np.full((2, 3), 3, "float32"))
        assert layer.shapes == ({"a": (2, 3), "b": (2, 3)} if isinstance(given, dict) else [(2, 3), (2, 3)])
    layer = Merge()
    assert_same(layer(a, b).numpy(), np.full((2, 3), 3, "float32"))
    assert layer.shapes == (2, 3)
    assert layer([[1.0, 2.0], [3.0, 4.0]], keras.Tensor(np.ones((2, 2), "float32"))).shape == (2, 2)  # rows, not inputs


def test_add_loss_takes_several():
    class Two(keras.Layer):
        def call(self, inputs):
            self.add_loss([ops.sum(inputs), 2.0])
            return inputs

    layer = Two()
    layer(np.ones((2, 2), "float32"))
    assert [float(v) for v in layer.losses] == [4.0, 2.0]


@pytest.mark.parametrize("spec, good, bad, word", [
    ({"ndim": 3}, (2, 3, 4), (2, 3), "with 3 axes"),
    ({"min_ndim": 3}, (2, 3, 4), (2, 3), "at least 3"),
    ({"max_ndim": 2}, (2, 3), (2, 3, 4), "at most 2"),
    ({"min_ndim": 2, "axes": {-1: 4}}, (2, 4), (2, 3), "axis -1 has value 4"),
    ({"axes": {2: 4}}, (2, 3, 4), (2, 3), "an axis 2"),
    ({"shape": (None, 3)}, (2, 3), (2, 4), "axis 1 has value 3"),
    ({"shape": (None, None)}, (2, 3), (2, 4, 1), "with 2 axes"),
])
def test_input_spec(spec, good, bad, word):
    layer = layers.Identity(name="it")
    layer.input_spec = keras.InputSpec(**spec)
    layer(np.ones(good, "float32"))
    with pytest.raises(ValueError, match="'it'") as error:
        layer(np.ones(bad, "float32"))
    assert word in str(error.value) and str(bad) in str(error.value)
    with pytest.raises(TypeError, match="axes"):
        keras.InputSpec(axes={"a": 3})


def test_an_own_layer_gets_integers_as_they_are_and_counts_in_them():
    class Looks(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = self.add_weight(dtype="int32", trainable=False)
            self.table = self.add_weight(shape=(3, 2), initializer="ones")

        def call(self, inputs):
            self.seen.assign_add(inputs.shape[0])
            return ops.one_hot(inputs, 3) @ self.table if inputs.dtype == np.int64 else inputs + self.table[0]

    layer = Looks()
    assert layer(np.array([0, 2], "int32")).shape == (2, 2) and layer(np.ones((4, 2))).dtype == np.float32
    assert layer.seen.numpy() == 6 and layer.seen.dtype == np.int64
    model = keras.Sequential([layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones(4), batch_size=2, epochs=3, verbose=0)
    assert layer.seen.numpy() == 18 and model.train_program is not None
    layer.seen.assign(2**40 + 1)
    assert layer.seen.assign_add(1).numpy() == 2**40 + 2


def test_a_metric_may_count_in_integers():
    class Count(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="count")
            self.n = self.add_variable(shape=(), initializer="zeros", dtype="int32")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.n.assign(self.n + ops.shape(y_true)[0])

        def result(self):
            return ops.cast(self.n, "float32")

    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Count()])
    assert model.fit(np.ones((8, 2)), np.ones(8), epochs=2, verbose=0).history["count"] == [8.0, 8.0]
