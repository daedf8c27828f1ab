"""What the real Keras makes of images: resized, moved, normalized in groups, with a kernel of spectral norm 1.

`python tests/golden/make_images.py` writes images.npz; tests/test_image_layers.py computes the same with minigrad.
"""

from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).with_name("images.npz")
RANDOM = np.random.default_rng(3)
X = RANDOM.uniform(0, 9, (2, 4, 5, 2)).astype("float32")
LONG = RANDOM.uniform(0, 9, (1, 2, 11, 1)).astype("float32")
WHERE = np.float32([[1.1, 0.4, -2.6, -0.3, 0.8, 1.4, 0.02, 0.01], [-0.7, 0.2, 4.33, 0.1, -1.9, 6.23, 0, 0]])  # no sample lies halfway
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")
FILL_MODES = ("constant", "nearest", "reflect", "wrap")
PATCHES = (
    {"size": 2}, {"size": (3, 2), "strides": 1}, {"size": 3, "padding": "same"}, {"size": 2, "strides": 1, "dilation_rate": 2},
    {"size": (2, 3), "strides": (1, 2), "padding": "same"},
)  # fmt: skip


def results(keras):
    """Name -> array: what this Keras makes of the same images."""
    image, layers, found = keras.ops.image, keras.layers, {}

    def keep(name, value):
        found[name] = np.asarray(value)

    def augmented(name, *args, **kwargs):
        keep(f"{name} {args} {kwargs}", getattr(layers, name)(*args, **kwargs)(X, training=True))

    for way in INTERPOLATIONS:
        for antialias in (False, True):
            keep(f"resize {way} {antialias}", image.resize(X, (7, 3), way, antialias))
            keep(f"resize long {way} {antialias}", image.resize(LONG, (3, 4), way, antialias))
    keep("resize crop", image.resize(X, (6, 4), crop_to_aspect_ratio=True))
    keep("resize pad", image.resize(X[0], (3, 9), pad_to_aspect_ratio=True, fill_value=2.0))
    keep("pad", image.pad_images(X, top_padding=1, left_padding=0, target_height=7, right_padding=2))
    keep("crop", image.crop_images(X[0], bottom_cropping=1, left_cropping=2, target_height=2, target_width=2))
    keep("gray", image.rgb_to_grayscale(np.concatenate([X, X[..., :1]], -1)))
    for mode in FILL_MODES:
        for way in ("nearest", "bilinear"):
            keep(f"affine {mode} {way}", image.affine_transform(X, WHERE, way, mode, 1.5))
    keep("affine single", image.affine_transform(X[0], WHERE[0]))
    augmented("RandomTranslation", (0.3, 0.3), (-0.2, -0.2))
    augmented("RandomRotation", (0.07, 0.07), "constant", fill_value=3.0)
    augmented("RandomZoom", (0.3, 0.3), (-0.4, -0.4), "wrap")
    augmented("RandomZoom", (0.2, 0.2), interpolation="nearest")
    augmented("RandomBrightness", (0.3, 0.3), (0, 9))
    augmented("RandomContrast", (0, 0), (1, 8))
    augmented("CenterCrop", 2, 3)
    augmented("CenterCrop", 5, 3)
    augmented("UpSampling2D", 2, interpolation="bilinear")
    for groups, axis in ((2, -1), (-1, -1), (1, 1)):
        layer = layers.GroupNormalization(groups, axis, epsilon=0.1)
        layer.build(X.shape)
        layer.set_weights([np.linspace(1, 2, X.shape[axis]), np.linspace(0, 1, X.shape[axis])])
        keep(f"group {groups} {axis}", layer(X))
    for make in (lambda: layers.Conv2D(3, 2), lambda: layers.Dense(4, kernel_initializer="zeros")):
        layer = layers.SpectralNormalization(make(), power_iterations=2)
        layer.build(X.shape)
        layer.set_weights([np.sin(np.arange(w.size) + 1).reshape(w.shape) * bool(w.any()) for w in layer.get_weights()])
        for training in (True, True, False):
            y = layer(X, training=training)
        keep(f"spectral {layer.layer.name.rstrip('_0123456789')}", y)
        for i, weight in enumerate(layer.get_weights()):
            keep(f"spectral {layer.layer.name.rstrip('_0123456789')} {i}", weight)
    for arguments in PATCHES:
        keep(f"patches {arguments}", image.extract_patches(X, **arguments))
    return found


if __name__ == "__main__":
    import os

    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    np.savez_compressed(FIXTURE, **results(keras))
