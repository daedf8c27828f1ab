"""What Keras 1 and 2 called things: each word of the tables in compat/old_names.py, and scripts that use them."""

import importlib
import sys
import warnings

import pytest

from minigrad import (
    compat,
    layers,
    missing,
)
from minigrad.compat import modules, old_names


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
    names = {n for target in targets for n in missing.public(old_names._today(target))}
    assert names <= set(dir(module)) | set(module.__all__)
    if not targets[0].startswith(("compat", "tf")):
        assert any(f"{_full(path)} is where older Keras kept it: today keras.{targets[0]}" in text for text in texts)
        again = warned(lambda: importlib.reload(module) and None)[1]
        assert not again
    for name in list(names)[:3]:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("root", old_names._private)
def test_every_private_name_of_keras_as_a_whole(root, installed):
    module, texts = warned(lambda: importlib.import_module(f"{root}.layers"))
    assert module.Dense is layers.Dense
    assert any(f"{root} is where older Keras kept it" in text for text in texts)


@pytest.mark.parametrize("line", [
    "from keras.src.callbacks.early_stopping import EarlyStopping",
    "from keras.src.layers.core.dense import Dense",
    "from keras.engine.topology import Layer, InputSpec",
    "from keras.engine import Layer, InputSpec, Input, Model",
    "from keras.engine.training import Model",
    "from keras._tf_keras.keras.losses import MeanSquaredError",
    "from keras.api._v2.keras import activations",
    "from tensorflow.python.keras.layers import Dense, Activation",
    "from tensorflow.python.keras.optimizers import RMSprop",
    "from tensorflow.contrib.keras.python.keras.layers import Dense",
    "from tensorflow.keras.experimental import CosineDecay",
    "from keras.layers.core import Dense, Conv2D, Lambda",
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
    "from keras import objectives, initializations\nobjectives.mse, initializations.uniform",
])  # fmt: skip
def test_lines_of_scripts(line, installed):
    assert warned(lambda: exec(line, {"__name__": "script"}))[1]


@pytest.mark.parametrize("line", [
    "from tensorflow.python.client import device_lib\nassert device_lib.list_local_devices()[0].device_type == 'CPU'",
    "import tensorflow as tf\ntf.logging.set_verbosity(tf.logging.WARN)",
    "import tensorflow.compat.v1 as tf\nassert float(tf.reduce_mean([1.0])) == 1",
    "from keras.preprocessing.image import ImageDataGenerator, load_img",
    "from keras.preprocessing import image, sequence",
    "from keras.applications.vgg16 import VGG16, preprocess_input",
    "import keras.applications.vgg16 as vgg",
    "from keras.layers import Conv3D, LSTM, Merge, CuDNNLSTM, Highway, MaxoutDense",
    "from minigrad.layers import Conv3D, LSTM\nassert not isinstance(3, LSTM)",
    "import minigrad.applications.vgg16",
])  # fmt: skip
def test_lines_that_need_no_warning(line, installed):
    """Names that are not there can be imported; what is merely a place of TensorFlow's is as good as today's."""
    assert not warned(lambda: exec(line, {"__name__": "script"}))[1]


@pytest.mark.parametrize("line, words", [
    ("from keras.layers import Conv2D\nConv2D(3)", "no convolutions"),
    ("from keras.layers import Conv2D\nclass A(Conv2D): pass", "no convolutions"),
    ("from keras.layers import Conv2D\nConv2D.x", "no convolutions"),
    ("from keras.layers.convolutional import Conv2D\nConv2D(3)", "no convolutions"),
    ("import keras.applications.vgg16 as vgg\nvgg.VGG16()", "no convolutions"),
    ("from keras.layers import Desne", "Did you mean 'Dense'"),
    ("try:\n    from keras.layers import Conv2D\nexcept ImportError as e:\n    raise e", "no convolutions"),
    ("try:\n    import keras.applications\nexcept ImportError as e:\n    raise e", "no convolutions"),
    ("try:\n    from minigrad.layers import Conv2D\nexcept ImportError as e:\n    raise e", "no convolutions"),
    ("import keras.layers.nothing", "keras.layers.nothing"),
    ("from keras.metrics import fmeasure\nfmeasure([1.0], [1.0])", "F1Score()"),
    ("from tensorflow.keras.utils import multi_gpu_model\nmulti_gpu_model(3)", "one CPU"),
])  # fmt: skip
def test_what_is_not_there_raises_when_it_is_used(line, words, installed):
    with pytest.raises((ImportError, AttributeError), match=words.replace("(", "\\(").replace(")", "\\)")):
        warned(lambda: exec(line, {"__name__": "script"}))


def test_whether_a_name_exists_is_answered_honestly(installed):
    keras = importlib.import_module("keras")
    assert not hasattr(keras.layers, "Conv2D") and not hasattr(keras, "applications")
    assert importlib.util.find_spec("keras.applications") is None
    assert importlib.util.find_spec("minigrad.applications") is None
    assert "Conv2D" not in keras.layers.__all__ and getattr(keras.layers, "LSTM", None) is None
    exec("from keras.layers import Conv2D", {})
    assert not hasattr(keras.layers, "Conv2D")
