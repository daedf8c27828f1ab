"""Sequential: how it is put together, built, named and copied; its errors."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network

import minigrad as keras
from minigrad import layers
from minigrad.layers import Activation, BatchNormalization, Dense, Dropout, Flatten, ReLU


def article(**first):
    """The article's model."""
    keras.utils.clear_session()
    return keras.Sequential(
        [
            Dense(64, **first),
            BatchNormalization(),
            Activation("relu"),
            Dense(32),
            BatchNormalization(),
            Activation("relu"),
            Dense(1, activation="sigmoid"),
        ]
    )


def summary_of(model, **arguments):
    text = []
    model.summary(print_fn=text.append, **arguments)
    assert len(text) == 1
    return text[0]


# ---------------------------------------------------------------------------------------- putting it together


def test_the_numbers_of_the_article():
    model = article(input_shape=(20,))
    assert [layer.count_params() for layer in model.layers] == [1344, 256, 0, 2080, 128, 0, 33]
    assert model.count_params() == 3841
    assert sum(v.size for v in model.trainable_weights) == 3649
    assert sum(v.size for v in model.non_trainable_weights) == 192
    text = summary_of(model)
    for number in (
        "1,344",
        "256",
        "2,080",
        "128",
        "33",
        "3,841",
        "3,649",
        "192",
        "15.00 KB",
        "14.25 KB",
        "768.00 B",
    ):
        assert re.search(rf"(?<![\d,]){re.escape(number)}(?![\d,])", text), number
    rows = re.findall(r"│ (\w+) .*?│ \((None, \d+)\) +│ +([\d,]+) │", text)
    assert [shape for _, shape, _ in rows] == [f"None, {n}" for n in (64, 64, 64, 32, 32, 32, 1)]
    assert [name for name, _, _ in rows] == [
        "dense",
        "batch_normalization",
        "activation",
        "dense_1",
        "batch_normalization_1",
        "activation_1",
        "dense_2",
    ]
    assert 'Model: "sequential"' in text


def test_summary_after_a_fit_counts_the_optimizer():
    model = article(input_shape=(20,))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x, y = data(64, 20)
    model.fit(x, y, verbose=0)
    text = summary_of(model)
    for number in ("11,141", "3,649", "192", "7,300", "43.52 KB", "28.52 KB"):
        assert number in text


def test_summary_prints_and_returns_nothing():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert article(input_shape=(20,)).summary() is None
    assert "3,841" in out.getvalue()
    assert "(unbuilt)" in summary_of(keras.Sequential([Dense(3)]))


WAYS = {
    "input_shape": lambda: article(input_shape=(20,)),
    "input_shape list": lambda: article(input_shape=[20]),
    "input_dim": lambda: article(input_dim=20),
    "Input": lambda: keras.Sequential([keras.Input((20,)), *article().layers]),
    "Input by name": lambda: keras.Sequential([keras.Input(shape=(20,), name="rows"), *article().layers]),
    "Input batch_shape": lambda: keras.Sequential([keras.Input(batch_shape=(None, 20)), *article().layers]),
    "InputLayer": lambda: keras.Sequential([keras.InputLayer(shape=(20,)), *article().layers]),
    "InputLayer, old": lambda: keras.Sequential([keras.InputLayer(input_shape=(20,)), *article().layers]),
    "build": lambda: built(article()),
    "first data": lambda: called(article()),
    "predict": lambda: predicted(article()),
}


def built(model):
    model.build((None, 20))
    return model


def called(model):
    model(np.zeros((3, 20), "float32"))
    return model


def predicted(model):
    model.predict(np.zeros((3, 20), "float32"), verbose=0)
    return model


@pytest.mark.filterwarnings("ignore:Input. input_shape is the old name")
@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)
def test_ways_to_tell_the_shape(make):
    keras.utils.set_random_seed(0)
    model = make()
    assert model.built and model.count_params() == 3841 and len(model.layers) == 7
    assert model.input_shape == (None, 20) and model.output_shape == (None, 1)
    assert [layer.name for layer in model.layers] == [layer.name for layer in article().layers]
    keras.utils.set_random_seed(0)
    assert_same(model.get_weights(), article(input_shape=(20,)).get_weights())


