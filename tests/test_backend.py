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
    (K.sparse_categorical_crossentropy([1, 0], P), -np.log([0.1, 0.3 / 0.9])),
    (K.sparse_categorical_crossentropy([[1], [0]], P, from_logits=True), np.log(np.exp(P).sum(-1)) - [0.1, 0.3]),
    (K.sparse_categorical_crossentropy([1, 0], ops.softmax(P)), np.log(np.exp(P).sum(-1)) - [0.1, 0.3]),
    (K.sparse_categorical_crossentropy([1, 0], ops.softmax(np.log(T + 1)), True), np.logaddexp(1 / 3, 2 / 3) - np.full(2, 1 / 3)),
    (K.sparse_categorical_crossentropy([1, 0], P, ignore_class=0), [-np.log(0.1), 0]),
    (K.sparse_categorical_crossentropy([1, 0], P.T.copy(), axis=0), -np.log([0.1, 0.3 / 0.9])),
    (K.count_params(K.variable(X)), 6), (K.repeat(X, 2), np.stack([X, X], 1)), (K.reverse(X, 1), X[:, ::-1]),
    (K.reverse(X, [0, 1]), X[::-1, ::-1]), (K.cumprod(X), X.cumprod(0)), (K.cumprod(X, axis=-1), X.cumprod(-1)),
    (K.batch_dot(X, X), (X * X).sum(1, keepdims=True)), (K.batch_dot(X, 2 * X, axes=1), 2 * (X * X).sum(1, keepdims=True)),
    (K.batch_dot(X, X, axes=[1, -1]), (X * X).sum(1, keepdims=True)), (K.dropout(X, 0.0), X), (K.dropout(X, 1.0), 0 * X),
    (K.moving_average_update(K.variable(X), 2 * X, 0.75), 1.25 * X), (K.random_normal((2,), 3.0, 0.0), [3, 3]),
    (K.clip(X, 1, 0), 0 * X + 1), (K.clip(X, 1e-7, None), X.clip(1e-7)), (K.clip(X, None, 0.7), X.clip(None, 0.7)),
    (K.sqrt(X), np.sqrt(X.clip(0))), (K.hard_sigmoid(X), (0.2 * X + 0.5).clip(0, 1)), (K.bias_add(X, X[0]), X + X[0]),
    (K.batch_dot(np.stack([X, X]), np.stack([X.T, X.T])), np.stack([X @ X.T] * 2)),
    (K.batch_dot(np.stack([X, X]), np.stack([X, X]), axes=(1, 1)), np.stack([X.T @ X] * 2)),
    (K.batch_dot(X[:, :2], np.stack([X, X]), axes=(1, 1)), X[:, :2] @ X * [[1], [0]] + X[:, :2] @ X * [[0], [1]]),
    (K.batch_normalization(X, X[0], X[1] ** 2, X[0], X[1]), (X - X[0]) / np.sqrt(X[1] ** 2 + 1e-3) * X[1] + X[0]),
    (K.foldl(lambda a, b: a - b, X), X[0] - X[1]), (K.foldr(lambda a, b: a - b, X, X[0]), X[0] - X[1] - X[0]),
    (K.map_fn(lambda row: row * 2.0, X), 2 * X), (K.random_bernoulli((3,), 1.0), [1, 1, 1]), (K.is_sparse(X), False),
    (K.random_normal_variable((2,), 3.0, 0.0), [3, 3]), (K.random_uniform_variable((2,), 4.0, 4.0), [4, 4]),
    (K.random_uniform([2], minval=4.0, maxval=4.0), [4, 4]), (K.truncated_normal((2,), mean=5.0, stddev=0.0), [5, 5]),
])  # fmt: skip
def test_functions(y, expected):
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=1e-6)


def test_a_confident_sigmoid_is_computed_from_its_logits():
    """As on TensorFlow: the loss of a logit of 30 is 30, not the 16 of a clipped probability."""
    assert K.binary_crossentropy(np.zeros(1), ops.sigmoid(Tensor([30.0]))).item() == pytest.approx(30)


def test_settings_are_those_of_config():
    assert K.floatx is keras.config.floatx and K.epsilon is keras.config.epsilon and K.backend() == "minigrad"
    assert K.image_data_format() == "channels_last" and K.int_shape(Tensor(X)) == (2, 3)
    assert K.int_shape(keras.Input((3, 4))) == (None, 3, 4) and K.ndim(keras.Input((3,))) == 2 == K.ndim(X)
    keras.layers.Dense(1)
    K.clear_session()
    assert keras.layers.Dense(1).name == "dense"


def test_variables():
    v = K.variable([1.0, 2.0], dtype="float64", name="v")
    assert isinstance(v, Variable) and v.dtype == "float64" and v.name == "v"
    K.set_value(v, [3.0, 4.0])
    assert K.get_value(v).tolist() == [3, 4]


def test_dtypes_and_shapes():
    assert K.dtype(K.variable(X)) == "float32" and K.dtype(Tensor(X, dtype="float64")) == "float64"
    assert K.random_normal((2, 3), seed=1, dtype="float64").dtype == "float64" and K.random_uniform((2, 3)).shape == (2, 3)
    for x, axes in ((np.ones((2, 3, 4)), None), (X[:, :1], None)):
        with pytest.raises(ValueError, match="einsum can't apply"):
            K.batch_dot(x, X if x.ndim == 2 else x, axes)


def test_a_running_product_has_a_gradient(leaf):
    assert keras.utils.gradcheck(lambda x: K.cumprod(x, axis=1), leaf(2, 4))


@pytest.mark.parametrize("module", [keras.losses, keras.metrics])
def test_short_names_of_losses(module):
    for names, function in (
        ("MSE mse", keras.losses.mean_squared_error), ("MAE mae", keras.losses.mean_absolute_error),
        ("MAPE mape", keras.losses.mean_absolute_percentage_error), ("MSLE msle", keras.losses.mean_squared_logarithmic_error),
        ("KLD kld kullback_leibler_divergence", keras.losses.kl_divergence), ("logcosh", keras.losses.log_cosh),
    ):  # fmt: skip
        assert all(getattr(module, name) is function and name in module.__all__ for name in names.split())


def test_everything_public_exists_once():
    assert len(K.__all__) == len(set(K.__all__)) and all(callable(getattr(K, name)) for name in K.__all__)
    assert {"np", "ops", "config", "losses", "random", "Variable"} & set(K.__all__) == set()


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
