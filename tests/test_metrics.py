"""Every metric against NumPy (or scikit-learn) in float64, over batches of different sizes, with and without weights.

A metric without a row in `METRICS` fails.
"""

import inspect
import json

import numpy as np
import pytest
import scipy.integrate
from helpers import Quiet, assert_same, state
from sklearn.metrics import fbeta_score, r2_score
from test_losses import binary, categorical, softmax, sparse

import minigrad as keras
from minigrad import metrics
from minigrad.metrics.base import LossTracker


def with_columns(formula):
    """A formula over the last axis, for flat arrays too."""
    return lambda y, p: formula(*(a[:, None] if a.ndim == 1 else a for a in (y, p)))


def match_binary(y, p, threshold=0.5):
    return ((p > threshold) == y).mean(-1)


class Row:
    """A metric, the value of each row, and what targets and outputs look like; `finish` is applied to the mean.

    Or, for a metric that is no mean over rows, `whole`: its value for targets, outputs and weights of all rows.
    """

    def __init__(self, make, formula, sample, finish=lambda value: value, whole=None):
        self.make, self.formula, self.sample, self.finish, self.whole = make, formula, sample, finish, whole

    def expected(self, sample, w):
        if self.whole is not None:
            return self.whole(*sample, w)
        return self.finish((self.formula(*sample) * w).sum() / w.sum())


def whole(make, value, sample):
    return Row(make, None, sample, whole=value)


def binary_sample(generator, n):
    return (generator.uniform(0, 1, (n, 1)) > 0.4).astype(float), generator.uniform(0.02, 0.98, (n, 1))


def multilabel_sample(generator, n):
    return (generator.uniform(0, 1, (n, 4)) > 0.4).astype(float), generator.uniform(0.02, 0.98, (n, 4))


def one_hot_sample(generator, n):
    return np.eye(3)[generator.integers(0, 3, n)], softmax(generator.standard_normal((n, 3)))


def label_sample(generator, n):
    return generator.integers(0, 3, n).astype(float), softmax(generator.standard_normal((n, 3)))


def number_sample(generator, n):
    return generator.standard_normal((n, 2)), generator.standard_normal((n, 2))


def class_sample(generator, n):
    return generator.integers(0, 3, (n, 1)).astype(float), generator.integers(0, 3, (n, 1)).astype(float)


def value_sample(generator, n):
    return (generator.standard_normal(n),)


def counts(y, p, w, thresholds=(0.5,)):
    """TP, FP, TN, FN at each threshold, all columns together."""
    w = np.broadcast_to(w[:, None] if y.ndim > 1 else w, y.shape)
    above = p > np.reshape(thresholds, (-1, *[1] * y.ndim))
    axes = tuple(range(1, y.ndim + 1))
    cells = (y != 0) & above, (y == 0) & above, (y == 0) & ~above, (y != 0) & ~above
    return [(cell * w).sum(axes) for cell in cells]


def share(a, b):
    return np.divide(a, a + b, out=np.zeros_like(a), where=a + b != 0)


def precision(y, p, w, thresholds=(0.5,)):
    tp, fp, _, _ = counts(y, p, w, thresholds)
    return np.squeeze(share(tp, fp))


def recall(y, p, w, thresholds=(0.5,)):
    tp, _, _, fn = counts(y, p, w, thresholds)
    return np.squeeze(share(tp, fn))


EVEN = np.arange(200) / 199
EVEN[[0, -1]] = -1e-7, 1 + 1e-7


def roc_auc(y, p, w, thresholds=EVEN):
    tp, fp, tn, fn = counts(y, p, w, thresholds)
    return scipy.integrate.trapezoid(share(tp, fn)[::-1], share(fp, tn)[::-1])


def pr_auc_minoring(y, p, w):
    tp, fp, _, fn = counts(y, p, w, EVEN)
    x, height = share(tp, fn), share(tp, fp)
    return ((x[:-1] - x[1:]) * np.minimum(height[:-1], height[1:])).sum()


def mean_of_labels(y, p, w):
    return np.average([roc_auc(y[:, j], p[:, j], w) for j in range(y.shape[1])], weights=[1.0, 2, 0, 3])


