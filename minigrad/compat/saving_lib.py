"""`keras.src.saving.saving_lib`, with which scikeras and others keep models in memory. It takes file objects, too."""

import contextlib
import os
import tempfile

from minigrad import saving

__all__ = ["load_model", "save_model"]


def save_model(model, filepath, weights_format="h5", zipped=True):
    """Write the model as a `.keras` file, to a path or to a file object."""
    if not hasattr(filepath, "write"):
        saving.save_model(model, filepath)
        return
    with _temporary() as path:
        saving.save_model(model, path)
        with open(path, "rb") as file:
            filepath.write(file.read())


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """The model in a `.keras` file, given by its path or as a file object."""
    if not hasattr(filepath, "read"):
        return saving.load_model(filepath, custom_objects, compile, safe_mode)
    with _temporary() as path:
        with open(path, "wb") as file:
            file.write(filepath.read())
        return saving.load_model(path, custom_objects, compile, safe_mode)


@contextlib.contextmanager
def _temporary():
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "model.keras")
