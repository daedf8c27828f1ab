"""A search over networks on a cluster: which width and rate tell benign from malignant tumors best?

    pip install ".[cluster]"
    python -m minigrad examples/cluster.py [tcp://scheduler:8786]

scikit-learn divides a search among joblib's workers, and joblib can have them from Dask: one line, `parallel_config`,
takes the search from the cores of this machine to those of many. Without an address, the cluster is two processes of
this machine. `dask scheduler` on one machine and `dask worker tcp://scheduler:8786` on each of the others start a real
one; minigrad must be installed on all of them. Functions and classes of this script need not be there.
"""

import sys

import joblib
import keras
from dask.distributed import Client, LocalCluster
from keras.wrappers import SKLearnClassifier
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Scaled(keras.layers.Layer):
    """A layer of this script: workers get it with the function that uses it."""

    def call(self, inputs):
        return 0.5 * inputs


def build(X, y, units, rate):
    model = keras.Sequential([
        keras.Input((X.shape[1],)),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.BatchNormalization(),
        Scaled(),
        keras.layers.Dense(y.shape[1], activation="softmax"),
    ])
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy")
    return model


def main():
    x, y = load_breast_cancer(return_X_y=True)
    network = make_pipeline(StandardScaler(), SKLearnClassifier(build, fit_kwargs={"epochs": 20, "verbose": 0}))
    candidates = [{"units": units, "rate": rate} for units in (4, 16, 64) for rate in (0.001, 0.01)]
    search = GridSearchCV(network, {"sklearnclassifier__model_kwargs": candidates}, cv=5)
    local = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) if len(sys.argv) < 2 else None
    with Client(local or sys.argv[1]) as client, joblib.parallel_config("dask"):
        search.fit(x, y)
        print(f"{len(candidates) * 5} networks on {len(client.scheduler_info()['workers'])} workers")
    if local is not None:
        local.close()
    for given, score in zip(candidates, search.cv_results_["mean_test_score"]):
        print(f"{given}: {score:.1%}")
    assert search.best_score_ > 0.95


if __name__ == "__main__":
    main()
    print("done")
