"""Layer: a function of tensors that owns variables. Sub-layers and variables are found among its attributes."""

import functools
import inspect
import os
import threading

import numpy as np

from minigrad import config, constraints, initializers, ops, regularizers
from minigrad.program import RecordingError, is_recording, trace
from minigrad.registry import Configurable, Registry, auto_name, rejected_keywords, snake_case
from minigrad.tensor import Structure, Tensor, Variable, as_tensor, no_grad

registry = Registry("layer", "keras.layers", instantiate=False)
serialize, deserialize = registry.serialize, registry.deserialize


class _Context(threading.local):
    training = None  # what the layer that is calling this one was told
    inside = False  # whether a layer is calling this one


_context = _Context()

# One thread at a time makes variables. Nobody does while another thread forks: the child would find the lock taken.
_building = threading.RLock()
os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


class _Found:
    """The layers and variables below a layer, as of a version of the structure."""

    def __init__(self, version, layers, variables):
        self.version, self.layers, self.variables = version, layers, variables


class Layer(Configurable):
    """Base class: define `build(input_shape)` to make variables with `add_weight`, and `call(inputs)`.

    `call` may have the arguments `training` (True in `fit`, else False) and `mask`. Define `get_config` to return
    the arguments of `__init__`, and `compute_output_shape` where running `call` on two made-up rows can't tell it.

    Args:
        trainable: whether training changes the variables; a frozen layer also runs as in inference.
        dtype: of the variables and the computation, "float32" or "float64"; by default `config.floatx()`.
        activity_regularizer: a penalty on the output, added to the loss (per row).
        input_shape, input_dim: the shape of one row, for a first layer (better: an Input before it).

    >>> class Double(Layer):
    ...     def call(self, inputs):
    ...         return inputs * 2.0
    """

    def __init__(
        self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs
    ):
        owner = type(self).__name__
        self._input_shape_argument = self._shape_argument(kwargs)
        if kwargs:
            known = [*inspect.signature(type(self)).parameters, *inspect.signature(Layer).parameters]
            known = [n for n in dict.fromkeys(known) if n != "kwargs"]
            raise rejected_keywords(owner, kwargs, [*known, "input_shape", "input_dim"])
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"{owner}: name must be a string without '/', got {name!r}.")
        dtype = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
        dtype = getattr(dtype, "name", dtype)
        if dtype not in (None, "float32", "float64"):
            raise ValueError(f"{owner}: dtype must be 'float32' or 'float64', got {dtype!r}.")
        self.name = name or auto_name(snake_case(owner))
        self.dtype = dtype or config.floatx()
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = self._is_ready = False
        self._trainable = bool(trainable)
        self._variables = []
        self._losses = []
        self._input_shape = None
        self._found = _Found(-1, [], [])

    def _shape_argument(self, kwargs):
        """The shape of one row that the old arguments input_shape or input_dim tell, or None."""
        shape, width = kwargs.pop("input_shape", None), kwargs.pop("input_dim", None)
        if shape is not None:
            if not isinstance(shape, (tuple, list)) or not all(map(_is_length, shape)):
                raise ValueError(
                    f"{type(self).__name__}: input_shape must be a tuple of positive integers, such as (20,), "
                    f"got {shape!r}."
                )
            return tuple(shape)
        if width is not None and not _is_length(width):
            raise ValueError(f"{type(self).__name__}: input_dim must be a positive integer, got {width!r}.")
        return None if width is None else (width,)

    def __getattr__(self, name):
        if name in ("_found", "_variables", "_losses", "_trainable", "built"):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else.")
        if name in ("input", "output"):
            raise AttributeError(
                f"Layer {self.name!r} has no symbolic {name}: minigrad has no functional API. Its shape is in "
                f"{name}_shape; what the first layers compute is Sequential(model.layers[:2])(x)."
            )
        return object.__getattribute__(self, name)  # raises what it raised before

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        if isinstance(value, (Layer, Variable, list, tuple, dict)):
            Structure.changed()

    # ---- variables

    def add_weight(
        self,
        shape=None,
        initializer=None,
        dtype=None,
        trainable=True,
        regularizer=None,
        constraint=None,
        name="weight",
        **unused,
    ):
        """A new variable: a string such as "glorot_uniform", "zeros", or an Initializer says how it starts."""
        shape = () if shape is None else (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        variable = Variable(
            initializers.get(initializer or "glorot_uniform"), shape, dtype or self.dtype, trainable, name
        )
        variable.path = f"{self.name}/{name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.trainable = trainable and self._trainable
        self._variables.append((variable, bool(trainable)))
        Structure.changed()
        return variable

    def _children(self):
        """The layers among the attributes, also those in lists and dicts."""
        found, stack = [], list(reversed(list(vars(self).values())))
        while stack:
            value = stack.pop()
            if isinstance(value, Layer):
                if all(value is not other for other in found):
                    found.append(value)
            elif isinstance(value, (list, tuple)):
                stack.extend(reversed(value))
            elif isinstance(value, dict):
                stack.extend(reversed(value.values()))
        return found

    def _own(self):
        """The variables of this layer itself with whether they are meant to be trained."""
        known = list(self._variables)
        for value in list(vars(self).values()):
            if isinstance(value, Variable) and all(value is not v for v, _ in known):
                known.append((value, value.trainable))
        return known

    def _structure(self):
        """(this layer and all below it, all their variables), found out anew when anything has changed."""
        found = self._found
        if found.version != Structure.version:
            version = Structure.version
            layers, variables = [self], [v for v, _ in self._own()]
            for child in self._children():
                below, theirs = child._structure()
                layers += below
                variables += [v for v in theirs if all(v is not known for known in variables)]
            found = self._found = _Found(version, layers, variables)
        return found.layers, found.variables

    def _all_layers(self):
        """This layer and all below it."""
        return self._structure()[0]

    @property
    def weights(self):
        """All variables, in the order in which they were made, those of sub-layers after."""
        return list(self._structure()[1])

    variables = weights

    @property
    def trainable_weights(self):
        """The variables that training changes."""
        return [v for v in self._structure()[1] if v.requires_grad]

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self):
        """The variables that training leaves alone, such as moving statistics, and all of a frozen layer."""
        return [v for v in self.weights if not v.trainable]

    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self):
        """Whether training changes this layer's variables; setting it sets it for all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        self._trainable = bool(value)
        for variable, wanted in self._own():
            variable.trainable = wanted and self._trainable
        for child in self._children():
            child.trainable = value
        Structure.changed()

    def get_weights(self):
        """The values of all variables, copied into NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights):
        """Give all variables new values: arrays of the shapes and in the order of `get_weights()`."""
        variables, weights = self.weights, list(weights)
        if len(variables) != len(weights):
            raise ValueError(
                f"Layer {self.name!r} has {len(variables)} weights; set_weights got {len(weights)} arrays."
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(variables, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Layer {self.name!r}: weight {variable.path!r} has shape {variable.shape}; got {array.shape}."
                )
            if array.dtype.kind not in "fiub":
                raise ValueError(f"Layer {self.name!r}: weight {variable.path!r} got an array of {array.dtype}.")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def count_params(self):
        """The number of elements of all variables."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} is not built yet: it has no weights to count.")
        return sum(v.size for v in self.weights)

    # ---- building and calling

    def build(self, input_shape=None):
        """Make the variables for inputs of this shape, a tuple whose first element is None."""
        self.built = True

    def call(self, inputs):
        """The outputs for the inputs, both tensors."""
        raise TypeError(f"{type(self).__name__} must define call(self, inputs).")

    def _ensure_built(self, shape):
        """Build the layer for inputs of this shape if it is not built; `_is_ready` says that this is over."""
        if self._is_ready:
            return
        with _building:
            before = self._input_shape
            if self._input_shape is None:
                self._input_shape = (None, *shape[1:])
            if not self.built:
                try:
                    self.build((None, *shape[1:]))
                except BaseException:
                    self._input_shape = before
                    raise
                self.built = True
                if not self._trainable:
                    self.trainable = False
            self._is_ready = True

    def _unbuilt(self):
        """What the layers that are not built yet, of this one and those below, look like: see `_restore`."""
        return [(layer, dict(vars(layer)), list(layer._variables)) for layer in self._all_layers() if not layer.built]

    @staticmethod
    def _restore(unbuilt):
        """Let layers be unbuilt again, as if what failed since `_unbuilt` had not happened."""
        for layer, attributes, variables in unbuilt:
            vars(layer).clear()
            vars(layer).update(attributes, _variables=variables)
        Structure.changed()

    def compute_output_shape(self, input_shape):
        """The shape of the output for inputs of this shape; None stands for the number of rows."""
        rows = Tensor(np.zeros((2, *input_shape[1:]), self.dtype))
        self._ensure_built(rows.shape)
        shapes = []

        def run():
            with no_grad():
                shapes.append(self(rows, training=False).shape if self._takes("training") else self(rows).shape)

        if is_recording():
            run()
        else:
            try:
                trace(run)  # nothing is computed
            except RecordingError:
                run()  # it reads values: let it have some
        self._clear_losses()
        return (None, *shapes[0][1:])

    @property
    def input_shape(self):
        """The shape that the layer was built for; None stands for the number of rows."""
        if self._input_shape is None:
            raise AttributeError(f"Layer {self.name!r} has not been called yet: it has no input shape.")
        return self._input_shape

    @property
    def output_shape(self):
        """The shape of its output; None stands for the number of rows."""
        return self.compute_output_shape(self.input_shape)

    def _takes(self, argument):
        """Whether `call` has this argument."""
        return argument in _call_arguments(type(self))

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, InputLayer):
            raise ValueError(
                f"Layer {self.name!r} was called on an Input: minigrad has no functional API. "
                "Put the Input first in a Sequential."
            )
        if not isinstance(inputs, (list, tuple, dict)):
            inputs = as_tensor(inputs, self.dtype)
            if inputs.dtype != self.dtype:
                inputs = ops.cast(inputs, self.dtype)
            self._ensure_built(inputs.shape)
        else:
            self.built = self.built or self.build(None) or True
        if args and self._takes("training"):
            # `self.dropout(x, training)` means the same as with the name
            kwargs.update(zip([n for n in _call_arguments(type(self)) if n != "self"][1:], args, strict=False))
            args = ()
        before, was_inside = _context.training, _context.inside
        if not was_inside:
            self._clear_losses()  # those of the call before
        _context.inside = True
        if kwargs.get("training") is None:
            if self._takes("training"):
                kwargs["training"] = bool(before)
        else:
            _context.training = bool(kwargs["training"])
            if not self._takes("training"):
                del kwargs["training"]
        try:
            outputs = self.call(inputs, *args, **kwargs)
        finally:
            _context.training, _context.inside = before, was_inside
        if self.activity_regularizer is not None:
            self._losses.append(self.activity_regularizer(outputs) / float(outputs.shape[0]))
        return outputs

    # ---- losses

    def add_loss(self, loss):
        """Add a scalar tensor, computed in `call`, to the loss of the step."""
        self._losses.append(ops.sum(as_tensor(loss)))

    @property
    def losses(self):
        """The penalties of the last call and of the regularizers of trainable variables, all below included."""
        layers, variables = self._structure()
        found = [loss for layer in layers for loss in layer._losses]
        found += [v.regularizer(v) for v in variables if v.regularizer is not None and v.trainable]
        return found

    def _clear_losses(self):
        for layer in self._structure()[0]:
            if layer._losses:
                layer._losses.clear()

    # ---- configuration

    def get_config(self):
        base = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            base["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return base

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name} built={self.built}>"


def _is_length(n):
    """Whether n can be the length of an axis: a positive integer, or None for any."""
    return n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0)


@functools.cache
def _call_arguments(layer_class):
    return tuple(inspect.signature(layer_class.call).parameters)


@registry.register()
class InputLayer(Layer):
    """The shape of what goes in; it computes nothing.

    Args:
        shape: the shape of one row, such as (20,); None stands for an axis of any length.
        batch_shape: instead of `shape`, with the number of rows (usually None) in front.
    """

    def __init__(
        self, shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None,
        optional=False, **kwargs
    ):
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if batch_shape is not None:
            batch_size, *shape = batch_shape
        if shape is None or not isinstance(shape, (tuple, list)):
            raise ValueError(f"Input: shape must be a tuple such as (20,), got {shape!r}: it can't be made a shape.")
        if not all(map(_is_length, shape)):
            raise ValueError(f"Input: shape must consist of positive integers or None, got {tuple(shape)!r}.")
        super().__init__(dtype=dtype if dtype in ("float32", "float64") else None, name=name, **kwargs)
        self.batch_shape = (batch_size, *shape)
        self._input_shape = (None, *shape)
        self.built = True

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return self.batch_shape

    def get_config(self):
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }
