"""A model again, with new weights."""

from minigrad.graph import Operation, Symbol, record
from minigrad.layers.input_layer import InputLayer
from minigrad.models.model import Model, takes_a_graph
from minigrad.models.sequential import Sequential
from minigrad.registry import remembering
from minigrad.trees import leaves, mapped


@remembering()
def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False):
    """A model of the same layers as `model`, with new weights, and compiled as it is with a new optimizer.

    Layers, losses, metrics and functions of one's own need not be registered.

    Args:
        input_tensors: what the clone of a model of inputs and outputs begins with, instead of new Inputs.
        clone_function: makes each layer's copy from the layer (not the Input's); not for a subclassed Model. By
            default `layer.__class__.from_config(layer.get_config())`.
        recursive: let `clone_function` copy the layers of nested models, too, instead of the nested models.

    Raises:
        ValueError: no model, one that can't be cloned so, or a `call_function`, which minigrad does not know.
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model expects a model, got {model!r}.")
    if call_function is not None:
        raise ValueError("clone_model: minigrad knows no call_function.")
    is_usual = clone_function is None and not recursive and input_tensors is None
    if is_usual and (model._graph is None or isinstance(model, Sequential) or not takes_a_graph(type(model))):
        return _compiled_like(model, type(model).from_config(model.get_config()))
    copy = clone_function or _again

    def one(layer):
        if recursive and isinstance(layer, Model) and layer._graph is not None:
            return clone_model(layer, clone_function=clone_function, recursive=True)
        return copy(layer)

    if isinstance(model, Sequential):
        if input_tensors is not None:
            raise ValueError("clone_model: input_tensors are for models of inputs and outputs; call the clone on them.")
        front = [] if model._input_layer is None else [_again(model._input_layer)]
        clone = type(model)([*front, *map(one, model.layers)], trainable=model.trainable, name=model.name)
        if model.built and not clone.built:
            clone.build(model.input_shape)
    elif model._graph is not None:
        kind = type(model) if takes_a_graph(type(model)) else Model
        inputs, outputs = graph_again(model._graph, one, input_tensors)
        clone = kind(inputs=inputs, outputs=outputs, name=model.name, trainable=model._trainable)
    else:
        raise ValueError(f"clone_model: a subclassed Model can be cloned as a whole only, got {model!r}.")
    return _compiled_like(model, clone)


def graph_again(graph, copy, inputs=None, calls=None, root=lambda leaf: leaf):
    """The inputs and outputs of a graph of copies: of layers as `copy` makes them, of operations their like.

    Args:
        inputs: its inputs; by default new Inputs like those of `graph`.
        calls: what it takes over, by default all calls of `graph`; `root(symbol)` is there in place of a symbol.
    """
    symbols, copies = leaves(graph.inputs), {}
    if inputs is None:
        new = iter([InputLayer(batch_shape=one.shape, dtype=one.dtype, name=one.name).output for one in symbols])
        inputs = mapped(lambda one: next(new), graph.inputs)
    if len(leaves(inputs)) != len(symbols) or not all(isinstance(one, Symbol) for one in leaves(inputs)):
        raise ValueError(f"clone_model: input_tensors must be {len(symbols)} results of keras.Input; got {inputs!r}.")
    made = {id(old): new for old, new in zip(symbols, leaves(inputs), strict=True)}

    def again(leaf):
        return made.get(id(root(leaf)), leaf)

    for call in graph.calls if calls is None else calls:
        if not call.inputs:
            continue
        function, is_operation = call.function, isinstance(call.function, Operation)
        if function not in copies:
            copies[function] = Operation(function.function, function.name) if is_operation else copy(function)
        args, kwargs = mapped(again, (call.args, call.kwargs))
        new = record(copies[function], args, kwargs) if is_operation else copies[function](*args, **kwargs)
        made |= {id(old): one for old, one in zip(leaves(call.outputs), leaves(new), strict=True)}
    return inputs, mapped(again, graph.outputs)


def _compiled_like(model, clone):
    if model.compiled and (config := model.get_compile_config()):
        clone.compile_from_config(config)
    return clone


def _again(layer):
    return type(layer).from_config(layer.get_config())
