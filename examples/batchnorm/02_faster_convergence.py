"""2. Does a network with Batch Normalization learn faster?

    python examples/batchnorm/02_faster_convergence.py [--quick] [--seed 0] [--out FOLDER]

The network is that of Figure 1 of Ioffe and Szegedy (2015, arXiv:1502.03167): three hidden layers of 100 sigmoids,
weights from a narrow normal distribution. They trained it on MNIST; here it is the smaller digits of scikit-learn.

How much faster depends on what one compares with. At one small learning rate the gap is huge. Where each network has
the learning rate that suits it best it is much smaller, and smaller still with Adam. All of it is measured here.

Whether the goal is reached is asked every second step, so the moving statistics must keep up: their momentum is 0.9.
Those of the first steps still lag (experiment 8), which makes the network with Batch Normalization look worse, if
anything.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, accuracy, classifier, digits

import minigrad as keras

BATCH, EPOCH = 64, 20  # rows per step, steps per epoch
GOAL = 0.9  # test accuracy
SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam


class Watch(keras.callbacks.Callback):
    """Measures the test accuracy every few steps and may stop the training when it has reached a goal."""

    def __init__(self, test, every, goal=2.0):
        super().__init__()
        self.test, self.every, self.goal = test, every, goal
        self.step, self.curve = 0, []

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % self.every == 0:
            self.curve.append(accuracy(self.model, *self.test))
            self.model.stop_training = self.curve[-1] >= self.goal


def train(data, normalized, optimizer, seed, epochs, every=2, goal=2.0):
    """Train one network; the test accuracies on the way, one every so many steps."""
    keras.utils.set_random_seed(seed)
    initializer = keras.initializers.RandomNormal(stddev=0.1)
    model = classifier(
        3, 100, "sigmoid", normalized, initializer=initializer, momentum=0.9, optimizer=optimizer
    )
    (x, y), test = data
    watch = Watch(test, every, goal)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[watch])
    return watch.curve


def steps_to_goal(data, normalized, optimizer, rate, seeds, epochs):
    """Training steps until the goal, for each seed; infinity where it was not reached."""
    runs = (train(data, normalized, optimizer(rate), seed, epochs, goal=GOAL) for seed in seeds)
    return [2 * len(curve) if curve[-1] >= GOAL else np.inf for curve in runs]


def main(argv=None):
    """Sweep the learning rates of both optimizers, with and without."""
    with course.Script(__file__, __doc__, argv) as script:
        data = digits()
        seeds = script.seeds(5, 1)
        epochs = 120  # at most
        rates = {
            SGD: [0.1, 0.5, 2.0] if script.quick else [0.03, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0],
            ADAM: [0.001, 0.01, 0.03] if script.quick else [3e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1],
        }
        sweeps = {
            (optimizer, kind): np.array([steps_to_goal(data, kind, optimizer, r, seeds, epochs) for r in tried])
            for optimizer, tried in rates.items()
            for kind in (PLAIN, NORMALIZED)
        }
        medians = {arm: np.median(runs, axis=1) for arm, runs in sweeps.items()}

        def compare(optimizer, rate=None):
            """A row of the table: both at one learning rate, or each at its best."""
            plain, normalized = medians[optimizer, PLAIN], medians[optimizer, NORMALIZED]
            i = plain.argmin() if rate is None else rates[optimizer].index(rate)
            j = normalized.argmin() if rate is None else i
            best = f"each at its best: {rates[optimizer][i]:g}, {rates[optimizer][j]:g}"
            chosen = best if rate is None else f"{rate:g}"
            return optimizer.__name__, chosen, plain[i], normalized[j], plain[i] / normalized[j]

        rows = [compare(SGD, 0.1), compare(SGD, 0.5), compare(SGD)]
        rows += [compare(ADAM, 0.001), compare(ADAM, 0.01), compare(ADAM)]
        script.table(
            ("optimizer", "learning rate", "steps without", "steps with", "times"),
            [(a, b, f"{c:.0f}", f"{d:.0f}", f"{e:.1f}") for a, b, c, d, e in rows],
            title=f"Steps to {GOAL:.0%} test accuracy, median of {len(seeds)} seeds, at most {epochs * EPOCH:,}",
        )
        curves = {
            kind: [train(data, kind, SGD(0.5), seed, epochs=5 if script.quick else 30, every=5) for seed in seeds]
            for kind in (PLAIN, NORMALIZED)
        }
        draw(script, curves, rates, sweeps, epochs * EPOCH)

        by_sgd, by_adam = rows[2][-1], rows[5][-1]
        script.claim(rows[0][-1] > 5, f"at SGD 0.1 Batch Normalization needs {rows[0][-1]:.0f} times fewer steps")
        script.claim(by_sgd > 2, f"with SGD and both tuned, {by_sgd:.1f} times fewer")
        script.claim(by_adam > 1.2, f"with Adam and both tuned, {by_adam:.1f} times fewer")
        script.claim(rows[0][-1] > by_sgd > by_adam, "the better the optimizer, the smaller the gap")


def draw(script, curves, rates, sweeps, budget):
    """Accuracy over steps, and steps to the goal over learning rates for both optimizers."""
    figure, (left, *others) = script.figure(1, 3, size=(8.4, 3.5))
    arms = ((PLAIN, course.WITHOUT, "without"), (NORMALIZED, course.WITH, "with"))
    for kind, color, label in arms:
        runs = 100 * np.array(curves[kind])
        course.band(left, 5 * np.arange(1, 1 + runs.shape[1]), runs, color, label=f"{label} Batch Normalization")
    left.axhline(100 * GOAL, color=course.GREY, linewidth=0.9, linestyle=":")
    left.text(runs.shape[1] * 5, 100 * GOAL - 2, "90%", color=course.GREY, ha="right", va="top", fontsize=8)
    left.set(xlabel="training step", ylabel="test accuracy (%)", ylim=(0, 108), xlim=(0, None))
    left.set_title("SGD, learning rate 0.5")
    for ax, optimizer in zip(others, rates):
        for kind, color, _ in arms:
            runs = np.minimum(sweeps[optimizer, kind], budget).T
            line = course.band(ax, rates[optimizer], runs, color, marker="o")
            line.set_markevery(list(np.flatnonzero(line.get_ydata() < budget)))  # no point where nothing was measured
            best = np.median(runs, 0).argmin()
            ax.plot(rates[optimizer][best], np.median(runs, 0)[best], "*", markersize=13, color=color, mec="white")
        ax.axhline(budget, color=course.GREY, linewidth=0.9, linestyle=":")
        ax.text(rates[optimizer][-1], budget * 1.14, "90% not reached", color=course.GREY, ha="right", fontsize=8)
        ticks = [0.1, 1, 10] if optimizer is SGD else [0.001, 0.01, 0.1]
        course.log_scale(ax, x=ticks, y=[10, 30, 100, 300, 1000])
        ax.set(xlabel="learning rate", ylim=(10, budget * 2))
        ax.set_title(f"{optimizer.__name__}, all learning rates")
    others[0].set_ylabel("steps to 90% test accuracy")
    others[1].plot([], [], "*", color=course.GREY, markersize=9, label="best learning rate")
    course.legend(figure)
    script.save(figure)


if __name__ == "__main__":
    main()
