"""What scripts use of `tf.lookup`: tables from texts or integers to texts or numbers, for functions of a data set."""

import numpy as np

from minigrad import ops
from minigrad.compat.strings import to_hash_bucket
from minigrad.texts import StringArray, decode, encode, strings
from minigrad.utils.elements import as_array, in_dtype, shown, spec_of


class TextFileIndex:
    """The columns of a file that are none: the whole line, and its number."""

    WHOLE_LINE, LINE_NUMBER = -2, -1


class KeyValueTensorInitializer:
    """The keys and the values of a table, two columns of equal length."""

    def __init__(self, keys, values, key_dtype=None, value_dtype=None, name=None):
        self.keys, self.values = _column(keys, key_dtype), _column(values, value_dtype)
        if len(self.keys) != len(self.values):
            raise ValueError(f"KeyValueTensorInitializer: there are {len(self.keys)} keys, {len(self.values)} values.")


class TextFileInitializer(KeyValueTensorInitializer):
    """The keys and the values of a table in a file: of each line the columns `key_index` and `value_index`."""

    def __init__(
        self, filename, key_dtype, key_index, value_dtype, value_index, vocab_size=None, delimiter="\t", name=None,
        value_index_offset=0,
    ):  # fmt: skip
        with open(decode(strings(filename).item()), "rb") as file:
            lines = file.read().splitlines()[:vocab_size]

        def column(index, dtype):
            if index == TextFileIndex.LINE_NUMBER:
                return np.arange(len(lines)) + value_index_offset
            texts = (
                lines if index == TextFileIndex.WHOLE_LINE else [line.split(encode(delimiter))[index] for line in lines]
            )
            return texts if dtype == "string" else np.array(texts).astype(dtype)

        super().__init__(column(key_index, key_dtype), column(value_index, value_dtype), key_dtype, value_dtype)


def _column(values, dtype):
    column = as_array(values)
    return (column if dtype is None else in_dtype(column, dtype)).ravel()


class StaticHashTable:
    """A table that gives the value of each key, and `default_value` for others.

    Raises:
        ValueError: a key has two values.
    """

    def __init__(self, initializer, default_value, name=None, experimental_is_anonymous=False):
        keys, values = initializer.keys, initializer.values
        self.key_dtype, self.value_dtype = spec_of(keys).dtype, spec_of(values).dtype
        self.default_value, self._values = default_value, {}
        for key, value in zip(keys.tolist(), values.tolist()):
            if self._values.setdefault(key, value) != value:
                raise ValueError(
                    f"StaticHashTable: the key {key!r} has the values {self._values[key]!r} and {value!r}."
                )

    def lookup(self, keys, name=None):
        """The values of keys, in their shape."""
        keys = _keys(self, keys)
        default = in_dtype(as_array(self.default_value), self.value_dtype).item()
        found = [self._values.get(key, default) for key in keys.ravel().tolist()]
        return shown(in_dtype(found, self.value_dtype).reshape(keys.shape))

    __getitem__ = lookup

    def size(self, name=None):
        """The number of keys."""
        return ops.convert_to_tensor(np.int64(len(self._values)))

    def export(self, name=None):
        """(the keys, the values)"""
        keys, values = list(self._values), list(self._values.values())
        return shown(in_dtype(keys, self.key_dtype)), shown(in_dtype(values, self.value_dtype))


def _keys(table, keys):
    keys, is_text = as_array(keys), table.key_dtype == "string"
    if isinstance(keys, StringArray) != is_text or not (is_text or keys.dtype.kind in "iu"):
        found = "texts" if isinstance(keys, StringArray) else keys.dtype.name
        raise TypeError(f"The keys of this table are {'texts' if is_text else 'integers'}; it was asked for {found}.")
    return keys


class StaticVocabularyTable(StaticHashTable):
    """A table from the terms of a vocabulary to their numbers; other terms go to buckets behind them, by their hashes.

    Args:
        initializer: gives the numbers 0, 1, ... as integers; None: all terms go to buckets.
        num_oov_buckets: how many buckets there are.

    Raises:
        ValueError: there is no bucket; the values are no integers.
    """

    def __init__(self, initializer, num_oov_buckets, lookup_key_dtype=None, name=None, experimental_is_anonymous=False):
        if num_oov_buckets < 1:
            raise ValueError(f"StaticVocabularyTable: num_oov_buckets must be at least 1, got {num_oov_buckets!r}.")
        if initializer is None:
            initializer = KeyValueTensorInitializer([], [], lookup_key_dtype or "string", "int64")
        super().__init__(initializer, -1)
        if np.dtype(self.value_dtype if self.value_dtype != "string" else object).kind not in "iu":
            raise ValueError(f"StaticVocabularyTable: the values must be integers, got {self.value_dtype}.")
        self.num_oov_buckets = int(num_oov_buckets)

    def lookup(self, keys, name=None):
        """The numbers of terms, in their shape."""
        keys = _keys(self, keys)
        texts = keys if isinstance(keys, StringArray) else strings([str(key) for key in keys.ravel().tolist()])
        buckets = to_hash_bucket(texts.reshape(keys.shape), self.num_oov_buckets) + len(self._values)
        found = super().lookup(keys)
        return ops.where(ops.less(found, 0), buckets, found)

    __getitem__ = lookup

    def size(self, name=None):
        """The number of terms and buckets."""
        return super().size() + self.num_oov_buckets
