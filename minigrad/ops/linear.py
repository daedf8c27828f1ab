"""Matrix products."""

import math
import string

import numpy as np

from minigrad import kernels as K
from minigrad.ops.elementwise import _promote, multiply
from minigrad.ops.reducing import broadcast_to, sum
from minigrad.ops.shaping import diagonal, expand_dims, moveaxis, reshape, squeeze, transpose
from minigrad.program import empty_like, launch
from minigrad.tensor import as_tensor, constant, op, view


@op("(...,k), (k,n) -> (...,n)")
def _matmul(y, a, b):
    """y = a b;   da = dy b^T,   db = a^T dy."""
    launch(K.matmul, a, b, y)

    def vjp(gy, ga, gb):
        if ga is not None:
            launch(K.matmul_nt, gy, b, ga)
        if gb is not None:
            launch(K.matmul_tn, a, gy, gb)

    return vjp


def matmul(x1, x2):
    """Matrix product over the last axis of x1 and the first of the last two of x2;   da = dy b^T,   db = a^T dy."""
    a, b = _promote(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul multiplies tensors that have axes; got {a.shape} and {b.shape}.")
    if b.ndim == 2:
        return _matmul(a, b)
    if b.ndim == 1:
        return squeeze(_matmul(a, expand_dims(b, 1)), -1)
    if a.ndim == 1:
        return squeeze(matmul(expand_dims(a, 0), b), -2)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), (rows, n) = a.shape[-2:], b.shape[-2:]
    if k != rows:
        raise ValueError(f"matmul expects (..., m, k) and (..., k, n); got {a.shape} and {b.shape}.")
    a, b = broadcast_to(a, (*lead, m, k)), broadcast_to(b, (*lead, k, n))
    a, b = view(a, (math.prod(lead), m * k)), view(b, (math.prod(lead), k * n))
    places = {"of_a": (0, k, False), "of_b": (0, n, False), "of_y": (0, n, False)}
    return view(_matmul_stacks(a, b, p=m * n, size=(m, n, k, 1), **places), (*lead, m, n))


@op("(s,q), (s,r) -> (s,p)")
def _matmul_stacks(y, a, b, p, size, of_a, of_b, of_y):
    """Y = A B for each matrix in each row;   dA = dY B^T,   dB = A^T dY, which lie like A and B.

    `size` is (m, n, k, matrices in a row); of_a, of_b and of_y say where the matrices are: see K.matmul_stacks.
    """
    m, n, k, heads = size

    def multiply(a, b, y, size, *places):
        launch(K.matmul_stacks, a, b, constant(np.int64, *size, heads, *places[0], *places[1], *places[2]), y)

    def turned(place):
        return (*place[:2], not place[2])

    multiply(a, b, y, (m, n, k), of_a, of_b, of_y)

    def vjp(gy, ga, gb):
        if ga is not None and of_a[2]:
            multiply(b, gy, ga, (k, m, n), of_b, turned(of_y), of_a)
        elif ga is not None:
            multiply(gy, b, ga, (m, k, n), of_y, turned(of_b), of_a)
        if gb is not None and of_b[2]:
            multiply(gy, a, gb, (n, k, m), turned(of_y), of_a, of_b)
        elif gb is not None:
            multiply(a, gy, gb, (k, n, m), turned(of_a), of_y, of_b)

    return vjp


@op("(...,n), (n) -> (...,n)")
def bias_add(y, x, b):
    """y = x + b;   dx = dy,   db = sum over the rows of dy."""
    launch(K.add_row, x, b, y)

    def vjp(gy, gx, gb):
        if gx is not None:
            launch(K.copy, gy, gx)
        if gb is not None:
            launch(K.sum_rows, gy, gb)

    return vjp


@op("(...,k), (k,n), (n) -> (...,n)")
def dense(y, x, kernel, bias):
    """y = x kernel + bias;   dx = dy kernel^T,   dkernel = x^T dy,   dbias = sum over the rows of dy."""
    launch(K.affine, x, kernel, bias, y)

    def vjp(gy, gx, gkernel, gbias):
        if gbias is not None:
            launch(K.sum_rows, gy, gbias)
        if gkernel is not None:
            launch(K.matmul_tn, x, gy, gkernel)
        if gx is not None:
            launch(K.matmul_nt, gy, kernel, gx)

    return vjp


