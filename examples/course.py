"""What the scripts of the course share: their options, tables, figures, and claims that are checked.

A script imports it with two lines, since it lies in a folder below:

    sys.path.append(str(Path(__file__).parents[1]))
    import course
"""

import argparse
import contextlib
import html
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw into files
import matplotlib.pyplot as plt
import numpy as np
from chinese import LABELS
from matplotlib.textpath import TextPath
from stacking import stacked
from threadpoolctl import threadpool_limits

# Colors that color-blind readers can tell apart (Okabe and Ito 2008). In all figures of the course blue is with Batch
# Normalization and orange is without it; neither of the two means anything else.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, YELLOW, GREY, INK = "#56B4E9", "#E69F00", "#8A8F98", "#22262B"
WITH, WITHOUT = BLUE, ORANGE
SERIES = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)

FIGURES = Path(__file__).parent / "figures"  # those of the pages
ELSEWHERE = Path(tempfile.gettempdir()) / "minigrad-figures"  # those of --quick and of other seeds

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": matplotlib.cycler(color=SERIES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.09,
    "figure.facecolor": "white",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # the first one lays out; viewers take the first they have
    "font.size": 9,
    "grid.color": "#E6E8EB",
    "grid.linewidth": 0.8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.9,
    "lines.markersize": 5,
    "svg.fonttype": "none",  # text stays text: small files, words that can be searched and read aloud
    "svg.hashsalt": "minigrad",  # the same bytes each time
    "text.color": INK,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "xtick.minor.visible": False,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
    "ytick.minor.visible": False,
}


