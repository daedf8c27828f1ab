"""../mnist.py in today's words, which today's Keras takes."""

import json

import numpy as np
from keras.datasets import mnist
from keras.layers import Dense, Dropout
from keras.models import Sequential
from keras.optimizers import RMSprop
from keras.utils import to_categorical

num_classes = 10
(X_train, y_train), (X_test, y_test) = mnist.load_data()
X_train = X_train.reshape(X_train.shape[0], 28 * 28).astype("float32") / 255
X_test = X_test.reshape(X_test.shape[0], 28 * 28).astype("float32") / 255
Y_train = to_categorical(y_train, num_classes)
Y_test = to_categorical(y_test, num_classes)

model = Sequential()
model.add(Dense(64, activation="relu", input_shape=(784,)))
model.add(Dropout(0.0))
model.add(Dense(32, activation="relu"))
model.add(Dense(num_classes, activation="softmax"))
model.summary()
model.compile(loss="categorical_crossentropy", optimizer=RMSprop(learning_rate=0.002), metrics=["accuracy"])
start = np.random.RandomState(0)
model.set_weights([start.normal(0, 0.08, w.shape) if w.ndim == 2 else w for w in model.get_weights()])

history = model.fit(
    X_train, Y_train, batch_size=50, epochs=6, verbose=0, validation_data=(X_test, Y_test), shuffle=False
)
score = model.evaluate(X_test, Y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])
classes = np.argmax(model.predict(X_test, verbose=0), axis=-1)

print(json.dumps({
    "keys": sorted(history.history),
    "shapes": [list(X_train.shape), list(Y_train.shape), list(X_test.shape)],
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "score": score,
    "hits": int((classes == y_test).sum()),
}))
