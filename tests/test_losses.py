"""Every loss against NumPy formulas in float64: values, gradients, weights and reductions.

A loss without a row in `LOSSES` fails.
"""

import json
import warnings

import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network, state

import minigrad as keras
from minigrad import backend, losses, ops
from minigrad.losses.base import as_loss
from minigrad.utils import gradcheck

EPSILON = 1e-7


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def binary(y, p, from_logits=False, label_smoothing=0.0):
    y = y * (1 - label_smoothing) + label_smoothing / 2
    p = np.clip(sigmoid(p) if from_logits else p, EPSILON, 1 - EPSILON)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(-1)


def categorical(y, p, from_logits=False, label_smoothing=0.0):
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[-1]
    p = softmax(p) if from_logits else np.clip(p / p.sum(-1, keepdims=True), EPSILON, 1 - EPSILON)
    return -(y * np.log(p)).sum(-1)


def sparse(y, p, from_logits=False, ignore_class=None):
    logits = p if from_logits else np.log(np.clip(p, EPSILON, 1 - EPSILON))
    y = y.astype(int)
    kept = y != ignore_class
    rows = -np.log(np.take_along_axis(softmax(logits), np.where(kept, y, 0)[..., None], -1)[..., 0])
    return np.where(kept, rows, 0.0)


def focal(y, p, balance=None, gamma=2.0, from_logits=False, label_smoothing=0.0):
    y = y * (1 - label_smoothing) + label_smoothing / 2
    p = sigmoid(p) if from_logits else p
    q = y * p + (1 - y) * (1 - p)
    share = 1 if balance is None else y * balance + (1 - y) * (1 - balance)
    return -(share * (1 - q) ** gamma * (y * np.log(p) + (1 - y) * np.log(1 - p))).mean(-1)


def categorical_focal(y, p, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0):
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[-1]
    p = np.clip(softmax(p) if from_logits else p / p.sum(-1, keepdims=True), EPSILON, 1 - EPSILON)
    return -(alpha * (1 - p) ** gamma * y * np.log(p)).sum(-1)


def huber(y, p, delta=1.0):
    e = np.abs(p - y)
    return np.where(e <= delta, e**2 / 2, delta * e - delta**2 / 2).mean(-1)


def logarithmic(y, p):
    return ((np.log(np.maximum(p, EPSILON) + 1) - np.log(y + 1)) ** 2).mean(-1)


def cosine(y, p):
    return -(y * p).sum(-1) / np.linalg.norm(y, axis=-1) / np.linalg.norm(p, axis=-1)


def margin(y, p):
    y = 2 * y - 1 if np.isin(y, (0, 1)).all() else y
    return np.maximum(1 - y * p, 0)


def categorical_margin(y, p):
    return np.maximum(1 + ((1 - y) * p).max(-1) - (y * p).sum(-1), 0)


def generalized(y, p, q=0.5):
    return (1 - np.take_along_axis(p, y.astype(int)[..., None], -1)[..., 0] ** q) / q


def dice(y, p):
    return 1 - 2 * (y * p).sum(-1) / (y.sum(-1) + p.sum(-1) + EPSILON)


def tversky(y, p, alpha=0.5, beta=0.5):
    common = (y * p).sum(-1)
    return 1 - common / (common + alpha * (y * (1 - p)).sum(-1) + beta * ((1 - y) * p).sum(-1) + EPSILON)


class Row:
    """A loss, its formula, and the kinds of target and output it takes."""

    def __init__(self, make, formula, target, output):
        self.make, self.formula, self.target, self.output = make, formula, target, output

    def sample(self, shape=(7, 3), seed=0):
        """Targets and outputs, float64."""
        generator = np.random.default_rng(seed)
        y = {
            "any": lambda: generator.standard_normal(shape),
            "probability": lambda: generator.uniform(0, 1, shape),
            "distribution": lambda: softmax(generator.standard_normal(shape)),
            "label": lambda: generator.integers(0, shape[-1], shape[:-1]).astype("float64"),
            "count": lambda: generator.poisson(2, shape).astype("float64"),
            "sign": lambda: generator.choice([-1.0, 1.0], shape),
            "bit": lambda: generator.integers(0, 2, shape).astype("float64"),
            "one-hot": lambda: np.eye(shape[-1])[generator.integers(0, shape[-1], shape[:-1])],
        }[self.target]()
        p = {
            "any": lambda: 3 * generator.standard_normal(shape),
            "probability": lambda: generator.uniform(0.05, 0.95, shape),
            "positive": lambda: generator.uniform(0.05, 0.95, shape),
        }[self.output]()
        return y, p


