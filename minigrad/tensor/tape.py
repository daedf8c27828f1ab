"""GradientTape: gradients of what was computed inside a `with` block, with respect to any tensors, as in TensorFlow."""

import numpy as np

from minigrad.program import empty_like
from minigrad.tensor.tensor import Gradients, Node, Tensor, as_array, copied, emit, enable_grad, no_grad, ones, tapes
from minigrad.trees import filled, leaves


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
        wanted = flat if self._watches_all else [s for s in flat if any(s is w for w in self._watched)]
        asked = Asked(targets, wanted, self._began)
        asked.run(targets, given)
        return filled(sources, asked.results(flat, unconnected_gradients, (*targets, *wanted)))


class Asked(Gradients):
    """The gradients of some sources, leaves or not, in memory of their own; of other nodes only those needed for them.

    Args:
        since: the rank at which the tape began; older nodes are constants.
    """

    def __init__(self, targets, sources, since):
        super().__init__(None)
        self.found, self.rows = {}, {}  # source -> its gradient; an optimizer's Row -> the one like it
        self.kept = {s._node or s for s in sources}
        self.needed, self.through = set(self.kept), set()
        for node in nodes_since(targets, since):
            if not self.needed.isdisjoint(node.parents):
                self.needed.add(node)
                self.through.add(node)

    def run(self, targets, gradients):
        """Pass the gradients of the targets (None: ones) back to the sources."""
        for target, gradient in zip(targets, gradients, strict=True):
            start = target._node or target
            if start in self.needed:
                own = ones(target.shape, target.dtype) if gradient is None else as_array(gradient, target.dtype)
                if own.shape != target.shape:
                    raise ValueError(f"gradient: an output gradient of {own.shape} for a target of {target.shape}.")
                if len(targets) > 1:  # gradients of other targets may be added to it
                    own = copied(emit(own))._data
                self.hand(start, own)
        self.pass_on()

    def keep(self, node, gradient):
        """Keep the gradient of a node that is a source. Returns whether it is passed on to the parents, too."""
        self.found[node] = copied(emit(gradient))
        return node in self.through

    def room(self, leaf):
        """Memory for a gradient of a leaf, and the total to add it to, or None; see `Gradients`.

        Variables of an optimizer share a row, laid out as its own.
        """
        found = self.found.get(leaf)
        if found is not None:
            self.parts = found._parts = [*found._parts, None]
            return empty_like(found._data), found._data
        if leaf._place is None:
            found = emit(empty_like(leaf._data))
        else:
            home = leaf._place.home
            row = self.rows.get(home) or self.rows.setdefault(home, home.new())
            found = row.gradients([leaf])[leaf]
        self.found[leaf] = found
        self.parts = found._parts = [None]
        return found._data, None

    def hand_row(self, leaves, gradients, row):
        """Give leaves their finished gradients, tensors, of which `row` consists if it is not None."""
        if row is None or row.home in self.rows:
            for leaf, gradient in zip(leaves, gradients):
                if leaf in self.kept:
                    self.hand(leaf, gradient._data)
            return
        row = self.rows[row.home] = row.copy()
        self.found |= row.gradients(self.kept.intersection(leaves))

    def results(self, sources, unconnected, origins):
        """The gradients of sources as tensors, which can't be differentiated, also if another tape is open."""
        found = [self.found.get(source._node or source) for source in sources]
        if unconnected not in ("none", None):
            zeros = [np.zeros(source.shape, source.dtype) for source in sources]
            found = [emit(zero) if one is None else one for one, zero in zip(found, zeros)]
        return [None if one is None else _second(one, origins) for one in found] if tapes.open else found


def nodes_since(targets, since):
    """The nodes from which the targets were computed and that are newer than the rank `since`, the oldest first."""
    found, stack = set(), [target._node for target in targets if target._node is not None]
    while stack:
        node = stack.pop()
        if node.rank < since and node not in found:
            found.add(node)
            stack += [parent for parent in node.parents if type(parent) is Node]
    return sorted(found, reverse=True)


def _second(gradient, origins):
    """A gradient inside of another tape: a function of these tensors, with a derivative that is refused."""
    tensor = emit(gradient._data, _no_second, origins, name="gradient")
    tensor._parts = gradient._parts
    return tensor


def _no_second(gradient, *buffers):
    raise NotImplementedError(
        "A gradient of a gradient can't be computed: each operation knows its first derivative only. Use the inner "
        "gradient as a constant, ops.stop_gradient(gradient), or write the penalty with a formula of its own."
    )
