"""Makes `keras` and `tensorflow` mean minigrad in the child processes of a script on minigrad.

Python imports a module of this name when it starts. minigrad itself is imported at the first import of Keras.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.abspath(os.path.join(_HERE, "..", "..", ".."))


class _First:
    """Finds nothing itself, but installs minigrad's finder at the first import of Keras."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in ("keras", "tensorflow", "keras_preprocessing"):
            return None
        if _ROOT not in sys.path:
            sys.path.append(_ROOT)
        importlib.import_module("minigrad.compat").install()
        sys.meta_path.remove(_First)
        return importlib.util.find_spec(name)


def _run_the_one_behind():
    """Run another sitecustomize, if there is one: this module hides it."""
    places = [place for place in sys.path if os.path.abspath(place) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", places)
    if spec is not None:
        sys.modules["sitecustomize"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


try:
    _run_the_one_behind()
finally:
    sys.meta_path.insert(0, _First)
