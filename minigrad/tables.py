"""Tables: data frames of pandas and polars, tables of pyarrow; their columns as arrays. None of these is imported."""

import numpy as np

from minigrad.tensor import Tensor

_WORDS = (
    "Words must become numbers first: StringLookup behind an Input((1,), dtype='string') of its own looks up the words "
    "of a column, TextVectorization those of texts, and keras.utils.FeatureSpace encodes a whole table; labels become "
    "numbers by np.unique(y, return_inverse=True)[1]."
)
_DATES = (
    "Take numbers of dates, such as column.dt.year, column.dt.dayofweek, or (column - column.min()).dt.days, and put "
    "IntegerLookup or Normalization behind."
)


def column_names(table):
    """The names of the columns of a table; None for anything else."""
    if hasattr(table, "iloc"):  # of pandas
        return list(table.columns) if table.ndim == 2 else None
    names = getattr(table, "column_names", None)  # of pyarrow, and of datasets of Hugging Face
    names = getattr(table, "columns", None) if names is None else names
    return None if names is None or not hasattr(table, "__getitem__") else list(names)


def columns_of(table):
    """{name: column} of a table; None for anything else."""
    names = column_names(table)
    return None if names is None else {name: table[name] for name in names}


def _is_lazy(column):
    """Whether it is a column of a data set of Hugging Face, which reads its values one by one."""
    return hasattr(column, "source") and hasattr(column, "column_name")


def values_of(column):
    """The values of a column as an array; anything else as it is. Of categories there are the values, not the codes."""
    if _is_lazy(column):
        return np.asarray(list(column))
    if isinstance(column, (np.ndarray, Tensor)) or not hasattr(column, "to_numpy") or column_names(column) is not None:
        return column
    if type(column).__module__.startswith("pyarrow"):
        if hasattr(column, "cast") and hasattr(column.type, "value_type"):  # a dictionary
            column = column.cast(column.type.value_type)
        return column.to_numpy(zero_copy_only=False)
    if not hasattr(column, "iloc") or isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if hasattr(column.dtype, "categories"):
        codes, words = column.cat.codes.to_numpy(), column.cat.categories.to_numpy()
        if codes.min(initial=0) == 0:
            return words[codes]
        words = words.astype(np.float64 if words.dtype.kind in "fiub" else object)
        return np.append(words, np.array([None], words.dtype))[codes]  # code -1 is what is missing
    is_number = getattr(column.dtype, "kind", "O") in "fiub"
    if not is_number:
        return column.to_numpy()
    return column.to_numpy(np.float64, na_value=np.nan) if column.hasnans else column.to_numpy(column.dtype.numpy_dtype)


def numbers_of(column, name):
    """The values of a column as numbers. Missing ones are NaN.

    Raises:
        ValueError: some are none; it says which layer helps.
    """
    array = np.asarray(values_of(column))
    if array.dtype.kind in "fiub":
        return array
    kinds = set(map(type, array.ravel().tolist())) if array.dtype.kind == "O" else {array.dtype.type}
    missing = {kind for kind in kinds if kind is type(None) or kind.__name__ == "NAType"}
    if array.dtype.kind == "O" and all(hasattr(k, "__float__") and not hasattr(k, "shape") for k in kinds - missing):
        found = [np.nan if type(one) in missing else float(one) for one in array.ravel().tolist()]
        return np.array(found).reshape(array.shape)
    is_dates = array.dtype.kind in "mM" or any(hasattr(kind, "day") or hasattr(kind, "days") for kind in kinds)
    raise ValueError(
        f"column {name!r} has dtype {getattr(column, 'dtype', array.dtype)}. {_DATES if is_dates else _WORDS}"
    )
