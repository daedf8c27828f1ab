"""After training: the exact statistics of Batch Normalization, and networks without it for inference."""

import collections
import contextlib
import copy
import math

import numpy as np

from minigrad import activations, ops
from minigrad.checks import is_own
from minigrad.graph import TEXTS, Operation
from minigrad.layers.convolution import CONVOLUTIONS, ConvTranspose, DepthwiseConv
from minigrad.layers.core import Dense, Identity
from minigrad.layers.input_layer import InputLayer
from minigrad.layers.normalization import BatchNormalization
from minigrad.layers.preprocessing import moments_of_both
from minigrad.models.cloning import graph_again
from minigrad.models.model import Model
from minigrad.models.sequential import Sequential
from minigrad.tensor import no_grad
from minigrad.trainer.feed import prepare_x
from minigrad.trees import leaves, mapped


class _Reached(Exception):
    """Raised by a layer whose input is all that is wanted of a call."""


def recompute_batch_statistics(model, x, batch_size=1024):
    """Give every BatchNormalization the mean and the variance of its input over all rows of `x`.

    What `fit` leaves is an average over the last batches (with momentum 0.99, some hundreds), of a network that was
    still changing; until it has caught up, the validation loss is wild. Here the layers are taken in the order in which
    they are called, each over the whole data set in inference mode, behind layers that have their statistics already
    (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3). Frozen layers keep theirs. That is one pass
    over the data per layer, but a single pass where all rows are one batch.

    Args:
        model: a built model of any kind; x: its inputs as for `predict`, usually the training data.
        batch_size: how many rows are computed at once; it changes nothing else.

    Raises:
        ValueError: a model that is not built, or rows that do not fit it. Then nothing has changed.

    >>> model.fit(x, y); minigrad.utils.recompute_batch_statistics(model, x); model.evaluate(x_test, y_test)
    """
    _require_built(model, "recompute_batch_statistics")
    rows = prepare_x(model, x)
    copied = copy.deepcopy(model)  # others may use the model meanwhile
    pairs = dict(zip(copied._all_layers(), model._all_layers(), strict=True))
    waiting = [n for n in pairs if isinstance(n, BatchNormalization) and n.trainable and n.built]
    found = []
    while waiting:
        sums = {}
        for start in range(0, len(rows), batch_size):
            _collect(copied, rows[start : start + batch_size], waiting, sums, is_all=len(rows) <= batch_size)
        if not sums:
            break  # no call comes by any of those that are left
        for layer, (count, mean, squares) in sums.items():
            _set_statistics(layer, mean, squares / count)
            waiting.remove(layer)
            found.append((pairs[layer], mean, squares / count))
    for layer, mean, variance in found:
        _set_statistics(layer, mean, variance)


def _collect(model, batch, layers, sums, is_all):
    """Call the model until it comes to one of `layers`, and add up (count, mean, sum of squared deviations) there.

    Where the batch `is_all` there is, the layer takes its statistics at once, and the call goes on.
    """

    def spy(layer):
        def normalize(inputs, training, mask=None, kernel=None, bias=None, floor=-math.inf):
            x = (inputs if kernel is None else ops.matmul(inputs, kernel)).numpy().astype(np.float64)
            kept = np.broadcast_to(True if mask is None else np.asarray(mask, bool), x.shape[:-1])
            x = x[kept] + (0.0 if bias is None else bias.numpy())
            mean = x.mean(0)
            sums[layer] = moments_of_both(sums.get(layer, (0, 0.0, 0.0)), (len(x), mean, np.square(x - mean).sum(0)))
            if not is_all:
                raise _Reached
            del layer.normalize
            _set_statistics(layer, mean, sums[layer][2] / sums[layer][0])
            return layer.normalize(inputs, training, mask, kernel, bias, floor)

        return normalize

    for one in model._all_layers():
        if isinstance(one, Model):
            one.run_eagerly = True  # a spy can't be recorded
    for layer in layers:
        layer.normalize = spy(layer)
    with no_grad(), contextlib.suppress(_Reached):
        model(mapped(ops.convert_to_tensor, getattr(batch, "tree", batch)), training=False)
    for layer in layers:
        layer.__dict__.pop("normalize", None)


