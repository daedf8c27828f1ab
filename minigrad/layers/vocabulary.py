"""The vocabulary of a layer: which token has which index, learned by `adapt` or given; and its files."""

import collections
import itertools
import math
import os
import types

import numpy as np

from minigrad import config
from minigrad.checks import is_int
from minigrad.data import is_array_like
from minigrad.graph import TEXTS, Symbol
from minigrad.layers.arguments import checked, refused, whole
from minigrad.layers.base import Layer
from minigrad.tables import values_of
from minigrad.tensor import Tensor
from minigrad.texts import decode, each, encode, strings, unencoded
from minigrad.trees import mapped

SPARSE = refused("has no sparse tensors", False, is_kept=True)
_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
FILE = "vocabulary.txt"


def checked_mode(owner, mode, *modes):
    """Today's name of an output mode, which must be one of `modes`."""
    mode = _OLD_MODES.get(mode, mode)
    if mode not in modes:
        raise ValueError(f"{owner}: output_mode must be one of {modes}, got {mode!r}.")
    return mode


def _output_mode(layer, name, *modes):
    setattr(layer, name, checked_mode(layer._owner, getattr(layer, name), *modes))


def _salt(layer, name):
    """Check the salt of a hash, an int or two of them, and keep a list of two."""
    salt = getattr(layer, name)
    pair = [salt, salt] if is_int(salt) else list(salt) if isinstance(salt, (tuple, list)) else []
    if salt is not None and len(pair) != 2:
        raise ValueError(f"{layer._owner}: {name} must be an int or two of them, got {salt!r}.")
    setattr(layer, name, pair or None)


def output_mode(*known):
    """The argument `output_mode`, which must be one of these words; by default it is the first."""
    return checked(_output_mode, known[0], *known)


SALT, MOST, UNKNOWN = checked(_salt, None), checked(whole, None, 2, True), checked(whole, 1, 0)
MODE = output_mode("int", "one_hot", "multi_hot", "count", "tf_idf")  # of a vocabulary


def batches(layer, data, steps):
    """The batches of the data for `adapt`: the data itself if it is all at once, or what an iterable yields."""
    data = values_of(data)
    if is_array_like(data):
        return [(data, True)]
    if not hasattr(data, "__iter__") or isinstance(data, (str, bytes)):
        raise TypeError(f"{layer._owner}: adapt expects a list, an array or an iterable of batches, got {data!r}.")
    return ((batch, False) for batch in itertools.islice(data, steps))


class Categories(Layer, is_member=False):
    """Base class of layers whose output is integers (output_mode="int"), or rows of `_depth` columns."""

    _has_no_state = _makes_indexes = True

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if self.output_mode == "int":
            return shape
        is_column = len(shape) > 1 and shape[-1] == 1
        return (*(shape if self.output_mode == "one_hot" and not is_column else shape[:-1]), self._depth)

    def compute_output_spec(self, inputs, *args, **kwargs):
        self._build_for(inputs)
        shape = self.compute_output_shape(mapped(lambda one: one.shape, inputs))
        return Symbol(shape, "int64" if self.output_mode == "int" else self.dtype, "")


