"""Bidirectional and TimeDistributed: layers around a layer of sequences or of steps."""

import contextlib

from minigrad import ops
from minigrad.layers.base import Layer, deserialize, serialize
from minigrad.layers.recurrent import RNN, with_rows
from minigrad.layers.wrapper import Wrapper
from minigrad.tensor import view
from minigrad.trees import leaves

_MERGES = {
    "concat": lambda a, b: ops.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "ave": lambda a, b: (a + b) / 2.0,
    "mul": lambda a, b: a * b,
    None: lambda a, b: [a, b],
}


class Bidirectional(Layer):
    """A recurrent layer forwards and its copy backwards over the same sequence (Schuster and Paliwal 1997).

    Args:
        layer: a recurrent layer, of which two are made, `forward_layer` and `backward_layer`.
        merge_mode: how the outputs of both become one: "concat", "sum", "ave", "mul"; None returns both. The outputs
            of the backward layer are put in the order of the sequence before.
        weights: the first weights of both, a list, once they are built.
        backward_layer: another layer for the way back, which must have another `go_backwards`.

    Call arguments:
        sequences, mask: as those of the layer.
        initial_state: the states of the forward layer, then those of the backward layer.

    Raises:
        ValueError: an unknown merge_mode; layers that go the same way, or that return different things.
    """

    supports_masking, _makes_masks = True, False

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        super().__init__(**kwargs)
        owner = self._owner
        for one in (layer, *(() if backward_layer is None else (backward_layer,))):
            if not isinstance(one, Layer) or not hasattr(one, "go_backwards"):
                raise ValueError(f"{owner}: expected a recurrent layer such as LSTM(32), got {one!r}.")
        if merge_mode not in _MERGES:
            raise ValueError(f"{owner}: merge_mode must be one of {', '.join(map(repr, _MERGES))}; got {merge_mode!r}.")
        self.merge_mode = merge_mode
        self.forward_layer = _copy(layer, "forward_", {})
        self.backward_layer = backward_layer or _copy(layer, "backward_", {"go_backwards": True})
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise ValueError(f"{owner}: one of its layers must have go_backwards=True, and the other one False.")
        for name in ("stateful", "return_sequences", "return_state"):
            ours, theirs = getattr(self.forward_layer, name), getattr(self.backward_layer, name)
            if ours != theirs:
                raise ValueError(f"{owner}: {name} must be the same for both layers; got {ours} and {theirs}.")
            setattr(self, name, ours)
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = self.return_sequences
        if self._input_shape_argument is None:
            self._input_shape_argument = layer._input_shape_argument
        self._first_weights = list(weights) if weights else None

    def build(self, sequences_shape, initial_state_shape=None):
        for one in (self.forward_layer, self.backward_layer):
            one._ensure_built(tuple(sequences_shape))
        if self._first_weights is not None:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])

    def call(self, sequences, initial_state=None, mask=None, training=False):
        found = []
        for k, one in enumerate((self.forward_layer, self.backward_layer)):
            half = None if initial_state is None else len(initial_state) // 2
            states = None if half is None else list(initial_state)[k * half : (k + 1) * half]
            more = {"training": training} if one._takes("training") else {}
            with _in_order(one, k == 1) as is_done:
                result = one(sequences, initial_state=states, mask=mask, **more)
            y, *states = result if self.return_state else [result]
            if k == 1 and self.return_sequences and not is_done:
                y = ops.flip(y, 1)
            found.append((y, states))
        (y, states), (back, others) = found
        y = _MERGES[self.merge_mode](y, back)
        if not self.return_state:
            return y
        return [*(y if self.merge_mode is None else [y]), *states, *others]

    def compute_output_shape(self, sequences_shape):
        shapes = [one.compute_output_shape(sequences_shape) for one in (self.forward_layer, self.backward_layer)]
        (shape, *states), (back, *others) = shapes if self.return_state else [[one] for one in shapes]
        merged = (*shape[:-1], shape[-1] + back[-1]) if self.merge_mode == "concat" else shape
        found = [shape, back] if self.merge_mode is None else [merged]
        return [*found, *states, *others] if self.return_state or self.merge_mode is None else merged

    def compute_mask(self, inputs, previous_mask=None):
        """The mask of the input if all steps are returned; the states have none."""
        mask = leaves(previous_mask)[0] if previous_mask is not None and self.return_sequences else None
        if self.merge_mode is not None and not self.return_state:
            return mask
        states = 2 * len(self.forward_layer.state_size) if self.return_state else 0
        return [mask] * (2 if self.merge_mode is None else 1) + [None] * states

    @property
    def states(self):
        """The states of both layers if they are stateful and built, else None."""
        ours, theirs = self.forward_layer.states, self.backward_layer.states
        return None if ours is None or theirs is None else [*ours, *theirs]

    def reset_state(self):
        """Set the states of stateful layers to zeros."""
        if not self.stateful:
            raise AttributeError(f"{self._title} is not stateful: it has no states to reset.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_build_config(self):
        """What `build_from_config` needs to make the variables."""
        return with_rows(self.states, super().get_build_config())

    def get_config(self):
        config = {"merge_mode": self.merge_mode, "layer": serialize(self.forward_layer)}
        return {**super().get_config(), **config, "backward_layer": serialize(self.backward_layer)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if config.get("backward_layer") is not None:
            config["backward_layer"] = deserialize(config["backward_layer"])
        return cls(deserialize(config.pop("layer")), **config)


@contextlib.contextmanager
def _in_order(layer, is_wanted):
    """Context manager: if wanted, a layer that goes backwards returns its outputs in the order of the inputs.

    Its value is whether the layer does so: then nothing has to be turned round.
    """
    is_able = is_wanted and isinstance(layer, RNN) and layer.go_backwards
    try:
        vars(layer)["_in_order"] = is_able
        yield is_able
    finally:
        vars(layer)["_in_order"] = False


def _copy(layer, prefix, changes):
    """A layer like another one, with new weights."""
    name = f"{prefix}{layer.name.removeprefix(prefix)}"
    return type(layer).from_config({**layer.get_config(), "name": name, **changes})


class TimeDistributed(Wrapper):
    """A layer that is applied to each step of a sequence: (n, steps, ...) -> (n, steps, ...).

    It sees all steps of all samples at once, as rows. Only a layer with statistics of its batches (BatchNormalization)
    sees one step after the other, as in Keras.

    Args:
        layer: the layer, for inputs (n, ...) of one step.

    Raises:
        ValueError: an input of less than three axes; or a mask that does not fit.
    """

    supports_masking = True

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        if self._input_shape_argument is None and layer._input_shape_argument is not None:
            self._input_shape_argument = (None, *layer._input_shape_argument)

    def _step(self, shape):
        if len(shape) < 3:
            raise ValueError(
                f"{self._title} expected sequences (n, steps, ...), with at least 3 axes; got shape {tuple(shape)}."
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape):
        self.layer._ensure_built(self._step(input_shape))

    def compute_output_shape(self, input_shape):
        shape = self.layer.compute_output_shape(self._step(input_shape))
        return (shape[0], input_shape[1], *shape[1:])

    def call(self, inputs, training=False, mask=None):
        self._step(inputs.shape)
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ValueError(
                f"{self._title} expected a mask that begins with the shape {tuple(inputs.shape[:2])}; got "
                f"{tuple(mask.shape)}."
            )
        rows, steps = inputs.shape[:2]
        is_stepwise = bool(self.layer.non_trainable_weights) and self.layer.trainable
        mask = mask if mask is not None and mask.ndim > 2 - is_stepwise and self.layer._takes("mask") else None
        more = {"training": training} if self.layer._takes("training") else {}
        if is_stepwise:
            times = ({"mask": mask[:, t]} if mask is not None else {} for t in range(steps))
            return ops.stack([self.layer(inputs[:, t], **more, **m) for t, m in enumerate(times)], axis=1)
        if mask is not None:
            more["mask"] = view(mask, (rows * steps, *mask.shape[2:]))
        y = self.layer(view(inputs, (rows * steps, *inputs.shape[2:])), **more)
        return view(y, (rows, steps, *y.shape[1:]))
