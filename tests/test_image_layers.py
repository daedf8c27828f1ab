"""Images resized, moved and changed at random: beside golden numbers of Keras, gradients, draws, and what is refused.

Each layer sits the exam in test_layers.py too, where replayed steps equal eager ones.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same

import minigrad as keras
from minigrad import kernels as K
from minigrad import launch, layers, ops
from minigrad.ops.image import INTERPOLATIONS
from minigrad.utils import gradcheck

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_images as golden

X, RANDOM = golden.X, np.random.default_rng(5)


def test_all_golden_numbers_of_keras():
    expected, found = dict(np.load(golden.FIXTURE)), golden.results(keras)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        np.testing.assert_allclose(found[name], value, rtol=2e-6, atol=2e-5, err_msg=name)


def tensor(x):
    return keras.Tensor(x, dtype="float64", requires_grad=True)


@pytest.mark.parametrize("way", INTERPOLATIONS)
def test_gradients_of_resizing(way):
    for antialias in (False, True):
        assert gradcheck(lambda x: ops.image.resize(x, (7, 3), way, antialias), tensor(X))
        assert gradcheck(lambda x: ops.image.resize(x, (2, 9), way, antialias), tensor(X[0]))


@pytest.mark.parametrize("way", ["nearest", "bilinear"])
@pytest.mark.parametrize("mode", golden.FILL_MODES)
def test_gradients_of_moving(mode, way):
    for where in (golden.WHERE, golden.WHERE[:1]):
        assert gradcheck(lambda x: ops.image.affine_transform(x, where, way, mode, 1.5), tensor(X))


@pytest.mark.parametrize("way", INTERPOLATIONS)
def test_an_image_of_one_colour_stays_so_and_its_size_is_kept_exactly(way):
    y = ops.image.resize(np.full((1, 13, 6, 1), 3.0), (5, 17), way, True)
    np.testing.assert_allclose(y.numpy(), 3.0)
    assert_same(ops.image.resize(X, X.shape[1:3], way).numpy(), X)


def test_integers_stay_integers():
    y = ops.image.resize(np.array([[[0], [3]]]), (1, 4))
    assert y.dtype == "int64" and y.numpy().ravel().tolist() == [0, 1, 2, 3]


def test_nan_reaches_no_pixel_that_it_has_no_part_in():
    x = np.zeros((1, 4, 4, 1), "f4")
    x[0, 0, 0] = np.nan
    assert np.isnan(ops.image.resize(x, (8, 8)).numpy()).sum() == 9
    assert np.isnan(layers.RandomFlip(seed=1)(x, training=True).numpy()).sum() == 1
    far = np.array([np.nan, 0, 0, 0, 1e30, np.inf, 0, 0], "f4")
    assert (ops.image.affine_transform(np.ones((1, 3, 3, 1)), far, fill_value=7.0).numpy() == 7).all()


def test_kernels_refuse_arrays_that_do_not_fit():
    x, y, first, weights = np.zeros((4, 2)), np.zeros((6, 2)), np.zeros((1, 3), "i8"), np.ones((3, 2))
    for bad in (first - 1, first + 1):
        with pytest.raises(ValueError, match="outside"):
            launch(K.mix_rows, x, bad, weights, y)
    with pytest.raises(ValueError, match="as many"):
        launch(K.mix_rows, x, first, weights, np.zeros((6, 1)))
    with pytest.raises(ValueError, match="geometry"):
        launch(K.sample, x, np.zeros((1, 8)), np.array([[1, 2, 3, 2, 3, 0, 0]]), np.zeros((1, 1)), y)
    with pytest.raises(ValueError, match="one transform"):
        launch(K.sample, x, np.zeros((1, 6)), np.array([[1, 2, 2, 2, 3, 0, 0]]), np.zeros((1, 1)), y)


# ------------------------------------------------------------------------------------------------- augmentation


def outputs(layer, x, times=40):
    return np.stack([layer(x, training=True).numpy() for _ in range(times)])


@pytest.mark.parametrize("mode, axes", [("horizontal", [2]), ("vertical", [1]), ("horizontal_and_vertical", [1, 2])])
def test_flips(mode, axes):
    layer = layers.RandomFlip(mode, seed=2)
    y = outputs(layer, X)
    is_turned = (y == np.flip(X, axes)).all((2, 3, 4))
    assert (is_turned ^ (y == X).all((2, 3, 4))).all()
    assert 0.3 < is_turned.mean() < 0.7 and (is_turned[:, 0] != is_turned[:, 1]).any()
    assert_same(outputs(layers.RandomFlip(mode, seed=2), X), y)


def test_crops():
    """All images of a batch at the same place, each place at some time; in inference the middle, resized."""
    y = outputs(layers.RandomCrop(3, 3, seed=1), X, 80)
    found = {(i, j) for one in y for i in range(2) for j in range(3) if (one == X[:, i : i + 3, j : j + 3]).all()}
    assert len(found) == 6
    small = layers.RandomCrop(8, 4)
    assert_same(small(X, training=True).numpy(), ops.image.resize(X, (8, 4), crop_to_aspect_ratio=True).numpy())
    assert small(X, training=False).shape == (2, 8, 4, 2) and small.compute_output_shape((None, 9, 9, 2)) == (None, 8, 4, 2)


def test_contrast_and_brightness_change_each_image_by_its_own_factor():
    mean = X.mean((1, 2), keepdims=True)
    y = outputs(layers.RandomContrast((0.5, 0.3), (-99, 99), seed=1), X)
    factors = ((y - mean) / (X - mean)).reshape(40, 2, -1)
    np.testing.assert_allclose(factors.min(-1), factors.max(-1), rtol=1e-2)
    assert 0.69 < factors.min() < 0.75 and 1.4 < factors.max() < 1.51 and np.unique(factors[:, :, 0].round(5)).size > 70
    y = outputs(layers.RandomBrightness((-0.1, 0.2), (-50, 50), seed=1), X) - X
    assert -10.1 < y.min() < -8 and 17 < y.max() < 20.1
    assert outputs(layers.RandomBrightness(1.0, (2, 4)), X).min() == 2


def test_where_nobody_says_whether_it_trains_images_change():
    """As in Keras: called alone, also in a Sequential or a model of inputs and outputs."""
    stack = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation((0.1, 0.2))])
    symbols = keras.Input(X.shape[1:])
    for model in (stack, keras.Model(symbols, stack(symbols)), layers.RandomZoom((0.1, 0.2))):
        assert (model(X).numpy() != X).any() and (model(X, training=True).numpy() != X).any()
        assert (model(X[:1]).numpy() != model(X[:1]).numpy()).any()
        assert_same(model(X, training=False).numpy(), X)
    assert_same(stack.predict(X, verbose=0), X)
    alone = layers.RandomRotation((0.1, 0.2))
    assert alone(X[0]).shape == X[0].shape and alone.compute_output_shape((None, None, 3)) == (None, None, 3)

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.flip, self.seen = layers.RandomRotation((0.1, 0.2)), []

        def call(self, x, training=None):
            self.seen.append(training)
            return self.flip(x)

    model = Own()
    assert (model(X).numpy() != X).any()
    assert_same(model(X, training=False).numpy(), X)
    assert model.seen[-1] is False


def test_a_classifier_with_augmentation_in_front(tmp_path):
    """Its step is replayed, draws other numbers in each step, and goes on after loading as if it had not stopped."""

    def made():
        keras.utils.set_random_seed(1)
        keras.utils.clear_session()
        augment = keras.Sequential([
            layers.RandomFlip("horizontal"), layers.RandomTranslation(0.2, 0.2), layers.RandomRotation(0.1, "wrap"),
            layers.RandomZoom(0.1), layers.RandomContrast(0.2), layers.RandomBrightness(0.1),
        ])  # fmt: skip
        model = keras.Sequential([
            keras.Input((4, 5, 2)), augment, layers.Resizing(6, 6), layers.Rescaling(1 / 9),
            layers.SpectralNormalization(layers.Conv2D(4, 3)), layers.GroupNormalization(2), layers.Activation("relu"),
            layers.Flatten(), layers.Dense(2, activation="softmax"),
        ])  # fmt: skip
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    def trained(run_eagerly, epochs):
        model = made()
        model.run_eagerly = run_eagerly
        return model, model.fit(x, y, batch_size=5, epochs=epochs, verbose=0).history["loss"]

    x, y = RANDOM.uniform(0, 9, (12, 4, 5, 2)), np.arange(12) % 2
    (whole, losses), (eager, again) = trained(False, 4), trained(True, 4)
    assert losses == again and len(set(losses)) == 4
    folded = keras.utils.fold_batchnorm(whole)  # for inference, so without what changes images
    np.testing.assert_allclose(folded(x).numpy(), whole.predict(x, verbose=0), rtol=1e-5)
    assert whole.train_program is not None and eager.train_program is None
    trained(False, 2)[0].save(tmp_path / "half.keras")
    model = keras.models.load_model(tmp_path / "half.keras")
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    assert_same(whole.predict(x, verbose=0), model.predict(x, verbose=0))


def test_spectral_normalization():
    """After some steps the largest singular value is 1; the layer inside has the changed kernel; no step, no change."""
    layer = layers.SpectralNormalization(layers.Dense(4, name="inner"), name="outer")
    x = RANDOM.standard_normal((3, 6)).astype("f4")
    kept = layer(x, training=False).numpy()
    assert [w.path for w in layer.weights] == ["inner/kernel", "outer/vector_u", "inner/bias"]
    assert [w.name for w in layer.trainable_weights] == ["kernel", "bias"]
    assert_same(layer(x).numpy(), kept)
    for _ in range(30):
        layer(x, training=True)
    assert layer.layer.kernel is layer.kernel
    np.testing.assert_allclose(np.linalg.svd(layer.kernel.numpy())[1][0], 1.0, rtol=1e-4)
    table = layers.SpectralNormalization(layers.Embedding(5, 3))
    assert table(np.array([[1, 4]]), training=True).shape == (1, 2, 3)
    with pytest.raises(ValueError, match=r"layer 'plain' \(ReLU\) has neither a kernel nor embeddings"):
        layers.SpectralNormalization(layers.ReLU(name="plain"))(x)


def test_operations_on_images_in_a_graph_and_in_files(tmp_path):
    x = keras.Input((4, 5, 3))
    y = ops.image.pad_images(ops.image.rgb_to_grayscale(x), 1, 1, 2, 2)
    y = ops.image.resize(y, (6, 6), "bicubic", pad_to_aspect_ratio=True, fill_value=2.0)
    model = keras.Model(x, ops.image.crop_images(ops.image.affine_transform(y, golden.WHERE[0], fill_value=3.0), 1, 0, 1, 2))
    assert model.output_shape == (None, 4, 4, 1)
    model = keras.Model(x, ops.image.extract_patches(model(x), (2, 3), 1))
    assert model.output_shape == (None, 3, 2, 6)
    images = RANDOM.uniform(0, 9, (2, 4, 5, 3)).astype("f4")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_same(again.predict(images, verbose=0), model.predict(images, verbose=0))


@pytest.mark.parametrize("make, message", [
    (lambda: layers.RandomFlip("diagonal"), "mode must be 'horizontal'"),
    (lambda: layers.RandomFlip(data_format="channels_first"), "np.moveaxis"),
    (lambda: layers.RandomFlip(seed=0.5), "seed must be an int"),
    (lambda: layers.RandomRotation(2), r"factor must be a number in \[-1, 1\], or two of them; got 2"),
    (lambda: layers.RandomRotation((0.1, 0.2, 0.3)), "factor must be"),
    (lambda: layers.RandomRotation(0.1, "mirror"), "fill_mode must be 'constant' or 'nearest'"),
    (lambda: layers.RandomTranslation(0.1, "wide"), "width_factor must be a number"),
    (lambda: layers.RandomZoom(-1), r"height_factor must be a number in \(-1, 1\]"),
    (lambda: layers.RandomZoom(0.1, interpolation="bicubic"), "interpolation must be 'bilinear', 'nearest'"),
    (lambda: layers.RandomContrast(-0.1), r"factor must be a number in \[0, 1\]"),
    (lambda: layers.RandomBrightness(0.1, 255), "value_range must be two numbers"),
    (lambda: layers.RandomCrop(0, 3), "height must be a positive integer"),
    (lambda: layers.Resizing(3, 3, "cubic"), "interpolation must be 'nearest', 'bilinear', 'bicubic'"),
    (lambda: layers.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "not both"),
    (lambda: layers.Resizing(3, 3)(X[0, 0]), r"takes images.*got shape \(5, 2\).*x\[..., None\]"),
    (lambda: layers.RandomFlip()({"images": X, "labels": X}), "images alone"),
    (lambda: layers.GroupNormalization(0), "groups must be a positive int or -1"),
    (lambda: layers.GroupNormalization(3)(X), "2 channels can't be divided into 3 groups"),
    (lambda: layers.GroupNormalization(1, 0)(X), "axis 0 must name an axis of the input"),
    (lambda: layers.SpectralNormalization(layers.Dense(2), 0), "power_iterations must be a positive integer"),
    (lambda: ops.image.resize(X, (0, 3)), "two positive ints"),
    (lambda: ops.image.affine_transform(X, np.zeros((3, 8))), r"8 numbers, or 8 for each image; got shape \(3, 8\)"),
    (lambda: ops.image.rgb_to_grayscale(X), "three channels"),
    (lambda: ops.image.extract_patches(X, (5, 2)), "window shape cannot be larger"),
    (lambda: ops.image.pad_images(X, 1, 1, 1), "exactly two"),
    (lambda: ops.image.crop_images(X, 5, 0, 0, 0), "below 0 for an axis of 4 pixels"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
