"""Logits: the result of a sigmoid or a softmax remembers its operand, from which a cross-entropy is exact.

As in Keras on TensorFlow, only the result itself remembers: a tensor computed from it (reshaped, copied) does not.
"""


def remember(y, x, only=None):
    """Let `y` remember its logits `x`, for any cross-entropy or for one kind `only`, "sigmoid" or "softmax"."""
    y._logits = x, only
    return y


def logits_of(y, kind):
    """The logits that `y` remembers for a cross-entropy of this kind, or None."""
    x, only = getattr(y, "_logits", None) or (None, None)
    return x if only in (None, kind) else None
