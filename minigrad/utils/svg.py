"""`plot_graph`: the tape of an expression as a picture, SVG that is written here: no other package is needed."""

import html
import os

from minigrad.tensor import Tensor
from minigrad.utils.layout import Layout

SIZE, LINE, PADDING, MARGIN = 11, 15, 9, 12  # the font's size; a line's height; space around a text, the picture
LEAF, OPERATION, BORDER, INK = "#ffffff", "#eef2f7", "#8a99ad", "#22262b"


class SVG(str):
    """The text of a picture, which a notebook shows."""

    def _repr_svg_(self):
        return str(self)


def plot_graph(tensor, to_file=None, **names):
    """Draw what `tensor` was computed from, as far as `backward` would go: its tape, from top to bottom, as SVG.

    A colored box is an operation with the shape of its result; a white box is a leaf, a tensor with
    `requires_grad=True`. A constant is not on the tape, so it has no box. A model called outside of a GradientTape is
    computed once more, because only its result was kept.

    Args:
        to_file: a file to write the picture to.
        **names: leaves by the names that they shall have. By default, a Variable has its path, and others have none.

    Returns:
        The text of the picture, which a notebook shows.

    Raises:
        TypeError: what is no Tensor, or a name of what is none.
        ValueError: a tensor without a tape.

    >>> w, b = Tensor([[2.0]], requires_grad=True), Tensor([1.0], requires_grad=True)
    >>> plot_graph(ops.relu(x @ w + b), "neuron.svg", w=w, b=b)
    """
    for name, one in {"tensor": tensor, **names}.items():
        if not isinstance(one, Tensor):
            raise TypeError(f"plot_graph: {name} must be a Tensor, got {one!r} ({type(one).__name__}).")
    if tensor._node is None:
        raise ValueError(
            f"plot_graph: a tensor of shape {tensor.shape} has no tape, because it was not computed from a tensor with "
            "requires_grad=True (a trainable variable has it) outside of no_grad()."
        )
    names = {id(leaf): name for name, leaf in names.items()}
    parents = _tape(_known(tensor._node))
    numbers = {node: number for number, node in enumerate(parents)}
    boxes = [
        ((names.get(id(node)) or getattr(node, "path", "leaf"), _sizes(node)), LEAF)
        if isinstance(node, Tensor)
        else ((node.name, _sizes(node)), OPERATION)
        for node in parents
    ]
    arrows = [(numbers[parent], numbers[node]) for node, found in parents.items() for parent in found]
    picture = draw_boxes(boxes, arrows)
    if to_file is not None:
        with open(os.fspath(to_file), "w", encoding="utf-8") as file:
            file.write(picture)
    return picture


def _tape(result):
    """{node or leaf: those that it was computed from}, each behind those."""
    met, found, waiting = {}, {}, [result]
    while waiting:
        node = waiting[-1]
        if node in met:
            found.setdefault(waiting.pop(), met[node])
            continue
        parents = [] if isinstance(node, Tensor) else node.parents
        met[node] = [_known(parent) for parent in parents if parent is not None]
        waiting += [parent for parent in reversed(met[node]) if parent not in met]
    return found


def _known(node):
    """The node, or what stands for it on the tape, if only its result was computed so far."""
    if isinstance(node, Tensor) or node.name not in ("deferred", "replayed"):
        return node
    return node.parents[0]() if node.name == "deferred" else node.parents[0]


def _sizes(node):
    return " x ".join(map(str, node.shape)) or "scalar"


def draw_boxes(boxes, arrows):
    """A picture of boxes, each (its lines of text, the first one bold; its color), and of arrows that lead down.

    An arrow is a pair of numbers of boxes, the first one lower.
    """
    sizes = [(0.61 * SIZE * max(map(len, lines)) + 2 * PADDING, LINE * len(lines) + PADDING) for lines, _ in boxes]
    layout = Layout(sizes, arrows)
    width, height = (round(n + 2 * MARGIN) for n in layout.size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}" text-anchor="middle">',
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{BORDER}"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for start, *points in layout.lines():
        way = f"M{_at(start)}"
        for i in range(0, len(points), 4):
            way += "L{}C{} {} {}".format(*map(_at, points[i : i + 4]))
        parts.append(f'<path d="{way}" fill="none" stroke="{BORDER}" stroke-width="1.2" marker-end="url(#tip)"/>')
    for (lines, color), (w, h), (x, y) in zip(boxes, sizes, layout.centers):
        corner = _at((x - w / 2, y - h / 2)).replace(" ", '" y="')
        parts.append(f'<rect x="{corner}" width="{w:.1f}" height="{h:.1f}" rx="4" fill="{color}" stroke="{BORDER}"/>')
        for i, line in enumerate(lines):
            place = _at((x, y + (i - (len(lines) - 1) / 2) * LINE + SIZE * 0.35)).replace(" ", '" y="')
            weight = "" if i else ' font-weight="bold"'
            parts.append(f'<text x="{place}" fill="{INK}"{weight}>{html.escape(line)}</text>')
    return SVG("\n".join([*parts, "</svg>\n"]))


def _at(point):
    return " ".join(f"{n + MARGIN:.1f}" for n in point)
