"""Training, evaluation and prediction: functions of a model, which are the methods of `models.Model`.

`fit` takes this way: `fitting` checks what it is given (`feed`) and makes a source of batches (`sources`). A Run
(`run`) goes through the epochs and calls the callbacks. A step (`steps`) is recorded once (`programs`), or taken from a
network of the same structure (`templates`), then replayed. In a loop of one's own a call of a model is (`taped`).
An Objective (`objective`) is what `compile` was told; a Snapshot (`snapshot`) what follows from a model's structure.

A training can be continued in a later `fit`, to the bit. A callback that does so, such as BackupAndRestore, sets
`runs_last = True`, so that all other callbacks have seen the batch or epoch before it. It keeps
`model.fitting.get_state()` beside the weights, the variables of the optimizer and the random streams of the layers. In
the later `fit`, in on_train_begin, it restores these, and calls `model.fitting.set_state(state)`. (`model.fitting` is
the Run.) A stream of batches continues by leaving out the batches that it has given in this pass; a generator can't,
and continues from its beginning.
"""
