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

Access = namedtuple("Access", "first last lane is_out share")


def _clash(a, b):
    """Whether two accesses are by different lanes and their order matters."""
    has_met = a.first < b.last and b.first < a.last and not (a.share is not None and a.share == b.share)
    return a.lane != b.lane and (a.is_out or b.is_out) and has_met


def _accesses(kind, operands, flag, axis, parts, lane):
    """The accesses of the part `lane` of a launch. With the same `share`, each lane has a part of its own."""
    for k, operand in enumerate(operands if flag is None else (*operands, flag)):
        is_operand = k < len(operands)
        is_own = axis is not None and is_operand and kind.is_own[axis][k]
        first = address(operand)
        share = (first, operand.shape, axis, parts) if is_own else None
        yield Access(first, first + operand.nbytes, lane, is_operand and kind.is_out[k], share)


def walks(launches):
    """For each lane a list of rows of the table, with None where it waits for the others; None if nothing is divided.

    `launches` is a list of (kernel, operands, flag, axis, rows), with one row of the table per part of the launch.
    """
    lanes = max((len(rows) for *_, rows in launches), default=1)
    if lanes == 1:
        return None
    found, touched = [[] for _ in range(lanes)], []
    for kind, operands, flag, axis, rows in launches:
        new = [a for lane in range(len(rows)) for a in _accesses(kind, operands, flag, axis, len(rows), lane)]
        if any(_clash(a, b) for a, b in itertools.product(new, touched)):
            touched = []
            for walk in found:
                walk.append(None)
        touched += new
        for walk, row in zip(found, rows):
            walk.append(row)
    for walk in found:
        walk.append(None)  # the next step, or Python, may touch anything
    return found


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
