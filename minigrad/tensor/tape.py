"""GradientTape: gradients of what was computed inside a `with` block, with respect to any tensors, as in TensorFlow."""

import numpy as np

from minigrad.program import empty_like
from minigrad.tensor.tensor import (
    Gradients,
    Node,
    Tensor,
    as_array,
    as_tensor,
    emit,
    enable_grad,
    launch_copy,
    no_grad,
    tapes,
)
from minigrad.trees import leaves, mapped


class GradientTape(enable_grad):
    """Operations inside the `with` block are recorded; `gradient` returns derivatives of their results.

    >>> with GradientTape() as tape:
    ...     loss = ops.mean(ops.square(model(x, training=True) - y))
    >>> gradients = tape.gradient(loss, model.trainable_variables)
    >>> optimizer.apply(gradients, model.trainable_variables)

    Tensors computed before the block are constants in it. Second derivatives can't be computed.

    Args:
        persistent: accepted; any tape may be asked more than once.
        watch_accessed_variables: if False, only tensors given to `watch` have a gradient.
    """

    def __init__(self, persistent=False, watch_accessed_variables=True):
        self._watches_all = watch_accessed_variables
        self._began, self._watched, self._borrowed = None, [], []

    def __enter__(self):
        super().__enter__()
        tapes.open += 1
        self.reset()
        return self

    def __exit__(self, *exception):
        tapes.open -= 1
        for tensor in self._borrowed:
            tensor.requires_grad = False
        self._borrowed = []
        super().__exit__(*exception)

    def watch(self, tensor):
        """Let `gradient` differentiate with respect to a tensor that is no trainable variable, or to each of a list."""
        for one in leaves(tensor):
            if not isinstance(one, Tensor):
                raise ValueError(f"watch: expected tensors, got {one!r} ({type(one).__name__}): ops.convert_to_tensor.")
            self._watched.append(one)
            if not one.requires_grad and one.dtype.kind == "f":
                one.requires_grad = True
                self._borrowed.append(one)

    def watched_variables(self):
        """The tensors that `watch` was called with."""
        return tuple(self._watched)

    def stop_recording(self):
        """Inside `with tape.stop_recording():` operations are not recorded."""
        return no_grad()

    def reset(self):
        """Forget what was recorded so far."""
        self._began = tapes.now()

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients="none"):
        """d(target)/d(source) for each source, in a tree like that of the sources.

        Args:
            target: a tensor, or a list or dict of tensors. The derivatives of all their elements are summed.
            sources: a variable, a tensor that was watched or computed inside the block, or a list or dict of these.
            output_gradients: factors of the derivatives of the targets, by default ones.
            unconnected_gradients: the gradient of a source on which no target depends: "none" for None, or "zero".

        Raises:
            RuntimeError: the tape has recorded nothing.
            ValueError: a target or a source that is no tensor.
        """
        if self._began is None:
            raise RuntimeError("gradient: nothing was recorded. Compute inside `with GradientTape() as tape:`.")
        targets, flat = leaves(target), leaves(sources)
        for what, tensors in (("target", targets), ("sources", flat)):
            for one in tensors:
                if not isinstance(one, Tensor):
                    raise ValueError(f"gradient: {what} must hold tensors, got {one!r} ({type(one).__name__}).")
        if output_gradients is None:
            given = [None] * len(targets)
        else:  # a target that is a tensor may have a list of numbers
            given = leaves(output_gradients) if isinstance(target, (list, tuple, dict)) else [output_gradients]
        if len(given) != len(targets):
            raise ValueError(f"gradient: got {len(given)} output_gradients for {len(targets)} targets.")
        wanted = [s for s in flat if self._watches_all or any(s is w for w in self._watched)]
        asked = Asked(targets, wanted, self._began)
        asked.run(targets, given)
        found = iter([asked.result(s, unconnected_gradients, (*targets, *wanted)) for s in flat])
        return mapped(lambda _: next(found), sources)


