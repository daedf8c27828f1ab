"""Attention: each step of a query gets a mean of values, weighted by how well it matches their keys."""

import functools
import string

import numpy as np

from minigrad import ops, random, regularizers
from minigrad.layers.activation import Softmax
from minigrad.layers.arguments import ANY_OR_WHOLE, WHOLE, checked, integers, number, of_weights, one_of, refused, whole
from minigrad.layers.base import Layer
from minigrad.layers.einsum_dense import EinsumDense
from minigrad.layers.regularization import Dropout
from minigrad.ops.masks import mask_of
from minigrad.ops.shaping import constant_tensor

_DROPOUT, _PROJECTION = checked(number, 0.0, "[0, 1]"), of_weights(kernel="glorot_uniform", bias="zeros", activity=True)
_FLASH = refused("has no flash attention: leave it out")


class _Heads(Layer):
    """What MultiHeadAttention and GroupedQueryAttention share: projections to heads, attention per head, and back.

    y = softmax(q k^T / sqrt(size) where the mask is true) v, with q, k and v = query, key and value times a kernel.
    """

    supports_masking = True
    _parts = {}  # part -> the name of the attribute that holds its EinsumDense, which files mention

    def _set_up(self, given):
        self._activity_regularizer = regularizers.get(given.pop("activity_regularizer"))  # of the projections
        super()._set_up(given)

    def _build(self, heads, groups, size, value_size, shapes, output_shape):
        """Make the projections: of query, key and value to so many heads, and back."""
        query_shape, value_shape, key_shape = self._checked(*shapes)
        self._project("query", "query", query_shape, 1, (heads, size))
        self._project("key", "key", key_shape, 1, (groups, size))
        if self.use_gate:
            self._project("gate", "gate", query_shape, 1, (heads, value_size), "sigmoid")
        self._project("value", "value", value_shape, 1, (groups, value_size))
        self._softmax = Softmax([-1 - i for i in range(len(self._axes(len(query_shape) + 1)))], dtype=self.dtype)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype)
        self._project("output", "attention_output", (*query_shape[:-1], heads, value_size), 2, output_shape)

    def _project(self, part, name, shape, summed, lengths, activation=None):
        """Make and build an EinsumDense that turns the last `summed` axes of its input into axes of these lengths."""
        free, letters = len(shape) - summed, string.ascii_lowercase
        kept, gone = letters[:free], letters[free : len(shape)]
        new = letters[len(shape) : len(shape) + len(lengths)]
        dense = EinsumDense(
            f"{kept}{gone},{gone}{new}->{kept}{new}",
            (*[None] * (free - 1), *lengths),
            activation,
            new if self.use_bias else None,
            **{argument: getattr(self, argument) for argument in of_weights(kernel=None, bias=None)},
            activity_regularizer=self._activity_regularizer,
            dtype=self.dtype,
            name=name,
        )
        setattr(self, self._parts[part], dense)
        dense.build(shape)

    def call(
        self, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
        return_attention_scores=False, training=None, use_causal_mask=False,
    ):  # fmt: skip
        query, value, key = (None if x is None else _unmasked(x) for x in (query, value, key))
        parts = {part: getattr(self, name) for part, name in self._parts.items() if name in vars(self)}
        q, k, v = parts["query"](query), parts["key"](value if key is None else key), parts["value"](value)
        mask = self._mask(q, v, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        y, scores = self._compute_attention(
            q, self._spread(k), self._spread(v), mask, training, return_attention_scores
        )
        y = parts["output"](y * parts["gate"](query) if self.use_gate else y)
        return (y, scores) if return_attention_scores else y

    def _spread(self, x):
        """Keys or values with as many heads as the queries."""
        return x

    def _mask(self, query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask):
        """Which steps of `value` each step of `query` sees, (n, t, s): what all masks allow. None without masks."""
        masks = [] if query_mask is None else [ops.expand_dims(query_mask, -1)]
        masks += [ops.expand_dims(mask, -2) for mask in (value_mask, key_mask) if mask is not None]
        masks += [] if attention_mask is None else [ops.cast(attention_mask, "bool")]
        steps, seen = query.shape[1], value.shape[1]
        if use_causal_mask:
            masks.append(constant_tensor(np.tri(steps, seen, dtype=bool)[None]))
        if self.sliding_window is not None:
            distance = np.abs(np.arange(steps)[:, None] - np.arange(seen))
            masks.append(constant_tensor((distance < self.sliding_window)[None]))
        return functools.reduce(ops.logical_and, masks) if masks else None

    def _compute_attention(self, query, key, value, attention_mask=None, training=None, return_attention_scores=False):
        """(the means of the values, the weights or None) for projected query, key and value (n, ..., heads, size)."""
        axes, rank, scale = self._axes(query.ndim), query.ndim, query.shape[-1] ** -0.5
        if attention_mask is not None:
            for _ in range(rank - 2 + len(axes) + 1 - attention_mask.ndim):
                attention_mask = ops.expand_dims(attention_mask, -2 * len(axes) - 1)
        if rank == 4 and not self.dropout and not return_attention_scores:
            return ops.dot_product_attention(query, key, value, mask=attention_mask, scale=scale), None
        of_query = string.ascii_lowercase[:rank]
        of_key = "".join(c.upper() if i in axes else c for i, c in enumerate(of_query))
        of_scores = "".join(c for i, c in enumerate(of_query[:-1]) if i not in axes)
        of_scores += "".join(of[i] for of in (of_query, of_key) for i in axes)
        scores = ops.einsum(f"{of_query},{of_key}->{of_scores}", query * scale, key)
        weights = self._softmax(scores, mask=attention_mask)
        dropped = self._dropout_layer(weights, training=training) if self.dropout else weights
        return ops.einsum(f"{of_scores},{of_key}->{of_query}", dropped, value), weights

    def _axes(self, rank):
        """The axes of the steps, in queries of so many axes."""
        return (1,)

    def _checked(self, query_shape, value_shape, key_shape):
        """The three shapes, tuples; that of the key is by default that of the value."""
        if value_shape is None:
            raise ValueError(f"{self._title} was called without a value: self-attention is attention(x, x).")
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{self._title} expected value and key of as many steps; got shapes {tuple(value_shape)} and "
                f"{tuple(key_shape)}."
            )
        return tuple(query_shape), tuple(value_shape), tuple(key_shape)

    def get_config(self):
        return {**super().get_config(), "activity_regularizer": regularizers.serialize(self._activity_regularizer)}


