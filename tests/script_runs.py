"""The Keras scripts of tests/scripts/: how they are run, and how near two runs must end.

Each prints its key figures as JSON in its last line. Most set their own initial weights and do not shuffle, so that
whoever runs them must end with the same numbers; `kfold` and `shapes` are random from start to end.

Those in the words of older Keras are held against tf_keras, which is Keras 2; or, where it does not take them either,
against the same script in today's words, in the folder `today`. What a script leaves in its folder, one of the same
name in `second` may read.
"""

import functools
import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).with_name("scripts")
GOLDEN = Path(__file__).with_name("golden") / "scripts.json"  # made with the real Keras by golden/make_scripts.py

# Relative tolerance of all figures of a script, and absolute ones of some: a different last bit of a weight may
# decide on which side of a threshold a row falls.
SCRIPTS = {
    "binary_classifier": (1e-3, {"val_accuracy": 0.008, "test_accuracy": 0.006}),
    "churn": (2e-3, {"val_accuracy": 0.01, "prediction": 0.01}),
    "convnet": (3e-3, {"val_accuracy": 0.015, "score": 0.02}),
    "csv_dataset": (1e-3, {"accuracy": 0.011, "by_line": 0.005, "shuffled_loss": 0.03}),
    "custom_parts": (1e-3, {"accuracy": 0.004, "specificity": 0.01}),
    "digits": (1e-3, {"hits": 1}),
    "early_stopping": (1e-3, {}),
    "generators": (2e-3, {"acc": 0.004}),
    "heart": (2e-3, {"val_accuracy": 0.02, "second_val_accuracy": 0.02}),
    "image_folder": (1e-3, {"accuracy": 0.02}),
    "imbalanced": (2e-3, {"counts": 1, "scores": 0.01}),
    "keras1": (2e-3, {"acc": 0.003, "val_acc": 0.011, "hits": 1}),
    "kfold": (1.0, {"accuracy": 0.012, "spread": 0.02, "loss": 0.03}),
    "kfold_classifier": (2e-3, {"results": 0.03, "hits": 1}),
    "mnist": (2e-3, {"score": 0.01, "hits": 1}),
    "pretraining": (2e-3, {"val_accuracy": 0.003}),
    "regression": (1e-3, {}),
    "sentiment": (1e-3, {"accuracy": 0.01}),
    "shapes": (1e-3, {"loss": 0.15, "val_accuracy": 0.08, "test_accuracy": 0.08, "hits": 3}),
    "subclassed": (5e-3, {"acc": 0.01}),
}
KERAS_2 = {"generators"}


# Runs a script under Keras, which then takes data sets of any content.
_ANY_DATA = (
    "import runpy, sys; import keras.src.utils.file_utils as files; "
    "files.validate_file = lambda *args, **kwargs: True; runpy.run_path(sys.argv[1], run_name='__main__')"
)
# Has loaded TensorFlow and Keras, which takes as long as most scripts, and runs each script in a fork of itself.
_LOADED = """
import json, os, runpy, sys, traceback
import tensorflow, keras, pandas, sklearn.model_selection
for line in sys.stdin:
    script, folder = json.loads(line)
    if (child := os.fork()) == 0:
        code = 1
        try:
            os.chdir(folder)
            for number, name in enumerate(("stdout", "stderr"), 1):
                os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
            sys.argv = [script]
            runpy.run_path(script, run_name="__main__")
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
_SETTINGS = {
    "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONIOENCODING": "utf-8",
}  # fmt: skip


@functools.cache
def _loaded():
    """The process of `_LOADED`; it ends with this one, which closes its input."""
    return subprocess.Popen(
        [sys.executable, "-c", _LOADED], env={**os.environ, **_SETTINGS}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def run(name, folder, start):
    """The figures that a script prints, run by `start(path, folder, environment)`; and those of the second."""
    folder = Path(folder)
    if name.endswith("mnist"):
        make_mnist(folder / "keras" / "datasets")
    figures = {}
    for path in (FOLDER / f"{name}.py", FOLDER / "second" / f"{name}.py"):
        if path.exists():
            printed = start(path, folder, {"KERAS_HOME": str(folder / "keras"), "PYTHONIOENCODING": "utf-8"})
            figures |= json.loads(printed.splitlines()[-1])
    return figures


def make_mnist(folder):
    """A file like MNIST's: each digit has some bright places of its own, beside noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 800).astype("uint8")
    bright = rng.random((10, 28, 28)) < 0.1
    images = (rng.random((800, 28, 28)) * 160 + bright[labels] * 90).astype("uint8")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"x_train": images[:600], "y_train": labels[:600], "x_test": images[600:], "y_test": labels[600:]}
    np.savez_compressed(folder / "mnist.npz", **parts)


def run_minigrad(name, folder, action="default"):
    """The figures under `python -m minigrad`; `action` is what happens at a FutureWarning.

    A script starts in a fork of a process that has loaded what takes long, and nothing else.
    """
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    context.set_forkserver_preload(["minigrad.__main__", "pandas", "sklearn.model_selection", "sklearn.preprocessing"])

    def start(path, folder, environment):
        process = context.Process(target=_main, args=(str(path), folder, environment, action))
        process.start()
        process.join(300)
        process.kill()
        assert process.exitcode == 0, f"{path}: {(folder / 'stderr').read_text(encoding='utf-8')}"
        return (folder / "stdout").read_text(encoding="utf-8")

    return run(name, folder, start)


def _main(script, folder, environment, action):
    os.chdir(folder)
    os.environ.update(environment)
    sys.stdout, sys.stderr = (open(name, "w", encoding="utf-8") for name in ("stdout", "stderr"))
    sys.argv = ["minigrad", script]
    warnings.simplefilter(action, FutureWarning)
    runpy.run_module("minigrad", run_name="__main__", alter_sys=True)


def run_keras(name, folder):
    """The figures under the real Keras on TensorFlow: in today's words, where there is such a file; with Keras 2's."""
    today = f"today/{name}" if (FOLDER / "today" / f"{name}.py").exists() else name
    command = [sys.executable, *(["-c", _ANY_DATA] if name == "mnist" else [])]

    def start(path, folder, environment):
        if name != "mnist" and name not in KERAS_2:
            print(json.dumps([str(path), str(folder)]), file=_loaded().stdin, flush=True)
            assert _loaded().stdout.readline() == "0\n", f"{path}: {(folder / 'stderr').read_text(encoding='utf-8')}"
            return (folder / "stdout").read_text(encoding="utf-8")
        environment = {**os.environ, **environment, **_SETTINGS, "TF_USE_LEGACY_KERAS": str(int(name in KERAS_2))}
        done = subprocess.run([*command, path], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{path}: {done.stderr}"
        return done.stdout

    return run(today, folder, start)


def assert_alike(name, actual, expected):
    """The same figures, within the script's tolerances."""
    relative, absolute = SCRIPTS[name]
    assert list(actual) == list(expected)
    for key, value in expected.items():
        if is_numeric(value):
            atol = absolute.get(key, 0.0)
            np.testing.assert_allclose(actual[key], value, relative if not atol else 0.0, atol or 1e-6, err_msg=key)
        else:
            assert actual[key] == value, key


def is_numeric(value):
    return np.asarray(value).dtype.kind in "if" and not isinstance(value, bool)
