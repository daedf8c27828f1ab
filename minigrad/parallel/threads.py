"""How many threads share a large launch; and how BLAS and forks are told that something is being computed."""

import contextlib
import ctypes
import functools
import os
import threading
import time

PATIENCE = 10e-3  # seconds for which a thread waits for its turn
LONG = 500  # launches of a replay during which it is another one's turn
MOST = 16  # with more threads, waiting for the last one might cost more than it gains; tested on two cores only

_entering = threading.RLock()
# What is being computed: the id of the argument of `enter` -> (thread, argument). A thread may have several entries,
# since a signal handler computes in the middle of something else.
_busy = {}
_default = 0  # the number of threads that BLAS takes otherwise


class _Here(threading.local):
    turn, has_it = None, False  # the lock of `in_turn`, and whether this thread holds it


here = _Here()


@functools.cache
def _blas():
    """The functions that set and get the number of threads of SciPy's BLAS; None if this BLAS has none."""
    from scipy.linalg import cython_blas  # takes 0.1 s, and many scripts need no matrix product

    library = ctypes.CDLL(cython_blas.__file__)  # finds the symbols of the libraries it is linked with, too
    for name in ("scipy_openblas", "openblas"):
        with contextlib.suppress(AttributeError):
            return getattr(library, f"{name}_set_num_threads"), getattr(library, f"{name}_get_num_threads")
    return None


@functools.cache
def threads():
    """The largest number of parts of a launch: the number of threads that BLAS would take.

    So OPENBLAS_NUM_THREADS counts for all of minigrad. No result depends on it, but where products are BLAS's own.
    """
    return 1 if _blas() is None else max(1, min(_blas()[1](), MOST))


def limit(count):
    """Let launches have so many parts at most: several processes share the cores."""
    global MOST
    MOST = min(MOST, count)
    threads.cache_clear()


def enter(mine):
    """Tell that this thread begins to compute. Returns whether nothing else is being computed.

    Args:
        mine: [whether BLAS must be kept to one thread]; give the same list to `leave`. Call both within one
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
    """Tell that this thread has finished what it began with `enter(mine)`, if it has begun it at all."""
    _busy.pop(id(mine), None)
    if mine[0]:
        with _entering:
            _restore()


@contextlib.contextmanager
def side_by_side():
    """Inside, whatever threads compute, each computes on one core: there is enough to do for all cores."""
    mine = [True]
    try:
        enter(mine)  # so nobody is alone
        yield
    finally:
        leave(mine)


@contextlib.contextmanager
def in_turn(lock):
    """Inside, only one of the threads with the same lock runs Python; during its long replays another one does.

    Without that, a thread that waits for Python's own lock gets it at the next launch of another one, and each time a
    core must be woken up: that took up to a third of the time. A thread waits for PATIENCE seconds at most, and then
    goes on: so nothing can stand still.
    """
    if here.turn is not None:  # it has begun
        yield
        return
    here.turn, here.has_it = lock, lock.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        _end_turn()
        here.turn = None


def _end_turn():
    if here.has_it:
        here.has_it = False
        here.turn.release()


def out_of_turn(run, *arguments):
    """run(*arguments) for a thread in `in_turn`, a long replay: meanwhile it is another one's turn."""
    _end_turn()
    try:
        run(*arguments)
    finally:
        here.has_it = here.turn.acquire(timeout=PATIENCE)


def _needs_one():
    return any(has_products for _, (has_products,) in list(_busy.values()))  # a list: others may leave meanwhile


def _others():
    """The keys in `_busy` of what other threads compute."""
    return [key for key, (thread, _) in list(_busy.items()) if thread != threading.get_ident()]


def _restore():
    if _default and not _needs_one():
        _blas()[0](_default)


# A lock that another thread holds at the moment of a fork would stay locked in the child for ever, also a lock of BLAS:
# so a fork waits, for at most two seconds, until no other thread computes.


def _before_fork():
    deadline = time.monotonic() + 2
    _entering.acquire()
    while _others() and time.monotonic() < deadline:
        _entering.release()  # else none of them could leave
        time.sleep(1e-4)
        _entering.acquire()


def _after_fork():
    _entering.release()


def _in_child():
    for other in _others():
        del _busy[other]
    _end_turn()
    here.turn = None  # the thread whose turn it is may not be here
    _restore()
    _after_fork()


def register_at_fork():
    """Let forks wait for threads that compute, before the functions registered so far are called."""
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


register_at_fork()
