"""Scatter, slices and segments beyond placing_rows.py: empty segments, ties, NaN, indexes from the data in a replayed step."""

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import Tensor, layers, ops
from minigrad.utils import gradcheck

X, U = random_input((4, 3)), random_input((5, 3), 1)
IDS = np.array([2, 0, 2, -1, 0])


SEGMENTS = {
    "segment_sum": (np.add, 0.0), "segment_max": (np.maximum, np.finfo("f8").min), "segment_min": (np.minimum, np.finfo("f8").max),
    "segment_prod": (np.multiply, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments(name):
    function, empty = SEGMENTS[name]
    for data, ids, count in ((U, IDS, 3), (U, IDS, 5), (U[:, 0], IDS, 3), (U.reshape(5, 3, 1), IDS, None)):
        wanted = np.full((count or 3, *data.shape[1:]), empty)
        function.at(wanted, ids[ids >= 0], data[ids >= 0])
        call = lambda x, ids=ids, count=count: getattr(ops, name)(x, ids, count)
        np.testing.assert_allclose(call(data).numpy(), wanted)
        assert gradcheck(call, Tensor(data, requires_grad=True))
    data = Tensor(np.array([[np.nan], [1.0], [2.0]]))
    assert np.isnan(getattr(ops, name)(data, [0, 0, 1]).numpy()[:, 0]).tolist() == [True, False]


def test_equal_maxima_share_the_gradient_and_zeros_do_not_hide_a_product():
    x = Tensor(np.array([1.0, 1, 0, 5]), requires_grad=True)
    ops.segment_max(x, [0, 0, 0, 1]).backward(np.array([1.0, 2]))
    assert x.grad.tolist() == [0.5, 0.5, 0, 2]
    x = Tensor(np.array([2.0, 0, 3]), requires_grad=True)
    ops.segment_prod(x, [0, 0, 0]).backward(np.ones(1))
    assert x.grad.tolist() == [0, 6, 0]


@pytest.mark.parametrize("step", [
    lambda x, index: ops.scatter(ops.expand_dims(index, -1), x, (4, 3)),
    lambda x, index: ops.scatter_update(x, ops.expand_dims(index, -1), x * 2.0),
    lambda x, index: ops.scatter_update(x, ops.stack([index, index % 3], -1), x[:, 0], "max"),
    lambda x, index: ops.take(x, index - 4, axis=0),
    lambda x, index: ops.sum(ops.take(x, ops.stack([index, index], 1) % 3, axis=1), axis=2),
    lambda x, index: ops.segment_sum(x, index, 4),
    lambda x, index: ops.segment_max(x, index, 4),
    lambda x, index: ops.segment_prod(x, index, 4),
])  # fmt: skip
def test_indexes_of_the_data_are_those_of_each_batch_in_a_replayed_step(step):
    class Own(layers.Layer):
        def call(self, inputs):
            x, index = inputs
            return ops.maximum(step(x, index), -9.0)

    rng, found = np.random.default_rng(0), []
    x, index, y = rng.normal(size=(24, 3)).astype("float32"), rng.integers(0, 4, 24), rng.normal(size=(24, 1)).astype("float32")
    for run_eagerly in (False, True):
        keras.utils.set_random_seed(3)
        inputs = [keras.Input((3,)), keras.Input((), dtype="int32")]
        inputs = [keras.Input(batch_shape=(4, 3)), keras.Input(batch_shape=(4,), dtype="int32")]
        model = keras.Model(inputs, layers.Dense(1)(Own()([layers.Dense(3)(inputs[0]), inputs[1]])))
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        model.fit([x, index], y, 4, epochs=2, verbose=0)
        assert (model.train_program is None) == run_eagerly
        found.append(model.get_weights())
    assert_same(*found)


@pytest.mark.parametrize("call, words", [
    (lambda: ops.scatter([[4]], X[:1], (4, 3)), "below the lengths"),
    (lambda: ops.scatter([[-1]], X[:1], (4, 3)), "from 0 on"),
    (lambda: ops.scatter([[0.5]], X[:1], (4, 3)), "integers"),
    (lambda: ops.scatter([[0]], X[:2], (4, 3)), r"scatter.*\(1, 3\).*\(2, 3\)"),
    (lambda: ops.scatter([[0, 0, 0]], X[:1, 0], (4, 3)), "scatter"),
    (lambda: ops.scatter_update(X, [[0]], X[:1], "mean"), "reduction"),
    (lambda: ops.slice(X, (0, 0), (5, 3)), "does not lie in"),
    (lambda: ops.slice(X, (0,), (1,)), "each axis"),
    (lambda: ops.slice_update(X, (3, 0), X[:2]), "does not lie in"),
    (lambda: ops.segment_sum(U, IDS, 2), "below num_segments=2; got 2"),
    (lambda: ops.segment_sum(U, IDS[:2]), "an id for each"),
    (lambda: ops.searchsorted([1.0], [1.0], "middle"), "side"),
    (lambda: ops.multi_hot([1], 2, sparse=True), "sparse"),
])  # fmt: skip
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize("found, wanted", [
    (ops.nanmax(Tensor([[NAN, 1.0, -INF], [NAN, NAN, NAN]]), 1), [1, NAN]),
    (ops.nanmin(Tensor([[NAN, 1.0, INF], [NAN, NAN, NAN]]), 1), [1, NAN]),
    (ops.nanmean(Tensor([[NAN, 1.0], [NAN, NAN]]), 1), [1, NAN]),
    (ops.nanargmax(Tensor([[NAN, 1.0], [NAN, NAN]]), 1), [1, -1]),
    (ops.nanmedian(Tensor([[NAN, 1.0, 3.0, 8.0], [NAN] * 4]), 1), [3, NAN]),
    (ops.median(Tensor([[NAN, 1.0, 2.0], [INF, INF, 1.0]]), 1), [NAN, INF]),
    (ops.quantile(Tensor([-INF, INF]), [0.0, 1.0]), [-INF, INF]),
    (ops.fmax([NAN, 1.0, NAN], [2.0, NAN, NAN]), [2, 1, NAN]),
    (ops.fmin([NAN, 1.0, NAN], [2.0, NAN, NAN]), [2, 1, NAN]),
    (ops.heaviside([NAN, 0.0, -INF, INF], 0.5), [NAN, 0.5, 0, 1]),
    (ops.cbrt([-8.0, 0.0, NAN, -INF]), [-2, 0, NAN, -INF]),
    (ops.sinc([0.0, NAN]), [1, NAN]),
    (ops.erfc([INF, -INF, NAN]), [0, 2, NAN]),
    (ops.arctan2([0.0, -0.0, 0.0, 1.0, NAN], [1.0, -1.0, -1.0, 0.0, 1.0]), [0, -np.pi, np.pi, np.pi / 2, NAN]),
    (ops.logaddexp2([NAN, 1e4], [1.0, 1e4]), [NAN, 1e4 + 1]),
    (ops.cumprod(Tensor([2.0, NAN, 3.0])), [2, NAN, NAN]),
])  # fmt: skip
def test_nan_and_infinity(found, wanted):
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


def test_taking_in_a_program_is_taking():
    x = Tensor(random_input((3, 4, 2)))
    for axis, index in ((None, [[0, -1], [23, 5]]), (0, [2, 0, -3]), (1, [[3, -1], [0, 0]]), (-1, 1), (2, [1, 0, 1])):
        given, found = ops.array(index), []
        wanted = np.take(x.numpy(), index, axis)
        assert_same(ops.take(x, given, axis).numpy(), wanted)
        keras.Program(lambda axis=axis, given=given, found=found: found.append(ops.take(x, given, axis)), {}).replay()
        assert_same(found[-1].numpy(), wanted)
    found = []
    keras.Program(lambda: found.append(ops.take(x, ops.array([7, 0, -4]), 0)), {}).replay()
    assert np.isnan(found[-1].numpy()).all((1, 2)).tolist() == [True, False, True]
    with pytest.raises(IndexError):
        ops.take(x, ops.array([7]), 0)


def test_classes_along_any_axis():
    for axis in (-1, 0, 1, 2):
        assert_same(ops.one_hot([[0, 2], [1, 1]], 3, axis).numpy(), np.moveaxis(np.eye(3, dtype="float32")[[[0, 2], [1, 1]]], -1, axis))
    with pytest.raises(ValueError, match="sparse"):
        ops.one_hot([1], 2, sparse=True)


def test_errors_of_the_others():
    for call, words in (
        (lambda: ops.quantile(X, 1.5), "q in"), (lambda: ops.quantile(X, 0.5, method="mode"), "'mode'"),
        (lambda: ops.cross(np.ones(4), np.ones(4)), "two or three"), (lambda: ops.meshgrid(X[0], indexing="yx"), "'yx'"),
        (lambda: ops.argpartition(X, 3), "kth=3"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            call()
