"""Sequential: layers one after the other."""

from minigrad.graph import TEXTS, Graph, Symbol, has_symbols
from minigrad.layers.base import Layer, registry
from minigrad.layers.filing import each_shape
from minigrad.layers.input_layer import InputLayer
from minigrad.models.model import Model
from minigrad.tensor import Structure, as_tensor
from minigrad.texts import strings
from minigrad.trainer.programs import forget


@registry.register(module="keras")
class Sequential(Model):
    """Layers, each fed with the output of the one before.

    The shape of the input comes from an `Input(shape=(20,))` in front, from `input_shape=(20,)` or `input_dim=20` of
    the first layer, or from the first data.

    >>> model = Sequential([Dense(64, input_shape=(20,)), BatchNormalization(), Activation("relu"), Dense(1)])
    """

    _has_list_of_layers = True
    _takes_lists = False
    output_names = None  # there is one, which may have any name in a dict

    def __init__(self, layers=None, trainable=True, name=None):
        if layers is not None and not hasattr(layers, "__iter__"):
            raise ValueError(f"Sequential expects a list of layers, [Dense(64), Dense(1)], got {layers!r}.")
        super().__init__(trainable=trainable, name=name)
        self._layers = []
        self._input_layer = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._check_names(self._layers)
        if self._layers and self._input_shape is not None:
            self.build(self._input_shape)

    @property
    def layers(self):
        """The layers, without the Input."""
        return list(self._layers)

    @property
    def _input_dtype(self):
        if self._input_layer is not None:
            return self._input_layer.dtype
        return self._layers[0]._input_dtype if self._layers else None

    def _children(self):
        return self._layers

    # -------------------------------------------------------------------------------------------- the list

    def add(self, layer, rebuild=True):
        """Put a layer at the end. With rebuild=False nothing is built yet: `build` does it for several at once."""
        if isinstance(layer, type):
            name = layer.__name__
            raise ValueError(f"Sequential.add expects a layer, got the class {name}: make one, {name}(...).")
        if isinstance(layer, Symbol) and layer.call is not None and isinstance(layer.call.function, InputLayer):
            layer = layer.call.function
        if not isinstance(layer, Layer):
            hint = " An activation is one as Activation('relu')." if callable(layer) or isinstance(layer, str) else ""
            hint = " Add them one by one." if isinstance(layer, (list, tuple)) else hint
            raise ValueError(f"Sequential.add expects a layer, got {layer!r} ({type(layer).__name__}).{hint}")
        if isinstance(layer, InputLayer):
            if self._input_layer is not None or self._layers:
                raise ValueError(
                    f"Sequential {self.name!r} can have one Input, in front; it begins with "
                    f"{(self._input_layer or self._layers[0]).name!r} already."
                )
            self._input_layer = layer
            self._input_shape = layer._input_shape
            if layer.dtype in ("float32", "float64"):  # not integers, which are looked up
                self.dtype = layer.dtype
            return
        if rebuild:
            self._check_names([*self._layers, layer])
        before = self._input_layer, self._input_shape, self.dtype
        if not self._layers and self._input_layer is None:
            self.dtype = layer.dtype
            if layer._input_shape_argument is not None:
                self._input_layer = InputLayer(layer._input_shape_argument, dtype=layer.dtype)
                self._input_shape = self._input_layer._input_shape
            elif isinstance(layer, Sequential) and layer._input_shape:
                self._input_shape = layer._input_shape
        self._layers.append(layer)
        if not rebuild:
            self.built = self._is_ready = False
        elif self._input_shape is not None:
            try:
                if self.built and self._graph is not None:
                    self._set_graph(Graph(self._graph.inputs, layer(self._graph.outputs), self.name))
                else:
                    self.build(self._input_shape)
            except Exception:
                self._layers.pop()
                self._input_layer, self._input_shape, self.dtype = before
                Structure.changed()
                raise
        self._changed()

    def _check_names(self, layers):
        seen = set()
        for layer in layers:
            if layer.name in seen:
                raise ValueError(
                    f"Sequential {self.name!r} has a layer named {layer.name!r} already: all names must differ."
                )
            seen.add(layer.name)

    def pop(self, rebuild=True):
        """Remove the last layer and return it."""
        if not self._layers:
            raise ValueError(f"Sequential {self.name!r} has no layer to pop.")
        layer = self._layers.pop()
        self.built = bool(self._layers) and self.built
        self._is_ready = self._is_ready and self.built
        if self.built:
            self.build(self._input_shape)
        else:
            self._forget_graph()
        self._changed()
        return layer

    def _changed(self):
        """Forget what was found out about other layers: Programs, and metrics that depend on the output's shape."""
        self._objective.forget()
        forget(self)
        Structure.changed()

    # ----------------------------------------------------------------------------------------- build and call

    def build(self, input_shape=None):
        """Make all variables for inputs of this shape, a tuple whose first element is None."""
        shape = self._input_shape if input_shape is None else each_shape(tuple, input_shape)
        if shape is None:
            raise ValueError(f"Sequential {self.name!r} needs an input shape to be built: put an Input in front.")
        if not self._layers and self._input_layer is None:
            raise ValueError(f"Sequential {self.name!r} has no layers: add some before it is built or used.")
        if self.built and self._input_shape is not None:
            self._check_input(shape)
        self._widen(shape)

    def _has_free_input(self):
        return self._input_layer is None

    def _widen(self, shape):
        """Make the graph of the chain for inputs of this shape."""
        before, calls = self._graph, [(layer, layer._calls) for layer in self._layers]
        self._forget_graph()
        try:
            if self._input_layer is not None:
                x = begin = self._input_layer.output
            else:
                x = begin = each_shape(lambda one: Symbol((None, *one[1:]), self._input_dtype or self.dtype), shape)
            for layer in self._layers:
                x = layer(x)
            self._set_graph(Graph(begin, x, self.name))
        except BaseException:
            self._graph = before
            for layer, known in calls:
                layer._calls = known
            raise
        Structure.changed()

    def _forget_graph(self):
        """The calls of the chain as it was are none any more of its layers'."""
        for call in self._graph.calls if self._graph is not None else ():
            if call.function is not self._input_layer:
                call.function._calls = tuple(one for one in call.function._calls if one is not call)
        self._graph = None

    def _made_for(self, inputs):
        if has_symbols(inputs) or isinstance(inputs, dict):  # of a dict, the first layer takes several
            self._build_for(inputs)
        else:
            inputs = strings(inputs) if self._input_dtype == TEXTS else as_tensor(inputs, self.dtype)
            self._ensure_built(inputs.shape)
        return inputs

    # ------------------------------------------------------------------------------------------ configuration

    def get_config(self):
        layers = self._layers if self._input_layer is None else [self._input_layer, *self._layers]
        config = Layer.get_config(self)
        config["layers"] = [registry.serialize(layer) for layer in layers]
        if self._input_shape is not None:
            config["build_input_shape"] = list(self._input_shape)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A new model from `get_config()`, with new weights."""
        model = cls(trainable=config.get("trainable", True), name=config.get("name"))
        for layer in config["layers"]:
            model.add(registry.deserialize(layer, custom_objects), rebuild=False)
        model._check_names(model._layers)
        shape = model._input_shape or config.get("build_input_shape")
        if shape and model._layers:
            model.build(tuple(shape))
        elif not shape:  # its layers may be built all the same
            layers = [layer for layer in config["layers"] if layer.get("class_name") != "InputLayer"]
            for layer, described in zip(model._layers, layers, strict=True):
                layer.build_from_config(described.get("build_config"))
        return model
