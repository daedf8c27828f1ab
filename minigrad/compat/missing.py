"""Errors for what Keras and TensorFlow have and minigrad has not: they say what to do instead. See `missing.txt`."""

import dis
import fnmatch
import importlib
import os
import sys
import types

from minigrad.compat.tables import meanings, sections
from minigrad.names import public
from minigrad.spelling import did_you_mean, some_of

_LISTS = "The README (and python -m minigrad --differences) lists what minigrad does not do."
_MANY = 60  # more names than that are not listed

LOOKED_UP = ("applications",)  # packages look up names below these while they are imported, and may never use them
_STAR = ("IMPORT_STAR", "CALL_INTRINSIC_1")  # how `from keras import *` ends, up to Python 3.11 and from 3.12 on

REMEDIES, ATTRIBUTES = map(meanings, sections("missing").values())


def advice(name, known):
    """How an error ends that says that an object has no attribute `name`; `known` are those that it has."""
    what = ATTRIBUTES.get(name)
    if what is not None:
        return f": {what}."
    return "." if name.startswith("_") else "." + did_you_mean(name, [n for n in known if not n.startswith("_")])


def remedy(name):
    """What to do instead of an absent `name`, such as "layers.Conv2D" or "tf.data"; None if it is not in the table."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        here = ".".join(parts[:length])
        for known, what in REMEDIES.items():
            if fnmatch.fnmatchcase(here, known):
                return what
    return None


def remedy_for(full):
    """The same for a name in a script, such as "tensorflow.keras.layers.Conv2D"."""
    parts = full.split(".")
    found = remedy(".".join(part for part in parts if part not in ("tensorflow", "keras", "minigrad")))
    return remedy(full.replace("tensorflow.", "tf.", 1)) if found is None and parts[0] == "tensorflow" else found


def offered(module):
    """The public names of a module: its `__all__`, or else `names.public`."""
    return list(module.__all__) if hasattr(module, "__all__") else public(vars(module))


def explanation(full, module):
    """The text of the error for `full`, such as "keras.layers.Conv2D": what to do instead, or which name is near."""
    place, _, name = full.rpartition(".")
    hint = remedy_for(full)
    if hint is not None:
        return f"minigrad has no {full.removeprefix('minigrad.')}: {hint}. {_LISTS}"
    known = offered(module)
    what = did_you_mean(name, known)
    has = some_of(known, name, _MANY)
    return f"minigrad has no {full.removeprefix('minigrad.')}.{what} {place} has {has}. {_LISTS}"


# ------------------------------------------------------------------- names that scripts import and may never use


class Absent(types.ModuleType):
    """What `from keras.layers import Conv2D` gets. It raises the explanation when it is called or used otherwise."""

    __path__ = []

    def __init__(self, full, module):
        super().__init__(full, "A name of Keras that minigrad does not have.")
        vars(self).update(_full=full, _module=module)

    def _refuse(self, *args, **kwargs):
        raise ImportError(explanation(self._full, self._module))

    __call__ = __mro_entries__ = __getitem__ = __or__ = _refuse

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self._full}.{name}"
        return absent(full, self._module) if set(LOOKED_UP).isdisjoint(full.split(".")) else Absent(full, self._module)

    def __instancecheck__(self, instance):
        return False

    def __repr__(self):
        return f"<{self._full}, which minigrad does not have>"


def absent(full, module):
    """An Absent for the name `full`, if a statement outside of any `try` imports it, and it has a remedy.

    Raises:
        AttributeError: with the explanation, in all other cases.
    """
    found = statement()
    if (found == ("IMPORT_FROM", False) or found[0] in _STAR) and remedy_for(full) is not None:
        return Absent(full, module)
    raise AttributeError(explanation(full, module))


def statement():
    """The instruction of the caller outside of minigrad, such as "IMPORT_FROM", and whether it stands in a `try`."""
    frame = outside()
    code, at = frame.f_code, frame.f_lasti
    if hasattr(code, "co_exceptiontable"):
        is_guarded = any(e.start <= at < e.end and not e.lasti for e in dis.Bytecode(code).exception_entries)
    else:
        known = {i.offset: i for i in dis.get_instructions(code)}  # Python 3.10; a handler begins with these two
        tries = (i for i in known.values() if i.opname == "SETUP_FINALLY" and i.offset < at < i.argval)
        is_guarded = any(known[i.argval].opname in ("DUP_TOP", "POP_TOP") for i in tries)
    return dis.opname[code.co_code[at]], is_guarded


def outside():
    """The nearest frame of code that is not minigrad's."""
    frame = sys._getframe()
    while frame.f_back is not None and is_inside(frame):
        frame = frame.f_back
    return frame


def is_inside(frame):
    """Whether a frame belongs to minigrad, or to Python's import."""
    return frame.f_code.co_filename.startswith(_INSIDE)


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSIDE = (_PACKAGE + os.sep, "<frozen importlib", importlib.__file__)
