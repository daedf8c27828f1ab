"""Texts and sequences beside the real Keras on TensorFlow: tokenizers, padding, windows, files, lookups, vectorization."""

import json
import random
import re
import string

import numpy as np
import pytest

import minigrad
from minigrad.compat.tensorflow import tensorflow
from minigrad.preprocessing import sequence, text

pytestmark = pytest.mark.peers
pytest.importorskip("keras")

TEXTS = [
    "The cat sat on the mat.", "the dog, the cat; THE mouse!", "", "   ", "a-b_c\td\ne", "Ärger über Ähren naïve ÉCOLE",
    "日本 語 日本", "don't stop 'now' (please)", "x" * 3 + " " + "y", "tab\tand\u00a0space\u2028line", "1 22 1 22 3",
    "emoji 😀 and 😀 again", "\x1cfs\x1d \x85 \x0b vt", "[UNK] is here", "cat cat cat",
]  # fmt: skip
UNSEEN = ["the unicorn sat", "", "zz 日本 cat ä Ä", "mat mat the"]


@pytest.fixture(scope="module")
def old():
    from keras.src.legacy.preprocessing import text

    return text


SETTINGS = [
    {}, {"num_words": 5}, {"num_words": 6, "oov_token": "<OOV>"}, {"oov_token": "cat"}, {"char_level": True, "num_words": 9},
    {"lower": False, "filters": "!.", "split": "t"}, {"analyzer": str.split, "oov_token": "<x>"}, {"document_count": 3, "split": ","},
    {"num_words": 2, "oov_token": "<OOV>"},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_tokenizers(old, settings):
    theirs, ours = old.Tokenizer(**settings), text.Tokenizer(**settings)
    words = [["A", "b", "a"], ["a"]]
    for one in (theirs, ours):
        one.fit_on_texts(TEXTS)
        one.fit_on_texts(text for text in UNSEEN[:2])
        one.fit_on_texts(words)
    for name in ("word_index", "index_word", "word_counts", "word_docs", "index_docs", "document_count"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert list(ours.word_index) == list(theirs.word_index)
    sequences = theirs.texts_to_sequences(TEXTS + UNSEEN + words)
    assert ours.texts_to_sequences(TEXTS + UNSEEN + words) == sequences
    odd = [*sequences, [0, 1, 10**6], []]
    assert ours.sequences_to_texts(odd) == theirs.sequences_to_texts(odd)
    for mode in ("binary", "count", "freq", "tfidf"):
        np.testing.assert_array_equal(ours.texts_to_matrix(UNSEEN, mode), theirs.texts_to_matrix(UNSEEN, mode))
    if "analyzer" not in settings:
        assert {**json.loads(ours.to_json())["config"], "word_docs": 0} == {**json.loads(theirs.to_json())["config"], "word_docs": 0}
        again, back = text.tokenizer_from_json(theirs.to_json()), old.tokenizer_from_json(ours.to_json())
        assert again.texts_to_sequences(UNSEEN) == back.texts_to_sequences(UNSEEN) == theirs.texts_to_sequences(UNSEEN)


def test_tokenizers_of_sequences(old):
    made = []
    for module in (old, text):
        one = module.Tokenizer(num_words=6)
        one.fit_on_sequences([[1, 2, 2], [2, 5], [], [9]])
        made.append((one.index_docs, one.sequences_to_matrix([[1, 2, 2, 7], []], "tfidf").tolist()))
    assert made[0] == made[1]


def test_words_and_hashes(old):
    for one in TEXTS:
        for options in ({}, {"lower": False}, {"filters": "", "split": "a"}):
            assert text.text_to_word_sequence(one, **options) == old.text_to_word_sequence(one, **options)
        assert text.hashing_trick(one, 50, "md5") == old.hashing_trick(one, 50, "md5")
        assert text.one_hot(one, 9) == old.one_hot(one, 9)


SEQUENCES = [
    [[1], [2, 3], [4, 5, 6]], [[], [1]], [[], []], [(1, 2.7), np.array([3])], [[[1, 2], [3, 4]], [], [[5, 6]]],
    [np.ones((2, 2, 3)), np.zeros((1, 2, 3))], np.arange(6).reshape(2, 3), [["a", "bc"], ["def"]], ["abc", "d"],
]  # fmt: skip
PADDINGS = [
    {}, {"maxlen": 2}, {"maxlen": 5, "padding": "post"}, {"maxlen": 1, "truncating": "post"}, {"dtype": "float32", "value": -1.5},
    {"dtype": object, "value": "pad"}, {"dtype": "<U2", "value": "?"}, {"value": "pad"}, {"padding": "middle"}, {"truncating": "x"},
    {"maxlen": np.int64(4), "value": 7}, {"dtype": "int64"},
]  # fmt: skip


@pytest.mark.parametrize("options", PADDINGS, ids=str)
@pytest.mark.parametrize("sequences", SEQUENCES, ids=str)
def test_padding(keras, sequences, options):
    try:
        expected = keras.utils.pad_sequences(sequences, **options)
    except (ValueError, TypeError) as error:
        with pytest.raises((ValueError, type(error))):
            minigrad.utils.pad_sequences(sequences, **options)
        return
    if "middle" in options.values() or "x" in options.values():  # Keras looks at these when it pads the first sequence
        return
    found = minigrad.utils.pad_sequences(sequences, **options)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("options", [
    {}, {"window_size": 1, "negative_samples": 0.5}, {"categorical": True}, {"shuffle": False}, {"seed": 3}, {"negative_samples": 0},
    {"sampling_table": sequence.make_sampling_table(9, 0.1)},
], ids=str)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Python: Keras draws a seed up to 10e6, a float
def test_skipgrams(options):
    from keras.src.legacy.preprocessing import sequence as theirs

    np.testing.assert_array_equal(sequence.make_sampling_table(50), theirs.make_sampling_table(50))
    found = []
    for module in (theirs, sequence):
        random.seed(5)
        found.append(module.skipgrams([1, 2, 0, 3, 4, 8, 1, 2], 9, **options))
    assert found[0] == found[1]


@pytest.mark.parametrize("options", [
    {}, {"sampling_rate": 2, "batch_size": 3}, {"stride": 3, "batch_size": 2}, {"start_index": 4, "end_index": 17, "reverse": True},
    {"shuffle": True, "batch_size": 5}, {"start_index": 16}, {"start_index": 17},
], ids=str)  # fmt: skip
def test_windows_of_a_generator(options):
    from keras.src.legacy.preprocessing import sequence as theirs

    data, targets = np.arange(40.0).reshape(20, 2), list(range(20))
    found = []
    for module in (theirs, sequence):
        try:
            made = module.TimeseriesGenerator(data, targets, 3, **options)
        except ValueError:
            found.append(None)
            continue
        np.random.seed(0)
        found.append([made[i] for i in range(len(made))])
    if found[0] is None:
        assert found[1] is None
        return
    assert len(found[0]) == len(found[1])
    for (x, y), (a, b) in zip(*found, strict=True):
        np.testing.assert_array_equal(x, a)
        np.testing.assert_array_equal(y, b)


WINDOWS = [
    {}, {"sequence_stride": 3}, {"sampling_rate": 3, "batch_size": 2}, {"start_index": 2, "end_index": 15}, {"batch_size": None},
    {"start_index": 20}, {"end_index": 20}, {"end_index": 25}, {"start_index": -1}, {"sampling_rate": 0}, {"sequence_stride": 20},
    {"start_index": 5, "end_index": 5}, {"end_index": 3}, {"targets": None}, {"targets": np.arange(7)}, {"end_index": 19},
]  # fmt: skip


@pytest.mark.parametrize("options", WINDOWS, ids=str)
def test_windows_of_a_series(keras, options):
    arguments = {"data": np.arange(40.0).reshape(20, 2), "targets": np.arange(20) * 2, "sequence_length": 4, **options}
    try:
        expected = list(keras.utils.timeseries_dataset_from_array(**arguments))
    except ValueError:
        with pytest.raises(ValueError):
            minigrad.utils.timeseries_dataset_from_array(**arguments)
        return
    data = minigrad.utils.timeseries_dataset_from_array(**arguments)
    found = list(data)
    assert len(found) == len(expected) == len(data)
    for a, b in zip(found, expected, strict=True):
        for one, other in zip(a, b, strict=True) if isinstance(b, tuple) else [(a, b)]:
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    shuffled = minigrad.utils.timeseries_dataset_from_array(**arguments, shuffle=True, seed=1)
    passes = [[np.ravel(b[0] if isinstance(b, tuple) else b) for b in shuffled] for _ in (1, 2)]
    assert len(passes[0]) == len(found) and sorted(sum(map(list, passes[0]), [])) == sorted(sum(map(list, passes[1]), []))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("reviews")
    for name, texts in (("neg", TEXTS[:4]), ("pos", TEXTS[4:9])):
        (root / name / "deeper").mkdir(parents=True)
        for i, one in enumerate(texts):
            (root / name / ("deeper" if i == 2 else "") / f"{i}.txt").write_text(one, encoding="utf-8")
    (root / "notes.md").write_text("no text of a class")
    return root


@pytest.mark.parametrize("options", [
    {}, {"label_mode": "binary", "batch_size": 4}, {"label_mode": "categorical"}, {"label_mode": None}, {"labels": None},
    {"class_names": ["pos", "neg"]}, {"batch_size": None}, {"max_length": 5}, {"labels": list(range(9))},
    {"validation_split": 0.3, "subset": "training"}, {"validation_split": 0.3, "subset": "validation"}, {"class_names": ["pos"]},
    {"labels": [1, 2]}, {"class_names": ["x"]}, {"validation_split": 0.3}, {"label_mode": "other"}, {"labels": "given"}, {"subset": "training"},
], ids=str)  # fmt: skip
def test_texts_in_folders(keras, folder, options, capsys):
    try:
        data = keras.utils.text_dataset_from_directory(folder, shuffle=False, **options)
        expected = list(data)
    except ValueError:
        with pytest.raises(ValueError):
            minigrad.utils.text_dataset_from_directory(folder, shuffle=False, **options)
        return
    printed = capsys.readouterr().out
    ours = minigrad.utils.text_dataset_from_directory(folder, shuffle=False, **options)
    assert capsys.readouterr().out == printed and ours.class_names == data.class_names
    found = list(ours)
    assert len(found) == len(expected) == len(ours)
    for a, b in zip(found, expected, strict=True):
        for one, other in zip(a, b, strict=True) if isinstance(b, tuple) else [(a, b)]:
            np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_split_of_shuffled_files_is_that_of_keras(keras, folder):
    """A model that was validated in Keras is validated on the same files here."""
    for subset in ("training", "validation"):
        options = {"validation_split": 0.4, "subset": subset, "seed": 7, "batch_size": None}
        theirs, ours = (
            sorted((text.numpy(), int(label)) for text, label in k.utils.text_dataset_from_directory(folder, **options))
            for k in (keras, minigrad)
        )
        assert ours == theirs


def plain(thing):
    """Tensors, ragged tensors and data sets as lists."""
    if hasattr(thing, "to_list"):
        return thing.to_list()
    if hasattr(thing, "as_numpy_iterator"):
        return [plain(one) for one in thing.as_numpy_iterator()]
    if isinstance(thing, (tuple, list)):
        return [plain(one) for one in thing]
    return np.asarray(thing.numpy() if hasattr(thing, "numpy") else thing).tolist()


DATA = "tf.data.Dataset."


@pytest.mark.parametrize("code", [
    "tf.strings.lower(T)", "tf.strings.lower(T, encoding='utf-8')", "tf.strings.upper(T)", "tf.strings.strip(T)", "tf.strings.length(T)",
    "tf.strings.length(T, unit='UTF8_CHAR')", "tf.strings.split(T)", "tf.strings.split(T, sep=' ', maxsplit=2)", "tf.strings.split('a b')",
    "tf.strings.unicode_split(T, 'UTF-8')", "tf.strings.regex_replace(T, '[%s]' % re.escape(string.punctuation), '')",
    "tf.strings.regex_replace(T, '<br />', ' ')", r"tf.strings.regex_replace(T, r'(\w+) (\w)', r'\2 \1\0')",
    "tf.strings.regex_replace(T, '[^a-z]', '.', replace_global=False)", "tf.strings.regex_replace(T, '[[:punct:]]', '_')",
    "tf.strings.regex_full_match(T, '.* .*')", "tf.strings.join([T, T], separator='-')", "tf.strings.reduce_join(T, separator=',')",
    "tf.strings.substr(['abcde', 'éa'], 1, 3)", "tf.strings.substr(['abcde', 'aéa'], -3, 2, unit='UTF8_CHAR')", "tf.strings.to_number(['1.5', '2'])", "tf.strings.as_string([1, 20])",
    "tf.strings.to_hash_bucket_fast(T, 100)", "tf.expand_dims(T, -1)", "tf.squeeze([['a'], ['b']])", "tf.constant(['a', 'é'])",
    "tf.concat([T, ['x']], 0)", "tf.reshape(T, (-1, 1))", "tf.convert_to_tensor('text')",
    DATA + "from_tensor_slices(T).batch(3)", DATA + "from_tensor_slices((X, Y)).batch(4, drop_remainder=True)",
    DATA + "range(10).window(5, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(5)).map(lambda w: (w[:-1], w[-1:])).batch(2)",
    DATA + "range(2, 20, 3).skip(1).take(3).repeat(2).concatenate(" + DATA + "range(2)).enumerate()",
    DATA + "zip((" + DATA + "range(4), " + DATA + "range(2, 9))).filter(lambda a, b: b > 3)",
    DATA + "from_tensor_slices(X).map(lambda x: x * 2).batch(3).unbatch().cache().prefetch(tf.data.AUTOTUNE)",
    DATA + "from_tensors(X)", DATA + "from_tensor_slices({'a': X, 'b': Y}).batch(5).map(lambda d: d['a'] + d['b'][:, None])",
    DATA + "from_generator(lambda: iter([[1, 2, 3], [4], [5, 6]]), output_types='int32', output_shapes=[None]).padded_batch(2)",
    DATA + "from_generator(lambda: iter([([1, 2], 0), ([3], 1), ([], 1)]), output_types=('int32', 'int32'), output_shapes=([None], []))"
    ".padded_batch(2, padded_shapes=([None], []))",
    DATA + "range(20).window(3, shift=5, stride=2).flat_map(lambda w: w.batch(9))",
    DATA + "range(9).repeat().window(4, shift=2).take(3).flat_map(lambda w: w.batch(9))",
    DATA + "from_tensor_slices((X, Y)).window(2, drop_remainder=True).flat_map(lambda a, b: tf.data.Dataset.zip((a.batch(2), b.batch(2))))",
    "tf.data.experimental.cardinality(" + DATA + "range(10).batch(3))", DATA + "range(10).window(3)" + ".flat_map(lambda w: w.batch(9))",
    "len(list(" + DATA + "range(10).shuffle(4)))",
])  # fmt: skip
def test_texts_and_data_sets_of_tensorflow(code):
    tf = pytest.importorskip("tensorflow")
    names = {"T": TEXTS, "X": np.arange(12.0).reshape(6, 2), "Y": np.arange(6.0), "re": re, "string": string}
    theirs, ours = (plain(eval(code, {**names, "tf": library})) for library in (tf, tensorflow()))
    assert ours == theirs
