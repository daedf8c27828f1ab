"""`python -m minigrad script.py`: the article's code to the letter, and what a script sees of keras and tensorflow."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONIOENCODING": "utf-8", "HOME": str(tmp_path)},
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
    assert run(code, tmp_path).stdout.strip() == "minigrad.compat"


@pytest.mark.parametrize("code, words", [
    ("from keras import layers\nlayers.Conv2D", ["keras.layers.Conv2D", "Dense", "README"]),
    ("from tensorflow.keras.layers import LSTM", ["LSTM"]),
    ("import keras\nkeras.Sequentail", ["did you mean", "Sequential"]),
    ("import tensorflow as tf\ntf.constant(1)", ["tensorflow.constant"]),
    ("import tensorflow.data", ["tensorflow.data", "keras, random"]),
    ("from keras.layers import Conv2D", ["keras.layers.Conv2D", "Dense"]),
    ("from tensorflow.keras.callbacks import RemoteMonitor", ["RemoteMonitor", "History"]),
    ("import keras.applications", ["keras.applications", "layers"]),
])
def test_what_is_not_there_says_what_is(code, words, tmp_path):
    done = run(code, tmp_path, check=False)
    assert done.returncode != 0
    for word in words:
        assert word.lower() in done.stderr.lower(), done.stderr


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
    accuracy = float(re.search(r"over 5 random splits: ([\d.]+)", done.stdout)[1])
    assert accuracy >= 0.96
    assert picture.read_bytes().startswith(b"\x89PNG")
