"""The class `Metric`, means and sums, and metrics that are the mean of a function.

Launches update a metric, so that a Program can replay them. Its value is computed from its state when it is read.
"""

import functools

import numpy as np

from minigrad import config, initializers, losses, ops
from minigrad import kernels as K
from minigrad.configurable import Configurable
from minigrad.losses import targets
from minigrad.losses.base import function_arguments
from minigrad.names import auto_name, snake_case
from minigrad.ops.logits import remember
from minigrad.ops.masks import MASKS, mask_of
from minigrad.program import RecordingError, is_recording, launch
from minigrad.registry import Registry, custom_object
from minigrad.tensor import Structure, Tensor, Variable, as_array, as_tensor, constant, emit, flat
from minigrad.trees import held

registry = Registry("metric", "keras.metrics")
serialize, deserialize = registry.serialize, registry.deserialize
_dtype = functools.cache(np.dtype)  # of its name
functions = {}  # name -> a function that the config of a MeanMetricWrapper may name


class Pending(Tensor):
    """The value of a metric, computed when it is read. `result()` returns it while a Program is being recorded.

    So a step can return the values of its metrics. Computing with them inside the step is refused, since it would
    freeze them.
    """

    __slots__ = ("_find", "metric")

    def __init__(self, find, metric):
        self._find, self.metric = find, metric
        self.requires_grad = False
        self._grad = self._node = self._logits = None

    def read(self):
        """The result at this moment, a tensor or a dict of tensors."""
        if is_recording():
            raise RecordingError("The value of a metric can't be read while its step is recorded into a Program.")
        return self._find()

    @property
    def _data(self):
        return as_array(self.read())

    def __repr__(self):
        return "Pending(the value of a metric)" if is_recording() else super().__repr__()


def _late(result):
    @functools.wraps(result)
    def late(self):
        return Pending(functools.partial(result, self), self) if is_recording() else result(self)

    return late


