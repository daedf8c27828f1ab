"""Files of models and weights: what comes back is what was saved, or an error that says why not."""

import copy
import io
import json
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import saving
from minigrad.saving import hdf5, weights
from minigrad.saving import state as extra_state

QUIET = {"verbose": 0}


def optimizers():
    o = keras.optimizers
    return {
        "sgd": o.SGD(0.1),
        "momentum": o.SGD(0.1, momentum=0.9, nesterov=True),
        "adam": o.Adam(0.01, clipnorm=0.5),
        "amsgrad": o.Adam(0.01, amsgrad=True, weight_decay=0.01),
        "rmsprop": o.RMSprop(0.01, momentum=0.5, centered=True),
        "ema": o.Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=7),
        "accumulation": o.SGD(0.1, momentum=0.5, gradient_accumulation_steps=3),
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


@pytest.mark.parametrize("name", optimizers())
def test_two_epochs_and_two_are_four(name, path):
    """Saved after two epochs and loaded, the training ends to the bit as one of four: shuffled, with dropout."""
    x, y = data()
    whole = network(dropout=0.3, optimizer=optimizers()[name])
    whole.fit(x, y, batch_size=8, epochs=2, **QUIET)
    whole.save(path)
    whole.fit(x, y, batch_size=8, epochs=4, initial_epoch=2, **QUIET)
    keras.utils.set_random_seed(99)
    part = keras.models.load_model(path)
    history = part.fit(x, y, batch_size=8, epochs=4, initial_epoch=2, **QUIET)
    assert_same(list(state(part).values()), list(state(whole).values()))
    assert_same(history.history, whole.history.history)


def test_a_seed_set_after_loading_counts(path):
    x, y = data()
    model = network(dropout=0.3)
    model.save(path)
    ends = []
    for seed in (5, 5, 6, None, None):
        part = keras.models.load_model(path)
        if seed is not None:
            keras.utils.set_random_seed(seed)
        part.fit(x, y, batch_size=8, **QUIET)
        ends.append(part.get_weights()[0])
    assert_same(ends[0], ends[1])
    assert_same(ends[3], ends[4])
    assert not np.array_equal(ends[1], ends[2]) and not np.array_equal(ends[1], ends[3])


def test_loading_alone_leaves_the_random_numbers_to_the_first_fit(path):
    network().save(path)
    keras.utils.set_random_seed(1)
    keras.models.load_model(path).predict(data()[0], **QUIET)
    first = keras.config.generator().random()
    keras.utils.set_random_seed(2)
    keras.models.load_model(path).predict(data()[0], **QUIET)
    assert keras.config.generator().random() != first


def test_a_loaded_model_is_the_saved_one(path):
    x, y = data()
    model = network(dropout=0.2, weighted_metrics=["mae"], loss_weights=0.5, steps_per_execution=2)
    model.fit(x, y, **QUIET)
    for location in (path, str(path)):
        model.save(location)
        again = saving.load_model(location)
        assert type(again) is keras.Sequential and again.compiled and again.built
        assert_same(again.layers[3]._state, model.layers[3]._state)
        assert again.get_config() == model.get_config()
        assert again.get_compile_config() == model.get_compile_config()
        assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))
        assert_same(again.evaluate(x, y, return_dict=True, **QUIET), model.evaluate(x, y, return_dict=True, **QUIET))
    plain = keras.models.load_model(path, compile=False)
    assert not plain.compiled and plain.optimizer is None
    assert_same(plain.predict(x, **QUIET), model.predict(x, **QUIET))


def test_float64_and_frozen_layers(path):
    keras.config.set_floatx("float64")
    x, y = data(dtype="float64")
    model = network()
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(x, y, **QUIET)
    model.save(path)
    keras.config.set_floatx("float32")
    again = keras.models.load_model(path)
    assert again.layers[0].dtype == "float64" and not again.layers[0].trainable
    assert [v.path for v in again.trainable_weights] == [v.path for v in model.trainable_weights]
    assert_same(again.get_weights(), model.get_weights())
    assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))
    for one in (model, again):
        one.fit(x, y, shuffle=False, **QUIET)
    assert_same(again.get_weights(), model.get_weights())