def best_precision(y, p, w):
    """Among thresholds i / 199: those that p reaches are nowhere near."""
    tp, fp, _, fn = counts(y, p, w, np.arange(200) / 199)
    return share(tp, fp)[share(tp, fn) >= 0.6].max(initial=0.0)


def best_specificity(y, p, w):
    tp, fp, tn, fn = counts(y, p, w, np.arange(200) / 199)
    return share(tn, fp)[share(tp, fn) >= 0.6].max(initial=0.0)


def best_recall(y, p, w):
    tp, fp, _, fn = counts(y, p, w, np.arange(50) / 49)
    return share(tp, fn)[share(tp, fp) >= 0.6].max(initial=0.0)


def best_sensitivity(y, p, w):
    tp, fp, tn, fn = counts(y, p, w, (0.5,))
    return share(tp, fn)[share(tn, fp) >= 0.1].max(initial=0.0)


def f_score(y, p, w, average=None, beta=1.0):
    return fbeta_score(y, p > 0.5, beta=beta, average=average, sample_weight=w, zero_division=0)


def f_of_the_largest(y, p, w):
    return fbeta_score(y.argmax(1), p.argmax(1), beta=1, average="macro", sample_weight=w, zero_division=0, labels=range(3))


def r2(y, p, w):
    return r2_score(y, p, sample_weight=w) if len(y) > 1 and (w > 0).sum() > 1 else np.nan


def ious(y, p, w, classes=range(3)):
    both = [((y == c) & (p == c)) @ w for c in classes]
    either = [((y == c) | (p == c)) @ w for c in classes]
    return np.mean([b / e for b, e in zip(both, either) if e])


def far_sample(generator, n):
    y = 1000 + generator.standard_normal((n, 2))
    return y, y + 0.3 * generator.standard_normal((n, 2))


def sequence_sample(generator, n):
    return generator.standard_normal((n, 5)), generator.standard_normal((n, 5))


def positive_sample(generator, n):
    return generator.poisson(2, (n, 2)) + 0.0, generator.uniform(0.5, 3, (n, 2))


def guess_sample(generator, n):
    return generator.integers(0, 3, n).astype(float), generator.integers(0, 3, n).astype(float)


def ranked(y, p, k):
    return (np.argsort(-p, axis=-1)[:, :k] == y[:, None]).any(-1).astype(float)


def signed(y, p):
    return np.maximum(1 - (2 * y - 1) * p, 0)


def correlation(y, p):
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(y, p)])


def concordance(y, p):
    cov = ((y - y.mean(-1, keepdims=True)) * (p - p.mean(-1, keepdims=True))).mean(-1)
    return 2 * cov / (y.var(-1) + p.var(-1) + (y.mean(-1) - p.mean(-1)) ** 2 + 1e-7)


def cosine(y, p):
    return (y * p).sum(-1) / np.linalg.norm(y, axis=-1) / np.linalg.norm(p, axis=-1)


