"""Embedding beside the real Keras on TensorFlow: weights after training, configs, files.

There the gradient of a table that is used by lookups only keeps its parts: a row that a batch uses twice has two. Rules
and clipping take the square of each part, and add them up afterwards. If anything else has a part in the gradient (a
penalty, another use of the table, accumulation, a `global_clipnorm`, even one that changes nothing), the parts are added
up first. Eager steps, graphs and XLA do the same.
"""

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]

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
    (TWICE, "int32", "Adam", {"learning_rate": 0.02, "global_clipnorm": 1e6}, {}),
    (TWICE, "int32", "Adam", {"learning_rate": 0.02, "gradient_accumulation_steps": 2}, {}),
    (TWICE, "int32", "Adamax", {"learning_rate": 0.02, "global_clipnorm": 1e6}, {}),
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


# For each optimizer the settings that have to do with it. SUMMED: those with which the parts are added up first.
COMMON = {
    "alone": {}, "clipnorm": {"clipnorm": 0.5}, "clipnorm, never reached": {"clipnorm": 1e6},
    "clipvalue": {"clipvalue": 0.3}, "clipvalue, never reached": {"clipvalue": 1e6},
    "global_clipnorm": {"global_clipnorm": 0.5}, "global_clipnorm, never reached": {"global_clipnorm": 1e6}, "decay": {"weight_decay": 0.1},
    "averages": {"use_ema": True, "ema_overwrite_frequency": 2}, "accumulation": {"gradient_accumulation_steps": 2},
}  # fmt: skip
OWN = {
    "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], "Adam": [{"amsgrad": True}], "AdamW": [], "Nadam": [],
    "Adamax": [], "RMSprop": [{"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True}], "Adagrad": [],
    "Adadelta": [], "Adafactor": [], "Lion": [], "Ftrl": [{f"l{i}_regularization_strength": 0.01 for i in (1, 2)}, {"beta": 0.1},
    {"learning_rate_power": -0.4}, {"l2_shrinkage_regularization_strength": 0.1}],
}  # fmt: skip
IN_FULL = "SGD", "Adam", "Adamax", "Adafactor", "Lion"  # the other rules take the same squares as Adam does
CASES = [(name, what, settings) for name, own in OWN.items() for what, settings in [*COMMON.items(), *zip("0123", own)]
         if name in IN_FULL or what in ("alone", "clipvalue", "accumulation", *"0123")]  # fmt: skip
SUMMED = {"global_clipnorm, never reached", "accumulation"}
PARTS = [(RANDOM.normal(size=(5, 3)).astype("float32"), np.array(rows)) for rows in ([1, 1, 2, 5, 1], [0, 2, 2, 3, 3], [4] * 5)]
TABLE = RANDOM.normal(size=(6, 3)).astype("float32")


@pytest.mark.parametrize("name, what, settings", CASES, ids=[f"{name} {what}" for name, what, _ in CASES])
def test_the_rows_that_a_batch_uses_twice(name, what, settings, keras):
    import tensorflow as tf

    def theirs(given):
        variable, optimizer = keras.Variable(TABLE), getattr(keras.optimizers, name)(learning_rate=0.1, **settings)
        for values, rows in PARTS:
            optimizer.apply([given(tf.IndexedSlices(values, rows, tf.constant(TABLE.shape)))], [variable])
        return np.array(variable)

    layer = minigrad.layers.Embedding(6, 3, weights=[TABLE])
    optimizer = getattr(minigrad.optimizers, name)(learning_rate=0.1, **settings)
    for values, rows in PARTS:
        with minigrad.GradientTape() as tape:
            loss = minigrad.ops.sum(layer(rows) * values)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    kept, summed = theirs(lambda g: g), theirs(tf.convert_to_tensor)
    np.testing.assert_allclose(layer.get_weights()[0], kept, 1e-5, 1e-6)
    has_squares = name not in ("SGD", "Lion") and what not in SUMMED
    is_clipped = what == "clipvalue" or (name != "Lion" and "clipnorm" in what and "never" not in what)
    assert (abs(kept - summed).max() > 1e-5) == (has_squares or is_clipped)


def twice(lib, x):
    """One table for two inputs: two lookups."""
    table, first, second = lib.layers.Embedding(40, 3), lib.Input((2,), dtype="int32"), lib.Input((2,), dtype="int32")
    found = lib.layers.concatenate([lib.layers.Flatten()(table(one)) for one in (first, second)])
    return lib.Model([first, second], lib.layers.Dense(1)(found)), [x[:, :2], x[:, 2:]]


def tied(lib, x):
    """A table whose rows are also compared with what comes out: a gradient that is a sum."""

    class Tied(lib.Model):
        def __init__(self):
            super().__init__()
            self.table, self.out = lib.layers.Embedding(40, 3), lib.layers.Dense(1)

        def call(self, inputs):
            y = lib.ops.mean(self.table(inputs), axis=1)
            return self.out(lib.ops.matmul(y, lib.ops.transpose(self.table.embeddings)))

    model = Tied()
    model.build((None, 4))
    model(x[:1])
    return model, x


def held(lib, x):
    """A constraint changes nothing in the gradient; a layer with a penalty of its own does not touch the table."""
    layers = lib.layers
    return lib.Sequential([
        lib.Input((4,), dtype="int32"), layers.Embedding(40, 3, embeddings_constraint="non_neg", mask_zero=True),
        layers.GlobalAveragePooling1D(), layers.Dense(1, kernel_regularizer="l2"),
    ]), x  # fmt: skip


def own_step(lib, x):
    """A step of one's own."""

    class Own(lib.Model):
        def train_step(self, data):
            import tensorflow as tf

            x, y = data
            with (minigrad if lib is minigrad else tf).GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
            return {"loss": loss}

    inputs = lib.Input((4,), dtype="int32")
    return Own(inputs, lib.layers.Dense(1)(lib.layers.Flatten()(lib.layers.Embedding(40, 3)(inputs)))), x


def words(lib, x):
    """A text model."""
    layers = lib.layers
    return lib.Sequential([
        lib.Input((4,), dtype="int32"), layers.Embedding(40, 8, mask_zero=True), layers.LSTM(6),
        layers.Dense(1),
    ]), x  # fmt: skip


@pytest.mark.parametrize("make", [twice, tied, held, own_step, words])
@pytest.mark.parametrize("optimizer", ["adam", "adamax"])
def test_models_with_tables(make, optimizer, keras):
    found = []
    for lib in (minigrad, keras):
        model, x = make(lib, TWICE)
        rng = np.random.default_rng(5)
        model.set_weights([rng.normal(0, 0.3, w.shape).astype("float32") for w in model.get_weights()])
        model.compile(lib.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.02}}), "mse")
        history = model.fit(x, Y, epochs=6, **QUIET).history["loss"]
        found.append([np.array(history) if make is not own_step else 0, *map(np.asarray, model.get_weights())])
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
