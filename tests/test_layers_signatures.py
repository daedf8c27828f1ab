"""What a layer of one's own may be written with: several tensors in `call` and their shapes in `build`, specs, metrics."""

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import Tensor, layers, ops
from minigrad.graph import Symbol

A, B = random_input((4, 3), dtype="float32"), random_input((4, 5), 1, "float32")


@keras.saving.register_keras_serializable("signatures")
class Both(layers.Layer):
    def build(self, a_shape, b_shape):
        self.w = self.add_variable((a_shape[-1], b_shape[-1]), "ones", name="w")

    def call(self, a, b, scale=1.0):
        assert isinstance(a, Tensor) and isinstance(b, Tensor)
        return ops.sum(ops.matmul(a, self.w) * b, axis=-1, keepdims=True) * scale


@pytest.mark.parametrize("call", [
    lambda layer: layer(A, B), lambda layer: layer(A, b=Tensor(B)), lambda layer: layer(Tensor(A), B), lambda layer: layer(a_then(layer), B),
])  # fmt: skip
def test_a_build_with_a_shape_for_each_argument(call):
    layer = Both()
    wanted = (A.sum(1) * B.sum(1))[:, None]
    np.testing.assert_allclose(call(layer).numpy(), wanted, 1e-5)
    assert layer.w.shape == (3, 5) and layer.built
    assert layer.get_build_config() == {"shapes_dict": {"a_shape": [None, 3], "b_shape": [None, 5]}}


def a_then(layer):
    assert not layer.built
    return A


def test_such_a_layer_in_a_graph_and_in_files(tmp_path):
    inputs = [keras.Input((3,)), keras.Input((5,))]
    y = Both()(*inputs)
    assert y.shape == (None, 1)
    model = keras.Model(inputs, layers.Dense(2)(y))
    model.compile("adam", "mse")
    model.fit([A, B], B[:, :2], verbose=0)
    assert model.train_program is not None
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(again.predict([A, B], verbose=0), model.predict([A, B], verbose=0))
    copy = Both()
    copy.build_from_config(model.layers[2].get_build_config())
    assert copy.w.shape == (3, 5)


def test_a_build_whose_arguments_are_not_those_of_call():
    class Wrong(layers.Layer):
        def build(self, a_shape, c_shape):
            raise AssertionError

        def call(self, a, b):
            return a

    with pytest.raises(ValueError, match=r"'it' \(Wrong\).*'a', 'b'.*'c_shape'"):
        Wrong(name="it")(A, B)


def test_a_build_with_other_arguments():
    class Lenient(layers.Layer):
        def build(self, input_shape, extra=None, *args, **kwargs):
            self.w = self.add_weight(shape=(input_shape[-1],))

        def call(self, a, b):
            return a * self.w

    assert Lenient()(A, B).shape == A.shape


def test_specs():
    assert layers.Dense(7).compute_output_spec(keras.Input((3,))).shape == (None, 7)

    class Counting(layers.Layer):
        def call(self, x):
            return ops.cast(x > 0, "int64"), x

        def compute_output_spec(self, x):
            return Symbol((x.shape[0], 9), "int64"), Symbol(x.shape, x.dtype)

    count, same = Counting()(keras.Input((3,)))
    assert (count.shape, count.dtype, same.shape, same.dtype) == ((None, 9), "int64", (None, 3), "float32")


def test_metrics_and_variables_of_layers():
    class Watched(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = keras.metrics.Mean(name="seen")
            self.count = self.add_variable(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            return x

    class Around(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner, self.own = Watched(), keras.metrics.Sum()

        def call(self, x):
            return self.inner(x)

    layer = Around()
    assert layer.metrics == [layer.own, layer.inner.seen]
    assert [v.shape for v in layer.metrics_variables] == [()] * 3 and layer.weights == [layer.inner.count]


def test_small_operations():
    assert ops.array([1, 2]).dtype == "int64" and ops.array([1.0, 2]).dtype == "float32"
    assert ops.array([1, 2], dtype="float32").numpy().tolist() == [1.0, 2.0]
    x = np.ones((2, 3))
    for axes in ((0, -1), [1, 3], 1, (-1,), ()):
        assert ops.expand_dims(x, axes).shape == np.expand_dims(x, tuple(axes) if isinstance(axes, list) else axes).shape
    for axes in ((0, 0), 4, (0, 4), "a"):
        with pytest.raises(ValueError, match="axis must be"):
            ops.expand_dims(x, axes)
    x = np.array([[1.0, 0, 2], [0, 3, 0]])
    for found in (ops.where(x), ops.nonzero(Tensor(x))):
        for ours, theirs in zip(found, np.nonzero(x), strict=True):
            assert_same(ours.numpy(), theirs)
    nothing = np.ones((2, 0, 3))
    assert_same(ops.max(nothing, 1, initial=4.0).numpy(), np.max(nothing, 1, initial=4.0))
    assert_same(ops.min(nothing, 1, True, 4.0).numpy(), np.min(nothing, 1, keepdims=True, initial=4.0))
    assert ops.nn.softmax is ops.softmax and ops.numpy.where is ops.where
    with pytest.raises(ValueError, match="the condition alone"):
        ops.where(x, 1.0)
