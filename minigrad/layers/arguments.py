"""Arguments of layers: checks, and what a config can hold of them; and InputSpec, which checks inputs.

A layer's table of `arguments` makes its `__init__`: see `Configurable`.
"""

import inspect

from minigrad import activations, constraints, initializers, random, regularizers
from minigrad.checks import is_int
from minigrad.configurable import REQUIRED, Checked, Number

# The last word of an argument's name -> the module that knows its strings and configs.
KINDS = {
    "activation": activations,
    "constraint": constraints,
    "initializer": initializers,
    "regularizer": regularizers,
}


def number(layer, name, interval="[0, inf]", default=0.0):
    """Check the number that `layer` keeps under `name`, and make it a float. None passes if it is the default."""
    value = Number(default, interval).checked(layer._owner, name, getattr(layer, name))
    setattr(layer, name, None if value is None else float(value))


def whole(layer, name, least=1, or_none=False):
    """Check the integer of at least `least` that `layer` keeps under `name`. If `or_none`, None passes, too."""
    value = getattr(layer, name)
    if value is None and or_none:
        return
    if not is_int(value, least):
        kind = "a positive integer" if least == 1 else f"an int of at least {least}"
        raise ValueError(f"{layer._owner}: {name} must be {kind}{' or None' if or_none else ''}, got {value!r}.")
    setattr(layer, name, int(value))


def integers(layer, name):
    """Check the int, or list of ints, that `layer` keeps under `name`. Returns a tuple of them."""
    value = getattr(layer, name)
    several = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not several or not all(map(is_int, several)):
        raise ValueError(f"{layer._owner}: {name} must be an integer or several, got {value!r}.")
    return tuple(map(int, several))


def _one_of(layer, name, *known):
    value = getattr(layer, name)
    if value not in known:
        raise ValueError(f"{layer._owner}: {name} must be {' or '.join(map(repr, known))}, got {value!r}.")


def several(layer, name, least=1):
    """Check the int, or one per axis of the layer's rank, that it keeps under `name`, and keep a tuple of them."""
    value, rank = getattr(layer, name), layer.rank
    found = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(found) != rank or not all(is_int(n, least) for n in found):
        many = "an int" if rank == 1 else f"an int or {rank} of them"
        raise ValueError(f"{layer._owner}: {name} must be {many}, at least {least}; got {value!r}.")
    setattr(layer, name, tuple(map(int, found)))


def _padding(layer, name):
    value, known = getattr(layer, name), layer._paddings
    if str(value).lower() not in known:
        raise ValueError(f"{layer._owner}: {name} must be {' or '.join(map(repr, known))}; got {value!r}.")
    setattr(layer, name, str(value).lower())


def _channels_last(layer, name):
    value = getattr(layer, name)
    if value not in (None, "channels_last"):
        raise ValueError(
            f"{layer._owner}: the channels must be the last axis, data_format='channels_last'; got {value!r}. "
            "np.moveaxis(x, 1, -1) brings the data into this order."
        )
    setattr(layer, name, "channels_last")


def _stream(layer, name):
    """Check a seed, and begin the layer's stream of random numbers with it."""
    seed = getattr(layer, name)
    if seed is not None and not is_int(seed):
        raise ValueError(f"{layer._owner}: {name} must be an int or None, got {seed!r}.")
    layer._state = random.new_state(seed)


def _refused(layer, name, words, is_kept=False):
    own = vars(layer)
    if own[name] if is_kept else own.pop(name):
        raise ValueError(f"{layer._owner}: minigrad {words}.")


# ---- what stands in tables of arguments


def checked(check, default=REQUIRED, *more):
    """An argument that `check(layer, name, *more)` checks."""
    return Checked(lambda layer, name: check(layer, name, *more), default)


def one_of(*known, default=None):
    """An argument that must be one of these words; by default it is the first."""
    return checked(_one_of, default or known[0], *known)


def refused(words, default=None, is_kept=False):
    """An argument of Keras' that minigrad does not have: a true value is an error. Configs have it if it `is_kept`."""
    return checked(_refused, default, words, is_kept)


def of_weights(activity=False, **initializers):
    """The arguments that say how weights begin and what holds for them, in Keras' order.

    >>> list(of_weights(kernel="glorot_uniform"))
    ['kernel_initializer', 'kernel_regularizer', 'kernel_constraint']
    """
    table = {f"{name}_initializer": default for name, default in initializers.items()}
    table |= {f"{name}_regularizer": None for name in initializers}
    table |= {"activity_regularizer": None} if activity else {}
    return table | {f"{name}_constraint": None for name in initializers}


WHOLE, PER_AXIS, PADDING = checked(whole), checked(several), checked(_padding, "valid")
ANY_OR_WHOLE = checked(whole, None, 1, True)
AXES, EPSILON = checked(integers, -1), checked(number, 0.001)
CHANNELS_LAST, SEED = checked(_channels_last, None), checked(_stream, None)
_NEITHER = "knows neither LoRA nor quantization"
LORA, UNQUANTIZED = dict.fromkeys(("lora_rank", "lora_alpha"), refused(_NEITHER)), refused(_NEITHER, is_kept=True)


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
