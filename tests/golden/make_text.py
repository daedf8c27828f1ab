"""Make summary.json and progbar.json beside this file: what the real Keras prints, and what it was asked.

Run it where Keras 3 and one of its backends are installed: `KERAS_BACKEND=tensorflow python make_text.py`.
"""
import contextlib
import io
import json
import os
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


# --- summaries

def article_model():
    return keras.Sequential([
        keras.Input((20,)),
        layers.Dense(64), layers.BatchNormalization(), layers.Activation("relu"),
        layers.Dense(32), layers.BatchNormalization(), layers.Activation("relu"),
        layers.Dense(1, activation="sigmoid"),
    ])


def fitted_model():
    model = article_model()
    model.compile("adam", "binary_crossentropy")
    model.fit(np.zeros((8, 20)), np.zeros(8), verbose=0)
    return model


def unbuilt_model():
    return keras.Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Activation("relu")])


def frozen_model():
    model = article_model()
    for layer in model.layers[:3]:
        layer.trainable = False
    model.layers[4].trainable = False
    return model


def nested_model():
    core = keras.Sequential([layers.Dense(7, name="query"), layers.Dropout(0.1)], name="core")
    block = keras.Sequential([layers.LayerNormalization(), core, layers.Dense(16)], name="block")
    block.layers[2].trainable = False
    return keras.Sequential([keras.Input((16,), batch_size=32), block, layers.Dense(1)], name="outer")


def awkward_model():
    return keras.Sequential([
        keras.Input((256,)),
        layers.Dense(1, use_bias=False, trainable=False, name="exactly one kilobyte"),
        layers.Dense(3000, name="a_name_much_longer_than_its_column_and_without_a_single_space_to_wrap_at"),
        layers.Dense(3000, name="three words and [bold] markup"),
        layers.Flatten(),
    ], name="a model with a title that does not fit into a narrow window, so that it wraps")


MODELS = {make.__name__: make for make in
          (article_model, fitted_model, unbuilt_model, frozen_model, nested_model, awkward_model)}
EVERYTHING = {"expand_nested": True, "show_trainable": True}
SUMMARIES = [
    *[(name, {}, 80, terminal) for name in MODELS for terminal in (False, True)],
    *[(name, EVERYTHING, 100, terminal) for name in MODELS for terminal in (False, True)],
    *[("awkward_model", EVERYTHING, columns, True) for columns in (40, 60, 80, 200)],
    *[("article_model", {}, columns, False) for columns in (40, 60, 100, 200)],
    *[("article_model", {"line_length": length}, 200, False) for length in (40, 57, 63, 88, 99, 120)],
    ("article_model", {"line_length": 120}, 80, False),
    ("article_model", {"positions": [0.3, 0.6, 1.0]}, 80, False),
    ("article_model", {"positions": [0.3, 0.6, 1.0], "show_trainable": True}, 80, False),
    ("article_model", {"layer_range": ["dense", "dense_1"]}, 80, False),
    ("article_model", {"layer_range": ["batch.*", "act"]}, 80, False),
    ("article_model", {"layer_range": ["dense_2", "dense$"]}, 80, False),
    ("nested_model", {"layer_range": ["block", "block"], "expand_nested": True}, 80, False),
]


def describe(layer):
    """What a summary asks of a layer, as plain data."""
    description = {
        "class": type(layer).__name__,
        "name": layer.name,
        "built": layer.built,
        "trainable": layer.trainable,
        "trainable_weights": variables(layer.trainable_weights),
        "non_trainable_weights": variables(layer.non_trainable_weights),
    }
    if layer._inbound_nodes:
        description["output_shape"] = layer._inbound_nodes[-1].output_tensors[0].shape
    if hasattr(layer, "layers"):
        description["layers"] = [describe(inner) for inner in layer.layers]
    if getattr(layer, "optimizer", None):
        description["optimizer"] = variables(layer.optimizer.variables)
    return description


def variables(weights):
    return [[str(weight.dtype), *weight.shape] for weight in weights]


