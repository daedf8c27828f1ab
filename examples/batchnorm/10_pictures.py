"""10. Batch Normalization of images: what is normalized, and how deep can a network be?

    python examples/batchnorm/10_pictures.py [--quick] [--seed 0] [--out FOLDER]

A convolution uses the same weights at every position of an image, so what it computes with one set of weights, a
*channel*, is normalized as a whole: over all images of the batch, all rows and all columns. These are n h w numbers
per mean (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2). First we compute this by hand, then we train a small
convolutional network with and without it.

Then we go deep. In 38 layers of convolutions, Batch Normalization alone is not enough: its own gradient grows from
layer to layer (experiment 3). A *skip connection* adds the input of two layers to their output, so that the gradient
has a way around them (He et al. 2015, arXiv:1512.03385). Both together train at any of these depths.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, accuracy, digits
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

import minigrad as keras
from minigrad import layers

WIDTH, BATCH, EPOCH = 16, 32, 40  # channels, images per step, steps per epoch
GOAL = 0.97  # test accuracy
SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ARMS = {  # skip connections, Batch Normalization
    "plain, without": (False, PLAIN),
    "plain, with": (False, NORMALIZED),
    "skips, without": (True, PLAIN),
    "skips, with": (True, NORMALIZED),
}


def images():
    """The digits of the other experiments as images of 8 by 8 pixels with one channel."""
    (x, y), (x_test, y_test) = digits()
    return (x.reshape(-1, 8, 8, 1), y), (x_test.reshape(-1, 8, 8, 1), y_test)


def small_network(normalized):
    """Two convolutions, each with a relu and a pooling, and a Dense layer for the classes."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, padding="same", use_bias=not normalized))
        if normalized:
            model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return model


def deep_network(depth, skips, normalized, after=False, initializer="he_normal"):
    """A convolution, `depth - 2` more in blocks of two, and a Dense layer: `skips` lead around the blocks.

    A block is conv, bn, relu, conv, bn, add, relu, as in He et al. 2015; where Batch Normalization comes `after` the
    addition, it is conv, bn, relu, conv, add, bn, relu. A convolution before Batch Normalization needs no bias.
    """

    def convolution(x):
        options = {"padding": "same", "use_bias": not normalized, "kernel_initializer": initializer}
        return layers.Conv2D(WIDTH, 3, **options)(x)

    def normalization(x):
        return layers.BatchNormalization(momentum=0.9)(x) if normalized else x

    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(normalization(convolution(inputs)))
    x = layers.MaxPooling2D()(x)  # 4 by 4 from here on
    for _ in range((depth - 2) // 2):
        block_input = x
        x = layers.ReLU()(normalization(convolution(x)))
        x = convolution(x)
        if not after:
            x = normalization(x)
        if skips:
            x = layers.Add()([block_input, x])
        if after:
            x = normalization(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def train(data, seed, make, optimizer, epochs, batch_size=BATCH, **options):
    """Train what `make()` makes; its accuracy on the test images at the end, and the history of `fit`.

    For a few hundred steps Batch Normalization has the momentum 0.9, and at the end it gets the statistics of all
    training images: experiment 8 shows why.
    """
    keras.utils.set_random_seed(seed)
    model = make()
    model.compile(optimizer, LOSS, metrics=["accuracy"])
    (x, y), test = data
    history = model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, **options).history
    keras.utils.recompute_batch_statistics(model, x, batch_size=len(x))
    return accuracy(model, *test), history


def by_hand(x, epsilon=0.001):
    """Batch Normalization of images (n, h, w, c) in NumPy: a mean and a variance per channel."""
    mean = x.mean(axis=(0, 1, 2))
    variance = x.var(axis=(0, 1, 2))
    return (x - mean) / np.sqrt(variance + epsilon), mean


def at_the_start(depth, seed, skips, normalized, data):
    """Gradients of the first and the last kernel within the blocks, and the sd of what the last block puts out."""
    keras.utils.set_random_seed(seed)
    model = deep_network(depth, skips, normalized)
    both = keras.Model(model.inputs, [model.outputs[0], model.layers[-2].input])
    x, y = data
    outputs, top = both(x, training=True)
    LOSS(y, outputs).backward()
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, layers.Conv2D)]
    first, last = (float(np.linalg.norm(kernels[i].grad)) for i in (1, -1))
    return first, last, top.numpy().std()


