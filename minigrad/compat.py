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


class _Missing(types.ModuleType):
    """A module of minigrad under a name of Keras' that explains what it lacks."""

    def __init__(self, name, target):
        super().__init__(name, target.__doc__)
        self.__dict__["_target"] = target
        self.__dict__["__path__"] = []  # a package: submodules are found by the finder below
        public = getattr(target, "__all__", None) or [n for n in vars(target) if not n.startswith("_")]
        self.__dict__["__all__"] = [n for n in public if hasattr(target, n)]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            value = getattr(self._target, name)
            is_module = isinstance(value, types.ModuleType)
            return importlib.import_module(f"{self.__name__}.{name}") if is_module else value
        except AttributeError:
            known = [n for n in dir(self._target) if not n.startswith("_")]
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise AttributeError(
                f"minigrad has no {self.__name__}.{name}.{hint} {self.__name__} has: {', '.join(sorted(known))}. "
                "The README lists what minigrad does not do."
            ) from None


def _tensorflow():
    """What a Keras script uses of tensorflow itself."""
    module = types.ModuleType("tensorflow", "minigrad, under the name of tensorflow.")
    module.random = types.SimpleNamespace(set_seed=minigrad.utils.set_random_seed)
    module.__version__ = minigrad.__version__
    return module


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds keras, tensorflow, tensorflow.keras and everything below them in minigrad."""

    def find_spec(self, name, path=None, target=None):
        if name in ("keras", "tensorflow") or name.startswith(("keras.", "tensorflow.")):
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def create_module(self, spec):
        if spec.name == "tensorflow":
            return _Missing(spec.name, _tensorflow())
        below = spec.name.removeprefix("tensorflow.").removeprefix("keras").lstrip(".")
        if spec.name.startswith("tensorflow.") and not spec.name.startswith("tensorflow.keras"):
            raise ModuleNotFoundError(
                f"minigrad has no {spec.name}: of tensorflow, it has tensorflow.keras only.", name=spec.name
            )
        if not below:
            return _Missing(spec.name, minigrad)
        try:
            return _Missing(spec.name, importlib.import_module(f"minigrad.{below}"))
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                f"minigrad has no {spec.name}. It has: {', '.join(n for n in minigrad.__all__ if n.islower())}.",
                name=spec.name,
            ) from None

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
