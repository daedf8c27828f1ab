"""Metrics: running averages over the batches of an epoch, updated by kernels so that they stay inside a Program.

`update_state(y_true, y_pred, sample_weight=None)` adds a batch, `result()` is the value so far, `reset_state()`
starts again.
"""

import numpy as np

from minigrad import config, losses, ops
from minigrad import kernels as K
from minigrad.program import launch
from minigrad.registry import Configurable, Registry, auto_name, snake_case
from minigrad.tensor import Variable, as_tensor, constant, flat

registry = Registry("metric", "keras.metrics")
serialize, deserialize = registry.serialize, registry.deserialize


def get(identifier):
    """The metric (a Metric or a function) that `identifier` stands for: a string, config, class, or callable."""
    return registry.get(identifier)


class Metric(Configurable):
    """Base class: define `update_state` and `result`, and make the state with `add_variable`."""

    def __init__(self, dtype=None, name=None):
        self.name = name or auto_name(snake_case(type(self).__name__))
        self.dtype = dtype or config.floatx()
        self.variables = []

    def add_variable(self, shape=(), initializer="zeros", name="variable", dtype=None):
        """A state variable of zeros (`initializer`: a function of (shape, dtype) for other values)."""
        initial = initializer if callable(initializer) else (lambda shape, dtype: np.zeros(shape, dtype))
        variable = Variable(initial, shape, dtype or self.dtype, trainable=False, name=name)
        variable.path = f"{self.name}/{name}"
        self.variables.append(variable)
        return variable

    add_weight = add_variable

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch."""
        raise TypeError(f"{type(self).__name__} must define update_state(self, y_true, y_pred, sample_weight=None).")

    def result(self):
        """The value over all batches since the last `reset_state`."""
        raise TypeError(f"{type(self).__name__} must define result(self).")

    def reset_state(self):
        """Forget all batches."""
        for variable in self.variables:
            variable.fill(0.0)

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


@registry.register()
class Mean(Metric):
    """Weighted mean of values: sum of weight times value / sum of weights, 0 before the first one."""

    def __init__(self, name="mean", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values, sample_weight=None):
        """Add `values`; axes beyond the first (or beyond those of sample_weight) are averaged first."""
        values = ops.cast(as_tensor(values, self.dtype), self.dtype)
        total, count = self.total._data.reshape(1, 1), self.count._data.reshape(1, 1)
        if sample_weight is None:
            rows = values.shape[0] if values.ndim else 1
            settings = constant(values.dtype, rows / max(values.size, 1), float(rows))
            launch(K.accumulate, flat(values._data), settings, total, count)
            return
        weights = ops.cast(as_tensor(sample_weight, self.dtype), self.dtype)
        while weights.ndim > 1 and weights.shape[-1] == 1 and weights.shape != values.shape[: weights.ndim]:
            weights = ops.squeeze(weights, -1)
        if weights.size != 1 and weights.shape != values.shape[: weights.ndim]:
            raise ValueError(f"{self.name}: sample_weight {weights.shape} does not fit values of shape {values.shape}.")
        if weights.size == 1 and values.ndim:
            weights = ops.broadcast_to(ops.reshape(weights, (1,)), values.shape[:1])
        rows = weights.size
        launch(
            K.accumulate_weighted, values._data.reshape(rows, -1), weights._data.reshape(rows, 1), total, count
        )

    def result(self):
        count = self.count.item()
        return self.total.dtype.type(self.total.item() / count if count else 0.0)


@registry.register()
class Sum(Metric):
    """Weighted sum of values."""

    def __init__(self, name="sum", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values, sample_weight=None):
        """Add the sum of `values`, each times its weight."""
        values = ops.cast(as_tensor(values, self.dtype), self.dtype)
        if sample_weight is not None:
            values = losses.reduce_weighted(values, sample_weight, "none")
        self.total.assign_add(ops.sum(values))

    def result(self):
        return self.total.dtype.type(float(self.total))


class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **arguments)`, a function that returns one value a row."""

    def __init__(self, fn, name=None, dtype=None, **arguments):
        super().__init__(name or getattr(fn, "__name__", "metric"), dtype)
        self.fn, self.arguments = fn, arguments

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add the values of a batch. (n,) beside (n, 1) becomes a column first: it would broadcast to (n, n)."""
        values = self.fn(*_pair(y_true, y_pred), **self.arguments)
        super().update_state(values, sample_weight)

    def get_config(self):
        return {**super().get_config(), "fn": registry.serialize(self.fn), **self.arguments}


class _Named(MeanMetricWrapper):
    """A MeanMetricWrapper whose function is fixed by the class and whose arguments are its config."""

    function = None

    def __init__(self, name, dtype, **arguments):
        super().__init__(type(self).function, name, dtype, **arguments)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, **self.arguments}


def _pair(y_true, y_pred):
    y_true, y_pred = losses._tensors(y_true, y_pred)
    return losses.align(y_true, y_pred)


def _with_axis(tensor):
    """A flat tensor as a column: one value a row."""
    return ops.expand_dims(tensor, -1) if tensor.ndim < 2 else tensor


@registry.register()
def binary_accuracy(y_true, y_pred, threshold=0.5):
    """The share of the last axis in which [y_pred > threshold] equals y_true"""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.binary_match(_with_axis(y_true), _with_axis(y_pred), threshold=float(threshold))


@registry.register()
def categorical_accuracy(y_true, y_pred):
    """1 where the largest y_true and the largest y_pred stand in the same column, else 0"""
    return ops.categorical_match(*losses._tensors(y_true, y_pred))


@registry.register()
def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest y_pred stands in column y_true, else 0"""
    y_true, y_pred = losses._tensors(y_true, y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return ops.sparse_match(y_true, y_pred)


def _equality(y_true, y_pred):
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), y_pred.dtype)