BCE, CCE, SCCE = (
    losses.BinaryCrossentropy,
    losses.CategoricalCrossentropy,
    losses.SparseCategoricalCrossentropy,
)

LOSSES = {
    "MeanSquaredError": Row(losses.MeanSquaredError, lambda y, p: ((y - p) ** 2).mean(-1), "any", "any"),
    "MeanAbsoluteError": Row(losses.MeanAbsoluteError, lambda y, p: np.abs(y - p).mean(-1), "any", "any"),
    "BinaryCrossentropy": Row(BCE, binary, "probability", "probability"),
    "BinaryCrossentropy smoothed": Row(
        lambda **k: BCE(label_smoothing=0.2, **k),
        lambda y, p: binary(y, p, False, 0.2),
        "probability",
        "probability",
    ),
    "BinaryCrossentropy logits": Row(
        lambda **k: BCE(from_logits=True, **k), lambda y, p: binary(y, p, True), "probability", "any"
    ),
    "BinaryCrossentropy logits, smoothed": Row(
        lambda **k: BCE(True, 0.3, **k), lambda y, p: binary(y, p, True, 0.3), "probability", "any"
    ),
    "CategoricalCrossentropy": Row(CCE, categorical, "distribution", "positive"),
    "CategoricalCrossentropy smoothed": Row(
        lambda **k: CCE(label_smoothing=0.1, **k),
        lambda y, p: categorical(y, p, False, 0.1),
        "distribution",
        "positive",
    ),
    "CategoricalCrossentropy logits": Row(
        lambda **k: CCE(from_logits=True, **k), lambda y, p: categorical(y, p, True), "distribution", "any"
    ),
    "CategoricalCrossentropy logits, smoothed": Row(
        lambda **k: CCE(True, 0.5, **k), lambda y, p: categorical(y, p, True, 0.5), "distribution", "any"
    ),
    "SparseCategoricalCrossentropy": Row(SCCE, sparse, "label", "probability"),
    "SparseCategoricalCrossentropy logits": Row(
        lambda **k: SCCE(from_logits=True, **k), lambda y, p: sparse(y, p, True), "label", "any"
    ),
    "MeanAbsolutePercentageError": Row(
        losses.MeanAbsolutePercentageError, lambda y, p: 100 * np.abs((y - p) / y).mean(-1), "any", "any"
    ),
    "MeanSquaredLogarithmicError": Row(losses.MeanSquaredLogarithmicError, logarithmic, "probability", "positive"),
    "Huber": Row(losses.Huber, huber, "any", "any"),
    "Huber of 0.3": Row(lambda **k: losses.Huber(0.3, **k), lambda y, p: huber(y, p, 0.3), "any", "any"),
    "LogCosh": Row(losses.LogCosh, lambda y, p: np.log(np.cosh(p - y)).mean(-1), "any", "any"),
    "Poisson": Row(losses.Poisson, lambda y, p: (p - y * np.log(p + EPSILON)).mean(-1), "count", "positive"),
    "CosineSimilarity": Row(losses.CosineSimilarity, cosine, "any", "any"),
    "Hinge": Row(losses.Hinge, lambda y, p: margin(y, p).mean(-1), "sign", "any"),
    "Hinge of bits": Row(losses.Hinge, lambda y, p: margin(y, p).mean(-1), "bit", "any"),
    "SquaredHinge": Row(losses.SquaredHinge, lambda y, p: (margin(y, p) ** 2).mean(-1), "bit", "any"),
    "CategoricalHinge": Row(losses.CategoricalHinge, categorical_margin, "one-hot", "any"),
    "KLDivergence": Row(
        losses.KLDivergence, lambda y, p: (y * np.log(y / p)).sum(-1), "distribution", "positive"
    ),
    "BinaryFocalCrossentropy": Row(losses.BinaryFocalCrossentropy, focal, "probability", "probability"),
    "BinaryFocalCrossentropy in full": Row(
        lambda **k: losses.BinaryFocalCrossentropy(True, 0.3, 1.5, True, 0.2, **k),
        lambda y, p: focal(y, p, 0.3, 1.5, True, 0.2),
        "bit",
        "any",
    ),
    "CategoricalFocalCrossentropy": Row(
        losses.CategoricalFocalCrossentropy, categorical_focal, "distribution", "positive"
    ),
    "CategoricalFocalCrossentropy in full": Row(
        lambda **k: losses.CategoricalFocalCrossentropy(0.5, 3.0, True, 0.2, **k),
        lambda y, p: categorical_focal(y, p, 0.5, 3.0, True, 0.2),
        "one-hot",
        "any",
    ),
    "CategoricalGeneralizedCrossEntropy": Row(
        losses.CategoricalGeneralizedCrossEntropy, generalized, "label", "positive"
    ),
    "Dice": Row(lambda **k: losses.Dice(axis=-1, **k), dice, "bit", "probability"),
    "Tversky": Row(
        lambda **k: losses.Tversky(0.2, 0.7, axis=-1, **k),
        lambda y, p: tversky(y, p, 0.2, 0.7),
        "probability",
        "probability",
    ),
}

