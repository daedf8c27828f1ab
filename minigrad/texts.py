"""Arrays of texts, as TensorFlow's string tensors hold them: each text is bytes, usually UTF-8."""

import itertools

import numpy as np

from minigrad.tensor import Tensor


class StringArray(np.ndarray):
    """An array of texts of any length, each as bytes. `strings` makes one."""

    def numpy(self):
        """The texts as an array of bytes objects; those of an array without axes, as one bytes object."""
        return self.item() if self.ndim == 0 else self.view(np.ndarray)

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return found if isinstance(found, np.ndarray) else strings(found)

    def __iter__(self):
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other):  # of texts and bytes
        plain = self.view(np.ndarray)
        return plain == (strings(other).view(np.ndarray) if is_strings(other) else other)

    def __ne__(self, other):
        return np.logical_not(self == other)

    def __repr__(self):
        return f"StringArray({self.tolist()!r})"

    __str__ = __repr__


def is_strings(value):
    """Whether `value` is a text, or an array or a list (of any depth) of texts, of which some may be missing."""
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        value = next(itertools.filterfalse(_is_missing, value.flat), None)
    return isinstance(value, (str, bytes)) or getattr(getattr(value, "dtype", None), "kind", "") in ("U", "S", "T")


def strings(values):
    """Texts as a StringArray: a text, an array or series of texts, or nested lists that are equally long.

    Raises:
        ValueError: some are no texts, or the lists differ in length.
    """
    array = unencoded(values)
    if isinstance(array, StringArray):
        return array
    return each(array.ravel().tolist(), encode).reshape(array.shape).view(StringArray)


def unencoded(values):
    """As `strings`, an array of objects; but unless it is a StringArray, nothing in it is looked at yet."""
    if isinstance(values, Tensor):
        raise ValueError(f"Expected texts, got a tensor of numbers of shape {values.shape}.")
    try:
        return np.asanyarray(values, object)
    except ValueError:
        raise ValueError("Expected texts in lists of equal lengths; these lists differ in length.") from None


class _Memo(dict):
    """Key -> function(key), which is called when the key is first met: the words of a column come again and again."""

    def __init__(self, function):
        self.function = function

    def __missing__(self, key):
        self[key] = found = self.function(key)
        return found


def each(texts, function, dtype=object):
    """An array of function(text) for each text of a list."""
    try:
        return np.fromiter(map(_Memo(function).__getitem__, texts), dtype, len(texts))
    except TypeError:  # something has no hash: it is no text, and `encode` says so
        return np.fromiter(map(function, texts), dtype, len(texts))


def encode(text):
    """A text as bytes."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        hint = ": fill missing ones first, for example by fillna('')" if _is_missing(text) else ""
        raise ValueError(f"Expected texts, got {text!r} ({type(text).__name__}) among them{hint}.")
    return text.encode("utf-8", "surrogateescape")


def _is_missing(value):
    return value is None or type(value).__name__ == "NAType" or isinstance(value, float) and value != value


def decode(text, encoding="utf-8"):
    """Bytes as a text; bytes that are no such text are kept by Python's surrogates."""
    return text.decode(encoding, "surrogateescape") if isinstance(text, bytes) else text
