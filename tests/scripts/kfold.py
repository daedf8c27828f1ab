"""Five-fold cross-validation of a small network with dropout: random from start to end."""

import json

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from tensorflow import keras
from tensorflow.keras.layers import Dense, Dropout
from tensorflow.keras.models import Sequential

x, y = load_breast_cancer(return_X_y=True)


def create_model():
    model = Sequential()
    model.add(Dense(32, input_dim=30, activation="relu", kernel_initializer="he_normal"))
    model.add(Dropout(0.2))
    model.add(Dense(16, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


scores, losses = [], []
for fold, (train, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y)):
    keras.backend.clear_session()
    keras.utils.set_random_seed(fold)
    scaler = StandardScaler().fit(x[train])
    model = create_model()
    model.fit(scaler.transform(x[train]), y[train], epochs=15, batch_size=16, verbose=0)
    loss, accuracy = model.evaluate(scaler.transform(x[test]), y[test], verbose=0)
    print("%s: %.2f%%" % (model.metrics_names[0], accuracy * 100))
    scores.append(accuracy)
    losses.append(loss)

print(json.dumps({
    "name": model.layers[0].name,
    "accuracy": float(np.mean(scores)),
    "spread": float(np.std(scores)),
    "loss": float(np.mean(losses)),
}))
