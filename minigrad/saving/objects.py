"""Any object to and from its config, of whatever kind it is."""

from minigrad.registry import Registry, custom_object_scope

_ANY = Registry("object", "keras")
Registry.kinds.remove(_ANY)


def serialize_keras_object(obj):
    """The JSON-able config of a layer, loss, optimizer, function ...; lists and dicts of such element by element."""
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(one) for one in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(one) for key, one in obj.items()}
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    return _kind_of(lambda kind: type(obj) in kind.modules or obj in kind.members.values()).serialize(obj)


def deserialize_keras_object(config, custom_objects=None, safe_mode=True):
    """The object that a config describes: only a class of minigrad or one that was registered, whatever safe_mode.

    Raises:
        ValueError: a config of anything else.
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
    name = config.get("config") if config["class_name"] == "function" else config["class_name"]
    if name == "DTypePolicy":
        return (config.get("config") or {}).get("name")
    module = config.get("module")
    same = [kind for kind in Registry.kinds if kind.module == module]
    return _kind_of(lambda kind: (kind in same or not same) and name in kind.members).deserialize(config)


def _kind_of(is_right):
    return next((kind for kind in Registry.kinds if is_right(kind)), _ANY)
