"""Whole models in `.keras` files: a ZIP with the architecture as JSON and the weights as HDF5, as Keras writes it."""

import datetime
import io
import json
import os
import sys
import zipfile

from minigrad import config as settings
from minigrad.layers.base import registry
from minigrad.layers.filing import weights_of_a_file
from minigrad.registry import custom_object_scope
from minigrad.saving import files, hdf5, state, weights

KERAS_VERSION = "3.15.1"  # whose format this is
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
_CONFIG_LIMIT = 8 << 20  # bytes; a layer takes about 1000
_DIRECTORY = 1 << 14  # bytes that HDF5 may spend on one array beside its values
_COPIES = 8  # a weight with all that any optimizer keeps for it


def save_model(model, filepath, overwrite=True, zipped=None, include_optimizer=True, save_format=None):
    """Write the model to `filepath`, which must end in .keras: architecture, weights, optimizer, random streams.

    Keras opens the file, too. It appears whole or not at all; until then an older file stays. `include_optimizer` and
    `save_format="keras"` are accepted for older scripts: as in Keras 3, they change nothing.

    Raises:
        ValueError: another suffix, or something that a file can't describe, such as a lambda.
        FileExistsError: `overwrite=False`, and the file exists.
    """
    path = _checked_path(filepath, ".keras", "save", overwrite)
    if save_format not in (None, "keras"):
        raise ValueError(f"save writes .keras files, so save_format must be 'keras' or left out, got {save_format!r}.")
    if zipped is False:
        raise ValueError("minigrad writes a model into one file: zipped must be True or None.")
    config = files.as_json(registry.serialize(model))
    written = datetime.datetime.now()
    about = {"keras_version": KERAS_VERSION, "date_saved": written.strftime("%Y-%m-%d@%H:%M:%S")}
    members = {
        METADATA: json.dumps({**about, "minigrad_version": sys.modules["minigrad"].__version__}),
        CONFIG: config,
        WEIGHTS: weights.pack(model, extra={"random": settings.random_state()}),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, written.timetuple()[:6]), content)
    files.write(path, archive.getvalue())


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """A model from a `.keras` file of minigrad's or Keras', as it was when it was saved.

    Compiled, it goes on training as the saved one would have, to the bit where minigrad wrote the file: also the
    first `fit` shuffles as that one's next would have, unless `set_random_seed` is called in between.

    No code is read from the file, whatever `safe_mode` says: only classes of minigrad, those registered with
    `register_keras_serializable`, and those in `custom_objects`, a dict from names to classes or functions.

    Raises:
        ValueError: no such file, or one that is damaged, foreign, or asks for more than it holds.
    """
    path = os.fspath(filepath)
    if not path.endswith(".keras"):
        raise ValueError(
            f"load_model reads files that end in .keras, got {path!r}. Open others in Keras and save them as .keras."
        )
    if not os.path.exists(path):
        raise ValueError(f"There is no file {path!r}.")
    with files.naming(path), files.opened(path, b"PK", ".keras file") as file:
        archive = files.Archive(file)
        config = archive.json(CONFIG, _CONFIG_LIMIT)
        try:
            with custom_object_scope(custom_objects or {}), weights_of_a_file(archive.size(WEIGHTS) // 2):
                model = _from_config(config, compile)
        except Exception as error:
            raise ValueError(f"{files.reason(error)}{_written_by(archive)}") from error
        kept = weights.unpack(model, _member(archive, model), with_optimizer=compile)
        if compile and "random" in kept:
            state.keep_random_numbers(model, kept["random"])
    return model


def _from_config(config, compile):
    """The model of a config, built and (if wanted) compiled."""
    model = registry.deserialize(config)
    if not hasattr(model, "compile_from_config"):
        raise ValueError(f"it holds no model but {model!r}")
    if not model.built:
        model.build_from_config(config.get("build_config"))
    if compile and config.get("compile_config"):
        try:
            model.compile_from_config(config["compile_config"])
        except Exception as error:
            raise ValueError(f"{files.reason(error)} (compile=False loads the model without it)") from error
    return model


def _member(archive, model):
    """The weights file in an archive, in memory: no longer than the model can need."""
    places = weights.located(model)
    arrays = sum(1 + len(layer._file_variables()) for _, layer in places)
    needed = sum(v.size * 8 for v in model.weights)
    return io.BytesIO(archive.read(WEIGHTS, _COPIES * (needed + (arrays + 8) * _DIRECTORY)))


def _written_by(archive):
    """Who wrote the file, for error messages."""
    try:
        about = archive.json(METADATA, 1 << 16)
    except Exception:  # a hint must not hide the error
        return ""
    version = str(about.get("keras_version"))[:20]
    return f" (the file says it is Keras {version}'s; minigrad reads what Keras {KERAS_VERSION} writes)"


def model_from_json(json_string, custom_objects=None):
    """A new model, with new weights, from what `model.to_json()` returned."""
    with custom_object_scope(custom_objects or {}):
        return _from_config(files.parse(json_string), compile=True)


def save_weights(model, filepath, overwrite=True, max_shard_size=None):
    """Write the weights, and the optimizer's variables, to a file that ends in .weights.h5. See `save_model`."""
    path = _checked_path(filepath, ".weights.h5", "save_weights", overwrite)
    if max_shard_size is not None:
        raise ValueError("minigrad writes weights into one file: max_shard_size must be None.")
    _require_built(model, "save_weights")
    files.write(path, weights.pack(model))


def load_weights(model, filepath, skip_mismatch=False, objects_to_skip=None):
    """Give a built model the weights of a `.weights.h5` or `.keras` file, and a compiled one those of its optimizer.

    With `skip_mismatch`, layers that do not fit keep what they have, with a warning.

    Raises:
        ValueError: a file that is damaged or does not fit, before anything has changed.
        FileNotFoundError: no such file.
    """
    path = os.fspath(filepath)
    if not path.endswith((".weights.h5", ".keras")):
        raise ValueError(
            f"load_weights reads files that end in .weights.h5 or .keras, got {path!r}. Open others in Keras and save "
            "them as .weights.h5."
        )
    if objects_to_skip:
        raise ValueError("minigrad does not know objects_to_skip: use skip_mismatch=True.")
    _require_built(model, "load_weights")
    with files.naming(path):
        if path.endswith(".keras"):
            with files.opened(path, b"PK", ".keras file") as file:
                weights.unpack(model, _member(files.Archive(file), model), skip_mismatch=skip_mismatch)
        else:
            with files.opened(path, hdf5.SIGNATURE, "HDF5 file") as file:
                weights.unpack(model, file, skip_mismatch=skip_mismatch)


def _require_built(model, method):
    if not model.built:
        raise ValueError(f"Model {model.name!r} is not built: it has no weights yet. Put an Input in front, or call "
                         f"build(input_shape), before {method}().")


def _checked_path(filepath, suffix, method, overwrite):
    path = os.fspath(filepath)
    if not path.endswith(suffix):
        hint = " (Files of Keras 2, .h5, are not written.)" if path.endswith((".h5", ".hdf5")) else ""
        raise ValueError(f"{method} writes files that end in {suffix}, got {path!r}.{hint}")
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"The file {path!r} exists already, and overwrite=False.")
    return path
