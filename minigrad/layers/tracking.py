"""Who owns which variables: a layer's own, those of the layers below it, and the random streams of all of them."""

import functools
import inspect
import os
import threading

import numpy as np

from minigrad import constraints, initializers, random, regularizers
from minigrad.checks import is_int
from minigrad.layers import filing
from minigrad.layers.context import entry
from minigrad.program import is_recording
from minigrad.tensor import Structure, Variable

# One thread at a time makes variables. Nobody does while another thread forks: the child would find the lock taken.
building = threading.RLock()
os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)


# Attributes that hold no layer below, or are known.
_OUR_OWN = {"_build_shapes", "_calls", "_found", "_given", "_graph", "_kept", "_losses", "_schedule", "_variables"}


class _Found:
    """The layers and variables below a layer, as of a version of the structure."""

    def __init__(self, version, layers, variables):
        self.version, self.layers, self.variables = version, layers, variables


@functools.cache
def _arguments(cls):
    """The names of all arguments of a class that are plain attributes: what a Program may have taken as constants."""
    found = {name for base in cls.__mro__ for name in inspect.signature(base.__init__).parameters}
    return {name for name in found if not isinstance(getattr(cls, name, None), property)}


class Owner:
    """What a layer knows of its variables. It finds sub-layers and variables among its attributes."""

    def __init__(self, trainable=True):
        self._trainable = bool(trainable)
        self._variables = []  # (variable, whether it is meant to be trained)
        self._found = _Found(-1, [], [])
        self._revision = 0  # how often an argument of `__init__` has been changed since the layer is built

    def __setattr__(self, name, value):
        own = self.__dict__
        is_new = own.get("_is_ready") and own.get(name) is not value
        if is_new and name in _arguments(type(self)) and not is_recording():
            own["_revision"] += 1
            Structure.changed()
        object.__setattr__(self, name, value)
        if isinstance(value, (Owner, Variable, list, tuple, dict)):
            Structure.changed()

    def add_weight(
        self,
        *args,
        shape=None,
        initializer=None,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        aggregation="none",
        overwrite_with_gradient=False,
        name=None,
    ):
        """A new variable of this layer. Shape, initializer and dtype may stand without their names, in this order.

        Args:
            shape: a tuple of ints; () by default. (A string in front of it is the name, as in Keras 2.)
            initializer: how it starts, such as "zeros"; by default "glorot_uniform", and "zeros" for integers.
            dtype: the layer's by default. Any integer dtype becomes int64, the one that is computed with.
            regularizer, constraint: a penalty added to the loss, and what holds after each update.
            autocast, aggregation, overwrite_with_gradient: of no effect here.
        """
        if args and isinstance(args[0], str) and name is None:
            name, *args = args
        if self._is_ready and "_is_building" not in vars(self):
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) is built already: make its weights in __init__ or in "
                "build(input_shape). In call, each call would make new ones."
            )
        given = [shape, initializer, dtype]
        if len(args) > 3 or any(value is not None for value in given[: len(args)]):
            raise TypeError(f"Layer {self.name!r}: add_weight takes shape, initializer and dtype once each.")
        shape, initializer, dtype = (*args, *given[len(args) :])
        shape = () if shape is None else (shape,) if is_int(shape) else tuple(shape)
        if not all(is_int(n, 0) for n in shape):
            raise ValueError(f"Layer {self.name!r}: the shape of a weight must consist of integers, got {shape}.")
        dtype = np.dtype(dtype or self.dtype)
        dtype = np.dtype("int64") if dtype.kind in "iu" else dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtype.kind == "f" else "zeros"
        start = initializers.get(initializer)
        variable = Variable(filing.start(self, name, shape, start), shape, dtype.name, trainable, name=name)
        variable.path = f"{self.name}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._track(variable)
        return variable

    add_variable = add_weight

    def _own_weight(self, name, shape, trainable=True):
        """A new variable as the arguments ..._initializer, ..._regularizer and ..._constraint of that name say."""
        options = {kind: vars(self).get(f"{name}_{kind}") for kind in ("initializer", "regularizer", "constraint")}
        return self.add_weight(shape=shape, trainable=trainable, name=name, **options)

    def _track(self, variable):
        self._variables.append((variable, variable.trainable))
        variable.trainable = variable.trainable and self._trainable

    def _leaves(self):
        """All values among the attributes, those in lists and dicts one by one."""
        attributes = list(self.__dict__.items())  # at once: other threads may add some meanwhile
        stack = [value for name, value in reversed(attributes) if name not in _OUR_OWN]
        opened = {}  # by their ids: a list may hold itself
        while stack:
            value = stack.pop()
            if not isinstance(value, (list, tuple, dict)):
                yield value
            elif id(value) not in opened:
                opened[id(value)] = value
                stack.extend(reversed(value.values() if isinstance(value, dict) else value))

    def _children(self):
        """The layers among the attributes."""
        return list({id(value): value for value in self._leaves() if isinstance(value, Owner)}.values())

    def _own(self):
        """The variables of this layer itself with whether they are meant to be trained; first those that are."""
        with building:
            known = {id(v) for v, _ in self._variables}
            for value in list(self._leaves()):
                if isinstance(value, Variable) and id(value) not in known:
                    known.add(id(value))
                    self._track(value)
        return sorted(self._variables, key=lambda pair: not pair[1])

    def _own_streams(self):
        """The states of the random numbers that this layer itself draws: uint64 arrays (1, 2)."""
        owners = [self, *(value for value in self._leaves() if isinstance(value, random.SeedGenerator))]
        return [vars(owner)["_state"] for owner in owners if "_state" in vars(owner)]

    def _structure(self, above=()):
        """(this layer and all below it, all their variables), found out anew when anything has changed.

        `above` are the layers that ask: one that a layer below refers to back does not stand below it.
        """
        found = self._found
        if above or found.version != Structure.version:
            version = Structure.version
            layers, variables = [self], {id(v): v for v, _ in self._own()}
            for child in self._children():
                if child is self or child in above:
                    continue
                below, theirs = child._structure((*above, self))
                layers += below
                variables |= {id(v): v for v in theirs}
            found = _Found(version, layers, list(variables.values()))
            if not above:
                self._found = found
        return found.layers, found.variables

    def _all_layers(self):
        """This layer and all below it."""
        return self._structure()[0]

    @property
    def weights(self):
        """All variables, in the order in which they were made, those of sub-layers after."""
        return list(self._structure()[1])

    @property
    def variables(self):
        """All weights, and the states of the random streams, [seed, counter], of layers and seed generators."""
        streams = {id(state): state for layer in self._all_layers() for state in layer._own_streams()}
        name = "seed_generator_state"
        return self.weights + [Variable.over(state[0], name, f"{self.name}/{name}") for state in streams.values()]

    @property
    def trainable_weights(self):
        """The variables that training changes."""
        return [v for v in self._structure()[1] if v.requires_grad]

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self):
        """The variables that training leaves alone, such as moving statistics, and all of a frozen layer."""
        return [v for v in self.weights if not v.trainable]

    @property
    def non_trainable_variables(self):
        """The `variables` that training leaves alone."""
        return [v for v in self.variables if not v.trainable]

    @property
    def trainable(self):
        """Whether training changes this layer's variables; setting it sets it for all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        self._trainable = bool(value)
        for variable, wanted in self._own():
            variable.trainable = wanted and self._trainable
        for child in self._children():
            child.trainable = value
        Structure.changed()

    @entry
    def get_weights(self):
        """The values of all variables, copied into NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights):
        """Give all variables new values: arrays of the shapes and in the order of `get_weights()`."""
        self._assign_all(self.weights, list(weights))

    def _assign_all(self, variables, arrays):
        """Give the variables new values, once it is known that all fit."""
        if len(variables) != len(arrays):
            raise ValueError(f"Layer {self.name!r} has {len(variables)} weights; got {len(arrays)} arrays.")
        arrays = [np.asarray(a) for a in arrays]
        for variable, array in zip(variables, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Layer {self.name!r}: weight {variable.path!r} has shape {variable.shape}; got {array.shape}."
                )
            if array.dtype.kind not in "fiub":
                raise ValueError(f"Layer {self.name!r}: weight {variable.path!r} got an array of {array.dtype}.")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def count_params(self):
        """The number of elements of all variables."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} is not built yet: it has no weights to count.")
        return sum(v.size for v in self.weights)