every_loss = pytest.mark.parametrize("row", LOSSES.values(), ids=LOSSES)


def test_every_loss_has_a_row():
    hidden = {losses.Loss, losses.LossFunctionWrapper}
    classes = {v for v in vars(losses).values() if isinstance(v, type) and issubclass(v, losses.Loss)} - hidden
    assert classes == {v for v in losses.registry.members.values() if isinstance(v, type)} - hidden
    assert {c.__name__ for c in classes} == {name.split()[0] for name in LOSSES}


# ------------------------------------------------------------------------------------------------- formulas


SHAPES = [(7, 3), (1, 2), (1, 1), (5, 1), (33, 17), (2, 3, 4), (2, 1, 3, 2)]


# One class is warned about, and always 0.
@pytest.mark.parametrize("name, shape", [
    (name, shape) for name in LOSSES for shape in SHAPES if shape[-1] > 1 or "Categorical" not in name
])
def test_values_and_gradients(name, shape):
    row = LOSSES[name]
    y, p = row.sample(shape)
    values = row.make(reduction="none")(y, keras.Tensor(p))
    assert values.shape == shape[:-1] and values.dtype == np.float64
    np.testing.assert_allclose(values.numpy(), row.formula(y, p), rtol=1e-10, atol=1e-12)
    mean = row.make()(y, keras.Tensor(p))
    assert mean.shape == () and float(mean) == pytest.approx(row.formula(y, p).mean(), rel=1e-10)
    assert gradcheck(lambda t: row.make(reduction="none")(y, t), keras.Tensor(p, requires_grad=True))
    weights = np.linspace(0, 2, shape[0])
    assert gradcheck(lambda t: row.make()(y, t, sample_weight=weights), keras.Tensor(p, requires_grad=True))


@every_loss
def test_float32(row):
    y, p = row.sample((64, 5))
    loss = row.make(reduction="none")(y.astype("float32"), keras.Tensor(p.astype("float32")))
    assert loss.dtype == np.float32
    np.testing.assert_allclose(loss.numpy(), row.formula(y, p), rtol=2e-5, atol=1e-6)


def test_clipped_probabilities():
    """The numbers of Keras (and of NumPy's clip in float32)."""
    y, p = np.array([[0], [1], [1], [0]], "float32"), np.array([[0.1], [0.9], [1], [1]], "float32")
    rows = losses.binary_crossentropy(y, p)
    np.testing.assert_allclose(rows.numpy(), [0.10536055, 0.10536055, 1.1920929e-07, 15.9423847], rtol=1e-5)
    assert float(BCE()(y, p)) == pytest.approx(4.0382767)
    assert float(BCE(label_smoothing=0.2)(y, p)) == pytest.approx(4.148137)
    logits = np.array([[-3], [50], [-50], [100]], "float32")
    np.testing.assert_allclose(
        losses.binary_crossentropy(y, logits, from_logits=True).numpy(),
        [0.04858735, 0, 50, 100],
        rtol=1e-6,
        atol=1e-20,
    )
    p = keras.Tensor(np.array([[0.0], [1.0], [1e-8]], "float32"), requires_grad=True)
    losses.binary_crossentropy(np.array([[1], [0], [1]], "float32"), p).backward(np.ones(3, "float32"))
    assert not p.grad.any()


