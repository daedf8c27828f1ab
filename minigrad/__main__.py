"""`python -m minigrad script.py [arguments]` runs a Keras script on minigrad, unchanged."""

import os
import sys

from minigrad import compat
from minigrad.compat import deviations

USAGE = """usage: python -m minigrad script.py [arguments]
       python -m minigrad --differences

Runs a Keras script on minigrad: keras, tensorflow.keras and `from tensorflow import keras` mean minigrad.
--differences lists where minigrad differs from Keras, and what it does not have."""


def main():
    """Run the script named on the command line."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    if sys.argv[1] == "--differences":
        print(deviations.report())
        return
    script = sys.argv[1]
    if not os.path.exists(script):
        sys.exit(f"python -m minigrad: there is no file {script!r}.")
    compat.run(script, sys.argv[2:])


if __name__ == "__main__":
    main()
