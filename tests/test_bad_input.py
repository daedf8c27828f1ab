"""Bad input raises an error that names what was expected and what came, and changes nothing.

The rows of `CALLS` are tried in turn on a new model and on a trained one, replayed and eager: afterwards weights,
moving statistics, optimizer, metrics and random streams are as before to the bit, and the next correct
training is that of a model which never saw the bad call. The rows of one kind of bad input follow each other, one for
each method: so a kind that is tried in four methods meets all four models, and so does each method.
"""

import itertools
import math

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network, state

import minigrad as keras
from minigrad import layers

X, Y = data(24)
ONE_HOT, LABELS, NUMBERS = (data(24, target=t)[1] for t in ("one-hot", "labels", "regression"))
QUIET = {"verbose": 0}
NAN, INF = math.nan, math.inf


def fit(*arguments, **settings):
    return lambda model: model.fit(*arguments, **QUIET, **settings)


def everywhere(name, x, y, words, target="binary", kinds=(ValueError, TypeError)):
    """Rows for one bad (x, y) in every method that takes both."""
    for method, settings in (
        ("fit", QUIET),
        ("evaluate", QUIET),
        ("train_on_batch", {}),
        ("test_on_batch", {}),
    ):
        def call(model, method=method, settings=settings):
            return getattr(model, method)(x, y, **settings)

        yield f"{name}: {method}", target, call, kinds, words
    yield f"{name}: validation", target, fit(*GOOD[target], validation_data=(x, y)), kinds, words


def everywhere_x(name, x, words):
    """Rows for one bad x in every method."""
    yield from everywhere(name, x, Y[: len(x)] if np.ndim(x) else Y, words)
    for method, settings in (("predict", QUIET), ("predict_on_batch", {}), ("__call__", {})):
        def call(model, method=method, settings=settings):
            return getattr(model, method)(x, **settings)

        yield f"{name}: {method}", "binary", call, (ValueError, TypeError), words


def frame(**columns):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({**{i: X[:, i] for i in range(4)}, **columns})


def nothing():
    yield from ()


def batch_of(*arrays):
    yield arrays


class WithoutRows:
    def __array__(self, dtype=None, copy=None):
        return np.array(5.0)


GOOD = {"binary": (X, Y), "one-hot": (X, ONE_HOT), "labels": (X, LABELS), "regression": (X, NUMBERS)}
CHARS = np.full((24, 5), "1.5")


