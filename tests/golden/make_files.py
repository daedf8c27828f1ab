"""Makes the files in `files/<writer>-<version>/` that every later version must go on reading.

    python tests/golden/make_files.py            files of this minigrad
    python tests/golden/make_files.py keras      files of the real Keras, on TensorFlow

Beside each `name.keras` stands in `expected.npz` what the model predicts and, if it is compiled, the losses of two
more epochs. Files of released versions are kept as they are: make a new folder, never overwrite an old one.
"""

import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "files"
LAYERS = {  # name: arguments; each keeps the shape (6,) or is followed by what restores it
    "Activation": {"activation": "gelu"},
    "ActivityRegularization": {"l2": 0.01},
    "AlphaDropout": {"rate": 0.1, "seed": 1},
    "BatchNormalization": {"momentum": 0.8, "epsilon": 0.01, "gamma_regularizer": "l2", "beta_constraint": "non_neg"},
    "Dense": {"units": 6, "activation": "selu", "kernel_regularizer": "l1", "bias_constraint": "max_norm",
              "kernel_initializer": "he_normal", "activity_regularizer": "l2"},
    "Dropout": {"rate": 0.3, "seed": 3},
    "ELU": {"alpha": 0.5},
    "Flatten": {},
    "GaussianDropout": {"rate": 0.1, "seed": 1},
    "GaussianNoise": {"stddev": 0.1, "seed": 1},
    "Identity": {},
    "LayerNormalization": {"epsilon": 0.01},
    "LeakyReLU": {"negative_slope": 0.2},
    "Normalization": {"mean": 0.5, "variance": 2.0},
    "Permute": {"dims": [1]},
    "PReLU": {"alpha_initializer": "ones"},
    "RMSNormalization": {"epsilon": 0.01},
    "ReLU": {"max_value": 20.0, "negative_slope": 0.3, "threshold": 0.1},
    "RepeatVector": {"n": 1},
    "Rescaling": {"scale": 0.5, "offset": 0.1},
    "Reshape": {"target_shape": (6,)},
    "Softmax": {"axis": -1},
    "UnitNormalization": {},
}
OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.02, "amsgrad": True, "clipnorm": 0.5}),
    "adamw": ("AdamW", {"learning_rate": 0.02, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.02, "momentum": 0.5, "centered": True}),
    "ema": ("Adam", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5, "weight_decay": 0.01}),
    "accumulation": ("SGD", {"gradient_accumulation_steps": 2, "momentum": 0.5, "global_clipnorm": 1.0}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "nadam": ("Nadam", {"learning_rate": 0.02}),
    "adamax": ("Adamax", {"learning_rate": 0.02}),
    "lion": ("Lion", {"learning_rate": 0.003}),
    "ftrl": ("Ftrl", {"learning_rate": 0.1}),
    "adafactor": ("Adafactor", {"learning_rate": 0.02}),
}


def data(width):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((48, width)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


def article(library):
    """The model that minigrad was made for, narrower."""
    layers = library.layers
    blocks = [make for units in (8, 4) for make in (
        layers.Dense(units, use_bias=False), layers.BatchNormalization(), layers.Activation("relu"))]
    model = library.Sequential([library.Input((20,)), *blocks, layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def every_layer(library):
    """One of each kind of layer, one of them in a model inside the model."""
    known = {name: arguments for name, arguments in LAYERS.items() if hasattr(library.layers, name)}
    stack = [getattr(library.layers, name)(**arguments) for name, arguments in known.items()]
    inner = library.Sequential([library.Input((6,)), library.layers.Dense(6, activation="tanh")], name="inner")
    return library.Sequential([library.Input((6,)), *stack[:4], inner, *stack[4:]])


def small(library, optimizer, arguments):
    dense = library.layers.Dense
    model = library.Sequential([library.Input((3,)), dense(2, activation="tanh"), dense(1, activation="sigmoid")])
    model.compile(getattr(library.optimizers, optimizer)(**arguments), "mse", metrics=["mae"])
    return model


def models(library):
    """{name: model}, all that this library can make, trained for an epoch where they are compiled."""
    library.utils.set_random_seed(1)
    found = {"article": article(library), "layers": every_layer(library)}
    for name, (optimizer, arguments) in OPTIMIZERS.items():
        if hasattr(library.optimizers, optimizer):
            found[name] = small(library, optimizer, arguments)
    for model in found.values():
        x, y = data(model.input_shape[-1])
        if getattr(model, "optimizer", None) is not None:  # Keras has none before `compile`
            model.fit(x, y, batch_size=8, verbose=0)
    return found


def outcome(model):
    """What the tests compare: predictions, and the losses of two more epochs (which train the model on)."""
    x, y = data(model.input_shape[-1])
    found = {"predictions": np.asarray(model.predict(x, verbose=0))}
    if getattr(model, "optimizer", None) is not None:  # Keras has none before `compile`
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        found |= {key: np.array(values) for key, values in history.items()}
    return found


def make(library, folder):
    folder.mkdir(parents=True)
    expected = {}
    for name, model in models(library).items():
        model.save(folder / f"{name}.keras")
        if name == "article":
            model.save_weights(folder / f"{name}.weights.h5")
        expected |= {f"{name}/{key}": value for key, value in outcome(model).items()}
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    if sys.argv[1:] == ["keras"]:
        os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        import keras as library
    else:
        sys.path.insert(0, str(Path(__file__).parents[2]))
        import minigrad as library
    make(library, HERE / f"{library.__name__}-{library.__version__}")
