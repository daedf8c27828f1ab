"""From a CSV file with columns of words and numbers to a trained model, in minigrad and in Keras on TensorFlow.

    python benchmarks/tables.py [--rows 200000] [--rounds 3] [--peers keras-tf]

The file has 20 columns of words (of 20 different ones each) and 20 of numbers. The same script reads it with pandas,
adapts StringLookup and Normalization to the columns, and trains a network on them for two epochs. Each round is a
process of its own; the seconds that count are those of the whole process, and each side's best round counts. `prepared`
is an epoch on arrays that were prepared beforehand, by which one sees what the raw columns cost.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

COUNT, WORDS, BATCH = 20, 20, 256
GOAL = 5  # the seconds of Keras on TensorFlow over minigrad's


def write(path, rows):
    """The table, as CSV. The label depends on a word and on numbers."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    ends = "field", "bridge", "ham", "ford", "ton"
    words = np.array([f"{a}{b}" for a in ("north", "south", "east", "west") for b in ends])
    chosen = random.integers(0, WORDS, (COUNT, rows))
    numbers = random.normal(size=(COUNT, rows)).round(4)
    label = numbers[:5].sum(0) + (chosen[0] - WORDS / 2) / 4 + random.normal(size=rows) > 0
    columns = {f"word_{i}": words[one] for i, one in enumerate(chosen)}
    columns |= {f"number_{i}": one for i, one in enumerate(numbers)}
    pd.DataFrame(columns | {"label": label.astype(int)}).to_csv(path, index=False)


def train(side, path):
    """Seconds for each part of the script."""
    marks = [time.perf_counter()]
    from common import library

    keras = library(side)
    import pandas as pd

    layers = keras.layers
    marks.append(time.perf_counter())
    frame = pd.read_csv(path)
    y = frame.pop("label").to_numpy()
    marks.append(time.perf_counter())
    inputs, encoded = {}, []
    for name in frame.columns:
        column = frame[name].to_numpy()
        if column.dtype.kind == "f":
            inputs[name], layer = layers.Input((1,), name=name), layers.Normalization()
            layer.adapt(column[:, None].astype("float32"))
            encoded.append(layer(inputs[name]))
        else:
            inputs[name], layer = layers.Input((1,), dtype="string", name=name), layers.StringLookup()
            layer.adapt(column.astype(object))
            one_hot = layers.CategoryEncoding(layer.vocabulary_size(), output_mode="one_hot")
            encoded.append(one_hot(layer(inputs[name])))
    marks.append(time.perf_counter())
    side_by_side = layers.Concatenate()(encoded)
    hidden = layers.Dense(32, activation="relu")(layers.Dense(64, activation="relu")(side_by_side))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x = {name: as_column(frame[name]) for name in frame.columns}
    size = BATCH if side == "minigrad" else None
    history = model.fit(*given(side, x, y), batch_size=size, epochs=2, verbose=0).history
    marks.append(time.perf_counter())
    parts = dict(zip(("import", "read", "adapt", "fit"), (b - a for a, b in zip(marks, marks[1:]))))
    return {**parts, "accuracy": history["accuracy"][-1], "prepared": prepared(side, keras, x, y, inputs, side_by_side)}


def given(side, x, y):
    """The data of `fit`. Keras on TensorFlow takes no columns of words but from tf.data."""
    if side == "minigrad":
        return x, y
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(y))
    return (data.batch(BATCH).prefetch(tf.data.AUTOTUNE),)


def as_column(column):
    """A column of two axes, in single precision."""
    array = column.to_numpy()
    return array[:, None].astype("float32" if array.dtype.kind == "f" else object)


def prepared(side, keras, x, y, inputs, encoded):
    """Seconds of two epochs on what the preparing layers make of the columns."""
    arrays = keras.Model(inputs, encoded).predict(*given(side, x, y)[:1], verbose=0)
    layers = keras.layers
    model = keras.Sequential([
        layers.Input(arrays.shape[1:]), layers.Dense(64, activation="relu"), layers.Dense(32, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    begin = time.perf_counter()
    model.fit(arrays, y, batch_size=BATCH, epochs=2, verbose=0)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=["keras-tf"])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(train(*options.worker)))
        return
    best, environment = {}, {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "table.csv")
        write(path, options.rows)
        for _ in range(options.rounds):
            for side in ("minigrad", *options.peers):
                command = [sys.executable, __file__, "--worker", side, path]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{side}: {done.stderr}")
                found = json.loads(done.stdout.splitlines()[-1])
                found["whole"] = sum(found[part] for part in ("import", "read", "adapt", "fit"))
                if side not in best or found["whole"] < best[side]["whole"]:
                    best[side] = found
    columns = ("import", "read", "adapt", "fit", "whole", "prepared", "accuracy")
    print(f"{options.rows} rows, seconds".ljust(24), *(column.rjust(9) for column in columns))
    for side, found in best.items():
        print(side.ljust(24), *(f"{found[column]:9.2f}" for column in columns))
    for side in options.peers:
        times = best[side]["whole"] / best["minigrad"]["whole"]
        print(f"{side} takes {times:.1f} times as long (goal: {GOAL})")


if __name__ == "__main__":
    main()
