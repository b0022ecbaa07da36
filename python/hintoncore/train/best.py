"""Keep the parameters of the best epoch: the other half of early stopping."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hintoncore.files import remove_partial_files
from hintoncore.train.callbacks import Callback

if TYPE_CHECKING:
    from hintoncore.train.trainer import Trainer

__all__ = ["KeepBest"]


class KeepBest(Callback):
    """Writes a network to a file whenever a metric of an epoch is better than before.

    Parameters
    ----------
    path : path
        For :func:`hintoncore.nn.save`; :meth:`restore` reads it back. Replaced atomically each time.
    metric : str
        Name in the records; the less the better. Epochs whose record lacks it are passed over.
    """

    def __init__(self, path: str | os.PathLike[str], metric: str = "validation_loss") -> None:
        self.path, self.metric = Path(path), metric
        self.best: float | None = None
        self.best_epoch: int | None = None

    def on_start(self, trainer: Trainer) -> None:  # noqa: ARG002
        """Remove what a killed run left half written."""
        remove_partial_files(self.path)

    def on_epoch(self, trainer: Trainer) -> None:
        """Compare, and save what is better."""
        from hintoncore import nn

        value = trainer.history[-1].get(self.metric)
        if value is None or (self.best is not None and not value < self.best) or not math.isfinite(value):
            return
        self.best, self.best_epoch = value, trainer.epoch
        nn.save(trainer.task.model, self.path)

    def restore(self, trainer: Trainer) -> None:
        """Give the model the parameters of the best epoch.

        Raises
        ------
        FileNotFoundError
            If no epoch was kept, or its file was deleted.
        """
        from hintoncore import nn

        nn.load(trainer.task.model, self.path)

    def state(self) -> dict[str, Any]:
        """Return the best value and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