def _set_statistics(layer, mean, variance):
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    if layer.renorm:
        layer.renorm_mean.assign(mean)
        for deviation in (layer.moving_stddev, layer.renorm_stddev):
            deviation.assign(np.sqrt(variance + layer.epsilon))


def _require_built(model, who):
    if not isinstance(model, Model):
        raise ValueError(f"{who} expects a model, got {model!r}.")
    if not model.built:
        raise ValueError(f"{who}: model {model.name!r} is not built yet: it has no statistics.")


# --------------------------------------------------------------------------------------------------- folding


def fold_batchnorm(model):
    """A new model with the same outputs in inference; BatchNormalization has melted into Dense and convolution layers.

    In inference BatchNormalization is y = s x + t, with s = gamma / sqrt(variance + epsilon), t = beta - s mean. So
        after a Dense without activation:   s (x W + b) + t = x (W s) + (s b + t),     s on the columns of W
        before a Dense:                     (s x + t) W + b = x (s W) + (t W + b),     s on the rows of W
    and after a convolution likewise: s on the kernels of each channel. (Not before one: where its padding is "same",
    the border would have to be t and not 0.) All are exact but for rounding. A BatchNormalization with none beside it
    (or over another axis than the last) stays, as does one between which and the other layer something else is used,
    or where a layer is called several times.
    Layers that do nothing in inference, such as Dropout and RandomFlip, are left out, also between the two. Nested
    models are folded by themselves. The model itself is not changed; the new one is not compiled, and training it would
    be training another network.

    Raises:
        ValueError: anything but a built Sequential or Model(inputs, outputs).

    >>> fast = minigrad.utils.fold_batchnorm(model)
    """
    _require_built(model, "fold_batchnorm")
    if model._graph is None:
        raise ValueError(
            f"fold_batchnorm expects a Sequential or a Model(inputs, outputs): which layers follow each other in "
            f"{model.name!r}?"
        )
    steps, root = _folded_steps(model._graph)
    name = f"{model.name}_folded"
    first = {}  # layer -> its step; that of its first call if there are several
    for step in steps:
        if not isinstance(step.layer, Operation):
            first.setdefault(step.layer, step)
    copies = {layer: step.copied() for layer, step in first.items()}
    if isinstance(model, Sequential):
        dtype = TEXTS if model._input_dtype == TEXTS else model.dtype
        layers = list(copies.values()) or [Identity(dtype=model.dtype)]
        folded = Sequential([InputLayer(model.input_shape[1:], dtype=dtype), *layers], name=name)
    else:
        calls = [step.call for step in steps]
        folded = Model(*graph_again(model._graph, copies.get, calls=calls, root=root), name=name)
    for layer, step in first.items():
        step.fill(copies[layer])
    return folded


def _folded_steps(graph):
    """The steps of the folded graph, and a function from a symbol to the one that stands for it there."""
    stands_for, calls, found = {}, [], {}

    def root(symbol):
        while id(symbol) in stands_for:
            symbol = stands_for[id(symbol)]
        return symbol

    for call in graph.calls:
        if call.is_simple and is_own(type(call.function)) and getattr(call.function, "_hands_on", False):
            stands_for[id(call.outputs)] = call.inputs[0]
        elif call.inputs:
            calls.append(call)
    used = [symbol for call in calls for symbol in call.inputs] + leaves(graph.outputs)
    uses = collections.Counter(id(root(symbol)) for symbol in used)
    times = collections.Counter(call.function for call in calls)
    for call in calls:
        step, given = _Step(call, times[call.function] == 1), root(call.inputs[0])
        before = found.get(id(given)) if uses[id(given)] == 1 else None
        if before and step.takes_after(before):
            before.append(*step.scale_and_shift())
            stands_for[id(call.outputs)], uses[id(given)] = given, uses[id(call.outputs)]
            continue
        if before and step.takes_before(before):
            step.prepend(*found.pop(id(given)).scale_and_shift())
            stands_for[id(given)] = before.call.inputs[0]
        found[id(call.outputs)] = step
    return list(found.values()), root


