"""Lambda: a function as a layer."""

import inspect

from minigrad.layers.base import Layer, registry


@registry.register()
class Lambda(Layer):
    """y = function(x, **arguments), with `training` and `mask` if the function takes them. It has no weights.

    A model with a Lambda has weight files, but no `.keras` file and no JSON: those would have to hold code. Write a
    Layer with a `call` where the model is to be saved.

    Args:
        function: from a tensor (or a list of them, as the layer is called) to one, of `minigrad.ops` and operators.
        output_shape: not needed: the function is asked.
        mask: that of the output, or a function of (inputs, their mask); None: it has none.
        arguments: a dict of further arguments.

    Raises:
        TypeError: a function that can't be called.
    """

    _is_users = True

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda {self.name!r}: function must be a function, got {function!r}.")
        self.function, self.mask, self.arguments = function, mask, dict(arguments or {})
        self.supports_masking = self._makes_masks = mask is not None
        try:
            known = inspect.signature(function).parameters
        except ValueError:  # of some builtins nobody knows the arguments
            known = ()
        self._told = [name for name in ("mask", "training") if name in known]

    def call(self, inputs, mask=None, training=False):
        told = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: told[name] for name in self._told})

    def compute_mask(self, inputs, mask=None):
        """What `mask` says."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self):
        raise ValueError(
            f"Layer {self.name!r} (Lambda) holds a function, and no file can be trusted with code. Write the function "
            "as the `call` of a Layer of your own, registered with register_keras_serializable(); or save the weights "
            "alone, model.save_weights('name.weights.h5')."
        )
