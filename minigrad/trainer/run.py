"""Run: one `fit` while it runs, its position, and how a later `fit` continues from that position."""

import numpy as np

from minigrad import config
from minigrad.checks import is_int, warn
from minigrad.exchange import add_up, average, world
from minigrad.layers.recurrent import RNN
from minigrad.older import Logs
from minigrad.saving.files import naming
from minigrad.trainer.epochs import may_be_joined, take_epochs
from minigrad.trainer.logs import restart, results
from minigrad.trees import leaves


class Run:
    """One `fit` while it runs: `model.fitting` (None outside of `fit`).

    `epoch` and `batch` say what comes next. In on_train_batch_end they are the current epoch and the number of its
    batches that are done; in on_epoch_end they are the next epoch and 0.

    Args:
        source: an ArraySource or a StreamSource.
        validation: a function of the epoch that returns the logs of the validation, or None.
        epochs: the number of the last epoch; initial_epoch: the number of the first one, counted from 0.
        held: the Stream of the validation, if it has one.
    """

    def __init__(self, model, source, callbacks, validation, epochs, initial_epoch, held=None):
        self.model, self.source, self.callbacks = model, source, callbacks
        self.validation, self.epochs, self.held = validation, epochs, held
        self.epoch, self.batch = initial_epoch, 0
        self._given, self._restore, self._path = {}, None, None
        self.searched = set()  # "train", "test": in which of the data it was looked for NaN
        self._began = None  # the batch at which on_train_batch_begin was called, while on_train_batch_end was not yet

    def get_state(self):
        """The position of the training, a dict of numbers, strings, lists and arrays.

        Weights and the variables of the optimizer are not in it. It has "epoch" and "batch"; "stop", whether a callback
        has ended the training; "source", the order of the rows and the position in it; "held", the same of a stream to
        validate on; "metrics", the values of their variables; "states", those of stateful layers; "random", the state
        of the generator; "callbacks", the state of each callback. Call it from one that `runs_last`: all other
        callbacks have seen the batch or epoch that has just ended.
        """
        state = {
            "epoch": self.epoch,
            "batch": self.batch,
            "stop": self.model.stop_training,
            "source": self.source.get_state(),
            "held": {} if self.held is None else self.held.get_state(),
            "metrics": [v.numpy() for v in self._of_metrics()],
            "states": [v.numpy() for v in self._of_stateful_layers()],
            "random": config.random_state(),
            "callbacks": self.callbacks.get_state(),
        }
        if world.size > 1:  # within an epoch, each process has metrics and averages of its own rows
            state["averages"] = [v.numpy() for v in self._of_averages()]
            state["others"] = world.agree({name: value for name, value in state.items() if name != "source"})[1:]
        return state

    def set_state(self, state, restore=None, path=None):
        """Continue from a state that `get_state` returned, or from a part of it, such as {"epoch": 3}.

        Call it in on_train_begin. After that hook of all callbacks, the state is checked, and then `restore()` is
        called, which sets the weights and whatever else belongs to the state.

        Args:
            path: the file of the state, for errors.

        Raises:
            ValueError: the state is damaged, or belongs to other data or another model. (Raised by the check.)
        """
        self._given, self._restore, self._path = dict(state), restore, path

    def train(self):
        """Run the epochs."""
        model, callbacks, logs = self.model, self.callbacks, {}
        first = self.epoch
        callbacks.on_train_begin({})
        metrics = self._take_given()
        is_joined = self.epochs - self.epoch > 1 and may_be_joined(self)
        while self.epoch < self.epochs and not (model.stop_training and self.batch == 0):
            if is_joined and take_epochs(self):
                continue
            if not self.source.begin(self):
                warn(
                    f"The data ran out after {self.epoch - first} epochs: a generator can't be started again, so the "
                    "training ends here.",
                )
                break
            restart(model, self.batch)
            callbacks.on_epoch_begin(self.epoch, {})
            for variable, value in metrics:
                variable.assign(value)
            metrics = []
            self.source.run_epoch(self)
            self._join()
            logs, epoch = Logs(results(model)), self.epoch
            self.epoch, self.batch = epoch + 1, 0
            if self.validation is not None:
                logs = Logs(sorted({**logs, **self.validation(epoch)}.items()))
            callbacks.on_epoch_end(epoch, logs)
            model.stop_training = any(world.agree(model.stop_training))
        if self.epochs > first and model.optimizer is not None:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        callbacks.on_train_end(logs)

    def _join(self):
        """Bring the sums of all processes together, and the averages that each has kept of its own rows."""
        if world.size > 1:
            for metric in self.model.metrics:
                for variable in metric.variables:
                    add_up(variable._data)
            for variable in self._of_averages():
                average(variable._data)

    @property
    def is_stopped(self):
        """Whether the epoch ends here because a callback has set `stop_training`: asked after each batch or group."""
        is_over = self.model.stop_training and self.batch > 0 and self._began is None
        return is_over and world.size == 1  # several processes agree at the end of the epoch

    def begin_batch(self):
        """Call on_train_batch_begin, once per group of `steps_per_execution` batches."""
        if self._began is None:
            self._began = self.batch
            self.callbacks.on_train_batch_begin(self.batch, {})

    def end_batch(self, group=1):
        """Call on_train_batch_end, if `group` batches or a multiple of them are done since on_train_batch_begin."""
        if self._began is not None and (self.batch - self._began) % group == 0:
            self._began = None
            self.callbacks.on_train_batch_end(self.batch - 1, results(self.model, of_step=True))

    def _take_given(self):
        """Continue as `set_state` was told. Returns pairs of a variable of the metrics and its later value."""
        given = self._given
        if not given:
            return []
        with naming(self._path or "The state of the training"):
            others = given.get("others", ())
            if len(others) + 1 == world.size:
                given = {**given, **([{}, *others][world.rank])}
            elif given.get("batch"):
                raise ValueError(
                    f"the training to go on with had {len(others) + 1} processes in the middle of an epoch; now there "
                    f"are {world.size}"
                )
            for name in ("epoch", "batch"):
                if not is_int(given.get(name, 0), 0):
                    raise ValueError(f"{name} must be an integer of 0 or more, got {given[name]!r}")
            metrics = _matched(self._of_metrics, given.get("metrics", []), "metrics") if given.get("batch") else []
            states = _matched(self._of_stateful_layers, given.get("states", []), "stateful layers")
            states += _matched(self._of_averages, given.get("averages", []), "moving averages")
            if "source" in given:
                self.source.check_state(given["source"])
            if given.get("held") and self.held is not None:
                self.held.check_state(given["held"])
            if "random" in given:
                config.check_random_state(given["random"])
            self.callbacks.set_state(given.get("callbacks", ()))
        if self._restore is not None:
            self._restore()
        for variable, value in states:
            variable.assign(value)
        self.epoch, self.batch = given.get("epoch", self.epoch), given.get("batch", 0)
        self.model.stop_training = bool(given.get("stop", self.model.stop_training))
        if given.get("held") and self.held is not None:
            self.held.set_state(given["held"])
        if "source" in given:  # after `held`: it knows NumPy's generator as it was before batches made in advance
            self.source.set_state(given["source"])
        if "random" in given:
            config.set_random_state(given["random"])
        self._given = self._restore = None
        return metrics

    def _of_metrics(self):
        return [v for metric in self.model.metrics for v in metric.variables]

    def _of_averages(self):
        return [v for v in self.model.non_trainable_variables if v.dtype.kind == "f"]

    def _of_stateful_layers(self):
        layers = [layer for layer in self.model._all_layers() if isinstance(layer, RNN)]
        return [v for layer in layers for v in leaves(layer.states or ())]

    def __deepcopy__(self, memo):
        return None  # a copy of the model is not being trained

    def __reduce__(self):
        return type(None), ()


def _matched(find, values, owner):
    """Pairs of a variable that `find()` lists and the value that it had at this point of the training."""
    variables = find() if len(values) else []
    if len(values) != len(variables):
        raise ValueError(
            f"the training to go on with had {len(values)} variables of {owner}; this model has {len(variables)}: make "
            "and compile it as it was"
        )
    for variable, value in zip(variables, values, strict=True):
        if np.shape(value) != variable.shape or np.asarray(value).dtype.kind not in "fiub":
            raise ValueError(f"the {owner} have a variable of shape {variable.shape}, got {np.shape(value)}")
    return list(zip(variables, values, strict=True))
