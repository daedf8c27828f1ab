"""The batches of an ImageDataGenerator from picture files: those in a folder, or those that a data frame names."""

import os

import numpy as np

from minigrad.checks import warn
from minigrad.preprocessing.image.files import channels_of, checked_size, img_to_array, load_img
from minigrad.preprocessing.image.iterators import Pictures, split
from minigrad.utils.directories import files_below

_WITHOUT_CLASSES = ("input", "multi_output", "raw", None)


class _Files(Pictures):
    """Batches of picture files. A subclass first finds `directory`, `filenames` and their classes."""

    _modes = ("categorical", "binary", "sparse", "input", None)
    sample_weight = None

    def __init__(self, generator, target_size, color_mode, class_mode, interpolation, keep_aspect_ratio, **options):
        if class_mode not in self._modes:
            raise ValueError(f"class_mode must be one of {', '.join(map(repr, self._modes))}; got {class_mode!r}.")
        self.target_size, self.color_mode = checked_size(target_size, "target_size"), color_mode
        self.class_mode, self.interpolation, self.keep_aspect_ratio = class_mode, interpolation, keep_aspect_ratio
        self.samples = len(self.filenames)
        self.filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        shape = (*self.target_size, channels_of(color_mode))
        super().__init__(generator, self.samples, shape, **options)

    @property
    def labels(self):
        """The class of each file; or its targets, where these are no classes."""
        return self._values if self.class_mode in ("multi_output", "raw") else self.classes

    def _picture(self, row):
        path, size = self.filepaths[row], self.target_size
        with load_img(path, self.color_mode, size, self.interpolation, self.keep_aspect_ratio) as img:
            return img_to_array(img)

    def _targets(self, rows, x):
        mode = self.class_mode
        if mode is None:
            return x
        if mode == "input":
            y = x.copy()
        elif mode == "multi_output":
            y = [values[rows] for values in self.labels]
        elif mode == "raw":
            y = self.labels[rows]
        elif mode == "categorical":
            y = np.zeros((len(rows), len(self.class_indices)), self.dtype)
            for one, row in zip(y, rows):
                one[self.classes[row]] = 1
        else:
            y = np.array([self.classes[row] for row in rows], self.dtype)
        return (x, y) if self.sample_weight is None else (x, y, self.sample_weight[rows])


class DirectoryIterator(_Files):
    """Batches (x, y) of the pictures in a folder that has a folder for each class.

    `class_indices` is a dict from the name of a class to its number, `classes` the number of each file, `filenames` the
    files, `samples` and `n` how many there are.

    Args:
        target_size, color_mode, interpolation, keep_aspect_ratio: how the files are read, see `load_img`.
        classes: the folders, in the order of their numbers; by default all, sorted.
        class_mode: "categorical" (one-hot rows), "binary" or "sparse" (numbers), "input" (y is x), or None (x alone).
        follow_links: whether links to folders are followed.
        subset: "training" or "validation", of each class.
        For the others see `NumpyArrayIterator`.
    """

    def __init__(
        self, directory, image_data_generator, target_size=(256, 256), color_mode="rgb", classes=None,
        class_mode="categorical", batch_size=32, shuffle=True, seed=None, data_format=None, save_to_dir=None,
        save_prefix="", save_format="png", follow_links=False, subset=None, interpolation="nearest",
        keep_aspect_ratio=False, dtype=None,
    ):  # fmt: skip
        self.directory = os.fspath(directory)
        folders = [one.name for one in os.scandir(self.directory) if one.is_dir()]
        names = list(classes) if classes else sorted(folders)
        self.num_classes, self.class_indices = len(names), {name: i for i, name in enumerate(names)}
        self.filenames, numbers = [], []
        for name, number in self.class_indices.items():
            found = files_below(os.path.join(self.directory, name), self.white_list_formats, follow_links)
            found = found if subset is None else found[slice(*split(subset, image_data_generator, len(found)))]
            self.filenames += [os.path.relpath(path, self.directory) for path in found]
            numbers += [number] * len(found)
        self.classes = np.array(numbers, "int32")
        super().__init__(
            image_data_generator, target_size, color_mode, class_mode, interpolation, keep_aspect_ratio,
            batch_size=batch_size, shuffle=shuffle, seed=seed, saving=(save_to_dir, save_prefix, save_format),
            data_format=data_format, dtype=dtype,
        )  # fmt: skip
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")


