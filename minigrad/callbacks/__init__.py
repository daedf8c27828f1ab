"""Callbacks: what `fit`, `evaluate` and `predict` call between batches and epochs.

A callback that overrides no batch hook costs nothing per batch: whole slices of an epoch run between two calls.
"""

from minigrad.callbacks.backup import BackupAndRestore
from minigrad.callbacks.base import Callback
from minigrad.callbacks.callback_list import CallbackList
from minigrad.callbacks.monitoring import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from minigrad.callbacks.reporting import CSVLogger, History, LambdaCallback, ProgbarLogger
from minigrad.callbacks.steering import LearningRateScheduler, SwapEMAWeights, TerminateOnNaN
from minigrad.callbacks.tensorboard import TensorBoard
from minigrad.names import public

__all__ = public(globals())
