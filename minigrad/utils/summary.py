"""`model.summary()`: the table of layers and the numbers of parameters below it, byte for byte as in Keras.

It uses a model's names, shapes, weights and graph, and no class of the engine.
"""
import math
import re
import shutil

import numpy as np

from minigrad.names import class_name
from minigrad.utils.layout import geometry
from minigrad.utils.progbar import write

# The colors of Keras' summary, by their numbers among the 256 of a terminal.
CLASS, NUMBER, UNKNOWN, FROZEN = "color(33)", "color(34)", "color(45)", "color(9)"


def print_summary(model, line_length=None, positions=None, print_fn=None, expand_nested=False,
                  show_trainable=False, layer_range=None, show_windows=False):
    """Print the layers of `model`, their output shapes and parameters, and what they add up to.

    Args:
        line_length: the table's width, by default the window's, at most 88 (100 with `show_trainable`).
        positions: where the columns end, as fractions of `line_length`.
        print_fn: a function that is called once with the whole text, instead of printing.
        expand_nested: whether to show the layers inside layers. show_trainable: whether to add a column of Y and N.
        show_windows: whether to add a column with the windows of convolutions and pooling, such as "3x3, stride 2".
        layer_range: two regular expressions, for the names of the first and the last layer to show.

    If the graph is not a chain, a further column shows the inputs of each layer: name[call][result]. The total counts
    the optimizer's variables, too, once it has some. A layer of unknown shape shows `?`.

    Raises:
        ValueError: a column would be narrower than 4, or no name matches.

    >>> model.summary(layer_range=["dense_1", "dense_2"], show_trainable=True)
    """
    # rich takes 35 ms to import, and only summaries need it.
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    columns = {"Layer (type)": "left", "Output Shape": "left", "Param #": "right"}
    graph = None if hasattr(model, "add") else getattr(model, "_graph", None)
    is_chain = graph is None or graph.is_chain
    if is_chain:
        positions, widest = positions or [0.45, 0.8, 1.0], 88
    else:
        columns["Connected to"] = "left"
        positions, widest = positions or [0.3, 0.56, 0.74, 1.0], 108
    if show_trainable:
        columns["Trainable"] = "center"
        positions, widest = [*(0.9 * p for p in positions), 1.0], widest + 12
    if show_windows:
        columns["Windows"] = "left"
        positions, widest = [*(0.85 * p for p in positions), 1.0], widest + 16
    line_length = line_length or min(widest, shutil.get_terminal_size().columns - 4)

    table = Table(width=line_length, show_lines=True)
    for (name, side), width in zip(columns.items(), _column_widths(positions, line_length)):
        table.add_column(name, justify=side, width=width)
    layers = model.layers if graph is None else graph.functions
    calls = {} if graph is None else graph.calls_by_function()
    outputs = {id(function): its_calls[-1].outputs for function, its_calls in calls.items()}
    sources = None if is_chain else _sources(calls, graph.places())
    for layer, depth in _walk(_in_range(layers, layer_range), expand_nested):
        cells = [*_cells(layer, depth, outputs, sources, show_trainable)]
        cells += [[geometry(layer) or "-"]] if show_windows else []
        table.add_row(*(Text.assemble(*cell) for cell in cells))
    text = Group(Text(f'Model: "{model.name}"', "bold"), table,
                 *(Text.assemble(*line) for line in _footer(model)))

    def as_plain_text():
        console = Console(highlight=False, force_terminal=False, color_system=None)
        with console.capture() as capture:
            console.print(text)
        return capture.get()

    if print_fn:
        print_fn(as_plain_text())
        return
    console = Console(highlight=False)
    try:
        console.print(text)
    except UnicodeEncodeError:  # for this encoding rich draws in ASCII, but it does not replace characters in names
        write(as_plain_text())


