"""Models: Model and Sequential."""

from minigrad.models.model import Model
from minigrad.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
