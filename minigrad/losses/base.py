"""What all losses share: how targets, outputs and weights are brought together, the reductions, the class `Loss`.

A loss function returns one value a row (or, for more axes, one a position); a class adds the sample weights and the
reduction. A class made of a function, `class Huber(FunctionLoss, function=huber)`, takes its arguments from it.
"""

import functools
import inspect

from minigrad import config, ops
from minigrad.registry import Configurable, Registry, snake_case
from minigrad.tensor import Tensor, as_tensor

registry = Registry("loss", "keras.losses")
serialize, deserialize = registry.serialize, registry.deserialize

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def get(identifier):
    """The loss (a Loss or a function) that `identifier` stands for: a string, config, class, function or None."""
    return registry.get(identifier)


# -------------------------------------------------------------------------------------- targets beside outputs


def tensors(y_true, y_pred, dtype=None):
    """Both as tensors of one floating-point dtype, by default that of y_pred, which remembers its logits."""
    if type(y_true) is Tensor and type(y_pred) is Tensor and dtype is None:
        dtype = y_pred.dtype
        if y_true.dtype is dtype and dtype.kind == "f":
            return y_true, y_pred
    y_pred = as_tensor(y_pred)
    dtype = dtype or (y_pred.dtype if y_pred.dtype.kind == "f" else config.floatx())
    converted = ops.cast(y_pred, dtype)
    if converted is not y_pred and y_pred._logits is not None:
        converted._logits = ops.cast(y_pred._logits, dtype)
    return ops.cast(as_tensor(y_true, dtype), dtype), converted


