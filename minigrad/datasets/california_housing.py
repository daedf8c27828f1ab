"""California housing: 20,640 districts with 8 attributes, and what houses cost there, in dollars of 1990."""

from minigrad.datasets import reading, splitting

__all__ = ["load_data"]


def load_data(version="large", path="california_housing.npz", test_split=0.2, seed=113):
    """(x_train, y_train), (x_test, y_test): arrays of shape (n, 8) and (n,), in the order of `seed`.

    Args:
        version: "large" for all rows, "small" for the first 600.
        path: the file, in Keras' folder ~/.keras/datasets or anywhere.
        test_split: the part of the rows that is for the test, from 0 to less than 1.

    Raises:
        FileNotFoundError: the file is not there; nothing is downloaded.
        ValueError: it holds something else; another `version` or `test_split`.
    """
    if version not in ("large", "small"):
        raise ValueError(f"california_housing.load_data: version must be 'large' or 'small', got {version!r}.")
    x, y = reading.npz(reading.find("california_housing.npz", path), "x", "y")
    rows = slice(600 if version == "small" else None)
    return splitting.table(x[rows], y[rows], test_split, seed)
