"""Handwritten digits: one-hot labels, softmax, a confusion matrix."""

import json

import keras
import numpy as np
from keras import layers
from keras.utils import to_categorical
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

keras.utils.set_random_seed(42)

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8).astype("float32") / 16.0
order = np.random.RandomState(0).permutation(len(images))
images, labels = images[order], labels[order]
x_train, x_test = images[:1200], images[1200:]
y_train, y_test = to_categorical(labels[:1200], 10), to_categorical(labels[1200:], 10)

model = keras.Sequential(
    [
        keras.Input(shape=(8, 8)),
        layers.Flatten(),
        layers.Dense(48, activation="relu", kernel_regularizer=keras.regularizers.l2(1e-4)),
        layers.BatchNormalization(momentum=0.9),
        layers.Dense(10, activation="softmax"),
    ],
    name="digits",
)
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=0.1, momentum=0.9, nesterov=True),
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
    metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2, name="top2")],
)
model.summary()

rng = np.random.default_rng(0)
weights = [rng.normal(0, 0.15, w.shape) if w.ndim == 2 else w for w in model.get_weights()]
model.set_weights(weights)

history = model.fit(
    x_train, y_train, batch_size=50, epochs=8, validation_data=(x_test, y_test), shuffle=False, verbose=0
)
scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
predicted = np.argmax(model.predict(x_test, verbose=0), axis=-1)
matrix = confusion_matrix(labels[1200:], predicted)
print(matrix)

print(json.dumps({
    "keys": sorted(history.history),
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "scores": [scores[key] for key in sorted(scores)],
    "hits": int(np.trace(matrix)),
    "parameters": model.count_params(),
    "kernel_norm": float(np.linalg.norm(model.layers[1].get_weights()[0])),
}))
