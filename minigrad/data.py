"""The data of `fit`: makes anything like an array into rows of floats, with errors for what can't be.

Small data becomes an array of the model's dtype at once. Large data of another kind (a float64 file mapped into memory,
a sparse matrix, a wide data frame) stays as it is, and its rows are converted chunk by chunk.
"""

import math

import numpy as np

from minigrad import kernels as K
from minigrad.checks import warn
from minigrad.exchange import world
from minigrad.ops.shaping import constant_tensor
from minigrad.program import empty, launch
from minigrad.tables import column_names, columns_of, numbers_of, values_of
from minigrad.tensor import Tensor, constant
from minigrad.texts import is_strings, unencoded
from minigrad.trees import filled, leaves, mapped

WHOLE = 2**28  # bytes: data that would be larger than this after the conversion is converted in chunks
CHUNK = 2**23  # bytes

_WORDS = (
    " Words must become numbers first: labels by np.unique(y, return_inverse=True)[1], columns by StringLookup and "
    "texts by TextVectorization, each behind an Input((1,), dtype='string') of its own; objects that are numbers by "
    "astype('float32')."
)
_RAGGED = "its rows differ in length: make them equally long with keras.utils.pad_sequences(rows)."


class LazyRows:
    """Rows that are converted to an array of `dtype` when they are indexed, by a slice or by increasing row numbers.

    Args:
        take: a function from a slice or an array of row numbers to the rows, as anything NumPy can make an array of.
        shape, dtype: those of all rows together, after the conversion.
        first: the number of the first row.
    """

    def __init__(self, take, shape, dtype, first=0):
        self.take, self.shape, self.dtype, self.first = take, tuple(shape), np.dtype(dtype), first
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            rows = slice(start + self.first, stop + self.first)
        else:
            rows = rows + self.first
        found = np.ascontiguousarray(self.take(rows), self.dtype)
        return found.reshape(len(found), *self.shape[1:])

    def part(self, start, stop):
        """The rows from `start` to before `stop`, not yet converted either."""
        return LazyRows(self.take, (stop - start, *self.shape[1:]), self.dtype, self.first + start)


class Several:
    """The inputs, targets or sample weights of a model that has several: a tree of arrays with equally many rows.

    Slicing it slices every array.

    Args:
        tree: a list, tuple or dict of arrays or LazyRows; None stands for an array that is missing.
        names: the name of each array.
        given: {name: array} of the numbers that the tree was prepared of, if it was.
    """

    def __init__(self, tree, names, given=()):
        self.tree, self.names, self.given = tree, list(names), dict(given)
        check_lengths(**dict(zip(self.names, leaves(tree), strict=True)))

    @property
    def shape(self):
        """The number of rows, then a pair for each array: its name, and the shape of one of its rows."""
        return (len(self), *((name, array.shape[1:]) for name, array in self.arrays()))

    def arrays(self):
        """Pairs (name, array)."""
        return [(name, array) for name, array in zip(self.names, leaves(self.tree)) if array is not None]

    def mapped(self, function):
        """Several of `function(array)` for each array."""
        given = {name: function(array) for name, array in self.given.items()}
        return Several(mapped(lambda array: None if array is None else function(array), self.tree), self.names, given)

    def __len__(self):
        return len(self.arrays()[0][1])

    def __getitem__(self, rows):
        return self.mapped(lambda array: array[rows])

    def part(self, start, stop):
        """The rows from `start` to before `stop`, not copied."""
        return self.mapped(lambda array: part(array, start, stop))


def named_arrays(*batch):
    """{name: array} of (x, y, w): "x" of one array, "x/left" and "x/right" of Several; None is left out."""
    found = {}
    for name, whole in zip(("x", "y", "w"), batch, strict=False):
        if isinstance(whole, Several):
            found |= {f"{name}/{one}": array for one, array in whole.arrays()}
        elif whole is not None:
            found[name] = whole
    return found


def batch_of(found, *batch):
    """(x, y, w) in the form of `batch`, with the values that `found` has under the names of `named_arrays`."""
    return [mapped(found.get, names) for names in _layout(*batch)]


