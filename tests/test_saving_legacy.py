"""Files as older scripts have them: `.h5`, folders, names without an ending; and configs of older Keras."""

import json
import os

import h5py
import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import saving
from minigrad.saving import legacy

QUIET = {"verbose": 0}


def trained(optimizer="adam", **options):
    model = network(dropout=0.3, optimizer=optimizer, **options)
    model.fit(*data(), **QUIET)
    return model


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "folder", "folder.of"])
def test_a_model_comes_back_and_goes_on_training(name, tmp_path, recwarn):
    x, y = data()
    model = trained()
    model.save(tmp_path / name)
    is_folder = "folder" in name
    assert ["it is no SavedModel" in str(w.message) for w in recwarn] == [True] * is_folder
    configs = model.get_config(), model.get_compile_config()
    history = model.fit(x, y, **QUIET).history
    again = keras.models.load_model(tmp_path / name)
    assert (again.get_config(), again.get_compile_config()) == configs
    assert_same(again.fit(x, y, **QUIET).history, history)
    assert_same(list(state(again).values()), list(state(model).values()))
    assert os.path.isdir(tmp_path / name) is is_folder


def test_options_of_save(tmp_path):
    model = trained()
    model.save(tmp_path / "m", save_format="h5")
    assert h5py.is_hdf5(tmp_path / "m") and keras.models.load_model(tmp_path / "m").compiled
    model.save(tmp_path / "m.h5", include_optimizer=False)
    assert not keras.models.load_model(tmp_path / "m.h5").compiled
    assert not keras.models.load_model(tmp_path / "m", compile=False).compiled
    model.save(tmp_path / "plain.keras", zipped=False)
    assert_same(keras.models.load_model(tmp_path / "plain.keras").get_weights(), model.get_weights())
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.h5", overwrite=False)


@pytest.mark.parametrize("name, written, sentence", [
    ("w.h5", "w.h5", "as Keras 2 wrote them"),
    ("w.hdf5", "w.hdf5", "as Keras 2 wrote them"),
    ("w.ckpt", "w.ckpt.weights.h5", "gets the ending .weights.h5"),
])  # fmt: skip
def test_weights_under_the_names_of_older_scripts(name, written, sentence, tmp_path):
    model, other = trained(), network(seed=2)
    with pytest.warns(UserWarning, match=sentence):
        model.save_weights(tmp_path / "new" / name)
    assert os.listdir(tmp_path / "new") == [written]
    other.load_weights(tmp_path / "new" / name)
    assert_same(other.get_weights(), model.get_weights())


def test_weights_by_name_and_what_does_not_fit(tmp_path):
    x = data()[0]
    model, path = trained(), tmp_path / "m.h5"
    model.save(path)
    other = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="dense"), keras.layers.Dense(2, name="new")])
    before = other.get_weights()
    with pytest.raises(ValueError, match="2 layers with weights, and the file holds 3: by_name=True"):
        other.load_weights(path)
    other.load_weights(path, by_name=True)
    assert_same(other.layers[0].get_weights(), model.layers[0].get_weights())
    assert_same(other.layers[1].get_weights(), before[2:])
    wider = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, name="dense")])
    with pytest.raises(ValueError, match=r"layer 'dense': weight 'kernel': .* shape \(5, 4\), expected \(5, 3\)"):
        wider.load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match="left as they are"):
        wider.load_weights(path, by_name=True, skip_mismatch=True)
    model.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="by_name is for .h5 files"):
        model.load_weights(tmp_path / "w.weights.h5", by_name=True)
    with pytest.warns(UserWarning, match="as Keras 2"):
        model.save_weights(path)
    with pytest.raises(ValueError, match="weights only"):
        keras.models.load_model(path)
    assert other.predict(x, **QUIET).shape == (42, 2)


