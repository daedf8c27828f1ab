"""Under `python -m minigrad`, the Python processes that a script starts train with minigrad, too, whatever starts them."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad import compat

ROOT = Path(__file__).parents[1]

BUILDER = """
from tensorflow import keras

def train(seed):
    model = keras.Sequential([keras.layers.Dense(1)])
    return type(model).__module__
"""
STARTS = {
    "spawn": "print(*multiprocessing.get_context('spawn').Pool(1).map(train, range(2)))",
    "forkserver": "print(*multiprocessing.get_context('forkserver').Pool(1).map(train, range(2)))",
    "executor": """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
    print(*pool.map(train, range(2)))""",
    "subprocess": """
import os, subprocess, sys
os.chdir("/")
code = "import keras.layers, sys; print(keras.Sequential.__module__, keras.layers.Dense.__module__, seen)"
print(subprocess.check_output([sys.executable, "-c", "from sitecustomize import seen\\n" + code], text=True))""",
}


def start(code, folder, builder=BUILDER):
    """What a script prints that defines BUILDER's `train`, where the real Keras can't be imported without notice."""
    real = folder / "real"
    for name in ("keras", "tensorflow"):
        (real / name).mkdir(parents=True)
        (real / name / "__init__.py").write_text("raise SystemExit('the real one')")
    (real / "sitecustomize.py").write_text("seen = 'the other sitecustomize'")
    (folder / "builder.py").write_text(BUILDER)
    script = folder / "script.py"
    main = "".join(f"\n    {line}" for line in f"import multiprocessing\n{code}".splitlines())
    script.write_text(f"{builder}\nif __name__ == '__main__':{main}\n")
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", str(script)], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(real), str(ROOT)])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("how", ["spawn", "forkserver", "executor"])
def test_processes_of_multiprocessing(how, tmp_path):
    if how == "forkserver" and sys.platform == "win32":
        pytest.skip("there is none")
    assert start(STARTS[how], tmp_path) == ["minigrad.models.sequential"] * 2


@pytest.mark.parametrize("builder", [BUILDER, "from builder import train"], ids=["own", "of a module"])
def test_processes_of_joblib(builder, tmp_path):
    """A function of the script goes there by value, with the modules that it mentions; one of a file by its name."""
    pytest.importorskip("joblib")
    code = "from joblib import Parallel, delayed\nprint(*Parallel(n_jobs=2)(delayed(train)(i) for i in range(2)))"
    assert start(code, tmp_path, builder) == ["minigrad.models.sequential"] * 2


def test_programs_that_a_script_starts(tmp_path):
    """Also where another sitecustomize is at home, which runs as before."""
    found = start(STARTS["subprocess"], tmp_path)
    assert found == ["minigrad.models.sequential", "minigrad.layers.core", "the", "other", "sitecustomize"]


def test_modules_go_to_other_processes_by_name(monkeypatch):
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("keras", "tensorflow")}
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["a", "b"]))
    compat.install()
    try:
        import keras.layers
        from tensorflow.keras import backend as K

        assert pickle.loads(pickle.dumps([keras, keras.layers, K])) == [keras, keras.layers, K]
        compat.install()
        assert os.environ["PYTHONPATH"].split(os.pathsep)[1:] == ["a", "b"]
    finally:
        compat.uninstall()
    assert os.environ["PYTHONPATH"].split(os.pathsep) == ["a", "b"] and "keras" not in sys.modules
    sys.modules.update(before)
