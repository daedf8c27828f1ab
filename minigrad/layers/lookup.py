"""StringLookup and IntegerLookup: tokens become indices in a vocabulary, and back."""

import numpy as np

from minigrad import ops
from minigrad.graph import TEXTS, Symbol
from minigrad.layers.base import registry
from minigrad.layers.vocabulary import Vocabulary, had_vocabulary
from minigrad.ops.shaping import constant_tensor
from minigrad.texts import decode, strings
from minigrad.utils.hashes import bucket

_WIDEST = 2**22  # numbers between the smallest and the largest one of a vocabulary that is looked up in a table


class _Lookup(Vocabulary):
    """What StringLookup and IntegerLookup share."""

    def compute_output_shape(self, input_shape):
        return self._encoded_shape(input_shape)

    def compute_output_spec(self, inputs):
        if self.invert and self._value_dtype == "string":
            raise ValueError(
                f"StringLookup {self.name!r}: with invert=True texts come out, which can't go on through a model: call "
                "it on the model's predictions."
            )
        if self._input_dtype == TEXTS:
            self._require_texts(inputs)
        self._build_for(inputs)
        return Symbol(self.compute_output_shape(inputs.shape), "int64" if self.output_mode == "int" else self.dtype, "")

    def _documents_in(self, data, each_is_a_row):
        data = self._as_keys(data)
        if data.ndim < 2:
            data = data.reshape((-1, 1) if each_is_a_row else (1, -1))
        return data.reshape(len(data), -1).tolist()

    def _looked_up(self, keys):
        """The output for an array of tokens."""
        shape = keys.shape
        flat = self._indices(keys.ravel().tolist())
        width = shape[-1] if shape else 1
        rows = [flat[i : i + width] for i in range(0, len(flat), width)] if width else [[]] * int(np.prod(shape[:-1]))
        found = self._encoded(rows, shape or (1,))
        return constant_tensor(found.reshape(()) if not shape and self.output_mode == "int" else found)

    def _indices(self, tokens):
        """The index of each token; -1 for the mask, where it has none."""
        index, first = dict(self._learnt.index), self._first
        if self.mask_token is not None:
            index[self._as_tokens([self.mask_token])[0]] = 0 if first else -1
        if self.num_oov_indices == 1:
            return [index.get(token, first) for token in tokens]
        missing = {token for token in tokens if token not in index}
        if missing and not self.num_oov_indices:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: {sorted(map(decode, missing))[:10]} are not in the vocabulary; "
                "num_oov_indices=0 leaves no index for them, so use num_oov_indices=1."
            )
        index.update((token, first + self._bucket(token)) for token in missing)
        return [index[token] for token in tokens]

    def _bucket(self, token):
        return bucket(token if isinstance(token, bytes) else str(token).encode(), self.num_oov_indices, self.salt)


@registry.register()
class StringLookup(_Lookup):
    """The index of each text in a vocabulary: (n, ...) texts -> (n, ...) integers, or (n, tokens) encoded.

    Args:
        max_tokens: the largest size of the vocabulary, with special tokens; None: any.
        num_oov_indices: how many indices texts have that are not in the vocabulary. If there are several, a hash
            (FarmHash64 as in TensorFlow; with `salt`, SipHash) chooses one.
        mask_token: a text that stands for nothing: index 0 in the mode "int", and not counted in others.
        oov_token: what `get_vocabulary` and invert=True call unknown texts.
        vocabulary: a list of texts, or the path of a file with one per line; by default `adapt` finds it.
        idf_weights: for output_mode="tf_idf" with a vocabulary, a weight per text.
        invert: whether indices become texts.
        output_mode: "int"; "one_hot" for each text; of all texts of a row "multi_hot", "count", or "tf_idf", the count
            times the weight ln(1 + rows / (1 + rows with the text)).
        pad_to_max_tokens: whether encoded rows have max_tokens columns, however small the vocabulary is.
        sparse: refused. encoding: "utf-8".

    Texts can't be in tensors: in a model, the layer stands directly behind an Input(dtype="string"), and the data is
    converted before the step begins.

    >>> StringLookup(vocabulary=["a", "b"])(["b", "z", "a"])
    Tensor([2, 0, 1], dtype=int64)
    """

    _input_dtype = _value_dtype = "string"

    def __init__(
        self, max_tokens=None, num_oov_indices=1, mask_token=None, oov_token="[UNK]", vocabulary=None,
        idf_weights=None, invert=False, output_mode="int", pad_to_max_tokens=False, sparse=False, encoding="utf-8",
        salt=None, **kwargs,
    ):
        told = had_vocabulary(kwargs)
        super().__init__(**kwargs)
        self._keep(locals(), but=["told", "vocabulary"])
        self._set_up_vocabulary(vocabulary, *told)
        if self.invert:
            self._input_dtype = None

    def _as_input(self, x):
        return ops.convert_to_tensor(x) if self.invert else self._as_texts(x)

    _as_keys = staticmethod(strings)

    def call(self, inputs):
        if not self.invert:
            return self._looked_up(inputs)
        words = dict(enumerate(self.get_vocabulary()))
        numbers = inputs.numpy()
        found = [words.get(i, self.oov_token) for i in numbers.astype(np.int64).ravel().tolist()]
        return strings(found).reshape(numbers.shape)

    takes_texts = True

    def numbers_of(self, texts):
        """The output for texts as an array; a model calls it on the data of an input that stands before the layer."""
        return self.call(self._as_input(texts)).numpy()


