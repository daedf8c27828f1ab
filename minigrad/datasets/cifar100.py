"""CIFAR-100: photographs of a hundred kinds of things in twenty groups, 32 x 32 pixels in three colors."""

import os

import numpy as np

from minigrad.datasets import reading

__all__ = ["load_data"]


def load_data(label_mode="fine", path=None):
    """(x_train, y_train), (x_test, y_test): uint8 images of shape (50000, 32, 32, 3), int64 labels (50000, 1).

    Args:
        label_mode: "fine" for the hundred kinds, "coarse" for the twenty groups.
        path: the folder of `train` and `test`, which is what `cifar-100-python.tar.gz` unpacks to; by default
            cifar-100-python in ~/.keras/datasets, or where Keras unpacks it there.

    Raises:
        FileNotFoundError: one of them is not there; nothing is downloaded.
        ValueError: one of them holds something else; another `label_mode`.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"cifar100.load_data: label_mode must be 'fine' or 'coarse', got {label_mode!r}.")
    folder = reading.find("cifar-100-python", path)
    parts = (reading.cifar(os.path.join(folder, part), f"{label_mode}_labels") for part in ("train", "test"))
    return tuple((images, np.asarray(labels, np.int64).reshape(-1, 1)) for images, labels in parts)
