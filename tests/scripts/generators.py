"""Batches from a generator and from a Sequence, in the words of Keras 2; its figures are those of tf_keras."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.keras.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from tensorflow.keras.layers import BatchNormalization, Dense
from tensorflow.keras.models import Sequential, load_model
from tensorflow.keras.utils import Sequence

rng = np.random.RandomState(0)
x = rng.normal(size=(480, 6)).astype("float32")
y = (x[:, 0] * x[:, 1] + 0.5 * x[:, 2] > 0).astype("float32")
x_train, y_train, x_val, y_val, x_test, y_test = x[:320], y[:320], x[320:400], y[320:400], x[400:], y[400:]
batch_size = 32


def batch_generator(x, y, batch_size):
    while True:
        for start in range(0, len(x), batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]


class Batches(Sequence):
    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return int(np.ceil(len(self.x) / float(self.batch_size)))

    def __getitem__(self, idx):
        rows = slice(idx * self.batch_size, (idx + 1) * self.batch_size)
        return self.x[rows], self.y[rows]


model = Sequential()
model.add(Dense(32, input_dim=6, activation="relu"))
model.add(BatchNormalization(momentum=0.9))
model.add(Dense(16, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile(tf.keras.optimizers.legacy.Adam(lr=0.02), loss="binary_crossentropy", metrics=["acc"])
start = np.random.RandomState(1)
model.set_weights([start.normal(0, 0.4, w.shape) if w.ndim == 2 else w for w in model.get_weights()])

callbacks = [
    ModelCheckpoint("best.h5", monitor="val_loss", save_best_only=True, verbose=0),
    ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2, min_lr=1e-4),
    EarlyStopping(monitor="val_loss", patience=6),
]
history = model.fit_generator(
    batch_generator(x_train, y_train, batch_size),
    steps_per_epoch=len(x_train) // batch_size,
    epochs=12,
    validation_data=Batches(x_val, y_val, batch_size),
    validation_steps=3,
    callbacks=callbacks,
    max_queue_size=10,
    workers=1,
    verbose=0,
)
best = load_model("best.h5")
score = best.evaluate_generator(Batches(x_test, y_test, batch_size))
steps = model.evaluate_generator(batch_generator(x_test, y_test, batch_size), steps=2)
predictions = best.predict_generator(Batches(x_test, y_test, batch_size), workers=1, verbose=0)

print(json.dumps({
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "acc": history.history["acc"],
    "lr": [float(lr) for lr in history.history["lr"]],
    "score": score,
    "steps": steps,
    "predictions": np.ravel(predictions)[:10].tolist(),
}))
