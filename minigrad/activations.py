"""Every activation that Keras 3 names. A formula with a kernel of its own is in `ops`; the others are composed."""

from minigrad import ops
from minigrad.checks import warn
from minigrad.registry import Registry

registry = Registry("activation", "keras.activations", instantiate=False, also="keras.layers")
serialize = registry.serialize


def get(identifier):
    """The activation function that `identifier` means: a string, a config, a callable, or None for linear."""
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
        return ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    # A NaN fails both conditions, so it stays x and is not hidden. No slope: 0 is written out, since 0 * -inf is NaN.
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
    return x * ops.tanh(ops.softplus(x))


@registry.register()
def exponential(x):
    """e^x"""
    return ops.exp(x)


# Those that are operations.
celu = registry.register()(ops.celu)
elu = registry.register()(ops.elu)
glu = registry.register()(ops.glu)
hard_shrink = registry.register()(ops.hard_shrink)
hard_sigmoid = registry.register()(ops.hard_sigmoid)
hard_tanh = registry.register()(ops.hard_tanh)
leaky_relu = registry.register()(ops.leaky_relu)
log_sigmoid = registry.register()(ops.log_sigmoid)
log_softmax = registry.register()(ops.log_softmax)
relu6 = registry.register()(ops.relu6)
selu = registry.register()(ops.selu)
sigmoid = registry.register()(ops.sigmoid)
soft_shrink = registry.register()(ops.soft_shrink)
softplus = registry.register()(ops.softplus)
softsign = registry.register()(ops.softsign)
sparse_plus = registry.register()(ops.sparse_plus)
sparse_sigmoid = registry.register()(ops.sparse_sigmoid)
sparsemax = registry.register()(ops.sparsemax)
squareplus = registry.register()(ops.squareplus)
tanh = registry.register()(ops.tanh)
tanh_shrink = registry.register()(ops.tanh_shrink)
swish = silu = registry.register("swish")(ops.silu)
hard_swish = hard_silu = registry.register("hard_swish")(ops.hard_silu)