def mean_squared_error(y_true, y_pred):
    """mean over the last axis of (y_pred - y_true)^2"""
    y_true, y_pred = _pair(y_true, y_pred)
    return losses.mean_squared_error(_with_axis(y_true), _with_axis(y_pred))


def mean_absolute_error(y_true, y_pred):
    """mean over the last axis of |y_pred - y_true|"""
    y_true, y_pred = _pair(y_true, y_pred)
    return losses.mean_absolute_error(_with_axis(y_true), _with_axis(y_pred))


@registry.register("accuracy")
class Accuracy(_Named):
    """The share of equal values."""

    function = staticmethod(_equality)

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name, dtype)


@registry.register()
class BinaryAccuracy(_Named):
    """The share of values for which [y_pred > threshold] equals y_true."""

    function = staticmethod(binary_accuracy)

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"BinaryAccuracy: threshold must be in [0, 1], got {threshold!r}.")
        super().__init__(name, dtype, threshold=threshold)


@registry.register()
class CategoricalAccuracy(_Named):
    """The share of rows whose most probable class is that of the one-hot target."""

    function = staticmethod(categorical_accuracy)

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(name, dtype)


@registry.register()
class SparseCategoricalAccuracy(_Named):
    """The share of rows whose most probable class is the integer target."""

    function = staticmethod(sparse_categorical_accuracy)

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)


@registry.register("mse", "MSE")
class MeanSquaredError(_Named):
    """The mean of (y_pred - y_true)^2."""

    function = staticmethod(mean_squared_error)

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(name, dtype)


@registry.register("mae", "MAE")
class MeanAbsoluteError(_Named):
    """The mean of |y_pred - y_true|."""

    function = staticmethod(mean_absolute_error)

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(name, dtype)


@registry.register()
class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of (y_pred - y_true)^2."""

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def result(self):
        return np.sqrt(super().result())


@registry.register("bce", "BCE")
class BinaryCrossentropy(_Named):
    """The mean binary cross-entropy, as in `losses.binary_crossentropy`."""

    function = staticmethod(losses.binary_crossentropy)

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0):
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)


@registry.register()
class CategoricalCrossentropy(_Named):
    """The mean categorical cross-entropy, as in `losses.categorical_crossentropy`."""

    function = staticmethod(losses.categorical_crossentropy)

    def __init__(self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1):
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


@registry.register()
class SparseCategoricalCrossentropy(_Named):
    """The mean sparse categorical cross-entropy, as in `losses.sparse_categorical_crossentropy`."""

    function = staticmethod(losses.sparse_categorical_crossentropy)

    def __init__(self, name="sparse_categorical_crossentropy", dtype=None, from_logits=False, axis=-1):
        super().__init__(name, dtype, from_logits=from_logits, axis=axis)


# The snake_case strings mean the classes, not the functions of the same name.
for _class in [m for m in registry.members.values() if isinstance(m, type)]:
    registry.members[snake_case(_class.__name__)] = _class


def by_shape(y_true_shape, y_pred_shape, kind):
    """What 'accuracy' (or the loss 'crossentropy') means for these shapes: binary, sparse_categorical, categorical."""
    if y_pred_shape[-1] == 1:
        return f"binary_{kind}"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return f"sparse_categorical_{kind}"
    return f"categorical_{kind}"


def as_metric(identifier, y_true_shape, y_pred_shape):
    """The Metric for an element of `compile(metrics=[...])`; its name is what logs call it."""
    if isinstance(identifier, str):
        if identifier.lower() in ("accuracy", "acc"):
            found = get(by_shape(y_true_shape, y_pred_shape, "accuracy"))
        elif identifier.lower() in ("crossentropy", "ce"):
            found = get(by_shape(y_true_shape, y_pred_shape, "crossentropy"))
        else:
            found = get(identifier)
        if not isinstance(found, Metric):
            found = MeanMetricWrapper(found)
        found.name = identifier
        return found
    found = get(identifier)
    if isinstance(found, Metric):
        return found
    return MeanMetricWrapper(found, name=snake_case(getattr(found, "__name__", "metric").strip("<>")))


class LossTracker(Mean):
    """The `loss` of the logs: the batches' losses weighted by their rows."""

    def update_state(self, loss, rows):
        """Add the loss of a batch of `rows` rows."""
        loss = ops.cast(loss, self.dtype)
        launch(
            K.accumulate_weighted,
            loss._data.reshape(1, 1),
            constant(loss.dtype, float(rows)),
            self.total._data.reshape(1, 1),
            self.count._data.reshape(1, 1),
        )


