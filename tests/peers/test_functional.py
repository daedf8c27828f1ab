"""Functional models between minigrad and the real Keras: configs, files, and operations as Keras files them."""

import importlib
import inspect
import json

import numpy as np
import pytest

import minigrad
from minigrad.names import snake_case
from minigrad.saving import functional

pytestmark = pytest.mark.peers

A = np.random.default_rng(0).standard_normal((6, 4)).astype("float32")
B = np.random.default_rng(1).standard_normal((6, 3)).astype("float32")


def branches(library):
    layers, ops = library.layers, library.ops
    a, b = library.Input((4,), name="a"), library.Input((3,), name="b")
    shared = layers.Dense(5, activation="tanh", name="shared")
    x = layers.Dense(5, name="d")(ops.concatenate([a, b], axis=-1))
    inner = library.Sequential([library.Input((5,)), layers.Dense(5), layers.BatchNormalization()], name="inner")
    other = library.Input((5,), name="other_input")
    nested = library.Model(other, layers.Add()([layers.Dense(5)(other), other]), name="nested")
    y = shared(shared(ops.relu(layers.Dense(5)(x) + x) * 2.0))
    y = inner(y) - nested(y) + nested(x)[:, ::-1]
    y = ops.squeeze(ops.reshape(y, (-1, 5, 1)), axis=-1)
    y = layers.Concatenate()([ops.where(y > 0, y, 0.1 * y)[:, 1:3], ops.mean(y, axis=1, keepdims=True)])
    p, q = ops.split(y, [1], axis=-1)
    y = ops.einsum("ij,jk->ik", ops.stack([p[:, 0], q[:, 1]], axis=1), np.ones((2, 3), "float32"))
    return library.Model([a, b], {"out": layers.Dense(1, name="z")(y), "nested": nested(x)}, name="branches")


def values(model):
    return {name: np.asarray(y) for name, y in model([A, B]).items()}


def test_files_both_ways(keras, tmp_path):
    for here, there in ((minigrad, keras), (keras, minigrad)):
        model = branches(here)
        model.save(tmp_path / "model.keras")
        again = there.models.load_model(tmp_path / "model.keras")
        for name, y in values(model).items():
            np.testing.assert_allclose(values(again)[name], y, 1e-5, 1e-6)
    minigrad_s = branches(minigrad)
    minigrad_s.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5")
    np.testing.assert_allclose(values(again)["out"], values(minigrad_s)["out"], 1e-5, 1e-6)


def test_configs_and_summaries_are_equal(keras):
    both = []
    for library in (minigrad, keras):
        library.utils.clear_session()
        both.append(branches(library))
    ours, theirs = (json.loads(model.to_json())["config"] for model in both)
    assert ours["input_layers"] == theirs["input_layers"] and ours["output_layers"] == theirs["output_layers"]
    for one, other in zip(ours["layers"], theirs["layers"], strict=True):
        for what in ("module", "class_name", "name"):
            assert one[what] == other[what]
        if one["module"] != "keras.src.models.functional":
            assert one["config"].keys() == other["config"].keys()
        # Keras notes of a model inside that no mask was given
        nodes = [{**node, "kwargs": {k: v for k, v in node["kwargs"].items() if k != "mask"}}
                 for node in other["inbound_nodes"]]
        assert one["inbound_nodes"] == nodes
    for options in ({}, {"show_trainable": True, "line_length": 110}, {"expand_nested": True}):
        texts = []
        for model in both:
            model.summary(print_fn=texts.append, **options)
        assert texts[0] == texts[1]


