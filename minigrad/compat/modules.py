"""The modules that a script finds under the names `keras` and `tensorflow`."""

import difflib
import importlib
import importlib.abc
import importlib.util
import sys
import types

import minigrad
from minigrad.compat.missing import remedy
from minigrad.compat.tensorflow import tensorflow

_LISTS = "The README (and python -m minigrad --differences) lists what minigrad does not do."
MANY = 60  # more names than that are not listed


class _Module(types.ModuleType):
    """A module of minigrad under a name of Keras' that explains what it lacks."""

    def __init__(self, name, target):
        super().__init__(name, target.__doc__)
        self.__dict__["_target"] = target
        self.__dict__["__version__"] = minigrad.__version__
        self.__dict__["__path__"] = []  # a package: submodules are found by the finder below
        self.__dict__["__all__"] = _public(target)

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(self._target, name):
            raise AttributeError(_explanation(self.__name__, name, self._target))
        value = getattr(self._target, name)
        return importlib.import_module(f"{self.__name__}.{name}") if isinstance(value, types.ModuleType) else value


def _public(target):
    """What a module offers: its `__all__`, or else all that it does not merely import."""
    if hasattr(target, "__all__"):
        return list(target.__all__)
    return [n for n, v in vars(target).items() if not n.startswith("_") and not isinstance(v, types.ModuleType)]


def _explanation(module, name, target):
    """Why there is no `name`: what to do instead or which name is near, and what there is."""
    full = f"{module}.{name}"
    hint = remedy(full.removeprefix("tensorflow.").removeprefix("keras."))
    if hint is None and module.split(".")[0] == "tensorflow":
        hint = remedy(full.replace("tensorflow.", "tf.", 1))
    if hint is not None:
        return f"minigrad has no {full}: {hint}. {_LISTS}"
    known = sorted(_public(target))
    near = difflib.get_close_matches(name, known, 1)
    what = f" Did you mean {near[0]!r}?" if near else ""
    has = "has"
    if len(known) > MANY:
        has, known = "has among others", sorted(difflib.get_close_matches(name, known, 12, cutoff=0.0))
    return f"minigrad has no {full}.{what} {module} {has}: {', '.join(known)}. {_LISTS}"


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds keras, tensorflow, tensorflow.keras and everything below them in minigrad."""

    def __init__(self):
        self.tensorflow = tensorflow()

    def find_spec(self, name, path=None, target=None):
        if name in ("keras", "tensorflow") or name.startswith(("keras.", "tensorflow.")):
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def create_module(self, spec):
        parent, _, name = spec.name.rpartition(".")
        if spec.name == "tensorflow":
            return _Module(spec.name, self.tensorflow)
        if spec.name in ("keras", "tensorflow.keras"):
            return _Module(spec.name, minigrad)
        around = sys.modules[parent]._target  # Python has imported it before
        target = getattr(around, name, None)
        if not isinstance(target, types.ModuleType):
            # Also how `from keras.layers import Conv2D` ends: what is no attribute is looked for as a module.
            raise ImportError(_explanation(parent, name, around))
        return _Module(spec.name, target)

    def exec_module(self, module):
        pass
