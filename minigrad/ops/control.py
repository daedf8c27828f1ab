"""Loops, branches, and functions with a gradient of their own.

They are plain Python: a loop of fixed length is unrolled, also in a recorded step. If a condition is a tensor, its
value is read. A recorded step can't do that, so a step with such a condition runs eagerly.
"""

import builtins
import functools

import numpy as np

from minigrad.ops.shaping import concatenate, convert_to_tensor, flip, get_item, stack
from minigrad.tensor import Tensor, as_tensor, emit, launch_copy, no_grad
from minigrad.trees import filled, leaves, mapped


def cond(pred, true_fn, false_fn):
    """true_fn() if `pred` else false_fn(). If `pred` is a tensor, its value is read: the step runs eagerly."""
    return true_fn() if bool(pred) else false_fn()


def switch(index, branches, *operands):
    """branches[index](*operands); an index out of range stands for the first or the last branch."""
    return branches[builtins.min(builtins.max(int(index), 0), len(branches) - 1)](*operands)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """loop_vars = body(*loop_vars) while cond(*loop_vars); returns the last loop_vars, a tuple or a single value.

    Python numbers stay Python numbers, so that a counting loop is unrolled in a recorded step. Layers are also called
    with zeros, to find the shape of their output: if zeros would loop for ever, give `maximum_iterations`.
    """
    is_several = isinstance(loop_vars, (tuple, list))
    values, count = tuple(loop_vars) if is_several else (loop_vars,), 0
    while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*values)):
        found = body(*values)
        values, count = tuple(found) if is_several else (found,), count + 1
    values = mapped(convert_to_tensor, values)
    return values if is_several else values[0]


def fori_loop(lower, upper, body_fun, init_val):
    """val = body_fun(i, val) for i in range(lower, upper), beginning with init_val; returns the last val."""
    for i in range(int(lower), int(upper)):
        init_val = body_fun(i, init_val)
    return mapped(convert_to_tensor, init_val)


def _each(xs, length=None):
    """A list of the trees of xs[0], xs[1], ... for a tree of tensors xs; without xs a list of `length` Nones."""
    if xs is None:
        return [None] * int(length)
    xs = mapped(as_tensor, xs)
    lengths = {x.shape[0] if x.ndim else None for x in leaves(xs)} | ({int(length)} if length is not None else set())
    if len(lengths) != 1 or None in lengths:
        found = sorted(builtins.map(str, lengths))
        raise ValueError(f"The first axes of what is gone through must have one length; got {', '.join(found)}.")
    return [mapped(lambda x, i=i: get_item(x, i), xs) for i in range(lengths.pop())]


def _stacked(ys):
    """One tree whose leaves are the stacked leaves of a list of equal trees."""
    if not ys:
        raise ValueError("There must be at least one element to go through: nothing tells what the results look like.")
    columns = zip(*builtins.map(leaves, ys), strict=True)
    return filled(ys[0], [None if one[0] is None else stack([as_tensor(y) for y in one]) for one in columns])


def map(f, xs):
    """f of each element along the first axis of xs, a tensor or a tree of tensors; the results are stacked."""
    return _stacked([f(x) for x in _each(xs)])


def vectorized_map(function, elements):
    """The same as `map`."""
    return map(function, elements)


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """carry, y_i = f(carry, x_i) for each element x_i along the first axis of xs: the last carry, and all y, stacked.

    Args:
        init: the first carry. xs: a tensor or a tree, or None for `length` calls with None.
        reverse: begin with the last element; y_i stays in the place of x_i. unroll: no effect, all loops are unrolled.
    """
    if not callable(f):
        raise TypeError(f"scan: f must be a function, got {f!r}.")
    if not isinstance(unroll, int) or (unroll is not False and unroll < 1):
        raise ValueError(f"scan: unroll must be a positive int or a bool, got {unroll!r}.")
    if xs is None and length is None:
        raise ValueError("scan needs xs to go through, or a length.")
    carry, ys = init, []
    for x in (reversed if reverse else list)(_each(xs, length)):
        carry, y = f(carry, x)
        ys.append(y)
    return carry, _stacked(ys[::-1] if reverse else ys)


