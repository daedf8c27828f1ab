"""Losses: `loss(y_true, y_pred, sample_weight=None)` returns a scalar tensor.

A function of this file returns one value a row (or, for more axes, one a position); a class adds the sample weights
and the reduction. Where y_pred is the result of a final sigmoid or softmax, the cross-entropies compute from what
went into it, which is exact where the probability itself would be rounded to 0 or 1 (as Keras does on TensorFlow).
"""

import warnings

import numpy as np

from minigrad import config, ops
from minigrad.registry import Configurable, Registry, snake_case
from minigrad.tensor import Tensor, as_tensor

registry = Registry("loss", "keras.losses")
serialize, deserialize = registry.serialize, registry.deserialize

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def get(identifier):
    """The loss (a Loss or a function) that `identifier` stands for: a string, config, class, function or None."""
    return registry.get(identifier)


def _tensors(y_true, y_pred):
    """Both as tensors of y_pred's dtype."""
    if type(y_true) is Tensor and type(y_pred) is Tensor and y_true.dtype is y_pred.dtype and y_pred.dtype.kind == "f":
        return y_true, y_pred
    y_pred = as_tensor(y_pred)
    if y_pred.dtype.kind != "f":
        y_pred = ops.cast(y_pred, config.floatx())
    return ops.cast(as_tensor(y_true, y_pred.dtype), y_pred.dtype), y_pred


