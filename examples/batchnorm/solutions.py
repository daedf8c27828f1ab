"""Solutions of the exercises: two for each experiment, one that predicts and one that computes.

    python examples/batchnorm/solutions.py

Try first, then read. Each function below is the answer to one exercise, and checks itself.
"""

import math
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, accuracy, classifier, digits, network

import minigrad as keras
from minigrad import layers, ops

EPSILON = 1e-3
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RANDOM = np.random.default_rng(0)


def normals(*shape, mean=0.0, sd=1.0):
    """Normal numbers, float32."""
    return RANDOM.normal(mean, sd, shape).astype("float32")


def normalized(x, **options):
    """What a new BatchNormalization makes of x in training."""
    return layers.BatchNormalization(**options)(x, training=True).numpy()


def spread(x):
    return float(np.std(x))


def predict_01():
    """1, 2, 3 and 10, 20, 30 come out the same, -1.22, 0, 1.22: unit and zero point of a feature cancel."""
    a, b = (normalized(np.array([[1.0], [2], [3]]) * unit) for unit in (1, 10))
    return np.allclose(a, b, atol=1e-3) and np.allclose(a[:, 0], [-1.2247, 0, 1.2247], atol=2e-3)


def code_01():
    """gamma = sqrt(variance + epsilon) and beta = mean undo the layer."""
    x, layer = normals(32, 5, mean=3, sd=2), layers.BatchNormalization()
    layer.build(x.shape)
    layer.gamma.assign(np.sqrt(x.var(0) + EPSILON))
    layer.beta.assign(x.mean(0))
    return np.allclose(layer(x, training=True).numpy(), x, atol=1e-5)


def predict_02():
    """At a rate of 0.001 plain SGD gets neither network to 90% in 100 steps: rates must fit, with it and without."""
    (x, y), test = digits()
    ends = []
    for kind in (PLAIN, NORMALIZED):
        keras.utils.set_random_seed(0)
        model = classifier(3, 100, "sigmoid", kind, optimizer=keras.optimizers.SGD(0.001), momentum=0.9)
        model.fit(x, y, batch_size=64, epochs=5, verbose=0)
        ends.append(accuracy(model, *test))
    return max(ends) < 0.9


def code_02():
    """Momentum narrows the gap: the plain network needs fewer steps with it, and still more than the other."""
    (x, y), test = digits()

    def steps_to_goal(kind, momentum, goal=0.9, most=60):
        keras.utils.set_random_seed(0)
        model = classifier(3, 100, "sigmoid", kind, optimizer=keras.optimizers.SGD(0.3, momentum), momentum=0.9)
        for epoch in range(1, most + 1):
            model.fit(x, y, batch_size=64, epochs=1, verbose=0)
            if accuracy(model, *test) >= goal:
                return 20 * epoch
        return math.inf

    return steps_to_goal(NORMALIZED, 0.0) < steps_to_goal(PLAIN, 0.9) < steps_to_goal(PLAIN, 0.0)


def growth(activation, depth=30):
    """By how much the gradient grows per layer, in layers of 100 with Batch Normalization."""
    keras.utils.set_random_seed(0)
    (x, y), _ = digits()
    model = network(depth, 100, activation, NORMALIZED)
    LOSS(y[:128], model(x[:128], training=True)).backward()
    first, last = (np.linalg.norm(model.layers[i].kernel.grad) for i in (0, -4))
    return (first / last) ** (1 / (depth - 1))


def predict_03():
    """Without an activation nothing is left to divide by: the gradient keeps its size (within 3% per layer)."""
    return abs(growth("linear") - 1) < 0.03


def code_03():
    """Leaky ReLU of slope a: growth^2 = s / (s - (1 - a)^2 / (2 pi)), with s = (1 + a^2) / 2."""
    a = 0.3
    s = (1 + a**2) / 2
    theory = math.sqrt(s / (s - (1 - a) ** 2 / (2 * math.pi)))
    return abs(growth(lambda x: ops.leaky_relu(x, a)) - theory) < 0.04


def predict_04():
    """Weights a thousand times as large change nothing: mean and standard deviation grow with them."""
    x, w = normals(64, 20), normals(20, 5)
    return np.allclose(normalized(x @ w), normalized(x @ (1000 * w)), atol=1e-3)


def code_04():
    """Weights from 0.03 times He's size down: where the variance falls below epsilon, the output shrinks with them."""
    x, w = normals(256, 20), normals(20, 5, sd=math.sqrt(2 / 20))
    spreads = [spread(normalized(x @ (w * size))) for size in (1, 0.03, 0.003)]
    theory = [size * math.sqrt(2) / math.sqrt(2 * size**2 + EPSILON) for size in (1, 0.03, 0.003)]
    return np.allclose(spreads, theory, atol=0.1) and spreads[2] < 0.2


