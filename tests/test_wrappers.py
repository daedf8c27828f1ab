"""keras.wrappers: models as estimators that pass scikit-learn's own checks, in its searches, threads and processes."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
import joblib
from helpers import no_thread_stays
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import validation
from sklearn.utils.estimator_checks import parametrize_with_checks

import minigrad as keras
from minigrad.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

ROOT = Path(__file__).parents[1]
X = np.random.default_rng(0).normal(size=(90, 4))
TWO = np.where(X[:, 0] > 0, "yes", "no")
THREE = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
NUMBERS = X[:, 0] - X[:, 1]
QUIET = {"verbose": 0, "epochs": 15, "batch_size": 10}


def build(X, y, units=8, last="softmax", loss="categorical_crossentropy", seed=None, **options):
    def start(i):
        return keras.initializers.GlorotUniform(None if seed is None else seed + i)

    model = keras.Sequential([
        keras.Input((X.shape[1],)),
        keras.layers.Dense(units, "relu", kernel_initializer=start(0)),
        keras.layers.Dense(y.shape[1], last, kernel_initializer=start(1)),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.02), loss, **options)
    return model


def classifier(units=8, fit_kwargs=QUIET, **kwargs):
    return SKLearnClassifier(build, model_kwargs={"units": units, **kwargs}, fit_kwargs=fit_kwargs)


def regressor(kind=SKLearnRegressor, fit_kwargs=QUIET, **kwargs):
    return kind(build, model_kwargs={"last": None, "loss": "mse", **kwargs}, fit_kwargs=fit_kwargs)


# ------------------------------------------------------------------------------------------- scikit-learn's checks

EXCUSED = {  # some of those that Keras excuses its own wrappers from
    "check_classifiers_one_label_sample_weights": "rows that weigh nothing still count as a class",
}
if not hasattr(validation, "validate_data"):
    EXCUSED["check_parameters_default_constructible"] = "scikit-learn below 1.6 can't make what has a required argument"


SAME = {"fit_kwargs": QUIET | {"shuffle": False}, "seed": 3}  # each `fit` does the same


CHECKS = parametrize_with_checks([classifier(units=20, **SAME), regressor(**SAME), regressor(SKLearnTransformer, **SAME)])


def called(one):
    """The name of an estimator's class or of a check: scikit-learn's has an address, which each process has its own of."""
    return one.func.__name__ if hasattr(one, "func") else type(one).__name__


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(*CHECKS.args, ids=called)
def test_scikit_learns_checks(estimator, check):
    name = check.func.__name__
    if name in EXCUSED:
        pytest.skip(EXCUSED[name])
    check(estimator)


# ---------------------------------------------------------------------------------------------------- each of them


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_a_classifier(y):
    estimator = classifier().fit(X, y)
    assert estimator.classes_.tolist() == sorted(set(y)) and estimator.n_features_in_ == 4
    assert isinstance(estimator.model_, keras.Model) and len(estimator.history_.history["loss"]) == estimator.epoch_ == 15
    probabilities, decision = estimator.predict_proba(X), estimator.decision_function(X)
    np.testing.assert_array_equal(probabilities, estimator.model_.predict(X, verbose=0))
    np.testing.assert_array_equal(estimator.classes_[probabilities.argmax(1)], estimator.predict(X))
    assert estimator.score(X, y) == np.mean(estimator.predict(X) == y) > 0.8
    if y is TWO:
        np.testing.assert_allclose(decision, probabilities[:, 1] - probabilities[:, 0], atol=1e-6)
        assert cross_val_score(estimator, X, y == "yes", scoring="roc_auc").min() > 0.9
    else:
        np.testing.assert_array_equal(decision, probabilities)
        assert cross_val_score(estimator, X, y, scoring="roc_auc_ovr").min() > 0.8


def test_a_classifier_whose_model_returns_logits():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    estimator = classifier(last=None, loss=loss).fit(X, THREE)
    logits = np.exp(estimator.decision_function(X))
    np.testing.assert_allclose(estimator.predict_proba(X), logits / logits.sum(1, keepdims=True), rtol=1e-5)
    with pytest.raises(ValueError, match="no probabilities: let its last layer"):
        classifier(last=None, loss="mse").fit(X, THREE).predict_proba(X)


def test_a_regressor_and_a_transformer():
    estimator = regressor().fit(X, NUMBERS)
    assert estimator.predict(X).shape == (90,) and estimator.score(X, NUMBERS) > 0.5
    transformer = regressor(SKLearnTransformer)
    assert transformer.fit_transform(X, NUMBERS).shape == (90, 1)
    assert make_pipeline(transformer, LogisticRegression()).fit(X, TWO == "yes").score(X, TWO == "yes") > 0.5


def test_arguments_of_fit():
    given = {"epochs": 3, "verbose": 0}
    estimator = classifier(fit_kwargs=given).fit(X, TWO, epochs=2)
    assert estimator.epoch_ == 2 and given == {"epochs": 3, "verbose": 0}
    with keras_routing():
        routed = classifier(fit_kwargs={"verbose": 0}).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        assert len(cross_val_score(routed, X, TWO, params={"sample_weight": np.ones(90)}, error_score="raise")) == 5


def keras_routing():
    import sklearn

    return sklearn.config_context(enable_metadata_routing=True)


def test_warm_start():
    model = build(X, TWO[:, None], last=None, loss="mse")
    for estimator in (SKLearnRegressor(model, True, fit_kwargs=QUIET), regressor().set_params(warm_start=True)):
        first = estimator.fit(X, NUMBERS).model_
        weights = first.get_weights()[0].copy()
        assert estimator.fit(X, NUMBERS).model_ is first and not np.array_equal(first.get_weights()[0], weights)
    assert SKLearnRegressor(model, True, fit_kwargs=QUIET).fit(X, NUMBERS).model_ is model


@pytest.mark.parametrize("wrong, kind, words", [
    (lambda: SKLearnRegressor(keras.Sequential([keras.layers.Dense(1)])).fit(X, NUMBERS), RuntimeError, "must be compiled"),
    (lambda: classifier().fit(X, ["one"] * 90), ValueError, "rows of two classes"),
    (lambda: classifier().fit(X, NUMBERS), ValueError, "Unknown label type: continuous"),
    (lambda: classifier().predict(X), Exception, "is not fitted"),
    (lambda: classifier().fit(X, TWO).predict(X[:, :2]), ValueError, "expecting 4 features"),
    (lambda: SKLearnClassifier(lambda X, y: build(X, y[:, :1], last="sigmoid"), fit_kwargs=QUIET).fit(X, TWO), ValueError, "must have as many units as the targets"),
    (lambda: SKLearnClassifier(diverged, fit_kwargs={"verbose": 0}).fit(X, TWO).predict(X), ValueError, "NaN or infinite"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*not finite")
def test_what_is_refused(wrong, kind, words):
    with pytest.raises(kind, match=words):
        wrong()


def diverged(X, y):
    model = build(X, y)
    model.set_weights([w * np.nan for w in model.get_weights()])
    return model


# ------------------------------------------------------------------------------------------- what is made of them


class Own(keras.layers.Dense):
    def call(self, inputs):
        return super().call(inputs) * 1.0


class OwnSGD(keras.optimizers.SGD):
    pass


def own_activation(x):
    return keras.ops.tanh(x)


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def own_model():
    model = keras.Sequential([keras.Input((4,)), Own(6, activation=own_activation), keras.layers.Dense(1)])
    model.compile(OwnSGD(0.05), own_loss, metrics=[lambda t, p: keras.ops.abs(t - p)])
    return model


def test_a_model_is_copied_with_all_of_its_own():
    """Nothing of it is registered; not all of it has a name."""
    model = own_model()
    before = [w.copy() for w in model.get_weights()]
    estimator = clone(SKLearnRegressor(model, fit_kwargs=QUIET)).fit(X, NUMBERS)
    assert estimator.score(X, NUMBERS) > 0.9 and estimator.model_.loss is own_loss
    assert type(estimator.model_.optimizer) is OwnSGD and type(estimator.model_.layers[0]) is Own
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    first = estimator.model_.get_weights()[0]
    assert not np.array_equal(first, estimator.fit(X, NUMBERS, epochs=1).model_.get_weights()[0])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))], ids=["deepcopy", "pickle"])
def test_copies(again):
    model = own_model()
    model.compile("sgd", own_loss, metrics=[])  # a lambda can't be pickled
    for estimator, y in ((classifier(), TWO), (SKLearnRegressor(model, fit_kwargs=QUIET), NUMBERS)):
        fitted = again(again(estimator).fit(X, y))
        np.testing.assert_array_equal(fitted.predict(X), again(fitted).predict(X))
        assert fitted.history_.history["loss"] and fitted.fit(X, y).score(X, y) > 0.7


GRID = {"model_kwargs": [{"units": 2, "seed": 1}, {"units": 4, "seed": 1}], "fit_kwargs": [QUIET | {"shuffle": False}]}


def test_searches():
    for search in (
        GridSearchCV(classifier(), GRID, cv=3),
        RandomizedSearchCV(classifier(), GRID, n_iter=2, cv=3, random_state=0),
        HalvingGridSearchCV(classifier(), GRID, cv=3, factor=2, random_state=0),
    ):
        search.fit(X, TWO)
        assert search.best_params_["model_kwargs"] in GRID["model_kwargs"] and search.score(X, TWO) > 0.7
    scaled = make_pipeline(StandardScaler(), classifier())
    assert GridSearchCV(scaled, {"sklearnclassifier__model_kwargs": [{"units": 4}]}, cv=2).fit(X, TWO).best_score_ > 0.6


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_estimators_of_estimators(y):
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(classifier(), method=method, cv=3).fit(X, y)
        np.testing.assert_allclose(calibrated.predict_proba(X).sum(1), 1)
        assert calibrated.score(X, y) > 0.8
    assert StackingClassifier([("net", classifier())], LogisticRegression(), cv=3).fit(X, y).score(X, y) > 0.8


# --------------------------------------------------------------------------------------------- threads and processes


def test_searches_in_threads_find_the_same():
    one = GridSearchCV(classifier(), GRID, cv=5).fit(X, THREE)
    with joblib.parallel_config("threading", n_jobs=4):
        many = GridSearchCV(classifier(), GRID, cv=5).fit(X, THREE)
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], many.cv_results_["mean_test_score"])


def test_one_model_for_many_threads(in_threads):
    model = own_model()
    estimator = SKLearnRegressor(model, fit_kwargs=QUIET)
    with no_thread_stays():
        scores = in_threads(lambda i: estimator.fit(X, NUMBERS).score(X, NUMBERS), 4)
    assert min(scores) > 0.9


SCRIPT = """
import numpy as np
from tensorflow import keras
from sklearn.model_selection import GridSearchCV, cross_val_score
from tensorflow.keras.wrappers import SKLearnClassifier, SKLearnRegressor

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Own(keras.Model):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.last = keras.layers.Dense(units, "tanh"), keras.layers.Dense(2, "softmax")

    def call(self, x):
        return self.last(self.hidden(x))

