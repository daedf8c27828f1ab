"""`export`: the recorded step of prediction of a model, written as an ONNX file."""

import os
import sys
import traceback

import numpy as np

from minigrad.exporting.translations import translation
from minigrad.exporting.writing import COUNTS, Value, Writer, fixed, library
from minigrad.graph import HELD, TEXTS, Symbol
from minigrad.layers.base import Layer
from minigrad.layers.context import entry
from minigrad.ops.shaping import constant_tensor
from minigrad.program import Launches, RecordingError, address, trace
from minigrad.saving import files
from minigrad.tensor import no_grad
from minigrad.trees import filled, leaves, mapped

_BY_KERAS = "save a .keras file and let Keras on {} do it: keras.models.load_model(path).export({})"
OTHERS = {
    "tf_saved_model": _BY_KERAS.format("TensorFlow", "folder"),
    "openvino": "export to ONNX, which OpenVINO reads: openvino.convert_model('model.onnx')",
    "litert": _BY_KERAS.format("TensorFlow", "'model.tflite', format='litert'"),
    "torch": _BY_KERAS.format("PyTorch", "'model.pt2', format='torch'"),
}
_BEFORE = (
    "Export the layers behind the one that makes numbers of the data, keras.Model(layer.output, model.outputs), and "
    "call that layer first."
)
_INSTEAD = "Use other operations of minigrad.ops, or export the parts of the model before and behind it."


@entry
def export(model, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
    """Write the model's step of prediction to a file that other programs run, for any number of rows.

    >>> model.export("model.onnx", format="onnx")
    >>> onnxruntime.InferenceSession("model.onnx").run(None, {"input": x})

    The inputs are called like the model's, the outputs like the layers that make them. Every layer can be exported,
    with these exceptions, for which an error tells what to do:

    - TextVectorization, StringLookup, Hashing and HashedCrossing, which make numbers of texts before a step begins;
      IntegerLookup with output_mode="tf_idf", several indices for unknown integers, or a vocabulary that spans more
      than four million;
    - recurrent layers with stateful=True;
    - layers of one's own, and Lambda, that read values, mix the rows of a batch, or use operations for which ONNX has
      no words, such as `ops.image.affine_transform`.

    Args:
        filepath: the name of the file.
        format: "onnx", which needs the package onnx: `pip install onnx`. The file is for opset 18.
        verbose: whether to say where the file is; None: yes.
        input_signature: for a model without `Input`, or with axes of any length besides the rows: what goes in, a tree
            of objects with a shape and a dtype (InputSpec, symbols, arrays). Their first axis is any number of rows.

    Raises:
        ValueError: another format, or a layer that can't be exported, which is named.
        ImportError: onnx is not there.
    """
    if format != "onnx":
        advice = OTHERS.get(format, f"formats of Keras are 'onnx', {', '.join(map(repr, OTHERS))}")
        raise ValueError(f"minigrad exports models with format='onnx'; for {format!r}, {advice}.")
    if kwargs:
        raise TypeError(f"export: format='onnx' takes no {', '.join(kwargs)}; the file is for opset 18.")
    library()
    path, written = os.fspath(filepath), _Export(model, _inputs(model, input_signature)).written()
    files.write(path, written.SerializeToString())
    if verbose is None or verbose:
        print(f"Model {model.name!r} was exported to {path}.")


def _inputs(model, signature):
    """A tree of symbols: what goes into the model."""
    own = None if model._graph is None else model._graph.inputs
    if own is None and signature is None and _is_shape(model._input_shape):
        own = Symbol(model._input_shape, model.dtype, "input")
    if own is None and signature is None:
        raise ValueError(f"Model {model.name!r} does not know what goes in: give export its `input_signature`.")
    if signature is not None:
        given, named = leaves(signature), [symbol.name for symbol in leaves(own)] if own is not None else []
        names = named if len(named) == len(given) else [f"input_{i}" for i in range(len(given))]
        made = [Symbol(one.shape, getattr(one, "dtype", None) or model.dtype, n) for one, n in zip(given, names)]
        own = filled(signature if own is None else own, made)
    for symbol in leaves(own):
        if symbol.dtype == TEXTS:
            raise ValueError(
                f"Input {symbol.name!r} of model {model.name!r} holds texts, which are converted before a step begins. "
                f"{_BEFORE}"
            )
        if None in symbol.shape[1:]:
            raise ValueError(
                f"Input {symbol.name!r} of model {model.name!r} has the shape {symbol.shape}; in the file only the "
                "number of rows is free: say the other lengths by input_signature=[InputSpec(shape=(None, 50, 8))]."
            )
    return own


def _is_shape(shape):
    return isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape)


