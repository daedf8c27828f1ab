"""Files in folders, one folder per class: their paths and labels, and which of them are for validation."""

import os

import numpy as np

from minigrad import config


def files_and_labels(directory, labels, formats, class_names=None, shuffle=True, seed=None, follow_links=False,
                     verbose=True):
    """(paths, labels, class names) of the files below a folder whose names end as one of `formats` says.

    Args:
        labels: "inferred": the number of the folder that a file lies in; None: there are none; or a list of a label
            per file, in the order of their sorted paths.
        formats: a tuple of endings in lower case, such as (".txt",).
        class_names: the folders of the classes in the wanted order, by default all in alphabetical order.
        shuffle, seed: whether the files come in the order that `seed` draws, which is Keras' order.

    Raises:
        ValueError: class names that are no folders, or another number of labels than of files.
    """
    directory = os.fspath(directory)
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
    if verbose:
        print(f"Found {len(paths)} files{'' if labels is None else f' belonging to {len(class_names)} classes'}.")
    if shuffle:
        order = np.random.RandomState(new_seed() if seed is None else seed).permutation(len(paths))
        paths, labels = [paths[i] for i in order], None if labels is None else labels[order]
    return paths, labels, class_names


def new_seed():
    """A seed drawn from the global generator."""
    return int(config.generator().integers(10**6))


def files_below(folder, formats, follow_links):
    """The sorted paths of the files in a folder and in those below it."""
    walk = sorted(os.walk(folder, followlinks=follow_links), key=lambda step: step[0])
    return [os.path.join(root, name) for root, _, names in walk for name in sorted(names)
            if name.lower().endswith(formats)]


def check_split(validation_split, subset, shuffle, seed):
    """Raise a ValueError unless these arguments fit each other."""
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {validation_split!r}.")
    if bool(validation_split) != bool(subset):
        raise ValueError("validation_split and subset must both be given, or neither of them.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f"subset must be 'training', 'validation' or 'both', got {subset!r}.")
    if validation_split and shuffle and seed is None:
        raise ValueError("With validation_split and shuffle, give a seed, so that the two subsets do not overlap.")


def split(paths, labels, validation_split, subset):
    """The first (subset="training") or last files with their labels, of which a share is for validation."""
    if not validation_split:
        return paths, labels
    count = int(validation_split * len(paths))
    is_training = subset == "training"
    print(f"Using {len(paths) - count if is_training else count} files for {subset}.")
    chosen = slice(None, len(paths) - count) if is_training else slice(len(paths) - count, None)
    return paths[chosen], None if labels is None else labels[chosen]


def encoded_labels(labels, label_mode, count):
    """Labels as rows for a loss: int32 (int), a float32 column (binary), or one-hot rows of `count` (categorical)."""
    if label_mode == "binary":
        return labels.astype("float32")[:, None]
    return np.eye(count, dtype="float32")[labels] if label_mode == "categorical" else labels.astype("int32")