def _column_widths(positions, line_length):
    # The ends are rounded, not the widths, so that the widths add up.
    ends = [int(position * line_length) for position in positions]
    widths = [end - start for start, end in zip([0, *ends], ends)]
    if min(widths) < 4:
        raise ValueError(
            f"summary expects columns at least 4 wide; got {widths} from a line_length of {line_length} and "
            f"positions {positions}. Pass a larger line_length.")
    return widths


def _in_range(layers, layer_range):
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"summary expects layer_range to be two names or patterns; got {layer_range!r}.")
    first, last = ([i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
                   for pattern in layer_range)
    if not first or not last:
        raise ValueError(
            f"summary expects layer_range to match names of layers; got {layer_range!r}, the layers being "
            f"{[layer.name for layer in layers]}.")
    if first[0] > last[-1]:
        first, last = last, first
    return layers[first[0]:last[-1] + 1]


def _walk(layers, expand_nested, depth=0):
    for layer in layers:
        yield layer, depth
        if expand_nested:
            yield from _walk(getattr(layer, "layers", ()), expand_nested, depth + 1)


def _sources(calls, places):
    """{id of a layer or operation: the cell that shows its inputs}"""
    found = {}
    for function, its_calls in calls.items():
        cell = found[id(function)] = []
        for symbol in (symbol for call in its_calls for symbol in call.inputs):
            name, number, result = places[id(symbol)]
            cell += [", "] if cell else []
            cell += [f"{name}[", (str(number), NUMBER), "][", (str(result), NUMBER), "]"]
    return found


def _cells(layer, depth, outputs, sources, show_trainable):
    """The cells of one row, each a list of text and (text, style)."""
    indent = "   " * depth + "└ " if depth else ""
    yield [f"{indent}{layer.name} (", (class_name(layer), CLASS), ")"]
    is_known = depth == 0 and id(layer) in outputs
    try:
        yield _shape(outputs[id(layer)] if is_known else getattr(layer, "output_shape", None))
    except Exception:  # of a user's `call`: it may need more than one input
        yield ["?"]
    if not hasattr(layer, "built"):  # an operation
        yield [("0", NUMBER)]
    elif layer.built:
        yield [(f"{layer.count_params():,}", NUMBER)]
    else:
        yield [("0", NUMBER), " (unbuilt)"]
    if sources is not None:
        yield (sources.get(id(layer)) if depth == 0 else None) or ["-"]
    if show_trainable:
        if not getattr(layer, "weights", None):
            yield [("-", "bold")]
        else:
            yield [("Y", f"bold {NUMBER}") if layer.trainable else ("N", f"bold {FROZEN}")]


def _shape(shape):
    """The pieces of text that show a shape, a symbol's shape, or a list or dict of shapes."""
    shape = getattr(shape, "shape", shape)
    if shape is None:
        return ["?"]
    if isinstance(shape, dict):
        parts, (begin, end) = [[f"{key}: ", *_shape(one)] for key, one in shape.items()], "{}"
    elif all(size is None or isinstance(size, int) for size in shape):
        parts, (begin, end) = [[(str(size), UNKNOWN if size is None else NUMBER)] for size in shape], "()"
    else:
        parts, (begin, end) = [_shape(one) for one in shape], "[]" if isinstance(shape, list) else "()"
    if begin == "[" and len(parts) == 1:
        return parts[0]
    return [begin, *[piece for part in parts for piece in (", ", *part)][1:], end]


def _footer(model):
    sizes = {"Trainable": _size(model.trainable_weights), "Non-trainable": _size(model.non_trainable_weights)}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        sizes["Optimizer"] = _size(optimizer.variables)
    total = tuple(map(sum, zip(*sizes.values())))
    for label, (count, size) in {"Total": total, **sizes}.items():
        yield [(f" {label} params: ", "bold"), (f"{count:,}", NUMBER), f" ({_readable(size)})"]


def _size(variables):
    """How many numbers and bytes the variables hold; a variable that two layers share counts once."""
    distinct = {id(v): v for v in variables}.values()
    return (sum(math.prod(v.shape) for v in distinct),
            sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in distinct))


def _readable(size):
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"
