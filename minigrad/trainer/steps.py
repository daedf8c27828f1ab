"""Steps: a Program with the buffers of its batch, and the pool from which threads take them."""

import os
import threading
import weakref

from minigrad.program import Program
from minigrad.tensor import Structure

LIMIT = 64  # free steps that one model keeps,
MEMORY = 512 << 20  # and the bytes of their memory, unless one alone takes more
SLICE = 0.05  # seconds of replay between two looks at the clock, the progress bar and Ctrl-C


_pools = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [pool.unlock() for pool in _pools])


class Pool:
    """The Programs of one model: each belongs to one thread at a time, so eight threads get eight."""

    def __init__(self):
        self._forget()
        self._lock = threading.RLock()  # a signal handler may predict in the middle of what this thread does
        self.training = threading.RLock()
        self._generation = 0  # how often all steps were forgotten
        self.shown = {}  # the Program of the last step of each kind, for printing
        self.logs = None  # what an overridden compute_metrics returned in the last step
        self.optimizer_built = -1, None  # the version of the structure and the memory for which it was last found built
        _pools.add(self)

    def unlock(self):
        """In a forked child: what other threads of the parent were doing goes on there, not here."""
        self._lock, self.training = threading.RLock(), threading.RLock()

    def clear(self):
        """Forget all Programs."""
        with self._lock:
            self._forget()
            self.shown = {}
            self.logs = None
            self._generation += 1

    def _forget(self):
        self._free = {}  # key -> free steps, those of the longest unused key first
        self._count = self._bytes = 0  # of all of them

    def has(self, key, is_valid):
        """Whether there is a free step of this kind."""
        with self._lock:
            free = self._free.get(key)
            return bool(free) and is_valid(free[-1])

    def take(self, key, is_valid, build):
        """A step of this kind, a free one or a new one; to be given back, unless an error left it half done."""
        with self._lock:
            generation = self._generation
            free, step = self._free.get(key), None
            if free:  # no call in here, nor where the counts change below: Ctrl-C may come after one
                step = free[-1]
                del free[-1]
                self._count -= 1
                self._bytes -= step.nbytes
        if step is None or not is_valid(step):
            step = build()
            step.key, step.generation = key, generation
        return step

    def give_back(self, step):
        """Let others have the step. Of too many free ones, the longest unused go: batches may come in any size."""
        with self._lock:
            if step.generation != self._generation:
                return  # it was taken before all were forgotten
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
    """A step with its input buffers: replayed where it could be recorded, else run eagerly."""

    def __init__(self, run, inputs, homes, result, stage=()):
        self.run, self.inputs, self.homes, self.result = run, inputs, homes, result
        self.program, self.stage, self.nbytes = None, dict(stage), 0
        self.version = Structure.version

    def record(self, names, title):
        """Turn the step into a Program."""
        self.program = Program(self.run, self.inputs, names, title)
        self.nbytes = self.program.nbytes + sum(a.nbytes for a in self.stage.values())
        self.run = self.inputs = None  # whose data the Program lets go of, too, once `fit` is over

    def replay(self, steps=1):
        """Take `steps` steps."""
        if self.program is not None:
            self.program.replay(steps)
            return
        for _ in range(steps):
            self.run()
