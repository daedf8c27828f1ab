"""The one door: every piece of arithmetic is a kernel, and every kernel passes through `launch`.

Eager mode runs what passes. A `Program` writes down what passes during one step and replays the list for thousands
of steps inside one call of compiled code. This file knows no kernel, no tensor and no layer.
"""

import contextlib
import functools
import inspect
import itertools
import math
import os
import pickle
import sys
import threading
import time

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import event
from numba.core.cpu import CPUTargetOptions
from numba.core.options import TargetOptions
from numba.extending import intrinsic, register_jitable
from numba.np.arrayobj import populate_array

# Never nnan or ninf (so never fastmath=True): they turn max(nan, 0) into 0 and hide a training that diverged.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
}
# One more option than Numba offers: the promise that no two operands overlap, so that LLVM need not check it.
CPUTargetOptions.noalias = TargetOptions.Mapping("noalias")
MAX_OPERANDS = 12

_compiling, _starting = threading.RLock(), threading.Lock()
_running = set()  # the threads that are replaying


def _before_fork():
    # A lock that another thread holds at this moment would be taken for ever in the child; so would those that BLAS
    # takes within a product.
    _compiling.acquire()
    _starting.acquire()
    deadline = time.monotonic() + 2
    while _running and time.monotonic() < deadline:
        time.sleep(1e-4)


def _after_fork():
    _starting.release()
    _compiling.release()


def _in_child():
    _running.clear()
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


class RecordingError(RuntimeError):
    """A step can't become a Program: it reads a value, or does something else each time it runs."""


class _State(threading.local):
    trace = None  # the list that launches are written to while recording, in this thread
    condition = None  # the flag of the `when` block that we are in, in this thread


_state = _State()


def is_recording():
    """Whether this thread is recording a Program (launches are written down, not run)."""
    return _state.trace is not None


# --------------------------------------------------------------------------------------------------- memory

_LINE = 64  # bytes of a line of the cache


def aligned(shape, dtype):
    """An array of whatever is in memory, which begins where a line of the cache does.

    A vector register that is loaded from two lines takes twice as long: a sixth of the time of a training step.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _LINE, np.uint8)
    skip = -_address(memory) % _LINE
    return memory[skip : skip + size].view(dtype).reshape(shape)


def empty(shape, dtype):
    """Memory for an operand of a launch, not filled: aligned in a Program, whose operands stay.

    In eager mode aligning would take longer than it saves.
    """
    return np.empty(shape, dtype) if _state.trace is None else aligned(shape, dtype)


def empty_like(array):
    """Memory for an operand like `array`, not filled."""
    return empty(array.shape, array.dtype)


def _address(array):
    return array.__array_interface__["data"][0]


# --------------------------------------------------------------------------------------------------- kernels


class _Notice(event.Listener):
    """One line on stderr while kernels compile for the first time on a machine; on a terminal it goes away."""

    told = False

    def on_start(self, compilation):
        if sys.stderr is None or (_Notice.told and not sys.stderr.isatty()):
            return
        end = "" if sys.stderr.isatty() else "\n"
        print("minigrad: compiling its kernels for this machine (once) ...", end=end, file=sys.stderr, flush=True)
        _Notice.told = True

    def on_end(self, compilation):
        if sys.stderr is not None and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Kernel:
    """Compiled loops over 2-D C-contiguous arrays: inputs first, what they write last, nothing allocated.

    A parameter's annotation says what it is: `"out"` for an operand that is written, a dtype (`"int64"`) for one
    that does not follow the dtype of the others. Compiled lazily, once per dtype and machine, cached on disk.
    """

    def __init__(self, function, options=OPTIONS):
        self.function, self.options = function, options
        self.is_disjoint = options.get("noalias", False)
        self.name = function.__name__
        self.__doc__ = function.__doc__
        self.parameters = list(inspect.signature(function).parameters)
        notes = [function.__annotations__.get(p, "").split() for p in self.parameters]
        self.is_out = [("out" in note) for note in notes]
        self.dtypes = [next((np.dtype(word) for word in note if word != "out"), None) for note in notes]
        # Which operand tells the dtype. (Not dtypes.index(None): NumPy says that float64 == None.)
        self.generic = next((i for i, fixed in enumerate(self.dtypes) if fixed is None), 0)
        self.entry = {}  # dtype -> what Python calls
        self.address = {}  # dtype -> what a replay calls

    def compile(self, dtype):
        """Compile for `dtype` (or load from the cache) and return the entry point."""
        operands = [types.Array(numba.from_dtype(fixed or dtype), 2, "C") for fixed in self.dtypes]
        with _compiling:
            if dtype not in self.entry:
                result = _compile(self.function, types.void(*operands), self.options)
                self.address[dtype] = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
                self.entry[dtype] = result.entry_point
        return self.entry[dtype]

    def __repr__(self):
        return f"<kernel {self.name}({', '.join(self.parameters)})>"


def _compile(function, signature, options=OPTIONS):
    """Numba's compile result of `function`, from the disk cache where that works and without it where not."""
    with event.install_listener("numba:compile", _Notice()):
        try:
            dispatcher = numba.njit(**options, cache=True)(function)
            try:
                dispatcher.compile(signature)
                return dispatcher.overloads[signature.args]
            except (EOFError, ImportError, KeyError, ValueError, pickle.UnpicklingError):
                # A file is torn, or two processes wrote it at once; or the module had another name when the kernel was
                # compiled, which is not there to be imported: write it anew.
                dispatcher._cache.flush()
                dispatcher.compile(signature)
        except (OSError, RuntimeError):
            # The folder can't be written: a cache is a convenience, go without.
            dispatcher = numba.njit(**options)(function)
            dispatcher.compile(signature)
    return dispatcher.overloads[signature.args]


