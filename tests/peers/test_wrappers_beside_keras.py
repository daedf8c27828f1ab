"""keras.wrappers beside Keras' own: the same arguments, attributes, targets, numbers and errors."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_wrappers import EXCUSED

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
THREE = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
KINDS = {"SKLearnClassifier": THREE, "SKLearnRegressor": X[:, 0], "SKLearnTransformer": X[:, 0]}
FIT = {"epochs": 3, "batch_size": 8, "shuffle": False, "verbose": 0}


def estimator(library, kind, seen=None, **options):
    """A wrapper around a network with the same weights in both libraries."""

    def build(X, y, units=5):
        if seen is not None:
            seen.append((X.shape, X.dtype, y.shape, np.asarray(y, "float64").tolist()))
        last = "softmax" if y.shape[1] > 1 else None
        layers = library.layers
        model = library.Sequential([
            library.Input((3,)), layers.Dense(units, "tanh"), layers.Dense(y.shape[1], last)
        ])  # fmt: skip
        weights = np.random.default_rng(1)
        model.set_weights([weights.normal(size=w.shape).astype("float32") for w in model.get_weights()])
        model.compile(library.optimizers.SGD(0.1), "categorical_crossentropy" if last else "mse")
        return model

    return getattr(library.wrappers, kind)(build, **{"fit_kwargs": FIT, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_what_they_compute(keras, kind):
    y, found, seen = KINDS[kind], [], []
    for library in (keras, minigrad):
        seen.append([])
        one = estimator(library, kind, seen[-1], model_kwargs={"units": 7}).fit(X, y, epochs=4)
        results = [one.history_.history["loss"], one.n_features_in_, sorted(one.get_params())]
        for method in ("transform",) if kind == "SKLearnTransformer" else ("predict", "decision_function"):
            results.append(getattr(one, method)(X).tolist() if hasattr(one, method) else None)
        if hasattr(one, "score"):
            results.append(one.score(X, y))
        results.append(one.classes_.tolist() if hasattr(one, "classes_") else None)
        found.append(results)
    assert seen[0] == seen[1]
    for theirs, ours in zip(*found, strict=True):
        assert ours == theirs if isinstance(theirs, int | type(None)) or isinstance(np.ravel(theirs)[0], str) else np.allclose(ours, theirs, atol=1e-5)


def test_a_clone(keras):
    """Theirs loses `fit_kwargs`, and their `decision_function` of two classes is none that scikit-learn can use."""
    theirs, ours = (clone(estimator(library, "SKLearnClassifier")) for library in (keras, minigrad))
    assert theirs.fit_kwargs is None and ours.fit_kwargs == FIT
    theirs, ours = (estimator(library, "SKLearnClassifier").fit(X, X[:, 0] > 0).decision_function(X) for library in (keras, minigrad))
    np.testing.assert_allclose(ours, theirs[:, 1] - theirs[:, 0], atol=1e-5)


@pytest.mark.parametrize("kind, act, error", [
    ("SKLearnClassifier", lambda e: e.fit(X, ["one"] * 40), ValueError),
    ("SKLearnClassifier", lambda e: e.fit(X, X[:, 0]), ValueError),
    ("SKLearnRegressor", lambda e: e.fit(X[:, 0], X[:, 0]), ValueError),
    ("SKLearnRegressor", lambda e: e.fit(X * np.nan, X[:, 0]), ValueError),
    ("SKLearnRegressor", lambda e: e.fit(X, X), ValueError),
    ("SKLearnRegressor", lambda e: e.fit(X, X[:9, 0]), ValueError),
    ("SKLearnRegressor", lambda e: e.predict(X), NotFittedError),
    ("SKLearnRegressor", lambda e: e.fit(X, X[:, 0]).predict(X[:, :2]), ValueError),
    ("SKLearnTransformer", lambda e: e.transform(X), NotFittedError),
    ("SKLearnRegressor", lambda e: e.set_params(units=3), ValueError),
    ("SKLearnRegressor", lambda e: e.set_params(model_kwargs={"unit": 3}).fit(X, X[:, 0]), TypeError),
    ("SKLearnRegressor", lambda e: e.set_fit_request(sample_weight=True), RuntimeError),
])  # fmt: skip
def test_errors(keras, kind, act, error):
    for library in (keras, minigrad):
        with pytest.raises(error):
            act(estimator(library, kind))


def test_models_that_are_not_compiled(keras):
    for library in (keras, minigrad):
        with pytest.raises(RuntimeError, match="compiled"):
            library.wrappers.SKLearnRegressor(library.Sequential([library.layers.Dense(1)])).fit(X, X[:, 0])


def test_they_are_excused_from_no_check_that_theirs_pass(keras):
    theirs = pytest.importorskip("keras.src.wrappers.sklearn_test").EXPECTED_FAILED_CHECKS
    assert set(EXCUSED) <= set(theirs["SKLearnClassifier"])
