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


def draw(ax, result, parents, label, down=False):
    """Draw the graph from the left to the right; `label(node)` is up to three lines: a name, a value, a gradient.

    `down` draws it from the top to the bottom, for a phone.
    """
    nodes = list(reversed(distances(result, parents)))
    arrows = [(nodes.index(parent), number) for number, node in enumerate(nodes) for parent in parents(node)]
    layout = Layout([(WIDTH, HEIGHT) if down else (HEIGHT, WIDTH)] * len(nodes), arrows)

    def place(across, along):
        return (across, -along) if down else (along, -across)

    for points in layout.lines():
        codes = [Path.MOVETO, *[Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4] * (len(points) // 4)]
        path = Path([place(*point) for point in points], codes)
        ax.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=8, color=course.GREY, linewidth=1))
    for node, center in zip(nodes, layout.centers):
        x, y = place(*center)
        ax.add_patch(FancyBboxPatch(
            (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=4",
            facecolor="#F1F5F9" if parents(node) else "white", edgecolor=course.GREY, linewidth=0.9,
        ))  # fmt: skip
        lines = label(node)
        for i, (line, color) in enumerate(zip(lines, (course.INK, course.GREEN, course.PINK))):
            ax.text(x, y + ((len(lines) - 1) / 2 - i) * 12, line, color=color, ha="center", va="center",
                    fontsize=8 if i == 0 else 7.5, fontweight="bold" if i == 0 else "normal")  # fmt: skip
    width, height = layout.size if down else layout.size[::-1]
    ax.set(xlim=(-2, width + 2), ylim=(-height - 2, 2))
    ax.axis("off")


def figures(script, size, title, *graph, notes=()):
    """Two figures of a graph: from the left to the right, `size` in inches; for a phone from the top to the bottom.

    `notes` are lines of text and their sizes, which stand below at the left.
    """
    both = []
    for down, inches in ((False, size), (True, (3.9, 7.0))):
        figure, ax = script.figure(size=inches)
        draw(ax, *graph, down=down)
        if down:
            ax.set_ylim(ax.get_ylim()[0] - 32 * len(notes))
        ax.set_title(title)
        for i, (line, points) in enumerate(reversed(notes)):
            place = (0, 0), (6, 14 + 20 * i), "axes fraction", "offset points"
            ax.annotate(line, *place, color=course.PINK, fontsize=points)
        both.append(figure)
    return both
