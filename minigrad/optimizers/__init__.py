"""Optimizers: how gradients change weights, and `schedules` of the learning rate.

`rules` is the table of formulas; `base` is what all of them have in common; `memory` is where their numbers lie.
"""

from minigrad.names import public
from minigrad.optimizers import schedules
from minigrad.optimizers.base import Optimizer, deserialize, get, registry, serialize
from minigrad.optimizers.memory import Slot
from minigrad.optimizers.rules import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lion,
    Nadam,
    RMSprop,
)

__all__ = [*public(globals()), "schedules"]
