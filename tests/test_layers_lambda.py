"""Lambda: a function as a layer, eager, replayed and in a graph; and no file that holds one."""

import copy

import numpy as np
import pytest
from helpers import assert_same, random_input

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


def test_no_file_holds_one(tmp_path):
    model = model_of(ops.tanh)
    for save in (lambda: model.save(tmp_path / "model.keras"), model.to_json, lambda: keras.models.clone_model(model)):
        with pytest.raises(ValueError, match=r"'lambda\w*' \(Lambda\).*Layer of your own.*save_weights"):
            save()
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "it.weights.h5")
    again = model_of(ops.tanh)
    again.set_weights([0 * w for w in again.get_weights()])
    again.load_weights(tmp_path / "it.weights.h5")
    assert_same(again.get_weights(), model.get_weights())
    with pytest.raises(ValueError, match="Lambda holds code"):
        keras.layers.deserialize({"class_name": "Lambda", "config": {"function": "tanh"}})


def test_bad_arguments():
    with pytest.raises(TypeError, match="'tanh'"):
        Lambda("tanh")
