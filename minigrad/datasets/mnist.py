"""MNIST: handwritten digits, 28 x 28 grey values each."""

from minigrad.datasets import reading

__all__ = ["load_data"]


def load_data(path="mnist.npz"):
    """(x_train, y_train), (x_test, y_test): uint8 images of shape (60000, 28, 28) and (10000, 28, 28), labels 0 to 9.

    Args:
        path: the file, in Keras' folder ~/.keras/datasets or anywhere.

    Raises:
        FileNotFoundError: it is not there; nothing is downloaded.
        ValueError: it holds something else.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    x_train, y_train, x_test, y_test = reading.npz(reading.find("mnist.npz", path), *names)
    return (x_train, y_train), (x_test, y_test)
