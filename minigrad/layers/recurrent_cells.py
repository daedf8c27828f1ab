"""Cells: what a recurrent layer computes in one step. SimpleRNNCell, LSTMCell, GRUCell, StackedRNNCells."""

import numpy as np

from minigrad import activations, initializers, ops, random
from minigrad.checks import is_int
from minigrad.layers import arguments
from minigrad.layers.base import Layer, deserialize, registry, serialize
from minigrad.ops.recurrence import gru, lstm, simple_rnn
from minigrad.tensor import as_tensor

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


class Cell(Layer):
    """Base class of the cells: weights, first states, and the masks of dropout."""

    gates = 1  # how many blocks of `units` columns the kernels have
    states = 1
    _fast = None  # the operation that walks through all steps at once

    def _start(self):
        arguments.whole(self, "units")
        for rate in ("dropout", "recurrent_dropout"):
            arguments.number(self, rate, "[0, 1]")
        if self.seed is not None and not is_int(self.seed):
            raise ValueError(f"{type(self).__name__} {self.name!r}: seed must be an int or None, got {self.seed!r}.")
        self._state = random.new_state(self.seed)
        self.state_size = self.units if self.states == 1 else [self.units] * self.states
        self.output_size = self.units
        self.reset_dropout_masks()

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) needs to know the number of features, the last axis of "
                f"its input; got shape {tuple(input_shape)}."
            )
        columns = self.gates * self.units
        self.kernel = self._own_weight("kernel", (input_shape[-1], columns))
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, columns),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = self._own_weight("bias", **self._bias()) if self.use_bias else None
        self.built = True

    def _bias(self):
        """The shape of the bias, and other options of the weight."""
        return {"shape": (self.gates * self.units,)}

    def get_initial_state(self, batch_size=None):
        """Zeros, a list of tensors (batch_size, units)."""
        return [as_tensor(np.zeros((batch_size, self.units), self.dtype)) for _ in range(self.states)]

    def compute_output_shape(self, input_shape, states_shape=None):
        shape = (input_shape[0], self.units)
        return shape, [shape] * self.states

    def _product(self, x, states):
        """x and the state, each times its kernel, and the bias."""
        self._require(x)
        z = ops.matmul(x, self.kernel) + ops.matmul(states, self.recurrent_kernel)
        return z if self.bias is None else ops.bias_add(z, self.bias)

    def _require(self, x):
        if x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) expected axis -1 of the input to have value "
                f"{self.kernel.shape[0]}; got shape {tuple(x.shape)}."
            )

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

    def _mask(self, x, which, times):
        """`times` masks for x, drawn once per sequence; None where nothing is dropped."""
        rate = getattr(self, which)
        if which not in self._masks:
            ones = as_tensor(np.ones(x.shape, x.dtype))
            self._masks[which] = [random.dropout(ones, rate, seed=self) for _ in range(times)]
        return self._masks[which]

    def _dropped(self, x, which, training):
        """x for each gate: the same for all, except where states are dropped."""
        if not training or not 0 < getattr(self, which) < 1:
            return [x] * self.gates
        if self.recurrent_dropout == 0:
            return [x * self._mask(x, which, 1)[0]] * self.gates
        return [x * mask for mask in self._mask(x, which, self.gates)]

    def _summands(self, x, h, training):
        """What the inputs and the state add to each gate, two lists; without the bias."""
        self._require(x)
        found = []
        for name, value, kernel in (("dropout", x, self.kernel), ("recurrent_dropout", h, self.recurrent_kernel)):
            dropped = self._dropped(value, name, training)
            if all(one is dropped[0] for one in dropped):
                found.append(ops.split(ops.matmul(dropped[0], kernel), self.gates, axis=-1))
            else:
                parts = ops.split(kernel, self.gates, axis=-1)
                found.append([ops.matmul(*pair) for pair in zip(dropped, parts, strict=True)])
        return found

    # ---- all steps at once

    def is_fast(self, training):
        """Whether `walk` can compute what `call` would."""
        is_plain = self.activation in (activations.tanh, activations.relu)
        is_plain = is_plain and getattr(self, "recurrent_activation", activations.sigmoid) is activations.sigmoid
        return self._fast is not None and is_plain and not (training and self.recurrent_dropout)

    def walk(self, x, states, how, training):
        """The result (n, columns) of all steps of x (n, steps, features); `how` is a Walk."""
        self._require(x)
        if training and 0 < self.dropout < 1:
            x = random.dropout(x, self.dropout, (x.shape[0], 1, x.shape[2]), seed=self)
        bias = np.zeros(self._bias()["shape"], self.dtype) if self.bias is None else self.bias
        width = how.width(self.units, self.states)
        return type(self)._fast(x, self.kernel, self.recurrent_kernel, bias, *states, w=width, how=how)


