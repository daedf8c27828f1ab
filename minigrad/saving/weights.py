"""The weights of a model and the variables of its optimizer, to and from HDF5 files in Keras' layout.

    layers/dense/vars/0, 1, ...     the layers of a Sequential: class names in snake case, numbered per class
    block/vars/0, 1, ...            a layer that is the attribute `block`; in a list, blocks/dense, blocks/dense_1
    optimizer/vars/0, 1, ...        iteration, learning rate, and the optimizer's slots
    minigrad/...                    random streams: see state.py

A file is compared with the model as a whole before anything in the model changes.
"""

import numpy as np

from minigrad.checks import warn
from minigrad.layers.base import Layer
from minigrad.layers.input_layer import InputLayer
from minigrad.names import class_name, snake_case
from minigrad.saving import hdf5, legacy, state


def located(model, tree=None):
    """(path, layer) for the model and each layer inside it, once each, in the order of Keras' files.

    The paths are those in the file `tree`, which may name an attribute as a property that returns it.
    """
    seen, found = {}, []  # `seen` keeps the objects alive, so that no id is used twice

    def visit(layer, path):
        if id(layer) in seen or isinstance(layer, InputLayer):
            return
        seen[id(layer)] = layer
        found.append((path, layer))
        if layer._has_list_of_layers:
            inside(layer.layers, f"{path}layers/")
        held = {name: v for name, v in vars(layer).items() if isinstance(v, (Layer, list, tuple, dict))}
        for name in sorted(held, key=lambda name: (name.startswith("_"), name)):
            if isinstance(held[name], Layer):
                visit(held[name], f"{path}{_name_in(tree, path, layer, name)}/")
            else:
                inside(held[name], f"{path}{name}/")

    def inside(container, path):
        if id(container) in seen:
            return
        seen[id(container)] = container
        counts = {}
        for value in container.values() if isinstance(container, dict) else container:
            is_layer = isinstance(value, Layer)
            if not is_layer and not isinstance(value, (list, tuple, dict)):
                continue
            name = snake_case(class_name(value)) if is_layer else "container"
            counts[name] = counts.get(name, -1) + 1
            place = f"{path}{name}_{counts[name]}/" if counts[name] else f"{path}{name}/"
            (visit if is_layer else inside)(value, place)

    visit(model, "")
    return found


def _name_in(tree, path, layer, name):
    """The name in a file for the attribute `name` of a layer: the same, or that of a property of the user's class."""
    if tree is None or tree.has(path + name):
        return name
    classes = [kind for kind in type(layer).__mro__ if not kind.__module__.startswith("minigrad.")]
    others = [other for kind in classes for other, value in vars(kind).items() if isinstance(value, property)]
    return next((n for n in others if tree.has(path + n) and getattr(layer, n) is vars(layer)[name]), name)


def pack(model, extra=None):
    """The bytes of a weights file.

    Args:
        extra: a dict of further state to keep, such as that of a training.
    """
    places = located(model)
    groups = {}
    for path, layer in places:
        store = {}
        layer.save_own_variables(store)
        values = {name: np.asarray(array) for name, array in store.items()}
        for inside in ("", *getattr(layer, "_keras_layers", ())):
            groups[f"{path}{inside}vars"] = {"name": layer.name}, values
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        values = {str(i): v.numpy() for i, v in enumerate(optimizer.variables)}
        groups["optimizer/vars"] = {"name": optimizer.name}, values
    return hdf5.build({**groups, **_kept(places, extra)})


def pack_legacy(model, config=None, with_optimizer=True, extra=None):
    """The bytes of an `.h5` file in Keras 2's layout: of the weights or, with its config, of the whole model."""
    return hdf5.build({**legacy.pack(model, config, with_optimizer), **_kept(located(model), extra)})


def _kept(places, extra):
    """The group that holds what Keras' files don't: see state.py."""
    return {state.GROUP: ({}, state.pack({"streams": state.streams(places), **(extra or {})}))}


def unpack(model, file, with_optimizer=True, skip_mismatch=False, by_name=False):
    """Give a model the weights, random streams and (if compiled) optimizer variables in a weights file that is open.

    Returns:
        The further state in the file, a dict.

    Raises:
        ValueError: see `read`.
    """
    restore, kept = read(model, file, with_optimizer, skip_mismatch, by_name)
    restore()
    return kept


