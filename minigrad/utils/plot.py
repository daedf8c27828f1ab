"""`plot_model`: a picture of a model's layers, drawn with matplotlib alone.

It asks a model for names, shapes and layers, and needs no class of the engine. Lengths are points (1/72 inch).
"""

import inspect
import os

from minigrad.spelling import rejected_keywords

SIZE, PADDING, GAP, MARGIN = 9.0, 6.0, 22.0, 10.0  # of the font; around a text; between boxes; around the picture
DARK, BODY, LINE, FRAME = "#1f3a5f", "#f6f8fb", "#8a99ad", "#eef2f7"
TRAINABLE, FROZEN = "#1f6f54", "#8a4b2a"
DIRECTIONS = ("TB", "BT", "LR", "RL")


def plot_model(
    model,
    to_file="model.png",
    show_shapes=False,
    show_dtype=False,
    show_layer_names=False,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    **kwargs,
):
    """Draw the layers of `model` one after the other into the file `to_file` (png, svg, pdf, jpg by its ending).

    A box holds the layer's class (`show_layer_names`: and name) and, as wanted, its shapes, dtype, activation and
    whether it is trained. `rankdir`: where to go, "TB" (from top to bottom), "BT", "LR" or "RL". `expand_nested`: show
    the layers of a nested model inside a frame. `splines` changes nothing: arrows are straight. Needs matplotlib (the
    extra `plot`). In a notebook the picture is returned, too. The layers of a subclassed Model have no arrows: which
    one feeds which is not known.

    Raises:
        ValueError: a model that is not built, no such `rankdir`, or unknown arguments.
    """
    if kwargs.pop("layer_range", None) is not None:
        raise ValueError("plot_model has no layer_range: make a Sequential of the layers that shall be drawn.")
    if kwargs:
        raise rejected_keywords("plot_model", kwargs, list(inspect.signature(plot_model).parameters)[1:-1])
    if rankdir not in DIRECTIONS:
        raise ValueError(f"plot_model: rankdir must be one of {', '.join(DIRECTIONS)}; got {rankdir!r}.")
    if not model.built:
        raise ValueError(
            f"plot_model: model {model.name!r} is not built, so that its shapes are unknown. Put an Input in front, "
            "call build(), or call the model on some data."
        )
    # matplotlib takes half a second to import: only those who draw pay for it.
    from matplotlib.figure import Figure

    wanted = {
        "names": show_layer_names,
        "shapes": show_shapes,
        "dtype": show_dtype,
        "activations": show_layer_activations,
        "trainable": show_trainable,
        "nested": expand_nested,
    }
    picture = _Group(None, _boxes(model, wanted, with_input=True), rankdir, hasattr(model, "add"))
    width, height = (n + 2 * MARGIN for n in (picture.width, picture.height))
    figure = Figure(layout="none", figsize=(width / 72, height / 72), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    picture.draw(axes, MARGIN, MARGIN)
    to_file = os.fspath(to_file)
    figure.savefig(to_file, dpi=dpi, format=None if os.path.splitext(to_file)[1] else "png")
    return _shown(to_file)


def _shown(path):
    """The picture as a notebook shows it; None elsewhere."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    is_shown = get_ipython() is not None and os.path.splitext(path)[1] in (".png", ".jpg", ".jpeg")
    return display.Image(filename=path) if is_shown else None


def _boxes(model, wanted, with_input=False):
    """What is drawn for a model, in order."""
    if with_input and getattr(model, "_input_shape", None) is not None:
        shape = tuple(model._input_shape)
        yield _Box("InputLayer", None, _rows(wanted, shape, shape, model.dtype), DARK)
    for layer in model.layers:
        title = f"{layer.name} ({type(layer).__name__})" if wanted["names"] else type(layer).__name__
        if wanted["nested"] and getattr(layer, "layers", None):
            yield _Group(title, _boxes(layer, wanted), None, hasattr(layer, "add"))
            continue
        shapes = [getattr(layer, f"{side}_shape", None) for side in ("input", "output")]
        activation = getattr(getattr(layer, "activation", None), "__name__", None)
        trainable, color = None, DARK
        if wanted["trainable"] and layer.weights:
            trainable, color = layer.trainable, TRAINABLE if layer.trainable else FROZEN
        rows = _rows(wanted, *shapes, layer.dtype, trainable)
        yield _Box(title, activation if wanted["activations"] else None, rows, color)


def _rows(wanted, input_shape, output_shape, dtype, trainable=None):
    """The cells below the title, in rows."""
    if wanted["shapes"]:
        yield [f"Input: {_text(input_shape)}", f"Output: {_text(output_shape)}"]
    rest = [f"dtype: {dtype}"] if wanted["dtype"] else []
    rest += [] if trainable is None else [f"trainable: {trainable}"]
    if rest:
        yield rest


def _text(shape):
    return "?" if shape is None else str(tuple(shape))


def _width(text, bold=False):
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(size=SIZE, weight="bold" if bold else "normal")
    return TextPath((0, 0), text, prop=font).get_extents().width if text.strip() else 0.0


class _Box:
    """A title (and the activation beside it) over rows of cells."""

    def __init__(self, title, activation, rows, color):
        self.title, self.rows, self.color = title if activation is None else f"{title}: {activation}", list(rows), color
        cells = [[_width(text) + 2 * PADDING for text in row] for row in self.rows]
        self.width = max(_width(self.title, bold=True) + 4 * PADDING, *(len(row) * max(row) for row in cells), 90.0)
        self.row = SIZE + 2 * PADDING
        self.height = self.row * (1 + len(self.rows))

    def draw(self, axes, x, y):
        from matplotlib.patches import Rectangle

        axes.add_patch(Rectangle((x, y), self.width, self.row, facecolor=self.color, edgecolor=self.color, lw=0.8))
        _write(axes, x + self.width / 2, y + self.row / 2, self.title, "white", bold=True)
        for i, row in enumerate(self.rows, 1):
            cell = self.width / len(row)
            for j, text in enumerate(row):
                corner = (x + j * cell, y + i * self.row)
                axes.add_patch(Rectangle(corner, cell, self.row, facecolor=BODY, edgecolor=self.color, lw=0.8))
                _write(axes, corner[0] + cell / 2, corner[1] + self.row / 2, text, "#222222")


class _Group:
    """Boxes and groups in a row or a column, with arrows from one to the next; with a title it has a frame."""

    def __init__(self, title, members, rankdir, is_chain):
        self.title, self.is_chain, self.members = title, is_chain, list(members)
        self.direct(rankdir or "TB")

    def direct(self, rankdir):
        """Take the direction of the whole picture, which groups inside share."""
        self.rankdir, self.is_column = rankdir, rankdir in ("TB", "BT")
        for member in self.members:
            if isinstance(member, _Group):
                member.direct(rankdir)
        widths, heights = ([getattr(m, side) for m in self.members] or [0.0] for side in ("width", "height"))
        gaps = GAP * (len(widths) - 1)
        self.inset, self.header = (PADDING * 1.5, SIZE + 2 * PADDING) if self.title else (0.0, 0.0)
        self.inner = (max(widths), sum(heights) + gaps) if self.is_column else (sum(widths) + gaps, max(heights))
        title = _width(self.title, bold=True) + 2 * PADDING if self.title else 0.0
        self.width = max(self.inner[0], title) + 2 * self.inset
        self.height = self.inner[1] + self.header + self.inset

    def draw(self, axes, x, y):
        from matplotlib.patches import FancyBboxPatch

        if self.title:
            style = "round,pad=0,rounding_size=4"
            axes.add_patch(
                FancyBboxPatch((x, y), self.width, self.height, boxstyle=style, facecolor=FRAME, edgecolor=LINE, lw=0.8)
            )
            _write(axes, x + self.width / 2, y + self.header / 2, self.title, DARK, bold=True)
        left, top = x + (self.width - self.inner[0]) / 2, y + self.header
        at, before = (top if self.is_column else left), None
        for member in self.members if self.rankdir in ("TB", "LR") else reversed(self.members):
            place = (x + (self.width - member.width) / 2, at)
            if not self.is_column:
                place = (at, top + (self.inner[1] - member.height) / 2)
            member.draw(axes, *place)
            if before is not None and self.is_chain:
                self._arrow(axes, x, top, before, at)
            at += member.height if self.is_column else member.width
            before, at = at, at + GAP

    def _arrow(self, axes, x, top, start, end):
        across = x + self.width / 2 if self.is_column else top + self.inner[1] / 2
        tail, head = (start, end) if self.rankdir in ("TB", "LR") else (end, start)
        points = [(across, p) if self.is_column else (p, across) for p in (head, tail)]
        style = {"arrowstyle": "-|>", "color": LINE, "lw": 1.2, "shrinkA": 1, "shrinkB": 1, "mutation_scale": 9}
        axes.annotate("", points[0], points[1], arrowprops=style)


def _write(axes, x, y, text, color, bold=False):
    weight = "bold" if bold else "normal"
    axes.text(x, y, text, color=color, size=SIZE, weight=weight, ha="center", va="center_baseline")