@op("(...,k), (k,n), (n) -> (...,n)")
def dense_relu(y, x, kernel, bias):
    """y = max(x kernel + bias, 0), which passes over memory twice instead of four times, forward and back.

    With g = dy where y > 0, else 0:   dx = g kernel^T,   dkernel = x^T g,   dbias = sum over the rows of g.
    """
    launch(K.affine_relu, x, kernel, bias, y)

    def vjp(gy, gx, gkernel, gbias):
        g = empty_like(y)
        launch(K.affine_relu_vjp, gy, y, g, empty_like(bias) if gbias is None else gbias)
        if gkernel is not None:
            launch(K.matmul_tn, x, g, gkernel)
        if gx is not None:
            launch(K.matmul_nt, g, kernel, gx)

    return vjp


def dot(x1, x2):
    """Products summed over the last axis of x1 and the last but one (or only) axis of x2; a number multiplies all."""
    x1, x2 = _promote(x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return multiply(x1, x2)
    return tensordot(x1, x2, ([x1.ndim - 1], [max(x2.ndim - 2, 0)]))


def inner(x1, x2):
    """Products summed over the last axes of both; a number multiplies all."""
    x1, x2 = _promote(x1, x2)
    return multiply(x1, x2) if 0 in (x1.ndim, x2.ndim) else tensordot(x1, x2, ([x1.ndim - 1], [x2.ndim - 1]))


def vdot(x1, x2):
    """The sum of the products of all elements."""
    return inner(reshape(x1, (-1,)), reshape(x2, (-1,)))


def outer(x1, x2):
    """y_ij = x1_i x2_j of all elements of both."""
    return multiply(reshape(x1, (-1, 1)), reshape(x2, (1, -1)))


def trace(x, offset=0, axis1=0, axis2=1):
    """The sum of a diagonal."""
    return sum(diagonal(x, offset, axis1, axis2), -1)


def tensordot(x1, x2, axes=2):
    """Products summed over pairs of axes: the last `axes` of x1 and the first of x2, or (those of x1, those of x2)."""
    a, b = _promote(x1, x2)
    left, right = (range(a.ndim - axes, a.ndim), range(axes)) if isinstance(axes, int) else axes
    left, right = ([n] if isinstance(n, int) else list(n) for n in (left, right))
    left, right = [n % a.ndim for n in left], [n % b.ndim for n in right]
    summed = [a.shape[n] for n in left]
    if summed != [b.shape[n] for n in right]:
        raise ValueError(f"tensordot can't sum over the axes {left} of {a.shape} and {right} of {b.shape} in pairs.")
    a, b = moveaxis(a, left, range(-len(left), 0)), moveaxis(b, right, range(len(right)))
    shape, n = a.shape[: a.ndim - len(left)] + b.shape[len(right) :], int(np.prod(summed))
    rows = a.size // n if n else int(np.prod(a.shape[: a.ndim - len(left)]))
    return view(_matmul(view(a, (rows, n)), view(b, (n, int(np.prod(b.shape[len(right) :]))))), shape)


def einsum(subscripts, *operands):
    """Products summed over the letters that the result does not have: "ij,jk->ik" is a matrix product.

    Two operands with a common letter that the result lacks are multiplied as matrices, or as stacks of them; else all
    products are kept in memory before they are summed. "..." stands for any axes, which are broadcast. No operand has a
    letter twice.

    Raises:
        ValueError: subscripts that are not of this form, or that do not fit the operands.
    """
    terms, arrow, result = subscripts.replace(" ", "").partition("->")
    terms, operands = terms.split(","), [as_tensor(x) for x in operands]
    dots = ""
    if "..." in subscripts and len(terms) == len(operands):
        spare = [c for c in string.ascii_letters if c not in subscripts]
        ranks = [x.ndim - len(term.replace("...", "")) for term, x in zip(terms, operands)]
        dots = "".join(spare[: max([0, *(n for n, term in zip(ranks, terms) if "..." in term)])])
        terms = [term.replace("...", dots[max(len(dots) - n, 0) :]) for term, n in zip(terms, ranks)]
        result = result.replace("...", dots)
    letters = "".join(dict.fromkeys("".join(terms)))
    if not arrow:
        result = dots + "".join(sorted(c for c in letters if "".join(terms).count(c) == 1 and c not in dots))
    is_sound = all(len(set(term)) == len(term) and all(map(str.isalpha, term)) for term in [*terms, result])
    lengths = {}
    for term, x in zip(terms, operands):
        lengths.update({c: n for c, n in zip(term, x.shape) if c not in dots or n != 1 or c not in lengths})
    fits = [
        x.ndim == len(term) and all(n == lengths[c] or (n == 1 and c in dots) for c, n in zip(term, x.shape))
        for term, x in zip(terms, operands)
    ]
    is_sound = is_sound and set(dots) <= set(result) <= set(letters)
    if not is_sound or len(terms) != len(operands) or not all(fits):
        raise ValueError(f"einsum can't apply {subscripts!r} to operands of shape {[x.shape for x in operands]}.")
    common = [c for c in terms[0] if len(terms) == 2 and c in terms[1]]
    if common and not set(common) & set(result):
        y = tensordot(*operands, axes=[[term.index(c) for c in common] for term in terms])
        present = "".join(c for term in terms for c in term if c not in common)
    elif set(common) - set(result) and all(x.shape == tuple(lengths[c] for c in t) for t, x in zip(terms, operands)):
        y, present = _of_stacks(terms, result, _promote(*operands), lengths)
    else:
        y, present = None, letters
        for term, x in zip(terms, operands):
            shape = dict(zip(term, x.shape))
            x = transpose(x, sorted(range(x.ndim), key=lambda n: letters.index(term[n])))
            x = reshape(x, [shape.get(c, 1) for c in letters])
            y = x if y is None else multiply(y, x)
        y = broadcast_to(y, [lengths[c] for c in letters])
    gone = [n for n, c in enumerate(present) if c not in result]
    y = sum(y, gone) if gone else y
    kept = [c for c in present if c in result]
    return transpose(y, [kept.index(c) for c in result])


def _of_stacks(terms, result, operands, lengths):
    """The products of stacks of matrices, and the letters of their axes. What lies in a usable order is not moved."""
    stacked = [c for c in result if c in terms[0] and c in terms[1]]
    summed = [c for c in terms[0] if c in terms[1] and c not in result]
    rows, columns = ([c for c in term if c not in {*stacked, *summed}] for term in terms)
    outer = []  # of the stacked axes: those that come first everywhere
    for letters in zip(*terms, result):
        if len(set(letters)) > 1:
            break
        outer.append(letters[0])
    heads = stacked[len(outer) :]

    def size(letters):
        return math.prod(lengths[c] for c in letters)

    def place(letters, rows, columns):
        """Numbers from matrix to matrix and from row to row, and whether they are turned; None in another order."""
        letters = list(letters[len(outer) :])
        for first, last, is_turned in ((rows, columns, False), (columns, rows, True)):
            if letters == [*heads, *first, *last]:
                return size(first) * size(last), size(last), is_turned
            if letters == [*first, *heads, *last]:
                return size(last), size(heads) * size(last), is_turned
        return None

    views, places = [], {}
    for name, x, letters, axes in zip(("of_a", "of_b"), operands, terms, ((rows, summed), (summed, columns))):
        if place(letters, *axes) is None:
            order = [*outer, *heads, *axes[0], *axes[1]]
            x, letters = transpose(x, [letters.index(c) for c in order]), order
        views.append(view(x, (size(outer), size([*heads, *axes[0], *axes[1]]))))
        places[name] = place(letters, *axes)
    places["of_y"], order = place(result, rows, columns), list(result)
    if places["of_y"] is None or places["of_y"][2]:
        order = [*outer, *heads, *rows, *columns]
        places["of_y"] = place(order, rows, columns)
    numbers = size(rows), size(columns), size(summed), size(heads)
    y = _matmul_stacks(*views, p=size([*heads, *rows, *columns]), size=numbers, **places)
    return view(y, [lengths[c] for c in order]), order
