"""What options cost: the article's training step with one thing more switched on, against the plain one.

    python benchmarks/options.py [--model article-32] [--rounds 9] [--quick] [--json FILE]

Measured is `fit()`, all variants in turns in one process, each one's best round. Goal: at most 15 % each.
"""
import tempfile
import time
from pathlib import Path

import minigrad as keras
from common import MODELS, data, machine, number, options, parse, save, table, verdict

GOAL = 1.15
PENALTY = {"kernel_regularizer": "l2"}


def network(model, optimizer=None, **dense):
    """The benchmark's model with another optimizer, or with more arguments for each hidden Dense."""
    layers = [keras.Input(shape=(model.widths[0],))]
    for units in model.hidden:
        layers += [
            keras.layers.Dense(units, **dense), keras.layers.BatchNormalization(), keras.layers.Activation("relu"),
        ]
    activation = "sigmoid" if model.binary else "softmax"
    net = keras.Sequential([*layers, keras.layers.Dense(model.widths[-1], activation=activation)])
    loss = "binary_crossentropy" if model.binary else "sparse_categorical_crossentropy"
    net.compile(optimizer or keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    return net


def variants(model, folder):
    """{name: (model, callbacks)}: the plain step first."""
    optimizers, callbacks = keras.optimizers, keras.callbacks
    schedule = optimizers.schedules.CosineDecay(1e-3, 100_000)
    usual = [
        callbacks.EarlyStopping(monitor="loss", patience=10**6),
        callbacks.ReduceLROnPlateau(monitor="loss", patience=10**6),
        callbacks.CSVLogger(str(Path(folder, "log.csv"))),
        callbacks.TerminateOnNaN(),
    ]
    return {
        "plain": (network(model), []),
        "callbacks: EarlyStopping, ReduceLROnPlateau, CSVLogger, TerminateOnNaN": (network(model), usual),
        "kernel_regularizer='l2' of the hidden layers": (network(model, **PENALTY), []),
        "AdamW": (network(model, optimizers.AdamW(1e-3)), []),
        "clipnorm": (network(model, optimizers.Adam(1e-3, clipnorm=1.0)), []),
        "global_clipnorm": (network(model, optimizers.Adam(1e-3, global_clipnorm=1.0)), []),
        "clipvalue": (network(model, optimizers.Adam(1e-3, clipvalue=0.5)), []),
        "schedule: CosineDecay": (network(model, optimizers.Adam(schedule)), []),
    }


def main():
    """Measure and print."""
    parser = options(__doc__, rounds=9)
    parser.add_argument("--model", choices=MODELS, default="article-32")
    arguments = parse(parser)
    model, where = MODELS[arguments.model], machine()
    x, y = data(model)
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        nets = variants(model, folder)
        for turn in range(arguments.rounds + 1):
            for name, (net, callbacks) in nets.items():
                epochs = 1 if arguments.quick or turn == 0 else 5
                start = time.perf_counter()
                net.fit(x, y, batch_size=model.batch, epochs=epochs, callbacks=callbacks, verbose=0)
                took = (time.perf_counter() - start) / (epochs * model.steps) * 1e6
                if turn:  # the first one compiles and records
                    best[name] = min(best.get(name, took), took)
    lines = [[model.title, "us a step", "times the plain one", f"goal {GOAL}"]]
    for name, took in best.items():
        ratio = took / best["plain"]
        goal = "" if name == "plain" else verdict(GOAL, ratio <= GOAL)
        lines.append([name, number(took), f"{ratio:.2f}", goal])
    print(table(lines))
    print(f"\n{where}\nBest of {arguments.rounds} rounds in turns.")
    save(arguments.json, machine=where, us=best)


if __name__ == "__main__":
    main()
