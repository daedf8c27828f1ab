"""Kernels: loops that Numba compiles, once per dtype and machine."""

import contextlib
import functools
import inspect
import io
import os
import sys
import threading
import zlib

import numba
import numpy as np
from numba import types
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.cpu import CPUTargetOptions
from numba.core.errors import NumbaError
from numba.core.options import TargetOptions
from numba.core.runtime import rtsys
from numba.extending import register_jitable

# Never nnan or ninf (so never fastmath=True): they turn max(nan, 0) into 0 and hide a training that diverged.
OPTIONS = {
    "nogil": True,
    "no_cfunc_wrapper": True,  # nobody calls a kernel from C: a sixth less to compile
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
}
# An option that Numba does not offer: the promise that no two operands overlap, so that LLVM need not check it.
CPUTargetOptions.noalias = TargetOptions.Mapping("noalias")

WHOLE = np.array([[0, 2**62, 0, 2**62]])  # the `part` of a launch that is not divided
GROUPS = 16  # of samples: into so many at most, and always into equal ones, a batch is divided

# One thread compiles at a time, and a fork waits for it: a child process could never release its lock.
compiling = threading.RLock()
os.register_at_fork(before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release)


class _Notice(event.Listener):
    """One line on stderr while kernels that are not in the cache are compiled; on a terminal it disappears again."""

    told = False

    def on_start(self, compilation):
        if sys.stderr is None or (_Notice.told and not sys.stderr.isatty()):
            return
        end = "" if sys.stderr.isatty() else "\n"
        print("minigrad: compiling its kernels for this machine ...", end=end, file=sys.stderr, flush=True)
        _Notice.told = True

    def on_end(self, compilation):
        if sys.stderr is not None and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Kernel:
    """Compiled loops over 2-D C-contiguous arrays: inputs first, outputs last, nothing allocated.

    A parameter's annotation says what the operand is: `"out"` if it is written, a dtype (`"int64"`) if it does not
    follow the dtype of the others, `"picked"` if the kernel picks rows of it, so that there may be any number of them,
    `"number"` if it has a single element that serves everywhere. A kernel is compiled lazily, once per dtype and
    machine, and cached on disk.

    A launch of a kernel with a `cost` may be divided into parts for several threads. The cost is a function of the
    operands; its unit is the time of one multiplication. In an operand annotated `"columns"` (or `"rows"`) each part
    touches columns (or rows) of its own only, of `"scattered"` ones other columns than these, but as many. If the last
    parameter is `part`, the kernel gets whole operands and an int64 row [first row, last row, first column, last
    column]. Otherwise each such operand is one row, (1, n), and the kernel gets a slice of it.

    In a step that computes with images or sums over time, a launch is divided by samples instead, into blocks that stay
    in the cache from one launch to the next. What is annotated `"rows"` or `"samples"` has as many rows per sample.
    `"images"` is such an operand with one row per sample: it tells how many there are. `"groups"` has a row for each of
    GROUPS at most: the sums over groups of samples, whose order does not depend on threads.
    """

    def __init__(self, function, options=OPTIONS, cost=None, check=None, grain=None):
        self.function, self.options, self.cost, self.check = function, options, cost, check
        self.grain = grain  # parts have a multiple of so many rows or columns; None: as `parallel` thinks best
        self.is_disjoint = options.get("noalias", False)
        self.name = function.__name__
        self.__doc__ = function.__doc__
        names = list(inspect.signature(function).parameters)
        self.takes_part = names[-1] == "part"
        if self.takes_part and cost is None:
            raise ValueError(f"Kernel {self.name!r} takes a part, so it needs a cost, by which launches are divided.")
        self.undivided = (WHOLE,) if self.takes_part else ()  # what comes after the operands of an undivided launch
        self.parameters = names[:-1] if self.takes_part else names
        notes = [function.__annotations__.get(p, "").split() for p in self.parameters]
        self.is_out = [("out" in note) for note in notes]
        self.is_own = [[next(filter(n.count, own), "") for n in notes] for own in (["rows"], ["columns", "scattered"])]
        self.is_picked = ["picked" in note for note in notes]
        self.is_of_samples = [not {"rows", "samples", "images", "groups"}.isdisjoint(note) for note in notes]
        self.is_of_groups = ["groups" in note for note in notes]
        self.counts_samples = next((i for i, note in enumerate(notes) if "images" in note), None)
        words = {"out", "rows", "scattered", "columns", "picked", "number", "samples", "images", "groups"}
        self.dtypes = [next((np.dtype(word) for word in note if word not in words), None) for note in notes]
        # The operand whose dtype the others follow. (Not dtypes.index(None): NumPy says that float64 == None.)
        self.generic = next((i for i, fixed in enumerate(self.dtypes) if fixed is None), 0)
        self.entry = {}  # dtype -> what Python calls
        self.address = {}  # dtype -> what a replay calls

    def signature(self, dtype):
        """The types of the operands for this dtype, as Numba's signature."""
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

    def __repr__(self):
        return f"<kernel {self.name}({', '.join(self.parameters)})>"


