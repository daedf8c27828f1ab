"""Tensor, Variable, the tape, and `op`, which makes a function of raw arrays an operation on tensors.

This package knows no operation: those are in `ops`, which also gives Tensor its operators.
"""

from minigrad.names import public
from minigrad.tensor.operation import Signature, from_kernels, op
from minigrad.tensor.tape import Asked, GradientTape, nodes_since
from minigrad.tensor.tensor import (
    SymbolMet,
    Tensor,
    as_array,
    as_tensor,
    constant,
    copied,
    deferred,
    emit,
    enable_grad,
    flat,
    launch_copy,
    no_grad,
    tapes,
    traced,
    view,
)
from minigrad.tensor.variable import Structure, Variable

__all__ = public(globals())
