"""5. Does Batch Normalization allow larger learning rates?

    python examples/batchnorm/05_larger_learning_rates.py [--quick] [--seed 0] [--out FOLDER]

Three networks of 64 units per layer are trained by plain SGD for 400 steps, with learning rates from 0.01 to 30. All
accuracies are those with the statistics of all training rows, so none of them shows the lag of experiment 8.

Why it helps: the loss does not change when the weights before the layer are scaled, so their gradient is at right
angles to them, and halves when they double. A step that is too large makes the weights longer, which makes the next
steps smaller: the network lowers its own learning rate (Ioffe and Szegedy 2015, section 3.3). Without it, one step
that is too large is amplified from layer to layer (Bjorck et al. 2018, arXiv:1806.02375). Both identities are checked
below.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, digits, network, trained_accuracy

import minigrad as keras

CASES = {"5 layers of ReLU": (5, "relu"), "10 layers of ReLU": (10, "relu"), "5 layers of sigmoids": (5, "sigmoid")}


def loss_and_gradient(model, x, y):
    """The loss on a batch, and the gradient of the first layer's weights."""
    model.layers[0].kernel.grad = None
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, model(x, training=True))
    loss.backward()
    return float(loss), model.layers[0].kernel.grad.copy()


def main(argv=None):
    """Sweep the learning rate; check the two identities."""
    with course.Script(__file__, __doc__, argv) as script:
        data, seeds = digits(), script.seeds(5, 3)
        rates = [0.03, 0.3, 3.0] if script.quick else [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
        sweeps = {
            (name, kind): np.array([
                [
                    trained_accuracy(
                        data, seed, depth, 64, activation, kind, optimizer=keras.optimizers.SGD(rate),
                        initializer="he_normal",
                    )
                    for seed in seeds
                ]
                for rate in rates
            ])
            for name, (depth, activation) in CASES.items()
            for kind in (PLAIN, NORMALIZED)
        }
        script.table(
            ("network", "", *(f"{r:g}" for r in rates)),
            [(name, "with" if kind else "without", *(f"{v:.2f}" for v in np.median(runs, 1)))
             for (name, kind), runs in sweeps.items()],
            title=f"Test accuracy after 400 steps by learning rate, median of {len(seeds)} seeds",
        )

        keras.utils.set_random_seed(script.seed)
        x, y = (part[:128] for part in data[0])
        model = network(3, 64, "relu", NORMALIZED, initializer="he_normal", epsilon=0.0)
        kernel = model.layers[0].kernel
        loss, gradient = loss_and_gradient(model, x, y)
        angle = abs((kernel.numpy() * gradient).sum()) / (np.linalg.norm(kernel.numpy()) * np.linalg.norm(gradient))
        kernel.assign(10 * kernel.numpy())
        scaled_loss, scaled_gradient = loss_and_gradient(model, x, y)
        ratio = np.linalg.norm(gradient) / np.linalg.norm(scaled_gradient)
        script.table(
            ("first layer's weights", "loss", "length of the gradient"),
            [("as they are", f"{loss:.6f}", np.linalg.norm(gradient)),
             ("times 10", f"{scaled_loss:.6f}", np.linalg.norm(scaled_gradient))],
        )
        draw(script, rates, sweeps)

        for name in CASES:
            best = max(np.median(runs, 1).max() for (n, _), runs in sweeps.items() if n == name)
            largest = [
                max((r for r, v in zip(rates, np.median(sweeps[name, kind], 1)) if v > best - 0.1), default=0)
                for kind in (PLAIN, NORMALIZED)
            ]
            limit = f"up to {largest[0]:g}" if largest[0] else "at no rate"
            script.claim(
                largest[1] >= max(3 * largest[0], 0.3), f"{name}: usable {limit} without, up to {largest[1]:g} with"
            )
        script.claim(angle < 1e-5, f"gradient and weights are at right angles: cosine {angle:.0e}")
        script.claim(
            abs(scaled_loss - loss) < 1e-4 and abs(ratio - 10) < 0.01,
            f"weights ten times as large: the same loss, the gradient divided by {ratio:.2f}",
        )


def draw(script, rates, sweeps):
    """Accuracy over learning rates, one panel per network."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.4), sharey=True)
    for ax, name in zip(axes, CASES):
        for kind, color, label in ((PLAIN, course.WITHOUT, "without"), (NORMALIZED, course.WITH, "with")):
            course.accuracies(ax, rates, sweeps[name, kind].T, color, label=f"{label} Batch Normalization")
        course.log_scale(ax, x=[0.01, 0.1, 1, 10])
        ax.set(xlabel="learning rate", ylim=(-3, 103))
        ax.set_title(name)
        course.explain_failures(ax)
    axes[0].set_ylabel("test accuracy after 400 steps (%)")
    course.legend(figure)
    script.save(figure)


if __name__ == "__main__":
    main()
