"""Seeds, names, labels, progress and gradient checks."""

import random

import numpy as np

from minigrad import config
from minigrad.registry import custom_object_scope, register_keras_serializable, reset_names
from minigrad.utils.dataset import PyDataset, Sequence
from minigrad.utils.gradcheck import gradcheck
from minigrad.utils.progbar import Progbar
from minigrad.utils.summary import print_summary

CustomObjectScope = custom_object_scope


def set_random_seed(seed):
    """Seed Python, NumPy and minigrad: what follows repeats to the bit.

    Args:
        seed: an int in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed expects an int in [0, 2**32), got {seed!r}.")
    random.seed(int(seed))
    np.random.seed(int(seed))
    config.set_seed(int(seed))


def clear_session(free_memory=True):
    """Start automatic names (dense, dense_1, ...) anew. There is no other global state to clear."""
    reset_names()


def to_categorical(x, num_classes=None):
    """One-hot rows: `to_categorical([0, 2])` is [[1, 0, 0], [0, 0, 1]].

    Args:
        x: integer classes from 0; a last axis of length one is dropped.
        num_classes: how many; by default the largest class plus one.

    Raises:
        ValueError: classes that are not integers in [0, num_classes).
    """
    classes = np.asarray(x)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if classes.dtype.kind not in "fiub" or not np.array_equal(classes, np.floor(classes)):
        raise ValueError(f"to_categorical expects integer classes, got {str(classes)[:60]} of dtype {classes.dtype}.")
    if num_classes is not None and (not isinstance(num_classes, (int, np.integer)) or num_classes < 1):
        raise ValueError(f"to_categorical expects num_classes to be a positive integer or None, got {num_classes!r}.")
    classes = classes.astype(np.int64)
    count = int(classes.max() + 1 if classes.size else 0) if num_classes is None else int(num_classes)
    if classes.size and not (classes.min() >= 0 and classes.max() < count):
        raise ValueError(
            f"to_categorical expects classes from 0 to {count - 1}, got {classes.min()} to {classes.max()}."
        )
    return np.eye(count, dtype=config.floatx())[classes]


__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "gradcheck",
    "print_summary",
    "register_keras_serializable",
    "set_random_seed",
    "to_categorical",
]
