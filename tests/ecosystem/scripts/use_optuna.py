"""optuna with its callback for Keras: unpromising trials are pruned, and the trials run in threads."""

import numpy as np
import optuna
from optuna_integration import KerasPruningCallback
from tensorflow import keras

x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
y = (x[:, :1] + x[:, 1:2] > 0).astype("float32")


def objective(trial):
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(trial.suggest_int("units", 2, 16), "tanh"),
        keras.layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    pruning = KerasPruningCallback(trial, "val_accuracy")
    history = model.fit(x, y, validation_split=0.3, epochs=15, verbose=0, callbacks=[pruning])
    return history.history["val_accuracy"][-1]


optuna.logging.set_verbosity(optuna.logging.WARNING)
sampler, pruner = optuna.samplers.TPESampler(seed=0), optuna.pruners.MedianPruner(n_startup_trials=3)
study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
study.optimize(objective, n_trials=20, n_jobs=2)
states = [trial.state for trial in study.trials]
assert states.count(optuna.trial.TrialState.PRUNED) > 0 and study.best_value > 0.8, (states, study.best_value)
assert optuna.trial.TrialState.FAIL not in states
print("done")