def test_add_one_by_one():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(name="mine")
    assert model.name == "mine" and model.layers == [] and not model.built
    for layer in article(input_shape=(20,)).layers:
        assert model.add(layer) is None
        assert model.built and model.layers[-1] is layer
    assert model.count_params() == 3841


def test_add_after_building_builds_the_new_layer():
    model = keras.Sequential([keras.Input((4,)), Dense(3)])
    assert model.output_shape == (None, 3)
    model.add(Dense(2))
    assert model.output_shape == (None, 2) and len(model.weights) == 4
    assert model.predict(np.ones((5, 4)), verbose=0).shape == (5, 2)


def test_add_before_building_waits():
    model = keras.Sequential()
    model.add(Dense(3))
    model.add(Dense(2))
    assert not model.built and model.weights == []
    model.add(Flatten())
    model.build((None, 4))
    assert [v.shape for v in model.weights] == [(4, 3), (3,), (3, 2), (2,)]


def test_pop():
    model = network("one-hot")
    x, y = data(16, target="one-hot")
    model.fit(x, y, batch_size=8, verbose=0)
    hidden = model.layers[2]
    last = model.pop()
    assert last.name == "dense_1" and model.layers[-1] is hidden
    assert model.output_shape == (None, 4) and model.built and len(model.weights) == 6
    p = model.predict(x, verbose=0)
    assert p.shape == (16, 4) and (p >= 0).all()
    expected = layers.ReLU()(model.layers[1](model.layers[0](x))).numpy()
    np.testing.assert_allclose(p, expected, rtol=1e-5, atol=1e-6)
    model.add(Dense(1, activation="sigmoid", name="new"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, data(16)[1], batch_size=8, verbose=0)
    assert type(model.metrics[1]) is keras.metrics.BinaryAccuracy
    model.pop()
    model.add(Dense(3, activation="softmax", name="three"))
    model.evaluate(x, y, verbose=0)  # what 'accuracy' means is found out anew, without a recompile too
    assert type(model.metrics[1]) is keras.metrics.CategoricalAccuracy
    while model.layers:
        model.pop()
    with pytest.raises(ValueError, match="no layer"):
        model.pop()


def test_add_and_pop_of_an_unbuilt_model():
    model = keras.Sequential([Dense(3), Dense(2)])
    assert model.pop().units == 2
    model.add(Dense(5))
    assert model(np.ones((2, 4), "float32")).shape == (2, 5)


def test_an_added_layer_takes_part_in_the_next_fit():
    """Without a recompile, too."""
    x, y = data(16)
    model = network(metrics=["accuracy"])
    model.fit(x, y, batch_size=8, verbose=0)
    model.add(Dense(1, activation="sigmoid", name="more"))
    before = model.get_weights()
    model.fit(x, y, batch_size=8, verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before[-2:], model.get_weights()[-2:], strict=True))


def test_names():
    keras.utils.clear_session()
    first, second = keras.Sequential([Dense(1), Dense(1)]), keras.Sequential([Dense(1)])
    assert [first.name, second.name] == ["sequential", "sequential_1"]
    assert [layer.name for layer in first.layers + second.layers] == ["dense", "dense_1", "dense_2"]
    first.build((None, 2))
    assert [v.path for v in first.weights] == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]


def test_nested():
    keras.utils.set_random_seed(1)
    encoder = keras.Sequential(
        [keras.Input((5,)), Dense(4), BatchNormalization(), ReLU(), Dropout(0.5)], name="encoder"
    )
    model = keras.Sequential([encoder, Dense(1, activation="sigmoid")])
    assert model.built and model.input_shape == (None, 5) and len(model.weights) == 8
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x, y = data(24)
    before = model.get_weights()
    with Quiet():
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert all(
        not np.array_equal(a, b)
        for i, (a, b) in enumerate(zip(before, model.get_weights(), strict=True))
        if i != 1
    )
    inner = encoder.predict(x, verbose=0)
    np.testing.assert_allclose(model.layers[1](inner).numpy(), model.predict(x, verbose=0), rtol=1e-5)
    encoder.trainable = False
    assert len(model.trainable_weights) == 2
    copy = keras.Sequential.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    assert_same(copy.predict(x, verbose=0), model.predict(x, verbose=0))
    assert copy.layers[0].trainable is False
    text = summary_of(model, expand_nested=True)
    assert "encoder (Sequential)" in text and "└ " in text


