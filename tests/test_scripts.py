"""Keras scripts of the kind people write, unmodified, under `python -m minigrad`: they end as under the real Keras.

What the real one printed is in golden/scripts.json; tests/peers/test_scripts_beside_keras.py runs it anew.
"""

import json

import pytest
import script_runs

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
GOLDEN = json.loads(script_runs.GOLDEN.read_text())


def test_every_script_has_its_figures():
    names = {path.stem for path in script_runs.FOLDER.glob("*.py")}
    assert names == set(script_runs.SCRIPTS) == set(GOLDEN)


@pytest.mark.parametrize("name", script_runs.SCRIPTS)
def test_a_script_ends_as_under_keras(name, tmp_path):
    script_runs.assert_alike(name, script_runs.run_minigrad(name, tmp_path), GOLDEN[name])


@pytest.mark.parametrize("name", sorted(path.stem for path in (script_runs.FOLDER / "today").glob("*.py")))
def test_a_script_in_todays_words_is_warned_of_none(name, tmp_path):
    figures = script_runs.run_minigrad(f"today/{name}", tmp_path, "error")
    script_runs.assert_alike(name, figures, GOLDEN[name])


def test_a_comparison_can_fail():
    figures = GOLDEN["binary_classifier"]
    script_runs.assert_alike("binary_classifier", figures, figures)
    for change in ({"loss": [2 * n for n in figures["loss"]]}, {"keys": ["loss"]}, {"test_accuracy": 0.5}):
        with pytest.raises(AssertionError):
            script_runs.assert_alike("binary_classifier", {**figures, **change}, figures)
