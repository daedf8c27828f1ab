"""tf.train.Checkpoint and CheckpointManager: models, optimizers and variables in a file of minigrad's own format."""

import json
import os
import re

import numpy as np

import minigrad
from minigrad.layers.base import Layer
from minigrad.optimizers import Optimizer
from minigrad.saving import files, hdf5, state, weights
from minigrad.tensor import Variable

ENDING = ".ckpt.h5"  # of the file behind a path such as "folder/ckpt-3"
_INDEX = "checkpoint"  # the file with the paths of a folder's checkpoints


class Checkpoint:
    """What `save` writes and `restore` reads: models (with their optimizers), optimizers, variables, other Checkpoints.

    >>> checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=tf.Variable(0))
    >>> path = checkpoint.save("folder/ckpt")
    >>> checkpoint.restore(path)
    """

    def __init__(self, root=None, **kwargs):
        self._things = kwargs if root is None else {"root": root, **kwargs}
        for name, thing in self._things.items():
            if not isinstance(thing, (Checkpoint, Layer, Optimizer, Variable)):
                kind = type(thing).__name__
                raise ValueError(f"Checkpoint keeps models, layers, optimizers and variables; {name} is a {kind}.")
        vars(self).update(self._things)
        self.save_counter = Variable(0, (), np.int64, trainable=False, name="save_counter")

    def _variables(self):
        """{name of a thing: its variables}."""
        found = {}
        for name, thing in self._things.items():
            if isinstance(thing, Checkpoint):
                found |= {f"{name}/{inner}": variables for inner, variables in thing._variables().items()}
            elif isinstance(thing, Variable):
                found[name] = [thing]
            else:
                found[name] = list(thing.weights if isinstance(thing, Layer) else thing.variables)
                if getattr(thing, "optimizer", None) is not None:
                    found[f"{name}/optimizer"] = list(thing.optimizer.variables)
        return found | {"save_counter": [self.save_counter]}

    def _streams(self):
        """The pairs (name, layer) whose random streams are kept."""
        models = [(name, thing) for name, thing in self._things.items() if isinstance(thing, Layer)]
        return [(f"{name}/{path}", layer) for name, model in models for path, layer in weights.located(model)]

    def write(self, file_prefix, options=None):
        """Write the file of this path, which is returned."""
        values = {name: [v.numpy() for v in variables] for name, variables in self._variables().items()}
        kept = {"values": values, "streams": state.streams(self._streams())}
        os.makedirs(os.path.dirname(os.path.abspath(file_prefix)), exist_ok=True)
        files.write(f"{file_prefix}{ENDING}", hdf5.build({state.GROUP: ({}, state.pack(kept))}))
        return str(file_prefix)

    def save(self, file_prefix, options=None):
        """Write the file `file_prefix-N`, N counting the calls; returns this path."""
        self.save_counter.assign(int(self.save_counter) + 1)
        path = self.write(f"{file_prefix}-{int(self.save_counter)}")
        _write_index(os.path.dirname(path), [path])
        return path

    def read(self, save_path, options=None):
        """Give everything the values in the file of this path.

        Raises:
            FileNotFoundError, ValueError: there is no such file, or it does not fit. Nothing has been changed then.
        """
        path = f"{os.fspath(save_path)}{ENDING}"
        with files.naming(path), files.opened(path, hdf5.SIGNATURE, "HDF5 file") as file:
            with hdf5.Tree(file) as tree:
                kept = state.unpack(tree)
            pairs = self._matched(kept["values"])
            streams = state.matched_streams(self._streams(), kept["streams"])
        for variable, value in pairs:
            variable.assign(value)
        for stream, value in streams:
            stream[...] = value
        return _Status()

    def restore(self, save_path, options=None):
        """The same as `read`; nothing happens if the path is None."""
        return _Status() if save_path is None else self.read(save_path)

    def _matched(self, values):
        """Pairs (variable, its value in the file)."""
        self._build_optimizers(values)
        pairs = []
        for name, variables in self._variables().items():
            if name not in values:
                continue
            if [v.shape for v in variables] != [np.shape(value) for value in values[name]]:
                raise ValueError(
                    f"{name} has variables of the shapes {[v.shape for v in variables]}, and the file holds "
                    f"{[np.shape(value) for value in values[name]]}. (Build a model first: call it once.)"
                )
            pairs += zip(variables, values[name])
        return pairs

    def _build_optimizers(self, values):
        """Build optimizers that were built when the file was written: for the model beside them."""
        models = [thing for thing in self._things.values() if isinstance(thing, minigrad.Model)]
        for name, thing in self._things.items():
            optimizer = thing if isinstance(thing, Optimizer) else getattr(thing, "optimizer", None)
            model = thing if isinstance(thing, minigrad.Model) else models[0] if models else None
            if optimizer is None or model is None or optimizer.built:
                continue
            place = name if optimizer is thing else f"{name}/optimizer"
            if len(values.get(place, ())) > len(optimizer.variables):
                optimizer.build(model.trainable_variables)


