"""Model: a layer that can be trained, evaluated and asked for predictions."""

import math

from minigrad import saving, utils
from minigrad.layers.base import Layer, serialize
from minigrad.layers.context import entry
from minigrad.missing import remedy
from minigrad.saving import compiling
from minigrad.trainer import Trainer


class Model(Trainer, Layer):
    """A layer with `compile`, `fit`, `evaluate` and `predict`.

    Subclass it with a `call(self, inputs, training=False)` that uses layers kept as attributes, or use Sequential.
    """

    _word = "Model"

    def __init__(self, *args, **kwargs):
        if args or "inputs" in kwargs or "outputs" in kwargs:
            raise ValueError(
                f"Model(inputs, outputs): {remedy('Function')}. The first layers of a Sequential make one of their "
                "own: Sequential(model.layers[:2])."
            )
        Layer.__init__(self, **kwargs)
        Trainer.__init__(self)

    @property
    def layers(self):
        """The layers that it is made of."""
        return self._children()

    def build(self, input_shape=None):
        """Make all variables for inputs of this shape, a tuple whose first element is None."""
        self.built = True
        self._called_on_made_up_rows(input_shape)

    def get_layer(self, name=None, index=None):
        """The layer of this name, or at this index."""
        if (name is None) == (index is None):
            raise ValueError(f"get_layer expects a name or an index; got name={name!r}, index={index!r}.")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"get_layer: index {index} is out of range; there are {len(self.layers)} layers.")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No layer is named {name!r}. There are: {[layer.name for layer in self.layers]}.")

    def summary(
        self,
        line_length=None,
        positions=None,
        print_fn=None,
        expand_nested=False,
        show_trainable=False,
        layer_range=None,
    ):
        """Print the layers with their output shapes and numbers of parameters, as Keras does."""
        utils.print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    # ---- files

    @entry
    def save(self, filepath, overwrite=True, zipped=None, include_optimizer=True, save_format=None):
        """Write the whole model to a `.keras` or `.h5` file, which Keras opens, too. See `saving.save_model`."""
        saving.save_model(self, filepath, overwrite, zipped, include_optimizer, save_format)

    @entry
    def save_weights(self, filepath, overwrite=True, max_shard_size=None, save_format=None):
        """Write the weights (and the optimizer's variables) to a `.weights.h5` file. See `saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite, max_shard_size, save_format)

    def load_weights(self, filepath, skip_mismatch=False, **options):
        """Take the weights from a `.weights.h5`, `.keras` or `.h5` file. See `saving.load_weights`."""
        saving.load_weights(self, filepath, skip_mismatch, **options)

    def to_json(self, **kwargs):
        """The architecture, and how it was compiled, as JSON for `models.model_from_json`; kwargs: of json.dumps."""
        return saving.objects.as_json(serialize(self), **kwargs)

    def get_compile_config(self):
        """The arguments of `compile`, JSON-able; {} before it was called."""
        return compiling.compile_config(self)

    def compile_from_config(self, config):
        """Compile the model as `get_compile_config` says."""
        compiling.compile_from_config(self, config)

    def _check_input(self, shape):
        """Raise a ValueError unless rows of this shape fit the model."""
        expected = self._input_shape
        if expected is None or shape[1:] == expected[1:]:
            return
        if len(shape) != len(expected) or any(
            e is not None and e != n for e, n in zip(expected[1:], shape[1:], strict=True)
        ):
            hint = " A single row must have shape (1, features)." if len(shape) == len(expected) - 1 else ""
            if len(shape) > len(expected) == 2 and math.prod(shape[1:]) == expected[1]:
                hint = " The rows hold as many numbers: flatten them, x.reshape(len(x), -1), or begin with Flatten()."
            first = self.layers[0].name if self.layers else self.name
            raise ValueError(
                f"Model {self.name!r} (first layer {first!r}) expects input of shape {tuple(expected)}, "
                f"got {tuple(shape)}.{hint}"
            )
