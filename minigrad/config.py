"""Global settings and the one random generator. This is the lowest floor: it imports nothing of minigrad.

Everything random is drawn from `generator()` (initial weights, shuffling, dropout seeds) or, where the draw may be
part of a recorded step, from `stream()`; one call of `set_seed` makes a whole run repeat to the bit. All threads share
them, but inside `with seeded(seed):` a thread has its own.
"""

import contextlib
import os
import threading

import numpy as np

_settings = {"floatx": "float32", "epsilon": 1e-7, "traceback_filtering": True, "interactive_logging": True}


class _Random:
    """A generator and a stream, both from one seed. The stream is always the same array: recorded steps read it."""

    def __init__(self, seed=None):
        self.stream = np.empty((1, 2), np.uint64)
        self.start(seed)

    def start(self, seed):
        """Start again. The stream's seed is not drawn from the generator, whose later draws would change."""
        self.generator = np.random.default_rng(seed)
        self.stream[...] = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0], 0


class _Own(threading.local):
    random = shared = _Random()  # of this thread; all threads outside of `seeded` have the same


_own = _Own()


def floatx():
    """The default dtype of weights and activations, 'float32' unless `set_floatx` changed it."""
    return _settings["floatx"]


def set_floatx(value):
    """Make 'float32' or 'float64' the dtype of every layer built from now on."""
    if value not in ("float32", "float64"):
        raise ValueError(f"floatx must be 'float32' or 'float64', got {value!r}.")
    _settings["floatx"] = value


def epsilon():
    """The small number that keeps logarithms and divisions finite, 1e-7 unless `set_epsilon` changed it."""
    return _settings["epsilon"]


def set_epsilon(value):
    """Set the number that `epsilon()` returns."""
    _settings["epsilon"] = float(value)


def backend():
    """ "minigrad": there is one back end."""
    return "minigrad"


def set_backend(backend):
    """Only "minigrad" can be set."""
    if backend != "minigrad":
        raise ValueError(f"minigrad computes everything itself: the backend can't be {backend!r}.")


def image_data_format():
    """ "channels_last": the features are the last axis."""
    return "channels_last"


def set_image_data_format(data_format):
    """Only "channels_last" can be set."""
    if data_format != "channels_last":
        raise ValueError(f"image_data_format must be 'channels_last', got {data_format!r}.")


def dtype_policy():
    """The name of the policy: weights and computations have one dtype, `floatx()`."""
    return floatx()


def set_dtype_policy(policy):
    """The same as `set_floatx`: there is no mixed precision."""
    name = getattr(policy, "name", policy)
    if name not in ("float32", "float64"):
        raise ValueError(f"The dtype policy must be 'float32' or 'float64', got {name!r}: there is no mixed precision.")
    set_floatx(name)


def _switch(name, what):
    """Keras' three functions that switch a setting on and off, and tell whether it is on."""

    def enable():
        _settings[name] = True

    def disable():
        _settings[name] = False

    def is_enabled():
        return _settings[name]

    enable.__doc__, disable.__doc__ = f"Switch on {what}", f"Switch off {what}"
    is_enabled.__doc__ = f"Whether this is on: {what}"
    return enable, disable, is_enabled


enable_traceback_filtering, disable_traceback_filtering, is_traceback_filtering_enabled = _switch(
    "traceback_filtering", "the filter of tracebacks. It changes nothing: minigrad's are short, and never filtered."
)
enable_interactive_logging, disable_interactive_logging, is_interactive_logging_enabled = _switch(
    "interactive_logging", "progress on the standard output, where verbose is 'auto'."
)


def generator():
    """The one `numpy.random.Generator` from which everything random is drawn."""
    return _own.random.generator


def stream():
    """[seed, counter], a uint64 array (1, 2). Kernels draw from it and advance it; it is always the same array."""
    return _own.random.stream


def set_seed(seed):
    """Restart the generator and the stream from `seed`, an int >= 0 (or None for entropy from the system)."""
    _own.random.start(seed)


@contextlib.contextmanager
def seeded(seed):
    """Inside, this thread draws from a generator and a stream of its own, as if `set_seed(seed)` had been called."""
    before, _own.random = _own.random, _Random(seed)
    try:
        yield
    finally:
        _own.random = before


def is_seeded():
    """Whether this thread is inside of `seeded`."""
    return _own.random is not _own.shared


def random_state():
    """The state of the generator and the stream, a dict of numbers, strings and arrays for `set_random_state`."""
    return {"generator": generator().bit_generator.state, "stream": stream().copy()}


def check_random_state(state):
    """Raise an error if `state` can't be a result of `random_state()`."""
    type(generator().bit_generator)().state = state["generator"]
    found, own = state["stream"], stream()
    if (found.shape, found.dtype) != (own.shape, own.dtype):
        raise ValueError(f"a random stream is a uint64 array {own.shape}; got {found.dtype} {found.shape}.")


def set_random_state(state):
    """Go back to a `state` from `random_state()`: the same numbers as then are drawn again."""
    check_random_state(state)
    generator().bit_generator.state = state["generator"]
    stream()[...] = state["stream"]


def draw_seed():
    """A new seed (int) for something that keeps a random stream of its own, such as a Dropout layer."""
    return int(generator().integers(1, 2**31))


class _Fork(threading.local):
    lock = None  # the shared generator's lock, which this thread holds while it forks


_fork = _Fork()


def _before_fork():
    # If another thread is drawing numbers at this moment, the generator would stay locked in the child for ever.
    _fork.lock = _own.shared.generator.bit_generator.lock
    _fork.lock.acquire()


def _after_fork():
    _fork.lock.release()


def _in_child():
    _after_fork()
    _own.shared.start([draw_seed(), os.getpid()])  # a child must repeat neither its parent's numbers nor its siblings'
    _own.random = _own.shared


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