@pytest.mark.parametrize("kind, gates", [("LSTM", 4), ("GRU", 3)])
def test_layers_of_cudnn(kind, gates, tmp_path):
    """Their files have each gate's kernels in another order, and two biases, one after the other."""
    inner = getattr(keras.layers, kind)(3, bias_initializer="normal")
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Bidirectional(inner), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(5, 4, 2))
    model.fit(x, x[:, 0, :1], **QUIET)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        text = file.attrs["model_config"].replace(f'"class_name": "{kind}"', f'"class_name": "CuDNN{kind}"')
        file.attrs["model_config"] = text.replace(', "reset_after": true', "")
        group = file[f"model_weights/{model.layers[0].name}"]
        for i, name in enumerate(group.attrs["weight_names"]):
            value, size = group[name][()], gates * 3
            if i % 3 < 2:  # kernel, recurrent_kernel, bias of each direction
                value = np.hstack([np.ravel(part, "F").reshape(part.shape) for part in np.split(value, gates, axis=1)])
            else:
                value = value.reshape(2 * size) if kind == "GRU" else np.concatenate([0.25 * value, 0.75 * value])
            del group[name]
            group[name] = value
    with pytest.warns(UserWarning, match="weights of CuDNN.* starts anew"):
        again = keras.models.load_model(tmp_path / "m.h5")
    np.testing.assert_allclose(again.predict(x, **QUIET), model.predict(x, **QUIET), 1e-5, 1e-6)


def test_model_checkpoint(tmp_path):
    x, y = data()
    model = network()
    pattern = str(tmp_path / "{epoch:02d}-{val_loss:.2f}.hdf5")
    with pytest.warns(UserWarning, match="names that end in .keras"):
        checkpoint = keras.callbacks.ModelCheckpoint(pattern, save_best_only=True)
    model.fit(x, y, validation_data=(x, y), callbacks=[checkpoint], **QUIET)
    (name,) = os.listdir(tmp_path)
    assert name.startswith("01-") and name.endswith(".hdf5")
    assert_same(keras.models.load_model(tmp_path / name).get_weights(), model.get_weights())
    bare = keras.callbacks.ModelCheckpoint(str(tmp_path / "cp-{epoch}.ckpt"), save_weights_only=True)
    with pytest.warns(UserWarning, match="gets the ending"):
        model.fit(x, y, callbacks=[bare], **QUIET)
    other = network(seed=3)
    other.load_weights(tmp_path / "cp-1.ckpt")
    assert_same(other.get_weights(), model.get_weights())


def test_what_tensorflow_wrote_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ValueError, match="SavedModel of TensorFlow.*save it again as a .keras or .h5"):
        keras.models.load_model(tmp_path)
    (tmp_path / "ckpt.index").write_bytes(b"x")
    with pytest.raises(ValueError, match="a checkpoint of TensorFlow.*save it again"):
        network().load_weights(tmp_path / "ckpt")


def test_long_lists_of_names_are_split(tmp_path):
    names = [f"{i}_{'x' * 1000}" for i in range(80)]  # more than the 64 kB that an attribute holds
    model = keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(1, name=name) for name in names)])
    model.set_weights([w + i for i, w in enumerate(model.get_weights())])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert len(file["model_weights"].attrs["layer_names1"]) and "layer_names" not in file["model_weights"].attrs
    assert_same(keras.models.load_model(tmp_path / "m.h5").get_weights(), model.get_weights())


# ------------------------------------------------------------------------------------------------- old configs


