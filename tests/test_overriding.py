"""What a Model or Layer of one's own may own and override: weights, metrics, hooks. Numbers are those of Keras 3.15."""

import copy
import pickle

import numpy as np
import pytest
from helpers import Log

import minigrad as keras
from minigrad import layers, ops

QUIET = {"verbose": 0}
X, Y = np.ones((40, 3), "float32"), np.zeros((40, 1), "float32")


def ones(cls=keras.Sequential, **compiled):
    """A Dense(1) of ones: it makes 3 of X, so the loss is 9 and "mae" 3, while it is not trained."""
    model = cls([keras.Input((3,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse", **{"metrics": ["mae"], **compiled})
    return model


class Small(keras.Model):
    """A subclassed model."""

    def __init__(self, scale=None):
        super().__init__()
        self.dense = layers.Dense(1)
        self.scale = scale or layers.Identity()

    def call(self, inputs):
        return self.dense(self.scale(inputs))


# ------------------------------------------------------------------------------------------------ weights


@pytest.mark.parametrize("make", [
    lambda model: model.add_weight(shape=(3,), initializer="ones", name="w"),
    lambda model: keras.Variable(np.ones(3, "float32")),
])
def test_a_model_owns_a_weight(make):
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.w = make(self)

        def call(self, inputs):
            return inputs * self.w

    model = Scaled()
    model.compile("sgd", "mse")
    model.fit(X, X * 3, epochs=2, **QUIET)
    assert model.weights == [model.w]
    assert (model.w.numpy() > 1).all()


# ------------------------------------------------------------------------------------------------ build


class Scale(layers.Layer):
    """A layer whose build does not say `self.built = True`."""

    def build(self, input_shape):
        self.shape_seen = input_shape
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.w


@pytest.mark.parametrize("make", [Scale, layers.PReLU])
def test_build_by_hand_is_all_of_it(make):
    layer = make()
    layer.build((None, 3))
    assert layer.built and layer.input_shape == (None, 3) and layer.output_shape == (None, 3)
    layer.set_weights([np.full(3, 5, "float32")])
    np.testing.assert_array_equal(np.abs(layer(-X[:2])), np.full((2, 3), 5, "float32"))
    assert len(layer.weights) == 1


def test_build_sees_the_rows_of_a_call_and_no_made_up_ones():
    layer = Scale()
    layer(X[:4])
    assert (layer.shape_seen, layer.input_shape) == ((4, 3), (None, 3))
    layer = Scale()
    layer.compute_output_shape((None, 3))
    assert layer.shape_seen == (None, 3)

    class Around(Small):
        def build(self, input_shape):
            self.shape_seen = input_shape
            super().build(input_shape)

    model = Around(scale=Scale())
    model.compile("sgd", "mse")
    model.fit(X, Y, **QUIET)
    assert model.shape_seen == model.scale.shape_seen == (None, 3)


def test_a_build_with_an_error_can_be_tried_again():
    class Base(Scale):
        def build(self, input_shape):
            super().build(input_shape)
            if input_shape[-1] != 3:
                raise ValueError("three columns")

    layer = Base()
    with pytest.raises(ValueError, match="three columns"):
        layer.build((None, 2))
    assert not layer.built and not layer.weights
    layer.build((None, 3))
    assert len(layer.weights) == 1 and layer(X).shape == X.shape


def test_a_weight_made_in_call_is_refused():
    class Late(layers.Layer):
        def call(self, inputs):
            return inputs * self.add_weight(shape=())

    with pytest.raises(ValueError, match=r"'late' \(Late\) is built already"):
        Late(name="late")(X)


@keras.saving.register_keras_serializable()
class MadeInBuild(keras.Model):
    """A model that makes its layers in build, and one that it builds there itself."""

    def build(self, input_shape):
        self.first, self.last = layers.Dense(4, activation="tanh"), layers.Dense(1)
        self.first.build(input_shape)
        self.built = True

    def call(self, inputs):
        return self.last(self.first(inputs))


def test_layers_made_in_build_are_in_the_file(tmp_path):
    model = MadeInBuild()
    model.compile("sgd", "mse")
    model.fit(X, Y, **QUIET)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(X, **QUIET), model.predict(X, **QUIET))


@keras.saving.register_keras_serializable()
class BuiltAs(layers.Layer):
    """A layer whose build needs more than a shape."""

    def build(self, input_shape, how):
        self.how, self.given = how, input_shape
        self.w = self.add_weight(shape=(input_shape[-1],), initializer=how)

    def get_build_config(self):
        return {"shape": self.given, "how": self.how}

    def build_from_config(self, config):
        self.build(config["shape"], config["how"])

    def call(self, inputs):
        return inputs * self.w


def test_a_layer_is_built_as_its_own_build_config_says(tmp_path):
    layer = BuiltAs()
    layer.build((None, 3), "ones")
    model = keras.Sequential([layer])
    model(X)
    layer.w.assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.layers[0].how == "ones"
    np.testing.assert_array_equal(loaded.predict(X, **QUIET), model.predict(X, **QUIET))


def test_assets_are_refused_where_they_would_be_lost(tmp_path):
    class Words(layers.Dense):
        def save_assets(self, folder):
            raise AssertionError

    model = keras.Sequential([keras.Input((3,)), Words(2, name="words")])
    with pytest.raises(ValueError, match=r"'words' \(Words\) defines save_assets"):
        model.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_the_summary_knows_shapes_of_what_was_built_by_hand():
    model, lines = MadeInBuild(), []
    model.build((None, 3))
    model.summary(print_fn=lines.append)
    assert "(None, 4)" in lines[0]


# ------------------------------------------------------------------------------------------------ attributes


def test_a_list_may_hold_itself():
    class Knotted(Small):
        def __init__(self):
            super().__init__()
            self.knot = [self.dense]
            self.knot.append(self.knot)

    assert len(Knotted().layers) == 2


def test_variables_have_the_states_of_random_streams():
    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5, seed=7), layers.Dense(1)])
    assert [len(v) for v in (model.variables, model.non_trainable_variables, model.weights)] == [3, 1, 2]
    state = model.non_trainable_variables[0]
    start = state.numpy()
    model(X, training=True)
    moved = state.numpy()
    assert (start != moved).any()
    first = model(X, training=True).numpy()
    model.non_trainable_variables[0].assign(moved)
    np.testing.assert_array_equal(model(X, training=True), first)


