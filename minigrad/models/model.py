"""Model: a layer that can be trained, evaluated and asked for predictions."""

import functools
import inspect
import math

import numpy as np

from minigrad import ops, saving, utils
from minigrad.configurable import REQUIRED
from minigrad.data import as_texts, shape_of_rank
from minigrad.graph import HELD, TEXTS, Graph, Symbol, flat_like, has_symbols, merged, only_one, results
from minigrad.layers.base import Layer, attach, registry, serialize
from minigrad.layers.context import context, entry
from minigrad.names import auto_name
from minigrad.ops.logits import remember
from minigrad.ops.masks import MASKS, mask_of
from minigrad.preparation import Prepared, PreparedFew, preparation
from minigrad.program import is_recording
from minigrad.registry import custom_object_scope
from minigrad.saving import functional
from minigrad.saving.compiling import compile_config, compile_from_config
from minigrad.spelling import explaining
from minigrad.tensor import Tensor, as_tensor, deferred, enable_grad, tapes, view
from minigrad.texts import strings
from minigrad.trainer import compiling, evaluating, fitting, logs, programs, steps, taped
from minigrad.trainer.objective import Objective
from minigrad.trainer.pool import Pool
from minigrad.trainer.snapshot import current
from minigrad.trees import filled, leaves, mapped


def _method(function):
    """A function of a model as a method of Model, which is what errors call it."""
    inspect.unwrap(function).__qualname__ = function.__qualname__ = f"Model.{function.__name__}"
    return function


def _indexes(graph, given):
    """(which of the given symbols, layer) where a layer gets what must be shown to its `_check_rows` first."""
    places = {id(symbol): i for i, symbol in enumerate(given)}
    return [
        (places[id(call.args[0])], call.function)
        for call in graph.calls
        if call.args and id(call.args[0]) in places and getattr(call.function, "_indexes", False)
    ]


