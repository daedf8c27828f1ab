"""Attention: means of values, weighted by how well a query matches the key of each."""

import numpy as np

from minigrad.ops.elementwise import add, where
from minigrad.ops.functions import logical_and
from minigrad.ops.linear import einsum
from minigrad.ops.probability import softmax
from minigrad.ops.shaping import cast, constant_tensor, repeat
from minigrad.tensor import as_tensor


def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
):
    """y = softmax(scale query key^T + bias) value, per sample and head (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        query: (n, t, heads, size); key and value: (n, s, heads, size). y is like query, with the size of value. The
            heads of query may be a multiple of those of key and value, each of which then serves several.
        bias, mask: of a shape that can be broadcast to (n, heads, t, s). A step where `mask` is false gets no weight;
            if it is false for all steps, all get the same.
        scale: a number; None stands for size^(-1/2).
        is_causal: whether step i of query sees only steps 0 ... i of key.
        flash_attention, attn_logits_soft_cap: have no effect here.

    Raises:
        ValueError: an operand has not four axes, or flash_attention is True.
    """
    query, key, value = as_tensor(query), as_tensor(key), as_tensor(value)
    if flash_attention:
        raise ValueError("dot_product_attention: minigrad has no flash attention; leave flash_attention out.")
    if {query.ndim, key.ndim, value.ndim} != {4}:
        raise ValueError(
            "dot_product_attention expects query, key and value of shape (n, steps, heads, size); got "
            f"{query.shape}, {key.shape} and {value.shape}."
        )
    groups = query.shape[2] // max(key.shape[2], 1)
    if groups > 1:
        key, value = repeat(key, groups, axis=2), repeat(value, groups, axis=2)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = einsum("btnh,bsnh->bnts", query * scale, key)
    scores = scores if bias is None else add(scores, bias)
    if is_causal:
        allowed = constant_tensor(np.tri(*scores.shape[-2:], dtype=bool))
        mask = allowed if mask is None else logical_and(mask, allowed)
    if mask is not None:
        scores = where(cast(mask, "bool"), scores, -0.7 * 3.38953e38)  # TensorFlow's
    return einsum("bnts,bsnh->btnh", softmax(scores), value)
