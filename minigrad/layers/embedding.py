"""Embedding: a learned row of numbers for each integer."""

import numpy as np

from minigrad import ops
from minigrad.checks import warn
from minigrad.data import chunks
from minigrad.layers.arguments import LORA, UNQUANTIZED, WHOLE, of_weights
from minigrad.layers.base import Layer
from minigrad.ops.shaping import take_rows
from minigrad.program import is_recording

EXACT = 2**24  # float32 can hold every integer up to this one


class Embedding(Layer):
    """Each integer i becomes row i of the matrix `embeddings`: (n, ...) -> (n, ..., output_dim).

    Only the rows that were used have a gradient; that of a row used several times is a sum. As in Keras on TensorFlow,
    `clipvalue` and `clipnorm` clip what is summed, and an optimizer that divides by the size of gradients takes its
    squares, one by one. It takes the square of the sum if the step adds more to the gradient (from another use of the
    matrix, a penalty, accumulation), or has a `global_clipnorm`.

    Integers may be floats: `fit` makes floats of all data unless there is an Input(dtype="int32"). A number out of
    range is an error if it is found before the step begins, and gives a row of NaN in the middle of a step.

    Args:
        input_dim: how many integers there are: 0, 1, ..., input_dim - 1.
        output_dim: the length of the rows.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: strings or objects for the matrix.
        mask_zero: whether 0 is padding, which the mask of the output leaves out.
        weights: the first values of the matrix, or a list that holds them.

    Raises:
        ValueError: a number is out of range; or LoRA or quantization is asked for, which minigrad does not have.
    """

    _indexes = True  # whether `fit` and the like call `_check_rows` with its inputs before a step

    arguments = {
        "input_dim": WHOLE, "output_dim": WHOLE, **of_weights(embeddings="uniform"), "mask_zero": False,
        "weights": None, **LORA, "quantization_config": UNQUANTIZED,
    }  # fmt: skip

    def _set_up(self, given):
        if given["kwargs"].pop("input_length", None) is not None:
            warn("Embedding: input_length is an old argument without effect: the data tells how long its rows are.")
        weights = given.pop("weights")
        super()._set_up(given)
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def _settle(self):
        self.supports_masking = self._makes_masks = bool(self.mask_zero)

    def build(self, input_shape=None):
        self.embeddings = self._own_weight("embeddings", (self.input_dim, self.output_dim))

    def call(self, inputs):
        if self.input_dim > EXACT and inputs.dtype == np.float32:
            raise ValueError(
                f"Layer {self.name!r} (Embedding) got its integers as float32, which lacks some of the "
                f"{self.input_dim} from {EXACT} on: put Input(shape, dtype='int64') in front."
            )
        if not is_recording():
            self._check_rows(inputs.numpy())
        index = ops.cast(inputs, "int64")._data.reshape(1, -1)
        y = take_rows(self.embeddings, index=index, n=index.size, table=self.embeddings)
        return ops.reshape(y, (*inputs.shape, self.output_dim))

    def compute_mask(self, inputs, mask=None):
        """True where the inputs are not 0, if `mask_zero` is True; else None."""
        return ops.not_equal(inputs, 0.0) if self.mask_zero else None

    def _as_input(self, x):
        return ops.convert_to_tensor(x)  # integers stay integers

    def _check_rows(self, rows):
        """Raise a ValueError unless all elements are integers in range."""
        for some in chunks(rows):
            low, high = some.min(initial=0), some.max(initial=0)
            is_whole = some.dtype.kind != "f" or not np.any(some != np.trunc(some))
            if not (low >= 0 and high < self.input_dim and is_whole):
                found = f"integers from {low:.0f} to {high:.0f}" if is_whole else "numbers that are no integers, or NaN"
                raise ValueError(
                    f"Layer {self.name!r} (Embedding) expected integers from 0 to {self.input_dim - 1}, for "
                    f"input_dim={self.input_dim}; got {found}."
                )

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)