METRICS = {
    "Mean": Row(metrics.Mean, lambda v: v, value_sample),
    "Sum": Row(metrics.Sum, lambda v: v, value_sample),
    "Accuracy": Row(metrics.Accuracy, lambda y, p: (y == p).mean(-1), class_sample),
    "BinaryAccuracy": Row(metrics.BinaryAccuracy, match_binary, binary_sample),
    "BinaryAccuracy of several": Row(metrics.BinaryAccuracy, match_binary, multilabel_sample),
    "BinaryAccuracy threshold": Row(
        lambda **k: metrics.BinaryAccuracy(threshold=0.2, **k),
        lambda y, p: match_binary(y, p, 0.2),
        binary_sample,
    ),
    "CategoricalAccuracy": Row(
        metrics.CategoricalAccuracy, lambda y, p: (y.argmax(-1) == p.argmax(-1)).astype(float), one_hot_sample
    ),
    "SparseCategoricalAccuracy": Row(
        metrics.SparseCategoricalAccuracy, lambda y, p: (y == p.argmax(-1)).astype(float), label_sample
    ),
    "MeanSquaredError": Row(metrics.MeanSquaredError, lambda y, p: ((y - p) ** 2).mean(-1), number_sample),
    "MeanAbsoluteError": Row(metrics.MeanAbsoluteError, lambda y, p: np.abs(y - p).mean(-1), number_sample),
    "RootMeanSquaredError": Row(
        metrics.RootMeanSquaredError, lambda y, p: ((y - p) ** 2).mean(-1), number_sample, np.sqrt
    ),
    "BinaryCrossentropy": Row(metrics.BinaryCrossentropy, binary, binary_sample),
    "BinaryCrossentropy in full": Row(
        lambda **k: metrics.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, **k),
        lambda y, p: binary(y, p, True, 0.1),
        multilabel_sample,
    ),
    "CategoricalCrossentropy": Row(metrics.CategoricalCrossentropy, categorical, one_hot_sample),
    "SparseCategoricalCrossentropy": Row(metrics.SparseCategoricalCrossentropy, sparse, label_sample),
    "TopKCategoricalAccuracy": Row(
        lambda **k: metrics.TopKCategoricalAccuracy(2, **k), lambda y, p: ranked(y.argmax(-1), p, 2), one_hot_sample
    ),
    "SparseTopKCategoricalAccuracy": Row(
        lambda **k: metrics.SparseTopKCategoricalAccuracy(2, **k), lambda y, p: ranked(y, p, 2), label_sample
    ),
    "MeanAbsolutePercentageError": Row(
        metrics.MeanAbsolutePercentageError, lambda y, p: 100 * np.abs((y - p) / y).mean(-1), number_sample
    ),
    "MeanSquaredLogarithmicError": Row(
        metrics.MeanSquaredLogarithmicError,
        lambda y, p: ((np.log1p(np.maximum(y, 1e-7)) - np.log1p(p)) ** 2).mean(-1),
        positive_sample,
    ),
    "LogCoshError": Row(metrics.LogCoshError, lambda y, p: np.log(np.cosh(p - y)).mean(-1), number_sample),
    "Poisson": Row(metrics.Poisson, lambda y, p: (p - y * np.log(p + 1e-7)).mean(-1), positive_sample),
    "KLDivergence": Row(
        metrics.KLDivergence,
        lambda y, p: (np.maximum(y, 1e-7) * np.log(np.maximum(y, 1e-7) / p)).sum(-1),
        one_hot_sample,
    ),
    "Hinge": Row(metrics.Hinge, lambda y, p: signed(y, p).mean(-1), multilabel_sample),
    "SquaredHinge": Row(metrics.SquaredHinge, lambda y, p: (signed(y, p) ** 2).mean(-1), multilabel_sample),
    "CategoricalHinge": Row(
        metrics.CategoricalHinge,
        lambda y, p: np.maximum(1 + ((1 - y) * p).max(-1) - (y * p).sum(-1), 0),
        one_hot_sample,
    ),
    "CosineSimilarity": Row(metrics.CosineSimilarity, cosine, number_sample),
    "PearsonCorrelation": Row(metrics.PearsonCorrelation, correlation, sequence_sample),
    "ConcordanceCorrelation": Row(metrics.ConcordanceCorrelation, concordance, sequence_sample),
    "TruePositives": whole(metrics.TruePositives, lambda *a: counts(*a)[0][0], multilabel_sample),
    "FalsePositives": whole(metrics.FalsePositives, lambda *a: counts(*a)[1][0], multilabel_sample),
    "TrueNegatives": whole(metrics.TrueNegatives, lambda *a: counts(*a)[2][0], multilabel_sample),
    "FalseNegatives of several": whole(
        lambda **k: metrics.FalseNegatives([0.7, 0.2], **k),
        lambda *a: counts(*a, (0.7, 0.2))[3],
        multilabel_sample,
    ),
    "FalseNegatives": whole(metrics.FalseNegatives, lambda *a: counts(*a)[3][0], binary_sample),
    "Precision": whole(metrics.Precision, precision, multilabel_sample),
    "Precision of one column": whole(
        lambda **k: metrics.Precision(class_id=1, **k), lambda y, p, w: precision(y[:, 1], p[:, 1], w), multilabel_sample
    ),
    "Recall": whole(metrics.Recall, recall, multilabel_sample),
    "Recall of several": whole(
        lambda **k: metrics.Recall([0.0, 0.25, 0.5, 0.75, 1.0], **k),
        lambda *a: recall(*a, (0, 0.25, 0.5, 0.75, 1)),
        multilabel_sample,
    ),
    "AUC": whole(metrics.AUC, roc_auc, multilabel_sample),
    "AUC of thresholds": whole(
        lambda **k: metrics.AUC(thresholds=[0.6, 0.3], **k),
        lambda *a: roc_auc(*a, (-1e-7, 0.3, 0.6, 1 + 1e-7)),
        multilabel_sample,
    ),
    "AUC PR": whole(
        lambda **k: metrics.AUC(curve="PR", summation_method="minoring", **k), pr_auc_minoring, binary_sample
    ),
    "AUC of labels": whole(
        lambda **k: metrics.AUC(multi_label=True, label_weights=[1.0, 2, 0, 3], **k), mean_of_labels, multilabel_sample
    ),
    "PrecisionAtRecall": whole(lambda **k: metrics.PrecisionAtRecall(0.6, **k), best_precision, multilabel_sample),
    "RecallAtPrecision": whole(lambda **k: metrics.RecallAtPrecision(0.6, 50, **k), best_recall, multilabel_sample),
    "SensitivityAtSpecificity": whole(
        lambda **k: metrics.SensitivityAtSpecificity(0.1, 1, **k), best_sensitivity, multilabel_sample
    ),
    "SpecificityAtSensitivity": whole(
        lambda **k: metrics.SpecificityAtSensitivity(0.6, **k), best_specificity, multilabel_sample
    ),
    "F1Score": whole(lambda **k: metrics.F1Score("macro", **k), f_of_the_largest, one_hot_sample),
    "FBetaScore": whole(
        lambda **k: metrics.FBetaScore(None, 2.0, 0.5, **k), lambda *a: f_score(*a, None, 2.0), multilabel_sample
    ),
    "FBetaScore weighted": whole(
        lambda **k: metrics.FBetaScore("weighted", 1.0, 0.5, **k), lambda *a: f_score(*a, "weighted"), multilabel_sample
    ),
    "FBetaScore micro": whole(
        lambda **k: metrics.FBetaScore("micro", 0.5, 0.5, **k), lambda *a: f_score(*a, "micro", 0.5), multilabel_sample
    ),
    "R2Score": whole(metrics.R2Score, r2, far_sample),
    "IoU": whole(
        lambda **k: metrics.IoU(3, [0, 2], **k), lambda *a: ious(*a, [0, 2]), guess_sample
    ),
    "MeanIoU": whole(lambda **k: metrics.MeanIoU(3, **k), ious, guess_sample),
    "BinaryIoU": whole(
        lambda **k: metrics.BinaryIoU(threshold=0.3, **k),
        lambda y, p, w: ious(y[:, 0], p[:, 0] >= 0.3, w, (0, 1)),
        binary_sample,
    ),
    "OneHotIoU": whole(
        lambda **k: metrics.OneHotIoU(3, [1], **k), lambda y, p, w: ious(y.argmax(1), p.argmax(1), w, [1]), one_hot_sample
    ),
    "OneHotMeanIoU": whole(
        lambda **k: metrics.OneHotMeanIoU(3, **k), lambda y, p, w: ious(y.argmax(1), p.argmax(1), w), one_hot_sample
    ),
}

