"""Files between minigrad and the real Keras: each opens what the other wrote, and training goes on alike."""


import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]


def data(shape=(6,), rows=70, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, *shape)).astype("float32")
    y = (x.reshape(rows, -1)[:, :1] > 0).astype("float32")
    return x, y


def both_ways(keras, tmp_path):
    """(name, saves, loads) for files from minigrad to Keras and back."""
    path = str(tmp_path / "model.keras")
    return [("minigrad to Keras", minigrad, keras, path), ("Keras to minigrad", keras, minigrad, path)]


LAYERS = {  # name: arguments, shape of a row
    "Activation": ({"activation": "gelu"}, (6,)),
    "ActivityRegularization": ({"l2": 0.01}, (6,)),
    "AlphaDropout": ({"rate": 0.2}, (6,)),
    "BatchNormalization": ({"momentum": 0.8, "gamma_regularizer": "l2", "beta_constraint": "non_neg"}, (6,)),
    "Dense": ({"units": 4, "activation": "selu", "kernel_regularizer": "l1", "bias_constraint": "max_norm",
               "kernel_initializer": "he_normal", "activity_regularizer": "l2"}, (3, 6)),
    "CenterCrop": ({"height": 3, "width": 2}, (4, 5, 2)),
    "Dropout": ({"rate": 0.3, "noise_shape": (None, 1, 6), "seed": 3}, (3, 6)),
    "ELU": ({"alpha": 0.5}, (6,)),
    "EinsumDense": ({"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"}, (3, 6)),
    "Flatten": ({}, (3, 6)),
    "GaussianDropout": ({"rate": 0.3}, (6,)),
    "GaussianNoise": ({"stddev": 0.3}, (6,)),
    "GroupNormalization": ({"groups": 3, "epsilon": 0.01, "beta_initializer": "ones"}, (2, 6)),
    "GRU": ({"units": 3, "reset_after": False, "dropout": 0.1, "return_sequences": True}, (4, 6)),
    "Identity": ({}, (6,)),
    "LSTM": ({"units": 3, "recurrent_regularizer": "l2", "unit_forget_bias": False, "go_backwards": True}, (4, 6)),
    "LayerNormalization": ({"epsilon": 0.01}, (3, 6)),
    "LeakyReLU": ({"negative_slope": 0.2}, (6,)),
    "Masking": ({"mask_value": 0.5}, (3, 6)),
    "Normalization": ({"mean": 0.5, "variance": 2.0}, (6,)),
    "Permute": ({"dims": (2, 1)}, (3, 6)),
    "PReLU": ({"alpha_initializer": "ones"}, (6,)),
    "RMSNormalization": ({"epsilon": 0.01}, (6,)),
    "RandomBrightness": ({"factor": 0.2, "value_range": (1, 0), "seed": 3}, (4, 5, 2)),
    "RandomContrast": ({"factor": 0.2, "value_range": (0, 1)}, (4, 5, 2)),
    "RandomCrop": ({"height": 4, "width": 5, "seed": 3}, (4, 5, 2)),
    "RandomFlip": ({"mode": "vertical"}, (4, 5, 2)),
    "RandomRotation": ({"factor": (-0.1, 0.3), "seed": 3}, (4, 5, 2)),
    "RandomTranslation": ({"height_factor": 0.1, "width_factor": (-0.2, 0.3), "fill_value": 2.0}, (4, 5, 2)),
    "RandomZoom": ({"height_factor": 0.1, "fill_mode": "wrap", "interpolation": "nearest"}, (4, 5, 2)),
    "ReLU": ({"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.3}, (6,)),
    "RepeatVector": ({"n": 2}, (6,)),
    "Rescaling": ({"scale": 0.1, "offset": 1.0}, (6,)),
    "Resizing": ({"height": 3, "width": 7, "interpolation": "bicubic", "crop_to_aspect_ratio": True}, (4, 5, 2)),
    "Reshape": ({"target_shape": (3, 2)}, (6,)),
    "SimpleRNN": ({"units": 3, "activation": "relu", "recurrent_dropout": 0.2, "bias_initializer": "ones"}, (4, 6)),
    "Softmax": ({"axis": -1}, (6,)),
    "UnitNormalization": ({}, (6,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, keras, tmp_path):
    """As a model of this layer alone, uncompiled: equal weights, equal predictions, an equal config in the end."""
    if not hasattr(minigrad.layers, name):
        pytest.skip(f"minigrad has no {name}")
    arguments, shape = LAYERS[name]
    x = data(shape)[0]
    for _, here, there, path in both_ways(keras, tmp_path):
        model = here.Sequential([here.Input(shape), getattr(here.layers, name)(**arguments)])
        for i, w in enumerate(model.weights):  # no two alike
            w.assign(np.linspace(0.2 + i, 1.0 + i, w.numpy().size).reshape(w.shape))
        model.save(path)
        again = there.models.load_model(path)
        assert len(again.get_weights()) == len(model.get_weights())
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6, atol=1e-6)
        again.save(path)
        back = here.models.load_model(path).layers[0].get_config()
        assert plain(back) == plain(model.layers[0].get_config())


def plain(config):
    """A config as JSON has it, in float32 (as Keras keeps some numbers), without what is only an address."""
    if isinstance(config, float):
        return float(np.float32(config))
    if isinstance(config, dict):
        return {k: plain(v) for k, v in config.items() if k not in ("shared_object_id", "build_config")}
    return [plain(c) for c in config] if isinstance(config, (list, tuple)) else config


# Layers of several inputs are filed in test_functional and test_merging, indices in test_embedding, layers of images,
# texts, tables, attention and recurrent ones in files of their own; Lambda below.
ELSEWHERE = {
    "SpectralNormalization", "TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "CategoryEncoding",
    "Discretization", "SimpleRNN", "LSTM", "GRU", "SimpleRNNCell", "LSTMCell", "GRUCell", "RNN", "StackedRNNCells",
    "Bidirectional", "TimeDistributed", "MultiHeadAttention", "Attention", "AdditiveAttention", "GroupedQueryAttention",
    "GroupQueryAttention", "HashedCrossing", "FeatureSpace", "Feature", "Cross", "TFDIdentity", "TFDConcat",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Embedding", "Lambda", "Wrapper",
}


def test_every_layer_is_in_the_table():
    kinds = {m for m in minigrad.layers.base.registry.modules if not hasattr(m, "rank")}  # convolution and pooling
    kinds = {m.__name__ for m in kinds} - {"InputLayer", "Sequential", "Model", "SpatialDropout1D", "SpatialDropout2D"}
    assert kinds <= set(LAYERS) | ELSEWHERE


def scaled(x, by=2.0):
    return x * by


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_lambda_with_a_name(keras, tmp_path, ending):
    x, _ = data()
    for _, saves, loads, path in both_ways(keras, tmp_path):
        path = path.replace(".keras", ending)
        layer = saves.layers.Lambda(scaled, output_shape=(6,), arguments={"by": 3.0})
        model = saves.Sequential([saves.Input((6,)), layer, saves.layers.Dense(2)])
        model.save(path)
        found = loads.models.load_model(path, custom_objects={"scaled": scaled})
        np.testing.assert_allclose(found.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def network(library, optimizer, **compile_arguments):
    layers = library.layers
    model = library.Sequential([
        library.Input((6,)),
        layers.Dense(5, use_bias=False, kernel_regularizer=library.regularizers.L2(0.01)),
        layers.BatchNormalization(momentum=0.8),
        layers.Activation("relu"),
        library.Sequential([library.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dropout(0.0)]),
        layers.Dense(1, activation="sigmoid", kernel_constraint="max_norm"),
    ])
    return compiled(model, library, optimizer, **compile_arguments)


def compiled(model, library, optimizer, **arguments):
    model.compile(optimizer(library.optimizers), **{"loss": "binary_crossentropy", "metrics": ["accuracy"], **arguments})
    return model


OPTIMIZERS = {
    "SGD": lambda o: o.SGD(0.1),
    "SGD momentum": lambda o: o.SGD(0.1, momentum=0.9),
    "SGD nesterov": lambda o: o.SGD(0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    "Adam": lambda o: o.Adam(0.02),
    "Adam amsgrad": lambda o: o.Adam(0.02, amsgrad=True, clipnorm=0.5),
    "RMSprop": lambda o: o.RMSprop(0.01),
    "RMSprop momentum": lambda o: o.RMSprop(0.01, momentum=0.8),
    "RMSprop centered": lambda o: o.RMSprop(0.01, momentum=0.8, centered=True, global_clipnorm=1.0),
    "EMA": lambda o: o.Adam(0.02, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
    "accumulation": lambda o: o.Adam(0.02, gradient_accumulation_steps=2),
    "AdamW": lambda o: o.AdamW(0.02, weight_decay=0.1),
    "Adagrad": lambda o: o.Adagrad(0.1),
    "Nadam": lambda o: o.Nadam(0.02),
    "Adamax": lambda o: o.Adamax(0.02),
    "Lion": lambda o: o.Lion(0.003),
    "a schedule": lambda o: o.Adam(o.schedules.ExponentialDecay(0.05, 3, 0.8)),
    "a schedule with momentum": lambda o: o.SGD(o.schedules.CosineDecay(0.1, 20, warmup_target=0.2, warmup_steps=4),
                                                momentum=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_alike(name, keras, tmp_path):
    """Trained here, saved, loaded there: the same steps on either side lead to the same weights."""
    make = OPTIMIZERS[name]
    try:
        make(minigrad.optimizers)
    except AttributeError as error:
        pytest.skip(str(error))
    x, y = data()
    options = {"batch_size": 8, "verbose": 0, "shuffle": False}
    for title, here, there, path in both_ways(keras, tmp_path):
        model = network(here, make)
        model.fit(x, y, epochs=1, **options)
        model.save(path)
        again = there.models.load_model(path)
        assert len(again.optimizer.variables) == len(model.optimizer.variables)
        for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=f"{title}: {b.path}")
        np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6, atol=1e-6)
        losses = [m.fit(x, y, epochs=2, **options).history for m in (model, again)]
        assert list(losses[0]) == list(losses[1])
        np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=2e-5)
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5, err_msg=title)


COMPILED = [
    {"loss": "mse", "metrics": ["mae", "mse"], "weighted_metrics": ["accuracy"], "loss_weights": 2.0},
    {"loss": None, "losses": "BinaryCrossentropy", "arguments": {"label_smoothing": 0.1}},
    {"loss": None, "losses": "MeanAbsoluteError", "arguments": {"reduction": "sum"}, "steps_per_execution": 3},
    {"loss": None, "losses": "MeanSquaredError", "arguments": {}, "run_eagerly": True, "metrics": []},
]


@pytest.mark.parametrize("how", COMPILED)
def test_compiled_as_before(how, keras, tmp_path):
    x, y = data()
    for title, here, there, path in both_ways(keras, tmp_path):
        given = dict(how)
        if given["loss"] is None:
            given["loss"] = getattr(here.losses, given.pop("losses"))(**given.pop("arguments"))
            given.setdefault("metrics", [here.metrics.BinaryAccuracy(threshold=0.3), here.metrics.MeanSquaredError()])
        model = network(here, OPTIMIZERS["Adam"], **given)
        model.save(path)
        again = there.models.load_model(path)
        results = [m.evaluate(x, y, sample_weight=np.linspace(0.0, 2.0, len(x)), batch_size=8, verbose=0,
                              return_dict=True) for m in (model, again)]
        assert list(results[0]) == list(results[1]), title
        np.testing.assert_allclose(list(results[0].values()), list(results[1].values()), rtol=2e-5, err_msg=title)


ARGUMENTS = {  # of losses and metrics that need some, or shall have others than the default
    "BinaryCrossentropy": {"label_smoothing": 0.1},
    "BinaryFocalCrossentropy": {"gamma": 1.5},
    "Huber": {"reduction": "sum"},
    "AUC": {"num_thresholds": 20, "curve": "PR"},
    "F1Score": {"threshold": 0.4},
    "FBetaScore": {"beta": 2.0, "threshold": 0.4},
    "BinaryAccuracy": {"threshold": 0.3},
    "MeanIoU": {"num_classes": 2},
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "BinaryIoU": {"target_class_ids": [0, 1]},
    "Precision": {"thresholds": [0.3, 0.6]},
    "Recall": {"class_id": 0},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
NEED_OTHER_DATA = {"Categorical", "Sparse", "Top", "OneHot", "CTC", "Dice", "Circle", "Tversky"}


def kinds(module):
    """The names of the classes that minigrad and Keras have in a module, as far as they fit a binary target."""
    registry = minigrad.losses.registry if module == "losses" else minigrad.metrics.registry
    names = sorted(m.__name__ for m in registry.modules if isinstance(m, type))
    return [n for n in names if not any(word in n for word in NEED_OTHER_DATA) and n not in ("Mean", "Sum", "MeanMetricWrapper", "LossFunctionWrapper")]


def a_line(library, **arguments):
    model = library.Sequential([library.Input((6,)), library.layers.Dense(1, activation="sigmoid")])
    return compiled(model, library, OPTIMIZERS["SGD"], **arguments)


def made(library, module, name):
    return getattr(getattr(library, module), name)(**ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("name", [None, *kinds("losses")])
def test_every_loss_and_metric(name, keras, tmp_path):
    """Each loss in a model of its own; all metrics in one, since each has a key in the logs."""
    x, y = data()
    for title, here, there, path in both_ways(keras, tmp_path):
        model = a_line(here, **(
            {"loss": made(here, "losses", name)} if name else
            {"metrics": [made(here, "metrics", metric) for metric in kinds("metrics")]}
        ))
        model.save(path)
        again = there.models.load_model(path)
        a, b = (m.evaluate(x, y, verbose=0, return_dict=True) for m in (model, again))
        assert list(a) == list(b) and (name or len(a) == 1 + len(kinds("metrics"))), title
        for key in a:
            np.testing.assert_allclose(a[key], b[key], rtol=2e-5, atol=1e-6, err_msg=f"{key}, {title}")


def test_weights_alone(keras, tmp_path):
    path = str(tmp_path / "some.weights.h5")
    x, y = data()
    for here, there in ((minigrad, keras), (keras, minigrad)):
        model, other = (network(library, OPTIMIZERS["Adam"]) for library in (here, there))
        model.fit(x, y, verbose=0)
        model.save_weights(path)
        other.optimizer.build(other.trainable_variables)
        other.load_weights(path)
        for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def blocks(library):
    """A layer of one's own, with layers in attributes, lists and dicts, and variables in mixed order."""

    class Block(library.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.zeta = library.layers.Dense(6)
            self.alphas = [library.layers.Dense(6), library.layers.Dense(6)]
            self._hidden = library.layers.Dense(6, use_bias=False)
            self.norms = {"one": library.layers.BatchNormalization()}
            self.nested = [[library.layers.Dense(6)], [library.layers.Dense(6)]]

        def build(self, input_shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
            self.shift = self.add_weight(shape=(6,), initializer="ones", name="shift")
            for layer in [self.zeta, *self.alphas, self._hidden, self.norms["one"], *sum(self.nested, [])]:
                layer.build(input_shape)
            self.built = True

        def call(self, inputs, training=False):
            y = self.zeta(inputs) + self.alphas[0](inputs) + self.alphas[1](self._hidden(inputs)) + self.shift
            return self.norms["one"](y + self.nested[0][0](inputs) * self.nested[1][0](inputs), training=training)

        def compute_output_shape(self, input_shape):
            return input_shape

    return Block


def test_layers_of_ones_own(keras, tmp_path):
    x, _ = data()
    for title, here, there, path in both_ways(keras, tmp_path):
        model = here.Sequential([here.Input((6,)), blocks(here)()])
        for i, w in enumerate(model.weights):
            w.assign(np.linspace(-1, 1 + i, w.numpy().size).reshape(w.shape))
        model.save(path)
        again = there.models.load_model(path, custom_objects={"Block": blocks(there)})
        np.testing.assert_allclose(
            again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-5, err_msg=title
        )


def test_json(keras):
    """The architecture as text, both ways; what each writes for the article's model says the same."""
    texts = {}
    for here, there in ((minigrad, keras), (keras, minigrad)):
        here.utils.clear_session()
        model = network(here, OPTIMIZERS["Adam"])
        texts[here] = model.to_json()
        again = there.models.model_from_json(texts[here])
        assert [w.shape for w in again.get_weights()] == [w.shape for w in model.get_weights()]
        assert again.optimizer.name == "adam" and again.loss == "binary_crossentropy"
    ours, theirs = (minigrad.saving.files.parse(texts[library]) for library in (minigrad, keras))
    assert plain(ours["config"]) == plain(theirs["config"])
    ours["compile_config"].pop("jit_compile"), theirs["compile_config"].pop("jit_compile")
    assert ours["compile_config"] == theirs["compile_config"]


@pytest.mark.filterwarnings("ignore")
def test_backups(keras, tmp_path):
    """Keras goes on from minigrad's backup, and minigrad from Keras'."""
    if not hasattr(minigrad.callbacks, "BackupAndRestore"):
        pytest.skip("minigrad has no BackupAndRestore")
    x, y = data()
    for here, there in ((minigrad, keras), (keras, minigrad)):
        folder = str(tmp_path / here.__name__)
        models = []
        for library, epochs, keeps in ((here, 3, False), (there, 5, True)):
            model = network(library, OPTIMIZERS["Adam"])
            if not keeps:
                start = model.get_weights()
            model.set_weights(start)
            backup = library.callbacks.BackupAndRestore(folder, delete_checkpoint=keeps)
            history = model.fit(x, y, epochs=epochs, verbose=0, shuffle=False, callbacks=[backup])
            models.append((model, history))
        assert models[1][1].epoch[-2:] == [3, 4]
        whole = network(there, OPTIMIZERS["Adam"])
        whole.set_weights(start)
        whole.fit(x, y, epochs=5, verbose=0, shuffle=False)
        for a, b in zip(models[1][0].get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)
