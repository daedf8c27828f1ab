"""Recurrent layers: RNN over any cell, and SimpleRNN, LSTM and GRU, whose steps run in one launch."""

import functools
import operator

import numpy as np

from minigrad import ops
from minigrad.layers.base import Layer, deserialize, registry
from minigrad.layers.recurrent_cells import (
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    build_cell,
    first_states,
    one_step,
    output_size,
    require_cell,
    table,
    without_old_words,
)
from minigrad.names import snake_case
from minigrad.ops.recurrence import Walk
from minigrad.tensor import Variable, as_tensor, copied, view
from minigrad.trees import filled, leaves, mapped

_RETURNS = """
        return_sequences: whether the output has all steps, (n, steps, units), or only the last one, (n, units).
        return_state: whether the call returns [output, state, ...], the last states behind the output.
        go_backwards: whether the last step is computed first; all outputs are in the order in which they are computed.
        stateful: whether a batch begins with the last states of the batch before, row by row, until `reset_state()`.
            The number of rows must be known: Input(batch_shape=(rows, steps, features)).
        unroll: has no effect.
        zero_output_for_mask: whether the output of a masked step is 0, or that of the step before. In either case a
            masked step leaves the states as they are.
"""
_CALLS = """
    Call arguments:
        sequences: (n, steps, features). mask: bools (n, steps), by default those that the input brings along.
        initial_state: a list of states (n, units), by default zeros.
"""


