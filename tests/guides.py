"""What the guides of keras.io are about, section by section, for any implementation of the Keras API.

Each function gets `keras` and a folder, and returns a dict of numbers that must be the same wherever it runs: nothing
is drawn, and nothing shuffled. Written anew from the sections' subjects; what needs images, text or a download is left
out. Loops and steps of one's own are in own_steps.py.
"""

import json

import numpy as np
from own_steps import X, Y, network, seeded

LABELS = (X[:, :1] > 0).astype("int32") + (X[:, 1:2] > 0).astype("int32")
QUIET = {"verbose": 0, "batch_size": 32}


def first(value):
    return float(np.asarray(value).ravel()[0])


# ------------------------------------------------------------------------------------------- the functional API


def functional_two_models_of_one_graph(keras, folder):
    """An autoencoder and its encoder share layers; models are called like layers; an ensemble averages them."""
    x = keras.Input((8,), name="img")
    code = keras.layers.Dense(3, activation="tanh", name="code")(x)
    encoder = keras.Model(x, code, name="encoder")
    decoder_input = keras.Input((3,), name="encoded")
    decoder = keras.Model(decoder_input, keras.layers.Dense(8)(decoder_input), name="decoder")
    both = seeded(keras.Model(x, decoder(encoder(x)), name="autoencoder"))
    both.compile("sgd", "mse")
    both.fit(X, X, epochs=2, shuffle=False, **QUIET)
    other = network(keras, (8, 4, 8), seed=3)
    ensemble = keras.Model(x, keras.layers.average([both(x), other(x)]))
    assert [layer.name for layer in both.layers] == ["img", "encoder", "decoder"]
    return {
        "loss": both.evaluate(X, X, **QUIET),
        "code": first(encoder.predict(X, **QUIET)),
        "ensemble": first(ensemble.predict(X, **QUIET)),
    }


def functional_several_inputs_and_outputs(keras, folder):
    """Tickets: two inputs, a priority and a department, losses and weights by name or in a list."""
    title, tags = keras.Input((8,), name="title"), keras.Input((4,), name="tags")
    h = keras.layers.concatenate([keras.layers.Dense(6, activation="relu")(title), tags])
    priority = keras.layers.Dense(1, name="priority")(h)
    department = keras.layers.Dense(3, name="department")(h)
    model = seeded(keras.Model(inputs=[title, tags], outputs={"priority": priority, "department": department}))
    losses = {
        "priority": keras.losses.BinaryCrossentropy(from_logits=True),
        "department": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    model.compile(
        keras.optimizers.RMSprop(0.01), loss=losses, loss_weights={"priority": 1.0, "department": 0.2},
        metrics={"department": ["accuracy"]},
    )
    inputs, targets = {"title": X, "tags": X[:, 4:]}, {"priority": Y, "department": LABELS}
    history = model.fit(inputs, targets, epochs=2, shuffle=False, **QUIET).history
    found = model.evaluate([X, X[:, 4:]], targets, return_dict=True, **QUIET)
    return {**{k: v[-1] for k, v in history.items()}, **{f"evaluate {k}": v for k, v in found.items()}}


def functional_residual_and_shared(keras, folder):
    """A toy residual network, a layer that is shared by two inputs, and the nodes of a graph reused for features."""
    x = keras.Input((8,))
    one = keras.layers.Dense(8, activation="relu", name="block_1")(x)
    two = keras.layers.add([keras.layers.Dense(8, activation="relu", name="block_2")(one), one])
    model = seeded(keras.Model(x, keras.layers.Dense(1)(two)))
    features = keras.Model(model.inputs, [layer.output for layer in model.layers[1:]])(X[:5])
    shared = keras.layers.Dense(2, name="shared")
    a, b = keras.Input((8,)), keras.Input((8,))
    pair = seeded(keras.Model([a, b], keras.layers.Dot(axes=1)([shared(a), shared(b)])), 2)
    assert len(pair.weights) == 2 and len(features) == 4
    return {"features": first(features[2]), "pair": first(pair.predict([X, X[::-1].copy()], **QUIET))}


def functional_mixed_with_subclasses(keras, folder):
    """A layer of one's own in a graph, made again from its config; a subclassed model that holds a functional one."""

    class CustomDense(keras.layers.Layer):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", trainable=True)
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.w) + self.b

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    x = keras.Input((8,))
    model = keras.Model(x, CustomDense(3)(x))
    again = keras.Model.from_config(model.get_config(), custom_objects={"CustomDense": CustomDense})

    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.head = again, CustomDense(1)

        def call(self, inputs, training=False):
            return self.head(self.inner(inputs))

    outer = Outer()
    outer.compile("sgd", "mse")
    outer.fit(X, Y, epochs=1, shuffle=False, **QUIET)
    return {"outer": first(outer.predict(X, **QUIET)), "weights": len(outer.weights)}


