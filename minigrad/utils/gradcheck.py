"""A numerical check of gradients."""

import numpy as np

from minigrad.tensor import Tensor


def gradcheck(f, *tensors, eps=1e-6, rtol=1e-5, atol=1e-8, directions=3, seed=0):
    """Compare the gradient of `f(*tensors)` with central differences; True, or an AssertionError that shows both.

    With J the Jacobian, u a random gradient flowing in and v a random direction, u^T J v is computed once by
    `backward` and once as u^T (f(x + eps v) - f(x - eps v)) / (2 eps): two evaluations, whatever the size.

    Args:
        f: a function of tensors that returns a tensor of any shape.
        tensors: float64 tensors; those with requires_grad are checked.
        eps: the step of the differences. rtol, atol: how far the two results may differ.
        directions: how many random u and v are tried.

    Raises:
        ValueError: no tensor requires a gradient, or one that does is not float64 (float32 is too coarse).

    >>> gradcheck(lambda a: (a * a).sum(), Tensor(np.arange(3.0), requires_grad=True))
    True
    """
    checked = [i for i, t in enumerate(tensors) if t.requires_grad]
    if not checked:
        raise ValueError("gradcheck needs at least one tensor with requires_grad=True.")
    for i, t in enumerate(tensors):
        if t.requires_grad and t.dtype != np.float64:
            raise ValueError(f"gradcheck needs float64 tensors; number {i} is {t.dtype}.")
    generator = np.random.default_rng(seed)
    values = [t.numpy().copy() for t in tensors]

    def evaluate(shift):
        moved = [Tensor(v + shift[i], requires_grad=True) if i in shift else Tensor(v) for i, v in enumerate(values)]
        return f(*moved), moved

    for _ in range(directions):
        v = {i: generator.standard_normal(values[i].shape) for i in checked}
        y, leaves = evaluate(dict.fromkeys(checked, 0.0))
        u = generator.standard_normal(y.shape)
        if y.requires_grad:
            y.backward(u)
        by_tape = sum(np.vdot(leaves[i].grad, v[i]) for i in checked if leaves[i].grad is not None)
        above, below = (evaluate({i: sign * eps * v[i] for i in checked})[0].numpy() for sign in (1, -1))
        by_difference = np.vdot(u, above - below) / (2 * eps)
        if not np.isclose(by_tape, by_difference, rtol=rtol, atol=max(atol, rtol * np.abs(u).sum() * 1e-3)):
            raise AssertionError(
                f"gradcheck: in a random direction the tape says {by_tape:.10g}, differences say {by_difference:.10g}."
            )
    return True
