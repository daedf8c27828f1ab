"""KerasClassifier and KerasRegressor as Keras 2 had them, in a pipeline and in joblib's processes."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier, KerasRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(units=8, last="sigmoid", loss="binary_crossentropy"):
    model = Sequential()
    model.add(Dense(units, input_dim=4, activation="relu"))
    model.add(Dense(1, activation=last))
    model.compile(loss=loss, optimizer="adam")
    return model


if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(120, 4))
    classifier = KerasClassifier(build_fn=build, epochs=30, batch_size=5, verbose=0)
    search = GridSearchCV(classifier, {"units": [4, 8]}, cv=3, n_jobs=-1).fit(x, x[:, 0] > 0)
    assert search.best_score_ > 0.6
    regressor = KerasRegressor(build_fn=build, last="linear", loss="mse", epochs=30, batch_size=5, verbose=0)
    scores = cross_val_score(make_pipeline(StandardScaler(), regressor), x, x[:, 0], cv=KFold(3), n_jobs=2)
    assert scores.min() > -1.5
    print("done")
