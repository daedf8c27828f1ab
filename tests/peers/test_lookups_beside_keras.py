"""Texts and categories as integers beside the real Keras on TensorFlow: vectorization, lookups, hashing, bins, files."""

import re

import numpy as np
import pytest

import minigrad

pytestmark = pytest.mark.peers
pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

TEXTS = [
    "The cat sat on the mat.", "the dog, the cat; THE mouse!", "", "   ", "a-b_c\td\ne", "Ärger über Ähren naïve ÉCOLE", "日本 語 日本",
    "don't stop 'now' (please)", "tab\tand\u00a0space\u2028line", "1 22 1 22 3", "emoji 😀 and 😀 again", "\x1cfs\x1d \x85 \x0b vt",
    "[UNK] is here", "cat cat cat", "unk [UNK]", "ä Ä a A",
]  # fmt: skip
UNSEEN = ["the unicorn sat", "", "zz 日本 cat ä Ä", "mat mat the", "\x0b"]


def pair(keras, name, **options):
    """The two layers; or None where both refuse the options."""
    made = []
    for library in (keras, minigrad):
        try:
            made.append(getattr(library.layers, name)(**options))
        except ValueError as error:
            made.append(error)
    theirs, ours = made
    assert isinstance(theirs, ValueError) == isinstance(ours, ValueError), made
    return None if isinstance(theirs, ValueError) else made


def assert_same(keras, layers, data):
    theirs, ours = (None, None)
    try:
        theirs = layers[0](data)
    except Exception:
        with pytest.raises((ValueError, RuntimeError)):
            layers[1](data)
        return
    ours = layers[1](data)
    if isinstance(theirs, tf.RaggedTensor):
        return
    expected = theirs.numpy()
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(ours.numpy(), expected)
    assert ours.numpy().dtype.kind == expected.dtype.kind
    assert ours.shape == tuple(theirs.shape)


def words(layer):
    return [str(word) for word in layer.get_vocabulary()]


VECTORS = [
    {}, {"max_tokens": 6}, {"standardize": "lower"}, {"standardize": "strip_punctuation"}, {"standardize": None}, {"split": "character"},
    {"split": None}, {"ngrams": 2}, {"ngrams": (1, 3)}, {"ngrams": (2,), "output_mode": "count"}, {"output_mode": "multi_hot"},
    {"output_mode": "multi_hot", "max_tokens": 60, "pad_to_max_tokens": True}, {"output_mode": "tf_idf"},
    {"output_mode": "tf-idf", "max_tokens": 60, "pad_to_max_tokens": True}, {"output_mode": "tf_idf", "max_tokens": 5, "ngrams": 2},
    {"output_mode": "count", "split": "character"}, {"output_mode": "count", "split": None}, {"output_sequence_length": 3},
    {"output_sequence_length": 30}, {"output_sequence_length": 2, "split": None}, {"output_mode": "binary", "max_tokens": 2},
    {"max_tokens": 1}, {"output_mode": "words"}, {"split": "line"}, {"standardize": "up"}, {"ngrams": "2"}, {"pad_to_max_tokens": True},
    {"output_mode": "count", "output_sequence_length": 3}, {"output_sequence_length": "3"}, {"standardize": lambda x: tf.strings.upper(x)},
]  # fmt: skip


@pytest.mark.parametrize("options", VECTORS, ids=lambda options: re.sub(" at 0x.*?>", ">", str(options)))
def test_vectorization(keras, options):
    if callable(options.get("standardize")):
        theirs = keras.layers.TextVectorization(**options)
        ours = minigrad.layers.TextVectorization(standardize=lambda x: np.char.upper(x.numpy().astype(bytes)), split="character")
        theirs = keras.layers.TextVectorization(**options, split="character")
        layers = theirs, ours
        texts = [text for text in TEXTS if text.isascii() and "\x0b" not in text]
    else:
        layers, texts = pair(keras, "TextVectorization", **options), TEXTS
    if layers is None:
        return
    for layer in layers:
        layer.adapt(texts)
    assert words(layers[0]) == words(layers[1])
    assert layers[0].get_vocabulary(False) == layers[1].get_vocabulary(False)
    assert layers[0].vocabulary_size() == layers[1].vocabulary_size()
    if callable(options.get("standardize")):
        return
    for data in (TEXTS + UNSEEN, UNSEEN, np.array(UNSEEN)[:, None], ["cat"], [["cat"], ["dog the"]]):
        assert_same(keras, layers, data)
    if not {"split", "output_sequence_length"} <= options.keys():  # Keras can't cut what is no row
        assert_same(keras, layers, "the cat is")
    for layer in layers:  # again, from batches
        layer.adapt(batch for batch in (np.array(TEXTS[:5]), np.array(TEXTS[5:])[:, None])) if "split" not in options else layer.adapt(TEXTS)
    assert words(layers[0]) == words(layers[1])


