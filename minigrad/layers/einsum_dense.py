"""EinsumDense: a Dense whose equation says over which axes it sums."""

import copy
import string

from minigrad import ops
from minigrad.configurable import REQUIRED
from minigrad.initializers import VarianceScaling
from minigrad.layers import arguments
from minigrad.layers.arguments import LORA, UNQUANTIZED, of_weights
from minigrad.layers.base import Layer
from minigrad.tensor import view

_FORMS = "'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...'"


class EinsumDense(Layer):
    """y = activation(einsum(equation, x, kernel) + bias), such as "abc,cd->abd" for a Dense on (rows, steps, features).

    Args:
        equation: as for `ops.einsum`, with x first and the kernel second. "..." at one end of x and y stands for any
            axes; in front, the axis of the rows is one of them.
        output_shape: the lengths of the axes of y, without the rows and "...": an int or several. None is a length that
            follows from x.
        activation, and what begins with kernel_ or bias_: as for Dense.
        bias_axes: the letters of the axes of y along which the bias differs. None: there is no bias.

    Raises:
        ValueError: the equation has another form, lengths do not fit, or LoRA or quantization is asked for.
    """

    arguments = {
        "equation": REQUIRED, "output_shape": REQUIRED, "activation": None, "bias_axes": None,
        **of_weights(kernel="glorot_uniform", bias="zeros"), **LORA,
        "gptq_unpacked_column_size": LORA["lora_rank"], "quantization_config": UNQUANTIZED,
    }  # fmt: skip

    def _set_up(self, given):
        lengths = given.pop("output_shape")  # a layer has a property of this name
        self.partial_output_shape = tuple(lengths) if isinstance(lengths, (tuple, list)) else (lengths,)
        super()._set_up(given)

    def build(self, input_shape):
        _, of_kernel, of_output, lengths = self._letters(input_shape)
        shape = [lengths.get(c) for c in of_kernel]
        if None in shape:
            raise self._misfit(f"inputs and an output_shape that tell the lengths of {of_kernel!r}", input_shape)
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and None in (initializer.input_axes, initializer.output_axes):
            initializer = copy.copy(initializer)  # told over which axes the sum goes
            initializer.input_axes = [i for i, c in enumerate(of_kernel) if c not in of_output]
            initializer.output_axes = [i for i, c in enumerate(of_kernel) if c in of_output]
        self.kernel = self._own_weight("kernel", shape, initializer=initializer)
        self.bias = None
        if self.bias_axes is not None:
            places = [of_output.find(c) for c in self.bias_axes]
            if not places or -1 in places:
                raise self._misfit(f"bias_axes among the letters {of_output!r} of the output", input_shape)
            varying = [lengths.get(c) if c in self.bias_axes else 1 for c in of_output[min(places) :]]
            self.bias = self._own_weight("bias", varying)
        self.input_spec = arguments.InputSpec(ndim=len(input_shape))

    def call(self, inputs):
        y = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None and y.shape[-self.bias.ndim :] == self.bias.shape:  # a bias per column of a matrix
            columns = view(y, (y.size // max(self.bias.size, 1), self.bias.size))
            y = view(ops.bias_add(columns, view(self.bias, (self.bias.size,))), y.shape)
        elif self.bias is not None:
            y = y + self.bias
        return y if self.activation is None else self.activation(y)

    def compute_output_shape(self, input_shape):
        _, _, of_output, lengths = self._letters(input_shape)
        return tuple(lengths[c] for c in of_output)

    def _letters(self, input_shape):
        """The letters of the input, the kernel and the output, with letters for "...", and a dict of their lengths."""
        terms = self.equation.replace(" ", "").replace("->", ",").split(",")
        ends = [(term.startswith("..."), term.endswith("...")) for term in terms]
        letters = [term.replace("...", "", 1) for term in terms]
        no_dots = (False, False)
        if ends != [ends[0], no_dots, ends[0]] or ends[0] == (True, True) or not all(map(str.isalpha, letters)):
            raise ValueError(f"{self._owner}: equation must look like {_FORMS}, got {self.equation!r}.")
        (of_input, of_kernel, of_output), (is_front, _) = letters, ends[0]
        rest = len(input_shape) - len(of_input)
        if rest < 0 or (rest > 0 and ends[0] == no_dots):
            raise self._misfit(f"inputs with an axis for each letter of {self.equation!r}", input_shape)
        dots = "".join(c for c in string.ascii_letters if c not in self.equation)[:rest]
        told = of_output if is_front and rest else of_output[1:]
        of_input, of_output = (dots + c if is_front else c + dots for c in (of_input, of_output))
        lengths = dict(zip(of_input, input_shape, strict=True))
        if len(told) != len(self.partial_output_shape) or not set(of_output) <= {*of_input, *of_kernel}:
            raise self._misfit(f"an output_shape of {len(told)} lengths, of {told!r} in {self.equation!r}", input_shape)
        for c, length in zip(told, self.partial_output_shape, strict=True):
            if length is not None and lengths.setdefault(c, length) not in (None, length):
                raise self._misfit(f"one length of axis {c!r}, which is {lengths[c]} and {length}", input_shape)
        return of_input, of_kernel, of_output, {c: lengths.get(c) for c in of_input + of_kernel}

    def _misfit(self, expected, input_shape):
        return ValueError(
            f"{self._title} expected {expected}; got inputs of shape {tuple(input_shape)} and "
            f"output_shape={self.partial_output_shape}."
        )

    def get_config(self):
        return {"activity_regularizer": None, **super().get_config(), "output_shape": self.partial_output_shape}
