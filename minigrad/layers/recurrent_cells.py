"""Cells: what a recurrent layer computes in one step. SimpleRNNCell, LSTMCell, GRUCell, StackedRNNCells."""

import numpy as np

from minigrad import activations, initializers, ops, random
from minigrad.kernels.recurrence import FUNCTIONS
from minigrad.layers.arguments import KINDS, SEED, WHOLE, checked, number
from minigrad.layers.base import Layer, deserialize, serialize
from minigrad.ops.recurrence import gru, gru_before, lstm, simple_rnn
from minigrad.tensor import as_tensor, view

_ARGUMENTS = """
    Args:
        units: the number of outputs and of the elements of a state, a positive int.
        activation{gates}: strings, functions, or None for linear.
        use_bias: False leaves the bias out.{more}
        kernel_, recurrent_ and bias_initializer, _regularizer and _constraint: strings or objects for the kernel
            (features, {k}units), the recurrent kernel (units, {k}units) and the bias {bias}.
        dropout, recurrent_dropout: the shares of the inputs and of the states that are dropped in training, the same
            ones in all steps of a sequence.
        seed: an int from which the stream of random numbers for them starts; None takes an unused one.

    Raises:
        ValueError: `units` is no positive int, a rate is not in [0, 1].
"""


_DEFAULTS = {  # of those arguments of cells and layers whose default is not None, or that are checked
    "units": WHOLE,
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "unit_forget_bias": True,
    "dropout": checked(number, 0.0, "[0, 1]"),
    "recurrent_dropout": checked(number, 0.0, "[0, 1]"),
    "seed": SEED,
    "reset_after": True,
    **dict.fromkeys(("return_sequences", "return_state", "go_backwards", "stateful", "unroll"), False),
    "use_cudnn": "auto",
}


_NAMES = {getattr(activations, name): name for name in FUNCTIONS}  # of the activations that a walk knows
_MOST_UNITS = 4096  # for as many, a walk has memory


def table(names):
    """The table of arguments with these names, in this order.

    "initializers" stands for kernel_initializer, recurrent_initializer and bias_initializer; other plurals likewise.
    """
    words = {f"{word}s": [f"{of}_{word}" for of in ("kernel", "recurrent", "bias")] for word in KINDS}
    return {name: _DEFAULTS.get(name) for word in names.split() for name in words.get(word, [word])}


class Cell(Layer, is_member=False):
    """Base class of the cells: weights, first states, and the masks of dropout."""

    gates = 1  # how many blocks of `units` columns the kernels have
    states = 1
    _fast = None  # the operation that walks through all steps at once, see `walk`

    def _settle(self):
        self.state_size = self.units if self.states == 1 else [self.units] * self.states
        self.output_size = self.units
        self.reset_dropout_masks()

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                f"{self._title} needs to know the number of features, the last axis of its input; got shape "
                f"{tuple(input_shape)}."
            )
        columns = self.gates * self.units
        self.kernel = self._own_weight("kernel", (input_shape[-1], columns))
        self.recurrent_kernel = self._own_weight("recurrent_kernel", (self.units, columns), "recurrent")
        self.bias = self._own_weight("bias", **self._bias()) if self.use_bias else None

    def _bias(self):
        """The shape of the bias, and other options of the weight."""
        return {"shape": (self.gates * self.units,)}

    def get_initial_state(self, batch_size=None):
        """Zeros, a list of tensors (batch_size, units)."""
        return [as_tensor(np.zeros((batch_size, self.units), self.dtype)) for _ in range(self.states)]

    def compute_output_shape(self, input_shape, states_shape=None):
        shape = (input_shape[0], self.units)
        return shape, [shape] * self.states

    def get_config(self):
        """The arguments of `__init__`. Keras 2 did not know the seed of some of these layers: None is left out."""
        return {n: value for n, value in super().get_config().items() if n != "seed" or value is not None}

    @classmethod
    def from_config(cls, config):
        return cls(**without_old_words(config))

    # ---- dropout

    def reset_dropout_masks(self):
        """Draw new masks for the next sequence."""
        vars(self)["_masks"] = {}  # no attribute that is set: that would count as a change of the layer

    def dropout_factors(self, which, x, training):
        """What x (n, columns) is multiplied with for each gate, (gates, n, columns), drawn once per sequence, or None.

        Where only inputs are dropped, one row of factors serves all gates.
        """
        if not training or not 0 < getattr(self, which) < 1:
            return None
        if which not in self._masks:
            ones = np.ones((self.gates if self.recurrent_dropout else 1, x.shape[0], x.shape[-1]), x.dtype)
            self._masks[which] = random.dropout(as_tensor(ones), getattr(self, which), seed=self)
        return self._masks[which]

    # ---- what the inputs add to the gates, and a step

    def added_by(self, x, training):
        """What the inputs (n, features), or (n, steps, features) of all steps, add to the gates, without the bias."""
        if x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(
                f"{self._title} expected axis -1 of the input to have value {self.kernel.shape[0]}; got shape "
                f"{tuple(x.shape)}."
            )
        return _products(x, self.dropout_factors("dropout", x, training), self.kernel)

    def call(self, inputs, states, training=False):
        """(h, new states) for an input (n, features) and the states of the step before."""
        return self.next_states(self.added_by(inputs, training), states, training)

    def _gates(self, a, h, training):
        """What the gates are functions of: the sum of a, of what the state adds, and of the bias."""
        z = a + _products(h, self.dropout_factors("recurrent_dropout", h, training), self.recurrent_kernel)
        return z if self.bias is None else ops.bias_add(z, self.bias)

    # ---- all steps at once

    @property
    def walk_functions(self):
        """The names of both activations for `walk`; None if it does not know one, or if there are too many units."""
        gate = getattr(self, "recurrent_activation", activations.sigmoid)
        found = _NAMES.get(self.activation), _NAMES.get(gate)
        return None if None in found or self.units > _MOST_UNITS else found

    def walk(self, a, states, how):
        """The result (n, columns) of all steps, to which the inputs add a (n, steps, gates); `how` is a Walk."""
        bias = np.zeros(self._bias()["shape"], self.dtype) if self.bias is None else self.bias
        return self._fast(a, self.recurrent_kernel, bias, *states, w=how.width(self.units, self.states), how=how)


