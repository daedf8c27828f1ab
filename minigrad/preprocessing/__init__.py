"""Data for models: pictures, texts and sequences, under the names that Keras 2 gave these functions."""

from minigrad.preprocessing import image, sequence, text
from minigrad.preprocessing.image.directory import image_dataset_from_directory
from minigrad.utils.sequences import text_dataset_from_directory, timeseries_dataset_from_array

__all__ = [
    "image", "image_dataset_from_directory", "sequence", "text", "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]  # fmt: skip
