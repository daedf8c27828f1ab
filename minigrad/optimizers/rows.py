"""Gradients of an optimizer's variables, side by side in one row: a step takes the row and need not copy each."""

from typing import NamedTuple

from minigrad import kernels as K
from minigrad.program import aligned, empty_like, launch
from minigrad.tensor import Tensor


class Row:
    """Memory for the gradients of `count` variables, (1, n).

    `home` is the optimizer's own row, whose parts the variables' `grad` are; the others are laid out like it.
    """

    def __init__(self, data, count, home=None):
        self.data, self.count, self.home = data, count, home or self

    def new(self):
        """Another row, which holds no gradient."""
        data = aligned(self.data.shape, self.data.dtype)
        data[...] = 0.0  # for the gaps between the variables; no launch, since nothing is ever written there
        return Row(data, self.count, self.home)

    def copy(self):
        """Another row with the same values."""
        data = empty_like(self.data)
        launch(K.copy, self.data, data)
        return Row(data, self.count, self.home)

    def gradients(self, variables):
        """{variable: its part of the row, a tensor}."""
        return {variable: Gradient(self, variable._place) for variable in variables}


class Place(NamedTuple):
    """The columns of a variable in the row of its optimizer, and what `take_rows` tells of its gradient."""

    home: Row
    first: int
    last: int
    shape: tuple
    told: tuple


class Gradient(Tensor):
    """The gradient of a variable, a part of a Row. Its array is made when it is asked for: mostly the row is."""

    __slots__ = ("_array", "place", "row")

    def __init__(self, row, place):
        self.row, self.place = row, place
        self._array = self._grad = self._logits = self._node = None
        self._parts = [None]
        self.requires_grad = False

    @property
    def _data(self):
        if self._array is None:
            _, first, last, shape, _ = self.place
            self._array = self.row.data[0, first:last].reshape(shape)
        return self._array

    def __reduce__(self):
        return Tensor, (self._data.copy(),)  # a copy needs no row


def common_row(gradients, variables):
    """The Row whose parts are these gradients (or None), each at the place of its variable; None if there is none."""
    row = next((gradient.row for gradient in gradients if type(gradient) is Gradient), None)
    for gradient, variable in zip(gradients, variables):
        if gradient is not None and (
            type(gradient) is not Gradient or gradient.row is not row or gradient.place is not variable._place
        ):
            return None
    return row
