"""Arrays of texts, as TensorFlow's string tensors hold them: each text is bytes, usually UTF-8."""

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

    def __repr__(self):
        return f"StringArray({self.tolist()!r})"

    __str__ = __repr__


def is_strings(value):
    """Whether `value` is a text, or an array or a list (of any depth) of texts."""
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size:
        value = value.flat[0]
    return isinstance(value, (str, bytes)) or getattr(getattr(value, "dtype", None), "kind", "") in ("U", "S", "T")


def strings(values):
    """Texts as a StringArray: a text, an array or series of texts, or nested lists that are equally long.

    Raises:
        ValueError: some are no texts, or the lists differ in length.
    """
    if isinstance(values, StringArray):
        return values
    if isinstance(values, (str, bytes)):
        array = np.array(None, object)
        array[()] = values
    elif isinstance(values, Tensor):
        raise ValueError(f"Expected texts, got a tensor of numbers of shape {values.shape}.")
    else:
        try:
            array = np.asarray(values, object)
        except ValueError:
            raise ValueError("Expected texts in lists of equal lengths; these lists differ in length.") from None
    encoded = np.empty(array.size, object)
    encoded[:] = [encode(text) for text in array.ravel().tolist()]
    return encoded.reshape(array.shape).view(StringArray)


def encode(text):
    """A text as bytes."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        hint = ": fill missing ones first, for example by fillna('')" if text is None or text != text else ""
        raise ValueError(f"Expected texts, got {text!r} ({type(text).__name__}) among them{hint}.")
    return text.encode("utf-8", "surrogateescape")


def decode(text, encoding="utf-8"):
    """Bytes as a text; bytes that are no such text are kept by Python's surrogates."""
    return text.decode(encoding, "surrogateescape") if isinstance(text, bytes) else text