OLD = {  # a config of Keras 2, and what it means today
    "the first layer knows the shape": (
        {"class_name": "Dense", "config": {"units": 2, "batch_input_shape": [None, 5]}},
        {"class_name": "Dense", "config": {"units": 2, "input_shape": [5]}}),
    "an Input": (
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 5]}},
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 5]}}),
    "a list of layers": (
        {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"units": 2}}]},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": 2}}]}}),
    "an axis of TensorFlow 1": (
        {"class_name": "BatchNormalizationV1", "config": {"axis": [1], "fused": True, "dtype": {
            "class_name": "Policy", "config": {"name": "float32"}}}},
        {"class_name": "BatchNormalization", "config": {"axis": 1, "dtype": "float32"}}),
    "a slope": (
        {"class_name": "LeakyReLU", "config": {"alpha": 0.25}},
        {"class_name": "LeakyReLU", "config": {"negative_slope": 0.25}}),
    "an initializer with a dtype": (
        {"class_name": "Zeros", "config": {"dtype": "float32"}}, {"class_name": "Zeros", "config": {}}),
    "a loss": (
        {"class_name": "Huber", "config": {"reduction": "auto", "fn": "huber"}},
        {"class_name": "Huber", "config": {"reduction": "sum_over_batch_size"}}),
    "a metric": (
        {"class_name": "MeanMetricWrapper", "config": {"name": "mae", "dtype": "float32", "fn": "mean_absolute_error"}},
        "mae"),
    "a rate": (
        {"class_name": "Custom>Adam", "config": {"lr": 0.5, "decay": 0.0, "epsilon": None, "jit_compile": True}},
        {"class_name": "Custom>Adam", "config": {"learning_rate": 0.5, "epsilon": 1e-7}}),
    "a decay": (
        {"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.1}},
        {"class_name": "SGD", "config": {"learning_rate": {"class_name": "InverseTimeDecay", "config": {
            "initial_learning_rate": 0.5, "decay_steps": 1, "decay_rate": 0.1}}}}),
    "a decay that is another": (
        {"class_name": "Nadam", "config": {"lr": 0.5, "decay": 0.004, "schedule_decay": 0.004}},
        {"class_name": "Nadam", "config": {"learning_rate": 0.5}}),
    "one of the user's": (
        {"class_name": "Own", "config": {"alpha": 1, "fused": 2, "lr": 3}},
        {"class_name": "Own", "config": {"alpha": 1, "fused": 2, "lr": 3}}),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_old_configs(name):
    old, today = OLD[name]
    assert legacy.modern(old) == today
    if "Own" not in str(old):
        saving.deserialize_keras_object(today)


def test_what_is_written_is_old_where_it_can_be():
    today = keras.layers.serialize(keras.layers.LeakyReLU(0.25, name="a"))
    assert legacy.old(today)["config"] == {"name": "a", "trainable": True, "dtype": "float32", "alpha": 0.25}
    assert legacy.old({"class_name": "Own", "config": {"optional": False}})["config"] == {"optional": False}
    for optimizer, decay in (("Adam", {}), ("AdamW", {"weight_decay": 0.004})):
        config = legacy.old(keras.optimizers.serialize(getattr(keras.optimizers, optimizer)(name="a")))["config"]
        assert config == {"learning_rate": pytest.approx(0.001), "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07,
                          "amsgrad": False, "name": "a", **decay}


@pytest.mark.parametrize("module", [
    "keras.src.backend.torch.optimizers.torch_adam", "keras.optimizers", "keras.src.optimizers.adam",
    "tf_keras.src.optimizers.adam", "tensorflow.python.keras.optimizer_v2.adam", "tensorflow.keras.optimizers", None,
])  # fmt: skip
@pytest.mark.parametrize("registered", [None, "", "Adam"])
def test_where_any_keras_files_its_classes(module, registered):
    config = {"module": module, "class_name": "Adam", "registered_name": registered, "config": {"learning_rate": 0.5}}
    for read in (keras.optimizers.deserialize, saving.deserialize_keras_object):
        found = read(config)
        assert type(found) is keras.optimizers.Adam and float(found.learning_rate) == 0.5


@pytest.mark.parametrize("module", ["mykeras.optimizers", "os.keras", "tensorflow.io", "torch.optim"])
def test_where_nobody_does(module):
    with pytest.raises(ValueError, match="not Keras'"):
        keras.optimizers.deserialize({"module": module, "class_name": "Adam", "config": {}})


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_layers_as_activations(name, tmp_path):
    leaky = keras.layers.LeakyReLU(negative_slope=0.25)
    layers = [keras.layers.Dense(4, activation=keras.layers.PReLU()), keras.layers.Activation(leaky)]
    model = keras.Sequential([keras.Input((5,)), *layers])
    x = data()[0]
    model.predict(x, **QUIET)
    model.layers[0].activation.set_weights([np.linspace(0.1, 0.4, 4)])
    model.save(tmp_path / name)
    again = keras.models.load_model(tmp_path / name)
    assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))
    for copy in (keras.models.clone_model(model), keras.models.model_from_json(model.to_json())):
        assert type(copy.layers[0].activation) is keras.layers.PReLU
        assert copy.layers[1].activation.negative_slope == 0.25
    with pytest.raises(ValueError, match="Unknown activation: 'SGD'"):
        keras.layers.deserialize({"class_name": "Activation", "config": {"activation": {"class_name": "SGD"}}})


