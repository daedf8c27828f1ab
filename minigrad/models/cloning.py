"""A model again, with new weights."""

from minigrad.models.model import Model
from minigrad.models.sequential import Sequential


def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False):
    """A model of the same layers as `model`, uncompiled and with new weights.

    Args:
        clone_function: makes each layer's copy from the layer (not the Input's); only for a Sequential. By default
            `layer.__class__.from_config(layer.get_config())`.
        recursive: let `clone_function` copy the layers of nested models, too, instead of the nested models.

    Raises:
        ValueError: no model, or `input_tensors` or `call_function`, which need the functional API.
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model expects a model, got {model!r}.")
    if input_tensors is not None or call_function is not None:
        raise ValueError("clone_model: minigrad's models know no input_tensors and no call_function.")
    if clone_function is None and not recursive:
        return type(model).from_config(model.get_config())
    if not isinstance(model, Sequential):
        raise ValueError(f"clone_model: a clone_function is for a Sequential, got {model!r}.")
    copy = clone_function or _again

    def one(layer):
        if recursive and isinstance(layer, Sequential):
            return clone_model(layer, clone_function=clone_function, recursive=True)
        return copy(layer)

    front = [] if model._input_layer is None else [_again(model._input_layer)]
    clone = type(model)([*front, *map(one, model.layers)], trainable=model.trainable, name=model.name)
    if model.built and not clone.built:
        clone.build(model.input_shape)
    return clone


def _again(layer):
    return type(layer).from_config(layer.get_config())
