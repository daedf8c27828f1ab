"""Many networks at once: each is trained on one thread, with random numbers and automatic names of its own.

A replay runs without Python's global lock, so networks that are too small for several cores fill all of them together.
The lock is held while a network is built, some 4 ms; steps are recorded for the first network of a structure only
(`trainer.templates`). Validation and callbacks take it after each epoch, else it is left for many epochs at a time
(`trainer.epochs`). One thread at a time runs Python, until its next long replay (`parallel.in_turn`). The longer
networks train, the closer comes the gain to the number of cores. What comes out does not depend on threads.
"""

import collections
import contextlib
import copy
import ctypes
import functools
import os
import queue
import threading
import time
import traceback

import numpy as np

from minigrad import config
from minigrad.callbacks import EarlyStopping
from minigrad.checks import is_int, warn
from minigrad.data import as_rows, is_array_like
from minigrad.models import Model
from minigrad.names import fresh_names
from minigrad.parallel import in_turn, side_by_side
from minigrad.trainer.arguments import verbosity
from minigrad.trees import filled, leaves, mapped
from minigrad.utils import Progbar

Outcome = collections.namedtuple("Outcome", "result error trace seconds")


def run(function, cases, seed=None, n_jobs=-1, verbose="auto"):
    """[function(case) for case in cases], several at once: for what trains a network, such as one fold of many.

    Each call has a thread for itself, a random generator that begins with a seed of its own, and automatic names that
    begin anew. `utils.set_random_seed(seed + i)` before `function(cases[i])` gives the same result to the bit. Where
    the function raises, the result is None, and a warning tells which case it was.

    Args:
        function: takes a case. It may change nothing that others read meanwhile; arrays may be shared.
        cases: an iterable.
        seed: an int, that of the first case; the next ones have seed + 1, seed + 2, ... None draws it from the global
            generator, which `utils.set_random_seed` seeds.
        n_jobs: the number of threads, -1 (or None) for one per core.
        verbose: 1 or "auto" shows a progress bar, 0 nothing.

    Raises:
        Exception: what the first case raised, if all of them have failed.

    >>> def fold(rows):
    ...     train, test = rows
    ...     model = build()
    ...     model.fit(x[train], y[train], epochs=20, verbose=0)
    ...     return model.evaluate(x[test], y[test], verbose=0)
    >>> scores = run(fold, KFold(10).split(x), seed=0)
    """
    cases = list(cases)
    outcomes = _outcomes(function, cases, first_seed(seed, len(cases)), n_jobs, verbose)
    _tell_failures(outcomes, cases)
    return [outcome.result for outcome in outcomes]


def first_seed(seed, count=1):
    """The seed of the first of `count` networks: a given one, checked, or one from the global generator."""
    if seed is None:
        return config.draw_seed()
    if not is_int(seed, 0) or seed + count > 2**32:
        raise ValueError(f"seed must be an int of at least 0, and seed + {count} at most 2**32; got {seed!r}.")
    return int(seed)


