"""Lanes: several threads walk through one Program side by side; each computes its own parts of divided launches.

A thread waits for the others only before it touches what another one has written, or writes what another one reads.
A matrix product and a Batch Normalization that are divided by the same columns need no barrier between them.
"""

import contextlib
import functools
import itertools
import os
import platform
import queue
import threading
import time
from collections import namedtuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minigrad.parallel.threads import threads
from minigrad.program import address, kernel

# ---------------------------------------------------------------------------------------------------- waiting


@intrinsic
def _arrive(typing_context, counter):
    """Add 1 to the int64 at the address `counter`, atomically: other threads do so, too."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(types.intp), codegen


@intrinsic
def _arrived(typing_context, counter):
    """The current value of the int64 at the address `counter`, which other threads change."""

    def codegen(context, builder, signature, args):
        if platform.machine() in ("x86_64", "AMD64"):  # lets another thread on this core go on
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), [])
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.intp), codegen


_give_way = types.ExternalFunction("sched_yield", types.int32())
PATIENCE = 2000  # looks at the counter, of some ten nanoseconds each, before the core is offered to other threads


@kernel
def meet(lanes: "int64", counter: "int64 out", passed: "int64 out"):
    """A barrier: wait until all lanes have come here. `counter` is shared; `passed` counts what it will be then."""
    goal = passed[0, 0] + lanes[0, 0]
    passed[0, 0] = goal
    place = counter.ctypes.data
    _arrive(place)
    looks = 0
    while _arrived(place) < goal:
        looks += 1
        if looks > PATIENCE:
            _give_way()


def meetings(counters):
    """For each lane, the operands with which it launches `meet`. They are parts of `counters`."""
    common, *passed = (row[:1].reshape(1, 1) for row in counters)
    return [(np.full((1, 1), len(passed)), common, mine) for mine in passed]


# --------------------------------------------------------------------------------------- the way of each lane

Access = namedtuple("Access", "first last is_out share lane")
LEAST = 2048  # bytes: a launch that writes less is not worth another lane


def _clash(a, b):
    """Whether the order of two accesses matters, unless parts with the same number touch the same part of the array."""
    return a.first < b.last and b.first < a.last and (a.is_out or b.is_out) and not (a.share and a.share == b.share)


def _accesses(kind, operands, flag, shares):
    """What a launch touches, as yet without a lane."""
    for k, operand in enumerate(operands if flag is None else (*operands, flag)):
        is_operand = k < len(operands)
        first, share = address(operand), shares[k] if is_operand else None
        is_out = is_operand and kind.is_out[k]
        yield Access(first, first + operand.nbytes, is_out, share and (first, share), None)


def walks(launches, lanes):
    """For each lane an array of rows of the table, -1 where it waits for the others; and the number of each one's run.

    `launches` is a list of (kernel, operands, flag, shares, rows), with one row of the table per part of the launch,
    and for each operand its share, see `dividing.Division`. Consecutive launches whose parts do not touch each other's
    are a run: a lane computes the first part of all of them, then the second, while its numbers are in the cache.
    A launch that is not divided follows in the lane whose numbers it needs; if it needs none since all lanes waited, it
    goes to the lane that has written least.
    """
    found, runs, run, of_run, before = [[] for _ in range(lanes)], [0], [], [], []
    written = [0] * lanes  # bytes, since all lanes waited, by launches that are not divided
    for kind, operands, flag, shares, rows in launches:
        new = list(_accesses(kind, operands, flag, shares))
        with_run = [b.lane for a, b in itertools.product(new, of_run) if _clash(a, b)]
        met = {*with_run, *(b.lane for a, b in itertools.product(new, before) if _clash(a, b))}
        is_whole = lanes == 1 or len(rows) == 1
        has_to_wait = bool(met) and (not is_whole or len(met) > 1 or None in met)
        if with_run or has_to_wait:
            _walk(run, found)
            before, run, of_run = before + of_run if lanes > 1 else [], [], []
        if has_to_wait:
            before, met, written = [], (), [0] * lanes
            for walk in found:
                walk.append(-1)
        parts, lane = [rows[len(rows) * k // lanes : len(rows) * (k + 1) // lanes] for k in range(lanes)], None
        if is_whole:
            size = sum(o.nbytes for o, is_out in zip(operands, kind.is_out) if is_out)
            lane = min(met) if met else written.index(min(written)) if size >= LEAST else 0
            written[lane] += size
            parts = [rows * (k == lane) for k in range(lanes)]
        runs.append(runs[-1] + bool(with_run))
        run.append(parts)
        of_run += [access._replace(lane=lane) for access in new]
    _walk(run, found)
    last = [-1] * (lanes > 1)  # the next step, or Python, may touch anything
    return [np.array(walk + last, np.int64) for walk in found], runs[1:]


def _walk(run, found):
    """Append the rows of a run, those of each lane per launch, to the lanes: in the order of the blocks."""
    for walk, *mine in zip(found, *run):
        for block in range(max(map(len, mine), default=0)):
            walk += [rows[block] for rows in mine if block < len(rows)]


# ---------------------------------------------------------------------------------------------------- walking


class _Crew:
    """The threads for all lanes but the first. They wait for work, and die with the interpreter."""

    def __init__(self, size):
        self._work, self._done, self._out = [queue.SimpleQueue() for _ in range(size)], queue.SimpleQueue(), 0
        for orders in self._work:
            threading.Thread(target=self._serve, args=(orders,), name="minigrad", daemon=True).start()

    def _serve(self, orders):
        while True:
            self._done.put(_result(*orders.get()))

    def run(self, walk, lanes, counters):
        """Call walk(lane) for each lane, the first one in this thread. An error in one lane ends all."""
        self._collect()  # results that were not collected because of Ctrl-C
        counters[...] = 0
        for orders, lane in zip(self._work, lanes[1:]):
            orders.put((walk, lane, counters))
            self._out += 1
        errors = [_result(walk, lanes[0], counters), *self._collect()]
        for error in filter(None, errors):
            raise error

    def _collect(self):
        errors = []
        while self._out:
            errors.append(self._done.get())
            self._out -= 1
        return errors


def _result(walk, lane, counters):
    try:
        return walk(lane)
    except BaseException as error:
        counters[0] += 2**60  # nobody waits any more
        return error


@functools.cache
def crew():
    """The crew of this process; None if no thread can be started, as when the interpreter ends."""
    try:
        return _Crew(threads() - 1)
    except RuntimeError:
        return None


os.register_at_fork(after_in_child=crew.cache_clear)


# ---------------------------------------------------------------------------------------------- is it faster?


class Pace:
    """Finds out by trying whether lanes are faster than one thread: cores may be busy, or far from each other."""

    LEAST = 1e-3  # seconds that a replay must take for other threads to be woken up
    RETRY = 8  # in one of eight replays the slower way is tried again, for an eighth of the time

    def __init__(self):
        self._seconds = [None, None]  # per step, on one thread and in lanes
        self._turn = 0

    def plan(self, steps):
        """How to replay `steps`, a list of (number of steps, whether in lanes)."""
        alone, lanes = self._seconds
        if alone is None or steps * alone < self.LEAST:
            return [(steps, False)]
        if lanes is None:
            return [(steps, True)]
        self._turn += 1
        is_lanes, ratio = lanes < alone, min(alone, lanes) / max(alone, lanes)
        trial = max(1, int(steps * ratio / self.RETRY)) if steps > 1 and self._turn % self.RETRY == 1 else 0
        return [(trial, not is_lanes), (steps - trial, is_lanes)] if trial else [(steps, is_lanes)]

    @contextlib.contextmanager
    def timed(self, steps, in_lanes):
        """Measure how long a step takes."""
        began = time.perf_counter()
        yield
        if steps:
            self._seconds[in_lanes] = (time.perf_counter() - began) / steps