class DataFrameIterator(_Files):
    """Batches (x, y) or (x, y, sample_weight) of the pictures whose files a data frame names.

    Args:
        directory: what the names in column x_col are relative to; None if they are whole paths.
        y_col: the column of the targets, or a list of columns. weight_col: that of the sample weights.
        classes: which classes there are, in the order of their numbers; by default all, sorted. Rows of others are left
            out.
        class_mode: that of DirectoryIterator, of words (for "categorical", also lists of words); "raw": y is what the
            columns hold; "multi_output": y is a list with an array for each column.
        validate_filenames: leave out rows whose file is not there, or no picture by its name.
        For the others see `DirectoryIterator`.
    """

    _modes = ("categorical", "binary", "sparse", *_WITHOUT_CLASSES)

    def __init__(
        self, dataframe, directory=None, image_data_generator=None, x_col="filename", y_col="class", weight_col=None,
        target_size=(256, 256), color_mode="rgb", classes=None, class_mode="categorical", batch_size=32, shuffle=True,
        seed=None, data_format=None, save_to_dir=None, save_prefix="", save_format="png", subset=None,
        interpolation="nearest", keep_aspect_ratio=False, dtype=None, validate_filenames=True,
    ):  # fmt: skip
        self.directory = os.fspath(directory or "")
        df = dataframe
        if not all(isinstance(name, str) for name in df[x_col]):
            raise TypeError(f"flow_from_dataframe: the column x_col={x_col!r} must hold names of files, as strings.")
        if class_mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(f"flow_from_dataframe: class_mode='multi_output' needs a list of columns, got {y_col!r}.")
        if weight_col and df[weight_col].dtype.kind not in "fiub":
            raise TypeError(f"flow_from_dataframe: the column weight_col={weight_col!r} must hold numbers.")
        if validate_filenames:
            df = df[[self._is_picture(name) for name in df[x_col]]]
            if len(df) < len(dataframe):
                missing = len(dataframe) - len(df)
                warn(f"flow_from_dataframe: {missing} files of x_col={x_col!r} are not there, or no pictures.")
        if class_mode not in _WITHOUT_CLASSES:
            _check_labels(df[y_col], y_col, class_mode, classes)
            labels = [[label] if isinstance(label, str) else list(label) for label in df[y_col]]
            names = list(dict.fromkeys(classes or sorted({name for row in labels for name in row})))
            self.num_classes, self.class_indices = len(names), {name: i for i, name in enumerate(names)}
            labels = [[name for name in row if name in self.class_indices] for row in labels]
            df = df[[len(row) > 0 for row in labels]]
        elif classes:
            warn(f"flow_from_dataframe: classes have no effect with class_mode={class_mode!r}.")
        if subset is not None:
            df = df.iloc[slice(*split(subset, image_data_generator, len(df)))]
        self.filenames = df[x_col].tolist()
        if class_mode not in _WITHOUT_CLASSES:
            self.classes = [
                self.class_indices[label] if isinstance(label, str)
                else [self.class_indices[name] for name in label if name in self.class_indices] for label in df[y_col]
            ]  # fmt: skip
        elif class_mode == "multi_output":
            self._values = [np.array(df[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._values = df[y_col].values
        super().__init__(
            image_data_generator, target_size, color_mode, class_mode, interpolation, keep_aspect_ratio,
            batch_size=batch_size, shuffle=shuffle, seed=seed, saving=(save_to_dir, save_prefix, save_format),
            data_format=data_format, dtype=dtype,
        )  # fmt: skip
        self.sample_weight = df[weight_col].values if weight_col else None
        kind = "validated" if validate_filenames else "non-validated"
        belonging = "" if class_mode in _WITHOUT_CLASSES else f" belonging to {self.num_classes} classes"
        print(f"Found {self.samples} {kind} image filenames{belonging}.")

    def _is_picture(self, name):
        path = os.path.join(self.directory, name)
        return path.lower().endswith(self.white_list_formats) and os.path.isfile(path)


def _check_labels(labels, column, class_mode, classes):
    """Raise an error unless the labels are words; for "categorical" lists of words, too; for "binary" of two."""
    kinds = (str, list, tuple) if class_mode == "categorical" else str
    if not all(isinstance(label, kinds) for label in labels):
        raise TypeError(
            f"flow_from_dataframe: class_mode={class_mode!r} takes words as classes, but y_col={column!r} holds "
            f"something else: df[{column!r}].astype(str) makes words of numbers. For numbers as they are, use "
            "class_mode='raw'."
        )
    count = len(set(classes or labels)) if class_mode == "binary" else 2
    if count != 2:
        raise ValueError(f"flow_from_dataframe: class_mode='binary' needs two classes, got {count}.")
