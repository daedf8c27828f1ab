"""6. Does Batch Normalization regularize, and what does it?

    python examples/batchnorm/06_regularization.py [--quick] [--seed 0] [--out FOLDER]

200 points of two noisy half moons and a network large enough to learn them by heart: the loss on 2000 new points tells
whether it did. In training, mean and variance come from the rows that happen to share the batch, so every row is
shifted and scaled a little by chance (experiment 1). That noise is what regularizes (Luo et al. 2019,
arXiv:1809.00846), and it has a dose: statistics of m rows vary like 1 / sqrt(m).

To tell the noise from the batch, every step here sees all 200 rows, and only the statistics are taken from groups of m
of them (ghost batches: Hoffer, Hubara and Soudry 2017, arXiv:1705.08741). So nothing varies but the dose. With m = 200
there is no noise left, and no regularization either. Dropout is another noise with a dose, and is shown beside it.

And both together? A layer that follows Dropout sees inputs that vary more in training than in inference, where nothing
is dropped. Batch Normalization keeps the variance of training and divides by it in inference, where it is too large
(Li, Chen, Hu and Yang 2018, arXiv:1801.05134). We measure how much too large, what it costs, and three ways out:
statistics that are recomputed without dropping, Dropout behind the last Batch Normalization only, and only one of them.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import make_moons

sys.path.append(str(Path(__file__).parents[1]))
import course

import minigrad as keras
from minigrad import ops
from minigrad.layers import Activation, BatchNormalization, Dense, Dropout

ROWS = 200


class GhostNormalization(BatchNormalization):
    """Batch Normalization whose statistics come from groups of so many rows of the batch."""

    def __init__(self, rows, **options):
        super().__init__(**options)
        self.rows = rows

    def call(self, inputs, training=False):
        if not training:
            return super().call(inputs)
        groups = ops.reshape(inputs, (-1, self.rows, inputs.shape[-1]))
        mean, variance = ops.mean(groups, 1, keepdims=True), ops.var(groups, 1, keepdims=True)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            now = ops.mean(now.detach(), (0, 1))
            moving.assign(self.momentum * moving.detach() + (1 - self.momentum) * now)
        normalized = (groups - mean) / ops.sqrt(variance + self.epsilon)
        return self.gamma * ops.reshape(normalized, inputs.shape) + self.beta


def moons(rows, seed):
    """Points in the plane and the half moon, 0 or 1, that each belongs to."""
    x, y = make_moons(rows, noise=0.35, random_state=seed)
    return x.astype("float32"), y.astype("float32")[:, None]


def train(seed, normalization=None, dropout=0.0, batch_size=ROWS, width=64, steps=1000, last_only=False):
    """Train a network; (model, training loss, test loss). `normalization()` makes the layers before activations.

    Dropout follows each activation, or only the last one.

    The learning rate falls to 0, so that the losses are those of a network at rest, not of the last step's chance, and
    the moving statistics are those of its weights.
    """
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((2,))])
    for i in range(3):
        model.add(Dense(width, kernel_initializer="he_normal"))
        if normalization:
            model.add(normalization())
        model.add(Activation("relu"))
        if dropout and (i == 2 or not last_only):
            model.add(Dropout(dropout))
    model.add(Dense(1))
    rate = keras.optimizers.schedules.CosineDecay(0.002, steps)
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(*moons(ROWS, seed), batch_size=batch_size, epochs=steps * batch_size // ROWS, verbose=0)
    return model, *evaluate(model, seed)


def evaluate(model, seed):
    """The losses on the training rows of this seed and on new points."""
    return [model.evaluate(*moons(*data), batch_size=1000, verbose=0) for data in ((ROWS, seed), (2000, 10**6 + seed))]


def recomputed(model, seed):
    """(the losses with statistics recomputed without dropping, how much larger the moving variances were).

    The latter in the layers behind Dropout: all but the first.
    """
    layers = [layer for layer in model.layers if isinstance(layer, BatchNormalization)][1:]
    before = [layer.moving_variance.numpy() for layer in layers]
    keras.utils.recompute_batch_statistics(model, moons(ROWS, seed)[0])
    ratios = [np.median(old / layer.moving_variance.numpy()) for old, layer in zip(before, layers)]
    return evaluate(model, seed), np.mean(ratios)


def noise_of(rows, draws=2000):
    """The sd of what Batch Normalization makes of a row at 0 among rows of a standard normal distribution."""
    others = np.random.default_rng(0).standard_normal((draws, rows - 1, 1))
    batches = np.concatenate([np.zeros((draws, 1, 1)), others], axis=1).reshape(draws, rows, 1)
    return np.std([-b.mean() / np.sqrt(b.var() + 0.001) for b in batches])


def main(argv=None):
    """Vary the dose of either noise, and the batch size as one usually would."""
    with course.Script(__file__, __doc__, argv) as script:
        seeds = script.seeds(7, 2)
        doses = (8, 200) if script.quick else (4, 8, 20, 40, 100, 200)
        rates = (0.0, 0.5) if script.quick else (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
        batches = (20,) if script.quick else (4, 8, 20, 40, 100, 200)
        models = {}

        def losses(name, **options):
            """(training loss, test loss) for each seed; the first model is kept."""
            runs = [train(seed, **options) for seed in seeds]
            models[name] = runs[0][0]
            return [run[1:] for run in runs]

        ghost = np.array([losses(f"ghost {m}", normalization=lambda m=m: GhostNormalization(m)) for m in doses])
        dropout = np.array([losses(f"dropout {r}", dropout=r) for r in rates])
        usual = {
            name: np.array([losses(name, normalization=layer, batch_size=b) for b in batches])
            for name, layer in (("without", None), ("with", BatchNormalization))
        }
        script.table(
            ("statistics of m rows", *map(str, doses)),
            [("noise: sd of a row's value", *map(noise_of, doses)),
             ("training loss", *np.median(ghost[..., 0], 1)), ("test loss", *np.median(ghost[..., 1], 1))],
            title=f"Each step sees {ROWS} rows. Binary cross-entropy in nats, median of {len(seeds)} seeds",
        )
        script.table(
            ("Dropout rate", *map(str, rates)),
            [("training loss", *np.median(dropout[..., 0], 1)), ("test loss", *np.median(dropout[..., 1], 1))],
        )
        script.table(
            ("batches of b rows: test loss", *map(str, batches)),
            [(kind, *np.median(runs[..., 1], 1)) for kind, runs in usual.items()],
        )
        together, too_large = both(script, usual, batches.index(20))
        draw(script, doses, ghost, rates, dropout, batches, usual, models)

        training, test = np.median(ghost, 1).T
        plain = np.median(dropout[0, :, 1])
        script.claim(
            all(np.diff(training) < 0), "the more rows the statistics come from, the closer it fits the training rows"
        )
        script.claim(
            test[0] < 0.5 * test[-1],
            f"loss on new points {test[0]:.2f} with statistics of {doses[0]} rows, {test[-1]:.2f} of all",
        )
        script.claim(test[0] < 0.5 * plain, f"without Batch Normalization {plain:.2f}")
        dropped = np.median(dropout[-1, :, 1])
        script.claim(dropped < 0.5 * plain, f"with Dropout {rates[-1]} {dropped:.2f}")
        script.claim(too_large > 1.2, f"behind Dropout the moving variance is {too_large:.2f} times that of inference")
        script.claim(
            together["both, recomputed"] < together["both"],
            f"both together {together['both']:.2f}, with recomputed statistics {together['both, recomputed']:.2f}",
        )


def both(script, usual, i, rate=0.5):
    """Batch Normalization and Dropout, alone and together, in batches of 20; ({arm: test loss}, variance too large)."""
    seeds = script.seeds(7, 2)
    options = {"normalization": BatchNormalization, "batch_size": 20, "dropout": rate}
    runs = [train(seed, **options) for seed in seeds]
    again, ratios = zip(*(recomputed(model, seed) for seed, (model, *_) in zip(seeds, runs)))
    found = {
        "neither": usual["without"][i, :, 1],
        "Batch Normalization": usual["with"][i, :, 1],
        "both": [test for *_, test in runs],
        "both, recomputed": [test for _, test in again],
    }
    if not script.quick:
        found["Dropout"] = [train(seed, **options | {"normalization": None})[2] for seed in seeds]
        found["both, Dropout last only"] = [train(seed, **options, last_only=True)[2] for seed in seeds]
    together = {name: np.median(losses) for name, losses in found.items()}
    script.table((f"batches of 20, Dropout {rate}", "test loss"), list(together.items()))
    return together, np.median(ratios)


def draw(script, doses, ghost, rates, dropout, batches, usual, models):
    """Losses over the doses above, what four networks learned below."""
    figure, axes = script.figure(size=(8.4, 5.7), mosaic="aaaabbbbcccc;dddeeefffggg", height_ratios=(1.15, 1))
    for key, x, runs in (("a", doses, ghost), ("b", rates, dropout)):
        for i, color, label in ((0, course.GREY, "on training points"), (1, course.INK, "on new points")):
            course.band(axes[key], x, runs[..., i].T, color, label=label, marker="o")
    for kind, color in (("without", course.WITHOUT), ("with", course.WITH)):
        course.band(axes["c"], batches, usual[kind][..., 1].T, color, label=f"{kind}, on new points", marker="o")
    for key in "abc":
        axes[key].set(ylim=(0, 2), yticks=(0, 0.5, 1, 1.5, 2))
    axes["a"].set(ylabel="loss (nats)", xlabel="points that the statistics come from")
    axes["b"].set(xlabel="Dropout rate")
    axes["c"].set(xlabel="points per batch")
    for key in "ac":
        course.log_scale(axes[key], x=[4, 8, 20, 40, 100, 200])
        axes[key].set(xlim=(3.4, 250))
    axes["a"].set_title("Noise of Batch Normalization")
    axes["b"].set_title("Noise of Dropout")
    axes["c"].set_title("Ordinary batches")
    for key in "abc":
        axes[key].legend(loc="upper right" if key == "b" else "upper left")

    x, y = moons(ROWS, script.seeds(1, 1)[0])
    new = moons(2000, 10**6 + script.seeds(1, 1)[0])
    networks = (
        ("d", "dropout 0.0", "neither"),
        ("e", "ghost 200", "statistics of 200 points"),
        ("f", "ghost 8", "statistics of 8 points"),
        ("g", "dropout 0.5", "Dropout 0.5"),
    )
    grid = np.stack(np.meshgrid(np.linspace(-2, 3, 46), np.linspace(-1.6, 2.1, 35)), -1)
    for key, name, title in networks:
        ax, model = axes[key], models[name]
        odds = model(grid.reshape(-1, 2)).numpy().reshape(grid.shape[:2])  # log(p / (1 - p))
        sure = np.log(0.95 / 0.05)
        shades = ("#F3D9E6", "#FFFFFF", "#BFE5D9")
        ax.contourf(*np.moveaxis(grid, -1, 0), odds, levels=(-1e9, -sure, sure, 1e9), colors=shades)
        ax.contour(*np.moveaxis(grid, -1, 0), odds, levels=[0], colors=[course.INK], linewidths=1)
        for kind, color in ((0, course.PINK), (1, course.GREEN)):
            course.dots(ax, *x[y[:, 0] == kind].T, color, 3)
        loss = model.evaluate(*new, batch_size=1000, verbose=0)
        ax.set(xticks=(), yticks=(), xlabel=f"this one: loss {loss:.2f}", xlim=(-2, 3), ylim=(-1.6, 2.1))
        ax.spines[:].set_visible(False)
        ax.set_title(title, weight="normal")
    script.save(figure)


if __name__ == "__main__":
    main()
