"""Callbacks: what happens beside the updates, without any effect on them."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore.files import remove_partial_files, write_atomic

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.train.trainer import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "LogLikelihood", "MetricsWriter", "ProgressBar"]


class Callback:
    """Base class: every method does nothing. Callbacks never draw from the generators that training uses."""

    runs_last = False
    """Whether to run after the callbacks that do not set it."""

    def on_start(self, trainer: Trainer) -> None:
        """Before the first update of a run, after a checkpoint was loaded."""

    def on_step(self, trainer: Trainer) -> None:
        """After each update."""

    def evaluate(self, trainer: Trainer) -> Mapping[str, float]:  # noqa: ARG002
        """Return metrics to add to the record of the epoch."""
        return {}

    def on_epoch(self, trainer: Trainer) -> None:
        """After each epoch; its record is ``trainer.history[-1]``."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """Before ``KeyboardInterrupt`` ends the run."""

    def on_end(self, trainer: Trainer) -> None:
        """When a run has come to its end."""

    def close(self, trainer: Trainer) -> None:
        """When a run is over for whatever reason."""

    def state(self) -> dict[str, Any] | None:
        """Return what a checkpoint must keep, as JSON values; None for nothing."""
        return None

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""


class MetricsWriter(Callback):
    """Writes one JSON object for each epoch, a line each.

    A resumed run first brings the file back to the checkpoint: lines of epochs past it go, lost ones come
    back.

    Parameters
    ----------
    path : path
        Such as ``metrics.jsonl``; an older file is replaced.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_start(self, trainer: Trainer) -> None:
        """Write the records there are."""
        remove_partial_files(self.path)
        write_atomic(self.path, "".join(map(_line, trainer.history)).encode())

    def on_epoch(self, trainer: Trainer) -> None:
        """Append the record of the epoch."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(trainer.history[-1]))


class ProgressBar(Callback):
    """A tqdm bar over the updates, with a running likelihood estimate and the metrics of the last epoch.

    Parameters
    ----------
    refresh_seconds : float
        Time between likelihood estimates.
    """

    shown = (
        "pseudo_log_likelihood",
        "reconstruction_error",
        "free_energy_gap",
        "test_log_likelihood",
        "validation_rmse",
    )

    def __init__(self, refresh_seconds: float = 1.0) -> None:
        self.refresh_seconds = refresh_seconds
        self._bar: Any = None
        self._next_refresh = 0.0
        self._figures: dict[str, float] = {}

    def on_start(self, trainer: Trainer) -> None:
        """Open the bar."""
        from tqdm import tqdm

        total = trainer.epochs * trainer.n_batches
        self._bar = tqdm(total=total, initial=min(trainer.step, total), unit="batch", dynamic_ncols=True)
        self._next_refresh = 0.0

    def on_step(self, trainer: Trainer) -> None:
        """Move on, now and then with a new estimate."""
        self._bar.update(1)
        now = time.monotonic()
        if now >= self._next_refresh:
            self._figures.update(trainer.task.running_estimate())
            self._show(trainer)
            self._next_refresh = now + self.refresh_seconds

    def on_epoch(self, trainer: Trainer) -> None:
        """Show the metrics of the epoch."""
        record = trainer.history[-1]
        self._figures.update({name: record[name] for name in self.shown if name in record})
        self._show(trainer)

    def close(self, trainer: Trainer) -> None:  # noqa: ARG002
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, trainer: Trainer) -> None:
        self._bar.set_description(f"epoch {min(trainer.epoch + 1, trainer.epochs)}/{trainer.epochs}", refresh=False)
        self._bar.set_postfix({name: f"{value:.4g}" for name, value in self._figures.items()})


class LogLikelihood(Callback):
    """Adds the mean log-likelihood of some rows to the records, in nats for each row.

    Exact, it is one metric. By ``"ais"`` it is ``NAME``, which errs high, with ``NAME_std_error``; the price is that of
    ``chains x temperatures`` Gibbs steps and of one pass over the rows, whatever the model does. By ``"bracket"``, for
    twice the price, it is ``NAME``, the lower end, with ``NAME_upper`` and ``NAME_width``, the distance of the two with
    error bars: of an open bracket neither end is to be believed. Few temperatures miss modes and then both look good.

    Parameters
    ----------
    x : array of 0 and 1, shape [N, V], or BitMatrix
    name : str
        Of the metric.
    every_epochs : int >= 1
    method : {"exact", "ais", "bracket"}
    chains : int >= 4
    temperatures : int >= 1
        Of the annealing.
    """

    def __init__(
        self,
        x: ArrayLike | BitMatrix,
        *,
        name: str = "test_log_likelihood",
        every_epochs: int = 1,
        method: str = "exact",
        chains: int = 100,
        temperatures: int = 1000,
    ) -> None:
        if method not in ("exact", "ais", "bracket"):
            raise ValueError(f"method: expected 'exact', 'ais' or 'bracket', given {method!r}")
        self.x = x
        self.name = name
        self.every_epochs = as_count(every_epochs, "every_epochs")
        self.method = method
        self.chains = as_count(chains, "chains", low=4)
        self.temperatures = as_count(temperatures, "temperatures")

    def evaluate(self, trainer: Trainer) -> Mapping[str, float]:
        """Return the log-likelihood in nats for each row, if it is due."""
        if (trainer.epoch + 1) % self.every_epochs:
            return {}
        model = trainer.task.model
        if self.method == "exact":
            return {self.name: float(model.log_likelihood(self.x))}
        from hintoncore.likelihood import LikelihoodWarning, ais, bracket

        seed = derive_seed(model.seed, Stream.MONITORING, model.steps_trained)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LikelihoodWarning)  # the record has the error
            if self.method == "ais":
                estimate = ais(model, self.chains, self.temperatures, rng=seed, base=self.x)
                value = float(-model.free_energy(self.x).mean()) - estimate.log_z
                record = {self.name: value, f"{self.name}_std_error": estimate.std_error}
            else:
                found = bracket(model, self.x, self.chains, self.temperatures, rng=seed)
                record = {self.name: found.lower, f"{self.name}_upper": found.upper, f"{self.name}_width": found.width}
        return {name: value for name, value in record.items() if math.isfinite(value)}


class EarlyStopping(Callback):
    """Ends the run when a metric has not improved for a while.

    Parameters
    ----------
    metric : str
        Name in the records; epochs whose record lacks it are passed over.
    patience : int >= 1
        Epochs without improvement after which the run ends.
    mode : {"max", "min"}
        Whether more or less is better.
    min_delta : float >= 0
        Smallest change that counts.
    """

    def __init__(self, metric: str, *, patience: int = 5, mode: str = "max", min_delta: float = 0.0) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"mode: expected 'max' or 'min', given {mode!r}")
        if not (math.isfinite(min_delta) and min_delta >= 0):
            raise ValueError(f"min_delta: expected a number >= 0, given {min_delta}")
        self.metric = metric
        self.patience = as_count(patience, "patience")
        self.mode = mode
        self.min_delta = min_delta
        self.best: float | None = None
        self.epochs_without_improvement = 0

    def on_epoch(self, trainer: Trainer) -> None:
        """Compare, and ask the trainer to stop when patience is at its end."""
        value = trainer.history[-1].get(self.metric)
        if value is None:
            return
        gain = math.inf if self.best is None else (value - self.best) * (1 if self.mode == "max" else -1)
        if gain > self.min_delta:
            self.best, self.epochs_without_improvement = value, 0
            return
        self.epochs_without_improvement += 1
        if self.epochs_without_improvement >= self.patience:
            trainer.stop_requested = True

    def state(self) -> dict[str, Any]:
        """Return the best value and the epochs since."""
        return {"best": self.best, "epochs_without_improvement": self.epochs_without_improvement}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.best = state["best"]
        self.epochs_without_improvement = state["epochs_without_improvement"]


class Checkpoint(Callback):
    """Saves a checkpoint every so often, on Ctrl-C and at the end.

    Parameters
    ----------
    path : path
        Replaced atomically each time.
    every_epochs : int >= 1
    every_steps : int >= 1, optional
        Save within epochs as well, counted in updates.
    """

    runs_last = True

    def __init__(self, path: str | os.PathLike[str], *, every_epochs: int = 1, every_steps: int | None = None) -> None:
        self.path = Path(path)
        self.every_epochs = as_count(every_epochs, "every_epochs")
        self.every_steps = None if every_steps is None else as_count(every_steps, "every_steps")

    def on_start(self, trainer: Trainer) -> None:  # noqa: ARG002
        """Remove what a killed run left half written."""
        remove_partial_files(self.path)

    def on_step(self, trainer: Trainer) -> None:
        """Save if it is due."""
        if self.every_steps is not None and trainer.step % self.every_steps == 0:
            trainer.save_checkpoint(self.path)

    def on_epoch(self, trainer: Trainer) -> None:
        """Save if it is due."""
        if trainer.epoch % self.every_epochs == 0:
            trainer.save_checkpoint(self.path)

    def on_interrupt(self, trainer: Trainer) -> None:
        """Save."""
        trainer.save_checkpoint(self.path)

    def on_end(self, trainer: Trainer) -> None:
        """Save if the last epoch did not."""
        if trainer.epoch % self.every_epochs != 0 or trainer.epoch == 0:
            trainer.save_checkpoint(self.path)


def _line(record: Mapping[str, Any]) -> str:
    # In one order always: a record that has been through a checkpoint has its names sorted.
    leading = ("epoch", "step")
    names = [*leading, *sorted(record.keys() - set(leading))]
    return json.dumps({name: record[name] for name in names}, allow_nan=False) + "\n"
