"""Embedding beside the real Keras on TensorFlow: weights after training, configs, files.

Where a batch uses a row twice, TensorFlow's Adam squares each gradient alone, and so does its clipping: only plain SGD
is compared there. (Keras on JAX adds them up first, as minigrad does.)
"""

import numpy as np
import pytest

import minigrad

pytestmark = pytest.mark.peers

RANDOM = np.random.default_rng(3)
ONCE = np.concatenate([RANDOM.permutation(40)[:32].reshape(8, 4) for _ in range(6)])  # in a batch
TWICE = RANDOM.integers(0, 9, (48, 4))
X, Y = ONCE, RANDOM.normal(size=(48, 1)).astype("float32")
QUIET = {"verbose": 0, "shuffle": False, "batch_size": 8}


def made(library, dtype="int32", **arguments):
    model = library.Sequential([
        library.Input((4,), dtype=dtype), library.layers.Embedding(40, 3, name="table", **arguments),
        library.layers.Flatten(), library.layers.Dense(1, name="head"),
    ])  # fmt: skip
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(0, 0.3, w.shape).astype("float32") for w in model.get_weights()])
    return model


@pytest.mark.parametrize("x, dtype, name, settings, arguments", [
    (TWICE, "int32", "SGD", {"learning_rate": 0.1}, {}),
    (TWICE, "float32", "SGD", {"learning_rate": 0.1, "momentum": 0.9}, {}),
    (ONCE, "int32", "SGD", {"learning_rate": 0.1, "clipnorm": 0.1}, {}),
    (ONCE, "int32", "Adam", {"learning_rate": 0.02}, {}),
    (ONCE, "float32", "Adam", {"learning_rate": 0.02}, {}),
    (TWICE, "int32", "Adam", {}, {"embeddings_regularizer": "l2", "embeddings_constraint": "unit_norm"}),
    (ONCE, "int32", "RMSprop", {"learning_rate": 0.02}, {}),
])  # fmt: skip
def test_a_table_learns_as_in_keras(x, dtype, name, settings, arguments, keras):
    found = []
    for library in (minigrad, keras):
        model = made(library, dtype, **arguments)
        model.compile(getattr(library.optimizers, name)(**settings), "mse")
        history = model.fit(x, Y, epochs=4, **QUIET).history["loss"]
        found.append([np.array(history), *map(np.asarray, model.get_weights()), model.predict(x, verbose=0)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, 2e-4, 2e-4)


def test_configs_and_files(tmp_path, keras):
    for library, other in ((minigrad, keras), (keras, minigrad)):
        model = made(library, embeddings_initializer="he_normal", embeddings_constraint="non_neg")
        model.compile("adam", "mse")
        model.fit(X, Y, **QUIET)
        model.save(tmp_path / "model.keras")
        again = other.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), 1e-5, 1e-6)
        ours, theirs = (dict(one.get_layer("table").get_config()) for one in (again, model))
        optional = {"dtype", "activity_regularizer"}
        assert set(ours) - optional == set(theirs) - optional
        for key in ("input_dim", "output_dim", "mask_zero", "name", "trainable"):
            assert ours[key] == theirs[key]
        histories = [one.fit(X, Y, epochs=2, **QUIET).history["loss"] for one in (model, again)]
        np.testing.assert_allclose(*histories, 1e-4)