class MultiHeadAttention(_Heads):
    """Attention of several heads: each projects query, key and value, and attends (Vaswani et al. 2017).

    Per head, y = softmax(q k^T / sqrt(key_dim)) v; all heads together are projected to the output. Shapes: query
    (n, t, a), value (n, s, b) and key (n, s, c) give (n, t, a). With `return_attention_scores`, also the weights
    (n, heads, t, s).

    Args:
        num_heads, key_dim, value_dim: how many heads, and the sizes of their keys and values; value_dim is by default
            key_dim.
        dropout: the share of the weights that is dropped in training.
        output_shape: the lengths of the last axes of the output, an int or several; None: the last one of the query.
        attention_axes: the axes of the steps; None: all but the rows and the last.
        sliding_window: how many steps to each side, its own one included, a step sees; None: all.
        use_gate: whether to multiply what the heads give by sigmoid(query times another kernel).
        use_bias, activity_regularizer, and what begins with kernel_ or bias_: of the projections, as for EinsumDense.
        seed: of the dropout.

    Call arguments:
        query_mask, value_mask, key_mask: bools (n, t) or (n, s); by default those that the tensors carry.
        attention_mask: bools (n, t, s): which steps of the value a step of the query sees.
        use_causal_mask: whether step i sees only steps 0 ... i.
    """

    _parts = {"query": "query_dense", "key": "key_dense", "gate": "_gate_dense", "value": "value_dense",
              "output": "output_dense"}  # fmt: skip

    arguments = {
        "num_heads": WHOLE, "key_dim": WHOLE, "value_dim": None, "dropout": _DROPOUT, "use_bias": True,
        "output_shape": None, "attention_axes": None, "sliding_window": ANY_OR_WHOLE, "flash_attention": _FLASH,
        **_PROJECTION, "use_gate": False, "seed": None,
    }  # fmt: skip

    def _set_up(self, given):
        lengths = given.pop("output_shape")  # a layer has a property of this name
        self._output_lengths = lengths and tuple(lengths if isinstance(lengths, (tuple, list)) else (lengths,))
        super()._set_up(given)

    def _settle(self):
        self.value_dim = self.key_dim if self.value_dim is None else self.value_dim
        whole(self, "value_dim")
        if self.attention_axes is not None:
            self.attention_axes = integers(self, "attention_axes")

    def build(self, query_shape, value_shape=None, key_shape=None):
        self.attention_axes = self._axes(len(query_shape) + 1)
        output_shape = self._output_lengths or (query_shape[-1],)
        shapes, heads = (query_shape, value_shape, key_shape), self.num_heads
        self._build(heads, heads, self.key_dim, self.value_dim, shapes, output_shape)

    def _axes(self, rank):
        if self.attention_axes is None:
            return tuple(range(1, rank - 2))
        return tuple(axis if axis >= 0 else rank - 1 + axis for axis in self.attention_axes)

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        query_shape, *_ = self._checked(query_shape, value_shape, key_shape)
        return (*query_shape[:-1], *(self._output_lengths or query_shape[-1:]))

    def get_config(self):
        return {**super().get_config(), "output_shape": self._output_lengths}


