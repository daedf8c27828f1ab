"""A Model subclass with a residual block, weight decay and a schedule of the learning rate."""

import json

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_wine

keras.utils.set_random_seed(5)


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(units, activation="gelu")
        self.norm = layers.LayerNormalization()
        self.second = layers.Dense(units, kernel_regularizer=keras.regularizers.L1L2(1e-5, 1e-4))

    def call(self, x):
        return self.norm(x + self.second(self.first(x)))


class Classifier(keras.Model):
    def __init__(self, classes, width=16, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Dense(width, activation="swish")
        self.blocks = [Block(width), Block(width)]
        self.dropout = layers.Dropout(0.0)
        self.head = layers.Dense(classes)

    def call(self, inputs, training=None):
        x = self.stem(inputs)
        for block in self.blocks:
            x = block(x)
        self.add_loss(1e-3 * ops.mean(ops.square(x)))
        return self.head(self.dropout(x, training=training))


x, y = load_wine(return_X_y=True)
order = np.random.RandomState(1).permutation(len(x))
x, y = ((x - x.mean(0)) / x.std(0))[order].astype("float32"), y[order]

model = Classifier(3)
schedule = keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=10, decay_rate=0.9, staircase=True)
model.compile(
    optimizer=keras.optimizers.AdamW(schedule, weight_decay=0.01, clipnorm=1.0),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
)
model(x[:2])  # builds it
rng = np.random.default_rng(3)
model.set_weights([rng.normal(0, 0.25, w.shape) if w.ndim == 2 else w for w in model.get_weights()])

history = model.fit(x[:130], y[:130], epochs=8, batch_size=16, shuffle=False, verbose=0,
                    validation_data=(x[130:], y[130:]))
weights = np.where(y == 2, 2.0, 1.0)
weighted = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
probabilities = ops.convert_to_numpy(ops.softmax(model.predict(x[:5], verbose=0)))

print(json.dumps({
    "keys": sorted(history.history),
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "acc": history.history["acc"][-1],
    "weighted": [weighted[key] for key in sorted(weighted)],
    "probabilities": probabilities.tolist(),
    "weights": len(model.weights),
    "parameters": model.count_params(),
    "rate": float(ops.convert_to_numpy(schedule(25))),
}))
