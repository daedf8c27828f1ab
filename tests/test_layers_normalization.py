"""BatchNormalization, LayerNormalization and their kin in depth."""


import numpy as np
import pytest
from helpers import Quiet, assert_same, data, network, random_input, shaken

import minigrad as keras
from minigrad import Tensor, layers, ops
from minigrad.utils import gradcheck


def normalized(x, axis, gamma, beta, mean, variance, epsilon):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, in float64."""
    shape = [1] * x.ndim
    shape[axis] = -1
    gamma, beta, mean, variance = (
        np.reshape(a, shape).astype("float64") for a in (gamma, beta, mean, variance)
    )
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def statistics(x, axis):
    others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    return x.mean(others), x.var(others)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(
    "shape, axis",
    [
        ((7, 5), -1),
        ((7, 5), 1),
        ((1, 2, 3), -1),
        ((4, 3, 5), 1),
        ((4, 3, 5), -2),
        ((2, 3, 4, 5), -1),
        ((2, 3, 4, 5), 1),
        ((2, 3, 4, 5), 2),
        ((5, 7), 0),
        ((64, 1), -1),
        ((33, 17), -1),
        ((2, 64), -1),
    ],
)
def test_formula(shape, axis, center, scale):
    x = random_input(shape) * 3 + 2
    layer = layers.BatchNormalization(
        axis=axis, momentum=0.7, epsilon=0.01, center=center, scale=scale, dtype="float64"
    )
    layer.build(shape)
    shaken(layer)
    gamma = layer.gamma.numpy() if scale else np.ones(shape[axis])
    beta = layer.beta.numpy() if center else np.zeros(shape[axis])
    old_mean, old_variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    inference = layer(x).numpy()
    np.testing.assert_allclose(
        inference, normalized(x, axis, gamma, beta, old_mean, old_variance, 0.01), rtol=1e-12
    )
    assert_same(layer.moving_mean.numpy(), old_mean)

    mean, variance = statistics(x, axis)
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(
        y, normalized(x, axis, gamma, beta, mean, variance, 0.01), rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.7 * old_mean + 0.3 * mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.7 * old_variance + 0.3 * variance, rtol=1e-12)


@pytest.mark.parametrize("layout", ["rows", "images, channels first"])
@pytest.mark.parametrize("features", [1, 3, 16, 37])
def test_statistics_are_accurate(features, layout):
    """To 1e-6 relative, in float32, where the mean is ten thousand times the deviation."""
    generator = np.random.default_rng(3)
    deviation = generator.uniform(0.5, 2, features)
    x = deviation * (1e4 + generator.standard_normal((1000, features)))
    axis = -1
    if layout != "rows":
        x, axis = x.reshape(10, 100, features).transpose(0, 2, 1), 1
    x = np.ascontiguousarray(x, dtype="float32")
    layer = layers.BatchNormalization(axis=axis, momentum=0.0)
    layer(x, training=True)
    mean, variance = statistics(x.astype("float64"), axis)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-6)


@pytest.mark.parametrize("floor", [-np.inf, 0.0])
def test_many_images_are_summed_in_groups(floor):
    """What comes out is what the same numbers give as rows, which are summed in one pass."""
    generator, n = np.random.default_rng(3), 7
    x = generator.normal(2, 3, (16, 16, 17, n))
    gy, gamma, beta = generator.standard_normal(x.shape), generator.uniform(0.5, 2, n), generator.standard_normal(n)
    found = []
    for samples in (1, 16):
        operands = [Tensor(value, requires_grad=True) for value in (x, np.ones(n), gamma, beta)]
        moving = {"moving_mean": np.zeros((1, n)), "moving_variance": np.ones((1, n)), "momentum": 0.9}
        y = ops.batch_normalization(*operands, **moving, epsilon=1e-3, floor=floor, samples=samples)
        y.backward(gy)
        found.append([y.numpy(), *moving.values(), *(operand.grad for operand in operands)])
    for of_rows, of_images in zip(*found, strict=True):
        np.testing.assert_allclose(of_images, of_rows, rtol=1e-9, atol=1e-9)


def test_statistics_of_the_fused_layers_are_accurate():
    """The same where Sequential computes Dense, BatchNormalization and relu in one pass; a large bias."""
    x = np.random.default_rng(3).standard_normal((500, 1)).astype("float32")
    model = keras.Sequential([
        keras.Input((1,)),
        layers.Dense(2, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(1e4)),
        layers.BatchNormalization(momentum=0.0),
        layers.ReLU(),
    ])
    model(x, training=True)
    norm = model.layers[1]
    np.testing.assert_allclose(norm.moving_mean.numpy(), [x.astype("float64").mean() + 1e4] * 2, rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), [x.astype("float64").var()] * 2, rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 1.0])
def test_momentum(momentum):
    layer = layers.BatchNormalization(momentum=momentum)
    x = random_input((20, 3), dtype="float32")
    trained = layer(x, training=True).numpy()
    mean, variance = statistics(x.astype("float64"), -1)
    np.testing.assert_allclose(layer.moving_mean.numpy(), (1 - momentum) * mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(layer.moving_variance.numpy(), momentum + (1 - momentum) * variance, rtol=1e-5)
    is_equal = np.allclose(layer(x).numpy(), trained, rtol=1e-5, atol=1e-6)
    assert is_equal is (momentum == 0)


def test_without_momentum_evaluating_equals_training():
    x, y = data(32)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4),
            layers.BatchNormalization(momentum=0.0),
            layers.ReLU(),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    trained = model.train_on_batch(x, y)
    assert model.test_on_batch(x, y) == pytest.approx(trained, rel=1e-5)


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_frozen_layer_runs_in_inference_mode(rank):
    layer = layers.BatchNormalization(trainable=False)
    x = random_input((6, 4, 3, 5)[-rank:], dtype="float32")
    layer.build(x.shape)
    shaken(layer)
    before = layer.get_weights()
    assert_same(layer(x, training=True).numpy(), layer(x, training=False).numpy())
    assert_same(layer.get_weights(), before)
    assert len(layer.non_trainable_weights) == 4
    layer.trainable = True
    assert not np.allclose(layer(x, training=True).numpy(), layer(x, training=False).numpy())


def test_a_model_with_a_frozen_layer_trains_as_with_its_inference_formula():
    """The layers around it learn; the same gradient comes from a Dense layer that computes the same line."""
    x, y = data(24)
    model = network(metrics=[])
    norm = model.layers[1]
    shaken(norm)
    norm.trainable = False
    gamma, beta, mean, variance = (w.astype("float64") for w in norm.get_weights())
    slope = gamma / np.sqrt(variance + norm.epsilon)
    twin = keras.Sequential([
        keras.Input((5,)), layers.Dense(4), layers.Dense(4, trainable=False), layers.ReLU(),
        layers.Dense(1, activation="sigmoid"),
    ])
    kernel, bias, *_, last, last_bias = model.get_weights()
    twin.set_weights([kernel, bias, np.diag(slope), beta - slope * mean, last, last_bias])
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    twin.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    losses = [
        m.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"] for m in (model, twin)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], twin.get_weights()[0], rtol=1e-4, atol=1e-6)
    assert losses[0][-1] < losses[0][0]


def test_mask():
    layer = layers.BatchNormalization(momentum=0.5, dtype="float64")
    x = random_input((4, 3, 5)) * 2 + 1
    mask = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]], bool)
    y = layer(x, training=True, mask=mask).numpy()
    kept = x[mask]
    count = len(kept) + 1e-7
    mean = kept.sum(0) / count
    variance = ((kept - mean) ** 2).sum(0) / count
    one = np.ones(5)
    np.testing.assert_allclose(
        y, normalized(x, -1, one, 0 * one, mean, variance, 1e-3), rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.5 * mean, rtol=1e-10)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.5 + 0.5 * variance, rtol=1e-10)
    full = layers.BatchNormalization(dtype="float64")(x, training=True).numpy()
    everything = layers.BatchNormalization(dtype="float64")(
        x, training=True, mask=np.ones((4, 3), bool)
    ).numpy()
    np.testing.assert_allclose(everything, full, rtol=1e-6)
    moved = layers.BatchNormalization(axis=1, dtype="float64")(
        x.transpose(0, 2, 1), training=True, mask=mask
    ).numpy()
    np.testing.assert_allclose(moved.transpose(0, 2, 1), y, rtol=1e-10, atol=1e-12)


def test_a_mask_may_be_broadcast():
    layer = layers.BatchNormalization(momentum=0.5)
    layer(np.arange(24, dtype="float32").reshape(1, 2, 3, 4), training=True, mask=np.array([[[1], [0]]], bool))
    np.testing.assert_allclose(layer.moving_mean, [2.0, 2.5, 3.0, 3.5], rtol=1e-6)  # Keras
    np.testing.assert_allclose(layer.moving_variance, [5.8333335] * 4, rtol=1e-6)


@pytest.mark.parametrize("make", [
    layers.LayerNormalization, layers.RMSNormalization, lambda: layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])
])
def test_axes_counted_from_the_end_leave_the_others_free(make):
    layer, x = make(), random_input((4, 3, 5, 2), dtype="float32")
    layer.build((None, 5, 2))
    np.testing.assert_allclose(layer(x)[1], layer(x[1]), rtol=1e-6)
    with pytest.raises(ValueError, match="value 2"):
        layer(x[..., :1])


def test_gradient_with_mask():
    mask = np.array([[1, 1, 0], [1, 0, 1]], bool)
    gradcheck(
        lambda x: layers.BatchNormalization(dtype="float64")(x, training=True, mask=mask),
        keras.Tensor(random_input((2, 3, 5)), requires_grad=True),
    )


@pytest.mark.parametrize("shape", [(4, 5), (4,), (3, 4), (4, 3, 5)])
def test_mask_of_a_wrong_shape(shape):
    layer = layers.BatchNormalization(name="it")
    layer.build((4, 3, 5))
    before = layer.get_weights()
    with pytest.raises(ValueError, match="it.*mask"):
        layer(random_input((4, 3, 5)), training=True, mask=np.ones(shape, bool))
    assert_same(layer.get_weights(), before)


@pytest.mark.parametrize("clipping", [None, {"rmin": 0.9, "rmax": 1.1, "dmax": 0.1}, {"dmax": 0.0}])
def test_renorm(clipping):
    layer = layers.BatchNormalization(
        renorm=True, renorm_clipping=clipping, momentum=0.8, renorm_momentum=0.7, dtype="float64",
        moving_variance_initializer=keras.initializers.Constant(4.0),
    )
    limits = {"rmin": -np.inf, "rmax": np.inf, "dmax": np.inf, **(clipping or {})}
    generator = np.random.default_rng(2)
    moving_mean, moving_stddev = np.zeros(3), np.full(3, 2.0)
    renorm_mean, renorm_stddev = moving_mean, moving_stddev
    for _ in range(4):
        x = generator.standard_normal((6, 3)) * 3 + 1
        mean, deviation = x.mean(0), np.sqrt(x.var(0) + 1e-3)
        long_run = np.maximum(renorm_stddev, np.sqrt(1e-3))
        r = np.clip(deviation / long_run, limits["rmin"], limits["rmax"])
        d = np.clip((mean - renorm_mean) / long_run, -limits["dmax"], limits["dmax"])
        tensor = keras.Tensor(x, requires_grad=True)
        y = layer(tensor, training=True)
        np.testing.assert_allclose(y.numpy(), (x - mean) / deviation * r + d, rtol=1e-10, atol=1e-12)
        # r and d are constants for the gradient: it is that of plain normalization, times r.
        g = generator.standard_normal(y.shape)
        y.backward(g)
        h = (x - mean) / deviation
        expected = r / deviation * (g - g.mean(0) - h * (g * h).mean(0))
        np.testing.assert_allclose(tensor.grad, expected, rtol=1e-9, atol=1e-12)
        moving_mean, moving_stddev = 0.8 * moving_mean + 0.2 * mean, 0.8 * moving_stddev + 0.2 * deviation
        renorm_mean, renorm_stddev = 0.7 * renorm_mean + 0.3 * mean, 0.7 * renorm_stddev + 0.3 * deviation
        for variable, value in [
            (layer.moving_mean, moving_mean),
            (layer.moving_stddev, moving_stddev),
            (layer.renorm_mean, renorm_mean),
            (layer.renorm_stddev, renorm_stddev),
            (layer.moving_variance, np.maximum(moving_stddev**2 - 1e-3, 0)),
        ]:
            np.testing.assert_allclose(variable.numpy(), value, rtol=1e-10)
    inference = (x - moving_mean) / np.sqrt(layer.moving_variance.numpy() + 1e-3)
    np.testing.assert_allclose(layer(x).numpy(), inference, rtol=1e-10)


def test_a_bias_before_it_learns_nothing():
    x, y = data()
    model = network()
    dense, norm = model.layers[:2]
    model(x, training=True)
    loss = keras.losses.BinaryCrossentropy()(y, model(x, training=True))
    loss.backward()
    assert_same(dense.bias.grad, np.zeros(4, "float32"))
    assert np.abs(dense.kernel.grad).max() > 1e-4 and np.abs(norm.beta.grad).max() > 1e-4
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    assert_same(dense.bias.numpy(), np.zeros(4, "float32"))


def test_scaling_the_weights_before_it_leaves_the_loss_and_divides_the_gradient():
    x, y = data(dtype="float64")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4, dtype="float64"),
            layers.BatchNormalization(epsilon=0.0, dtype="float64"),
            layers.ReLU(dtype="float64"),
            layers.Dense(1, activation="sigmoid", dtype="float64"),
        ]
    )
    kernel = model.layers[0].kernel

    def loss_and_gradient():
        kernel.grad = None
        loss = keras.losses.BinaryCrossentropy()(y, model(x, training=True))
        loss.backward()
        return float(loss), kernel.grad.copy()

    loss, gradient = loss_and_gradient()
    assert abs(np.vdot(kernel.numpy(), gradient)) < 1e-12 * np.abs(gradient).sum()
    kernel.assign(kernel.numpy() * 10)
    scaled_loss, scaled_gradient = loss_and_gradient()
    assert scaled_loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(scaled_gradient * 10, gradient, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("options", [{}, {"renorm": True}])
def test_a_training_batch_of_no_rows_is_refused(options):
    """There is no row to read, and no mean: the moving statistics would become NaN."""
    layer = layers.BatchNormalization(name="it", **options)
    assert layer(np.zeros((0, 4), "float32")).shape == (0, 4)
    with pytest.raises(ValueError, match="'it'.*no rows"):
        layer(np.zeros((0, 4), "float32"), training=True)
    assert_same(layer.moving_mean.numpy(), np.zeros(4, "float32"))


@pytest.mark.parametrize("shape, axis", [((1, 4), -1), ((1, 4, 1), 1), ((1, 1, 4), -1)])
def test_a_training_batch_of_one_row_warns(shape, axis):
    layer = layers.BatchNormalization(axis=axis, name="it", beta_initializer=keras.initializers.Constant(0.5))
    with pytest.warns(UserWarning, match="'it'.*one row"):
        y = layer(random_input(shape), training=True)
    assert_same(y.numpy(), np.full(shape, 0.5, "float32"))
    with Quiet():
        layer(random_input(shape))
        layer(
            random_input(
                (1, 4, 2)[: len(shape)] if len(shape) == 2 else (1, 4, 2) if axis == 1 else (1, 2, 4)
            )
        )
        layer.trainable = False
        layer(random_input(shape), training=True)


def test_positions_count_as_rows():
    with Quiet():
        layers.BatchNormalization()(random_input((1, 3, 4)), training=True)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_short_last_batch_of_one_row_warns(run_eagerly):
    x, y = data(17)
    model = network(run_eagerly=run_eagerly)
    with pytest.warns(UserWarning, match="'batch_normalization'.*one row"):
        model.fit(x, y, batch_size=8, verbose=0)


# ------------------------------------------------------------------------------------- LayerNormalization


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], (-2, -1)])
def test_layer_normalization_formula(axis):
    x = random_input((4, 3, 5)) * 3 + 2
    layer = layers.LayerNormalization(axis, epsilon=0.01, dtype="float64")
    layer.build(x.shape)
    shaken(layer)
    axes = tuple(sorted(np.atleast_1d(axis) % 3))
    shape = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    gamma, beta = (w.reshape(shape) for w in layer.get_weights())
    h = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.01)
    for training in (False, True):
        np.testing.assert_allclose(layer(x, training=training).numpy(), gamma * h + beta, rtol=1e-12, atol=1e-13)


def test_layer_normalization_golden():
    x = np.array([[1, 10], [3, 14], [8, 30]], "float32")
    expected = np.array([0.999975, 0.999983, 0.999996])
    np.testing.assert_allclose(layers.LayerNormalization()(x).numpy(), expected[:, None] * [-1, 1], atol=1e-6)


@pytest.mark.parametrize("features", [2, 3, 16, 1000])
def test_layer_normalization_keeps_its_digits(features):
    """In float32, where the mean is ten thousand times the deviation: as good as the input is."""
    x = (1e4 + np.random.default_rng(3).standard_normal((50, features))).astype("float32")
    exact = x.astype("float64")
    expected = (exact - exact.mean(1, keepdims=True)) / np.sqrt(exact.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(layers.LayerNormalization()(x).numpy(), expected, rtol=1e-5, atol=2e-5)


def test_a_nan_in_a_row_shows_in_that_row_only():
    x = random_input((4, 6), dtype="float32")
    x[2, 3] = np.nan
    for layer in (layers.LayerNormalization(), layers.RMSNormalization(), layers.UnitNormalization()):
        assert np.isnan(layer(x).numpy()).all(1).tolist() == [False, False, True, False]


def test_layer_normalization_ignores_shift_and_scale_of_a_row():
    x = random_input((4, 6)) * 50
    layer = layers.LayerNormalization(epsilon=0.0, dtype="float64")
    np.testing.assert_allclose(layer(x * 3 + 7).numpy(), layer(x).numpy(), rtol=1e-10, atol=1e-12)
    tensor = keras.Tensor(x, requires_grad=True)
    layer(tensor).backward(random_input(x.shape, 1))
    np.testing.assert_allclose(tensor.grad.sum(1), 0, atol=1e-14)
    np.testing.assert_allclose((tensor.grad * x).sum(1), 0, atol=1e-13)


def test_axis_of_a_built_layer_is_told_as_a_list():
    layer = layers.LayerNormalization()
    assert layer.get_config()["axis"] == -1
    layer.build((None, 4))
    assert layer.get_config()["axis"] == [-1]
    again = layers.LayerNormalization.from_config(layer.get_config())
    again.build((None, 4))
    assert again.gamma.shape == (4,)
