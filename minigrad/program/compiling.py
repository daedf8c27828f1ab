"""Kernels: loops that Numba compiles, once per dtype and machine."""

import functools
import inspect
import pickle
import sys

import numba
import numpy as np
from numba import types
from numba.core import event
from numba.core.cpu import CPUTargetOptions
from numba.core.options import TargetOptions
from numba.extending import register_jitable

from minigrad.program.threads import compiling, threads

# Never nnan or ninf (so never fastmath=True): they turn max(nan, 0) into 0 and hide a training that diverged.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
}
# One more option than Numba offers: the promise that no two operands overlap, so that LLVM need not check it.
CPUTargetOptions.noalias = TargetOptions.Mapping("noalias")

PART = 300_000  # the least cost of a part of a launch: some microseconds
STEP = 32  # rows or columns: a part begins where a line of the cache does, and a tile of a matrix product
WHOLE = np.array([[0, 2**62, 0, 2**62]])


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
    that does not follow the dtype of the others, `"picked"` for one of which rows are picked, so that there may be any
    number of them. Compiled lazily, once per dtype and machine, cached on disk.

    With a `cost`, a function of the operands that tells it in multiplications or about as long, a large launch is
    divided into parts, which several threads of a Program share. `"columns"` marks the operands of which a part
    touches no columns but its own, `"rows"` those of which it touches its own rows. If the last parameter is
    `part`, an int64 row [first row, last row, first column, last column], the kernel gets it with all the operands
    whole; else those marked are rows (1, n), and it gets its stretch of them.
    """

    def __init__(self, function, options=OPTIONS, cost=None):
        self.function, self.options, self.cost = function, options, cost
        self.is_disjoint = options.get("noalias", False)
        self.name = function.__name__
        self.__doc__ = function.__doc__
        names = list(inspect.signature(function).parameters)
        self.takes_part = names[-1] == "part"
        if self.takes_part and cost is None:
            raise ValueError(f"Kernel {self.name!r} takes a part, so it needs a cost, by which launches are divided.")
        self.parameters = names[:-1] if self.takes_part else names
        notes = [function.__annotations__.get(p, "").split() for p in self.parameters]
        self.is_out = [("out" in note) for note in notes]
        self.is_own = [[(word in note) for note in notes] for word in ("rows", "columns")]
        self.is_picked = ["picked" in note for note in notes]
        words = {"out", "rows", "columns", "picked"}
        self.dtypes = [next((np.dtype(word) for word in note if word not in words), None) for note in notes]
        # Which operand tells the dtype. (Not dtypes.index(None): NumPy says that float64 == None.)
        self.generic = next((i for i, fixed in enumerate(self.dtypes) if fixed is None), 0)
        self.entry = {}  # dtype -> what Python calls
        self.address = {}  # dtype -> what a replay calls

    def signature(self, dtype):
        """What it is compiled for, as Numba says it."""
        dtypes = [fixed or dtype for fixed in self.dtypes] + [np.dtype("int64")] * self.takes_part
        return types.void(*[types.Array(numba.from_dtype(dtype), 2, "C") for dtype in dtypes])

    def compile(self, dtype):
        """Compile for `dtype` (or load from the cache) and return the entry point."""
        with compiling:
            if dtype not in self.entry:
                result = compiled(self.function, self.signature(dtype), self.options)
                self.address[dtype] = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
                self.entry[dtype] = result.entry_point
        return self.entry[dtype]

    def divide(self, operands, cost):
        """The axis along which a launch is divided (None: it is not), and the operands of each of its parts."""
        axis, ends = self._ends(operands, cost) if cost >= 2 * PART else (None, [])
        if len(ends) < 3:
            return None, [(*operands, WHOLE) if self.takes_part else operands]
        parts = list(zip(ends, ends[1:]))
        if self.takes_part:
            rows = [WHOLE.copy() for _ in parts]
            for row, part in zip(rows, parts):
                row[0, 2 * axis : 2 * axis + 2] = part
            return axis, [(*operands, row) for row in rows]
        own = self.is_own[axis]
        if axis == 1 and any(o.shape[0] > 1 for o, is_own in zip(operands, own) if is_own):
            raise ValueError(f"{self} has no parameter `part`: its columns can be divided in rows (1, n) only.")
        cut = (lambda o, a, b: o[:, a:b]) if axis == 1 else (lambda o, a, b: o[a:b])
        return axis, [tuple(cut(o, *part) if is_own else o for o, is_own in zip(operands, own)) for part in parts]

    def _ends(self, operands, cost):
        """Along which axis to divide, and where the parts begin and end."""
        lengths = [self._length(operands, axis) for axis in (0, 1)]
        count = min(int(cost // PART), threads(), max(lengths) // STEP)
        # Columns if they are enough: what follows in a step mostly goes on with the same ones.
        axis = 1 if lengths[1] // STEP >= count else 0
        return axis, [lengths[axis] * k // count // STEP * STEP for k in range(count)] + [lengths[axis]]

    def _length(self, operands, axis):
        return max((o.shape[axis] for o, is_own in zip(operands, self.is_own[axis]) if is_own), default=0)

    def __repr__(self):
        return f"<kernel {self.name}({', '.join(self.parameters)})>"


def compiled(function, signature, options=OPTIONS):
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


def kernel(function=None, *, exact=False, disjoint=False, cost=None):
    """Make a Python function of 2-D arrays a `Kernel`; see there for what its annotations and `cost` mean.

    With `exact=True` sums stay in the order written: LLVM may not turn (a - o) + (b - o) into a + b - 2 o. With
    `disjoint=True` operands never overlap: loops over many of them vectorise, which LLVM else gives up.
    """
    if function is None:
        return functools.partial(kernel, exact=exact, disjoint=disjoint, cost=cost)
    fastmath = OPTIONS["fastmath"] - {"reassoc"} if exact else OPTIONS["fastmath"]
    return Kernel(function, {**OPTIONS, "fastmath": fastmath, "noalias": disjoint}, cost)


def helper(function):
    """Make a function that kernels call; its code becomes part of each of them.

    On its own it would be optimised anew where a kernel is loaded from the cache, and might then sum in another order
    than in the process that compiled it: the first run on a machine would differ from all later ones in the last bit.
    """
    return register_jitable(forceinline=True)(function)
