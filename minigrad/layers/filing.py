"""What a layer is in a file: how it is built from one, and the order of its variables there."""

import contextlib
import math
import threading

import numpy as np


class _Allowance(threading.local):
    elements = None  # how many the weights made from now on may have; None: any number


_allowance = _Allowance()


@contextlib.contextmanager
def weights_of_a_file(elements):
    """Inside, variables start as zeros (a file holds their values), and all may have no more elements than it can hold.

    So a file of 12 kB that describes a layer of 10^12 units is refused before memory is taken.
    """
    before, _allowance.elements = _allowance.elements, elements
    try:
        yield
    finally:
        _allowance.elements = before


def start(layer, name, shape, initializer):
    """`initializer`, or zeros for a layer of a file.

    Raises:
        ValueError: the file is too short to hold such a variable.
    """
    if _allowance.elements is None:
        return initializer
    _allowance.elements -= math.prod(shape)
    if _allowance.elements < 0:
        raise ValueError(
            f"Layer {layer.name!r}: the weight {name!r} of shape {shape} is larger than all that the file holds."
        )
    return np.zeros


def each_shape(function, shape):
    """`function` of a shape, a tuple; of each of them, where there is a list or a dict of shapes."""
    if isinstance(shape, dict):
        return {key: each_shape(function, one) for key, one in shape.items()}
    if shape and all(isinstance(one, (list, tuple, dict)) for one in shape):
        return [each_shape(function, one) for one in shape]
    return function(tuple(shape))


def merged(shape, other):
    """Two shapes as one: None where their lengths differ."""
    return tuple(a if a == b else None for a, b in zip(shape, other, strict=True))


class Filed:
    """The part of a Layer that files see."""

    _has_list_of_layers = False  # whether files number its `layers`, instead of going by its attributes

    def get_build_config(self):
        """What `build_from_config` needs to make the variables: the shape of the input. None before they are made."""
        shapes = vars(self).get("_build_shapes", {})
        if self.built and shapes:
            return {"shapes_dict": {name: each_shape(list, shape) for name, shape in shapes.items()}}
        shape = self._input_shape
        return None if not self.built or shape is None else {"input_shape": each_shape(list, shape)}

    def build_from_config(self, config):
        """Make the variables, if they are not there yet."""
        shapes, shape = ((config or {}).get(name) for name in ("shapes_dict", "input_shape"))
        if shapes and not self.built:
            self.build(**{name: each_shape(tuple, one) for name, one in shapes.items()})
        if shape:
            self._ensure_built(shape)
            if not all(layer.built for layer in self._all_layers()):  # `build` makes layers that `call` builds
                self.compute_output_shape(shape)

    def _file_variables(self):
        """The variables of this layer itself in the order of files: those meant to be trained first."""
        return [v for v, _ in self._own()]

    def save_own_variables(self, store):
        """Put the values of the layer's own variables into the dict `store`, under the names "0", "1", ..."""
        store.update({str(i): v.numpy() for i, v in enumerate(self._file_variables())})

    def load_own_variables(self, store):
        """Take the values back from a dict of arrays.

        Raises:
            ValueError: too few or too many of them, or one of another shape; then none is taken.
        """
        names = [str(i) for i in range(len(store))]
        if any(name not in store for name in names):
            raise ValueError(f"Layer {self.name!r}: its variables are named '0', '1', ... here; got {sorted(store)}.")
        self._assign_all(self._file_variables(), [store[name] for name in names])