def test_configs_hold_objects(tmp_path):
    class Own(keras.layers.Layer):
        def __init__(self, inner, act, **kwargs):
            super().__init__(**kwargs)
            self.inner, self.act = keras.layers.deserialize(inner) if isinstance(inner, dict) else inner, act

        def call(self, x):
            return keras.activations.get(self.act)(self.inner(x))

        def get_config(self):
            return {**super().get_config(), "inner": self.inner, "act": keras.activations.get(self.act)}

    x = data()[0]
    model = keras.Sequential([keras.Input((5,)), Own(keras.layers.Dense(2), "tanh")])
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name, {"Own": Own})
        assert_same(again.predict(x, **QUIET), model.predict(x, **QUIET))
    described = saving.serialize_keras_object(model.layers[-1])
    assert json.loads(json.dumps(described)) == described and described["config"]["inner"]["class_name"] == "Dense"


def test_values_that_are_no_objects():
    for value in (b"hello", slice(None, 20, 1), ..., 1.5):
        assert saving.deserialize_keras_object(saving.serialize_keras_object(value)) == value
    for value in (np.array([[1, 2]]), np.float32(1.5), keras.ops.convert_to_tensor([1.0, 2.0])):
        again = saving.deserialize_keras_object(json.loads(json.dumps(saving.serialize_keras_object(value))))
        np.testing.assert_array_equal(np.asarray(again), np.asarray(value))
    with pytest.raises(ValueError, match="arrays of numbers"):
        saving.deserialize_keras_object({"class_name": "__numpy__", "config": {"value": [1], "dtype": "S999999999"}})
    again = saving.deserialize_keras_object(saving.serialize_keras_object(keras.random.SeedGenerator(5)))
    assert again.seed == 5
    with keras.saving.custom_object_scope(None):
        assert keras.layers.deserialize({"class_name": "Dense", "config": {"units": 1}}).units == 1


def test_layers_that_are_built_in_a_model_that_is_not(tmp_path):
    layer = keras.layers.Dense(4)
    layer.build((None, 8))
    keras.Sequential([layer]).save(tmp_path / "m.keras")
    assert_same(keras.models.load_model(tmp_path / "m.keras").layers[0].get_weights(), layer.get_weights())


def test_a_compile_of_ones_own_is_not_called(tmp_path):
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def compile(self, how):
            super().compile(how, "mse")

    model = Own()
    model.compile("sgd")
    model.fit(*data(), **QUIET)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="Own has a compile"):
        again = keras.models.load_model(tmp_path / "m.keras", {"Own": Own})
    assert not again.compiled
    assert_same(again.get_weights(), model.get_weights())


# ----------------------------------------------------------------------------------- optimizers' arrays by name


def taken(optimizer, names, weights=2):
    """The names of the arrays for the variables of an optimizer, in short, in the order of its variables."""
    dense = keras.layers.Dense(1)
    dense.build((None, 3))
    dense.kernel.path, dense.bias.path = "d/kernel", "d/bias"
    optimizer.build(dense.trainable_variables)
    found = legacy.of_keras_2(names, optimizer.variables, weights)
    return None if found is None else [(v.name.replace("d_kernel_", "k ").replace("d_bias_", "b "), n) for v, n in found]


