"""What scripts use of `tf.io` and `tf.data` on local files: bytes, lines, and tables with a comma between columns."""

import csv
import glob
import os
import shutil

import numpy as np

from minigrad.saving import files
from minigrad.texts import decode, strings
from minigrad.utils.elements import TensorSpec, as_array, shown, spec_of
from minigrad.utils.pipeline import AUTOTUNE, Dataset


def _paths(names):
    """The names of files: a path, a text or an array of texts."""
    names = os.fspath(names) if hasattr(names, "__fspath__") else names
    return [decode(name) for name in strings(names).ravel().tolist()]


def _path(name):
    (path,) = _paths(name)
    return path


def read_file(filename, name=None):
    """The bytes of a file."""
    with open(_path(filename), "rb") as file:
        return strings(file.read())


def write_file(filename, contents, name=None):
    """Write bytes to a file."""
    files.write(_path(filename), strings(contents).item())


def matching_files(pattern, name=None):
    """The sorted names of the files that fit a pattern, or one of several."""
    return strings([name for one in _paths(pattern) for name in sorted(glob.glob(one))])


def text_lines(filenames, compression_type=None, buffer_size=None, num_parallel_reads=None, name=None):
    """A Dataset of the lines of one or several files."""

    def lines():
        for path in _paths(filenames):
            with open(path, "rb") as file:
                yield from (strings(line.rstrip(b"\r\n")) for line in file)

    return Dataset(lines, spec=lambda: TensorSpec((), "string"))


# ------------------------------------------------------------------------------------------------------- tables


def decode_csv(
    records, record_defaults, field_delim=",", use_quote_delim=True, na_value="", select_cols=None, name=None
):
    """The columns of lines of a table: a list of tensors in the shape of `records`.

    Args:
        record_defaults: for each column a value, which an empty field gets; or a dtype, if no field may be empty.
        select_cols: the numbers of the columns to take, by default all.

    Raises:
        ValueError: a line has another number of fields, or a field that is empty or no number.
    """
    lines = strings(records)
    rows = _rows(lines.ravel().tolist(), field_delim, use_quote_delim)
    columns = _columns(rows, [_kind(one) for one in record_defaults], select_cols, na_value)
    return [shown(column.reshape(lines.shape)) for column in columns]


def _rows(lines, delimiter, has_quotes):
    """The fields of each line."""
    quoting = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    return list(csv.reader(map(decode, lines), delimiter=delimiter, quoting=quoting))


def _kind(default):
    """(name of the dtype, default value or None) that a dtype or a default value of `decode_csv` tells."""
    if hasattr(type(default), "as_numpy_dtype"):
        return str(default), None
    array = as_array(default).ravel()
    value = array.tolist()[0] if array.size else None
    return spec_of(array).dtype, value


def _columns(rows, kinds, chosen=None, na_value=""):
    """The columns of rows as arrays; `chosen` are their numbers, `kinds` pairs (dtype, default)."""
    for i, row in enumerate(rows) if chosen is None else ():
        if len(row) != len(kinds):
            raise ValueError(f"A table of {len(kinds)} columns has {len(row)} fields in line {i}: {row[:20]}")
    numbers = range(len(kinds)) if chosen is None else chosen
    return [_column([row[i] for row in rows], i, *kind, na_value) for i, kind in zip(numbers, kinds, strict=True)]


def _column(texts, number, dtype, default, na_value):
    is_empty = [text in ("", na_value) for text in texts]
    if any(is_empty) and default is None:
        raise ValueError(f"Column {number} of the table must not be empty, but it is in line {is_empty.index(True)}.")
    if any(is_empty):
        default = decode(default) if dtype == "string" else str(default)
        texts = [default if empty else text for text, empty in zip(texts, is_empty)]
    try:
        return strings(texts) if dtype == "string" else np.array(texts, str).astype(dtype)
    except ValueError as error:
        raise ValueError(f"Column {number} of the table holds no numbers of {dtype}: {error}") from None


def _inferred(texts, na_value):
    """(dtype, default) of a column: the narrowest dtype that holds all of its texts."""
    texts = [text for text in texts if text not in ("", na_value)]
    for dtype in ("int32", "int64", "float32", "float64"):
        try:
            found = np.array(texts, str).astype("int64" if dtype[0] == "i" else "float64")
        except (ValueError, OverflowError):
            continue
        limits = (np.iinfo if dtype[0] == "i" else np.finfo)(dtype)
        if (np.abs(found) <= limits.max).all():
            return dtype, 0
    return "string", ""


