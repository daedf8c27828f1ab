"""What layers are made with: arguments checked, found again for a config, and what an input must look like."""

import inspect
import math

import numpy as np

from minigrad import activations, constraints, initializers, regularizers
from minigrad.checks import is_int
from minigrad.declared import Number

# What the last word of an argument's name says: its strings and configs are looked up there.
KINDS = {
    "activation": activations,
    "constraint": constraints,
    "initializer": initializers,
    "regularizer": regularizers,
}


def _kind_of(name):
    """The module that knows what the argument `name` may be, such as `initializers` for kernel_initializer; or None."""
    return KINDS.get(name.rpartition("_")[2])


def number(layer, name, low=0.0, high=math.inf, optional=False, below=False):
    """Check the number that `layer` keeps under `name`: in [low, high] (`below`: not high itself), or None."""
    value = getattr(layer, name)
    if optional and value is None:
        return
    Number(interval=f"[{low:g}, {high:g}{')' if below else ']'}").check(_called(layer), name, value)
    setattr(layer, name, float(value))


def whole(layer, name, low=1):
    """Check the integer that `layer` keeps under `name`."""
    value = getattr(layer, name)
    if not is_int(value, low):
        raise ValueError(f"{_called(layer)}: {name} must be a positive integer, got {value!r}.")
    setattr(layer, name, int(value))


def integers(layer, name, optional=False):
    """Check that `layer` keeps an int or several of them under `name`; return them as a tuple."""
    value = getattr(layer, name)
    if optional and value is None:
        return ()
    several = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not several or not all(map(is_int, several)):
        raise ValueError(f"{_called(layer)}: {name} must be an integer or several, got {value!r}.")
    return tuple(map(int, several))


def _called(layer):
    return f"{type(layer).__name__} {layer.name!r}"


def plain(value):
    """`value` as JSON can have it: NumPy's numbers and arrays become Python's."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


class Remembering:
    """What knows the arguments that it was made with, so that they need not be listed again for a config."""

    _kept = ()  # names of the arguments that `_keep` got
    _given = None  # for classes of the user's: their arguments, if JSON can have them

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        parameters = list(inspect.signature(cls.__init__).parameters.values())
        cls.__signature__ = inspect.Signature(parameters[1:])  # or help() would show that of __new__

    def __new__(cls, *args, **kwargs):
        new = super().__new__(cls)
        if not _is_own(cls):
            vars(new)["_given"] = _plain_arguments(cls, args, kwargs)
        return new

    def _keep(self, given):
        """Let the arguments of `__init__`, its `locals()`, be attributes under their names, and part of the config.

        What is called activation, ..._initializer, ..._regularizer or ..._constraint is looked up.
        """
        names = [n for n in given if n not in ("self", "kwargs", "__class__", "activity_regularizer")]
        for name in names:
            kind = _kind_of(name)
            setattr(self, name, given[name] if kind is None else kind.get(given[name]))
        self._kept = (*self._kept, *names)

    def _kept_arguments(self):
        """Their values as they are now, JSON-able."""
        values = {name: getattr(self, name) for name in self._kept}
        return {n: plain(v) if _kind_of(n) is None else _kind_of(n).serialize(v) for n, v in values.items()}

    def _given_arguments(self, config):
        """`config` and, for a class of the user's that has no `get_config`, what its `__init__` was given, as in Keras.

        Raises:
            NotImplementedError: some were more than numbers and strings.
        """
        cls = type(self)
        if _is_own(cls):
            return config
        if self._given is None and not self._kept:
            raise NotImplementedError(
                f"{cls.__name__} must define get_config(self), which returns {{**super().get_config(), ...}} with the "
                "arguments of its __init__: some are not numbers, strings, or lists of them."
            )
        config = {**(self._given or {}), **config}
        parameters = inspect.signature(cls).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return config
        return {name: value for name, value in config.items() if name in parameters}


def _is_own(cls):
    return cls.__module__.startswith("minigrad.")


def _plain_arguments(cls, args, kwargs):
    """The arguments that `cls(*args, **kwargs)` gives to parameters of `__init__`, or None if JSON can't have them."""
    try:
        bound = inspect.signature(cls).bind(*args, **kwargs)
    except TypeError:
        return None  # __init__ will say so
    bound.apply_defaults()
    found = {}
    for parameter in bound.signature.parameters.values():
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= value
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            if value:
                return None  # it has no name by which it could be told again
        else:
            found[parameter.name] = value
    return found if _is_plain(found) else None


def _is_plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (bool, int, float, str))


class InputSpec:
    """What a layer's inputs must look like: set `layer.input_spec` to one, and other inputs raise a ValueError.

    Args:
        shape: of the whole input, None for any length; it also says `ndim`.
        ndim, min_ndim, max_ndim: the number of axes.
        axes: {axis: length}.
    """

    def __init__(
        self, dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None,
        allow_last_axis_squeeze=False, name=None, optional=False,
    ):
        self.dtype, self.name, self.optional = dtype, name, optional
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(self.shape)
        self.min_ndim, self.max_ndim = min_ndim, max_ndim
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(axis): length for axis, length in dict(axes or {}).items()}
        except (TypeError, ValueError):
            raise TypeError(f"InputSpec: axes must be a dict from integers to lengths, got {axes!r}.") from None

    def check(self, owner, shape):
        """Raise a ValueError that names `owner` unless an input of this shape is one of those meant."""
        rank, problem = len(shape), None
        if self.ndim is not None and rank != self.ndim:
            problem = f"with {self.ndim} axes"
        elif self.min_ndim is not None and rank < self.min_ndim:
            problem = f"with at least {self.min_ndim} axes"
        elif self.max_ndim is not None and rank > self.max_ndim:
            problem = f"with at most {self.max_ndim} axes"
        for axis, length in {**dict(enumerate(self.shape or ())), **self.axes}.items():
            if problem is None and length is not None:
                if not -rank <= axis < rank:
                    problem = f"that have an axis {axis}"
                elif shape[axis] not in (None, length):
                    problem = f"whose axis {axis} has value {length}"
        if problem is not None:
            raise ValueError(f"{owner} expected inputs {problem}; got shape {tuple(shape)}.")

    def __repr__(self):
        said = {n: v for n, v in vars(self).items() if v not in (None, False, {})}
        return f"InputSpec({', '.join(f'{n}={v}' for n, v in said.items())})"
