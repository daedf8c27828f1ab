"""A regression on a data frame, with a Normalization layer that learns the columns' scales."""

import json

import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.datasets import load_diabetes

keras.utils.set_random_seed(1)

data = load_diabetes(as_frame=True, scaled=False)
frame = data.data.copy()
frame["target"] = data.target / 100.0
frame = frame.sample(frac=1.0, random_state=0)
train, test = frame[:350], frame[350:]
train_x, train_y = train.drop(columns="target"), train["target"]
test_x, test_y = test.drop(columns="target"), test["target"]

normalizer = layers.Normalization(axis=-1)
normalizer.adapt(np.array(train_x))

model = keras.Sequential([
    normalizer,
    layers.Dense(24, activation="relu", kernel_regularizer="l2"),
    layers.Dense(12, activation="elu"),
    layers.Dense(1),
])
model.compile(
    loss="mean_squared_error",
    optimizer=keras.optimizers.RMSprop(0.001),
    metrics=["mae", keras.metrics.RootMeanSquaredError()],
)
model.build((None, train_x.shape[1]))

rng = np.random.default_rng(2)
for layer in model.layers[1:]:
    shapes = [w.shape for w in layer.get_weights()]
    layer.set_weights([rng.normal(0, np.sqrt(1.5 / shapes[0][0]), shapes[0]), np.zeros(shapes[1])])

early = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=3, min_lr=1e-5)
history = model.fit(
    train_x, train_y, epochs=30, batch_size=25, validation_split=0.2, shuffle=False, verbose=0, callbacks=[early]
)
table = pd.DataFrame(history.history)
table["epoch"] = history.epoch
print(table.tail(3))
results = model.evaluate(test_x, test_y, verbose=0)
error = model.predict(test_x, verbose=0).flatten() - test_y.to_numpy()

print(json.dumps({
    "keys": sorted(history.history),
    "mean": np.ravel(normalizer.mean).tolist(),
    "variance": np.ravel(normalizer.variance).tolist(),
    "loss": table["loss"].tolist(),
    "val_mae": table["val_mae"].tolist(),
    "learning_rate": table["learning_rate"].tolist(),
    "test": results,
    "rmse": float(np.sqrt(np.mean(error**2))),
}))