def nested():
    inner = keras.Sequential([keras.layers.Dense(3, input_shape=(4,)), keras.layers.Dropout(0.5, seed=1)], name="inner")
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), inner, keras.layers.Dense(2)])


def test_nested_models(path):
    model = nested()
    model(np.ones((3, 5)), training=True)  # moves the stream of the dropout inside
    model.save(path)
    again = keras.models.load_model(path)
    assert_same(again.get_weights(), model.get_weights())
    assert again.layers[1].name == "inner"
    assert_same(again.layers[1].layers[1]._state, model.layers[1].layers[1]._state)
    assert json.loads(model.to_json())["config"]["layers"][2]["compile_config"] == {}


def test_without_an_input_in_front(path):
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)])
    model.save(path)  # unbuilt: nothing but the architecture
    assert not keras.models.load_model(path).built
    x = data()[0]
    model.compile("sgd", "mse")
    model(x)
    model.save(path)
    again = keras.models.load_model(path)
    assert again.built and again._input_layer is None
    assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))


class Block(keras.layers.Layer):
    """Layers in attributes, lists and dicts; its counter is made first, but is not meant to be trained."""

    def __init__(self, width=5, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.zeta = keras.layers.Dense(width)
        self.parts = [keras.layers.Dense(width), keras.layers.Dense(width), [keras.layers.Dense(width)]]
        self.by_name = {"norm": keras.layers.BatchNormalization()}
        self.tree = [self.parts]
        self.again = self.zeta

    def build(self, input_shape):
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")
        self.shift = self.add_weight((self.width,), "ones", name="shift")
        self.built = True

    def call(self, inputs, training=False):
        y = self.zeta(inputs) + self.shift
        for layer in (*self.parts[:2], *self.parts[2]):
            y = layer(y)
        return self.by_name["norm"](y, training=training)

    def compute_output_shape(self, input_shape):
        for layer in [self.zeta, *self.parts[:2], *self.parts[2], self.by_name["norm"]]:
            layer._ensure_built((None, self.width))
        return (*input_shape[:-1], self.width)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def test_layers_of_ones_own(path):
    x = data()[0]
    model = keras.Sequential([keras.Input((5,)), Block(5)])
    circle = model.layers[0].loop = []
    assert circle.append(circle) is None and weights.located(model)  # what contains itself has an end
    model.layers[0].loop = []
    model.set_weights([w + i for i, w in enumerate(model.get_weights())])
    assert [place for place, _ in weights.located(model)] == [
        "", "layers/block/", "layers/block/again/", "layers/block/by_name/batch_normalization/",
        "layers/block/parts/dense/", "layers/block/parts/dense_1/", "layers/block/parts/container/dense/",
    ]  # fmt: skip
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Block": Block})
    assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))
    with pytest.raises(ValueError, match=r"model\.keras.*'Block'.*custom_objects=\{'Block'.*register_keras_serial"):
        keras.models.load_model(path)
    with keras.utils.custom_object_scope({"Block": Block}):
        assert_same(keras.models.load_model(path).get_weights(), model.get_weights())


class Own(keras.Model):
    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.first, self.drop = keras.layers.Dense(width), keras.layers.Dropout(0.5)

    def call(self, inputs, training=False):
        return self.drop(self.first(inputs), training=training)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def test_models_of_ones_own(path):
    x, _ = data(width=4)
    y = x[:, :3]
    model = Own(3)
    model.compile("adam", "mse")
    model.fit(x, y, **QUIET)
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Own": Own})
    for one in (model, again):
        one.fit(x, y, shuffle=False, **QUIET)
    assert_same(again.get_weights(), model.get_weights())


