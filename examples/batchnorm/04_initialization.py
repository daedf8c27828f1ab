"""4. Does the size of the initial weights still matter with Batch Normalization?

    python examples/batchnorm/04_initialization.py [--quick] [--seed 0] [--out FOLDER]

Without it weights must start with a certain spread: Xavier's (Glorot and Bengio 2010) for tanh and sigmoids, He's
(He et al. 2015, arXiv:1502.01852), larger by sqrt(2), for ReLU. Here networks start with 0.01 to 30 times He's spread,
train for 400 steps and are tested.

Batch Normalization divides by the standard deviation, so the scale of the weights before it cancels. Not quite: the
epsilon that is added to the variance does not scale along, and behind many layers of tiny weights it is all that is
left. And networks with very large weights train, but slowly: each step turns the weights by a smaller angle.

All accuracies are those with the statistics of all training rows, so none of them shows the lag of experiment 8.
"""

import math
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, digits, trained_accuracy

import minigrad as keras

XAVIER = 1 / math.sqrt(2)  # its standard deviation over He's, where a layer has as many units as inputs
OPTIMIZERS = {
    "SGD, learning rate 0.1": lambda: keras.optimizers.SGD(0.1),
    "Adam, learning rate 0.001": lambda: keras.optimizers.Adam(0.001),
}


def run(data, depth, normalized, size, seeds, optimizer, **options):
    """Test accuracies after 400 steps, one for each seed; the weights have `size` times He's spread."""
    options["initializer"] = keras.initializers.VarianceScaling(2 * size**2, "fan_in", "untruncated_normal")
    return [
        trained_accuracy(data, seed, depth, 64, "relu", normalized, optimizer=optimizer(), **options) for seed in seeds
    ]


def main(argv=None):
    """Sweep the size of the weights, the depth, and epsilon."""
    with course.Script(__file__, __doc__, argv) as script:
        data, seeds = digits(), script.seeds(5, 1)
        sizes = [0.01, 1, 10] if script.quick else [0.01, 0.03, 0.1, 0.3, XAVIER, 1, 2, 5, 10, 30]
        sgd = OPTIMIZERS["SGD, learning rate 0.1"]
        sweeps = {
            (name, kind): np.array([run(data, 5, kind, size, seeds, optimizer) for size in sizes])
            for name, optimizer in OPTIMIZERS.items()
            for kind in (PLAIN, NORMALIZED)
        }
        script.table(
            ("5 layers of 64 ReLU", "", *(f"{g:.2g}" for g in sizes)),
            [(name, "with" if kind else "without", *(f"{v:.2f}" for v in np.median(runs, 1)))
             for (name, kind), runs in sweeps.items()],
            title="Test accuracy after 400 steps by the sd of the weights / He's (Xavier's: 0.71), "
            f"median of {len(seeds)} seeds",
        )

        depths = [25] if script.quick else [5, 15, 25, 35]
        rules = {"Xavier": XAVIER, "He": 1.0}
        by_depth = {
            (rule, kind): np.array([run(data, depth, kind, size, script.seeds(5, 2), sgd) for depth in depths])
            for rule, size in rules.items()
            for kind in (PLAIN, NORMALIZED)
        }
        script.table(
            ("SGD 0.1", "", *(f"{d} layers" for d in depths)),
            [(rule, "with" if kind else "without", *(f"{v:.2f}" for v in np.median(runs, 1)))
             for (rule, kind), runs in by_depth.items()],
        )

        limit = {e: np.median(run(data, 10, NORMALIZED, 0.003, seeds, sgd, epsilon=e)) for e in (1e-3, 1e-5)}
        script.table(
            ("10 layers with, 0.003 × He", "test accuracy"), [(f"epsilon {e:g}", v) for e, v in limit.items()]
        )
        draw(script, sizes, sweeps, depths, by_depth)

        def works(name, kind):
            """The sizes with which a network is any good."""
            return [g for g, v in zip(sizes, np.median(sweeps[name, kind], 1)) if v > 0.8]

        least = np.median(sweeps["SGD, learning rate 0.1", NORMALIZED], 1).min()
        script.claim(
            least > 0.6, f"SGD, with: at least {least:.0%} for weights of {sizes[0]:g} to {sizes[-1]:g} times He's"
        )

        for name in OPTIMIZERS:
            plain, normalized = works(name, PLAIN), works(name, NORMALIZED)
            script.claim(
                max(normalized) / min(normalized) >= 5 * max(plain) / min(plain),
                f"{name}: above 80% for {min(plain):.2g} to {max(plain):.2g} times He's weights without, for "
                f"{min(normalized):.2g} to {max(normalized):.2g} with",
            )
        at_25 = {arm: np.median(runs[depths.index(25)]) for arm, runs in by_depth.items()}
        script.claim(
            all(value > 0.8 if kind is NORMALIZED else value < 0.8 for (_, kind), value in at_25.items()),
            "25 layers, Xavier's or He's weights: above 80% with, below 80% without",
        )
        script.claim(
            limit[1e-5] > 0.7 > limit[1e-3], "10 layers of tiny weights: only the smaller epsilon is small enough"
        )


def draw(script, sizes, sweeps, depths, by_depth):
    """Accuracy over sizes of the weights for both optimizers, and over depths for both rules."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.5), sharey=True)
    for ax, name in zip(axes, OPTIMIZERS):
        for kind, color, label in ((PLAIN, course.WITHOUT, "without"), (NORMALIZED, course.WITH, "with")):
            course.accuracies(ax, sizes, sweeps[name, kind].T, color, label=f"{label} Batch Normalization")
        for size in (XAVIER, 1):
            ax.axvline(size, color=course.GREY, linewidth=0.9, linestyle=":", zorder=0)
        course.log_scale(ax, x=[0.01, 0.1, 1, 10])
        ax.set(xlabel="sd of the initial weights / He's")
        ax.set_title(name)
    axes[0].set_ylabel("test accuracy after 400 steps (%)")
    course.explain_failures(axes[0])
    for ax in axes[1:]:
        ax.axhline(10, color=course.GREY, linewidth=0.9, linestyle=":", zorder=0)
    axes[1].text(0.62, 3, "Xavier", color=course.GREY, fontsize=8, ha="right")
    axes[1].text(1.15, 3, "He", color=course.GREY, fontsize=8)
    ax = axes[2]
    for (rule, kind), runs in by_depth.items():
        color, style = course.WITH if kind else course.WITHOUT, "-" if rule == "He" else "--"
        ax.plot(depths, 100 * np.median(runs, 1), style, color=color, marker="o" if rule == "He" else "s")
    for rule, style, marker in (("He", "-", "o"), ("Xavier", "--", "s")):
        ax.plot([], [], style, color=course.GREY, marker=marker, label=f"weights of {rule}")
    ax.set(xlabel="hidden layers", xticks=depths, ylim=(-3, 103))
    ax.set_title("SGD, by depth")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 0.12))
    course.legend(figure, axes[0])
    script.save(figure)


if __name__ == "__main__":
    main()
