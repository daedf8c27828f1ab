"""Runs a script with minigrad in the place of `keras` and `tensorflow`: `python -m minigrad script.py`.

The real ones are never imported. A name that minigrad does not have raises an error that says what to do instead.
"""

import os
import runpy
import sys
import traceback

from minigrad.compat.modules import ROOTS, Finder
from minigrad.exchange import world

__all__ = ["install", "run", "uninstall"]

_HERE = os.path.dirname(os.path.abspath(__file__))
_CHILDREN = os.path.join(_HERE, "children")  # code that child processes run when they begin
_ROOT = os.path.dirname(os.path.dirname(_HERE))


def install():
    """From now on `import keras` and `import tensorflow` get minigrad, in this process and in its child processes."""
    uninstall()
    sys.meta_path.insert(0, Finder())
    if _ROOT not in sys.path:  # minigrad may have been found in the working directory, which a script may change
        sys.path.append(_ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join([_CHILDREN, *_python_path()])


def uninstall():
    """`import keras` gets the real one again."""
    for name in [n for n in sys.modules if n.split(".")[0] in ROOTS]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    if _CHILDREN in _python_path():
        os.environ["PYTHONPATH"] = os.pathsep.join(place for place in _python_path() if place != _CHILDREN)


def _python_path():
    return [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]


def run(script, arguments):
    """Run a Keras script on minigrad, as `__main__` and with its own arguments."""
    install()
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        if error.code:
            world.end_others()
        raise
    except Exception as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != script:
            frames = frames.tb_next  # skips the frames of this file and of runpy
        traceback.print_exception(type(error), error, frames)
        world.end_others()
        sys.exit(1)
