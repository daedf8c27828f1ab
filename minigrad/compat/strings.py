"""`tf.strings`: functions of StringArrays.

A ragged result, such as that of `split`, is a list with a StringArray per text.
"""

import functools
import re

import numpy as np

from minigrad import ops
from minigrad.texts import StringArray, decode, encode, strings
from minigrad.utils.hashes import bucket

_POSIX = {  # classes of characters that RE2 knows and Python does not
    "[:punct:]": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:alnum:]": "A-Za-z0-9",
    "[:space:]": r"\s",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
}


def _each(function, texts, dtype=object):
    """An array, in the shape of the texts, of `function` of each."""
    texts = strings(texts)
    found = np.empty(texts.size, dtype)
    found[:] = [function(text) for text in texts.ravel().tolist()]
    found = found.reshape(texts.shape)
    return found.view(StringArray) if dtype is object else ops.convert_to_tensor(found)


def _ragged(function, texts):
    """`function` of each text, which returns a list of texts: a list with a StringArray per text."""
    texts = strings(texts)
    found = [strings(function(text)) if function(text) else strings([""])[:0] for text in texts.ravel().tolist()]
    return found if texts.ndim else found[0]


def _case(method):
    def change(input, encoding="", name=None):
        """The texts in lower or upper case: ASCII letters only, unless encoding="utf-8"."""
        if not encoding:
            return _each(lambda text: getattr(text, method)(), input)
        return _each(lambda text: encode(getattr(decode(text), method)()), input)

    return change


lower, upper = map(_case, ("lower", "upper"))


@functools.lru_cache
def _compiled(pattern):
    pattern = decode(pattern)
    for name, characters in _POSIX.items():
        pattern = pattern.replace(name, characters)
    return re.compile(pattern, re.ASCII)


def regex_replace(input, pattern, rewrite, replace_global=True, name=None):
    """The texts with `rewrite` in the place of each match (or of the first one). The pattern is Python's, not RE2's."""
    rewrite = re.sub(r"\\0", r"\\g<0>", decode(rewrite))
    count = 0 if replace_global else 1
    return _each(lambda text: encode(_compiled(pattern).sub(rewrite, decode(text), count=count)), input)


def regex_full_match(input, pattern, name=None):
    """Whether each text as a whole matches the pattern."""
    return _each(lambda text: _compiled(pattern).fullmatch(decode(text)) is not None, input, bool)


def split(input, sep=None, maxsplit=-1, name=None):
    """The parts of each text between `sep`, by default between white space."""
    sep = encode(sep) if sep else None
    return _ragged(lambda text: text.split(sep, maxsplit), input)


def unicode_split(input, input_encoding="UTF-8", errors="replace", replacement_char=65533, name=None):
    """The characters of each text."""
    return _ragged(lambda text: list(text.decode("utf-8", "replace")), input)


def strip(input, name=None):
    """The texts without white space at both ends."""
    return _each(bytes.strip, input)


def length(input, unit="BYTE", name=None):
    """The number of bytes, or with unit="UTF8_CHAR" of characters, of each text."""
    return _each(lambda text: len(text if unit == "BYTE" else decode(text)), input, np.int64)


def substr(input, pos, len, unit="BYTE", name=None):
    """`len` bytes (or characters) of each text from `pos` on."""

    def part(text):
        text = text if unit == "BYTE" else decode(text)
        begin = pos if pos >= 0 else max(text.__len__() + pos, 0)
        return encode(text[begin : begin + len])

    return _each(part, input)


def join(inputs, separator="", name=None):
    """The texts of several arrays, put together one by one."""
    arrays = np.broadcast_arrays(*map(strings, inputs))
    rows = zip(*(array.ravel().tolist() for array in arrays), strict=True)
    return strings([encode(separator).join(row) for row in rows]).reshape(arrays[0].shape)


def reduce_join(inputs, axis=None, keepdims=False, separator="", name=None):
    """The texts along an axis, by default all, put together."""
    texts = strings(inputs)
    moved = texts.reshape(1, -1) if axis is None else np.moveaxis(texts, axis, -1)
    rows = moved.reshape(-1, moved.shape[-1]).tolist()
    found = strings([encode(separator).join(row) for row in rows]).reshape(moved.shape[:-1])
    found = found.reshape(()) if axis is None else found
    return np.expand_dims(found, axis if axis is not None else tuple(range(texts.ndim))) if keepdims else found


def as_string(input, name=None, **options):
    """Integers or truth values as texts."""
    found = [str(value).lower() for value in np.ravel(input).tolist()]
    return strings(found).reshape(np.shape(input))


def to_number(input, out_type="float32", name=None):
    """Texts as numbers."""
    is_whole = np.dtype(out_type).kind in "iu"
    found = _each(int, input, np.int64) if is_whole else _each(float, input, np.float64)
    return ops.cast(found, out_type)


def to_hash_bucket(input, num_buckets, name=None):
    """The FarmHash64 of each text modulo num_buckets."""
    return _each(lambda text: bucket(text, num_buckets), input, np.int64)


to_hash_bucket_fast = to_hash_bucket

OF_TEXTS = {  # functions of tensorflow itself that take texts as well
    "concat": lambda values, axis, name=None: np.concatenate([strings(one) for one in values], axis).view(StringArray),
    "constant": lambda value, dtype=None, shape=None, name=None: strings(value),
    "convert_to_tensor": lambda value, dtype=None, name=None: strings(value),
    "equal": lambda x, y, name=None: ops.convert_to_tensor(x == y),
    "expand_dims": lambda input, axis, name=None: np.expand_dims(strings(input), axis),
    "gather": lambda params, indices, *args, axis=0, **more: np.take(strings(params), indices, axis).view(StringArray),
    "not_equal": lambda x, y, name=None: ops.convert_to_tensor(x != y),
    "reshape": lambda tensor, shape, name=None: strings(tensor).reshape([int(n) for n in np.ravel(shape)]),
    "shape": lambda input, name=None: strings(input).shape,
    "size": lambda input, name=None: strings(input).size,
    "squeeze": lambda input, axis=None, name=None: np.squeeze(
        strings(input), tuple(axis) if isinstance(axis, list) else axis
    ),
    "stack": lambda values, axis=0, name=None: np.stack([strings(one) for one in values], axis).view(StringArray),
}