every_metric = pytest.mark.parametrize("row", METRICS.values(), ids=METRICS)


def test_every_metric_has_a_row():
    hidden = {metrics.Metric, metrics.MeanMetricWrapper}
    classes = {
        v for n, v in vars(metrics).items() if isinstance(v, type) and issubclass(v, metrics.Metric)
    } - hidden
    classes = {c.__name__ for c in classes if not c.__name__.startswith("_")}
    assert classes == {name.split()[0] for name in METRICS}
    assert classes <= {name for name, v in metrics.registry.members.items() if inspect.isclass(v)}


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", METRICS)
def test_values(name, dtype, is_weighted):
    """Batches of 7, 1 and 4 rows: as one pass over all rows."""
    row, generator = METRICS[name], np.random.default_rng(0)
    metric = row.make(dtype=dtype)
    assert not np.any(metric.result())
    batches, weights = [], []
    for n in (7, 1, 4):
        sample = [a.astype(dtype).astype("float64") for a in row.sample(generator, n)]
        w = generator.uniform(0, 2, n).astype(dtype)
        metric.update_state(*(a.astype(dtype) for a in sample), sample_weight=w if is_weighted else None)
        batches.append(sample)
        weights.append(w.astype("float64") if is_weighted else np.ones(n))
        together, total = [np.concatenate(parts) for parts in zip(*batches)], np.concatenate(weights)
        expected = row.expected(together, total) * (total.sum() if type(metric) is metrics.Sum else 1)
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        if "IoU" in name or "F" in name[:2]:
            tolerance = 1e-6  # Keras adds 1e-7 to what it divides by
        if name == "R2Score":
            tolerance = max(tolerance, 1e-8)  # the targets lie far from 0
        np.testing.assert_allclose(metric.result(), expected, rtol=tolerance, atol=tolerance)
    fixed = "float64" if name == "R2Score" or "IoU" in name else dtype
    assert {v.dtype.name for v in metric.variables} == {fixed}
    assert metric.result().dtype == ("float32" if "IoU" in name else dtype)
    assert all(v.path == f"{metric.name}/{v.name}" for v in metric.variables)
    metric.reset_state()
    assert not np.any(metric.result())
    sample = row.sample(generator, 3)
    again = row.make(dtype=dtype)
    assert_same(np.asarray(metric(*sample)), np.asarray(again(*sample)))


