"""Supervised training as a task: a network, a loss, an optimiser and labelled data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore._counts import as_count
from hintoncore._streams import Stream, derive_seed
from hintoncore._validate import as_int, given

if TYPE_CHECKING:
    from hintoncore.nn.layers import Layer
    from hintoncore.nn.losses import Loss
    from hintoncore.nn.optimisers import Optimiser

__all__ = ["Supervised"]

Array = NDArray[Any]


class Supervised:
    """Trains a network by the gradient of a loss; a :class:`hintoncore.train.Task`.

    A checkpoint holds the parameters, the optimiser's state and the positions of random layers, so a run that was
    killed goes on to the bit-identical network.

    Parameters
    ----------
    model : nn.Layer
        Updated in place.
    x : array, shape [N, ...]
        Inputs: float32, or integers for a network that begins with an embedding. Not copied when of those types.
    target : array, shape [N] or [N, ...]
        As ``loss`` takes it.
    loss : nn.Loss
    optimiser : nn.Optimiser
    seed : int
        Of the data order.
    validation : pair (x, target), optional
        Held-out rows: the loss on them, and for classifiers the share that is wrong, in every record.
    evaluation_rows : int >= 1
        Rows of a forward pass in evaluation.

    Notes
    -----
    Records hold ``loss`` and, for classifiers, ``error``, both averaged over the epoch's minibatches as they were met,
    and ``validation_loss`` and ``validation_error``.
    """

    def __init__(
        self,
        model: Layer,
        x: Array,
        target: Array,
        *,
        loss: Loss,
        optimiser: Optimiser,
        seed: int = 0,
        validation: tuple[Array, Array] | None = None,
        evaluation_rows: int = 1000,
    ) -> None:
        self.model, self.loss, self.optimiser = model, loss, optimiser
        self._x, self._target = _pair(x, target, "x", "target")
        self._validation = None if validation is None else _pair(*validation, "validation[0]", "validation[1]")
        self.evaluation_rows = as_count(evaluation_rows, "evaluation_rows")
        self.seed = as_int(seed, "seed", 0, 2**64 - 1)
        self.epochs_trained = 0
        self._running: dict[str, float] = {}

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return len(self._x)

    @property
    def order_seed(self) -> int:
        """Seed of the data order."""
        return derive_seed(self.seed, Stream.ORDER)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """One update on a minibatch; returns its loss and, for classifiers, its share of errors, before the update.

        Raises
        ------
        FloatingPointError
            If the loss or a parameter became NaN or infinite.
        """
        return self._update(self._x[rows], self._target[rows], epoch)

    def _update(self, x: Array, target: Array, epoch: float) -> Mapping[str, float]:
        y = self.model.forward(x, training=True)
        value, dy = self.loss(y, target)
        if not np.isfinite(value):
            raise FloatingPointError(f"loss: {value} at epoch {epoch:g}; lower the learning rate")
        wrong = self.loss.errors(y, target)
        self.model.backward(dy, input_gradient=False)
        self.optimiser.step(self.model, epoch)
        self._running = {"loss": value} if wrong is None else {"loss": value, "error": float(wrong.mean())}
        return self._running

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """The learning rate, and loss and error on the held-out rows."""
        record = {"learning_rate": self.optimiser.learning_rate(epoch)}
        if self._validation is not None:
            record.update({f"validation_{name}": value for name, value in self.test(*self._validation).items()})
        return record

    def test(self, x: Array, target: Array) -> dict[str, float]:
        """Mean ``loss`` and, for classifiers, share of ``error`` on labelled rows, nothing dropped."""
        sums: dict[str, float] = {}
        for first in range(0, len(x), self.evaluation_rows):
            part = slice(first, first + self.evaluation_rows)
            y, t = self.model.forward(x[part]), target[part]
            sums["loss"] = sums.get("loss", 0.0) + self.loss(y, t)[0] * len(y)
            wrong = self.loss.errors(y, t)
            if wrong is not None:
                sums["error"] = sums.get("error", 0.0) + float(wrong.sum())
        return {name: total / len(x) for name, total in sums.items()}

    def running_estimate(self) -> Mapping[str, float]:
        """Loss and error of the last minibatch, for progress bars."""
        return self._running

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {
            "task": "supervised",
            "model": self.model.describe(),
            "loss": type(self.loss).__name__,
            "optimiser": self.optimiser.describe(),
            "seed": self.seed,
            "data": {"shape": list(self._x.shape), "sha256": self._fingerprint},
        }

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Parameters, optimiser state and counters."""
        counters = {
            "epochs_trained": self.epochs_trained,
            "model": self.model.counters(),
            "optimiser_steps": self.optimiser.steps,
        }
        return {**self.model.parameters(), **self.optimiser.state()}, counters

    def load_state(self, tensors: Mapping[str, Array], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises
        ------
        KeyError, ValueError
            If something is missing or has another shape.
        """
        for name, parameter in self.model.parameters().items():
            parameter[...] = tensors[name]
        self.optimiser.load_state(self.model, tensors, counters["optimiser_steps"])
        self.model.set_counters(counters["model"])
        self.epochs_trained = counters["epochs_trained"]

    @cached_property
    def _fingerprint(self) -> str:
        """SHA-256 of inputs and targets and their order."""
        digest = hashlib.sha256()
        for array in (self._x, self._target):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _pair(x: Array, target: Array, x_name: str, target_name: str) -> tuple[Array, Array]:
    x, target = np.asarray(x), np.asarray(target)
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"{x_name}: expected at least one row, got {given(x)}")
    if target.ndim < 1 or len(target) != len(x):
        raise ValueError(f"{target_name}: expected {len(x)} rows, got {given(target)}")
    return (x.astype(np.float32, copy=False) if x.dtype.kind == "f" else x), target
