"""A table in a CSV file: make_csv_dataset, a pipeline of tf.data, and a network on the columns of numbers."""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import pandas as pd
import tensorflow as tf

rng = np.random.RandomState(1)
n = 500
df = pd.DataFrame({
    "age": rng.randint(18, 80, n),
    "income": np.round(rng.gamma(3.0, 900.0, n), 2),
    "visits": rng.poisson(4, n),
    "city": rng.choice(["Berlin", "Paris", "Rome, Italy"], n),
})
score = 0.04 * (df["age"] - 45) + 0.0006 * (df["income"] - 2500) - 0.3 * (df["visits"] - 4) + rng.normal(0, 0.5, n)
df["bought"] = (score > 0).astype(int)
df.to_csv("customers.csv", index=False)

BATCH_SIZE = 32
LABEL_COLUMN = "bought"
NUMERIC_FEATURES = ["age", "income", "visits"]


def get_dataset(file_path, **kwargs):
    return tf.data.experimental.make_csv_dataset(
        file_path, batch_size=BATCH_SIZE, label_name=LABEL_COLUMN, na_value="?", num_epochs=1, ignore_errors=True, **kwargs
    )


raw_data = get_dataset("customers.csv", shuffle=False)
examples, labels = next(iter(raw_data))
mean = np.array(df[NUMERIC_FEATURES].mean(), "float32")
std = np.array(df[NUMERIC_FEATURES].std(), "float32")


def pack(features, label):
    numeric = tf.stack([tf.cast(features[name], tf.float32) for name in NUMERIC_FEATURES], axis=-1)
    return (numeric - mean) / std, label


raw_data = raw_data.apply(tf.data.experimental.assert_cardinality(-(-n // BATCH_SIZE)))
packed = raw_data.map(pack).cache().prefetch(tf.data.AUTOTUNE)
train, test = packed.skip(3), packed.take(3)

model = tf.keras.Sequential([
    tf.keras.layers.Input(shape=(3,)),
    tf.keras.layers.Dense(12, activation="relu"),
    tf.keras.layers.Dense(1),
])
start = np.random.RandomState(0)
model.set_weights([start.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
    optimizer=tf.keras.optimizers.Adam(0.01),
    metrics=["accuracy"],
)
history = model.fit(train, epochs=5, validation_data=test, verbose=0)
loss, accuracy = model.evaluate(test, verbose=0)

# The same table line by line, and rows in memory.
lines = tf.data.TextLineDataset("customers.csv").skip(1)


def parse_line(line):
    fields = tf.io.decode_csv(line, record_defaults=[[0.0], [0.0], [0.0], [""], [0]])
    return (tf.stack(fields[:3]) - mean) / std, fields[-1]


by_line = model.evaluate(lines.map(parse_line).batch(50), verbose=0)

# A pandas table in memory: slices, shuffled in each epoch.
features = (df[NUMERIC_FEATURES].values.astype("float32") - mean) / std
ds = tf.data.Dataset.from_tensor_slices((features, df["bought"].values))
ds = ds.shuffle(buffer_size=n, seed=3).batch(50).repeat().prefetch(tf.data.experimental.AUTOTUNE)
again = model.fit(ds, epochs=4, steps_per_epoch=10, verbose=0)
predictions = model.predict(packed.map(lambda x, y: x), verbose=0)
by_city = tf.data.Dataset.from_tensor_slices(dict(df)).filter(lambda row: row["city"] == "Rome, Italy")

print(json.dumps({
    "columns": list(examples),
    "cities": [city.decode() for city in examples["city"].numpy()[:4]],
    "ages": examples["age"].numpy()[:4].tolist(),
    "labels": labels.numpy()[:8].tolist(),
    "spec": str([list(spec.shape) for spec in packed.element_spec]),
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "test": loss,
    "accuracy": accuracy,
    "by_line": by_line,
    "steps": len(again.history["loss"]),
    "shuffled_loss": again.history["loss"][-1],
    "shape": list(predictions.shape),
    "romans": len(list(by_city)),
}))
