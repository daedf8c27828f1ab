"""Tables of polars, pyarrow and Hugging Face's datasets, and loaders of grain, go into `fit` as they are."""

import datetime

import numpy as np
import pytest

from minigrad import Input, Model, Sequential, layers
from minigrad.utils import FeatureSpace

pytestmark = pytest.mark.ecosystem

TABLE = {
    "city": ["Rome", "Oslo", "Rome", "Łódź"] * 4, "age": [31.5, None, 12.0, 77.0] * 4, "rooms": [1, 2, 3, 4] * 4,
    "owner": [True, False, True, True] * 4,
}  # fmt: skip
Y = [0, 1, 0, 1] * 4
KINDS = {"city": "string_categorical", "rooms": "integer_categorical", "owner": "float"}


def polars(table):
    return pytest.importorskip("polars").DataFrame(table)


def with_categories(table):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(table).with_columns(pl.col("city").cast(pl.Categorical))


def pyarrow(table):
    return pytest.importorskip("pyarrow").table(table)


def with_dictionary(table):
    pa = pytest.importorskip("pyarrow")
    return pa.table({**table, "city": pa.chunked_array([pa.array(table["city"]).dictionary_encode()])})


def hugging_face(table):
    return pytest.importorskip("datasets").Dataset.from_dict(table)


@pytest.mark.parametrize("made", [polars, with_categories, pyarrow, with_dictionary, hugging_face])
def test_tables(made):
    expected, found = [], []
    for table, y, results in ((TABLE, np.array(Y), expected), (made(TABLE), made({**TABLE, "y": Y})["y"], found)):
        space = FeatureSpace(KINDS)
        space.adapt(table)
        model = Model(space.get_inputs(), layers.Dense(1, kernel_initializer="ones")(space.get_encoded_features()))
        model.compile("sgd", "mse")
        results += [model.fit(table, y, epochs=2, shuffle=False, verbose=0).history["loss"], model.predict(table, verbose=0)]
        assert model.train_program is not None
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("made", [polars, pyarrow, hugging_face])
def test_numbers_and_what_is_none(made):
    numbers = {name: TABLE[name] for name in ("age", "rooms", "owner")}
    model = Sequential([layers.Input((3,)), layers.Identity()])
    assert model.predict(made(numbers), verbose=0)[:2].tolist()[0] == [31.5, 1, 1]
    assert np.isnan(model.predict(made(numbers), verbose=0)[1, 0])
    for column, words in ((TABLE["city"], "'x'.*StringLookup"), ([datetime.datetime(2024, 1, 1)] * 16, "'x'.*dates")):
        with pytest.raises(ValueError, match=words):
            model.predict(made({"age": TABLE["age"], "x": column, "rooms": TABLE["rooms"]}), verbose=0)


def test_loaders_of_grain():
    grain = pytest.importorskip("grain")
    x = np.arange(32, dtype="float32").reshape(16, 2)
    data = grain.MapDataset.source(list(zip(x, np.float32(Y), strict=True))).batch(4)
    model = Sequential([Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    for source in (data, data.to_iter_dataset()):
        model.fit(source, epochs=2, verbose=0)
        assert model.predict(source, verbose=0).shape == (16, 1)