def rows():
    """(name, target of the model, call, kinds of error, words of its message)"""
    # ---- wrong width or rank
    expected = "(None, 5)"
    yield from everywhere_x("too wide", np.ones((24, 6)), ["dense", expected, "(24, 6)"])
    yield from everywhere_x("too narrow", np.ones((24, 4)), ["dense", expected, "(24, 4)"])
    yield from everywhere_x("rank 3", np.ones((24, 5, 2)), ["dense", expected, "(24, 5, 2)"])
    yield from everywhere_x("rank 1", np.ones(24), ["dense", expected, "(24,)", "(1, 24)"])
    yield from everywhere("a scalar", np.array(5.0), Y, ["x", "single value"])
    yield from everywhere("an object that is a scalar", WithoutRows(), Y, ["x", "single value"])

    # ---- lengths
    yield from everywhere("fewer y", X, Y[:-1], ["24", "23", "x", "y"])
    yield from everywhere("more y", X[:-1], Y, ["24", "23", "x", "y"])
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        def short(model, method=method):
            return getattr(model, method)(X, Y, sample_weight=np.ones(23))

        def two_columns(model, method=method):
            return getattr(model, method)(X, Y, sample_weight=np.ones((24, 2)))

        def words_as_weights(model, method=method):
            return getattr(model, method)(X, Y, sample_weight=np.full(24, "a"))

        yield f"fewer weights: {method}", "binary", short, ValueError, ["sample_weight", "23", "24"]
        yield f"two weights a row: {method}", "binary", two_columns, ValueError, ["sample_weight", "(24, 2)"]
        yield f"text as weights: {method}", "binary", words_as_weights, ValueError, ["sample_weight"]

    # ---- targets that do not fit the output: nothing is broadcast
    for target, y in [
        ("binary", np.ones((24, 3))),
        ("binary", np.ones((24, 2))),
        ("binary", np.ones((24, 1, 2))),
        ("one-hot", np.ones((24, 1))),
        ("one-hot", np.ones((24, 4))),
        ("one-hot", LABELS),
        ("one-hot", np.ones((24, 3, 3))),
        ("labels", ONE_HOT),
        ("labels", np.zeros((24, 2))),
        ("regression", np.ones((24, 2))),
        ("regression", np.ones((24, 24))),
    ]:
        words = ["shape", f", {y.shape[-1]})" if y.ndim > 1 else ",)"]
        yield from everywhere(f"targets {y.shape} for {target}", X, y, words, target, ValueError)

    # ---- empty data
    yield from everywhere("no rows", np.ones((0, 5)), np.ones((0, 1)), ["empty"])
    yield from everywhere("an empty list", [], [], ["empty"])
    yield from everywhere("no columns", np.ones((24, 0)), Y, ["empty", "(24, 0)"])
    yield from everywhere("no targets", X, np.ones((24, 0)), ["empty", "y"])
    yield from everywhere("y is None", X, None, ["y", "targets"])
    yield "no batches: fit", "binary", lambda m: m.fit(nothing(), **QUIET), ValueError, ["empty"]
    yield "no batches: evaluate", "binary", lambda m: m.evaluate(nothing(), **QUIET), ValueError, ["empty"]
    yield "no batches: predict", "binary", lambda m: m.predict(nothing(), **QUIET), ValueError, ["empty"]
    yield (
        "no rows: predict",
        "binary",
        lambda m: m.predict(np.ones((0, 5)), **QUIET),
        ValueError,
        ["empty", "x"],
    )
    yield "nothing: fit", "binary", lambda m: m.fit(**QUIET), (ValueError, TypeError), ["None"]
    yield "nothing: evaluate", "binary", lambda m: m.evaluate(**QUIET), (ValueError, TypeError), ["None"]
    yield (
        "split of one row",
        "binary",
        fit(X[:1], Y[:1], validation_split=0.5),
        ValueError,
        ["validation_split", "1 rows"],
    )
    yield (
        "split leaves nothing",
        "binary",
        fit(X, Y, validation_split=0.99),
        ValueError,
        ["validation_split", "24 rows"],
    )

    # ---- strings, objects, complex
    yield from everywhere_x("text", CHARS, ["numbers", "<U3"])
    yield from everywhere_x("bytes", CHARS.astype("S"), ["numbers", "S3"])
    yield from everywhere_x("complex", X * 1j, ["numbers", "complex64"])
    yield from everywhere("objects", X.astype(object), Y, ["x", "real numbers", "object"])
    yield from everywhere("None among numbers", [[1, 2, 3, 4, None]] * 24, Y, ["x", "real numbers"])
    yield from everywhere("rows of different lengths", [[1.0] * 5] * 23 + [[1.0] * 4], Y, ["x", "numbers"])
    yield from everywhere(
        "dates", X.astype("int64").astype("datetime64[D]"), Y, ["x", "real numbers", "datetime64"]
    )
    yield from everywhere("text as targets", X, np.array(["a", "b"] * 12), ["y", "real numbers"])
    yield from everywhere("complex targets", X, Y * 1j, ["y", "complex64"])
    yield from everywhere("objects as targets", X, Y.astype(object), ["y", "object"])
    yield from everywhere("a column of text", frame(name=["1.5"] * 24), Y, ["x", "name"])
    yield from everywhere(
        "a column of categories",
        frame(kind=pytest.importorskip("pandas").Categorical(["a", "b"] * 12)),
        Y,
        ["x", "kind", "category"],
    )
    yield from everywhere("a complex column", frame(z=X[:, 0] * 1j), Y, ["x", "z", "complex64"])

    # ---- labels
    for bad, words in [
        (3, ["0 to 2", "3"]),
        (-1, ["0 to 2", "-1"]),
        (1.5, ["integers", "1.5"]),
        (NAN, ["nan"]),
        (INF, ["inf"]),
    ]:
        y = LABELS.astype("float32")
        y[17] = bad
        yield from everywhere(f"label {bad}", X, y, words, "labels", ValueError)

    # ---- sizes, epochs and other settings
    for value in (-1, 0.5, "8", True, [8], NAN):
        for method in ("fit", "evaluate", "predict"):
            def call(model, method=method, value=value):
                return getattr(model, method)(
                    *((X, Y) if method != "predict" else (X,)), batch_size=value, **QUIET
                )

            yield (
                f"batch_size {value}: {method}",
                "binary",
                call,
                (ValueError, TypeError),
                ["batch_size", repr(value)],
            )
    for name, values in {
        "epochs": (-1, 1.5, "3", None, True),
        "initial_epoch": (-1, 0.5, "a", None),
        "steps_per_epoch": (0, -1, -1.5, "2"),
        "validation_split": (1.0, -0.1, 1.5, "0.2", NAN, None, True),
        "validation_freq": (0, -1, 1.5, "2", None),
        "validation_batch_size": (-1, 0.5, "8"),
        "validation_steps": (0, -1, NAN, "2"),
        "shuffle": ("batches", 2, "yes"),
        "class_weight": ([1.0, 2.0], "balanced", {"a": 1.0}, {0: "heavy"}, {0.5: 1.0}, {0: None}),
        "callbacks": ("EarlyStopping", [keras.callbacks.Callback], [3]),
    }.items():
        for value in values:
            settings = {
                name: value,
                **(
                    {"validation_data": (X, Y)}
                    if name.startswith("validation_") and "split" not in name
                    else {}
                ),
            }
            yield (
                f"{name} {value}",
                "binary",
                fit(X, Y, **settings),
                (ValueError, TypeError),
                [name.removesuffix("s")],
            )
    for value in (-1, "loud", 1.5):
        for method in ("fit", "evaluate", "predict"):
            def call(model, method=method, value=value):
                return getattr(model, method)(*((X, Y) if method != "predict" else (X,)), verbose=value)

            yield (
                f"verbose {value}: {method}",
                "binary",
                call,
                (ValueError, TypeError),
                ["verbose", repr(value)],
            )
    for value in (0, -1, -1.5, "2"):
        yield (
            f"steps {value}: evaluate",
            "binary",
            lambda m, v=value: m.evaluate(X, Y, steps=v, **QUIET),
            (ValueError, TypeError),
            ["steps"],
        )
        yield (
            f"steps {value}: predict",
            "binary",
            lambda m, v=value: m.predict(X, steps=v, **QUIET),
            (ValueError, TypeError),
            ["steps"],
        )
    yield (
        "both weights",
        "binary",
        fit(X, Y, class_weight={0: 2.0}, sample_weight=np.ones(24)),
        ValueError,
        ["sample_weight", "class_weight"],
    )
    both = {"class_weight": {0: 2.0}, "sample_weight": np.ones(24)}
    yield (
        "both weights: train_on_batch",
        "binary",
        lambda m: m.train_on_batch(X, Y, **both),
        ValueError,
        ["sample_weight", "class_weight"],
    )

    # ---- validation data
    for name, given, words in [
        ("an array", X, ["validation_data", "(x, y)"]),
        ("one element", (X,), ["validation_data", "1"]),
        ("four", (X, Y, Y, Y), ["validation_data", "4"]),
        ("a number", 5, ["5", "int"]),
        ("no targets", (X, None), ["y", "targets"]),
        ("empty", (X[:0], Y[:0]), ["empty"]),
        ("weights", (X, Y, np.ones(23)), ["sample_weight", "23"]),
        ("two weights", (X, Y, np.ones((24, 2))), ["sample_weight"]),
        ("no batches", nothing, ["empty"]),
        ("batches of wrong targets", lambda: batch_of(X, ONE_HOT), ["(24, 3)"]),
        ("batches of wrong width", lambda: batch_of(X[:, :4], Y), ["(24, 4)"]),
    ]:
        def call(model, given=given):
            return model.fit(X, Y, validation_data=given() if callable(given) else given, **QUIET)

        yield f"validation_data {name}", "binary", call, (ValueError, TypeError), words

    # ---- iterables
    for name, make, words in [
        ("numbers", lambda: iter([1, 2]), ["batch", "int"]),
        ("four elements", lambda: batch_of(X, Y, Y, Y), ["4"]),
        ("a dict", lambda: iter([{"x": X}]), ["batch", "dict"]),
        ("without targets", lambda: batch_of(X), ["y", "targets"]),
        ("wrong width", lambda: batch_of(X[:, :4], Y), ["dense", "(24, 4)"]),
        ("lengths", lambda: batch_of(X, Y[:-1]), ["24", "23"]),
        ("text", lambda: batch_of(CHARS, Y), ["x", "<U3"]),
        ("targets", lambda: batch_of(X, ONE_HOT), ["(24, 3)"]),
        ("empty batch", lambda: batch_of(X[:0], Y[:0]), ["empty"]),
        ("weights", lambda: batch_of(X, Y, np.ones((24, 2))), ["sample_weight"]),
    ]:
        yield (
            f"batches: {name}: fit",
            "binary",
            lambda m, make=make: m.fit(make(), **QUIET),
            (ValueError, TypeError),
            words,
        )
        yield (
            f"batches: {name}: evaluate",
            "binary",
            lambda m, make=make: m.evaluate(make(), **QUIET),
            (ValueError, TypeError),
            words,
        )
    for settings in (
        {"y": Y},
        {"sample_weight": np.ones(24)},
        {"validation_split": 0.5},
    ):
        yield (
            f"batches with {[*settings][0]}",
            "binary",
            lambda m, s=settings: m.fit(batch_of(X, Y), **s, **QUIET),
            ValueError,
            ["generator", [*settings][0]],
        )
    yield (
        "batches with weights and class_weight",
        "binary",
        lambda m: m.fit(batch_of(X, Y, np.ones(24)), class_weight={0: 2.0}, **QUIET),
        ValueError,
        ["sample_weight", "class_weight"],
    )
    yield (
        "batches with y: evaluate",
        "binary",
        lambda m: m.evaluate(batch_of(X, Y), Y, **QUIET),
        ValueError,
        ["generator", "y"],
    )
    yield "a number", "binary", fit(5), (ValueError, TypeError), ["5"]
    yield "a string", "binary", fit("data.csv"), (ValueError, TypeError), ["str"]

    # ---- misspelt keywords
    for method in ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch"):
        def call(model, method=method):
            return getattr(model, method)(X, batchsize=8)

        yield f"keyword: {method}", "binary", call, (ValueError, TypeError), ["batchsize"]
    yield "keyword epoch", "binary", fit(X, Y, epoch=3), (ValueError, TypeError), ["epoch"]

    # ---- weights
    for name, change, words in [
        ("one missing", lambda w: w[:-1], ["7", "8"]),
        ("one more", lambda w: [*w, w[0]], ["9", "8"]),
        ("none", lambda w: [], ["0", "8"]),
        ("shape", lambda w: [w[0].T, *w[1:]], ["dense/kernel", "(5, 4)", "(4, 5)"]),
        (
            "the last has a wrong shape",
            lambda w: [*(a + 1 for a in w[:-1]), np.ones(3)],
            ["dense_1/bias", "(3,)"],
        ),
        ("text", lambda w: [*w[:-1], np.array(["a"])], ["dense_1/bias"]),
    ]:
        yield (
            f"set_weights: {name}",
            "binary",
            lambda m, c=change: m.set_weights(c(m.get_weights())),
            ValueError,
            words,
        )

    # ---- compile: what was compiled before stays
    for settings, words in [
        ({"optimizer": "adamm"}, ["adamm", "adam"]),
        ({"optimizer": keras.optimizers.Adam}, ["Adam"]),
        ({"optimizer": 3}, ["3"]),
        ({"loss": "binary_crossentrpy"}, ["binary_crossentrpy", "binary_crossentropy"]),
        ({"loss": 3}, ["3"]),
        ({"loss": ["mse", "mae"]}, ["mse", "mae"]),
        ({"metrics": ["acurracy"]}, ["acurracy", "accuracy"]),
        ({"metrics": {"accuracy"}}, ["metrics", "list", "accuracy"]),
        ({"metrics": [3]}, ["3"]),
        ({"weighted_metrics": ["mea"]}, ["mea", "mae"]),
        ({"weighted_metrics": "mae"}, ["weighted_metrics", "list"]),
        ({"steps_per_execution": 0}, ["steps_per_execution", "0"]),
        ({"steps_per_execution": "4"}, ["steps_per_execution", "4"]),
        ({"loss_weights": "heavy"}, ["loss_weights", "heavy"]),
        ({"loss_weights": [1.0, 2.0]}, ["loss_weights"]),
        ({"optimiser": "adam"}, ["optimiser"]),
    ]:
        given = {"loss": "binary_crossentropy", **settings}
        yield (
            f"compile {settings}",
            "binary",
            lambda m, s=given: m.compile(**s),
            (ValueError, TypeError),
            words,
        )


