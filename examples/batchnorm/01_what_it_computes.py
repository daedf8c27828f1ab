"""1. What does Batch Normalization compute, and why is it called batch?

    python examples/batchnorm/01_what_it_computes.py [--quick] [--seed 0] [--out FOLDER]

Three steps, for each feature by itself, over the rows of a mini-batch: subtract their mean, divide by their standard
deviation, then scale by gamma and shift by beta, which are learned (Ioffe and Szegedy 2015, arXiv:1502.03167):

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta

Epsilon is a small constant, here 0.001. It keeps a feature that is the same in all rows from being divided by 0. We
compute the formula by hand and compare it with the layer. Then we see what the layer is for, in a network of eight
layers, and what the same row becomes in different batches.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, digits, network

import minigrad as keras

GAMMA, BETA = np.array([2.0, 0.5]), np.array([0.0, 1.0])


def people(rng, rows):
    """Heights (cm) and weights (kg) of people who do not exist."""
    return rng.multivariate_normal([170, 70], [[100, 80], [80, 200]], rows).astype("float32")


def by_hand(x, epsilon=0.001):
    """The three steps of Batch Normalization on a batch, each with its name."""
    centered = x - x.mean(axis=0)
    scaled = centered / np.sqrt(x.var(axis=0) + epsilon)
    shifted = GAMMA * scaled + BETA
    return {"The batch": x, "1. Zero-center": centered, "2. Scale": scaled, "3. Scale and shift": shifted}


def layer_by_layer(normalized, x):
    """What goes into each activation of a network at its start."""
    model = network(8, 100, "relu", normalized)
    inputs = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Activation):
            inputs.append(x.numpy().ravel())
        x = layer(x, training=True)
    return inputs


def main(argv=None):
    """Compute, tell, draw, check."""
    with course.Script(__file__, __doc__, argv) as script:
        keras.utils.set_random_seed(script.seed)
        rng = np.random.default_rng(script.seed)
        x = people(rng, 32)
        steps = by_hand(x)
        script.table(
            ("32 people", "mean height", "mean weight", "sd height", "sd weight"),
            [(name, *np.round(values.mean(0), 4) + 0.0, *values.std(0)) for name, values in steps.items()],
        )

        layer = keras.layers.BatchNormalization()
        layer.build(x.shape)
        layer.gamma.assign(GAMMA)
        layer.beta.assign(BETA)
        difference = np.abs(layer(x, training=True).numpy() - steps["3. Scale and shift"]).max()

        layer.gamma.assign(np.sqrt(x.var(0) + layer.epsilon))
        layer.beta.assign(x.mean(0))
        undone = np.abs(layer(x, training=True).numpy() - x).max()

        # The first person among others, again and again.
        norm = keras.layers.BatchNormalization(momentum=0.9)
        batches = [np.concatenate([x[:1], people(rng, 31)]) for _ in range(60)]
        in_training = [float(norm(batch, training=True)[0, 0]) for batch in batches]
        in_inference = [float(norm(batch, training=False)[0, 0]) for batch in batches]

        before, after = (layer_by_layer(kind, keras.Tensor(digits()[0][0][:256])) for kind in (PLAIN, NORMALIZED))
        spread = [(i, a.std(), b.std()) for i, (a, b) in enumerate(zip(before, after), 1)]
        script.table(("into the activation of layer", "sd without", "sd with"), spread)

        draw(script, steps, before, after, in_training[:30], in_inference[0])
        script.claim(difference < 1e-5, f"by hand and by the layer: the same, to {difference:.0e}")
        script.claim(
            np.abs(steps["2. Scale"].mean(0)).max() < 1e-5 and np.abs(steps["2. Scale"].std(0) - 1).max() < 1e-3,
            "after two steps each feature has mean 0 and standard deviation 1",
        )
        script.claim(undone < 1e-3, f"with gamma = sd and beta = mean the layer changes nothing, to {undone:.0e}")
        script.claim(
            spread[-1][1] < 0.5 * spread[0][1] and all(abs(b - 1) < 0.01 for *_, b in spread),
            f"from layer 1 to 8 the standard deviation goes from {spread[0][1]:.2f} to {spread[-1][1]:.2f} without; "
            f"with, it is {spread[-1][2]:.2f}",
        )
        script.claim(
            len(set(in_training)) == len(batches) and len(set(in_inference)) == 1,
            f"one person in 60 batches: 60 values in training, sd {np.std(in_training):.2f}; one in inference",
        )


def draw(script, steps, before, after, in_training, in_inference):
    """The three steps above; below, what they do to eight layers, and one person in many batches."""
    figure, axes = script.figure(size=(8.4, 5.4), mosaic="abcd;eeff", height_ratios=(1, 1.25))
    for ax, (name, values) in zip([axes[k] for k in "abcd"], steps.items()):
        ax.axhline(0, color=course.GREY, linewidth=0.8)
        ax.axvline(0, color=course.GREY, linewidth=0.8)
        ax.scatter(*values[1:].T, s=14, color=course.GREY, alpha=0.8, linewidth=0)
        ax.scatter(*values[0], s=32, color=course.PINK, zorder=3, edgecolor="white", linewidth=0.8, label="one of them")
        ax.set_title(name)
        if values.max() > 10:
            ax.set(xlim=(-40, 210), ylim=(-65, 125), xlabel="height (cm)")
        else:
            ax.set(xlim=(-6, 6), ylim=(-4.4, 4.4), xlabel="height (no unit)")
    axes["a"].set_ylabel("weight (kg)")
    axes["c"].set_ylabel("weight (no unit)")
    axes["b"].tick_params(labelleft=False)
    axes["d"].tick_params(labelleft=False)
    axes["a"].legend(loc="lower left", handletextpad=0.1, borderpad=0)

    ax = axes["e"]
    for shift, inputs, color, label in ((-0.16, before, course.WITHOUT, "without"), (0.16, after, course.WITH, "with")):
        places = np.arange(1, 9) + shift
        low, first, middle, third, high = np.percentile(inputs, [5, 25, 50, 75, 95], axis=1)
        ax.vlines(places, low, high, color=color, linewidth=1.6)
        ax.vlines(places, first, third, color=color, linewidth=6, label=f"{label} Batch Normalization")
        if shift > 0:
            ax.plot([], [], color=course.GREY, linewidth=6, label="the middle half of the values")
            ax.plot([], [], color=course.GREY, linewidth=1.6, label="5% to 95% of the values")
        ax.scatter(places, middle, s=9, color="white", zorder=3)
    ax.set(xlabel="hidden layer", ylabel="input of its activation", xticks=range(1, 9), ylim=(-2, 4.6))
    ax.set_title("Eight layers, before any training")
    ax.legend(loc="upper right")
    ax.grid(axis="x", visible=False)

    ax = axes["f"]
    ax.axhline(in_inference, color=course.GREEN, label="in inference")
    ax.plot(range(1, 1 + len(in_training)), in_training, "o", color=course.PINK, label="in training")
    ax.set(xlabel="number of the batch", ylabel="height of that person, normalized")
    middle = np.mean(in_training)
    ax.set(xlim=(0, len(in_training) + 1), ylim=(middle - 0.75, middle + 0.95))
    ax.set_title("The same person in 30 batches")
    ax.legend(loc="upper right", ncols=2)
    script.save(figure)


if __name__ == "__main__":
    main()
