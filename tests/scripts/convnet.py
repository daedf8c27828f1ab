"""The small convolutional network that everybody writes first, on handwritten digits of scikit-learn's size."""

import json

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

num_classes, input_shape = 10, (8, 8, 1)
images, labels = load_digits(return_X_y=True)
x = np.expand_dims(images.reshape(-1, 8, 8).astype("float32") / 16, -1)
x_train, y_train, x_test, y_test = x[:1440], labels[:1440], x[1440:], labels[1440:]
print("x_train shape:", x_train.shape)
y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)

model = keras.Sequential(
    [
        keras.Input(shape=input_shape),
        layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu", padding="same"),
        layers.BatchNormalization(momentum=0.9),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.0),
        layers.Dense(num_classes, activation="softmax"),
    ]
)
model.summary()
start = np.random.RandomState(0)
model.set_weights([start.normal(0, 0.1, w.shape) if w.ndim > 1 else w for w in model.get_weights()])
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    x_train, y_train, batch_size=32, epochs=4, validation_split=0.1, shuffle=False, verbose=0
).history
score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])
print(json.dumps({
    "params": model.count_params(),
    "loss": history["loss"],
    "val_loss": history["val_loss"],
    "val_accuracy": history["val_accuracy"],
    "score": score,
}))