CALLS = {name: row for name, *row in rows()}


def some(target, run_eagerly, trained):
    model = network(target, dropout=0.3, run_eagerly=run_eagerly)
    if trained:
        model.fit(*GOOD[target], batch_size=8, **QUIET)
    return model


def and_then(model, target):
    """Everything about a correct training afterwards."""
    history = model.fit(*GOOD[target], batch_size=8, epochs=2, validation_split=0.25, **QUIET)
    return history.history, state(model), model.predict(X, **QUIET), model.evaluate(*GOOD[target], **QUIET)


MODELS = [(False, True), (True, False), (True, True), (False, False)]  # (eager, trained)
EXPECTED = {}


def expected(*key):
    """What `and_then` gives on a model that saw no bad call."""
    if key not in EXPECTED:
        EXPECTED[key] = and_then(some(*key), key[0])
    return EXPECTED[key]


def test_no_row_is_lost():
    assert len(CALLS) == sum(1 for _ in rows())


@pytest.mark.parametrize("i, target, call, kinds, words", [(i, *row) for i, row in enumerate(CALLS.values())], ids=CALLS)
def test_bad_call(i, target, call, kinds, words):
    run_eagerly, trained = MODELS[i % 4]
    model = some(target, run_eagerly, trained)
    before, compiled = state(model), (model.optimizer, model.loss, model.history)
    with Quiet(), pytest.raises(kinds) as error:
        call(model)
    assert type(error.value) in (kinds if isinstance(kinds, tuple) else (kinds,))
    for word in words:
        assert word in str(error.value)
    assert_same({name: a for name, a in state(model).items() if name in before}, before)
    assert (model.optimizer, model.loss) == compiled[:2]
    with Quiet():
        assert_same(and_then(model, target), expected(target, run_eagerly, trained))