class Scaled(keras.layers.Layer):
    """Keeps more in the file than its variables, as Keras lets a layer do."""

    factor = 1.0

    def call(self, inputs):
        return inputs * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = [keras.random.SeedGenerator(5)]

    def save_own_variables(self, store):
        store["factor"] = np.array(self.factor)

    def load_own_variables(self, store):
        self.factor = float(store["factor"])


def test_a_layer_may_save_what_it_likes(path):
    model = keras.Sequential([keras.Input((5,)), Scaled()])
    model.layers[0].factor = 2.5
    model.layers[0].seeds[0]._state[...] = 9  # a stream of random numbers that it keeps
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Scaled": Scaled}).layers[0]
    assert again.factor == 2.5 and again.seeds[0]._state.tolist() == [[9, 9]]


# ------------------------------------------------------------------------------------------------ names


def cube(x):
    return x * x * x


def test_registered_functions_and_classes(path, monkeypatch):
    monkeypatch.setattr(keras.registry, "_custom", {})

    @saving.register_keras_serializable("mine", "power")
    def square(x):
        return x * x

    assert saving.get_registered_name(square) == "mine>power" and saving.get_registered_name(Block) == "Block"
    assert saving.get_registered_object("mine>power") is square and saving.get_registered_object("nothing") is None
    assert saving.get_registered_object("x", {"x": 1}) == 1 and saving.get_registered_object("x", None, {"x": 2}) == 2
    assert saving.get_custom_objects() == {"mine>power": square}
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=square)])
    model.save(path)
    assert keras.models.load_model(path).layers[0].activation is square
    saving.get_custom_objects().clear()
    with pytest.raises(ValueError, match="Unknown activation: 'mine>power'"):
        keras.models.load_model(path)
    with pytest.raises(ValueError, match="get_config"):
        saving.register_keras_serializable()(type("Plain", (), {}))


def test_functions_without_a_name_are_left_out_with_a_warning(path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=lambda x: x)])
    with pytest.warns(UserWarning, match="has no name .* `def`"):
        model.save(path)
    model.load_weights(path)
    with pytest.raises(ValueError, match="pass custom_objects={'<lambda>': ...}"):
        keras.models.load_model(path)
    model = network(loss=lambda y, p: keras.ops.mean(keras.ops.square(y - p), -1))
    with pytest.warns(UserWarning, match="How 'sequential' was compiled can't be saved; the rest can"):
        model.save(path)
    assert not keras.models.load_model(path).compiled


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), -1)


def test_functions_as_losses_and_metrics(path):
    x, y = data()
    model = network(loss=own_loss, metrics=[own_loss, keras.metrics.MeanAbsoluteError(name="off")])
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"own_loss": own_loss})
    assert_same(again.evaluate(x, y, return_dict=True, **QUIET), model.evaluate(x, y, return_dict=True, **QUIET))
    with pytest.raises(ValueError, match="'own_loss'.*compile=False loads the model without it"):
        keras.models.load_model(path)
    assert not keras.models.load_model(path, compile=False).compiled


def test_any_object_to_a_config_and_back():
    things = [
        keras.layers.Dense(3, name="d"), keras.losses.BinaryCrossentropy(label_smoothing=0.1), keras.optimizers.Adam(0.3),
        keras.metrics.MeanSquaredError(name="m"), keras.regularizers.L2(0.3), keras.constraints.MaxNorm(1.0),
        keras.initializers.RandomNormal(seed=3), nested(),
    ]  # fmt: skip
    configs = json.loads(json.dumps(saving.serialize_keras_object(things)))
    again = saving.deserialize_keras_object(configs)
    assert [type(a) for a in again] == [type(a) for a in things]
    assert saving.serialize_keras_object(again) == configs
    assert saving.serialize_keras_object({"a": (1, None, "x", 2.5)}) == {"a": [1, None, "x", 2.5]}
    assert saving.deserialize_keras_object({"a": [1, None, "x", 2.5]}) == {"a": [1, None, "x", 2.5]}
    assert saving.serialize_keras_object(keras.activations.relu) == "relu"
    config = saving.serialize_keras_object(cube)
    assert saving.deserialize_keras_object(config, {"cube": cube}) is cube
    block = saving.deserialize_keras_object(saving.serialize_keras_object(Block(2)), {"Block": Block})
    assert type(block) is Block and block.width == 2
    policy = keras.layers.Dense(1, dtype="float64").get_config()["dtype"]
    assert saving.deserialize_keras_object(policy) == "float64"
    for bad in ({"module": "os", "class_name": "system", "config": "ls"}, config,
                {"module": "keras.layers", "class_name": "Adam", "config": {}}):
        with pytest.raises(ValueError, match="system|cube|Adam"):
            saving.deserialize_keras_object(bad)


