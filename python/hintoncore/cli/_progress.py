"""Progress of training where no terminal draws a bar: a line for each epoch."""

from __future__ import annotations

import sys
from typing import Any

from hintoncore.train import Callback

_SHOWN = {
    "test_log_likelihood": "test log-likelihood",
    "pseudo_log_likelihood": "pseudo-likelihood",
    "free_energy_gap": "free-energy gap",
    "reconstruction_error": "reconstruction error",
    "loss": "loss",
    "validation_loss": "held-out loss",
    "validation_bound": "held-out bound",
    "validation_error": "held-out error",
    "validation_squared_error": "held-out squared error",
    "validation_rmse": "held-out RMSE",
}


class EpochLines(Callback):
    """Writes the estimates of every epoch to stderr."""

    def on_epoch(self, trainer: Any) -> None:
        """Write the line."""
        record = trainer.history[-1]
        figures = ", ".join(f"{label} {record[name]:.4g}" for name, label in _SHOWN.items() if name in record)
        print(
            f"epoch {trainer.epoch}/{trainer.epochs}" + (f": {figures}" if figures else ""), file=sys.stderr, flush=True
        )