def _layout(*batch):
    """(x, y, w) with the name of each array in its place; None stays."""
    found = []
    for name, whole in zip(("x", "y", "w"), batch, strict=False):
        if isinstance(whole, Several):
            found.append(filled(whole.tree, [f"{name}/{one}" for one in whole.names]))
        else:
            found.append(None if whole is None else name)
    return found


def part(rows, start, stop):
    """The rows from `start` to before `stop` of an array, of LazyRows or of Several, not copied."""
    return rows[start:stop] if isinstance(rows, np.ndarray) else rows.part(start, stop)


def not_finite(rows, name, columns=None):
    """A sentence that says where the rows hold NaN or infinite values; None if they hold none."""
    step = max(1, CHUNK * len(rows) // (rows.size * rows.dtype.itemsize))
    bad, first = 0, None
    for start in range(0, len(rows), step):
        is_bad = ~np.isfinite(rows[start : start + step]).reshape(min(step, len(rows) - start), -1)
        if first is None and is_bad.any():
            first = start + int(is_bad.any(1).argmax())
        bad = bad + is_bad.sum(0)
    if first is None:
        return None
    holds = f"{name} holds {int(bad.sum())} values that are NaN or infinite"
    if len(rows.shape) > 2:
        *place, channel = np.argwhere(~np.isfinite(rows[first : first + 1][0]))[0].tolist()
        return f"{holds}, the first in row {first}, place {str(place)[1:-1]}, channel {channel}"
    where = [str(i) if columns is None else repr(columns[i]) for i in np.flatnonzero(bad)[:5]]
    more = ", ..." if np.count_nonzero(bad) > 5 else ""
    place = f" in column {', '.join(where)}{more}" if len(bad) > 1 else ""
    return f"{holds}{place}, the first in row {first}"


def warn_of_gaps(arrays, columns=None, where="", given=()):
    """Warn of NaN or infinity in the arrays, a dict from `named_arrays`; `columns` are the names of x's columns.

    If x was prepared of arrays `given`, and one of them holds the gaps, it is named in place of x.
    """

    def told(arrays):
        found = (not_finite(rows, name, columns if name == "x" else None) for name, rows in arrays.items())
        return [one for one in found if one]

    found = told({name if name == "x" else f"x[{name!r}]": rows for name, rows in dict(given).items()})
    arrays = {"sample_weight" + name[1:] if name[0] == "w" else name: rows for name, rows in arrays.items()}
    for one in found + told({name: rows for name, rows in arrays.items() if not (found and name[0] == "x")}):
        warn(f"{where}{one}: so the loss is not finite. Fill or drop what is missing first.")


def fit_rank(rows, expected):
    """Rows with a last axis of length 1 more or less, where that makes them fit the shape `expected`, as in Keras."""
    shape = shape_of_rank(rows.shape, expected)
    if isinstance(rows, LazyRows):
        return LazyRows(rows.take, shape, rows.dtype, rows.first)
    return rows.reshape(shape)


def as_texts(symbol, texts, name="x"):
    """Texts for an input of texts, not yet encoded, in an array that fits its shape.

    Raises:
        ValueError: they are no texts, or have another shape than the input.
    """
    if not is_strings(texts) and not hasattr(texts, "iloc"):
        kind = getattr(texts, "dtype", type(texts).__name__)
        raise ValueError(f"{name} must be texts, for Input {symbol.name!r} of dtype 'string'; got {kind}.")
    texts, expected = unencoded(texts), symbol.shape
    shape = shape_of_rank(texts.shape, expected)
    if len(shape) != len(expected) or any(e not in (None, n) for e, n in zip(expected, shape)):
        raise ValueError(f"{name} must be texts of shape {expected}, got shape {texts.shape}.")
    return texts.reshape(shape)


def shape_of_rank(shape, expected):
    """The shape with a last axis of length 1 more or less, where that makes it fit `expected`; else as it is."""
    for other in ((*shape, 1), shape[:-1] if shape[-1:] == (1,) else ()):
        if len(other) == len(expected) and all(e in (None, n) for e, n in zip(expected[1:], other[1:], strict=True)):
            return other
    return shape


def chunks(rows):
    """An iterable of arrays: an array itself, or LazyRows chunk by chunk."""
    if not isinstance(rows, LazyRows):
        return (rows,)
    step = max(1, CHUNK * len(rows) // (rows.size * rows.dtype.itemsize))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def is_array_like(value):
    """Whether `value` holds all rows at once (else it may be an iterable of batches)."""
    return (
        isinstance(value, (np.ndarray, Tensor, list, tuple, dict))
        or hasattr(value, "__array__")
        or hasattr(value, "to_numpy")
        or column_names(value) is not None
        or _is_sparse(value)
    )


def _is_sparse(value):
    return hasattr(value, "tocsr") and hasattr(value, "toarray")


def as_rows(value, name, dtype):
    """`value` as a C-contiguous array of `dtype` with rows along its first axis, copied only if necessary.

    If the copy would be larger than WHOLE, it is LazyRows instead.

    Args:
        value: an array, list, data frame, sparse matrix, or anything with `__array__`.
        name: its name in error messages: "x", "y", "sample_weight".

    Raises:
        ValueError: no rows, a scalar, or anything that is not real numbers.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.ndim and value.size and value.flags.c_contiguous:
        return value
    if isinstance(value, LazyRows):
        return value
    if isinstance(value, (list, tuple, dict)):
        value = _only_one(value, name)
    try:
        array = _open(value, dtype)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = _RAGGED if _is_ragged(value) else error
        raise ValueError(f"{name} can't be made an array of numbers: {reason}") from None
    if array.dtype.kind not in "fiub":
        if _is_ragged(array):
            raise ValueError(f"{name} can't be made an array of numbers: {_RAGGED}")
        hint = _WORDS if array.dtype.kind in "OUS" else ""
        raise ValueError(f"{name} must hold real numbers; got an array of dtype {array.dtype}.{hint}")
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows; got a single value.")
    if array.size == 0:
        raise ValueError(f"{name} is empty: it has shape {array.shape}.")
    if isinstance(array, np.ndarray):
        if array.dtype == dtype and array.flags.c_contiguous or not _is_large(array.shape, dtype):
            if array.dtype.kind == "f" and np.dtype(dtype).kind in "iu" and not np.isfinite(array).all():
                raise ValueError(f"{name} must hold integers; it holds values that are NaN or infinite.")
            return np.ascontiguousarray(array, dtype=dtype)
        array = LazyRows(array.__getitem__, array.shape, dtype)
    return array if _is_large(array.shape, dtype) else array[:]


def _is_ragged(rows):
    """Whether rows are lists or arrays, but not equally long."""
    if getattr(rows, "ndim", 1) != 1 or not isinstance(rows, (list, tuple, np.ndarray)):
        return False
    are_rows = all(isinstance(row, (list, tuple)) or getattr(row, "ndim", 0) for row in rows)
    return are_rows and len({len(row) for row in rows}) > 1


def _only_one(given, name):
    """The one array in a list or dict of arrays; a list of other things as it is."""
    is_dict = isinstance(given, dict)
    arrays = list(given.values()) if is_dict else given
    ranks = [getattr(array, "ndim", 0) for array in arrays]
    least = 1 if name == "y" else 2  # a list of flat arrays may be the rows of x
    if len(arrays) == 1 and (is_dict or ranks[0] >= least):
        if not is_dict:
            warn(f"{name} is a list holding one array; the array is used.")
        return arrays[0]
    if is_dict or (arrays and min(ranks) >= 2):
        raise ValueError(
            f"{name} is a {type(given).__name__} of {len(arrays)} arrays, but this model takes one there. Make a "
            "Model(inputs, outputs) of several inputs, or put them side by side: np.concatenate(arrays, axis=1). (If "
            "they are the rows: np.stack(arrays).)"
        )
    return given


def _is_large(shape, dtype):
    return math.prod(shape) * np.dtype(dtype).itemsize > WHOLE


def _open(value, dtype):
    """`value` as an array, or as LazyRows if it is not NumPy's and its rows can be read one by one."""
    if _is_sparse(value):
        if value.dtype.kind not in "fiub":
            raise ValueError(f"a sparse matrix of dtype {value.dtype}.")
        rows = value.tocsr()
        return LazyRows(lambda some: rows[some].toarray(), rows.shape, dtype)
    if column_names(value) is not None or hasattr(value, "iloc"):
        return _from_table(value, dtype)
    value = values_of(value)
    kind, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if isinstance(kind, np.dtype) and kind.kind in "fiub" and not isinstance(value, (np.ndarray, Tensor)) and (
        isinstance(shape, tuple) and shape and _is_large(shape, dtype)
    ):
        return LazyRows(value.__getitem__, shape, dtype)  # such as a dataset in an HDF5 file
    return np.asarray(value)


def _from_table(value, dtype):
    """The rows of a table, whose columns may differ in dtype, or of a series. Missing values become NaN."""
    is_series = column_names(value) is None
    dtypes = [value.dtype] if is_series else value.dtypes if hasattr(value, "iloc") else [None]
    if not all(getattr(kind, "kind", "O") in "fiub" for kind in dtypes):
        columns = {value.name: value} if is_series else columns_of(value)
        return np.stack([numbers_of(column, name).astype(dtype) for name, column in columns.items()], axis=1)
    shape = (len(value), 1) if is_series else value.shape  # a series is a column, as in Keras
    if np.dtype(dtype).kind != "f" and value.isna().any(axis=None):
        raise ValueError("integers are needed here, and some values are missing. Fill them, or drop their rows.")
    missing = {"na_value": np.nan} if np.dtype(dtype).kind == "f" else {}
    return LazyRows(lambda rows: value.iloc[rows].to_numpy(dtype=dtype, **missing), shape, dtype)


def check_lengths(**arrays):
    """Raise a ValueError unless all arrays that are not None have the same number of rows."""
    lengths = set()
    for array in arrays.values():
        if array is not None:
            lengths.add(array.shape[0])
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} has {array.shape[0]}" for name, array in arrays.items() if array is not None)
        raise ValueError(f"Data cardinality is ambiguous: all must have the same number of rows, but {sizes}.")


def class_weights(y, class_weight):
    """The weight of each row: that of its class, or 1 if the dict does not have the class."""
    try:
        table = {int(k): float(v) for k, v in class_weight.items()}
        if any(int(k) != float(k) for k in class_weight):
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"class_weight must be a dict from class (int) to weight, got {class_weight!r}.") from None
    return np.concatenate([_weights_of(some, table) for some in chunks(y)])