def test_every_operation_of_keras_is_in_the_table(keras):
    """Every public operation that Keras has as a class is told as that class, with its arguments where Keras has them.

    `relu` is one of `ops.nn` and, under another name, of `activations`.
    """
    classes = {}
    for name in ("core", "image", "linalg", "math", "nn", "numpy"):
        module = importlib.import_module(f"keras.src.ops.{name}")
        classes |= {
            snake_case(key): value for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, keras.Operation) and value.__module__ == module.__name__
        }
    left_out = {"arange", "linspace", "full", "ndim", "size", "cond"}  # they take no tensor, or return none
    left_out |= {"map", "scan", "associative_scan", "switch", "while_loop", "fori_loop", "vectorized_map"}  # and functions
    left_out |= {"bincount", "histogram", "trapezoid", "geomspace", "logspace"}  # told in another way, or read
    left_out |= {"binary_crossentropy", "categorical_crossentropy"}  # other functions than Keras'
    left_out |= {"dot_product_attention"}  # of symbols it is recorded in the operations that it is made of
    capitals = {"r_m_s_norm": "rms_normalization", "rms_norm": "rms_normalization", "is_in": "isin", "search_sorted": "searchsorted"}
    classes |= {capitals[name]: classes[name] for name in capitals if name in classes}
    places = {(kind.__module__, kind.__name__) for kind in classes.values()} | {functional._CLASSES[minigrad.activations.relu]}
    assert set(functional._CLASSES.values()) - places == set()
    known = {name: getattr(module, name) for module in (minigrad.ops, minigrad.ops.image) for name in module.__all__}
    for name in sorted(set(known) & set(classes) - left_out):
        function, kind = known[name], classes[name]
        if function.__name__ != name:
            continue  # a second name
        assert functional._CLASSES.get(function) == (kind.__module__, kind.__name__), name
        in_call = set(inspect.signature(kind.call).parameters) - {"self", "kwargs"}
        made_with = set(inspect.signature(kind.__init__).parameters) - {"self", "name", "args", "kwargs"}
        signature = inspect.signature(function)
        for argument in signature.parameters:
            assert (argument in in_call) == (argument in functional._in_call(signature)), (name, argument)
            assert argument in in_call | made_with, (name, argument)


def test_operations_have_the_names_that_keras_gives_them(keras):
    def names(keras):
        keras.utils.clear_session()
        x, ops = keras.Input((4, 4)), keras.ops
        outputs = [x + 1, x - 1, 2 * x, x / 2, 2 / x, x**2, x // 2, x % 2, x @ x, -x, abs(x), x[:, 0], x < 1, x >= 1, x != 1, ~(x > 1)]
        outputs += [(x > 0) & (x < 1), (x > 0) | (x < 1), (x > 0) ^ (x < 1), ops.divide(x, 2), ops.true_divide(x, 2), ops.fabs(x)]
        outputs += [ops.amax(x, 1), ops.amin(x, 1), ops.isin(x, [1.0]), ops.rms_normalization(x, ops.ones((4,))), ops.relu6(x)]
        outputs += [ops.searchsorted(ops.convert_to_tensor([1.0, 2.0]), x[0, 0]), ops.log1p(x), ops.top_k(x, 2)[0], ops.expand_dims(x, 1)]
        return [entry["name"] for entry in keras.Model(x, outputs).get_config()["layers"]]

    assert names(minigrad) == names(keras)


def test_operators_of_graphs_are_read(keras, tmp_path):
    """Keras has several classes for one function: `x / 2` is a TrueDivide, ops.amax an Amax."""
    x = keras.Input((4,))
    outputs = [2 / x, x / 2, keras.ops.abs(x), abs(x), keras.ops.amax(x, 1), keras.ops.amin(x, 1), keras.ops.fabs(x), keras.ops.true_divide(x, 3)]
    outputs += [keras.ops.isin(x, [1.0]), keras.ops.searchsorted(keras.ops.convert_to_tensor([1.0, 2.0]), x[0])]
    outputs += [keras.ops.rms_normalization(x, keras.ops.ones((4,)))]
    model, rows = keras.Model(x, outputs), np.array([[1, -5, 2, 0.5], [0.1, 1, 1.5, 3]], "float32")
    model.save(tmp_path / "theirs.keras")
    ours = minigrad.models.load_model(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    for y, one, other in zip(model(rows), ours(rows), again(rows), strict=True):
        np.testing.assert_allclose(one, y, 1e-5)
        np.testing.assert_allclose(other, y, 1e-5)
