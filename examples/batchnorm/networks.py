"""What several of these experiments share: a network with and without Batch Normalization, data, two measurements."""

import contextlib

import numpy as np
from sklearn.datasets import load_digits

import minigrad as keras
from minigrad.layers import Activation, BatchNormalization, Dense

PLAIN, NORMALIZED = False, True  # the two arms of most experiments


def network(
    depth, width, activation, normalized, inputs=64, outputs=10, initializer="glorot_uniform", after=False, **options
):
    """`depth` hidden layers of `width` units and a linear output layer.

    A hidden layer is Dense, activation, or with Batch Normalization Dense, BatchNormalization, activation (the other
    way round where it comes `after`). That Dense needs no bias: beta takes its place.

    Args:
        options: go to BatchNormalization, such as `momentum=0.9`.
    """
    layers = [keras.Input((inputs,))]
    for _ in range(depth):
        layers.append(Dense(width, kernel_initializer=initializer, use_bias=after or not normalized))
        block = [Activation(activation)]
        if normalized:
            block.insert(len(block) if after else 0, BatchNormalization(**options))
        layers += block
    return keras.Sequential([*layers, Dense(outputs)])


def classifier(*args, optimizer, **options):
    """A `network`, compiled to tell classes apart."""
    model = network(*args, **options)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def digits():
    """Handwritten digits (Alpaydin and Kaynak 1998): 1280 rows of 64 pixels to train on and 517 to test, scaled."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype("float32"), y[order].astype("float32")
    mean, deviation = x[:1280].mean(0), x[:1280].std(0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1)  # some pixels are always white
    return (x[:1280], y[:1280]), (x[1280:], y[1280:])


def accuracy(model, x, y):
    """The share of rows whose largest output is that of their class; what is not finite is wrong."""
    outputs = model(x).numpy()
    return np.mean((outputs.argmax(1) == y) & np.isfinite(outputs).all(1))


def trained_accuracy(data, seed, *args, epochs=20, batch_size=64, **options):
    """The test accuracy of one `classifier` after training, with settled statistics."""
    keras.utils.set_random_seed(seed)
    model = classifier(*args, **options)
    (x, y), test = data
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    settle(model, x)
    return accuracy(model, *test)


def settle(model, x):
    """Give Batch Normalization the statistics of all training rows, so that no comparison shows how moving ones lag.

    (Experiment 8 is about that lag.) A network that diverged has none: its statistics are NaN.
    """
    if not any(isinstance(layer, BatchNormalization) for layer in model.layers):
        return
    with np.errstate(all="ignore"):
        keras.utils.recompute_batch_statistics(model, x, batch_size=len(x))


@contextlib.contextmanager
def untouched(model):
    """Whatever is done to the model inside, afterwards it has the weights and moving statistics it had before."""
    weights = model.get_weights()
    yield
    model.set_weights(weights)
