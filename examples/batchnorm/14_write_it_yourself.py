"""14. Write it yourself: Batch Normalization from nothing but tensors.

    python examples/batchnorm/14_write_it_yourself.py [--quick] [--seed 0] [--out FOLDER]

A layer is not magic. `Normalization` below is a class of Python with two tensors that learn, two arrays that are
averaged, and four lines of arithmetic on tensors; the gradient comes from these lines by itself. It is compared with
`keras.layers.BatchNormalization`: outputs, gradients, moving averages, and a whole training (in float64: two orders of
summation differ in the last digit only, but in float32 a training makes a visible difference of it).

Then we make two mistakes that nearly everybody makes once: to hold the statistics constant in the gradient, and to
forget the training flag.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import digits

import minigrad as keras
from minigrad import Tensor, ops

BATCH = 32
WIDTHS = (64, 100, 100, 10)  # of the inputs, two hidden layers and the classes
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def parameter(value):
    """A tensor that learns: `backward` writes its gradient to `grad`, and it can be assigned to."""
    return keras.Variable(value, dtype="float64")


class Normalization:
    """Batch Normalization of n features.

    Args:
        constant: the first mistake: take the mean and the variance for constants when the gradient is computed.
    """

    def __init__(self, n, momentum=0.9, epsilon=1e-3, constant=False):
        self.gamma = parameter(np.ones(n))
        self.beta = parameter(np.zeros(n))
        self.moving_mean, self.moving_variance = np.zeros(n), np.ones(n)
        self.momentum, self.epsilon, self.constant = momentum, epsilon, constant
        self.parameters = [self.gamma, self.beta]

    def __call__(self, x, training=False):
        if training:
            mean = ops.mean(x, axis=0)
            variance = ops.mean((x - mean) ** 2, axis=0)  # of this batch, not its estimate for all: / n, not / (n - 1)
            if self.constant:
                mean, variance = mean.detach(), variance.detach()
            self.moving_mean = self._averaged(self.moving_mean, mean)
            self.moving_variance = self._averaged(self.moving_variance, variance)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        return self.gamma * (x - mean) / (variance + self.epsilon) ** 0.5 + self.beta

    def _averaged(self, old, new):
        return self.momentum * old + (1 - self.momentum) * new.numpy()


class Library:
    """The layer of the library, to be used like `Normalization`."""

    def __init__(self, n):
        self.layer = keras.layers.BatchNormalization(momentum=0.9, dtype="float64")
        self.layer.build((None, n))
        self.parameters = self.gamma, self.beta = self.layer.trainable_variables

    def __call__(self, x, training=False):
        return self.layer(x, training=training)

    @property
    def moving_mean(self):
        return self.layer.moving_mean.numpy()

    @property
    def moving_variance(self):
        return self.layer.moving_variance.numpy()


class Network:
    """Two hidden layers, each with a bias, a normalization and a relu, and one for the classes."""

    def __init__(self, normalization, seed):
        random = np.random.default_rng(seed)
        self.weights, self.biases = [], []
        for n, m in zip(WIDTHS, WIDTHS[1:]):
            w = random.normal(size=(n, m)) * np.sqrt(2 / n)
            self.weights.append(parameter(w))
            self.biases.append(parameter(np.zeros(m)))
        self.normalizations = [normalization(m) for m in WIDTHS[1:-1]]
        self.parameters = self.weights + self.biases + [p for n in self.normalizations for p in n.parameters]

    def __call__(self, x, training=False):
        x = Tensor(x)
        for w, b, normalization in zip(self.weights, self.biases, self.normalizations):
            x = ops.relu(normalization(x @ w + b, training))
        return x @ self.weights[-1] + self.biases[-1]

    def bias_size(self):
        """The typical size of the hidden biases: the root of their mean square."""
        return np.sqrt(np.mean(np.concatenate([b.numpy() for b in self.biases[:-1]]) ** 2))


def train(network, data, steps, seed, rate=0.1):
    """Plain SGD by hand. After every step: the loss before it, the size of the biases, the first moving mean."""
    (x, y), random, seen = data, np.random.default_rng(seed), []
    for _ in range(steps):
        rows = random.choice(len(x), BATCH, replace=False)
        loss = LOSS(y[rows], network(x[rows], training=True))
        for p in network.parameters:
            p.grad = None
        loss.backward()
        for p in network.parameters:
            p.assign_sub(rate * p.grad)
        seen.append((float(loss), network.bias_size(), network.normalizations[0].moving_mean[0]))
    return np.array(seen).T


def score(network, x, y):
    """The share of samples that are classified correctly, in inference."""
    return np.mean(network(x).numpy().argmax(1) == y)


def beside_the_layer(script):
    """One batch through both: outputs, gradients, moving averages; and inference afterwards."""
    random = np.random.default_rng(script.seed)
    x, g = random.normal(3, 2, (2, BATCH, 5))
    found = []
    for make in (Normalization, Library):
        one, inputs = make(5), Tensor(x, requires_grad=True)
        y = one(inputs, training=True)
        y.backward(g)
        found.append({
            "output": y.numpy(),
            "gradient of the input": inputs.grad,
            "gradient of gamma": one.gamma.grad,
            "gradient of beta": one.beta.grad,
            "moving mean": one.moving_mean,
            "moving variance": one.moving_variance,
            "output in inference": one(x).numpy(),
        })
    ours, library = found
    differences = {name: np.abs(ours[name] - library[name]).max() for name in ours}
    script.table(("one batch", "ours differs from the layer by"), list(differences.items()))
    script.claim(max(differences.values()) < 1e-12, "outputs, gradients and averages are those of the library's layer")


def main(argv=None):
    """Compare a batch, compare a training, make the mistakes."""
    with course.Script(__file__, __doc__, argv) as script:
        beside_the_layer(script)
        data, (x_test, y_test) = ((x.astype("float64"), y) for x, y in digits())
        steps = 100 if script.quick else 300
        kinds = {
            "ours": Normalization,
            "the library's layer": Library,
            "statistics held constant": lambda n: Normalization(n, constant=True),
        }
        networks = {name: Network(make, script.seed) for name, make in kinds.items()}
        seen = {name: train(network, data, steps, script.seed) for name, network in networks.items()}
        scores = {name: score(network, x_test, y_test) for name, network in networks.items()}
        script.table(
            ("trained", f"loss, step {steps}", "test accuracy", "size of the biases"),
            [(name, seen[name][0, -10:].mean(), scores[name], seen[name][1, -1]) for name in kinds],
        )
        gap = np.abs(seen["ours"][0] - seen["the library's layer"][0]).max()
        script.claim(gap < 1e-6, f"in {steps} steps of training the two losses differ by at most {gap:.0e}")
        ours, wrong = seen["ours"], seen["statistics held constant"]
        script.claim(
            ours[1, -1] < 1e-10 and wrong[1, -1] > 0.01,
            f"statistics held constant: the biases, which do nothing, drift to {wrong[1, -1]:.2f}",
        )
        one_by_one = [networks["ours"](x_test[i : i + 1], training=True).numpy().argmax() for i in range(100)]
        alone = np.mean(one_by_one == y_test[:100])
        script.claim(
            alone < 0.3 < 0.9 < scores["ours"],
            f"in training mode, asked about one sample at a time: {alone:.0%} of 100 digits right, "
            f"instead of {scores['ours']:.0%} in inference",
        )
        draw(script, seen)


def draw(script, seen):
    """Two trainings that are one, biases that drift, and a moving mean."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.4))
    looks = {  # our own last: its dots lie on the line of the library's
        "statistics held constant": (course.PINK, {}),
        "the library's layer": (course.WITH, {}),
        "ours": (course.INK, {"linestyle": "", "marker": "o", "markersize": 3}),
    }
    for name, (color, style) in looks.items():
        losses, biases, _ = seen[name]
        every = slice(None, None, len(losses) // 20) if style else slice(None)
        smooth = np.convolve(losses, np.ones(10) / 10, "valid")  # the mean of ten steps
        steps = np.arange(1, 1 + len(losses))
        axes[0].plot(steps[9:][every], smooth[every], color=color, label=name, **style)
        axes[1].plot(steps[every], biases[every], color=color, label=name, **style)
    course.log_scale(axes[0], y=[0.03, 0.1, 0.3, 1, 3])
    axes[0].set(xlabel="training step", ylabel="training loss (nats)", ylim=(0.03, 4))
    axes[0].set_title("One training, twice")
    axes[0].legend(loc="upper right")
    axes[1].set(xlabel="training step", ylabel="typical size of a hidden bias", yscale="log", ylim=(1e-19, 1))
    axes[1].set_title("A bias that does nothing")
    axes[1].legend(loc="center right")

    ax, moving = axes[2], seen["ours"][2]
    batches = (moving - 0.9 * np.concatenate([[0], moving[:-1]])) / 0.1  # what was averaged
    ax.plot(steps, batches, "o", color=course.GREY, markersize=2, label="of each batch: in training")
    ax.plot(steps, moving, color=course.WITH, label="moving: in inference")
    ax.set(xlabel="training step", ylabel="mean of one unit", ylim=(-0.8, 1.2))
    ax.set_title("Two kinds of mean")
    ax.legend(loc="upper left")
    script.save(figure)


if __name__ == "__main__":
    main()