@registry.register()
class SimpleRNNCell(Cell):
    __doc__ = f"""One step of a SimpleRNN: h = activation(x kernel + h_before recurrent_kernel + bias).
{_ARGUMENTS.format(gates="", more="", k="", bias="(units,)")}"""

    _fast = staticmethod(simple_rnn)

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._keep(locals())
        self._start()

    def call(self, sequence, states, training=False):
        """(h, [h]) for an input (n, features) and the state [h] of the step before."""
        (h,) = states if isinstance(states, (list, tuple)) else (states,)
        (a,), (q,) = self._summands(sequence, h, training)
        a = a if self.bias is None else ops.bias_add(a, self.bias)
        h = self.activation(a + q)
        return h, [h]


@registry.register()
class LSTMCell(Cell):
    __doc__ = f"""One step of an LSTM: c = f c_before + i g, h = o activation(c); see the layer LSTM.
{_ARGUMENTS.format(gates=", recurrent_activation", more='''
        unit_forget_bias: whether the bias of the forget gate starts at 1.''', k="4 ", bias="(4 units,)")}"""

    gates, states = 4, 2
    _fast = staticmethod(lstm)

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._keep(locals())
        self._start()

    def _bias(self):
        return {**super()._bias(), **({"initializer": self._first_bias} if self.unit_forget_bias else {})}

    def _first_bias(self, shape, dtype=None):
        one, start = initializers.get("ones"), self.bias_initializer
        return np.concatenate(
            [part(shape=(n * self.units,), dtype=dtype) for part, n in ((start, 1), (one, 1), (start, 2))]
        )

    def call(self, inputs, states, training=False):
        """(h, [h, c]) for an input (n, features) and the states [h, c] of the step before."""
        h, c = states
        x, q = self._summands(inputs, h, training)
        biases = [None] * 4 if self.bias is None else ops.split(self.bias, 4)
        i, f, g, o = (a + b if bias is None else ops.bias_add(a + b, bias) for a, b, bias in zip(x, q, biases))
        gate = self.recurrent_activation
        c = gate(f) * c + gate(i) * self.activation(g)
        h = gate(o) * self.activation(c)
        return h, [h, c]


@registry.register()
class GRUCell(Cell):
    __doc__ = f"""One step of a GRU: h = z h_before + (1 - z) g; see the layer GRU.
{_ARGUMENTS.format(gates=", recurrent_activation", more='''
        reset_after: whether the reset gate acts after the product with the recurrent kernel, or before it.''',
        k="3 ", bias="(2, 3 units), or (3 units,) if reset_after is False")}"""

    gates = 3
    _fast = staticmethod(gru)

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        reset_after=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._keep(locals())
        self._start()

    def _bias(self):
        return {"shape": (2, 3 * self.units) if self.reset_after else (3 * self.units,)}

    def is_fast(self, training):
        return bool(self.reset_after) and super().is_fast(training)

    def call(self, inputs, states, training=False):
        """(h, [h]) for an input (n, features) and the state [h] of the step before."""
        is_list = isinstance(states, (list, tuple))
        (h,) = states if is_list else (states,)
        x, q = self._summands(inputs, h, training)
        if self.bias is not None:
            biases = [self.bias[0], self.bias[1]] if self.reset_after else [self.bias]
            for parts, bias in zip((x, q), biases, strict=False):
                parts[:] = [ops.bias_add(a, b) for a, b in zip(parts, ops.split(bias, 3))]
        z, r = (self.recurrent_activation(x[k] + q[k]) for k in (0, 1))
        if self.reset_after:
            q = r * q[2]
        else:
            dropped = self._dropped(h, "recurrent_dropout", training)[2]
            q = ops.matmul(r * dropped, self.recurrent_kernel[:, 2 * self.units :])
        h = z * h + (1.0 - z) * self.activation(x[2] + q)
        return h, [h] if is_list else h


@registry.register()
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
        self.built = True

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