def test_categorical_numbers_of_keras():
    p = np.array([[0.2, 0.3, 0.6], [1, 0, 0]], "float32")
    labels, one_hot = np.array([2, 1]), np.eye(3, dtype="float32")[[2, 1]]
    for make, y in ((CCE, one_hot), (SCCE, labels), (SCCE, labels[:, None])):
        values = make(reduction="none", from_logits=True)(y, p).numpy()
        np.testing.assert_allclose(values, [0.88009894, 1.5514446], rtol=1e-6)
    np.testing.assert_allclose(CCE(reduction="none")(one_hot, p).numpy(), [0.6061358, 16.118095], rtol=1e-6)
    np.testing.assert_allclose(
        CCE(reduction="none", label_smoothing=0.3)(one_hot, p).numpy(), [0.78531176, 14.506287], rtol=1e-6
    )


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_axis(axis):
    generator = np.random.default_rng(0)
    y, p = softmax(generator.standard_normal((4, 3, 5))), generator.uniform(0.1, 0.9, (4, 3, 5))
    y, p = np.moveaxis(y, -1, axis), np.moveaxis(p, -1, axis)
    for make in (BCE, CCE):
        moved = make(reduction="none")(np.moveaxis(y, axis, -1), np.moveaxis(p, axis, -1)).numpy()
        np.testing.assert_allclose(make(reduction="none", axis=axis)(y, p).numpy(), moved, rtol=1e-6)
    labels = np.moveaxis(y, axis, -1).argmax(-1)
    moved = SCCE(reduction="none")(labels, np.moveaxis(p, axis, -1)).numpy()
    np.testing.assert_allclose(SCCE(reduction="none", axis=axis)(labels, p).numpy(), moved, rtol=1e-6)


# ---------------------------------------------------------------------------------- the exact path of logits


@pytest.mark.parametrize("logit, target, loss, slope", [
    (30.0, 0.0, 30.0, 1.0), (-30.0, 1.0, 30.0, -1.0), (300.0, 0.0, 300.0, 1.0), (40.0, 1.0, 4.248354e-18, 0.0)
])
def test_a_sigmoid_before_it_is_seen_through(logit, target, loss, slope):
    x = keras.Tensor(np.array([[logit]], "float32"), requires_grad=True)
    with Quiet():
        value = BCE()(np.array([[target]]), keras.activations.sigmoid(x))
    value.backward()
    assert float(value) == pytest.approx(loss, rel=1e-5)
    assert x.grad.item() == pytest.approx(slope, abs=1e-6)


def test_a_sigmoid_in_another_shape_or_dtype_is_not_seen_through():
    p = keras.activations.sigmoid(keras.Tensor(np.array([30.0, 40.0], "float32")))
    assert float(BCE()(np.zeros((2, 1)), p)) == pytest.approx(15.942384719848633)  # Keras', p being clipped
    assert float(BCE(dtype="float64")(np.zeros(2), p)) == pytest.approx(16.118095651484676)


@pytest.mark.parametrize("make, y", [(CCE, np.array([[0.0, 1, 0]])), (SCCE, np.array([1]))])
def test_a_softmax_before_it_is_seen_through(make, y):
    x = keras.Tensor(np.array([[200.0, 0, 0]], "float32"), requires_grad=True)
    value = make()(y, keras.activations.softmax(x))
    value.backward()
    assert float(value) == pytest.approx(200.0)
    np.testing.assert_allclose(x.grad, [[1, -1, 0]], atol=1e-6)


@pytest.mark.parametrize("head", [
    [keras.layers.Dense(1, activation="sigmoid")],
    [keras.layers.Dense(1), keras.layers.Activation("sigmoid")],
    [keras.layers.Dense(1), keras.layers.Activation(keras.activations.sigmoid)],
], ids=["Dense", "Activation", "function"])
def test_a_model_that_ends_in_a_sigmoid(head):
    model = keras.Sequential([keras.Input((1,)), *head])
    model.set_weights([np.array([[50.0]]), np.zeros(1)])
    model.compile("sgd", "binary_crossentropy")
    assert model.evaluate(np.ones((2, 1)), np.zeros((2, 1)), verbose=0) == pytest.approx(50.0)
    assert model.predict(np.ones((2, 1)), verbose=0) == pytest.approx(1.0)