def kernel(function=None, *, exact=False, disjoint=False):
    """Make a Python function of 2-D arrays a `Kernel`; see there for what its annotations mean.

    With `exact=True` sums stay in the order written: LLVM may not turn (a - o) + (b - o) into a + b - 2 o. With
    `disjoint=True` operands never overlap: loops over many of them vectorise, which LLVM else gives up.
    """
    if function is None:
        return functools.partial(kernel, exact=exact, disjoint=disjoint)
    fastmath = OPTIONS["fastmath"] - {"reassoc"} if exact else OPTIONS["fastmath"]
    return Kernel(function, {**OPTIONS, "fastmath": fastmath, "noalias": disjoint})


def helper(function):
    """Make a function that kernels call; its code becomes part of each of them.

    On its own it would be optimised anew where a kernel is loaded from the cache, and might then sum in another order
    than in the process that compiled it: the first run on a machine would differ from all later ones in the last bit.
    """
    return register_jitable(forceinline=True)(function)


def launch(kernel, *operands):
    """Run `kernel` on `operands` now, or write the launch down while a Program is being recorded.

    The operands must be C-contiguous arrays of two axes, as `Kernel` says. A Program checks that when it is made; here
    it would take longer than many a kernel does.
    """
    if _state.trace is not None:
        _state.trace.append((kernel, operands, _state.condition))
        return
    if _state.condition is not None and not _state.condition[0, 0]:
        return
    dtype = operands[kernel.generic].dtype
    (kernel.entry.get(dtype) or kernel.compile(dtype))(*operands)


@contextlib.contextmanager
def when(flag):
    """Launches inside happen only in steps in which `flag`, an int64 array (1, 1), is not zero."""
    if _state.condition is not None:
        raise RuntimeError("when(flag) can't stand inside another one: launch what combines the flags into one.")
    if flag.dtype != np.int64 or flag.shape != (1, 1):
        raise ValueError(f"when() expects an int64 array (1, 1), got {flag.dtype} {flag.shape}.")
    _state.condition = flag
    try:
        yield
    finally:
        _state.condition = None


# ---------------------------------------------------------------------------------------------------- replay

