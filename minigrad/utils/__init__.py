"""Seeds, names, labels, progress, pictures and gradient checks.

minigrad/__init__.py adds functions that are defined beside models, files and data sets: `fold_batchnorm`,
`recompute_batch_statistics`, `serialize_keras_object`, `deserialize_keras_object`, `get_file`.
"""

import random

import numpy as np

# isort: off
from minigrad import config
from minigrad.checks import is_int
from minigrad.config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
from minigrad.data import pack_x_y_sample_weight, unpack_x_y_sample_weight
from minigrad.graph import is_keras_tensor
from minigrad.names import public, reset_names
from minigrad.registry import (
    custom_object_scope, get_custom_objects, get_registered_name, get_registered_object,
    register_keras_serializable,
)  # fmt: skip
from minigrad.utils.arrays import normalize, split_dataset, to_categorical
from minigrad.utils.dataset import PyDataset, Sequence
from minigrad.utils.gradcheck import gradcheck
from minigrad.utils.plot import plot_model
from minigrad.utils.progbar import Progbar
from minigrad.utils.sequences import pad_sequences, text_dataset_from_directory, timeseries_dataset_from_array
from minigrad.utils.summary import print_summary
from minigrad.utils.svg import plot_graph
# isort: on

CustomObjectScope = custom_object_scope


def set_random_seed(seed):
    """Seed the generators of Python, NumPy and minigrad, so that the same script gives the same bits.

    For one of many networks that are trained at once (`minigrad.many`), it seeds only that network's own generator.

    Args:
        seed: an int in [0, 2**32).
    """
    if not is_int(seed, 0) or seed >= 2**32:
        raise ValueError(f"set_random_seed expects an int in [0, 2**32), got {seed!r}.")
    if not config.is_seeded():  # the others are of all threads
        random.seed(int(seed))
        np.random.seed(int(seed))
    config.set_seed(int(seed))


def clear_session(free_memory=True):
    """Start automatic names (dense, dense_1, ...) anew. There is no other global state to clear."""
    reset_names()


__all__ = public(globals(), but=("is_int", "reset_names"))