@every_metric
def test_rows_of_weight_zero_do_not_count(row):
    sample = row.sample(np.random.default_rng(0), 6)
    weights = np.array([1.0, 0, 1, 0, 0, 1])
    kept = [a[weights > 0] for a in sample]
    weighted, plain = row.make(), row.make()
    weighted.update_state(*sample, sample_weight=weights)
    plain.update_state(*kept)
    np.testing.assert_allclose(weighted.result(), plain.result(), rtol=1e-6)
    empty = row.make()
    empty.update_state(*sample, sample_weight=np.zeros(6))
    assert not np.any(empty.result())


@every_metric
def test_merging(row):
    """Two metrics that saw half of the rows each are one that saw all."""
    generator = np.random.default_rng(0)
    halves = [row.sample(generator, 5), row.sample(generator, 3)]
    parts, one = [row.make(name="a"), row.make(name="a")], row.make()
    for part, sample in zip(parts, halves):
        part.update_state(*sample)
        one.update_state(*sample)
    parts[0].merge_state(parts[1:])
    np.testing.assert_allclose(parts[0].result(), one.result(), rtol=1e-6)
    with pytest.raises(ValueError, match="merged"):
        parts[0].merge_state([metrics.Metric()])


@every_metric
def test_config_round_trip(row):
    metric = row.make(name="mine", dtype="float64")
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    assert again.name == "mine" and again.dtype == "float64"


@pytest.mark.parametrize("y_shape, p_shape", [((6,), (6, 1)), ((6, 1), (6,)), ((6,), (6,))])
@pytest.mark.parametrize(
    "make", [metrics.BinaryAccuracy, metrics.MeanSquaredError, metrics.MeanAbsoluteError, metrics.Accuracy]
)
def test_ranks_are_aligned(make, y_shape, p_shape):
    y, p = (a[:, 0] for a in binary_sample(np.random.default_rng(0), 6))
    if make is metrics.Accuracy:
        p = p.round()
    for weights in (None, np.arange(6.0)):
        expected, aligned = make(), make()
        expected.update_state(y[:, None], p[:, None], sample_weight=weights)
        aligned.update_state(y.reshape(y_shape), p.reshape(p_shape), sample_weight=weights)
        assert float(aligned.result()) == pytest.approx(float(expected.result()), rel=1e-6)


