"""Training: which batches one replay covers, what happens between two replays, and how to go on another time.

Going on: while `fit` runs, `model.fitting` is its Run. A callback that keeps a training (BackupAndRestore) sets
`runs_last = True`, so that all others have seen the batch or epoch, and then
- keeps `model.fitting.get_state()` beside the weights, the optimizer's variables and the layers' random streams: the
  epoch and batch that come next, the order of the rows and the position in it, the metrics, the random generator and
  the state of every callback; a dict of numbers, strings, lists and NumPy arrays;
- in a later `fit`, in on_train_begin, restores the weights and the rest, and calls `model.fitting.set_state(state)`. It
  takes effect after that hook of all callbacks (where most of them start anew): the training goes on at that batch,
  to the bit. `set_state({"epoch": 3})` only begins at a later epoch.

A stream of batches goes on by leaving out those it has given in this pass; a generator can't, and goes on from its
beginning.
"""

from minigrad.trainer.trainer import Trainer

__all__ = ["Trainer"]
