"""A model again, with new weights."""

import contextlib
import warnings

from minigrad.models.model import Model
from minigrad.models.sequential import Sequential


def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False):
    """A model of the same layers as `model`, with new weights, and compiled as it is with a new optimizer.

    It is not compiled where a config can't tell how: with a loss or a metric that is a function of one's own, not
    registered.

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
        return _compiled_like(model, type(model).from_config(model.get_config()))
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
    return _compiled_like(model, clone)


def _compiled_like(model, clone):
    if model.compiled:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a config can't tell is left out
            with contextlib.suppress(ValueError):
                if config := model.get_compile_config():
                    clone.compile_from_config(config)
    return clone


def _again(layer):
    return type(layer).from_config(layer.get_config())
