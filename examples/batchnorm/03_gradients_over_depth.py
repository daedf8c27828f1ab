"""3. Do gradients still vanish or explode with Batch Normalization?

    python examples/batchnorm/03_gradients_over_depth.py [--quick] [--seed 0] [--out FOLDER]

A network of 20 layers of 100 units at its start: how large is the gradient that arrives at each layer's weights? With
sigmoids it vanishes on its way from the last layer to the first, with tanh and large weights it explodes, and with
ReLU the activations themselves do either, by the size of the weights. Batch Normalization ends all three.

It has a limit. With ReLU the gradient itself still grows, by about sqrt(pi / (pi - 1)) = 1.21 per layer towards the
input, whatever the weights. Batch Normalization itself is the cause: it divides by the standard deviation of what ReLU
left, sqrt((pi - 1) / pi), and so multiplies the gradient (Yang et al. 2019, arXiv:1902.08129, who conclude that very
deep networks with it, and without skip connections, can't be trained from their start). Experiment 10 adds them.
"""

import math
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, digits, network

import minigrad as keras

THEORY = math.sqrt(math.pi / (math.pi - 1))  # growth per layer with ReLU
CASES = {  # activation, factor on weights of variance 1 / inputs
    "sigmoid": ("sigmoid", 1.0),
    "tanh, weights × 3": ("tanh", 3.0),
    "ReLU, weights × 0.7": ("relu", 0.5 * math.sqrt(2)),
    "ReLU, weights × 4.2": ("relu", 3 * math.sqrt(2)),
}


def gradients(depth, activation, normalized, factor, data, seed, width=100):
    """The length of the gradient of each hidden layer's weights, and the sd of the last layer's activations."""
    keras.utils.set_random_seed(seed)
    initializer = keras.initializers.VarianceScaling(factor**2, "fan_in", "untruncated_normal")
    model = network(depth, width, activation, normalized, initializer=initializer)
    x, y = data
    hidden = keras.Tensor(x)
    for layer in model.layers[:-1]:
        hidden = layer(hidden, training=True)  # of the layers here only BatchNormalization cares
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, model.layers[-1](hidden))
    loss.backward()
    kernels = [layer.kernel for layer in model.layers[:-1] if isinstance(layer, keras.layers.Dense)]
    return [float(np.linalg.norm(kernel.grad)) for kernel in kernels], hidden.numpy().std()


def main(argv=None):
    """Measure at the start of training: no step is taken."""
    with course.Script(__file__, __doc__, argv) as script:
        (x, y), _ = digits()
        data = x[:128], y[:128]
        seeds = script.seeds(10, 2)
        found, rows = {}, []
        for name, (activation, factor) in CASES.items():
            for kind in (PLAIN, NORMALIZED):
                runs = [gradients(20, activation, kind, factor, data, seed) for seed in seeds]
                found[name, kind] = np.array([g for g, _ in runs])
                ratio = np.median(found[name, kind][:, 0] / found[name, kind][:, -1])
                rows.append((name, "with" if kind else "without", ratio, np.median([s for _, s in runs])))
        script.table(("20 layers", "", "gradient of layer 1 / of layer 20", "sd of activations, layer 20"), rows)

        depths = (10, 20, 40) if script.quick else (10, 20, 30, 40, 50, 60)
        growth = {
            activation: np.array([
                [first / last for (first, *_, last), _ in
                 (gradients(depth, activation, NORMALIZED, 1.4, data, seed) for depth in depths)]
                for seed in seeds
            ])
            for activation in ("relu", "tanh", "linear")
        }
        rates = {a: np.median(runs[:, -1]) ** (1 / (depths[-1] - 1)) for a, runs in growth.items()}
        script.table(
            ("with Batch Normalization", *(f"{d} layers" for d in depths), "per layer"),
            [(a, *np.median(runs, 0), rates[a]) for a, runs in growth.items()],
            title="gradient of layer 1 / of the last hidden layer",
        )
        draw(script, found, depths, growth)

        ratios = {(name, how): ratio for name, how, ratio, _ in rows}
        spread = {(name, how): s for name, how, _, s in rows}
        script.claim(ratios["sigmoid", "without"] < 1e-9, "without, sigmoid: the gradient vanishes")
        ratio = ratios["sigmoid", "with"]
        script.claim(0.2 < ratio < 5, f"with, sigmoid: it has about the same size at both ends ({ratio:.2f})")
        ratio = ratios["tanh, weights × 3", "without"]
        script.claim(ratio > 30, f"without, tanh with large weights: it grows {ratio:.0f}-fold")
        ratio = ratios["tanh, weights × 3", "with"]
        script.claim(ratio < 10, f"with, tanh with large weights: {ratio:.1f}-fold")
        small, large = "ReLU, weights × 0.7", "ReLU, weights × 4.2"
        script.claim(
            spread[small, "without"] < 1e-4 and spread[large, "without"] > 1e4,
            "without, ReLU: the activations vanish with small weights and explode with large ones",
        )
        script.claim(
            abs(spread[small, "with"] / spread[large, "with"] - 1) < 0.1, "with, ReLU: the same activations with both"
        )
        growth_at_end = np.median(growth["relu"][:, -1])
        script.claim(
            abs(rates["relu"] - THEORY) < 0.04,
            f"with ReLU the gradient grows by {rates['relu']:.3f} per layer, {growth_at_end:,.0f}-fold in {depths[-1]} "
            f"layers; theory says {THEORY:.3f}",
        )
        script.claim(abs(rates["linear"] - 1) < 0.03, f"without an activation by {rates['linear']:.3f}: ReLU matters")


def draw(script, found, depths, growth):
    """Gradients layer by layer, without and with; and the growth that is left."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.6))
    colors = (course.YELLOW, course.PINK, course.GREEN, course.SKY)  # ReLU and tanh as on the right
    for ax, kind, how in ((axes[0], PLAIN, "Without"), (axes[1], NORMALIZED, "With")):
        for name, color in zip(CASES, colors):
            course.band(ax, range(1, 21), found[name, kind], color, label=name)
        ax.set(xlabel="hidden layer", yscale="log", ylim=(1e-16, 1e18), xticks=(1, 5, 10, 15, 20))
        ax.set_yticks([1e-15, 1e-10, 1e-5, 1, 1e5, 1e10, 1e15])
        ax.set_title(f"{how} Batch Normalization")
    axes[0].set_ylabel("length of the weights' gradient")
    course.legend(figure, axes[0])
    axes[0].text(1, 3e15, "ReLU: gradients level,", fontsize=8)
    axes[0].text(1, 2e13, "activations run away", fontsize=8)
    axes[1].tick_params(labelleft=False)

    ax = axes[2]
    styles = (("relu", course.GREEN, "ReLU"), ("tanh", course.PINK, "tanh"), ("linear", course.GREY, "none"))
    ax.plot(depths, [THEORY ** (d - 1) for d in depths], ":", color=course.INK, label="theory: 1.21 per layer")
    for activation, color, label in styles:
        course.band(ax, depths, growth[activation], color, label=label, marker="o")
    course.log_scale(ax, y=[1, 10, 100, 1000, 10_000, 100_000])
    ax.set(xlabel="hidden layers", ylabel="gradient of the first / last layer", ylim=(0.5, 3e5))
    ax.set_title("With it, by activation")
    ax.legend(loc="upper left", labelspacing=0.25)
    script.save(figure)


if __name__ == "__main__":
    main()
