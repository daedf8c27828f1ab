"""Convolution and pooling: values against loops over windows, gradients, stray reads, and what is refused.

Each layer sits the exam in test_layers.py; beside the real Keras they are in peers/test_convolution_beside_keras.py.
"""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import kernels as K
from minigrad import launch, layers, ops
from minigrad.utils import gradcheck

RANDOM = np.random.default_rng(5)


def padded(x, size, strides, dilation, padding):
    """x with what "same" or "causal" puts around it, and how many windows there are along each axis."""
    pads, counts = [(0, 0)], []
    for n, k, s, d in zip(x.shape[1:-1], size, strides, dilation, strict=True):
        reach = (k - 1) * d + 1
        if padding == "valid":
            pads.append((0, 0))
            counts.append((n - reach) // s + 1)
        else:
            counts.append(-(-n // s))
            missing = max((counts[-1] - 1) * s + reach - n, 0)
            pads.append((reach - 1, 0) if padding == "causal" else (missing // 2, missing - missing // 2))
    return pads + [(0, 0)], counts


def windows(x, size, strides, dilation, padding, border=0.0):
    """The windows (n, *size, c), place by place."""
    pads, counts = padded(x, size, strides, dilation, padding)
    x = np.pad(x, pads, constant_values=border)
    for place in itertools.product(*map(range, counts)):
        begin = [i * s for i, s in zip(place, strides, strict=True)]
        where = [slice(b, b + (k - 1) * d + 1, d) for b, k, d in zip(begin, size, dilation, strict=True)]
        yield x[(slice(None), *where)]


def reduced(x, size, strides, dilation, padding, function, border=0.0):
    """function(window) at each place: (n, *counts, channels)."""
    values = [function(window) for window in windows(x, size, strides, dilation, padding, border)]
    return np.stack(values, axis=1).reshape(len(x), *padded(x, size, strides, dilation, padding)[1], -1)


def product(kernel):
    axes = list(range(1, kernel.ndim)), list(range(kernel.ndim - 1))
    return lambda window: np.tensordot(window, kernel, axes)


CONVOLUTIONS = [  # input, size of the window, filters, strides, dilation, padding
    ((2, 7, 6, 3), (3, 3), 5, (1, 1), (1, 1), "valid"),
    ((2, 7, 6, 1), (3, 2), 4, (1, 1), (1, 1), "same"),
    ((1, 8, 9, 2), (3, 3), 17, (2, 2), (1, 1), "same"),
    ((2, 9, 9, 4), (2, 3), 3, (2, 3), (1, 1), "valid"),
    ((2, 5, 5, 3), (2, 2), 4, (3, 3), (1, 1), "valid"),  # steps beyond the window
    ((2, 9, 8, 2), (3, 3), 3, (1, 1), (2, 3), "same"),
    ((2, 9, 8, 3), (3, 2), 4, (1, 1), (2, 2), "valid"),
    ((2, 4, 5, 3), (1, 1), 6, (1, 1), (1, 1), "valid"),  # a plain product
    ((2, 5, 5, 3), (1, 1), 4, (2, 2), (1, 1), "same"),
    ((3, 1, 1, 2), (1, 1), 2, (1, 1), (1, 1), "valid"),
    ((1, 3, 3, 2), (3, 3), 2, (1, 1), (1, 1), "valid"),  # one window
    ((2, 11, 3), (3,), 4, (1,), (1,), "same"),
    ((2, 11, 3), (3,), 4, (2,), (1,), "causal"),
    ((2, 12, 2), (2,), 3, (1,), (4,), "causal"),
]
every_convolution = pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: " ".join(map(str, case)))


@every_convolution
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(case, dtype):
    shape, size, filters, strides, dilation, padding = case
    x, kernel = RANDOM.standard_normal(shape), RANDOM.standard_normal((*size, shape[-1], filters))
    expected = reduced(x, size, strides, dilation, padding, product(kernel))
    y = ops.conv(x.astype(dtype), kernel.astype(dtype), strides, padding, None, dilation)
    assert y.dtype == dtype and y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)


def tensors(*arrays):
    return [keras.Tensor(array, dtype="float64", requires_grad=True) for array in arrays]


@every_convolution
def test_gradients(case):
    shape, size, filters, strides, dilation, padding = case
    x, kernel = RANDOM.standard_normal(shape), RANDOM.standard_normal((*size, shape[-1], filters))
    assert gradcheck(lambda x, k: ops.conv(x, k, strides, padding, None, dilation), *tensors(x, kernel))
    for times in (1, 2):
        kernel = RANDOM.standard_normal((*size, shape[-1], times))
        assert gradcheck(lambda x, k: ops.depthwise_conv(x, k, strides, padding, None, dilation), *tensors(x, kernel))
    if padding != "causal":
        kernel = RANDOM.standard_normal((*size, filters, shape[-1]))
        call = lambda x, k: ops.conv_transpose(x, k, strides, padding, None, None, dilation)
        assert gradcheck(call, *tensors(x, kernel))


@every_convolution
def test_depthwise_is_a_convolution_of_each_channel(case):
    shape, size, _, strides, dilation, padding = case
    x, kernel = RANDOM.standard_normal(shape), RANDOM.standard_normal((*size, shape[-1], 2))
    y = ops.depthwise_conv(x, kernel, strides, padding, None, dilation).numpy()
    for c in range(shape[-1]):
        one = ops.conv(x[..., c : c + 1], kernel[..., c : c + 1, :], strides, padding, None, dilation).numpy()
        np.testing.assert_allclose(y[..., 2 * c : 2 * c + 2], one, atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_the_transpose_is_one(strides, padding):
    """<A x, y> = <x, A^T y>, where A is a convolution of images as large as A^T makes them."""
    kernel, y = RANDOM.standard_normal((3, 2, 4, 5)), RANDOM.standard_normal((2, 4, 3, 5))
    turned = ops.conv_transpose(y, kernel, strides, padding).numpy()
    x = RANDOM.standard_normal(turned.shape)
    there = ops.conv(x, kernel, strides, padding).numpy()
    assert there.shape == y.shape
    np.testing.assert_allclose((there * y).sum(), (x * turned).sum())


def test_groups():
    x, kernel = RANDOM.standard_normal((2, 6, 5, 6)), RANDOM.standard_normal((3, 3, 2, 9))
    parts = [ops.conv(x[..., 2 * g : 2 * g + 2], kernel[..., 3 * g : 3 * g + 3]).numpy() for g in range(3)]
    np.testing.assert_allclose(ops.conv(x, kernel).numpy(), np.concatenate(parts, -1))
    assert gradcheck(lambda x, k: ops.conv(x, k), *tensors(x, kernel))


POOLS = [
    ((2, 7, 6, 3), (2, 2), (2, 2), "valid"), ((2, 7, 6, 3), (2, 2), (2, 2), "same"),
    ((1, 6, 9, 17), (3, 2), (1, 2), "same"), ((2, 5, 5, 1), (3, 3), (1, 1), "valid"),
    ((2, 9, 3), (4,), (3,), "same"), ((2, 9, 3), (2,), (3,), "valid"),
]  # fmt: skip


@pytest.mark.parametrize("case", POOLS, ids=lambda case: " ".join(map(str, case)))
def test_pooling(case):
    shape, size, strides, padding = case
    x = RANDOM.permutation(np.prod(shape)).reshape(shape) * 0.1
    axes, one = tuple(range(1, len(size) + 1)), (1,) * len(size)
    largest = reduced(x, size, strides, one, padding, lambda w: w.max(axes), -np.inf)
    mean = reduced(x, size, strides, one, padding, lambda w: np.nanmean(w, axes), np.nan)
    np.testing.assert_allclose(ops.max_pool(x, size, strides, padding).numpy(), largest)
    np.testing.assert_allclose(ops.average_pool(x, size, strides, padding).numpy(), mean)
    for pool in (ops.max_pool, ops.average_pool):
        assert gradcheck(lambda x, pool=pool: pool(x, size, strides, padding), *tensors(x))


def test_of_several_largest_numbers_the_first_gets_the_gradient():
    x = keras.Tensor(np.ones((1, 2, 2, 1)), requires_grad=True)
    ops.max_pool(x, 2).backward(np.full((1, 1, 1, 1), 3.0))
    assert x.grad.ravel().tolist() == [3.0, 0.0, 0.0, 0.0]


def test_nan_is_never_hidden():
    x = np.zeros((1, 4, 4, 2), "f4")
    x[0, 1, 2, 0] = np.nan
    assert np.isnan(ops.max_pool(x, 2).numpy()[0, 0, 1, 0]) and not np.isnan(ops.max_pool(x, 2).numpy()[..., 1]).any()
    assert np.isnan(ops.average_pool(x, 2).numpy()).sum() == 1
    assert np.isnan(ops.conv(x, np.ones((2, 2, 2, 20), "f4")).numpy()).sum() == 4 * 20


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("above, before, high, wide, step, stride", [
    (1, 2, 7, 9, 1, 1), (-1, -2, 2, 2, 1, 1), (0, 9, 5, 8, 1, 1), (1, 0, 9, 10, 2, 3), (-3, -4, 4, 6, 2, 3)
])  # fmt: skip
def test_a_border_around_images_and_zeros_between_their_pixels(above, before, high, wide, step, stride, channels):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, channels))
    expected, y = np.full((2, high, wide, channels), 7.0), np.empty((2 * high * wide, channels))
    for line, column in np.ndindex(4, 5):
        there = above + line * step, before + column * stride
        if 0 <= there[0] < high and 0 <= there[1] < wide:
            expected[(slice(None), *there)] = x[:, line, column]
    geometry = np.array([[4, 5, above, before, high, wide, step, stride]])
    launch(K.pad_images, x.reshape(-1, channels), geometry, np.full((1, 1), 7.0), y)
    np.testing.assert_array_equal(y.reshape(expected.shape), expected)


def test_a_window_that_leaves_the_image_is_refused():
    x, w, y = np.zeros((4, 2)), np.zeros((2, 3)), np.zeros((2, 3))
    for places, shifts in ([[0, 7]], [[0, 1]]), ([[-1, 0]], [[0, 1]]):
        with pytest.raises(ValueError, match="leaves the image"):
            launch(K.convolve, x, np.array(places), np.array(shifts), w, np.zeros((1, 3)), np.zeros((1, 1)), y)

GUARDED = """
import ctypes, mmap
import numpy as np
from minigrad import kernels as K
from minigrad import launch
from minigrad.ops.convolution import _windows

libc, page = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE
kept, random = [], np.random.default_rng(0)

def guarded(shape, dtype, is_last, values=None):
    # Pages that nobody may touch stand before and behind the array, one of them right beside it.
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // page)
    memory = mmap.mmap(-1, (pages + 2) * page)
    kept.append(memory)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for first in (begin, begin + (pages + 1) * page):
        assert libc.mprotect(ctypes.c_void_p(first), page, 0) == 0
    array = np.ndarray(shape, dtype, memory, page + (pages * page - size if is_last else 0))
    array[...] = np.nan if values is None else values
    return array

for dtype in "float32", "float64":
    for is_last in (False, True):
        def given(*shape):
            return guarded(shape, dtype, is_last, random.standard_normal(shape))
        def table(values):
            return guarded(values.shape, "int64", is_last, values)
        def check(kernel, *operands, outputs):
            made = [guarded(shape, dtype, is_last) for shape in outputs]
            launch(kernel, *operands, *made)
            assert not any(np.isnan(one).any() for one in made), kernel
        for m, k, n in (1, 5, 3), (13, 1, 6), (7, 9, 17), (6, 33, 40), (9, 300, 1), (1, 64, 200), (5, 7, 95):
            a, b, bias = given(m, k), given(k, n), given(1, n)
            check(K.matmul, a, b, outputs=[(m, n)])
            check(K.affine, a, b, bias, outputs=[(m, n)])
            check(K.matmul_tn, given(k, m), b, outputs=[(m, n)])
            check(K.matmul_nt, a, given(n, k), outputs=[(m, n)])
        for shape, size, f, strides in (
            ((2, 7, 6, 3), (3, 3), 5, (1, 1)), ((2, 7, 6, 1), (3, 2), 16, (1, 1)), ((2, 9, 9, 4), (2, 3), 33, (2, 3)),
            ((1, 3, 3, 2), (3, 3), 2, (1, 1)), ((2, 13, 5, 6), (5, 5), 17, (1, 1)), ((3, 1, 1, 2), (1, 1), 2, (1, 1)),
        ):
            windows = _windows("conv", shape, size, strides, (1, 1), "valid")
            c, r, pixels, taps = shape[3], windows.rows, int(np.prod(shape[:3])), size[0] * size[1]
            places, each, whole = (table(t) for t in (windows.places(c), windows.shifts(c), windows.shifts(c, False)))
            x, gy, w, narrow = given(pixels, c), given(r, f), given(taps * c, f), given(r, c)
            floor = guarded((1, 1), dtype, is_last, -np.inf)
            check(K.convolve, x, places, each, w, given(1, f), floor, outputs=[(r, f)])
            check(K.convolve_tn, x, places, each, gy, outputs=[w.shape])
            check(K.convolve_tn_groups, x, places, each, gy, outputs=[(shape[0], w.size)])
            check(K.convolve_back, gy, w, places, each, outputs=[x.shape])
            check(K.convolve_depthwise, x, places, whole, given(taps, c), outputs=[(r, c)])
            check(K.convolve_depthwise_tn, x, places, whole, narrow, outputs=[(shape[0], taps * c)])
            largest = guarded((r, c), dtype, is_last)
            launch(K.max_pool, x, places, whole, largest)
            check(K.max_pool_vjp, x, places, whole, largest, narrow, outputs=[x.shape])
            check(K.sum_pool, x, places, whole, given(r, 1), outputs=[(r, c)])
            check(K.sum_pool_vjp, narrow, places, whole, given(r, 1), outputs=[x.shape])
print("untouched")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is protected by Linux' mprotect")
def test_nothing_beside_the_operands_is_touched():
    """A stray read or write ends the process: every operand stands beside a page that nobody may touch."""
    done = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "untouched\n", f"{done.returncode} {done.stderr[-2000:]}"


def network(dtype="float32"):
    return keras.Sequential([
        keras.Input((9, 8, 1)),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(20, 2, strides=2, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.SpatialDropout2D(0.2, seed=1),
        layers.SeparableConv2D(5, 2),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip


def test_eager_is_replay_to_the_bit():
    x, y = RANDOM.standard_normal((50, 9, 8, 1)).astype("f4"), RANDOM.integers(0, 3, 50)
    models = []
    for run_eagerly in (False, True):
        keras.utils.set_random_seed(3)
        model = network()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=run_eagerly)
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        models.append(model)
    assert models[0].train_program is not None and models[1].train_program is None
    assert models[0].history.history == models[1].history.history
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        assert_same(a, b)
    assert_same(*(model.predict(x, verbose=0) for model in models))


def test_a_small_network_learns():
    keras.utils.set_random_seed(0)
    x = RANDOM.standard_normal((300, 9, 8, 1)).astype("f4") * 0.3
    y = RANDOM.integers(0, 2, 300)
    x[y == 1, 2:5, 3:5] += 1.0
    model = keras.Sequential([
        layers.Conv2D(8, 3, activation="relu"), layers.GlobalMaxPooling2D(), layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=10, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_images_of_any_size():
    x = keras.Input((None, None, 3))
    model = keras.Model(x, layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, padding="same")(x)))
    for size in (5, 8):
        assert model.predict(np.ones((2, size, size + 1, 3)), verbose=0).shape == (2, 4)


@pytest.mark.parametrize("make, shape, message", [
    (lambda: layers.Conv2D(4, 3), (None, 28, 28), r"'it' \(Conv2D\) takes images.*one channel: x\[..., None\]"),
    (lambda: layers.Conv2D(4, 5), (None, 4, 4, 1), r"'it' \(Conv2D\): its window of \(5, 5\) is larger"),
    (lambda: layers.MaxPooling2D(3), (None, 2, 9, 1), r"'it' \(MaxPooling2D\): its window of \(3, 3\) is larger"),
    (lambda: layers.Conv2D(4, 3, groups=2), (None, 9, 9, 3), "3 channels can't be divided into 2 groups"),
    (lambda: layers.Cropping2D(3), (None, 6, 9, 1), "nothing is left"),
    (lambda: layers.Conv1D(4, 3), (None, 9, 9, 1), "takes sequences"),
])  # fmt: skip
def test_inputs_that_do_not_fit(make, shape, message):
    layer = make()
    layer.name = "it"
    with pytest.raises(ValueError, match=message):
        layer(keras.Input(shape[1:]))


@pytest.mark.parametrize("make, message", [
    (lambda: layers.Conv2D(0, 3), "filters must be a positive integer"),
    (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size must be an int or 2 of them"),
    (lambda: layers.Conv2D(4, 3, padding="full"), "padding must be 'valid' or 'same'; got 'full'"),
    (lambda: layers.Conv2D(4, 3, padding="causal"), "padding must be"),
    (lambda: layers.Conv2D(4, 3, data_format="channels_first"), "np.moveaxis"),
    (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "can't both be above 1"),
    (lambda: layers.Conv2D(4, 3, groups=3), "can't be divided into 3 groups"),
    (lambda: layers.MaxPooling2D(0), "pool_size must be an int or 2 of them, at least 1"),
    (lambda: layers.ZeroPadding2D(-1), "padding must be an int, or for each axis"),
    (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=2), "smaller than the strides"),
])  # fmt: skip
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_average_of_a_sequence_leaves_out_what_is_masked():
    x = np.array([[[1.0], [3.0], [0.0]]], "f4")
    y = layers.GlobalAveragePooling1D()(layers.Masking()(x))
    assert y.numpy().tolist() == [[2.0]]


# ------------------------------------------------------------------------------- beside Batch Normalization, in words


def normalized_network():
    """Each kind of convolution with a bias and a BatchNormalization behind it, trained a little."""
    keras.utils.set_random_seed(1)
    image = h = keras.Input((12, 12, 3))
    for layer in (
        layers.Conv2D(8, 3, padding="same"),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.SeparableConv2D(6, 3, strides=2),
        layers.Conv2DTranspose(5, 3, strides=2),
    ):
        h = layers.Activation("relu")(layers.BatchNormalization(momentum=0.5)(layer(h)))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(h)))
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((32, 12, 12, 3))
    model.fit(x, np.random.default_rng(1).random((32, 3)), batch_size=16, epochs=2, verbose=0)
    return model, x


def test_batch_normalization_melts_into_convolutions():
    model, x = normalized_network()
    keras.utils.recompute_batch_statistics(model, x)
    folded = keras.utils.fold_batchnorm(model)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    np.testing.assert_allclose(folded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_a_convolution_with_batch_normalization_behind_it_is_one_step():
    """Its bias is not added, which would only shift the mean; the training is that of the layers one by one."""
    model, x = normalized_network()
    names = [kernel.name for kernel, *_ in model.train_program.instructions]
    assert "add_row" not in names and names.count("relu") == 0
    by_layers = keras.models.clone_model(model)
    by_layers.set_weights(model.get_weights())
    outputs = [h := x.astype("float32")]
    for layer in by_layers.layers[1:]:
        outputs.append(h := layer(h, training=True))
    np.testing.assert_allclose(model(x, training=True).numpy(), outputs[-1].numpy(), rtol=1e-4, atol=1e-5)


def test_windows_in_words(capsys):
    model = keras.Sequential([
        layers.Input((28, 30, 1)), layers.Conv2D(4, (3, 5), strides=2), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(2),
    ])  # fmt: skip
    model.summary(show_windows=True)
    text = capsys.readouterr().out
    assert "3x5" in text and "Windows" in text
    model.predict(np.zeros((3, 28, 30, 1)), verbose=0)
    assert "[13x13 windows per image, stride 2], [window 3x5]" in repr(model.predict_program)
