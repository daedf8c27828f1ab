"""Small models, data and comparisons that several test files share.

Everything made here is the same for the same arguments, whatever ran before.
"""

import contextlib
import gc
import importlib.util
import os
import sys
import threading
import warnings

import numpy as np
import pytest

import minigrad as keras
from minigrad.trainer import templates


def data(rows=42, width=5, target="binary", seed=0, dtype="float32"):
    """Rows that can be learned from, and their targets; 42 rows in batches of 8 leave a last batch of 2."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, width)) * 2 + 1
    scores = x @ generator.standard_normal((width, 3)) + generator.standard_normal((rows, 3)) * 0.3
    y = {
        "binary": (scores[:, :1] > scores[:, :1].mean()).astype(dtype),
        "labels": scores.argmax(1),
        "one-hot": np.eye(3)[scores.argmax(1)].astype(dtype),
        "regression": scores[:, :1].astype(dtype),
    }[target]
    return x.astype(dtype), y


def random_input(shape, seed=0, dtype="float64"):
    """Normal numbers, none of them near the kinks of the piecewise linear layers."""
    x = np.random.default_rng(seed).standard_normal(shape)
    for kink in (0.0, 0.2, 1.5):
        x[np.abs(x - kink) < 1e-3] += 0.01
    return x.astype(dtype)


def shaken(layer):
    """The built layer with every weight moved off its initial value, so that zeros and ones hide nothing."""
    generator = np.random.default_rng(5)
    layer.set_weights([w + generator.uniform(0.1, 0.9, w.shape).astype(w.dtype) for w in layer.get_weights()])
    return layer


HEADS = {
    "binary": (1, "sigmoid", "binary_crossentropy"),
    "labels": (3, "softmax", "sparse_categorical_crossentropy"),
    "one-hot": (3, "softmax", "categorical_crossentropy"),
    "regression": (1, None, "mean_squared_error"),
}


def network(target="binary", width=5, dropout=0.0, seed=1, optimizer=None, **compile_arguments):
    """A small compiled model of the article's kind: Dense, BatchNormalization, relu (, Dropout), Dense."""
    keras.utils.set_random_seed(seed)
    keras.utils.clear_session()
    units, activation, loss = HEADS[target]
    layers = [
        keras.layers.Dense(4),
        keras.layers.BatchNormalization(momentum=0.8),
        keras.layers.Activation("relu"),
    ]
    if dropout:
        layers.append(keras.layers.Dropout(dropout))
    layers.append(keras.layers.Dense(units, activation=activation))
    model = keras.Sequential([keras.Input((width,)), *layers])
    compile_arguments = {
        "loss": loss,
        "metrics": ["accuracy"] if activation else ["mae"],
        **compile_arguments,
    }
    model.compile(optimizer or keras.optimizers.Adam(0.01), **compile_arguments)
    return model


def state(model):
    """Copies of everything that training moves: weights, optimizer, metrics, random streams."""
    found = {f"weight {i} {v.path}": v.numpy() for i, v in enumerate(model.weights)}
    if model.optimizer is not None and model.optimizer.built:
        found |= {f"optimizer {i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    found |= {f"metric {m.name} {v.name}": v.numpy() for m in model.metrics for v in m.variables}
    return found | {f"stream {i}": stream.copy() for i, stream in enumerate(streams(model))}


def streams(layer):
    """The states of the random numbers that a layer and those below draw."""
    found = [stream for below in layer._all_layers() for stream in below._own_streams()]
    return list({id(stream): stream for stream in found}.values())


def assert_same(actual, expected):
    """Equal to the bit, dtype and shape included: of arrays, dicts, lists, numbers."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            try:
                assert_same(actual[key], expected[key])
            except AssertionError as error:
                raise AssertionError(f"{key}: {error}") from None
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected, strict=True):
            assert_same(a, b)
    else:
        a, b = np.asarray(actual), np.asarray(expected)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.tobytes() != b.tobytes():
            np.testing.assert_array_equal(a, b)
            raise AssertionError("equal, but for the sign of a zero or the bits of a NaN")


def bare_environment(**variables):
    """Environment variables for another process: these and no others, but where compiled kernels are kept."""
    return {name: value for name, value in os.environ.items() if name == "NUMBA_CACHE_DIR"} | variables


def load_script(path):
    """The file as a module: its functions and classes, without what runs under `__name__ == "__main__"`."""
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # a dataclass and Numba ask for it there
    spec.loader.exec_module(module)
    return module


class Quiet:
    """Context manager: any warning inside is an error, whatever the filters outside."""

    def __enter__(self):
        self._catcher = warnings.catch_warnings()
        self._catcher.__enter__()
        warnings.simplefilter("error")

    def __exit__(self, *error):
        return self._catcher.__exit__(*error)


@contextlib.contextmanager
def recordings():
    """The titles of the Programs that are recorded inside, or taken from a template."""
    titles = []

    def counting(original):
        def made(self, *args, **kwargs):
            original(self, *args, **kwargs)
            titles.append(self.title)

        return made

    with pytest.MonkeyPatch.context() as patch:
        for kind in (keras.Program, templates._Twin):
            patch.setattr(kind, "__init__", counting(kind.__init__))
        yield titles


@contextlib.contextmanager
def no_thread_stays():
    """All threads that are started inside end there, whichever there were; but the crew of lanes waits for more work."""
    before = set(threading.enumerate())
    yield
    started = [t for t in threading.enumerate() if t not in before and t.name != "minigrad"]
    for thread in started:
        thread.join(10)  # it may be about to end
    assert not any(thread.is_alive() for thread in started)


def one_by_one(model, x, y, batch_size, epochs=1, w=None):
    """Train with `train_on_batch`, in order."""
    for _ in range(epochs):
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            model.train_on_batch(x[rows], y[rows], None if w is None else w[rows])
    return model


def batches(x, y, size=8, w=None):
    """The rows in order, as a generator of batches."""
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        yield (x[rows], y[rows]) if w is None else (x[rows], y[rows], w[rows])


class Log(keras.callbacks.Callback):
    """Writes down every call of every hook."""

    def __init__(self, batches=True):
        super().__init__()
        self.calls = []
        for hook in [n for n in dir(keras.callbacks.Callback) if n.startswith("on_")]:
            if ("batch" not in hook or batches) and hook not in ("on_batch_begin", "on_batch_end"):
                setattr(self, hook, self.writer(hook))

    def writer(self, hook):
        def write(*arguments, **keywords):
            *index, logs = arguments
            self.calls.append((hook.removeprefix("on_"), *index, dict(logs)))

        return write

    @property
    def names(self):
        return [name for name, *_ in self.calls]

    def logs(self, name):
        return [call[-1] for call in self.calls if call[0] == name]


def frames(function):
    """How many Python functions are entered by a call of `function`, itself not counted."""
    count = [-2]  # itself, and sys.setprofile at the end

    def profile(frame, event, argument):
        count[0] += event == "call"

    gc.collect()
    gc.disable()  # what is called where memory is freed is not the function's
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count[0] + 1
