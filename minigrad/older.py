"""The door to what Keras 1 and 2 called things; the words themselves are tables in `compat/old_names.py`.

A word that is unknown today is looked up there before it is refused. Who uses no such word never loads the tables.
"""

import functools
import importlib
import sys

UNKNOWN = object()  # what a look-up returns that finds nothing


def _wing(name):
    """A module of `compat`. It stands above everything else, so it is imported late and by its name."""
    return importlib.import_module(f"minigrad.compat.{name}")


def taking(function):
    """`function`, called again with today's words where it refused what older Keras took. See `spelling.explaining`."""

    @functools.wraps(function)
    def taking_old_words(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError):
            today = arguments(function, args, kwargs)
            if today is None:
                raise
        return function(*today[0], **today[1])

    return taking_old_words


def arguments(function, args, kwargs):
    """(args, kwargs) in today's words, of a call that `function` refused; None if there was no old one in it."""
    return _wing("old_names").arguments(function, args, kwargs)


def name(full):
    """What the dotted name `full`, such as "minigrad.constraints.maxnorm", means today; or UNKNOWN."""
    return UNKNOWN if full.rpartition(".")[2].startswith("_") else _wing("old_names").name(full)


def member(registry, word):
    """What a string, such as "huber_loss", means today in a Registry; or UNKNOWN."""
    return _wing("old_names").member(registry, word)


def attribute(owner, name):
    """The attribute that an object no longer has, such as a model's `predict_classes`; or UNKNOWN."""
    return UNKNOWN if name.startswith("_") else _wing("old_names").attribute(owner, name)


class Logs(dict):
    """Logs, or a History's lists, that also answer to the keys of Keras 1 and 2, such as "acc" for "accuracy"."""

    def __missing__(self, key):
        today = _wing("old_names").key(self, key)
        if today is None:
            raise KeyError(key)
        return self[today]

    def __reduce__(self):
        return dict, (dict(self),)  # who reads a pickled history need not know minigrad

    def get(self, key, default=None):
        """The value under a key, as `dict.get`."""
        try:
            return self[key]
        except KeyError:
            return default


class Finder:
    """Finds modules of Keras 1 and 2, such as minigrad.utils.np_utils, after all others have looked in vain."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return _wing("modules").old_spec(name) if name.startswith("minigrad.") else None


def install():
    """From now on, old modules can be imported below minigrad."""
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)