def test_a_layer_in_between_turns_it_off():
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid"), keras.layers.Flatten()]
    )
    model.set_weights([np.array([[50.0]]), np.zeros(1)])
    model.compile("sgd", "binary_crossentropy")
    assert model.evaluate(np.ones((2, 1)), np.zeros((2, 1)), verbose=0) == pytest.approx(15.9423847, rel=1e-5)


def test_from_logits_after_a_sigmoid_warns_and_takes_the_true_logits():
    x = keras.Tensor(np.array([[30.0]], "float32"))
    with pytest.warns(UserWarning, match="from_logits"):
        assert float(BCE(from_logits=True)(np.zeros((1, 1)), keras.activations.sigmoid(x))) == pytest.approx(
            30.0
        )


# ----------------------------------------------------------------------------- shapes, weights and reductions


@pytest.mark.parametrize("make", [losses.MeanSquaredError, losses.MeanAbsoluteError, BCE])
@pytest.mark.parametrize(
    "y_shape, p_shape", [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1, 1), (4, 1)), ((4, 1), (4, 1, 1))]
)
def test_one_axis_of_length_one_may_be_missing(make, y_shape, p_shape):
    y, p = np.array([0.0, 1, 1, 0]), np.array([0.1, 0.8, 0.3, 0.6])
    expected = float(make()(y.reshape(4, 1), p.reshape(4, 1)))
    assert float(make()(y.reshape(y_shape), keras.Tensor(p.reshape(p_shape)))) == pytest.approx(expected)


@pytest.mark.parametrize("make", [losses.MeanSquaredError, losses.MeanAbsoluteError, BCE, CCE])
@pytest.mark.parametrize(
    "y_shape, p_shape", [((4,), (4, 4)), ((4, 1), (4, 3)), ((4, 3), (4, 1)), ((2, 3), (4, 3)), ((1,), (4, 3))]
)
def test_nothing_is_broadcast(make, y_shape, p_shape):
    with pytest.raises(ValueError) as error:
        make()(np.ones(y_shape), keras.Tensor(np.full(p_shape, 0.5)))
    assert str(y_shape) in str(error.value) and str(p_shape) in str(error.value)


@pytest.mark.parametrize("y_shape", [(4, 3), (3,), (4, 2), (4, 1, 2)])
def test_labels_of_a_wrong_shape(y_shape):
    with pytest.raises(ValueError) as error:
        SCCE()(np.ones(y_shape), keras.Tensor(np.full((4, 3), 0.3)))
    assert str(y_shape) in str(error.value) and "categorical_crossentropy" in str(error.value)


REDUCTIONS = {
    "sum_over_batch_size": lambda rows, w: (rows * w).mean(),
    "mean": lambda rows, w: (rows * w).mean(),
    "sum": lambda rows, w: (rows * w).sum(),
    "mean_with_sample_weight": lambda rows, w: (rows * w).sum() / w.sum() if w.sum() else 0.0,
    "none": lambda rows, w: rows * w,
    None: lambda rows, w: rows * w,
}


@pytest.mark.parametrize("weights", [None, [1, 2, 0, 0.5], [[1], [2], [0], [0.5]], [0, 0, 0, 0]])
@every_loss
def test_weights_and_reductions(row, weights):
    y, p = row.sample((4, 3))
    rows = row.formula(y, p)
    given = None if weights is None else np.array(weights, "float64")
    for reduction, formula in REDUCTIONS.items():
        value = row.make(reduction=reduction)(y, keras.Tensor(p), sample_weight=given)
        expected = formula(rows, np.ones(4) if weights is None else given.reshape(4))
        if np.ndim(weights) == 2 and np.ndim(expected):
            expected = expected[:, None]  # a column of weights makes a column of values, as in Keras
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-10, atol=1e-14, err_msg=str(reduction))


