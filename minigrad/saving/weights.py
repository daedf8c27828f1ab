"""The weights of a model and the variables of its optimizer, to and from HDF5, laid out as Keras lays them out.

    layers/dense/vars/0, 1, ...     the layers of a Sequential: class names in snake case, numbered per class
    block/vars/0, 1, ...            a layer that is the attribute `block`; in a list, blocks/dense, blocks/dense_1
    optimizer/vars/0, 1, ...        iteration, learning rate, and what else the optimizer keeps
    minigrad/...                    random streams: see state.py

Everything is compared with the model before anything of it changes.
"""

import warnings

import numpy as np

from minigrad.layers.base import InputLayer, Layer
from minigrad.registry import snake_case
from minigrad.saving import hdf5, state


def located(model):
    """(path, layer) for the model and each layer below it, once each, in the order of Keras' files."""
    seen, found = {}, []  # by id; kept, so that no id is given twice

    def visit(layer, path):
        if id(layer) in seen or isinstance(layer, InputLayer):
            return
        seen[id(layer)] = layer
        found.append((path, layer))
        if layer._has_list_of_layers:
            inside(layer.layers, f"{path}layers/")
        for name in sorted(vars(layer), key=lambda name: (name.startswith("_"), name)):
            value = vars(layer)[name]
            if isinstance(value, Layer):
                visit(value, f"{path}{name}/")
            elif isinstance(value, (list, tuple, dict)):
                inside(value, f"{path}{name}/")

    def inside(container, path):
        if id(container) in seen:
            return
        seen[id(container)] = container
        counts = {}
        for value in container.values() if isinstance(container, dict) else container:
            is_layer = isinstance(value, Layer)
            if not is_layer and not isinstance(value, (list, tuple, dict)):
                continue
            name = snake_case(type(value).__name__) if is_layer else "container"
            counts[name] = counts.get(name, -1) + 1
            place = f"{path}{name}_{counts[name]}/" if counts[name] else f"{path}{name}/"
            (visit if is_layer else inside)(value, place)

    visit(model, "")
    return found


def pack(model, with_optimizer=True, extra=None):
    """The bytes of a weights file.

    Args:
        extra: a dict of more state to keep, such as that of a training.
    """
    places = located(model)
    groups = {}
    for path, layer in places:
        store = {}
        layer.save_own_variables(store)
        groups[f"{path}vars"] = {"name": layer.name}, {name: np.asarray(array) for name, array in store.items()}
    optimizer = getattr(model, "optimizer", None)
    if with_optimizer and optimizer is not None:
        values = {str(i): v.numpy() for i, v in enumerate(optimizer.variables)}
        groups["optimizer/vars"] = {"name": optimizer.name}, values
    kept = {"streams": state.streams(places), **(extra or {})}
    groups[state.GROUP] = {}, state.pack(kept)
    return hdf5.build(groups)


def unpack(model, file, with_optimizer=True, skip_mismatch=False):
    """Give a model the weights, random streams and (if it is compiled) optimizer variables of a weights file, opened.

    Returns:
        What else was kept in the file.

    Raises:
        ValueError: see `read`.
    """
    restore, kept = read(model, file, with_optimizer, skip_mismatch)
    restore()
    return kept


def read(model, file, with_optimizer=True, skip_mismatch=False):
    """What `unpack` does, but for the last step: nothing has changed yet.

    Returns:
        A function that gives the model what the file holds, and what else was kept in the file.

    Raises:
        ValueError: anything in the file that does not fit the model, before anything has changed.
    """
    places = located(model)
    stores, problems = [], []
    with hdf5.Tree(file) as tree:
        for path, layer in places:
            try:
                stores.append((layer, _store(tree, f"{path}vars", layer)))
            except ValueError as error:
                problems.append(str(error))
        if problems and not skip_mismatch:
            more = f" (and {len(problems) - 1} more like this)" if len(problems) > 1 else ""
            raise ValueError(problems[0] + more)
        optimizer = getattr(model, "optimizer", None) if with_optimizer and not problems else None
        values = [] if optimizer is None else _optimizer_values(tree, model)
        kept = state.unpack(tree)
    streams = state.matched_streams(places, kept.pop("streams", {}))

    def restore():
        for layer, store in stores:
            layer.load_own_variables(store)
        for variable, value in values:
            variable.assign(value)
        for stream, value in streams:
            stream[...] = value

    for problem in problems:
        warnings.warn(f"{problem}; these weights are left as they are.", stacklevel=5)
    return restore, kept


def _store(tree, path, layer):
    """The arrays that a layer's own variables shall get."""
    if type(layer).load_own_variables is not Layer.load_own_variables:
        return {name: tree.array(f"{path}/{name}") for name in tree.names(path)}
    variables, count = layer._file_variables(), tree.count(path)
    if len(variables) != count:
        hint = "" if layer.built else ": the layer is not built, so build the model first"
        raise ValueError(
            f"layer {layer.name!r} has {len(variables)} variables, and the file holds {count} under {path!r}{hint}"
        )
    store = {}
    for i, variable in enumerate(variables):
        try:
            store[str(i)] = _converted(tree.array(f"{path}/{i}", variable.shape), variable.dtype)
        except ValueError as error:
            raise ValueError(f"layer {layer.name!r}: weight {variable.name!r}: {error}") from error
    return store


def _converted(array, dtype):
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, where it can be seen
        return array.astype(dtype)


def _optimizer_values(tree, model):
    """(variable, value) for the optimizer's variables, as far as the file has them."""
    path, optimizer = "optimizer/vars", model.optimizer
    count = tree.count(path)
    if count == 0:
        return []
    fresh = len(optimizer.variables)
    if count > fresh and not optimizer.built:
        optimizer.build(model.trainable_variables)
    variables = optimizer.variables
    if count not in (len(variables), fresh):
        was = f"{len(variables)} variables, and the file holds {count}"
        warnings.warn(f"The optimizer {optimizer.name!r} has {was}: it starts anew.", stacklevel=5)
        return []
    try:
        return [(v, tree.array(f"{path}/{i}", v.shape)) for i, v in enumerate(variables[:count])]
    except ValueError as error:
        raise ValueError(f"optimizer {optimizer.name!r}: {error}") from error
