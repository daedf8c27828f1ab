"""What processes that train one model together exchange: sums over all of them. `distribution` connects them.

All of them launch the same sums in the same order. Where there is one process, nothing is launched.
"""

import contextlib
import sys

from minigrad import kernels as K
from minigrad.program import launch
from minigrad.tensor import constant, flat, launch_copy, op


class World:
    """The processes that mpiexec has started, and whether they train one model together."""

    is_on = False
    rank, processes = 0, 1  # the number of this one, and how many there are
    comm = None  # mpi4py's communicator
    turns = [0]  # how often this process began or ended to wait for the others: odd while it waits
    addresses = {}  # dtype -> the address of a function (pointer, size) that replaces an array by its sum over all

    @property
    def size(self):
        """How many processes share a batch."""
        return self.processes if self.is_on else 1

    def agree(self, value):
        """What all processes give here, in a list."""
        if not self.is_on:
            return [value]
        with self.waits():
            return self.comm.allgather(value)

    @contextlib.contextmanager
    def waits(self):
        """While this process waits for the others: one that has ended sees it."""
        self.turns[0] += 1
        yield
        self.turns[0] += 1

    def end_others(self):
        """End all processes, because this one ends by an error."""
        if self.comm is not None and self.processes > 1:
            print(f"minigrad: process {self.rank} has ended by an error, and ends the others.", file=sys.stderr)
            sys.stderr.flush()
            self.comm.Abort(1)


world = World()


def add_up(array):
    """Launch array = its sum over all processes."""
    if world.size > 1:
        launch(K.exchange, constant("int64", world.addresses[array.dtype.name]), flat(array))


def average(array):
    """Launch array = its mean over all processes."""
    if world.size > 1:
        add_up(array)
        launch(K.scale, flat(array), constant(array.dtype, 1.0 / world.size), flat(array))


@op("(...) -> (...)")
def mean_of_all(y, x):
    """y = the mean of x over all processes; dx = the mean of dy, where the loss is the mean of all losses.

    With S processes, each x is in the y of every one, with the weight 1 / S.
    """
    launch_copy(x, y)
    average(y)

    def vjp(gy, gx):
        launch_copy(gy, gx)
        average(gx)

    return vjp
