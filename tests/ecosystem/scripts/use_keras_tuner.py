"""keras_tuner: RandomSearch and Hyperband, and the best model of each."""

import keras
import keras_tuner
import numpy as np

x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
y = (x[:, :1] > 0).astype("float32")


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    for i in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Choice(f"units_{i}", [4, 8]), activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


for tuner in (
    keras_tuner.RandomSearch(build, "val_accuracy", max_trials=3, executions_per_trial=2, directory="random", seed=0),
    keras_tuner.Hyperband(build, "val_accuracy", max_epochs=4, factor=2, directory="hyperband", seed=0),
):
    tuner.search(x, y, epochs=5, validation_split=0.25, verbose=0, callbacks=[keras.callbacks.EarlyStopping(patience=3)])
    best = tuner.get_best_models(1)[0]
    assert best.evaluate(x, y, verbose=0)[1] > 0.6
    assert 1e-3 <= tuner.get_best_hyperparameters(1)[0]["rate"] <= 1e-1
    tuner.results_summary(1)
print("done")