@registry.register()
class IntegerLookup(_Lookup):
    """The index of each integer in a vocabulary of integers: see StringLookup, whose arguments it has.

    Args:
        oov_token: -1 by default.
        oov_method: how one of several indices for unknown integers is chosen: "floormod", integer mod
            num_oov_indices; or "farmhash", by a hash of its digits.

    >>> IntegerLookup(vocabulary=[12, 36])([36, 5, 12])
    Tensor([2, 0, 1], dtype=int64)
    """

    _value_dtype = "int64"

    def __init__(
        self, max_tokens=None, num_oov_indices=1, mask_token=None, oov_token=-1, vocabulary=None,
        vocabulary_dtype="int64", idf_weights=None, invert=False, output_mode="int", sparse=False,
        pad_to_max_tokens=False, oov_method="floormod", salt=None, **kwargs,
    ):
        told = had_vocabulary(kwargs, but=["oov_method"])
        super().__init__(**kwargs)
        self._keep(locals(), but=["told", "vocabulary"])
        owner = f"IntegerLookup {self.name!r}"
        if vocabulary_dtype != "int64":
            raise ValueError(f"{owner}: vocabulary_dtype must be 'int64', got {vocabulary_dtype!r}.")
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(f"{owner}: oov_method must be 'floormod' or 'farmhash', got {oov_method!r}.")
        if salt is not None and oov_method != "farmhash":
            raise ValueError(f"{owner}: salt needs oov_method='farmhash', got {oov_method!r}.")
        self._set_up_vocabulary(vocabulary, *told)

    def _as_input(self, x):
        x = ops.convert_to_tensor(x)
        return x if x.dtype == np.int64 else ops.cast(x, "int64")

    def _as_keys(self, values):
        keys = np.asarray(values)
        if keys.dtype.kind not in "iub" and not np.array_equal(keys, np.trunc(keys)):
            raise ValueError(f"IntegerLookup {self.name!r} expects integers, got {keys.dtype} with other numbers.")
        return keys.astype(np.int64)

    def _as_tokens(self, values):
        return self._as_keys(list(values) if not hasattr(values, "dtype") else values).ravel().tolist()

    def _of_lines(self, lines):
        return [int(line) for line in lines]

    def _bucket(self, token):
        return token % self.num_oov_indices if self.oov_method == "floormod" else super()._bucket(token)

    def _changed_vocabulary(self):
        self._table = None

    def call(self, inputs):
        if self.invert:
            words = np.array([*self.get_vocabulary(), self.oov_token], np.int64)
            last = len(words) - 1
            places = ops.where(ops.less(inputs, 0), last, ops.minimum(inputs, last))
            return ops.cast(ops.take(words.astype(np.float64), places), "int64")
        if not self._is_simple:
            return self._looked_up(inputs.numpy())
        table, low = self._as_table()
        places = ops.clip(ops.cast(inputs, "float64") - float(low), 0.0, float(len(table) - 1))
        return ops.cast(ops.take(table, ops.cast(places, "int64")), "int64")

    @property
    def _is_simple(self):
        """Whether the index is found in a table, which a recorded step can do."""
        keys = self._learnt.tokens
        return self.output_mode == "int" and self.num_oov_indices == 1 and keys and max(keys) - min(keys) < _WIDEST

    def _as_table(self):
        """(indices of the integers from `low` on, low). Both ends stand for all integers beyond them."""
        if self._table is None:
            keys = [*self._learnt.tokens, *([] if self.mask_token is None else [self.mask_token])]
            low = min(keys) - 1
            table = np.full(max(keys) - low + 2, self._first, np.float64)
            table[np.array(keys) - low] = self._indices(keys)
            self._table = table, low
        return self._table
