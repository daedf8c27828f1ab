"""An autoencoder whose encoder is frozen and given a new head, then fine-tuned, from a generator of batches."""

import json

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

tf.keras.utils.set_random_seed(11)
layers = tf.keras.layers

x, y = load_digits(return_X_y=True)
x = (x / 16.0).astype("float32")
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order], y[order]
rng = np.random.default_rng(8)


def start(model):
    """Glorot's normal start, from NumPy's random numbers."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            start(layer)
        elif layer.get_weights() and layer.get_weights()[0].ndim == 2:
            kernel, bias = layer.get_weights()
            layer.set_weights([rng.normal(0, np.sqrt(2 / sum(kernel.shape)), kernel.shape), bias])


encoder = tf.keras.Sequential(
    [layers.Input((64,)), layers.Dense(32, activation="tanh"), layers.BatchNormalization(momentum=0.8),
     layers.Dense(16, activation="tanh")],
    name="encoder",
)
decoder = tf.keras.Sequential([layers.Input((16,)), layers.Dense(32, activation="tanh"), layers.Dense(64)], name="decoder")
autoencoder = tf.keras.Sequential([encoder, decoder])
start(autoencoder)
autoencoder.compile("adam", "mse")
pretraining = autoencoder.fit(x[:1000], x[:1000], epochs=6, batch_size=50, shuffle=False, verbose=0)

encoder.trainable = False
classifier = tf.keras.Sequential([encoder, layers.Dense(10, activation="softmax", name="head")])
start_of_head = rng.normal(0, 0.2, (16, 10))
classifier.get_layer("head").set_weights([start_of_head, np.zeros(10)])
classifier.compile(tf.keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
classifier.summary(expand_nested=True, show_trainable=True)
before = [w.copy() for w in encoder.get_weights()]


def batches(size):
    while True:
        for i in range(0, 1000, size):
            yield x[i : i + size], y[i : i + size]


frozen = classifier.fit(batches(50), steps_per_epoch=20, epochs=5, verbose=0)
unchanged = all(np.array_equal(a, b) for a, b in zip(before, encoder.get_weights()))
trainable_while_frozen = len(classifier.trainable_weights)

encoder.trainable = True
encoder.layers[0].trainable = False
classifier.compile(tf.keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy", metrics=["accuracy"])
tuned = classifier.fit(
    batches(50), steps_per_epoch=20, epochs=3, validation_data=(x[1000:], y[1000:]), verbose=0
)

print(json.dumps({
    "pretraining": pretraining.history["loss"],
    "frozen": frozen.history["loss"],
    "unchanged": unchanged,
    "first_unchanged": bool(np.array_equal(before[0], encoder.get_weights()[0])),
    "trainable": [trainable_while_frozen, len(classifier.trainable_weights), len(classifier.non_trainable_weights)],
    "tuned": tuned.history["loss"],
    "val_loss": tuned.history["val_loss"],
    "val_accuracy": tuned.history["val_accuracy"][-1],
}))
