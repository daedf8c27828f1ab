"""Configurable: objects that can be made again from their configs; their arguments, and checks of numbers."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad import older
from minigrad.checks import is_own
from minigrad.spelling import argument_names, explaining

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Number:
    """An argument that must be a number within `interval`, such as "[0, 1)"; with `kind` int, an integer.

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
        is_number = isinstance(value, self.kind or (int, float)) and not isinstance(value, bool)
        above = is_number and (value >= low if self.interval[0] == "[" else value > low)
        if not above or not (value <= high if self.interval[-1] == "]" else value < high):
            sign = ">=" if self.interval[0] == "[" else ">"
            bounds = f" in {self.interval}" if high < math.inf else f" {sign} {low:g}" if low > -math.inf else ""
            expected = f"{'an int' if self.kind else 'a number'}{bounds}{' or None' if self.default is None else ''}"
            raise ValueError(f"{owner}: {name} must be {expected}, got {value!r} ({type(value).__name__}).")
        return value


@dataclass(frozen=True)
class Checked:
    """An argument that `check(owner, name)` checks once it is an attribute: it raises an error, or mends the value."""

    check: Callable
    default: object = REQUIRED


class Configurable:
    """Base class of objects that can be made again from a config, which holds the arguments of their `__init__`.

    `get_config` takes the names from the signature of `__init__`, and the values from the attributes of these names.
    An argument that no attribute keeps is left out. In a user's class, the signature is that of the nearest base class
    of minigrad's: if the user's class has further arguments, it defines a `get_config` that adds them.

    A class of minigrad's can have a table `arguments` in place of an `__init__`: name -> a Number, a Checked, or the
    default of an argument that is not checked. It becomes a member of its kind's `_registry`, also under its
    `aliases`, unless `is_member` is False.
    """

    _registry = None
    kinds = {}  # last word of an argument's name -> the module (or Registry) whose `get` and `serialize` fit its values
    _argument_names = ()
    _checks = {}
    _keywords = None  # the name of the argument **keywords that a table has behind its own, if there is to be one

    def __init_subclass__(cls, aliases=(), is_member=True, **kwargs):
        super().__init_subclass__(**kwargs)
        if not is_own(cls):
            return
        if isinstance(vars(cls).get("arguments"), dict):
            cls._declare(cls.arguments)
        elif "__init__" in vars(cls):
            cls._take_init(cls.__init__)
        if cls._registry is not None and is_member and not cls.__name__.startswith("_"):
            cls._registry.register(*aliases)(cls)

    @classmethod
    def _take_init(cls, init):
        """Make `init` the `__init__` of the class. Its errors will explain which arguments there are."""
        cls.__init__, cls._argument_names = explaining(init), argument_names(init)

    @classmethod
    def _declare(cls, arguments):
        """Make the `__init__` of the class from a table. It has these arguments, so Python checks its calls."""
        defaults = {n: a.default if isinstance(a, (Number, Checked)) else a for n, a in arguments.items()}
        written = [n if value is REQUIRED else f"{n}=defaults[{n!r}]" for n, value in defaults.items()]
        written = ", ".join(["self", *written, *([] if cls._keywords is None else [f"**{cls._keywords}"])])
        scope = {"defaults": defaults, "table": arguments, "__name__": cls.__module__}
        exec(f"def __init__({written}):\n    self._accept(table, locals())", scope)
        scope["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
        cls._checks = {name: a.check for name, a in arguments.items() if isinstance(a, Checked)}
        cls._take_init(scope["__init__"])

    def _accept(self, table, given):
        """Take the arguments of a call, the dict `given` (with self)."""
        owner = type(self).__name__
        del given["self"]
        for name, argument in table.items():
            if isinstance(argument, Number):
                given[name] = argument.checked(owner, name, given[name])
            elif isinstance(argument, bool) and isinstance(given[name], float):  # older Keras had a number there
                raise ValueError(f"{owner}: {name} must be True or False, got {given[name]!r}.")
        self._set_up(given)

    def _set_up(self, given):
        """Take the arguments, of which Numbers are checked. By default they become attributes, and are checked then."""
        self._keep(given)
        for name, check in self._checks.items():
            check(self, name)
        self._settle()

    def _settle(self):
        """Called once the arguments of a table are attributes: what else there is to check, and to make of them."""

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
