"""The graph of a model as a config, and back: which layer or operation is called with what.

    layers          every layer and operation, each with its `inbound_nodes`: {"args": ..., "kwargs": ...} per call
    input_layers    the source of each input: [name of a layer, number of its call, number of the result]
    output_layers   the source of each output; a list or dict of such triples if there are several outputs

A symbol in the arguments of a call is a `__keras_tensor__` with such a triple as its "keras_history". In files of
Keras 2, a call is only a list of [name, call, result, kwargs].
"""

import graphlib
import inspect
import math

import numpy as np

from minigrad import activations, ops
from minigrad.graph import Operation, Symbol, has_symbols, record, results
from minigrad.layers.base import registry
from minigrad.layers.input_layer import InputLayer
from minigrad.names import class_name
from minigrad.saving import objects
from minigrad.tensor import Variable
from minigrad.trees import leaves, mapped

_MOST = 1 << 24  # the most elements per row of a result, and the largest number in a size, that a file may ask for

_OPERATIONS = {  # module of Keras: the functions of `ops` that are classes in it, with names in CamelCase
    "core": "cast convert_to_tensor saturate_cast scatter scatter_update slice slice_update stop_gradient unstack",
    "image": "affine_transform crop_images extract_patches pad_images resize rgb_to_grayscale",
    "linalg": "norm",
    "math": "erf erfc in_top_k logsumexp rsqrt segment_max segment_min segment_prod segment_sum top_k",
    "nn": "average_pool celu conv conv_transpose depthwise_conv elu gelu glu hard_shrink hard_sigmoid hard_silu "
    "hard_tanh leaky_relu log_sigmoid log_softmax max_pool separable_conv "
    "moments multi_hot normalize one_hot relu relu6 rms_normalization selu sigmoid silu soft_shrink softmax "
    "softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold",
    "numpy": "absolute add all amax amin any append arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin "
    "argpartition argsort array_split average broadcast_to cbrt ceil clip concatenate copy corrcoef cos cosh "
    "count_nonzero cross cumprod cumsum deg2rad diag diagflat diagonal diff digitize divide divide_no_nan dot dsplit "
    "dstack einsum empty_like equal exp exp2 expand_dims expm1 fabs flip fliplr flipud floor floor_divide fmax fmin "
    "fmod full_like get_item greater greater_equal heaviside hsplit hstack hypot inner isclose isfinite isin isinf "
    "isnan isneginf isposinf kron ldexp less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and "
    "logical_not logical_or logical_xor matmul max maximum mean median meshgrid min minimum mod moveaxis multiply "
    "nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod "
    "nanquantile nanstd nansum nanvar negative nonzero not_equal ones_like outer pad percentile power prod ptp "
    "quantile rad2deg ravel reciprocal repeat reshape roll rot90 round searchsorted select sign signbit sin sinc sinh "
    "sort split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace "
    "transpose tril triu true_divide trunc unravel_index vander var vdot vsplit vstack where zeros_like",
}
_CLASSES = {  # function: (module, name) of its class in Keras
    function: (f"keras.src.ops.{module}", class_name(Operation(function, module)))
    for module, names in _OPERATIONS.items()
    for function in (getattr(ops.image if module == "image" else ops, name) for name in names.split())
}
_CLASSES[activations.relu] = "keras.src.activations.activations", "ReLU"
_FUNCTIONS = {place: function for function, place in _CLASSES.items()}
_FUNCTIONS["keras.src.ops.numpy", "Abs"] = ops.absolute
_IN_CALL = {  # arguments that Keras gives to the call of an operation; the others go to its constructor
    "a", "array", "atol", "bins", "choicelist", "condition", "condlist", "constant_values", "data", "default",
    "depthwise_kernel", "fill_value", "images", "indices", "inputs", "kernel", "key", "operands", "pointwise_kernel",
    "predictions", "q", "rtol", "scale", "segment_ids", "sorted_sequence", "start_indices", "targets", "transform",
    "updates", "values", "variable", "weights", "x", "x1", "x2", "xs",
}  # fmt: skip
_SIZES = {
    "shape", "repeats", "pad_width", "num_classes", "size", "target_height", "target_width", "top_padding",
    "left_padding", "bottom_padding", "right_padding",
}  # fmt: skip


def _in_call(signature):
    """The names of arguments that Keras gives to the call. An operation on images is made with its fill_value."""
    return _IN_CALL - {"fill_value"} if "images" in signature.parameters else _IN_CALL


