"""8. What changes between training and inference?

    python examples/batchnorm/08_training_and_inference.py [--quick] [--seed 0] [--out FOLDER]

A prediction must not depend on which other rows are asked about at the same time. So in inference the layer takes
averages over past training batches in place of the batch's own statistics:

    moving = momentum moving + (1 - momentum) batch

They start at mean 0 and variance 1, and with the momentum 0.99 it takes hundreds of steps until that start is
forgotten: a short training then looks worse than it is. A smaller momentum mends it, or statistics that are recomputed
over the training rows afterwards (Wu and Johnson 2021, arXiv:2105.07576). The weights are the same.

Training batches of two or three rows are another matter: their statistics are so noisy that training itself suffers,
and recomputed statistics do not mend it. Batch Renormalization (Ioffe 2017, arXiv:1702.03275) draws the statistics of
such batches towards the moving ones.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, accuracy, classifier, digits, settle, untouched

import minigrad as keras

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Statistics(keras.callbacks.Callback):
    """After every epoch the loss on test rows, by moving statistics, by recomputed ones, by the test rows' own."""

    def __init__(self, x, x_test, y_test):
        super().__init__()
        self.x, self.x_test, self.y_test = x, x_test, y_test
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        with untouched(self.model):
            moving = float(LOSS(self.y_test, self.model(self.x_test)))
            keras.utils.recompute_batch_statistics(self.model, self.x)
            recomputed = float(LOSS(self.y_test, self.model(self.x_test)))
            own = float(LOSS(self.y_test, self.model(self.x_test, training=True)))
        self.losses.append((moving, recomputed, own))


def watch(data, momentum, seed, epochs):
    """Train one network of five layers; (the model, its losses after each epoch)."""
    keras.utils.set_random_seed(seed)
    model = classifier(5, 100, "relu", NORMALIZED, momentum=momentum, optimizer=keras.optimizers.SGD(0.05))
    (x, y), test = data
    statistics = Statistics(x, *test)
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[statistics])
    return model, np.array(statistics.losses)


def trained_on(size, data, seed, normalized, renorm, epochs):
    """Test accuracies after training on batches of this size, by moving statistics and by those of all rows."""
    keras.utils.set_random_seed(seed)
    model = classifier(3, 64, "relu", normalized, optimizer="adam", renorm=renorm)
    (x, y), test = data
    model.fit(x, y, batch_size=size, epochs=epochs, verbose=0)
    moving = accuracy(model, *test)
    settle(model, x)
    return moving, accuracy(model, *test)


def accuracy_by_group(model, x, y, size):
    """Accuracy in training mode, where the statistics come from groups of so many rows."""
    right = 0
    with warnings.catch_warnings(), untouched(model):
        warnings.simplefilter("ignore")  # of one row the layer warns: its variance is 0
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            right += (model(x[rows], training=True).numpy().argmax(1) == y[rows]).sum()
    return right / len(x)