@pytest.mark.parametrize("weights", [[[1.0, 0, 2], [3, 1, 0]], [1.0, 3.0], [[1.0], [3.0]]])
def test_weights_of_sequences(weights):
    """A weight for each position, or one for each row of positions."""
    y, p = LOSSES["MeanSquaredError"].sample((2, 3, 4))
    weights = np.array(weights)
    expected = ((y - p) ** 2).mean(-1) * weights.reshape(2, -1)
    value = losses.MeanSquaredError()(y, keras.Tensor(p), sample_weight=weights)
    assert float(value) == pytest.approx(expected.mean())


@pytest.mark.parametrize("shape", [(3,), (4, 2), (1, 4), (4, 3, 1)])
def test_weights_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="sample_weight"):
        losses.MeanSquaredError()(np.ones((4, 3)), np.ones((4, 3)), sample_weight=np.ones(shape))


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("ignore_class", [-1, 0, 2])
def test_ignored_class(ignore_class, from_logits):
    generator = np.random.default_rng(0)
    y = np.array([0, 1, 2, ignore_class, 1, ignore_class], "float64")
    p = softmax(generator.standard_normal((6, 3)))
    rows = sparse(y, p, from_logits, ignore_class)
    kept = y != ignore_class
    loss = SCCE(from_logits=from_logits, ignore_class=ignore_class)
    assert float(loss(y, keras.Tensor(p))) == pytest.approx(rows[kept].mean())
    summed = SCCE(from_logits=from_logits, ignore_class=ignore_class, reduction="sum")
    assert float(summed(y, keras.Tensor(p))) == pytest.approx(rows.sum())
    loss.check_targets(y, (None, 3))
    tensor = keras.Tensor(p, requires_grad=True)
    loss(y, tensor).backward()
    assert not tensor.grad[~kept].any() and tensor.grad[kept].any()


def test_ignored_class_in_fit():
    x, y = data(32, target="labels")
    y[::3] = -1
    model = network("labels", metrics=[], loss=SCCE(ignore_class=-1))
    kept = y != -1
    model.evaluate(x, y, verbose=0)
    expected = sparse(y[kept], model.predict(x, verbose=0)[kept]).mean()
    assert model.test_on_batch(x, y) == pytest.approx(expected, rel=1e-4)
    model.fit(x, y, epochs=2, verbose=0)
    assert np.isfinite(model.get_weights()[0]).all()


@every_loss
def test_dtype(row):
    """By default that of the output; else the loss computes in its own, and the gradient comes back in the output's."""
    y, p = row.sample()
    t = keras.Tensor(p.astype("float32"), requires_grad=True)
    value = row.make(dtype="float64")(y, t)
    assert value.dtype == np.float64
    assert float(value) == pytest.approx(row.formula(y, t.numpy().astype("float64")).mean(), rel=1e-7)
    value.backward()
    assert t.grad.dtype == np.float32
    assert row.make()(y, t.detach()).dtype == np.float32 and row.make().dtype == "float32"


@pytest.mark.parametrize("name", LOSSES)
def test_nan_shows(name):
    """In the value and in the gradient of its row, and in no other row.

    (But where a comparison decides on which side of a kink an output lies, the slope is 0, as in TensorFlow.)
    """
    row = LOSSES[name]
    y, p = row.sample((4, 3))
    p[1, 1] = np.nan
    t = keras.Tensor(p, requires_grad=True)
    values = row.make(reduction="none")(y, t)
    values.backward(np.ones(4))
    assert np.isnan(values.numpy()).tolist() == [False, True, False, False]
    has_kink = "Hinge" in name or "Logarithmic" in name or "KL" in name
    assert np.isnan(t.grad).any(axis=1).tolist() == [False, not has_kink, False, False]
    if row.target != "label":
        y, p = row.sample((4, 3))
        y[2, 0] = np.nan
        assert np.isnan(row.make(reduction="none")(y, p).numpy())[2]


@pytest.mark.parametrize("name", [name for name in LOSSES if " " not in name])
def test_eager_equals_replay(name):
    row = LOSSES[name]
    x = np.random.default_rng(3).standard_normal((10, 5)).astype("float32")
    y = row.sample((10, 3))[0].astype("float32")
    weights = np.linspace(0, 2, 10, dtype="float32")
    runs = []
    for run_eagerly in (True, False):
        model = network("one-hot", loss=row.make(), metrics=[], run_eagerly=run_eagerly)
        with Quiet():
            history = model.fit(x, y, batch_size=4, epochs=2, sample_weight=weights, verbose=0).history
        assert (model.train_program is None) is run_eagerly
        runs.append([history, state(model)])
    assert_same(*runs)
    assert np.isfinite(runs[0][0]["loss"]).all()


