"""evaluate, predict, and the methods for one batch."""

import itertools
import math

import numpy as np

from minigrad.callbacks import CallbackList
from minigrad.data import is_array_like
from minigrad.layers.context import entry
from minigrad.trainer.arguments import kind_of, verbosity, warn_of_missing, whole_number
from minigrad.trainer.compiling import require_compiled
from minigrad.trainer.feed import default_batch_size, look_for_gaps, prepare, prepare_x
from minigrad.trainer.logs import batch_results, listed, results
from minigrad.trainer.programs import Forgetting, check_batch, run_staged
from minigrad.trainer.snapshot import build_optimizer
from minigrad.trainer.sources import Stream
from minigrad.trees import filled, leaves

_STOP = {"test": "stop_evaluating", "predict": "stop_predicting"}  # what a callback sets to end it


@entry
def evaluate(
    model, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
    return_dict=False,
):
    """The loss and the metrics on the data, in inference mode.

    Returns a float if there is only the loss, else a list [loss, metrics...]; with return_dict=True a dict.
    See `fit` for the arguments, and for what it raises.
    """
    require_compiled(model, "evaluate")
    verbose = verbosity(verbose)
    steps = whole_number("steps", steps, 1, optional=True)
    batch_size = whole_number("batch_size", batch_size, 0, optional=True)
    with model._pool.training, Forgetting(model):
        if is_array_like(x):
            x, y, sample_weight = prepare(model, x, y, sample_weight, kind="test")
            batch_size = batch_size or default_batch_size(len(x), steps)
            count = min(math.ceil(len(x) / batch_size), steps or math.inf)
            check_batch(model, "test", x, y, sample_weight, rows=batch_size)
            batches = batches_of(x, y, sample_weight, batch_size, steps)
        elif y is not None or sample_weight is not None:
            raise ValueError(
                f"x is {kind_of(x)}: it must yield (x, y) or (x, y, sample_weight); y and sample_weight can't be "
                "given beside it."
            )
        else:
            stream = Stream(x)
            count, batches = steps or stream.length, checked(model, stream, steps)
        callbacks = CallbackList(
            callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1, steps=count
        )
    with model._pool.training, Forgetting(model):
        try:
            logs = evaluate_batches(model, batches, callbacks, steps)
        except BaseException:
            callbacks.abort()
            raise
    return logs if return_dict else listed(model, logs)


def evaluate_batches(model, batches, callbacks, steps=None):
    """Evaluate checked batches, of which there should be `steps`; the logs."""
    model.stop_evaluating = False
    callbacks.on_test_begin({})

    def take(batch, done):
        run_staged(model, "test", *batch, reset=done == 0)
        if model.finite_batches <= done:
            look_for_gaps(model, "test", done + 1, batch)

    done = _take_batches(model, "test", batches, callbacks, take, lambda _: results(model, of_step=True))
    if done == 0:
        raise ValueError("The data is empty: there is no batch to evaluate.")
    if not model.stop_evaluating:
        warn_of_missing(steps, done)
    logs = results(model)
    callbacks.on_test_end(logs)
    return logs


def _take_batches(model, kind, batches, callbacks, take, logs):
    """Call `take(batch, number)` for each batch until a callback sets `stop_...`; how many there were.

    The batch hooks are called as often as `steps_per_execution` says, with the logs of that many batches.
    """
    begin, end = getattr(callbacks, f"on_{kind}_batch_begin"), getattr(callbacks, f"on_{kind}_batch_end")
    is_watched = callbacks.batch_stride(kind, 0) is not None
    done = began = 0
    for batch in batches:
        if is_watched and done == began:
            begin(done, {})
        take(batch, done)
        done += 1
        if is_watched and done - began == model.steps_per_execution:
            end(done - 1, logs(done - began))
            began = done
        if is_watched and getattr(model, _STOP[kind]):
            return done
    if is_watched and done > began:
        end(done - 1, logs(done - began))
    return done


def batches_of(x, y, w, batch_size, steps):
    """The batches of checked arrays."""
    for start in itertools.islice(range(0, len(x), batch_size), steps):
        rows = slice(start, start + batch_size)
        yield tuple(None if a is None else a[rows] for a in (x, y, w))


def checked(model, stream, steps):
    """The batches of a stream, each checked."""
    for batch in stream.epoch(steps):
        yield prepare(model, *batch, kind="test")


@entry
def predict(model, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
    """The outputs for the rows of x as a NumPy array, in inference mode. Any number of threads may call it.

    x of shape (n, features) gives (n, units of the last layer). A NaN or infinity in a row shows in that row only.
    See `fit` for the arguments.

    Raises:
        ValueError: rows that do not fit the model, or none.
    """
    verbose = verbosity(verbose)
    steps = whole_number("steps", steps, 1, optional=True)
    batch_size = whole_number("batch_size", batch_size, 0, optional=True)
    if is_array_like(x):
        x = prepare_x(model, x)
        batch_size = batch_size or default_batch_size(len(x), steps)
        starts = range(0, len(x), batch_size)[:steps]
        count, batches = len(starts), (x[start : start + batch_size] for start in starts)
    else:
        stream = Stream(x)
        count = steps or stream.length
        batches = (prepare_x(model, batch[0]) for batch in stream.epoch(steps))
    callbacks = CallbackList(
        callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1, steps=count
    )
    outputs = []

    def take(batch, done):
        outputs.append(run_staged(model, "predict", batch)[0])

    try:
        if model.stop_predicting:
            model.stop_predicting = False
        callbacks.on_predict_begin({})
        _take_batches(model, "predict", batches, callbacks, take, lambda n: {"outputs": _joined(outputs[-n:])})
        callbacks.on_predict_end({})
    except BaseException:
        callbacks.abort()
        raise
    if not outputs:
        raise ValueError("The data is empty: there is no batch to predict.")
    if not model.stop_predicting:
        warn_of_missing(steps, len(outputs))
    return _joined(outputs)


@entry
def train_on_batch(model, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
    """One step of training on a batch, all rows of x; the loss and metrics of the batch before the step.

    Returns and raises what `evaluate` does. Data that does not fit changes nothing.
    """
    require_compiled(model, "train_on_batch")
    with model._pool.training, Forgetting(model):
        batch = prepare(model, x, y, sample_weight, class_weight)
        build_optimizer(model)
        run_staged(model, "train", *batch, reset=True)
        return batch_results(model, return_dict)


@entry
def test_on_batch(model, x, y=None, sample_weight=None, return_dict=False):
    """The loss and metrics of a batch, in inference mode. Returns and raises what `evaluate` does."""
    require_compiled(model, "test_on_batch")
    with model._pool.training, Forgetting(model):
        batch = prepare(model, x, y, sample_weight, kind="test")
        run_staged(model, "test", *batch, reset=True)
        return batch_results(model, return_dict)


@entry
def predict_on_batch(model, x):
    """The outputs for one batch, all rows of x, as a NumPy array, in inference mode. See `predict`."""
    return run_staged(model, "predict", prepare_x(model, x))[0]


def _joined(outputs):
    """The outputs of all batches, one after the other: an array, or a tree of them where the model has several."""
    if len(outputs) == 1:
        return outputs[0]
    parts = zip(*map(leaves, outputs), strict=True)
    return filled(outputs[0], map(np.concatenate, parts))
