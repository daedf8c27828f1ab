"""Texts as sequences of integers: the Tokenizer of Keras 1 and 2."""

import collections
import hashlib
import json

import numpy as np

from minigrad.checks import warn
from minigrad.spelling import explaining

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_MODES = ("binary", "count", "freq", "tfidf")


@explaining
def text_to_word_sequence(input_text, filters=FILTERS, lower=True, split=" "):
    """The words of a text, a list: the parts between `split`, which also takes the place of each of the `filters`.

    >>> text_to_word_sequence("The cat, the dog.")
    ['the', 'cat', 'the', 'dog']
    """
    text = input_text.lower() if lower else input_text
    text = text.translate(str.maketrans(dict.fromkeys(filters, split)))
    return [word for word in text.split(split) if word]


@explaining
def one_hot(input_text, n, filters=FILTERS, lower=True, split=" ", analyzer=None):
    """`hashing_trick` with Python's `hash`, which differs from process to process: integers from 1 to n - 1."""
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


@explaining
def hashing_trick(text, n, hash_function=None, filters=FILTERS, lower=True, split=" ", analyzer=None):
    """An integer from 1 to n - 1 for each word of a text: hash(word) mod (n - 1) + 1. Different words may share one.

    Args:
        hash_function: a function from a word to an integer; "md5", which is the same in every process; or None, which
            is Python's `hash`.
        analyzer: a function from a text to its words, in place of `text_to_word_sequence`.
    """
    if hash_function == "md5":
        hash_function = _md5
    words = text_to_word_sequence(text, filters, lower, split) if analyzer is None else analyzer(text)
    return [(hash_function or hash)(word) % (n - 1) + 1 for word in words]


def _md5(word):
    return int(hashlib.md5(word.encode()).hexdigest(), 16)


class Tokenizer:
    """Numbers the words of texts: 1 is the most frequent word, 0 is none, and is free for padding.

    Args:
        num_words: only the num_words - 1 most frequent words are given back; None: all.
        filters, lower, split: see `text_to_word_sequence`.
        char_level: whether the words are the single characters.
        oov_token: a word, with number 1, in the place of words that are unknown or not frequent enough. None leaves
            such words out.
        analyzer: a function from a text to its words, in place of `text_to_word_sequence`.
        document_count: the number of texts seen already.

    A text may also be a list of words. What was learnt is in these attributes: `word_index` {word: number},
    `index_word` {number: word}, `word_counts` {word: how often}, `word_docs` {word: in how many texts}, `index_docs`
    {number: in how many texts}, `document_count`.

    >>> tokenizer = Tokenizer(num_words=1000, oov_token="<OOV>")
    >>> tokenizer.fit_on_texts(texts)
    >>> x = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=100)
    """

    def __init__(
        self, num_words=None, filters=FILTERS, lower=True, split=" ", char_level=False, oov_token=None, analyzer=None,
        **kwargs,
    ):
        if "nb_words" in kwargs:
            warn("Tokenizer: nb_words is the old name of num_words.")
            num_words = kwargs.pop("nb_words")
        self.document_count = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Tokenizer got unrecognized keyword arguments: {', '.join(kwargs)}.")
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts = collections.OrderedDict()
        self.word_docs, self.index_docs = collections.defaultdict(int), collections.defaultdict(int)
        self.word_index, self.index_word = {}, {}

    def _words(self, text):
        """The words of a text: of a list, its elements; on the level of characters, these."""
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if not isinstance(text, str):
            raise TypeError(f"Tokenizer expects texts, got {text!r} ({type(text).__name__}) as one of them.")
        if self.char_level:
            return text.lower() if self.lower else text
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts):
        """Count the words of a list (or generator) of texts, and number them. Words of earlier calls count, too."""
        _refuse_one_text(texts)
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        # Of equally frequent words, that which was seen first comes first.
        frequent = sorted(self.word_counts, key=self.word_counts.get, reverse=True)
        known = frequent if self.oov_token is None else [self.oov_token, *frequent]
        self.word_index = {word: number for number, word in enumerate(known, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences):
        """Count in how many of the sequences of numbers each number is, for the mode "tfidf"."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts):
        """A list of numbers for each text."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts):
        """Yield a list of numbers for each text."""
        _refuse_one_text(texts)
        unknown = self.word_index.get(self.oov_token)
        for text in texts:
            numbers = (self._numbered(self.word_index.get(word), unknown) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences):
        """A text for each list of numbers: its words with spaces between them."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences):
        """Yield a text for each list of numbers."""
        unknown = self.word_index.get(self.oov_token)
        for sequence in sequences:
            numbers = (self._numbered(number if number in self.index_word else None, unknown) for number in sequence)
            yield " ".join(self.index_word[number] for number in numbers if number is not None)

    def _numbered(self, number, unknown):
        """The number, or `unknown` if it is None or not that of a frequent word."""
        is_frequent = number is not None and not (self.num_words and number >= self.num_words)
        return number if is_frequent else unknown

    def texts_to_matrix(self, texts, mode="binary"):
        """`sequences_to_matrix` of the numbers of the texts."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences, mode="binary"):
        """An array with a row per sequence and a column per number, from 0 to num_words - 1.

        Args:
            mode: "binary": 1 for each number in the sequence; "count": how often it is there, c; "freq": c divided by
                the length of the sequence; "tfidf": (1 + ln c) ln(1 + n / (1 + d)) of a number that is in d of n
                texts.

        Raises:
            ValueError: another mode; or nothing has been fitted that tells the number of columns, or n.
        """
        if mode not in _MODES:
            raise ValueError(f"Tokenizer: mode must be one of {_MODES}, got {mode!r}.")
        if not self.num_words and not self.word_index:
            raise ValueError("Tokenizer: give num_words or call fit_on_texts first: how many columns are there?")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Tokenizer: mode 'tfidf' needs the counts of texts: call fit_on_texts first.")
        width = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences):
            for number, count in collections.Counter(sequence).items():
                if number < width:
                    row[number] = self._weight(mode, number, count, len(sequence))
        return matrix

    def _weight(self, mode, number, count, length):
        if mode == "tfidf":
            return (1 + np.log(count)) * np.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))
        return {"binary": 1, "count": count, "freq": count / length}[mode]

    def get_config(self):
        """The arguments and what was learnt, JSON-able. The dicts are JSON texts in it, as in Keras."""
        plain = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        learnt = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        config = {name: getattr(self, name) for name in plain}
        return config | {name: json.dumps(getattr(self, name)) for name in learnt}

    def to_json(self, **kwargs):
        """The tokenizer as JSON, for `tokenizer_from_json`; kwargs: of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


@explaining
def tokenizer_from_json(json_string):
    """The Tokenizer that `to_json` described, here or in Keras."""
    config = dict(json.loads(json_string)["config"])
    learnt = {name: json.loads(config.pop(name)) for name in ("word_counts", "word_docs", "word_index")}
    for name in ("index_docs", "index_word"):  # JSON has made strings of these numbers
        learnt[name] = {int(number): value for number, value in json.loads(config.pop(name)).items()}
    tokenizer = Tokenizer(**config)
    vars(tokenizer).update(learnt)
    return tokenizer


def _refuse_one_text(texts):
    if isinstance(texts, str):
        raise TypeError(f"Tokenizer expects a list of texts; a single text goes in a list: [{texts[:20]!r}].")
