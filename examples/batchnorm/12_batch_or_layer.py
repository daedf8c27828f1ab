"""12. Batch Normalization or Layer Normalization?

    python examples/batchnorm/12_batch_or_layer.py [--quick] [--seed 0] [--out FOLDER]

Both subtract a mean and divide by a standard deviation. Batch Normalization takes them over the samples of the batch,
for each feature by itself; Layer Normalization (Ba et al. 2016, arXiv:1607.06450) over the features, for each sample by
itself. So Layer Normalization needs no batch, has no moving averages, and computes the same in training and inference.

    BatchNormalization   mean over samples (and steps of time)   moving averages   training is not inference
    LayerNormalization   mean over features                      none              training is inference

Which of them is better? That depends on what it is for.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import load_breast_cancer

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import accuracy, digits

import minigrad as keras
from minigrad import layers

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
NONE, BATCH, LAYER = KINDS = "neither", "BatchNormalization", "LayerNormalization"
COLORS = {NONE: course.WITHOUT, BATCH: course.WITH, LAYER: course.GREEN}


def normalization(kind):
    """A list with the layer, or an empty one."""
    return {
        NONE: list,
        BATCH: lambda: [layers.BatchNormalization(momentum=0.9)],
        LAYER: lambda: [layers.LayerNormalization()],
    }[kind]()


def network(kind, depth, width=64, inputs=64, outputs=10, first=False):
    """`depth` hidden layers, each Dense, normalization, relu; if `first`, the normalization is on the inputs alone."""
    model = [keras.Input((inputs,)), *(normalization(kind) if first else [])]
    for _ in range(depth):
        model += [layers.Dense(width, kernel_initializer="he_normal")]
        model += [*([] if first else normalization(kind)), layers.ReLU()]
    return keras.Sequential([*model, layers.Dense(outputs)])


def trained(model, data, optimizer, epochs, batch_size):
    """Train; Batch Normalization gets the statistics of all training samples at the end (experiment 8)."""
    model.compile(optimizer, LOSS)
    model.fit(*data, batch_size=batch_size, epochs=epochs, verbose=0)
    if any(isinstance(layer, layers.BatchNormalization) for layer in model.layers):
        keras.utils.recompute_batch_statistics(model, data[0], batch_size=len(data[0]))
    return model


def influence(kind, samples=8, steps=8, features=16, seed=0):
    """In training: how much each number of a batch of sequences changes the output of sample 3 at step 4.

    Returns the size of the gradient for each sample and step.
    """
    random = np.random.default_rng(seed)
    x = keras.Tensor(random.normal(size=(samples, steps, features)), requires_grad=True)
    layer = {BATCH: layers.BatchNormalization, LAYER: layers.LayerNormalization}[kind](dtype="float64")
    y = layer(x, training=True)
    g = np.zeros(y.shape)
    g[2, 3] = random.normal(size=features)
    y.backward(g)
    return np.linalg.norm(x.grad, axis=2)


def small_batches(script, data):
    """Accuracy over the size of the training batches."""
    sizes = (2, 64) if script.quick else (2, 3, 4, 8, 16, 32, 64)
    train, test = data
    found = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for seed in script.seeds(5, 1):
            ends = []
            for size in sizes:
                keras.utils.set_random_seed(seed)
                model = trained(network(kind, 3), train, keras.optimizers.Adam(0.001), 4 if script.quick else 10, size)
                ends.append(accuracy(model, *test))
            found[kind].append(ends)
    found = {kind: np.array(runs) for kind, runs in found.items()}
    script.table(
        ("trained on batches of", *map(str, sizes)),
        [(kind, *np.median(runs, 0)) for kind, runs in found.items()],
        title="Test accuracy, three hidden layers",
    )
    return sizes, found


def raw_tables(script):
    """Accuracy on tumors whose 30 measurements have very different units, by what is done to the inputs."""
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype("float32")
    found = {kind: [] for kind in (*KINDS, "scaled beforehand")}
    for seed in script.seeds(10, 2):
        order = np.random.default_rng(seed).permutation(len(x))
        train, test = order[:400], order[400:]
        scaled = (x - x[train].mean(0)) / x[train].std(0)
        for name in found:
            keras.utils.set_random_seed(seed)
            rows, kind = (scaled, NONE) if name == "scaled beforehand" else (x, name)
            model = network(kind, 2, 32, inputs=30, outputs=2, first=True)
            model = trained(model, (rows[train], y[train]), keras.optimizers.SGD(0.05), 25, 32)
            found[name].append(accuracy(model, rows[test], y[test]))
    script.table(("on the inputs", "test accuracy"), [(name, np.median(ends)) for name, ends in found.items()])
    return found


def deep(kind, depth, data, seed):
    """Before training: the gradient of the first over that of the last hidden layer, and how alike two samples are."""
    keras.utils.set_random_seed(seed)
    model, (x, y) = network(kind, depth, 100), data
    hidden = keras.Tensor(x)
    for layer in model.layers[:-1]:
        hidden = layer(hidden, training=True)
    LOSS(y, model.layers[-1](hidden)).backward()
    kernels = [layer.kernel for layer in model.layers[:-1] if isinstance(layer, layers.Dense)]
    first, last = (np.linalg.norm(kernels[i].grad.astype("float64")) for i in (0, -1))
    h = hidden.numpy().astype("float64")
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    alike = (h @ h.T)[np.triu_indices(len(h), 1)].mean()
    return first / last, alike


def over_depth(script, data):
    """Gradients and likeness over depth, and what comes of it in training."""
    depths, seeds = (10, 30) if script.quick else (5, 10, 20, 30, 40, 50, 60), script.seeds(10, 2)
    train, test = data
    sub = train[0][:128], train[1][:128]
    found = {kind: np.array([[deep(kind, d, sub, seed) for d in depths] for seed in seeds]) for kind in KINDS}
    for k, title in enumerate(("gradient, first layer / last", "cosine between two samples")):
        script.table((title, *(f"{d} layers" for d in depths)),
                     [(kind, *np.median(found[kind][..., k], 0)) for kind in KINDS])
    if script.quick:
        return depths, found
    ends = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for seed in script.seeds(3, 1):
            keras.utils.set_random_seed(seed)
            model = trained(network(kind, 40, 100), train, keras.optimizers.Adam(0.001), 20, 64)
            ends[kind].append(accuracy(model, *test))
    script.table(("40 layers, trained", "test accuracy"), [(kind, np.median(each)) for kind, each in ends.items()])
    return depths, found


def transformer(kind, blocks, width=32):
    """A network for sequences (8, 16): blocks of attention and two Dense layers, each with a skip.

    The normalization comes after the addition, as in Vaswani et al. 2017.
    """

    def normalized(x):
        for layer in normalization(kind):
            x = layer(x)
        return x

    inputs = keras.Input((8, 16))
    x = layers.Dense(width)(inputs)
    for _ in range(blocks):
        x = normalized(x + layers.MultiHeadAttention(2, width // 2)(x, x))
        x = normalized(x + layers.Dense(width)(layers.Dense(2 * width, activation="relu")(x)))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def sequences(x):
    """A digit as 8 rows of 8 pixels, each with the number of its row (one-hot)."""
    numbers = np.broadcast_to(np.eye(8, dtype="float32"), (len(x), 8, 8))
    return np.concatenate([x.reshape(-1, 8, 8), numbers], axis=2)


def in_transformers(script, data):
    """Accuracy of a Transformer for digits that are read row by row."""
    (x, y), (x_test, y_test) = data
    x, x_test, found = sequences(x), sequences(x_test), {}
    for kind in KINDS:
        found[kind] = []
        for seed in script.seeds(3, 1):
            keras.utils.set_random_seed(seed)
            model = transformer(kind, 2 if script.quick else 6)
            model = trained(model, (x, y), keras.optimizers.Adam(0.002), 5 if script.quick else 20, 32)
            found[kind].append(accuracy(model, x_test, y_test))
    script.table(("Transformer", "test accuracy"), [(kind, np.median(ends)) for kind, ends in found.items()])
    return found


def company(kind, data, seed):
    """The sd of what comes out for one sample, in training mode, in 30 batches of 32 that it is in."""
    keras.utils.set_random_seed(seed)
    (x, _), random = data, np.random.default_rng(seed)
    model = network(kind, 1)
    batches = [np.concatenate([x[:1], x[random.choice(np.arange(1, len(x)), 31, replace=False)]]) for _ in range(30)]
    return np.std([model(batch, training=True).numpy()[0] for batch in batches], axis=0).max()


def main(argv=None):
    """Who acts on whom; small batches; sequences; raw tables; depth."""
    with course.Script(__file__, __doc__, argv) as script:
        data = digits()
        fields = {kind: influence(kind) for kind in (BATCH, LAYER)}
        others = {kind: np.count_nonzero(field > 1e-12) - 1 for kind, field in fields.items()}
        script.claim(
            others == {BATCH: 63, LAYER: 0},
            f"8 sequences of 8 steps: on what comes out at one step act {others[BATCH]} other places of the batch with "
            f"BatchNormalization, {others[LAYER]} with LayerNormalization",
        )
        spreads = {kind: company(kind, data[0], script.seed) for kind in KINDS}
        script.claim(
            spreads[BATCH] > 0.1 and spreads[LAYER] < 1e-5,
            f"one sample in 30 batches: its output in training has an sd of {spreads[BATCH]:.2f} with "
            f"BatchNormalization, of {spreads[LAYER]:.0e} with LayerNormalization",
        )
        print()
        small = small_batches(script, data)
        sequential = in_transformers(script, data)
        raw = raw_tables(script)
        depth = over_depth(script, data)
        draw(script, fields, small, raw, depth)

        pairs = {kind: np.median(runs[:, 0]) for kind, runs in small[1].items()}
        script.claim(
            pairs[LAYER] > 0.95 > pairs[BATCH] + 0.1,
            f"trained on pairs: {pairs[BATCH]:.0%} with BatchNormalization, {pairs[LAYER]:.0%} with LayerNormalization",
        )
        gap = np.median(sequential[BATCH]) - np.median(sequential[LAYER])
        script.claim(abs(gap) < 0.03, f"in a Transformer for digits both do alike (a difference of {gap:.1%})")
        raw = {name: np.median(ends) for name, ends in raw.items()}
        script.claim(
            raw[BATCH] > raw[LAYER] + 0.08,
            f"on raw inputs: {raw[BATCH]:.0%} with BatchNormalization, {raw[LAYER]:.0%} with LayerNormalization",
        )
        depths, found = depth
        (gradient, alike), (small_gradient, very_alike) = (np.median(found[kind][:, -1], 0) for kind in (BATCH, LAYER))
        script.claim(
            gradient > 100 and small_gradient < 2,
            f"{depths[-1]} layers, gradient of the first / last: {gradient:,.0f} with BatchNormalization, "
            f"{small_gradient:.2f} with LayerNormalization",
        )
        script.claim(
            alike < 0.4 and very_alike > 0.9,
            f"but two samples are alike by {alike:.2f} with BatchNormalization, by {very_alike:.3f} with "
            "LayerNormalization (cosine)",
        )


def draw(script, fields, small, raw, depth):
    """Two fields of influence, small batches; below, raw tables and depth."""
    figure, axes = script.figure(2, 3, size=(8.4, 6.0))
    for ax, (kind, field) in zip(axes[0], fields.items()):
        reached = np.where(field > 1e-12, 0.35, 0)
        reached[2, 3] = 1
        color = COLORS[kind]
        for (i, j), alpha in np.ndenumerate(reached):
            ax.add_patch(Rectangle((j + 0.5, i + 0.5), 1, 1, facecolor=color if alpha else "white", alpha=alpha or 1,
                                   edgecolor=course.GREY, linewidth=0.5))  # fmt: skip
        ax.set(xlabel="step of time", ylabel="sample", xlim=(0.5, 8.5), ylim=(8.5, 0.5),
               xticks=range(1, 9), yticks=range(1, 9))  # fmt: skip
        words = {BATCH: "all 64 places", LAYER: "itself alone"}[kind]
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1} if kind == LAYER else None  # hides the lines
        for y, line in ((6.25, "the dark place depends"), (6.8, f"on {words}")):  # centered in any language
            ax.annotate(line, (4.5, y), ha="center", va="center", fontsize=8, bbox=behind)
        ax.grid(visible=False)
        ax.set_title(kind)
    sizes, found = small
    ax = axes[0, 2]
    for kind, runs in found.items():
        course.band(ax, sizes, 100 * runs, COLORS[kind], label=kind, marker="o", markersize=4)
    course.log_scale(ax, x=[2, 4, 8, 16, 32, 64])
    ax.set(xlabel="samples per training batch", ylabel="test accuracy (%)", ylim=(60, 100.5))
    ax.set_title("Small batches")
    ax.legend(loc="lower right")

    ax = axes[1, 0]
    for i, (name, ends) in enumerate(raw.items()):
        value = np.median(ends)
        ax.bar(i, 100 * value, 0.7, color=COLORS.get(name, course.GREY))
        ax.annotate(f"{value:.0%}", (i, 100 * value), ha="center", va="bottom")
    ax.set_xticks(range(len(raw)), ["neither", "Batch", "Layer", "scaled"])
    ax.set(ylabel="test accuracy (%)", ylim=(0, 110))
    ax.grid(axis="x", visible=False)
    ax.set_title("On raw inputs")

    depths, found = depth
    for k, ax in enumerate(axes[1, 1:]):
        for kind, runs in found.items():
            course.band(ax, depths, runs[..., k], COLORS[kind], label=kind, marker="o", markersize=4)
        ax.set(xlabel="hidden layers, before training")
        ax.legend(loc="upper left" if k == 0 else "center right")
    axes[1, 1].set(yscale="log", ylabel="gradient, first / last layer", ylim=(0.01, 1e7))
    axes[1, 1].set_title("Gradients")
    axes[1, 2].set(ylabel="cosine", ylim=(0, 1.03))
    axes[1, 2].set_title("How alike two samples are")
    script.save(figure)


if __name__ == "__main__":
    main()
