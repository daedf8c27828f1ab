"""A script that `test_mpi` runs in one process and in two: arguments [what goes wrong, or "nothing"] [number of processes]."""

import os
import sys

import numpy as np
from tensorflow import keras

trouble, processes = sys.argv[1], int(sys.argv[2])
keras.utils.set_random_seed(3 + int(os.environ.get("PMI_RANK", 0)) * (processes > 1))  # process 0 counts
if processes > 1:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    rank = int(os.environ["PMI_RANK"])
else:
    rank = 0
layers = keras.layers


class Killed(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if trouble == "kill in epoch" and self.model.optimizer.iterations == 9 and rank == 0:
            os.kill(os.getpid(), 9)


class Bad(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if rank == 1 and epoch == 1:
            if trouble in ("exit", "end"):
                sys.exit(3 if trouble == "exit" else 0)
            if trouble == "kill":
                os.kill(os.getpid(), 9)
            raise RuntimeError("the disk is full")


random = np.random.default_rng(0)
x = random.normal(size=(180, 6)).astype("float32")
y = (x[:, :1] * x[:, 1:2] > 0.2).astype("float32")
table = keras.Input((6,))
h = layers.ReLU()(layers.BatchNormalization(synchronized="epoch" not in trouble, momentum=0.8)(layers.Dense(16)(table)))
model = keras.Model(table, layers.Dense(1, "sigmoid", kernel_regularizer="l2")(h))
model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy", "AUC"])
callbacks = [keras.callbacks.CSVLogger("log.csv"), keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True)]
callbacks += [keras.callbacks.ReduceLROnPlateau(patience=1), keras.callbacks.EarlyStopping(patience=3)]
if "epoch" in trouble:
    callbacks += [Killed(), keras.callbacks.BackupAndRestore("backup", save_freq=2)]
elif trouble not in ("nothing", "rows"):
    callbacks += [Bad()]
history = model.fit(
    x, y, batch_size=32 + (trouble == "rows"), epochs=4, verbose=2, validation_data=(x[:41], y[:41]), callbacks=callbacks
)
logs = {key: np.array(values) for key, values in history.history.items()}
np.savez(f"{processes}-{rank}.npz", *model.get_weights(), **logs)
