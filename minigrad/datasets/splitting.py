"""Shuffles and splits data sets, and prepares texts, with the same random numbers as Keras, so with its results."""

import numpy as np

from minigrad.checks import warn

_MOST = 1 << 26  # words in all texts together; IMDB has six million


def shuffled(generator, *arrays):
    """The arrays with their rows in a new order, the same for all, which a numpy.random.RandomState draws."""
    order = np.arange(len(arrays[0]))
    generator.shuffle(order)
    return [array[order] for array in arrays]


def trained(count, test_split):
    """How many of `count` rows are for the training, if the share `test_split` is for the test."""
    if not 0 <= test_split < 1:
        raise ValueError(f"load_data: test_split must be at least 0 and less than 1, got {test_split!r}.")
    return int(count * (1 - test_split))


def table(x, y, test_split, seed):
    """(x_train, y_train), (x_test, y_test): the rows shuffled, the last `test_split` of them for the test."""
    count = trained(len(x), test_split)
    x, y = shuffled(np.random.RandomState(seed), x, y)
    return (x[:count], y[:count]), (x[count:], y[count:])


def older_name(dataset, keywords, num_words):
    """`num_words`, or the keyword `nb_words`, as Keras 1 called it. Other keywords are an error."""
    if "nb_words" in keywords:
        warn(f"{dataset}.load_data: nb_words is called num_words today.")
        num_words = keywords.pop("nb_words")
    if keywords:
        raise TypeError(f"{dataset}.load_data takes no argument {', '.join(keywords)}.")
    return num_words


def numbered(texts, start_char, index_from):
    """The texts with `index_from` added to each word's number, and `start_char` in front."""
    first = [] if start_char is None else [start_char]
    return [first + [word + (index_from or 0) for word in text] for text in texts]


def shorter(maxlen, texts, labels):
    """The texts of less than `maxlen` words, and their labels."""
    if not maxlen:
        return texts, labels
    kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
    if not kept:
        raise ValueError(f"No text has less than maxlen={maxlen} words.")
    return [texts[i] for i in kept], labels[kept]


def common(texts, num_words, skip_top, oov_char):
    """The texts with `oov_char` for the words below `skip_top` and from `num_words` on; None leaves these words out."""
    if not num_words:
        num_words = max((max(text) for text in texts if text), default=0)
    if oov_char is None:
        return [[word for word in text if skip_top <= word < num_words] for text in texts]
    return [[word if skip_top <= word < num_words else oov_char for word in text] for text in texts]


def checked(texts, labels, path):
    """The texts, which must be lists of whole numbers with a label each, and not too long all together."""
    fits = texts.ndim == labels.ndim == 1 and len(texts) == len(labels) and labels.dtype.kind in "iu"
    if not fits or not all(type(text) is list for text in texts) or sum(map(len, texts)) > _MOST:
        raise ValueError(f"{path} can't be read: it must hold lists of {_MOST:,} numbers at most, and a label each.")
    if not all(type(word) is int for text in texts for word in text):
        raise ValueError(f"{path} can't be read: a text is a list of whole numbers.")
    return texts
