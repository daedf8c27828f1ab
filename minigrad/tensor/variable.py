"""Variable: a tensor that lives on between steps."""

import operator
import weakref

import numpy as np

from minigrad import config
from minigrad.kernels import copying as K
from minigrad.names import auto_name
from minigrad.program import address, empty, is_recording, launch
from minigrad.tensor.tensor import Tensor, as_array, as_tensor, constant, flat, launch_copy


class Structure:
    """A counter of changes in any model: which variables there are, where their memory is, and which are trained.

    Whatever was found out about a model's structure is valid until `version` changes.
    """

    version = 0
    # Memory that variables have left: address -> the array, as long as it exists. A Program that reads it reads an old
    # value.
    left = weakref.WeakValueDictionary()

    @classmethod
    def changed(cls):
        """Count a change."""
        cls.version += 1


def _option(slot, description):
    """A property kept in `slot`. It is a constant for Programs, so setting it is a change of the structure."""

    def change(self, value):
        setattr(self, slot, value)
        Structure.changed()

    return property(operator.attrgetter(slot), change, doc=description)


class Variable(Tensor):
    """A tensor with a name that lives on between steps: a weight, a moving statistic, a counter.

    Args:
        initializer: the value, which is copied, or a function of (shape, dtype), or the name of an initializer.
        shape: needed if the initializer is a function or a name.
        trainable: whether it has a gradient and an optimizer may change it.
        autocast, aggregation, synchronization: no effect.
        name: its name within its layer, such as "kernel"; `path` is the full one, "dense/kernel".
    """

    __slots__ = ("_constraint", "_gradient", "_place", "_regularizer", "name", "path")
    constraint = _option("_constraint", "A function applied to the variable after each update, or None.")
    regularizer = _option("_regularizer", "A function of the variable whose value is added to the loss, or None.")
    named_initializer = None  # name -> initializer; `initializers`, a higher floor, sets this function

    def __init__(
        self, initializer, shape=None, dtype=None, trainable=True, autocast=True, aggregation="none",
        synchronization="auto", name=None,
    ):
        if isinstance(initializer, str):
            initializer = Variable.named_initializer(initializer)
        if callable(initializer):
            initializer = initializer(() if shape is None else tuple(shape), dtype=dtype or config.floatx())
        dtype = np.dtype(dtype or config.floatx())
        if dtype.kind in "iu" and dtype != np.uint64:  # a state of random numbers
            dtype = np.dtype(np.int64)
        data = np.array(as_array(initializer, dtype))
        super().__init__(data, requires_grad=trainable and data.dtype.kind == "f", dtype=data.dtype)
        self.name = self.path = name or auto_name("variable")
        self._regularizer = self._constraint = self._gradient = self._place = None
        Structure.changed()

    @classmethod
    def over(cls, data, name, path):
        """A Variable that no layer owns; its memory is the array `data` itself."""
        new = cls.__new__(cls)
        Tensor.__init__(new, data, dtype=data.dtype)
        new._regularizer = new._constraint = new._gradient = new._place = None
        new.name, new.path = name, path
        return new

    @property
    def trainable(self):
        """Whether `backward` computes a gradient for it and an optimizer changes it."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value):
        self.requires_grad = bool(value) and self.dtype.kind == "f"
        Structure.changed()

    @property
    def value(self):
        """The variable as a plain tensor, detached. It is no copy, so it shows later assignments."""
        return self.detach()

    def numpy(self):
        """A copy of the current values."""
        return super().numpy().copy()

    def assign(self, value):
        """Set the values to those of `value`, an array or tensor of the same shape; the memory stays the same."""
        source = value._data if isinstance(value, Tensor) else as_array(value, self.dtype)
        if source.shape != self.shape:
            raise ValueError(
                f"Variable {self.path!r} has shape {self.shape}; it can't be assigned values of shape {source.shape}."
            )
        if not is_recording():
            self._data[...] = source
        else:
            launch_copy(source, self._data)
        return self

    def fill(self, number):
        """Set all elements to `number`."""
        if is_recording():
            launch(K.fill, constant(self.dtype, number), flat(self._data))
        else:
            self._data.fill(number)

    def assign_add(self, value):
        """Add `value` to the variable in place."""
        return self.assign(self._summand() + value)

    def assign_sub(self, value):
        """Subtract `value` from the variable in place."""
        return self.assign(self._summand() - value)

    def _summand(self):
        """The values as a constant; integers in float64, which is exact up to 2^53."""
        if self.dtype.kind != "i":
            return self.detach()
        data = empty(self.shape, np.float64)
        launch_copy(self._data, data)
        return as_tensor(data)

    def move_to(self, data, gradient=None, place=None):
        """Move the variable (and its gradient) to other memory, such as a part of an optimizer's flat buffer.

        `place` says where among the optimizer's the gradient is: the tape asks `place.home` for rows of gradients.
        """
        data[...] = self._data
        Structure.left[address(self._data)] = self._data if self._data.base is None else self._data.base
        Structure.left.pop(address(data), None)
        self._data, self._gradient, self._place, self._grad = data, gradient, place, None
        Structure.changed()

    def __repr__(self):
        values = "" if is_recording() else f", value={np.array2string(self._data, separator=', ')}"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}{values}>"
