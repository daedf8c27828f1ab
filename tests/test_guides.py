"""The guides of keras.io run from section to section; beside the real Keras they do in peers/test_guides_beside_keras.py."""

import warnings

import guides
import numpy as np
import pytest

import minigrad


@pytest.mark.parametrize("name", guides.SECTIONS)
def test_a_section(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = guides.SECTIONS[name](minigrad, tmp_path)
    assert all(np.isfinite(value) for key, value in found.items() if key != "told")