def test_json():
    model = network(dropout=0.1)
    text = model.to_json(indent=1)
    assert text.startswith('{\n "module"')
    again = keras.models.model_from_json(text)
    assert again.get_config() == model.get_config() and again.get_compile_config() == model.get_compile_config()
    assert not np.array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError):
        keras.models.model_from_json("[]")


# --------------------------------------------------------------------------------------------- the weights


def test_weights_alone(tmp_path, path):
    x, y = data()
    model = network(dropout=0.2)
    model.fit(x, y, batch_size=8, **QUIET)
    model.save_weights(tmp_path / "some.weights.h5")
    model.save(path)
    for name in ("some.weights.h5", "model.keras"):
        other = network(dropout=0.2, seed=7)
        other.load_weights(tmp_path / name)
        assert_same(other.get_weights(), model.get_weights())
        assert_same([v.numpy() for v in other.optimizer.variables], [v.numpy() for v in model.optimizer.variables])
        assert_same(other.layers[3]._state, model.layers[3]._state)
        plain = keras.Sequential(keras.models.clone_model(model).layers)
        plain.build((None, 5))
        plain.load_weights(str(tmp_path / name))  # not compiled: no optimizer
        assert_same(plain.get_weights(), model.get_weights())


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    x, y = data()
    path = tmp_path / "some.weights.h5"
    model = network()
    model.fit(x, y, **QUIET)
    model.save_weights(path)
    wider = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), keras.layers.BatchNormalization(),
                              keras.layers.Activation("relu"), keras.layers.Dense(2)])
    before = wider.get_weights()
    with pytest.raises(ValueError, match=r"some\.weights\.h5.*layer '.*': weight 'kernel': .* shape \(4, 1\), expected \(4, 2\)"):
        wider.load_weights(path)
    assert_same(wider.get_weights(), before)
    with pytest.warns(UserWarning, match="left as they are"):
        wider.load_weights(path, skip_mismatch=True)
    assert_same(wider.get_weights()[:6], model.get_weights()[:6])
    assert_same(wider.get_weights()[6:], before[6:])
    with pytest.raises(ValueError, match="has 2 variables, and the file holds 4"):
        keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(center=False, scale=False)]).load_weights(path)
    other = network(optimizer=keras.optimizers.RMSprop(0.1, momentum=0.5, centered=True))
    other.fit(x, y, **QUIET)
    slots = [v.numpy() for v in other.optimizer.variables]
    with pytest.warns(UserWarning, match="The optimizer 'rm_sprop' has 20 variables, and the file holds 14: it starts anew"):
        other.load_weights(path)
    assert_same([v.numpy() for v in other.optimizer.variables], slots)


def test_a_file_may_know_an_attribute_by_the_name_of_a_property(tmp_path):
    """Keras writes a layer under whatever comes first in the alphabet, `backbone` here, and finds it under either."""

    class Plain(keras.Model):
        def __init__(self, name):
            super().__init__()
            setattr(self, name, keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)]))

        def call(self, inputs):
            return (vars(self).get("encoder") or vars(self).get("backbone"))(inputs)

    class Named:
        backbone = property(lambda self: self.encoder)

    class Renamed(Named, Plain):
        pass

    written, read = Plain("backbone"), Renamed("encoder")
    x = np.ones((3, 4), "float32")
    expected, before = written(x).numpy(), read(x).numpy()
    written.save_weights(tmp_path / "b.weights.h5")
    read.load_weights(tmp_path / "b.weights.h5")
    assert_same(read(x).numpy(), expected)
    assert not np.array_equal(before, expected)