# One instruction is one row of an int64 table:
#     operand count | address of the flag or 0 | address of the kernel | per operand: pointer, rows, columns, itemsize
_HEAD, _PER_OPERAND = 3, 4
_VIEW = types.Array(types.float32, 2, "C")  # its machine layout is that of any other dtype: itemsize is data


@intrinsic(prefer_literal=True)
def _invoke(typing_context, row, count):
    """Call the kernel of the instruction at address `row`, whose number of operands is the literal `count`."""

    def codegen(context, builder, signature, args):
        word_type = ir.IntType(64)
        base = builder.inttoptr(args[0], word_type.as_pointer())

        def word(i):
            return builder.load(builder.gep(base, [ir.Constant(word_type, i)]))

        operands = []
        for k in range(signature.args[1].literal_value):
            pointer, rows, columns, size = (word(_HEAD + _PER_OPERAND * k + i) for i in range(_PER_OPERAND))
            view = context.make_array(_VIEW)(context, builder)
            populate_array(
                view,
                data=builder.inttoptr(pointer, view.data.type),
                shape=(rows, columns),
                strides=(builder.mul(columns, size), size),
                itemsize=size,
                meminfo=None,
            )
            operands.append(view._getvalue())
        operand_types = (_VIEW,) * len(operands)
        function_type = context.call_conv.get_function_type(types.none, operand_types)
        function = builder.inttoptr(word(2), function_type.as_pointer())
        status, _ = context.call_conv.call_function(builder, function, types.none, operand_types, operands)
        with builder.if_then(status.is_error, likely=False):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(row, count), codegen