def test_small_errors_of_log_cosh_keep_their_digits():
    rows = losses.log_cosh(np.zeros((3, 1), "float32"), np.array([[1e-4], [0.01], [300]], "float32")).numpy()
    np.testing.assert_allclose(rows, [5e-9, 4.99991667e-5, 300 - np.log(2)], rtol=1e-6)


def test_huber_by_hand():
    y, p = np.array([[0.0], [1], [1], [0]]), np.array([[0.3], [2.7], [3], [3]])
    np.testing.assert_allclose(losses.huber(y, p, 0.5).numpy(), [0.045, 0.725, 0.875, 1.375])


def test_dice_of_a_whole_batch_is_one_number():
    y, p = LOSSES["Dice"].sample((4, 3))
    assert losses.dice(y, p).shape == ()
    assert float(losses.Dice()(y, p)) == pytest.approx(dice(y.reshape(-1), p.reshape(-1)))


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_weights_of_rows_beside_one_loss_of_the_whole_batch(shape):
    """It becomes one value for each weight, as in Keras, whose 'mean_with_sample_weight' then gives the loss itself."""
    y, p = LOSSES["Dice"].sample((3, 2))
    weights, whole = np.reshape([0.5, 2.0, 0.0], shape), float(losses.dice(y, p))
    reduced = {"sum": 2.5 * whole, "sum_over_batch_size": 2.5 / 3 * whole, "mean_with_sample_weight": whole}
    for reduction, expected in reduced.items():
        assert float(losses.Dice(reduction=reduction)(y, p, weights)) == pytest.approx(expected, rel=1e-6), reduction
    values = losses.Dice(reduction="none")(y, p, weights)
    np.testing.assert_allclose(values.numpy(), whole * weights, rtol=1e-6)


def test_labels_of_a_hinge_are_mapped_only_if_all_are_bits():
    p = np.array([[0.5], [0.5]])
    assert losses.hinge(np.array([[0.0], [1]]), p).numpy().tolist() == [1.5, 0.5]
    assert losses.hinge(np.array([[0.0], [-1]]), p).numpy().tolist() == [1.0, 1.5]


def test_wrappers_are_read_back():
    wrapper = losses.LossFunctionWrapper(losses.huber, name="own", delta=0.3)
    again = losses.deserialize(json.loads(json.dumps(losses.serialize(wrapper))))
    assert again.name == "own" and again.fn is losses.huber and again.arguments == {"delta": 0.3}
    with keras.utils.custom_object_scope({"quartic": quartic}):
        again = losses.deserialize(losses.serialize(losses.LossFunctionWrapper(quartic)))
    assert again.fn is quartic


# ---------------------------------------------------------------------------------------------- of one's own


class Quartic(losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(ops.square(y_pred - y_true)), axis=-1)


def quartic(y_true, y_pred):
    return ops.mean(ops.square(ops.square(y_pred - y_true)), axis=-1)


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize(
    "loss", [quartic, Quartic(), losses.LossFunctionWrapper(quartic)], ids=["function", "class", "wrapper"]
)
@pytest.mark.parametrize("target", ["binary", "regression"])
def test_a_loss_of_ones_own(target, loss, run_eagerly):
    x, y = data(20, target=target)
    model = network(target, loss=loss, metrics=[], run_eagerly=run_eagerly)
    expected = ((model.predict(x, verbose=0) - y) ** 4).mean()
    with Quiet():
        assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
        assert model.evaluate(x, y[:, 0], verbose=0) == pytest.approx(expected, rel=1e-5)
        losses_seen = model.fit(x, y, batch_size=5, epochs=8, verbose=0).history["loss"]
    assert losses_seen[-1] < losses_seen[0]
    assert (model.train_program is None) is run_eagerly


def test_a_function_for_several_outputs_sees_their_shape():
    def check(y_true, y_pred):
        assert y_true.shape == y_pred.shape == (4, 3)
        return ops.mean(ops.absolute(y_true - y_pred), axis=-1)

    model = network("one-hot", loss=check, metrics=[])
    assert model.test_on_batch(data(4)[0], np.eye(3)[[0, 1, 2, 0]]) > 0