# ------------------------------------------------------------------------------------- layers by subclassing


def subclassing_layers(keras, folder):
    """Weights that are not trained, layers made of layers, add_loss, and the training argument."""

    class ComputeSum(keras.layers.Layer):
        def __init__(self, input_dim):
            super().__init__()
            self.total = self.add_weight(initializer="zeros", shape=(input_dim,), trainable=False)

        def call(self, inputs):
            self.total.assign_add(keras.ops.sum(inputs, axis=0))
            return self.total

    summing = ComputeSum(2)
    summing(np.ones((2, 2), "float32"))
    twice = np.asarray(summing(np.ones((2, 2), "float32")))
    assert (len(summing.weights), len(summing.trainable_weights)) == (1, 0) and twice.tolist() == [4.0, 4.0]

    class ActivityRegularization(keras.layers.Layer):
        def __init__(self, rate=1e-2):
            super().__init__()
            self.rate = rate

        def call(self, inputs):
            self.add_loss(self.rate * keras.ops.mean(inputs))
            return inputs

    class Noise(keras.layers.Layer):
        def call(self, inputs, training=None):
            return inputs + 1.0 if training else inputs

    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.activity, self.noise = ActivityRegularization(), Noise()
            self.dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(1e-3))

        def call(self, inputs, training=None):
            return self.dense(self.noise(self.activity(inputs), training=training))

    layer = Outer()
    assert not layer.losses
    layer(X)
    assert len(layer.losses) == 2
    layer(X)
    assert len(layer.losses) == 2  # those of the call before are gone
    seeded(layer)
    x = keras.Input((8,))
    model = keras.Model(x, layer(x))
    model.compile("sgd", "mse")
    logs = model.fit(X, Y, epochs=2, shuffle=False, **QUIET).history["loss"]
    layer(X)
    return {"twice": twice[0], "losses": sum(first(one) for one in layer.losses), "loss": logs[-1],
            "evaluate": model.evaluate(X, Y, **QUIET)}


def subclassing_get_config(keras, folder):
    """A config makes an equal layer."""

    class Linear(keras.layers.Layer):
        def __init__(self, units=32, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones")

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.w)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    layer = Linear(5, name="mine", trainable=False)
    config = layer.get_config()
    again = Linear.from_config(config)
    assert (again.units, again.name, again.trainable) == (5, "mine", False)
    return {"sum": first(again(X)), "config": len(config)}


# ------------------------------------------------------------------------ training with the built-in methods


