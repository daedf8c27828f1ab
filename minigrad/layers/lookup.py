"""StringLookup and IntegerLookup: tokens become indices in a vocabulary, and back."""

import numpy as np

from minigrad import ops
from minigrad.layers.arguments import one_of
from minigrad.layers.encoding import encoded
from minigrad.layers.vocabulary import MODE, MOST, SALT, SPARSE, UNKNOWN, Vocabulary
from minigrad.ops.shaping import constant_tensor
from minigrad.program import is_recording
from minigrad.texts import strings, unencoded
from minigrad.utils.hashes import bucket

_WIDEST = 2**22  # numbers between the smallest and the largest one of a vocabulary that is looked up in a table


class _Lookup(Vocabulary):
    """What StringLookup and IntegerLookup share."""

    def compute_output_spec(self, inputs):
        if self.invert and self._value_dtype == "string":
            raise ValueError(
                f"{self._owner}: with invert=True texts come out, which can't go on through a model: call it on the "
                "model's predictions."
            )
        return super().compute_output_spec(inputs)

    def _documents_in(self, data, each_is_a_row):
        data = self._as_keys(data)
        if self.output_mode != "tf_idf":  # only then it matters which tokens come together
            return [data.ravel().tolist()]
        if data.ndim < 2:
            data = data.reshape((-1, 1) if each_is_a_row else (1, -1))
        return data.reshape(len(data), -1).tolist()

    def _looked_up(self, keys):
        """The output for an array of tokens."""
        return constant_tensor(self._encoded(self._indices(keys.ravel().tolist()).reshape(keys.shape)))

    def _bucket(self, token):
        return bucket(token if isinstance(token, bytes) else str(token).encode(), self.num_oov_indices, self.salt)


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

    arguments = {
        "max_tokens": MOST, "num_oov_indices": UNKNOWN, "mask_token": None, "oov_token": "[UNK]", "vocabulary": None,
        "idf_weights": None, "invert": False, "output_mode": MODE, "pad_to_max_tokens": False, "sparse": SPARSE,
        "encoding": "utf-8", "salt": SALT,
    }  # fmt: skip

    def _settle(self):
        if self.invert:
            self._input_dtype = None

    def _as_input(self, x):
        return ops.convert_to_tensor(x) if self.invert else (strings if self._is_users else self._as_texts)(x)

    _as_keys = staticmethod(unencoded)

    def call(self, inputs):
        if not self.invert:
            return self._looked_up(inputs)
        words = dict(enumerate(self.get_vocabulary()))
        numbers = inputs.numpy()
        found = [words.get(i, self.oov_token) for i in numbers.astype(np.int64).ravel().tolist()]
        return strings(found).reshape(numbers.shape)


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

    arguments = {
        "max_tokens": MOST, "num_oov_indices": UNKNOWN, "mask_token": None, "oov_token": -1, "vocabulary": None,
        "vocabulary_dtype": one_of("int64"), "idf_weights": None, "invert": False, "output_mode": MODE,
        "sparse": SPARSE, "pad_to_max_tokens": False, "oov_method": one_of("floormod", "farmhash"), "salt": SALT,
    }  # fmt: skip

    def _settle(self):
        if self.salt is not None and self.oov_method != "farmhash":
            raise ValueError(f"{self._owner}: salt needs oov_method='farmhash', got {self.oov_method!r}.")

    def _as_input(self, x):
        return ops.cast(ops.convert_to_tensor(x), "int64")

    def _as_keys(self, values):
        keys = np.asarray(values)
        if keys.dtype.kind not in "iub" and not np.array_equal(keys, np.trunc(keys)):
            raise ValueError(f"{self._owner} expects integers, got {keys.dtype} with other numbers.")
        return keys.astype(np.int64)

    def _as_tokens(self, values):
        return self._as_keys(list(values) if not hasattr(values, "dtype") else values).ravel().tolist()

    _as_token = int

    def _bucket(self, token):
        return token % self.num_oov_indices if self.oov_method == "floormod" else super()._bucket(token)

    def call(self, inputs):
        if self.invert:
            words = np.array([*self.get_vocabulary(), self.oov_token], np.int64)
            last = len(words) - 1
            places = ops.where(ops.less(inputs, 0), last, ops.minimum(inputs, last))
            return ops.cast(ops.take(words.astype(np.float64), places), "int64")
        is_usual = self.output_mode == "int" or is_recording() and self.output_mode != "tf_idf"
        if not (is_usual and self.num_oov_indices == 1 and self._table()):
            return self._looked_up(inputs.numpy())
        table, low = self._table()
        if not is_recording():
            return constant_tensor(table[np.clip(inputs.numpy() - low, 0, len(table) - 1)])
        places = ops.clip(ops.cast(inputs, "float64") - float(low), 0.0, float(len(table) - 1))
        found = ops.cast(ops.take(table.astype(np.float64), ops.cast(places, "int64")), "int64")
        return encoded(found, self.output_mode, self._depth, self.dtype)

    def _table(self):
        """(indices of the integers from `low` on, low); () if there are none, or they lie too far apart.

        Both ends stand for all integers beyond them. A table is what a recorded step can look into.
        """
        learnt = self._learnt
        if learnt.table is None:
            learnt.table, tokens = (), learnt.tokens
            if tokens and max(tokens) - min(tokens) < _WIDEST:
                keys = [*tokens, *([] if self.mask_token is None else [self.mask_token])]
                low = min(keys) - 1
                table = np.full(max(keys) - low + 2, self._first, np.int64)
                table[np.array(keys) - low] = self._indices(keys)
                learnt.table = table, low
        return learnt.table
