"""../keras1.py in today's words, which today's Keras takes."""

import json

import numpy as np
from keras.constraints import MaxNorm
from keras.layers import Activation, BatchNormalization, Dense, Dropout, Input, LeakyReLU
from keras.models import Sequential, model_from_json
from keras.optimizers import SGD
from keras.optimizers.schedules import InverseTimeDecay
from keras.regularizers import L2
from keras.utils import to_categorical

rng = np.random.RandomState(1337)
classes = 3
y = rng.randint(0, classes, 500)
X = rng.normal(size=(500, 7)).astype("float32") + 0.7 * np.eye(classes, 7)[y]
X_train, X_test, y_train, y_test = X[:400], X[400:], y[:400], y[400:]
Y_train, Y_test = to_categorical(y_train, classes), to_categorical(y_test, classes)

model = Sequential([
    Input((7,)),
    Dense(24, kernel_initializer="random_uniform", kernel_regularizer=L2(0.001)),
    LeakyReLU(negative_slope=0.1),
    BatchNormalization(momentum=0.9),
    Dense(12, kernel_initializer="glorot_normal", activation="tanh", kernel_constraint=MaxNorm(2), use_bias=False),
    Dropout(0.0),
    Dense(classes, kernel_initializer="random_normal", bias_regularizer=L2(0.01)),
    Activation("softmax"),
])
sgd = SGD(InverseTimeDecay(0.1, 1, 1e-3), momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])

start = np.random.RandomState(0)
model.set_weights([start.normal(0, 0.3, w.shape) if w.ndim == 2 else w for w in model.get_weights()])

history = model.fit(
    X_train, Y_train, batch_size=40, epochs=10, verbose=0, validation_data=(X_test, Y_test), shuffle=False
).history
score = model.evaluate(X_test, Y_test, verbose=0)
proba = model.predict(X_test, verbose=0)

model.save_weights("model.weights.h5")
again = model_from_json(model.to_json())
again.load_weights("model.weights.h5")

print(json.dumps({
    "loss": history["loss"],
    "val_loss": history["val_loss"],
    "acc": history["accuracy"],
    "val_acc": history["val_accuracy"],
    "score": score,
    "hits": int((proba.argmax(-1) == y_test).sum()),
    "proba": proba[:5].tolist(),
    "norm": float(np.linalg.norm(model.layers[3].get_weights()[0], axis=0).max()),
    "same": bool(np.array_equal(again.predict(X_test, verbose=0), proba)),
}))
