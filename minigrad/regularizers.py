"""Penalties on the size of weights, added to the loss: `regularizer(weights)` returns a scalar tensor."""

from minigrad import ops
from minigrad.configurable import Configurable, Number
from minigrad.registry import Registry

registry = Registry("regularizer", "keras.regularizers")
get, serialize, deserialize = registry.get, registry.serialize, registry.deserialize


def _rate(owner, name, value):
    return float(Number(interval="[0, inf)").checked(type(owner).__name__, name, value))


class Regularizer(Configurable, is_member=False):
    """Base class: `__call__(x)` returns the penalty, a scalar tensor. The base class returns 0."""

    _registry = registry

    def __call__(self, x):
        return 0.0


class L1L2(Regularizer):
    """l1 sum |w| + l2 sum w^2."""

    def __init__(self, l1=0.0, l2=0.0):
        self.l1, self.l2 = _rate(self, "l1", l1 or 0.0), _rate(self, "l2", l2 or 0.0)

    def __call__(self, x):
        return ops.penalty(x, l1=self.l1, l2=self.l2)


class L1(L1L2):
    """l1 sum |w|."""

    def __init__(self, l1=0.01):
        super().__init__(0.01 if l1 is None else l1, 0.0)


class L2(L1L2):
    """l2 sum w^2 (no factor of one half)."""

    def __init__(self, l2=0.01):
        super().__init__(0.0, 0.01 if l2 is None else l2)


class OrthogonalRegularizer(Regularizer):
    """factor times the mean |cosine| between different rows (or columns) of a matrix."""

    def __init__(self, factor=0.01, mode="rows"):
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: mode must be 'rows' or 'columns', got {mode!r}.")
        self.factor, self.mode = _rate(self, "factor", factor), mode

    def __call__(self, x):
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer is for matrices; got shape {x.shape}.")
        x = ops.transpose(x) if self.mode == "columns" else x
        x = ops.normalize(x, axis=1, epsilon=1e-6)
        n = x.shape[0]
        cosines = ops.matmul(x, ops.transpose(x))
        off_diagonal = ops.sum(ops.absolute(cosines)) - ops.sum(ops.absolute(ops.sum(ops.square(x), axis=1)))
        return ops.multiply(off_diagonal, self.factor * 0.5 / max(n * (n - 1) / 2, 1))


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer  # Keras' other names
