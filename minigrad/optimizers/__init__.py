"""Optimizers: how gradients change weights, and `schedules` of the learning rate.

`rules` has the optimizers, each with its formula. `base` has what they share, `memory` where their state lies, and
`rows` where the gradients do.
"""

from minigrad.names import public
from minigrad.optimizers import schedules
from minigrad.optimizers.base import Optimizer, deserialize, get, registry, serialize
from minigrad.optimizers.memory import Slot
from minigrad.optimizers.rules import SGD, Adadelta, Adafactor, Adagrad, Adam, Adamax, AdamW, Ftrl, Lion, Nadam, RMSprop

__all__ = [*public(globals()), "schedules"]
