"""Module: what owns variables and sub-layers. A Layer is a Module that is called."""

import functools
import inspect
import os
import threading

import numpy as np

from minigrad import constraints, initializers, random, regularizers
from minigrad.checks import is_int, is_own
from minigrad.configurable import Configurable
from minigrad.layers import filing
from minigrad.layers.arguments import plain_arguments
from minigrad.layers.context import entry
from minigrad.program import is_recording
from minigrad.spelling import argument_names
from minigrad.tensor import Structure, Variable
from minigrad.trees import held

# One thread at a time makes variables. A fork waits for it, or the child process would find the lock taken for ever.
building = threading.RLock()
os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=building.release)


# Attributes that are not searched for sub-layers and variables.
_OUR_OWN = {"_build_shapes", "_calls", "_found", "_given", "_graph", "_losses", "_snapshot", "_states", "_variables"}
_PLAIN = {type(None), bool, int, float, str, np.ndarray}  # nor those of these types


class _Found:
    """The layers and variables that were found below a layer, and the version of the structure at that time."""

    def __init__(self, version, layers, variables):
        self.version, self.layers, self.variables = version, layers, variables


@functools.cache
def _arguments(cls):
    """The names of a class' arguments, without properties: attributes that a Program may have frozen as constants."""
    found = {name for base in cls.__mro__ for name in argument_names(base.__init__)}
    return {name for name in found if not isinstance(getattr(cls, name, None), property)}


class Module(Configurable):
    """Base class of Layer: it owns variables, and sub-layers that own more. It finds both among its attributes."""

    _given = None  # in a user's class: the arguments that the object was made with, if JSON can hold them

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        parameters = list(inspect.signature(cls.__init__).parameters.values())
        cls.__signature__ = inspect.Signature(parameters[1:])  # or help() would show the signature of __new__

    def __new__(cls, *args, **kwargs):
        new = super().__new__(cls)
        if not is_own(cls):
            vars(new)["_given"] = plain_arguments(cls, args, kwargs)
        return new

    def __init__(self, trainable=True):
        self._trainable = bool(trainable)
        self._variables = []  # pairs: a variable, and whether it is trained unless the layer is frozen
        self._found = _Found(-1, [], [])
        self._revision = 0  # how often an argument of `__init__` was changed after the layer was built

    def __setattr__(self, name, value):
        own = self.__dict__
        is_new = own.get("_is_ready") and own.get(name) is not value
        if is_new and (name in _arguments(type(self)) or callable(value)) and not is_recording():
            own["_revision"] += 1
            Structure.changed()
        object.__setattr__(self, name, value)
        if isinstance(value, (Module, Variable, list, tuple, dict)):
            Structure.changed()

    @property
    def _owner(self):
        """What errors about its arguments call it, such as "Dense 'dense_1'"."""
        return f"{type(self).__name__} {self.name!r}"

    @property
    def _title(self):
        """What errors about its inputs call it, such as "Layer 'dense_1' (Dense)"."""
        return f"Layer {self.name!r} ({type(self).__name__})"

    def add_weight(
        self, *args, shape=None, initializer=None, dtype=None, trainable=True, autocast=True, regularizer=None,
        constraint=None, aggregation="none", overwrite_with_gradient=False, name=None,
    ):  # fmt: skip
        """A new variable of this layer. Shape, initializer and dtype can be given without their names, in this order.

        Args:
            shape: a tuple of ints; () by default. (A string in front of it is the name, as in Keras 2.)
            initializer: of the first values, such as "zeros"; by default "glorot_uniform", for integers "zeros".
            dtype: by default the layer's. Any integer dtype becomes int64.
            trainable: whether training changes it, unless the layer is frozen.
            regularizer, constraint: a penalty added to the loss, and a condition that holds after each update.
            autocast, aggregation, overwrite_with_gradient: have no effect here.
        """
        if args and isinstance(args[0], str) and name is None:
            name, *args = args
        if self._is_ready and "_is_building" not in vars(self):
            raise ValueError(
                f"{self._title} is built already: make its weights in __init__ or in build(input_shape). Made in call, "
                "they would be new ones in each call."
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

    def _own_weight(self, name, shape, what=None, **options):
        """A new variable with the layer's x_initializer, x_regularizer and x_constraint, or those in `options`.

        x is `what`, by default the name of the variable.
        """
        own = {kind: vars(self).get(f"{what or name}_{kind}") for kind in ("initializer", "regularizer", "constraint")}
        return self.add_weight(shape=shape, name=name, **{**own, **options})

    def _track(self, variable):
        self._variables.append((variable, variable.trainable))
        variable.trainable = variable.trainable and self._trainable

    def _leaves(self):
        """The values of the attributes, without numbers and strings; in place of lists and dicts what they hold."""
        attributes = list(self.__dict__.items())  # a copy: other threads may add attributes meanwhile
        return held({name: value for name, value in attributes if type(value) not in _PLAIN and name not in _OUR_OWN})

    def _children(self):
        """The layers among the attributes."""
        return list({id(value): value for value in self._leaves() if isinstance(value, Module)}.values())

    def _own(self):
        """This layer's own variables, each with whether it is trained unless the layer is frozen; those come first."""
        with building:
            known = {id(v) for v, _ in self._variables}
            for value in list(self._leaves()):
                if isinstance(value, Variable) and id(value) not in known:
                    known.add(id(value))
                    self._track(value)
        return sorted(self._variables, key=lambda pair: not pair[1])

    def _own_streams(self):
        """The states of this layer's own streams of random numbers: uint64 arrays (1, 2)."""
        owners = [self, *(value for value in self._leaves() if isinstance(value, random.SeedGenerator))]
        return [vars(owner)["_state"] for owner in owners if "_state" in vars(owner)]

    def _structure(self, above=()):
        """Two lists: this layer and all below it, and all their variables. They are found anew after any change.

        `above` are the layers from the first one down to this one's owner. A layer below may refer back to one of
        them, which is not searched again.
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
        """All variables in the order in which they were made, followed by those of the sub-layers."""
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
        """The variables that training does not change, such as moving statistics, and all of a frozen layer."""
        return [v for v in self.weights if not v.trainable]

    @property
    def non_trainable_variables(self):
        """The `variables` that training does not change."""
        return [v for v in self.variables if not v.trainable]

    @property
    def trainable(self):
        """Whether training changes this layer's variables. Setting it sets it for all layers below, too."""
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
        """Give all variables new values: arrays in the order and of the shapes of `get_weights()`."""
        self._assign_all(self.weights, list(weights))

    def _assign_all(self, variables, arrays):
        """Give the variables new values: all of them, or none if an array does not fit."""
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

    # ---- files

    def _file_variables(self):
        """This layer's own variables in the order of files: first those that are trained."""
        return [v for v, _ in self._own()]

    def save_own_variables(self, store):
        """Put the values of this layer's own variables into the dict `store`, under the names "0", "1", ..."""
        store.update({str(i): v.numpy() for i, v in enumerate(self._file_variables())})

    def load_own_variables(self, store):
        """Take the values back from a dict of arrays.

        Raises:
            ValueError: there are too few or too many, or one has another shape. Then no variable is changed.
        """
        names = [str(i) for i in range(len(store))]
        if any(name not in store for name in names):
            raise ValueError(f"Layer {self.name!r}: its variables are named '0', '1', ... here; got {sorted(store)}.")
        self._assign_all(self._file_variables(), [store[name] for name in names])
