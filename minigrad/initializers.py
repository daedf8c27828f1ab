"""How weights start: `initializer(shape, dtype)` returns a NumPy array.

Variance scaling keeps the size of activations (fan_in) or gradients (fan_out) from layer to layer: Glorot and
Bengio 2010 (Xavier) for saturating activations, He et al. 2015 for ReLU, LeCun et al. 1998.
"""

import math

import numpy as np

from minigrad import config
from minigrad.checks import is_int
from minigrad.configurable import Configurable, Number
from minigrad.registry import Registry
from minigrad.tensor import Tensor, Variable

registry = Registry("initializer", "keras.initializers")
serialize, deserialize = registry.serialize, registry.deserialize


def get(identifier):
    """The initializer that a string, a config, a class or a callable means. An array means a Constant of its values."""
    if not isinstance(identifier, (np.ndarray, np.generic, Tensor)):
        return registry.get(identifier)
    given = Constant(np.array(identifier))
    given.shape = given.value.shape
    return given


Variable.named_initializer = staticmethod(get)


class Initializer(Configurable, is_member=False):
    """Base class: `__call__(shape, dtype=None)` returns the initial values as a NumPy array."""

    _registry = registry

    def __call__(self, shape, dtype=None):
        raise TypeError(f"{type(self).__name__} must define __call__(self, shape, dtype=None).")


class _Random(Initializer):
    """An initializer that draws random numbers.

    Calling it again returns the same values, as in Keras, unless its seed is a `keras.random.SeedGenerator`.
    """

    def _settle(self):
        seed = self.seed
        if seed is not None and not is_int(seed) and not hasattr(seed, "next"):
            raise ValueError(f"{type(self).__name__}: seed must be an int, a SeedGenerator or None, got {seed!r}.")
        self.seed = getattr(seed, "seed", seed)  # as a config tells it
        self._stream = config.draw_seed() if seed is None else seed if hasattr(seed, "next") else int(seed)

    def __call__(self, shape, dtype=None):
        stream = self._stream.next() if hasattr(self._stream, "next") else self._stream
        values = self.draw(np.random.default_rng(stream), tuple(shape))
        return values.astype(dtype or config.floatx())

    def draw(self, generator, shape):
        """float64 values of `shape` from a NumPy generator."""
        raise TypeError(f"{type(self).__name__} must define draw(self, generator, shape).")


def _cut_normal(generator, shape, stddev):
    """Normal numbers of mean 0. Those beyond two standard deviations are drawn again."""
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(np.count_nonzero(outside))
    return values * stddev


def fans(shape):
    """(fan_in, fan_out): how many inputs feed one unit, how many units one input feeds."""
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


class Zeros(Initializer, aliases=["zero"]):
    """All zeros."""

    def __call__(self, shape, dtype=None):
        return np.zeros(shape, dtype or config.floatx())


class Ones(Initializer, aliases=["one"]):
    """All ones."""

    def __call__(self, shape, dtype=None):
        return np.ones(shape, dtype or config.floatx())


class Constant(Initializer):
    """All equal to `value`."""

    shape = None  # of the array that it was made of, which is then the only shape that it makes

    arguments = {"value": 0.0}

    def __call__(self, shape, dtype=None):
        if self.shape not in (None, tuple(shape)):
            raise ValueError(f"An array of shape {self.shape} can't be the initializer of a weight of {tuple(shape)}.")
        return np.full(shape, self.value, dtype or config.floatx())


class Identity(Initializer, aliases=["IdentityInitializer"]):
    """`gain` times the identity matrix; only for two axes."""

    arguments = {"gain": 1.0}

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices; got shape {tuple(shape)}.")
        return self.gain * np.eye(*shape, dtype=dtype or config.floatx())


class RandomNormal(_Random, aliases=["normal"]):
    """Normal numbers with the given mean and standard deviation."""

    arguments = {"mean": 0.0, "stddev": 0.05, "seed": None}

    def draw(self, generator, shape):
        return self.mean + self.stddev * generator.standard_normal(shape)