def test_an_optimizer_that_was_never_used(path):
    network().save(path)
    x, y = data()
    ends = []
    for model in (network(), keras.models.load_model(path)):
        model.fit(x, y, shuffle=False, **QUIET)
        ends.append(model.get_weights())
    assert_same(*ends)


def test_what_the_file_looks_like(path):
    """As in the files of Keras: members, their order, groups, datasets; nothing compressed."""
    x, y = data()
    model = network(dropout=0.5)
    model.fit(x, y, **QUIET)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        about, config = (json.loads(archive.read(name)) for name in ("metadata.json", "config.json"))
        content = io.BytesIO(archive.read("model.weights.h5"))
    assert about["keras_version"] == "3.15.1" and about["minigrad_version"] == keras.__version__
    assert list(config) == ["module", "class_name", "config", "registered_name", "build_config", "compile_config"]
    assert (config["module"], config["class_name"], config["registered_name"]) == ("keras", "Sequential", None)
    dense = config["config"]["layers"][1]
    assert dense["module"] == "keras.layers" and dense["build_config"] == {"input_shape": [None, 5]}
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    assert dense["config"]["dtype"] == policy and dense["config"]["kernel_initializer"]["class_name"] == "GlorotUniform"
    assert config["compile_config"]["loss"] == "binary_crossentropy"
    assert config["compile_config"]["metrics"] == ["accuracy"] and config["compile_config"]["weighted_metrics"] is None
    with h5py.File(content) as file:
        assert sorted(file) == ["layers", "minigrad", "optimizer", "vars"]
        assert sorted(file["layers"]) == ["activation", "batch_normalization", "dense", "dense_1", "dropout"]
        assert len(file["layers/activation/vars"]) == 0 and len(file["layers/batch_normalization/vars"]) == 4
        assert file["layers/dense/vars"].attrs["name"] == "dense"
        kernel, iteration = file["layers/dense/vars/0"], file["optimizer/vars/0"]
        assert (kernel.dtype, kernel.shape, kernel.chunks, kernel.compression) == ("<f4", (5, 4), None, None)
        assert (iteration.dtype, iteration.shape, iteration[()]) == ("int64", (), 2)
        slots = [file[f"optimizer/vars/{i}"].shape for i in range(2, 14)]
        assert slots == [s for s in [(5, 4), (4,), (4,), (4,), (4, 1), (1,)] for _ in range(2)]


def test_state_of_any_kind_survives():
    kept = {"a": np.arange(3), "b": (1, [2.5, None, {"c": np.float32(1.5)}], float("nan")), "d": {"e": 2**100, "f": "x"}}
    tree = hdf5.Tree(io.BytesIO(hdf5.build({extra_state.GROUP: ({}, extra_state.pack(kept))})))
    again = extra_state.unpack(tree)
    assert again["b"][:1] == (1,) and again["d"] == kept["d"] and np.isnan(again["b"][2])
    assert_same(again["a"], kept["a"])
    assert_same(again["b"][1][2]["c"], kept["b"][1][2]["c"])


# ------------------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("build", [lambda: network(dropout=0.3), nested, lambda: Own(2)])
def test_copies_train_on_alike(make, build):
    model = build()
    if not model.compiled:
        model.compile("adam", "mse")
    x = data()[0]
    y = np.ones((len(x), 2 if type(model) is Own else model.output_shape[-1]), "float32")
    model.fit(x, y, **QUIET)
    again = make(model)
    assert again.optimizer is not model.optimizer
    for one in (model, again):
        one.fit(x, y, shuffle=False, **QUIET)
    assert_same(again.get_weights(), model.get_weights())
    assert_same([v.numpy() for v in again.optimizer.variables], [v.numpy() for v in model.optimizer.variables])


