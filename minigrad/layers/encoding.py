"""Numbers and texts as categories: CategoryEncoding, Discretization, Hashing, HashedCrossing."""

import numpy as np

from minigrad import ops
from minigrad.checks import is_number
from minigrad.graph import HELD, TEXTS
from minigrad.layers.arguments import WHOLE, checked, refused, whole
from minigrad.layers.vocabulary import SALT, SPARSE, Categories, batches, output_mode
from minigrad.ops.shaping import constant_tensor
from minigrad.program import is_recording
from minigrad.tensor import Tensor
from minigrad.texts import each, encode, is_strings, strings
from minigrad.utils.hashes import bucket, farm_hash, joined_hashes

_MODE = output_mode("int", "one_hot", "multi_hot", "count")
_CROSSING = 0xDECAFCAFFE  # where TensorFlow begins


def encoded(indices, mode, depth, dtype, weights=None):
    """Integers as rows of `depth` columns: one for each integer ("one_hot"), or one for all of the last axis."""
    if mode == "int":
        return indices
    is_column = indices.ndim > 1 and indices.shape[-1] == 1
    if mode == "one_hot" or is_column and weights is None:
        indices = ops.squeeze(indices, -1) if is_column else indices
        return ops.one_hot(indices, depth, dtype=dtype) if is_recording() else _marked(indices.numpy(), depth, dtype)
    marks = ops.one_hot(indices, depth, dtype=dtype)
    axis = -2 if indices.ndim else None
    if axis is None:
        return marks
    if mode == "multi_hot":
        return ops.max(marks, axis=axis)
    return ops.sum(marks if weights is None else marks * ops.expand_dims(weights, -1), axis=axis)


def _marked(indices, depth, dtype):
    """`ops.one_hot`, faster where nothing is recorded: each row is touched at one place."""
    found, flat = np.zeros((indices.size, depth), dtype), indices.ravel()
    rows = np.flatnonzero((flat >= 0) & (flat < depth))
    found[rows, flat[rows]] = 1
    return constant_tensor(found.reshape(*indices.shape, depth))


class CategoryEncoding(Categories):
    """Integers from 0 to num_tokens - 1 as 0 and 1 in num_tokens columns. Others leave no mark.

    Args:
        num_tokens: the number of columns.
        output_mode: "multi_hot": 1 for each integer that a row holds; "count": how often it does; "one_hot": a row of
            columns for each integer. A last axis of length 1 becomes the columns.
        sparse: refused.

    `call(inputs, count_weights)` adds up weights, in the shape of the inputs, in the place of counts.

    >>> CategoryEncoding(4, output_mode="count")([[1, 2], [3, 3]])
    Tensor([[0., 1., 1., 0.],
            [0., 0., 0., 2.]], dtype=float32)
    """

    _prepares = _checks_values = True

    arguments = {
        "num_tokens": checked(whole, None), "output_mode": output_mode("multi_hot", "count", "one_hot"),
        "sparse": refused("has no sparse tensors", False),
    }  # fmt: skip

    @property
    def _depth(self):
        return self.num_tokens

    def _as_input(self, x):
        return ops.cast(ops.convert_to_tensor(x), "int64")

    def call(self, inputs, count_weights=None):
        if count_weights is not None:
            if self.output_mode != "count":
                raise ValueError(f"{self._owner}: count_weights are for output_mode='count', not {self.output_mode!r}.")
            count_weights = ops.convert_to_tensor(count_weights, self.dtype)
        if not is_recording() and inputs.size and inputs.numpy().min() < 0:
            raise ValueError(
                f"{self._owner} expects integers from 0 to {self.num_tokens - 1}, got {inputs.numpy().min()}."
            )
        return encoded(inputs, self.output_mode, self.num_tokens, self.dtype, count_weights)


