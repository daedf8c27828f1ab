"""The scripts of tests/scripts/ under the real Keras and under minigrad, one after the other: both end alike.

Needs Keras 3 with TensorFlow; some ten seconds a script.
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
    folders = [tmp_path / "keras", tmp_path / "minigrad"]
    for folder in folders:
        folder.mkdir()
    theirs = script_runs.run_keras(name, folders[0])
    script_runs.assert_alike(name, theirs, GOLDEN[name])  # what is kept is still what Keras does
    script_runs.assert_alike(name, script_runs.run(name, folders[1], "-m", "minigrad"), theirs)