@keras.saving.register_keras_serializable()
class Square(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

class Slow(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate * 0.5)

def build(X, y, units=4):
    model = Own(units)
    model.compile(Slow(0.5), Square())
    return model

if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = keras.Sequential([keras.Input((3,)), Twice(), keras.layers.Dense(1)])
    model.compile(Slow(0.1), Square(), metrics=[lambda t, p: abs(t - p)])
    quiet = {"verbose": 0, "epochs": 20, "batch_size": 10}
    print(min(cross_val_score(SKLearnRegressor(model, fit_kwargs=quiet), x, x[:, 0], n_jobs=2)) > 0.8)
    search = GridSearchCV(SKLearnClassifier(build, fit_kwargs=quiet), {"model_kwargs": [{"units": 3}, {"units": 6}]}, n_jobs=2)
    search.fit(x, x[:, 0] > 0)
    print(search.best_score_ > 0.7, type(search.best_estimator_.model_).__mro__[1].__module__)
"""


def test_searches_in_processes(tmp_path):
    """Layers, losses, models and optimizers of the script itself, the default back end of joblib (loky)."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "minigrad", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True", "minigrad.models.model"], done.stdout + done.stderr


def test_who_does_not_ask_for_them_never_loads_scikit_learn(tmp_path):
    code = "import sys, minigrad.compat as c; import minigrad.wrappers; c.install(); import keras; keras.wrappers; "
    code += "assert 'sklearn' not in sys.modules; sys.modules['sklearn'] = None\ntry: keras.wrappers.SKLearnClassifier\n"
    code += "except ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "pip install scikit-learn" in done.stdout, done.stderr
