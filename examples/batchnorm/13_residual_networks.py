"""13. Residual networks: does depth train now?

    python examples/batchnorm/13_residual_networks.py [--quick] [--seed 0] [--out FOLDER]

Experiment 3 kept the gradient from vanishing, and found a limit: with Batch Normalization and ReLU it grows from layer
to layer, so very deep networks still do not train. A *skip connection* leads around each layer (He et al. 2015,
arXiv:1512.03385; in the order of He et al. 2016, arXiv:1603.05027):

    plain:   x <- Dense(relu(BN(x)))                  dL/dx = J^T g
    skip:    x <- x + Dense(relu(BN(x)))              dL/dx = g + J^T g

where g is the gradient that arrives and J the Jacobian of the layer. The gradient has a way back with slope one.

Why is Batch Normalization in there? Without it a layer adds as much variance as it gets, and after l of them the
variance is 2^l. With it each adds 1, and the variance is 1 + l: layer l changes what passes by a part of 1 / (1 + l)
only. De and Smith 2020 (arXiv:2002.10444) say that this is the whole secret; then a factor in front of each layer that
starts at 0 should do as well ("SkipInit"). It is tried here, too.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import digits

import minigrad as keras
from minigrad import layers

WIDTH = 64
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ARMS = {  # skip connections, Batch Normalization, a factor that starts at 0
    "plain, without": (False, False, False),
    "plain, with": (False, True, False),
    "skips, without": (True, False, False),
    "skips, with": (True, True, False),
    "skips, factor 0": (True, False, True),
}
STYLES = {
    "plain, without": (course.WITHOUT, (0, (3, 1.5))),
    "plain, with": (course.WITH, (0, (3, 1.5))),
    "skips, without": (course.WITHOUT, "-"),
    "skips, with": (course.WITH, "-"),
    "skips, factor 0": (course.GREEN, "-"),
}


class Factor(layers.Layer):
    """y = a x, with one number a that is learned and starts at 0."""

    def build(self, input_shape):
        self.a = self.add_weight((), "zeros", name="factor")

    def call(self, inputs):
        return self.a * inputs


class Deep(keras.Model):
    """A Dense layer, `depth` blocks of one Dense layer each, and a Dense layer for the classes."""

    def __init__(self, depth, skips, normalized, factor):
        super().__init__()
        self.skips, self.left_out = skips, None
        self.first = layers.Dense(WIDTH)
        self.blocks = []
        for _ in range(depth):
            block = [layers.BatchNormalization(momentum=0.9)] if normalized else []
            block += [layers.ReLU(), layers.Dense(WIDTH, kernel_initializer="he_normal")]
            block += [Factor()] if factor else []
            self.blocks.append(keras.Sequential(block))
        self.last = layers.Dense(10)

    def call(self, x, training=False):
        return self.last(self.walk(x, training)[-1])

    def walk(self, x, training=False, leave_out=None):
        """What comes out of the first layer and of each block; `leave_out` is the number of a block to jump over."""
        found = [self.first(x)]
        for i, block in enumerate(self.blocks):
            x = found[-1]
            if i != leave_out:
                y = block(x, training=training)
                x = x + y if self.skips else y
            found.append(x)
        return found


def at_the_start(arm, depth, data, seed):
    """Before training: the sd after each block, and the gradient of its kernel (0 behind a factor of 0)."""
    keras.utils.set_random_seed(seed)
    model, (x, y) = Deep(depth, *arm), data
    model(x)  # build
    found = model.walk(x, training=True)
    LOSS(y, model.last(found[-1])).backward()
    kernels = [layer.kernel for block in model.blocks for layer in block.layers if isinstance(layer, layers.Dense)]
    gradients = [float(np.linalg.norm(kernel.grad.astype("float64"))) for kernel in kernels]
    return [float(h.numpy().std()) for h in found], gradients


def trained(arm, depth, data, seed, epochs):
    """Train one; the model."""
    keras.utils.set_random_seed(seed)
    model = Deep(depth, *arm)
    model.compile(keras.optimizers.Adam(0.001), LOSS)
    model.fit(*data, batch_size=64, epochs=epochs, verbose=0)
    return model


def score(model, x, y, leave_out=None):
    """The share of samples that are classified correctly; what is not finite is wrong."""
    outputs = model.last(model.walk(x, leave_out=leave_out)[-1]).numpy()
    return np.mean((outputs.argmax(1) == y) & np.isfinite(outputs).all(1))


def start(script, data):
    """Spreads and gradients of the five networks before training."""
    depth, seeds = 50, script.seeds(5, 1)
    found = {name: [at_the_start(arm, depth, data, seed) for seed in seeds] for name, arm in ARMS.items()}
    spread = {name: np.array([sds for sds, _ in runs]) for name, runs in found.items()}
    ratios = {name: np.median([g[0] / g[-1] for _, g in runs]) for name, runs in found.items() if not ARMS[name][2]}
    medians = {name: np.median(runs, 0) for name, runs in spread.items()}
    script.table(
        ("before training", "sd before the blocks", "behind 10", f"behind {depth}", "gradient, first / last"),
        [(name, sds[0], sds[10], sds[-1], ratios.get(name, "")) for name, sds in medians.items()],
    )
    return depth, spread, ratios


def over_depth(script, data):
    """Accuracies by arm, seed, depth."""
    depths, epochs = ((50,), 4) if script.quick else ((2, 5, 10, 20, 50, 100), 20)
    train, test = data
    found = {
        name: np.array([[score(trained(arm, depth, train, seed, epochs), *test) for depth in depths]
                        for seed in script.seeds(3, 1)])
        for name, arm in ARMS.items()
    }  # fmt: skip
    script.table(
        ("test accuracy", *(f"{d} blocks" for d in depths)),
        [(name, *np.median(runs, 0)) for name, runs in found.items()],
        title=f"After {20 * epochs} steps of Adam",
    )
    return depths, found


def one_block_less(script, data, depth=10):
    """Train two networks that learn; the accuracies where one block is jumped over, by arm, seed, block."""
    train, test = data
    found = {}
    for name in ("plain, with", "skips, with"):
        models = [trained(ARMS[name], depth, train, seed, 4 if script.quick else 20) for seed in script.seeds(3, 1)]
        found[name] = np.array([[score(m, *test, leave_out=i) for i in (None, *range(depth))] for m in models])
    script.table(
        ("test accuracy", "all blocks", "one less: the worst", "on average"),
        [(name, np.median(runs[:, 0]), np.median(runs[:, 1:].min(1)), np.median(runs[:, 1:].mean(1)))
         for name, runs in found.items()],
    )  # fmt: skip
    return found


def main(argv=None):
    """The start of deep networks, their training, and what a block is worth."""
    with course.Script(__file__, __doc__, argv) as script:
        data = digits()
        (x, y), _ = data
        begin = start(script, (x[:128], y[:128]))
        depths, ends = over_depth(script, data)
        less = one_block_less(script, data)
        draw(script, begin, depths, ends, less)
        claims(script, begin, depths, ends, less)


def claims(script, begin, depths, ends, less):
    """What the page says."""
    depth, spread, ratios = begin
    sds = {name: np.median(runs, 0) for name, runs in spread.items()}
    growth = (sds["skips, without"][-1] / sds["skips, without"][10]) ** (1 / (depth - 10))
    script.claim(abs(growth / 2**0.5 - 1) < 0.04, f"skips, without: the sd grows by {growth:.2f} per block, about √2")
    with_both, theory = sds["skips, with"][-1], (1 + depth) ** 0.5
    script.claim(abs(with_both / theory - 1) < 0.1, f"skips, with: it is {with_both:.1f} behind {depth} blocks, "
                 f"about √{1 + depth} = {theory:.1f}")  # fmt: skip
    script.claim(
        ratios["plain, with"] > 1000 and ratios["skips, with"] < 10,
        f"with, first / last gradient: {ratios['plain, with']:,.0f} plain, {ratios['skips, with']:.1f} with skips",
    )
    last = {name: np.median(runs[:, -1]) for name, runs in ends.items()}
    script.claim(
        min(last["skips, with"], last["skips, factor 0"]) > 0.85
        and max(last["plain, with"], last["plain, without"]) < 0.6,
        f"{depths[-1]} blocks: {last['skips, with']:.0%} with both, {last['skips, factor 0']:.0%} with a factor; "
        f"plain {last['plain, with']:.0%} with, {last['plain, without']:.0%} without",
    )
    plain, skips = (np.median(less[name][:, 1:].mean(1)) for name in ("plain, with", "skips, with"))
    script.claim(plain < 0.4 < 0.7 < skips, f"one of 10 blocks left out: {skips:.0%} with skips, {plain:.0%} plain")


def draw(script, begin, depths, ends, less):
    """The spread block by block, accuracy over depth, and with one block less."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.6))
    ax, (depth, spread, _) = axes[0], begin
    blocks = np.arange(1 + depth)
    ax.plot(blocks, np.sqrt(2.0**blocks), ":", color=course.INK, label="√2ˡ and √(1 + l)")
    ax.plot(blocks, np.sqrt(1 + blocks), ":", color=course.INK)
    for name, runs in spread.items():
        color, style = STYLES[name]
        course.band(ax, blocks, runs, color, label=name, linestyle=style)
    ax.set(xlabel="behind block", ylabel="standard deviation", yscale="log")
    ax.set_title("Activations, before training")
    ax.legend(loc="upper left", handlelength=2.2, labelspacing=0.2)

    ax = axes[1]
    for name, runs in ends.items():
        color, style = STYLES[name]
        course.band(ax, depths, 100 * runs, color, label=name, linestyle=style, marker="o", markersize=4)
    course.log_scale(ax, x=depths)
    ax.set(xlabel="blocks", ylabel="test accuracy (%)", ylim=(0, 103))
    ax.set_title("Trained, by depth")
    ax.legend(loc="lower left", handlelength=2.2, labelspacing=0.2)

    ax = axes[2]
    for name, runs in less.items():
        color, style = STYLES[name]
        course.band(ax, np.arange(1, runs.shape[1]), 100 * runs[:, 1:], color, label=name, linestyle=style, marker="o")
    ax.set(xlabel="the block that is left out", ylabel="test accuracy (%)", ylim=(0, 103))
    ax.set_title("10 blocks, one left out")
    ax.legend(loc="center", handlelength=2.2)
    script.save(figure)


if __name__ == "__main__":
    main()
