"""Three kinds of wheat, in the words of Keras 1. `today/keras1.py` is the same in today's."""

import json

import numpy as np
from keras.constraints import maxnorm
from keras.layers.advanced_activations import LeakyReLU
from keras.layers.core import Activation, Dense, Dropout
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential, model_from_json
from keras.optimizers import SGD
from keras.regularizers import l2
from keras.utils import np_utils

rng = np.random.RandomState(1337)
nb_classes = 3
y = rng.randint(0, nb_classes, 500)
X = rng.normal(size=(500, 7)).astype("float32") + 0.7 * np.eye(nb_classes, 7)[y]
X_train, X_test, y_train, y_test = X[:400], X[400:], y[:400], y[400:]
Y_train = np_utils.to_categorical(y_train, nb_classes)
Y_test = np_utils.to_categorical(y_test, nb_classes)

model = Sequential()
model.add(Dense(output_dim=24, input_dim=7, init="uniform", W_regularizer=l2(0.001)))
model.add(LeakyReLU(alpha=0.1))
model.add(BatchNormalization(mode=0, momentum=0.9))
model.add(Dense(12, init="glorot_normal", activation="tanh", W_constraint=maxnorm(2), bias=False))
model.add(Dropout(p=0.0))
model.add(Dense(output_dim=nb_classes, init="normal", b_regularizer=l2(0.01)))
model.add(Activation("softmax"))
sgd = SGD(lr=0.1, decay=1e-3, momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"], class_mode="categorical")

start = np.random.RandomState(0)
model.set_weights([start.normal(0, 0.3, w.shape) if w.ndim == 2 else w for w in model.get_weights()])

hist = model.fit(
    X_train, Y_train, batch_size=40, nb_epoch=10, verbose=0, validation_data=[X_test, Y_test], shuffle=False,
    show_accuracy=True,
)
score = model.evaluate(X_test, Y_test, show_accuracy=True, verbose=0)
classes = model.predict_classes(X_test, verbose=0)
proba = model.predict_proba(X_test, verbose=0)
acc = hist.history["acc"]
val_acc = hist.history["val_acc"]

open("model.json", "w").write(model.to_json())
model.save_weights("weights.h5", overwrite=True)
again = model_from_json(open("model.json").read())
again.load_weights("weights.h5")

print(json.dumps({
    "loss": hist.history["loss"],
    "val_loss": hist.history["val_loss"],
    "acc": acc,
    "val_acc": val_acc,
    "score": score,
    "hits": int((classes == y_test).sum()),
    "proba": proba[:5].tolist(),
    "norm": float(np.linalg.norm(model.layers[3].get_weights()[0], axis=0).max()),
    "same": bool(np.array_equal(again.predict(X_test, verbose=0), proba)),
}))