def align(y_true, y_pred):
    """Both with as many axes: where one has one more, of length one, it is dropped (or added to a flat partner)."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, ops.expand_dims(y_pred, -1)) if y_pred.ndim == 1 else (ops.squeeze(y_true, -1), y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (ops.expand_dims(y_true, -1), y_pred) if y_true.ndim == 1 else (y_true, ops.squeeze(y_pred, -1))
    return y_true, y_pred


def _fitted(y_true, y_pred):
    """Both as tensors of one dtype with as many axes; y_pred remembers its logits, in its new shape."""
    y_true, y_pred = _tensors(y_true, y_pred)
    y_true, aligned = align(y_true, y_pred)
    if aligned is not y_pred and y_pred._logits is not None:
        aligned._logits = ops.reshape(y_pred._logits, aligned.shape)
    return y_true, aligned


def _aligned(name, y_true, y_pred):
    """y_true in the shape of y_pred. Only the targets are reshaped: y_pred remembers its logits."""
    if y_true.shape == y_pred.shape:
        return y_true
    aligned, partner = align(y_true, y_pred)
    if aligned.shape != partner.shape:
        raise ValueError(
            f"{name}: the targets have shape {y_true.shape} and the output has shape {y_pred.shape}; they must be "
            "equal (nothing is broadcast here). For integer class labels use 'sparse_categorical_crossentropy'."
        )
    return ops.reshape(aligned, y_pred.shape)


def _logits(y_pred, from_logits):
    """What went into the final sigmoid or softmax, if y_pred is its result; y_pred itself if it is logits; or None."""
    if y_pred._logits is not None:
        if from_logits:
            warnings.warn(
                "The loss has from_logits=True, but the output comes from a sigmoid or softmax; what went into that "
                "is used. Drop the activation or from_logits=True.",
                stacklevel=2,
            )
        return y_pred._logits
    return y_pred if from_logits else None


@registry.register("mse", "MSE")
def mean_squared_error(y_true, y_pred):
    """mean over the last axis of (y_pred - y_true)^2"""
    y_true, y_pred = _tensors(y_true, y_pred)
    return ops.squared_error(_aligned("mean_squared_error", y_true, y_pred), y_pred)


@registry.register("mae", "MAE")
def mean_absolute_error(y_true, y_pred):
    """mean over the last axis of |y_pred - y_true|"""
    y_true, y_pred = _tensors(y_true, y_pred)
    return ops.absolute_error(_aligned("mean_absolute_error", y_true, y_pred), y_pred)


@registry.register("bce", "BCE")
def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """-mean over `axis` of t ln p + (1 - t) ln(1 - p), p clipped to [1e-7, 1 - 1e-7]; exact from logits."""
    y_true, y_pred = _tensors(y_true, y_pred)
    logits = _logits(y_pred, from_logits)
    y_true = _aligned("binary_crossentropy", y_true, y_pred)
    operation = ops.binary_crossentropy if logits is None else ops.binary_crossentropy_logits
    y_true, y_pred = _last(y_true, y_pred if logits is None else logits, axis)
    return operation(y_true, y_pred, label_smoothing=float(label_smoothing))


@registry.register()
def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """-sum over `axis` of t ln(p / sum of p), clipped to [1e-7, 1 - 1e-7]; exact from logits."""
    y_true, y_pred = _tensors(y_true, y_pred)
    logits = _logits(y_pred, from_logits)
    y_true = _aligned("categorical_crossentropy", y_true, y_pred)
    if y_pred.shape[axis] == 1:
        warnings.warn(
            f"categorical_crossentropy over an axis of length 1 (output {y_pred.shape}) is always 0. Did you mean "
            "binary_crossentropy?",
            stacklevel=3,
        )
    operation = ops.categorical_crossentropy if logits is None else ops.categorical_crossentropy_logits
    y_true, y_pred = _last(y_true, y_pred if logits is None else logits, axis)
    return operation(y_true, y_pred, label_smoothing=float(label_smoothing))


@registry.register()
def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """-ln of the probability of class y_true (an integer), rows of `ignore_class` 0; exact from logits."""
    y_true, y_pred = _tensors(y_true, y_pred)
    logits = _logits(y_pred, from_logits)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if logits is None:
        # As TensorFlow: the log of clipped probabilities, normalised once more.
        logits = ops.log(ops.clip(y_pred, config.epsilon(), 1 - config.epsilon()))
    if axis not in (-1, y_pred.ndim - 1):
        _, logits = _last(y_pred, logits, axis)
    if y_true.shape != logits.shape[:-1]:
        raise ValueError(
            f"sparse_categorical_crossentropy: the labels have shape {y_true.shape} and the output has shape "
            f"{y_pred.shape}; labels must have shape {logits.shape[:-1]}, one integer a row. For one-hot targets use "
            "'categorical_crossentropy'."
        )
    if ignore_class is None:
        return ops.sparse_crossentropy_logits(y_true, logits)
    kept = ops.not_equal(y_true, float(ignore_class))
    loss = ops.sparse_crossentropy_logits(ops.where(kept, y_true, 0.0), logits)
    return ops.where(kept, loss, 0.0)


def _last(y_true, y_pred, axis):
    """Both with `axis` moved to the end."""
    if axis in (-1, y_pred.ndim - 1):
        return y_true, y_pred
    order = [a for a in range(y_pred.ndim) if a != axis % y_pred.ndim] + [axis % y_pred.ndim]
    return ops.transpose(y_true, order), ops.transpose(y_pred, order)


def reduce_weighted(values, sample_weight, reduction):
    """One number of the values per row: see `Loss` for what each reduction means."""
    if sample_weight is not None:
        sample_weight = ops.cast(as_tensor(sample_weight, values.dtype), values.dtype)
        if sample_weight.ndim == values.ndim + 1 and sample_weight.shape[-1] == 1:
            values, sample_weight = align(values, sample_weight)
        while sample_weight.ndim < values.ndim:
            sample_weight = ops.expand_dims(sample_weight, -1)
        if any(w not in (1, n) for w, n in zip(sample_weight.shape, values.shape, strict=False)) or (
            sample_weight.ndim > values.ndim
        ):
            raise ValueError(
                f"sample_weight of shape {sample_weight.shape} does not fit one loss value for each of {values.shape}."
            )
        values = values * sample_weight
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        total = ops.sum(ops.broadcast_to(sample_weight, values.shape))
        return ops.where(ops.equal(total, 0.0), 0.0, ops.sum(values) / ops.where(ops.equal(total, 0.0), 1.0, total))
    return ops.mean_all(values)


class Loss(Configurable):
    """Base class: define `call(y_true, y_pred)`, one value a row; calling the loss weights and reduces them.

    Args:
        reduction: "sum_over_batch_size" or "mean" (sum of weighted values / number of values),
            "mean_with_sample_weight" (/ sum of the weights), "sum", "none" or None (the values).
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction not in REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: reduction must be one of {REDUCTIONS}, got {reduction!r}.")
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self.dtype = dtype or config.floatx()

    def __call__(self, y_true, y_pred, sample_weight=None):
        values = self.call(*_fitted(y_true, y_pred))
        if not isinstance(values, Tensor):
            values = as_tensor(values)
        return reduce_weighted(values, sample_weight, self.reduction)

    def call(self, y_true, y_pred):
        """The loss of each row. Targets (n,) beside an output (n, 1) come as (n, 1)."""
        raise TypeError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    def check_targets(self, targets, output_shape):
        """Raise a ValueError if a whole array of targets can't be right for an output of this shape."""

    def get_config(self):
        return {"name": self.name, "reduction": self.reduction}