class _Step:
    """A call on its way into the folded model; of a linear layer called once, kernel and bias in double precision."""

    def __init__(self, call, is_alone=True):
        self.call, self.layer = call, call.function
        layer, is_usual = self.layer, is_alone and call.is_simple
        self.is_linear = is_usual and type(layer) in (Dense, *CONVOLUTIONS)
        self.is_affine = is_usual and type(layer) is BatchNormalization
        self.is_affine = self.is_affine and layer.axis in (-1, len(layer.input_shape) - 1)
        if self.is_linear:
            self.kernel_name = "pointwise_kernel" if hasattr(layer, "pointwise_kernel") else "kernel"
            self.kernel = getattr(layer, self.kernel_name).numpy().astype(np.float64)
            self.bias = 0.0 if layer.bias is None else layer.bias.numpy().astype(np.float64)

    def takes_after(self, other):
        """Whether this is a normalization that `other`, the layer before it, can absorb."""
        is_linear = other.is_linear and other.layer.activation in (None, activations.linear)
        return self.is_affine and is_linear and self.layer.dtype == other.layer.dtype

    def takes_before(self, other):
        """Whether this is a Dense that can absorb `other`, the normalization before it."""
        is_dense = self.is_linear and type(self.layer) is Dense
        return is_dense and other.is_affine and self.layer.dtype == other.layer.dtype

    def scale_and_shift(self):
        """The s and t of a normalization."""
        layer = self.layer
        mean, variance = (v.numpy().astype(np.float64) for v in (layer.moving_mean, layer.moving_variance))
        scale = (1.0 if layer.gamma is None else layer.gamma.numpy()) / np.sqrt(variance + layer.epsilon)
        return scale, (0.0 if layer.beta is None else layer.beta.numpy()) - scale * mean

    def append(self, scale, shift):
        """Let the layer do y -> s y + t as well."""
        of_kernel = scale
        if isinstance(self.layer, DepthwiseConv):
            of_kernel = scale.reshape(self.kernel.shape[-2:])  # (channels, outputs of each)
        elif isinstance(self.layer, ConvTranspose):
            of_kernel = scale[:, None]  # (filters, channels)
        self.kernel, self.bias = self.kernel * of_kernel, self.bias * scale + shift

    def prepend(self, scale, shift):
        """Let a Dense do x -> s x + t as well."""
        self.kernel, self.bias = self.kernel * scale[:, None], shift @ self.kernel + self.bias

    def copied(self):
        """A layer like the one of the call, for `fill` once it is built; a nested model, folded."""
        if isinstance(self.layer, Model) and self.layer._graph is not None:
            return fold_batchnorm(self.layer)
        try:
            config = self.layer.get_config() | ({"use_bias": True} if self.is_linear else {})
            return type(self.layer).from_config(config)
        except (TypeError, NotImplementedError) as error:
            raise ValueError(
                f"fold_batchnorm can't copy layer {self.layer.name!r}: its get_config() must return the arguments of "
                f"its __init__ ({error})."
            ) from None

    def fill(self, layer):
        """Give the copy its weights."""
        if isinstance(self.layer, Model) and self.layer._graph is not None:
            return
        if hasattr(layer, "_take_assets"):  # a vocabulary is no weight
            layer._take_assets(self.layer._assets())
            store = {}
            self.layer.save_own_variables(store)
            layer.load_own_variables(store)
        if not self.is_linear:
            layer.set_weights(self.layer.get_weights())
            return
        if hasattr(layer, "depthwise_kernel"):
            layer.depthwise_kernel.assign(self.layer.depthwise_kernel)
        getattr(layer, self.kernel_name).assign(self.kernel)
        layer.bias.assign(np.broadcast_to(self.bias, layer.bias.shape))
