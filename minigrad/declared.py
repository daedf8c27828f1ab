"""Arguments told by tables: a table makes an `__init__`, the signature that users see, the checks, the attributes."""

import inspect
import math
from dataclasses import dataclass

import numpy as np

from minigrad.registry import Configurable
from minigrad.spelling import explaining, misfit

REQUIRED = inspect.Parameter.empty
_WORDS = {int: "an int", float: "a float"}


@dataclass(frozen=True)
class Number:
    """An argument that must be a number within `interval`, such as "[0, 1)"; an int or a float, if `kind` says so."""

    default: float = REQUIRED
    interval: str = "(-inf, inf)"
    kind: type = None

    @staticmethod
    def plain(value):
        """An array or tensor without axes, such as a learning rate, as a number of Python; others as they are."""
        return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value

    def check(self, owner, name, value):
        """Raise a ValueError unless `value` is such a number."""
        low, high = map(float, self.interval[1:-1].split(","))
        kinds = {None: (int, float, np.number), int: (int, np.integer), float: (float,)}[self.kind]
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        above = is_number and (value >= low if self.interval[0] == "[" else value > low)
        if not above or not (value <= high if self.interval[-1] == "]" else value < high):
            sign = ">=" if self.interval[0] == "[" else ">"
            bounds = f" in {self.interval}" if high < math.inf else f" {sign} {low:g}" if low > -math.inf else ""
            expected = f"{_WORDS.get(self.kind, 'a number')}{bounds}"
            raise ValueError(f"{owner}: {name} must be {expected}, got {value!r} ({type(value).__name__}).")


def constructor(cls, parameters, take):
    """An `__init__` for `cls` with these parameters, a dict from names to defaults, that calls `take(self, given)`.

    `given` is a dict with a value for each. A value in `parameters` may be an inspect.Parameter, such as one for
    **kwargs.
    """
    kind, own = inspect.Parameter.POSITIONAL_OR_KEYWORD, {}
    for name, default in parameters.items():
        is_whole = isinstance(default, inspect.Parameter)
        own[name] = default if is_whole else inspect.Parameter(name, kind, default=default)
    signature = inspect.Signature([inspect.Parameter("self", kind), *own.values()])

    def __init__(self, *args, **kwargs):
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise misfit(type(self).__name__, error, kwargs, own) from None
        bound.apply_defaults()
        take(self, {name: value for name, value in bound.arguments.items() if name != "self"})

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return explaining(__init__)


class Declared(Configurable):
    """Base class of what has a table of `arguments`, by name: a Number, or the default of what is not checked.

    The table becomes the `__init__` of the class, followed by the arguments in `more`.
    """

    arguments = {}
    more = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "arguments" in vars(cls):
            cls.__init__ = _initializer(cls, cls.arguments)

    def _set_up(self, given):
        """Take the checked arguments, a dict."""
        for name, value in given.items():
            setattr(self, name, value)

    def get_config(self):
        """The arguments from which `from_config` makes an equal object, JSON-able."""
        return {name: getattr(self, name) for name in self.arguments}

    def _settings(self, besides=()):
        """The numbers and flags among the arguments, as floats in their order, but for those named in `besides`."""
        values = [getattr(self, name) for name in self.arguments if name not in besides]
        return [float(value) for value in values if isinstance(value, (int, float, np.number))]


def _initializer(cls, arguments):
    defaults = {name: a.default if isinstance(a, Number) else a for name, a in arguments.items()}
    more = {name: default for name, default in cls.more.items() if name not in arguments}

    def take(self, given):
        for name, argument in arguments.items():
            if isinstance(argument, Number):
                given[name] = argument.plain(given[name])
                argument.check(type(self).__name__, name, given[name])
            elif isinstance(argument, bool) and isinstance(given[name], float):  # older Keras had a number there
                raise ValueError(f"{type(self).__name__}: {name} must be True or False, got {given[name]!r}.")
        self._set_up(given)

    return constructor(cls, defaults | more, take)