def predict_05():
    """After steps that are too large the weights are longer: they move at right angles to themselves."""
    (x, y), _ = digits()
    lengths = []
    for rate in (0.1, 10.0):
        keras.utils.set_random_seed(0)
        model = classifier(2, 100, "relu", NORMALIZED, optimizer=keras.optimizers.SGD(rate), momentum=0.9)
        model.fit(x, y, batch_size=64, epochs=2, verbose=0)
        lengths.append(np.linalg.norm(model.layers[0].kernel.numpy()))
    return lengths[1] > 3 * lengths[0]


def code_05():
    """One step of rate r makes |W|^2 larger by r^2 |gradient|^2, to within epsilon: Pythagoras."""
    keras.utils.set_random_seed(0)
    (x, y), _ = digits()
    model, rate = network(2, 100, "relu", NORMALIZED, epsilon=1e-7), 0.5
    w = model.layers[0].kernel
    LOSS(y[:64], model(x[:64], training=True)).backward()
    before = np.sum(w.numpy() ** 2)
    after = np.sum((w.numpy() - rate * w.grad) ** 2)
    return np.isclose(after - before, rate**2 * np.sum(w.grad**2), rtol=0.02)


def predict_06():
    """The noise falls with the root of the batch: the mean of 16 times as many samples is a quarter as noisy."""

    def noise(size):
        return np.std([normalized(np.concatenate([[[1.0]], normals(size - 1, 1)]))[0, 0] for _ in range(400)])

    return abs(noise(8) / noise(128) - 4) < 1


def code_06():
    """Behind Dropout of rate p, mean m and variance v become m and (v + m^2) / (1 - p) - m^2: it divides by 1 - p."""
    x, rate = np.abs(normals(4000, 1)), 0.5
    dropped = layers.Dropout(rate, seed=0)(x, training=True).numpy()
    theory = np.mean(x**2) / (1 - rate) - np.mean(x) ** 2  # E[d^2] = E[x^2] / (1 - rate), E[d] = E[x]
    return dropped.var() > 2 * x.var() and np.isclose(dropped.var(), theory, rtol=0.1)