def test_several_bad_calls_in_a_row():
    model = some("binary", False, False)
    for _target, call, kinds, _ in itertools.islice(
        (row for row in CALLS.values() if row[0] == "binary"), 0, None, 5
    ):
        with pytest.raises(kinds):
            call(model)
    assert_same(and_then(model, "binary"), expected("binary", False, False))


# ----------------------------------------------------------------------------------------- an unbuilt model


def unbuilt(activation="softmax", units=3, loss="categorical_crossentropy"):
    keras.utils.set_random_seed(1)
    keras.utils.clear_session()
    model = keras.Sequential(
        [
            layers.Dense(4),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(units, activation=activation),
        ]
    )
    model.compile("adam", loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.fit(X, LABELS, **QUIET),
        lambda m: m.fit(X, ONE_HOT[:-1], **QUIET),
        lambda m: m.fit(X[:0], ONE_HOT[:0], **QUIET),
        lambda m: m.fit(CHARS, ONE_HOT, **QUIET),
        lambda m: m.fit(np.ones(24), ONE_HOT, **QUIET),
        lambda m: m.fit(X, **QUIET),
        lambda m: m.fit(X, ONE_HOT, batch_size=-1, **QUIET),
        lambda m: m.fit(X, ONE_HOT, validation_data=(X[:, :3], ONE_HOT), **QUIET),
        lambda m: m.fit(X, ONE_HOT, validation_data=(X, LABELS), **QUIET),
        lambda m: m.evaluate(X, LABELS, **QUIET),
        lambda m: m.train_on_batch(X, LABELS),
        lambda m: m.test_on_batch(X, LABELS),
        lambda m: m.predict(CHARS, **QUIET),
        lambda m: m.fit(batch_of(X, LABELS), **QUIET),
        lambda m: m.evaluate(batch_of(X, LABELS), **QUIET),
        lambda m: m.fit(X, ONE_HOT, class_weight=[1, 2], **QUIET),
        lambda m: m.predict(np.ones((24, 0)), **QUIET),
    ],
)
def test_the_next_data_decides(call):
    """What a bad call could have found out (shapes, what 'accuracy' means) is found out anew."""
    model, twin = unbuilt(), unbuilt()
    with pytest.raises(ValueError):
        call(model)
    for m in (model, twin):
        keras.utils.set_random_seed(2)
        m.seen = (
            m.fit(X, ONE_HOT, batch_size=8, epochs=2, **QUIET).history,
            state(m),
            m.evaluate(X, ONE_HOT, **QUIET),
        )
    assert_same(model.seen, twin.seen)
    assert type(model.metrics[1]) is keras.metrics.CategoricalAccuracy


