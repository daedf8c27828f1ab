"""The modules that a script finds under the names `keras` and `tensorflow`."""

import importlib
import importlib.abc
import importlib.util
import sys
import types

import minigrad
from minigrad.compat.tensorflow import tensorflow
from minigrad.missing import explanation, public


class _Module(types.ModuleType):
    """A module of minigrad under a name of Keras' that explains what it lacks."""

    def __init__(self, name, target):
        super().__init__(name, target.__doc__)
        self.__dict__["_target"] = target
        self.__dict__["__version__"] = minigrad.__version__
        self.__dict__["__path__"] = []  # a package: submodules are found by the finder below
        self.__dict__["__all__"] = public(target)

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(self._target, name):
            raise AttributeError(explanation(f"{self.__name__}.{name}", self._target))
        value = getattr(self._target, name)
        return importlib.import_module(f"{self.__name__}.{name}") if isinstance(value, types.ModuleType) else value


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
            raise ImportError(explanation(spec.name, around))
        return _Module(spec.name, target)

    def exec_module(self, module):
        pass
