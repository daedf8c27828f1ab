"""Makes `functional/`: functional models as Keras and tf_keras write them, and what they predict.

    python tests/golden/make_functional.py keras        keras.keras, keras.h5, and keras.txt with the summary
    python tests/golden/make_functional.py tf_keras     tf_keras.keras, tf_keras.h5

Two inputs and outputs, a shared layer, nested models of both kinds; of Keras also operations (but in the .h5 file,
which it could not read itself). They give what is in `expected.npz` for the rows `rows(4)` and `rows(3)`.
"""

import importlib
import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "functional"


def rows(width):
    return np.random.default_rng(width).standard_normal((6, width)).astype("float32")


def branches(library, with_operations):
    """The model; `minigrad` can make it, too."""
    library.utils.set_random_seed(1)
    layers = library.layers
    a, b = library.Input((4,), name="a"), library.Input((3,), name="b")
    shared = layers.Dense(4, activation="tanh", name="shared")
    chain = library.Sequential([library.Input((4,)), layers.Dense(3, name="in_chain")], name="chain")
    inner = library.Input((3,), name="inner")
    graph = library.Model(inner, layers.Dense(3, activation="relu", name="in_graph")(inner), name="graph")
    x = shared(shared(a))
    y, z = graph(chain(x)), graph(b)
    if with_operations:
        y = library.ops.concatenate([y[:, 1:], 2.0 * z - library.ops.mean(b, axis=1, keepdims=True)], axis=-1)
    y = layers.Dropout(0.5, name="dropout")(layers.Dense(2, name="last")(y))
    return library.Model([a, b], [y, z], name="branches")


if __name__ == "__main__":
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "80"}
    library = importlib.import_module(sys.argv[1])
    HERE.mkdir(exist_ok=True)
    known = dict(np.load(HERE / "expected.npz")) if (HERE / "expected.npz").exists() else {}
    for ending in ("keras", "h5"):
        name = f"{library.__name__}.{ending}"
        model = branches(library, with_operations=name == "keras.keras")
        model.save(HERE / name)
        known |= {f"{name}/{i}": y for i, y in enumerate(model.predict([rows(4), rows(3)], verbose=0))}
        if name == "keras.keras":
            model.summary(print_fn=lambda text: (HERE / "keras.txt").write_text(text, encoding="utf-8"))
    np.savez_compressed(HERE / "expected.npz", **known)
