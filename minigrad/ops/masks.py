"""Masks: which elements of a tensor count. A mask travels beside its tensor, from layer to layer and into the loss.

A mask is a tensor of bools with all axes of its tensor, or with the first of them. Operations know no masks: a result
has one only if a layer gives it one (`layers.base`). As in Keras, a tensor's mask is `tensor._keras_mask`, or None.
"""

import weakref

from minigrad.tensor import Tensor

MASKS = {}  # id of a tensor that has a mask -> (a weak reference to it, the mask): empty where nothing is masked


def mask_of(x):
    """The mask of a tensor or symbol; None where there is none."""
    return getattr(x, "_keras_mask", None)


def _set_mask(tensor, mask):
    key = id(tensor)
    if mask is None:
        MASKS.pop(key, None)
    else:
        MASKS[key] = weakref.ref(tensor, lambda _: MASKS.pop(key, None)), mask


Tensor._keras_mask = property(lambda x: MASKS.get(id(x), (None, None))[1], _set_mask, lambda x: _set_mask(x, None))
