"""Every loss and metric beside the real Keras (on TensorFlow), on random data: values, gradients, weights, configs."""
import inspect
import json
import os
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import losses, metrics

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
pytestmark = pytest.mark.peers
ROWS, COLUMNS = 9, 4


@pytest.fixture(scope="module")
def keras():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras")
        yield keras
        keras.utils.clear_session()


def kinds(seed):
    """Targets and outputs of all kinds, float32."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((ROWS, COLUMNS))
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    labels = rng.integers(0, COLUMNS, ROWS)
    # A few exact ties and ends, where rules such as > or >= show.
    p = np.where(rng.random((ROWS, COLUMNS)) < 0.2, rng.choice([0, 0.25, 0.5, 1], (ROWS, COLUMNS)),
                 rng.random((ROWS, COLUMNS)))
    found = {
        "number": scores * 3, "other": rng.standard_normal((ROWS, COLUMNS)) * 2, "positive": rng.random((ROWS, COLUMNS)) + 0.1,
        "count": rng.poisson(2, (ROWS, COLUMNS)), "bit": rng.integers(0, 2, (ROWS, COLUMNS)), "p": p,
        "sign": rng.choice([-1, 1], (ROWS, COLUMNS)), "one-hot": np.eye(COLUMNS)[labels], "shares": shares,
        "label": labels, "labels": labels[:, None], "bit1": rng.integers(0, 2, (ROWS, 1)), "bit0": rng.integers(0, 2, ROWS),
        "p1": p[:, :1], "p0": p[:, 1], "number1": scores[:, :1], "guess": rng.integers(0, COLUMNS, ROWS),
        "ids": np.argsort(-scores, axis=-1), "far": scores * 3 + 2, "far p": scores * 3 + 2 + rng.standard_normal((ROWS, COLUMNS)),
        "series": rng.standard_normal((ROWS, 3, COLUMNS)), "series p": rng.standard_normal((ROWS, 3, COLUMNS)),
    }
    return {name: np.asarray(a, "float32") for name, a in found.items()}


LOSSES = [  # class, options, targets, outputs
    ("MeanSquaredError", {}, "other", "number"), ("MeanAbsoluteError", {}, "other", "number"),
    ("MeanSquaredError", {}, "series", "series p"),
    ("MeanAbsolutePercentageError", {}, "other", "number"), ("MeanSquaredLogarithmicError", {}, "count", "number"),
    ("Huber", {}, "other", "number"), ("Huber", {"delta": 0.3}, "other", "number"), ("LogCosh", {}, "other", "number"),
    ("LogCosh", {}, "series", "series p"),
    ("Poisson", {}, "count", "positive"), ("CosineSimilarity", {}, "other", "number"),
    ("CosineSimilarity", {"axis": 0}, "other", "number"),
    ("Hinge", {}, "bit", "number"), ("Hinge", {}, "sign", "number"), ("Hinge", {}, "other", "number"),
    ("SquaredHinge", {}, "bit1", "number1"), ("CategoricalHinge", {}, "one-hot", "number"),
    ("KLDivergence", {}, "p", "shares"),
    ("BinaryCrossentropy", {}, "bit", "p"), ("BinaryCrossentropy", {}, "bit0", "p1"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bit", "number"),
    ("CategoricalCrossentropy", {}, "one-hot", "shares"), ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "one-hot", "positive"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "one-hot", "number"),
    ("SparseCategoricalCrossentropy", {}, "label", "shares"), ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "number"),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, "label", "number"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "label", "shares"),
    ("BinaryFocalCrossentropy", {}, "bit", "p"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, "bit", "shares"),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bit", "number"),
    ("CategoricalFocalCrossentropy", {}, "one-hot", "positive"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 3.0, "alpha": 0.7, "label_smoothing": 0.1}, "one-hot", "number"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, "label", "shares"),
    ("Dice", {}, "bit", "p"), ("Dice", {"axis": -1}, "bit", "p"), ("Tversky", {"alpha": 0.2, "beta": 0.7}, "bit", "p"),
    ("Tversky", {"axis": (1,)}, "bit", "p"),
]
CURVES = [{"curve": c, "summation_method": m} for c in ("ROC", "PR", "PRGAIN") for m in ("interpolation", "majoring", "minoring")]
METRICS = [
    ("Mean", {}, "number", None), ("Sum", {}, "number", None),
    ("Accuracy", {}, "label", "guess"), ("Accuracy", {}, "bit", "bit"), ("BinaryAccuracy", {}, "bit", "p"),
    ("BinaryAccuracy", {"threshold": 0.25}, "bit0", "p1"),
    ("CategoricalAccuracy", {}, "one-hot", "p"), ("SparseCategoricalAccuracy", {}, "label", "p"), ("SparseCategoricalAccuracy", {}, "labels", "p"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot", "p"), ("SparseTopKCategoricalAccuracy", {"k": 2}, "label", "p"),
    ("SparseTopKCategoricalAccuracy", {"k": 3, "from_sorted_ids": True}, "label", "ids"),
    ("MeanSquaredError", {}, "other", "number"), ("RootMeanSquaredError", {}, "other", "number"), ("MeanAbsoluteError", {}, "other", "number"),
    ("MeanAbsoluteError", {}, "series", "series p"),
    ("MeanAbsolutePercentageError", {}, "other", "number"), ("MeanSquaredLogarithmicError", {}, "count", "number"),
    ("LogCoshError", {}, "other", "number"), ("Poisson", {}, "count", "positive"), ("KLDivergence", {}, "p", "shares"),
    ("Hinge", {}, "bit", "number"), ("SquaredHinge", {}, "sign", "number"), ("CategoricalHinge", {}, "one-hot", "number"),
    ("CosineSimilarity", {}, "other", "number"), ("PearsonCorrelation", {}, "other", "number"), ("ConcordanceCorrelation", {}, "other", "number"),
    ("BinaryCrossentropy", {}, "bit", "p"), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bit", "number"),
    ("CategoricalCrossentropy", {}, "one-hot", "shares"), ("CategoricalCrossentropy", {"from_logits": True}, "one-hot", "number"),
    ("SparseCategoricalCrossentropy", {}, "label", "shares"), *((name, options, "bit", "p") for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
      for options in ({}, {"thresholds": [0.9, 0.25]}, {"thresholds": [0, 0.25, 0.5, 0.75, 1]})),
    *((name, options, "bit", "p") for name in ("Precision", "Recall")
      for options in ({}, {"thresholds": 0.25}, {"thresholds": [0.9, 0.5, 0.25]}, {"thresholds": [0.0, 0.5, 1.0]},
                      {"top_k": 2}, {"class_id": 1}, {"top_k": 2, "class_id": 2}, {"top_k": 1, "thresholds": 0.5})),
    ("Precision", {}, "bit0", "p0"), ("Recall", {}, "bit0", "p1"),
    *(("AUC", options, "bit", "p") for options in CURVES),
    *(("AUC", {"multi_label": True, **options}, "bit", "p") for options in CURVES[:5]),
    ("AUC", {}, "bit1", "p1"), ("AUC", {}, "bit0", "p1"), ("AUC", {"num_thresholds": 3}, "bit", "p"), ("AUC", {"num_thresholds": 2}, "bit", "p"),
    ("AUC", {"thresholds": [0.7, 0.25]}, "bit", "p"), ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, "bit", "p"),
    ("AUC", {"thresholds": [0.5]}, "bit", "p"), ("AUC", {"from_logits": True}, "bit", "number"),
    ("AUC", {"label_weights": [1.0, 0.0, 2.0, 0.5]}, "bit", "p"), ("AUC", {"label_weights": [1.0, 0, 2, 3], "thresholds": [0.3, 0.4]}, "bit", "p"),
    ("AUC", {"multi_label": True, "num_labels": COLUMNS, "label_weights": [1.0, 0.0, 2.0, 0.5]}, "bit", "p"),
    ("AUC", {"multi_label": True, "thresholds": [0.3, 0.4]}, "bit", "p"), ("AUC", {}, "bit", "number"),
    *((name, {argument: value, **options}, "bit", "p") for name, argument in (
        ("PrecisionAtRecall", "recall"), ("RecallAtPrecision", "precision"),
        ("SensitivityAtSpecificity", "specificity"), ("SpecificityAtSensitivity", "sensitivity"))
      for value, options in ((0.5, {}), (0.8, {"num_thresholds": 5}), (0.3, {"num_thresholds": 1}), (0.4, {"class_id": 2}), (0.5, {"num_thresholds": 2}))),
    *(("F1Score", {"average": average, "threshold": threshold}, "bit", "p")
      for average in (None, "micro", "macro", "weighted") for threshold in (None, 0.5)),
    ("FBetaScore", {"beta": 2.0, "average": "macro"}, "one-hot", "shares"),
    *(("R2Score", {"class_aggregation": a}, "far", "far p") for a in (None, "uniform_average", "variance_weighted_average")),
    ("R2Score", {"num_regressors": 3}, "number1", "p1"),
    ("IoU", {"num_classes": COLUMNS, "target_class_ids": [0, 2]}, "label", "guess"), ("MeanIoU", {"num_classes": COLUMNS}, "label", "guess"),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 1}, "label", "guess"),
    ("MeanIoU", {"num_classes": COLUMNS, "sparse_y_pred": False}, "label", "p"),
    ("BinaryIoU", {"threshold": 0.25}, "bit0", "p0"), ("OneHotIoU", {"num_classes": COLUMNS, "target_class_ids": [1]}, "one-hot", "p"),
    ("OneHotMeanIoU", {"num_classes": COLUMNS}, "one-hot", "p"),
]


def title(row):
    return f"{row[0]}({', '.join(f'{k}={v}' for k, v in row[1].items())}) of {row[2]}, {row[3]}"


def near(actual, expected, **tolerance):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, **{"rtol": 2e-5, "atol": 2e-6, **tolerance})


@pytest.mark.parametrize("row", LOSSES, ids=title)
def test_loss(keras, row):
    import tensorflow as tf

    name, options, target, output = row
    for seed, reduction in enumerate(losses.REDUCTIONS):
        data = kinds(seed)
        y, p = data[target], data[output]
        w = np.random.default_rng(seed).choice([0, 0.5, 1, 3], ROWS).astype("float32")
        is_per_row = name not in ("Dice", "Tversky") or options.get("axis")
        is_column = reduction in ("none", None) or options.get("axis") == 0
        for weights in (None, *((w, w[:, None])[: 1 if is_column else 2] if is_per_row and options.get("axis") != 0 else ())):
            if weights is not None and target == "series":
                weights = np.repeat(w[:, None], 3, axis=1)  # Keras broadcasts no (rows,) to (rows, 3)
            theirs = getattr(keras.losses, name)(reduction=reduction, **options)
            ours = getattr(losses, name)(reduction=reduction, **options)
            with tf.GradientTape() as tape:
                x = tf.Variable(p)
                expected = theirs(y, x, sample_weight=weights)
            t = minigrad.Tensor(p, requires_grad=True)
            actual = ours(y, t, sample_weight=weights)
            scale = 1e-4 if "Percentage" in name else 2e-6
            near(actual, expected, atol=scale)
            actual.backward(np.ones(actual.shape, "float32"))
            at_kink = (p == y) | (p == 0) | (p == 1) if y.shape == p.shape else np.zeros(p.shape, bool)
            slope = np.asarray(tf.convert_to_tensor(tape.gradient(expected, x)))
            near(np.where(at_kink, 0, t.grad), np.where(at_kink, 0, slope), atol=scale * 3, rtol=1e-4)


@pytest.mark.parametrize("row", METRICS, ids=title)
def test_metric(keras, row):
    name, options, target, output = row
    theirs, ours = getattr(keras.metrics, name)(**options), getattr(metrics, name)(**options)
    is_whole = name.endswith("IoU")  # Keras makes the weights of these whole
    for seed in range(4):
        data = kinds(seed)
        arrays = [data[key] for key in (target, output) if key is not None]
        if target == output:
            arrays[1] = kinds(seed + 100)[output]
        w = np.random.default_rng(seed).choice([0, 1, 2, 3] if is_whole else [0, 0.5, 1, 3], ROWS).astype("float32")
        if seed == 3:
            theirs.reset_state(), ours.reset_state()
        weights = None if seed in (0, 2) else w.astype("int32") if is_whole else w
        if name == "R2Score" and options.get("num_regressors"):
            weights = None  # Keras counts the rows of weight 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.update_state(*arrays, sample_weight=weights)
        ours.update_state(*arrays, sample_weight=weights)
        near(ours.result(), theirs.result(), rtol=1e-4 if "Percentage" in name else 2e-5)
        assert [v.name for v in ours.variables] == [v.name for v in theirs.variables] or name == "R2Score"
        assert [v.shape for v in ours.variables] == [tuple(v.shape) for v in theirs.variables] or name == "R2Score"
    assert {"up": "max", "down": "min", None: None}[getattr(theirs, "_direction", None)] == ours.direction


def public(module, base):
    return {n: v for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, base) and not n.startswith("_")}


ABSENT = {"CTC", "Circle"}


@pytest.mark.parametrize("kind", ["losses", "metrics"])
def test_everything_is_there_with_the_same_signature(keras, kind):
    theirs, ours = getattr(keras, kind), getattr(minigrad, kind)
    base = theirs.Loss if kind == "losses" else theirs.Metric
    for name, found in public(theirs, base).items():
        if name in ABSENT:
            continue
        expected = inspect.signature(found).parameters
        actual = inspect.signature(getattr(ours, name)).parameters
        if name == "MeanMetricWrapper":
            expected, actual = list(expected)[:3], list(actual)[:3]
        assert list(actual) == list(expected), name
        if name != "MeanMetricWrapper":
            assert {k: p.default for k, p in actual.items()} == {k: p.default for k, p in expected.items()}, name
    for name, found in vars(theirs).items():
        if inspect.isfunction(found) and name not in ("get", "serialize", "deserialize", "ctc", "circle"):
            parameters = inspect.signature(getattr(ours, name)).parameters
            assert str(inspect.signature(found)).split(", custom")[0] == str(inspect.Signature(parameters.values())), name


@pytest.mark.parametrize("kind, rows", [("losses", LOSSES), ("metrics", METRICS)])
def test_configs_can_be_read_on_both_sides(keras, kind, rows):
    theirs, ours = getattr(keras, kind), getattr(minigrad, kind)
    for name, options, *_ in rows:
        if name == "CategoricalGeneralizedCrossEntropy":  # Keras 3.15 does not know its name
            continue
        config = json.loads(json.dumps(ours.serialize(getattr(ours, name)(**options, name="mine"))))
        read = theirs.deserialize(config)
        assert type(read).__name__ == name and read.name == "mine"
        back = json.loads(json.dumps(theirs.serialize(read), default=lambda a: np.asarray(a).tolist()))
        again = ours.deserialize(back)
        lost = {"delta", "from_sorted_ids", "axis"}  # what Keras 3.15 leaves out of its configs
        for key in config["config"].keys() - lost:
            assert again.get_config()[key] == config["config"][key], name


@pytest.mark.parametrize("kind", ["losses", "metrics"])
def test_strings_mean_the_same(keras, kind):
    """Every string that Keras knows, and some that it does not."""
    from keras.src import losses as their_losses
    from keras.src import metrics as their_metrics

    known = (their_losses if kind == "losses" else their_metrics).ALL_OBJECTS_DICT
    ours = getattr(minigrad, kind)
    abstract = {"Loss", "LossFunctionWrapper", "CTC", "ctc", "Circle", "circle", "Metric", "metric", "MeanMetricWrapper", "mean_metric_wrapper"}
    for name, found in known.items():
        if name in abstract or "at_" in name or "At" in name or "IoU" in name or "io_u" in name:
            continue
        member = ours.get(name)
        actual = member.__name__ if inspect.isfunction(member) else type(member).__name__
        assert actual == found.__name__, name
    for name in ("huber_loss", "logcosh", "Mse", "cross_entropy", "rmse", "acc", "crossentropy"):
        with pytest.raises(ValueError):
            ours.get(name)
