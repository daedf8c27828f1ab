"""A deep network that is watched while it trains: what the explorer computes. Nothing here knows of pages or pictures.

The training step is recorded once; between two replays of it, everything that the step computed lies in its buffers.
To watch a layer is to read them.
"""

import dataclasses
import time

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import minigrad as keras
from minigrad.layers import Activation, BatchNormalization, Dense, LayerNormalization

ARMS = {  # what stands behind each hidden Dense
    "without": lambda: None,
    "with": lambda: BatchNormalization(momentum=0.9),
    "layer": LayerNormalization,
}
OPTIMIZERS = {"SGD": keras.optimizers.SGD, "Adam": keras.optimizers.Adam}
BINS = 32
FRAMES = 36  # moments at which the layers are looked at
RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "relu": (0.0, 4.0)}  # of the histograms; what is beyond: last bin


@dataclasses.dataclass(frozen=True)
class Settings:
    """What can be chosen: `depth` hidden layers of `width` units with initial weights of variance gain^2 / inputs.

    `rate` is the learning rate of an optimizer that takes `steps` steps, each on a batch of `batch` rows.
    """

    depth: int = 8
    width: int = 32
    activation: str = "sigmoid"
    gain: float = 1.0
    optimizer: str = "SGD"
    rate: float = 0.1
    batch: int = 32
    steps: int = 300
    seed: int = 0


@dataclasses.dataclass
class Run:
    """What was seen: the loss of each step (nats), and at the steps `moments` what each hidden layer looked like.

    Attributes:
        histograms: (moments, depth, BINS), shares of the layer's outputs on the batch, which sum to 1; NaN where an
            output is not finite.
        range: what the first and the last bin begin and end with.
        gradients: (moments, depth), the Euclidean norm of d loss / d weights of each hidden Dense.
        accuracy: the share of the test rows that it gets right in the end.
        seconds: what the training itself takes, without looking: the median of its steps, so many times.
    """

    losses: np.ndarray
    moments: np.ndarray
    histograms: np.ndarray
    range: tuple
    gradients: np.ndarray
    accuracy: float = 0.0
    seconds: float = 0.0

    @property
    def diverged(self):
        """The first step whose loss is not finite, or None."""
        bad = np.flatnonzero(~np.isfinite(self.losses))
        return int(bad[0]) if len(bad) else None


def digits():
    """Handwritten digits of 8 x 8 pixels, scaled: 1,297 rows to train on and 500 to test, each (x, y)."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype("float32"), y[order, None].astype("float32")
    mean, deviation = x[:-500].mean(0), x[:-500].std(0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1)
    return (x[:-500], y[:-500]), (x[-500:], y[-500:])


class Network:
    """The network of some `Settings` and an arm; `outputs` are those of the hidden layers in the last call."""

    def __init__(self, settings, arm):
        keras.utils.set_random_seed(settings.seed)
        start = keras.initializers.VarianceScaling(settings.gain**2, "fan_in", "untruncated_normal")
        self.dense = [Dense(settings.width, kernel_initializer=start) for _ in range(settings.depth)]
        self.norms = [ARMS[arm]() for _ in self.dense]
        self.activation = Activation(settings.activation)
        self.top = Dense(10)
        self.outputs = []

    def __call__(self, x, training=False):
        self.outputs = []
        for dense, norm in zip(self.dense, self.norms):
            x = dense(x)
            x = self.activation(x if norm is None else norm(x, training=training))
            self.outputs.append(x)
        return self.top(x)

    @property
    def trained(self):
        """All variables that training changes, once it was called."""
        layers = [*self.dense, *filter(None, self.norms), self.top]
        return [v for layer in layers for v in layer.trainable_variables]


def batches(x, y, size, steps, seed):
    """Rows for so many steps, shuffled anew for every pass: `batches(...)[k]` is the pair (x, y) of step k."""
    random, needed = np.random.default_rng(seed), size * steps
    order = np.concatenate([random.permutation(len(x)) for _ in range(-(-needed // len(x)))])[:needed]
    return list(zip(x[order].reshape(steps, size, -1), y[order].reshape(steps, size, -1)))


def histogram(values, low, high):
    """The share of the values in each of BINS bins, those beyond in the outermost; NaN if one is not finite."""
    if not np.isfinite(values).all():
        return np.full(BINS, np.nan)
    places = np.clip((values.ravel() - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.intp)
    return np.bincount(places, minlength=BINS) / values.size


@threadpool_limits.wrap(limits=1)  # two threads would only wait for each other over matrices as small as these
def train(settings, arm, data=None):
    """Train the network of `settings` with the normalization of `arm`, and look at it FRAMES times: a Run."""
    (x, y), (x_test, y_test) = data or digits()
    feed = batches(x, y, settings.batch, settings.steps, settings.seed)
    network = Network(settings, arm)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = OPTIMIZERS[settings.optimizer](settings.rate)
    inputs = {"x": feed[0][0], "y": feed[0][1]}
    network(inputs["x"])  # which makes the variables
    optimizer.build(network.trained)
    seen = {}

    def step():
        outputs = network(keras.Tensor(inputs["x"]), training=True)
        loss = loss_of(keras.Tensor(inputs["y"]), outputs)
        for v in network.trained:
            v.grad = None
        loss.backward()
        optimizer.step()
        seen.update(loss=loss, outputs=network.outputs)

    program = keras.Program(step, inputs=inputs)
    moments = np.unique(np.linspace(0, settings.steps - 1, FRAMES).astype(int))
    run = Run(
        losses=np.empty(settings.steps),
        moments=moments,
        histograms=np.empty((len(moments), settings.depth, BINS)),
        range=RANGES[settings.activation],
        gradients=np.empty((len(moments), settings.depth)),
    )
    spent = np.empty(settings.steps)
    with np.errstate(over="ignore", invalid="ignore"):  # a network that diverges is a sight, too
        for k, (rows, labels) in enumerate(feed):
            began = time.perf_counter()
            program.bind(x=rows, y=labels)
            program.replay()
            run.losses[k] = seen["loss"].item()
            spent[k] = time.perf_counter() - began
            frame = np.searchsorted(moments, k)
            if frame < len(moments) and moments[frame] == k:
                for i, (output, dense) in enumerate(zip(seen["outputs"], network.dense)):
                    run.histograms[frame, i] = histogram(output.numpy(), *run.range)
                    run.gradients[frame, i] = np.linalg.norm(dense.kernel.grad.astype("float64"))
        with keras.no_grad():
            scores = network(x_test).numpy()
    run.seconds = settings.steps * float(np.median(spent))  # which what else the computer does changes little
    right = (scores.argmax(1) == y_test[:, 0]) & np.isfinite(scores).all(1)
    run.accuracy = float(right.mean())
    return run