def test_bad_data_of_another_width_does_not_fix_the_width():
    model = unbuilt()
    with pytest.raises(ValueError):
        model.fit(X[:, :3], LABELS, **QUIET)
    model.fit(X, ONE_HOT, **QUIET)
    assert model.input_shape == (None, 5)


# ------------------------------------------------------------------------------------ not compiled, not built


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_before_compile(method):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)], name="mine")
    with pytest.raises((ValueError, RuntimeError)) as error:
        getattr(model, method)(X, Y)
    for word in ("mine", "compile", method):
        assert word in str(error.value)
    model.compile("sgd", "mse")
    getattr(model, method)(X, Y)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_compiled_without_a_loss(method):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)], name="mine")
    model.compile("sgd")
    with pytest.raises((ValueError, RuntimeError)) as error:
        getattr(model, method)(X, Y)
    for word in ("mine", "loss", method):
        assert word in str(error.value)


def test_a_loss_that_is_not_one_number():
    model = network(loss=keras.losses.BinaryCrossentropy(reduction="none"))
    before = state(model)
    for call in (
        lambda: model.fit(X, Y, **QUIET),
        lambda: model.train_on_batch(X, Y),
        lambda: model.evaluate(X, Y, **QUIET),
    ):
        with pytest.raises(ValueError, match=r"one number.*\(24,\).*none"):
            call()
    assert_same({name: a for name, a in state(model).items() if name in before}, before)


