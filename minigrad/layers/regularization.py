"""Layers that regularize a network in training: Dropout and its relatives, noise, penalties on activity."""

import math

from minigrad import ops, random, regularizers
from minigrad.checks import is_int
from minigrad.configurable import REQUIRED
from minigrad.layers.arguments import CHANNELS_LAST, SEED, checked, number
from minigrad.layers.base import SameShape
from minigrad.layers.convolution import by_rank


def _shape(layer, name):
    shape = getattr(layer, name)
    shape = () if shape is None else shape
    if not isinstance(shape, (tuple, list)) or not all(n is None or is_int(n, 1) for n in shape):
        raise ValueError(f"{layer._owner}: {name} must be None or a tuple of positive ints and None, got {shape!r}.")


_SHARE, _LESS = checked(number, REQUIRED, "[0, 1]"), checked(number, REQUIRED, "[0, 1)")
_NOISE_SHAPE = checked(_shape, None)


class _Noise(SameShape):
    """A layer that disturbs its input in training and otherwise returns it unchanged.

    It has its own stream of random numbers, which every call in training moves on. It has no weights, so `trainable`
    has no effect.
    """

    _has_no_state = _hands_on = True

    strength = "rate"  # the name of the argument that says how much; 0 leaves the input unchanged

    def call(self, inputs, training=False):
        return self.disturb(inputs) if training and getattr(self, self.strength) > 0 else inputs

    def _noise_shape(self, inputs):
        try:
            return inputs.shape if self.noise_shape is None else random.full_noise_shape(self.noise_shape, inputs.shape)
        except ValueError as error:
            raise ValueError(f"{self._title}: {error}") from None


class Dropout(_Noise):
    """In training, y = x / (1 - rate) with probability 1 - rate, else 0; otherwise y = x (Srivastava et al. 2014).

    Args:
        rate: the share that is dropped, in [0, 1].
        noise_shape: None, or a length per axis: 1 drops or keeps the whole axis at once, None is the input's length.
        seed: an int from which the layer's stream of random numbers starts; None takes an unused one.
    """

    arguments = {"rate": _SHARE, "noise_shape": _NOISE_SHAPE, "seed": SEED}

    def disturb(self, inputs):
        self._noise_shape(inputs)
        return random.dropout(inputs, self.rate, self.noise_shape, seed=self)


class _SpatialDropout(_Noise):
    """Dropout of whole channels: a channel is kept for all steps or pixels of a sample, or for none.

    Neighboring pixels are so alike that a dropped one is no loss (Tompson et al. 2014, arXiv:1411.4280).

    Args:
        rate: the share of channels that is dropped, in [0, 1].
        seed: as for Dropout. data_format: "channels_last".
    """

    def disturb(self, inputs):
        shape = (inputs.shape[0], *(1,) * (inputs.ndim - 2), inputs.shape[-1])
        return random.dropout(inputs, self.rate, shape, seed=self)

    def get_config(self):
        """The arguments of `__init__`, without `trainable`, which Keras does not take here."""
        return {name: value for name, value in super().get_config().items() if name != "trainable"}


SpatialDropout1D, SpatialDropout2D = by_rank(
    _SpatialDropout,
    "SpatialDropout{}D",
    arguments=({"rate": _SHARE, "seed": SEED}, {"rate": _SHARE, "data_format": CHANNELS_LAST, "seed": SEED}),
)


class AlphaDropout(_Noise):
    """Dropout that keeps mean 0 and variance 1, for networks with selu (Klambauer et al. 2017).

    In training, y = a x + b with probability 1 - rate, else y = a c + b; otherwise y = x. Here c = -1.7581 is the limit
    of selu at -infinity, a = ((1 - rate) (1 + rate c^2))^(-1/2), and b = -a c rate.

    Args:
        rate: the share that is dropped, in [0, 1).
        noise_shape, seed: as for Dropout.
    """

    arguments = {"rate": _LESS, "noise_shape": _NOISE_SHAPE, "seed": SEED}

    def disturb(self, inputs):
        c = -1.6732632423543772 * 1.0507009873554805
        a = ((1 - self.rate) * (1 + self.rate * c**2)) ** -0.5
        chance = random.uniform(self._noise_shape(inputs), dtype=inputs.dtype, seed=self)
        return ops.where(ops.greater_equal(chance, self.rate), inputs, c) * a - a * c * self.rate


class GaussianDropout(_Noise):
    """In training, y = x times normal noise of mean 1 and variance rate / (1 - rate); otherwise y = x.

    The mean and variance are those of Dropout's factors (Srivastava et al. 2014, section 10).

    Args:
        rate: in [0, 1).
        seed: as for Dropout.
    """

    arguments = {"rate": _LESS, "seed": SEED}

    def disturb(self, inputs):
        deviation = math.sqrt(self.rate / (1 - self.rate))
        return inputs * random.normal(inputs.shape, 1.0, deviation, inputs.dtype, seed=self)


class GaussianNoise(_Noise):
    """In training, y = x plus normal noise of mean 0; otherwise y = x.

    Args:
        stddev: the standard deviation of the noise, in [0, 1] as in Keras.
        seed: as for Dropout.
    """

    strength = "stddev"

    arguments = {"stddev": _SHARE, "seed": SEED}

    def disturb(self, inputs):
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, inputs.dtype, seed=self)


class ActivityRegularization(SameShape):
    """y = x; adds (l1 sum |x| + l2 sum x^2) / rows to the loss."""

    _has_no_state = _hands_on = True

    arguments = {"l1": 0.0, "l2": 0.0}

    def _settle(self):
        self.activity_regularizer = regularizers.L1L2(self.l1, self.l2)

    def call(self, inputs):
        return inputs

    def get_config(self):
        config = super().get_config()
        del config["activity_regularizer"]
        return config
