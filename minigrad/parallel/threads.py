"""Who computes: how many threads share a large launch, and what BLAS and a fork must know about it."""

import contextlib
import ctypes
import functools
import os
import threading
import time

MOST = 16  # tried out on two cores only: with many more, waiting for the last one may cost more than it gains

_entering = threading.RLock()
# What is being computed: the id of what was given to `enter` -> (thread, what was given). A thread may have several:
# what a signal handler computes, it computes in the middle of something else.
_busy = {}
_default = 0  # how many it takes otherwise


@functools.cache
def _blas():
    """(set, get) of the number of threads that SciPy's BLAS takes; None where it is one that can't be told."""
    from scipy.linalg import cython_blas  # 0.1 s, and many a script needs no matrix product

    library = ctypes.CDLL(cython_blas.__file__)  # in which the symbols of what it is linked with are found, too
    for name in ("scipy_openblas", "openblas"):
        with contextlib.suppress(AttributeError):
            return getattr(library, f"{name}_set_num_threads"), getattr(library, f"{name}_get_num_threads")
    return None


@functools.cache
def threads():
    """In how many parts a large launch is divided, at most: as many as BLAS would take threads.

    So OPENBLAS_NUM_THREADS holds for all of minigrad. The last bit of a large product depends on it, as it does in
    BLAS itself.
    """
    return 1 if _blas() is None else max(1, min(_blas()[1](), MOST))


def enter(mine):
    """This thread begins to compute. Returns whether nothing else computes.

    Args:
        mine: [whether BLAS must be kept to one thread], a list that is given to `leave`, too. Call both within one
            `try ... finally`: Ctrl-C may come before this function has returned.
    """
    global _default
    with _entering:
        if mine[0] and threads() > 1 and not _needs_one():
            set_threads, get_threads = _blas()
            _default = get_threads()
            set_threads(1)
        _busy[id(mine)] = threading.get_ident(), mine
        return len(_busy) == 1


def leave(mine):
    """This thread has computed what it entered for with this list, if it came so far."""
    _busy.pop(id(mine), None)
    if mine[0]:
        with _entering:
            _restore()


def _needs_one():
    return any(has_products for _, (has_products,) in list(_busy.values()))  # a list: others may leave meanwhile


def _others():
    """What other threads compute, by its keys in `_busy`."""
    return [key for key, (thread, _) in list(_busy.items()) if thread != threading.get_ident()]


def _restore():
    if _default and not _needs_one():
        _blas()[0](_default)


# A lock that another thread holds at the moment of a fork would be taken for ever in the child; so would those that
# BLAS takes within a product.


def _before_fork():
    deadline = time.monotonic() + 2
    _entering.acquire()
    while _others() and time.monotonic() < deadline:
        _entering.release()  # or none of them could leave
        time.sleep(1e-4)
        _entering.acquire()


def _after_fork():
    _entering.release()


def _in_child():
    for other in _others():
        del _busy[other]
    _restore()
    _after_fork()


def register_at_fork():
    """Let a fork wait for those who compute: before it calls whoever was registered until now."""
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


register_at_fork()
