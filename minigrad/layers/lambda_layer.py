"""Lambda: a function as a layer."""

import inspect

from minigrad.layers.base import Layer


class Lambda(Layer):
    """y = function(x, **arguments), with `training` and `mask` if the function takes them. It has no weights.

    A model with a Lambda can save its weights, but neither a `.keras` file nor JSON, since these would have to hold
    code. To save the model, write a Layer with a `call` instead.

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
        raise ValueError(
            f"{self._title} holds a function, and no file can be trusted with code. Write the function as the `call` "
            "of a Layer of your own, registered with register_keras_serializable(); or save the weights alone, "
            "model.save_weights('name.weights.h5')."
        )
