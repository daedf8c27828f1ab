"""Tables: columns of words and numbers as the inputs of a model; what prepares them runs before the step."""

import datetime

import numpy as np
import pytest

import minigrad
from minigrad import Model, Sequential, layers
from minigrad.preparation import Prepared
from minigrad.tensor import as_tensor, no_grad
from minigrad.utils import FeatureSpace
from minigrad.utils.pipeline import Dataset

pd = pytest.importorskip("pandas")
CITIES = np.array(["Rome", "Oslo", "Rome", "Bern"] * 8, object)
AGES, Y = np.arange(32.0), np.arange(32) % 2


def space(**options):
    found = FeatureSpace({"city": "string_categorical", "age": "float_normalized", "rooms": "integer_hashed"}, **options)
    found.adapt(table())
    return found


def table():
    return {"city": CITIES, "age": AGES, "rooms": np.arange(32) % 5}


def network(inputs, encoded):
    model = Model(inputs, layers.Dense(1, kernel_initializer="ones", activation="sigmoid")(encoded))
    model.compile("sgd", "binary_crossentropy")
    return model


def test_a_step_on_raw_columns_is_the_step_on_prepared_arrays():
    features = space(crosses=[("city", "rooms")])
    raw = network(features.get_inputs(), features.get_encoded_features())
    encoded = features(table()).numpy()
    alone = Sequential([layers.Input(encoded.shape[1:]), layers.Dense(1, kernel_initializer="ones", activation="sigmoid")])
    alone.compile("sgd", "binary_crossentropy")
    for _ in range(2):
        losses = [m.fit(x, Y, epochs=3, batch_size=8, shuffle=False, verbose=0).history for m, x in ((raw, table()), (alone, encoded))]
        assert losses[0] == losses[1]
    assert len(raw.train_program) == len(alone.train_program)
    np.testing.assert_array_equal(raw.predict(table(), verbose=0), alone.predict(encoded, verbose=0))


def test_of_a_few_rows_only_what_must_be_is_prepared():
    """The rest is done by the recorded step, with the same results, and indexes and categories are still looked at."""
    inputs = layers.Input((1,), dtype="string", name="word"), layers.Input((2,), name="size"), layers.Input((1,), dtype="int32", name="kind")
    parts = [layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs[0]), layers.Normalization(mean=1.0, variance=4.0)(inputs[1])]
    parts += [layers.CategoryEncoding(3, "one_hot")(inputs[2]), layers.Flatten()(layers.Embedding(4, 2)(inputs[2] + 1))]
    model = Model(inputs, layers.Dense(1)(layers.concatenate(parts)))
    x = {"word": np.array(["a", "b", "c"] * 40), "size": np.random.default_rng(0).normal(size=(120, 2)), "kind": np.arange(120) % 3}
    whole, few = model.predict(x, verbose=0), model._preparation.few
    assert len(few.calls) > len(model._preparation.calls) and [name for name in few.names if "normalization" in name] == []
    for count in (1, 7, 64):
        found = model.predict({name: column[:count] for name, column in x.items()}, verbose=0)
        np.testing.assert_allclose(found, whole[:count], 1e-6, 1e-6)
    for kind in (-1, 3):
        with pytest.raises(ValueError, match="expects integers from 0 to 2|must be|from 0 to 3"):
            model.predict({**{name: column[:1] for name, column in x.items()}, "kind": np.array([kind])}, verbose=0)


def test_every_way_to_give_a_table():
    features = space()
    model = network(features.get_inputs(), features.get_encoded_features())
    frame = pd.DataFrame(table())
    expected = model.predict(table(), verbose=0)
    batches = Dataset.from_tensor_slices((table(), Y)).batch(10)
    for x in (frame, {name: list(column) for name, column in table().items()}, list(table().values()), Columns(table()), batches):
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(model(frame.iloc[:3].to_dict("list")).numpy(), expected[:3], rtol=1e-6)
    loss = model.evaluate(frame, Y, verbose=0)
    assert loss == pytest.approx(model.evaluate(batches, verbose=0), rel=1e-5) == pytest.approx(model.test_on_batch(frame, Y), rel=1e-5)
    history = model.fit(batches, validation_data=(frame, Y), epochs=1, verbose=0).history
    assert set(history) == {"loss", "val_loss"} and model.fit(frame, Y, validation_split=0.25, verbose=0)


