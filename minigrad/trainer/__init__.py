"""Training: which batches one replay covers, and what happens between two replays."""

from minigrad.trainer.trainer import Trainer

__all__ = ["Trainer"]
