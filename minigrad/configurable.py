"""Configurable: objects that can be made again from their configs; their arguments, and checks of numbers."""

import inspect
import math
from dataclasses import dataclass

import numpy as np

from minigrad import older
from minigrad.checks import is_own
from minigrad.spelling import argument_names, explaining

REQUIRED = inspect.Parameter.empty
_WORDS = {int: "an int", float: "a float"}


@dataclass(frozen=True)
class Number:
    """An argument that must be a number within `interval`, such as "[0, 1)"; an int or a float, if `kind` says so.

    Where the default is None, None passes, too.
    """

    default: float = REQUIRED
    interval: str = "(-inf, inf)"
    kind: type = None

    def checked(self, owner, name, value):
        """The value, an array or tensor without axes as a number of Python.

        Raises:
            ValueError: it is no such number; the error calls it the argument `name` of `owner`.
        """
        if value is self.default is None:
            return None
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
        low, high = map(float, self.interval[1:-1].split(","))
        kinds = {None: (int, float), int: int, float: float}[self.kind]
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        above = is_number and (value >= low if self.interval[0] == "[" else value > low)
        if not above or not (value <= high if self.interval[-1] == "]" else value < high):
            sign = ">=" if self.interval[0] == "[" else ">"
            bounds = f" in {self.interval}" if high < math.inf else f" {sign} {low:g}" if low > -math.inf else ""
            expected = f"{_WORDS.get(self.kind, 'a number')}{bounds}{' or None' if self.default is None else ''}"
            raise ValueError(f"{owner}: {name} must be {expected}, got {value!r} ({type(value).__name__}).")
        return value


class Configurable:
    """Base class of objects that can be made again from a config, which holds the arguments of their `__init__`.

    `get_config` takes the names from the signature of `__init__`, and the values from the attributes of these names.
    An argument that no attribute keeps is left out. In a user's class, the signature is that of the nearest base class
    of minigrad's: if the user's class has further arguments, it defines a `get_config` that adds them.
    """

    kinds = {}  # last word of an argument's name -> the module (or Registry) whose `get` and `serialize` fit its values
    _argument_names = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and is_own(cls):
            cls._take_init(cls.__init__)

    @classmethod
    def _take_init(cls, init):
        """Make `init` the `__init__` of the class. Its errors will explain which arguments there are."""
        cls.__init__, cls._argument_names = explaining(init), argument_names(init)

    @classmethod
    def _declare(cls, arguments, keywords=None):
        """Make the `__init__` of the class from a table. It checks its arguments and gives them to `_set_up`.

        Args:
            arguments: name -> a Number, or the default of an argument that is not checked.
            keywords: the name of an argument **keywords for all others, if there is to be one.
        """
        parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        for name, value in arguments.items():
            default = value.default if isinstance(value, Number) else value
            parameters.append(parameters[0].replace(name=name, default=default))
        if keywords is not None:
            parameters.append(inspect.Parameter(keywords, inspect.Parameter.VAR_KEYWORD))
        signature = inspect.Signature(parameters)

        def __init__(self, *args, **kwargs):
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            given, owner = dict(bound.arguments), type(self).__name__
            del given["self"]
            for name, argument in arguments.items():
                if isinstance(argument, Number):
                    given[name] = argument.checked(owner, name, given[name])
                elif isinstance(argument, bool) and isinstance(given[name], float):  # older Keras had a number there
                    raise ValueError(f"{owner}: {name} must be True or False, got {given[name]!r}.")
            self._set_up(given)

        __init__.__signature__ = signature
        __init__.__qualname__ = f"{cls.__qualname__}.__init__"
        __init__.__module__ = cls.__module__
        cls._take_init(__init__)

    def _set_up(self, given):
        """Take the checked arguments, a dict. By default they become attributes."""
        self._keep(given)

    def _keep(self, given, but=()):
        """Keep the arguments of `__init__`, its `locals()`, as attributes of the same names, without those in `but`.

        Values of one of the `kinds` are looked up: the string "zeros" becomes the initializer of this name.
        """
        for name, value in given.items():
            if name not in ("self", "kwargs", "__class__", *but):
                kind = self._kind_of(name)
                setattr(self, name, value if kind is None else kind.get(value))

    def _kind_of(self, name):
        return self.kinds.get(name.rpartition("_")[2])

    def get_config(self):
        """The arguments from which `from_config` makes an equal object, JSON-able."""
        own, config = vars(self), {}
        for name in self._argument_names:
            if name in own:
                kind = self._kind_of(name)
                config[name] = plain(own[name]) if kind is None else kind.serialize(own[name])
        return config

    @classmethod
    def from_config(cls, config):
        """An object made from what `get_config` returned."""
        return cls(**config)

    def __getattr__(self, name):
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property that has raised an AttributeError raises it again
        return older.attribute(self, name)


def plain(value):
    """The value as JSON can have it: NumPy's numbers and arrays become Python's."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def numbers_among(owner, names):
    """The numbers and flags among the attributes of these names, as floats in their order."""
    values = [getattr(owner, name) for name in names]
    return [float(value) for value in values if isinstance(value, (int, float, np.number))]
