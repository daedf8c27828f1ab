"""The scripts of tests/scripts/ under the real Keras and under minigrad, both at once: they end alike.

Needs Keras 3 with TensorFlow, and tf_keras.
"""

import json
import sys
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
    keras = script_runs.run_keras(name, tmp_path / "keras")
    minigrad = script_runs.run_minigrad(name, tmp_path / "minigrad")
    script_runs.assert_alike(name, keras, GOLDEN[name])  # what is kept is still what Keras does
    script_runs.assert_alike(name, minigrad, keras)
