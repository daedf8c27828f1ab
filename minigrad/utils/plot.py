"""`plot_model`: a picture of a model's layers, drawn with matplotlib alone. Lengths are points (1/72 inch)."""

import functools
import inspect
import os

from minigrad.names import class_name
from minigrad.spelling import rejected_keywords
from minigrad.trees import leaves, mapped
from minigrad.utils.layout import Layout, geometry

SIZE, PADDING, MARGIN = 9.0, 6.0, 10.0  # the font's size; space around a text, the picture
DARK, BODY, LINE, FRAME = "#1f3a5f", "#f6f8fb", "#8a99ad", "#eef2f7"
TRAINABLE, FROZEN = "#1f6f54", "#8a4b2a"
DIRECTIONS = ("TB", "BT", "LR", "RL")


def plot_model(
    model, to_file="model.png", show_shapes=False, show_dtype=False, show_layer_names=False, rankdir="TB",
    expand_nested=False, dpi=200, show_layer_activations=False, show_trainable=False, splines="ortho", **kwargs,
):  # fmt: skip
    """Draw the graph of `model`, a box per call of a layer, into the file `to_file` (png, svg, pdf, jpg by its ending).

    A box holds the layer's class and the size of its windows if it has some (and its name with `show_layer_names`) and,
    as wanted, its shapes, dtype, activation, and whether it is trained. The layers of a subclassed Model have no
    arrows, because its graph is not known. In a notebook, the picture is also returned. Needs matplotlib (the extra
    `plot`).

    Args:
        rankdir: the direction of the arrows, "TB" (from top to bottom), "BT", "LR" or "RL".
        expand_nested: whether to show the layers of a nested model, inside a frame.
        splines: accepted for Keras, without effect.

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
            f"plot_model: model {model.name!r} is not built, so its shapes are unknown. Put an Input in front, "
            "call build(), or call the model on some data."
        )
    wanted = {
        "names": show_layer_names,
        "shapes": show_shapes,
        "dtype": show_dtype,
        "activations": show_layer_activations,
        "trainable": show_trainable,
        "nested": expand_nested,
        "rankdir": rankdir,
    }
    picture = _Group(None, *_parts(model, wanted, with_input=True), rankdir)
    width, height = (n + 2 * MARGIN for n in (picture.width, picture.height))
    figure = _matplotlib().figure.Figure(layout="none", figsize=(width / 72, height / 72), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    picture.draw(axes, MARGIN, MARGIN)
    to_file = os.fspath(to_file)
    figure.savefig(to_file, dpi=dpi, format=None if os.path.splitext(to_file)[1] else "png")
    return _shown(to_file)


@functools.cache
def _matplotlib():
    """matplotlib with the modules used here. The import takes half a second, and only this function needs it."""
    import matplotlib.figure
    import matplotlib.font_manager
    import matplotlib.patches
    import matplotlib.path
    import matplotlib.textpath

    return matplotlib


def _shown(path):
    """The picture in the form that a notebook shows; None elsewhere."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    is_shown = get_ipython() is not None and os.path.splitext(path)[1] in (".png", ".jpg", ".jpeg")
    return display.Image(filename=path) if is_shown else None


def _parts(model, wanted, with_input=False):
    """The boxes of a model in order, and the arrows between them, each a pair of numbers of boxes."""
    is_list = hasattr(model, "add")
    graph = None if is_list else getattr(model, "_graph", None)
    boxes, arrows, numbers = [], [], {}  # numbers: {id of a symbol: the number of the box that it comes from}
    if graph is None:
        shape = getattr(model, "_input_shape", None)
        if with_input and shape is not None:
            boxes.append(_Box("InputLayer", None, _rows(wanted, shape, shape, model.dtype), DARK))
        for layer in model.layers:
            shapes = [getattr(layer, f"{side}_shape", None) for side in ("input", "output")]
            boxes.append(_part(layer, wanted, shapes, layer.dtype))
        return boxes, [(i, i + 1) for i in range(len(boxes) - 1)] if is_list else []
    for symbol in leaves(graph.inputs):
        if symbol.call is None or symbol.call.inputs:  # it stands in the middle of a larger graph
            numbers[id(symbol)] = len(boxes)
            boxes.append(_Box("InputLayer", None, _rows(wanted, symbol.shape, symbol.shape, symbol.dtype), DARK))
    calls = graph.calls_by_function()
    for call in graph.calls:
        arrows += [(numbers[id(symbol)], len(boxes)) for symbol in call.inputs]
        numbers |= {id(symbol): len(boxes) for symbol in leaves(call.outputs)}
        output = mapped(lambda symbol: symbol.shape, call.outputs)
        inputs = [symbol.shape for symbol in call.inputs] or [output]
        shapes = [inputs[0] if len(inputs) == 1 else inputs, output]
        several = len(calls[call.function])
        which = f", call {calls[call.function].index(call) + 1} of {several}" if several > 1 else ""
        boxes.append(_part(call.function, wanted, shapes, leaves(call.outputs)[0].dtype, which))
    return boxes, list(dict.fromkeys(arrows))


