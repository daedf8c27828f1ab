"""Automatic names of layers, variables and symbols; the public names of a package."""

import collections
import contextlib
import os
import re
import threading
import types


def snake_case(name):
    """`BatchNormalization` -> `batch_normalization`, with Keras' rules (RMSprop -> rm_sprop, AUC -> auc)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class _Names(threading.local):
    counts = shared = collections.Counter()  # of this thread; all threads outside of `fresh_names` have the same


_names = _Names()
_counting = threading.RLock()
os.register_at_fork(before=_counting.acquire, after_in_parent=_counting.release, after_in_child=_counting.release)


def auto_name(prefix):
    """`dense`, then `dense_1`, `dense_2`, ...: the process keeps one count per prefix, until `reset_names`."""
    with _counting:
        count = _names.counts[prefix]
        _names.counts[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names():
    """Start all counts of `auto_name` again."""
    with _counting:
        _names.counts.clear()


@contextlib.contextmanager
def fresh_names():
    """Inside, this thread counts for itself, from the start: the same code gives the same names in all threads."""
    before, _names.counts = _names.counts, collections.Counter()
    try:
        yield
    finally:
        _names.counts = before


def class_name(thing):
    """The name of a layer's class in files, summaries and pictures: the class' own, unless Keras has another one."""
    kind = type(thing)
    return thing._class_name if "_class_name" in vars(kind) else kind.__name__


def public(names, but=()):
    """The public names among a module's `globals()`: no underscore in front, no module, and not in `but`."""
    return [
        name
        for name, value in names.items()
        if not (name.startswith("_") or name in but or isinstance(value, types.ModuleType) or value is public)
    ]
