"""Elements of a Dataset: trees of arrays, which functions of the user's get as tensors; and batches of them."""

import numpy as np

from minigrad import ops
from minigrad.checks import is_int
from minigrad.graph import Symbol, dtype_name
from minigrad.tensor import Tensor
from minigrad.texts import StringArray, is_strings, strings
from minigrad.trees import filled, leaves, mapped


class TensorSpec:
    """The shape (None is any length) and the name of the dtype of a tensor."""

    def __init__(self, shape=None, dtype="float32", name=None):
        self.shape, self.dtype, self.name = None if shape is None else tuple(shape), dtype_name(dtype), name

    def __eq__(self, other):
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self):
        return hash((self.shape, self.dtype))

    def __repr__(self):
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype}, name={self.name!r})"


def is_dataset(leaf):
    """Whether it is a Dataset, such as a window."""
    return hasattr(type(leaf), "as_numpy_iterator")


def called(function, element):
    """`function(element)`; a tuple's parts are given as several arguments. A list that it returns becomes a tuple."""
    element = shown(element)
    found = function(*element) if type(element) is tuple else function(element)
    return tuple(found) if type(found) is list else found


def is_column(tree):
    """Whether a list is one column of numbers or texts, not several arrays."""
    return isinstance(tree, list) and not any(isinstance(one, (np.ndarray, Tensor, dict, tuple)) for one in tree)


def as_array(value):
    """The value as an array; numbers of Python's get 32 bits, as in TensorFlow."""
    if isinstance(value, Tensor):
        return value.numpy()
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if is_strings(array):
        return strings(array)
    if hasattr(value, "__array__") or array.dtype.kind not in "fi":
        return array
    narrow = array.astype(f"{array.dtype.kind}4")
    return narrow if array.dtype.kind == "f" or (narrow == array).all() else array


def in_dtype(array, dtype):
    """The array in the dtype of this name."""
    return strings(array) if dtype == "string" else np.asarray(array, dtype)


def spec_of(leaf, axes=0):
    """The TensorSpec of an array without its first `axes` axes."""
    if is_dataset(leaf):
        return type(leaf)
    leaf = leaf if hasattr(leaf, "dtype") else as_array(leaf)
    return TensorSpec(leaf.shape[axes:], "string" if isinstance(leaf, StringArray) else leaf.dtype)


def free(specs):
    """TensorSpecs whose axes may have any length, but for the first one."""
    return mapped(lambda one: TensorSpec((*one.shape[:1], *[None] * len(one.shape[1:])), one.dtype), specs)


def shown(element):
    """An element with tensors in place of NumPy's arrays and numbers."""
    return mapped(_as_shown, element)


def _as_shown(leaf):
    if isinstance(leaf, (Tensor, StringArray, Symbol)) or leaf is None or is_dataset(leaf):
        return leaf
    return strings(leaf) if is_strings(leaf) else ops.convert_to_tensor(leaf)


def as_numpy(leaf):
    """An array as NumPy has it: a single number as a number, texts as bytes."""
    if leaf is None or is_dataset(leaf):
        return leaf
    array = as_array(leaf)
    return array.numpy() if isinstance(array, StringArray) else array[()]


# ------------------------------------------------------------------------------------------------------ batches


def stacked(elements):
    """One element whose leaves are those of all elements, stacked."""
    columns = zip(*map(leaves, elements), strict=True)
    return filled(elements[0], [_stack([as_array(one) for one in column]) for column in columns])


def _stack(arrays):
    if isinstance(arrays[0], StringArray):
        return strings([one.tolist() for one in arrays])
    shapes = {np.shape(one) for one in arrays}
    if len(shapes) > 1:
        raise ValueError(f"Dataset.batch can't stack elements of different shapes: {sorted(shapes)[:5]}.")
    return np.stack(arrays)


def is_shape(tree):
    """Whether it is a shape, whose Nones are any length, and no tree of shapes."""
    return isinstance(tree, (tuple, list)) and all(one is None or is_int(one) for one in tree)


def for_each(given, element, is_leaf=None):
    """What is given for each leaf of an element: a tree like it, or one value (or None) for all."""
    count, found = len(leaves(element)), []
    mapped(found.append, given, is_leaf)
    return found if len(found) == count else found * count


def pad(arrays, shape, value):
    """Arrays of different lengths as one: of `shape`, whose None (or the shape None) is as long as needed."""
    longest = np.max([array.shape for array in arrays], axis=0, initial=0)
    shape = [int(n) for n in longest] if shape is None else [
        int(n) if given in (None, -1) else int(given) for given, n in zip(shape, longest, strict=True)
    ]
    is_text = isinstance(arrays[0], StringArray)
    filler = (b"" if is_text else 0) if value is None else value
    found = np.full((len(arrays), *shape), filler, arrays[0].dtype)
    for i, array in enumerate(arrays):
        found[(i, *map(slice, array.shape))] = array
    return strings(found) if is_text else found
