"""What `fit` is fed with: any array-like as rows of floats, and the errors for what can't be."""

import warnings

import numpy as np

from minigrad import kernels as K
from minigrad.program import launch
from minigrad.tensor import Tensor, constant


def is_array_like(value):
    """Whether `value` holds all rows at once (else it may be an iterable of batches)."""
    return isinstance(value, (np.ndarray, Tensor, list, tuple)) or hasattr(value, "__array__")


def as_rows(value, name, dtype):
    """`value` as a C-contiguous array of `dtype` with rows along its first axis, not copied where it need not be.

    Args:
        value: an array, list, data frame, or anything with `__array__`.
        name: what error messages call it: "x", "y", "sample_weight".

    Raises:
        ValueError: no rows, a scalar, or anything that is not real numbers.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.ndim and value.size and value.flags.c_contiguous:
        return value
    if isinstance(value, (list, tuple)) and len(value) == 1 and getattr(value[0], "ndim", 0) >= 2:
        warnings.warn(f"{name} is a list holding one array; the array is used.", stacklevel=3)
        value = value[0]
    try:
        array = _from_pandas(value, dtype) if hasattr(value, "iloc") else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} can't be made an array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers; got an array of dtype {array.dtype}.")
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows; got a single value.")
    if array.size == 0:
        raise ValueError(f"{name} is empty: it has shape {array.shape}.")
    return np.ascontiguousarray(array, dtype=dtype)


def _from_pandas(value, dtype):
    """A data frame or a series as an array: its columns may differ in dtype, and missing values become NaN."""
    for column, kind in value.dtypes.items() if value.ndim == 2 else [(value.name, value.dtype)]:
        if kind.kind not in "fiub":
            raise ValueError(f"column {column!r} has dtype {kind}.")
    array = value.to_numpy(dtype=dtype, na_value=np.nan)
    return array if array.ndim > 1 else array[:, None]  # a series is a column, as in Keras


def check_lengths(**arrays):
    """Raise a ValueError unless all arrays that are not None have the same number of rows."""
    lengths = {name: array.shape[0] for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ValueError(f"Data cardinality is ambiguous: all must have the same number of rows, but {sizes}.")


def class_weights(y, class_weight):
    """The weight of each row by its class (those missing from the dict weigh 1)."""
    try:
        table = {int(k): float(v) for k, v in class_weight.items()}
        if any(int(k) != float(k) for k in class_weight):
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"class_weight must be a dict from class (int) to weight, got {class_weight!r}.") from None
    if y.ndim > 1 and y.shape[-1] != 1:
        classes = y.argmax(-1)
    else:
        classes = np.rint(y.reshape(len(y), -1)[:, 0]).astype(np.int64)
    weights = np.ones(classes.shape, y.dtype)
    for label, weight in table.items():
        weights[classes == label] = weight
    return weights


def split_batch(batch):
    """(x, y, sample_weight) of what an iterable of batches yields: a tuple of one to three elements."""
    if isinstance(batch, (tuple, list)):
        if not 1 <= len(batch) <= 3:
            raise ValueError(f"A batch must be (x, y) or (x, y, sample_weight); got {len(batch)} elements.")
        return (*batch, None, None)[:3]
    if is_array_like(batch):
        return batch, None, None
    raise ValueError(f"A batch must be a tuple (x, y) or (x, y, sample_weight); got {type(batch).__name__}.")


class Rows:
    """All rows of a `fit`, in memory, and the order in which they are taken.

    The next batch is gathered by a launch, so that a replay needs no Python between batches: row `cursor + i` of
    `order` says which row of x, y and w comes next.
    """

    def __init__(self, x, y, w):
        self.arrays = {}
        for name, a in (("x", x), ("y", y), ("w", w)):
            if any(np.may_share_memory(a, other) for other in self.arrays.values() if a is not None):
                a = a.copy()  # an autoencoder's x is its y, but a Program tells its inputs apart by their addresses
            if a is not None:
                self.arrays[name] = a.reshape(len(a), -1)
        self.shapes = {name: a.shape[1:] for name, a in (("x", x), ("y", y), ("w", w)) if a is not None}
        self.size = len(x)
        self.order = np.arange(self.size, dtype=np.int64).reshape(-1, 1)
        self.cursor = np.zeros((1, 1), np.int64)

    @property
    def inputs(self):
        """The arrays that a Program may exchange for those of another `fit`."""
        return {**self.arrays, "order": self.order, "cursor": self.cursor}

    def shuffle(self, how, batch_size, generator):
        """Start a pass over all rows: in order, shuffled, or (how="batch") shuffled within each batch."""
        self.cursor[0, 0] = 0
        if not how:
            self.order[:, 0] = np.arange(self.size)
            return
        seed = generator.integers(2**64, size=(1, 1), dtype=np.uint64)
        launch(K.shuffle, seed, constant(np.int64, batch_size if how == "batch" else self.size), self.order)

    def next_batch(self, rows):
        """Launch the gathering of the next `rows` rows; (x, y, w) as tensors, None for what there is not."""
        batch = []
        for name in ("x", "y", "w"):
            if name not in self.arrays:
                batch.append(None)
                continue
            source = self.arrays[name]
            target = np.empty((rows, source.shape[1]), source.dtype)
            launch(K.gather_rows, source, self.order, self.cursor, target)
            batch.append(Tensor(target.reshape(rows, *self.shapes[name])))
        return batch
