"""Functional models as configs and in files: what is written is what Keras writes, and reads back to the same bits."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import ops
from minigrad.layers import BatchNormalization, Dense

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_functional as golden

GOLDEN = golden.HERE

RANDOM = np.random.default_rng(5)
A, B = RANDOM.standard_normal((6, 4)).astype("float32"), RANDOM.standard_normal((6, 3)).astype("float32")


def branches():
    """Two inputs and outputs, a shared layer, models inside, and operations of all kinds."""
    keras.utils.set_random_seed(1)
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    x = Dense(5, name="d")(ops.concatenate([a, b], axis=-1))
    shared = Dense(5, activation="tanh", name="shared")
    inner = keras.Sequential([keras.Input((5,)), Dense(5), BatchNormalization()], name="inner")
    other = keras.Input((5,))
    functional = keras.Model(other, Dense(5)(other) + other, name="other")
    y = shared(shared(ops.relu(Dense(5)(x) + x) * 2.0))
    y = inner(y) - functional(y) + functional(x)[:, ::-1]
    y = ops.squeeze(ops.reshape(y, (-1, 5, 1)), axis=-1)
    y = ops.concatenate([ops.where(y > 0, y, 0.1 * y)[:, 1:3], ops.mean(y, axis=1, keepdims=True)], axis=1)
    p, q = ops.split(y, [1], axis=-1)
    y = ops.einsum("ij,jk->ik", ops.stack([p[..., 0], q[:, 1]], axis=1), np.ones((2, 3), "float32"))
    return keras.Model([a, b], {"out": Dense(1, name="z")(y), "nested": functional(x)})


def values(model):
    return {name: y.numpy() for name, y in model([A, B]).items()}


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_files(ending, tmp_path):
    model = branches()
    model.save(tmp_path / f"model.{ending}")
    again = keras.models.load_model(tmp_path / f"model.{ending}")
    assert_same(values(again), values(model))
    assert again.to_json() == model.to_json()
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_json_and_weights(tmp_path):
    model = branches()
    again = keras.models.model_from_json(model.to_json())
    assert again.input_shape == model.input_shape and again.output_shape == model.output_shape
    again.set_weights(model.get_weights())
    assert_same(values(again), values(model))
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.Model.from_config(model.get_config())
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(values(other), values(model))


def test_the_config_is_keras_s():
    """What Keras 3.15 writes for this model."""
    x = keras.Input((4,), name="x")
    h = Dense(2, name="d")(x)
    model = keras.Model([x], ops.sum(h[:, 1:] * 2.0, axis=(1,), keepdims=True), name="m")
    config = json.loads(model.to_json())
    assert (config["module"], config["class_name"]) == ("keras.src.models.functional", "Functional")
    config = config["config"]
    assert set(config) == {"name", "trainable", "layers", "input_layers", "output_layers"}
    assert config["input_layers"] == [["x", 0, 0]]
    _, dense, get_item, multiply, total = config["layers"]
    assert (dense["module"], dense["class_name"], dense["name"]) == ("keras.layers", "Dense", "d")

    def symbol(shape, *history):
        config = {"shape": [None, *shape], "dtype": "float32", "keras_history": [*history]}
        return {"class_name": "__keras_tensor__", "config": config}

    none = {"start": None, "stop": None, "step": None}
    key = [{"class_name": "__slice__", "config": none}, {"class_name": "__slice__", "config": {**none, "start": 1}}]
    assert dense["inbound_nodes"] == [{"args": [symbol([4], "x", 0, 0)], "kwargs": {}}]
    assert get_item["inbound_nodes"] == [{"args": [symbol([2], "d", 0, 0), key], "kwargs": {}}]
    assert multiply["inbound_nodes"] == [{"args": [symbol([1], get_item["name"], 0, 0), 2.0], "kwargs": {}}]
    assert (total["module"], total["class_name"]) == ("keras.src.ops.numpy", "Sum")
    assert total["config"] == {"name": total["name"], "axis": [1], "keepdims": True}
    assert config["output_layers"] == [total["name"], 0, 0]


def test_a_part_of_a_model_is_a_model_of_its_own(tmp_path):
    model = branches()
    for inputs, outputs in ((model.input, model.get_layer("d").output), (model.get_layer("d").output, model.output)):
        part = keras.Model(inputs, outputs)
        part.save(tmp_path / "part.keras")
        again = keras.models.load_model(tmp_path / "part.keras")
        given = [A, B] if inputs is model.input else RANDOM.standard_normal((6, 5)).astype("float32")
        y, expected = again(given), part(given)
        assert_same(*({n: t.numpy() for n, t in (one if isinstance(one, dict) else {"": one}).items()}
                      for one in (y, expected)))


class Units(keras.Model):
    def __init__(self, units=3, **kwargs):
        x = keras.Input((4,))
        super().__init__(x, Dense(units)(x), **kwargs)


class Named(keras.Model):
    def first(self):
        return self.layers[1]


@pytest.mark.parametrize("make", [lambda x: Units(units=5), lambda x: Named(x, Dense(2)(x))])
def test_subclasses(make, tmp_path):
    model = make(keras.Input((4,)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", custom_objects={"Units": Units, "Named": Named})
    assert type(again) is type(model)
    assert_same(again(A).numpy(), model(A).numpy())


def config():
    """A small model as a dict, for tests that damage it."""
    x = keras.Input((4,), name="x")
    shared = Dense(4, name="d")
    return json.loads(keras.Model(x, ops.tile(shared(shared(x)), [1, 2])).to_json())


def history(config, entry=1, call=0):
    return config["config"]["layers"][entry]["inbound_nodes"][call]["args"][0]["config"]["keras_history"]


def operation(**change):
    return lambda c: c["config"]["layers"][2].update(change)


@pytest.mark.parametrize("change, reason", [
    (lambda c: history(c).__setitem__(0, "nobody"), "'nobody' is needed"),
    (lambda c: history(c).__setitem__(1, 5), "call 5 of layer 'x'"),
    (lambda c: history(c).__setitem__(1, -1), "call -1 of layer 'x'"),
    (lambda c: history(c).__setitem__(1, "0"), "call '0' of layer 'x'"),
    (lambda c: history(c).__setitem__(2, 1), "1 results, and number 1"),
    (lambda c: history(c).__setitem__(2, -1), "number -1"),
    (lambda c: history(c).pop(), "says not which"),
    (lambda c: history(c).__setitem__(slice(0, 2), ["d", 1]), "need each other"),
    (lambda c: c["config"].update(output_layers=["d", 7, 0]), "call 7 of layer 'd'"),
    (lambda c: c["config"].update(output_layers=5), "says not which"),
    (lambda c: c["config"]["layers"].append(c["config"]["layers"][1]), "several layers of one name"),
    (lambda c: c["config"]["layers"][1]["inbound_nodes"][0].update(args=[[1.0, 2.0]]), "comes from an input"),
    (lambda c: c["config"]["layers"][1]["inbound_nodes"][0].update(args=[{"class_name": "Dense", "config": {}}]),
     "got the config of a 'Dense'"),
    (lambda c: c["config"]["layers"][1]["config"].update(units=10**7), "larger than all that the file holds"),
    (operation(class_name="Load"), "keras.src.ops.numpy.Load"),
    (operation(module="keras.src.ops.nn"), "keras.src.ops.nn.Tile"),
    (operation(module="os", class_name="system"), "os.system"),
    (operation(config={"name": "t", "repeats": [1, 10**12]}), "repeats"),
    (operation(config={"name": "t", "repeats": [1, 10**7]}), "elements allowed"),
    (lambda c: c["config"].pop("layers"), "layers"),
])  # fmt: skip
def test_configs_are_not_trusted(change, reason, tmp_path):
    path = tmp_path / "model.keras"
    keras.models.model_from_json(json.dumps(config())).save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    damaged = json.loads(members["config.json"])
    change(damaged)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {**members, "config.json": json.dumps(damaged)}.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match=reason) as caught:
        keras.models.load_model(path)
    assert str(path) in str(caught.value)


def test_what_a_config_can_t_tell():
    x = keras.Input((4,))
    for y, words in [
        (ops.clip(x, 0.0, ops.max(x)), "clip.*numbers"),
        (x * keras.Variable(np.ones(4, "float32")), "multiply.*variable"),
        (ops.mean_all(x), "no operation 'mean_all'"),
    ]:
        with pytest.raises(ValueError, match=words):
            keras.Model(x, y).to_json()


def test_a_list_of_one(tmp_path):
    x = keras.Input((4,))
    model = keras.Model([x], [Dense(2)(x)])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_same(again.predict(A, verbose=0), model([A]).numpy())


def test_a_trained_model_goes_on(tmp_path):
    x = keras.Input((4,))
    h = Dense(4)(x)
    model = keras.Model(x, Dense(1)(keras.layers.Add()([BatchNormalization()(h), x])))
    model.compile("adam", "mse")
    model.fit(A, B[:, :1], verbose=0)
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"model.{ending}")
    expected = model.fit(A, B[:, :1], epochs=2, verbose=0).history
    for ending in ("keras", "h5"):
        again = keras.models.load_model(tmp_path / f"model.{ending}")
        assert again.fit(A, B[:, :1], epochs=2, verbose=0).history == expected


def test_clones():
    model = branches()
    clone = keras.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert not set(map(id, clone.weights)) & set(map(id, model.weights))
    clone.set_weights(model.get_weights())
    assert_same(values(clone), values(model))

    def wider(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "activation": "relu"} if isinstance(layer, Dense) else config)

    changed = keras.models.clone_model(model, clone_function=wider)
    assert changed.get_layer("shared").activation is keras.activations.relu
    assert changed.get_layer("inner").layers[0].activation is keras.activations.linear
    changed = keras.models.clone_model(model, clone_function=wider, recursive=True)
    assert changed.get_layer("inner").layers[0].activation is keras.activations.relu
    a, b = keras.Input((4,)), keras.Input((3,))
    assert keras.models.clone_model(model, [a, b]).inputs == [a, b]
    with pytest.raises(ValueError, match="2 results of keras.Input"):
        keras.models.clone_model(model, [a])


def test_a_clone_of_a_variable_in_a_graph_needs_no_config():
    x = keras.Input((4,))
    model = keras.Model(x, ops.mean_all(Dense(2)(x)))
    assert keras.models.clone_model(model)(A).shape == ()


@pytest.mark.parametrize("name", ["keras.keras", "keras.h5", "tf_keras.keras", "tf_keras.h5"])
def test_files_of_keras(name, tmp_path):
    model = keras.models.load_model(GOLDEN / name)
    model.save(tmp_path / name)
    with np.load(GOLDEN / "expected.npz") as expected:
        for one in (model, keras.models.load_model(tmp_path / name)):
            for i, y in enumerate(one.predict([golden.rows(4), golden.rows(3)], verbose=0)):
                np.testing.assert_allclose(y, expected[f"{name}/{i}"], 1e-5, 1e-6)


def test_the_summary_of_a_graph_is_keras_s(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    keras.utils.clear_session()
    texts = []
    golden.branches(keras, with_operations=True).summary(print_fn=texts.append)
    assert texts == [(GOLDEN / "keras.txt").read_text(encoding="utf-8")]


def test_summaries_of_graphs(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def lines(model, **options):
        texts = []
        model.summary(print_fn=texts.append, line_length=110, **options)
        return texts[0].splitlines()

    x = keras.Input((4,), name="x")
    h = Dense(3, name="d")(x)
    chain = keras.Model(x, ops.relu(h))
    assert "Connected to" not in lines(chain)[2] and any("relu (Relu)" in line for line in lines(chain))
    two = keras.Model(x, {"b": h, "a": [h, h + 1.0]}, name="two")
    model = keras.Model(x, two(x)["a"][1] + two(x)["b"])
    row = next(line for line in lines(model, show_trainable=True) if "two" in line)
    assert "{b: (None, 3), a:" in row and "x[0][0], x[0][0]" in row and "Y" in row
    assert any("two[0][1], two[1][2]" in line for line in lines(model))
