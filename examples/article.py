"""The article's network, with and without Batch Normalization: is a tumor benign or malignant?

    python -m minigrad examples/article.py [--epochs 40] [--splits 5] [--plot learning_curves.png]

This is a Keras script like any other: `python -m minigrad` runs it on minigrad, `python` alone on TensorFlow, if that
is installed. The data comes with scikit-learn: 569 tumors, and 30 measurements of the cells of each (Wolberg et al.
1993). First it trains the article's network once, with a progress bar. Then it asks what Batch Normalization is good
for here. It trains with and without it, on the measurements as they are, whose scales differ by thousands, and on
scaled ones, on several random splits of the data.
"""

import argparse

import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from tensorflow.keras.layers import Activation, BatchNormalization, Dense
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import Adam
from tensorflow.keras.utils import set_random_seed

matplotlib.use("Agg")
import matplotlib.pyplot as plt

WITH, WITHOUT = "with", "without"  # Batch Normalization


def data(seed, scaled):
    """A random fifth of the tumors for the test, the rest to train on; `scaled` by the mean and sd of the latter."""
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y)
    if scaled:
        mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
        x_train, x_test = (x_train - mean) / deviation, (x_test - mean) / deviation
    return x_train, y_train, x_test, y_test


def article_network(features):
    """The article's model: Batch Normalization between each hidden Dense and its activation."""
    return Sequential([
        Dense(64, input_shape=(features,)),
        BatchNormalization(),
        Activation("relu"),
        Dense(32),
        BatchNormalization(),
        Activation("relu"),
        Dense(1, activation="sigmoid"),
    ])


def plain_network(features):
    """The same without its two lines of BatchNormalization."""
    return Sequential([
        Dense(64, input_shape=(features,)),
        Activation("relu"),
        Dense(32),
        Activation("relu"),
        Dense(1, activation="sigmoid"),
    ])


def train(seed, epochs, scaled=True, normalization=WITH, verbose=0):
    """Train on one split; (history, test loss, test accuracy)."""
    set_random_seed(seed)
    x_train, y_train, x_test, y_test = data(seed, scaled)
    network = article_network if normalization == WITH else plain_network
    model = network(x_train.shape[1])
    model.compile(optimizer=Adam(), loss="binary_crossentropy", metrics=["accuracy"])
    if verbose:
        model.summary()
    history = model.fit(x_train, y_train, batch_size=32, epochs=epochs, validation_split=0.2, verbose=verbose).history
    return history, *model.evaluate(x_test, y_test, verbose=verbose)


def curves(runs, key):
    """The median over the splits, epoch by epoch."""
    return np.median([history[key] for history, *_ in runs], axis=0)


def report(results):
    """Print a table, and what it says."""
    print("  inputs   Batch Normalization   training loss at the end   test loss   test accuracy")
    ends = {}
    for (inputs, normalization), runs in results.items():
        ends[inputs, normalization] = end = curves(runs, "loss")[-1]
        loss, accuracy = np.mean([run[1:] for run in runs], axis=0)
        print(f"  {inputs:<6}   {normalization:<19}   {end:24.3f}   {loss:9.3f}   {accuracy:13.4f}")
    print()
    for inputs in ("scaled", "raw"):
        faster = min(WITH, WITHOUT, key=lambda normalization: ends[inputs, normalization])
        print(f"On {inputs} inputs the network learns faster {faster} Batch Normalization.")
    print("Two hidden layers, Adam and scaled inputs train well by themselves: there is nothing to cure. Raw inputs")
    print("give it something to do. So do many layers, large learning rates and unlucky initial weights: see")
    print("examples/README.md.")


def draw(results, path):
    """The four curves: blue with Batch Normalization, orange without it, dashed on raw inputs."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    for ax, key, title in zip(axes, ("loss", "val_loss"), ("on the tumors it learns from", "on tumors held out")):
        for (inputs, normalization), runs in results.items():
            curve = curves(runs, key)
            ax.plot(
                np.arange(1, 1 + len(curve)), curve, "-" if inputs == "scaled" else "--",
                color="#0072B2" if normalization == WITH else "#D55E00", label=f"{inputs} inputs, {normalization}",
            )
        ax.set(title=title, xlabel="epoch", yscale="log", ylim=(0.008, 12))
        ax.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("binary cross-entropy (nats)")
    axes[1].legend(frameon=False, title="Batch Normalization", fontsize=8, title_fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    """Train once to watch; then compare, report, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--splits", type=int, default=5, help="how many random splits to average over")
    parser.add_argument("--plot", default="learning_curves.png", help="where the learning curves go")
    options = parser.parse_args()

    _, loss, accuracy = train(0, options.epochs, verbose=1)
    print(f"\nTest loss {loss:.3f}, test accuracy {accuracy:.3f}")

    print(f"\nDoes Batch Normalization help here? Means over {options.splits} random splits:\n")
    results = {
        (inputs, normalization): [
            train(seed, options.epochs, inputs == "scaled", normalization) for seed in range(options.splits)
        ]
        for inputs in ("scaled", "raw")
        for normalization in (WITH, WITHOUT)
    }
    report(results)
    draw(results, options.plot)
    print(f"Learning curves: {options.plot}")


if __name__ == "__main__":
    main()