class _FunctionLoss(Loss):
    """A loss made of a function of this file and its keyword arguments, which are the config."""

    function = None

    def __init__(self, reduction="sum_over_batch_size", name=None, dtype=None, **arguments):
        super().__init__(name or type(self).function.__name__, reduction, dtype)
        self.arguments = arguments

    def call(self, y_true, y_pred):
        return type(self).function(y_true, y_pred, **self.arguments)

    def get_config(self):
        return {**super().get_config(), **self.arguments}


@registry.register()
class MeanSquaredError(_FunctionLoss):
    """mean of (y_pred - y_true)^2"""

    function = staticmethod(mean_squared_error)

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(reduction, name, dtype)


@registry.register()
class MeanAbsoluteError(_FunctionLoss):
    """mean of |y_pred - y_true|"""

    function = staticmethod(mean_absolute_error)

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(reduction, name, dtype)


def _smoothing(value):
    if not 0 <= value <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], got {value!r}.")
    return value


@registry.register()
class BinaryCrossentropy(_FunctionLoss):
    """-mean of t ln p + (1 - t) ln(1 - p), for probabilities p or, with from_logits=True, for p = sigmoid(y_pred).

    `label_smoothing` s pulls the targets to t (1 - s) + s / 2.
    """

    function = staticmethod(binary_crossentropy)

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        super().__init__(
            reduction, name, dtype, from_logits=from_logits, label_smoothing=_smoothing(label_smoothing), axis=axis
        )

    def check_targets(self, targets, output_shape):
        low, high = targets.min(), targets.max()
        if low < 0 or high > 1:
            warnings.warn(
                f"{self.name}: the targets lie in [{low:g}, {high:g}], outside of "
                "[0, 1]: the loss can become negative without bound.",
                stacklevel=4,
            )


@registry.register()
class CategoricalCrossentropy(_FunctionLoss):
    """-sum of t ln p for one-hot targets t and probabilities p, or p = softmax(y_pred) with from_logits=True.

    `label_smoothing` s pulls the targets to t (1 - s) + s / K for K classes.
    """

    function = staticmethod(categorical_crossentropy)

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(
            reduction, name, dtype, from_logits=from_logits, label_smoothing=_smoothing(label_smoothing), axis=axis
        )


@registry.register()
class SparseCategoricalCrossentropy(_FunctionLoss):
    """-ln p of the class y_true (an integer from 0), for probabilities p or logits (from_logits=True).

    Rows whose label is `ignore_class` do not count, neither in the sum nor in the mean.
    """

    function = staticmethod(sparse_categorical_crossentropy)

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(reduction, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)

    def __call__(self, y_true, y_pred, sample_weight=None):
        if self.arguments["ignore_class"] is not None:
            sample_weight = self._kept(*_tensors(y_true, y_pred), sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def _kept(self, labels, y_pred, sample_weight):
        """The sample weights without the ignored rows; where the mean divides by all rows, the others weigh more."""
        if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
            labels = ops.squeeze(labels, -1)
        kept = ops.cast(ops.not_equal(labels, float(self.arguments["ignore_class"])), y_pred.dtype)
        if self.reduction in ("sum_over_batch_size", "mean"):
            kept = kept * (float(labels.size) / ops.maximum(ops.sum(kept), config.epsilon()))
        return kept if sample_weight is None else reduce_weighted(kept, sample_weight, "none")

    def check_targets(self, targets, output_shape):
        classes = output_shape[self.arguments["axis"]]
        ignored = self.arguments["ignore_class"]
        labels = targets if ignored is None else targets[targets != ignored]
        if labels.size == 0:
            return
        low, high = labels.min(), labels.max()
        if not (low >= 0 and high <= classes - 1):
            raise ValueError(
                f"{self.name}: labels must be integers from 0 to {classes - 1}, since the output has {classes} "
                f"classes; got labels from {low:g} to {high:g}."
            )
        if (labels != np.floor(labels)).any():
            raise ValueError(f"{self.name}: labels must be integers; got {labels[labels != np.floor(labels)][0]:g}.")


class LossFunctionWrapper(Loss):
    """A Loss made of any function `fn(y_true, y_pred, **arguments)` that returns one value a row."""

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **arguments):
        super().__init__(name or getattr(fn, "__name__", "loss"), reduction, dtype)
        self.fn, self.arguments = fn, arguments

    def call(self, y_true, y_pred):
        return self.fn(y_true, y_pred, **self.arguments)

    def get_config(self):
        return {**super().get_config(), "fn": registry.serialize(self.fn), **self.arguments}


_CLASSES = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}


def as_loss(identifier):
    """The Loss object for whatever `compile(loss=...)` was given."""
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    if found in _CLASSES:
        return _CLASSES[found]()
    return LossFunctionWrapper(found)