def predict_07():
    """`Dense(32, activation="relu")` and then Batch Normalization: it normalizes what comes out of the relu."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(32, activation="relu"), layers.BatchNormalization()])
    y = model(normals(256, 8), training=True).numpy()
    return np.allclose(y.mean(0), 0, atol=1e-5) and y.min() < 0


def code_07():
    """In inference Dense and Batch Normalization are one Dense: W' = W gamma / s, b' = (b - mean) gamma / s + beta."""
    dense, layer, x = layers.Dense(5), layers.BatchNormalization(), normals(16, 8)
    layer(dense(x))  # build
    layer.set_weights([normals(5), normals(5), normals(5), np.exp(normals(5))])
    gamma, beta, mean, variance = layer.get_weights()
    w, b = dense.get_weights()
    factor = gamma / np.sqrt(variance + EPSILON)
    return np.allclose(layer(dense(x)).numpy(), x @ (w * factor) + (b - mean) * factor + beta, atol=1e-5)


def predict_08():
    """After 100 steps with momentum 0.99 the start still has a weight of 0.99^100, more than a third."""
    layer = layers.BatchNormalization(momentum=0.99)
    for _ in range(100):
        layer(np.array([[4.0], [6.0]]), training=True)  # mean 5, and the moving mean started at 0
    return np.isclose(layer.moving_mean.numpy()[0], 5 * (1 - 0.99**100), rtol=1e-4) and 0.99**100 > 1 / 3


def code_08():
    """(moving - momentum^t start) / (1 - momentum^t) is right from the first step on (Adam does the same)."""
    layer, momentum = layers.BatchNormalization(momentum=0.99), 0.99
    for t in range(1, 4):
        layer(np.array([[4.0], [6.0]]), training=True)
        mean = layer.moving_mean.numpy()[0] / (1 - momentum**t)
        variance = (layer.moving_variance.numpy()[0] - momentum**t) / (1 - momentum**t)
        if not np.allclose([mean, variance], [5, 1], rtol=1e-3):
            return False
    return True


def predict_09():
    """Behind the layer stand beta and gamma, whatever comes in: a shift of the inputs does not get through."""
    x = normals(64, 5)
    return np.allclose(normalized(x), normalized(3 * x + 7), atol=5e-3)


def code_09():
    """The mean inputs of the first activation move less in 40 steps with it, in units of their spread."""
    (x, y), _ = digits()
    moves = []
    for kind in (PLAIN, NORMALIZED):
        keras.utils.set_random_seed(0)
        model = classifier(2, 100, "relu", kind, optimizer=keras.optimizers.SGD(0.3), momentum=0.9)
        last = 2 if kind else 1  # layers before the first activation

        def means(model=model, last=last):
            hidden = keras.Tensor(x)
            for layer in model.layers[:last]:
                hidden = layer(hidden, training=True)
            return hidden.numpy().mean(0), hidden.numpy().std()

        before, unit = means()
        model.fit(x, y, batch_size=64, epochs=2, verbose=0)
        moves.append(np.abs(means()[0] - before).mean() / unit)
    return moves[1] < moves[0]


def predict_10():
    """Behind Conv2D(32) the layer has 4 x 32 numbers, whatever the size of the image."""
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(32, 3), layers.BatchNormalization()])
    return model.layers[-1].count_params() == 128


def code_10():
    """Images (n, h, w, c) are n h w rows of c features to the layer."""
    x = normals(4, 5, 6, 3, mean=2, sd=3)
    return np.allclose(normalized(x), normalized(x.reshape(-1, 3)).reshape(x.shape), atol=1e-5)


def predict_11():
    """Along the cell of an LSTM whose forget gates stand at sigmoid(3) 1/e is left after about 1 + e^3 = 21 steps."""
    forget = 1 / (1 + math.exp(-3))
    return abs(math.log(1 / math.e) / math.log(forget) - (1 + math.exp(3))) < 1 and abs(forget**21 - 0.36) < 0.01


def code_11():
    """A step of a GRU in NumPy: h = z h + (1 - z) tanh(a_g + r q_g), with two biases."""
    layer, x = layers.GRU(4, dtype="float64", bias_initializer="glorot_uniform"), RANDOM.normal(size=(2, 6, 3))
    y = layer(x).numpy()
    (w, v, b), h = (one.numpy() for one in layer.weights), np.zeros((2, 4))
    for t in range(6):
        a, q = np.split(x[:, t] @ w + b[0], 3, axis=1), np.split(h @ v + b[1], 3, axis=1)
        z, r = (1 / (1 + np.exp(-(a[k] + q[k]))) for k in (0, 1))
        h = z * h + (1 - z) * np.tanh(a[2] + r * q[2])
    return np.allclose(y, h, atol=1e-12)


def predict_12():
    """An image twice as bright is the same to Layer Normalization: its own mean and deviation are twice as large."""
    x, layer = normals(4, 64, mean=1), layers.LayerNormalization()
    return np.allclose(layer(x).numpy(), layer(2 * x).numpy(), atol=2e-3)


def code_12():
    """Layer Normalization is Batch Normalization of the transposed table, before gamma and beta."""
    x = normals(6, 9)
    return np.allclose(layers.LayerNormalization()(x).numpy(), normalized(x.T).T, atol=1e-5)


def through_blocks(x, depth, normalize=None):
    """x <- x + Dense(relu(x)) with He's weights, or with `normalize(x)` within; the sd of what comes out."""
    for _ in range(depth):
        inner = x if normalize is None else normalize(x)
        x = x + np.maximum(inner, 0) @ normals(100, 100, sd=math.sqrt(2 / 100))
    return spread(x)


def predict_13():
    """Ten blocks without normalization: each doubles the variance, so the spread is 2^5 = 32."""
    return 0.6 < through_blocks(normals(200, 100), 10) / 32 < 1.6


def code_13():
    """Blocks multiplied by 1 / sqrt(depth): the variance grows to e at most, (1 + 1 / depth)^depth, at any depth."""
    x = normals(100, 100)
    for _ in range(200):
        x = x + np.maximum(x, 0) @ normals(100, 100, sd=math.sqrt(2 / 100)) / math.sqrt(200)
    return abs(spread(x) / math.sqrt(math.e) - 1) < 0.3


def predict_14():
    """With n - 1 in place of n the outputs shrink by sqrt((n - 1) / n): 2% in batches of 32, 29% in pairs."""

    def shrinks(n):
        x = normals(n, 1, sd=100)  # so that epsilon plays no part
        return spread((x - x.mean()) / x.std(ddof=1)) / spread(normalized(x))

    return all(abs(shrinks(n) - math.sqrt((n - 1) / n)) < 1e-3 for n in (32, 2))


def code_14():
    """RMS normalization is Layer Normalization without the mean, and with 1e-6: x / sqrt(mean of x^2 + 1e-6)."""
    x = keras.Tensor(normals(4, 9, mean=1))
    ours = x / (ops.mean(x * x, axis=-1, keepdims=True) + 1e-6) ** 0.5
    return np.allclose(ours.numpy(), layers.RMSNormalization()(x).numpy(), atol=1e-5)


def main(argv=None):
    """Run all solutions."""
    with course.Script(__file__, __doc__, argv, record=False) as script, warnings.catch_warnings():
        for chapter in range(1, 15):
            for kind in ("predict", "code"):
                solution = globals()[f"{kind}_{chapter:02}"]
                script.claim(solution(), f"{chapter}, {kind}. {solution.__doc__}")


if __name__ == "__main__":
    main()
