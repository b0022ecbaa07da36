"""Fine-tuning of a deep autoencoder as a training task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hintoncore.train.supervised import Supervised

if TYPE_CHECKING:
    from hintoncore.models.autoencoder import DeepAutoencoder
    from hintoncore.nn.optimisers import Optimiser

__all__ = ["AutoencoderLearning"]


class AutoencoderLearning(Supervised):
    """Supervised training whose targets are the inputs; a :class:`hintoncore.train.Task`.

    Parameters
    ----------
    model : DeepAutoencoder
        Updated in place; its seed is that of the data order.
    X : array, shape [N, V]
    optimiser : nn.Optimiser
    validation : array, shape [M, V], optional

    Raises
    ------
    ValueError, TypeError
        If the data do not fit the model.

    Notes
    -----
    Records hold ``loss`` averaged over the epoch's minibatches as they were met and, with held-out rows,
    ``validation_loss`` and ``validation_squared_error``, which is summed over the units and averaged over the rows.
    """

    def __init__(
        self, model: DeepAutoencoder, X: ArrayLike, *, optimiser: Optimiser, validation: ArrayLike | None = None
    ) -> None:
        rows = _checked(model, X, "X")
        self._held_out = None if validation is None else _checked(model, validation, "validation")
        super().__init__(
            model.network,
            rows,
            rows,
            loss=model.loss,
            optimiser=optimiser,
            seed=model.seed,
            validation=None if self._held_out is None else (self._held_out, self._held_out),
        )
        self._autoencoder = model

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """The learning rate, and loss and squared error on the held-out rows."""
        record = dict(super().evaluate(epoch))
        if self._held_out is not None:
            record["validation_squared_error"] = self._autoencoder.squared_error(self._held_out)
        return record

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        super().end_epoch()
        self._autoencoder.epochs_trained += 1

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {**super().describe(), "task": "autoencoder"}

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters, optimiser state and counters."""
        tensors, counters = super().state()
        return tensors, {**counters, "model_epochs": self._autoencoder.epochs_trained}

    def load_state(self, tensors: Mapping[str, Any], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        super().load_state(tensors, counters)
        self._autoencoder.epochs_trained = counters["model_epochs"]


def _checked(model: DeepAutoencoder, X: ArrayLike, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """``X`` as float32, every row checked; not copied when it is of that type."""
    for _ in model.rows(X, name):
        pass
    return np.ascontiguousarray(X, dtype=np.float32)
