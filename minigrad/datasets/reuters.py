"""Reuters: 11,228 newswires of 46 topics, as lists of words' numbers."""

import numpy as np

from minigrad.datasets import reading, splitting

__all__ = ["get_label_names", "get_word_index", "load_data"]

_TOPICS = """
    cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude
    nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel
    rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead
"""


def load_data(
    path="reuters.npz", num_words=None, skip_top=0, maxlen=None, test_split=0.2, seed=113, start_char=1, oov_char=2,
    index_from=3, **kwargs,
):
    """(x_train, y_train), (x_test, y_test): arrays of lists of integers, and of topics, 0 to 45.

    The arguments are those of `imdb.load_data`; the last `test_split` of the texts are for the test.

    Raises:
        FileNotFoundError: the file is not there; nothing is downloaded.
        ValueError: it holds something else; `maxlen` leaves nothing.
    """
    num_words = splitting.older_name("reuters", kwargs, num_words)
    place = reading.find("reuters.npz", path)
    texts, labels = reading.npz(place, "x", "y")
    generator = np.random.RandomState(seed)
    texts, labels = splitting.shuffled(generator, splitting.checked(texts, labels, place), labels)
    texts, labels = splitting.shorter(maxlen, splitting.numbered(texts, start_char, index_from), labels)
    texts = splitting.common(texts, num_words, skip_top, oov_char)
    count = splitting.trained(len(texts), test_split)
    x_train, x_test = np.array(texts[:count], object), np.array(texts[count:], object)
    return (x_train, labels[:count]), (x_test, labels[count:])


def get_word_index(path="reuters_word_index.json"):
    """The dict from words to their ranks, from 1 on; in the data, `index_from` is added to them."""
    return reading.word_index(reading.find("reuters_word_index.json", path))


def get_label_names():
    """The names of the 46 topics, in the order of their labels."""
    return tuple(_TOPICS.split())
