"""The table of a class' arguments makes its `__init__`: the signature that users see, the checks, the attributes."""

import inspect
from dataclasses import dataclass

import numpy as np

from minigrad.registry import Configurable

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Number:
    """An argument that must be a number within `interval`, such as "[0, 1)"."""

    default: float = REQUIRED
    interval: str = "(-inf, inf)"
    kinds: tuple = (int, float, np.number)

    def check(self, owner, name, value):
        """Raise a ValueError unless `value` is such a number."""
        low, high = map(float, self.interval[1:-1].split(","))
        is_number = isinstance(value, self.kinds) and not isinstance(value, bool)
        above = is_number and (value >= low if self.interval[0] == "[" else value > low)
        if not above or not (value <= high if self.interval[-1] == "]" else value < high):
            kind = "number" if int in self.kinds else "float"
            expected = {"[0, inf)": " >= 0", "(0, inf)": " > 0", "(-inf, inf)": ""}.get(
                self.interval, f" in {self.interval}"
            )
            raise ValueError(f"{owner}: {name} must be a {kind}{expected}, got {value!r} ({type(value).__name__}).")


class Declared(Configurable):
    """Base class of what has a table of `arguments`, by name: a Number, or the default of what is not checked.

    The table becomes the `__init__` of the class, followed by the arguments in `tail`.
    """

    arguments = {}
    tail = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "arguments" in vars(cls):
            cls.__init__ = _initializer(cls)

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


def _initializer(cls):
    arguments, either = cls.arguments, inspect.Parameter.POSITIONAL_OR_KEYWORD
    defaults = {name: a.default if isinstance(a, Number) else a for name, a in arguments.items()}
    own = [inspect.Parameter(name, either, default=default) for name, default in defaults.items()]
    tail = [p for p in cls.tail if p.name not in arguments]
    signature = inspect.Signature([inspect.Parameter("self", either), *own, *tail])

    def __init__(self, *args, **kwargs):
        try:
            given = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}(): {error}. Its arguments: {', '.join(defaults)}.") from None
        given.apply_defaults()
        given = {name: value for name, value in given.arguments.items() if name != "self"}
        for name, argument in arguments.items():
            if isinstance(argument, Number):
                argument.check(type(self).__name__, name, given[name])
        self._set_up(given)

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__