def _is_functional(entry):
    """Whether an entry of `layers` is a model of inputs and outputs, whose calls `output_layers` counts from 1."""
    return isinstance(entry.get("config"), dict) and "output_layers" in entry["config"]


# ------------------------------------------------------------------------------------------------------- writing


def describe(graph):
    """The layers, input_layers and output_layers of a config.

    Raises:
        ValueError: an operation, or an argument of a call, that a config can't describe.
    """
    places, calls, entries = graph.places(), {}, []
    for symbol in leaves(graph.inputs):
        if symbol.call is None or symbol.call.inputs:  # it stands in the middle of a larger graph
            calls[InputLayer(batch_shape=symbol.shape, dtype=symbol.dtype, name=symbol.name)] = []
    calls |= graph.calls_by_function()
    for function, its_calls in calls.items():
        if isinstance(function, Operation):
            entry, nodes = _operation(function, its_calls, places)
        else:
            entry = registry.serialize(function)
            nodes = [_node(function, call.args, call.kwargs, places) for call in its_calls if call.inputs]
        entries.append({**entry, "name": function.name, "inbound_nodes": nodes})
    functional = {entry["name"] for entry in entries if _is_functional(entry)}

    def output(symbol):
        name, call, result = places[id(symbol)]
        return [name, call + (name in functional), result]

    return {
        "layers": entries,
        "input_layers": mapped(lambda symbol: places[id(symbol)], graph.inputs),
        "output_layers": mapped(output, graph.outputs),
    }


def _operation(operation, calls, places):
    """The entry of an operation, with the arguments of its constructor, and the nodes of its calls."""
    if operation.function not in _CLASSES:
        raise ValueError(f"Keras knows no operation {operation.name!r}, so a file can't hold it.")
    module, kind = _CLASSES[operation.function]
    nodes = []
    for call in calls:
        bound = inspect.signature(operation.function).bind(*call.args, **call.kwargs)
        bound.apply_defaults()
        settings, args = {}, []
        for name, value in bound.arguments.items():
            if name not in _in_call(bound.signature):
                settings[name] = np.dtype(value).name if isinstance(value, (type, np.dtype)) else value
            else:
                args += value if name == "operands" else [value]
        if has_symbols(settings):
            raise ValueError(f"Operation {operation.name!r}: Keras takes {list(settings)} as numbers, not as tensors.")
        if kind == "GetItem" and isinstance(args[1], list):  # Keras takes a list for a tuple
            args[1] = np.asarray(args[1])
        nodes.append(_node(operation, args, {}, places))
    config = {"name": operation.name, **objects.serialize_keras_object(settings)}
    return {"module": module, "class_name": kind, "config": config, "registered_name": kind}, nodes


def _node(function, args, kwargs, places):
    """The arguments of a call."""

    def told(leaf):
        if isinstance(leaf, Variable):
            raise ValueError(
                f"{function.name!r} is called with the variable {leaf.name!r}, which is no layer's: a file can't hold "
                "it. Make it with add_weight in a layer."
            )
        if not isinstance(leaf, Symbol):
            return objects.serialize_keras_object(leaf)
        config = {"shape": list(leaf.shape), "dtype": leaf.dtype, "keras_history": places[id(leaf)]}
        return {"class_name": "__keras_tensor__", "config": config}

    args, kwargs = mapped(told, (list(args), kwargs))
    return {"args": args, "kwargs": kwargs}


# ------------------------------------------------------------------------------------------------------- reading


