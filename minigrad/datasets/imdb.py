"""IMDB: 50,000 reviews of films, as lists of words' numbers, and whether they are positive."""

import numpy as np

from minigrad.datasets import reading, splitting

__all__ = ["get_word_index", "load_data"]


def load_data(
    path="imdb.npz", num_words=None, skip_top=0, maxlen=None, seed=113, start_char=1, oov_char=2, index_from=3, **kwargs
):
    """(x_train, y_train), (x_test, y_test): arrays of lists of integers, and of labels 0 and 1.

    Words are numbered by how often they occur: `index_from` + 1 is the most frequent one.

    Args:
        path: the file, in Keras' folder ~/.keras/datasets or anywhere.
        num_words, skip_top: numbers from `num_words` on, and below `skip_top`, become `oov_char` (None: are left out).
        maxlen: only reviews of less than that many words are kept.
        seed: of the order of the reviews.
        start_char: what each review begins with; None for nothing.

    Raises:
        FileNotFoundError: the file is not there; nothing is downloaded.
        ValueError: it holds something else; `maxlen` leaves nothing.
    """
    num_words = splitting.older_name("imdb", kwargs, num_words)
    place = reading.find("imdb.npz", path)
    found = reading.npz(place, "x_train", "y_train", "x_test", "y_test")
    generator, parts = np.random.RandomState(seed), []
    for texts, labels in (found[:2], found[2:]):
        texts, labels = splitting.shuffled(generator, splitting.checked(texts, labels, place), labels)
        parts.append(splitting.shorter(maxlen, splitting.numbered(texts, start_char, index_from), labels))
    (x_train, y_train), (x_test, y_test) = parts
    x = splitting.common(x_train + x_test, num_words, skip_top, oov_char)
    x_train, x_test = (np.array(texts, object) for texts in (x[: len(x_train)], x[len(x_train) :]))
    return (x_train, y_train), (x_test, y_test)


def get_word_index(path="imdb_word_index.json"):
    """The dict from words to their ranks, from 1 on; in the data, `index_from` is added to them."""
    return reading.word_index(reading.find("imdb_word_index.json", path))
