"""TextVectorization: texts become rows of integers, or of counts."""

import itertools

import numpy as np

from minigrad.checks import is_int
from minigrad.layers.arguments import refused
from minigrad.layers.base import registry
from minigrad.layers.vocabulary import MODE, MOST, SPARSE, Vocabulary
from minigrad.ops.shaping import constant_tensor
from minigrad.texts import StringArray, encode, strings

_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")
PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"


class TextVectorization(Vocabulary):
    """The words of each text as indices in a vocabulary: n texts -> (n, words) integers, or (n, tokens) encoded.

    Index 0 is padding and 1 is any unknown word. `adapt(texts)` finds the vocabulary, the most frequent words first.

    Args:
        max_tokens: the largest size of the vocabulary, with special tokens; None: any.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of the texts (a
            StringArray of bytes). As in TensorFlow, only ASCII letters are lowered.
        split: "whitespace" (that of ASCII), "character", None, or a function of the texts that returns their words.
        ngrams: an int n: sequences of 1, 2, ... n words are tokens, too; or a tuple of the wanted lengths.
        output_mode: "int", "multi_hot", "count" or "tf_idf": see StringLookup.
        output_sequence_length: how long rows of integers are: longer ones are cut, shorter ones are filled up with 0.
            By default they are as long as the longest text of the call; for `fit` and `predict` on arrays, of all.
        pad_to_max_tokens: whether encoded rows have max_tokens columns.
        vocabulary, idf_weights: given, in place of `adapt`: see StringLookup.
        sparse, ragged: refused.

    Texts can't be in tensors: in a model, the layer stands directly behind an Input(shape=(1,), dtype="string"), and
    the data is converted before the step begins.

    >>> layer = TextVectorization(output_sequence_length=3)
    >>> layer.adapt(["a cat", "the cat"])
    >>> layer(["The cat!", "a dog"])
    Tensor([[3, 2, 0],
            [4, 1, 0]], dtype=int64)
    """

    _input_dtype = "string"
    num_oov_indices, mask_token, oov_token, invert = 1, "", "[UNK]", False

    arguments = {
        "max_tokens": MOST, "standardize": "lower_and_strip_punctuation", "split": "whitespace", "ngrams": None,
        "output_mode": MODE, "output_sequence_length": None, "pad_to_max_tokens": False, "vocabulary": None,
        "idf_weights": None, "sparse": SPARSE, "ragged": refused("has no ragged tensors", False, True),
        "encoding": "utf-8",
    }  # fmt: skip

    def _settle(self):
        owner, length = self._owner, self.output_sequence_length
        for name, known in (("standardize", _STANDARDIZE), ("split", _SPLIT)):
            value = getattr(self, name)
            if isinstance(value, dict):
                setattr(self, name, registry.deserialize(value))
            elif value is not None and value not in known and not callable(value):
                raise ValueError(f"{owner}: {name} must be one of {known}, None or a function; got {value!r}.")
        ngrams, self.ngrams = self.ngrams, tuple(self.ngrams) if isinstance(self.ngrams, list) else self.ngrams
        several = self.ngrams if isinstance(self.ngrams, tuple) else (self.ngrams,)
        if ngrams is not None and not all(is_int(n, 1) for n in several):
            raise ValueError(f"{owner}: ngrams must be a positive int, a tuple of such or None; got {ngrams!r}.")
        if length is not None and (self.output_mode != "int" or not is_int(length, 1)):
            raise ValueError(
                f"{owner}: output_sequence_length must be a positive int, and is for output_mode='int' only; got "
                f"{length!r} and {self.output_mode!r}."
            )

    _as_input = Vocabulary._as_texts

    # ---- from texts to lists of words

    def _standardized(self, texts):
        if callable(self.standardize):
            return strings(self.standardize(texts))
        is_lower = self.standardize in ("lower", "lower_and_strip_punctuation")
        dropped = PUNCTUATION if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation") else b""
        found = np.empty(texts.size, object)
        found[:] = [(text.lower() if is_lower else text).translate(None, dropped) for text in texts.ravel().tolist()]
        return found.reshape(texts.shape).view(StringArray)

    def _words(self, texts):
        """(a list of words per text, the shape of the texts)."""
        texts = self._standardized(strings(self._as_input(texts)))
        if self.split is None:
            width = texts.shape[-1] if texts.ndim else 1
            rows = texts.reshape(-1, width).tolist() if width else []
            return [self._with_ngrams(row) for row in rows], texts.shape[:-1]
        if texts.ndim > 1:
            if texts.shape[-1] != 1:
                raise ValueError(
                    f"{self._owner} expects one text per row, an array of shape (n,) or (n, 1); got {texts.shape}."
                )
            texts = texts.reshape(texts.shape[:-1])
        if callable(self.split):
            rows = self.split(texts)
            rows = [rows] if not texts.ndim else rows
            rows = [[encode(word) for word in np.asarray(row, object).ravel().tolist()] for row in rows]
        elif self.split == "character":
            rows = [[c.encode() for c in text.decode("utf-8", "replace")] for text in texts.ravel().tolist()]
        else:
            rows = [text.split() for text in texts.ravel().tolist()]
        return [self._with_ngrams(row) for row in rows], texts.shape

    def _with_ngrams(self, words):
        if self.ngrams is None:
            return words
        lengths = self.ngrams if isinstance(self.ngrams, tuple) else range(1, min(self.ngrams, len(words)) + 1)
        return [b" ".join(words[i : i + n]) for n in lengths for i in range(len(words) - n + 1)]

    def _documents_in(self, data, each_is_a_row):
        if each_is_a_row and self.split is None:
            data = strings(list(data) if isinstance(data, (list, tuple)) else data)
            data = data[:, None] if data.ndim == 1 else data
        return self._words(data)[0]

    # ---- from words to numbers

    def call(self, inputs):
        rows, shape = self._words(inputs)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        indices = self._indices(list(itertools.chain.from_iterable(rows)))
        which = np.repeat(np.arange(len(rows)), lengths)
        if self.output_mode not in ("int", "one_hot"):
            return constant_tensor(self._counted(which, indices, shape))
        longest = int(lengths.max(initial=0))
        if self.output_mode == "one_hot" and lengths.size and longest > lengths.min():
            raise ValueError(
                f"{self._owner}: output_mode='one_hot' needs texts of equally many words, since minigrad has no ragged "
                "tensors."
            )
        width = self.output_sequence_length or longest
        place = np.arange(len(which)) - np.repeat(lengths.cumsum() - lengths, lengths)
        kept, found = place < width, np.zeros((len(rows), width), np.int64)
        found[which[kept], place[kept]] = indices[kept]
        is_one = self.split is None and self.output_sequence_length is None and not np.ndim(inputs)
        found = found.reshape(() if is_one and self.output_mode == "int" else (*shape, width))
        return constant_tensor(self._encoded(found))

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if self.output_mode == "int":
            if self.split is None and self.output_sequence_length is None:
                return shape
            return (shape[0], self.output_sequence_length)
        shape = (shape if len(shape) > 1 else (*shape, 1)) if self.split is None else (*shape[:1], None)
        return super().compute_output_shape(shape)

    # ---- files: Keras keeps a StringLookup in the layer, and writes both

    def get_build_config(self):
        return super(Vocabulary, self).get_build_config()

    _keras_layers = ("_lookup_layer/",)  # the paths of layers that Keras has in this one, with the same variables

    def _assets(self):
        found = super()._assets()
        return found | {f"{self._keras_layers[0]}{name}": content for name, content in found.items()}
