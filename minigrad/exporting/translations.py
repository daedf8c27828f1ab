"""What the kernels of a prediction are in ONNX.

A translation gets the Writer and the operands of a launch. It returns the value of `y` (of the last operand that is
written, if none has this name): a name, which means that it has the shape of this operand, or a Value of another shape
with as many elements, in which the next translation may use it.
"""

import functools
import math

import numpy as np

from minigrad.exporting.writing import COUNTS, Value, fixed, is_fixed, size

_SAME = {  # kernels of one element each that are one node
    "absolute": "Abs", "add": "Add", "arctan": "Atan", "copy": "Identity", "cos": "Cos", "divide": "Div",
    "equal": "Equal", "erf": "Erf", "exp": "Exp", "floor": "Floor", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "is_nan": "IsNaN", "log": "Log", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "power": "Pow", "relu": "Relu", "round_half_even": "Round", "scale": "Mul",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "softplus": "Softplus", "softsign": "Softsign",
    "sqrt": "Sqrt", "subtract": "Sub", "tanh": "Tanh", "where": "Where",
}  # fmt: skip
_CASTS = ("cast_bool", "cast_int64", "cast_float32", "cast_float64", "is_nonzero", "truncate")
_FORMULAS = {  # and those that are several; n makes a number of the operands' dtype
    "square": lambda g, n, x: g.Mul(x, x),
    "expm1": lambda g, n, x: g.Sub(g.Exp(x), n(1)),
    "log1p": lambda g, n, x: g.Log(g.Add(x, n(1))),
    "hypot": lambda g, n, a, b: g.Sqrt(g.Add(g.Mul(a, a), g.Mul(b, b))),
    "mod": lambda g, n, a, b: g.Sub(a, g.Mul(g.Floor(g.Div(a, b)), b)),
    "not_equal": lambda g, n, a, b: g.Not(g.Equal(a, b)),
    "is_finite": lambda g, n, x: g.Equal(g.Sub(x, x), n(0)),
    "leaky_relu": lambda g, n, x, slope: g.Where(g.Greater(x, n(0)), x, g.Mul(slope, x)),
    "clip": lambda g, n, x, low, high: g.Min(g.Max(x, low), high),
}
_known = {}  # the name of a kernel -> its translation


def translation(kernel):
    """The translation of a kernel, or None. The name of a walk over time may end with its functions."""
    name, *functions = kernel.name.split("-")
    found = _known.get(name)
    return functools.partial(found, functions=functions) if functions else found


def _translates(function):
    """Decorator: the function translates the kernel of its name, without the underscore in front."""
    _known[function.__name__[1:]] = function
    return function


# ------------------------------------------------------------------------------------------------- single elements


def _each(formula, g, *operands):
    """A function of single elements, in the shape in which the first operand was computed: images stay images."""
    *ins, _ = operands
    like = next((x for x in ins if not x.is_constant), ins[0])
    shape = like.whole.shape

    def number(value):
        return g.constant(np.array(value, like.dtype))

    values = [x.value if x.shape == fixed(1, 1) != like.shape else g.reshaped(x.whole, shape) for x in ins]
    return Value(formula(g, number, *values), shape)


_known |= {name: functools.partial(_each, formula) for name, formula in _FORMULAS.items()}
_known |= {
    name: functools.partial(_each, lambda g, _, *xs, kind=kind: getattr(g, kind)(*xs)) for name, kind in _SAME.items()
}
_known |= dict.fromkeys(_CASTS, lambda g, x, y: Value(g.Cast(x.whole, to=g.kind(y.dtype)), x.whole.shape))


def _rows(x):
    """x in the shape in which it was computed, if its rows are the same there."""
    return x.whole if x.whole.shape[-1:] == x.shape[-1:] else x.value


def _like(node, value):
    return Value(node, value.shape)


