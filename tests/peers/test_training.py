"""The real Keras on TensorFlow and minigrad, side by side on random models: all they log, learn and predict.

Both start from the same weights; the tolerance is what a nudge of these by 1e-6 does to Keras itself.
"""
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_golden as golden

pytestmark = pytest.mark.peers


HEADS = [  # target, units and activation of the last layer, losses, metrics
    ("binary", 1, "sigmoid", ["binary_crossentropy", "mse", ("BinaryCrossentropy", {"label_smoothing": 0.1})],
     ["accuracy", "mae", ("BinaryAccuracy", {"threshold": 0.4})]),
    ("binary (n,)", 1, "linear", [("BinaryCrossentropy", {"from_logits": True})], ["accuracy", "mse"]),
    ("multilabel", 4, "sigmoid", ["binary_crossentropy", "mse"], ["binary_accuracy", "accuracy"]),
    ("one-hot", 4, "softmax", ["categorical_crossentropy", "mse"], ["accuracy", "categorical_accuracy"]),
    ("labels", 4, "softmax", ["sparse_categorical_crossentropy"],
     ["accuracy", "sparse_categorical_accuracy"]),
    ("labels (n,1)", 4, "linear", [("SparseCategoricalCrossentropy", {"from_logits": True})], ["accuracy"]),
    ("regression of 3", 3, "linear", ["mse", ("MeanSquaredError", {"reduction": "mean_with_sample_weight"})],
     ["mae", "mse"]),
]
OTHER_HEADS = [
    ("binary", 1, "sigmoid", [("BinaryFocalCrossentropy", {"apply_class_balancing": True}), "poisson", "squared_hinge"],
     ["AUC", "precision", ("Recall", {"thresholds": 0.4, "name": "recall"}),
      ("PrecisionAtRecall", {"recall": 0.5, "name": "at"})]),
    ("one-hot", 4, "softmax", ["kl_divergence", "categorical_hinge", "categorical_focal_crossentropy"],
     [("F1Score", {"average": "macro"}), "cosine_similarity", ("TopKCategoricalAccuracy", {"k": 2}), "AUC"]),
    ("regression of 3", 3, "linear", ["huber", "log_cosh", "msle", "cosine_similarity"],
     ["r2_score", "root_mean_squared_error", "log_cosh_error", "mape"]),
]
NONLINEAR = [("ReLU", {"max_value": 3.0}), ("LeakyReLU", {"negative_slope": 0.1})] + [
    ("Activation", {"activation": name}) for name in ("relu", "tanh", "elu", "silu", "softplus")]
OPTIONS = [{}, {}, {"clipnorm": 0.3}, {"clipvalue": 0.02}, {"global_clipnorm": 0.5}, {"weight_decay": 0.02},
           {"use_ema": True, "ema_momentum": 0.9}, {"gradient_accumulation_steps": 2}]


def random_block(pick):
    """Dense, perhaps BatchNormalization, something nonlinear, perhaps a Dropout of nothing."""
    dense = {"units": pick(range(4, 20)), "use_bias": pick([True, False])}
    norm = {"momentum": pick([0.99, 0.9]), "epsilon": pick([1e-3, 1e-2]),
            "center": pick([True, True, False]), "scale": pick([True, True, False])}
    return [("Dense", dense), *pick([[], [("BatchNormalization", norm)]]), pick(NONLINEAR),
            *pick([[], [("Dropout", {"rate": 0.0})]])]


def random_optimizer(pick):
    adam = {"learning_rate": 0.005, "beta_2": pick([0.999, 0.95]), "amsgrad": pick([True, False])}
    sgd = {"learning_rate": 0.02, "momentum": pick([0.0, 0.9]), "nesterov": pick([True, False])}
    name, options = pick([("Adam", adam), ("SGD", sgd)])
    return name, options | pick(OPTIONS)


def random_case(seed, heads=HEADS):
    """A model, its data and how it is trained, as golden.CASES has them."""
    rng = np.random.default_rng(seed)

    def pick(values):
        return values[rng.integers(len(values))]

    target, units, activation, losses, metrics = heads[seed % len(heads)]
    shape = pick([(20,), (12,), (4, 5)])
    start = [("Flatten", {})] if pick([True, False]) else []
    blocks = [layer for _ in range(pick([1, 2, 3])) for layer in random_block(pick)]
    head = pick([[("Dense", {"units": units, "activation": activation})],
                 [("Dense", {"units": units}), ("Activation", {"activation": activation})]])
    weighted, batch_size = pick([True, False]), pick([16, 32, 50])
    epochs = 1 + 40 * batch_size // 210  # some 45 steps; epochs are what Keras takes its time for
    fit = {"batch_size": batch_size, "epochs": epochs, "validation_split": pick([0.0, 0.2])}
    if target.startswith("labels") and not weighted:
        fit["class_weight"] = {0: 0.5, 1: 2.0}
    return golden.case([*start, *blocks, ("Flatten", {}), *head], random_optimizer(pick), shape, target,
                       weighted, pick(losses), metrics, ("acc",) if weighted else (), **fit)


@pytest.mark.parametrize("seed, heads", [
    *((seed, HEADS) for seed in range(10)), *((seed, OTHER_HEADS) for seed in range(30, 34))
])
def test_training(seed, heads, keras):
    compare(keras, random_case(seed, heads), golden.trained)


def compare(keras, case, work):
    """What `work` shows of the case's model: minigrad's is as near to Keras' as Keras' own after a nudge."""
    expected, *nudged = golden.runs(keras, case, work, (None, 1, 2, 3))
    actual = golden.runs(minigrad, case, work)[0]
    assert not golden.problems(case, actual, expected, golden.deviation(nudged, expected)), case


def batch_by_batch(model, case):
    """Forty steps by hand: what the methods for one batch return, in lists and in dictionaries."""
    x, y, weights = golden.dataset(case["shape"], case["target"])
    seen = {}
    for i in range(40):
        rows = slice(5 * i, 5 * i + 5)
        batch = {"sample_weight": weights[rows]} if case["weighted"] else {}
        seen[f"train {i}"] = np.atleast_1d(model.train_on_batch(x[rows], y[rows], **batch))
    seen["test"] = np.atleast_1d(model.test_on_batch(x[:50], y[:50], weights[:50]))
    logs = model.test_on_batch(x[50:], y[50:], return_dict=True)
    seen |= {f"test/{key}": value for key, value in logs.items()}
    seen["predict"] = model.predict_on_batch(x[:50])
    seen["call"] = np.asarray(model(x[:50]))
    seen["call, training"] = np.asarray(model(x[:50], training=True))
    return seen | {f"weights/{i}": w for i, w in enumerate(model.get_weights())}


@pytest.mark.parametrize("seed", range(100, 104))
def test_batch_by_batch(seed, keras):
    compare(keras, random_case(seed), batch_by_batch)