class Asked(Gradients):
    """The gradients of some sources, leaves or not, in memory of their own; of other nodes only those needed for them.

    Args:
        since: the rank at which the tape began; older nodes are constants.
    """

    def __init__(self, targets, sources, since):
        super().__init__(None)
        self.found, self.rows = {}, {}
        self.sources = {id(s._node or s) for s in sources}
        self.needed, self.through = set(self.sources), set()
        for node in _recorded(targets, since):
            if any(parent is not None and id(parent) in self.needed for parent in node.parents):
                self.needed.add(id(node))
                self.through.add(id(node))

    def run(self, targets, gradients):
        """Pass the gradients of the targets (None: ones) back to the sources."""
        for target, gradient in zip(targets, gradients, strict=True):
            start = target._node or target
            if id(start) in self.needed:
                own = np.ones(target.shape, target.dtype) if gradient is None else as_array(gradient, target.dtype)
                if own.shape != target.shape:
                    raise ValueError(f"gradient: an output gradient of {own.shape} for a target of {target.shape}.")
                if len(targets) > 1:  # gradients of other targets may be added to it
                    own, given = empty_like(own), own
                    launch_copy(given, own)
                self.hand(start, own)
        self.pass_on()

    def passes(self, node, gradient):
        """Whether the gradient of a node is passed on to its parents. It is kept if the node is a source."""
        if id(node) in self.sources:
            self.found[id(node)] = kept = empty_like(gradient)
            launch_copy(gradient, kept)
        return id(node) in self.through

    def room(self, leaf):
        """Memory for a gradient of a leaf, and the total to add it to, or None; see `Gradients`."""
        total = self.found.get(id(leaf))
        if total is not None:
            return empty_like(total), total
        self.found[id(leaf)] = buffer = self._memory(leaf)
        return buffer, None

    def _memory(self, leaf):
        """Memory for the gradient of a leaf. Variables of an optimizer share a row, laid out as its own."""
        if leaf._place is None:
            return empty_like(leaf._data)
        home, first, last = leaf._place
        row = self.rows.get(id(home))
        if row is None:
            self.rows[id(home)] = row = empty_like(home)
            row[...] = 0.0  # for the gaps between the variables; no launch, since nothing is ever written there
        return row[0, first:last].reshape(leaf.shape)

    def result(self, source, unconnected, origins):
        """The gradient of a source as a tensor, which can't be differentiated, also if another tape is open."""
        data = self.found.get(id(source._node or source))
        if data is None:
            return None if unconnected in ("none", None) else as_tensor(np.zeros(source.shape, source.dtype))
        if tapes.open:
            return emit(data, _no_second, origins, None)
        return Gradient(data, source, self.rows) if source._place is not None else as_tensor(data)


class Gradient(Tensor):
    """A gradient that is a part of a row. The row is laid out as the optimizer's own, which need not copy it."""

    __slots__ = ("home", "row", "variable")

    def __init__(self, data, variable, rows):
        super().__init__(data)
        self.variable, self.home = variable, variable._place[0]
        self.row = rows[id(self.home)]


def common_row(gradients, variables, home):
    """The row whose parts are these gradients, each at the place of its variable; None if there is no such row.

    A gradient may be None. `home` is the optimizer's row of gradients.
    """
    row = None
    for gradient, variable in zip(gradients, variables):
        if gradient is None:
            continue
        if type(gradient) is not Gradient or gradient.variable is not variable or gradient.home is not home:
            return None
        if row is not None and gradient.row is not row:
            return None
        row = gradient.row
    return row


def _recorded(targets, since):
    """The nodes from which the targets were computed and that are newer than the rank `since`, the oldest first."""
    found, stack = {}, [target._node for target in targets]
    while stack:
        node = stack.pop()
        if type(node) is Node and id(node) not in found and node.rank < since:
            found[id(node)] = node
            stack += node.parents
    return sorted(found.values(), key=lambda node: -node.rank)


def _no_second(gradient, *buffers):
    raise NotImplementedError(
        "A gradient of a gradient can't be computed: each operation knows its first derivative only. Use the inner "
        "gradient as a constant, ops.stop_gradient(gradient), or write the penalty with a formula of its own."
    )