@intrinsic
def _peek(typing_context, address):
    """The int64 at `address`."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()))

    return types.int64(address), codegen


def _replay(table, steps):
    """Run all instructions of `table`, `steps` times. It branches on the number of operands, never on the kernel."""
    first = table.ctypes.data
    for _ in range(steps):
        for i in range(table.shape[0]):
            row = first + i * table.shape[1] * 8
            flag = table[i, 1]
            if flag != 0 and _peek(flag) == 0:
                continue
            n = table[i, 0]
            if n == 1:
                _invoke(row, 1)
            elif n == 2:
                _invoke(row, 2)
            elif n == 3:
                _invoke(row, 3)
            elif n == 4:
                _invoke(row, 4)
            elif n == 5:
                _invoke(row, 5)
            elif n == 6:
                _invoke(row, 6)
            elif n == 7:
                _invoke(row, 7)
            elif n == 8:
                _invoke(row, 8)
            elif n == 9:
                _invoke(row, 9)
            elif n == 10:
                _invoke(row, 10)
            elif n == 11:
                _invoke(row, 11)
            else:
                _invoke(row, 12)


_replay_signature = types.void(types.Array(types.int64, 2, "C"), types.int64)
_compiled_replay = None


def _replay_entry():
    global _compiled_replay
    with _compiling:
        if _compiled_replay is None:
            _compiled_replay = _compile(_replay, _replay_signature).entry_point
    return _compiled_replay


def trace(step):
    """Run `step` with every launch written down and none carried out."""
    if _state.trace is not None:
        raise RecordingError("A Program can't be recorded while another one is being recorded in the same thread.")
    _state.trace = []
    try:
        step()
        return _state.trace
    finally:
        _state.trace = None


class Program:
    """The launches of one step, recorded once and replayed without Python.

    `step` is a function without arguments. It is run twice with every launch written down and none carried out:
    nothing changes, and a step whose two recordings differ (a Python counter, a random number, a branch on
    something that moves) is refused with a RecordingError, as is one that reads a value. What Python computes besides
    is computed while recording, and frozen. `names` maps what a listing should call an array to the array; the arrays
    of `inputs` may be exchanged later with `bind`.

    >>> program = Program(step)
    >>> program.replay(1000)          # a thousand steps, the GIL released
    >>> print(program)                # one line an instruction
    """

    def __init__(self, step, inputs=None, names=None, title="program"):
        self.title = title
        first = trace(step)
        small = [(o, o.tobytes()) for _, operands, _ in first for o in operands if o.size <= 16]
        launches = trace(step)  # this one is replayed: what the step leaves in Python, such as v.grad, belongs to it
        compare(first, launches)
        if any(operand.tobytes() != before for operand, before in small):
            raise RecordingError("The step changes an operand in Python, not by a launch. A replay would not do that.")
        self.instructions = launches  # keeps every operand alive: addresses in the table never move
        self.inputs = dict(inputs or {})
        self._names = dict(names or {})
        width = _HEAD + _PER_OPERAND * max((len(operands) for _, operands, _ in launches), default=0)
        self._table = np.zeros((len(launches), width), np.int64)
        places = {_address(array): (name, []) for name, array in self.inputs.items()}
        if len(places) < len(self.inputs):
            raise ValueError(f"Two of the inputs {', '.join(self.inputs)} are the same array: pass a copy of one.")
        for i, (kernel, operands, condition) in enumerate(launches):
            flag = 0 if condition is None else _address(condition)
            self._table[i, :_HEAD] = len(operands), flag, self._find(kernel, operands)
            for k, operand in enumerate(operands):
                at = _HEAD + _PER_OPERAND * k
                address = _address(operand)
                self._table[i, at : at + _PER_OPERAND] = address, *operand.shape, operand.itemsize
                if address in places:
                    places[address][1].append((i, k))
        self._places = dict(places.values())
        self._is_released = False
        self._run = _replay_entry()

    @staticmethod
    def _find(kernel, operands):
        """The address of `kernel` compiled for `operands`, which are checked against what it was written for."""
        dtype = operands[kernel.generic].dtype
        if len(operands) > MAX_OPERANDS:
            raise ValueError(f"{kernel} has {len(operands)} operands; a replay can pass at most {MAX_OPERANDS}.")
        for name, fixed, operand in zip(kernel.parameters, kernel.dtypes, operands, strict=True):
            if operand.dtype != (fixed or dtype) or operand.ndim != 2 or not operand.flags.c_contiguous:
                raise ValueError(
                    f"{kernel} expects {name} as a C-contiguous 2-D array of {fixed or dtype}; "
                    f"got {operand.dtype} {operand.shape}."
                )
        outs = [operand for operand, is_out in zip(operands, kernel.is_out, strict=True) if is_out]
        if kernel.is_disjoint and any(a is not b and np.may_share_memory(a, b) for a in outs for b in operands):
            raise ValueError(f"{kernel} was given operands that overlap, of which it writes one: pass a copy.")
        if dtype not in kernel.address:
            kernel.compile(dtype)
        return kernel.address[dtype]

    def bind(self, **arrays):
        """Let the named inputs stand for other arrays of the same dtype and number of columns from now on."""
        for name, array in arrays.items():
            if name not in self.inputs:
                raise ValueError(f"This Program has no input {name!r}; it has {', '.join(self.inputs)}.")
            old = self.inputs[name]
            if (array.dtype, array.shape[1:]) != (old.dtype, old.shape[1:]) or not array.flags.c_contiguous:
                raise ValueError(
                    f"Input {name!r} of this Program is a C-contiguous array of {old.dtype} with {old.shape[1]} "
                    f"columns; got {array.dtype} {array.shape}. Record a new Program for it."
                )
        for name, array in arrays.items():
            for i, k in self._places[name]:
                at = _HEAD + _PER_OPERAND * k
                self._table[i, at : at + 2] = _address(array), array.shape[0]
                kernel, operands, condition = self.instructions[i]
                self.instructions[i] = kernel, (*operands[:k], array, *operands[k + 1 :]), condition
            self.inputs[name] = array
        self._is_released = False

    def release(self):
        """Let go of the inputs: the Program keeps their dtype and columns, and a single row of zeros each."""
        self.bind(**{name: np.zeros((1, array.shape[1]), array.dtype) for name, array in self.inputs.items()})
        self._is_released = True

    def _require_inputs(self):
        if self._is_released:
            raise RuntimeError(
                f"This Program ({self.title}) has let go of its data, as `fit` does at its end: bind arrays for "
                f"{', '.join(self.inputs)} before it is replayed."
            )

    def replay(self, steps=1):
        """Run the recorded step `steps` times in one call of compiled code, with the GIL released."""
        self._require_inputs()
        me = threading.get_ident()
        with _starting:
            _running.add(me)
        try:
            self._run(self._table, steps)
        finally:
            _running.discard(me)

    def profile(self, repeats=1000):
        """Seconds that each instruction takes when it is repeated alone, a list of (kernel name, seconds).

        It trains on the same batch meanwhile: profile a model that you don't need any more.
        """
        self._require_inputs()
        seconds = []
        for i, (kernel, operands, _) in enumerate(self.instructions):
            row = self._table[i : i + 1].copy()
            counters = [(o, o.copy()) for o in operands if o.dtype.kind in "iu" and o.size == 1]
            began = time.perf_counter()
            self._run(row, repeats)
            seconds.append((kernel.name, (time.perf_counter() - began) / repeats))
            for counter, before in counters:
                counter[...] = before
        return seconds

    def __len__(self):
        return len(self.instructions)

    def __str__(self):
        # Parts of a flat buffer begin where the buffer does: the size tells them apart.
        names = {(_address(a), a.size): name for name, a in (self._names | self.inputs).items()}
        written, temporaries = set(), itertools.count(1)

        def show(operand):
            key = _address(operand), operand.size
            if key not in names and key[0] not in written and operand.size <= 4:
                return "[" + " ".join(f"{value:g}" for value in operand.flat) + "]"  # a constant
            if key not in names:
                names[key] = f"t{next(temporaries)}"
            rows = "n" if any(operand is array for array in self.inputs.values()) else operand.shape[0]
            return f"{names[key]} {rows}x{operand.shape[1]}"

        lines = [f"{self.title}: {len(self)} instructions"]
        for i, (kernel, operands, condition) in enumerate(self.instructions, 1):
            ins = [show(o) for o, out in zip(operands, kernel.is_out, strict=True) if not out]
            outs = [o for o, out in zip(operands, kernel.is_out, strict=True) if out]
            written.update(map(_address, outs))
            clause = "" if condition is None else f"  if {show(condition)}"
            lines.append(f"{i:4}  {kernel.name:<24} {', '.join(ins)} -> {', '.join(map(show, outs))}{clause}")
        return "\n".join(lines)


def compare(first, second):
    """Raise a RecordingError where two recordings of one step differ in more than the place of their temporaries."""
    if len(first) != len(second):
        raise RecordingError(
            f"Two recordings of the same step differ: one has {len(first)} launches, the other {len(second)}. If it "
            "adds to gradients of before, set `v.grad = None` at its beginning."
        )
    twins = {}  # address of a temporary in the first -> address of the same temporary in the second
    taken = set()  # the addresses in the second
    first, second = (
        [(kernel, operands if flag is None else (*operands, flag)) for kernel, operands, flag in launches]
        for launches in (first, second)
    )
    for i, ((kernel, ours), (other, theirs)) in enumerate(zip(first, second, strict=True), 1):
        if kernel is not other or [(o.shape, o.dtype) for o in ours] != [(o.shape, o.dtype) for o in theirs]:
            raise RecordingError(f"Two recordings of the same step differ at launch {i}: {kernel}, then {other}.")
        for a, b, out in zip(ours, theirs, [*kernel.is_out, False]):
            here, there = _address(a), _address(b)
            if here == there or twins.get(here) == there:
                continue
            if here in twins or there in taken:
                raise RecordingError(
                    f"Two recordings of the same step differ at launch {i}, {kernel}: Python chose another array."
                )
            if out:
                twins[here] = there
                taken.add(there)
            elif not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                raise RecordingError(
                    f"Two recordings of the same step differ at launch {i}, {kernel}: a value that Python computed "
                    f"changed from {a.flat[0]} to {b.flat[0]}. In a Program it would be frozen."
                )