class Column:
    """A column as those of polars: none of NumPy's methods."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return np.asarray(self.values)

    @property
    def dtype(self):
        return "String" if self.to_numpy().dtype.kind in "OU" else "Float64"

    def __len__(self):
        return len(self.values)


class Columns:
    """A table as those of pyarrow and polars."""

    def __init__(self, columns):
        self.column_names, self._columns = list(columns), columns

    def __getitem__(self, name):
        return Column(self._columns[name])


def test_the_parts_that_only_prepare_data_come_first():
    city, age, more = layers.Input((1,), dtype="string"), layers.Input((1,)), layers.Input((2,))
    lookup = layers.StringLookup(vocabulary=["Oslo", "Rome"])
    index = lookup(city)  # goes to two layers
    scaled = layers.Rescaling(0.5)(age)
    trained = layers.Dense(2)(more)
    y = layers.Concatenate()([layers.CategoryEncoding(3, output_mode="one_hot")(index), scaled])
    y = layers.Dense(1)(layers.Concatenate()([y, layers.Flatten()(layers.Embedding(3, 2)(index)), trained, layers.Rescaling(2.0)(trained)]))
    model = Model([city, age, more], y)
    first = model._preparation
    assert [symbol.shape for symbol in first.results] == [(None, 4), (None, 1), (None, 2)] or len(first.results) == 3
    found = first.rows([layers.lookup.strings(CITIES[:, None]), AGES[:, None], np.ones((32, 2))])
    assert type(found) is Prepared
    nested = Model(model.inputs, layers.Dense(1)(model(model.inputs)))  # behind and within others
    outer = [layers.Input(one.shape[1:], dtype=one.dtype) for one in model.inputs]
    for whole in (nested, Model(outer, model(outer)), Model(outer, layers.Dense(1)(layers.Dense(2)(model(outer))))):
        whole.compile("sgd", "mse")
        whole.fit([CITIES, AGES, np.ones((32, 2))], Y, verbose=0)
        assert whole.train_program is not None


def test_rows_that_are_wide_are_encoded_in_the_step():
    city = layers.Input((1,), dtype="string")
    encoded = layers.CategoryEncoding(2000, output_mode="one_hot")(layers.Hashing(2000)(city))
    model = network(city, encoded)
    assert [one.shape for one in model._preparation.results] == [(None, 1)]
    model.fit(CITIES, Y, verbose=0)
    assert model.train_program is not None


def test_integers_that_are_hashed_no_longer_keep_a_step_from_being_recorded():
    number = layers.Input((1,), dtype="int64")
    model = network(number, layers.Flatten()(layers.Embedding(8, 2)(layers.Hashing(8)(number))))
    model.fit(np.array([2**40 + i for i in range(32)]), Y, verbose=0)
    assert model.train_program is not None
    again = Sequential([layers.IntegerLookup(num_oov_indices=3, vocabulary=[1, 5]), layers.Embedding(6, 2), layers.Flatten(), layers.Dense(1)])
    again.compile("sgd", "mse")
    again.fit(np.arange(32)[:, None], Y, verbose=0)
    assert again.train_program is not None and again.predict(np.array([[5]]), verbose=0).shape == (1, 1)


FRAME = pd.DataFrame({
    "int": pd.array([1, None, 3], "Int64"), "bool": pd.array([True, False, None], "boolean"), "flag": [True, False, True],
    "class": pd.Categorical([10, 20, None]), "object": [1, 2.5, None], "float": np.float32([1, 2, 3]),
})  # fmt: skip


def test_columns_that_can_be_numbers_are():
    model = Sequential([layers.Input((6,)), layers.Identity()])
    nan = np.nan
    expected = [[1, 1, 1, 10, 1, 1], [nan, 0, 0, 20, 2.5, 2], [3, nan, 1, nan, nan, 3]]
    np.testing.assert_array_equal(model.predict(FRAME, verbose=0), expected)
    np.testing.assert_array_equal(model.predict(Columns({n: FRAME[n].astype("float32") for n in FRAME}), verbose=0), expected)
    for name, values in zip(FRAME, np.transpose(expected), strict=True):
        np.testing.assert_array_equal(Sequential([layers.Input((1,)), layers.Identity()]).predict(FRAME[name], verbose=0)[:, 0], values)
    normal = layers.Normalization()
    normal.adapt(FRAME[["flag", "float"]])
    np.testing.assert_allclose(normal.mean.numpy(), [[2 / 3, 2]], rtol=1e-6)


@pytest.mark.parametrize("column, words", [
    (["a", "b"], "'x'.*StringLookup"), (pd.Categorical(["a", "b"]), "'x'.*StringLookup"), (pd.array(["a", "b"], "string"), "'x'.*StringLookup"),
    (pd.to_datetime(["2024-01-01", "2024-02-01"]), "'x'.*dayofweek"), ([datetime.date(2024, 1, 1)] * 2, "'x'.*dayofweek"),
    (pd.to_timedelta(["1 days", "2 days"]), "'x'.*days"),
])  # fmt: skip
def test_other_columns_name_what_helps(column, words):
    model = Sequential([layers.Input((2,)), layers.Dense(1)])
    with pytest.raises(ValueError, match=words):
        model.predict(pd.DataFrame({"n": [1.0, 2.0], "x": column}), verbose=0)


@pytest.mark.parametrize("column", [
    pd.Series(["a", "b", "a"]), pd.Series(["a", "b", "a"], dtype="category"), pd.Series(["a", "b", "a"], dtype="string"), Column(["a", "b", "a"]),
], ids=lambda column: str(column.dtype))  # fmt: skip
def test_columns_of_words(column):
    lookup = layers.StringLookup()
    lookup.adapt(column)
    assert lookup.get_vocabulary() == ["[UNK]", "a", "b"]
    model = Sequential([layers.Input((1,), dtype="string"), lookup])
    np.testing.assert_array_equal(model.predict(column, verbose=0), [[1], [2], [1]])
    with pytest.raises(ValueError, match="fillna"):
        model.predict(pd.Series(["a", None], dtype=column.dtype if isinstance(column, pd.Series) else None), verbose=0)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool", "float64"])
def test_inputs_of_other_dtypes(dtype):
    x = layers.Input((2,), dtype=dtype)
    model = Model(x, layers.Dense(1, kernel_initializer="ones")(layers.Rescaling(2.0)(x)))
    data = np.array([[1, 0], [1, 1]], dtype)
    np.testing.assert_allclose(model.predict(data, verbose=0), [[2], [4]])
    np.testing.assert_allclose(model(data).numpy(), [[2], [4]])
    model.compile("sgd", "mse")
    model.fit(data, [1, 2], verbose=0)
    assert Model.from_config(model.get_config()).input.dtype == dtype


def test_a_feature_space_forgets_no_column():
    features = space()
    with pytest.raises(ValueError, match="needs a dict with the column 'age'"):
        features({"city": ["Rome"], "rooms": [1]})
    assert features(pd.DataFrame(table())).shape == (32, 4 + 1 + 32)
    assert features({"city": "Rome", "age": 3.0, "rooms": 2}).shape == (37,)


def test_the_layers_are_those_of_a_copy(tmp_path):
    features = space(crosses=[("city", "rooms")])
    model = network(features.get_inputs(), features.get_encoded_features())
    model.save(tmp_path / "model.keras")
    again = minigrad.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(table(), verbose=0), model.predict(table(), verbose=0))
    copied = minigrad.models.clone_model(model)
    assert copied._preparation is not None


def test_of_many_rows_some_are_prepared_at_a_time(monkeypatch):
    """What a Concatenate joins in the end is joined where it belongs; one that goes on, or joins otherwise, as well."""
    monkeypatch.setattr(minigrad.preparation, "ROWS", 7)
    word, size, kind = layers.Input((1,), dtype="string"), layers.Input((2,)), layers.Input((1,), dtype="int32")
    parts = layers.StringLookup(vocabulary=["Oslo", "Rome"], output_mode="one_hot")(word), layers.Rescaling(0.3)(size), size
    inner = layers.Concatenate()([parts[0], layers.CategoryEncoding(5, "multi_hot")(kind)])
    turned = [layers.Reshape((2, 1))(one) for one in parts[1:]]
    results = [layers.Concatenate()([inner, *parts]), inner, layers.Concatenate(axis=1)(turned), parts[1]]
    model = Model([word, size, kind], [layers.Flatten()(layers.Dense(1)(one)) for one in results])
    x = [CITIES[:, None], np.random.default_rng(0).normal(size=(32, 2)).astype("float32"), np.arange(32)[:, None] % 5]
    found = model._preparation.rows(x)
    with no_grad():
        each = [model._preparation.run([x[0][i : i + 1], *(as_tensor(a[i : i + 1], a.dtype) for a in x[1:])]) for i in range(32)]
    assert len(found) == len(each[0])
    for whole, *rows in zip(found, *each):
        assert whole.dtype == rows[0].dtype
        np.testing.assert_array_equal(whole, np.concatenate([row.numpy() for row in rows]))
    x[0][7] = None  # the first of those that are prepared together
    with pytest.raises(ValueError, match="Expected texts, got None .* fill missing ones first"):
        model.predict(x, verbose=0)


@pytest.mark.parametrize("layer", [layers.StringLookup, layers.TextVectorization, lambda: layers.StringLookup(output_mode="tf_idf")])
def test_of_texts_each_is_encoded_once_and_what_is_none_is_named(layer):
    mixed, made = np.array(["a", b"a", "b", b"a"], object), layer()
    made.adapt(mixed)
    assert [word for word in made.get_vocabulary() if word not in ("", "[UNK]")] == ["a", "b"]
    for wrong in (["a"], None, np.nan, 2):
        mixed[1] = wrong
        for call in (made, layer().adapt):
            with pytest.raises(ValueError, match="Expected texts, got"):
                call(mixed)
