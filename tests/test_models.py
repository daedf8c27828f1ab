"""Models made of models: nesting, freezing, layers taken off and put on again after training, what a model tells of itself."""

import numpy as np
import pytest
from helpers import assert_same, data

import minigrad as keras
from minigrad import layers as L


@pytest.fixture(autouse=True)
def wide_window(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def nested():
    """Input, a; then `inner` of i1 and a Batch Normalization i2; then a Dropout and z."""
    keras.utils.set_random_seed(2)
    keras.utils.clear_session()
    inner = keras.Sequential([L.Dense(3, activation="relu", name="i1"), L.BatchNormalization(name="i2")], name="inner")
    model = keras.Sequential(
        [keras.Input((5,), name="rows"), L.Dense(4, name="a"), inner, L.Dropout(0.1, name="drop"),
         L.Dense(1, activation="sigmoid", name="z")],
        name="outer",
    )  # fmt: skip
    return model, inner


def text(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def rows(summary):
    """The cells of a summary's table, a list for each line of it."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in summary.splitlines() if line.startswith("│")]


def test_the_summary_of_a_nested_model():
    model, _ = nested()
    assert [row[0] for row in rows(text(model))] == ["a (Dense)", "inner (Sequential)", "drop (Dropout)", "z (Dense)"]
    expanded = rows(text(model, expand_nested=True, line_length=90))
    assert expanded == [
        ["a (Dense)", "(None, 4)", "24"], ["inner (Sequential)", "(None, 3)", "27"], ["└ i1 (Dense)", "(None, 3)", "15"],
        ["└ i2 (BatchNormalization)", "(None, 3)", "12"], ["drop (Dropout)", "(None, 3)", "0"], ["z (Dense)", "(None, 1)", "4"],
    ]  # fmt: skip
    assert "Total params: 55 (220.00 B)" in text(model) and "Non-trainable params: 6 (24.00 B)" in text(model)
    assert [row[0] for row in rows(text(model, layer_range=["inner", "z"], expand_nested=True))][0] == "inner (Sequential)"


def test_the_summary_shows_what_is_frozen():
    model, inner = nested()
    inner.trainable = False
    shown = {row[0]: row[-1] for row in rows(text(model, expand_nested=True, show_trainable=True, line_length=110))}
    assert shown == {
        "a (Dense)": "Y", "inner (Sequential)": "N", "└ i1 (Dense)": "N", "└ i2 (BatchNormalization)": "N",
        "drop (Dropout)": "-", "z (Dense)": "Y",
    }  # fmt: skip
    assert "Trainable params: 28 (112.00 B)" in text(model)


def test_freezing_a_nested_model_keeps_weights_and_statistics():
    x, y = data(24)
    model, inner = nested()
    inner.trainable = False
    assert not inner.layers[0].trainable and not inner.layers[1].trainable
    assert [len(model.trainable_weights), len(model.non_trainable_weights)] == [4, 6]
    model.compile("sgd", "binary_crossentropy")
    before = inner.get_weights()
    model.fit(x, y, epochs=3, verbose=0)
    assert_same(inner.get_weights(), before)
    inner.trainable = True
    inner.layers[0].trainable = False
    model.fit(x, y, epochs=3, verbose=0)
    after = inner.get_weights()
    assert_same(after[:2], before[:2])
    assert all(not np.array_equal(a, b) for a, b in zip(after[2:], before[2:], strict=True))


def test_one_layer_of_a_frozen_model_can_be_thawed():
    model, inner = nested()
    inner.trainable = False
    inner.layers[0].trainable = True
    assert [v.path for v in model.trainable_weights] == ["a/kernel", "a/bias", "i1/kernel", "i1/bias", "z/kernel", "z/bias"]


def test_a_model_inside_another_is_the_same_model():
    model, inner = nested()
    weights = [np.full(w.shape, 0.5, "float32") for w in inner.get_weights()]
    inner.set_weights(weights)
    assert_same(model.get_weights()[2:8], weights)
    assert model.get_layer("inner") is model.get_layer(index=1) is model.get_layer(index=-3) is inner
    assert inner.get_layer("i1") is inner.layers[0]


@pytest.mark.parametrize("arguments, words", [
    ({"name": "i1"}, "'i1'.*'a', 'inner', 'drop', 'z'"), ({"index": 9}, "9 is out of range; there are 4"), ({}, "name=None, index=None"),
    ({"name": "a", "index": 0}, "name='a', index=0"),
])  # fmt: skip
def test_get_layer_misses(arguments, words):
    model, _ = nested()
    with pytest.raises(ValueError, match=words):
        model.get_layer(**arguments)


def test_inputs_and_outputs_tell_shape_dtype_and_name():
    model, inner = nested()
    (one,), (other,) = model.inputs, model.outputs
    assert (one.shape, one.dtype, one.name) == ((None, 5), "float32", "rows")
    assert (other.shape, other.dtype) == ((None, 1), "float32") and inner.inputs[0].shape == (None, 4)
    assert (model.input_shape, model.output_shape) == ((None, 5), (None, 1))


@pytest.mark.parametrize("attribute", ["inputs", "outputs", "input_shape", "output_shape"])
def test_an_unbuilt_model_has_no_shapes(attribute):
    model = keras.Sequential([L.Dense(1)], name="lazy")
    with pytest.raises(AttributeError, match="'lazy'"):
        getattr(model, attribute)
    assert not hasattr(model, attribute)


def test_inputs_and_outputs_are_described():
    model, _ = nested()
    for layer in (model, model.layers[0]):
        assert layer.input.shape == layer.input_shape and layer.output.shape == layer.output_shape
        assert layer.output.dtype == "float32" and layer.path == layer.name
    assert keras.Input((3,), batch_size=2).shape == (2, 3)
    with pytest.raises(AttributeError, match="not been called yet"):
        L.Dense(1).output  # noqa: B018
    shared, a, b = L.Dense(2), keras.Input((3,)), keras.Input((3,))
    first, _ = shared(a), shared(b)
    assert shared.input is a and shared.output is first  # as in Keras

    class Own(L.Layer):  # the names are free for those who want them
        def __init__(self):
            super().__init__()
            self.output = L.Dense(2)

        def call(self, x):
            return self.output(x)

    assert Own()(np.ones((3, 4))).shape == (3, 2)


def test_the_first_layers_compute_as_part_of_the_model():
    model, _ = nested()
    x = data(8)[0]
    part = keras.Sequential(model.layers[:2])
    assert part.layers[0] is model.layers[0]
    head = keras.Sequential(model.layers[2:])
    assert_same(head.predict(part.predict(x, verbose=0), verbose=0), model.predict(x, verbose=0))


def test_another_head_after_training():
    x, y = data(40)
    model, inner = nested()
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, epochs=2, verbose=0)
    kept = inner.get_weights()
    assert model.pop().name == "z" and model.output_shape == (None, 3)
    features = model.predict(x, verbose=0)
    model.add(L.Dense(3, activation="softmax", name="z"))
    assert model.output_shape == (None, 3) and len(model.weights) == 10
    assert_same(keras.Sequential(model.layers[:-1]).predict(x, verbose=0), features)
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, data(40, target="labels")[1], epochs=10, batch_size=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert_same(inner.get_weights(), kept)


def test_deep_nesting():
    model = inner = keras.Sequential([L.Dense(2, name="core")], name="level0")
    for level in range(1, 12):
        model = keras.Sequential([model], name=f"level{level}")
    model.build((None, 3))
    assert inner.built and model.output_shape == (None, 2) and model.count_params() == 8
    x = np.ones((4, 3), "float32")
    assert_same(model.predict(x, verbose=0), inner.predict(x, verbose=0))
    assert text(model, expand_nested=True, line_length=100).count("Sequential") == 11
    model.trainable = False
    assert model.trainable_weights == [] and not inner.layers[0].trainable