class Script:
    """One run of a script: made first, it reads the command line; `with` keeps what is printed, and tells the time.

    A whole run with seed 0 makes what the pages show: the figure, wide and for a phone, in English and in Chinese, and
    beside it a text file of what was printed, with which a test compares the numbers on the pages. `--quick` or another
    seed write theirs to a temporary folder.

        with course.Script(__file__, __doc__, argv) as script:
            script.quick, script.seed
            script.table(("layer", "gradient"), rows)
            figure, axes = script.figure(1, 2)
            script.claim(ratio < 2, f"the ratio {ratio:.2f} is below 2")
            script.save(figure)

    Args:
        file, doc: the script's `__file__`, and its docstring, whose first line is the title.
        argv: the command line as a list; None reads that of the process.
        record: whether what is printed is kept in the text file.
    """

    def __init__(self, file, doc, argv=None, record=True):
        path = Path(file).resolve()
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--quick", action="store_true", help="a smaller experiment, a few seconds")
        parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
        parser.add_argument("--out", type=Path, help="the folder that the figure goes to")
        options = parser.parse_args(argv)
        self.quick, self.seed = options.quick, options.seed
        self.out = options.out or (ELSEWHERE if self.quick or self.seed else FIGURES)
        self.path = self.out / path.parent.name / f"{path.stem}.svg"
        self.title, self.record = doc.splitlines()[0], record

    def __enter__(self):
        self._printed = _Kept(sys.stdout)
        self._redirection = contextlib.redirect_stdout(self._printed)
        self._redirection.__enter__()
        print(f"{self.title}\n")
        # Two threads would only wait for each other over matrices as small as these; and rounding would depend on
        # the number of cores.
        self._one_thread = threadpool_limits(1)
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind, *rest):
        wall, cpu = (now - then for now, then in zip((time.perf_counter(), time.process_time()), self._started))
        self._one_thread.restore_original_limits()
        self._redirection.__exit__(None, None, None)
        if kind is None:
            if self.record:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.with_suffix(".txt").write_text("".join(self._printed.kept), encoding="utf-8")
            if self.path.exists():
                print(f"\nFigure: {os.path.relpath(self.path)}")
            print(f"\n{wall:.1f} s ({cpu:.1f} s of processor time)")

    def seeds(self, full, quick):
        """A list of so many seeds, all different for each `--seed`."""
        return [1000 * self.seed + i for i in range(quick if self.quick else full)]

    def table(self, headers, rows, title=None):
        """Print a table: numbers with three significant digits, right-aligned."""
        cells = [[str(h) for h in headers], *([_text(v) for v in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        if title:
            print(title)
        for i, row in enumerate(cells):
            left, *others = (c.ljust(w) if j == 0 else c.rjust(w) for j, (c, w) in enumerate(zip(row, widths)))
            print("  " + "  ".join([left, *others]).rstrip())
            if i == 0:
                print("  " + "  ".join("-" * w for w in widths))
        print()

    def claim(self, is_true, statement):
        """Print what was claimed; raises AssertionError where it is not true."""
        if not is_true:
            raise AssertionError(f"{self.title}\nnot so: {statement}")
        print(f"  holds: {statement}")

    def figure(self, rows=1, columns=1, size=(8.4, 3.3), mosaic=None, **options):
        """A figure in the course's style and its axes, as `plt.subplots` makes them; `size` in inches.

        With a `mosaic`, such as "ab;cc", the axes come in a dict, as from `plt.subplot_mosaic`.
        """
        plt.rcParams.update(_STYLE)
        if mosaic is not None:
            return plt.subplot_mosaic(mosaic, figsize=size, **options)
        return plt.subplots(rows, columns, figsize=size, **options)

    def save(self, figure, narrow=None):
        """Write the figure as SVG, the same bytes each time, below the folder of `--out`, in all its forms.

        `narrow` is the figure for a phone, where panels that stand below each other would not do: a single one.
        """
        text = _svg(figure)
        write(self.out, self.path.relative_to(self.out), text, narrow and _svg(narrow))
        if shell := "IPython" in sys.modules and sys.modules["IPython"].get_ipython():  # in a notebook, show it
            shell.display_pub.publish({"image/svg+xml": text})


class _Kept(io.TextIOBase):
    """Prints, and keeps what was printed."""

    def __init__(self, out):
        self.out, self.kept = out, []

    def write(self, text):
        self.kept.append(text)
        return self.out.write(text)

    def flush(self):
        self.out.flush()


def write(folder, name, svg, narrow=None):
    """Write a figure into `folder`: as it is, for a phone (or stacked) below `narrow`, and in Chinese below `zh`."""
    for below, text in (("", svg), ("narrow", narrow or stacked(svg))):
        for language, words in (("", text), ("zh", text and in_chinese(text))):
            path = folder / language / below / name
            if words:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(words, encoding="utf-8")


def _svg(figure):
    """A figure as the text of an SVG; it is closed."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Creator": None, "Date": None})
    plt.close(figure)
    return re.sub("<[^>]*>", _rounded, text.getvalue()).replace(" \n", "\n")


def in_chinese(svg):
    """An SVG with its labels in Chinese. They stay text, so the viewer has the font, and this machine needs none."""

    def label(match):
        words = html.unescape(match[1])
        numbers = _NUMBER.findall(words)
        translated = LABELS.get(_NUMBER.sub("{}", words))
        return match[0] if translated is None else f">{html.escape(translated.format(*numbers), quote=False)}</text>"

    svg = re.sub(r">([^<>]+)</text>", label, _LINE.sub(_ended, svg))
    return svg.replace("'Arial',", "'Arial', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC',")


def band(ax, x, runs, color, label=None, **line):
    """The median over runs (the first axis) as a line, the range from least to largest as a band around it."""
    runs = np.asarray(runs)
    ax.fill_between(x, runs.min(0), runs.max(0), color=color, alpha=0.16, linewidth=0)
    return ax.plot(x, np.median(runs, 0), color=color, label=label, **line)[0]


def accuracies(ax, x, runs, color, label=None, **line):
    """A `band` of accuracies in percent, with a cross where the network diverged: NaN is never right, so it has 0."""
    drawn = band(ax, x, 100 * np.asarray(runs), color, label=label, marker="o", **line)
    diverged = drawn.get_ydata() == 0
    drawn.set_markevery(list(np.flatnonzero(~diverged)))
    ax.plot(drawn.get_xdata()[diverged], 0 * np.flatnonzero(diverged), "x", color=color, markersize=6, mew=2)


def explain_failures(ax, share=10):
    """Say in the legend what the low accuracies of `accuracies` mean: one class for all rows, or NaN."""
    ax.axhline(share, color=GREY, linewidth=0.9, linestyle=":", zorder=0, label="guessing")
    ax.plot([], [], "x", color=GREY, markersize=6, mew=2, label="diverged (NaN)")


def legend(figure, *axes, **options):
    """One legend for all panels, above them: each label of these axes, or of all, once."""
    handles = {}
    for ax in axes or figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    options = {"loc": "outside upper left", "ncols": len(handles), "columnspacing": 1.5} | options
    figure.legend(handles.values(), handles.keys(), **options)


def name_rows(ax, names):
    """Names at y = 0, 1, 2, ...; a second line begins behind a comma. Each line ends at the axis, in any language."""
    ax.set_yticks(range(len(names)), [""] * len(names))
    for i, name in enumerate(names):
        lines = name.replace(", ", ",\n").splitlines()
        for k, line in enumerate(lines):
            ax.annotate(line, (0, i), (-7, 11 * ((len(lines) - 1) / 2 - k)), ("axes fraction", "data"), "offset points",
                        ha="right", va="center", fontsize=8)  # fmt: skip


def dots(ax, x, y, color, size):
    """Points drawn as one line with gaps: a tenth of the file that a scatter plot would make."""
    places = np.repeat(np.stack([x, y]).astype(float), 3, axis=1)
    places[0, 1::3] += 1e-3
    places[:, 2::3] = np.nan
    ax.plot(*places, color=color, linewidth=size, solid_capstyle="round")


def log_scale(ax, x=(), y=()):
    """Logarithmic axes with ticks at the given numbers, written as such; an axis without ticks stays as it is."""
    for which, ticks in (("x", x), ("y", y)):
        if len(ticks):
            ax.set(**{f"{which}scale": "log", f"{which}ticks": ticks, f"{which}ticklabels": [f"{t:g}" for t in ticks]})
            ax.minorticks_off()


_LINE = re.compile(r'font-size: ([\d.]+)px([^>]*?)" transform="translate\(([\d.]+) ([\d.]+)\)">([^<>]+)</text>')
_NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


def _ended(line):
    """One of several lines of an SVG's text, which has the place of its start, with that of its end: words of another
    length then end there, too."""
    size, style, x, y, words = line.groups()
    with plt.rc_context(_STYLE):
        end = float(x) + TextPath((0, 0), html.unescape(words), float(size)).get_extents().x1
    return f'font-size: {size}px{style}; text-anchor: end" transform="translate({end:.2f} {y})">{words}</text>'


def _rounded(tag):
    """An SVG tag with its coordinates to a hundredth of a point."""
    return re.sub(r"(?<!scale\()(\d+\.\d\d)\d+", r"\1", tag[0])


def _text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:#.3g}".rstrip(".") if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.1e}"