def make_csv_dataset(
    file_pattern, batch_size, column_names=None, column_defaults=None, label_name=None, select_columns=None,
    field_delim=",", use_quote_delim=True, na_value="", header=True, num_epochs=None, shuffle=True,
    shuffle_buffer_size=10000, shuffle_seed=None, num_rows_for_inference=100, **options,
):  # fmt: skip
    """A Dataset of batches of the rows of tables: a dict of columns or, with label_name, a pair (dict, labels).

    The files are read at once. The Dataset has no end unless `num_epochs` is given. See TensorFlow for the arguments;
    `options` (how to read in parallel, what to prefetch) have no effect.

    Raises:
        ValueError: there is no file, or no such column; a field does not fit its column.
    """
    paths, rows = matching_files(file_pattern).tolist(), []
    if not paths:
        raise ValueError(f"make_csv_dataset: there is no file {' or '.join(_paths(file_pattern))}.")
    for path in paths:
        with open(path, "rb") as file:
            lines = _rows(file.read().splitlines(), field_delim, use_quote_delim)
        column_names = lines[0] if column_names is None else column_names
        rows += lines[1:] if header else lines
    chosen = list(range(len(column_names))) if select_columns is None else [
        one if isinstance(one, int) else _place(column_names, one, "select_columns") for one in select_columns
    ]
    names = [column_names[i] for i in chosen]
    if column_defaults is None:
        some = rows[: num_rows_for_inference or len(rows)]
        kinds = [_inferred([row[i] for row in some], na_value) for i in chosen]
    else:
        kinds = [_kind(one) for one in column_defaults]
    columns = dict(zip(names, _columns(rows, kinds, chosen, na_value), strict=True))
    if label_name is not None:
        _place(names, label_name, "label_name")
        columns = columns, columns.pop(label_name)
    data = Dataset.from_tensor_slices(columns)
    if shuffle:
        data = data.shuffle(shuffle_buffer_size, shuffle_seed)
    return data.repeat(num_epochs).batch(batch_size, drop_remainder=num_epochs is None)


def _place(names, name, argument):
    if name not in names:
        raise ValueError(f"make_csv_dataset: {argument} {name!r} is none of the columns {list(names)}.")
    return list(names).index(name)


def csv_lines(
    filenames, record_defaults, compression_type=None, buffer_size=None, header=False, field_delim=",",
    use_quote_delim=True, na_value="", select_cols=None, **options,
):  # fmt: skip
    """A Dataset of the rows of tables, tuples of fields. See `decode_csv`."""
    rows = []
    for path in _paths(filenames):
        with open(path, "rb") as file:
            rows += _rows(file.read().splitlines(), field_delim, use_quote_delim)[bool(header) :]
    kinds = [_kind(one) for one in record_defaults]
    return Dataset.from_tensor_slices(tuple(_columns(rows, kinds, select_cols, na_value)))


def assert_cardinality(expected_cardinality):
    """For `apply`: a Dataset that is said to have so many elements."""
    return lambda data: Dataset(data._make, int(expected_cardinality), data._passes, lambda: data.element_spec)


def _applied(method):
    """A method of Dataset as the older function, which returns a function for `apply`."""
    return lambda *args, **kwargs: lambda data: method(data, *args, **kwargs)


class Options:
    """tf.data.Options: settings of any name, which have no effect."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        vars(self)[name] = Options()
        return vars(self)[name]


def functions():
    """{name below tf: what stands there}."""
    gfile = {
        "GFile": open, "copy": shutil.copy, "exists": os.path.exists, "glob": glob.glob, "isdir": os.path.isdir,
        "join": os.path.join, "listdir": os.listdir, "makedirs": lambda path: os.makedirs(path, exist_ok=True),
        "mkdir": os.mkdir, "remove": os.remove, "rename": os.rename, "rmtree": shutil.rmtree,
    }  # fmt: skip
    return {
        **{f"io.{one.__name__}": one for one in (decode_csv, matching_files, read_file, write_file)},
        **{f"io.gfile.{name}": function for name, function in gfile.items()},
        "data.Dataset": Dataset,
        "data.INFINITE_CARDINALITY": -1,
        "data.Options": Options,
        "data.TextLineDataset": text_lines,
        "data.UNKNOWN_CARDINALITY": -2,
        **dict.fromkeys(("data.AUTOTUNE", "data.experimental.AUTOTUNE"), AUTOTUNE),
        "data.experimental.AutoShardPolicy": Options(),
        "data.experimental.Counter": Dataset.counter,
        "data.experimental.CsvDataset": csv_lines,
        "data.experimental.assert_cardinality": assert_cardinality,
        "data.experimental.bucket_by_sequence_length": _applied(Dataset.bucket_by_sequence_length),
        "data.experimental.cardinality": Dataset.cardinality,
        "data.experimental.choose_from_datasets": Dataset.choose_from_datasets,
        "data.experimental.group_by_window": _applied(Dataset.group_by_window),
        "data.experimental.make_csv_dataset": make_csv_dataset,
        "data.experimental.sample_from_datasets": Dataset.sample_from_datasets,
    }
