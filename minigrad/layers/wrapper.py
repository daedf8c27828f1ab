"""Wrapper: a layer around another one."""

from minigrad.layers.base import Layer, deserialize


class Wrapper(Layer):
    """Base class of layers around another one, which is the attribute `layer`: define `call(inputs)`.

    It builds the inner layer for its own input. Its config holds that of the inner layer.

    Raises:
        ValueError: `layer` is no layer.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{self._owner}: layer must be a layer, got {layer!r}.")
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(deserialize(config.pop("layer")), **config)
