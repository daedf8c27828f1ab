"""Boston housing: 506 districts with 13 attributes, and what houses cost there, in thousands of dollars of 1978.

One attribute assumes that segregation by race influences prices: california_housing is the better example.
"""

from minigrad.datasets import reading, splitting

__all__ = ["load_data"]


def load_data(path="boston_housing.npz", test_split=0.2, seed=113):
    """(x_train, y_train), (x_test, y_test): float64 of shape (n, 13) and (n,), in the order of `seed`.

    Args:
        path: the file, in Keras' folder ~/.keras/datasets or anywhere.
        test_split: the part of the rows that is for the test, from 0 to less than 1.

    Raises:
        FileNotFoundError: the file is not there; nothing is downloaded.
        ValueError: it holds something else; another `test_split`.
    """
    return splitting.table(*reading.npz(reading.find("boston_housing.npz", path), "x", "y"), test_split, seed)