def align(y_true, y_pred):
    """Both with as many axes: where one has one more, of length one, it is dropped (or added to a flat partner)."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, ops.expand_dims(y_pred, -1)) if y_pred.ndim == 1 else (ops.squeeze(y_true, -1), y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (ops.expand_dims(y_true, -1), y_pred) if y_true.ndim == 1 else (y_true, ops.squeeze(y_pred, -1))
    return y_true, y_pred


def reshaped(y, shape):
    """`y` in another shape; it remembers its logits, in the new shape, too."""
    if y.shape == shape:
        return y
    new = ops.reshape(y, shape)
    if y._logits is not None:
        new._logits = ops.reshape(y._logits, shape)
    return new


def fitted(y_true, y_pred, dtype=None):
    """Both as tensors of one dtype with as many axes; y_pred remembers its logits, in its new shape."""
    y_true, y_pred = tensors(y_true, y_pred, dtype)
    y_true, aligned = align(y_true, y_pred)
    return y_true, reshaped(y_pred, aligned.shape)


def paired(name, y_true, y_pred):
    """Both as tensors of one dtype and shape. Only the targets are reshaped: y_pred remembers its logits."""
    y_true, y_pred = tensors(y_true, y_pred)
    if y_true.shape == y_pred.shape:
        return y_true, y_pred
    aligned, partner = align(y_true, y_pred)
    if aligned.shape != partner.shape:
        raise ValueError(
            f"{name}: the targets have shape {y_true.shape} and the output has shape {y_pred.shape}; they must be "
            "equal (nothing is broadcast here). For integer class labels use 'sparse_categorical_crossentropy'."
        )
    return ops.reshape(aligned, y_pred.shape), y_pred


def loss_function(*aliases):
    """Decorator of a formula of targets and outputs of one shape: a loss function, known under its name and aliases."""

    def decorate(formula):
        @functools.wraps(formula)
        def function(y_true, y_pred, *args, **kwargs):
            return formula(*paired(formula.__name__, y_true, y_pred), *args, **kwargs)

        return registry.register(*aliases)(function)

    return decorate


# --------------------------------------------------------------------------------------- weights and reductions


def reduce_weighted(values, sample_weight, reduction):
    """One number of the values per row: see `Loss` for what each reduction means."""
    if sample_weight is not None:
        sample_weight = ops.cast(as_tensor(sample_weight, values.dtype), values.dtype)
        if sample_weight.ndim == values.ndim + 1 and sample_weight.shape[-1] == 1:
            values, sample_weight = align(values, sample_weight)
        while sample_weight.ndim < values.ndim:
            sample_weight = ops.expand_dims(sample_weight, -1)
        # A loss of the whole batch, one number, goes with weights of any shape: it becomes one value for each of them.
        if values.ndim and (
            any(w not in (1, n) for w, n in zip(sample_weight.shape, values.shape, strict=False))
            or sample_weight.ndim > values.ndim
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
        dtype: what to compute in; by default the dtype of the output.
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction not in REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: reduction must be one of {REDUCTIONS}, got {reduction!r}.")
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self._dtype = dtype

    @property
    def dtype(self):
        """The name of the dtype that was asked for, else that of `floatx`."""
        return self._dtype or config.floatx()

    def __call__(self, y_true, y_pred, sample_weight=None):
        values = self.call(*fitted(y_true, y_pred, self._dtype))
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


@registry.register()
class LossFunctionWrapper(Loss):
    """A Loss made of any function `fn(y_true, y_pred, **arguments)` that returns one value a row."""

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **arguments):
        super().__init__(name or getattr(fn, "__name__", "loss"), reduction, dtype)
        self.fn, self.arguments = fn, arguments

    def call(self, y_true, y_pred):
        return self.fn(y_true, y_pred, **self.arguments)

    def get_config(self):
        return {**super().get_config(), "fn": registry.serialize(self.fn), **self.arguments}

    @classmethod
    def from_config(cls, config):
        """A wrapper of the function that `get_config` named: one of ours, or found in custom_object_scope."""
        return cls(**{**config, "fn": registry.get(config["fn"])})


# ------------------------------------------------------------------------------------- classes made of functions


def own_arguments(function):
    """The arguments of a function behind (y_true, y_pred), with their defaults."""
    return {key: p.default for key, p in list(inspect.signature(function).parameters.items())[2:]}


def constructor(cls, own, base, order):
    """An `__init__` with the arguments `own` and those of the base class, `base`, dicts of defaults; in this order.

    The own ones are checked and become attributes.
    """
    values, kind = own | base, inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [inspect.Parameter("self", kind)] + [inspect.Parameter(key, kind, default=values[key]) for key in order]
    )

    def __init__(self, *args, **kwargs):
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: {error}") from None
        bound.apply_defaults()
        values = bound.arguments
        super(cls, self).__init__(**{key: values[key] for key in base})
        self._own = tuple(own)
        for key in own:
            setattr(self, key, checked(cls.__name__, key, values[key]))

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return __init__


# What a number that is named so must be, in any loss or metric.
RANGES = {
    "label_smoothing": ("in [0, 1]", lambda v: 0 <= v <= 1),
    "threshold": ("in [0, 1]", lambda v: 0 <= v <= 1),
    "delta": ("positive", lambda v: v > 0),
    "gamma": ("not negative", lambda v: v >= 0),
    "q": ("in (0, 1)", lambda v: 0 < v < 1),
    "k": ("a positive int", lambda v: isinstance(v, int) and v > 0),
}


def checked(owner, name, value):
    """`value`, if an argument of this name may have it."""
    rule, test = RANGES.get(name, ("", None))
    try:
        is_right = test is None or test(value)
    except TypeError:
        is_right = False
    if not is_right:
        raise ValueError(f"{owner}: {name} must be {rule}, got {value!r}.")
    return value


_classes = {}  # function -> the class made of it


class FunctionLoss(Loss):
    """A Loss whose values a function computes; the function's arguments are its own, and its config's."""

    _own = ()

    def __init_subclass__(cls, function=None, order=None, name=None, **own):
        super().__init_subclass__()
        if function is None:  # somebody derives from one of ours
            return
        cls.function = staticmethod(function)
        own = own_arguments(function) | own
        base = {"reduction": "sum_over_batch_size", "name": name or function.__name__, "dtype": None}
        cls.__init__ = constructor(cls, own, base, order or [*own, *base])
        _classes[function] = registry.register()(cls)
        registry.register()(function)  # the function's name means the function, as in Keras

    @property
    def arguments(self):
        """The function's own arguments."""
        return {key: getattr(self, key) for key in self._own}

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred, **self.arguments)

    def get_config(self):
        return {**super().get_config(), **self.arguments}


def as_loss(identifier):
    """The Loss object for whatever `compile(loss=...)` was given."""
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    return _classes[found]() if found in _classes else LossFunctionWrapper(found)