@pytest.mark.parametrize("shape, stack, expected", [
    ((4, 5), [Dense(3)], (None, 4, 3)),
    ((4, 5), [Flatten(), Dense(2)], (None, 2)),
    ((2, 3, 4), [BatchNormalization(axis=1), Dense(6), Flatten()], (None, 36)),
    ((None, 5), [Dense(3)], (None, None, 3)),
    ((), [Flatten(), Dense(2)], (None, 2)),
])
def test_shapes_of_higher_rank(shape, stack, expected):
    keras.utils.clear_session()
    model = keras.Sequential(
        [keras.Input(shape), *(type(layer).from_config(layer.get_config()) for layer in stack)]
    )
    assert model.output_shape == expected
    row = tuple(7 if n is None else n for n in shape)
    assert model.predict(np.ones((3, *row)), verbose=0).shape == (
        3,
        *(7 if n is None else n for n in expected[1:]),
    )


def test_an_axis_of_any_length():
    model = keras.Sequential([keras.Input((None, 5)), Dense(3)])
    for length in (2, 6, 2):
        assert model.predict(np.ones((3, length, 5)), verbose=0).shape == (3, length, 3)
        assert model(np.ones((3, length, 5), "float32")).shape == (3, length, 3)


# ----------------------------------------------------------------------------------- weights, layers, configs


def test_get_and_set_weights():
    one, other = network(seed=1), network(seed=2)
    x, _ = data()
    assert not np.array_equal(one.predict(x, verbose=0), other.predict(x, verbose=0))
    other.set_weights(one.get_weights())
    assert_same(other.get_weights(), one.get_weights())
    assert_same(other.predict(x, verbose=0), one.predict(x, verbose=0))
    other.set_weights([w.tolist() for w in one.get_weights()])  # lists will do
    weights = one.get_weights()
    weights[0][...] = 0
    assert one.get_weights()[0].any()
    assert one.weights[0] is one.layers[0].kernel


@pytest.mark.parametrize("change, words", [
    (lambda w: w[:-1], ["8 weights", "7"]), (lambda w: [*w, w[0]], ["8 weights", "9"]),
    (lambda w: [w[0].T, *w[1:]], ["dense/kernel", "(5, 4)", "(4, 5)"]),
    (lambda w: [*w[:-1], np.ones((1, 1))], ["dense_1/bias", "(1,)", "(1, 1)"]),
    (lambda w: [np.full((5, 4), "a"), *w[1:]], ["dense/kernel"]),
    (lambda w: [w[0] * 1j, *w[1:]], ["dense/kernel", "complex"]),
])
def test_set_weights_that_do_not_fit(change, words):
    model = network()
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        model.set_weights(change(model.get_weights()))
    for word in words:
        assert word in str(error.value)
    assert_same(model.get_weights(), before)


