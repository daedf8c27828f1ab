"""What scripts use of `tensorflow`, `keras.backend` and the short names of losses, beside the real ones."""

import inspect
import operator
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.compat import missing, tensorflow

sys.path.insert(0, str(Path(__file__).parents[1]))
import test_compat

pytestmark = pytest.mark.peers
pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
NAMES = {"A": test_compat.A, "B": test_compat.B, "np": np}
# The real one may have a GPU; and what it does once told to be deterministic is for all of the process.
MACHINE = ("GPU", "gpu", "cuda", "determinism")
CODES = [code for code, _ in test_compat.TENSORFLOW if not any(word in code for word in MACHINE)]


def both(code, **names):
    """What the code gives under the real TensorFlow and under minigrad."""
    return [eval(code, {**NAMES, **names, "tf": t, "K": t.keras.backend}) for t in (tf, tensorflow.tensorflow())]


def assert_alike(theirs, ours):
    theirs, ours = np.asarray(theirs), np.asarray(ours)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("code", CODES)
def test_tensorflow(keras, code):
    assert_alike(*both(code))


@pytest.mark.parametrize("code", test_compat.HOLDS)
def test_assertions_that_hold(keras, code):
    both(f"tf.debugging.assert_{code}")


@pytest.mark.parametrize("code, error", test_compat.BREAKS, ids=[code for code, _ in test_compat.BREAKS])
def test_assertions_that_do_not(keras, code, error):
    for t in (tf, tensorflow.tensorflow()):
        with np.errstate(divide="ignore"), pytest.raises((t.errors.InvalidArgumentError, error)):
            eval(f"t.debugging.assert_{code}", {**NAMES, "tf": t, "t": t})


def test_every_error_is_one_there(keras):
    for name in tensorflow.tensorflow().errors.__all__:
        assert issubclass(getattr(tf.errors, name), Exception), name


X = np.array([[0.2, -1.5, 3.0], [2.0, 0.5, -0.1]], "float32")
P = np.array([[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]], "float32")


@pytest.mark.parametrize("code", [
    "K.sparse_categorical_crossentropy([1, 0], P)", "K.sparse_categorical_crossentropy([2, 0], X, from_logits=True)",
    "K.sparse_categorical_crossentropy([[2], [0]], P)", "K.sparse_categorical_crossentropy([1, 0, 0], P, axis=0)",
    "K.sparse_categorical_crossentropy([1, 0], P, ignore_class=1)", "K.count_params(tf.Variable(X))", "K.dtype(tf.constant(X)) == 'float32'",
    "K.repeat(tf.constant(X), 3)", "K.reverse(X, 1)", "K.reverse(X, [0, 1])", "K.cumprod(X)", "K.cumprod(X, axis=1)", "K.batch_dot(X, P)",
    "K.batch_dot(X, P, axes=1)", "K.batch_dot(X, P, axes=(1, 1))", "K.moving_average_update(tf.Variable(X), P, 0.9)",
    "K.dropout(tf.constant(X), 0.0)", "K.random_normal((2, 3)).shape", "K.random_uniform((2,), 4.0, 4.0)",
    "K.truncated_normal((2,), mean=5.0, stddev=0.0)",
])  # fmt: skip
def test_backend(keras, code):
    assert_alike(*both(code, X=X, P=P))


@pytest.mark.parametrize("kind", ["losses", "metrics"])
def test_all_functions_are_there(keras, kind):
    theirs, ours = getattr(tf.keras, kind), getattr(minigrad, kind)
    found = {name: f for name, f in vars(theirs).items() if inspect.isfunction(f)}
    assert {"mse", "KLD", "logcosh"} <= set(found)
    for name in found.keys() - {"ctc", "circle"}:
        assert getattr(ours, name).__name__ == found[name].__name__, name


PLACES = """
    activations callbacks config constraints initializers layers losses metrics models ops optimizers preprocessing
    preprocessing.sequence random regularizers saving utils
"""


@pytest.mark.parametrize("place", ["", *PLACES.split()])
def test_every_public_name_is_there_or_explained(keras, place):
    """Of Keras' modules: a script that uses what is missing is told what to do instead."""
    theirs, ours = (operator.attrgetter(place)(module) if place else module for module in (keras, minigrad))
    prefix = f"{place}." if place else ""
    missed = [n for n in dir(theirs) if not n.startswith("_") and n != "src" and not hasattr(ours, n)]
    assert [n for n in missed if missing.remedy(prefix + n) is None] == []
