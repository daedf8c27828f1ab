"""`keras` and `tensorflow` mean minigrad, for one script: `python -m minigrad script.py`.

The real ones are never imported. What minigrad does not have raises an error that says what to do instead.
"""

import os
import runpy
import sys
import traceback

from minigrad.compat.modules import Finder

__all__ = ["install", "run"]


def install():
    """From now on, in this process, `import keras` and `from tensorflow import keras` get minigrad."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("keras", "tensorflow")]:
        del sys.modules[name]
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def run(script, arguments):
    """Run a Keras script on minigrad, as `__main__` and with its own arguments."""
    install()
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    try:
        runpy.run_path(script, run_name="__main__")
    except Exception as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != script:
            frames = frames.tb_next  # those of this file and of runpy say nothing about the script
        traceback.print_exception(type(error), error, frames)
        sys.exit(1)
