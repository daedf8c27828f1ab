"""Functions of arrays of labels and data, mostly for use before they become tensors."""

import operator

import numpy as np

from minigrad import config
from minigrad.checks import is_int, is_number
from minigrad.spelling import explaining
from minigrad.tensor import Tensor, as_tensor
from minigrad.trees import leaves, mapped


@explaining
def to_categorical(x, num_classes=None):
    """One-hot rows: `to_categorical([0, 2])` is [[1, 0, 0], [0, 0, 1]]. A tensor gives a tensor.

    Args:
        x: integer classes from 0; a last axis of length one is dropped.
        num_classes: the number of classes; by default the largest class plus one.

    Raises:
        ValueError: classes that are not integers in [0, num_classes).
    """
    classes = np.asarray(x)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if classes.dtype.kind not in "fiub" or not np.array_equal(classes, np.floor(classes)):
        raise ValueError(f"to_categorical expects integer classes, got {str(classes)[:60]} of dtype {classes.dtype}.")
    if num_classes is not None and not is_int(num_classes, 1):
        raise ValueError(f"to_categorical expects num_classes to be a positive integer or None, got {num_classes!r}.")
    classes = classes.astype(np.int64)
    count = int(classes.max() + 1 if classes.size else 0) if num_classes is None else int(num_classes)
    if classes.size and not (classes.min() >= 0 and classes.max() < count):
        raise ValueError(
            f"to_categorical expects classes from 0 to {count - 1}, got {classes.min()} to {classes.max()}."
        )
    return _as_given(x, np.eye(count, dtype=config.floatx())[classes])


def normalize(x, axis=-1, order=2):
    """x / ||x||, with the norm of `order` along `axis`: a NumPy array, or a tensor if x is one.

    Vectors of zeros stay as they are.
    """
    array = np.asarray(x)
    array = array if array.dtype.kind == "f" else array.astype(config.floatx())
    length = np.atleast_1d(np.linalg.norm(array, order, axis))
    length[length == 0] = 1
    return _as_given(x, array / (length if array.ndim == 1 else np.expand_dims(length, axis)))


def _as_given(x, result):
    """The result as an array, or as a tensor if `x` is one."""
    return as_tensor(result) if isinstance(x, Tensor) else result


def split_dataset(dataset, left_size=None, right_size=None, shuffle=False, seed=None, preferred_backend=None):
    """Split arrays in two along their rows: (left, right), each in the form of `dataset`.

    Args:
        dataset: an array, or a tuple, list or dict of arrays with equally many rows, such as (x, y).
        left_size, right_size: a number of rows (int), or a share of them in (0, 1); one of the two is enough.
        shuffle: take the rows in random order, drawn from `seed` or else from the global generator.

    Raises:
        ValueError: no size or too large sizes, arrays with different numbers of rows, or no arrays.
    """
    form = mapped(np.asarray, dataset, is_leaf=lambda part: part is not dataset)
    arrays = leaves(form)
    if not arrays or any(a.ndim == 0 or a.dtype == object for a in arrays) or len({len(a) for a in arrays}) > 1:
        raise ValueError(
            "split_dataset expects an array, or a tuple of arrays with the same number of rows; got "
            f"{type(dataset).__name__} of {[a.shape for a in arrays]}."
        )
    rows = len(arrays[0])
    left, right = (_rows(rows, size, name) for size, name in ((left_size, "left_size"), (right_size, "right_size")))
    if left is None and right is None:
        raise ValueError("split_dataset needs left_size or right_size.")
    left = rows - right if left is None else left
    right = rows - left if right is None else right
    if left + right > rows:
        raise ValueError(f"split_dataset: left_size {left_size} and right_size {right_size} are more than {rows} rows.")
    order = np.arange(rows)
    if shuffle:
        order = (config.generator() if seed is None else np.random.default_rng(seed)).permutation(rows)
    return tuple(mapped(operator.itemgetter(part), form) for part in (order[:left], order[left : left + right]))


def _rows(rows, size, name):
    """The number of rows for a size, which is a number or a share; None for None."""
    if size is None:
        return None
    if not is_number(size):
        raise TypeError(f"split_dataset expects {name} to be an int, a float or None; got {size!r}.")
    is_share = not is_int(size)
    if not 0 < size < (1 if is_share else rows):
        raise ValueError(
            f"split_dataset expects {name} to be an int from 1 to {rows - 1}, or a share between 0 and 1; got {size!r}."
        )
    return round(size * rows) if is_share else int(size)