class Metric(Configurable, is_member=False):
    """Base class: define `update_state` and `result`, and make the state with `add_variable`.

    Variables and metrics among the attributes, also in lists and dicts, belong to the state, too.
    """

    _registry = registry
    _direction = None  # "up" if a larger value is better, "down" if a smaller one is
    _found = -1, []  # a version of the structure, and the `variables` at that time

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "result" in vars(cls):
            cls.result = _late(cls.result)

    def __init__(self, dtype=None, name=None):
        self.name = name or auto_name(snake_case(type(self).__name__))
        self.dtype = dtype or config.floatx()
        self._variables = []

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        if isinstance(value, (Metric, Variable, list, tuple, dict)):
            Structure.changed()

    @property
    def variables(self):
        """The variables that `reset_state` sets to 0: its own, then those of the metrics among its attributes."""
        version, found = self._found
        if version != Structure.version:
            version = Structure.version
            vars(self)["_found"] = version, (found := self._find_variables())
        return list(found)

    def _find_variables(self):
        values = list(held({name: value for name, value in vars(self).items() if name != "_found"}))
        own = [value for value in values if isinstance(value, Variable)]
        others = [v for value in values if isinstance(value, Metric) for v in value.variables]
        return list({id(v): v for v in (*self._variables, *own, *others)}.values())

    @property
    def direction(self):
        """Whether "max" or "min" is the best value; None if this is not known."""
        return {"up": "max", "down": "min"}.get(self._direction)

    def add_variable(self, shape=(), initializer="zeros", dtype=None, name=None):
        """A new variable of the state. `reset_state` sets it to zeros, which by default are its first values, too."""
        variable = Variable(
            initializers.get(initializer), tuple(shape), dtype or self.dtype, trainable=False, name=name or "variable"
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    add_weight = add_variable

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch."""
        raise TypeError(f"{type(self).__name__} must define update_state(self, y_true, y_pred, sample_weight=None).")

    def result(self):
        """The value for all batches since the last `reset_state`, a tensor."""
        raise TypeError(f"{type(self).__name__} must define result(self).")

    def reset_state(self):
        """Forget all batches."""
        is_launched = is_recording()
        for variable in self.variables:
            if is_launched:
                variable.fill(0.0)
            else:
                variable._data.fill(0.0)

    def merge_state(self, metrics):
        """Add the state of other metrics of this class, as if this metric had been given their batches, too."""
        for other in metrics:
            theirs = [v.shape for v in other.variables]
            if type(other) is not type(self) or theirs != [v.shape for v in self.variables]:
                raise ValueError(f"{self.name} can only be merged with metrics that have the same state, not {other}.")
            for variable, more in zip(self.variables, other.variables, strict=True):
                variable.assign_add(more)

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, **super().get_config()}

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"

    def _value(self, value):
        """A result as a tensor of the metric's dtype."""
        return emit(np.array(value, _dtype(self.dtype), order="C"))

    def _cast(self, value):
        """An argument as a tensor of the metric's dtype."""
        value = value if isinstance(value, Tensor) else as_tensor(value, self.dtype)
        return value if value.dtype == self.dtype else ops.cast(value, self.dtype)

    def _inputs(self, y_true, y_pred):
        """Targets and outputs as tensors of the metric's dtype and of one shape."""
        y_true, y_pred = targets.fitted(y_true, as_tensor(y_pred).detach(), self.dtype)
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the output has shape {y_pred.shape}; they "
                "must be equal (nothing is broadcast here)."
            )
        return y_true, y_pred

    def _weights(self, sample_weight, shape):
        """Weights for values of this shape, from one weight per value or per row; without weights, a single 1."""
        if sample_weight is None:
            return as_tensor(constant(np.dtype(self.dtype), 1.0))
        weights = self._cast(sample_weight)
        if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
            weights = ops.squeeze(weights, -1)
        while weights.ndim < len(shape):
            weights = ops.expand_dims(weights, -1)
        if weights.ndim > len(shape) or any(w not in (1, n) for w, n in zip(weights.shape, shape)):
            raise ValueError(f"{self.name}: sample_weight {weights.shape} does not fit values of shape {shape}.")
        return ops.broadcast_to(weights, shape)


