"""Sequential: layers one after the other."""

import math

from minigrad import activations, ops
from minigrad.layers.activation import Activation, ReLU
from minigrad.layers.base import InputLayer, KerasTensor, Layer, _context, registry
from minigrad.layers.core import Dense
from minigrad.layers.normalization import BatchNormalization
from minigrad.models.model import Model
from minigrad.ops.logits import remember
from minigrad.program import is_recording
from minigrad.tensor import Structure, Tensor, as_tensor, deferred


@registry.register(module="keras")
class Sequential(Model):
    """Layers, each fed with the output of the one before.

    The shape of the input comes from an `Input(shape=(20,))` in front, from `input_shape=(20,)` or `input_dim=20` of
    the first layer, or from the first data.

    >>> model = Sequential([Dense(64, input_shape=(20,)), BatchNormalization(), Activation("relu"), Dense(1)])
    """

    _has_list_of_layers = True

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(trainable=trainable, name=name)
        self._layers = []
        self._input_layer = None
        self._plan, self._planned_as_of = [], -1
        self._own_layers_as_of = -1
        if layers is not None and not hasattr(layers, "__iter__"):
            raise ValueError(f"Sequential expects a list of layers, [Dense(64), Dense(1)], got {layers!r}.")
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self):
        """The layers, without the Input."""
        return list(self._layers)

    def _children(self):
        return self._layers

    # -------------------------------------------------------------------------------------------- the list

    def add(self, layer, rebuild=True):
        """Put a layer at the end. With rebuild=False nothing is built yet: `build` does it for several at once."""
        if isinstance(layer, type):
            name = layer.__name__
            raise ValueError(f"Sequential.add expects a layer, got the class {name}: make one, {name}(...).")
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
            self._output_shape = self.compute_output_shape(self._input_shape)
        self._changed()
        return layer

    def _changed(self):
        """Forget what was found out about other layers: Programs, and metrics that depend on the output's shape."""
        self._has_metrics = False
        self._pool.clear()
        Structure.changed()

    # ----------------------------------------------------------------------------------------- build and call

    def build(self, input_shape=None):
        """Make all variables for inputs of this shape, a tuple whose first element is None."""
        shape = self._input_shape if input_shape is None else tuple(input_shape)
        if shape is None:
            raise ValueError(f"Sequential {self.name!r} needs an input shape to be built: put an Input in front.")
        if not self._layers and self._input_layer is None:
            raise ValueError(f"Sequential {self.name!r} has no layers: add some before it is built or used.")
        if self.built and self._input_shape is not None:
            self._check_input((1, *shape[1:]))
        self._input_shape = shape = (None, *shape[1:])
        for layer in self._layers:
            layer._ensure_built(shape)
            shape = layer.compute_output_shape(shape)
        self._output_shape = (None, *shape[1:])
        Structure.changed()

    def _steps(self):
        """The steps of `call`: [Dense,] BatchNormalization [, relu] is one of them, so one pass over memory."""
        if self._planned_as_of == Structure.version:
            return self._plan
        version, plan, layers = Structure.version, [], list(self._layers)
        while layers:
            is_fused = _is_plain_dense(layers) and _is_last_axis_norm(layers[1:]) and _share_dtype(layers[:2])
            dense = layers.pop(0) if is_fused else None
            norm = layers.pop(0) if _is_last_axis_norm(layers) else None
            if norm is None:
                plan.append(layers.pop(0))
                continue
            is_relu = bool(layers) and _is_relu(layers[0]) and _share_dtype([norm, layers[0]])
            if is_relu:
                layers.pop(0)
            plan.append(_Normalized(dense, norm, 0.0 if is_relu else -math.inf))
        vars(self).update(_plan=plan, _planned_as_of=version)
        return plan

    def call(self, inputs, training=False, mask=None):
        x = inputs
        for layer in self._steps():
            x = layer(x, training=training)
        return x

    def __call__(self, inputs, training=None, mask=None, **kwargs):
        x = inputs if type(inputs) is Tensor else as_tensor(inputs, self.dtype)
        if x.dtype != self.dtype:
            x = ops.cast(x, self.dtype)
        if not self.built:
            self._ensure_built(x.shape)
        elif x.shape[1:] != self._input_shape[1:]:
            if x.ndim == 1 and self._input_shape == (None, 1):
                x = ops.expand_dims(x, -1)  # as in `fit` and `predict`
            self._check_input(x.shape)
        if mask is not None:
            return self._masked(x, training, mask)
        if not training and not _context.training and self._is_replayable(x):
            return self._replayed(x)
        return super().__call__(x, training=training)

    def _is_replayable(self, x):
        """Whether calling the model in inference mode may replay a Program: all layers must be minigrad's own."""
        if self._own_layers_as_of != Structure.version:
            self._has_own_layers = all(
                type(layer).__module__.startswith("minigrad.") and layer.activity_regularizer is None
                for layer in self._all_layers()
            )
            self._own_layers_as_of = Structure.version
        return self._has_own_layers and not self.run_eagerly and not x.requires_grad and not is_recording()

    def _replayed(self, x):
        """The output, replayed; to be differentiated it is computed once more, eagerly."""
        data, logits = self._run_staged("predict", x._data)
        if not any(v.requires_grad for v in self._structure()[1]):

            def found(data, again):
                return as_tensor(data)

        else:
            found = deferred
        y = found(data, lambda: self._infer(x))
        if logits is None:
            return y
        return remember(y, found(logits[0], lambda: self._infer(x)._logits[0]), logits[1])

    def _infer(self, x):
        return super().__call__(x, training=False)

    def _masked(self, x, training, mask):
        for layer in self._layers:
            x = layer(x, training=training, **({"mask": mask} if layer._takes("mask") else {}))
        return x

    def compute_output_shape(self, input_shape):
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return tuple(input_shape)

    @property
    def output_shape(self):
        """The shape of the output; None stands for the number of rows."""
        if not self.built:
            raise AttributeError(f"Sequential {self.name!r} has not been built yet: it has no output shape.")
        return self._output_shape

    @property
    def inputs(self):
        """A list of one description (shape, dtype, name) of what goes in."""
        if self._input_shape is None:
            raise AttributeError(f"Sequential {self.name!r} has not been built yet: it has no inputs.")
        name = "keras_tensor" if self._input_layer is None else self._input_layer.name
        return [KerasTensor(self._input_shape, self.dtype, name)]

    @property
    def outputs(self):
        """A list of one description (shape, dtype, name) of what comes out."""
        return [KerasTensor(self.output_shape, (self._layers or [self])[-1].dtype, "keras_tensor")]

    # ------------------------------------------------------------------------------------------ configuration

    def get_config(self):
        layers = self._layers if self._input_layer is None else [self._input_layer, *self._layers]
        config = super().get_config()
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
        return model