NAMES = {
    "tf_keras": ("Adam", ["iteration:0", "Adam/m/d/kernel:0", "Adam/v/d/kernel:0", "Adam/m/d/bias:0", "Adam/v/d/bias:0"],
                 [0, 1, 2, 3, 4]),
    "TensorFlow 2": ("Adam", ["Adam/iter:0", "Adam/d/kernel/m:0", "Adam/d/bias/m:0", "Adam/d/kernel/v:0",
                              "Adam/d/bias/v:0"], [0, 1, 3, 2, 4]),
    "Keras 2.3": ("Adam", ["training/Adam/iterations:0", "training/Adam/m_0:0", "training/Adam/m_1:0",
                           "training/Adam/v_0:0", "training/Adam/v_1:0", "vhat_0:0", "vhat_1:0"], [0, 1, 3, 2, 4]),
    "Keras 2.2": ("RMSprop", ["training/RMSprop/Variable:0", "training/RMSprop/Variable_1:0"], [0, 1]),
    "slots that change nothing": ("SGD", ["iteration:0", "SGD/m/d/kernel:0", "SGD/m/d/bias:0"], [0]),
    "a product": ("Nadam", ["Nadam/iter:0", "Nadam/momentum_cache:0", "Nadam/d/kernel/m:0", "Nadam/d/bias/m:0",
                            "Nadam/d/kernel/v:0", "Nadam/d/bias/v:0"], [0, 2, 4, 3, 5, 1]),
}  # fmt: skip


@pytest.mark.parametrize("title", NAMES)
def test_slots_of_keras_2(title):
    optimizer, names, order = NAMES[title]
    assert [name for _, name in taken(getattr(keras.optimizers, optimizer)(), names)] == [names[i] for i in order]


def test_slots_that_are_missing():
    assert taken(keras.optimizers.Adam(amsgrad=True), NAMES["tf_keras"][1]) is None


# ------------------------------------------------------------------------------------------------------- trust


def hostile(path, change):
    trained().save(path)
    with h5py.File(path, "r+") as file:
        change(file)
    if change is repeated:
        raw = bytearray(path.read_bytes())
        at = raw.index((60000).to_bytes(4, "little"))
        raw[at : at + 16 * 1001] = raw[at : at + 16] * 1001
        path.write_bytes(raw)
    return path


def replace_config(change):
    def apply(file):
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)

    return apply


def repeated(file):
    """A thousand names: the file's references all lead to the first, which is long."""
    file.attrs["x"] = ["y" * 60000, *("z" * 1000)]
    file.flush()


def external(file):
    del file["model_weights/dense/dense/kernel"]
    file["model_weights/dense/dense/kernel"] = h5py.ExternalLink("/etc/passwd", "/x")



HOSTILE = {
    "a Lambda (CVE-2025-9905)": (replace_config(lambda c: c["config"]["layers"].insert(1, {
        "class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}})), "Lambda holds code"),
    "a class of anybody's": (replace_config(lambda c: c["config"]["layers"][1].update(class_name="os>system")), "Unknown"),
    "a layer larger than the file": (replace_config(
        lambda c: c["config"]["layers"][1]["config"].update(units=10**9)), "larger than all that the file holds"),
    "an external link (CVE-2026-1669)": (external, "is a soft or external link"),
    "strings that are one string": (repeated, "strings of an attribute claim"),
    "a config that is no text": (lambda f: f.attrs.__setitem__("model_config", 5), "holds no strings"),
    "a config that is no JSON": (lambda f: f.attrs.__setitem__("model_config", "{"), "can't be read"),
    "names of nothing": (lambda f: f["model_weights/dense"].attrs.__setitem__("weight_names", [b"a", b"b"]), "no dataset"),
}  # fmt: skip


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_files(title, tmp_path):
    change, reason = HOSTILE[title]
    with pytest.raises(ValueError, match=f"m.h5 can't be read.*{reason}|{reason}"):
        keras.models.load_model(hostile(tmp_path / "m.h5", change), safe_mode=False)


