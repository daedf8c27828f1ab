"""What the real Keras makes of every loss and metric on small random data, as a fixture: losses.npz.

The cases are plain data; `loss_trace` and `metric_trace` take the library they run as an argument, so Keras and
minigrad run the same code. To write the fixture again: python tests/golden/make_losses.py
"""
import os
import warnings
from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).parent / "losses.npz"
ROWS, COLUMNS = 9, 4
REDUCTIONS = "sum_over_batch_size", "mean_with_sample_weight", "sum", "none"


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


def loss_trace(library, value_and_slope, row, seed=0):
    """Values for each reduction and kind of weights, and the slopes of one of them; `value_and_slope` computes both."""
    name, options, target, output = row
    found = {}
    for i, reduction in enumerate(REDUCTIONS):
        data = kinds(seed + i)
        w = np.random.default_rng(i).choice([0, 0.5, 1, 3], ROWS).astype("float32")
        choices = {"": None, " (n,)": w, " (n,1)": w[:, None]}
        if target == "series":
            choices[" (n,)"] = np.repeat(w[:, None], 3, axis=1)  # Keras broadcasts no (rows,) to (rows, 3)
        if reduction == "none" or target == "series":
            del choices[" (n,1)"]  # Keras makes a square of it; for series, it divides by the sum before broadcasting
        is_per_row = name not in ("Dice", "Tversky") or options.get("axis")
        if not is_per_row or options.get("axis") == 0:
            choices = {"": None}
        for kind, weights in choices.items():
            loss = getattr(library.losses, name)(reduction=reduction, **options)
            value, slope = value_and_slope(lambda x: loss(data[target], x, sample_weight=weights), data[output])
            found[f"{reduction}{kind}"] = value
            if reduction == "sum":
                found[f"slope{kind}"] = np.where(at_kink(data[target], data[output]), 0, slope)
    return {key: np.asarray(value, "float32") for key, value in found.items()}


def at_kink(y, p):
    """Where a loss may have no slope, so that any is right."""
    return (p == y) | (p == 0) | (p == 1) if y.shape == p.shape else False


def metric_trace(library, row, seed=0):
    """Results after four batches, two of them weighted, with a reset before the last one."""
    name, options, target, output = row
    metric = getattr(library.metrics, name)(**options)
    results = []
    for i in range(4):
        data = kinds(seed + i)
        arrays = [data[key] for key in (target, output) if key is not None]
        if target == output:
            arrays[1] = kinds(seed + i + 100)[output]
        rng = np.random.default_rng(i)
        # Keras makes the weights of IoU whole numbers, and counts rows of weight 0 in an adjusted R^2
        weights = rng.integers(0, 4, ROWS) if name.endswith("IoU") else rng.choice([0, 0.5, 1, 3], ROWS)
        if i == 3:
            metric.reset_state()
        is_weighted = i % 2 == 1 and not options.get("num_regressors")
        metric.update_state(*arrays, sample_weight=weights.astype("float32") if is_weighted else None)
        results.append(np.asarray(metric.result()))
    return np.stack(results)


def keras_value_and_slope(function, p):
    import tensorflow as tf

    x = tf.Variable(p)
    with tf.GradientTape() as tape:
        value = function(x)
    return np.asarray(value), np.asarray(tf.convert_to_tensor(tape.gradient(value, x)))


def main():
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, row in enumerate(LOSSES):
            trace = loss_trace(keras, keras_value_and_slope, row)
            found |= {f"loss {i}|{key}": value for key, value in trace.items()}
        for i, row in enumerate(METRICS):
            found[f"metric {i}"] = metric_trace(keras, row)
    np.savez_compressed(FIXTURE, **found)


if __name__ == "__main__":
    main()
