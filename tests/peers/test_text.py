"""Keras' own summaries and progress bars against ours, byte for byte, on random models and random epochs.

Needs Keras 3 with one of its backends: `KERAS_BACKEND=jax pytest -m peers tests/peers/test_text.py`.
"""
import contextlib
import io
import random
import time

import pytest

from minigrad.utils.progbar import Progbar
from minigrad.utils.summary import print_summary

pytestmark = pytest.mark.peers
keras = pytest.importorskip("keras")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class View:
    """A Keras layer or model behind the few attributes that our summary asks for."""

    def __init__(self, layer):
        self._layer = layer

    def __getattr__(self, name):
        return getattr(self._layer, name)

    @property
    def layers(self):
        return [view(layer) for layer in self._layer.layers]

    @property
    def output_shape(self):
        if self._layer._inbound_nodes:
            return self._layer._inbound_nodes[-1].output_tensors[0].shape
        if self._layer._build_shapes_dict:
            return self._layer.compute_output_shape(*self._layer._build_shapes_dict.values())
        raise AttributeError("output_shape")


def view(layer):
    return type(type(layer).__name__, (View,), {})(layer)


def random_name(rng):
    words = ["block", "projection", "a", "head_of_the_network", "[x]", "bn 1", "x" * rng.randint(1, 60)]
    return "_".join(rng.choices(words, k=rng.randint(1, 4))) + f".{rng.randrange(10**6)}"


def random_layers(rng, depth=0):
    makers = [
        lambda **kw: keras.layers.Dense(rng.choice([1, 7, 64, 3000]), use_bias=rng.random() < 0.8, **kw),
        lambda **kw: keras.layers.BatchNormalization(scale=rng.random() < 0.7, **kw),
        lambda **kw: keras.layers.LayerNormalization(**kw),
        lambda **kw: keras.layers.Activation("relu", **kw),
        lambda **kw: keras.layers.Dropout(0.5, **kw),
    ]
    if depth < 2:
        makers.append(lambda **kw: random_model(rng, depth + 1, **kw))
    for _ in range(rng.randint(1, 5)):
        name = {"name": random_name(rng)} if rng.random() < 0.4 else {}
        layer = rng.choice(makers)(**name)
        layer.trainable = rng.random() < 0.8
        yield layer


def random_model(rng, depth=0, **kw):
    model = keras.Sequential(**kw)
    # A nested model's input is what the layer before it gives.
    if depth == 0 and rng.random() < 0.8:
        model.add(keras.Input((rng.choice([1, 20, 500]),), batch_size=rng.choice([None, 32])))
    for layer in random_layers(rng, depth):
        model.add(layer)
    return model


@pytest.fixture(autouse=True)
def colours(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize("seed", range(60))
def test_summary(seed, monkeypatch):
    rng = random.Random(seed)
    model = random_model(rng)
    if rng.random() < 0.5:
        model.compile(rng.choice(["sgd", "adam"]), loss="mse")
        if model.built:
            model.optimizer.build(model.trainable_variables)
    names = [layer.name for layer in model.layers]
    for _ in range(4):
        monkeypatch.setenv("COLUMNS", str(rng.choice([40, 60, 80, 100, 200])))
        options = {
            "line_length": rng.choice([None, rng.randint(40, 120)]),
            "positions": rng.choice([None, None, [0.3, 0.6, 1.0]]),
            "expand_nested": rng.random() < 0.5,
            "show_trainable": rng.random() < 0.5,
            "layer_range": rng.choice([None, [rng.choice(names)[:3].replace("[", "."), ".*"]]),
        }
        theirs = texts(keras.Sequential.summary, model, options)
        assert texts(print_summary, view(model), options) == theirs, options


def texts(summary, model, options):
    """What is drawn on a terminal, what goes to a file, what a `print_fn` is given; or the kind of error."""
    drawn = []
    try:
        for stdout in Terminal(), io.StringIO():
            with contextlib.redirect_stdout(stdout):
                summary(model, **options)
            drawn.append(stdout.getvalue())
        summary(model, print_fn=drawn.append, **options)
    except ValueError:
        return ValueError
    return drawn


@pytest.mark.parametrize("seed", range(60))
def test_progbar(seed, monkeypatch):
    rng = random.Random(seed)
    now = [1e6]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "500")
    target = rng.choice([None, 0, 1, 7, 10, 999, 1000, 12345])
    averaging = rng.choice([{}, {"stateless_metrics": []}, {"stateful_metrics": ["loss"]},
                            {"stateless_metrics": ["loss"]}])
    options = {"target": target, "verbose": rng.choice([0, 1, 1, 1, 2]), "interval": 0.1, **averaging,
               "width": rng.choice([20, 20, 33]), "unit_name": rng.choice(["step", "sample"])}
    outputs = Terminal(), Terminal()
    bars = []
    for Bar, output in zip((keras.utils.Progbar, Progbar), outputs):
        with contextlib.redirect_stdout(output):
            bars.append(Bar(**options))
    pace = 10 ** rng.uniform(-5, 3)
    done = 0
    steps = max(1, (target or 100) // rng.choice([7, 130, 1000]))
    ended = False
    while not ended:
        now[0] += pace * steps * rng.random()
        done += steps
        values = [(name, rng.choice([0.0, rng.gauss(0, 1), 1e-3, -1e-4, float("nan")]))
                  for name in ("accuracy", "loss", "val_loss")[:rng.randint(0, 3)]]
        finalize = done >= 100 if target is None else rng.choice([None, done >= target])
        ended = finalize or target is not None and done >= target
        for bar, output in zip(bars, outputs):
            with contextlib.redirect_stdout(output):
                bar.update(done, list(values), finalize)
    assert outputs[0].getvalue() == outputs[1].getvalue()
