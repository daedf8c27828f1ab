"""Lambda: a function as a layer."""

import inspect
import re

from minigrad import activations
from minigrad.layers.base import Layer


class Lambda(Layer):
    """y = function(x, **arguments), with `training` and `mask` if the function takes them. It has no weights.

    A file holds the function's name, but no code. So `load_model` needs the function itself, in `custom_objects` or
    registered with `register_keras_serializable`; `load_weights` does not.

    Args:
        function: takes a tensor (or a list, if the layer is called on one) and returns a tensor. It computes with
            `minigrad.ops` and operators.
        output_shape: has no effect: minigrad calls the function to find the shape.
        mask: the mask of the output, or a function of (inputs, their mask). None: the output has no mask.
        arguments: a dict of further arguments.

    Raises:
        TypeError: `function` cannot be called.
    """

    _is_users = True

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"{self._owner}: function must be a function, got {function!r}.")
        self.function, self.mask, self.arguments = function, mask, dict(arguments or {})
        self.supports_masking = self._makes_masks = mask is not None
        try:
            known = inspect.signature(function).parameters
        except ValueError:  # some built-in functions do not tell their arguments
            known = ()
        self._told = [name for name in ("mask", "training") if name in known]

    def call(self, inputs, mask=None, training=False):
        told = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: told[name] for name in self._told})

    def compute_mask(self, inputs, mask=None):
        """The mask of the output, as the argument `mask` tells it."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self):
        mask = activations.serialize(self.mask) if callable(self.mask) else self.mask
        own = {"function": activations.serialize(self.function), "mask": mask, "arguments": self.arguments}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config):
        own = {name: value for name, value in config.items() if not re.match("function_|module|output_shape", name)}
        for name in {"function", "mask"} & own.keys():
            kind = own[name].get("class_name") if isinstance(own[name], dict) else type(own[name])
            if kind in ("__lambda__", list):
                raise ValueError(f"{cls.__name__} holds code, which minigrad never reads from a config.")
            own[name] = activations.registry.get(own[name])
        return cls(**own)