def read(model, file, with_optimizer=True, skip_mismatch=False, by_name=False):
    """Read and check what `unpack` gives the model, without changing the model yet.

    Returns:
        A function that gives it to the model, and the further state in the file, a dict.

    Raises:
        ValueError: something in the file does not fit the model.
    """
    with hdf5.Tree(file) as tree:
        places = located(model, tree)
        is_legacy = legacy.is_legacy(tree)
        if by_name and not is_legacy:
            raise ValueError("by_name is for .h5 files of Keras 2's layout: leave it out")
        stores, problems, is_turned = _legacy_stores(tree, model, by_name) if is_legacy else _stores(tree, places)
        if problems and not skip_mismatch:
            more = f" (and {len(problems) - 1} more like this)" if len(problems) > 1 else ""
            raise ValueError(problems[0] + more)
        optimizer = getattr(model, "optimizer", None) if with_optimizer and not problems else None
        if optimizer is not None and is_turned:
            warn(f"The file holds weights of CuDNNLSTM or CuDNNGRU: the optimizer {optimizer.name!r} starts anew.")
        elif optimizer is not None:
            stores += _optimizer_stores(tree, model, is_legacy)
        kept = state.unpack(tree)
    streams = state.matched_streams(places, kept.pop("streams", {}))

    def restore():
        for take, values in stores:
            take(values)
        for stream, value in streams:
            stream[...] = value

    for problem in problems:
        warn(f"{problem}; these weights are left as they are.")
    return restore, kept


def _stores(tree, places):
    """([(a function that takes arrays, the arrays)] for the layers, problems, whether arrays were turned)."""
    stores, problems = [], []
    for path, layer in places:
        try:
            stores.append((layer.load_own_variables, _store(tree, f"{path}vars", layer)))
        except ValueError as error:
            problems.append(str(error))
    return stores, problems, False


def _legacy_stores(tree, model, by_name):
    """The same for a file in Keras 2's layout."""
    stores, problems, is_turned = [], [], False
    for layer, group, variables, names in legacy.pairs(model, tree, by_name):
        try:
            _check_count(layer, len(variables), len(names), group)
            paths = {id(v): f"{group}/{name}" for name, v in zip(names, variables, strict=True)}
            turned = legacy.of_cudnn(tree, layer, paths)
            arrays = [_fitting(tree, paths[id(v)], layer, v, *turned.get(id(v), ())) for v in variables]
        except ValueError as error:
            problems.append(str(error))
        else:
            stores += [(v.assign, array) for v, array in zip(variables, arrays, strict=True)]
            is_turned = is_turned or bool(turned)
    return stores, problems, is_turned


def _store(tree, path, layer):
    """The arrays in a file for a layer's own variables, by their names in the file."""
    if type(layer).load_own_variables is not Layer.load_own_variables:
        return {name: tree.array(f"{path}/{name}") for name in tree.names(path)}
    variables = layer._file_variables()
    _check_count(layer, len(variables), tree.count(path), path)
    return {str(i): _fitting(tree, f"{path}/{i}", layer, variable) for i, variable in enumerate(variables)}


def _check_count(layer, expected, count, path):
    if count != expected:
        hint = "" if layer.built else ": the layer is not built, so build the model first"
        raise ValueError(
            f"layer {layer.name!r} has {expected} variables, and the file holds {count} under {path!r}{hint}"
        )


def _fitting(tree, path, layer, variable, shape=None, turned=np.asarray):
    """The array in a file for a variable of a layer, in the variable's dtype; it may have another `shape` there."""
    try:
        array = turned(tree.array(path, shape or variable.shape))
    except ValueError as error:
        raise ValueError(f"layer {layer.name!r}: weight {variable.name!r}: {error}") from error
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, which shows
        return array.astype(variable.dtype)


def _optimizer_stores(tree, model, is_legacy):
    """The same pairs for those variables of the optimizer that the file has."""
    path, optimizer = "optimizer_weights" if is_legacy else "optimizer/vars", model.optimizer
    names = (tree.strings(path, "weight_names") or []) if is_legacy else [str(i) for i in range(tree.count(path))]
    if not names:
        return []
    fresh = len(optimizer.variables)
    if len(names) > fresh and not optimizer.built:
        optimizer.build(model.trainable_variables)
    variables = optimizer.variables
    computed = [v for v in variables if v.name != "learning_rate"]  # Keras 2 has the learning rate in the config only
    if any(name.endswith(":0") for name in names):
        pairs = legacy.of_keras_2(names, variables, len(model.trainable_variables))
    elif len(names) in (len(variables), fresh):
        pairs = list(zip(variables, names))
    else:
        pairs = list(zip(computed, names)) if len(names) == len(computed) else None
    if pairs is None:
        was = f"{len(variables)} variables, and the file holds {len(names)}"
        warn(f"The optimizer {optimizer.name!r} has {was}: it starts anew.")
        return []
    try:
        return [(v.assign, tree.array(f"{path}/{name}", v.shape)) for v, name in pairs]
    except ValueError as error:
        raise ValueError(f"optimizer {optimizer.name!r}: {error}") from error
