"""Random tensors, as `keras.random` has them. A recorded step that draws some draws anew each time it is replayed.

`seed` is an int (the same numbers on every call), a SeedGenerator (new ones), or None (new ones from the global
stream, which `utils.set_random_seed` restarts). The numbers are not those that Keras draws from the same seed.
"""

import numpy as np

from minigrad import config, ops
from minigrad import kernels as K
from minigrad.checks import is_int
from minigrad.configurable import Configurable
from minigrad.names import auto_name
from minigrad.ops.shaping import constant_tensor
from minigrad.program import RecordingError, empty, is_recording, launch
from minigrad.tensor import as_tensor, constant


def new_state(seed=None):
    """The state of a new stream, a uint64 array [[seed, 0]] that every draw moves on. None takes an unused seed."""
    return np.array([[config.draw_seed() if seed is None else int(seed) % 2**63, 0]], np.uint64)


class SeedGenerator(Configurable):
    """A stream of random numbers: each draw that is given it as `seed` continues where the last one ended.

    Args:
        seed: an int; None takes one that depends on the global seed.

    >>> seeds = SeedGenerator(1)
    >>> normal((2,), seed=seeds)    # two numbers
    >>> normal((2,), seed=seeds)    # two others
    """

    def __init__(self, seed=None, name=None):
        if seed is not None and not is_int(seed):
            raise ValueError(f"SeedGenerator: seed must be an int or None, got {seed!r}.")
        self.name = name or auto_name("seed_generator")
        self.seed = None if seed is None else int(seed)
        self._state = new_state(seed)

    @property
    def state(self):
        """[seed, counter], an array of two uint64: a copy."""
        return self._readable().copy()

    def next(self, ordered=True):
        """A copy of the state, which can be a seed for something else. Then the stream moves on by one."""
        state = self._readable().copy()
        self._state[0, 1] += np.uint64(1)
        return state

    def _readable(self):
        if is_recording():
            raise RecordingError("The state of a SeedGenerator can't be read while its step is recorded.")
        return self._state[0]


def _stream(seed):
    """The state of the stream that `seed` means: an int, None, or an object with a stream of its own."""
    if seed is None:
        return config.stream()
    if hasattr(seed, "_state"):
        return seed._state
    if not is_int(seed):
        raise ValueError(f"seed must be an int, a keras.random.SeedGenerator or None, got {seed!r}.")
    state = empty((1, 2), np.uint64)
    launch(K.copy, constant(np.uint64, int(seed) % 2**63, 0), state)  # a launch: the same numbers in each replay
    return state


def _draw(kernel, shape, settings, dtype, seed, kinds="f"):
    """An array of `shape` that the kernel fills."""
    name = {"whole_numbers": "randint"}.get(kernel.name, kernel.name)
    try:
        shape = tuple(int(n) for n in shape)
    except TypeError:
        raise ValueError(f"random.{name}: shape must be a tuple of ints, got {shape!r}.") from None
    dtype = np.dtype(dtype or config.floatx())
    if dtype.kind not in kinds or dtype == np.float16:
        wanted = "float32 or float64" if kinds == "f" else "one of integers"
        raise ValueError(f"random.{name}: dtype must be {wanted}, got {dtype}.")
    y = empty(shape, np.int64 if dtype.kind in "iu" else dtype)
    launch(kernel, constant(y.dtype, *settings), _stream(seed), y.reshape(1, -1))
    return y


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Normal numbers with that mean and standard deviation."""
    return as_tensor(_draw(K.normal, shape, (mean, stddev), dtype, seed))


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Normal numbers, drawn again where they are more than two standard deviations from the mean."""
    return as_tensor(_draw(K.truncated_normal, shape, (mean, stddev), dtype, seed))


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    """Numbers equally likely anywhere in [minval, maxval)."""
    return as_tensor(_draw(K.uniform, shape, (minval, maxval), dtype, seed))


def randint(shape, minval, maxval, dtype="int32", seed=None):
    """Integers from minval up to but without maxval; always int64, the one integer dtype here.

    Raises:
        ValueError: no integer lies between, or a dtype that is not one of integers.
    """
    if not minval < maxval or maxval - minval >= 2**63:
        raise ValueError(f"random.randint: minval must be below maxval (by less than 2^63), got {minval}, {maxval}.")
    return constant_tensor(_draw(K.whole_numbers, shape, (minval, maxval - minval), dtype, seed, "iu"))


def categorical(logits, num_samples, dtype="int32", seed=None):
    """Draw `num_samples` classes per row of logits, class k with probability softmax(row)_k: int64 (n, num_samples)."""
    logits = as_tensor(logits)
    if logits.ndim != 2 or not logits.shape[1] or logits.dtype.kind != "f":
        raise ValueError(f"random.categorical: logits must be floats (rows, classes), got shape {logits.shape}.")
    y = empty((logits.shape[0], num_samples), np.int64)
    launch(K.categories, logits._data, _stream(seed), y)
    return constant_tensor(y)


def dropout(inputs, rate, noise_shape=None, seed=None):
    """inputs / (1 - rate) with probability 1 - rate, else 0 (see `layers.Dropout`).

    Where `noise_shape` has 1, one decision holds for the whole axis; None stands for the input's length.
    """
    inputs = as_tensor(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"random.dropout: rate must be a number in [0, 1], got {rate!r}.")
    if noise_shape is None:
        return ops.dropout(inputs, rate=rate, state=_stream(seed))
    ones = np.ones(full_noise_shape(noise_shape, inputs.shape), inputs.dtype)
    return inputs * ops.dropout(ones, rate=rate, state=_stream(seed))


def full_noise_shape(noise_shape, shape):
    """`noise_shape` with the input's lengths for its Nones.

    Raises:
        ValueError: it can't be broadcast to the input's shape.
    """
    pairs = list(zip(noise_shape, shape, strict=False))
    if len(noise_shape) != len(shape) or any(m not in (None, 1, n) for m, n in pairs):
        raise ValueError(
            f"noise_shape {noise_shape} must have 1, None or the input's length for each axis of the input, which has "
            f"shape {shape}."
        )
    return tuple(n if m is None else m for m, n in pairs)


def shuffle(x, axis=0, seed=None):
    """x with its slices along `axis` in random order. The gradient of a slice goes back to where it came from."""
    return ops.shuffle(x, axis=axis, state=_stream(seed))


__all__ = [
    "SeedGenerator",
    "categorical",
    "dropout",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]