def test_the_numbers_of_keras():
    metric = metrics.BinaryAccuracy()
    assert float(metric(np.array([0, 1, 1, 0]), np.array([0.5, 0.5001, 0.2, 0.1]))) == 0.75
    metric = metrics.BinaryAccuracy()
    assert float(metric([[0, 1], [1, 1]], [[0.1, 0.9], [0.1, 0.9]], sample_weight=[1, 3])) == 0.625
    assert float(metrics.Accuracy()([1, 2, 3], [1, 2, 4], sample_weight=[1, 1, 2])) == 0.5
    assert float(metrics.Mean()([[1, 2], [3, 5]])) == 2.75
    assert float(metrics.Mean()([[1, 2], [3, 5]], sample_weight=[1, 3])) == 3.375


def test_strict_threshold_and_ties():
    assert float(metrics.BinaryAccuracy()([1.0, 0.0], [0.5, 0.5])) == 0.5  # > 0.5, not >=
    assert float(metrics.BinaryAccuracy()([0.9], [0.8])) == 0  # 0.9 is no class
    tie = [[0.4, 0.4, 0.2]]
    assert (
        float(metrics.SparseCategoricalAccuracy()([0], tie)) == 1
        and float(metrics.SparseCategoricalAccuracy()([1], tie)) == 0
    )
    assert float(metrics.CategoricalAccuracy()([[0.5, 0.5, 0]], tie)) == 1


def test_mean_of_scalars():
    mean = metrics.Mean()
    mean.update_state(2.0)
    mean.update_state(4.0, sample_weight=3.0)
    assert float(mean.result()) == pytest.approx(3.5)


@pytest.mark.parametrize("weights", [np.ones(3), np.ones((4, 2)), np.ones((2, 2))])
def test_weights_that_do_not_fit(weights):
    metric = metrics.MeanSquaredError()
    with pytest.raises(ValueError, match="sample_weight"):
        metric.update_state(np.ones((4, 1)), np.zeros((4, 1)), sample_weight=weights)
    assert float(metric.count) == 0


def test_targets_that_do_not_fit():
    for make in (metrics.MeanSquaredError, metrics.BinaryAccuracy, metrics.CategoricalAccuracy):
        with pytest.raises(ValueError, match=r"\(4, 2\).*\(4, 3\)|\(4, 2\), \(4, 3\)"):
            make().update_state(np.ones((4, 2)), np.ones((4, 3)))


@pytest.mark.parametrize("name", [
    name for name in METRICS if "Accuracy" not in name and "IoU" not in name and name not in ("Mean", "Sum")
])
def test_nan_shows_in_every_value(name):
    """But for accuracies and IoU, which compare: what is NaN equals nothing and is no class."""
    row = METRICS[name]
    sample = row.sample(np.random.default_rng(0), 6)
    sample[1][2] = np.nan
    metric = row.make()
    metric.update_state(*sample)
    assert np.isnan(metric.result()).any()


@pytest.mark.parametrize("sample", [
    binary_sample, multilabel_sample, one_hot_sample, label_sample, number_sample, positive_sample
])
def test_eager_equals_replay(sample):
    """All metrics that such targets suit, in one model, weighted and not: logs and state to the bit, no fallback."""
    y, p = sample(np.random.default_rng(5), 10)
    makes = {name.replace(" ", "_").lower(): row.make for name, row in METRICS.items() if row.sample is sample}
    assert makes
    runs = []
    for run_eagerly in (True, False):
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [keras.Input((5,)), keras.layers.Dense(p.shape[1]),
             keras.layers.Activation("sigmoid"), keras.layers.Flatten()]
        )
        model.compile(
            "adam",
            "sparse_categorical_crossentropy" if y.ndim < p.ndim else "mse",
            metrics=[make(name=name) for name, make in makes.items()],
            weighted_metrics=[make(name=f"w_{name}") for name, make in makes.items()],
            run_eagerly=run_eagerly,
        )
        x, w = np.random.default_rng(6).standard_normal((10, 5)), np.linspace(0, 2, 10)
        with Quiet():
            history = model.fit(x, y, sample_weight=w, batch_size=4, epochs=2, verbose=0).history
            logs = model.evaluate(x, y, batch_size=3, verbose=0, return_dict=True)
        assert (model.train_program is None) is run_eagerly
        runs.append([history, logs, state(model)])
    assert_same(*runs)
    single = METRICS[next(name for name, row in METRICS.items() if row.sample is sample)].make()
    single.update_state(y, model.predict(x, verbose=0))
    np.testing.assert_allclose(logs[next(iter(makes))], single.result(), rtol=1e-5)


