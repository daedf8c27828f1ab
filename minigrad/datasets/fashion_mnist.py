"""Fashion-MNIST: articles of clothing, 28 x 28 grey values each, in four files."""

import os

from minigrad.datasets import reading

__all__ = ["load_data"]


def load_data(path=None):
    """(x_train, y_train), (x_test, y_test): uint8 images of shape (60000, 28, 28) and (10000, 28, 28), labels 0 to 9.

    Args:
        path: the folder of `train-images-idx3-ubyte.gz` and its three siblings; by default fashion-mnist in
            ~/.keras/datasets.

    Raises:
        FileNotFoundError: one of them is not there; nothing is downloaded.
        ValueError: one of them holds something else.
    """
    folder = path or "fashion-mnist"
    parts = []
    for part in ("train", "t10k"):
        places = [os.path.join(folder, f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")]
        images, labels = reading.idx(reading.find(None, places[0]), 3), reading.idx(reading.find(None, places[1]), 1)
        if len(images) != len(labels):
            raise ValueError(f"{places[0]} has {len(images)} images, {places[1]} has {len(labels)} labels.")
        parts.append((images, labels))
    return tuple(parts)