@_translates
def _keep(g, condition, x, other, y):
    (c, q), (b, p) = condition.shape, x.shape
    blocks = b, tuple(whole // part for whole, part in zip(p, q)), q
    where = g.reshaped(condition.whole, (c, (1, 1), q))
    return Value(g.Where(where, g.reshaped(x.whole, blocks), other.value), blocks)


# -------------------------------------------------------------------------------------------------------- single nodes


_known |= {  # kernels that are one node, or two
    "fill": lambda g, value, y: g.expanded(value.value, y.shape),
    "fill_scaled": lambda g, value, factor, y: g.expanded(
        Value(g.Mul(value.value, factor.value), fixed(1, 1)), y.shape
    ),
    "prelu": lambda g, x, alpha, y: _like(g.PRelu(_rows(x), alpha.value), _rows(x)),
    "matmul": lambda g, a, b, y: g.MatMul(a.value, b.value),
    "matmul_nt": lambda g, a, b, y: g.Gemm(a.value, b.value, transB=1),
    "matmul_tn": lambda g, a, b, y: g.Gemm(a.value, b.value, transA=1),
    "affine": lambda g, a, w, bias, y: g.Gemm(a.value, w.value, bias.value),
    "affine_relu": lambda g, a, w, bias, y: g.Relu(g.Gemm(a.value, w.value, bias.value)),
    "add_row": lambda g, x, row, y: _like(g.Add(_rows(x), row.value), _rows(x)),
    "take_rows": lambda g, x, index, missing, y: g.Gather(x.value, g.reshaped(index.whole, [index.shape[1]]), axis=0),
    "take_columns": lambda g, x, index, y: g.GatherElements(x.value, index.value, axis=1),
    **dict.fromkeys(("repeat_row", "repeat_column"), lambda g, x, y: g.Expand(x.value, g.lengths(y.shape))),
    "argmax_columns": lambda g, x, y: g.ArgMax(x.value, axis=1, keepdims=1),
    "cumulate": lambda g, x, y: g.CumSum(x.value, g.constant(np.array(1, np.int64))),
    "softmax": lambda g, x, y: _like(g.Softmax(_rows(x), axis=-1), _rows(x)),
    "log_softmax": lambda g, x, y: _like(g.LogSoftmax(_rows(x), axis=-1), _rows(x)),
    "pack_columns": lambda g, w, packed: w.value,  # in its own shape: a Scan needs no other order
}


# --------------------------------------------------------------------------------------------------------- products


@_translates
def _matmul_stacks(g, a, b, order, y):
    m, n, k, heads, *places = order.arrays[0].ravel().tolist()

    def stacked(x, place, rows, columns):
        """The matrices of x, (s, heads, rows, columns)."""
        step, row, is_turned = place
        first, last = (columns, rows) if is_turned else (rows, columns)
        is_outer = heads == 1 or (step, row) == (first * last, last)  # else heads lie side by side in a row
        axes = (heads, first, last) if is_outer else (first, heads, last)
        x = g.reshaped(x.whole, (x.shape[0], *fixed(*axes)))
        order = (0, 1, 2, 3) if is_outer else (0, 2, 1, 3)
        return g.transposed(x, (*order[:2], order[3], order[2]) if is_turned else order)

    step, row, _ = places[6:]
    shape = (y.shape[0], *fixed(heads, m, n))
    product = Value(g.MatMul(stacked(a, places[:3], m, k), stacked(b, places[3:6], k, n)), shape)
    return g.transposed(product, (0, 1, 2, 3) if heads == 1 or row == n else (0, 2, 1, 3))


# --------------------------------------------------------------------------------------------------- moving elements


@_translates
def _take(g, x, index, y):
    if not index.is_constant:
        return g.Gather(g.reshaped(x.whole, [size(x.shape)]), index.value, axis=0)
    a, b = size(x.shape), size(y.shape)
    if is_fixed([a]) and is_fixed([b]) or np.array_equal(*index.arrays):
        return g.Gather(g.reshaped(x.whole, [a]), g.constant(index.arrays[0]), axis=0)
    inner, outer, places = _per_row(index.arrays, a, b)
    width, length = a[0] if is_fixed([a]) else a[0] // COUNTS[0], len(places)
    if is_fixed([a]):
        x = g.reshaped(x.whole, fixed(1, a[0]))
    else:
        x = g.reshaped(x.whole, (*fixed(width // inner), COUNTS, *fixed(inner)))
        x = g.reshaped(g.transposed(x, (1, 0, 2)), (COUNTS, *fixed(width)))
    y = _picked(g, x, places)
    if is_fixed([a]):
        y = g.expanded(y, (COUNTS, *y.shape[1:]))
    if outer == length:
        return y
    y = g.reshaped(y, (COUNTS, *fixed(length // outer, outer)))
    return g.transposed(y, (1, 0, 2))


def _per_row(indexes, a, b):
    """How flat indices into a elements, for b elements, are made up of the same ones for each row of the data.

    Elements lie as (a / inner, rows, inner); those that are taken lie as (b / outer, rows, outer).

    Returns:
        (inner, outer, the places of what is taken of a row)
    """
    width, length = a[0] // COUNTS[0], b[0] // COUNTS[0]
    for outer in _divisors(length):
        for inner in _divisors(width) if not is_fixed([a]) else [a[0]]:
            found = [_same_places(i, n, inner, outer, is_fixed([a])) for i, n in zip(indexes, COUNTS)]
            if found[0] is not None and found[1] is not None and np.array_equal(*found):
                return inner, outer, found[0]
    raise ValueError("it mixes the rows of a batch")


def _divisors(n):
    return [d for d in range(n, 0, -1) if n % d == 0]


def _same_places(index, count, inner, outer, is_shared):
    """The places of one row, if they are those of each row; else None."""
    index = index.reshape(-1, count, outer)
    if is_shared:
        place = index
    else:
        row, place = index // inner % count, index // (inner * count) * inner + index % inner
        if (row != np.arange(count)[:, None]).any():
            return None
    return None if (place != place[:, :1]).any() else place[:, 0].ravel()


def _picked(g, x, places):
    """The elements at these places of each row of x, (rows, width)."""
    width, grid = x.shape[1][0], _grid(places)
    if grid and len(places) == width == sum((n - 1) * step for n, step in grid) + 1 and all(s > 0 for _, s in grid):
        order = sorted(range(len(grid)), key=lambda axis: -grid[axis][1])
        if all(grid[a][1] == grid[b][0] * grid[b][1] for a, b in zip(order, order[1:])):  # only the axes are exchanged
            x = g.reshaped(x, (x.shape[0], *fixed(*(grid[axis][0] for axis in order))))
            return g.transposed(x, (0, *(1 + order.index(axis) for axis in range(len(grid)))))
    for run in _divisors(math.gcd(width, len(places))):
        first = places[::run]
        if (first % run == 0).all() and (places.reshape(-1, run) == first[:, None] + np.arange(run)).all():
            break
    x = g.reshaped(x, (x.shape[0], *fixed(width // run, run)))
    y = g.Gather(x, g.ints(*(first // run).tolist()), axis=1)
    return Value(y, (x.shape[0], *fixed(len(first), run)))


def _grid(places):
    """[(length, step) of each axis] if the places are those of a grid of any number of axes, beginning at 0."""
    axes = []
    while len(places) > 1:
        step, n = int(places[1] - places[0]), 1
        while n < len(places) and places[n] - places[0] == n * step:
            n += 1
        if len(places) % n or (places.reshape(-1, n) != places[::n, None] + step * np.arange(n)).any():
            return None
        axes.insert(0, (n, step))
        places = places[::n]
    return axes if len(places) and places[0] == 0 else None


@_translates
def _put_columns(g, x, first, y):
    parts = g.parts.setdefault(y.place, {})
    parts[first.arrays[0].item()] = x.value
    if sum(part.shape[1][0] for part in parts.values()) < y.shape[1][0]:
        return None
    del g.parts[y.place]
    return g.Concat(*(parts[first] for first in sorted(parts)), axis=1)


@_translates
def _get_columns(g, x, first, y):
    begin = tuple(int(array.item()) for array in first.arrays)
    end = tuple(b + n for b, n in zip(begin, y.shape[1]))
    return g.sliced(x.value, 1, begin, end)


@_translates
def _repeat_middle(g, x, y):
    (m, n), (r, _) = x.shape, y.shape
    each = tuple(b // a for a, b in zip(m, r))
    return g.expanded(g.reshaped(x.whole, (m, (1, 1), n)), (m, each, n))


@_translates
def _sort_columns(g, x, work, order):
    values, places = g.TopK(x.value, g.lengths(x.shape[1:]), axis=1, largest=0, sorted=1, outputs=2)
    return places


# ---------------------------------------------------------------------------------------------------------- reducing


_known |= {
    "sum_rows": lambda g, x, y: g.ReduceSum(x.value, g.ints(0), keepdims=1),
    "sum_columns": lambda g, x, y: g.ReduceSum(x.value, g.ints(1), keepdims=1),
    "max_columns": lambda g, x, y: g.ReduceMax(x.value, g.ints(1), keepdims=1),
    "product_columns": lambda g, x, y: g.ReduceProd(x.value, g.ints(1), keepdims=1),
    "mean_all": lambda g, x, share, y: g.ReduceMean(x.value, g.ints(1), keepdims=1),
}


def _middle(kind, g, x, y):
    (r, n), (m, _) = x.shape, y.shape
    each = tuple(a // b for a, b in zip(r, m))
    return getattr(g, kind)(g.reshaped(x.whole, (m, each, n)), g.ints(1), keepdims=0)


_known |= {"sum_middle": functools.partial(_middle, "ReduceSum"), "max_middle": functools.partial(_middle, "ReduceMax")}


# ------------------------------------------------------------------------------------------------------ normalization


def _floored(g, value, floor):
    """max(floor, value), where the floor is 0 or none."""
    return g.Relu(value) if floor == 0 else value


@_translates
def _frozen_normalization(g, x, bias, gamma, beta, settings, mean, variance, y):
    _, epsilon, floor = settings.arrays[0].ravel()
    scale = g.Div(gamma.value, g.Sqrt(g.Add(variance.value, g.constant(epsilon))))
    shift = g.Add(beta.value, g.Mul(g.Sub(bias.value, mean.value), scale))
    return _like(_floored(g, g.Add(g.Mul(_rows(x), scale), shift), floor), _rows(x))


@_translates
def _layer_normalization(g, x, gamma, beta, settings, y, mean, inverse):
    n, epsilon = gamma.shape[1], float(settings.arrays[0].item())
    weights = (g.reshaped(one.whole, [n]) for one in (gamma, beta))
    return _like(g.LayerNormalization(_rows(x), *weights, axis=-1, epsilon=epsilon), _rows(x))


@_translates
def _group_normalization(g, x, gamma, beta, settings, groups, y, moments):
    samples, groups = tuple(n // 2 for n in moments.shape[0]), groups.arrays[0].item()
    rows = tuple(r // n for r, n in zip(x.shape[0], samples))
    shape = (samples, rows, *fixed(groups, x.shape[1][0] // groups))
    x = g.reshaped(x.whole, shape)
    d = g.Sub(x, g.ReduceMean(x, g.ints(1, 3), keepdims=1))
    variance = g.ReduceMean(g.Mul(d, d), g.ints(1, 3), keepdims=1)
    h = Value(g.Div(d, g.Sqrt(g.Add(variance, g.constant(settings.arrays[0][0, 0])))), shape)
    return g.Add(g.Mul(g.reshaped(h, y.shape), gamma.value), beta.value)


# ------------------------------------------------------------------------------------------------------------- images


def _images(g, x, *lengths):
    """x as images (n, h, w, c)."""
    rows, columns = x.shape
    pixels = math.prod(lengths)
    return g.reshaped(x.whole, (tuple(r // pixels for r in rows), *fixed(*lengths), columns))


@_translates
def _pad_images(g, x, geometry, border, y):
    h, w, above, before, high, wide, step, stride = geometry.arrays[0].ravel().tolist()
    images = _images(g, x, h, w)
    pads = g.ints(0, above, before, 0, 0, high - h - above, wide - w - before, 0)
    padded = g.Pad(images, pads, g.constant(border.arrays[0].reshape(())))
    return Value(padded, (images.shape[0], *fixed(high, wide), images.shape[3]))


def _over_windows(g, kind, x, places, shifts, channels, *weights, after=None, **attributes):
    """(images that a node makes of windows over the images x, the number of elements of a window).

    `after` is a function of the images whose channels come second, as ONNX has them.
    """
    (padded, out, strides, begin), offsets = places.arrays[0].geometry, shifts.arrays[0].geometry
    images = _images(g, x, *padded)
    for axis, (first, n, stride, inside) in enumerate(zip(begin, out, strides, offsets), 1):
        end = first + (n - 1) * stride + inside[-1] + 1
        images = g.sliced(images, axis, (first, first), (end, end))
    window, dilations = [len(inside) for inside in offsets], [(*inside, 1)[1] or 1 for inside in offsets]
    if kind != "AveragePool":  # which has none
        attributes["dilations"] = dilations
    y = getattr(g, kind)(
        g.transposed(images, (0, 3, 1, 2)), *weights, kernel_shape=window, strides=list(strides), **attributes
    )
    y = Value(after(y) if after else y, (images.shape[0], channels, *fixed(*out)))
    return g.transposed(y, (0, 2, 3, 1)), math.prod(window)


def _weights(g, w, shifts, *channels):
    """The kernel as ONNX has it: filters, channels, lines, columns."""
    lines, columns = shifts.arrays[0].geometry
    return g.transposed(g.reshaped(w.whole, (*fixed(len(lines), len(columns)), *channels)), (3, 2, 0, 1))


@_translates
def _convolve(g, x, places, shifts, w, bias, floor, y):
    f = w.shape[1]
    weights = _weights(g, w, shifts, x.shape[1], f), g.reshaped(bias.whole, [f])
    after = functools.partial(_floored, g, floor=floor.arrays[0].item())
    return _over_windows(g, "Conv", x, places, shifts, f, *weights, after=after)[0]


@_translates
def _convolve_depthwise(g, x, places, shifts, w, y):
    weights, groups = _weights(g, w, shifts, (1, 1), w.shape[1]), x.shape[1][0]
    return _over_windows(g, "Conv", x, places, shifts, w.shape[1], weights, group=groups)[0]


@_translates
def _max_pool(g, x, places, shifts, y):
    return _over_windows(g, "MaxPool", x, places, shifts, x.shape[1])[0]


@_translates
def _sum_pool(g, x, places, shifts, share, y):
    """The mean of a window counts pixels around the image as zeros, where `share` leaves them out."""
    y, elements = _over_windows(g, "AveragePool", x, places, shifts, x.shape[1])
    pixels = math.prod(n for n, _ in y.shape[1:3])
    factors = share.arrays[0][:pixels] * share.dtype.type(elements)
    if np.allclose(factors, 1):
        return y
    return Value(g.Mul(y, g.constant(factors.reshape(*(n for n, _ in y.shape[1:3]), 1))), y.shape)


@_translates
def _put_pixels(g, x, geometry, y):
    """Several launches put pixels beside each other, each of them every `step` lines and `stride` columns."""
    h, w, high, wide, first, left, step, stride = geometry.arrays[0].ravel().tolist()
    lines, columns = -(-high // step), -(-wide // stride)
    images = _images(g, x, h, w)
    shape = (images.shape[0], *fixed(lines, columns), images.shape[3])
    if (h, w) != (lines, columns):
        images = g.Pad(images, g.ints(0, 0, 0, 0, 0, lines - h, columns - w, 0))
    parts = g.parts.setdefault(y.place, {})
    parts[first, left] = images
    if len(parts) < min(step, high) * min(stride, wide):
        return None
    del g.parts[y.place]
    zeros, (n, *_, c) = g.Sub(images, images), shape  # where there is no line or column so far on
    joined = g.Concat(*(parts.get((i, j), zeros) for i in range(step) for j in range(stride)), axis=3)
    joined = Value(joined, (*shape[:3], (c[0] * step * stride,) * 2))
    joined = g.reshaped(joined, (n, *fixed(lines, columns, step, stride), c))
    joined = g.reshaped(g.transposed(joined, (0, 1, 3, 2, 4, 5)), (n, *fixed(lines * step, columns * stride), c))
    joined = g.sliced(joined, 1, (0, 0), (high, high))
    return g.sliced(joined, 2, (0, 0), (wide, wide))


@_translates
def _mix_rows(g, x, first, weights, y):
    table, starts = weights.arrays[0], first.arrays[0].ravel()
    blocks = tuple(n // len(table) for n in y.shape[0])
    length = x.shape[0][0] // blocks[0]
    whole = np.zeros((len(table), length), table.dtype)
    for row, start, part in zip(whole, starts, table):
        row[start : start + len(part)] = part
    x = g.reshaped(x.whole, (blocks, *fixed(length), x.shape[1]))
    return Value(g.MatMul(g.constant(whole), x), (blocks, *fixed(len(table)), x.shape[2]))


# --------------------------------------------------------------------------------------------------------- recurrence


def _function(body, name):
    """The node of a function of kernels.recurrence.FUNCTIONS."""
    kind = "Identity" if name == "linear" else name.title().replace("_", "")
    return functools.partial(getattr(body, kind), **({"alpha": 1 / 6} if name == "hard_sigmoid" else {}))


def _split(body, value, parts):
    return body.Split(value, axis=1, num_outputs=parts, outputs=parts)


def _simple_step(body, z, states, v, bias, act, gate):
    return [act(body.Add(z, body.MatMul(states[0], v)))]


def _lstm_step(body, z, states, v, bias, act, gate):
    i, f, new, o = _split(body, body.Add(z, body.MatMul(states[0], v)), 4)
    cell = body.Add(body.Mul(gate(f), states[1]), body.Mul(gate(i), act(new)))
    return [body.Mul(gate(o), act(cell)), cell]


def _gru_step(body, z, states, v, bias, act, gate):
    along, reset, new = _split(body, z, 3)
    q = _split(body, body.Add(body.MatMul(states[0], v), bias), 3)
    along, reset = gate(body.Add(along, q[0])), gate(body.Add(reset, q[1]))
    new = act(body.Add(new, body.Mul(reset, q[2])))
    return [body.Add(new, body.Mul(along, body.Sub(states[0], new)))]


def _gru_before_step(body, z, states, v, bias, act, gate):
    (along, reset, new), of = _split(body, z, 3), _split(body, v, 3)
    along, reset = (gate(body.Add(x, body.MatMul(states[0], w))) for x, w in ((along, of[0]), (reset, of[1])))
    new = act(body.Add(new, body.MatMul(body.Mul(reset, states[0]), of[2])))
    return [body.Add(new, body.Mul(along, body.Sub(states[0], new)))]


def _walk(step, g, packed, bias, h0, c0, mask, order, factors, gates, before, kept, taken, y, functions=()):
    """A Scan over the steps, which carries the states, and of masked steps the output of the step before."""
    steps, *flags, is_relu = order.arrays[0].ravel().tolist()
    backwards, sequences, masked, zeros, wants_states, ordered, _ = flags
    functions = functions or ("relu" if is_relu else "tanh", "sigmoid")
    n, u = h0.shape
    biases = [g.sliced(bias.value, 0, (row, row), (row + 1, row + 1)) for row in range(bias.shape[0][0])]
    firsts = [h0.value, c0.value] if step is _lstm_step else [h0.value]
    z = g.reshaped(gates.whole, (n, *fixed(steps, gates.shape[1][0] // steps)))
    scanned = [g.transposed(_like(g.Add(z, biases[0]), z), (1, 0, 2))]
    if masked:
        firsts.append(g.Sub(h0.value, h0.value))
        scanned.append(g.transposed(g.reshaped(mask.whole, (n, *fixed(steps, 1))), (1, 0, 2)))
    body = g.body()
    names = [f"carried_{next(g.numbers)}" for _ in firsts] + [f"scanned_{next(g.numbers)}" for _ in scanned]
    states, inner = names[: len(firsts)], names[len(firsts) :]
    own = states[:-1] if masked else states
    found = step(body, inner[0], own, packed.whole, biases[-1], *(_function(body, name) for name in functions))
    output = found[0]
    if masked:
        still = body.Sub(states[-1], states[-1]) if zeros else states[-1]
        output = body.Where(inner[1], output, still)
        found = [body.Where(inner[1], new, old) for new, old in zip(found, own)] + [output]
    outs = [body.Identity(one) for one in [*found, output]]
    ins = [(name, y.dtype, None) for name in states] + [(inner[0], y.dtype, None)]
    ins += [(inner[1], bool, None)] if masked else []
    graph = body.graph(ins, [(name, y.dtype, None) for name in outs], "step")
    turned = int(bool(backwards))
    *last, all_outputs = g.Scan(
        *firsts, *scanned, body=graph, num_scan_inputs=len(scanned), outputs=len(firsts) + 1,
        scan_input_directions=[turned] * len(scanned), scan_output_directions=[int(bool(turned and ordered))],
    )  # fmt: skip
    if sequences:
        outputs = g.transposed(Value(all_outputs, (*fixed(steps), n, u)), (1, 0, 2))
        outputs = g.reshaped(outputs, (n, (u[0] * steps,) * 2)) if wants_states else outputs
    else:
        outputs = Value(last[-1] if masked else last[0], (n, u))
    if not wants_states:
        return outputs
    return g.Concat(outputs, *last[: len(own)], axis=1)


_known |= {
    "simple_rnn": functools.partial(_walk, _simple_step),
    "lstm": functools.partial(_walk, _lstm_step),
    "gru": functools.partial(_walk, _gru_step),
    "gru_before": functools.partial(_walk, _gru_before_step),
}
