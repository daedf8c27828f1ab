"""Automatic names of layers, variables and symbols; the public names of a package."""

import collections
import os
import re
import threading
import types


def snake_case(name):
    """`BatchNormalization` -> `batch_normalization`, with Keras' rules (RMSprop -> rm_sprop, AUC -> auc)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


_counts = collections.Counter()
_counting = threading.RLock()
os.register_at_fork(before=_counting.acquire, after_in_parent=_counting.release, after_in_child=_counting.release)


def auto_name(prefix):
    """`dense`, then `dense_1`, `dense_2`, ...: the process keeps one count per prefix, until `reset_names`."""
    with _counting:
        count = _counts[prefix]
        _counts[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names():
    """Start all counts of `auto_name` again."""
    with _counting:
        _counts.clear()


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


def geometry(layer):
    """The windows of a layer in words, such as "3x3, stride 2"; "" if it has none."""
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    if not isinstance(size, tuple):
        return ""
    found = ["x".join(map(str, size))]
    usual = size if hasattr(layer, "pool_size") else (1,) * len(size)
    for word, lengths in (("stride", layer.strides), ("dilation", getattr(layer, "dilation_rate", usual))):
        if lengths != usual:
            found.append(f"{word} {lengths[0] if len(set(lengths)) == 1 else 'x'.join(map(str, lengths))}")
    return ", ".join(found)
