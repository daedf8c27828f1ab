"""The scripts of tests/scripts/ under the real Keras and under minigrad, both at once: they end alike.

Needs Keras 3 with TensorFlow, and tf_keras; some ten seconds a script, most of them TensorFlow's start.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import script_runs

pytestmark = pytest.mark.peers
pytest.importorskip("keras")
pytest.importorskip("tensorflow")
GOLDEN = json.loads(script_runs.GOLDEN.read_text())


@pytest.mark.parametrize("name", script_runs.SCRIPTS)
def test_both_end_alike(name, tmp_path):
    if name in script_runs.KERAS_2:
        pytest.importorskip("tf_keras")
    (tmp_path / "keras").mkdir(), (tmp_path / "minigrad").mkdir()
    with ThreadPoolExecutor() as pool:  # each waits for a process of its own
        keras = pool.submit(script_runs.run_keras, name, tmp_path / "keras")
        minigrad = pool.submit(script_runs.run, name, tmp_path / "minigrad", "-m", "minigrad")
    script_runs.assert_alike(name, keras.result(), GOLDEN[name])  # what is kept is still what Keras does
    script_runs.assert_alike(name, minigrad.result(), keras.result())
