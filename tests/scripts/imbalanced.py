"""One row in twelve is a fraud: class weights, an initial bias, and metrics that see it."""

import json

import numpy as np
import tensorflow as tf
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from tensorflow import keras

keras.utils.set_random_seed(0)

x, y = make_classification(
    n_samples=1500, n_features=12, n_informative=6, weights=[0.92], flip_y=0.01, class_sep=1.5, random_state=5
)
x = StandardScaler().fit_transform(x).astype("float32")
x_train, y_train, x_val, y_val = x[:1100], y[:1100], x[1100:], y[1100:]

METRICS = [
    keras.metrics.TruePositives(name="tp"),
    keras.metrics.FalsePositives(name="fp"),
    keras.metrics.TrueNegatives(name="tn"),
    keras.metrics.FalseNegatives(name="fn"),
    keras.metrics.BinaryAccuracy(name="accuracy"),
    keras.metrics.Precision(name="precision"),
    keras.metrics.Recall(name="recall"),
    keras.metrics.AUC(name="auc"),
    keras.metrics.AUC(name="prc", curve="PR"),
]

positive, negative = int(y_train.sum()), int((y_train == 0).sum())
output_bias = tf.keras.initializers.Constant(np.log(positive / negative))
model = keras.Sequential([
    keras.layers.Dense(16, activation="relu", input_shape=(x.shape[-1],)),
    keras.layers.Dense(8, activation="tanh"),
    keras.layers.Dense(1, activation="sigmoid", bias_initializer=output_bias),
])
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=3e-3), loss=keras.losses.BinaryCrossentropy(), metrics=METRICS
)
bias = float(model.layers[-1].get_weights()[1][0])

rng = np.random.default_rng(4)
model.layers[0].set_weights([rng.normal(0, 0.3, (12, 16)), np.zeros(16)])
model.layers[1].set_weights([rng.normal(0, 0.3, (16, 8)), np.zeros(8)])
model.layers[2].set_weights([rng.normal(0, 0.3, (8, 1)), np.array([bias])])

weights = compute_class_weight("balanced", classes=np.unique(y_train), y=y_train)
class_weight = {i: w for i, w in enumerate(weights)}
history = model.fit(
    x_train, y_train, batch_size=64, epochs=10, validation_data=(x_val, y_val), class_weight=class_weight,
    shuffle=False, verbose=0,
)
results = model.evaluate(x_val, y_val, verbose=0, return_dict=True)
print("recall", results["recall"])

print(json.dumps({
    "keys": sorted(history.history),
    "bias": bias,
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "auc": history.history["auc"],
    "val_prc": history.history["val_prc"],
    "counts": [results[key] for key in ("tp", "fp", "tn", "fn")],
    "scores": [results[key] for key in ("accuracy", "precision", "recall", "auc", "prc", "loss")],
}))
