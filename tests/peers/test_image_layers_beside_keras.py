"""Random sizes, transforms and factors of images beside the real Keras; a network trained by both; files both ways."""

import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_images as golden

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]


@pytest.mark.parametrize("seed", range(10))
def test_operations(seed, keras):
    random = np.random.default_rng(seed)
    x = random.uniform(0, 255, (2, *random.integers(1, 20, 2), 3)).astype("f4")
    size = tuple(map(int, random.integers(1, 25, 2)))
    for way in golden.INTERPOLATIONS:
        for options in ({}, {"antialias": True}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
            theirs, ours = (np.asarray(k.ops.image.resize(x, size, way, **options)) for k in (keras, minigrad))
            np.testing.assert_allclose(ours, theirs, atol=2e-3, err_msg=f"{x.shape} {size} {way} {options}")
    still = np.array([1, 0, 0, 0, 1, 0, 0, 0])
    where = (still + random.standard_normal((2, 8)) * [0.5, 0.5, 9, 0.5, 0.5, 9, 0.01, 0.01]).astype("f4")
    for mode in golden.FILL_MODES:
        arguments = x, where, "bilinear", mode, 1.5
        theirs, ours = (np.asarray(k.ops.image.affine_transform(*arguments)) for k in (keras, minigrad))
        # Float32 places far outside of the image have few digits left; at edges of a constant these make a difference.
        assert (np.abs(ours - theirs) > 0.5).mean() < 0.01, (x.shape, mode)


@pytest.mark.parametrize("seed", range(10))
def test_layers_with_a_single_possible_factor(seed, keras):
    random = np.random.default_rng(seed)
    x = random.uniform(0, 1, (2, *random.integers(2, 20, 2), 3)).astype("f4")
    a, b = (float(f) for f in random.uniform(-0.9, 0.9, 2))
    mode = golden.FILL_MODES[seed % 4]
    for make in (
        lambda k: k.layers.RandomTranslation((a, a), (b, b), mode),
        lambda k: k.layers.RandomRotation((a, a), mode, fill_value=0.3),
        lambda k: k.layers.RandomZoom((a, a), (b, b), mode),
        lambda k: k.layers.RandomZoom((a, a), fill_mode=mode),
        lambda k: k.layers.RandomBrightness((a, a), (0, 1)),
    ):
        theirs, ours = (np.asarray(make(k)(x, training=True)) for k in (keras, minigrad))
        assert (np.abs(ours - theirs) > 1e-3).mean() < 0.01, (x.shape, mode, a, b)


def network(keras):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((6, 5, 2)), layers.Resizing(8, 8), layers.SpectralNormalization(layers.Conv2D(6, 3), 2),
        layers.GroupNormalization(3), layers.Activation("tanh"), layers.UpSampling2D(2, interpolation="bicubic"),
        layers.Conv2D(4, 3, strides=2), layers.GroupNormalization(-1), layers.CenterCrop(4, 4), layers.Flatten(),
        layers.SpectralNormalization(layers.Dense(3)), layers.Softmax(),
    ])  # fmt: skip


def test_a_network_trained_alike_and_its_files(keras, tmp_path):
    random = np.random.default_rng(1)
    x, y = random.uniform(0, 1, (40, 6, 5, 2)).astype("f4"), random.integers(0, 3, 40)
    theirs, ours = network(keras), network(minigrad)
    ours.set_weights(theirs.get_weights())
    for k, model in ((keras, theirs), (minigrad, ours)):
        model.compile(k.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    losses = [model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"] for model in (theirs, ours)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)
    for written, reader, name in ((theirs, minigrad, "theirs.keras"), (ours, keras, "ours.keras")):
        written.save(tmp_path / name)
        again = reader.models.load_model(tmp_path / name)
        for a, b in zip(again.get_weights(), written.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(again.predict(x, verbose=0), written.predict(x, verbose=0), atol=1e-5)
        again.fit(x, y, epochs=1, verbose=0)


def test_operations_in_files(keras, tmp_path):
    x = np.random.default_rng(1).uniform(0, 1, (2, 4, 5, 3)).astype("f4")
    for k, reader in ((keras, minigrad), (minigrad, keras)):
        symbol, image = k.Input((4, 5, 3)), k.ops.image
        y = image.resize(image.pad_images(symbol, 1, 1, 2, 2), (6, 6), pad_to_aspect_ratio=True, fill_value=2.0)
        y = image.crop_images(image.affine_transform(y, golden.WHERE[0], fill_value=3.0), 1, 0, 1, 2)
        model = k.Model(symbol, image.rgb_to_grayscale(y))
        model.save(tmp_path / "model.keras")
        again = reader.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
