"""Data for models: texts and sequences, under the names that Keras 2 gave these functions."""

from minigrad.preprocessing import sequence, text
from minigrad.utils.sequences import text_dataset_from_directory, timeseries_dataset_from_array

__all__ = ["sequence", "text", "text_dataset_from_directory", "timeseries_dataset_from_array"]
