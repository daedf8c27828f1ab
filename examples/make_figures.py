"""Make all figures of the course again, each by its script: some seven minutes.

    python examples/make_figures.py [--quick] [--seed 0] [--out FOLDER]
    python examples/make_figures.py --again

The options are handed on to the numbered scripts; the explorer's picture, which has none, is drawn without options
only. The same versions of NumPy, matplotlib and minigrad on the same kind of processor make the same files to the byte,
where a figure does not show times. The second command only translates and stacks the figures that are there. The two
explorer.png are made in a browser: FIGURES=examples/figures pytest -m browser -k loads
"""

import subprocess
import sys
from pathlib import Path

import course

HERE = Path(__file__).parent


def scripts():
    """All numbered scripts, strand by strand, then the search, and what draws the explorer's picture."""
    return sorted(HERE.glob("*/[0-9][0-9]_*.py")), [HERE / "many" / "search.py", HERE / "explorer" / "picture.py"]


def again():
    """Write the figures that are there with Chinese words, and stacked for a phone."""
    for path in sorted(course.FIGURES.rglob("*.svg")):
        name = path.relative_to(course.FIGURES)
        if name.parts[0] not in ("zh", "narrow", "source_map.svg", "explorer.svg"):  # its script writes both
            svg, narrow = path.read_text("utf-8"), course.FIGURES / "narrow" / name
            drawn = narrow.exists() and not course.stacked(svg)  # a single panel
            course.write(course.FIGURES, name, svg, narrow.read_text("utf-8") if drawn else None)


def main(options):
    """Run them one after the other; ends with the number of those that failed."""
    if options == ["--again"]:
        return again()
    numbered, others = scripts()
    failed = [path for path in numbered if subprocess.run([sys.executable, path, *options]).returncode]
    failed += [path for path in others if not options and subprocess.run([sys.executable, path]).returncode]
    for path in failed:
        print(f"failed: {path}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
