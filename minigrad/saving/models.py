"""Files of whole models and of weights: `.keras` files of Keras 3, `.h5` files of Keras 2, and folders.

A `.keras` file is a ZIP with the architecture as JSON and the weights as HDF5; a folder holds the same members.
"""

import contextlib
import datetime
import io
import json
import os
import sys
import zipfile

from minigrad import config as settings
from minigrad.checks import warn
from minigrad.layers.base import registry
from minigrad.layers.filing import weights_of_a_file
from minigrad.registry import custom_object_scope
from minigrad.saving import assets, files, hdf5, legacy, objects, state, weights

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
_H5, _TODAY = (".h5", ".hdf5"), ".weights.h5"
_KNOWN = f"a .keras or .h5 file of Keras {legacy.KERAS_VERSION} or earlier"
_CONFIG_LIMIT = 8 << 20  # bytes; a layer takes about 1000
_DIRECTORY = 1 << 14  # bytes that HDF5 may need for one array besides its values
_COPIES = 8  # a weight and its slots in an optimizer take at most so many times the memory of the weight
_FORMATS = (None, "keras", "h5", "hdf5", "tf")  # those of Keras 2
_WAY_OUT = "Open it with the Keras that wrote it, and save it again as a .keras or .h5 file."


def save_model(model, filepath, overwrite=True, zipped=None, include_optimizer=True, save_format=None):
    """Write the model: architecture, weights, optimizer, arguments of `compile`, random streams. Keras opens it, too.

    The ending of `filepath` is the format: `.keras`, or `.h5` and `.hdf5`, which Keras 2 opens, too. Any other name
    becomes a folder (or, with `save_format="h5"`, an .h5 file) as in TensorFlow 2, and a warning says so. A file is
    replaced as a whole, once the new one is complete; a folder gets its files one after the other.
    `include_optimizer=False` leaves the optimizer out of an .h5 file; as in Keras 3, it has no effect on others.

    Raises:
        ValueError: the model has something that a file can't describe.
        FileExistsError: `overwrite=False`, and the file exists.
    """
    path = _free(filepath, overwrite)
    if save_format not in _FORMATS:
        raise ValueError(f"save_format must be one of {_FORMATS[1:]} or left out, got {save_format!r}.")
    extra = {"random": settings.random_state()}
    config = registry.serialize(model)
    if path.endswith(_H5) or save_format in ("h5", "hdf5"):
        if any(getattr(layer, "_assets", dict)() for layer in model._all_layers()):
            warn("An .h5 file has no place for the vocabulary of a layer: save a .keras file, or set it after loading.")
        data = weights.pack_legacy(model, config, include_optimizer, extra)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # as Keras does for such files
        files.write(path, data)
        return
    written = datetime.datetime.now()
    about = {"keras_version": legacy.KERAS_VERSION, "date_saved": written.strftime("%Y-%m-%d@%H:%M:%S")}
    members = {
        METADATA: json.dumps({**about, "minigrad_version": sys.modules["minigrad"].__version__}).encode(),
        CONFIG: objects.as_json(config).encode(),
        WEIGHTS: weights.pack(model, extra=extra),
        **assets.pack(model),
    }
    if zipped is False or not path.endswith(".keras"):
        if zipped is not False:
            warn(
                "A model is saved as a folder of three files, which load_model of minigrad and of Keras 3 read: it is "
                "no SavedModel of TensorFlow. A name that ends in .keras makes it one file."
            )
        for name, content in members.items():
            place = os.path.join(path, *name.split("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            files.write(place, content)
        return
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, written.timetuple()[:6]), content)
    files.write(path, archive.getvalue())


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """The model in a `.keras` or `.h5` file or a folder that minigrad or Keras (2 or 3) wrote.

    A compiled model goes on training as the saved model would have; to the bit if minigrad wrote the file. Its first
    `fit` even shuffles the rows alike, unless `set_random_seed` is called in between.

    Whatever `safe_mode` says, no code is read from the file. It may name classes of minigrad, those registered with
    `register_keras_serializable`, and those in `custom_objects`, a dict from names to classes or functions.

    Raises:
        ValueError: no such file, or one that is damaged, foreign, or asks for more memory than its length justifies.
    """
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise ValueError(f"There is no file {path!r}.")
    with files.naming(path), _opened(path) as (file, archive):
        if archive is None:
            with hdf5.Tree(file) as tree:
                config, size, version = legacy.config(tree), os.path.getsize(path), legacy.written_by(tree)
        else:
            config, size, version = archive.json(CONFIG, _CONFIG_LIMIT), archive.size(WEIGHTS), _version(archive)
        try:
            with custom_object_scope(custom_objects or {}), weights_of_a_file(size // 2):
                model = _from_config(config, compile)
        except Exception as error:
            writer = f" (the file says it is Keras {version}'s; minigrad reads {_KNOWN})" if version else ""
            raise ValueError(f"{files.reason(error)}{writer}") from error
        if archive is not None:
            assets.unpack(archive, model)
            file = _member(archive, model)
        kept = weights.unpack(model, file, with_optimizer=compile)
        if compile and "random" in kept:
            state.keep_random_numbers(model, kept["random"])
    return model


@contextlib.contextmanager
def _opened(path):
    """(an open HDF5 file, None), or (None, the members of a `.keras` file or of a folder)."""
    if hdf5.is_file(path):
        with open(path, "rb") as file:
            yield file, None
    elif os.path.isdir(path):
        for name in ("saved_model.pb", "keras_metadata.pb"):
            if os.path.exists(os.path.join(path, name)):
                raise ValueError(f"it is a SavedModel of TensorFlow, a graph of TensorFlow's operations. {_WAY_OUT}")
        yield None, files.Folder(path)
    else:
        with files.opened(path, b"PK", "file of a model (.keras or .h5)") as file, zipfile.ZipFile(file) as archive:
            yield None, files.Archive(archive)


def _from_config(config, compile):
    """The model that a config describes, built and (if wanted) compiled."""
    config = legacy.modern(config)
    model = registry.deserialize(config)
    if not hasattr(model, "build_from_config"):
        raise ValueError(f"it holds no model but {model!r}")
    if not model.built:
        model.build_from_config(config.get("build_config"))
    if compile and config.get("compile_config") and hasattr(model, "compile_from_config"):
        try:
            model.compile_from_config(config["compile_config"])
        except Exception as error:
            raise ValueError(f"{files.reason(error)} (compile=False loads the model without it)") from error
    return model


def _member(archive, model):
    """The weights file in an archive, read into memory; a ValueError if it is longer than the model can need."""
    places = weights.located(model)
    arrays = sum(1 + len(layer._file_variables()) for _, layer in places)
    needed = sum(v.size * 8 for v in model.weights)
    return io.BytesIO(archive.read(WEIGHTS, _COPIES * (needed + (arrays + 8) * _DIRECTORY)))


def _version(archive):
    """The version of the Keras that wrote the file, for error messages."""
    try:
        return str(archive.json(METADATA, 1 << 16).get("keras_version"))[:20]
    except Exception:  # a hint in a message must not hide the error itself
        return ""


def model_from_json(json_string, custom_objects=None):
    """A new model, with new weights, from the text that `model.to_json()` returned."""
    with custom_object_scope(custom_objects or {}):
        return _from_config(files.parse(json_string), compile=True)


def save_weights(model, filepath, overwrite=True, max_shard_size=None, save_format=None):
    """Write the weights and the optimizer's variables to a file that ends in .weights.h5. See `save_model`.

    Other names are taken as in Keras 2, with a warning: files ending in .h5 or .hdf5 hold the weights alone; any other
    name gets the ending `.weights.h5`, which `load_weights` adds, too.
    """
    if max_shard_size is not None:
        raise ValueError("minigrad writes weights into one file: max_shard_size must be None.")
    if save_format not in _FORMATS:
        raise ValueError(f"save_format must be one of {_FORMATS[1:]} or left out, got {save_format!r}.")
    path = os.fspath(filepath)
    if path.endswith(".keras"):
        raise ValueError(f"A .keras file holds a whole model: save_weights writes .weights.h5 files, got {path!r}.")
    is_old = not path.endswith(_TODAY) and (path.endswith(_H5) or save_format in ("h5", "hdf5"))
    is_bare = not path.endswith(_TODAY) and not is_old
    path = _free(path + _TODAY if is_bare else path, overwrite)
    _require_built(model, "save_weights")
    if is_old or is_bare:
        what = "The file gets the ending .weights.h5" if is_bare else "The file holds the weights as Keras 2 wrote them"
        warn(f"{what}: today's save_weights takes only names that end in .weights.h5.")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    files.write(path, weights.pack_legacy(model) if is_old else weights.pack(model))


def load_weights(model, filepath, skip_mismatch=False, by_name=False, objects_to_skip=None, options=None):
    """Give a built model the weights of a `.weights.h5`, `.keras` or `.h5` file (or folder, see `save_model`).

    A compiled model also gets the variables of its optimizer, if the file has them. With `skip_mismatch`, layers that
    do not fit keep their weights, and a warning says so. The layers of .h5 files in Keras 2's layout are matched by
    their order or, with `by_name`, by their names; a layer whose name the file does not have keeps its weights.

    Raises:
        ValueError: a file that is damaged or does not fit. The model has not been changed then.
        FileNotFoundError: no such file.
    """
    path = os.fspath(filepath)
    if not os.path.isfile(path) and os.path.exists(path + _TODAY):
        path += _TODAY
    if objects_to_skip:
        raise ValueError("minigrad does not know objects_to_skip: use skip_mismatch=True.")
    _require_built(model, "load_weights")
    with files.naming(path):
        if os.path.exists(path + ".index"):
            raise ValueError(f"it is a checkpoint of TensorFlow. {_WAY_OUT}")
        with _opened(path) as (file, archive):
            file = _member(archive, model) if file is None else file
            weights.unpack(model, file, skip_mismatch=skip_mismatch, by_name=by_name)


def _require_built(model, method):
    if not model.built:
        raise ValueError(f"Model {model.name!r} is not built: it has no weights yet. Put an Input in front, or call "
                         f"build(input_shape), before {method}().")


def _free(filepath, overwrite):
    path = os.fspath(filepath)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"The file {path!r} exists already, and overwrite=False.")
    return path
