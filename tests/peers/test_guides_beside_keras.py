"""The guides of keras.io, section by section, beside the real Keras: the same numbers under the same names."""

import guides
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]


@pytest.mark.parametrize("name", guides.SECTIONS)
def test_a_section(name, keras, tmp_path):
    found = []
    for module, folder in ((minigrad, tmp_path / "ours"), (keras, tmp_path / "theirs")):
        folder.mkdir()
        found.append(guides.SECTIONS[name](module, folder))
    ours, theirs = found
    assert ours.keys() == theirs.keys()
    assert ours.pop("told", None) == theirs.pop("told", None)
    assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-4)