def test_nan_shows():
    metric = metrics.MeanSquaredError()
    metric.update_state(np.ones((2, 1)), np.array([[np.nan], [1.0]]))
    assert np.isnan(metric.result())
    metric.reset_state()
    assert float(metric(np.ones((2, 1)), np.zeros((2, 1)))) == 1


@pytest.mark.parametrize("names, kind", [
    (["accuracy", "Accuracy"], metrics.Accuracy),
    (["binary_accuracy", "BinaryAccuracy"], metrics.BinaryAccuracy),
    (["categorical_accuracy", "CategoricalAccuracy"], metrics.CategoricalAccuracy),
    (["sparse_categorical_accuracy", "SparseCategoricalAccuracy"], metrics.SparseCategoricalAccuracy),
    (["mse", "MSE", "mean_squared_error", "MeanSquaredError"], metrics.MeanSquaredError),
    (["mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"], metrics.MeanAbsoluteError),
    (["root_mean_squared_error", "RootMeanSquaredError"], metrics.RootMeanSquaredError),
    (["bce", "BCE", "binary_crossentropy", "BinaryCrossentropy"], metrics.BinaryCrossentropy),
    (["categorical_crossentropy", "CategoricalCrossentropy"], metrics.CategoricalCrossentropy),
    (["sparse_categorical_crossentropy"], metrics.SparseCategoricalCrossentropy),
    (["mean", "Mean"], metrics.Mean), (["sum", "Sum"], metrics.Sum),
    (["mape", "MAPE"], metrics.MeanAbsolutePercentageError), (["msle", "MSLE"], metrics.MeanSquaredLogarithmicError),
    (["auc", "AUC"], metrics.AUC), (["precision"], metrics.Precision), (["recall", "Recall"], metrics.Recall),
    (["true_positives"], metrics.TruePositives), (["f1_score", "F1Score"], metrics.F1Score),
    (["r2_score", "R2Score"], metrics.R2Score), (["log_cosh_error"], metrics.LogCoshError),
    (["top_k_categorical_accuracy"], metrics.TopKCategoricalAccuracy), (["f_beta_score"], metrics.FBetaScore),
])
def test_names(names, kind):
    for name in names:
        assert type(metrics.get(name)) is kind
    assert type(metrics.get(kind)) is kind
    assert metrics.get(None) is None