def built_in_losses_and_metrics(keras, folder):
    """A loss function, a Loss and a Metric of one's own."""

    def squared(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    class Regularized(keras.losses.Loss):
        def __init__(self, factor=0.1, name="regularized_mse"):
            super().__init__(name=name)
            self.factor = factor

        def call(self, y_true, y_pred):
            mse = keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)
            return mse + keras.ops.mean(keras.ops.square(0.5 - y_pred), axis=-1) * self.factor

    class TruePositives(keras.metrics.Metric):
        def __init__(self, name="positives", **kwargs):
            super().__init__(name=name, **kwargs)
            self.hits = self.add_variable(shape=(), name="hits", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            values = keras.ops.cast(keras.ops.logical_and(y_true > 0.5, y_pred > 0.5), "float32")
            if sample_weight is not None:
                values = values * keras.ops.reshape(keras.ops.cast(sample_weight, "float32"), (-1, 1))
            self.hits.assign_add(keras.ops.sum(values))

        def result(self):
            return self.hits + 0.0  # the variable itself would be that of the validation by the time Keras reads it

        def reset_state(self):
            self.hits.assign(0)

    found = {}
    for name, loss in (("function", squared), ("class", Regularized())):
        model = network(keras, (8, 8, 1), "sigmoid")
        model.compile(keras.optimizers.Adam(0.01), loss, metrics=[TruePositives()])
        history = model.fit(X, Y, epochs=2, shuffle=False, validation_split=0.25, **QUIET).history
        found |= {f"{name} {key}": values[-1] for key, values in history.items()}
    return found


def built_in_weights(keras, folder):
    """Class weights, sample weights, and both kinds of metrics."""
    found = {}
    weights = np.where(LABELS[:, 0] == 2, 2.0, 1.0).astype("float32")
    for name, more in (("class", {"class_weight": {0: 1.0, 1: 1.0, 2: 2.0}}), ("sample", {"sample_weight": weights})):
        model = network(keras, (8, 8, 3), "softmax")
        model.compile(
            "rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"]
        )
        history = model.fit(X, LABELS, epochs=2, shuffle=False, **more, **QUIET).history
        found |= {f"{name} {key}": values[-1] for key, values in history.items()}
    return found


def built_in_datasets_and_schedules(keras, folder):
    """A PyDataset with validation data, steps per epoch, and a learning rate that decays."""

    class Batches(keras.utils.PyDataset):
        def __init__(self, x, y, size):
            super().__init__()
            self.x, self.y, self.size = x, y, size

        def __len__(self):
            return -(-len(self.x) // self.size)

        def __getitem__(self, i):
            rows = slice(i * self.size, (i + 1) * self.size)
            return self.x[rows], self.y[rows]

    rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5, staircase=True)
    model = network(keras, (8, 8, 1), "sigmoid")
    model.compile(keras.optimizers.SGD(rate), "binary_crossentropy")
    history = model.fit(
        Batches(X, Y, 20), epochs=3, shuffle=False, validation_data=Batches(X[:30], Y[:30], 15), validation_steps=1,
        verbose=0,
    ).history
    return {key: values[-1] for key, values in history.items()} | {"evaluate": model.evaluate(Batches(X, Y, 7), verbose=0)}


def built_in_checkpoints(keras, folder):
    """Early stopping, checkpoints with formats in their names, going on from the newest, the plateau."""
    model = network(keras, (8, 8, 1), "sigmoid")
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy", metrics=["mae"])
    history = model.fit(
        X, Y, epochs=12, shuffle=False, validation_data=(X[:32], Y[:32]), **QUIET,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", min_delta=1e-2, patience=2),
            keras.callbacks.ModelCheckpoint(str(folder / "m-{epoch:02d}.keras"), save_freq="epoch"),
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1),
        ],
    ).history
    newest = max(folder.iterdir(), key=lambda path: path.name)
    again = keras.models.load_model(newest)
    return {
        "epochs": len(history["loss"]), "rate": history["learning_rate"][-1], "loss": history["val_loss"][-1],
        "again": again.evaluate(X[:32], Y[:32], **QUIET)[0], "number": int(newest.stem[2:]),
    }


# ------------------------------------------------------------------------------------- callbacks of one's own