def ratio(a, b):
    """a / b in float64, and 0 where b is 0."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)


class Mean(Metric):
    """Weighted mean of values: sum of weight times value / sum of weights. It is 0 before the first value."""

    def __init__(self, name="mean", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values, sample_weight=None):
        """Add `values`. Axes behind the first (or behind those of sample_weight) are averaged first."""
        values = self._cast(values)
        total, count = self.total._data.reshape(1, 1), self.count._data.reshape(1, 1)
        if sample_weight is None:
            rows = values.shape[0] if values.ndim else 1
            settings = constant(values.dtype, rows / max(values.size, 1), float(rows))
            launch(K.accumulate, flat(values._data), settings, total, count)
            return
        weights = self._cast(sample_weight)
        while weights.ndim > 1 and weights.shape[-1] == 1 and weights.shape != values.shape[: weights.ndim]:
            weights = ops.squeeze(weights, -1)
        if weights.size != 1 and weights.shape != values.shape[: weights.ndim]:
            raise ValueError(f"{self.name}: sample_weight {weights.shape} does not fit values of shape {values.shape}.")
        if weights.size == 1 and values.ndim:
            weights = ops.broadcast_to(ops.reshape(weights, (1,)), values.shape[:1])
        rows = weights.size
        if weights.ndim > 1:  # both total and count get the mean of a row's parts
            values = ops.mean(ops.reshape(values, (rows, -1)), axis=1)
            share = weights.shape[0] / rows
            self.total.assign_add(ops.sum(values * ops.reshape(weights, (rows,))) * share)
            self.count.assign_add(ops.sum(weights) * share)
            return
        launch(
            K.accumulate_weighted, values._data.reshape(rows, -1), weights._data.reshape(rows, 1), total, count
        )

    def result(self):
        total, count = self.total._data.item(), self.count._data.item()
        return self._value(total / count if count else 0.0)


class Sum(Metric):
    """Weighted sum of values."""

    def __init__(self, name="sum", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values, sample_weight=None):
        """Add the sum of `values`, each times its weight."""
        values = self._cast(values)
        if sample_weight is not None:
            values = targets.reduce_weighted(values, sample_weight, "none")
        self.total.assign_add(ops.sum(values))

    def result(self):
        return self._value(self.total.item())


class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **arguments)`, a function that returns one value per row."""

    kinds = {"fn": registry}

    def __init__(self, fn, name=None, dtype=None, **arguments):
        super().__init__(name or getattr(fn, "__name__", "metric"), dtype)
        self.fn, self.arguments = fn, arguments
        if fn in losses.base.registry.members.values():
            self._direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add the values of a batch. A shape (n,) beside (n, 1) becomes (n, 1), or both would broadcast to (n, n)."""
        sample_weight = self._counted(y_pred, sample_weight)
        super().update_state(self.fn(*targets.fitted(y_true, y_pred), **self.arguments), sample_weight)

    def _counted(self, y_pred, sample_weight):
        """The weights, with 0 where the mask of y_pred is false."""
        mask = mask_of(y_pred) if MASKS else None
        return sample_weight if mask is None else targets.masked(mask, sample_weight, self.dtype)

    def get_config(self):
        return {**super().get_config(), **self.arguments}

    @classmethod
    def from_config(cls, config):
        """A wrapper of the function that the config names: a metric, a loss, or one in a custom_object_scope."""
        fn = config["fn"]
        name = fn.get("config") if isinstance(fn, dict) else fn
        found = (custom_object(name) or functions.get(name)) if isinstance(name, str) else None
        return cls(**{**config, "fn": found or losses.get(fn)})


class FunctionMetric(MeanMetricWrapper, is_member=False):
    """Base class of means of one function, whose arguments become arguments of the class.

    `elementwise` tells that each value depends on one target and one output only. Then flat arrays hold one row per
    element, and not a single row.
    """

    _own = ()
    _elementwise = False

    def __init_subclass__(
        cls, function=None, name=None, order=None, direction=None, elementwise=False, aliases=(), **more
    ):
        super().__init_subclass__(aliases=aliases)
        if function is None:  # a subclass of the class of a function
            return
        cls.fn = staticmethod(function)
        cls._direction, cls._elementwise = direction, elementwise
        own = function_arguments(function, more)
        arguments = {"name": name or snake_case(cls.__name__), "dtype": None} | own
        cls._own = tuple(own)
        cls._declare({key: arguments[key] for key in order or arguments})

    def _set_up(self, given):
        Mean.__init__(self, *map(given.pop, ("name", "dtype")))
        super()._set_up(given)

    @property
    def arguments(self):
        """The function's own arguments."""
        return {key: getattr(self, key) for key in self._own}

    def update_state(self, y_true, y_pred, sample_weight=None):
        sample_weight = self._counted(y_pred, sample_weight)
        y_true, y_pred = targets.fitted(y_true, y_pred)
        if self._elementwise and y_true.ndim == y_pred.ndim == 1:
            logits, y_true, y_pred = y_pred._logits, targets.column(y_true), targets.column(y_pred)
            if logits is not None:
                y_pred = remember(y_pred, targets.column(logits[0]), logits[1])
        Mean.update_state(self, self.fn(y_true, y_pred, *map(vars(self).__getitem__, self._own)), sample_weight)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class LossTracker(Mean, is_member=False):
    """The `loss` in the logs: the mean of the batches' losses, weighted by their numbers of rows."""

    _direction = "down"

    def track(self, loss, rows, finite):
        """Add the loss of a batch of `rows` rows. `finite` (1, 1) counts batches as long as the sum is finite."""
        loss = self._cast(loss)._data.reshape(1, 1)
        total, count = self.total._data.reshape(1, 1), self.count._data.reshape(1, 1)
        launch(K.track_loss, loss, constant(loss.dtype, float(rows)), total, count, finite)