class RNN(Layer):
    __doc__ = f"""A cell, applied to one step after the other of a sequence (n, steps, ...).

    A cell of your own is a layer with `state_size` (an int, or a list of them) and `call(inputs, states)`, which
    returns the output of the step and a list of new states. It may have `output_size` and `get_initial_state`.

    Args:
        cell: a cell, or a list of cells, of which each one's output is the next one's input.
{_RETURNS.strip(chr(10))}
{_CALLS.strip(chr(10))}

    Raises:
        ValueError: `cell` is no cell; the states or the mask do not fit; stateful, and the number of rows is not known.
    """

    kinds = {**Layer.kinds, "cell": registry}
    supports_masking, _makes_masks = True, False
    _in_order = False  # whether a layer that goes backwards returns its outputs in the order of the inputs

    def __init__(
        self, cell, return_sequences=False, return_state=False, go_backwards=False, stateful=False, unroll=False,
        zero_output_for_mask=False, **kwargs,
    ):  # fmt: skip
        rows = kwargs.get("batch_input_shape", kwargs.get("batch_shape"))
        if rows is not None:
            kwargs.pop("batch_shape", None)
            kwargs.pop("batch_input_shape", None)
            kwargs["input_shape"] = tuple(rows)[1:]
        if kwargs.pop("time_major", False):
            raise ValueError(f"{type(self).__name__}: time_major=True is gone: sequences are (n, steps, features).")
        super().__init__(**kwargs)
        cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        require_cell(self, cell)
        self._keep(locals(), but=["cell", "rows"])
        self.cell = cell
        self._rows = None if rows is None else rows[0]
        self._states = None  # of a stateful layer: variables, which are no weights

    # ---- states

    @property
    def state_size(self):
        """The length of each state, a list."""
        size = self.cell.state_size
        return list(size) if isinstance(size, (list, tuple)) else [size]

    @property
    def states(self):
        """The states of a stateful layer that is built, a list of variables; else None."""
        return self._states

    def get_initial_state(self, batch_size):
        """The states of `batch_size` rows before the first step: zeros, unless the cell says otherwise."""
        return first_states(self.cell, batch_size, self.dtype)

    def reset_state(self, states=None):
        """Set the states of a stateful layer to zeros, or to the given values."""
        if self._states is None:
            return
        variables = leaves(self._states)
        if states is None:
            states = [np.zeros(v.shape, v.dtype) for v in variables]
        states = leaves(list(states)) if isinstance(states, (list, tuple)) else [states]
        for variable, value in zip(variables, states, strict=True):
            variable.assign(value)

    reset_states = reset_state

    def build(self, sequences_shape, initial_state_shape=None):
        if len(sequences_shape) < 3:
            raise ValueError(
                f"{self._title} expected sequences of shape (n, steps, features); got shape {tuple(sequences_shape)}. "
                "In front of it, another recurrent layer needs return_sequences=True; series of numbers x[..., None]."
            )
        build_cell(self.cell, (sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self._states is None:
            rows = sequences_shape[0] or self._rows
            if rows is None:
                raise ValueError(
                    f"{self._title} is stateful, so it must know the number of rows of a batch: put "
                    "Input(batch_shape=(rows, steps, features)) in front of it."
                )
            first = self.get_initial_state(rows)
            self._states = mapped(lambda x: Variable(x.numpy(), dtype=self.dtype, trainable=False, name="state"), first)

    def _first_states(self, x, states):
        """The states before the first step, tensors of the layer's dtype."""
        rows = x.shape[0]
        if states is None and self.stateful:
            known = leaves(self._states)[0].shape[0]
            if rows != known:
                raise ValueError(
                    f"{self._title} is stateful and keeps the states of {known} rows; got a batch of {rows}. All "
                    f"batches must have {known} rows: choose batch_size so that it divides the number of rows."
                )
            return mapped(copied, self._states)
        if states is None:
            return self.get_initial_state(rows)
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        states = mapped(self._as_input, states)
        wanted = leaves(self.state_size)
        found = [tuple(one.shape) for one in leaves(states)]
        if found != [(rows, n) for n in wanted if isinstance(n, int)] and all(isinstance(n, int) for n in wanted):
            raise ValueError(
                f"{self._title} expected initial_state to have the shapes {[(rows, n) for n in wanted]}; got {found}."
            )
        return states

    # ---- the walk through the steps

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if sequences.ndim < 3 or sequences.shape[1] == 0:
            raise ValueError(
                f"{self._title} expected sequences (n, steps, features) of at least one step; got shape "
                f"{tuple(sequences.shape)}."
            )
        states = self._first_states(sequences, initial_state)
        mask = self._step_mask(sequences, mask)
        is_known = type(self.cell) in (SimpleRNNCell, LSTMCell, GRUCell)
        x = self.cell.added_by(sequences, training) if is_known else sequences
        if is_known and self.cell.walk_functions is not None:
            y, states = self._walk(x, states, mask, training)
        else:
            step = self.cell.next_states if is_known else functools.partial(one_step, self.cell)
            y, states = self._loop(step, x, states, mask, training)
        if hasattr(self.cell, "reset_dropout_masks"):
            self.cell.reset_dropout_masks()
        if self.stateful:
            for variable, state in zip(leaves(self._states), leaves(states), strict=True):
                variable.assign(state)
        return [y, *states] if self.return_state else y

    def _step_mask(self, x, mask):
        """The mask as a tensor of bools (n, steps), or None."""
        mask = leaves(mask)[0] if isinstance(mask, (list, tuple)) and mask else mask
        if mask is None:
            return None
        mask = ops.cast(ops.convert_to_tensor(mask), "bool")
        if mask.shape == (*x.shape[:2], 1):
            mask = view(mask, x.shape[:2])
        if mask.shape != x.shape[:2]:
            raise ValueError(
                f"{self._title} expected a mask of shape {tuple(x.shape[:2])} for inputs of shape {tuple(x.shape)}; "
                f"got {tuple(mask.shape)}."
            )
        return mask

    def _walk(self, a, states, mask, training):
        """(output, states) in one launch, of what the inputs add to the gates."""
        cell, (rows, steps, _) = self.cell, a.shape
        wants_states = self.return_state or self.stateful
        factors = cell.dropout_factors("recurrent_dropout", states[0], training)
        if factors is None and not getattr(cell, "reset_after", True):  # a product for each gate needs them
            factors = as_tensor(np.ones((cell.gates, rows, cell.units), a.dtype))
        how = Walk(
            steps, cell.walk_functions, self.go_backwards, self.return_sequences, wants_states,
            None if mask is None else mask._data, self.zero_output_for_mask, self._in_order,
            None if factors is None else factors._data.reshape(-1, cell.units),
        )  # fmt: skip
        y = cell.walk(a, states, how)
        if wants_states:
            u, width = cell.units, how.width(cell.units, 0)
            states = [y[:, width + k * u : width + (k + 1) * u] for k in range(cell.states)]
            y = y[:, :width]
        return view(y, (rows, steps, cell.units)) if self.return_sequences else y, states

    def _loop(self, step, x, states, mask, training):
        """(output, states) step by step, for any cell; `step` makes both of a part of x and of the states."""
        order = [1, 0, *range(2, x.ndim)]
        x, outputs, y = ops.transpose(x, order), [], None
        times = range(x.shape[0])
        for t in reversed(times) if self.go_backwards else times:
            new, after = step(x[t], states, training)
            if mask is not None:
                kept = ops.expand_dims(mask[:, t], -1)
                before = ops.zeros_like(new) if y is None or self.zero_output_for_mask else y
                new = ops.where(kept, new, before)
                pairs = zip(leaves(after), leaves(states), strict=True)
                after = filled(after, [ops.where(kept, a, b) for a, b in pairs])
            y, states = new, after
            if self.return_sequences:
                outputs.append(y)
        if self.go_backwards and self._in_order:
            outputs.reverse()
        return ops.stack(outputs, axis=1) if self.return_sequences else y, states

    # ---- shapes, masks, configs

    def compute_output_shape(self, sequences_shape):
        rows, size = sequences_shape[0], output_size(self.cell)
        shape = (rows, sequences_shape[1], size) if self.return_sequences else (rows, size)
        if not self.return_state:
            return shape
        return [shape, *mapped(lambda n: (rows, n), self.state_size)]

    def compute_mask(self, inputs, previous_mask=None):
        """The mask of the input if all steps are returned; the states have none."""
        mask = leaves(previous_mask)[0] if previous_mask is not None and self.return_sequences else None
        return [mask, *(None for _ in self.state_size)] if self.return_state else mask

    def get_build_config(self):
        """What `build_from_config` needs to make the variables."""
        return with_rows(self.states, super().get_build_config())

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(deserialize(config.pop("cell")), **config)


def with_rows(states, config):
    """A config for `build_from_config` with the number of rows, which Keras must know of a stateful layer."""
    shape = config and (config.get("input_shape") or config["shapes_dict"]["sequences_shape"])
    if states and shape:
        shape[0] = leaves(states)[0].shape[0]
    return config


_CELLS = f"""
    All steps run in one launch where the activations are among linear, relu, elu, selu, tanh, sigmoid, hard_sigmoid,
    softplus and softsign. With another activation they run one after the other.

    Args:
        units, activation, use_bias, dropout, ...: those of the cell, {{cell}}.
{_RETURNS.strip(chr(10))}
        use_cudnn: has no effect.
{_CALLS.strip(chr(10))}

    Raises:
        ValueError: as RNN and the cell.
"""


class _OverCell(RNN):
    """A layer over a cell of its own, whose arguments are the layer's, too."""

    def _set_up(self, given):
        """Make the cell and the layer of the arguments of `__init__`."""
        kwargs, names = given.pop("kwargs"), self._cell._argument_names
        own = {name: given.pop(name) for name in names if name in given}
        more = {name: kwargs[name] for name in ("dtype", "trainable") if name in kwargs}
        cell = self._cell(**own, **more, name=snake_case(self._cell.__name__))
        use_cudnn = given.pop("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"{type(self).__name__}: use_cudnn must be 'auto', True or False, got {use_cudnn!r}.")
        RNN.__init__(self, cell, **given, **kwargs)
        self.use_cudnn = use_cudnn

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in cls._cell._argument_names if "_cell" in vars(cls) else ():
            setattr(cls, name, property(operator.attrgetter(f"cell.{name}")))

    def get_config(self):
        """The arguments of `__init__`: those of the cell and those of the layer."""
        of_cell, config = self.cell.get_config(), super().get_config()
        config.pop("use_cudnn", None)  # Keras has it in no config
        names = [name for name in of_cell if name not in config and name in self._cell._argument_names]
        more = {"zero_output_for_mask": self.zero_output_for_mask}
        return {**config, **{name: of_cell[name] for name in names}, **more}

    @classmethod
    def from_config(cls, config):
        return cls(**without_old_words(config))


class SimpleRNN(_OverCell):
    __doc__ = f"""A recurrent layer: h_t = activation(x_t kernel + h_t-1 recurrent_kernel + bias) (Elman 1990).
{_CELLS.format(cell="SimpleRNNCell")}"""

    arguments = table(
        "units activation use_bias initializers regularizers activity_regularizer constraints dropout "
        "recurrent_dropout return_sequences return_state go_backwards stateful unroll seed"
    )
    _cell = SimpleRNNCell


class LSTM(_OverCell):
    __doc__ = f"""A recurrent layer whose cell keeps its gradient over many steps (Hochreiter and Schmidhuber 1997).

    c_t = f c_t-1 + i g and h_t = o activation(c_t). The columns of x_t kernel + h_t-1 recurrent_kernel + bias are those
    of i, f, g, o in this order: i, f, o = recurrent_activation, g = activation of theirs.
{_CELLS.format(cell="LSTMCell")}"""

    arguments = table(
        "units activation recurrent_activation use_bias initializers unit_forget_bias regularizers "
        "activity_regularizer constraints dropout recurrent_dropout seed return_sequences return_state go_backwards "
        "stateful unroll use_cudnn"
    )
    _cell = LSTMCell


class GRU(_OverCell):
    __doc__ = f"""A recurrent layer with two gates (Cho et al. 2014): h_t = z h_t-1 + (1 - z) g.

    With a = x_t kernel + bias[0] and q = h_t-1 recurrent_kernel + bias[1], whose columns are those of z, r, g:
    z, r = recurrent_activation(a + q), and g = activation(a_g + r q_g). With reset_after=False there is one bias, and
    the gate r acts before the product, on h_t-1.
{_CELLS.format(cell="GRUCell")}"""

    arguments = table(
        "units activation recurrent_activation use_bias initializers regularizers activity_regularizer constraints "
        "dropout recurrent_dropout seed return_sequences return_state go_backwards stateful unroll reset_after "
        "use_cudnn"
    )
    _cell = GRUCell
