"""Trainer: the parts put together."""

import inspect

from minigrad.spelling import explaining
from minigrad.trainer.compiling import Compiling
from minigrad.trainer.evaluating import Evaluating
from minigrad.trainer.fitting import Fitting
from minigrad.trainer.objective import Objective
from minigrad.trainer.preparing import Preparing
from minigrad.trainer.programs import Programs
from minigrad.trainer.steps import Pool


class Trainer(Compiling, Preparing, Programs, Fitting, Evaluating):
    """The part of a Model that trains, evaluates and predicts."""

    def __init__(self):
        self.optimizer = self.loss = None
        self.compiled = False
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.steps_per_execution = 1
        self.history = None
        self.fitting = None  # the Run of the `fit` that goes on
        self._objective = Objective()
        self._pool = Pool()
        self._eager_because = None
        self._run_eagerly = False

    @property
    def run_eagerly(self):
        """Whether every step runs in Python instead of being replayed; a change counts from the next call or epoch."""
        return self._run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value):
        self._run_eagerly = bool(value)
        self._pool.clear()


for _part in Trainer.__bases__:
    for _name, _method in inspect.getmembers(_part, inspect.isfunction):
        _method.__qualname__ = f"Model.{_name}"  # what a TypeError calls it
        if _name in ("compile", "fit", "evaluate", "predict"):
            setattr(_part, _name, explaining(_method))
