"""Graphs of small expressions with their values and gradients, as text and as a picture.

A graph is given by its result and a function `parents(node)`, the nodes that a node was computed from.
"""

import course
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from minigrad.utils.layout import Layout

WIDTH, HEIGHT = 76, 42  # of a box, in points


def distances(result, parents):
    """{node: length of the longest way from it to the result}, the result first."""
    found, waiting = {result: 0}, [result]
    while waiting:
        node = waiting.pop()
        for parent in parents(node):
            if found.get(parent, -1) <= found[node]:
                found[parent] = found[node] + 1
                waiting.append(parent)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def text(result, parents, label):
    """One line per node, each below what it was computed from: its number, its label, the numbers of its parents."""
    nodes = list(reversed(distances(result, parents)))
    number = {node: i for i, node in enumerate(nodes, 1)}
    lines = [(label(node), ", ".join(str(number[parent]) for parent in parents(node))) for node in nodes]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {i:3}  {name:<{width}}  {origin and 'from ' + origin}".rstrip()
                     for i, (name, origin) in enumerate(lines, 1))  # fmt: skip


def draw(ax, result, parents, label):
    """Draw the graph from the left to the right; `label(node)` is up to three lines: a name, a value, a gradient."""
    nodes = list(reversed(distances(result, parents)))
    arrows = [(nodes.index(parent), number) for number, node in enumerate(nodes) for parent in parents(node)]
    layout = Layout([(HEIGHT, WIDTH)] * len(nodes), arrows)
    for points in layout.lines():
        codes = [Path.MOVETO, *[Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4] * (len(points) // 4)]
        path = Path([(along, -across) for across, along in points], codes)
        ax.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=8, color=course.GREY, linewidth=1))
    for node, (across, along) in zip(nodes, layout.centers):
        ax.add_patch(FancyBboxPatch(
            (along - WIDTH / 2, -across - HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=4",
            facecolor="#F1F5F9" if parents(node) else "white", edgecolor=course.GREY, linewidth=0.9,
        ))  # fmt: skip
        lines = label(node)
        for i, (line, color) in enumerate(zip(lines, (course.INK, course.GREEN, course.PINK))):
            ax.text(along, -across + ((len(lines) - 1) / 2 - i) * 12, line, color=color, ha="center", va="center",
                    fontsize=8 if i == 0 else 7.5, fontweight="bold" if i == 0 else "normal")  # fmt: skip
    ax.set(xlim=(-2, layout.size[1] + 2), ylim=(-layout.size[0] - 2, 2))
    ax.axis("off")
