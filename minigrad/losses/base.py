"""What all losses share: the class `Loss`, and how a class is made of a function.

A loss function returns one value per row or, if there are more axes, one per position. A class adds the sample weights
and the reduction. The class of a function, `class Huber(FunctionLoss, function=huber)`, has the arguments of this
function.
"""

import functools
import inspect
from dataclasses import replace

from minigrad import config, ops
from minigrad.configurable import Configurable, Number
from minigrad.losses.targets import fitted, paired, reduce_weighted
from minigrad.names import snake_case
from minigrad.ops.masks import MASKS, mask_of
from minigrad.registry import Registry
from minigrad.tensor import Tensor, as_tensor

registry = Registry("loss", "keras.losses")
serialize, deserialize = registry.serialize, registry.deserialize

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def get(identifier):
    """The loss (a Loss or a function) that `identifier` means: a string, config, class, function or None."""
    return registry.get(identifier)


def loss_function(*aliases):
    """Decorate a formula of targets and outputs of one shape: it becomes a loss function, registered with aliases."""

    def decorate(formula):
        @functools.wraps(formula)
        def function(y_true, y_pred, *args, **kwargs):
            return formula(*paired(formula.__name__, y_true, y_pred), *args, **kwargs)

        return registry.register(*aliases)(function)

    return decorate


class Loss(Configurable, is_member=False):
    """Base class: define `call(y_true, y_pred)`, which returns one value per row. Calling the loss reduces these.

    Values that the mask of y_pred leaves out count neither in sums nor in the number of values.

    Args:
        reduction: "sum_over_batch_size" or "mean" (sum of weighted values / number of values),
            "mean_with_sample_weight" (sum of weighted values / sum of weights), "sum", "none" or None (the values).
        dtype: of the computation; by default that of y_pred, or floatx if y_pred is no tensor.
    """

    _registry = registry

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction not in REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: reduction must be one of {REDUCTIONS}, got {reduction!r}.")
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self._dtype = dtype

    @property
    def dtype(self):
        """The name of the dtype that was given, or `floatx`."""
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
        """The loss of each row. Targets (n,) are given as (n, 1) if the output is (n, 1)."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    def check_targets(self, targets, output_shape):
        """Raise a ValueError if an array of targets does not fit outputs of this shape."""

    def get_config(self):
        return {"name": self.name, "reduction": self.reduction, **super().get_config()}


class LossFunctionWrapper(Loss):
    """A Loss made of any function `fn(y_true, y_pred, **arguments)` that returns one value per row."""

    kinds = {"fn": registry}

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **arguments):
        super().__init__(name or getattr(fn, "__name__", "loss"), reduction, dtype)
        self.fn, self.arguments = fn, arguments

    def call(self, y_true, y_pred):
        return self.fn(y_true, y_pred, **self.arguments)

    def get_config(self):
        return {**super().get_config(), **self.arguments}

    @classmethod
    def from_config(cls, config):
        """A wrapper of the function that the config names: a loss, or one in a custom_object_scope."""
        return cls(**{**config, "fn": registry.get(config["fn"])})


# ------------------------------------------------------------------------------------- classes made of functions


# What a number must be that is an argument of this name, in any loss or metric.
NUMBERS = {
    "label_smoothing": Number(interval="[0, 1]"),
    "threshold": Number(interval="[0, 1]"),
    "delta": Number(interval="(0, inf)"),
    "gamma": Number(interval="[0, inf)"),
    "q": Number(interval="(0, 1)"),
    "k": Number(interval="[1, inf)", kind=int),
}


def function_arguments(function, more):
    """The arguments of a function behind (y_true, y_pred), as a table for `Configurable._declare`.

    The defaults are those in the dict `more`, or else those of the function.
    """
    defaults = {name: p.default for name, p in list(inspect.signature(function).parameters.items())[2:]} | more
    return {n: replace(NUMBERS[n], default=value) if n in NUMBERS else value for n, value in defaults.items()}


_classes = {}  # function -> the class made of it


class FunctionLoss(Loss, is_member=False):
    """Base class of the classes of loss functions. The arguments of the function become arguments of the class."""

    _own = ()

    def __init_subclass__(cls, function=None, order=None, name=None, **more):
        super().__init_subclass__()
        if function is None:  # a subclass of the class of a function
            return
        cls.function = staticmethod(function)
        own = function_arguments(function, more)
        arguments = own | {"reduction": "sum_over_batch_size", "name": name or function.__name__, "dtype": None}
        cls._own = tuple(own)
        cls._declare({key: arguments[key] for key in order or arguments})
        _classes[function] = cls
        registry.register()(function)  # the name of the function means the function, as in Keras

    def _set_up(self, given):
        Loss.__init__(self, *map(given.pop, ("name", "reduction", "dtype")))
        super()._set_up(given)

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred, *map(vars(self).__getitem__, self._own))


def as_loss(identifier):
    """The Loss object for a loss that `compile` was given."""
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    return _classes[found]() if found in _classes else LossFunctionWrapper(found)