# --------------------------------------------------------------- at the earliest moment that it can be known

EARLIEST = {
    "activation": (lambda: layers.Dense(3, activation="rleu"), ["rleu", "relu"]),
    "activation layer": (lambda: layers.Activation("sofmax"), ["sofmax", "softmax"]),
    "initializer": (lambda: layers.Dense(3, kernel_initializer="glorot"), ["glorot", "glorot_uniform"]),
    "initializer of BatchNormalization": (
        lambda: layers.BatchNormalization(gamma_initializer="on"),
        ["on", "one"],
    ),
    "regularizer": (lambda: layers.Dense(3, kernel_regularizer="l22"), ["l22", "l2"]),
    "constraint": (lambda: layers.Dense(3, kernel_constraint="non_negg"), ["non_negg", "non_neg"]),
    "units": (lambda: layers.Dense(0), ["units", "0"]),
    "rate": (lambda: layers.Dropout(2.0), ["rate", "2.0"]),
    "axis": (
        lambda: keras.Sequential([keras.Input((5,)), layers.BatchNormalization(axis=3)]),
        ["axis 3", "batch_normalization"],
    ),
    "layer keyword": (lambda: layers.Dense(3, unit=4), ["unit", "units"]),
    "optimizer keyword": (lambda: keras.optimizers.Adam(learn_rate=0.1), ["learn_rate", "learning_rate"]),
    "loss keyword": (lambda: keras.losses.BinaryCrossentropy(from_logit=True), ["from_logit"]),
    "metric keyword": (lambda: keras.metrics.BinaryAccuracy(treshold=0.5), ["treshold"]),
    "initializer keyword": (lambda: keras.initializers.HeNormal(sed=1), ["sed"]),
    "Sequential keyword": (lambda: keras.Sequential(layer=[]), ["layer"]),
    "Input two shapes": (lambda: keras.Input((3,), batch_shape=(2, 3)), ["shape or batch_shape, not both"]),
    "Input keyword": (lambda: keras.Input(shpe=(3,)), ["shpe"]),
}


