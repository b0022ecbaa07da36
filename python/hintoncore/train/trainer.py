"""The training loop: epochs, minibatches, callbacks, checkpoints.

Everything that decides the next update is either a setting or a counter. The order of the data is a pure
function of (seed, epoch), and every draw a pure function of (seed, offset). So a checkpoint is the
parameters, what the optimiser carries along and a few integers, and a run that was killed goes on to the
bit-identical model.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hintoncore._counts import as_count
from hintoncore.files import (
    FileFormatError,
    load_tensors,
    save_tensors,
)
from hintoncore.generator import Generator

if TYPE_CHECKING:
    from hintoncore.train.callbacks import Callback

__all__ = ["Task", "Trainer"]

_FILE_KIND = "checkpoint"


class Task(Protocol):
    """A model with its data and learning rule, as :class:`Trainer` drives it."""

    model: Any

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""

    @property
    def order_seed(self) -> int:
        """Seed of the data order."""

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Update the model on the minibatch ``rows`` at time ``epoch``; return metrics to average over the epoch."""

    def end_epoch(self) -> None:
        """Take note that an epoch is complete."""

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """Return the metrics of the end of an epoch; those of the same name replace averages."""

    def running_estimate(self) -> Mapping[str, float]:
        """Return cheap metrics for a progress bar, without any effect on training."""

    def describe(self) -> dict[str, Any]:
        """Return as JSON values what a run must share with a checkpoint to go on from it."""

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the arrays and counters that change while training."""

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""


class Trainer:
    """Runs a task epoch by epoch.

    Parameters
    ----------
    task : Task
    batch_size : int >= 1
        The last minibatch of an epoch is short where the rows do not divide.
    callbacks : sequence of Callback
        Called in this order, checkpoints last, so that a checkpoint has the state that the others reached.

    Attributes
    ----------
    epoch, batch, step : int
        Completed epochs, completed minibatches of the current epoch, and completed updates in all.
    epochs : int
        Epochs to reach in the current :meth:`run`.
    n_batches : int
        Minibatches of an epoch.
    history : list of dict
        One record of metrics for each completed epoch.
    stop_requested : bool
        A callback sets it to end the run after the epoch.
    """

    def __init__(self, task: Task, *, batch_size: int, callbacks: Sequence[Callback] = ()) -> None:
        self.task = task
        self.batch_size = as_count(batch_size, "batch_size")
        self.callbacks = sorted(callbacks, key=lambda callback: callback.runs_last)
        self.n_batches = -(-task.n_rows // self.batch_size)
        self.epochs = 0
        self.epoch = 0
        self.batch = 0
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.stop_requested = False
        self._sums: dict[str, float] = {}
        self._rows_seen = 0
        self._seconds = 0.0

    def run(self, epochs: int) -> None:
        """Train until ``epochs`` epochs are complete, counting those of a loaded checkpoint.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C: the update under way is completed and the callbacks' ``on_interrupt`` is called first.
            A second Ctrl-C does not wait.
        """
        self.epochs = epochs
        try:
            with _deferred_interrupt() as interrupted:
                self._notify("on_start")
                while self.epoch < epochs and not self.stop_requested:
                    self._run_epoch(interrupted)
                self._notify("on_end")
        finally:
            self._notify("close")

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write everything that the rest of the run depends on, atomically.

        Raises
        ------
        OSError
            If the file cannot be written; an older checkpoint stays as it was.
        """
        tensors, counters = self.task.state()
        save_tensors(
            path,
            tensors,
            kind=_FILE_KIND,
            metadata={
                "callbacks": {name: callback.state() for name, callback in self._stateful_callbacks().items()},
                "counters": counters,
                "task": self.task.describe(),
                "trainer": {
                    "batch": self.batch,
                    "epoch": self.epoch,
                    "history": self.history,
                    "rows_seen": self._rows_seen,
                    "seconds": self._seconds,
                    "step": self.step,
                    "stop_requested": self.stop_requested,
                    "sums": self._sums,
                },
            },
        )

    def load_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Go back to where :meth:`save_checkpoint` was called.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FileFormatError
            If the file is damaged or is not a checkpoint.
        ValueError
            If it belongs to another model, other data or other settings; the message names them.
        """
        tensors, metadata = load_tensors(path, kind=_FILE_KIND)
        differences = _differences(metadata.get("task"), self.task.describe())
        if differences:
            raise ValueError(f"{path}: checkpoint of another run:\n  " + "\n  ".join(differences))
        try:
            self.task.load_state(tensors, metadata["counters"])
            state, callback_states = metadata["trainer"], metadata["callbacks"]
            self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
            self.history = state["history"]
            self.stop_requested = state["stop_requested"]
            self._sums, self._rows_seen = state["sums"], state["rows_seen"]
            self._seconds = state["seconds"]
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: not a usable checkpoint ({error})") from error
        callbacks = self._stateful_callbacks()
        for name, callback_state in callback_states.items():
            if name not in callbacks:
                raise ValueError(f"{path}: the checkpoint has the state of a callback {name}, pass it again")
            callbacks[name].load_state(callback_state)

    def _run_epoch(self, interrupted: threading.Event) -> None:
        order = np.asarray(Generator(self.task.order_seed, self.epoch).permutation(self.task.n_rows), dtype=np.intp)
        start = time.perf_counter() - self._seconds
        for batch in range(self.batch, self.n_batches):
            rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            for name, value in self.task.step(rows, self.epoch + batch / self.n_batches).items():
                self._sums[name] = self._sums.get(name, 0.0) + value * len(rows)
            self._rows_seen += len(rows)
            self.batch = batch + 1
            self.step += 1
            self._seconds = time.perf_counter() - start
            self._notify("on_step")
            self._raise_if(interrupted)

        record: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "seconds": round(self._seconds, 6),
        }
        record.update({name: total / self._rows_seen for name, total in self._sums.items()})
        record.update(self.task.evaluate(float(self.epoch)))
        for callback in self.callbacks:
            record.update(callback.evaluate(self))
        self.task.end_epoch()
        self.history.append(record)
        self.epoch += 1
        self.batch = 0
        self._sums, self._rows_seen, self._seconds = {}, 0, 0.0
        self._notify("on_epoch")
        self._raise_if(interrupted)

    def _notify(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def _raise_if(self, interrupted: threading.Event) -> None:
        if interrupted.is_set():
            self._notify("on_interrupt")
            raise KeyboardInterrupt

    def _stateful_callbacks(self) -> dict[str, Callback]:
        """Callbacks with state, each by its class and its place among those of the class."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            if callback.state() is not None:
                kind = type(callback).__name__
                place = sum(name.startswith(f"{kind}[") for name in named)
                named[f"{kind}[{place}]"] = callback
        return named


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that it never lands in the middle of an update.

    The event is never set outside the main thread, where Python delivers no signals, and where Ctrl-C is ignored, as
    for a shell's background jobs.
    """
    event = threading.Event()
    previous = signal.getsignal(signal.SIGINT) or signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or previous == signal.SIG_IGN:
        yield event
        return

    def handle(_signum: int, _frame: FrameType | None) -> None:
        event.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


def _differences(saved: Any, current: Any, name: str = "") -> list[str]:
    """Name what differs between two JSON values."""
    if isinstance(saved, dict) and isinstance(current, dict):
        return [
            line
            for key in sorted({*saved, *current})
            for line in _differences(saved.get(key), current.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if saved == _as_json(current) else [f"{name}: the checkpoint has {saved!r}, this run has {current!r}"]


def _as_json(value: Any) -> Any:
    """Tuples as the lists that JSON makes of them."""
    return [_as_json(item) for item in value] if isinstance(value, list | tuple) else value