def _method_like(function, name):
    """The method `name` of Model that does what a function of a model does."""

    @functools.wraps(function)
    def method(model, *args, **kwargs):
        return function(model, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"Model.{name}"
    return explaining(method)


@registry.register("Functional", module="keras.src.models.functional")
class Model(Layer):
    """A layer with `compile`, `fit`, `evaluate` and `predict`.

    Three kinds are made in different ways and used alike:

    - `Model(inputs, outputs)`, of what `Input` and layers called on it have returned: one symbol, a list or a dict;
    - a Sequential, the graph of a chain;
    - a subclass with a `call(self, inputs, training=False)` that uses layers kept as attributes.

    >>> x = Input(shape=(20,))
    >>> h = Dense(64, activation="relu")(x)
    >>> model = Model(x, Dense(1)(h + Dense(64)(h)))
    """

    distribute_strategy = None  # Keras has one on TensorFlow, and packages pass it on
    _word = "Model"
    _preparation = None  # the Preparation of its graph, if it has one
    _indexes = ()  # (which input, layer) where a layer is given what must be shown to its `_check_rows` first
    _class_name = "Functional"  # of Model itself: what Keras makes of Model(inputs, outputs)

    def __init__(self, *args, inputs=None, outputs=None, **kwargs):
        if len(args) > 2 or (args and inputs is not None) or (len(args) == 2 and outputs is not None):
            raise TypeError(f"{type(self).__name__} takes inputs and outputs once each, and other arguments by name.")
        inputs, outputs = (*args, *(inputs, outputs)[len(args) :])
        if (inputs is None) != (outputs is None):
            raise ValueError(f"{type(self).__name__} needs inputs and outputs, or neither of them.")
        if inputs is not None and type(self) is Model:
            kwargs["name"] = kwargs.get("name") or auto_name("functional")
        Layer.__init__(self, **kwargs)
        self.optimizer = self.loss = self.history = None
        self.compiled = False
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.steps_per_execution = 1
        self.fitting = None  # the Run of the `fit` that goes on
        self._graph = self._snapshot = self._eager_because = None
        self._objective, self._pool, self._run_eagerly = Objective(), Pool(), False
        if inputs is not None:
            if isinstance(outputs, (list, tuple)) and len(outputs) == 1:  # it returns one tensor, as in Keras
                (outputs,) = outputs
            self._set_graph(Graph(inputs, outputs, self.name))

    # ---- the graph

    def _set_graph(self, graph):
        self._graph = graph
        shapes = mapped(lambda symbol: symbol.shape, graph.inputs)
        self._input_shape = leaves(graph.inputs)[0].shape if len(leaves(graph.inputs)) == 1 else shapes
        self._preparation = preparation(graph)
        before = self._preparation
        self._indexes = _indexes(graph, leaves(graph.inputs) if before is None else before.results)
        self._indexes_of_few = () if before is None else _indexes(graph, before.few.results)
        self.built = self._is_ready = True

    def __call__(self, inputs=REQUIRED, *args, **kwargs):
        inputs = self._first_of(kwargs) if inputs is REQUIRED else inputs
        if not self.built:
            inputs = self._made_for(inputs)
        if self._graph is None or args or (not isinstance(inputs, (Tensor, np.ndarray)) and has_symbols(inputs)):
            return super().__call__(inputs, *args, **kwargs)
        inputs = self._as_inputs(inputs)
        is_plain = not kwargs.get("training") and kwargs.get("mask") is None and not context.training
        if is_plain and not tapes.open and self._is_replayable(inputs):
            return self._replayed(inputs)
        is_trained = kwargs.keys() == {"training"} and kwargs["training"] and not context.inside
        if is_trained and self._is_replayable(inputs):
            y = taped.run_taped(self, inputs._data)
            if y is not None:
                return y
        return super().__call__(inputs, **kwargs)

    def _made_for(self, inputs):
        """The inputs, once the graph is made, where they have been waited for."""
        return inputs

    def _as_inputs(self, given):
        """The inputs as tensors that fit the graph's, in a tree like that of its symbols; or Prepared."""
        if isinstance(given, Prepared):
            return given
        if self._preparation is not None:
            flat = self._preparation.inputs
            given = [only_one(given, flat[0].name, f"model {self.name!r}")] if len(flat) == 1 else flat_like(
                self._graph.inputs, given, f"model {self.name!r}"
            )
            return self._preparation.run(map(self._as_one, flat, given))
        symbols = self._graph.inputs
        if type(symbols) is Symbol and isinstance(given, (Tensor, np.ndarray)):
            return self._as_one(symbols, given)
        name = f"model {self.name!r}"
        if len(leaves(symbols)) == 1:
            (symbol,) = leaves(symbols)
            return self._as_one(symbol, only_one(given, symbol.name, name))
        return filled(symbols, map(self._as_one, leaves(symbols), flat_like(symbols, given, name)))

    def _as_one(self, symbol, value):
        if symbol.dtype == TEXTS:
            return strings(as_texts(symbol, value))
        dtype = HELD.get(symbol.dtype, symbol.dtype)
        x = value if type(value) is Tensor else as_tensor(value, dtype)
        if x.dtype != dtype:
            x = ops.cast(x, dtype)
        if x.shape[1:] != symbol.shape[1:]:
            x = ops.reshape(x, shape_of_rank(x.shape, symbol.shape))  # as in `fit` and `predict`
            self._check_input(x.shape, symbol.shape)
        if MASKS and x is not value:
            x._keras_mask = mask_of(value)
        return x

    @property
    def _input_dtype(self):
        dtypes = [] if self._graph is None else [symbol.dtype for symbol in leaves(self._graph.inputs)]
        return TEXTS if TEXTS in dtypes else dtypes[0] if len(dtypes) == 1 else None

    _takes_lists = True  # whether a list of arrays, where no graph says so, is one of several inputs

    def _check_rows(self, x):
        """Let layers that take their input for indexes look at it."""
        x = getattr(x, "tree", x)
        for i, layer in self._indexes_of_few if type(x) is PreparedFew else self._indexes:
            layer._check_rows(leaves(x)[i])

    def _as_input(self, x):
        is_fit = self._graph is not None and isinstance(x, Tensor) and x.dtype.kind == "i"  # for an Input of integers
        return x if is_fit else super()._as_input(x)

    def _is_replayable(self, x):
        """Whether calling the model may replay a Program: all layers must be minigrad's own."""
        is_usual = isinstance(x, Tensor) and not x.requires_grad and x.dtype == self.dtype
        is_usual = is_usual and current(self).is_replayable and not (MASKS and mask_of(x) is not None)
        return is_usual and not (self.run_eagerly or is_recording())

    def _replayed(self, x):
        """The output, replayed; to be differentiated it is computed once more, eagerly."""
        if self._indexes:
            self._check_rows(x._data)
        data, logits, mask = programs.run_staged(self, "predict", x._data)
        if not self._snapshot.is_trained:

            def found(data, again):
                return as_tensor(data)

        else:
            found = deferred
        y = found(data, lambda: self._infer(x))
        if mask is not None:
            y._keras_mask = as_tensor(mask)
        if logits is None:
            return y
        return remember(y, found(logits[0], lambda: self._infer(x)._logits[0]), logits[1])

    def _infer(self, x):
        """The output in inference mode, launch by launch, or a tree of several."""
        return super().__call__(x, training=False)

    def _taped(self, x):
        """The output in training, launch by launch, on the tape."""
        with enable_grad():
            return super().__call__(x, training=True)

    def _mask_outputs(self, inputs, outputs, mask):
        if self.supports_masking:  # else the layers inside know
            super()._mask_outputs(inputs, outputs, mask)

    def call(self, inputs, training=None, mask=None):
        """The outputs for the inputs, both tensors or trees of them; `mask` is that of the inputs."""
        if self._graph is None:
            raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs), or be given its graph.")
        if mask is not None:
            inputs = mapped(lambda x: view(x, x.shape), inputs)  # those that were given keep the masks that they have
            attach(leaves(mask), inputs)
        found = current(self)
        schedule = found.few if type(inputs) is PreparedFew else found.schedule
        return schedule.run(inputs, training)  # its calls are fused where that is possible

    def _children(self):
        if self._graph is None:
            return super()._children()
        return list(dict.fromkeys([*self._graph.layers, *super()._children()]))

    @property
    def layers(self):
        """The layers that it is made of."""
        return self._children()

    @property
    def inputs(self):
        """A list of the symbols of what goes in."""
        return leaves(self._require_graph("inputs").inputs)

    @property
    def outputs(self):
        """A list of the symbols of what comes out."""
        return leaves(self._require_graph("outputs").outputs)

    @property
    def output_names(self):
        """The names of the layers that make the outputs, those of a dict by its sorted keys."""
        return [symbol.call.function.name for symbol in results(self._require_graph("output_names").outputs)]

    @property
    def input(self):
        """The symbol of what goes in, or the list or dict of them."""
        return self._require_graph("input").inputs

    @property
    def output(self):
        """The symbol of what comes out, or the list or dict of them."""
        return self._require_graph("output").outputs

    @property
    def _has_list_of_layers(self):
        return self._graph is not None

    def _require_graph(self, what):
        if self._graph is None:
            raise AttributeError(
                f"Model {self.name!r} has no {what}: a Sequential needs an Input in front, or data; a subclassed Model "
                "has none."
            )
        return self._graph

    @property
    def output_shape(self):
        """The shape of the output, or a list or dict of shapes; None stands for the number of rows."""
        return super().output_shape if self._graph is None else mapped(lambda one: one.shape, self._graph.outputs)

    def build(self, input_shape=None):
        """Make all variables for inputs of this shape, a tuple whose first element is None."""
        if self._graph is None:
            self.built = True
            more = [p for p in inspect.signature(type(self).call).parameters.values() if p.name != "training"][2:]
            if any(p.default is p.empty and p.kind < p.VAR_POSITIONAL for p in more):
                return  # a `call` of several inputs builds what is below it
            super().compute_output_shape(input_shape)

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

    summary = _method_like(utils.print_summary, "summary")

    # ---- training: functions of `trainer`, with the model in front

    compile = explaining(_method(compiling.compile))
    fit = explaining(_method(fitting.fit))
    evaluate = explaining(_method(evaluating.evaluate))
    predict = explaining(_method(evaluating.predict))
    train_on_batch = _method(evaluating.train_on_batch)
    test_on_batch = _method(evaluating.test_on_batch)
    predict_on_batch = _method(evaluating.predict_on_batch)
    train_step = _method(steps.train_step)
    test_step = _method(steps.test_step)
    predict_step = _method(steps.predict_step)
    compute_loss = _method(steps.compute_loss)
    compute_metrics = _method(logs.compute_metrics)
    get_metrics_result = _method(logs.get_metrics_result)
    reset_metrics = _method(logs.reset_metrics)
    metrics, metrics_names = logs.metrics, logs.metrics_names
    run_eagerly = programs.run_eagerly
    train_program, predict_program = programs.train_program, programs.predict_program

    @property
    def finite_batches(self):
        """How many batches of this epoch (or evaluation) came before the mean loss ceased to be finite."""
        return self._objective.finite.item(0)

    # ---- files

    def get_config(self):
        """The name and, of a model made of inputs and outputs, its layers and their calls, as Keras tells them.

        A subclass with other arguments than those of Model is made again by these arguments.
        """
        if self._graph is None or not takes_a_graph(type(self)):
            config = super().get_config()
            return self._given_arguments(config) if type(self).get_config is Model.get_config else config
        return {"name": self.name, "trainable": self._trainable, **functional.describe(self._graph)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A new model from `get_config()`, with new weights."""
        if "output_layers" not in config or not takes_a_graph(cls):
            return super().from_config(config)
        with custom_object_scope(custom_objects or {}):
            inputs, outputs = functional.read(config)
        more = {key: value for key, value in config.items() if key not in ("layers", "input_layers", "output_layers")}
        return cls(inputs=inputs, outputs=outputs, **more)

    save = entry(_method_like(saving.save_model, "save"))
    save_weights = entry(_method_like(saving.save_weights, "save_weights"))
    load_weights = _method_like(saving.load_weights, "load_weights")
    get_compile_config = _method_like(compile_config, "get_compile_config")
    compile_from_config = _method_like(compile_from_config, "compile_from_config")

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
        """Write what predicts to an ONNX file, with format="onnx". See `exporting.export`."""
        from minigrad.exporting import export  # few export, and it knows all kernels

        export(self, filepath, format, verbose, input_signature, **kwargs)

    def to_json(self, **kwargs):
        """The architecture, and how it was compiled, as JSON for `models.model_from_json`; kwargs: of json.dumps."""
        return saving.objects.as_json(serialize(self), **kwargs)

    def _check_input(self, shape, expected=None):
        """Raise a ValueError unless rows of this shape fit the model, or its input of the shape `expected`."""
        expected = expected or self._input_shape
        if expected is None or shape[1:] == expected[1:]:
            return
        has_rank = len(shape) == len(expected)
        if has_rank and all(e in (None, n) for e, n in zip(expected[1:], shape[1:], strict=True)):
            return
        if not (has_rank and self._has_free_input() and self._takes_too(shape)):
            hint = f" A single row must have shape {(1, *shape)}." if len(shape) == len(expected) - 1 else ""
            if len(shape) > len(expected) == 2 and math.prod(shape[1:]) == expected[1]:
                hint = " The rows hold as many numbers: flatten them, x.reshape(len(x), -1), or begin with Flatten()."
            first = self.layers[0].name if self.layers else self.name
            raise ValueError(
                f"Model {self.name!r} (first layer {first!r}) expects input of shape {tuple(expected)}, "
                f"got {tuple(shape)}.{hint}"
            )

    def _has_free_input(self):
        """Whether no Input says what comes, so that the layers say what they take."""
        return self._graph is None

    def _takes_too(self, shape):
        """Whether all layers take rows of this shape, too; then lengths in which it differs are free from now on."""
        if context.made_up:  # this is being found out, and the layers will say
            return True
        try:
            self._foreseen((Symbol(shape, self.dtype, ""),), {})
            self._widen(merged(self._input_shape, (None, *shape[1:])))
        except Exception:  # whatever code of the user's makes of a shape that it does not expect
            return False
        return True

    def _widen(self, shape):
        self._input_shape = shape


@functools.cache
def takes_a_graph(model_class):
    """Whether a class of models is made with `inputs` and `outputs`."""
    names = inspect.getfullargspec(model_class.__init__)
    return {"inputs", "outputs"} <= {*names.args, *names.kwonlyargs} or None not in (names.varargs, names.varkw)
