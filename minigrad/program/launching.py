"""`launch`, the one door: every launch passes through it. Who carries it out, and memory for its operands."""

import contextlib
import ctypes
import functools
import math
import signal
import threading
from _signal import getsignal  # signal.getsignal makes enums of numbers, and takes 25 times as long

import numpy as np


class RecordingError(RuntimeError):
    """A step can't become a Program: it reads a value, or does not do the same each time it runs."""


class _State(threading.local):
    trace = None  # the list that launches are written to while recording, in this thread
    condition = None  # the flag of the `when` block around, in this thread


_state = _State()
_guests = set()  # one member per `trace` or `when` in any thread: while it is empty, _state need not be asked


def is_recording():
    """Whether this thread is recording a Program (launches are written down, not run)."""
    return bool(_guests) and _state.trace is not None


class Launches(list):
    """The launches of a step, a list of (kernel, operands, flag)."""

    def __init__(self):
        super().__init__()
        self.asides = []  # the notes of what was computed outside of the recording: see `apart`


@contextlib.contextmanager
def _instead(trace):
    """Inside, launches are written to `trace`, or carried out if it is None; no outer recording or flag counts."""
    outer, me = (_state.trace, _state.condition), object()
    try:  # Ctrl-C may come after any call
        _guests.add(me)
        _state.trace, _state.condition = trace, None
        yield
    finally:
        _state.trace, _state.condition = outer
        _guests.discard(me)


_SIGNALS = tuple(map(int, signal.valid_signals()))
surroundings = [functools.partial(_instead, None)]  # the context managers inside of which signal handlers run


@contextlib.contextmanager
def _handlers_apart():
    """Inside, signal handlers written in Python run in `surroundings`, so that the recording does not contain them.

    They may be called between any two instructions of the main thread.
    """
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = getsignal(number)
                if callable(handler) and handler is not signal.default_int_handler:  # that one computes nothing
                    before[number] = handler, functools.partial(_handle, handler)
                    signal.signal(number, before[number][1])
        yield
    finally:
        for number, (handler, ours) in before.items():
            if getsignal(number) is ours:  # no other handler was set meanwhile
                signal.signal(number, handler)


def _handle(handler, number, frame):
    with contextlib.ExitStack() as stack:
        for surrounding in surroundings:
            stack.enter_context(surrounding())
        handler(number, frame)


def trace(step, launches=None):
    """Run `step`, writing every launch down and carrying none out. An outer recording goes on afterwards.

    A signal handler that runs meanwhile computes as usual. `launches` is an empty list of one's own kind.
    """
    launches = Launches() if launches is None else launches
    with _handlers_apart(), _instead(launches):
        step()
    return launches


def apart(note):
    """Inside `with apart(note):` everything is computed at once, and no outer recording contains it.

    A step that does so in each recording can't become a Program: the result would be frozen. `note` is the message of
    the RecordingError.
    """
    if is_recording():
        _state.trace.asides.append(note)
    return _instead(None)


def is_interrupted():
    """Whether launches of this thread may not be carried out, because of a recording or a `when` block."""
    return bool(_guests) and (_state.trace is not None or _state.condition is not None)


class Plan:
    """The calling thread does everything. `parallel` plugs in a plan for several threads as `Plan.chosen`.

    Args:
        instructions: the launches of a Program, a list of (kernel, operands, flag).
    """

    def __init__(self, instructions):
        self.rows = [(kernel, (*operands, *kernel.undivided), flag) for kernel, operands, flag in instructions]
        self.walk = np.arange(len(self.rows))
        self.rows_of = self.walk.reshape(-1, 1)  # instruction -> its rows in the table

    def replay(self, run, table, steps):
        """Carry out all rows of the table `steps` times. `run(table, walk, steps)` carries out the rows in `walk`."""
        run(table, self.walk, steps)

    @staticmethod
    def packed(launches):
        """The launches with their temporaries at places where they take less memory, and {id of an operand: its address
        before} for those that were moved. `launches` may be emptied."""
        return launches, {}

    @staticmethod
    def launch(kernel, entry, operands):
        """Carry out one launch that costs more than SMALL."""
        entry(*operands, *kernel.undivided)


Plan.chosen = Plan


SMALL = 64**3  # multiplications: up to this cost BLAS takes no second thread
DIVISIBLE = 600_000  # from this cost on a launch may be divided: each part takes some microseconds


def launch(kernel, *operands):
    """Run `kernel` on `operands` now, or write the launch down while a Program is being recorded.

    The operands must be 2-D C-contiguous arrays, as `Kernel` says. A Program checks this when it is made, and raises a
    ValueError; a check here would take longer than many kernels do.
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
    """Inside, launches are carried out only in those steps in which `flag`, an int64 array (1, 1), is not zero."""
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

LINE = 64  # bytes of a cache line
_first_byte, _addressof = ctypes.c_byte.from_buffer, ctypes.addressof  # recording asks for thousands of addresses


class Memory(np.ndarray):
    """Bytes that `empty` made while a step was recorded: no launch counts on what they held before."""


def aligned(shape, dtype, kind=np.ndarray):
    """An uninitialized array that begins at a cache line, in bytes of this kind of array.

    Loading a vector register from two lines takes twice as long, which makes up a sixth of a training step.
    """
    memory = kind(math.prod(shape) * np.dtype(dtype).itemsize + LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, -address(memory) % LINE)


def empty(shape, dtype):
    """Uninitialized memory for an operand of a launch, aligned while a Program is recorded.

    In eager mode, aligning would take longer than it saves.
    """
    return aligned(shape, dtype, Memory) if _guests and _state.trace is not None else np.empty(shape, dtype)


def empty_like(array):
    """Uninitialized memory for an operand like `array`."""
    shape, dtype = array.shape, array.dtype
    return aligned(shape, dtype, Memory) if _guests and _state.trace is not None else np.empty(shape, dtype)


def memory_of(array):
    """The Memory that an array is a part of, or None."""
    while array is not None and type(array) is not Memory:
        array = getattr(array, "base", None)
    return array


def address(array):
    """The address at which the memory of `array` begins."""
    if array.flags.carray and array.size:  # a writable array: this way takes a quarter of the time
        return _addressof(_first_byte(array))
    return array.__array_interface__["data"][0]
