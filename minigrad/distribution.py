"""`keras.distribution`: several processes train one model, each on its part of every batch (data parallelism).

    keras.distribution.set_distribution(keras.distribution.DataParallel())  # in the script
    mpiexec -n 2 python -m minigrad script.py

Every process runs the whole script with the same data. Of each batch of `fit` it takes its part. The gradients of a
step are averaged over the processes before the optimizer uses them, by one all-reduce of its flat row; so the weights
stay equal to the last bit, and those of one process but for rounding. (A row of an Embedding that a batch uses twice is
another case: Adam squares the sum of its gradients, which one process squares one by one.) What is evaluated or
predicted, each process computes for itself; `BatchNormalization(synchronized=True)` shares its statistics. Process 0
prints and writes files. A process that ends by an error, or while another one waits for it, ends all others.

When it pays (`benchmarks/processes.py`; two cores of an EPYC with AVX2, one per process, other programs at work): a
step of 12 us (20-64-32-1, 32 rows) takes two processes 18 us, one of 76 us (256 rows) takes them 51. An all-reduce of
25 kB costs 27 us, so steps from some 25 us on gain. On 64 machines with a latency of 14.7 us (that of TCP within one
machine) it would cost at least 2 log2(64) latencies, 176 us: a step of 10 ms would take 0.5 ms, one of 76 us 185 us.
"""

import atexit
import ctypes
import os
import sys
import time
import traceback

import numpy as np

from minigrad.checks import extra
from minigrad.exchange import world
from minigrad.names import public
from minigrad.parallel.threads import limit
from minigrad.tensor import Structure

_PATIENCE = 3.0  # seconds after which a process that waits for one that has ended is known to wait in vain
_current = None


class DataParallel:
    """Each process trains on its part of every batch, which the number of processes must divide.

    Args:
        device_mesh, devices, auto_shard_dataset: accepted; mpiexec says how many processes there are.
    """

    def __init__(self, device_mesh=None, devices=None, auto_shard_dataset=True):
        initialize()


def set_distribution(value):
    """Train as `value` says from now on: a DataParallel, or None for each process by itself."""
    global _current
    if value is not None and not isinstance(value, DataParallel):
        raise ValueError(f"set_distribution expects a DataParallel or None, got {value!r}.")
    _current, world.is_on = value, value is not None
    Structure.changed()  # steps are recorded anew


def distribution():
    """The DataParallel that was set, or None."""
    return _current


def list_devices(device_type=None):
    """The names of the processes, ["cpu:0", "cpu:1", ...]."""
    initialize()
    return [f"cpu:{rank}" for rank in range(world.processes)]


def initialize(job_addresses=None, num_processes=None, process_id=None):
    """Connect the processes that mpiexec has started. It knows them, so the arguments have no effect.

    Raises:
        ImportError: mpi4py is not there.
    """
    if world.comm is not None:
        return
    with extra("Processes are connected by mpi4py", "mpi4py mpich"):
        from mpi4py import MPI  # an extra: only who trains on several processes needs it
    world.comm = comm = MPI.COMM_WORLD.Dup()
    world.processes, world.rank = comm.size, comm.rank
    world.sums = {"float32": _sum(comm, MPI, MPI.FLOAT, 4), "float64": _sum(comm, MPI, MPI.DOUBLE, 8)}
    world.addresses = {dtype: ctypes.cast(call, ctypes.c_void_p).value for dtype, call in world.sums.items()}
    here = comm.Split_type(MPI.COMM_TYPE_SHARED).size
    limit(max(1, (os.cpu_count() or 1) // here))
    if world.rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it stays open as long as the process
    window, own = MPI.Win.Allocate(8, 8, comm=comm), os.getpid()
    world.turns = np.frombuffer(window.tomemory(), np.int64)
    world.turns[0] = 0
    farewell = comm.Dup()
    atexit.register(lambda: os.getpid() == own and _leave(farewell, window, MPI))
    before = sys.excepthook
    sys.excepthook = lambda *error: (before(*error), world.end_others())


def _sum(comm, mpi, kind, itemsize):
    """A function of C, (pointer, size), that replaces an array by its sum over all processes."""

    @ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)
    def add_up(pointer, size):
        try:
            memory = (ctypes.c_char * (size * itemsize)).from_address(pointer)
            world.turns[0] += 1
            comm.Allreduce(mpi.IN_PLACE, [memory, size, kind])
            world.turns[0] += 1
        except BaseException:  # a kernel can't raise it
            traceback.print_exc()
            world.end_others()

    return add_up


def _leave(farewell, window, mpi):
    """At the normal end of this process: wait for that of the others, unless one of them waits for this one."""
    all_leave, seen = farewell.Ibarrier(), {}
    while not all_leave.Test():
        time.sleep(0.1)
        for rank in range(world.processes):
            turns = np.empty(1, np.int64)
            window.Lock(rank, mpi.LOCK_SHARED)
            window.Get(turns, rank)
            window.Unlock(rank)
            if rank == world.rank or turns[0] % 2 == 0 or seen.get(rank, (None,))[0] != turns[0]:
                seen[rank] = turns[0], time.monotonic()
            elif time.monotonic() - seen[rank][1] > _PATIENCE:
                print(
                    f"minigrad: process {world.rank} has ended, and process {rank} still waits for it: all processes "
                    "must train alike, as often and for as many epochs.",
                    file=sys.stderr, flush=True,
                )
                farewell.Abort(1)
    world.turns = [0]
    window.Free()


__all__ = public(globals(), but=("extra",))
