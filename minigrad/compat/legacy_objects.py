"""`keras.utils.legacy`: configs of objects as Keras 2 wrote them, {"class_name": ..., "config": ...}."""

from minigrad import saving

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance):
    """The config of an object that has get_config; the name of a function; None of None."""
    if instance is None or not hasattr(instance, "get_config"):
        return getattr(instance, "__name__", instance)
    return {"class_name": type(instance).__name__, "config": instance.get_config()}


def deserialize_keras_object(identifier, module_objects=None, custom_objects=None, printable_module_name="object"):
    """The object of a config, whose class is one of Keras', registered, or in one of the dicts."""
    return saving.deserialize_keras_object(identifier, {**(module_objects or {}), **(custom_objects or {})})
