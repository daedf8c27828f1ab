"""Layers that make integers of texts and categories. tests/peers/test_lookups_beside_keras.py holds them to Keras."""

import json

import numpy as np
import pytest

import minigrad
from minigrad import Model, Sequential, layers, models
from minigrad.layers import (
    CategoryEncoding,
    Discretization,
    Embedding,
    Hashing,
    IntegerLookup,
    StringLookup,
    TextVectorization,
)
from minigrad.utils.pipeline import Dataset

TEXTS = np.array(["Good, good film!", "bad film", "great good", "awful bad", "good", ""])
LABELS = np.array([1, 0, 1, 0, 1, 0])


def vectors(**options):
    layer = TextVectorization(**options)
    layer.adapt(TEXTS)
    return layer


def classifier(*first, **options):
    vector = vectors(output_sequence_length=4)
    model = Sequential([
        *first, vector, Embedding(vector.vocabulary_size(), 4), layers.GlobalAveragePooling1D(),
        layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(minigrad.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_words_come_by_their_frequency_and_ties_in_falling_order():
    layer = vectors()
    assert layer.get_vocabulary() == ["", "[UNK]", "good", "film", "bad", "great", "awful"]
    np.testing.assert_array_equal(layer(["GOOD unknown", "", "bad-film"]), [[2, 1], [0, 0], [1, 0]])
    assert vectors(max_tokens=3).get_vocabulary(include_special_tokens=False) == ["good"]
    np.testing.assert_array_equal(vectors(output_mode="count")(["good good x", ""]), [[1, 2, 0, 0, 0, 0], [0] * 6])
    assert vectors(ngrams=2, standardize=None, split=lambda texts: [t.split(b"o") for t in texts.numpy()]).vocabulary_size() > 9


def test_texts_go_into_fit_evaluate_and_predict():
    minigrad.utils.set_random_seed(0)
    model = classifier(layers.Input((1,), dtype="string"))
    model.fit(TEXTS, LABELS, epochs=40, batch_size=3, verbose=0)
    assert model.evaluate(TEXTS, LABELS, verbose=0)[1] == 1 and model.train_program is not None
    expected = model.predict(TEXTS, verbose=0)
    batches = Dataset.from_tensor_slices((TEXTS, LABELS)).batch(4)
    for x in (TEXTS[:, None], TEXTS.tolist(), batches, [TEXTS[:, None]], {"texts": TEXTS}):
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(model(TEXTS[:2]).numpy(), expected[:2], rtol=1e-6)
    model.fit(batches, epochs=1, verbose=0)
    export = Sequential([model.layers[0], Sequential(model.layers[1:])])  # as people put a trained model behind the texts
    np.testing.assert_allclose(export.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0), rtol=1e-6)


def test_columns_of_a_table():
    """Each input has its own layer; integers are looked up inside the recorded step."""
    color, size, rest = (layers.Input((1,), name=n, dtype=d) for n, d in (("color", "string"), ("size", "int64"), ("rest", None)))
    lookup, number, bins = StringLookup(output_mode="one_hot"), IntegerLookup(), Discretization(num_bins=2, output_mode="one_hot")
    lookup.adapt(["red", "blue"])
    number.adapt([3, 5, 9])
    bins.adapt(np.array([1.0, 2.0, 3.0, 4.0]))
    y = layers.Concatenate()([lookup(color), CategoryEncoding(4, output_mode="one_hot")(number(size)), bins(rest)])
    model = Model([color, size, rest], layers.Dense(1, kernel_initializer="ones")(y))
    model.compile("sgd", "mse")
    x = {"color": np.array(["red", "green"]), "size": np.array([5, 7]), "rest": np.array([1.0, 9.0])}
    model.fit(x, np.ones(2), epochs=2, verbose=0)
    assert model.train_program is not None
    assert model.predict(x, verbose=0).shape == (2, 1)
    np.testing.assert_array_equal(Model([color, size, rest], y).predict(x, verbose=0), [[0, 1, 0, 0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 0, 0, 0, 0, 1]])
    assert model(list(x.values())).shape == (2, 1)


@pytest.mark.parametrize("mode", ["int", "multi_hot", "tf_idf"])
def test_a_vocabulary_goes_through_files(mode, tmp_path):
    lookup = TextVectorization(split="character", output_mode=mode)
    lookup.adapt(["ab \u2028é", "a\x0b"])
    model = Sequential([layers.Input((1,), dtype="string"), lookup, layers.Rescaling(1.0)])
    for path in (tmp_path / "model.keras", tmp_path / "folder"):
        models.save_model(model, path, zipped=path.suffix == ".keras")
        again = models.load_model(path)
        assert again.layers[0].get_vocabulary() == lookup.get_vocabulary()
        np.testing.assert_array_equal(again.predict(["é a", "q"], verbose=0), model.predict(["é a", "q"], verbose=0))
    with pytest.warns(UserWarning, match="no place for the vocabulary"):
        model.save(tmp_path / "model.h5")
    again = StringLookup.from_config(json.loads(json.dumps(StringLookup(vocabulary=["a", "b"]).get_config())))
    assert again.get_vocabulary() == ["[UNK]", "a", "b"]
    (tmp_path / "words.txt").write_text("a\nb c\n")
    again = StringLookup(vocabulary=str(tmp_path / "words.txt"), invert=True)
    assert again([1, 2, 0, 7]).tolist() == [b"a", b"b c", b"[UNK]", b"[UNK]"]


def test_hashes_are_those_of_tensorflow():
    np.testing.assert_array_equal(Hashing(3)([["A"], ["B"], ["C"], ["D"], ["E"]]), [[1], [0], [1], [1], [2]])
    np.testing.assert_array_equal(Hashing(num_bins=3, salt=[133, 137])([["A"], ["B"], ["C"]]), [[1], [2], [1]])
    np.testing.assert_array_equal(Hashing(3, mask_value="")([[""], ["A"]])[:1], [[0]])


TEXT = layers.Input((1,), dtype="string")


@pytest.mark.parametrize("call, words", [
    (lambda: layers.Dense(2)(TEXT), "can't take texts"),
    (lambda: Model(TEXT, [vectors()(TEXT), TEXT]), "holds texts, which must go to"),
    (lambda: vectors()(layers.Input((3,))), "directly behind"),
    (lambda: vectors()(np.ones(3)), "Expected texts, got 1.0"),
    (lambda: vectors()(np.array([["a", "b"]])), r"one text per row, an array of shape \(n,\) or \(n, 1\)"),
    (lambda: classifier(TEXT).predict(np.ones((3, 1)), verbose=0), "must be texts"),
    (lambda: classifier(TEXT).predict(["a", None], verbose=0), "got None .*fillna"),
    (lambda: TextVectorization(ragged=True), "no ragged tensors"),
    (lambda: StringLookup(sparse=True), "no sparse tensors"),
    (lambda: StringLookup(vocabulary=["a"]).adapt(["b"]), "was given its vocabulary"),
    (lambda: StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), "'b'.* not in the vocabulary"),
    (lambda: StringLookup(output_mode="count")([["b"]]), "call adapt"),
    (lambda: StringLookup(vocabulary=["a"], invert=True)(layers.Input((1,), dtype="int64")), "texts come out"),
    (lambda: Discretization(num_bins=3)([1.0]), "call adapt"),
])  # fmt: skip
def test_what_does_not_fit_says_so(call, words):
    with pytest.raises((ValueError, RuntimeError), match=words):
        call()


def test_an_embedding_that_is_too_small_for_the_vocabulary_says_so():
    model = Sequential([layers.Input((1,), dtype="string"), vectors(output_sequence_length=3), Embedding(3, 2)])
    with pytest.raises(ValueError, match="expected integers from 0 to 2"):
        model.predict(TEXTS, verbose=0)


def test_batch_normalization_behind_texts_is_recomputed_and_folded():
    model = Sequential([
        layers.Input((1,), dtype="string"), vectors(output_mode="tf_idf"), layers.Dense(3), layers.BatchNormalization(),
    ])  # fmt: skip
    minigrad.utils.recompute_batch_statistics(model, TEXTS)
    y = model.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(y.mean(0), np.zeros(3), atol=1e-5)
    folded = minigrad.utils.fold_batchnorm(model)
    assert len(folded.layers) == 2
    np.testing.assert_allclose(folded.predict(TEXTS, verbose=0), y, rtol=1e-4, atol=1e-5)
