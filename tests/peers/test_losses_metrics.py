"""Every loss and metric beside the real Keras (on TensorFlow), on random data: values, gradients, weights, configs."""
import inspect
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import metrics

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_losses as golden

pytestmark = pytest.mark.peers


def near(actual, expected, **tolerance):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, **{"rtol": 5e-5, "atol": 5e-6, **tolerance})


def value_and_slope(function, p):
    x = minigrad.Tensor(p, requires_grad=True)
    value = function(x)
    value.backward(np.ones(value.shape, "float32"))
    return value, x.grad


@pytest.mark.parametrize("seed", [1000])
@pytest.mark.parametrize("row", golden.LOSSES, ids=golden.title)
def test_loss(keras, row, seed):
    expected = golden.loss_trace(keras, golden.keras_value_and_slope, row, seed)
    actual = golden.loss_trace(minigrad, value_and_slope, row, seed)
    assert list(actual) == list(expected)
    for key in expected:
        near(actual[key], expected[key], atol=1e-3 if "Percentage" in row[0] else 5e-6)


@pytest.mark.parametrize("seed", [1000])
@pytest.mark.parametrize("row", golden.METRICS, ids=golden.title)
def test_metric(keras, row, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near(golden.metric_trace(minigrad, row, seed), golden.metric_trace(keras, row, seed))


@pytest.mark.parametrize("row", golden.METRICS, ids=golden.title)
def test_state_and_direction(keras, row):
    name, options, *keys = row
    theirs, ours = getattr(keras.metrics, name)(**options), getattr(metrics, name)(**options)
    arrays = [golden.kinds(0)[key] for key in keys if key]
    for metric in (theirs, ours):
        metric.update_state(*arrays)
    assert {"up": "max", "down": "min", None: None}[getattr(theirs, "_direction", None)] == ours.direction
    shapes = [[(v.name, tuple(v.shape)) for v in metric.variables] for metric in (ours, theirs)]
    assert sorted(shapes[0]) == sorted(shapes[1])


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


@pytest.mark.parametrize("kind, rows", [("losses", golden.LOSSES), ("metrics", golden.METRICS)])
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
    for name in ("Mse", "cross_entropy", "acc", "crossentropy"):
        with pytest.raises(ValueError):
            ours.get(name)