def bias_gradient(data, seed):
    """The gradient of a bias before Batch Normalization, as a share of that of the kernel beside it."""
    keras.utils.set_random_seed(seed)
    convolution, normalization = layers.Conv2D(WIDTH, 3), layers.BatchNormalization()
    x, y = data
    outputs = layers.Dense(10)(layers.Flatten()(layers.ReLU()(normalization(convolution(x), training=True))))
    LOSS(y, outputs).backward()
    return np.abs(convolution.bias.grad).max() / np.abs(convolution.kernel.grad).max()


def what_is_normalized(script, data):
    """Check the layer against NumPy, count its numbers, and look at the bias before it."""
    keras.utils.set_random_seed(script.seed)
    x = data[0][0][:BATCH]
    channels = layers.Conv2D(WIDTH, 3, padding="same")(x)  # (32, 8, 8, 16)
    normalized, mean = by_hand(channels.numpy())
    layer = layers.BatchNormalization(momentum=0.0)  # the moving statistics are those of this batch
    difference = np.abs(layer(channels, training=True).numpy() - normalized).max()
    gap = np.abs(layer.moving_mean.numpy() - mean).max()
    script.claim(
        max(difference, gap) < 1e-5,
        f"by hand over images, rows and columns, and by the layer: the same, to {difference:.0e}",
    )
    flat = layers.BatchNormalization()
    flat.build((None, 8 * 8 * WIDTH))
    numbers = channels.numpy()[..., 0].size
    script.claim(
        (numbers, layer.count_params(), flat.count_params()) == (2048, 64, 4096),
        f"each mean is taken over {numbers:,} numbers; the layer has {layer.count_params()} numbers of its own, "
        f"and {flat.count_params():,} if each place were a feature",
    )
    share = bias_gradient([part[:BATCH] for part in data[0]], script.seed)
    script.claim(share < 1e-5, "the bias of a convolution before it has no gradient (but for rounding)")


def small(script, data):
    """Train the small network at several rates, and on pairs; its accuracies by (rate, kind), seed, epoch."""
    seeds, epochs = script.seeds(3, 1), 4 if script.quick else 10
    rates, kinds = (0.1,) if script.quick else (0.03, 0.1, 0.3), (PLAIN, NORMALIZED)

    def train_all(kind, optimizer, rate, epochs, **options):
        return [train(data, seed, lambda: small_network(kind), optimizer(rate), epochs, **options) for seed in seeds]

    watch = {"validation_data": data[1], "validation_batch_size": len(data[1][0])}
    runs = {(rate, kind): train_all(kind, SGD, rate, epochs, **watch) for rate in rates for kind in kinds}
    ends = {arm: np.median([end for end, _ in found]) for arm, found in runs.items()}
    curves = {arm: np.array([history["val_accuracy"] for _, history in found]) for arm, found in runs.items()}
    steps = {arm: np.median([steps_to_goal(curve) for curve in found]) for arm, found in curves.items()}
    script.table(
        ("SGD, rate", "steps without", "steps with", "at the end without", "at the end with"),
        [(f"{rate}", *(steps[rate, kind] for kind in kinds), *(ends[rate, kind] for kind in kinds)) for rate in rates],
        title=f"Two convolutions: steps until {GOAL:.0%} of test images are right; accuracy after {EPOCH * epochs}",
    )
    script.claim(steps[0.1, NORMALIZED] < steps[0.1, PLAIN], "two convolutions: at one rate it learns faster with it")
    if not script.quick:
        fastest = {kind: min(steps[rate, kind] for rate in rates) for kind in kinds}
        highest = {kind: max(ends[rate, kind] for rate in rates) for kind in kinds}
        script.claim(
            fastest[NORMALIZED] < fastest[PLAIN],
            f"each at its best rate: {fastest[NORMALIZED]:.0f} steps with, {fastest[PLAIN]:.0f} without",
        )
        script.claim(
            abs(highest[NORMALIZED] - highest[PLAIN]) < 0.01,
            f"and at the end next to no difference: {highest[NORMALIZED]:.1%} with, {highest[PLAIN]:.1%} without",
        )

    epochs = 2 if script.quick else 3
    pairs = {kind: np.median([end for end, _ in train_all(kind, ADAM, 0.001, epochs, batch_size=2)]) for kind in kinds}
    script.claim(
        pairs[NORMALIZED] > pairs[PLAIN] - 0.01,
        f"trained on batches of two images: {pairs[NORMALIZED]:.1%} with, {pairs[PLAIN]:.1%} without",
    )
    return curves


def steps_to_goal(curve):
    """After how many steps the accuracy first reaches the goal; infinity where it does not."""
    return next((EPOCH * epoch for epoch, share in enumerate(curve, 1) if share >= GOAL), np.inf)


