"""`tf.nn`: what scripts use of it beside the functions in `tensorflow.txt`."""

import minigrad
from minigrad import ops


def _window(lengths):
    """The two lengths of a window or of strides, given as one, two or four (with those of rows and channels)."""
    lengths = [lengths] if isinstance(lengths, int) else list(lengths)
    return tuple(lengths[1:3] if len(lengths) == 4 else lengths * 2 if len(lengths) == 1 else lengths)


def _only_last(data_format):
    if data_format not in ("NHWC", None):
        raise ValueError(f"tf.nn: the channels must be the last axis, data_format='NHWC'; got {data_format!r}.")


def conv2d(input, filters, strides, padding, data_format="NHWC", dilations=None, name=None):
    """The convolution of images (n, h, w, c) with filters (h, w, c, f)."""
    _only_last(data_format)
    return ops.conv(input, filters, _window(strides), padding.lower(), dilation_rate=_window(dilations or 1))


def max_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None):
    """The largest number of each window of images."""
    _only_last(data_format)
    return ops.max_pool(input, _window(ksize), _window(strides), padding.lower())


def avg_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None):
    """The mean of each window of images."""
    _only_last(data_format)
    return ops.average_pool(input, _window(ksize), _window(strides), padding.lower())


max_pool, avg_pool = max_pool2d, avg_pool2d


def batch_normalization(x, mean, variance, offset, scale, variance_epsilon, name=None):
    """(x - mean) / sqrt(variance + epsilon), times `scale` and plus `offset` where they are not None."""
    y = (x - mean) * ops.rsqrt(ops.add(variance, variance_epsilon))
    y = y if scale is None else y * scale
    return y if offset is None else y + offset


def embedding_lookup(params, ids, max_norm=None, name=None):
    """The rows of a table with these numbers."""
    return ops.take(params, ids, 0)


def moments(x, axes, shift=None, keepdims=False, name=None):
    """(mean, variance) over axes."""
    return ops.moments(x, axes, keepdims)


def l2_loss(t, name=None):
    """Half the sum of all squares."""
    return 0.5 * ops.sum(ops.square(t))


def dropout(x, rate, noise_shape=None, seed=None, name=None):
    """x / (1 - rate) with probability 1 - rate, else 0."""
    return minigrad.random.dropout(x, rate, noise_shape, seed)


def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None):
    """max(x, 0) - x t + ln(1 + e^-|x|) of each element."""
    return minigrad.backend.binary_crossentropy(labels, logits, from_logits=True)


def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """-sum of t ln softmax(x) along an axis."""
    return minigrad.backend.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


def sparse_softmax_cross_entropy_with_logits(labels, logits, name=None):
    """-ln softmax(x) of each row's class."""
    return minigrad.backend.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name=None):
    """-q t ln p - (1 - t) ln(1 - p) of each element, with p = sigmoid(x) and q the weight of positive labels."""
    x = ops.convert_to_tensor(logits)
    t = ops.cast(labels, x.dtype)
    return (1.0 - t) * x + (1.0 + (pos_weight - 1.0) * t) * ops.softplus(-x)
