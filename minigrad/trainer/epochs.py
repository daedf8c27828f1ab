"""Several epochs in one replay, where nobody looks at what is between them: threads that train other networks go on.

Between two replays Python's global lock is held. A small network would wait for it as long as it trains.
"""

import copy
import time

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.callbacks import History
from minigrad.exchange import world
from minigrad.metrics import Metric
from minigrad.older import Logs
from minigrad.program import Program
from minigrad.program.replaying import HEAD, PER_OPERAND, replay_entry
from minigrad.tensor import constant
from minigrad.trainer.logs import has_own, restart, results
from minigrad.trainer.pool import SLICE
from minigrad.trainer.sources import ArraySource

_HOOKS = "train_step", "metrics", "reset_metrics", "compute_metrics", "get_metrics_result"
MOST = 256  # epochs: some megabytes of a table


class _Epochs(Program):
    """A Program of recorded ones.

    Args:
        count: how many epochs it has.
        before, after: what each launches in addition, lists of (kernel, operands). An operand with three axes has an
            element for each epoch.
        steps: pairs of a Program and how often it is replayed.
    """

    def __init__(self, count, before, steps, after):
        own = [*before, *after]
        begin, programs = count * len(own), [program for program, _ in steps]
        shapes = np.array([program._table.shape for program in programs])
        self._missing, self._run, self._kept = set(), replay_entry(), (own, programs)
        self._table = np.zeros((begin + shapes[:, 0].sum(), shapes[:, 1].max()), np.int64)
        rows, places = self._table[:begin].reshape(count, len(own), -1), np.arange(begin).reshape(count, -1)
        for i, (kernel, operands) in enumerate(own):
            self._write(i, kernel, [o if o.ndim == 2 else o[0] for o in operands], None)
        rows[1:] = rows[0]
        for i, (_, operands) in enumerate(own):
            for k, one in enumerate(operands):
                if one.ndim == 3:
                    rows[:, i, HEAD + PER_OPERAND * k] += places[:, 0] // len(own) * one.strides[0]
        middle = []
        for program, often in steps:
            height, width = program._table.shape
            self._table[begin : begin + height, :width] = program._table
            middle += [begin + program.plan.walk] * often
            begin += height
        middle = np.broadcast_to(np.concatenate(middle), (count, sum(map(len, middle))))
        self.plan = copy.copy(programs[0].plan)
        self.plan.walk = np.concatenate([places[:, : len(before)], middle, places[:, len(before) :]], 1).ravel()


def may_be_joined(run):
    """Whether a `fit` asks for nothing but the logs after an epoch."""
    model, source, metrics = run.model, run.source, run.model.metrics
    return (
        type(source) is ArraySource and source.limit is None and not source.rows.is_staged
        and run.validation is None and all(type(callback) is History for callback in run.callbacks.callbacks)
        and world.size == 1 and not any(has_own(model, name) for name in _HOOKS)
        and all(type(metric).reset_state is Metric.reset_state for metric in metrics)
        and all(v.dtype.kind == "f" for metric in metrics for v in metric.variables)
    )


def take_epochs(run):
    """Train for the next epochs, as many as a replay may take; whether these are several."""
    model, source, rows = run.model, run.source, run.source.rows
    batch = min(source.batch_size, rows.size)
    often = {size: count for size, count in ((batch, rows.size // batch), (rows.size % batch, 1)) if size}
    known = source.recorded
    most = known[batch].size // source.steps if known.keys() >= often.keys() else 0
    count = min(run.epochs - run.epoch, most, MOST)
    if count < 2:
        return False
    steps = {size: source.step_of(known.pop(size), size) for size in often}  # known again unless an error comes
    if any(step.program is None or step.program.plan.lanes is not None for step in steps.values()):
        known.update(steps)
        return False
    variables, finite = [v for metric in model.metrics for v in metric.variables], model._objective.finite
    values = [np.zeros((count, 1, v.size), v.dtype) for v in variables]
    finites, began = np.zeros((count, 1, 1), np.int64), time.perf_counter()
    before, after = [(K.increment, (constant(np.int64, -rows.size), rows.cursor))], [(K.increment, (finite, finites))]
    if source.shuffle:
        seeds = config.generator().integers(2**64, size=(count, 1, 1), dtype=np.uint64)
        block = constant(np.int64, batch if source.shuffle == "batch" else rows.size)
        before.append((K.shuffle, (seeds, block, rows.order)))
    for variable, value in zip(variables, values):
        data = variable._data.reshape(1, -1)
        after += [(K.copy, (data, value)), (K.fill, (constant(data.dtype, 0.0), data))]
    restart(model)
    rows.cursor[...] = rows.size
    _Epochs(count, before, [(step.program, often[size]) for size, step in steps.items()], after).replay()
    steps[batch].size = max(1, int(count * source.steps * SLICE / (time.perf_counter() - began)))
    known.update(steps)
    model._pool.logs = [*steps.values()][-1].result[0]
    finites[1:] -= finites[:-1].copy()
    if finites.min() < source.steps and "train" not in run.searched:
        run.searched.add("train")
        rows.warn_of_gaps()
    for i in range(count):
        run.callbacks.on_epoch_begin(run.epoch, {})
        for variable, value in zip(variables, values):
            variable._data[...] = value[i].reshape(variable.shape)
        finite[...] = finites[i]
        run.epoch += 1
        run.callbacks.on_epoch_end(run.epoch - 1, Logs(results(model)))
    return True
