"""Files of models with several outputs, between minigrad, the real Keras and Keras 2: how they were compiled."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_outputs as golden
from make_outputs import A, B, X

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("without_graphs")]
TOLD = ("loss", "loss_weights", "metrics", "weighted_metrics")
FILED = ["lists", "dicts by names", "dicts", "nested", "no loss for some", "weights for each", "metrics with state"]


def logs(model, y):
    return dict(sorted(model.evaluate(X, y, batch_size=14, verbose=0, return_dict=True).items()))


def assert_alike(actual, expected):
    assert list(actual) == list(expected)
    np.testing.assert_allclose(list(actual.values()), list(expected.values()), 1e-4, 1e-5)


@pytest.mark.parametrize("name", golden.CASES)
def test_compile_configs_are_equal(name, keras):
    ours, theirs = (golden.compiled(library, golden.CASES[name]).get_compile_config() for library in (minigrad, keras))

    def plain(config):  # Keras does not file all arguments
        text = json.dumps({key: config[key] for key in TOLD}, sort_keys=True)
        return text.replace('"delta": 0.3, ', "").replace('"from_sorted_ids": false, ', "")

    assert plain(ours) == plain(theirs)


@pytest.mark.parametrize("name", FILED)
def test_keras_files_both_ways(name, keras, tmp_path):
    case = golden.CASES[name]
    for here, there in ((minigrad, keras), (keras, minigrad)):
        model = golden.compiled(here, case)
        model.fit(X, case["y"], verbose=0)
        model.save(tmp_path / "model.keras")
        assert_alike(logs(there.models.load_model(tmp_path / "model.keras"), case["y"]), logs(model, case["y"]))


@pytest.mark.parametrize("tree", ["list", "dict"])
def test_h5_files_both_ways(tree, keras, tmp_path):
    """Keras itself can't read its names of metrics in an .h5 file, so there are instances."""
    y = [B, A] if tree == "list" else {"b": B, "a": A}
    for here, there in ((minigrad, keras), (keras, minigrad)):
        x = here.Input((4,))
        b, a = here.layers.Dense(2, name="b")(x), here.layers.Dense(1, activation="sigmoid", name="a")(x)
        model = here.Model(x, [b, a] if tree == "list" else {"b": b, "a": a})
        squares, entropy = here.losses.MeanSquaredError(), here.losses.BinaryCrossentropy()
        model.compile(
            "sgd", [squares, entropy] if tree == "list" else {"b": squares, "a": entropy},
            [0.5, 2.0] if tree == "list" else {"b": 0.5, "a": 2.0},
            {"a": [here.metrics.AUC(name="auc")], "b": [here.metrics.MeanAbsoluteError(name="mae")]},
        )
        model.fit(X, y, verbose=0)
        model.save(tmp_path / "model.h5")
        assert_alike(logs(there.models.load_model(tmp_path / "model.h5"), y), logs(model, y))


@pytest.mark.parametrize("compiled", [
    lambda k: {"loss": ["mse", "binary_crossentropy"], "loss_weights": [0.5, 2.0],
               "metrics": [["mae"], ["accuracy", k.metrics.AUC(name="auc")]]},
    lambda k: {"loss": {"a": "mse", "b": k.losses.MeanAbsoluteError()}, "metrics": {"a": ["accuracy"]}},
])  # fmt: skip
def test_an_h5_file_of_keras_2_is_read(compiled, tmp_path):
    k = pytest.importorskip("tf_keras")
    x = k.Input((4,))
    model = k.Model(x, [k.layers.Dense(2, name="b")(x), k.layers.Dense(1, activation="sigmoid", name="a")(x)])
    model.compile("sgd", **compiled(k))
    model.fit(X, [B, A], verbose=0)
    model.save(str(tmp_path / "model.h5"))
    assert_alike(logs(minigrad.models.load_model(tmp_path / "model.h5"), [B, A]), logs(model, [B, A]))
