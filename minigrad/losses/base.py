"""What all losses share: the class `Loss`, and how a class is made of a function.

A loss function returns one value a row (or, for more axes, one a position); a class adds the sample weights and the
reduction. A class made of a function, `class Huber(FunctionLoss, function=huber)`, takes its arguments from it.
"""

import functools
import inspect

from minigrad import config, ops
from minigrad.declared import Number, constructor
from minigrad.losses.targets import fitted, paired, reduce_weighted
from minigrad.names import snake_case
from minigrad.ops.masks import MASKS, mask_of
from minigrad.registry import Configurable, Registry
from minigrad.tensor import Tensor, as_tensor

registry = Registry("loss", "keras.losses")
serialize, deserialize = registry.serialize, registry.deserialize

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def get(identifier):
    """The loss (a Loss or a function) that `identifier` stands for: a string, config, class, function or None."""
    return registry.get(identifier)


def loss_function(*aliases):
    """Decorator of a formula of targets and outputs of one shape: a loss function, known under its name and aliases."""

    def decorate(formula):
        @functools.wraps(formula)
        def function(y_true, y_pred, *args, **kwargs):
            return formula(*paired(formula.__name__, y_true, y_pred), *args, **kwargs)

        return registry.register(*aliases)(function)

    return decorate


class Loss(Configurable):
    """Base class: define `call(y_true, y_pred)`, one value a row; calling the loss weights and reduces them.

    What the mask of y_pred leaves out does not count, nor in the number of values.

    Args:
        reduction: "sum_over_batch_size" or "mean" (sum of weighted values / number of values),
            "mean_with_sample_weight" (/ sum of the weights), "sum", "none" or None (the values).
        dtype: what to compute in; by default the dtype of the output, and floatx for one that is no tensor.
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
        dtype = self._dtype if isinstance(y_pred, Tensor) else self.dtype
        mask = mask_of(y_pred) if MASKS else None
        values = self.call(*fitted(y_true, y_pred, dtype))
        if not isinstance(values, Tensor):
            values = as_tensor(values)
        if MASKS and (also := values._keras_mask) is not None:
            mask = also if mask is None else ops.logical_and(mask, also)
        return reduce_weighted(values, sample_weight, self.reduction, mask)

    def call(self, y_true, y_pred):
        """The loss of each row. Targets (n,) beside an output (n, 1) come as (n, 1)."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

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


# What a number that is named so must be, in any loss or metric.
NUMBERS = {
    "label_smoothing": Number(interval="[0, 1]"),
    "threshold": Number(interval="[0, 1]"),
    "delta": Number(interval="(0, inf)"),
    "gamma": Number(interval="[0, inf)"),
    "q": Number(interval="(0, 1)"),
    "k": Number(interval="[1, inf)", kind=int),
}


def own_arguments(function):
    """The arguments of a function behind (y_true, y_pred), with their defaults."""
    return {key: p.default for key, p in list(inspect.signature(function).parameters.items())[2:]}


def function_constructor(cls, own, base, order):
    """An `__init__` with the arguments `own` and those of the base class, `base`, dicts of defaults; in this order.

    The own ones are checked and become attributes.
    """

    def take(self, given):
        super(cls, self).__init__(**{key: given[key] for key in base})
        self._own = tuple(own)
        for key in own:
            if key in NUMBERS:
                NUMBERS[key].check(cls.__name__, key, given[key])
            setattr(self, key, given[key])

    values = own | base
    return constructor(cls, {key: values[key] for key in order}, take)


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
        cls.__init__ = function_constructor(cls, own, base, order or [*own, *base])
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
