"""Matrix products of all sizes, by tiles of our own or by BLAS, whose threads are told when to rest."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from minigrad import kernels as K
from minigrad import launch
from minigrad.kernels import vectors
from minigrad.parallel import dividing, threads

RANDOM = np.random.default_rng(5)


def big(*shape, dtype="float32"):
    return RANDOM.standard_normal(shape).astype(dtype)


@pytest.mark.skipif(threads._blas() is None, reason="SciPy has a BLAS that can't be told")
def test_blas_takes_one_thread_while_we_divide_and_its_own_number_else(monkeypatch):
    set_threads, get_threads = threads._blas()
    before = get_threads()
    monkeypatch.setattr(threads, "threads", lambda: 3)
    try:
        set_threads(3)
        none, mine, other = [False], [True], [True]
        threads.enter(none)
        assert get_threads() == 3, "nothing to divide"
        threads.leave(none)
        threads.enter(mine)
        inside = threading.Thread(target=lambda: [threads.enter(other), threads.leave(other)])
        inside.start()
        inside.join()
        assert get_threads() == 1, "another one goes on"
        threads.leave(mine)
        assert get_threads() == 3
        with pytest.raises(ValueError, match="rows of a"):
            launch(K.matmul, big(400, 100), big(100, 400), big(400, 401))
        assert get_threads() == 3, "restored after an error"
    finally:
        set_threads(before)


def test_there_are_as_many_parts_as_blas_takes_threads(monkeypatch):
    for has, count in ((1, 1), (2, 2), (64, threads.MOST)):
        monkeypatch.setattr(threads, "_blas", lambda has=has: (None, lambda: has))
        threads.threads.cache_clear()
        assert threads.threads() == count
    monkeypatch.setattr(threads, "_blas", lambda: None)
    threads.threads.cache_clear()
    assert threads.threads() == 1
    threads.threads.cache_clear()


# ---------------------------------------------------------------------------------------------- products


def products(a, b):
    """The kernels that compute a b, with what they take."""
    return [(K.matmul, a, b), (K.matmul_nt, a, b.T.copy()), (K.matmul_tn, a.T.copy(), b)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m, n, k", [
    (128, 1024, 1024), (100, 1000, 300), (8, 512, 5000), (7, 900, 900), (1000, 33, 77), (513, 70, 259), (300, 31, 400),
    (64, 64, 64), (1, 1, 1), (3, 0, 4), (2, 3, 0),
])  # fmt: skip
def test_products_of_all_sizes(m, n, k, dtype):
    """By tiles, by tiles with an edge, as vectors, and by BLAS where that is faster or there are no tiles."""
    a, b = big(m, k, dtype=dtype), big(k, n, dtype=dtype)
    expected = a.astype("f8") @ b.astype("f8")
    bound = (1e-6 if dtype == "float32" else 1e-15) * 8 * np.sqrt(k + 1)
    for times, x, w in products(a, b):
        y = np.full((m, n), np.nan, dtype)
        launch(times, x, w, y)
        assert np.all(abs(y - expected) < bound), times


@pytest.mark.skipif(not vectors.HAS_TILES, reason="these products are OpenBLAS's, whose last bit depends on its threads")
@pytest.mark.parametrize("product", [K.matmul, K.matmul_nt, K.matmul_tn])
def test_no_bit_of_a_product_depends_on_its_division(product, monkeypatch):
    """Those that may be divided, into columns, rows or blocks, are none of BLAS', whose kernels round as their size is."""
    for m, k, n in [(1280, 9, 64), (640, 30, 33), (75, 130, 70), (100, 100, 90), (70, 200, 40), (1024, 30, 17)]:
        a, b = big(m, k), big(k, n)
        a, b = a.T.copy() if product is K.matmul_tn else a, b.T.copy() if product is K.matmul_nt else b

        def result(parts_of):
            y = np.full((m, n), np.nan, "f4")
            for part in parts_of(product, (a, b, y)):
                product.compile(y.dtype)(*part)
            return y

        def divided(count):
            monkeypatch.setattr(dividing, "threads", lambda: count)
            return result(lambda kernel, operands: dividing.divide(kernel, operands, kernel.cost(*operands))[1])

        def in_blocks(kernel, operands):
            found = dividing.divide_by_samples(kernel, operands, m, 2)
            return found.parts if found else dividing.divide(kernel, operands, 0)[1]

        for other in (divided(2), divided(3), result(in_blocks)):
            np.testing.assert_array_equal(divided(1), other)


@pytest.mark.parametrize(
    ("has", "name"), [("avx512f", "matmul_tn"), ("avx2", "matmul_nt"), ("neither", "matmul")]
)
def test_products_with_other_registers(has, name, tmp_path):
    """Tiles for wide registers and for narrow ones (LLVM makes the former of the latter), and BLAS alone."""
    if has == ("avx512f" if vectors.HAS_WIDE else "avx2" if vectors.HAS_TILES else "neither"):
        pytest.skip("this machine's own, which all other tests use")
    code = """if True:
        import sys, llvmlite.binding as llvm, numba, numpy as np
        features = llvm.get_host_cpu_features()
        numba.config.CPU_FEATURES = features.flatten()  # what code is made for stays as it is
        has, name = sys.argv[1:]
        features.update({"avx512f": has == "avx512f", "avx2": has == "avx2", "fma": has != "neither"})
        llvm.get_host_cpu_features = lambda: features
        from minigrad import kernels as K, launch
        from minigrad.kernels import normalization, vectors
        assert vectors.HAS_TILES == (has != "neither") and vectors.HAS_WIDE == (has == "avx512f")
        random = np.random.default_rng(0)
        for m, k, n in [(130, 300, 170), (9, 700, 33), (1, 60, 70), (140, 1100, 1)]:
            a, b = random.integers(-9, 9, (m, k)).astype("f4"), random.integers(-9, 9, (k, n)).astype("f4")
            operands = {"matmul": (a, b), "matmul_nt": (a, b.T.copy()), "matmul_tn": (a.T.copy(), b)}[name]
            y = np.full((m, n), np.nan, "f4")
            launch(getattr(K, name), *operands, y)
            assert (y == a @ b).all(), (m, k, n)
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, has, name], env=environment, check=True)


def test_a_product_shows_every_nan():
    a, b = big(130, 300), big(300, 140)
    a[7, 290] = np.nan
    for times, x, w in products(a, b):
        y = np.zeros((130, 140), "f4")
        launch(times, x, w, y)
        assert np.isnan(y[7]).all() and np.isfinite(np.delete(y, 7, 0)).all()
