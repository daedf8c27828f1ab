"""Layer: a function of tensors that owns variables; how it is built, called, and described by a config."""

import contextlib
import functools
import inspect
import threading
import weakref

import numpy as np

from minigrad import config, older, ops, regularizers
from minigrad.checks import is_own, warn
from minigrad.configurable import REQUIRED
from minigrad.graph import TEXTS, Result, Symbol, has_symbols, record, traced
from minigrad.layers.arguments import KINDS, is_length
from minigrad.layers.context import context as _context
from minigrad.layers.filing import any_rows, each_shape
from minigrad.layers.module import Module, building
from minigrad.names import auto_name, snake_case
from minigrad.ops.masks import MASKS, mask_of
from minigrad.program import RecordingError
from minigrad.registry import Registry
from minigrad.spelling import argument_names, rejected_keywords
from minigrad.tensor import Structure, Tensor, as_tensor
from minigrad.trees import leaves, mapped

registry = Registry("layer", "keras.layers", instantiate=False)
serialize, deserialize = registry.serialize, registry.deserialize


def _completing(build):
    """Decorate the `build` of a class: afterwards the layer is built and keeps the shape. An error undoes all of it."""

    @functools.wraps(build)
    def complete(self, *args, **kwargs):
        own = vars(self)
        if "_is_building" in own:  # a subclass calls super().build(...)
            build(self, *args, **kwargs)
            return
        with building:
            unbuilt = self._unbuilt()
            own["_is_building"] = True
            try:
                build(self, *args, **kwargs)
                shapes = dict(zip(_parameters(build), args, strict=False)) | kwargs
                shapes = {n: s for n, s in shapes.items() if isinstance(s, (tuple, list, dict)) and s}
                shapes = {n: each_shape(any_rows, s) for n, s in shapes.items()}
                if shapes:
                    self._input_shape = self._input_shape or next(iter(shapes.values()))
                if len(shapes) > 1:
                    own["_build_shapes"] = shapes
                self.built = self._is_ready = True
                if not self._trainable:
                    self.trainable = False
            except BaseException:
                self._restore(unbuilt)
                raise
            finally:
                own.pop("_is_building", None)

    return complete


