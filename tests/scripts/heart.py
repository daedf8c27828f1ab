"""Patients, in a table with columns of words: encoded layer by layer, then by a FeatureSpace, from tf.data and from arrays."""

import json

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from keras.utils import FeatureSpace

rng = np.random.default_rng(7)
n = 320
frame = pd.DataFrame({
    "age": rng.integers(30, 75, n), "sex": rng.integers(0, 2, n), "pressure": rng.normal(130, 15, n).round(1),
    "thal": rng.choice(["fixed", "normal", "reversible", "1"], n, p=[0.2, 0.5, 0.29, 0.01]), "vessels": rng.integers(0, 4, n),
})
risk = (frame["age"] - 52) / 9 + (frame["thal"] == "reversible") * 1.5 + frame["vessels"] - 2 + rng.normal(0, 0.5, n)
frame["target"] = (risk > 0).astype(int)
val_frame = frame.sample(frac=0.2, random_state=1337)
train_frame = frame.drop(val_frame.index)


def as_dataset(frame):
    frame = frame.copy()
    labels = frame.pop("target")
    return tf.data.Dataset.from_tensor_slices((dict(frame), labels))


def seeded(model):
    values = np.random.default_rng(0)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        variable.assign(values.normal(0, 0.2, shape) if len(shape) > 1 else np.zeros(shape))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


train, val = as_dataset(train_frame).batch(32), as_dataset(val_frame).batch(32)


def encoded(symbol, layer, name):
    column = train.map(lambda x, y: x[name]).map(lambda x: tf.expand_dims(x, -1))
    layer.adapt(column)
    return layer(symbol)


inputs = {
    name: keras.Input(shape=(1,), name=name, dtype=dtype)
    for name, dtype in {"age": "float32", "sex": "int64", "pressure": "float32", "thal": "string", "vessels": "int64"}.items()
}
columns = [encoded(inputs[name], layers.Normalization(), name) for name in ("age", "pressure")]
columns += [encoded(inputs[name], layers.IntegerLookup(output_mode="multi_hot"), name) for name in ("sex", "vessels")]
columns += [encoded(inputs["thal"], layers.StringLookup(output_mode="multi_hot"), "thal")]
columns = [layers.Rescaling(1.0)(tensor) for tensor in columns]
hidden = layers.Dropout(0.0)(layers.Dense(32, activation="relu")(layers.concatenate(columns)))
model = seeded(keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden)))
first = model.fit(train, epochs=8, validation_data=val, verbose=0)
sample = {"age": 60, "sex": 1, "pressure": 145.0, "thal": "fixed", "vessels": 2}
chance = model.predict({name: tf.convert_to_tensor([value]) for name, value in sample.items()}, verbose=0)

space = FeatureSpace(
    features={
        "sex": "integer_categorical", "vessels": FeatureSpace.integer_categorical(num_oov_indices=0), "thal": "string_categorical",
        "age": FeatureSpace.float_discretized(num_bins=6), "pressure": "float_normalized",
    },
    crosses=[FeatureSpace.cross(feature_names=("sex", "age"), crossing_dim=16), ("thal", "vessels")],
    output_mode="concat",
)
space.adapt(train.map(lambda x, _: x))
for x, _ in train.take(1):
    shape = list(space(x).shape)
data, val_data = (one.map(lambda x, y: (space(x), y)).prefetch(tf.data.AUTOTUNE) for one in (train, val))
features = space.get_encoded_features()
predictions = layers.Dense(1, activation="sigmoid")(layers.Dense(32, activation="relu")(features))
training_model = seeded(keras.Model(features, predictions))
second = training_model.fit(data, epochs=8, validation_data=val_data, verbose=0)
inference_model = keras.Model(space.get_inputs(), predictions)
again = inference_model.predict({name: tf.convert_to_tensor([value]) for name, value in sample.items()}, verbose=0)
space.save("space.keras")
reloaded = keras.models.load_model("space.keras")
same = bool(np.allclose(np.asarray(reloaded(sample)), np.asarray(space(sample))))

print(json.dumps({
    "loss": first.history["loss"], "val_accuracy": first.history["val_accuracy"], "chance": chance.tolist(), "shape": shape,
    "second_loss": second.history["loss"], "second_val_accuracy": second.history["val_accuracy"], "again": again.tolist(), "same": same,
}))