def read(config):
    """The inputs and outputs, trees of symbols, of the graph in a config that `describe` or Keras made.

    Raises:
        ValueError: unknown names, calls that need each other, or more memory than a file may ask for.
    """
    functions, settings, nodes = {}, {}, {}
    entries = {entry["name"]: entry for entry in config["layers"]}
    if len(entries) != len(config["layers"]):
        raise ValueError(f"it has several layers of one name; the names are {sorted(entries)[:10]}")
    for name, entry in entries.items():
        functions[name], settings[name] = _function(entry)
        is_input = isinstance(functions[name], InputLayer)
        nodes |= {(name, i): node for i, node in enumerate([None] if is_input else entry["inbound_nodes"])}
    is_old = any(isinstance(node, list) for node in nodes.values())
    # In Keras 2, the calls of inner models are counted from 1 everywhere.
    counted_from_1 = {n for n, one in entries.items() if _is_functional(one) or (is_old and "layers" in one["config"])}
    made = {}

    def key(history, first):
        if not (isinstance(history, (list, tuple)) and len(history) >= 3 and isinstance(history[0], str)):
            raise ValueError(f"{str(history)[:100]} says not which result of which layer is meant")
        name, call, _ = history[:3]
        found = (name, call - (name in first) if type(call) is int else call)
        if found not in nodes:
            raise ValueError(f"call {call!r} of layer {name!r} is needed, and the file has no such call")
        return found

    def symbol(history, first):
        found, place = made[key(history, first)], history[2]
        if type(place) is not int or not 0 <= place < len(found):
            raise ValueError(f"layer {history[0]!r} has {len(found)} results, and number {place!r} is needed")
        return found[place]

    inside = counted_from_1 if is_old else ()
    needs = {}
    for (name, i), node in nodes.items():
        needs[name, i] = [(name, i - 1)] if i else []
        _arguments(node, lambda history, needed=needs[name, i]: needed.append(key(history, inside)))
    try:
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        raise ValueError(f"the calls of its layers need each other: {error.args[1][:10]}") from error
    for name, i in order:
        if nodes[name, i] is None:
            made[name, i] = [functions[name].output]
            continue
        args, kwargs = _arguments(nodes[name, i], lambda history: symbol(history, inside))
        if not has_symbols(args, kwargs):
            raise ValueError(f"layer {name!r} is called with nothing that comes from an input")
        made[name, i] = results(_called(functions[name], settings[name], args, kwargs))
        for one in made[name, i]:
            if math.prod(n or 1 for n in one.shape) > _MOST:
                raise ValueError(f"layer {name!r} would return {one.shape}, more than the {_MOST:,} elements allowed")

    is_history = lambda tree: isinstance(tree, (list, tuple)) and isinstance((*tree, None)[0], str)
    inputs, outputs = config["input_layers"], config["output_layers"]
    return mapped(lambda history: symbol(history, counted_from_1), (inputs, outputs), is_history)


def _function(entry):
    """The layer or operation of an entry, and the arguments of the operation's constructor; None for a layer."""
    kind, module, config = entry["class_name"], entry.get("module"), entry["config"]
    is_operation = str(module).startswith(("keras.src.ops.", "keras.src.activations."))
    if module is None and isinstance(config, dict) and "trainable" not in config:  # an operation in an .h5 file
        module = next((module for module, name in _FUNCTIONS if name == kind), None)
        is_operation = module is not None
    if not is_operation:
        return registry.deserialize(entry), None
    if (module, kind) not in _FUNCTIONS:
        raise ValueError(f"{entry['name']!r} is an operation {module}.{kind}, which minigrad does not know")
    settings = {name: _value(value) for name, value in config.items() if name != "name"}
    for name in _SIZES.intersection(settings):
        if any(isinstance(n, (int, float)) and abs(n) > _MOST for n in results(settings[name])):
            raise ValueError(f"operation {entry['name']!r} asks for {name}={settings[name]!r}, more than {_MOST:,}")
    return Operation(_FUNCTIONS[module, kind], entry["name"]), settings


def _arguments(node, symbol):
    """The args and kwargs of a call, with `symbol(history)` in the place of each symbol; none for an Input."""
    if node is None:
        return [], {}
    if isinstance(node, list):
        symbols = [symbol(one) for one in node]
        return [symbols if len(symbols) != 1 else symbols[0]], _value(node[-1][3] if len(node[-1]) > 3 else {})
    return _value(node["args"], symbol), _value(node["kwargs"], symbol)


def _value(tree, symbol=None):
    """An argument of a call from its config: a number, a string, an array, a slice, a symbol, or a tree of these."""
    if isinstance(tree, (list, tuple)):
        return [_value(one, symbol) for one in tree]
    if not isinstance(tree, dict) or "class_name" not in tree:
        return {name: _value(one, symbol) for name, one in tree.items()} if isinstance(tree, dict) else tree
    if tree["class_name"] == "__keras_tensor__" and symbol is not None:
        return symbol(tree["config"]["keras_history"])
    return objects.value(tree)


def _called(function, settings, args, kwargs):
    """The symbols that a call of a layer or an operation returns."""
    if settings is None:
        return function(*args, **kwargs)
    signature = inspect.signature(function.function)
    if "operands" in signature.parameters:
        return record(function, (settings["subscripts"], *args), {})
    named = dict(zip([name for name in signature.parameters if name in _in_call(signature)], args))
    if function.function is ops.get_item and isinstance(named["key"], list):
        named["key"] = tuple(named["key"])
    bound = signature.bind(**named, **settings, **kwargs)
    return record(function, bound.args, bound.kwargs)