def main(argv=None):
    """Watch the moving statistics; ask about few rows at once; train on small batches."""
    with course.Script(__file__, __doc__, argv) as script:
        data, seeds = digits(), script.seeds(5, 1)
        epochs = 15 if script.quick else 30
        runs = {momentum: [watch(data, momentum, seed, epochs) for seed in seeds] for momentum in (0.99, 0.9)}
        losses = {momentum: np.array([curve for _, curve in many]) for momentum, many in runs.items()}
        shown = [0, 1, 4, 9, 14] if script.quick else [0, 1, 4, 9, 14, 19, 29]
        moving = {m: np.median(curves[..., 0], 0) for m, curves in losses.items()}
        recomputed, own = np.median(losses[0.99][..., 1], 0), np.median(losses[0.99][..., 2], 0)
        script.table(
            ("statistics", *(f"step {20 * (i + 1)}" for i in shown)),
            [("moving, 0.99", *moving[0.99][shown]), ("moving, 0.9", *moving[0.9][shown]),
             ("recomputed", *recomputed[shown]), ("of the test rows", *own[shown])],
            title=f"Loss on test rows (nats), median of {len(seeds)} seeds",
        )

        x, y = (part[:512] for part in data[1])
        groups = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
        model = runs[0.99][0][0]
        by_group = [accuracy_by_group(model, x, y, size) for size in groups]
        in_inference = accuracy(model, x, y)
        script.table(
            ("rows asked about at once", *map(str, groups)),
            [("training mode", *by_group), ("inference", *[in_inference] * len(groups))],
            title="Test accuracy of one network",
        )

        sizes = (2, 64) if script.quick else (2, 3, 4, 8, 16, 32, 64)
        kinds = {"without": (PLAIN, False), "with": (NORMALIZED, False), "Renormalization": (NORMALIZED, True)}
        small = {
            name: np.array([
                [trained_on(size, data, seed, *kind, epochs=5 if script.quick else 10) for seed in seeds]
                for size in sizes
            ])
            for name, kind in kinds.items()
        }
        script.table(
            ("trained on batches of", *map(str, sizes)),
            [(f"{name}, {statistics}", *np.median(found[..., i], 1))
             for name, found in small.items() for i, statistics in enumerate(("moving", "recomputed"))],
            title="Test accuracy in inference, by the statistics it uses",
        )
        small = {name: found[..., 0] for name, found in small.items()}
        draw(script, losses, groups, by_group, in_inference, sizes, small)

        script.claim(
            all(np.array_equal(a.layers[0].kernel.numpy(), b.layers[0].kernel.numpy())
                for (a, _), (b, _) in zip(runs[0.99], runs[0.9])),
            "the momentum changes nothing about training: the same weights to the bit",
        )
        script.claim(
            moving[0.99][1] > 2 * recomputed[1],
            f"step 40: loss {moving[0.99][1]:.2f} with 0.99, {recomputed[1]:.2f} with recomputed statistics",
        )
        script.claim(
            abs(moving[0.9][4] / recomputed[4] - 1) < 0.1, "step 100: with 0.9 the moving statistics have caught up"
        )
        if not script.quick:
            script.claim(moving[0.99][-1] < 1.1 * recomputed[-1], f"step {20 * epochs}: so they have with 0.99")
        script.claim(by_group[0] < 0.25, f"one row in training mode: {by_group[0]:.0%}, the same answer for all rows")
        script.claim(by_group[-1] > in_inference - 0.02, "512 rows in training mode: as in inference")
        pairs = {name: np.median(found[0]) for name, found in small.items()}
        script.claim(
            pairs["with"] < pairs["Renormalization"] < pairs["without"],
            f"trained on pairs: {pairs['with']:.0%} with, {pairs['Renormalization']:.0%} with Renormalization, "
            f"{pairs['without']:.0%} without",
        )


def draw(script, losses, groups, by_group, in_inference, sizes, small):
    """Losses on the way, answers to groups of rows, small training batches."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.3))
    ax, steps = axes[0], 20 * np.arange(1, 1 + losses[0.99].shape[1])
    course.band(ax, steps, losses[0.99][..., 0], course.PINK, label="moving, momentum 0.99")
    course.band(ax, steps, losses[0.99][..., 1], course.GREEN, label="recomputed")
    course.band(ax, steps, losses[0.9][..., 0], course.YELLOW, label="moving, momentum 0.9", linestyle="--")
    course.log_scale(ax, y=[0.1, 0.3, 1, 3])
    ax.set(xlabel="training step", ylabel="loss on test rows (nats)", xlim=(0, None), ylim=(0.05, 5))
    ax.set_title("Three kinds of statistics")
    ax.legend(loc="upper right", labelspacing=0.2)

    ax = axes[1]
    ax.axhline(100 * in_inference, color=course.GREY, linestyle="--", label="in inference")
    ax.plot(groups, 100 * np.array(by_group), "o-", color=course.INK, label="in training mode")
    course.log_scale(ax, x=[1, 4, 16, 64, 256])
    ax.set(xlabel="rows asked about at once", ylabel="test accuracy (%)", ylim=(0, 103))
    ax.set_title("One network, asked in groups")
    ax.legend(loc="lower right")

    ax = axes[2]
    colors = {"without": course.WITHOUT, "with": course.WITH, "Renormalization": course.SKY}
    for name, found in small.items():
        course.band(ax, sizes, 100 * found.T, colors[name], label=name, marker="o")
    course.log_scale(ax, x=[2, 4, 8, 16, 32, 64])
    ax.set(xlabel="rows per training batch", ylabel="test accuracy (%)", ylim=(66, 100.5))
    ax.set_title("Trained on small batches")
    ax.legend(loc="lower right")
    script.save(figure)


if __name__ == "__main__":
    main()
