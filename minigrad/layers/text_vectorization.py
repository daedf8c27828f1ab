"""TextVectorization: texts become rows of integers, or of counts."""

import numpy as np

from minigrad.checks import is_int
from minigrad.graph import Symbol
from minigrad.layers.base import registry
from minigrad.layers.vocabulary import Vocabulary, had_vocabulary, refuse
from minigrad.ops.shaping import constant_tensor
from minigrad.texts import StringArray, encode, strings

_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")
PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"


@registry.register()
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
    num_oov_indices, mask_token, oov_token, invert, salt = 1, "", "[UNK]", False, None

    def __init__(
        self, max_tokens=None, standardize="lower_and_strip_punctuation", split="whitespace", ngrams=None,
        output_mode="int", output_sequence_length=None, pad_to_max_tokens=False, vocabulary=None, idf_weights=None,
        sparse=False, ragged=False, encoding="utf-8", **kwargs,
    ):
        told = had_vocabulary(kwargs)
        super().__init__(**kwargs)
        self._keep(locals(), but=["told", "vocabulary"])
        owner = f"TextVectorization {self.name!r}"
        refuse(self, ragged=ragged)
        for name, known in (("standardize", _STANDARDIZE), ("split", _SPLIT)):
            value = getattr(self, name)
            if isinstance(value, dict):
                setattr(self, name, registry.deserialize(value))
            elif value is not None and value not in known and not callable(value):
                raise ValueError(f"{owner}: {name} must be one of {known}, None or a function; got {value!r}.")
        self.ngrams = tuple(ngrams) if isinstance(ngrams, list) else ngrams
        several = self.ngrams if isinstance(self.ngrams, tuple) else (self.ngrams,)
        if ngrams is not None and not all(is_int(n, 1) for n in several):
            raise ValueError(f"{owner}: ngrams must be a positive int, a tuple of such or None; got {ngrams!r}.")
        if output_sequence_length is not None and (output_mode != "int" or not is_int(output_sequence_length, 1)):
            raise ValueError(
                f"{owner}: output_sequence_length must be a positive int, and is for output_mode='int' only; got "
                f"{output_sequence_length!r} and {output_mode!r}."
            )
        self._set_up_vocabulary(vocabulary, *told)

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
        texts = self._standardized(self._as_input(texts))
        if self.split is None:
            width = texts.shape[-1] if texts.ndim else 1
            rows = texts.reshape(-1, width).tolist() if width else []
            return [self._with_ngrams(row) for row in rows], texts.shape[:-1]
        if texts.ndim > 1:
            if texts.shape[-1] != 1:
                raise ValueError(
                    f"TextVectorization {self.name!r} expects one text per row, an array of shape (n,) or (n, 1); got "
                    f"{texts.shape}."
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

    takes_texts = True

    def numbers_of(self, texts):
        """The output for texts as an array; a model calls it on the data of an input that stands before the layer."""
        rows, shape = self._words(texts)
        index = {b"": 0 if self.output_mode == "int" else -1}
        find, unknown = (self._learnt.index | index).get, self._first
        found = [[find(word, unknown) for word in row] for row in rows]
        if self.output_mode == "int":
            width = self.output_sequence_length or max(map(len, found), default=0)
            found = [row[:width] + [0] * (width - len(row)) for row in found]
            shape = (*shape, width)
            if self.split is None and self.output_sequence_length is None and not np.ndim(strings(texts)):
                shape = ()
            return self._encoded(found, shape)
        if self.output_mode == "one_hot":
            shape = (*shape, len(found[0]) if found else 0)
            if any(len(row) != shape[-1] for row in found):
                raise ValueError(
                    f"TextVectorization {self.name!r}: output_mode='one_hot' needs texts of equally many words, "
                    "since minigrad has no ragged tensors."
                )
            return self._encoded(found, shape)
        return self._encoded(found, (*shape, None))

    def call(self, inputs):
        return constant_tensor(self.numbers_of(inputs))

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if self.output_mode == "int":
            if self.split is None and self.output_sequence_length is None:
                return shape
            return (shape[0], self.output_sequence_length)
        shape = (shape if len(shape) > 1 else (*shape, 1)) if self.split is None else (*shape[:1], None)
        return self._encoded_shape(shape)

    def compute_output_spec(self, inputs):
        self._require_texts(inputs)
        self._build_for(inputs)
        return Symbol(self.compute_output_shape(inputs.shape), "int64" if self.output_mode == "int" else self.dtype, "")

    # ---- files: Keras keeps a StringLookup in the layer, and writes both

    def get_build_config(self):
        return super(Vocabulary, self).get_build_config()

    _keras_layers = ("_lookup_layer/",)  # the paths of layers that Keras has in this one, with the same variables

    def _assets(self):
        found = super()._assets()
        return found | {f"{self._keras_layers[0]}{name}": content for name, content in found.items()}