@pytest.mark.parametrize("name, options", [
    ("StringLookup", {"vocabulary": ["a", "b"]}), ("StringLookup", {"vocabulary": ["[UNK]", "a", "b"]}), ("StringLookup", {"vocabulary": ["a", "[UNK]"]}),
    ("StringLookup", {"vocabulary": ["a", "a"]}), ("StringLookup", {"vocabulary": []}), ("StringLookup", {"vocabulary": ["", "a"], "mask_token": ""}),
    ("StringLookup", {"vocabulary": ["a", "", "b"], "mask_token": ""}), ("StringLookup", {"vocabulary": ["a", "b", "c"], "max_tokens": 3}),
    ("StringLookup", {"vocabulary": ["", "[UNK]", "a"], "mask_token": ""}), ("StringLookup", {"vocabulary": ["a"], "num_oov_indices": 4}),
    ("StringLookup", {"vocabulary": ["a"], "num_oov_indices": 4, "salt": 3}), ("StringLookup", {"vocabulary": ["a"], "num_oov_indices": 4, "salt": [1, 2]}),
    ("StringLookup", {"vocabulary": ["a", "b", "zz"], "num_oov_indices": 0}), ("StringLookup", {"vocabulary": ["a", "[UNK]"], "invert": True}),
    ("StringLookup", {"vocabulary": ["a", "b"], "output_mode": "one_hot"}), ("StringLookup", {"vocabulary": ["a", "b"], "output_mode": "multi_hot", "mask_token": "c"}),
    ("StringLookup", {"vocabulary": ["a", "b"], "output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True}),
    ("StringLookup", {"vocabulary": ["a", "b"], "output_mode": "tf_idf", "idf_weights": [0.5, 2]}),
    ("StringLookup", {"vocabulary": ["[UNK]", "a", "b"], "output_mode": "tf_idf", "idf_weights": [0.1, 0.5, 2]}),
    ("StringLookup", {"vocabulary": ["a", "b"], "output_mode": "tf_idf", "idf_weights": [0.5, 2], "max_tokens": 7, "pad_to_max_tokens": True}),
    ("StringLookup", {"vocabulary": ["a", "b"], "output_mode": "tf_idf"}), ("StringLookup", {"vocabulary": ["a"], "idf_weights": [1]}),
    ("StringLookup", {"num_oov_indices": -1}), ("StringLookup", {"invert": True, "output_mode": "count"}), ("StringLookup", {"salt": "x"}),
    ("IntegerLookup", {"vocabulary": [12, 36]}), ("IntegerLookup", {"vocabulary": [12, 36], "mask_token": 0}), ("IntegerLookup", {"vocabulary": [-1, 12]}),
    ("IntegerLookup", {"vocabulary": [12, 36], "num_oov_indices": 3}), ("IntegerLookup", {"vocabulary": [12], "num_oov_indices": 3, "oov_method": "farmhash"}),
    ("IntegerLookup", {"vocabulary": [12], "num_oov_indices": 3, "oov_method": "farmhash", "salt": 7}), ("IntegerLookup", {"vocabulary": [12], "salt": 7}),
    ("IntegerLookup", {"vocabulary": [12, 36, 5], "output_mode": "count"}), ("IntegerLookup", {"vocabulary": [12, 36], "output_mode": "one_hot", "mask_token": 5}),
    ("IntegerLookup", {"vocabulary": [2**40, 5, -(2**40)]}), ("IntegerLookup", {"vocabulary": [7, 2**40], "output_mode": "multi_hot"}),
], ids=str)  # fmt: skip
def test_lookups_of_a_vocabulary(keras, name, options):
    layers = pair(keras, name, **options)
    if layers is None:
        return
    assert words(layers[0]) == words(layers[1]) and layers[0].vocabulary_size() == layers[1].vocabulary_size()
    data = [["a", "zz", "b"], ["", "c", "a"]] if name == "StringLookup" else [[12, 36, 5], [-7, 0, 2**40]]
    for one in (data, data[0], [[row[0]] for row in data], data[0][0], np.array([data, data])):
        if np.ndim(one) < 3 or options.get("output_mode", "int") in ("int", "one_hot"):  # else Keras sums over axis 1
            assert_same(keras, layers, one)


@pytest.mark.parametrize("options", [{}, {"max_tokens": 4}, {"mask_token": "b"}, {"output_mode": "tf_idf"}, {"num_oov_indices": 2, "max_tokens": 4}], ids=str)
def test_lookups_adapt(keras, options):
    data = np.array([["b", "a", "b"], ["c", "Z", "é"], ["a", "[UNK]", ""]])
    for arrays in ([data], [data[:, 0]], [data.ravel().tolist()], [list(data.ravel()), iter([data[:1], data[1:]])], [["only"], data], [iter([data[0], data[1]])]):
        layers = keras.layers.StringLookup(**options), minigrad.layers.StringLookup(**options)
        for i, one in enumerate(arrays):
            if options.get("output_mode") and i:
                break  # the number of columns can't change in Keras
            parts = [list(one), list(one)] if hasattr(one, "__next__") else None
            for k, layer in enumerate(layers):
                layer.adapt(iter(parts[0]) if parts and k == 0 else one if not parts else iter(parts[0]))
                if parts is None:
                    continue
        assert words(layers[0]) == words(layers[1])
        assert_same(keras, layers, [["a", "q"], ["é", "b"]])


def test_integers_adapt(keras):
    data = np.array([[12, 1138, 42], [42, 1000, 36], [-1, -5, 12]])
    layers = keras.layers.IntegerLookup(), minigrad.layers.IntegerLookup()
    for layer in layers:
        layer.adapt(data)
    assert words(layers[0]) == words(layers[1])
    assert_same(keras, layers, data)


def test_lookups_back(keras):
    for options, data in (({"mask_token": ""}, [[0, 1, 2, 3, 9, -1]]), ({"num_oov_indices": 2}, [1, 2, 3])):
        assert_same(keras, pair(keras, "StringLookup", vocabulary=["a", "é"], invert=True, **options), data)
    for options, data in (({"mask_token": 0}, [[0, 1, 2, 3, 9, -1]]), ({"num_oov_indices": 2}, [1, 2, 3])):
        assert_same(keras, pair(keras, "IntegerLookup", vocabulary=[7, 5], invert=True, **options), data)


@pytest.mark.parametrize("options", [
    {"num_bins": 5}, {"num_bins": 5, "mask_value": ""}, {"num_bins": 1}, {"num_bins": 7, "salt": 3}, {"num_bins": 7, "salt": [3, 4]}, {"num_bins": 0},
    {"num_bins": 3, "output_mode": "one_hot"}, {"num_bins": 3, "output_mode": "multi_hot"}, {"num_bins": 3, "output_mode": "count"}, {"num_bins": 3, "salt": "a"},
], ids=str)  # fmt: skip
def test_hashing(keras, options):
    layers = pair(keras, "Hashing", **options)
    if layers is None:
        return
    for data in (["a", "b", "", "é", "x" * 100], [["a", "b"], ["c", "a"]], [["a"], ["b"]]):
        assert_same(keras, layers, data)
    if "mask_value" not in options:
        for data in ([[1, 2, -3]], np.array([[1.7], [-2.2]]), np.array([2**40, 5])):
            assert_same(keras, layers, data)


@pytest.mark.parametrize("options", [
    {"num_tokens": 4}, {"num_tokens": 4, "output_mode": "count"}, {"num_tokens": 4, "output_mode": "one_hot"}, {"num_tokens": 4, "output_mode": "binary"},
    {"num_tokens": None}, {"num_tokens": 0}, {"num_tokens": 4, "output_mode": "int"},
], ids=str)  # fmt: skip
def test_categories(keras, options):
    layers = pair(keras, "CategoryEncoding", **options)
    if layers is None:
        return
    for data in ([1, 2, 2], [[1, 2], [3, 3]], [[0], [3]], [[1.0, 2.0]], np.array([[2, 7]])):
        assert_same(keras, layers, np.array(data))
    if options.get("output_mode") == "count":
        weights = np.array([[0.5, 2.0], [1.0, 1.5]], "float32")
        found = [layer(np.array([[1, 2], [3, 3]]), count_weights=weights) for layer in layers]
        np.testing.assert_allclose(found[1].numpy(), found[0].numpy())


@pytest.mark.parametrize("options", [
    {"bin_boundaries": [0.0, 1.0, 2.5]}, {"num_bins": 4}, {"num_bins": 4, "epsilon": 0.2}, {"num_bins": 1}, {"num_bins": 3, "output_mode": "one_hot"},
    {"bin_boundaries": [0.0, 2.0], "output_mode": "multi_hot"}, {"bin_boundaries": [1.0], "output_mode": "count"}, {}, {"num_bins": -1},
    {"num_bins": 2, "bin_boundaries": [1.0]}, {"num_bins": 2, "output_mode": "bins"},
], ids=str)  # fmt: skip
def test_bins(keras, options):
    layers = pair(keras, "Discretization", **options)
    if layers is None:
        return
    values = np.random.default_rng(0).normal(size=(150, 2)).astype("float32")
    for data in (values, [values[:40], values[40:]], values[:3]):
        if "num_bins" in options:
            for layer in layers:
                layer.adapt(data)
        np.testing.assert_allclose(layers[1].bin_boundaries, layers[0].bin_boundaries, rtol=1e-6)
    for data in (values[:4], values[:4, :1], values[0]):
        assert_same(keras, layers, data)
    again = minigrad.layers.Discretization.from_config(layers[1].get_config())
    assert again.bin_boundaries == layers[1].bin_boundaries


def standard(library):
    return library.layers.TextVectorization(output_sequence_length=4)


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_files_both_ways(keras, tmp_path, mode):
    """Sequential and several inputs; vocabularies go through files as they are, whoever writes them."""
    rows = np.array([text for text in [*TEXTS, *UNSEEN] if text.isprintable()])  # Keras takes some of the others for ends of lines

    def made(k):
        text = k.Input((), dtype="string", name="text")  # of a column, Keras foresees (None, 1, words)
        color, size = k.Input((1,), dtype="string", name="color"), k.Input((1,), dtype="int64", name="size")
        vectors = k.layers.TextVectorization(output_mode=mode)
        lookup, numbers = k.layers.StringLookup(output_mode="one_hot"), k.layers.IntegerLookup(output_mode="multi_hot")
        vectors.adapt(rows)
        lookup.adapt(["red", "blue", "red"])
        numbers.adapt(np.array([3, 5, 9, 5]))
        y = vectors(text)
        if mode == "int":
            y = k.layers.GlobalAveragePooling1D()(k.layers.Embedding(60, 3, mask_zero=True)(y))
        y = k.layers.Concatenate()([y, lookup(color), k.layers.Rescaling(1.0)(k.ops.cast(numbers(size), "float32"))])
        return k.Model([text, color, size], k.layers.Dense(2)(y))

    x = [rows, np.resize(["red", "blue", "green"], len(rows)), np.resize([3, 5, 9, 7], len(rows))]
    for writer, reader in ((keras, minigrad), (minigrad, keras)):
        path = str(tmp_path / f"{writer.__name__}.keras")
        model = made(writer)
        model.save(path)
        again = reader.models.load_model(path)
        given = {library: x if library is minigrad else [tf.constant(x[0]), *(tf.constant(one)[:, None] for one in x[1:])] for library in (keras, minigrad)}
        expected, found = model.predict(given[writer], verbose=0), again.predict(given[reader], verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        if reader is minigrad:
            again.save(tmp_path / "again.keras")
            np.testing.assert_array_equal(minigrad.models.load_model(tmp_path / "again.keras").predict(x, verbose=0), found)


def test_masked_means(keras):
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 2, 3, 4]])
    table = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
    found = []
    for k in (keras, minigrad):
        layer = k.layers.Embedding(5, 3, mask_zero=True)
        model = k.Sequential([k.Input((4,), dtype="int32"), layer, k.layers.GlobalAveragePooling1D(), k.layers.Dense(1, kernel_initializer="ones")])
        layer.set_weights([table])
        model.compile(k.optimizers.SGD(0.1), "mse")
        history = model.fit(ids, np.arange(3.0), epochs=3, shuffle=False, verbose=0).history["loss"]
        found.append((history, model.predict(ids, verbose=0), layer.get_weights()[0]))
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
