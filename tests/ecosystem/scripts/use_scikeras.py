"""scikeras: its classifier and regressor in cross-validation and a search with several processes."""

import pickle

import numpy as np
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from tensorflow import keras


def build(meta, units=8):
    model = keras.Sequential([keras.Input((meta["n_features_in_"],)), keras.layers.Dense(units, "relu")])
    if meta["target_type_"] == "continuous":
        model.add(keras.layers.Dense(1))
    else:
        model.add(keras.layers.Dense(1, "sigmoid"))
    return model


if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(120, 4)).astype("float32")
    labels, numbers = np.where(x[:, 0] > 0, "yes", "no"), x[:, 0] - x[:, 1]
    options = {"optimizer": "adam", "optimizer__learning_rate": 0.02, "epochs": 10, "batch_size": 10, "verbose": 0}
    classifier = KerasClassifier(build, loss="binary_crossentropy", units=8, **options)
    regressor = KerasRegressor(build, loss="mse", units=8, **options)
    assert cross_val_score(clone(classifier), x, labels, cv=3).min() > 0.7
    assert cross_val_score(regressor, x, numbers, cv=3).min() > 0.5
    search = GridSearchCV(classifier, {"units": [4, 8], "optimizer__learning_rate": [0.01, 0.05]}, cv=2, n_jobs=2)
    search.fit(x, labels)
    assert set(search.best_params_) == {"units", "optimizer__learning_rate"} and search.best_score_ > 0.7
    fitted = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(fitted.predict(x), search.predict(x)) and fitted.predict_proba(x).shape == (120, 2)
    print("done")