def test_an_activation_may_be_taken_away():
    dense = layers.Dense(2, activation="relu", kernel_initializer="ones")
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), dense, norm])
    assert (model(-X) == 0).numpy().all()
    dense.activation = None
    np.testing.assert_allclose(model(-X), np.full((40, 2), -3 / np.sqrt(1.001)), rtol=1e-6)
    assert len(keras.utils.fold_batchnorm(model).layers) == 1


def test_layers_know_their_metrics():
    class Watched(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, inputs):
            return inputs

    layer = Watched()
    assert layer.metrics == [layer.seen]
    model = ones()
    model.add(layer)
    assert layer.seen in model.metrics


# ------------------------------------------------------------------------------------------------ metrics


def test_a_model_compiled_twice_forgets_the_old_metrics():
    model = Small()
    model.compile("sgd", "mse", metrics=["mse"])
    model.fit(X, Y, **QUIET)
    model.compile("sgd", "mse", metrics=["mae"])
    assert sorted(model.fit(X, Y, **QUIET).history) == ["loss", "mae"]
    assert len(model.evaluate(X, Y, **QUIET)) == 2


def test_metrics_are_there_before_the_data():
    model = ones()
    assert [metric.name for metric in model.metrics] == ["loss", "mae"]
    kept = model.metrics
    model.fit(X, Y, **QUIET)
    assert model.metrics == kept
    assert ones(metrics=["accuracy"]).metrics == []  # its kind depends on the shape of the targets
    with pytest.raises(ValueError, match="targets y are missing"):
        model.evaluate(X, **QUIET)


