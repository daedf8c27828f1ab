"""Cross-validation with KerasClassifier of Keras 2, and scikit-learn's pipeline. `today/` has it without the class."""

import json

import numpy as np
from keras.layers import Dense, Dropout
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

seed = 7
X, names = load_iris(return_X_y=True)
names = np.array(["setosa", "versicolor", "virginica"])[names]
encoder = LabelEncoder()
encoded_Y = encoder.fit_transform(names)


def baseline_model(units=12):
    model = Sequential()
    model.add(Dense(units, input_dim=4, activation="relu"))
    model.add(Dropout(0.0))
    model.add(Dense(3, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    start = np.random.RandomState(seed)
    model.set_weights([start.normal(0, 0.5, w.shape) if w.ndim == 2 else w for w in model.get_weights()])
    return model


estimator = KerasClassifier(build_fn=baseline_model, units=10, epochs=15, batch_size=5, shuffle=False, verbose=0)
pipeline = Pipeline([("standardize", StandardScaler()), ("mlp", estimator)])
kfold = KFold(n_splits=4, shuffle=True, random_state=seed)
results = cross_val_score(pipeline, X, encoded_Y, cv=kfold)
print("Baseline: %.2f%% (%.2f%%)" % (results.mean() * 100, results.std() * 100))

estimator.fit(StandardScaler().fit_transform(X), encoded_Y)
predictions = estimator.predict(StandardScaler().fit_transform(X))
print(json.dumps({
    "results": results.tolist(),
    "loss": estimator.model.history.history["loss"][-1],
    "probabilities": estimator.predict_proba(StandardScaler().fit_transform(X))[50:53].tolist(),
    "hits": int((encoder.inverse_transform(predictions) == names).sum()),
}))
