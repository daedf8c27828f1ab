"""minigrad: Keras-style networks on a CPU, from scratch: NumPy arrays, Numba kernels, an autograd engine to read.

    import minigrad as keras
"""

from minigrad import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from minigrad.layers import Input, InputLayer, InputSpec, Layer
from minigrad.models import Model, Sequential
from minigrad.program import Program, RecordingError, kernel, launch
from minigrad.tensor import Tensor, Variable, no_grad, op

# They know models, and `utils` stands below those; but there is where they are looked for.
for _function in (models.fold_batchnorm, models.recompute_batch_statistics):
    setattr(utils, _function.__name__, _function)
    utils.__all__.append(_function.__name__)

__version__ = "0.1.0"
__all__ = [
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "Model",
    "Program",
    "RecordingError",
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "initializers",
    "kernel",
    "launch",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "op",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "utils",
]