class Layer(Module, is_member=False):
    """Base class: define `build(input_shape)`, which makes variables with `add_weight`, and `call(inputs)`.

    `call` may have the arguments `mask` and `training`: True in `fit`, False in `evaluate` and `predict`, and its
    default where the layer is called alone. Define `get_config` if `__init__` has arguments other than numbers and
    strings, and `compute_output_shape` if calling the layer on symbols cannot tell the shape. The layer finds
    sub-layers, variables and seed generators among its attributes, also in lists and dicts.

    Args:
        activity_regularizer: a penalty on the output, which is added to the loss, divided by the number of rows.
        trainable: whether training changes the variables; a frozen layer also runs as in inference.
        dtype: of the variables and the computation, "float32" or "float64"; by default `config.floatx()`.
        autocast: has no effect here.
        input_shape, input_dim: the shape of one row, for a first layer (better: put an Input in front of it).

    >>> class Double(Layer):
    ...     def call(self, inputs):
    ...         return inputs * 2.0
    """

    _registry = registry
    _keywords = "kwargs"
    kinds = {**KINDS, "layer": registry}
    input_spec = None  # an InputSpec for the inputs, or a list of them, which must all fit
    _word = "Layer"  # what error messages call it
    supports_masking = False  # whether outputs have masks; if not, the masks of inputs are lost, with a warning
    _makes_masks = False  # whether outputs may have masks where the inputs have none
    _input_dtype = None  # "string" if the layer takes texts
    _prepares = False  # whether it only prepares data: see `preparation`
    _reads_values = False  # whether it does so in Python, which no step can record
    _is_users = False  # whether `call` runs code of the user's
    _has_no_state = False  # whether a layer of this class is built as soon as it is made
    _hands_on = False  # whether it hands its input on in inference
    _augments = False  # whether a call that does not say whether it is training is
    _has_list_of_layers = False  # whether files go by the list `layers`, and not by the names of attributes

    def __init__(
        self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs
    ):
        owner = type(self).__name__
        self._input_shape_argument = self._shape_argument(kwargs)
        if kwargs:
            known = [*argument_names(type(self).__init__), *Layer._argument_names, "input_shape", "input_dim"]
            raise rejected_keywords(owner, kwargs, dict.fromkeys(known))
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"{owner}: name must be a string without '/', got {name!r}.")
        if isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicy":
            dtype = (dtype.get("config") or {}).get("name")
        dtype = getattr(dtype, "name", dtype)
        if dtype not in (None, "float32", "float64"):
            raise ValueError(f"{owner}: dtype must be 'float32' or 'float64', got {dtype!r}.")
        if trainable not in (True, False):
            raise ValueError(f"{owner}: trainable must be True or False, got {trainable!r}.")
        super().__init__(trainable)
        self.name = name or auto_name(snake_case(owner))
        self.dtype = dtype or config.floatx()
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._is_ready = False
        self.built = self._has_no_state and type(self).build is Layer.build
        self._input_shape = None
        self._losses = {}  # thread -> penalties of its last call, if there were any
        self._calls = ()  # the calls with symbols

    def _set_up(self, given):
        base = {name: given.pop(name) for name in Layer._argument_names if name in given}
        Layer.__init__(self, **base, **given.pop("kwargs"))
        super()._set_up(given)

    def _shape_argument(self, kwargs):
        """The shape of one row as the old arguments input_shape or input_dim tell it, or None."""
        shape, width = kwargs.pop("input_shape", None), kwargs.pop("input_dim", None)
        if shape is not None:
            if not isinstance(shape, (tuple, list)) or not all(map(is_length, shape)):
                raise ValueError(
                    f"{type(self).__name__}: input_shape must be a tuple of positive integers, such as (20,), "
                    f"got {shape!r}."
                )
            return tuple(shape)
        if width is not None and not is_length(width):
            raise ValueError(f"{type(self).__name__}: input_dim must be a positive integer, got {width!r}.")
        return None if width is None else (width,)

    def __getattr__(self, name):
        if name in _SET_FIRST:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else.")
        if name in ("input", "output"):  # no properties, so that a user's layer can have attributes of these names
            return self._first_call()[name == "output"]
        if name == "path":
            return self.name
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property that has raised an AttributeError raises it again
        kind, own = type(self).__name__, vars(self)  # no attributes yet, while a copy is being made
        owner = f"{self._word} {own.get('name', kind)!r} ({kind})"
        if not own.get("built", True):
            owner += ", which is not built yet and has no variables before,"
        return older.attribute(self, name, owner, lambda: [n for n in dir(self) if not n.startswith(f"{name}_")])

    # ---- building and calling

    @property
    def compute_dtype(self):
        """The dtype of the computation: that of the variables."""
        return self.dtype

    variable_dtype = compute_dtype

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _completing(cls.build)
        if "_is_users" not in vars(cls):
            cls._is_users = not is_own(cls)
        if "compute_mask" in vars(cls):
            cls.supports_masking = True
            cls._makes_masks = vars(cls).get("_makes_masks", True)

    @_completing
    def build(self, input_shape=None):
        """Make the variables for inputs of this shape, a tuple. The number of rows, in front, may be None."""

    def compute_mask(self, inputs, previous_mask=None):
        """The mask of the outputs, or a list or dict of masks; by default that of the inputs, `previous_mask`.

        It is called if `supports_masking` is True. A class that defines this method supports masking.
        """
        return previous_mask

    def call(self, inputs):
        """The outputs for the inputs, both tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs).")

    def _ensure_built(self, shape):
        """Build the layer for inputs of this shape unless it is built. Then `_is_ready` is True."""
        if self._is_ready:
            return
        with building:
            shape = each_shape(any_rows if _context.made_up else tuple, shape)
            if not self.built:
                self.build(shape)
            self._input_shape = self._input_shape or each_shape(any_rows, shape)
            self._is_ready = True

    def _build_by_names(self, inputs, args, kwargs):
        """Build a layer whose `build` has several arguments: `a_shape` is the shape of the argument `a` of `call`."""
        wanted, names = _shapes_of_build(type(self)), _parameters(type(self).call)
        if self._is_ready or self.built or len(wanted) < 2:
            return
        for name in wanted:
            if not name.endswith("_shape") or name.removesuffix("_shape") not in names:
                raise ValueError(
                    f"{self._title}: a build of several arguments has one for each argument of call{names}, named like "
                    f"it with _shape behind; got {name!r}."
                )
        given = dict(zip(names, (inputs, *args), strict=False)) | kwargs
        given = {f"{name}_shape": tree for name, tree in given.items() if tree is not None}
        with building:
            self.build(**{name: mapped(np.shape, given[name]) for name in wanted if name in given})

    def _unbuilt(self):
        """The state of all unbuilt layers, this one and those below, for `_restore`."""
        waiting = [layer for layer in self._all_layers() if not (layer.built and layer._is_ready)]
        return [(layer, dict(vars(layer)), list(layer._variables)) for layer in waiting]

    @staticmethod
    def _restore(unbuilt):
        """Take layers back to the state that `_unbuilt` has returned."""
        for layer, attributes, variables in unbuilt:
            vars(layer).clear()
            vars(layer).update(attributes, _variables=variables)
        Structure.changed()

    def compute_output_shape(self, input_shape):
        """The shape of the output for inputs of this shape. None stands for the number of rows.

        For several inputs the argument is a list or dict of shapes, and so is the result for several outputs.
        """
        inputs = each_shape(lambda shape: Symbol(shape, self.dtype, ""), input_shape)
        self._build_for(inputs)
        return mapped(lambda one: one.shape, self._foreseen((inputs,), {}))

    def _foreseen(self, args, kwargs):
        """What a call with symbols returns, a tree of `graph.Result`. The call builds all layers below."""
        more = {"training": False} if self._takes("training") and "training" not in kwargs else {}
        before, _context.made_up = _context.made_up, True
        try:
            with self._keeping_losses():
                return traced(self, args, kwargs | more)
        finally:
            _context.made_up = before

    def _build_for(self, inputs):
        """Build the layer for a tree of symbols, or raise a ValueError if it was built for other shapes."""
        shape = mapped(np.shape, inputs)
        if isinstance(inputs, Symbol):
            self._check_spec(shape)
        self._ensure_built(shape)

    def compute_output_spec(self, inputs, *args, **kwargs):
        """Symbols of the shapes and dtypes that a call with symbols would return: one, or a list or dict of them."""
        self._build_by_names(inputs, args, kwargs)
        self._build_for(inputs)
        how = type(self).compute_output_shape
        if args or how is Layer.compute_output_shape or len(_parameters(how)) > 1:
            results = self._foreseen((inputs, *args), kwargs)
        else:
            shape = self.compute_output_shape(mapped(lambda leaf: leaf.shape, inputs))
            results = each_shape(lambda one: Result(one, self.dtype), shape)
        return mapped(lambda one: Symbol(one.shape, one.dtype, ""), results)

    def _record(self, inputs, args, kwargs):
        """Record a call with symbols in their graph, and return its symbols. Masks are not recorded as arguments."""
        if self._input_dtype != TEXTS and any(getattr(leaf, "dtype", None) == TEXTS for leaf in leaves(inputs)):
            raise ValueError(
                f"{self._title} can't take texts, as an Input of dtype 'string' holds: put TextVectorization, "
                "StringLookup or Hashing in between."
            )
        mask, masked = self._masks_in(inputs, args, kwargs)
        outputs = record(self, (inputs, *args), kwargs, self.compute_output_spec(inputs, *args, **masked))
        self._calls += (leaves(outputs)[0].call,)
        if mask is not None or self._makes_masks:
            self._mask_outputs(inputs, outputs, mask)
        return outputs

    def _first_call(self):
        """The inputs and the outputs of the layer's first call with symbols."""
        if not self._calls:
            raise AttributeError(
                f"Layer {self.name!r} has not been called yet on what keras.Input returns: it has no input or output."
            )
        call = self._calls[0]
        if not call.inputs:  # an Input
            return call.outputs, call.outputs
        return (call.args[0] if len(call.inputs) == len(leaves(call.args[0])) else call.inputs), call.outputs

    @property
    def input_shape(self):
        """The shape that the layer was built for. None stands for the number of rows."""
        if self._input_shape is None:
            raise AttributeError(f"Layer {self.name!r} has not been called yet: it has no input shape.")
        return self._input_shape

    @property
    def output_shape(self):
        """The shape of the output. None stands for the number of rows."""
        return self.compute_output_shape(self.input_shape)

    def _takes(self, argument):
        """Whether `call` has this argument."""
        return argument in _parameters(type(self).call)

    def _as_input(self, x):
        if self._is_users and getattr(x, "dtype", None) is not None:
            x = ops.convert_to_tensor(x)
            if x.dtype.kind != "f":
                return x  # a user's layer may count or index
        x = as_tensor(x, self.dtype)
        return x if x.dtype == self.dtype else ops.cast(x, self.dtype)

    def _check_spec(self, shape):
        """Raise a ValueError if an input of this shape does not fit `input_spec`, where there is one."""
        for spec in filter(None, self.input_spec if isinstance(self.input_spec, (list, tuple)) else (self.input_spec,)):
            spec.check(self._title, shape)

    def _fitting(self, inputs):
        """The inputs as tensors of the layer's dtype. Builds the layer, and checks that they fit its `input_spec`."""
        if isinstance(inputs, (list, tuple)) and any(isinstance(x, (Tensor, np.ndarray)) for x in inputs):
            found = [self._as_input(x) for x in inputs]
            inputs = type(inputs)(found) if isinstance(inputs, list) else found  # such as Prepared
            self._ensure_built([x.shape for x in inputs])
        elif isinstance(inputs, dict):
            inputs = {key: self._as_input(x) for key, x in inputs.items()}
            self._ensure_built({key: x.shape for key, x in inputs.items()})
        else:
            inputs = self._as_input(inputs)
            self._check_spec(inputs.shape)
            self._ensure_built(inputs.shape)
            self._check_spec(inputs.shape)  # `build` may have set one
        return inputs

    def _first_of(self, kwargs):
        """The input that was given by its name, as in `attention(query=x, value=y)`, taken out of `kwargs`."""
        name = _parameters(type(self).call)[0]
        if name not in kwargs:
            raise TypeError(f"{self._title} was called without its input: {name!r}.")
        return kwargs.pop(name)

    def __call__(self, inputs=REQUIRED, *args, **kwargs):
        inputs = self._first_of(kwargs) if inputs is REQUIRED else inputs
        is_usual = type(inputs) is Tensor and self._is_ready and self.input_spec is None
        if not is_usual or inputs._data.dtype != self.dtype:
            if has_symbols(inputs, args, kwargs):
                return self._record(inputs, args, kwargs)
            self._build_by_names(inputs, args, kwargs)
            given, inputs = inputs, self._fitting(inputs)
            if MASKS:  # a copy in another dtype keeps the mask
                attach(leaves(mapped(mask_of, given)), inputs)
        takes_training = "training" in _parameters(type(self).call)
        if args:
            args = mapped(lambda value: self._as_input(value) if isinstance(value, np.ndarray) else value, args)
            if takes_training:  # in `self.dropout(x, training)` it has no name
                kwargs.update(zip(_parameters(type(self).call)[1:], args, strict=False))
                args = ()
        before, was_inside, mask = _context.training, _context.inside, None
        try:  # Ctrl-C may come after any call; `finally` puts the context back all the same
            if not was_inside:
                self._clear_losses()  # of the previous call
                _context.inside = True
            training = kwargs.pop("training", None)
            if training is None:
                training = before
            else:
                _context.training = training = bool(training)
            if takes_training:
                kwargs["training"] = _training_by_default(type(self).call) if training is None else training
            if MASKS or "mask" in kwargs:
                mask, kwargs = self._masks_in(inputs, args, kwargs)
            outputs = self.call(inputs, *args, **kwargs)
        except Exception as error:
            _say_where(error, self, inputs)
            raise
        finally:
            _context.training, _context.inside = before, was_inside
        if self.activity_regularizer is not None:
            for y in filter(_is_tensor, leaves(outputs)):
                self.add_loss(self.activity_regularizer(y) / float(max(y.shape[0], 1)))
        if mask is not None or self._makes_masks:
            self._mask_outputs(inputs, outputs, mask)
        return outputs

    # ---- masks

    def _masks_in(self, inputs, args, kwargs):
        """The mask of the inputs, a tree like theirs or None; and the keyword arguments, to which masks are added.

        `call` gets `mask` if only one of its arguments has tensors, and else `a_mask` for each such argument `a`, as
        far as it has arguments of these names.
        """
        if not (args or kwargs or any(mask_of(leaf) is not None for leaf in leaves(inputs))):
            return None, kwargs
        names = _parameters(type(self).call)
        placed = dict(zip(names, (inputs, *args), strict=False))
        given = placed | kwargs
        tensors = {name: tree for name, tree in given.items() if name != "mask" and any(map(_is_tensor, leaves(tree)))}
        masks = {name: mapped(mask_of, tree) for name, tree in tensors.items()}
        masks = {name: mask for name, mask in masks.items() if any(one is not None for one in leaves(mask))}
        first = masks.get(names[0])
        wanted = {"mask": first} if len(tensors) == 1 else {f"{name}_mask": mask for name, mask in masks.items()}
        wanted = {n: m for n, m in wanted.items() if n in names and n not in placed and kwargs.get(n) is None}
        return first if given.get("mask") is None else given["mask"], kwargs | wanted

    def _mask_outputs(self, inputs, outputs, mask):
        """Give the masks of `compute_mask` to the outputs that have none."""
        if self.supports_masking:
            attach(leaves(self.compute_mask(inputs, mask)), outputs)
        elif self not in _told and all(mask_of(one) is None for one in leaves(outputs)):
            _told.add(self)
            warn(
                f"{self._title} was given an input with a mask and does not support masking: the layers after it and "
                "the loss see no mask. If your own layer keeps the rows and steps of its input, set "
                "self.supports_masking = True."
            )

    # ---- losses and metrics

    @property
    def metrics_variables(self):
        """The variables of the `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    @property
    def metrics(self):
        """The metrics among the attributes of this layer and of the layers below."""
        leaves = (leaf for layer in self._all_layers() for leaf in layer._leaves())
        metrics = (leaf for leaf in leaves if hasattr(type(leaf), "update_state") and not isinstance(leaf, Layer))
        return list(dict.fromkeys(metrics))

    def add_loss(self, loss):
        """Add to the loss of the step: a scalar tensor that `call` has computed, or a list of them."""
        for one in loss if isinstance(loss, (list, tuple)) else (loss,):
            self._losses.setdefault(threading.get_ident(), []).append(ops.sum(as_tensor(one)))

    @property
    def losses(self):
        """The penalties of the last call, and of the regularizers of trainable variables, of all layers below, too.

        The last call is that of this thread; if this thread has not called the layer, that of any other.
        """
        (layers, variables), here, found = self._structure(), threading.get_ident(), []
        for layer in layers:
            if layer._losses:
                found += layer._losses[here] if here in layer._losses else list(layer._losses.values())[-1]
        found += [as_tensor(v.regularizer(v)) for v in variables if v.regularizer is not None and v.requires_grad]
        return found

    @contextlib.contextmanager
    def _keeping_losses(self):
        """Context manager: calls inside do not change the penalties of the last call in this thread."""
        here = threading.get_ident()
        before = [(layer, layer._losses.get(here)) for layer in self._all_layers()]
        try:
            yield
        finally:
            self._clear_losses()
            for layer, losses in before:
                if losses is not None:
                    layer._losses[here] = losses
                else:
                    layer._losses.pop(here, None)

    def _clear_losses(self):
        for layer in self._structure()[0]:
            if layer._losses:
                layer._losses[threading.get_ident()] = []

    # ---- configuration and files

    def get_config(self):
        """The arguments of `__init__`, from which `from_config` makes a layer like this one, without its weights.

        Raises:
            NotImplementedError: a user's class without a `get_config` has arguments that are no numbers or strings.
        """
        policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": self.dtype}}
        config = {"name": self.name, "trainable": self._trainable, "dtype": {**policy, "registered_name": None}}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        config |= {n: value for n, value in super().get_config().items() if n not in Layer._argument_names}
        return config if type(self).get_config is not Layer.get_config else self._given_arguments(config)

    def _given_arguments(self, config):
        """`config` and, for a user's class without a `get_config`, the arguments of its `__init__`, as in Keras.

        Raises:
            NotImplementedError: some of these are no numbers or strings.
        """
        cls = type(self)
        if is_own(cls):
            return config
        if self._given is None and self._argument_names == Layer._argument_names:
            raise NotImplementedError(
                f"{cls.__name__} must define get_config(self), which returns {{**super().get_config(), ...}} with the "
                "arguments of its __init__: some are not numbers, strings, or lists of them."
            )
        config = {**(self._given or {}), **config}
        parameters = inspect.signature(cls).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return config
        return {name: value for name, value in config.items() if name in parameters}

    def get_build_config(self):
        """What `build_from_config` needs to make the variables: the shape of the input. None before `build`."""
        shapes = vars(self).get("_build_shapes", {})
        if self.built and shapes:
            return {"shapes_dict": {name: each_shape(list, shape) for name, shape in shapes.items()}}
        shape = self._input_shape
        return None if not self.built or shape is None else {"input_shape": each_shape(list, shape)}

    def build_from_config(self, config):
        """Make the variables, as `get_build_config` tells it, unless the layer is built."""
        shapes, shape = ((config or {}).get(name) for name in ("shapes_dict", "input_shape"))
        if shapes and not self.built:
            self.build(**{name: each_shape(tuple, one) for name, one in shapes.items()})
        if shape:
            self._ensure_built(shape)
            if not all(layer.built for layer in self._all_layers()):  # some are built when `call` calls them
                self.compute_output_shape(shape)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name} built={self.built}>"


_SET_FIRST = set(vars(Layer(name="any")))  # what `Layer.__init__` sets


def _say_where(error, layer, inputs):
    """Add to an error which layer it came from, the innermost one (from Python 3.11 on)."""
    if hasattr(error, "add_note") and not hasattr(error, "__notes__") and not isinstance(error, RecordingError):
        shape = getattr(inputs, "shape", None)
        of = "" if shape is None else f", called with an input of shape {tuple(shape)}"
        error.add_note(f"This happened in {layer._word.lower()} {layer.name!r} ({type(layer).__name__}){of}.")


_told = weakref.WeakSet()  # the layers whose loss of masks the user was warned of


def _is_tensor(value):
    return isinstance(value, (Tensor, Symbol))


def attach(masks, outputs):
    """Give each output that has no mask the mask at its place in the list."""
    for mask, output in zip(masks, leaves(outputs), strict=False):
        if mask is not None and _is_tensor(output) and output._keras_mask is None:
            output._keras_mask = mask


@functools.cache
def _parameters(method):
    """The names of the arguments of a method, a tuple without `self`."""
    return tuple(inspect.signature(method).parameters)[1:]


@functools.cache
def _training_by_default(method):
    """The default of the argument `training` of a method `call`; False if it has none."""
    default = inspect.signature(method).parameters["training"].default
    return False if default is inspect.Parameter.empty else default


@functools.cache
def _shapes_of_build(layer_class):
    """The names of the shapes that `build` takes: its arguments without default, and optional ones called ..._shape."""
    parameters = list(inspect.signature(layer_class.build).parameters.values())[1:]
    parameters = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return tuple(p.name for p in parameters if p.default is p.empty or p.name.endswith("_shape"))


class SameShape(Layer, is_member=False):
    """A layer whose output has the shape of its input."""

    supports_masking = True

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