class TruncatedNormal(RandomNormal):
    """Normal numbers, cut off (drawn again) beyond two standard deviations."""

    def draw(self, generator, shape):
        return self.mean + _cut_normal(generator, shape, self.stddev)


class RandomUniform(_Random, aliases=["uniform"]):
    """Numbers equally likely anywhere in [minval, maxval)."""

    arguments = {"minval": -0.05, "maxval": 0.05, "seed": None}

    def draw(self, generator, shape):
        return generator.uniform(self.minval, self.maxval, shape)


class Orthogonal(_Random, aliases=["OrthogonalInitializer"]):
    """A matrix with orthonormal rows or columns times `gain` (Saxe et al. 2013); leading axes are folded."""

    arguments = {"gain": 1.0, "seed": None}

    def draw(self, generator, shape):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two axes; got shape {shape}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))
        return self.gain * (q.T if rows < columns else q).reshape(shape)


class VarianceScaling(_Random):
    """Numbers of mean 0 and variance `scale / n`, n the fan_in, the fan_out, or the mean of both (fan_avg).

    `distribution`: "truncated_normal" (cut at two deviations, with the deviation corrected for the cut),
    "untruncated_normal" or "uniform".
    """

    modes = ("fan_in", "fan_out", "fan_avg")
    distributions = ("truncated_normal", "untruncated_normal", "uniform")
    arguments = {
        "scale": Number(1.0, "(0, inf)"), "mode": "fan_in", "distribution": "truncated_normal", "seed": None,
        "input_axes": None, "output_axes": None,
    }  # fmt: skip

    def _settle(self):
        super()._settle()
        self.distribution = "truncated_normal" if self.distribution == "normal" else self.distribution
        for what, known in (("mode", self.modes), ("distribution", self.distributions)):
            if (value := getattr(self, what)) not in known:
                raise ValueError(f"{type(self).__name__}: {what} must be one of {known}, got {value!r}.")

    def draw(self, generator, shape):
        fan_in, fan_out = fans(shape)
        if self.input_axes is not None:
            fan_in = math.prod(shape[a] for a in self.input_axes)
        if self.output_axes is not None:
            fan_out = math.prod(shape[a] for a in self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return math.sqrt(variance) * generator.standard_normal(shape)
        # 0.8796... is the deviation of a standard normal cut at two deviations.
        return _cut_normal(generator, shape, math.sqrt(variance) / 0.87962566103423978)


class _Named(VarianceScaling):
    """VarianceScaling with `scale`, `mode` and `distribution` fixed by the class."""

    arguments = {"seed": None, "input_axes": None, "output_axes": None}


class GlorotUniform(_Named, aliases=["xavier_uniform"]):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): Keras' default for Dense."""

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Named, aliases=["xavier_normal"]):
    """Normal with variance 2 / (fan_in + fan_out), truncated (Glorot and Bengio 2010)."""

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Named):
    """Uniform in +-sqrt(6 / fan_in) (He et al. 2015): for ReLU."""

    scale, mode, distribution = 2.0, "fan_in", "uniform"


class HeNormal(_Named):
    """Normal with variance 2 / fan_in, truncated (He et al. 2015): for ReLU."""

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Named):
    """Uniform in +-sqrt(3 / fan_in) (LeCun et al. 1998)."""

    scale, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_Named):
    """Normal with variance 1 / fan_in, truncated (LeCun et al. 1998)."""

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


# Keras knows them under these names, too.
zeros, ones, constant, identity, orthogonal = Zeros, Ones, Constant, Identity, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, glorot_uniform, glorot_normal = VarianceScaling, GlorotUniform, GlorotNormal
he_uniform, he_normal, lecun_uniform, lecun_normal = HeUniform, HeNormal, LecunUniform, LecunNormal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