def test_get_layer():
    model = network()
    assert model.get_layer("batch_normalization") is model.layers[1] is model.get_layer(index=1)
    assert model.get_layer(index=-1) is model.layers[-1]
    for arguments, words in [
        ({"name": "dens"}, ["dens", "dense", "batch_normalization"]),
        ({"index": 4}, ["4"]),
        ({}, ["name", "index"]),
        ({"name": "dense", "index": 0}, ["name", "index"]),
    ]:
        with pytest.raises(ValueError) as error:
            model.get_layer(**arguments)
        for word in words:
            assert word in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: article(input_shape=(20,)),
        article,
        lambda: built(article()),
        keras.Sequential,
        lambda: keras.Sequential(
            [
                keras.Input((20,)),
                Dense(3, kernel_initializer="he_normal", kernel_regularizer="l2"),
                BatchNormalization(momentum=0.5, scale=False),
                Dropout(0.25, seed=3),
            ],
            name="mine",
        ),
    ],
    ids=["input_shape", "unbuilt", "built", "empty", "settings"],
)
def test_config_round_trip(make):
    model = make()
    config = json.loads(json.dumps(model.get_config()))
    again = keras.Sequential.from_config(config)
    assert json.dumps(again.get_config(), sort_keys=True) == json.dumps(model.get_config(), sort_keys=True)
    assert again.name == model.name and again.built == model.built
    if model.built:
        x = np.random.default_rng(0).standard_normal((7, 20)).astype("float32")
        again.set_weights(model.get_weights())
        assert_same(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_custom_layer_in_a_config():
    @keras.utils.register_keras_serializable("tests")
    class Times(keras.Layer):
        def __init__(self, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    model = keras.Sequential([keras.Input((2,)), Times(3.0)])
    again = keras.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert again(np.ones((1, 2))).numpy().tolist() == [[3, 3]]


# ----------------------------------------------------------------------------------------------------- errors


def a_model():
    return keras.Sequential([keras.Input((4,)), Dense(3, name="first")], name="model")


ERRORS = {
    "a class": (lambda: keras.Sequential([Dense]), ValueError, ["Dense", "class"]),
    "no layer": (lambda: keras.Sequential(["relu"]), ValueError, ["'relu'"]),
    "None": (lambda: keras.Sequential([None]), ValueError, ["None"]),
    "add a number": (lambda: a_model().add(3), ValueError, ["3"]),
    "no list": (lambda: keras.Sequential(Dense(3)), (ValueError, TypeError), ["list", "Dense"]),
    "second Input": (lambda: a_model().add(keras.Input((3,))), ValueError, ["model", "Input"]),
    "Input behind": (
        lambda: keras.Sequential([Dense(3, name="d"), keras.Input((4,))]),
        ValueError,
        ["Input", "d"],
    ),
    "same name": (lambda: a_model().add(Dense(3, name="first")), ValueError, ["first"]),
    "layer twice": (lambda: keras.Sequential([layer := Dense(3), layer]), ValueError, ["dense"]),
    "keyword": (lambda: keras.Sequential([], nme="a"), (ValueError, TypeError), ["nme"]),
    "empty, built": (lambda: keras.Sequential(name="m").build((None, 3)), ValueError, ["m", "no layers"]),
    "empty, called": (lambda: keras.Sequential(name="m")(np.ones((2, 3))), ValueError, ["m", "no layers"]),
    "empty, predicting": (
        lambda: keras.Sequential(name="m").predict(np.ones((2, 3)), verbose=0),
        ValueError,
        ["m", "no layers"],
    ),
    "build without a shape": (
        lambda: keras.Sequential([Dense(3)], name="m").build(),
        ValueError,
        ["m", "shape", "Input"],
    ),
    "unknown width": (
        lambda: keras.Sequential([keras.Input((None,)), Dense(3, name="d")]),
        ValueError,
        ["d", "(None, None)"],
    ),
    "axis out of range": (
        lambda: keras.Sequential([keras.Input((4,)), BatchNormalization(axis=2, name="n")]),
        ValueError,
        ["n", "axis 2"],
    ),
    "input_shape, unbuilt": (
        lambda: keras.Sequential([Dense(3)], name="m").input_shape,
        AttributeError,
        ["m"],
    ),
    "output_shape, unbuilt": (
        lambda: keras.Sequential([Dense(3)], name="m").output_shape,
        AttributeError,
        ["m"],
    ),
    "count_params, unbuilt": (
        lambda: keras.Sequential([Dense(3)], name="m").count_params(),
        ValueError,
        ["m", "built"],
    ),
    "kernel, unbuilt": (lambda: Dense(3).kernel, AttributeError, ["kernel"]),
    "wrong width": (
        lambda: a_model()(np.ones((2, 5))),
        ValueError,
        ["model", "first", "(None, 4)", "(2, 5)"],
    ),
    "wrong rank": (lambda: a_model()(np.ones((2, 4, 2))), ValueError, ["first", "(None, 4)", "(2, 4, 2)"]),
    "single row": (
        lambda: a_model()(np.ones(4)),
        ValueError,
        ["first", "(None, 4)", "(4,)", "(1, 4)"],
    ),
}


@pytest.mark.parametrize("call, kind, words", ERRORS.values(), ids=ERRORS)
def test_errors(call, kind, words):
    keras.utils.clear_session()
    with pytest.raises(kind) as error:
        call()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Dense(3, name="dense"),
        lambda: BatchNormalization(axis=5),
        lambda: keras.Input((3,)),
        lambda: "relu",
    ],
    ids=["name", "axis", "Input", "string"],
)
def test_a_failed_add_changes_nothing(bad):
    model = network()
    x, y = data(16)
    twin = network()
    names = [layer.name for layer in model.layers]
    with pytest.raises(ValueError):
        model.add(bad())
    assert [layer.name for layer in model.layers] == names and model.output_shape == (None, 1)
    keras.utils.set_random_seed(0)
    history = model.fit(x, y, batch_size=8, verbose=0).history
    keras.utils.set_random_seed(0)
    assert history == twin.fit(x, y, batch_size=8, verbose=0).history
    assert_same(model.get_weights(), twin.get_weights())


