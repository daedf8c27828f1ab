"""The networks of images.py, in the words of the Keras API and in PyTorch's, and the multiply-adds of their steps."""

from dataclasses import dataclass

CLASSES = 10
MOMENTUM, EPSILON = 0.99, 1e-3  # Keras' defaults for BatchNormalization


@dataclass(frozen=True)
class Network:
    title: str
    shape: tuple  # of one image or sequence, the channels last
    batch: int
    steps: int  # per epoch

    @property
    def rows(self):
        return self.batch * self.steps


NETWORKS = {
    "mnist": Network("28x28x1; 3x3 conv 32, 64, BatchNormalization, relu, pool 2; Dense", (28, 28, 1), 128, 16),
    "residual": Network("8x8x1; stem 16; residual blocks 16, 32/2, 64/2", (8, 8, 1), 32, 64),
    "lenet": Network("28x28x1; LeNet-5 with average pooling", (28, 28, 1), 64, 32),
    "resnet-20": Network("32x32x3; ResNet-20 of He et al.", (32, 32, 3), 128, 2),
    "separable": Network("28x28x1; 3x3 depthwise + 1x1 conv, 32-64-128", (28, 28, 1), 64, 8),
    "sensors": Network("128 steps of 9; three Conv1D 64, kernel 5; global max", (128, 9), 64, 32),
}


def data(name, rows=None):
    """Noise; the label is the strip of the image that has the largest mean, so that there is something to learn."""
    import numpy as np

    network = NETWORKS[name]
    rows = rows or network.rows
    x = np.random.default_rng(0).random((rows, *network.shape), dtype="float32")
    strips = np.array_split(x.reshape(rows, -1), CLASSES, axis=1)
    return x, np.argmax([strip.mean(1) for strip in strips], 0).astype("int32")


def build(keras, name):
    """The compiled model in the words of the Keras API."""
    layers = keras.layers
    x = h = keras.Input(NETWORKS[name].shape)

    def conv(h, filters, size=3, strides=1, padding="same", relu=True):
        h = layers.Conv2D(filters, size, strides, padding, use_bias=False)(h)
        h = layers.BatchNormalization()(h)
        return layers.Activation("relu")(h) if relu else h

    def block(h, filters, strides):
        inner = conv(conv(h, filters, strides=strides), filters, relu=False)
        if strides > 1:
            h = conv(h, filters, 1, strides, relu=False)
        return layers.Activation("relu")(layers.Add()([h, inner]))

    if name == "mnist":
        for filters in (32, 64):
            h = layers.MaxPooling2D(2)(conv(h, filters, padding="valid"))
        h = layers.Flatten()(h)
    elif name in ("residual", "resnet-20"):
        h = conv(h, 16)
        for stage, filters in enumerate((16, 32, 64)):
            for place in range(1 if name == "residual" else 3):
                h = block(h, filters, 2 if stage and not place else 1)
        h = layers.GlobalAveragePooling2D()(h)
    elif name == "lenet":
        for filters, padding in ((6, "same"), (16, "valid")):
            h = layers.AveragePooling2D(2)(layers.Conv2D(filters, 5, padding=padding, activation="tanh")(h))
        h = layers.Flatten()(h)
        for units in (120, 84):
            h = layers.Dense(units, activation="tanh")(h)
    elif name == "separable":
        for filters in (32, 64, 128):
            h = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(h)
            h = layers.Activation("relu")(layers.BatchNormalization()(h))
        h = layers.GlobalAveragePooling2D()(h)
    else:
        for _ in range(3):
            h = layers.Conv1D(64, 5, activation="relu")(h)
        h = layers.GlobalMaxPooling1D()(h)
    model = keras.Model(x, layers.Dense(CLASSES, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_torch(name):
    """The network in PyTorch, without the softmax: it belongs to the loss there."""
    from torch import nn

    channels = NETWORKS[name].shape[-1]

    def conv(inputs, filters, size=3, strides=1, padding=1, relu=True):
        parts = [nn.Conv2d(inputs, filters, size, strides, padding, bias=False), norm(filters)]
        return nn.Sequential(*parts, *[nn.ReLU()] * relu)

    def norm(filters):
        return nn.BatchNorm2d(filters, EPSILON, 1 - MOMENTUM)

    class Block(nn.Module):
        def __init__(self, inputs, filters, strides):
            super().__init__()
            first = conv(inputs, filters, strides=strides)
            self.inner = nn.Sequential(first, conv(filters, filters, relu=False))
            self.skip = conv(inputs, filters, 1, strides, 0, relu=False) if strides > 1 else nn.Identity()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.skip(x) + self.inner(x))

    def separable(inputs, filters):
        depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        return nn.Sequential(depthwise, nn.Conv2d(inputs, filters, 1, bias=False), norm(filters), nn.ReLU())

    class GlobalMax(nn.Module):
        def forward(self, x):
            return x.amax(-1)

    average = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if name == "mnist":
        body, width = [], channels
        for filters in (32, 64):
            body += [conv(width, filters, padding=0), nn.MaxPool2d(2)]
            width = filters
        body, width = [*body, nn.Flatten()], 64 * 5 * 5
    elif name in ("residual", "resnet-20"):
        body, width = [conv(channels, 16)], 16
        for stage, filters in enumerate((16, 32, 64)):
            for place in range(1 if name == "residual" else 3):
                body.append(Block(width, filters, 2 if stage and not place else 1))
                width = filters
        body += average
    elif name == "lenet":
        body = [nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh()]
        body += [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh()]
        width = 84
    elif name == "separable":
        body = [separable(channels, 32), separable(32, 64), separable(64, 128), *average]
        width = 128
    else:
        body, width = [], channels
        for _ in range(3):
            body += [nn.Conv1d(width, 64, 5), nn.ReLU()]
            width = 64
        body.append(GlobalMax())
    return nn.Sequential(*body, nn.Linear(width, CLASSES))


def multiplications(model, batch):
    """Multiply-adds of a training step: forward, gradient of the kernels, and of all inputs but the first."""
    total, is_first = 0, True
    for layer in model.layers:
        kernels = [w for w in layer.weights if w.name.endswith("kernel")]
        for kernel in kernels:
            shape = tuple(layer.output.shape)
            places = batch
            for n in shape[1:-1] if len(kernel.shape) > 2 else ():
                places *= n
            size = 1
            for n in kernel.shape:
                size *= n
            total += places * size * (2 if is_first else 3)
            is_first = False
    return total
