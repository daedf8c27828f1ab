"""Two classes of synthetic data, and the network of an article on Batch Normalization."""

import json

import numpy as np
import tensorflow as tf
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tensorflow.keras.layers import Activation, BatchNormalization, Dense
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import Adam

np.random.seed(7)
tf.random.set_seed(7)

X, y = make_classification(n_samples=900, n_features=20, n_informative=8, class_sep=1.2, random_state=3)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.transform(X_test)

model = Sequential([
    Dense(64, input_shape=(20,)), BatchNormalization(), Activation('relu'),
    Dense(32), BatchNormalization(), Activation('relu'),
    Dense(1, activation='sigmoid')
])
model.compile(optimizer=Adam(), loss='binary_crossentropy', metrics=['accuracy'])
model.summary()

# The same start for everybody.
rng = np.random.default_rng(1)
for layer in model.layers:
    if isinstance(layer, Dense):
        kernel, bias = layer.get_weights()
        limit = np.sqrt(6 / sum(kernel.shape))
        layer.set_weights([rng.uniform(-limit, limit, kernel.shape), bias])

history = model.fit(X_train, y_train, epochs=12, batch_size=32, validation_split=0.25, shuffle=False, verbose=2)
loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
probabilities = model.predict(X_test, verbose=0).ravel()
print(f"test accuracy {accuracy:.3f}")

print(json.dumps({
    "keys": sorted(history.history),
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "val_accuracy": history.history["val_accuracy"][-1],
    "test_loss": loss,
    "test_accuracy": accuracy,
    "auc": roc_auc_score(y_test, probabilities),
    "probabilities": probabilities[:10].tolist(),
    "moving_variance": float(model.layers[1].moving_variance.numpy().sum()),
}))
