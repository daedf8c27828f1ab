"""Steps: a Program with the buffers of its batch, and the pool from which threads take them."""

import os
import threading
import weakref

from minigrad.program import Program
from minigrad.tensor import Structure

LIMIT = 64  # free steps that one model keeps,
MEMORY = 512 << 20  # and the bytes of their memory, unless one alone takes more
LITTLE = 1 << 20  # bytes of operands of which it does not matter whose they are
SLICE = 0.05  # seconds of replay between two looks at the clock, the progress bar and Ctrl-C


_pools = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [pool.unlock() for pool in _pools])


class Pool:
    """The Programs of one model: each belongs to one thread at a time, so eight threads get eight."""

    def __init__(self):
        self._forget()
        self._lock = threading.RLock()  # a signal handler may predict in the middle of what this thread does
        self.training = threading.RLock()
        self._snapshot = None  # of what the free steps were recorded
        self.shown = {}  # the Program of the last step of each kind, for printing
        self.logs = None  # what an overridden compute_metrics returned in the last step
        _pools.add(self)

    def unlock(self):
        """In a forked child: what other threads of the parent were doing goes on there, not here."""
        self._lock, self.training = threading.RLock(), threading.RLock()

    def clear(self):
        """Forget all Programs."""
        with self._lock:
            self._see(None)
            self.shown = {}
            self.logs = None

    def _see(self, snapshot):
        """Forget the steps unless they were recorded of what `snapshot` is one."""
        if snapshot != self._snapshot:
            self._forget()
            self._snapshot = snapshot

    def _forget(self):
        self._free = {}  # key -> free steps, those of the longest unused key first
        self._count = self._bytes = 0  # of all of them

    def has(self, key, snapshot):
        """Whether there is a free step of this kind, recorded of what `snapshot` is one."""
        with self._lock:
            free = self._free.get(key)
            return bool(free) and self._snapshot == snapshot and not free[-1].is_stale()

    def take(self, key, snapshot, build):
        """A step of this kind, a free one or a new one; to be given back, unless an error left it half done.

        Args:
            snapshot: what a free step must have been recorded of; build: a function that records a new one.
        """
        with self._lock:
            if snapshot != self._snapshot:
                self._see(snapshot)
            free, step = self._free.get(key), None
            if free:  # no call in here, nor where the counts change below: Ctrl-C may come after one
                step = free[-1]
                del free[-1]
                self._count -= 1
                self._bytes -= step.nbytes
        if step is None or (step.version != Structure.version and step.is_stale()):
            step = build()
            step.key = key
            with self._lock:
                self._see(step.snapshot)  # what is made at the first step may have changed it
        return step

    def give_back(self, step):
        """Let others have the step. Of too many free ones, the longest unused go: batches may come in any size."""
        with self._lock:
            if step.snapshot != self._snapshot:
                return  # it is one of what is no more
            free = self._free.get(step.key)
            if free is not None:
                del self._free[step.key]  # it becomes the last
            self._free[step.key] = [*(free or ()), step]
            self._count += 1
            self._bytes += step.nbytes
            while self._count > 1 and (self._count > LIMIT or self._bytes > MEMORY):
                self._drop_oldest()

    def _drop_oldest(self):
        key = next(key for key, steps in self._free.items() if steps)
        steps = self._free[key]
        dropped = steps[0]
        del steps[0]
        if not steps:
            del self._free[key]
        self._count -= 1
        self._bytes -= dropped.nbytes

    def __deepcopy__(self, memo):
        return Pool()

    def __reduce__(self):
        return Pool, ()


class Step:
    """A step with its input buffers: replayed where it could be recorded, else run eagerly.

    Args:
        run: a function that takes the step; inputs: arrays that a Program is bound to anew, by their names; stage:
            buffers that a batch is copied to. result: a list with what `run` found.
        snapshot: of what it is a step.
    """

    def __init__(self, run, inputs, snapshot, result, stage=()):
        self.run, self.inputs, self.snapshot, self.result = run, inputs, snapshot, result
        self.program, self.stage, self.nbytes = None, dict(stage), 0
        self.version = Structure.version  # at which it was known to be up to date
        self.size = 1  # how often it can be taken in SLICE seconds, as far as is known

    def record(self, names, title, is_sure=False):
        """Turn the step into a Program. One that `is_sure` to do the same each time is recorded once."""
        self.program = Program(self.run, self.inputs, names, title, is_sure)
        most = sum(operand.nbytes for _, operands, _ in self.program.instructions for operand in operands)
        self.nbytes = most if most < LITTLE else self.program.nbytes + sum(a.nbytes for a in self.stage.values())
        self.run = self.inputs = None  # whose data the Program lets go of, too, once `fit` is over

    def is_stale(self):
        """Whether it reads variables of another model, such as a teacher's in a loss, where they live no more."""
        if self.program is not None and self.program.reads(Structure.left):
            return True
        self.version = Structure.version
        return False

    def replay(self, steps=1):
        """Take `steps` steps."""
        if self.program is not None:
            self.program.replay(steps)
            return
        for _ in range(steps):
            self.run()
