"""Customers who leave a bank: a table with words in it, TensorBoard, EarlyStopping, model.h5; second/churn.py reads what it leaves."""

import datetime
import json
import os
import pickle

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from tensorflow.keras.callbacks import EarlyStopping, TensorBoard
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

rng = np.random.default_rng(42)
n = 600
data = pd.DataFrame({
    "CreditScore": rng.integers(350, 850, n), "Geography": rng.choice(["France", "Germany", "Spain"], n),
    "Gender": rng.choice(["Female", "Male"], n), "Age": rng.integers(18, 80, n), "Balance": rng.uniform(0, 2e5, n).round(2),
    "NumOfProducts": rng.integers(1, 5, n),
})
leaves = (data["Age"] - 45) / 10 + (data["Geography"] == "Germany") + rng.normal(0, 0.5, n)
data["Exited"] = (leaves > 0.3).astype(int)

label_encoder_gender = LabelEncoder()
data["Gender"] = label_encoder_gender.fit_transform(data["Gender"])
onehot_encoder_geo = OneHotEncoder()
geo = onehot_encoder_geo.fit_transform(data[["Geography"]])
geo = pd.DataFrame(geo.toarray(), columns=onehot_encoder_geo.get_feature_names_out(["Geography"]))
data = pd.concat([data.drop("Geography", axis=1), geo], axis=1)
X, y = data.drop("Exited", axis=1), data["Exited"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
scaler = StandardScaler()
X_train, X_test = scaler.fit_transform(X_train), scaler.transform(X_test)
for name, fitted in {"gender": label_encoder_gender, "geo": onehot_encoder_geo, "scaler": scaler}.items():
    with open(f"{name}.pkl", "wb") as file:
        pickle.dump(fitted, file)

model = Sequential([
    Dense(64, activation="relu", input_shape=(X_train.shape[1],)), Dense(32, activation="relu"), Dense(1, activation="sigmoid")
])
model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=0.01), loss=tf.keras.losses.BinaryCrossentropy(), metrics=["accuracy"])
weights = np.random.default_rng(0)
model.set_weights([weights.normal(0, 0.2, w.shape) if w.ndim == 2 else w for w in model.get_weights()])
log_dir = "logs/fit/" + datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
history = model.fit(
    X_train, y_train, validation_data=(X_test, y_test), epochs=12, shuffle=False, verbose=0,
    callbacks=[
        TensorBoard(log_dir=log_dir, histogram_freq=1),
        EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True),
    ],
)
model.save("model.h5")

print(json.dumps({
    "keys": sorted(history.history),
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "val_accuracy": history.history["val_accuracy"],
    "logs": sorted(os.listdir(log_dir)),
}))
