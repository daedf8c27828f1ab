"""The article's network, trained on real data: is a tumour benign or malignant, by 30 measurements of its cells?

    python -m minigrad examples/article.py [--epochs 40] [--splits 5] [--plot learning_curves.png]

This is a Keras script like any other: `python -m minigrad` runs it on minigrad, `python` alone on TensorFlow, if that
is installed. The data (569 tumours, Wolberg et al. 1993) comes with scikit-learn. It trains once with a progress bar,
draws the learning curves, and then repeats the training on other random splits to tell how far one result can be
trusted.
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


def data(seed):
    """A random fifth of the tumours for the test, the rest to train on; features scaled by the training rows."""
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y)
    mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
    return (x_train - mean) / deviation, y_train, (x_test - mean) / deviation, y_test


def network(features):
    """The article's model: Batch Normalization between each hidden Dense and its activation."""
    model = Sequential([
        Dense(64, input_shape=(features,)),
        BatchNormalization(),
        Activation("relu"),
        Dense(32),
        BatchNormalization(),
        Activation("relu"),
        Dense(1, activation="sigmoid"),
    ])
    model.compile(optimizer=Adam(), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def train(seed, epochs, verbose):
    """Train on one split; (model, history, test loss, test accuracy)."""
    set_random_seed(seed)
    x_train, y_train, x_test, y_test = data(seed)
    model = network(x_train.shape[1])
    if verbose:
        model.summary()
    history = model.fit(x_train, y_train, batch_size=32, epochs=epochs, validation_split=0.2, verbose=verbose)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=verbose)
    return model, history, loss, accuracy


def draw(history, path):
    """The learning curves: what the network got on the rows it learned from, and on those held out."""
    epochs = np.arange(1, len(history["loss"]) + 1)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for ax, key, label in zip(axes, ("loss", "accuracy"), ("binary cross-entropy (nats)", "accuracy")):
        ax.plot(epochs, history[key], color="#0072B2", label="training")
        ax.plot(epochs, history[f"val_{key}"], color="#D55E00", linestyle="--", label="validation")
        ax.set(xlabel="epoch", ylabel=label, xlim=(1, len(epochs)))
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.3)
    axes[0].legend(frameon=False)
    figure.suptitle("Breast cancer, 30-64-32-1 with Batch Normalization")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    """Train, draw, repeat."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--splits", type=int, default=5, help="how many random splits to average over")
    parser.add_argument("--plot", default="learning_curves.png", help="where the learning curves go")
    options = parser.parse_args()

    _, history, loss, accuracy = train(0, options.epochs, verbose=1)
    print(f"\nTest loss {loss:.3f}, test accuracy {accuracy:.3f}")
    draw(history.history, options.plot)
    print(f"Learning curves: {options.plot}")

    accuracies = [accuracy] + [train(seed, options.epochs, verbose=0)[-1] for seed in range(1, options.splits)]
    print(f"Test accuracy over {len(accuracies)} random splits: {np.mean(accuracies):.4f} "
          f"(from {min(accuracies):.3f} to {max(accuracies):.3f})")


if __name__ == "__main__":
    main()
