"""Arguments of layers: checks, and what a config can hold of them; and InputSpec, which checks inputs."""

import inspect

from minigrad import activations, constraints, initializers, regularizers
from minigrad.checks import is_int
from minigrad.configurable import Number

# The last word of an argument's name -> the module that knows its strings and configs.
KINDS = {
    "activation": activations,
    "constraint": constraints,
    "initializer": initializers,
    "regularizer": regularizers,
}


def number(layer, name, interval="[0, inf]", default=0.0):
    """Check the number that `layer` keeps under `name`, and make it a float. None passes if it is the default."""
    value = Number(default, interval).checked(_called(layer), name, getattr(layer, name))
    setattr(layer, name, None if value is None else float(value))


def whole(layer, name):
    """Check the positive integer that `layer` keeps under `name`."""
    value = getattr(layer, name)
    if not is_int(value, 1):
        raise ValueError(f"{_called(layer)}: {name} must be a positive integer, got {value!r}.")
    setattr(layer, name, int(value))


def integers(layer, name):
    """Check the int, or list of ints, that `layer` keeps under `name`. Returns a tuple of them."""
    value = getattr(layer, name)
    several = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not several or not all(map(is_int, several)):
        raise ValueError(f"{_called(layer)}: {name} must be an integer or several, got {value!r}.")
    return tuple(map(int, several))


def _called(layer):
    return f"{type(layer).__name__} {layer.name!r}"


def is_length(n):
    """Whether n can be the length of an axis: a positive integer, or None for any."""
    return n is None or is_int(n, 1)


def plain_arguments(cls, args, kwargs):
    """The arguments of `cls(*args, **kwargs)` by their names, with defaults; None if JSON cannot hold them."""
    try:
        bound = inspect.signature(cls).bind(*args, **kwargs)
    except TypeError:
        return None  # __init__ will raise the same error
    bound.apply_defaults()
    found = {}
    for parameter in bound.signature.parameters.values():
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= value
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            if value:
                return None  # it has no name in a config
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
    """What a layer's inputs must look like. Set `layer.input_spec` to one, and other inputs raise a ValueError.

    Args:
        shape: of the whole input, with None for any length; then `ndim` is its number of axes.
        ndim, min_ndim, max_ndim: the number of axes, exactly, at least and at most.
        axes: a dict {axis: length}.
        dtype, name, optional, allow_last_axis_squeeze: have no effect here.
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
        """Raise a ValueError that names `owner` if an input of this shape does not fit."""
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
