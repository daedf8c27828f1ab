"""Packages of other people, as they are, under `python -m minigrad`: what they import as `keras` is minigrad.

Each script is what a user of the package writes, made small. Its assertions are the test.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ecosystem

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / "examples" / "cluster.py"], ids=lambda path: path.stem)
def test_a_script(script, tmp_path):
    """The real Keras and TensorFlow can't be imported without notice, neither here nor in child processes."""
    for name in ("keras", "tensorflow"):
        (tmp_path / "real" / name).mkdir(parents=True)
        (tmp_path / "real" / name / "__init__.py").write_text("raise SystemExit('the real one')")
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "real"), str(ROOT)])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("done"), done.stdout
