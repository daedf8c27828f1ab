"""The data sets of Keras' examples, from the files that Keras keeps in ~/.keras/datasets (or below KERAS_HOME)."""

from minigrad.datasets import boston_housing, california_housing, cifar10, cifar100, fashion_mnist, imdb, mnist, reuters

__all__ = ["boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters"]
