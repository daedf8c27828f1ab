"""What Keras 1 and 2 called things: each word of the tables in compat/old_names.py, and scripts that use them."""

import importlib
import inspect
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from minigrad import (
    activations,
    backend,
    callbacks,
    compat,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    utils,
)
from minigrad.compat import deviations, missing, modules, old_names
from minigrad.models import Sequential
from minigrad.older import Logs

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads((ROOT / "tests/golden/decay.json").read_text())  # made by make_decay.py


@pytest.fixture(autouse=True)
def forgotten():
    """Every word warns as in a new process."""
    old_names.forget()
    yield
    old_names.forget()


@pytest.fixture
def installed():
    """keras and tensorflow are minigrad inside the test."""
    before = {n: m for n, m in sys.modules.items() if n.split(".")[0] in ("keras", "tensorflow")}
    compat.install()
    yield
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, modules.Finder)]
    for name in [n for n in sys.modules if n.split(".")[0] in ("keras", "tensorflow")]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture(autouse=True)
def no_old_modules():
    """Old modules below minigrad are imported anew in each test."""
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if type(sys.modules[name]).__module__.startswith("minigrad."):
            parent, _, last = name.rpartition(".")
            vars(sys.modules.get(parent, sys)).pop(last, None)
            del sys.modules[name]


