"""Losses: their names, arguments, configs and errors."""

import inspect
import json

import numpy as np
import pytest
from helpers import assert_same, network
from test_losses import BCE, CCE, SCCE, every_loss

import minigrad as keras
from minigrad import losses
from minigrad.losses.base import as_loss


@pytest.mark.parametrize("names, kind", [
    (["mse", "MSE", "mean_squared_error", "MeanSquaredError"], losses.MeanSquaredError),
    (["mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"], losses.MeanAbsoluteError),
    (["bce", "BCE", "binary_crossentropy", "BinaryCrossentropy"], BCE),
    (["categorical_crossentropy", "CategoricalCrossentropy"], CCE),
    (["sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"], SCCE),
    (["mape", "MAPE", "mean_absolute_percentage_error"], losses.MeanAbsolutePercentageError),
    (["msle", "MSLE", "mean_squared_logarithmic_error"], losses.MeanSquaredLogarithmicError),
    (["kld", "KLD", "kl_divergence", "KLDivergence"], losses.KLDivergence),
    (["huber", "Huber"], losses.Huber), (["log_cosh", "LogCosh"], losses.LogCosh),
    (["hinge"], losses.Hinge), (["squared_hinge"], losses.SquaredHinge),
    (["categorical_hinge"], losses.CategoricalHinge), (["poisson"], losses.Poisson),
    (["cosine_similarity"], losses.CosineSimilarity), (["dice"], losses.Dice), (["tversky"], losses.Tversky),
    (["binary_focal_crossentropy"], losses.BinaryFocalCrossentropy),
    (["categorical_focal_crossentropy"], losses.CategoricalFocalCrossentropy),
])
def test_names(names, kind):
    for name in names:
        assert type(as_loss(name)) is kind
    assert type(losses.get(kind)) is kind
    assert losses.get(None) is None


@pytest.mark.parametrize("name", ["Mse", "binary_crossentrop", "hubber", "cross_entropy", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"Unknown loss: '{name}'"):
        losses.get(name)
    with pytest.raises(ValueError, match="Unknown loss"):
        network(loss=name)


@every_loss
def test_config_round_trip(row):
    loss = row.make(reduction="sum", name="mine")
    again = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    y, p = row.sample()
    assert_same(again(y, p).numpy(), loss(y, p).numpy())


@pytest.mark.parametrize(
    "make, words",
    [
        (
            lambda: losses.MeanSquaredError(reduction="average"),
            ["MeanSquaredError", "reduction", "average", "sum"],
        ),
        (lambda: BCE(label_smoothing=1.5), ["label_smoothing", "1.5"]),
        (lambda: CCE(label_smoothing=-0.1), ["label_smoothing", "-0.1"]),
        (lambda: losses.get(3), ["loss", "3"]),
        (lambda: losses.Huber(-1.0), ["Huber", "delta", "-1.0"]),
        (lambda: losses.Huber("1"), ["Huber", "delta", "'1'"]),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-2), ["BinaryFocalCrossentropy", "gamma", "-2"]),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(1.0), ["q", "(0, 1)", "1.0"]),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("labels, words", [
    ([0, 1, 3], ["0 to 2", "3"]), ([-1, 0, 1], ["0 to 2", "-1"]), ([0, 1, 1.5], ["integers", "1.5"]),
    ([0, 1, np.nan], ["nan"]),
])
def test_labels_out_of_range(labels, words):
    with pytest.raises(ValueError) as error:
        SCCE().check_targets(np.array(labels, "float32"), (None, 3))
    for word in words:
        assert word in str(error.value)


def test_labels_out_of_range_are_nan_where_they_are_not_checked():
    """Called by itself a loss can't read its targets: what is no class shows."""
    rows = SCCE(reduction="none", from_logits=True)(np.array([0.0, 3.0, -1.0]), np.zeros((3, 3)))
    assert np.isnan(rows.numpy()).tolist() == [False, True, True]


@pytest.mark.parametrize("y", [[-1.0, 1.0], [0.0, 2.0]])
def test_binary_targets_outside_of_0_and_1_warn(y):
    model = network()
    with pytest.warns(UserWarning, match=r"binary_crossentropy.*\[0, 1\]"):
        model.test_on_batch(np.ones((2, 5)), np.array(y))


def test_one_class_warns():
    with pytest.warns(UserWarning, match="binary_crossentropy"):
        CCE()(np.ones((4, 1)), np.full((4, 1), 0.5))


@pytest.mark.parametrize("make, words", [
    (lambda: losses.Huber(gamma=1.0), ["Huber", "gamma"]),
    (lambda: losses.MeanSquaredError("sum", "mse", None, 3), ["MeanSquaredError", "positional arguments"]),
    (lambda: losses.Huber(1.0, delta=2.0), ["Huber", "delta"]),
])
def test_arguments_that_do_not_exist(make, words):
    with pytest.raises(TypeError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("kind, signature", [
    (losses.MeanSquaredError, "reduction='sum_over_batch_size', name='mean_squared_error', dtype=None"),
    (losses.Huber, "delta=1.0, reduction='sum_over_batch_size', name='huber_loss', dtype=None"),
    (SCCE, "from_logits=False, ignore_class=None, reduction='sum_over_batch_size', axis=-1, "
           "name='sparse_categorical_crossentropy', dtype=None"),
    (losses.Tversky, "alpha=0.5, beta=0.5, reduction='sum_over_batch_size', name='tversky', axis=None, dtype=None"),
])
def test_signatures_are_explicit(kind, signature):
    assert str(inspect.signature(kind)) == f"({signature})"
    assert kind.__doc__ and list(inspect.signature(kind.__init__).parameters)[0] == "self"
    assert list(inspect.signature(losses.huber).parameters) == ["y_true", "y_pred", "delta"]


def test_arguments_are_attributes():
    loss = losses.Huber(0.5)
    y, p = np.zeros((1, 1)), keras.Tensor(np.array([[4.0]]))
    assert loss.delta == 0.5 and float(loss(y, p)) == 0.5 * 4 - 0.125
    loss.delta = 1.0
    assert float(loss(y, p)) == 3.5 and loss.get_config()["delta"] == 1.0


def test_a_class_derived_from_ours_has_its_own_constructor():
    class Mild(losses.Huber):
        def __init__(self):
            super().__init__(0.1, name="mild")

    assert list(inspect.signature(Mild).parameters) == []
    assert float(Mild()(np.zeros((1, 1)), np.ones((1, 1)))) == pytest.approx(0.1 - 0.005)
    assert type(losses.get("Huber")) is losses.Huber