def test_a_failed_first_add_leaves_the_model_empty():
    model = keras.Sequential()
    with pytest.raises(ValueError):
        model.add(BatchNormalization(axis=5, input_shape=(3,)))
    assert model.layers == [] and not model.built
    model.add(Dense(2, input_shape=(7,)))
    assert model.input_shape == (None, 7)


def test_an_unbuilt_model_that_got_wrong_data_can_still_be_built():
    model = keras.Sequential([Dense(3), BatchNormalization(axis=2)])
    with pytest.raises(ValueError, match="axis 2"):
        model.predict(np.ones((4, 6)), verbose=0)
    assert not model.built
    assert model.weights == []
    assert model.predict(np.ones((4, 2, 7)), verbose=0).shape == (4, 2, 3)


def test_several_inputs_and_outputs():
    class Both(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs):
            a, b = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
            return self.dense(a + b)

    class Twice(Both):
        def call(self, inputs):
            return self.dense(inputs), inputs

    x, y = np.ones((6, 3), "float32"), np.ones((6, 2), "float32")
    assert [Both()(given).shape for given in ([x, x], (x, x), {"a": x, "b": x})] == [(6, 2)] * 3
    assert [t.shape for t in Twice()(x)] == [(6, 2), (6, 3)]
    for given in ([x, x], (x, x), {"a": x, "b": x}):
        model = Both()
        model.compile("sgd", "mse")
        assert len(model.fit(given, y, verbose=0).history["loss"]) == 1
        assert model.predict(given, verbose=0).shape == (6, 2)
    model = Twice()
    model.compile("sgd", ["mse", None])
    model.fit(x, [y], verbose=0)
    assert [one.shape for one in model.predict(x, verbose=0)] == [(6, 2), (6, 3)]

    class Named(Both):
        def call(self, inputs):
            return {"out": self.dense(inputs)}

    model = Named()
    model.compile("sgd", "mse")
    assert model.fit(x, y, verbose=0).history.keys() == {"loss"}
    with pytest.raises(ValueError, match="y is a list of 2 arrays"):
        model.fit(x, [y, y], verbose=0)
    model.compile("sgd", ["mse", "mae"])
    with pytest.raises(ValueError, match="loss must be one.*got a list of 2"):
        model.fit(x, y, verbose=0)


def test_a_dict_or_list_of_one_array_is_that_array():
    x, y = np.arange(12, dtype="float32").reshape(6, 2), np.arange(6, dtype="float32")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", {"out": "mse"})
    expected = model.evaluate(x, y, verbose=0)
    assert model.evaluate({"in": x}, {"out": y}, verbose=0) == expected
    assert model.test_on_batch({"in": x}, {"out": y}) == expected
    assert model.evaluate({"in": x.tolist()}, {"out": y.tolist()}, verbose=0) == expected
    with pytest.warns(UserWarning, match="is a list holding one array"):
        assert model.evaluate([x], [y], verbose=0) == expected


