"""Recirculation as a training task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintoncore._streams import Stream, derive_seed
from hintoncore.models.recirculation import as_regression
from hintoncore.models.units import BernoulliUnits
from hintoncore.train.data import TrainingRows, evenly_spaced
from hintoncore.train.schedules import Schedule, as_schedule, learning_rate_at

if TYPE_CHECKING:
    from hintoncore.models.recirculation import Recirculation

__all__ = ["RecirculationLearning"]

_MONITORED_ROWS = 1000


class RecirculationLearning:
    """Trains one network by recirculation; a :class:`hintoncore.train.Task`.

    Parameters
    ----------
    model : Recirculation
    X : array in [0, 1], shape [N, V]
    learning_rate : float or Schedule
    regression : float in [0, 1)

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or the data do not fit.
    """

    def __init__(
        self, model: Recirculation, X: ArrayLike, *, learning_rate: float | Schedule, regression: float
    ) -> None:
        self.model = model
        self.regression = as_regression(regression)
        self.learning_rate = as_schedule(learning_rate, "learning_rate")
        self._rows = TrainingRows(X, model.n_visible, units=BernoulliUnits())
        self._monitored = self._batch(evenly_spaced(self.n_rows, _MONITORED_ROWS))
        self._session = model.steps_trained
        learning_rate_at(self.learning_rate, 0.0)

    @property
    def n_rows(self) -> int:
        """Rows of the training set."""
        return self._rows.shape[0]

    @property
    def order_seed(self) -> int:
        """Seed of the data order of this training session."""
        return derive_seed(self.model.seed, Stream.ORDER, self._session)

    def step(self, rows: NDArray[np.intp], epoch: float) -> Mapping[str, float]:
        """Update the model on a minibatch."""
        rate = np.float32(learning_rate_at(self.learning_rate, epoch))
        direction = self.model.update_direction(self._batch(rows), self.regression)
        for name, parameter in self.model.parameters().items():
            parameter += rate * direction[name]
            if not np.isfinite(parameter).all():
                raise FloatingPointError(f"{name}: the update produced NaN or infinity; the learning rate is too large")
        self.model.steps_trained += 1
        return {}

    def end_epoch(self) -> None:
        """Count a finished epoch."""
        self.model.epochs_trained += 1

    def evaluate(self, epoch: float) -> Mapping[str, float]:
        """The learning rate and the reconstruction error of at most 1000 rows."""
        return {
            "learning_rate": learning_rate_at(self.learning_rate, epoch),
            "reconstruction_error": self.model.reconstruction_error(self._monitored),
        }

    def running_estimate(self) -> Mapping[str, float]:
        """Nothing cheap to show."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it."""
        return {
            "task": "recirculation",
            "model": repr(self.model),
            "data": {"shape": list(self._rows.shape), "sha256": self._rows.fingerprint},
            "settings": {"learning_rate": self.learning_rate.describe(), "regression": self.regression},
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and counters that, with :meth:`describe`, determine all later steps."""
        counters = {
            "epochs_trained": self.model.epochs_trained,
            "session": self._session,
            "steps_trained": self.model.steps_trained,
        }
        return dict(self.model.parameters()), counters

    def load_state(self, tensors: Mapping[str, NDArray[Any]], counters: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.model.set_parameters(tensors)
        self._session = counters["session"]
        self.model.epochs_trained = counters["epochs_trained"]
        self.model.steps_trained = counters["steps_trained"]

    def _batch(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        batch = self._rows.batch(rows)
        return batch if isinstance(batch, np.ndarray) else batch.to_dense()
