"""Files in folders, one folder per class: their paths and labels, and which of them are for validation."""

import os

import numpy as np

from minigrad import config


def labeled_files(directory, formats, labels, label_mode, class_names, shuffle, seed, validation_split, subset,
                  follow_links, verbose):
    """What a data set of files in folders, one folder per class, is made of.

    Args:
        formats: a tuple of endings in lower case, such as (".txt",). The other arguments are those of
            `text_dataset_from_directory`.

    Returns:
        (class names, seed, parts), the seed drawn if none is given. A part is (subset, paths, labels as rows for a
        loss, or None); of subset="both" there are two. With `shuffle`, the files come in the order that the seed
        draws, which is Keras' order.

    Raises:
        ValueError: no files, or arguments that do not fit each other.
    """
    if labels not in ("inferred", None) and not isinstance(labels, (list, tuple)):
        raise ValueError(f"labels must be 'inferred', None or a list with a label per file; got {labels!r}.")
    if label_mode not in ("int", "binary", "categorical", None):
        raise ValueError(f"label_mode must be 'int', 'binary', 'categorical' or None, got {label_mode!r}.")
    _check_split(validation_split, subset, shuffle, seed)
    seed = int(config.generator().integers(10**6)) if seed is None else seed
    labels = None if label_mode is None else labels
    paths, labels, class_names = _found(os.fspath(directory), formats, labels, class_names, follow_links)
    if verbose:
        print(f"Found {len(paths)} files{'' if labels is None else f' belonging to {len(class_names)} classes'}.")
    if labels is not None and label_mode == "binary" and len(class_names) != 2:
        raise ValueError(f"label_mode='binary' is for two classes; {directory!r} has {class_names}.")
    order = np.random.RandomState(seed).permutation(len(paths)) if shuffle else np.arange(len(paths))
    held_out = int(validation_split * len(paths)) if validation_split else 0
    parts = []
    for part in ("training", "validation") if subset == "both" else (subset,):
        chosen = order[len(order) - held_out :] if part == "validation" else order[: len(order) - held_out]
        if part is not None:
            print(f"Using {len(chosen)} files for {part}.")
        if not len(chosen):
            which = f"{part} files" if part else "files"
            raise ValueError(f"There are no {which} below {directory!r} that end in {', '.join(formats)}.")
        rows = None if labels is None else _encoded(labels[chosen], label_mode, len(class_names))
        parts.append((part, [paths[i] for i in chosen], rows))
    return class_names, seed, parts


def _check_split(validation_split, subset, shuffle, seed):
    """Raise a ValueError unless these arguments fit each other."""
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {validation_split!r}.")
    if bool(validation_split) != bool(subset):
        raise ValueError("validation_split and subset must both be given, or neither of them.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f"subset must be 'training', 'validation' or 'both', got {subset!r}.")
    if validation_split and shuffle and seed is None:
        raise ValueError("With validation_split and shuffle, give a seed, so that the two subsets do not overlap.")


def _found(directory, formats, labels, class_names, follow_links):
    """(paths, labels, class names) of the files below a folder, in the order of their paths."""
    folders = [""]
    if labels == "inferred":
        folders = sorted(name for name in os.listdir(directory) if os.path.isdir(os.path.join(directory, name)))
        folders = [name for name in folders if not name.startswith(".")]
        if class_names is not None and not set(class_names) <= set(folders):
            raise ValueError(
                f"class_names must name folders in {directory!r}, which are {folders}; got {list(class_names)}."
            )
        folders = folders if class_names is None else list(class_names)
    elif class_names is not None:
        raise ValueError("class_names can be given with labels='inferred' only.")
    found = [files_below(os.path.join(directory, folder) if folder else directory, formats, follow_links)
             for folder in folders]
    paths = [path for one in found for path in one]
    if labels == "inferred":
        labels, class_names = np.repeat(np.arange(len(folders), dtype="int32"), [len(one) for one in found]), folders
    elif labels is not None:
        if len(labels) != len(paths):
            raise ValueError(f"labels must be one per file: {directory!r} has {len(paths)} files, got {len(labels)}.")
        class_names, labels = [str(label) for label in sorted(set(labels))], np.asarray(labels)
    return paths, labels, class_names


def files_below(folder, formats, follow_links):
    """The sorted paths of the files in a folder and in those below it."""
    walk = sorted(os.walk(folder, followlinks=follow_links), key=lambda step: step[0])
    return [os.path.join(root, name) for root, _, names in walk for name in sorted(names)
            if name.lower().endswith(formats)]


def _encoded(labels, label_mode, count):
    """Labels as rows for a loss: int32 (int), a float32 column (binary), or one-hot rows of `count` (categorical)."""
    if label_mode == "binary":
        return labels.astype("float32")[:, None]
    return np.eye(count, dtype="float32")[labels] if label_mode == "categorical" else labels.astype("int32")