def _part(layer, wanted, shapes, dtype, which=""):
    """The box of a layer or an operation, or the group of boxes of a nested model, if that is wanted."""
    kind = f"{class_name(layer)} {geometry(layer)}".strip()
    title = f"{layer.name} ({kind})" if wanted["names"] else kind
    if wanted["nested"] and getattr(layer, "layers", None):
        return _Group(title + which, *_parts(layer, wanted), wanted["rankdir"])
    activation = getattr(getattr(layer, "activation", None), "__name__", None) if wanted["activations"] else None
    trainable, color = None, DARK
    if wanted["trainable"] and getattr(layer, "weights", None):
        trainable, color = layer.trainable, TRAINABLE if layer.trainable else FROZEN
    return _Box(title + which, activation, _rows(wanted, *shapes, dtype, trainable), color)


def _rows(wanted, input_shape, output_shape, dtype, trainable=None):
    """The cells below the title, in rows."""
    if wanted["shapes"]:
        yield [f"Input: {_text(input_shape)}", f"Output: {_text(output_shape)}"]
    rest = [f"dtype: {dtype}"] if wanted["dtype"] else []
    rest += [] if trainable is None else [f"trainable: {trainable}"]
    if rest:
        yield rest


def _text(shape):
    return "?" if shape is None else str(shape)


def _width(text, bold=False):
    font = _matplotlib().font_manager.FontProperties(size=SIZE, weight="bold" if bold else "normal")
    return _matplotlib().textpath.TextPath((0, 0), text, prop=font).get_extents().width if text.strip() else 0.0


class _Box:
    """A title (and the activation beside it) over rows of cells."""

    def __init__(self, title, activation, rows, color):
        self.title, self.rows, self.color = title if activation is None else f"{title}: {activation}", list(rows), color
        cells = [[_width(text) + 2 * PADDING for text in row] for row in self.rows]
        self.width = max(_width(self.title, bold=True) + 4 * PADDING, *(len(row) * max(row) for row in cells), 90.0)
        self.row = SIZE + 2 * PADDING
        self.height = self.row * (1 + len(self.rows))

    def draw(self, axes, x, y):
        Rectangle = _matplotlib().patches.Rectangle
        axes.add_patch(Rectangle((x, y), self.width, self.row, facecolor=self.color, edgecolor=self.color, lw=0.8))
        _write(axes, x + self.width / 2, y + self.row / 2, self.title, "white", bold=True)
        for i, row in enumerate(self.rows, 1):
            cell = self.width / len(row)
            for j, text in enumerate(row):
                corner = (x + j * cell, y + i * self.row)
                axes.add_patch(Rectangle(corner, cell, self.row, facecolor=BODY, edgecolor=self.color, lw=0.8))
                _write(axes, corner[0] + cell / 2, corner[1] + self.row / 2, text, "#222222")


class _Group:
    """Boxes and groups in ranks, with arrows that lead from rank to rank. A group with a title has a frame."""

    def __init__(self, title, members, arrows, rankdir):
        self.title, self.members = title, members
        self.is_column, self.is_forward = rankdir in ("TB", "BT"), rankdir in ("TB", "LR")
        sizes = [(m.width, m.height) if self.is_column else (m.height, m.width) for m in members]
        self.layout = Layout(sizes, arrows)
        self.inner = self.layout.size if self.is_column else self.layout.size[::-1]
        self.inset, self.header = (PADDING * 1.5, SIZE + 2 * PADDING) if self.title else (0.0, 0.0)
        title = _width(self.title, bold=True) + 2 * PADDING if self.title else 0.0
        self.width = max(self.inner[0], title) + 2 * self.inset
        self.height = self.inner[1] + self.header + self.inset

    def draw(self, axes, x, y):
        patches, Path = _matplotlib().patches, _matplotlib().path.Path
        if self.title:
            style = {"boxstyle": "round,pad=0,rounding_size=4", "facecolor": FRAME, "edgecolor": LINE, "lw": 0.8}
            axes.add_patch(patches.FancyBboxPatch((x, y), self.width, self.height, **style))
            _write(axes, x + self.width / 2, y + self.header / 2, self.title, DARK, bold=True)
        left, top = x + (self.width - self.inner[0]) / 2, y + self.header

        def place(across, along):
            along = along if self.is_forward else self.layout.size[1] - along
            return (left + across, top + along) if self.is_column else (left + along, top + across)

        for points in self.layout.lines():
            codes = [Path.MOVETO, *[Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4] * (len(points) // 4)]
            path = Path([place(*point) for point in points], codes)
            style = {"arrowstyle": "-|>", "color": LINE, "lw": 1.2, "mutation_scale": 9, "capstyle": "butt"}
            axes.add_patch(patches.FancyArrowPatch(path=path, shrinkA=1, shrinkB=1, **style))
        for member, (across, along) in zip(self.members, self.layout.centers):
            across, along = place(across, along)
            member.draw(axes, across - member.width / 2, along - member.height / 2)


def _write(axes, x, y, text, color, bold=False):
    weight = "bold" if bold else "normal"
    axes.text(x, y, text, color=color, size=SIZE, weight=weight, ha="center", va="center_baseline")
