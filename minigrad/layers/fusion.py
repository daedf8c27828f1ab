"""Fusion: neighboring calls of a graph run as one, with the same results and fewer passes over memory."""

import math

from minigrad import activations, ops
from minigrad.graph import Call
from minigrad.layers.activation import Activation, ReLU
from minigrad.layers.convolution import CONVOLUTIONS
from minigrad.layers.core import Dense
from minigrad.layers.normalization import BatchNormalization
from minigrad.ops.masks import MASKS


def fused(graph, calls):
    """Calls of `graph`, in which [Dense or convolution,] BatchNormalization [, relu] is one call.

    Layers are fused only if nothing else uses the tensors between them, and they have no other arguments.
    """
    consumers, gone, found = graph.consumers(), set(), []
    for call in calls:
        if id(call) in gone:
            continue
        chain = _chain(call, consumers)
        layers = [one.function for one in chain]
        is_linear = _is_linear(layers[0]) and _is_last_axis_norm(layers[1:]) and _share_dtype(layers[:2])
        if call.is_simple and (is_linear or _is_last_axis_norm(layers)):
            norm, after = layers[is_linear], layers[is_linear + 1 :]
            has_relu = bool(after) and _is_relu(after[0]) and _share_dtype([norm, after[0]])
            chain = chain[: is_linear + 1 + has_relu]
            step = Normalized(layers[0] if is_linear else None, norm, 0.0 if has_relu else -math.inf)
            gone.update(map(id, chain))
            call = Call(step, call.args)
            call.outputs = chain[-1].outputs
        found.append(call)
    return found


def _chain(call, consumers):
    """The call and up to two that follow: each is the only one that uses the result of the call before."""
    chain = [call]
    while len(chain) < 3:
        after = consumers.get(id(chain[-1].outputs), [])
        if len(after) != 1 or after[0] is None or not after[0].is_simple:
            break
        chain.append(after[0])
    return chain


class Normalized:
    """A BatchNormalization with the Dense or the convolution before and the relu after it, in fewer passes over memory.

    The bias of the layer before is not added, since it would only shift the mean that is subtracted. It is passed on
    for the moving mean, which it does shift; its gradient is exactly zero.
    """

    def __init__(self, linear, norm, floor):
        self.linear, self.norm, self.floor = linear, norm, floor

    def __call__(self, x, training):
        mask = x._keras_mask if MASKS else None
        if x._data.dtype != self.norm.dtype:
            x = ops.cast(x, self.norm.dtype)
        kernel, bias = None, None if self.linear is None else self.linear.bias
        if type(self.linear) is Dense:
            kernel = self.linear.kernel
        elif self.linear is not None:
            x = self.linear.convolve(x)
        y = self.norm.normalize(x, training, mask, kernel, bias, self.floor)
        if mask is not None:
            y._keras_mask = mask
        return y


def _share_dtype(layers):
    return len({layer.dtype for layer in layers}) == 1


def _is_linear(layer):
    """Whether this is a Dense or a convolution without activation, so that its bias is only a shift."""
    return (
        type(layer) in (Dense, *CONVOLUTIONS)
        and layer.activation is activations.linear
        and layer.activity_regularizer is None
        and layer.built
    )


def _is_last_axis_norm(layers):
    return (
        bool(layers)
        and type(layers[0]) is BatchNormalization
        and layers[0].activity_regularizer is None
        and layers[0].built
        and layers[0].axis in (-1, len(layers[0]._input_shape) - 1)
    )


def _is_relu(layer):
    if type(layer) is ReLU:
        is_plain = layer.max_value is None and layer.negative_slope == 0 and layer.threshold == 0
    else:
        is_plain = type(layer) is Activation and layer.activation is activations.relu
    return is_plain and layer.activity_regularizer is None
