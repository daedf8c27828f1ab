"""CIFAR-10: photographs of ten kinds of things, 32 x 32 pixels in three colors, in six files."""

import os

import numpy as np

from minigrad.datasets import reading

__all__ = ["load_data"]


def load_data(path=None):
    """(x_train, y_train), (x_test, y_test): uint8 of shape (50000, 32, 32, 3) and (50000, 1), the test's with 10000.

    Args:
        path: the folder of `data_batch_1` to `data_batch_5` and `test_batch`, which is what `cifar-10-python.tar.gz`
            unpacks to; by default cifar-10-batches-py in ~/.keras/datasets, or where Keras unpacks it there.

    Raises:
        FileNotFoundError: one of them is not there; nothing is downloaded.
        ValueError: one of them holds something else.
    """
    folder = reading.find("cifar-10-batches-py", path)
    batches = [reading.cifar(os.path.join(folder, f"data_batch_{i}"), "labels") for i in range(1, 6)]
    x_test, y_test = reading.cifar(os.path.join(folder, "test_batch"), "labels")
    x_train, y_train = (np.concatenate(parts) for parts in zip(*batches))
    return (x_train, _column(y_train)), (x_test, _column(y_test))


def _column(labels):
    return np.asarray(labels, np.uint8).reshape(-1, 1)