@pytest.mark.parametrize("name", ["acurracy", "acc", "Mse", "huber", "crossentropy", "ce", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"Unknown metric: '{name}'"):
        metrics.get(name)


@pytest.mark.parametrize("make, words", [
    (lambda: metrics.BinaryAccuracy(threshold=-0.1), ["BinaryAccuracy", "threshold", "-0.1"]),
    (lambda: metrics.BinaryAccuracy(threshold=None), ["threshold", "None"]),
    (lambda: metrics.TopKCategoricalAccuracy(0), ["TopKCategoricalAccuracy", "k", "0"]),
    (lambda: metrics.Precision(thresholds=[0.5, 1.5]), ["Precision", "thresholds", "1.5"]),
    (lambda: metrics.Recall(thresholds=[]), ["Recall", "thresholds"]),
    (lambda: metrics.Precision(thresholds="0.5"), ["thresholds", "'0.5'"]),
    (lambda: metrics.Precision(top_k=0), ["Precision", "k", "0"]),
    (lambda: metrics.Precision(class_id=1.0), ["class_id", "1.0"]),
    (lambda: metrics.AUC(curve="roc curve"), ["AUC", "curve", "ROC", "PR"]),
    (lambda: metrics.AUC(summation_method="sum"), ["AUC", "summation_method", "majoring"]),
    (lambda: metrics.AUC(num_thresholds=1), ["num_thresholds", "1"]),
    (lambda: metrics.AUC(thresholds=[2.0]), ["thresholds", "2.0"]),
    (lambda: metrics.AUC(num_labels=3), ["num_labels", "multi_label"]),
    (lambda: metrics.AUC(label_weights=[1.0, -1.0]), ["label_weights", "-1.0"]),
    (lambda: metrics.PrecisionAtRecall(1.5), ["PrecisionAtRecall", "recall", "1.5"]),
    (lambda: metrics.SpecificityAtSensitivity(0.5, 0), ["num_thresholds", "0"]),
    (lambda: metrics.FBetaScore(average="mean"), ["FBetaScore", "average", "mean"]),
    (lambda: metrics.FBetaScore(beta=0), ["beta", "0"]),
    (lambda: metrics.F1Score(threshold=0.0), ["F1Score", "threshold", "0.0"]),
    (lambda: metrics.R2Score("mean"), ["R2Score", "class_aggregation", "mean"]),
    (lambda: metrics.R2Score(num_regressors=-1), ["num_regressors", "-1"]),
    (lambda: metrics.IoU(2, [2]), ["target_class_ids", "2"]),
])
def test_bad_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("make, y, p, words", [
    (metrics.Precision, (4, 2), (4, 3), ["(4, 2)", "(4, 3)"]),
    (metrics.AUC, (4,), (4, 2), ["(4,)", "(4, 2)"]),
    (lambda: metrics.Precision(class_id=3), (4, 3), (4, 3), ["class_id=3", "(4, 3)"]),
    (lambda: metrics.Recall(class_id=0), (4,), (4,), ["class_id=0", "(4,)"]),
    (lambda: metrics.AUC(multi_label=True), (4,), (4,), ["multi_label", "(4,)"]),
    (lambda: metrics.AUC(multi_label=True, num_labels=2), (4, 3), (4, 3), ["2 labels", "(4, 3)"]),
    (lambda: metrics.AUC(label_weights=[1.0]), (4, 3), (4, 3), ["label_weights", "(4, 3)"]),
    (metrics.F1Score, (4,), (4,), ["(rows, columns)", "(4,)"]),
    (metrics.R2Score, (4, 2), (4, 3), ["(4, 2)", "(4, 3)"]),
    (lambda: metrics.MeanIoU(2), (4,), (5,), ["4 labels", "5"]),
])
def test_shapes_that_do_not_fit(make, y, p, words):
    metric = make()
    with pytest.raises(ValueError) as error:
        metric.update_state(np.ones(y), np.full(p, 0.5))
    for word in words:
        assert word in str(error.value)
    assert not any(v.numpy().any() for v in metric.variables)


def test_another_number_of_columns():
    for metric in (metrics.F1Score(), metrics.R2Score()):
        metric.update_state(np.eye(3), np.eye(3))
        with pytest.raises(ValueError, match="3 columns.*2"):
            metric.update_state(np.eye(2), np.eye(2))


@pytest.mark.parametrize("name, best", [
    ("AUC", "max"), ("Precision", "max"), ("F1Score", "max"), ("R2Score", "max"), ("BinaryAccuracy", "max"),
    ("CosineSimilarity", "max"), ("MeanSquaredError", "min"), ("RootMeanSquaredError", "min"), ("Hinge", "min"),
    ("BinaryCrossentropy", "min"), ("Mean", None), ("FalsePositives", None),
])
def test_direction(name, best):
    assert getattr(metrics, name)().direction == best
    assert LossTracker().direction == "min"


def test_signatures_are_explicit():
    expected = {
        metrics.BinaryAccuracy: "name='binary_accuracy', dtype=None, threshold=0.5",
        metrics.TopKCategoricalAccuracy: "k=5, name='top_k_categorical_accuracy', dtype=None",
        metrics.LogCoshError: "name='logcosh', dtype=None",
        metrics.PrecisionAtRecall: "recall, num_thresholds=200, class_id=None, name=None, dtype=None",
        metrics.CategoricalCrossentropy:
            "name='categorical_crossentropy', dtype=None, from_logits=False, label_smoothing=0, axis=-1",
    }
    for kind, signature in expected.items():
        assert str(inspect.signature(kind)) == f"({signature})"
    with pytest.raises(TypeError, match="BinaryAccuracy.*thresold"):
        metrics.BinaryAccuracy(thresold=0.3)