def callbacks_of_ones_own(keras, folder):
    """When hooks are called and with what; stopping at the lowest loss; setting the learning rate."""
    told = []

    class Watching(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            told.append("begin")

        def on_epoch_end(self, epoch, logs=None):
            told.append(f"{epoch} {sorted(logs)}")

        def on_train_batch_end(self, batch, logs=None):
            told.append(f"{batch} {sorted(logs)}")

        def on_test_end(self, logs=None):
            told.append(f"test {sorted(logs)}")

        def on_predict_batch_end(self, batch, logs=None):
            told.append(f"predict {batch} {sorted(logs)} {logs['outputs'].shape}")

    class AtMinLoss(keras.callbacks.Callback):
        def __init__(self, patience=0):
            super().__init__()
            self.patience, self.best_weights = patience, None

        def on_train_begin(self, logs=None):
            self.wait, self.stopped_epoch, self.best = 0, 0, np.inf

        def on_epoch_end(self, epoch, logs=None):
            if logs["loss"] < self.best:
                self.best, self.wait, self.best_weights = logs["loss"], 0, self.model.get_weights()
                return
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch, self.model.stop_training = epoch, True
                self.model.set_weights(self.best_weights)

    class Rates(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            rate = float(np.asarray(self.model.optimizer.learning_rate))
            self.model.optimizer.learning_rate = rate * (2.0 if epoch % 2 else 1.0)

    model = network(keras, (8, 8, 1), "sigmoid")
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["mae"])
    stops = AtMinLoss()
    model.fit(X, Y, epochs=20, shuffle=False, callbacks=[Watching(), stops, Rates()], **QUIET)
    model.evaluate(X, Y, callbacks=[Watching()], **QUIET)
    model.predict(X, callbacks=[Watching()], **QUIET)
    return {"best": stops.best, "epoch": stops.stopped_epoch, "told": told}


# ------------------------------------------------------------------------------------------------------- files


def saving_of_ones_own(keras, folder):
    """Registered classes, configs with objects inside, compile configs, and what a layer stores itself."""
    register = keras.saving.register_keras_serializable

    @register("guide")
    class Scaled(keras.layers.Layer):
        def __init__(self, sublayer, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.sublayer, self.factor = sublayer, factor

        def call(self, x):
            return self.sublayer(x) * self.factor

        def get_config(self):
            return {
                **super().get_config(), "factor": self.factor,
                "sublayer": keras.saving.serialize_keras_object(self.sublayer),
            }

        @classmethod
        def from_config(cls, config):
            return cls(keras.saving.deserialize_keras_object(config.pop("sublayer")), **config)

    @register("guide")
    def squared(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    @register("guide")
    class Keeping(keras.layers.Layer):
        def build(self, input_shape):
            self.kept = self.add_weight(shape=(2,), initializer="ones", name="kept")

        def call(self, x):
            return x * self.kept[0]

        def save_own_variables(self, store):
            super().save_own_variables(store)
            store["more"] = np.array([7.0])

        def load_own_variables(self, store):
            self.kept.assign(store["0"])
            self.found = np.asarray(store["more"])[0]

    x = keras.Input((8,))
    model = keras.Model(x, Keeping()(Scaled(keras.layers.Dense(2, kernel_initializer="ones"))(x)))
    model.compile(keras.optimizers.Adam(0.01), squared, metrics=["mae"])
    model.fit(X, np.repeat(Y, 2, 1), epochs=1, shuffle=False, **QUIET)
    model.save(folder / "m.keras")
    again = keras.models.load_model(folder / "m.keras")
    assert again.layers[-1].found == 7.0 and again.layers[1].factor == 2.0
    again.fit(X, np.repeat(Y, 2, 1), epochs=1, shuffle=False, **QUIET)
    model.fit(X, np.repeat(Y, 2, 1), epochs=1, shuffle=False, **QUIET)
    np.testing.assert_allclose(again.predict(X, **QUIET), model.predict(X, **QUIET), rtol=1e-5)
    return {"loss": again.evaluate(X, np.repeat(Y, 2, 1), **QUIET)[0]}


def saving_architectures_and_weights(keras, folder):
    """JSON, clones, weights between models of one architecture, and into a part of another."""
    model = network(keras, (8, 6, 4, 1), name="base")
    copy = keras.models.model_from_json(model.to_json())
    copy.set_weights(model.get_weights())
    clone = keras.models.clone_model(model)
    model.save_weights(folder / "w.weights.h5")
    clone.load_weights(folder / "w.weights.h5")
    part = keras.Model(model.inputs, model.layers[-2].output)
    x = keras.Input((8,))
    transfer = keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(part(x)))
    assert json.loads(model.to_json())["config"]["name"] == "base"
    for one in (copy, clone):
        np.testing.assert_array_equal(np.asarray(one(X)), np.asarray(model(X)))
    return {"transfer": first(transfer.predict(X, **QUIET))}


SECTIONS = {name: f for name, f in list(globals().items()) if "_" in name and getattr(f, "__module__", "") == __name__}
