"""A layer, a loss, a metric and a callback of one's own."""

import json

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K
from tensorflow.keras import layers

tf.random.set_seed(0)
np.random.seed(0)


@keras.utils.register_keras_serializable(package="scripts")
class RadialBasis(layers.Layer):
    """exp(-gamma |x - c|^2) for some centres c."""

    def __init__(self, units, gamma=0.5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.gamma = gamma

    def build(self, input_shape):
        self.centres = self.add_weight(
            shape=(self.units, input_shape[-1]), initializer="random_normal", trainable=True, name="centres"
        )
        self.log_gamma = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(np.log(self.gamma)), trainable=True, name="log_gamma"
        )
        super().build(input_shape)

    def call(self, inputs):
        difference = tf.expand_dims(inputs, 1) - tf.expand_dims(self.centres, 0)
        distance = tf.reduce_sum(tf.square(difference), axis=-1)
        return tf.exp(-tf.exp(self.log_gamma) * distance)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "gamma": self.gamma}


def focal_loss(y_true, y_pred):
    y_true = tf.cast(y_true, tf.float32)
    y_pred = tf.clip_by_value(y_pred, K.epsilon(), 1.0 - K.epsilon())
    right = tf.where(tf.equal(y_true, 1.0), y_pred, 1.0 - y_pred)
    return tf.reduce_mean(-tf.pow(1.0 - right, 2.0) * tf.math.log(right), axis=-1)


def specificity(y_true, y_pred):
    y_true = K.cast(y_true, "float32")
    negatives = K.sum(K.round(K.clip(1 - y_true, 0, 1)))
    true_negatives = K.sum(K.round(K.clip((1 - y_true) * (1 - y_pred), 0, 1)))
    return true_negatives / (negatives + K.epsilon())


class Recorder(keras.callbacks.Callback):
    def __init__(self, start):
        super().__init__()
        self.start = start

    def on_train_begin(self, logs=None):
        self.rates, self.batches = [], 0

    def on_epoch_begin(self, epoch, logs=None):
        rate = self.start / (1 + 0.5 * epoch)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))
        if logs["specificity"] > 0.985:
            self.model.stop_training = True


angle = np.random.uniform(0, 2 * np.pi, 600)
y = (np.arange(600) % 2).astype("float32").reshape(-1, 1)
radius = np.where(y[:, 0] == 1, 1.0, 2.0) + 0.25 * np.random.normal(size=600)
x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype("float32")

model = keras.Sequential([layers.Input(shape=(2,)), RadialBasis(12, name="basis"), layers.Dense(1, activation="sigmoid")])
model.compile(optimizer=keras.optimizers.Adam(0.05), loss=focal_loss, metrics=["accuracy", specificity])
model.get_layer("basis").set_weights([np.random.normal(size=(12, 2)), np.log(0.5)])
model.layers[-1].set_weights([np.random.normal(size=(12, 1)), np.zeros(1)])

recorder = Recorder(0.05)
history = model.fit(x, y, epochs=10, batch_size=40, shuffle=False, verbose=0, callbacks=[recorder])
again = keras.Sequential.from_config(model.get_config())
again.set_weights(model.get_weights())
same = np.abs(again.predict(x, verbose=0) - model.predict(x, verbose=0)).max()

print(json.dumps({
    "keys": sorted(history.history),
    "loss": history.history["loss"],
    "accuracy": history.history["accuracy"],
    "specificity": history.history["specificity"],
    "rates": recorder.rates,
    "batches": recorder.batches,
    "gamma": float(np.exp(model.get_layer("basis").get_weights()[1])),
    "same": bool(same < 1e-6),
}))
