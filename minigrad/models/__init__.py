"""Models: Model and Sequential; what can be done with a trained one."""

from minigrad.models.inference import fold_batchnorm, recompute_batch_statistics
from minigrad.models.model import Model
from minigrad.models.sequential import Sequential

__all__ = ["Model", "Sequential", "fold_batchnorm", "recompute_batch_statistics"]
