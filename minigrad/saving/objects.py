"""Configs of objects of any kind: layers, losses, optimizers, functions, arrays ..."""

import json

import numpy as np

from minigrad.random import SeedGenerator
from minigrad.registry import Registry, custom_object_scope
from minigrad.tensor import Tensor, as_tensor

_ANY = Registry("object", "keras")
Registry.kinds.remove(_ANY)
_ANY.register(module="keras.random")(SeedGenerator)


def _array(config):
    dtype = np.dtype(config["dtype"])
    if dtype.kind not in "fiub":
        raise ValueError(f"A config can hold arrays of numbers, not of {dtype}.")
    return np.array(config["value"], dtype)


_VALUES = {  # values that are not objects of Keras: class_name: (type, function to a config, function from one)
    "__bytes__": (bytes, lambda v: {"value": v.decode()}, lambda c: c["value"].encode()),
    "__ellipsis__": (type(...), lambda v: {}, lambda c: ...),
    "__numpy__": (np.ndarray, lambda v: {"value": v.tolist(), "dtype": v.dtype.name}, _array),
    "__slice__": (
        slice,
        lambda v: {n: serialize_keras_object(getattr(v, n)) for n in ("start", "stop", "step")},
        lambda c: slice(*(deserialize_keras_object(c[n]) for n in ("start", "stop", "step"))),
    ),
    "__tensor__": (
        Tensor, lambda v: {"value": v.numpy().tolist(), "dtype": v.dtype.name}, lambda c: as_tensor(_array(c)),
    ),
}


def is_config(value):
    """Whether a value is the config of an object."""
    return isinstance(value, dict) and "class_name" in value


def serialize_keras_object(obj):
    """The JSON-able config of a layer, loss, optimizer, function ...; of a list or dict, those of its elements."""
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(one) for one in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(one) for key, one in obj.items()}
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    for name, (kind, to_config, _) in _VALUES.items():
        if isinstance(obj, kind):
            return {"class_name": name, "config": to_config(obj)}
    described = _kind_of(lambda kind: type(obj) in kind.modules or obj in kind.members.values()).serialize(obj)
    return json.loads(as_json(described))  # get_config may return objects, too


def as_json(value, **options):
    """A config as JSON text: NumPy's numbers and arrays become Python's, objects become their configs."""
    return json.dumps(value, default=_plain, **options)


def _plain(value):
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else serialize_keras_object(value)


def deserialize_keras_object(config, custom_objects=None, safe_mode=True):
    """The object that a config describes. Whatever safe_mode is, its class must be minigrad's or registered.

    Raises:
        ValueError: a config of another class.
    """
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize_keras_object(config)
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(one) for one in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {key: deserialize_keras_object(one) for key, one in config.items()}
    if config["class_name"] in _VALUES:
        return value(config)
    name = config.get("config") if config["class_name"] == "function" else config["class_name"]
    if name == "DTypePolicy":
        return (config.get("config") or {}).get("name")
    module = config.get("module")
    parts = str(module).split(".")
    same = [kind for kind in Registry.kinds if kind.module.rpartition(".")[2] in parts]
    own = str(name).removeprefix("Custom>")
    return _kind_of(lambda kind: (kind in same or not same) and own in kind.members).deserialize(config)


def value(config):
    """The array, slice, ... that a config describes.

    Raises:
        ValueError: the config of an object.
    """
    if config["class_name"] not in _VALUES:
        raise ValueError(f"Expected a number, an array or a slice, got the config of a {config['class_name']!r}.")
    return _VALUES[config["class_name"]][2](config["config"])


def _kind_of(is_right):
    return next((kind for kind in Registry.kinds if is_right(kind)), _ANY)
