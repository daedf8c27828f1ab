"""Programs of a model: its steps recorded, taken from the pool and replayed."""

import traceback

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.checks import warn
from minigrad.data import Several, batch_of, named_arrays
from minigrad.layers.context import users_line
from minigrad.ops.masks import MASKS, mask_of
from minigrad.ops.shaping import constant_tensor
from minigrad.program import RecordingError, aligned, launch
from minigrad.tensor import Tensor, constant
from minigrad.trainer import templates
from minigrad.trainer.compiling import require_known_steps
from minigrad.trainer.logs import has_own, restart
from minigrad.trainer.pool import Step
from minigrad.trainer.snapshot import current
from minigrad.trainer.steps import check_step, step_on, try_own
from minigrad.trees import leaves, mapped


def fit_step(model, rows, count):
    """The training step on the next `count` rows, taken from the pool: give it back."""

    def build():
        result, take = [], step_on(model, "train")

        def run():
            result[:] = [take(*rows.next_batch(count))]
            launch(K.increment, constant(np.int64, count), rows.cursor)

        title = f"one training step of {model.name}, {count} rows"
        return _recorded(model, run, key, rows.inputs, title, result)

    key = _fit_key(rows, count)
    return model._pool.take(key, current(model), build)


def has_fit_step(model, rows, count):
    """Whether there is a recorded training step for batches like these."""
    return model._pool.has(_fit_key(rows, count), current(model))


def _fit_key(rows, count):
    return "fit", count, tuple([(name, rows.arrays[name].shape[1:], shape) for name, shape in rows.shapes.items()])


def take(model, step, count=1):
    """Take a step of training or evaluation `count` times."""
    step.replay(count)
    model._pool.logs = step.result[0]


def run_staged(model, kind, x, y=None, w=None, reset=False):
    """Run a step on a batch of arrays. Of "predict", return copies of the output, its logits and its mask, or None.

    With `reset`, the metrics start anew, once it is known that the batch fits the model.
    """
    step = _staged_step(model, kind, x, y, w)
    if reset:
        restart(model)
    is_several = type(x) is Several or type(y) is Several or type(w) is Several
    given = named_arrays(x, y, w) if is_several else {"x": x, "y": y, "w": w}
    for name, buffer in step.stage.items():
        buffer[...] = given[name][:]  # of lazy rows this makes an array
    results = None
    if kind != "predict":
        take(model, step)
    else:
        step.replay()
        y, mask = step.result
        is_one = isinstance(y, Tensor)
        logits, only = (y._logits if is_one else None) or (None, None)
        found = y._data.copy() if is_one else mapped(lambda one: one._data.copy(), y)
        logits = None if logits is None else (logits._data.copy(), only)
        results = found, logits, None if mask is None else np.array(mask)
    model._pool.give_back(step)
    return results


def check_batch(model, kind, *arrays, rows=None):
    """Make the step for a batch of the first `rows` rows, but do not run it: shapes that do not fit raise here."""
    model._pool.give_back(_staged_step(model, kind, *(None if a is None else a[:rows] for a in arrays)))


def _staged_step(model, kind, x, y=None, w=None):
    """A step whose batch is copied into buffers of its own first."""
    key = kind, x.shape, None if y is None else y.shape, None if w is None else w.shape

    def build():
        stage = {name: aligned(a.shape, a.dtype) for name, a in named_arrays(x, y, w).items()}
        tensors = batch_of({name: constant_tensor(array) for name, array in stage.items()}, x, y, w)
        result, take, is_own = [], step_on(model, kind), has_own(model, f"{kind}_step")

        def run():
            found = take(*tensors)
            result[:] = [found]
            if kind == "predict":
                result.append(mask_of(found))
                for one in leaves(found) if MASKS else ():
                    one._keras_mask = None  # or there would be masks as long as the step is kept

        if is_own:
            try_own(model, kind, *tensors)
        step = _recorded(model, run, key, {}, f"one {kind} step of {model.name}, {len(x)} rows", result, stage)
        model._pool.shown[kind] = step.program
        if step.program is None and kind != "predict" and not is_own:
            check_step(model, kind, *tensors)  # recording would have done it
        return step

    return model._pool.take(key, current(model), build)


def _recorded(model, run, key, inputs, title, result, stage=()):
    """A recorded Step; or, with a warning that tells why, one that runs eagerly."""
    require_known_steps(model)
    step = Step(run, inputs, current(model), result, stage)
    if model.run_eagerly or model._eager_because is not None:
        return step
    shared = shared_memory(model)
    arrays = [array for _, array in shared] + _streams(model)
    batch = *inputs.values(), *step.stage.values()
    is_sure, known, key = templates.look(model, key, arrays, batch)
    arrays += batch
    template, names = None if known is None else known.get(key), {**dict(shared), **step.stage}
    if template is not None:
        template.fill(step, model, arrays, title, names)
        return step
    try:
        step.record(names, title, is_sure)
    except RecordingError as error:
        model._eager_because = f"{error}{users_line(traceback.extract_tb(error.__traceback__))}"
        warn(f"Model {model.name!r} runs eagerly, step by step in Python: {model._eager_because}")
    else:
        if known is not None:
            templates.keep(known, key, model, step, arrays)
    return step


def shared_memory(model):
    """Pairs of what a listing of a Program calls an array of a model, and the array."""
    found = []
    for v in model.weights:
        found.append((v.path, v._data))
        if v._gradient is not None:
            found.append((f"{v.path}/gradient", v._gradient))
    if model.optimizer is not None and model.optimizer.built:
        found += model.optimizer.named_buffers().items()
    found.append(("finite_batches", model._objective.finite))
    for metric in model.metrics if model._objective.named else ():
        found += [(v.path, v._data) for v in metric.variables]
    return found


def _streams(model):
    """The streams of random numbers that a step of a model may draw from."""
    own = [vars(layer)["_state"] for layer in model._all_layers() if "_state" in vars(layer)]
    return [config.stream(), *own]


def forget(model):
    """Forget all Programs of a model."""
    model._snapshot = None
    model._pool.clear()


def _last(model, *kinds):
    return next((model._pool.shown[kind] for kind in kinds if kind in model._pool.shown), None)


@property
def train_program(model):
    """The Program of the last training step (None before `fit`, or where the model runs eagerly): print it.

    `fit` lets go of the data at its end; `bind` arrays to it before you replay it yourself.
    """
    return _last(model, "fit", "train")


@property
def predict_program(model):
    """The Program of the last prediction step."""
    return _last(model, "predict")


@property
def run_eagerly(model):
    """Whether every step runs in Python instead of being replayed; a change counts from the next call or epoch."""
    return model._run_eagerly


@run_eagerly.setter
def run_eagerly(model, value):
    model._run_eagerly = bool(value)
    forget(model)


class Forgetting:
    """Context manager: after an error, a model forgets the metrics and weights that it made for the bad data.

    (A generator with `contextlib.contextmanager` would take longer than all that this does.)
    """

    def __init__(self, model):
        self.model, self.had_metrics = model, model._objective.state == "built"
        self.had_optimizer = model.optimizer is None or model.optimizer.built
        self.unbuilt = [] if model.built else model._unbuilt()

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if isinstance(error, Exception):
            self.model._restore(self.unbuilt)
            self.model._clear_losses()
            if not self.had_optimizer:
                self.model.optimizer.unbuild()
            if not self.had_metrics:
                self.model._objective.forget()
                forget(self.model)
