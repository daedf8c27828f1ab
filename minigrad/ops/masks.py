"""Masks: which elements of a tensor count. A mask travels beside its tensor, from layer to layer and into the loss.

It is a tensor of bools with the axes of the other one, or the first of them. Operations know nothing of masks: what is
computed has one only where a layer says so (`layers.base`). As in Keras, `tensor._keras_mask` is it, or None.
"""

import weakref

from minigrad.tensor import Tensor

MASKS = {}  # id of a tensor that has a mask -> (a weak reference to it, the mask): empty where nothing is masked


def mask_of(x):
    """The mask of a tensor or symbol; None if it has none, or is neither."""
    return getattr(x, "_keras_mask", None)


def _set_mask(tensor, mask):
    key = id(tensor)
    if mask is None:
        MASKS.pop(key, None)
    else:
        MASKS[key] = weakref.ref(tensor, lambda _: MASKS.pop(key, None)), mask


Tensor._keras_mask = property(lambda tensor: MASKS.get(id(tensor), (None, None))[1], _set_mask)
