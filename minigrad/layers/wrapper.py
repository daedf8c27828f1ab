"""Wrapper: a layer around another one."""

from minigrad.layers.base import Layer, deserialize, registry, serialize


@registry.register()
class Wrapper(Layer):
    """The base of layers that do something around another one, which is kept as `layer`: define `call(inputs)`.

    It builds the inner layer for its own input, and has it in its config.

    Raises:
        ValueError: an inner layer that is none.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__} {self.name!r}: layer must be a layer, got {layer!r}.")
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)
        self.built = True

    def get_config(self):
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(deserialize(config.pop("layer")), **config)
