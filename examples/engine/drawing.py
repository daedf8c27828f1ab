"""Graphs of small expressions, as text and as a picture: no graphviz, sixty lines.

A graph is given by its result and a function `parents(node)`, the nodes that a node was computed from.
"""

import course
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

WIDTH, HEIGHT = 0.8, 0.66  # of a box, where boxes stand 1 apart


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
    """One line a node, each below what it was computed from: its number, its label, the numbers of its parents."""
    nodes = list(reversed(distances(result, parents)))
    number = {node: i for i, node in enumerate(nodes, 1)}
    lines = [(label(node), ", ".join(str(number[parent]) for parent in parents(node))) for node in nodes]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {i:3}  {name:<{width}}" + (f"  from {origin}" if origin else "")
                     for i, (name, origin) in enumerate(lines, 1))  # fmt: skip


def places(result, parents):
    """({node: (x, y)}, {(parent, node): points between the two}): leaves on the left, the result at the right.

    A node stands in the column of its distance from the result, at the mean height of what is computed from it; a
    line that passes by a column has a place there like a node.
    """
    column = distances(result, parents)
    steps = {}  # each edge as the stations that it goes through, from the right to the left
    for node in column:
        for parent in dict.fromkeys(parents(node)):
            between = [(parent, node, x) for x in range(column[node] + 1, column[parent])]
            steps[parent, node] = [node, *between, parent]
    right = {}
    for stations in steps.values():
        for after, before in zip(stations, stations[1:]):
            right.setdefault(before, []).append(after)
    where = {station: column.get(station, station[-1] if isinstance(station, tuple) else 0) for station in right}
    y = {result: 0.0}
    for x in range(1, max(column.values(), default=0) + 1):
        wished = {s: sum(y[r] for r in right[s]) / len(right[s]) for s, at in where.items() if at == x}
        order = sorted(wished, key=wished.get, reverse=True)
        middle = sum(wished.values()) / len(wished)
        for i, station in enumerate(order):
            y[station] = middle + (len(order) - 1) / 2 - i
    points = {edge: [(-where[s], y[s]) for s in stations[-2:0:-1]] for edge, stations in steps.items()}
    return {node: (-column[node], y[node]) for node in column}, points


def draw(ax, result, parents, label):
    """Draw the graph; `label(node)` is up to three lines: a name, a value, a gradient."""
    at, between = places(result, parents)
    for (parent, node), points in between.items():
        _arrow(ax, [at[parent], *points, at[node]], count=parents(node).count(parent))
    for node, (x, y) in at.items():
        is_leaf = not parents(node)
        ax.add_patch(FancyBboxPatch(
            (x - WIDTH / 2 + 0.05, y - HEIGHT / 2 + 0.05), WIDTH - 0.1, HEIGHT - 0.1, boxstyle="round,pad=0.05",
            facecolor="white" if is_leaf else "#F1F5F9", edgecolor=course.GREY, linewidth=0.9,
        ))  # fmt: skip
        lines = label(node)
        for i, (line, color) in enumerate(zip(lines, (course.INK, course.BLUE, course.ORANGE))):
            ax.text(x, y + ((len(lines) - 1) / 2 - i) * 0.19, line, color=color, ha="center", va="center",
                    fontsize=8 if i == 0 else 7.5, fontweight="bold" if i == 0 else "normal")  # fmt: skip
    xs, ys = zip(*at.values(), *(point for points in between.values() for point in points))
    ax.set(xlim=(min(xs) - 0.5, max(xs) + 0.5), ylim=(min(ys) - 0.5, max(ys) + 0.5))
    ax.axis("off")


def _arrow(ax, stops, count):
    """An arrow from box to box through the stops; `count` of them where a node is used twice."""
    for i in range(count):
        shift = (i - (count - 1) / 2) * 0.22
        (x, y), *middle, (x_end, y_end) = stops
        way = [(x + WIDTH / 2, y + shift), *middle, (x_end - WIDTH / 2, y_end + shift)]
        vertices, codes = [way[0]], [Path.MOVETO]
        for (x0, y0), (x1, y1) in zip(way, way[1:]):
            half = (x0 + x1) / 2
            vertices += [(half, y0), (half, y1), (x1, y1)]
            codes += [Path.CURVE4] * 3
        ax.add_patch(FancyArrowPatch(
            path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=8, color=course.GREY, linewidth=1
        ))  # fmt: skip
