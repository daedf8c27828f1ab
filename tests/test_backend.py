"""`keras.backend`: the names that older scripts use, against NumPy and `ops`."""

import numpy as np
import pytest

import minigrad as keras
from minigrad import backend as K
from minigrad import ops
from minigrad.tensor import Tensor, Variable

X = np.array([[0.2, -1.5, 3.0], [2.0, 0.5, -0.1]], "float32")
T, P = np.array([[1.0, 0.0], [0.0, 1.0]], "float32"), np.array([[0.9, 0.1], [0.3, 0.6]], "float32")


@pytest.mark.parametrize("y, expected", [
    (K.mean(X, axis=-1), X.mean(-1)), (K.sum(X), X.sum()), (K.argmax(X), X.argmax(-1)), (K.argmin(X), X.argmin(-1)),
    (K.clip(X, 0, 1), X.clip(0, 1)), (K.concatenate([X, X]), np.concatenate([X, X], -1)), (K.pow(X, 2), X**2),
    (K.flatten(X), X.ravel()), (K.l2_normalize(X, 1), X / np.linalg.norm(X, axis=1, keepdims=True)),
    (K.constant(2, shape=(2, 2)), np.full((2, 2), 2)), (K.constant([1, 2], "float64"), [1, 2]),
    (K.switch(X > 0, X, lambda: -X), np.abs(X)), (K.round(X), np.round(X)), (K.eval(Tensor(X)), X),
    (K.dot(X, X.T.copy()), X @ X.T), (K.get_value(K.variable(X)), X),
    (K.binary_crossentropy(T, P), -np.log(np.where(T == 1, P, 1 - P))),
    (K.binary_crossentropy(T, P, from_logits=True), np.logaddexp(P, 0) - T * P),
    (K.binary_crossentropy(T, ops.sigmoid(P)), np.logaddexp(P, 0) - T * P),
    (K.categorical_crossentropy(T, P), -np.log([0.9, 0.6 / 0.9])),
    (K.categorical_crossentropy(T, P, axis=0), -np.log([0.9 / 1.2, 0.6 / 0.7])),
    (K.categorical_crossentropy(T, P, from_logits=True), np.log(np.exp(P).sum(-1)) - (T * P).sum(-1)),
])  # fmt: skip
def test_functions(y, expected):
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=1e-6)


def test_a_confident_sigmoid_is_computed_from_its_logits():
    """As on TensorFlow: the loss of a logit of 30 is 30, not the 16 of a clipped probability."""
    assert K.binary_crossentropy(np.zeros(1), ops.sigmoid(Tensor([30.0]))).item() == pytest.approx(30)


def test_settings_are_those_of_config():
    assert K.floatx is keras.config.floatx and K.epsilon is keras.config.epsilon and K.backend() == "minigrad"
    assert K.image_data_format() == "channels_last" and K.int_shape(Tensor(X)) == (2, 3)
    keras.layers.Dense(1)
    K.clear_session()
    assert keras.layers.Dense(1).name == "dense"


def test_variables():
    v = K.variable([1.0, 2.0], dtype="float64", name="v")
    assert isinstance(v, Variable) and v.dtype == "float64" and v.name == "v"
    K.set_value(v, [3.0, 4.0])
    assert K.get_value(v).tolist() == [3, 4]


def test_everything_public_exists_once():
    assert len(K.__all__) == len(set(K.__all__)) and all(callable(getattr(K, name)) for name in K.__all__)
    assert {"np", "ops", "config", "Variable"} & set(K.__all__) == set()


def test_an_old_metric_stays_in_the_program():
    """What scripts write as f1: nothing in it reads a value, so fit replays it."""

    def f1(y_true, y_pred):
        hits = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
        precision = hits / (K.sum(K.round(K.clip(y_pred, 0, 1))) + K.epsilon())
        recall = hits / (K.sum(K.round(K.clip(y_true, 0, 1))) + K.epsilon())
        return 2 * precision * recall / (precision + recall + K.epsilon())

    from helpers import data, network

    x, y = data(40)
    model = network(metrics=[f1])
    history = model.fit(x, y, batch_size=40, epochs=2, verbose=0)  # warnings are errors: it does not run eagerly
    assert 0 < history.history["f1"][-1] <= 1
