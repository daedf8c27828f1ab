"""`launch`, the one door, who carries out what passes through it, and its memory."""

import contextlib
import ctypes
import functools
import math
import signal
import threading
from _signal import getsignal  # as signal's, which makes enums of numbers and takes 25 times as long

import numpy as np


class RecordingError(RuntimeError):
    """A step can't become a Program: it reads a value, or does something else each time it runs."""


class _State(threading.local):
    trace = None  # the list that launches are written to while recording, in this thread
    condition = None  # the flag of the `when` block that we are in, in this thread


_state = _State()
_guests = set()  # one for each `trace` or `when` that goes on in any thread: where it is empty, _state says nothing


def is_recording():
    """Whether this thread is recording a Program (launches are written down, not run)."""
    return bool(_guests) and _state.trace is not None


class Launches(list):
    """What a step launches, as (kernel, operands, flag)."""

    def __init__(self):
        super().__init__()
        self.asides = []  # what else was computed meanwhile: see `apart`


@contextlib.contextmanager
def _instead(trace):
    """Inside, launches go to `trace` (None: they are carried out), whatever is recorded around, and under no flag."""
    outer, me = (_state.trace, _state.condition), object()
    try:  # from here on: Ctrl-C may come after any call
        _guests.add(me)
        _state.trace, _state.condition = trace, None
        yield
    finally:
        _state.trace, _state.condition = outer
        _guests.discard(me)


_SIGNALS = tuple(map(int, signal.valid_signals()))
surroundings = [functools.partial(_instead, None)]  # context managers, in all of which a signal handler runs


@contextlib.contextmanager
def _handlers_apart():
    """Inside, signal handlers written in Python run in `surroundings`, where they know nothing of the recording.

    They are called between any two instructions of the main thread.
    """
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = getsignal(number)
                if callable(handler) and handler is not signal.default_int_handler:  # which computes nothing
                    before[number] = handler, functools.partial(_handle, handler)
                    signal.signal(number, before[number][1])
        yield
    finally:
        for number, (handler, ours) in before.items():
            if getsignal(number) is ours:  # nobody has set another one meanwhile
                signal.signal(number, handler)


def _handle(handler, number, frame):
    with contextlib.ExitStack() as stack:
        for surrounding in surroundings:
            stack.enter_context(surrounding())
        handler(number, frame)


def trace(step):
    """Run `step` with every launch written down and none carried out; what is recorded around it goes on afterwards.

    A signal handler that runs meanwhile computes for real.
    """
    launches = Launches()
    with _handlers_apart(), _instead(launches):
        step()
    return launches


def apart(note):
    """Inside `with apart(note):` everything is computed now and belongs to no recording that goes on around it.

    A step whose recordings all hold such a note can't become a Program: what it was told would be frozen. `note` says
    so, for the RecordingError.
    """
    if is_recording():
        _state.trace.asides.append(note)
    return _instead(None)


def is_interrupted():
    """Whether launches of this thread are not simply carried out: a recording goes on, or a block of `when`."""
    return bool(_guests) and (_state.trace is not None or _state.condition is not None)


class Plan:
    """One thread does everything, the one that asks. `parallel` plugs in a plan for several threads, as `Plan.chosen`.

    Args:
        instructions: the launches of a Program, a list of (kernel, operands, flag).
    """

    def __init__(self, instructions):
        self.rows = [(kernel, (*operands, *kernel.undivided), flag) for kernel, operands, flag in instructions]
        self.rows_of = [np.array([i]) for i in range(len(instructions))]  # instruction -> its rows in the table
        self.walk = np.arange(len(self.rows))

    def replay(self, run, table, steps):
        """Carry out all rows of the table `steps` times; `run(table, walk, steps)` carries out those of a walk."""
        run(table, self.walk, steps)

    @staticmethod
    def launch(kernel, entry, operands):
        """Carry out one launch that costs more than SMALL."""
        entry(*operands, *kernel.undivided)


Plan.chosen = Plan


SMALL = 64**3  # multiplications; up to here BLAS takes no second thread, and nothing is divided


def launch(kernel, *operands):
    """Run `kernel` on `operands` now, or write the launch down while a Program is being recorded.

    The operands must be C-contiguous arrays of two axes, as `Kernel` says. A Program checks that when it is made, and
    raises a ValueError; here it would take longer than many a kernel does.
    """
    if _guests:
        if _state.trace is not None:
            _state.trace.append((kernel, operands, _state.condition))
            return
        if _state.condition is not None and not _state.condition[0, 0]:
            return
    dtype = operands[kernel.generic].dtype
    entry = kernel.entry.get(dtype) or kernel.compile(dtype)
    if kernel.cost is None:
        entry(*operands)
    elif kernel.cost(*operands) <= SMALL:
        entry(*operands, *kernel.undivided)
    else:
        Plan.chosen.launch(kernel, entry, operands)


@contextlib.contextmanager
def when(flag):
    """Launches inside happen only in steps in which `flag`, an int64 array (1, 1), is not zero."""
    if _state.condition is not None:
        raise RuntimeError("when(flag) can't stand inside another one: launch what combines the flags into one.")
    if flag.dtype != np.int64 or flag.shape != (1, 1):
        raise ValueError(f"when() expects an int64 array (1, 1), got {flag.dtype} {flag.shape}.")
    me = object()
    try:
        _guests.add(me)
        _state.condition = flag
        yield
    finally:
        _state.condition = None
        _guests.discard(me)


# ---------------------------------------------------------------------------------------------------- memory

_LINE = 64  # bytes of a line of the cache


def aligned(shape, dtype):
    """An array of whatever is in memory, which begins where a line of the cache does.

    A vector register that is loaded from two lines takes twice as long: a sixth of the time of a training step.
    """
    memory = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + _LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, -address(memory) % _LINE)


def empty(shape, dtype):
    """Memory for an operand of a launch, not filled: aligned in a Program, whose operands stay.

    In eager mode aligning would take longer than it saves.
    """
    return aligned(shape, dtype) if _guests and _state.trace is not None else np.empty(shape, dtype)


def empty_like(array):
    """Memory for an operand like `array`, not filled."""
    return empty(array.shape, array.dtype)


def address(array):
    """Where the memory of `array` begins."""
    if array.flags.carray and array.size:  # it can be written to: there is a way that takes a third of the time
        return ctypes.addressof(ctypes.c_byte.from_buffer(array))
    return array.__array_interface__["data"][0]
