"""Models: Model and Sequential; copies of them, from files or from other models."""

from minigrad.models.cloning import clone_model
from minigrad.models.model import Model
from minigrad.models.sequential import Sequential
from minigrad.saving import load_model, model_from_json, save_model

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