def warned(function):
    """What a call returns, and the texts of its warnings: each must be a FutureWarning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    assert all(w.category is FutureWarning for w in caught), [str(w.message) for w in caught]
    return result, [str(w.message) for w in caught]


# --------------------------------------------------------------------------------------------------- dotted names


def _full(path):
    return f"tensorflow.{path.removeprefix('tf.')}" if path.startswith("tf.") else f"keras.{path}"


@pytest.mark.parametrize("path", old_names._modules)
def test_every_old_module_can_be_imported(path, installed):
    targets = old_names._modules[path]
    module, texts = warned(lambda: importlib.import_module(_full(path)))
    names = {n for target in targets for n in missing.offered(old_names._today(target))}
    assert names <= set(dir(module)) | set(module.__all__)
    if not targets[0].startswith(("compat", "tf")):
        assert any(f"{_full(path)} is where older Keras kept it: today keras.{targets[0]}" in text for text in texts)
        again = warned(lambda: importlib.reload(module) and None)[1]
        assert not again
    assert warned(lambda: [name for name in names if getattr(module, name) is None])[0] in ([], ["newaxis"])


@pytest.mark.parametrize("root", old_names._private)
def test_every_private_name_of_keras_as_a_whole(root, installed):
    module, texts = warned(lambda: importlib.import_module(f"{root}.layers"))
    is_old = root.partition(".")[2] not in ("src", "src.legacy", "_tf_keras", "_tf_keras.keras")  # Keras 3 has these
    assert module.Dense is layers.Dense and bool(texts) == is_old
    assert not is_old or f"{root} is where older Keras kept it: today keras." in texts


@pytest.mark.parametrize("line", [
    "from keras.engine.topology import Layer, InputSpec",
    "from keras.engine import Layer, InputSpec, Input, Model",
    "from keras.engine.training import Model",
    "from keras.api._v2.keras import activations",
    "from tensorflow.python.keras.layers import Dense, Activation",
    "from tensorflow.python.keras.optimizers import RMSprop",
    "from tensorflow.contrib.keras.python.keras.layers import Dense",
    "from tensorflow.keras.experimental import CosineDecay",
    "from keras.layers.core import Dense, Conv3D, Lambda",
    "from keras.layers.recurrent import LSTM, GRU",
    "from keras.layers.merge import concatenate, Concatenate",
    "from keras.layers.experimental.preprocessing import Rescaling, RandomFlip, Resizing",
    "from keras.layers.advanced_activations import LeakyReLU, PReLU, ELU",
    "from keras.optimizers.legacy import Adam",
    "from keras.optimizers import adam, rmsprop, adam_v2\nadam_v2.Adam",
    "from keras.utils.data_utils import get_file, Sequence",
    "from keras.utils.vis_utils import plot_model",
    "from keras.models import Graph, Input, model_from_yaml",
    "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\ntf.reduce_mean([1.0])\ntf.set_random_seed(1)",
    "import tensorflow as tf\nwith tf.device('/cpu:0'): pass",
    "import tensorflow as tf\nc = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))\n"
    "c.gpu_options.allow_growth = True\nfrom keras import backend as K\nK.set_session(tf.Session(config=c))",
    "import tensorflow as tf\nwith tf.Session() as s: s.run(tf.global_variables_initializer())",
    "import tensorflow as tf\nwith tf.get_default_graph().as_default(): pass",
    "import keras.backend.tensorflow_backend as K\nK.set_session(None)\nK.clear_session()\nK.mean",
    "from keras import backend as K\nassert K.tensorflow_backend._get_available_gpus() == []",
    "from keras.layers.containers import Sequential",
    "from keras.utils.np_utils import probas_to_classes, to_categorical",
    "import tensorflow as tf\nwith tf.device('/gpu:0'), tf.Graph().as_default(): pass",
    "from keras import objectives, initializations\nobjectives.mse, initializations.uniform",
    "from tensorflow.python.framework.ops import disable_eager_execution\ndisable_eager_execution()",
])  # fmt: skip
def test_lines_of_scripts(line, installed):
    assert warned(lambda: exec(line, {"__name__": "script"}))[1]


@pytest.mark.parametrize("line", [
    "from keras.src.callbacks.early_stopping import EarlyStopping",
    "from keras.src.layers.core.dense import Dense",
    "from keras._tf_keras.keras.losses import MeanSquaredError",
    "from tensorflow.python.client import device_lib\nassert device_lib.list_local_devices()[0].device_type == 'CPU'",
    "import tensorflow as tf\ntf.logging.set_verbosity(tf.logging.WARN)",
    "import tensorflow.compat.v1 as tf\nassert float(tf.reduce_mean([1.0])) == 1",
    "from keras.preprocessing.image import ImageDataGenerator, load_img",
    "from keras_preprocessing.image import ImageDataGenerator as a\nfrom tensorflow.keras.preprocessing.image import ImageDataGenerator as b\nassert a is b",
    "from keras.src.legacy.preprocessing.image import ImageDataGenerator as a\nfrom keras.preprocessing import image\nassert a is image.ImageDataGenerator",
    "from keras.preprocessing import image, sequence",
    "from keras.applications.vgg16 import VGG16, preprocess_input",
    "import keras.applications.vgg16 as vgg",
    "from keras.layers import Conv3D, LSTM, Merge, Attention, Highway, MaxoutDense",
    "from minigrad.layers import Conv3D, LSTM\nassert not isinstance(3, LSTM)",
    "import minigrad.applications.vgg16",
    "try:\n    import nothing_of_that_name\nexcept ImportError as error:\n    from keras.layers import Conv3D",
    "def f():\n    from keras.layers import Conv3D\n    return Conv3D\nf()",
    "with open(__file__):\n    from keras.layers import Conv3D",
])  # fmt: skip
def test_lines_that_need_no_warning(line, installed):
    """Names that are not there can be imported; what is merely a place of TensorFlow's is as good as today's."""
    assert not warned(lambda: exec(line, {"__name__": "script", "__file__": __file__}))[1]


@pytest.mark.parametrize("line, words", [
    ("from keras.layers import Conv3D\nConv3D(3)", "no volumes"),
    ("from keras.layers import Conv3D\nclass A(Conv3D): pass", "no volumes"),
    ("from keras.layers import Conv3D\nConv3D.x", "no volumes"),
    ("from keras.layers.convolutional import Conv3D\nConv3D(3)", "no volumes"),
    ("import keras.applications.vgg16 as vgg\nvgg.VGG16()", "no networks that are trained already"),
    ("from keras.layers import Desne", "Did you mean 'Dense'"),
    ("try:\n    from keras.layers import Conv3D\nexcept ImportError as e:\n    raise e", "no volumes"),
    ("try:\n    import keras.applications\nexcept ImportError as e:\n    raise e", "no networks that are trained already"),
    ("try:\n    from minigrad.layers import Conv3D\nexcept ImportError as e:\n    raise e", "no volumes"),
    ("import keras.layers.nothing", "keras.layers.nothing"),
    ("from keras.metrics import fmeasure\nfmeasure([1.0], [1.0])", "F1Score()"),
    ("from tensorflow.keras.utils import multi_gpu_model\nmulti_gpu_model(3)", "among processes"),
])  # fmt: skip
def test_what_is_not_there_raises_when_it_is_used(line, words, installed):
    with pytest.raises((ImportError, AttributeError), match=words.replace("(", "\\(").replace(")", "\\)")):
        warned(lambda: exec(line, {"__name__": "script"}))


def test_whether_a_name_exists_is_answered_honestly(installed):
    keras = importlib.import_module("keras")
    assert not hasattr(keras.layers, "Conv3D") and not hasattr(keras, "applications")
    assert importlib.util.find_spec("keras.applications") is None
    assert importlib.util.find_spec("minigrad.applications") is None
    assert "Conv3D" not in keras.layers.__all__ and getattr(keras.layers, "Conv3D", None) is None
    exec("from keras.layers import Conv3D", {})
    assert not hasattr(keras.layers, "Conv3D")


# ------------------------------------------------------------------------- names, strings, arguments, attributes


@pytest.mark.parametrize("path", old_names._names)
def test_every_old_name_warns_once_and_means_what_it_says(path, installed):
    place, _, last = _full(path).rpartition(".")
    module = importlib.import_module(place)
    found, texts = warned(lambda: getattr(module, last))
    new = old_names._names[path]
    if not texts and new != "-":  # there today, but not as a string
        assert not path.startswith("tf.") and not inspect.ismodule(found)
        return
    if new == "-":
        assert not texts
        result, texts = warned(lambda: found(1))
        assert not result
    elif not new.startswith(":"):
        assert found is old_names._today(new) and f"today {new}" in texts[0]
    assert len([text for text in texts if path.rpartition(".")[2] in text]) == 1
    assert not warned(lambda: found(1) if new == "-" else getattr(module, last))[1]


@pytest.mark.parametrize("module, old, today", [
    (losses, "kullback_leibler_divergence", "kl_divergence"), (losses, "logcosh", "log_cosh"),
    (losses, "cosine_proximity", "cosine_similarity"), (losses, "huber_loss", "huber"), (losses, "MSE", "mse"),
    (metrics, "kld", "kl_divergence"), (metrics, "logcosh", "log_cosh_error"), (constraints, "maxnorm", "max_norm"),
    (constraints, "nonneg", "non_neg"), (initializers, "uniform", "random_uniform"), (initializers, "one", "ones"),
    (regularizers, "activity_l2", "l2"), (activations, "ReLU", "relu"), (optimizers, "ADAM", "adam"),
])  # fmt: skip
def test_old_strings(module, old, today):
    found, other = warned(lambda: module.get(old))[0], module.get(today)
    assert found is other or type(found) is type(other)


def test_an_activation_that_was_a_layer_keeps_its_slope():
    layer = warned(lambda: layers.Dense(2, activation="LeakyReLU"))[0]
    assert layer.activation(np.array([[-1.0]], "float32")).numpy() == np.float32(-0.3)


@pytest.mark.parametrize("word", ["fmeasure", "matthews_correlation"])
def test_metrics_that_are_gone_name_the_way_out(word):
    with pytest.raises(ValueError, match="older Keras that minigrad does not have: (use metrics|compute it)"):
        Sequential([layers.Dense(1)]).compile("sgd", "mse", metrics=[word])


NEEDED = {"Dense": {"units": 3}, "Embedding": {"input_dim": 5, "output_dim": 2}, "Dropout": {"rate": 0.5},
          "AlphaDropout": {"rate": 0.5}, "Layer": {},
          "GaussianDropout": {"rate": 0.5}, "GaussianNoise": {"stddev": 0.5}, "Reshape": {"target_shape": (2, 1)},
          "ModelCheckpoint": {"filepath": "m.keras"}, "to_categorical": {"x": [0, 2]}}  # fmt: skip
VALUES = {"units": 4, "kernel_initializer": "he_normal", "use_bias": False, "kernel_regularizer": "l2",
          "bias_regularizer": "l1", "kernel_constraint": "non_neg", "bias_constraint": "non_neg", "rate": 0.25,
          "stddev": 0.1, "negative_slope": 0.2, "threshold": 0.5, "alpha_initializer": "ones", "dtype": "float64",
          "target_shape": (1, 2), "beta_initializer": "ones", "gamma_initializer": "zeros", "l1": 0.1, "l2": 0.1,
          "max_value": 3, "min_value": 0.5, "minval": -1.0, "maxval": 2.0, "min_delta": 0.5, "num_classes": 5,
          "embeddings_initializer": "ones", "embeddings_regularizer": "l2", "embeddings_constraint": "non_neg",
          "x": [0, 2]}  # fmt: skip
CONVERTED = {  # (who, old arguments): today's
    ("Layer", "batch_input_shape"): ((None, 4), {"input_shape": (4,)}),
    ("Layer", "input_length"): (7, {"input_shape": (7,)}),
    ("BatchNormalization", "mode"): (0, {}),
    ("RandomUniform", "scale"): (0.2, {"minval": -0.2, "maxval": 0.2}),
    ("ModelCheckpoint", "period"): (1, {}),
}
IN_A_MODEL = {("Model.fit", "show_accuracy"), ("Model.evaluate", "show_accuracy"), ("Model.compile", "metrics"),
              ("Model.compile", "loss_weights"), ("Model.compile", "steps_per_execution"), ("Layer", "weights"),
              ("Dense", "activation"), ("load_img", "grayscale"),
              ("Model.fit", "workers")}  # fmt: skip


def _who(name):
    for module in (layers, callbacks, constraints, regularizers, initializers, utils):
        if hasattr(module, name):
            return getattr(module, name)


def _told(thing):
    """What tells two objects apart."""
    config = thing.get_config() if hasattr(thing, "get_config") else getattr(thing, "__dict__", thing)
    kept = {k: v for k, v in config.items() if k != "name"} if isinstance(config, dict) else config
    return repr(kept), getattr(thing, "_input_shape_argument", None)


RULES = [(who, old, new) for who, rules in old_names._arguments.items() for old, new in rules.items()
         if not who.startswith(("Model", "optimizers", "layers.")) and (who, old) not in IN_A_MODEL]  # fmt: skip


@pytest.mark.parametrize("who, old, new", RULES)
def test_every_old_argument_means_todays(who, old, new):
    needed, make = dict(NEEDED.get(who, {})), _who(who)
    value, today = CONVERTED.get((who, old), (VALUES.get(new, 1), {} if new == "-" else {new: VALUES.get(new)}))
    rest = {name: v for name, v in needed.items() if name not in today}
    found, texts = warned(lambda: make(**rest, **{old: value}))
    assert _told(found) == _told(make(**{**needed, **today}))
    assert len(texts) == 1 and f"({old}=" in texts[0]
    assert not warned(lambda: make(**rest, **{old: value}))[1]


@pytest.mark.parametrize("kind, old, today", [
    ("Convolution2D", {"nb_filter": 4, "nb_row": 3, "nb_col": 2}, {"filters": 4, "kernel_size": (3, 2)}),
    ("Convolution1D", {"nb_filter": 4, "filter_length": 3}, {"filters": 4, "kernel_size": 3}),
    ("Convolution1D", {"filters": 4, "kernel_size": 3, "subsample_length": 2}, {"filters": 4, "kernel_size": 3, "strides": 2}),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "border_mode": "same", "subsample": (2, 2)},
     {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "init": "he_normal", "bias": False, "dim_ordering": "tf"},
     {"filters": 4, "kernel_size": 3, "kernel_initializer": "he_normal", "use_bias": False}),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "W_regularizer": "l2", "b_regularizer": "l1", "W_constraint": "non_neg"},
     {"filters": 4, "kernel_size": 3, "kernel_regularizer": "l2", "bias_regularizer": "l1", "kernel_constraint": "non_neg"}),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "atrous_rate": 2, "b_constraint": "non_neg"},
     {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "bias_constraint": "non_neg"}),
    ("MaxPooling1D", {"pool_length": 3, "stride": 1}, {"pool_size": 3, "strides": 1}),
    ("MaxPooling2D", {"border_mode": "same", "dim_ordering": "tf"}, {"padding": "same"}),
])  # fmt: skip
def test_old_arguments_of_convolutions(kind, old, today):
    make = getattr(layers, kind)
    found, texts = warned(lambda: make(**old))
    assert _told(found) == _told(make(**today))
    assert len(texts) == len(old.keys() - today.keys() - {"nb_col"})


@pytest.mark.parametrize("kind", ["Convolution2D", "SeparableConvolution2D", "Conv2DTranspose"])
def test_lines_and_columns_of_a_kernel_one_by_one(kind):
    make = getattr(layers, kind)
    found = warned(lambda: make(4, 3, 2, border_mode="same", subsample=(2, 2)))[0]
    assert _told(found) == _told(make(4, (3, 2), (2, 2), padding="same"))
    assert make(4, 3, 2, padding="same").strides == (2, 2)  # without an old word, as in Keras 3


def test_old_arguments_of_recurrent_layers():
    old = {"output_dim": 3, "inner_activation": "hard_sigmoid", "inner_init": "glorot_uniform", "dropout_W": 0.1,
           "dropout_U": 0.2, "consume_less": "gpu", "forget_bias_init": "zero", "U_regularizer": "l2", "input_dim": 5, "input_length": 7}  # fmt: skip
    found, texts = warned(lambda: layers.LSTM(**old))
    today = layers.LSTM(
        3, recurrent_activation="hard_sigmoid", recurrent_initializer="glorot_uniform", dropout=0.1,
        recurrent_dropout=0.2, recurrent_regularizer="l2", input_shape=(7, 5), unit_forget_bias=False,
    )  # fmt: skip
    assert _told(found) == _told(today) and found._input_shape_argument == (7, 5)
    assert len(texts) == 9


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam"])
def test_optimizers_take_lr_and_decay(name):
    make = getattr(optimizers, name)
    found, texts = warned(lambda: make(lr=1, decay=0.0))
    assert float(found.learning_rate) == 1 and len(texts) == 2 and "learning_rate=1.0" in texts[0]
    found = warned(lambda: make(decay=0.5))[0]
    assert float(found.learning_rate) == float(make().learning_rate)
    assert isinstance(found._learning_rate, optimizers.schedules.InverseTimeDecay)
    with pytest.raises(ValueError, match="lr"):
        make(lr=0.1, learning_rate=0.2)
    with pytest.raises(ValueError, match="Leave decay out"):
        make(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), decay=0.1)
    if name != "SGD":
        assert warned(lambda: make(epsilon=None))[0].epsilon == 1e-7


@pytest.mark.parametrize("name", GOLDEN)
def test_lr_and_decay_train_as_in_keras_2(name):
    x = np.sin(np.arange(60, dtype="float32")).reshape(20, 3)
    y = (x @ [[0.5], [-1.0], [0.25]] > 0).astype("float32")
    model = Sequential([layers.Dense(1, activation="sigmoid", input_shape=(3,))])
    model.set_weights([np.full((3, 1), 0.1, "float32"), np.zeros(1, "float32")])
    model.compile(warned(lambda: getattr(optimizers, name)(**GOLDEN[name]["options"]))[0], "binary_crossentropy")
    model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    weights = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(weights, GOLDEN[name]["weights"], atol=1e-5)


def test_the_functional_model_of_keras_1():
    x = layers.Input((3,))
    made, texts = warned(lambda: models.Model(input=x, output=layers.Dense(2)(x)))
    assert made.predict(X, verbose=0).shape == (40, 2) and len(texts) == 2


def test_callbacks_change_the_rate_before_the_decay(tmp_path):
    """As in Keras 2, where lr was a variable and decay a factor; files have the schedule of today."""
    sgd = warned(lambda: optimizers.SGD(lr=0.5, decay=0.25))[0]
    made = model(optimizer=sgd)
    rates = []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(float(sgd._present_rate())))
    change = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    made.fit(X, Y, batch_size=20, epochs=2, callbacks=[change, watch], verbose=0)
    assert float(sgd.learning_rate) == float(sgd.lr) == 0.125
    np.testing.assert_allclose(rates, [0.25 / (1 + 0.25 * 2), 0.125 / (1 + 0.25 * 4)], rtol=1e-6)
    backend.set_value(sgd.lr, 0.1)
    made.save(tmp_path / "m.keras")
    rate = models.load_model(tmp_path / "m.keras").optimizer._learning_rate
    assert type(rate) is optimizers.schedules.InverseTimeDecay
    assert rate.get_config()["initial_learning_rate"] == pytest.approx(0.1) and rate.decay_rate == 0.25


@pytest.mark.parametrize("owner, arguments, words", [
    (layers.BatchNormalization, {"mode": 1}, "LayerNormalization"),
    (layers.BatchNormalization, {"mode": 2}, "Leave mode out"),
    (layers.Dense, {"units": 2, "weights": [1]}, "layer.set_weights"),
    (layers.Dense, {"units": 64, "activation": 20}, r"today Dense\(20, input_dim=64\)"),
    (layers.Dense, {"output_dim": 2, "units": 3}, "output_dim"),
])  # fmt: skip
def test_what_can_not_be_taken_says_why(owner, arguments, words):
    with pytest.raises((ValueError, TypeError), match=words):
        owner(**arguments)


# ------------------------------------------------------------------------------------------------------ a model


X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def model(**compiled):
    made = Sequential([layers.Dense(1, activation="sigmoid", input_shape=(3,))])
    made.set_weights([np.full((3, 1), 0.1, "float32"), np.zeros(1, "float32")])
    made.compile(**{"optimizer": "sgd", "loss": "binary_crossentropy", "metrics": ["accuracy"], **compiled})
    return made


def batches(rows=8):
    while True:
        for start in range(0, 40, rows):
            yield X[start : start + rows], Y[start : start + rows]


@pytest.mark.parametrize("who", ["compile", "fit", "evaluate", "predict"])
def test_arguments_of_a_model_without_effect(who):
    data = {"compile": ("sgd", "mse"), "fit": (X, Y), "evaluate": (X, Y), "predict": (X,)}[who]
    for old, new in old_names._arguments[f"Model.{who}"].items():
        if new in ("-", ":show_accuracy"):
            texts = warned(lambda: getattr(model(), who)(*data, **{old: 1}, **({} if who == "compile" else {"verbose": 0})))
            assert len(texts[1]) == 1 and f"Model.{who}({old}=1) has no effect" in texts[1][0]


def test_old_values_of_arguments():
    made, texts = warned(lambda: model(metrics="accuracy"))
    assert "metrics=['accuracy']" in texts[0]
    history, texts = warned(lambda: made.fit(X, Y, nb_epoch=2, verbose="0", validation_data=[X, Y]))
    assert len(history.epoch) == 2 and len(texts) == 2
    third, texts = warned(lambda: made.compile("sgd", "mse", ["accuracy"]))
    assert "Model.compile(loss_weights=['accuracy'])" in texts[0] and "metrics=['accuracy']" in texts[0]
    assert set(made.fit(X, Y, verbose=0).history) == {"loss", "accuracy"}


def test_generators_of_keras_2_and_of_keras_1():
    expected = model().fit(batches(), steps_per_epoch=5, epochs=2, validation_data=batches(), validation_steps=2, verbose=0)
    two, texts = warned(lambda: model().fit_generator(
        batches(), steps_per_epoch=5, epochs=2, validation_data=batches(), validation_steps=2, verbose=0,
        max_queue_size=3, workers=2, use_multiprocessing=False,
    ))  # fmt: skip
    assert two.history == expected.history and texts == [
        "Model.fit_generator is what older Keras called it. Today: fit(generator, ...)."
    ]
    one = warned(lambda: model().fit_generator(
        batches(), samples_per_epoch=40, nb_epoch=2, validation_data=batches(), nb_val_samples=16, verbose=0,
        max_q_size=3, nb_worker=2, pickle_safe=True,
    ))[0]  # fmt: skip
    assert one.history == expected.history
    made = model()
    three, texts = warned(lambda: made.fit(batches(), steps_per_epoch=4.5, epochs=2, validation_data=batches(), validation_steps=2.0, verbose=0))
    assert three.history == expected.history and "fit(steps_per_epoch=4.5)" in texts[0] and "today steps_per_epoch=5" in texts[0]
    made = model()
    assert warned(lambda: made.evaluate_generator(batches(), steps=5, workers=2))[0] == made.evaluate(X, Y, 8, verbose=0)
    assert warned(lambda: made.evaluate_generator(batches(), val_samples=40))[0] == made.evaluate(X, Y, 8, verbose=0)
    found = warned(lambda: made.predict_generator((x for x, _ in batches()), steps=5, max_queue_size=2))[0]
    assert np.array_equal(found, made.predict(X, 8, verbose=0))


def test_arguments_that_stood_elsewhere():
    """Keras 1: Dense(output_dim, init, activation); Keras 2: SGD(lr, momentum, decay, nesterov), Adam(..., decay)."""
    dense = warned(lambda: layers.Dense(3, "uniform", "relu"))[0]
    assert _told(dense) == _told(layers.Dense(3, "relu", kernel_initializer="uniform"))
    assert layers.Dense(3, "relu").activation is activations.relu
    for wrong in ("rleu", {"class_name": "nothing", "config": {}}, [], np.zeros(2)):
        with pytest.raises(ValueError, match="activation"):
            layers.Dense(3, wrong)
    sgd, texts = warned(lambda: optimizers.SGD(0.1, 0.9, 0.5, True))
    assert sgd._learning_rate.get_config()["decay_rate"] == 0.5 and sgd.nesterov is True and sgd.weight_decay is None
    assert len(texts) == 1 and "SGD(nesterov=0.5)" in texts[0]
    adam = warned(lambda: optimizers.Adam(0.1, 0.9, 0.99, 1e-8, 0.5))[0]
    assert adam._learning_rate.initial_learning_rate == 0.1 and adam.amsgrad is False
    assert warned(lambda: optimizers.Adam(0.1, 0.9, 0.99, 1e-8, 0.0))[0].amsgrad is False
    with pytest.raises(ValueError, match="centered must be True or False, got 0.5"):
        optimizers.RMSprop(centered=0.5)


def test_predict_classes_and_proba():
    made = model()
    assert hasattr(made, "predict_classes") and not hasattr(made, "predict_nothing")
    found, texts = warned(lambda: made.predict_classes(X))
    assert np.array_equal(found, (made.predict(X, verbose=0) > 0.5).astype(int)) and len(texts) == 1
    several = Sequential([layers.Dense(3, activation="softmax", input_shape=(3,))])
    assert np.array_equal(warned(lambda: several.predict_classes(X))[0], several.predict(X, verbose=0).argmax(-1))
    assert np.array_equal(warned(lambda: made.predict_proba(X))[0], made.predict(X, verbose=0))
    with pytest.raises(RuntimeError, match="to_json"):
        warned(made.to_yaml)


def test_attributes():
    dense = model().layers[0]
    (kernel, bias), texts = warned(lambda: (dense.W, dense.b))
    assert kernel is dense.kernel and bias is dense.bias and len(texts) == 2
    metric = metrics.Mean()
    metric.update_state([1.0])
    warned(metric.reset_states)
    assert float(metric.result()) == 0


@pytest.mark.parametrize("old", old_names._keys)
def test_old_keys_of_logs(old):
    new = old_names._keys[old][0]
    logs = Logs({new: 1, f"val_{new}": 2})
    found, texts = warned(lambda: (logs[old], logs[f"val_{old}"], logs.get(old)))
    assert found == (1, 2, 1) and len(texts) == 1 and old not in logs
    with pytest.raises(KeyError):
        Logs({"other": 1})[old]
    assert logs == {new: 1, f"val_{new}": 2} and type(pickle.loads(pickle.dumps(logs))) is dict


def test_history_and_callbacks_answer_to_acc(tmp_path):
    best = callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{val_acc:.2f}.keras", "val_acc", save_best_only=True)
    stop = callbacks.EarlyStopping("val_acc", patience=9)
    fit = lambda: model().fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[best, stop], verbose=0)
    history, texts = warned(fit)
    assert len(texts) == 1 and "'acc'" in texts[0] and best._direction == "max"
    assert warned(lambda: history.history["acc"])[0] == history.history["accuracy"]
    assert [p.name[:3] for p in tmp_path.iterdir()].count("01-") == 1
    assert set(model(metrics=["acc"]).fit(X, Y, verbose=0).history) == {"acc", "loss"}
    assert warned(lambda: model(metrics=["acc"]).fit(X, Y, verbose=0).history["accuracy"])[0]


def test_a_checkpoint_every_so_many_epochs(tmp_path):
    saved = warned(lambda: callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", period=2))[0]
    model().fit(X, Y, epochs=5, callbacks=[saved], verbose=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2.keras", "4.keras"]


def test_every_conversion_of_an_argument_is_tested():
    tested = {old_names._arguments[who][old] for who, old in (*CONVERTED, *IN_A_MODEL)}
    rules = {new for rules in old_names._arguments.values() for new in rules.values() if new[0] == ":"}
    own_tests = {":lr", ":decay", ":epsilon", ":verbose", ":flag", ":nb_row", ":dim_ordering", ":forget_bias_init"}
    own_tests |= {":steps", ":steps_per_epoch", ":validation_steps"}
    assert rules - tested == own_tests


def test_differences_list_every_old_word():
    text = " ".join(deviations.report().split())
    for word in (*old_names._modules, *old_names._names, *old_names._keys, "Dense(init=)", "Model.fit_generator"):
        assert word in text


def test_who_uses_no_old_word_does_not_load_the_tables():
    code = "import sys, minigrad as k; m = k.Sequential([k.layers.Dense(1), k.layers.BatchNormalization()]); "
    code += "m.build((None, 2)); "
    code += "m.compile('adam', 'mse', metrics=['mae']); k.models.clone_model(m); m.get_config(); m.to_json(); "
    code += "assert not [m for m in sys.modules if m.startswith('minigrad.compat')]"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0


def test_what_each_old_word_means_is_told_in_words():
    for old, today in old_names.described():
        assert today and not today.startswith(("today :", "today ()", "today -")), old
    assert "keras.src," not in deviations.report(), "it is not old"
