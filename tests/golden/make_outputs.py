"""Writes outputs.json: what the real Keras logs and returns for models of several outputs.

The cases are plain data, and run with any library: `outcome(minigrad, CASES[name])`. All batches have as many rows:
on TensorFlow the mean of an output's loss would not heed how many.

    python tests/golden/make_outputs.py
"""

import json
import os
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("outputs.json")
_RANDOM = np.random.default_rng(11)
X = _RANDOM.standard_normal((42, 4)).astype("float32")
B = (X[:, :2] * 2 + 1).astype("float32")  # targets of the output "b", (n, 2),
A = (X[:, 1:2] - X[:, 2:3] > 0).astype("float32")  # and of "a", (n, 1)
C = (X @ _RANDOM.standard_normal((4, 3))).argmax(1)  # and of "c", of three classes
W, V, U = _RANDOM.uniform(0, 2, (3, 42)).astype("float32")


def model(library, tree):
    """b, a and c of one hidden layer, in a tree of that name; the weights are the same in every library."""
    layers = library.layers
    h, b = layers.Dense(5, activation="tanh"), layers.Dense(2, name="b")
    a, c = layers.Dense(1, activation="sigmoid", name="a"), layers.Dense(3, activation="softmax", name="c")

    def outputs(x):
        x = h(x)
        return {
            "list": lambda: [b(x), a(x), c(x)],
            "dict": lambda: {"b": b(x), "a": a(x), "c": c(x)},
            "other keys": lambda: {"q": b(x), "p": a(x), "z": c(x)},
            "nested": lambda: {"k": [b(x), a(x)], "j": c(x)},
            "one in a dict": lambda: {"a": a(x)},
        }[tree.removeprefix("own ")]()

    class Own(library.Model):
        def __init__(self):
            super().__init__()
            self.parts = [h, b, a, c]

        def call(self, inputs):
            return outputs(inputs)

    if tree.startswith("own "):
        made = Own()
        made(X[:1])
    else:
        x = library.Input((4,), name="x")
        made = library.Model(x, outputs(x))
    made.set_weights([np.sin(3 * np.arange(w.size) + w.size).reshape(w.shape) * 0.7 for w in made.get_weights()])
    return made


def case(tree, y, loss, metrics=None, weighted_metrics=None, loss_weights=None, **fit):
    """`{"class": arguments}` among the losses and metrics stands for an instance."""
    compiled = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics, "loss_weights": loss_weights}
    return {"tree": tree, "y": y, "compile": compiled, "fit": fit}