class _Files(IndexDataCacheFile):
    """Numba's cache files of a kernel, each with a checksum of its name and content at its end, which Numba ignores.

    Machine code with a byte changed by a bad disk would crash the process, or compute something else.
    """

    @contextlib.contextmanager
    def _open_for_write(self, filepath):
        content = io.BytesIO()
        with super()._open_for_write(filepath) as file:
            yield content
            file.write(content.getvalue() + _checksum(filepath, content.getvalue()))

    def _load_index(self):
        _require_whole(self._index_path)
        return super()._load_index()

    def _load_data(self, name):
        _require_whole(self._data_path(name))
        return super()._load_data(name)


def _checksum(path, content):
    return zlib.crc32(content, zlib.crc32(os.path.basename(path).encode())).to_bytes(4, "little")


def _require_whole(path):
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        content = file.read()
        if content[-4:] != _checksum(path, content[:-4]):
            raise ValueError(f"{path} is damaged")


class _Cache(FunctionCache):
    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def load_overload(self, sig, target_context):
        """As Numba's, without what it needs to compile: that takes 0.2 s, and is done where nothing is found."""
        rtsys.initialize(target_context)
        return self._load_overload(sig, target_context)


def compiled(function, signature, options=OPTIONS):
    """Numba's compile result of `function`, from the cache on disk if that works, else without it."""
    with event.install_listener("numba:compile", _Notice()):
        try:
            dispatcher = numba.njit(**options)(function)
            dispatcher._cache = _Cache(function)
            try:
                dispatcher.compile(signature)
            except NumbaError:  # the kernel itself is wrong
                raise
            except Exception:
                # A file is damaged, or the kernel was compiled in a module whose name can't be imported: write it anew.
                dispatcher._cache.flush()
                dispatcher.compile(signature)
        except NumbaError:
            raise
        except Exception:
            # The folder can't be written: do without a cache.
            dispatcher = numba.njit(**options)(function)
            dispatcher.compile(signature)
    return dispatcher.overloads[signature.args]


def kernel(function=None, *, exact=False, disjoint=False, cost=None, check=None, grain=None):
    """Make a Python function of 2-D arrays a `Kernel`; see there for what its annotations and `cost` mean.

    With `exact=True` sums keep the order written: LLVM may not turn (a - o) + (b - o) into a + b - 2 o. `disjoint=True`
    promises that operands never overlap: without that, LLVM does not vectorise loops over many operands. `check` is a
    function of the operands that raises if their values would lead outside of an operand; a Program calls it when
    arrays are bound. Parts have a multiple of `grain` rows or columns.
    """
    if function is None:
        return functools.partial(kernel, exact=exact, disjoint=disjoint, cost=cost, check=check, grain=grain)
    fastmath = OPTIONS["fastmath"] - {"reassoc"} if exact else OPTIONS["fastmath"]
    return Kernel(function, {**OPTIONS, "fastmath": fastmath, "noalias": disjoint}, cost, check, grain)


class _HelperCode(JITCodeLibrary):
    """Code that LLVM optimizes as a part of kernels only: helpers call helpers, and each would be optimized by each."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True
        self._get_module_for_linking()  # a copy, which kernels take; of what stays here no machine code is made
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.linkage = "available_externally"
        super()._finalize_final_module()


class _HelperCompiler(Compiler):
    def __init__(self, typing, target, library, *arguments):
        super().__init__(typing, target, _HelperCode(target.codegen(), "helper"), *arguments)


def helper(function):
    """Make a function that kernels call; its code becomes part of each of them.

    If it were compiled on its own, it would be optimized again in a process that loads the kernel from the cache, and
    might sum in another order there: the first run on a machine would differ from later ones in the last bit.
    """
    options = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # no one else calls it
    return register_jitable(pipeline_class=_HelperCompiler, **options)(function)