def test_gradient_with_respect_to_targets_is_refused():
    y = keras.Tensor(np.ones((2, 2)), requires_grad=True)
    loss = losses.MeanSquaredError()(y, keras.Tensor(np.zeros((2, 2)), requires_grad=True))
    with pytest.raises(ValueError, match="targets"):
        loss.backward()


def test_loss_weights():
    x, y = data(16)
    plain, weighted, listed = network(), network(loss_weights=2.5), network(loss_weights=[2.5])
    expected = 2.5 * plain.evaluate(x, y, verbose=0)[0]
    assert weighted.evaluate(x, y, verbose=0)[0] == pytest.approx(expected)
    assert listed.evaluate(x, y, verbose=0)[0] == pytest.approx(expected)
    with pytest.raises(ValueError, match="loss_weights"):
        network(loss_weights=[1.0, 2.0])


@pytest.mark.parametrize("target, expected", [
    ("binary", BCE), ("labels", SCCE), ("one-hot", CCE)
])
@pytest.mark.parametrize("name", ["crossentropy", "ce", "CE"])
def test_crossentropy_is_resolved_by_shape(name, target, expected):
    x, y = data(16, target=target)
    model = network(target, loss=name)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(
        network(target, loss=expected()).evaluate(x, y, verbose=0)
    )


def test_arrays_are_computed_in_floatx():
    """As Keras does; tensors and the functions keep their dtype."""
    wide = np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]])
    assert losses.MeanSquaredError()(*wide).dtype == "float32"
    assert losses.MeanSquaredError(dtype="float64")(*wide).dtype == "float64"
    assert losses.mean_squared_error(*wide).dtype == "float64"
    assert losses.MeanSquaredError()(wide[0], keras.Tensor(wide[1])).dtype == "float64"


# From which cross-entropies (binary, binary focal, categorical, categorical focal, sparse; each without and with
# from_logits) Keras on TensorFlow computes from what went into the activation; the last two rows are not remembered.
REMEMBERED = {
    "softmax": (ops.softmax, "11 10 11 00 11"),
    "sigmoid": (ops.sigmoid, "11 10 11 00 11"),
    "tf.nn.softmax": (backend.remembered_by("softmax", ops.softmax), "00 00 11 00 11"),
    "tf.nn.sigmoid": (backend.sigmoid, "11 10 00 00 00"),
    "cast": (lambda x: ops.cast(ops.softmax(x), x.dtype), "11 10 11 00 11"),
    "reshape": (lambda x: ops.reshape(ops.softmax(x), x.shape), "00 00 00 00 00"),
    "stop_gradient": (lambda x: ops.stop_gradient(ops.softmax(x)), "00 00 00 00 00"),
}


@pytest.mark.parametrize("name", REMEMBERED)
def test_from_which_activations_a_loss_computes_exactly(name):
    activation, expected = REMEMBERED[name]
    x = np.array([[90.0, -90.0, -120.0]])  # where probabilities are 0 and 1
    hot, label = np.array([[0.0, 1.0, 0.0]]), np.array([1.0])
    p = activation(x)
    found = []
    for loss, target in (
        (losses.binary_crossentropy, hot),
        (losses.binary_focal_crossentropy, hot),
        (losses.categorical_crossentropy, hot),
        (losses.categorical_focal_crossentropy, hot),
        (losses.sparse_categorical_crossentropy, label),
    ):
        for from_logits in (False, True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values = [loss(target, y, from_logits=from_logits).numpy() for y in (p, p.numpy())]
            found.append("01"[int(not np.allclose(*values, rtol=1e-6))])
    assert " ".join("".join(pair) for pair in zip(found[::2], found[1::2])) == expected


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy", "binary_focal_crossentropy"])
def test_the_loss_of_a_squeezed_output_is_that_of_the_predictions(activation, name):
    y = np.eye(4)[[0, 2, 1]]
    p = getattr(ops, activation)(np.random.default_rng(0).normal(size=(3, 4, 1)))
    assert float(as_loss(name)(y, p)) == pytest.approx(losses.get(name)(y, p.numpy()[..., 0]).numpy().mean(), rel=1e-6)