def _weights_of(y, table):
    if y.ndim > 1 and y.shape[-1] != 1:
        classes = y.argmax(-1)
    else:
        classes = np.rint(y.reshape(len(y), -1)[:, 0]).astype(np.int64)
    weights = np.ones(classes.shape, y.dtype)
    for label, weight in table.items():
        weights[classes == label] = weight
    return weights


def pack_x_y_sample_weight(x, y=None, sample_weight=None):
    """The data of a step: (x, y), (x, y, sample_weight), or x alone (in a tuple if it is a list or tuple)."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else x


def unpack_x_y_sample_weight(data):
    """(x, y, sample_weight) of the data of a step; None for those that are missing.

    Raises:
        ValueError: a tuple of another length.
    """
    data = tuple(data) if isinstance(data, (list, tuple)) else (data,)
    if not 1 <= len(data) <= 3:
        raise ValueError(f"A batch must be x, (x, y) or (x, y, sample_weight); got {len(data)} elements.")
    return (*data, None, None)[:3]


def split_batch(batch):
    """(x, y, sample_weight) of a batch that an iterable yields: a tuple of one to three elements, or an array."""
    if isinstance(batch, dict) or not is_array_like(batch):
        raise ValueError(f"A batch must be a tuple (x, y) or (x, y, sample_weight); got {type(batch).__name__}.")
    return unpack_x_y_sample_weight(batch)


class Rows:
    """All rows of a `fit`, and the order in which they are taken.

    A launch gathers the next batch, so that a replay needs no Python between batches: element `cursor + i` of `order`
    is the number of the i-th row of the batch in x, y and w. LazyRows are first converted into arrays called the stage,
    some megabytes at a time and already in order; a replay then takes them from there one after the other.
    """

    def __init__(self, x, y, w, batch_size, columns=None):
        self.columns = columns  # the names of x's columns
        self._prepared_of = getattr(x, "given", {})
        given, self._layout = named_arrays(x, y, w), _layout(x, y, w)
        self.shapes = {name: a.shape[1:] for name, a in given.items()}
        self.size = len(x)
        self.order = np.arange(self.size, dtype=np.int64).reshape(-1, 1)
        self.cursor = np.zeros((1, 1), np.int64)
        self.arrays, self._sources = {}, None
        must_stage = any(isinstance(a, LazyRows) for a in given.values())
        for name, a in given.items() if not must_stage else ():
            # An autoencoder's x is its y, but a Program tells its inputs apart by their addresses.
            if any(np.may_share_memory(a, other) for other in self.arrays.values()):
                must_stage = must_stage or _is_large(a.shape, a.dtype)
                a = a if must_stage else a.copy()
            self.arrays[name] = a.reshape(len(a), -1)
        if must_stage:
            self._sources = given
            row = sum(a.size // len(a) * a.dtype.itemsize for a in given.values())
            room = min(self.size, max(1, CHUNK // (row * batch_size)) * batch_size)
            self.arrays = {name: np.empty((room, math.prod(a.shape[1:])), a.dtype) for name, a in given.items()}
            self._in_turn = np.arange(room, dtype=np.int64).reshape(-1, 1)
        self.is_staged = must_stage  # whether a replay can't take all rows, but only those that were converted
        self._first = self._staged = 0  # the rows on the stage: the place of the first in `order`, and their number

    def warn_of_gaps(self):
        """Warn if the data holds NaN or infinity. This reads all of it."""
        arrays = {name: array.reshape(-1, *self.shapes[name]) for name, array in self.arrays.items()}
        warn_of_gaps(self._sources or arrays, self.columns, given=self._prepared_of)

    @property
    def inputs(self):
        """The arrays that a Program may exchange for those of another `fit`."""
        return {**self.arrays, "order": self._places, "cursor": self.cursor}

    @property
    def _places(self):
        """The order in which rows are taken from `arrays`."""
        return self._in_turn if self.is_staged else self.order

    @property
    def position(self):
        """How many rows of this pass have been taken."""
        return self._first + int(self.cursor[0, 0])

    def go_to(self, position, order=None):
        """Go on with the row at `position` of `order`."""
        if order is not None:
            self.order[:, 0] = order
        self._first, self._staged = position if self.is_staged else 0, 0
        self.cursor[0, 0] = position - self._first

    def begin(self, order):
        """Start a pass over the rows with these numbers: some of them, or one several times."""
        self.order, self.size = np.ascontiguousarray(order, np.int64).reshape(-1, 1), len(order)
        self.go_to(0)

    def shuffle(self, how, batch_size, generator):
        """Start a pass over all rows: in order, shuffled, or (how="batch") shuffled within each batch."""
        if how:
            seed = generator.integers(2**64, size=(1, 1), dtype=np.uint64)
            launch(K.shuffle, seed, constant(np.int64, batch_size if how == "batch" else self.size), self.order)
            self.go_to(0)
        else:
            self.go_to(0, np.arange(self.size))

    def ready(self, rows):
        """How many batches of `rows` rows a replay may take now; at least one such batch must be left."""
        if not self.is_staged:
            return (self.size - self.position) // rows
        if self._staged - self.cursor[0, 0] < rows:
            self._fill()
        return int(self._staged - self.cursor[0, 0]) // rows

    def _fill(self):
        """Bring the next rows to the stage. They are read in the order in which they lie, which is faster on disks."""
        self.go_to(self.position)
        order = self.order[self._first : self._first + len(self._in_turn), 0]
        self._staged = len(order)
        by_row = np.argsort(order)
        rows = order[by_row]
        if rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            rows = slice(rows[0], rows[-1] + 1)
        for name, source in self._sources.items():
            self.arrays[name][by_row] = source[rows].reshape(self._staged, -1)

    def next_batch(self, rows):
        """Launch the gathering of the next `rows` rows. Returns (x, y, w) as tensors; None for those missing.

        Of several processes, each gathers its part of them.
        """
        found, cursor = {}, self.cursor
        if world.size > 1:
            rows, cursor = rows // world.size, np.zeros((1, 1), np.int64)
            launch(K.ahead, self.cursor, constant(np.int64, world.rank * rows), cursor)
        for name, source in self.arrays.items():
            target = empty((rows, source.shape[1]), source.dtype)
            launch(K.gather_rows, source, self._places, cursor, target)
            found[name] = constant_tensor(target.reshape(rows, *self.shapes[name]))
        return [mapped(found.get, names) for names in self._layout]