def workers(n_jobs):
    """How many threads `n_jobs` means: as in scikit-learn, -1 is one per core, -2 one less; None is -1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is not None and (not is_int(n_jobs) or n_jobs == 0):
        raise ValueError(f"n_jobs must be a positive int, or -1 for all cores; got {n_jobs!r}.")
    if n_jobs is not None and n_jobs > 0:
        return int(n_jobs)
    return max(1, cores + 1 + (-1 if n_jobs is None else int(n_jobs)))


@contextlib.contextmanager
def own_world(seed):
    """Inside, this thread has random numbers, from `seed` on, and automatic names of its own."""
    with config.seeded(seed), fresh_names():
        yield


def _alone(function, seed):
    """The Outcome of `function()` as one of many."""
    began, result, error, trace = time.perf_counter(), None, None, None
    try:
        with own_world(seed):
            result = function()
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # sys.exit() ends one network, too
        trace, error = traceback.format_exc(), raised.with_traceback(None)  # whose frames would keep the data
    return Outcome(result, error, trace, time.perf_counter() - began)


def _outcomes(function, cases, seed, n_jobs, verbose, note=lambda shown, outcome: None):
    """The Outcome for each case. `note(shown, outcome)` changes the dict `shown`, which the progress bar shows."""
    bar = Progbar(len(cases), verbose=verbosity(verbose), stateless_metrics=(), unit_name="network")
    outcomes, shown = [None] * len(cases), {}
    count = 1 if config.is_seeded() else min(workers(n_jobs), len(cases))  # one of many does its own one by one
    task = lambda i: _alone(lambda: function(cases[i]), seed + i)
    try:
        found = _in_threads(task, len(cases), count) if count > 1 else ((i, task(i)) for i in range(len(cases)))
        with contextlib.closing(found):  # Ctrl-C ends all of them
            for done, (i, outcome) in enumerate(found, 1):
                outcomes[i] = outcome
                if outcome.error is not None:
                    shown["failed"] = shown.get("failed", 0) + 1
                note(shown, outcome)
                bar.update(done, shown)
    finally:
        bar.close()
    return outcomes


def _in_threads(task, tasks, count):
    """Pairs (i, task(i)) for i below `tasks`, from `count` threads, as they come."""
    todo, found, turn = collections.deque(range(tasks)), queue.SimpleQueue(), threading.Lock()

    def work():
        try:
            while True:
                i = todo.popleft()
                with in_turn(turn):
                    outcome = task(i)
                found.put((i, outcome))
        except IndexError:  # all is done
            pass
        except KeyboardInterrupt as error:
            found.put((None, error))

    threads = [threading.Thread(target=work, name="minigrad", daemon=True) for _ in range(count)]
    with side_by_side():
        try:
            for thread in threads:
                thread.start()
            for _ in range(tasks):
                i, outcome = found.get()
                if i is None:
                    raise outcome
                yield i, outcome
        except BaseException:
            todo.clear()
            _interrupt(threads)
            raise
        for thread in threads:
            thread.join()


def _interrupt(threads):
    """End threads that still train, as Ctrl-C would; again where somebody has caught it."""
    for thread in threads:
        while thread.ident is not None and thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
            )
            thread.join(1)


def _tell_failures(outcomes, cases):
    """Raise the error of the first network if all have failed; warn if some have."""
    failed = [i for i, outcome in enumerate(outcomes) if outcome.error is not None]
    if failed and len(failed) == len(outcomes):
        raise outcomes[0].error
    if failed:
        numbers = ", ".join(map(str, failed[:10])) + (", ..." if len(failed) > 10 else "")
        first = failed[0]
        warn(
            f"{len(failed)} of {len(outcomes)} networks failed: {numbers}. Number {first}, {str(cases[first])[:200]}:\n"
            f"{outcomes[first].trace}"
        )


class Ensemble:
    """Networks that are trained on the same data, at once, and predict together. They may differ in anything.

    Args:
        build: a function that returns a compiled model. It should set no seed, or all networks would have that one.
        networks: how many; or a dict for each network, the arguments that `build` is called with, in a list or another
            iterable, such as scikit-learn's ParameterGrid.
        seed, n_jobs: see `run`.

    Attributes:
        models: the trained models, None for those that failed.
        results: a table, a dict of lists with one element per network: its "params" (and each as "param_NAME"), its
            "seed", the number of "epochs", "fit_time" in seconds, the values of the logs ("loss", "val_loss" ...) in
            the last epoch, or in the best one if an EarlyStopping has restored its weights, and the "error", or None.

    >>> ensemble = Ensemble(build, ParameterGrid({"units": [16, 32], "rate": [1e-3, 1e-2]}), seed=0)
    >>> ensemble.fit(x, y, epochs=100, validation_split=0.2, callbacks=[EarlyStopping(patience=5)])
    >>> pandas.DataFrame(ensemble.results).sort_values("val_loss")
    >>> mean, spread = ensemble.predict(x, return_std=True)
    """

    def __init__(self, build, networks=10, seed=None, n_jobs=-1):
        if not callable(build):
            raise ValueError(f"Ensemble: build must be a function that returns a compiled model, got {build!r}.")
        self.params = [{}] * networks if is_int(networks) else list(networks)
        if not self.params or not all(isinstance(one, dict) for one in self.params):
            raise ValueError(
                f"Ensemble: networks must be a number, or a dict of arguments of build per network; got {networks!r}."
            )
        self.build, self.seed, self.n_jobs = build, seed, n_jobs
        self.models, self.results = [], {}

    def fit(self, x, y=None, callbacks=None, verbose="auto", **options):
        """Build and train all networks, anew at each call. Returns the Ensemble.

        Args:
            x, y: arrays, data frames and what else holds all rows. They are shared by all networks, not copied.
            callbacks: each network gets a copy. Those that write files would all write the same one: give a function
                of the number of the network that returns its callbacks.
            verbose: 1 or "auto" shows one progress bar, 0 nothing.
            options: the other arguments of `Model.fit`, such as epochs and validation_split.

        Raises:
            ValueError: data that a network can't share with others; what the first network raised, if all failed.
        """
        given = (x, y, options.pop("sample_weight", None), options.pop("validation_data", None))
        for name, data in zip(("x", "y", "sample_weight", "validation_data"), given, strict=True):
            if data is not None and not is_array_like(data):
                raise ValueError(
                    f"Ensemble: {name} must be arrays, which networks can share; got {type(data).__name__}. Where each "
                    "network needs an iterator of its own, make it in a function: minigrad.many.run(function, cases)."
                )
        shared = functools.cache(lambda dtype: [_as_floats(data, dtype) for data in given])  # made by the first network

        def train(i):
            model = self.build(**self.params[i])
            if not isinstance(model, Model) or not model.compiled:
                raise ValueError(f"Ensemble: build must return a compiled model, got {model!r}.")
            own = callbacks(i) if callable(callbacks) else copy.deepcopy(callbacks)
            x, y, w, held = shared(model.dtype)
            model.fit(x, y, sample_weight=w, validation_data=held, callbacks=own, verbose=0, **options)
            model._pool.clear()  # the memory of the training step
            return model, _logs(model, leaves(own or []))

        seed = first_seed(self.seed, len(self.params))
        outcomes = _outcomes(train, range(len(self.params)), seed, self.n_jobs, verbose, _note_best)
        _tell_failures(outcomes, [f"params {one}, seed {seed + i}" for i, one in enumerate(self.params)])
        self.models = [outcome.result and outcome.result[0] for outcome in outcomes]
        self.results = _table(self.params, seed, outcomes)
        return self

    def predict(self, x, batch_size=None, return_std=False):
        """The mean of the networks' outputs for the rows of x; with `return_std`, also their standard deviation.

        The spread says how much the networks disagree: where data was rare, more than elsewhere.
        """
        models = [model for model in self.models if model is not None]
        if not models:
            raise ValueError("Ensemble: no network is trained yet: call fit first.")
        x = _as_floats(x, models[0].dtype)
        for count, tree in enumerate(self._outputs(models, x, batch_size), 1):
            found = [np.asarray(one, np.float64) for one in leaves(tree)]
            if count == 1:
                means, squares = found, [np.zeros(one.shape) for one in found]
                continue
            for mean, square, one in zip(means, squares, found, strict=True):  # Welford 1962
                step = one - mean
                mean += step / count
                square += step * (one - mean)
        dtypes = [one.dtype for one in leaves(tree)]
        mean = filled(tree, [one.astype(dtype) for one, dtype in zip(means, dtypes)])
        spread = filled(tree, [np.sqrt(one / count).astype(dtype) for one, dtype in zip(squares, dtypes)])
        return (mean, spread) if return_std else mean

    def _outputs(self, models, x, batch_size):
        """What each model predicts, in order: the first one in this thread, which tells whether others pay."""
        began = time.perf_counter()
        yield models[0].predict(x, batch_size, verbose=0)
        pays = time.perf_counter() - began > 1e-3
        count = 4 * workers(self.n_jobs)  # at a time: their outputs are in memory together
        for start in range(1, len(models), count):
            part = models[start : start + count]
            yield from run(
                lambda model: model.predict(x, batch_size, verbose=0), part, 0, self.n_jobs if pays else 1, verbose=0
            )


def _logs(model, callbacks):
    """A row of the table: the number of epochs, and the logs of the epoch whose weights the model has."""
    history, at = model.history, -1
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.best_weights is not None:
            at = history.epoch.index(callback.best_epoch)
    return {"epochs": len(history.epoch), **{key: values[at] for key, values in history.history.items() if values}}


def _note_best(shown, outcome):
    if outcome.error is None:
        row = outcome.result[1]
        key = "val_loss" if "val_loss" in row else "loss"
        shown[f"best {key}"] = min(row[key], shown.get(f"best {key}", np.inf))


def _table(params, seed, outcomes):
    """The dict of lists that `Ensemble.results` is, which pandas takes as it is."""
    rows = [{} if outcome.error is not None else outcome.result[1] for outcome in outcomes]
    keys = dict.fromkeys(key for one in params for key in one)
    return {
        "params": params,
        **{f"param_{key}": [one.get(key) for one in params] for key in keys},
        "seed": list(range(seed, seed + len(params))),
        **{key: [row.get(key, np.nan) for row in rows] for key in dict.fromkeys(key for row in rows for key in row)},
        "fit_time": [outcome.seconds for outcome in outcomes],
        "error": [outcome.error and f"{type(outcome.error).__name__}: {outcome.error}" for outcome in outcomes],
    }


def _as_floats(data, dtype):
    """Arrays of floats as the networks need them, so that none of them makes a copy; all else as it is."""
    if isinstance(data, (tuple, list, dict)):
        are_arrays = any(isinstance(one, np.ndarray) for one in leaves(data))
        return mapped(lambda one: _as_floats(one, dtype), data) if are_arrays else data
    if not isinstance(data, np.ndarray) or data.dtype.kind != "f":
        return data
    rows = as_rows(data, "x", dtype)
    return rows if isinstance(rows, np.ndarray) else data  # the rows of large data are converted as they are used