class _Notes(Launches):
    """The launches of a recording, each with the layer that made it."""

    def __init__(self):
        super().__init__()
        self.layers = []

    def append(self, launch):
        super().append(launch)
        frame, layer = sys._getframe(1), None
        while frame is not None and layer is None:
            layer, frame = _layer_in(frame), frame.f_back
        self.layers.append(layer)


def _layer_in(frame):
    found = frame.f_locals.get("self")
    return found if isinstance(found, Layer) else None


class Impossible(ValueError):
    """What is asked for can't be exported."""


class Operand:
    """An operand of a launch: its arrays in both recordings, and the value that it has in the file."""

    def __init__(self, export, *arrays):
        self._export, self.arrays, self.dtype = export, arrays, arrays[0].dtype
        self.shape = tuple(zip(*(array.shape for array in arrays), strict=True))
        self.place = tuple(map(address, arrays))

    @property
    def value(self):
        """The value in the operand's shape."""
        return self._export.writer.reshaped(self.whole, self.shape)

    @property
    def whole(self):
        """The value in the shape in which it was computed, which has as many elements."""
        return self._export.found(self)

    @property
    def is_constant(self):
        """Whether nothing has computed it."""
        return self._export.block(self) is None


class _Export:
    """The file of a model.

    Args:
        inputs: a tree of symbols.
    """

    def __init__(self, model, inputs):
        self.model, self.inputs = model, inputs
        self.writer = Writer(leaves(inputs)[0].name)
        self.recordings = [self._recorded(count) for count in COUNTS]
        self.names = {address(v._data): v.path for v in model.weights if v.size}
        self.blocks = {}  # places in memory that were written -> (their size, their Value; or why there is none)

    def _recorded(self, count):
        """(the given tensors, the launches, the results) for so many rows."""

        def made(symbol):
            return constant_tensor(np.zeros((count, *symbol.shape[1:]), HELD.get(symbol.dtype, symbol.dtype)))

        given, notes, results = mapped(made, self.inputs), _Notes(), []

        def step():
            with no_grad():
                results[:] = [self.model(given, training=False)]

        try:
            trace(step, notes)
        except RecordingError as error:
            layers = [_layer_in(frame) for frame, _ in traceback.walk_tb(error.__traceback__)]
            layer = [one for one in layers if one][-1]
            advice = _BEFORE if layer._reads_values else "Compute it with minigrad.ops, if that is possible."
            raise self._impossible(layer, f"{error} {advice}") from None
        for note in notes.asides:
            raise self._impossible(self.model, note)
        return leaves(given), notes, leaves(results)

    def _impossible(self, layer, reason):
        layer = layer or self.model
        word = type(layer).__name__
        return Impossible(f"Model {self.model.name!r} can't be exported: {word} {layer.name!r}: {reason}")

    def block(self, operand):
        """(place, size, value) of the memory that was written and holds the operand, or None."""
        if operand.place in self.blocks:
            return operand.place, *self.blocks[operand.place]
        (here, _), bytes = operand.place, operand.arrays[0].nbytes
        for place, (length, value) in self.blocks.items():
            if place[0] <= here and here + bytes <= place[0] + length:
                return place, length, value
        return None

    def found(self, operand):
        """The value of an operand."""
        block = self.block(operand)
        if block is None:
            return self._constant(operand)
        place, length, value = block
        if isinstance(value, Impossible):
            raise value
        if length == operand.arrays[0].nbytes:
            return value
        whole = self.writer.reshaped(value, [tuple(map(int, np.prod(value.shape, axis=0)))])
        begin = tuple((b - a) // operand.dtype.itemsize for a, b in zip(place, operand.place))
        end = tuple(first + array.size for first, array in zip(begin, operand.arrays))
        return self.writer.sliced(whole, 0, begin, end)

    def _constant(self, operand):
        """The value of what is the same in each step: a weight, or numbers of an operation."""
        first, second = operand.arrays
        if first.shape == second.shape and np.array_equal(first, second, equal_nan=first.dtype.kind == "f"):
            return self.writer.constant(first, self.names.get(operand.place[0]))
        rows = [array.reshape(count, -1) for array, count in zip(operand.arrays, COUNTS) if array.size % count == 0]
        if len(rows) < 2 or any(one.shape[1] != rows[0].shape[1] or (one != rows[0][0]).any() for one in rows):
            raise ValueError("a number in it depends on the number of rows")
        row = self.writer.constant(rows[0][:1])
        return self.writer.expanded(row, [COUNTS, *fixed(rows[0].shape[1])])

    def written(self):
        """The finished model of ONNX."""
        writer, names = self.writer, []
        for symbol, *tensors in zip(leaves(self.inputs), *(given for given, _, _ in self.recordings)):
            operand, value = Operand(self, *(t._data for t in tensors)), symbol.name
            names.append((symbol.name, symbol.dtype, ["rows", *symbol.shape[1:]]))
            if operand.dtype != symbol.dtype:
                value = writer.Cast(value, to=writer.kind(operand.dtype))
            self._write(operand, Value(value, operand.shape))
        notes, others = (notes for _, notes, _ in self.recordings)
        if [kernel for kernel, *_ in notes] != [kernel for kernel, *_ in others]:
            raise self._impossible(None, "with another number of rows it does not compute the same")
        for (kernel, ours, flag), (_, theirs, _), layer in zip(notes, others, notes.layers):
            operands = [Operand(self, *pair) for pair in zip(ours, theirs)]
            self._translate(None if flag is not None else translation(kernel), kernel, operands, layer)
        outputs = []
        for name, *tensors in zip(self._output_names(), *(results for _, _, results in self.recordings)):
            operand = Operand(self, *(t._data for t in tensors))
            outputs.append((name, operand.dtype, [a if a == b else "rows" for a, b in operand.shape]))
            writer.nodes.append(writer.onnx.helper.make_node("Identity", [operand.value], [name]))
        return writer.model(writer.graph(names, outputs, self.model.name))

    def _write(self, operand, value):
        self.blocks[operand.place] = operand.arrays[0].nbytes, value

    def _translate(self, translation, kernel, operands, layer):
        """Add the nodes of one launch. Where there are none, this only matters if its results are used."""
        outs = {name: o for name, o, is_out in zip(kernel.parameters, operands, kernel.is_out) if is_out}
        result = outs.get("y") or list(outs.values())[-1]
        if any(operand.place[0] in self.names for operand in outs.values()):
            raise self._impossible(layer, "it changes its weights or its state with each prediction.")
        word = f"minigrad can't say in ONNX what the kernel {kernel.name!r} computes."
        unknown = self._impossible(layer, f"{word} {_INSTEAD}")
        value = unknown
        if translation is not None:
            try:
                value = translation(self.writer, *operands)
            except Impossible as error:
                value = error
            except ValueError as error:
                value = self._impossible(layer, f"{error}.")
        for operand in outs.values():
            self._write(operand, unknown)
        if value is not None:
            is_whole = isinstance(value, (Value, Impossible))
            self._write(result, value if is_whole else Value(value, result.shape))

    def _output_names(self):
        """A name for each output, which no input has."""
        taken, tree = [symbol.name for symbol in leaves(self.inputs)], getattr(self.model._graph, "outputs", None)
        if isinstance(tree, dict):
            names = list(tree)
        elif tree is not None:
            names = [symbol.call.function.name for symbol in leaves(tree)]
        else:
            names = [f"output_{i}" for i in range(len(self.recordings[0][2]))]
        for i, name in enumerate(names):
            names[i] = name if name not in (*taken, *names[:i]) else f"{name}_{i}"
        return names
