"""Loops of one's own: a call of a model in training is replayed, and so is its way back.

On the tape it is one operation of its variables.
"""

import contextlib
import functools
import math
import operator

from minigrad import kernels as K
from minigrad.ops.logits import remember
from minigrad.ops.masks import MASKS, mask_of
from minigrad.ops.shaping import constant_tensor
from minigrad.optimizers.rows import common_row
from minigrad.program import Program, RecordingError, aligned, empty_like, is_interrupted, launch
from minigrad.tensor import Asked, Tensor, emit, flat, nodes_since, traced
from minigrad.trainer.pool import Step
from minigrad.trainer.programs import shared_memory
from minigrad.trainer.snapshot import current

MOST_LENT = 4  # tapes of one shape of batch: a loop that keeps more of them computes the others eagerly
MOST_SHAPES = 16  # that a model records: a loop in which most batches have shapes of their own computes them eagerly
_trained, _place = operator.attrgetter("requires_grad"), operator.attrgetter("_place")


def run_taped(model, x):
    """The output for an array in training, on the tape, but replayed; None if it must be computed eagerly.

    The first batch of a shape is computed eagerly, since a recording takes as long as many steps.
    """
    snapshot, shape = current(model), x.shape
    if not snapshot.may_be_taped(model) or snapshot.trained != [*map(_trained, snapshot.weights)]:
        return None  # else, a tape may watch a variable that is not trained
    if shape not in snapshot.lent and len(snapshot.lent) < MOST_SHAPES:
        snapshot.lent[shape] = 0
        return None
    if snapshot.lent.get(shape, MOST_LENT) == MOST_LENT:
        return None
    step = model._pool.take(("taped", shape), snapshot, lambda: TapedStep(model, x))
    if step.program is None:
        model._pool.give_back(step)
        return None
    step.stage["x"][...] = x
    step.replay()
    return step.output(_Lent(model._pool, step, shape))


class TapedStep(Step):
    """One call of a model in training, recorded, and the way back from its output to its variables.

    Attributes:
        base: the output, or its logits if it remembers any, with the tape that the recording has left.
        leaves: the variables from which it was computed.
    """

    def __init__(self, model, x):
        stage, self.title = {"x": aligned(x.shape, x.dtype)}, f"one call of {model.name} in training, {len(x)} rows"
        tensor, result = constant_tensor(stage["x"]), []

        def run():
            result[:] = [model._taped(tensor)]

        super().__init__(run, {}, current(model), result, stage)
        with contextlib.suppress(RecordingError):  # such a model is computed eagerly
            self.record({**dict(shared_memory(model)), **stage}, self.title)
        if self.program is not None and not self._is_one_operation():
            self.program = None

    def _is_one_operation(self):
        """Whether one operation of variables can stand for what was recorded: all goes through `base`."""
        (y,) = self.result
        self.base = y if y._logits is None else y._logits[0]
        parents = [parent for node in nodes_since([self.base], math.inf) for parent in node.parents]
        self.leaves = list(dict.fromkeys(parent for parent in parents if isinstance(parent, Tensor)))
        is_next = y is self.base or y._node is None or y._node.parents == [self.base._node]
        return is_next and not (MASKS and mask_of(y) is not None)

    def output(self, vjp):
        """The output with the values of the last replay, on the tape."""
        (y,), base = self.result, self.base
        found = traced("replayed", base._data.copy(), self.leaves, vjp, None)
        if y is base:
            return found
        last, data = y._node, y._data.copy()
        y = emit(data) if found._node is None else traced(last.name, data, [found._node], last.vjp, last.views)
        return remember(y, found, self.result[0]._logits[1])

    @functools.cached_property
    def back(self):
        """The way back, recorded when a gradient is first asked for."""
        back = _Back(self)
        self.nbytes += back.program.nbytes
        return back


class _Back(Asked):
    """The recorded way back from the output of a TapedStep to its leaves.

    Attributes:
        first: where the gradient of the output belongs.
        gradients: those of the variables, each from its last use; `row` consists of them, if it is not None.
        more: (leaves, their gradients) of the uses before. They are not added, since others may come between.
    """

    def __init__(self, step):
        super().__init__([step.base], step.leaves, math.inf)
        self.variables = step.leaves
        self.first, self.more = aligned((1, step.base.size), step.base.dtype), ([], [])
        first = self.first.reshape(step.base.shape)
        title = f"the way back of {step.title}"
        self.program = Program(lambda: self.run([step.base], [first]), title=title, is_sure=True)
        self.gradients = [self.found[leaf] for leaf in step.leaves]
        row = common_row(self.gradients, self.variables)
        self.row = row if row is not None and row.count == len(self.variables) else None
        self.places = [*map(_place, self.variables)]

    def room(self, leaf):
        if leaf not in self.found:
            return super().room(leaf)
        buffer = empty_like(leaf._data)
        self.more[0].append(leaf)
        self.more[1].append(emit(buffer))
        return buffer, None

    def replay(self, gradient, others):
        """Hand the gradients of the leaves, for one of the output, on to other Gradients."""
        launch(K.copy, flat(gradient), self.first)
        if is_interrupted():  # by a recording of the pass itself
            for kernel, operands, _ in self.program.instructions:
                launch(kernel, *operands)
        else:
            self.program.replay()
        have_stayed = all(map(operator.is_, self.places, map(_place, self.variables)))
        others.hand_row(self.variables, self.gradients, self.row if have_stayed else None)
        others.hand_row(*self.more, None)


class _Lent:
    """A step that a tape holds: its arrays keep their values until the tape is gone. Then it goes back to the pool."""

    def __init__(self, pool, step, shape):
        self.pool, self.step, self.shape = pool, step, shape
        step.snapshot.lent[shape] = step.snapshot.lent.get(shape, 0) + 1

    def __del__(self):
        self.step.snapshot.lent[self.shape] -= 1
        self.pool.give_back(self.step)

    def __call__(self, gradient, gradients):
        """The `vjp` of the node."""
        self.step.back.replay(gradient, gradients)