LIST, DICT = [B, A, C], {"a": A, "c": C, "b": B}
LOSSES = {"b": "mse", "a": "binary_crossentropy", "c": "sparse_categorical_crossentropy"}
CASES = {
    "lists": case("list", LIST, [*LOSSES.values()], [["mae"], ["accuracy", "mse"], ["accuracy"]], None, [0.5, 2.0, 1.0]),
    "dicts by names": case("list", DICT, LOSSES, {"a": ["accuracy"], "c": "acc"}, None, {"c": 0.3, "b": 1, "a": 2.0}),
    "dicts": case("dict", DICT, LOSSES, {"b": ["mae", "mse"], "c": ["accuracy"]}, None, {"c": 0.3, "b": 1.0, "a": 2.0}),
    "other order": case("dict", DICT, dict(sorted(LOSSES.items())), [None, "mae", ["accuracy"]]),
    "keys that are no names of layers": case(
        "other keys", {"q": B, "p": A, "z": C}, {"p": "mse", "q": "mae", "z": "ce"}, {"q": ["mse"], "z": ["accuracy"]},
    ),
    "a list for a dict": case("dict", [A, B, C], ["mse", "mae", "sparse_categorical_crossentropy"]),
    "nested": case(
        "nested", {"k": [B, A], "j": C}, {"k": ["mse", "mae"], "j": "crossentropy"},
        {"k": [["mae"], ["mse"]], "j": ["accuracy"]}, None, {"k": [1.0, 2.0], "j": 0.5},
    ),
    "one loss": case("own dict", {"b": B, "a": A, "c": np.eye(3, dtype="float32")[C]}, "mse", {"b": ["mae"]}),
    "one weight": case("list", [B, A, np.eye(3, dtype="float32")[C]], "mae", ["mse", "mse", "mse"], None, 0.5),
    "no loss for some": case("list", LIST, ["mse", None, None], [None, "mae", None]),
    "targets for some": case("list", [A], [None, "mse", None]),
    "some of a dict": case("dict", {"a": A, "b": B}, {"b": "mse", "a": {"Huber": {"delta": 0.3}}}),
    "one in a dict": case("one in a dict", {"a": A}, {"a": "mse"}, {"a": ["accuracy"]}, None, {"a": 0.5}),
    "weights for all": case(
        "list", LIST, [*LOSSES.values()], [["mae"], None, None], [["mae", "mse"], ["mae", "accuracy"], []],
        sample_weight=W, validation_data=(X[:9], [B[:9], A[:9], C[:9]]),
    ),
    "weights for each": case(
        "dict", DICT, LOSSES, None, {"b": ["mae"], "a": [{"AUC": {"name": "auc"}}], "c": ["accuracy"]},
        sample_weight={"b": W, "a": V, "c": U}, validation_split=1 / 3,
    ),
    "weights for some": case("list", LIST, [*LOSSES.values()], None, ["mae", "mae", "acc"], sample_weight=[W, None, V]),
    "validation with weights": case(
        "list", LIST, [*LOSSES.values()], validation_data=(X[:9], [B[:9], A[:9], C[:9]], [W[:9], V[:9], U[:9]]),
    ),
    "metrics with state": case(
        "list", LIST, [*LOSSES.values()],
        [[{"R2Score": {}}, {"RootMeanSquaredError": {"name": "root"}}], [{"AUC": {"name": "auc"}},
         {"Precision": {"name": "p"}}], [{"SparseTopKCategoricalAccuracy": {"k": 2, "name": "top"}}]],
    ),
    "outputs without names": case(
        "own list", LIST, ["mse", "mae", "sparse_categorical_crossentropy"], [["mse"], ["mae"], ["accuracy"]],
    ),
    "one metric twice": case("own list", LIST, ["mse", "mae", "ce"], [["mae"], ["mae"], []], [["mse", "mae"], [], []]),
    "reductions": case(
        "dict", DICT, {"a": {"MeanSquaredError": {"reduction": "sum"}}, "c": "ce",
                       "b": {"MeanAbsoluteError": {"reduction": "mean_with_sample_weight"}}},
        loss_weights={"a": 0.05, "b": 1.0, "c": 1.0}, sample_weight={"b": W, "a": V, "c": U},
    ),
}  # fmt: skip


def _instances(kind, part):
    """The tree `part` with an instance of a class of the module `kind` for each {"Class": arguments}."""
    if isinstance(part, list):
        return [_instances(kind, one) for one in part]
    if not isinstance(part, dict):
        return part
    name = next(iter(part))
    return getattr(kind, name)(**part[name]) if name[0].isupper() else {k: _instances(kind, v) for k, v in part.items()}


def compiled(library, case, **options):
    """The model of a case, compiled."""
    made = model(library, case["tree"])
    kinds = {"loss": library.losses}
    arguments = {key: _instances(kinds.get(key, library.metrics), value) for key, value in case["compile"].items()}
    made.compile(library.optimizers.SGD(0.1), **arguments, **options)
    return made


def outcome(library, case, **options):
    """What can be seen of a case: logs and returned values, with the order of names."""
    made, y, w = compiled(library, case, **options), case["y"], case["fit"].get("sample_weight")
    history = made.fit(X, y, batch_size=14, epochs=2, shuffle=False, verbose=0, **case["fit"]).history
    seen = {
        "history": [[key, [float(np.sum(value)) for value in values]] for key, values in history.items()],
        "evaluate": made.evaluate(X, y, batch_size=14, sample_weight=w, verbose=0),
        "return_dict": [*made.evaluate(X, y, batch_size=14, verbose=0, return_dict=True).items()],
        "test_on_batch": made.test_on_batch(X, y, sample_weight=w),
        "train_on_batch": made.train_on_batch(X, y, sample_weight=w),
        "return_dict of train_on_batch": [*made.train_on_batch(X, y, return_dict=True).items()],
    }
    return json.loads(json.dumps(seen, default=lambda value: np.asarray(value).tolist()))


if __name__ == "__main__":
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras

    found = {name: outcome(keras, one) for name, one in CASES.items()}
    lines = [f" {json.dumps(name)}: {json.dumps(one)}" for name, one in found.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