class Discretization(Categories):
    """The number of the bin that each number lies in, from 0 on: how many boundaries are not above it.

    Args:
        bin_boundaries: a list of rising numbers; or
        num_bins: how many bins `adapt(data)` makes, with about equally many numbers each.
        epsilon: how exactly `adapt` finds the boundaries, as a share of the data.
        output_mode: "int", or as of CategoryEncoding "one_hot", "multi_hot", "count".
        sparse: refused.

    >>> Discretization(bin_boundaries=[0.0, 1.0])([[-3.0, 0.5, 1.0]])
    Tensor([[0, 1, 2]], dtype=int64)
    """

    _prepares = True

    arguments = {
        "bin_boundaries": None, "num_bins": checked(whole, None, 0, True), "epsilon": 0.01, "output_mode": _MODE,
        "sparse": SPARSE,
    }  # fmt: skip

    def _settle(self):
        if (self.num_bins is None) == (self.bin_boundaries is None):
            raise ValueError(f"{self._owner} needs num_bins or bin_boundaries, and not both.")
        if self.bin_boundaries is not None:
            self.bin_boundaries = [float(value) for value in self.bin_boundaries]
        self._summary = None

    @property
    def _depth(self):
        return self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1

    def call(self, inputs):
        if self.bin_boundaries is None:
            raise ValueError(f"{self._owner} has no boundaries yet: call adapt(data), or give them.")
        boundaries = np.asarray(self.bin_boundaries, self.dtype)
        bins = ops.digitize(inputs, boundaries) if len(boundaries) else ops.cast(ops.zeros_like(inputs), "int64")
        return encoded(bins, self.output_mode, self._depth, self.dtype)

    def adapt(self, data, batch_size=None, steps=None):
        """Find the boundaries, the quantiles of all numbers in the data: an array, or an iterable of batches."""
        if self.num_bins is None:
            raise ValueError(f"{self._owner} was given its boundaries: there is nothing to adapt.")
        self.reset_state()
        if isinstance(data, (list, tuple)):
            data = iter(data)
        for batch, _ in batches(self, data, steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self):
        """Forget the data of earlier calls, not the boundaries."""
        self._summary = None

    def update_state(self, data):
        """Take note of a batch."""
        values = np.sort(np.asarray(data, "float32").ravel())
        step = max(values.size * self.epsilon, 1)
        chosen = values[int(step - 1) :: int(step)]
        summary = np.stack([chosen, np.full_like(chosen, step)])
        if self._summary is not None:
            summary = np.concatenate([summary, self._summary], axis=1)
        self._summary = _compressed(summary[:, np.argsort(summary[0])], self.epsilon)

    def finalize_state(self):
        """Make the boundaries."""
        if self._summary is not None and self.num_bins:
            self.bin_boundaries = _compressed(self._summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def get_config(self):
        return {name: getattr(self, name) for name in (*self.arguments, "name", "dtype")}

    @classmethod
    def from_config(cls, config):
        """A layer from what `get_config` returned. After `adapt`, it has both boundaries and num_bins."""
        config, boundaries = dict(config), None
        if config.get("num_bins") is not None:
            boundaries = config.pop("bin_boundaries", None)
        made = cls(**config)
        made.bin_boundaries = made.bin_boundaries if boundaries is None else list(boundaries)
        return made


def _compressed(summary, epsilon):
    """About 1 / epsilon values for the values and weights in two rows, at equal distances of the summed weights."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    sums = summary[1].cumsum()
    values = np.interp(shares, sums / sums[-1], summary[0])
    sums = np.interp(shares, sums / sums[-1], sums)
    return np.stack([values, np.diff(sums, prepend=0.0)]).astype("float32")


class _Buckets(Categories, is_member=False):
    """Base class of layers that put texts and integers into `num_bins` buckets."""

    _input_dtype = "string"
    _reads_values = True

    def _set_up(self, given):
        """A config of Keras' may have the dtype of the output there, which output_mode tells already."""
        dtype = given["kwargs"].pop("dtype", None)
        dtype = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
        given["kwargs"]["dtype"] = None if dtype in ("int32", "int64") else dtype
        super()._set_up(given)

    @property
    def _depth(self):
        return self.num_bins

    def _as_input(self, x):
        return strings(x) if not isinstance(x, Tensor) and is_strings(x) else ops.convert_to_tensor(x)


class Hashing(_Buckets):
    """The bucket, from 0 to num_bins - 1, of each text or integer: its FarmHash64 mod num_bins, as in TensorFlow.

    Args:
        num_bins: the number of buckets.
        mask_value: a text or number with bucket 0; all others have the other buckets.
        salt: an int or two of them: the hash is SipHash with this key.
        output_mode: "int", or as of CategoryEncoding "one_hot", "multi_hot", "count".
        sparse: refused.

    In a model, the layer hashes the data before the step begins. Behind layers that are trained, where it can only be
    part of the step, the step is not recorded.

    >>> Hashing(3)([["A"], ["B"], ["C"]])
    Tensor([[1],
            [0],
            [1]], dtype=int64)
    """

    arguments = {"num_bins": WHOLE, "mask_value": None, "salt": SALT, "output_mode": _MODE, "sparse": SPARSE}

    def call(self, inputs):
        if isinstance(inputs, Tensor):
            tokens = [str(i).encode() for i in np.trunc(inputs.numpy()).astype(np.int64).ravel().tolist()]
            masked = None if not is_number(self.mask_value) else str(int(self.mask_value)).encode()
        else:
            tokens = inputs.ravel().tolist()
            masked = None if self.mask_value is None else encode(self.mask_value)
        is_masked = self.mask_value is not None and self.num_bins > 1
        n = self.num_bins - is_masked
        bins = each(tokens, lambda t: 0 if is_masked and t == masked else bucket(t, n, self.salt) + is_masked, np.int64)
        indices = constant_tensor(bins.reshape(inputs.shape))
        return encoded(indices, self.output_mode, self.num_bins, self.dtype)

    def get_config(self):
        base = super().get_config()
        if self.output_mode == "int":
            base["dtype"] = {**base["dtype"], "config": {"name": "int64"}}
        return base


class HashedCrossing(_Buckets):
    """The bucket, from 0 to num_bins - 1, of two or more texts or integers together: a hash of their hashes.

    It is called on a list of inputs of the same shape, (n,) or (n, 1). As in TensorFlow: beginning with a constant h,
    each input in turn makes h = cat(h, FarmHash64 of a text, or an integer itself), and the bucket is h mod num_bins.

    Args:
        num_bins: the number of buckets.
        output_mode: "int", or "one_hot" for num_bins columns.
        sparse: refused.

    >>> HashedCrossing(5)([["A", "B"], [101, 102]])
    Tensor([1, 1], dtype=int64)
    """

    arguments = {"num_bins": WHOLE, "output_mode": output_mode("int", "one_hot"), "sparse": SPARSE}

    def _as_input(self, x):
        x = super()._as_input(x)
        if not isinstance(x, Tensor) or x.dtype.kind in "iub":
            return x
        raise ValueError(f"{self._owner} expects texts or integers, got a tensor of {x.dtype}.")

    def _fitting(self, inputs):
        self._check(inputs)
        inputs = [self._as_input(x) for x in inputs]
        self.compute_output_shape([x.shape for x in inputs])
        return super()._fitting(inputs)

    def _check(self, inputs):
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"{self._owner} expects a list of two inputs or more, got {inputs!r}.")

    def call(self, inputs):
        shape = inputs[0].shape or (() if self.output_mode == "int" else (1,))
        crossed = np.full(inputs[0].size, _CROSSING, np.uint64)
        for x in inputs:
            if isinstance(x, Tensor):
                hashes = x.numpy().ravel().astype(np.int64).astype(np.uint64)
            else:
                hashes = each(x.ravel().tolist(), farm_hash, np.uint64)
            crossed = joined_hashes(crossed, hashes)
        indices = constant_tensor((crossed % np.uint64(self.num_bins)).astype(np.int64).reshape(shape))
        return encoded(indices, self.output_mode, self.num_bins, self.dtype)

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        shapes = [tuple(shape) for shape in input_shape]
        if len(set(shapes)) > 1 or len(shapes[0]) > 2 or shapes[0][1:] not in ((), (1,)):
            raise ValueError(f"{self._owner} expects inputs of one shape, (n,) or (n, 1), got the shapes {shapes}.")
        return super().compute_output_shape(shapes[0])

    def compute_output_spec(self, inputs):
        self._check(inputs)
        for one in inputs:
            if one.dtype not in (TEXTS, *HELD):
                raise ValueError(f"{self._owner} expects texts or integers, got {one!r}.")
        return super().compute_output_spec(inputs)

    def get_config(self):
        base = {"name": self.name, "dtype": "int64" if self.output_mode == "int" else self.dtype}
        return {"num_bins": self.num_bins, "output_mode": self.output_mode, "sparse": False, **base}
