"""Make all figures of the course again, each by its script: some four minutes on two cores.

    python examples/make_figures.py [--quick] [--seed 0] [--out FOLDER]

The options are handed on to the numbered scripts. The same versions of NumPy, matplotlib and minigrad on the same
kind of processor make the same files to the byte, where a figure does not show times.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def scripts():
    """All numbered scripts, strand by strand, then what draws the explorer's picture."""
    return sorted(HERE.glob("*/[0-9][0-9]_*.py")), sorted(HERE.glob("explorer/picture.py"))


def main(options):
    """Run them one after the other; ends with the number of those that failed."""
    numbered, others = scripts()
    failed = [path for path in numbered if subprocess.run([sys.executable, path, *options]).returncode]
    failed += [path for path in others if subprocess.run([sys.executable, path]).returncode]
    for path in failed:
        print(f"failed: {path}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
