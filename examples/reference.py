"""Write the reference, a page per public module, from the docstrings: reference/minigrad.html.

    pip install ".[docs]" && python examples/reference.py
"""

import sys
from pathlib import Path

import pdoc

from minigrad import wrappers

MODULES = ["minigrad", "minigrad.distribution", "minigrad.model_selection"]  # the last two `import minigrad` leaves out


def write(folder, modules=MODULES):
    """Write the pages of the modules, and of the public ones inside, below `folder`."""
    for name in wrappers.__all__:  # which are imported when they are asked for
        setattr(wrappers, name, getattr(wrappers, name))
    pdoc.doc.Class.decorators = pdoc.doc.Function.decorators = []  # no user writes them
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*modules, output_directory=Path(folder))


if __name__ == "__main__":
    write(*sys.argv[1:] or [Path(__file__).parents[1] / "reference"])
