"""Makes the files in `files/<writer>-<version>/` that older Keras, or one on another back end, has written.

    python tests/golden/make_legacy.py keras           Keras 3 of any version, on the back end of KERAS_BACKEND
    python tests/golden/make_legacy.py tf_keras        Keras 2

They were made with Keras 3.0.5 and 3.3.3 (on jax 0.4.30), 3.15.1 on torch, and tf_keras 2.15.1 and 2.21.0, each in an
environment of its own (tf_keras: `pip install --no-deps tf_keras` beside tensorflow-cpu); of tf_keras 2.21.0 those
with Adam are kept. What the models predict, and the losses of two more epochs, are those of the models that were saved:
see make_files.py. Keras 3.0 counts losses in another way: its are left out.
"""

import os
import sys
import warnings

import numpy as np
from make_files import HERE, data, outcome


def network(library, optimizer, metrics=("accuracy",)):
    """Layers whose configs have changed over the years, one of them in a model inside the model."""
    layers = library.layers
    slope = {"alpha": 0.2} if library.__name__ == "tf_keras" else {"negative_slope": 0.2}
    inner = library.Sequential([layers.InputLayer((3,)), layers.Dense(3, activation="tanh"), layers.BatchNormalization(),
                                layers.Dropout(0.0)], name="inner")
    model = library.Sequential([
        layers.Dense(4, use_bias=False, kernel_regularizer="l2", kernel_initializer="he_normal", input_shape=(5,)),
        layers.BatchNormalization(momentum=0.8), layers.ReLU(), layers.Dense(3), layers.LeakyReLU(**slope), inner,
        layers.LayerNormalization(epsilon=0.01), layers.Dense(1, activation="sigmoid", kernel_constraint="max_norm"),
    ])  # fmt: skip
    model.compile(optimizer, library.losses.BinaryCrossentropy(label_smoothing=0.1), metrics=list(metrics))
    return model


def optimizers(library):
    """{name: optimizer}: a file is made with each."""
    known = library.optimizers
    found = {"adam": known.Adam(0.02)}
    if library.__name__ == "tf_keras":
        found["rmsprop"] = known.RMSprop(0.01, momentum=0.5, centered=True)
        found["old_adam"] = known.legacy.Adam(0.02, decay=0.01, amsgrad=True)  # what TensorFlow before 2.11 wrote
        found["old_sgd"] = known.legacy.SGD(0.1, momentum=0.9, nesterov=True)
    return found


def make(library, folder):
    folder.mkdir(parents=True)
    expected, x, y = {}, *data(5)
    is_2, on_torch = library.__name__ == "tf_keras", os.environ.get("KERAS_BACKEND") == "torch"
    for name, optimizer in optimizers(library).items():
        library.utils.set_random_seed(1)
        model = network(library, optimizer, ["accuracy", library.metrics.AUC(name="auc")])
        model.fit(x, y, batch_size=8, verbose=0)
        names = [f"{name}.keras" if on_torch else f"{name}.h5"]
        if is_2 and name == "adam":
            names.append("zipped.keras")
            model.save_weights(folder / "adam_weights.h5")
        for one in names:
            model.save(folder / one)
        result = {key: value for key, value in outcome(model).items()
                  if key == "predictions" or not library.__version__.startswith("3.0")}
        expected |= {f"{one.split('.')[0]}/{key}": value for one in names for key, value in result.items()}
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.simplefilter("ignore")
    library = __import__(sys.argv[1])
    backend = os.environ.get("KERAS_BACKEND", "")
    make(library, HERE / f"{library.__name__}-{library.__version__}{'-torch' if backend == 'torch' else ''}")
