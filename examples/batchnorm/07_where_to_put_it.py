"""7. Where in a network does Batch Normalization belong?

    python examples/batchnorm/07_where_to_put_it.py [--quick] [--seed 0] [--out FOLDER]

Between hidden layers; the usual advice about all other places is measured here, with its reasons.

- On the inputs it can take the place of scaling them beforehand, by the mean and deviation of all training rows. In
  large batches both do the same. In small ones the statistics are noisy, and scaling beforehand is better.
- Not on the output of a regression: the output would have to get the targets' mean and scale from beta and gamma, one
  small step after the other; in small batches it also has their noise. A classifier's output has no scale to lose.
- Before or after the activation: it matters where activations saturate, since only before them it keeps their input
  in range. With ReLU there is no difference here, and for convolutional networks on ImageNet "after" was measured to
  be better (0.499 against 0.474; Mishkin, caffenet-benchmark, batchnorm.md). So this is not a law.
- `Dense(64, activation="relu")` and then BatchNormalization is "after". Keras does not split such a Dense in two.
- The Dense before needs no bias: it would be subtracted with the mean. Its gradient is exactly zero.

All networks are judged with the statistics of all training rows. Moving averages would lag (experiment 8), and with
Keras' momentum of 0.99 that lag alone would make Batch Normalization on inputs look worse than scaling.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import NORMALIZED, PLAIN, accuracy, classifier, digits, settle, trained_accuracy

import minigrad as keras
from minigrad.layers import Activation, BatchNormalization, Dense

PLACES = {  # activation, depth, spread of the weights times sqrt(inputs), learning rate
    "10 tanh layers, large weights": ("tanh", 10, 10.0, 0.1),
    "20 tanh layers, weights × 2": ("tanh", 20, 2.0, 0.3),
    "5 sigmoid layers, large weights": ("sigmoid", 5, 30.0, 0.1),
    "5 ReLU layers, large weights": ("relu", 5, 14.0, 0.1),
    "5 ReLU layers": ("relu", 5, 1.4, 0.1),
}


def tumors(seed, inputs, batch_size, steps=300):
    """Test accuracy on raw measurements of tumors (Wolberg et al. 1993), whose scales differ by thousands."""
    keras.utils.set_random_seed(seed)
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    if inputs == "scaled beforehand":
        x = (x - x[:400].mean(0)) / x[:400].std(0)
    first = [BatchNormalization()] if inputs == "Batch Normalization" else []
    model = keras.Sequential([keras.Input((30,)), *first, Dense(32, "relu"), Dense(32, "relu"), Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(x[:400], y[:400], batch_size=batch_size, epochs=steps * batch_size // 400, verbose=0)
    settle(model, x[:400])
    return np.mean((model.predict(x[400:], verbose=0)[:, 0] > 0) == y[400:])


def regression(seed, on_output, batch_size, mean=0.0, deviation=1.0, steps=2000):
    """Squared error on new rows, as a share of the targets' variance; they have this mean and deviation."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2000, 8))
    y = np.tanh(2 * x @ rng.standard_normal((8, 16)) / np.sqrt(8)) @ rng.standard_normal((16, 1))
    y = mean + deviation * ((y - y.mean()) / y.std() + 0.1 * rng.standard_normal(y.shape))
    keras.utils.set_random_seed(seed)
    last = [BatchNormalization()] if on_output else []
    model = keras.Sequential([keras.Input((8,)), Dense(64, "relu"), Dense(64, "relu"), Dense(1), *last])
    model.compile("adam", "mse")
    model.fit(x[:1000], y[:1000], batch_size=batch_size, epochs=steps * batch_size // 1000, verbose=0)
    settle(model, x[:1000])
    return model.evaluate(x[1000:], y[1000:], batch_size=1000, verbose=0) / deviation**2


def classification(data, seed, on_output):
    """Test accuracy of a classifier of digits with or without Batch Normalization on its output."""
    keras.utils.set_random_seed(seed)
    model = classifier(2, 64, "relu", PLAIN, optimizer="adam")
    if on_output:
        model.add(BatchNormalization())
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (x, y), test = data
    model.fit(x, y, batch_size=64, epochs=20, verbose=0)
    settle(model, x)
    return accuracy(model, *test)


def written_as_one(data, seed):
    """Does `Dense(64, activation="relu")` train to the same weights as `Dense(64), Activation("relu")`?

    Each is followed by BatchNormalization.
    """
    weights = []
    for in_one in (True, False):
        keras.utils.set_random_seed(seed)
        first = [Dense(64, activation="relu")] if in_one else [Dense(64), Activation("relu")]
        model = keras.Sequential([keras.Input((64,)), *first, BatchNormalization(), Dense(10)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(*data[0], epochs=2, verbose=0)
        weights.append(model.get_weights())
    return all(np.array_equal(a, b) for a, b in zip(*weights))


def bias_after_training(seed):
    """The largest gradient of a bias before Batch Normalization, and how far training moved it."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((64,)), Dense(64, name="dense"), BatchNormalization(), Activation("relu"), Dense(10)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (x, y), _ = digits()
    model.fit(x, y, epochs=2, verbose=0)
    bias = model.layers[0].bias
    return np.abs(bias.grad).max(), np.abs(bias.numpy()).max()


def main(argv=None):
    """Try all places."""
    with course.Script(__file__, __doc__, argv) as script:
        inputs = {
            (f"batches of {batch}", how): [tumors(seed, how, batch) for seed in script.seeds(24, 5)]
            for batch in (4, 32)
            for how in ("as they are", "Batch Normalization", "scaled beforehand")
        }
        script.table(
            ("Inputs", "", "test accuracy"), [(batch, how, np.median(runs)) for (batch, how), runs in inputs.items()]
        )

        seeds = script.seeds(8, 3)
        targets = {
            "batches of 32": {"batch_size": 32},
            "batches of 4": {"batch_size": 4},
            "batches of 32, targets 0 ± 100": {"batch_size": 32, "deviation": 100.0},
            "batches of 32, targets 500 ± 100": {"batch_size": 32, "mean": 500.0, "deviation": 100.0},
        }
        outputs = {
            (name, how): [regression(seed, how == "with", **options) for seed in seeds]
            for name, options in targets.items()
            for how in ("without", "with")
        }
        script.table(
            ("A regression's output", "", "squared error / variance"),
            [(name, how, np.median(runs)) for (name, how), runs in outputs.items()],
        )

        data, few = digits(), script.seeds(5, 1)
        classes = {
            name: np.median([classification(data, seed, on_output) for seed in few])
            for name, on_output in (("without", False), ("with", True))
        }
        script.table(("A classifier's output", "test accuracy"), list(classes.items()))
        sides = {}
        for name, (activation, depth, spread, rate) in PLACES.items():
            for how in ("before", "after"):
                weights = keras.initializers.VarianceScaling(spread**2, "fan_in", "untruncated_normal")
                sides[name, how] = [
                    trained_accuracy(
                        data, seed, depth, 64, activation, NORMALIZED, after=how == "after",
                        initializer=weights, optimizer=keras.optimizers.SGD(rate),
                    )
                    for seed in few
                ]
        script.table(
            ("Beside the activation", "", "test accuracy"),
            [(name, how, np.median(runs)) for (name, how), runs in sides.items()],
        )
        gradient, moved = bias_after_training(script.seed)
        script.table(("bias before Batch Normalization", "largest"), [("gradient", gradient), ("value", moved)])
        draw(script, inputs, outputs, sides)

        for batch in ("batches of 4", "batches of 32"):
            raw, norm, scaled = (np.median(runs) for (name, _), runs in inputs.items() if name == batch)
            script.claim(
                raw < 0.8 and (norm < scaled if batch == "batches of 4" else abs(norm - scaled) < 0.02),
                f"inputs, {batch}: {raw:.0%} as they are, {norm:.0%} with Batch Normalization, {scaled:.0%} scaled",
            )
        for name, least in zip(targets, (0.8, 1.2, 3, 10)):
            ratio = np.median(np.divide(outputs[name, "with"], outputs[name, "without"]))
            script.claim(ratio > least, f"output, {name}: the error is {ratio:.1f} times as large with it")
        script.claim(
            abs(classes["with"] - classes["without"]) < 0.02,
            f"a classifier's output: {classes['with']:.0%} with, {classes['without']:.0%} without",
        )
        for name, (activation, *_) in PLACES.items():
            gap = np.median(sides[name, "before"]) - np.median(sides[name, "after"])
            script.claim(
                abs(gap) < 0.05 if activation == "relu" else gap > 0.2,
                f"{name}: {np.median(sides[name, 'before']):.0%} before, {np.median(sides[name, 'after']):.0%} after",
            )
        script.claim(
            written_as_one(data, script.seed),
            "Dense(64, activation='relu'), BatchNormalization is Dense, relu, BatchNormalization: the same bits",
        )
        script.claim(gradient == 0 and moved == 0, "a bias before it gets a gradient of exactly zero and never moves")


def draw(script, inputs, outputs, sides):
    """One panel per question, one row per situation, one color per place."""
    figure, axes = script.figure(1, 3, size=(8.4, 3.7), width_ratios=(1, 1.1, 1))
    colors = {
        "as they are": course.WITHOUT, "Batch Normalization": course.WITH, "scaled beforehand": course.GREEN,
        "without": course.WITHOUT, "with": course.WITH, "before": course.WITH, "after": course.PINK,
    }
    for ax, table, factor in ((axes[0], inputs, 100), (axes[1], outputs, 1), (axes[2], sides, 100)):
        names, places = ([*dict.fromkeys(key[i] for key in table)] for i in (0, 1))
        for j, how in enumerate(places):
            for i, name in enumerate(names):
                runs, y = factor * np.array(table[name, how]), i + 0.22 * (j - (len(places) - 1) / 2)
                ax.barh(y, np.ptp(runs), left=runs.min(), height=0.14, color=colors[how], alpha=0.35)
                ax.plot(np.median(runs), y, "o", color=colors[how], markersize=6.5, label=how if i == 0 else None)
        course.name_rows(ax, names)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
        ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.2), columnspacing=1)
    lowest = 100 * min(map(min, inputs.values()))
    axes[0].set(xlabel="test accuracy (%)", xlim=(min(lowest - 3, 58), 101))
    axes[1].set(xlabel="squared error / variance")
    course.log_scale(axes[1], x=[0.03, 0.1, 0.3, 1, 3, 10, 30])
    axes[2].set(xlabel="test accuracy (%)", xlim=(0, 104))
    axes[0].set_title("On the inputs")
    axes[1].set_title("On a regression's output")
    axes[2].set_title("Beside activations")
    script.save(figure)


if __name__ == "__main__":
    main()
