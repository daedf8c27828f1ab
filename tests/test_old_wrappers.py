"""keras.wrappers.scikit_learn of Keras 2: build_fn becomes an estimator that scikit-learn's own tools take."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from minigrad import layers, utils
from minigrad.compat import old_names
from minigrad.compat.scikit_learn import KerasClassifier, KerasRegressor
from minigrad.models import Sequential

X = np.random.default_rng(0).normal(size=(90, 3)).astype("float32")
LABELS = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]


def build(units=8, outputs=1, activation="sigmoid", loss="binary_crossentropy", optimizer="adam"):
    model = Sequential([layers.Dense(units, activation="relu", input_shape=(3,)), layers.Dense(outputs, activation)])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def classifier(**params):
    return KerasClassifier(build_fn=build, **{"epochs": 20, "batch_size": 10, "verbose": 0, **params})


def regressor(**params):
    return KerasRegressor(build, activation="linear", loss="mse", epochs=20, batch_size=10, verbose=0, **params)


def test_a_classifier_of_two_classes():
    y = X[:, 0] > 0
    estimator = classifier()
    history = estimator.fit(X, y)
    assert len(history.history["loss"]) == 20 and estimator.classes_.tolist() == [False, True]
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (90, 2) and np.allclose(probabilities.sum(1), 1)
    assert np.array_equal(estimator.predict(X), probabilities[:, 1] > 0.5)
    assert estimator.score(X, y) == np.mean(estimator.predict(X) == y) == pytest.approx(
        estimator.model.evaluate(X, y.astype("float32"), verbose=0)[1]
    )


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_a_classifier_of_labels_that_are_strings(loss):
    estimator = classifier(outputs=3, activation="softmax", loss=loss, epochs=40)
    estimator.fit(X, LABELS)
    assert set(estimator.predict(X)) <= set(LABELS) and estimator.score(X, LABELS) > 0.5
    assert np.array_equal(estimator.classes_[estimator.predict_proba(X).argmax(-1)], estimator.predict(X))


def test_targets_that_are_one_hot():
    estimator = classifier(outputs=3, activation="softmax", loss="categorical_crossentropy")
    y = utils.to_categorical(np.unique(LABELS, return_inverse=True)[1])
    estimator.fit(X, y)
    assert estimator.classes_.tolist() == [0, 1, 2] and 0 <= estimator.score(X, y) <= 1


def test_a_regressor_and_its_score():
    estimator = regressor()
    estimator.fit(X, X[:, 0])
    assert estimator.predict(X).shape == (90,)
    assert estimator.score(X, X[:, 0]) == pytest.approx(-np.mean((estimator.predict(X) - X[:, 0]) ** 2), rel=1e-5)


def test_what_scikit_learn_does_with_them():
    assert is_classifier(classifier()) and is_regressor(regressor())
    params = classifier(units=4).get_params()
    assert clone(classifier(units=4)).get_params() == params and params["units"] == 4 and params["build_fn"] is build
    assert cross_val_score(classifier(), X, X[:, 0] > 0, cv=3).shape == (3,)
    assert (cross_val_score(regressor(), X, X[:, 0], cv=KFold(3), scoring="neg_mean_squared_error") < 0).all()
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier())]).fit(X, X[:, 0] > 0)
    assert pipeline.predict(X).shape == (90,)
    search = GridSearchCV(classifier(epochs=2), {"units": [2, 4], "batch_size": [10, 30]}, cv=2).fit(X, X[:, 0] > 0)
    assert set(search.best_params_) == {"units", "batch_size"} and len(search.cv_results_["params"]) == 4
    assert pickle.loads(pickle.dumps(classifier())).get_params() == classifier().get_params()


def test_parameters():
    estimator = classifier()
    estimator.set_params(epochs=3, units=2)
    assert len(estimator.fit(X, X[:, 0] > 0, epochs=1).epoch) == 1  # an argument of fit goes first
    assert estimator.model.layers[0].units == 2
    for wrong in (lambda: classifier(unit=3), lambda: estimator.set_params(unit=3)):
        with pytest.raises(ValueError, match=r"\['unit'\] are arguments neither of build_fn nor of fit"):
            wrong()
    old_names.forget()
    with pytest.warns(FutureWarning, match="nb_epoch"):
        assert len(KerasClassifier(build, nb_epoch=2, verbose=0).fit(X, X[:, 0] > 0).epoch) == 2


def test_a_class_that_builds_its_own_model():
    class Own(KerasClassifier):
        def __call__(self, units=3):
            return build(units)

    assert Own(units=2, epochs=1, verbose=0).fit(X, X[:, 0] > 0).epoch == [0]
