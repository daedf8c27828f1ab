"""`keras` and `tensorflow.keras` mean minigrad, for one script: `python -m minigrad script.py`.

The real ones are never imported. What minigrad does not have raises an error that says what there is.
"""

import difflib
import importlib
import importlib.abc
import importlib.util
import os
import runpy
import sys
import types

import minigrad

NAMES = ("keras", "tensorflow.keras")


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
    known = _public(target)
    near = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"minigrad has no {module}.{name}.{hint} {module} has: {', '.join(sorted(known))}. "
        "The README says what minigrad does not do."
    )


def _tensorflow():
    """What a Keras script uses of tensorflow itself."""
    module = types.ModuleType("tensorflow", "minigrad, under the name of tensorflow.")
    module.keras = minigrad
    module.random = types.SimpleNamespace(set_seed=minigrad.utils.set_random_seed)
    module.__all__ = ["keras", "random"]
    return module


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds keras, tensorflow, tensorflow.keras and everything below them in minigrad."""

    def find_spec(self, name, path=None, target=None):
        if name in ("keras", "tensorflow") or name.startswith(("keras.", "tensorflow.")):
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def create_module(self, spec):
        parent, _, name = spec.name.rpartition(".")
        if spec.name == "tensorflow":
            return _Module(spec.name, _tensorflow())
        if parent == "tensorflow" and name != "keras":
            raise ImportError(_explanation(parent, name, _tensorflow()))
        below = spec.name.removeprefix("tensorflow.").removeprefix("keras").lstrip(".")
        try:
            return _Module(spec.name, importlib.import_module(f"minigrad.{below}") if below else minigrad)
        except ModuleNotFoundError:
            # Also how `from keras.layers import Conv2D` ends: what is no attribute is looked for as a module.
            raise ImportError(_explanation(parent, name, sys.modules[parent]._target)) from None

    def exec_module(self, module):
        pass


def install():
    """From now on, in this process, `import keras` and `from tensorflow import keras` get minigrad."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("keras", "tensorflow")]:
        del sys.modules[name]
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def run(script, arguments):
    """Run a Keras script on minigrad, as `__main__` and with its own arguments."""
    install()
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
