"""Tokenizer, padding, windows, texts in folders, and Dataset. tests/peers/test_words_beside_keras.py holds them to Keras."""

import itertools

import numpy as np
import pytest

import minigrad
from minigrad.preprocessing import sequence, text
from minigrad.utils.pipeline import Dataset

TEXTS = ["The cat, the dog.", "the mouse", ""]


def test_a_tokenizer_numbers_words_by_their_frequency():
    tokenizer = text.Tokenizer(num_words=4, oov_token="<OOV>")
    tokenizer.fit_on_texts(TEXTS)
    assert tokenizer.word_index == {"<OOV>": 1, "the": 2, "cat": 3, "dog": 4, "mouse": 5}
    assert tokenizer.texts_to_sequences(["the dog cat", "a"]) == [[2, 1, 3], [1]]
    again = text.tokenizer_from_json(tokenizer.to_json())
    assert again.sequences_to_texts([[2, 3, 4, 9]]) == ["the cat <OOV> <OOV>"]
    np.testing.assert_array_equal(again.texts_to_matrix(["the the cat"], "count"), [[0, 0, 2, 1]])


@pytest.mark.parametrize("call, words", [
    (lambda: text.Tokenizer().fit_on_texts("one text"), "a list of texts"),
    (lambda: text.Tokenizer().fit_on_texts([3.5]), "expects texts, got 3.5"),
    (lambda: text.Tokenizer().texts_to_matrix(TEXTS), "num_words"),
    (lambda: text.Tokenizer(num_words=3).sequences_to_matrix([[1]], "tf-idf"), "'tfidf'"),
    (lambda: text.Tokenizer(words=3), "words"),
    (lambda: sequence.pad_sequences([1, 2]), "element 0 is no sequence"),
    (lambda: sequence.pad_sequences([[1], [[2]]]), "elements of sequence 1 have shape"),
    (lambda: sequence.pad_sequences([[1]], padding="left"), "padding must be 'pre' or 'post'"),
    (lambda: sequence.pad_sequences([]), "give maxlen"),
    (lambda: minigrad.utils.timeseries_dataset_from_array(range(5), None, 2, sampling_rate=0), "sampling_rate"),
    (lambda: Dataset.from_tensor_slices((np.ones(3), np.ones(2))), "equally many rows"),
    (lambda: Dataset.range(3).batch(0), "batch_size must be an int of at least 1"),
])  # fmt: skip
def test_what_does_not_fit_says_so(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_sequences_of_different_lengths_name_pad_sequences():
    model = minigrad.Sequential([minigrad.layers.Dense(1)])
    model.compile("sgd", "mse")
    for x in ([[1, 2], [3]], np.array([[1, 2], [3]], object)):
        with pytest.raises(ValueError, match="pad_sequences"):
            model.fit(x, np.ones(2), verbose=0)


def elements(data):
    return [tuple(np.asarray(part).tolist() for part in e) if isinstance(e, tuple) else np.asarray(e).tolist() for e in data]


def test_a_dataset_is_lazy_and_read_anew():
    read = []
    data = Dataset.from_tensor_slices((np.arange(5.0), ["a", "b", "c", "d", "e"])).map(lambda x, t: (read.append(1), (x * 2, t))[1])
    assert len(data.batch(2)) == 3 and not read
    assert elements(data.batch(2))[-1] == ([8.0], [b"e"]) and len(read) == 5
    kept = data.cache()
    assert elements(kept) == elements(kept) and len(read) == 10
    assert elements(kept.batch(2).unbatch().skip(3)) == [(6.0, b"d"), (8.0, b"e")] == elements(kept)[3:]
    numbers = Dataset.range(6)
    assert elements(numbers.filter(lambda x: x > 3).concatenate(numbers.take(1))) == [4, 5, 0]
    assert elements(numbers.repeat().take(8)) == [0, 1, 2, 3, 4, 5, 0, 1]
    assert int(numbers.repeat().cardinality()) == -1 and int(numbers.filter(bool).cardinality()) == -2
    assert elements(Dataset.zip((numbers, numbers.skip(1))).enumerate().take(1)) == [(0, [0, 1])]


def test_a_dataset_shuffles_anew_in_each_pass():
    one, other = (Dataset.range(40).shuffle(10, seed=3) for _ in range(2))
    first, second = elements(one), elements(one)
    assert first != second and sorted(first) == sorted(second) == list(range(40))
    assert [first, second] == [elements(other), elements(other)]
    assert max(value - place for place, value in enumerate(first)) < 10
    still = Dataset.range(9).shuffle(9, seed=1, reshuffle_each_iteration=False)
    assert elements(still) == elements(still)


def test_windows_train_a_model():
    series = np.sin(np.arange(60) / 3).astype("float32")
    data = minigrad.utils.timeseries_dataset_from_array(series[:-4], series[4:], 4, batch_size=8, shuffle=True, seed=0)
    model = minigrad.Sequential([minigrad.layers.Dense(1)])
    model.compile(minigrad.optimizers.Adam(0.05), "mse")
    losses = model.fit(data, epochs=12, validation_data=data, verbose=0).history["val_loss"]
    assert losses[-1] < 0.2 * losses[0]
    assert model.predict(data, verbose=0).shape == (53, 1)


def test_texts_in_folders_keep_their_labels(tmp_path, capsys):
    for name, i in itertools.product(("neg", "pos"), range(5)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{i}.txt").write_text(f"{name} {i}")
    train, val = minigrad.utils.text_dataset_from_directory(tmp_path, batch_size=3, seed=1, validation_split=0.2, subset="both")
    assert "Found 10 files belonging to 2 classes." in capsys.readouterr().out and train.class_names == ["neg", "pos"]
    pairs = [(t, int(label)) for texts, labels in train for t, label in zip(texts.numpy(), labels)]
    assert len(pairs) == 8 and all(t.startswith(train.class_names[label].encode()) for t, label in pairs)
    seen = [t for texts, _ in val for t in texts.numpy()]
    assert len(val) == 1 and {t for t, _ in pairs} | set(seen) == {f"{n} {i}".encode() for n in ("neg", "pos") for i in range(5)}
