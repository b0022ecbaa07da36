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
}


class EpochLines(Callback):
    """Writes the likelihood estimates of every epoch to stderr."""

    def on_epoch(self, trainer: Any) -> None:
        """Write the line."""
        record = trainer.history[-1]
        figures = ", ".join(f"{label} {record[name]:.4g}" for name, label in _SHOWN.items() if name in record)
        print(f"epoch {trainer.epoch}/{trainer.epochs}: {figures}", file=sys.stderr, flush=True)