def associative_scan(f, elems, reverse=False, axis=0):
    """y_i = f(... f(f(x_0, x_1), x_2) ..., x_i) along `axis`, for an associative f.

    f is called about 2 log2 n times, with pairs of tensors (or trees) of many elements along `axis`.
    """
    if not callable(f):
        raise TypeError(f"associative_scan: f must be a function, got {f!r}.")
    elems = mapped(as_tensor, elems)
    if len({x.shape[axis] for x in leaves(elems)}) != 1:
        raise ValueError(f"associative_scan expects one length of axis {axis}; got {[x.shape for x in leaves(elems)]}.")
    turned = lambda xs: mapped(lambda x: flip(x, axis), xs) if reverse else xs
    return turned(_running(f, turned(elems), axis))


def _running(f, xs, axis):
    """`associative_scan`: combine neighbors, scan these pairs, and combine the results with the elements between."""

    def part(tree, *bounds):
        return mapped(lambda x: get_item(x, (*[slice(None)] * (axis % x.ndim), slice(*bounds))), tree)

    def joined(*trees):
        columns = zip(*builtins.map(leaves, trees), strict=True)
        return filled(trees[0], [concatenate(one, axis) for one in columns])

    n = leaves(xs)[0].shape[axis]
    if n < 2:
        return xs
    odd = _running(f, f(part(xs, 0, n - 1, 2), part(xs, 1, n, 2)), axis)
    between = f(part(odd, 0, (n - 1) // 2), part(xs, 2, n, 2)) if n > 2 else part(xs, 0, 0)
    even, places = joined(part(xs, 0, 1), between), np.empty(n, np.int64)
    places[::2], places[1::2] = np.arange((n + 1) // 2), (n + 1) // 2 + np.arange(n // 2)
    return mapped(lambda x: get_item(x, (*[slice(None)] * (axis % x.ndim), places)), joined(even, odd))


def custom_gradient(f):
    """Decorator of a function that returns (y, grad): grad(gy) computes the gradients of its arguments from that of y.

    Raises:
        ValueError: y is no tensor, or depends on a variable that is no argument and would get no gradient; or, when
            it is differentiated, gradients of another number or of other shapes than the arguments.

    >>> @custom_gradient
    ... def clipped(x):
    ...     return x * 1.0, lambda gy: ops.clip(gy, -1.0, 1.0)
    """

    @functools.wraps(f)
    def apply(*args, **kwargs):
        y, grad = f(*[x.detach() if isinstance(x, Tensor) and x.requires_grad else x for x in args], **kwargs)
        if not isinstance(y, Tensor):
            raise ValueError(f"custom_gradient: {f.__name__} must return one tensor and a function, got {y!r}.")
        if y.requires_grad:
            raise ValueError(
                f"custom_gradient: what {f.__name__} returns depends on a variable that is none of its arguments, and "
                "would get no gradient: make it an argument."
            )

        def vjp(gy, *buffers):
            with no_grad():
                found = grad(emit(gy))
            found = found if isinstance(found, (tuple, list)) else (found,)
            if len(found) != len(buffers):
                raise ValueError(
                    f"custom_gradient: the gradient function of {f.__name__} must return one gradient for each of "
                    f"the {len(buffers)} arguments; it returned {len(found)}."
                )
            for i, (gradient, buffer) in enumerate(zip(found, buffers)):
                if buffer is None:
                    continue
                gradient = as_tensor(np.zeros(buffer.shape, buffer.dtype) if gradient is None else gradient)
                if gradient.shape != buffer.shape:
                    raise ValueError(
                        f"custom_gradient: {f.__name__} got argument {i} of shape {buffer.shape}, and its gradient "
                        f"function returned {gradient.shape} for it."
                    )
                launch_copy(gradient._data, buffer)

        operands = [x if isinstance(x, Tensor) else as_tensor(0.0) for x in args]
        return emit(y._data, vjp, operands, name=f.__name__)

    return apply
