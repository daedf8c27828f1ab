"""Training that ends by itself: early stopping, the best epoch in a file, and the file read back."""

import json
import os

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tensorflow.keras.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, TerminateOnNaN
from tensorflow.keras.layers import BatchNormalization, Dense, Input, LeakyReLU
from tensorflow.keras.models import Sequential, load_model
from tensorflow.keras.utils import set_random_seed

set_random_seed(3)

x, y = load_breast_cancer(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=1)
scaler = StandardScaler().fit(x_train)
x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)

model = Sequential([
    Input(shape=(30,)), Dense(40), BatchNormalization(momentum=0.9), LeakyReLU(negative_slope=0.1),
    Dense(20, activation="relu"), Dense(1, activation="sigmoid"),
])
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
rng = np.random.default_rng(0)
model.set_weights([rng.normal(0, 0.35, w.shape) if w.ndim == 2 else w for w in model.get_weights()])

callbacks = [
    EarlyStopping(monitor="val_loss", patience=4, min_delta=1e-3, restore_best_weights=True, verbose=1),
    ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True),
    ModelCheckpoint("weights-{epoch:02d}.weights.h5", save_weights_only=True),
    CSVLogger("log.csv"),
    TerminateOnNaN(),
]
history = model.fit(
    x_train, y_train, validation_data=(x_test, y_test), epochs=60, batch_size=32, shuffle=False, verbose=0,
    callbacks=callbacks,
)
epochs = len(history.history["loss"])
best = load_model("best.keras")
kept = model.evaluate(x_test, y_test, verbose=0)
loaded = best.evaluate(x_test, y_test, verbose=0)
best.fit(x_train, y_train, epochs=1, batch_size=32, shuffle=False, verbose=0)  # with the optimizer's state
model.load_weights("weights-02.weights.h5")
second = model.evaluate(x_test, y_test, verbose=0)
with open("log.csv") as file:
    lines = file.read().splitlines()

print(json.dumps({
    "keys": sorted(history.history),
    "epochs": epochs,
    "val_loss": history.history["val_loss"],
    "kept": kept,
    "loaded": loaded,
    "second": second,
    "continued": best.evaluate(x_test, y_test, verbose=0),
    "files": len([name for name in os.listdir() if name.endswith(".weights.h5")]),
    "csv": [lines[0], len(lines)],
}))
