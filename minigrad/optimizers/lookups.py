"""Gradients of tables whose rows are looked up, and that are used in no other way.

Such a gradient has a part for each row that a batch looked up, and several for a row that it used more than once. As
Keras on TensorFlow does, a rule takes the squares (or absolute values) of the parts and adds those up, and clipping is
that of the parts. Where a step first adds the gradient to something else, or has its parts in one norm with all others,
it goes on with the sums.
"""

from minigrad import kernels as K
from minigrad.exchange import world
from minigrad.ops.shaping import Looked, nothing
from minigrad.program import empty, empty_like, is_recording, launch
from minigrad.tensor import constant, flat


def asks(optimizer, variable):
    """What a step asks of lookups in a table: (sums of squares, sums of absolute values, the parts themselves)."""
    adds = optimizer.gradient_accumulation_steps, optimizer.loss_scale_factor, variable.regularizer
    if any(setting is not None for setting in adds):
        return False, False, False
    if optimizer.global_clipnorm is not None:
        return True, False, False
    has_norm, has_limit = optimizer.clipnorm is not None, optimizer.clipvalue is not None
    return "squares" in optimizer._takes or has_norm, "sizes" in optimizer._takes, has_limit


def sums(optimizer):
    """{number of a variable: (squares, sizes)} of those whose gradients come from nothing but lookups."""
    found, limit = {}, optimizer.clipvalue
    for i, v in enumerate(optimizer._trainable):
        if v._grad is None or type(v._parts[0]) is not Looked or world.size > 1:
            continue
        asked = v._place.told
        if any(asked) and all(_tells(part, asked, limit) for part in v._parts):
            found[i] = _total(v, asked, limit)
        if is_recording():  # or the memory of the parts would serve nobody else
            v._parts = [None]
    return found


def _tells(part, asked, limit):
    """Whether a part of a gradient came from a lookup that tells what is asked."""
    return type(part) is Looked and (part.rows is not None or (limit is None and part.told == asked[:2]))


def _total(v, asked, limit):
    """The sums over all lookups, (squares, sizes); with a limit the parts, and so the gradient, are clipped first."""
    found = []
    for rows, index, *told in v._parts:
        gradient = None
        if rows is not None:
            gradient = empty_like(v._grad)
            told = [empty_like(gradient) if is_asked else nothing(gradient.dtype) for is_asked in asked[:2]]
            if limit is not None:
                clipped = empty_like(rows)
                launch(K.copy, rows, clipped)
                launch(K.clip_values, constant(rows.dtype, limit), clipped)
                rows = clipped
            launch(K.put_add_rows, rows, index, gradient, *told)
        found.append((gradient, *told))
    first, *others = found
    for other in others:
        for new, total in zip(other, first):
            if new is not None and new.size:
                launch(K.add_to, flat(new), flat(total))
    if limit is None:
        v._parts[:] = [Looked(None, None, *first[1:])]
    else:
        launch(K.copy, flat(first[0]), flat(v._grad))
    return first[1:]


def clip_norms(optimizer, limit):
    """Limit the norm of each table's gradient, which is that of its parts."""
    for i, told in optimizer._summed.items():
        first, last = optimizer._layout.places[i]
        gradient, factor, square = optimizer._gradients[:, first:last], empty_like(limit), empty_like(limit)
        launch(K.clip_norm_of_rows, limit, flat(told[0]), factor, square)
        launch(K.scale, gradient, factor, gradient)
        optimizer._summed[i] = [empty_like(one) for one in told]
        for one, by, clipped in zip(told, (square, factor), optimizer._summed[i]):
            launch(K.scale, flat(one), by, flat(clipped))


def clip_global_norm(optimizer, limit, others, every):
    """Limit the norm of all gradients, of tables that of their parts. The rule goes on with the sums."""
    summed, optimizer._summed = optimizer._summed, {}
    squares = empty((1, len(summed)), limit.dtype)
    for k, (told, _) in enumerate(summed.values()):
        launch(K.mean_all, flat(told), constant(limit.dtype, 1.0), squares[:, k : k + 1])
    launch(K.clip_global_norm.full, limit, others, optimizer._gradients, every, squares)