@pytest.mark.parametrize("make, words", EARLIEST.values(), ids=EARLIEST)
def test_earliest_moment(make, words):
    keras.utils.clear_session()
    with pytest.raises((ValueError, TypeError)) as error:
        make()
    for word in words:
        assert word in str(error.value)


# ------------------------------------------------------------------------------------------- NaN and infinity


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_nan_in_the_data_shows_in_the_loss(value, run_eagerly):
    x = X.copy()
    x[5, 2] = value
    model = network(run_eagerly=run_eagerly)
    if math.isnan(value):  # in inference a relu may rightly make 0 of -inf
        with pytest.warns(UserWarning, match="In batch 1 to evaluate, x holds 1 values .* column 2, the first in row 5"):
            assert math.isnan(model.evaluate(x, Y, **QUIET)[0])
    with pytest.warns(UserWarning, match="x holds 1 values that are NaN or infinite in column 2, the first in row 5"):
        history = model.fit(x, Y, batch_size=8, epochs=2, **QUIET).history
    assert [math.isnan(loss) for loss in history["loss"]] == [True, True]
    assert all(0 <= value <= 1 for value in history["accuracy"])
    assert np.isnan(model.layers[1].moving_mean.numpy()).any()
    assert math.isnan(model.evaluate(X, Y, **QUIET)[0])


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
@pytest.mark.parametrize("value", [NAN, INF])
def test_nan_in_the_targets_shows_in_the_loss(value):
    y = NUMBERS.copy()
    y[3] = value
    model = network("regression")
    assert not math.isfinite(model.evaluate(X, y, **QUIET)[0])
    assert not math.isfinite(model.fit(X, y, batch_size=8, **QUIET).history["loss"][0])
    assert not np.isfinite(model.predict(X, **QUIET)).all()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("batch_size", [1, 7, 24])
@pytest.mark.parametrize("target", ["binary", "labels", "regression"])
def test_nan_in_the_data_shows_in_its_own_predictions_only(target, batch_size, value):
    x = X.copy()
    x[5, 2] = x[20, 0] = value
    model = network(target, dropout=0.2)
    model.fit(*GOOD[target], **QUIET)
    clean, p = (
        model.predict(X, batch_size=batch_size, **QUIET),
        model.predict(x, batch_size=batch_size, **QUIET),
    )
    others = np.delete(np.arange(24), [5, 20])
    assert_same(p[others], clean[others])
    if math.isnan(value):
        assert np.isnan(p[[5, 20]]).all()
    else:
        assert not np.array_equal(p[[5, 20]], clean[[5, 20]])
    assert_same(model(x).numpy()[others], model(X).numpy()[others])


def test_missing_values_of_a_data_frame_are_nan():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X).astype("Float64")
    table.iloc[3, 1] = pandas.NA
    p = network().predict(table, **QUIET)
    assert np.isnan(p).ravel().nonzero()[0].tolist() == [3]


def test_nan_where_integers_are_needed():
    """A cast would make the least integer of it, which is a row of no table."""
    model = keras.Sequential([keras.Input((1,), dtype="int32"), keras.layers.Embedding(5, 2)])
    with pytest.raises(ValueError, match="x must hold integers; it holds values that are NaN"):
        model.predict(np.array([[1.0], [np.nan]]), **QUIET)
    table = pytest.importorskip("pandas").DataFrame({"c": [1, None]}, dtype="Int64")
    for x in (table, table["c"]):
        with pytest.raises(ValueError, match="x can't be made an array of numbers: integers are needed here, and some"):
            model.predict(x, **QUIET)


def test_a_bad_batch_in_the_middle_of_a_generator():
    """What came before it has been trained on; the model goes on working."""

    def batches():
        yield X[:8], Y[:8]
        yield X[8:16, :4], Y[8:16]

    model, twin = network(), network()
    with pytest.raises(ValueError, match=r"\(8, 4\)"):
        model.fit(batches(), **QUIET)
    twin.train_on_batch(X[:8], Y[:8])
    assert_same(model.get_weights(), twin.get_weights())
    model.fit(X, Y, batch_size=8, shuffle=False, **QUIET)
    twin.fit(X, Y, batch_size=8, shuffle=False, **QUIET)
    assert_same(state(model), state(twin))