class Extended(keras.Sequential):
    """`compute_metrics` adds a number and a tensor of the batch."""

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        own = super().compute_metrics(x, y, y_pred, sample_weight)
        return {"zed": 2.0, "alpha": ops.mean(x) + ops.mean(y), **own}


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_compute_metrics_is_called_in_each_step(run_eagerly):
    model, log = ones(Extended, run_eagerly=run_eagerly), Log()
    assert model.evaluate(X, Y, **QUIET) == [9.0, 3.0, 1.0, 2.0]
    x = np.concatenate([X[:32], 2 * X[:8]])
    history = model.fit(x, Y, shuffle=False, validation_data=(X, Y), callbacks=[log], **QUIET).history
    names = ["alpha", "loss", "mae", "zed"]
    assert sorted(history) == sorted([*names, *(f"val_{name}" for name in names)])
    assert (history["alpha"], history["val_alpha"]) == ([2.0], [1.0])
    assert [logs["alpha"] for logs in log.logs("train_batch_end")] == [1.0, 2.0]
    assert (model.train_program is None) == run_eagerly
    model.predict(X, **QUIET)
    assert model.test_on_batch(3 * X, Y, return_dict=True)["alpha"] == pytest.approx(3.0)
    assert type(pickle.loads(pickle.dumps(copy.deepcopy(model)))) is Extended


def test_what_replaces_a_metric_shows_in_the_logs_of_batches_only():
    class Other(keras.Sequential):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "mae": 7.0}

    model = ones(Other)
    assert model.evaluate(X, Y, **QUIET) == [9.0, 3.0]
    assert model.test_on_batch(X, Y) == [9.0, 7.0]


def test_get_metrics_result_adds_to_the_logs():
    class Root(keras.Sequential):
        def get_metrics_result(self):
            values = super().get_metrics_result()
            return {**values, "root": ops.sqrt(values["loss"])}

    model = ones(Root)
    assert model.evaluate(X, Y, **QUIET) == [9.0, 3.0, 3.0]
    assert sorted(model.fit(X, Y, **QUIET).history) == ["loss", "mae", "root"]
    assert model.train_program is not None


def test_compute_metrics_by_hand():
    model = ones()
    assert model.compute_metrics(X, Y, X[:, :1])["mae"] == 1.0
    model.reset_metrics()
    assert model.compute_metrics(X, Y, 2 * X[:, :1], np.ones(40))["mae"] == 2.0


# ------------------------------------------------------------------------------------------------ steps


def test_predict_refuses_a_function_that_it_does_not_call():
    own = {"make_predict_function": lambda self: None}
    model = type("Other", (keras.Sequential,), own)([keras.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="Other defines make_predict_function"):
        model.predict(X, **QUIET)


def test_loss_weights_may_be_a_dict():
    assert ones(loss_weights={"dense": 2.0}).evaluate(X, Y, **QUIET) == [18.0, 3.0]


def endless():
    while True:
        yield X[:2], Y[:2]


@pytest.mark.parametrize("kind", ["test", "predict"])
def test_a_callback_ends_evaluate_and_predict(kind):
    class Stop(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = batch == 4
            assert batch <= 4

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = batch == 4
            assert batch <= 4

    model, stop = ones(), Stop()
    if kind == "test":
        assert model.evaluate(endless(), callbacks=[stop], **QUIET) == [9.0, 3.0]
        model.stop_evaluating = True  # counts for nothing from the next call on
        assert model.evaluate(X, Y, batch_size=2, **QUIET) == [9.0, 3.0]
    else:
        assert model.predict(endless(), callbacks=[stop], **QUIET).shape == (10, 1)
        assert model.predict(X, batch_size=2, **QUIET).shape == (40, 1)


def test_steps_per_execution_groups_the_hooks_of_evaluate_and_predict():
    model, log = ones(steps_per_execution=3), Log()
    model.evaluate(X, Y, batch_size=10, callbacks=[log], **QUIET)
    model.predict(X, batch_size=10, callbacks=[log], **QUIET)
    hooks = [call[:2] for call in log.calls if len(call) == 3]
    batches = [("begin", 0), ("end", 2), ("begin", 3), ("end", 3)]
    assert hooks == [(f"{kind}_batch_{what}", n) for kind in ("test", "predict") for what, n in batches]
    assert [logs["outputs"].shape for logs in log.logs("predict_batch_end")] == [(30, 1), (10, 1)]
