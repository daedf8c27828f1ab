"""`python -m minigrad script.py`: the article's code to the letter, and what a script sees of keras and tensorflow."""

import inspect
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same, bare_environment, data, network

import minigrad
from minigrad import compat
from minigrad.compat import deviations, missing, tensorflow

ROOT = Path(__file__).parents[1]

ARTICLE = """
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, BatchNormalization, Activation
from tensorflow.keras.optimizers import Adam
model = Sequential([Dense(64, input_shape=(20,)), BatchNormalization(), Activation('relu'), Dense(32),BatchNormalization(),Activation('relu'),Dense(1, activation='sigmoid')
])
model.compile(optimizer=Adam(),loss='binary_crossentropy',metrics=['accuracy'])
model.summary()
"""


def run(code, tmp_path, *arguments, check=True):
    """What a script prints under `python -m minigrad`, run in a folder of its own."""
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, "-m", "minigrad", str(script), *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=bare_environment(PYTHONPATH=str(ROOT), PATH="", PYTHONIOENCODING="utf-8", HOME=str(tmp_path)),
        capture_output=True, text=True, timeout=120,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def test_the_article_runs_to_the_letter(tmp_path):
    out = run(ARTICLE, tmp_path).stdout
    assert [int(n.replace(",", "")) for n in re.findall(r"│ +([\d,]+) │$", out, re.M)] == [1344, 256, 0, 2080, 128, 0, 33]
    for line in ("Total params: 3,841", "Trainable params: 3,649", "Non-trainable params: 192"):
        assert line in out
    assert 'Model: "sequential"' in out


@pytest.mark.parametrize("imports", [
    "import keras",
    "from tensorflow import keras",
    "import tensorflow as tf; keras = tf.keras",
    "import tensorflow.keras as keras",
])
def test_every_way_to_import(imports, tmp_path):
    code = f"{imports}\nprint(keras.layers.Dense.__module__, keras.Sequential.__module__, keras.utils.set_random_seed)"
    out = run(code, tmp_path).stdout
    assert "minigrad.layers.core minigrad.models.sequential" in out


def test_a_script_beside_a_clone(tmp_path):
    """A folder of the name minigrad, which holds the package and is none, must not be taken for it."""
    (tmp_path / "minigrad" / "minigrad").mkdir(parents=True)
    (tmp_path / "minigrad" / "minigrad" / "__init__.py").touch()
    assert run("import minigrad; print(minigrad.Sequential.__name__)", tmp_path).stdout == "Sequential\n"


def test_versions(tmp_path):
    out = run("import keras, tensorflow as tf\nprint(keras.__version__, tf.__version__)", tmp_path).stdout.split()
    assert out[0] == out[1] and out[0][0].isdigit()


def test_the_script_is_main_and_has_its_arguments(tmp_path):
    code = "import sys, keras\nprint(__name__, sys.argv[1:])\nfrom keras.layers import *\nprint(Dense)"
    out = run(code, tmp_path, "--epochs", "3").stdout
    assert "__main__ ['--epochs', '3']" in out and "Dense" in out


def test_modules_beside_the_script_are_found(tmp_path):
    (tmp_path / "beside.py").write_text("import keras\nname = keras.Sequential.__name__")
    assert run("import beside; print(beside.name)", tmp_path).stdout.strip() == "Sequential"


def test_the_real_ones_are_never_imported(tmp_path):
    for name in ("keras", "tensorflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the real one')")
    code = "import keras, tensorflow, sys\nprint(type(sys.modules['keras']).__module__)"
    assert run(code, tmp_path).stdout.strip() == "minigrad.compat.modules"


def test_every_way_to_import_from_a_module(tmp_path):
    code = """
import tensorflow as tf
import keras.layers as L
from tensorflow.keras import layers, backend as K
from tensorflow.keras.utils import to_categorical
from keras.config import floatx
assert L.Dense is layers.Dense is tf.keras.layers.Dense and K.floatx() == floatx() == tf.keras.config.floatx()
from tensorflow.compat.v1.logging import ERROR
from tensorflow.errors import InvalidArgumentError
from tensorflow.losses import mse
from tensorflow.initializers import HeNormal
assert ERROR == 40 and InvalidArgumentError is tf.errors.InvalidArgumentError and mse is tf.keras.losses.MSE
assert to_categorical([1]).tolist() == [[0, 1]] and K.mean(tf.constant([1.0, 3.0])).numpy() == 2
print(tf.keras.Sequential.__name__, tf.keras.Input.__name__, tf.keras.backend.epsilon())
"""
    assert run(code, tmp_path).stdout.split() == ["Sequential", "Input", "1e-07"]