class _Normalized:
    """A BatchNormalization with the Dense before and the relu after it, in one pass over memory each way.

    The bias of the Dense is not added: it would only shift the mean that is subtracted. The layer gets it to keep
    the moving mean right, and its gradient is exactly zero.
    """

    def __init__(self, dense, norm, floor):
        self.dense, self.norm, self.floor = dense, norm, floor

    def __call__(self, x, training):
        if x._data.dtype != self.norm.dtype:
            x = ops.cast(x, self.norm.dtype)
        if self.dense is None:
            return self.norm.normalize(x, training, None, None, None, self.floor)
        return self.norm.normalize(x, training, None, self.dense.kernel, self.dense.bias, self.floor)


def _share_dtype(layers):
    return len({layer.dtype for layer in layers}) == 1


def _is_plain_dense(layers):
    return (
        bool(layers)
        and type(layers[0]) is Dense
        and layers[0].activation in (None, activations.linear)
        and layers[0].activity_regularizer is None
        and layers[0].built
    )


def _is_last_axis_norm(layers):
    return (
        bool(layers)
        and type(layers[0]) is BatchNormalization
        and layers[0].activity_regularizer is None
        and layers[0].built
        and layers[0].axis in (-1, len(layers[0]._input_shape) - 1)
    )


def _is_relu(layer):
    if layer.activity_regularizer is not None:
        return False
    if type(layer) is ReLU:
        return layer.max_value is None and layer.negative_slope == 0 and layer.threshold == 0
    return type(layer) is Activation and layer.activation is activations.relu
