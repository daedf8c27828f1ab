"""Every loss and metric against what the real Keras made of the same data (golden/losses.npz)."""

import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_losses as golden

FOUND = dict(np.load(golden.FIXTURE))


def near(actual, expected, **tolerance):
    actual = np.asarray(actual)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, **{"rtol": 2e-5, "atol": 2e-6, **tolerance})


def value_and_slope(function, p):
    x = minigrad.Tensor(p, requires_grad=True)
    value = function(x)
    value.backward(np.ones(value.shape, "float32"))
    return value, x.grad


@pytest.mark.parametrize("i, row", [*enumerate(golden.LOSSES)], ids=map(golden.title, golden.LOSSES))
def test_loss(i, row):
    actual = golden.loss_trace(minigrad, value_and_slope, row)
    expected = {key.partition("|")[2]: value for key, value in FOUND.items() if key.startswith(f"loss {i}|")}
    assert list(actual) == list(expected)
    for key in expected:
        near(actual[key], expected[key], atol=1e-4 if "Percentage" in row[0] else 2e-6)


@pytest.mark.parametrize("i, row", [*enumerate(golden.METRICS)], ids=map(golden.title, golden.METRICS))
def test_metric(i, row):
    near(golden.metric_trace(minigrad, row), FOUND[f"metric {i}"])
