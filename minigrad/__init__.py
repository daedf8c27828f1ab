"""minigrad: Keras-style networks on a CPU, from scratch: NumPy arrays, Numba kernels, an autograd engine to read.

    import minigrad as keras
"""

import importlib
import sys

# isort: off
from minigrad import (
    activations, backend, callbacks, config, constraints, datasets, distribution, initializers, layers, losses,
    many, metrics, models, older, ops, optimizers, preprocessing, random, regularizers, saving, utils, wrappers,
)  # fmt: skip
from minigrad.graph import Symbol as KerasTensor
from minigrad.initializers import Initializer
from minigrad.layers import Input, InputLayer, InputSpec, Layer
from minigrad.losses import Loss
from minigrad.many import Ensemble
from minigrad.metrics import Metric
from minigrad.models import Model, Sequential
from minigrad.optimizers import Optimizer
from minigrad.program import Program, RecordingError, kernel, launch
from minigrad.regularizers import Regularizer
from minigrad.tensor import GradientTape, Tensor, Variable, no_grad, op
# isort: on
from minigrad.names import public

# Keras has these functions in `utils`. They use models, files and data sets, which import `utils` themselves.
for _function in (
    datasets.reading.get_file,
    models.FeatureSpace,
    models.fold_batchnorm,
    models.recompute_batch_statistics,
    preprocessing.image.array_to_img,
    preprocessing.image.img_to_array,
    preprocessing.image.load_img,
    preprocessing.image.save_img,
    preprocessing.image_dataset_from_directory,
    saving.deserialize_keras_object,
    saving.serialize_keras_object,
):
    setattr(utils, _function.__name__, _function)
    utils.__all__.append(_function.__name__)

# A name that a module does not have raises an error that says what to do instead, such as minigrad.layers.Conv2D.
for _module in (
    activations, backend, callbacks, constraints, datasets, initializers, layers, layers.core, layers.normalization,
    losses, metrics, models, ops, ops.image, optimizers, optimizers.schedules, preprocessing,
    preprocessing.image, preprocessing.sequence, preprocessing.text, random, regularizers, saving, utils,
):
    _module.__getattr__ = older.explaining(_module)
__getattr__ = older.explaining(sys.modules[__name__])

older.install()  # modules of older Keras can be imported, such as minigrad.utils.np_utils

__version__ = "0.1.0"


def version():
    """The version of minigrad, a string."""
    return __version__


def load_ipython_extension(shell):
    """`%load_ext minigrad` in a notebook: from now on, `import keras` and `import tensorflow` get minigrad."""
    importlib.import_module("minigrad.compat").install()


def unload_ipython_extension(shell):
    """`%unload_ext minigrad`: they get the real ones again, if these are installed."""
    importlib.import_module("minigrad.compat").uninstall()


_MODULES = """
    activations backend callbacks config constraints datasets initializers layers losses many metrics models ops
    optimizers preprocessing random regularizers saving utils wrappers
"""
__all__ = sorted([*public(globals(), but=("load_ipython_extension", "unload_ipython_extension")), *_MODULES.split()])
