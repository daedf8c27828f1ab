"""Files: models and weights, written whole or not at all, and read without trusting them."""

# isort: off
from minigrad.registry import (
    custom_object_scope, get_custom_objects, get_registered_name, get_registered_object,
    register_keras_serializable,
)  # fmt: skip
from minigrad.saving.models import load_model, load_weights, model_from_json, save_model, save_weights
from minigrad.saving.objects import deserialize_keras_object, serialize_keras_object
# isort: on
from minigrad.names import public

CustomObjectScope = custom_object_scope

__all__ = public(globals())