def start(script, data):
    """Gradients and activations of the deep networks before any training: (first, last, sd) by arm, seed, depth."""
    depths, seeds = (8, 26) if script.quick else (8, 20, 38, 56), script.seeds(3, 1)
    sub = data[0][0][:64], data[0][1][:64]
    found = {
        name: np.array([[at_the_start(depth, seed, *arm, sub) for depth in depths] for seed in seeds])
        for name, arm in ARMS.items()
    }
    first = {name: np.median(runs[..., 0], 0) for name, runs in found.items()}
    ratios = {name: np.median(runs[..., 0] / runs[..., 1], 0) for name, runs in found.items()}
    spread = {name: np.median(runs[..., 2], 0) for name, runs in found.items()}
    script.table(
        ("before training", *(f"{d} layers" for d in depths)),
        [(f"{name}: {what}", *numbers)
         for what, table in (("gradient, first block", first), ("gradient, first / last", ratios),
                             ("sd of activations", spread))
         for name, numbers in table.items()],
    )  # fmt: skip
    growth = ratios["plain, with"][-1] ** (1 / (depths[-1] - 3))  # kernels between the first and the last
    script.claim(1.05 < growth < 1.21, f"plain, with: the gradient grows by {growth:.2f} per layer towards the input")
    script.claim(ratios["skips, with"].max() < 8, "skips, with: it grows by less than 8 in all, at any of these depths")
    script.claim(
        spread["plain, without"][-1] < 0.3 * spread["plain, without"][0]
        and spread["skips, without"][-1] > 10 * spread["skips, without"][0],
        "without: the activations vanish; with skips they explode",
    )
    script.claim(spread["skips, with"][-1] < 5, f"skips, with: their sd is {spread['skips, with'][-1]:.1f}")
    return depths, {name: runs[..., 0] for name, runs in found.items()}


def deep(script, data):
    """Train the deep networks; accuracies by arm, seed, depth."""
    depths, epochs = ((8, 26), 3) if script.quick else ((8, 20, 38), 5)

    def accuracies(*args, **options):
        return [
            train(data, seed, lambda: deep_network(*args, **options), ADAM(0.002), epochs)[0]
            for seed in script.seeds(3, 1)
        ]

    found = {name: np.transpose([accuracies(depth, *arm) for depth in depths]) for name, arm in ARMS.items()}
    medians = {name: np.median(runs, 0) for name, runs in found.items()}
    script.table(
        ("", *(f"{d} layers" for d in depths)),
        [(name, *numbers) for name, numbers in medians.items()],
        title=f"Test accuracy after {EPOCH * epochs} steps of Adam, rate 0.002, He's weights",
    )
    both, others = medians["skips, with"], [medians[name][-1] for name in ARMS if name != "skips, with"]
    script.claim(
        both[-1] > both[0] - 0.03,
        f"with both, depth costs next to nothing: {both[0]:.0%} in {depths[0]} layers, {both[-1]:.0%} in {depths[-1]}",
    )
    script.claim(max(others) < both[-1] - 0.05, f"none of the others keeps up: {', '.join(f'{o:.0%}' for o in others)}")
    if not script.quick:
        after = np.median(accuracies(38, True, NORMALIZED, after=True))
        script.claim(after < both[-1] - 0.05, f"Batch Normalization after the addition: {after:.0%} in 38 layers")
        xavier = np.median(accuracies(38, True, PLAIN, initializer="glorot_uniform"))
        script.claim(xavier > others[-1] + 0.05, f"skips without it, and Xavier's smaller weights: {xavier:.0%}")
    return depths, found


def main(argv=None):
    """What is normalized; a small network; deep ones, at their start and trained."""
    with course.Script(__file__, __doc__, argv) as script:
        data = images()
        what_is_normalized(script, data)
        draw(script, small(script, data), start(script, data), deep(script, data))


def draw(script, curves, start, deep):
    """Two drawings above; below, learning, gradients and accuracies."""
    figure, axes = script.figure(size=(8.4, 6.0), mosaic="aaaabb;ccddee", height_ratios=(1, 1.15))
    draw_statistics(axes["a"])
    draw_block(axes["b"])

    ax = axes["c"]
    for kind, color, label in ((PLAIN, course.WITHOUT, "without"), (NORMALIZED, course.WITH, "with")):
        runs = 100 * curves[0.1, kind]
        course.band(ax, EPOCH * np.arange(1, 1 + runs.shape[1]), runs, color, label=label, marker="o", markersize=3)
    ax.set(xlabel="training step", ylabel="test accuracy (%)", xlim=(0, None), ylim=(60, 100.5))
    ax.set_title("Two convolutions")
    ax.legend(loc="lower right")

    for ax, (depths, found) in ((axes["d"], start), (axes["e"], deep)):
        for name, (skips, kind) in ARMS.items():
            style = "-" if skips else (0, (3, 1.5))
            color = course.WITH if kind else course.WITHOUT
            scale = 100 if ax is axes["e"] else 1
            course.band(ax, depths, scale * found[name], color, label=name, marker="o", linestyle=style)
        ax.set(xlabel="layers", xticks=depths)
    axes["d"].set(yscale="log", ylabel="gradient of the first block", ylim=(1e-5, 1e7))
    axes["d"].set_yticks([1e-4, 1e-2, 1, 1e2, 1e4, 1e6])
    axes["d"].set_title("Deep networks at their start")
    axes["d"].legend(loc="upper left", labelspacing=0.2, handlelength=2.2)
    axes["e"].set(ylabel="test accuracy (%)", ylim=(0, 103))
    axes["e"].set_title("Deep networks, trained")
    script.save(figure)


