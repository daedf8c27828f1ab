"""Every activation that Keras 3 names. A formula with a kernel of its own is in `ops`; the others are composed."""


from minigrad import ops
from minigrad.checks import warn
from minigrad.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
)
from minigrad.registry import Registry

registry = Registry("activation", "keras.activations", instantiate=False, also="keras.layers")
serialize = registry.serialize


def get(identifier):
    """The activation function that `identifier` (a string, a callable, or None for linear) stands for."""
    return linear if identifier is None else registry.get(identifier)


def deserialize(config):
    """The activation that `serialize` was given."""
    return get(config)


@registry.register()
def linear(x):
    """x"""
    return x


@registry.register()
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """x where x > threshold (at most `max_value`), else negative_slope (x - threshold). The slope at 0 is 0."""
    if threshold == 0 and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    # A condition that a NaN fails leads to x: it must not be hidden. And 0 * -inf would be NaN.
    passed = x if max_value is None else ops.where(ops.greater_equal(x, max_value), float(max_value), x)
    below = (x - threshold) * negative_slope if negative_slope else 0.0
    return ops.where(ops.less_equal(x, threshold), below, passed)


@registry.register()
def softmax(x, axis=-1):
    """e^x / sum of e^x along `axis`"""
    if x.ndim > 1 and isinstance(axis, int) and x.shape[axis] == 1:
        warn(
            f"softmax over axis {axis} of a tensor of shape {x.shape} gives 1 everywhere: that axis has one element. "
            "Did you mean sigmoid?",
        )
    return ops.softmax(x, axis)


@registry.register()
def gelu(x, approximate=False):
    """x P(Z <= x) for a standard normal Z; `approximate` by tanh (Hendrycks and Gimpel 2016)"""
    return ops.gelu(x, approximate)


@registry.register()
def threshold(x, threshold=0.0, default_value=0.0):
    """x where x > threshold, else default_value"""
    return ops.threshold(x, threshold, default_value)


@registry.register()
def mish(x):
    """x tanh(softplus(x)) (Misra 2019)"""
    return x * tanh(softplus(x))


@registry.register()
def exponential(x):
    """e^x"""
    return ops.exp(x)


for _function in (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
):
    registry.register()(_function)
registry.register("swish")(silu)
registry.register("hard_swish")(hard_silu)
swish, hard_swish = silu, hard_silu
