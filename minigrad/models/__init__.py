"""Models: Model and Sequential; copies of them, and what can be done with a trained one."""

from minigrad.models.cloning import clone_model
from minigrad.models.inference import fold_batchnorm, recompute_batch_statistics
from minigrad.models.model import Model
from minigrad.models.sequential import Sequential
from minigrad.saving import load_model, model_from_json, save_model

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "fold_batchnorm",
    "load_model",
    "model_from_json",
    "recompute_batch_statistics",
    "save_model",
]
