"""Models: Model and Sequential; copies of them, and what can be done with a trained one."""

from minigrad.models.cloning import clone_model
from minigrad.models.feature_space import FeatureSpace
from minigrad.models.inference import fold_batchnorm, recompute_batch_statistics
from minigrad.models.model import Model
from minigrad.models.sequential import Sequential
from minigrad.names import public
from minigrad.saving import load_model, model_from_json, save_model

__all__ = public(globals(), but=("FeatureSpace",))
