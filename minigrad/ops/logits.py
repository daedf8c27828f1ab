"""What a sigmoid or softmax was given, remembered by its result: from that a cross-entropy is exact.

As Keras on TensorFlow has it: the result itself remembers, whatever is computed of it (reshaped, copied) does not.
"""


def remember(y, x, only=None):
    """`y`, which remembers the logits `x`: for any cross-entropy, or `only` for that of "sigmoid" or "softmax"."""
    y._logits = x, only
    return y


def logits_of(y, kind):
    """What `y` was computed from, where it remembers that for a cross-entropy of this kind; else None."""
    x, only = getattr(y, "_logits", None) or (None, None)
    return x if only in (None, kind) else None
