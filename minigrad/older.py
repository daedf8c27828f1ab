"""The door to `compat`: what a name means that minigrad does not have, because it is older Keras' or nobody's.

The door loads `compat` when a name is looked up, so who uses today's names never loads its tables.
"""

import importlib
import sys

UNKNOWN = object()  # what a look-up returns that finds nothing


def _compat(module):
    """A module of `compat`. It stands above everything else, so it is imported late and by its name."""
    return importlib.import_module(f"minigrad.compat.{module}")


def arguments(function, args, kwargs):
    """(args, kwargs) in today's words, of a call that `function` refused; None if there was no old one in it."""
    return _compat("old_names").arguments(function, args, kwargs)


def member(registry, word):
    """What a string, such as "huber_loss", means today in a Registry; or UNKNOWN."""
    return _compat("old_names").member(registry, word)


def explaining(module):
    """A `__getattr__` for a module: it returns what an old name means today, and raises an error for an absent one."""

    def __getattr__(name):
        full = f"{module.__name__}.{name}"
        if name.startswith("_"):
            raise AttributeError(f"There is no {full}.")
        found = _compat("old_names").name(full)
        return _compat("missing").absent(full, module) if found is UNKNOWN else found

    return __getattr__


def attribute(thing, name, owner=None, known=None):
    """What the attribute `name` of older Keras, such as a model's `predict_classes`, is today.

    Raises:
        NoAttribute: there never was one. `owner` is what the error calls `thing`, by default its class; the function
            `known` lists the attributes that there are, by default all.
    """
    found = UNKNOWN if name.startswith("_") else _compat("old_names").attribute(thing, name)
    if found is UNKNOWN:
        raise NoAttribute(owner or type(thing).__name__, name, known or thing.__dir__)
    return found


class NoAttribute(AttributeError):
    """`owner`, in words, has no attribute `name`. `known`, a function, lists those that it has.

    The text is made when it is read: `hasattr` raises many of these and reads none.
    """

    def __init__(self, owner, name, known=list):
        super().__init__(owner, name)
        self.known = known

    def __str__(self):
        owner, name = self.args
        return f"{owner} has no attribute {name!r}{_compat('missing').advice(name, self.known())}"

    def __reduce__(self):
        return AttributeError, (str(self),)


class Logs(dict):
    """Logs, or a History's lists, that also answer to the keys of Keras 1 and 2, such as "acc" for "accuracy"."""

    def __missing__(self, key):
        today = _compat("old_names").key(self, key)
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
        return _compat("modules").old_spec(name) if name.startswith("minigrad.") else None


def install():
    """From now on, old modules can be imported below minigrad."""
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)