class _Status:
    """What `restore` returns: everything has been restored already."""

    def assert_consumed(self):
        return self

    assert_existing_objects_matched = assert_nontrivial_match = expect_partial = initialize_or_restore = assert_consumed


class CheckpointManager:
    """Keeps the last `max_to_keep` files of a Checkpoint in a folder, numbered as they were saved."""

    def __init__(
        self, checkpoint, directory, max_to_keep, keep_checkpoint_every_n_hours=None, checkpoint_name="ckpt",
        step_counter=None, checkpoint_interval=None, init_fn=None,
    ):  # fmt: skip
        self.checkpoint, self.directory = checkpoint, os.fspath(directory)
        self._most, self._prefix = max_to_keep, os.path.join(self.directory, checkpoint_name)
        self._init, self._step, self._interval = init_fn, step_counter, checkpoint_interval
        self._last = None  # the step of the last file
        self.checkpoints = _read_index(self.directory)

    @property
    def latest_checkpoint(self):
        """The path of the last file; None if there is none."""
        return self.checkpoints[-1] if self.checkpoints else None

    def save(self, checkpoint_number=None, check_interval=True, options=None):
        """Write the next file, and delete the oldest one if there are too many; its path, or None if it is not due."""
        step = None if self._step is None else int(self._step)
        if check_interval and self._interval and self._last is not None and step - self._last < self._interval:
            return None
        self._last = step
        counter = self.checkpoint.save_counter
        counter.assign(int(counter) + 1)
        path = f"{self._prefix}-{int(counter if checkpoint_number is None else checkpoint_number)}"
        self.checkpoint.write(path)
        self.checkpoints = [*(one for one in self.checkpoints if one != path), path]
        while self._most and len(self.checkpoints) > self._most:
            oldest, *self.checkpoints = self.checkpoints
            if os.path.exists(f"{oldest}{ENDING}"):
                os.unlink(f"{oldest}{ENDING}")
        _write_index(self.directory, self.checkpoints)
        return path

    def restore_or_initialize(self):
        """Restore the last file, whose path is returned; without one, call `init_fn`."""
        if self.latest_checkpoint is not None:
            self.checkpoint.restore(self.latest_checkpoint)
        elif self._init is not None:
            self._init()
        return self.latest_checkpoint


def _write_index(folder, paths):
    """Note the paths of a folder's checkpoints, the last one also as the latest, in TensorFlow's way."""
    names = [json.dumps(os.path.basename(path)) for path in paths]
    lines = [f"model_checkpoint_path: {names[-1]}", *(f"all_model_checkpoint_paths: {name}" for name in names)]
    files.write(os.path.join(folder, _INDEX), "\n".join([*lines, ""]).encode())


def _read_index(folder):
    """The paths of a folder's checkpoints, the latest one last."""
    try:
        with open(os.path.join(folder, _INDEX), encoding="utf-8") as file:
            names = re.findall(r'^all_model_checkpoint_paths: "(.*)"$', file.read(1 << 20), re.M)
    except FileNotFoundError:
        return []
    paths = [os.path.join(folder, os.path.basename(name)) for name in names]
    return [path for path in paths if os.path.exists(f"{path}{ENDING}")]


def latest_checkpoint(checkpoint_dir, latest_filename=None):
    """The path of the last checkpoint in a folder; None if there is none."""
    paths = _read_index(os.fspath(checkpoint_dir))
    return paths[-1] if paths else None