class Vocabulary(Categories, is_member=False):
    """Base class of layers that put tokens into a vocabulary.

    Index 0 is that of `mask_token`, if there is one and output_mode is "int"; the next `num_oov_indices` are those of
    tokens that are not in the vocabulary; then come its tokens. A subclass converts data: see `StringLookup`.
    """

    _reads_values = True

    def _set_up(self, given):
        """Keep and check the arguments, and take the vocabulary. A config tells whether there is one, and its size."""
        vocabulary, kwargs = given.pop("vocabulary"), given["kwargs"]
        for name in ("oov_method", "vocabulary_dtype"):
            kwargs.pop(name, None)  # configs of all lookups have them
        was_given, size = (kwargs.pop(name, None) for name in ("has_input_vocabulary", "vocabulary_size"))
        super()._set_up(given)
        owner = self._owner
        if self.pad_to_max_tokens and self.max_tokens is None:
            raise ValueError(f"{owner}: pad_to_max_tokens=True needs max_tokens.")
        if self.invert and self.output_mode != "int":
            raise ValueError(f"{owner}: invert=True needs output_mode='int', got {self.output_mode!r}.")
        if self.idf_weights is not None and self.output_mode != "tf_idf":
            raise ValueError(f"{owner}: idf_weights are for output_mode='tf_idf', got {self.output_mode!r}.")
        # In an object of its own, since lists and dicts among the attributes of a layer are searched for layers.
        self._learnt = types.SimpleNamespace(tokens=[], index=None, table=None)
        self._learnt.given = None if isinstance(vocabulary, str) else vocabulary
        self._was_given = vocabulary is not None if was_given is None else was_given
        self._idf, self._promised = None, size
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, self.idf_weights)

    @property
    def _first(self):
        """The first index of unknown tokens."""
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _special(self):
        return [self.mask_token] * self._first + [self.oov_token] * self.num_oov_indices

    @property
    def _start(self):
        """The first index of tokens of the vocabulary: how many special tokens there are."""
        return self._first + self.num_oov_indices

    def compute_output_spec(self, inputs, *args, **kwargs):
        if self._input_dtype == TEXTS and getattr(inputs, "dtype", None) != TEXTS:
            raise ValueError(
                f"{self._owner} takes texts: in a model it stands directly behind Input(shape=(1,), dtype='string'); "
                f"got {inputs!r}."
            )
        return super().compute_output_spec(inputs, *args, **kwargs)

    def _as_texts(self, x):
        if isinstance(x, Tensor):
            raise ValueError(f"{self._owner} expects texts, got a tensor of numbers of shape {x.shape}.")
        return unencoded(x)

    def _as_tokens(self, values):
        """Tokens as a list. Those of texts are bytes."""
        return strings(list(values)).ravel().tolist()

    _as_token = staticmethod(encode)

    # ---- the vocabulary

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens, a list in the order of their indices; without special tokens the indices are others."""
        tokens = [decode(token) for token in self._learnt.tokens]
        return [*self._special, *tokens] if include_special_tokens else tokens

    def vocabulary_size(self):
        """The number of indices, those of special tokens included."""
        return self._start + len(self._learnt.tokens)

    def set_vocabulary(self, vocabulary, idf_weights=None):
        """Take this vocabulary, in place of the present one.

        Args:
            vocabulary: a list or array of tokens, with all special tokens in front or with none; or the path of a file
                with a token per line.
            idf_weights: for output_mode="tf_idf", a weight per token. Unknown tokens get the mean.

        Raises:
            ValueError: a token is there twice, a special token is at another place, or there are too many tokens.
        """
        owner = self._owner
        if (idf_weights is not None) != (self.output_mode == "tf_idf"):
            raise ValueError(f"{owner}: idf_weights must be given with output_mode='tf_idf', and only then.")
        if isinstance(vocabulary, str):
            given, has_special = list(map(self._as_token, self._read(vocabulary))), False
        else:
            given = self._as_tokens(vocabulary)
            start = [decode(token) for token in given[: self._start]]
            has_special = 0 < self._start == len(start) and start == [decode(token) for token in self._special]
        if not given:
            raise ValueError(f"{owner}: the vocabulary is empty.")
        tokens = given[self._start :] if has_special else given
        self._refuse_doubles(tokens)
        for token in {self.mask_token, self.oov_token if self.invert else None} - {None}:
            if self._as_tokens([token])[0] in tokens:
                raise ValueError(
                    f"{owner}: the special token {token!r} is among the others. Leave special tokens out, or begin "
                    f"with all of them: {self._special}."
                )
        size = self._start + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(f"{owner}: the vocabulary has {size} tokens, more than max_tokens={self.max_tokens}.")
        if idf_weights is not None:
            idf = np.asarray(idf_weights, config.floatx())
            if idf.shape != (len(given),):
                raise ValueError(f"{owner}: idf_weights must be one per token, {len(given)}; got shape {idf.shape}.")
            idf = idf if has_special else self._padded(idf)
        self._take(tokens, None if idf_weights is None else idf)

    def _refuse_doubles(self, tokens):
        if len(set(tokens)) < len(tokens):
            twice = [decode(token) for token, count in collections.Counter(tokens).items() if count > 1]
            raise ValueError(f"{self._owner}: the vocabulary has some tokens twice: {twice[:10]}.")

    def _read(self, path):
        if not os.path.isfile(path):
            raise ValueError(f"{self._owner}: there is no vocabulary file {path!r}.")
        with open(path, encoding="utf-8", newline="") as file:
            return _lines(file.read().removesuffix("\n"))

    def _padded(self, idf):
        """Weights of tokens, with their mean in front for each special token."""
        return np.concatenate([np.full(self._start, idf.mean() if idf.size else 0, idf.dtype), idf])

    def _take(self, tokens, idf):
        before, size = self._depth, self._start + len(tokens)
        is_free = self.output_mode == "int" or self.pad_to_max_tokens
        if self._calls and not is_free and before not in (None, size):
            raise RuntimeError(
                f"{self._owner} is part of a model that expects {before} columns; the new vocabulary makes {size}. Use "
                "pad_to_max_tokens, or make the model afterwards."
            )
        self._learnt.tokens = list(tokens)
        if idf is not None and self.pad_to_max_tokens:
            idf = np.pad(idf, (0, self.max_tokens - len(idf)))
        self._idf, self._learnt.index, self._learnt.table = idf, None, None

    # ---- adapt

    def adapt(self, data, batch_size=None, steps=None):
        """Take the most frequent tokens of the data for the vocabulary; equally frequent ones in falling order.

        Args:
            data: a list or an array of tokens, or an iterable of batches, such as a Dataset.
            batch_size: has no effect.
            steps: how many batches are used; by default all.
        """
        self.reset_state()
        for batch, is_all in batches(self, data, steps):
            self.update_state(batch, is_all)
        self.finalize_state()

    def reset_state(self):
        """Forget the counts of tokens, not the vocabulary."""
        learnt = self._learnt
        learnt.counts, learnt.documents, learnt.document_count = collections.Counter(), collections.Counter(), 0

    def update_state(self, data, each_is_a_row=False):
        """Count the tokens of a batch. One of a single axis is one document, or with `each_is_a_row` as many."""
        if self._was_given:
            raise ValueError(f"{self._owner} was given its vocabulary: there is nothing to adapt.")
        documents = self._documents_in(data, each_is_a_row)  # each a list of tokens
        try:
            counts = collections.Counter(itertools.chain.from_iterable(documents))
        except TypeError:  # something has no hash: it is no text, and `encode` says so
            counts = collections.Counter(map(self._as_token, itertools.chain.from_iterable(documents)))
        for token, count in counts.items():
            self._learnt.counts[self._as_token(token)] += count
        if self.output_mode == "tf_idf":
            self._learnt.documents.update(token for one in documents for token in set(map(self._as_token, one)))
            self._learnt.document_count += len(documents)

    def finalize_state(self):
        """Make the vocabulary of the counts; it stays as it is if nothing has been counted."""
        if self._was_given or not self._learnt.counts:
            return
        for token in self._as_tokens([t for t in (self.mask_token, self.oov_token) if t is not None]):
            self._learnt.counts.pop(token, None)
        tokens = sorted(self._learnt.counts, key=lambda token: (self._learnt.counts[token], token), reverse=True)
        if self.max_tokens:
            tokens = tokens[: max(self.max_tokens - self._start, 0)]
        idf = None
        if self.output_mode == "tf_idf":
            counts = np.array([self._learnt.documents[token] for token in tokens], np.float64)
            idf = self._padded(np.log(1 + self._learnt.document_count / (1 + counts)).astype(config.floatx()))
        self._take(tokens, idf)
        self.reset_state()

    # ---- the output

    @property
    def _depth(self):
        """The number of columns of encoded rows; None if there is no vocabulary yet."""
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self.vocabulary_size() if self._learnt.tokens else self._promised

    @property
    def _index(self):
        """token -> index; that of the mask is -1 where it has none."""
        if self._learnt.index is None:
            known = {token: i for i, token in enumerate(self._learnt.tokens, self._start)}
            if self.mask_token is not None:
                known[self._as_tokens([self.mask_token])[0]] = 0 if self._first else -1
            self._learnt.index = known
        return self._learnt.index

    def _indices(self, tokens):
        """The index of each token of a list."""
        known = self._index

        def index(token):
            token = self._as_token(token)
            return known[token] if token in known else self._unknown(token)

        return each(tokens, index, np.int64)

    def _unknown(self, token):
        """The index of a token that is not in the vocabulary."""
        if self.num_oov_indices == 1:
            return self._first
        if not self.num_oov_indices:
            raise ValueError(
                f"{self._owner}: {decode(token)!r} is not in the vocabulary; num_oov_indices=0 leaves no index for it, "
                "so use num_oov_indices=1."
            )
        return self._first + self._bucket(token)

    def _encoded(self, indices):
        """What comes out for an array of indices, in the modes other than "int"."""
        if self.output_mode == "int":
            return indices
        if self.output_mode == "one_hot":
            is_column = indices.ndim > 1 and indices.shape[-1] == 1
            indices = indices[..., 0] if is_column else np.atleast_1d(indices)
            return (indices[..., None] == np.arange(self._require_depth())).astype(np.int64)
        width = indices.shape[-1] if indices.ndim else 1
        return self._counted(np.arange(indices.size) // max(width, 1), indices.ravel(), indices.shape[:-1])

    def _counted(self, which, indices, shape):
        """What comes out in the modes that add up: number `which` of rows of this shape has the indices."""
        depth, kept = self._require_depth(), indices >= 0  # without the mask
        counts = np.bincount(which[kept] * depth + indices[kept], minlength=math.prod(shape) * depth)
        counts = counts.astype(np.int64).reshape(*shape, depth)
        if self.output_mode == "multi_hot":
            counts = np.minimum(counts, 1)
        return counts if self.output_mode != "tf_idf" else counts.astype(self._idf.dtype) * self._idf

    def _require_depth(self):
        if not self._learnt.tokens and not self.pad_to_max_tokens:
            raise RuntimeError(f"{self._owner} has no vocabulary yet: call adapt(data), or give it a vocabulary.")
        return self._depth

    # ---- files

    def get_config(self):
        """The arguments. A vocabulary from `adapt` is no argument: `.keras` files keep it beside the config."""
        given, weights = self._learnt.given, self.idf_weights
        size = self.vocabulary_size() if self._learnt.tokens else self._promised
        plain = [None if one is None else np.asarray(one).tolist() for one in (given, weights)]
        return {**super().get_config(), "vocabulary": plain[0], "idf_weights": plain[1], "vocabulary_size": size}

    @classmethod
    def from_config(cls, config):
        """A layer from what `get_config` returned. A path is refused: a config from a file could have any file read."""
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(
                f"{cls.__name__}: a config can't name a file for the vocabulary, got {config['vocabulary']!r}: call "
                "set_vocabulary(path) yourself."
            )
        return super().from_config(config)

    def get_build_config(self):
        return {}

    def build_from_config(self, config):
        """There is nothing to build."""

    def save_own_variables(self, store):
        """Put the weights of output_mode="tf_idf" into a dict."""
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store):
        """Take the weights of output_mode="tf_idf" from a dict."""
        if self.output_mode == "tf_idf" and (self._learnt.tokens or store):
            if "idf_weights" not in store:
                raise ValueError(f"layer {self.name!r} has a vocabulary, and the file holds no idf_weights for it")
            idf = np.array(store["idf_weights"], config.floatx())
            if idf.shape != (self._depth,):
                raise ValueError(
                    f"layer {self.name!r} has {self._depth} tokens, and the file holds weights of shape {idf.shape}"
                )
            self._idf = idf

    def _assets(self):
        """{file name: bytes} that a `.keras` file has for the layer."""
        if self._learnt.given is not None:
            return {}
        lines = [str(token) for token in self.get_vocabulary()]
        return {FILE: "\n".join(lines).encode("utf-8", "surrogateescape")}

    _asset_names = (FILE,)

    def _take_assets(self, found):
        if self._learnt.given is not None or FILE not in found:
            return
        lines = _lines(found[FILE].decode("utf-8", "surrogateescape"))
        while lines and not lines[-1]:
            lines.pop()
        tokens = list(map(self._as_token, lines[self._start :]))
        self._refuse_doubles(tokens)
        self._take(tokens, None)

    def save_assets(self, dir_path):
        """Write the vocabulary to a file `vocabulary.txt` in a folder."""
        for name, content in self._assets().items():
            with open(os.path.join(dir_path, name), "wb") as file:
                file.write(content)

    def load_assets(self, dir_path):
        """Read what `save_assets` has written."""
        with open(os.path.join(dir_path, FILE), "rb") as file:
            self._take_assets({FILE: file.read()})


def _lines(text):
    """The lines of a text. Characters that end a line for Python's `splitlines` only may be part of words."""
    return text.replace("\r\n", "\n").split("\n")
