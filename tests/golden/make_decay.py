"""Write decay.json: weights of a Dense after three epochs with lr and decay, by the optimizers of Keras 2 (tf_keras).

RMSprop is not among them: Keras 3 adds its epsilon under the root.

    python tests/golden/make_decay.py
"""

import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tf_keras
from tf_keras.optimizers import legacy

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "decay": 0.05, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.05, "decay": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": None},
    "Adagrad": {"lr": 0.3, "decay": 0.01},
}

x = np.sin(np.arange(60, dtype="float32")).reshape(20, 3)
y = (x @ [[0.5], [-1.0], [0.25]] > 0).astype("float32")
found = {}
for name, options in OPTIMIZERS.items():
    model = tf_keras.Sequential([tf_keras.layers.Dense(1, activation="sigmoid", input_shape=(3,))])
    model.set_weights([np.full((3, 1), 0.1, "float32"), np.zeros(1, "float32")])
    model.compile(getattr(legacy, name)(**options), "binary_crossentropy")
    model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    found[name] = {"options": options, "weights": np.concatenate([w.ravel() for w in model.get_weights()]).tolist()}
Path(__file__).with_name("decay.json").write_text(json.dumps(found, indent=1) + "\n")