MISSING = [
    ("from keras import layers\nlayers.Conv3D", ["keras.layers.Conv3D: minigrad convolves sequences and images", "Conv2D", "README"]),
    ("from tensorflow.keras.layers import ConvLSTM2D\nConvLSTM2D(3)", ["tensorflow.keras.layers.ConvLSTM2D", "use Keras"]),
    ("import keras\nkeras.Sequentail", ["did you mean", "Sequential"]),
    ("import keras\nkeras.layers.Merge()", ["Concatenate"]),
    ("from keras import mixed_precision\nmixed_precision.set_global_policy('mixed_float16')", ["mixed_precision", "float32 or float64"]),
    ("from tensorflow.keras.mixed_precision import set_global_policy\nset_global_policy('mixed_float16')", ["mixed_precision", "leave the line out"]),
    ("from keras.datasets import mnist\nmnist.load_data('/no/such/file')", ["downloads no data", "/no/such/file"]),
    ("from tensorflow.keras.datasets import cifar", ["keras.datasets.cifar", "cifar10"]),
    ("import tensorflow as tf\ntf.feature_column.numeric_column('a')", ["tensorflow.feature_column", "FeatureSpace"]),
    ("import tensorflow as tf\ntf.gradients()", ["tensorflow.gradients", "GradientTape"]),
    ("import tensorflow as tf\ntf.data.TFRecordDataset", ["tensorflow.data.TFRecordDataset: minigrad has Dataset", "generators"]),
    ("from tensorflow.data import TFRecordDataset\nTFRecordDataset('a')", ["tensorflow.data.TFRecordDataset: minigrad has Dataset"]),
    ("import tensorflow as tf\ntf.reduce_sums", ["did you mean 'reduce_sum'", "among others"]),
    ("import tensorflow as tf\ntf.math.lgamma", ["tensorflow.math.lgamma"]),
    ("import tensorflow as tf\ntf.reduce_sum([1.0], axes=0)", ["tf.reduce_sum, under minigrad, takes input_tensor, axis, keepdims; got 'axes'"]),
    ("from tensorflow.compat.v1 import placeholder\nplaceholder(3)", ["tensorflow.compat.v1.placeholder", "TensorFlow 1"]),
    ("import tensorflow as tf\ntf.placeholder", ["tensorflow.placeholder", "TensorFlow 1"]),
    ("import tensorflow as tf\ntf.debugging.assert_shapes", ["assert_shapes", "x.shape"]),
    ("import keras.applications\nkeras.applications.VGG16()", ["keras.applications", "no networks that are trained already"]),
    ("import keras.nothing", ["keras.nothing", "layers"]),
]  # fmt: skip


@pytest.mark.parametrize("code, words", MISSING)
def test_what_is_not_there_says_what_to_do(code, words, tmp_path, installed):
    """In this process: the same modules that a script sees."""
    with pytest.raises((ImportError, AttributeError, ValueError, TypeError, FileNotFoundError)) as error:
        exec(code, {})
    for word in words:
        assert word.lower() in str(error.value).lower()


def test_a_script_that_uses_what_is_not_there_ends_with_the_reason(tmp_path):
    done = run("from keras.layers import Conv3D\nprint('imported')\nConv3D(3)", tmp_path, check=False)
    assert done.returncode == 1 and done.stdout.strip() == "imported"
    assert "minigrad has no keras.layers.Conv3D" in done.stderr


@pytest.fixture
def installed():
    """keras and tensorflow are minigrad inside the test."""
    before = {n: m for n, m in sys.modules.items() if n.split(".")[0] in ("keras", "tensorflow")}
    compat.install()
    yield
    compat.uninstall()
    sys.modules.update(before)


@pytest.mark.filterwarnings("ignore:keras.src is where")  # once per process, whoever asks first
def test_models_in_memory(installed):
    """How scikeras keeps the models of its estimators, found where Keras 3 has it."""
    from keras.src.saving.saving_lib import load_model, save_model

    model, memory = network(), io.BytesIO()
    save_model(model, memory)
    memory.seek(0)
    again = load_model(memory)
    assert_same(again.get_weights(), model.get_weights())
    assert again.optimizer is not None and load_model(io.BytesIO(memory.getvalue()), compile=False).optimizer is None
    with pytest.raises(ValueError, match="can't be read"):
        load_model(io.BytesIO(b"no model"))


def test_no_remedy_is_given_for_what_is_there():
    assert not [name for name in minigrad.layers.__all__ if missing.remedy(f"layers.{name}") is not None]
    for name in missing.REMEDIES:
        found, parts = minigrad if not name.startswith("tf.") else tensorflow.tensorflow(), name.removeprefix("tf.").split(".")
        for part in parts:
            found = getattr(found, part, None)
        assert found is None, f"{name} is there"


@pytest.mark.parametrize("name, words", [
    ("layers.Conv3D", ["has no layers.Conv3D", "no volumes"]), ("applications", ["has no applications", "no networks that are trained already"]),
    ("layers.Dens", ["Did you mean 'Dense'"]), ("optimizers.Nadm", ["Did you mean 'Nadam'", "minigrad.optimizers has"]),
    ("ops.svd", ["numpy.linalg"]), ("Sequental", ["Did you mean 'Sequential'"]), ("layers._x", ["There is no minigrad.layers._x"]),
])  # fmt: skip
def test_minigrad_itself_explains_what_it_lacks(name, words):
    """Also after `import minigrad as keras`."""
    *parents, last = name.split(".")
    module = getattr(minigrad, parents[0]) if parents else minigrad
    with pytest.raises(AttributeError) as caught:
        getattr(module, last)
    assert all(word in str(caught.value) for word in words)
    assert not hasattr(module, last)


