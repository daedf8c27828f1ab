"""Lambda: a function as a layer."""

import inspect

from minigrad.layers.base import Layer, registry


@registry.register()
class Lambda(Layer):
    """y = function(x, **arguments), with `training` if the function takes it. It has no weights.

    A model with a Lambda has weight files, but no `.keras` file and no JSON: those would have to hold code. Write a
    Layer with a `call` where the model is to be saved.

    Args:
        function: from a tensor (or a list of them, as the layer is called) to one, of `minigrad.ops` and operators.
        output_shape: not needed: the function is asked.
        arguments: a dict of further arguments.

    Raises:
        TypeError: a function that can't be called. ValueError: `mask`, which minigrad does not pass on.
    """

    _is_users = True

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda {self.name!r}: function must be a function, got {function!r}.")
        if mask is not None:
            raise ValueError(f"Lambda {self.name!r}: minigrad passes no masks from layer to layer; leave mask out.")
        self.function, self.arguments = function, dict(arguments or {})
        try:
            self._takes_training = "training" in inspect.signature(function).parameters
        except ValueError:  # of some builtins nobody knows the arguments
            self._takes_training = False

    def call(self, inputs, training=False):
        more = {"training": training} if self._takes_training else {}
        return self.function(inputs, **self.arguments, **more)

    def get_config(self):
        raise ValueError(
            f"Layer {self.name!r} (Lambda) holds a function, and no file can be trusted with code. Write the function "
            "as the `call` of a Layer of your own, registered with register_keras_serializable(); or save the weights "
            "alone, model.save_weights('name.weights.h5')."
        )
