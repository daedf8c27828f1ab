"""scikit-learn's searches in threads: the results of scikit-learn, whatever the number of threads."""

import threading
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
from helpers import assert_same, load_script
from sklearn import model_selection as original
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import minigrad as keras
from minigrad import config, layers
from minigrad.compat.scikit_learn import KerasClassifier
from minigrad.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_predict, cross_val_score, in_threads
from minigrad.parallel import threads

X = np.random.default_rng(0).normal(size=(90, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int)
GRID = {"units": [2, 4], "epochs": [1, 3]}
names = []


def build(units=2):
    model = keras.Sequential([
        keras.Input((3,)), layers.Dense(units, activation="relu"), layers.Dropout(0.2), layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    names.append((threading.current_thread().name, model.layers[-1].name))
    return model


def classifier(**options):
    return KerasClassifier(build, **{"epochs": 2, "verbose": 0, **options})


def search(kind=GridSearchCV, grid=GRID, seed=1, **options):
    keras.utils.set_random_seed(seed)
    found = kind(classifier(), grid, **{"cv": 3, "scoring": "neg_log_loss", **options}).fit(X, Y)
    return found, {key: value for key, value in found.cv_results_.items() if "time" not in key}


@pytest.mark.parametrize("kind, options", [
    (GridSearchCV, {"return_train_score": True}),
    (RandomizedSearchCV, {"n_iter": 3, "random_state": 0}),
])
def test_results_do_not_depend_on_the_number_of_threads(kind, options):
    names.clear()
    (first, results), (second, again), (_, third) = (search(kind, n_jobs=n, **options) for n in (1, 2, 3))
    for key, values in results.items():
        np.testing.assert_array_equal(values, again[key])
        np.testing.assert_array_equal(values, third[key])
    assert_same(first.predict_proba(X), second.predict_proba(X))
    assert first.best_params_ == second.best_params_
    assert len({tuple(results[f"split{i}_test_score"]) for i in range(3)}) == 3
    assert {name for thread, name in names if thread != "MainThread"} == {"dense_1"}


def test_a_fit_can_be_repeated_by_its_seed():
    found, results = search(n_jobs=2)
    train, test = list(original.StratifiedKFold(3).split(X, Y))[1]
    i = 2  # the candidate; its fit number 1
    keras.utils.set_random_seed(found.seed_ + 3 * i + 1)
    alone = classifier(**results["params"][i])
    alone.fit(X[train], Y[train])
    p = alone.predict_proba(X[test])[np.arange(len(test)), Y[test]]
    assert results["split1_test_score"][i] == pytest.approx(np.log(p).mean(), rel=1e-6)


def test_it_is_scikit_learns_search_otherwise(capsys):
    ours = GridSearchCV(make_pipeline(StandardScaler(), RidgeClassifier()), {"ridgeclassifier__alpha": [0.1, 1000]},
                        verbose=1, n_jobs=2).fit(X, Y)
    theirs = original.GridSearchCV(ours.estimator, ours.param_grid).fit(X, Y)
    assert ours.best_params_ == theirs.best_params_ and ours.best_score_ == theirs.best_score_
    assert ours.get_params().keys() == theirs.get_params().keys()
    assert np.array_equal(ours.predict(X), theirs.predict(X))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("Fitting 5 folds") and printed[1].startswith("10/10 ━") and len(printed) == 2


def test_the_tasks_of_the_best_estimator_are_not_those_of_the_search(capsys):
    """It is fitted again at the end, in threads, too."""
    GridSearchCV(RandomForestClassifier(3, n_jobs=2), {"max_depth": [1, 2]}, verbose=1, n_jobs=2).fit(X, Y)
    assert capsys.readouterr().out.splitlines()[-1].startswith("10/10 ━")


def test_a_candidate_that_fails_is_named():
    with pytest.warns(UserWarning, match="non-finite"), pytest.warns(Warning, match="(?s)3 fits failed.*units"):
        _, results = search(grid={"units": [2, -1]}, n_jobs=2)
    assert np.isnan(results["mean_test_score"]).tolist() == [False, True]


def test_functions():
    keras.utils.set_random_seed(1)
    scores = cross_val_score(classifier(), X, Y, cv=3, n_jobs=1)
    keras.utils.set_random_seed(1)
    assert_same(scores, cross_val_score(classifier(), X, Y, cv=3))
    assert cross_val_predict(classifier(), X, Y, cv=3, method="predict_proba").shape == (90, 2)


def test_everything_else_of_scikit_learn_within_in_threads():
    names.clear()
    for _ in range(2):
        with in_threads(2, seed=4):
            curve = original.learning_curve(classifier(), X, Y, cv=3, train_sizes=[0.5, 1.0])
        assert not config.is_seeded() and not threads._busy
    assert curve[2].shape == (2, 3) and {name for _, name in names} == {"dense_1"}


def test_the_example(tmp_path, monkeypatch, capsys):
    """Two hundred networks by cross-validation, and twenty that vote; here fewer."""
    pytest.importorskip("matplotlib")
    examples = Path(__file__).parents[1] / "examples"
    monkeypatch.syspath_prepend(str(examples))
    load_script(examples / "many" / "search.py").main(["--quick", "--out", str(tmp_path)])
    assert "36 networks in" in (printed := capsys.readouterr().out) and printed.count("  holds: ") == 4
    xml.etree.ElementTree.parse(tmp_path / "many" / "search.svg")