def test_clone_model():
    model = nested()
    clone = keras.models.clone_model(model)
    assert clone.get_config() == model.get_config() and not clone.compiled
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    seen = []

    def widen(layer):
        seen.append(layer.name)
        config = layer.get_config()
        return type(layer).from_config({**config, "name": f"{config['name']}_again"})

    clone = keras.models.clone_model(model, clone_function=widen)
    assert seen == [layer.name for layer in model.layers]
    assert [layer.name for layer in clone.layers] == [f"{name}_again" for name in seen]
    seen.clear()
    clone = keras.models.clone_model(model, clone_function=widen, recursive=True)
    assert len(seen) == 4 and "inner" not in seen and clone.layers[1].name == "inner"
    assert clone.predict(np.ones((2, 5)), **QUIET).shape == (2, 2)
    for options, word in (({"input_tensors": [1]}, "input_tensors"), ({"call_function": print}, "call_function")):
        with pytest.raises(ValueError, match=word):
            keras.models.clone_model(model, **options)
    with pytest.raises(ValueError, match="expects a model"):
        keras.models.clone_model(model.layers[0])


def test_a_clone_is_compiled_as_its_model():
    model = network()
    x, y = data(16)
    model.fit(x, y, **QUIET)
    clone = keras.models.clone_model(model)
    assert clone.compiled and type(clone.optimizer) is type(model.optimizer) and clone.optimizer is not model.optimizer
    assert float(clone.optimizer.learning_rate) == float(model.optimizer.learning_rate)
    clone.set_weights(model.get_weights())
    assert clone.evaluate(x, y, **QUIET) == model.evaluate(x, y, **QUIET)
    clone.fit(x, y, **QUIET)
    model.compile("sgd", loss := lambda t, p: keras.ops.mean((t - p) ** 2, axis=-1))  # no file can tell it
    assert keras.models.clone_model(model).loss is loss


def test_arguments_of_older_scripts(tmp_path):
    model = network()
    model.save(tmp_path / "a.keras", include_optimizer=False, save_format="keras")
    assert keras.models.load_model(tmp_path / "a.keras").compiled  # as in Keras 3
    with pytest.raises(ValueError, match="save_format must be one of .*'keras'.*'onnx'"):
        model.save(tmp_path / "b.keras", save_format="onnx")


# --------------------------------------------------------------------------------------- wrong arguments


def test_paths(tmp_path, path):
    model = network()
    for name in ("a.h5", "a"):
        with pytest.raises(ValueError, match="no file"):
            keras.models.load_model(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            model.load_weights(tmp_path / name)
    with pytest.raises(ValueError, match="holds a whole model"):
        model.save_weights(path)
    with pytest.raises(ValueError, match="no file"):
        keras.models.load_model(path)
    with pytest.raises(FileNotFoundError):
        model.load_weights(path)
    with pytest.raises(FileNotFoundError, match="no folder/a.keras'"):
        model.save(tmp_path / "no folder" / "a.keras")
    path.mkdir()
    with pytest.raises(ValueError, match="folder"):
        keras.models.load_model(path)
    assert os.listdir(tmp_path) == ["model.keras"]


def test_overwrite_zipped_and_shards(tmp_path, path):
    model = network()
    model.save(path, overwrite=False, zipped=True)
    with pytest.raises(FileExistsError, match="overwrite=False"):
        model.save(path, overwrite=False)
    with pytest.raises(ValueError, match="max_shard_size"):
        model.save_weights(tmp_path / "a.weights.h5", max_shard_size=1)
    with pytest.raises(ValueError, match="skip_mismatch"):
        model.load_weights(path, objects_to_skip=[1])
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    for method in (unbuilt.save_weights, unbuilt.load_weights):
        with pytest.raises(ValueError, match="is not built"):
            method(tmp_path / "a.weights.h5")


def test_a_file_of_the_future_is_refused(path, monkeypatch):
    model = network()
    monkeypatch.setattr(extra_state, "FORMAT", 2)
    model.save(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 2, written by minigrad .*; this is minigrad .* format 1"):
        keras.models.load_model(path)
