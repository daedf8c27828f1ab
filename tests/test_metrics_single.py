"""Single metrics by hand: golden numbers of Keras, ties, NaN, weights, rounding, results inside a recorded step."""

import json

import numpy as np
import pytest
from sklearn.metrics import r2_score
from test_losses import softmax
from test_metrics import far_sample

import minigrad as keras
from minigrad import metrics


@pytest.mark.parametrize("options, value", [
    ({}, 0.75), ({"num_thresholds": 3}, 0.75), ({"num_thresholds": 3, "summation_method": "majoring"}, 1.0),
    ({"num_thresholds": 3, "summation_method": "minoring"}, 0.5), ({"curve": "PR"}, 0.79726744),
    ({"thresholds": [0.25, 0.6]}, 0.875),
])
def test_auc_by_hand(options, value):
    assert float(metrics.AUC(**options)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])) == pytest.approx(value)


def test_precision_and_recall_by_hand():
    y, p = [0, 1, 1, 0], [0.5, 0.6, 0.4, 0.9]
    assert float(metrics.Precision()(y, p)) == float(metrics.Recall()(y, p)) == 0.5
    assert float(metrics.Precision()(y, p, sample_weight=[1, 2, 1, 1])) == pytest.approx(2 / 3)
    assert metrics.Precision([0.5, 0.7])(y, p).numpy().tolist() == [0.5, 0.0]
    assert float(metrics.Precision(top_k=1)([[0, 1, 0], [1, 0, 0]], [[0.1, 0.3, 0.2], [0.1, 0.3, 0.2]])) == 0.5


def test_auc_of_scores_outside_and_of_one_class():
    assert float(metrics.AUC()([0, 1, 1], [-3.0, 0.4, 7.0])) == 1.0
    assert float(metrics.AUC()([1, 1], [0.2, 0.4])) == 0.0


def test_ties_and_bad_labels_of_top_k():
    scores = np.array([[0.4, 0.4, 0.4, 0.1]] * 5)
    rows = metrics.sparse_top_k_categorical_accuracy(np.array([0, 2, 3, 4, -1]), scores, k=1)
    assert rows.numpy().tolist() == [1, 1, 0, 0, 0]  # ties count, as on TensorFlow


def test_r2_keeps_its_digits_far_from_zero():
    """In float32 the sums of Keras would give -0.3 here."""
    generator = np.random.default_rng(0)
    y = (1e4 + generator.standard_normal((64, 1))).astype("float32")
    p = y + np.float32(0.25) * generator.standard_normal((64, 1)).astype("float32")
    assert float(metrics.R2Score()(y, p)) == pytest.approx(r2_score(y, p), rel=1e-5)


def test_adjusted_r2():
    y, p = far_sample(np.random.default_rng(0), 10)
    plain = float(metrics.R2Score()(y, p))
    assert float(metrics.R2Score(num_regressors=3)(y, p)) == pytest.approx(1 - (1 - plain) * 9 / 6, rel=1e-6)
    with pytest.warns(UserWarning, match="more than 10 rows"):
        assert float(metrics.R2Score(num_regressors=9)(y, p)) == plain


def test_weights_of_each_element_of_a_mean():
    """A row counts as much as its mean weight, as in Keras."""
    mean = metrics.Mean()
    mean.update_state([[1.0, 2], [3, 5]], sample_weight=[[1, 1], [0, 2]])
    assert float(mean.result()) == pytest.approx(13 / 4) and float(mean.count) == 2
    accuracy = metrics.BinaryAccuracy()
    assert float(accuracy([[1, 0]], [[0.9, 0.9]], sample_weight=[[3, 1]])) == 0.75


def test_ignored_class_does_not_count():
    y, p = np.array([0, 1, 2, 1]), softmax(np.random.default_rng(0).standard_normal((4, 3)))
    metric, kept = metrics.SparseCategoricalCrossentropy(ignore_class=1), metrics.SparseCategoricalCrossentropy()
    for weights in (None, np.arange(1.0, 5)):
        expected = kept(y[::2], p[::2], sample_weight=None if weights is None else weights[::2])
        assert float(metric(y, p, sample_weight=weights)) == pytest.approx(float(expected))


def test_variables_start_as_asked_and_have_names():
    metric = metrics.Metric(name="mine")
    ones = metric.add_variable((2,), "ones", "float64", "start")
    assert ones.numpy().tolist() == [1, 1] and ones.dtype == "float64" and ones.path == "mine/start"
    assert metric.add_weight().path == "mine/variable" and metric.variables[0] is ones


def test_results_are_tensors_that_print_as_numbers():
    result = metrics.Mean()([1.0, 2.0])
    assert f"{result:.3f}" == "1.500" and result.numpy() == 1.5 and result == 1.5


def test_a_result_asked_for_in_a_recorded_step_is_found_when_it_is_read():
    metric, values = metrics.AUC(), keras.Tensor(np.array([0.3, 0.9], "float32"))
    results = []

    def step():
        results[:] = [metric(np.array([0.0, 1.0], "float32"), values)]

    program = keras.Program(step)
    program.replay(2)
    assert float(results[0]) == 1.0 and float(metric.true_positives[0]) == 2

    def frozen():
        metric.result() * 2

    with pytest.raises(keras.RecordingError):
        keras.Program(frozen)


def test_wrappers_are_read_back():
    for fn in (metrics.binary_accuracy, metrics.huber, metrics.pearson_correlation):
        wrapper = metrics.MeanMetricWrapper(fn, name="own")
        again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(wrapper))))
        assert again.fn is fn and again.name == "own"


def test_a_row_of_zeros_has_no_largest_class():
    score = metrics.F1Score()
    values = score(np.eye(2), [[0.0, 0.0], [0.0, 0.9]]).numpy()
    assert values == pytest.approx([0, 1], abs=1e-6) and score.false_positives.numpy().tolist() == [0, 0]


@pytest.mark.parametrize("target, output", [(0.1, 0.2), (1.0, 1.0), (1e5 + 0.1, 0.0)])
def test_r2_of_targets_that_do_not_vary_is_zero(target, output):
    metric = metrics.R2Score()
    assert metric(np.full((10, 1), target), np.full((10, 1), output)).numpy() == 0
    assert np.isnan(metrics.R2Score()(np.full((10, 1), target), np.full((10, 1), np.nan)).numpy())
