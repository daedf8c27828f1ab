"""Compiling: the notice on stderr, the cache on disk, several processes at once."""

import importlib.util
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.errors import TypingError

import minigrad
from minigrad import Program, launch, program
from minigrad import kernels as K


def buffer(*values, dtype="float32"):
    return np.array([values], dtype)


SOURCE = """
from minigrad import kernel

@kernel
def twice(x, y: "out"):
    '''y = 2 x'''
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + x[i, j]
"""


@pytest.fixture
def a_kernel(tmp_path):
    """A kernel that no process has compiled yet."""
    path = tmp_path / "fresh.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("fresh", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.twice


class Terminal(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


NOTICE = "minigrad: compiling its kernels for this machine ..."


def test_the_notice_goes_away_on_a_terminal(a_kernel, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal(True))
    launch(a_kernel, buffer(1), buffer(0))
    assert sys.stderr.getvalue() == NOTICE + "\r\x1b[K"


def test_the_notice_comes_once_where_there_is_no_terminal(a_kernel, monkeypatch):
    monkeypatch.setattr(program.compiling._Notice, "told", False)
    monkeypatch.setattr(sys, "stderr", Terminal(False))
    launch(a_kernel, buffer(1), buffer(0))
    launch(a_kernel, buffer(1, dtype="float64"), buffer(0, dtype="float64"))
    assert sys.stderr.getvalue() == NOTICE + "\n"


def test_a_process_without_stderr_compiles_too(a_kernel, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    y = buffer(0)
    launch(a_kernel, buffer(4), y)
    assert y == 8


SCRIPT = """
import numpy as np
from minigrad import Program, launch, kernels as K
results = []
for dtype in ("float32", "float64"):
    x, y, total = np.array([[1.5, -2.0]], dtype), np.empty((1, 2), dtype), np.empty((1, 1), dtype)
    launch(K.scale, x, np.array([[3.0]], dtype), y)
    launch(K.sum_columns, y, total)
    results.append(float(total[0, 0]))
Program(lambda: launch(K.scale, total, np.array([[2.0]]), total)).replay(2)
results.append(float(total[0, 0]))
print(results, flush=True)
"""
RIGHT = "[-1.5, -1.5, -6.0]\n"


def script(package, code=SCRIPT, **environment):
    """A process of its own that runs `code` on the minigrad in `package` with these environment variables."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA")}
    return subprocess.Popen(
        [sys.executable, "-B", "-W", "error", "-c", code],
        cwd=package,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**inherited, **environment},
    )


PACKAGE = Path(minigrad.__file__).parents[1]


def cached(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc"))


def test_two_processes_at_once_on_a_cold_cache_then_damaged_files(tmp_path):
    """On one folder: two processes find it cold, one finds files torn or exchanged, one finds it warm."""
    both = [script(PACKAGE, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    results = [(*process.communicate(timeout=120), process.returncode) for process in both]
    assert {(out, code) for out, _, code in results} == {(RIGHT, 0)}
    # The slower of the two may find all that it needs in the cache already.
    assert {err for _, err, _ in results} - {""} == {NOTICE + "\n"}

    assert len(cached(tmp_path)) == 8, "two kernels for two dtypes, and the replay"

    def file(kernel, suffix):
        return next(p for p in cached(tmp_path) if f".{kernel}-" in p.name and p.name.endswith(suffix))

    file("scale", ".1.nbc").write_bytes(b"")
    index = file("_replay", ".nbi")
    index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])
    single, double = file("sum_columns", ".1.nbc"), file("sum_columns", ".2.nbc")
    exchanged = double.read_bytes(), single.read_bytes()
    single.write_bytes(exchanged[0])
    double.write_bytes(exchanged[1])
    assert script(PACKAGE, NUMBA_CACHE_DIR=str(tmp_path)).communicate(timeout=120) == (RIGHT, NOTICE + "\n")
    assert script(PACKAGE, NUMBA_CACHE_DIR=str(tmp_path)).communicate(timeout=60) == (RIGHT, ""), (
        "not written anew"
    )


@pytest.mark.parametrize("suffix, share", [(".nbi", 0), (".nbi", 0.6), (".nbc", 0.6), (".nbc", 1)])
def test_silent_a_byte_that_a_bad_disk_has_changed_is_noticed(suffix, share, a_kernel, tmp_path, monkeypatch):
    """Also one of the machine code, which unpickles all the same: it would crash, or compute something else."""
    monkeypatch.setattr(sys, "stderr", Terminal(True))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))  # NUMBA_CACHE_DIR may say another one
    launch(a_kernel, buffer(1), buffer(0))
    (path,) = (path for path in cached(tmp_path) if path.suffix == suffix)
    whole = path.read_bytes()
    place = round(share * (len(whole) - 1))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
    for _ in range(2):  # it is compiled anew, and then loaded
        y = buffer(0)
        launch(program.kernel(a_kernel.function), buffer(4), y)
        assert (y, sys.stderr.getvalue().count(NOTICE)) == (8, 2)


@pytest.mark.parametrize("error", [AttributeError, TypeError, MemoryError, UnicodeDecodeError("utf-8", b"", 0, 1, "bad")])
def test_whatever_a_damaged_cache_raises_the_kernel_compiles(error, a_kernel, monkeypatch):
    """One byte of an index changed makes Numba raise anything."""
    flushed = []

    def load(cache, *args):
        if not flushed:
            raise error
        return None

    monkeypatch.setattr(FunctionCache, "_load_overload", load)
    monkeypatch.setattr(FunctionCache, "flush", lambda cache: flushed.append(1))
    y = buffer(0)
    launch(a_kernel, buffer(4), y)
    assert y == 8 and flushed


def test_a_kernel_that_is_wrong_is_compiled_once():
    def wrong(x, y: "out"):
        y[0, 0] = x.nothing_of_the_kind

    with pytest.raises(TypingError, match="nothing_of_the_kind"):
        launch(program.kernel(wrong), buffer(1), buffer(0))


def test_compiled_or_loaded_a_kernel_computes_the_same_to_the_bit(tmp_path):
    """Also one that calls a helper."""
    code = (
        "import numpy as np; from minigrad import ops, Tensor\n"
        "x = Tensor(np.random.default_rng(0).standard_normal((64, 200)), dtype='float32')\n"
        "print(ops.sum(x, 1).numpy().tobytes().hex(), ops.mean(x).numpy().tobytes().hex())"
    )
    cold, warm = (script(PACKAGE, code, NUMBA_CACHE_DIR=str(tmp_path)).communicate(timeout=120) for _ in range(2))
    assert cold[1] == NOTICE + "\n" and warm[1] == ""
    assert len(cold[0]) > 500 and cold[0] == warm[0]


def test_helpers_are_optimised_as_a_part_of_their_kernel_only(tmp_path, monkeypatch):
    """Once, however deep they call each other: to compile a product took twice as long before."""
    optimised, original = [], JITCodeLibrary._optimize_final_module

    def optimise(library):
        optimised.append(library.name)
        original(library)

    @program.helper
    def doubled(x):
        return x + x

    @program.helper
    def square(x):
        return doubled(x) * x

    def of_a_number(x, y: "out"):
        y[0, 0] = square(x[0, 0])

    monkeypatch.setattr(JITCodeLibrary, "_optimize_final_module", optimise)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))  # where nothing is kept of it
    y = buffer(0)
    launch(program.kernel(of_a_number), buffer(3), y)
    (name,) = (name for name in optimised if name != "nrt")  # what Numba brings itself
    assert y == 18 and "of_a_number" in name


def test_where_no_folder_can_be_written_there_is_no_cache(tmp_path):
    """Below a regular file no folder can be made, not even by root: beside the package, and in the home."""
    shutil.copytree(PACKAGE / "minigrad", tmp_path / "minigrad", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [path for path in (tmp_path / "minigrad").rglob("*") if path.is_dir()] + [
        tmp_path / "minigrad"
    ]:
        (folder / "__pycache__").write_text("a file where a folder should be")
    nowhere = str(tmp_path / "minigrad" / "__pycache__" / "below")
    process = script(tmp_path, NUMBA_CACHE_DIR=nowhere, HOME=nowhere, XDG_CACHE_HOME=nowhere)
    assert process.communicate(timeout=120) == (RIGHT, NOTICE + "\n")
    assert not cached(tmp_path)


def test_a_script_may_be_imported_under_another_name(tmp_path):
    """Numba's cache remembers the module of a kernel, which the next process may know by another name."""
    path = tmp_path / "first_name.py"
    path.write_text(
        "import numpy as np\nfrom minigrad.program import kernel, launch\n\n"
        "@kernel\ndef doubled(x, y: 'out'):\n    for i in range(x.shape[0]):\n        y[i, 0] = x[i, 0] + x[i, 0]\n\n"
        "y = np.zeros((1, 1))\nlaunch(doubled, np.ones((1, 1)), y)\nprint(y[0, 0])\n"
    )
    by_path = (
        "import importlib.util as i\n"
        f"spec = i.spec_from_file_location('second_name', {str(path)!r})\n"
        "spec.loader.exec_module(i.module_from_spec(spec))"
    )
    found = {"env": {**os.environ, "PYTHONPATH": f"{PACKAGE}{os.pathsep}{tmp_path}"}, "text": True}
    hidden = {"env": {**os.environ, "PYTHONPATH": str(PACKAGE)}, "text": True}
    assert subprocess.check_output([sys.executable, "-c", "import first_name"], **found) == "2.0\n"
    assert subprocess.check_output([sys.executable, "-c", by_path], **hidden) == "2.0\n"


def test_kernels_are_compiled_lazily_for_each_dtype(a_kernel):
    assert (a_kernel.entry, a_kernel.address) == ({}, {})
    x = buffer(1, 2)
    launch(a_kernel, x, x.copy())
    assert list(a_kernel.entry) == [np.dtype("float32")]
    Program(lambda: launch(a_kernel, x.astype("f8"), np.empty((1, 2))))
    assert list(a_kernel.entry) == list(a_kernel.address) == [np.dtype("float32"), np.dtype("float64")]
    assert repr(a_kernel) == "<kernel twice(x, y)>" and a_kernel.__doc__ == "y = 2 x"


def test_the_generic_operand_is_the_first_that_has_no_dtype_of_its_own():
    """NumPy says that float64 == None, so that searching for None once found a fixed float64."""
    x, y = np.array([[1.5]]), np.zeros((1, 1), "f4")
    assert K.cast_float64.generic == 1
    launch(K.cast_float64, x, y)
    assert y == 1.5
    Program(lambda: launch(K.cast_float64, x, y)).replay()