@pytest.mark.parametrize("name, word", [("gradients", "GradientTape"), ("placeholder", "Input")])
def test_functions_of_old_backends_have_remedies(name, word):
    with pytest.raises(AttributeError, match=f"minigrad has no backend.{name}: .*{word}"):
        getattr(minigrad.backend, name)


def test_remedies_hold_for_all_below_a_name():
    assert missing.remedy("applications.vgg16.VGG16") == missing.REMEDIES["applications"]
    assert missing.remedy("layers.Nothing") is None and missing.remedy("nothing") is None


def test_the_list_of_differences(tmp_path):
    done = subprocess.run([sys.executable, "-m", "minigrad", "--differences"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for words in ("Where minigrad differs from Keras 3", "What it does not have", "layers.*Conv3D*", "tf.data"):
        assert words in done.stdout
    for row in (row for rows in deviations.deviations().values() for row in rows):
        assert len(row) == 3 and all(row) and row[0] in done.stdout


# ------------------------------------------------------------------------------------------------ tensorflow

A, B = np.array([[0.5, -1.5, 2.0], [1.0, 3.0, -0.25]], "float32"), np.array([[1.0, 2.0, -2.0]], "float32")
TENSORFLOW = [
    ("tf.reduce_mean(A)", A.mean()), ("tf.reduce_sum(A, axis=1, keepdims=True)", A.sum(1, keepdims=True)),
    ("tf.reduce_max(input_tensor=A, axis=0)", A.max(0)), ("tf.reduce_any(A > 2)", True), ("tf.math.reduce_std(A)", A.std()),
    ("tf.square(A)", A * A), ("tf.abs(A)", np.abs(A)), ("tf.math.log(tf.abs(A))", np.log(np.abs(A))),
    ("tf.cast(A > 0, tf.float32)", (A > 0) * 1.0), ("tf.cast(A, dtype='int32')", A.astype(int)),
    ("tf.where(A > 0, A, 0.0)", np.maximum(A, 0)), ("tf.constant([1, 2], dtype=tf.float32)", [1, 2]),
    ("tf.constant(3.0, shape=(2,))", [3, 3]), ("tf.maximum(A, 0.0)", np.maximum(A, 0)), ("tf.pow(A, 2)", A * A),
    ("tf.add(A, B, name='sum')", A + B), ("tf.math.divide_no_nan(A, 0.0)", 0 * A), ("tf.math.floormod(A, 2.0)", A % 2),
    ("tf.argmax(A)", A.argmax(0)), ("tf.argmax(A, axis=1)", A.argmax(1)), ("tf.clip_by_value(A, 0.0, 1.0)", A.clip(0, 1)),
    ("tf.concat([A, A], axis=1)", np.concatenate([A, A], 1)), ("tf.stack([A, A])", np.stack([A, A])),
    ("tf.expand_dims(A, -1)", A[..., None]), ("tf.squeeze(B)", B[0]), ("tf.reshape(A, (-1,))", A.ravel()),
    ("tf.transpose(A)", A.T), ("tf.transpose(A, perm=[1, 0])", A.T), ("tf.shape(A)[0]", 2), ("tf.size(A)", 6), ("tf.rank(A)", 2),
    ("tf.constant(A).get_shape().as_list()", [2, 3]), ("tf.TensorShape([2, None]).rank", 2), ("tf.TensorShape((4, 3)).num_elements()", 12),
    ("tf.matmul(A, tf.transpose(B))", A @ B.T), ("tf.linalg.matmul(A, B.T.copy())", A @ B.T), ("tf.tensordot(A, A, 2)", (A * A).sum()),
    ("tf.einsum('ij,kj->ik', A, B)", A @ B.T), ("tf.norm(A, axis=1)", np.linalg.norm(A, axis=1)), ("tf.zeros((2,))", [0, 0]),
    ("tf.ones([2], tf.float64)", [1, 1]), ("tf.zeros_like(A)", 0 * A), ("tf.fill([2], 7.0)", [7, 7]), ("tf.range(3)", [0, 1, 2]),
    ("tf.range(1.0, 2.0, 0.5)", [1, 1.5]), ("tf.eye(2)", np.eye(2)), ("tf.one_hot([1, 0], depth=3)", np.eye(3)[[1, 0]]),
    ("tf.gather(A, [1])", A[[1]]), ("tf.gather(A, [0, 2], axis=1)", A[:, [0, 2]]), ("tf.tile(B, [2, 1])", np.tile(B, (2, 1))),
    ("tf.split(A, 3, axis=1)[1]", A[:, 1:2]), ("tf.split(A, [1, 2], axis=1)[1]", A[:, 1:]), ("tf.unstack(A)[1]", A[1]),
    ("tf.cumsum(A)", A.cumsum(0)), ("tf.sort(A)", np.sort(A)), ("tf.reverse(A, [0])", A[::-1]), ("tf.equal(A, 2.0)", A == 2),
    ("tf.logical_and(A > 0, A < 1)", (A > 0) & (A < 1)), ("tf.math.is_nan(A)", A != A), ("tf.math.top_k(A, k=2)[0]", -np.sort(-A)[:, :2]),
    ("tf.stop_gradient(A)", A), ("tf.identity(A)", A), ("tf.convert_to_tensor(A, dtype=tf.float64)", A),
    ("tf.nn.relu(A)", np.maximum(A, 0)), ("tf.nn.leaky_relu(A)", np.where(A > 0, A, 0.2 * A)),
    ("tf.nn.leaky_relu(A, alpha=0.1)", np.where(A > 0, A, 0.1 * A)), ("tf.nn.softmax(A)", np.exp(A) / np.exp(A).sum(1, keepdims=True)),
    ("tf.nn.moments(A, axes=[0])[1]", A.var(0)), ("tf.math.l2_normalize(B, axis=1)", B / 3), ("tf.math.sigmoid(B)", 1 / (1 + np.exp(-B))),
    ("tf.nn.sigmoid_cross_entropy_with_logits(labels=np.ones_like(B), logits=B)", np.logaddexp(-B, 0)),
    ("tf.nn.softmax_cross_entropy_with_logits(labels=[[0.0, 1, 0]], logits=B)", np.log(np.exp(B).sum(1)) - 2),
    ("tf.is_tensor(tf.constant(1.0))", True), ("tf.Variable([1.0]).numpy()", [1]), ("isinstance(tf.ones(2), tf.Tensor)", True),
    ("tf.function(lambda x: x + 1)(1)", 2), ("tf.function(jit_compile=True)(lambda x: x + 1)(1)", 2), ("tf.executing_eagerly()", True),
    ("len(tf.config.list_physical_devices('GPU'))", 0), ("len(tf.config.list_physical_devices())", 1),
    ("tf.config.experimental.enable_op_determinism() is None", True), ("tf.get_logger().setLevel('ERROR') is None", True),
    ("tf.dtypes.float32 == tf.float32", True),
    ("tf.cond(tf.reduce_sum(A) > 0, lambda: A, lambda: -A)", A), ("tf.cond(False, true_fn=lambda: 1, false_fn=lambda: 2)", 2),
    ("tf.boolean_mask(A, A > 0)", A[A > 0]), ("tf.boolean_mask(A, [True, False])", A[:1]), ("tf.boolean_mask(A[None], A > 0, axis=1)", A[None][:, A > 0]),
    ("tf.boolean_mask(A, tf.constant([True, False, True]), axis=1)", A[:, [0, 2]]),
    ("tf.gather_nd(A, [[0, 2], [1, 0]])", A[[0, 1], [2, 0]]), ("tf.gather_nd(A, [[[1]], [[0]]])", A[[[1], [0]]]),
    ("tf.gather_nd(A, [[2], [1]], batch_dims=1)", A[[0, 1], [2, 1]]),
    ("tf.add_n([A, A, A])", 3 * A), ("A[:, tf.newaxis]", A[:, None]), ("tf.constant(A)[..., tf.newaxis]", A[..., None]),
    ("tf.math.squared_difference(A, B)", (A - B) ** 2), ("tf.math.count_nonzero(A > 0)", 4),
    ("tf.math.count_nonzero([[0, 2.0], [1, 3]], axis=0, keepdims=True)", [[1, 2]]),
    ("tf.math.confusion_matrix([0, 2, 2, 1], [0, 1, 2, 1])", [[1, 0, 0], [0, 1, 0], [0, 1, 1]]),
    ("tf.math.confusion_matrix([1, 0], [1, 1], num_classes=3, weights=[0.5, 2.0], dtype=tf.float32)", [[0, 2, 0], [0, 0.5, 0], [0, 0, 0]]),
    ("tf.nn.l2_loss(A)", (A * A).sum() / 2), ("tf.nn.dropout(A, rate=0.0)", A),
    ("tf.nn.weighted_cross_entropy_with_logits(labels=[[1, 0, 0.5]], logits=B, pos_weight=3.0)",
     [[3 * np.log1p(np.exp(-1.0)), np.logaddexp(2.0, 0), 1.5 * np.logaddexp(2.0, 0) + 0.5 * np.logaddexp(-2.0, 0)]]),
    ("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[2, 0], logits=A)", np.log(np.exp(A).sum(1)) - [2, 1]),
    ("tf.sort(A, direction='DESCENDING')", -np.sort(-A)), ("tf.sort(A, axis=0, direction='DESCENDING')", -np.sort(-A, 0)),
    ("tf.argsort(A, direction='DESCENDING')", np.argsort(-A)), ("tf.argsort([1.0, 1.0, 2.0], direction='DESCENDING')", [2, 0, 1]),
    ("tf.argsort(A)", np.argsort(A)), ("tf.where(A > 0)", np.argwhere(A > 0)), ("tf.where([True, False, True])", [[0], [2]]),
    ("tf.where(A > 9)", np.zeros((0, 2))), ("tf.where(A > 0, x=A, y=-A)", np.abs(A)),
    ("tf.zeros_initializer()((2,))", [0, 0]), ("tf.ones_initializer()((2,))", [1, 1]), ("tf.constant_initializer(2.0)((2,))", [2, 2]),
    ("tf.random_normal_initializer(mean=1.0, stddev=0.0)((2,))", [1, 1]), ("tf.random_uniform_initializer(3.0, 3.0)((2,))", [3, 3]),
    ("tf.random.shuffle([7.0, 7.0])", [7, 7]), ("tf.sort(tf.random.shuffle(tf.range(9)))", np.arange(9)),
    ("tf.random.shuffle(A).shape", (2, 3)), ("tf.random.normal([2, 1], name='n').shape", (2, 1)),
    ("tf.reduce_max(tf.abs(tf.random.truncated_normal([99], stddev=0.5))) <= 1", True), ("tf.random.uniform([2], 3, 3.0)", [3, 3]),
    ("tf.random.uniform([4], maxval=1, dtype=tf.int32)", [0, 0, 0, 0]), ("tf.random.uniform([], 2, 3, tf.int64)", 2),
    ("tf.losses.MeanSquaredError()(A, A)", 0), ("tf.metrics.Mean()(A)", A.mean()), ("tf.initializers.Zeros()((1,))", [0]),
    ("tf.optimizers.SGD(0.5).learning_rate", 0.5), ("tf.keras.losses.MSE(A, A)", [0, 0]), ("tf.metrics.mae(A, -A)", 2 * np.abs(A).mean(1)),
    ("tf.compat.v1.set_random_seed(1) is None", True),
    ("[f(tf.compat.v1.logging.ERROR) for f in [tf.compat.v1.logging.set_verbosity]] + [tf.compat.v1.logging.get_verbosity()] == [None, 40]", True), ("tf.compat.v1.logging.INFO < tf.compat.v1.logging.WARN", True),
    ("tf.autograph.set_verbosity(0) is None", True), ("tf.autograph.experimental.do_not_convert(abs)(-1)", 1),
    ("tf.test.is_gpu_available()", False), ("tf.test.is_built_with_cuda()", False), ("len(tf.test.gpu_device_name())", 0),
    ("len(tf.config.list_logical_devices('GPU'))", 0), ("tf.config.list_logical_devices('CPU')[0].name == '/device:CPU:0'", True),
    ("tf.config.set_visible_devices([], 'GPU') is None", True), ("len(tf.config.get_visible_devices('GPU'))", 0),
    ("tf.debugging.set_log_device_placement(False) is None", True), ("tf.debugging.check_numerics(A, 'A')", A),
    ("tf.debugging.assert_all_finite(A, 'A')", A),
]  # fmt: skip


@pytest.mark.parametrize("code, expected", TENSORFLOW, ids=[code for code, _ in TENSORFLOW])
def test_what_scripts_use_of_tensorflow(code, expected):
    y = eval(code, {"tf": tensorflow.tensorflow(), "A": A, "B": B, "np": np})
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=1e-6)


HOLDS = [
    "equal(A, A)", "equal(A.shape, (2, 3))", "none_equal(A, -A)", "greater(A + 9, A)", "greater_equal(A, A)", "less(A, 9.0)",
    "less_equal(A, A)", "positive(B * B)", "negative(-B * B)", "non_negative(0 * A)", "non_positive(0 * A)", "near(A, A + 1e-7)",
    "near(A, A + 0.1, atol=0.2)", "rank(A, 2)", "scalar(1.0)", "type(tf.constant(A), tf.float32)", "type(tf.cast([1], tf.int64), tf.int64)",
]  # fmt: skip
BREAKS = [
    ("equal(A, -A)", ValueError), ("equal(A[0, 0], 1.0, message='half')", ValueError), ("none_equal(A, A)", ValueError),
    ("greater(A, A)", ValueError), ("greater_equal(A, 1.0)", ValueError), ("less(A, 1.0)", ValueError), ("less_equal(A, 0.0)", ValueError),
    ("positive(A)", ValueError), ("negative(A)", ValueError), ("non_negative(A)", ValueError), ("non_positive(A)", ValueError),
    ("near(A, A + 0.1)", ValueError), ("near(A, A + 1e-3, rtol=1e-5)", ValueError), ("rank(A, 1)", ValueError), ("scalar(A)", ValueError),
    ("type(tf.constant(A), tf.int32)", TypeError), ("all_finite(A / 0.0, 'A')", ValueError),
]  # fmt: skip


@pytest.mark.parametrize("code", HOLDS)
def test_assertions_that_hold(code):
    assert eval(f"tf.debugging.assert_{code}", {"tf": tensorflow.tensorflow(), "A": A, "B": B}) is None


@pytest.mark.parametrize("code, error", BREAKS, ids=[code for code, _ in BREAKS])
def test_assertions_that_do_not(code, error):
    with np.errstate(divide="ignore"), pytest.raises(error, match="half" if "half" in code else None):
        eval(f"tf.debugging.assert_{code}", {"tf": tensorflow.tensorflow(), "A": A, "B": B})


def test_other_bad_arguments_of_tensorflow():
    tf = tensorflow.tensorflow()
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be integers from 0 to 1"):
        tf.math.confusion_matrix([0, 2], [0, 1], num_classes=2)
    with pytest.raises(ValueError, match="maxval"):
        tf.random.uniform([2], dtype=tf.int32)
    with pytest.raises(ValueError, match="DESCENDING"):
        tf.sort([1.0], direction="down")
    with pytest.raises(tf.errors.InvalidArgumentError, match="seven"):
        tf.Assert(tf.constant(False), ["seven"])
    tf.Assert(tf.constant([True, True]), ["seven"])
    for name in ("equal", "greater", "less", "rank"):
        assert getattr(tf, f"assert_{name}") is getattr(tf.debugging, f"assert_{name}")


def test_except_finds_what_minigrad_raises():
    tf = tensorflow.tensorflow()
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.reshape([1.0, 2.0], (3,))
    assert tf.errors.NotFoundError is FileNotFoundError and tf.errors.ResourceExhaustedError is MemoryError
    assert issubclass(tf.errors.OutOfRangeError, tf.errors.OpError) and issubclass(tf.errors.OpError, Exception)
    assert all(issubclass(getattr(tf.errors, name), Exception) for name in tf.errors.__all__)


def test_printing(capsys):
    tf = tensorflow.tensorflow()
    tf.print("loss:", tf.constant([1.0, 2.0]), 3)
    tf.print("a", "b", sep="-", end="!", output_stream=sys.stdout)
    out, err = capsys.readouterr()
    assert err == "loss: Tensor([1., 2.], dtype=float32) 3\n" and out == "a-b!"


def test_shuffled_rows_stay_rows():
    tf = tensorflow.tensorflow()
    y = tf.random.shuffle(np.arange(20).reshape(10, 2))
    assert y.dtype == "int64" and sorted(y.numpy().tolist()) == np.arange(20).reshape(10, 2).tolist()
    assert tf.random.shuffle([True, True]).dtype == bool and tf.random.shuffle([1.0]).dtype == "float32"
    order = tf.random.shuffle(tf.range(100))
    assert order.dtype == "int64" and (np.diff(order) < 0).any() and (tf.gather(tf.range(100), order) == order).numpy().all()


def test_gradients_pass_through_what_is_composed(leaf):
    tf = tensorflow.tensorflow()
    x = leaf(3, 4)
    for function in (
        lambda x: tf.boolean_mask(x, [True, False, True]), lambda x: tf.gather_nd(x, [[0, 1], [2, 2]]), lambda x: tf.add_n([x, x]),
        tf.nn.l2_loss, lambda x: tf.math.squared_difference(x, 0.5), lambda x: tf.sort(x, direction="DESCENDING"),
        lambda x: tf.nn.weighted_cross_entropy_with_logits(np.eye(3, 4), x, 2.0),
        lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits([0, 3, 1], x),
    ):  # fmt: skip
        assert minigrad.utils.gradcheck(function, x)


def test_what_computes_stays_in_the_program(capsys):
    """A loss that prints, and a metric of the confusion matrix: `fit` warns of nothing, so it does not run eagerly."""
    tf = tensorflow.tensorflow()

    def loss(y_true, y_pred):
        tf.print(y_pred)
        return tf.nn.weighted_cross_entropy_with_logits(y_true, y_pred, 2.0) + tf.nn.l2_loss(y_pred) / 100.0

    def errors(y_true, y_pred):
        matrix = tf.math.confusion_matrix(y_true, y_pred > 0, num_classes=2, dtype=tf.float32)
        return tf.reduce_sum(matrix) - tf.linalg.trace(matrix)

    x, y = data(40)
    model = network(loss=loss, metrics=[errors])
    assert model.fit(x, y, batch_size=20, epochs=2, verbose=0).history["errors"][-1] <= 20
    assert "Tensor(shape=(20, 1), dtype=float32" in capsys.readouterr().err


def test_an_assertion_reads_values():
    tf = tensorflow.tensorflow()

    def loss(y_true, y_pred):
        tf.debugging.assert_non_negative(y_true)
        return tf.reduce_mean(tf.square(y_true - y_pred), -1)

    x, y = data(40)
    model = network(loss=loss, metrics=[])
    with pytest.warns(UserWarning, match="assert"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="assert_non_negative does not hold"):
        model.fit(x, y - 1, verbose=0)


def test_every_line_of_the_table_can_be_called():
    """Each argument that a line names is one of the operation's, in the same place."""
    for name, function in tensorflow._functions().items():
        assert callable(function) and function.__doc__.startswith("minigrad.ops."), name
        own, arguments = re.match(r"minigrad\.ops\.([\w.]+)\((.*)\)", function.__doc__).groups()
        parameters = inspect.signature(tensorflow._operation(own)).parameters
        assert len(arguments.split(", ")) <= len(parameters), name


def test_seeding_through_tensorflow(tmp_path):
    code = "import tensorflow as tf\ntf.random.set_seed(3)\nprint(tf.keras.initializers.HeNormal()((2, 2)).tolist())"
    assert run(code, tmp_path).stdout == run(code, tmp_path).stdout


@pytest.mark.parametrize("arguments, code, words", [([], 2, "usage"), (["--help"], 0, "usage"), (["no.py"], 1, "no.py")])
def test_the_command_itself(arguments, code, words, tmp_path):
    done = subprocess.run([sys.executable, "-m", "minigrad", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code and words in done.stdout + done.stderr


def test_the_example_reaches_96_percent(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curves.png"
    command = [sys.executable, "-m", "minigrad", str(ROOT / "examples" / "article.py"), "--plot", str(picture)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^  (scaled|raw) +(with|without) +[\d.]+ +[\d.]+ +([\d.]+)$", done.stdout, re.MULTILINE)
    accuracy = {row[:2]: float(row[2]) for row in rows}
    assert min(accuracy["scaled", "with"], accuracy["scaled", "without"]) >= 0.96
    assert accuracy["raw", "with"] > accuracy["raw", "without"]
    for page, words in ("README.md", r"\((\d+)% with, (\d+)% without\)"), ("README.zh-CN.md", r"（使用 (\d+)%，不用 (\d+)%）"):
        stated = re.findall(words, (ROOT / "examples" / page).read_text(encoding="utf-8"))
        assert np.allclose(np.ravel(stated).astype(int) / 100, list(accuracy.values()), atol=0.011)
    assert "On scaled inputs the network learns faster without Batch Normalization." in done.stdout
    assert "On raw inputs the network learns faster with Batch Normalization." in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


TF_VALUES = [  # what TensorFlow makes of them, for a = [[1, -2, 0.5], [0.3, 4, -1]] and i = [2, 0]
    ('tf.matmul(a, a, transpose_b=True)', [[5.25, -8.2], [-8.2, 17.09]]),
    ('tf.linalg.matmul(a, a, transpose_a=True)', [[1.09, -0.8, 0.2], [-0.8, 20.0, -5.0], [0.2, -5.0, 1.25]]),
    ('tf.cumsum(a, axis=1, reverse=True)', [[-0.5, -1.5, 0.5], [3.3, 3.0, -1.0]]),
    ('tf.cumsum(a, axis=1, exclusive=True)', [[0.0, 1.0, -1.0], [0.0, 0.3, 4.3]]),
    ('tf.cumsum(a, 0, exclusive=True, reverse=True)', [[0.3, 4.0, -1.0], [0.0, 0.0, 0.0]]),
    ('tf.math.cumprod(a, axis=1, exclusive=True)', [[1.0, 1.0, -2.0], [1.0, 0.3, 1.2]]),
    ('tf.argmax(a, axis=1, output_type=tf.int32)', [0.0, 1.0]),
    ('tf.argmin(a)', [1.0, 0.0, 1.0]),
    ('tf.gather(a, i, batch_dims=1)', [0.5, 0.3]),
    ('tf.gather(a, i, axis=1)', [[0.5, 1.0], [-1.0, 0.3]]),
    ('tf.gather(a, [1, 0])', [[0.3, 4.0, -1.0], [1.0, -2.0, 0.5]]),
    ('tf.one_hot(i, 3, on_value=5.0, off_value=-1.0)', [[-1.0, -1.0, 5.0], [5.0, -1.0, -1.0]]),
    ('tf.one_hot(i, 3, dtype=tf.int32)', [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    ('tf.pad(a, [[1, 0], [0, 1]], constant_values=9)', [[9.0, 9.0, 9.0, 9.0], [1.0, -2.0, 0.5, 9.0], [0.3, 4.0, -1.0, 9.0]]),
    ('tf.pad(a, [[0, 0], [1, 1]], mode="REFLECT")', [[-2.0, 1.0, -2.0, 0.5, -2.0], [4.0, 0.3, 4.0, -1.0, 4.0]]),
    ('tf.norm(a, ord="euclidean")', 4.7265),
    ('tf.norm(a, axis=1)', [2.2913, 4.134]),
    ('tf.nn.moments(a, [0], keepdims=True)[1]', [[0.1225, 9.0, 0.5625]]),
    ('tf.math.top_k(a, k=2).values', [[1.0, 0.5], [4.0, 0.3]]),
    ('tf.nn.top_k(a, k=2).indices', [[0.0, 2.0], [1.0, 0.0]]),
    ('tf.zeros_like(a, dtype=tf.int32)', [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    ('tf.squeeze(tf.ones((2, 1, 1)), [1, 2])', [1.0, 1.0]),
    ('tf.reshape(a, tf.stack([3, 2]))', [[1.0, -2.0], [0.5, 0.3], [4.0, -1.0]]),
    ('tf.math.xlogy([0.0, 2.0], [0.0, 3.0])', [0.0, 2.1972]),
    ('tf.math.unsorted_segment_sum(a, [1, 1], 2)', [[0.0, 0.0, 0.0], [1.3, 2.0, -0.5]]),
    ('tf.math.segment_sum(a, [0, 1])', [[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]]),
    ('tf.math.segment_max(a, [0, 0])', [[1.0, 4.0, 0.5]]),
    ('tf.math.bincount([1, 1, 2])', [0, 2, 1]),
    ('tf.nn.in_top_k(targets=[0, 1], predictions=a, k=1)', [True, True]),
    ('tf.slice(a, [0, 1], [2, 2])', [[-2.0, 0.5], [4.0, -1.0]]),
    ('tf.atan2(a, a)', [[0.7854, -2.3562, 0.7854], [0.7854, 0.7854, -2.3562]]),
    ('tf.math.squared_difference(a, 1.0)', [[0.0, 9.0, 0.25], [0.49, 9.0, 4.0]]),
    ('tf.saturate_cast([300.0, -1.0], tf.uint8)', [255, 0]),
    ('tf.constant([[1, 2], [3, 4]], shape=(4,))', [1, 2, 3, 4]),
    ('tf.nest.flatten({"b": [1, 2], "a": 0})', [0, 1, 2]),
    ('tf.constant([tf.constant(["a"]).dtype == tf.string, a.dtype == tf.string, a.dtype != tf.float32])', [True, False, False]),
    ('tf.math.unsorted_segment_max(a, [1, 1], num_segments=2)[1]', [1.0, 4.0, 0.5]),
    ('tf.gather([5, 6, 7], i) // 2', [3, 2]),
    ('tf.clip_by_norm(a, 2.0)', [[0.4231, -0.8463, 0.2116], [0.1269, 1.6926, -0.4231]]),
    ('tf.clip_by_norm(a, 2.0, axes=[1])', [[0.8729, -1.7457, 0.4364], [0.1451, 1.9352, -0.4838]]),
    ('tf.nn.bias_add(a, [1.0, 2.0, 3.0])', [[2.0, 0.0, 3.5], [1.3, 6.0, 2.0]]),
    ('tf.nn.softsign(a)', [[0.5, -0.6667, 0.3333], [0.2308, 0.8, -0.5]]),
    ('tf.linalg.diag_part(tf.matmul(a, a, transpose_b=True))', [5.25, 17.09]),
    ('tf.tensor_scatter_nd_update(a, [[0, 1], [1, 2]], [7.0, 8.0])', [[1.0, 7.0, 0.5], [0.3, 4.0, 8.0]]),
    ('tf.tensor_scatter_nd_update(a, [[1]], [[7.0, 8.0, 9.0]])', [[1.0, -2.0, 0.5], [7.0, 8.0, 9.0]]),
    ('tf.map_fn(lambda row: row * row[0], a)', [[1.0, -2.0, 0.5], [0.09, 1.2, -0.3]]),
    ('tf.while_loop(lambda n: n < 5.0, lambda n: (n * 2.0,), [tf.constant(1.0)])[0]', 8.0),
    ('tf.numpy_function(np.sort, [a], tf.float32)', [[-2.0, 0.5, 1.0], [-1.0, 0.3, 4.0]]),
    ('tf.py_function(lambda x: x * 2.0, [a], tf.float32)', [[2.0, -4.0, 1.0], [0.6, 8.0, -2.0]]),
    ('tf.constant([1, 2]) + 0', [1.0, 2.0]),
    ('tf.Variable(3, dtype=tf.int32, trainable=False).read_value()', 3.0),
    ('tf.Variable(lambda: 2.5, name="b").value()', 2.5),
    ('tf.float32.max / 1e38', 3.4028),
]  # fmt: skip


@pytest.mark.parametrize("expression, expected", TF_VALUES)
def test_functions_of_tensorflow_have_its_values(expression, expected):
    tf = tensorflow.tensorflow()
    names = {"tf": tf, "np": np, "a": tf.constant([[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]]), "i": tf.constant([2, 0])}
    np.testing.assert_allclose(np.asarray(eval(expression, names), float), expected, atol=6e-5)


def test_a_variable_of_tensorflow_weighs_a_loss_that_is_replayed():
    tf = tensorflow.tensorflow()
    beta = tf.Variable(0.0, trainable=False, name="beta", dtype=tf.float32)
    assert isinstance(beta, tf.Variable) and not beta.trainable and float(beta.value()) == 0.0
    model = minigrad.Sequential([minigrad.Input((2,)), minigrad.layers.Dense(1)])
    model.compile("sgd", lambda y, p: tf.reduce_mean(tf.square(y - p), -1) * beta)
    anneal = minigrad.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: beta.assign(float(epoch)))
    losses = model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0, callbacks=[anneal]).history["loss"]
    assert losses[0] == 0.0 < losses[1] and model.train_program is not None


def test_what_packages_look_up_while_they_are_imported(installed, tmp_path):
    """keras_tuner and TensorBoard's plugins: names that exist in Keras, of which some raise when they are used."""
    import keras
    import tensorflow as tf

    exec("from keras import *", names := {})
    assert names["applications"].efficientnet.EfficientNetB0 and not hasattr(keras, "applications")
    with pytest.raises(ImportError, match="no networks that are trained already"):
        names["applications"].VGG16(weights=None)
    config = keras.utils.legacy.serialize_keras_object(keras.layers.Dense(3, name="it"))
    assert config["class_name"] == "Dense" and set(config) == {"class_name", "config"}
    assert keras.utils.legacy.deserialize_keras_object(config).name == "it"

    class Own:
        def __init__(self, n):
            self.n = n

        def get_config(self):
            return {"n": self.n}

    own = keras.utils.legacy.serialize_keras_object(Own(2))
    assert keras.utils.legacy.deserialize_keras_object(own, {"Own": Own}).n == 2
    path = tf.io.gfile
    path.makedirs(f"{tmp_path}/a/b")
    path.makedirs(f"{tmp_path}/a/b")
    with path.GFile(f"{tmp_path}/a/b/c.txt", "w") as file:
        file.write("it")
    with path.GFile(*path.glob(f"{tmp_path}/a/*/*.txt")) as file:
        assert file.read() == "it"
    assert type(tf.make_tensor_proto(0)).__name__ == "TensorProto" and tf.distribute.get_strategy() is None
