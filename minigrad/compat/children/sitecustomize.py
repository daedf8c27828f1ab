"""In a process that a script on minigrad has started, `keras` and `tensorflow` mean minigrad from the first import on.

Python imports a module of this name when it begins. minigrad itself is imported when somebody asks for Keras.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.abspath(os.path.join(_HERE, "..", "..", ".."))


class _First:
    """Finds nothing, but installs minigrad, which finds it."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in ("keras", "tensorflow"):
            return None
        if _ROOT not in sys.path:
            sys.path.append(_ROOT)
        importlib.import_module("minigrad.compat").install()
        sys.meta_path.remove(_First)
        return importlib.util.find_spec(name)


def _run_the_one_behind():
    """There may be another sitecustomize, which this one hides."""
    places = [place for place in sys.path if os.path.abspath(place) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", places)
    if spec is not None:
        sys.modules["sitecustomize"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


try:
    _run_the_one_behind()
finally:
    sys.meta_path.insert(0, _First)
