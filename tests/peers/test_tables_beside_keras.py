"""HashedCrossing and FeatureSpace beside the real Keras on TensorFlow: what comes out, configs, and files both ways."""

import json

import numpy as np
import pytest

import minigrad
from minigrad.utils.pipeline import Dataset

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]
pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

TABLE = {
    "age": [61.0, 29.5, 44.0, 35.25, 50.0, 61.0], "rooms": [3, 1, 4, 1, 5, 9], "zip": [1010, 1020, 1010, 1, 7, 1020],
    "city": ["Rome", "Oslo", "Rome", "Łódź", "Oslo", ""], "text": ["a b", "b c", "c", "", "a a a", "b"],
}  # fmt: skip
KINDS = {"age": "float_normalized", "rooms": "integer_categorical", "zip": "integer_hashed", "city": "string_categorical"}


def assert_same(theirs, ours):
    if isinstance(theirs, dict):
        assert list(theirs) == list(ours)
        for name in theirs:
            assert_same(theirs[name], ours[name])
        return
    expected = np.asarray(theirs)
    assert tuple(ours.shape) == expected.shape and ours.numpy().dtype.kind == expected.dtype.kind
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{"num_bins": 5}, {"num_bins": 7, "output_mode": "one_hot"}, {"num_bins": 1}], ids=str)
def test_crossing(keras, options):
    layers = [k.layers.HashedCrossing(**options) for k in (keras, minigrad)]
    a, b, c = np.array(["A", "B", "A", "", "é" * 40]), np.array([101, 101, -7, 2**40, 0]), np.array(["x", "y", "x", "y", "z" * 99])
    for data in ([a, b], [a, c], [b, b], [a, b, c], [a[:, None], b[:, None]], ["A", 101]):
        assert_same(layers[0](data), layers[1](data))
    for wrong in ([a], a, [a, b[:, None]], [a, b * 0.5], [np.stack([a, a], 1), np.stack([b, b], 1)]):
        with pytest.raises((ValueError, TypeError)):
            layers[0](wrong)
        with pytest.raises(ValueError):
            layers[1](wrong)
    config = layers[1].get_config()
    assert config == {**layers[0].get_config(), "name": config["name"]}


SPACES = {
    "names": lambda f: f(KINDS, crosses=[("city", "rooms"), ("zip", "rooms")]),
    "dict": lambda f: f(KINDS, crosses=[f.cross(("city", "rooms"), 5, output_mode="int")], output_mode="dict"),
    "kinds": lambda f: f({
        "age": f.float_discretized(num_bins=3), "rooms": f.integer_categorical(max_tokens=3, num_oov_indices=2),
        "zip": f.integer_hashed(num_bins=6), "city": f.string_hashed(num_bins=4),
    }),
    "plain": lambda f: f({"age": "float", "rooms": f.float_rescaled(0.5, -1.0)}),
    "integers": lambda f: f({"city": f.string_categorical(output_mode="int"), "rooms": f.integer_categorical(output_mode="int")}, output_mode="dict"),
    "bins": lambda f: f({"age": "float_discretized", "city": "string_hashed"}, num_discretization_bins=4, hashing_dim=8),
}  # fmt: skip


def spaces(keras, name):
    return SPACES[name](keras.utils.FeatureSpace), SPACES[name](minigrad.utils.FeatureSpace)


@pytest.mark.parametrize("name", SPACES)
def test_what_comes_out(keras, name):
    theirs, ours = spaces(keras, name)
    table = {column: TABLE[column] for column in ours.features}
    theirs.adapt(tf.data.Dataset.from_tensor_slices(table).batch(4))
    ours.adapt(Dataset.from_tensor_slices(table).batch(4))
    assert_same(theirs(table), ours(table))
    row = {column: values[1] for column, values in table.items()}
    assert_same(theirs(row), ours(row))
    assert_same(next(iter(tf.data.Dataset.from_tensor_slices(table).map(theirs))), next(iter(Dataset.from_tensor_slices(table).map(ours))))
    assert {name: tuple(one.shape) for name, one in theirs.get_inputs().items()} == {n: one.shape for n, one in ours.get_inputs().items()}
    for other in (table, [dict(zip(table, one, strict=True)) for one in zip(*table.values(), strict=True)]):  # columns; rows
        again = SPACES[name](minigrad.utils.FeatureSpace)
        again.adapt(other)
        assert_same(theirs(table), again(table))


def test_a_layer_of_ones_own(keras):
    found = []
    for k, data in ((keras, tf.data.Dataset), (minigrad, Dataset)):
        layer = k.layers.Hashing(3, output_mode="one_hot")
        space = k.utils.FeatureSpace({"text": k.utils.FeatureSpace.feature("string", layer, "float"), "age": "float"})
        space.adapt(data.from_tensor_slices({name: TABLE[name] for name in ("text", "age")}))
        assert space.preprocessors["text"] is layer
        found.append(space({name: TABLE[name] for name in ("text", "age")}))
    assert_same(*found)


@pytest.mark.parametrize("wrong", [
    lambda f: f({}), lambda f: f({"a": "words"}), lambda f: f({"a": "float"}, output_mode="list"), lambda f: f({"a": "float"}, crosses=[("a", "b")]),
    lambda f: f(KINDS)(TABLE), lambda f: f(KINDS).get_inputs(), lambda f: f(KINDS).adapt([1.0]), lambda f: f({"age": "float"})([1.0]),
    lambda f: f({"rooms": f.integer_hashed(4, output_mode="int")})({"rooms": [1]}), lambda f: f.cross(("a", "b"), 3, output_mode="float"),
])  # fmt: skip
def test_what_is_wrong_is_wrong_here_too(keras, wrong):
    for k in (keras, minigrad):
        with pytest.raises(ValueError):
            wrong(k.utils.FeatureSpace)


@pytest.mark.parametrize("name", ["names", "kinds", "dict"])
def test_files_both_ways(keras, name, tmp_path):
    """Of the FeatureSpace alone, and of a model that takes the table."""
    table = {column: TABLE[column] for column in KINDS} | {"city": [word or "Bern" for word in TABLE["city"]]}
    for k, other, from_slices in ((keras, minigrad, tf.data.Dataset.from_tensor_slices), (minigrad, keras, Dataset.from_tensor_slices)):
        space = SPACES[name](k.utils.FeatureSpace)
        space.adapt(from_slices(table))
        space.save(str(tmp_path / "space.keras"))
        again = other.models.load_model(str(tmp_path / "space.keras"))
        pair = (space(table), again(table))
        assert_same(*(pair if k is keras else pair[::-1]))
        json.dumps(space.get_config())
        if name != "dict":
            model = k.Model(space.get_inputs(), k.layers.Dense(3)(space.get_encoded_features()))
            model.save(str(tmp_path / "model.keras"))
            again = other.models.load_model(str(tmp_path / "model.keras"))
            given = {one: tf.constant(values)[:, None] for one, values in table.items()}
            pair = model.predict(given if k is keras else table, verbose=0), again.predict(given if k is minigrad else table, verbose=0)
            np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-5)
