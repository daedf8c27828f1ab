"""Lambda: a function as a layer, eager, replayed and in a graph; and no file that holds one."""

import copy

import numpy as np
import pytest
from helpers import Quiet, assert_same, random_input

import minigrad as keras
from minigrad import ops
from minigrad.layers import Dense, Lambda
from minigrad.utils import gradcheck

QUIET = {"verbose": 0}
X, Y = random_input((24, 4), dtype="float32"), random_input((24, 1), 1, "float32")


def model_of(function, **arguments):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), Dense(6), Lambda(function, **arguments), Dense(1)])
    model.compile("adam", "mse")
    return model


def test_values_shapes_and_gradients():
    layer = Lambda(lambda x, by: ops.square(x) * by, arguments={"by": 3.0}, dtype="float64")
    x = keras.Tensor(random_input((3, 4)), requires_grad=True)
    assert_same(layer(x).numpy(), np.square(x.numpy()) * 3)
    assert gradcheck(layer, x) and layer.weights == [] and layer.name.startswith("lambda")
    several = Lambda(lambda xs: ops.concatenate(xs, -1)[:, 1:], output_shape=(7,))
    assert several([keras.Input((4,)), keras.Input((4,))]).shape == (None, 7) and several([X, X]).shape == (24, 7)
    assert Lambda(lambda x: x > 0)(keras.Input((4,))).dtype == "bool" and Lambda(abs)(X).shape == (24, 4)
    hot = Lambda(lambda i: ops.one_hot(i, 3))(np.array([2, 0]))
    assert_same(hot.numpy(), np.eye(3, dtype="float32")[[2, 0]])


def test_training_is_told():
    layer = Lambda(lambda x, training: x * 2.0 if training else x)
    assert_same(layer(X, training=True).numpy(), 2 * layer(X).numpy())


def test_replay_equals_eager():
    found = []
    for run_eagerly in (False, True):
        model = model_of(lambda x: ops.tanh(x) * 2.0)
        model.run_eagerly = run_eagerly
        history = model.fit(X, Y, batch_size=10, epochs=3, **QUIET).history
        assert (model.train_program is None) is run_eagerly
        found.append([history, model.get_weights(), model.predict(X, **QUIET)])
    assert_same(*found)


def test_calling_the_model_runs_the_function_each_time():
    seen = []
    model = model_of(lambda x: seen.append(1) or x)
    before = len(seen)
    model(X), model(X)
    assert len(seen) == before + 2
    assert_same(copy.deepcopy(model).predict(X, **QUIET), model.predict(X, **QUIET))


def half(x, by=2.0):
    return x / by


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("function", [half, lambda x, by: ops.tanh(x) * by])
def test_a_file_holds_the_name_of_the_function(function, name, tmp_path):
    model, path = model_of(function, arguments={"by": 3.0}), tmp_path / name
    called = function.__name__
    with Quiet() if called == "half" else pytest.warns(UserWarning, match="`def`.*'<lambda>': ...}; load_weights does"):
        model.save(path)
    found = keras.models.load_model(path, custom_objects={called: function})
    assert_same(found.predict(X, **QUIET), model.predict(X, **QUIET))
    assert_same(keras.models.clone_model(model)(X).shape, (24, 1))
    with pytest.raises(ValueError, match=f"'{called}'.*pass custom_objects=.'{called}': ...}}"):
        keras.models.load_model(path)
    again = model_of(function, arguments={"by": 3.0})
    again.set_weights([0 * w for w in again.get_weights()])
    again.load_weights(path)
    assert_same(again.get_weights(), model.get_weights())


def test_code_in_a_config_is_not_read():
    for code in ({"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}, ["4wEAAAA=", None, None]):
        with pytest.raises(ValueError, match="holds code"):
            keras.layers.deserialize({"class_name": "Lambda", "config": {"function": code}})


def test_bad_arguments():
    with pytest.raises(TypeError, match="'tanh'"):
        Lambda("tanh")
