"""Files that earlier versions, and Keras 2 and 3, have written go on being read.

See golden/make_files.py and golden/make_legacy.py.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as keras

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_files

FILES = sorted([*make_files.HERE.glob("*/*.keras"), *make_files.HERE.glob("*/*[!s].h5")])  # not *weights.h5


def known(path):
    """The file, marked to be skipped where Keras wrote it with what minigrad does not have."""
    needs = make_files.OPTIMIZERS.get(path.stem, (None,))[0]
    lacks = [needs] if needs and not hasattr(keras.optimizers, needs) else []
    if path.stem == "layers":
        lacks = [name for name in make_files.LAYERS if not hasattr(keras.layers, name)]
    is_foreign = path.parent.name.startswith("keras-")
    skip = pytest.mark.skipif(bool(lacks) and is_foreign, reason=f"minigrad has no {lacks}")
    return pytest.param(path, marks=skip, id=f"{path.parent.name}/{path.stem}")


@pytest.mark.parametrize("path", list(map(known, FILES)))
def test_file(path):
    with np.load(path.parent / "expected.npz") as file:
        expected = {key.split("/")[1]: file[key] for key in file.files if key.split("/")[0] == path.stem}
    found = make_files.outcome(keras.models.load_model(path))
    assert found.keys() == expected.keys() or [*expected] == ["predictions"]
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("path", sorted(make_files.HERE.glob("*/*.weights.h5")), ids=lambda path: path.parent.name)
def test_weights(path):
    model, whole = make_files.article(keras), keras.models.load_model(path.parent / "article.keras")
    model.load_weights(path)
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.optimizer.variables, whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("path", sorted(make_files.HERE.glob("*/*_weights.h5")), ids=lambda path: path.parent.name)
def test_old_weights(path):
    whole = keras.models.load_model(path.with_name("adam.h5"))
    model = keras.models.clone_model(whole)
    model.load_weights(path)
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_there_are_files_of_this_version_and_of_keras():
    assert {path.parent.name for path in FILES} >= {
        f"minigrad-{keras.__version__}", "keras-3.15.1", "keras-3.15.1-torch", "keras-3.0.5", "keras-3.3.3",
        "tf_keras-2.15.1", "tf_keras-2.21.0",
    }  # fmt: skip