def make_summaries():
    models = {}
    for name, make in MODELS.items():
        keras.utils.clear_session()
        models[name] = make()
    cases = []
    for name, options, columns, terminal in SUMMARIES:
        os.environ["COLUMNS"] = str(columns)
        with contextlib.redirect_stdout(Terminal() if terminal else io.StringIO()) as stdout:
            models[name].summary(**options)
        cases.append({"model": name, "options": options, "columns": columns, "terminal": terminal,
                      "lines": stdout.getvalue().splitlines(keepends=True)})
    return {"models": {name: describe(model) for name, model in models.items()}, "cases": cases}


# --- progress bars

def evenly(steps, pace, *names, every=1, finalize=None):
    """Updates (time, current, values, finalize): a loss that falls, named by each of `names`."""
    for done in range(every, steps + 1, every):
        values = [[name, round((i + 1) / done - 0.05, 6)] for i, name in enumerate(names)]
        yield [round(done * pace, 9), done, values, finalize]


def trained(steps, pace, every=1):
    """The updates of a trainer: running values as given, and those of validation once all steps are done."""
    yield from evenly(steps, pace, "accuracy", "loss", every=every, finalize=False)
    yield [round(steps * pace + 0.5, 9), steps,
           [["accuracy", 0.5288], ["loss", 0.6943], ["val_accuracy", 0.0], ["val_loss", 7e-4]], True]


AS_GIVEN = {"stateless_metrics": []}
PROGBARS = {
    "trainer": ({"target": 25, **AS_GIVEN}, trained(25, 0.15)),
    "trainer in slices": ({"target": 1000, **AS_GIVEN}, trained(1000, 2e-4, every=250)),
    "trainer, one line": ({"target": 25, "verbose": 2, **AS_GIVEN}, trained(25, 0.15)),
    "trainer, silent": ({"target": 25, "verbose": 0, **AS_GIVEN}, trained(25, 0.15)),
    "trainer, unknown length": ({"target": None, **AS_GIVEN}, trained(12, 0.3)),
    "averages": ({"target": 8}, evenly(8, 0.2, "loss", "mae")),
    "averages, stateful": ({"target": 8, "stateful_metrics": ["mae"]}, evenly(8, 0.2, "loss", "mae")),
    "averages, stateless": ({"target": 8, "stateless_metrics": ["mae"]}, evenly(8, 0.2, "loss", "mae")),
    "averages of samples": ({"target": 96, "unit_name": "sample"}, evenly(96, 0.01, "loss", every=32)),
    "averages, one line": ({"target": 8, "verbose": 2}, evenly(8, 0.2, "loss", "mae")),
    "no values, wide": ({"target": 3, "width": 41}, evenly(3, 1.7)),
    "microseconds": ({"target": 4000}, evenly(4000, 3e-5, every=400)),
    "redraws by time": ({"target": 50}, evenly(50, 0.03, "loss")),
    "hours left": ({"target": 9}, evenly(9, 3600.5, "loss")),
    "minutes left": ({"target": 9}, evenly(9, 15.25, "loss")),
    "nothing to do": ({"target": 0}, [[0.0, 0, [], None]]),
    "one step": ({"target": 1}, [[2.0, 1, [["loss", -0.25]], None]]),
    "one step, one line": ({"target": 1, "verbose": 2}, [[2.0, 1, [["loss", -0.25]], None]]),
}


def make_progbars():
    cases = {}
    clock = time.time
    for name, (options, updates) in PROGBARS.items():
        cases[name] = {"options": options, "updates": []}
        with contextlib.redirect_stdout(Terminal()) as stdout:
            # Keras takes the first drawing for due only because its clock is far from zero.
            time.time = lambda: 1e6
            bar = keras.utils.Progbar(interval=0.1, **options)
            for now, current, values, finalize in updates:
                time.time = lambda now=now: 1e6 + now
                start = stdout.tell()
                bar.update(current, values, finalize)
                cases[name]["updates"].append([now, current, values, finalize, stdout.getvalue()[start:]])
    time.time = clock
    return cases


def readable(value, indent=""):
    """JSON with one line for whatever fits into one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= 110 or not isinstance(value, (dict, list)):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {readable(item, inner)}" for key, item in value.items()]
    else:
        items = [readable(item, inner) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{end}"


if __name__ == "__main__":
    os.environ["TERM"] = "xterm-256color"
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        os.environ.pop(name, None)
    for name, content in {"summary": make_summaries(), "progbar": make_progbars()}.items():
        (HERE / f"{name}.json").write_text(readable(content) + "\n", encoding="utf-8")