class GroupedQueryAttention(_Heads, aliases=["GroupQueryAttention", "group_query_attention"]):
    """MultiHeadAttention in which groups of query heads share the heads of keys and values (arXiv:2305.13245).

    Args:
        head_dim: the size of all heads.
        num_query_heads, num_key_value_heads: how many heads; the first number is a multiple of the second one.

    The other arguments, and those of calls, are as for MultiHeadAttention. Keras calls it GroupQueryAttention.
    """

    _config_name = "GroupQueryAttention"
    _parts = {part: f"_{part}_dense" for part in ("query", "key", "gate", "value", "output")}

    arguments = {
        "head_dim": WHOLE, "num_query_heads": WHOLE, "num_key_value_heads": WHOLE, "dropout": _DROPOUT,
        "use_bias": True, "sliding_window": ANY_OR_WHOLE, "flash_attention": _FLASH, **_PROJECTION,
        "use_gate": False, "seed": None,
    }  # fmt: skip

    def _settle(self):
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"GroupQueryAttention {self.name!r}: num_query_heads must be a multiple of num_key_value_heads, got "
                f"{self.num_query_heads} and {self.num_key_value_heads}."
            )

    def build(self, query_shape, value_shape=None, key_shape=None):
        heads, groups, size = self.num_query_heads, self.num_key_value_heads, self.head_dim
        self._build(heads, groups, size, size, (query_shape, value_shape, key_shape), (query_shape[-1],))

    def _spread(self, x):
        return ops.repeat(x, self.num_query_heads // self.num_key_value_heads, axis=2)

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return self._checked(query_shape, value_shape, key_shape)[0]


class Attention(Layer):
    """y = softmax(scores of query and key) value, called on [query, value] or [query, value, key] (Luong et al. 2015).

    Shapes: query (n, t, a), value (n, s, b) and key (n, s, a) give (n, t, b); the key is by default the value.

    Args:
        use_scale: whether scores are multiplied by a weight `scale`; with "concat" the sum in tanh is.
        score_mode: "dot" for q k^T, or "concat" for a weight times the sum of tanh(q + k).
        dropout, seed: the share of the weights that is dropped in training, and the seed of it.

    Call arguments:
        mask: [query_mask, value_mask], bools (n, t) and (n, s), or None for either. y is 0 where the query is masked.
        return_attention_scores: whether to return the weights (n, t, s), too.
        use_causal_mask: whether step i sees only steps 0 ... i.
    """

    _makes_masks = False

    arguments = {"use_scale": False, "score_mode": one_of("dot", "concat"), "dropout": _DROPOUT, "seed": None}
    score_mode = "dot"

    def _settle(self):
        if self.dropout > 0:
            self.seed_generator = random.SeedGenerator(self.seed)

    def build(self, input_shape):
        self._check(input_shape)
        self.scale = self._own_weight("scale", (), initializer="ones") if self.use_scale else None
        if self.score_mode == "concat":
            self.concat_score_weight = self._own_weight("concat_score_weight", (), initializer="ones")

    def _check(self, given, of="inputs"):
        if not isinstance(given, (list, tuple)) or len(given) not in (2, 3):
            raise ValueError(
                f"{self._title} expected a list of {of}, those of [query, value] or [query, value, key]; got {given!r}."
            )

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        self._check(inputs)
        if mask is not None:
            self._check(mask, "masks")
        (query, value, *others), (query_mask, value_mask) = inputs, (None, None) if mask is None else mask[:2]
        scores = self._calculate_scores(query, *(others or [value]))
        masks = [] if value_mask is None else [ops.expand_dims(value_mask, -2)]
        if use_causal_mask:
            masks.append(constant_tensor(np.tri(*scores.shape[-2:], dtype=bool)[None]))
        if masks:
            scores = ops.where(functools.reduce(ops.logical_and, masks), scores, scores - 1e9)
        weights = ops.softmax(scores)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        y = ops.matmul(weights, value)
        y = y if query_mask is None else ops.where(ops.expand_dims(query_mask, -1), y, 0.0)
        return (y, weights) if return_attention_scores else y

    def _calculate_scores(self, query, key):
        if self.score_mode == "dot":
            scores = ops.einsum("...td,...sd->...ts", query, key)
            return scores if self.scale is None else scores * self.scale
        both = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        return self.concat_score_weight * ops.sum(ops.tanh(both if self.scale is None else self.scale * both), -1)

    def compute_mask(self, inputs, mask=None):
        """The mask of the query."""
        return None if mask is None else mask[0]

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return (*input_shape[0][:-1], input_shape[1][-1])


class AdditiveAttention(Attention):
    """Attention with scores = sum of scale tanh(q + k), `scale` a weight per feature (Bahdanau et al. 2015).

    Args:
        use_scale: whether there is a `scale`; else it is 1.
        dropout, seed: as for Attention, and so are the inputs and the arguments of calls.
    """

    arguments = {"use_scale": True, "dropout": _DROPOUT, "seed": None}

    def build(self, input_shape):
        self._check(input_shape)
        self.scale = (
            self._own_weight("scale", input_shape[0][-1:], initializer="glorot_uniform") if self.use_scale else None
        )

    def _calculate_scores(self, query, key):
        both = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(both if self.scale is None else both * self.scale, -1)


def _unmasked(x):
    """The same tensor without its mask, which the projections must not see."""
    return x if mask_of(x) is None else ops.reshape(x, x.shape)