def draw_statistics(ax):
    """A table with one column colored, and images with one channel colored."""
    pale, edge = "#D5D9DE", {"edgecolor": "white", "linewidth": 0.8}
    for row in range(4):
        for column in range(3):
            color = course.GREEN if column == 1 else pale
            ax.add_patch(Rectangle((0.8 * column, 0.6 * row), 0.8, 0.6, facecolor=color, **edge))
    ax.annotate("features", (1.2, 2.52), ha="center")
    ax.annotate("n samples", (-0.15, 1.2), ha="right", va="center", rotation=90)

    side, shift, lefts = 1.6, 0.3, (5.4, 8.5, 11.6)
    for left in lefts:
        for channel in (3, 2, 1, 0):  # the front one last
            x, y = left + shift * channel, shift * channel
            ax.add_patch(Rectangle((x, y), side, side, facecolor=course.GREEN if channel == 1 else pale, **edge))
            for k in (1, 2, 3) if channel < 2 else ():
                ax.plot([x, x + side], [y + side * k / 4] * 2, color="white", linewidth=0.5)
                ax.plot([x + side * k / 4] * 2, [y, y + side], color="white", linewidth=0.5)
    ax.annotate("c channels", (lefts[0] + 1.7, 2.62), ha="center")
    ax.annotate("h rows", (lefts[0] - 0.15, side / 2), ha="right", va="center", rotation=90)
    ax.annotate("w columns", (lefts[0] + side / 2, -0.1), ha="center", va="top")
    ax.annotate("n images", ((lefts[1] + lefts[2] + side) / 2, -0.1), ha="center", va="top")
    for x, *lines in ((1.2, "after Dense:", "one column, n numbers"),
                      (10.0, "after a convolution: one channel", "of all images, n h w numbers")):  # fmt: skip
        for k, line in enumerate(lines):  # each is centered in any language
            ax.annotate(line, (x, -0.95 - 0.6 * k), ha="center", va="top", color=course.GREEN)
    ax.set(xlim=(-1.6, 14.6), ylim=(-2.3, 3.1), aspect="equal", anchor="NW")
    ax.set_title("What one mean and one variance are taken over")
    ax.axis("off")


def draw_block(ax):
    """The layers of a residual block, and the way around them."""
    names = ("conv", "bn", "relu", "conv", "bn", "+", "relu")
    heights = -0.62 * np.arange(len(names))
    for name, y in zip(names, heights):
        color = {"bn": course.BLUE, "+": course.INK}.get(name, course.GREY)
        box = FancyBboxPatch((-0.62, y - 0.16), 1.24, 0.32, boxstyle="round,pad=0.04", color=color, linewidth=0)
        ax.add_patch(box)
        ax.annotate(name, (0, y - 0.01), ha="center", va="center", color="white")
    arrow = {"arrowstyle": "-|>", "mutation_scale": 7, "color": course.INK, "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
    for top in (0.62, *heights):
        ax.add_patch(FancyArrowPatch((0, top - 0.2), (0, top - 0.42), **arrow))
    ax.plot([0, 1.25, 1.25], [0.36, 0.36, heights[5]], color=course.INK, linewidth=1)
    ax.add_patch(FancyArrowPatch((1.25, heights[5]), (0.66, heights[5]), **arrow))
    ax.annotate("skip", (1.35, heights[2]), va="center")
    ax.annotate("no bias", (-0.75, heights[0]), va="center", ha="right")
    ax.annotate("no bias", (-0.75, heights[3]), va="center", ha="right")
    ax.set(xlim=(-2.2, 2.4), ylim=(heights[-1] - 0.45, 0.5), aspect="equal", anchor="NW")
    ax.set_title("A residual block")
    ax.axis("off")


if __name__ == "__main__":
    main()