def test_flat_rows_of_one_feature():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(2)])
    x = np.arange(5, dtype="float32")
    expected = model(x[:, None]).numpy()
    assert_same(model(x).numpy(), expected)
    assert_same(model(x, training=True).numpy(), expected)
    assert_same(model.predict(x, verbose=0), expected)


def test_building_again_for_another_shape():
    model = a_model()
    model.build((None, 4))
    with pytest.raises(ValueError, match=r"\(None, 4\).*5"):
        model.build((None, 5))
    assert model.input_shape == (None, 4)


class Twice(layers.Layer):
    """Each row after itself: its output's length follows from its input's."""

    def call(self, inputs):
        return keras.ops.concatenate([inputs, inputs], 1)


def test_a_last_axis_of_length_1_may_come_or_be_missing():
    """As in Keras: gray images and series of one number are often given without it."""
    series, targets = np.random.default_rng(0).normal(size=(6, 5)), np.ones(6)
    gray = keras.Sequential([keras.Input((5, 1)), Flatten(), Dense(1)])
    gray.compile("sgd", "mse")
    two = [keras.Input((5, 1)), keras.Input((5,))]
    both = keras.Model(two, layers.Concatenate()([Flatten()(two[0]), two[1]]))
    for model, short, full in (
        (gray, series, series[..., None]),
        (keras.Sequential([keras.Input((5,)), Dense(1)]), series[..., None], series),
        (both, [series, series[..., None]], [series[..., None], series]),
    ):
        expected = model.predict(full, verbose=0)
        assert_same(model.predict(short, verbose=0), expected)
        assert_same(model(short).numpy(), model(full).numpy())
    assert gray.evaluate(series, targets, verbose=0) == gray.evaluate(series[..., None], targets, verbose=0)
    gray.fit(series, targets, verbose=0)
    assert gray.train_on_batch(series, targets) > 0
    with pytest.raises(ValueError, match=r"A single row must have shape \(1, 5, 1\)"):
        gray.predict(series[0][:, None], verbose=0)
    with pytest.raises(ValueError, match="expects input of shape"):
        gray.predict(series[:, :4], verbose=0)


@pytest.mark.parametrize("first", [lambda: layers.Reshape((-1, 8)), Twice])
def test_without_an_input_in_front_lengths_are_free(first):
    def rows(n):
        return np.ones((2, n, 8), "float32")

    model = keras.Sequential([first(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for n in (3, 5):
        y = np.ones((2, first().compute_output_shape((None, n, 8))[1], 1), "float32")
        model.fit(rows(n), y, verbose=0)
    assert (model.input_shape, model.output_shape) == ((None, None, 8), (None, None, 1))
    again = keras.Sequential.from_config(model.get_config(), {"Twice": Twice})
    assert model(rows(4)).shape == again(rows(4)).shape
    with pytest.raises(ValueError, match=r"expects input of shape \(None, None, 8\), got \(2, 8\)"):
        model.predict(np.ones((2, 8)), verbose=0)
    model = keras.Sequential([keras.Input((3, 8)), first(), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"expects input of shape \(None, 3, 8\), got \(2, 5, 8\)"):
        model(rows(5))


def test_the_first_layer_may_take_a_dict():
    class Join(layers.Layer):
        def call(self, inputs):
            return keras.ops.concatenate([inputs["a"], inputs["b"]], -1)

    model = keras.Sequential([Join(), layers.Dense(2)])
    assert model({"a": np.ones((4, 1)), "b": np.ones((4, 2))}).shape == (4, 2)
    assert model.count_params() == 8 and model.output_shape == (None, 2)


def test_a_sequential_of_an_input_is_the_identity():
    nothing = keras.Sequential([keras.Input((3,))])
    x = np.ones((2, 3), "float32")
    assert_same(nothing.predict(x, verbose=0), x)
    model = keras.Sequential([nothing, layers.Dense(1)])
    assert model.predict(x, verbose=0).shape == (2, 1) and len(model.layers) == 2