def _products(x, factors, kernel):
    """x kernel; with factors (gates, n, columns), the columns of each gate are those of x times the gate's factors."""
    if factors is None:
        return ops.matmul(x, kernel)
    gates, shape = len(factors), (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    if gates == 1:
        return ops.matmul(x * view(factors, shape), kernel)
    parts = zip(ops.split(factors, gates), ops.split(kernel, gates, axis=-1), strict=True)
    return ops.concatenate([ops.matmul(x * view(factor, shape), columns) for factor, columns in parts], axis=-1)


class SimpleRNNCell(Cell):
    __doc__ = f"""One step of a SimpleRNN: h = activation(x kernel + h_before recurrent_kernel + bias).
{_ARGUMENTS.format(gates="", more="", k="", bias="(units,)")}"""

    arguments = table("units activation use_bias initializers regularizers constraints dropout recurrent_dropout seed")
    _fast = staticmethod(simple_rnn)

    def next_states(self, a, states, training=False):
        """(h, [h]) of what the input adds and of the state [h] of the step before."""
        (h,) = states if isinstance(states, (list, tuple)) else (states,)
        h = self.activation(self._gates(a, h, training))
        return h, [h]


class LSTMCell(Cell):
    __doc__ = f"""One step of an LSTM: c = f c_before + i g, h = o activation(c); see the layer LSTM.
{_ARGUMENTS.format(gates=", recurrent_activation", more='''
        unit_forget_bias: whether the bias of the forget gate starts at 1.''', k="4 ", bias="(4 units,)")}"""

    arguments = table(
        "units activation recurrent_activation use_bias initializers unit_forget_bias regularizers constraints "
        "dropout recurrent_dropout seed"
    )
    gates, states = 4, 2
    _fast = staticmethod(lstm)

    def _bias(self):
        return {**super()._bias(), **({"initializer": self._first_bias} if self.unit_forget_bias else {})}

    def _first_bias(self, shape, dtype=None):
        one, start = initializers.get("ones"), self.bias_initializer
        return np.concatenate(
            [part(shape=(n * self.units,), dtype=dtype) for part, n in ((start, 1), (one, 1), (start, 2))]
        )

    def next_states(self, a, states, training=False):
        """(h, [h, c]) of what the input adds and of the states [h, c] of the step before."""
        h, c = states
        i, f, g, o = ops.split(self._gates(a, h, training), 4, axis=-1)
        gate = self.recurrent_activation
        c = gate(f) * c + gate(i) * self.activation(g)
        h = gate(o) * self.activation(c)
        return h, [h, c]


class GRUCell(Cell):
    __doc__ = f"""One step of a GRU: h = z h_before + (1 - z) g; see the layer GRU.
{_ARGUMENTS.format(gates=", recurrent_activation", more='''
        reset_after: whether the reset gate acts after the product with the recurrent kernel, or before it.''',
        k="3 ", bias="(2, 3 units), or (3 units,) if reset_after is False")}"""

    arguments = table(
        "units activation recurrent_activation use_bias initializers regularizers constraints dropout "
        "recurrent_dropout reset_after seed"
    )
    gates = 3

    @property
    def _fast(self):
        return gru if self.reset_after else gru_before

    def _bias(self):
        return {"shape": (2, 3 * self.units) if self.reset_after else (3 * self.units,)}

    def next_states(self, a, states, training=False):
        """(h, [h]) of what the input adds and of the state [h] of the step before."""
        is_list = isinstance(states, (list, tuple))
        (h,) = states if is_list else (states,)
        factors, v, two = self.dropout_factors("recurrent_dropout", h, training), self.recurrent_kernel, 2 * self.units
        biases = [] if self.bias is None else [self.bias[0], self.bias[1]] if self.reset_after else [self.bias]
        a = ops.bias_add(a, biases[0]) if biases else a
        if self.reset_after:
            q = _products(h, factors, v)
            q = ops.bias_add(q, biases[1]) if biases else q
        else:
            q = _products(h, None if factors is None else factors[:2], v[:, :two])
        z, r = ops.split(self.recurrent_activation(a[:, :two] + q[:, :two]), 2, axis=-1)
        if self.reset_after:
            q = r * q[:, two:]
        else:
            q = _products(r * h, None if factors is None else factors[2:], v[:, two:])
        h = z * h + (1.0 - z) * self.activation(a[:, two:] + q)
        return h, [h] if is_list else h


class StackedRNNCells(Layer):
    """Several cells as one: each one's output is the input of the next one, and each keeps its own states.

    Args:
        cells: a list of cells.

    Raises:
        ValueError: one has no `call` or no `state_size`.
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        for cell in cells:
            require_cell(self, cell)
        self.cells = list(cells)

    @property
    def state_size(self):
        """A list of the cells' `state_size`."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self):
        """That of the last cell."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size=None):
        """A list of the first states of each cell."""
        return [first_states(cell, batch_size, self.dtype) for cell in self.cells]

    def build(self, input_shape):
        for cell in self.cells:
            build_cell(cell, input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def call(self, inputs, states, training=False):
        """(output, new states) for an input (n, features) and a list of the states of each cell."""
        found = []
        for cell, own in zip(self.cells, states, strict=True):
            inputs, own = one_step(cell, inputs, own, training)
            found.append(own)
        return inputs, found

    def reset_dropout_masks(self):
        """Draw new masks for the next sequence."""
        for cell in self.cells:
            if hasattr(cell, "reset_dropout_masks"):
                cell.reset_dropout_masks()

    def get_config(self):
        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls([deserialize(cell) for cell in config.pop("cells")], **config)


# ------------------------------------------------------------------------------------- any cell, a user's, too


def without_old_words(config):
    """A config without words of Keras 2 that have no effect here."""
    gone = {"implementation"} | (set() if config.get("time_major") else {"time_major"})
    return {name: value for name, value in config.items() if name not in gone}


def _has(cell, name):
    """Whether a cell has an attribute. (hasattr would look for an old name of it.)"""
    return hasattr(type(cell), name) or name in getattr(cell, "__dict__", ())


def require_cell(layer, cell):
    """Raise a ValueError unless an object can be the cell of a layer."""
    for name, what in (("call", "a method"), ("state_size", "an attribute")):
        if not _has(cell, name):
            raise ValueError(
                f"{type(layer).__name__} {layer.name!r}: a cell has {what} {name!r}, as LSTMCell has; got {cell!r}."
            )


def output_size(cell):
    """The length of a cell's output."""
    if _has(cell, "output_size") and cell.output_size is not None:
        return cell.output_size
    size = cell.state_size
    return size[0] if isinstance(size, (list, tuple)) else size


def build_cell(cell, shape):
    """Build a cell for inputs (n, features) of one step, if it is a layer."""
    if isinstance(cell, Layer):
        cell._ensure_built(tuple(shape))


def first_states(cell, rows, dtype):
    """The first states of a cell, a list."""
    if hasattr(type(cell), "get_initial_state"):
        states = cell.get_initial_state(batch_size=rows)
        return list(states) if isinstance(states, (list, tuple)) else [states]
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    return [as_tensor(np.zeros((rows, size), dtype)) for size in sizes]


def one_step(cell, x, states, training):
    """(output, list of new states) of a cell."""
    is_layer = isinstance(cell, Layer)
    more = {"training": training} if is_layer and cell._takes("training") else {}
    y, states = (cell if is_layer else cell.call)(x, states, **more)
    return y, list(states) if isinstance(states, (list, tuple)) else [states]
